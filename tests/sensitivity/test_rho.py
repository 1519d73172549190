"""Correlated errors of mediator and outcome: simulation, closed forms, and the way from a fit."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
import xarray as xr

from bayes_hte.components.families import get_family
from bayes_hte.components.predictor import LinearPredictor
from bayes_hte.effects.contrasts import decompose
from bayes_hte.errors import DataError, SpecError, UnsupportedError
from bayes_hte.fitting.mediation import potential_outcomes
from bayes_hte.names import ARM, SAMPLE, UNIT
from bayes_hte.sensitivity import mediation_rho, rho_sensitivity
from bayes_hte.study.datasets import load_jobs2


def draws(*values: float) -> xr.DataArray:
    return xr.DataArray(np.array(values, float).reshape(1, -1), dims=SAMPLE)


def published_acme(frame: pd.DataFrame, covariates: str, rho: np.ndarray) -> tuple:
    """ACME by rho and the correlation of the residuals (Imai, Keele and Yamamoto, theorem 4)."""
    mediator = smf.ols(f"m ~ t + {covariates}", frame).fit()
    total = smf.ols(f"y ~ t + {covariates}", frame).fit()
    n = len(frame)
    s1, s2 = (np.sqrt((f.resid**2).sum() / n) for f in (total, mediator))
    between = np.corrcoef(total.resid, mediator.resid)[0, 1]
    root = np.sqrt((1 - between**2) / (1 - rho**2))
    return mediator.params["t"] * s1 / s2 * (between - rho * root), between


def test_least_squares_on_jobs2_agrees_with_the_published_closed_form():
    frame = load_jobs2().rename(columns={"treat": "t", "job_seek": "m", "depress2": "y"})
    covariates = "econ_hard + depress1 + sex + age + occp + marital + nonwhite + educ + income"
    mediator = smf.ols(f"m ~ t + {covariates}", frame).fit()
    outcome = smf.ols(f"y ~ t + m + {covariates}", frame).fit()
    residual, spread = (np.sqrt((f.resid**2).mean()) for f in (outcome, mediator))
    moved, indirect = mediator.params["t"], mediator.params["t"] * outcome.params["m"]
    found = rho_sensitivity(
        draws(indirect),
        draws(indirect + outcome.params["t"]),
        draws(moved * residual / spread),
    )
    rho = found.tnie["rho"].to_numpy()
    acme, between = published_acme(frame, covariates, rho)
    np.testing.assert_allclose(found.tnie[0, 0], acme, atol=1e-12)
    # There the effect is zero where rho is the correlation of the residuals of both regressions.
    assert found.rho_zero.item() == pytest.approx(between)
    assert between == pytest.approx(-0.20998, abs=1e-5)


def simulated(rho: float, n: int = 200_000) -> pd.DataFrame:
    """Draw a study whose slope differs by arm and covariate, and whose noises differ by arm."""
    rng = np.random.default_rng(6)
    t, x = rng.integers(0, 2, size=n), rng.normal(size=n)
    e_m, other = rng.normal(size=(2, n))
    e_y = rho * e_m + np.sqrt(1 - rho**2) * other
    m = 0.3 * x + t * (0.8 + 0.5 * x) + np.where(t == 1, 1.5, 0.8) * e_m
    slope = np.where(t == 1, 0.7 + 0.4 * x, -0.2)
    y = x + 0.25 * t + slope * m + np.where(t == 1, 2.0, 1.0) * e_y
    return pd.DataFrame({"y": y, "m": m, "t": t, "x": x})


# Averages over x ~ N(0, 1) of (0.7 + 0.4 x)(0.8 + 0.5 x), and of the difference of the outcomes at
# the mediators of their own arms, 0.25 + (0.7 + 0.4 x)(0.8 + 0.8 x) + 0.2 * 0.3 x.
TRUE_TNIE, TRUE_TE = 0.56 + 0.2, 0.25 + 0.56 + 0.32


@pytest.mark.parametrize("rho", [-0.5, 0.4])
def test_the_assumed_correlation_gives_the_true_indirect_effect_back(rho):
    frame = simulated(rho)
    control, treated = (fit_arm(frame[frame["t"] == arm]) for arm in (0, 1))
    x = np.stack([np.ones(len(frame)), frame["x"]])
    mean_m = [fit["m"] @ x for fit in (control, treated)]
    mean_y = [
        fit["y"][:2] @ x + (fit["y"][2:] @ x) * m
        for fit, m in zip((control, treated), mean_m, strict=True)
    ]
    moved = mean_m[1] - mean_m[0]
    naive = np.mean((treated["y"][2:] @ x) * moved)
    found = rho_sensitivity(
        draws(naive),
        draws(np.mean(mean_y[1] - mean_y[0])),
        draws(np.mean(moved) * treated["ratio"]),
        rho=[rho],
    )
    assert found.tnie.item() == pytest.approx(TRUE_TNIE, abs=0.02)
    assert found.pnde.item() == pytest.approx(TRUE_TE - TRUE_TNIE, abs=0.03)
    # Without the correction the indirect effect is far away; the total effect needs none.
    assert abs(naive - TRUE_TNIE) > 0.2
    assert found.te.item() == pytest.approx(TRUE_TE, abs=0.03)


def fit_arm(rows: pd.DataFrame) -> dict:
    """Least squares of mediator and outcome in one arm, slopes linear in x."""
    one, x, m = np.ones(len(rows)), rows["x"].to_numpy(), rows["m"].to_numpy()
    design_m, design_y = np.stack([one, x], 1), np.stack([one, x, m, m * x], 1)
    b_m, b_y = (
        np.linalg.lstsq(d, v)[0] for d, v in ((design_m, m), (design_y, rows["y"].to_numpy()))
    )
    ratio = np.std(rows["y"] - design_y @ b_y) / np.std(m - design_m @ b_m)
    return {"m": b_m, "y": b_y, "ratio": ratio}


def test_effects_add_up_and_vanish_where_said():
    rng = np.random.default_rng(7)
    tnie, te, shift = (
        xr.DataArray(v, dims=SAMPLE)
        for v in rng.normal([[[0.3]], [[1]], [[-0.5]]], 0.1, (3, 2, 50))
    )
    found = rho_sensitivity(tnie, te, shift)
    xr.testing.assert_allclose(
        found.tnie + found.pnde, te.expand_dims(rho=found.tnie["rho"], axis=2)
    )
    np.testing.assert_allclose(found.tnie.sel(rho=0.0), tnie)
    k = found.rho_zero / np.sqrt(1 - found.rho_zero**2)
    np.testing.assert_allclose(tnie - k * shift, 0, atol=1e-12)
    assert bool((found.rho_zero < 0).all())


def test_the_summaries_name_their_interval_and_the_shares_of_variance():
    tnie = xr.DataArray(np.linspace(0.1, 0.3, 101)[None], dims=SAMPLE)
    found = rho_sensitivity(tnie, tnie + 1, xr.ones_like(tnie), rho=[-0.3, 0.0, 0.1, 0.2, 0.3])
    table = found.summary(ci_prob=0.9)
    assert table.loc[("tnie", -0.3), "r_squared"] == pytest.approx(0.09)
    assert set(table["ci_prob"]) == {0.9}
    root = found.root_summary()
    assert root.loc["rho_zero", "median"] == pytest.approx(0.2 / np.hypot(1, 0.2))
    assert root.loc["r_squared_zero", "median"] == pytest.approx(0.04 / 1.04)
    # At 0.1 the draws are 0.1 to 0.3 less 0.1005; all but the first few are positive.
    assert found.first_covering(ci_prob=0.95) == 0.2
    assert found.first_covering(ci_prob=0.999) == 0.1
    assert rho_sensitivity(tnie, tnie, 0.01 * tnie).first_covering() is None
    assert "from a correlation of 0.2." in found.check().text
    wide = rho_sensitivity(tnie - 0.2, tnie, xr.ones_like(tnie))
    assert "without any such correlation" in wide.check().text


class Column:
    """What the analysis needs of a fitted column."""

    def __init__(self, predictor, family: str, sigma: np.ndarray):
        self.predictor, self.family, self.sigma = predictor, get_family(family), sigma
        self.design = SimpleNamespace(under=lambda arm: arm)

    def linear_predictor(self):
        return self.predictor

    def noise(self, arm: int) -> dict[str, np.ndarray]:
        return {"sigma": self.sigma[..., arm]}


def fake_fit(*, families=("gaussian", "gaussian"), by_unit: bool = False):
    """Draws of both linear predictors at 5 units, with noise by arm (and unit)."""
    rng = np.random.default_rng(8)
    base, slope, eta_m = (
        xr.DataArray(v, dims=(*SAMPLE, UNIT, ARM)) for v in rng.normal(0.5, 1, (3, 2, 20, 5, 2))
    )
    sigma = rng.uniform(0.5, 2, size=(2, 2, 20, 5 if by_unit else 1, 2))
    outcome = Column(LinearPredictor(base, slope), families[0], sigma[0])
    mediator = Column(LinearPredictor(eta_m, None), families[1], sigma[1])

    def outcomes() -> xr.DataArray:
        noise, expected = mediator.noise(1), np.zeros((5, 2))
        mu = potential_outcomes(
            base_slope, outcome.family, eta_m, mediator.family, expected=expected, noise=noise
        )
        return mu.assign_coords({ARM: [0, 1], "mediator_arm": [0, 1]})

    base_slope = outcome.linear_predictor()
    fit = SimpleNamespace(
        components={"outcome": outcome, "mediator": mediator},
        potential_outcomes=outcomes,
        study=SimpleNamespace(check_two_arms=lambda what: None),
    )
    return fit, slope, eta_m, sigma


@pytest.mark.parametrize("by_unit", [False, True])
def test_a_fit_gives_slope_by_slope_what_the_formula_says(by_unit):
    fit, slope, eta_m, sigma = fake_fit(by_unit=by_unit)
    rho = 0.3
    found = mediation_rho(fit, rho=[rho])
    k = rho / np.sqrt(1 - rho**2)
    behind = slope[..., 1].to_numpy() - k * sigma[0, ..., 1] / sigma[1, ..., 1]
    moved = (eta_m[..., 1] - eta_m[..., 0]).to_numpy()
    np.testing.assert_allclose(found.tnie[..., 0], (behind * moved).mean(-1))
    assert found.tnie.attrs["population"] == "SATE"


def test_a_subgroup_is_averaged_alone_and_effects_at_hand_are_used():
    fit, *_ = fake_fit()
    at_hand = decompose(fit.potential_outcomes())
    fit.potential_outcomes = None
    units = np.array([True, False, False, True, False])
    found = mediation_rho(fit, rho=[0.0], units=units, effects=at_hand)
    np.testing.assert_allclose(found.tnie[..., 0], at_hand["tnie"].isel({UNIT: units}).mean(UNIT))
    assert found.te.attrs["population"] == "the 2 units chosen"
    with pytest.raises(SpecError, match="each of 5 units"):
        mediation_rho(fit, units=np.array([0, 1]), effects=at_hand)


def test_other_families_and_studies_without_mediator_are_refused():
    with pytest.raises(UnsupportedError, match="got student_t and gaussian"):
        mediation_rho(fake_fit(families=("student_t", "gaussian"))[0])
    with pytest.raises(UnsupportedError, match="got gaussian and poisson"):
        mediation_rho(fake_fit(families=("gaussian", "poisson"))[0])
    fit, *_ = fake_fit()
    del fit.components["mediator"]
    with pytest.raises(UnsupportedError, match="no mediator"):
        mediation_rho(fit)


@pytest.mark.parametrize("rho", [[], [0.5, 0.1], [1.0], [[0.1]], [np.nan], 0.1, "a", None])
def test_correlations_that_are_none_are_refused(rho):
    with pytest.raises(SpecError, match="inside"):
        rho_sensitivity(draws(1.0), draws(1.0), draws(1.0), rho=rho)


def test_arrays_that_are_no_averages_are_refused():
    with pytest.raises(DataError, match="te must be an average"):
        rho_sensitivity(draws(1.0), draws(1.0, 2.0), draws(1.0))
    with pytest.raises(DataError, match="tnie must be an average, a DataArray"):
        rho_sensitivity([1.0], draws(1.0), draws(1.0))
    with pytest.raises(DataError, match="shift holds NaN"):
        rho_sensitivity(draws(1.0), draws(1.0), draws(np.nan))
    with pytest.raises(DataError, match="no effect on the mediator"):
        rho_sensitivity(draws(0.0), draws(1.0), draws(0.0))
