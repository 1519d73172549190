"""The null distribution of the rule for subgroups: its false claims where effects are equal."""
