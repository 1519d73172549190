"""Honest subgroups: found on one half, judged on the other, seldom where there is nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hte.errors import DataError, SpecError
from bayes_hte.study.study import Study
from bayes_hte.subgroups import m_learner
from bayes_hte.subgroups.honest.folds import UNSHRUNK, honest_fold, honest_subgroups
from bayes_hte.subgroups.honest.halves import honest_m_learner, split_in_halves
from bayes_hte.subgroups.honest.own_means import (
    SUBGROUP_COLUMN,
    can_be_fitted,
    fit_subgroups_again,
    without_shrinkage,
)
from tests.fakes import fake_effect, fake_study


def known_halves(rng: np.random.Generator, *, draws: int = 60):
    study, truth = fake_study(rng, n_units=160)
    rows = split_in_halves(study, seed=0)
    halves = [study.subset(r) for r in rows]
    effects = [
        fake_effect(rng, truth[r], chains=2, draws=draws).assign_coords(unit=study.units[r])
        for r in rows
    ]
    return study, halves, effects


def true_effect(study: Study, seed: int) -> xr.DataArray:
    """Pretend to fit a half: the known effect plus noise."""
    truth = (study.frame["x1"] > 0).to_numpy(dtype=float)
    effect = fake_effect(np.random.default_rng(seed), truth, chains=2, draws=50)
    return effect.assign_coords(unit=study.units)


def constant_effect_trial(rng: np.random.Generator) -> Study:
    """A trial of 120 units and three covariates in which everyone has the same effect."""
    frame = pd.DataFrame(rng.normal(size=(120, 3)), columns=["x1", "x2", "x3"])
    arm = rng.permutation(np.arange(120) % 2)
    frame = frame.assign(w=arm, y=frame["x2"] + arm + rng.normal(size=120))
    return Study.from_frame(frame, outcome="y", treatment="w", covariates=["x1", "x2", "x3"])


def linear_posterior(study: Study, seed: int) -> xr.DataArray:
    """Exact posterior of effects linear in the covariates, flat prior, noise sd 1 known."""
    x = np.column_stack([np.ones(study.n_units), study.covariate_frame()])
    design = np.column_stack([x, x * (study.arm_index() - 0.5)[:, np.newaxis]])
    spread = np.linalg.inv(design.T @ design)
    mean = spread @ design.T @ study.outcome()
    k = x.shape[1]
    slopes = np.random.default_rng(seed).multivariate_normal(
        mean[k:], spread[k:, k:], size=(2, 150), method="cholesky"
    )
    return xr.DataArray(
        slopes @ x.T, dims=("chain", "draw", "unit"), coords={"unit": study.units}, name="cate"
    )


# ---------------------------------------------------------------- the statistics


def test_noise_is_seldom_declared_where_in_sample_it_often_is():
    honest, in_sample = [], []
    for seed in range(12):
        study = constant_effect_trial(np.random.default_rng(100 + seed))
        options = {"seed": seed, "margin": 0.0}
        honest.append(honest_m_learner(study, fit_half=linear_posterior, **options))
        in_sample.append(m_learner(linear_posterior(study, seed), study, **options))
    # Nothing is there, so the probability of any difference is uniform in each direction. The two
    # go together, so that of the average is far from the middle more often.
    ways = [float((fold.contrast > 0).mean()) for h in honest for fold in h.folds]
    assert np.mean(ways) == pytest.approx(0.5, abs=0.15)
    assert sum(p >= 0.95 for p in ways) <= 3
    assert sum(h.declared for h in honest) <= 3
    assert np.mean([g.probability_in_sample for g in in_sample]) > 0.75
    assert sum(g.declared_in_sample for g in in_sample) >= 4


def test_a_known_subgroup_is_declared_and_its_difference_recovered():
    study, _ = fake_study(np.random.default_rng(1), n_units=200)
    found = honest_m_learner(study, fit_half=true_effect, seed=1)
    assert found.declared
    assert found.probability == 1.0
    assert float(found.contrast.mean()) == pytest.approx(1.0, abs=0.1)
    assert [fold.profile.covariates for fold in found.folds] == [("x1",), ("x1",)]
    assert found.agreement > 0.9
    assert found.effect_name == "cate"
    assert "Subgroups are declared" in found.reason
    assert found.margin == pytest.approx(0.05 * study.frame["y"].std())
    same = honest_m_learner(study, fit_half=true_effect, seed=1)
    xr.testing.assert_identical(found.contrast, same.contrast)


# ---------------------------------------------------------------- sizes without shrinkage


def shrunk(study: Study, seed: int) -> xr.DataArray:
    """Pretend to fit a half with a model that believes half of every difference."""
    return true_effect(study, seed) / 2


def test_declared_subgroups_are_fitted_again_with_those_of_the_other_half():
    study, _ = fake_study(np.random.default_rng(1), n_units=200)
    seen: list[Study] = []

    def fit_subgroups(half: Study, seed: int) -> xr.DataArray:
        seen.append(half)
        return true_effect(half, seed)

    found = honest_m_learner(
        study, fit_half=shrunk, fit_subgroups=fit_subgroups, seed=1, margin=0.1
    )
    assert float(found.contrast.mean()) == pytest.approx(0.5, abs=0.1)
    assert float(found.unshrunk.mean()) == pytest.approx(1.0, abs=0.1)
    # The units judged in each fold, with the profile of the other half as a covariate.
    for half, fold in zip(seen, found.folds, strict=True):
        assert half.roles.covariates == (*study.roles.covariates, SUBGROUP_COLUMN)
        labels = fold.profile.assign(half.covariate_frame())
        np.testing.assert_array_equal(half.frame[SUBGROUP_COLUMN], labels.astype(str))
    table = found.summary()
    assert list(table.index) == ["1", "2", "average", UNSHRUNK]
    assert table.loc[UNSHRUNK, "mean"] == pytest.approx(float(found.unshrunk.mean()))
    assert table.loc[UNSHRUNK, "n_judged"] == table.loc["average", "n_judged"] == 200


def test_what_is_not_declared_is_not_fitted_again():
    study, _ = fake_study(np.random.default_rng(1), n_units=200)

    def never(half: Study, seed: int) -> xr.DataArray:
        raise AssertionError("nothing to fit")

    found = honest_m_learner(study, fit_half=shrunk, fit_subgroups=never, seed=1, margin=3.0)
    assert not found.declared
    assert found.unshrunk is None


def test_a_subgroup_without_an_arm_in_a_half_is_not_fitted_again():
    _, halves, effects = known_halves(np.random.default_rng(2))
    found = honest_subgroups(effects[0], halves[0], effects[1], halves[1], seed=0)
    assert can_be_fitted(found, (halves[1], halves[0]))
    # Of the units that the first half's profile puts highest, the treated go.
    high = found.folds[0].profile.assign(halves[1].covariate_frame()) == 1
    lacking = halves[1].subset(~(high & (halves[1].arm_index() == 1)))
    assert not can_be_fitted(found, (lacking, halves[0]))

    def never(half: Study, seed: int) -> xr.DataArray:
        raise AssertionError("nothing to fit")

    same = fit_subgroups_again(found, (lacking, halves[0]), never, seeds=(0, 1))
    assert same.unshrunk is None


def test_a_refit_is_wanted_for_the_folds_that_divide():
    _, halves, effects = known_halves(np.random.default_rng(2))
    found = honest_subgroups(effects[0], halves[0], effects[1], halves[1], seed=0)
    judged = (halves[1], halves[0])
    with pytest.raises(DataError, match="draws of a refit for each fold whose profile divides"):
        without_shrinkage(found, judged, (effects[1], None))
    same = without_shrinkage(found, judged, (effects[1], effects[0]))
    np.testing.assert_allclose(same.unshrunk, found.contrast)


# ---------------------------------------------------------------- what is computed


def test_each_half_is_judged_by_the_draws_of_the_other():
    _, halves, effects = known_halves(np.random.default_rng(2))
    found = honest_subgroups(effects[0], halves[0], effects[1], halves[1], seed=0)
    for i, fold in enumerate(found.folds):
        judged = effects[1 - i]
        labels = fold.profile.assign(halves[1 - i].covariate_frame())
        expected = judged[..., labels == 1].mean("unit") - judged[..., labels == 0].mean("unit")
        np.testing.assert_allclose(fold.contrast, expected)
        assert fold.sizes.tolist() == np.bincount(labels).tolist()
        assert fold.n_discovery == halves[i].n_units
        assert fold.divides
    average = (found.folds[0].contrast.to_numpy() + found.folds[1].contrast.to_numpy()) / 2
    np.testing.assert_array_equal(found.contrast, average)
    assert found.probability == (average > found.margin).mean()
    swapped = honest_subgroups(effects[1], halves[1], effects[0], halves[0], seed=0)
    np.testing.assert_allclose(found.contrast, swapped.contrast)
    everyone = pd.concat([h.frame["y"] for h in halves])
    assert found.margin == pytest.approx(0.05 * everyone.std())


def test_a_difference_with_the_other_sign_counts_against_the_claim():
    _, halves, effects = known_halves(np.random.default_rng(3))
    turned = (effects[0], halves[0], -effects[1], halves[1])
    fold = honest_fold(*turned, seed=0, margin=0.05)
    assert float(fold.contrast.mean()) == pytest.approx(-1.0, abs=0.2)
    assert not honest_subgroups(*turned, seed=0).declared


def test_a_half_that_divides_nobody_claims_no_difference():
    _, halves, effects = known_halves(np.random.default_rng(4))
    flat = effects[0].copy(data=np.ones(effects[0].shape))
    found = honest_subgroups(flat, halves[0], effects[1], halves[1], seed=0)
    # Half A finds nothing; half B finds subgroups, which do not differ in A's draws.
    assert not found.folds[0].divides
    np.testing.assert_array_equal(found.folds[0].contrast, 0.0)
    np.testing.assert_allclose(found.folds[1].contrast, 0.0, atol=1e-12)
    assert not found.declared
    assert "counts as no difference" in found.reason
    neither = honest_subgroups(
        flat,
        halves[0],
        flat.isel(unit=slice(80)).assign_coords(unit=halves[1].units),
        halves[1],
        seed=0,
    )
    assert "neither half's tree divides" in neither.reason
    assert (neither.probability, neither.agreement) == (0.0, 1.0)


def test_a_subgroup_without_units_in_the_other_half_is_left_out():
    _, halves, effects = known_halves(np.random.default_rng(5))
    low = halves[1].frame["x1"].to_numpy() < -0.2
    few = halves[1].subset(low)
    fold = honest_fold(effects[0], halves[0], effects[1].isel(unit=low), few, seed=0, margin=0.05)
    assert fold.sizes.index.tolist() == [0]
    assert not fold.divides
    np.testing.assert_array_equal(fold.contrast, 0.0)


def test_a_level_that_only_one_half_has_is_none_of_those_a_profile_names():
    study, _ = fake_study(np.random.default_rng(5), n_units=160)
    site = np.where(study.frame["x1"] > 0, "high", "low").astype(object)
    site[:3] = ["rare", "high", "low"]
    frame = study.frame.assign(site=site)
    roles = {"outcome": "y", "treatment": "treat", "covariates": ["site", "x2"]}

    def by_site(half: Study, seed: int) -> xr.DataArray:
        truth = (half.frame["site"] == "high").to_numpy(dtype=float)
        effect = fake_effect(np.random.default_rng(seed), truth, chains=2, draws=50)
        return effect.assign_coords(unit=half.units)

    found = honest_m_learner(Study.from_frame(frame, **roles), fit_half=by_site, seed=1)
    assert found.declared
    assert "site" in found.summary().loc["average", "covariates"]
    (fold,) = (f for f in found.folds if "rare" not in f.profile.text)
    rare = frame.iloc[[0]]
    assert fold.profile.assign(rare, unknown_is_no=True) in (0, 1)
    with pytest.raises(DataError, match="levels that the profile does not know: rare"):
        fold.profile.assign(rare)


def test_of_several_effects_the_first_is_judged():
    _, halves, effects = known_halves(np.random.default_rng(6))
    both = [xr.Dataset({"te": e, "tnie": 2 * e}) for e in effects]
    found = honest_subgroups(both[0], halves[0], both[1], halves[1], seed=0)
    alone = honest_subgroups(effects[0], halves[0], effects[1], halves[1], seed=0)
    np.testing.assert_allclose(found.contrast, alone.contrast)


def test_the_summary_says_what_the_draws_say():
    _, halves, effects = known_halves(np.random.default_rng(7))
    # Fits may number their draws as they like.
    later = effects[1].assign_coords(draw=effects[1]["draw"] + 1000)
    found = honest_subgroups(effects[0], halves[0], later, halves[1], seed=0)
    table = found.summary(ci_prob=0.9)
    assert table.index.tolist() == ["1", "2", "average"]
    assert table.loc["average", "mean"] == pytest.approx(float(found.contrast.mean()))
    assert table.loc["2", "ci_upper"] == pytest.approx(
        float(found.folds[1].contrast.quantile(0.95))
    )
    assert table.loc["average", "prob_above_margin"] == found.probability
    assert table["covariates"].tolist() == ["x1", "x1", "x1"]
    assert table["n_judged"].tolist() == [80, 80, 160]


# ---------------------------------------------------------------- halves


def test_halves_share_nobody_and_keep_the_arms_in_proportion():
    study, _ = fake_study(np.random.default_rng(8), n_units=101)
    first, second = split_in_halves(study, seed=3)
    assert sorted([*first, *second]) == list(range(101))
    treated = study.arm_index()
    assert abs(int(treated[first].sum()) - int(treated[second].sum())) <= 1
    np.testing.assert_array_equal(first, split_in_halves(study, seed=3)[0])
    assert set(first) != set(split_in_halves(study, seed=4)[0])


@pytest.mark.parametrize("randomised", ["units", "clusters"])
def test_clusters_are_kept_whole(randomised):
    rng = np.random.default_rng(9)
    clinic = rng.integers(12, size=120)
    arm = rng.permutation(120) % 2 if randomised == "units" else clinic % 2
    frame = pd.DataFrame({"y": rng.normal(size=120), "w": arm, "x": rng.normal(size=120)})
    study = Study.from_frame(
        frame.assign(clinic=clinic), outcome="y", treatment="w", covariates=["x"], cluster="clinic"
    )
    first, second = split_in_halves(study, seed=1)
    assert not set(clinic[first]) & set(clinic[second])
    assert 30 < len(first) < 90
    assert all(20 < 100 * arm[rows].mean() < 80 for rows in (first, second))


def test_the_two_fits_get_their_half_and_their_own_seed():
    study, _ = fake_study(np.random.default_rng(10), n_units=80)
    seen: list[tuple[Study, int]] = []

    def fit_half(half: Study, seed: int) -> xr.DataArray:
        seen.append((half, seed))
        return true_effect(half, seed)

    honest_m_learner(study, fit_half=fit_half, seed=0)
    (one, first), (two, second) = seen
    assert first != second
    assert not set(one.units) & set(two.units)
    assert set(one.units) | set(two.units) == set(study.units)


# ---------------------------------------------------------------- failures


def test_a_half_that_is_no_study_says_so():
    study, _ = fake_study(np.random.default_rng(11), n_units=40)
    rare = study.frame.assign(rare=(np.arange(40) == 0).astype(float))
    roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "rare"]}
    with pytest.raises(DataError, match="half of the study cannot be analysed alone: constant"):
        honest_m_learner(Study.from_frame(rare, **roles), fit_half=true_effect, seed=0)
    one = Study.from_frame(
        study.frame.assign(clinic=study.frame["x3"]),
        cluster="clinic",
        **{**roles, "covariates": ["x1"]},
    )
    with pytest.raises(DataError, match="one cluster, which cannot be divided"):
        split_in_halves(replace(one, frame=one.frame.assign(clinic="a")), seed=0)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda e, s: (e[0], s[0], e[0], s[0]), DataError, "the halves share 80 units"),
        (lambda e, s: (e[0][:1], s[0], e[1], s[1]), DataError, r"\(1, 60\) and \(2, 60\) chains"),
        (lambda e, s: (e[1], s[0], e[0], s[1]), DataError, "not those of the study"),
        (lambda e, s: (e[0].mean("draw"), s[0], e[1], s[1]), DataError, "must have dims"),
    ],
)
def test_halves_that_do_not_fit_are_refused(change, error, message):
    _, halves, effects = known_halves(np.random.default_rng(12))
    with pytest.raises(error, match=message):
        honest_subgroups(*change(effects, halves), seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed must be a whole number"),
        ({"probability": 1.0}, "probability must be between 0.5 and 1"),
        ({"margin": -1.0}, "margin must be 0 or more"),
        ({"leaf_share": 0.6}, "leaf_share must be above 0"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    study, halves, effects = known_halves(np.random.default_rng(13), draws=5)
    options = {"seed": 0, **options}
    with pytest.raises(SpecError, match=message):
        honest_subgroups(effects[0], halves[0], effects[1], halves[1], **options)
    with pytest.raises(SpecError, match=message):
        honest_m_learner(study, fit_half=true_effect, **options)


def not_called(half: Study, seed: int) -> xr.DataArray:
    raise AssertionError("no fit may begin")


def test_what_would_end_the_analysis_after_the_fits_is_refused_before_them():
    study, _ = fake_study(np.random.default_rng(13), n_units=40)
    options = {"fit_half": not_called, "seed": 0}
    for leaf_share in (0.6, "0.1"):
        with pytest.raises(SpecError, match="leaf_share must be above 0"):
            honest_m_learner(study, **options, leaf_share=leaf_share)
    for name in ("fit_half", "fit_subgroups"):
        with pytest.raises(SpecError, match=f"{name} must be a function of a half and a seed"):
            honest_m_learner(study, **{**options, name: 3})
    with pytest.raises(DataError, match="study must be a Study, got DataFrame"):
        honest_m_learner(study.frame, **options)
    named = study.with_covariate("(subgroup)", study.frame["x1"].to_numpy() > 0)
    with pytest.raises(DataError, match=r"a covariate is called '\(subgroup\)'.*rename it"):
        honest_m_learner(named, **options, fit_subgroups=not_called)


def test_a_covariate_may_be_called_like_that_of_the_groups_where_none_is_made():
    study, _ = fake_study(np.random.default_rng(13), n_units=80)
    named = study.with_covariate("(subgroup)", study.frame["x1"].to_numpy() > 0)
    assert honest_m_learner(named, fit_half=true_effect, seed=0).summary().shape[0] == 3
