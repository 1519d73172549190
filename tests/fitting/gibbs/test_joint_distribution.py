"""Draws of prior and data, iterated: columns drawn given parameters, parameters given columns.

The parameters start as exact draws from the prior of the PyMC model, and a column is drawn from its
family given them. If the sampler leaves the posterior of that model as it is, however often column
and parameters are drawn anew, each parameter keeps its prior (Geweke 2004,
doi:10.1198/016214504000001132). That holds for every family, noise model and kind of term without
a long chain; a wrong prior anywhere drifts away.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import stats

from bayes_hte.components.component import Component
from bayes_hte.components.outcome import build_outcome
from bayes_hte.fitting.gibbs.coefficients import CoefficientsPart, coefficients_part
from bayes_hte.fitting.gibbs.noise import NoisePart, noise_part
from bayes_hte.fitting.gibbs.scales import start_scales
from bayes_hte.study.design import Design
from bayes_hte.study.spec import PriorSpec
from bayes_hte.study.study import Study
from tests.fitting.gibbs.driver import iterate

# Few rows: the less a column says, the faster a wrong prior takes over.
N = 16
REPLICATES = 500
# Draws from the prior that they are compared with: cheap, and more of them find smaller faults.
FRESH = 2000
# Alternations; a prior that is a little wrong needs many to show.
FEW, MANY = 8, 20
# Of the smallest of all p-values, times their number.
SMALLEST = 1e-3
# Narrow priors where the link is not the identity: counts stay within the range of the mixtures.
NARROW = tuple(
    PriorSpec("outcome", term, "counts of a test", scale=scale)
    for term, scale in {"shared": 0.3, "arm": 0.3, "arm_mean": 0.5}.items()
)
CASES = {
    "gaussian": {},
    "student_t": {"family": "student_t"},
    "bernoulli": {"family": "bernoulli"},
    "poisson": {"family": "poisson", "priors": NARROW},
    "negative_binomial": {"family": "negative_binomial", "priors": NARROW},
    "by_arm": {"noise": "by_arm", "learner": "homogeneous"},
    "varying": {"noise": "varying", "family": "student_t", "learner": "homogeneous"},
    "arm as a column": {"learner": "s"},
    "trends": {"means_by": "site"},
    "trends beside forests": {"means_by": "site", "surface": "forest"},
    "additive": {"surface": "additive", "learner": "homogeneous"},
    "bends": {"mediator_shape": "spline", "learner": "homogeneous"},
    "clusters": {"cluster": "clinic", "learner": "homogeneous"},
    "clusters, bernoulli": {"cluster": "clinic", "learner": "homogeneous", "family": "bernoulli"},
}


def component_of(
    family: str = "gaussian", surface: str = "linear", cluster: str | None = None, **options
) -> Component:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "x1": rng.normal(size=N),
            "x2": rng.normal(size=N),
            "site": np.array(["a", "b"])[np.arange(N) // 2 % 2],
            "clinic": np.array(list("pqrst"))[np.arange(N) // 2 % 5],
            "t": np.arange(N) % 2,
            "y": np.arange(N) // 2 % 2 if family == "bernoulli" else rng.poisson(3, size=N),
        }
    )
    roles = {"outcome": "y", "treatment": "t", "covariates": ["x1", "x2", "site"]}
    # A propensity: a column that the horseshoe leaves alone.
    estimated = {"propensity": rng.uniform(0.2, 0.8, N)}
    if "mediator_shape" in options:
        frame["m"], roles["mediator"] = rng.normal(size=N), "m"
        estimated["expected_mediator"] = 0.5 * rng.normal(size=N)
    study = Study.from_frame(frame, **roles, cluster=cluster)
    design = Design.learn(study, **estimated)
    options = {"learner": "hierarchical"} | options
    return build_outcome(study, design, family=family, surface=surface, **options)


def prior_draws(component: Component) -> dict[str, np.ndarray]:
    """Draws of every variable but forests, shape (draw, ...)."""
    names = [
        v.name
        for v in (*component.model.free_RVs, *component.model.deterministics)
        if v.name not in component.forests
    ]
    variables = [component.model[name] for name in names]
    drawn = pm.draw(variables, draws=REPLICATES + FRESH, random_seed=5, mode="FAST_COMPILE")
    return dict(zip(names, map(np.asarray, drawn), strict=True))


def put(part: CoefficientsPart, noise: NoisePart, values: dict[str, np.ndarray]) -> None:
    """Set the parameters of the sampler."""
    state, role = part._state, part._layout.role
    for entry in part._layout.entries:
        if entry.source != "amplitude":
            getattr(state, entry.source)[entry.index] = values[entry.name]
    if part._layout.clusters:
        state.cluster_sd[0] = values[f"{role}_cluster_sd"]
        state.cluster_raw[:] = values[f"{role}_cluster_raw"]
    start_scales(part._columns, state)
    if hasattr(noise, "_theta"):
        slopes = values.get(f"{role}_log_spread", np.zeros(0))
        noise._theta[:] = [np.log(values[f"{role}_sigma"]), *slopes]
        noise._log_sigma[:] = noise._every[noise._rows] @ noise._theta
        noise._nu = float(values.get(f"{role}_nu", 0.0))
    elif hasattr(noise, "_value"):
        noise._value = float(values[f"{role}_overdispersion"])


def smallest_p(
    component: Component, part: CoefficientsPart, noise: NoisePart, alternations: int
) -> float:
    """Compare parameters after the alternations with the prior; Bonferroni's p-value."""
    rng, prior = np.random.default_rng(7), prior_draws(component)
    family, after = component.family, []
    for k in range(REPLICATES):
        put(part, noise, {name: values[k] for name, values in prior.items()})
        eta = component.offset + part.predictor()
        for _ in range(alternations):
            y = family.draw(rng, eta, noise.values())
            eta = iterate(family.name, y, eta, part, noise, rng)
        after.append(part.record() | noise.record())
    fresh = {name: values[REPLICATES:] for name, values in prior.items()}
    assert set(after[0]) == set(fresh)
    p_values = []
    for name, values in fresh.items():
        here = np.array([record[name] for record in after]).reshape(REPLICATES, -1)
        assert np.shape(after[0][name]) == values.shape[1:], name
        there = values.reshape(FRESH, -1)
        p_values += [stats.ks_2samp(a, b).pvalue for a, b in zip(here.T, there.T, strict=True)]
    return min(p_values) * len(p_values)


def cases(fast: tuple, slow: tuple) -> list:
    """Give each case few alternations if it is to be fast, else many."""
    return [pytest.param(*case, FEW) for case in fast] + [
        pytest.param(*case, MANY, marks=pytest.mark.slow) for case in slow
    ]


@pytest.mark.parametrize(
    ("case", "alternations"),
    cases((("gaussian",), ("clusters",), ("varying",)), tuple((case,) for case in CASES)),
)
def test_parameters_keep_the_prior_of_the_pymc_model(case, alternations):
    component = component_of(**CASES[case])
    rng = np.random.default_rng(1)
    part, noise = coefficients_part(component, rng), noise_part(component, rng)
    assert smallest_p(component, part, noise, alternations) > SMALLEST


def wrong(part: CoefficientsPart, **fields: float) -> CoefficientsPart:
    columns = part._columns
    changed = {name: factor * getattr(columns, name) for name, factor in fields.items()}
    layout = replace(part._layout, columns=columns._replace(**changed))
    return CoefficientsPart(layout, np.random.default_rng(1))


@pytest.mark.parametrize(
    ("case", "field", "factor", "alternations"),
    cases(
        (("gaussian", "tau_scale", 1.7),),
        (
            ("gaussian", "slab", 0.3),
            ("gaussian", "fixed_sd", 1.7),
            ("additive", "log_lengthscale", 1.7),
            ("clusters", "cluster_scale", 1.7),
        ),
    ),
)
def test_a_wrong_prior_is_found(case, field, factor, alternations):
    component = component_of(**CASES[case])
    rng = np.random.default_rng(1)
    part = wrong(coefficients_part(component, rng), **{field: factor})
    assert smallest_p(component, part, noise_part(component, rng), alternations) < SMALLEST


@pytest.mark.parametrize(
    ("case", "field", "alternations"),
    cases((), (("student_t", "_scale"), ("varying", "_slope_sd"), ("gaussian", "_scale"))),
)
def test_a_wrong_prior_of_the_noise_is_found(case, field, alternations):
    component = component_of(**CASES[case])
    rng = np.random.default_rng(1)
    part, noise = coefficients_part(component, rng), noise_part(component, rng)
    setattr(noise, field, 1.7 * getattr(noise, field))
    assert smallest_p(component, part, noise, alternations) < SMALLEST
