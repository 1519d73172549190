"""Effects judged on outcomes they have not seen: held-out units, or units left out one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from bayes_hte import effects
from bayes_hte.checks.heterogeneity import bootstrap_seed
from bayes_hte.checks.loo import leave_one_out
from bayes_hte.companions.restricted_means import restricted_means
from bayes_hte.effects.arguments import Better
from bayes_hte.errors import DataError, SpecError
from bayes_hte.names import SAMPLE, UNIT
from bayes_hte.seeds import stage_seed
from bayes_hte.study.study import Study
from bayes_hte.study.time_to_event import Estimand
from bayes_hte.targeting import (
    Calibration,
    TargetingCurve,
    Uplift,
    calibration_by_bins,
    qini,
    toc,
    uplift_at,
)
from bayes_hte.targeting.left_out import Candidate, left_out

if TYPE_CHECKING:
    from bayes_hte.fitting.fitted import Fit

How = Literal["held out", "left out one by one"]
# As the default of `iptw`: a score is divided by the propensity.
PROPENSITY_BOUNDS = (0.01, 0.99)
# Below this many units in the smaller arm, five bins hold too few of them.
FEW_IN_ARM = 100


@dataclass(frozen=True, eq=False)
class Unseen:
    """Units with effects predicted without their outcomes.

    Attributes
    ----------
    study : Study
        The units.
    effect : DataArray, dims (chain, draw, unit)
        Predicted effects, in outcome units.
    expected : DataArray, dims (unit, arm)
        Predicted outcomes, reference arm first.
    propensity : DataArray, dims (unit,)
        Posterior-mean probability of the other arm, within `PROPENSITY_BOUNDS`.
    how : {"held out", "left out one by one"}
        Held-out units were in no model; each unit left out is predicted by weighting the draws.
    horizon : float or None
        Of times to an event, up to which they count.
    estimand : Estimand or None
        Of times to an event, the scale of effects; None, the restricted mean to `horizon`.
    scores : mapping of str to ELPDDataLOO
        Of units left out one by one, the leave-one-out scores of the outcome under each candidate;
        empty where more than an uncensored outcome is left out, or nothing is.
    """

    study: Study
    effect: xr.DataArray
    expected: xr.DataArray
    propensity: xr.DataArray
    how: How
    horizon: float | None = None
    estimand: Estimand | None = None
    scores: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def given(self) -> dict[str, Any]:
        """Return outcomes, arms, propensities and predictions, as judging functions take them.

        Of times to an event the outcome is the pseudo-observation of the restricted mean survival
        time (or of the probability that effects are on), because a censored time is no outcome; see
        :mod:`bayes_hte.companions.jackknife`.
        """
        return {
            "outcome": restricted_means(self.study, self.estimand or self.horizon).outcome(),
            "treatment": self.study.arm_index(),
            "propensity": self.propensity.to_numpy(),
            "expected": self.expected,
        }


@dataclass(frozen=True, eq=False)
class Targeting:
    """Ranking and prediction of units that effects were not learned from.

    Attributes
    ----------
    qini, toc : TargetingCurve
        Curves of the ranking by posterior-mean effect.
    calibration : Calibration
        Predicted and observed effects in bins.
    uplift : Uplift
        The same among the units ranked first.
    how : str
        As in :class:`Unseen`.
    n_units : int
        Number of those units.
    """

    qini: TargetingCurve
    toc: TargetingCurve
    calibration: Calibration
    uplift: Uplift
    how: How
    n_units: int


def split(study: Study, *, share: float, seed: int) -> tuple[Study, Study]:
    """Divide a study into the part that is fitted and the part that is held out.

    Both have the arms in the proportions of the whole; clusters are never divided (the proportions
    are then approximate).

    Parameters
    ----------
    study : Study
        The whole.
    share : float
        Share of units to hold out, between 0 and 1.
    seed : int
        Same seed, same parts.

    Returns
    -------
    fitted, held_out : Study

    Raises
    ------
    SpecError
        If `share` is not between 0 and 1.
    DataError
        If a part would lack an arm or be too small for a study.
    """
    from sklearn.model_selection import GroupShuffleSplit, train_test_split  # slow to import

    if not 0 < share < 1:
        raise SpecError(f"the held-out share must be between 0 and 1, got {share}; try 0.2.")
    everybody = np.arange(study.n_units)
    cluster = study.roles.cluster
    if cluster is None:
        parts = train_test_split(
            everybody, test_size=share, random_state=seed, stratify=study.arm_index()
        )
    else:
        splitter = GroupShuffleSplit(n_splits=1, test_size=share, random_state=seed)
        parts = next(splitter.split(everybody, groups=study.frame[cluster]))
    fitted, held_out = (study.subset(part) for part in parts)
    return fitted, held_out


def held_out_units(fit: Fit, study: Study) -> Unseen:
    """Predict units that were in no model.

    Parameters
    ----------
    fit : Fit
        Fitted to other units.
    study : Study
        The held-out units.

    Returns
    -------
    Unseen

    Raises
    ------
    DataError
        If a unit of `study` was fitted.
    """
    both = fit.study.frame.index.intersection(study.frame.index)
    if len(both):
        raise DataError(
            f"{len(both)} units (e.g. {both[0]!r}) are in the fit and in the held-out study; hold "
            "out units that were not fitted."
        )
    fit.study.check_two_arms("an evaluation on held-out units")
    study = study.with_outcome()
    mu = effects.own_mediator(fit.first_stage().potential_outcomes(study.frame))
    return Unseen(
        study=study,
        effect=fit.cate(study.frame),
        expected=mu.mean(SAMPLE),
        propensity=_bounded(fit.propensity(study.frame)),
        how="held out",
        horizon=fit.horizon,
        estimand=fit.estimand(),
    )


def left_out_units(fit: Fit) -> Unseen:
    """Predict each unit from all others, by weighting the draws.

    Leaving a unit out leaves out its mediator too. Of learner ``"x"`` the first stage is judged:
    the second has no likelihood of the outcome.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    Unseen

    Raises
    ------
    SamplingError
        If a log-likelihood is not finite.
    """
    fit.study.check_two_arms("an evaluation on left-out units")
    known = {UNIT: np.flatnonzero(fit.study.known_outcome())}
    models = dict(zip(fit.candidates(), fit.weighted_candidates(), strict=True))
    scores = {
        label: leave_one_out(f.unit_log_likelihood().isel(known))
        for label, (f, _) in models.items()
    }
    candidates = [
        Candidate(
            mu=effects.own_mediator(f.first_stage().potential_outcomes()).isel(known),
            log_weights=scores[label].log_weights,
            share=share,
        )
        for label, (f, share) in models.items()
    ]
    of_outcome = "mediator" not in fit.components and fit.study.event is None
    units = left_out(candidates, rng=np.random.default_rng(stage_seed(fit.seed, "left out")))
    return Unseen(
        study=fit.study.with_outcome(),
        effect=units.effect,
        expected=units.expected,
        propensity=_bounded(fit.propensity().isel(known)),
        how="left out one by one",
        horizon=fit.horizon,
        estimand=fit.estimand(),
        scores=scores if of_outcome else {},
    )


def evaluate(unseen: Unseen, *, better: Better, seed: int) -> Targeting | None:
    """Judge ranking and predictions on outcomes that they have not seen.

    Parameters
    ----------
    unseen : Unseen
        The units.
    better : {"higher", "lower"}
        Which direction of the outcome is good.
    seed : int
        The seed that the user gave.

    Returns
    -------
    Targeting or None
        None if the model predicts the same effect for everybody.
    """
    mean = unseen.effect.mean(SAMPLE)
    if mean.to_series().nunique() < 2:
        return None
    n_bins = 5 if np.bincount(unseen.study.arm_index()).min() >= FEW_IN_ARM else 3

    def judge[T](verb: Callable[..., T], **options: Any) -> T:
        rng = np.random.default_rng(bootstrap_seed(seed))
        return verb(unseen.effect, rng=rng, **unseen.given(), **options)

    return Targeting(
        qini=judge(qini, better=better),
        toc=judge(toc, better=better),
        calibration=judge(calibration_by_bins, n_bins=n_bins),
        uplift=judge(uplift_at, better=better),
        how=unseen.how,
        n_units=unseen.study.n_units,
    )


def _bounded(propensity: xr.DataArray) -> xr.DataArray:
    return propensity.mean(SAMPLE).clip(*PROPENSITY_BOUNDS).rename("propensity")
