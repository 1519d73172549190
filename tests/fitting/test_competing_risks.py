"""Events of several causes: cumulative incidence against the truth and Aalen and Johansen."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte.checks import Subject, informative_censoring
from bayes_hte.checks import incidence as incidence_check
from bayes_hte.companions.restricted_means import restricted_means
from bayes_hte.components.families.hazard import expected, incidence
from bayes_hte.errors import DataError, SpecError, UnsupportedError
from bayes_hte.fitting.imputing import imputed_studies
from bayes_hte.fitting.log_prior import effect_log_prior
from bayes_hte.fitting.plan import Plan, check_plan
from bayes_hte.study.time_to_event import Estimand

SIZE = {"seed": 1, "draws": 40, "tune": 40, "chains": 2, "cores": 1, "progress": False}
ROLES = {"outcome": "years", "event": "status", "treatment": "arm", "covariates": ["x"]}
# Rates of both causes in each arm. Treatment lowers the hazard of relapse, and that of death more.
RELAPSE, DEATH = (0.5, 0.4), (0.8, 0.1)
CODES = {"none": 0, "relapse": 1, "death": 2}
EARLY = {"estimand": "cumulative_incidence", "at": 0.5}
AT = {"estimand": "cumulative_incidence", "at": 2.0}


def frame_of(n: int = 300, *, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    arm = np.arange(n) % 2
    rates = np.column_stack([np.array(RELAPSE)[arm], np.array(DEATH)[arm]])
    time = rng.exponential(size=n) / rates.sum(axis=1)
    relapse = rng.random(n) < rates[:, 0] / rates.sum(axis=1)
    end = rng.uniform(1.0, 4.0, size=n)
    cause = np.where(time <= end, np.where(relapse, "relapse", "death"), "none")
    return pd.DataFrame(
        {"years": np.minimum(time, end), "status": cause, "arm": arm, "x": rng.normal(size=n)}
    )


def truth(arm: int, at: float) -> float:
    total = RELAPSE[arm] + DEATH[arm]
    return RELAPSE[arm] / total * -np.expm1(-total * at)


@pytest.fixture(scope="module")
def study() -> hte.Study:
    return hte.Study.from_frame(frame_of(), **ROLES, cause="relapse")


@pytest.fixture(scope="module")
def several() -> hte.Fit:
    """A tiny fit of three arms and causes, with gaps and late entry."""
    frame = frame_of(150)
    frame["arm"] = np.array(["a", "b", "c"])[np.arange(150) % 3]
    frame["start"] = np.where(np.arange(150) % 4 == 0, frame["years"] * 0.3, 0.0)
    frame.loc[::7, "status"] = "other"
    frame.loc[::10, "x"] = np.nan
    frame.loc[3:5, ["years", "status"]] = np.nan
    study = hte.Study.from_frame(frame, **ROLES, cause="other", reference="a", entry="start")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hte.fit(study, family="piecewise_hazard", **(SIZE | {"draws": 10, "tune": 10}))


@pytest.fixture(scope="module")
def fit(study: hte.Study) -> hte.Fit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hte.fit(study, family="piecewise_hazard", horizon=2, **SIZE)


def test_incidence_has_its_closed_form() -> None:
    """Of constant rates, exactly at edges of unequal intervals; hazards of 0 and 1 are no NaN."""
    edges = np.array([0.0, 0.5, 2.0, 3.0])
    hazards = [[-np.expm1(-width * rate) for rate in (0.5, 0.8)] for width in np.diff(edges)]
    for at in edges[1:]:
        assert incidence(hazards, edges, at) == pytest.approx(truth(0, at), rel=1e-12)
    ends = [[np.array([0.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0])]]
    assert incidence(ends, np.array([0.0, 1.0]), 1.0) == pytest.approx([0.0, 1.0, 0.5])
    with pytest.raises(DataError, match="beyond the follow-up"):
        incidence(hazards, edges, 3.1)


def test_causes_add_up_to_any_event() -> None:
    edges, hazards = np.array([0.0, 1.0, 2.0, 4.0]), np.random.default_rng(1).random((3, 3, 50))
    parts = [incidence(list(np.roll(hazards, i, axis=1)), edges, 3.1) for i in range(3)]
    alive = expected(1 - (1 - hazards).prod(axis=1), edges, Estimand("survival", 3.1))
    assert np.sum(parts, axis=0) == pytest.approx(1 - alive, rel=1e-12)


@pytest.mark.slow
def test_the_incidence_is_that_of_the_truth(fit: hte.Fit, study: hte.Study) -> None:
    """Within .08, 2 standard errors of a share of a half in arms of 150.

    Death, which treatment lowers, had kept people from a relapse: its hazard falls and its
    incidence rises. Who takes deaths for censored times finds a fall.
    """
    mu = fit.potential_outcomes(**AT).mean("unit")
    for arm in (0, 1):
        assert float(mu.isel(arm=arm).mean()) == pytest.approx(truth(arm, 2.0), abs=0.08)
    assert float((fit.cate(**AT).mean("unit") > 0).mean()) > 0.9
    naive = [-np.expm1(-rate * 2.0) for rate in RELAPSE]
    assert naive[1] < naive[0]


@pytest.mark.slow
def test_it_agrees_with_aalen_and_johansen(fit: hte.Fit) -> None:
    """Within .06 everywhere: covariates have no effect, so both estimate the same."""
    table = hte.check_incidence(fit, times=[0.5, 1.0, 2.0])
    assert table.index.tolist()[:2] == [(0, 0.5), (0, 1.0)]
    assert (table["incidence"] - table["observed"]).abs().max() < 0.06
    assert table["incidence"].between(table["observed_lower"], table["observed_upper"]).all()
    with pytest.raises(DataError, match="beyond the follow-up"):
        hte.check_incidence(fit, times=[99.0])


@pytest.mark.slow
def test_effects_say_which_event_counts(fit: hte.Fit, study: hte.Study) -> None:
    assert study.causes == ("relapse", "death")
    effect = fit.cate(**AT)
    assert effect.attrs["estimand_words"] == "cumulative incidence of relapse by 2"
    assert Estimand.of(effect.attrs) == Estimand("cumulative_incidence", 2.0, "relapse")
    words = "restricted mean time without any event to 2"
    assert fit.cate().attrs["estimand_words"] == fit.summary().loc["cate", "estimand"] == words
    alive = fit.potential_outcomes(estimand="survival", at=2.0)
    assert alive.attrs["estimand_words"] == "probability of a time without any event beyond 2"
    assert bool((alive + fit.potential_outcomes(**AT) < 1).all())
    some = study.frame.head(3)
    np.testing.assert_allclose(fit.cate(some, **AT), effect.isel(unit=slice(3)), rtol=1e-6)
    # Health and draws of the other cause are judged and kept as well.
    assert "outcome_cause_2_stats" in fit.posterior.children
    assert any(str(name).startswith("outcome_cause_2") for name in effect_log_prior(fit))
    with pytest.raises(SpecError, match="needs a time"):
        fit.cate(estimand="cumulative_incidence")


def test_arms_gaps_late_entry_and_three_causes_go_together(several: hte.Fit) -> None:
    assert several.study.causes == ("other", "death", "relapse")
    assert several.cate(**EARLY).sizes["contrast"] == 2
    pair = several.two_arms("c", "b")
    among = several.cate(contrast="c vs b", **EARLY).sel(unit=pair.study.units.to_numpy())
    np.testing.assert_allclose(pair.cate(**EARLY), among)
    one = several.components["outcome"].keep_draws(np.array([[3], [4]]))
    hazards = several.components["outcome"].hazards_by_cause()
    for kept, every in zip(one.hazards_by_cause(), hazards, strict=True):
        for own, all_draws in zip(kept, every, strict=True):
            np.testing.assert_allclose(own[0, 0], all_draws[0, 3])


def test_a_saved_fit_has_every_cause(several: hte.Fit, tmp_path: Path) -> None:
    hte.save_fit(several, tmp_path)
    again = hte.load_fit(tmp_path, several.study)
    some = several.study.frame.head(4)
    np.testing.assert_allclose(again.cate(some, **EARLY), several.cate(some, **EARLY), atol=1e-6)
    other = replace(several.study, roles=replace(several.study.roles, cause="death"))
    with pytest.raises(hte.SavedResultError, match="other data or roles"):
        hte.load_fit(tmp_path, other)


@pytest.mark.parametrize("family", ["lognormal", "loglogistic", "log_student_t", "weibull"])
def test_families_of_one_law_refuse_several_causes(study: hte.Study, family: str) -> None:
    with pytest.raises(UnsupportedError, match="piecewise_hazard"):
        check_plan(study, Plan(family=family))


def test_any_event_counts_elsewhere(study: hte.Study) -> None:
    """What knows of no causes takes the time to any event, from the one home of events."""
    event = study.frame["status"] != "none"
    assert (study.event == event.to_numpy()).all()
    roles = ROLES | {"event": "any"}
    plain = hte.Study.from_frame(study.frame.assign(any=event), **roles)
    np.testing.assert_array_equal(
        restricted_means(study, 2.0).outcome(), restricted_means(plain, 2.0).outcome()
    )
    pd.testing.assert_frame_equal(hte.observed_survival(study), hte.observed_survival(plain))
    with pytest.raises(DataError, match="several causes"):
        hte.observed_incidence(plain)


def test_causes_that_cannot_be_are_refused() -> None:
    frame = frame_of(60)
    for cause in ("stroke", "none"):
        with pytest.raises(DataError, match="'death', 'relapse'"):
            hte.Study.from_frame(frame, **ROLES, cause=cause)
    one = frame.assign(status=frame["status"].replace("death", "none"))
    with pytest.raises(DataError, match="leave cause= out"):
        hte.Study.from_frame(one, **ROLES, cause="relapse")
    gaps = frame.assign(status=frame["status"].where(frame.index > 0))
    with pytest.raises(DataError, match="missing for 1 units"):
        hte.Study.from_frame(gaps, **ROLES, cause="relapse")
    bare = {name: column for name, column in ROLES.items() if name != "event"}
    with pytest.raises(DataError, match="event=<column>"):
        hte.Study.from_frame(frame, **bare, cause="relapse")
    # Without a cause of interest the levels are no events.
    with pytest.raises(DataError, match="must be 1"):
        hte.Study.from_frame(frame, **ROLES)


def test_covariates_are_imputed_beside_causes() -> None:
    frame = frame_of(60)
    frame["z"] = np.where(np.arange(60) % 7 == 0, np.nan, frame["x"])
    how = ROLES | {"covariates": ["x", "z"], "missing": "impute", "imputations": 2}
    parts = []
    for status in (frame["status"], frame["status"].map(CODES)):
        cause = "relapse" if status.dtype != int else 1
        study = hte.Study.from_frame(frame.assign(status=status), **how, cause=cause)
        done = imputed_studies(study, seed=1)
        assert all((one.event == study.event).all() and not one.gaps for one in done)
        parts.append(done[0].frame["z"])
    # Words and numbers are the same causes.
    np.testing.assert_array_equal(*parts)


def test_numbers_and_categories_name_causes_as_well() -> None:
    frame = frame_of(60)
    relapse = (frame["status"] == "relapse").to_numpy()
    numbers = frame.assign(status=frame["status"].map(CODES).astype(float))
    kinds = {1: numbers, "relapse": frame.assign(status=frame["status"].astype("category"))}
    for cause, each in kinds.items():
        study = hte.Study.from_frame(each, **ROLES, cause=cause)
        assert study.causes == (str(cause), "2" if cause == 1 else "death")
        assert (study.event_of(study.causes[0]) == relapse).all()


@pytest.mark.slow
def test_a_fit_may_be_about_the_cause(fit: hte.Fit) -> None:
    """As planned nobody has to ask for the scale again, and what compares outcomes has it too."""
    about = replace(fit, plan=replace(fit.plan, estimand="cumulative_incidence"))
    np.testing.assert_array_equal(about.cate(), fit.cate(**AT))
    scale = about.estimand()
    assert scale == Estimand("cumulative_incidence", 2.0, "relapse")
    assert about.estimand("rmst") == fit.estimand()
    scored = restricted_means(about.study, scale)
    arm = scored.arm_index()
    curve = hte.observed_incidence(about.study)
    for a in (0, 1):
        seen = curve[(curve["arm"] == a) & (curve["time"] <= 2.0)]["incidence"].iloc[-1]
        assert scored.outcome()[arm == a].mean() == pytest.approx(seen, abs=0.01)
    with pytest.raises(SpecError, match="needs a time"):
        about.cate(estimand="survival")


@pytest.mark.slow
def test_curves_are_those_of_single_times(fit: hte.Fit) -> None:
    """Of groups, between edges and at them, in one pass over the intervals."""
    group, times = fit.study.frame["x"] > 0, [0.3, 1.1, 2.0]
    for name in ("survival", "cumulative_incidence"):
        curves = hte.survival_curves(fit, times=times, groups=group, estimand=name)
        assert curves.dims == ("chain", "draw", "group", "arm", "time")
        for at in times:
            mu = fit.potential_outcomes(estimand=name, at=at)
            wanted = mu.isel(unit=group.to_numpy()).mean("unit")
            np.testing.assert_allclose(curves.sel(group=True, time=at), wanted, atol=1e-6)
        # New rows take the same road as the units, and one by one.
        some = fit.study.frame.head(3)
        each = hte.survival_curves(fit, some, times=times, estimand=name, by_unit=True)
        mu = fit.potential_outcomes(some, estimand=name, at=1.1)
        np.testing.assert_allclose(each.sel(time=1.1), mu, atol=1e-6)
    with pytest.raises(SpecError, match="rmst"):
        hte.survival_curves(fit, estimand="rmst")


@pytest.mark.slow
def test_checks_are_about_the_cause(fit: hte.Fit) -> None:
    about = replace(fit, plan=replace(fit.plan, estimand="cumulative_incidence"))
    effects = about.effects()
    subject = Subject(about, effects, better="lower")
    (agrees,) = incidence_check.check(subject)
    assert agrees.passed
    assert "relapse" in agrees.text
    (shifted,) = informative_censoring.check(subject)
    same = shifted.table["mean"].xs(1.0, level="factor")
    np.testing.assert_allclose(same, float(effects["te"].mean()), rtol=1e-6)
    # Later events are fewer by the horizon.
    in_other = shifted.table["mean"]["other arm"]
    assert in_other.is_monotonic_decreasing
    # Deaths taken for relapses are found out.
    swapped = replace(fit.study, roles=replace(fit.study.roles, cause="death"))
    (wrong,) = incidence_check.check(Subject(replace(about, study=swapped), effects))
    assert wrong.passed is False


def test_an_estimand_of_a_plan_is_checked(study: hte.Study) -> None:
    check_plan(study, Plan(family="piecewise_hazard", estimand="cumulative_incidence"))
    with pytest.raises(SpecError, match="cumulative_incidence"):
        check_plan(study, Plan(family="piecewise_hazard", estimand="incidence"))
    any_event = hte.Study.from_frame(
        study.frame.assign(any=study.event), **(ROLES | {"event": "any"})
    )
    with pytest.raises(SpecError, match="several causes"):
        check_plan(any_event, Plan(family="weibull", estimand="cumulative_incidence"))
    check_plan(any_event, Plan(family="weibull", estimand="survival"))
    roles = {"outcome": "years", "treatment": "arm", "covariates": ["x"]}
    with pytest.raises(SpecError, match="estimand is for times"):
        check_plan(hte.Study.from_frame(study.frame, **roles), Plan(estimand="survival"))
