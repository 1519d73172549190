"""Reports of times to an event: curves, follow-up, the horizon in captions, and hazards."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hte.companions.classical import classical
from bayes_hte.reporting.page.scale import scale_of
from bayes_hte.reporting.page.section import AVERAGES, Material
from bayes_hte.reporting.page.words import effect_label, time_axis, with_scale
from bayes_hte.reporting.sections.survival import survival
from bayes_hte.reporting.tables.survival import (
    CURVES,
    FOLLOW_UP,
    HAZARDS,
    INCIDENCE,
    OBSERVED_INCIDENCE,
    survival_tables,
)
from bayes_hte.study.study import Study
from tests.reporting.conftest import make_spec

ROLES = {"outcome": "years", "treatment": "drug", "covariates": ["x"]}


def results(*, event: bool = True, causes: bool = False):
    """Return what the section and its tables read."""
    rng = np.random.default_rng(1)
    n, arm = 200, np.arange(200) % 2
    failed, left = rng.exponential(np.exp(0.7 * arm)), rng.uniform(1, 4, n)
    frame = pd.DataFrame({"years": np.minimum(failed, left), "died": failed <= left, "drug": arm})
    frame = frame.assign(x=rng.normal(size=n))
    frame["status"] = np.where(frame["died"], np.array(["relapse", "other <x>"])[arm], "alive")
    more = {"event": "died"} if event else {}
    more = {"event": "status", "cause": "relapse"} if causes else more
    frame.loc[:9, "status"] = frame.loc[:9, "status"].replace("other <x>", "relapse")
    study = Study.from_frame(frame, **ROLES, **more)
    propensity = xr.DataArray(np.full((2, 10, n), 0.5), dims=("chain", "draw", "unit"))
    propensity = propensity.assign_coords(unit=study.units)
    grid = np.linspace(0.5, 2.5, 5)
    means = np.exp(-np.exp(-0.7 * np.arange(2))[:, None] * grid)
    curves = xr.DataArray(
        np.broadcast_to(means, (2, 10, 4, 2, 5)) + 0.01 * rng.normal(size=(2, 10, 4, 1, 1)),
        dims=("chain", "draw", "group", "arm", "time"),
        coords={"group": range(4), "time": grid},
    )
    spec = make_spec(mediator=False)
    outcome = replace(spec.outcome, unit="years", horizon=2.5)
    roles = replace(spec.roles, outcome="years", event="died" if event else None)
    if causes:
        outcome = replace(outcome, family="piecewise_hazard")
        roles = replace(roles, event="status", cause="relapse")
    spec = replace(spec, outcome=outcome, roles=roles)
    groups = SimpleNamespace(labels=xr.DataArray(np.arange(n) // 100, dims="unit"))
    subgroup = curves.isel(group=slice(2))
    return SimpleNamespace(
        spec=spec,
        study=study,
        classical=classical(study, propensity, rng=rng, horizon=2.5),
        arm_means=xr.DataArray(
            1.0 + rng.random((2, 10, 2)), dims=("chain", "draw", "arm"), coords={"arm": [0, 1]}
        ),
        curves=curves if event else None,
        incidence=1 - curves if causes else None,
        subgroups={"te": groups},
        subgroup_curves={"te": 1 - subgroup if causes else subgroup} if event else {},
        interval={"ci_prob": 0.9, "ci_kind": "eti"},
        direction={"better": "higher", "important": 0.3},
    )


@pytest.fixture(scope="module")
def found():
    """Return results of times to an event."""
    return results()


@pytest.fixture(scope="module")
def page(found):
    """Return the section."""
    tables = survival_tables(found, **found.interval)
    return survival(Material(found, tables | {AVERAGES: pd.DataFrame({"sd": [0.1]})})).body


def test_tables_have_every_arm_and_group(found):
    tables = survival_tables(found, **found.interval)
    assert tables[CURVES].groupby("group").size().to_dict() == dict.fromkeys(
        ("all", "shortest third", "middle third", "longest third"), 10
    )
    assert tables[FOLLOW_UP]["arm"].tolist() == ["usual <care>", "new $care$"]
    assert tables[FOLLOW_UP][["events", "censored"]].sum(axis=1).tolist() == [100, 100]
    assert "Cox model" in tables[HAZARDS]["method"].to_numpy()


def test_the_section_says_horizon_censoring_and_that_ratios_are_no_individual_effect(page):
    # Everybody, thirds and two subgroups.
    assert page.count("<figure") == 6
    assert "Subgroup A of the total effect (TE), 100" in page
    assert "restricted mean survival time to 2.5 years" in page
    assert "never an individual effect" in page
    assert "usual &lt;care&gt;" in page
    assert "<care>" not in page


def test_captions_and_axes_have_the_horizon(found):
    scale = "restricted mean survival time to 2.5 years"
    assert with_scale("Who benefits.", found) == f"Who benefits. Effects on the {scale}."
    assert effect_label(found) == f"effect on the {scale}"
    assert time_axis(found) == "years"


def test_other_outcomes_have_no_such_section():
    plain = results(event=False)
    assert survival_tables(plain, **plain.interval) == {}
    assert survival(Material(plain, {})) is None
    assert with_scale("Who benefits.", plain) == "Who benefits."
    assert effect_label(plain) == "effect on years, years"


def test_a_cause_has_its_risk_in_per_cent_and_its_own_curves():
    found = results(causes=True)
    assert with_scale("Who benefits.", found).endswith(
        "Effects on the risk of relapse by 2.5 years."
    )
    assert scale_of(found.spec).unit == "percentage points"
    tables = survival_tables(found, **found.interval)
    assert tables[INCIDENCE]["group"].unique().tolist()[1] == "lowest third"
    assert (tables[OBSERVED_INCIDENCE]["incidence"] <= 1).all()
    assert tables[FOLLOW_UP][["events of relapse", "events of other <x>"]].sum(axis=None) == (
        tables[FOLLOW_UP]["events"].sum()
    )
    page = survival(Material(found, tables | {AVERAGES: pd.DataFrame({"sd": [0.1]})})).body
    # The risk of everybody and of thirds, survival without any event, two subgroups.
    assert page.count("<figure") == 7
    assert "Aalen-Johansen" in page
    assert "An event of another cause (other &lt;x&gt;) makes it impossible" in page
    assert "<x>" not in page


def test_survival_by_a_time_is_a_probability_without_causes():
    found = results()
    outcome = replace(found.spec.outcome, estimand="survival")
    found = SimpleNamespace(**{**vars(found), "spec": replace(found.spec, outcome=outcome)})
    assert effect_label(found) == "effect on the probability of surviving 2.5 years"
    assert scale_of(found.spec).level == "probability of surviving 2.5 years"
    tables = survival_tables(found, **found.interval)
    page = survival(Material(found, tables | {AVERAGES: pd.DataFrame({"sd": [0.1]})})).body
    assert "the mean time without the event" not in page
