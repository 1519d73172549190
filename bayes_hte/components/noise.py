"""Noise that differs between units: the log of its scale is linear in arm and covariates.

===========  =======================================================================================
constant     one scale for all units
by_arm       a scale for each arm
varying      ``log sigma_i = log sigma + g_arm + z_i' g``, z the standardised covariates
===========  =======================================================================================

with ``g_arm ~ Normal(0, 0.5)`` for each arm but the reference, where it is 0, and
``g ~ Normal(0, 0.25)``: one standard deviation of a covariate changes the noise by less than half
or double.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

from bayes_hte.components.families import Family
from bayes_hte.errors import UnsupportedError, unknown_name
from bayes_hte.study.design import ARM_COLUMN, Design, is_arm_feature

NOISE_MODELS = ("constant", "by_arm", "varying")
ARM_SD, COVARIATE_SD = 0.5, 0.25


def check_noise(noise: str, family: Family, role: str) -> None:
    """Check that a family can have a noise model.

    Raises
    ------
    SpecError
        If the name is unknown.
    UnsupportedError
        If the family has no scale of its own.
    """
    if noise not in NOISE_MODELS:
        raise unknown_name("noise", noise, NOISE_MODELS)
    if noise != "constant" and not family.has_scale:
        raise UnsupportedError(
            f"{role}: the scale of a {family.name} column follows from its mean, so noise="
            f"{noise!r} has no meaning; use noise='constant', for overdispersed counts "
            "family='negative_binomial'."
        )


def noise_parameters(
    role: str, family: Family, y: np.ndarray, design: Design, noise: str
) -> dict[str, Any]:
    """Add the noise parameters to the PyMC model in context.

    Parameters
    ----------
    role : str
        Start of the variables' names.
    family : Family
        Of the column.
    y : ndarray, shape (unit,)
        The column.
    design : Design
        Its rows.
    noise : {"constant", "by_arm", "varying"}
        See the module.

    Returns
    -------
    dict of str to TensorVariable
        ``sigma`` of shape (unit,) unless the noise is constant.
    """
    parameters = family.parameters(role, y)
    if noise == "constant":
        return parameters
    columns = spread_columns(design, noise)
    feature = f"{role}_log_spread_feature"
    pm.modelcontext(None).add_coord(feature, list(columns.columns))
    slopes = pm.Normal(f"{role}_log_spread", 0, slope_sd(columns), dims=feature)
    spread = pm.math.exp(pm.math.dot(columns.to_numpy(), slopes))
    return parameters | {"sigma": parameters["sigma"] * spread}


def noise_at(
    posterior: xr.Dataset, role: str, family: Family, design: Design, noise: str
) -> Mapping[str, np.ndarray]:
    """Return draws of the noise parameters at rows, each in its own arm.

    Parameters
    ----------
    posterior : Dataset
        Draws of the variables of :func:`noise_parameters`.
    role, family, design, noise
        As there; `design` may hold new rows.

    Returns
    -------
    mapping of str to ndarray, shape (chain, draw, 1) or (chain, draw, row)
    """
    values = {name: posterior[f"{role}_{name}"].to_numpy()[..., None] for name in family.noise}
    if noise == "constant":
        return values
    slopes = posterior[f"{role}_log_spread"].to_numpy()
    # Of a study of more arms a design may hold two, so the slopes say how many there were.
    others = 0 if noise == "by_arm" else design.standardized("covariates").shape[1]
    columns = spread_columns(design, noise, n_arms=1 + slopes.shape[-1] - others)
    spread = np.exp(slopes @ columns.to_numpy().T)
    return values | {"sigma": values["sigma"] * spread}


def noise_under_arms(component: Any, design: Design | None = None) -> Mapping[str, np.ndarray]:
    """Return the noise parameters under each arm, for families whose mean depends on them.

    Parameters
    ----------
    component : FittedComponent or StackedComponent
        A fitted column.
    design : Design, optional
        Rows; default the rows of the study.

    Returns
    -------
    mapping of str to ndarray, shape (chain, draw, 1, 1) or (chain, draw, row, arm)
        Empty for the other families.
    """
    if not component.family.mean_needs_noise:
        return {}
    rows = component.design if design is None else design
    own = component.noise(rows)
    if all(values.shape[-1] == 1 for values in own.values()):
        return {name: values[..., None] for name, values in own.items()}
    by_arm = [component.noise(rows.under(arm)) for arm in range(component.design.n_arms)]
    return {name: np.stack([each[name] for each in by_arm], axis=-1) for name in own}


def slope_sd(columns: pd.DataFrame) -> np.ndarray:
    """Return the prior standard deviation of the slope of each column, shape (feature,)."""
    of_arm = [is_arm_feature(name) for name in columns.columns]
    return np.where(of_arm, ARM_SD, COVARIATE_SD)


@dataclass(frozen=True)
class ComputedNoise(Mapping[str, np.ndarray]):
    """Noise parameters that are computed when they are asked for, each time anew.

    Where there are many arrays of draws at units, they are never in memory together.

    Attributes
    ----------
    names : tuple of str
        The parameters.
    compute : callable (int)
        Computes the parameter at a place among the names, shape (..., row).
    rows : tuple of ndarray or slice
        Rows that are kept, one selection after the other.
    """

    names: tuple[str, ...]
    compute: Callable[[int], np.ndarray]
    rows: tuple[Any, ...] = ()

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.names:
            raise KeyError(name)
        values = self.compute(self.names.index(name))
        for rows in self.rows:
            values = values[..., rows]
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def among(self, rows: np.ndarray | slice) -> ComputedNoise:
        """Return the parameters of some rows, by a mask, positions or a slice."""
        return replace(self, rows=(*self.rows, rows))


def noise_of(noise: Mapping[str, np.ndarray], rows: np.ndarray | slice) -> Mapping[str, np.ndarray]:
    """Return noise parameters of some rows.

    Parameters
    ----------
    noise : mapping of str to ndarray, shape (..., 1) or (..., row)
        From :func:`noise_at`.
    rows : ndarray of bool, shape (row,), positions or slice
        The rows to keep.

    Returns
    -------
    mapping of str to ndarray, shape (..., 1) or (..., kept)
        Computed when it is asked for if `noise` is.
    """
    if isinstance(noise, ComputedNoise):
        return noise.among(rows)
    return {k: v if v.shape[-1] == 1 else v[..., rows] for k, v in noise.items()}


def spread_columns(design: Design, noise: str, *, n_arms: int | None = None) -> pd.DataFrame:
    """Return the columns of the log of the scale; not of constant noise.

    Parameters
    ----------
    design : Design
        The rows.
    noise : {"by_arm", "varying"}
        See the module.
    n_arms : int, optional
        Arms that the noise was learned in; default those of the rows.

    Returns
    -------
    DataFrame, shape (row, feature)
        Indicators of the arms but the reference, and perhaps standardised covariates.
    """
    n_arms, arm = n_arms or design.n_arms, design.arm_codes
    # Two arms are one column with the name of the arm, which saved fits rely on.
    names = [ARM_COLUMN] if n_arms == 2 else [f"{ARM_COLUMN}={a}" for a in range(1, n_arms)]
    indicators = {name: (arm == a).astype(np.float64) for a, name in enumerate(names, start=1)}
    by_arm = pd.DataFrame(indicators, index=design.units)
    if noise == "by_arm":
        return by_arm
    return pd.concat([by_arm, design.standardized("covariates")], axis=1)
