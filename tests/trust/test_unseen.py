"""Effects judged on outcomes they have not seen: closed forms, error rates, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from bayes_hte.checks import Subject, chain_stability, heterogeneity
from bayes_hte.checks.loo import leave_one_out
from bayes_hte.errors import DataError, SpecError
from bayes_hte.study.study import Study
from bayes_hte.targeting import left_out as module
from bayes_hte.targeting.left_out import Candidate, left_out
from bayes_hte.trust.checking import unseen_units
from bayes_hte.trust.unseen import Unseen, evaluate, split
from tests.fakes import fake_study

UNIT_NAMES = [f"u{i}" for i in range(40)]


def two_means(seed: int = 1, n_draws: int = 4000):
    """Draws of the means of two arms under a flat prior and noise 1, and what data they had."""
    rng = np.random.default_rng(seed)
    n = len(UNIT_NAMES)
    arm = np.arange(n) % 2
    y = arm + rng.normal(size=n)
    means = np.array([y[arm == a].mean() for a in (0, 1)])
    draws = means + rng.normal(size=(4, n_draws, 2)) / np.sqrt(n / 2)
    mu = xr.DataArray(
        np.broadcast_to(draws[:, :, None, :], (4, n_draws, n, 2)),
        dims=("chain", "draw", "unit", "arm"),
        coords={"unit": UNIT_NAMES, "arm": [0, 1]},
    )
    own = xr.DataArray(arm, dims="unit")
    log_likelihood = -((xr.DataArray(y, dims="unit") - mu.isel(arm=own)) ** 2) / 2
    return y, arm, mu, log_likelihood.drop_vars("arm")


# --- Leaving units out ----------------------------------------------------------------------------


def test_left_out_means_are_those_of_the_other_units():
    y, arm, mu, log_likelihood = two_means()
    weights = leave_one_out(log_likelihood).log_weights
    units = left_out([Candidate(mu, weights)], rng=np.random.default_rng(2))
    total = np.array([y[arm == a].sum() for a in (0, 1)])
    count = np.array([(arm == a).sum() for a in (0, 1)])
    own = np.eye(2)[arm]
    exact = (total - own * y[:, None]) / (count - own)
    # Monte Carlo error of a mean of 16,000 draws with sd 0.23 is 0.002; weights double it.
    np.testing.assert_allclose(units.expected, exact, atol=0.012)
    # One effect for all: leaving a unit out moves the average, which is no difference of units.
    effect = units.effect.mean(("chain", "draw"))
    np.testing.assert_allclose(effect, np.ptp([y[arm == a].mean() for a in (0, 1)]), atol=0.01)
    assert float(effect.max() - effect.min()) < 1e-12
    assert units.effect.sizes == {"chain": 4, "draw": 4000, "unit": 40}
    assert list(units.effect["unit"].values) == UNIT_NAMES


def test_without_weights_nothing_changes_and_with_them_something_does():
    _, _, mu, log_likelihood = two_means(n_draws=500)
    flat = left_out([Candidate(mu, xr.zeros_like(log_likelihood))], rng=np.random.default_rng(3))
    np.testing.assert_allclose(flat.expected, mu.mean(("chain", "draw")), atol=1e-12)
    tau = np.sort((mu.isel(arm=1) - mu.isel(arm=0)).isel(unit=0).to_numpy().ravel())
    np.testing.assert_allclose(np.sort(flat.effect.isel(unit=0).to_numpy().ravel()), tau)
    weighted = left_out([Candidate(mu, -log_likelihood)], rng=np.random.default_rng(3))
    assert float(np.abs(weighted.expected - flat.expected).max()) > 0.02


def test_candidates_are_mixed_by_their_shares():
    _, _, mu, log_likelihood = two_means(n_draws=200)
    flat = xr.zeros_like(log_likelihood)
    both = [Candidate(mu, flat, share=0.25), Candidate(mu + 4, flat, share=0.75)]
    mixed = left_out(both, rng=np.random.default_rng(4))
    np.testing.assert_allclose(mixed.expected, mu.mean(("chain", "draw")) + 3, atol=1e-12)


def test_weights_that_are_no_numbers_are_refused():
    _, _, mu, log_likelihood = two_means(n_draws=50)
    with pytest.raises(DataError, match="not finite"):
        left_out([Candidate(mu, log_likelihood * np.nan)], rng=np.random.default_rng(5))


def four_means(seed: int, n: int = 40, n_draws: int = 200):
    """Draws of the means of two arms in two halves of the units, whose effects are equal."""
    rng = np.random.default_rng(seed)
    half, arm = np.arange(n) % 2, np.arange(n) // 2 % 2
    y = rng.normal(size=n)
    means = np.array([[y[(half == h) & (arm == a)].mean() for a in (0, 1)] for h in (0, 1)])
    draws = means + rng.normal(size=(2, n_draws, 2, 2)) / np.sqrt(n / 4)
    mu = xr.DataArray(draws[:, :, half], dims=("chain", "draw", "unit", "arm"))
    own = xr.DataArray(arm, dims="unit")
    return y, arm, mu, -((xr.DataArray(y, dims="unit") - mu.isel(arm=own)) ** 2) / 2


def with_scores(effect: xr.DataArray, y: np.ndarray, arm: np.ndarray) -> float:
    """Covariance of left-out predictions with scores."""
    return float(np.cov(effect.mean(("chain", "draw")), 4 * (arm - 0.5) * y)[0, 1])


def test_where_effects_are_equal_left_out_predictions_do_not_run_against_the_scores(monkeypatch):
    moved, as_they_are = [], []
    for seed in range(60):
        y, arm, mu, log_likelihood = four_means(seed)
        candidate = [Candidate(mu, -log_likelihood)]
        units = left_out(candidate, rng=np.random.default_rng(1))
        moved.append(with_scores(units.effect, y, arm))
        with monkeypatch.context() as patch:
            patch.setattr(module, "_around_one_average", lambda tau, weights, shares: tau)
            units = left_out(candidate, rng=np.random.default_rng(1))
        as_they_are.append(with_scores(units.effect, y, arm))
    # The covariance is 0 within its error; without the move it is -variance of a score / n.
    error = np.std(moved) / np.sqrt(len(moved))
    assert abs(np.mean(moved)) < 3 * error
    assert np.mean(as_they_are) == pytest.approx(-4 / 40, abs=3 * error)
    assert np.mean(as_they_are) < -3 * error


# --- Judging heterogeneity ------------------------------------------------------------------------


def judged(seed: int, *, truth: str, n: int = 300) -> heterogeneity.CheckResult:
    """Judge predictions ``x``, made without the outcomes, where effects are x, constant or -x."""
    rng = np.random.default_rng(seed)
    x, t = rng.normal(size=n), rng.permutation(np.arange(n) % 2)
    effect = {"borne out": x, "none": np.full(n, 0.5), "reversed": -x}[truth]
    y = effect * t + rng.normal(size=n)
    predicted = xr.DataArray(x + 0.3 * rng.normal(size=(2, 200, n)), dims=("chain", "draw", "unit"))
    expected = xr.DataArray(np.column_stack([0 * x, 0 * x]), dims=("unit", "arm"))
    return heterogeneity.heterogeneity_check(
        predicted,
        outcome=y,
        treatment=t,
        propensity=np.full(n, 0.5),
        expected=expected,
        better="higher",
        seed=seed,
    )


def test_heterogeneity_that_is_there_is_found_and_its_slope_is_one():
    checks = [judged(seed, truth="borne out") for seed in range(10)]
    assert all(heterogeneity.is_shown(c) and heterogeneity.is_ranked(c) for c in checks)
    slopes = [c.table.loc["slope", "mean"] for c in checks]
    assert np.mean(slopes) == pytest.approx(1, abs=0.12)


def test_heterogeneity_that_is_not_there_is_claimed_in_about_one_of_a_hundred():
    found = [heterogeneity.is_shown(judged(seed, truth="none", n=100)) for seed in range(60)]
    # Four or more of 60 have probability 0.003 at a rate of 1%.
    assert sum(found) <= 3


def test_a_reversed_ranking_is_no_heterogeneity_shown():
    check = judged(1, truth="reversed")
    assert not heterogeneity.is_shown(check)
    assert check.table.loc["slope", "mean"] < -0.5
    assert "run against the outcomes" in check.text


def test_equal_predictions_leave_nothing_to_judge():
    n = 50
    check = heterogeneity.heterogeneity_check(
        xr.DataArray(np.ones((1, 20, n)), dims=("chain", "draw", "unit")),
        outcome=np.arange(n, dtype=float),
        treatment=np.arange(n) % 2,
        propensity=np.full(n, 0.5),
        expected=xr.DataArray(np.zeros((n, 2)), dims=("unit", "arm")),
        better="higher",
        seed=1,
    )
    assert check.passed is None
    assert not heterogeneity.is_shown(check)
    assert "same effect for everybody" in check.text


# --- Holding units out ----------------------------------------------------------------------------


def test_a_split_keeps_the_proportions_and_is_the_seeds():
    study, _ = fake_study(np.random.default_rng(6), n_units=200, mediator=False)
    fitted, away = split(study, share=0.2, seed=3)
    assert (fitted.n_units, away.n_units) == (160, 40)
    assert away.arm_index().mean() == study.arm_index().mean()
    assert not set(fitted.units) & set(away.units)
    again, other = split(study, share=0.2, seed=3), split(study, share=0.2, seed=4)
    assert list(again[1].units) == list(away.units)
    assert list(other[1].units) != list(away.units)


def test_a_split_never_divides_a_cluster():
    study, _ = fake_study(np.random.default_rng(7), n_units=200, mediator=False)
    frame = study.frame.assign(family=np.arange(200) // 4)
    clustered = Study.from_frame(
        frame, outcome="y", treatment="treat", covariates=["x1", "x2"], cluster="family"
    )
    fitted, away = split(clustered, share=0.25, seed=1)
    assert not set(fitted.frame["family"]) & set(away.frame["family"])


@pytest.mark.parametrize("share", [0, 1, 1.5])
def test_a_share_that_is_none_is_refused(share):
    study, _ = fake_study(np.random.default_rng(8), n_units=40, mediator=False)
    with pytest.raises(SpecError, match="between 0 and 1"):
        split(study, share=share, seed=1)


def test_targeting_on_unseen_units_recovers_what_is_there():
    rng = np.random.default_rng(9)
    study, truth = fake_study(rng, n_units=800, mediator=False)
    effect = xr.DataArray(
        truth + 0.1 * rng.normal(size=(2, 300, 800)),
        dims=("chain", "draw", "unit"),
        coords={"unit": study.units},
    )
    unseen = Unseen(
        study=study,
        effect=effect,
        expected=xr.DataArray(
            np.column_stack([0.3 * study.frame["x2"], 0.3 * study.frame["x2"] + truth]),
            dims=("unit", "arm"),
            coords={"unit": study.units},
        ),
        propensity=xr.DataArray(np.full(800, 0.5), dims="unit"),
        how="held out",
    )
    found = evaluate(unseen, better="higher", seed=1)
    assert found is not None
    assert float(found.calibration.slope.mean()) == pytest.approx(1, abs=0.1)
    # Half the units have effect 1 and half 0: treating the better half gains a quarter over chance.
    assert float(found.qini.curve.sel(fraction=0.5).mean()) == pytest.approx(0.25, abs=0.03)
    flat = Unseen(study, effect * 0, unseen.expected, unseen.propensity, "held out")
    assert evaluate(flat, better="higher", seed=1) is None


# --- Chains ---------------------------------------------------------------------------------------


def chains(spread: float, n: int = 100) -> xr.DataArray:
    rng = np.random.default_rng(10)
    x = rng.normal(size=n)
    own = x + spread * rng.normal(size=(3, 1, n))
    return xr.DataArray(own + 0.1 * rng.normal(size=(3, 50, n)), dims=("chain", "draw", "unit"))


def test_chains_that_agree_pass_and_chains_that_do_not_fail():
    assert chain_stability.chain_stability(chains(0.05)).passed
    bad = chain_stability.chain_stability(chains(1.0))
    assert bad.passed is False
    assert "Draw more" in bad.text
    assert len(bad.table) == 3


def test_another_fit_ranks_as_is_said():
    # Two fits of three chains whose own deviations have the variance of the effects: 1 / (1 + 1/3).
    rng = np.random.default_rng(11)
    x = rng.normal(size=20_000)
    first, second = ((x + rng.normal(size=(3, x.size))).mean(axis=0) for _ in range(2))
    expected = chain_stability.of_another_fit(0.5, 3)
    assert expected == pytest.approx(0.75)
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(expected, abs=0.02)
    assert chain_stability.of_another_fit(-0.1, 4) == -0.1


def test_one_chain_cannot_be_judged_and_equal_effects_have_no_ranking():
    effect = chains(0.05)
    assert chain_stability.chain_stability(effect.isel(chain=[0])).passed is False
    assert chain_stability.chain_stability(effect * 0 + 1).passed is None


def test_a_unit_of_the_fit_is_not_held_out():
    from bayes_hte.trust.unseen import held_out_units

    study, _ = fake_study(np.random.default_rng(11), n_units=40, mediator=False)

    class FitOfAll:
        pass

    fit = FitOfAll()
    fit.study = study
    with pytest.raises(DataError, match="units that were not fitted"):
        held_out_units(fit, study.subset(np.arange(20)))


def test_leave_one_out_weights_are_computed_once_where_they_are_the_same(plain_fit, mediated_fit):
    (units,) = unseen_units(plain_fit)
    shared = Subject(plain_fit, plain_fit.effects(), unseen=(units,)).left_out_scores
    own = Subject(plain_fit, plain_fit.effects()).left_out_scores
    assert shared.keys() == own.keys()
    for label, scores in own.items():
        assert shared[label] is units.scores[label]
        xr.testing.assert_identical(shared[label].elpd_i, scores.elpd_i)
        xr.testing.assert_identical(shared[label].pareto_k, scores.pareto_k)
    # Leaving a unit out leaves out its mediator too, so these are scores of something else.
    (units,) = unseen_units(mediated_fit)
    assert not units.scores
