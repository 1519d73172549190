"""Seeds: one check of the seed that the user gave, and every way to derive others from it.

A random step takes a seed of its own, derived from the user's seed and the name of the step, so
that no step changes the numbers of another. All results with a fixed seed rest on these functions:
none may ever return other numbers.
"""

from __future__ import annotations

import zlib

import numpy as np

from bayes_hte.errors import SpecError


def check_seed(seed: object) -> int:
    """Return a seed as an ``int`` if it can seed random steps.

    Parameters
    ----------
    seed : object
        The seed that the user gave.

    Returns
    -------
    int

    Raises
    ------
    SpecError
        If it is not a whole number (of Python or NumPy), 0 or more.
    """
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not whole or seed < 0:
        raise SpecError(
            f"seed must be a whole number, 0 or more, got {seed!r}; choose any, such as 1, and "
            "keep it."
        )
    return int(seed)


def new_seed() -> int:
    """Draw a seed from the entropy of the machine, for a user who gave none; below 2**32."""
    return int(np.random.SeedSequence().generate_state(1)[0])


def stage_seed(seed: int, stage: str) -> int:
    """Return the seed of a named stage: equal inputs, equal seed; other stages unaffected.

    Parameters
    ----------
    seed : int
        The seed that the user gave.
    stage : str
        Name of the stage.

    Returns
    -------
    int
        Below 2**31.
    """
    return number_of(np.random.SeedSequence([seed, text_key(stage)]))


def several_seeds(seed: int, n: int) -> list[int]:
    """Return seeds of the steps of one procedure, in the order of the steps.

    Parameters
    ----------
    seed : int
        The seed of the procedure.
    n : int
        Number of steps. More steps leave the seeds of the first ones as they are.

    Returns
    -------
    list of int
        Each below 2**32.
    """
    return [int(s) for s in np.random.SeedSequence(seed).generate_state(n)]


def children(
    seed: int | np.random.SeedSequence, n: int, *, key: tuple[int, ...] = ()
) -> list[np.random.SeedSequence]:
    """Return independent sequences, for work that is repeated or draws streams of its own.

    Parameters
    ----------
    seed : int or SeedSequence
        The seed of all of them, or the sequence that they descend from.
    n : int
        Number of sequences.
    key : tuple of int, optional
        Identifies one of several families of children of the same seed.

    Returns
    -------
    list of SeedSequence
        `numpy.random.default_rng` takes each; :func:`number_of` makes it a number.
    """
    if isinstance(seed, np.random.SeedSequence):
        return seed.spawn(n)
    return np.random.SeedSequence(seed, spawn_key=key).spawn(n)


def number_of(sequence: np.random.SeedSequence) -> int:
    """Return a sequence as one seed below 2**31, which every sampler takes and a table can show."""
    return int(sequence.generate_state(1)[0] >> 1)


def text_key(text: str) -> int:
    """Return a number below 2**32 that is a function of a text, the same on every machine."""
    return zlib.crc32(text.encode())
