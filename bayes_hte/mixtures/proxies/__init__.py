"""Proxies of the class as functions of their columns."""
