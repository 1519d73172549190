"""Checks come back from a saved run as they were, numbers JSON has no word for among them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from bayes_hte.checks.base import CheckResult
from bayes_hte.saved_effects import check_from, check_state

INDEX = pd.MultiIndex.from_tuples([("a", "x"), ("a", "y"), ("b", "x")], names=["variant", "what"])
TABLES = {
    "infinite": pd.DataFrame({"n": [1, 2, 3], "limit": [np.inf, 0.1 + 0.2, -np.inf]}, INDEX),
    "missing": pd.DataFrame({"value": [np.nan, np.inf, 1.5], "word": ["a", "b", "c"]}),
    "plain": pd.DataFrame({"value": [1e-300, 2.0]}, index=pd.Index(["te", "tnie"], name="effect")),
    "empty": pd.DataFrame(),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_table_of_a_check_comes_back_as_it_was(name):
    check = CheckResult("a check", None, TABLES[name], "said")
    state = json.loads(json.dumps(check_state(check), allow_nan=False))
    back = check_from(state)
    assert (back.name, back.passed, back.text) == (check.name, check.passed, check.text)
    pd.testing.assert_frame_equal(back.table, check.table, check_index_type=False)
