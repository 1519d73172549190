"""An item of a checklist, and a checklist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import pandas as pd

State = Literal["filled from the run", "for the author", "not applicable"]
FILLED: Final = "filled from the run"
AUTHOR: Final = "for the author"
NOT_APPLICABLE: Final = "not applicable"
NAMES: Final = {"path": "PATH", "iceman": "ICEMAN", "agrema": "AGReMA", "barg": "BARG"}
STATES: Final[tuple[State, ...]] = (FILLED, AUTHOR, NOT_APPLICABLE)


@dataclass(frozen=True)
class Item:
    """One item, in words of this package.

    Attributes
    ----------
    item : str
        The request.
    known : str
        What the run knows about it; plain text.
    state : State
        Whether that answers the item.
    section : str
        Key of the section of the report that shows more; empty for none.
    files : tuple of str
        Keys of the tables that hold the numbers.
    """

    item: str
    known: str
    state: State
    section: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checklist:
    """A filled checklist.

    Attributes
    ----------
    key : str
        Short name, also that of its reference; one of :data:`NAMES`.
    purpose : str
        Its purpose, and what to bear in mind; plain text.
    items : tuple of Item
        In order.
    """

    key: str
    purpose: str
    items: tuple[Item, ...]

    @property
    def name(self) -> str:
        """Its usual name."""
        return NAMES[self.key]

    @property
    def table_key(self) -> str:
        """Key of the table, and name of the file."""
        return f"checklist_{self.key}"

    def table(self) -> pd.DataFrame:
        """Return one row per item; files are separated by blanks."""
        rows = [
            {
                "number": number,
                "item": item.item,
                "known": item.known,
                "section": item.section,
                "files": " ".join(f"{key}.csv" for key in item.files),
                "state": item.state,
            }
            for number, item in enumerate(self.items, start=1)
        ]
        return pd.DataFrame(rows)
