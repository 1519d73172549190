"""One seed for each named step, derived from the seed that the user gave."""

from __future__ import annotations

import zlib

import numpy as np


def stage_seed(seed: int, stage: str) -> int:
    """Return the seed of a named stage: equal inputs, equal seed; other stages unaffected.

    Parameters
    ----------
    seed : int
        The seed at the front door.
    stage : str
        Name of the stage.

    Returns
    -------
    int
        Below 2**31.
    """
    sequence = np.random.SeedSequence([seed, zlib.crc32(stage.encode())])
    return int(sequence.generate_state(1)[0] >> 1)
