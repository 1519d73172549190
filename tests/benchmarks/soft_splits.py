"""Soft splits: a prototype of the default's model with smooth trees, measured against the default.

A split sends a row right with weight ``logistic((x - c) / w)``, w a bandwidth of the tree (Linero
and Yang 2018), so each tree is a smooth function and so is each draw of an effect. Columns of two
values, and levels, split hard; other columns are scaled so that their 5th and 95th percentiles are
0 and 1 (or by ranks), and the bandwidth has an exponential prior. All else is the default's model
of a gaussian outcome under two arms: a mean for each arm, a forest that both share, deviations of
each arm that wait for a sixth of the tuning, sparse splits, scales that may vanish, the estimated
propensity as a column that stays open. With ``--kinds`` one forest takes the place of the three:
each of its trees chooses whether arms share its values. The trees stand in
:mod:`tests.benchmarks.soft_trees`.

``python -m tests.benchmarks.soft_splits`` runs both on the same data sets and adds a row to the
results file for each, the default first, because it lends its propensity. ``--check`` tests the
sampler instead: draws of parameters and data from the joint distribution, once directly and once by
turns, must agree (Geweke 2004).

References
----------
Geweke, J. (2004). Getting it right: joint distribution tests of posterior simulators. Journal of
the American Statistical Association 99, 799-804. doi:10.1198/016214504000001132
Linero, A. R., Yang, Y. (2018). Bayesian regression tree ensembles that adapt to smoothness and
sparsity. Journal of the Royal Statistical Society B 80, 1087-1110. doi:10.1111/rssb.12293
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from tests.benchmarks.effects_data import Data, load, seed_of
from tests.benchmarks.effects_fit import cpu_seconds, score
from tests.benchmarks.effects_methods import Estimate
from tests.benchmarks.mixing import diagnose
from tests.benchmarks.rows_file import rows_added
from tests.benchmarks.soft_trees import FREE, LEAF, SLOTS, Soft, evaluate, sweep

CUTS = 100
RESERVE = 0.25  # probability of the propensity, as in the default
SHARED, DEVIATION, MEAN = 1.0, 0.5, 0.7  # prior scales in units of the outcome's sd
ALIKE, WAIT = 0.2, 1 / 6  # parts of the tuning
SWEEPS = 2
CELLS = (
    "hahn/n=250 p=5 nonlinear heterogeneous",
    "hahn/n=500 p=5 nonlinear heterogeneous",
    "hahn/n=250 p=50 nonlinear heterogeneous",
    "hahn/n=500 p=5 linear heterogeneous",
    "hahn/n=250 p=50 linear heterogeneous",
    "smooth/n=747 p=25",
    "steps/n=500 p=10",
)


@dataclass(frozen=True)
class Columns:
    """Covariates as soft trees see them.

    Attributes
    ----------
    x : ndarray, shape (column, row)
        Numbers scaled, levels as columns of 0 and 1.
    grid : ndarray, shape (column, cut)
        Cuts, each as likely as the others.
    hard : ndarray of bool, shape (column,)
        Whether a column has two values.
    variable : ndarray of int, shape (column,)
        The variable that a column belongs to.
    """

    x: np.ndarray
    grid: np.ndarray
    hard: np.ndarray
    variable: np.ndarray

    def without_last(self) -> Columns:
        """Return all but the last column."""
        return Columns(self.x[:-1], self.grid[:-1], self.hard[:-1], self.variable[:-1])


def columns(frame: pd.DataFrame, *, scaling: str = "range") -> Columns:
    """Scale the covariates of a frame by their range (5th to 95th percentile) or by their rank."""
    x, grid, hard, variable = [], [], [], []
    ranks = (np.arange(CUTS) + 0.5) / CUTS
    for number, name in enumerate(frame):
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            found = [(column == level).to_numpy(float) for level in column.cat.categories]
        else:
            found = [column.to_numpy(float)]
        for values in found:
            two = np.unique(values).size <= 2
            if two:
                scaled = (values > values.min()).astype(float)
            elif scaling == "rank":
                scaled = column.rank().to_numpy() / (len(values) + 1)
            else:
                low, high = np.quantile(values, [0.05, 0.95])
                if high == low:
                    low, high = values.min(), values.max()
                scaled = (values - low) / (high - low)
            x.append(scaled)
            grid.append(np.full(CUTS, 0.5) if two else np.quantile(scaled, ranks))
            hard.append(two)
            variable.append(number)
    return Columns(np.array(x), np.array(grid), np.array(hard), np.array(variable))


def plant(
    c: Columns,
    rows: np.ndarray,
    *,
    scale: float,
    trees: int,
    width: float,
    rng: np.random.Generator,
    reserved: int = -1,
    apart: float = 1.0,
    first: int | None = None,
) -> Soft:
    """Make a forest of roots with values 0 on some rows.

    If `first` is given, so many of the rows are of the first arm and stand first; `apart` is the
    prior scale of values that arms do not share.
    """
    unit = np.array([scale**2, apart**2]) / trees
    x = np.ascontiguousarray(c.x[:, rows])
    variable = c.variable.copy()
    if reserved >= 0:
        variable[reserved] = -1
    members = [np.flatnonzero(variable == k) for k in range(variable.max() + 1)]
    share = np.full(len(members), 1 / len(members))
    feature = np.full((trees, SLOTS), FREE)
    feature[:, 0] = LEAF
    weight = np.zeros((trees, SLOTS, x.shape[1]))
    weight[:, 0] = 1.0
    return Soft(
        x=x,
        hard=c.hard,
        even=~c.hard & (np.diff(c.grid, axis=1) > 0).all(axis=1),
        variable=variable,
        start=np.cumsum([0, *map(len, members)]),
        members=np.concatenate(members),
        reserved=reserved,
        reserve=RESERVE if reserved >= 0 else 0.0,
        grid=c.grid,
        share=share,
        cumulative=np.cumsum(share),
        concentration=np.ones(1),
        feature=feature,
        cut=np.zeros((trees, SLOTS)),
        left=np.zeros((trees, SLOTS), np.int64),
        parent=np.zeros((trees, SLOTS), np.int64),
        depth=np.zeros((trees, SLOTS), np.int64),
        value=np.zeros((trees, SLOTS, 2)),
        width=rng.exponential(width, trees) if width > 0 else np.full(trees, 1e-6),
        mean_width=width,
        alpha=0.95,
        beta=2.0,
        unit=unit,
        variance=unit.copy(),
        first=x.shape[1] if first is None else first,
        kind=np.zeros(trees, np.int64),
        odds=np.full(4, 0.25),
        weight=weight,
        fit=np.zeros((trees, x.shape[1])),
        tried=np.zeros((4, 2)),
    )


def sample(
    data: Data,
    propensity: np.ndarray,
    *,
    seed: int,
    chains: int = 4,
    tune: int = 300,
    draws: int = 500,
    trees: tuple[int, int] = (50, 25),
    width: float = 0.1,
    scaling: str = "range",
    rounds: int = 1,
    wait: float = WAIT,
    kinds: bool = False,
) -> np.ndarray:
    """Draw individual effects.

    Parameters
    ----------
    data : Data
        Gaussian outcome, two arms.
    propensity : ndarray, shape (unit,)
        Estimated.
    seed, chains, tune, draws : int
        As in :func:`bayes_hte.fit`.
    trees : tuple of int
        Of the shared forest and of each deviation.
    width : float
        Prior mean of the bandwidth, in units of the scaled columns; 0 splits hard.
    scaling : {"range", "rank"}
        See :func:`columns`.
    rounds : int
        Moves of a tree in a sweep.
    wait : float
        Part of the tuning in which the deviations, or kinds other than shared, wait.
    kinds : bool
        Whether one forest of ``sum(trees) + trees[1]`` trees, each of which chooses whether arms
        share it, takes the place of the shared forest and the deviations.

    Returns
    -------
    ndarray, shape (chain, draw, unit)
    """
    c = columns(data.covariates.assign(__propensity=propensity), scaling=scaling)
    options = {"trees": trees, "width": width, "rounds": rounds, "wait": int(wait * tune)}
    one = _chain_of_kinds if kinds else _chain
    out = [
        one(data, c, np.random.default_rng([seed, chain]), tune=tune, draws=draws, **options)
        for chain in range(chains)
    ]
    return np.array(out)


def _chain(
    data: Data,
    c: Columns,
    rng: np.random.Generator,
    *,
    tune: int,
    draws: int,
    trees: tuple[int, int],
    width: float,
    rounds: int,
    wait: int,
) -> np.ndarray:
    n, sd, own = len(data.outcome), data.outcome.std(), c.without_last()
    arms = [np.flatnonzero(data.treatment == a) for a in (0, 1)]
    how = {"width": width, "rng": rng}
    last = c.hard.size - 1
    shared = plant(c, np.arange(n), scale=SHARED * sd, trees=trees[0], reserved=last, **how)
    apart = [plant(own, rows, scale=DEVIATION * sd, trees=trees[1], **how) for rows in arms]
    everywhere = np.ascontiguousarray(own.x)
    total, totals = np.zeros(n), [np.zeros(rows.size) for rows in arms]
    mean, sigma, r = np.zeros(2), sd, data.outcome - data.outcome.mean()
    out = np.empty((draws, n))
    for iteration in range(tune + draws):
        learn = iteration >= ALIKE * tune
        for _ in range(SWEEPS):
            precision = np.full(n, sigma**-2)
            sweep(shared, total, r, precision, rounds, learn, False, rng)
            for a, rows in enumerate(arms):
                here = r[rows]
                if iteration >= wait:
                    sweep(apart[a], totals[a], here, precision[rows], rounds, learn, False, rng)
                r[rows] = here
                _draw_mean(mean, a, r, rows, sigma, MEAN * sd, rng)
            sigma = _draw_sigma(r, rng)
        if iteration >= tune:
            ends = [evaluate(f._replace(x=everywhere), 0) for f in apart]
            out[iteration - tune] = mean[1] - mean[0] + ends[1] - ends[0]
    return out


def _chain_of_kinds(
    data: Data,
    c: Columns,
    rng: np.random.Generator,
    *,
    tune: int,
    draws: int,
    trees: tuple[int, int],
    width: float,
    rounds: int,
    wait: int,
) -> np.ndarray:
    n, sd = len(data.outcome), data.outcome.std()
    order = np.argsort(data.treatment, kind="stable")
    first = int((data.treatment == 0).sum())
    scales = {"scale": SHARED * sd, "apart": DEVIATION * sd, "trees": trees[0] + 2 * trees[1]}
    last = c.hard.size - 1
    f = plant(c, order, first=first, reserved=last, width=width, rng=rng, **scales)
    arms = [np.arange(first), np.arange(first, n)]
    total, mean, sigma = np.zeros(n), np.zeros(2), sd
    r = (data.outcome - data.outcome.mean())[order]
    out = np.empty((draws, n))
    for iteration in range(tune + draws):
        learn, free = iteration >= ALIKE * tune, iteration >= wait
        for _ in range(SWEEPS):
            sweep(f, total, r, np.full(n, sigma**-2), rounds, learn, free, rng)
            for a, rows in enumerate(arms):
                _draw_mean(mean, a, r, rows, sigma, MEAN * sd, rng)
            sigma = _draw_sigma(r, rng)
        if iteration >= tune:
            out[iteration - tune, order] = mean[1] - mean[0] + evaluate(f, 1) - evaluate(f, 0)
    return out


def _draw_mean(
    mean: np.ndarray,
    a: int,
    r: np.ndarray,
    rows: np.ndarray,
    sigma: float,
    scale: float,
    rng: np.random.Generator,
) -> None:
    information = rows.size / sigma**2 + scale**-2
    new = (r[rows] + mean[a]).sum() / sigma**2 / information
    new += rng.normal() / math.sqrt(information)
    r[rows] += mean[a] - new
    mean[a] = new


def _draw_sigma(r: np.ndarray, rng: np.random.Generator) -> float:
    # A prior flat in log sigma: hundreds of rows leave no mark of it.
    return math.sqrt((r @ r) / (2 * rng.standard_gamma(r.size / 2)))


# --- the check --------------------------------------------------------------------------------


def prior_draw(f: Soft, rng: np.random.Generator) -> None:
    """Replace a forest by one from its prior; its values at the rows are left to `evaluate`."""
    f.variance[:] = f.unit * rng.standard_normal(2) ** 2
    if f.first < f.x.shape[1]:
        f.odds[:] = rng.dirichlet(np.ones(4))
        f.kind[:] = rng.choice(4, f.kind.size, p=f.odds)
    ratio = rng.beta(0.5, 1.0)
    f.concentration[0] = ratio / (1 - ratio)
    f.share[:] = rng.dirichlet(np.full(f.share.size, f.concentration[0]))
    f.cumulative[:] = np.cumsum(f.share)
    for t in range(f.width.size):
        f.width[t] = rng.exponential(f.mean_width)
        while not _grown(f, t, rng):
            pass
        kind, leaf = f.kind[t], f.feature[t] == LEAF
        sd = math.sqrt(f.variance[min(kind, 1)])
        drawn = rng.normal(0, sd, (SLOTS, 2)) * leaf[:, None]
        if kind == 0:
            drawn[:, 1] = drawn[:, 0]
        f.value[t] = drawn * (kind != 3, kind != 2)


def _grown(f: Soft, t: int, rng: np.random.Generator) -> bool:
    """Grow a tree from its prior; false if it has too many leaves."""
    f.feature[t] = FREE
    f.feature[t, 0], f.depth[t, 0], top, stack = LEAF, 0, 1, [0]
    while stack:
        s = stack.pop()
        if rng.random() >= f.alpha * (1.0 + f.depth[t, s]) ** -f.beta:
            continue
        if top + 1 >= SLOTS:
            return False
        if f.reserved >= 0 and rng.random() < f.reserve:
            column = f.reserved
        else:
            k = rng.choice(f.share.size, p=f.share)
            column = rng.choice(f.members[f.start[k] : f.start[k + 1]])
        f.feature[t, s], f.left[t, s] = column, top
        f.cut[t, s] = 0.5 if f.hard[column] else rng.choice(f.grid[column])
        f.feature[t, top : top + 2], f.depth[t, top : top + 2] = LEAF, f.depth[t, s] + 1
        f.parent[t, top : top + 2] = s
        stack += [top, top + 1]
        top += 2
    return True


def statistics(f: Soft, value: np.ndarray) -> list[float]:
    """Functions of parameters whose means both ways of drawing must share."""
    leaves = (f.feature == LEAF).sum(axis=1)
    inner = f.feature >= 0
    return [
        *np.log(f.variance / f.unit)[: 1 + (f.first < f.x.shape[1])],
        *np.bincount(f.kind, minlength=4)[:3],
        math.log(f.concentration[0]),
        leaves.mean(),
        (leaves**2).mean(),
        f.width.mean(),
        np.log(f.width).mean(),
        f.share.max(),
        *np.bincount(f.feature[inner], minlength=4)[:4],
        float(f.cut[inner].sum()),
        abs(value[0]) ** 0.5,
        abs(value[-1] - value[0]) ** 0.5,
    ]


def check(draws: int = 4_000, rows: int = 12, *, kinds: bool = False) -> pd.DataFrame:
    """Compare means under both ways of drawing; `z` should look standard normal."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(rows, 3)), columns=["a", "b", "propensity"])
    frame.insert(2, "two", rng.integers(0, 2, rows))
    first = rows // 3 if kinds else rows
    how = {"scale": 1.0, "trees": 3, "width": 0.1, "rng": rng, "reserved": 3, "first": first}
    f = plant(columns(frame), np.arange(rows), **how)
    direct = []
    for _ in range(draws):
        prior_draw(f, rng)
        direct.append(statistics(f, values(f)))
    f = plant(columns(frame), np.arange(rows), **how)
    turns, total = [], np.zeros(rows)
    for _ in range(5 * draws):
        residual = rng.standard_normal(rows)
        sweep(f, total, residual, np.ones(rows), 1, True, kinds, rng)
        turns.append(statistics(f, total))
    a, b = np.array(direct), np.array(turns)
    # Standard errors of what is drawn by turns from means of 20 batches.
    batches = b.reshape(20, -1, b.shape[1]).mean(axis=1)
    error = np.sqrt(a.var(axis=0) / len(a) + batches.var(axis=0, ddof=1) / 20)
    names = ["log_scale", *(["log_scale_apart"] if kinds else []), "shared", "apart", "first"]
    names += ["log_c", "leaves", "leaves2", "width", "log_width", "top", "a", "b", "two"]
    names += ["propensity", "cuts", "root_f", "root_difference"]
    z = (b.mean(0) - a.mean(0)) / np.where(error > 0, error, 1.0)
    found = {"direct": a.mean(0), "by_turns": b.mean(0), "z": z}
    return pd.DataFrame(found, index=names)


def values(f: Soft) -> np.ndarray:
    """Value of a forest at its rows, each under its own arm."""
    first, second = evaluate(f, 0), evaluate(f, 1)
    return np.where(np.arange(first.size) < f.first, first, second)


# --- the benchmark ----------------------------------------------------------------------------


def measured(data: Data, effects: np.ndarray, seconds: float) -> dict[str, float]:
    """Score and diagnose draws of shape (chain, draw, unit)."""
    import arviz_stats as az

    found = score(data, Estimate.from_draws(effects.reshape(-1, effects.shape[-1])))
    cate = xr.DataArray(effects, dims=("chain", "draw", "unit"))
    kept = ["root_pehe", "cate_coverage_95", "cate_width_95", "ate_error", "ate_coverage_95"]
    rhat = float(az.rhat(cate).quantile(0.95))
    return {k: found[k] for k in kept} | diagnose(cate) | {"rhat_95": rhat, "cpu_seconds": seconds}


def run_default(data: Data, *, seed: int, draws: int) -> tuple[dict[str, float], np.ndarray]:
    """Fit the default; return what is measured of it, and its propensity, shape (unit,)."""
    import bayes_hte as hte

    frame = data.covariates.assign(y=data.outcome, t=data.treatment)
    names = list(data.covariates.columns)
    study = hte.Study.from_frame(frame, outcome="y", treatment="t", covariates=names)
    used = cpu_seconds()
    fit = hte.fit(study, seed=seed, draws=draws, cores=1, progress=False)
    cate = fit.cate().transpose("chain", "draw", "unit").to_numpy()
    used = cpu_seconds() - used
    propensity = fit.propensity().mean(("chain", "draw")).to_numpy()
    return measured(data, cate, used), propensity.reshape(len(data.effect), -1)[:, -1]


def run_cell(
    cell: str, replication: int, options: Mapping[str, Any]
) -> dict[str, dict[str, float]]:
    """Measure the default and soft splits on one data set."""
    family, name = cell.split("/", 1)
    data = load(family, name, replication)
    seed = seed_of(family, name, replication) ^ 0x5EED
    default, propensity = run_default(data, seed=seed, draws=options["draws"])
    used = cpu_seconds()
    effects = sample(data, propensity, seed=seed, **options)
    return {"default": default, "soft": measured(data, effects, cpu_seconds() - used)}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Soft splits against the default.")
    parser.add_argument("--cells", nargs="+", default=list(CELLS), metavar="FAMILY/CELL")
    parser.add_argument("--replications", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--trees", nargs=2, type=int, default=[50, 25])
    parser.add_argument("--width", type=float, default=0.1)
    parser.add_argument("--scaling", choices=["range", "rank"], default="range")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--wait", type=float, default=WAIT)
    parser.add_argument("--kinds", action="store_true", help="one forest; see `sample`")
    parser.add_argument("--out", type=Path, default=Path("results/soft_splits.csv"))
    parser.add_argument("--check", action="store_true", help="test the sampler; no fits")
    return parser.parse_args(arguments)


def main() -> None:
    """Run what the command line asks for."""
    options = parse()
    warnings.simplefilter("ignore")
    if options.check:
        print(check(kinds=options.kinds).round(3).to_string())
        return
    names = ("draws", "trees", "width", "scaling", "rounds", "wait", "kinds")
    chosen = {name: getattr(options, name) for name in names}
    key = ["cell", "replication", "model"]
    example = load("hahn", "n=250 p=5 nonlinear heterogeneous", 0)
    sample(example, np.linspace(0.1, 0.9, 250), seed=0, chains=1, tune=2, draws=2)  # compiles
    measures = ["root_pehe", "cate_coverage_95", "cate_width_95", "ate_error", "ate_coverage_95"]
    measures += ["rhat_average", "ess_average", "rhat_worst", "rhat_panel", "rhat_median"]
    measures += ["ess_median", "rhat_95", "cpu_seconds"]
    with rows_added(options.out, [*key, *measures]) as add:
        for replication in options.replications:
            for cell in options.cells:
                for model, row in run_cell(cell, replication, chosen).items():
                    add(dict(zip(key, (cell, replication, model), strict=True)) | row)
                    print(f"{cell} {replication} {model}: {row['root_pehe']:.3f}", flush=True)


if __name__ == "__main__":
    main()
