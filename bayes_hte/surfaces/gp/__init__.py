"""Gaussian processes with their weights integrated out."""
