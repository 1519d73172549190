"""The uncertainty of the cuts of a profile against known effects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_hte as hte
from bayes_hte.study.study import Study
from bayes_hte.subgroups.finding.borders import cut_draws

N, DRAWS = 300, 40


def study_of(rng: np.random.Generator) -> Study:
    frame = pd.DataFrame(
        {
            "age": rng.uniform(20, 80, N),
            "dose": rng.uniform(0, 1, N),
            "sex": rng.choice(["f", "m"], N),
            "t": np.arange(N) % 2,
            "y": rng.normal(size=N),
        }
    )
    roles = {"outcome": "y", "treatment": "t", "covariates": ["age", "dose", "sex"]}
    return Study.from_frame(frame, **roles)


def effect_of(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values[np.newaxis], dims=("chain", "draw", "unit"), name="te")


def corner(study: Study, ages: np.ndarray, dose: float = 0.4) -> xr.DataArray:
    """Effect 1 above an age of its own in each draw and above a dose; 0 elsewhere."""
    frame = study.frame
    old = frame["age"].to_numpy() > ages[:, np.newaxis]
    return effect_of((old & (frame["dose"].to_numpy() > dose)).astype(float))


@pytest.fixture(scope="module")
def moved():
    """Return a study, the age of each draw, and subgroups of effects with these ages."""
    rng = np.random.default_rng(5)
    study, ages = study_of(rng), np.linspace(45, 55, DRAWS)
    return study, ages, hte.m_learner(corner(study, ages), study, seed=1, largest_k=2)


def cuts_of(groups: hte.subgroups.Subgroups, covariate: str) -> xr.DataArray:
    nodes = groups.cuts["node"].to_numpy()
    (own,) = [n for n in nodes if groups.profile.nodes[n].condition.covariate == covariate]
    return groups.cuts.sel(node=own)[0]


def test_each_draw_gets_its_own_cut(moved):
    study, ages, groups = moved
    asked = study.frame.loc[study.frame["dose"] > 0.4, "age"].to_numpy()
    cuts = cuts_of(groups, "age").to_numpy()
    # No unit lies between the cut that was found and that which made the effects of the draw.
    np.testing.assert_array_equal(asked > cuts[:, np.newaxis], asked > ages[:, np.newaxis])


def test_the_interval_is_that_of_the_cuts_and_stands_in_the_words(moved):
    _, ages, groups = moved
    table = groups.borders(ci_prob=0.9).set_index("covariate")
    age, dose = table.loc["age"], table.loc["dose"]
    assert [age["ci_lower"], age["ci_upper"]] == pytest.approx(
        np.quantile(ages, [0.05, 0.95]),
        abs=1.2,  # the widest gap between ages is 1.9
    )
    # The dose is the same in every draw.
    assert dose["ci_lower"] == pytest.approx(0.4, abs=0.02)
    assert dose["ci_upper"] == pytest.approx(0.4, abs=0.02)
    assert age["words"].startswith("age above ")
    assert ", 90% between " in age["words"]
    assert {"everyone"} < set(table["among"])
    assert set(table["ci_prob"]) == {0.9}


def test_equal_draws_have_the_cut_of_the_profile():
    study = study_of(np.random.default_rng(6))
    groups = hte.m_learner(corner(study, np.full(DRAWS, 50.0)), study, seed=1, largest_k=2)
    table = groups.borders()
    np.testing.assert_allclose(table["ci_lower"], table["cut"])
    np.testing.assert_allclose(table["ci_upper"], table["cut"])


def test_noise_without_a_border_leaves_it_unknown(moved):
    study, _, groups = moved
    noise = np.random.default_rng(7).normal(size=(DRAWS, N))
    cuts = cut_draws(groups.profile, effect_of(noise), study.frame, smallest=0.1)
    age = cuts.isel(node=0)
    known = groups.cuts.isel(node=0)
    assert float(age.std()) > 2 * float(known.std())


def test_every_group_keeps_its_smallest_share(moved):
    study, _, groups = moved
    # One unit far from all others would be a group of its own.
    lone = np.zeros((DRAWS, N))
    lone[:, study.frame["age"].to_numpy().argmax()] = 1000.0
    cuts = cut_draws(groups.profile, effect_of(lone), study.frame, smallest=0.1)
    profile = groups.profile
    for node in cuts["node"].to_numpy():
        column = study.frame[profile.nodes[node].condition.covariate]
        assert (column > float(cuts.sel(node=node).max())).sum() >= 0.1 * N


def test_questions_about_levels_have_no_cut():
    study = study_of(np.random.default_rng(8))
    men = (study.frame["sex"] == "m").to_numpy(float)
    effect = effect_of(men + np.random.default_rng(9).normal(0, 0.1, (DRAWS, N)))
    groups = hte.m_learner(effect, study, seed=1, largest_k=2)
    assert groups.profile.covariates == ("sex",)
    assert groups.borders().empty
    assert "words" in groups.borders()


def test_many_draws_are_thinned(moved):
    study, _, groups = moved
    ages = np.linspace(45, 55, 2500)
    cuts = cut_draws(groups.profile, corner(study, ages), study.frame, smallest=0.1)
    assert cuts.sizes["draw"] == 834
    with pytest.raises(hte.errors.SpecError):
        groups.borders(ci_prob=2)


def test_membership_is_the_share_of_draws_on_the_side_of_the_border(moved):
    study, ages, groups = moved
    found = groups.membership_by_borders(study.frame)
    np.testing.assert_allclose(found.sum("subgroup"), 1.0)
    frame, inside = study.frame, found[:, 1].to_numpy()
    dose = frame["dose"].to_numpy()
    truth = (frame["age"].to_numpy() > ages[:, np.newaxis]).mean(axis=0) * (dose > 0.4)
    # No unit lies between a cut that was found and the true one, so the shares are the true ones.
    np.testing.assert_allclose(inside, truth, atol=1e-12)
    new = pd.DataFrame({"age": [40.0, 50.0, 60.0], "dose": 0.9, "sex": "f"})
    told = groups.membership_by_borders(new)[:, 1].to_numpy()
    assert told[0] == 0
    assert told[2] == 1
    assert told[1] == pytest.approx((ages < 50).mean(), abs=0.15)


def test_membership_by_borders_needs_the_covariates(moved):
    study, _, groups = moved
    with pytest.raises(hte.errors.DataError, match="needs covariate 'age'"):
        groups.membership_by_borders(study.frame.drop(columns="age"))
