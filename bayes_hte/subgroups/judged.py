"""Subgroups of a fit: found on all units, and judged by halves that are fitted again.

:func:`m_learner` takes a fit or draws. A fit can be made again of each half of the units, so its
subgroups are judged by the honest rule (:mod:`bayes_hte.subgroups.honest.folds`); of draws alone
nothing can be fitted again, so they are for exploration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Protocol

import pandas as pd
import xarray as xr

from bayes_hte.effects.arguments import check_share
from bayes_hte.effects.summaries import probability_words
from bayes_hte.errors import DataError, SpecError, unknown_name
from bayes_hte.seeds import check_seed
from bayes_hte.study.study import Study
from bayes_hte.subgroups.decision import check_probability, margin_of
from bayes_hte.subgroups.finding.discovery import subgroups_of_draws
from bayes_hte.subgroups.finding.embedding import Tsne
from bayes_hte.subgroups.finding.result import Subgroups
from bayes_hte.subgroups.finding.search import Clusters
from bayes_hte.subgroups.honest.folds import HonestSubgroups
from bayes_hte.subgroups.honest.halves import honest_m_learner
from bayes_hte.subgroups.honest.own_means import SUBGROUP_COLUMN

SIZES = ("draws", "tune", "chains", "cores", "progress")
DEFAULT_EFFECT = "te"


class Refittable(Protocol):
    """A fit whose models can be fitted to other units; :class:`bayes_hte.Fit` is one."""

    @property
    def study(self) -> Study:
        """The fitted units."""

    def effects(self) -> xr.Dataset:
        """Return draws of the effects of each unit, dims (chain, draw, unit)."""

    def refit(self, study: Study, *, seed: int, **options: Any) -> Refittable:
        """Fit the same models to other units; `means_by` gives groups means of their own."""

    @property
    def fits_means(self) -> bool:
        """Whether the models take `means_by`."""


@dataclass(frozen=True, eq=False, repr=False)
class JudgedSubgroups(Subgroups):
    """Subgroups of all units, and whether effects that differ in one half differ in the other.

    What describes the subgroups (`labels`, `membership`, `effects`, `contrast`, `profile`) is that
    of all units; `declared`, `probability` and `reason` are of the honest rule, by which each half
    of the units judges the groups that the other half suggests. The rule compares the units with
    the highest and the lowest effects, which need not be the groups of the profile.

    Attributes
    ----------
    honest : HonestSubgroups
        The decision, each direction of it, and the size of a declared difference.
    """

    honest: HonestSubgroups

    @property
    def declared(self) -> bool:
        """Whether `probability` reaches `required_probability`."""
        return self.honest.declared

    @property
    def probability(self) -> float:
        """Posterior probability, by halves, that the outer groups differ by more than `margin`."""
        return self.honest.probability

    def _decided(self) -> str:
        said = "declared" if self.declared else "not declared"
        return f"{said}, probability {probability_words(self.probability)} by halves"

    def decision(self, **interval: Any) -> pd.DataFrame:
        """Return the difference in each fold and on average.

        Parameters
        ----------
        **interval
            ``ci_prob`` and ``ci_kind``.

        Returns
        -------
        DataFrame
            As :meth:`bayes_hte.subgroups.HonestSubgroups.summary`.
        """
        return self.honest.summary(**interval)


def m_learner(
    fit: Refittable | xr.DataArray | xr.Dataset | None = None,
    study: Study | None = None,
    *,
    effect: str | xr.DataArray | xr.Dataset | None = None,
    seed: int,
    largest_k: int = 5,
    clusters: Clusters = "kmeans",
    embed: Literal["none", "tsne"] | Tsne = "none",
    margin: float | None = None,
    probability: float = 0.95,
    leaf_share: float = 0.1,
    leaf_price: float = 0.05,
    clear_membership: float = 0.8,
    **size: Any,
) -> JudgedSubgroups | Subgroups:
    """Find subgroups of units with similar effects, and judge by halves whether effects differ.

    Of a fit, subgroups are found on all units (:func:`~bayes_hte.subgroups.subgroups_of_draws` says
    how). Then its models are fitted again to each half of the units: one half names the units with
    the highest and the lowest effects, the other half says whether such units of its own differ,
    and they change places (:func:`~bayes_hte.subgroups.honest_subgroups`). Where a difference is
    declared, its size comes from two further fits in which the groups have means of their own.

    Of draws alone nothing can be fitted again: the result has no `declared`, but a
    `declared_in_sample`, which is optimistic. It is for exploration.

    Parameters
    ----------
    fit : Fit, or draws: DataArray, dims (chain, draw, unit), or Dataset of such
        The fit of a study of two arms (of more: ``fit.two_arms(arm, reference)``); or draws of
        unit-level effects, in outcome units, with `study`.
    study : Study, optional
        With draws: their units, in the same order.
    effect : str, default "te"
        Of a fit: the effect, ``"te"`` or with a mediator ``"tnie"``, ``"pnde"``, ``"pnie"`` or
        ``"tnde"``. (Draws may be given by this name too.)
    seed : int
        Seed of the search, of the halves and of their fits; 0 or more. Choose it before looking:
        another seed halves the units in another way.
    largest_k, clusters, embed, leaf_price, clear_membership
        As in :func:`~bayes_hte.subgroups.subgroups_of_draws`.
    margin : float, optional
        Smallest difference between groups that matters, in outcome units, 0 or more; default 0.05
        standard deviations of the outcome.
    probability : float, default 0.95
        Posterior probability needed to declare subgroups; between 0.5 and 1.
    leaf_share : float, default 0.1
        Smallest share of the units in a group; above 0, at most 0.5.
    **size
        Of a fit, the size of the fits of the halves: ``draws``, ``tune``, ``chains`` (by default
        those of the fit), ``cores`` and ``progress``.

    Returns
    -------
    JudgedSubgroups, or of draws Subgroups
        Both with `labels`, `membership`, `profile`, `effects` and a `summary`; the former with
        `declared`, `probability` and `honest`.

    Raises
    ------
    DataError
        If draws do not fit their units, half of the study alone is no study, or `fit` is neither a
        fit nor draws.
    SpecError
        If an option or an effect is unknown or out of range.
    UnsupportedError
        If the study has more than two arms, or the fit cannot be made again (draws of the priors).

    Notes
    -----
    It takes as long as the fit again: two halves, and where subgroups are declared two further fits
    of halves. A model that this package does not know is judged by
    :func:`~bayes_hte.honest_m_learner`, given a function that fits a half.

    Examples
    --------
    >>> import numpy as np
    >>> import bayes_hte as hte
    >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
    >>> study = hte.Study.from_frame(frame, outcome="y", treatment="treat", covariates=["x1", "x2"])
    >>> fit = hte.fit(study, seed=1, surface="linear", draws=20, tune=20, chains=2, progress=False)
    >>> groups = hte.m_learner(fit, effect="te", seed=1, largest_k=2, progress=False)
    >>> groups.declared, groups.membership.sizes["unit"]
    (False, 60)

    Draws alone are for exploration:

    >>> explored = hte.m_learner(fit.cate(), study, seed=1, largest_k=2)
    >>> bool((explored.labels == groups.labels).all())
    True
    """
    find = {
        "largest_k": largest_k,
        "clusters": clusters,
        "embed": embed,
        "leaf_price": leaf_price,
        "clear_membership": clear_membership,
    }
    rule = {"margin": margin, "probability": probability, "leaf_share": leaf_share}
    if fit is None or isinstance(fit, xr.DataArray | xr.Dataset):
        draws = _draws_of(fit, effect)
        if size:
            raise unknown_name("option of draws", next(iter(size)), {*find, *rule, "seed"})
        return subgroups_of_draws(draws, study, seed=seed, **find, **rule)
    _check_fit(fit, study)
    for name in size:
        if name not in SIZES:
            raise unknown_name("option", name, {*SIZES, *find, *rule, "seed", "effect"})
    return _judged(fit, effect, seed=seed, find=find, rule=rule, size=size)


def _draws_of(draws: object, effect: object) -> xr.DataArray | xr.Dataset:
    """Return the draws, which may have been given as `effect`."""
    if draws is None:
        if isinstance(effect, xr.DataArray | xr.Dataset):
            return effect
        raise DataError("m_learner takes a fit, or draws of an effect with their study; got none.")
    if effect is not None:
        raise SpecError(
            "effect= names an effect of a fit; of draws write m_learner(draws, study, seed=...)."
        )
    return draws


def _check_fit(fit: object, study: object) -> None:
    """Refuse what cannot be fitted again, or comes with a study."""
    if not all(hasattr(fit, name) for name in ("study", "effects", "refit")):
        raise DataError(
            "fit must be a Fit, or with a study must be draws in a DataArray or Dataset, got "
            f"{type(fit).__name__}. A model that this package cannot fit again is judged by "
            "honest_m_learner(study, fit_half=...), and explored by m_learner(draws, study)."
        )
    if study is not None:
        raise SpecError("a fit has its study: leave out the second argument of m_learner.")
    fit.study.check_two_arms("the search for subgroups")


def _judged(
    fit: Refittable,
    effect: object,
    *,
    seed: int,
    find: Mapping[str, Any],
    rule: Mapping[str, Any],
    size: Mapping[str, Any],
) -> JudgedSubgroups:
    """Find subgroups on all units, and judge them by halves."""
    # What would end the analysis after the last fit is refused before the first.
    check_seed(seed)
    check_probability(rule["probability"])
    check_share("clear_membership", find["clear_membership"], hint="try 0.8")
    margin = margin_of(fit.study.recorded_outcome(), rule["margin"])
    effects = fit.effects()
    name = DEFAULT_EFFECT if effect is None else effect
    if not isinstance(name, str) or name not in effects:
        raise unknown_name("effect", str(name), map(str, effects))
    rule = {**rule, "margin": margin}
    found = subgroups_of_draws(effects[name], fit.study, seed=seed, **find, **rule)

    def fit_half(half: Study, half_seed: int) -> xr.DataArray:
        return fit.refit(half, seed=half_seed, **size).effects()[name]

    def fit_subgroups(half: Study, half_seed: int) -> xr.DataArray:
        return fit.refit(half, seed=half_seed, means_by=SUBGROUP_COLUMN, **size).effects()[name]

    honest = honest_m_learner(
        fit.study,
        fit_half=fit_half,
        fit_subgroups=fit_subgroups if fit.fits_means else None,
        seed=seed,
        **rule,
    )
    described = {f.name: getattr(found, f.name) for f in fields(Subgroups)}
    return JudgedSubgroups(**(described | {"reason": honest.reason}), honest=honest)
