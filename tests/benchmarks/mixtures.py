"""Classes of a mixture against known truth: our estimators and others, on the same data sets.

Run it with ``uv run --group benchmark python -m tests.benchmarks.mixtures``. The design is that of
the paper (two classes, one binary proxy on each side, a Z-T edge of weight .5, no X-Y edge), at
growing numbers of units and strengths of the proxies. Rows are appended to a CSV file as they are
made, and with ``--resume`` those that are there are not made again.

Classes of every method are put in the order of their effect. What a method refuses or cannot solve
is counted and left out of its errors. Every method sees the same columns z, x, t and y. The models
of the posteriors are those of :func:`bayes_hte.fit_mixture`, compiled once for all data sets, as
compiling takes ten times as long as sampling; the starts are the sampler's own.

References
----------
Shashua, A., Hazan, T. (2005). Non-negative tensor factorization with applications to statistics and
computer vision. ICML, 792-799. doi:10.1145/1102351.1102451
Kossaifi, J., Panagakis, Y., Anandkumar, A., Pantic, M. (2019). TensorLy: tensor learning in Python.
Journal of Machine Learning Research 20, 1-6.
Morin, S., Legault, R., Laliberté, F., et al. (2025). StepMix: a Python package for
pseudo-likelihood estimation of generalized mixture models with external variables. Journal of
Statistical Software 113(8). doi:10.18637/jss.v113.i08
"""

from __future__ import annotations

import argparse
import itertools
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import nutpie
import pandas as pd
import pytensor
import xarray as xr
from nutpie.compile_pymc import CompiledPyMCModel

from bayes_hte.mixtures import (
    MixtureFit,
    draw_frame,
    empirical_moments,
    fit_mixture,
    identifiability,
    mixture_arrays,
    moment_posterior,
    paper_design,
    solve_mixture,
    solve_moments_pencil,
)
from bayes_hte.mixtures.likelihood.fitting import judge_mixture
from bayes_hte.mixtures.likelihood.law import Patterns, class_means, collapse
from bayes_hte.mixtures.likelihood.maximum import maximum_likelihood
from bayes_hte.mixtures.likelihood.model import build_mixture
from bayes_hte.mixtures.likelihood.problem import MixtureProblem, mixture_problem

SIZES = (1_000, 10_000)
DELTAS = (0.5, 0.3, 0.2)
Z_T_EDGE = 0.5
STARTS = 5
SAMPLER = {"draws": 500, "tune": 700, "chains": 4, "cores": 1}
COLUMNS = {"outcome": "y", "treatment": "t", "x_proxies": ["x"], "z_proxies": ["z"]}
KEY = ["method", "n", "delta", "repeat"]


@dataclass(frozen=True)
class Estimate:
    """What a method says: classes by ascending effect, 95% bounds of the effects if it has any."""

    effects: np.ndarray
    probabilities: np.ndarray
    ate: float
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None


def by_effect(effects: np.ndarray, probabilities: np.ndarray) -> Estimate:
    """Order classes; the average effect is that of the classes."""
    order = np.argsort(effects)
    ate = float(effects @ probabilities)
    return Estimate(effects[order], probabilities[order], ate)


def solver(frame: pd.DataFrame, seed: int) -> Estimate:
    """Operator solver with its default, joint eigenvectors; refuses weak proxies."""
    del seed
    moments = empirical_moments(arrays(frame))
    solution = solve_mixture(moments, k=2)
    return Estimate(solution.effects, solution.probabilities, solution.ate)


def pencil(frame: pd.DataFrame, seed: int) -> Estimate:
    """Published recursion and matrix pencil; its average effect is its first moment."""
    del seed
    moments = empirical_moments(arrays(frame))
    solution = solve_moments_pencil(moments.M, moments.N, moments.mu)
    return Estimate(solution.effects, solution.probabilities, float(solution.moments[1]))


def moments(frame: pd.DataFrame, seed: int) -> Estimate:
    """Posterior of the moments: medians and 95% bounds over the draws that could be solved."""
    graph = identifiability(k=2, z_levels=[2], x_levels=[2], edges=("Z-T",))
    found = moment_posterior(arrays(frame), graph, rng=np.random.default_rng(seed))
    table = found.summary(ci_prob=0.95, ci_kind="eti")
    effects = table.loc["effects"]
    return Estimate(
        effects["median"].to_numpy(),
        table.loc["probabilities", "median"].to_numpy(),
        float(table.loc[("ate", -1), "median"]),
        effects["ci_lower"].to_numpy(),
        effects["ci_upper"].to_numpy(),
    )


def likelihood(frame: pd.DataFrame, seed: int) -> Estimate:
    """Maximum of the level-3 likelihood over random starts."""
    data, rng = arrays(frame), np.random.default_rng(seed)
    patterns = collapse(data)
    runs = [maximum_likelihood(data, patterns, 2, "bernoulli", rng=rng) for _ in range(STARTS)]
    law = max(runs, key=lambda run: run[1])[0]
    means = class_means(law, "bernoulli")
    return by_effect(means[:, 1] - means[:, 0], np.asarray(law.probabilities))


def posterior(frame: pd.DataFrame, seed: int, *, level: int) -> Estimate:
    """Posterior means of the mixture model; level 2 rules the Z-T edge out, wrongly here."""
    fit, over = posterior_fit(frame, seed, level=level), ("chain", "draw")
    bounds = fit.effects.quantile([0.025, 0.975], over).to_numpy()
    return Estimate(
        fit.effects.mean(over).to_numpy(),
        fit.probabilities.mean(over).to_numpy(),
        float(fit.ate.mean()),
        *bounds,
    )


def posterior_fit(frame: pd.DataFrame, seed: int, *, level: int) -> MixtureFit:
    """The mixture model of a frame, sampled without compiling it anew."""
    problem = problem_of(frame, level)
    template, model = compiled(level)
    cells = pd.MultiIndex.from_arrays([template.z, template.x, template.arm, template.outcome])
    seen = problem.patterns
    count = pd.Series(seen.count, index=[seen.z, seen.x, seen.arm, seen.outcome])
    drawn = nutpie.sample(
        model.with_data(count=count.reindex(cells, fill_value=0.0).to_numpy()),
        **SAMPLER,
        seed=seed,
        progress_bar=False,
    )
    groups = {name: drawn[name].to_dataset() for name in ("posterior", "sample_stats")}
    return judge_mixture(problem, xr.DataTree.from_dict(groups), seed=seed)


@cache
def compiled(level: int) -> tuple[Patterns, CompiledPyMCModel]:
    """The model with counts left open, and the rows they count."""
    # So many units show every row, and put the centre of the prior where the design has it.
    frame = draw_frame(paper_design(0.5, Z_T_EDGE), 100_000, rng=np.random.default_rng(0))
    problem = problem_of(frame, level)
    patterns = problem.patterns
    open_counts = replace(patterns, count=pytensor.shared(patterns.count, name="count"))
    model = build_mixture(
        problem.data,
        open_counts,
        k=2,
        level=level,
        family=problem.family,
        priors=problem.priors,
    )
    return patterns, nutpie.compile_pymc_model(model)


def problem_of(frame: pd.DataFrame, level: int) -> MixtureProblem:
    """The checked model of a frame."""
    return mixture_problem(
        frame,
        **COLUMNS,
        k=2,
        level=level,
        edges=("Z-T",) if level == 3 else (),
    )


def parafac(frame: pd.DataFrame, seed: int) -> Estimate:
    """Non-negative PARAFAC of the table P(z, x, (t, y)): a mixture of products, level 2."""
    from tensorly.decomposition import non_negative_parafac

    table = np.zeros((2, 2, 4))
    np.add.at(table, (frame["z"], frame["x"], 2 * frame["t"] + frame["y"]), 1 / len(frame))
    runs = [
        non_negative_parafac(
            table, 2, init="random", n_iter_max=2000, tol=1e-10, random_state=seed + i,
            return_errors=True,
        )
        for i in range(STARTS)
    ]  # fmt: skip
    (weights, factors), _ = min(runs, key=lambda run: run[1][-1])
    mass = weights * np.prod([factor.sum(axis=0) for factor in factors], axis=0)
    return from_cells((factors[2] / factors[2].sum(axis=0)).T, mass / mass.sum())


def stepmix(frame: pd.DataFrame, seed: int) -> Estimate:
    """A measurement model of z, x and (t, y) by maximum likelihood: level 2."""
    from stepmix.stepmix import StepMix

    rows = frame[["z", "x"]].assign(ty=2 * frame["t"] + frame["y"]).value_counts().reset_index()
    model = StepMix(
        n_components=2, measurement="categorical", n_init=STARTS, max_iter=2000, random_state=seed,
        verbose=0, progress_bar=0,
    )  # fmt: skip
    model.fit(rows[["z", "x", "ty"]], sample_weight=rows["count"].to_numpy(dtype=float))
    found = model.get_parameters()
    return from_cells(found["measurement"]["pis"][:, -4:], found["weights"])


def from_cells(cells: np.ndarray, probabilities: np.ndarray) -> Estimate:
    """Class effects from P(t, y | u), shape (class, 4), cells in the order of 2t + y."""
    mean = cells[:, [1, 3]] / (cells[:, [0, 2]] + cells[:, [1, 3]])
    return by_effect(mean[:, 1] - mean[:, 0], probabilities)


METHODS: dict[str, Callable[[pd.DataFrame, int], Estimate]] = {
    "solver": solver,
    "pencil": pencil,
    "posterior of the moments": moments,
    "maximum likelihood, level 3": likelihood,
    "posterior, level 3": partial(posterior, level=3),
    "posterior, level 2": partial(posterior, level=2),
    "PARAFAC": parafac,
    "stepmix": stepmix,
}


def arrays(frame: pd.DataFrame):
    """Mixture data of a drawn frame."""
    return mixture_arrays(frame["z"], frame["x"], frame["t"], frame["y"])


def one(method: str, n: int, delta: float, repeat: int) -> dict[str, object]:
    """Run a method on a data set; data sets do not depend on the method."""
    design = paper_design(delta, Z_T_EDGE)
    seed = zlib.crc32(f"{n} {delta} {repeat}".encode()) % 2**31
    frame = draw_frame(design, n, rng=np.random.default_rng(seed))
    start = time.perf_counter()
    found = METHODS[method](frame, seed)
    row: dict[str, object] = {"method": method, "n": n, "delta": delta, "repeat": repeat}
    strength = solve_mixture(empirical_moments(arrays(frame)), k=2).strength.min()
    row |= {"seconds": time.perf_counter() - start, "strength": strength}
    for u in (0, 1):
        row[f"effect_{u}"] = found.effects[u] - design.effects[u]
        row[f"probability_{u}"] = found.probabilities[u] - design.probabilities[u]
        # What is refused is counted by itself; it neither covers nor misses.
        if found.lower is not None and found.upper is not None and np.isfinite(found.lower[u]):
            row[f"covered_{u}"] = found.lower[u] <= design.effects[u] <= found.upper[u]
    return row | {"ate": found.ate - design.ate}


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Root mean squared errors by cell and method, over classes and data sets together."""

    def rmse(part: pd.DataFrame, *columns: str) -> float:
        values = part[list(columns)].to_numpy(dtype=float).ravel()
        values = values[np.isfinite(values)]
        return float(np.sqrt((values**2).mean())) if len(values) else np.nan

    def cell(part: pd.DataFrame) -> pd.Series:
        covered = part.filter(like="covered").to_numpy(dtype=float).ravel()
        return pd.Series(
            {
                "strength": part["strength"].median(),
                "effects": rmse(part, "effect_0", "effect_1"),
                "probabilities": rmse(part, "probability_0", "probability_1"),
                "ate": rmse(part, "ate"),
                "coverage": covered[np.isfinite(covered)].mean()
                if np.isfinite(covered).any()
                else np.nan,
                "no answer": part["effect_0"].isna().mean(),
                "seconds": part["seconds"].median(),
                "data sets": len(part),
            }
        )

    table = rows.groupby(["n", "delta", "method"], sort=False).apply(cell, include_groups=False)
    return table.sort_index(level=["n", "delta"], ascending=[True, False], sort_remaining=False)


def speed() -> pd.Series:
    """Seconds of the figures that are promised."""
    frame = draw_frame(paper_design(), 1_000_000, rng=np.random.default_rng(0))
    data = arrays(frame)
    start = time.perf_counter()
    moments = empirical_moments(data)
    formed = time.perf_counter() - start
    solve_mixture(moments, k=2)
    start = time.perf_counter()
    for _ in range(100):
        solve_mixture(moments, k=2)
    solved = (time.perf_counter() - start) / 100
    start = time.perf_counter()
    fit_mixture(frame.head(10_000), **COLUMNS, k=2, seed=1, progress=False)
    names = ("moments of a million rows", "solver, k=2", "level-3 posterior, ten thousand rows")
    return pd.Series([formed, solved, time.perf_counter() - start], index=names, name="seconds")


def main() -> None:
    """Run the table, or with ``--speed`` the figures of speed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--deltas", type=float, nargs="+", default=DELTAS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--out", type=Path, default=Path("results/mixtures.csv"))
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--speed", action="store_true")
    options = parser.parse_args()
    if options.speed:
        print(speed().to_string())
        return
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rows = pd.read_csv(options.out) if options.resume and options.out.exists() else pd.DataFrame()
    made = set(rows[KEY].itertuples(index=False, name=None)) if len(rows) else set()
    # Data set by data set, so that a run that is stopped has equal numbers of each cell.
    cells = itertools.product(range(options.repeats), options.sizes, options.deltas)
    for repeat, n, delta in cells:
        for method in options.methods:
            if (method, n, delta, repeat) not in made:
                row = pd.DataFrame([one(method, n, delta, repeat)])
                rows = pd.concat([rows, row], ignore_index=True)
                rows.to_csv(options.out, index=False)
    print(summary(rows).round(3).to_string())


if __name__ == "__main__":
    main()
