from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from bayes_hte.mixtures.class_counts import compare_class_counts


def fit_with(k, sd):
    """A stand-in for a fit: forty rows, each seen three times, whose scores vary by `sd`."""
    rng = np.random.default_rng(k)
    values = rng.normal(-2, sd, size=(4, 200, 40))
    codes = np.arange(40)
    rows = SimpleNamespace(
        z=codes, x=codes, arm=codes % 2, outcome=codes, count=np.full(40, 3.0), row=codes
    )
    draws = xr.DataArray(values, dims=("chain", "draw", "pattern"))
    return SimpleNamespace(
        identifiability=SimpleNamespace(k=k), patterns=rows, log_likelihood=lambda: draws
    )


@pytest.mark.parametrize(("sd", "passed"), [(0.1, True), (6.0, False)])
def test_scores_that_hang_on_a_few_draws_fail_the_comparison(sd, passed):
    found = compare_class_counts([fit_with(2, 0.1), fit_with(3, sd)])
    assert found.passed is passed
    assert ("unreliable" in found.text) is not passed
    above = found.table.set_index("k")["above"]
    assert above[2] == 0
    assert bool(above[3] > 0.1) is not passed
