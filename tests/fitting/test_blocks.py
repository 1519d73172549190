"""Where draws at units are many they are computed in blocks: the same numbers, in less memory."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_hte as hte
from bayes_hte.errors import DataError, SpecError, UnsupportedError
from bayes_hte.fitting import blocks
from bayes_hte.names import UNIT
from tests.shared_fits import SIZE


@pytest.fixture
def small_blocks(monkeypatch):
    """Everything is large, and a block has 33 units."""
    monkeypatch.setattr(blocks, "KEPT", 1)
    monkeypatch.setattr("bayes_hte.fitting.fitted.BATCH", 33)
    ranges = blocks.positions
    for module in ("fitted", "expected_mediator"):
        monkeypatch.setattr(
            f"bayes_hte.fitting.{module}.positions", lambda n, batch=33: ranges(n, min(batch, 33))
        )


@pytest.fixture(scope="module")
def three_arms(plain_study):
    frame = plain_study.frame.assign(treat=np.tile(["none", "low", "high", "high"], 20))
    roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x3"]}
    return hte.Study.from_frame(frame, **roles, reference="none")


TINY = SIZE | {"draws": 15, "tune": 10}
WHAT = {
    "cate": lambda fit: fit.cate(),
    "effects": lambda fit: fit.effects(),
    "outcomes": lambda fit: fit.first_stage().potential_outcomes(),
    "propensity": lambda fit: fit.propensity(),
    "likelihood": lambda fit: fit.log_likelihood(),
    "predictor": lambda fit: fit.observed_predictor(),
}


def assert_same(found, wanted):
    """Equal but for the precision, with the same dims, labels and attributes."""
    if isinstance(wanted, xr.DataArray):
        found, wanted = found.to_dataset(name="it"), wanted.to_dataset(name="it")
    xr.testing.assert_allclose(found, wanted.astype(np.float32), rtol=1e-4, atol=1e-5)
    for name, array in wanted.data_vars.items():
        assert found[name].dtype == np.float32
        assert found[name].dims == array.dims
        assert found[name].attrs == array.attrs


@pytest.mark.parametrize("kind", ["mediated", "second stage", "three arms", "pair"])
def test_values_in_blocks_are_those_at_once(
    kind, fitted, mediated_fit, plain_study, three_arms, request
):
    if kind == "mediated":
        fit = mediated_fit
    elif kind == "second stage":
        fit = fitted(plain_study, learner="x", **TINY)
    else:
        fit = fitted(three_arms, learner="x", **TINY)
        fit = fit.two_arms("high", "low") if kind == "pair" else fit
    at_once = {name: what(fit) for name, what in WHAT.items()}
    averages = fit.averages(by=fit.study.frame["x1"] > 0)
    request.getfixturevalue("small_blocks")
    for name, what in WHAT.items():
        assert_same(what(fit), at_once[name])
    xr.testing.assert_allclose(fit.averages(by=fit.study.frame["x1"] > 0), averages)
    # Sums in double precision; the single precision is that of the stored draws alone.
    te = at_once["effects"]["te"]
    xr.testing.assert_allclose(fit.averages()["te"], te.mean(UNIT))
    assert "log_likelihood" not in fit.posterior


def test_averages_of_groups_are_those_of_the_draws(mediated_fit):
    high = mediated_fit.study.frame["x1"] > 0
    found = mediated_fit.averages(by=high, batch=9)
    wanted = hte.gate(mediated_fit.effects()["tnie"], high)
    np.testing.assert_allclose(found["tnie"], wanted, rtol=1e-9)
    assert found["units"].to_numpy().tolist() == wanted["units"].to_numpy().tolist()
    new = mediated_fit.study.frame.head(20)
    by_level = mediated_fit.averages(new, by="x3")
    np.testing.assert_allclose(
        by_level["te"], hte.gate(mediated_fit.cate(new), new["x3"]), rtol=1e-9
    )


@pytest.mark.parametrize(
    ("by", "error", "said"),
    [
        ("absent", DataError, "unknown column"),
        (np.zeros(3), DataError, "one label for each of 80 rows"),
        (pd.Series(np.zeros(80)), DataError, "are not those of the rows"),
        (np.where(np.arange(80) == 3, np.nan, 1.0), DataError, "1 units have no label"),
        ("x1", SpecError, "cut a numeric column"),
    ],
)
def test_groups_that_do_not_fit(plain_fit, by, error, said):
    with pytest.raises(error, match=said):
        plain_fit.averages(by=by)


def test_large_fits_keep_trees_and_no_values(plain_study, plain_fit, small_blocks, tmp_path):
    fit = hte.fit(plain_study, **SIZE)
    assert not any(c.at_units for c in fit.components.values())
    for name, component in plain_fit.components.items():
        other = fit.components[name]
        xr.testing.assert_identical(other.posterior, component.posterior)
        for term, trees in component.trees.items():
            xr.testing.assert_identical(other.trees[term], trees)
    np.testing.assert_allclose(fit.cate(), plain_fit.cate(), rtol=1e-4, atol=1e-6)
    hte.save_fit(fit, tmp_path)
    loaded = hte.load_fit(tmp_path, plain_study)
    np.testing.assert_allclose(loaded.cate(), fit.cate(), rtol=1e-6)


def test_identical_chains_are_noticed_without_values(plain_study, small_blocks, monkeypatch):
    monkeypatch.setattr(
        "bayes_hte.fitting.gibbs.sampling.np.random.default_rng",
        lambda seed, made=np.random.default_rng: made(1),
    )
    with pytest.raises(hte.SamplingError, match="identical"):
        hte.fit(plain_study, **TINY)


def test_what_memory_cannot_hold_is_refused_with_the_way_out(plain_fit, small_blocks, monkeypatch):
    monkeypatch.setattr(blocks, "memory", lambda: 1000.0)
    with pytest.raises(UnsupportedError, match=r"2 x 100 x 80.*predict_effects.*averages"):
        plain_fit.cate()
    monkeypatch.setattr(blocks, "memory", lambda: None)
    assert plain_fit.cate().sizes[UNIT] == 80
    assert blocks.check_memory([(10, 10)]) is None


def test_labels_of_time_stay_times(plain_fit, small_blocks):
    days = pd.date_range("2020-01-01", periods=80)
    rows = plain_fit.study.frame.set_axis(days)
    assert plain_fit.cate(rows, batch=33)[UNIT].dtype.kind == "M"
    with pytest.raises(DataError, match="at least 1 row"):
        plain_fit.cate(batch=0)


def test_memory_of_this_machine():
    found = blocks.memory()
    assert found is None or found > 2**20
