from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from bayes_hte.errors import DataError
from bayes_hte.plots.coclustering import plot_co_clustering


@pytest.fixture
def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    units = pd.DataFrame(
        {"group": [0, 0, 0, 1, 1], "certainty": [1.0, 0.9, 0.6, 0.7, 0.95]}, index=list("abcde")
    )
    same = units["group"].to_numpy()[:, np.newaxis] == units["group"].to_numpy()
    similarity = np.where(same, 0.9, 0.2)
    return pd.DataFrame(similarity, units.index, units.index), units


def test_the_map_holds_the_given_shares_and_the_strip_the_given_certainties(tables):
    similarity, units = tables
    figure = plot_co_clustering(similarity, units, clear=0.8, title="Who is with whom")
    ax = figure.axes[0]
    image = ax.images[0]
    np.testing.assert_array_equal(image.get_array(), similarity)
    assert image.get_clim() == (0, 1)
    strip = ax.child_axes[0]
    np.testing.assert_array_equal(strip.patches[0].get_data().values, units["certainty"])
    assert strip.lines[0].get_ydata()[0] == 0.8
    assert strip.get_title(loc="left") == "Who is with whom"
    assert strip.get_xlim() == ax.get_xlim()


def test_groups_are_named_in_their_middle_and_divided_by_lines(tables):
    ax = plot_co_clustering(*tables).axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["group 0", "group 1"]
    assert ax.get_yticks().tolist() == [1.0, 3.5]
    assert sorted({*ax.lines[0].get_ydata(), *ax.lines[1].get_xdata()}) == [2.5]
    assert ax.child_axes[0].lines[:] == []


def test_axes_of_the_caller_are_used(tables):
    own = Figure().subplots()
    figure = plot_co_clustering(*tables, ax=own)
    assert figure is own.get_figure()
    assert own.images


def test_tables_that_do_not_belong_together_are_refused(tables):
    similarity, units = tables
    with pytest.raises(DataError, match="5 by 5 units and the strip 4"):
        plot_co_clustering(similarity, units.iloc[:4])
    with pytest.raises(DataError, match="same units in the same order"):
        plot_co_clustering(similarity, units.iloc[::-1])
    with pytest.raises(DataError, match="must stand together"):
        plot_co_clustering(similarity, units.assign(group=[0, 1, 0, 1, 1]))
    with pytest.raises(DataError, match="lacks certainty"):
        plot_co_clustering(similarity, units[["group"]])
