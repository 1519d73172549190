"""Sums of trees: the compiled moves, the step method, and the draws as plain arrays."""
