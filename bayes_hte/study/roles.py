"""Roles: the part that each column of a study plays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bayes_hte.errors import UnsupportedError

# Mediators that are modelled together: each further one multiplies the nodes of the integrals.
MOST_MEDIATORS = 2


@dataclass(frozen=True)
class Roles:
    """The columns of a study by the part that they play.

    Attributes
    ----------
    outcome, treatment : str
        Column names.
    covariates : tuple of str
        Columns measured before treatment, in the order in which the models see them.
    mediator : str, tuple of str or None
        Column between treatment and outcome, if the question has one; a tuple if it has two.
    cluster : str or None
        Column of the sampling units that rows come from (clinics, families), if there are any.
    weights : str or None
        Column of the weights with which units stand for a population, if there are any.
    event : str or None
        Column that says whether the event was seen, if the outcome is a time to an event.
    entry : str or None
        Column of the times from which units were observed, if some were not from the start.
    post_treatment : str or None
        Column that the treatment changes and that affects both mediator and outcome, if one is
        declared. It is modelled as a first mediator.
    cause : object
        The value of `event` that is the cause of interest, where events have several.
    no_event : object
        The value of `event`, or the values, that mean no event where events have several causes;
        None for those that :mod:`bayes_hte.study.causes` knows.
    upper : str or None
        Column of the upper ends of intervals that times lie in, whose lower ends are the outcome.
    """

    outcome: str
    treatment: str
    covariates: tuple[str, ...]
    mediator: str | tuple[str, ...] | None = None
    cluster: str | None = None
    # Not in the text of the roles, of which fingerprints of earlier versions are made.
    weights: str | None = field(default=None, repr=False)
    event: str | None = field(default=None, repr=False)
    entry: str | None = field(default=None, repr=False)
    post_treatment: str | None = field(default=None, repr=False)
    cause: Any = field(default=None, repr=False)
    no_event: Any = field(default=None, repr=False)
    upper: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Keep one mediator as text, whether or not it came in a list.

        Raises
        ------
        UnsupportedError
            If there are more mediators than can be modelled together, or none or two with a
            confounder that the treatment changes.
        """
        several = listed(self.mediator)
        if self.post_treatment is not None and len(several) != 1:
            raise UnsupportedError(
                f"post_treatment={self.post_treatment!r} is a confounder of one mediator and the "
                f"outcome, and there are {len(several)} mediators; name one mediator, or leave "
                "post_treatment out."
            )
        if not isinstance(self.mediator, list | tuple):
            return
        if len(several) > MOST_MEDIATORS:
            raise UnsupportedError(
                f"mediator names {len(several)} columns, and at most {MOST_MEDIATORS} mediators "
                "are modelled together; name those that the question is about."
            )
        one = several[0] if len(several) == 1 else several or None
        object.__setattr__(self, "mediator", one)

    @property
    def mediators(self) -> tuple[str, ...]:
        """Every column between treatment and outcome, in the order in which they are modelled.

        None, one or two: a confounder that the treatment changes comes before the mediator.
        """
        return (*listed(self.post_treatment), *listed(self.mediator))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every used column: outcome, treatment, covariates, and the others that there are."""
        optional = (self.cluster, self.weights, self.event, self.entry, self.upper)
        further = (*self.mediators, *(c for c in optional if c is not None))
        return (self.outcome, self.treatment, *further, *self.covariates)


def listed(mediator: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the mediators that a role names: none, one, or those of a list."""
    if mediator is None:
        return ()
    return tuple(mediator) if isinstance(mediator, list | tuple) else (mediator,)
