"""How numbers are written for a reader; the CSV files hold them in full."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from bayes_hte.effects.summaries import probability_words

MINUS = "\N{MINUS SIGN}"
_MOST_DECIMALS = 6


@dataclass(frozen=True)
class Style:
    """How an effect is written: its decimals, and the factor to the unit that readers see."""

    decimals: int
    factor: float = 1.0

    @property
    def finer(self) -> Style:
        """The same with one decimal more."""
        return Style(self.decimals + 1, self.factor)


def decimals_for(spreads: Iterable[float]) -> int:
    """Return the decimals that show the smallest spread with two significant digits.

    Parameters
    ----------
    spreads : iterable of float
        Posterior standard deviations of the numbers that will be shown together.

    Returns
    -------
    int
        Between 0 and 6; 3 where no spread is positive.
    """
    positive = [s for s in spreads if math.isfinite(s) and s > 0]
    if not positive:
        return 3
    return min(max(1 - math.floor(math.log10(min(positive))), 0), _MOST_DECIMALS)


def number(value: float, decimals: int | Style) -> str:
    """Write a number with a real minus sign and no negative zero."""
    if isinstance(decimals, Style):
        value, decimals = decimals.factor * value, decimals.decimals
    if not math.isfinite(value):
        return "not available"
    text = f"{abs(value):.{decimals}f}"
    return (MINUS if value < 0 and float(text) != 0 else "") + text


def span(lower: float, upper: float, decimals: int | Style) -> str:
    """Write an interval as ``"lower to upper"``."""
    return f"{number(lower, decimals)} to {number(upper, decimals)}"


def probability(value: float) -> str:
    """Write a posterior probability with two digits, e.g. ``"0.93"`` or ``"< 0.01"``.

    Never as exactly 0 or 1: a share of draws is an estimate.
    """
    if not math.isfinite(value):
        return "not available"
    if value < 0.005:
        return "< 0.01"
    return "> 0.99" if value >= 0.995 else f"{value:.2f}"


def against(value: float, required: float) -> str:
    """Write a probability that is compared with a required one, so that both read differently."""
    words = probability(value)
    clear = words[0] in "<>" or (float(words) >= required) == (value >= required)
    return words if clear else probability_words(value)


def percent(share: float) -> str:
    """Write a share as a percentage with one decimal."""
    return f"{100 * share:.1f}%" if math.isfinite(share) else "not available"


def percent_span(lower: float, upper: float) -> str:
    """Write an interval of shares."""
    return f"{percent(lower)} to {percent(upper)}"


def plain(value: object) -> str:
    """Write any cell of a check's table: numbers with four significant digits, the rest as is."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if math.isnan(value):
            return "\N{EM DASH}"
        return f"{value:.4g}".replace("-", MINUS)
    return str(value)
