"""Units without an outcome or a mediator are no part of the likelihood."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_hte.components.effect import imputed_effects
from bayes_hte.components.noise import noise_of
from bayes_hte.components.outcome import build_outcome
from bayes_hte.study.design import Design
from bayes_hte.study.study import Study
from bayes_hte.surfaces.forest.working_models import WorkingModel, without_unknown

N = 40


def study_of(*, mediated: bool, family: str) -> Study:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"x": rng.normal(size=N), "t": np.arange(N) % 2, "m": rng.normal(size=N)}
    ).assign(y=rng.normal(size=N))
    if family == "bernoulli":
        frame["y"] = (frame["y"] > 0).astype(float)
    frame.loc[[0, 1, 2], "y"] = np.nan
    roles = {"outcome": "y", "treatment": "t", "covariates": ["x"]}
    if mediated:
        frame.loc[[2, 3], "m"] = np.nan
        roles["mediator"] = "m"
    return Study.from_frame(frame, **roles)


def component_of(study: Study, **options):
    expected = np.zeros(study.n_units) if study.roles.mediator else None
    design = Design.learn(study, expected_mediator=expected)
    return build_outcome(study, design, surface="linear", **options)


@pytest.mark.parametrize("noise", ["constant", "by_arm"])
@pytest.mark.parametrize("mediated", [False, True])
def test_the_likelihood_is_that_of_the_units_with_outcome(mediated, noise):
    study = study_of(mediated=mediated, family="gaussian")
    whole = component_of(study, noise=noise)
    known = study.known_outcome()
    assert known.sum() == N - (4 if mediated else 3)
    assert whole.model["outcome_observed"].eval().shape == (known.sum(),)
    # Their priors are those of a study of these units, up to the encoding of the covariate.
    part = component_of(study.with_outcome(), noise=noise)
    assert whole.offset == part.offset
    assert [p.scale for p in whole.placed] == pytest.approx([p.scale for p in part.placed])
    point = whole.model.initial_point()
    logp = whole.model.compile_logp(vars=[whole.model["outcome_observed"]], sum=False)(point)
    assert logp[0].shape == (known.sum(),)
    assert np.isfinite(logp[0]).all()
    # It does not depend on what stands where outcomes are missing.
    assert np.isfinite(whole.y).all()


def test_a_missing_binary_outcome_is_any_of_its_values():
    component = component_of(study_of(mediated=False, family="bernoulli"), family="bernoulli")
    assert set(component.y) == {0.0, 1.0}
    assert component.known.sum() == N - 3


def test_complete_outcomes_leave_no_mask():
    study = study_of(mediated=False, family="gaussian").with_outcome()
    assert component_of(study).known is None


def test_rows_without_outcome_have_no_precision():
    working = WorkingModel(np.arange(3.0), np.ones(3))
    assert without_unknown(working, None) is working
    masked = without_unknown(working, np.array([True, False, True]))
    assert masked.precision.tolist() == [1, 0, 1]
    assert masked.residual is working.residual


def test_effects_of_units_without_outcome_are_not_imputed():
    import xarray as xr

    mu = xr.DataArray(np.zeros((1, 2, 3, 2)), dims=("chain", "draw", "unit", "arm"))
    found = imputed_effects(mu, np.array([1.0, np.nan, 2.0]), np.array([0, 0, 1]))
    assert found.table.tolist() == [[-1.0, 0.0, 2.0]] * 2


def test_noise_of_some_rows():
    noise = {"sigma": np.ones((1, 2, 3)), "nu": np.ones((1, 2, 1))}
    kept = noise_of(noise, np.array([True, False, True]))
    assert (kept["sigma"].shape, kept["nu"].shape) == ((1, 2, 2), (1, 2, 1))
