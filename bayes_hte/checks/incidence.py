"""Cumulative incidence of the cause of interest against the Aalen-Johansen curve of each arm.

See :func:`bayes_hte.check_incidence` for what is compared. Two intervals of 95% that do not meet
are rarer than 1 in 100 by chance alone, so the check fails if any do not.
"""

from __future__ import annotations

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.subject import Subject

NAME = "cumulative incidence"


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Compare the incidence of the cause of interest; nothing unless events have several causes."""
    # Here, because it loads PyMC.
    from bayes_hte.fitting.incidence_check import check_incidence

    if not subject.study.causes:
        return ()
    table = check_incidence(subject.fit)
    apart = (table["ci_lower"] > table["observed_upper"]) | (
        table["ci_upper"] < table["observed_lower"]
    )
    largest = float((table["incidence"] - table["observed"]).abs().max())
    cause, n = subject.study.causes[0], len(table)
    said = f"At {n} times and arms the risk of {cause} that the model expects of those in the arm"
    if apart.any():
        text = (
            f"{said} and the Aalen-Johansen curve lie further apart than both intervals allow in "
            f"{int(apart.sum())}; the largest distance is {largest:.2g}. Hazards that covariates "
            "do not explain, or censoring that depends on covariates, can do this."
        )
    else:
        text = (
            f"{said} agrees with the Aalen-Johansen curve within both intervals; the largest "
            f"distance is {largest:.2g}."
        )
    # Arms by their names, which are what readers know.
    table = table.reset_index()
    names = dict(zip(subject.study.arms, subject.arm_names, strict=True))
    table["arm"] = [names.get(arm, str(arm)) for arm in table["arm"]]
    return (CheckResult(NAME, not bool(apart.any()), table, text),)
