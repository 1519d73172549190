"""Figures of mixtures: they draw the numbers that they are given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_hte.errors import DataError
from bayes_hte.plots import plot_agreement, plot_identifiability

INTERVAL = {"ci_prob": 0.8, "ci_kind": "hdi"}


def answers() -> pd.DataFrame:
    rows = {"label": ["Class 0", "Class 1", "all classes"]}
    for way, shift in (("likelihood", 0.0), ("moments", 0.1)):
        middle = np.array([-0.5, 0.6, 0.1]) + shift
        rows |= {
            f"{way}_median": middle,
            f"{way}_lower": middle - 0.3,
            f"{way}_upper": middle + 0.2,
        }
    return pd.DataFrame(rows).assign(**INTERVAL)


def ends(collection) -> np.ndarray:
    return np.stack([path.vertices for path in collection.get_paths()])


def test_agreement_draws_both_answers_and_the_truth():
    table = answers().assign(truth=[-0.4, 0.5, 0.2])
    figure = plot_agreement(table, better="higher", important=0.25, xlabel="effect", title="T")
    ax = figure.axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["Class 0", "Class 1", "all classes"]
    shown = [t.get_text() for t in figure.legends[0].get_texts()]
    assert shown == ["likelihood", "moments", "truth"]
    for way, lines in zip(("likelihood", "moments"), ax.collections[:2], strict=True):
        bounds = table[[f"{way}_lower", f"{way}_upper"]].to_numpy()
        np.testing.assert_allclose(ends(lines)[..., 0], bounds)
        points = next(line for line in ax.lines if line.get_label() == way)
        np.testing.assert_allclose(points.get_xdata(), table[f"{way}_median"])
        np.testing.assert_array_equal(np.round(points.get_ydata()), range(3))
    np.testing.assert_allclose(ends(ax.collections[2])[:, 0, 0], table["truth"])
    verticals = {line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 2}
    assert {0, 0.25} <= verticals
    assert "80% posterior interval, highest-density" in ax.get_xlabel()
    assert "benefit" in ax.get_xlabel()
    assert ax.get_title(loc="left") == "T"


def test_an_answer_that_is_absent_is_not_drawn():
    table = answers().iloc[:2]
    table.loc[:, ["moments_median", "moments_lower", "moments_upper"]] = np.nan
    figure = plot_agreement(table, quantity="probability")
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["likelihood"]
    assert figure.axes[0].get_xlim() == (0, 1)
    assert "benefit" not in figure.axes[0].get_xlabel()


def test_agreement_refuses_what_it_cannot_name():
    with pytest.raises(DataError, match="lacks moments_upper"):
        plot_agreement(answers().drop(columns="moments_upper"))
    with pytest.raises(DataError, match="holds 2"):
        plot_agreement(answers().assign(ci_prob=[0.8, 0.8, 0.9]))


def levels() -> pd.DataFrame:
    rows = [
        (quantity, level, quantity == "ate" or level != "4", level == "3")
        for quantity in ("ate", "effects")
        for level in ("3", "4")
    ]
    return pd.DataFrame(rows, columns=["quantity", "level", "identified", "reached"])


def test_levels_are_drawn_with_the_reached_one_shaded():
    figure = plot_identifiability(levels(), title="T")
    ax = figure.axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["ate", "effects"]
    assert [t.get_fontweight() for t in ax.get_xticklabels()] == ["bold", "normal"]
    marks = {line.get_label(): set(map(tuple, line.get_xydata())) for line in ax.lines}
    assert marks == {"identified": {(0, 0), (1, 0), (0, 1)}, "not identified": {(1, 1)}}
    (shade,) = ax.patches
    assert (shade.get_x(), shade.get_x() + shade.get_width()) == (-0.46, 0.46)


def test_a_design_that_reaches_no_level_is_said_to():
    figure = plot_identifiability(levels().assign(reached=False))
    assert not figure.axes[0].patches
    assert "no level" in figure.axes[0].get_xlabel()


def test_levels_that_make_no_grid_are_refused():
    with pytest.raises(DataError, match="each once"):
        plot_identifiability(levels().iloc[:3])
    with pytest.raises(DataError, match="marks 2"):
        plot_identifiability(levels().assign(reached=True))
    with pytest.raises(DataError, match="lacks reached"):
        plot_identifiability(levels().drop(columns="reached"))
