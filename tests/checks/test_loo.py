"""Leave-one-out scores and calibration agree with closed forms, and broken models fail."""

from __future__ import annotations

import arviz_stats
import numpy as np
import pytest
import xarray as xr
from scipy import stats

from bayes_hte.checks.loo import STACKED, leave_one_out, loo_check
from bayes_hte.checks.loo_pit import LeftOutDraws, calibration_check, left_out_probabilities
from bayes_hte.components.families import get_family
from bayes_hte.errors import SamplingError
from bayes_hte.names import SAMPLE, UNIT

CHAINS, DRAWS, UNITS = 4, 250, 80
SIGMA, PRIOR_SD = 0.8, 2.0
ARM = np.arange(UNITS) % 2
NAMES = ("booklet", "training")
GAUSSIAN = get_family("gaussian")


def outcomes(seed: int = 1, sd: float = SIGMA) -> np.ndarray:
    return np.random.default_rng(seed).normal(1.0, sd, size=UNITS)


def posterior(y: np.ndarray) -> tuple[float, float]:
    """Mean and variance of a normal mean with known sigma and a normal prior around 0."""
    variance = 1 / (1 / PRIOR_SD**2 + y.size / SIGMA**2)
    return variance * y.sum() / SIGMA**2, variance


def left_out(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exact predictive mean and sd of each unit given the others."""
    variance = 1 / (1 / PRIOR_SD**2 + (y.size - 1) / SIGMA**2)
    mean = variance * (y.sum() - y) / SIGMA**2
    return mean, np.full(y.size, np.sqrt(variance + SIGMA**2))


def draws(y: np.ndarray, seed: int = 2) -> np.ndarray:
    """Exact posterior draws of the linear predictor, shape (chain, draw, unit)."""
    mean, variance = posterior(y)
    theta = np.random.default_rng(seed).normal(mean, np.sqrt(variance), size=(CHAINS, DRAWS, 1))
    return np.broadcast_to(theta, (CHAINS, DRAWS, y.size))


def labelled(values: np.ndarray) -> xr.DataArray:
    units = {UNIT: [f"id{i}" for i in range(values.shape[-1])]}
    return xr.DataArray(values, dims=(*SAMPLE, UNIT), coords=units)


def likelihood(y: np.ndarray, eta: np.ndarray, sigma: float = SIGMA) -> xr.DataArray:
    return labelled(stats.norm.logpdf(y, eta, sigma))


def transformed(y: np.ndarray, *, sigma: float = SIGMA, family=GAUSSIAN, seed: int = 3):
    """Values of the transform under a fit of the conjugate model with a given sigma."""
    eta = draws(y)
    weights = leave_one_out(likelihood(y, eta, sigma)).log_weights
    model = LeftOutDraws(
        eta.reshape(-1, y.size),
        {"sigma": np.full((CHAINS * DRAWS, 1), sigma)},
        weights.transpose(*SAMPLE, UNIT).to_numpy().reshape(-1, y.size),
    )
    return left_out_probabilities([model], y, family=family, rng=np.random.default_rng(seed))


def fixed(family: str, eta: np.ndarray, y: np.ndarray, seed: int = 4) -> np.ndarray:
    """Values of the transform for a model whose linear predictor is known."""
    noise = {"size": np.array(2.0)} if family == "negative_binomial" else {}
    model = LeftOutDraws(np.tile(eta, (5, 1)), noise, np.zeros((5, eta.size)))
    rng = np.random.default_rng(seed)
    return left_out_probabilities([model], y, family=get_family(family), rng=rng)


def overfitted(share: float) -> xr.DataArray:
    """Log-likelihoods of which a share of the units' has a heavy upper tail of weights."""
    values = likelihood(outcomes(), draws(outcomes())).copy()
    rng = np.random.default_rng(5)
    bad = int(share * UNITS)
    values[..., :bad] = -2.0 * rng.standard_exponential((CHAINS, DRAWS, bad))
    return values


# ---------------------------------------------------------------- the score


def test_the_score_is_that_of_the_conjugate_model():
    y = outcomes()
    row = loo_check({"a": leave_one_out(likelihood(y, draws(y)))}).table.loc["a"]
    exact = stats.norm.logpdf(y, *left_out(y))
    # Monte Carlo error of the sum is about 0.02 here.
    assert row["elpd"] == pytest.approx(exact.sum(), abs=0.1)
    assert row["se"] == pytest.approx(np.sqrt(UNITS) * exact.std(), rel=0.02)
    at_mean = stats.norm.logpdf(y, posterior(y)[0], np.sqrt(posterior(y)[1] + SIGMA**2)).sum()
    assert row["p_loo"] == pytest.approx(at_mean - exact.sum(), abs=0.15)


def test_a_model_that_follows_no_unit_passes():
    y = outcomes()
    result = loo_check({"a": leave_one_out(likelihood(y, draws(y)))})
    assert result.passed is True
    assert "unreliable (Pareto k above 0.67) for 0 of 80 units" in result.text
    assert result.table.loc["a", "units above"] == ""


def test_a_model_that_follows_single_units_fails():
    result = loo_check({"a": leave_one_out(overfitted(0.25))})
    assert result.passed is False
    assert "follows single units" in result.text
    assert result.table.loc["a", "share above"] == pytest.approx(0.25, abs=0.01)


def test_few_units_of_that_kind_pass_and_are_named():
    result = loo_check({"a": leave_one_out(overfitted(0.03))})
    assert result.passed is True
    assert set(result.table.loc["a", "units above"].split(", ")) == {"id0", "id1"}
    assert "id0 (" in result.text


def test_one_unreliable_candidate_fails_all():
    good = leave_one_out(likelihood(outcomes(), draws(outcomes())))
    result = loo_check({"good": good, "bad": leave_one_out(overfitted(0.25))})
    assert result.passed is False
    assert "of model bad" in result.text


def test_a_likelihood_that_is_not_finite_is_refused():
    values = likelihood(outcomes(), draws(outcomes())).copy()
    values[0, 3, 7] = -np.inf
    with pytest.raises(SamplingError, match="not finite for 1 of 80 units"):
        leave_one_out(values)


def test_too_few_draws_for_a_tail_are_refused():
    values = likelihood(outcomes(), draws(outcomes())).isel(chain=[0])
    assert np.isfinite(leave_one_out(values.isel(draw=slice(25))).elpd)
    with pytest.raises(SamplingError, match=r"at least 25 draws .* got 24; fit again with more"):
        leave_one_out(values.isel(draw=slice(24)))


def test_a_unit_that_says_nothing_is_left_out_without_trouble():
    """One censored before it was at risk has a likelihood of 1 in every draw."""
    rng = np.random.default_rng(1)
    values = rng.normal(-1.0, 0.1, size=(2, 200, 4))
    values[..., 2] = 0.0
    whole = xr.DataArray(values, dims=(*SAMPLE, UNIT))
    found = leave_one_out(whole)
    assert found.elpd_i[2] == pytest.approx(0.0, abs=1e-5)
    assert found.pareto_k[2] == 0
    np.testing.assert_allclose(np.exp(found.log_weights.isel({UNIT: 2})), 1 / 400, rtol=1e-4)
    others = leave_one_out(whole.isel({UNIT: [0, 1, 3]}))
    # The relative efficiency is a mean over units, so scores differ a little.
    np.testing.assert_allclose(found.elpd_i[[0, 1, 3]], others.elpd_i, atol=0.01)


def test_the_mixture_mixes_left_out_densities():
    y = outcomes()
    scores = {
        "narrow": leave_one_out(likelihood(y, draws(y), 0.5)),
        "wide": leave_one_out(likelihood(y, draws(y), 1.5)),
    }
    table = loo_check(scores, weights={"narrow": 0.3, "wide": 0.7}).table
    densities = [np.exp(score.elpd_i.to_numpy()) for score in scores.values()]
    expected = np.log(0.3 * densities[0] + 0.7 * densities[1])
    assert table.loc[STACKED, "elpd"] == pytest.approx(expected.sum())
    assert table["weight"].to_list() == [0.3, 0.7, 1.0]


@pytest.mark.parametrize(("apart", "disagree"), [(0.0, False), (1.0, True)])
def test_candidates_that_disagree_about_the_average_effect_are_named(apart, disagree):
    y, rng = outcomes(), np.random.default_rng(6)
    score = leave_one_out(likelihood(y, draws(y)))
    noise = rng.normal(scale=0.1, size=(2, CHAINS, DRAWS, 1))
    spread = np.linspace(-1, 1, UNITS)
    effects = {
        "flat": labelled(noise[0] + np.zeros(UNITS)),
        "steep": labelled(apart + noise[1] + spread),
    }
    result = loo_check(
        dict.fromkeys(effects, score), weights={"flat": 0.5, "steep": 0.5}, effects=effects
    )
    assert ("disagree about the average effect" in result.text) is disagree
    table = result.table
    assert table.loc["flat", "spread"] == pytest.approx(0, abs=1e-9)
    assert table.loc["steep", "spread"] == pytest.approx(spread.std())
    assert table.loc["steep", "sate"] == pytest.approx(apart, abs=0.01)
    assert table.loc["steep", "sate_upper"] == pytest.approx(apart + 0.196, abs=0.02)
    assert table.loc["flat", "ci_kind"] == "eti"


# ---------------------------------------------------------------- calibration


def check(pit: np.ndarray):
    return calibration_check(pit, arm=ARM, arm_names=NAMES)


def test_the_transform_is_that_of_the_conjugate_model():
    y = outcomes()
    np.testing.assert_allclose(transformed(y), stats.norm.cdf(y, *left_out(y)), atol=0.005)


def test_the_transform_agrees_with_simulated_predictions():
    y = outcomes()
    eta = draws(y)
    replicated = np.random.default_rng(7).normal(eta, SIGMA)
    tree = xr.DataTree.from_dict(
        {
            "/posterior": xr.Dataset({"theta": (SAMPLE, eta[..., 0])}),
            "/posterior_predictive": labelled(replicated).to_dataset(name="y"),
            "/log_likelihood": likelihood(y, eta).to_dataset(name="y"),
            "/observed_data": labelled(y[None, None]).isel(chain=0, draw=0).to_dataset(name="y"),
        }
    )
    simulated = arviz_stats.loo_pit(tree)["y"].to_numpy()
    # Four binomial standard errors of 1,000 simulated outcomes.
    np.testing.assert_allclose(transformed(y), simulated, atol=4 * 0.5 / np.sqrt(CHAINS * DRAWS))


def test_the_model_that_made_the_data_passes():
    result = check(transformed(outcomes()))
    assert result.passed is True
    assert "right deviate this much in at least 0.25% of studies" in result.text
    assert result.table.loc["booklet", "share"].sum() == pytest.approx(1)


def test_the_model_that_made_the_data_seldom_fails():
    # The exact transforms, which those of the draws were seen to be.
    samples = [outcomes(seed) for seed in range(40)]
    results = [check(stats.norm.cdf(y, *left_out(y))).passed for y in samples]
    # Two arms tested at 0.5% each; the 99.9% quantile of a binomial(40, 0.01) is 4.
    assert results.count(False) <= 4


@pytest.mark.parametrize(("sigma", "word"), [(0.3, "too narrow"), (2.5, "too wide")])
def test_a_wrong_sigma_fails_and_is_described(sigma, word):
    result = check(transformed(outcomes(), sigma=sigma))
    assert result.passed is False
    assert word in result.text


def test_a_biased_arm_fails_and_is_named():
    y = outcomes()
    pit = transformed(y)
    pit[ARM == 1] = stats.norm.cdf(stats.norm.ppf(pit[ARM == 1]) + 1)
    result = check(pit)
    assert result.passed is False
    assert "training: outcomes are higher than predicted" in result.text
    assert "booklet" not in result.text


@pytest.mark.parametrize("family", ["bernoulli", "poisson", "negative_binomial"])
def test_a_discrete_model_that_made_the_data_passes_and_another_fails(family):
    rng = np.random.default_rng(8)
    eta = rng.normal(0.4, 0.5, size=UNITS)
    noise = {"size": np.array(2.0)} if family == "negative_binomial" else {}
    y = get_family(family).draw(rng, eta, noise)
    assert check(fixed(family, eta, y)).passed is True
    assert check(fixed(family, eta + 2.5, y)).passed is False


def test_a_discrete_value_lies_uniformly_within_its_jump():
    y = np.repeat([0.0, 1.0], 3000)
    pit = fixed("bernoulli", np.full(6000, np.log(3.0)), y)
    # Pr(Y = 0) = 1/4
    assert stats.kstest(pit[y == 0], "uniform", args=(0, 0.25)).pvalue > 0.001
    assert stats.kstest(pit[y == 1], "uniform", args=(0.25, 0.75)).pvalue > 0.001


def test_candidates_are_mixed_by_their_weights():
    y = np.array([0.2])
    models = [
        LeftOutDraws(np.full((2, 1), mean), {"sigma": np.ones((2, 1))}, np.zeros((2, 1)), share)
        for mean, share in ((0.0, 0.25), (1.0, 0.75))
    ]
    pit = left_out_probabilities(models, y, family=GAUSSIAN, rng=np.random.default_rng(0))
    expected = 0.25 * stats.norm.cdf(0.2) + 0.75 * stats.norm.cdf(-0.8)
    np.testing.assert_allclose(pit, expected)


def test_the_table_holds_shares_and_their_band():
    pit = transformed(outcomes())
    table = check(pit).table
    assert table.shape[0] == 20
    own = pit[ARM == 1]
    assert table.loc[("training", 0.3), "share"] == pytest.approx(
        ((own >= 0.3) & (own < 0.4)).mean()
    )
    assert table.loc[("training", 0.3), "upper"] == stats.binom(40, 0.1).ppf(0.995) / 40


def test_values_that_are_no_numbers_fail():
    pit = transformed(outcomes())
    pit[3] = np.nan
    result = check(pit)
    assert result.passed is False
    assert "1 of 40 values in training are no numbers" in result.text
