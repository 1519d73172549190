"""Input and output of a section of the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bayes_hte.reporting.page.markup import Row
from bayes_hte.reporting.page.numbers import Style, span
from bayes_hte.reporting.page.scale import Scale, scale_of
from bayes_hte.reporting.page.words import interval_phrase
from bayes_hte.reporting.results import Results

AVERAGES = "average_effects"


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
    def scale(self) -> Scale:
        """The scale on which the outcome is read."""
        return scale_of(self.results.spec)

    @property
    def style(self) -> Style:
        """How every effect of the report is written, from the most precise average."""
        return self.scale.style(self.tables[AVERAGES]["sd"])

    def average(self, effect: str) -> Row:
        """Return the row of an effect averaged over the units of the study."""
        frame = self.tables[AVERAGES]
        found = frame[(frame["effect"] == effect) & (frame["population"] == "SATE")]
        return found.iloc[0].to_dict()

    def bounds(self, row: Row, decimals: int | Style | None = None) -> str:
        """Return the interval of a row with its kind, for brackets behind a number."""
        ends = span(row["ci_lower"], row["ci_upper"], self.style if decimals is None else decimals)
        return f"{interval_phrase(self.results)}: {ends}"


@dataclass(frozen=True)
class Section:
    """A section of the report: its heading (plain text) and its content (safe HTML).

    The first section of a page is shown as it is; the others are closed until they are asked for.
    """

    key: str
    heading: str
    body: str
