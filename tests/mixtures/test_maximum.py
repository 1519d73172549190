"""Maximum likelihood of the law: it recovers classes, and its bias is the one that theory gives."""

from __future__ import annotations

import numpy as np
import pytest

from bayes_hte.mixtures import draw_frame, paper_design, population_moments, solve_mixture
from bayes_hte.mixtures.likelihood.law import class_means, collapse
from bayes_hte.mixtures.likelihood.maximum import maximum_likelihood
from tests.mixtures.fake_mixture import DESIGN
from tests.mixtures.laws import arrays, expected_rows


@pytest.mark.parametrize("mu_xy", [0.3, 0.9])
def test_the_symmetric_x_y_edge_of_the_paper_moves_both_answers_alike(mu_xy):
    design = paper_design(0.5, 1.0, mu_xy)
    data, patterns = expected_rows(design)
    rng = np.random.default_rng(0)
    law, _ = maximum_likelihood(data, patterns, 2, "bernoulli", rng=rng)
    means = class_means(law, "bernoulli")
    likelihood = np.sort(means[:, 1] - means[:, 0])
    moments = solve_mixture(population_moments(design), k=2).effects
    np.testing.assert_allclose(likelihood, moments, atol=2e-3)
    assert abs(moments[1] - design.effects[1]) > 0.1  # so no comparison can warn


@pytest.mark.parametrize(("mu_zt", "level_2"), [(0.0, 0.75), (0.5, 0.786), (1.0, 0.679)])
def test_the_level_2_likelihood_is_biased_by_a_z_t_edge_and_level_3_is_not(mu_zt, level_2):
    design = paper_design(0.5, mu_zt)
    data, patterns = expected_rows(design)
    for level, wanted in ((2, level_2), (3, 0.75)):
        rng = np.random.default_rng(0)
        law, _ = maximum_likelihood(data, patterns, 2, "bernoulli", rng=rng, level=level)
        means = class_means(law, "bernoulli")
        effects = np.sort(means[:, 1] - means[:, 0])
        np.testing.assert_allclose(effects, [-wanted, wanted], atol=2e-3)


def test_gaussian_likelihood_recovers_the_classes():
    rng = np.random.default_rng(14)
    frame = draw_frame(DESIGN, 8000, rng=rng)
    noise = rng.normal(size=len(frame))
    score = 10 + 3 * np.where(frame["u"] == 1, 1.5, -0.5) * frame["t"] + 1.5 * noise
    data = arrays(frame, score)
    law, _ = maximum_likelihood(data, collapse(data), 2, "gaussian", rng=rng)
    means = class_means(law, "gaussian")
    np.testing.assert_allclose(np.sort(means[:, 1] - means[:, 0]), [-1.5, 4.5], atol=0.12)
    assert float(law.noise["sigma"]) == pytest.approx(1.5, rel=0.025)


def test_poisson_likelihood_recovers_the_classes():
    rng = np.random.default_rng(16)
    frame = draw_frame(DESIGN, 20_000, rng=rng)
    mean = np.where(frame["u"] == 1, np.where(frame["t"] == 1, 6, 2), np.where(frame["t"], 3, 4))
    data = arrays(frame, rng.poisson(mean))
    patterns = collapse(data)
    runs = [maximum_likelihood(data, patterns, 2, "poisson", rng=rng) for _ in range(5)]
    law = max(runs, key=lambda run: run[1])[0]
    means = class_means(law, "poisson")
    np.testing.assert_allclose(np.sort(means[:, 1] - means[:, 0]), [-1, 4], atol=0.15)
