"""Draws of a mixture without a sampler: the paper's design, with noise about the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import logit, softmax

from bayes_hte.fitting.sampling import SamplerSize
from bayes_hte.mixtures import MixtureDesign, draw_frame, paper_design
from bayes_hte.mixtures.likelihood.fitting import judge_mixture
from bayes_hte.mixtures.likelihood.mixture_fit import MixtureFit
from bayes_hte.mixtures.likelihood.problem import MixtureProblem, mixture_problem

DESIGN = paper_design(0.5, 0.5)
SIZE = SamplerSize(chains=2, draws=150, tune=50, progress=False)


def mixture_frame(n: int = 2000, seed: int = 1, design: MixtureDesign = DESIGN) -> pd.DataFrame:
    """Rows of the design, without the class."""
    return draw_frame(design, n, rng=np.random.default_rng(seed)).drop(columns="u")


def fake_problem(frame: pd.DataFrame, **options) -> MixtureProblem:
    columns = {"outcome": "y", "treatment": "t", "x_proxies": ["x"], "z_proxies": ["z"]}
    return mixture_problem(frame, **columns, k=2, **options)


def fake_sample(problem: MixtureProblem, *, seed: int, size: SamplerSize) -> xr.DataTree:
    """Stand in for :func:`bayes_hte.mixtures.likelihood.fitting.sample_mixture`."""
    rng = np.random.default_rng(seed)
    shape = (size.chains, size.draws)
    joint = DESIGN.joint
    z, x, treated = joint.sum(axis=(2, 3)), joint.sum(axis=(1, 3)), joint.sum(axis=2)
    mean = DESIGN.mean if problem.level == 4 else DESIGN.baseline[:, None, :]

    def noisy(values: np.ndarray, sd: float = 0.05) -> np.ndarray:
        return values + sd * rng.normal(size=(*shape, *values.shape))

    names = {"z": list(problem.data.z.names), "x": list(problem.data.x.names)}
    z_tie = ["any"] if problem.level == 2 else names["z"]
    x_tie = names["x"] if problem.level == 4 else ["any"]
    share = treated[..., 1] / treated.sum(axis=-1)
    values = {
        "probabilities": (("class",), softmax(noisy(np.log(DESIGN.probabilities)), axis=-1)),
        "z_given_class": (("class", "z_level"), softmax(noisy(np.log(z)), axis=-1)),
        "x_given_class": (("class", "x_level"), softmax(noisy(np.log(x)), axis=-1)),
        "treatment_logit": (("class", "z_tie"), noisy(logit(share))[..., : len(z_tie)]),
        "outcome_predictor": (("class", "x_tie", "arm"), noisy(logit(mean))),
    }
    posterior = xr.Dataset(
        {name: (("chain", "draw", *dims), array) for name, (dims, array) in values.items()},
        coords={
            "chain": range(shape[0]),
            "draw": range(shape[1]),
            "class": [0, 1],
            "arm": list(problem.data.arms),
            "z_level": names["z"],
            "x_level": names["x"],
            "z_tie": z_tie,
            "x_tie": x_tie,
        },
    )
    stats = xr.Dataset(
        {
            "logp": (("chain", "draw"), rng.normal(size=shape)),
            "diverging": (("chain", "draw"), np.zeros(shape, dtype=bool)),
        }
    )
    return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats})


def fake_fit(frame: pd.DataFrame | None = None, **options) -> MixtureFit:
    """A judged fit of the design."""
    problem = fake_problem(mixture_frame() if frame is None else frame, **options)
    return judge_mixture(problem, fake_sample(problem, seed=3, size=SIZE), seed=3)
