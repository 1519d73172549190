"""The M-learner as a whole: known subgroups found, none invented, input checked."""

from __future__ import annotations

import tracemalloc
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hte.effects.averages import average
from bayes_hte.errors import DataError, SpecError
from bayes_hte.study.study import Study
from bayes_hte.subgroups import (
    Subgroups,
    Tsne,
    co_clustering,
    heat_map_tables,
    m_learner,
    point_partition,
    subgroup_effects_table,
)
from tests.fakes import fake_effect, fake_study


@pytest.fixture(scope="module")
def known() -> tuple[Study, np.ndarray, xr.DataArray]:
    rng = np.random.default_rng(20261121)
    study, truth = fake_study(rng, n_units=200)
    return study, truth, fake_effect(rng, truth, chains=2, draws=100)


@pytest.fixture(scope="module")
def groups(known) -> Subgroups:
    return m_learner(known[2], known[0], seed=1)


def draws_like(effect: xr.DataArray, values: np.ndarray) -> xr.DataArray:
    return effect.copy(data=np.broadcast_to(values, effect.shape))


def test_the_known_subgroup_is_found_and_declared(known, groups):
    study, truth, _ = known
    assert groups.profile.covariates == ("x1",)
    assert groups.declared_in_sample
    assert groups.probability_in_sample > 0.99
    np.testing.assert_array_equal(groups.labels, truth)
    assert abs(groups.profile.nodes[0].condition.threshold) < 0.1
    brier = float(((groups.membership.sel(subgroup=1) - truth) ** 2).mean())
    assert brier < 0.01
    assert groups.uncertain_share < 0.05
    assert groups.effect_name == "cate"
    assert groups.embedding is None
    assert list(groups.labels["unit"].values) == list(study.units)


def test_the_published_route_finds_it_too(known):
    study, truth, effect = known
    mapped = m_learner(effect, study, seed=1, embed="tsne")
    assert mapped.profile.covariates == ("x1",)
    np.testing.assert_array_equal(mapped.labels, truth)
    assert mapped.embedding.dims == ("unit", "axis")
    assert mapped.embedding.shape == (study.n_units, 2)


def test_a_mixture_finds_it_too(known):
    study, truth, effect = known
    found = m_learner(effect, study, seed=1, clusters="mixture")
    np.testing.assert_array_equal(found.labels, truth)
    assert found.declared_in_sample


def test_two_covariates_and_a_level_are_recovered():
    rng = np.random.default_rng(2)
    study, _ = fake_study(rng, n_units=600)
    x = study.covariate_frame()
    truth = 2.0 * ((x["x1"] > 0) & (x["x3"] == "b")).to_numpy()
    found = m_learner(fake_effect(rng, truth, chains=2, draws=100), study, seed=1)
    assert set(found.profile.covariates) == {"x1", "x3"}
    # Three leaves, but two of them with the same effect are one subgroup, not two.
    assert found.effects.sizes["subgroup"] == 2
    np.testing.assert_array_equal(found.labels == 1, truth > 0)
    assert "x3 is b" in found.profile.text
    assert "x3 is a or c" in found.profile.text


def test_a_homogeneous_effect_is_not_declared_heterogeneous(known):
    # A well-calibrated posterior of a constant effect: posterior means almost equal, draws wide
    # and tilted together along a covariate.
    study, _, effect = known
    rng = np.random.default_rng(3)
    slope = rng.normal(scale=0.5, size=(2, 100, 1))
    tilted = 1.0 + slope * study.frame["x1"].to_numpy() + rng.normal(scale=0.1, size=(2, 100, 1))
    found = m_learner(draws_like(effect, tilted), study, seed=1)
    assert found.effects.sizes["subgroup"] > 1
    assert not found.declared_in_sample
    assert found.probability_in_sample < 0.8
    assert float((abs(found.contrast) > found.margin).mean()) > 0.9


@pytest.mark.parametrize("seed", range(3))
def test_noise_around_one_effect_is_one_subgroup(known, seed):
    study = known[0]
    rng = np.random.default_rng(seed)
    effect = fake_effect(rng, np.ones(study.n_units), chains=2, draws=100)
    found = m_learner(effect, study, seed=seed, largest_k=3)
    assert not found.declared_in_sample
    assert found.profile.covariates == ()


def test_the_smallest_study_goes_through():
    rng = np.random.default_rng(10)
    study, truth = fake_study(rng, n_units=10)
    for embed in ("none", "tsne"):
        found = m_learner(fake_effect(rng, truth), study, seed=1, embed=embed)
        assert found.labels.sizes == {"unit": 10}


def test_differences_too_small_to_matter_are_not_declared(known):
    study, _, effect = known
    small = draws_like(effect, 0.01 * effect.to_numpy())
    assert not m_learner(small, study, seed=1).declared_in_sample
    found = m_learner(small, study, seed=1, margin=0.001)
    assert found.declared_in_sample
    assert found.margin == 0.001


def test_the_default_margin_is_a_twentieth_of_the_sd_of_the_outcome(known, groups):
    assert groups.margin == pytest.approx(0.05 * known[0].frame["y"].std())


def test_subgroup_effects_add_up_to_the_average_effect_in_every_draw(known, groups):
    share = groups.summary()["share"].to_xarray()
    np.testing.assert_allclose((groups.effects * share).sum("subgroup"), average(known[2]))


def test_membership_is_a_distribution_and_labels_are_ordered(groups):
    assert groups.membership.dims == ("unit", "subgroup")
    np.testing.assert_allclose(groups.membership.sum("subgroup"), 1.0)
    means = groups.effects.mean(("chain", "draw"))
    assert bool((means.diff("subgroup") > 0).all())
    high_less_low = groups.effects.isel(subgroup=-1) - groups.effects.isel(subgroup=0)
    np.testing.assert_allclose(groups.contrast, high_less_low)


def test_the_summary_says_what_the_draws_say(groups):
    table = groups.summary(ci_prob=0.9)
    assert table.index.tolist() == [0, 1]
    assert table["n"].tolist() == np.bincount(groups.labels).tolist()
    high = groups.effects.sel(subgroup=1)
    assert table.loc[1, "mean"] == pytest.approx(float(high.mean()))
    assert table.loc[1, "ci_lower"] == pytest.approx(float(high.quantile(0.05)))
    assert table.loc[1, "prob_positive"] == 1.0
    own = groups.membership.sel(subgroup=1)[groups.labels.to_numpy() == 1]
    assert table.loc[1, "mean_membership"] == pytest.approx(float(own.mean()))
    assert table["ci_kind"].unique().tolist() == ["eti"]


def test_candidates_show_every_k_and_the_chosen_one(groups):
    table = groups.candidates
    assert table.index.tolist() == [2, 3, 4, 5]
    assert table["chosen"].sum() == 1
    assert table.loc[table["chosen"], "score"].item() > table["score"].max() - 0.01
    np.testing.assert_allclose(
        table["score"], table["tree_fit"] - table["price_per_leaf"] * (table["leaves"] - 1)
    )


@pytest.mark.parametrize("embed", ["none", Tsne(max_iter=260)])
def test_neither_repetition_nor_the_order_of_rows_changes_the_result(known, embed):
    study, effect = known[0].subset(np.arange(100)), known[2].isel(unit=slice(0, 100))
    # Effects that vary within the groups, so that there is something to disagree about.
    rough = effect + 0.5 * study.frame["x2"].to_xarray().rename(index="unit")
    options = {"seed": 4, "embed": embed, "largest_k": 4}
    first = m_learner(rough, study, **options)
    again = m_learner(rough, study, **options)
    shuffle = np.random.default_rng(5).permutation(study.n_units)
    turned = m_learner(rough.isel(unit=shuffle), study.subset(shuffle), **options)
    assert first.profile.text == again.profile.text == turned.profile.text
    xr.testing.assert_identical(first.labels, again.labels)
    xr.testing.assert_identical(first.membership, again.membership)
    xr.testing.assert_equal(first.labels, turned.labels.sel(unit=study.units))
    xr.testing.assert_allclose(first.membership, turned.membership.sel(unit=study.units))
    assert first.probability_in_sample == turned.probability_in_sample
    if embed != "none":
        xr.testing.assert_allclose(first.embedding, turned.embedding.sel(unit=study.units))


def test_identical_effects_are_one_subgroup_with_a_reason(known):
    study, _, effect = known
    shared = effect.mean("unit").expand_dims(unit=effect["unit"]).transpose(*effect.dims)
    for embed in ("none", "tsne"):
        found = m_learner(shared, study, seed=1, embed=embed)
        assert not found.declared_in_sample
        assert found.probability_in_sample == 0.0
        assert found.profile.covariates == ()
        assert "every unit has the same posterior-mean effect" in found.profile.text
        assert "nothing to compare" in found.reason
        assert found.candidates.empty
        np.testing.assert_array_equal(found.labels, 0)
        np.testing.assert_array_equal(found.membership, 1.0)
        np.testing.assert_allclose(found.effects.isel(subgroup=0), average(effect))
        assert found.summary()["n"].tolist() == [study.n_units]


def test_rounding_errors_are_not_effects(known):
    study, _, effect = known
    rounding = 1e-9 * np.random.default_rng(6).normal(size=study.n_units)
    found = m_learner(draws_like(effect, 1.0 + rounding), study, seed=1, margin=0.0)
    assert not found.declared_in_sample


def test_effects_no_covariate_explains_are_one_subgroup_with_a_reason(known):
    study, _, effect = known
    unexplained = np.random.default_rng(7).normal(size=study.n_units)
    found = m_learner(draws_like(effect, unexplained), study, seed=1)
    assert not found.declared_in_sample
    assert found.effects.sizes["subgroup"] == 1
    assert "no split of the covariates says enough" in found.profile.text
    assert found.candidates.index.tolist() == [2, 3, 4, 5]
    assert not found.candidates["chosen"].any()


def test_two_distinct_effects_are_not_asked_for_five_clusters(known):
    study, truth, effect = known
    found = m_learner(draws_like(effect, truth), study, seed=1)
    assert found.candidates.index.tolist() == [2]
    np.testing.assert_array_equal(found.labels, truth)


def test_effects_clustered_jointly_are_judged_on_the_first(known, groups):
    study, _, effect = known
    rng = np.random.default_rng(8)
    other = draws_like(effect, 3.0 * (study.frame["x2"].to_numpy() > 0)) + rng.normal(
        scale=0.1, size=effect.shape
    )
    both = m_learner(xr.Dataset({"te": effect, "tnie": other}), study, seed=1)
    assert set(both.profile.covariates) == {"x1", "x2"}
    means = both.effects.mean(("chain", "draw"))
    assert bool((means.diff("subgroup") > 0).all())
    level = draws_like(effect, 0.3)
    alone = m_learner(xr.Dataset({"te": effect, "constant": level}), study, seed=1)
    xr.testing.assert_equal(alone.labels, groups.labels)
    xr.testing.assert_allclose(alone.membership, groups.membership)


def test_single_precision_changes_nothing_that_matters(known, groups):
    study, _, effect = known
    found = m_learner(effect.astype(np.float32), study, seed=1)
    xr.testing.assert_equal(found.labels, groups.labels)
    assert found.effects.dtype == np.float64
    xr.testing.assert_allclose(found.effects, groups.effects, rtol=1e-5, atol=1e-5)


def test_the_result_and_the_input_are_left_alone(known):
    study, _, effect = known
    before = effect.copy(deep=True)
    found = m_learner(effect, study, seed=1)
    xr.testing.assert_identical(effect, before)
    with pytest.raises(FrozenInstanceError):
        found.declared_in_sample = False


def test_a_hundred_thousand_units_need_no_matrix_of_units():
    rng = np.random.default_rng(9)
    study, truth = fake_study(rng, n_units=100_000)
    effect = fake_effect(rng, truth, chains=1, draws=10)
    tracemalloc.start()
    found = m_learner(effect, study, seed=1, largest_k=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6  # a matrix of units takes 80 GB
    assert found.profile.covariates == ("x1",)
    assert float((found.labels != truth).mean()) < 1e-3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.to_numpy(), "must be draws in a DataArray or Dataset, got ndarray"),
        (lambda e: e.mean("unit"), r"must have dims .* got \('chain', 'draw'\)"),
        (lambda e: e.expand_dims(arm=[0, 1]), "pass unit-level draws"),
        (lambda e: e.isel(unit=slice(0, 150)), "has 150 units and the study 200"),
        (lambda e: e.isel(unit=slice(None, None, -1)), "not those of the study"),
        (lambda e: e.where(e["unit"] != 7), "NaN or infinite draws in 1 of 200 units"),
        (lambda e: e.where((e["unit"] > 2) | (e["draw"] > 0), np.inf), "in 3 of 200 units"),
        (lambda e: xr.where(e["draw"] == 0, np.inf * np.sign(e), e), "in 200 of 200 units"),
        (lambda e: e.isel(draw=slice(0, 0)), "holds no draws"),
    ],
)
def test_draws_that_break_the_contract_are_refused(known, change, message):
    study, _, effect = known
    with pytest.raises(DataError, match=message):
        m_learner(change(effect), study, seed=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed must be a whole number"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"largest_k": 1}, "largest_k must be a whole number from 2 to 10, got 1"),
        ({"largest_k": 11}, "from 2 to 10, got 11"),
        ({"largest_k": True}, "got True"),
        ({"probability": 0.5}, "probability must be between 0.5 and 1"),
        ({"margin": -0.1}, "margin must be 0 or more"),
        ({"margin": np.nan}, "margin must be 0 or more"),
        ({"leaf_share": 0.0}, "leaf_share must be above 0"),
        ({"leaf_share": 0.6}, "leaf_share must be above 0 and at most 0.5"),
        ({"leaf_price": -1.0}, "leaf_price must be 0 or more"),
        ({"clear_membership": 1.0}, "clear_membership must be between"),
        ({"clusters": "kmean"}, "unknown clusters 'kmean'. Did you mean 'kmeans'"),
        ({"embed": "tnse"}, "unknown embed 'tnse'. Did you mean 'tsne'"),
        ({"embed": Tsne(perplexity=400)}, "perplexity must be at least 1 and below the 199"),
    ],
)
def test_options_out_of_range_are_refused(known, options, message):
    study, _, effect = known
    with pytest.raises(SpecError, match=message):
        m_learner(effect, study, **{"seed": 1, **options})


def test_units_with_names_keep_them(known):
    study, truth, effect = known
    frame = study.frame.set_axis([f"patient {i}" for i in range(len(truth))])
    named = Study.from_frame(
        frame, outcome="y", treatment="treat", covariates=["x1", "x2", "x3"], mediator="m"
    )
    found = m_learner(effect.drop_vars("unit"), named, seed=1)
    assert isinstance(found.labels.to_series(), pd.Series)
    assert int(found.labels.sel(unit="patient 3")) == truth[3]


INDEXES = {
    "named": pd.Index([f"p{i}" for i in range(60)], name="patient_id"),
    "named like a covariate": pd.Index(range(60), name="x1"),
    "named like a dimension": pd.Index(range(60), name="draw"),
    "nullable": pd.Index(range(60), dtype="Int64"),
    "two levels": pd.MultiIndex.from_product([range(30), ["left", "right"]], names=["id", "eye"]),
}


@pytest.fixture(scope="module")
def few():
    study, truth = fake_study(np.random.default_rng(3), n_units=60)
    effect = fake_effect(np.random.default_rng(4), truth, chains=1, draws=20)
    return study, effect, m_learner(effect, study, seed=1, largest_k=2)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES.keys())
def test_any_index_of_the_units_gives_the_same_subgroups(few, index):
    study, effect, expected = few
    alike = study.alike(study.frame.set_axis(index))
    coords = (
        xr.Coordinates.from_pandas_multiindex(index, "unit")
        if index.nlevels > 1
        else {"unit": index.rename("unit")}
    )
    for labelled in (
        effect.drop_vars("unit"),
        effect.assign_coords(coords),
        effect.assign_coords(unit=alike.units.rename("unit")),
    ):
        found = m_learner(labelled, alike, seed=1, largest_k=2)
        np.testing.assert_array_equal(found.labels, expected.labels)
        assert found.labels.get_index("unit").tolist() == alike.units.tolist()
        pd.testing.assert_frame_equal(found.summary(), expected.summary())
        table = subgroup_effects_table(labelled, alike, found, better="higher")
        assert table["n_units"].iloc[-1] == 60
        clustered = co_clustering(labelled, found, seed=1)
        _, units = heat_map_tables(clustered, point_partition(clustered))
        assert units.index.name == "unit"
        assert set(units.index) == set(alike.units)


@pytest.mark.parametrize("index", [INDEXES["named"], INDEXES["nullable"]], ids=["text", "numbers"])
def test_the_cure_for_units_in_another_order_works(few, index):
    study, effect, expected = few
    study = study.alike(study.frame.set_axis(index))
    turned = effect.assign_coords(unit=index.rename("unit")).isel(unit=slice(None, None, -1))
    with pytest.raises(DataError, match=r"select effect.sel\(unit=study.units\)"):
        m_learner(turned, study, seed=1)
    found = m_learner(turned.sel(unit=study.units), study, seed=1, largest_k=2)
    np.testing.assert_array_equal(found.labels, expected.labels)


def test_what_is_no_study_is_refused(few):
    study, effect, groups = few
    with pytest.raises(DataError, match="study must be a Study, got DataFrame"):
        m_learner(effect, study.frame, seed=1)
    with pytest.raises(DataError, match="study must be a Study, got DataFrame"):
        subgroup_effects_table(effect, study.frame, groups, better="higher")


@pytest.mark.parametrize(
    "options",
    [
        {"margin": "small"},
        {"probability": "0.9"},
        {"probability": None},
        {"leaf_share": "0.1"},
        {"leaf_price": None},
        {"clear_membership": "0.8"},
        {"largest_k": 2.0},
        {"clusters": None},
        {"embed": None},
        {"embed": Tsne(perplexity="30")},
        {"embed": Tsne(max_iter=500.5)},
        {"seed": "1"},
    ],
    ids=str,
)
def test_options_of_another_type_are_refused(few, options):
    study, effect, _ = few
    with pytest.raises(SpecError, match=r"got|unknown"):
        m_learner(effect, study, **{"seed": 1, **options})
