"""Ways to estimate effects of many units, for the benchmark of large studies.

Every method is given the whole table and is asked about the same units: their effects, and the
averages of groups of them. ``exact`` is the fit of all rows. ``shards`` divides the rows at random,
fits each part with its likelihood to the power of the number of parts, so that each posterior is as
narrow as that of all rows, and averages the quantiles of the posteriors. The others are peers.

The package does not offer shards. Their likelihoods exist here only: the working model that the
sampler is given has the precision of several copies of each row, and so has the noise.

References
----------
Athey, S., Tibshirani, J., Wager, S. (2019). Generalized random forests. Annals of Statistics 47,
1148-1178. doi:10.1214/18-AOS1709
Hahn, P. R., Murray, J. S., Carvalho, C. M. (2020). Bayesian regression tree models for causal
inference: regularization, confounding, and heterogeneous effects. Bayesian Analysis 15, 965-1056.
doi:10.1214/19-BA1195
Li, C., Srivastava, S., Dunson, D. B. (2017). Simple, scalable and accurate posterior interval
estimation. Biometrika 104, 665-680. doi:10.1093/biomet/asx033
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from unittest import mock

import numpy as np
import pandas as pd

TAILS = (0.025, 0.975)


class Answer(Protocol):
    """What a method says of some units; intervals are of 95%."""

    def units(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return estimate, lower and upper bound of each unit's effect, shape (unit,)."""

    def averages(self, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds of the average of each group, given the group of each unit."""


@dataclass(frozen=True)
class Posteriors:
    """Draws of effects; of several posteriors the quantiles are averaged.

    Attributes
    ----------
    draws : sequence of ndarray, shape (draw, unit)
        Of each posterior.
    """

    draws: Sequence[np.ndarray]

    def units(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return posterior means and equal-tailed intervals."""
        mean = np.mean([d.mean(axis=0) for d in self.draws], axis=0)
        return mean, *_quantiles(self.draws)

    def averages(self, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return equal-tailed intervals of the average of each group."""
        member = np.equal.outer(groups, np.unique(groups)).astype(float)
        return _quantiles([d @ (member / member.sum(axis=0)) for d in self.draws])


def _quantiles(draws: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    lower, upper = np.mean([np.quantile(d, TAILS, axis=0) for d in draws], axis=0)
    return lower, upper


# --- Ours ----------------------------------------------------------------------------------------


def _study(frame: pd.DataFrame) -> Any:
    import bayes_hte as hte

    covariates = [c for c in frame.columns if c not in ("y", "t")]
    return hte.Study.from_frame(frame, outcome="y", treatment="t", covariates=covariates)


def _draws(frame: pd.DataFrame, asked: pd.DataFrame, seed: int, size: Mapping) -> np.ndarray:
    import bayes_hte as hte

    cate = hte.fit(_study(frame), seed=seed, progress=False, **size).cate(asked)
    draws = cate.transpose("chain", "draw", "unit").to_numpy().astype(np.float32)
    return draws.reshape(-1, len(asked))


def exact(frame: pd.DataFrame, asked: np.ndarray, seed: int, **size: int) -> Answer:
    """Fit all rows.

    Parameters
    ----------
    frame : DataFrame, shape (unit, column)
        Covariates, outcome ``y`` and arm ``t``.
    asked : ndarray of int
        Positions of the units that are asked about.
    seed : int
        Of the method.
    **size
        Chains, draws and tuning iterations.

    Returns
    -------
    Answer
    """
    return Posteriors([_draws(frame, frame.iloc[asked], seed, size)])


def shards(
    frame: pd.DataFrame,
    asked: np.ndarray,
    seed: int,
    *,
    parts: int,
    propensity: bool = True,
    **size: int,
) -> Answer:
    """Fit random parts of the rows, each as if every row were there `parts` times.

    Parameters
    ----------
    frame, asked, seed, **size
        As for :func:`exact`.
    parts : int
        Number of parts.
    propensity : bool
        Whether the model of the treatment, whose mean is a covariate of that of the outcome, has
        the power too.

    Returns
    -------
    Answer
    """
    order = np.random.default_rng(seed).permutation(len(frame))
    draws = []
    with powered(parts, *(["bernoulli"] if propensity else [])):
        for number, rows in enumerate(np.array_split(order, parts)):
            part = frame.iloc[np.sort(rows)].reset_index(drop=True)
            draws.append(_draws(part, frame.iloc[asked], 1000 * seed + number, size))
    return Posteriors(draws)


@contextmanager
def powered(power: int, *others: str) -> Iterator[None]:
    """Sample from posteriors in which the likelihood of each row has a power.

    For gaussian columns on the direct sampler, on this machine. Equal to repeating each row `power`
    times, but for the smallest leaves of trees, which count rows once.

    Parameters
    ----------
    power : int
        At least 1.
    *others : str
        ``"bernoulli"``: columns of 0 and 1 have it too.
    """
    from bayes_hte.fitting.gibbs import chain, noise
    from bayes_hte.surfaces.forest import working_models as models

    plain = models.working_model

    def working_model(family: str, y: Any, eta: Any, *rest: Any, **more: Any) -> Any:
        if family == "gaussian":
            one = plain(family, y, eta, *rest, **more)
            return models.WorkingModel(one.residual, one.precision * power)
        if family not in others:
            return plain(family, y, eta, *rest, **more)
        rng = rest[-1]
        omega = models._whole_polya_gamma(np.full(eta.shape, float(power)), eta, rng)
        return models.WorkingModel(power * (y - 0.5) / omega - eta, omega)

    class Scale(noise.Scale):
        def __init__(self, component: Any, rng: np.random.Generator) -> None:
            super().__init__(component, rng)
            self._directions = self._directions / np.sqrt(power)
            self._along = np.ascontiguousarray(np.tile(self._along, power)) / np.sqrt(power)
            self._log_sigma = np.tile(self._log_sigma, power)

        def _rounds(self, residual: np.ndarray, rng: np.random.Generator) -> None:
            super()._rounds(np.tile(residual, power), rng)

    with (
        mock.patch.object(chain, "working_model", working_model),
        mock.patch.object(noise, "Scale", Scale),
    ):
        yield


# --- Peers ---------------------------------------------------------------------------------------


def bcf(frame: pd.DataFrame, asked: np.ndarray, seed: int) -> Answer:
    """Fit stochtree's Bayesian causal forest: 4 chains of 200 draws after 10 sweeps from the root.

    Parameters
    ----------
    frame, asked, seed
        As for :func:`exact`.

    Returns
    -------
    Answer
    """
    from stochtree import BCFModel

    model = BCFModel()
    model.sample(
        X_train=frame.drop(columns=["y", "t"]),
        Z_train=frame["t"].to_numpy(float),
        y_train=frame["y"].to_numpy(),
        num_gfr=10,
        num_mcmc=200,
        general_params={"random_seed": seed, "num_chains": 4},
    )
    return Posteriors([model.tau_hat_train[asked].T])


@dataclass(frozen=True)
class CausalForest:
    """A fitted causal forest of econml, and the covariates of the units asked about."""

    forest: Any
    x: np.ndarray

    def units(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return its effects and intervals."""
        lower, upper = self.forest.effect_interval(self.x, alpha=0.05)
        return self.forest.effect(self.x), lower, upper

    def averages(self, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return its intervals of mean effects.

        Of all units its doubly robust one; of groups it has a bound only, as if the errors of
        their units were equal.
        """
        if np.unique(groups).size == 1:
            ends = [self.forest.ate__inference().conf_int(alpha=0.05)]
        else:
            parts = [self.x[groups == group] for group in np.unique(groups)]
            ends = [self.forest.ate_inference(x).conf_int_mean(alpha=0.05) for x in parts]
        return tuple(np.array(ends, dtype=float).reshape(len(ends), 2).T)


def causal_forest(frame: pd.DataFrame, asked: np.ndarray, seed: int) -> Answer:
    """Fit econml's causal forest by double machine learning, on one core.

    Parameters
    ----------
    frame, asked, seed
        As for :func:`exact`.

    Returns
    -------
    Answer
    """
    from econml.dml import CausalForestDML

    x = frame.drop(columns=["y", "t"]).to_numpy()
    forest = CausalForestDML(discrete_treatment=True, random_state=seed, n_jobs=1)
    forest.fit(frame["y"].to_numpy(), frame["t"].to_numpy(), X=x)
    return CausalForest(forest, x[asked])


METHODS: dict[str, Callable[..., Answer]] = {
    "exact": exact,
    "5 shards": partial(shards, parts=5),
    "20 shards": partial(shards, parts=20),
    "5 shards, plain propensity": partial(shards, parts=5, propensity=False),
    "bcf": bcf,
    "causal forest": causal_forest,
}
# Those that take chains, draws and tuning iterations.
SIZED = tuple(name for name in METHODS if name == "exact" or "shards" in name)
