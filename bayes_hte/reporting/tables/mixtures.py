"""The numbers of a mixture of classes, as tidy tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from bayes_hte.effects.summaries import CiKind, interval_parameters, summarize
from bayes_hte.mixtures.agreement import compare_posteriors
from bayes_hte.mixtures.identification import IDENTIFIED, Identifiability
from bayes_hte.names import ARM, CLASS, UNIT
from bayes_hte.reporting.page.words import person
from bayes_hte.reporting.results import Results
from bayes_hte.reporting.tables.subgroups import membership_strip
from bayes_hte.study.datasets import KNOWN_CLASSES

if TYPE_CHECKING:
    from bayes_hte.mixtures import MixtureFit

# Names of CSV files, which users read: they stay, although the package says "class" elsewhere.
ANSWERS: Final = "hidden_classes"
LEVELS: Final = "hidden_levels"
DIAGNOSTICS: Final = "hidden_diagnostics"
PROFILE: Final = "hidden_profile"
MEMBERSHIP: Final = "hidden_membership"

LEVEL_WORDS = {1: "1: class seen", 2: "2: products", 3: "3: effects", 4: "4: average only"}
QUANTITY_WORDS = {
    "ate": "average effect",
    "probabilities": "probability of each class",
    "effects": "mean effect of each class",
    "membership": "membership of each {one}",
    "unit_class": "class of each {one}",
    "individual_effects": "effect of one {one}",
}
_PARTS = ("median", "lower", "upper")


@interval_parameters
def mixture_tables(
    results: Results, names: tuple[str, str], *, ci_prob: float, ci_kind: CiKind
) -> dict[str, pd.DataFrame]:
    """Compute the tables of a mixture.

    Parameters
    ----------
    results : Results
        A finished run.
    names : (str, str)
        Names of the arms, reference first.

    Returns
    -------
    dict of str to DataFrame
        By the name of the CSV file: both answers and the levels; diagnostics where there are
        moments; profile and membership where the classes are identified. Empty without a mixture.
    """
    fit = results.mixture
    if fit is None:
        return {}
    how = {"ci_prob": ci_prob, "ci_kind": ci_kind}
    tables = {
        ANSWERS: side_by_side(fit, results.spec.data.source, **how),
        LEVELS: level_grid(fit.identifiability, one=person(results)),
    }
    if fit.moments is not None:
        tables[DIAGNOSTICS] = fit.moments.diagnostics.summary().reset_index()
    if "membership" in fit.identifiability.identified:
        tables[PROFILE] = class_profile(fit, results.spec.roles.outcome, names, **how)
        tables[MEMBERSHIP] = class_membership(fit)
    return tables


def class_label(number: int) -> str:
    """Return the name of a class for a reader."""
    return f"Class {number}"


@interval_parameters
def side_by_side(fit: MixtureFit, source: str, *, ci_prob: float, ci_kind: CiKind) -> pd.DataFrame:
    """Put the answers of likelihood and moments in one row each, with the truth if it is known.

    Parameters
    ----------
    fit : MixtureFit
    source : str
        Of the data; simulated ones have known classes.

    Returns
    -------
    DataFrame
        One row per quantity that the graph identifies: ``quantity``, ``class`` (-1 for the average
        effect), ``label``; ``likelihood_`` and ``moments_`` each with ``median``, ``lower`` and
        ``upper`` (NaN where there is no answer); ``distance``, ``allowed``, ``overlap``,
        ``ci_prob``, ``ci_kind``; ``truth`` for simulated data.
    """
    found = compare_posteriors(fit.derived, fit.moments, ci_prob=ci_prob, ci_kind=ci_kind).table
    if found.empty:
        found = _likelihood_alone(fit, ci_prob=ci_prob, ci_kind=ci_kind)
    table = found.reset_index()
    labels = ["all classes" if label < 0 else class_label(label) for label in table[CLASS]]
    table.insert(2, "label", labels)
    truth = _truth(source, fit.identifiability.k)
    if truth:
        keys = zip(table["quantity"], table[CLASS], strict=True)
        table["truth"] = [truth[quantity, label] for quantity, label in keys]
    return table


def _likelihood_alone(fit: MixtureFit, *, ci_prob: float, ci_kind: CiKind) -> pd.DataFrame:
    """The same columns where moments have too few levels to answer."""
    summary = fit.summary(ci_prob=ci_prob, ci_kind=ci_kind)
    own = summary[["median", "ci_lower", "ci_upper"]]
    own.columns = [f"likelihood_{part}" for part in _PARTS]
    empty = [*(f"moments_{part}" for part in _PARTS), "distance", "allowed", "overlap"]
    return own.assign(**dict.fromkeys(empty, np.nan), ci_prob=ci_prob, ci_kind=ci_kind)


def _truth(source: str, k: int) -> dict[tuple[str, int], float]:
    """True values by quantity and class; empty where they are not known."""
    if source not in KNOWN_CLASSES:
        return {}
    known = KNOWN_CLASSES[source]()
    if len(known) != k:
        return {}
    found = {("ate", -1): float(known["effect"] @ known["probability"])}
    for quantity, column in (("effects", "effect"), ("probabilities", "probability")):
        found |= {(quantity, int(u)): float(value) for u, value in known[column].items()}
    return found


def level_grid(graph: Identifiability, *, one: str = "person") -> pd.DataFrame:
    """List the quantities that every level identifies, and the level that is reached.

    Parameters
    ----------
    graph : Identifiability
    one : str, default "person"
        Word for one row of the study.

    Returns
    -------
    DataFrame
        As :func:`bayes_hte.plots.plot_identifiability` draws it: ``quantity``, ``level`` (in
        words), ``identified``, ``reached``.
    """
    rows = [
        (words.format(one=one), name, quantity in IDENTIFIED[level], level == graph.level)
        for quantity, words in QUANTITY_WORDS.items()
        for level, name in LEVEL_WORDS.items()
    ]
    return pd.DataFrame(rows, columns=["quantity", "level", "identified", "reached"])


@interval_parameters
def class_profile(
    fit: MixtureFit, outcome: str, names: tuple[str, str], *, ci_prob: float, ci_kind: CiKind
) -> pd.DataFrame:
    """Describe the classes: mean outcome under each arm, and the law of the proxies.

    Returns
    -------
    DataFrame
        One row per statement and class: ``group``, ``what``, ``class`` and the columns of
        `summarize`.
    """
    posterior = fit.posterior["posterior"].to_dataset()
    parts = (
        (f"mean of {outcome}", fit.derived["class_means"], ARM, names),
        ("outcome-side proxies", posterior["x_given_class"], "x_level", None),
        ("treatment-side proxies", posterior["z_given_class"], "z_level", None),
    )
    rows = []
    for group, draws, dim, labels in parts:
        words = [str(value) for value in draws[dim].to_numpy()] if labels is None else labels
        for position, what in enumerate(words):
            one = draws.isel({dim: position}, drop=True)
            table = summarize(one, ci_prob=ci_prob, ci_kind=ci_kind).reset_index(names=CLASS)
            table.insert(0, "group", group)
            table.insert(1, "what", what)
            rows.append(table.drop(columns="prob_positive"))
    return pd.concat(rows, ignore_index=True)


def class_membership(fit: MixtureFit) -> pd.DataFrame:
    """Order the units by their membership.

    Returns
    -------
    DataFrame, shape (unit, ...)
        ``unit``; ``drawn`` (whether the figure draws it); one column per class, the probability
        given proxies, treatment and outcome; ``soft_effect``, the expected class effect given
        these; ``sure_before``, the largest probability of a class given the proxies alone.
    """
    table = membership_strip(fit.membership(), named=class_label)
    before = fit.membership(given="proxies").max(CLASS)
    for name, values in (("soft_effect", fit.soft_effect()), ("sure_before", before)):
        table[name] = values.sel({UNIT: table["unit"].to_numpy()}).to_numpy()
    return table
