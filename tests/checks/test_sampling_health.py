"""The health gate passes good draws and fails bad ones, and those it cannot judge."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.sampling_health import (
    MAX_RHAT_AVERAGE,
    MAX_RHAT_UNIT,
    MIN_ESS,
    PANEL,
    average_effects,
    divergences,
    individual_effects,
    panel,
    sampling_health,
)
from bayes_hte.names import SAMPLE, UNIT

SHAPE = (4, 250, 40)
STATS = {"outcome": xr.Dataset({"diverging": (SAMPLE, np.zeros(SHAPE[:2], dtype=bool))})}


def dataset(**values: np.ndarray) -> xr.Dataset:
    return xr.Dataset({name: ((*SAMPLE, UNIT), v) for name, v in values.items()})


def good(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=SHAPE)


def sticky(keep: float) -> np.ndarray:
    """Autoregressive draws with standard normal margins: they mix the slower the more is kept."""
    noise = good()
    values = noise.copy()
    for draw in range(1, SHAPE[1]):
        values[:, draw] = keep * values[:, draw - 1] + np.sqrt(1 - keep**2) * noise[:, draw]
    return values


def test_good_draws_pass_every_gate():
    checks = sampling_health(dataset(te=good(1), tnie=good(2)), STATS)
    assert [check.passed for check in checks] == [True, True, True]
    assert [check.state for check in checks] == ["pass"] * 3
    assert all(check.name.startswith("sampling health: ") for check in checks)
    average, individual, _ = checks
    assert list(average.table.index) == list(individual.table.index) == ["te", "tnie"]
    assert (average.table["r_hat"] <= MAX_RHAT_AVERAGE).all()
    assert (average.table[["ess_bulk", "ess_tail"]] >= MIN_ESS).all(axis=None)
    assert (individual.table["largest r_hat"] <= MAX_RHAT_UNIT).all()


def test_a_chain_apart_fails_the_average_gate_and_the_text_says_what_to_do():
    values = good()
    values[0] += 0.5
    average, individual, _ = sampling_health(dataset(te=values), STATS)
    assert average.passed is False
    assert average.state == "FAIL"
    assert average.table.loc["te", "r_hat"] > MAX_RHAT_AVERAGE
    assert "chains disagree" in average.text
    assert "run longer" in average.text
    # The same shift is small beside the spread of one unit: the averages are held to more.
    assert individual.passed is True


def test_one_bad_effect_among_good_ones_fails():
    values = good()
    values[0] += 0.5
    assert average_effects(dataset(te=good(), tnie=values).mean(UNIT)).passed is False
    assert average_effects(dataset(tnie=values, te=good()).mean(UNIT)).passed is False


def test_one_bad_unit_of_the_panel_fails_the_individual_gate_alone():
    values = good()
    values[:2, :, panel(SHAPE[2])[3]] += 2.0
    average, individual, _ = sampling_health(dataset(te=values), STATS)
    assert average.passed is True
    assert individual.passed is False
    assert individual.table.loc["te", "largest r_hat"] > MAX_RHAT_UNIT
    assert individual.table.loc["te", "median r_hat"] < 1.02
    assert "averages may be" in individual.text


def test_slow_mixing_fails_by_its_effective_sample_size():
    # The numbers of 1000 draws worth about 25: chains that agree can still be too short.
    average = average_effects(dataset(te=sticky(0.95)).mean(UNIT))
    assert average.passed is False
    assert average.table.loc["te", "ess_bulk"] < MIN_ESS
    assert average_effects(dataset(te=sticky(0.3)).mean(UNIT)).passed is True


@pytest.mark.parametrize(
    "values",
    [
        np.ones(SHAPE),
        np.broadcast_to(np.arange(4.0).reshape(4, 1, 1), SHAPE),
        good()[:1],
        np.where(np.arange(SHAPE[1])[:, None] == 7, np.nan, good()),
    ],
    ids=["constant", "stuck chains", "one chain", "not a number"],
)
def test_draws_that_cannot_be_judged_have_failed(values):
    data = dataset(te=values)
    assert average_effects(data.mean(UNIT, skipna=False)).passed is False
    assert individual_effects(data).passed is False


def test_an_effect_that_is_no_number_fails_though_the_panel_does_not_follow_its_unit():
    values = good()
    unseen = next(unit for unit in range(SHAPE[2]) if unit not in panel(SHAPE[2]))
    values[0, 0, unseen] = np.nan
    assert not all(check.passed for check in sampling_health(dataset(te=values), STATS))


def test_divergent_draws_are_counted_by_component():
    diverging = np.zeros(SHAPE[:2], dtype=bool)
    diverging[1, :3] = diverging[2, 7] = True
    stats = STATS | {
        "mediator": xr.Dataset({"diverging": (SAMPLE, diverging)}),
        "propensity": xr.Dataset({"leaves": (SAMPLE, np.ones(SHAPE[:2]))}),
    }
    check = divergences(stats)
    assert check.passed is False
    counts = {"outcome": 0, "mediator": 4, "propensity": 0}
    assert check.table["divergent draws"].to_dict() == counts
    assert check.text.startswith("4 divergent draws. NUTS could not explore")
    assert divergences(STATS).passed is True
    assert divergences(STATS).text == "0 divergent draws."


def test_one_divergent_draw_is_enough_to_fail():
    diverging = np.zeros(SHAPE[:2], dtype=bool)
    diverging[3, -1] = True
    assert divergences({"outcome": xr.Dataset({"diverging": (SAMPLE, diverging)})}).passed is False


@pytest.mark.parametrize("n_units", [1, 2, 19, 20, 21, 899, 100_000])
def test_the_panel_is_spread_evenly_and_always_the_same(n_units):
    chosen = panel(n_units)
    assert len(chosen) == min(n_units, PANEL)
    assert chosen[0] == 0
    assert chosen[-1] == n_units - 1
    assert len(set(chosen)) == len(chosen)
    steps = np.diff(chosen)
    assert steps.size == 0 or np.ptp(steps) <= 1
    np.testing.assert_array_equal(chosen, panel(n_units))


def test_units_with_labels_and_extra_coordinates_are_judged_alike():
    plain = dataset(te=good())
    labels = [f"p{i}" for i in range(SHAPE[2])]
    labelled = plain.assign_coords({UNIT: labels, "site": (UNIT, labels)})
    for check, other in zip(
        sampling_health(plain, STATS), sampling_health(labelled, STATS), strict=True
    ):
        assert check.text == other.text


@pytest.mark.parametrize(
    ("passed", "word"), [(True, "pass"), (False, "FAIL"), (None, "information")]
)
def test_a_check_has_three_verdicts(passed, word):
    assert CheckResult("name", passed, None, "text").state == word
