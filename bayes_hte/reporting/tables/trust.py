"""Tables of comparisons, unseen outcomes and hidden confounding, for the page and the CSV files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from bayes_hte.checks.heterogeneity import NEGLIGIBLE
from bayes_hte.effects.summaries import CiKind, interval_words, summarize
from bayes_hte.reporting.results import Results
from bayes_hte.reporting.tables.arm_shares import shares_by_arm
from bayes_hte.study.study import Study

if TYPE_CHECKING:
    from bayes_hte.trust.unseen import Targeting

N_WEIGHT_BINS = 30
MODEL = "model"


def trust_tables(
    results: Results, names: tuple[str, str], *, ci_prob: float, ci_kind: CiKind
) -> dict[str, pd.DataFrame]:
    """Compute the tables behind comparisons and checks that are more than a verdict.

    Parameters
    ----------
    results : Results
        A finished run.
    names : (str, str)
        Names of the arms, reference first.
    ci_prob, ci_kind
        The interval.

    Returns
    -------
    dict of str to DataFrame
        ``side_by_side``, ``balance``, ``weights``; where effects differ ``qini``, ``areas``,
        ``effect_calibration``, ``uplift``; ``learners`` if some were fitted besides; and what the
        sensitivity analyses give.
    """
    how = {"ci_prob": ci_prob, "ci_kind": ci_kind}
    tables = {
        "side_by_side": side_by_side(results, **how),
        "balance": _balance(results),
        "weights": weight_shares(results.classical.weighted.weights, results.study, names),
    }
    if results.beside:
        tables["learners"] = learners(results, **how)
    if results.targeting is not None:
        found = results.targeting
        tables["qini"] = found.qini.curve_summary(**how).reset_index()
        areas = (found.qini.summary(**how), found.toc.summary(**how))
        slope = summarize(found.calibration.slope, **how)
        tables["areas"] = pd.concat([*areas, slope]).reset_index()
        tables["effect_calibration"] = _against_observed(found, found.calibration.summary(**how))
        tables["uplift"] = _against_observed(found, found.uplift.summary(**how))
    return tables | _sensitivity(results, **how)


def side_by_side(results: Results, *, ci_prob: float, ci_kind: CiKind) -> pd.DataFrame:
    """Put the model's average effects beside classical ones.

    Returns
    -------
    DataFrame
        One row an estimate: ``method``, ``population``, ``mean``, ``ci_lower``, ``ci_upper``,
        ``interval`` (what it is; empty where there is none).
    """
    rows = []
    words = interval_words(ci_prob, ci_kind)
    for population in ("SATE", "ATT"):
        row = summarize(results.populations[population], ci_prob=ci_prob, ci_kind=ci_kind).iloc[0]
        rows.append((MODEL, population, row["mean"], row["ci_lower"], row["ci_upper"], words))
    known = results.classical
    raw, error = known.difference, stats.norm.isf((1 - ci_prob) / 2) * known.standard_error
    confidence = f"{100 * ci_prob:g}% confidence, normal"
    rows.append(("raw difference of means", "", raw, raw - error, raw + error, confidence))
    weighted = summarize(known.weighted.draws, ci_prob=ci_prob, ci_kind=ci_kind).iloc[0]
    bounds = weighted["ci_lower"], weighted["ci_upper"]
    rows.append(("inverse-probability weighting", "ATE", weighted["mean"], *bounds, words))
    rows.append(("nearest-neighbour matching", "ATT", known.matched.att, np.nan, np.nan, ""))
    columns = ["method", "population", "mean", "ci_lower", "ci_upper", "interval"]
    return pd.DataFrame(rows, columns=columns)


def learners(results: Results, *, ci_prob: float, ci_kind: CiKind) -> pd.DataFrame:
    """Compare the learners: average effect, spread of individual effects, agreement on the order.

    Returns
    -------
    DataFrame
        One row a learner, that of the study first: ``learner``, the columns of `summarize` for the
        SATE, ``spread`` (standard deviation over units of posterior-mean effects), ``median_sd``
        (of a unit's effect) and ``rank_correlation`` with the study's learner (Spearman; NaN
        where a learner gives everyone the same effect).
    """
    te = results.effects["te"]
    own_mean, own_sd = te.mean(("chain", "draw")), te.std(("chain", "draw"))
    found = {results.spec.learner.name: (results.averages["te"], own_mean, own_sd)}
    found |= {name: (s["SATE"], s["mean"], s["sd"]) for name, s in results.beside.items()}
    smallest = NEGLIGIBLE * float(np.std(results.study.outcome()))
    rows = []
    for name, (sate, mean, sd) in found.items():
        row = summarize(sate, ci_prob=ci_prob, ci_kind=ci_kind).reset_index(drop=True)
        row.insert(0, "learner", name)
        row["spread"] = float(mean.std())
        row["median_sd"] = float(sd.median())
        row["rank_correlation"] = _rank_correlation(own_mean, mean, smallest)
        rows.append(row)
    return pd.concat(rows, ignore_index=True)


def _rank_correlation(first: xr.DataArray, second: xr.DataArray, smallest: float) -> float:
    """Correlate ranks of units; NaN where effects differ by rounding alone."""
    values = (first.to_numpy(), second.to_numpy())
    if min(np.ptp(v) for v in values) <= smallest:
        return float("nan")
    return float(stats.spearmanr(*values).statistic)


def weight_shares(weights: pd.Series, study: Study, names: tuple[str, str]) -> pd.DataFrame:
    """Count stabilised weights in equal steps of their logarithm, by arm.

    Returns
    -------
    DataFrame
        One row an arm and bin: ``arm``, ``bin_lower``, ``bin_upper``, ``n_units``, ``share``.
    """
    values, arm = weights.to_numpy(), study.arm_index()
    low, high = values.min(), values.max()
    if high <= low * 1.01:
        low, high = low / 1.1, high * 1.1
    edges = np.geomspace(low, high, N_WEIGHT_BINS + 1)
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)
    return shares_by_arm(values, arm, names, edges=edges)


def _against_observed(found: Targeting, table: pd.DataFrame) -> pd.DataFrame:
    """Blank what draws of units left out one by one cannot give: intervals of predicted averages.

    Every such unit has a posterior of its own; draws of different units do not belong together, and
    the draws of their average vary far too little. Their mean is right.
    """
    table = table.reset_index()
    if found.how == "held out":
        return table
    table = table[table["quantity"] != "difference"].reset_index(drop=True)
    predicted = table["quantity"] == "predicted"
    table.loc[predicted, ["median", "sd", "ci_lower", "ci_upper", "prob_positive"]] = np.nan
    return table


def _balance(results: Results) -> pd.DataFrame:
    known = results.classical
    ratios = known.variance_ratios.add_prefix("variance_ratio_")
    return known.balance.join(ratios).rename_axis("covariate").reset_index()


def _sensitivity(results: Results, *, ci_prob: float, ci_kind: CiKind) -> dict[str, pd.DataFrame]:
    found = results.sensitivity
    if found is None:
        return {}
    how = {"ci_prob": ci_prob, "ci_kind": ci_kind}
    tables = {}
    if found.e_values:
        rows = [value.summary(**how).reset_index() for value in found.e_values]
        tables["e_values"] = pd.concat(rows, ignore_index=True)
    if found.tipping is not None:
        tables["tipping"] = found.tipping.probability
        tables["tipping_points"] = found.tipping.tips.reset_index()
        if found.tipping.benchmarks is not None:
            tables["tipping_benchmarks"] = found.tipping.benchmarks.reset_index()
    if found.rho is not None:
        tables["rho"] = found.rho.summary(**how).reset_index()
        tables["rho_zero"] = found.rho.root_summary(**how).reset_index()
    return tables
