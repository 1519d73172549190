"""Curves of units like a given one: a small drawing per row of the look-up, and its large frame.

Each row holds its curves as a few paths, so they are read and printed without the script, which
puts those of the chosen row into the frame above the table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from bayes_hte.plots.style import COLOURS
from bayes_hte.reporting.page.markup import csv_link, text
from bayes_hte.reporting.page.numbers import number, span
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import (
    arm_names,
    interval_phrase,
    people,
    time_axis,
    time_unit,
)
from bayes_hte.reporting.tables.lookup_curves import LOOKUP_CURVES

# The area of the curves, in units of the drawing, and the room of its labels.
WIDTH, HEIGHT = 360, 190
LEFT, TOP, RIGHT, BOTTOM = 56, 14, 22, 52
# Patterns of the lines, as in figures: without colours the arms differ too.
DASHES = ("", "14 7")


@dataclass(frozen=True)
class Curves:
    """The curves of every row of a look-up.

    Attributes
    ----------
    material : Material
        The results and their tables.
    top : float
        Probability at the upper end of the axis, the same in all rows.
    """

    material: Material
    top: float

    @classmethod
    def of(cls, material: Material) -> Curves | None:
        """Return the curves of a report; None where there are none."""
        if LOOKUP_CURVES not in material.tables:
            return None
        if not _rises(material):
            return cls(material, 1.0)
        highest = float(material.tables[LOOKUP_CURVES]["ci_upper"].max())
        return cls(material, min(1.0, max(0.1, np.ceil(10 * highest) / 10)))

    @property
    def heading(self) -> str:
        """The heading of the column."""
        causes = self.material.results.study.causes
        if _rises(self.material):
            return f"Risk of {causes[0]}"
        return "Survival without any event" if causes else "Survival"

    def cell(self, row: int) -> str:
        """Return the small drawing of a row, safe HTML."""
        own = self.material.tables[LOOKUP_CURVES].query("row == @row")
        arms = [part.sort_values("time") for _, part in own.groupby("arm_index")]
        paths = "".join(self._band(part, a) for a, part in enumerate(arms))
        paths += "".join(self._line(part, a) for a, part in enumerate(arms))
        return (
            f'<svg class="mini" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{text(self._said(arms))}">{paths}</svg>'
        )

    def frame(self) -> str:
        """Return axes and legend of the large drawing, for the script to fill; safe HTML."""
        results = self.material.results
        keys = "".join(
            f'<span><svg viewBox="0 0 36 10" aria-hidden="true"><path d="M0 5h36" {_stroke(a)}/>'
            f"</svg> {text(name)}</span>"
            for a, name in enumerate(arm_names(results))
        )
        by = f"of {results.study.causes[0]} by" if _rises(self.material) else "of no event until"
        caption = (
            f"Posterior mean probability {by} each time, averaged over these {people(results)}, "
            f"had all of them been in the arm. Band: {interval_phrase(results)}."
        )
        size = f"{LEFT + WIDTH + RIGHT} {TOP + HEIGHT + BOTTOM}"
        return (
            f'<figure class="over-time"><div class="keys">{keys}</div>'
            f'<svg viewBox="0 0 {size}" role="img" aria-label="{text(self.heading)}">'
            f'{self._axes()}<g class="drawn" transform="translate({LEFT} {TOP})"></g></svg>'
            f"<figcaption>{text(caption)} {csv_link(LOOKUP_CURVES)}</figcaption></figure>"
        )

    def _axes(self) -> str:
        results = self.material.results
        last, parts = self._last, []
        for share in (0.0, 0.5, 1.0):
            y = TOP + round(HEIGHT * (1 - share))
            parts.append(f'<path class="rule" d="M{LEFT} {y}h{WIDTH}"/>')
            label = f"{100 * share * self.top:g}%"
            parts.append(f'<text x="{LEFT - 8}" y="{y + 5}" text-anchor="end">{label}</text>')
        for at in MaxNLocator(5).tick_values(0, last):
            if 0 <= at <= last * (1 + 1e-9):
                x = LEFT + round(WIDTH * at / last)
                parts.append(
                    f'<text x="{x}" y="{TOP + HEIGHT + 20}" text-anchor="middle">{at:g}</text>'
                )
        label = text(time_axis(results))
        x, y = LEFT + WIDTH // 2, TOP + HEIGHT + 42
        return "".join(parts) + f'<text x="{x}" y="{y}" text-anchor="middle">{label}</text>'

    @property
    def _last(self) -> float:
        return float(self.material.tables[LOOKUP_CURVES]["time"].max())

    def _points(self, part: pd.DataFrame, column: str) -> np.ndarray:
        """Return whole coordinates of a curve from time 0, shape (time, 2)."""
        start = 0.0 if _rises(self.material) else 1.0
        x = np.append(0.0, part["time"]) / self._last
        y = np.append(start, part[column]) / self.top
        return np.round(np.column_stack([WIDTH * x, HEIGHT * (1 - y.clip(0, 1))])).astype(int)

    def _line(self, part: pd.DataFrame, arm: int) -> str:
        return f'<path d="{_path(self._points(part, "mean"))}" {_stroke(arm)}/>'

    def _band(self, part: pd.DataFrame, arm: int) -> str:
        lower, upper = (self._points(part, f"ci_{end}") for end in ("lower", "upper"))
        edge = _path(np.concatenate([upper, lower[::-1]]))
        return f'<path d="{edge}z" fill="{COLOURS[arm]}" fill-opacity=".2"/>'

    def _said(self, arms: list[pd.DataFrame]) -> str:
        """Say the probabilities at the last time."""
        said = []
        for part in arms:
            last = part.iloc[-1]
            mean, low, high = (100 * last[c] for c in ("mean", "ci_lower", "ci_upper"))
            said.append(f"{last['arm']} {number(mean, 0)}% ({span(low, high, 0)})")
        return f"at {self._last:g} {time_unit(self.material.results)}: {'; '.join(said)}"


def _rises(material: Material) -> bool:
    return material.results.spec.estimand == "cumulative_incidence"


def _stroke(arm: int) -> str:
    dash = f' stroke-dasharray="{DASHES[arm]}"' if DASHES[arm] else ""
    return f'fill="none" stroke="{COLOURS[arm]}" stroke-width="3"{dash}'


def _path(points: np.ndarray) -> str:
    """Return a path through points, its steps relative, which is the shortest to write."""
    steps = " ".join(f"{x} {y}" for x, y in np.diff(points, axis=0))
    return f"M{points[0, 0]} {points[0, 1]}l{steps}"
