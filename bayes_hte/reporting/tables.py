"""Every number of the report as a tidy table; the page and the CSV files read the same tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects import Better, probability_of_benefit, proportion_mediated
from bayes_hte.errors import DataError
from bayes_hte.names import EFFECTS, SAMPLE, UNIT
from bayes_hte.reporting.mixture_tables import mixture_tables
from bayes_hte.reporting.prior_table import prior_table
from bayes_hte.reporting.subgroup_tables import evidence_tables, subgroup_tables
from bayes_hte.reporting.thinning import evenly_spaced
from bayes_hte.reporting.trust_tables import trust_tables
from bayes_hte.results import Results
from bayes_hte.store import write_text
from bayes_hte.study import Study, is_numeric
from bayes_hte.summaries import CiKind, monte_carlo_error, summarize
from bayes_hte.targeting import effect_by_bucket

DECOMPOSITIONS = (("tnie", "pnde"), ("pnie", "tnde"))
PROPORTION = "proportion_mediated"
SURE = 0.95
N_BUCKETS = 5
N_BINS = 20
# A numeric modifier with this many values or fewer is shown value by value.
FEW_VALUES = 6


def all_tables(results: Results) -> dict[str, pd.DataFrame]:
    """Compute every table of the report.

    Parameters
    ----------
    results : Results
        A finished run.

    Returns
    -------
    dict of str to DataFrame
        By key; the key is the name of the CSV file. Absent parts (no mediator, no subgroups, no
        checks) have no table.
    """
    spec = results.spec
    how = {"ci_prob": spec.report.ci_prob, "ci_kind": spec.report.ci_kind}
    direction = {
        "better": spec.outcome.better,
        "important": spec.outcome.minimal_important_difference,
    }
    tables = {"average_effects": average_effects(results)}
    if "tnie" in results.averages:
        share = proportion_mediated(
            results.averages["tnie"], results.averages["te"], minimal=direction["important"]
        )
        if share is not None:
            tables[PROPORTION] = summarize(share, **how)
    for name in focus(results):
        effect = results.effects[name]
        tables[f"individual_effects_{name}"] = individual_effects(effect, **direction, **how)
        tables[f"effect_distribution_{name}"] = effect_distribution(effect, **how)
    tables["who_benefits"] = pd.concat(
        [who_benefits(results.effects[name], **direction, **how) for name in focus(results)]
    )
    tables |= _modifier_tables(results, **how)
    for name, groups in results.subgroups.items():
        tables |= subgroup_tables(groups, name, everyone=results.averages[name], **direction, **how)
        tables |= evidence_tables(results, name, **how)
    tables |= mixture_tables(results, arm_names(results), **how)
    tables["propensity"] = propensity_shares(
        results.propensity, results.study.arm_index(), arm_names(results)
    )
    tables |= trust_tables(results, arm_names(results), **how)
    tables |= _check_tables(results)
    tables["priors"] = prior_table(spec)
    tables["provenance"] = provenance(results)
    return tables


def write_tables(results: Results, folder: str | Path) -> list[Path]:
    """Write every table of the report as CSV.

    Parameters
    ----------
    results : Results
        A finished run.
    folder : str or Path
        Made if absent; files of the same name are replaced.

    Returns
    -------
    list of Path
        The files written.
    """
    return save(all_tables(results), Path(folder))


def save(tables: Mapping[str, pd.DataFrame], folder: Path) -> list[Path]:
    """Write tables, each ``<key>.csv``, so that a killed run never leaves half a file."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{key}.csv" for key in tables]
    for path, table in zip(paths, tables.values(), strict=True):
        write_text(path, table.to_csv(index=False, lineterminator="\n"))
    return paths


def focus(results: Results) -> tuple[str, ...]:
    """Return the effects shown unit by unit: total, and indirect where there is a mediator."""
    return tuple(name for name in ("te", "tnie") if name in results.effects)


def arm_names(results: Results) -> tuple[str, str]:
    """Return the names of the arms for a reader, reference first."""
    declared = results.spec.roles.arm_names
    reference, other = declared or results.study.arms
    return str(reference), str(other)


def slug(name: str) -> str:
    """Turn a name into one that is safe as part of a file name and of an HTML id."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "unnamed"


def average_effects(results: Results) -> pd.DataFrame:
    """Summarise every averaged effect.

    Returns
    -------
    DataFrame
        One row an effect: ``group`` (``total``, ``first``, ``second``, ``controlled``), ``effect``,
        ``name`` (in words), ``population``, ``mediator_value``, then the columns of `summarize`,
        ``mcse`` (Monte Carlo standard error of the mean), ``prob_benefit``, ``prob_important``
        (benefit beyond the minimal important difference) and ``important_difference``.
    """
    rows = []
    for population, draws in results.populations.data_vars.items():
        rows.append(_average(draws, results, "total", "te", str(population)))
    for group, names in zip(("first", "second"), DECOMPOSITIONS, strict=True):
        for name in names:
            if name in results.averages:
                rows.append(_average(results.averages[name], results, group, name, "SATE"))
    if results.controlled is not None:
        for value in results.controlled["mediator_value"].to_numpy():
            draws = results.controlled.sel(mediator_value=value, drop=True)
            rows.append(_average(draws, results, "controlled", "cde", "SATE", float(value)))
    return pd.concat(rows, ignore_index=True)


def _average(
    draws: xr.DataArray,
    results: Results,
    group: str,
    effect: str,
    population: str,
    mediator_value: float = np.nan,
) -> pd.DataFrame:
    spec = results.spec
    better, important = spec.outcome.better, spec.outcome.minimal_important_difference
    head = pd.DataFrame(
        {
            "group": [group],
            "effect": [effect],
            "name": [EFFECTS[effect][0]],
            "population": [population],
            "mediator_value": [mediator_value],
        }
    )
    numbers = summarize(draws, ci_prob=spec.report.ci_prob, ci_kind=spec.report.ci_kind)
    tail = {
        "mcse": monte_carlo_error(draws),
        "prob_benefit": float(probability_of_benefit(draws, better=better)),
        "prob_important": float(probability_of_benefit(draws, better=better, beyond=important)),
        "important_difference": important,
    }
    return pd.concat([head, numbers.reset_index(drop=True)], axis=1).assign(**tail)


def individual_effects(
    effect: xr.DataArray, *, better: Better, important: float, ci_prob: float, ci_kind: CiKind
) -> pd.DataFrame:
    """Summarise the effect of each unit, ordered by its mean.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit)
        Unit-level draws, in outcome units.
    better : {"higher", "lower"}
        Which direction of the outcome is good.
    important : float
        Minimal important difference, in outcome units.
    ci_prob, ci_kind
        The interval.

    Returns
    -------
    DataFrame
        One row a unit: ``unit``, ``rank`` (1 is the smallest mean), the columns of `summarize`,
        ``prob_benefit``, ``prob_important``, and ``drawn``: whether the caterpillar figure draws
        it (up to 150 units, evenly spaced in rank).
    """
    numbers = summarize(effect, ci_prob=ci_prob, ci_kind=ci_kind)
    numbers["prob_benefit"] = probability_of_benefit(effect, better=better).to_numpy()
    numbers["prob_important"] = probability_of_benefit(
        effect, better=better, beyond=important
    ).to_numpy()
    ordered = numbers.sort_values("mean", kind="stable").reset_index(names="unit")
    ordered.insert(1, "rank", np.arange(1, len(ordered) + 1))
    return ordered.assign(drawn=evenly_spaced(len(ordered)))


def effect_distribution(
    effect: xr.DataArray, *, ci_prob: float, ci_kind: CiKind, n_bins: int = N_BINS
) -> pd.DataFrame:
    """Summarise the histogram of individual effects, counted draw by draw.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit)
        Unit-level draws.
    ci_prob, ci_kind
        The interval of the share in each bin.
    n_bins : int, default 20
        Number of bins between the 0.5% and 99.5% quantiles of all draws of all units; the few
        values beyond are in no bin, so the mean shares add up to about 0.99.

    Returns
    -------
    DataFrame
        One row a bin: ``bin_lower``, ``bin_upper``, and the columns of `summarize` for the share
        of units in the bin.
    """
    values = effect.transpose(*SAMPLE, UNIT).to_numpy()
    low, high = np.quantile(values, [0.005, 0.995])
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, n_bins + 1)
    counts = [[np.histogram(draw, edges)[0] for draw in chain] for chain in values]
    shares = np.array(counts) / effect.sizes[UNIT]
    draws = xr.DataArray(shares, dims=(*SAMPLE, "bin"), coords={"bin": np.arange(n_bins)})
    numbers = summarize(draws, ci_prob=ci_prob, ci_kind=ci_kind).reset_index(drop=True)
    return pd.concat(
        [pd.DataFrame({"bin_lower": edges[:-1], "bin_upper": edges[1:]}), numbers], axis=1
    ).drop(columns="prob_positive")


def who_benefits(
    effect: xr.DataArray, *, better: Better, important: float, ci_prob: float, ci_kind: CiKind
) -> pd.DataFrame:
    """Summarise the share of units that benefit, draw by draw, and count the sure ones.

    Returns
    -------
    DataFrame
        One row a statement: ``effect``, ``statement`` (``benefit``, ``important_benefit``,
        ``important_harm``), the columns of `summarize` for the share of units, and
        ``n_sure``: units for whom the posterior probability of the statement is at least 0.95;
        ``n_units``.
    """
    benefit = effect if better == "higher" else -effect
    holds = {
        "benefit": benefit > 0,
        "important_benefit": benefit > important,
        "important_harm": benefit < -important,
    }
    rows = []
    for statement, true in holds.items():
        share = true.mean(UNIT).rename(statement)
        row = summarize(share, ci_prob=ci_prob, ci_kind=ci_kind).reset_index(drop=True)
        row.insert(0, "effect", str(effect.name))
        row.insert(1, "statement", statement)
        row["n_sure"] = int((true.mean(SAMPLE) >= SURE).sum())
        row["n_units"] = effect.sizes[UNIT]
        rows.append(row.drop(columns="prob_positive"))
    return pd.concat(rows, ignore_index=True)


def modifier_effects(
    effects: xr.Dataset,
    study: Study,
    covariate: str,
    *,
    ci_prob: float,
    ci_kind: CiKind,
    n_buckets: int = N_BUCKETS,
) -> pd.DataFrame:
    """Average effects over groups of units along a covariate, then summarise.

    Parameters
    ----------
    effects : Dataset of DataArray, dims (chain, draw, unit)
        Unit-level draws by effect name.
    study : Study
        Holds the covariate, for the same units.
    covariate : str
        A column of the study.
    ci_prob, ci_kind
        The interval.
    n_buckets : int, default 5
        Number of quantile groups of a numeric covariate with more than six values; any other
        covariate is shown level by level.

    Returns
    -------
    DataFrame
        One row an effect and group, as :func:`bayes_hte.plots.plot_modifier` draws it:
        ``covariate``, ``effect``, ``group``, ``position`` (mean of the covariate in the group, NaN
        for levels), ``n_units`` and the columns of `summarize`.

    Raises
    ------
    DataError
        If the covariate has too many levels, or its quantile groups collapse into one.
    """
    column = study.frame[covariate].loc[effects[UNIT].to_numpy()]
    spread = is_numeric(column) and column.nunique() > FEW_VALUES
    tables = []
    for name, effect in effects.data_vars.items():
        buckets = effect_by_bucket(effect, column, n_buckets=n_buckets if spread else None)
        numbers = buckets.summary(ci_prob=ci_prob, ci_kind=ci_kind).reset_index(names="group")
        numbers = numbers.rename(columns={"n": "n_units"})
        position = column.astype(float).groupby(buckets.codes).mean() if spread else np.nan
        numbers.insert(0, "covariate", covariate)
        numbers.insert(1, "effect", str(name))
        numbers.insert(3, "position", position)
        tables.append(numbers)
    return pd.concat(tables, ignore_index=True)


def _modifier_tables(
    results: Results, *, ci_prob: float, ci_kind: CiKind
) -> dict[str, pd.DataFrame]:
    """One table a covariate; ``modifiers_not_shown`` gives the reason for each absent one."""
    shown = results.effects[list(focus(results))]
    tables: dict[str, pd.DataFrame] = {}
    refused: list[dict[str, str]] = []
    for covariate, key in modifier_keys(results).items():
        try:
            tables[key] = modifier_effects(
                shown, results.study, covariate, ci_prob=ci_prob, ci_kind=ci_kind
            )
        except DataError as error:
            refused.append({"covariate": covariate, "reason": str(error)})
    if refused:
        tables["modifiers_not_shown"] = pd.DataFrame(refused)
    return tables


def modifier_keys(results: Results) -> dict[str, str]:
    """Return covariate and key of its table, in the order of the study.

    Keys are numbered, as two names can have the same slug.
    """
    names = results.study.roles.covariates
    return {name: f"modifier_{i:02d}_{slug(name)}" for i, name in enumerate(names, start=1)}


def propensity_shares(
    propensity: xr.DataArray, arm: np.ndarray, names: tuple[str, str], *, n_bins: int = 40
) -> pd.DataFrame:
    """Count posterior-mean propensities in bins of [0, 1], by arm.

    Parameters
    ----------
    propensity : DataArray, dims (chain, draw, unit)
        Probability of the non-reference arm.
    arm : ndarray of 0/1, shape (unit,)
        The arm each unit received.
    names : (str, str)
        Names of the arms, reference first.
    n_bins : int, default 40
        Number of bins.

    Returns
    -------
    DataFrame
        One row an arm and bin: ``arm``, ``bin_lower``, ``bin_upper``, ``n_units``, ``share``.
    """
    score = propensity.mean(SAMPLE).to_numpy()
    edges = np.linspace(0, 1, n_bins + 1)
    tables = []
    for value, name in enumerate(names):
        counts, _ = np.histogram(score[arm == value], bins=edges)
        tables.append(
            pd.DataFrame(
                {
                    "arm": name,
                    "bin_lower": edges[:-1],
                    "bin_upper": edges[1:],
                    "n_units": counts,
                    "share": counts / counts.sum(),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def check_keys(results: Results) -> list[str]:
    """Return the key of the table of each check, in the order of the checks."""
    return [f"check_{i:02d}_{slug(c.name)}" for i, c in enumerate(results.checks, start=1)]


def _check_tables(results: Results) -> dict[str, pd.DataFrame]:
    """One table of all verdicts, and the numbers behind each verdict that has any."""
    if not results.checks:
        return {}
    verdicts = pd.DataFrame(
        [{"check": c.name, "verdict": c.verdict, "text": c.text} for c in results.checks]
    )
    numbers = {
        key: _with_index(check.table)
        for key, check in zip(check_keys(results), results.checks, strict=True)
        if not check.table.empty
    }
    return {"checks": verdicts, **numbers}


def _with_index(table: pd.DataFrame) -> pd.DataFrame:
    """Turn a meaningful index into columns; drop a mere count of rows."""
    if table.index.nlevels == 1 and table.index.equals(pd.RangeIndex(len(table))):
        return table.reset_index(drop=True)
    return table.reset_index()


def provenance(results: Results) -> pd.DataFrame:
    """List what is needed to repeat a run: ``key``, ``value``; nested keys joined with a dot."""
    rows: list[tuple[str, str]] = []

    def walk(prefix: str, value: object) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else str(key), inner)
        else:
            rows.append((prefix, str(value)))

    known = {
        "spec_hash": results.spec.hash(),
        "data_fingerprint": results.study.fingerprint(),
        "seed": results.spec.sampler.seed,
    }
    walk("", {**known, **results.provenance})
    return pd.DataFrame(rows, columns=["key", "value"])
