"""Imputed frames: drawn given everything else, one fit each, their draws put together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte.errors import DataError, SpecError, UnsupportedError
from bayes_hte.fitting.imputing import imputed_studies
from bayes_hte.fitting.pooled import NAME, PooledFit
from bayes_hte.names import SAMPLE

ROLES = {"outcome": "y", "treatment": "t", "covariates": ["a", "b", "g", "s"]}


def trial(n: int = 600) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A trial, and the same with values missing where `b` is large."""
    rng = np.random.default_rng(0)
    b = rng.normal(size=n)
    whole = pd.DataFrame({"a": 0.8 * b + 0.6 * rng.normal(size=n), "b": b})
    whole["g"] = np.where(b + rng.normal(size=n) > 0, "high", np.where(b < -1, "none", "low"))
    whole["s"] = (whole["a"] + rng.normal(size=n) > 0).astype(float)
    whole["t"] = np.arange(n) % 2
    whole["y"] = whole["a"] * (1 + whole["t"]) + 0.5 * rng.normal(size=n)
    holed = whole.copy()
    often = 1 / (1 + np.exp(-2 * b))
    for name in ("a", "g", "s"):
        holed.loc[rng.random(n) < 0.6 * often, name] = np.nan if name != "g" else None
    holed.loc[rng.random(n) < 0.1, "y"] = np.nan
    return whole, holed


@pytest.fixture(scope="module")
def study():
    return hte.Study.from_frame(trial()[1], **ROLES, missing="impute", imputations=4)


@pytest.fixture(scope="module")
def parts(study):
    return imputed_studies(study, seed=1)


def test_imputed_frames_are_complete_and_keep_what_was_recorded(study, parts):
    assert len(parts) == 4
    known = study.covariate_frame().notna()
    for part in parts:
        assert part.covariate_frame().notna().all(axis=None)
        assert part.gaps == ()
        assert part.flow is study.flow
        recorded = part.covariate_frame().where(known)
        pd.testing.assert_frame_equal(
            recorded, study.covariate_frame().where(known), check_dtype=False
        )
        assert set(part.frame["g"]) == {"high", "low", "none"}
        assert set(part.frame["s"]) == {0.0, 1.0}
        # An outcome is no covariate.
        assert np.isnan(part.outcome()).sum() == np.isnan(study.outcome()).sum()


def test_values_missing_at_random_are_recovered(study, parts):
    whole, holed = trial()
    gap = holed["a"].isna()
    truth = whole.loc[gap]
    drawn = pd.concat([p.frame.loc[gap] for p in parts])
    # Those with a gap have larger values than the others, as their `b` says.
    assert truth["a"].mean() > holed["a"].mean() + 0.4
    assert drawn["a"].mean() == pytest.approx(truth["a"].mean(), abs=0.1)
    assert drawn["a"].std() == pytest.approx(truth["a"].std(), rel=0.12)
    # The slope of the outcome in each arm is not flattened.
    for arm in (0, 1):
        rows = (drawn["t"] == arm) & drawn["y"].notna()
        slope = np.polyfit(drawn.loc[rows, "a"], drawn.loc[rows, "y"], 1)[0]
        assert slope == pytest.approx(1 + arm, abs=0.15)
    shares = pd.concat([p.frame["g"] for p in parts]).value_counts(normalize=True)
    expected = whole["g"].value_counts(normalize=True)
    np.testing.assert_allclose(shares[expected.index], expected, atol=0.05)


def test_imputations_differ_and_repeat_with_their_seed(study, parts):
    again = imputed_studies(study, seed=1)
    for first, second in zip(parts, again, strict=True):
        pd.testing.assert_frame_equal(first.frame, second.frame)
    assert not parts[0].frame.equals(parts[1].frame)
    assert not imputed_studies(study, seed=2)[0].frame.equals(parts[0].frame)


def test_a_complete_study_is_imputed_once():
    study = hte.Study.from_frame(trial()[0], **ROLES, missing="impute")
    assert len(imputed_studies(study, seed=1)) == 1


@pytest.fixture(scope="module")
def fit(fitted):
    small = trial(120)[1]
    study = hte.Study.from_frame(small, **ROLES, missing="impute", imputations=2)
    return fitted(study, seed=2, draws=41, tune=40, chains=2, cores=1, progress=False)


def test_draws_of_all_imputations_are_put_together(fit):
    assert isinstance(fit, PooledFit)
    first, second = fit.imputations
    tau = fit.cate()
    assert dict(tau.sizes) == {"chain": 2, "draw": 41, "unit": 120}
    whole = fit.imputations[0].cate()
    taken = np.isin(tau.to_numpy(), whole.to_numpy()).all(axis=2).mean(axis=1)
    np.testing.assert_allclose(taken, 0.5, atol=0.02)
    assert np.isin(tau.to_numpy(), [first.cate().to_numpy(), second.cate().to_numpy()]).all()
    assert fit.propensity().sizes == tau.sizes
    assert fit.log_likelihood().sizes["unit"] == fit.study.known_outcome().sum()
    assert fit.observed_noise()["sigma"].shape == (2, 41, 1)
    assert list(fit.posterior.children) == ["imputation_0", "imputation_1"]


def test_every_way_to_fit_a_plan_imputes(fit):
    from bayes_hte.fitting.stages import fit_plan

    seen = []

    def sample(component):
        seen.append(component.design.frame["a"].isna().any())
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        fit_plan(fit.study, fit.plan, seed=1, sample=sample)
    assert seen == [False]


def test_a_pooled_fit_is_saved_and_loaded(fit, tmp_path):
    hte.save_fit(fit, tmp_path)
    again = hte.load_fit(tmp_path, fit.study)
    np.testing.assert_allclose(again.cate(), fit.cate(), atol=1e-6)
    assert len(again.imputations) == 2


def test_health_is_judged_within_and_variance_between_is_said(fit):
    *judged, between = fit.health()
    within = [f.health() for f in fit.imputations]
    for check, first, second in zip(judged, *within, strict=True):
        assert check.name == first.name
        assert check.passed == (first.passed and second.passed)
        assert len(check.table) == len(first.table) + len(second.table)
        assert "of 2 imputations" in check.text
    assert (between.name, between.passed) == (NAME, None)
    shares = fit.between()
    assert ((shares >= 0) & (shares <= 1)).to_array().all()
    means = [f.cate().mean("unit") for f in fit.imputations]
    b = np.var([float(m.mean()) for m in means], ddof=1) * 1.5
    w = np.mean([float(m.var(SAMPLE, ddof=1)) for m in means])
    assert float(shares["te_average"]) == pytest.approx(b / (b + w))


def test_what_differs_between_imputations_is_refused_by_name(fit):
    with pytest.raises(UnsupportedError, match=r"fit\.imputations\[0\]\.components\['outcome'\]"):
        fit.components["outcome"].trees  # noqa: B018
    with pytest.raises(UnsupportedError, match="modifiers"):
        fit.modifiers()
    # Gaps of new rows are filled in each imputation.
    assert bool(np.isfinite(fit.cate(fit.study.frame.head(20))).all())


# --- frames that the user imputed -----------------------------------------------------------------


def frames(n: int = 40) -> list[pd.DataFrame]:
    whole = trial(n)[0]
    rng = np.random.default_rng(5)
    holes = np.arange(n) % 5 == 0
    return [whole.assign(a=whole["a"].where(~holes, rng.normal(size=n))) for _ in range(3)]


def test_frames_of_the_user_are_fitted_as_they_are():
    given = frames()
    study = hte.Study.from_frames(given, **ROLES)
    assert study.gaps == ("a",)
    assert study.frame["a"].isna().sum() == 8
    parts = imputed_studies(study, seed=0)
    assert [p.frame["a"].tolist() for p in parts] == [f["a"].tolist() for f in given]
    half = study.subset(np.arange(30))
    assert [len(p.frame) for p in imputed_studies(half, seed=0)] == [30] * 3
    more = study.with_covariate("extra", np.arange(40.0))
    wider = imputed_studies(more, seed=0)
    assert [p.frame["a"].tolist() for p in wider] == [f["a"].tolist() for f in given]
    assert wider[0].frame["extra"].tolist() == list(range(40))
    other = hte.Study.from_frames(given[:2], **ROLES)
    assert other.fingerprint() != study.fingerprint()


def changed(frame: pd.DataFrame, column: str, value: float) -> pd.DataFrame:
    frame = frame.copy()
    frame.loc[3, column] = value
    return frame


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([frames()[0], frames()[0].iloc[:-1]], "frame 2 has other rows than frame 1 .39 and 40"),
        ([frames()[0], frames()[0].iloc[::-1]], "frame 2 has other rows"),
        ([frames()[0], changed(frames()[0], "a", np.nan)], "'a' has 1 missing values in frame 2"),
        ([frames()[0], changed(frames()[0], "y", 9.0)], "'y' differs between frames 1 and 2"),
        ([frames()[0]], "at least two imputed frames"),
        (frames()[0], "at least two imputed frames"),
    ],
)
def test_frames_that_are_not_imputations_of_one_study_are_refused(given, said):
    with pytest.raises(DataError, match=said):
        hte.Study.from_frames(given, **ROLES)


@pytest.mark.parametrize("number", [1, 0, 2.5, True, "5"])
def test_a_number_of_imputations_is_two_or_more(number):
    with pytest.raises(SpecError, match="imputations must be a whole number, 2 or more"):
        hte.Study.from_frame(frames()[0], **ROLES, missing="impute", imputations=number)
