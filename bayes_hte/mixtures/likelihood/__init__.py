"""The likelihood of a mixture: law, PyMC model, draws, labels and membership of classes."""
