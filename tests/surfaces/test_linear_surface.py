"""The linear surface: its horseshoe prior, its predictions, and an S-learner that sees effects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr

import bayes_hte as hte
from bayes_hte.study.design import Design
from bayes_hte.study.study import Study
from bayes_hte.surfaces.linear import (
    features_of,
    global_scale,
    linear_function,
    predict_linear,
    rows_of,
)
from bayes_hte.surfaces.terms import Term

SHARED = Term("shared", "shared", "covariates+propensity")
ARM_1 = Term("arm_1", "arm", arm=1)
S = Term("s", "shared", "covariates+arm")
TERMS = {"shared": SHARED, "arm_1": ARM_1, "s": S}
SCALE = {"shared": 2.0, "arm_1": 0.5, "s": 1.0}
DRAWS = 1000
SIZE = {"draws": 250, "tune": 300, "chains": 2, "cores": 1, "progress": False}


def small_design(n: int = 90) -> Design:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "x1": rng.normal(2.0, 3.0, n),
            "x2": rng.normal(size=n),
            "site": rng.choice(["a", "b", "c"], n),
            # One third treated: the standardised arm is not symmetric.
            "t": np.arange(n) % 3 == 0,
            "y": rng.normal(size=n),
        }
    )
    study = Study.from_frame(frame, outcome="y", treatment="t", covariates=["x1", "x2", "site"])
    return Design.learn(study, propensity=rng.uniform(0.2, 0.8, n))


@pytest.fixture(scope="module")
def design() -> Design:
    return small_design()


@pytest.fixture(scope="module")
def prior(design) -> tuple[xr.Dataset, dict[str, np.ndarray]]:
    """Draws of the variables of three terms, and of the functions as the model has them."""
    with pm.Model(coords={"unit": design.units.to_numpy()}) as model:
        functions = {
            name: linear_function(name, term, design, scale=SCALE[name])
            for name, term in TERMS.items()
        }
    names = [f"{name}_{part}" for name in TERMS for part in ("const", "coef")]
    wanted = [*functions.values(), *(model[name] for name in names)]
    drawn = pm.draw(wanted, draws=DRAWS, random_seed=1, mode="FAST_COMPILE")
    posterior = {}
    for name, values in zip(names, drawn[len(TERMS) :], strict=True):
        dims = model.named_vars_to_dims.get(name, ())
        posterior[name] = (("chain", "draw", *dims), values[None])
    coords = {f"{name}_feature": list(model.coords[f"{name}_feature"]) for name in TERMS}
    functions = dict(zip(TERMS, drawn, strict=False))
    return xr.Dataset(posterior, coords), functions


# ---------------------------------------------------------------- the model and its replay


@pytest.mark.parametrize("name", TERMS)
def test_the_prediction_at_the_rows_of_the_study_is_the_function_of_the_model(prior, design, name):
    posterior, functions = prior
    predicted = predict_linear(posterior, name, TERMS[name], design)
    np.testing.assert_allclose(predicted[0], functions[name], atol=1e-12)


def test_a_function_of_nothing_is_its_constant(prior, design):
    posterior, _ = prior
    predicted = predict_linear(posterior, "arm_1", Term("effect", "effect", "none", arm=1), design)
    constant = posterior["arm_1_const"].to_numpy()[..., None]
    np.testing.assert_array_equal(predicted, np.broadcast_to(constant, predicted.shape))


def test_saved_fits_without_the_constant_of_the_slopes_of_an_arm_still_predict(prior, design):
    posterior = prior[0].drop_vars("arm_1_const")
    slope = Term("mediator_arm_1", "mediator_arm", arm=1, on_mediator=True)
    with_none = predict_linear(posterior, "arm_1", slope, design)
    expected = posterior["arm_1_coef"].to_numpy() @ design.standardized("covariates").to_numpy().T
    np.testing.assert_allclose(with_none, expected)
    with pytest.raises(KeyError, match="arm_1_const"):
        predict_linear(posterior, "arm_1", ARM_1, design)


def test_a_function_that_sees_the_arm_has_an_effect_that_varies_with_every_column(prior, design):
    posterior, _ = prior
    under = [predict_linear(posterior, "s", S, design.under(arm)) for arm in (0, 1)]
    coef = posterior["s_coef"]
    z = design.standardized("covariates")
    slopes = coef.sel(s_feature=[f"(arm) x {name}" for name in z.columns]).to_numpy()
    main = coef.sel(s_feature="(arm)").to_numpy()[..., None]
    # From arm 0 to arm 1 the standardised arm moves by one over its standard deviation.
    expected = (main + slopes @ z.to_numpy().T) / design.arm.std()
    np.testing.assert_allclose(under[1] - under[0], expected, atol=1e-12)
    assert slopes.std() > 0


def test_products_with_the_arm_belong_to_functions_that_see_it_alone(design):
    assert not [c for c in features_of(SHARED, design).columns if " x " in c]
    products = [c for c in features_of(S, design).columns if " x " in c]
    assert products == [f"(arm) x {c}" for c in design.standardized("covariates").columns]


# ---------------------------------------------------------------- the prior


def test_constants_and_derived_columns_have_the_normal_priors_that_are_stated(prior):
    posterior, _ = prior
    spreads = {
        "shared_const": (posterior["shared_const"], 2.5 * SCALE["shared"]),
        "arm_1_const": (posterior["arm_1_const"], SCALE["arm_1"]),
        "propensity": (posterior["shared_coef"].sel(shared_feature="(propensity)"), 2.0),
        "arm": (posterior["s_coef"].sel(s_feature="(arm)"), SCALE["s"]),
    }
    for name, (draws, expected) in spreads.items():
        # The standard error of a standard deviation is 2.2% with 1,000 draws.
        assert float(draws.std()) == pytest.approx(expected, rel=0.1), name


@pytest.mark.parametrize("name", TERMS)
def test_coefficients_of_covariates_have_the_horseshoe_that_is_stated(prior, design, name):
    posterior, _ = prior
    coef = posterior[f"{name}_coef"]
    kept = [f for f in coef[f"{name}_feature"].to_numpy() if f not in ("(arm)", "(propensity)")]
    size = np.abs(coef.sel({f"{name}_feature": kept}).to_numpy())
    s, rows, p = SCALE[name], rows_of(TERMS[name], design), len(kept)
    p0 = min(5, p / 2)
    rng = np.random.default_rng(2)
    n = 200_000
    u = 4 * s / np.sqrt(rows) * p0 / (p - p0)
    u = u * np.abs(rng.standard_t(3, n) * rng.standard_cauchy(n))
    expected = np.abs(rng.normal(size=n)) * s * u / np.hypot(s, u)
    for probability in (0.25, 0.5, 0.75, 0.95):
        got = np.quantile(size, probability)
        assert got == pytest.approx(np.quantile(expected, probability), rel=0.2), probability


def test_the_global_scale_shrinks_with_rows_and_with_columns_beyond_the_expected_five():
    assert global_scale(2, scale=1.0, rows=100) == pytest.approx(0.4)
    assert global_scale(10, scale=1.0, rows=100) == pytest.approx(0.4)
    assert global_scale(50, scale=1.0, rows=100) == pytest.approx(0.4 * 5 / 45)
    assert global_scale(50, scale=3.0, rows=400) == pytest.approx(0.6 * 5 / 45)


def test_an_arm_term_is_informed_by_the_rows_of_its_arm(design):
    assert rows_of(SHARED, design) == 90
    assert rows_of(ARM_1, design) == 30
    assert rows_of(Term("arm_0", "arm", arm=0), design) == 60


# ---------------------------------------------------------------- recovery


@pytest.mark.slow
def test_a_linear_s_learner_recovers_linear_heterogeneity_as_a_t_learner_does():
    rng = np.random.default_rng(11)
    n = 240
    x = rng.normal(size=(n, 4))
    arm = rng.permutation(np.arange(n) % 2)
    truth = 0.3 + 0.8 * x[:, 0]
    y = x[:, 0] - 0.5 * x[:, 1] + arm * truth + rng.normal(size=n)
    names = [f"x{j}" for j in range(4)]
    frame = pd.DataFrame(x, columns=names).assign(y=y, t=arm)
    study = Study.from_frame(frame, outcome="y", treatment="t", covariates=names)

    def error(learner: str) -> float:
        fit = hte.fit(study, learner=learner, surface="linear", seed=5, **SIZE)
        return float(np.sqrt(np.mean((fit.cate().mean(("chain", "draw")) - truth) ** 2)))

    of_s = error("s")
    assert of_s <= 1.5 * error("t")
    # Without the products the effect is the same for everybody: no constant has a smaller error.
    assert of_s < 0.5 * truth.std()
