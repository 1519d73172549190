"""Companions of times to an event: against the library, known effects, and what they refuse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.utils import restricted_mean_survival_time

import bayes_hte as hte
from bayes_hte.companions import compare_hazards, restricted_means
from bayes_hte.companions.hazards import (
    AREA,
    COX,
    COX_ADJUSTED,
    LOG_RANK,
    METHODS,
    PROPORTIONAL,
    SPECIFIC,
    SPECIFIC_ADJUSTED,
    SPECIFIC_PROPORTIONAL,
)
from bayes_hte.errors import DataError

ROLES = {"outcome": "years", "event": "died", "treatment": "drug", "covariates": ["x", "site"]}


def trial(n=400, *, ratio=0.5, shape=1.0, seed=1):
    """Return a trial with exponential times in the reference arm and a hazard ratio."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(size=n), "drug": rng.permutation(np.arange(n) % 2)})
    frame["site"] = rng.choice(["a", "b"], n)
    hazard = np.exp(0.7 * frame["x"]) * np.where(frame["drug"] == 1, ratio, 1.0)
    power = np.where(frame["drug"] == 1, shape, 1.0)
    failed = (rng.exponential(size=n) / hazard) ** (1 / power)
    left = rng.uniform(0.5, 3, n)
    frame["years"], frame["died"] = np.minimum(failed, left), failed <= left
    return frame


@pytest.fixture(scope="module")
def study():
    """Return a trial in which the drug halves the hazard."""
    return hte.Study.from_frame(trial(), **ROLES)


@pytest.fixture(scope="module")
def found(study):
    """Return its companions."""
    return compare_hazards(study, horizon=2.0)


def test_areas_are_those_of_the_library(study, found):
    areas = []
    for arm in (0, 1):
        own = study.frame[study.arm_index() == arm]
        curve = KaplanMeierFitter().fit(own["years"], own["died"])
        areas.append(restricted_mean_survival_time(curve, t=2.0))
    row = found.loc[AREA]
    assert row["estimate"] == pytest.approx(areas[1] - areas[0], abs=2e-3)
    assert row["ci_lower"] < row["estimate"] < row["ci_upper"]
    assert row["scale"] == "time"


def test_their_interval_holds_the_truth_as_often_as_it_says():
    """Without an effect, in many trials."""
    covered, excluded = [], []
    for seed in range(60):
        frame = trial(120, ratio=1.0, seed=seed).assign(x=0.0)
        study = hte.Study.from_frame(frame, **(ROLES | {"covariates": ["site"]}))
        y, arm = restricted_means(study, 1.5).outcome(), study.arm_index()
        parts = [y[arm == a] for a in (1, 0)]
        error = np.sqrt(sum(p.var(ddof=1) / p.size for p in parts))
        covered.append(abs(parts[0].mean() - parts[1].mean()) < 1.96 * error)
        # The negative control: censored times as outcomes, in a trial whose drug delays dropout.
        excluded.append(abs(np.corrcoef(y, arm)[0, 1]) > 0.5)
    assert np.mean(covered) > 0.87
    assert not any(excluded)


# The library warns of its own use of pandas and of the clock.
@pytest.mark.filterwarnings("ignore")
def test_a_halved_hazard_is_found(study, found):
    assert found.loc[COX_ADJUSTED, "ci_lower"] < 0.5 < found.loc[COX_ADJUSTED, "ci_upper"]
    # Without the covariate the ratio of hazards is nearer to 1: it is no effect on anybody.
    assert found.loc[COX_ADJUSTED, "estimate"] < found.loc[COX, "estimate"] < 0.9
    assert found.loc[LOG_RANK, "p_value"] < 0.001
    assert found.loc[LOG_RANK, ["estimate", "scale"]].tolist()[1] == ""
    library = CoxPHFitter().fit(study.frame[["years", "died", "drug"]], "years", "died")
    assert found.loc[COX, "estimate"] == pytest.approx(library.hazard_ratios_["drug"], rel=1e-6)


def test_crossing_hazards_are_not_proportional(found):
    crossing = hte.Study.from_frame(trial(ratio=1.0, shape=2.5), **ROLES)
    assert compare_hazards(crossing, horizon=2.0).loc[PROPORTIONAL, "p_value"] < 0.01
    assert found.loc[PROPORTIONAL, "p_value"] > 0.01


def test_units_that_enter_late_have_no_log_rank_test():
    frame = trial()
    frame["start"] = 0.3 * frame["years"]
    found = compare_hazards(hte.Study.from_frame(frame, **ROLES, entry="start"), horizon=2.0)
    assert np.isnan(found.loc[LOG_RANK, "p_value"])
    assert found.loc[COX, "estimate"] < 1


def test_clusters_widen_the_interval_of_copies(study, found):
    """Each patient four times, declared as a cluster, says no more than once."""
    copies = pd.concat([trial()] * 4, ignore_index=True).assign(patient=list(range(400)) * 4)
    table = compare_hazards(hte.Study.from_frame(copies, **ROLES, cluster="patient"), horizon=2.0)
    width = {
        name: np.log(t.loc[COX, "ci_upper"] / t.loc[COX, "ci_lower"])
        for name, t in (("once", found), ("copies", table))
    }
    assert width["copies"] == pytest.approx(width["once"], rel=0.1)


def test_an_outcome_that_is_no_time_is_refused():
    frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
    study = hte.Study.from_frame(frame, outcome="y", treatment="treat", covariates=["x1"])
    with pytest.raises(DataError, match="column of events"):
        compare_hazards(study, horizon=1.0)
    assert restricted_means(study) is study


def two_causes(n=600):
    """Return a trial whose drug halves the rate of one cause and leaves that of the other."""
    frame, rng = trial(n, seed=3), np.random.default_rng(4)
    own = rng.exponential(size=n) * np.where(frame["drug"] == 1, 2.0, 1.0)
    other = rng.exponential(1.0, n)
    frame["years"] = np.minimum(np.minimum(own, other), 2.0)
    seen = np.where(own < other, "relapse {x}", "death")
    frame["status"] = np.where(frame["years"] == 2.0, "censored", seen)
    return frame


@pytest.mark.filterwarnings("ignore")
def test_causes_have_hazard_ratios_of_their_own():
    frame, cause = two_causes(), "relapse {x}"
    roles = ROLES | {"event": "status"}
    found = compare_hazards(hte.Study.from_frame(frame, **roles, cause=cause), horizon=1.5)
    own, other = found.loc[SPECIFIC.format(cause)], found.loc[SPECIFIC.format("death")]
    assert own["scale"] == "cause-specific hazard ratio"
    assert own["ci_lower"] < 0.5 < own["ci_upper"] < 1
    assert other["ci_lower"] < 1 < other["ci_upper"]
    assert found.loc[SPECIFIC_PROPORTIONAL.format(cause), "p_value"] > 0.01
    library = frame.assign(own=frame["status"] == cause)[["years", "own", "drug"]]
    ratio = CoxPHFitter().fit(library, "years", "own").hazard_ratios_["drug"]
    assert own["estimate"] == pytest.approx(ratio, rel=1e-6)
    # The negative control: any event in the place of the cause is another ratio, nearer to 1.
    assert own["estimate"] < 0.85 * found.loc[COX, "estimate"]
    # Without causes there are no such rows.
    assert found.index[:5].tolist() == list(METHODS)


def test_a_cause_without_events_in_an_arm_has_no_ratio():
    frame = two_causes(200)
    never = (frame["drug"] == 1) & (frame["status"] == "death")
    frame.loc[never, "status"] = "censored"
    roles = ROLES | {"event": "status"}
    found = compare_hazards(hte.Study.from_frame(frame, **roles, cause="relapse {x}"), horizon=1.5)
    assert np.isnan(found.loc[SPECIFIC_ADJUSTED.format("death"), "estimate"])
