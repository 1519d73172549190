"""Reports of times to an event: curves, follow-up, the horizon in captions, and hazards."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hte.companions.classical import classical
from bayes_hte.reporting.page.section import AVERAGES, Material
from bayes_hte.reporting.page.words import effect_label, time_axis, with_scale
from bayes_hte.reporting.sections.survival import survival
from bayes_hte.reporting.tables.survival import CURVES, FOLLOW_UP, HAZARDS, survival_tables
from bayes_hte.study.study import Study
from tests.reporting.conftest import make_spec

ROLES = {"outcome": "years", "treatment": "drug", "covariates": ["x"]}


def results(*, event: bool = True):
    """Return what the section and its tables read."""
    rng = np.random.default_rng(1)
    n, arm = 200, np.arange(200) % 2
    failed, left = rng.exponential(np.exp(0.7 * arm)), rng.uniform(1, 4, n)
    frame = pd.DataFrame({"years": np.minimum(failed, left), "died": failed <= left, "drug": arm})
    frame = frame.assign(x=rng.normal(size=n))
    study = Study.from_frame(frame, **ROLES, **({"event": "died"} if event else {}))
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
    spec = replace(spec, outcome=outcome, roles=replace(spec.roles, outcome="years"))
    return SimpleNamespace(
        spec=spec,
        study=study,
        classical=classical(study, propensity, rng=rng, horizon=2.5),
        arm_means=xr.DataArray(
            1.0 + rng.random((2, 10, 2)), dims=("chain", "draw", "arm"), coords={"arm": [0, 1]}
        ),
        curves=curves if event else None,
        incidence=None,
        subgroup_curves={},
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
    assert page.count("<figure") == 4
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
