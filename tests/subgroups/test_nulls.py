"""The null distribution: what equal effects look like, exactly repeatable and honestly counted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from joblib import parallel_config
from scipy.optimize import approx_fprime

from bayes_hte.errors import SavedResultError, SpecError
from bayes_hte.study.simulation import simulate_scenario
from bayes_hte.study.study import Study
from bayes_hte.subgroups.nulls import stand_in_kernels, stand_in_mean
from bayes_hte.subgroups.nulls.distribution import NullDistribution, _compare, null_distribution
from bayes_hte.subgroups.nulls.stand_in import stand_in_null, stand_in_refit

OPTIONS = {"estimator": "straight lines", "alpha": 0.2}


def trial(*, n: int = 60, seed: int = 0, effect: float = 0.0) -> Study:
    """Three covariates; the effect is 1, plus `effect` where x1 is positive."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, 3)), columns=["x1", "x2", "x3"])
    arm = rng.permutation(np.arange(n) % 2)
    tau = 1 + effect * (frame["x1"] > 0)
    frame = frame.assign(w=arm, y=frame["x2"] + tau * arm + 0.5 * rng.normal(size=n))
    return Study.from_frame(frame, outcome="y", treatment="w", covariates=["x1", "x2", "x3"])


def scenario(name: str, *, n: int, noise: float = 0.5, seed: int = 0):
    simulated = simulate_scenario(name, np.random.default_rng(seed), n=n, noise=noise)
    study = Study.from_frame(
        simulated.frame,
        outcome="y",
        treatment="treat",
        mediator="m" if "m" in simulated.frame else None,
        covariates=simulated.covariates[:4],
    )
    return simulated, study


def lines(study: Study, seed: int) -> xr.DataArray:
    """Exact posterior of effects linear in the covariates: flat prior, noise sd 0.5 known."""
    x = np.column_stack([np.ones(study.n_units), study.covariate_frame()])
    design = np.column_stack([x, x * study.arm_index()[:, np.newaxis]])
    spread = np.linalg.inv(design.T @ design)
    mean, k = spread @ design.T @ study.outcome(), x.shape[1]
    slopes = np.random.default_rng(seed).multivariate_normal(
        mean[k:], 0.25 * spread[k:, k:], size=(1, 50), method="cholesky"
    )
    return xr.DataArray(
        slopes @ x.T, dims=("chain", "draw", "unit"), coords={"unit": study.units}, name="te"
    )


def equal_effects(study: Study, rng: np.random.Generator) -> Study:
    y = study.frame["x2"] + study.arm_index() + 0.5 * rng.normal(size=study.n_units)
    return study.alike(study.frame.assign(y=y))


def broken_sometimes(study: Study, rng: np.random.Generator) -> Study:
    if rng.random() < 0.5:
        raise ValueError("cannot be drawn,\nnot at all")
    return equal_effects(study, rng)


def nulls_of(study: Study, *, nulls=None, **options) -> NullDistribution:
    nulls = nulls or {"equal": equal_effects}
    given = {"seed": 3, "replications": 4, "rule": "in_sample", **OPTIONS, **options}
    return null_distribution(study, refit=lines, nulls=nulls, **given)


# ---------------------------------------------------------------- the comparison


def compared(observed: float, values: np.ndarray, alpha: float = 0.05) -> dict[str, float]:
    null = pd.DataFrame({"spread": values})
    return _compare(pd.Series({"spread": observed}), null, "spread", alpha)


def test_a_p_value_counts_the_study_itself_and_ties_against_the_claim():
    null = np.array([0.0, 0.2, 0.5, 0.5, 0.9, 1.0, 0.1, 0.3, 0.4])
    assert compared(0.5, null)["p_value"] == pytest.approx(5 / 10)
    assert compared(2.0, null)["p_value"] == pytest.approx(1 / 10)
    assert compared(-1.0, null)["p_value"] == 1.0
    assert compared(2.0, null)["p_lower"] == 0.0
    # Exact binomial: none of nine is compatible with up to 1 - 0.025 ** (1 / 9).
    assert compared(2.0, null)["p_upper"] == pytest.approx(1 - 0.025 ** (1 / 9))


def test_of_equal_probabilities_the_one_with_the_larger_contrast_is_higher():
    null = pd.DataFrame({"probability": [1.0, 1.0, 0.9, 1.0], "contrast": [0.1, 0.5, 9.0, 0.3]})
    observed = pd.Series({"probability": 1.0, "contrast": 0.3})
    assert _compare(observed, null, "probability", 0.2)["reached"] == 2
    assert _compare(observed, null, "probability", 0.2)["p_value"] == pytest.approx(3 / 5)


@pytest.mark.parametrize("n", [19, 40, 99, 200])
def test_a_result_beyond_the_threshold_is_one_with_a_small_p_value(n):
    null = np.random.default_rng(n).normal(size=n)
    threshold = compared(0.0, null)["threshold"]
    for observed in (*null, *(null + 1e-9)):
        assert (observed > threshold) == (compared(observed, null)["p_value"] <= 0.05)


def test_the_interval_of_the_threshold_covers_the_true_quantile():
    rng = np.random.default_rng(1)
    covered = [
        row["threshold_lower"] <= 0.95 <= row["threshold_upper"]
        for row in (compared(0.0, rng.random(200)) for _ in range(400))
    ]
    # At least 95%: order statistics are discrete. 400 repeats have a standard error of 1%.
    assert np.mean(covered) > 0.93
    assert compared(0.0, rng.random(19))["threshold_upper"] == np.inf


# ---------------------------------------------------------------- the run


def test_a_real_difference_is_beyond_equal_effects_and_no_difference_is_not():
    found = nulls_of(trial(effect=1.5), replications=5)
    assert found.shown
    table = found.summary()
    assert list(table.index.names) == ["variant", "statistic"]
    assert table.loc[("equal", "spread"), "p_value"] == pytest.approx(1 / 6)
    assert found.observed["contrast"] > table.loc[("equal", "contrast"), "threshold"]
    assert "Equal effects cannot explain the differences" in found.text
    assert "in 0 of 5 studies: with effects made equal in this way, it does so with" in found.text
    assert "with probability 0.17 (the study itself counted;" in found.text
    assert "what a study shows if effects are equal, not that they are" in found.text
    nothing = nulls_of(trial(effect=0.0))
    assert not nothing.shown
    assert "no credible differences" in nothing.text


def test_nothing_but_its_own_number_decides_a_replication():
    study = trial()
    both = {"equal": equal_effects, "same again": equal_effects}
    few = nulls_of(study).replications
    with parallel_config(backend="threading"):
        parallel = nulls_of(study, n_jobs=2).replications
    pd.testing.assert_frame_equal(few, parallel)
    more = nulls_of(study, nulls=both, replications=5).replications
    pd.testing.assert_frame_equal(few, more.loc[few.index])
    assert more["seed"].is_unique


def test_the_study_is_analysed_as_by_the_honest_learner():
    from bayes_hte.subgroups import honest_m_learner

    study = trial(effect=1.5)
    found = nulls_of(study, rule="honest")
    same = honest_m_learner(study, fit_half=lines, seed=3)
    assert found.observed["probability"] == same.probability
    assert found.observed["contrast"] == float(same.contrast.mean())
    assert found.margin == same.margin


def test_a_stopped_run_carried_on_gives_what_an_uninterrupted_one_gives(tmp_path):
    study = trial()
    whole = nulls_of(study, folder=tmp_path / "a").replications
    lines_written = (tmp_path / "a" / "replications.csv").read_text().splitlines(keepends=True)
    assert len(lines_written) == 5
    # Killed while the third replication was written.
    nulls_of(study, folder=tmp_path / "b", progress=True)
    (tmp_path / "b" / "replications.csv").write_text("".join(lines_written[:3]) + "equal,2,77")
    seen = []

    def watched(part: Study, rng: np.random.Generator) -> Study:
        seen.append(1)
        return equal_effects(part, rng)

    again = nulls_of(study, nulls={"equal": watched}, folder=tmp_path / "b").replications
    pd.testing.assert_frame_equal(whole, again)
    assert len(seen) == 2


def test_failures_are_counted_reported_and_held_against_the_claim(tmp_path):
    nulls = {"equal": broken_sometimes}
    found = nulls_of(trial(effect=1.5), nulls=nulls, replications=6, folder=tmp_path)
    failed = found.replications["problem"] != ""
    assert 0 < failed.sum() < 6
    assert "ValueError: cannot be drawn" in found.replications["problem"][failed].iloc[0]
    row = found.summary().loc[("equal", "spread")]
    assert row["failures"] == failed.sum()
    assert row["p_value"] == pytest.approx((1 + failed.sum()) / 7)
    assert f"{failed.sum()} of these 6 could not be analysed" in found.text
    # A problem of two lines is one line in the file, and is not tried again.
    again = nulls_of(trial(effect=1.5), nulls=nulls, replications=6, folder=tmp_path)
    assert again.summary().equals(found.summary())


def test_replications_of_another_study_are_refused(tmp_path):
    nulls_of(trial(), folder=tmp_path)
    with pytest.raises(SavedResultError, match="another margin, study"):
        nulls_of(trial(seed=1), folder=tmp_path)
    with pytest.raises(SavedResultError, match="another seed"):
        nulls_of(trial(), folder=tmp_path, seed=5)
    (tmp_path / "replications.csv").write_text("variant,replication\nequal,none\n")
    with pytest.raises(SavedResultError, match="cannot be read"):
        nulls_of(trial(), folder=tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"replications": 18, "alpha": 0.05}, "at least 19 for alpha = 0.05"),
        ({"alpha": 0.6}, "alpha must be between 0 and 0.5"),
        ({"alpha": "0.05"}, "alpha must be between 0 and 0.5, got '0.05'"),
        ({"replications": 50.0}, "replications must be a whole number, at least"),
        ({"rule": "insample"}, "Did you mean 'in_sample'"),
        ({"nulls": {}, "refit": lines}, "nulls is empty"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"probability": 0.3}, "probability must be between"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    given = {"seed": 3, "nulls": {"equal": equal_effects}, "refit": lines, **OPTIONS, **options}
    with pytest.raises(SpecError, match=message):
        null_distribution(trial(), **given)


# ---------------------------------------------------------------- the stand-in


def test_slopes_of_the_likelihood_agree_with_differences():
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(2, 30, 30))
    covariances = [r @ r.T / 30 for r in roots]
    y, fixed = rng.normal(size=30), np.ones((30, 30))
    logs = np.log([0.3, 0.7, 0.5])
    value, slopes, information = stand_in_mean.curvature(np.exp(logs), y, fixed, covariances)

    def deviance(at: np.ndarray) -> float:
        return stand_in_mean.curvature(np.exp(at), y, fixed, covariances)[0]

    np.testing.assert_allclose(slopes, approx_fprime(logs, deviance, 1e-6), atol=1e-4)
    total = fixed + 0.3 * covariances[0] + 0.7 * covariances[1] + 0.5 * np.eye(30)
    expected = 0.5 * y @ np.linalg.solve(total, y) + 0.5 * np.linalg.slogdet(total)[1]
    assert value == pytest.approx(expected)
    assert (np.linalg.eigvalsh(information) > 0).all()
    best = stand_in_mean.most_probable(y, fixed, covariances, [0.3, 0.7, 0.5])
    for nearby in (0.9, 1.1):
        assert deviance(np.log(best)) <= deviance(np.log(best * nearby)) + 0.01


def test_the_posterior_agrees_with_conditioning_written_out():
    _, study = scenario("total_simple", n=40)
    kernels, w = stand_in_kernels.kernels_at_units(study), study.arm_index() - 0.5
    mean = stand_in_mean.fit_mean(study.outcome(), kernels, w, functions=("shared", "effect"))
    ones = np.ones(40)
    prior = {of: sum(k for name, k in mean.parts if name == of) for of in ("shared", "effect")}
    y = (study.outcome() - mean.center) / mean.unit
    total = prior["shared"] + prior["effect"] * np.outer(w, w) + mean.noise * np.eye(40)
    cross = prior["effect"] * w
    expected = mean.unit * cross @ np.linalg.solve(total, y)
    np.testing.assert_allclose(mean.mean({"effect": ones}), expected, atol=1e-8)
    others = np.array([np.delete(np.arange(40), i) for i in range(40)])
    left_out = [
        (total - mean.noise * np.eye(40))[i, o] @ np.linalg.solve(total[np.ix_(o, o)], y[o])
        for i, o in enumerate(others)
    ]
    np.testing.assert_allclose(
        mean.without_each(study.outcome()), mean.center + mean.unit * np.array(left_out), atol=1e-8
    )
    variance = np.diagonal(prior["effect"] - cross @ np.linalg.solve(total, cross.T))
    draws = mean.draws({"effect": ones}, 4000, np.random.default_rng(0))
    np.testing.assert_allclose(draws.mean(axis=0), expected, atol=0.1 * draws.std())
    np.testing.assert_allclose(draws.var(axis=0), mean.unit**2 * variance, rtol=0.15)


@pytest.mark.parametrize(("name", "effect"), [("simple_all", "tnie"), ("total_simple", "te")])
def test_individual_effects_are_recovered(name, effect):
    simulated, study = scenario(name, n=300)
    draws = stand_in_refit(effect, draws=200)(study, 1)
    truth = simulated.effects[effect].to_numpy()
    error = draws.mean(("chain", "draw")).to_numpy() - truth
    assert np.sqrt((error**2).mean()) < 0.65 * truth.std()
    low, high = draws.quantile([0.05, 0.95], dim=("chain", "draw")).to_numpy()
    assert ((low <= truth) & (truth <= high)).mean() > 0.8
    assert draws.attrs["effect"] == effect
    xr.testing.assert_identical(draws, stand_in_refit(effect, draws=200)(study, 1))


def test_clusters_and_categories_take_part():
    _, study = scenario("total_simple", n=120)
    rng = np.random.default_rng(0)
    site = rng.integers(0, 12, 120)
    frame = study.frame.assign(
        site=site,
        y=study.frame["y"] + 8 * rng.normal(size=12)[site],
        x3=rng.choice(list("abc"), 120),
    )
    roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2", "x3"]}
    without = stand_in_refit("te")(Study.from_frame(frame, **roles), 0)
    clustered = stand_in_refit("te")(Study.from_frame(frame, cluster="site", **roles), 0)
    # What the sites explain is no longer noise.
    assert float(clustered.std("draw").mean()) < 0.8 * float(without.std("draw").mean())


@pytest.mark.parametrize("name", ["simple_part", "total_simple"])
def test_null_studies_look_like_the_study_but_have_equal_effects(name):
    simulated, study = scenario(name, n=300)
    null = stand_in_null(study)
    drawn = [null(study, np.random.default_rng(s)) for s in range(8)]
    arm, inside = study.arm_index() == 1, simulated.in_subgroup

    x = study.covariate_frame().to_numpy()
    terms = np.column_stack([np.ones(300), x, inside, arm, arm & inside])

    def effects(part: Study) -> np.ndarray:
        """Effect outside S, and how much higher it is inside, adjusted by least squares."""
        return np.linalg.lstsq(terms, part.outcome())[0][-2:]

    assert effects(study)[1] > 1.0
    gaps = [effects(d)[1] for d in drawn]
    # Who is in which arm stays, and with it what chance made unequal between them.
    assert abs(np.mean(gaps)) < 0.2 * effects(study)[1]
    # What is equal exactly is the effect in the models the studies are drawn from.
    for mean in (null.outcome, null.mediator):
        if mean is not None:
            assert np.ptp(mean.mean({"effect": np.ones(300)})) < 1e-9 * mean.unit
    assert np.mean([effects(d)[0] for d in drawn]) == pytest.approx(
        effects(study)[0] + effects(study)[1] * inside.mean(), abs=0.4
    )
    spread = np.mean([d.outcome().std() for d in drawn])
    assert spread == pytest.approx(study.outcome().std(), rel=0.2)
    pd.testing.assert_frame_equal(drawn[0].covariate_frame(), study.covariate_frame())
    assert (drawn[0].arm_index() == study.arm_index()).all()
    if study.roles.mediator:
        relation = [np.corrcoef(d.mediator(), d.outcome())[0, 1] for d in (study, *drawn)]
        assert np.mean(relation[1:]) == pytest.approx(relation[0], abs=0.15)


def test_what_the_stand_in_cannot_do_is_refused(monkeypatch):
    with pytest.raises(SpecError, match="unknown effect 'tni'"):
        stand_in_refit("tni")
    monkeypatch.setattr(stand_in_kernels, "LARGEST", 50)
    with pytest.raises(SpecError, match="up to 50 units, got 60"):
        stand_in_refit("te")(trial(), 0)
