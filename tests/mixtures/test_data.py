from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bayes_hte.errors import DataError, SpecError
from bayes_hte.mixtures import (
    QuantileBins,
    Ranks,
    Splines,
    draw_frame,
    empirical_moments,
    mixture_arrays,
    mixture_data,
    paper_design,
    solve_mixture,
)
from bayes_hte.mixtures.moments.data import feature_sums
from bayes_hte.study.study import Study


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    table = draw_frame(paper_design(mu_zt=0.5), 30_000, rng=rng)
    shift = 1.6 * table["u"]
    return table.assign(
        a=shift + rng.normal(size=len(table)),
        b=shift + rng.normal(size=len(table)),
        strain=np.where(table["z"] == 1, "wild", "mutant"),
    )


def study(frame: pd.DataFrame) -> Study:
    return Study.from_frame(
        frame, outcome="y", treatment="t", covariates=["z", "x", "a", "b", "strain"]
    )


def test_moments_are_the_plain_averages_by_arm(frame):
    part = frame.iloc[:400]
    moments = empirical_moments(mixture_arrays(part["z"], part["x"], part["t"], part["y"]))
    for arm in (0, 1):
        rows = part[part["t"] == arm]
        psi, phi = np.eye(2)[rows["z"]], np.eye(2)[rows["x"]]
        outer = psi[:, :, None] * phi[:, None, :]
        np.testing.assert_allclose(moments.M[arm], outer.mean(axis=0))
        weighted = outer * rows["y"].to_numpy()[:, None, None]
        np.testing.assert_allclose(moments.N[arm], weighted.mean(axis=0))
        np.testing.assert_allclose(moments.q[arm], phi.mean(axis=0))
    np.testing.assert_allclose(moments.mu, np.eye(2)[part["x"]].mean(axis=0))
    np.testing.assert_allclose(moments.arm_share, [1 - part["t"].mean(), part["t"].mean()])
    assert moments.n_arm.sum() == 400
    assert moments.bounds.y == (0, 1)


def test_dense_and_one_hot_features_give_the_same_moments(frame):
    coded = mixture_data(study(frame), z=["z"], x=["x", "strain"])
    sides = {
        side: replace(features, codes=None, matrix=features.dense())
        for side, features in (("z", coded.z), ("x", coded.x))
    }
    first, second = empirical_moments(coded), empirical_moments(replace(coded, **sides))
    for name in ("M", "N", "mu", "q", "canonical"):
        np.testing.assert_allclose(
            getattr(second, name), getattr(first, name), atol=1e-12, err_msg=name
        )


def test_categories_are_crossed_or_added_by_size(frame):
    crossed = mixture_data(study(frame), z=["z"], x=["x", "strain"])
    added = mixture_data(study(frame), z=["z"], x=["x", "strain"], max_joint_levels=3)
    assert crossed.x.names[0] == "x=0 & strain=mutant"
    assert added.x.names == ("1", "x=1", "strain=wild")


def test_strength_does_not_depend_on_the_basis(frame):
    coded = mixture_arrays(frame["z"], frame["x"], frame["t"], frame["y"])
    renamed = mixture_data(
        study(frame.assign(x=np.where(frame["x"] == 1, "b", "a"))), z=["strain"], x=["x"]
    )
    for arm in (0, 1):
        assert solve_mixture(empirical_moments(coded)).strength[arm] == pytest.approx(
            solve_mixture(empirical_moments(renamed)).strength[arm]
        )
    bins = mixture_data(study(frame), z=["a"], x=["b"], continuous=QuantileBins(6))
    splines = mixture_data(study(frame), z=["a"], x=["b"], continuous=Splines(n_knots=4))
    first, second = (solve_mixture(empirical_moments(d), k=2).strength for d in (bins, splines))
    np.testing.assert_allclose(first, second, rtol=0.15)


@pytest.mark.parametrize("continuous", [QuantileBins(5), Ranks(3), Splines(n_knots=3)])
def test_continuous_proxies_recover_the_classes(frame, continuous):
    data = mixture_data(study(frame), z=["a"], x=["b"], continuous=continuous)
    solution = solve_mixture(empirical_moments(data), k=2, ate_rank=2)
    np.testing.assert_allclose(solution.effects, [-0.75, 0.75], atol=0.06)
    np.testing.assert_allclose(solution.probabilities, [0.5, 0.5], atol=0.05)
    assert solution.ate == pytest.approx(0, abs=0.05)


def test_several_mixed_proxies_are_stronger_than_one(frame):
    one = mixture_data(study(frame), z=["z"], x=["x"])
    two = mixture_data(study(frame), z=["strain", "a"], x=["x", "b"], continuous=Ranks(2))
    weak, strong = (solve_mixture(empirical_moments(d), k=2).strength.min() for d in (one, two))
    assert strong > 1.3 * weak


def test_weights_count_as_copies_of_rows(frame):
    part = frame.iloc[:50]
    copies = np.arange(50) % 3 + 1
    many = part.loc[part.index.repeat(copies)]
    for z, x in ((["z"], ["x"]), (["a"], ["b"])):
        data = mixture_data(study(part), z=z, x=x, continuous=Splines(n_knots=2))
        psi, phi = data.z.dense(), data.x.dense()
        mass, outcome = feature_sums(data, copies.astype(float))
        for arm in (0, 1):
            rows = np.repeat(np.arange(50), copies)[(many["t"] == arm).to_numpy()]
            np.testing.assert_allclose(mass[arm], psi[rows].T @ phi[rows])
            y = data.outcome[rows, None]
            np.testing.assert_allclose(outcome[arm], psi[rows].T @ (phi[rows] * y))


def test_a_million_rows_take_less_than_a_second():
    rng = np.random.default_rng(0)
    z, x, t, y = rng.integers(0, 2, size=(4, 1_000_000))
    start = time.perf_counter()
    moments = empirical_moments(mixture_arrays(z, x, t, y))
    assert time.perf_counter() - start < 1
    assert moments.M.sum() == pytest.approx(2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arm": [0, 1, 2, 0]}, "compare them in pairs"),
        ({"arm": [0, 1, np.nan, 0]}, "vector of 0 and 1"),
        ({"arm": [1, 1, 1, 1]}, "one arm has no rows"),
        ({"outcome": [0, 1, np.nan, 0]}, "1 missing or infinite"),
        ({"outcome": [0, 1, 1]}, "outcome must hold 4"),
        ({"outcome": ["a", 1, 1, 0]}, "outcome must hold numbers"),
        ({"z": [0, 1, 0.5, 1]}, "z must hold 4 level codes"),
        ({"z": [0, 1, -1, 1]}, "z must hold 4 level codes"),
        ({"x": ["a", "b", "a", "b"]}, "x must hold 4 level codes"),
        ({"x": [0, 1, 0]}, "x must hold 4 level codes"),
        ({"x": [0, 1, np.nan, 1]}, "x must hold 4 level codes"),
    ],
)
def test_bad_arrays_are_named(change, message):
    arrays = {"z": [0, 1, 0, 1], "x": [0, 1, 1, 0], "arm": [0, 1, 0, 1], "outcome": [0, 1, 1, 0]}
    with pytest.raises(DataError, match=message):
        mixture_arrays(**{**arrays, **change})


def test_proxies_play_one_part_and_belong_to_the_study(frame):
    with pytest.raises(SpecError, match="both sides"):
        mixture_data(study(frame), z=["z", "a"], x=["a"])
    with pytest.raises(SpecError, match="u is not"):
        mixture_data(study(frame), z=["u"], x=["x"])
