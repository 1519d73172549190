"""A small calibration by simulation of the classes, with weights in place of a chain.

Parameters are drawn from the prior of the model, data given them by a law that is written down
independently (`tests/benchmarks/sbc_mixture.py`), and the posterior is the other draws from the
prior, weighted by the likelihood of the package. Then the posterior probability below each true
value is uniform. So few units (`UNITS`) leave most draws some weight. The benchmark does the same
with chains of the sampler, and more units.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pymc as pm
import pytest
from scipy import stats

from bayes_hte.mixtures.likelihood.law import class_law
from bayes_hte.mixtures.likelihood.membership import log_likelihood
from bayes_hte.mixtures.likelihood.model import build_mixture
from tests.benchmarks.sbc_mixture import dataset, every_row, row_probabilities, without_names

UNITS, SIMULATIONS, DRAWS = 6, 150, 1500
SMALLEST = 1e-3


def prior_draws(problem, size: int, *, wider: float = 1.0):
    """Draws from the prior, dims (chain, draw, ...); `wider` multiplies that of class means."""
    priors = replace(problem.priors, outcome_scale=problem.priors.outcome_scale * wider)
    build = {"k": 2, "level": problem.level, "family": "bernoulli", "priors": priors}
    model = build_mixture(problem.data, problem.patterns, **build)
    free = [*model.free_RVs, *model.deterministics]
    drawn = pm.draw(free, draws=size, random_seed=2, mode="FAST_COMPILE")
    return dataset(model, {v.name: of for v, of in zip(free, drawn, strict=True)})


def smallest_p(problem, truths, believed) -> float:
    """Smallest p-value of uniform posterior probabilities, times the number of quantities."""
    law = class_law(believed, problem.level, problem.family)
    log_rows = log_likelihood(law, problem.patterns, problem.family)[0]
    of_draws, of_truths = (without_names(of, problem) for of in (believed, truths))
    below = np.empty((SIMULATIONS, len(of_draws)))
    for k in range(SIMULATIONS):
        rng = np.random.default_rng([3, k])
        counts = rng.multinomial(UNITS, row_probabilities(truths.isel(draw=[k]), problem))
        log_weights = log_rows @ counts
        weights = np.exp(log_weights - log_weights.max())
        for place, (name, values) in enumerate(of_draws.items()):
            below[k, place] = np.average(values < of_truths[name][k], weights=weights)
    return min(stats.kstest(column, "uniform").pvalue for column in below.T) * len(of_draws)


@pytest.mark.parametrize("level", [2, 3])
def test_the_classes_are_calibrated_and_a_wrong_prior_is_found(level):
    problem = every_row(level)
    drawn = prior_draws(problem, SIMULATIONS + DRAWS)
    truths, right = drawn.isel(draw=slice(SIMULATIONS)), drawn.isel(draw=slice(SIMULATIONS, None))
    assert smallest_p(problem, truths, right) > SMALLEST
    assert smallest_p(problem, truths, prior_draws(problem, DRAWS, wider=4.0)) < SMALLEST
