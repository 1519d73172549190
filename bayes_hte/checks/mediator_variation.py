"""Whether the mediator varies enough among units that agree in arm and covariates.

Direct and indirect effects are separated by such units alone; where arm and covariates all but
determine the mediator, draws of these effects are draws of the priors. (Where they determine it
exactly, nothing is fitted at all.)
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.subject import Subject
from bayes_hte.fitting.own_variation import SMALL, OwnVariation, own_variation
from bayes_hte.study.study import Study

NAME = "own variation of the mediator"
# Below this share the own variation has a 30th of the mediator's standard deviation: enough to
# estimate a slope, but natural effects stretch it over 30 times what was seen of it.
STRETCHED = 1e-3


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Judge the mediator of a fit, if it has one; see :func:`mediator_variation`."""
    outcome = subject.fit.components["outcome"]
    if subject.study.roles.mediator is None:
        return ()
    expected = outcome.design.expected_mediators.T
    return tuple(mediator_variation(subject.study, e, which=i) for i, e in enumerate(expected))


def mediator_variation(study: Study, expected: np.ndarray, *, which: int = 0) -> CheckResult:
    """Judge how much of the mediator arm and covariates leave undetermined.

    Parameters
    ----------
    study : Study
        A study with a mediator.
    expected : ndarray, shape (unit,)
        Expectation of each unit's mediator under the fitted mediator model, without the unit.
    which : int, default 0
        Which of two mediators.

    Returns
    -------
    CheckResult
        Fails if less than one part in 100,000 of the mediator's variance is left by the best of
        several predictions, among them that of the mediator model. With less than one part in 1,000
        it passes with a caution.
    """
    mediator, name = study.mediators()[:, which], study.roles.mediators[which]
    modelled = float(np.nanvar(mediator - expected) / np.nanvar(mediator))
    by_model = OwnVariation(modelled, "the mediator model")
    found = min(own_variation(study, which), by_model, key=lambda v: v.share)
    passed = found.share >= SMALL
    sd = np.sqrt(found.share)
    before = "".join(f", with {other!r}," for other in study.roles.mediators[:which])
    text = f"Arm and covariates{before} leave {sd:.2g} of the standard deviation of {name!r} open."
    if passed and found.share < STRETCHED:
        text = (
            f"Arm and covariates{before} leave only {sd:.2g} of the standard deviation of "
            f"{name!r} open (found by {found.source}). Caution: direct and indirect effects rest "
            "on that little "
            f"and on a straight line through it, over {1 / sd:.0f} times its width; take them from "
            "wide intervals only, and show the total effect first."
        )
    if not passed:
        text = (
            f"Arm and covariates{before} all but determine {name!r}: {found.source} leaves "
            f"{sd:.1g} of its standard deviation open. Nothing separates its effect from theirs, "
            "so direct and indirect effects must not be used; leave the mediator out to estimate "
            "the total effect."
        )
    table = pd.DataFrame({"share of variance left": {found.source: found.share}})
    said = NAME if len(study.roles.mediators) == 1 else f"{NAME}: {name}"
    return CheckResult(said, passed, table.rename_axis("prediction"), text)
