"""The order of the test files, and what all tests share: fits, a finished run, a small trial."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests import ordering
from tests.fakes import fake_study
from tests.shared_fits import SIZE, SharedFits, made_once
from tests.trial import run_trial, write_trial

# ---------------------------------------------------------------- order


def pytest_addoption(parser):
    parser.addoption(
        "--store-durations",
        action="store_true",
        help=f"write the seconds of the test files that ran to {ordering.STORED.name}",
    )


def pytest_configure(config):
    """Keep the order of the files, and give each process one core."""
    # pytest-xdist would put the files with the most tests first.
    config.option.loadscopereorder = False
    # Inherited by the processes that run the tests. Two of them on two cores, with two threads of
    # linear algebra in each, wait for each other: small triangular systems take 50 times as long.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if config.getoption("store_durations") and not hasattr(config, "workerinput"):
        ordering.refuse_parts(config)
        store = ordering.DurationsStore(ordering.STORED, config.rootpath)
        config.pluginmanager.register(store, "durations-store")


def pytest_collection_modifyitems(items):
    """Put the longest files first; the tests of a file keep their order."""
    files = [ordering.file_of(item.nodeid) for item in items]
    order = ordering.longest_first(files, ordering.stored_durations())
    place = {file: i for i, file in enumerate(order)}
    items.sort(key=lambda item: place[ordering.file_of(item.nodeid)])


# ---------------------------------------------------------------- what all tests share


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory) -> Path:
    """A folder that all processes of this test run see."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def fitted(run_folder):
    """``hte.fit`` for a fit that more than one file uses: equal calls are sampled once."""
    return SharedFits(run_folder / "fits").fit


@pytest.fixture(scope="session")
def mediated_study():
    return fake_study(np.random.default_rng(0), n_units=80)[0]


@pytest.fixture(scope="session")
def mediated_fit(fitted, mediated_study):
    """Forests of a mediated study."""
    return fitted(mediated_study, **SIZE)


@pytest.fixture(scope="session")
def plain_study():
    """A study without mediator; the labels of its units are not positions, so a mix-up shows."""
    made, _ = fake_study(np.random.default_rng(0), n_units=80, mediator=False)
    return made.alike(made.frame.set_axis([f"id{i}" for i in range(80)]))


@pytest.fixture(scope="session")
def plain_fit(fitted, plain_study):
    """Forests of a study without mediator."""
    return fitted(plain_study, **SIZE)


@pytest.fixture(scope="session")
def finished_trial(run_folder) -> Path:
    """The folder of a trial, with a finished run of it in ``out``; copy it before changing it."""
    return made_once(run_folder / "finished trial", run_trial)


@pytest.fixture
def trial(tmp_path):
    """A study file and its data in an empty folder; returns the path of the file."""
    return write_trial(tmp_path)
