"""What a fit says of the covariates its effects vary with, and the switch for sparse splits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import bayes_hte as hte
from bayes_hte.components.stacked import StackedComponent
from bayes_hte.errors import SpecError, UnsupportedError
from bayes_hte.plots import plot_modifier_importance
from bayes_hte.study.spec import PriorSpec
from bayes_hte.surfaces.forest.planting import RESERVE
from tests.fakes import fake_study

TINY = {"seed": 3, "draws": 20, "tune": 20, "chains": 2, "cores": 1, "progress": False}
TINY["stack_with"] = ()
# Sparse splits are the default; here those of the outcome's effect are not.
UNIFORM = [
    PriorSpec("outcome", term, "all covariates may matter", sparse=False)
    for term in ("arm", "mediator_modified", "mediator_arm")
]


@pytest.fixture(scope="module")
def study():
    return fake_study(np.random.default_rng(0), n_units=80)[0]


@pytest.fixture(scope="module")
def fit(study):
    return hte.fit(study, priors=UNIFORM, **TINY)


def test_modifiers_are_the_shares_of_the_splits_of_effect_forests(fit, study):
    table = fit.modifiers(ci_prob=0.9, ci_kind="hdi")
    assert set(table["component"]) == {"outcome", "mediator"}
    assert set(table["ci_prob"]) == {0.9}
    assert set(table["ci_kind"]) == {"hdi"}
    for _, rows in table.groupby("component"):
        assert sorted(rows["covariate"]) == sorted(study.roles.covariates)
        assert rows["mean"].sum() == pytest.approx(1, abs=0.05)
        assert rows["mean"].is_monotonic_decreasing
        assert rows["prob_used"].between(0, 1).all()
        assert (rows["ci_lower"] <= rows["ci_upper"]).all()
    # The forests of the mediator's effect were sparse, those of the outcome's were not.
    by_component = table.groupby("component")["split_probability"]
    assert by_component.sum(min_count=1)["mediator"] == pytest.approx(1)
    assert by_component.get_group("outcome").isna().all()


def test_probabilities_are_saved_with_the_draws_of_sparse_forests_alone(fit):
    posterior = fit.posterior["posterior"]
    shared = posterior["outcome_shared_split"]
    assert shared.sizes["chain"] == 2
    assert shared.sizes["draw"] == 20
    assert "(propensity)" in shared["outcome_shared_covariate"]
    np.testing.assert_allclose(shared.sum("outcome_shared_covariate"), 1)
    reserved = shared.sel(outcome_shared_covariate="(propensity)")
    np.testing.assert_allclose(reserved, RESERVE)
    assert "mediator_arm_0_split" in posterior
    assert "outcome_arm_0_split" not in posterior


def test_a_reloaded_fit_says_the_same_and_one_without_probabilities_all_but_these(
    fit, study, tmp_path
):
    hte.save_fit(fit, tmp_path / "fit")
    again = hte.load_fit(tmp_path / "fit", study)
    np.testing.assert_array_equal(again.modifiers()["mean"], fit.modifiers()["mean"])
    outcome = again.components["outcome"]
    names = [v for v in outcome.posterior if v.endswith("_split")]
    old = replace(outcome, posterior=outcome.posterior.drop_vars(names))
    table = replace(again, components={"outcome": old}).modifiers()
    assert table["split_probability"].isna().all()
    np.testing.assert_array_equal(table["mean"], fit.modifiers()["mean"].iloc[: len(table)])


def test_of_stacked_candidates_the_first_on_forests_speaks(fit):
    outcome = fit.components["outcome"]
    other = replace(outcome, surface="linear", trees={})
    stacked = StackedComponent({"linear": other, "forest": outcome}, None)
    both = replace(fit, components={"outcome": stacked})
    rows = fit.modifiers().query("component == 'outcome'")
    np.testing.assert_array_equal(both.modifiers()["mean"], rows["mean"])


def test_a_fit_without_forests_of_effects_says_what_to_use(fit):
    outcome = replace(fit.components["outcome"], trees={})
    with pytest.raises(UnsupportedError, match="learner='hierarchical'"):
        replace(fit, components={"outcome": outcome}).modifiers()


def test_sparse_is_refused_where_there_is_no_forest(study):
    prior = PriorSpec("outcome", "arm", "no forest", sparse=True)
    with pytest.raises(SpecError, match="sparse = true means nothing"):
        hte.fit(study, surface="linear", priors=[prior], **TINY)


def test_the_figure_draws_the_largest_shares_with_their_probabilities(fit):
    table = fit.modifiers().query("component == 'outcome'")
    figure = plot_modifier_importance(table, largest=2, title="T")
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert [label.split("\n")[0] for label in labels] == list(table["covariate"].head(2))
    assert labels[0].endswith(f"(used: {table['prob_used'].iloc[0]:.2f})")
    assert "95% posterior interval" in figure.axes[0].get_xlabel()
