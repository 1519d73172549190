"""Strength of a hidden confounder of treatment and outcome that would change the answer."""

from __future__ import annotations

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.subject import Subject
from bayes_hte.effects.contrasts import own_mediator
from bayes_hte.sensitivity import sensitivity

NAME = "sensitivity to unmeasured confounding"


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Return E-value and tipping point, as information; none if nothing hidden can confound."""
    from bayes_hte.fitting.effects_of_fit import arm_means

    if subject.assignment != "observational":
        return ()
    fit = subject.fit
    found = sensitivity(
        fit.study,
        arm_means=arm_means(fit, own_mediator(fit.first_stage().potential_outcomes())),
        family=fit.components["outcome"].family.name,
        better=subject.better,
        important=0.0,
        randomised=False,
        rho=None,
        horizon=fit.estimand(),
    )
    return found.checks()
