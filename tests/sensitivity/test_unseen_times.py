"""Informative censoring: closed forms of small cases, no change without it, and bad input."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from bayes_hte.errors import DataError, SpecError
from bayes_hte.sensitivity.unseen_times import (
    BOTH,
    OTHER,
    REFERENCE,
    informative_censoring,
)

TIME = np.array([1.0, 2.0, 1.0, 4.0])
EVENT = np.array([0, 1, 0, 1])
ARM = np.array([0, 0, 1, 1])
HOW = {"time": TIME, "event": EVENT, "arm": ARM, "horizon": 3.0, "better": "higher"}


def table(unseen=2.0, **changes):
    effect = xr.DataArray(np.array([[0.2, 0.4]]), dims=("chain", "draw"))
    values = np.full((1, 2, 2), unseen)
    found = informative_censoring(effect, values, **(HOW | changes))
    return found.set_index(["applied_to", "factor"])


def test_changes_are_means_over_the_arm_of_the_changed_times():
    found = table(factors=[0.25, 1.0, 4.0])["mean"]
    # min(T, 3) of one of two units goes from 2 to 1 (no earlier than its censoring), or to 3.
    assert found[OTHER, 0.25] == pytest.approx(0.3 - 0.5)
    assert found[REFERENCE, 0.25] == pytest.approx(0.3 + 0.5)
    assert found[OTHER, 4.0] == pytest.approx(0.3 + 0.5)
    assert found[BOTH, 0.25] == found[BOTH, 4.0] == pytest.approx(0.3)
    np.testing.assert_allclose(found.xs(1.0, level="factor"), 0.3)


def test_weights_of_units_enter():
    found = table(factors=[0.25], weights=np.array([1.0, 1.0, 3.0, 1.0]))["mean"]
    assert found[OTHER, 0.25] == pytest.approx(0.3 - 0.75)


def test_probabilities_of_benefit_follow():
    found = table(factors=[0.25, 1.0])["prob_benefit"]
    assert found[OTHER, 0.25] == 0
    assert found[OTHER, 1.0] == 1


def test_impossible_times_and_factors_are_refused():
    with pytest.raises(DataError, match="before the time at which"):
        table(unseen=0.5)
    with pytest.raises(SpecError, match="positive numbers"):
        table(factors=[0.0])
    with pytest.raises(DataError, match="one value per draw"):
        informative_censoring(
            xr.DataArray(np.zeros((1, 2)), dims=("chain", "draw")), np.ones((1, 2, 3)), **HOW
        )


def test_probabilities_change_by_those_who_pass_the_horizon():
    """Of one censored unit in two a later event moves survival by a half, and incidence back."""
    alive = table(estimand="survival", factors=[1.0, 4.0])["mean"]
    assert alive[OTHER, 1.0] == pytest.approx(0.3)
    assert alive[OTHER, 4.0] == pytest.approx(0.3 + 0.5)
    of_cause = np.array([[[True, False], [True, True]]])
    risk = table(estimand="cumulative_incidence", of_cause=of_cause, factors=[1.0, 4.0])["mean"]
    assert risk[REFERENCE, 4.0] == pytest.approx(0.3 + 0.5)
    # In half of the draws the unseen event of the other arm is of another cause.
    assert risk[OTHER, 4.0] == pytest.approx(0.3 - 0.25)
    with pytest.raises(DataError, match="of_cause"):
        table(estimand="cumulative_incidence")
