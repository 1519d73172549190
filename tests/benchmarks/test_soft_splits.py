"""The prototype of soft splits against closed forms, without compiling it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from tests.benchmarks import soft_splits, soft_trees

ROWS, FIRST = 9, 4


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def frame(rng):
    """Return three numbers, a column of two values and one of three levels."""
    found = pd.DataFrame(rng.normal(size=(ROWS, 2)), columns=["a", "b"])
    levels = pd.Categorical(np.arange(ROWS) % 3)
    return found.assign(two=[3.0, 5.0, 3.0] * 3, level=levels, propensity=rng.random(ROWS))


@pytest.fixture
def plain(monkeypatch):
    """Let the functions of the kernel call each other as Python."""
    for name, function in vars(soft_trees).items():
        if hasattr(function, "py_func"):
            monkeypatch.setattr(soft_trees, name, function.py_func)


def test_columns_of_two_values_are_hard_and_others_scaled(frame):
    c = soft_splits.columns(frame)
    assert c.hard.tolist() == [False, False, True, True, True, True, False]
    assert c.variable.tolist() == [0, 1, 2, 3, 3, 3, 4]
    assert set(c.x[2]) == {0.0, 1.0}
    assert np.quantile(c.x[0], [0.05, 0.95]) == pytest.approx([0, 1])


@pytest.mark.usefixtures("plain")
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@pytest.mark.parametrize("width", [1e-6, 0.05, 1.0, 50.0])
def test_gate_is_logistic(width):
    x = np.linspace(-3, 3, 101)
    work, bits = np.empty(x.size), np.empty(x.size, np.int64)
    soft_trees._gate(x, 0.2, width, work, bits)
    # Beyond 36 it is cut off, where both are within 1e-15 of 0 or 1.
    assert work == pytest.approx(special.expit((x - 0.2) / width), abs=1e-8)


def forest(frame, rng, kind):
    """Return a forest of one tree with three leaves, and an outcome with its precision."""
    c = soft_splits.columns(frame)
    how = {"scale": 1.3, "apart": 0.6, "trees": 1, "width": 0.2, "rng": rng, "first": FIRST}
    f = soft_splits.plant(c, np.arange(ROWS), **how)
    f.kind[0] = kind
    f.feature[0, :5] = [0, 2, *3 * [soft_trees.LEAF]]
    f.cut[0, :2] = 0.4, 0.5
    f.left[0, :2] = 1, 3
    return f, rng.normal(size=ROWS), rng.uniform(0.5, 2.0, ROWS)


def work(residual, precision):
    sizes = [soft_trees.LEAVES] * 3
    return soft_trees.Work(
        residual * precision,
        np.empty(ROWS),
        np.empty(ROWS, np.int64),
        np.empty((soft_trees.SLOTS, ROWS)),
        np.zeros(soft_trees.SLOTS, bool),
        *(np.empty(n, np.int64) for n in sizes),
        np.empty((soft_trees.LEAVES, soft_trees.LEAVES)),
        np.empty(soft_trees.LEAVES),
    )


def log_ratio(weights, residual, precision, kind):
    """Log density of the residual over that without a tree, from its covariance."""
    own = np.arange(ROWS) < FIRST
    shared = 1.3**2 * weights.T @ weights
    apart = 0.6**2 * weights.T @ weights
    one, two = np.outer(own, own), np.outer(~own, ~own)
    added = [shared, apart * (one + two), apart * one, apart * two][kind]
    noise = np.diag(1 / precision)
    law = stats.multivariate_normal
    return law(cov=noise + added).logpdf(residual) - law(cov=noise).logpdf(residual)


@pytest.mark.usefixtures("plain")
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@pytest.mark.parametrize("kind", range(4))
def test_evidence_is_the_normal_density_with_leaves_integrated_out(frame, rng, kind):
    f, residual, precision = forest(frame, rng, kind)
    w = work(residual, precision)
    soft_trees._spread(f, 0, 0, 0.2, w)
    k, splits = soft_trees._list(f.feature[0], w.leaves, w.inner)
    assert (k, splits) == (3, 2)
    right = special.expit((f.x[0] - 0.4) / 0.2)
    two = f.x[2] > 0.5
    weights = np.array([right, (1 - right) * ~two, (1 - right) * two])
    assert w.new[2:5] == pytest.approx(weights, abs=1e-8)
    found = soft_trees._evidence(f, 0, k, precision, w)
    assert found == pytest.approx(log_ratio(weights, residual, precision, kind), abs=1e-6)
    # Broken input is noticed: another outcome has another density.
    assert found != pytest.approx(log_ratio(weights, residual + 1, precision, kind), abs=0.01)


def test_prior_has_the_share_of_roots_that_it_declares(frame, rng):
    c = soft_splits.columns(frame)
    f = soft_splits.plant(c, np.arange(ROWS), scale=1.0, trees=400, width=0.1, rng=rng, reserved=6)
    soft_splits.prior_draw(f, rng)
    leaves = (f.feature == soft_trees.LEAF).sum(axis=1)
    # One leaf: 1 - alpha = .05. Two: .95 (1 - .95 / 4)^2 = .55. Four standard errors.
    assert abs((leaves == 1).mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 400)
    assert abs((leaves == 2).mean() - 0.95 * (1 - 0.95 / 4) ** 2) < 4 * np.sqrt(0.25 / 400)
    reserved = (f.feature == 6).sum() / (f.feature >= 0).sum()
    assert abs(reserved - soft_splits.RESERVE) < 4 * np.sqrt(0.19 / (leaves.sum() - 400))
    assert f.width.mean() == pytest.approx(0.1, abs=4 * 0.1 / 20)
