"""A run of three arms: one fit, a report for each contrast, and a page about all arms."""

import json

import pandas as pd
import pytest

from bayes_hte import cli
from bayes_hte.errors import SavedResultError, SpecError, UnsupportedError
from bayes_hte.runs.prepared import prepare
from bayes_hte.runs.run import report_from_saved, run_study
from bayes_hte.runs.several_arms import contrasts_of
from bayes_hte.study.spec_file import load_spec
from tests.three_arms import three_arm_frame
from tests.trial import TOML

NAMES = ["low vs none", "high vs none"]


def write(folder, **changes):
    """Write a study file of three arms and its data; `changes` replace text."""
    three_arm_frame().to_csv(folder / "trial.csv", index=False)
    text = TOML.replace('treatment = "treat"\nreference = 0', 'treatment = "dose"')
    text = text.replace('arm_names = ["control", "treated"]', 'arms = ["none", "low", "high"]')
    text = text.replace('mediator = "m"\n', "")
    text = text.replace("[mediator]\ncontrolled_at = [0.0]\n", "")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / "trial.toml"
    path.write_text(text, encoding="utf-8")
    return load_spec(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Far too few draws, so the health gate fails."""
    folder = tmp_path_factory.mktemp("arms")
    spec = write(folder)
    return run_study(spec, folder / "out", progress=False, say=lambda _: None)


def test_every_contrast_has_its_results_report_and_verdict(run):
    assert list(run.contrasts) == NAMES
    assert run.results is run.contrasts["low vs none"]
    for name, results in run.contrasts.items():
        assert results.study.contrast == name
        assert results.study.n_units == 60
        page = (run.folder / run.arms.folders[name] / "report.html").read_text(encoding="utf-8")
        assert f"A small simulated trial: {name}" in page
        assert f"this report is about the contrast {name}" in page
        assert results.trust.verdict
    assert {"propensity", "propensity_2", "outcome"} <= set(run.sampled)


def test_the_page_about_all_arms_links_the_reports_and_names_the_best(run):
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    for name, folder in run.arms.folders.items():
        assert f'<a href="{folder}/report.html">{name}</a>' in page
        assert (run.folder / folder / "report.html").exists()
    assert "Which arm for whom" in page
    assert "must not be used" in page
    tables = run.folder / "tables"
    contrasts = pd.read_csv(tables / "contrasts.csv")
    assert contrasts["contrast"].tolist() == NAMES
    assert pd.read_csv(tables / "arms.csv")["arm"].tolist() == ["none", "low", "high"]
    best = pd.read_csv(tables / "best_arms.csv")
    shares = best[["prob_best_none", "prob_best_low", "prob_best_high"]].sum(axis=1)
    assert shares.tolist() == pytest.approx([1] * 90)


def test_the_run_file_has_the_checks_of_every_contrast(run):
    saved = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    names = [check["name"] for check in saved["checks"]]
    for name in NAMES:
        assert f"{name}: sampling health: average effects" in names
    assert list(saved["provenance"]["verdict"]) == NAMES


def test_a_second_run_samples_nothing(run):
    again = run_study(run.arms.spec, run.folder, progress=False, say=lambda _: None)
    assert again.sampled == ()
    assert list(again.contrasts) == NAMES


def test_the_report_is_written_again_without_sampling(run):
    before = (run.folder / "report.html").read_text(encoding="utf-8")
    again = report_from_saved(run.folder)
    assert list(again.contrasts) == NAMES
    after = (run.folder / "report.html").read_text(encoding="utf-8")
    assert len(after) == pytest.approx(len(before), rel=0.05)


def test_a_damaged_stage_is_not_reported(run, tmp_path):
    import shutil

    copied = tmp_path / "copy"
    shutil.copytree(run.folder, copied)
    shutil.copytree(run.folder.parent, tmp_path / "data", ignore=shutil.ignore_patterns("out"))
    shutil.rmtree(copied / "posterior" / "propensity_2")
    with pytest.raises(SavedResultError, match=r"'propensity_2' .* is missing"):
        report_from_saved(copied)


def test_the_command_line_names_every_contrast(tmp_path, capsys):
    write(tmp_path)
    assert cli.main(["check", str(tmp_path / "trial.toml")]) == 0
    said = capsys.readouterr().out
    assert "90 units: 30 none, 30 low, 30 high" in said
    assert "contrasts: low vs none, high vs none" in said


def test_contrasts_of_the_study_file_are_looked_at(tmp_path):
    roles = 'contrasts = ["high vs low", "all"]\ncovariates'
    prepared = prepare(write(tmp_path, covariates=roles))
    found = contrasts_of(prepared)
    assert [one.name for one in found] == ["high vs low", *NAMES]
    assert found[0].folder == "1_high_vs_low"
    assert found[0].prepared.study.contrast == "high vs low"


@pytest.mark.parametrize(
    ("roles", "error", "message"),
    [
        ('contrasts = ["hi vs low"]\ncovariates', SpecError, "unknown contrast 'hi vs low'"),
    ],
)
def test_contrasts_that_are_not_there_are_refused_before_sampling(tmp_path, roles, error, message):
    with pytest.raises(error, match=message):
        prepare(write(tmp_path, covariates=roles))


def test_contrasts_of_two_arms_are_refused(tmp_path):
    frame = three_arm_frame().query("dose != 'high'")
    spec = write(tmp_path, covariates='contrasts = ["low vs none"]\ncovariates')
    frame.to_csv(tmp_path / "trial.csv", index=False)
    text = spec.text.replace('arms = ["none", "low", "high"]', 'reference = "none"')
    (tmp_path / "trial.toml").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match="contrasts is for more than two arms"):
        prepare(load_spec(tmp_path / "trial.toml"))


def test_arms_that_the_data_do_not_have_are_refused(tmp_path):
    from bayes_hte.errors import DataError

    with pytest.raises(DataError, match="must name every level of treatment 'dose'"):
        prepare(write(tmp_path, **{'"low", "high"]': '"low", "hi"]'}))


def test_a_mixture_of_three_arms_is_refused(tmp_path):
    mixture = (
        '[mixture]\nclasses = 2\nx_proxies = ["x1"]\nz_proxies = ["x2"]\nedges = []\n'
        'because = "made up"\n[checks]'
    )
    with pytest.raises(UnsupportedError, match="a mixture of treatment effects needs two arms"):
        prepare(write(tmp_path, **{"[checks]": mixture}))
