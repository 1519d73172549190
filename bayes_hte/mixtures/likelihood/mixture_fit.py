"""A fitted mixture of treatment effects; it refuses quantities that are not identified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.checks.base import CheckResult
from bayes_hte.effects.summaries import CiKind, interval_parameters, summarize
from bayes_hte.errors import SpecError
from bayes_hte.mixtures.agreement import Agreement
from bayes_hte.mixtures.identification import Identifiability
from bayes_hte.mixtures.likelihood.labels import ClassLabels
from bayes_hte.mixtures.likelihood.law import ClassLaw, Patterns, class_law
from bayes_hte.mixtures.likelihood.membership import (
    Given,
    log_likelihood,
    mean_membership,
    membership_draws,
)
from bayes_hte.mixtures.moments.posterior import MomentPosterior
from bayes_hte.names import CHAIN, CLASS, DRAW, UNIT

PATTERN: Final = "pattern"


@dataclass(frozen=True)
class MixtureFit:
    """Posterior of a mixture of treatment effects; build it with :func:`fit_mixture`.

    A class effect is the mean of its class: variation within a class is not identified. Quantities
    that the declared graph does not identify raise NotIdentifiedError.

    Attributes
    ----------
    posterior : DataTree
        Draws (group ``posterior``, classes relabelled) and sampler statistics.
    derived : Dataset, dims (chain, draw, ...)
        ``effects`` (class), ``probabilities`` (class), ``class_means`` (class, arm), ``arm_means``
        (arm) and ``ate``, in units of the outcome (a difference of probabilities for bernoulli).
        Read them through the properties, which refuse quantities that are not identified.
    level : {2, 3, 4}
        Of the likelihood, see :data:`bayes_hte.mixtures.likelihood.law.LEVELS`.
    family : str
    identifiability : Identifiability
        Of the declared graph.
    labels : ClassLabels
    health : tuple of CheckResult
        Convergence of class effects, probabilities and average effect (R-hat, effective sample
        sizes), divergences, class labels.
    moments : MomentPosterior or None
        The answer by moments to the same question; None when they need more levels than there are.
    agreement : Agreement
    patterns : Patterns
        The distinct rows of the data.
    units : Index, length n
    """

    posterior: xr.DataTree
    derived: xr.Dataset
    level: int
    family: str
    identifiability: Identifiability
    labels: ClassLabels
    health: tuple[CheckResult, ...]
    moments: MomentPosterior | None
    agreement: Agreement
    patterns: Patterns
    units: pd.Index

    @property
    def healthy(self) -> bool:
        """Whether every check of the draws passed."""
        return all(check.passed for check in self.health)

    @property
    def effects(self) -> xr.DataArray:
        """E[Y(1) - Y(0) | U=u], dims (chain, draw, class)."""
        self.identifiability.require("effects")
        return self.derived["effects"]

    @property
    def probabilities(self) -> xr.DataArray:
        """P(U=u), on average over the units if it has covariates, dims (chain, draw, class)."""
        self.identifiability.require("probabilities")
        return self.derived["probabilities"]

    @property
    def ate(self) -> xr.DataArray:
        """E[Y(1) - Y(0)] in the population the units were drawn from, dims (chain, draw)."""
        self.identifiability.require("ate")
        return self.derived["ate"]

    @property
    def class_slopes(self) -> xr.DataArray:
        """Change of the log odds of a class against the average class.

        Per standard deviation of a numeric covariate of the class, or of a level against the first
        one; dims (chain, draw, class_covariate, class).

        Raises
        ------
        NotIdentifiedError
            If the declared graph does not identify the classes.
        SpecError
            If the class has no covariates.
        """
        self.identifiability.require("probabilities")
        if self.patterns.w is None:
            raise SpecError("the class has no covariates; name some in class_covariates.")
        return self.posterior["posterior"]["class_slopes"]

    def log_likelihood(self) -> xr.DataArray:
        """Return the log of P(z, x, t, y | w) of every distinct row, dims (chain, draw, pattern).

        ``fit.patterns.count`` units have a row, and unit ``i`` has row ``fit.patterns.row[i]``.
        """
        values = log_likelihood(self._law(), self.patterns, self.family)
        return xr.DataArray(values, dims=(CHAIN, DRAW, PATTERN), name="log_likelihood")

    def membership(self, *, given: Given = "row") -> xr.DataArray:
        """Return the posterior mean of P(U=u | data of the unit).

        Parameters
        ----------
        given : {"row", "proxies"}
            ``"row"``: z, x, t and y. ``"proxies"``: z and x, as for a new unit before treatment.

        Returns
        -------
        DataArray, dims (unit, class)
            Rows add up to 1.

        Raises
        ------
        NotIdentifiedError
            If the declared graph does not identify the classes.
        SpecError
            If `given` is unknown.
        """
        return self._unit_means(given)[0]

    def soft_effect(self, *, given: Given = "row") -> xr.DataArray:
        """Return the posterior mean of sum_u P(u | data of the unit) R_u.

        It is the expected class effect of the unit, not the unit's own effect: variation within a
        class is not identified.

        Parameters
        ----------
        given : {"row", "proxies"}
            As for :meth:`membership`. Decide treatments by ``"proxies"`` only, since the outcome
            of a patient is not known before treatment.

        Returns
        -------
        DataArray, dims (unit)

        Raises
        ------
        NotIdentifiedError, SpecError
            As :meth:`membership`.
        """
        return self._unit_means(given)[1]

    def soft_effect_draws(self, *, given: Given = "row") -> xr.DataArray:
        """Return draws of the soft effect of every distinct row.

        Parameters
        ----------
        given : {"row", "proxies"}

        Returns
        -------
        DataArray, dims (chain, draw, pattern)
            Unit ``i`` has pattern ``fit.patterns.row[i]``.

        Raises
        ------
        NotIdentifiedError, SpecError
            As :meth:`membership`.
        """
        self.identifiability.require("membership")
        law = self._law()
        weights = membership_draws(law, self.patterns, self.family, given)
        draws = np.einsum("cdum,cdu->cdm", weights, self.effects.to_numpy())
        return xr.DataArray(draws, dims=(CHAIN, DRAW, PATTERN), name="soft_effect")

    @interval_parameters
    def summary(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Summarise the average effect and, if identified, class effects and probabilities.

        Returns
        -------
        DataFrame
            Index ``quantity``, ``class`` (-1 for the average effect); columns as
            :func:`bayes_hte.effects.summaries.summarize`, with ``note``: the faults of the draws.
        """
        parts = {"ate": self.ate.expand_dims({CLASS: [-1]}, axis=2)}
        for name in ("effects", "probabilities"):
            if name in self.identifiability.identified:
                parts[name] = self.derived[name]
        tables = {
            name: summarize(draws, ci_prob=ci_prob, ci_kind=ci_kind)
            for name, draws in parts.items()
        }
        note = " ".join(check.text for check in self.health if not check.passed)
        return pd.concat(tables, names=["quantity"]).assign(note=note)

    def _law(self) -> ClassLaw:
        """Law of the classes at every draw."""
        draws = self.posterior["posterior"].to_dataset()
        return class_law(draws, self.level, self.family)

    def _unit_means(self, given: Given) -> tuple[xr.DataArray, xr.DataArray]:
        """Membership and soft effect of every unit."""
        self.identifiability.require("membership")
        law = self._law()
        membership, soft = mean_membership(law, self.patterns, self.family, given)
        coords = {UNIT: self.units, CLASS: self.derived[CLASS].to_numpy()}
        row = self.patterns.row
        return (
            xr.DataArray(membership[row], dims=(UNIT, CLASS), coords=coords, name="membership"),
            xr.DataArray(soft[row], dims=UNIT, coords={UNIT: self.units}, name="soft_effect"),
        )
