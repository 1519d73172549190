"""Stored trees predict what the trees say, draw by draw, without the sampler that grew them."""

from __future__ import annotations

import itertools
import os
import pickle

import numpy as np
import pytest
import xarray as xr

from bayes_hte.errors import SavedResultError
from bayes_hte.names import CHAIN, DRAW
from bayes_hte.surfaces.forest import draws as trees_module
from bayes_hte.surfaces.forest.draws import BLOCK, LEAF, PackedForest, predict, stack

# A leaf is a number; a split is (column, rule, left, right): left where x is at most the rule, or
# where it is one of the rule's levels.
type Nested = float | tuple[int, float | frozenset[int], Nested, Nested]

STUMP = 2.5
SPLIT = (0, 1.5, -1.0, 1.0)
DEEP = (1, 0.0, (0, 1.5, 10.0, (2, -1.0, 20.0, 30.0)), 40.0)
MIXED = (3, frozenset({0, 2}), (0, 1.5, 1.0, 2.0), (3, frozenset({62}), 3.0, 4.0))


def value(tree: Nested, row: np.ndarray) -> float:
    """Evaluate a nested tree the plain way."""
    while isinstance(tree, tuple):
        column, rule, left, right = tree
        goes_left = row[column] in rule if isinstance(rule, frozenset) else row[column] <= rule
        tree = left if goes_left else right
    return tree


def preorder(tree: Nested, masks: list[int]) -> list[tuple[int, float]]:
    if not isinstance(tree, tuple):
        return [(LEAF, tree)]
    column, rule, left, right = tree
    here = (column, rule)
    if isinstance(rule, frozenset):
        here = (-2 - column, len(masks))
        masks.append(sum(1 << level for level in rule))
    return [here, *preorder(left, masks), *preorder(right, masks)]


def packed(trees: list[Nested]) -> PackedForest:
    masks: list[int] = []
    nodes = [preorder(tree, masks) for tree in trees]
    feature, number = zip(*itertools.chain(*nodes), strict=True)
    return PackedForest(
        feature=np.array(feature, dtype=np.int16),
        number=np.array(number, dtype=np.float64),
        mask=np.array(masks, dtype=np.uint64),
        root=np.cumsum([0, *map(len, nodes[:-1])]).astype(np.int32),
    )


def random_tree(rng: np.random.Generator, depth: int = 4) -> Nested:
    if depth == 0 or rng.random() < 0.3:
        return float(rng.normal())
    # One decimal, so that rows meet thresholds exactly.
    column = int(rng.integers(4))
    rule = round(float(rng.normal()), 1)
    if column == 3:
        rule = frozenset(np.flatnonzero(rng.random(63) < 0.5).tolist())
    return (column, rule, random_tree(rng, depth - 1), random_tree(rng, depth - 1))


def random_rows(rng: np.random.Generator, rows: int) -> np.ndarray:
    return np.column_stack([rng.normal(size=(rows, 3)).round(1), rng.integers(63, size=rows)])


def stored(forests: list[list[list[Nested]]]):
    """Pack and stack forests given as chain, draw, tree."""
    return stack([[packed(trees) for trees in chain] for chain in forests])


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([0.0, -1.0, 0.0], 10.0),
        ([1.5, 0.0, 0.0], 10.0),
        ([2.0, -1.0, -1.0], 20.0),
        ([2.0, -1.0, -0.5], 30.0),
        ([2.0, 0.1, -5.0], 40.0),
    ],
)
def test_a_row_goes_left_where_its_value_is_at_most_the_threshold(row, expected):
    got = predict(stored([[[DEEP]]]), np.array([row]))
    assert got.item() == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([1.5, 0.0, 0.0, 0.0], 1.0),
        ([1.6, 0.0, 0.0, 2.0], 2.0),
        ([1.5, 0.0, 0.0, 62.0], 3.0),
        ([1.5, 0.0, 0.0, 1.0], 4.0),
    ],
)
def test_a_row_goes_left_where_its_level_is_in_the_mask(row, expected):
    # The tree before it moves the positions of the masks.
    got = predict(stored([[[MIXED], [MIXED]], [[MIXED], [MIXED]]]), np.array([row]))
    np.testing.assert_array_equal(got, np.full((2, 2, 1), expected))


def test_a_forest_is_the_sum_of_its_trees():
    x = np.array([[1.0, 0.0, 0.0], [2.0, 1.0, 0.0]])
    got = predict(stored([[[STUMP, SPLIT, DEEP]]]), x)
    np.testing.assert_allclose(got[0, 0], [2.5 - 1 + 10, 2.5 + 1 + 40])


def test_every_draw_is_predicted_with_its_own_trees():
    forests = [[[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]], [[4.0, 40.0], [5.0, 50.0], [6.0, 60.0]]]
    got = predict(stored(forests), np.zeros((5, 1)))
    assert got.shape == (2, 3, 5)
    np.testing.assert_array_equal(got[..., 0], [[11, 22, 33], [44, 55, 66]])
    np.testing.assert_array_equal(got, np.broadcast_to(got[..., :1], got.shape))


def test_random_forests_agree_with_evaluating_them_the_plain_way():
    rng = np.random.default_rng(1)
    forests = [[[random_tree(rng) for _ in range(6)] for _ in range(5)] for _ in range(3)]
    x = random_rows(rng, 40)
    expected = [
        [[sum(value(tree, row) for tree in trees) for row in x] for trees in chain]
        for chain in forests
    ]
    np.testing.assert_allclose(predict(stored(forests), x), expected, atol=1e-12)


def test_the_stack_has_the_dims_that_saving_and_alignment_need():
    trees = stored([[[STUMP, SPLIT]] * 4, [[DEEP, STUMP]] * 4])
    assert trees["root"].dims == (CHAIN, DRAW, "tree")
    assert trees["root"].shape == (2, 4, 2)
    for name in ("feature", "number"):
        assert trees[name].dims == ("node",)
    assert trees.sizes["node"] == 4 * (1 + 3) + 4 * (7 + 1)


def test_a_part_of_the_draws_predicts_a_part_of_the_result():
    rng = np.random.default_rng(2)
    forests = [[[random_tree(rng) for _ in range(3)] for _ in range(4)] for _ in range(2)]
    x = random_rows(rng, 7)
    trees = stored(forests)
    some = trees.isel({CHAIN: [1], DRAW: [3, 0]})
    np.testing.assert_array_equal(predict(some, x), predict(trees, x)[[1]][:, [3, 0]])


def test_the_memory_layout_of_the_rows_does_not_matter():
    rng = np.random.default_rng(3)
    trees = stored([[[DEEP, random_tree(rng)]]])
    x = random_rows(rng, 20)
    expected = predict(trees, x)
    np.testing.assert_array_equal(predict(trees, np.asfortranarray(x)), expected)
    np.testing.assert_array_equal(predict(trees, np.repeat(x, 2, axis=0)[::2]), expected)
    np.testing.assert_array_equal(predict(trees, x[::-1])[..., ::-1], expected)


def test_more_rows_than_one_block_and_any_number_of_threads_give_the_same(monkeypatch):
    rng = np.random.default_rng(4)
    trees = stored([[[random_tree(rng) for _ in range(3)] for _ in range(5)]])
    x = random_rows(rng, 2 * BLOCK + 3)
    results = []
    for cores in (1, 2, 7):
        monkeypatch.setattr(trees_module, "available_cores", lambda cores=cores: cores)
        results.append(predict(trees, x))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    some = [0, BLOCK - 1, BLOCK, 2 * BLOCK + 2]
    np.testing.assert_array_equal(predict(trees, x[some]), results[0][..., some])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_process_predicts_after_its_parent_did(monkeypatch):
    monkeypatch.setattr(trees_module, "available_cores", lambda: 2)
    trees, x = stored([[[MIXED, DEEP]] * 4]), random_rows(np.random.default_rng(5), 20)
    expected = predict(trees, x)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, predict(trees, x).tobytes())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 10 * expected.nbytes) == expected.tobytes()


def test_packed_forests_travel_between_processes():
    one = packed([MIXED, DEEP, STUMP])
    two = pickle.loads(pickle.dumps(one))
    x = random_rows(np.random.default_rng(6), 5)
    np.testing.assert_array_equal(predict(stack([[one]]), x), predict(stack([[two]]), x))


@pytest.mark.parametrize("tree", [DEEP, MIXED], ids=["numeric", "categorical"])
def test_stored_trees_survive_the_disk(tmp_path, tree):
    trees, x = stored([[[tree, STUMP]] * 3] * 2), random_rows(np.random.default_rng(7), 5)
    trees.to_zarr(tmp_path / "trees.zarr", consolidated=False)
    back = xr.open_zarr(tmp_path / "trees.zarr", consolidated=False).load()
    assert {v: back[v].dtype for v in back} == {v: trees[v].dtype for v in trees}
    np.testing.assert_array_equal(predict(back, x), predict(trees, x))


def test_the_deepest_tree_there_can_be_is_predicted():
    tree: Nested = 127.0
    for k in range(126, -1, -1):
        tree = (0, float(k), float(k), tree)
    x = np.arange(128.0)[:, None]
    np.testing.assert_array_equal(predict(stored([[[tree]]]), x)[0, 0], x[:, 0])


def test_whole_numbers_and_no_rows_are_fine():
    trees = stored([[[SPLIT]]])
    np.testing.assert_array_equal(predict(trees, np.array([[1], [2]])), [[[-1.0, 1.0]]])
    assert predict(trees, np.empty((0, 1))).shape == (1, 1, 0)


def test_stumps_need_no_columns():
    np.testing.assert_array_equal(predict(stored([[[1.0, 2.0]]]), np.empty((3, 0))), [[[3.0] * 3]])


def test_rows_with_too_few_columns_are_refused():
    with pytest.raises(SavedResultError, match="look at column 2, but only 2 columns were given"):
        predict(stored([[[DEEP]]]), np.zeros((4, 2)))
    with pytest.raises(SavedResultError, match="look at column 3, but only 3 columns were given"):
        predict(stored([[[MIXED]]]), np.zeros((4, 3)))


def test_chains_of_different_length_cannot_be_stacked():
    chains = [[packed([STUMP])] * 2, [packed([STUMP])]]
    with pytest.raises(ValueError, match="reshape"):
        stack(chains)
