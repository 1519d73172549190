"""Honest subgroups from a study and a model: halve, fit twice, judge each half on the other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from bayes_hte.errors import DataError
from bayes_hte.seeds import check_seed, several_seeds
from bayes_hte.study.study import Study
from bayes_hte.subgroups.decision import check_probability, margin_of
from bayes_hte.subgroups.honest.folds import HonestSubgroups, honest_subgroups
from bayes_hte.subgroups.honest.own_means import fit_subgroups_again


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
    """Halve the study, fit each half by itself, and judge each on whom the other sets apart.

    Parameters
    ----------
    study : Study
        The whole study. Halves are random, with the arms in their proportions; where a cluster is
        declared, its units stay together.
    fit_half : callable
        Given one half as a study and a seed, returns posterior draws of the unit-level effect of
        its units, dims (chain, draw, unit): fit the model and take the effect. Called once a half;
        both times as many chains and draws.
    fit_subgroups : callable, optional
        As `fit_half`, of a half with one more covariate, ``"(subgroup)"``, whose levels have means
        of their own (``hte.fit(half, means_by="(subgroup)")``). Given, groups that are declared to
        differ are fitted once more, so that the size of the difference is not pulled towards none.
    seed : int
        Seed of the halves, of both fits and of both discoveries; 0 or more.
    margin, probability
        As in :func:`~bayes_hte.subgroups.m_learner`.
    leaf_share : float, default 0.1
        As in :func:`~bayes_hte.subgroups.honest.folds.honest_subgroups`, which also says how the groups
        are found.

    Returns
    -------
    HonestSubgroups

    Raises
    ------
    DataError
        If a half is no study by itself (an arm or a covariate that no longer varies, one cluster
        only), or the draws of a half do not fit it.
    SpecError
        If an option is out of range.

    Notes
    -----
    The price is power: groups are found with half of the units and judged with half. Another seed
    halves the study in another way and gives another answer; choose it before looking.
    """
    check_seed(seed)
    check_probability(probability)
    margin = margin_of(study.outcome(), margin)
    split, first, second, discovery, *again = several_seeds(seed, 6)
    halves = [_half(study, rows) for rows in split_in_halves(study, seed=split)]
    draws = [fit_half(half, s) for half, s in zip(halves, (first, second), strict=True)]
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


def split_in_halves(study: Study, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw two halves of a study with the arms in their proportions.

    Parameters
    ----------
    study : Study
        Where it declares a cluster, clusters are kept whole, and halves may differ in size.
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
    """
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
        raise DataError(f"half of the study cannot be analysed by itself: {error}") from error
