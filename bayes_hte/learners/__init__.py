"""Learners: which terms make up a component, and what their priors are by default."""
