"""Absolute and relative effects side by side: outcomes of both arms, differences, ratios."""

from __future__ import annotations

import pandas as pd

from bayes_hte.reporting.page.markup import Field, Row, field_table, paragraph, words
from bayes_hte.reporting.page.numbers import MINUS, Style, number, span
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import arm_names, interval_phrase, people, risk_group
from bayes_hte.reporting.sections.conclusion import needed_words
from bayes_hte.reporting.tables.relative import ALL, BY_RISK, NUMBER_NEEDED, RATIOS, RELATIVE

_REFERENCE = {
    "risk": (
        "Risk ratio and odds ratio are relative: 1 is no effect. The same ratio is a larger "
        "difference where the probability under the reference arm is high. The number needed to "
        "treat is one over the difference; an interval of the difference that holds 0 makes it "
        "pass through infinity."
    ),
    "rate": "A rate ratio of 1 is no effect; the same ratio is a larger difference at high rates.",
}


_HEADINGS = {
    "risk_ratio": "Risk ratio",
    "odds_ratio": "Odds ratio",
    "rate_ratio": "Rate ratio",
}


def relative(material: Material) -> str:
    """Return the arms on both scales, for all units and for groups; empty without ratios."""
    kind = material.scale.kind
    if RELATIVE not in material.tables or not RATIOS[kind]:
        return ""
    frame = material.tables[RELATIVE]
    views = {ALL: f"All {people(material.results)}", BY_RISK: f"By {material.scale.level} expected"}
    body = "<h3>Absolute and relative effects</h3>" + paragraph(_REFERENCE[kind])
    wide = _wide(frame)
    if kind == "risk":
        inside = wide["view"] == BY_RISK
        n = int(inside.sum())
        wide.loc[inside, "group"] = [risk_group(place, n) for place in range(n)]
    groups = [
        (views.get(view, view[0].upper() + view[1:]), part.drop(columns="view"))
        for view, part in wide.groupby("view", sort=False)
    ]
    caption = f"Both arms, {'in per cent and ' if kind == 'risk' else ''}as difference and ratio."
    return body + field_table(caption, _fields(material), groups, source=RELATIVE)


def _wide(frame: pd.DataFrame) -> pd.DataFrame:
    """Put the quantities of a group into one row, each as the record of its summary."""
    rows = []
    for (view, group), part in frame.groupby(["view", "group"], sort=False):
        records = {row["quantity"]: row for row in part.to_dict("records")}
        rows.append({"view": view, "group": group, "n_units": part["n_units"].iloc[0], **records})
    return pd.DataFrame(rows)


def _fields(material: Material) -> list[Field]:
    results, scale = material.results, material.scale
    reference, other = arm_names(results)
    unit = f", {scale.level_unit}" if scale.level_unit else ""
    short = interval_phrase(results)

    def both(key: str, style: int | Style) -> Field:
        column = "mean" if key in ("outcome_reference", "outcome_other", "difference") else "median"

        def cell(row: Row) -> str:
            one = row[key]
            ends = span(one["ci_lower"], one["ci_upper"], style)
            return f"{number(one[column], style)} ({ends})"

        return Field(_HEADINGS.get(key, key), cell)

    fields = [
        words("Group", lambda row: str(row["group"]).replace("-", MINUS)),
        Field(f"Number of {people(results)}", lambda row: str(row["n_units"])),
    ]
    style = material.style
    for key, heading in (
        ("outcome_reference", f"{reference}{unit}"),
        ("outcome_other", f"{other}{unit}"),
        ("difference", f"Difference, {scale.unit}"),
    ):
        fields.append(Field(f"{heading} ({short})", both(key, style).cell))
    for key in RATIOS[scale.kind]:
        if key == NUMBER_NEEDED:
            fields.append(
                words("Number needed to treat", lambda row: needed_words(row[NUMBER_NEEDED]))
            )
        else:
            fields.append(Field(f"{_HEADINGS[key]} ({short})", both(key, 2).cell))
    return fields
