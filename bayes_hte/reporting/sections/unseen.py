"""Predicted effects and unseen outcomes: calibration in bins, and the gain of targeting."""

from __future__ import annotations

from bayes_hte.checks.heterogeneity import SURE, is_readable, runs_against
from bayes_hte.plots import plot_calibration, plot_targeting_curve
from bayes_hte.reporting.page.fields import intervals, numbers
from bayes_hte.reporting.page.markup import (
    Field,
    Row,
    csv_link,
    field_table,
    grid,
    paragraph,
    text,
    words,
)
from bayes_hte.reporting.page.numbers import Style, against, number, probability
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.svg import drawing
from bayes_hte.reporting.page.words import (
    interval_phrase,
    people,
    person,
    title_case,
    unit_phrase,
    with_scale,
)

_HOW = {
    "held out": "were held out: no model has seen them",
    "left out one by one": (
        "were fitted, but each is predicted from all others, by weighting the posterior draws"
    ),
}


def unseen_outcomes(material: Material) -> str:
    """Return the block on ranking and calibration; a sentence where effects are all equal."""
    found = material.results.targeting
    heading = "<h3>Do the differences show in outcomes the model has not seen?</h3>"
    if found is None:
        return heading + paragraph(
            "This was not judged: the model predicts the same effect for all "
            f"{text(people(material.results))}, or their outcomes could not be left out."
        )
    judged = f"{found.n_units} {text(people(material.results))}"
    times = material.results.study.event is not None
    pseudo = " of pseudo-observations, as a censored time is no outcome" if times else ""
    words = paragraph(
        f"The {judged} judged here {_HOW[found.how]}. Observed effects are means of doubly robust "
        f"scores{pseudo}. {_slope(material)} {_area(material)}"
    )
    figures = grid([_calibration(material), _qini(material)])
    return heading + words + figures + _uplift(material)


def _slope(material: Material) -> str:
    """Say the slope of observed on predicted effects, or what a slope without sense means."""
    row = material.tables["areas"].set_index("quantity").loc["calibration_slope"]
    return slope_words(row, material)


def slope_words(row: Row, material: Material) -> str:
    """Say in words what a slope of observed on predicted effects means.

    Parameters
    ----------
    row : mapping
        Its summary.
    material : Material
        For the kind of interval, and the word for a unit.

    Returns
    -------
    str
        Safe HTML; the number only where it can be read.
    """
    several = text(people(material.results))
    if runs_against(row["prob_positive"]):
        return (
            f"The predicted differences run against what was observed: {several} expected to "
            "benefit more benefited less. This happens where effects barely vary, because a "
            "prediction made without an outcome leans away from it; the slope then has no readable "
            "size. Nobody should be ranked by these predictions."
        )
    if not is_readable(row):
        return (
            "The predicted effects barely vary, so the slope of observed on predicted effects has "
            "no readable size: these data do not say whether the differences are real."
        )
    return (
        "The slope of observed on predicted effects is "
        f"<b>{number(row['mean'], 2)}</b> ({material.bounds(row, 2)}; 1 if predicted differences "
        "are borne out, 0 if they are noise); it is above 0 with posterior probability "
        f"{text(against(row['prob_positive'], SURE))}."
    )


def _area(material: Material) -> str:
    row = material.tables["areas"].set_index("quantity").loc["qini_coefficient"]
    d = material.scale.style([row["sd"]])
    return (
        "The Qini coefficient, the area between the curve below and a random choice, is "
        f"{number(row['mean'], d)} ({material.bounds(row, d)}), above 0 with probability "
        f"{text(probability(row['prob_positive']))}. {csv_link('areas')}"
    )


def _finer(material: Material) -> Style:
    """How to write a gain per unit of the population, which is smaller than an effect."""
    return material.style.finer


def _calibration(material: Material) -> str:
    unit = unit_phrase(material.results)
    frame = material.tables["effect_calibration"]
    drawn = plot_calibration(
        frame,
        xlabel=f"predicted effect, {unit}",
        ylabel=f"observed effect, {unit}",
        title="Predicted and observed effects",
    )
    drawn = material.scale.on_axes(drawn, "xy")
    both = "the prediction and the observation"
    lines = "the observation" if frame["ci_lower"].isna().any() else both
    caption = (
        f"Average effects in groups of {people(material.results)} with similar predicted effects. "
        f"Points: posterior means. Lines: {interval_phrase(material.results)}, of {lines}. "
        "Dashed diagonal: predictions borne out exactly."
    )
    rows = frame[frame["quantity"] == "observed"]
    said = "; ".join(
        f"group {int(row['bin'])}: {number(row['mean'], material.style)}"
        for row in rows.to_dict("records")
    )
    alt = f"Observed average effects by group of predicted effect, lowest first: {said}."
    return drawing(drawn, caption, key="effect-calibration", alt=alt, source="effect_calibration")


def _qini(material: Material) -> str:
    unit = unit_phrase(material.results)
    frame = material.tables["qini"]
    drawn = plot_targeting_curve(frame, ylabel=f"gain, {unit}", title="Gain of targeting (Qini)")
    drawn = material.scale.on_axes(drawn, "y")
    caption = (
        f"Gain per {person(material.results)} of the population when the given share is "
        "treated in the order of predicted benefit, over treating as many at random. "
        f"Band: pointwise {interval_phrase(material.results)}."
    )
    best = frame.loc[frame["mean"].idxmax()]
    alt = (
        f"Qini curve; its highest point is {number(best['mean'], _finer(material))} at a share of "
        f"{100 * best['fraction']:.0f}%."
    )
    return drawing(drawn, caption, key="qini", alt=alt, source="qini")


def _uplift(material: Material) -> str:
    frame, d = material.tables["uplift"], material.style
    predicted = frame[frame["quantity"] == "predicted"].set_index("fraction")["mean"]
    fields = [
        words(
            title_case(f"{people(material.results)} ranked first"),
            lambda row: f"top {100 * row['fraction']:g}%",
        ),
        Field("Predicted effect", lambda row: number(predicted[row["fraction"]], d)),
        numbers("Observed effect", "mean", d),
        intervals(material, of=" of the observed effect"),
    ]
    caption = "Mean effect of those with the largest predicted benefit."
    observed = frame[frame["quantity"] == "observed"]
    return field_table(with_scale(caption, material.results), fields, observed, source="uplift")
