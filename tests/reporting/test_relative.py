"""Outcomes of both arms, differences and ratios: closed forms and the draws they come from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from bayes_hte.names import ARM, UNIT
from bayes_hte.reporting.sections.conclusion import needed_words
from bayes_hte.reporting.tables.relative import ALL, BY_RISK, compare, relative_table

HOW = {"ci_prob": 0.9, "ci_kind": "eti"}


def draws(values) -> xr.DataArray:
    return xr.DataArray(np.array(values, dtype=float).reshape(1, -1), dims=("chain", "draw"))


def row_of(table, quantity):
    return table.set_index("quantity").loc[quantity]


def test_ratios_of_known_risks_are_those_of_the_textbook(trial_of_risks):
    pair = draws([0.2] * 4), draws([0.1] * 4)
    table = compare(pair, trial_of_risks, **HOW)
    assert row_of(table, "risk_ratio")["median"] == pytest.approx(0.5)
    assert row_of(table, "odds_ratio")["median"] == pytest.approx((0.1 / 0.9) / (0.2 / 0.8))
    assert row_of(table, "number_needed")["median"] == pytest.approx(10)  # the event is bad
    harm = compare(pair[::-1], trial_of_risks, **HOW)
    assert row_of(harm, "number_needed")["median"] == pytest.approx(-10)


def test_the_interval_of_the_number_needed_is_that_of_the_difference_inverted(trial_of_risks):
    gain = np.linspace(0.02, 0.10, 41)
    table = compare((draws(np.full(41, 0.3)), draws(0.3 - gain)), trial_of_risks, **HOW)
    row = row_of(table, "number_needed")
    low, high = np.quantile(gain, [0.05, 0.95])
    assert (row["ci_lower"], row["ci_upper"]) == (pytest.approx(1 / high), pytest.approx(1 / low))
    assert needed_words(row) == "17 to benefit one (11 to 42)"


def test_an_interval_that_holds_no_difference_passes_through_infinity(trial_of_risks):
    gain = np.linspace(-0.02, 0.10, 41)
    row = row_of(
        compare((draws(np.full(41, 0.3)), draws(0.3 - gain)), trial_of_risks, **HOW),
        "number_needed",
    )
    assert row["ci_lower"] < 0 < row["ci_upper"]
    said = needed_words(row)
    assert "to benefit one, through infinity, to" in said
    assert said.startswith("25 to benefit one")


def test_counts_have_a_rate_ratio_and_means_none(trial_of_risks, build):
    counts = build(mediator=False, family="poisson")
    table = compare((draws([2.0] * 3), draws([3.0] * 3)), counts, **HOW)
    assert row_of(table, "rate_ratio")["median"] == pytest.approx(1.5)
    assert set(table["quantity"]) == {
        "outcome_reference",
        "outcome_other",
        "difference",
        "rate_ratio",
    }
    means = compare((draws([2.0] * 3), draws([3.0] * 3)), build(mediator=False), **HOW)
    assert len(means) == 3


def test_groups_are_averaged_in_each_draw_before_they_are_compared(trial_of_risks):
    table = relative_table(trial_of_risks, **HOW)
    everyone = row_of(table[table["view"] == ALL], "risk_ratio")
    means = trial_of_risks.arm_means
    ratio = (means.isel({ARM: 1}) / means.isel({ARM: 0})).to_numpy()
    assert everyone["median"] == pytest.approx(np.median(ratio))
    quarters = table[(table["view"] == BY_RISK) & (table["quantity"] == "difference")]
    predicted = trial_of_risks.reference_outcome.to_series()
    lowest = predicted.index[predicted <= predicted.quantile(0.25)]
    inside = trial_of_risks.effects["te"].sel({UNIT: lowest}).mean(UNIT)
    assert quarters["mean"].iloc[0] == pytest.approx(float(inside.mean()))
    assert quarters["n_units"].sum() == trial_of_risks.study.n_units
    assert set(table["view"]) == {ALL, BY_RISK, "subgroups of TE"}


def test_a_run_that_kept_no_draws_has_its_averages_alone(trial_of_risks):
    old = replace(trial_of_risks, reference_draws=None)
    assert set(relative_table(old, **HOW)["view"]) == {ALL}
    assert relative_table(replace(old, arm_means=None), **HOW) is None
