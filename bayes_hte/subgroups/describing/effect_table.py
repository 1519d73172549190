"""The mean effect in groups of units, and in everyone, as one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.arguments import Better
from bayes_hte.effects.averages import average, probability_of_benefit
from bayes_hte.effects.groups import gate
from bayes_hte.effects.summaries import CiKind, interval_parameters, summarize
from bayes_hte.effects.units import same_labels
from bayes_hte.errors import DataError, SpecError, unknown_name
from bayes_hte.names import SUBGROUP, UNIT
from bayes_hte.study.study import Study
from bayes_hte.subgroups.effect_draws import as_effects
from bayes_hte.subgroups.finding.result import Subgroups
from bayes_hte.subgroups.membership import subgroup_effects

EVERYONE = "All"
GROUP = "group"


@interval_parameters
def subgroup_effects_table(
    effect: xr.DataArray,
    study: Study,
    by: Subgroups | str | Sequence[str],
    *,
    better: Better,
    important: float = 0.0,
    cuts: Mapping[str, Sequence[float]] | None = None,
    ci_prob: float = 0.95,
    ci_kind: CiKind = "eti",
) -> pd.DataFrame:
    """Average an effect in each of some groups and in everyone, then summarise.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit)
        Unit-level draws, in outcome units.
    study : Study
        The study of these units, in the same order.
    by : Subgroups, str or sequence of str
        The result of :func:`bayes_hte.m_learner` for the same units; or covariates of the study
        (or its cluster), one or several: each level of each is a group, so the groups of different
        covariates overlap. Subgroups may have been found by another effect than `effect`.
    better : {"higher", "lower"}
        Which direction of the outcome is good.
    important : float, default 0
        Minimal important difference, in outcome units and at least 0.
    cuts : mapping of str to sequence of float, optional
        Inner cut points of numeric covariates among `by`, as :func:`bayes_hte.gate` takes them; a
        covariate without cut points is shown level by level.

    Returns
    -------
    DataFrame
        One row per group, then one for all units, as :func:`bayes_hte.plots.plot_subgroup_forest`
        draws it: ``group`` (its name), ``is_subgroup`` (False for all units), ``n_units``,
        ``share`` of the units, ``mean_membership`` of these units in their own group (NaN except
        for Subgroups), the columns of :func:`bayes_hte.summarize` for the average effect of these
        units (SATE of the group, outcome units), and ``prob_benefit`` and ``prob_important``:
        posterior probabilities that this average is beneficial at all, and by more than
        `important`.

    Raises
    ------
    DataError
        If `effect` is not unit-level draws of one effect of the units of the study, the Subgroups
        are of other units, or cut points are asked of text.
    SpecError
        If `by` names no covariate of the study, `cuts` a covariate that `by` does not name, there
        are too many groups or an empty one, or another option is not allowed.

    Notes
    -----
    Groups found by the effect and shown on the same units look more different than they are; see
    :class:`bayes_hte.Subgroups`. Intervals that overlap do not show that effects are equal, nor do
    intervals that lie apart show how surely they differ: the differences themselves are the
    contrast of the Subgroups and :func:`bayes_hte.subgroups.leaf_contrasts`.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> trial = hte.simulate_mediation(np.random.default_rng(1), n=100)
    >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
    >>> study = hte.Study.from_frame(trial.frame, **roles)
    >>> effect = xr.DataArray([[trial.effects["te"]] * 20], dims=["chain", "draw", "unit"])
    >>> groups = hte.m_learner(effect, study, seed=1, largest_k=2)
    >>> table = hte.subgroup_effects_table(effect, study, groups, better="higher", important=1.5)
    >>> table[["group", "mean", "prob_important"]].round(2).values.tolist()
    [['Subgroup A', 2.32, 1.0], ['Subgroup B', 1.07, 0.0], ['All', 1.77, 1.0]]
    """
    if cuts is not None and not isinstance(cuts, Mapping):
        raise SpecError(f"cuts must be a mapping, got {cuts!r}; for instance {{'age': [40, 60]}}.")
    effect, *others = as_effects(effect, study)
    if others:
        raise DataError(f"a table is about one effect, got {1 + len(others)}; pass effects['te'].")
    if isinstance(by, Subgroups):
        if cuts:
            raise SpecError("cuts divide covariates; Subgroups are divided already, leave it out.")
        found = [_of_subgroups(effect, study, by, better=better)]
    else:
        found = list(_of_columns(effect, study, _as_columns(by, study), dict(cuts or {})))
    everyone = average(effect).expand_dims(GROUP, axis=2)
    found.append(_Groups(everyone, [EVERYONE], [study.n_units], [np.nan], is_subgroup=False))
    # Names of groups may repeat; places do not.
    parts = [part.draws.drop_vars(list(part.draws.coords)) for part in found]
    draws = xr.concat(parts, GROUP, combine_attrs="drop")
    draws = draws.assign_coords({GROUP: np.arange(draws.sizes[GROUP])}).rename("mean_effect")
    table = pd.concat([part.head(study.n_units) for part in found], ignore_index=True)
    table = table.join(summarize(draws, ci_prob=ci_prob, ci_kind=ci_kind))
    for column, beyond in (("prob_benefit", 0.0), ("prob_important", important)):
        table[column] = probability_of_benefit(draws, better=better, beyond=beyond).to_numpy()
    return table


def by_benefit(n_subgroups: int, *, better: Better) -> list[int]:
    """Return the numbers of subgroups, which count from the lowest effect, by benefit.

    Parameters
    ----------
    n_subgroups : int
        How many there are.
    better : {"higher", "lower"}
        Good direction of the outcome.

    Returns
    -------
    list of int
        The subgroup with the largest benefit first.
    """
    numbers = list(range(n_subgroups))
    return numbers if better == "lower" else numbers[::-1]


def subgroup_labels(n_subgroups: int, *, better: Better) -> dict[int, str]:
    """Return the names of subgroups for readers by their numbers: A benefits most.

    Parameters
    ----------
    n_subgroups : int
        How many there are.
    better : {"higher", "lower"}
        Good direction of the outcome.

    Returns
    -------
    dict of int to str
        In the order of benefit.

    Examples
    --------
    >>> from bayes_hte.subgroups import subgroup_labels
    >>> subgroup_labels(2, better="higher")
    {1: 'Subgroup A', 0: 'Subgroup B'}
    """
    ordered = by_benefit(n_subgroups, better=better)
    return {number: f"Subgroup {chr(65 + place)}" for place, number in enumerate(ordered)}


@dataclass(frozen=True, eq=False)
class _Groups:
    """Average effects of groups, dims (chain, draw, group), and facts about the groups."""

    draws: xr.DataArray
    names: Sequence[str]
    n_units: Sequence[int]
    membership: Sequence[float]
    is_subgroup: bool = True

    def head(self, n_units: int) -> pd.DataFrame:
        """Return the first columns of the table."""
        n = np.asarray(self.n_units)
        return pd.DataFrame(
            {
                "group": self.names,
                "is_subgroup": self.is_subgroup,
                "n_units": n,
                "share": n / n_units,
                "mean_membership": self.membership,
            }
        )


def _of_subgroups(
    effect: xr.DataArray, study: Study, groups: Subgroups, *, better: Better
) -> _Groups:
    if not same_labels(groups.labels.get_index(UNIT), study.units):
        raise DataError(
            f"the subgroups are of {groups.labels.sizes[UNIT]} units that are not those of the "
            f"study ({study.n_units} units) in the same order; pass the study they were found in."
        )
    known = groups.summary()
    labels = subgroup_labels(len(known), better=better)
    known = known.loc[list(labels)]
    draws = subgroup_effects(effect, groups.labels.to_numpy()).sel({SUBGROUP: list(labels)})
    return _Groups(
        draws.rename({SUBGROUP: GROUP}),
        list(labels.values()),
        known["n"].to_numpy(),
        known["mean_membership"].to_numpy(),
    )


def _of_columns(
    effect: xr.DataArray, study: Study, names: Sequence[str], cuts: dict[str, Sequence[float]]
) -> Iterator[_Groups]:
    for name in cuts:
        if name not in names:
            raise unknown_name("covariate in cuts", name, names)
    for name in names:
        draws = gate(effect, study.frame[name], cuts=cuts.get(name))
        levels = draws[GROUP].to_numpy()
        yield _Groups(
            draws,
            [f"{name}: {level}" for level in levels],
            draws["units"].to_numpy(),
            [np.nan] * len(levels),
        )


def _as_columns(by: str | Sequence[str], study: Study) -> list[str]:
    """Return the columns that make groups; all are known before treatment."""
    names = [by] if isinstance(by, str) else by
    if not isinstance(names, Sequence) or not names:
        raise SpecError(
            f"by must be Subgroups or names of covariates, got {type(by).__name__}"
            f"{'' if names else ' without any'}; for instance by=['age', 'sex']."
        )
    roles = study.roles
    known = [*roles.covariates, *([roles.cluster] if roles.cluster else [])]
    for name in names:
        if name not in known:
            raise unknown_name("covariate", str(name), known)
    return list(names)
