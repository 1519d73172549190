"""Checks taken of a fit: what is scaled, what they pass on, and what has no prior."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from bayes_hte.checks import loo, loo_pit, prior_sensitivity, prior_view
from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.subject import Subject
from bayes_hte.components.fitted import FittedComponent
from bayes_hte.components.stacked import StackedComponent
from bayes_hte.errors import UnsupportedError
from bayes_hte.fitting.fitted import Fit
from bayes_hte.fitting.from_priors import fit_prior
from bayes_hte.fitting.log_prior import effect_log_prior
from bayes_hte.fitting.plan import Plan
from bayes_hte.fitting.stages import build_stage
from bayes_hte.study.design import ARM_COLUMN
from bayes_hte.trust.checking import run_checks
from tests.fakes import fake_study


def study(mediator: bool = False):
    return fake_study(np.random.default_rng(1), n_units=60, mediator=mediator)[0]


def plan(surface: str, **options) -> Plan:
    return Plan(surface=surface, propensity_covariate=False, **options)


def outcome_checks(fit: Fit) -> tuple[CheckResult, ...]:
    return run_checks(Subject(fit, xr.Dataset()), (loo, loo_pit))


def prior_checks(fit: Fit) -> tuple[CheckResult, ...]:
    return run_checks(Subject(fit, xr.Dataset()), (prior_view, prior_sensitivity))


def with_draws(fit: Fit, role: str, **draws) -> Fit:
    """Return a fit with draws of further parameters of one component."""
    part = fit.components[role]
    given = {name: (("chain", "draw"), values) for name, values in draws.items()}
    part = replace(part, posterior=part.posterior.assign(given))
    return replace(fit, components={**fit.components, role: part})


@pytest.fixture(scope="module")
def linear():
    """A fit of which the draws are arbitrary positive numbers."""
    component = build_stage("outcome", study(), plan("linear"), {})
    model, rng = component.model, np.random.default_rng(2)
    draws = xr.Dataset(coords={"chain": [0], "draw": np.arange(60)})
    for variable in (*model.free_RVs, *model.deterministics):
        dims = model.named_vars_to_dims.get(variable.name, ())
        if len(dims) == variable.ndim:
            coords = {dim: list(model.coords[dim]) for dim in dims}
            size = (1, 60, *(len(labels) for labels in coords.values()))
            values = np.abs(rng.normal(size=size))
            draws[variable.name] = xr.DataArray(values, coords, ("chain", "draw", *dims))
    outcome = FittedComponent(
        role="outcome",
        family_name="gaussian",
        surface="linear",
        noise_model="constant",
        terms=component.terms,
        design=component.design,
        offset=component.offset,
        clustered=False,
        posterior=draws,
        stats=xr.Dataset(),
        trees={},
    )
    return Fit(study(), plan("linear"), 2, {"outcome": outcome})


def test_a_linear_function_has_the_density_of_its_constant_and_scale(linear):
    found = effect_log_prior(linear)
    parts = {f"outcome_mean_{a}_const" for a in (0, 1)} | {f"outcome_arm_{a}_tau" for a in (0, 1)}
    assert set(found) == parts
    posterior, sd = linear.components["outcome"].posterior, study().outcome().std()
    # PyTensor stores the scales of priors in single precision.
    close = {"rtol": 1e-5, "atol": 1e-6}
    normal = stats.norm.logpdf(posterior["outcome_mean_1_const"], 0, 0.7 * sd)
    np.testing.assert_allclose(found["outcome_mean_1_const"], normal, **close)
    scale = 0.5 * sd
    # 4 indicators and numbers in 30 rows of the arm: tau0 is 4 s / sqrt(30) * 2 / (4 - 2).
    rows = (study().arm_index() == 1).sum()
    tau0 = 4 * scale / np.sqrt(rows)
    tau = posterior["outcome_arm_1_tau"]
    expected = np.log(2) + stats.t.logpdf(tau, 3, 0, tau0)
    np.testing.assert_allclose(found["outcome_arm_1_tau"], expected, **close)


def test_of_a_function_of_the_arm_only_the_arms_coefficient_is_scaled(linear):
    fit = replace(linear, plan=plan("linear", learner="s"))
    features = ["x1", "x2", ARM_COLUMN]
    raw = xr.DataArray(
        np.random.default_rng(3).normal(size=(1, 60, 3)),
        dims=("chain", "draw", "outcome_shared_feature"),
        coords={"outcome_shared_feature": features},
    )
    outcome = fit.components["outcome"]
    drawn = outcome.posterior.drop_dims("outcome_shared_feature").assign(outcome_shared_raw=raw)
    parts = {**fit.components, "outcome": replace(outcome, posterior=drawn)}
    found = effect_log_prior(replace(fit, components=parts))
    name = f"outcome_shared_raw[{ARM_COLUMN}]"
    assert set(found) == {"outcome_shared_tau", name}
    np.testing.assert_allclose(found[name], stats.norm.logpdf(raw[..., 2]))


@pytest.fixture(scope="module")
def forest():
    leaf_sd, means = np.random.default_rng(3).random((2, 2, 1, 60))
    return with_draws(
        fit_prior(study(), plan("forest"), seed=2, draws=60),
        "outcome",
        outcome_arm_0_leaf_sd=leaf_sd[0],
        outcome_arm_1_leaf_sd=leaf_sd[1],
        outcome_mean_0_const=means[0],
        outcome_mean_1_const=means[1],
    )


def test_a_forest_has_the_density_of_the_sd_of_its_leaves(forest):
    found = effect_log_prior(forest)
    assert set(found) == {
        "outcome_mean_0_const",
        "outcome_mean_1_const",
        "outcome_arm_0_leaf_sd",
        "outcome_arm_1_leaf_sd",
    }
    const = forest.components["outcome"].posterior["outcome_mean_0_const"]
    normal = stats.norm.logpdf(const, 0, 0.7 * study().outcome().std())
    np.testing.assert_allclose(found["outcome_mean_0_const"], normal)
    # 50 trees of which the sum has the sd of half the outcome's, times |standard normal|.
    leaf_sd = forest.components["outcome"].posterior["outcome_arm_0_leaf_sd"].to_numpy()
    scale = 0.5 * study().outcome().std() / np.sqrt(50)
    expected = np.log(2) + stats.norm.logpdf(leaf_sd, 0, scale)
    np.testing.assert_allclose(found["outcome_arm_0_leaf_sd"], expected)


def test_of_a_mediated_study_both_models_are_scaled():
    fit = fit_prior(study(mediator=True), plan("forest"), seed=2, draws=4)
    slopes = ("mediator_modified", "mediator_arm_0", "mediator_arm_1")
    forests = [f"outcome_{t}" for t in ("arm_0", "arm_1", *slopes)]
    of_mediator = ["mediator_arm_0", "mediator_arm_1"]
    ones = np.ones((1, 4))
    fit = with_draws(fit, "outcome", **{f"{name}_leaf_sd": ones for name in forests})
    fit = with_draws(fit, "mediator", **{f"{name}_leaf_sd": ones for name in of_mediator})
    means = ("outcome_mean_0", "outcome_mean_1", "outcome_expected_mediator", "outcome_mediator")
    fit = with_draws(fit, "outcome", **{f"{name}_const": ones for name in means})
    of_arms = ("mediator_mean_0", "mediator_mean_1")
    fit = with_draws(fit, "mediator", **{f"{name}_const": ones for name in of_arms})
    constants = {f"{name}_const" for name in (*means, *of_arms)}
    expected = {f"{name}_leaf_sd" for name in (*forests, *of_mediator)}
    assert set(effect_log_prior(fit)) == expected | constants


def test_learner_x_and_mixtures_have_no_density_of_their_own(linear):
    with pytest.raises(UnsupportedError, match="learner 'x' has no prior"):
        effect_log_prior(replace(linear, plan=replace(linear.plan, learner="x")))
    with pytest.raises(UnsupportedError, match="mixture of candidates"):
        effect_log_prior(replace(linear, plan=replace(linear.plan, stack_with=("forest",))))


def test_learner_x_fails_the_checks_of_priors_with_the_reason(linear):
    checks = prior_checks(replace(linear, plan=replace(linear.plan, learner="x")))
    assert [c.passed for c in checks] == [False, False]
    assert all("learner 'x'" in c.text for c in checks)


def test_draws_of_the_prior_agree_with_the_prior(forest):
    view, sensitivity = prior_checks(forest)
    assert view.passed is None
    assert set(view.table.index.get_level_values("model")) == {"forest"}
    assert sensitivity.passed is not False
    assert (sensitivity.table["prior"] > 0).all()


def test_arbitrary_draws_do_not_predict_left_out_outcomes(linear):
    score, calibration = outcome_checks(linear)
    assert score.passed is False
    assert score.table.index.to_list() == ["linear"]
    assert calibration.passed is False
    assert calibration.table["units"].iloc[0] == 30


def test_candidates_are_shown_side_by_side(linear):
    first = linear.components["outcome"]
    steeper = first.posterior.assign(
        outcome_mean_1_const=first.posterior["outcome_mean_1_const"] + 9
    )
    table = pd.DataFrame({"weight": [0.25, 0.75]}, index=["linear", "t/linear"])
    mixture = StackedComponent(
        {"linear": first, "t/linear": replace(first, posterior=steeper)}, table
    )
    fit = replace(
        linear,
        plan=replace(linear.plan, stack_with=("t/linear",)),
        components={**linear.components, "outcome": mixture},
    )
    score, calibration = outcome_checks(fit)
    assert score.table["weight"].to_dict() == {"linear": 0.25, "t/linear": 0.75, "stacked": 1.0}
    means = score.table["sate"]
    assert means["linear"] == pytest.approx(float(linear.cate().mean()))
    assert means["t/linear"] == pytest.approx(means["linear"] + 9)
    assert "disagree about the average effect" in score.text
    assert calibration.table.loc["0", "share"].sum() == pytest.approx(1)
