"""The compiled slice step: Neal's, with stepping out and shrinkage, on a scale without bounds.

References
----------
Neal, R. M. (2003). Slice sampling. Annals of Statistics 31, 705-767. doi:10.1214/aos/1056562461
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

# A division by 0 is infinite, as in NumPy.
PLAIN = {"error_model": "numpy"}
WIDTH = 2.0  # of a first interval; scales are sampled on the log scale
STEPS = 32  # most intervals of stepping out
CLOSED = 1e-12  # an interval shorter than this holds its start alone


def slice_step(log_density: Callable[..., float]) -> Any:
    """Compile the slice step of one density; a compiled argument would keep it out of the cache.

    Parameters
    ----------
    log_density : compiled function
        Of a number, and a tuple of whatever else it depends on.

    Returns
    -------
    compiled function
        Of the present value, that tuple, the width of a first interval, and a generator; returns
        the next value.
    """

    @numba.njit(**PLAIN)
    def step(x, args, width, rng):
        height = log_density(x, args) - rng.standard_exponential()
        low = x - width * rng.random()
        high = low + width
        left = int(STEPS * rng.random())
        for _ in range(left):
            if not log_density(low, args) > height:
                break
            low -= width
        for _ in range(STEPS - 1 - left):
            if not log_density(high, args) > height:
                break
            high += width
        # Only a density that is not a number lets the interval close.
        while high - low > CLOSED:
            new = low + (high - low) * rng.random()
            if log_density(new, args) > height:
                return new
            if new < x:
                low = new
            else:
                high = new
        return x

    return step
