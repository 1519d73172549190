"""The additive surface: curves that are apart from the line, their prior, replay and recovery."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from pymc.gp.hsgp_approx import calc_eigenvalues, calc_eigenvectors

from bayes_hte.errors import UnsupportedError
from bayes_hte.study.design import Design
from bayes_hte.study.encoding import MAX_KNOTS, ColumnEncoding
from bayes_hte.study.study import Study
from bayes_hte.surfaces import additive
from bayes_hte.surfaces.additive import (
    BASIS,
    BOUNDARY,
    FREQUENCIES,
    additive_function,
    curved_columns,
    mean_squares,
    predict_additive,
    relative_density,
)
from bayes_hte.surfaces.terms import Term

TERM = Term("f", "shared", "covariates+propensity")
SCALE = 2.0
CONTINUOUS = ["x", "visits", "(propensity)"]


@pytest.fixture(scope="module")
def design() -> Design:
    rng = np.random.default_rng(4)
    n = 120
    frame = pd.DataFrame(
        {
            "x": rng.exponential(3.0, n),
            # Eight values, most of the rows at the smallest: ranks far from evenly spaced.
            "visits": np.maximum(rng.integers(-7, 8, n), 0),
            "stage": rng.integers(1, 6, n),
            "site": rng.choice(["a", "b", "c"], n),
            "t": np.arange(n) % 2,
            "y": rng.normal(size=n),
        }
    )
    covariates = ["x", "visits", "stage", "site"]
    study = Study.from_frame(frame, outcome="y", treatment="t", covariates=covariates)
    return Design.learn(study, propensity=rng.uniform(0.2, 0.8, n))


def as_dataset(model: pm.Model, names: list[str], drawn: list[np.ndarray]) -> xr.Dataset:
    data, coords = {}, {}
    for name, values in zip(names, drawn, strict=True):
        dims = model.named_vars_to_dims.get(name, ())
        data[name] = (("chain", "draw", *dims), values[None])
        coords |= {dim: list(model.coords[dim]) for dim in dims}
    return xr.Dataset(data, coords)


@pytest.fixture(scope="module")
def prior(design) -> tuple[xr.Dataset, np.ndarray]:
    """Draws of the variables, and of the function as the model has it."""
    with pm.Model(coords={"unit": design.units.to_numpy()}) as model:
        function = additive_function("f", TERM, design, scale=SCALE)
    names = ["f_const", "f_coef", "f_curve", "f_amplitude"]
    drawn = pm.draw(
        [function, *(model[n] for n in names)], draws=800, random_seed=1, mode="FAST_COMPILE"
    )
    return as_dataset(model, names, drawn[1:]), drawn[0]


def contribution(
    posterior: xr.Dataset, design: Design, column: str, at: pd.Series | list, term: Term = TERM
) -> np.ndarray:
    """Return what one covariate adds to the function at its values, (chain, draw, value)."""
    encoding = next(c for c in design.columns(term.features).columns if c.name == column)
    z = pd.DataFrame(encoding.standardized(pd.Series(at, name=column)))
    added = posterior["f_coef"].sel(f_feature=list(z.columns)).to_numpy() @ z.to_numpy().T
    if encoding in curved_columns(term, design):
        weights = posterior["f_curve"].sel(f_curved=column).to_numpy()
        added = added + weights @ additive._basis(encoding, z[column].to_numpy()).T
    return added


def curve_alone(prior: xr.Dataset, design: Design, column: str) -> np.ndarray:
    """Return the curve of a column without its line at the rows of the study, (draw, row)."""
    whole = contribution(prior, design, column, design.frame[column])[0]
    z = design.standardized(TERM.features)[column].to_numpy()
    line = prior["f_coef"].sel(f_feature=column).to_numpy()[0][:, None] * z
    return whole - line


# ---------------------------------------------------------------- the basis


def test_the_basis_and_its_weights_are_those_of_the_hilbert_space_approximation():
    u = np.linspace(-1, 1, 7)
    box = np.array([BOUNDARY])
    eigenvalues = calc_eigenvalues(box, [BASIS])
    np.testing.assert_allclose(FREQUENCIES**2, eigenvalues[:, 0])
    expected = calc_eigenvectors(u[:, None], box, eigenvalues, [BASIS]).eval(mode="FAST_COMPILE")
    # Any range is mapped to -1 to 1.
    got = additive._eigenfunctions(3 * u + 5, np.array([2.0, 4.0, 8.0]))
    np.testing.assert_allclose(got, expected, atol=1e-12)
    lengthscale = 0.7
    density = pm.gp.cov.Matern52(1, lengthscale).power_spectral_density(FREQUENCIES[:, None])
    density = density.eval(mode="FAST_COMPILE")
    ours = relative_density(np.array([[lengthscale]]))[0]
    np.testing.assert_allclose(ours / ours[0], density / density[0], rtol=1e-10)


def test_numeric_covariates_with_six_or_more_values_have_curves(design):
    assert [c.name for c in curved_columns(TERM, design)] == CONTINUOUS
    assert [c.name for c in curved_columns(Term("f", "arm", arm=1), design)] == ["x", "visits"]
    assert curved_columns(Term("f", "effect", "none", arm=1), design) == ()


def test_the_stored_ranks_give_back_the_share_of_the_rows_at_each_value(design):
    column = next(c for c in design.encoding.columns if c.name == "visits")
    _, share = additive._distribution(column)
    counts = design.frame["visits"].value_counts(normalize=True).sort_index()
    np.testing.assert_allclose(share, counts)


def test_a_column_with_more_values_than_are_kept_is_centred_nearly():
    values = pd.Series(np.random.default_rng(8).normal(size=3 * MAX_KNOTS), name="x")
    column = ColumnEncoding.learn(values)
    z = column.standardized(values)["x"]
    basis = additive._basis(column, z)
    assert np.abs(basis.mean(axis=0)).max() < 0.002
    np.testing.assert_allclose((basis**2).mean(axis=0), mean_squares(column), atol=0.002)


# ---------------------------------------------------------------- prior and replay


@pytest.mark.parametrize("column", CONTINUOUS)
def test_a_curve_has_mean_zero_and_no_slope_over_the_rows_of_the_study(prior, design, column):
    curve = curve_alone(prior[0], design, column)
    z = design.standardized(TERM.features)[column].to_numpy()
    assert np.abs(curve).max() > 0.1
    np.testing.assert_allclose(curve.mean(axis=1), 0, atol=1e-10)
    np.testing.assert_allclose((curve * z).mean(axis=1), 0, atol=1e-10)


@pytest.mark.parametrize("column", CONTINUOUS)
def test_the_amplitude_is_the_prior_standard_deviation_of_a_curve(prior, design, column):
    amplitude = prior[0]["f_amplitude"].sel(f_curved=column).to_numpy()[0]
    assert 0 < amplitude.min() < amplitude.max() < SCALE
    ratio = (curve_alone(prior[0], design, column) ** 2).mean(axis=1) / amplitude**2
    # The mean of 800 such ratios has a standard error of about 0.03.
    assert ratio.mean() == pytest.approx(1, abs=0.15)


def test_the_prediction_at_the_rows_of_the_study_is_the_function_of_the_model(prior, design):
    posterior, function = prior
    np.testing.assert_allclose(
        predict_additive(posterior, "f", TERM, design)[0], function, atol=1e-10
    )


def test_the_function_is_its_constant_and_its_curves(prior, design):
    posterior, function = prior
    total = posterior["f_const"].to_numpy()[0][:, None] + sum(
        contribution(posterior, design, name, design.frame[name])[0]
        for name in ["x", "visits", "stage", "site", "(propensity)"]
    )
    np.testing.assert_allclose(total, function, atol=1e-10)


def test_beyond_the_observed_range_the_line_goes_on_and_the_curve_stays(prior, design):
    posterior, _ = prior
    x = design.frame["x"]
    top = float(x.max())
    curve = contribution(posterior, design, "x", [top, top + 1, top + 3])
    slope = posterior["f_coef"].sel(f_feature="x").to_numpy() / float(x.std(ddof=0))
    np.testing.assert_allclose(np.diff(curve), slope[..., None] * np.array([1, 2]), atol=1e-10)
    beyond = replace(design, frame=design.frame.assign(x=top + 3))
    edge = replace(design, frame=design.frame.assign(x=top))
    moved = predict_additive(posterior, "f", TERM, beyond) - predict_additive(
        posterior, "f", TERM, edge
    )
    np.testing.assert_allclose(moved, np.broadcast_to(3 * slope[..., None], moved.shape), atol=1e-9)


def test_levels_are_compared_with_the_first(prior, design):
    posterior, _ = prior
    c, a = np.moveaxis(contribution(posterior, design, "site", ["c", "a"]), -1, 0)
    np.testing.assert_array_equal(a, 0)
    np.testing.assert_allclose(c, posterior["f_coef"].sel(f_feature="site=c"))


# ---------------------------------------------------------------- failures


def test_a_function_that_sees_the_arm_is_refused_and_alternatives_named(design):
    s = Term("s", "shared", "covariates+arm")
    with pm.Model(), pytest.raises(UnsupportedError, match=r"learner 's'.*Learner 't'.*linear"):
        additive_function("s", s, design, scale=1.0)


# ---------------------------------------------------------------- recovery


@pytest.mark.slow
def test_the_curves_of_a_known_function_are_recovered_without_divergences():
    rng = np.random.default_rng(21)
    n = 250
    x = rng.uniform(-2, 2, size=(n, 3))
    y = np.sin(1.8 * x[:, 0]) + 0.5 * x[:, 1] + rng.normal(scale=0.5, size=n)
    frame = pd.DataFrame(x, columns=["sine", "line", "nothing"]).assign(y=y, t=np.arange(n) % 2)
    study = Study.from_frame(
        frame, outcome="y", treatment="t", covariates=["sine", "line", "nothing"]
    )
    design, term = Design.learn(study), Term("f", "shared")
    with pm.Model(coords={"unit": design.units.to_numpy()}):
        eta = y.mean() + additive_function("f", term, design, scale=float(y.std()))
        sigma = pm.HalfStudentT("sigma", nu=3, sigma=float(y.std()))
        pm.Normal("y", eta, sigma, observed=y, dims="unit")
        tree = pm.sample(
            draws=250,
            tune=300,
            chains=2,
            cores=2,
            random_seed=5,
            progressbar=False,
            compute_convergence_checks=False,
            nuts_sampler="nutpie",
            nuts={"target_accept": 0.99},
        )
    assert int(tree["sample_stats"]["diverging"].sum()) == 0
    posterior = tree["posterior"].to_dataset()
    truths = {"sine": np.sin(1.8 * x[:, 0]), "line": 0.5 * x[:, 1], "nothing": np.zeros(n)}
    inside = []
    for name, truth in truths.items():
        draws = contribution(posterior, design, name, frame[name], term).reshape(-1, n)
        truth = truth - truth.mean()
        # A tenth of the noise would be the error of a mean of 100 rows.
        assert np.sqrt(np.mean((draws.mean(axis=0) - truth) ** 2)) < 0.15, name
        low, high = np.quantile(draws, [0.025, 0.975], axis=0)
        inside.append(np.mean((low <= truth) & (truth <= high)))
    assert np.mean(inside) > 0.8
    amplitude = posterior["f_amplitude"].median(("chain", "draw"))
    assert float(amplitude.sel(f_curved="sine")) > 5 * float(amplitude.sel(f_curved="nothing"))
    assert float(amplitude.sel(f_curved="sine")) > 5 * float(amplitude.sel(f_curved="line"))
