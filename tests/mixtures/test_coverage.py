"""How often intervals of both posteriors hold the truth, on the design of the paper.

With an interval that held the truth with probability .95, counts as low as these bounds happen in
one run of a thousand; halving the width of the intervals is caught.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from bayes_hte.mixtures import MixtureDesign, draw_frame, paper_design
from tests.benchmarks import mixtures as benchmark

pytestmark = pytest.mark.slow
DESIGN = paper_design(0.5, 0.5)
LEVEL = 0.95
# A third of the draws of the benchmark: its bounds vary by an eighth of a posterior sd, no more.
SHORT = {"draws": 300, "tune": 400, "chains": 2, "cores": 1}


def covered(estimates, *, width=1.0):
    """Count intervals of class effects that hold the truth, each made `width` times as wide."""
    count = 0
    for found in estimates:
        half = width * (found.upper - found.lower) / 2
        middle = (found.upper + found.lower) / 2
        count += int((abs(DESIGN.effects - middle) <= half).sum())
    return count


def estimates(method, repeats, n):
    frames = [draw_frame(DESIGN, n, rng=np.random.default_rng([7, i])) for i in range(repeats)]
    return [method(frame, i) for i, frame in enumerate(frames)]


@pytest.mark.parametrize(
    ("method", "repeats"),
    [(benchmark.moments, 60), (lambda f, s: benchmark.posterior(f, s, level=3), 15)],
    ids=["moments", "likelihood"],
)
def test_intervals_of_class_effects_hold_the_truth(method, repeats, monkeypatch):
    monkeypatch.setattr(benchmark, "SAMPLER", SHORT)
    found = estimates(method, repeats, 4000)
    # Both effects of a data set come from the same draws, so they are not independent trials: the
    # bounds are those of half as many, doubled.
    low, high = 2 * binom(repeats, LEVEL).ppf(0.001), 2 * repeats
    assert low <= covered(found) <= high
    assert covered(found, width=0.35) < low
    error = np.mean([found.effects - DESIGN.effects for found in found], axis=0)
    np.testing.assert_allclose(error, 0, atol=0.06)


def test_an_undeclared_x_y_edge_makes_the_posteriors_disagree(monkeypatch):
    """A strong X-Y edge that is not declared, and not symmetric."""
    monkeypatch.setattr(benchmark, "SAMPLER", SHORT)
    mean = np.array([[[0.6, 0.3], [0.9, 0.3]], [[0.2, 0.6], [0.2, 0.9]]])
    design = MixtureDesign(DESIGN.joint, mean)
    frame = draw_frame(design, 5000, rng=np.random.default_rng(5))
    fit = benchmark.posterior_fit(frame, 3, level=3)
    assert fit.agreement.answer == "disagree"
    assert any("X-Y edge" in reason for reason in fit.agreement.reasons)
