"""Check a fit, and say how far it can be trusted."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.checks.arm_overlap import overlap_check
from bayes_hte.checks.assignment import assignment_check
from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.both_ways import propensity_both_ways
from bayes_hte.checks.chain_stability import chain_stability
from bayes_hte.checks.of_fit import outcome_checks, prior_checks
from bayes_hte.checks.predictive import posterior_predictive
from bayes_hte.checks.refutations import refute
from bayes_hte.checks.repeated_rows import repeated_rows
from bayes_hte.checks.sampling_health import sampling_health
from bayes_hte.effects.contrasts import Better, own_mediator
from bayes_hte.errors import SamplingError, UnsupportedError
from bayes_hte.fitting.effects_of_fit import arm_means
from bayes_hte.fitting.fitted import Fit
from bayes_hte.seeds import stage_seed
from bayes_hte.sensitivity import mediation_rho, sensitivity
from bayes_hte.study.spec import AssignmentName
from bayes_hte.study.study import Study
from bayes_hte.trust.rule import Trust, judge
from bayes_hte.trust.unseen import Unseen, held_out_units, judge_heterogeneity, left_out_units

# Draws used to replicate the outcome; more change no judged number visibly.
REPLICATES = 400


def unseen_units(fit: Fit, held_out: Study | None = None) -> tuple[Unseen, ...]:
    """Predict units without their outcomes, the strictest way first.

    Parameters
    ----------
    fit : Fit
        The fit.
    held_out : Study, optional
        Units that were not fitted.

    Returns
    -------
    tuple of Unseen
        The held-out units, if any; then the fitted units left out one by one, unless a
        log-likelihood is not finite.
    """
    found = () if held_out is None else (held_out_units(fit, held_out),)
    with contextlib.suppress(SamplingError):  # said by the check of left-out predictions
        found += (left_out_units(fit),)
    return found


def run_checks(
    fit: Fit,
    unit: xr.Dataset,
    *,
    unseen: Sequence[Unseen],
    better: Better = "higher",
    other: Fit | None = None,
    refutations: Mapping[str, Any] | None = None,
) -> tuple[CheckResult, ...]:
    """Run every check that needs the fit.

    Parameters
    ----------
    fit : Fit
        The fit.
    unit : Dataset, dims (chain, draw, unit)
        Its unit-level effects.
    unseen : sequence of Unseen
        What :func:`unseen_units` returned.
    better : {"higher", "lower"}
        Which direction of the outcome is good.
    other : Fit, optional
        The same models with the propensity covariate switched.
    refutations : mapping, optional
        Options of :func:`~bayes_hte.checks.refutations.refute`; None for no refutations.

    Returns
    -------
    tuple of CheckResult
        Sampling health first.
    """
    stats = {role: component.stats for role, component in fit.components.items()}
    checks = [
        *sampling_health(unit, stats),
        overlap_check(fit.study, fit.propensity()),
        repeated_rows(fit.study),
        predictive_check(fit),
        *outcome_checks(fit),
        *(judge_heterogeneity(units, better=better, seed=fit.seed) for units in unseen),
        chain_stability(unit["te"]),
        *prior_checks(fit),
    ]
    if other is not None:
        ways = sorted((fit, other), key=lambda f: not f.plan.propensity_covariate)
        checks.append(propensity_both_ways(*(f.cate() for f in ways)))
    if refutations is not None:
        options = {"seed": stage_seed(fit.seed, "refutations"), **refutations}
        checks += refute(fit, **options)
    return tuple(checks)


def verdict(
    fit: Fit,
    *,
    better: Better = "higher",
    assignment: AssignmentName | None = None,
    checks: Sequence[CheckResult] | None = None,
    held_out: pd.DataFrame | None = None,
    **refutations: Any,
) -> Trust:
    """Check a fit, and say how far it can be trusted.

    Parameters
    ----------
    fit : Fit
        A fitted study.
    better : {"higher", "lower"}
        Which direction of the outcome is good for the patient.
    assignment : {"randomised", "observational"}, optional
        How units came to their arm, as in the table ``[propensity]`` of a study file. Adds
        :func:`bayes_hte.trust.checking.assignment_checks` as information; they decide nothing. If it is
        not said, what has to be assumed of the treatment is not looked at.
    checks : sequence of CheckResult, optional
        Checks made already; default every check that needs no further fit of the full model.
    held_out : DataFrame, optional
        Rows with every column of the study that were not fitted; heterogeneity is then judged on
        them, otherwise on units left out one by one.
    **refutations
        Options of :func:`~bayes_hte.checks.refutations.refute`: ``repeats``, ``estimator``,
        ``negative_control``, ``n_jobs``.

    Returns
    -------
    Trust
        With ``verdict``, ``reasons``, ``cautions`` and the table ``summary()``.

    Raises
    ------
    DataError
        If `held_out` lacks a column or holds fitted units.
    SpecError
        If an option is unknown.
    """
    assumed = () if assignment is None else assignment_checks(fit, assignment, better=better)
    if checks is None:
        away = None if held_out is None else fit.study.alike(held_out)
        checks = run_checks(
            fit,
            fit.effects(),
            unseen=unseen_units(fit, away),
            better=better,
            refutations=refutations,
        )
    return judge((*checks, *assumed))


def assignment_checks(
    fit: Fit, assignment: AssignmentName, *, better: Better = "higher"
) -> tuple[CheckResult, ...]:
    """Say what the effects of a fit rest on besides the data, and how much hangs on it.

    Parameters
    ----------
    fit : Fit
        A fitted study.
    assignment : {"randomised", "observational"}
        How units came to their arm.
    better : {"higher", "lower"}
        Which direction of the outcome is good.

    Returns
    -------
    tuple of CheckResult
        All of them information: what has to be assumed; unless the treatment was randomised, how
        strong a hidden confounder of treatment and outcome would have to be (E-value, tipping
        point); where there is a mediator and it is worked out for the families, the same for
        mediator and outcome, which randomising the treatment does not protect.

    Raises
    ------
    SpecError
        If `assignment` is unknown.
    """
    said = assignment_check(assignment, outcome=fit.study.roles.outcome)
    rho = None
    with contextlib.suppress(UnsupportedError):  # no mediator, or another family
        rho = mediation_rho(fit)
    found = sensitivity(
        fit.study,
        arm_means=arm_means(fit, own_mediator(fit.first_stage().potential_outcomes())),
        family=fit.components["outcome"].family.name,
        better=better,
        important=0.0,
        randomised=assignment == "randomised",
        rho=rho,
    )
    return (said, *found.checks())


def predictive_check(fit: Fit) -> CheckResult:
    """Posterior predictive check of the outcome model by arm."""
    study, outcome = fit.study, fit.components["outcome"]
    eta = fit.observed_predictor().to_numpy().reshape(-1, study.n_units)
    rng = np.random.default_rng(stage_seed(fit.seed, "predictive"))
    chosen = rng.choice(len(eta), size=min(REPLICATES, len(eta)), replace=False)
    noise = {k: v.reshape(-1, v.shape[-1])[chosen] for k, v in outcome.noise().items()}
    return posterior_predictive(
        eta[chosen],
        noise,
        study.outcome(),
        arm=study.arm_index(),
        arm_names=(str(study.arms[0]), str(study.arms[1])),
        family=outcome.family,
        rng=rng,
    )
