"""The draws of a run that every later stage reads, and how they are saved."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from bayes_hte import effects
from bayes_hte.errors import UnsupportedError
from bayes_hte.names import ARM, EFFECTS, MEDIATOR, POPULATIONS, SAMPLE, UNIT
from bayes_hte.runs.time_curves import risk_curves
from bayes_hte.sensitivity import MediationRho, mediation_rho
from bayes_hte.study.study import Study
from bayes_hte.study.time_to_event import Estimand
from bayes_hte.trust.unseen import Unseen

if TYPE_CHECKING:
    from bayes_hte.fitting.fitted import Fit
    from bayes_hte.runs.fits import Fits

# How single arrays are called in their group; saved runs rely on it.
VARIABLE = {
    "propensity": "propensity",
    "controlled": "cde",
    "reference_outcome": "mu",
    "arm_means": "mu",
    "reference_draws": "mu",
    "curves": "survival",
    "incidence": "incidence",
}
RHO_PARTS = ("tnie", "pnde", "te", "rho_zero")
UNSEEN_PARTS = ("effect", "expected", "propensity")
# Parts that hold one dataset per name; a folder forgets their order.
NAMED = ("beside", "halves", "own_means", "subgroup_curves")


@dataclass(frozen=True, eq=False)
class EffectDraws:
    """Draws of a run, computed once and saved.

    Attributes
    ----------
    effects : Dataset, dims (chain, draw, unit)
        Effects of each unit, in outcome units; see :meth:`bayes_hte.Fit.effects`.
    populations : Dataset, dims (chain, draw)
        The total effect averaged over each population.
    propensity : DataArray, dims (chain, draw, unit)
        Probability of the non-reference arm.
    controlled : DataArray or None
        Average controlled direct effects, dims (chain, draw, mediator_value).
    reference_outcome : DataArray or None
        Posterior-mean outcome of each unit in the reference arm, dims (unit,); None in runs that
        were saved before it was kept.
    unseen : Unseen or None
        Effects predicted without the units' outcomes, the strictest way.
    arm_means : DataArray, dims (chain, draw, arm)
        Expected outcomes averaged over the units.
    rho : MediationRho or None
        Sensitivity to confounding of the mediator, where it is supported.
    reference_draws : DataArray or None
        Expected outcome of each unit in the reference arm, dims (chain, draw, unit); None in runs
        that were saved before it was kept.
    legs : Dataset or None
        From :func:`bayes_hte.fitting.effects_of_fit.mediation_legs`; None without a mediator, and
        in runs that were saved before it was kept.
    beside, halves, own_means : mapping of str to Dataset
        See :class:`bayes_hte.runs.fits.Fits`.
    curves : DataArray or None
        Of times to an event, survival curves under each arm, dims (chain, draw, group, arm, time):
        group 0 is everybody, 1 to 3 are the thirds of predicted times in the reference arm,
        shortest first.
    incidence : DataArray or None
        Of events of several causes, the cumulative incidence of the cause of interest, as `curves`.
    subgroup_curves : mapping of str to Dataset
        Of times to an event, curves of found subgroups by effect; see
        :func:`bayes_hte.runs.time_curves.curves_of_groups`.
    curves_like : Dataset or None
        Of times to an event, curves of units that agree on a few covariates, as above.
    interventional : Dataset or None
        Average effects through each of two mediators, dims (chain, draw) and (chain, draw,
        mediator); None with another number of mediators.
    """

    effects: xr.Dataset
    populations: xr.Dataset
    propensity: xr.DataArray
    controlled: xr.DataArray | None
    reference_outcome: xr.DataArray | None
    unseen: Unseen | None
    arm_means: xr.DataArray
    rho: MediationRho | None
    reference_draws: xr.DataArray | None = None
    legs: xr.Dataset | None = None
    beside: Mapping[str, xr.Dataset] = field(default_factory=dict)
    halves: Mapping[str, xr.Dataset] = field(default_factory=dict)
    own_means: Mapping[str, xr.Dataset] = field(default_factory=dict)
    curves: xr.DataArray | None = None
    incidence: xr.DataArray | None = None
    subgroup_curves: Mapping[str, xr.Dataset] = field(default_factory=dict)
    curves_like: xr.Dataset | None = None
    interventional: xr.Dataset | None = None

    def to_tree(self) -> xr.DataTree:
        """Put every part into a group of its own.

        Returns
        -------
        DataTree
        """
        groups = {}
        for name, value in ((f.name, getattr(self, f.name)) for f in fields(self)):
            if isinstance(value, xr.Dataset):
                # The study knows the names of its mediators, which are labels of this one alone.
                named = name == "interventional"
                groups[f"/{name}"] = value.drop_vars(MEDIATOR, errors="ignore") if named else value
            elif isinstance(value, xr.DataArray):
                # The arms' own names need not be storable, and the study knows them.
                bare = name in ("arm_means", "curves", "incidence")
                plain = value.drop_vars(ARM, errors="ignore") if bare else value
                plain = plain.drop_attrs() if name.startswith("reference") else plain
                groups[f"/{name}"] = plain.to_dataset(name=VARIABLE[name])
            elif isinstance(value, Unseen):
                parts = {part: getattr(value, part).drop_attrs() for part in UNSEEN_PARTS}
                attrs = {} if value.horizon is None else {"horizon": value.horizon}
                attrs |= {} if value.estimand is None else value.estimand.attrs()
                groups[f"/{name}"] = xr.Dataset(parts, attrs=attrs).drop_vars(
                    [ARM], errors="ignore"
                )
            elif isinstance(value, MediationRho):
                parts = {f"rho_{k}": getattr(value, k).drop_attrs() for k in RHO_PARTS}
                groups[f"/{name}"] = xr.Dataset(parts)
            elif value is not None:
                groups |= {f"/{name}/{key}": _plain(name, part) for key, part in value.items()}
        tree = xr.DataTree.from_dict(groups)
        tree.attrs |= {name: list(getattr(self, name)) for name in NAMED}
        return tree

    @classmethod
    def from_tree(cls, tree: xr.DataTree, study: Study, held_out: Study | None) -> EffectDraws:
        """Take what :meth:`to_tree` stored out of its groups.

        Parameters
        ----------
        tree : DataTree
            As loaded.
        study : Study
            The fitted units.
        held_out : Study or None
            The units set aside.

        Returns
        -------
        EffectDraws
        """
        # A folder has no order, so variables are put back into that of the vocabulary.
        unit, of = tree["effects"].to_dataset(), tree["populations"].to_dataset()
        single = {
            name: tree[f"{name}/{variable}"] if name in tree.children else None
            for name, variable in VARIABLE.items()
        }
        return cls(
            effects=unit[[name for name in EFFECTS if name in unit]],
            populations=of[list(POPULATIONS)],
            unseen=_saved_unseen(tree, study, held_out),
            rho=MediationRho(**{k: tree[f"rho/rho_{k}"] for k in RHO_PARTS})
            if "rho" in tree.children
            else None,
            **{
                name: tree[name].to_dataset() if name in tree.children else None
                for name in ("legs", "interventional", "curves_like")
            },
            **single,
            **{name: _in_order(tree, name) for name in NAMED},
        )


def effect_draws(
    fits: Fits, *, controlled_at: tuple[float, ...], unseen: Unseen | None
) -> EffectDraws:
    """Compute the draws that every later stage reads.

    Parameters
    ----------
    fits : Fits
        Everything that was fitted.
    controlled_at : tuple of float
        Values at which the mediator is held, for controlled direct effects.
    unseen : Unseen or None
        Effects predicted without the units' outcomes.

    Returns
    -------
    EffectDraws
    """
    # Here, because it loads PyMC, which saved draws do without.
    from bayes_hte.fitting.effects_of_fit import (
        arm_means,
        controlled_effects,
        mediation_legs,
        populations,
    )

    fit = fits.fit
    mu = fit.first_stage().potential_outcomes()
    # Decomposed here, because `fit.effects()` would predict the same outcomes again.
    unit = effects.decompose(mu) if fit.has_natural_effects else fit.effects()
    mu = effects.own_mediator(mu)
    reference = mu.isel({ARM: 0}, drop=True)
    return EffectDraws(
        effects=unit.drop_vars([c for c in unit.coords if c not in (*SAMPLE, UNIT)]),
        populations=populations(unit["te"], fit.study, seed=fit.seed),
        controlled=controlled_effects(fit, controlled_at),
        propensity=fit.propensity(),
        reference_outcome=reference.mean(SAMPLE, dtype=np.float64),
        reference_draws=reference.drop_vars(
            [c for c in reference.coords if c not in (*SAMPLE, UNIT)]
        ),
        legs=mediation_legs(fit),
        unseen=unseen,
        arm_means=arm_means(fit, mu),
        rho=_rho(fit, unit),
        beside=fits.beside,
        halves=fits.halves,
        own_means=fits.own_means,
        curves=risk_curves(fit, mu, "survival"),
        incidence=risk_curves(fit, mu, "cumulative_incidence"),
        interventional=_interventional(fit),
    )


def _interventional(fit: Fit) -> xr.Dataset | None:
    """Average effects through each of two mediators; None with another number of them."""
    if len(fit.study.roles.mediators) < 2:
        return None
    return effects.average(fit.interventional_effects())


def _rho(fit: Fit, unit: xr.Dataset) -> MediationRho | None:
    """Sensitivity to confounding of the mediator, where it is supported; else None."""
    if "mediator" not in fit.components:
        return None
    with contextlib.suppress(UnsupportedError):
        return mediation_rho(fit, effects=unit)
    return None


def _plain(part: str, dataset: xr.Dataset) -> xr.Dataset:
    """Leave out coordinates that vary between the datasets of a part, but for the units."""
    if part in ("beside", "subgroup_curves"):
        return dataset
    return dataset.drop_vars([c for c in dataset.coords if c != UNIT])


def _saved_unseen(tree: xr.DataTree, study: Study, held_out: Study | None) -> Unseen | None:
    if "unseen" not in tree.children:
        return None
    parts = tree["unseen"].to_dataset()
    return Unseen(
        study=(study if held_out is None else held_out).with_outcome(),
        how="left out one by one" if held_out is None else "held out",
        horizon=parts.attrs.get("horizon"),
        estimand=Estimand.of(parts.attrs),
        **{name: parts[name] for name in UNSEEN_PARTS},
    )


def _in_order(tree: xr.DataTree, part: str) -> dict[str, xr.Dataset]:
    """Return the datasets of a part in the order they were saved in, which a folder forgets."""
    children = tree[part].children if part in tree.children else {}
    names = tree.attrs.get(part, sorted(children))
    return {name: children[name].to_dataset() for name in names}
