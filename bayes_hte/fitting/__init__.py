"""From a study and a plan to a fit: components in order, their draws, and potential outcomes."""
