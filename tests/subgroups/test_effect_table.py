"""The table of effects by group: the numbers of each group, of everyone, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_hte as hte
from bayes_hte.errors import DataError, SpecError
from bayes_hte.plots import plot_subgroup_forest
from bayes_hte.study.study import Study
from bayes_hte.subgroups import Subgroups, m_learner, subgroup_effects_table
from tests.fakes import fake_effect, fake_study

HOW = {"better": "higher", "important": 0.4}
COLUMNS = [
    *("group", "is_subgroup", "n_units", "share", "mean_membership", "mean", "median", "sd"),
    *("ci_lower", "ci_upper", "prob_positive", "ci_prob", "ci_kind"),
    *("prob_benefit", "prob_important"),
]


@pytest.fixture(scope="module")
def known() -> tuple[Study, xr.DataArray]:
    rng = np.random.default_rng(20261122)
    study, truth = fake_study(rng, n_units=120)
    site = rng.choice(["north", "south"], size=study.n_units)
    study = Study.from_frame(
        study.frame.assign(site=site, ward=np.arange(study.n_units) % 3),
        outcome=study.roles.outcome,
        treatment=study.roles.treatment,
        covariates=[*study.roles.covariates, "site"],
        cluster="ward",
    )
    return study, fake_effect(rng, truth, chains=2, draws=60)


@pytest.fixture(scope="module")
def groups(known) -> Subgroups:
    return m_learner(known[1], known[0], seed=1)


def test_subgroups_have_the_numbers_of_their_summary_and_everyone_those_of_the_average(
    known, groups
):
    study, effect = known
    table = hte.subgroup_effects_table(effect, study, groups, **HOW, ci_prob=0.8)
    assert table.columns.tolist() == COLUMNS
    assert table["group"].tolist() == ["Subgroup A", "Subgroup B", "All"]
    assert table["is_subgroup"].tolist() == [True, True, False]
    own = groups.summary(ci_prob=0.8).rename(columns={"n": "n_units"})[::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(table.loc[:1, own.columns], own)
    everyone = hte.summarize(hte.average(effect), ci_prob=0.8).reset_index(drop=True)
    pd.testing.assert_frame_equal(
        table.loc[[2], everyone.columns].reset_index(drop=True), everyone, check_exact=False
    )
    assert (table["n_units"].iloc[2], table["share"].iloc[2]) == (study.n_units, 1.0)
    assert np.isnan(table["mean_membership"].iloc[2])


@pytest.mark.parametrize(("better", "sign"), [("higher", 1), ("lower", -1)])
def test_probabilities_are_shares_of_draws_in_the_direction_of_benefit(known, groups, better, sign):
    study, effect = known
    table = subgroup_effects_table(effect, study, groups, better=better, important=0.4)
    order = (1, 0) if better == "higher" else (0, 1)  # by benefit
    draws = [groups.effects.isel(subgroup=k) for k in order] + [effect.mean("unit")]
    benefit = [sign * values for values in draws]
    assert table["prob_benefit"].tolist() == [float((b > 0).mean()) for b in benefit]
    assert table["prob_important"].tolist() == [float((b > 0.4).mean()) for b in benefit]


def test_subgroups_of_one_effect_may_show_another(known, groups):
    study, effect = known
    table = subgroup_effects_table(2 * effect, study, groups, **HOW)
    half = subgroup_effects_table(effect, study, groups, **HOW)
    np.testing.assert_allclose(table["mean"], 2 * half["mean"])


def test_each_level_of_each_covariate_is_a_group(known):
    study, effect = known
    cuts = {"x1": [0.0]}
    table = subgroup_effects_table(effect, study, ["site", "x1", "ward"], cuts=cuts, **HOW)
    assert table.columns.tolist() == COLUMNS
    assert table["group"].tolist() == [
        *("site: north", "site: south", "x1: up to 0", "x1: over 0"),
        *("ward: 0", "ward: 1", "ward: 2", "All"),
    ]
    shares = table["share"].to_numpy()
    np.testing.assert_allclose([shares[:2].sum(), shares[2:4].sum(), shares[4:7].sum()], 1)
    members = (study.frame["x1"] > 0).to_numpy()
    draws = effect.isel(unit=members).mean("unit")
    row = table.set_index("group").loc["x1: over 0"]
    assert row["n_units"] == members.sum()
    assert row["mean"] == pytest.approx(float(draws.mean()))
    # Draws are averaged first: the interval is that of the average, not an average of intervals.
    assert row["ci_lower"] == pytest.approx(float(draws.quantile(0.025)))
    assert table["mean_membership"].isna().all()


def test_one_covariate_may_be_named_alone(known):
    study, effect = known
    alone = subgroup_effects_table(effect, study, "site", **HOW)
    pd.testing.assert_frame_equal(alone, subgroup_effects_table(effect, study, ["site"], **HOW))


def test_draws_without_coordinates_and_in_another_order_are_the_same(known, groups):
    study, effect = known
    bare = effect.drop_vars(list(effect.coords)).transpose("unit", "draw", "chain")
    for by in (groups, "site"):
        found, wanted = (subgroup_effects_table(e, study, by, **HOW) for e in (bare, effect))
        pd.testing.assert_frame_equal(found, wanted)


def test_the_forest_draws_the_table_as_it_is(known, groups):
    study, effect = known
    for by in (groups, "site"):
        table = subgroup_effects_table(effect, study, by, **HOW)
        axes = plot_subgroup_forest(table, **HOW).axes[0]
        assert [t.get_text().split("\n")[0] for t in axes.get_yticklabels()] == list(table["group"])


@pytest.mark.parametrize(
    "name", ["unit", "chain", "draw", "group", "units", "subgroup", "share", "self", "site=a"]
)
def test_a_covariate_may_be_called_like_a_coordinate_or_a_column_of_the_table(known, name):
    study, effect = known
    renamed = Study.from_frame(
        study.frame.rename(columns={"site": name}),
        outcome=study.roles.outcome,
        treatment=study.roles.treatment,
        covariates=[name if c == "site" else c for c in study.roles.covariates],
        mediator=study.roles.mediator,
    )
    found = subgroup_effects_table(effect, renamed, name, **HOW)
    wanted = subgroup_effects_table(effect, study, "site", **HOW)
    assert found["group"].tolist() == wanted["group"].str.replace("site: ", f"{name}: ").tolist()
    pd.testing.assert_frame_equal(found.drop(columns="group"), wanted.drop(columns="group"))


@pytest.mark.parametrize(
    ("by", "options", "error", "message"),
    [
        ("sites", {}, SpecError, "unknown covariate 'sites'. Did you mean 'site'"),
        ("y", {}, SpecError, "unknown covariate 'y'"),  # the outcome is no group to treat by
        ([], {}, SpecError, "by must be Subgroups or names of covariates, got list without any"),
        (3, {}, SpecError, "by must be Subgroups or names of covariates, got int"),
        ("site", {"cuts": {"x1": [0.0]}}, SpecError, "unknown covariate in cuts 'x1'"),
        ("site", {"cuts": {"site": [0.0]}}, DataError, "cuts need a numeric column"),
        ("x1", {}, SpecError, "give cut points"),
        ("x1", {"cuts": [0.0]}, SpecError, "cuts must be a mapping, got"),
        ("x1", {"cuts": {"x1": [1e9]}}, SpecError, "no unit has 'x1' over 1e\\+09"),
        ("site", {"better": "more"}, SpecError, "unknown direction for better"),
        ("site", {"important": -1.0}, SpecError, "beyond must be 0 or more"),
        ("site", {"ci_prob": 95}, SpecError, "ci_prob must be between 0 and 1"),
    ],
)
def test_what_makes_no_groups_is_refused(known, by, options, error, message):
    study, effect = known
    with pytest.raises(error, match=message):
        subgroup_effects_table(effect, study, by, **{**HOW, **options})


def test_draws_and_subgroups_of_other_units_are_refused(known, groups):
    study, effect = known
    with pytest.raises(DataError, match="must have dims"):
        subgroup_effects_table(effect.mean("unit"), study, groups, **HOW)
    with pytest.raises(DataError, match="not those of the study in the same order"):
        subgroup_effects_table(effect.isel(unit=slice(None, None, -1)), study, groups, **HOW)
    both = xr.Dataset({"te": effect, "tnie": effect})
    with pytest.raises(DataError, match="one effect, got 2"):
        subgroup_effects_table(both, study, groups, **HOW)
    part = study.subset(np.arange(100))
    with pytest.raises(DataError, match="subgroups are of 120 units"):
        subgroup_effects_table(effect.isel(unit=slice(100)), part, groups, **HOW)
    with pytest.raises(SpecError, match="cuts divide covariates"):
        subgroup_effects_table(effect, study, groups, cuts={"x1": [0.0]}, **HOW)
