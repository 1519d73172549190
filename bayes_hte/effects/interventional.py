"""Effects through each of two mediators: interventional, and natural along a declared order.

Arithmetic on arrays of expected outcomes, as in :mod:`bayes_hte.effects.contrasts`. With two
mediators the array ``mu[..., arm, mediator_arm]`` moves both together, and its natural indirect
effect is the joint one. What passes through each needs arrays in which each mediator follows an arm
of its own, ``[chain, draw, unit, arm, first_arm, second_arm]``.

References
----------
Vansteelandt, S., Daniel, R. M. (2017). Interventional effects for mediation analysis with multiple
mediators. Epidemiology 28, 258-265. doi:10.1097/EDE.0000000000000596
VanderWeele, T. J., Vansteelandt, S. (2014). Mediation analysis with multiple mediators.
Epidemiologic Methods 2, 95-115. doi:10.1515/em-2012-0010
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from bayes_hte.effects.contrasts import pure_natural_direct, total_natural_indirect
from bayes_hte.errors import DataError, UnsupportedError
from bayes_hte.names import ARM, FIRST_ARM, MEDIATOR, SAMPLE, SECOND_ARM, UNIT


def interventional_effects(
    mu: xr.DataArray, independent: xr.DataArray, *, mediators: Sequence[str]
) -> xr.Dataset:
    """Divide the joint indirect effect of two mediators into what passes through each.

    The effect through a mediator moves its distribution given covariates from that of the reference
    arm to that of the other arm, in units that are given the other arm. The second mediator stays
    as in the reference arm while the first moves, and the first as in the other arm while the
    second moves; both are drawn by themselves. The remainder is what the treatment changes in how
    the mediators depend on each other. No order of causes between the mediators is assumed.

    Parameters
    ----------
    mu : DataArray, dims (chain, draw, unit, arm, mediator_arm)
        Expected outcomes with both mediators as under one arm, reference arm first; two arms.
    independent : DataArray, dims (chain, draw, unit, arm, first_arm, second_arm)
        Expected outcomes with each mediator drawn by itself, as under an arm of its own.
    mediators : sequence of str
        Names of the two mediators.

    Returns
    -------
    Dataset, dims (chain, draw, unit)
        In outcome units: ``through`` (also with ``mediator``), ``remainder``, ``joint`` (their sum,
        the total natural indirect effect) and ``direct`` (the pure natural direct effect); `joint`
        and `direct` sum to the total effect.

    Raises
    ------
    DataError
        If an array lacks a dimension, or there are not two names.
    UnsupportedError
        If there are more than two arms.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> dims = ("chain", "draw", "unit", "arm", "mediator_arm")
    >>> mu = xr.DataArray(np.array([[0.0, 3.0], [1.0, 4.5]]).reshape(1, 1, 1, 2, 2), dims=dims)
    >>> apart = np.array([[[0.0, 1.0], [2.0, 3.0]], [[1.0, 2.0], [3.0, 4.2]]])
    >>> separate = (*dims[:4], "first_arm", "second_arm")
    >>> independent = xr.DataArray(apart.reshape(1, 1, 1, 2, 2, 2), dims=separate)
    >>> found = hte.interventional_effects(mu, independent, mediators=["m1", "m2"])
    >>> found["through"].values.ravel().round(2).tolist(), round(found["remainder"].item(), 2)
    ([2.0, 1.2], 0.3)
    """
    _check(independent, mediators)
    joint = total_natural_indirect(mu)
    base, moved, both = (_cell(independent, 1, *arms) for arms in ((0, 0), (1, 0), (1, 1)))
    through = _through(moved - base, both - moved, mediators)
    remainder, direct = joint - through.sum(MEDIATOR), pure_natural_direct(mu)
    return _dataset(through, remainder=remainder, joint=joint, direct=direct)


def path_effects(ordered: xr.DataArray, *, mediators: Sequence[str]) -> xr.Dataset:
    """Divide the joint natural indirect effect of two mediators along an order of causes.

    If the first mediator comes before the second, and nothing unmeasured affects both, the effect
    through the first is that of its paths to the outcome, directly and by way of the second; the
    effect through the second is that of its path alone.

    Parameters
    ----------
    ordered : DataArray, dims (chain, draw, unit, arm, first_arm, second_arm)
        Expected outcomes with the first mediator as under one arm, and the second as under another
        at that value of the first; reference arm first.
    mediators : sequence of str
        Names of the two mediators, causes first.

    Returns
    -------
    Dataset, dims (chain, draw, unit)
        In outcome units: ``through`` (also with ``mediator``), their sum ``joint`` (the total
        natural indirect effect) and ``direct``.

    Raises
    ------
    DataError
        If the array lacks a dimension, or there are not two names.
    UnsupportedError
        If there are more than two arms.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> cells = np.array([[[0.0, 1.0], [2.0, 3.0]], [[1.0, 2.0], [3.0, 4.2]]])
    >>> dims = ("chain", "draw", "unit", "arm", "first_arm", "second_arm")
    >>> ordered = xr.DataArray(cells.reshape(1, 1, 1, 2, 2, 2), dims=dims)
    >>> found = hte.path_effects(ordered, mediators=["m1", "m2"])
    >>> found["through"].values.ravel().round(2).tolist(), round(found["direct"].item(), 2)
    ([2.0, 1.2], 1.0)
    """
    _check(ordered, mediators)
    none, base, moved, both = (
        _cell(ordered, *arms) for arms in ((0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1))
    )
    through = _through(moved - base, both - moved, mediators)
    return _dataset(through, joint=both - base, direct=base - none)


def effects_given_confounder(independent: xr.DataArray) -> xr.Dataset:
    """Return interventional effects where the treatment changes a confounder of the mediator.

    Natural effects are not identified then: no data show which value of the mediator goes with the
    confounder that a unit would have in the other arm. Interventional effects give each unit a
    random value of the mediator from its distribution given covariates under an arm, and leave the
    confounder as under the arm that is given.

    Parameters
    ----------
    independent : DataArray, dims (chain, draw, unit, arm, first_arm, second_arm)
        Expected outcomes with the confounder (first) and the mediator (second) each drawn by
        itself given covariates, as under an arm of its own; two arms, reference first.

    Returns
    -------
    Dataset, dims (chain, draw, unit)
        In outcome units: ``indirect`` (the mediator moves, in the other arm), ``direct`` (arm and
        confounder move, the mediator stays as in the reference arm) and their sum ``overall``,
        which differs from the total effect by what the dependence of mediator and confounder does.

    Raises
    ------
    DataError
        If the array lacks a dimension.
    UnsupportedError
        If there are more than two arms.

    References
    ----------
    VanderWeele, T. J., Vansteelandt, S., Robins, J. M. (2014). Effect decomposition in the presence
    of an exposure-induced mediator-outcome confounder. Epidemiology 25, 300-306.
    doi:10.1097/EDE.0000000000000034

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> cells = np.array([[[0.0, 1.0], [2.0, 3.0]], [[1.0, 2.0], [3.0, 4.2]]])
    >>> dims = ("chain", "draw", "unit", "arm", "first_arm", "second_arm")
    >>> independent = xr.DataArray(cells.reshape(1, 1, 1, 2, 2, 2), dims=dims)
    >>> found = hte.effects_given_confounder(independent)
    >>> [round(found[name].item(), 2) for name in ("indirect", "direct", "overall")]
    [1.2, 3.0, 4.2]
    """
    _check(independent, ("confounder", "mediator"))
    none, base, moved = (_cell(independent, *arms) for arms in ((0, 0, 0), (1, 1, 0), (1, 1, 1)))
    parts = {"indirect": moved - base, "direct": base - none, "overall": moved - none}
    plain = {name: values.drop_attrs().rename(name) for name, values in parts.items()}
    return xr.Dataset(plain).assign_attrs(scale="response")


def _check(values: xr.DataArray, mediators: Sequence[str]) -> None:
    needed = (*SAMPLE, UNIT, ARM, FIRST_ARM, SECOND_ARM)
    dims = values.dims if isinstance(values, xr.DataArray) else ()
    missing = [d for d in needed if d not in dims]
    if missing:
        raise DataError(
            f"outcomes of two mediators need dims {needed}, got {dims or type(values).__name__}; "
            f"{', '.join(missing)} is missing."
        )
    if len(mediators) != 2 or isinstance(mediators, str):
        raise DataError(f"mediators must be the names of two, got {mediators!r}.")
    if any(values.sizes[d] != 2 for d in (ARM, FIRST_ARM, SECOND_ARM)):
        raise UnsupportedError(
            f"effects through each mediator compare two arms, got {dict(values.sizes)}; take "
            "fit.two_arms(arm, reference)."
        )
    if not bool(np.isfinite(values).all()):
        raise DataError("outcomes of two mediators hold NaN or infinite values.")


def _cell(values: xr.DataArray, arm: int, first: int, second: int) -> xr.DataArray:
    return values.isel({ARM: arm, FIRST_ARM: first, SECOND_ARM: second}, drop=True)


def _through(first: xr.DataArray, second: xr.DataArray, mediators: Sequence[str]) -> xr.DataArray:
    parts = xr.concat([first, second], MEDIATOR, combine_attrs="drop")
    return parts.transpose(..., MEDIATOR).assign_coords({MEDIATOR: list(mediators)})


def _dataset(through: xr.DataArray, **others: xr.DataArray) -> xr.Dataset:
    named = {"through": through, **others}
    plain = {name: values.drop_attrs().rename(name) for name, values in named.items()}
    return xr.Dataset(plain).assign_attrs(scale="response")
