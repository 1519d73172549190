"""Subgroups suggested by one half of the units and judged by the other."""
