"""Repeated work on a cluster of the user gives the numbers of this machine."""

from __future__ import annotations

import os
from pathlib import Path

import joblib
import numpy as np
import pytest
import xarray as xr

import bayes_hte as hte
from bayes_hte.checks.refitting import AverageEffect, Refit, linear_stand_in
from bayes_hte.checks.refutations import refute
from bayes_hte.fitting.gibbs.sampling import on_cluster
from tests.shared_fits import SIZE


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes with little memory."""
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": "1.5GiB"}
    with (
        distributed.LocalCluster(processes=True, dashboard_address=None, **options) as workers,
        distributed.Client(workers) as client,
    ):
        yield client


def dying_once(mark: Path) -> Refit:
    """The stand-in, but the first process that reaches a repeat dies in it."""
    whole = linear_stand_in().estimate

    def estimate(study, seed) -> AverageEffect:
        try:
            mark.touch(exist_ok=False)
        except FileExistsError:
            return whole(study, seed)
        os._exit(1)

    return Refit(linear_stand_in().name, estimate)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_refutations_and_chains_on_two_workers(
    cluster, plain_fit, plain_study, monkeypatch, tmp_path
):
    here = refute(plain_fit, seed=1, repeats=5)
    with joblib.parallel_config(backend="dask"):
        assert on_cluster()
        # Chains of a refit do not become tasks of their own.
        assert joblib.Parallel(n_jobs=2)([joblib.delayed(on_cluster)()] * 2) == [False, False]
        there = refute(plain_fit, seed=1, repeats=5)
        fit = hte.fit(plain_study, **SIZE)
        # A worker that dies costs its task, which another one does again.
        after = refute(plain_fit, seed=1, repeats=5, estimator=dying_once(tmp_path / "dead"))
    assert not on_cluster()
    assert (tmp_path / "dead").exists()
    for one, other, third in zip(here, there, after, strict=True):
        assert one.passed is other.passed is third.passed
        np.testing.assert_array_equal(one.table.to_numpy(float), other.table.to_numpy(float))
        np.testing.assert_array_equal(one.table.to_numpy(float), third.table.to_numpy(float))
    for name, component in plain_fit.components.items():
        xr.testing.assert_identical(fit.components[name].posterior, component.posterior)


def test_what_is_configured_on_this_machine_is_no_cluster():
    for backend in ("threading", "loky", "sequential"):
        with joblib.parallel_config(backend=backend):
            assert not on_cluster()
