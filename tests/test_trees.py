"""Stored trees predict what the trees say, draw by draw, without the library that grew them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from bayes_hte.errors import SavedResultError
from bayes_hte.names import CHAIN, DRAW
from bayes_hte.surfaces.trees import LEAF, pack, predict, stack

# A leaf is a number; a split is (column, threshold, left, right), left where x <= threshold.
type Nested = float | tuple[int, float, Nested, Nested]

STUMP = 2.5
SPLIT = (0, 1.5, -1.0, 1.0)
DEEP = (1, 0.0, (0, 1.5, 10.0, (2, -1.0, 20.0, 30.0)), 40.0)


def value(tree: Nested, row: np.ndarray) -> float:
    """Evaluate a nested tree the plain way."""
    while isinstance(tree, tuple):
        column, threshold, left, right = tree
        tree = left if row[column] <= threshold else right
    return tree


@dataclass
class FakeForest:
    """The questions a live forest answers, for nested trees; nodes are numbered breadth first.

    Children stand in an order of their own, so a reader that guesses positions goes wrong.
    """

    trees: list[Nested]
    nodes: list[list[Nested]] = field(init=False)
    children: list[dict[int, tuple[int, int]]] = field(init=False)

    def __post_init__(self) -> None:
        self.nodes, self.children = [], []
        for tree in self.trees:
            nodes, children = [tree], {}
            for position, node in enumerate(nodes):
                if isinstance(node, tuple):
                    nodes += [node[3], node[2]]
                    children[position] = (len(nodes) - 1, len(nodes) - 2)
            self.nodes.append(nodes)
            self.children.append(children)

    def NumTrees(self) -> int:
        return len(self.trees)

    def IsLeafNode(self, tree: int, node: int) -> bool:
        return node not in self.children[tree]

    def NodeLeafValues(self, tree: int, node: int) -> list[float]:
        return [self.nodes[tree][node]]

    def SplitIndex(self, tree: int, node: int) -> int:
        return self.nodes[tree][node][0]

    def SplitThreshold(self, tree: int, node: int) -> float:
        return self.nodes[tree][node][1]

    def LeftChildNode(self, tree: int, node: int) -> int:
        return self.children[tree][node][0]

    def RightChildNode(self, tree: int, node: int) -> int:
        return self.children[tree][node][1]


def random_tree(rng: np.random.Generator, depth: int = 4) -> Nested:
    if depth == 0 or rng.random() < 0.3:
        return float(rng.normal())
    # One decimal, so that rows meet thresholds exactly.
    column, threshold = int(rng.integers(3)), round(float(rng.normal()), 1)
    return (column, threshold, random_tree(rng, depth - 1), random_tree(rng, depth - 1))


def stored(forests: list[list[list[Nested]]]):
    """Pack and stack forests given as chain, draw, tree."""
    return stack([[pack(FakeForest(trees)) for trees in chain] for chain in forests])


def test_trees_are_packed_in_preorder_with_the_way_to_the_right_child():
    packed = pack(FakeForest([STUMP, DEEP]))
    np.testing.assert_array_equal(packed.feature, [LEAF, 1, 0, LEAF, 2, LEAF, LEAF, LEAF])
    np.testing.assert_array_equal(packed.number, [2.5, 0.0, 1.5, 10.0, -1.0, 20.0, 30.0, 40.0])
    np.testing.assert_array_equal(packed.right, [0, 6, 2, 0, 2, 0, 0, 0])
    np.testing.assert_array_equal(packed.root, [0, 1])
    dtypes = (packed.feature.dtype, packed.number.dtype, packed.right.dtype)
    assert dtypes == (np.int16, np.float64, np.int32)


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
    x = rng.normal(size=(40, 3)).round(1)
    expected = [
        [[sum(value(tree, row) for tree in trees) for row in x] for trees in chain]
        for chain in forests
    ]
    np.testing.assert_allclose(predict(stored(forests), x), expected, atol=1e-12)


def test_the_stack_has_the_dims_that_saving_and_alignment_need():
    trees = stored([[[STUMP, SPLIT]] * 4, [[DEEP, STUMP]] * 4])
    assert trees["root"].dims == (CHAIN, DRAW, "tree")
    assert trees["root"].shape == (2, 4, 2)
    for name in ("feature", "number", "right"):
        assert trees[name].dims == ("node",)
    assert trees.sizes["node"] == 4 * (1 + 3) + 4 * (7 + 1)


def test_a_part_of_the_draws_predicts_a_part_of_the_result():
    rng = np.random.default_rng(2)
    forests = [[[random_tree(rng) for _ in range(3)] for _ in range(4)] for _ in range(2)]
    x = rng.normal(size=(7, 3))
    trees = stored(forests)
    some = trees.isel({CHAIN: [1], DRAW: [3, 0]})
    np.testing.assert_array_equal(predict(some, x), predict(trees, x)[[1]][:, [3, 0]])


def test_the_memory_layout_of_the_rows_does_not_matter():
    rng = np.random.default_rng(3)
    trees = stored([[[DEEP, random_tree(rng)]]])
    x = rng.normal(size=(20, 3)) * 2
    expected = predict(trees, x)
    np.testing.assert_array_equal(predict(trees, np.asfortranarray(x)), expected)
    np.testing.assert_array_equal(predict(trees, np.repeat(x, 2, axis=0)[::2]), expected)
    np.testing.assert_array_equal(predict(trees, x[::-1])[..., ::-1], expected)


def test_whole_numbers_and_no_rows_are_fine():
    trees = stored([[[SPLIT]]])
    np.testing.assert_array_equal(predict(trees, np.array([[1], [2]])), [[[-1.0, 1.0]]])
    assert predict(trees, np.empty((0, 1))).shape == (1, 1, 0)


def test_stumps_need_no_columns():
    np.testing.assert_array_equal(predict(stored([[[1.0, 2.0]]]), np.empty((3, 0))), [[[3.0] * 3]])


def test_rows_with_too_few_columns_are_refused():
    with pytest.raises(SavedResultError, match="look at column 2, but only 2 columns were given"):
        predict(stored([[[DEEP]]]), np.zeros((4, 2)))


def test_chains_of_different_length_cannot_be_stacked():
    chains = [[pack(FakeForest([STUMP]))] * 2, [pack(FakeForest([STUMP]))]]
    with pytest.raises(ValueError, match="reshape"):
        stack(chains)
