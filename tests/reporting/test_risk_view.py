"""Effects by predicted outcome: the groups, their numbers, and what is said without them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bayes_hte.names import UNIT
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.sections.risk import risk_view
from bayes_hte.reporting.tables.risks import CONTRAST, RISK, risk_tables
from tests.reporting.html_page import Page, as_number

HOW = {"ci_prob": 0.8, "ci_kind": "eti"}


def lowest_quarter(results):
    predicted = results.reference_outcome.to_series()
    return predicted.index[predicted <= predicted.quantile(0.25)]


def test_draws_are_averaged_over_each_group_before_they_are_summarised(results):
    table = risk_tables(results, **HOW)[RISK].set_index("effect").loc["te"]
    assert table["n_units"].sum() == results.study.n_units
    assert table["position"].is_monotonic_increasing
    draws = results.effects["te"].sel({UNIT: lowest_quarter(results)}).mean(UNIT).to_numpy()
    first = table.iloc[0]
    np.testing.assert_allclose(first["mean"], draws.mean())
    np.testing.assert_allclose(first["ci_upper"], np.quantile(draws, 0.9))
    assert first["prob_benefit"] == (draws > 0).mean()
    assert first["prob_important"] == (draws > 0.3).mean()


def test_predictions_and_outcomes_of_either_arm_are_those_of_the_group(results):
    first = risk_tables(results, **HOW)[RISK].iloc[0]
    units = lowest_quarter(results)
    rows = results.study.frame.assign(arm=results.study.arm_index()).loc[units]
    observed = rows.groupby("arm")["y"].mean()
    assert first["observed_reference"] == pytest.approx(observed[0])
    assert first["observed_other"] == pytest.approx(observed[1])
    predicted = results.reference_outcome.sel({UNIT: units})
    assert first["position"] == pytest.approx(float(predicted.mean()))


def test_units_are_matched_by_label_not_by_place(results):
    shuffled = np.random.default_rng(0).permutation(results.study.n_units)
    moved = replace(results, reference_outcome=results.reference_outcome.isel({UNIT: shuffled}))
    assert risk_tables(moved, **HOW)[RISK].equals(risk_tables(results, **HOW)[RISK])


def test_the_contrast_is_that_of_the_draws(results):
    tables = risk_tables(results, **HOW)
    rows, contrast = tables[RISK].query("effect == 'te'"), tables[CONTRAST].set_index("effect")
    difference = rows["mean"].iloc[-1] - rows["mean"].iloc[0]
    assert contrast.loc["te", "mean"] == pytest.approx(difference)
    independent = np.hypot(rows["sd"].iloc[-1], rows["sd"].iloc[0])
    assert contrast.loc["te", "sd"] < independent  # the part both groups share cancels


def test_a_group_without_an_arm_has_no_observed_mean(observational):
    arm = observational.study.arm_index()
    alone = replace(
        observational, reference_outcome=observational.reference_outcome.copy(data=arm * 1.0)
    )
    table = risk_tables(alone, **HOW)[RISK]
    assert np.isnan(table["observed_other"].iloc[0])
    assert np.isnan(table["observed_reference"].iloc[-1])


def test_the_page_shows_the_numbers_of_the_file(written, tables):
    page, frame = written[1], tables[RISK]
    caption = "Effect by predicted outcome. Groups: the mean y expected under usual <care>."
    shown = [row for row in page.tables[caption] if len(row) == 9][1:]
    assert [row[0].replace("\u2212", "-") for row in shown] == frame["group"].tolist()
    for cells, row in zip(shown, frame.to_dict("records"), strict=True):
        assert as_number(cells[5]) == pytest.approx(row["mean"], abs=0.0051)
        assert as_number(cells[3]) == pytest.approx(row["observed_reference"], abs=0.0051)
    before = page.text.index("Effect by predicted outcome")
    assert before < page.text.index("Individual effects An individual effect")


@pytest.mark.parametrize(
    ("predicted", "said"),
    [(None, "run the study again"), (0.0, "are too alike")],
)
def test_without_groups_the_page_says_why(results, predicted, said):
    same = None if predicted is None else results.reference_outcome * predicted
    without = replace(results, reference_outcome=same)
    assert risk_tables(without, **HOW) == {}
    assert said in Page(risk_view(Material(without, {}))).text
