"""Effects against outcomes they have not seen: calibration in bins, the gain of targeting."""

from __future__ import annotations

from bayes_hte.plots import plot_calibration, plot_targeting_curve
from bayes_hte.reporting.markup import figure, grid, paragraph
from bayes_hte.reporting.numbers import number, probability_words, span
from bayes_hte.reporting.page import Material
from bayes_hte.reporting.svg import inline_svg
from bayes_hte.reporting.words import interval_phrase, unit_phrase

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
        return heading + paragraph("The model predicts the same effect for everybody.")
    areas = material.tables["areas"].set_index("quantity")
    slope, area = areas.loc["calibration_slope"], areas.loc["qini_coefficient"]
    phrase = interval_phrase(material.results)
    d = material.decimals
    words = paragraph(
        f"The {found.n_units} units judged here {_HOW[found.how]}. Observed effects are means of "
        "doubly robust scores. The slope of observed on predicted effects is "
        f"<b>{number(slope['mean'], 2)}</b> ({phrase}: {span(slope['ci_lower'], slope['ci_upper'], 2)}"
        "; 1 if predicted differences are borne out, 0 if they are noise); it is above 0 with "
        f"posterior probability {probability_words(slope['prob_positive'])}. The Qini coefficient "
        f"is {number(area['mean'], d + 1)} ({phrase}: "
        f"{span(area['ci_lower'], area['ci_upper'], d + 1)}), above 0 with probability "
        f"{probability_words(area['prob_positive'])}."
    )
    return heading + words + grid([_calibration(material), _qini(material)])


def _calibration(material: Material) -> str:
    unit = unit_phrase(material.results)
    frame = material.tables["effect_calibration"]
    drawn = plot_calibration(
        frame,
        xlabel=f"predicted effect, {unit}",
        ylabel=f"observed effect, {unit}",
        title="Predicted and observed effects",
    )
    phrase = interval_phrase(material.results)
    caption = (
        "Average effects in groups of units with similar predicted effects. Points: posterior "
        f"means. Lines: {phrase}, of the prediction and of the observation. Dashed diagonal: "
        "predictions borne out exactly."
    )
    rows = frame[frame["quantity"] == "observed"]
    said = "; ".join(
        f"group {int(row['bin'])}: {number(row['mean'], material.decimals)}"
        for row in rows.to_dict("records")
    )
    alt = f"Observed average effects by group of predicted effect, lowest first: {said}."
    svg = inline_svg(drawn, key="fig-effect-calibration", alt=alt)
    return figure(svg, caption, source="effect_calibration")


def _qini(material: Material) -> str:
    unit = unit_phrase(material.results)
    frame = material.tables["qini"]
    drawn = plot_targeting_curve(frame, ylabel=f"gain, {unit}", title="Gain of targeting (Qini)")
    caption = (
        "Gain for each unit of the population when the given share is treated in the order of "
        "predicted benefit, over treating as many at random. Band: pointwise "
        f"{interval_phrase(material.results)}."
    )
    best = frame.loc[frame["mean"].idxmax()]
    alt = (
        f"Qini curve; its highest point is {number(best['mean'], material.decimals + 1)} at a share "
        f"of {100 * best['fraction']:.0f}%."
    )
    return figure(inline_svg(drawn, key="fig-qini", alt=alt), caption, source="qini")
