"""Means and standard deviations of every parameter, against those of NUTS on the PyMC model."""

from __future__ import annotations

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hte.components.component import Component
from bayes_hte.components.outcome import build_outcome
from bayes_hte.fitting.sampling import SamplerSize, sample_component
from bayes_hte.study.design import Design
from bayes_hte.study.study import Study
from tests.fitting.gibbs.driver import sample

N = 80
SIZE = SamplerSize(chains=2, draws=250, tune=300, cores=1, progress=False)
# Largest difference of two estimates in units of its Monte Carlo error; there are about 40.
LARGEST = 4.5
# Logarithms of what is positive: their tails have moments.
POSITIVE = ("tau", "local", "sd", "sigma", "nu", "size", "overdispersion")
CASES = {
    "gaussian": {},
    "student_t": {"family": "student_t"},
    "bernoulli": {"family": "bernoulli"},
    "poisson": {"family": "poisson"},
    "negative_binomial": {"family": "negative_binomial"},
    "varying": {"noise": "varying"},
    "trends": {"means_by": "site"},
    "clusters": {"cluster": "clinic"},
}


def component_of(family: str = "gaussian", cluster: str | None = None, **options: str) -> Component:
    rng = np.random.default_rng(11)
    x1, x2 = rng.normal(size=(2, N))
    t, clinic = np.arange(N) % 2, np.arange(N) // 2 % 6
    eta = 0.4 * t + 0.7 * x1 + 0.5 * rng.normal(size=6)[clinic]
    y = {
        "bernoulli": (eta + rng.logistic(size=N) > 0).astype(int),
        "poisson": rng.poisson(np.exp(eta)),
        "negative_binomial": rng.poisson(np.exp(eta) * rng.gamma(2, 0.5, size=N)),
    }.get(family, eta + 0.7 * rng.standard_t(5, size=N))
    site = np.array(["a", "b"])[np.arange(N) // 2 % 2]
    frame = pd.DataFrame({"y": y, "t": t, "x1": x1, "x2": x2, "site": site, "clinic": clinic})
    study = Study.from_frame(
        frame.astype({"clinic": str}),
        outcome="y",
        treatment="t",
        covariates=["x1", "x2", "site"],
        cluster=cluster,
    )
    options = {"learner": "prognostic_effect"} | options
    return build_outcome(study, Design.learn(study), family=family, surface="linear", **options)


def comparable(posterior: xr.Dataset) -> xr.Dataset:
    """Take logarithms of scales."""
    return xr.Dataset(
        {n: np.log(v) if n.split("_")[-1] in POSITIVE else v for n, v in posterior.items()}
    )


def largest_difference(one: xr.Dataset, other: xr.Dataset) -> tuple[float, str]:
    """Largest difference of means in units of its Monte Carlo error, and where it is."""
    assert {n: v.dims for n, v in one.items()} == {n: v.dims for n, v in other.items()}
    a, b, found = comparable(one), comparable(other), []
    for name in one:
        # Means of squares about one middle stand for standard deviations.
        centre = b[name].mean(("chain", "draw"))
        a[f"{name} squared"], b[f"{name} squared"] = (
            (a[name] - centre) ** 2,
            (b[name] - centre) ** 2,
        )
    for name in a:
        error = 0.0
        for draws in (a, b):
            ess = az.ess(draws[[name]], method="mean")[name]
            error = error + draws[name].var(("chain", "draw")) / ess
        difference = a[name].mean(("chain", "draw")) - b[name].mean(("chain", "draw"))
        found.append((float((abs(difference) / np.sqrt(error)).max()), name))
    return max(found)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_every_parameter_has_the_posterior_that_nuts_finds(case):
    component = component_of(**CASES[case])
    ours = sample(component, chains=2, tune=300, draws=1500, seed=1)
    theirs = sample_component(component, seed=1, size=SIZE).posterior
    theirs = theirs.drop_vars([name for name in theirs if name not in ours])
    assert set(ours) == set(theirs)
    difference, name = largest_difference(ours, theirs)
    assert difference < LARGEST, name


@pytest.mark.slow
def test_another_posterior_is_found_out():
    ours = sample(component_of(), chains=2, tune=300, draws=1500, seed=1)
    other = sample(component_of(family="student_t"), chains=2, tune=300, draws=1500, seed=1)
    assert largest_difference(ours, other[list(ours)])[0] > 2 * LARGEST
