"""The calibration by simulation: ranks, and a model whose answers are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_hte.study.time_to_event import Censoring
from tests.benchmarks.sbc import (
    BINS,
    CELLS,
    INTERVALS,
    MIXTURES,
    p_values,
    rank_of,
    run,
    simulations,
    table,
)
from tests.benchmarks.sbc_models import Length, N, _in_intervals, of_one_column


def ranks(*, wrong: float, count: int = 400, draws: int = 39) -> pd.DataFrame:
    """Ranks of a normal mean whose posterior is known; `wrong` multiplies its spread."""
    rng, rows = np.random.default_rng(1), []
    for k in range(count):
        truth = rng.normal()
        y = truth + rng.normal()
        posterior = y / 2 + wrong * np.sqrt(0.5) * rng.normal(size=draws)
        rows.append(("known", k, "mean", rank_of(truth, posterior, rng), draws, 0.0))
    return pd.DataFrame(
        rows, columns=["cell", "simulation", "quantity", "rank", "draws", "seconds"]
    )


def test_ranks_under_the_right_posterior_are_uniform_and_under_a_wrong_one_are_not():
    assert table(ranks(wrong=1.0)).loc["known", "uniform"] == "yes"
    assert table(ranks(wrong=0.6)).loc["known", "uniform"] == "no"
    assert p_values(ranks(wrong=1.6))["known", "mean"] < 1e-4


def test_ties_are_broken_at_random():
    rng = np.random.default_rng(2)
    found = [rank_of(1.0, np.ones(9), rng) for _ in range(400)]
    assert set(found) == set(range(10))


def test_cells_have_names_of_their_own_and_each_bin_as_many_ranks():
    assert not set(CELLS) & set(MIXTURES)
    assert (Length().kept + 1) % BINS == 0


@pytest.mark.slow
def test_a_stopped_run_goes_on_with_the_same_simulations(tmp_path):
    short = of_one_column(CELLS["gaussian / linear"], range(2), Length(tune=5, kept=9, thin=1))
    (first, chain), (second, _) = short
    assert first.keys() == chain.keys()
    assert {of.size for of in chain.values()} == {9}
    later = of_one_column(CELLS["gaussian / linear"], range(1, 2), Length(5, 9, 1))
    ((again, _),) = later
    for name, value in second.items():
        np.testing.assert_array_equal(again[name], value, err_msg=name)
    file = tmp_path / "rows.csv"
    file.write_text("cell,simulation,quantity,rank,draws,seconds\ngaussian / linear,0,a,1,39,1\n")
    run("gaussian / linear", 1, file)
    assert len(pd.read_csv(file)) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["gaussian, three arms / forest", "piecewise_hazard / forest", INTERVALS]
)
def test_cells_of_forests_hazards_and_arms_run(name):
    ((truth, chain),) = simulations(name, range(1), Length(tune=5, kept=9, thin=1))
    assert truth.keys() == chain.keys()
    assert {of.size for of in chain.values()} == {9}
    assert all(np.isfinite(of).all() for of in chain.values())
    assert ("average effect of arm 2" in truth) == ("three arms" in name)


def test_times_in_intervals_lie_between_their_ends():
    time = np.geomspace(1e-3, 5.8, N)
    event = np.arange(N) % 5 > 0
    middle, known = _in_intervals(time, Censoring(event))
    inside = known.within
    assert inside.sum() == (event & (np.arange(N) % 4 > 0)).sum()
    assert (known.lower[inside] < time[inside]).all()
    assert (known.upper[inside] >= time[inside]).all()
    np.testing.assert_array_equal(middle[~inside], time[~inside])
    assert np.isinf(known.upper[~event]).all()
