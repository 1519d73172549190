"""Moments of the proxies by arm, the solver, its posterior and its diagnostics."""
