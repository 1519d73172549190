"""Balance, weights, and how much hidden confounding would change the answer."""

from __future__ import annotations

import pandas as pd

from bayes_hte.plots import plot_love, plot_rho, plot_tipping, plot_weights
from bayes_hte.reporting.page.fields import intervals, numbers
from bayes_hte.reporting.page.markup import (
    csv_link,
    field_table,
    grid,
    named_check,
    paragraph,
    text,
    words,
)
from bayes_hte.reporting.page.numbers import number
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.svg import drawing
from bayes_hte.reporting.page.words import (
    arm_names,
    effect_label,
    interval_phrase,
    people,
    unit_phrase,
    with_scale,
)

_SMALL = 0.1


def balance_block(material: Material) -> str:
    """Return the love plot and the distribution of the weights."""
    known = material.results.classical
    sizes = known.weighted.diagnostics.loc[["control", "treated"]].to_dict("records")
    effective = " and ".join(
        f"{row['ess']:.0f} of {row['n']:.0f} in {arm}"
        for arm, row in zip(arm_names(material.results), sizes, strict=True)
    )
    sentence = paragraph(
        f"A difference below {_SMALL} standard deviations is usually called small. Unequal weights "
        "cost precision: the effective number of "
        f"{text(people(material.results))} is {text(effective)}."
    )
    return sentence + grid([_love(material), _weights(material)])


def _love(material: Material) -> str:
    frame = material.results.classical.balance
    drawn = plot_love(frame, title="Balance of the covariates")
    caption = (
        "Standardised mean difference of each covariate between the arms: raw, after matching, and "
        f"after weighting. Dotted lines: {_SMALL}."
    )
    large = (frame[["raw", "matched", "weighted"]].abs() > _SMALL).sum()
    said = ", ".join(f"{count} {name}" for name, count in large.items())
    alt = f"Love plot of {len(frame)} covariates; differences beyond {_SMALL}: {said}."
    return drawing(drawn, caption, key="love", alt=alt, source="balance")


def _weights(material: Material) -> str:
    drawn = plot_weights(material.tables["weights"], title="Weights by arm")
    largest = material.results.classical.weighted.weights.max()
    caption = (
        f"Stabilised inverse-probability weights. A few {people(material.results)} with large "
        f"weights may speak for many; the largest weight is {largest:.3g}."
    )
    alt = f"Histogram of the stabilised weights of both arms; the largest is {largest:.3g}."
    return drawing(drawn, caption, key="weights", alt=alt, source="weights")


def hidden_confounding(material: Material) -> str:
    """Return the sensitivity analyses of the study, in words, tables and figures."""
    found = material.results.sensitivity
    if found is None:
        return paragraph("No sensitivity analysis was made.")
    if not found.checks():
        return paragraph(
            "No sensitivity analysis applies here: the treatment was randomised, so nothing hidden "
            "can confound the total effect."
        )
    said = found.checks(**material.results.interval)
    parts = [paragraph(named_check(c.name, c.text)) for c in said]
    figures, files = [], []
    if found.e_values:
        parts.append(_e_values(material))
    if found.tipping is not None:
        figures.append(_tipping(material))
        files += ["tipping_points", "tipping_benchmarks"]
    if found.rho is not None:
        figures.append(_rho(material))
        files.append("rho_zero")
    links = " ".join(csv_link(key) for key in files if key in material.tables)
    return "".join(parts) + grid(figures) + (paragraph(links) if links else "")


def _e_values(material: Material) -> str:
    frame, unit = material.tables["e_values"], unit_phrase(material.results)
    fields = [
        words(
            "Effect moved to",
            lambda row: (
                "no effect"
                if row["target"] == 0
                else f"{material.scale.size(row['target'])} {unit}"
            ),
        ),
        numbers("E-value, posterior median", "median", 2),
        intervals(material, 2),
    ]
    rows = frame[frame["quantity"] == "e_value"]
    return field_table(
        with_scale("E-values of the average effect.", material.results),
        fields,
        rows,
        source="e_values",
    )


def _tipping(material: Material) -> str:
    tables = material.tables
    benchmarks = tables.get("tipping_benchmarks")
    drawn = plot_tipping(
        tables["tipping"],
        tips=tables["tipping_points"].set_index("level"),
        benchmarks=None if benchmarks is None else benchmarks.set_index("covariate"),
        ylabel=f"effect of the confounder, {unit_phrase(material.results)}",
        title="What a hidden confounder would leave",
    )
    caption = (
        "Posterior probability of benefit left if a confounder with this difference between the "
        "arms and this effect on the outcome had flattered the treatment. Lines: where the "
        "probability falls below 0.95 and 0.5. Labelled points: the observed covariates, each as "
        "if it were the confounder."
    )
    tips = "; ".join(
        f"below {row['level']:g} from a bias of {number(row['bias'], material.style)}"
        for row in tables["tipping_points"].to_dict("records")
        if row["reached"]
    )
    alt = (
        f"Probability of benefit over the strength of a hidden confounder; {tips or 'never high'}."
    )
    return drawing(drawn, caption, key="tipping", alt=alt, source="tipping")


def _rho(material: Material) -> str:
    results = material.results
    frame = material.tables["rho"]
    shown = frame[frame["quantity"] == "tnie"]
    zero = material.tables["rho_zero"].set_index("quantity")
    drawn = plot_rho(
        frame,
        root=zero,
        better=results.spec.outcome.better,
        ylabel=effect_label(results),
        limits=_limits(frame),
        title="Confounding of mediator and outcome",
    )
    median = number(zero.loc["rho_zero", "median"], 2)
    caption = (
        "Average indirect and direct effects if the errors of mediator and outcome had this "
        "correlation, because something unmeasured moves both; 0 is the assumption of the rest of "
        f"the report. Bands: {interval_phrase(results)}. On the zero line: the correlation at "
        "which the indirect effect vanishes, median and interval."
    )
    ends = ", ".join(
        f"{number(row['mean'], material.style)} at {row['rho']:g}"
        for row in shown.iloc[[0, len(shown) // 2, len(shown) - 1]].to_dict("records")
    )
    alt = f"Average indirect effect by assumed error correlation: {ends}; zero at {median}."
    return drawing(drawn, caption, key="rho", alt=alt, source="rho")


def _limits(frame: pd.DataFrame) -> tuple[float, float]:
    """Ends of an axis that holds the effects at moderate correlations; extremes run far away."""
    moderate = frame[frame["rho"].abs() <= 0.6]
    low, high = float(moderate["ci_lower"].min()), float(moderate["ci_upper"].max())
    room = 0.05 * (high - low)
    return min(low, 0.0) - room, max(high, 0.0) + room
