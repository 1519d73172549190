"""Figures over time: cumulative incidence by arm, and the curves of found subgroups."""

from __future__ import annotations

import pandas as pd

from bayes_hte.plots import plot_survival
from bayes_hte.reporting.page.markup import grid, paragraph, text
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.svg import drawing
from bayes_hte.reporting.page.words import (
    arm_names,
    effect_name,
    estimand_words,
    horizon,
    interval_phrase,
    people,
    time_axis,
    time_unit,
)
from bayes_hte.reporting.tables.survival import (
    ALL,
    AT_RISK,
    INCIDENCE,
    OBSERVED_INCIDENCE,
    SUBGROUPS,
    SUBGROUPS_AT_RISK,
    group_names,
)


def incidence_figures(material: Material) -> str:
    """Return the cumulative incidence of the cause of interest, of everybody and of thirds."""
    shown = material.tables[INCIDENCE]["group"].unique()
    groups = [group for group in group_names(material.results) if group in shown]
    return grid([_incidence(material, group) for group in groups])


def _incidence(material: Material, group: str) -> str:
    results, everybody = material.results, group == ALL
    names, cause = arm_names(results), results.study.causes[0]
    rows = _by_position(material.tables[INCIDENCE].query("group == @group"))
    more = {}
    if everybody:
        more["observed"] = _by_position(material.tables[OBSERVED_INCIDENCE])
        more["at_risk"] = _at_risk(material.tables[AT_RISK])
    title = f"Risk of {cause}, {'everybody' if everybody else f'the {group}'}"
    drawn = plot_survival(
        rows,
        arms=names,
        kind="incidence",
        xlabel=time_axis(results),
        ylabel=f"probability of {cause}",
        title=title,
        **more,
    )
    drawn = material.scale.on_axes(drawn, "y")
    if material.scale.factor != 1:
        drawn.axes[0].set_ylabel(f"probability of {cause}, {material.scale.level_unit}")
    caption = (
        f"{title}: posterior mean probability of the event by each time, had all of them been in "
        f"the arm. Band: {interval_phrase(results)}."
    )
    if everybody:
        caption += (
            " Thin steps: Aalen-Johansen curves of those who were in the arm, dotted their 95% "
            f"confidence band. Below the axis: {people(results)} at risk."
        )
    else:
        caption += f" Thirds of the predicted outcome in the arm {names[0]}."
    alt = f"{title}; at {horizon(results):g} {time_unit(results)}: {_last(rows, names)}."
    key = f"incidence-{group_names(results).index(group)}"
    return drawing(drawn, caption, key=key, alt=alt, source=INCIDENCE)


def subgroup_figures(material: Material) -> str:
    """Return the curves of each subgroup, with the numbers at risk in it."""
    results, table = material.results, material.tables[SUBGROUPS]
    incidence = results.spec.estimand == "cumulative_incidence"
    what = f"risk of {text(results.study.causes[0])}" if incidence else "survival"
    heading = f"<h3>{what[0].upper()}{what[1:]} in each subgroup</h3>"
    said = paragraph(
        f"Subgroups are those of the section on subgroups, which says whether they are declared. "
        f"Each curve is an average over the {text(people(results))} of a subgroup, in every "
        "posterior draw."
    )
    figures = [
        _subgroup(material, effect, group, place)
        for place, (effect, group) in enumerate(
            table[["effect", "group"]]
            .drop_duplicates()
            .sort_values(["effect", "group"])  # subgroup A benefits most
            .itertuples(index=False)
        )
    ]
    return heading + said + grid(figures)


def _subgroup(material: Material, effect: str, group: str, place: int) -> str:
    results = material.results
    incidence = results.spec.estimand == "cumulative_incidence"
    chosen = "effect == @effect and group == @group"
    rows = _by_position(material.tables[SUBGROUPS].query(chosen))
    counts = material.tables[SUBGROUPS_AT_RISK].query(chosen)
    names = arm_names(results)
    event = results.study.causes[0] if incidence else ""
    title = f"{group}: {f'risk of {event}' if incidence else 'survival'}"
    drawn = plot_survival(
        rows,
        at_risk=_at_risk(counts),
        arms=names,
        kind="incidence" if incidence else "survival",
        xlabel=time_axis(results),
        ylabel=f"probability of {event}" if incidence else None,
        title=title,
    )
    if incidence:
        drawn = material.scale.on_axes(drawn, "y")
        drawn.axes[0].set_ylabel(f"probability of {event}, {material.scale.level_unit}")
    first = counts.query("time == 0")["n_units"].sum()
    said = f"by each time of {event}" if incidence else "of no event until each time"
    caption = (
        f"{group} of the {effect_name(effect)}, {int(first)} {people(results)}: posterior mean "
        f"probability {said}, had all of them been in the arm. Band: "
        f"{interval_phrase(results)}. Below the axis: {people(results)} of the subgroup at risk."
    )
    if not incidence:
        caption += f" Subgroups differ in the effect on the {estimand_words(results)}."
    alt = f"{title}; at {horizon(results):g} {time_unit(results)}: {_last(rows, names)}."
    return drawing(drawn, caption, key=f"subgroup-curve-{place}", alt=alt, source=SUBGROUPS)


def _by_position(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with arms by their positions."""
    return table.assign(arm=lambda f: f["arm_index"])


def _at_risk(table: pd.DataFrame) -> pd.DataFrame:
    return table.pivot_table(index="arm_index", columns="time", values="n_units")


def _last(rows: pd.DataFrame, names: tuple[str, str]) -> str:
    """Say the probabilities of the last time by arm."""
    last = rows[rows["time"] == rows["time"].max()].set_index("arm")
    return "; ".join(
        f"{names[int(a)]} {row['mean']:.2f} ({row['ci_lower']:.2f} to {row['ci_upper']:.2f})"
        for a, row in last.iterrows()
    )
