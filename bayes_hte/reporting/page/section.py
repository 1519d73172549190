"""What a section of the report receives and returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bayes_hte.reporting.page.numbers import decimals_for
from bayes_hte.reporting.results import Results


@dataclass(frozen=True)
class Material:
    """Everything a section may show.

    Attributes
    ----------
    results : Results
        The run.
    tables : mapping of str to DataFrame
        Every number, by the key of its CSV file.
    """

    results: Results
    tables: Mapping[str, pd.DataFrame]

    @property
    def decimals(self) -> int:
        """Decimals of every effect in the report, from the most precise average."""
        return decimals_for(self.tables["average_effects"]["sd"])


@dataclass(frozen=True)
class Section:
    """A section of the report: its heading (plain text) and its content (safe HTML)."""

    key: str
    heading: str
    body: str
