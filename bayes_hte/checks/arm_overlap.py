"""Overlap of the arms, as a check of the design."""

from __future__ import annotations

import xarray as xr

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.subject import Subject
from bayes_hte.companions import balance, overlap_report
from bayes_hte.names import SAMPLE
from bayes_hte.study.frames import with_columns
from bayes_hte.study.study import Study

NAME = "overlap of the arms"
# A covariate whose means lie a standard deviation apart leaves little to compare: half of an arm
# lies beyond the 84th percentile of the other.
MAX_SMD = 1.0
# Differences from here on are named where the arms do not overlap.
NAMED_SMD = 0.5
SMALLEST = 1e-9
# The most extreme units of the arms decide the range that both share. Where almost nobody has an
# extreme propensity, as in a small trial, units are outside that range by chance: no fault.
MAX_OUTSIDE = 0.05
MODERATE = (0.1, 0.9)


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Judge whether units of the two arms can be compared; see :func:`overlap_check`."""
    return (overlap_check(subject.study, subject.fit.propensity()),)


def overlap_check(study: Study, propensity: xr.DataArray) -> CheckResult:
    """Judge whether units of the two arms can be compared.

    Parameters
    ----------
    study : Study
        The study.
    propensity : DataArray, dims (chain, draw, unit)
        Probability of the non-reference arm.

    Returns
    -------
    CheckResult
        Fails on a near-positivity violation, or if the arms differ by a standard deviation or more
        in a covariate; the text names the broken rules and the covariates.
    """
    study.check_two_arms("a judgement of overlap")
    treatment = study.roles.treatment
    frame = with_columns(study.frame, {treatment: study.arm_index()})
    score = propensity.mean(SAMPLE).clip(SMALLEST, 1 - SMALLEST).to_numpy()
    extreme = float(((score < MODERATE[0]) | (score > MODERATE[1])).mean())
    report = overlap_report(
        frame,
        treatment=treatment,
        propensity=score,
        max_outside_support=MAX_OUTSIDE if extreme > MAX_OUTSIDE else 1.0,
    )
    smd = balance(frame, treatment=treatment, covariates=study.roles.covariates)["smd"]
    apart = smd[smd.abs() >= MAX_SMD].sort_values(key=abs, ascending=False)
    passed = report.passed and apart.empty
    reasons = report.reasons
    if len(apart):
        named = ", ".join(f"{name} (standardised difference {d:.2f})" for name, d in apart.items())
        reasons += (f"the arms are almost separated by {named}",)
    text = "The arms overlap."
    if not passed:
        far = smd[smd.abs() >= NAMED_SMD].sort_values(key=abs, ascending=False)
        text = f"Near-positivity violation: {'; '.join(reasons)}."
        if len(far):
            named = ", ".join(f"{name} ({d:.2f})" for name, d in far.items())
            text += f" Standardised differences between the arms are largest in {named}."
    return CheckResult(NAME, passed, report.table, text)
