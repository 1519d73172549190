"""Bends of an outcome in its mediator: splines without what is linear."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bayes_hte.errors import DataError
from bayes_hte.surfaces.bends import BENDS, Bends, knots_of

N = 400


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    expected = rng.normal(size=N)
    return 20 + 3 * (expected + rng.normal(size=N)), 20 + 3 * expected


@pytest.fixture(scope="module")
def bends(rows) -> Bends:
    return Bends.learn(*rows)


def test_they_are_uncorrelated_with_the_deviation_and_one_another(rows, bends):
    mediator, expected = rows
    values = bends.at(mediator, expected)
    assert values.shape == (N, BENDS)
    np.testing.assert_allclose(np.cov(values, rowvar=False), np.eye(BENDS), atol=1e-9)
    np.testing.assert_allclose((mediator - expected) @ (values - values.mean(axis=0)), 0, atol=1e-6)


def test_their_mean_around_each_expectation_is_nothing(rows, bends):
    """So the height of the outcome stays with the functions of the covariates."""
    draws = np.quantile(rows[0] - rows[1], (np.arange(N) + 0.5) / N)
    for expected in np.quantile(rows[1], (0.1, 0.5, 0.9)):
        values = bends.at(expected + draws, np.full(N, expected))
        assert np.abs(values.mean(axis=0)).max() < 0.03


def test_they_are_straight_beyond_the_outermost_knots(bends):
    low, high = bends.knots[[0, -1]]
    for ends in (low - np.arange(4.0), high + np.arange(4.0)):
        np.testing.assert_allclose(np.diff(bends.nonlinear(ends), n=2, axis=0), 0, atol=1e-9)
    inside = np.linspace(low, high, 9)
    assert np.abs(np.diff(bends.nonlinear(inside), n=2, axis=0)).max() > 0.01


def test_with_a_line_they_follow_every_function_that_is_cubic_between_the_knots(rows, bends):
    """A natural spline is one; a step is not."""
    m = np.sort(rows[0])
    columns = np.column_stack([np.ones(N), m, bends.at(m, np.full(N, m.mean()))])

    def left_over(y: np.ndarray) -> float:
        fitted = columns @ np.linalg.lstsq(columns, y, rcond=None)[0]
        return float(np.std(y - fitted) / np.std(y))

    assert left_over(bends.nonlinear(m)[:, 1] + 3 * m) < 1e-9
    assert left_over((m - 20) ** 2) < 0.15
    assert left_over(np.clip(m, 20, None)) < 0.05
    assert left_over((m > 20) * 1.0) > 0.3


@pytest.mark.parametrize(
    ("values", "knots"), [([1, 2, 3], 3), ([1, 2, 3, 4], 4), ([0, 2, 5, 6, 9], 5)]
)
def test_few_values_have_knots_at_themselves(values, knots):
    found = knots_of(np.repeat(values, [50] + [3] * (len(values) - 1)))
    assert found.tolist() == values
    assert found.size == knots


def test_two_values_cannot_bend():
    with pytest.raises(DataError, match=r"2 different values.*straight line"):
        knots_of(np.array([0.0, 1.0] * 10))


def test_they_come_back_from_plain_text(rows, bends):
    again = Bends.from_state(json.loads(json.dumps(bends.to_state())))
    np.testing.assert_array_equal(again.at(*rows), bends.at(*rows))
