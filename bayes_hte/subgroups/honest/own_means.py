"""The size of a declared difference: groups with means of their own.

A model that expects similar effects is a good judge of *whether* groups differ and a poor one of
*by how much*: it pulls their difference towards 0. The size therefore comes from another fit of
each half, to a study in which the other half's groups are a covariate whose levels have means of
their own (`means_by` of :func:`bayes_hte.fit`).

Groups have linear trends of their own as well. Without them, the missed part of a direct effect
that differs between the same groups goes into the slope of the mediator, and so into the size of an
indirect difference. The benchmark of subgroups measures how well that works. A declared difference
is more often one that chance made large.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pandas as pd
import xarray as xr

from bayes_hte.errors import DataError
from bayes_hte.study.study import Study
from bayes_hte.subgroups.decision import highest_less_lowest
from bayes_hte.subgroups.finding.profile import Profile
from bayes_hte.subgroups.honest.folds import (
    Draws,
    HonestSubgroups,
    average_of,
    fold_averages,
    groups_of,
)

# The covariate that holds the other half's groups.
SUBGROUP_COLUMN = "(subgroup)"


def can_be_fitted(honest: HonestSubgroups, studies: tuple[Study, Study]) -> bool:
    """Whether every group has units of both arms in the half that judges it.

    A mean without a unit must not be reported; small halves may have such groups.

    Parameters
    ----------
    honest : HonestSubgroups
        The result of the halves.
    studies : tuple of two Study
        The units judged in each fold.

    Returns
    -------
    bool
    """
    for fold, study in zip(honest.folds, studies, strict=True):
        labels = groups_of(study, fold.profile)
        if fold.divides and (pd.crosstab(labels, study.arm_index()) == 0).any(axis=None):
            return False
    return True


def with_subgroups(study: Study, profile: Profile) -> Study:
    """Return a half with the groups of the other half's profile as one more covariate.

    Parameters
    ----------
    study : Study
        The half that judges.
    profile : Profile
        Found with the other half.

    Returns
    -------
    Study
        With the covariate `SUBGROUP_COLUMN`, to be fitted with separate means for its levels.

    Raises
    ------
    DataError
        If the profile does not divide these units.
    """
    labels = groups_of(study, profile).astype(str)
    return study.with_covariate(SUBGROUP_COLUMN, labels)


def without_shrinkage(
    honest: HonestSubgroups,
    studies: tuple[Study, Study],
    refitted: tuple[Draws | None, Draws | None],
) -> HonestSubgroups:
    """Add the contrast of groups that have means of their own.

    Parameters
    ----------
    honest : HonestSubgroups
        The result of the halves.
    studies : tuple of two Study
        The units judged in each fold of `honest`: the second half, then the first.
    refitted : tuple of two DataArray, dims (chain, draw, unit), or None
        Unit-level effects of the same units from a fit of :func:`with_subgroups`; None for a fold
        whose profile does not divide them, which claims no difference.

    Returns
    -------
    HonestSubgroups
        With `unshrunk`.

    Raises
    ------
    DataError
        If draws do not fit their units, or a fold that divides them has none.
    """
    parts = []
    for fold, study, draws in zip(honest.folds, studies, refitted, strict=True):
        if fold.divides != (draws is not None):
            raise DataError(
                "give draws of a refit for each fold whose profile divides the units, and None "
                "for the others."
            )
        if draws is None:
            parts.append(xr.zeros_like(fold.contrast))
            continue
        averages = fold_averages(draws, study, groups_of(study, fold.profile))
        parts.append(highest_less_lowest(averages, margin=honest.margin))
    return replace(honest, unshrunk=average_of(*parts))


def fit_subgroups_again(
    honest: HonestSubgroups,
    studies: tuple[Study, Study],
    fit: Callable[[Study, int], xr.DataArray],
    *,
    seeds: Sequence[int],
) -> HonestSubgroups:
    """Fit the units judged in each fold once more, with means of their own for its groups.

    Parameters
    ----------
    honest : HonestSubgroups
        The result of the halves.
    studies : tuple of two Study
        The units judged in each fold.
    fit : callable
        Given :func:`with_subgroups` of a half and a seed, returns draws of its units' effects, dims
        (chain, draw, unit).
    seeds : sequence of two int
        One seed per fold.

    Returns
    -------
    HonestSubgroups
        With the unshrunk contrast, unless a group lacks an arm in the half that judges it.
    """
    if not can_be_fitted(honest, studies):
        return honest
    refitted = tuple(
        fit(with_subgroups(study, fold.profile), seed) if fold.divides else None
        for fold, study, seed in zip(honest.folds, studies, seeds, strict=True)
    )
    return without_shrinkage(honest, studies, refitted)
