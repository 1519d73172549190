"""Entries that the docstrings of several functions share, written once."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

# The sections of a docstring, in their order.
SECTIONS = ("Parameters", "Returns", "Yields", "Raises", "See Also", "Notes", "References")


def documented[F: Callable[..., Any]](entries: Mapping[str, str]) -> Callable[[F], F]:
    """Return a decorator that adds entries to the docstring of a function.

    The entries go to the end of their sections; a section that the docstring lacks is made. The
    function itself stays as it is.

    Parameters
    ----------
    entries : mapping of str to str
        Section, such as ``"Parameters"``, to the lines that it gets.

    Returns
    -------
    callable
        The decorator.
    """

    def complete(function: F) -> F:
        if function.__doc__:  # python -OO strips docstrings
            function.__doc__ = _with_entries(inspect.cleandoc(function.__doc__), entries)
        return function

    return complete


def _with_entries(text: str, entries: Mapping[str, str]) -> str:
    summary, *parts = re.split(r"\n\n(?=[A-Z][\w ]+\n-{3})", text)
    sections = {part.partition("\n")[0]: part for part in parts}
    for title, lines in entries.items():
        sections[title] = f"{sections.get(title, f'{title}\n{"-" * len(title)}')}\n{lines}"
    titles = sorted(sections, key=[*SECTIONS, *sections].index)
    return "\n\n".join([summary, *(sections[title] for title in titles)])
