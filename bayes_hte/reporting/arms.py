"""The page about all arms of a study of more than two, and the results behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.companions.restricted_means import restricted_means
from bayes_hte.effects import probability_of_benefit, summarize
from bayes_hte.effects.summaries import interval_words
from bayes_hte.fitting.plan import scale_of_times
from bayes_hte.names import ARM, UNIT
from bayes_hte.plots import plot_best_arms
from bayes_hte.reporting.document import html_page, quick_mark
from bayes_hte.reporting.page.fields import percents
from bayes_hte.reporting.page.markup import (
    Field,
    Row,
    field_table,
    paragraph,
    text,
    unordered,
    words,
)
from bayes_hte.reporting.page.numbers import MINUS, Style, number, probability, span
from bayes_hte.reporting.page.scale import scale_of
from bayes_hte.reporting.page.section import Section
from bayes_hte.reporting.page.svg import drawing
from bayes_hte.reporting.results import Results
from bayes_hte.reporting.sections.conclusion import conclusion
from bayes_hte.reporting.tables.files import save
from bayes_hte.store import make_folder, write_text
from bayes_hte.study.spec import Spec
from bayes_hte.study.study import Study
from bayes_hte.targeting.best_arm import INDIVIDUAL
from bayes_hte.trust.rule import CAN_BE_USED, DIFFER

NOT_SAMPLED = "The sampling failed its health checks: the numbers of this page must not be used."


@dataclass(frozen=True)
class ArmResults:
    """What a run says of all arms, with the results of each contrast.

    Attributes
    ----------
    spec : Spec
        The study file.
    study : Study
        The fitted units of all arms.
    outcomes : DataArray, dims (chain, draw, arm)
        Expected outcome with all units in one arm.
    averages : mapping of str to DataArray, dims (chain, draw)
        Total effect of each contrast, averaged over the units of all arms.
    probability : DataArray, dims (unit, arm)
        Probability that each arm is a unit's best.
    units : DataFrame
        From :func:`bayes_hte.best_arms`.
    choices : DataFrame
        From :func:`bayes_hte.choices_table`.
    contrasts : mapping of str to Results
        The results of each contrast, on the units of its two arms.
    folders : mapping of str to str
        The folder of each contrast, from that of the page.
    """

    spec: Spec
    study: Study
    outcomes: xr.DataArray
    averages: Mapping[str, xr.DataArray]
    probability: xr.DataArray
    units: pd.DataFrame
    choices: pd.DataFrame
    contrasts: Mapping[str, Results]
    folders: Mapping[str, str]

    @property
    def healthy(self) -> bool:
        """Whether the sampling passed its checks in every contrast."""
        return all(results.healthy for results in self.contrasts.values())


def arms_report(results: ArmResults, *, to: str | Path) -> Path:
    """Write the page about all arms, with links to the report of every contrast.

    Parameters
    ----------
    results : ArmResults
        A finished run.
    to : str or Path
        The HTML file to write.

    Returns
    -------
    Path
        The file written; its tables are in the folder ``tables`` next to it.
    """
    path = Path(to)
    tables = arm_tables(results)
    sections = (_answer(results, tables), _arms(results, tables), _choice(results, tables))
    banner = quick_mark(results.spec)
    if not results.healthy:
        banner += f'<div class="banner" role="alert"><p><strong>{NOT_SAMPLED}</strong></p></div>'
    make_folder(path.parent)
    save(tables, path.parent / "tables")
    write_text(path, html_page(results.spec.title, sections, banner=banner))
    return path


def arm_tables(results: ArmResults) -> dict[str, pd.DataFrame]:
    """Return the tables of the page.

    Parameters
    ----------
    results : ArmResults

    Returns
    -------
    dict of str to DataFrame
        ``contrasts``, ``arms``, ``choices`` and ``best_arms``, by the key of their file.
    """
    spec, study = results.spec, results.study
    how = {"ci_prob": spec.report.ci_prob, "ci_kind": spec.report.ci_kind}
    direction, important = spec.outcome.better, spec.outcome.minimal_important_difference
    rows = []
    for name, draws in results.averages.items():
        row = summarize(draws.rename("te"), **how).iloc[0].to_dict()
        benefit = probability_of_benefit(draws, better=direction)
        beyond = probability_of_benefit(draws, better=direction, beyond=important)
        trust = results.contrasts[name].trust
        chances = {"prob_benefit": float(benefit), "prob_important": float(beyond)}
        said = {
            "verdict": trust.verdict,
            "usable": trust.usable,
            "differences": trust.differences,
        }
        rows.append({"contrast": name, **row, **chances, **said})
    arm, y = study.arm_index(), restricted_means(study, scale_of_times(spec, study)).outcome()
    outcomes = summarize(results.outcomes.assign_coords({ARM: range(len(study.arms))}), **how)
    arms = pd.DataFrame(
        {
            "arm": [str(level) for level in study.arms],
            "units": np.bincount(arm),
            "observed_mean": [y[arm == a].mean() for a in range(len(study.arms))],
            "expected_mean": outcomes["mean"].to_numpy(),
            "ci_lower": outcomes["ci_lower"].to_numpy(),
            "ci_upper": outcomes["ci_upper"].to_numpy(),
        }
    ).assign(**how)
    units = results.units.rename_axis(UNIT).reset_index()
    for a, level in enumerate(study.arms):
        units[f"prob_best_{level}"] = results.probability.isel({ARM: a}).to_numpy()
    return {
        "contrasts": pd.DataFrame(rows),
        "arms": arms,
        "choices": results.choices.reset_index(),
        "best_arms": units,
    }


def _answer(results: ArmResults, tables: Mapping[str, pd.DataFrame]) -> Section:
    spec, frame = results.spec, tables["contrasts"]
    scale, beyond = scale_of(spec), spec.outcome.minimal_important_difference
    digits = scale.style(frame["sd"])
    fields = [
        words("Contrast", "contrast"),
        Field("Average effect", lambda row: number(row["mean"], digits)),
        _interval(spec, digits),
        Field("Probability of benefit", lambda row: probability(row["prob_benefit"])),
        words(CAN_BE_USED, "usable"),
        words(DIFFER.format(people=spec.roles.units), "differences"),
    ]
    if beyond > 0:
        heading = f"Probability of benefit beyond {scale.sized(beyond)}"
        fields.insert(4, Field(heading, lambda row: probability(row["prob_important"])))
    unit = "" if scale.unit == spec.roles.outcome else f" in {scale.unit}"
    caption = (
        f"Effects on {spec.roles.outcome}{unit}, averaged over all "
        f"{results.study.n_units} {spec.roles.units}; {spec.outcome.better} is better."
    )
    rows = {row["contrast"]: row for row in frame.to_dict("records")}
    caption += _scale(results, "Effects on the")
    links = unordered(
        f'<a href="{text(folder)}/report.html">{text(name)}</a>: '
        f"{_conclusion(results.contrasts[name], rows[name])}"
        for name, folder in results.folders.items()
    )
    said = paragraph(text(spec.about.question)) + paragraph(
        "All arms were fitted together, so that each contrast uses what the other arms say about "
        "the covariates. Every contrast has a report and checks of its own, on the "
        f"{text(spec.roles.units)} of its two arms:"
    )
    kind = interval_words(spec.report.ci_prob, spec.report.ci_kind)
    said += links + paragraph(f"Every interval of this page is a {kind}.")
    table = field_table(caption, fields, frame, source="contrasts")
    return Section("answer", "The contrasts", said + table)


def _conclusion(results: Results, row: Row) -> str:
    """Say the conclusion of one contrast, unless its numbers must not be used."""
    if results.trust.usable != "no":
        return conclusion(row, results)
    return "its numbers must not be used."


def _scale(results: ArmResults, start: str) -> str:
    """Return a sentence on the scale of times to an event; empty for other outcomes."""
    scale = scale_of_times(results.spec, results.study)
    return "" if scale is None else f" {start} {scale.words(results.spec.outcome.unit)}."


def _arms(results: ArmResults, tables: Mapping[str, pd.DataFrame]) -> Section:
    frame, spec = tables["arms"], results.spec
    scale = scale_of(spec)
    digits = scale.style((frame["ci_upper"] - frame["ci_lower"]) / 4)
    fields = [
        words("Arm", "arm"),
        Field(spec.roles.units.capitalize(), lambda row: str(row["units"])),
        Field("Observed mean", lambda row: number(row["observed_mean"], digits)),
        Field("Expected with all in this arm", lambda row: number(row["expected_mean"], digits)),
        _interval(spec, digits),
    ]
    unit = f" ({scale.level_unit})" if scale.level_unit else ""
    caption = f"The arms, the reference first: {scale.level}{unit}."
    caption += _scale(results, "Means: the")
    note = paragraph(
        "The observed mean is that of the "
        f"{text(spec.roles.units)} who were in the arm; the expected mean is that of all of them, "
        "had they been in it."
    )
    return Section("arms", "The arms", note + field_table(caption, fields, frame, source="arms"))


def _choice(results: ArmResults, tables: Mapping[str, pd.DataFrame]) -> Section:
    frame, spec = tables["choices"], results.spec
    digits = scale_of(spec).style((frame["ci_upper"] - frame["ci_lower"]) / 4)
    fields = [
        words("All are given", lambda row: str(row["choice"])),
        Field("Expected outcome", lambda row: number(row["outcome"], digits)),
        _interval(spec, digits),
        Field("Expected regret", lambda row: number(row["expected_regret"], digits.finer)),
        Field("Probability of being best", lambda row: probability(row["prob_best"])),
        percents(f"Best for this share of {spec.roles.units}", "share"),
    ]
    caption = "Giving all one arm, compared with giving each the arm that is best for it."
    caption += _scale(results, "Outcome: the")
    alone = results.choices.drop(index=INDIVIDUAL)["expected_regret"]
    gain = float(alone.min() - results.choices.loc[INDIVIDUAL, "expected_regret"])
    said = paragraph(
        "Regret is the outcome that is lost, by the posterior, because nobody knows the best arm "
        f"of each {text(spec.roles.unit)}. Of single arms, {text(str(alone.idxmin()))} has the "
        f"least. {_gain(gain, digits.finer)}"
    )
    drawn = plot_best_arms(results.probability, title="Which arm is best, and how sure")
    shares = ", ".join(f"{row['choice']} {row['share']:.0%}" for row in frame.to_dict("records"))
    figure = drawing(
        drawn,
        f"The probability of each arm to be the best, for each of the {results.study.n_units} "
        f"{spec.roles.units}.",
        key="best-arms",
        alt=f"Most probable best arm by share: {shares}.",
        source="best_arms",
    )
    body = said + field_table(caption, fields, frame, source="choices") + figure
    return Section("choice", "Which arm for whom", body)


def _gain(gain: float, digits: Style) -> str:
    """Say how much less outcome is lost where each unit gets the arm that is best for it."""
    size = number(gain, digits)
    if not float(size.replace(MINUS, "-")):
        return "Choosing for each by the covariates would gain nothing that can be seen here."
    return (
        f"Choosing for each by the covariates would lose {size} less on average, if the models are "
        "right: the same data chose the arms and judged the choice."
    )


def _interval(spec: Spec, digits: Style) -> Field:
    heading = f"{100 * spec.report.ci_prob:g}% interval"
    return Field(heading, lambda row: span(row["ci_lower"], row["ci_upper"], digits))
