from __future__ import annotations

import numpy as np
import pytest

from bayes_hte.errors import DataError, SpecError
from bayes_hte.mixtures import MixtureData, draw_frame, mixture_arrays, paper_design
from bayes_hte.mixtures.moments.data import empirical_moments
from bayes_hte.mixtures.moments.solver import solve_stack
from bayes_hte.mixtures.moments.uncertainty import bootstrap_moments, dirichlet_moments, is_discrete


def sample(n: int, seed: int, **design: float) -> MixtureData:
    frame = draw_frame(paper_design(**design), n, rng=np.random.default_rng(seed))
    return mixture_arrays(frame["z"], frame["x"], frame["t"], frame["y"])


def test_dirichlet_draws_have_the_closed_form_mean_and_variance():
    data = sample(300, 0, mu_zt=0.5)
    draws = dirichlet_moments(data, 20_000, rng=np.random.default_rng(1))
    counts = np.zeros((2, 2, 2, 2))
    np.add.at(counts, (data.arm, data.z.codes, data.x.codes, data.outcome.astype(int)), 1)
    alpha = counts + 0.5
    arm = alpha.sum(axis=(1, 2, 3), keepdims=True)
    share = alpha.sum(axis=-1) / arm[..., 0]
    np.testing.assert_allclose(draws.M.mean(axis=0), share, atol=0.002)
    variance = share * (1 - share) / (arm[..., 0] + 1)
    np.testing.assert_allclose(draws.M.var(axis=0), variance, rtol=0.06)
    np.testing.assert_allclose(draws.N.mean(axis=0), alpha[..., 1] / arm[..., 0], atol=0.002)


def test_bootstrap_draws_centre_on_the_moments_with_the_sampling_variance():
    data = sample(400, 2, mu_zt=0.5)
    point = empirical_moments(data)
    draws = bootstrap_moments(data, 4_000, rng=np.random.default_rng(1))
    np.testing.assert_allclose(draws.M.mean(axis=0), point.M, atol=0.003)
    variance = point.M * (1 - point.M) / (data.n_arm[:, None, None] + 1)
    np.testing.assert_allclose(draws.M.var(axis=0), variance, rtol=0.12)


def test_every_draw_is_a_proper_set_of_moments():
    data = sample(200, 3)
    rng = np.random.default_rng(0)
    for draws in (dirichlet_moments(data, 50, rng=rng), bootstrap_moments(data, 50, rng=rng)):
        np.testing.assert_allclose(draws.M.sum(axis=(2, 3)), 1)
        np.testing.assert_allclose(draws.mu, np.einsum("bt,btx->bx", draws.arm_share, draws.q))
        assert (draws.N <= draws.M).all()


def test_outcomes_with_several_values_use_the_cells_of_all_of_them():
    data = sample(500, 4)
    graded = MixtureData(data.z, data.x, data.arm, data.outcome * 3 + data.z.codes, data.arms)
    assert is_discrete(graded)
    draws = dirichlet_moments(graded, 4_000, rng=np.random.default_rng(0), prior_count=1e-6)
    np.testing.assert_allclose(draws.N.mean(axis=0), empirical_moments(graded).N, atol=0.01)


def test_intervals_cover_the_truth_on_the_paper_design():
    sets, draws, prob = 250, 200, 0.9
    rng = np.random.default_rng(2026)
    design = paper_design(mu_zt=0.5)
    stacks = [dirichlet_moments(sample(10_000, i, mu_zt=0.5), draws, rng=rng) for i in range(sets)]
    solved = solve_stack(
        *(np.concatenate([getattr(s, name) for s in stacks]) for name in ("M", "N", "mu", "q")),
        np.ones(2),
        k=2,
    )
    assert solved.solved.all()
    ate = solved.arm_means[:, 1] - solved.arm_means[:, 0]
    for name, values, truth in (
        ("effects", solved.effects, design.effects),
        ("probabilities", solved.probabilities, design.probabilities),
        ("ate", ate[:, None], np.array([0.0])),
    ):
        low, high = np.quantile(
            values.reshape(sets, draws, -1), [(1 - prob) / 2, (1 + prob) / 2], axis=1
        )
        covered = ((low <= truth) & (truth <= high)).mean(axis=0)
        # 3.4 binomial standard errors of a share of .9 in 250 data sets
        assert (np.abs(covered - prob) < 0.065).all(), (name, covered)


@pytest.mark.parametrize(
    ("mu_zt", "n", "reference"),
    # RMSE of R reported for the estimator at delta .5, each from fewer samples than here
    [
        (0, 1_000, 0.132),
        (0, 10_000, 0.039),
        (0.5, 1_000, 0.115),
        (0.5, 10_000, 0.032),
        (1, 1_000, 0.097),
        (1, 10_000, 0.028),
    ],
)
def test_point_estimates_have_the_reference_accuracy(mu_zt, n, reference):
    design = paper_design(mu_zt=mu_zt)
    law = np.moveaxis(design.cell_law, 2, 0)
    counts = np.random.default_rng(n).multinomial(n, law.ravel(), size=2_000)
    cells = counts.reshape(-1, 2, 2, 2, 2).astype(float)
    mass, outcome = cells.sum(axis=-1), cells[..., 1]
    arm = mass.sum(axis=(2, 3))
    solved = solve_stack(
        mass / arm[..., None, None],
        outcome / arm[..., None, None],
        mass.sum(axis=(1, 2)) / n,
        mass.sum(axis=2) / arm[..., None],
        np.ones(2),
        k=2,
    )
    # A ratio of moments has no variance at n=1e3: one sample in thousands is off by 10 and rules
    # the plain RMSE, so the largest hundredth is left out.
    error = np.sort(np.abs(solved.effects - design.effects).ravel())
    rmse = np.sqrt(np.mean(error[: int(0.99 * error.size)] ** 2))
    assert rmse == pytest.approx(reference, rel=0.15)


def test_bad_requests_are_named():
    data = sample(100, 5)
    rng = np.random.default_rng(0)
    with pytest.raises(SpecError, match="draws must be a whole number, at least 1"):
        dirichlet_moments(data, 0, rng=rng)
    with pytest.raises(SpecError, match="draws must be a whole number, at least 1"):
        bootstrap_moments(data, 0, rng=rng)
    with pytest.raises(SpecError, match="draws must be a whole number"):
        bootstrap_moments(data, 2.5, rng=rng)
    with pytest.raises(SpecError, match="prior_count must be positive"):
        dirichlet_moments(data, 10, rng=rng, prior_count=0)
    continuous = mixture_arrays(data.z.codes, data.x.codes, data.arm, rng.normal(size=100))
    with pytest.raises(DataError, match="use bootstrap_moments"):
        dirichlet_moments(continuous, 10, rng=rng)
