"""Results that this release has saved load for ever, with the numbers that were stored with them.

If one of these tests fails, the package no longer reads what its users have: mend the package. The
fixtures of a released format are never made again (``tests/saved/make.py`` makes those of a new
one).
"""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte import cli
from bayes_hte.errors import SavedResultError
from bayes_hte.runs.prediction import predict_rows
from bayes_hte.runs.run import report_from_saved, run_study
from bayes_hte.study.spec_file import load_spec
from tests.saved.make import FOLDER, numbers_of, small_study, unpacked

FITS = sorted(path.name.removesuffix(".tar.xz") for path in FOLDER.glob("fit_*.tar.xz"))
RUNS = sorted(path.name.removesuffix(".tar.xz") for path in FOLDER.glob("run_*.tar.xz"))
EXACT = {"rtol": 1e-9, "atol": 1e-9}


@pytest.fixture(scope="module")
def fits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fits")
    return {name: unpacked(name, folder) for name in FITS}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The saved runs, whose data are now in another folder."""
    folder = tmp_path_factory.mktemp("runs")
    found = {name: unpacked(name, folder) for name in RUNS}
    for run in found.values():
        path = run / "out" / "run.json"
        saved = json.loads(path.read_text())
        path.write_text(json.dumps(saved | {"folder": str(run)}))
    return found


def test_there_is_something_to_load():
    assert FITS
    assert RUNS


@pytest.mark.parametrize("name", FITS)
def test_a_saved_fit_loads_with_its_numbers(fits, name):
    fit = hte.load_fit(fits[name], small_study())
    wanted = json.loads((fits[name] / "numbers.json").read_text())
    found = numbers_of(fit)
    assert set(found) == set(wanted)
    for key, values in wanted.items():
        np.testing.assert_allclose(found[key], values, err_msg=key, **EXACT)


@pytest.mark.parametrize("name", RUNS)
def test_a_saved_run_predicts_and_reports_its_numbers(runs, name, monkeypatch):
    run = runs[name]
    predicted = predict_rows(run / "out", run / "new.csv").table
    wanted = pd.read_csv(run / "predicted.csv", index_col="row")
    for column in wanted.select_dtypes("number"):
        np.testing.assert_allclose(predicted[column], wanted[column], err_msg=column, **EXACT)
    # The page itself takes long and is not what is asked here.
    monkeypatch.setattr("bayes_hte.runs.run._write_report", lambda *_: None)
    results = report_from_saved(run / "out").results
    averages = results.populations["SATE"].mean(["chain", "draw"])
    table = pd.read_csv(run / "average_effects.csv")
    mean = table.loc[table["population"].str.lower() == "sate", "mean"].iloc[0]
    np.testing.assert_allclose(float(averages), mean, **EXACT)


# ---------------------------------------------------------------- of a newer version, or unfinished


def newer(path, *keys: str) -> None:
    """Give a JSON file the format of a version to come."""
    content = json.loads(path.read_text())
    place = content
    for key in keys:
        place = place[key]
    place["format"] = 99
    path.write_text(json.dumps(content))


SENTENCE = r"was saved by a newer version of bayes_hte \(format 99; this version reads up to \d\)"


@pytest.mark.parametrize("part", ["fit.json", "outcome"])
def test_a_fit_of_a_newer_version_is_refused_in_a_sentence(fits, tmp_path, part):
    folder = shutil.copytree(fits[FITS[0]], tmp_path / "fit")
    if part == "outcome":
        newer(folder / part / "manifest.json", "settings")
    else:
        newer(folder / part)
    with pytest.raises(SavedResultError, match=SENTENCE):
        hte.load_fit(folder, small_study())


@pytest.mark.parametrize("command", ["report", "predict"])
def test_a_run_of_a_newer_version_is_refused_in_a_sentence(runs, tmp_path, command, capsys):
    run = shutil.copytree(runs[RUNS[0]], tmp_path / "run")
    newer(run / "out" / "run.json")
    more = [str(run / "new.csv")] if command == "predict" else []
    assert cli.main([command, str(run / "out"), *more]) == cli.REFUSED
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "update the package, or use another folder" in said


def test_a_stage_of_a_newer_version_is_neither_read_nor_replaced(runs, tmp_path):
    run = shutil.copytree(runs[RUNS[0]], tmp_path / "run")
    manifest = run / "out" / "posterior" / "effects" / "manifest.json"
    newer(manifest, "settings")
    before = manifest.read_bytes()
    spec = load_spec(run / "trial.toml")
    with pytest.raises(SavedResultError, match=SENTENCE):
        run_study(spec, run / "out", progress=False, say=lambda _: None)
    assert manifest.read_bytes() == before


def test_effects_of_a_later_run_that_was_killed_are_not_those_of_the_finished_one(runs, tmp_path):
    run = shutil.copytree(runs[RUNS[0]], tmp_path / "run")
    path = run / "out" / "posterior" / "effects" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["settings"]["sampler.seed"] = 8
    path.write_text(json.dumps(manifest))
    with pytest.raises(SavedResultError, match=r"a later run that was not finished \(sampler.seed"):
        report_from_saved(run / "out")
