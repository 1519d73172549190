"""Calibration by simulation of mixtures of classes: a binary outcome and two proxies of 3 levels.

The model is built once, on a table in which every possible row stands once, so that its priors (the
overall share of outcomes) are the same in every simulation; how many units show each row is put in
afterwards. Quantities are those that no naming of the classes changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import nutpie
import pandas as pd
import pymc as pm
import pytensor
import xarray as xr

from bayes_hte.mixtures.likelihood.fitting import _derive
from bayes_hte.mixtures.likelihood.model import build_mixture
from bayes_hte.mixtures.likelihood.problem import MixtureProblem, mixture_problem
from tests.benchmarks.sbc_models import Length, Simulated

UNITS = 120
SIDE = 3
CLASSES = 2


def every_row(level: int) -> MixtureProblem:
    """Return the problem of a table that holds each possible row once."""
    grid = np.stack(np.meshgrid(range(SIDE), range(SIDE), range(2), range(2)), -1).reshape(-1, 4)
    frame = pd.DataFrame(grid, columns=["z", "x", "t", "y"])
    # Categories, not numbers.
    frame[["z", "x"]] = frame[["z", "x"]].astype(str)
    edges = () if level == 2 else ("Z-T",)
    return mixture_problem(
        frame,
        outcome="y",
        treatment="t",
        x_proxies=["x"],
        z_proxies=["z"],
        k=CLASSES,
        level=level,
        edges=edges,
    )


def of_mixture(
    level: int, seeds: range, length: Length, *, wrong: float = 1.0
) -> Iterator[Simulated]:
    """Yield quantities of the truth and of the draws for each seed; see `sbc_models`.

    `wrong` multiplies the prior scale of the class means that the sampler believes in.
    """
    problem = every_row(level)
    patterns, priors = problem.patterns, problem.priors
    count = pytensor.shared(np.zeros(patterns.outcome.size), name="count")
    build = {"k": CLASSES, "level": level, "family": "bernoulli"}
    model = build_mixture(problem.data, patterns, priors=priors, **build)
    believes = replace(priors, outcome_scale=priors.outcome_scale * wrong)
    fitted = build_mixture(problem.data, replace(patterns, count=count), priors=believes, **build)
    compiled = nutpie.compile_pymc_model(fitted)
    free = [*model.free_RVs, *model.deterministics]
    drawn = pm.draw(free, draws=seeds.stop, random_seed=13, mode="FAST_COMPILE")
    truths = dataset(model, {v.name: of for v, of in zip(free, drawn, strict=True)})
    for seed in seeds:
        truth = truths.isel(draw=[seed])
        rng = np.random.default_rng([9, seed])
        counts = rng.multinomial(UNITS, row_probabilities(truth, problem)).astype(float)
        tree = nutpie.sample(
            compiled.with_data(count=counts),
            draws=length.kept * length.thin,
            tune=length.tune,
            chains=1,
            cores=1,
            seed=seed,
            progress_bar=False,
        )
        chain = tree["posterior"].to_dataset().isel(draw=slice(None, None, length.thin))
        yield _quantities(truth, problem, counts), _quantities(chain, problem, counts)


def row_probabilities(truth: xr.Dataset, problem: MixtureProblem) -> np.ndarray:
    """Return the probability of every pattern from the parameters, without the package's law."""
    p = problem.patterns
    of = {name: truth[name].to_numpy()[0, 0] for name in truth.data_vars}
    total = np.zeros(p.outcome.size)
    for u in range(CLASSES):
        tie = p.z if of["treatment_logit"].shape[1] > 1 else np.zeros(p.z.size, dtype=int)
        treated = 1 / (1 + np.exp(-of["treatment_logit"][u, tie]))
        outcome = 1 / (1 + np.exp(-of["outcome_predictor"][u, 0, p.arm]))
        total += (
            of["probabilities"][u]
            * of["z_given_class"][u, p.z]
            * of["x_given_class"][u, p.x]
            * np.where(p.arm == 1, treated, 1 - treated)
            * np.where(p.outcome == 1, outcome, 1 - outcome)
        )
    assert abs(total.sum() - 1) < 1e-9
    return total / total.sum()


def dataset(model: pm.Model, values: dict[str, np.ndarray]) -> xr.Dataset:
    dims = model.named_vars_to_dims
    coords = {name: list(of) for name, of in model.coords.items()}
    found = {n: (("chain", "draw", *dims[n]), np.asarray(v)[None]) for n, v in values.items()}
    used = {d for of, _ in found.values() for d in of[2:]}
    return xr.Dataset(found, {d: coords[d] for d in used})


def _quantities(
    draws: xr.Dataset, problem: MixtureProblem, counts: np.ndarray
) -> dict[str, np.ndarray]:
    places = range(draws.sizes["draw"])
    log_rows = np.log([row_probabilities(draws.isel(draw=[i]), problem) for i in places])
    return without_names(draws, problem) | {"log-likelihood": log_rows @ counts}


def without_names(draws: xr.Dataset, problem: MixtureProblem) -> dict[str, np.ndarray]:
    """Return quantities that no naming of the classes changes, each of shape (draw,)."""
    derived = _derive(draws, problem.level, problem.family, problem.patterns)
    effects = np.sort(derived["effects"].to_numpy()[0], axis=-1)
    share = draws["probabilities"].to_numpy()[0]
    # Shares of the classes among the units are those of the model, not of the reference table.
    ate = (draws["probabilities"] * derived["effects"]).sum("class")
    return {
        "average effect": ate.to_numpy()[0],
        "smallest effect": effects[:, 0],
        "largest effect": effects[:, -1],
        "smallest class": share.min(axis=1),
    }
