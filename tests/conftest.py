"""Fixtures shared by the tests of whole runs."""

from __future__ import annotations

import pytest

from tests.trial import TOML, trial_frame


@pytest.fixture
def trial(tmp_path):
    """A study file and its data in an empty folder; returns the path of the file."""
    trial_frame().to_csv(tmp_path / "trial.csv", index=False)
    path = tmp_path / "trial.toml"
    path.write_text(TOML, encoding="utf-8")
    return path
