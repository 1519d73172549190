"""A run of three arms: one fit, a report for each contrast, and a page about all arms."""

import json
import shutil
import subprocess
import sys
from io import StringIO

import pandas as pd
import pytest

from bayes_hte import cli
from bayes_hte.errors import SavedResultError, SpecError, UnsupportedError
from bayes_hte.runs.prediction import predict_rows
from bayes_hte.runs.prepared import prepare
from bayes_hte.runs.run import report_from_saved, run_study
from bayes_hte.runs.several_arms import contrasts_of
from bayes_hte.study.labels import labelled_study
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
    pages = [run.folder / "report.html", *run.folder.glob("contrasts/*/report.html")]
    before = [page.read_bytes() for page in pages]
    again = report_from_saved(run.folder)
    assert list(again.contrasts) == NAMES
    assert again.answer == run.answer
    assert [page.read_bytes() for page in pages] == before


def test_a_damaged_stage_is_not_reported(run, tmp_path):
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


def test_the_answer_has_every_contrast_and_the_choice_of_arms(run):
    told = "\n".join(run.answer)
    for name in NAMES:
        assert f"average effects over the units studied (SATE), {name};" in told
    assert "which arm for whom, in points" in told
    assert "expected regret" in told
    assert run.problem.startswith("the sampling failed its health checks")


def test_an_unchanged_run_stands_without_a_sampler(run):
    """In a process of its own, because the tests have loaded the samplers."""
    source = (
        "import sys\nfrom pathlib import Path\nfrom bayes_hte.runs.run import run_study\n"
        "from bayes_hte.study.spec_file import load_spec\n"
        "run = run_study(load_spec(Path(sys.argv[1])), sys.argv[2], progress=False)\n"
        "assert not {'pymc', 'pytensor', 'numba'} & set(sys.modules)\n"
        "print('\\n'.join(run.answer))\n"
    )
    files = {p: p.stat().st_mtime_ns for p in run.folder.rglob("*") if p.is_file()}
    command = [sys.executable, "-c", source, str(run.folder.parent / "trial.toml"), run.folder]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "nothing has changed since the run of" in said
    assert said.endswith("\n".join(run.answer) + "\n")
    assert {p: p.stat().st_mtime_ns for p in run.folder.rglob("*") if p.is_file()} == files


def test_a_changed_report_of_a_contrast_is_made_anew(run, tmp_path):
    copied = tmp_path / "copy"
    shutil.copytree(run.folder, copied)
    page = copied / run.arms.folders[NAMES[0]] / "report.html"
    page.write_text("changed", encoding="utf-8")
    said = []
    again = run_study(load_spec(run.folder.parent / "trial.toml"), copied, say=said.append)
    assert again.sampled == ()
    assert again.answer == run.answer
    assert "changed" not in page.read_text(encoding="utf-8")[:20]
    assert [line for line in said if line.startswith("contrast ")] == [
        f"contrast {name}" for name in NAMES
    ]


def test_new_rows_have_the_effect_of_every_contrast(run, tmp_path, capsys):
    three_arm_frame().head(4).to_csv(tmp_path / "rows.csv", index=False)
    assert cli.main(["predict", str(run.folder), str(tmp_path / "rows.csv")]) == 3
    said = capsys.readouterr()
    table = pd.read_csv(StringIO(said.out), index_col=0)
    assert f"effect: {', '.join(NAMES)} on y in points" in said.err
    by_arm = table[["expected[none]", "expected[low]", "expected[high]"]].to_numpy()
    for arm, name in enumerate(NAMES, start=1):
        effect = by_arm[:, arm] - by_arm[:, 0]
        assert table[f"effect[{name}]"].to_numpy() == pytest.approx(effect, abs=1e-4)
        assert table[f"prob_benefit[{name}]"].between(0, 1).all()


def test_labels_of_arms_and_of_levels_that_two_of_them_lack(tmp_path):
    frame = three_arm_frame()
    # Nobody without the high dose is in the east.
    east = frame.index[frame["dose"] == "high"][:8]
    frame.loc[east, "site"] = "east"
    words = (
        '[labels]\ndose = { label = "Dose", levels = { none = "nothing", high = "a lot" } }\n'
        'site = { levels = { east = "the east" } }\n[checks]'
    )
    spec = write(tmp_path, **{"[checks]": words})
    frame.to_csv(tmp_path / "trial.csv", index=False)
    found = contrasts_of(prepare(spec))
    assert [one.name for one in found] == ["low vs nothing", "a lot vs nothing"]
    assert [one.folder for one in found] == ["1_low_vs_none", "2_high_vs_none"]
    for one, levels in zip(found, [{}, {"east": "the east"}], strict=True):
        labels = one.prepared.spec.labels
        assert labels["site"].levels == levels
        assert labelled_study(one.prepared.study, labels).contrast == one.name


@pytest.mark.slow
def test_imputed_covariates_of_three_arms_are_fitted_reported_and_predicted(tmp_path):
    frame = three_arm_frame()
    frame.loc[frame.index[:9], "x1"] = float("nan")
    spec = write(tmp_path, **{"[data]": '[data]\nmissing = "impute"\nimputations = 2'})
    frame.to_csv(tmp_path / "trial.csv", index=False)
    run = run_study(spec, tmp_path / "out", progress=False, say=lambda _: None)
    assert list(run.contrasts) == NAMES
    assert (run.folder / "posterior" / "imputation_2").is_dir()
    frame.head(12).to_csv(tmp_path / "new.csv", index=False)
    table = predict_rows(run.folder, tmp_path / "new.csv").table
    assert table["expected[high]"].notna().all()  # the first nine rows have a gap


def test_held_out_units_have_every_arm_of_a_contrast(tmp_path):
    spec = write(tmp_path, **{"[checks]": "[held_out]\nshare = 0.3\nseed = 1\n[checks]"})
    found = contrasts_of(prepare(spec))
    assert [one.prepared.held_out.contrast for one in found] == NAMES


def test_a_study_file_of_three_arms_is_drafted_and_checked(tmp_path, capsys):
    data = tmp_path / "trial.csv"
    three_arm_frame().drop(columns=["low_vs_none", "high_vs_none"]).to_csv(data, index=False)
    assert cli.main(["new", str(data), "--outcome", "y", "--treatment", "dose"]) == 0
    assert cli.main(["check", str(data.with_suffix(".toml"))]) == 0
    assert "contrasts: " in capsys.readouterr().out
