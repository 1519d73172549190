"""Curves that a run keeps: those of subgroups and of the look-up's combinations, in one pass."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hte.reporting.tables.lookup_curves import codes_like
from bayes_hte.runs import time_curves
from bayes_hte.runs.effect_draws import EffectDraws
from bayes_hte.runs.time_curves import CURVE, LABEL, curves_of_groups
from bayes_hte.store import find_stage, save_stage
from bayes_hte.study.study import Study
from tests.runs.test_effect_stage import small_effects

N = 120
LABELS = {"te": np.arange(N) % 3, "tnie": np.zeros(N, dtype=int)}


@pytest.fixture
def averaged(monkeypatch):
    """Return the groups that were averaged; in place of a curve stands the size of each."""
    asked = []

    def sizes(fit, members, estimand):
        asked.append((estimand, members))
        values = np.array([own.sum() for own in members.values()], dtype=float)
        shape = (1, 2, values.size, 2, 5)
        return xr.DataArray(
            np.broadcast_to(values[:, None, None], shape),
            dims=("chain", "draw", "group", "arm", "time"),
            coords={"group": list(members), "time": np.arange(1.0, 6.0)},
        )

    found = {k: SimpleNamespace(labels=xr.DataArray(v, dims="unit")) for k, v in LABELS.items()}
    monkeypatch.setattr(time_curves, "_averaged", sizes)
    monkeypatch.setattr(time_curves, "find_subgroups", lambda *_, **__: found)
    return asked


def run_of(**roles):
    """Return a fit, effects that differ along one covariate, and the study file."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"site": np.array(["a", "b"])[np.arange(N) // 2 % 2]})
    frame = frame.assign(drug=np.arange(N) % 2, died=1, years=rng.exponential(size=N) + 0.1)
    columns = {"outcome": "years", "treatment": "drug", "covariates": ["site"]}
    study = Study.from_frame(frame, **columns, **roles)
    effect = (frame["site"] == "b").to_numpy() + 0.01 * rng.normal(size=(1, 4, N))
    unit = xr.Dataset({"te": (("chain", "draw", "unit"), effect)}, {"unit": study.units})
    spec = SimpleNamespace(estimand="rmst", labels={}, sampler=SimpleNamespace(seed=1))
    return SimpleNamespace(study=study), unit, SimpleNamespace(spec=spec)


def test_every_group_gets_its_own_curve(averaged):
    fit, unit, prepared = run_of(event="died")
    of_subgroups, like = curves_of_groups(fit, unit, prepared)
    # An effect with one subgroup has none to compare; the pass is one for all groups.
    assert list(of_subgroups) == ["te"]
    assert [estimand for estimand, _ in averaged] == ["survival"]
    curve = of_subgroups["te"][CURVE]
    assert curve["group"].to_numpy().tolist() == [0, 1, 2]
    assert curve.isel(chain=0, draw=0, arm=0, time=0).to_numpy().tolist() == [40.0] * 3
    np.testing.assert_array_equal(like[LABEL], codes_like(fit.study, unit["te"]))
    assert like[CURVE].isel(chain=0, draw=0, arm=0, time=0).to_numpy().tolist() == [60.0] * 2
    assert like["time"].to_numpy().tolist() == [1.0, 3.0, 5.0]
    masks = list(averaged[0][1].values())
    np.testing.assert_array_equal(masks[3], like[LABEL].to_numpy() == 0)


def test_other_outcomes_have_no_curves(averaged):
    assert curves_of_groups(*run_of()) == ({}, None)
    assert averaged == []


def test_they_come_back_from_a_folder(averaged, tmp_path):
    _, like = curves_of_groups(*run_of(event="died"))
    saved = replace(small_effects(), curves_like=like)
    save_stage(tmp_path, "effects", saved.to_tree(), {})
    back = EffectDraws.from_tree(find_stage(tmp_path, "effects").load(), None, None)
    xr.testing.assert_equal(back.curves_like, like)
    # Runs that were saved before have none.
    assert EffectDraws.from_tree(small_effects().to_tree(), None, None).curves_like is None
