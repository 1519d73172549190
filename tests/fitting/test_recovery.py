"""Known truth: mediated effects, also where plugging in the mean of the mediator is wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte.study.simulation import simulate_mediation

pytestmark = pytest.mark.slow
SIZE = {"draws": 300, "tune": 200, "chains": 2, "progress": False}


def study_of(frame: pd.DataFrame) -> hte.Study:
    return hte.Study.from_frame(
        frame, outcome="y", treatment="treat", mediator="m", covariates=["x1", "x2", "x3"]
    )


@pytest.fixture(scope="module", params=["gaussian", "bernoulli"])
def recovered(request):
    rng = np.random.default_rng(20)
    simulated = simulate_mediation(rng, n=600, family=request.param)
    fit = hte.fit(study_of(simulated.frame), family=request.param, seed=21, **SIZE)
    return simulated, hte.decompose(fit.potential_outcomes())


@pytest.mark.parametrize("effect", ["te", "tnie", "pnde", "pnie", "tnde"])
def test_average_effects_are_covered(recovered, effect):
    simulated, draws = recovered
    truth = float(simulated.effects[effect].mean())
    lower, upper = hte.average(draws[effect]).quantile([0.005, 0.995]).to_numpy()
    assert lower < truth < upper


@pytest.mark.parametrize("effect", ["te", "tnie"])
def test_individual_intervals_cover(recovered, effect):
    simulated, draws = recovered
    bounds = draws[effect].quantile([0.025, 0.975], dim=("chain", "draw"))
    truth = simulated.effects[effect].to_numpy()
    covered = (bounds[0] < truth) & (truth < bounds[1])
    # Units of one fit are dependent, so this is a guard against gross failure, not a calibration.
    assert float(covered.mean()) > 0.8


def test_individual_indirect_effects_are_closer_than_their_average(recovered):
    simulated, draws = recovered
    truth = simulated.effects["tnie"].to_numpy()
    error = draws["tnie"].mean(("chain", "draw")).to_numpy() - truth
    assert np.sqrt((error**2).mean()) < truth.std()


def test_the_plug_in_mean_is_wrong_in_the_nonlinear_case():
    simulated = simulate_mediation(np.random.default_rng(22), n=2000, family="bernoulli")
    gap = simulated.effects["tnie"] - simulated.plug_in_tnie
    assert np.abs(gap).max() > 0.02
    linear = simulate_mediation(np.random.default_rng(22), n=200, family="gaussian")
    np.testing.assert_allclose(linear.effects["tnie"], linear.plug_in_tnie, atol=1e-12)
