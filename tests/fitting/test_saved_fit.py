"""A whole fit on disk: what comes back is what was saved, or an error that says why not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import bayes_hte as hte
from bayes_hte.errors import SavedResultError
from bayes_hte.fitting.saved import FIT_FILE
from bayes_hte.study.spec import PriorSpec
from tests.fakes import fake_study

TINY = {"seed": 3, "draws": 20, "tune": 10, "chains": 2, "cores": 1, "progress": False}
TINY["stack_with"] = ()  # forests alone: a Gaussian process takes longer
PRIOR = PriorSpec("outcome", "arm", "small effects", scale=0.3, trees=10)


@pytest.fixture(scope="module")
def study():
    return fake_study(np.random.default_rng(0), n_units=60)[0]


@pytest.fixture(scope="module")
def fit(study):
    return hte.fit(study, mediator_family="student_t", priors=[PRIOR], **TINY)


@pytest.fixture(scope="module")
def saved(fit, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "deep" / "fit"
    hte.save_fit(fit, folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy to be spoiled."""
    return shutil.copytree(saved, tmp_path / "fit")


def test_a_reloaded_fit_is_the_same_fit(fit, study, folder):
    again = hte.load_fit(folder, study)
    assert again.plan == fit.plan
    assert again.plan.priors == (PRIOR,)
    assert again.seed == fit.seed
    np.testing.assert_allclose(
        again.potential_outcomes(), fit.potential_outcomes(), rtol=0, atol=1e-9
    )
    new = study.covariate_frame().iloc[[5, 5, 0]]
    np.testing.assert_allclose(again.cate(new), fit.cate(new), rtol=0, atol=1e-9)
    np.testing.assert_allclose(again.log_likelihood(), fit.log_likelihood(), atol=1e-9)
    assert set(again.posterior["posterior"]) == set(fit.posterior["posterior"])


def test_saving_again_replaces_the_old_fit(fit, study, folder):
    other = replace(fit, seed=99)
    hte.save_fit(other, folder)
    assert hte.load_fit(folder, study).seed == 99


def test_the_data_are_not_saved(study, folder):
    settings = json.loads((folder / FIT_FILE).read_text())
    assert set(settings) == {"plan", "seed", "data", "components", "format"}
    assert settings["data"] == study.fingerprint()


# ---------------------------------------------------------------- failures


def test_a_folder_without_a_fit_is_refused(study, tmp_path):
    with pytest.raises(SavedResultError, match=r"no saved fit in .*: there is no fit\.json"):
        hte.load_fit(tmp_path, study)


@pytest.mark.parametrize("change", ["value", "role", "reference"])
def test_another_study_is_refused(study, folder, change):
    frame = study.frame.copy()
    if change == "value":
        frame.iloc[0, 0] += 1e-6
    other = hte.Study.from_frame(
        frame,
        outcome="y",
        treatment="treat",
        covariates=["x1", "x2"] if change == "role" else ["x1", "x2", "x3"],
        mediator="m",
        reference=1 if change == "reference" else 0,
    )
    with pytest.raises(SavedResultError, match="belongs to other data or roles"):
        hte.load_fit(folder, other)


def test_a_missing_stage_is_refused_by_name(study, folder):
    (folder / "mediator" / "manifest.json").unlink()
    with pytest.raises(SavedResultError, match=r"stage 'mediator' .* missing, damaged"):
        hte.load_fit(folder, study)


def test_a_damaged_stage_is_refused_by_name(study, folder):
    file = max((folder / "outcome").rglob("c/*"), key=lambda f: f.stat().st_size * f.is_file())
    file.write_bytes(file.read_bytes()[:-1] + b"\x00\x01")
    with pytest.raises(SavedResultError, match=r"stage 'outcome' .* damaged"):
        hte.load_fit(folder, study)


def test_stages_of_two_fits_are_not_mixed(fit, study, folder, tmp_path):
    hte.save_fit(replace(fit, seed=99), tmp_path / "other")
    (folder / "outcome").rename(tmp_path / "kept")
    (tmp_path / "other" / "outcome").rename(folder / "outcome")
    with pytest.raises(SavedResultError, match=r"stage 'outcome' .* of another fit"):
        hte.load_fit(folder, study)


@pytest.mark.parametrize("text", ["{", "{}", "[]"])
def test_a_damaged_fit_file_is_refused(study, folder, text):
    (folder / FIT_FILE).write_text(text)
    with pytest.raises(SavedResultError, match="fit"):
        hte.load_fit(folder, study)


def test_a_fit_with_options_of_another_version_is_refused(study, folder):
    settings = json.loads((folder / FIT_FILE).read_text())
    settings["plan"]["wings"] = 2
    (folder / FIT_FILE).write_text(json.dumps(settings))
    with pytest.raises(SavedResultError, match="fit"):
        hte.load_fit(folder, study)
