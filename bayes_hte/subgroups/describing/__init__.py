"""Subgroups described by the draws of their effects."""
