"""Effects carried over to another population, with the part of it that nobody stands for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars
import pytest
import xarray as xr

import bayes_hte as hte
from bayes_hte.companions.population_overlap import NOBODY, population_overlap
from bayes_hte.effects.averages import average
from bayes_hte.errors import DataError, SpecError
from bayes_hte.study.encoding import Encoding


@pytest.fixture(scope="module")
def fit(fitted):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.uniform(40, 60, 200), "site": rng.choice(["a", "b"], 200)})
    frame["t"] = np.arange(200) % 2
    frame["y"] = frame["t"] * (frame["age"] - 50) / 5 + 0.3 * rng.normal(size=200)
    study = hte.Study.from_frame(frame, outcome="y", treatment="t", covariates=["age", "site"])
    return fitted(
        study, seed=2, draws=100, tune=60, chains=2, cores=1, progress=False, stack_with=()
    )


def people(ages) -> pd.DataFrame:
    return pd.DataFrame({"age": np.asarray(ages, float), "site": ["a", "b"] * (len(ages) // 2)})


def test_the_average_is_that_of_the_population(fit):
    found = hte.transport(fit, people(np.linspace(54, 60, 100)))
    assert found.effect.dims == ("chain", "draw")
    assert float(found.effect.mean()) == pytest.approx(1.4, abs=0.35)
    assert found.check.passed
    assert found.effect.attrs["population"] == "PATE"


def test_weights_move_the_average(fit):
    rows = people(np.linspace(40, 60, 100)).assign(w=lambda f: (f["age"] > 55) * 3.0)
    by_name = hte.transport(fit, rows, weights="w")
    assert float(by_name.effect.mean()) == pytest.approx(1.5, abs=0.4)
    by_value = hte.transport(fit, rows, weights=rows["w"].to_numpy() / 7)
    np.testing.assert_allclose(by_name.effect, by_value.effect)
    assert by_name.table["weight"].sum() == pytest.approx(1)


def test_people_in_a_table_of_polars_are_the_same_people(fit):
    rows = people([45, 60])
    found = hte.transport(fit, polars.from_pandas(rows))
    xr.testing.assert_equal(found.effect, hte.transport(fit, rows).effect)


def test_who_is_extrapolated_is_said(fit):
    found = hte.transport(fit, people([*np.linspace(45, 55, 60), *np.linspace(80, 90, 40)]))
    assert found.check.passed is False
    assert "nobody like 40.0% of the population: age above 59" in found.check.text
    assert found.table["extrapolated"].sum() == 40
    assert float(found.within.mean()) == pytest.approx(0, abs=0.3)
    summary = found.summary()
    assert summary.index.tolist() == ["population", "within"]
    assert summary["share"].tolist() == pytest.approx([1.0, 0.6])


def test_a_population_that_nobody_stands_for_has_no_average_within(fit):
    found = hte.transport(fit, people([90.0, 95.0]))
    assert found.within is None
    assert found.summary()["share"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("rows", "weights", "error", "said"),
    [
        (people([]), None, DataError, "no rows"),
        (people([50, 51]).drop(columns="age"), None, DataError, "lack age"),
        (people([50, 51]).assign(site="z"), None, DataError, "never saw: z"),
        (people([50, np.nan]), None, DataError, "missing"),
        (people([50, 51]), "w", DataError, "no column 'w'"),
        (people([50, 51]), [1.0], SpecError, "one value for each of 2 units"),
        (people([50, 51]), [1.0, -1.0], SpecError, "1 of 2 are negative"),
        (people([50, 51]), [1.0, np.nan], SpecError, "1 of 2 are negative, infinite or missing"),
        (people([50, 51]), [0.0, 0.0], SpecError, "all 0"),
        (people([50, 51]), ["a", "b"], SpecError, "must be numbers"),
    ],
)
def test_populations_that_cannot_be_averaged_are_refused(fit, rows, weights, error, said):
    with pytest.raises(error, match=said):
        hte.transport(fit, rows, weights=weights)


def test_people_far_from_all_others_are_found_inside_the_ranges():
    rng = np.random.default_rng(1)
    x = rng.normal(size=300)
    study = pd.DataFrame({"x": x, "z, w": x + 0.05 * rng.normal(size=300)})
    rows = pd.DataFrame({"x": [0.0, -1.5], "z, w": [0.0, 1.5]})
    found = population_overlap(study, rows, Encoding.learn(study))
    assert found.extrapolated.tolist() == [False, True]
    assert found.reasons == ((), (NOBODY,))


def test_the_same_population_is_not_extrapolated():
    rng = np.random.default_rng(2)
    study, rows = (pd.DataFrame(rng.normal(size=(n, 12))).add_prefix("x") for n in (150, 2000))
    found = population_overlap(study, rows, Encoding.learn(study))
    assert found.extrapolated.mean() < 0.05


# --- weighted averages ----------------------------------------------------------------------------


def test_weighted_bootstrap_has_the_mean_and_variance_of_weighted_sampling():
    rng = np.random.default_rng(3)
    tau, w = rng.normal(size=400), rng.uniform(0.2, 4, size=400)
    effect = xr.DataArray(np.broadcast_to(tau, (2, 4000, 400)), dims=("chain", "draw", "unit"))
    drawn = average(effect, population="PATE", rng=rng, weights=w)
    share = w / w.sum()
    mean = share @ tau
    assert float(drawn.mean()) == pytest.approx(mean, abs=0.005)
    # By linearisation of the weighted mean.
    sd = np.sqrt((share**2) @ (tau - mean) ** 2)
    assert float(drawn.std()) == pytest.approx(sd, rel=0.05)


def test_equal_weights_change_nothing_and_only_the_population_has_weights():
    effect = xr.DataArray(
        np.random.default_rng(4).normal(size=(2, 5, 9)), dims=("chain", "draw", "unit")
    )
    plain = average(effect, population="PATE", rng=np.random.default_rng(1))
    same = average(effect, population="PATE", rng=np.random.default_rng(1), weights=np.full(9, 3.0))
    np.testing.assert_allclose(plain, same)
    weights = np.arange(9.0)
    xr.testing.assert_equal(average(effect), average(effect, weights=weights))


def test_weights_of_a_study_enter_its_population_average():
    from bayes_hte.fitting.effects_of_fit import populations

    frame = pd.DataFrame({"y": np.arange(20.0), "t": np.arange(20) % 2, "x": np.arange(20.0) ** 2})
    frame["w"] = (frame.index >= 10) * 1.0
    roles = {"outcome": "y", "treatment": "t", "covariates": ["x"]}
    tau = xr.DataArray(
        np.broadcast_to((frame.index >= 10) * 1.0, (1, 50, 20)),
        dims=("chain", "draw", "unit"),
        coords={"unit": frame.index},
    )
    weighted = populations(tau, hte.Study.from_frame(frame, **roles, weights="w"), seed=1)
    assert (weighted["PATE"] == 1).all()
    assert float(weighted["SATE"].mean()) == 0.5
