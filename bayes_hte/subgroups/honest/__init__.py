"""Subgroups that one half of the units suggests and the other half judges."""
