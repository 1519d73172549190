"""Any legal name of a column, an arm, a level or a cluster, in the draws of a fit and back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte.fitting.plan import Plan

N = 40
PLAN = Plan()
TRAPS = ["pass/fail", "unit", "chain", "draw", "arm", "mediator_arm", "outcome", "", ".", "ä b"]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    arm = rng.permutation(np.arange(N) % 2)
    return pd.DataFrame(
        {
            "y": rng.normal(size=N),
            "t": arm,
            "m": arm + rng.normal(size=N),
            "x": rng.normal(size=N),
            "g": rng.choice(list("abc"), N),
            "c": np.arange(N) % 5,
        }
    )


def drawn(frame: pd.DataFrame, plan: Plan = PLAN, **roles) -> hte.Fit:
    """Return draws of the priors, whose forms are those of any fit, after using all of them."""
    asked = {"outcome": "y", "treatment": "t", "covariates": ["x", "g"], **roles}
    fit = hte.fit_prior(hte.Study.from_frame(frame, **asked), plan, seed=1, draws=3)
    np.testing.assert_allclose(fit.cate(frame), fit.cate(), atol=1e-9)
    assert fit.effects().sizes["unit"] == N
    assert fit.posterior["observed_data"].sizes == {"unit": N}
    return fit


def test_a_name_that_xarray_can_hold_is_that_of_the_outcome(frame):
    tree = drawn(frame).posterior
    for group in ("log_likelihood", "posterior_predictive", "observed_data"):
        assert list(tree[group].data_vars) == ["y"]
        assert tree[group]["y"].attrs["column"] == "y"


@pytest.mark.parametrize("name", TRAPS)
def test_an_outcome_of_any_name(frame, name):
    fit = drawn(frame.rename(columns={"y": name}), outcome=name)
    for group in ("log_likelihood", "posterior_predictive", "observed_data"):
        (variable,) = fit.posterior[group].data_vars
        assert fit.posterior[group][variable].attrs["column"] == name
        assert (variable == name) or (variable == "outcome")
    np.testing.assert_array_equal(fit.posterior["observed_data"][variable], frame["y"])


@pytest.mark.parametrize("name", TRAPS)
def test_other_roles_of_any_name(frame, name):
    assert drawn(frame.rename(columns={"t": name}), treatment=name).study.contrast == "1 vs 0"
    drawn(frame.rename(columns={"m": name}), mediator=name)
    drawn(frame.rename(columns={"c": name}), cluster=name)
    drawn(frame.rename(columns={"x": name}), covariates=[name, "g"])


@pytest.mark.parametrize(
    "arms",
    [
        ("a/b", "unit"),
        (False, True),
        (0.5, 1.5),
        (pd.Timestamp("2020"), pd.Timestamp("2021")),
        (1, "one"),
        ((0, 1), (1, 2)),
        (pd.Interval(0, 1), pd.Interval(1, 2)),
        ("None", "nan"),
    ],
)
@pytest.mark.parametrize("mediator", [None, "m"])
def test_arms_of_any_kind(frame, arms, mediator):
    values = pd.Series([arms[i] for i in frame["t"]])
    given = frame.assign(t=values)
    mu = drawn(given, mediator=mediator, reference=arms[0]).potential_outcomes()
    assert mu.sizes["arm"] == 2
    # A tuple is no label of xarray; its text is.
    labels = [str(a) if isinstance(a, tuple) else a for a in arms]
    np.testing.assert_array_equal(mu.sel(arm=labels[1]), mu.isel(arm=1))


@pytest.mark.parametrize("levels", [("unit", "chain", "draw"), ("a/b", "c=d", "(arm)")])
@pytest.mark.parametrize("plan", [PLAN, Plan(means_by="g"), Plan(surface="linear")])
def test_levels_of_any_name(frame, levels, plan):
    drawn(frame.assign(g=[levels[i % 3] for i in range(N)]), plan)


@pytest.mark.parametrize("labels", [["unit", "chain", "a/b", "", "x"], [1, "1a", 2.5, "x", "z"]])
def test_clusters_of_any_label(frame, labels):
    drawn(frame.assign(c=[labels[i % 5] for i in range(N)]), cluster="c")


@pytest.mark.parametrize("surface", ["forest", "linear", "additive", "gp"])
def test_a_column_called_like_a_level_stays_apart_on_every_surface(frame, surface):
    named = frame.assign(**{"g=b": np.random.default_rng(1).normal(size=N)})
    drawn(named, Plan(surface=surface), covariates=["g=b", "g"])


def test_a_fit_with_such_names_is_saved_and_loaded(frame, tmp_path):
    fit = drawn(frame.rename(columns={"y": "a/b", "x": "unit"}), outcome="a/b", covariates=["unit"])
    hte.save_fit(fit, tmp_path)
    np.testing.assert_allclose(hte.load_fit(tmp_path, fit.study).cate(), fit.cate())
