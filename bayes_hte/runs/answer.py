"""The answer of a run in a few lines of text, for the end of the command line's output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayes_hte.checks import assignment

if TYPE_CHECKING:
    from bayes_hte.checks.base import CheckResult
    from bayes_hte.mixtures.identification import Identifiability
    from bayes_hte.mixtures.likelihood.mixture_fit import MixtureFit
    from bayes_hte.reporting.arms import ArmResults
    from bayes_hte.reporting.results import Results
    from bayes_hte.study.spec import ReportSpec


def answer_lines(results: Results) -> list[str]:
    """Say what came out: average effects, subgroups, classes, whether to use it, and each check.

    Parameters
    ----------
    results : Results
        A finished run.

    Returns
    -------
    list of str
    """
    from bayes_hte.effects.summaries import interval_words, summarize
    from bayes_hte.reporting.page.scale import scale_of
    from bayes_hte.reporting.tables.subgroups import declared

    spec = results.spec
    table = summarize(results.averages, ci_prob=spec.report.ci_prob, ci_kind=spec.report.ci_kind)
    words = interval_words(spec.report.ci_prob, spec.report.ci_kind)
    scale = scale_of(spec)
    unit = f" in {scale.unit}" if scale.kind == "risk" else ""
    lines = [
        f"average effects over the units studied (SATE){unit}, {results.study.contrast}; {words}"
    ]
    columns = ["mean", "ci_lower", "ci_upper"]
    for name, row in (scale.factor * table[columns]).iterrows():
        lines.append(
            f"  {name:5} {row['mean']:+.4f}  [{row['ci_lower']:+.4f}, {row['ci_upper']:+.4f}]"
        )
    for name in results.honest or results.subgroups:
        where = "each half judged by the other" if results.honest else "not judged on other data"
        said = "declared" if declared(results, name) else "none declared"
        lines.append(f"subgroups of {name}: {said} ({where})")
    if results.mixture is not None:
        lines += _classes(results.mixture, spec.report)
    lines += results.trust.lines(people=results.spec.roles.units)
    return lines + [_check_line(check, results) for check in results.trust.checks]


def _check_line(check: CheckResult, results: Results) -> str:
    """Say the state of a check; of the assignment also how units came to their arm."""
    line = f"check {check.state:11} {check.name}"
    if check.name != assignment.NAME:
        return line
    if check.passed:
        return f"{line}: randomised"
    # Without it nothing can be used but with care, whatever the other checks say.
    return f"{line}: not randomised, so numbers are used with care at best"


def problem_of(results: Results) -> str:
    """Return the sentence about failed sampling, or nothing if all of it is healthy."""
    if not results.healthy:
        return (
            "the sampling failed its health checks; the results are saved, but must not be used. "
            "See the top of the report."
        )
    if results.mixture is not None and not results.mixture.healthy:
        return "the mixture failed its health checks; what the report says of it must not be used."
    return ""


def arm_lines(arms: ArmResults) -> list[str]:
    """Say what came out of a study of several arms: each contrast, and which arm for whom.

    Parameters
    ----------
    arms : ArmResults
        A finished run.

    Returns
    -------
    list of str
    """
    unit = arms.spec.outcome.unit or "units of the outcome"
    lines = [line for results in arms.contrasts.values() for line in answer_lines(results)]
    lines.append(f"which arm for whom, in {unit}")
    return lines + [
        f"  {choice!s:22} expected outcome {row['outcome']:.4f}, expected regret "
        f"{row['expected_regret']:.4f}, best for {row['share']:.0%}"
        for choice, row in arms.choices.iterrows()
    ]


def arm_problem(arms: ArmResults) -> str:
    """Return the sentence about failed sampling in any contrast, or nothing."""
    return next(filter(None, map(problem_of, arms.contrasts.values())), "")


def reached(graph: Identifiability) -> str:
    """Name the level of a mixture that a declared graph reaches."""
    from bayes_hte.mixtures.identification import LEVELS

    return "no level" if graph.level is None else f"level {graph.level}: {LEVELS[graph.level]}"


def _classes(fit: MixtureFit, intervals: ReportSpec) -> list[str]:
    lines = [f"classes, {reached(fit.identifiability)}"]
    table = fit.summary(ci_prob=intervals.ci_prob, ci_kind=intervals.ci_kind)
    words = {"ate": "average effect", "effects": "effect", "probabilities": "probability"}
    for (quantity, label), row in table.iterrows():
        name = words[quantity] + (f" of class {label}" if label >= 0 else "")
        interval = f"[{row['ci_lower']:+.4f}, {row['ci_upper']:+.4f}]"
        lines.append(f"  {name:22} {row['mean']:+.4f}  {interval}")
    return [*lines, f"  likelihood and moments: {fit.agreement.answer}"]
