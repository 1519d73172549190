"""Whatever new rows hold, they are predicted as what they say, or refused in a sentence.

A shared fit predicts; what is asked of it does not depend on how well it was fitted.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayes_hte.errors import BayesHTEError, DataError
from bayes_hte.runs.prediction import unlike

anything = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ROWS = 6
HUGE = [0.0, -0.0, 1e-320, 1e308, -1e308, 1e17]
ODD = [
    np.nan,
    np.inf,
    -np.inf,
    None,
    pd.NA,
    pd.NaT,
    "",
    "a",
    "1",
    True,
    3,
    2**70,
    10**400,
    1j,
    (1,),
    b"a",
]
NUMBERS = st.one_of(st.floats(-5, 5), st.sampled_from(HUGE), st.integers(-9, 9))
LEVELS = st.sampled_from(["a", "b", "c"])
# Ways to store the same values.
AS_NUMBERS = ["float64", "object", "Float64", "float64[pyarrow]", "Sparse[float]", "complex"]
AS_LEVELS = ["object", "string", "category", "str"]


def rows_of(x1, x3) -> pd.DataFrame:
    return pd.DataFrame({"x1": pd.Series(x1), "x2": 0.5, "x3": pd.Series(x3)})


def given_out(fit, frame):
    """Return the mean effect of each row, or None if the rows were refused in words."""
    try:
        effect = fit.cate(frame)
    except BayesHTEError:
        return None
    assert np.isfinite(effect).all()
    assert effect.sizes["unit"] == len(frame)
    return effect.mean(["chain", "draw"]).to_numpy()


def effect_of(fit, x1, x3) -> np.ndarray:
    """The effect of rows that are plainly written: numbers as float, levels as text."""
    plain = rows_of(np.array(x1, dtype=float), np.array(x3, dtype=object))
    return fit.cate(plain).mean(["chain", "draw"]).to_numpy()


@anything
@given(
    st.lists(st.tuples(NUMBERS, LEVELS), min_size=1, max_size=ROWS),
    st.sampled_from(AS_NUMBERS),
    st.sampled_from(AS_LEVELS),
)
def test_how_values_are_stored_changes_no_number(plain_fit, values, numbers, levels):
    x1, x3 = map(list, zip(*values, strict=True))
    frame = rows_of(np.array(x1, dtype=float), x3)
    frame = frame.assign(x1=frame["x1"].astype(numbers), x3=frame["x3"].astype(levels))
    found = given_out(plain_fit, frame)
    assert (found is None) == (numbers == "complex")
    if found is not None:
        np.testing.assert_array_equal(found, effect_of(plain_fit, x1, x3))


ANY_NUMBER = st.one_of(NUMBERS, st.sampled_from(ODD))
ANY_LEVEL = st.one_of(LEVELS, st.sampled_from(ODD), st.text(max_size=3))


@anything
@given(st.lists(st.tuples(ANY_NUMBER, ANY_LEVEL), max_size=ROWS))
def test_any_cells_are_numbers_and_levels_or_refused(plain_fit, values):
    x1, x3 = [list(of) for of in zip(*values, strict=True)] or ([], [])
    frame = rows_of(pd.Series(x1, dtype=object), pd.Series(x3, dtype=object))
    found = given_out(plain_fit, frame)
    if found is None or not len(frame):
        return
    # Only numbers and known levels have effects, and those are the effects of these values.
    assert all(isinstance(v, (int, float)) and np.isfinite(float(v)) for v in x1)
    assert set(x3) <= {"a", "b", "c"}
    assert unlike(frame, plain_fit.study)[1].all()
    np.testing.assert_array_equal(found, effect_of(plain_fit, [float(v) for v in x1], x3))


@anything
@given(st.permutations(["x1", "x2", "x3", "more", "y"]), st.integers(0, 3))
def test_columns_that_are_missing_are_named_and_others_ignored(plain_fit, order, kept):
    whole = rows_of([0.3, -1.0], ["a", "b"]).assign(more="=cmd()", y=np.inf)
    frame = whole[order[kept:]]
    lacking = {"x1", "x2", "x3"} - set(frame)
    if not lacking:
        wanted = effect_of(plain_fit, [0.3, -1.0], ["a", "b"])
        np.testing.assert_array_equal(given_out(plain_fit, frame), wanted)
        return
    with pytest.raises(DataError) as refused:
        plain_fit.cate(frame)
    assert set(re.findall(r"\w+", str(refused.value).split(";")[0])) >= lacking


LABELS = st.one_of(st.integers(-2, 2), st.text(max_size=2), st.none(), st.dates())


@anything
@given(st.lists(LABELS, min_size=1, max_size=ROWS))
def test_labels_of_rows_are_kept_and_change_no_number(plain_fit, labels):
    """Labels that occur twice, are missing, or of several types."""
    x1, x3 = np.linspace(-1, 1, len(labels)), ["a", "b", "c"] * 2
    frame = rows_of(x1, x3[: len(labels)]).set_axis(pd.Index(labels, dtype=object))
    found = given_out(plain_fit, frame)
    if found is None:
        return
    np.testing.assert_array_equal(found, effect_of(plain_fit, x1, x3[: len(labels)]))


def test_no_rows_have_no_effects(plain_fit):
    empty = rows_of([], []).astype({"x1": float, "x3": object})
    assert given_out(plain_fit, empty).shape == (0,)


@pytest.mark.parametrize("newdata", [[1, 2], "rows.csv", 3, {"x1": [1]}, np.zeros((2, 3))])
def test_what_is_no_table_is_refused_in_a_sentence(plain_fit, newdata):
    with pytest.raises(BayesHTEError, match="DataFrame"):
        plain_fit.cate(newdata)


@pytest.mark.parametrize("newdata", [np.array([0, 1]), 3, {"x1": [1]}])
def test_a_propensity_is_that_of_rows_and_not_of_positions(plain_fit, newdata):
    with pytest.raises(DataError, match="DataFrame"):
        plain_fit.propensity(newdata)
