"""Columns become what the study file declares, or the declaration is refused."""

from __future__ import annotations

import pandas as pd
import pytest

from bayes_hte.errors import DataError
from bayes_hte.study.columns import declared_columns
from bayes_hte.study.spec import ColumnSpec


def declared(values, *, new_rows=False, **keys):
    frame = pd.DataFrame({"c": values})
    return declared_columns(frame, {"c": ColumnSpec(**keys)}, new_rows=new_rows)["c"]


def test_an_event_is_one_and_the_other_level_zero():
    assert declared(["yes", "no", "yes"], event="yes").tolist() == [1, 0, 1]
    assert declared([1, 2, 2], event=2).tolist() == [0, 1, 1]
    assert declared([True, False], event=False).tolist() == [0, 1]
    with_gap = declared(["yes", None, "no"], event="yes")
    assert with_gap.isna().tolist() == [False, True, False]
    assert with_gap.sum() == 1


def test_levels_have_the_declared_order():
    column = declared(["low", "high", None, "low"], order=("low", "medium", "high"))
    assert column.cat.ordered
    assert column.cat.codes.tolist() == [0, 2, -1, 0]
    numbers = declared([3.0, 1.0], order=(3, 2, 1))
    assert numbers.tolist() == ["3", "1"]
    assert numbers.cat.codes.tolist() == [0, 2]


def test_numbers_may_be_codes_and_texts_numbers():
    codes = declared([2, 10, 2], type="category")
    assert codes.cat.categories.tolist() == ["10", "2"]
    assert declared(["1.5", None, "2"], type="number").tolist()[::2] == [1.5, 2.0]


@pytest.mark.parametrize(
    ("values", "keys", "said"),
    [
        (["a", "b"], {"event": "c"}, "event 'c' is not a level of the column; it has 'a', 'b'"),
        (["a", "b", "c"], {"event": "c"}, "the column has 3 levels"),
        (["a", "a"], {"event": "a"}, "the column has 1 levels"),
        (["a", "b"], {"order": ("a",)}, "order lacks 'b', which the column has"),
        (["1", "x"], {"type": "number"}, r"1 values are no numbers \('x'\)"),
    ],
)
def test_what_contradicts_the_data_is_refused(values, keys, said):
    with pytest.raises(DataError, match=said):
        declared(values, **keys)


def test_an_absent_column_is_named():
    with pytest.raises(DataError, match=r"unknown column of \[columns\] 'd'"):
        declared_columns(pd.DataFrame({"c": [1]}), {"d": ColumnSpec(event=1)})


def test_new_rows_need_no_outcome_and_may_have_other_levels():
    new = declared(["low", "extreme"], order=("low", "high"), new_rows=True)
    assert new.tolist() == ["low", "extreme"]
    frame = pd.DataFrame({"c": ["x"]})
    columns = {"y": ColumnSpec(event="yes"), "d": ColumnSpec(type="category")}
    pd.testing.assert_frame_equal(declared_columns(frame, columns, new_rows=True), frame)
