from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

from bayes_hte.errors import SpecError
from bayes_hte.mixtures import (
    draw_frame,
    identifiability,
    mixture_arrays,
    moment_posterior,
    paper_design,
)
from bayes_hte.mixtures.agreement import compare_posteriors, overlap_coefficient


def moments_of(delta: float, n: int, edges=("Z-T",), seed: int = 0):
    frame = draw_frame(paper_design(delta, 0.5), n, rng=np.random.default_rng(seed))
    data = mixture_arrays(frame["z"], frame["x"], frame["t"], frame["y"])
    graph = identifiability(k=2, z_levels=[2], x_levels=[2], edges=edges)
    return moment_posterior(data, graph, rng=np.random.default_rng(seed + 1), draws=1000)


@pytest.fixture(scope="module")
def moments():
    return moments_of(0.5, 4000)


def likelihood_near(moments, shift: float = 0.0, swap: bool = False) -> xr.Dataset:
    """Draws a little narrower than the moments', class 1's effect moved by `shift` of their sd."""
    names = ["ate", "effects", "probabilities", "class_means"]
    middle = moments.draws[names].median(("chain", "draw"))
    draws = middle + 0.8 * (moments.draws[names] - middle)
    sd = float(moments.draws["effects"].isel({"class": 1}).std())
    draws["effects"] = draws["effects"] + xr.DataArray([0, shift * sd], dims="class")
    return draws.isel({"class": [1, 0]}) if swap else draws


@pytest.mark.parametrize(("distance", "scale"), [(0.5, 1.0), (2.0, 1.0), (0.0, 0.4)])
def test_overlap_is_the_shared_area_of_two_normals(distance, scale):
    rng = np.random.default_rng(3)
    grid = np.linspace(-12, 12, 40001)
    shared = np.minimum(norm.pdf(grid), norm.pdf(grid, distance, scale))
    exact = float(shared.sum() * (grid[1] - grid[0]))
    got = overlap_coefficient(rng.normal(size=40_000), rng.normal(distance, scale, size=20_000))
    assert got == pytest.approx(exact, abs=0.03)  # bins and noise


def test_overlap_ignores_single_far_draws_and_is_bounded():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(2, 5000))
    b[:5] = 1e6
    assert overlap_coefficient(a, b) > 0.9
    assert overlap_coefficient(a, a) == pytest.approx(1)
    assert overlap_coefficient(a, b + 2e6) < 1e-3


def test_posteriors_about_one_centre_agree(moments):
    found = compare_posteriors(likelihood_near(moments), moments)
    assert found.answer == "agree"
    assert found.reasons
    assert (found.table["distance"] < 1e-9).all()
    assert (found.table["overlap"] > 0.75).all()


def test_distance_is_in_sd_of_the_moments_and_decides(moments):
    near = compare_posteriors(likelihood_near(moments, shift=1.2), moments)
    far = compare_posteriors(likelihood_near(moments, shift=2.0), moments)
    assert near.answer == "agree"
    assert far.answer == "disagree"
    assert far.table.loc[("effects", 1), "distance"] == pytest.approx(2, rel=0.15)
    assert "effect of class 1" in far.reasons[0]
    assert not any("effect of class 0" in reason for reason in far.reasons)


def test_a_far_more_precise_likelihood_may_be_further_away(moments):
    shifted = likelihood_near(moments, shift=1.8)
    middle = shifted.median(("chain", "draw"))
    precise = middle + 0.2 * (shifted - middle)
    assert compare_posteriors(shifted, moments).answer == "disagree"
    found = compare_posteriors(precise, moments)
    assert found.answer == "agree"
    assert found.table.loc[("effects", 1), "allowed"] == pytest.approx(2.2 * 0.96**0.5, rel=0.02)
    too_far = likelihood_near(moments, shift=2.6)
    middle = too_far.median(("chain", "draw"))
    assert compare_posteriors(middle + 0.2 * (too_far - middle), moments).answer == "disagree"


def test_classes_are_paired_by_their_outcome_means(moments):
    found = compare_posteriors(likelihood_near(moments, swap=True), moments)
    assert found.answer == "agree"
    assert found.table.loc[("effects", 0), "moments_median"] > 0


def test_weak_proxies_are_not_identifiable_here():
    weak = moments_of(0.1, 500)
    found = compare_posteriors(likelihood_near(moments_of(0.5, 500)), weak)
    assert found.answer == "not identifiable here"
    assert any("weak" in reason for reason in found.reasons)
    assert np.isnan(found.table.loc[("effects", 0), "moments_median"])
    assert np.isfinite(found.table.loc[("ate", -1), "likelihood_median"])


def test_doubts_about_the_likelihood_stop_the_comparison(moments):
    found = compare_posteriors(likelihood_near(moments), moments, doubts=["Chains disagree."])
    assert found.answer == "not identifiable here"
    assert found.reasons == ("Chains disagree.",)


def test_without_moments_there_is_nothing_to_compare_with(moments):
    found = compare_posteriors(likelihood_near(moments), None)
    assert found.answer == "not identifiable here"
    assert "levels" in found.reasons[0]


def test_moments_without_any_solution_are_no_agreement():
    average_only = moments_of(0.5, 500, edges=("Z-T", "X-Y"))
    likelihood = likelihood_near(moments_of(0.5, 500))
    assert compare_posteriors(likelihood, average_only).answer != "not identifiable here"
    unsolved = replace(average_only, draws=average_only.draws * np.nan)
    found = compare_posteriors(likelihood, unsolved)
    assert found.answer == "not identifiable here"
    assert "usable solution" in found.reasons[0]


def test_with_an_x_y_edge_only_the_average_effect_is_compared(moments):
    average_only = moments_of(0.5, 4000, edges=("Z-T", "X-Y"))
    found = compare_posteriors(likelihood_near(moments, shift=9), average_only)
    assert found.table.index.tolist() == [("ate", -1)]
    assert found.answer == "agree"


def test_the_interval_travels_with_the_table(moments):
    found = compare_posteriors(likelihood_near(moments), moments, ci_prob=0.5, ci_kind="hdi")
    assert set(found.table["ci_prob"]) == {0.5}
    assert set(found.table["ci_kind"]) == {"hdi"}
    with pytest.raises(SpecError, match="ci_prob"):
        compare_posteriors(likelihood_near(moments), moments, ci_prob=95)
