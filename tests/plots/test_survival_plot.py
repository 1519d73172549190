"""The figure of survival curves draws the given numbers, arms and numbers at risk."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_hte.errors import DataError, SpecError
from bayes_hte.plots import plot_survival


def curves(arms=2):
    parts = []
    for arm in range(arms):
        mean = np.exp(-0.3 * (arm + 1) * np.arange(1, 4))
        part = pd.DataFrame({"arm": arm, "time": [1.0, 2.0, 3.0], "mean": mean})
        parts.append(part.assign(ci_lower=mean - 0.05, ci_upper=mean + 0.05))
    return pd.concat(parts).assign(ci_prob=0.95, ci_kind="eti")


def test_curves_start_at_one_and_are_those_of_the_table():
    ax = plot_survival(curves(), arms=["usual care", "_drug"], title="T").axes[0]
    for line, (_, rows) in zip(ax.lines, curves().groupby("arm"), strict=True):
        np.testing.assert_allclose(line.get_ydata(), [1.0, *rows["mean"]])
        np.testing.assert_allclose(line.get_xdata(), [0, 1, 2, 3])
    labels = [text.get_text() for text in ax.figure.legends[0].get_texts()]
    assert labels == ["usual care", " _drug"]


def test_steps_and_numbers_at_risk_are_drawn():
    seen = pd.DataFrame({"arm": [0, 0, 1], "time": [0.0, 1.5, 0.0], "survival": [1.0, 0.5, 1.0]})
    left = pd.DataFrame({0.0: [10, 9], 3.0: [4, 5]})
    ax = plot_survival(curves(), observed=seen, at_risk=left, arms=["a", "b"]).axes[0]
    assert len(ax.lines) == 4
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0\n10\n9", "3\n4\n5"]
    assert "at risk, in the order of the legend" in ax.get_xlabel()


def test_more_arms_than_line_styles_are_drawn():
    assert len(plot_survival(curves(5)).axes[0].lines) == 5


def test_what_is_no_curve_is_refused():
    with pytest.raises(DataError, match="lacks time"):
        plot_survival(curves().drop(columns="time"))
    with pytest.raises(DataError, match="arm 1 has no name"):
        plot_survival(curves(), arms=["a"])


def test_incidence_rises_from_zero_with_its_observed_band():
    table = curves()
    rising = table.assign(
        mean=1 - table["mean"], ci_lower=1 - table["ci_upper"], ci_upper=1 - table["ci_lower"]
    )
    seen = pd.DataFrame({"arm": [0, 0, 1], "time": [0.0, 1.5, 0.0], "incidence": [0.0, 0.4, 0.0]})
    seen = seen.assign(ci_lower=seen["incidence"] / 2, ci_upper=seen["incidence"] * 1.5)
    ax = plot_survival(rising, observed=seen, arms=["a", "b"], kind="incidence").axes[0]
    # Of each arm the curve, the observed one, and both ends of its band.
    assert len(ax.lines) == 8
    assert ax.lines[0].get_ydata()[0] == 0
    assert "Aalen-Johansen" in ax.get_xlabel()
    assert ax.get_ylabel() == "probability of the event"
    assert ax.get_ylim()[1] >= rising["ci_upper"].max()
    with pytest.raises(SpecError, match="incidence"):
        plot_survival(rising, kind="incidense")
