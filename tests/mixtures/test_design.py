from __future__ import annotations

import numpy as np
import pytest

from bayes_hte.errors import SpecError
from bayes_hte.mixtures import draw_frame, paper_design, population_moments


@pytest.mark.parametrize(("mu_zt", "mu_xy"), [(0, 0), (0.5, 0), (1, 0.4), (1, 1)])
def test_paper_design_has_the_published_law(mu_zt, mu_xy):
    design = paper_design(mu_zt=mu_zt, mu_xy=mu_xy)
    law = design.joint
    assert law.sum() == pytest.approx(1)
    np.testing.assert_allclose(design.probabilities, [0.5, 0.5])
    proxy_one = law[:, :, 1].sum(axis=(1, 2)) / 0.5
    np.testing.assert_allclose(proxy_one, [0.25, 0.75])
    treated = law[..., 1].sum(axis=2) / law.sum(axis=(2, 3))
    np.testing.assert_allclose(treated, [[0.75, 0.75 - mu_zt / 2], [0.25 + mu_zt / 2, 0.25]])
    np.testing.assert_allclose(design.effects, np.array([-1, 1]) * (0.75 - 0.375 * mu_xy))
    assert design.ate == pytest.approx(0)


def test_without_a_zt_edge_proxy_and_treatment_are_independent_in_a_class():
    joint = paper_design(mu_zt=0).joint.sum(axis=2)
    for table in joint:
        outer = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
        np.testing.assert_allclose(table, outer)


def test_frames_follow_the_cell_law():
    design = paper_design(mu_zt=0.5, mu_xy=0.3)
    n = 200_000
    frame = draw_frame(design, n, rng=np.random.default_rng(4))
    index = [frame[name] for name in ("z", "x", "t", "y")]
    counts = np.zeros((2, 2, 2, 2))
    np.add.at(counts, tuple(index), 1)
    law = design.cell_law
    z_scores = (counts - n * law) / np.sqrt(n * law * (1 - law))
    assert np.abs(z_scores).max() < 4


def test_same_generator_same_frame():
    frames = [draw_frame(paper_design(), 50, rng=np.random.default_rng(9)) for _ in range(2)]
    assert frames[0].equals(frames[1])


def test_population_moments_agree_with_a_direct_sum():
    design = paper_design(mu_zt=1, mu_xy=0.5)
    moments = population_moments(design)
    law = design.cell_law
    for arm in (0, 1):
        share = law[:, :, arm].sum()
        np.testing.assert_allclose(moments.M[arm], law[:, :, arm].sum(axis=-1) / share)
        np.testing.assert_allclose(moments.N[arm], law[:, :, arm, 1] / share)
        assert moments.arm_share[arm] == pytest.approx(share)


def test_parameters_out_of_range_are_named():
    for name in ("delta", "mu_zt", "mu_xy"):
        with pytest.raises(SpecError, match=f"{name} must be between 0 and 1"):
            paper_design(**{name: 1.2})
        with pytest.raises(SpecError, match=f"{name} must be between 0 and 1, got 'a'"):
            paper_design(**{name: "a"})
    for n in (-1, 2.5, "a"):
        with pytest.raises(SpecError, match="n must be a whole number, at least 0"):
            draw_frame(paper_design(), n, rng=np.random.default_rng(0))
    with pytest.raises(SpecError, match="default_rng"):
        draw_frame(paper_design(), 5, rng=1)
