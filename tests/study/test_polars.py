"""Frames of polars, wherever a table of the user comes in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars
import pytest
import xarray as xr

import bayes_hte as hte
from bayes_hte.errors import DataError
from bayes_hte.names import SAMPLE, UNIT
from bayes_hte.study.design import Design

N = 60
ROLES = {
    "outcome": "y",
    "treatment": "arm",
    "covariates": ["age", "sex", "stage", "ok"],
    "reference": "pill",
}


@pytest.fixture
def frame() -> polars.DataFrame:
    """Numbers with gaps, texts, enumerations and truth values, as polars stores them."""
    rng = np.random.default_rng(0)
    age = rng.normal(50, 9, N)
    table = polars.DataFrame(
        {
            "y": rng.normal(size=N),
            "arm": np.tile(["pill", "drug"], N // 2),
            "age": [None if i % 7 == 0 else float(a) for i, a in enumerate(age)],
            "sex": rng.choice(["f", "m"], N),
            "stage": rng.choice(["I", "II", "III"], N),
            "ok": rng.random(N) < 0.5,
            "w": rng.uniform(1, 3, N),
        }
    )
    return table.with_columns(
        polars.col("sex").cast(polars.Categorical),
        polars.col("stage").cast(polars.Enum(["III", "II", "I"])),
    )


def test_a_study_is_that_of_the_same_frame_in_pandas(frame):
    study = hte.Study.from_frame(frame, **ROLES, weights="w")
    assert (
        study.fingerprint()
        == hte.Study.from_frame(frame.to_pandas(), **ROLES, weights="w").fingerprint()
    )
    assert study.arms == ("pill", "drug")
    assert study.gaps == ("age",)
    design = Design.learn(study)
    # An enumeration has an order.
    assert design.levels("stage") == ("III", "II", "I")
    assert design.replay(frame.drop("y", "arm").head(3)).n_rows == 3


def test_imputed_frames_may_be_of_polars(frame):
    given = [frame.with_columns(polars.col("age").fill_null(v)) for v in (40.0, 60.0)]
    study = hte.Study.from_frames(given, **ROLES)
    assert study.gaps == ("age",)


def test_a_profile_assigns_rows_of_polars(frame):
    whole = frame.with_columns(polars.col("age").fill_null(50.0))
    study = hte.Study.from_frame(whole, **ROLES)
    effect = (whole["age"].to_numpy() > 50).astype(float)
    draws = xr.DataArray([[effect] * 10], dims=[*SAMPLE, UNIT])
    groups = hte.m_learner(draws, study, seed=1, largest_k=2)
    np.testing.assert_array_equal(groups.profile.assign(whole), groups.labels)


def test_a_query_and_companions_say_what_to_call(frame):
    with pytest.raises(DataError, match=r"got polars\.LazyFrame\. Call \.collect\(\) first"):
        hte.Study.from_frame(frame.lazy(), **ROLES)
    with pytest.raises(DataError, match=r"got polars\.DataFrame; convert it with \.to_pandas\(\)"):
        hte.balance(frame, treatment="ok", covariates=["age"])
    table = hte.balance(
        frame.to_pandas().assign(ok=lambda f: f["ok"].astype(int)),
        treatment="ok",
        covariates=["age"],
    )
    assert isinstance(table, pd.DataFrame)
