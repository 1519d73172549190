"""The numbers of the subgroups of one effect, as tidy tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Unpack

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.summaries import summarize
from bayes_hte.names import SUBGROUP, UNIT
from bayes_hte.reporting.tables.thinning import evenly_spaced
from bayes_hte.subgroups.describing.effect_table import subgroup_effects_table, subgroup_labels

if TYPE_CHECKING:
    from bayes_hte.reporting.results import Interval, Results
    from bayes_hte.subgroups import Evidence, Subgroups
    from bayes_hte.subgroups.finding.profile import Node, Profile

MOST_COLUMNS = 400


def subgroup_tables(
    results: Results, name: str, **how: Unpack[Interval]
) -> dict[str, pd.DataFrame]:
    """Compute the tables of the subgroups of one effect.

    Parameters
    ----------
    results : Results
        A finished run.
    name : str
        Short name of the effect, the end of every key.
    **how
        The interval.

    Returns
    -------
    dict of str to DataFrame
        ``subgroup_decision_``, ``subgroup_candidates_``, and with two subgroups or more
        ``subgroups_``, ``subgroup_profile_``, ``subgroup_tree_`` and ``subgroup_membership_``,
        and ``subgroup_borders_`` where a question is about a number, each followed by `name`.
    """
    groups = results.subgroups[name]
    tables = {
        f"subgroup_decision_{name}": _decision(groups, **how),
        f"subgroup_candidates_{name}": groups.candidates.reset_index(),
    }
    if count(groups) > 1:
        found_by = (results.effects[name], results.study, groups)
        named = subgroup_labels(count(groups), better=results.spec.outcome.better)
        strip = groups.membership.sel({SUBGROUP: list(named)})
        tables |= {
            f"subgroups_{name}": subgroup_effects_table(*found_by, **results.direction, **how),
            f"subgroup_profile_{name}": _leaves(groups, named),
            f"subgroup_tree_{name}": tree_outline(groups.profile, named),
            f"subgroup_membership_{name}": membership_strip(strip, named=named.__getitem__),
        }
        if len(borders := groups.borders(**how)):
            tables[f"subgroup_borders_{name}"] = borders.reset_index()
    return tables


def evidence_tables(
    results: Results, name: str, **how: Unpack[Interval]
) -> dict[str, pd.DataFrame]:
    """Compute the tables of the evidence on the subgroups of one effect.

    Parameters
    ----------
    results : Results
        A finished run.
    name : str
        Short name of the effect, the end of every key.
    **how
        The interval.

    Returns
    -------
    dict of str to DataFrame
        ``subgroup_honest_`` where halves were fitted; ``subgroup_explained_``,
        ``subgroup_contrasts_``, ``subgroup_partition_``, ``subgroup_ball_`` and
        ``subgroup_together_`` where there are two subgroups or more, each followed by `name`.
    """
    tables = {}
    if name in results.honest:
        tables[f"subgroup_honest_{name}"] = results.honest[name].summary(**how).reset_index()
    if name in results.evidence:
        found = results.evidence[name]
        tables |= {
            f"subgroup_explained_{name}": summarize(found.explained, **how).reset_index(),
            f"subgroup_contrasts_{name}": found.contrasts.table.reset_index(),
            f"subgroup_partition_{name}": found.partition.candidates.reset_index(),
            f"subgroup_ball_{name}": found.ball.edge.reset_index(),
            f"subgroup_together_{name}": pairs(found),
        }
    return tables


def pairs(found: Evidence) -> pd.DataFrame:
    """List the shares of draws in which units are together, as the heat map draws them.

    Parameters
    ----------
    found : Evidence
        Of one effect.

    Returns
    -------
    DataFrame
        One row per unit that is drawn, in the order of the map: ``unit``, ``group`` (from 1),
        ``certainty``, ``mean_effect``, and one column per unit, in the same order: share of draws
        together.
    """
    from bayes_hte.subgroups import heat_map_tables

    similarity, units = heat_map_tables(found.clustered, found.partition)
    shares = similarity.set_axis([f"with {unit}" for unit in units.index], axis=1)
    units = units.assign(group=units["group"] + 1)
    return units.reset_index(names="unit").join(shares.reset_index(drop=True))


def count(groups: Subgroups) -> int:
    """Return the number of subgroups found."""
    return groups.effects.sizes[SUBGROUP]


def _decision(groups: Subgroups, **how: Unpack[Interval]) -> pd.DataFrame:
    """One row: the contrast of the extreme subgroups and whether it is declared."""
    return (
        summarize(groups.contrast, **how)
        .reset_index(drop=True)
        .assign(
            effect=groups.effect_name,
            n_subgroups=count(groups),
            margin=groups.margin,
            probability=groups.probability_in_sample,
            required_probability=groups.required_probability,
            declared=groups.declared_in_sample,
            clear_membership=groups.clear_membership,
            uncertain_share=groups.uncertain_share,
            reason=groups.reason,
        )
    )


def declared(results: Results, name: str) -> bool:
    """Whether subgroups are declared: on other units than those that suggest them, or not at all.

    Groups that were judged on the units that suggest them are never declared in a report.
    """
    return name in results.honest and results.honest[name].declared


def _leaves(groups: Subgroups, named: Mapping[int, str]) -> pd.DataFrame:
    """Return the leaves of the profile with the name of the group of each, by benefit."""
    leaves = groups.profile.leaves.reset_index()
    places = {number: place for place, number in enumerate(named)}
    order = leaves["subgroup"].map(places).argsort(kind="stable")
    leaves.insert(0, "group", leaves["subgroup"].map(dict(named)))
    return leaves.iloc[order].reset_index(drop=True)


def tree_outline(profile: Profile, named: Mapping[int, str]) -> pd.DataFrame:
    """List the nodes of a profile in reading order, as the tree figure draws them.

    Parameters
    ----------
    profile : Profile
        Profile of the subgroups.
    named : mapping of int to str
        Names of the subgroups by their numbers, in the order of benefit.

    Returns
    -------
    DataFrame
        One row per node, depth first: ``node``, ``depth``, ``condition`` (the step from the parent
        in words), ``rule`` (the whole path), ``n_units``, ``mean_effect``, ``group`` and
        ``group_number`` (its place by benefit; None and -1 where there is no leaf).
    """
    rows: list[dict[str, object]] = []
    places = {number: place for place, number in enumerate(named)}

    def walk(node: Node, depth: int) -> None:
        leaf = node.subgroup is not None
        rows.append(
            {
                "node": node.number,
                "depth": depth,
                "condition": _step(profile, node),
                "rule": node.rule,
                "n_units": node.n,
                "mean_effect": node.mean_effect,
                "group": named[node.subgroup] if leaf else None,
                "group_number": places[node.subgroup] if leaf else -1,
            }
        )
        for child in (node.yes, node.no):
            if child is not None:
                walk(profile.nodes[child], depth + 1)

    walk(profile.nodes[0], 0)
    return pd.DataFrame(rows)


def _step(profile: Profile, node: Node) -> str:
    """Say in words which answer led from the parent to a node."""
    from bayes_hte.subgroups.finding.conditions import rule_text

    if node.parent is None:
        return "all"
    parent = profile.nodes[node.parent]
    return rule_text([(parent.condition, node.number == parent.yes)])


def membership_strip(membership: xr.DataArray, *, named: Callable[[int], str]) -> pd.DataFrame:
    """Order the membership probabilities of the units for a strip.

    Parameters
    ----------
    membership : DataArray, dims (unit, group)
        Rows sum to 1; the second dimension is that of subgroups, or of classes.
    named : callable (int) -> str
        From the number of a group to its name, the name of its column.

    Returns
    -------
    DataFrame, shape (unit, 2 + group)
        ``unit``, ``drawn`` (whether the figure draws it) and one column per group; units by their
        expected group number: from surely in the first to surely in the last.
    """
    (dim,) = set(membership.dims) - {UNIT}
    values = membership.transpose(UNIT, dim).to_numpy()
    order = np.argsort(values @ np.arange(values.shape[1]), kind="stable")
    table = pd.DataFrame(values[order], columns=[named(g) for g in membership[dim].to_numpy()])
    table.insert(0, "unit", membership[UNIT].to_numpy()[order])
    table.insert(1, "drawn", evenly_spaced(len(table), MOST_COLUMNS))
    return table
