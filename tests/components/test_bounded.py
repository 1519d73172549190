"""The family of a bounded scale: its distribution, its expectations, its samplers."""

from __future__ import annotations

from dataclasses import replace

import arviz_stats
import numpy as np
import pymc as pm
import pytest
import xarray as xr
from scipy import integrate, special, stats

import bayes_hte as hte
from bayes_hte.components.families import get_family
from bayes_hte.components.families.bounded import BEYOND
from bayes_hte.components.predictor import LinearPredictor
from bayes_hte.errors import DataError, SpecError, UnsupportedError
from bayes_hte.fitting.mediation import potential_outcomes
from bayes_hte.fitting.plan import Plan
from bayes_hte.fitting.sampling import SamplerSize, sample_component, sample_with_pymc
from bayes_hte.fitting.stages import build_stage
from bayes_hte.study.overview import likely_bounds, suggested_family
from bayes_hte.study.spec import PriorSpec, bounded_limits, family_called
from bayes_hte.study.study import Study

SCALE = get_family("bounded(1, 5)")
LOW, WIDTH = 1 - 4 * BEYOND, 4 + 8 * BEYOND
SIZE = {"draws": 50, "tune": 60, "chains": 2, "cores": 1, "progress": False}


def density(y: float, eta: float, sigma: float) -> float:
    return float(np.exp(SCALE.log_likelihood(np.array([y]), np.array([eta]), {"sigma": sigma})[0]))


# ---------------------------------------------------------------- the name


def test_the_name_holds_the_ends_of_the_scale_however_it_is_written():
    assert family_called(" bounded( 1,5.0 )") == SCALE.name == "bounded(1, 5)"
    assert get_family("bounded(1,5)") is SCALE
    assert bounded_limits("bounded(-2.5, 1e2)") == (-2.5, 100.0)
    assert bounded_limits("gaussian") is None
    assert Plan(family="bounded(0,100)").family == "bounded(0, 100)"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bounded", r"needs the two ends of the scale.*'bounded\(1, 5\)'"),
        ("bounded(1)", "needs the two ends"),
        ("bounded(low, high)", "needs the two ends"),
        ("bounded(5, 1)", "from a lower to an upper end, got 5 and 1"),
        ("beta", r"Known: .*A scale with ends is family='bounded\(1, 5\)'"),
    ],
)
def test_a_scale_without_ends_is_refused(name, words):
    with pytest.raises(SpecError, match=words):
        get_family(name)


def test_values_beyond_the_scale_are_refused():
    SCALE.check(np.array([1.0, 5.0, 2.5]), "outcome")
    with pytest.raises(DataError, match=r"from 1 to 5, got 2 others \(0 to 6\)"):
        SCALE.check(np.array([0.0, 6.0, 2.5]), "outcome")


# ---------------------------------------------------------------- the distribution


@pytest.mark.parametrize(("eta", "sigma"), [(0.0, 0.5), (-1.5, 1.0), (2.0, 2.0)])
def test_density_distribution_function_and_mean_agree(eta, sigma):
    how = {"limit": 200, "epsabs": 1e-10}
    total = integrate.quad(lambda y: density(y, eta, sigma), LOW, LOW + WIDTH, **how)[0]
    assert total == pytest.approx(1, abs=1e-7)
    below = integrate.quad(lambda y: density(y, eta, sigma), LOW, 2.0, **how)[0]
    got = SCALE.cdf(np.array([0.0, 2.0, 9.0]), np.full(3, eta), {"sigma": sigma})
    assert got == pytest.approx([0, below, 1], abs=1e-7)
    mean = integrate.quad(lambda y: y * density(y, eta, sigma), LOW, LOW + WIDTH, **how)[0]
    error = 4 * {0.5: 1e-8, 1.0: 1e-6, 2.0: 1e-4}[sigma]
    assert SCALE.mean(np.array([eta]), {"sigma": sigma})[0] == pytest.approx(mean, abs=error)
    # The median is another number, and no stand-in for the mean.
    if eta:
        assert abs(SCALE.inverse_link(np.array([eta]))[0] - mean) > 1000 * error


def test_draws_have_the_mean_and_the_model_of_pymc_the_density():
    rng, noise = np.random.default_rng(1), {"sigma": 1.2}
    drawn = SCALE.draw(rng, np.full(200_000, -1.0), noise)
    assert drawn.mean() == pytest.approx(SCALE.mean(np.array([-1.0]), noise)[0], abs=0.01)
    assert LOW < drawn.min() < drawn.max() < LOW + WIDTH
    y = np.array([1.0, 2.2, 5.0])
    got = pm.logp(SCALE.distribution(np.full(3, -1.0), noise), y).eval()
    np.testing.assert_allclose(got, SCALE.log_likelihood(y, np.full(3, -1.0), noise))
    with pytest.raises(SpecError, match="needs sigma"):
        SCALE.log_likelihood(y, np.zeros(3), {})


def test_offset_and_scale_are_those_of_the_logits():
    y = np.array([1.0, 1.5, 4.0])
    z = special.logit((y - LOW) / WIDTH)
    assert SCALE.offset(y) == pytest.approx(z.mean())
    assert SCALE.latent_sd(y) == pytest.approx(z.std())
    np.testing.assert_allclose(SCALE.link(SCALE.inverse_link(z)), z)


# ---------------------------------------------------------------- potential outcomes


@pytest.mark.parametrize("mediator", ["gaussian", "bernoulli", "bounded(0, 1)"])
def test_the_mediator_is_integrated_out_of_the_mean(mediator):
    rng = np.random.default_rng(2)
    dims = ("chain", "draw", "unit", "arm")
    base, slope, eta_m = (xr.DataArray(rng.normal(size=(1, 2, 3, 2)), dims=dims) for _ in range(3))
    family, sigma_y = get_family(mediator), np.array([[[[0.6, 1.1]]]] * 2).reshape(1, 2, 1, 2)
    noise = {"sigma": np.full((1, 2, 1), 0.7)} if family.noise else {}
    mu = potential_outcomes(
        LinearPredictor(base, slope),
        SCALE,
        eta_m,
        family,
        expected=np.zeros((3, 2)),
        noise=noise,
        outcome_noise={"sigma": sigma_y},
    )
    arm, other, unit, draw = 1, 0, 2, 1
    b, s = (float(v[0, draw, unit, arm]) for v in (base, slope))
    m = family.draw(rng, np.full(400_000, float(eta_m[0, draw, unit, other])), {"sigma": 0.7})
    y = SCALE.draw(rng, b + s * m, {"sigma": sigma_y[0, draw, 0, arm]})
    error = 5 * y.std() / np.sqrt(y.size)
    assert float(mu[0, draw, unit, arm, other]) == pytest.approx(y.mean(), abs=error)


# ---------------------------------------------------------------- fits


def skewed_study(n: int = 150) -> tuple[Study, np.ndarray]:
    """Return a trial on a scale from 1 to 5 with a tenth at its lower end, and its effect."""
    rng = np.random.default_rng(3)
    frame = hte.simulate_mediation(rng, n=n).frame
    eta = -1.8 + 0.6 * frame["x1"].to_numpy()
    arm = frame["treat"].to_numpy().astype(float)
    y = SCALE.draw(rng, eta + 0.7 * arm, {"sigma": 0.9})
    frame = frame.assign(y=np.clip(y, 1, 5))
    effect = SCALE.mean(eta + 0.7, {"sigma": 0.9}) - SCALE.mean(eta, {"sigma": 0.9})
    roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
    return Study.from_frame(frame, **roles), effect


@pytest.fixture(scope="module")
def linear():
    study, effect = skewed_study()
    fit = hte.fit(study, family="bounded(1, 5)", surface="linear", noise="by_arm", seed=1, **SIZE)
    return study, effect, fit


def test_a_fit_finds_the_effect_on_the_scale_with_noise_of_each_arm(linear):
    study, effect, fit = linear
    mu, sigma = fit.potential_outcomes(), fit.components["outcome"].noise()["sigma"]
    assert sigma.shape == (2, 50, 150)
    te = fit.cate().mean("unit")
    assert abs(float(te.mean()) - effect.mean()) < 3 * float(te.std())
    assert ((mu > LOW) & (mu < LOW + WIDTH)).all()
    # Of the arm of the unit itself: the mean that belongs to its own noise.
    own = fit.observed_predictor()
    expected = SCALE.mean(own.to_numpy(), fit.observed_noise())
    arm = study.arm_index()
    for i in (0, 7):
        np.testing.assert_allclose(mu[:, :, i, arm[i]], expected[:, :, i])
    new = fit.cate(study.frame.head(4))
    np.testing.assert_allclose(new, fit.cate().isel(unit=slice(4)), rtol=1e-6)


def test_its_log_likelihood_prefers_it_to_a_gaussian_of_the_same_surface(linear):
    study, _, fit = linear
    other = hte.fit(study, family="gaussian", surface="linear", noise="by_arm", seed=1, **SIZE)
    scores = [float(f.log_likelihood().sum("unit").mean()) for f in (fit, other)]
    assert scores[0] > scores[1] + 10


@pytest.mark.parametrize(
    "surface", ["forest", "additive", pytest.param("gp", marks=pytest.mark.slow)]
)
def test_other_surfaces_take_it(surface):
    study, _ = skewed_study(60)
    plan = Plan(family="bounded(1, 5)", surface=surface, propensity_covariate=False)
    component = build_stage("outcome", study, plan, {})
    small = SamplerSize(chains=2, draws=10, tune=20, cores=1, progress=False)
    mean = sample_component(component, seed=1, size=small).mean()
    assert ((mean > LOW) & (mean < LOW + WIDTH)).all()


def test_mixtures_say_that_they_do_not_take_it():
    roles = {"outcome": "y", "treatment": "treat", "x_proxies": ["x1"], "z_proxies": ["x2"]}
    frame = skewed_study(60)[0].frame
    with pytest.raises(UnsupportedError, match="mixtures of family 'bounded"):
        hte.fit_mixture(frame, family="bounded(1, 5)", k=2, seed=1, **roles)


@pytest.mark.slow
def test_both_samplers_have_one_posterior():
    study, _ = skewed_study(60)
    few = PriorSpec(component="outcome", term="shared", trees=8, because="a test")
    arms = replace(few, term="arm")
    plan = Plan(family="bounded(1, 5)", propensity_covariate=False, priors=(few, arms))
    size = SamplerSize(chains=2, draws=600, tune=300, cores=1, progress=False)
    component = build_stage("outcome", study, plan, {})
    found = []
    for sampler in (sample_component, sample_with_pymc):
        fitted = sampler(component, seed=5, size=size)
        te = fitted.mean().mean("unit")
        sigma = np.log(fitted.posterior["outcome_sigma"])
        found.append([(te[..., 1] - te[..., 0]).to_numpy(), sigma.to_numpy()])
    for one, other in zip(*found, strict=True):
        errors = [float(arviz_stats.mcse(draws, method="mean")) for draws in (one, other)]
        assert abs(one.mean() - other.mean()) < 4.5 * np.hypot(*errors)


# ---------------------------------------------------------------- what suggests it


def test_a_column_that_piles_up_at_an_end_suggests_its_scale():
    skewed = skewed_study(300)[0].outcome()
    assert likely_bounds(skewed) == (1, 5)
    assert likely_bounds(6 - skewed) == (1, 5)
    assert suggested_family(skewed, "gaussian") == "bounded(1, 5)"
    assert suggested_family(skewed, "bounded(1, 5)") is None
    rng = np.random.default_rng(1)
    for other in (
        rng.normal(3, 0.5, 300).clip(1, 5),  # in the middle of its scale
        rng.lognormal(8, 1, 300),  # money
        np.repeat([1.0, 2.0, 3.0], 100),  # three places
        rng.normal(-2, 1, 300),
    ):
        assert likely_bounds(other) is None
    heavy = stats.t.rvs(3, size=400, random_state=1)
    assert suggested_family(heavy, "gaussian") == "student_t"
    assert suggested_family(rng.normal(size=400), "gaussian") is None
    assert suggested_family(np.arange(9.0), "poisson") == "negative_binomial"


def test_checks_that_fail_name_the_family_to_try():
    from bayes_hte.checks.loo_pit import calibration_check
    from bayes_hte.checks.predictive import posterior_predictive

    arm, names = np.repeat([0, 1], 100), ("a", "b")
    pit = np.linspace(0, 0.5, 200)
    how = {"arm": arm, "arm_names": names}
    named = calibration_check(pit, **how, try_family="bounded(1, 5)")
    assert "Try family = 'bounded(1, 5)'" in named.text
    assert "Another family" in calibration_check(pit, **how).text
    assert (
        "family"
        not in calibration_check(
            np.tile((np.arange(100) + 0.5) / 100, 2), **how, try_family="bounded(1, 5)"
        ).text
    )
    wrong = posterior_predictive(
        np.full((50, 200), 9.0),
        {"sigma": np.ones((50, 1))},
        np.zeros(200),
        **how,
        family=get_family("gaussian"),
        rng=np.random.default_rng(1),
        try_family="student_t",
    )
    assert wrong.text.endswith("Try family = 'student_t'.")


def test_a_check_of_a_study_file_names_the_scale_and_takes_it(tmp_path):
    from bayes_hte.runs.study_check import check_study

    skewed_study(200)[0].frame.to_csv(tmp_path / "trial.csv", index=False)
    text = """
title = "A score"
[about]
question = "Does it help?"
suitable_for = "a test"
not_suitable_for = "anything else"
[data]
source = "trial.csv"
[roles]
outcome = "y"
treatment = "treat"
covariates = ["x1", "x2"]
[outcome]
better = "lower"
minimal_important_difference = 0.1
because = "a test"
family = {family}
[learner]
name = "t"
[propensity]
assignment = "randomised"
[sampler]
seed = 1
"""
    said = {}
    for family in ('"gaussian"', '"bounded(1,5)"'):
        path = tmp_path / "trial.toml"
        path.write_text(text.format(family=family))
        spec = hte.load_spec(path)
        said[spec.outcome.family] = check_study(spec)
    assert all(found.problems == () for found in said.values())
    advice = {name: "\n".join(found.lines) for name, found in said.items()}
    assert 'write family = "bounded(1, 5)"' in advice["gaussian"]
    assert "family:" not in advice["bounded(1, 5)"]
    path.write_text(text.format(family='"bounded"'))
    with pytest.raises(SpecError, match="needs the two ends of the scale"):
        hte.load_spec(path)
