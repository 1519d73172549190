"""What a test run shares: made once, whoever asks, and again when making it failed."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from tests.fakes import fake_study
from tests.shared_fits import SharedFits, call_key, made_once


def test_a_thing_is_made_once_whoever_comes_first(tmp_path):
    calls = []

    def make(path):
        calls.append("begun")
        time.sleep(0.1)
        path.write_text("whole")

    def ask(_):
        return made_once(tmp_path / "thing", make).read_text()

    # The lock belongs to the opened file, so threads exclude each other as processes do.
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == ["whole"] * 4
    assert calls == ["begun"]


def test_what_failed_is_made_again_from_the_start(tmp_path):
    def fail(path):
        path.mkdir()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        made_once(tmp_path / "thing", fail)
    assert made_once(tmp_path / "thing", lambda path: path.mkdir()).is_dir()


@pytest.fixture
def study():
    return fake_study(np.random.default_rng(0), n_units=20)[0]


def test_equal_calls_share_a_fit_also_between_processes(study, tmp_path, monkeypatch):
    calls = []

    def fit(study, **options):
        calls.append(options)
        return {"said": len(calls)}

    monkeypatch.setattr("bayes_hte.fitting.stages.fit", fit)
    one, other = SharedFits(tmp_path), SharedFits(tmp_path)
    first = one.fit(study, seed=1, learner="t")
    assert one.fit(study, learner="t", seed=1) is first
    assert other.fit(replace(study), seed=1, learner="t") == first
    assert one.fit(study, seed=2, learner="t") != first
    assert len(calls) == 2


def test_other_data_labels_roles_or_options_are_another_call(study):
    labelled = study.alike(study.frame.set_axis([f"id{i}" for i in range(20)]))
    changed = study.alike(study.frame.assign(y=study.frame["y"] + 1))
    smaller = replace(study, roles=replace(study.roles, covariates=("x1", "x2")))
    keys = {call_key(s, {"seed": 1}) for s in (study, labelled, changed, smaller)}
    keys |= {call_key(study, {"seed": "1"}), call_key(study, {})}
    assert len(keys) == 6
    assert call_key(replace(study), {"a": 1, "b": 2}) == call_key(study, {"b": 2, "a": 1})
