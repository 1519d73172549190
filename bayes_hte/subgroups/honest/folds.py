"""Whether effects differ, judged on other units than those that suggested the groups.

A profile that is found and judged on the same units flatters: it follows the noise of these units.
Here each half of the study gets its own fit. One half names the units with the highest and the
lowest effects; the other half, with its own fit, decides whether such units of its own differ; then
the halves change places. The groups are the outer leaves of a tree
(:mod:`bayes_hte.subgroups.honest.extremes`), not the few subgroups of the report, which are made to
be read and mix units with different effects. The size of a declared difference comes from
:mod:`bayes_hte.subgroups.honest.own_means`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from sklearn.metrics import adjusted_rand_score

from bayes_hte.companions.restricted_means import compared_outcomes, probability_scale
from bayes_hte.effects.summaries import (
    CiKind,
    interval_parameters,
    interval_words,
    probability_words,
    summarize,
)
from bayes_hte.errors import DataError
from bayes_hte.names import SAMPLE, SUBGROUP
from bayes_hte.seeds import check_seed, several_seeds
from bayes_hte.study.study import Study
from bayes_hte.subgroups.decision import check_probability, highest_less_lowest, margin_of
from bayes_hte.subgroups.effect_draws import as_effects, effect_names
from bayes_hte.subgroups.finding.profile import Profile
from bayes_hte.subgroups.honest.extremes import find_extremes
from bayes_hte.subgroups.membership import subgroup_effects
from bayes_hte.views import draw, html_block

Draws = xr.DataArray | xr.Dataset
FOLD = "fold"
UNSHRUNK = "average, unshrunk"


@dataclass(frozen=True, eq=False)
class HonestFold:
    """The highest and lowest groups of one half of the study, judged by the other half.

    Attributes
    ----------
    profile : Profile
        Found with the discovery half, by :func:`~bayes_hte.subgroups.find_extremes`; its counts and
        means are of that half.
    effects : DataArray, dims (chain, draw, subgroup)
        Average effects of the groups among the units of the other half, from that half's own fit,
        in the order of the discovery half. Groups without a unit there are left out.
    contrast : DataArray, dims (chain, draw)
        Last group minus first. Zero in every draw if the profile does not divide these units:
        it then claims no difference.
    n_discovery : int
        Units of the discovery half.
    sizes : Series
        Units of the other half in each group (index ``subgroup``).
    """

    profile: Profile
    effects: xr.DataArray
    contrast: xr.DataArray
    n_discovery: int
    sizes: pd.Series

    @property
    def divides(self) -> bool:
        """Whether the profile divides the units of the other half."""
        return len(self.sizes) > 1


@dataclass(frozen=True, eq=False)
class HonestSubgroups:
    """Whether effects that differ in one half of the study also differ in the other.

    Attributes
    ----------
    declared : bool
        Whether `probability` reaches `required_probability`.
    probability : float
        Posterior probability that `contrast` exceeds `margin`.
    required_probability : float
        The smallest `probability` with which subgroups are declared.
    margin : float
        Smallest difference that matters, in outcome units.
    reason : str
        The decision in a sentence.
    contrast : DataArray, dims (chain, draw)
        Average over the two folds, draw by draw, of the effect of the units that the other half's
        profile puts highest minus that of the units it puts lowest.
    folds : tuple of HonestFold, length 2
        Each direction alone.
    agreement : float
        Adjusted Rand index of the two profiles over all units: whether the halves agree on the
        units with the highest and the lowest effects. 1 also if neither divides the units.
    effect_name : str
        Short name of the effect.
    unshrunk : DataArray, dims (chain, draw), or None
        As `contrast`, where the groups have means of their own: its size, without the pull towards
        0. None where it was not fitted; only declared differences are.
    """

    declared: bool
    probability: float
    required_probability: float
    margin: float
    reason: str
    contrast: xr.DataArray
    folds: tuple[HonestFold, HonestFold]
    agreement: float
    effect_name: str
    unshrunk: xr.DataArray | None = None

    def __repr__(self) -> str:
        """Say what was decided, of which effect."""
        said = "declared" if self.declared else "not declared"
        return (
            f"HonestSubgroups({said}; probability {probability_words(self.probability)} that "
            f"{self.effect_name} differs by more than {self.margin:.3g})"
        )

    def _repr_html_(self) -> str:
        """Show the decision, and the difference in each direction."""
        facts = {"effect": self.effect_name, "declared": "yes" if self.declared else "no"}
        table = self.summary()
        shown = ["covariates", "n_judged", "mean", "ci_lower", "ci_upper", "prob_above_margin"]
        said = f"{self.reason} In the table: {interval_words(0.95)}."
        return html_block("HonestSubgroups", facts, sentences=[said], table=table[shown])

    def plot(self, **look: Any) -> Any:
        """Draw the posterior density of the difference in each direction and on average.

        Parameters
        ----------
        **look
            Options of :func:`bayes_hte.plots.plot_densities`.

        Returns
        -------
        matplotlib.figure.Figure
        """
        parts = self._parts()
        table = self.summary().rename_axis("quantity")
        usual = {"xlabel": "highest less lowest group", "important": self.margin}
        return draw("plot_densities", parts, table, **(usual | look))

    def _parts(self) -> dict[str, xr.DataArray]:
        """Return the contrasts by the names of the rows of the summary."""
        parts = {"1": self.folds[0].contrast, "2": self.folds[1].contrast, "average": self.contrast}
        return parts if self.unshrunk is None else parts | {UNSHRUNK: self.unshrunk}

    @interval_parameters
    def summary(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Return one row per fold, and one for their average.

        Returns
        -------
        DataFrame
            Index ``fold``: ``1``, ``2``, ``average`` and, if it was fitted, ``average, unshrunk``.
            ``covariates`` that distinguish the groups, ``n_discovery`` and ``n_judged`` units, the
            columns of :func:`bayes_hte.summarize` for the contrast, and ``prob_above_margin``.

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
        >>> found.summary()[["n_discovery", "n_judged"]].loc["average"].tolist()
        [100, 100]
        """
        parts = self._parts()
        draws = xr.DataArray(
            np.stack([part.to_numpy() for part in parts.values()], axis=-1),
            dims=(*SAMPLE, FOLD),
            coords={FOLD: list(parts)},
        )
        table = summarize(draws, ci_prob=ci_prob, ci_kind=ci_kind)
        asked = [f.profile.covariates for f in self.folds]
        both = tuple(dict.fromkeys((*asked[0], *asked[1])))
        averages = len(parts) - len(self.folds)
        discovery = [f.n_discovery for f in self.folds]
        judged = [int(f.sizes.sum()) for f in self.folds]
        named = (*asked, *[both] * averages)
        table.insert(0, "covariates", [", ".join(names) for names in named])
        table.insert(1, "n_discovery", [*discovery, *[sum(discovery)] * averages])
        table.insert(2, "n_judged", [*judged, *[sum(judged)] * averages])
        above = [float((part > self.margin).mean()) for part in parts.values()]
        return table.assign(prob_above_margin=above)


def honest_subgroups(
    effect_a: Draws,
    study_a: Study,
    effect_b: Draws,
    study_b: Study,
    *,
    seed: int,
    margin: float | None = None,
    probability: float = 0.95,
    leaf_share: float = 0.1,
) -> HonestSubgroups:
    """Judge the highest and lowest groups of each half on the units of the other half.

    A regression tree divides the posterior means of half A. The same tree divides the units of half
    B, and their own draws, from a fit that saw half B alone, give the difference between the leaf
    that A calls highest and the one that A calls lowest. The halves change places, the two
    differences are averaged draw by draw, and subgroups are declared if the average exceeds the
    margin with the required probability.

    Parameters
    ----------
    effect_a, effect_b : DataArray, dims (chain, draw, unit), or Dataset of such
        Draws of the unit-level effect of the units of a half, from a fit to that half alone; both
        with the same numbers of chains and draws. Of a Dataset the first variable is judged.
    study_a, study_b : Study
        The halves. No unit is in both.
    seed : int
        Seed of the two discoveries.
    margin : float, optional
        Smallest difference that matters, in outcome units; default 0.05 standard deviations of the
        outcomes of both halves.
    probability : float, default 0.95
        Posterior probability needed to declare subgroups.
    leaf_share : float, default 0.1
        Smallest share of a half in each group that is compared; above 0, at most 0.5.

    Returns
    -------
    HonestSubgroups

    Raises
    ------
    DataError
        If draws do not fit their half, or the halves share units or differ in their numbers of
        draws.
    SpecError
        If an option is out of range.

    Notes
    -----
    The two posteriors are of disjoint data, so pairing their draws in any order gives draws of the
    average. Their errors are independent where effects differ. Where they do not, each half follows
    its own noise, and the similarity of the two noises enters both directions (correlation .65 in
    200 trials with flat priors): each alone exceeded 0 with probability .95 in 5% of trials, their
    average in 11%, and the default margin in 9%. Priors that expect similar effects keep false
    claims rarer (the benchmark of subgroups counts them); without such priors, require .99, or see
    :func:`~bayes_hte.calibrate_subgroups`.

    A half whose tree does not divide the units claims a difference of zero, which halves the
    average: a claim needs either both halves or one very clear one.

    Why the outer leaves and not the subgroups themselves: in simulated trials of 1,000 units whose
    indirect effect differed (outcome noise 1, logistic outcomes), subgroups of the halves were
    declared in 13 of 16 trials each of two scenarios, and outer leaves in 16 and 15 of the same
    trials; neither in any of 32 trials with equal effects.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> from bayes_hte.subgroups import honest_subgroups, split_in_halves
    >>> trial = hte.simulate_mediation(np.random.default_rng(1), n=100)
    >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
    >>> study = hte.Study.from_frame(trial.frame, **roles)
    >>> effect = xr.DataArray([[trial.effects["te"]] * 20], dims=["chain", "draw", "unit"])
    >>> first, second = (study.subset(rows) for rows in split_in_halves(study, seed=1))
    >>> found = honest_subgroups(
    ...     effect.sel(unit=first.units), first, effect.sel(unit=second.units), second, seed=1
    ... )
    >>> found.declared, [fold.divides for fold in found.folds]
    (True, [True, True])
    """
    check_seed(seed)
    check_probability(probability)
    _check_halves(effect_a, study_a, effect_b, study_b)
    recorded = [compared_outcomes(s, probability_scale(effect_a)) for s in (study_a, study_b)]
    margin = margin_of(np.concatenate(recorded), margin)
    seeds = several_seeds(seed, 2)
    how = {"margin": margin, "leaf_share": leaf_share}
    folds = (
        honest_fold(effect_a, study_a, effect_b, study_b, seed=seeds[0], **how),
        honest_fold(effect_b, study_b, effect_a, study_a, seed=seeds[1], **how),
    )
    contrast = average_of(folds[0].contrast, folds[1].contrast)
    reached = float((contrast > margin).mean())
    everyone = [
        np.concatenate([groups_of(study, fold.profile) for study in (study_a, study_b)])
        for fold in folds
    ]
    name, words = effect_names(as_effects(effect_a, study_a)[0])
    return HonestSubgroups(
        declared=reached >= probability,
        probability=reached,
        required_probability=probability,
        margin=margin,
        reason=_reason(folds, reached, probability, margin, words),
        contrast=contrast,
        folds=folds,
        agreement=float(adjusted_rand_score(*everyone)),
        effect_name=name,
    )


def honest_fold(
    discovery_effect: Draws,
    discovery_study: Study,
    effect: Draws,
    study: Study,
    *,
    seed: int,
    margin: float,
    leaf_share: float = 0.1,
) -> HonestFold:
    """Find with some units the groups that seem furthest apart, and contrast them on others.

    Parameters
    ----------
    discovery_effect, discovery_study
        Draws and units that suggest the groups; of the draws only the posterior means are used.
    effect, study
        Draws and units that judge them; of a Dataset the first variable.
    seed : int
        Seed of the discovery.
    margin : float
        Smallest difference that matters, in outcome units.
    leaf_share : float, default 0.1
        As in :func:`honest_subgroups`.

    Returns
    -------
    HonestFold

    Raises
    ------
    DataError, SpecError
        As in :func:`honest_subgroups`.
    """
    profile = find_extremes(discovery_effect, discovery_study, seed=seed, leaf_share=leaf_share)
    labels = groups_of(study, profile)
    averages = fold_averages(effect, study, labels)
    present, sizes = np.unique(labels, return_counts=True)
    return HonestFold(
        profile=profile,
        effects=averages,
        contrast=highest_less_lowest(averages, margin=margin),
        n_discovery=discovery_study.n_units,
        sizes=pd.Series(sizes, index=pd.Index(present, name=SUBGROUP), name="n"),
    )


def groups_of(study: Study, profile: Profile) -> np.ndarray:
    """Return the group of every unit of a half by the other half's profile, shape (unit,).

    A level that the other half does not have is none of those that its profile names: a rare level
    must not end the analysis.
    """
    return profile.assign(study.filled_covariates(), unknown_is_no=True)


def fold_averages(effect: Draws, study: Study, labels: np.ndarray) -> xr.DataArray:
    """Average an effect over the units of each group that occurs."""
    present, compact = np.unique(labels, return_inverse=True)
    averages = subgroup_effects(as_effects(effect, study)[0], compact)
    return averages.assign_coords({SUBGROUP: present})


def average_of(first: xr.DataArray, second: xr.DataArray) -> xr.DataArray:
    """Average two independent posteriors draw by draw."""
    return first.copy(data=(first.to_numpy() + second.to_numpy()) / 2)


def _check_halves(effect_a: Draws, study_a: Study, effect_b: Draws, study_b: Study) -> None:
    shared = study_a.units.intersection(study_b.units)
    if len(shared):
        raise DataError(
            f"the halves share {len(shared)} units, e.g. {shared[0]!r}; units that suggest a "
            "subgroup must not judge it. Take halves from split_in_halves."
        )
    sizes = [
        tuple(as_effects(effect, study)[0].sizes[d] for d in SAMPLE)
        for effect, study in ((effect_a, study_a), (effect_b, study_b))
    ]
    if sizes[0] != sizes[1]:
        raise DataError(
            f"the halves have {sizes[0]} and {sizes[1]} chains and draws; they are averaged draw "
            "by draw, so sample the same number of each."
        )


def _reason(
    folds: tuple[HonestFold, HonestFold],
    reached: float,
    required: float,
    margin: float,
    effect_words: str,
) -> str:
    dividing = sum(fold.divides for fold in folds)
    if not dividing:
        return "No subgroups: neither half's tree divides the units of the other."
    declared = "are" if reached >= required else "are not"
    reason = (
        f"Subgroups {declared} declared: with posterior probability {probability_words(reached)} "
        f"({required:g} needed) the {effect_words} of the units that one half puts highest is "
        f"above that of those it puts lowest by more than {margin:.3g} in the other half, on "
        "average over both directions."
    )
    if dividing == 1:
        reason += " The tree of one half does not divide the units and counts as no difference."
    return reason
