"""Fits side by side, parts of large studies, and the warning about size."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hte.checks.both_ways import propensity_both_ways
from bayes_hte.effects.comparison import compare_effects
from bayes_hte.errors import DataError
from tests.fakes import fake_study


def effect(centre: float, seed: int = 0, units: int = 20) -> xr.DataArray:
    rng = np.random.default_rng(seed)
    values = centre + np.linspace(-1, 1, units) + rng.normal(scale=0.1, size=(2, 200, 1))
    coords = {"unit": np.arange(units)}
    return xr.DataArray(values, dims=("chain", "draw", "unit"), coords=coords)


def test_averages_spreads_and_agreement_are_those_of_the_draws():
    first, second = effect(1.0), effect(2.0, seed=1)
    table = compare_effects({"a": first, "b": second})
    assert table.attrs == {"ci_prob": 0.95, "ci_kind": "eti"}
    average = second.mean("unit")
    assert table.loc["b", "sate"] == pytest.approx(float(average.mean()))
    assert table.loc["b", "sate_lower"] == pytest.approx(float(average.quantile(0.025)))
    assert table.loc["b", "spread"] == pytest.approx(np.linspace(-1, 1, 20).std())
    assert table.loc["b", "correlation"] == pytest.approx(1)
    assert table.loc["b", "rms_difference"] == pytest.approx(1, abs=0.05)


def test_one_fit_or_other_units_cannot_be_compared():
    with pytest.raises(DataError, match="at least two fits"):
        compare_effects({"a": effect(1.0)})
    with pytest.raises(DataError, match="other units"):
        compare_effects({"a": effect(1.0), "b": effect(1.0, units=5)})


def test_units_are_compared_by_label_whatever_the_type_of_the_labels():
    first, second = effect(1.0), effect(2.0, seed=1)
    expected = compare_effects({"a": first, "b": second})
    labels = pd.Index(range(20), dtype="Int64").astype(object)
    relabelled = second.assign_coords(unit=labels)
    pd.testing.assert_frame_equal(compare_effects({"a": first, "b": relabelled}), expected)
    turned = second.isel(unit=slice(None, None, -1))
    with pytest.raises(DataError, match=r"in another order; of the same units, select effect.sel"):
        compare_effects({"a": first, "b": turned})
    cured = compare_effects({"a": first, "b": turned.sel(unit=first.unit)})
    pd.testing.assert_frame_equal(cured, expected)


@pytest.mark.parametrize(
    ("effects", "got"),
    [([effect(1.0), effect(2.0)], "list"), ({"a": np.zeros(3), "b": np.zeros(3)}, "ndarray")],
)
def test_what_is_no_mapping_of_effects_is_refused(effects, got):
    with pytest.raises(DataError, match=f"got {got}"):
        compare_effects(effects)


def test_both_ways_inform_where_they_agree_and_fail_where_they_do_not():
    assert propensity_both_ways(effect(1.0), effect(1.02, seed=1)).passed is None
    apart = propensity_both_ways(effect(1.0), effect(2.0, seed=1))
    assert apart.passed is False
    assert "disagree" in apart.text


def test_a_sample_keeps_the_arms_in_proportion_and_repeats():
    study = fake_study(np.random.default_rng(0), n_units=80, mediator=False)[0]
    part = study.sample(40, seed=1)
    assert part.n_units == 40
    assert part.arm_index().mean() == pytest.approx(study.arm_index().mean(), abs=0.5 / 40)
    assert part.fingerprint() == study.sample(40, seed=1).fingerprint()
    with pytest.raises(DataError, match="cannot sample 81 of 80"):
        study.sample(81, seed=1)
