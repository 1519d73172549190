"""Options that contradict the data or are probably not meant."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte.errors import DataError, DoubtfulOptionWarning, SpecError
from bayes_hte.fitting import stages
from bayes_hte.fitting.doubts import check_declaration
from bayes_hte.study.declared import study_from_spec
from bayes_hte.study.spec_file import parse_spec
from tests.trial import TOML, trial_frame

N = 60


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "y": rng.normal(size=N),
            "event": rng.permutation(np.arange(N) % 2),
            "visits": rng.poisson(1.0, N),
            "scale": rng.integers(1, 6, N),
            "t": np.arange(N) % 2,
            "x": rng.normal(size=N),
        }
    )


@pytest.fixture
def unsampled(monkeypatch):
    """Stop every fit before it samples: the warnings come first."""

    class Stopped(Exception):
        pass

    def stop(*args, **kwargs):
        raise Stopped

    monkeypatch.setattr(stages, "fit_stage", stop)
    return Stopped


def doubts_of(frame, stopped, outcome="y", **options) -> list[str]:
    mediator = options.pop("mediator", None)
    study = hte.Study.from_frame(
        frame, outcome=outcome, treatment="t", covariates=["x"], mediator=mediator
    )
    with warnings.catch_warnings(record=True, action="always") as caught, pytest.raises(stopped):
        hte.fit(study, seed=1, **options)
    assert all(w.category is DoubtfulOptionWarning for w in caught)
    # The warning points at the line of the user.
    assert all(w.filename == __file__ for w in caught)
    return [str(w.message) for w in caught]


def test_a_gaussian_by_default_is_doubted_for_two_values_and_for_counts(frame, unsampled):
    (said,) = doubts_of(frame, unsampled, "event")
    assert "outcome 'event' has the values 0 and 1 only" in said
    assert "use 'bernoulli'" in said
    (said,) = doubts_of(frame.assign(event=frame["event"] + 1), unsampled, "event")
    assert "code it as 0 and 1" in said
    (said,) = doubts_of(frame, unsampled, "visits")
    assert "'poisson' or 'negative_binomial'" in said


def test_the_mediator_is_doubted_too(frame, unsampled):
    (said,) = doubts_of(frame, unsampled, mediator="event")
    assert "mediator 'event'" in said
    assert "mediator_family='gaussian'" in said
    assert doubts_of(frame, unsampled, mediator="event", mediator_family="bernoulli") == []


def test_a_family_that_was_named_and_columns_that_suit_it_are_not_doubted(frame, unsampled):
    assert doubts_of(frame, unsampled, "event", family="gaussian") == []
    assert doubts_of(frame, unsampled, "event", family="bernoulli") == []
    assert doubts_of(frame, unsampled, "y") == []
    assert doubts_of(frame, unsampled, "scale") == []


def test_the_estimator_doubts_its_default_family_and_its_clone_does(frame, unsampled):
    from sklearn.base import clone

    for estimator in (hte.EffectEstimator(seed=1), clone(hte.EffectEstimator(seed=1))):
        with (
            pytest.warns(DoubtfulOptionWarning, match="'bernoulli'"),
            pytest.raises(unsampled),
        ):
            estimator.fit(frame[["x"]], frame["event"], treatment=frame["t"])
    with pytest.raises(unsampled):
        hte.EffectEstimator(seed=1, family="gaussian").fit(
            frame[["x"]], frame["event"], treatment=frame["t"]
        )


@pytest.mark.parametrize(
    ("got", "meant"),
    [
        ("logit", "'bernoulli'"),
        ("counts", "'poisson' or 'negative_binomial'"),
        ("gauss", "'gaussian'"),
    ],
)
def test_other_names_of_families_lead_to_ours(frame, got, meant):
    study = hte.Study.from_frame(frame, outcome="y", treatment="t", covariates=["x"])
    with pytest.raises(SpecError, match=f"unknown family '{got}'. Did you mean {meant}\\?"):
        hte.fit(study, family=got)
    text = TOML.replace("[outcome]\n", f'[outcome]\nfamily = "{got}"\n')
    with pytest.raises(SpecError, match=f"Did you mean {meant}\\?"):
        parse_spec(text)


@pytest.mark.parametrize(
    ("word", "family"),
    [
        ("binomial", "bernoulli"),
        ("binary", "bernoulli"),
        ("Logistic", "bernoulli"),
        ("normal", "gaussian"),
        ("count", "poisson"),
    ],
)
def test_families_are_understood_under_the_names_of_other_packages(frame, unsampled, word, family):
    column = {"bernoulli": "event", "poisson": "visits"}.get(family, "y")
    # A family that was named is not doubted, under whichever name.
    assert doubts_of(frame, unsampled, outcome=column, family=word) == []
    assert hte.Plan(family=word, mediator_family=word).family == family
    text = TOML.replace("[outcome]\n", f'[outcome]\nfamily = "{word}"\n')
    assert parse_spec(text).outcome.family == family


@pytest.mark.parametrize(
    ("family", "least", "said"),
    [
        ("gaussian", 1.5, r"1\.5 is 1\.\d standard deviations of 'y': few treatments"),
        ("bernoulli", 0.6, r"0\.6 is 60 percentage points of 'y'"),
    ],
)
def test_a_large_difference_is_doubted(family, least, said):
    text = TOML.replace("[outcome]\n", f'[outcome]\nfamily = "{family}"\n')
    spec = parse_spec(text.replace("difference = 0.2", f"difference = {least}"))
    data = trial_frame()
    if family == "bernoulli":
        data["y"] = (data["y"] > data["y"].median()).astype(int)
    with pytest.warns(DoubtfulOptionWarning, match=said):
        check_declaration(spec, study_from_spec(spec, data))


# ---------------------------------------------------------------- study files


def declared(change=("", ""), frame=None):
    text = TOML.replace(*change)
    assert not change[0] or change[0] in TOML
    spec = parse_spec(text, name="trial", folder=Path())
    return spec, study_from_spec(spec, trial_frame() if frame is None else frame)


def test_a_sound_study_file_is_not_doubted():
    check_declaration(*declared())


def test_an_impossible_difference_of_probabilities_is_refused():
    frame = trial_frame()
    frame["y"] = (frame["y"] > frame["y"].median()).astype(int)
    change = "minimal_important_difference = 0.2", "minimal_important_difference = 10"
    binary = change[0], f'{change[1]}\nfamily = "bernoulli"'
    with pytest.raises(SpecError, match=r"difference = 10 of a probability.* write 0\.1"):
        check_declaration(*declared(binary, frame))
    check_declaration(*declared((change[0], f'{change[0]}\nfamily = "bernoulli"'), frame))


@pytest.mark.parametrize("least", [4.0, 10.0])
def test_a_difference_longer_than_a_bounded_scale_is_refused(least):
    frame = trial_frame()
    frame["y"] = (1 + np.arange(len(frame)) % 5).astype(float)
    family = '\nfamily = "bounded(1, 5)"'
    change = "minimal_important_difference = 0.2", f"minimal_important_difference = {least}{family}"
    with pytest.raises(SpecError, match=f"{least:g}: no two means of a scale from 1 to 5 differ"):
        check_declaration(*declared(change, frame))
    check_declaration(*declared((change[0], change[0] + family), frame))


def test_a_difference_beyond_the_horizon_of_times_is_refused():
    frame = trial_frame()
    frame["y"], frame["seen"] = np.exp(frame["y"]), 1
    text = TOML.replace("[roles]\n", '[roles]\nevent = "seen"\n')
    text = text.replace("[outcome]\n", '[outcome]\nfamily = "lognormal"\nhorizon = 1.5\n')
    for least, fine in ((0.2, True), (1.5, False)):
        spec = parse_spec(text.replace("difference = 0.2", f"difference = {least}"))
        study = study_from_spec(spec, frame)
        if fine:
            check_declaration(spec, study)
            continue
        with pytest.raises(SpecError, match=r"no two mean times up to 1\.5 differ by 1\.5 or more"):
            check_declaration(spec, study)


def test_a_difference_beyond_the_range_of_the_outcome_is_doubted():
    change = "minimal_important_difference = 0.2", "minimal_important_difference = 1000"
    with pytest.warns(DoubtfulOptionWarning, match="1000 exceeds the range of the outcome"):
        check_declaration(*declared(change))


def test_a_margin_of_subgroups_is_a_difference_too():
    change = "[subgroups]\n", "[subgroups]\nmargin = 1000.0\n"
    with pytest.warns(DoubtfulOptionWarning, match=r"subgroups\.margin = 1000 exceeds"):
        check_declaration(*declared(change))


def test_a_family_left_at_gaussian_is_doubted_and_a_named_one_is_not():
    frame = trial_frame()
    frame["y"] = (frame["y"] > frame["y"].median()).astype(int)
    with pytest.warns(DoubtfulOptionWarning, match=r"family = in \[outcome\]"):
        check_declaration(*declared(frame=frame))
    check_declaration(*declared(("[outcome]\n", '[outcome]\nfamily = "gaussian"\n'), frame))


def test_a_mediator_held_beyond_its_range_is_refused_before_sampling():
    change = "controlled_at = [0.0]", "controlled_at = [1e6]"
    with pytest.raises(DataError, match="outside the observed mediator"):
        check_declaration(*declared(change))
