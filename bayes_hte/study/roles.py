"""Roles: the part that each column of a study plays."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Roles:
    """The columns of a study by the part that they play.

    Attributes
    ----------
    outcome, treatment : str
        Column names.
    covariates : tuple of str
        Columns measured before treatment, in the order in which the models see them.
    mediator : str or None
        Column between treatment and outcome, if the question has one.
    cluster : str or None
        Column of the sampling units that rows come from (clinics, families), if there are any.
    weights : str or None
        Column of the weights with which units stand for a population, if there are any.
    event : str or None
        Column that says whether the event was seen, if the outcome is a time to an event.
    entry : str or None
        Column of the times from which units were observed, if some were not from the start.
    """

    outcome: str
    treatment: str
    covariates: tuple[str, ...]
    mediator: str | None = None
    cluster: str | None = None
    # Not in the text of the roles, of which fingerprints of earlier versions are made.
    weights: str | None = field(default=None, repr=False)
    event: str | None = field(default=None, repr=False)
    entry: str | None = field(default=None, repr=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every used column: outcome, treatment, covariates, and the others that there are."""
        further = (self.mediator, self.cluster, self.weights, self.event, self.entry)
        optional = tuple(c for c in further if c is not None)
        return (self.outcome, self.treatment, *optional, *self.covariates)
