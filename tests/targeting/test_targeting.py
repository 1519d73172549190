"""Targeting: closed forms, agreement between routes, recovery of known truth, nulls, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import integrate, stats

from bayes_hte import targeting
from bayes_hte.errors import DataError, SpecError
from bayes_hte.targeting import posterior, ranking

SAMPLE = ("chain", "draw")


def as_effect(rows: np.ndarray, index: pd.Index | None = None) -> xr.DataArray:
    """Effects with the draws of one chain given as rows."""
    coords = {} if index is None else {"unit": index}
    return xr.DataArray(np.asarray(rows)[None], dims=("chain", "draw", "unit"), coords=coords)


def trial(seed: int, n: int, *, slope: float = 1.0, draws: int = 200, noise: float = 0.3):
    """Randomised trial with effects ``slope * x`` and a posterior around ``x``."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    t = rng.permutation(np.arange(n) % 2)
    y = slope * x * t + rng.normal(size=n)
    effect = as_effect(x + noise * rng.normal(size=(draws, n)))
    return effect, {"outcome": y, "treatment": t, "rng": rng}


FOUR = as_effect(np.tile([3.0, -1.0, 1.0, -3.0], (5, 1)))


# --- Qini and TOC -------------------------------------------------------------------------------


def test_areas_and_heights_of_a_curve_worked_by_hand():
    quarters = [0.25, 0.5, 0.75, 1.0]
    curve = targeting.implied_qini(FOUR, better="higher", fractions=quarters)
    # Gains 3, 1, -1, -3 in quarters: 0.75, 1, 0.75, 0 and an average effect of 0.
    np.testing.assert_allclose(curve.curve[0, 0], [0.75, 1.0, 0.75, 0.0], atol=1e-12)
    np.testing.assert_allclose(curve.area, 0.25 * (0.75 + 1 + 0.75))
    toc = targeting.implied_toc(FOUR, better="higher", fractions=quarters)
    np.testing.assert_allclose(toc.curve[0, 0], [3.0, 2.0, 1.0, 0.0], atol=1e-12)
    segments = 0.75 + (0.5 * np.log(2) + 0.25) + (1.5 * np.log(1.5) - 0.25)
    np.testing.assert_allclose(toc.area, segments + 3 * np.log(4 / 3) - 0.75)


def test_a_cut_through_a_tie_takes_its_expected_part():
    tied = as_effect(np.tile([1.0, 1.0, 0.0, 0.0], (3, 1)))
    y, t = np.array([5.0, 1.0, 2.0, 0.0]), np.array([1, 0, 1, 0])
    low = targeting.uplift_at(
        tied,
        outcome=y,
        treatment=t,
        better="higher",
        rng=np.random.default_rng(0),
        fractions=[0.25, 0.5],
    )
    assert low.counts["n_treated"].tolist() == [0.5, 1.0]
    assert low.counts["mean_difference"].tolist() == [4.0, 4.0]


def test_row_order_changes_no_exact_result():
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 4, size=(1, 60)) + np.zeros((3, 1))
    y, t = rng.normal(size=60), rng.permutation(np.arange(60) % 2)
    order = rng.permutation(60)
    for a, b in ((rows, rows[:, order]), (rows - 2, rows[:, order] - 2)):
        first, second = (targeting.implied_toc(as_effect(r), better="higher") for r in (a, b))
        np.testing.assert_allclose(first.area, second.area, atol=1e-12)
    options = {"better": "higher", "fractions": [0.13, 0.4]}
    kept = [
        targeting.uplift_at(
            as_effect(rows[:, o]),
            outcome=y[o],
            treatment=t[o],
            rng=np.random.default_rng(1),
            **options,
        ).counts
        for o in (np.arange(60), order)
    ]
    pd.testing.assert_frame_equal(*kept)


@pytest.mark.parametrize("ranked_by", ["posterior_mean", "draw"])
def test_ranking_by_the_truth_earns_the_theoretical_areas(ranked_by):
    effect, data = trial(1, 20000, draws=40, noise=0.0)
    options = {**data, "better": "higher", "ranked_by": ranked_by}
    # For normal effects the gain at the share q is the normal density at its quantile.
    qini, toc = targeting.qini(effect, **options), targeting.toc(effect, **options)
    assert float(qini.area.mean()) == pytest.approx(1 / (2 * np.sqrt(np.pi)), abs=0.02)
    autoc, _ = integrate.quad(lambda z: stats.norm.pdf(z) ** 2 / stats.norm.sf(z), -8, 8)
    assert float(toc.area.mean()) == pytest.approx(autoc, abs=0.05)
    half = float(toc.curve.sel(fraction=0.5).mean())
    assert half == pytest.approx(2 * stats.norm.pdf(0), abs=0.05)


def test_truth_beats_noise_and_the_reverse_ranking_loses():
    effect, data = trial(2, 4000)
    noise = as_effect(np.random.default_rng(5).normal(size=effect.shape[1:]))
    areas = [
        targeting.qini(e, **data, better="higher").summary()["mean"].iloc[0]
        for e in (effect, noise, -effect)
    ]
    assert areas[0] > 0.2
    assert abs(areas[1]) < 0.06
    assert areas[2] < -0.2


def test_ranking_by_draw_is_worth_less_than_by_posterior_mean():
    effect, data = trial(3, 4000, noise=2.0)
    mean, draw = (
        float(targeting.toc(effect, **data, better="higher", ranked_by=r).area.mean())
        for r in ("posterior_mean", "draw")
    )
    assert 0 < draw < 0.7 * mean


@pytest.mark.parametrize("verb", [targeting.qini, targeting.toc])
def test_bands_cover_zero_under_the_null_as_often_as_they_say(verb):
    covered = 0
    for seed in range(120):
        effect, data = trial(seed, 200, slope=0.0, draws=200)
        area = verb(effect, **data, better="higher", fractions=[0.5, 1.0]).area
        low, high = np.quantile(area, [0.025, 0.975])
        covered += low <= 0 <= high
    # 95% nominal; binomial noise of 120 trials has sd 2%.
    assert 0.90 <= covered / 120 <= 0.99


def test_equal_effects_rank_nobody_and_earn_nothing():
    effect, data = trial(4, 300)
    flat = xr.zeros_like(effect)
    for ranked_by in ("posterior_mean", "draw"):
        curve = targeting.toc(flat, **data, better="higher", ranked_by=ranked_by)
        np.testing.assert_allclose(curve.area, 0, atol=1e-12)
        np.testing.assert_allclose(curve.curve, 0, atol=1e-12)


@pytest.mark.parametrize("ranked_by", ["posterior_mean", "draw"])
def test_lower_is_better_mirrors_higher_is_better(ranked_by):
    effect, data = trial(5, 500)
    options = {"treatment": data["treatment"], "ranked_by": ranked_by}
    up, down = (
        targeting.qini(
            sign * effect,
            outcome=sign * data["outcome"],
            better=better,
            rng=np.random.default_rng(0),
            **options,
        ).area
        for sign, better in ((1, "higher"), (-1, "lower"))
    )
    np.testing.assert_allclose(down, up, atol=1e-12)
    assert float(up.mean()) > 0
    implied = targeting.implied_qini(-effect, better="lower").area
    np.testing.assert_allclose(implied, targeting.implied_qini(effect, better="higher").area)


def test_the_curve_ends_at_zero_and_area_is_the_integral_of_the_curve():
    effect, data = trial(6, 400)
    fine = np.arange(1, 2001) / 2000
    curve = targeting.qini(effect, **data, better="higher", fractions=fine)
    np.testing.assert_allclose(curve.curve.isel(fraction=-1), 0, atol=1e-12)
    padded = curve.curve.pad(fraction=(1, 0), constant_values=0).to_numpy()
    integral = np.trapezoid(padded, np.concatenate([[0], fine]), axis=-1)
    np.testing.assert_allclose(curve.area, integral, atol=1e-4)


def test_chunks_do_not_show(monkeypatch):
    effect, data = trial(7, 100, draws=30)
    whole = targeting.implied_toc(effect, better="higher").area
    buckets = targeting.effect_by_bucket(effect, data["outcome"], n_buckets=3).draws
    monkeypatch.setattr(posterior, "CELLS_AT_ONCE", 700)
    np.testing.assert_allclose(targeting.implied_toc(effect, better="higher").area, whole)
    again = targeting.effect_by_bucket(effect, data["outcome"], n_buckets=3).draws
    np.testing.assert_allclose(again, buckets)


def test_confounding_needs_the_propensity():
    rng = np.random.default_rng(8)
    x = rng.normal(size=20000)
    e = 1 / (1 + np.exp(-x))
    t = (rng.random(x.size) < e).astype(int)
    y = x**2 + 3 * x * (x > 0) + rng.normal(size=x.size)  # no effect at all
    effect = as_effect(np.tile(x, (50, 1)))
    data = {"outcome": y, "treatment": t, "better": "higher", "rng": rng}
    naive = targeting.qini(effect, **data)
    assert abs(float(naive.area.mean())) > 0.3
    adjusted = targeting.qini(effect, **data, propensity=e)
    assert abs(float(adjusted.area.mean())) < 0.2


# --- uplift and calibration ---------------------------------------------------------------------


def test_uplift_counts_and_predictions_by_hand():
    effect = as_effect([[3.0, 2.0, 1.0, 0.0], [5.0, 4.0, 1.0, 0.0]])
    up = targeting.uplift_at(
        effect,
        outcome=np.array([6.0, 1.0, 2.0, 0.0]),
        treatment=np.array([1, 0, 1, 0]),
        better="higher",
        rng=np.random.default_rng(0),
        fractions=[0.25, 0.5, 1.0],
    )
    np.testing.assert_allclose(up.draws["predicted"][0], [[3, 2.5, 1.5], [5, 4.5, 2.5]])
    assert np.isnan(up.counts.loc[0.25, "mean_control"])
    assert up.counts["mean_difference"].tolist()[1:] == [5.0, 3.5]
    difference = up.draws["observed"] - up.draws["predicted"]
    np.testing.assert_allclose(up.draws["difference"], difference)


def test_uplift_of_the_top_is_recovered_and_stays_in_outcome_units():
    effect, data = trial(9, 20000, noise=0.1)
    truth = stats.norm.pdf(stats.norm.ppf(0.9)) / 0.1
    for sign, better in ((1, "higher"), (-1, "lower")):
        flipped = {**data, "outcome": sign * data["outcome"]}
        up = targeting.uplift_at(sign * effect, **flipped, better=better)
        table = up.summary()
        assert table.loc[("observed", 0.1), "mean"] == pytest.approx(sign * truth, abs=0.1)
        assert table.loc[("predicted", 0.1), "mean"] == pytest.approx(sign * truth, abs=0.1)
        assert up.counts.loc[0.1, "mean_difference"] == pytest.approx(sign * truth, abs=0.1)


@pytest.mark.parametrize("slope", [1.0, 0.5, 0.0])
def test_calibration_slope_tells_signal_from_exaggeration_from_noise(slope):
    effect, data = trial(10, 8000, slope=slope, noise=0.05)
    result = targeting.calibration_by_bins(effect, **data, n_bins=4)
    assert float(result.slope.mean()) == pytest.approx(slope, abs=0.08)
    assert result.counts[["n_control", "n_treated"]].to_numpy().sum() == 8000
    gap = result.summary().loc["difference"]
    inside = (gap["ci_lower"] <= 0) & (gap["ci_upper"] >= 0)
    assert inside.all() == (slope == 1.0)


def test_calibration_slope_is_weighted_least_squares():
    effect, data = trial(11, 50, draws=1)
    weights = np.random.default_rng(1).uniform(0.1, 3, size=50)

    class Fixed:
        def standard_exponential(self, shape):
            return np.broadcast_to(weights, shape)

    result = targeting.calibration_by_bins(effect, **{**data, "rng": Fixed()})
    t, y = data["treatment"] == 1, data["outcome"]
    scores = y[t].mean() - y[~t].mean() + 2 * np.where(t, y - y[t].mean(), y[~t].mean() - y)
    slope, _ = np.polyfit(effect[0, 0], scores, 1, w=np.sqrt(weights))
    np.testing.assert_allclose(result.slope, slope)


# --- buckets ------------------------------------------------------------------------------------


def test_bucket_effects_average_draws_first():
    effect = as_effect([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 9.0]])
    result = targeting.effect_by_bucket(effect, np.array([10, 20, 30, 40]), n_buckets=2)
    np.testing.assert_allclose(result.draws[0], [[1.5, 3.5], [5.5, 8.0]])
    assert result.sizes.tolist() == [2, 2]
    assert result.sizes.index.tolist() == ["1: 10 to 20", "2: 30 to 40"]
    table = result.summary()
    assert table["mean"].tolist() == [3.5, 5.75]
    assert table["n"].tolist() == [2, 2]


def test_equal_values_are_never_split():
    values = np.array([0.0] * 7 + [1.0, 2.0, 3.0])
    codes = targeting.effect_by_bucket(as_effect(np.ones((2, 10))), values, n_buckets=4).codes
    assert len(set(codes[:7])) == 1
    assert codes.max() < 3
    closed = targeting.effect_by_bucket(as_effect(np.ones((2, 3))), np.arange(3), n_buckets=2)
    assert closed.sizes.to_dict() == {"1: 0 to 1": 2, "2: 2 to 2": 1}


def test_levels_make_buckets_of_any_column_by_label():
    units = pd.Index(list("abcd"))
    effect = as_effect([[1.0, 2.0, 3.0, 5.0]], units)
    site = pd.Series(["north", "south", "north", "south"], units)[::-1]
    result = targeting.effect_by_bucket(effect, site, n_buckets=None)
    assert result.sizes.to_dict() == {"north": 2, "south": 2}
    np.testing.assert_allclose(result.draws[0, 0], [2.0, 3.5])


# --- ranks --------------------------------------------------------------------------------------


def test_percentiles_agree_with_scipy_under_ties():
    rows = np.random.default_rng(0).integers(0, 6, size=(20, 30)).astype(np.float32)
    result = targeting.rank_uncertainty(as_effect(rows), better="higher")
    expected = (stats.rankdata(rows, axis=1) - 0.5) / 30
    np.testing.assert_allclose(result.ranks[0], expected, rtol=1e-6)
    rho = [stats.spearmanr(r, rows.mean(axis=0)).statistic for r in rows]
    np.testing.assert_allclose(result.agreement[0], rho, atol=1e-10)
    np.testing.assert_allclose(result.p_top, (expected > 0.8).mean(axis=0))


def test_a_known_ranking_agrees_and_noise_does_not(monkeypatch):
    rng = np.random.default_rng(1)
    truth = np.arange(100.0)
    sharp = targeting.rank_uncertainty(as_effect(np.tile(truth, (40, 1))), better="lower", top=0.1)
    np.testing.assert_allclose(sharp.agreement, 1)
    assert sharp.p_top.tolist() == [1.0] * 10 + [0.0] * 90
    noise = targeting.rank_uncertainty(as_effect(rng.normal(size=(400, 100))), better="higher")
    assert float(noise.agreement.mean()) < 0.2
    assert noise.summary()["sure_of_top"].iloc[0] == 0
    whole = noise.unit_summary()
    monkeypatch.setattr(ranking, "UNIT_CELLS", 4000)
    pd.testing.assert_frame_equal(noise.unit_summary(), whole)
    assert whole["p_top"].mean() == pytest.approx(0.2, abs=0.01)


def test_a_draw_without_ranking_agrees_with_none():
    result = targeting.rank_uncertainty(as_effect([[1.0, 2.0, 3.0], [5, 5, 5]]), better="higher")
    assert result.agreement.to_numpy().tolist() == [[pytest.approx(1.0), 0.0]]


# --- policies -----------------------------------------------------------------------------------


def test_policy_value_and_regret_by_hand():
    effect = as_effect([[2.0, -1.0, 3.0, 0.0], [-2.0, 1.0, 3.0, 2.0]])
    value = targeting.policy_value(effect, treat=np.array([1, 0, 1, 0.5]), better="higher")
    np.testing.assert_allclose(value.gain[0], [5 / 4, 2 / 4])
    np.testing.assert_allclose(value.gain_over_all[0], [1 / 4, -2 / 4])
    np.testing.assert_allclose(value.regret[0], [5 / 4 - 5 / 4, 6 / 4 - 2 / 4])
    assert value.share_treated == pytest.approx(2.5 / 4)
    assert value.expected_outcome is None
    assert value.summary().index.tolist() == ["gain", "gain_over_all", "regret"]


def test_cost_and_direction_enter_the_value():
    effect = as_effect([[2.0, -1.0, -3.0]])
    value = targeting.policy_value(effect, treat=np.array([0, 1, 1]), better="lower", cost=0.5)
    np.testing.assert_allclose(value.gain, (0.5 + 2.5) / 3)
    np.testing.assert_allclose(value.regret, 0)
    everybody = (-2.5 + 0.5 + 2.5) / 3
    np.testing.assert_allclose(value.gain_over_all, 1 - everybody)


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_potential_outcomes_give_the_expected_outcome(better):
    rng = np.random.default_rng(2)
    mu = xr.DataArray(rng.normal(size=(2, 3, 5, 2)), dims=(*SAMPLE, "unit", "arm"))
    treat = np.array([True, False, True, True, False])
    value = targeting.policy_value(mu, treat=treat, better=better, cost=0.7)
    expected = xr.where(xr.DataArray(treat, dims="unit"), mu[..., 1], mu[..., 0]).mean("unit")
    np.testing.assert_allclose(value.expected_outcome, expected)
    # With a mediator that follows the arm only the two diagonal cells count.
    nested = mu.expand_dims(mediator_arm=2, axis=-1).copy()
    nested[..., 0, 1] = nested[..., 1, 0] = 99.0
    again = targeting.policy_value(nested, treat=treat, better=better, cost=0.7)
    np.testing.assert_allclose(again.expected_outcome, expected)


def test_the_rule_of_the_posterior_mean_has_the_least_expected_regret():
    rng = np.random.default_rng(3)
    effect = as_effect(rng.normal(size=30) + rng.normal(size=(500, 30)))
    best = (effect.mean(SAMPLE) > 0).to_numpy()
    rules = [best, ~best, np.ones(30), np.zeros(30), rng.random(30)]
    regrets = [
        float(targeting.policy_value(effect, treat=r, better="higher").regret.mean()) for r in rules
    ]
    assert min(regrets) == regrets[0] > 0


# --- common contract ----------------------------------------------------------------------------


def test_order_of_dims_and_storage_do_not_matter():
    effect, data = trial(12, 80, draws=20)
    turned = effect.transpose("unit", "draw", "chain").astype(np.float32)
    a, b = (targeting.implied_qini(e, better="higher").area for e in (effect, turned))
    assert a.dims == b.dims == SAMPLE
    np.testing.assert_allclose(a, b, rtol=1e-5)
    assert (turned.sizes["unit"], data["outcome"].size) == (80, 80)


def test_draws_keep_their_coordinates():
    effect, data = trial(13, 50, draws=6)
    effect = effect.assign_coords(chain=["first"], draw=np.arange(10, 16))
    curve = targeting.qini(effect, **data, better="higher")
    assert curve.area["draw"].to_numpy().tolist() == list(range(10, 16))
    assert curve.curve.dims == (*SAMPLE, "fraction")
    assert curve.area.attrs["population"] == "SATE of the 50 units given"
    assert curve.area.attrs["scale"].startswith("benefit")
    assert curve.curve_summary()["evaluated_on"].unique().tolist() == ["observed outcomes"]


def test_bad_effects_are_refused():
    effect, data = trial(14, 10, draws=4)
    refused = [
        (effect.to_numpy(), "must be a DataArray"),
        (effect.expand_dims("contrast"), "select one contrast"),
        (effect.where(effect.draw != 1), "NaN or infinite"),
        (effect.isel(unit=[0]), "fewer than two units"),
    ]
    for bad, message in refused:
        with pytest.raises(DataError, match=message):
            targeting.implied_qini(bad, better="higher")
        with pytest.raises(DataError, match=message):
            targeting.qini(bad, **data, better="higher")


def test_bad_outcomes_are_refused():
    effect, data = trial(15, 10, draws=4)
    options = {**data, "better": "higher"}
    with pytest.raises(DataError, match="one arm only"):
        targeting.qini(effect, **{**options, "treatment": np.ones(10)})
    with pytest.raises(DataError, match="9 values for 10 units"):
        targeting.toc(effect, **{**options, "outcome": data["outcome"][:9]})
    with pytest.raises(DataError, match="outcome has 10 NaN"):
        targeting.uplift_at(effect, **{**options, "outcome": np.full(10, np.nan)})
    labelled = effect.assign_coords(unit=np.arange(100, 110))
    with pytest.raises(DataError, match="no value for 10 of 10 units"):
        targeting.qini(labelled, **{**options, "outcome": pd.Series(data["outcome"])})


INDEXES = {
    "named": pd.Index([f"p{i}" for i in range(10)], name="patient_id"),
    "named like a dimension": pd.Index(range(10), name="draw"),
    "nullable": pd.Index(range(10), dtype="Int64"),
    "two levels": pd.MultiIndex.from_product([range(5), ["left", "right"]], names=["id", "eye"]),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES.keys())
def test_values_are_matched_by_label_whatever_the_index_of_the_units(index):
    effect, data = trial(15, 10, draws=4)
    names = list(index.names) if index.nlevels > 1 else ["unit"]
    coords = (
        xr.Coordinates.from_pandas_multiindex(index, "unit")
        if index.nlevels > 1
        else {"unit": index.rename("unit")}
    )
    labelled = effect.assign_coords(coords)
    assert set(names) <= set(labelled.coords)
    order = np.random.default_rng(1).permutation(10)
    shuffled = {k: pd.Series(data[k], index).iloc[order] for k in ("outcome", "treatment")}

    def found(of: xr.DataArray, seen: dict) -> list[pd.DataFrame]:
        rng = np.random.default_rng
        by = pd.Series(np.arange(10.0), index).iloc[order] if of is labelled else np.arange(10.0)
        return [
            targeting.qini(of, **seen, better="higher", rng=rng(1)).summary(),
            targeting.uplift_at(of, **seen, better="higher", rng=rng(1)).summary(),
            targeting.effect_by_bucket(of, by, n_buckets=2).summary(),
            targeting.policy_value(of, treat=by > 4, better="higher").summary(),
        ]

    plain = {k: data[k] for k in ("outcome", "treatment")}
    for got, expected in zip(found(labelled, shuffled), found(effect, plain), strict=True):
        pd.testing.assert_frame_equal(got, expected)
    ranks = targeting.rank_uncertainty(labelled, better="higher")
    assert ranks.p_top.index.tolist() == index.tolist()
    assert len(ranks.unit_summary()) == 10


def test_bad_options_are_refused():
    effect, data = trial(16, 10, draws=4)
    with pytest.raises(SpecError, match="direction for better"):
        targeting.qini(effect, **data, better="up")
    with pytest.raises(SpecError, match="unknown ranked_by"):
        targeting.qini(effect, **data, better="higher", ranked_by="median")
    for fractions in ([0.5, 0.4], [0.0, 1.0], [0.5, 1.1], []):
        with pytest.raises(SpecError, match="fractions must increase"):
            targeting.implied_toc(effect, better="higher", fractions=fractions)
    for fractions in ([0.0], [1.5], []):
        with pytest.raises(SpecError, match="fractions must be shares"):
            targeting.uplift_at(effect, **data, better="higher", fractions=fractions)
    for fractions in ("half", None, ["a", "b"]):
        with pytest.raises(SpecError, match="fractions must be shares"):
            targeting.uplift_at(effect, **data, better="higher", fractions=fractions)
    for evaluate in (targeting.qini, targeting.toc, targeting.uplift_at):
        with pytest.raises(
            SpecError, match=r"pass rng=numpy.random.default_rng\(<seed>\), got int"
        ):
            evaluate(effect, **{**data, "rng": 1}, better="higher")
    for top in (20, "0.2", None):
        with pytest.raises(SpecError, match="top must be a share"):
            targeting.rank_uncertainty(effect, better="higher", top=top)
    for n in (1, 2.5, "3"):
        with pytest.raises(
            SpecError, match="number of buckets must be a whole number, at least 2, got"
        ):
            targeting.calibration_by_bins(effect, **data, n_bins=n)
    for cost in (np.inf, "1", None):
        with pytest.raises(SpecError, match="cost must be a finite"):
            targeting.policy_value(effect, treat=np.ones(10), better="higher", cost=cost)
    with pytest.raises(DataError, match=r"treat must lie in \[0, 1\]"):
        targeting.policy_value(effect, treat=np.full(10, 2), better="higher")


def test_nothing_to_rank_or_bucket_is_refused():
    effect, data = trial(17, 10, draws=4)
    with pytest.raises(DataError, match="there is no ranking"):
        targeting.rank_uncertainty(xr.zeros_like(effect), better="higher")
    with pytest.raises(DataError, match="collapse into one"):
        targeting.calibration_by_bins(xr.zeros_like(effect), **data)
    with pytest.raises(DataError, match="1 distinct values"):
        targeting.effect_by_bucket(effect, np.array(["a"] * 10), n_buckets=None)
    by = pd.Series(["a", None, "b", None, *"aabbab"])
    with pytest.raises(DataError, match="2 missing values"):
        targeting.effect_by_bucket(effect, by, n_buckets=None)
    with pytest.raises(DataError, match="by must be numeric"):
        targeting.effect_by_bucket(effect, np.array(list("aabbaabbab")), n_buckets=2)
