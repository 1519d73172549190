"""The order of the test files, and fixtures shared by the tests of whole runs."""

from __future__ import annotations

import pytest

from tests.trial import TOML, trial_frame

# A file is run by one process, so a long one that begins last is waited for by all the others.
# These begin first, the longest in front; the names are those of the files.
LONGEST_FIRST = (
    "test_notebooks",
    "test_latent_class",
    "test_cli",
    "test_reference",
    "test_run",
    "test_trust",
    "test_fit",
    "test_recovery",
    "test_coverage",
    "test_in_browser",
    "test_jobs2",
    "test_mixture_stage",
    "test_estimator",
    "test_arviz_citizenship",
    "test_x_learner",
    "test_stacking",
    "test_noise",
    "test_additive_surface",
    "test_linear_surface",
)


def pytest_configure(config):
    """Keep the order of the files: pytest-xdist would put those with the most tests first."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    """Put the longest files first; all others keep their order."""
    place = {name: i for i, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


@pytest.fixture
def trial(tmp_path):
    """A study file and its data in an empty folder; returns the path of the file."""
    trial_frame().to_csv(tmp_path / "trial.csv", index=False)
    path = tmp_path / "trial.toml"
    path.write_text(TOML, encoding="utf-8")
    return path
