"""Probabilities of the arms given covariates, from the sequence of propensity models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from bayes_hte.components.fitted import FittedComponent
from bayes_hte.components.numbered import PROPENSITY, names_of
from bayes_hte.names import ARM
from bayes_hte.study.design import Design


def arm_probabilities(
    components: Mapping[str, FittedComponent], design: Design | None = None
) -> xr.DataArray:
    """Return the probability of every arm.

    Parameters
    ----------
    components : mapping of str to FittedComponent
        With the propensities of the study; see :mod:`bayes_hte.components.numbered`.
    design : Design, optional
        Rows; default those of the study.

    Returns
    -------
    DataArray, dims (chain, draw, unit, arm)
        They sum to 1 over the arms.
    """
    first = components[PROPENSITY]
    design = first.design if design is None else design
    left, parts = 1.0, []
    for name in names_of(PROPENSITY, first.design.n_arms):
        later = components[name].mean(design).isel({ARM: 0}, drop=True)
        parts.append(left * (1 - later))
        left = left * later
    return xr.concat([*parts, left], ARM, coords="minimal").transpose(..., ARM)


@dataclass(frozen=True)
class PairPropensity:
    """The propensity of one of two arms among the units of a study of more; acts as a component.

    Attributes
    ----------
    parts : mapping of str to FittedComponent
        The propensities of the study.
    arms : (int, int)
        The two arms by their numbers, the reference of the contrast first.
    """

    parts: Mapping[str, FittedComponent]
    arms: tuple[int, int]

    @property
    def role(self) -> str:
        """As of any propensity."""
        return PROPENSITY

    @property
    def design(self) -> Design:
        """The rows of the two arms."""
        return self.parts[PROPENSITY].design.among(self.arms)

    @property
    def posterior(self) -> xr.Dataset:
        """Draws of the parameters of all parts, dims (chain, draw, ...)."""
        return xr.merge([part.posterior for part in self.parts.values()])

    @property
    def stats(self) -> xr.Dataset:
        """Divergent transitions of any part, dims (chain, draw)."""
        kept = [p.stats["diverging"] for p in self.parts.values() if "diverging" in p.stats]
        return xr.Dataset({"diverging": sum(kept)}) if kept else xr.Dataset()

    def mean(self, design: Design | None = None) -> xr.DataArray:
        """Return P(arm | one of the two, covariates), dims (chain, draw, unit, arm).

        As of a two-arm propensity, it is the same whatever arm a row is put in.
        """
        both = arm_probabilities(self.parts, self.design if design is None else design)
        reference, other = (both.isel({ARM: arm}, drop=True) for arm in self.arms)
        share = other / (reference + other)
        return share.expand_dims({ARM: len(self.arms)}, axis=-1)

    def keep_draws(self, draws: np.ndarray) -> PairPropensity:
        """Return it with some draws of each chain only; see `FittedComponent.keep_draws`."""
        return replace(self, parts={k: part.keep_draws(draws) for k, part in self.parts.items()})
