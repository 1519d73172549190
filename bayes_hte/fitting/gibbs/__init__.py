"""The direct sampler of a component: parts that update their parameters in turn."""
