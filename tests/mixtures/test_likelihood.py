from __future__ import annotations

from dataclasses import replace

import numpy as np
import nutpie
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from scipy import stats
from scipy.special import expit

from bayes_hte.checks.loo import leave_one_out
from bayes_hte.components.families import get_family
from bayes_hte.errors import DataError, NotIdentifiedError, SpecError, UnsupportedError
from bayes_hte.mixtures import (
    MixtureDesign,
    Splines,
    count_classes,
    draw_frame,
    empirical_moments,
    fit_mixture,
    identifiability,
    mixture_arrays,
    paper_design,
    population_moments,
    solve_mixture,
    starting_values,
)
from bayes_hte.mixtures.class_counts import compare_class_counts
from bayes_hte.mixtures.likelihood import fitting
from bayes_hte.mixtures.likelihood import membership as membership_module
from bayes_hte.mixtures.likelihood.labels import label_classes
from bayes_hte.mixtures.likelihood.law import (
    ClassLaw,
    Patterns,
    class_law,
    class_means,
    collapse,
)
from bayes_hte.mixtures.likelihood.maximum import maximum_likelihood
from bayes_hte.mixtures.likelihood.membership import (
    class_shares,
    log_likelihood,
    mean_membership,
    membership_draws,
)
from bayes_hte.mixtures.likelihood.model import MixturePriors, build_mixture, start_point

DESIGN = paper_design(0.5, 0.5)
COLUMNS = {"outcome": "y", "treatment": "t", "x_proxies": ["x"], "z_proxies": ["z"]}
NOISE = {"sigma": (0.5, 2), "nu": (3, 9), "size": (0.5, 3)}
DENSITY = {
    "bernoulli": lambda y, eta: expit(eta) if y == 1 else 1 - expit(eta),
    "gaussian": lambda y, eta, sigma: stats.norm.pdf(y, eta, sigma),
    "student_t": lambda y, eta, sigma, nu: stats.t.pdf(y, nu, eta, sigma),
    "poisson": lambda y, eta: stats.poisson.pmf(y, np.exp(eta)),
    "negative_binomial": lambda y, eta, size: stats.nbinom.pmf(
        y, size, size / (size + np.exp(eta))
    ),
}
SHORT = {"draws": 250, "tune": 400, "progress": False}


def arrays(frame, outcome=None):
    y = frame["y"] if outcome is None else outcome
    return mixture_arrays(frame["z"], frame["x"], frame["t"], y)


@pytest.fixture(scope="module")
def frame():
    return draw_frame(DESIGN, 2000, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def compiled():
    """The start and the compiled model of `fit`, once that is made."""
    return {}


@pytest.fixture(scope="module")
def fit(frame, compiled):
    compile_model = nutpie.compile_pymc_model

    def kept(model, *, initial_points, **options):
        made = compile_model(model, initial_points=initial_points, **options)
        compiled.update(start=initial_points, model=made)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nutpie, "compile_pymc_model", kept)
        return fit_mixture(frame, **COLUMNS, k=2, seed=3, **SHORT)


@pytest.fixture(scope="module")
def edge_fit():
    """A strong X-Y edge that is not declared, and not symmetric."""
    mean = np.array([[[0.6, 0.3], [0.9, 0.3]], [[0.2, 0.6], [0.2, 0.9]]])
    design = MixtureDesign(DESIGN.joint, mean)
    frame = draw_frame(design, 5000, rng=np.random.default_rng(5))
    return fit_mixture(frame, **COLUMNS, k=2, seed=3, **SHORT)


def random_law(rng, k, dz, dx, level, family, draws=(), covariates=0):
    return ClassLaw(
        level=level,
        probabilities=rng.dirichlet(np.ones(k), size=draws),
        z_given_class=rng.dirichlet(np.ones(dz), size=(*draws, k)),
        x_given_class=rng.dirichlet(np.ones(dx), size=(*draws, k)),
        treatment_logit=rng.normal(size=(*draws, k, 1 if level == 2 else dz)),
        outcome_predictor=rng.normal(size=(*draws, k, dx if level == 4 else 1, 2)),
        noise={name: rng.uniform(*NOISE[name], size=draws) for name in get_family(family).noise},
        class_slopes=rng.normal(size=(*draws, covariates, k)) if covariates else None,
    )


def joint_by_hand(law, row, family):
    """P(u, z, x, t, y | w) of one row for every class."""
    z, x, t, y, *w = row
    found = []
    classes = law.probabilities * np.exp(w @ law.class_slopes if w else 0)
    classes = classes / classes.sum()
    for u in range(len(law.probabilities)):
        treated = expit(law.treatment_logit[u, 0 if law.level == 2 else z])
        mean = law.outcome_predictor[u, x if law.level == 4 else 0, t]
        outcome = DENSITY[family](y, mean, **law.noise)
        proxies = classes[u] * law.z_given_class[u, z] * law.x_given_class[u, x]
        found.append(proxies * (treated if t == 1 else 1 - treated) * outcome)
    return np.array(found)


def some_rows(family, n=70, seed=8):
    rng = np.random.default_rng(seed)
    z, x, t = rng.integers(3, size=n), rng.integers(2, size=n), rng.integers(2, size=n)
    y = {"bernoulli": rng.integers(2, size=n), "gaussian": rng.normal(size=n).round(1)}
    return z, x, t, y.get(family, rng.poisson(3, size=n))


def some_covariates(n=70, seed=4):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"age": rng.normal(size=n).round(1), "ward": rng.integers(2, size=n)})


@pytest.mark.parametrize(
    ("family", "level", "covariates"),
    [
        *[(family, level, None) for family in ("bernoulli", "gaussian") for level in (2, 3, 4)],
        *[(family, 3, None) for family in ("student_t", "poisson", "negative_binomial")],
        ("bernoulli", 3, some_covariates()),
    ],
    ids=lambda value: "covariates" if isinstance(value, pd.DataFrame) else str(value),
)
def test_model_density_is_the_sum_over_rows_and_classes(family, level, covariates):
    z, x, t, y = some_rows(family)
    data = mixture_arrays(z, x, t, y)
    patterns = collapse(data, covariates)
    priors = MixturePriors()
    model = build_mixture(data, patterns, k=2, level=level, family=family, priors=priors)
    rng = np.random.default_rng(9)
    point = {
        name: value + rng.normal(scale=0.7, size=np.shape(value))
        for name, value in model.initial_point().items()
    }
    values = model.compile_fn(model.unobserved_value_vars, mode="FAST_COMPILE")(point)
    names = [variable.name for variable in model.unobserved_value_vars]
    known = xr.Dataset(
        {
            name: (("chain", "draw", *(f"{name}_{i}" for i in range(np.ndim(value)))),
                   np.asarray(value)[None, None])
            for name, value in zip(names, values, strict=True)
        }
    )  # fmt: skip
    draws = class_law(known, level, family)
    law = draws.at(slice(0, 1))
    law = replace(
        law,
        **{name: value[0, 0] for name, value in vars(law).items() if hasattr(value, "ndim")},
        noise={name: value[0, 0] for name, value in law.noise.items()},
    )
    w = covariates.to_numpy() if covariates is not None else np.empty((len(z), 0))
    rows = [
        np.log(joint_by_hand(law, (*row, *extra), family).sum())
        for row, extra in zip(zip(z, x, t, y, strict=True), w, strict=True)
    ]
    potential = model.compile_logp(vars=model.potentials, mode="FAST_COMPILE")
    assert float(potential(point)) == pytest.approx(sum(rows), rel=1e-10)
    by_pattern = log_likelihood(draws, patterns, family)
    np.testing.assert_allclose(by_pattern[0, 0, patterns.row], rows)


def test_equal_rows_are_counted_once_and_every_unit_keeps_its_row():
    z, x, t, y = some_rows("bernoulli", n=500)
    patterns = collapse(mixture_arrays(z, x, t, y))
    assert len(patterns.z) <= 24
    assert patterns.count.sum() == 500
    for name, column in (("z", z), ("x", x), ("arm", t), ("outcome", y)):
        assert (getattr(patterns, name)[patterns.row] == column).all()


@pytest.mark.parametrize("level", [2, 3, 4])
def test_start_is_the_moment_solution_in_the_parameters_of_the_model(frame, level):
    data = arrays(frame)
    moments = empirical_moments(data)
    start = starting_values(solve_mixture(moments, k=2), moments)
    priors = MixturePriors()
    point = start_point(start, data, level=level, family="bernoulli", priors=priors)
    y = data.outcome
    centre = np.log((y.sum() + 0.5) / (len(y) - y.sum() + 0.5))
    means = expit(centre + 1.5 * point["outcome_raw"])
    np.testing.assert_allclose(means, np.broadcast_to(start.baseline[:, None], means.shape))
    treated = expit(point["treatment_logit"])
    assert treated.shape == ((2, 1) if level == 2 else (2, 2))
    overall = (start.z_given_u * start.treated_given_zu).sum(axis=1)
    weights = start.z_given_u if level > 2 else np.ones((2, 1))
    np.testing.assert_allclose((treated * weights).sum(axis=1), overall)


def test_a_gaussian_start_is_on_the_scale_of_its_prior(frame):
    rng = np.random.default_rng(21)
    score = 50 + 4 * frame["y"].to_numpy() + rng.normal(size=len(frame))
    data = arrays(frame, score)
    moments = empirical_moments(data)
    start = starting_values(solve_mixture(moments, k=2), moments)
    priors = MixturePriors(outcome_scale=3.0)
    point = start_point(start, data, level=3, family="gaussian", priors=priors)
    means = score.mean() + 3 * 2 * score.std() * point["outcome_raw"][:, 0]
    np.testing.assert_allclose(means, start.baseline)


def test_class_means_average_over_x_when_the_outcome_depends_on_it():
    law = random_law(np.random.default_rng(2), 3, 2, 4, 4, "bernoulli", draws=(2, 5))
    means = class_means(law, "bernoulli")
    by_hand = sum(
        law.x_given_class[1, 2, 0, x] * expit(law.outcome_predictor[1, 2, 0, x]) for x in range(4)
    )
    np.testing.assert_allclose(means[1, 2, 0], by_hand)


@pytest.mark.parametrize("family", ["bernoulli", "gaussian"])
def test_membership_is_bayes_rule(family):
    z, x, t, y = some_rows(family, n=30)
    patterns = collapse(mixture_arrays(z, x, t, y))
    law = random_law(np.random.default_rng(6), 3, 3, 2, 3, family)
    got = membership_draws(law, patterns, family, "row")[:, patterns.row]
    proxies = membership_draws(law, patterns, family, "proxies")[:, patterns.row]
    for i, row in enumerate(zip(z, x, t, y, strict=True)):
        joint = joint_by_hand(law, row, family)
        np.testing.assert_allclose(got[:, i], joint / joint.sum())
        seen = law.probabilities * law.z_given_class[:, z[i]] * law.x_given_class[:, x[i]]
        np.testing.assert_allclose(proxies[:, i], seen / seen.sum())


def test_mean_membership_does_not_depend_on_the_chunks(monkeypatch):
    patterns = collapse(mixture_arrays(*some_rows("bernoulli")))
    law = random_law(np.random.default_rng(7), 2, 3, 2, 3, "bernoulli", draws=(2, 9))
    whole = mean_membership(law, patterns, "bernoulli", "row")
    monkeypatch.setattr(membership_module, "CHUNK", 4 * 2 * len(patterns.z))
    for a, b in zip(whole, mean_membership(law, patterns, "bernoulli", "row"), strict=True):
        np.testing.assert_allclose(a, b)
    with pytest.raises(SpecError, match="given"):
        mean_membership(law, patterns, "bernoulli", "everything")


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


def test_draws_carry_labels_by_effect_and_add_up(fit):
    assert fit.labels.rule == "effect"
    assert bool((fit.effects.diff("class") > 0).all())
    np.testing.assert_allclose(fit.probabilities.sum("class"), 1)
    np.testing.assert_allclose((fit.probabilities * fit.effects).sum("class"), fit.ate)
    law = class_law(fit.posterior["posterior"].to_dataset(), fit.level, fit.family)
    means = class_means(law, "bernoulli")
    np.testing.assert_allclose(means[..., 1] - means[..., 0], fit.effects)


def test_units_get_memberships_that_add_up_to_one(fit, frame):
    rows, proxies = fit.membership(), fit.membership(given="proxies")
    for table in (rows, proxies):
        assert table.dims == ("unit", "class")
        np.testing.assert_allclose(table.sum("class"), 1)
        # Calibrated: the mean membership of a class is its probability.
        np.testing.assert_allclose(
            table.mean("unit"), fit.probabilities.mean(("chain", "draw")), atol=0.02
        )
    truth = frame["u"].to_numpy()
    hit = rows.to_numpy()[np.arange(len(truth)), truth].mean()
    assert hit > proxies.to_numpy()[np.arange(len(truth)), truth].mean() > 0.55


def test_soft_effects_are_the_draws_averaged_last(fit):
    draws = fit.soft_effect_draws()
    by_unit = draws.mean(("chain", "draw")).to_numpy()[fit.patterns.row]
    np.testing.assert_allclose(fit.soft_effect(), by_unit)
    assert float(fit.soft_effect().max()) < float(fit.effects.max())


def test_equal_seeds_give_equal_draws(fit, frame, compiled, monkeypatch):
    starts = []

    def as_before(_, *, initial_points, **options):
        """Compiling takes most of the time and draws nothing, so it is not done twice."""
        starts.append(initial_points)
        return compiled["model"]

    monkeypatch.setattr(nutpie, "compile_pymc_model", as_before)
    again = fit_mixture(frame, **COLUMNS, k=2, seed=3, **SHORT)
    np.testing.assert_equal(starts, [compiled["start"]])
    assert again.posterior["posterior"].to_dataset().equals(fit.posterior["posterior"].to_dataset())
    assert again.agreement.table.equals(fit.agreement.table)


@pytest.mark.slow
def test_an_undeclared_x_y_edge_makes_the_posteriors_disagree(edge_fit):
    assert edge_fit.agreement.answer == "disagree"
    assert any("X-Y edge" in reason for reason in edge_fit.agreement.reasons)


@pytest.mark.parametrize("mu_xy", [0.3, 0.9])
def test_the_symmetric_x_y_edge_of_the_paper_moves_both_answers_alike(mu_xy):
    design = paper_design(0.5, 1.0, mu_xy)
    z, x, t, y = (part.ravel() for part in np.indices(design.cell_law.shape))
    data = mixture_arrays(z, x, t, y)
    patterns = Patterns(z, x, t, y.astype(float), 1e6 * design.cell_law.ravel(), np.arange(16))
    rng = np.random.default_rng(0)
    law, _ = maximum_likelihood(data, patterns, 2, "bernoulli", rng=rng)
    means = class_means(law, "bernoulli")
    likelihood = np.sort(means[:, 1] - means[:, 0])
    moments = solve_mixture(population_moments(design), k=2).effects
    np.testing.assert_allclose(likelihood, moments, atol=2e-3)
    assert abs(moments[1] - design.effects[1]) > 0.1  # so no comparison can warn


@pytest.mark.parametrize(("mu_zt", "level_2"), [(0.0, 0.75), (0.5, 0.786), (1.0, 0.679)])
def test_the_level_2_likelihood_is_biased_by_a_z_t_edge_and_level_3_is_not(mu_zt, level_2):
    design = paper_design(0.5, mu_zt)
    z, x, t, y = (part.ravel() for part in np.indices(design.cell_law.shape))
    data = mixture_arrays(z, x, t, y)
    patterns = Patterns(z, x, t, y.astype(float), 1e6 * design.cell_law.ravel(), np.arange(16))
    for level, wanted in ((2, level_2), (3, 0.75)):
        rng = np.random.default_rng(0)
        law, _ = maximum_likelihood(data, patterns, 2, "bernoulli", rng=rng, level=level)
        means = class_means(law, "bernoulli")
        effects = np.sort(means[:, 1] - means[:, 0])
        np.testing.assert_allclose(effects, [-wanted, wanted], atol=2e-3)


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
    drawn = pm.draw(model.unobserved_RVs, shape[0] * shape[1], random_seed=seed, mode="FAST_RUN")
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


def test_priors_must_be_positive():
    with pytest.raises(SpecError, match="treatment_sd"):
        MixturePriors(treatment_sd=0)


def switching_draws(effects, baseline, rng, noise=0.05):
    """Draws of two classes whose raw names are swapped at random."""
    truth = np.array(effects) + noise * rng.normal(size=(3, 200, 2))
    start = np.array(baseline) + noise * rng.normal(size=(3, 200, 2))
    swap = rng.random((3, 200)) < 0.3
    swap[2] = True
    raw = np.where(swap[..., None], [1, 0], [0, 1])
    profiles = np.stack([start, start + truth], axis=-1)
    shuffled = np.take_along_axis(profiles, raw[..., None], axis=2)
    return np.take_along_axis(truth, raw, axis=2), shuffled, truth


def test_switched_labels_are_mended_and_reported():
    rng = np.random.default_rng(11)
    raw, profiles, truth = switching_draws((-0.75, 0.75), (0.5, 0.5), rng)
    labels = label_classes(raw, profiles, rng.normal(size=raw.shape[:2]))
    np.testing.assert_array_equal(np.take_along_axis(raw, labels.order, axis=2), truth)
    assert labels.rule == "effect"
    np.testing.assert_allclose(labels.switched, [0.3, 0.3, 0], atol=0.08)
    assert labels.chains_differ
    assert labels.ambiguous == 0
    assert labels.check().passed


def test_close_effects_are_labelled_by_profile():
    rng = np.random.default_rng(12)
    raw, profiles, truth = switching_draws((0.29, 0.31), (0.1, 0.6), rng)
    labels = label_classes(raw, profiles, rng.normal(size=raw.shape[:2]))
    assert labels.rule == "reference"
    got = np.take_along_axis(raw, labels.order, axis=2)
    first = 0 if truth[..., 0].mean() < truth[..., 1].mean() else 1
    np.testing.assert_array_equal(got, truth[..., [first, 1 - first]])
    assert labels.ambiguous == 0
    assert labels.check().passed


def test_classes_that_are_not_distinct_are_not_trusted():
    rng = np.random.default_rng(15)
    raw, profiles, _ = switching_draws((0.3, 0.3), (0.5, 0.5), rng)
    labels = label_classes(raw, profiles, rng.normal(size=raw.shape[:2]))
    assert labels.ambiguous > 0.05
    assert not labels.trusted
    assert "fewer classes" in labels.check().text


def test_bic_and_rank_find_the_two_classes(frame):
    found = count_classes(arrays(frame), rng=np.random.default_rng(0), starts=3)
    assert (found.by_bic, found.by_rank) == (2, 2)
    assert found.agree
    assert found.table.loc[2, "n_parameters"] == 13
    assert found.table.loc[2, "bic"] == pytest.approx(
        13 * np.log(2000) - 2 * found.table.loc[2, "log_likelihood"]
    )


@pytest.mark.slow
def test_one_class_is_named_when_there_is_one():
    rng = np.random.default_rng(13)
    z, x, t, y = rng.integers(2, size=(4, 3000))
    found = count_classes(mixture_arrays(z, x, t, y), rng=rng, starts=3)
    assert (found.by_bic, found.by_rank) == (1, 1)
    with pytest.raises(SpecError, match="max_k"):
        count_classes(mixture_arrays(z, x, t, y), rng=rng, max_k=3)


@pytest.mark.slow
def test_gaussian_likelihood_recovers_the_classes():
    rng = np.random.default_rng(14)
    frame = draw_frame(DESIGN, 20_000, rng=rng)
    noise = rng.normal(size=len(frame))
    score = 10 + 3 * np.where(frame["u"] == 1, 1.5, -0.5) * frame["t"] + 3 * noise
    data = arrays(frame, score)
    law, _ = maximum_likelihood(data, collapse(data), 2, "gaussian", rng=rng)
    means = class_means(law, "gaussian")
    np.testing.assert_allclose(np.sort(means[:, 1] - means[:, 0]), [-1.5, 4.5], atol=0.25)
    assert float(law.noise["sigma"]) == pytest.approx(3, rel=0.02)


@pytest.mark.slow
def test_poisson_likelihood_recovers_the_classes():
    rng = np.random.default_rng(16)
    frame = draw_frame(DESIGN, 20_000, rng=rng)
    mean = np.where(frame["u"] == 1, np.where(frame["t"] == 1, 6, 2), np.where(frame["t"], 3, 4))
    data = arrays(frame, rng.poisson(mean))
    patterns = collapse(data)
    runs = [maximum_likelihood(data, patterns, 2, "poisson", rng=rng) for _ in range(5)]
    law = max(runs, key=lambda run: run[1])[0]
    means = class_means(law, "poisson")
    np.testing.assert_allclose(np.sort(means[:, 1] - means[:, 0]), [-1, 4], atol=0.15)
    with pytest.raises(UnsupportedError, match="compare_class_counts"):
        count_classes(data, rng=rng, family="student_t")


def test_shares_of_classes_average_over_their_covariates():
    patterns = collapse(mixture_arrays(*some_rows("bernoulli")), some_covariates())
    rng = np.random.default_rng(17)
    law = random_law(rng, 3, 3, 2, 3, "bernoulli", draws=(2, 4), covariates=2)
    odds = np.log(law.probabilities[1, 2]) + some_covariates().to_numpy() @ law.class_slopes[1, 2]
    by_hand = (np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(class_shares(law, patterns)[1, 2], by_hand)


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


def test_without_covariates_there_are_no_slopes(fit):
    with pytest.raises(SpecError, match="class_covariates"):
        _ = fit.class_slopes


@pytest.mark.slow
def test_left_out_rows_tell_two_classes_from_three(frame):
    """Two three-level proxies a side could carry three classes; the data have two."""
    rng = np.random.default_rng(19)
    rows = frame.head(1500)
    blurred = rows.assign(
        z=rows["z"] + rng.integers(2, size=len(rows)), x=rows["x"] + rng.integers(2, size=len(rows))
    )
    fits = [fit_mixture(blurred, **COLUMNS, k=k, seed=3, **SHORT) for k in (3, 2)]
    found = compare_class_counts(fits)
    table = found.table.set_index("k")
    assert found.passed
    assert table["difference"].max() == 0
    assert "2 classes" in found.text
    # Three classes describe the same law with more parameters, so hardly better or worse.
    assert abs(table["difference"].min()) < 5
    assert table["p_loo"].between(4, 30).all()
    with pytest.raises(SpecError, match="different rows"):
        compare_class_counts([fits[0], fit_mixture_rows(fits[1])])
    with pytest.raises(SpecError, match="two or more"):
        compare_class_counts(fits[:1])


def fit_mixture_rows(fit):
    """The same fit as if it had seen every row twice."""
    return replace(fit, patterns=replace(fit.patterns, count=2 * fit.patterns.count))


def test_scores_of_rows_are_those_of_units(fit):
    """One score a distinct row, counted, is what ArviZ gives for all units."""
    values = fit.log_likelihood().isel(pattern=fit.patterns.row).rename(pattern="unit")
    whole = leave_one_out(values.assign_coords(unit=range(values.sizes["unit"])))
    other = replace(fit, identifiability=replace(fit.identifiability, k=3))
    table = compare_class_counts([fit, other]).table.set_index("k")
    assert table.loc[2, "elpd"] == pytest.approx(float(whole.elpd), rel=1e-4)
    assert table.loc[2, "p_loo"] == pytest.approx(float(whole.p), rel=0.05)
    assert table.loc[3, "difference"] == 0
