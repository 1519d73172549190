"""Figures of balance, weights, targeting, calibration and sensitivity: they draw what is given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from bayes_hte.checks.loo_pit import BAND, calibration_check
from bayes_hte.errors import DataError
from bayes_hte.plots.calibration import plot_calibration
from bayes_hte.plots.loo_pit import plot_loo_pit
from bayes_hte.plots.love import plot_love
from bayes_hte.plots.rho import plot_rho
from bayes_hte.plots.targeting_curve import plot_targeting_curve
from bayes_hte.plots.tipping import plot_tipping
from bayes_hte.plots.weights import plot_weights

INTERVAL = {"ci_prob": 0.8, "ci_kind": "hdi"}
WORDS = "80% posterior interval, highest-density"


def numbers(mean, **columns) -> pd.DataFrame:
    table = pd.DataFrame({**columns, "mean": mean})
    return table.assign(ci_lower=table["mean"] - 0.3, ci_upper=table["mean"] + 0.2, **INTERVAL)


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def labelled(figure: Figure, label: str):
    return next(line for line in figure.axes[0].lines if line.get_label() == label)


def ends(collection: LineCollection) -> np.ndarray:
    """Both ends of every line: shape (line, 2 points, 2 coordinates)."""
    return np.stack([path.vertices for path in collection.get_paths()])


def band_of(figure: Figure, i: int) -> tuple[float, float]:
    heights = figure.axes[0].collections[i].get_paths()[0].vertices[:, 1]
    return heights.min(), heights.max()


# ---------------------------------------------------------------- balance and weights


def balance() -> pd.DataFrame:
    names = pd.Index(["age", "sex", "income", "constant"], name="covariate")
    raw, weighted = [0.2, -0.6, 0.05, np.nan], [0.01, -0.12, 0.0, np.nan]
    return pd.DataFrame({"raw": raw, "weighted": weighted}, index=names)


def test_love_draws_every_difference_by_falling_size_and_both_thresholds():
    table = balance()
    figure = plot_love(table, threshold=0.15, title="T")
    ax = figure.axes[0]
    order = ["sex", "age", "income", "constant"]
    assert [t.get_text() for t in ax.get_yticklabels()] == order
    assert legend(figure) == ["raw", "weighted"]
    for name in table.columns:
        line = labelled(figure, name)
        np.testing.assert_array_equal(line.get_xdata(), table.loc[order, name])
        np.testing.assert_array_equal(np.round(line.get_ydata()), range(4))
    assert labelled(figure, "raw").get_marker() != labelled(figure, "weighted").get_marker()
    verticals = {line.get_xdata()[0] for line in ax.lines if line.get_linestyle() != "None"}
    assert {-0.15, 0.15} <= verticals
    assert "within 0.15" in ax.get_xlabel()
    assert ax.get_title(loc="left") == "T"


def test_love_refuses_an_empty_table_and_words():
    with pytest.raises(DataError, match="empty table"):
        plot_love(balance().iloc[:0])
    with pytest.raises(DataError, match="words in note"):
        plot_love(balance().assign(note="constant"))


def weight_table() -> pd.DataFrame:
    bins = {"bin_lower": [0.5, 1.0, 2.0] * 2, "bin_upper": [1.0, 2.0, 4.0] * 2}
    share = [0.7, 0.2, 0.1, 0.4, 0.6, 0.0]
    return pd.DataFrame({"arm": ["c"] * 3 + ["t"] * 3, **bins, "share": share})


def test_weights_are_drawn_by_arm_with_the_largest_that_clipping_allows():
    figure = plot_weights(weight_table(), bounds={"t": 40.0})
    ax = figure.axes[0]
    outlines = [p for p in ax.patches if isinstance(p, StepPatch)]
    np.testing.assert_allclose(outlines[0].get_data().values, [70, 20, 10])
    np.testing.assert_allclose(outlines[2].get_data().values, [40, 60, 0])
    np.testing.assert_allclose(outlines[2].get_data().edges, [0.5, 1, 2, 4])
    assert outlines[0].get_hatch() != outlines[2].get_hatch()
    assert legend(figure) == ["c", "t (clipped: at most 40)"]
    assert sorted(line.get_xdata()[0] for line in ax.lines) == [1, 40]
    assert ax.get_xscale() == "log"
    assert ax.get_xlim()[1] > 40


@pytest.mark.parametrize(
    ("change", "bounds", "message"),
    [
        (lambda t: t.drop(columns="share"), None, "lacks share"),
        (lambda t: t[t["arm"] == "t"], None, "compares two arms"),
        (lambda t: t.assign(bin_lower=0.0), None, "above 0"),
        (lambda t: t, {"x": 3.0}, r"bounds names \['x'\]"),
    ],
)
def test_weights_that_cannot_be_drawn_are_refused(change, bounds, message):
    with pytest.raises(DataError, match=message):
        plot_weights(change(weight_table()), bounds=bounds)


def test_weights_near_1_have_more_than_one_number_on_their_axis():
    edges = np.geomspace(0.95, 1.04, 31)
    bins = {"bin_lower": edges[:-1], "bin_upper": edges[1:], "share": 1 / 30}
    table = pd.concat([pd.DataFrame({"arm": arm, **bins}) for arm in ("c", "t")])
    figure = plot_weights(table)
    figure.draw_without_rendering()
    ax = figure.axes[0]
    low, high = ax.get_xlim()
    assert sum(low <= tick <= high for tick in ax.get_xticks()) >= 3
    assert (high / low) < (1.04 / 0.95) ** 1.2


# ---------------------------------------------------------------- targeting and calibration


def test_a_targeting_curve_is_drawn_in_percent_with_its_band():
    table = numbers([0.1, 0.4, 0.0], fraction=[0.2, 0.6, 1.0]).set_index("fraction")
    figure = plot_targeting_curve(table)
    ax = figure.axes[0]
    curve = next(line for line in ax.lines if line.get_marker() == "o")
    np.testing.assert_allclose(curve.get_xydata(), [[20, 0.1], [60, 0.4], [100, 0.0]])
    assert band_of(figure, 0) == (table["ci_lower"].min(), table["ci_upper"].max())
    assert WORDS in ax.get_xlabel()
    assert "pointwise" in ax.get_xlabel()
    assert not figure.legends


def test_several_targeting_curves_are_told_apart_without_colour():
    one = numbers([0.1, 0.0], fraction=[0.5, 1.0])
    table = pd.concat([one.assign(curve="held out"), one.assign(curve="implied")])
    figure = plot_targeting_curve(table, labels={"implied": "the model"})
    assert legend(figure) == ["held out", "the model"]
    first, second = (labelled(figure, label) for label in legend(figure))
    assert first.get_marker() != second.get_marker()
    assert first.get_linestyle() != second.get_linestyle()
    with pytest.raises(DataError, match="at most 3 curves"):
        plot_targeting_curve(pd.concat([one.assign(curve=k) for k in "abcd"]))
    with pytest.raises(DataError, match="lacks fraction"):
        plot_targeting_curve(one.drop(columns="fraction"))


def calibration() -> pd.DataFrame:
    keys = {"quantity": ["predicted", "predicted", "observed", "observed"], "bin": [1, 2, 2, 1]}
    return numbers([-1.0, 2.0, 1.5, -0.5], **keys).set_index(["quantity", "bin"])


def test_calibration_pairs_predicted_and_observed_by_bin():
    figure = plot_calibration(calibration(), xlabel="P", ylabel="O")
    ax = figure.axes[0]
    points = next(line for line in ax.lines if line.get_marker() == "o")
    np.testing.assert_allclose(points.get_xydata(), [[-1, -0.5], [2, 1.5]])
    vertical, horizontal = (ends(c) for c in ax.collections)
    np.testing.assert_allclose(vertical[:, :, 1], [[-0.8, -0.3], [1.2, 1.7]])
    np.testing.assert_allclose(horizontal[:, :, 0], [[-1.3, -0.8], [1.7, 2.2]])
    diagonal = next(line for line in ax.lines if line.get_label().startswith("_child0"))
    assert diagonal.get_slope() == 1
    assert WORDS in ax.get_xlabel()
    assert ax.get_ylabel() == "O"


def test_a_prediction_without_interval_is_drawn_as_a_point():
    table = calibration()
    table.loc["predicted", ["ci_lower", "ci_upper"]] = np.nan
    figure = plot_calibration(table)
    figure.draw_without_rendering()
    ax = figure.axes[0]
    points = next(line for line in ax.lines if line.get_marker() == "o")
    assert len(points.get_xdata()) == len(table.loc["predicted"])
    assert np.isfinite([*ax.get_xlim(), *ax.get_ylim()]).all()


def test_calibration_refuses_bins_without_partner():
    with pytest.raises(DataError, match="the same bins"):
        plot_calibration(calibration().iloc[:3])
    with pytest.raises(DataError, match="lacks quantity, bin"):
        plot_calibration(calibration().reset_index(drop=True))


# ---------------------------------------------------------------- sensitivity


def by_rho() -> pd.DataFrame:
    keys = {"quantity": ["tnie"] * 3 + ["pnde"] * 3, "rho": [-0.5, 0.0, 0.5] * 2}
    return numbers([0.5, 0.2, -0.1, 0.0, 0.3, 0.6], **keys).set_index(["quantity", "rho"])


def test_effects_are_drawn_over_rho_with_the_root_on_the_line_of_zero():
    root = pd.DataFrame(
        {"median": [0.31], "ci_lower": [0.2], "ci_upper": [0.4]}, index=["rho_zero"]
    )
    figure = plot_rho(by_rho(), root=root, better="lower", limits=(-1, 1))
    ax = figure.axes[0]
    assert legend(figure) == [
        "indirect effect (TNIE)",
        "direct effect (PNDE)",
        "indirect effect zero at 0.31",
    ]
    tnie, pnde = (labelled(figure, label) for label in legend(figure)[:2])
    np.testing.assert_allclose(tnie.get_xydata(), [[-0.5, 0.5], [0, 0.2], [0.5, -0.1]])
    assert tnie.get_linestyle() != pnde.get_linestyle()
    assert band_of(figure, 1) == pytest.approx((-0.3, 0.8))
    span = next(line for line in ax.lines if line.get_gid() == "root-interval")
    np.testing.assert_allclose(span.get_xydata(), [[0.2, 0], [0.4, 0]])
    assert ax.get_ylim() == (-1, 1)
    assert "below 0: benefit" in ax.get_ylabel()
    assert WORDS in ax.get_xlabel()


def test_a_table_over_rho_that_cannot_be_drawn_is_refused():
    with pytest.raises(DataError, match="lacks quantity, rho"):
        plot_rho(by_rho().reset_index(drop=True))
    three = pd.concat([by_rho(), by_rho().rename(index={"tnie": "a", "pnde": "b"})])
    with pytest.raises(DataError, match="at most two effects, got 4"):
        plot_rho(three)
    with pytest.raises(DataError, match="lacks the row rho_zero"):
        plot_rho(by_rho(), root=numbers([0.1]).assign(median=0.1))


def tipping_grid(*, sign: int = 1) -> pd.DataFrame:
    gamma, delta = np.meshgrid(np.linspace(0, 2, 21) * sign, np.linspace(0, 1, 21))
    table = pd.DataFrame({"gamma": gamma.ravel(), "delta": delta.ravel()})
    return table.assign(prob_benefit=1 / (1 + (table["gamma"] * table["delta"]).abs()))


@pytest.mark.parametrize("sign", [1, -1])
def test_tipping_draws_all_pairs_whose_product_is_the_bias(sign):
    tips = pd.DataFrame({"bias": [0.5 * sign, sign]}, index=[0.95, 0.5])
    figure = plot_tipping(tipping_grid(sign=sign), tips=tips)
    assert legend(figure) == ["falls below 0.95", "falls below 0.5"]
    for label, bias in zip(legend(figure), tips["bias"], strict=True):
        x, y = labelled(figure, label).get_data()
        drawn = np.isfinite(y)
        np.testing.assert_allclose((x * y)[drawn], bias)
        assert x[drawn].min() >= abs(bias) / 2
    lines = [labelled(figure, label) for label in legend(figure)]
    assert lines[0].get_linestyle() != lines[1].get_linestyle()
    assert figure.axes[1].get_ylabel() == "probability of benefit left"


def test_a_tip_in_the_other_direction_is_on_no_line_of_this_corner():
    tips = pd.DataFrame({"bias": [-0.5]}, index=[0.95])
    line = labelled(plot_tipping(tipping_grid(), tips=tips), "falls below 0.95")
    assert not np.isfinite(line.get_ydata()).any()


def test_covariates_are_drawn_by_size_in_the_corner_of_the_grid():
    covariates = pd.DataFrame(
        {"gamma": [-0.5, 0.3, 0.1, 0.1, 0.01], "delta": [0.8, -1.4, 0.1, 0.2, 0.1]},
        index=["age", "fmde", "sex", "site", "weak"],
    )
    figure = plot_tipping(tipping_grid(sign=-1), benchmarks=covariates)
    points = labelled(figure, "strength of a covariate").get_xydata()
    np.testing.assert_allclose(points, covariates[["delta", "gamma"]].abs() * [1, -1])
    assert {t.get_text() for t in figure.axes[0].texts} == {"fmde", "age", "site", "sex"}
    # One lies beyond the grid: it must not be cut off.
    assert figure.axes[0].get_xlim()[1] > 1.4


def test_the_name_of_a_covariate_on_the_edge_runs_into_the_figure():
    strong = pd.DataFrame({"gamma": [1.0, 0.1], "delta": [1.0, 0.1]}, index=["edge", "origin"])
    figure = plot_tipping(tipping_grid(), benchmarks=strong)
    figure.draw_without_rendering()
    ax = figure.axes[0]
    names = {t.get_text(): t.get_window_extent() for t in ax.texts}
    assert names["edge"].x1 <= ax.get_window_extent().x1
    assert names["origin"].x0 >= ax.get_window_extent().x0


def test_names_of_covariates_do_not_lie_on_each_other():
    near = pd.DataFrame({"gamma": [0.52, 0.5, 0.48], "delta": [0.42, 0.4, 0.38]})
    near.index = ["the strongest", "the second", "the third"]
    figure = plot_tipping(tipping_grid(), benchmarks=near)
    figure.draw_without_rendering()
    names = figure.axes[0].texts
    # One above its point and one below; there is no room for a third.
    assert [t.get_text() for t in names] == ["the strongest", "the second"]
    boxes = [t.get_window_extent() for t in names]
    assert not boxes[0].overlaps(boxes[1])


def test_a_grid_with_gaps_and_too_many_levels_are_refused():
    with pytest.raises(DataError, match="every pair"):
        plot_tipping(tipping_grid().iloc[1:])
    with pytest.raises(DataError, match="every pair"):
        plot_tipping(tipping_grid().query("gamma == 0"))
    with pytest.raises(DataError, match="lacks prob_benefit"):
        plot_tipping(tipping_grid().drop(columns="prob_benefit"))
    with pytest.raises(DataError, match="at most 3 levels"):
        plot_tipping(tipping_grid(), tips=pd.DataFrame({"bias": [1.0] * 4}))


# ---------------------------------------------------------------- left-out predictions


def left_out_table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    arm = np.arange(600) % 2
    pit = np.where(arm == 1, rng.beta(0.5, 0.5, size=600), rng.random(600))
    return calibration_check(pit, arm=arm, arm_names=("old", "new")).table


def test_left_out_shares_are_drawn_with_their_boxes_and_filled_outside():
    table = left_out_table()
    figure = plot_loo_pit(table)
    ax = figure.axes[0]
    assert legend(figure) == ["old", "new"]
    drawn = np.concatenate([line.get_ydata() for line in ax.lines if line.get_marker() in "os"])
    np.testing.assert_allclose(np.sort(drawn), np.sort(100 * table["share"]))
    boxes = np.array([[b.get_y(), b.get_y() + b.get_height()] for b in ax.patches])
    np.testing.assert_allclose(boxes, 100 * table[["lower", "upper"]])
    outside = [line for line in ax.lines if line.get_label() == "_outside"]
    beyond = (table["share"] < table["lower"]) | (table["share"] > table["upper"])
    assert beyond["new"].sum() >= 2
    assert [len(line.get_ydata()) for line in outside] == [beyond["old"].sum(), beyond["new"].sum()]
    assert f"{BAND:.0%}" in ax.get_xlabel()
    markers = {labelled(figure, label).get_marker() for label in legend(figure)}
    assert len(markers) == 2


def test_the_table_of_a_check_that_could_not_run_is_refused():
    pit = np.full(20, np.nan)
    failed = calibration_check(pit, arm=np.arange(20) % 2, arm_names=("a", "b"))
    with pytest.raises(DataError, match="lacks arm"):
        plot_loo_pit(failed.table)
    with pytest.raises(DataError, match="one or two arms"):
        plot_loo_pit(left_out_table().iloc[:0])


def test_a_figure_can_be_drawn_on_axes_of_the_caller():
    own = Figure(figsize=(9, 9))
    assert plot_love(balance(), ax=own.subplots()) is own
    assert tuple(own.get_size_inches()) == (9, 9)
