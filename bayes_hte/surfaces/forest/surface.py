"""Sums of trees as PyMC variables, their data, and predictions from their draws."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from pytensor.tensor.variable import TensorVariable

from bayes_hte.study.design import (
    ARM_COLUMN,
    PROPENSITY_COLUMN,
    Design,
    is_propensity_column,
)
from bayes_hte.surfaces.forest.core import ForestPrior
from bayes_hte.surfaces.forest.draws import predict
from bayes_hte.surfaces.forest.prior_draws import prior_draws
from bayes_hte.surfaces.forest.step import ForestData
from bayes_hte.surfaces.terms import Term

# Columns that a forest keeps open however little the outcome says of them: the arm, and the
# propensity, without which the average effect takes over what sparse splits drop of confounders
# (measured: tests/benchmarks/RESULTS.md).
RESERVED = (ARM_COLUMN, PROPENSITY_COLUMN)


def forest_function(name: str, data: ForestData) -> TensorVariable:
    """Add a forest variable to the PyMC model in context.

    Its log-density is flat (the prior lives in the trees, which the step method updates); its
    random generator draws functions from the tree prior, for prior predictive sampling.

    Parameters
    ----------
    name : str
        Name of the variable.
    data : ForestData
        Prior, columns and basis.

    Returns
    -------
    TensorVariable, shape (unit,)
        The forest without its basis.
    """
    rows = data.x.shape[0]
    return pm.CustomDist(
        name,
        logp=_flat,
        random=partial(_random, data=data),
        support_point=partial(_zeros, rows=rows),
        shape=rows,
        dims="unit",
    )


def forest_data(
    term: Term,
    design: Design,
    *,
    scale: float,
    trees: int,
    sparse: bool,
    basis: np.ndarray | None,
    waits: bool = False,
) -> ForestData:
    """Collect prior, columns and basis of a term's forest.

    Parameters
    ----------
    term : Term
        The term.
    design : Design
        The rows.
    scale : float
        Prior standard deviation of the function, in its units.
    trees : int
        Number of trees.
    sparse : bool
        Whether the probabilities of the columns are sampled.
    basis : ndarray, shape (unit,), or None
        Factor of the forest.
    waits : bool, default False
        Whether it waits for a part of the tuning; see :class:`ForestData`.

    Returns
    -------
    ForestData
    """
    x = design.split_columns(term.features).to_numpy()
    levels = design.split_levels(term.features)
    if term.features == "none":
        # A tree without columns cannot split: one leaf, drawn from its conjugate normal.
        return ForestData(ForestPrior(scale=scale, trees=1, adaptive=False), x, levels, basis)
    columns = design.columns(term.features).columns
    splits = [len(c.split_levels) for c in columns]
    # The propensities of several arms are one variable, as the indicators of one covariate are.
    names = [PROPENSITY_COLUMN if is_propensity_column(c.name) else c.name for c in columns]
    variables = np.repeat(pd.factorize(np.array(names, dtype=object))[0], splits)
    added = [i for i, name in enumerate(np.repeat(names, splits)) if name in RESERVED]
    reserved = added[0] if added else None
    prior = ForestPrior(scale=scale, trees=trees, sparse=sparse)
    missing = design.split_missing(term.features)
    return ForestData(prior, x, levels, basis, variables, reserved, waits, missing)


def predict_forest(trees: xr.Dataset, term: Term, design: Design) -> np.ndarray:
    """Evaluate a forest at rows, aligned with the posterior draws.

    Parameters
    ----------
    trees : Dataset
        Stored trees of the term.
    term : Term
        The term.
    design : Design
        The rows, study's or new.

    Returns
    -------
    ndarray, shape (chain, draw, row)
    """
    return predict(trees, design.split_columns(term.features).to_numpy())


def _flat(value: TensorVariable) -> TensorVariable:
    return pt.zeros_like(value)


def _zeros(rv: TensorVariable, size: object, *, rows: int) -> TensorVariable:
    return pt.zeros(rows)


def _random(rng: np.random.Generator, size: object = None, *, data: ForestData) -> np.ndarray:
    seed = int(rng.integers(2**31))
    return prior_draws(data.prior, data.x, draws=1, seed=seed, **data.columns)[0]
