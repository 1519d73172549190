from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from bayes_hte.errors import DataError, NotIdentifiedError, SpecError
from bayes_hte.mixtures import (
    MixtureData,
    MixtureDesign,
    MomentPosterior,
    Ranks,
    draw_frame,
    identifiability,
    mixture_arrays,
    mixture_data,
    moment_posterior,
    paper_design,
    population_moments,
    solve_mixture,
    starting_values,
)
from bayes_hte.mixtures.moments.data import empirical_moments
from bayes_hte.study.study import Study

LEVEL_3 = identifiability(k=2, z_levels=[2], x_levels=[2], edges=["Z-T"])
LEVEL_4 = identifiability(k=2, z_levels=[2], x_levels=[2], edges=["Z-T", "X-Y"])


def sample(design: MixtureDesign, n: int, seed: int = 0) -> MixtureData:
    frame = draw_frame(design, n, rng=np.random.default_rng(seed))
    return mixture_arrays(frame["z"], frame["x"], frame["t"], frame["y"])


def posterior(design: MixtureDesign, n: int, graph=LEVEL_3, **options) -> MomentPosterior:
    rng = np.random.default_rng(1)
    return moment_posterior(sample(design, n), graph, rng=rng, **{"draws": 400, **options})


def test_posterior_holds_the_truth_and_the_point():
    found = posterior(paper_design(mu_zt=0.5), 10_000, draws=1_000)
    table = found.summary(ci_prob=0.99)
    truth = {("ate", -1): 0, ("effects", 0): -0.75, ("effects", 1): 0.75}
    truth |= {("probabilities", 0): 0.5, ("probabilities", 1): 0.5}
    for row, value in truth.items():
        assert table.loc[row, "ci_lower"] < value < table.loc[row, "ci_upper"], row
    np.testing.assert_allclose(table.loc["effects", "median"], found.point.effects, atol=0.01)
    assert found.refused == ()
    assert found.diagnostics.grade == "usable"
    assert (table["ci_prob"] == 0.99).all()
    assert (table["ci_kind"] == "eti").all()


def test_draws_have_chain_and_draw_first_and_named_arms():
    found = posterior(paper_design(mu_zt=0.5), 2_000)
    for name, array in found.draws.data_vars.items():
        assert array.dims[:2] == ("chain", "draw"), name
    assert found.draws["effects"].sizes == {"chain": 1, "draw": 400, "class": 2}
    assert found.draws["arm"].to_numpy().tolist() == [0, 1]
    how = {"method": "joint", "resampling": "dirichlet", "labels": "effect"}
    assert found.draws.attrs == how
    means = found.draws["class_means"]
    np.testing.assert_allclose(
        means.sel(arm=1) - means.sel(arm=0), found.draws["effects"], atol=1e-12
    )
    np.testing.assert_allclose(found.draws["probabilities"].sum("class"), 1)


def test_same_seed_same_draws():
    first, second = (posterior(paper_design(), 2_000) for _ in range(2))
    assert first.draws.identical(second.draws)


def test_level_four_reports_the_average_and_no_class():
    found = posterior(paper_design(mu_zt=1, mu_xy=0.6), 20_000, LEVEL_4)
    table = found.summary(ci_prob=0.999)
    assert table.loc["effects", "median"].isna().all()
    assert "X-Y edge" in table.loc[("effects", 0), "note"]
    assert table.loc[("ate", -1), "ci_lower"] < 0 < table.loc[("ate", -1), "ci_upper"]
    for name in ("effects", "probabilities", "class_means", "arm_probabilities", "proxy_means"):
        assert found.draws[name].isnull().all()
    assert np.isnan(found.point.effects).all()
    assert np.isnan(found.point.baseline).all()


def test_weak_proxies_report_the_average_and_no_class():
    found = posterior(paper_design(delta=0.2, mu_zt=0.5), 1_000)
    assert found.diagnostics.grade == "refused"
    table = found.summary()
    assert table.loc["probabilities", "ci_lower"].isna().all()
    assert "too weak" in table.loc[("effects", 1), "note"]
    assert np.isfinite(table.loc[("ate", -1), "median"])
    assert found.draws["effects"].isnull().all()


def test_a_graph_without_the_average_is_refused_outright():
    graph = identifiability(k=2, z_levels=[2], x_levels=[2], edges=["X-T"])
    with pytest.raises(NotIdentifiedError, match="breaks A2"):
        posterior(paper_design(), 500, graph)


def test_too_many_classes_are_refused_and_too_few_are_noted(random_design):
    three = identifiability(k=3, z_levels=[3], x_levels=[3], edges=["Z-T"])
    many = posterior(random_design(2, 3, 3, seed=2), 10_000, three)
    assert many.refused
    assert "carry 2 of 3 classes" in " ".join(many.diagnostics.notes)
    two = identifiability(k=2, z_levels=[3], x_levels=[3], edges=["Z-T"])
    design = random_design(3, 3, 3, seed=2)
    few = posterior(design, 20_000, two)
    assert "k=2 is too small" in " ".join(few.diagnostics.notes)
    assert few.ate_rank == 3
    row = few.summary(ci_prob=0.99).loc[("ate", -1)]
    assert row["ci_lower"] < design.ate < row["ci_upper"]


def test_average_keeps_only_what_the_proxies_carry(random_design):
    design = random_design(2, 5, 5, seed=3)
    graph = identifiability(k=2, z_levels=[5], x_levels=[5], edges=["Z-T"])
    found = posterior(design, 10_000, graph)
    assert found.ate_rank == 2
    row = found.summary(ci_prob=0.99).loc[("ate", -1)]
    assert row["ci_lower"] < design.ate < row["ci_upper"]
    assert row["ci_upper"] - row["ci_lower"] < 0.2


def test_failed_draws_are_counted_and_said():
    found = posterior(paper_design(delta=0.2, mu_zt=0.5), 1_000)
    assert found.diagnostics.failed_share > 0.05
    assert "unreliable" in " ".join(found.diagnostics.notes)
    assert found.diagnostics.out_of_range_share >= found.diagnostics.failed_share
    in_range = found.draws["in_range"].to_numpy()
    assert 1 - in_range.mean() == pytest.approx(found.diagnostics.out_of_range_share)


def test_conditioning_on_possible_values_narrows_and_says_so():
    found = posterior(paper_design(mu_zt=0.5), 3_000, draws=1_000)
    every, possible = found.summary(), found.summary(within_ranges=True)
    width = [table["ci_upper"] - table["ci_lower"] for table in (every, possible)]
    assert (width[1] < width[0]).all()
    assert (every["share_used"] == 1).all()
    share = 1 - found.diagnostics.out_of_range_share
    np.testing.assert_allclose(possible["share_used"], share)
    assert 0.1 < share < 1


def test_conditioning_is_refused_where_classes_are():
    found = posterior(paper_design(mu_zt=1, mu_xy=0.6), 5_000, LEVEL_4)
    with pytest.raises(NotIdentifiedError, match=r"within_ranges.*X-Y edge"):
        found.summary(within_ranges=True)


def test_reference_labels_keep_equal_effects_apart():
    base = paper_design(mu_zt=0.5)
    mean = np.array([[0.1, 0.4], [0.6, 0.9]])
    joint = base.joint * np.array([0.7, 1.3])[:, None, None, None]
    design = MixtureDesign(joint, np.repeat(mean[:, None, :], 2, axis=1))
    by_effect, matched = (
        posterior(design, 20_000, labels=labels) for labels in ("effect", "reference")
    )
    assert by_effect.diagnostics.label_gap < 2
    assert "labels can switch" in " ".join(by_effect.diagnostics.notes)
    assert matched.draws["probabilities"].std("draw").max() < 0.05
    assert by_effect.draws["probabilities"].std("draw").max() > 0.1


def test_bootstrap_and_dirichlet_agree_on_discrete_data():
    tables = [
        posterior(paper_design(mu_zt=0.5), 5_000, resampling=name).summary()
        for name in ("dirichlet", "bootstrap")
    ]
    width = (tables[0]["ci_upper"] - tables[0]["ci_lower"]).to_numpy()
    for column in ("median", "ci_lower", "ci_upper"):
        assert (np.abs(tables[0][column] - tables[1][column]) < 0.25 * width).all()


def test_continuous_proxies_and_outcome_go_through():
    rng = np.random.default_rng(4)
    frame = draw_frame(paper_design(mu_zt=0.5), 4_000, rng=rng)
    frame = frame.assign(
        a=2 * frame["u"] + rng.normal(size=4_000),
        b=2 * frame["u"] + rng.normal(size=4_000),
        y=100 + 20 * frame["y"] + rng.normal(size=4_000),
        t=np.where(frame["t"] == 1, "new", "old"),
    )
    study = Study.from_frame(
        frame, outcome="y", treatment="t", covariates=["a", "b"], reference="old"
    )
    data = mixture_data(study, z=["a"], x=["b"], continuous=Ranks(2))
    graph = identifiability(k=2, z_levels=[None], x_levels=[None], edges=["Z-T"])
    found = moment_posterior(data, graph, rng=rng, draws=200)
    table = found.summary(ci_prob=0.99)
    for u, truth in enumerate((-15, 15)):
        row = table.loc[("effects", u)]
        assert row["ci_lower"] < truth < row["ci_upper"]
    assert found.draws["arm"].to_numpy().tolist() == ["old", "new"]
    assert np.abs(found.draws["class_means"].mean() - 110) < 5


def test_diagnostics_table_has_every_diagnostic():
    table = posterior(paper_design(mu_zt=0.5), 5_000).diagnostics.summary()
    assert table.loc["classes carried", "value"] == 2
    assert "usable" in table.loc["strength", "meaning"]
    assert table["value"].notna().all()


def test_bad_options_are_named():
    with pytest.raises(SpecError, match="unknown labels 'size'"):
        posterior(paper_design(), 500, labels="size")
    with pytest.raises(SpecError, match="unknown resampling"):
        posterior(paper_design(), 500, resampling="jackknife")
    with pytest.raises(SpecError, match="default_rng"):
        moment_posterior(sample(paper_design(), 100), LEVEL_3, rng=1)
    with pytest.raises(SpecError, match="ci_prob"):
        posterior(paper_design(), 500).summary(ci_prob=95)
    graph = identifiability(k=3, z_levels=[3], x_levels=[3], edges=["Z-T"])
    with pytest.raises(NotIdentifiedError, match="3 classes need at least 3 features"):
        posterior(paper_design(), 500, graph)
    data = sample(paper_design(), 100)
    one_arm = MixtureData(data.z, data.x, np.zeros_like(data.arm), data.outcome, data.arms)
    with pytest.raises(DataError, match="one arm has no rows"):
        moment_posterior(one_arm, LEVEL_3, rng=np.random.default_rng(0))


def test_starting_values_are_the_truth_on_population_tables():
    design = paper_design(mu_zt=0.5)
    moments = population_moments(design)
    start = starting_values(solve_mixture(moments), moments)
    law = design.joint
    np.testing.assert_allclose(start.probabilities, [0.5, 0.5])
    np.testing.assert_allclose(start.x_given_u, law.sum(axis=(1, 3)) / 0.5)
    np.testing.assert_allclose(start.z_given_u, law.sum(axis=(2, 3)) / 0.5)
    np.testing.assert_allclose(
        start.treated_given_zu, law[..., 1].sum(axis=2) / law.sum(axis=(2, 3))
    )
    np.testing.assert_allclose(start.baseline, design.baseline)


def test_starting_values_are_a_proper_law_where_the_solution_is_not():
    for seed in range(20):
        moments = empirical_moments(sample(paper_design(mu_zt=0.5), 1_500, seed))
        solution = solve_mixture(moments)
        solved = np.isfinite(solution.effects).all()
        if solved and np.abs(solution.baseline - 0.5).max() > 0.5:
            break
    else:
        pytest.fail("no sample with a solution out of range")
    start = starting_values(solution, moments)
    for part in (start.probabilities, start.x_given_u, start.z_given_u):
        np.testing.assert_allclose(part.sum(axis=-1), 1)
        assert part.min() > 0
    for part in (start.treated_given_zu, start.baseline):
        assert part.min() > 0
        assert part.max() < 1


def test_there_is_no_start_without_a_solution():
    weak = empirical_moments(sample(paper_design(delta=0.1), 300))
    with pytest.raises(NotIdentifiedError, match="too weak"):
        starting_values(solve_mixture(weak), weak)
    moments = population_moments(paper_design())
    other = solve_mixture(moments)
    rotated = type(other)(**{**vars(other), "phi": other.phi * 2})
    with pytest.raises(DataError, match="one-hot features"):
        starting_values(rotated, moments)


def test_the_package_is_light_to_import():
    code = (
        "import sys, bayes_hte.mixtures as m; m.solve_moments; "
        "print([x for x in ('pymc', 'pytensor', 'matplotlib', 'arviz') if x in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
