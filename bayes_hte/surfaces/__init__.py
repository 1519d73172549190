"""Surfaces: the forms a function of covariates can take, as PyMC terms."""
