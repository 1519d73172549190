"""Tables of the benchmark of mixing: every fit, and settings against the default."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.benchmarks.effects_table import markdown

DEFAULT = "default"
DATA = ["family", "cell", "replication"]
COLUMNS = {
    "cpu_seconds": "CPU s",
    "root_pehe": "root-PEHE",
    "cate_coverage_95": "c95",
    "rhat_average": "R-hat average",
    "ess_average": "ESS average",
    "rhat_worst": "R-hat worst unit",
    "rhat_panel": "of 20",
    "rhat_median": "R-hat median unit",
    "ess_median": "ESS median unit",
}
# Compared as ratios.
RATIOS = {
    "root-PEHE": "root_pehe",
    "width": "cate_width_95",
    "CPU s": "cpu_seconds",
    "ESS average": "ess_average",
    "ESS median unit": "ess_median",
    "ESS/s average": "average_per_second",
    "ESS/s median unit": "median_per_second",
}


def tabulate(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a fit, with effective draws a processor second."""
    table = rows[["family", "cell", "setting", *COLUMNS]].rename(columns=COLUMNS)
    for what in ("average", "median unit"):
        table[f"ESS/s {what}"] = table[f"ESS {what}"] / table["CPU s"]
    return table


def compare(rows: pd.DataFrame) -> pd.DataFrame:
    """Compare settings with the default over the data sets that have both.

    Parameters
    ----------
    rows : DataFrame
        Results, one row a fit.

    Returns
    -------
    DataFrame
        One row a setting, in the order of `rows`: geometric means over data sets of ratios to the
        default, mean difference of the coverage, largest R-hat.
    """
    rows = rows.loc[rows["error"].isna()].assign(
        average_per_second=lambda r: r["ess_average"] / r["cpu_seconds"],
        median_per_second=lambda r: r["ess_median"] / r["cpu_seconds"],
    )
    reference = rows[rows["setting"] == DEFAULT].set_index(DATA).add_suffix("_default")
    rows = rows.join(reference, on=DATA, how="inner")
    logs = {n: np.log(rows[column] / rows[f"{column}_default"]) for n, column in RATIOS.items()}
    rows = rows.assign(c95=rows["cate_coverage_95"] - rows["cate_coverage_95_default"], **logs)
    groups = rows.groupby("setting", sort=False)
    table = pd.DataFrame({"data sets": groups.size(), **np.exp(groups[[*RATIOS]].mean())})
    table.insert(2, "c95 (difference)", groups["c95"].mean())
    table["largest R-hat average"] = groups["rhat_average"].max()
    table["largest R-hat unit"] = groups["rhat_worst"].max()
    return table.reset_index()


def report(rows: pd.DataFrame) -> str:
    """Write both tables in Markdown."""
    return f"{markdown(tabulate(rows))}\n\nRelative to the default:\n\n{markdown(compare(rows))}"
