from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from bayes_hte.errors import DataError, NotIdentifiedError, SpecError
from bayes_hte.mixtures import (
    MixtureDesign,
    Moments,
    mixture_arrays,
    paper_design,
    population_moments,
    solve_mixture,
    solve_moments,
    solve_moments_pencil,
)
from bayes_hte.mixtures.moments.data import empirical_moments
from bayes_hte.mixtures.moments.pencil import effect_moments
from bayes_hte.mixtures.moments.simulated import draw_frame
from bayes_hte.mixtures.moments.solver import solve_stack
from bayes_hte.mixtures.moments.strength import strength_grade

GOLDEN_M = [
    [[0.171875, 0.140625], [0.234375, 0.453125]],
    [[0.453125, 0.234375], [0.140625, 0.171875]],
]
GOLDEN_N = [
    [[0.126953125, 0.052734375], [0.099609375, 0.080078125]],
    [[0.080078125, 0.099609375], [0.052734375, 0.126953125]],
]
GOLDEN_MU = [0.5, 0.5]


def sample_moments(design: MixtureDesign, n: int, seed: int) -> Moments:
    frame = draw_frame(design, n, rng=np.random.default_rng(seed))
    return empirical_moments(mixture_arrays(frame["z"], frame["x"], frame["t"], frame["y"]))


def equal_effect_design() -> MixtureDesign:
    """Two classes with the same effect, .3, and baselines .1 and .6."""
    design = paper_design(mu_zt=0.5)
    mean = np.array([[0.1, 0.4], [0.6, 0.9]])
    joint = design.joint * np.array([0.7, 1.3])[:, None, None, None]
    return MixtureDesign(joint, np.repeat(mean[:, None, :], 2, axis=1))


def test_golden_tables_give_the_published_classes():
    solution = solve_moments(GOLDEN_M, GOLDEN_N, GOLDEN_MU, y_range=(0, 1))
    np.testing.assert_allclose(solution.effects, [-0.75, 0.75], atol=1e-12)
    np.testing.assert_allclose(solution.probabilities, [0.5, 0.5], atol=1e-12)
    np.testing.assert_allclose(solution.baseline, [[7 / 8, 1 / 8], [1 / 8, 7 / 8]], atol=1e-12)
    np.testing.assert_allclose(solution.phi, [[0.75, 0.25], [0.25, 0.75]], atol=1e-12)
    assert solution.ate == pytest.approx(0, abs=1e-12)
    assert solution.failed == ()
    powers = [solution.probabilities @ solution.effects**power for power in range(5)]
    np.testing.assert_allclose(powers, [1, 0, 0.5625, 0, 0.31640625], atol=1e-12)


def test_golden_tables_are_those_of_the_paper_design():
    moments = population_moments(paper_design(mu_zt=0.5))
    np.testing.assert_allclose(moments.M, GOLDEN_M, atol=1e-15)
    np.testing.assert_allclose(moments.N, GOLDEN_N, atol=1e-15)
    np.testing.assert_allclose(moments.mu, GOLDEN_MU, atol=1e-15)


@pytest.mark.parametrize("method", ["joint", "operator"])
@pytest.mark.parametrize(
    ("k", "dz", "dx"), [(2, 2, 2), (3, 3, 3), (4, 4, 4), (2, 4, 4), (2, 2, 5), (3, 6, 4), (4, 4, 9)]
)
def test_population_tables_give_back_every_class(random_design, method, k, dz, dx):
    design = random_design(k, dz, dx, seed=k + dz + dx)
    moments = population_moments(design)
    solution = solve_mixture(moments, k=k, method=method)
    order = np.argsort(design.effects)
    law = design.joint[order]
    by_arm = law.sum(axis=(1, 2))
    wanted = {
        "effects": design.effects[order],
        "probabilities": design.probabilities[order],
        "baseline": design.baseline[order],
        "phi": law.sum(axis=(1, 3)) / design.probabilities[order, None],
        "pi": (by_arm / by_arm.sum(axis=0)).T,
        "psi": np.moveaxis(law.sum(axis=2) / by_arm[:, None, :], -1, 0),
        "arm_means": design.probabilities @ design.baseline,
    }
    for name, value in wanted.items():
        np.testing.assert_allclose(getattr(solution, name), value, atol=1e-9, err_msg=name)
    assert solution.ate == pytest.approx(design.ate, abs=1e-9)
    assert solution.compressed_ate == pytest.approx(design.ate, abs=1e-9)
    assert solution.failed == ()


@pytest.mark.parametrize(("k", "dz", "dx"), [(2, 2, 2), (3, 3, 3), (2, 3, 4)])
def test_pencil_and_operator_agree_on_samples(random_design, k, dz, dx):
    design = random_design(k, dz, dx, seed=1)
    for seed in range(5):
        moments = sample_moments(design, 20_000, seed)
        pencil = solve_moments_pencil(moments.M, moments.N, moments.mu, k=k)
        operator = solve_mixture(moments, k=k, method="operator")
        assert pencil.failed == ()
        np.testing.assert_allclose(pencil.effects, operator.effects, atol=1e-8)
        np.testing.assert_allclose(pencil.probabilities, operator.probabilities, atol=1e-8)


def test_recursion_gives_the_golden_moments_and_the_closed_form_of_two_classes():
    moments = population_moments(paper_design(mu_zt=0.5))
    powers, singular = effect_moments(moments, 2)
    assert not singular
    np.testing.assert_allclose(powers, [1, 0, 0.5625, 0], atol=1e-12)
    sample = sample_moments(paper_design(mu_zt=0.5), 5_000, 3)
    _, m1, m2, m3 = effect_moments(sample, 2)[0]
    s, q = (m3 - m1 * m2) / (m2 - m1**2), (m1 * m3 - m2**2) / (m2 - m1**2)
    roots = s / 2 + np.array([-1, 1]) * np.sqrt(s**2 / 4 - q)
    solution = solve_mixture(sample, method="operator")
    np.testing.assert_allclose(solution.effects, roots, atol=1e-10)
    assert solution.probabilities[0] == pytest.approx((roots[1] - m1) / (roots[1] - roots[0]))


def test_many_classes_stay_accurate_by_the_operator(random_design):
    design = random_design(8, 8, 8, seed=2)
    solution = solve_mixture(population_moments(design))
    np.testing.assert_allclose(solution.effects, np.sort(design.effects), atol=1e-9)


def test_class_probabilities_add_up_to_one_in_compressed_samples(random_design):
    moments = sample_moments(random_design(2, 4, 5, seed=4), 3_000, 0)
    solution = solve_mixture(moments, k=2)
    assert solution.probabilities.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(solution.phi.sum(axis=1), 1, atol=1e-12)


def test_solution_does_not_depend_on_the_coordinates_of_the_features(random_design):
    moments = sample_moments(random_design(3, 3, 3, seed=5), 20_000, 1)
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 3, 3))
    other = solve_moments(
        left @ moments.M @ right,
        left @ moments.N @ right,
        moments.mu @ right,
        c=np.linalg.solve(right, np.ones(3)),
        q=moments.q @ right,
    )
    first = solve_mixture(moments)
    for name in ("effects", "probabilities", "y0", "y1", "pi", "arm_means"):
        np.testing.assert_allclose(getattr(other, name), getattr(first, name), atol=1e-9)


def test_solution_follows_shift_and_scale_of_the_outcome():
    moments = sample_moments(paper_design(mu_zt=0.5), 5_000, 2)
    first = solve_mixture(moments)
    other = solve_moments(moments.M, 1e6 * moments.M - 40 * moments.N, moments.mu)
    np.testing.assert_allclose(other.effects, -40 * first.effects[::-1], atol=1e-6)
    np.testing.assert_allclose(other.probabilities, first.probabilities[::-1], atol=1e-8)
    np.testing.assert_allclose(other.y0, 1e6 - 40 * first.y0[::-1], rtol=1e-11)


def test_joint_eigenvectors_mend_equal_effects_with_different_baselines():
    design = equal_effect_design()
    errors = {"joint": [], "operator": []}
    for seed in range(40):
        moments = sample_moments(design, 100_000, seed)
        for method, found in errors.items():
            solution = solve_mixture(moments, method=method)
            by_baseline = solution.probabilities[np.argsort(solution.y0)]
            found.append(by_baseline[0] - design.probabilities[0])
    rmse = {method: np.sqrt(np.nanmean(np.square(e))) for method, e in errors.items()}
    assert rmse["joint"] < 0.012
    assert rmse["operator"] > 10 * rmse["joint"]


def test_equal_effects_are_solved_exactly_by_joint_and_refused_by_operator():
    moments = population_moments(equal_effect_design())
    joint = solve_mixture(moments)
    np.testing.assert_allclose(joint.effects, [0.3, 0.3], atol=1e-9)
    np.testing.assert_allclose(np.sort(joint.probabilities), [0.35, 0.65], atol=1e-9)
    operator = solve_mixture(moments, method="operator")
    assert np.isnan(operator.effects).all()
    assert "same outcome means" in " ".join(operator.failed)
    assert solve_moments_pencil(moments.M, moments.N, moments.mu).failed == operator.failed


def test_identical_classes_are_merged_not_guessed():
    design = paper_design(mu_zt=0.5)
    same = MixtureDesign(design.joint, np.full_like(design.mean, 0.4))
    solution = solve_mixture(population_moments(same))
    assert np.isnan(solution.effects).all()
    assert "same outcome means" in " ".join(solution.failed)
    assert solution.ate == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("mu_xy", [0.2, 0.6, 1.0])
def test_xy_edge_spoils_the_classes_without_a_sign_and_spares_the_average(mu_xy):
    design = paper_design(mu_zt=1, mu_xy=mu_xy)
    solution = solve_mixture(population_moments(design))
    np.testing.assert_allclose(design.effects, [-0.75 + 0.375 * mu_xy, 0.75 - 0.375 * mu_xy])
    assert solution.ate == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(solution.arm_means, design.probabilities @ design.baseline)
    assert np.abs(solution.effects - design.effects).min() > 0.1
    assert solution.failed == ()


def test_xy_edge_with_an_average_effect_spares_it_too():
    base = paper_design(mu_zt=1)
    mean = np.array([[[0.2, 0.9], [0.5, 0.6]], [[0.1, 0.3], [0.7, 0.8]]])
    design = MixtureDesign(base.joint, mean)
    solution = solve_mixture(population_moments(design))
    assert abs(design.ate) > 0.2
    assert solution.ate == pytest.approx(design.ate, abs=1e-9)


def test_naive_difference_is_confounded_where_the_solver_is_not():
    mean = np.array([[0.8, 0.9], [0.2, 0.5]])
    design = MixtureDesign(paper_design(mu_zt=0.5).joint, np.repeat(mean[:, None, :], 2, axis=1))
    moments = population_moments(design)
    naive = np.diff(moments.N.sum(axis=(1, 2)))[0]
    assert design.ate == pytest.approx(0.2)
    assert naive > 0.35
    assert solve_mixture(moments).ate == pytest.approx(design.ate, abs=1e-9)


def test_too_many_classes_are_singular_on_population_tables(random_design):
    solution = solve_mixture(population_moments(random_design(2, 3, 3, seed=6)), k=3)
    assert np.isnan(solution.effects).all()
    assert "do not carry k classes" in " ".join(solution.failed)


def test_too_few_classes_bias_the_compressed_average_but_not_the_uncompressed(random_design):
    design = random_design(3, 3, 3, seed=8)
    solution = solve_mixture(population_moments(design), k=2)
    assert solution.ate == pytest.approx(design.ate, abs=1e-9)
    assert abs(solution.compressed_ate - design.ate) > 0.005
    wider = solve_mixture(population_moments(design), k=2, ate_rank=2)
    assert wider.ate == pytest.approx(solution.compressed_ate)


def test_compression_keeps_noise_out_of_the_effects(random_design):
    design = random_design(2, 4, 4, seed=9)
    truth = np.sort(design.effects)
    errors = []
    for seed in range(20):
        moments = sample_moments(design, 10_000, seed)
        errors.append(solve_mixture(moments, k=2).effects - truth)
    assert np.median(np.abs(errors)) < 0.03


def test_complex_eigenvalues_are_a_failure_not_a_real_part():
    turn = np.array([[0.5, -0.3], [0.3, 0.5]])
    tables = np.array(GOLDEN_M)
    outcomes = np.stack([tables[0] @ (0.5 * np.eye(2)), tables[1] @ turn])
    for method in ("joint", "operator"):
        solution = solve_moments(tables, outcomes, GOLDEN_MU, method=method)
        assert np.isnan(solution.effects).all()
        assert "real eigenvalues" in " ".join(solution.failed)
    pencil = solve_moments_pencil(tables, outcomes, GOLDEN_MU)
    assert np.isnan(pencil.effects).all()
    assert "real eigenvalues" in " ".join(pencil.failed)


def test_impossible_numbers_are_reported_as_computed():
    solution = solve_moments(GOLDEN_M, GOLDEN_N, [1.2, -0.2])
    assert solution.probabilities.max() > 1
    assert solution.probabilities.sum() == pytest.approx(1)
    assert "class probabilities outside [0, 1]" in solution.failed
    outside = solve_moments(GOLDEN_M, GOLDEN_N, GOLDEN_MU, y_range=(0.2, 1))
    assert outside.failed == ("class means of the outcome outside the range of the outcome",)
    np.testing.assert_allclose(outside.y0, [0.875, 0.125])


def test_weak_proxies_refuse_class_effects_and_keep_the_average():
    weak = population_moments(paper_design(delta=0.1, mu_zt=0.5))
    refused = solve_moments(weak.M, weak.N, weak.mu, n_arm=(500, 500))
    assert np.isnan(refused.effects).all()
    assert np.isnan(refused.phi).all()
    assert "too weak for 2 classes" in refused.failed[-1]
    assert refused.ate == pytest.approx(0, abs=1e-9)
    strong = solve_moments(GOLDEN_M, GOLDEN_N, GOLDEN_MU, n_arm=(500, 500))
    assert strong.failed == ()
    table = np.array(GOLDEN_M[0])
    margins = table.sum(axis=0).prod() * table.sum(axis=1).prod()
    phi = np.linalg.det(table) / np.sqrt(margins)
    np.testing.assert_allclose(strong.strength, phi / 2 * np.sqrt(500))
    assert strength_grade(strong.strength) == "caution"


def test_strength_words_follow_the_weaker_arm():
    words = [strength_grade([100, s]) for s in (9, 3, 2, 1, float("nan"))]
    assert words == ["precise", "usable", "caution", "refused", "unknown"]


def test_strength_is_half_the_z_statistic_of_the_proxies_of_an_arm():
    frame = draw_frame(paper_design(mu_zt=0.5), 4_000, rng=np.random.default_rng(5))
    data = mixture_arrays(frame["z"], frame["x"], frame["t"], frame["y"])
    strength = solve_mixture(empirical_moments(data)).strength
    for arm, value in enumerate(strength):
        rows = frame[frame["t"] == arm]
        z = rows["z"].corr(rows["x"]) * np.sqrt(len(rows))
        assert value == pytest.approx(z / 2)


def test_stack_solves_each_problem_as_alone(random_design):
    design = random_design(2, 3, 3, seed=10)
    samples = [sample_moments(design, 2_000, seed) for seed in range(4)]
    stack = solve_stack(
        *(np.stack([getattr(m, name) for m in samples]) for name in ("M", "N", "mu", "q")),
        np.ones(3),
        k=2,
    )
    for row, moments in enumerate(samples):
        alone = solve_mixture(replace(moments, n_arm=None), k=2)
        np.testing.assert_allclose(stack.effects[row], alone.effects, atol=1e-12)
        np.testing.assert_allclose(stack.psi[row], alone.psi, atol=1e-12)


def test_a_failing_problem_does_not_touch_its_neighbours():
    flat = np.full((2, 2, 2), 0.25)
    stack = solve_stack(
        np.stack([flat, np.array(GOLDEN_M)]),
        np.stack([flat / 2, np.array(GOLDEN_N)]),
        np.array([GOLDEN_MU, GOLDEN_MU]),
        np.stack([flat.sum(axis=1), np.sum(GOLDEN_M, axis=1)]),
        np.ones(2),
        k=2,
    )
    assert stack.solved.tolist() == [False, True]
    np.testing.assert_allclose(stack.effects, [[np.nan, np.nan], [-0.75, 0.75]], atol=1e-12)


def test_one_class_is_the_average_effect():
    solution = solve_moments(GOLDEN_M, GOLDEN_N, GOLDEN_MU, k=1)
    assert solution.effects[0] == pytest.approx(solution.compressed_ate)
    assert solution.probabilities[0] == pytest.approx(1)


def test_two_classes_are_solved_in_milliseconds():
    times = []
    for _ in range(20):
        start = time.perf_counter()
        solve_moments(GOLDEN_M, GOLDEN_N, GOLDEN_MU)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.005


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"M": np.ones((3, 2, 2))}, "control arm first"),
        ({"M": np.ones((2, 2))}, "control arm first"),
        ({"N": np.ones((2, 3, 2))}, "N must have shape"),
        ({"mu": [0.2, 0.3, 0.5]}, "mu must have shape"),
        ({"mu": [0.5, np.nan]}, "mu holds missing or infinite"),
        ({"M": np.full((2, 2, 2), np.nan)}, "M holds missing or infinite"),
        ({"N": np.full((2, 2, 2), np.inf)}, "N holds missing or infinite"),
        ({"mu": [0.5, 0.6]}, "mu @ c must be 1"),
        ({"c": [1.0, 0.0, 0.0]}, "c must hold 2"),
        ({"q": [[0.5, 0.4], [0.5, 0.5]]}, "q @ c must be 1"),
        ({"q": [0.5, 0.5]}, "q must have shape"),
    ],
)
def test_bad_tables_are_named(change, message):
    tables = {"M": GOLDEN_M, "N": GOLDEN_N, "mu": GOLDEN_MU, **change}
    with pytest.raises(DataError, match=message):
        solve_moments(**tables)


def test_stacked_moments_are_sent_to_the_stack_solver():
    moments = population_moments(paper_design())
    with pytest.raises(DataError, match="solve_stack"):
        solve_mixture(replace(moments, M=moments.M[None]))


def test_number_of_classes_must_be_given_and_possible(random_design):
    moments = population_moments(random_design(2, 3, 4, seed=0))
    with pytest.raises(SpecError, match="must be given when dz=3 and dx=4 differ"):
        solve_mixture(moments)
    with pytest.raises(NotIdentifiedError, match="4 classes need at least 4 features"):
        solve_mixture(moments, k=4)
    for bad in (0, 1.5, True):
        with pytest.raises(SpecError, match="whole number from 1 to 3"):
            solve_mixture(moments, k=bad)
    with pytest.raises(SpecError, match="ate_rank must be from k=2 to 3"):
        solve_mixture(moments, k=2, ate_rank=4)
    with pytest.raises(SpecError, match="'joint'"):
        solve_mixture(moments, k=2, method="joins")
