"""Checks of a fit, one per module, in one form: a ``NAME`` and a function ``check(subject)``.

The other modules are shared by checks: ``base`` and ``subject`` (the form), ``altered_studies``,
``refitting`` and ``refutation_judges`` (refitting where the answer is known) and ``null_studies``
(studies in which effects are equal). Exports are resolved on first use, so that a module of a lower
layer can import ``base`` alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_EXPORTS = {
    "Check": "base",
    "CheckResult": "base",
    "Subject": "subject",
    "calibration_check": "loo_pit",
    "not_judged": "base",
}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    """Import an exported name on first use."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    """List the exported names."""
    return __all__
