"""Check a fit, and say how far it can be trusted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd

from bayes_hte.checks import (
    arm_overlap,
    assignment,
    both_ways,
    chain_stability,
    covariate_effects,
    heterogeneity,
    hidden_confounding,
    incidence,
    informative_censoring,
    kaplan_meier,
    loo,
    loo_pit,
    mediator_confounding,
    mediator_linearity,
    mediator_variation,
    predictive,
    prior_sensitivity,
    prior_view,
    refutations,
    repeated_rows,
    sampling_health,
    seed_stability,
    survival_calibration,
)
from bayes_hte.checks.assignment import assumption
from bayes_hte.checks.base import Check, CheckResult, not_judged
from bayes_hte.checks.refutations import check_options
from bayes_hte.checks.subject import Subject
from bayes_hte.effects.arguments import Better, benefit_sign
from bayes_hte.errors import SamplingError, SpecError, UnsupportedError
from bayes_hte.fitting.fitted import Fit
from bayes_hte.study.spec import AssignmentName
from bayes_hte.study.study import Study
from bayes_hte.trust.own_checks import own_checks
from bayes_hte.trust.rule import Trust, judge
from bayes_hte.trust.unseen import Unseen, held_out_units, left_out_units

CHECKS: tuple[Check, ...] = (
    sampling_health,
    arm_overlap,
    repeated_rows,
    predictive,
    kaplan_meier,
    loo,
    loo_pit,
    survival_calibration,
    incidence,
    heterogeneity,
    covariate_effects,
    chain_stability,
    prior_view,
    prior_sensitivity,
    both_ways,
    refutations,
    seed_stability,
    mediator_variation,
    mediator_linearity,
    informative_censoring,
)
"""Every check of a fit, in the order of its results."""
ASSUMED: tuple[Check, ...] = (assignment, hidden_confounding, mediator_confounding)
"""The assumptions behind the effects, and how much hangs on them: information only."""


def run_checks(
    subject: Subject,
    checks: Sequence[Check] = CHECKS,
    *,
    before: Callable[[int, str], None] | None = None,
) -> tuple[CheckResult, ...]:
    """Run checks in their order.

    Parameters
    ----------
    subject : Subject
        Everything that they may look at.
    checks : sequence of Check, optional
        Default every check of the package; sampling health comes first.
    before : callable, optional
        Called before each check with the number of checks that are done, and its name.

    Returns
    -------
    tuple of CheckResult
        A check that could not run has failed, with the reason.
    """
    results: list[CheckResult] = []
    for done, one in enumerate(checks):
        if before is not None:
            before(done, one.NAME)
        try:
            results += one.check(subject)
        except (SamplingError, UnsupportedError) as error:
            results.append(not_judged(one.NAME, error))
    return tuple(results)


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


def verdict(
    fit: Fit,
    *,
    better: Better = "higher",
    assignment: AssignmentName | None = None,
    checks: Sequence[CheckResult] | None = None,
    held_out: pd.DataFrame | None = None,
    further: Sequence[Check] = (),
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
        :func:`bayes_hte.trust.checking.assignment_checks`. The verdict is green only for a
        treatment that was randomised; by default it is taken not to be known.
    checks : sequence of CheckResult, optional
        Results that are at hand already; default every check that needs no further fit of the full
        model.
    held_out : DataFrame, optional
        Rows with every column of the study that were not fitted; heterogeneity is then judged on
        them, otherwise on units left out one by one.
    further : sequence of Check, optional
        Checks of your own, run last: modules or objects with a ``NAME`` and a function
        ``check(subject)``. A failed one is a caution: it turns a green verdict amber, and never
        decides it.
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
        If an option is unknown or out of range, or a check of your own has not the form of a check.

    Examples
    --------
    >>> import numpy as np
    >>> import bayes_hte as hte
    >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
    >>> roles = {"outcome": "y", "treatment": "treat", "mediator": "m"}
    >>> study = hte.Study.from_frame(frame, **roles, covariates=["x1", "x2", "x3"])
    >>> fit = hte.fit(study, seed=1, draws=20, tune=20, chains=2, progress=False)
    >>> from bayes_hte.checks import Subject, arm_overlap, sampling_health
    >>> subject = Subject(fit, fit.effects())
    >>> some = (*sampling_health.check(subject), *arm_overlap.check(subject))
    >>> found = hte.verdict(fit, checks=some)  # without checks=, all of them: a minute or more
    >>> found.verdict, found.decided_by[0].name
    ('do not trust', 'sampling health: average effects')
    """
    _check_request(fit, better, assignment, checks)
    check_options(**refutations)
    own = own_checks(further, (*CHECKS, *ASSUMED))
    away = None if held_out is None else fit.study.alike(held_out)
    subject = Subject(
        fit,
        fit.effects(),
        unseen=unseen_units(fit, away) if checks is None or own else (),
        better=better,
        assignment=assignment,
        refutations=refutations,
    )
    made = run_checks(subject) if checks is None else tuple(checks)
    return judge((*made, *run_checks(subject, ASSUMED), *run_checks(subject, own)))


def assignment_checks(
    fit: Fit, assignment: AssignmentName, *, better: Better = "higher"
) -> tuple[CheckResult, ...]:
    """State the assumptions behind the effects of a fit, and how much hangs on them.

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
        The assumption (passed if the treatment was randomised, otherwise information, as all
        that follow); unless the treatment was randomised, the strength
        of a hidden confounder of treatment and outcome that would change the answer (E-value,
        tipping point); with a mediator, and families for which it is worked out, the same for
        mediator and outcome, which randomising the treatment does not protect.

    Raises
    ------
    SpecError
        If `assignment` is unknown.
    """
    fit.study.check_two_arms("a check")
    subject = Subject(fit, fit.effects(), better=better, assignment=assignment)
    return run_checks(subject, ASSUMED)


def _check_request(
    fit: object, better: Better, assignment: AssignmentName | None, checks: object
) -> None:
    """Raise, before anything is computed, unless this can be answered."""
    if not isinstance(fit, Fit):
        raise SpecError(
            f"fit must come from hte.fit or hte.load_fit, got {type(fit).__name__}; of an "
            "estimator pass its fit_."
        )
    if "propensity" not in fit.components:
        raise SpecError("this fit has draws of its priors alone; a verdict is about a fit to data.")
    fit.study.check_two_arms("a verdict")
    benefit_sign(better)  # raises for an unknown direction
    if assignment is not None:
        assumption(assignment, outcome="")  # raises for an unknown assignment
    if checks is not None and not all(isinstance(c, CheckResult) for c in _as_list(checks)):
        raise SpecError(
            f"checks must be a sequence of CheckResult, got {type(checks).__name__}; pass the "
            "checks of an earlier verdict (found.checks), or checks to run as further=[...]."
        )


def _as_list(checks: object) -> list[object]:
    return list(checks) if isinstance(checks, Iterable) else [checks]
