from __future__ import annotations

from dataclasses import replace

import numpy as np
import pymc as pm
import pytest
import xarray as xr
from scipy.special import expit
from scipy.stats import norm

from bayes_hte.components.latent_class import (
    ClassLaw,
    LatentClassPriors,
    Patterns,
    build_latent_class,
    class_law,
    class_means,
    collapse,
    start_point,
)
from bayes_hte.errors import DataError, NotIdentifiedError, SpecError, UnsupportedError
from bayes_hte.latent import count_classes, fit_mixture, fitting
from bayes_hte.latent import membership as membership_module
from bayes_hte.latent.class_count import maximum_likelihood
from bayes_hte.latent.labels import label_classes
from bayes_hte.latent.membership import mean_membership, membership_draws
from bayes_hte.mixtures import (
    MixtureDesign,
    Splines,
    draw_frame,
    empirical_moments,
    identifiability,
    mixture_arrays,
    paper_design,
    population_moments,
    solve_mixture,
    starting_values,
)

DESIGN = paper_design(0.5, 0.5)
COLUMNS = {"outcome": "y", "treatment": "t", "x_proxies": ["x"], "z_proxies": ["z"]}
SHORT = {"draws": 250, "tune": 400, "progress": False}


def arrays(frame, outcome=None):
    y = frame["y"] if outcome is None else outcome
    return mixture_arrays(frame["z"], frame["x"], frame["t"], y)


@pytest.fixture(scope="module")
def frame():
    return draw_frame(DESIGN, 2000, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def fit(frame):
    return fit_mixture(frame, **COLUMNS, k=2, seed=3, **SHORT)


@pytest.fixture(scope="module")
def edge_fit():
    """A strong X-Y edge that is not declared, and not symmetric."""
    mean = np.array([[[0.6, 0.3], [0.9, 0.3]], [[0.2, 0.6], [0.2, 0.9]]])
    design = MixtureDesign(DESIGN.joint, mean)
    frame = draw_frame(design, 5000, rng=np.random.default_rng(5))
    return fit_mixture(frame, **COLUMNS, k=2, seed=3, **SHORT)


def random_law(rng, k, dz, dx, level, family, draws=()):
    return ClassLaw(
        level=level,
        probabilities=rng.dirichlet(np.ones(k), size=draws),
        z_given_class=rng.dirichlet(np.ones(dz), size=(*draws, k)),
        x_given_class=rng.dirichlet(np.ones(dx), size=(*draws, k)),
        treatment_logit=rng.normal(size=(*draws, k, 1 if level == 2 else dz)),
        outcome_predictor=rng.normal(size=(*draws, k, dx if level == 4 else 1, 2)),
        sigma=rng.uniform(0.5, 2, size=draws) if family == "gaussian" else None,
    )


def joint_by_hand(law, row, family):
    """P(u, z, x, t, y) of one row for every class."""
    z, x, t, y = row
    found = []
    for u in range(len(law.probabilities)):
        treated = expit(law.treatment_logit[u, 0 if law.level == 2 else z])
        mean = law.outcome_predictor[u, x if law.level == 4 else 0, t]
        if family == "bernoulli":
            outcome = expit(mean) if y == 1 else 1 - expit(mean)
        else:
            outcome = norm.pdf(y, mean, law.sigma)
        proxies = law.probabilities[u] * law.z_given_class[u, z] * law.x_given_class[u, x]
        found.append(proxies * (treated if t == 1 else 1 - treated) * outcome)
    return np.array(found)


def some_rows(family, n=70, seed=8):
    rng = np.random.default_rng(seed)
    z, x, t = rng.integers(3, size=n), rng.integers(2, size=n), rng.integers(2, size=n)
    y = rng.integers(2, size=n) if family == "bernoulli" else rng.normal(size=n).round(1)
    return z, x, t, y


@pytest.mark.parametrize("family", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("level", [2, 3, 4])
def test_model_density_is_the_sum_over_rows_and_classes(level, family):
    z, x, t, y = some_rows(family)
    data = mixture_arrays(z, x, t, y)
    patterns = collapse(data)
    priors = LatentClassPriors()
    model = build_latent_class(data, patterns, k=2, level=level, family=family, priors=priors)
    rng = np.random.default_rng(9)
    point = {
        name: value + rng.normal(scale=0.7, size=np.shape(value))
        for name, value in model.initial_point().items()
    }
    values = model.compile_fn(model.unobserved_value_vars, mode="FAST_COMPILE")(point)
    names = [variable.name for variable in model.unobserved_value_vars]
    known = dict(zip(names, values, strict=True))
    fields = [name for name in ClassLaw.__dataclass_fields__ if name in known]
    law = ClassLaw(
        level=level, **({"sigma": None} | {name: np.asarray(known[name]) for name in fields})
    )
    rows = [np.log(joint_by_hand(law, row, family).sum()) for row in zip(z, x, t, y, strict=True)]
    potential = model.compile_logp(vars=model.potentials, mode="FAST_COMPILE")
    assert float(potential(point)) == pytest.approx(sum(rows), rel=1e-12)


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
    priors = LatentClassPriors()
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
    priors = LatentClassPriors(outcome_scale=3.0)
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
    assert fit.agreement.verdict == "agree"
    assert (fit.agreement.table["overlap"] > 0.5).all()


def test_draws_carry_labels_by_effect_and_add_up(fit):
    assert fit.labels.rule == "effect"
    assert bool((fit.effects.diff("class") > 0).all())
    np.testing.assert_allclose(fit.probabilities.sum("class"), 1)
    np.testing.assert_allclose((fit.probabilities * fit.effects).sum("class"), fit.ate)
    law = class_law(fit.posterior["posterior"].to_dataset(), fit.level)
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


def test_equal_seeds_give_equal_draws(fit, frame):
    again = fit_mixture(frame, **COLUMNS, k=2, seed=3, **SHORT)
    assert again.posterior["posterior"].to_dataset().equals(fit.posterior["posterior"].to_dataset())
    assert again.agreement.table.equals(fit.agreement.table)


def test_an_undeclared_x_y_edge_makes_the_posteriors_disagree(edge_fit):
    assert edge_fit.agreement.verdict == "disagree"
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
        ({"family": "poisson"}, UnsupportedError, "bernoulli and gaussian"),
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
        assert fit.agreement.verdict == "not identifiable here"
        assert "too close" in fit.summary()["note"].iloc[0]


def test_priors_must_be_positive():
    with pytest.raises(SpecError, match="treatment_sd"):
        LatentClassPriors(treatment_sd=0)


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


def test_one_class_is_named_when_there_is_one():
    rng = np.random.default_rng(13)
    z, x, t, y = rng.integers(2, size=(4, 3000))
    found = count_classes(mixture_arrays(z, x, t, y), rng=rng, starts=3)
    assert (found.by_bic, found.by_rank) == (1, 1)
    with pytest.raises(SpecError, match="max_k"):
        count_classes(mixture_arrays(z, x, t, y), rng=rng, max_k=3)


def test_gaussian_likelihood_recovers_the_classes():
    rng = np.random.default_rng(14)
    frame = draw_frame(DESIGN, 20_000, rng=rng)
    noise = rng.normal(size=len(frame))
    score = 10 + 3 * np.where(frame["u"] == 1, 1.5, -0.5) * frame["t"] + 3 * noise
    data = arrays(frame, score)
    law, _ = maximum_likelihood(data, collapse(data), 2, "gaussian", rng=rng)
    means = class_means(law, "gaussian")
    np.testing.assert_allclose(np.sort(means[:, 1] - means[:, 0]), [-1.5, 4.5], atol=0.25)
    assert float(law.sigma) == pytest.approx(3, rel=0.02)
