"""A confounder of mediator and outcome that the treatment changes: what is left, and refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte.checks import mediator_confounding, mediator_variation
from bayes_hte.checks.subject import Subject
from bayes_hte.errors import DataError, UnsupportedError

SIZE = {"seed": 3, "draws": 120, "tune": 60, "chains": 2, "cores": 1, "progress": False}
ROLES = {"outcome": "y", "treatment": "arm", "covariates": ["x"], "mediator": "m"}
INDIRECT, DIRECT = 0.7 * (0.6 + 0.8 * 0.5), 0.3 + 0.6 * 0.5


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(6)
    x, e, u, noise = rng.normal(size=(4, 500))
    arm = rng.permutation(np.arange(500) % 2)
    side = 0.5 * arm + 0.3 * x + e
    m = 0.6 * arm + 0.8 * side + 0.3 * x + u
    y = 0.3 * arm + 0.6 * side + 0.7 * m + 0.2 * x + noise
    return pd.DataFrame({"y": y, "arm": arm, "m": m, "side": side, "x": x})


@pytest.fixture(scope="module")
def fit(frame) -> hte.Fit:
    study = hte.Study.from_frame(frame, post_treatment="side", **ROLES)
    return hte.fit(study, surface="linear", **SIZE)


def test_interventional_effects_are_those_of_the_truth(fit):
    found = hte.average(fit.interventional_effects())
    for name, true in {"indirect": INDIRECT, "direct": DIRECT}.items():
        assert abs(float(found[name].mean()) - true) < 2.5 * float(found[name].std())
    np.testing.assert_allclose(found["overall"], found["indirect"] + found["direct"])
    # Nothing is nonlinear, so the overall effect is the total one.
    assert float(found["overall"].mean()) == pytest.approx(float(fit.cate().mean()), abs=0.1)


@pytest.mark.slow
def test_a_fit_that_does_not_know_of_it_is_wrong(fit, frame):
    # The negative test: the slope of the mediator takes in what the confounder does.
    naive = hte.fit(hte.Study.from_frame(frame, **ROLES), surface="linear", **SIZE)
    indirect = hte.average(naive.effects())["tnie"]
    known = float(hte.average(fit.interventional_effects())["indirect"].mean())
    assert float(indirect.mean()) - INDIRECT > 3 * abs(known - INDIRECT)
    assert float(indirect.mean()) - INDIRECT > 1.5 * float(indirect.std())


def test_natural_effects_are_refused_with_the_reason(fit):
    mu = fit.potential_outcomes()
    assert mu.dims == ("chain", "draw", "unit", "arm")
    reason = "the treatment changes 'side', which affects both 'm' and 'y': natural"
    for ask in (hte.total_natural_indirect, hte.pure_natural_direct, hte.decompose):
        with pytest.raises(UnsupportedError, match=reason):
            ask(mu)
    with pytest.raises(UnsupportedError, match=reason):
        fit.path_effects(order=["side", "m"])
    assert (list(fit.effects()), list(fit.summary().index)) == (["te"], ["cate"])
    np.testing.assert_allclose(hte.cate(mu), fit.effects()["te"])
    assert mediator_confounding.check(Subject(fit, fit.effects(), assignment="randomised")) == ()


def test_the_mediator_can_be_held_while_the_confounder_follows_the_arm(fit):
    held = fit.potential_outcomes(mediator_value=0.5)
    controlled = hte.controlled_direct_effect(held).mean("unit")
    assert abs(float(controlled.mean()) - DIRECT) < 2.5 * float(controlled.std())


@pytest.mark.slow
def test_it_is_saved_checked_and_part_of_the_identity(fit, frame, tmp_path):
    hte.save_fit(fit, tmp_path)
    again = hte.load_fit(tmp_path, fit.study).interventional_effects(frame.head(5))
    here = fit.interventional_effects().isel(unit=slice(5))
    np.testing.assert_allclose(again["indirect"], here["indirect"], rtol=1e-9)
    both = hte.Study.from_frame(frame, **{**ROLES, "mediator": ["side", "m"]})
    assert both.fingerprint() != fit.study.fingerprint()
    assert len(mediator_variation.check(Subject(fit, fit.effects()))) == 2
    part = fit.study.subset(np.arange(200))
    assert part.roles == fit.study.roles


def test_it_goes_with_one_mediator(frame):
    with pytest.raises(UnsupportedError, match="there are 0 mediators"):
        hte.Study.from_frame(frame, post_treatment="side", **{**ROLES, "mediator": None})
    with pytest.raises(UnsupportedError, match="there are 2 mediators"):
        hte.Study.from_frame(frame, post_treatment="side", **{**ROLES, "mediator": ["m", "x"]})
    with pytest.raises(DataError, match="two parts"):
        hte.Study.from_frame(frame, post_treatment="m", **ROLES)
