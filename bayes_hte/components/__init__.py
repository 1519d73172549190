"""Components: the PyMC models of outcome, mediator and propensity."""
