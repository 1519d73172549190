"""What a description by groups keeps, how its groups differ, and whether its seed matters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from joblib import parallel_config
from sklearn.metrics import adjusted_rand_score

from bayes_hte.errors import DataError, SpecError
from bayes_hte.subgroups import Tsne, m_learner
from bayes_hte.subgroups.describing.contrasts import leaf_contrasts
from bayes_hte.subgroups.describing.explained import explained_share
from bayes_hte.subgroups.finding.stability import discovery_stability
from tests.fakes import fake_effect, fake_study


@pytest.fixture(scope="module")
def known():
    rng = np.random.default_rng(4)
    study, _ = fake_study(rng, n_units=300)
    x = study.covariate_frame()
    truth = 2.0 * ((x["x1"] > 0) & (x["x2"] > 0)).to_numpy()
    effect = fake_effect(rng, truth, chains=2, draws=80)
    return study, effect, m_learner(effect, study, seed=1, largest_k=3)


def draws_of(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("chain", "draw", "unit"), name="te")


# ---------------------------------------------------------------- explained share


def test_the_explained_share_is_the_r_squared_of_a_regression_on_the_groups(monkeypatch):
    monkeypatch.setattr("bayes_hte.subgroups.membership.BLOCK_SIZE", 100)
    rng = np.random.default_rng(0)
    labels = np.array([0, 4, 7])[rng.integers(3, size=30)]
    values = labels + rng.normal(scale=3.0, size=(2, 9, 30))
    share = explained_share(draws_of(values), labels)
    for chain, draw in np.ndindex(2, 9):
        indicators = (labels[:, np.newaxis] == [0, 4, 7]).astype(float)
        fitted = indicators @ np.linalg.lstsq(indicators, values[chain, draw])[0]
        residual = ((values[chain, draw] - fitted) ** 2).sum()
        total = ((values[chain, draw] - values[chain, draw].mean()) ** 2).sum()
        assert float(share[chain, draw]) == pytest.approx(1 - residual / total)
    assert share.attrs["undefined_draws"] == 0


def test_the_explained_share_is_one_within_groups_that_agree_and_zero_in_one_group():
    labels = np.repeat([0, 1], 10)
    values = np.random.default_rng(1).normal(size=(1, 5, 20))
    steps = draws_of(values.mean(axis=2, keepdims=True) * labels)
    np.testing.assert_allclose(explained_share(steps, labels), 1.0)
    np.testing.assert_allclose(explained_share(draws_of(values), np.zeros(20, int)), 0, atol=1e-20)


def test_a_draw_without_differences_has_nothing_to_explain():
    values = np.random.default_rng(2).normal(size=(1, 4, 20))
    values[0, 1] = 0.1 + 1e-9 * values[0, 1]
    share = explained_share(draws_of(values), np.arange(20) % 2)
    assert np.isnan(share[0, 1])
    assert share.attrs["undefined_draws"] == 1
    assert int(np.isfinite(share).sum()) == 3


def test_leaves_explain_at_least_as_much_as_the_subgroups_they_make_up(known):
    study, effect, groups = known
    covariates = study.covariate_frame()
    leaves = groups.profile.assign_leaves(covariates)
    assert set(leaves) == set(groups.profile.leaves.index)
    merged = groups.profile.leaves["subgroup"].loc[leaves].to_numpy()
    np.testing.assert_array_equal(merged, groups.profile.assign(covariates))
    by_leaf, by_subgroup = explained_share(effect, leaves), explained_share(effect, groups.labels)
    assert bool((by_leaf >= by_subgroup - 1e-12).all())
    # Effects have variance .04 around two levels, 2 apart.
    share = groups.labels.to_numpy().mean()
    between = 4 * share * (1 - share)
    assert float(by_subgroup.mean()) == pytest.approx(between / (between + 0.04), abs=0.01)


def test_labels_of_other_units_are_refused(known):
    with pytest.raises(DataError, match=r"labels must have shape \(300,\)"):
        explained_share(known[1], np.zeros(299, int))


# ---------------------------------------------------------------- contrasts


def test_leaf_contrasts_average_draws_before_they_compare(known):
    study, effect, groups = known
    found = leaf_contrasts(effect, study, groups.profile, margin=0.1, ci_prob=0.9)
    leaves = groups.profile.assign_leaves(study.covariate_frame())
    assert len(found.table) == 3
    for i, (high, low) in enumerate(found.table.index):
        gap = effect[..., leaves == high].mean("unit") - effect[..., leaves == low].mean("unit")
        np.testing.assert_allclose(found.draws.isel(pair=i), gap)
        row = found.table.iloc[i]
        assert row["mean"] == pytest.approx(float(gap.mean()))
        assert row["mean"] >= 0
        assert row["ci_upper"] == pytest.approx(float(gap.quantile(0.95)))
        assert row["prob_above_margin"] == float((gap > 0.1).mean())
        assert row["prob_within_margin"] == float((abs(gap) <= 0.1).mean())
        assert row["higher_rule"] == groups.profile.leaves.loc[high, "rule"]
    # One leaf stands out; the other two have the same effect.
    assert found.table["prob_above_margin"].round(2).tolist() == pytest.approx([1, 1, 0], abs=0.1)
    assert found.table["prob_within_margin"].iloc[2] > 0.9
    default = leaf_contrasts(effect, study, groups.profile).table
    assert default["margin"].iloc[0] == pytest.approx(0.05 * study.frame["y"].std())


def test_one_leaf_has_no_contrasts(known):
    study, effect, _ = known
    shared = effect.mean("unit").expand_dims(unit=effect["unit"]).transpose(*effect.dims)
    alone = m_learner(shared, study, seed=1)
    assert leaf_contrasts(shared, study, alone.profile).table.empty
    with pytest.raises(SpecError, match="ci_prob must be"):
        leaf_contrasts(shared, study, alone.profile, ci_prob=95)


def test_explained_shares_match_units_by_label(known):
    _, effect, groups = known
    order = np.random.default_rng(1).permutation(effect.sizes["unit"])
    labels = groups.labels
    expected = explained_share(effect, labels.to_numpy())
    xr.testing.assert_equal(explained_share(effect, labels[order]), expected)
    xr.testing.assert_equal(explained_share(effect, labels.to_series().iloc[order]), expected)
    with pytest.raises(DataError, match=r"labels must have shape"):
        explained_share(effect, labels[1:])
    with pytest.raises(DataError, match=r"effect must be a DataArray of draws"):
        explained_share(effect.to_numpy(), labels)


# ---------------------------------------------------------------- stability


def test_a_clear_discovery_does_not_depend_on_its_seed():
    rng = np.random.default_rng(5)
    study, truth = fake_study(rng, n_units=100)
    effect = fake_effect(rng, truth, chains=1, draws=50)
    found = discovery_stability(effect, study, seed=1, n_seeds=4, largest_k=2)
    assert found.runs.index[0] == 1
    assert len(set(found.runs.index)) == 4
    assert found.runs["covariates"].tolist() == ["x1"] * 4
    assert found.runs["subgroups"].tolist() == [2] * 4
    assert (found.mean_agreement, found.least_agreement) == (1.0, 1.0)
    assert (found.same_number, found.same_covariates) == (1.0, 1.0)


def test_runs_are_those_of_the_m_learner_with_the_seeds_named():
    rng = np.random.default_rng(7)
    study, _ = fake_study(rng, n_units=60)
    x = study.frame
    # A posterior mean without steps, and noise: where it is cut is arbitrary.
    wavy = draws_of((x["x1"] * x["x2"]).to_numpy() + rng.normal(scale=0.5, size=(1, 3, 60)))
    options = {"largest_k": 3, "leaf_price": 0.01}
    found = discovery_stability(wavy, study, seed=0, n_seeds=4, **options)
    assert found.least_agreement < 0.9
    alone = [m_learner(wavy, study, seed=s, **options) for s in found.runs.index]
    for i, groups in enumerate(alone):
        run = found.runs.iloc[i]
        assert run["subgroups"] == groups.effects.sizes["subgroup"]
        assert run["leaves"] == len(groups.profile.leaves)
        assert run["covariates"] == ", ".join(sorted(groups.profile.covariates))
        ari = adjusted_rand_score(alone[0].labels, groups.labels)
        assert found.pairwise.iloc[0, i] == run["agreement"] == pytest.approx(ari)
    n = [groups.effects.sizes["subgroup"] for groups in alone]
    assert found.same_number == np.mean([k == n[0] for k in n[1:]])
    asked = [set(groups.profile.covariates) for groups in alone]
    assert found.same_covariates == np.mean([a == asked[0] for a in asked[1:]])


def test_the_map_is_passed_on_and_jobs_change_nothing():
    rng = np.random.default_rng(8)
    study, truth = fake_study(rng, n_units=40)
    effect = fake_effect(rng, truth, chains=1, draws=20)
    options = {"seed": 2, "n_seeds": 2, "largest_k": 2}
    mapped = discovery_stability(effect, study, embed=Tsne(max_iter=251), **options)
    with parallel_config(backend="threading"):  # processes take seconds to start
        again = discovery_stability(effect, study, embed=Tsne(max_iter=251), n_jobs=2, **options)
    pd.testing.assert_frame_equal(mapped.runs, again.runs)
    with pytest.raises(SpecError, match="perplexity must be"):
        discovery_stability(effect, study, embed=Tsne(perplexity=50), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_seeds": 1}, "n_seeds must be a whole number, at least 2"),
        ({"seed": -3}, "seed must be a whole number"),
        ({"largest_k": 1}, "largest_k must be"),
    ],
)
def test_a_comparison_that_makes_no_sense_is_refused(known, options, message):
    with pytest.raises(SpecError, match=message):
        discovery_stability(known[1], known[0], **{"seed": 1, **options})
