"""Fake posteriors with the real schema, so that everything after sampling tests in milliseconds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.names import ARM, CHAIN, DRAW, MEDIATOR_ARM, SAMPLE, UNIT
from bayes_hte.study.study import Study


def fake_study(
    rng: np.random.Generator, *, n_units: int = 200, mediator: bool = True
) -> tuple[Study, np.ndarray]:
    """Build a study whose treatment effect is 1 where x1 > 0 and 0 elsewhere.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    n_units : int, default 200
        Number of units.
    mediator : bool, default True
        Whether the effect passes wholly through a mediator column ``m``.

    Returns
    -------
    study : Study
        Covariates x1, x2 (normal), x3 (categorical "a"/"b"/"c"); treatment 0/1; outcome y.
    effect : ndarray, shape (unit,)
        The true effect of each unit, in outcome units.
    """
    x = rng.normal(size=(n_units, 2))
    arm = rng.permutation(np.arange(n_units) % 2)
    effect = (x[:, 0] > 0).astype(float)
    m = 0.5 * x[:, 1] + effect * arm + rng.normal(scale=0.3, size=n_units)
    base = m if mediator else effect * arm
    frame = pd.DataFrame(
        {
            "y": base + 0.3 * x[:, 1] + rng.normal(scale=0.3, size=n_units),
            "treat": arm,
            "m": m,
            "x1": x[:, 0],
            "x2": x[:, 1],
            "x3": rng.choice(list("abc"), size=n_units),
        }
    )
    study = Study.from_frame(
        frame,
        outcome="y",
        treatment="treat",
        covariates=["x1", "x2", "x3"],
        mediator="m" if mediator else None,
    )
    return study, effect


def fake_effect(
    rng: np.random.Generator,
    truth: np.ndarray,
    *,
    chains: int = 4,
    draws: int = 100,
    shared_sd: float = 0.05,
    unit_sd: float = 0.2,
) -> xr.DataArray:
    """Draw a fake posterior of unit-level effects around known truth.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    truth : ndarray, shape (unit,)
        The true effects.
    chains, draws : int
        Size of the posterior.
    shared_sd, unit_sd : float
        Standard deviation of the error shared by all units of a draw, and of each unit's own.

    Returns
    -------
    DataArray, dims (chain, draw, unit)
    """
    noise = rng.normal(scale=shared_sd, size=(chains, draws, 1)) + rng.normal(
        scale=unit_sd, size=(chains, draws, truth.size)
    )
    return xr.DataArray(
        truth + noise,
        dims=(*SAMPLE, UNIT),
        coords={CHAIN: np.arange(chains), DRAW: np.arange(draws), UNIT: np.arange(truth.size)},
        name="cate",
        attrs={"effect": "cate", "contrast": "1 vs 0", "scale": "response"},
    )


def fake_potential_outcomes(
    rng: np.random.Generator,
    *,
    n_units: int = 50,
    chains: int = 4,
    draws: int = 100,
    mediator: bool = True,
) -> xr.DataArray:
    """Draw arbitrary potential outcomes that honour the contract.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    n_units, chains, draws : int
        Sizes.
    mediator : bool, default True
        Whether to add the mediator_arm dimension.

    Returns
    -------
    DataArray, dims (chain, draw, unit, arm[, mediator_arm])
    """
    dims = (*SAMPLE, UNIT, ARM) + ((MEDIATOR_ARM,) if mediator else ())
    shape = (chains, draws, n_units, 2) + ((2,) if mediator else ())
    coords = {CHAIN: np.arange(chains), DRAW: np.arange(draws), UNIT: np.arange(n_units)}
    coords |= {ARM: [0, 1]} | ({MEDIATOR_ARM: [0, 1]} if mediator else {})
    return xr.DataArray(
        rng.normal(size=shape), dims=dims, coords=coords, name="mu", attrs={"scale": "response"}
    )
