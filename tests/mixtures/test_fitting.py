"""Fits of a mixture: sampled draws recover a known design, and say when they cannot be used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import nutpie
import pymc as pm
import pytest
import xarray as xr

from bayes_hte.checks.loo import leave_one_out
from bayes_hte.errors import DataError, NotIdentifiedError, SpecError, UnsupportedError
from bayes_hte.mixtures import Splines, draw_frame, fit_mixture, identifiability
from bayes_hte.mixtures.class_counts import compare_class_counts
from bayes_hte.mixtures.likelihood import fitting
from bayes_hte.mixtures.likelihood.law import class_law, class_means
from tests.mixtures.fake_mixture import DESIGN, mixture_frame

COLUMNS = {"outcome": "y", "treatment": "t", "x_proxies": ["x"], "z_proxies": ["z"]}
SHORT = {"draws": 250, "tune": 400, "progress": False}


@pytest.fixture(scope="module")
def frame():
    return mixture_frame(2000)


def blurred(n, seed):
    """Rows whose proxies have three levels a side, enough for three classes; there are two."""
    rng = np.random.default_rng(seed)
    rows = draw_frame(DESIGN, n, rng=rng)
    return rows.assign(z=rows["z"] + rng.integers(2, size=n), x=rows["x"] + rng.integers(2, size=n))


@pytest.fixture(scope="module")
def rows():
    return blurred(12_000, 22)


@pytest.fixture(scope="module")
def compiled():
    """The start and the compiled model of `fit`, once that is made."""
    return {}


@pytest.fixture(scope="module")
def fit(rows, compiled):
    compile_model = nutpie.compile_pymc_model

    def kept(model, *, initial_points, **options):
        made = compile_model(model, initial_points=initial_points, **options)
        compiled.update(start=initial_points, model=made)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nutpie, "compile_pymc_model", kept)
        return fit_mixture(rows, **COLUMNS, k=2, seed=3, **SHORT)


@pytest.mark.slow
def test_paper_design_is_recovered_and_the_moments_agree(fit):
    assert fit.healthy
    effects = fit.effects.mean(("chain", "draw")).to_numpy()
    np.testing.assert_allclose(effects, DESIGN.effects, atol=0.2)  # sd about .07
    table = fit.summary()
    assert table.loc[("ate", -1), "ci_lower"] < 0 < table.loc[("ate", -1), "ci_upper"]
    for u in (0, 1):
        row = table.loc[("probabilities", u)]
        assert row["ci_lower"] < 0.5 < row["ci_upper"]
    assert fit.agreement.answer == "agree"
    assert (fit.agreement.table["overlap"] > 0.5).all()


@pytest.mark.slow
def test_draws_carry_labels_by_effect_and_add_up(fit):
    assert fit.labels.rule == "effect"
    assert bool((fit.effects.diff("class") > 0).all())
    np.testing.assert_allclose(fit.probabilities.sum("class"), 1)
    np.testing.assert_allclose((fit.probabilities * fit.effects).sum("class"), fit.ate)
    law = class_law(fit.posterior["posterior"].to_dataset(), fit.level, fit.family)
    means = class_means(law, "bernoulli")
    np.testing.assert_allclose(means[..., 1] - means[..., 0], fit.effects)


@pytest.mark.slow
def test_units_get_memberships_that_add_up_to_one(fit, rows):
    whole, proxies = fit.membership(), fit.membership(given="proxies")
    for table in (whole, proxies):
        assert table.dims == ("unit", "class")
        np.testing.assert_allclose(table.sum("class"), 1)
        # Calibrated: the mean membership of a class is its probability.
        np.testing.assert_allclose(
            table.mean("unit"), fit.probabilities.mean(("chain", "draw")), atol=0.02
        )
    truth = rows["u"].to_numpy()
    hit = whole.to_numpy()[np.arange(len(truth)), truth].mean()
    assert hit > proxies.to_numpy()[np.arange(len(truth)), truth].mean() > 0.55


@pytest.mark.slow
def test_soft_effects_are_the_draws_averaged_last(fit):
    draws = fit.soft_effect_draws()
    by_unit = draws.mean(("chain", "draw")).to_numpy()[fit.patterns.row]
    np.testing.assert_allclose(fit.soft_effect(), by_unit)
    assert float(fit.soft_effect().max()) < float(fit.effects.max())


@pytest.mark.slow
def test_equal_seeds_give_equal_draws(fit, rows, compiled, monkeypatch):
    starts = []

    def as_before(_, *, initial_points, **options):
        """Compiling takes most of the time and draws nothing, so it is not done twice."""
        starts.append(initial_points)
        return compiled["model"]

    monkeypatch.setattr(nutpie, "compile_pymc_model", as_before)
    again = fit_mixture(rows, **COLUMNS, k=2, seed=3, **SHORT)
    np.testing.assert_equal(starts, [compiled["start"]])
    assert again.posterior["posterior"].to_dataset().equals(fit.posterior["posterior"].to_dataset())
    assert again.agreement.table.equals(fit.agreement.table)


@pytest.mark.slow
def test_with_an_x_y_edge_only_the_average_effect_can_be_read(fit):
    graph = identifiability(k=2, z_levels=[2], x_levels=[2], edges=("Z-T", "X-Y"))
    blind = replace(fit, identifiability=graph)
    for read in (
        lambda: blind.effects,
        lambda: blind.probabilities,
        blind.membership,
        blind.soft_effect,
        blind.soft_effect_draws,
    ):
        with pytest.raises(NotIdentifiedError, match="X-Y"):
            read()
    assert blind.summary().index.tolist() == [("ate", -1)]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"level": 2}, NotIdentifiedError, "Z-T edge is allowed"),
        ({"level": 2, "edges": ("X-Y",)}, NotIdentifiedError, "level=2"),
        ({"edges": ("X-T",)}, NotIdentifiedError, "A2"),
        ({"k": 3}, NotIdentifiedError, "3 levels"),
        ({"k": 1}, SpecError, "at least 2"),
        ({"level": 4}, SpecError, "2 or 3"),
        ({"class_covariates": ["z"]}, SpecError, "proxy of the class"),
        ({"family": "poisson", "outcome": "score"}, DataError, "negative"),
        ({"family": "bernouli"}, SpecError, "bernoulli"),
        ({"outcome": "score"}, DataError, "0 and 1"),
        ({"x_proxies": ["score"], "continuous": Splines()}, UnsupportedError, "categorical"),
        ({"x_proxies": ["z"]}, DataError, "two parts"),
    ],
)
def test_what_cannot_be_fitted_is_refused_before_sampling(frame, options, error, message):
    scored = frame.assign(score=np.random.default_rng(0).normal(size=len(frame)))
    call = COLUMNS | {"k": 2, "seed": 1, **SHORT} | options
    with pytest.raises(error, match=message):
        fit_mixture(scored, **call)


def prior_draws(model, start, seed, size):
    """Stand in for the sampler: draws of the prior, which no check should pass."""
    names = [variable.name for variable in model.unobserved_RVs]
    shape = (size.chains, size.draws)
    drawn = pm.draw(
        model.unobserved_RVs, shape[0] * shape[1], random_seed=seed, mode="FAST_COMPILE"
    )
    posterior = xr.Dataset(
        {
            name: (("chain", "draw", *model.named_vars_to_dims.get(name, ())), one)
            for name, one in zip(
                names, (one.reshape(*shape, *one.shape[1:]) for one in drawn), strict=True
            )
        },
        coords={name: list(values) for name, values in model.coords.items()},
    )
    zeros = xr.DataArray(np.zeros(shape), dims=("chain", "draw"))
    stats = xr.Dataset({"logp": zeros, "diverging": zeros.astype(bool)})
    return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats})


@pytest.mark.parametrize(
    ("options", "level"),
    [
        ({"family": "gaussian", "outcome": "score"}, 3),
        ({"family": "negative_binomial", "class_covariates": ["score"]}, 3),
        ({"level": 2, "edges": ()}, 2),
        ({"edges": ("Z-T", "X-Y")}, 4),
    ],
)
def test_every_model_runs_through_to_its_summary(frame, monkeypatch, options, level):
    monkeypatch.setattr(fitting, "_sample", prior_draws)
    scored = frame.assign(score=np.random.default_rng(0).normal(size=len(frame)))
    fit = fit_mixture(scored, **(COLUMNS | {"k": 2, "seed": 1, "draws": 40} | options))
    assert fit.level == level
    assert fit.posterior["posterior"]["outcome_predictor"].shape == (
        *(4, 40, 2),
        *((2, 2) if level == 4 else (1, 2)),
    )
    assert np.isfinite(fit.summary()["mean"]).all()
    quantities = set(fit.summary().index.get_level_values("quantity"))
    assert quantities == ({"ate"} if level == 4 else {"ate", "effects", "probabilities"})
    if level != 4:  # labels cannot be settled by the prior, and the fit says so
        assert not fit.healthy
        assert fit.agreement.answer == "not identifiable here"
        assert "too close" in fit.summary()["note"].iloc[0]


@pytest.fixture(scope="module")
def severe_frame():
    """Patients whose class is more probable with a covariate that does nothing else."""
    rng = np.random.default_rng(18)
    pool = draw_frame(DESIGN, 12_000, rng=rng)
    severity = rng.integers(-1, 2, size=len(pool))
    # Keeping units by class and severity makes the odds of class 1 grow by exp(1) per unit.
    odds = np.exp(0.5 * severity * np.where(pool["u"] == 1, 1, -1)) / np.exp(0.5)
    return pool.assign(severity=severity)[rng.random(len(pool)) < odds].head(4000)


@pytest.mark.slow
def test_a_covariate_of_the_class_is_recovered(severe_frame):
    fit = fit_mixture(severe_frame, **COLUMNS, k=2, seed=5, class_covariates=["severity"], **SHORT)
    assert fit.healthy, [check.text for check in fit.health if not check.passed]
    slope = fit.class_slopes.sel(class_covariate="severity")
    odds = (slope.isel({"class": 1}) - slope.isel({"class": 0})).mean()
    sd = severe_frame["severity"].std()
    assert float(odds) / sd == pytest.approx(1, abs=0.3)  # posterior sd about .1
    np.testing.assert_allclose(fit.effects.mean(("chain", "draw")), DESIGN.effects, atol=0.15)
    np.testing.assert_allclose(
        fit.probabilities.mean(("chain", "draw")),
        severe_frame["u"].value_counts(normalize=True, sort=False).sort_index(),
        atol=0.1,
    )
    # Severity tells more of a unit's class than the proxies alone.
    given = fit.membership(given="proxies").sel({"class": 1}).to_numpy()
    high = given[severe_frame["severity"] == 1].mean()
    low = given[severe_frame["severity"] == -1].mean()
    assert high - low > 0.2
    assert fit.agreement.answer == "agree"


@pytest.mark.slow
def test_without_covariates_there_are_no_slopes(fit):
    with pytest.raises(SpecError, match="class_covariates"):
        _ = fit.class_slopes


@pytest.mark.slow
def test_left_out_rows_tell_two_classes_from_three(fit, rows):
    fits = [fit_mixture(rows, **COLUMNS, k=3, seed=3, **SHORT), fit]
    found = compare_class_counts(fits)
    table = found.table.set_index("k")
    assert found.passed
    assert table["difference"].max() == 0
    assert "2 classes" in found.text
    # Three classes describe the same law with more parameters, so hardly better or worse.
    assert abs(table["difference"].min()) < 5
    assert table["p_loo"].between(4, 30).all()


@pytest.mark.slow
def test_fits_of_other_rows_cannot_be_compared(fit):
    twice = replace(
        fit,
        identifiability=replace(fit.identifiability, k=3),
        patterns=replace(fit.patterns, count=2 * fit.patterns.count),
    )
    with pytest.raises(SpecError, match="different rows"):
        compare_class_counts([fit, twice])
    with pytest.raises(SpecError, match="two or more"):
        compare_class_counts([fit])


@pytest.mark.slow
def test_scores_of_rows_are_those_of_units(fit):
    """One score per distinct row, counted, is what ArviZ gives for all units."""
    row = fit.patterns.row[:800]
    count = np.bincount(row, minlength=len(fit.patterns.z)).astype(float)
    part = replace(fit, patterns=replace(fit.patterns, count=count, row=row))
    values = fit.log_likelihood().isel(pattern=row).rename(pattern="unit")
    whole = leave_one_out(values.assign_coords(unit=range(values.sizes["unit"])))
    other = replace(part, identifiability=replace(fit.identifiability, k=3))
    table = compare_class_counts([part, other]).table.set_index("k")
    assert table.loc[2, "elpd"] == pytest.approx(float(whole.elpd), rel=1e-4)
    assert table.loc[2, "p_loo"] == pytest.approx(float(whole.p), rel=0.05)
    assert table.loc[3, "difference"] == 0
