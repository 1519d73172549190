"""Subgroups of a run: found on all units, described, and judged by halves."""

from __future__ import annotations

from collections.abc import Mapping

import xarray as xr

from bayes_hte.names import UNIT
from bayes_hte.seeds import stage_seed
from bayes_hte.study.spec import Spec
from bayes_hte.study.study import Study
from bayes_hte.subgroups import (
    Evidence,
    HonestSubgroups,
    Subgroups,
    evidence,
    honest_subgroups,
    subgroups_of_draws,
)
from bayes_hte.subgroups.honest.own_means import without_shrinkage


def find_subgroups(
    unit: xr.Dataset, study: Study, spec: Spec, *, seed: int
) -> dict[str, Subgroups]:
    """Run the M-learner on every effect the study file names."""
    options = spec.subgroups
    return {
        name: subgroups_of_draws(
            unit[name],
            study,
            seed=stage_seed(seed, f"subgroups {name}"),
            margin=spec.subgroup_margin,
            probability=options.probability,
            largest_k=options.largest_k,
            clusters=options.clusters,
            embed=options.embed,
        )
        for name in options.effects
    }


def subgroup_evidence(
    unit: xr.Dataset, study: Study, groups: Mapping[str, Subgroups], *, seed: int
) -> dict[str, Evidence]:
    """Describe found subgroups by the draws of their effect; none for a single subgroup."""
    found = {
        name: evidence(unit[name], study, of, seed=stage_seed(seed, f"evidence {name}"))
        for name, of in groups.items()
    }
    return {name: made for name, made in found.items() if made is not None}


def half_studies(halves: Mapping[str, xr.Dataset], study: Study) -> tuple[Study, Study]:
    """Return the two halves as studies, in the order of their fits."""
    first, second = (study.subset(study.units.get_indexer(half[UNIT])) for half in halves.values())
    return first, second


def own_means_name(effect: str, fold: int) -> str:
    """Name the refit of the units judged in a fold (1 or 2) of an effect."""
    return f"{effect}_{fold}"


def judge_subgroups(
    halves: Mapping[str, xr.Dataset],
    own_means: Mapping[str, xr.Dataset],
    study: Study,
    spec: Spec,
    *,
    seed: int,
) -> dict[str, HonestSubgroups]:
    """Compare in each half of the units those whom the other half puts highest and lowest.

    Parameters
    ----------
    halves : mapping of str to Dataset, dims (chain, draw, unit)
        Effects of the units of each half, from a fit to that half alone; empty for none.
    own_means : mapping of str to Dataset, dims (chain, draw, unit)
        Refits with means of their own for declared subgroups; see
        :class:`bayes_hte.runs.fits.Fits`.
    study : Study
        All units.
    spec : Spec
        The study file.
    seed : int
        Seed of the run.

    Returns
    -------
    dict of str to HonestSubgroups
        By effect name.
    """
    if not halves:
        return {}
    first, second = halves.values()
    parts = half_studies(halves, study)
    options = spec.subgroups
    judged = {
        name: honest_subgroups(
            first[name],
            parts[0],
            second[name],
            parts[1],
            seed=stage_seed(seed, f"honest subgroups {name}"),
            margin=spec.subgroup_margin,
            probability=options.probability,
        )
        for name in options.effects
    }
    for name, honest in judged.items():
        refits = [own_means.get(own_means_name(name, fold)) for fold in (1, 2)]
        if any(refit is not None for refit in refits):
            draws = tuple(None if refit is None else refit[name] for refit in refits)
            judged[name] = without_shrinkage(honest, (parts[1], parts[0]), draws)
    return judged
