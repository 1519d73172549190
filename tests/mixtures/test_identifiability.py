from __future__ import annotations

import numpy as np
import pytest

from bayes_hte.errors import NotIdentifiedError, SpecError
from bayes_hte.mixtures import identifiability

SMALLEST = {"k": 2, "z_levels": [2], "x_levels": [2]}


@pytest.mark.parametrize(
    ("edges", "level"),
    [
        ([], 2),
        (["Z-T"], 3),
        (["T-Z"], 3),
        (["X-Y"], 4),
        (["Z-T", "X-Y"], 4),
        (["X-T"], None),
        (["Z-Y"], None),
        (["Z-X"], None),
        (["Z-T", "X-Y", "Z-X"], None),
    ],
)
def test_edges_decide_the_level_of_the_smallest_design(edges, level):
    assert identifiability(**SMALLEST, edges=edges).level == level


def test_an_observed_class_is_level_one_whatever_the_proxies():
    graph = identifiability(k=3, z_levels=[2], x_levels=[2], edges=["Z-X"], class_observed=True)
    assert graph.level == 1
    graph.require("unit_class")
    graph.require("effects")


@pytest.mark.parametrize(
    ("k", "z", "x", "level"),
    [
        (3, [3], [3], 3),
        (3, [2, 2], [2, 2], 3),
        (3, [2], [3], None),
        (3, [3], [2], None),
        (5, [None], [2, 3], 3),
        (5, [None], [4], None),
    ],
)
def test_with_a_zt_edge_both_sides_need_k_levels(k, z, x, level):
    graph = identifiability(k=k, z_levels=z, x_levels=x, edges=["Z-T"])
    assert graph.level == level


def test_kruskal_allows_fewer_levels_on_one_side_without_a_zt_edge():
    graph = identifiability(k=3, z_levels=[2], x_levels=[3], edges=[], outcome_levels=2)
    assert graph.level == 2
    assert "moment solver cannot" in " ".join(graph.reasons)
    assert "treatment side" in " ".join(graph.remedies)
    assert identifiability(k=4, z_levels=[2], x_levels=[3], edges=[]).level is None


@pytest.mark.parametrize(
    ("edges", "identified"),
    [
        ([], {"law", "membership", "effects", "probabilities", "ate"}),
        (["Z-T"], {"law", "membership", "effects", "probabilities", "ate"}),
        (["X-Y"], {"ate"}),
        (["X-T"], set()),
    ],
)
def test_each_level_identifies_what_it_should(edges, identified):
    graph = identifiability(**SMALLEST, edges=edges)
    assert set(graph.identified) == identified
    for quantity in identified:
        graph.require(quantity)


def test_an_xy_edge_refuses_class_effects_with_reason_and_remedy():
    graph = identifiability(**SMALLEST, edges=["Z-T", "X-Y"])
    with pytest.raises(NotIdentifiedError, match=r"effects .* is not identified.*X-Y edge") as info:
        graph.require("effects")
    assert "no diagnostic can see" in str(info.value)
    assert "Identified: ate" in str(info.value)
    assert graph.remedies[0] in str(info.value)


@pytest.mark.parametrize(
    ("edge", "assumption", "remedy"),
    [("X-T", "A2", "treatment side"), ("Z-Y", "A3", "outcome side"), ("Z-X", "A4", "one side")],
)
def test_broken_assumptions_are_named_with_a_remedy(edge, assumption, remedy):
    graph = identifiability(**SMALLEST, edges=[edge])
    with pytest.raises(NotIdentifiedError, match=f"breaks {assumption}.*nothing.*{remedy}"):
        graph.require("ate")


def test_individual_effects_are_never_identified():
    for observed in (True, False):
        graph = identifiability(**SMALLEST, edges=[], class_observed=observed)
        with pytest.raises(NotIdentifiedError, match="variation within a class is not"):
            graph.require("individual_effects")


def test_the_average_does_not_rest_on_the_absence_of_an_xy_edge():
    names = {
        level: {text.split(":")[0] for text in identifiability(**SMALLEST, edges=e).assumptions}
        for level, e in ((3, ["Z-T"]), (4, ["X-Y"]))
    }
    assert names[3] - names[4] == {"A5", "A7"}
    assert names[4] == {"A1", "A2", "A3", "A4", "A6"}


def test_numbers_of_numpy_count_as_numbers():
    graph = identifiability(k=np.int64(2), z_levels=[np.int64(2)], x_levels=[2], edges=["Z-T"])
    assert graph.level == 3


def test_bad_declarations_are_named():
    with pytest.raises(SpecError, match="unknown edge 'Z-W'"):
        identifiability(**SMALLEST, edges=["Z-W"])
    with pytest.raises(SpecError, match="list of names"):
        identifiability(**SMALLEST, edges="Z-T")
    with pytest.raises(SpecError, match="k must be a whole number, at least 2"):
        identifiability(k=1, z_levels=[2], x_levels=[2], edges=[])
    for levels in ([1], [2.0], 2, None):
        with pytest.raises(SpecError, match="z_levels"):
            identifiability(k=2, z_levels=levels, x_levels=[2], edges=[])
    with pytest.raises(SpecError, match="list of names"):
        identifiability(**SMALLEST, edges=None)
    with pytest.raises(SpecError, match="unknown quantity"):
        identifiability(**SMALLEST, edges=[]).require("effect")
