"""What must not change the numbers does not, and what changes them does so as arithmetic says.

Exactly equal: another name or order of rows' labels, names of columns, other types of the same
values. Up to rounding: an outcome in other units. Relabelled arms and permuted rows or columns
give other draws from the same posterior (the sampler visits units, covariates and arms in the order
of the data), so there the averages agree up to Monte Carlo error.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from tests.trial import trial_frame

N = 60
ROLES = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "dose", "site"]}
SIZE = {"seed": 3, "draws": 60, "tune": 60, "chains": 2, "cores": 1, "progress": False}
SIZE |= {"stack_with": (), "surface": "forest"}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    made = trial_frame(n=N).drop(columns="m")
    return made.assign(dose=np.arange(N) % 7)


def effects_of(frame: pd.DataFrame, *, reference: object = 0, size=SIZE, **roles) -> np.ndarray:
    """Return draws of every unit's effect, shape (chain, draw, unit)."""
    study = hte.Study.from_frame(frame, **{**ROLES, **roles}, reference=reference)
    return hte.fit(study, **size).cate().to_numpy()


@pytest.fixture(scope="module")
def plain(frame) -> np.ndarray:
    return effects_of(frame)


# ---------------------------------------------------------------- exactly the same


def renamed(frame):
    names = {"y": "=cmd()", "treat": "<b>t</b>", "x1": "x/1", "dose": "unit", "site": "$x$"}
    roles = {"outcome": "=cmd()", "treatment": "<b>t</b>", "covariates": ["x/1", "unit", "$x$"]}
    return frame.rename(columns=names), roles


SAME = {
    "names of columns": renamed,
    "order of unused columns": lambda frame: (frame[frame.columns[::-1]], {}),
    "labels of rows": lambda frame: (frame.set_axis([f"id {i}" for i in range(N)]), {}),
    "float for int": lambda frame: (frame.astype({"dose": float, "treat": float}), {}),
    "small integers": lambda frame: (frame.astype({"dose": "int8", "treat": "uint8"}), {}),
    "nullable": lambda frame: (frame.astype({"dose": "Int64", "x1": "Float64"}), {}),
    "categories": lambda frame: (frame.astype({"site": "category"}), {}),
    "a level that no unit has": lambda frame: (
        frame.assign(site=pd.Categorical(frame["site"], ["north", "south", "west", "zoo"])),
        {},
    ),
    "objects": lambda frame: (frame.astype({"site": object, "dose": object}), {}),
    "pyarrow": lambda frame: (frame.convert_dtypes(dtype_backend="pyarrow"), {}),
    "names of levels": lambda frame: (
        frame.assign(site=frame["site"].map({"north": "=1+1", "south": "a b", "west": "ß"})),
        {},
    ),
    "words for arms": lambda frame: (
        frame.assign(treat=frame["treat"].map({0: "usual care", 1: "<b>new</b>"})),
        {"reference": "usual care"},
    ),
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_the_numbers_stay_exactly_the_same(frame, plain, change):
    changed, roles = change(frame)
    np.testing.assert_array_equal(effects_of(changed, **roles), plain)


# ---------------------------------------------------------------- as arithmetic says


@pytest.mark.parametrize(("shift", "scale"), [(100.0, 1.0), (0.0, 10.0), (-3.0, 0.01)])
def test_an_outcome_in_other_units_has_effects_in_those_units(frame, plain, shift, scale):
    found = effects_of(frame.assign(y=shift + scale * frame["y"]))
    np.testing.assert_allclose(found / scale, plain, rtol=0, atol=1e-6)


# ---------------------------------------------------------------- the same posterior, drawn anew

LONGER = SIZE | {"draws": 200, "tune": 150}


@pytest.fixture(scope="module")
def longer(frame) -> np.ndarray:
    return effects_of(frame, size=LONGER)


def assert_same_posterior(first: np.ndarray, second: np.ndarray, alike: float = 0.85) -> None:
    """Compare average effects, and means of units, as far as 400 draws allow."""
    assert abs(first.mean() - second.mean()) < 0.5 * first.mean(axis=2).std()
    means = [draws.mean(axis=(0, 1)) for draws in (first, second)]
    assert np.corrcoef(*means)[0, 1] > alike


def test_relabelled_arms_turn_the_sign(frame, longer):
    assert_same_posterior(longer, -effects_of(frame, reference=1, size=LONGER))


def test_rows_in_another_order_have_the_same_effects(frame, longer):
    order = np.random.default_rng(4).permutation(N)
    moved = np.empty_like(longer)
    moved[:, :, order] = effects_of(frame.iloc[order], size=LONGER)
    assert_same_posterior(longer, moved)


def test_covariates_in_another_order_have_the_same_effects(frame, longer):
    moved = effects_of(frame, covariates=ROLES["covariates"][::-1], size=LONGER)
    assert_same_posterior(longer, moved)


def test_a_level_that_is_there_under_two_names_has_the_same_effects(frame, longer):
    """Half of one site goes by another name; nothing else about its units differs.

    Trees may divide the two halves then, so the posterior is not the same one, only close to it.
    """
    doubled = frame["site"].mask((frame["site"] == "north") & (frame.index % 2 == 0), "north 2")
    assert doubled.nunique() == frame["site"].nunique() + 1
    found = effects_of(frame.assign(site=doubled), size=LONGER)
    assert_same_posterior(longer, found, alike=0.75)


def test_a_covariate_that_is_there_twice_has_the_same_effects(frame, longer):
    twice = frame.assign(again=frame["x1"])
    found = effects_of(twice, covariates=[*ROLES["covariates"], "again"], size=LONGER)
    assert_same_posterior(longer, found)


def test_the_units_of_another_order_are_not_the_same(longer):
    """The comparison of posteriors can fail: effects of other units are seen."""
    with pytest.raises(AssertionError):
        assert_same_posterior(longer, np.roll(longer, 7, axis=2), alike=0.75)


def test_other_data_have_other_numbers(frame, plain):
    """The comparisons above can fail: one value that differs is seen."""
    changed = frame.assign(y=frame["y"].where(frame.index != 3, frame["y"] + 0.5))
    assert not np.array_equal(effects_of(changed), plain)
