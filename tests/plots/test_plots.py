from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from bayes_hte.errors import DataError
from bayes_hte.names import SAMPLE
from bayes_hte.plots import (
    plot_caterpillar,
    plot_densities,
    plot_distribution,
    plot_membership,
    plot_modifier,
    plot_overlap,
    plot_profile_tree,
    plot_subgroup_forest,
)
from bayes_hte.plots.style import HATCHES, MARKERS, directions, interval_of

INTERVAL = {"ci_prob": 0.8, "ci_kind": "hdi"}
WORDS = "80% posterior interval, highest-density"


def numbers(n: int, **columns) -> pd.DataFrame:
    mean = np.linspace(-1, 1, n)
    table = pd.DataFrame({"mean": mean, "ci_lower": mean - 0.3, "ci_upper": mean + 0.2})
    return table.assign(**INTERVAL, **columns)


def axes_of(figure: Figure):
    assert isinstance(figure, Figure)
    return figure.axes[0]


def ends(collection: LineCollection) -> np.ndarray:
    """Both ends of every line: shape (line, 2 points, 2 coordinates)."""
    return np.stack([path.vertices for path in collection.get_paths()])


def lines(ax, gid: str):
    return next(line for line in ax.lines if line.get_gid() == gid)


def test_densities_draw_the_given_means_and_intervals():
    rng = np.random.default_rng(0)
    draws = xr.Dataset({k: (SAMPLE, rng.normal(size=(2, 200))) for k in ("te", "tnie")})
    table = numbers(2).set_index(pd.Index(["tnie", "te"]))
    ax = axes_of(plot_densities(draws, table, labels={"te": "total"}, title="T"))
    assert [t.get_text() for t in ax.get_yticklabels()] == ["tnie", "total"]
    for name, row in table.iterrows():
        assert lines(ax, f"mean-{name}").get_xdata() == [row["mean"]]
        drawn = lines(ax, f"interval-{name}").get_xdata()
        assert list(drawn) == [row["ci_lower"], row["ci_upper"]]
    assert WORDS in ax.get_xlabel()
    assert ax.get_title(loc="left") == "T"


def test_the_density_peaks_where_the_draws_are_densest():
    values = np.random.default_rng(1).normal(loc=3, size=(4, 1000))
    table = numbers(1).set_index(pd.Index(["te"]))
    ax = axes_of(plot_densities({"te": xr.DataArray(values, dims=SAMPLE)}, table))
    outline = next(line for line in ax.lines if len(line.get_xdata()) == 200)
    # The y axis points down, so the peak is the smallest y.
    peak = outline.get_xdata()[np.argmin(outline.get_ydata())]
    assert abs(peak - 3) < 0.3


def test_draws_that_never_change_are_drawn_without_density():
    table = numbers(1).set_index(pd.Index(["te"]))
    ax = axes_of(plot_densities({"te": xr.DataArray(np.ones((2, 9)), dims=SAMPLE)}, table))
    assert not ax.collections
    assert lines(ax, "mean-te").get_xdata() == [table["mean"].iloc[0]]


def test_densities_refuse_a_row_without_draws():
    with pytest.raises(DataError, match="no draws for te"):
        plot_densities({}, numbers(1).set_index(pd.Index(["te"])))


def test_distribution_draws_shares_in_percent_over_their_bins():
    table = numbers(3, bin_lower=[0.0, 1.0, 2.0], bin_upper=[1.0, 2.0, 3.0])
    table = table.assign(mean=[0.2, 0.5, 0.3], ci_lower=[0.1, 0.4, 0.2], ci_upper=[0.3, 0.6, 0.4])
    ax = axes_of(plot_distribution(table))
    assert [bar.get_height() for bar in ax.patches] == [20, 50, 30]
    assert [bar.get_x() for bar in ax.patches] == [0, 1, 2]
    whiskers = ends(ax.collections[0])
    np.testing.assert_allclose(whiskers[:, :, 1], [[10, 30], [40, 60], [20, 40]])
    np.testing.assert_allclose(whiskers[:, 0, 0], [0.5, 1.5, 2.5])


def test_caterpillar_draws_every_row_at_its_rank():
    table = numbers(5, rank=[1, 3, 5, 7, 9])
    ax = axes_of(plot_caterpillar(table, better="lower", important=0.4))
    intervals = ends(ax.collections[0])
    np.testing.assert_allclose(intervals[:, :, 0], table[["ci_lower", "ci_upper"]])
    np.testing.assert_allclose(intervals[:, 0, 1], table["rank"])
    points = next(line for line in ax.lines if line.get_marker() == "o")
    np.testing.assert_allclose(points.get_xydata(), table[["mean", "rank"]])


@pytest.mark.parametrize(("better", "at"), [("lower", -0.4), ("higher", 0.4)])
def test_the_important_difference_is_drawn_on_the_side_of_benefit(better, at):
    ax = axes_of(plot_caterpillar(numbers(3, rank=[1, 2, 3]), better=better, important=0.4))
    verticals = [line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1]
    assert verticals == [0, at]
    assert directions(better) in ax.get_xlabel()


def modifier_table(position) -> pd.DataFrame:
    table = numbers(4, effect=["te", "te", "tnie", "tnie"], group=["a", "b", "a", "b"])
    return table.assign(position=position, n_units=[10, 20, 10, 20])


def test_a_numeric_modifier_is_drawn_as_a_line_in_a_band_per_effect():
    table = modifier_table([1.0, 2.0, 1.0, 2.0])
    figure = plot_modifier(table, labels={"te": "TE"}, better="higher", limits=(-2, 2))
    ax = axes_of(figure)
    for i, rows in enumerate((table.iloc[:2], table.iloc[2:])):
        np.testing.assert_allclose(ax.lines[i].get_xydata(), rows[["position", "mean"]])
        band = ax.collections[i].get_paths()[0].vertices[:, 1]
        assert (band.min(), band.max()) == (rows["ci_lower"].min(), rows["ci_upper"].max())
    assert ax.get_ylim() == (-2, 2)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["TE", "tnie"]
    assert ax.lines[0].get_marker() != ax.lines[1].get_marker()
    assert WORDS in ax.get_xlabel()
    assert "above 0: benefit" in ax.get_ylabel()


def test_a_modifier_with_levels_is_drawn_one_level_a_row():
    table = modifier_table(np.nan)
    ax = axes_of(plot_modifier(table, limits=(-3, 3)))
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a\n(10)", "b\n(20)"]
    for i, rows in enumerate((table.iloc[:2], table.iloc[2:])):
        intervals = ends(ax.collections[i])
        np.testing.assert_allclose(intervals[:, :, 0], rows[["ci_lower", "ci_upper"]])
        np.testing.assert_allclose(ax.lines[i].get_xdata(), rows["mean"])
        np.testing.assert_allclose(np.round(ax.lines[i].get_ydata()), [0, 1])
    assert ax.get_xlim() == (-3, 3)


def test_overlap_draws_one_arm_up_and_the_other_down():
    table = pd.DataFrame(
        {"arm": ["c", "c", "t", "t"], "bin_lower": [0.0, 0.5] * 2, "bin_upper": [0.5, 1.0] * 2}
    ).assign(share=[0.9, 0.1, 0.3, 0.7])
    ax = axes_of(plot_overlap(table))
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], [-90, -10, 30, 70])
    assert [bar.get_hatch() for bar in ax.patches] == ["////"] * 2 + [""] * 2
    assert {t.get_text() for t in ax.texts} == {"c (down)", "t (up)"}
    with pytest.raises(DataError, match="compares two arms"):
        plot_overlap(table[table["arm"] == "t"])


def test_subgroup_forest_draws_each_interval_and_marks_everyone_apart():
    table = numbers(3, group=["Subgroup 0", "Subgroup 1", "Everyone"], n_units=[4, 6, 10])
    ax = axes_of(plot_subgroup_forest(table.assign(is_subgroup=[True, True, False])))
    intervals, points = ax.lines[0:6:2], ax.lines[1:6:2]
    for row, line, point in zip(table.to_dict("records"), intervals, points, strict=True):
        assert list(line.get_xdata()) == [row["ci_lower"], row["ci_upper"]]
        assert list(point.get_xdata()) == [row["mean"]]
    assert [p.get_marker() for p in points] == [*MARKERS[:2], "|"]
    assert ax.get_yticklabels()[2].get_text() == "Everyone\n(10 people)"


def test_profile_tree_draws_every_node_in_words_with_the_marker_of_its_subgroup():
    table = pd.DataFrame(
        {
            "depth": [0, 1, 1],
            "condition": ["everyone", "age at most 40", "age above 40"],
            "n_units": [10, 4, 6],
            "group": [None, "Subgroup 1", "Subgroup 0"],
            "group_number": [-1, 1, 0],
        }
    )
    ax = axes_of(plot_profile_tree(table))
    words = [t.get_text().replace("\n", " ") for t in ax.texts]
    assert words[0] == "everyone: 10 people"
    assert words[1] == "age at most 40: 4 people \u2192 Subgroup 1"
    markers = [line.get_marker() for line in ax.lines if line.get_marker() != "None"]
    assert markers == [MARKERS[1], MARKERS[0]]


def test_membership_stacks_the_given_probabilities():
    table = pd.DataFrame({"Subgroup 0": [0.9, 0.4, 0.0], "Subgroup 1": [0.1, 0.6, 1.0]})
    figure = plot_membership(table)
    steps = [p for p in axes_of(figure).patches if isinstance(p, StepPatch)]
    np.testing.assert_allclose(steps[0].get_data().values, table["Subgroup 0"])
    np.testing.assert_allclose(steps[1].get_data().baseline, table["Subgroup 0"])
    np.testing.assert_allclose(steps[1].get_data().values, 1)
    assert [p.get_hatch() for p in steps] == list(HATCHES[:2])
    assert [t.get_text() for t in figure.legends[0].get_texts()] == list(table.columns)


def test_a_figure_can_be_drawn_on_axes_of_the_caller():
    own = Figure(figsize=(9, 9))
    ax = own.subplots()
    assert plot_caterpillar(numbers(2, rank=[1, 2]), ax=ax) is own
    assert tuple(own.get_size_inches()) == (9, 9)


def test_a_figure_refuses_numbers_it_cannot_name():
    with pytest.raises(DataError, match="lacks rank"):
        plot_caterpillar(numbers(2))
    mixed = numbers(2).assign(ci_prob=[0.8, 0.9])
    with pytest.raises(DataError, match="holds 2"):
        interval_of(mixed)
    with pytest.raises(DataError, match="lacks ci_prob, ci_kind"):
        interval_of(pd.DataFrame({"mean": [1.0]}))


def test_dollar_signs_of_the_user_are_not_mathematics():
    figure = plot_caterpillar(numbers(2, rank=[1, 2]), xlabel="cost in $ and $x_2$")
    assert not figure.axes[0].xaxis.label.get_parse_math()


def test_markers_and_hatches_tell_series_apart_after_the_colours_come_round():
    from bayes_hte.plots.style import COLOURS

    for looks in (MARKERS, HATCHES):
        pairs = {(COLOURS[i % len(COLOURS)], looks[i % len(looks)]) for i in range(20)}
        assert len(pairs) == 20


@pytest.mark.parametrize("title", ["Short", "A title of many words " * 4, "Confounding of both"])
def test_a_title_lies_within_a_figure_of_narrow_axes(title):
    table = numbers(2, group=["x" * 30, "y"], n_units=[4, 6]).assign(is_subgroup=True)
    figure = plot_subgroup_forest(table, title=title)
    figure.draw_without_rendering()
    ax = axes_of(figure)
    words = next(t for t in (ax._left_title, ax.title) if t.get_text())
    box, whole = words.get_window_extent(), figure.bbox
    assert box.x0 >= whole.x0
    assert box.x1 <= whole.x1
    assert box.y1 <= whole.y1
    # From the edge of the figure, left of the axes.
    assert box.x0 < ax.get_window_extent().x0


def test_a_title_on_axes_of_the_caller_stays_with_them():
    own = Figure(figsize=(9, 3))
    left, right = own.subplots(1, 2)
    plot_caterpillar(numbers(3, rank=[1, 2, 3]), ax=right, title="T")
    own.draw_without_rendering()
    assert right._left_title.get_window_extent().x0 >= left.get_window_extent().x1


@pytest.mark.parametrize("depth", [1, 5])
def test_the_words_of_a_profile_tree_end_within_the_figure(depth):
    condition = "education of the parents is not one of high school, college"
    table = pd.DataFrame(
        {
            "depth": list(range(depth + 1)),
            "condition": [condition] * (depth + 1),
            "n_units": 20190,
            "group": [None] * depth + ["Subgroup 1"],
            "group_number": [-1] * depth + [1],
        }
    )
    figure = plot_profile_tree(table, units="person-years", title="T")
    figure.draw_without_rendering()
    boxes = [t.get_window_extent() for t in axes_of(figure).texts]
    assert max(box.x1 for box in boxes) <= figure.bbox.x1
    for above, below in itertools.pairwise(boxes):
        assert above.y0 >= below.y1


def test_the_word_for_what_is_studied_is_drawn():
    rows = {"rank": [1, 2], "group": ["a", "b"], "n_units": [4, 6], "is_subgroup": True}
    table = numbers(2, bin_lower=[0, 1], bin_upper=[1, 2]).assign(**rows)
    shares = pd.DataFrame({"Subgroup 0": [0.9, 0.4], "Subgroup 1": [0.1, 0.6]})
    eyes = {"units": "eyes"}
    assert axes_of(plot_caterpillar(table, **eyes)).get_ylabel().startswith("eyes, ordered")
    assert axes_of(plot_distribution(table, **eyes)).get_ylabel() == "share of eyes (%)"
    assert axes_of(plot_membership(shares, **eyes)).get_xlabel().startswith("eyes, ordered")
    forest = axes_of(plot_subgroup_forest(table, **eyes))
    assert forest.get_yticklabels()[0].get_text() == "a\n(4 eyes)"
