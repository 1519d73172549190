"""The works that the methods text and the checklists may cite."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Final

from markupsafe import Markup

from bayes_hte.reporting.page.markup import text

_DOI = re.compile(r"doi:\s*(10\.\S*[^\s.,;)])")
_FILE = resources.files("bayes_hte.reporting.methods").joinpath("references.toml")


@dataclass(frozen=True)
class Reference:
    """A published work.

    Attributes
    ----------
    short : str
        As cited in a text, e.g. ``"Rubin 1981"``.
    full : str
        As listed, with ``doi:...`` where there is one.
    """

    short: str
    full: str


REFERENCES: Final[dict[str, Reference]] = {
    key: Reference(short, full)
    for key, (short, full) in tomllib.loads(_FILE.read_text("utf-8")).items()
}


def linked(reference: str) -> Markup:
    """Return a reference as safe HTML, its DOI a link."""
    link = r'<a href="https://doi.org/\1">doi:\1</a>'
    return Markup(_DOI.sub(link, text(reference)))
