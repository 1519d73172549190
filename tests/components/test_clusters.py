"""Intercepts of clusters: recovered, used for new rows, and drawn for clusters never seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import bayes_hte as hte
from bayes_hte.components.clusters import predict_clusters
from bayes_hte.errors import DataError
from bayes_hte.study.design import Design
from bayes_hte.study.study import Study

TINY = {"seed": 3, "draws": 40, "tune": 60, "chains": 2, "cores": 1, "progress": False}
N, LABELS = 80, [f"clinic {k}" for k in range(8)]
INTERCEPTS = np.array([-2.0, -1.5, -0.7, -0.2, 0.3, 0.9, 1.4, 1.8])


@pytest.fixture(scope="module")
def study() -> Study:
    rng = np.random.default_rng(4)
    clinic, arm = np.arange(N) // 2 % 8, np.arange(N) % 2
    x = rng.normal(size=N)
    y = INTERCEPTS[clinic] + 0.5 * arm + 0.3 * x + rng.normal(scale=0.3, size=N)
    frame = pd.DataFrame({"y": y, "treat": arm, "x": x, "site": np.array(LABELS)[clinic]})
    return Study.from_frame(frame, outcome="y", treatment="treat", covariates=["x"], cluster="site")


@pytest.fixture(scope="module")
def fit(study):
    return hte.fit(study, learner="homogeneous", **TINY)


def test_intercepts_are_recovered_and_are_no_effect(fit, study):
    outcome = fit.components["outcome"].posterior
    assert list(outcome["cluster"].values) == LABELS
    draws = outcome["outcome_cluster_sd"] * outcome["outcome_cluster_raw"]
    deviation = draws.mean(("chain", "draw")).to_numpy()
    # Ten units a clinic: a standard error of 0.1, and a constant shared with the forest.
    error = deviation - deviation.mean() - (INTERCEPTS - INTERCEPTS.mean())
    assert np.abs(error).max() < 0.4
    assert float(fit.cate().mean()) == pytest.approx(0.5, abs=0.25)
    assert float(fit.cate().std("unit").max()) < 1e-12


def test_the_propensity_has_no_clusters(fit):
    assert fit.components["outcome"].clustered
    assert not fit.components["propensity"].clustered
    assert "propensity_cluster_sd" not in fit.posterior["posterior"]


def test_new_rows_of_a_seen_cluster_get_its_intercept(fit, study):
    np.testing.assert_allclose(
        fit.potential_outcomes(study.frame), fit.potential_outcomes(), rtol=0, atol=1e-9
    )
    new = study.frame.iloc[[0, 0]].assign(site=[LABELS[0], LABELS[7]]).reset_index(drop=True)
    mu = fit.potential_outcomes(new)
    outcome = fit.components["outcome"].posterior
    raw = outcome["outcome_cluster_sd"] * outcome["outcome_cluster_raw"]
    for arm in (0, 1):
        gap = mu[:, :, 1, arm] - mu[:, :, 0, arm]
        np.testing.assert_allclose(gap, raw[..., 7] - raw[..., 0])


def test_rows_of_an_unseen_cluster_repeat_with_the_same_numbers(fit, study):
    new = study.frame.iloc[[0, 1, 2]].assign(site=["elsewhere", "afar", "elsewhere"])
    first = fit.potential_outcomes(new)
    np.testing.assert_array_equal(fit.potential_outcomes(new), first)
    np.testing.assert_allclose(fit.potential_outcomes(new, batch=1), first, rtol=0, atol=1e-12)
    # The effect needs no cluster, and a wider posterior of the outcome says what is not known.
    np.testing.assert_allclose(fit.cate(new), fit.cate()[..., :3], rtol=0, atol=1e-9)
    known = fit.potential_outcomes(study.frame.iloc[:1])
    assert first[:, :, 0].std(("chain", "draw")).min() > 3 * known.std(("chain", "draw")).max()


def test_new_rows_without_the_column_are_refused(fit, study):
    with pytest.raises(DataError, match=r"new rows lack site; .* and its cluster: x, site"):
        fit.cate(study.covariate_frame())


def test_a_saved_fit_keeps_its_clusters(fit, study, tmp_path):
    hte.save_fit(fit, tmp_path / "fit")
    loaded = hte.load_fit(tmp_path / "fit", study)
    new = study.frame.iloc[:4].assign(site=["elsewhere", *LABELS[:3]])
    np.testing.assert_allclose(
        loaded.potential_outcomes(new), fit.potential_outcomes(new), rtol=0, atol=1e-9
    )


# ---------------------------------------------------------------- prediction from given draws


@pytest.fixture(scope="module")
def posterior() -> xr.Dataset:
    rng = np.random.default_rng(5)
    return xr.Dataset(
        {
            "outcome_cluster_sd": (("chain", "draw"), rng.gamma(3, size=(2, 1000))),
            "outcome_cluster_raw": (("chain", "draw", "cluster"), rng.normal(size=(2, 1000, 8))),
        }
    )


def rows(study: Study, *sites: str) -> Design:
    return Design.learn(study).replay(study.frame.iloc[: len(sites)].assign(site=list(sites)))


def test_an_unseen_cluster_is_one_more_draw_of_their_distribution(posterior, study):
    got = predict_clusters(posterior, "outcome", rows(study, "new", LABELS[2], "new", "other"))
    np.testing.assert_array_equal(got[..., 0], got[..., 2])
    sd, raw = posterior["outcome_cluster_sd"], posterior["outcome_cluster_raw"]
    np.testing.assert_allclose(got[..., 1], sd * raw[..., 2])
    new, other = (got[..., i] / sd.to_numpy() for i in (0, 3))
    for z in (new, other):
        assert stats.kstest(z.ravel(), "norm").pvalue > 0.01
    assert abs(np.corrcoef(new.ravel(), other.ravel())[0, 1]) < 0.1
    assert abs(np.corrcoef(new.ravel(), raw[..., 0].to_numpy().ravel())[0, 1]) < 0.1


def test_the_draws_of_the_known_clusters_are_not_changed(posterior, study):
    before = posterior.copy(deep=True)
    predict_clusters(posterior, "outcome", rows(study, "new", *LABELS))
    xr.testing.assert_identical(posterior, before)
