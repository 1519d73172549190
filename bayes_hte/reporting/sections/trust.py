"""Can it be trusted: overlap, every check with its verdict, and what no check can show."""

from __future__ import annotations

import pandas as pd

from bayes_hte.checks import loo_pit
from bayes_hte.checks.assignment import assumption
from bayes_hte.checks.base import CheckResult
from bayes_hte.plots import plot_loo_pit, plot_overlap
from bayes_hte.reporting.page.markup import (
    Column,
    Html,
    details,
    figure,
    grid,
    paragraph,
    table,
    text,
)
from bayes_hte.reporting.page.numbers import plain
from bayes_hte.reporting.page.section import Material, Section
from bayes_hte.reporting.page.svg import inline_svg
from bayes_hte.reporting.page.words import arm_names, people
from bayes_hte.reporting.sections.confounding import balance_block, hidden_confounding
from bayes_hte.reporting.tables.keys import check_keys

_MOST_ROWS = 15


def trust(material: Material) -> Section:
    """Build the section on trust."""
    body = [
        "<h3>Checks</h3>",
        _verdicts(material),
        _numbers(material),
        "<h3>Overlap of the arms</h3>",
        _overlap(material),
        "<h3>Balance of the covariates</h3>",
        balance_block(material),
        _calibration(material),
        "<h3>How much hidden confounding would change the answer</h3>",
        hidden_confounding(material),
        "<h3>What no check of these data can show</h3>",
        _assumptions(material),
    ]
    return Section("trust", "Can it be trusted?", "".join(body))


def _verdicts(material: Material) -> str:
    if not material.results.checks:
        return paragraph("No checks were run.")
    columns = [
        Column("Check", numeric=False),
        Column("Verdict", numeric=False),
        Column("What it means", numeric=False),
    ]
    rows = [
        [row["check"], _mark(row["verdict"]), row["text"]]
        for row in material.tables["checks"].to_dict("records")
    ]
    return table("Checks and their verdicts.", columns, [(None, rows)], source="checks")


def _mark(verdict: str) -> Html:
    """Return a verdict with a sign and a weight, so that colour is not alone in saying it."""
    signs = {"pass": "\N{CHECK MARK}", "FAIL": "\N{MULTIPLICATION SIGN}", "information": "i"}
    return Html(
        f'<span class="verdict {verdict.lower()}"><span aria-hidden="true">{signs[verdict]}</span> '
        f"{verdict}</span>"
    )


def _numbers(material: Material) -> str:
    blocks = [
        _check_numbers(check, key, material.tables[key])
        for key, check in zip(check_keys(material.results), material.results.checks, strict=True)
        if key in material.tables
    ]
    return "".join(blocks)


def _check_numbers(check: CheckResult, key: str, frame: pd.DataFrame) -> str:
    shown = frame.head(_MOST_ROWS)
    columns = [Column(str(c), numeric=bool(i)) for i, c in enumerate(shown)]
    rows = [[plain(v) for v in row] for row in shown.itertuples(index=False)]
    more = f" First {len(shown)} of {len(frame)} rows." if len(shown) < len(frame) else ""
    inner = table(f"{check.name}.{more}", columns, [(None, rows)], source=key)
    return details(
        f"Numbers behind: {check.name} ({check.verdict})", inner, is_open=check.passed is False
    )


def _overlap(material: Material) -> str:
    reference, other = arm_names(material.results)
    frame = material.tables["propensity"]
    drawn = plot_overlap(frame, title="Propensity by arm")
    words = []
    for arm, rows in frame[frame["n_units"] > 0].groupby("arm", sort=False):
        low, high = rows["bin_lower"].min(), rows["bin_upper"].max()
        words.append(f"{arm} between {low:g} and {high:g}")
    caption = (
        f"Posterior-mean probability of being given {other}, by the arm received: {other} upwards, "
        f"{reference} downwards. The arms can be compared where both have "
        f"{people(material.results)}."
    )
    alt = f"Mirrored histogram of propensities: {'; '.join(words)}."
    sentence = paragraph(
        f"A comparison needs {text(people(material.results))} of both arms at every propensity. "
        f"Propensities lie, to the width of a bar, for {text('; for '.join(words))}."
    )
    drawing = figure(inline_svg(drawn, key="fig-overlap", alt=alt), caption, source="propensity")
    return sentence + grid([drawing])


def _calibration(material: Material) -> str:
    """Return the figure behind the check of left-out predictions, if the check could run."""
    checks = {
        c.name: (k, c)
        for k, c in zip(check_keys(material.results), material.results.checks, strict=True)
    }
    if loo_pit.NAME not in checks or checks[loo_pit.NAME][1].table.empty:
        return ""
    key, check = checks[loo_pit.NAME]
    drawn = plot_loo_pit(check.table, title="Left-out outcomes in their predictions")
    caption = (
        "Share of each arm's outcomes in each tenth of their predictions from all other "
        f"{people(material.results)}; boxes hold what a calibrated model gives (central 99%)."
    )
    alt = f"Shares of outcomes by tenth of their left-out predictions, by arm. {check.text}"
    drawing = figure(inline_svg(drawn, key="fig-loo-pit", alt=alt), caption, source=key)
    return (
        "<h3>Predictions of left-out outcomes</h3>" + paragraph(text(check.text)) + grid([drawing])
    )


def _assumptions(material: Material) -> str:
    spec = material.results.spec
    outcome = text(spec.roles.outcome)
    words = text(assumption(spec.propensity.assignment, outcome=spec.roles.outcome))
    parts = [words.replace("not randomised", "<strong>not</strong> randomised", 1)]
    if spec.roles.mediator is not None:
        mediator = text(spec.roles.mediator)
        parts.append(
            f"<strong>Randomising the treatment does not make the mediator ignorable.</strong> "
            f"Nobody assigned {mediator} at random: {text(people(material.results))} with "
            f"different values may differ in other things that affect {outcome}. The direct and "
            "indirect effects are causal only under sequential ignorability: given the treatment "
            f"and the listed covariates, nothing unmeasured affects both {mediator} and {outcome}, "
            f"and no cause of {outcome} other than {mediator} that the treatment itself "
            f"changes also affects {mediator}. Controlled direct effects, too, are biased by "
            "anything unmeasured that affects both."
        )
        found = material.results.sensitivity
        if found is None or found.rho is None:
            parts.append(
                "No sensitivity analysis for such confounding is worked out for these families; "
                "how much of it would change the conclusions is unknown."
            )
    parts.append(
        "All effects assume that a person's outcome depends on their own treatment only, and that "
        "the treatment was the one described."
    )
    return "".join(paragraph(part) for part in parts)
