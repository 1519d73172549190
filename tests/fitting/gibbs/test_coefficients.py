"""Linear functions and cluster intercepts: exact posteriors on grids, starts, and records."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bayes_hte.fitting.gibbs.coefficients import CoefficientsPart, coefficients_part
from bayes_hte.fitting.gibbs.columns import Layout, layout
from bayes_hte.fitting.gibbs.compiled import sweep_coefficients
from bayes_hte.fitting.gibbs.compiled_noise import update_scales
from bayes_hte.fitting.gibbs.noise import noise_part
from bayes_hte.fitting.gibbs.products import gram
from bayes_hte.fitting.gibbs.scales import start_scales
from bayes_hte.fitting.gibbs.state import Columns
from tests.fitting.gibbs.driver import iterate
from tests.fitting.gibbs.test_joint_distribution import component_of

DRAWS = 4000


def columns_of(x: np.ndarray, *, fixed: np.ndarray, **changes) -> Columns:
    """Columns, shape (column, row), the first of them with a fixed sd, the rest shrunk together."""
    parts = len(x) - len(fixed)
    own = {
        "x": np.ascontiguousarray(x),
        "cluster": np.zeros(0, np.int64),
        "fixed_sd": np.append(fixed, np.full(parts, np.nan)),
        "start": np.arange(len(fixed), len(x) + 1),
        "first": np.array([0, parts] if parts else [0]),
        "slab": np.full(min(parts, 1), 1.5),
        "tau_scale": np.full(min(parts, 1), 0.4),
        "frequency": np.zeros(len(x)),
        "mean_square": np.ones(len(x)),
        "cluster_scale": 0.8,
        "log_lengthscale": 0.0,
        "sd_log_lengthscale": 1.0,
        "tau_df": 3.0,
    }
    return Columns(**(own | changes))


def draws_of(
    columns: Columns, y: np.ndarray, precision: np.ndarray, *, clusters: int = 0, draws: int = DRAWS
) -> list:
    rng = np.random.default_rng(2)
    part = CoefficientsPart(Layout(columns, (), clusters, "y"), rng)
    residual, kept = y - part.predictor(), []
    for i in range(draws + 50):
        part.sweep(residual, precision, rng)
        if i >= 50:
            kept.append({name: np.copy(v) for name, v in part._state._asdict().items()})
    np.testing.assert_allclose(residual, y - part.predictor(), atol=1e-9)
    return kept


@pytest.mark.parametrize("constant", [True, False])
def test_with_known_scales_draws_are_those_of_the_normal_posterior(constant):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(3, 40)), rng.normal(size=40)
    sd = np.array([0.5, 2.0, 1.0])
    precision = np.broadcast_to(1.7, 40) if constant else rng.gamma(2, size=40)
    covariance = np.linalg.inv(x * precision @ x.T + np.diag(sd**-2))
    mean = covariance @ (x @ (precision * y))
    coef = np.array([d["coef"] for d in draws_of(columns_of(x, fixed=sd), y, precision)])
    # Each draw is independent of the one before.
    error = np.sqrt(np.diag(covariance) / DRAWS)
    assert (np.abs(coef.mean(axis=0) - mean) < 4 * error).all()
    np.testing.assert_allclose(np.cov(coef.T), covariance, atol=0.07 * covariance.max())
    standard = (coef - mean) @ np.linalg.cholesky(np.linalg.inv(covariance))
    for column in standard.T:
        assert stats.kstest(column, stats.norm.cdf).pvalue > 1e-3
        assert abs(np.corrcoef(column[1:], column[:-1])[0, 1]) < 4 / np.sqrt(DRAWS)


def quantiles(weight: np.ndarray, grid: np.ndarray, at: np.ndarray) -> np.ndarray:
    return np.interp(at, np.cumsum(weight) / weight.sum(), grid)


def test_the_scales_of_one_coefficient_have_the_posterior_of_a_grid():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1, 30))
    y = 0.6 * x[0] + rng.normal(size=30)
    kept = draws_of(columns_of(x, fixed=np.zeros(0)), y, np.ones(30), draws=8000)
    log_tau, log_local = np.linspace(-12, 8, 401)[:, None], np.linspace(-14, 16, 601)
    u = np.exp(log_tau + log_local)
    sd = 1.5 / np.sqrt(1 + (1.5 / u) ** 2)
    q, h = x[0] @ x[0], x[0] @ y
    # The coefficient is integrated out.
    log_weight = -np.log1p(sd**2 * q) / 2 + (sd * h) ** 2 / (1 + sd**2 * q) / 2
    log_weight += stats.t.logpdf(np.exp(log_tau), 3, scale=0.4) + log_tau
    log_weight += stats.cauchy.logpdf(np.exp(log_local)) + log_local
    weight = np.exp(log_weight - log_weight.max())
    at = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    for name, grid, mass in (
        ("tau", log_tau[:, 0], weight.sum(axis=1)),
        ("local", log_local, weight.sum(axis=0)),
    ):
        draws = np.log([d[name][0] for d in kept])
        spread = draws.std()
        got, expected = np.quantile(draws, at), quantiles(mass, grid, at)
        np.testing.assert_allclose(got, expected, atol=0.12 * spread, err_msg=name)
    coef, share = np.array([d["coef"][0] for d in kept]), weight / weight.sum()
    assert coef.mean() == pytest.approx((share * sd**2 * h / (1 + sd**2 * q)).sum(), abs=0.01)


@pytest.mark.parametrize("clusters", [4, 200])
def test_intercepts_their_sd_and_the_constant_have_the_posterior_of_a_grid(clusters):
    rng = np.random.default_rng(4)
    n = 400
    cluster = np.arange(n) % clusters
    y = 1 + rng.normal(0, 0.5, clusters)[cluster] + rng.normal(size=n)
    columns = columns_of(np.ones((1, n)), fixed=np.array([3.0]), cluster=cluster)
    kept = draws_of(columns, y, np.ones(n), clusters=clusters)
    log_sd = np.linspace(-6, 3, 300)
    log_weight, means, variances = np.empty(300), np.empty(300), np.empty(300)
    size, total = np.bincount(cluster), np.bincount(cluster, y)
    for i, s in enumerate(np.exp(log_sd)):
        # Given s the means of the clusters are independent normals around the constant.
        variance = s**2 + 1 / size
        variances[i] = 1 / ((1 / variance).sum() + 1 / 9)
        means[i] = variances[i] * (total / size / variance).sum()
        square = ((total / size) ** 2 / variance).sum() - means[i] ** 2 / variances[i]
        log_weight[i] = (np.log(variances[i]) - np.log(variance).sum() - square) / 2
        log_weight[i] += log_sd[i] - (s / 0.8) ** 2 / 2
    share = np.exp(log_weight - log_weight.max())
    share /= share.sum()
    at = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
    log_draws = np.log([d["cluster_sd"][0] for d in kept])
    got, expected = np.quantile(log_draws, at), quantiles(share, log_sd, at)
    np.testing.assert_allclose(got, expected, atol=0.12 * log_draws.std())
    constant, mean = np.array([d["coef"][0] for d in kept]), (share * means).sum()
    sd = np.sqrt((share * (variances + means**2)).sum() - mean**2)
    assert constant.mean() == pytest.approx(mean, abs=0.08 * sd)
    assert constant.std() == pytest.approx(sd, rel=0.08)
    # The constant and the intercepts trade for one another, and still it moves freely.
    assert abs(np.corrcoef(constant[1:], constant[:-1])[0, 1]) < 0.15
    raw = np.array([d["cluster_raw"] for d in kept])
    deviation = np.array([d["cluster_sd"] for d in kept]) * raw
    own = (deviation + constant[:, None]).mean(axis=0)
    assert np.corrcoef(own, total / size)[0, 1] > 0.99


def test_a_wrong_spread_of_the_clusters_would_be_noticed():
    found = layout(component_of(cluster="clinic", learner="homogeneous"))
    assert found.clusters == 5
    rng = np.random.default_rng(5)
    wider = replace(found, columns=found.columns._replace(cluster_scale=100.0))
    sds = []
    for one in (found, wider):
        part = CoefficientsPart(one, rng)
        residual, kept = -part.predictor(), []
        for _ in range(500):
            part.sweep(residual, np.full(residual.size, 1e-6), rng)
            kept.append(part.record()["outcome_cluster_sd"])
        sds.append(np.median(kept))
    assert sds[1] > 20 * sds[0]


def test_a_component_without_linear_functions_has_no_part():
    rng = np.random.default_rng(6)
    assert coefficients_part(component_of(surface="forest"), rng) is None
    trends = coefficients_part(component_of(surface="forest", means_by="site"), rng)
    assert {name.split("_")[1] for name in trends.record()} == {"trend"}


def test_chains_start_apart_and_inside_their_priors():
    component = component_of()
    starts = [coefficients_part(component, np.random.default_rng(i)) for i in range(50)]
    predictors = np.array([part.predictor() for part in starts])
    apart = predictors.std(axis=0) / component.family.latent_sd(component.y)
    assert (apart > 0.2).all()
    assert (apart < 2).all()
    taus = np.log([part.record()["outcome_shared_tau"] for part in starts])
    assert 0.5 < taus.std() < 1


def test_the_predictor_is_that_of_the_record():
    component = component_of(surface="additive", learner="homogeneous", cluster="clinic")
    part = coefficients_part(component, np.random.default_rng(7))
    residual = component.y - part.predictor()
    part.sweep(residual, np.ones(residual.size), np.random.default_rng(8))
    values = {component.model[n]: v for n, v in part.record().items()}
    raw = {v: x for v, x in values.items() if v in component.model.free_RVs}
    eta = component.eta.eval(raw, mode="FAST_COMPILE")
    np.testing.assert_allclose(eta - component.offset, part.predictor(), atol=1e-10)
    np.testing.assert_allclose(residual, component.y - part.predictor(), atol=1e-10)


def test_no_data_set_is_compiled_anew():
    compiled_for = []
    for options in (
        {},
        {"family": "bernoulli", "cluster": "clinic", "learner": "homogeneous"},
        {"surface": "additive", "family": "student_t", "noise": "varying"},
        {"surface": "forest", "means_by": "site"},
        {"surface": "forest", "cluster": "clinic"},
    ):
        component = component_of(**options)
        rng = np.random.default_rng(9)
        part, noise = coefficients_part(component, rng), noise_part(component, rng)
        eta = component.offset + part.predictor()
        iterate(component.family.name, component.y, eta, part, noise, rng)
        entries = (sweep_coefficients, start_scales, gram, update_scales)
        compiled_for.append([len(entry.signatures) for entry in entries])
    assert compiled_for[0] == compiled_for[-1]
