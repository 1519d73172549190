"""The scale on which readers see an outcome: risks in per cent, rates, or means in its own unit.

Files hold numbers in outcome units, where a risk is a probability; the page writes percentage
points. A kind of outcome that is read on another scale is one more entry of :data:`_KINDS`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bayes_hte.reporting.page.numbers import MINUS, Style, decimals_for
from bayes_hte.study.spec import Spec, family_called

Kind = Literal["risk", "rate", "mean"]
_KINDS: dict[str, Kind] = {"bernoulli": "risk", "poisson": "rate", "negative_binomial": "rate"}


@dataclass(frozen=True)
class Scale:
    """How the outcome of a study is read.

    Attributes
    ----------
    kind : {"risk", "rate", "mean"}
        What the expected outcome is: a probability, an expected count, or a mean.
    factor : float
        From outcome units to those that readers see.
    unit : str
        Unit of a difference, for readers.
    level : str
        The expected outcome in words, e.g. ``"risk of death"``.
    level_unit : str
        Unit of the expected outcome; empty where the words say it.
    """

    kind: Kind
    factor: float
    unit: str
    level: str
    level_unit: str

    def level_under(self, arm: str) -> str:
        """Say in words the outcome that is expected under an arm."""
        said = self.level if self.level.startswith("expected") else f"{self.level} expected"
        return f"the {said} under {arm}"

    def style(self, spreads: Iterable[float]) -> Style:
        """Return the style that shows the smallest of some spreads with two significant digits."""
        return Style(decimals_for(self.factor * s for s in spreads), self.factor)

    def size(self, value: float) -> str:
        """Write a declared difference, e.g. a margin, without its unit."""
        return f"{self.factor * value:.3g}".replace("-", MINUS)

    def sized(self, value: float) -> str:
        """Write a declared difference; with its unit where that is not the unit of the outcome."""
        return f"{self.size(value)} {self.unit}" if self.kind == "risk" else self.size(value)

    def on_axes(self, figure: Figure, axes: str) -> Figure:
        """Write the ticks of some axes (``"x"``, ``"y"``, ``"xy"``) of a figure on this scale."""
        if self.factor != 1 and figure.axes:
            formatter = FuncFormatter(lambda value, _: f"{self.factor * value:.4g}")
            for name in axes:
                getattr(figure.axes[0], f"{name}axis").set_major_formatter(formatter)
        return figure


def scale_of(spec: Spec) -> Scale:
    """Return the scale of the outcome of a study.

    Parameters
    ----------
    spec : Spec
        The study file, its roles under their labels.

    Returns
    -------
    Scale
    """
    if spec.roles.of_times and spec.estimand != "rmst":
        return Scale("risk", 100.0, "percentage points", probability_words(spec), "%")
    kind = _KINDS.get(family_called(spec.outcome.family), "mean")
    outcome, unit = spec.roles.outcome, spec.outcome.unit
    if kind == "risk":
        # No direction is in the word: the event may be a recovery.
        return Scale(kind, 100.0, "percentage points", f"probability of {outcome}", "%")
    level = f"expected {outcome}" if kind == "rate" else f"mean {outcome}"
    if spec.roles.of_times:
        level = "restricted mean survival time"
    return Scale(kind, 1.0, unit or "units of the outcome", level, unit)


def probability_words(spec: Spec) -> str:
    """Return the probability that effects on times to an event are on, for readers.

    Parameters
    ----------
    spec : Spec
        The study file, with its horizon, its cause under its label.

    Returns
    -------
    str
        ``"risk of relapse by 5 years"``, or ``"probability of surviving 5 years"``.
    """
    at = spec.outcome.horizon
    time = "the horizon" if at is None else f"{at:g} {spec.outcome.unit}".strip()
    if spec.estimand == "cumulative_incidence":
        return f"risk of {spec.roles.cause} by {time}"
    return f"probability of surviving {time}"
