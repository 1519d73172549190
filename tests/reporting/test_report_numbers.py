from __future__ import annotations

import pytest

from bayes_hte.effects.summaries import probability_words
from bayes_hte.reporting.page.numbers import (
    against,
    decimals_for,
    number,
    percent,
    plain,
    probability,
    span,
)


@pytest.mark.parametrize(
    ("spreads", "expected"),
    [
        ([0.03, 2.0], 3),
        ([0.0075], 4),
        ([1.2], 1),
        ([12.0], 0),
        ([250.0], 0),
        ([0.0, float("nan")], 3),
    ],
)
def test_decimals_show_the_smallest_spread_with_two_digits(spreads, expected):
    assert decimals_for(spreads) == expected


def test_numbers_have_a_real_minus_and_no_negative_zero():
    assert number(-0.126, 2) == "\u22120.13"
    assert number(-0.0004, 3) == "0.000"
    assert span(-1.0, 2.0, 1) == "\u22121.0 to 2.0"
    assert number(float("nan"), 2) == "not available"


def test_no_probability_is_shown_as_certain():
    assert probability(1.0) == "> 0.99"
    assert probability(0.0) == "< 0.01"
    assert probability(0.9494) == "0.95"
    assert against(0.9494, 0.95) == "0.949"
    assert against(0.96, 0.95) == "0.96"
    assert probability_words(1.0) == "above 0.999"
    assert probability_words(0.0) == "below 0.001"


def test_cells_of_check_tables():
    assert plain(True) == "yes"
    assert plain(1.23456) == "1.235"
    assert plain(-2.0) == "\u22122"
    assert plain(float("nan")) == "\u2014"
    assert plain("a-b") == "a-b"
    assert percent(0.5) == "50.0%"
