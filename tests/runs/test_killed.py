"""A run that was killed goes on where it was, and ends with the numbers of an undisturbed one.

`tests/benchmarks/kills.py` kills whole runs at random moments; here the moment is known.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bayes_hte import cli
from bayes_hte.reporting import document
from tests.trial import TOML, trial_frame

# A process of its own that is killed as soon as its first stage is saved.
KILLED = """
import os, signal, sys
from bayes_hte import cli
from bayes_hte.runs import stage_runner

def save_and_die(*stage, real=stage_runner.save_stage):
    real(*stage)
    os.kill(os.getpid(), signal.SIGKILL)

stage_runner.save_stage = save_and_die
sys.exit(cli.main(sys.argv[1:]))
"""
SHORT = ("sampler.draws=50", "sampler.tune=50", "subgroups.effects=[]")
SHORT += ("outcome.surface=linear", "propensity.surface=linear")
STAGES = Path("out", "posterior")


def command() -> list[str]:
    changes = [part for change in SHORT for part in ("--set", change)]
    return ["run", "trial.toml", "-o", "out", "--quiet", *changes]


def write_study(folder: Path) -> Path:
    folder.mkdir()
    text = TOML.replace('mediator = "m"\n', "").replace("[mediator]\ncontrolled_at = [0.0]\n", "")
    (folder / "trial.toml").write_text(text, encoding="utf-8")
    trial_frame(n=40).drop(columns="m").to_csv(folder / "trial.csv", index=False)
    return folder


def files_in(folder: Path) -> dict[str, bytes]:
    """Everything below a folder but the file that has times in it."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in paths
        if path.name != "run.json"
    }


@pytest.fixture
def few_results(monkeypatch):
    """Leave out checks and most of the page, which say nothing of what was sampled."""
    monkeypatch.setattr(document, "SECTIONS", document.SECTIONS[:1])
    monkeypatch.setattr("bayes_hte.runs.effect_stage.run_checks", lambda *_, **__: ())


def test_a_killed_run_keeps_its_finished_stage_and_ends_as_if_undisturbed(
    tmp_path, few_results, monkeypatch
):
    folder, other = write_study(tmp_path / "killed"), write_study(tmp_path / "undisturbed")
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *command()], cwd=folder, check=False, env=environment
    )
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in (folder / STAGES).iterdir()] == ["propensity"]
    finished = files_in(folder / STAGES / "propensity")
    for one in (folder, other):
        monkeypatch.chdir(one)
        assert cli.main(command()) in (cli.DONE, cli.UNHEALTHY)
    assert files_in(folder / STAGES / "propensity") == finished
    sampled = {
        one: json.loads((one / "out" / "run.json").read_text())["provenance"]["sampled"]
        for one in (folder, other)
    }
    assert sampled == {folder: ["outcome"], other: ["propensity", "outcome"]}
    found, wanted = files_in(folder / "out"), files_in(other / "out")
    assert found.keys() == wanted.keys()
    assert not [name for name, content in wanted.items() if found[name] != content]
