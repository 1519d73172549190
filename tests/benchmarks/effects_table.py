"""Tables of the benchmark of effects."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.benchmarks.effects_data import FAMILIES
from tests.benchmarks.effects_methods import METHODS, PROBS, REFERENCE

KEY = ["family", "cell", "replication", "method"]


def read(files: Iterable[Path]) -> pd.DataFrame:
    """Read results, in the order of the benchmark; of a fit done twice the last counts."""
    rows = pd.concat([pd.read_csv(f) for f in files], ignore_index=True)
    names = [*FAMILIES, *(c for family in FAMILIES.values() for c in family.cells), *METHODS]
    place = {name: i for i, name in enumerate(names)}
    return rows.drop_duplicates(KEY, keep="last").sort_values(
        ["family", "cell", "method", "replication"], key=lambda column: column.replace(place)
    )


def tabulate(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Average the measures over data sets.

    Parameters
    ----------
    rows : DataFrame
        Results, one row a fit.
    by : list of str
        Columns to group by, the last being ``method``.

    Returns
    -------
    DataFrame
        One row a group. ``root-PEHE`` is the mean over data sets with its standard error in
        ``se``; ``/bcf`` the ratio of means to the reference on the data sets both have; ``ATE
        bias`` and ``ATE rmse`` over data sets; ``c50`` and ``c95`` mean coverage, ``w50`` and
        ``w95`` mean widths; ``seconds`` and ``CPU s`` medians; ``GiB`` the largest.
    """
    rows = rows.assign(failed=rows["error"].notna(), square=rows["ate_error"] ** 2)
    same_data = [c for c in KEY if c != "method"]
    reference = rows.loc[rows["method"] == REFERENCE].set_index(same_data)["root_pehe"]
    rows = rows.join(reference.rename("reference"), on=same_data)
    # Both or neither.
    rows["reference"] = rows["reference"].where(rows["root_pehe"].notna())
    rows["compared"] = rows["root_pehe"].where(rows["reference"].notna())
    groups = rows.groupby(by, sort=False)
    table = pd.DataFrame(
        {
            "fits": groups["root_pehe"].count(),
            "failed": groups["failed"].sum(),
            "root-PEHE": groups["root_pehe"].mean(),
            "se": groups["root_pehe"].sem(),
            "relative": groups["relative_pehe"].mean(),
            f"/{REFERENCE}": groups["compared"].mean() / groups["reference"].mean(),
            **{
                f"CATE {what[0]}{100 * prob:.0f}": groups[f"cate_{what}_{100 * prob:.0f}"].mean()
                for prob in PROBS
                for what in ("coverage", "width")
            },
            "ATE bias": groups["ate_error"].mean(),
            "ATE rmse": np.sqrt(groups["square"].mean()),
            **{
                f"ATE {what[0]}{100 * prob:.0f}": groups[f"ate_{what}_{100 * prob:.0f}"].mean()
                for prob in PROBS
                for what in ("coverage", "width")
            },
            "seconds": groups["seconds"].median(),
            "CPU s": groups["cpu_seconds"].median(),
            "GiB": groups["memory_gib"].max(),
        }
    )
    return table.reset_index()


def markdown(table: pd.DataFrame) -> str:
    """Write a table in Markdown; a number that is not there is an empty field."""

    def words(value: Any) -> str:
        if not isinstance(value, float):
            return str(value)
        return "" if np.isnan(value) else f"{value:.{3 if abs(value) < 10 else 1}f}"

    lines = [list(map(str, table.columns)), ["---"] * table.shape[1]]
    lines += [[words(value) for value in row] for row in table.itertuples(index=False)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def report(rows: pd.DataFrame) -> str:
    """Write both tables, and what they are relative to, in Markdown."""
    equal = rows.loc[rows["relative_to"] == "sd of outcome", ["family", "cell"]].drop_duplicates()
    names = "; ".join(f"{family} {cell}" for family, cell in equal.itertuples(index=False))
    note = (
        "Of individual (CATE) and average (ATE) effects: c50 and c95 are the coverage of 50% and "
        "95% intervals, w50 and w95 their mean width. `se` is the standard error of root-PEHE over "
        f"data sets, `/{REFERENCE}` the ratio of mean root-PEHE to that method's on the same data. "
        "`relative` is root-PEHE over the standard deviation of the true effects"
        + (f", but over that of the outcome where all effects are equal: {names}" if names else "")
        + f". Software: {', '.join(sorted(rows['software'].dropna().unique()))}."
    )
    parts = ["## By cell", markdown(tabulate(rows, ["family", "cell", "method"]))]
    parts += ["## By family", markdown(tabulate(rows, ["family", "method"])), note]
    return "\n\n".join(parts)
