"""Seeds by stage, sizes of samples, and draws that must not be used."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pymc as pm
import pytest

import bayes_hte as hte
from bayes_hte.checks.refitting import refit_plan
from bayes_hte.errors import SamplingError, SpecError, UnhealthySamplingWarning
from bayes_hte.fitting import sampling
from bayes_hte.fitting.gibbs import chain
from bayes_hte.fitting.plan import Plan
from bayes_hte.fitting.sampling import SamplerSize, sample_component, sample_with_pymc
from bayes_hte.fitting.stages import build_stage
from bayes_hte.seeds import stage_seed
from tests.fakes import fake_study

TINY = {"seed": 3, "draws": 20, "tune": 10, "chains": 2, "cores": 1, "progress": False}
TINY["stack_with"] = ()  # forests alone: a Gaussian process takes longer


@pytest.fixture
def study():
    return fake_study(np.random.default_rng(0), n_units=40, mediator=False)[0]


@pytest.fixture
def component(study):
    plan = Plan(propensity_covariate=False)
    return build_stage("outcome", study, plan, {})


SIZES = {"draws": 20, "tune": 10, "chains": 2, "cores": 1, "progress": False}


def spoil(monkeypatch, change):
    """Let PyMC sample, then change what it returns."""
    sample = pm.sample

    def spoiled(*args, **options):
        tree = sample(*args, **options)
        tree["posterior"] = change(tree["posterior"].to_dataset())
        return tree

    monkeypatch.setattr(pm, "sample", spoiled)


def spoil_direct(monkeypatch, change):
    """Let the direct sampler work, then change its chains."""
    sample = sampling.sample_directly
    monkeypatch.setattr(sampling, "sample_directly", lambda *a, **o: change(sample(*a, **o)))


def test_each_stage_has_its_own_seed_and_keeps_it():
    seeds = {stage: stage_seed(1, stage) for stage in ("propensity", "mediator", "outcome")}
    assert len(set(seeds.values())) == 3
    assert stage_seed(1, "outcome") == seeds["outcome"]
    assert stage_seed(2, "outcome") != seeds["outcome"]


def test_pymc_interrupted_leaves_no_half_posterior(component, monkeypatch):
    spoil(monkeypatch, lambda posterior: posterior.isel(draw=slice(0, 7)))
    with pytest.raises(SamplingError, match="2 chains of 7 draws instead of 2 of 20"):
        sample_with_pymc(component, seed=1, size=SamplerSize(**SIZES))


def test_pymc_interrupted_before_the_first_draw_is_said(component, monkeypatch):
    def interrupted(*args, **options):
        raise ValueError("Not enough samples to build a trace.")

    monkeypatch.setattr(pm, "sample", interrupted)
    with pytest.raises(SamplingError, match="stopped before its first draw"):
        sample_with_pymc(component, seed=1, size=SamplerSize(**SIZES))


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_interrupt_or_error_stops_all_chains(component, error):
    reported = []

    def interrupt(done, total):
        reported.append((done, total))
        raise error

    size = SamplerSize(chains=3, draws=10**5, tune=10, cores=3, progress=interrupt)
    with pytest.raises(error):
        sample_component(component, seed=1, size=size)
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPool")]
    assert reported[0][0] < reported[0][1] == 3 * (10**5 + 10)


def test_an_error_within_a_chain_is_raised(component, monkeypatch):
    def broken(*args, **options):
        raise ZeroDivisionError("in a chain")

    monkeypatch.setattr(chain, "working_model", broken)
    with pytest.raises(ZeroDivisionError, match="in a chain"):
        sample_component(component, seed=1, size=SamplerSize(**SIZES))


def test_progress_counts_the_iterations_of_all_chains(component):
    reported = []
    size = SamplerSize(**{**SIZES, "progress": lambda *now: reported.append(now)})
    sample_component(component, seed=1, size=size)
    assert reported[-1] == (60, 60)
    assert reported == sorted(reported)


def test_a_bar_is_shown_if_progress_is_wanted(component, capsys):
    sample_component(component, seed=1, size=SamplerSize(**{**SIZES, "progress": True}))
    assert "outcome" in capsys.readouterr().out


def test_draws_do_not_depend_on_the_number_of_threads(component):
    one, two = (
        sample_component(component, seed=1, size=SamplerSize(**{**SIZES, "cores": cores}))
        for cores in (1, 2)
    )
    assert one.posterior.equals(two.posterior)
    np.testing.assert_array_equal(one.at_units["shared"], two.at_units["shared"])


def test_identical_chains_are_an_error(study, monkeypatch):
    spoil_direct(monkeypatch, lambda chains: [chains[0], chains[0]])
    with pytest.raises(SamplingError, match="chains 0 and 1 are identical"):
        hte.fit(study, **TINY)


def test_draws_that_are_not_finite_are_an_error(study, monkeypatch):
    def lost(chains):
        for values in chains[1].values.values():
            values[3] = np.nan
        return chains

    spoil_direct(monkeypatch, lost)
    with pytest.raises(SamplingError, match="not finite"):
        hte.fit(study, **TINY)


def test_a_fit_without_seed_keeps_the_one_it_drew(study):
    fit = hte.fit(study, **{**TINY, "seed": None})
    again = hte.fit(study, **{**TINY, "seed": fit.seed})
    np.testing.assert_array_equal(fit.cate(), again.cate())


# ---------------------------------------------------------------- sizes and seeds


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("seed", -1, "a whole number, 0 or more"),
        ("seed", 1.0, "a whole number, 0 or more"),
        ("draws", 0, "a whole number, 1 or more"),
        ("draws", 20.0, "a whole number, 1 or more"),
        ("chains", 0, "a whole number, 1 or more"),
        ("chains", True, "a whole number, 1 or more"),
        ("tune", -1, "a whole number, 0 or more"),
        ("cores", 0, "a whole number, 1 or more"),
    ],
)
def test_sizes_and_seeds_out_of_range_are_refused(study, option, value, allowed):
    said = f"{option} must be {allowed}, got {value!r}"
    with pytest.raises(SpecError, match=said):
        hte.fit(study, **{**TINY, option: value})
    with pytest.raises(SpecError, match=said):
        hte.EffectEstimator(**{**TINY, option: value}).fit(
            study.covariate_frame(), study.frame["y"], treatment=study.frame["treat"]
        )


def test_whole_numbers_of_numpy_are_sizes():
    size = SamplerSize(chains=np.int64(2), draws=np.int32(3), cores=np.int64(8))
    assert size.processes == 2


def test_a_prior_is_drawn_with_a_seed_and_a_number_of_draws(study):
    for options in ({"seed": -1}, {"seed": 1, "draws": 0}):
        with pytest.raises(SpecError, match="must be a whole number"):
            hte.fit_prior(study, Plan(), **options)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("stack_with", "gp", r"must be a list, got 'gp'; write \['gp'\]"),
        ("stack_with", [1], "must hold str objects only, got 1"),
        ("priors", "small", r"must be a list, got 'small'"),
        ("family", ["gaussian"], "unknown family"),
        ("learner", None, "unknown learner None"),
    ],
)
def test_options_of_another_type_are_refused(study, option, value, said):
    with pytest.raises(SpecError, match=said):
        hte.fit(study, **{**TINY, option: value})


def test_only_a_study_is_fitted(study):
    with pytest.raises(hte.DataError, match=r"fit takes a Study, got DataFrame; see Study\."):
        hte.fit(study.frame, seed=1)


# ---------------------------------------------------------------- sampling that is not healthy


def test_a_fit_that_is_not_healthy_warns_once_at_the_users_line_and_its_summary_says_it(study):
    with warnings.catch_warnings(record=True, action="always") as caught:
        fit = hte.fit(study, **TINY)
    (said,) = caught
    assert said.category is UnhealthySamplingWarning
    assert said.filename == __file__
    assert "effective sample size" in str(said.message)
    assert "run longer" in str(said.message)
    table = fit.summary()
    assert str(said.message).endswith(table["note"].iloc[0])
    assert not all(check.passed for check in fit.health())


def test_a_fit_that_is_healthy_says_nothing(study):
    many = {"draws": 2000, "tune": 300, "learner": "homogeneous"}
    with warnings.catch_warnings(action="error"):
        fit = hte.fit(study, **{**TINY, **many})
    assert (fit.summary()["note"] == "").all()
    assert all(check.passed for check in fit.health())


@pytest.mark.parametrize("few", [{"chains": 1}, {"draws": 1}, {"draws": 3}])
def test_draws_too_few_to_judge_are_not_healthy(study, few):
    with pytest.warns(UnhealthySamplingWarning, match="nan"):
        fit = hte.fit(study, **{**TINY, **few})
    assert "nan" in fit.summary()["note"].iloc[0]


def test_fits_within_checks_say_nothing(study):
    with warnings.catch_warnings(action="error"):
        refit_plan(study, Plan(), seed=1, draws=5, tune=5, chains=2)


def test_draws_of_the_priors_are_not_judged(study):
    prior = hte.fit_prior(study, Plan(), seed=1, draws=5)
    assert prior.is_prior
    assert (prior.summary()["note"] == "").all()
    with pytest.raises(hte.DataError, match="have no propensity"):
        prior.propensity()
