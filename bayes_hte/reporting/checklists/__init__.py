"""Reporting checklists, filled from a run where the run knows the answer."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from bayes_hte.reporting.checklists.agrema import agrema
from bayes_hte.reporting.checklists.barg import barg
from bayes_hte.reporting.checklists.iceman import iceman
from bayes_hte.reporting.checklists.item import NAMES, STATES, Checklist
from bayes_hte.reporting.checklists.path import path
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.results import Results

__all__ = ["NAMES", "OVERVIEW", "applicable", "checklist_tables", "checklists"]

OVERVIEW = "checklists"
_MAKERS: dict[str, Callable[[Material], Checklist]] = {
    "path": path,
    "iceman": iceman,
    "agrema": agrema,
    "barg": barg,
}


def applicable(results: Results) -> tuple[str, ...]:
    """Return the keys of the checklists that suit a study, which are also those of references."""
    left_out = set()
    if not results.subgroups:
        left_out.add("iceman")
    if "tnie" not in results.effects and results.interventional is None:
        left_out.add("agrema")
    return tuple(key for key in _MAKERS if key not in left_out)


def checklists(material: Material) -> tuple[Checklist, ...]:
    """Fill the checklists that suit a study.

    Parameters
    ----------
    material : Material
        The run and every other table of its report.

    Returns
    -------
    tuple of Checklist
    """
    return tuple(_MAKERS[key](material) for key in applicable(material.results))


def checklist_tables(filled: tuple[Checklist, ...]) -> dict[str, pd.DataFrame]:
    """Return the checklists as tables.

    Parameters
    ----------
    filled : tuple of Checklist

    Returns
    -------
    dict of str to DataFrame
        ``checklist_<key>``, one row per item: ``number``, ``item``, ``known``, ``section``,
        ``files`` and ``state``; and ``checklists``, one row per checklist: the number of items
        in each state.
    """
    counts = [
        {"checklist": one.name, "items": len(one.items)}
        | {state: sum(item.state == state for item in one.items) for state in STATES}
        for one in filled
    ]
    return {OVERVIEW: pd.DataFrame(counts)} | {one.table_key: one.table() for one in filled}
