"""Functions and trees drawn from the prior of a forest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bayes_hte.surfaces.forest.core import ForestPrior, LiveForest, draw_column_shares, pack, values
from bayes_hte.surfaces.forest.draws import PackedForest
from bayes_hte.surfaces.forest.kernel import draw_trees
from bayes_hte.surfaces.forest.planting import plant
from bayes_hte.surfaces.forest.shares import draw_prior_shares

# Rounds of trees given probabilities and probabilities given trees in a draw from the prior.
ROUNDS = 3


def prior_draws(
    prior: ForestPrior,
    x: np.ndarray,
    *,
    draws: int,
    seed: int,
    levels: np.ndarray | None = None,
    variables: np.ndarray | None = None,
    reserved: int | None = None,
    missing: np.ndarray | None = None,
) -> np.ndarray:
    """Draw functions from the prior and evaluate them at the rows that define it.

    Parameters
    ----------
    prior : ForestPrior
        The prior.
    x : ndarray, shape (row, feature)
        Columns of the study; they define cuts and valid trees.
    draws : int
        Number of functions; they are independent.
    seed : int
        Seed of the generator.
    levels, variables : ndarray of int, shape (feature,), optional
        As in :func:`plant`.
    reserved : int, optional
        As in :func:`plant`.
    missing : ndarray of bool, shape (feature,), optional
        As in :func:`plant`.

    Returns
    -------
    ndarray, shape (draw, row)
    """
    columns = {
        "levels": levels,
        "variables": variables,
        "reserved": reserved,
        "missing": missing,
    }
    lives = _prior_lives(prior, x, draws=draws, seed=seed, **columns)
    return np.stack([values(live) for live in lives])


def prior_forests(
    prior: ForestPrior,
    x: np.ndarray,
    *,
    draws: int,
    seed: int,
    levels: np.ndarray | None = None,
    variables: np.ndarray | None = None,
    reserved: int | None = None,
    missing: np.ndarray | None = None,
) -> list[PackedForest]:
    """Draw the functions of :func:`prior_draws` as trees, to be evaluated at any rows.

    Parameters
    ----------
    prior, x, draws, seed, levels, variables, reserved, missing
        As in :func:`prior_draws`; the same seed gives the same functions.

    Returns
    -------
    list (draw) of PackedForest
    """
    columns = {
        "levels": levels,
        "variables": variables,
        "reserved": reserved,
        "missing": missing,
    }
    return [pack(live) for live in _prior_lives(prior, x, draws=draws, seed=seed, **columns)]


def _prior_lives(
    prior: ForestPrior,
    x: np.ndarray,
    *,
    draws: int,
    seed: int,
    levels: np.ndarray | None = None,
    variables: np.ndarray | None = None,
    reserved: int | None = None,
    missing: np.ndarray | None = None,
) -> Iterator[LiveForest]:
    # The same live forest again and again, with new trees.
    live = plant(prior, x, levels=levels, variables=variables, reserved=reserved, missing=missing)
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        multiplier = rng.standard_normal() if prior.adaptive else 1.0
        live.leaf_variance = prior.leaf_variance * multiplier**2
        if prior.sparse and live.shares.share.size:
            draw_prior_shares(live.shares, rng)
            for _ in range(ROUNDS):
                _draw_trees(live, rng)
                draw_column_shares(live, rng)
        _draw_trees(live, rng)
        yield live


def _draw_trees(live: LiveForest, rng: np.random.Generator) -> None:
    """Draw every tree from its prior given the probabilities of the columns."""
    live.leaves = draw_trees(
        live.nodes,
        live.tops,
        live.slots,
        live.grid,
        live.shares,
        live.law,
        live.f,
        live.leaf_variance,
        rng,
    )
