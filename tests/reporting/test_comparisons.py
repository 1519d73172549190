from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes_hte.checks import loo_pit
from bayes_hte.checks.base import CheckResult
from bayes_hte.reporting import all_tables
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.sections.comparisons import classical_comparison, learner_comparison
from bayes_hte.reporting.sections.confounding import balance_block, hidden_confounding
from bayes_hte.reporting.sections.trust import trust as trust_section
from bayes_hte.reporting.sections.trust import trust_box
from bayes_hte.reporting.sections.unseen import unseen_outcomes
from bayes_hte.reporting.tables.keys import check_keys
from bayes_hte.reporting.tables.trust import learners, side_by_side, trust_tables, weight_shares
from tests.reporting.html_page import Page, as_number

HOW = {"ci_prob": 0.8, "ci_kind": "eti"}
NAMES = ("usual", "new")
NOT_WORKED_OUT = "No sensitivity analysis for such confounding"


@pytest.fixture(scope="module")
def pages(results, tables, observational):
    """Everything a section needs, for a mediated trial and for an observational study."""
    return Material(results, tables), Material(observational, all_tables(observational))


def without(material: Material, **changes) -> Material:
    return Material(replace(material.results, **changes), material.tables)


def test_every_method_is_listed_with_its_own_interval(results):
    table = side_by_side(results, **HOW).set_index(["method", "population"])
    draws = results.populations["SATE"].to_numpy()
    row = table.loc[("model", "SATE")]
    np.testing.assert_allclose(
        row[["ci_lower", "ci_upper"]].tolist(), np.quantile(draws, [0.1, 0.9])
    )
    frame, arm = results.study.frame, results.study.arm_index()
    treated, control = (frame.loc[arm == a, "y"] for a in (1, 0))
    raw = stats.ttest_ind(treated, control, equal_var=False)
    row = table.loc[("raw difference of means", "")]
    assert row["mean"] == pytest.approx(treated.mean() - control.mean())
    half = stats.norm.ppf(0.9) * row["mean"] / raw.statistic
    assert row["ci_upper"] - row["mean"] == pytest.approx(half)
    assert row["interval"] == "80% confidence, normal"
    weighted = results.classical.weighted.draws.to_numpy()
    row = table.loc[("inverse-probability weighting", "ATE")]
    assert row["mean"] == pytest.approx(weighted.mean())
    assert row["ci_lower"] == pytest.approx(np.quantile(weighted, 0.1))
    assert row["interval"] == "80% posterior interval, equal-tailed"
    matched = table.loc[("nearest-neighbour matching", "ATT")]
    assert matched["mean"] == results.classical.matched.att
    assert np.isnan(matched["ci_lower"])


def test_classical_estimates_are_shown_as_computed_and_none_gets_a_false_interval(pages):
    material, _ = pages
    shown = Page(classical_comparison(material)).tables["Average effects by method."][1:]
    assert [row[0] for row in shown].count("model") == 2
    for row, numbers in zip(shown, material.tables["side_by_side"].to_dict("records"), strict=True):
        assert as_number(row[2]) == pytest.approx(
            numbers["mean"], abs=0.51 * 10**-material.style.decimals
        )
    assert shown[-1][3:] == ["none", ""]
    assert shown[0][1] == "all people of the study"


def test_learners_are_compared_with_that_of_the_study(observational):
    table = learners(observational, **HOW).set_index("learner")
    assert table.index.tolist() == ["hierarchical", "t", "homogeneous"]
    assert table.loc["hierarchical", "rank_correlation"] == pytest.approx(1)
    assert table.loc["t", "rank_correlation"] == pytest.approx(-1)
    assert np.isnan(table.loc["homogeneous", "rank_correlation"])
    own, other = table.loc["hierarchical"], table.loc["t"]
    assert other["mean"] - own["mean"] == pytest.approx(1)
    effect = observational.effects["te"].mean(("chain", "draw"))
    assert own["spread"] == pytest.approx(float(effect.std()))
    assert other["spread"] == pytest.approx(own["spread"])
    assert own["median_sd"] == pytest.approx(
        float(observational.effects["te"].std(("chain", "draw")).median())
    )


def test_equal_effects_up_to_rounding_have_no_rank_correlation(observational):
    mean = observational.beside["homogeneous"]["mean"]
    dust = mean + 1e-15 * np.arange(mean.size)
    beside = {"homogeneous": observational.beside["homogeneous"].assign(mean=dust)}
    table = learners(replace(observational, beside=beside), **HOW).set_index("learner")
    assert np.isnan(table.loc["homogeneous", "rank_correlation"])


def test_learners_are_shown_where_there_are_any(pages):
    mediated, other = pages
    assert learner_comparison(mediated) == ""
    page = Page(learner_comparison(other))
    shown = page.tables["The same data, other learners."][1:]
    assert [row[0] for row in shown] == ["hierarchical", "T-learner", "homogeneous"]
    assert shown[2][-1] == "not available"
    assert "those of the first row (hierarchical)" in page.text


def test_weights_are_counted_within_each_arm_and_none_is_lost(results):
    arm = results.study.arm_index()
    weights = pd.Series(np.where(arm == 1, 0.8, 1.0))
    weights.iloc[np.flatnonzero(arm == 1)[0]] = 8.0
    table = weight_shares(weights, results.study, NAMES)
    assert table.groupby("arm")["n_units"].sum().to_dict() == {"usual": 30, "new": 30}
    assert table.groupby("arm")["share"].sum().tolist() == pytest.approx([1, 1])
    filled = table.query("n_units > 0 and arm == 'new'")
    assert filled["n_units"].tolist() == [29, 1]
    assert filled["bin_upper"].max() == pytest.approx(8)
    equal = weight_shares(pd.Series(np.ones(60)), results.study, NAMES)
    assert equal["n_units"].sum() == 60
    assert (equal["bin_lower"] < equal["bin_upper"]).all()


def test_balance_is_shown_with_the_size_that_is_left(pages):
    material, _ = pages
    page = Page(balance_block(material))
    effective = material.results.classical.weighted.diagnostics["ess"]
    assert f"{effective['control']:.0f} of 30 in usual <care>" in page.text
    assert len(page.alternatives) == 2
    large = (material.results.classical.balance["raw"].abs() > 0.1).sum()
    assert f"differences beyond 0.1: {large} raw," in page.alternatives[0]
    ratios = material.tables["balance"].set_index("covariate")
    assert ratios["raw"].tolist() == material.results.classical.balance["raw"].tolist()
    assert {"variance_ratio_raw", "variance_ratio_matched"} <= set(ratios)


def test_slope_and_area_shown_are_those_of_the_draws(pages):
    material, _ = pages
    page, found = Page(unseen_outcomes(material)), material.results.targeting
    assert f"is {found.calibration.slope.mean():.2f} (90% interval" in page.text
    areas = material.tables["areas"].set_index("quantity")
    assert areas.index.tolist() == ["qini_coefficient", "autoc", "calibration_slope"]
    qini = areas.loc["qini_coefficient"]
    np.testing.assert_allclose(qini["mean"], found.qini.area.mean())
    np.testing.assert_allclose(qini["ci_lower"], found.qini.area.quantile(0.05))
    assert (
        "The 60 people judged here were fitted, but each is predicted from all others" in page.text
    )
    assert all(len(words) > 30 for words in page.alternatives)
    assert len(page.alternatives) == 2


def test_predictions_of_units_left_out_one_by_one_get_no_interval(results):
    names = {"effect_calibration": "bin", "uplift": "fraction"}
    one_by_one = trust_tables(results, **HOW)
    away = replace(results, targeting=replace(results.targeting, how="held out"))
    held_out = trust_tables(away, **HOW)
    for key, index in names.items():
        alone, whole = (t[key].set_index(["quantity", index]) for t in (one_by_one, held_out))
        assert set(alone.index.get_level_values("quantity")) == {"predicted", "observed"}
        assert alone.loc["predicted", ["sd", "ci_lower", "ci_upper"]].isna().all(axis=None)
        pd.testing.assert_series_equal(
            alone.loc["predicted", "mean"], whole.loc["predicted", "mean"]
        )
        pd.testing.assert_frame_equal(alone.loc["observed"], whole.loc["observed"])
        assert whole.notna().all(axis=None)


def test_lines_of_predictions_are_named_only_where_they_are_drawn(pages):
    material, _ = pages
    assert "90% interval, of the observation." in Page(unseen_outcomes(material)).text
    results = material.results
    away = replace(results, targeting=replace(results.targeting, how="held out"))
    page = Page(unseen_outcomes(Material(away, all_tables(away))))
    assert "90% interval, of the prediction and the observation." in page.text
    assert "were held out: no model has seen them" in page.text


def test_effects_that_were_not_judged_are_said_to_be_so(pages):
    material, _ = pages
    words = Page(unseen_outcomes(without(material, targeting=None))).text
    assert "This was not judged" in words
    assert "qini" not in trust_tables(replace(material.results, targeting=None), **HOW)


def test_e_values_and_tipping_points_shown_are_those_computed(pages):
    _, material = pages
    page, found = Page(hidden_confounding(material)), material.results.sensitivity
    shown = page.tables["E-values of the average effect."][1:]
    assert [row[0] for row in shown] == ["no effect", "\N{MINUS SIGN}0.3 points & more"]
    assert float(shown[0][1]) == pytest.approx(found.e_values[0].draws.median().item(), abs=0.0051)
    tips = material.tables["tipping_points"].set_index("level")
    np.testing.assert_allclose(tips["bias"], found.tipping.tips["bias"])
    assert "Sensitivity to unmeasured confounding: E-value. " in page.text.replace(" .", ".")
    assert page.alternatives[0].endswith("; never high.")
    links = {a["href"] for _, a in page.all("a")}
    assert links >= {f"tables/{key}.csv" for key in ("e_values", "tipping", "tipping_points")}
    assert ("tables/tipping_benchmarks.csv" in links) == ("tipping_benchmarks" in material.tables)


def test_the_bias_that_tips_the_answer_is_said(build):
    helped = build(mediator=False, assignment="observational", better="higher")
    page = Page(hidden_confounding(Material(helped, all_tables(helped))))
    bias = helped.sensitivity.tipping.tips.loc[0.95, "bias"]
    said = page.alternatives[0].split("below 0.95 from a bias of ")[1].split(";")[0]
    assert float(said) == pytest.approx(bias, abs=0.01)


def test_the_correlation_that_makes_the_indirect_effect_vanish_is_shown(pages):
    material, _ = pages
    page = Page(hidden_confounding(material))
    assert not page.tables
    zero = material.tables["rho_zero"].set_index("quantity").loc["rho_zero", "median"]
    assert page.alternatives[0].endswith(f"zero at \N{MINUS SIGN}{-zero:.2f}.")
    assert "Sensitivity to confounding of mediator and outcome." in page.text


def test_randomised_is_not_confused_with_not_analysed(pages, build):
    plain = build(mediator=False, assignment="randomised")
    words = Page(hidden_confounding(Material(plain, {}))).text
    assert "nothing hidden can confound the total effect" in words
    _, observed = pages
    absent = Page(hidden_confounding(without(observed, sensitivity=None))).text
    assert absent == "No sensitivity analysis was made."
    tables = trust_tables(replace(observed.results, sensitivity=None), **HOW)
    assert not {"e_values", "tipping", "rho"} & set(tables)


def test_a_mediated_study_without_rho_says_that_it_is_not_worked_out(pages):
    material, _ = pages
    none = replace(material.results.sensitivity, rho=None)
    assert NOT_WORKED_OUT in trust_section(without(material, sensitivity=none)).body


def test_left_out_predictions_are_drawn_where_the_check_could_run(pages):
    material, _ = pages
    page = Page(trust_section(material).body)
    assert NOT_WORKED_OUT not in page.text
    assert sum("left-out predictions, by arm" in words for words in page.alternatives) == 1
    failed = CheckResult(loo_pit.NAME, False, pd.DataFrame(), "Could not run.")
    checks = tuple(failed if c.name == failed.name else c for c in material.results.checks)
    results = replace(material.results, checks=checks)
    tables = {k: v for k, v in material.tables.items() if k not in check_keys(results)}
    verdicts = pd.DataFrame([{"check": c.name, "state": c.state, "text": c.text} for c in checks])
    body = trust_section(Material(results, {**tables, "checks": verdicts})).body
    assert "fig-loo-pit" not in body
    assert "Could not run." in body


def check(name, passed, text="why & how"):
    return CheckResult(name, passed, pd.DataFrame(), text)


def test_the_verdict_is_shown_with_what_decided_it(with_checks, pages):
    sound = [check("sampling health: outcome", True), check("overlap of the arms", True)]
    sound += [check("assignment of the treatment", True)]
    box = {
        name: Page(trust_box(Material(with_checks(*checks), {})))
        for name, checks in {
            "green": sound,
            "amber": [*sound, check("posterior predictive by arm", False)],
            "red": [sound[0], check("overlap of the arms", False)],
            "observational": [*sound[:2], check("assignment of the treatment", None)],
            "unchecked": [sound[1]],
        }.items()
    }
    words = {name: page.text.replace(" .", ".") for name, page in box.items()}
    differ = "Do effects differ between people: not shown."
    assert f"Can the numbers be used: yes. {differ}" in words["green"]
    assert f"Can the numbers be used: with care. {differ}" in words["amber"]
    assert "Posterior predictive by arm. why & how" in words["amber"]
    assert "Can the numbers be used: with care." in words["observational"]
    assert "a confounder that nobody measured" in words["observational"]
    assert "Can the numbers be used: no." in words["red"]
    assert "Overlap of the arms. why & how" in words["red"]
    assert "Failed without deciding" not in words["red"]
    assert "The sampling was not checked." in words["unchecked"]
    assert box["red"].all("div")[0][1]["class"] == "trust red"
