"""Seeds by stage, and draws that must not be used at all."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest

import bayes_hte as hte
from bayes_hte.errors import SamplingError
from bayes_hte.seeds import stage_seed
from tests.fakes import fake_study

TINY = {"seed": 3, "draws": 20, "tune": 10, "chains": 2, "cores": 1, "progress": False}
TINY["stack_with"] = ()  # forests alone: a Gaussian process takes longer


@pytest.fixture
def study():
    return fake_study(np.random.default_rng(0), n_units=40, mediator=False)[0]


def spoil(monkeypatch, change):
    """Let PyMC sample, then change what it returns."""
    sample = pm.sample

    def spoiled(*args, **options):
        tree = sample(*args, **options)
        tree["posterior"] = change(tree["posterior"].to_dataset())
        return tree

    monkeypatch.setattr(pm, "sample", spoiled)


def test_each_stage_has_its_own_seed_and_keeps_it():
    seeds = {stage: stage_seed(1, stage) for stage in ("propensity", "mediator", "outcome")}
    assert len(set(seeds.values())) == 3
    assert stage_seed(1, "outcome") == seeds["outcome"]
    assert stage_seed(2, "outcome") != seeds["outcome"]


def test_an_interrupted_sampler_leaves_no_half_posterior(study, monkeypatch):
    spoil(monkeypatch, lambda posterior: posterior.isel(draw=slice(0, 7)))
    with pytest.raises(SamplingError, match="2 chains of 7 draws instead of 2 of 20"):
        hte.fit(study, **TINY)


def test_an_interrupt_before_the_first_draw_is_said(study, monkeypatch):
    def interrupted(*args, **options):
        raise ValueError("Not enough samples to build a trace.")

    monkeypatch.setattr(pm, "sample", interrupted)
    with pytest.raises(SamplingError, match="stopped before its first draw"):
        hte.fit(study, **TINY)


def test_identical_chains_are_an_error(study, monkeypatch):
    def copy_first(posterior):
        return posterior.isel(chain=[0, 0]).assign_coords(chain=[0, 1])

    spoil(monkeypatch, copy_first)
    with pytest.raises(SamplingError, match="chains 0 and 1 are identical"):
        hte.fit(study, **TINY)


def test_draws_that_are_not_finite_are_an_error(study, monkeypatch):
    spoil(monkeypatch, lambda posterior: posterior * np.nan)
    with pytest.raises(SamplingError, match="not finite"):
        hte.fit(study, **TINY)


def test_a_fit_without_seed_keeps_the_one_it_drew(study):
    fit = hte.fit(study, **{**TINY, "seed": None})
    again = hte.fit(study, **{**TINY, "seed": fit.seed})
    np.testing.assert_array_equal(fit.cate(), again.cate())
