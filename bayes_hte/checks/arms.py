"""Overlap of the arms, as a check of the design."""

from __future__ import annotations

import xarray as xr

from bayes_hte.checks.base import CheckResult
from bayes_hte.companions.overlap import overlap_report
from bayes_hte.names import SAMPLE
from bayes_hte.study import Study


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
        Fails on a near-positivity violation, with the broken rules in the text.
    """
    frame = study.frame.assign(**{study.roles.treatment: study.arm_index()})
    report = overlap_report(
        frame,
        treatment=study.roles.treatment,
        propensity=propensity.mean(SAMPLE).to_numpy(),
    )
    text = report.verdict[0].upper() + report.verdict[1:] + "."
    return CheckResult("overlap of the arms", report.passed, report.table, text)
