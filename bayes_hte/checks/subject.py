"""The subject of a check: a fit, with the predictions and options that checks share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayes_hte.effects.arguments import Better
from bayes_hte.seeds import stage_seed
from bayes_hte.study.spec import AssignmentName
from bayes_hte.study.study import Study

if TYPE_CHECKING:
    from arviz_stats.utils import ELPDDataLOO

    from bayes_hte.fitting.fitted import Fit
    from bayes_hte.trust.unseen import Unseen


@dataclass(frozen=True, eq=False)
class Subject:
    """Everything that a check may look at.

    Attributes
    ----------
    fit : Fit
        The fit.
    effects : Dataset, dims (chain, draw, unit)
        Its unit-level effects in outcome units: ``te`` and, with a mediator, its parts.
    unseen : tuple of Unseen
        Units predicted without their outcomes, the strictest way first; may be empty.
    better : {"higher", "lower"}
        Which direction of the outcome is good.
    assignment : {"randomised", "observational"} or None
        How units came to their arm; None if this was not said.
    other : Fit or None
        The same models with the propensity covariate switched, if they were fitted.
    refutations : mapping or None
        Options of :func:`bayes_hte.checks.refutations.refute`; None for no refutations.
    other_seeds : mapping or None
        Options of :func:`bayes_hte.checks.seed_stability.seed_stability`; None for no further fit.

    Examples
    --------
    >>> import numpy as np
    >>> import bayes_hte as hte
    >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
    >>> roles = {"outcome": "y", "treatment": "treat", "mediator": "m"}
    >>> study = hte.Study.from_frame(frame, **roles, covariates=["x1", "x2", "x3"])
    >>> fit = hte.fit(study, seed=1, draws=20, tune=20, chains=2, progress=False)
    >>> from bayes_hte.checks import Subject, chain_stability
    >>> (result,) = chain_stability.check(Subject(fit, fit.effects()))
    >>> result.name, len(result.table)
    ('ranking over chains', 1)
    """

    fit: Fit
    effects: xr.Dataset = field(repr=False)
    unseen: tuple[Unseen, ...] = field(default=(), repr=False)
    better: Better = "higher"
    assignment: AssignmentName | None = None
    other: Fit | None = field(default=None, repr=False)
    refutations: Mapping[str, Any] | None = None
    other_seeds: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        self.fit.study.check_two_arms("a check")

    @property
    def study(self) -> Study:
        """The fitted study."""
        return self.fit.study

    @property
    def arm_names(self) -> tuple[str, str]:
        """Names of the arms, reference arm first."""
        reference, other = self.study.arms
        return str(reference), str(other)

    def rng(self, step: str) -> np.random.Generator:
        """Return the random generator of a step: equal seed of the fit and name, equal numbers.

        Parameters
        ----------
        step : str
            Name of the step, different from those of other checks.

        Returns
        -------
        numpy.random.Generator
        """
        return np.random.default_rng(stage_seed(self.fit.seed, step))

    @cached_property
    def candidates(self) -> dict[str, Fit]:
        """One fit per stacked candidate, by label; the fit alone if nothing is stacked."""
        return self.fit.candidates()

    @cached_property
    def weights(self) -> dict[str, float]:
        """Stacking weight of each candidate; 1 if nothing is stacked."""
        shares = (share for _, share in self.fit.weighted_candidates())
        return dict(zip(self.candidates, shares, strict=True))

    @cached_property
    def candidate_effects(self) -> dict[str, xr.DataArray]:
        """Unit-level total effects of each candidate, dims (chain, draw, unit)."""
        return {label: fit.cate() for label, fit in self.candidates.items()}

    @cached_property
    def left_out_scores(self) -> dict[str, ELPDDataLOO]:
        """Leave-one-out scores of the outcome under each candidate."""
        from bayes_hte.checks.loo import leave_one_out  # which takes a subject itself

        # A millisecond per unit each, so not twice.
        for unseen in self.unseen:
            if unseen.scores:
                return dict(unseen.scores)
        event = self.study.with_outcome().event
        how = {"censored": None if event is None else ~event}
        return {
            label: leave_one_out(fit.log_likelihood(), **how)
            for label, fit in self.candidates.items()
        }
