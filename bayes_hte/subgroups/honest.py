"""Subgroups judged on other units than those that suggested them.

A profile found and judged on the same units flatters itself: it follows the noise of these units.
Here each half of the study gets its own fit. The profile found with one half divides the units of
the other half, whose own fit says whether the groups really differ; then the halves change places.
How large a declared difference is, is the matter of :mod:`bayes_hte.subgroups.own_means`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from sklearn.metrics import adjusted_rand_score

from bayes_hte.errors import DataError
from bayes_hte.names import SAMPLE, SUBGROUP
from bayes_hte.study import Study
from bayes_hte.subgroups.decision import check_probability, highest_less_lowest, margin_of
from bayes_hte.subgroups.discovery import check_seed, find_profile
from bayes_hte.subgroups.effect_draws import as_effects, effect_names
from bayes_hte.subgroups.membership import subgroup_effects
from bayes_hte.subgroups.profile import Profile
from bayes_hte.summaries import CiKind, summarize

Draws = xr.DataArray | xr.Dataset
FOLD = "fold"
UNSHRUNK = "average, unshrunk"


@dataclass(frozen=True, eq=False)
class HonestFold:
    """A profile found with one half of the study, and what the other half says about it.

    Attributes
    ----------
    profile : Profile
        Found with the discovery half; its counts and means are of that half.
    effects : DataArray, dims (chain, draw, subgroup)
        Average effects of the subgroups among the units of the other half, from that half's own
        fit, in the order the discovery half gave them. Subgroups without a unit there are left out.
    contrast : DataArray, dims (chain, draw)
        Last subgroup minus first. Zero in every draw if the profile does not divide these units:
        it then claims no difference.
    n_discovery : int
        Units of the discovery half.
    sizes : Series
        Units of the other half in each subgroup (index ``subgroup``).
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
    """Whether subgroups found on one half of the study are there in the other.

    Attributes
    ----------
    declared : bool
        Whether `probability` reaches `required_probability`.
    probability : float
        Posterior probability that `contrast` exceeds `margin`.
    required_probability : float
        What `probability` must reach.
    margin : float
        Smallest difference that matters, in outcome units.
    reason : str
        The verdict in a sentence.
    contrast : DataArray, dims (chain, draw)
        Average over the two folds, draw by draw, of the effect of the units that the other half's
        profile puts highest minus that of the units it puts lowest.
    folds : tuple of HonestFold, length 2
        Each direction by itself.
    agreement : float
        Adjusted Rand index of the two profiles over all units: whether the halves found the same
        groups. 1 also if neither divides the units.
    effect_name : str
        Short name of the effect.
    unshrunk : DataArray, dims (chain, draw), or None
        As `contrast`, where subgroups have means of their own: its size, not pulled towards none.
        None where it was not fitted; it is for declared subgroups only.
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

    def summary(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Return one row a fold, and one for their average.

        Parameters
        ----------
        ci_prob : float, default 0.95
            Posterior probability of the interval.
        ci_kind : {"eti", "hdi"}
            Equal-tailed or highest-density.

        Returns
        -------
        DataFrame
            Index ``fold``: ``1``, ``2``, ``average`` and, if it was fitted, ``average, unshrunk``.
            ``covariates`` the profile asks about,
            ``n_discovery`` and ``n_judged`` units, the columns of
            :func:`~bayes_hte.summaries.summarize` for the contrast, and ``prob_above_margin``.

        Raises
        ------
        SpecError
            If the interval request is not meaningful.
        """
        parts = {"1": self.folds[0].contrast, "2": self.folds[1].contrast, "average": self.contrast}
        if self.unshrunk is not None:
            parts[UNSHRUNK] = self.unshrunk
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
    **search: Any,
) -> HonestSubgroups:
    """Judge the subgroups of each half on the other half.

    With the posterior means of half A a profile is found; it divides the units of half B, and their
    own draws, from a fit that saw half B alone, give the difference between the subgroup that A
    calls highest and the one it calls lowest. The halves change places, the two differences are
    averaged draw by draw, and subgroups are declared if the average exceeds the margin with the
    probability required.

    Parameters
    ----------
    effect_a, effect_b : DataArray, dims (chain, draw, unit), or Dataset of such
        Draws of the unit-level effect of the units of a half, from a fit to that half alone; as
        many chains and draws in both.
    study_a, study_b : Study
        The halves. No unit is in both.
    seed : int
        Seed of the two discoveries.
    margin : float, optional
        Smallest difference that matters, in outcome units; default 0.05 standard deviations of the
        outcomes of both halves.
    probability : float, default 0.95
        Posterior probability needed to declare subgroups.
    **search
        Options of the discovery, as in
        :func:`~bayes_hte.subgroups.discovery.find_profile`.

    Returns
    -------
    HonestSubgroups

    Raises
    ------
    DataError
        If draws do not fit their half, the halves share units or differ in their numbers of draws,
        or a profile does not know a level of the other half.
    SpecError
        If an option is out of range.

    Notes
    -----
    The two posteriors are of disjoint data, so pairing their draws in any order gives draws of the
    average. A half whose profile does not divide the units claims a difference of zero, which
    halves the average: a claim needs either both halves or one very clear one.
    """
    check_seed(seed)
    check_probability(probability)
    _check_halves(effect_a, study_a, effect_b, study_b)
    margin = margin_of(np.concatenate([study_a.outcome(), study_b.outcome()]), margin)
    seeds = [int(s) for s in np.random.SeedSequence(seed).generate_state(2)]
    folds = (
        honest_fold(effect_a, study_a, effect_b, study_b, seed=seeds[0], margin=margin, **search),
        honest_fold(effect_b, study_b, effect_a, study_a, seed=seeds[1], margin=margin, **search),
    )
    contrast = average_of(folds[0].contrast, folds[1].contrast)
    reached = float((contrast > margin).mean())
    everyone = pd.concat([study_a.covariate_frame(), study_b.covariate_frame()])
    name, words = effect_names(as_effects(effect_a, study_a.units)[0])
    return HonestSubgroups(
        declared=reached >= probability,
        probability=reached,
        required_probability=probability,
        margin=margin,
        reason=_reason(folds, reached, probability, margin, words),
        contrast=contrast,
        folds=folds,
        agreement=float(adjusted_rand_score(*(fold.profile.assign(everyone) for fold in folds))),
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
    **search: Any,
) -> HonestFold:
    """Find a profile with some units and take its contrast on others.

    Parameters
    ----------
    discovery_effect, discovery_study
        Draws and units that suggest the profile; of the draws only the posterior means are used.
    effect, study
        Draws and units that judge it; of a Dataset the first variable.
    seed : int
        Seed of the discovery.
    margin : float
        Smallest difference that matters, in outcome units.
    **search
        Options of the discovery, as in
        :func:`~bayes_hte.subgroups.discovery.find_profile`.

    Returns
    -------
    HonestFold

    Raises
    ------
    DataError, SpecError
        As in :func:`honest_subgroups`.
    """
    found = find_profile(discovery_effect, discovery_study, seed=seed, **search)
    labels = found.profile.assign(study.covariate_frame())
    averages = fold_averages(effect, study, labels)
    present, sizes = np.unique(labels, return_counts=True)
    return HonestFold(
        profile=found.profile,
        effects=averages,
        contrast=highest_less_lowest(averages, margin=margin),
        n_discovery=discovery_study.n_units,
        sizes=pd.Series(sizes, index=pd.Index(present, name=SUBGROUP), name="n"),
    )


def fold_averages(effect: Draws, study: Study, labels: np.ndarray) -> xr.DataArray:
    """Average an effect over the units of each subgroup that occurs."""
    present, compact = np.unique(labels, return_inverse=True)
    averages = subgroup_effects(as_effects(effect, study.units)[0], compact)
    return averages.assign_coords({SUBGROUP: present})


def average_of(first: xr.DataArray, second: xr.DataArray) -> xr.DataArray:
    """Average two independent posteriors draw by draw."""
    return first.copy(data=(first.to_numpy() + second.to_numpy()) / 2)


def _check_halves(effect_a: Draws, study_a: Study, effect_b: Draws, study_b: Study) -> None:
    shared = study_a.units.intersection(study_b.units)
    if len(shared):
        raise DataError(
            f"the halves share {len(shared)} units, e.g. {shared[0]!r}; units that suggest a "
            "subgroup must not judge it."
        )
    sizes = [
        tuple(as_effects(effect, study.units)[0].sizes[d] for d in SAMPLE)
        for effect, study in ((effect_a, study_a), (effect_b, study_b))
    ]
    if sizes[0] != sizes[1]:
        raise DataError(
            f"the halves have {sizes[0]} and {sizes[1]} chains and draws; they are averaged draw "
            "by draw, so sample as many of each."
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
        return "No subgroups: neither half's profile divides the units of the other."
    verdict = "are" if reached >= required else "are not"
    reason = (
        f"Subgroups {verdict} declared: with posterior probability {reached:.3f} ({required:g} "
        f"needed) the {effect_words} of the units that the profile of one half puts highest is "
        f"above that of those it puts lowest by more than {margin:.3g} in the other half, on "
        "average over both directions."
    )
    if dividing == 1:
        reason += " The profile of one half does not divide the units and counts as no difference."
    return reason
