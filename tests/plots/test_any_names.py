"""Figures of tables whose index, columns and labels have any names."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_hte.plots import (
    plot_calibration,
    plot_caterpillar,
    plot_co_clustering,
    plot_loo_pit,
    plot_love,
    plot_membership,
    plot_modifier,
    plot_modifier_importance,
    plot_rho,
    plot_subgroup_forest,
    plot_targeting_curve,
    plot_tipping,
    plot_weights,
)

INTERVAL = {"ci_lower": -1.0, "ci_upper": 2.0, "ci_prob": 0.9, "ci_kind": "eti"}
PAIRS = pd.MultiIndex.from_tuples([("site", 1), ("site", 2), ("person", 1)])


def legend(figure) -> list[str]:
    return [words.get_text() for words in figure.legends[0].get_texts()]


def rows_named(figure) -> list[str]:
    return [words.get_text() for words in figure.axes[0].get_yticklabels()]


def summaries(**columns) -> pd.DataFrame:
    return pd.DataFrame({**columns, **INTERVAL, "mean": [0.1, 0.4]})


@pytest.mark.parametrize(
    ("plot", "columns"),
    [
        (plot_caterpillar, {"rank": [1, 2]}),
        (plot_modifier, {"effect": "te", "group": ["a", "b"], "position": [1, 2], "n_units": 3}),
        (plot_subgroup_forest, {"group": ["a", "b"], "n_units": 3, "is_subgroup": True}),
        (plot_targeting_curve, {"fraction": [0.5, 1.0], "curve": "one"}),
        (plot_calibration, {"quantity": ["predicted", "observed"], "bin": 0}),
        (plot_rho, {"quantity": "tnie", "rho": [-0.5, 0.5]}),
        (plot_modifier_importance, {"covariate": ["a", "b"], "prob_used": 0.9}),
    ],
)
def test_an_index_named_like_a_column_changes_nothing(plot, columns):
    table = summaries(**columns)
    for name in (*table.columns, None, ("a", 1)):
        figure = plot(table.set_index(pd.Index([5, 3], name=name)))
        assert figure.axes[0].get_xlabel() == plot(table).axes[0].get_xlabel()


def test_an_index_that_holds_what_is_drawn_is_used():
    table = summaries(quantity="tnie", rho=[-0.5, 0.5])
    figure = plot_rho(table.set_index(["quantity", "rho"]))
    assert list(figure.axes[0].lines[2].get_xdata()) == [-0.5, 0.5]


@pytest.mark.parametrize("index", [pd.Index([0.5, 1.5, 0.25]), PAIRS, pd.Index(["a", 1, 2.5])])
def test_labels_of_units_of_any_kind_are_drawn(index):
    units = pd.DataFrame({"group": [0, 0, 1], "certainty": [0.9, 0.8, 0.7]}, index=index)
    similarity = pd.DataFrame(np.eye(3), units.index, units.index)
    assert rows_named(plot_co_clustering(similarity, units)) == ["group 0", "group 1"]


def test_a_love_plot_sorts_covariates_of_any_names():
    table = pd.DataFrame({"raw": [0.1, -0.4, np.nan], "weighted": 0.0}, index=PAIRS)
    assert rows_named(plot_love(table)) == [str(list(PAIRS)[i]) for i in (1, 0, 2)]
    twice = pd.DataFrame([[0.1, 0.0], [0.3, 0.2]], columns=["raw", "raw"], index=["a", "b"])
    figure = plot_love(twice.rename_axis("raw"))
    assert rows_named(figure) == ["b", "a"]
    assert [list(line.get_xdata()) for line in figure.axes[0].lines[3:5]] == [[0.3, 0.1], [0.2, 0]]


def test_strengths_of_covariates_of_any_names_are_drawn():
    gamma, delta = (values.ravel() for values in np.meshgrid([0, 1], [0, 1]))
    grid = pd.DataFrame({"gamma": gamma, "delta": delta, "prob_benefit": 1 - gamma * delta / 2})
    sizes = pd.DataFrame({"gamma": [0.2, 0.9, 0.4], "delta": [0.2, 0.9, 0.5]}, index=PAIRS)
    for named in (sizes, sizes.set_axis(["x", "x", 2])):
        figure = plot_tipping(grid, benchmarks=named)
        assert figure.axes[0].texts[0].get_text().replace("\n", " ") == str(list(named.index)[1])


def test_memberships_in_groups_of_the_same_name_are_stacked():
    table = pd.DataFrame([[0.9, 0.1], [0.4, 0.6]], columns=["g", "g"])
    steps = plot_membership(table).axes[0].patches
    np.testing.assert_allclose(steps[1].get_data().values, 1)


def test_names_that_start_with_an_underscore_stay_in_the_legend():
    bins = {"bin_lower": [0.5, 1.0] * 2, "bin_upper": [1.0, 2.0] * 2, "share": [0.5] * 4}
    weights = pd.DataFrame({"arm": ["_c", "_c", "t", "t"], **bins})
    assert legend(plot_weights(weights)) == [" _c", "t"]
    tenths = {"from": [0.0, 0.0], "to": 1.0, "share": 1.0, "lower": 0.9, "upper": 1.0}
    assert legend(plot_loo_pit(pd.DataFrame({"arm": ["_c", "t"], **tenths}))) == [" _c", "t"]
    assert legend(plot_love(pd.DataFrame({"_raw": [0.1], "w": [0.2]}))) == [" _raw", "w"]
    assert legend(plot_membership(pd.DataFrame({"_g": [1.0]}))) == [" _g"]
    curve = summaries(fraction=[0.5, 1.0], curve="_mine")
    assert legend(plot_targeting_curve(curve)) == [" _mine"]
