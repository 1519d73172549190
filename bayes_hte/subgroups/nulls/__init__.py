"""How often subgroups are found where effects are equal."""
