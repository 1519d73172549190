"""A mixture is checked before anything is sampled: names, labels, kinds and numbers."""

from __future__ import annotations

import decimal

import numpy as np
import pandas as pd
import pytest

from bayes_hte.errors import BayesHTEError, DataError
from bayes_hte.mixtures import QuantileBins, fit_mixture, mixture_data
from bayes_hte.mixtures.likelihood.fitting import judge_mixture
from bayes_hte.mixtures.likelihood.problem import mixture_problem
from bayes_hte.study.study import Study
from tests.mixtures.fake_mixture import SIZE, fake_fit, fake_problem, fake_sample, mixture_frame

COLUMNS = {"outcome": "y", "treatment": "t", "x_proxies": ["x"], "z_proxies": ["z"], "k": 2}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rows = mixture_frame(300)
    noise = np.random.default_rng(3).normal(size=len(rows))
    return rows.assign(score=(rows["x"] + noise).round(3))


@pytest.mark.parametrize(
    ("names", "got"), [({"z": 0, "x": 1}, "0 is of type int"), ({"x": ("x", "a")}, "type tuple")]
)
def test_columns_that_are_not_called_by_text_are_refused_in_one_sentence(frame, names, got):
    renamed = frame.rename(columns=names)
    z, x = names.get("z", "z"), names.get("x", "x")
    roles = {"outcome": "y", "treatment": "t", "z_proxies": [z], "x_proxies": [x]}
    with pytest.raises(DataError, match=f"proxy column .*{got}.* must be text"):
        mixture_problem(renamed, **roles, k=2)
    study = Study.from_frame(frame, outcome="y", treatment="t", covariates=["z", "x"])
    with pytest.raises(DataError, match=f"proxy column .*{got}.* must be text"):
        mixture_data(study, z=[z], x=[x])


@pytest.mark.parametrize(
    "names",
    [
        {"y": "unit", "t": "class", "x": "chain", "z": "draw"},
        {"y": "pass/fail", "t": "x_level", "x": "z=0", "z": "outcome"},
        {"y": "arm", "t": "probabilities", "x": "x & z", "z": "effects"},
    ],
)
def test_columns_may_have_any_text_for_a_name(frame, names):
    roles = {"outcome": names["y"], "treatment": names["t"]}
    proxies = {"x_proxies": [names["x"]], "z_proxies": [names["z"]]}
    problem = mixture_problem(frame.rename(columns=names), **roles, **proxies, k=2)
    fit = judge_mixture(problem, fake_sample(problem, seed=3, size=SIZE), seed=3)
    plain = fake_fit(frame)
    np.testing.assert_array_equal(fit.membership(), plain.membership())
    assert fit.summary().equals(plain.summary())


@pytest.mark.parametrize(
    ("index", "first"),
    [
        (pd.Index([f"p{i}" for i in range(300)], name="patient_id"), "p0"),
        (pd.Index(range(300), name="x"), 0),
        (pd.MultiIndex.from_product([range(3), range(100)], names=["site", "row"]), "0, 0"),
        (pd.Index(range(300), dtype="Int64"), 0),
    ],
    ids=["named", "like a column", "several levels", "nullable"],
)
def test_units_keep_their_labels_whatever_the_index(frame, index, first):
    fit = fake_fit(frame.set_axis(index, axis=0))
    for table in (fit.membership(), fit.soft_effect(given="proxies")):
        assert table.get_index("unit")[0] == first
        assert table.to_series().index.names[0] == "unit"
    np.testing.assert_array_equal(fit.membership(), fake_fit(frame).membership())


@pytest.mark.parametrize("dtype", ["Int64", "int8", "object", "Sparse[int64]", "int64[pyarrow]"])
def test_a_proxy_of_whole_numbers_is_the_same_whatever_its_type(frame, dtype):
    same, other = fake_problem(frame), fake_problem(frame.astype({"z": dtype}))
    assert other.data.z.names == same.data.z.names
    np.testing.assert_array_equal(other.data.z.codes, same.data.z.codes)


@pytest.mark.parametrize("dtype", ["bool", "boolean", "bool[pyarrow]", "object"])
def test_a_proxy_of_booleans_is_the_same_whatever_its_type(frame, dtype):
    other = fake_problem(frame.assign(z=(frame["z"] == 1).astype(dtype)))
    assert other.data.z.names == ("z=False", "z=True")
    np.testing.assert_array_equal(other.data.z.codes, frame["z"])


@pytest.mark.parametrize(
    "convert",
    [
        lambda column: column.astype(object),
        lambda column: column.astype("Float64"),
        lambda column: column.astype("float64[pyarrow]"),
        lambda column: column.map(lambda value: decimal.Decimal(str(value))),
    ],
    ids=["object", "nullable", "arrow", "decimal"],
)
def test_a_continuous_proxy_is_cut_alike_whatever_its_type(frame, convert):
    parts = [
        mixture_problem(rows, **(COLUMNS | {"x_proxies": ["score"]}), continuous=QuantileBins(3))
        for rows in (frame, frame.assign(score=convert(frame["score"])))
    ]
    same, other = (part.data.x for part in parts)
    assert len(same.names) == 3
    assert other.names == same.names
    np.testing.assert_array_equal(other.codes, same.codes)


def test_levels_that_cannot_be_compared_are_ordered_by_their_text(frame):
    mixed = pd.Categorical([1 if value else "b" for value in frame["z"]])
    assert fake_problem(frame.assign(z=mixed)).data.z.names == ("z=1", "z=b")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed must be a whole number, 0 or more, got -1"),
        ({"seed": 1.0}, "seed must be a whole number"),
        ({"draws": 0}, "draws must be a whole number, 1 or more, got 0"),
        ({"draws": 2.5}, "draws must be a whole number"),
        ({"chains": 0}, "chains must be a whole number, 1 or more, got 0"),
        ({"tune": -1}, "tune must be a whole number, 0 or more"),
        ({"k": 2.0}, "k must be a whole number, at least 2, got 2.0"),
        ({"level": 4}, "level must be 2 or 3; got 4"),
        ({"edges": None}, "edges must be a list of names"),
        ({"x_proxies": "x"}, r"write \['x'\]"),
        ({"class_covariates": "score"}, r"write \['score'\]"),
        ({"class_covariates": ["x"]}, "x is a proxy of the class"),
        ({"priors": {"treatment_sd": 1.0}}, "priors must be MixturePriors"),
        ({"continuous": "bins"}, "continuous must be QuantileBins, Ranks or Splines"),
        ({"max_joint_levels": 0.5}, "max_joint_levels must be a whole number"),
    ],
)
def test_wrong_arguments_are_refused_before_sampling(frame, options, message):
    with pytest.raises(BayesHTEError, match=message):
        fit_mixture(frame, **(COLUMNS | {"seed": 1} | options))
