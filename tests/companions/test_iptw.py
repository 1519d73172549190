"""Inverse-probability weighting: closed forms, draws, diagnostics, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hte.companions import iptw, weighting
from bayes_hte.errors import DataError, SpecError

ROLES = {"outcome": "y", "treatment": "t", "propensity": "e"}


@pytest.fixture
def four() -> pd.DataFrame:
    return pd.DataFrame(
        {"y": [1.0, 3.0, 2.0, 6.0], "t": [0, 0, 1, 1], "e": [0.5, 0.75, 0.5, 0.25]},
        index=list("abcd"),
    )


def draws_around(e: np.ndarray, index: pd.Index, n: int = 50, sd: float = 0.2) -> xr.DataArray:
    rng = np.random.default_rng(0)
    logits = np.log(e / (1 - e)) + rng.normal(scale=sd, size=(2, n, e.size))
    return xr.DataArray(
        1 / (1 + np.exp(-logits)),
        dims=("chain", "draw", "unit"),
        coords={"chain": [0, 1], "draw": np.arange(n), "unit": index},
    )


def test_hand_computed_case(four):
    # Control weights 2 and 4: mean (2 + 12) / 6. Treated weights 2 and 4: mean (4 + 24) / 6.
    result = iptw(four, **ROLES, stabilized=False, clip=None)
    assert result.estimate == pytest.approx(28 / 6 - 14 / 6)
    assert result.weights.to_dict() == {"a": 2.0, "b": 4.0, "c": 2.0, "d": 4.0}
    assert result.effective_sample_size["control"] == pytest.approx(36 / 20)
    assert result.effective_sample_size["all"] == pytest.approx(144 / 40)


def test_stabilising_scales_weights_and_leaves_the_estimate(small):
    plain, stable = iptw(small, **ROLES, stabilized=False), iptw(small, **ROLES)
    assert stable.estimate == pytest.approx(plain.estimate, abs=1e-13)
    share = np.where(small["t"] == 1, small["t"].mean(), 1 - small["t"].mean())
    np.testing.assert_allclose(stable.weights, plain.weights * share)


def test_clipping_is_counted(four):
    result = iptw(four.assign(e=[0.5, 0.999, 0.5, 0.5]), **ROLES, clip=(0.1, 0.9), stabilized=False)
    assert result.diagnostics["n_clipped"].to_dict() == {"control": 1, "treated": 0, "all": 1}
    assert result.summary().loc["ate", "n_clipped"] == 1
    np.testing.assert_allclose(result.weights, [2, 10, 2, 2])


def test_recovers_a_known_effect_that_the_raw_difference_misses():
    rng = np.random.default_rng(3)
    x = rng.normal(size=20000)
    e = 1 / (1 + np.exp(-x))
    t = (rng.random(x.size) < e).astype(int)
    frame = pd.DataFrame({"y": 2 * x + t + rng.normal(size=x.size), "t": t, "e": e})
    raw = frame.groupby("t")["y"].mean().diff().iloc[-1]
    assert abs(raw - 1) > 1
    assert iptw(frame, **ROLES).estimate == pytest.approx(1, abs=0.15)


def test_each_draw_is_the_point_estimate_of_that_draw(small, monkeypatch):
    monkeypatch.setattr(weighting, "CELLS_AT_ONCE", 1000)  # 5 draws a chunk
    e = draws_around(small["e"].to_numpy(), small.index, n=10)
    result = iptw(small, outcome="y", treatment="t", propensity=e)
    one = iptw(small, outcome="y", treatment="t", propensity=e[1, 7].to_numpy())
    assert result.draws.dims == ("chain", "draw")
    assert float(result.draws[1, 7]) == pytest.approx(one.estimate, abs=1e-12)
    np.testing.assert_allclose(result.weight_draws[1, 7], one.weights, rtol=1e-6)
    assert result.estimate == pytest.approx(float(result.draws.mean()))
    np.testing.assert_allclose(
        result.weights, result.weight_draws.mean(("chain", "draw")), rtol=1e-6
    )
    every = [
        iptw(small, outcome="y", treatment="t", propensity=d).diagnostics["ess"]
        for d in e.to_numpy().reshape(-1, len(small))
    ]
    np.testing.assert_allclose(result.effective_sample_size, np.mean(every, axis=0))


def test_units_are_matched_by_label_not_position(small):
    e = draws_around(small["e"].to_numpy(), small.index)
    shuffled = e.isel(unit=np.random.default_rng(0).permutation(len(small)))
    a = iptw(small, outcome="y", treatment="t", propensity=e)
    b = iptw(small, outcome="y", treatment="t", propensity=shuffled.transpose("unit", ...))
    np.testing.assert_allclose(a.draws, b.draws)
    series = small["e"].sample(frac=1, random_state=0)
    assert iptw(small, outcome="y", treatment="t", propensity=series).estimate == pytest.approx(
        iptw(small, **ROLES).estimate
    )


def test_summary_says_what_the_interval_covers(small):
    point = iptw(small, **ROLES).summary().loc["ate"]
    assert np.isnan(point["ci_lower"])
    assert point["uncertainty"].startswith("none")
    e = draws_around(small["e"].to_numpy(), small.index)
    row = iptw(small, outcome="y", treatment="t", propensity=e).summary(ci_prob=0.9).loc["ate"]
    assert row["ci_lower"] < row["mean"] < row["ci_upper"]
    assert (row["ci_prob"], row["ci_kind"]) == (0.9, "eti")
    assert "not the sampling" in row["uncertainty"]


def test_resampling_units_gives_the_standard_error_of_a_difference_of_means(small):
    e = draws_around(np.full(len(small), 0.5), small.index, n=2000, sd=0.0)
    options = {"outcome": "y", "treatment": "t", "propensity": e}
    fixed = iptw(small, **options)
    assert float(fixed.draws.std()) < 1e-12
    resampled = iptw(small, **options, rng=np.random.default_rng(2))
    groups = small.groupby("t")["y"]
    expected = np.sqrt((groups.var(ddof=0) / groups.size()).sum())
    assert float(resampled.draws.std()) == pytest.approx(expected, rel=0.06)
    assert resampled.estimate == pytest.approx(fixed.estimate, abs=0.02)
    assert "sampling of independent units" in resampled.uncertainty


def test_the_frame_is_not_changed(small):
    before = small.copy()
    iptw(small, **ROLES)
    pd.testing.assert_frame_equal(small, before)


@pytest.mark.parametrize("bad", [0.0, 1.0, -0.1, 1.2])
def test_propensity_outside_the_open_interval_is_refused(four, bad):
    with pytest.raises(DataError, match="strictly between 0 and 1"):
        iptw(four.assign(e=[bad, 0.5, 0.5, 0.5]), **ROLES)


def test_unusable_data_are_refused_by_message(four):
    with pytest.raises(DataError, match="'e' has 1 missing"):
        iptw(four.assign(e=[np.nan, 0.5, 0.5, 0.5]), **ROLES)
    with pytest.raises(DataError, match="NaN or infinite"):
        iptw(four, outcome="y", treatment="t", propensity=np.array([np.nan, 0.5, 0.5, 0.5]))
    with pytest.raises(DataError, match="'y' has 1 missing"):
        iptw(four.assign(y=[np.nan, 1, 2, 3]), **ROLES)
    with pytest.raises(DataError, match="one arm only: all 4 units are treated"):
        iptw(four.assign(t=1), **ROLES)
    with pytest.raises(DataError, match=r"coded 0 \(control\) and 1"):
        iptw(four.assign(t=[1, 2, 1, 2]), **ROLES)
    with pytest.raises(DataError, match="must be numeric"):
        iptw(four.assign(t=list("aabb")), **ROLES)
    with pytest.raises(DataError, match="3 values for 4 units"):
        iptw(four, outcome="y", treatment="t", propensity=np.full(3, 0.5))
    with pytest.raises(DataError, match="no value for 4 of 4 units"):
        iptw(four, outcome="y", treatment="t", propensity=pd.Series(np.full(4, 0.5)))
    with pytest.raises(DataError, match="Did you mean 'y'"):
        iptw(four, outcome="yy", treatment="t", propensity="e")
    with pytest.raises(DataError, match="no rows"):
        iptw(four.iloc[:0], **ROLES)


def test_unusable_draws_are_refused_by_message(four):
    e = draws_around(four["e"].to_numpy(), four.index, n=3)
    with pytest.raises(DataError, match="dims"):
        iptw(four, outcome="y", treatment="t", propensity=e.expand_dims("contrast"))
    with pytest.raises(DataError, match="NaN"):
        iptw(four, outcome="y", treatment="t", propensity=e.where(e.unit != "a"))
    with pytest.raises(DataError, match="strictly between 0 and 1"):
        iptw(four, outcome="y", treatment="t", propensity=e + 1)


@pytest.mark.parametrize("clip", [(0.9, 0.1), (0, 0.9), (0.1, 1.0), (0.5,)])
def test_a_meaningless_clip_is_refused(four, clip):
    with pytest.raises(SpecError, match="clip must be two increasing"):
        iptw(four, **ROLES, clip=clip)


def test_resampling_without_draws_is_refused(four):
    with pytest.raises(SpecError, match="has no draws"):
        iptw(four, **ROLES, rng=np.random.default_rng(0))
