"""Checklists from their data files: which items apply, what a run knows of each, and where.

A file holds the ``purpose`` of a checklist and its items: ``asks`` and ``known``, templates for the
facts of a run; ``state`` (default "filled from the run"); ``section``, the key of a section of the
report; ``files``, patterns of keys of tables; ``when`` and ``unless``, a condition; and, in place
of ``known``, ``checks``, the modules of the checks that answer the item.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any

from bayes_hte.checks import loo_pit, predictive, prior_sensitivity, prior_view, sampling_health
from bayes_hte.reporting.checklists.facts import checks_named, common, said
from bayes_hte.reporting.checklists.item import AUTHOR, FILLED, Checklist, Item
from bayes_hte.reporting.page.section import Material

_FOLDER = resources.files("bayes_hte.reporting.checklists")
_CHECKS = {
    module.__name__.rpartition(".")[2]: module.NAME
    for module in (loo_pit, predictive, prior_sensitivity, prior_view, sampling_health)
}


def filled(
    key: str,
    material: Material,
    *,
    facts: Mapping[str, object] | None = None,
    conditions: Collection[str] = (),
) -> Checklist:
    """Fill a checklist from its data file.

    Parameters
    ----------
    key : str
        Name of the file, and key of the checklist.
    material : Material
        The run and the tables of its report.
    facts : mapping of str to object, optional
        What the templates of this checklist name beyond the facts that all share.
    conditions : collection of str
        Conditions that hold in this run.

    Returns
    -------
    Checklist
    """
    data = tomllib.loads(_FOLDER.joinpath(f"{key}.toml").read_text("utf-8"))
    known = {**common(material), **(facts or {})}
    items = [
        _item(entry, material, known)
        for entry in data["item"]
        if entry.get("when") in (None, *conditions) and entry.get("unless") not in conditions
    ]
    return Checklist(key, data["purpose"], tuple(items))


def _item(entry: Mapping[str, Any], material: Material, facts: Mapping[str, object]) -> Item:
    if "checks" in entry:
        return _from_checks(entry["asks"], entry["checks"], material)
    return Item(
        entry["asks"].format_map(facts),
        entry["known"].format_map(facts),
        entry.get("state", FILLED),
        entry.get("section", ""),
        _files(entry.get("files", ()), material),
    )


def _from_checks(asks: str, modules: Sequence[str], material: Material) -> Item:
    """Answer an item with the words of checks; leave it to the author where they were not made."""
    found = [pair for name in modules for pair in checks_named(material.results, _CHECKS[name])]
    if not found:
        return Item(asks, "Not checked in this run.", AUTHOR)
    keys = tuple(key for key, check in found if not check.table.empty)
    return Item(asks, said(found), FILLED, "trust", keys)


def _files(patterns: Sequence[str], material: Material) -> tuple[str, ...]:
    """Return the keys of the tables that were made, in the order of the patterns."""
    return tuple(key for one in patterns for key in material.tables if fnmatchcase(key, one))
