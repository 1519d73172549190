from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from bayes_hte.errors import SpecError, UnsupportedError
from bayes_hte.mixtures import count_classes, mixture_arrays
from bayes_hte.mixtures.class_counts import compare_class_counts
from tests.mixtures.fake_mixture import mixture_frame
from tests.mixtures.laws import arrays


@pytest.fixture(scope="module")
def frame():
    return mixture_frame(2000)


def test_bic_and_rank_find_the_two_classes(frame):
    found = count_classes(arrays(frame), rng=np.random.default_rng(0), starts=3)
    assert (found.by_bic, found.by_rank) == (2, 2)
    assert found.agree
    assert found.table.loc[2, "n_parameters"] == 13
    assert found.table.loc[2, "bic"] == pytest.approx(
        13 * np.log(2000) - 2 * found.table.loc[2, "log_likelihood"]
    )


def test_one_class_is_named_when_there_is_one():
    rng = np.random.default_rng(13)
    z, x, t, y = rng.integers(2, size=(4, 3000))
    found = count_classes(mixture_arrays(z, x, t, y), rng=rng, starts=1)
    assert (found.by_bic, found.by_rank) == (1, 1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_k": 3}, SpecError, "max_k must be a whole number from 1 to 2"),
        ({"max_k": 1.5}, SpecError, "max_k must be a whole number"),
        ({"starts": 0}, SpecError, "starts must be a whole number, at least 1"),
        ({"rng": 1}, SpecError, "default_rng"),
        ({"family": "student_t"}, UnsupportedError, "compare_class_counts"),
    ],
)
def test_counts_that_cannot_be_made_are_refused(frame, options, error, message):
    with pytest.raises(error, match=message):
        count_classes(arrays(frame), **({"rng": np.random.default_rng(0)} | options))


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
