"""Units that belong together: similarity, distances of partitions, point partition and ball."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr

from bayes_hte.errors import DataError, SpecError
from bayes_hte.subgroups import m_learner
from bayes_hte.subgroups.describing import coclustering as coclustering_module
from bayes_hte.subgroups.describing.ball import credible_ball
from bayes_hte.subgroups.describing.coclustering import (
    CoClustering,
    co_clustering,
    indicator_blocks,
)
from bayes_hte.subgroups.describing.partition import heat_map_tables, point_partition
from bayes_hte.subgroups.describing.partition_loss import independent_losses, partition_losses
from tests.fakes import fake_effect, fake_study


@pytest.fixture(scope="module")
def known():
    rng = np.random.default_rng(20261121)
    study, truth = fake_study(rng, n_units=120)
    effect = fake_effect(rng, truth, chains=2, draws=60, unit_sd=0.35)
    return study, truth, effect, m_learner(effect, study, seed=1, largest_k=3)


@pytest.fixture(scope="module")
def clustered(known) -> CoClustering:
    return co_clustering(known[2], known[3], seed=1)


def of_draws(draws: list[list[int]], *, discovered: list[int]) -> CoClustering:
    """Wrap hand-made partitions, one chain."""
    values = np.array(draws, dtype=np.int8)
    units = np.arange(values.shape[1])
    same = (values[:, :, np.newaxis] == values[:, np.newaxis, :]).mean(axis=0)
    shares = np.stack([(values == g).mean(axis=0) for g in range(values.max() + 1)], axis=1)
    coords = {"unit": units}
    return CoClustering(
        similarity=xr.DataArray(same.astype(np.float32), dims=("unit", "other_unit")),
        partitions=xr.DataArray(values[np.newaxis], dims=("chain", "draw", "unit"), coords=coords),
        discovered=xr.DataArray(np.array(discovered), dims="unit", coords=coords),
        membership=xr.DataArray(shares, dims=("unit", "subgroup"), coords=coords),
        mean_effect=xr.DataArray(-units.astype(float), dims="unit", coords=coords),
        n_units=len(units),
        text="",
    )


def entropy(labels: np.ndarray) -> float:
    shares = np.unique(labels, return_counts=True, axis=0)[1] / len(labels)
    return float(-(shares * np.log2(shares)).sum())


# ---------------------------------------------------------------- co-clustering


def test_similarity_is_the_share_of_draws_with_the_same_nearest_subgroup(known, clustered):
    _, _, effect, groups = known
    gaps = abs(effect - groups.effects)
    nearest = gaps.transpose("chain", "draw", "unit", "subgroup").argmin("subgroup").to_numpy()
    np.testing.assert_array_equal(clustered.partitions, nearest)
    same = nearest[..., :, np.newaxis] == nearest[..., np.newaxis, :]
    np.testing.assert_allclose(clustered.similarity, same.mean(axis=(0, 1)), rtol=1e-6)
    assert clustered.similarity.dtype == np.float32
    assert not clustered.is_sample
    assert clustered.text == "All 120 units were compared with each other."


def test_partitions_and_membership_follow_the_same_rule(known, clustered):
    groups = known[3]
    for subgroup in groups.membership["subgroup"].values:
        share = (clustered.partitions == subgroup).mean(("chain", "draw"))
        np.testing.assert_allclose(share, groups.membership.sel(subgroup=subgroup))


def test_what_a_draw_adds_to_all_units_changes_no_similarity(known, clustered):
    _, _, effect, groups = known
    shift = xr.DataArray(
        np.random.default_rng(0).normal(scale=9.0, size=(2, 60)), dims=("chain", "draw")
    )
    moved = co_clustering((effect + shift).transpose(*effect.dims), groups, seed=1)
    np.testing.assert_array_equal(moved.similarity, clustered.similarity)


def test_many_units_are_sampled_and_blocks_change_nothing(known, clustered, monkeypatch):
    _, _, effect, groups = known
    monkeypatch.setattr(coclustering_module, "MATRIX_LIMIT", 100)
    monkeypatch.setattr(coclustering_module, "INDICATOR_BLOCK", 700)
    part = co_clustering(effect, groups, seed=3, landmarks=40)
    again = co_clustering(effect, groups, seed=3, landmarks=40)
    assert part.is_sample
    assert part.similarity.shape == (40, 40)
    assert part.n_units == 120
    assert "random 40 of the 120 units" in part.text
    units = part.similarity["unit"]
    xr.testing.assert_identical(part.similarity, again.similarity)
    xr.testing.assert_allclose(
        part.similarity, clustered.similarity.sel(unit=units, other_unit=units.values)
    )
    xr.testing.assert_equal(part.discovered, groups.labels.sel(unit=units))
    xr.testing.assert_allclose(
        part.mean_effect, effect.mean(("chain", "draw")).sel(unit=units).rename("mean_effect")
    )
    assert set(units.values) != set(
        co_clustering(effect, groups, seed=4, landmarks=40).similarity["unit"].values
    )


def test_effects_clustered_jointly_are_compared_jointly(known):
    study, _, effect, _ = known
    other = effect * -0.5 + (study.frame["x2"] > 0).to_xarray().rename(index="unit")
    both = xr.Dataset({"te": effect, "tnie": other.transpose(*effect.dims)})
    groups = m_learner(both, study, seed=1)
    together = co_clustering(both, groups, seed=1)
    share = (together.partitions == 0).mean(("chain", "draw"))
    np.testing.assert_allclose(share, groups.membership.sel(subgroup=0))
    with pytest.raises(DataError, match="found with 2 effects, got 1"):
        co_clustering(effect, groups, seed=1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"landmarks": 1}, SpecError, "landmarks must be a whole number from 2 to 5000, got 1"),
        ({"landmarks": 5001}, SpecError, "got 5001"),
        ({"seed": -1}, SpecError, "seed must be a whole number"),
        ({"effect": lambda e: e.isel(unit=slice(5))}, DataError, "has 5 units and the study 120"),
    ],
)
def test_what_cannot_be_compared_is_refused(known, options, error, message):
    change = options.pop("effect", lambda e: e)
    with pytest.raises(error, match=message):
        co_clustering(change(known[2]), known[3], **{"seed": 1, **options})


# ---------------------------------------------------------------- distances of partitions


def test_losses_are_those_of_the_definitions(monkeypatch):
    monkeypatch.setattr("bayes_hte.subgroups.describing.partition_loss.TABLE_ROWS", 10)
    rng = np.random.default_rng(1)
    candidates, draws = rng.integers(4, size=(7, 30)), rng.integers(3, size=(11, 30))
    losses = partition_losses(candidates, draws)
    for i, j in itertools.product(range(7), range(11)):
        a, b = candidates[i], draws[j]
        joint = entropy(np.column_stack([a, b]))
        assert losses[i, j] == pytest.approx(2 * joint - entropy(a) - entropy(b))


def test_equal_partitions_are_at_exactly_zero_whatever_their_labels():
    draw = np.random.default_rng(2).integers(5, size=(1, 999))
    renamed = np.array([3, 0, 4, 1, 2])[draw]
    assert partition_losses(renamed, draw).item() == 0.0


def test_the_yardstick_is_the_loss_of_independent_partitions():
    crossed = np.array([list(p) for p in itertools.product(range(2), range(3))] * 4).T
    # Fully crossed, hence independent.
    observed = partition_losses(crossed[:1], crossed[1:])[0]
    np.testing.assert_allclose(independent_losses(crossed[0], crossed[1:]), observed)


def test_indicators_mark_the_group_of_each_unit():
    blocks = list(indicator_blocks(np.array([[0, 1, 2], [2, 2, 0]]), 3, most_rows=3))
    assert len(blocks) == 2
    np.testing.assert_array_equal(blocks[1], [[0, 0, 1], [0, 0, 0], [1, 1, 0]])


# ---------------------------------------------------------------- point partition


def test_the_point_partition_is_the_best_of_all_partitions_of_few_units():
    rng = np.random.default_rng(3)
    centre = np.array([0, 0, 0, 1, 1, 2])
    draws = np.where(rng.random((80, 6)) < 0.15, rng.integers(3, size=(80, 6)), centre)
    point = point_partition(of_draws(draws.tolist(), discovered=[0] * 6))
    everything = np.array(list(itertools.product(range(4), repeat=6)))
    least = partition_losses(everything, draws).mean(axis=1).min()
    assert point.expected_loss == pytest.approx(least)
    assert point.expected_loss == pytest.approx(float(point.losses.mean()))
    assert point.candidates["chosen"].sum() == 1
    assert point.candidates.loc[point.source, "expected_loss"] == point.expected_loss
    assert point.expected_loss == point.candidates["expected_loss"].min()


def test_groups_are_numbered_by_their_mean_effect_and_compared_with_the_discovery():
    # In these hand-made partitions the mean effect falls from the first unit to the last.
    clustered = of_draws([[0, 0, 1, 1]] * 5, discovered=[1, 1, 0, 0])
    point = point_partition(clustered)
    assert point.labels.values.tolist() == [1, 1, 0, 0]
    assert point.sizes == (2, 2)
    assert point.agreement == 1.0
    assert point.source == "discovered"
    assert point.expected_loss == 0.0
    assert point.independent_loss == 2.0


def test_the_known_subgroup_is_the_point_partition(known, clustered):
    truth = known[1]
    point = point_partition(clustered)
    assert (point.labels.to_numpy() == truth).mean() > 0.97
    assert point.agreement > 0.9
    assert point.expected_loss < 0.75 * point.independent_loss
    assert list(point.losses.dims) == ["chain", "draw"]


def test_effects_that_do_not_say_who_belongs_together_give_one_group(known):
    _, truth, _, groups = known
    vague = fake_effect(np.random.default_rng(5), truth, chains=2, draws=60, unit_sd=3.0)
    point = point_partition(co_clustering(vague, groups, seed=1))
    assert point.sizes == (120,)
    assert point.expected_loss == pytest.approx(point.independent_loss)


def test_one_subgroup_is_one_group_without_uncertainty(known):
    study, _, effect, _ = known
    shared = effect.mean("unit").expand_dims(unit=effect["unit"]).transpose(*effect.dims)
    clustered = co_clustering(shared, m_learner(shared, study, seed=1), seed=1)
    np.testing.assert_array_equal(clustered.similarity, 1.0)
    point = point_partition(clustered)
    ball = credible_ball(clustered, point)
    assert point.sizes == (120,)
    assert (point.expected_loss, point.independent_loss, ball.radius) == (0.0, 0.0, 0.0)


def test_draws_as_candidates_can_be_left_out(clustered):
    assert "draw" not in point_partition(clustered, candidate_draws=0).candidates.index
    assert point_partition(clustered, candidate_draws=7).candidates.loc["draw", "candidates"] <= 7
    for n in (-1, 2.5, "all"):
        with pytest.raises(
            SpecError, match="candidate_draws must be a whole number, 0 or more, got"
        ):
            point_partition(clustered, candidate_draws=n)


# ---------------------------------------------------------------- credible ball


def test_the_ball_is_the_smallest_that_holds_the_share():
    # 18 draws at the centre, one with one unit moved, one with another group.
    centre = [0, 0, 0, 0, 1, 1, 1, 1]
    moved, third = [0, 0, 0, 1, 1, 1, 1, 1], [0, 0, 2, 2, 1, 1, 2, 2]
    clustered = of_draws([centre] * 18 + [moved, third], discovered=centre)
    point = point_partition(clustered)
    ball = credible_ball(clustered, point, probability=0.95)
    near = partition_losses(np.array([centre]), np.array([moved, third]))[0]
    assert ball.radius == near[0]
    assert near[0] < near[1]
    assert ball.content == 0.95
    assert ball.edge.loc["horizontal", "sizes"] == "3, 5"
    assert ball.edge.loc["horizontal", "moved"] == pytest.approx(1 / 8)
    np.testing.assert_array_equal(ball.partitions.sel(bound="horizontal"), moved)
    wide = credible_ball(clustered, point, probability=0.96)
    assert (wide.radius, wide.content) == (near[1], 1.0)
    assert wide.edge["groups"].tolist() == [3, 2, 3]
    assert wide.edge.loc["fewest groups", "loss"] == near[0]
    assert wide.edge.loc["most groups", "moved"] == pytest.approx(4 / 8)
    assert credible_ball(clustered, point, probability=0.9).radius == 0.0


def test_the_ball_needs_its_own_centre(clustered):
    point = point_partition(clustered)
    with pytest.raises(SpecError, match="probability must be between 0 and 1, got 95"):
        credible_ball(clustered, point, probability=95)
    other = of_draws([[0, 1]], discovered=[0, 1])
    with pytest.raises(DataError, match="not of these units and draws"):
        credible_ball(other, point)


# ---------------------------------------------------------------- tables of the heat map


def test_the_heat_map_orders_units_by_group_and_effect(clustered):
    point = point_partition(clustered)
    similarity, units = heat_map_tables(clustered, point)
    assert units["group"].is_monotonic_increasing
    assert all(part["mean_effect"].is_monotonic_increasing for _, part in units.groupby("group"))
    first, last = units.index[0], units.index[-1]
    expected = clustered.similarity.sel(unit=first, other_unit=last)
    assert similarity.loc[first, last] == float(expected)
    assert units.loc[last, "certainty"] == float(clustered.membership.sel(unit=last).max())
    few, strip = heat_map_tables(clustered, point, most_units=10)
    assert few.shape == (10, 10)
    assert strip.index.tolist() == few.columns.tolist()
    assert {first, last} <= set(strip.index)
