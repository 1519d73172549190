"""Several fits of one study, one for each imputed frame, with their draws put together.

Every draw of the pooled posterior is a draw of one imputation's posterior; each has the same number
of them, spread evenly over its chains. The variance of the pooled draws is then Rubin's total
variance: that within imputations plus that between them.

References
----------
Rubin, D. B. (1987). Multiple Imputation for Nonresponse in Surveys. Wiley.
doi:10.1002/9780470316696
Zhou, X., Reiter, J. P. (2010). A note on Bayesian inference after multiple imputation. American
Statistician 64, 159-163. doi:10.1198/tast.2010.09109
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.checks.base import CheckResult
from bayes_hte.components.stacked import spread_evenly
from bayes_hte.errors import UnsupportedError
from bayes_hte.fitting.fitted import Fit
from bayes_hte.fitting.row_imputer import RowImputer
from bayes_hte.names import CONTRAST, DRAW, SAMPLE, UNIT
from bayes_hte.seeds import stage_seed
from bayes_hte.study.frames import as_table
from bayes_hte.study.study import Study

NAME = "variance between imputations"


@dataclass(frozen=True)
class PooledComponent:
    """One component of every imputation, for what is the same in all of them.

    Attributes
    ----------
    parts : tuple of FittedComponent or StackedComponent
        One per imputation.
    """

    parts: tuple[Any, ...]

    @property
    def role(self) -> str:
        """As in each imputation."""
        return self.parts[0].role

    @property
    def family(self) -> Any:
        """The family object."""
        return self.parts[0].family

    @property
    def design(self) -> Any:
        """The rows of the first imputation."""
        return self.parts[0].design

    def __getattr__(self, name: str) -> Any:
        """Refuse what differs between imputations.

        Raises
        ------
        UnsupportedError
            Naming the way to the components of one imputation.
        """
        if name.startswith("_"):
            raise AttributeError(name)
        raise UnsupportedError(
            f"{name!r} of a component differs between the imputed frames of a study; take it from "
            f"one of them, fit.imputations[0].components[{self.role!r}].{name}."
        )


@dataclass(frozen=True, repr=False)
class PooledFit(Fit):
    """A study fitted once for each imputed frame; behaves as one fit.

    Attributes
    ----------
    imputations : tuple of Fit
        The fits, each with all its draws.
    """

    imputations: tuple[Fit, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, study: Study, fits: tuple[Fit, ...], *, seed: int) -> PooledFit:
        """Put fits of the imputed frames of a study together."""
        roles = fits[0].components
        pooled = {r: PooledComponent(tuple(f.components[r] for f in fits)) for r in roles}
        return cls(study, fits[0].plan, seed, pooled, imputations=fits)

    @property
    def posterior(self) -> xr.DataTree:
        """Draws of each imputation: groups ``imputation_0``, ..., each as :attr:`Fit.posterior`."""
        return xr.DataTree.from_dict(
            {f"/imputation_{i}": f.posterior for i, f in enumerate(self.imputations)}
        )

    def propensity(self, newdata: pd.DataFrame | None = None) -> xr.DataArray:
        """Return the probability of the non-reference arm; see :meth:`Fit.propensity`."""
        return self._pooled_rows(newdata, lambda f, rows: f.propensity(rows))

    def potential_outcomes(self, newdata: pd.DataFrame | None = None, **how: Any) -> xr.DataArray:
        """Return expected outcomes under each arm; see :meth:`Fit.potential_outcomes`.

        Gaps of new rows are filled once per imputation, from their other covariates; a row gets the
        same values alone and among others.
        """
        return self._pooled_rows(newdata, lambda f, rows: f.potential_outcomes(rows, **how))

    def cate(self, newdata: pd.DataFrame | None = None, **how: Any) -> xr.DataArray:
        """Return the effect of each unit; see :meth:`Fit.cate`.

        Gaps of new rows are filled once per imputation, from their other covariates.
        """
        return self._pooled_rows(newdata, lambda f, rows: f.cate(rows, **how))

    def interventional_effects(self, newdata: pd.DataFrame | None = None, **how: Any) -> xr.Dataset:
        """Return effects through each of two mediators; see :meth:`Fit.interventional_effects`."""
        return self._pooled_effects(newdata, lambda f, rows: f.interventional_effects(rows, **how))

    def path_effects(self, newdata: pd.DataFrame | None = None, **how: Any) -> xr.Dataset:
        """Return effects along paths of two mediators; see :meth:`Fit.path_effects`."""
        return self._pooled_effects(newdata, lambda f, rows: f.path_effects(rows, **how))

    def averages(self, newdata: pd.DataFrame | None = None, **how: Any) -> xr.Dataset:
        """Return effects averaged over units or groups; see :meth:`Fit.averages`."""
        return self._pooled_effects(newdata, lambda f, rows: f.averages(rows, **how))

    @property
    def _n_draws(self) -> int:
        return self.imputations[0]._n_draws

    def _is_large(self, newdata: pd.DataFrame | None) -> bool:
        # Each imputation has its own blocks.
        return False

    def two_arms(self, arm: Any, reference: Any) -> Fit:
        """Return the fits as those of two arms, pooled; see :meth:`Fit.two_arms`."""
        if (reference, arm) == self.study.arms:
            return self
        fits = tuple(f.two_arms(arm, reference) for f in self.imputations)
        return PooledFit.of(self.study.two_arms(arm, reference), fits, seed=self.seed)

    def _sampled(self) -> dict[str, int]:
        return self.imputations[0]._sampled()

    def observed_predictor(self) -> xr.DataArray:
        """Return the linear predictor of the outcome; see :meth:`Fit.observed_predictor`."""
        return self._pooled(lambda f: f.observed_predictor())

    def observed_noise(self) -> dict[str, np.ndarray]:
        """Return the outcome's noise parameters; see :meth:`Fit.observed_noise`."""
        parts = [f.observed_noise() for f in self.imputations]
        dims = (*SAMPLE, UNIT)
        return {
            name: self._join([xr.DataArray(p[name], dims=dims) for p in parts]).to_numpy()
            for name in parts[0]
        }

    def log_likelihood(self) -> xr.DataArray:
        """Log-likelihood of each known outcome; see :meth:`Fit.log_likelihood`."""
        return self._pooled(lambda f: f.log_likelihood())

    def unit_log_likelihood(self) -> xr.DataArray:
        """Log-likelihood of outcome and mediator; see :meth:`Fit.unit_log_likelihood`."""
        return self._pooled(lambda f: f.unit_log_likelihood())

    def candidates(self) -> dict[str, Fit]:
        """Return one pooled fit for each stacked candidate, by its label."""
        parts = [f.candidates() for f in self.imputations]
        if len(parts[0]) == 1:
            return dict.fromkeys(parts[0], self)
        return {
            label: PooledFit.of(self.study, tuple(p[label] for p in parts), seed=self.seed)
            for label in parts[0]
        }

    def weighted_candidates(self) -> list[tuple[Fit, float]]:
        """Return the stacked candidates with their weights, averaged over the imputations."""
        shares = np.mean(
            [[s for _, s in f.weighted_candidates()] for f in self.imputations], axis=0
        )
        return list(zip(self.candidates().values(), map(float, shares), strict=True))

    def first_stage(self) -> Fit:
        """Return the fits without their second stage, pooled."""
        fits = tuple(f.first_stage() for f in self.imputations)
        return PooledFit.of(self.study, fits, seed=self.seed)

    def health(self) -> tuple[CheckResult, ...]:
        """Judge the draws within each imputation, and report the variance between them."""
        return self._health_of(self.effects())

    def modifiers(self, **how: Any) -> pd.DataFrame:
        """Refuse: trees of several imputations have no common splits.

        Raises
        ------
        UnsupportedError
        """
        raise UnsupportedError(
            "the trees of several imputed frames are not counted together; look at those of one, "
            "fit.imputations[0].modifiers()."
        )

    def between(self) -> xr.Dataset:
        """Return the share of posterior variance that lies between the imputations.

        Returns
        -------
        Dataset
            For each effect ``<effect>_average``, of its average over the units, and
            ``<effect>_unit``, dims (unit,): ``B (1 + 1/m) / (W + B (1 + 1/m))`` with B the variance
            of the m posterior means and W the mean of the posterior variances.
        """
        parts = [f.effects() for f in self.imputations]
        found = {}
        for name in parts[0]:
            draws = [part[name] for part in parts]
            found[f"{name}_average"] = _share([d.mean(UNIT) for d in draws])
            found[f"{name}_unit"] = _share(draws)
        return xr.Dataset(found)

    def _health_of(self, draws: xr.Dataset) -> tuple[CheckResult, ...]:
        found = [fit.health() for fit in self.imputations]
        judged = [_worst(checks) for checks in zip(*found, strict=True)]
        return (*judged, between_check(self.between(), len(self.imputations)))

    def _pooled(self, part: Callable[[Fit], xr.DataArray]) -> xr.DataArray:
        return self._join([part(fit) for fit in self.imputations])

    def _pooled_rows(
        self, newdata: pd.DataFrame | None, part: Callable[[Fit, pd.DataFrame | None], xr.DataArray]
    ) -> xr.DataArray:
        return self._join(self._of_rows(newdata, part))

    def _pooled_effects(
        self, newdata: pd.DataFrame | None, part: Callable[[Fit, pd.DataFrame | None], xr.Dataset]
    ) -> xr.Dataset:
        return self.joined(self._of_rows(newdata, part))

    def _of_rows[T: (xr.DataArray, xr.Dataset)](
        self, newdata: pd.DataFrame | None, part: Callable[[Fit, pd.DataFrame | None], T]
    ) -> list[T]:
        """Return what each imputation predicts for rows, whose gaps it fills for itself."""
        if newdata is None:
            return [part(f, None) for f in self.imputations]
        rows = as_table(newdata, "new rows")
        imputed = zip(self.imputations, self._row_imputers, strict=True)
        return [part(f, imputer.filled(rows)) for f, imputer in imputed]

    @cached_property
    def _row_imputers(self) -> tuple[RowImputer, ...]:
        """What fills the gaps of new rows, for each imputation."""
        return tuple(
            RowImputer((f.whole or f).study, stage_seed(self.seed, f"rows {i}"))
            for i, f in enumerate(self.imputations)
        )

    def joined(self, parts: list[xr.Dataset]) -> xr.Dataset:
        """Put draws of every imputation together, of variables with dims (chain, draw, ...)."""
        return parts[0].assign({str(n): self._join([p[n] for p in parts]) for n in parts[0]})

    def _join(self, parts: list[xr.DataArray]) -> xr.DataArray:
        """Take draws of each imputation in turn, as many as one fit has, evenly over its chains."""
        draws, m = parts[0].sizes[DRAW], len(parts)
        turn = spread_evenly(np.full(m, 1 / m), draws)
        joined = np.empty(parts[0].shape)
        axis = parts[0].dims.index(DRAW)
        where: list[Any] = [slice(None)] * joined.ndim
        for i, values in enumerate(parts):
            own = np.flatnonzero(turn == i)
            taken = np.linspace(0, draws - 1, own.size).round().astype(int)
            where[axis] = own
            joined[tuple(where)] = values.isel({DRAW: taken}).to_numpy()
        return parts[0].copy(data=joined)


def _worst(checks: tuple[CheckResult, ...]) -> CheckResult:
    """Return one check of every imputation as one: passed if all are, with all their numbers."""
    tables = {i: check.table for i, check in enumerate(checks, start=1)}
    table = pd.concat(tables, names=["imputation"])
    failed = {i: check for i, check in enumerate(checks, start=1) if check.passed is False}
    if not failed:
        text = f"In each of {len(checks)} imputations: {checks[0].text}"
        return replace(checks[0], table=table, text=text)
    i, first = next(iter(failed.items()))
    text = f"In {len(failed)} of {len(checks)} imputations (first in number {i}): {first.text}"
    return replace(first, table=table, text=text)


def between_check(between: xr.Dataset, m: int) -> CheckResult:
    """Report the share of variance between imputations; it informs and does not judge.

    Parameters
    ----------
    between : Dataset
        From :meth:`PooledFit.between`.
    m : int
        Number of imputations.

    Returns
    -------
    CheckResult
    """
    rows: dict[str, Mapping[str, float]] = {}
    for name in (str(v) for v in between if str(v).endswith("_average")):
        effect, units = name.removesuffix("_average"), between[name.replace("_average", "_unit")]
        for label, where in _contrasts(effect, units):
            of_units = units.isel(where)
            rows[label] = {
                "average effect": float(between[name].isel(where)),
                "median unit": float(of_units.median()),
                "90% quantile of units": float(of_units.quantile(0.9)),
            }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("effect")
    first = table.iloc[0]
    text = (
        f"Of the posterior variance of the average effect {first['average effect']:.0%} lies "
        f"between the {m} imputations, of that of a unit's effect {first['median unit']:.0%} "
        "(median): what is not known because values are missing."
    )
    return CheckResult(NAME, None, table, text)


def _contrasts(effect: str, values: xr.DataArray) -> list[tuple[str, dict[str, int]]]:
    """Return the label and the position of each contrast of an effect."""
    if CONTRAST not in values.dims:
        return [(effect, {})]
    names = values[CONTRAST].to_numpy()
    return [(f"{effect}, {name}", {CONTRAST: i}) for i, name in enumerate(names)]


def _share(parts: list[xr.DataArray]) -> xr.DataArray:
    if len(parts) < 2:
        return xr.zeros_like(parts[0].mean(SAMPLE))
    dim = xr.Variable("imputation", np.arange(len(parts)))
    means = xr.concat([p.mean(SAMPLE) for p in parts], dim, coords="minimal", compat="override")
    within = sum(p.var(SAMPLE, ddof=1) for p in parts) / len(parts)
    extra = means.var("imputation", ddof=1) * (1 + 1 / len(parts))
    total = within + extra
    return (extra / total.where(total > 0)).fillna(0.0).drop_attrs()
