"""Whatever a file of new rows holds, `predict` takes each row for what it says, or says why not."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayes_hte.errors import BayesHTEError
from bayes_hte.runs import prediction
from bayes_hte.runs.prediction import predict_rows
from tests.saved.make import unpacked

anything = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
CELL = st.one_of(
    st.floats(-3, 3).map(lambda value: f"{value:.3f}"),
    st.sampled_from(["", "NA", "inf", "-1e999", "1e308", "1" + "0" * 400, "=cmd()", "1,5", "x"]),
)
SITE = st.sampled_from(["north", "south", "west", "North", "", "None", "=1+1", "\x07", "'"])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run, which is loaded once."""
    folder = unpacked("run_0.1.0", tmp_path_factory.mktemp("run")) / "out"
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"folder": str(folder.parent)}))
    return folder, prediction._finished_run(folder)


# A level that is read as a missing value is said.
@pytest.mark.filterwarnings("ignore::bayes_hte.errors.DoubtfulOptionWarning")
@anything
@given(st.lists(st.tuples(CELL, CELL, SITE), min_size=1, max_size=4), st.sampled_from(",;\t"))
def test_any_row_is_predicted_or_refused(run, tmp_path, cells, separator):
    folder, loaded = run
    names = ("x1", "x2", "site")
    lines = [separator.join(f'"{cell}"' for cell in row) for row in (names, *cells)]
    path = tmp_path / "new.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(prediction, "_finished_run", lambda _: loaded)
        try:
            table = predict_rows(folder, path).table
        except BayesHTEError:
            return
    assert len(table) == len(cells)
    effect = table.get("effect", pd.Series(np.nan, index=table.index))
    for (x1, x2, site), found, like in zip(cells, effect, table["like_study"], strict=True):
        plain = site in ("north", "south", "west") and is_number(x1) and is_number(x2)
        assert np.isfinite(found) == plain
        assert plain or not like


def is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
