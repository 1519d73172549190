"""Effect scores: closed forms, double robustness, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hte.companions import effect_scores
from bayes_hte.errors import DataError

UNITS = pd.RangeIndex(4)
Y, T = np.array([1.0, 3.0, 4.0, 8.0]), np.array([0, 0, 1, 1])


def test_hand_computed_scores_average_to_the_difference_of_means():
    scores = effect_scores(UNITS, outcome=Y, treatment=T)
    # Arm means 2 and 6, half treated: 4 -/+ 2 (y - mean).
    np.testing.assert_allclose(scores, [4 + 2, 4 - 2, 4 - 4, 4 + 4])


def test_perfect_expectations_leave_no_noise():
    m = np.array([[1.0, 3.0], [3.0, 4.0], [2.0, 4.0], [5.0, 8.0]])
    expected = xr.DataArray(m, dims=("unit", "arm"))
    scores = effect_scores(UNITS, outcome=Y, treatment=T, expected=expected)
    np.testing.assert_allclose(scores, m[:, 1] - m[:, 0])
    draws = expected.expand_dims(chain=2, draw=3)
    again = effect_scores(UNITS, outcome=Y, treatment=T, expected=draws)
    np.testing.assert_allclose(again, scores)


def test_one_right_model_is_enough():
    rng = np.random.default_rng(0)
    x = rng.normal(size=40000)
    e = 1 / (1 + np.exp(-x))
    t = (rng.random(x.size) < e).astype(int)
    y = x + t * (1 + x) + rng.normal(size=x.size)
    truth = xr.DataArray(np.column_stack([x, 1 + 2 * x]), dims=("unit", "arm"))
    data = {"outcome": y, "treatment": t}
    units = pd.RangeIndex(x.size)
    wrong = effect_scores(units, **data).mean()
    assert abs(wrong - 1) > 0.5
    for right in (
        {"propensity": e},
        {"expected": truth},
        {"propensity": np.full(x.size, 0.3), "expected": truth},
        {"propensity": e, "expected": 0 * truth},
    ):
        assert effect_scores(units, **data, **right).mean() == pytest.approx(1, abs=0.06)


def test_labels_are_matched():
    units = pd.Index(list("abcd"))
    y = pd.Series(Y, units)
    scores = effect_scores(units, outcome=y[::-1], treatment=T)
    np.testing.assert_allclose(scores, effect_scores(UNITS, outcome=Y, treatment=T))


def test_bad_arrays_are_refused():
    with pytest.raises(DataError, match="strictly between"):
        effect_scores(UNITS, outcome=Y, treatment=T, propensity=np.ones(4))
    with pytest.raises(DataError, match="two arms"):
        effect_scores(
            UNITS,
            outcome=Y,
            treatment=T,
            expected=xr.DataArray(np.ones((4, 3)), dims=("unit", "arm")),
        )
    with pytest.raises(DataError, match="3 values for 4 units"):
        effect_scores(UNITS, outcome=Y[:3], treatment=T)
    with pytest.raises(DataError, match="must have shape"):
        effect_scores(UNITS, outcome=Y[:, None], treatment=T)
    with pytest.raises(DataError, match="outcome must be numeric"):
        effect_scores(UNITS, outcome=np.array(list("abcd")), treatment=T)
    with pytest.raises(DataError, match="must have dims"):
        effect_scores(UNITS, outcome=xr.DataArray(Y, dims="x"), treatment=T)
    twice = pd.Series(Y, [0, 0, 1, 2])
    with pytest.raises(DataError, match="repeated labels"):
        effect_scores(UNITS, outcome=twice, treatment=T)
