"""Effects: contrasts of potential outcomes, draw by draw.

Everything here is arithmetic on the contract array

    ``mu[chain, draw, unit, arm(, mediator_arm)] = E[Y(arm, M(mediator_arm)) | x_unit]``

(the expected outcome on the response scale had the unit been given `arm`, and its mediator the
value it takes under `mediator_arm`). Nothing here knows a sampler, so posteriors from anywhere
work. Draws are averaged first and summarised last: functions return draws.

References
----------
VanderWeele, T. J. (2015). Explanation in Causal Inference. Oxford University Press.
Imai, K., Keele, L., Tingley, D. (2010). A general approach to causal mediation analysis.
Psychological Methods 15, 309-334. doi:10.1037/a0020761
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from bayes_hte.effects.docstrings import documented
from bayes_hte.effects.pairs import Contrast, by_contrast, contrast_name, pairs_of
from bayes_hte.errors import DataError, UnsupportedError
from bayes_hte.names import ARM, EFFECTS, MEDIATOR_ARM, SAMPLE, UNIT
from bayes_hte.study.time_to_event import Estimand

# Natural effects as differences of two cells (arm, mediator_arm) of mu, the total effect and both
# of its decompositions.
NATURAL: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "te": ((1, 1), (0, 0)),
    "tnie": ((1, 1), (1, 0)),
    "pnde": ((1, 0), (0, 0)),
    "pnie": ((0, 1), (0, 0)),
    "tnde": ((1, 1), (0, 1)),
}
# Attribute of outcomes that have no natural effects, with the reason.
NOT_NATURAL = "not_natural"
natural_effect = documented(
    {
        "Parameters": """mu : DataArray, dims (chain, draw, unit, arm, mediator_arm)
    Potential outcomes on the response scale, reference arm first.
contrast : (arm, arm), list of (arm, arm), str, optional
    ``("B", "A")`` or ``"B vs A"`` for one contrast, ``"all"`` for every pair of arms. By default
    the one contrast of two arms; of more, each arm against the reference along ``contrast``.""",
        "Returns": """DataArray, dims (chain, draw, unit[, contrast])
    In outcome units.""",
        "Raises": """DataError
    If `mu` has no mediator_arm dimension or breaks the contract.
UnsupportedError
    If a confounder of mediator and outcome that the treatment changes was declared.
SpecError
    If `contrast` names no pair of arms.""",
    }
)


def check_potential_outcomes(mu: xr.DataArray, *, mediated: bool | None = None) -> None:
    """Raise unless an array honours the contract.

    Parameters
    ----------
    mu : DataArray, dims (chain, draw, unit, arm[, mediator_arm])
        Expected outcomes on the response scale.
    mediated : bool, optional
        Require (True) or forbid (False) the ``mediator_arm`` dimension.

    Raises
    ------
    DataError
        If it is no DataArray, a dimension is missing, there are fewer than two arms, the arm labels
        disagree, or a value is not finite.

    Examples
    --------
    >>> import xarray as xr
    >>> from bayes_hte.effects import check_potential_outcomes
    >>> mu = xr.DataArray([[[[1.0, 2.0]]]], dims=["chain", "draw", "unit", "arm"])
    >>> check_potential_outcomes(mu, mediated=False)
    """
    needed = (*SAMPLE, UNIT, ARM) + ((MEDIATOR_ARM,) if mediated else ())
    dims = mu.dims if isinstance(mu, xr.DataArray) else ()
    missing = [d for d in needed if d not in dims]
    if missing:
        raise DataError(
            f"potential outcomes need dims {needed}, got {dims or type(mu).__name__}; "
            f"{', '.join(missing)} is missing."
            + (" Fit a study with a mediator." if missing == [MEDIATOR_ARM] else "")
        )
    if mediated is False and MEDIATOR_ARM in mu.dims:
        raise DataError("potential outcomes must not have a mediator_arm dimension here.")
    if mu.sizes[ARM] < 2:
        raise DataError(f"expected at least two arms, got {mu.sizes[ARM]}.")
    if MEDIATOR_ARM in mu.dims and list(mu[ARM].values) != list(mu[MEDIATOR_ARM].values):
        raise DataError("the levels of arm and mediator_arm differ.")
    if not bool(np.isfinite(mu).all()):
        raise DataError("potential outcomes hold NaN or infinite values.")


def _natural(mu: xr.DataArray, name: str, contrast: Contrast) -> xr.DataArray:
    """Return the natural effect `name` in every draw and unit."""
    if isinstance(mu, xr.DataArray) and NOT_NATURAL in mu.attrs:
        raise UnsupportedError(mu.attrs[NOT_NATURAL])
    check_potential_outcomes(mu, mediated=True)

    def effect(pair: tuple[int, int]) -> xr.DataArray:
        high, low = (
            mu.isel({ARM: pair[1 - a], MEDIATOR_ARM: pair[1 - m]}, drop=True)
            for a, m in NATURAL[name]
        )
        return high - low

    return _for_contrasts(mu, name, contrast, effect)


def _of_arms(mu: xr.DataArray, name: str, contrast: Contrast) -> xr.DataArray:
    """Return the difference of the arms, the mediator following the arm or held, as `name`."""
    check_potential_outcomes(mu, mediated=False)

    def effect(pair: tuple[int, int]) -> xr.DataArray:
        return mu.isel({ARM: pair[0]}, drop=True) - mu.isel({ARM: pair[1]}, drop=True)

    return _for_contrasts(mu, name, contrast, effect)


def _for_contrasts(
    mu: xr.DataArray,
    name: str,
    contrast: Contrast,
    effect: Callable[[tuple[int, int]], xr.DataArray],
) -> xr.DataArray:
    """Return an effect for the contrasts asked for, along ``contrast`` if there are several."""
    arms = mu[ARM].to_numpy().tolist()
    pairs, several = pairs_of(arms, contrast)
    scale, long_name = mu.attrs.get("scale", "response"), EFFECTS[name][0]
    # Of times to an event, whose effects are differences on one of several scales.
    estimand = Estimand.of(mu.attrs)
    scales = {} if estimand is None else estimand.attrs()
    parts = [
        labelled(
            effect((b, a)), name, contrast_name(arms[b], arms[a]), scale, long_name
        ).assign_attrs(scales)
        for b, a in pairs
    ]
    return by_contrast(parts) if several else parts[0]


def labelled(
    effect: xr.DataArray, name: str, contrast: str, scale: str, long_name: str
) -> xr.DataArray:
    """Return draws of an effect in double precision, with its name and its contrast."""
    return (
        effect.astype(np.float64)
        .rename(name)
        .assign_attrs(effect=name, long_name=long_name, contrast=contrast, scale=scale)
    )


@natural_effect
def total_natural_indirect(mu: xr.DataArray, *, contrast: Contrast = None) -> xr.DataArray:
    """Total natural indirect effect, mu[1,1] - mu[1,0], for every draw and unit.

    This is the individual indirect effect that the M-learner clusters.

    Examples
    --------
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> dims = ["chain", "draw", "unit", "arm", "mediator_arm"]
    >>> mu = xr.DataArray([[[[[1.0, 2.0], [4.0, 8.0]]]]], dims=dims)
    >>> hte.total_natural_indirect(mu).item()
    4.0
    """
    return _natural(mu, "tnie", contrast)


@natural_effect
def pure_natural_indirect(mu: xr.DataArray, *, contrast: Contrast = None) -> xr.DataArray:
    """Pure natural indirect effect, mu[0,1] - mu[0,0], for every draw and unit.

    Examples
    --------
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> dims = ["chain", "draw", "unit", "arm", "mediator_arm"]
    >>> mu = xr.DataArray([[[[[1.0, 2.0], [4.0, 8.0]]]]], dims=dims)
    >>> hte.pure_natural_indirect(mu).item()
    1.0
    """
    return _natural(mu, "pnie", contrast)


@natural_effect
def pure_natural_direct(mu: xr.DataArray, *, contrast: Contrast = None) -> xr.DataArray:
    """Pure natural direct effect, mu[1,0] - mu[0,0], for every draw and unit.

    Examples
    --------
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> dims = ["chain", "draw", "unit", "arm", "mediator_arm"]
    >>> mu = xr.DataArray([[[[[1.0, 2.0], [4.0, 8.0]]]]], dims=dims)
    >>> hte.pure_natural_direct(mu).item()
    3.0
    """
    return _natural(mu, "pnde", contrast)


@natural_effect
def total_natural_direct(mu: xr.DataArray, *, contrast: Contrast = None) -> xr.DataArray:
    """Total natural direct effect, mu[1,1] - mu[0,1], for every draw and unit.

    Examples
    --------
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> dims = ["chain", "draw", "unit", "arm", "mediator_arm"]
    >>> mu = xr.DataArray([[[[[1.0, 2.0], [4.0, 8.0]]]]], dims=dims)
    >>> hte.total_natural_direct(mu).item()
    6.0
    """
    return _natural(mu, "tnde", contrast)


def total_effect(mu: xr.DataArray, *, contrast: Contrast = None) -> xr.DataArray:
    """Total effect of the treatment, for every draw and unit.

    Parameters
    ----------
    mu : DataArray, dims (chain, draw, unit, arm[, mediator_arm])
        With a mediator the effect is mu[1,1] - mu[0,0], without one mu[1] - mu[0].
    contrast : (arm, arm), list of (arm, arm), str, optional
        ``("B", "A")`` or ``"B vs A"`` for one contrast, ``"all"`` for every pair of arms. By
        default the one contrast of two arms; of more, each arm against the reference.

    Returns
    -------
    DataArray, dims (chain, draw, unit[, contrast])
        In outcome units; without a mediator named ``cate``.

    Raises
    ------
    DataError
        If `mu` breaks the contract.

    Examples
    --------
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> dims = ["chain", "draw", "unit", "arm", "mediator_arm"]
    >>> mu = xr.DataArray([[[[[1.0, 2.0], [4.0, 8.0]]]]], dims=dims)
    >>> hte.total_effect(mu).item()
    7.0
    """
    mediated = MEDIATOR_ARM in getattr(mu, "dims", ())
    if mediated:
        return _natural(mu, "te", contrast)
    return _of_arms(mu, "cate", contrast)


def cate(mu: xr.DataArray, *, contrast: Contrast = None) -> xr.DataArray:
    """Conditional average treatment effect E[Y(1) - Y(0) | x] for every draw and unit.

    Parameters
    ----------
    mu : DataArray, dims (chain, draw, unit, arm[, mediator_arm])
        Potential outcomes; with a mediator the mediator follows the arm, so this is the total
        effect.
    contrast : (arm, arm), list of (arm, arm), str, optional
        ``("B", "A")`` or ``"B vs A"`` for one contrast, ``"all"`` for every pair of arms. By
        default the one contrast of two arms; of more, each arm against the reference.

    Returns
    -------
    DataArray, dims (chain, draw, unit[, contrast])
        In outcome units.

    Raises
    ------
    DataError
        If `mu` breaks the contract.

    Examples
    --------
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> mu = xr.DataArray([[[[1.0, 3.0]]]], dims=["chain", "draw", "unit", "arm"])
    >>> effect = hte.cate(mu)
    >>> effect.item(), effect.attrs["contrast"]
    (2.0, '1 vs 0')
    """
    effect = total_effect(mu, contrast=contrast).rename("cate")
    return effect.assign_attrs(effect="cate", long_name=EFFECTS["cate"][0])


def own_mediator(mu: xr.DataArray) -> xr.DataArray:
    """Potential outcomes under each arm, the mediator taking the value it has under that arm.

    Parameters
    ----------
    mu : DataArray, dims (chain, draw, unit, arm[, mediator_arm])
        Potential outcomes.

    Returns
    -------
    DataArray, dims (chain, draw, unit, arm)
        `mu` itself if there is no mediator.

    Examples
    --------
    >>> import xarray as xr
    >>> from bayes_hte.effects import own_mediator
    >>> dims = ["chain", "draw", "unit", "arm", "mediator_arm"]
    >>> mu = xr.DataArray([[[[[1.0, 2.0], [4.0, 8.0]]]]], dims=dims)
    >>> own_mediator(mu).values.ravel().tolist()
    [1.0, 8.0]
    """
    if MEDIATOR_ARM not in mu.dims:
        return mu
    own = xr.DataArray(np.arange(mu.sizes[ARM]), dims=ARM)
    return mu.isel({MEDIATOR_ARM: own}).drop_vars(MEDIATOR_ARM, errors="ignore")


def controlled_direct_effect(mu: xr.DataArray, *, contrast: Contrast = None) -> xr.DataArray:
    """Controlled direct effect, from potential outcomes with the mediator held at a value.

    Parameters
    ----------
    mu : DataArray, dims (chain, draw, unit, arm)
        From ``fit.potential_outcomes(mediator_value=m)``: no ``mediator_arm`` dimension, the
        held value in the attribute ``mediator_value``.
    contrast : (arm, arm), list of (arm, arm), str, optional
        ``("B", "A")`` or ``"B vs A"`` for one contrast, ``"all"`` for every pair of arms. By
        default the one contrast of two arms; of more, each arm against the reference.

    Returns
    -------
    DataArray, dims (chain, draw, unit[, contrast])
        In outcome units, with the held value in its attributes.

    Raises
    ------
    DataError
        If `mu` still has a mediator_arm dimension or does not say the held value.

    Examples
    --------
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> mu = xr.DataArray([[[[1.0, 3.0]]]], dims=["chain", "draw", "unit", "arm"])
    >>> effect = hte.controlled_direct_effect(mu.assign_attrs(mediator_value=0.5))
    >>> effect.item(), effect.attrs["mediator_value"]
    (2.0, 0.5)
    """
    effect = _of_arms(mu, "cde", contrast)
    if "mediator_value" not in mu.attrs:
        raise DataError(
            "a controlled direct effect needs the mediator held at a value; use "
            "fit.potential_outcomes(mediator_value=...)."
        )
    return effect.assign_attrs(mediator_value=mu.attrs["mediator_value"])


def decompose(mu: xr.DataArray, *, contrast: Contrast = None) -> xr.Dataset:
    """Total effect and both of its decompositions, for every draw and unit.

    Parameters
    ----------
    mu : DataArray, dims (chain, draw, unit, arm, mediator_arm)
        Potential outcomes.
    contrast : (arm, arm), list of (arm, arm), str, optional
        ``("B", "A")`` or ``"B vs A"`` for one contrast, ``"all"`` for every pair of arms. By
        default the one contrast of two arms; of more, each arm against the reference.

    Returns
    -------
    Dataset with te, tnie, pnde, pnie, tnde, each of dims (chain, draw, unit[, contrast])
        TE = TNIE + PNDE = PNIE + TNDE in every draw.

    Raises
    ------
    DataError
        If `mu` has no mediator_arm dimension or breaks the contract.

    Examples
    --------
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> dims = ["chain", "draw", "unit", "arm", "mediator_arm"]
    >>> mu = xr.DataArray([[[[[1.0, 2.0], [4.0, 8.0]]]]], dims=dims)
    >>> {name: effect.item() for name, effect in hte.decompose(mu).items()}
    {'te': 7.0, 'tnie': 4.0, 'pnde': 3.0, 'pnie': 1.0, 'tnde': 6.0}
    """
    return xr.Dataset({name: _natural(mu, name, contrast) for name in NATURAL})
