"""A run with everything a study file may ask for: what it fits, keeps, resumes and reports."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from bayes_hte.checks import assignment
from bayes_hte.runs.run import report_from_saved, run_study
from bayes_hte.study.spec_file import load_spec
from bayes_hte.subgroups.honest.folds import UNSHRUNK
from tests.trial import TOML, trial_frame

pytestmark = pytest.mark.slow
OPTIONS = {
    'mediator = "m"\n': "",
    "[mediator]\ncontrolled_at = [0.0]\n": "",
    "as_covariate = false": "as_covariate = false\nreport_both = true",
    'unit = "points"': 'unit = "points"\nstack_with = []',
    # Next to any difference is declared, so that what follows a declaration is there.
    'honest = false\n[checks]\nrefutations = "none"': (
        "honest = true\nmargin = 0.0\nprobability = 0.51"
    ),
}
MORE = """
[learner]
name = "t"
beside = ["x"]
[held_out]
share = 0.3
seed = 3
[checks]
repeats = 5
negative_control = "before"
"""


def write_study(folder, *, more: str = MORE):
    """Write a study that asks for everything, and its data."""
    rng = np.random.default_rng(9)
    frame = trial_frame(n=160)
    frame.assign(before=rng.normal(size=len(frame))).to_csv(folder / "trial.csv", index=False)
    text = TOML + more
    for old, new in OPTIONS.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / "trial.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """The study file, the folder of the finished run, and the run."""
    folder = tmp_path_factory.mktemp("everything")
    path = write_study(folder)
    done = run_study(load_spec(path), folder / "out", progress=False, say=lambda _: None)
    return path, folder / "out", done


def test_every_part_is_there(everything):
    results = everything[2].results
    assert results.study.n_units == 112
    assert results.targeting.how == "held out"
    assert results.targeting.n_units == 48
    assert list(results.beside) == ["x"]
    assert set(results.honest) == {"te"}
    assert results.sensitivity.e_values == ()  # randomised
    names = [c.name for c in results.checks]
    assert "propensity as a covariate: both ways" in names
    assert "heterogeneity in held-out outcomes" in names
    assert "heterogeneity in left-out outcomes" in names
    control = next(c for c in results.checks if "negative-control" in c.name)
    assert control.passed is not None


def test_held_out_units_were_never_fitted(everything):
    results = everything[2].results
    assert len(results.propensity["unit"]) == 112
    assert results.targeting.calibration.counts[["n_control", "n_treated"]].sum().sum() == 48


def test_declared_subgroups_are_fitted_once_more_for_their_size(everything):
    _, folder, done = everything
    honest = done.results.honest["te"]
    assert honest.declared
    folds = [i for i, fold in enumerate(honest.folds, start=1) if fold.divides]
    again = [stage for stage in done.sampled if stage.endswith(": outcome") and "te_" in stage]
    assert again == [f"te_{i}: outcome" for i in folds]
    assert float(abs(honest.unshrunk - honest.contrast).max()) > 0
    table = pd.read_csv(folder / "tables" / "subgroup_honest_te.csv")
    assert list(table["fold"]) == ["1", "2", "average", UNSHRUNK]
    text = (folder / "report.html").read_text()
    assert "average of both, size" in text
    assert "have means of their own that are not shrunk towards each other" in text


def test_the_x_learner_reuses_the_first_stage(everything):
    assert "x outcome" not in everything[2].sampled
    assert "x effect" in everything[2].sampled


def test_a_second_run_samples_nothing_and_reports_the_same(everything):
    path, folder, done = everything
    before = (folder / "report.html").read_bytes()
    again = run_study(load_spec(path), folder, progress=False, say=lambda _: None)
    assert again.sampled == ()
    assert (folder / "report.html").read_bytes() == before
    assert report_from_saved(folder).results.trust.verdict == done.results.trust.verdict
    assert (folder / "report.html").read_bytes() == before


def test_the_tables_of_the_report_hold_the_comparisons(everything):
    tables = everything[1] / "tables"
    learners = pd.read_csv(tables / "learners.csv")
    assert list(learners["learner"]) == ["t", "x"]
    methods = pd.read_csv(tables / "side_by_side.csv")["method"]
    assert {"model", "inverse-probability weighting", "nearest-neighbour matching"} <= set(methods)
    balance = pd.read_csv(tables / "balance.csv")
    assert {"raw", "matched", "weighted"} <= set(balance.columns)


def test_the_verdict_knows_the_assignment_that_the_file_declares(everything):
    trust = everything[2].results.trust
    (found,) = (c for c in trust.checks if c.name == assignment.NAME)
    declared = everything[2].results.spec.propensity.assignment
    assert found.passed is (True if declared == "randomised" else None)
    assert "is not declared" not in trust.headline


def test_the_verdict_is_saved_with_the_run(everything):
    facts = json.loads((everything[1] / "run.json").read_text())["provenance"]
    assert facts["verdict"] == everything[2].results.trust.verdict
