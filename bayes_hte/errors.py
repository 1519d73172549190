"""The errors and warnings of the package, in one tree.

Every error that a user can cause derives from :class:`BayesHTEError`; the command line turns each
of them into one or two lines and an exit status. So every message stands alone: what was got, what
is allowed, what to try.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable
from pathlib import Path


class BayesHTEError(Exception):
    """Base of every error raised on purpose by this package."""


class DataError(BayesHTEError, ValueError):
    """The data cannot be used as declared (missing columns, NaN, wrong values, too few rows)."""


class SpecError(BayesHTEError, ValueError):
    """A study file or an option is not understood or contradicts another one."""


class UnsupportedError(SpecError):
    """Each option is valid alone, but their combination is not implemented."""


class NotIdentifiedError(BayesHTEError):
    """The declared design does not identify the quantity that was asked for."""


class SamplingError(BayesHTEError, RuntimeError):
    """A sampler stopped or returned draws that cannot be used at all."""


class NotJudgedError(BayesHTEError, AttributeError):
    """A result of exploration was asked for a decision that it does not hold."""


class SavedResultError(BayesHTEError):
    """A saved stage is missing, damaged, or belongs to another study."""


class MissingDependencyError(BayesHTEError, ImportError):
    """An optional package is needed for this; the message says what to install."""


class BayesHTEWarning(UserWarning):
    """Base of every warning issued by this package."""


class UnhealthySamplingWarning(BayesHTEWarning):
    """The draws failed the checks of sampling health: they are kept, and must not be used."""


class LargeStudyWarning(BayesHTEWarning):
    """Sampling will be slow or mix badly at this number of units; the message says what to do."""


class DoubtfulOptionWarning(BayesHTEWarning):
    """An option is allowed and probably not meant; the message says what to write instead."""


def warn(message: str, category: type[BayesHTEWarning]) -> None:
    """Issue a warning that points at the line outside this package that led to it."""
    warnings.warn(message, category, skip_file_prefixes=(str(Path(__file__).parent),))


# What users of other packages call something, and our names for it.
ALIASES: dict[str, tuple[str, ...]] = {
    "binomial": ("bernoulli",),
    "binary": ("bernoulli",),
    "logistic": ("bernoulli",),
    "logit": ("bernoulli",),
    "normal": ("gaussian",),
    "continuous": ("gaussian",),
    "count": ("poisson", "negative_binomial"),
    "counts": ("poisson", "negative_binomial"),
    "nb": ("negative_binomial",),
    "negbin": ("negative_binomial",),
    "bart": ("forest",),
    "trees": ("forest",),
    "gam": ("additive",),
    "spline": ("additive",),
}


def unknown_name(
    kind: str,
    got: str,
    known: Iterable[str],
    error: type[BayesHTEError] = SpecError,
) -> BayesHTEError:
    """Build the error for a name that is not in a closed list, naming what was probably meant.

    Parameters
    ----------
    kind : str
        What the name should have been, for the message (``"learner"``, ``"key"``).
    got : str
        The name received.
    known : iterable of str
        The allowed names.
    error : type of BayesHTEError, default SpecError
        The class to build.

    Returns
    -------
    BayesHTEError
        Ready to be raised by the caller.
    """
    allowed = sorted(str(name) for name in known)
    meant = [name for name in ALIASES.get(str(got).lower(), ()) if name in allowed]
    near = meant or difflib.get_close_matches(str(got), allowed, n=1)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return error(f"unknown {kind} {got!r}.{hint} Known: {', '.join(allowed) or '(none)'}.")
