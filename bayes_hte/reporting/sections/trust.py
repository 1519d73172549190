"""Can it be trusted: overlap, every check with its state, and what no check can show."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from bayes_hte.checks import loo_pit
from bayes_hte.checks.assignment import assumption
from bayes_hte.checks.base import CheckResult
from bayes_hte.plots import plot_loo_pit, plot_overlap
from bayes_hte.reporting.page.markup import (
    field_table,
    grid,
    named_check,
    paragraph,
    text,
    unordered,
    words,
)
from bayes_hte.reporting.page.section import Material, Section
from bayes_hte.reporting.page.svg import drawing
from bayes_hte.reporting.page.words import arm_names, people
from bayes_hte.reporting.sections.confounding import balance_block, hidden_confounding
from bayes_hte.reporting.tables.keys import check_keys

_SIGNS = {"pass": "\N{CHECK MARK}", "FAIL": "\N{MULTIPLICATION SIGN}", "information": "i"}


def trust(material: Material) -> Section:
    """Build the section on trust."""
    keyed = list(zip(check_keys(material.results), material.results.checks, strict=True))
    body = [
        trust_box(material),
        "<h3>Checks</h3>",
        _states(material),
        "<h3>Overlap of the arms</h3>",
        _overlap(material),
        "<h3>Balance of the covariates</h3>",
        balance_block(material),
        *(_left_out(material, check, k) for k, check in keyed if check.name == loo_pit.NAME),
        "<h3>How much hidden confounding would change the answer</h3>",
        hidden_confounding(material),
        "<h3>What no check of these data can show</h3>",
        _assumptions(material),
    ]
    return Section("trust", "Can it be trusted?", "".join(body))


def trust_box(material: Material) -> str:
    """Return the verdict with the checks that decided it, in words and colour."""
    trust = material.results.trust
    reasons = unordered(_reason(reason, trust.checks) for reason in trust.reasons)
    if trust.cautions:
        reasons += paragraph("Failed without deciding this verdict:") + unordered(
            named_check(c.name, c.text) for c in trust.cautions
        )
    warning = ""
    if "tnie" in material.results.effects or material.results.interventional is not None:
        warning = paragraph(
            "No check of the data can show that the mediator is free of confounding: direct and "
            "indirect effects rest on an assumption, stated below."
        )
    lines = "".join(
        f'<p class="headline{" plain" if place else ""}">{text(line)}.</p>'
        for place, line in enumerate(trust.lines(people=people(material.results)))
    )
    return (
        f'<div class="trust {trust.level}">{lines}{paragraph(text(trust.headline))}{reasons}'
        f"{warning}</div>"
    )


def _reason(reason: str, checks: Sequence[CheckResult]) -> str:
    """Return a reason with the name of its check, if it begins with one, as a run-in heading."""
    for check in checks:
        if reason == f"{check.name}: {check.text}":
            return named_check(check.name, check.text)
    return text(reason)


def _states(material: Material) -> str:
    if not material.results.checks:
        return paragraph("No checks were run.")
    numbers = paragraph('Their numbers are in the <a href="#appendix">appendix</a>.')
    fields = [
        words("Check", "check"),
        words("State", lambda row: _mark(row["state"])),
        words("What it means", "text"),
    ]
    made = field_table(
        "Checks and their states.", fields, material.tables["checks"], source="checks"
    )
    return numbers + made


def _mark(state: str) -> Markup:
    """Return a state with a sign and a weight, so that colour is not alone in saying it."""
    return Markup(
        f'<span class="result {state.lower()}"><span aria-hidden="true">{_SIGNS[state]}</span> '
        f"{state}</span>"
    )


def _overlap(material: Material) -> str:
    reference, other = arm_names(material.results)
    several = people(material.results)
    frame = material.tables["propensity"]
    drawn = plot_overlap(frame, title="Propensity by arm")
    ranges = []
    for arm, rows in frame[frame["n_units"] > 0].groupby("arm", sort=False):
        low, high = rows["bin_lower"].min(), rows["bin_upper"].max()
        ranges.append(f"{arm} between {low:g} and {high:g}")
    caption = (
        f"Posterior-mean probability of being given {other}, by the arm received: {other} upwards, "
        f"{reference} downwards. The arms can be compared where both have {several}."
    )
    alt = f"Mirrored histogram of propensities: {'; '.join(ranges)}."
    sentence = paragraph(
        f"A comparison needs {text(several)} of both arms at every propensity. "
        f"Propensities lie, to the width of a bar, for {text('; for '.join(ranges))}."
    )
    return sentence + grid([drawing(drawn, caption, key="overlap", alt=alt, source="propensity")])


def _left_out(material: Material, check: CheckResult, key: str) -> str:
    """Return the figure behind the check of left-out predictions, if the check could run."""
    if check.table.empty:
        return ""
    drawn = plot_loo_pit(check.table, title="Left-out outcomes in their predictions")
    caption = (
        "Share of each arm's outcomes in each tenth of their predictions from all other "
        f"{people(material.results)}; boxes hold the shares that a calibrated model gives (central "
        "99%)."
    )
    alt = f"Shares of outcomes by tenth of their left-out predictions, by arm. {check.text}"
    return (
        f"<h3>Predictions of left-out outcomes</h3>{paragraph(text(check.text))}"
        f"{grid([drawing(drawn, caption, key='loo-pit', alt=alt, source=key)])}"
    )


def _assumptions(material: Material) -> str:
    spec = material.results.spec
    outcome = text(spec.roles.outcome)
    said = str(text(assumption(spec.propensity.assignment, outcome=spec.roles.outcome)))
    parts = [said.replace("not randomised", "<strong>not</strong> randomised", 1)]
    if spec.roles.post_treatment is not None:
        parts.append(_given_confounder(material))
    elif spec.roles.mediator is not None:
        mediator, several = text(spec.roles.mediator_words), len(spec.roles.mediators) > 1
        both = f"both {mediator} and {outcome}"
        if several:
            both = f"{outcome} and either of its mediators"
        parts.append(
            f"<strong>Randomising the treatment does not make the mediator ignorable.</strong> "
            f"Nobody assigned {mediator} at random: {text(people(material.results))} with "
            f"different values may differ in other things that affect {outcome}. The direct and "
            "indirect effects are causal only under sequential ignorability: given the treatment "
            f"and the listed covariates, nothing unmeasured affects {both}, "
            f"and no cause of {outcome} other than {mediator} that the treatment itself "
            f"changes also affects {'either' if several else mediator}. Controlled direct "
            "effects, too, are biased by "
            "anything unmeasured that affects both."
        )
        if several:
            parts.append(
                "The joint effect of both mediators needs no assumption about the order of causes "
                "between them, nor do the interventional effects through each. A cause of either "
                "mediator and the outcome that the treatment changes would still bias the natural "
                "effects; no sensitivity analysis for two mediators is available."
            )
        found = material.results.sensitivity
        if not several and (found is None or found.rho is None):
            parts.append(
                "No sensitivity analysis for such confounding is available for these families; how "
                "much of it would change the conclusions is unknown."
            )
    parts.append(
        "All effects assume that a person's outcome depends on their own treatment only, and that "
        "the treatment was the one described."
    )
    return "".join(paragraph(part) for part in parts)


def _given_confounder(material: Material) -> str:
    """Say what interventional effects assume where the treatment changes a confounder."""
    roles = material.results.spec.roles
    mediator, outcome = text(roles.mediator_words), text(roles.outcome)
    return (
        "<strong>Randomising the treatment does not make the mediator ignorable.</strong> Nobody "
        f"assigned {mediator} at random. The interventional effects are causal only if, given the "
        f"treatment, the listed covariates and {text(roles.post_treatment or '')}, nothing "
        f"unmeasured affects both {mediator} and {outcome}. How much such confounding would change "
        "them is unknown: no sensitivity analysis for them is available."
    )
