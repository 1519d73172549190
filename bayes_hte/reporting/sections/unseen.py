"""Effects against outcomes they have not seen: calibration in bins, the gain of targeting."""

from __future__ import annotations

from bayes_hte.effects.summaries import probability_words
from bayes_hte.plots import plot_calibration, plot_targeting_curve
from bayes_hte.reporting.page.markup import Column, csv_link, figure, grid, paragraph, table, text
from bayes_hte.reporting.page.numbers import number, span
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.svg import inline_svg
from bayes_hte.reporting.page.words import interval_phrase, people, person, title_case, unit_phrase

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
    words = paragraph(
        f"The {judged} judged here {_HOW[found.how]}. Observed effects are means of doubly robust "
        f"scores. {_slope(material)} {_area(material)}"
    )
    figures = grid([_calibration(material), _qini(material)])
    return heading + words + figures + _uplift(material)


def _slope(material: Material) -> str:
    row = material.tables["areas"].set_index("quantity").loc["calibration_slope"]
    return (
        "The slope of observed on predicted effects is "
        f"<b>{number(row['mean'], 2)}</b> ({interval_phrase(material.results)}: "
        f"{span(row['ci_lower'], row['ci_upper'], 2)}; 1 if predicted differences are borne out, "
        "0 if they are noise); it is above 0 with posterior probability "
        f"{probability_words(row['prob_positive'])}."
    )


def _area(material: Material) -> str:
    row = material.tables["areas"].set_index("quantity").loc["qini_coefficient"]
    d = _finer(material)
    return (
        "The Qini coefficient, the area between the curve below and a random choice, is "
        f"{number(row['mean'], d)} ({interval_phrase(material.results)}: "
        f"{span(row['ci_lower'], row['ci_upper'], d)}), above 0 with probability "
        f"{probability_words(row['prob_positive'])}. {csv_link('areas')}"
    )


def _finer(material: Material) -> int:
    """Decimals of a gain for each unit of the population, which is smaller than an effect."""
    return material.decimals + 1


def _calibration(material: Material) -> str:
    unit = unit_phrase(material.results)
    frame = material.tables["effect_calibration"]
    drawn = plot_calibration(
        frame,
        xlabel=f"predicted effect, {unit}",
        ylabel=f"observed effect, {unit}",
        title="Predicted and observed effects",
    )
    both = "the prediction and the observation"
    lines = "the observation" if frame["ci_lower"].isna().any() else both
    caption = (
        f"Average effects in groups of {people(material.results)} with similar predicted effects. "
        f"Points: posterior means. Lines: {interval_phrase(material.results)}, of {lines}. "
        "Dashed diagonal: predictions borne out exactly."
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
        f"Gain for each {person(material.results)} of the population when the given share is "
        "treated in the order of predicted benefit, over treating as many at random. "
        f"Band: pointwise {interval_phrase(material.results)}."
    )
    best = frame.loc[frame["mean"].idxmax()]
    alt = (
        f"Qini curve; its highest point is {number(best['mean'], _finer(material))} at a share of "
        f"{100 * best['fraction']:.0f}%."
    )
    return figure(inline_svg(drawn, key="fig-qini", alt=alt), caption, source="qini")


def _uplift(material: Material) -> str:
    d, results = material.decimals, material.results
    columns = [
        Column(title_case(f"{people(results)} ranked first"), numeric=False),
        Column("Predicted effect"),
        Column("Observed effect"),
        Column(f"{interval_phrase(results)} of the observed effect"),
    ]
    frame = material.tables["uplift"]
    predicted, observed = (
        frame[frame["quantity"] == name].set_index("fraction") for name in ("predicted", "observed")
    )
    rows = [
        [
            f"top {100 * share:g}%",
            number(predicted.loc[share, "mean"], d),
            number(row["mean"], d),
            span(row["ci_lower"], row["ci_upper"], d),
        ]
        for share, row in observed.iterrows()
    ]
    caption = "Mean effect of those with the largest predicted benefit."
    return table(caption, columns, [(None, rows)], source="uplift")
