"""A second run that nothing has changed for stands; with one changed file it does not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from bayes_hte import cli
from bayes_hte.runs.prepared import prepare
from bayes_hte.runs.run import run_study
from bayes_hte.runs.unchanged import input_of, output_of, unchanged_run
from bayes_hte.study.spec_file import load_spec

pytestmark = pytest.mark.slow
SAMPLERS = ("pymc", "pytensor", "numba")
# What an unchanged run can do without, next to them.
SLOW = ("matplotlib", "sklearn", "scipy.stats", "zarr")


@pytest.fixture
def copy(finished_trial, tmp_path):
    return shutil.copytree(finished_trial, tmp_path / "run")


def command_line(folder):
    """Run the copy of a trial in a fresh interpreter; return its lines and what it loaded."""
    arguments = ["run", str(folder / "trial.toml"), "-o", str(folder / "out")]
    code = (
        "import sys; from bayes_hte import cli;"
        f"status = cli.main({arguments});"
        f"print([m for m in {SAMPLERS + SLOW} if m in sys.modules], status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *lines, last = done.stdout.splitlines()
    return lines, last


def in_original_place(copy, finished_trial):
    """Make the recorded command that of the copy: the fixture ran in another folder."""
    path = copy / "out" / "run.json"
    path.write_text(path.read_text().replace(str(finished_trial), str(copy)))


def test_an_unchanged_run_loads_no_sampler_and_writes_nothing(copy, finished_trial):
    in_original_place(copy, finished_trial)
    before = {p: p.stat().st_mtime_ns for p in (copy / "out").rglob("*") if p.is_file()}
    lines, last = command_line(copy)
    assert last == f"[] {cli.UNHEALTHY}"
    assert sum(line.startswith("nothing has changed since the run of") for line in lines) == 1
    assert any(line.startswith("Can the numbers be used: ") for line in lines)
    assert {p: p.stat().st_mtime_ns for p in (copy / "out").rglob("*") if p.is_file()} == before


def test_its_results_are_taken_from_the_folder_when_asked_for(copy, finished_trial):
    in_original_place(copy, finished_trial)
    command = f"bayes-hte run {copy / 'trial.toml'} -o {copy / 'out'}"
    said = []
    run = run_study(load_spec(copy / "trial.toml"), copy / "out", say=said.append, command=command)
    assert len(said) == 1
    assert run.sampled == ()
    assert set(run.results.trust.lines()) <= set(run.answer)
    assert not run.results.healthy
    assert run.problem


def test_another_interval_is_reported_without_a_sampler(copy):
    path = copy / "trial.toml"
    path.write_text(path.read_text() + "\n[report]\nci_prob = 0.8\n")
    lines, last = command_line(copy)
    assert not any(sampler in last for sampler in SAMPLERS)
    assert not any(line.startswith("nothing has changed") for line in lines)
    assert any("80% posterior interval" in line for line in lines)


@pytest.fixture(scope="module")
def given(finished_trial):
    saved = json.loads((finished_trial / "out" / "run.json").read_text())
    prepared = prepare(load_spec(finished_trial / "trial.toml"), models=False)
    assert input_of(prepared, saved["provenance"]["command"]) == saved["input"]
    return saved["input"]


@pytest.mark.parametrize(
    "name", ["report.html", "tables/average_effects.csv", "posterior/outcome", "posterior/effects"]
)
def test_a_changed_or_missing_file_is_seen(copy, given, name):
    out = copy / "out"
    assert unchanged_run(out, given) is not None
    path = out / name
    path = path if path.is_file() else max(p for p in path.rglob("*") if p.is_file())
    content = path.read_bytes()
    path.write_bytes(content + b" ")
    assert unchanged_run(out, given) is None
    path.unlink()
    assert unchanged_run(out, given) is None
    path.write_bytes(content)
    assert unchanged_run(out, given) is not None


@pytest.mark.parametrize("key", ["study file", "data", "command", "package", "versions"])
def test_a_changed_input_is_seen(copy, given, key):
    assert unchanged_run(copy / "out", {**given, key: "another"}) is None


def test_a_run_of_an_earlier_version_does_not_stand(copy, given):
    path = copy / "out" / "run.json"
    saved = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in saved.items() if k not in ("input", "output")}))
    assert unchanged_run(copy / "out", given) is None
    path.unlink()
    assert unchanged_run(copy / "out", given) is None


def test_the_digest_sees_names_and_content(tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "a.csv").write_text("1")
    (tmp_path / "notes.txt").write_text("mine")
    first = output_of(tmp_path)
    (tmp_path / "notes.txt").write_text("no matter")
    assert output_of(tmp_path) == first
    (tmp_path / "tables" / "a.csv").rename(tmp_path / "tables" / "b.csv")
    assert output_of(tmp_path) != first
