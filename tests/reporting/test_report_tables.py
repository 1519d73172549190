from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hte.errors import DataError, SpecError
from bayes_hte.names import CHAIN, DRAW, SAMPLE, UNIT
from bayes_hte.reporting import (
    all_tables,
    average_effects,
    effect_distribution,
    individual_effects,
    modifier_effects,
    propensity_shares,
    who_benefits,
    write_tables,
)
from bayes_hte.reporting.collected import provenance
from bayes_hte.reporting.tables.keys import modifier_keys, slug
from bayes_hte.reporting.tables.subgroups import membership_strip, tree_outline
from bayes_hte.reporting.tables.thinning import evenly_spaced
from bayes_hte.study.study import Study

HOW = {"ci_prob": 0.9, "ci_kind": "eti"}


def draws_of(values: np.ndarray, name: str = "te") -> xr.DataArray:
    return xr.DataArray(
        values,
        dims=(*SAMPLE, UNIT),
        coords={CHAIN: range(values.shape[0]), DRAW: range(values.shape[1])}
        | {UNIT: range(values.shape[2])},
        name=name,
    )


@pytest.fixture
def effect():
    rng = np.random.default_rng(0)
    return draws_of(rng.normal(size=(2, 50, 40)) + np.linspace(-1, 1, 40))


def test_average_effects_hold_every_average_in_both_directions_of_benefit(respec, results):
    table = average_effects(results)
    assert table["effect"].tolist() == ["te"] * 4 + ["tnie", "pnde", "pnie", "tnde", "cde", "cde"]
    assert table["mediator_value"].tolist()[-2:] == [0.0, 1.5]
    draws = results.populations["ATT"].to_numpy()
    row = table.query("population == 'ATT'").iloc[0]
    np.testing.assert_allclose(row["mean"], draws.mean())
    np.testing.assert_allclose(
        row[["ci_lower", "ci_upper"]].tolist(), np.quantile(draws, [0.05, 0.95])
    )
    assert row["prob_benefit"] == (draws > 0).mean()
    assert row["prob_important"] == (draws > 0.3).mean()
    lower = average_effects(respec(better="lower")).query("population == 'ATT'").iloc[0]
    assert lower["prob_benefit"] == (draws < 0).mean()


def test_individual_effects_are_ranked_and_keep_their_labels(effect):
    table = individual_effects(effect, better="lower", important=0.5, **HOW)
    assert table["rank"].tolist() == list(range(1, 41))
    assert table["mean"].is_monotonic_increasing
    unit = table["unit"].iloc[7]
    values = effect.sel({UNIT: unit}).to_numpy()
    np.testing.assert_allclose(table["mean"].iloc[7], values.mean())
    assert table["prob_benefit"].iloc[7] == (values < 0).mean()
    assert table["prob_important"].iloc[7] == (values < -0.5).mean()


def test_shares_of_the_distribution_are_counted_draw_by_draw(effect):
    table = effect_distribution(effect, n_bins=7, **HOW)
    edges = [*table["bin_lower"], table["bin_upper"].iloc[-1]]
    counts = np.array([np.histogram(v, edges)[0] / 40 for v in effect.to_numpy().reshape(-1, 40)])
    np.testing.assert_allclose(table["mean"], counts.mean(axis=0))
    np.testing.assert_allclose(table["ci_upper"], np.quantile(counts, 0.95, axis=0))
    assert 0.985 < table["mean"].sum() < 0.995


def test_distribution_of_one_effect_for_everyone_has_all_people_in_one_bin():
    table = effect_distribution(draws_of(np.full((2, 5, 9), 0.25)), **HOW)
    assert table["mean"].max() == 1
    assert table["mean"].sum() == 1


def test_who_benefits_averages_people_before_summarising(effect):
    table = who_benefits(effect, better="lower", important=0.5, **HOW).set_index("statement")
    flat = effect.to_numpy().reshape(-1, 40)
    share = (flat < 0).mean(axis=1)
    np.testing.assert_allclose(table.loc["benefit", "mean"], share.mean())
    np.testing.assert_allclose(table.loc["benefit", "ci_lower"], np.quantile(share, 0.05))
    harm = flat > 0.5
    np.testing.assert_allclose(table.loc["important_harm", "mean"], harm.mean())
    assert table.loc["benefit", "n_sure"] == ((flat < 0).mean(axis=0) >= 0.95).sum()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"better": "hihger"}, SpecError, "unknown direction for better 'hihger'"),
        ({"important": -0.5}, SpecError, "beyond must be 0 or more"),
        ({"ci_prob": 95}, SpecError, "ci_prob must be between 0 and 1"),
    ],
)
def test_who_benefits_guesses_no_direction(effect, options, error, message):
    asked = {"better": "lower", "important": 0.5, **HOW, **options}
    with pytest.raises(error, match=message):
        who_benefits(effect, **asked)


def test_draws_that_are_no_numbers_are_not_counted_as_no_benefit(effect):
    effect[0, 0, 0] = np.nan
    with pytest.raises(DataError, match="NaN or infinite"):
        who_benefits(effect, better="lower", important=0.5, **HOW)


def test_modifier_effects_average_draws_first_and_match_units_by_label(effect):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {"y": rng.normal(size=40), "t": np.arange(40) % 2, "age": rng.permutation(40) * 1.0}
        | {"site": rng.choice(["b", "a"], size=40)}
    )
    study = Study.from_frame(frame, outcome="y", treatment="t", covariates=["age", "site"])
    shuffled = effect.isel({UNIT: rng.permutation(40)})
    table = modifier_effects(xr.Dataset({"te": shuffled}), study, "age", n_buckets=4, **HOW)
    oldest = frame.index[frame["age"] >= 30]
    draws = effect.sel({UNIT: oldest}).mean(UNIT).to_numpy()
    last = table.iloc[-1]
    assert (last["n_units"], last["position"]) == (10, 34.5)
    np.testing.assert_allclose(last["mean"], draws.mean())
    np.testing.assert_allclose(last["ci_upper"], np.quantile(draws, 0.95))
    levels = modifier_effects(xr.Dataset({"te": effect}), study, "site", **HOW)
    assert levels["group"].tolist() == ["a", "b"]
    assert levels["position"].isna().all()


def test_a_modifier_that_cannot_be_grouped_is_listed_with_its_reason(results):
    # A frame no study would let in, but a report must not fall over it.
    frame = results.study.frame.assign(x3=[f"person {i}" for i in results.study.units])
    study = replace(results.study, frame=frame)
    tables = all_tables(replace(results, study=study))
    assert tables["modifiers_not_shown"]["covariate"].tolist() == ["x3"]
    assert "distinct values" in tables["modifiers_not_shown"]["reason"].iloc[0]
    assert "modifier_02_x3" not in tables


def test_propensity_shares_count_each_arm_for_itself():
    propensity = draws_of(np.tile([0.22, 0.23, 0.7, 0.9], (2, 3, 1)), "propensity")
    table = propensity_shares(propensity, np.array([0, 0, 0, 1]), ("old", "new"), n_bins=10)
    by_arm = table.groupby("arm")["share"].sum()
    assert by_arm.to_dict() == {"old": 1.0, "new": 1.0}
    assert table.query("arm == 'old' and n_units > 0")["n_units"].tolist() == [2, 1]


def test_names_with_the_same_slug_get_different_files(results):
    roles = replace(results.study.roles, covariates=("A b", "a_b", "\u00e9"))
    study = replace(results.study, roles=roles)
    keys = list(modifier_keys(replace(results, study=study)).values())
    assert len(set(keys)) == 3
    assert slug("\u4f60") == "unnamed"


def test_thinning_keeps_both_ends_and_the_wanted_number():
    chosen = evenly_spaced(1000, 150)
    assert chosen.sum() == 150
    assert chosen[0]
    assert chosen[-1]
    assert evenly_spaced(10, 150).all()


def test_the_tree_outline_lists_parents_before_children_and_all_people(results):
    profile = results.subgroups["te"].profile
    outline = tree_outline(profile, {1: "Subgroup A", 0: "Subgroup B"})
    assert outline["depth"].iloc[0] == 0
    assert (outline["depth"].diff().iloc[1:] <= 1).all()
    leaves = outline[outline["group_number"] >= 0]
    assert leaves["n_units"].sum() == results.study.n_units
    assert set(leaves["rule"]) == set(profile.leaves["rule"])
    assert "x1" in outline["condition"].iloc[1]


def test_the_membership_strip_keeps_each_person_together(results):
    membership = results.subgroups["te"].membership
    strip = membership_strip(membership, named="group {}".format).set_index("unit")
    np.testing.assert_allclose(
        strip.loc[membership[UNIT].to_numpy(), ["group 0", "group 1"]], membership
    )
    assert strip["group 0"].is_monotonic_decreasing


def test_provenance_is_flat_and_names_spec_data_and_seed(results):
    record = provenance(results).set_index("key")["value"]
    assert record["spec_hash"] == results.spec.hash()
    assert record["data_fingerprint"] == results.study.fingerprint()
    assert record["seed"] == "7"
    assert record["versions.pymc"] == "6.4"


def test_files_hold_the_tables_in_full(results, tables, tmp_path):
    paths = write_tables(results, tmp_path / "new" / "tables")
    assert sorted(p.stem for p in paths) == sorted(tables)
    read = pd.read_csv(tmp_path / "new" / "tables" / "average_effects.csv")
    pd.testing.assert_frame_equal(read, tables["average_effects"], check_dtype=False)
    assert not list((tmp_path / "new" / "tables").glob("*.new*"))


def test_without_subgroups_a_table_of_verdict_says_so(build):
    flat = build(flat=True, mediator=False)
    tables = all_tables(flat)
    assert flat.subgroups["te"].effects.sizes["subgroup"] == 1
    assert not tables["subgroup_decision_te"]["declared"].iloc[0]
    assert "subgroups_te" not in tables
