"""Compiled functions whose machine code is kept on disk until anything that it contains changes."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable
from functools import cached_property
from types import FunctionType
from typing import Any

import numba
import numpy as np
from numba.core.caching import FunctionCache

# Sums may be reordered (that is what makes them vector code); NaN and infinity keep their meaning.
FAST = {"reassoc", "contract", "nsz"}
# Values that machine code contains, wherever they were imported from.
PLAIN_VALUES = (bool, int, float, str, tuple, np.generic)


def compiled_on_disk(**options: Any) -> Callable[[FunctionType], Any]:
    """Compile a function as ``numba.njit(cache=True)`` does, and notice changes of all files.

    Numba keeps machine code until the file of the function changes. That of functions which it
    calls is a part of it, and numba would go on with the old one after a change of their files:
    results of an older version, without a word. Here a digest of those files is a part of the key.

    Parameters
    ----------
    **options
        Those of ``numba.njit``.

    Returns
    -------
    callable
        The decorator.

    Examples
    --------
    >>> from bayes_hte.surfaces.forest.kernel import sweep_forests
    >>> sorted(name.rpartition(".")[2] for name in modules_within(sweep_forests.py_func))
    ['kernel', 'moves', 'rows', 'rules', 'shares']
    """

    def decorate(function: FunctionType) -> Any:
        dispatcher = numba.njit(**options)(function)
        dispatcher._cache = _CacheOfAllFiles(function)
        return dispatcher

    return decorate


def modules_within(function: FunctionType) -> set[str]:
    """Return the modules of a function and of all compiled functions that it calls.

    Parameters
    ----------
    function : function
        Plain Python, as it was before it was compiled.

    Returns
    -------
    set of str
        Full names.
    """
    return {inner.__module__ for inner in _functions_within(function)}


def _functions_within(function: FunctionType) -> set[FunctionType]:
    found, todo = set(), [function]
    while todo:
        here = todo.pop()
        if here not in found:
            found.add(here)
            todo += [v.py_func for v in _named(here).values() if hasattr(v, "py_func")]
    return found


def _named(function: FunctionType) -> dict[str, Any]:
    """Return the objects from outside that a function names."""
    outside = inspect.getclosurevars(function)
    return {**outside.globals, **outside.nonlocals}


class _CacheOfAllFiles(FunctionCache):
    """Numba's cache, with the files and constants of all functions called in the key."""

    @cached_property
    def _digest(self) -> str:
        functions = _functions_within(self._py_func)
        digest = hashlib.sha256()
        for module in sorted({f.__module__ for f in functions}):
            digest.update(inspect.getsource(sys.modules[module]).encode())
        constants = {
            f"{f.__module__}.{name}={value!r}"
            for f in functions
            for name, value in _named(f).items()
            if isinstance(value, PLAIN_VALUES)
        }
        digest.update("\n".join(sorted(constants)).encode())
        return digest.hexdigest()

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return (*super()._index_key(sig, codegen), self._digest)
