"""From a fit to results: effects, averages, subgroups and checks of one study file."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte import effects
from bayes_hte.checks.base import CheckResult
from bayes_hte.companions.classical import classical
from bayes_hte.errors import DataError, UnsupportedError
from bayes_hte.fitted_study import Fit
from bayes_hte.names import ARM, POPULATIONS, SAMPLE, UNIT
from bayes_hte.results import Results
from bayes_hte.sampling import stage_seed
from bayes_hte.sensitivity import MediationRho, mediation_rho, sensitivity
from bayes_hte.spec import Spec
from bayes_hte.study import Study
from bayes_hte.subgroups import (
    Evidence,
    HonestSubgroups,
    Subgroups,
    evidence,
    honest_subgroups,
    m_learner,
)
from bayes_hte.subgroups.own_means import without_shrinkage
from bayes_hte.trust import judge
from bayes_hte.unseen import (
    Unseen,
    evaluate,
)


def study_from_spec(spec: Spec, frame: pd.DataFrame) -> Study:
    """Bind the declared roles to a frame, naming the arms as declared.

    Parameters
    ----------
    spec : Spec
        The study file.
    frame : DataFrame
        Its data.

    Returns
    -------
    Study

    Raises
    ------
    DataError
        If the frame does not suit the roles.
    """
    roles = spec.roles
    study = Study.from_frame(
        frame,
        outcome=roles.outcome,
        treatment=roles.treatment,
        covariates=roles.covariates,
        mediator=roles.mediator,
        cluster=roles.cluster,
        reference=roles.reference,
    )
    if not roles.arm_names:
        return study
    names = dict(zip(study.arms, roles.arm_names, strict=True))
    renamed = study.frame.assign(**{roles.treatment: study.frame[roles.treatment].map(names)})
    return Study(frame=renamed, roles=study.roles, arms=roles.arm_names)


def unit_effects(fit: Fit) -> xr.Dataset:
    """Unit-level effects of a fit: TE and, with a mediator, both decompositions.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    Dataset, dims (chain, draw, unit)
        In outcome units.
    """
    if "mediator" in fit.components:
        return effects.decompose(fit.potential_outcomes())
    te = fit.cate().rename("te")
    return te.assign_attrs(effect="te", long_name="total effect").to_dataset()


def controlled_effects(fit: Fit, values: tuple[float, ...]) -> xr.DataArray | None:
    """Average controlled direct effects, dims (chain, draw, mediator_value); None without values.

    Raises
    ------
    DataError
        If a value lies outside the observed range of the mediator.
    """
    if not values:
        return None
    observed = fit.study.mediator()
    outside = [v for v in values if not observed.min() <= v <= observed.max()]
    if outside:
        raise DataError(
            f"mediator.controlled_at {outside} lies outside the observed mediator "
            f"({observed.min():g} to {observed.max():g}); the model says nothing there."
        )
    draws = [
        effects.average(
            effects.controlled_direct_effect(fit.potential_outcomes(mediator_value=value))
        )
        for value in values
    ]
    dimension = xr.DataArray(list(values), dims="mediator_value", name="mediator_value")
    return xr.concat(draws, dimension, combine_attrs="drop_conflicts").transpose(
        *SAMPLE, "mediator_value"
    )


def populations(te: xr.DataArray, study: Study, *, seed: int) -> xr.Dataset:
    """Total effect averaged over each population, dims (chain, draw)."""
    rng = np.random.default_rng(stage_seed(seed, "populations"))
    return xr.Dataset(
        {
            name: effects.average(te, population=name, treated=study.arm_index(), rng=rng)
            for name in POPULATIONS
        }
    )


def find_subgroups(
    unit: xr.Dataset, study: Study, spec: Spec, *, seed: int
) -> dict[str, Subgroups]:
    """Run the M-learner on every effect the study file names."""
    options = spec.subgroups
    return {
        name: m_learner(
            unit[name],
            study,
            seed=stage_seed(seed, f"subgroups {name}"),
            margin=options.margin,
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
        :class:`bayes_hte.study_fits.Fits`.
    study : Study
        All units.
    spec : Spec
        The study file.
    seed : int
        Seed at the front door.

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
            margin=options.margin,
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


def learner_summary(fit: Fit, held_out: Study | None) -> xr.Dataset:
    """Summarise a learner that is fitted for comparison.

    Parameters
    ----------
    fit : Fit
        Its fit.
    held_out : Study, optional
        Units that were not fitted.

    Returns
    -------
    Dataset
        ``SATE``, dims (chain, draw); posterior ``mean`` and ``sd`` of each fitted unit's effect,
        dims (unit,); ``held_out``, posterior means of held-out units, dims (held_out_unit,).
    """
    cate = fit.cate()
    summary = {"SATE": cate.mean(UNIT), "mean": cate.mean(SAMPLE), "sd": cate.std(SAMPLE)}
    if held_out is not None:
        away = fit.cate(held_out.frame).mean(SAMPLE)
        summary["held_out"] = away.rename({UNIT: f"held_out_{UNIT}"})
    return xr.Dataset({name: values.drop_attrs() for name, values in summary.items()})


def assemble(
    spec: Spec,
    study: Study,
    saved: Mapping[str, Any],
    checks: tuple[CheckResult, ...],
    provenance: Mapping[str, Any],
    *,
    seed: int,
) -> Results:
    """Collect what was computed, and add what is quick to compute.

    Parameters
    ----------
    spec : Spec
        The study file.
    study : Study
        The fitted units.
    saved : mapping
        What :func:`effect_draws` returned.
    checks : tuple of CheckResult
        What :func:`run_checks` returned.
    provenance : mapping
        How the results came about.
    seed : int
        Seed at the front door.

    Returns
    -------
    Results
    """
    unit, unseen = saved["effects"], saved["unseen"]
    groups = find_subgroups(unit, study, spec, seed=seed)
    rng = np.random.default_rng(stage_seed(seed, "classical"))
    return Results(
        spec=spec,
        study=study,
        effects=unit,
        averages=effects.average(unit),
        populations=saved["populations"],
        controlled=saved["controlled"],
        propensity=saved["propensity"],
        subgroups=groups,
        checks=checks,
        provenance=provenance,
        trust=judge(checks),
        classical=classical(study, saved["propensity"], rng=rng),
        reference_outcome=saved["reference_outcome"],
        targeting=None
        if unseen is None
        else evaluate(unseen, better=spec.outcome.better, seed=seed),
        beside=saved["beside"],
        evidence=subgroup_evidence(unit, study, groups, seed=seed),
        honest=judge_subgroups(saved["halves"], saved["own_means"], study, spec, seed=seed),
        sensitivity=sensitivity(
            study,
            arm_means=saved["arm_means"],
            family=spec.outcome.family,
            better=spec.outcome.better,
            important=spec.outcome.minimal_important_difference,
            randomised=spec.propensity.assignment == "randomised",
            rho=saved["rho"],
        ),
    )


def effect_draws(fit: Fit, spec: Spec, unseen: Sequence[Unseen]) -> dict[str, Any]:
    """Compute the draws every later stage reads; see :func:`assemble`."""
    unit = unit_effects(fit)
    values = () if spec.mediator is None else spec.mediator.controlled_at
    mu = effects.own_mediator(fit.first_stage().potential_outcomes())
    return {
        "effects": unit.drop_vars([c for c in unit.coords if c not in (*SAMPLE, UNIT)]),
        "populations": populations(unit["te"], fit.study, seed=fit.seed),
        "controlled": controlled_effects(fit, values),
        "propensity": fit.propensity(),
        "reference_outcome": mu.isel({ARM: 0}, drop=True).mean(SAMPLE, dtype=np.float64),
        "unseen": unseen[0] if unseen else None,
        "arm_means": arm_means(fit, mu),
        "rho": rho_draws(fit, unit),
    }


def arm_means(fit: Fit, mu: xr.DataArray) -> xr.DataArray:
    """Average expected outcomes over the units of the study, dims (chain, draw, arm)."""
    mu = mu.mean(UNIT)
    if "effect" not in fit.components:
        return mu
    # The second stage of learner "x" replaces the difference of the arms.
    moved = mu.isel({ARM: 0}) + fit.cate().mean(UNIT)
    return mu.where(mu[ARM] == mu[ARM][0], moved)


def rho_draws(fit: Fit, unit: xr.Dataset) -> MediationRho | None:
    """Sensitivity to confounding of the mediator, where it is worked out; else None."""
    if "mediator" not in fit.components:
        return None
    with contextlib.suppress(UnsupportedError):
        return mediation_rho(fit, effects=unit)
    return None
