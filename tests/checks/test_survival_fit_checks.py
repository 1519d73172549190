"""Checks of a fit of times to an event, through the doors that users go through."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_hte as hte
from bayes_hte.checks import (
    Subject,
    informative_censoring,
    kaplan_meier,
    loo,
    loo_pit,
    predictive,
    refutations,
    survival_calibration,
)
from bayes_hte.checks.altered_studies import with_control_outcome, with_permuted_outcome
from bayes_hte.checks.loo import leave_one_out
from bayes_hte.checks.refitting import Refit, linear_stand_in
from bayes_hte.companions import restricted_means
from bayes_hte.companions.classical import classical
from bayes_hte.runs.predicted_curves import curves_of_rows
from bayes_hte.trust.unseen import left_out_units

ROLES = {"outcome": "years", "event": "died", "treatment": "drug", "covariates": ["x", "z"]}
SIZE = {"draws": 100, "tune": 50, "chains": 2, "progress": False, "stack_with": ()}


def trial(n=200, seed=1):
    """Return a trial in which the drug helps where x is positive."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(size=n)})
    frame["drug"] = rng.permutation(np.arange(n) % 2)
    mean = 0.5 * frame["z"] + frame["drug"] * np.where(frame["x"] > 0, 1.2, 0.0)
    failed, left = np.exp(mean + 0.6 * rng.normal(size=n)), rng.uniform(1, 6, n)
    return frame.assign(years=np.minimum(failed, left), died=failed <= left)


@pytest.fixture(scope="module")
def fit():
    """Return a fit on a linear surface."""
    study = hte.Study.from_frame(trial(), **ROLES)
    return hte.fit(study, seed=1, family="lognormal", surface="linear", horizon=4.0, **SIZE)


@pytest.fixture(scope="module")
def subject(fit):
    """Return what checks look at."""
    return Subject(fit, fit.effects())


def test_the_right_family_passes_every_check(subject):
    assert predictive.check(subject) == ()
    for check in (kaplan_meier, loo, loo_pit, survival_calibration):
        (found,) = check.check(subject)
        assert found.passed, found.text


def test_informative_censoring_moves_the_average_effect(subject):
    (found,) = informative_censoring.check(subject)
    means = found.table["mean"]
    assert found.passed is None
    assert means["other arm"].is_monotonic_increasing
    assert means["reference arm"].is_monotonic_decreasing
    average = float(subject.effects["te"].mean())
    np.testing.assert_allclose(means.xs(1.0, level="factor"), average)


def test_effects_are_judged_on_pseudo_observations(fit):
    unseen = left_out_units(fit)
    expected = restricted_means(fit.study, 4.0).outcome()
    np.testing.assert_array_equal(unseen.given()["outcome"], expected)
    assert not np.allclose(expected, fit.study.outcome())


def test_a_permuted_outcome_keeps_its_event(fit):
    permuted = with_permuted_outcome(fit.study, np.random.default_rng(1))
    pairs = [
        set(zip(s.frame["years"], s.frame["died"], strict=True)) for s in (fit.study, permuted)
    ]
    assert pairs[0] == pairs[1]
    assert not permuted.frame["years"].equals(fit.study.frame["years"])


def test_a_control_outcome_is_no_time(fit):
    control = with_control_outcome(fit.study, "z")
    assert control.event is None
    assert abs(linear_stand_in(4.0).estimate(control, 0).ate) < 0.5


def test_the_stand_in_finds_the_effect_on_restricted_means(fit):
    found = linear_stand_in(4.0).estimate(fit.study, 0)
    assert found.lower < float(fit.cate().mean()) < found.upper


def test_classical_estimates_are_of_restricted_means(fit):
    rng = np.random.default_rng(1)
    found = classical(fit.study, fit.propensity(), rng=rng, horizon=4.0)
    area = found.hazards.loc["difference of restricted mean survival times (Kaplan-Meier)"]
    assert found.difference == pytest.approx(area["estimate"])
    assert found.weighted.draws.mean() == pytest.approx(found.difference, abs=0.2)


def test_a_certain_survivor_counts_as_reliable():
    """Its weights are equal but for rounding, so that no tail can be fitted to them."""
    rng = np.random.default_rng(1)
    names = ("chain", "draw", "unit")
    values = rng.normal(-1, 0.3, size=(2, 100, 5))
    values[..., 0] = -1e-9 * rng.exponential(size=(2, 100)) ** 4
    likelihood = xr.DataArray(values, dims=names)
    plain = leave_one_out(likelihood).pareto_k.to_numpy()
    found = leave_one_out(likelihood, censored=np.arange(5) == 0).pareto_k.to_numpy()
    assert not plain[0] <= 0.5
    assert found[0] == 0
    np.testing.assert_array_equal(found[1:], plain[1:])


def test_subgroups_of_times_have_a_margin_on_the_scale_of_effects(fit):
    groups = hte.m_learner(fit.cate(), fit.study, seed=1, largest_k=2)
    assert 0 < groups.margin < 0.05 * 4


def test_curves_are_averages_of_survival_and_integrate_to_the_restricted_mean(fit):
    curves = hte.survival_curves(fit, times=np.linspace(0.02, 4.0, 200))
    areas = 0.02 + np.trapezoid(curves, curves["time"], axis=-1)
    mu = fit.potential_outcomes().mean("unit").transpose("chain", "draw", "arm")
    np.testing.assert_allclose(areas, mu, atol=0.01)


def test_curves_of_groups_and_of_a_patient(fit):
    at = [1.0, 3.0]
    group = fit.study.frame["x"] > 0
    curves = hte.survival_curves(fit, times=at, groups=group)
    benefit = (curves.isel(arm=1) - curves.isel(arm=0)).mean(["chain", "draw"])
    assert bool((benefit.sel(group=True) > benefit.sel(group=False)).all())
    one = hte.survival_curves(fit, fit.study.frame.head(1), times=at)
    unit = fit.potential_outcomes(estimand="survival", at=3.0).isel(unit=0)
    np.testing.assert_allclose(one.isel(time=1), unit, rtol=1e-5)
    with pytest.raises(hte.DataError, match="one value per unit"):
        hte.survival_curves(fit, groups=np.ones(3))
    with pytest.raises(hte.SpecError, match="positive"):
        hte.survival_curves(fit, times=[0.0])


def test_each_of_a_few_patients_has_curves_of_its_own(fit):
    frame = fit.study.frame.head(3).set_axis(["Ann", "Bo <x>", "Cy"], axis=0)
    each = hte.survival_curves(fit, frame, times=[1.0, 3.0], by_unit=True)
    assert each.dims == ("chain", "draw", "unit", "arm", "time")
    assert each["unit"].to_numpy().tolist() == ["Ann", "Bo <x>", "Cy"]
    mu = fit.potential_outcomes(estimand="survival", at=3.0).isel(unit=slice(3))
    np.testing.assert_allclose(each.isel(time=1), mu, rtol=1e-5)
    # The negative control: their average is the curve of none of them.
    among = hte.survival_curves(fit, frame, times=[1.0, 3.0])
    np.testing.assert_allclose(each.mean("unit"), among, rtol=1e-5)
    assert float(abs(each - among).max()) > 0.01
    for wrong in ({"groups": [1, 2, 3]}, {"newdata": frame.head(0)}):
        asked = {"newdata": frame, "by_unit": True} | wrong
        with pytest.raises(hte.BayesHTEError, match=r"not both|1 to 1000 rows, got 0"):
            hte.survival_curves(fit, **asked)


def test_predicted_rows_have_their_curves_under_the_labels_of_the_file(fit):
    report = SimpleNamespace(ci_prob=0.9, ci_kind="eti")
    spec = SimpleNamespace(estimand="rmst", report=report)
    frame = fit.study.frame.head(3).set_axis(["Ann", "Ann", "Bo <x>"], axis=0)
    table = curves_of_rows(fit, frame, np.array([1, 2]), spec)
    assert list(table)[3:] == ["survival", "survival_lower_90_eti", "survival_upper_90_eti"]
    assert table["row"].unique().tolist() == ["Ann", "Bo <x>"]
    last = table[(table["row"] == "Ann") & (table["time"] == 4.0)]
    mu = fit.potential_outcomes(estimand="survival", at=4.0).isel(unit=1)
    np.testing.assert_allclose(last["survival"], mu.mean(["chain", "draw"]), rtol=1e-5)
    # The negative control: the first row, which cannot be predicted, is another patient.
    assert (
        abs(
            last["survival"]
            - fit.potential_outcomes(estimand="survival", at=4.0)
            .isel(unit=0)
            .mean(["chain", "draw"])
            .to_numpy()
        ).max()
        > 0.01
    )
    assert curves_of_rows(fit, frame, np.array([], dtype=int), spec).empty


def test_a_negative_control_is_a_measurement_with_either_estimator(fit, monkeypatch):
    def small(of_fit):
        return Refit("small", lambda study, seed: effect(study, seed), of_study=effect(study, 0))

    study, effect = fit.study, linear_stand_in(4.0).estimate
    monkeypatch.setattr(refutations, "full_model", small)
    sick = pd.Series(np.random.default_rng(2).normal(size=study.n_units), study.units, name="flu")
    moved = sick + 3.0 * study.arm_index()
    for estimator in ("surrogate", "full"):
        options = {"seed": 1, "repeats": 5, "estimator": estimator}
        found = _negative_control(refutations.refute(fit, negative_control=sick, **options))
        assert found.passed, found.text
        assert "closed form" in found.text
        # One that the treatment has moved is caught.
        caught = _negative_control(refutations.refute(fit, negative_control=moved, **options))
        assert caught.passed is False


def _negative_control(results):
    (found,) = [result for result in results if "negative-control" in result.name]
    return found
