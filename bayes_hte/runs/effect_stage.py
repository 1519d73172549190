"""Effects and checks of a run as groups of one stage, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from io import StringIO
from typing import Any

import pandas as pd
import xarray as xr

from bayes_hte.checks.base import CheckResult
from bayes_hte.names import EFFECTS, POPULATIONS, UNIT
from bayes_hte.runs.fits import BESIDE, HALVES, OWN_MEANS
from bayes_hte.sensitivity import MediationRho
from bayes_hte.study.study import Study
from bayes_hte.trust.unseen import Unseen

RHO_PARTS = ("tnie", "pnde", "te", "rho_zero")
UNSEEN_PARTS = ("effect", "expected", "propensity")


def effect_tree(saved: Mapping[str, Any]) -> xr.DataTree:
    """Put what :func:`bayes_hte.runs.assembling.effect_draws` returned into groups.

    Parameters
    ----------
    saved : mapping
        With ``beside``, ``halves`` and ``own_means`` as in :class:`bayes_hte.runs.fits.Fits`.

    Returns
    -------
    DataTree
    """
    groups = {
        "/effects": saved["effects"],
        "/populations": saved["populations"],
        "/propensity": saved["propensity"].to_dataset(name="propensity"),
    }
    reference = saved["reference_outcome"].drop_attrs()
    groups["/reference_outcome"] = reference.to_dataset(name="mu")
    if saved["controlled"] is not None:
        groups["/controlled"] = saved["controlled"].to_dataset(name="cde")
    unseen = saved["unseen"]
    if unseen is not None:
        parts = {name: getattr(unseen, name).drop_attrs() for name in UNSEEN_PARTS}
        groups["/unseen"] = xr.Dataset(parts).drop_vars(["arm"], errors="ignore")
    groups["/arm_means"] = saved["arm_means"].drop_vars("arm").to_dataset(name="mu")
    if saved["rho"] is not None:
        parts = {name: getattr(saved["rho"], name) for name in RHO_PARTS}
        groups["/rho"] = xr.Dataset({f"rho_{k}": v.drop_attrs() for k, v in parts.items()})
    groups |= {f"/{BESIDE}/{name}": summary for name, summary in saved["beside"].items()}
    for part in (HALVES, OWN_MEANS):
        for name, half in saved[part].items():
            groups[f"/{part}/{name}"] = half.drop_vars([c for c in half.coords if c != UNIT])
    tree = xr.DataTree.from_dict(groups)
    tree.attrs |= {part: list(saved[part]) for part in (BESIDE, HALVES, OWN_MEANS)}
    return tree


def effect_groups(tree: xr.DataTree, study: Study, held_out: Study | None) -> dict[str, Any]:
    """Take what :func:`effect_tree` stored out of its groups.

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
    dict of str to what was stored
    """
    # A folder has no order, so variables are put back into that of the vocabulary.
    unit, whom = tree["effects"].to_dataset(), tree["populations"].to_dataset()
    unseen = None
    if "unseen" in tree.children:
        parts = tree["unseen"].to_dataset()
        unseen = Unseen(
            study=study if held_out is None else held_out,
            how="left out one by one" if held_out is None else "held out",
            **{name: parts[name] for name in UNSEEN_PARTS},
        )
    return {
        "effects": unit[[name for name in EFFECTS if name in unit]],
        "populations": whom[list(POPULATIONS)],
        "propensity": tree["propensity/propensity"],
        "controlled": tree["controlled/cde"] if "controlled" in tree.children else None,
        "reference_outcome": tree["reference_outcome/mu"]
        if "reference_outcome" in tree.children
        else None,
        "unseen": unseen,
        "arm_means": tree["arm_means/mu"],
        "rho": MediationRho(**{k: tree[f"rho/rho_{k}"] for k in RHO_PARTS})
        if "rho" in tree.children
        else None,
        "beside": _in_order(tree, BESIDE),
        "halves": _in_order(tree, HALVES),
        "own_means": _in_order(tree, OWN_MEANS),
    }


def _in_order(tree: xr.DataTree, part: str) -> dict[str, xr.Dataset]:
    """Return the datasets of a part in the order they were saved in, which a folder forgets."""
    children = tree[part].children if part in tree.children else {}
    names = tree.attrs.get(part, sorted(children))
    return {name: children[name].to_dataset() for name in names}


def check_state(check: CheckResult) -> dict[str, Any]:
    """Return a check as plain values."""
    table = check.table.to_json(orient="table", double_precision=15)
    # JSON has no infinity; pandas would give back NaN.
    infinite = [
        [row, column, value > 0]
        for column, (_, values) in enumerate(check.table.items())
        for row, value in enumerate(values)
        if isinstance(value, float) and math.isinf(value)
    ]
    # Some checks decide with numpy, whose booleans are not JSON's.
    passed = None if check.passed is None else bool(check.passed)
    return {"name": check.name, "passed": passed, "text": check.text, "table": table} | (
        {"infinite": infinite} if infinite else {}
    )


def check_from(state: Mapping[str, Any]) -> CheckResult:
    """Make a check of what :func:`check_state` returned."""
    table = pd.read_json(StringIO(state["table"]), orient="table", precise_float=True)
    for row, column, positive in state.get("infinite", ()):
        table.iloc[row, column] = math.inf if positive else -math.inf
    return CheckResult(state["name"], state["passed"], table, state["text"])
