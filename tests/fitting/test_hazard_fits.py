"""Fits of family piecewise_hazard, as users make them: crossing curves, arms, gaps, refusals."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte.components.hazard import INTERVAL
from bayes_hte.errors import DataError, SpecError, UnsupportedError
from bayes_hte.fitting.plan import Plan, check_plan

SIZE = {"seed": 1, "draws": 60, "tune": 60, "chains": 2, "cores": 1, "progress": False}
TINY = SIZE | {"draws": 10, "tune": 10}
ROLES = {"outcome": "years", "event": "died", "treatment": "arm", "reference": "a"}
# Deaths of arm b come late and together, those of arm a all the time: the curves cross.
SHAPES, SCALE = (0.8, 2.5), 1.2


def frame_of(n: int = 300, *, arms: int = 2, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    arm = np.arange(n) % arms
    time = SCALE * rng.weibull(np.take(SHAPES, np.minimum(arm, 1)))
    end = rng.uniform(0.5, 3, n)
    return pd.DataFrame(
        {
            "years": np.minimum(time, end),
            "died": time <= end,
            "arm": np.array(["a", "b", "c"])[arm],
            "x": rng.normal(size=n),
            "z": rng.normal(size=n),
            "site": np.array(["s", "t", "u", "v"])[np.arange(n) // 3 % 4],
        }
    )


def survival(time: float) -> np.ndarray:
    return np.array([np.exp(-((time / SCALE) ** shape)) for shape in SHAPES])


@pytest.fixture(scope="module")
def study() -> hte.Study:
    return hte.Study.from_frame(frame_of(), **ROLES, covariates=["x", "z"])


def fitted(study: hte.Study, **options: object) -> hte.Fit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hte.fit(study, **(SIZE | options))


@pytest.fixture(scope="module")
def fit(study: hte.Study) -> hte.Fit:
    return fitted(study, family="piecewise_hazard", horizon=1.5)


@pytest.fixture(scope="module")
def lognormal(study: hte.Study) -> hte.Fit:
    return fitted(study, family="lognormal", horizon=1.5)


@pytest.mark.slow
def test_curves_that_cross_are_recovered_where_a_lognormal_fails(
    fit: hte.Fit, lognormal: hte.Fit
) -> None:
    times, errors = [0.4, 1.5], {}
    truth = np.array([survival(t) for t in times])
    for name, one in (("hazards", fit), ("lognormal", lognormal)):
        curves = hte.survival_curves(one, times=times).mean(("chain", "draw"))
        errors[name] = np.abs(curves.transpose("time", "arm").to_numpy() - truth)
        early, late = (curves.isel(arm=1) - curves.isel(arm=0)).to_numpy()
        assert early > 0
        # With noise that is the same in both arms one curve lies above the other.
        assert (late < 0) == (name == "hazards")
    assert errors["hazards"].max() < 0.12
    assert errors["lognormal"].max() > 0.15


@pytest.mark.slow
def test_the_check_of_families_finds_the_lognormal_wrong(fit: hte.Fit, lognormal: hte.Fit) -> None:
    table = hte.check_against_hazards(lognormal, fit)
    assert table.index.names == ["arm", "time"]
    assert table.loc["b", "differs"].any()
    same = hte.check_against_hazards(fit, fit)
    assert not same["differs"].any()
    with pytest.raises(SpecError, match="comes first"):
        hte.check_against_hazards(fit, lognormal)
    with pytest.raises(SpecError, match="ci_prob"):
        hte.check_against_hazards(lognormal, fit, ci_prob=99)


@pytest.mark.slow
def test_scales_and_likelihoods_are_of_units(fit: hte.Fit, tmp_path) -> None:
    n = fit.study.n_units
    mu, alive = fit.potential_outcomes(), fit.potential_outcomes(estimand="survival", at=1.0)
    assert mu.sizes["unit"] == fit.log_likelihood().sizes["unit"] == n
    assert 0 < float(mu.min()) < float(mu.max()) < 1.5
    assert 0 <= float(alive.min()) < float(alive.max()) <= 1
    assert mu.attrs["estimand_words"] == "restricted mean survival time to 1.5"
    some = fit.study.frame.head(4)
    np.testing.assert_allclose(fit.cate(some), fit.cate().isel(unit=slice(4)))
    # The likelihood is that of the rows: an event in an interval, and survival of those before.
    family, noise = fit.observed_family(), fit.observed_noise()
    assert len(noise) == len(family.edges) - 1
    assert bool(np.isfinite(fit.log_likelihood()).all())
    hte.save_fit(fit, tmp_path)
    again = hte.load_fit(tmp_path, fit.study)
    rows = np.arange(4)
    own, kept = (f.components["outcome"] for f in (again, fit))
    for one, other in zip(own.hazards(own.design.take(rows)), kept.hazards(), strict=True):
        np.testing.assert_allclose(one, other[:, :, rows], rtol=1e-6)


def test_arms_gaps_and_late_entry_go_together() -> None:
    frame = frame_of(150, arms=3)
    frame["start"] = np.where(np.arange(150) % 4 == 0, frame["years"] * 0.3, 0.0)
    frame["died"] = frame["died"].astype(float)
    frame.loc[::10, "x"] = np.nan
    frame.loc[3:5, ["years", "died"]] = np.nan
    study = hte.Study.from_frame(frame, **ROLES, covariates=["x"], entry="start")
    whole = fitted(study, family="piecewise_hazard", **TINY)
    effect = whole.cate()
    assert effect.sizes["contrast"] == 2
    assert whole.log_likelihood().sizes["unit"] == 147
    pair = whole.two_arms("c", "b")
    among = whole.cate(contrast="c vs b").sel(unit=pair.study.units.to_numpy())
    np.testing.assert_allclose(pair.cate(), among)


def test_what_it_does_not_do_is_refused(study: hte.Study) -> None:
    plan, frame = Plan(family="piecewise_hazard"), frame_of()
    clustered = hte.Study.from_frame(frame, **ROLES, covariates=["x"], cluster="site")
    with pytest.raises(UnsupportedError, match=r"clusters of 'site'.*lognormal"):
        check_plan(clustered, plan)
    mediated = hte.Study.from_frame(frame, **ROLES, covariates=["x"], mediator="z")
    with pytest.raises(UnsupportedError, match=r"mediator.*lognormal"):
        check_plan(mediated, plan)
    for options, words in (
        ({"stack_with": ("linear",)}, "stacked"),
        ({"surface": "gp"}, "surface 'gp'"),
        ({"noise": "by_arm"}, "scale"),
        ({"learner": "x"}, "censored one is not observed"),
    ):
        with pytest.raises(UnsupportedError, match=words):
            check_plan(study, Plan(family="piecewise_hazard", **options))
    taken = hte.Study.from_frame(
        frame.rename(columns={"x": INTERVAL}), **ROLES, covariates=[INTERVAL]
    )
    with pytest.raises(DataError, match="rename column"):
        fitted(taken, family="piecewise_hazard", **TINY)
