"""Rows that look like repeated measurements of the same people, with no cluster declared.

Two people rarely share every covariate when one of them is measured finely. Visits of one person,
or members of one household described by household columns, do. Where rows are such repeats and the
models do not know it, every interval is too narrow.

Some rows agree by chance, because columns are rounded. The data say how many: take one fine column,
exchange its values among rows whose values are next to each other, and keep the other columns
together. The exchange barely disturbs the dependence between columns, which changes slowly along
the fine one, but it separates the copies of one row. The expected number of rows that still have a
twin has a closed form (drawing without replacement), so nothing is simulated.

References
----------
Cameron, A. C., Miller, D. L. (2015). A practitioner's guide to cluster-robust inference. Journal of
Human Resources 50, 317-372. doi:10.3368/jhr.50.2.317
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import hypergeom

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.subject import Subject
from bayes_hte.study.kinds import is_numeric
from bayes_hte.study.study import Study

NAME = "repeated rows"
MIN_LEVELS = 20
"""Distinct values from which a numeric covariate counts as fine; below, twins are no surprise."""
FINE_COLUMNS = 3
"""Fine columns tried. Repeats show in each of them; a column computed from others in one only."""
WINDOW = 5
"""Neighbouring values that are exchanged: few, so that dependence between columns survives."""
MAX_UNEXPLAINED = 0.1
"""Share of rows with an unexplained twin that is tolerated: were one row in ten half of a perfectly
correlated pair, standard errors would grow by less than 5% (the root of 1.1)."""
NOISE_SDS = 4.0
"""Standard deviations by which twins must exceed the expected number to count at all."""
RECODED = 0.1
"""Mean squared step between neighbouring values of a fine column, in variances (2 for an unrelated
column), below which a function of that column is a smooth recoding of it (a square, a logarithm)
and does not identify anybody."""


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Look for rows that share every covariate; see :func:`repeated_rows`."""
    return (repeated_rows(subject.study),)


def repeated_rows(study: Study) -> CheckResult:
    """Look for rows that share every covariate more often than chance explains.

    Parameters
    ----------
    study : Study
        The data; outcome, treatment and mediator play no part.

    Returns
    -------
    CheckResult
        Fails where more than a tenth of the rows have a twin that chance does not explain, for
        every fine column tried. Informs, without judging, where a cluster is declared or the
        covariates are too coarse, or too few, to judge by. One row of the table per fine column:
        ``rows``; ``distinct`` covariate vectors; ``with twin``, the share of rows whose covariates
        all occur again; ``expected`` by chance; ``unexplained`` share; ``excess sds``, how far
        above chance in standard deviations; ``largest group``; ``sd factor``, how much too narrow
        intervals are at most, if outcomes within a group were perfectly correlated.
    """
    if study.roles.cluster is not None:
        text = (
            f"Cluster {study.roles.cluster!r} is declared, so repeated rows are expected and "
            "modelled."
        )
        return CheckResult(NAME, None, pd.DataFrame(), text)
    frame = study.filled_covariates()
    fine = _fine_columns(frame)
    kept = _without_recodings(frame, fine)
    fine = [name for name in fine if name in kept][:FINE_COLUMNS]
    if not fine or len(kept) < 2:
        text = (
            "Repeats cannot be recognised: this takes a numeric covariate with at least "
            f"{MIN_LEVELS} distinct values and another covariate that is no recoding of it. If "
            "rows are repeated measurements of the same people, declare cluster=<column>."
        )
        return CheckResult(NAME, None, pd.DataFrame(), text)
    table = _table(frame[kept], fine)
    unexplained = (table["unexplained"] > MAX_UNEXPLAINED) & (table["excess sds"] > NOISE_SDS)
    found = bool(unexplained.all())
    return CheckResult(NAME, not found, table, _text(table, found))


def _fine_columns(frame: pd.DataFrame) -> list[str]:
    """Return the numeric columns with many distinct values, finest first."""
    counts = {name: frame[name].nunique() for name in frame.columns if is_numeric(frame[name])}
    fine = [name for name, count in counts.items() if count >= MIN_LEVELS]
    return sorted(fine, key=lambda name: -counts[name])


def _without_recodings(frame: pd.DataFrame, fine: Sequence[str]) -> list[str]:
    """Return the columns that are no monotone or smooth function of a finer one."""
    kept: list[str] = []
    for name in [*fine, *(c for c in frame.columns if c not in fine)]:
        if not any(_is_recoding(frame[name], of=frame[other]) for other in kept if other in fine):
            kept.append(name)
    return kept


def _is_recoding(column: pd.Series, *, of: pd.Series) -> bool:
    # The codes of a category mean nothing, so its indicators take their place.
    values = column if is_numeric(column) else pd.get_dummies(column)
    levels = pd.DataFrame(values).astype(np.float64).groupby(of.to_numpy()).agg(["min", "max"])
    lowest, highest = (levels.xs(name, axis=1, level=1).to_numpy() for name in ("min", "max"))
    if (lowest != highest).any():
        return False
    steps = np.diff(lowest, axis=0)
    monotone = is_numeric(column) and ((steps >= 0).all() or (steps <= 0).all())
    return bool(monotone or (steps**2).sum(axis=1).mean() < RECODED * lowest.var(axis=0).sum())


def _table(frame: pd.DataFrame, fine: Sequence[str]) -> pd.DataFrame:
    sizes = frame.groupby(list(frame.columns), sort=False, observed=True).size()
    n_rows = len(frame)
    with_twin = int(sizes[sizes > 1].sum())
    rows = {}
    for name in fine:
        chance = _chance_of_twin(frame, name)
        expected = float(chance.sum())
        # Twins come in pairs at least, which doubles the variance of independent rows.
        noise = np.sqrt(2 * np.sum(chance * (1 - chance)))
        excess = with_twin - expected
        rows[name] = {
            "rows": n_rows,
            "distinct": len(sizes),
            "with twin": with_twin / n_rows,
            "expected": expected / n_rows,
            "unexplained": excess / (n_rows - expected) if excess > 0 else 0.0,
            "excess sds": excess / max(float(noise), 1.0),
            "largest group": int(sizes.max()),
            "sd factor": float(np.sqrt((sizes**2).sum() / n_rows)),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("fine column")


def _chance_of_twin(frame: pd.DataFrame, fine: str) -> np.ndarray:
    """Return each row's probability of a twin once `fine` is exchanged in its window, shape (row,).

    In a window of N rows, n of them with the value that a row was dealt, the other m - 1 rows that
    agree with it in the remaining columns are dealt m - 1 of the N - 1 values left, of which n - 1
    are equal to its own.
    """
    level = np.unique(frame[fine].to_numpy(), return_inverse=True)[1]
    rest = frame.drop(columns=fine)
    vector = rest.groupby(list(rest.columns), sort=False, observed=True).ngroup().to_numpy()
    # The last, incomplete window joins the one before.
    window = np.minimum(level // WINDOW, max(level.max() // WINDOW - 1, 0))
    cells = pd.DataFrame({"window": window, "level": level, "vector": vector})
    dealt = cells.groupby(["window", "level"]).size().rename("n").reset_index()
    dealt["N"] = dealt.groupby("window")["n"].transform("sum")
    alike = cells.groupby(["window", "vector"]).size().rename("m").reset_index()
    pairs = alike[["window", "m"]].drop_duplicates().merge(dealt, on="window")
    alone = hypergeom.pmf(0, pairs["N"] - 1, pairs["n"] - 1, pairs["m"] - 1)
    pairs["chance"] = pairs["n"] / pairs["N"] * (1 - alone)
    chance = pairs.groupby(["window", "m"])["chance"].sum().rename("chance").reset_index()
    by_vector = alike.merge(chance, on=["window", "m"])[["window", "vector", "chance"]]
    return cells.merge(by_vector, on=["window", "vector"], how="left")["chance"].to_numpy()


def _text(table: pd.DataFrame, found: bool) -> str:
    least = table.loc[table["unexplained"].idxmin()]
    counts = (
        f"{100 * least['with twin']:.1f}% of {least['rows']:.0f} rows share every covariate with "
        f"another row; chance explains {100 * least['expected']:.1f}%"
    )
    if not found:
        return (
            f"{counts}. No sign of undeclared repeated measurements (at most "
            f"{100 * MAX_UNEXPLAINED:.0f}% unexplained is allowed)."
        )
    return (
        f"{counts}. The rows look like repeated measurements of the same people (groups of up to "
        f"{least['largest group']:.0f}): declare cluster=<column>, or intervals are too narrow, at "
        f"most by a factor of {least['sd factor']:.2g}. If no person or family occurs twice, "
        "covariates are computed from each other; leave out the derived ones."
    )
