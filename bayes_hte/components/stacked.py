"""Several models of one column, weighted by their predictions of left-out units.

The weights maximise the leave-one-out predictive score of the mixture, estimated by Pareto-smoothed
importance sampling. They score predictions of the observed outcome, not effects, which nobody
observes; where the effects of the candidates differ, both should be shown.

References
----------
Yao, Y., Vehtari, A., Simpson, D., Gelman, A. (2018). Using stacking to average Bayesian predictive
distributions. Bayesian Analysis 13, 917-1007. doi:10.1214/17-BA1091
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.components.families import Family
from bayes_hte.components.fitted import FittedComponent
from bayes_hte.components.noise import noise_under_arms
from bayes_hte.components.predictor import LinearPredictor
from bayes_hte.effects.arguments import check_enough_draws
from bayes_hte.errors import SamplingError
from bayes_hte.names import ARM, DRAW, SAMPLE
from bayes_hte.study.design import Design


@dataclass(frozen=True)
class StackedComponent:
    """Candidates of one column and their weights; behaves as one fitted component.

    Attributes
    ----------
    candidates : mapping of str to FittedComponent
        By label (``"forest"``, ``"gp"``), with all their draws.
    table : DataFrame
        One row per candidate: ``elpd``, ``se``, ``weight``, ``bad_pareto_k`` (share of units).
    """

    candidates: Mapping[str, FittedComponent]
    table: pd.DataFrame = field(repr=False)

    @property
    def first(self) -> FittedComponent:
        """The candidate that provides encoding, family and names for all."""
        return next(iter(self.candidates.values()))

    @property
    def role(self) -> str:
        """As the candidates'."""
        return self.first.role

    @property
    def family(self) -> Family:
        """The family object."""
        return self.first.family

    @property
    def design(self) -> Design:
        """The rows of the study."""
        return self.first.design

    @property
    def weights(self) -> pd.Series:
        """Weight of each candidate; they sum to 1."""
        return self.table["weight"]

    @property
    def posterior(self) -> xr.Dataset:
        """The candidate of each draw, dims (chain, draw)."""
        chains = self.first.posterior.sizes["chain"]
        values = np.broadcast_to(self._assignment(), (chains, self._assignment().size))
        name = f"{self.role}_candidate"
        coords = {c: self.first.posterior[c].to_numpy() for c in SAMPLE}
        return xr.Dataset({name: (SAMPLE, values, {"labels": list(self.candidates)})}, coords)

    @property
    def stats(self) -> xr.Dataset:
        """Divergent transitions of any candidate, dims (chain, draw)."""
        kept = [c.stats["diverging"] for c in self.candidates.values() if "diverging" in c.stats]
        return xr.Dataset({"diverging": sum(kept)}) if kept else xr.Dataset()

    def linear_predictor(
        self, design: Design | None = None, *, expected: np.ndarray | None = None
    ) -> LinearPredictor:
        """Return the mixture's linear predictor; see `FittedComponent.linear_predictor`."""
        parts = {
            i: c.linear_predictor(c.design if design is None else design, expected=expected)
            for i, c in self._chosen().items()
        }
        some = next(iter(parts.values()))
        arrays = [f.name for f in fields(LinearPredictor) if f.name != "bent"]
        held = [name for name in arrays if getattr(some, name) is not None]
        mixed = {name: self._mix({i: getattr(p, name) for i, p in parts.items()}) for name in held}
        bent = some.bent
        if bent is not None:
            # All candidates have the same bends: those of the study.
            bent = replace(bent, coefficients=self._mix(_coefficients(parts)))
        return LinearPredictor(**{"slope": None, **mixed, "bent": bent})

    def noise(self, design: Design | None = None) -> Mapping[str, np.ndarray]:
        """Return the mixture's noise parameters; see `FittedComponent.noise`."""
        parts = {i: c.noise(design) for i, c in self._chosen().items()}
        return {
            name: self._interleave({i: p[name] for i, p in parts.items()})
            for name in self.family.noise
        }

    def mean(self, design: Design | None = None) -> xr.DataArray:
        """Return the expectation of a column without mediator, dims (chain, draw, unit, arm)."""
        base = self.linear_predictor(design).base
        return base.copy(data=self.family.mean(base.to_numpy(), noise_under_arms(self, design)))

    def of_arms(self, arms: tuple[int, int]) -> StackedComponent:
        """Return every candidate with two of its arms; see `FittedComponent.of_arms`."""
        candidates = {label: c.of_arms(arms) for label, c in self.candidates.items()}
        return StackedComponent(candidates, self.table)

    def _assignment(self) -> np.ndarray:
        """Candidate of each draw, shape (draw,), spread evenly through the chain."""
        return spread_evenly(self.weights.to_numpy(), self.first.posterior.sizes[DRAW])

    def _chosen(self) -> dict[int, FittedComponent]:
        """Return the candidates with weight, each with evenly spaced draws of every chain."""
        assignment = self._assignment()
        chains = self.first.posterior.sizes["chain"]
        chosen = {}
        for i, candidate in enumerate(self.candidates.values()):
            wanted = int((assignment == i).sum())
            if wanted:
                draws = np.linspace(0, assignment.size - 1, wanted).round().astype(int)
                chosen[i] = candidate.keep_draws(np.tile(draws, (chains, 1)))
        return chosen

    def _interleave(self, parts: Mapping[int, np.ndarray]) -> np.ndarray:
        assignment = self._assignment()
        some = next(iter(parts.values()))
        rows = max(p.shape[2] for p in parts.values())
        out = np.empty((some.shape[0], assignment.size, rows, *some.shape[3:]))
        for i, values in parts.items():
            out[:, assignment == i] = values
        return out

    def _mix(self, parts: Mapping[int, xr.DataArray]) -> xr.DataArray:
        some = next(iter(parts.values()))
        values = self._interleave({i: p.to_numpy() for i, p in parts.items()})
        coords = {d: some[d].to_numpy() for d in some.dims if d not in (DRAW, ARM)}
        coords[DRAW] = np.arange(values.shape[1])
        return xr.DataArray(values, dims=some.dims, coords=coords)


def _coefficients(parts: Mapping[int, LinearPredictor]) -> dict[int, xr.DataArray]:
    """Return the coefficients of the bends of each candidate."""
    return {i: p.bent.coefficients for i, p in parts.items() if p.bent is not None}


def spread_evenly(weights: np.ndarray, draws: int) -> np.ndarray:
    """Deal draws to candidates in proportion to their weights, as evenly as possible.

    Parameters
    ----------
    weights : ndarray, shape (candidate,)
        Not negative, with sum 1.
    draws : int
        Number of draws.

    Returns
    -------
    ndarray of int, shape (draw,)
        Candidate of each draw; any stretch holds each in proportion.
    """
    dealt = np.zeros(weights.size)
    out = np.empty(draws, dtype=np.int64)
    for draw in range(draws):
        out[draw] = np.argmax(weights * (draw + 1) - dealt)
        dealt[out[draw]] += 1
    return out


def stack_candidates(
    candidates: Mapping[str, FittedComponent], log_likelihood: Mapping[str, np.ndarray]
) -> StackedComponent:
    """Weigh candidates by their leave-one-out predictive score.

    Parameters
    ----------
    candidates : mapping of str to FittedComponent
        At least two models of the same column, by label.
    log_likelihood : mapping of str to ndarray, shape (chain, draw, unit)
        Pointwise log-likelihood of each.

    Returns
    -------
    StackedComponent

    Raises
    ------
    SamplingError
        If a log-likelihood is not finite, or if there are too few draws.
    """
    import arviz_stats

    scores = {}
    for label, values in log_likelihood.items():
        check_enough_draws(values.shape[0] * values.shape[1])
        if not np.isfinite(values).all():
            raise SamplingError(f"candidate {label!r}: the log-likelihood is not finite.")
        tree = xr.DataTree.from_dict(
            {
                "/posterior": candidates[label].posterior,
                "/log_likelihood": xr.Dataset({"y": ((*SAMPLE, "unit"), values)}),
            }
        )
        with warnings.catch_warnings():
            # The table counts unreliable weights; the caller judges them.
            warnings.filterwarnings("ignore", message=".*Pareto.*")
            scores[label] = arviz_stats.loo(tree, pointwise=True)
    compared = arviz_stats.compare(scores, method="stacking")
    rows = {}
    for label, score in scores.items():
        # Also where the shape could not be estimated.
        bad = float((~(score.pareto_k <= score.good_k)).mean())
        rows[label] = {
            "elpd": float(score.elpd),
            "se": float(score.se),
            "weight": float(compared.loc[label, "weight"]),
            "bad_pareto_k": bad,
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("candidate")
    table["weight"] = table["weight"].clip(lower=0) / table["weight"].clip(lower=0).sum()
    return StackedComponent(dict(candidates), table)
