"""ArviZ takes what a fit returns as it is: tables, plots, predictions, scores, sensitivities."""

from __future__ import annotations

import arviz as az
import matplotlib
import numpy as np
import pytest
import xarray as xr

import bayes_hte as hte
from bayes_hte.checks.loo import leave_one_out
from bayes_hte.checks.loo_pit import LeftOutDraws, left_out_probabilities
from bayes_hte.fitting.log_prior import effect_log_prior
from bayes_hte.names import SAMPLE, UNIT

SCALES = ["outcome_sigma", "mediator_sigma"]
UNITS = 80

# 200 draws are too few for the importance weights of some units.
pytestmark = pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto:UserWarning")


@pytest.fixture(scope="module")
def fit(mediated_fit):
    return mediated_fit


@pytest.fixture(scope="module")
def tree(fit):
    return fit.posterior


@pytest.fixture(scope="module")
def averages(fit):
    return hte.average(hte.decompose(fit.potential_outcomes()))


@pytest.fixture(autouse=True)
def no_windows():
    matplotlib.use("Agg", force=True)
    yield
    matplotlib.pyplot.close("all")


def samples(values):
    return values.transpose(*SAMPLE, UNIT).to_numpy().reshape(-1, UNITS)


# ---------------------------------------------------------------- the tree


def test_the_groups_are_those_of_arviz_with_the_same_draws_and_units(tree):
    groups = {"posterior", "sample_stats", "log_likelihood", "posterior_predictive"}
    assert groups | {"observed_data"} <= set(tree.children)
    for group in groups:
        assert tree[group].sizes["chain"] == 2
        assert tree[group].sizes["draw"] == 100
    for group in ("log_likelihood", "posterior_predictive", "observed_data"):
        assert list(tree[group].data_vars) == ["y"]
        np.testing.assert_array_equal(tree[group]["unit"], tree["observed_data"]["unit"])
    assert az.convert_to_datatree(tree) is tree


def test_replicated_outcomes_follow_the_fitted_model(fit, tree):
    drawn, eta = tree["posterior_predictive"]["y"], fit.observed_predictor()
    sigma = tree["posterior"]["outcome_sigma"]
    standardised = ((drawn - eta) / sigma).to_numpy().ravel()
    assert standardised.mean() == pytest.approx(0.0, abs=4 / np.sqrt(standardised.size))
    assert standardised.std() == pytest.approx(1.0, abs=0.03)
    xr.testing.assert_identical(fit.posterior["posterior_predictive"]["y"], drawn)


# ---------------------------------------------------------------- tables and plots


def test_tables_of_parameters_and_of_effects(tree, averages):
    table = az.summary(tree, ci_prob=0.95, ci_kind="eti", round_to="none")
    assert set(SCALES) <= set(table.index)
    assert table["r_hat"].notna().all()
    ours = hte.summarize(averages, ci_prob=0.95)
    theirs = az.summary(averages, ci_prob=0.95, ci_kind="eti", round_to="none")
    np.testing.assert_allclose(theirs["mean"].astype(float), ours["mean"])
    np.testing.assert_allclose(theirs["eti95_lb"].astype(float), ours["ci_lower"], atol=1e-9)
    np.testing.assert_allclose(theirs["eti95_ub"].astype(float), ours["ci_upper"], atol=1e-9)


@pytest.mark.parametrize("name", ["plot_trace_dist", "plot_forest", "plot_rank", "plot_dist"])
def test_plots_of_parameters(tree, name):
    assert set(SCALES) <= set(getattr(az, name)(tree, var_names=SCALES).data.data_vars)


@pytest.mark.parametrize("name", ["plot_forest", "plot_ridge"])
def test_plots_of_effects(averages, name):
    assert {"te", "tnie"} <= set(getattr(az, name)(averages).data.data_vars)


@pytest.mark.parametrize("name", ["plot_ppc_dist", "plot_ppc_pit", "plot_loo_pit"])
def test_plots_of_predictions(tree, name):
    assert getattr(az, name)(tree).viz is not None


# ---------------------------------------------------------------- scores and predictions


def test_leave_one_out_scores_and_their_plot(tree):
    score = az.loo(tree, pointwise=True)
    assert score.elpd_i.sizes == {"unit": UNITS}
    assert az.plot_khat(score).viz is not None


def test_left_out_probabilities_are_those_of_our_own_check(fit, tree):
    theirs = az.loo_pit(tree)["y"]
    score = leave_one_out(fit.log_likelihood())
    model = LeftOutDraws(
        samples(fit.observed_predictor()),
        {"sigma": fit.components["outcome"].noise()["sigma"].reshape(-1, 1)},
        samples(score.log_weights),
    )
    ours = left_out_probabilities(
        [model],
        fit.study.outcome(),
        family=fit.components["outcome"].family,
        rng=np.random.default_rng(0),
    )
    # ArviZ counts replicates below the outcome, we average the distribution function.
    np.testing.assert_allclose(theirs, ours, atol=0.25)
    assert np.corrcoef(theirs, ours)[0, 1] > 0.98


def test_explained_variance(fit, tree):
    drawn = xr.Dataset(
        {"mu": fit.observed_predictor(), "sigma": tree["posterior"]["outcome_sigma"]}
    )
    found = az.bayesian_r2(drawn, pred_mean="mu", scale="sigma", summary=False)
    explained = drawn["mu"].var("unit", ddof=1)
    expected = explained / (explained + drawn["sigma"] ** 2)
    np.testing.assert_allclose(np.sort(np.ravel(found)), np.sort(np.ravel(expected)), rtol=1e-6)


def test_sensitivity_of_effects_to_their_priors(fit, tree, averages):
    asked = xr.DataTree.from_dict(
        {
            "posterior": averages[["te", "tnie"]],
            "log_prior": effect_log_prior(fit).assign_coords(averages.coords),
            "log_likelihood": tree["log_likelihood"].to_dataset(),
        }
    )
    table = az.psense_summary(asked)
    assert list(table.index) == ["te", "tnie"]
    assert (table[["prior", "likelihood"]] > 0).all(axis=None)
