"""The contrasts of a study by name: pairs of arms, written "B vs A".

With two arms there is one contrast. With more an effect has the dimension ``contrast``, by default
that of every arm against the reference, so averages, intervals and probabilities of each contrast
come from one call, and arithmetic between contrasts stays within a draw. What compares two arms by
its nature (matching, subgroups, a verdict) takes one contrast at a time:
:meth:`bayes_hte.Fit.two_arms`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import xarray as xr

from bayes_hte.errors import DataError, SpecError, UnsupportedError, unknown_name
from bayes_hte.names import CONTRAST

Contrast = tuple[Any, Any] | list[tuple[Any, Any]] | str | None
"""A pair of arms ``("B", "A")``, a list of such pairs, the name of one, ``"B vs A"``, ``"all"``
pairs, or None: the default."""
ALL = "all"


def contrast_name(arm: Any, reference: Any) -> str:
    """Name the contrast of two arms.

    Parameters
    ----------
    arm, reference : object
        The arm, and the one it is compared with.

    Returns
    -------
    str

    Examples
    --------
    >>> from bayes_hte.effects.pairs import contrast_name
    >>> contrast_name("drug", "placebo")
    'drug vs placebo'
    """
    return f"{arm} vs {reference}"


def pairs_of(arms: Sequence[Any], contrast: Contrast = None) -> tuple[list[tuple[int, int]], bool]:
    """Find the arms of the contrasts that are asked for.

    Parameters
    ----------
    arms : sequence
        The arms, reference first.
    contrast : (arm, arm), list of (arm, arm), str or None
        See :data:`Contrast`. The default is the one contrast of two arms, or of more the contrast
        of every arm with the reference.

    Returns
    -------
    pairs : list of (int, int)
        Positions of each pair of arms, the one compared with second.
    several : bool
        Whether effects get the dimension ``contrast``.

    Raises
    ------
    SpecError
        If these are not two different arms.

    Examples
    --------
    >>> from bayes_hte.effects.pairs import pairs_of
    >>> pairs_of(["A", "B", "C"])
    ([(1, 0), (2, 0)], True)
    >>> pairs_of(["A", "B", "C"], ("C", "B"))
    ([(2, 1)], False)
    >>> pairs_of(["A", "B", "C"], "all")[0]
    [(1, 0), (2, 0), (2, 1)]
    >>> pairs_of(["A", "B", "C"], [("C", "B"), ("A", "B")])
    ([(2, 1), (0, 1)], True)
    """
    arms = list(arms)
    if contrast is None:
        return [(arm, 0) for arm in range(1, len(arms))], len(arms) > 2
    if isinstance(contrast, str):
        if contrast == ALL:
            return sorted((b, a) for a, b in combinations(range(len(arms)), 2)), True
        named = {
            contrast_name(arms[b], arms[a]): (b, a)
            for b in range(len(arms))
            for a in range(len(arms))
            if a != b
        }
        if contrast not in named:
            raise unknown_name("contrast", contrast, named)
        return [named[contrast]], False
    if isinstance(contrast, list) and contrast and all(isinstance(p, tuple) for p in contrast):
        return list(dict.fromkeys(_pair(arms, pair) for pair in contrast)), True
    return [_pair(arms, contrast)], False


def reported_pairs(arms: Sequence[Any], asked: Sequence[str]) -> list[tuple[int, int]]:
    """Find the arms of the contrasts that a study file reports.

    Parameters
    ----------
    arms : sequence
        The arms, reference first.
    asked : sequence of str
        Names of contrasts, or ``"all"``; the default of :func:`pairs_of` if empty.

    Returns
    -------
    list of (int, int)
        As of :func:`pairs_of`; a contrast that is named twice is there once.

    Raises
    ------
    SpecError
        If a name is that of no pair of arms.

    Examples
    --------
    >>> from bayes_hte.effects.pairs import reported_pairs
    >>> reported_pairs(["A", "B", "C"], ["C vs B", "all"])
    [(2, 1), (1, 0), (2, 0)]
    """
    return list(dict.fromkeys(p for one in asked or (None,) for p in pairs_of(arms, one)[0]))


def _pair(arms: list[Any], contrast: Any) -> tuple[int, int]:
    two = isinstance(contrast, Sequence) and len(contrast) == 2
    if not two:
        raise SpecError(
            f"contrast must be two arms, such as ({arms[1]!r}, {arms[0]!r}), 'all', or a name such "
            f"as '{contrast_name(arms[1], arms[0])}'; got {contrast!r}."
        )
    for arm in contrast:
        if arm not in arms:
            raise unknown_name("arm", arm, arms)
    if contrast[0] == contrast[1]:
        raise SpecError(f"a contrast is between two different arms, got {contrast[0]!r} twice.")
    return arms.index(contrast[0]), arms.index(contrast[1])


def by_contrast(parts: Sequence[xr.DataArray]) -> xr.DataArray:
    """Join the effects of several contrasts.

    Parameters
    ----------
    parts : sequence of DataArray
        Each with its name in the attribute ``contrast``.

    Returns
    -------
    DataArray, the dims of the parts and contrast
    """
    names = [part.attrs["contrast"] for part in parts]
    plain = [part.assign_attrs(contrast="") for part in parts]
    joined = xr.concat(plain, CONTRAST, combine_attrs="override")
    joined = joined.transpose(..., CONTRAST).assign_coords({CONTRAST: names})
    joined.attrs.pop("contrast")
    return joined


def check_one_contrast(effect: xr.DataArray | xr.Dataset, what: str) -> None:
    """Refuse effects of several contrasts where one is needed.

    Parameters
    ----------
    effect : DataArray or Dataset
        Effects.
    what : str
        What needs one contrast, in words.

    Raises
    ------
    DataError
        If `effect` is no array.
    UnsupportedError
        If it has the dimension ``contrast``.
    """
    if not isinstance(effect, xr.DataArray | xr.Dataset):
        raise DataError(f"{what} takes draws of effects, got {type(effect).__name__}.")
    if CONTRAST in effect.dims:
        names = [str(name) for name in effect[CONTRAST].to_numpy()]
        raise UnsupportedError(
            f"{what} takes the effect of one contrast, and this one has {len(names)}: "
            f"{', '.join(names)}. Choose one, effect.sel(contrast={names[0]!r}), or of a fit "
            "fit.two_arms(arm, reference)."
        )
