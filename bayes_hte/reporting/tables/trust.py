"""Tables of comparisons, unseen outcomes and hidden confounding, for the page and the CSV files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from bayes_hte.checks.heterogeneity import NEGLIGIBLE
from bayes_hte.companions.restricted_means import restricted_means
from bayes_hte.effects.summaries import interval_words, summarize
from bayes_hte.fitting.plan import scale_of_times
from bayes_hte.reporting.page.words import CURVE_WORDS, arm_names
from bayes_hte.reporting.results import Interval, Results
from bayes_hte.reporting.tables.arm_shares import shares_by_arm
from bayes_hte.study.study import Study

if TYPE_CHECKING:
    from bayes_hte.trust.unseen import Targeting

N_WEIGHT_BINS = 30
MODEL = "model"


def trust_tables(results: Results, **how: Unpack[Interval]) -> dict[str, pd.DataFrame]:
    """Compute the tables behind comparisons, unseen outcomes and hidden confounding.

    Parameters
    ----------
    results : Results
        A finished run.
    **how
        The interval.

    Returns
    -------
    dict of str to DataFrame
        ``side_by_side``, ``balance``, ``weights``; where effects differ ``qini``, ``areas``,
        ``effect_calibration``, ``uplift``; ``learners`` if some were fitted for comparison; and the
        results of the sensitivity analyses.
    """
    weights = results.classical.weighted.weights
    tables = {
        "side_by_side": side_by_side(results, **how),
        "balance": _balance(results),
        "weights": weight_shares(weights, results.study.with_outcome(), arm_names(results)),
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


def side_by_side(results: Results, **how: Unpack[Interval]) -> pd.DataFrame:
    """Compare the model's average effects with classical ones.

    Returns
    -------
    DataFrame
        One row per estimate: ``method``, ``population``, ``mean``, ``ci_lower``, ``ci_upper``,
        ``interval`` (its kind; empty where there is none).
    """
    words, known = interval_words(**how), results.classical

    def summary(draws: xr.DataArray) -> list[float]:
        return summarize(draws, **how)[["mean", "ci_lower", "ci_upper"]].iloc[0].tolist()

    rows = [(MODEL, name, *summary(results.populations[name]), words) for name in ("SATE", "ATT")]
    raw, error = known.difference, stats.norm.isf((1 - how["ci_prob"]) / 2) * known.standard_error
    confidence = f"{100 * how['ci_prob']:g}% confidence, normal"
    rows += [
        (_raw_name(results), "", raw, raw - error, raw + error, confidence),
        ("inverse-probability weighting", "ATE", *summary(known.weighted.draws), words),
        ("nearest-neighbour matching", "ATT", known.matched.att, np.nan, np.nan, ""),
    ]
    columns = ["method", "population", "mean", "ci_lower", "ci_upper", "interval"]
    return pd.DataFrame(rows, columns=columns)


def _raw_name(results: Results) -> str:
    """Name of the comparison without any model: of times to an event the areas under curves."""
    if results.classical.hazards is None:
        return "raw difference of means"
    return f"difference of {CURVE_WORDS[results.spec.estimand]}"


def learners(results: Results, **how: Unpack[Interval]) -> pd.DataFrame:
    """Compare the learners: average effect, spread of individual effects, agreement on the order.

    Returns
    -------
    DataFrame
        One row per learner, that of the study first: ``learner``, the columns of `summarize` for
        the SATE, ``spread`` (standard deviation over units of posterior-mean effects),
        ``median_sd`` (of a unit's effect) and ``rank_correlation`` with the study's learner
        (Spearman; NaN where a learner gives everyone the same effect).
    """
    te = results.effects["te"]
    own_mean, own_sd = te.mean(("chain", "draw")), te.std(("chain", "draw"))
    found = {results.spec.learner.name: (results.averages["te"], own_mean, own_sd)}
    found |= {name: (s["SATE"], s["mean"], s["sd"]) for name, s in results.beside.items()}
    compared = restricted_means(results.study, scale_of_times(results.spec, results.study))
    smallest = NEGLIGIBLE * float(np.std(compared.recorded_outcome()))
    rows = []
    for name, (sate, mean, sd) in found.items():
        row = summarize(sate, **how).reset_index(drop=True)
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

    Parameters
    ----------
    weights : Series, shape (unit,)
        Stabilised weights, above 0, in the order of the study's units.
    study : Study
        The units, with their arms.
    names : tuple of (str, str)
        Words for the reference arm and the other one.

    Returns
    -------
    DataFrame
        One row per arm and bin: ``arm``, ``bin_lower``, ``bin_upper``, ``n_units``, ``share``.
    """
    values, arm = weights.to_numpy(), study.arm_index()
    low, high = values.min(), values.max()
    if high <= low * 1.01:
        low, high = low / 1.1, high * 1.1
    edges = np.geomspace(low, high, N_WEIGHT_BINS + 1)
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)
    return shares_by_arm(values, arm, names, edges=edges)


def _against_observed(found: Targeting, table: pd.DataFrame) -> pd.DataFrame:
    """Blank the intervals of predicted averages of units left out one by one.

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


def _sensitivity(results: Results, **how: Unpack[Interval]) -> dict[str, pd.DataFrame]:
    found = results.sensitivity
    if found is None:
        return {}
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
