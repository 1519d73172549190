"""The mediator's own variation: what determines it is refused, what is sound is left alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte.checks.mediator_variation import NAME, STRETCHED, mediator_variation
from bayes_hte.errors import DataError
from bayes_hte.fitting.own_variation import SMALL, VANISHES, own_variation
from bayes_hte.study.simulation import SCENARIOS
from bayes_hte.trust.rule import DO_NOT_TRUST, judge

N = 200


def study_of(frame: pd.DataFrame) -> hte.Study:
    return hte.Study.from_frame(
        frame,
        outcome="y",
        treatment="treat",
        mediator="m",
        covariates=[c for c in frame.columns if c.startswith("x")],
    )


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    covariates = pd.DataFrame(rng.normal(size=(N, 4)), columns=["x1", "x2", "x3", "x4"])
    return covariates.assign(
        treat=rng.permutation(np.arange(N) % 2), y=rng.normal(size=N), x5=rng.choice(list("abc"), N)
    )


# ---------------------------------------------------------------- what is refused

DETERMINED = {
    "the treatment itself": lambda f: f.treat,
    "exactly linear": lambda f: 2 * f.treat + f.x1,
    "exactly linear, in single precision": lambda f: (2 * f.treat + f.x1).astype(np.float32),
    "another covariate": lambda f: f.x2 * 7 - 3,
    "a covariate in one arm, nothing in the other": lambda f: f.treat * f.x1,
    "a level and the arm": lambda f: f.treat * 2.0 + f.x5.map({"a": 1.0, "b": 2.5, "c": 0.0}),
    "a power": lambda f: f.x1**2,
    "an exponential": lambda f: np.exp(f.x1) + f.treat,
    "a product": lambda f: f.x1 * f.x2 + f.treat,
    "binary: a threshold": lambda f: (f.x1 > 0).astype(int),
    "binary: a threshold in one arm": lambda f: f.treat * (f.x1 > 0),
    "binary: two thresholds": lambda f: ((f.x1 > 0) & (f.x2 > 0)).astype(int),
    "binary: separated by a plane": lambda f: (f.x1 + f.x2 + f.treat > 0.5).astype(int),
}


@pytest.mark.parametrize("name", DETERMINED)
def test_a_mediator_that_arm_and_covariates_determine_is_refused_before_sampling(frame, name):
    study = study_of(frame.assign(m=DETERMINED[name](frame)))
    assert own_variation(study).share < VANISHES
    with pytest.raises(DataError, match=r"mediator 'm' has no variation of its own.*Leave the med"):
        hte.fit(study, seed=1, progress=False)


def test_the_message_says_what_determines_it(frame):
    def message(m):
        with pytest.raises(DataError) as caught:
            hte.fit(study_of(frame.assign(m=m)), seed=1, progress=False)
        return str(caught.value)

    assert "determined by the arm alone" in message(frame.treat)
    assert "determined by a linear function of the covariates" in message(frame.x1 - frame.treat)
    assert "determined by powers of 'x2'" in message(frame.x2**2)


# ---------------------------------------------------------------- what is small


def test_next_to_no_variation_decides_the_verdict(frame):
    m = np.round(2 * frame.treat + frame.x1, 2)
    study = study_of(frame.assign(m=m))
    assert VANISHES < own_variation(study).share < SMALL
    result = mediator_variation(study, expected=m.to_numpy() * 0.9)
    assert (result.name, result.passed) == (NAME, False)
    assert "direct and indirect effects must not be used" in result.text
    assert judge([result]).verdict == DO_NOT_TRUST


def test_the_mediator_model_may_find_what_no_other_prediction_does(frame):
    m = np.sin(3 * frame.x1) * np.exp(frame.x2) + frame.x3 * frame.x4 * frame.x1
    study = study_of(frame.assign(m=m))
    assert own_variation(study).share > SMALL
    result = mediator_variation(study, expected=m.to_numpy() * (1 - 1e-4))
    assert result.passed is False
    assert "the mediator model" in result.text


@pytest.mark.parametrize(("noise", "cautioned"), [(0.02, True), (0.5, False)])
def test_a_strongly_but_not_wholly_determined_mediator_passes_with_a_caution(
    frame, noise, cautioned
):
    m = 2 * frame.treat + frame.x1 + noise * np.random.default_rng(3).normal(size=N)
    study = study_of(frame.assign(m=m))
    result = mediator_variation(study, expected=(2 * frame.treat + frame.x1).to_numpy())
    assert result.passed is True
    assert ("Caution" in result.text) is cautioned
    assert (float(result.table.iloc[0, 0]) < STRETCHED) is cautioned


# ---------------------------------------------------------------- what is sound


@pytest.mark.parametrize("noise", [0.01, 0.5])
@pytest.mark.parametrize("name", [n for n, s in SCENARIOS.items() if s.mediated])
def test_simulated_mediators_pass_at_any_size(name, noise):
    for seed, n in enumerate((40, 100, 200, 1000)):
        trial = hte.simulate_scenario(name, np.random.default_rng(seed), n=n, noise=noise)
        assert own_variation(study_of(trial.frame)).share > 3 * SMALL, n


@pytest.mark.parametrize("n", [40, 100, 1000])
def test_the_simulated_study_of_mediation_passes(n):
    frame = hte.simulate_mediation(np.random.default_rng(n), n=n).frame
    assert own_variation(study_of(frame)).share > 0.1


def test_the_study_of_job_search_passes():
    study = hte.Study.from_frame(
        hte.load_jobs2(),
        outcome="depress2",
        treatment="treat",
        mediator="job_seek",
        covariates=["econ_hard", "sex", "age", "occp", "educ", "depress1"],
    )
    assert own_variation(study).share > 0.9


SOUND = {
    "binary, strong": lambda f, rng: rng.random(N) < 1 / (1 + np.exp(-4 * (f.x1 + f.treat - 0.5))),
    "binary, rare": lambda f, rng: rng.random(N) < 0.03,
    "one arm only": lambda f, rng: f.treat * (rng.random(N) < 0.5),
    "a dose": lambda f, rng: np.where(f.treat == 1, 100 + rng.normal(size=N), 0.0),
    "mostly zero": lambda f, rng: np.where(rng.random(N) < 0.9, 0.0, rng.normal(size=N)),
    "a count": lambda f, rng: rng.poisson(np.exp(0.3 * f.x1 + 0.5 * f.treat)),
    "the treatment, with errors": lambda f, rng: np.where(np.arange(N) < 4, 1 - f.treat, f.treat),
}


@pytest.mark.parametrize("name", SOUND)
def test_other_mediators_that_vary_pass(frame, name):
    m = np.asarray(SOUND[name](frame, np.random.default_rng(5)), dtype=float)
    assert own_variation(study_of(frame.assign(m=m))).share > SMALL


def test_noise_is_not_mistaken_for_a_relation_in_small_studies():
    # As many covariates as a small arm allows: a perfect fit of them means nothing.
    for seed in range(20):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame(rng.normal(size=(24, 8)), columns=[f"x{i}" for i in range(8)])
        frame = frame.assign(treat=np.arange(24) % 2, y=rng.normal(size=24))
        continuous = own_variation(study_of(frame.assign(m=rng.normal(size=24))))
        binary = own_variation(study_of(frame.assign(m=rng.permutation(np.arange(24) // 6 % 2))))
        assert min(continuous.share, binary.share) > 0.01
