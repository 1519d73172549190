"""Seeds: what may be one, and derived seeds that no version may change."""

from __future__ import annotations

import numpy as np
import pytest

from bayes_hte.errors import SpecError
from bayes_hte.seeds import (
    check_seed,
    children,
    new_seed,
    number_of,
    several_seeds,
    stage_seed,
    text_key,
)


@pytest.mark.parametrize("seed", [-1, 1.0, True, "1", None, [1], np.float64(2), np.int64(-3)])
def test_a_seed_that_cannot_seed_is_refused(seed):
    with pytest.raises(SpecError, match="seed must be a whole number, 0 or more, got"):
        check_seed(seed)


@pytest.mark.parametrize("seed", [0, 5, np.int32(5), np.uint64(2**40), 2**70])
def test_whole_numbers_of_python_and_numpy_are_seeds(seed):
    assert check_seed(seed) == seed
    assert type(check_seed(seed)) is int


def test_derived_seeds_are_those_that_saved_results_were_sampled_with():
    assert stage_seed(7, "outcome") == 613373901
    assert several_seeds(7, 3) == [2083679832, 3939563265, 4185785210]
    assert [number_of(child) for child in children(7, 2)] == [600562731, 1809491585]
    grandchildren = children(children(7, 3)[2], 2)
    assert [number_of(child) for child in grandchildren] == [842701051, 1365868735]
    drawing, fitting = children(7, 2, key=(text_key("placebo"), 4))
    assert number_of(fitting) == 278501649
    assert np.random.default_rng(drawing).random() == 0.47529894868485223
    assert text_key("clinic 3") == 1480737114


def test_more_steps_leave_the_seeds_of_the_first_as_they_are():
    assert several_seeds(3, 6)[:2] == several_seeds(3, 2)


def test_a_seed_that_was_drawn_can_be_given_again():
    assert check_seed(new_seed()) < 2**32
