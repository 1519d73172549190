"""Every number of the report as a tidy table; the page and the CSV files read the same tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.averages import proportion_mediated
from bayes_hte.effects.summaries import summarize
from bayes_hte.names import SAMPLE
from bayes_hte.reporting.checklists import checklist_tables, checklists
from bayes_hte.reporting.page.section import AVERAGES, Material
from bayes_hte.reporting.page.words import arm_names
from bayes_hte.reporting.results import Results
from bayes_hte.reporting.tables.arm_shares import shares_by_arm
from bayes_hte.reporting.tables.effects import (
    average_effects,
    effect_distribution,
    individual_effects,
    who_benefits,
)
from bayes_hte.reporting.tables.files import save
from bayes_hte.reporting.tables.flow import flow_tables
from bayes_hte.reporting.tables.keys import check_keys, focus
from bayes_hte.reporting.tables.legs import LEGS, leg_table
from bayes_hte.reporting.tables.lookup import LOOKUP, lookup_table
from bayes_hte.reporting.tables.lookup_curves import LOOKUP_CURVES, lookup_curves
from bayes_hte.reporting.tables.mixtures import mixture_tables
from bayes_hte.reporting.tables.modifiers import modifier_tables
from bayes_hte.reporting.tables.participants import PARTICIPANTS, participants
from bayes_hte.reporting.tables.priors import prior_table
from bayes_hte.reporting.tables.relative import RELATIVE, relative_table
from bayes_hte.reporting.tables.risks import risk_tables
from bayes_hte.reporting.tables.subgroups import evidence_tables, subgroup_tables
from bayes_hte.reporting.tables.survival import survival_tables
from bayes_hte.reporting.tables.trust import trust_tables

PROPORTION = "proportion_mediated"


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
    how, direction = results.interval, results.direction
    tables = {AVERAGES: average_effects(results)}
    if "tnie" in results.averages:
        share = proportion_mediated(
            results.averages["tnie"], results.averages["te"], minimal=direction["important"]
        )
        if share is not None:
            tables[PROPORTION] = summarize(share, **how)
    for name in focus(results):
        effect = results.effects[name]
        tables[f"individual_effects_{name}"] = _with_covariates(
            individual_effects(effect, **direction, **how), results
        )
        tables[f"effect_distribution_{name}"] = effect_distribution(effect, **how)
    tables["who_benefits"] = pd.concat(
        [who_benefits(results.effects[name], **direction, **how) for name in focus(results)]
    )
    tables |= risk_tables(results, **how)
    tables |= _present({RELATIVE: relative_table(results, **how), LEGS: leg_table(results, **how)})
    tables[PARTICIPANTS] = participants(results)
    tables |= modifier_tables(results, **how)
    for name in results.subgroups:
        tables |= subgroup_tables(results, name, **how)
        tables |= evidence_tables(results, name, **how)
    tables |= mixture_tables(results, arm_names(results), **how)
    tables["propensity"] = propensity_shares(
        results.propensity, results.study.arm_index(), arm_names(results)
    )
    tables |= trust_tables(results, **how)
    tables |= _check_tables(results)
    tables |= flow_tables(results)
    if results.trust.carries_individuals:
        tables |= _present({LOOKUP: lookup_table(results, tables, **how)})
        tables |= _present({LOOKUP_CURVES: lookup_curves(results, tables, **how)})
    tables |= survival_tables(results, **how)
    tables["priors"] = prior_table(results.spec)
    tables["provenance"] = provenance(results)
    return tables | checklist_tables(checklists(Material(results, tables)))


def write_tables(results: Results, folder: str | Path) -> list[Path]:
    """Write every table of the report as CSV.

    Parameters
    ----------
    results : Results
        A finished run.
    folder : str or Path
        Made if absent; files of the same name are replaced, and files that an earlier call wrote
        and this one does not are removed.

    Returns
    -------
    list of Path
        The files written.
    """
    return save(all_tables(results), Path(folder))


def _with_covariates(table: pd.DataFrame, results: Results) -> pd.DataFrame:
    """Add the covariates of each unit, each under a name that no column of the table has."""
    study = results.study
    covariates = study.frame[list(study.roles.covariates)].loc[table["unit"].to_numpy()]
    names = [f"covariate: {name}" for name in covariates.columns]
    return table.join(covariates.set_axis(names, axis=1).reset_index(drop=True))


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
        One row per arm and bin: ``arm``, ``bin_lower``, ``bin_upper``, ``n_units``, ``share``.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> from bayes_hte import reporting
    >>> draws = np.tile([0.2, 0.3, 0.6, 0.9], (2, 5, 1))
    >>> propensity = xr.DataArray(draws, dims=("chain", "draw", "unit"))
    >>> arm = np.array([0, 0, 1, 1])
    >>> reporting.propensity_shares(propensity, arm, ("usual", "new"), n_bins=2)["share"].tolist()
    [1.0, 0.0, 0.0, 1.0]
    """
    score = propensity.mean(SAMPLE).to_numpy()
    return shares_by_arm(score, arm, names, edges=np.linspace(0, 1, n_bins + 1))


def _present(tables: Mapping[str, pd.DataFrame | None]) -> dict[str, pd.DataFrame]:
    """Leave out the tables that a run cannot have."""
    return {key: table for key, table in tables.items() if table is not None}


def _check_tables(results: Results) -> dict[str, pd.DataFrame]:
    """One table of all checks, and the numbers behind each check that has any."""
    if not results.checks:
        return {}
    states = pd.DataFrame(
        [{"check": c.name, "state": c.state, "text": c.text} for c in results.checks]
    )
    numbers = {
        key: _with_index(check.table)
        for key, check in zip(check_keys(results), results.checks, strict=True)
        if not check.table.empty
    }
    return {"checks": states, **numbers}


def _with_index(table: pd.DataFrame) -> pd.DataFrame:
    """Turn a meaningful index into columns, whatever their names; drop a mere count of rows."""
    if table.index.names == [None] and table.index.equals(pd.RangeIndex(len(table))):
        return table.reset_index(drop=True)
    return table.reset_index(allow_duplicates=True)


def provenance(results: Results) -> pd.DataFrame:
    """List the record that repeats a run: ``key``, ``value``; nested keys joined with a dot."""
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
