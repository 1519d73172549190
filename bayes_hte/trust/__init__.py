"""Whether a fit can be trusted: all checks, predictions of unseen outcomes, the verdict."""
