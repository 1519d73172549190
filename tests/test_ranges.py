"""The ranges job says what it could not do; an audit without data is not a clean one."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CI = ROOT / ".ci"
pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")

# What the job asks of uv: a Python, an environment, the tests, the audit.
UV = """#!/bin/sh
case "$*" in
  "python find "*9.9) exit 2 ;;
  "python install "*) exit 2 ;;
  "python find "*) echo /usr/bin/some-python ;;
  export*) echo "numpy==2.0.0" ;;
  run*pytest*) exit "$TESTS_END" ;;
  run*audit.py*) exit "$AUDIT_ENDS" ;;
esac
"""


@pytest.fixture
def ranges(tmp_path):
    """Run the job with a uv that does nothing; returns exit status and last lines."""
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(UV, encoding="utf-8")
    uv.chmod(0o755)

    def run(pythons: str, *, tests: int = 0, audit: int = 0, **more: str) -> tuple[int, list[str]]:
        env = {**os.environ, "PATH": f"{uv.parent}:{os.environ['PATH']}", "PYTHONS": pythons}
        env |= {"TESTS_END": str(tests), "AUDIT_ENDS": str(audit), "PYENV_ROOT": str(tmp_path)}
        env |= {"TMPDIR": str(tmp_path), **more}
        done = subprocess.run(
            ["bash", str(CI / "ranges")], env=env, capture_output=True, text=True, check=False
        )
        assert not done.stderr
        said = [line for line in done.stdout.splitlines() if not line.startswith("==")]
        return done.returncode, said

    return run


def test_what_was_not_done_is_said_and_is_a_failure_if_that_is_asked_for(ranges):
    status, said = ranges("3.12 9.9", audit=3)
    assert status == 0
    assert said[:2] == ["passed: Python 3.12, lowest-direct", "passed: Python 3.12, highest"]
    assert said[2].startswith("NOT DONE: audit for Python 3.12: no data")
    assert said[3].startswith("NOT DONE: Python 9.9: neither installed nor")
    assert ranges("3.12 9.9", audit=3, STRICT="1")[0] == 1


def test_a_test_or_an_audit_that_fails_is_a_failure(ranges):
    status, said = ranges("3.12", tests=1)
    assert status == 1
    assert said[-2:] == ["FAILED: Python 3.12, lowest-direct", "FAILED: Python 3.12, highest"]
    status, said = ranges("3.12", audit=1)
    assert (status, said[-1]) == (1, "FAILED: audit for Python 3.12")


def test_a_job_that_could_do_nothing_did_not_pass(ranges):
    status, said = ranges("9.9")
    assert status == 1
    assert all(line.startswith("NOT DONE: ") for line in said)


# ---------------------------------------------------------------- the audit


@pytest.fixture
def audit():
    spec = importlib.util.spec_from_file_location("audit", CI / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answers(audit, monkeypatch, known: bool, packages: list[dict]) -> int:
    """Run the audit with an auditor that says this of the certain release, and of all others."""
    certain = [{"name": "jinja2", "vulns": [{"id": "X-1"}]}]
    unknown = [{"name": "jinja2", "skip_reason": "not found"}]
    first = certain if known else unknown
    monkeypatch.setattr(
        audit, "audited", lambda file, _: first if file.name == "one.txt" else packages
    )
    return audit.main(Path("all.txt"))


CLEAN = {"name": "numpy", "version": "2.0", "vulns": []}


@pytest.mark.parametrize(
    ("known", "more", "status"),
    [
        (True, [], 0),
        (True, [{"name": "a", "version": "1", "vulns": [{"id": "X-2"}]}], 1),
        (True, [{"name": "a", "skip_reason": "not found"}], 1),
        (False, [], 3),
    ],
)
def test_clean_is_what_was_looked_up(audit, monkeypatch, capsys, known, more, status):
    assert answers(audit, monkeypatch, known, [CLEAN, *more]) == status
    said = capsys.readouterr().out
    assert ("No source of data" in said) == (status == 3)
    assert all(one["name"] in said for one in more)
