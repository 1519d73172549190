"""Honest subgroups from a study and a model: halve, fit twice, judge each half on the other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from bayes_hte.companions.restricted_means import compared_outcomes, probability_scale
from bayes_hte.errors import DataError, SpecError
from bayes_hte.seeds import check_seed, several_seeds
from bayes_hte.study.study import Study
from bayes_hte.subgroups.decision import check_probability, margin_of
from bayes_hte.subgroups.finding.discovery import check_leaf_share
from bayes_hte.subgroups.honest.folds import HonestSubgroups, honest_subgroups
from bayes_hte.subgroups.honest.own_means import SUBGROUP_COLUMN, fit_subgroups_again


def honest_m_learner(
    study: Study,
    *,
    fit_half: Callable[[Study, int], xr.DataArray | xr.Dataset],
    fit_subgroups: Callable[[Study, int], xr.DataArray] | None = None,
    seed: int,
    margin: float | None = None,
    probability: float = 0.95,
    leaf_share: float = 0.1,
) -> HonestSubgroups:
    """Halve the study, fit each half alone, and judge the groups of each on the other.

    Parameters
    ----------
    study : Study
        The whole study. Halves are random, with the arms in their proportions; where a cluster is
        declared, its units stay together.
    fit_half : callable
        Given one half as a study and a seed, returns posterior draws of the unit-level effect of
        its units, dims (chain, draw, unit): fit the model and take the effect. Called once per
        half; both results have the same numbers of chains and draws.
    fit_subgroups : callable, optional
        As `fit_half`, of a half with one more covariate, ``"(subgroup)"``, whose levels have means
        of their own (``hte.fit(half, means_by="(subgroup)")``). If given, groups that are declared
        to differ are fitted once more, so that the size of the difference is not pulled towards 0.
    seed : int
        Seed of the halves, of both fits and of both discoveries; 0 or more.
    margin, probability
        As in :func:`~bayes_hte.subgroups.m_learner`.
    leaf_share : float, default 0.1
        As in :func:`~bayes_hte.subgroups.honest_subgroups`, which also says how the groups are
        found.

    Returns
    -------
    HonestSubgroups

    Raises
    ------
    DataError
        If a half alone is no study (an arm or a covariate that no longer varies, one cluster only),
        the draws of a half do not fit it, or the study has a column ``"(subgroup)"`` already.
    SpecError
        If an option is out of range, or `fit_half` or `fit_subgroups` is no function.

    Notes
    -----
    The price is power: half of the units find the groups and half judge them. Another seed halves
    the study in another way and gives another answer; choose it before looking.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> trial = hte.simulate_mediation(np.random.default_rng(1), n=100)
    >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
    >>> study = hte.Study.from_frame(trial.frame, **roles)
    >>> effect = xr.DataArray([[trial.effects["te"]] * 20], dims=["chain", "draw", "unit"])
    >>> def fit_half(half, seed):
    ...     return effect.sel(unit=half.units)  # in earnest: fit the half and take its effect
    >>> found = hte.honest_m_learner(study, fit_half=fit_half, seed=1)
    >>> found.declared, found.folds[0].profile.covariates
    (True, ('x1', 'x2'))
    """
    check_seed(seed)
    check_probability(probability)
    check_leaf_share(leaf_share)
    _check_fits(study, fit_half, fit_subgroups)
    own_margin = margin is None
    margin = margin_of(compared_outcomes(study), margin)
    split, first, second, discovery, *again = several_seeds(seed, 6)
    halves = [_half(study, rows) for rows in split_in_halves(study, seed=split)]
    draws = [fit_half(half, s) for half, s in zip(halves, (first, second), strict=True)]
    if own_margin and (scale := probability_scale(draws[0])) is not None:
        margin = margin_of(compared_outcomes(study, scale), None)
    found = honest_subgroups(
        draws[0],
        halves[0],
        draws[1],
        halves[1],
        seed=discovery,
        margin=margin,
        probability=probability,
        leaf_share=leaf_share,
    )
    if fit_subgroups is None or not found.declared:
        return found
    return fit_subgroups_again(found, (halves[1], halves[0]), fit_subgroups, seeds=again)


def _check_fits(study: Study, fit_half: object, fit_subgroups: object) -> None:
    """Refuse before any fit the arguments that would end the analysis after the last one."""
    if not isinstance(study, Study):
        raise DataError(f"study must be a Study, got {type(study).__name__}.")
    for name, fit in (("fit_half", fit_half), ("fit_subgroups", fit_subgroups)):
        if not (callable(fit) or (fit is None and name == "fit_subgroups")):
            raise SpecError(
                f"{name} must be a function of a half and a seed that returns draws of its effect, "
                f"got {fit!r}; for instance lambda half, seed: hte.fit(half, seed=seed).cate()."
            )
    if fit_subgroups is not None and SUBGROUP_COLUMN in study.frame.columns:
        raise DataError(
            f"a covariate is called {SUBGROUP_COLUMN!r}, as that of the groups will be; rename it."
        )


def split_in_halves(study: Study, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw two halves of a study with the arms in their proportions.

    Parameters
    ----------
    study : Study
        Where it declares a cluster, clusters stay whole, and halves may differ in size.
    seed : int
        Seed of the division.

    Returns
    -------
    tuple of two ndarray of int
        Positions of the rows of each half, in order; every row is in one of them.

    Raises
    ------
    DataError
        If there is one cluster only.

    Examples
    --------
    >>> import numpy as np
    >>> import bayes_hte as hte
    >>> from bayes_hte.subgroups import split_in_halves
    >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
    >>> study = hte.Study.from_frame(frame, outcome="y", treatment="treat", covariates=["x1"])
    >>> first, second = split_in_halves(study, seed=1)
    >>> len(first), len(second), study.subset(first).arm_index().mean().item()
    (30, 30, 0.5)
    """
    check_seed(seed)
    arm, clusters = study.arm_index(), study.clusters()
    if clusters is None:
        halves = StratifiedKFold(2, shuffle=True, random_state=seed).split(arm, arm)
    elif len(set(clusters)) < 2:
        raise DataError("the study has one cluster, which cannot be divided into halves.")
    else:
        folds = StratifiedGroupKFold(2, shuffle=True, random_state=seed)
        halves = folds.split(arm, arm, clusters)
    first, second = next(iter(halves))
    return first, second


def _half(study: Study, rows: np.ndarray) -> Study:
    try:
        return study.subset(rows)
    except DataError as error:
        raise DataError(f"half of the study cannot be analysed alone: {error}") from error
