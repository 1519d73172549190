from __future__ import annotations

import numpy as np
import pytest

from bayes_hte.mixtures import MixtureData, MixtureDesign, draw_frame, mixture_arrays, paper_design
from bayes_hte.mixtures.moments.data import empirical_moments
from bayes_hte.mixtures.moments.diagnostics import (
    WaldTest,
    classes_carried,
    commutator_test,
    label_gap,
    notes,
    rank_tests,
    wald_test,
)
from bayes_hte.mixtures.moments.uncertainty import dirichlet_moments


def sample(design: MixtureDesign, n: int, seed: int) -> MixtureData:
    frame = draw_frame(design, n, rng=np.random.default_rng(seed))
    return mixture_arrays(frame["z"], frame["x"], frame["t"], frame["y"])


def commutators(design: MixtureDesign, n: int, k: int, repeats: int) -> list[WaldTest]:
    found = []
    for seed in range(repeats):
        data = sample(design, n, seed)
        draws = dirichlet_moments(data, 300, rng=np.random.default_rng(seed))
        found.append(commutator_test(empirical_moments(data), draws, k))
    return found


def carried(design: MixtureDesign, n: int, repeats: int) -> np.ndarray:
    found = []
    for seed in range(repeats):
        data = sample(design, n, seed)
        draws = dirichlet_moments(data, 300, rng=np.random.default_rng(seed))
        found.append(classes_carried(rank_tests(empirical_moments(data), draws)))
    return np.array(found)


def test_wald_test_has_its_level_and_sees_a_shift():
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(4, 4))
    rejected = {0.0: 0, 1.5: 0}
    for shift in rejected:
        for _ in range(400):
            estimate = mix @ (rng.normal(size=4) + shift)
            draws = rng.normal(size=(60, 4)) @ mix.T
            rejected[shift] += wald_test(estimate, draws).p_value < 0.05
    assert 0.02 < rejected[0.0] / 400 < 0.09
    assert rejected[1.5] / 400 > 0.5


def test_wald_test_leaves_out_directions_that_cannot_vary():
    rng = np.random.default_rng(1)
    draws = np.column_stack([rng.normal(size=(500, 2)), np.zeros(500)])
    assert wald_test(np.array([0.1, 0.2, 0.0]), draws).df == 2


def test_wald_test_says_when_it_could_not_be_run():
    rng = np.random.default_rng(1)
    assert np.isnan(wald_test(np.ones(30), rng.normal(size=(100, 30))).p_value)
    assert np.isnan(wald_test(np.zeros(0), np.zeros((100, 0))).p_value)
    assert np.isnan(wald_test(np.zeros(2), np.zeros((100, 2))).p_value)


def test_rank_tests_find_the_number_of_classes(random_design):
    for k, d in ((2, 4), (3, 4), (3, 3)):
        found = carried(random_design(k, d, d, seed=1), 30_000, 12)
        assert (found == k).mean() >= 0.8, (k, d, found)
        assert (np.abs(found - k) <= 1).all()


def test_rank_tests_see_when_proxies_carry_no_class():
    found = carried(paper_design(delta=0, mu_zt=0.5), 2_000, 25)
    assert (found == 1).mean() > 0.85


def test_rank_table_names_tables_and_noise():
    data = sample(paper_design(mu_zt=0.5), 5_000, 0)
    draws = dirichlet_moments(data, 500, rng=np.random.default_rng(0))
    table = rank_tests(empirical_moments(data), draws).set_index("table")
    assert table.index.tolist() == ["arm 0", "arm 1", "stacked"]
    assert table["df"].tolist() == [1, 1, 3]
    size = table.loc["arm 0", "noise"] * np.sqrt(data.n_arm[0])
    assert 0.1 < size < 0.6


def rejected(tests: list[WaldTest]) -> float:
    return float(np.mean([test.p_value < 0.05 for test in tests]))


@pytest.mark.parametrize(("k", "d"), [(2, 2), (2, 3), (3, 3)])
def test_commutator_statistic_has_its_distribution_under_the_graph(random_design, k, d):
    found = commutators(random_design(k, d, d, seed=7), 30_000, k, 60)
    df = k * (k - 1)
    assert {test.df for test in found} == {df}
    # mean of a chi-square; its standard error over the repeats is sqrt(2 df / 60)
    mean = np.mean([test.statistic for test in found])
    assert abs(mean - df) < 3.5 * np.sqrt(2 * df / 60)
    assert rejected(found) < 0.15


def test_commutator_test_sees_an_asymmetric_xy_edge_and_not_a_symmetric_one():
    base = paper_design(mu_zt=1)
    mean = base.mean.copy()
    mean[:, 1, 1] += [0.24, -0.24]  # X moves the outcome of the treated only
    assert rejected(commutators(MixtureDesign(base.joint, mean), 10_000, 2, 20)) > 0.7
    assert rejected(commutators(paper_design(mu_zt=1, mu_xy=0.5), 10_000, 2, 30)) < 0.2


def test_commutator_is_not_run_without_classes():
    data = sample(paper_design(), 500, 0)
    point = empirical_moments(data)
    draws = dirichlet_moments(data, 100, rng=np.random.default_rng(0))
    assert np.isnan(commutator_test(point, draws, 1).p_value)


def test_label_gap_is_the_distance_of_neighbours_in_standard_deviations():
    rng = np.random.default_rng(0)
    far = np.sort(rng.normal([0, 10, 14], 1, size=(20_000, 3)), axis=1)
    assert label_gap(far) == pytest.approx(4 / np.sqrt(2), rel=0.03)
    close = np.sort(rng.normal([0, 0.1], 1, size=(20_000, 2)), axis=1)
    assert label_gap(close) < 2
    assert np.isnan(label_gap(np.zeros((10, 1))))
    assert np.isnan(label_gap(np.full((10, 2), np.nan)))


def test_notes_say_what_is_wrong_and_nothing_otherwise():
    fine = WaldTest(1.0, 2, 0.5)
    assert notes(2, "usable", 2, fine, 10.0, 0.0) == ()
    assert "weak (caution)" in notes(2, "caution", 2, fine, 10.0, 0.0)[0]
    assert "1 of 2 classes" in notes(2, "usable", 1, fine, 10.0, 0.0)[0]
    assert "k=2 is too small" in notes(2, "usable", 3, fine, 10.0, 0.0)[0]
    (apart,) = notes(2, "usable", 2, WaldTest(9.0, 2, 0.001), 10.0, 0.0)
    assert "do not share their classes (Wald test: if they did," in apart
    assert "differ this much with probability 0.001)" in apart
    assert "labels can switch" in notes(2, "usable", 2, fine, 1.0, 0.0)[0]
    assert "unreliable" in notes(2, "usable", 2, fine, 10.0, 0.06)[0]
