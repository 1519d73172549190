"""A fitted component as a DataTree of plain arrays, and back."""

from __future__ import annotations

import dataclasses
import json
from io import StringIO

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.components.fitted import FittedComponent
from bayes_hte.components.hazard import HazardComponent, loaded
from bayes_hte.components.numbered import kind_and_arm, rows_of_role
from bayes_hte.components.stacked import StackedComponent
from bayes_hte.errors import SavedResultError
from bayes_hte.study.design import Design
from bayes_hte.study.encoding import Encoding
from bayes_hte.study.study import Study
from bayes_hte.surfaces.bends import Bends
from bayes_hte.surfaces.terms import Term

# Arguments of `Design.learn` next to the study.
ESTIMATED = ("propensity", "expected_mediator")


def to_tree(component: FittedComponent | StackedComponent) -> xr.DataTree:
    """Return everything that a component needs to predict again.

    Parameters
    ----------
    component : FittedComponent or StackedComponent

    Returns
    -------
    DataTree
        Groups ``posterior``, ``sample_stats``, ``trees/<term>``; the rest as JSON in the attribute
        ``component``. The rows of the study are not stored, except their estimated propensity and
        expected mediator. Stacked candidates are groups ``candidate_0``, ..., with their table in
        the attribute ``stacking``; hazards of further causes of events are groups ``cause_2``, ...
    """
    if isinstance(component, FittedComponent):
        return _fitted_tree(component)
    tree = xr.DataTree.from_dict(
        {f"/candidate_{i}": _fitted_tree(c) for i, c in enumerate(component.candidates.values())}
    )
    tree.attrs["stacking"] = component.table.to_json(orient="table", double_precision=15)
    return tree


def _fitted_tree(component: FittedComponent) -> xr.DataTree:
    design = component.design
    state = {
        "role": component.role,
        "family": component.family_name,
        "surface": component.surface,
        "noise": component.noise_model,
        "clustered": component.clustered,
        "terms": [dataclasses.asdict(term) for term in component.terms],
        "offset": component.offset,
        "encoding": design.encoding.to_state(),
    }
    if component.bends is not None:
        state["bends"] = component.bends.to_state()
    if isinstance(component, HazardComponent):
        state["edges"] = list(component.edges)
        state["other_causes"] = len(component.others)
    groups = {
        "/posterior": component.posterior,
        "/sample_stats": component.stats,
        **{f"/trees/{name}": trees for name, trees in component.trees.items()},
    }
    expected = design.expected_mediators
    # One mediator has no dimension, as in fits that were saved before there could be two.
    own = expected[:, 0] if expected.shape[1] == 1 else expected
    kept = {
        "propensity": (design.propensity, "other_arm"),
        "expected_mediator": (own if expected.size else None, "mediator"),
    }
    estimated = {
        name: (("unit", further)[: np.ndim(values)], np.asarray(values))
        for name, (values, further) in kept.items()
        if values is not None
    }
    if estimated:
        groups["/design"] = xr.Dataset(estimated)
    tree = xr.DataTree.from_dict(groups)
    for i, cause in enumerate(getattr(component, "others", ()), start=2):
        tree[f"cause_{i}"] = _fitted_tree(cause)
    tree.attrs["component"] = json.dumps(state)
    return tree


def from_tree(tree: xr.DataTree, study: Study) -> FittedComponent | StackedComponent:
    """Rebuild a component from :func:`to_tree` and the study it was fitted to.

    Parameters
    ----------
    tree : DataTree
        The saved component.
    study : Study
        The same study.

    Returns
    -------
    FittedComponent or StackedComponent

    Raises
    ------
    SavedResultError
        If the tree does not hold a component.
    """
    if "stacking" not in tree.attrs:
        return _fitted_from(tree, study)
    table = pd.read_json(StringIO(tree.attrs["stacking"]), orient="table", precise_float=True)
    parts = [_fitted_from(tree[f"candidate_{i}"], study) for i in range(len(table))]
    return StackedComponent(dict(zip(table.index, parts, strict=True)), table)


def _fitted_from(tree: xr.DataTree, study: Study) -> FittedComponent:
    try:
        state = json.loads(tree.attrs["component"])
    except (KeyError, ValueError) as error:
        raise SavedResultError("this is not a saved component; run the study again.") from error
    kept = tree["design"].to_dataset() if "design" in tree else {}
    estimated = {name: kept[name].to_numpy() for name in ESTIMATED if name in kept}
    learned = _rows(state["role"], study, estimated)
    trees = (
        {name: node.to_dataset() for name, node in tree["trees"].children.items()}
        if ("trees" in tree)
        else {}
    )
    component = FittedComponent(
        role=state["role"],
        family_name=state["family"],
        surface=state["surface"],
        noise_model=state["noise"],
        clustered=state["clustered"],
        terms=tuple(_term(saved) for saved in state["terms"]),
        design=dataclasses.replace(learned, encoding=Encoding.from_state(state["encoding"])),
        offset=state["offset"],
        posterior=tree["posterior"].to_dataset(),
        stats=tree["sample_stats"].to_dataset(),
        trees=trees,
        bends=Bends.from_state(state["bends"]) if "bends" in state else None,
    )
    if "edges" not in state:
        return component
    hazards = loaded(component, study, tuple(state["edges"]))
    numbers = range(2, 2 + state.get("other_causes", 0))
    others = [_fitted_from(tree[f"cause_{i}"], study) for i in numbers]
    # One object, because values at the units of the study are known by it.
    shared = tuple(dataclasses.replace(other, design=hazards.design) for other in others)
    return dataclasses.replace(hazards, others=shared)


def _rows(role: str, study: Study, estimated: dict[str, np.ndarray]) -> Design:
    """Return the rows that a component was fitted to."""
    if len(study.arms) == 2 or kind_and_arm(role)[1] == 0:
        return Design.learn(study, **estimated)
    rows = rows_of_role(role, Design.learn(study))
    return rows.with_propensity(estimated["propensity"]) if "propensity" in estimated else rows


def _term(saved: dict) -> Term:
    """Return a term from its fields; JSON knows no tuples."""
    group = saved.get("group")
    return Term(**{**saved, "group": None if group is None else tuple(group)})
