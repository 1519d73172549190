"""The errors and warnings of the package, in one tree.

Every error a user can cause derives from :class:`BayesHTEError`; the command line turns each of
them into one or two lines and an exit status, so their messages must stand alone: what was got,
what is allowed, what to try.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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


class SavedResultError(BayesHTEError):
    """A saved stage is missing, damaged, or belongs to another study."""


class MissingDependencyError(BayesHTEError, ImportError):
    """An optional package is needed for this; the message says what to install."""


class BayesHTEWarning(UserWarning):
    """Base of every warning issued by this package."""


class UnhealthySamplingWarning(BayesHTEWarning):
    """The sampling health gate failed: results are kept, and must not be trusted."""


class LargeStudyWarning(BayesHTEWarning):
    """Sampling will be slow or mix badly at this number of units; the message says what to do."""


def unknown_name(
    kind: str,
    got: str,
    known: Iterable[str],
    error: type[BayesHTEError] = SpecError,
) -> BayesHTEError:
    """Build the error for a name that is not in a closed list, naming the nearest known one.

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
    near = difflib.get_close_matches(str(got), allowed, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return error(f"unknown {kind} {got!r}.{hint} Known: {', '.join(allowed) or '(none)'}.")
