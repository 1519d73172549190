"""Survival curves: posterior bands of each arm, Kaplan-Meier steps, and numbers at risk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.errors import DataError, unknown_name
from bayes_hte.plots import style

Kind = Literal["survival", "incidence"]
YLABELS: dict[str, str] = {
    "survival": "probability of surviving",
    "incidence": "probability of the event",
}
STEPS: dict[str, str] = {
    "survival": "thin steps: Kaplan-Meier",
    "incidence": "thin steps: Aalen-Johansen, dotted its band",
}


@style.styled
def plot_survival(
    table: pd.DataFrame,
    *,
    observed: pd.DataFrame | None = None,
    at_risk: pd.DataFrame | None = None,
    arms: Sequence[str] | None = None,
    kind: Kind = "survival",
    xlabel: str = "time",
    ylabel: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    r"""Draw the survival curve of each arm with its posterior band.

    Parameters
    ----------
    table : DataFrame, one row per arm and time
        ``arm`` (its position, 0 for the reference arm), ``time``, ``mean``, ``ci_lower``,
        ``ci_upper``, ``ci_prob``, ``ci_kind``.
    observed : DataFrame, optional
        Kaplan-Meier curves, drawn as thin steps: ``arm``, ``time``, ``survival``, as
        :func:`bayes_hte.companions.observed_survival` returns them. Of a cumulative incidence
        Aalen-Johansen curves, as :func:`bayes_hte.observed_incidence` returns them, with their
        bounds as dotted steps.
    at_risk : DataFrame, index position of the arm, columns times, optional
        Numbers at risk, written under the axis.
    arms : sequence of str, optional
        Names of the arms, by position.
    kind : {"survival", "incidence"}
        Whether curves fall from 1 or rise from 0.
    xlabel, ylabel : str
        The time with its unit, and the probability.

    Raises
    ------
    DataError
        If a table lacks a column, or an arm has no name.
    SpecError
        If the kind is unknown.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte import plots
    >>> table = pd.DataFrame({"arm": [0, 0, 1, 1], "time": [1.0, 2.0] * 2})
    >>> table = table.assign(mean=[0.8, 0.6, 0.9, 0.8], ci_lower=0.5, ci_upper=1.0)
    >>> table = table.assign(ci_prob=0.95, ci_kind="eti")
    >>> figure = plots.plot_survival(table, arms=["usual care", "drug"], xlabel="years")
    >>> figure.axes[0].get_xlabel()
    'years\nband: 95% posterior interval, equal-tailed'
    """
    if kind not in get_args(Kind):
        raise unknown_name("kind", str(kind), get_args(Kind))
    falls = kind == "survival"
    ylabel = YLABELS[kind] if ylabel is None else ylabel
    table, note = style.summaries(table, "arm", "time")
    positions = sorted(int(a) for a in table["arm"].unique())
    names = [str(a) for a in range(max(positions) + 1)] if arms is None else list(map(str, arms))
    if max(positions) >= len(names):
        raise DataError(f"arm {max(positions)} has no name; got {len(names)} names of arms.")
    rows = 0 if at_risk is None else len(positions) + 1
    figure, ax = style.new_axes(ax, height=3.5 + 0.2 * rows, title=title)
    start = {"time": 0.0} | dict.fromkeys(("mean", "ci_lower", "ci_upper"), float(falls))
    for series, a in enumerate(positions):
        own = table[table["arm"] == a].sort_values("time")
        own = pd.concat([pd.DataFrame([start]), own], ignore_index=True)
        k = series % len(style.LINES)
        style.draw_band(
            ax, "time", own, series=k, label=style.legend_label(names[a]), linewidth=1.8
        )
        if observed is not None:
            _draw_steps(ax, observed, arm=a, kind=kind, color=style.COLOURS[k])
    last = float(table["time"].max())
    ax.set_xlim(0, last)
    ax.set_ylim(0, 1.02 if falls else min(1.02, 1.15 * _highest(table, observed)))
    ax.grid(axis="y", color=style.RULE, linewidth=0.6)
    ax.set_ylabel(style.wrap(ylabel, 30))
    notes = [style.wrap(xlabel), f"band: {note}"]
    if at_risk is not None:
        _write_numbers(ax, at_risk, positions)
        notes.append("below each time: at risk, in the order of the legend")
    if observed is not None:
        notes.append(STEPS[kind])
    ax.set_xlabel("\n".join(notes))
    style.legend_above(ax, ncols=min(len(positions), 2))
    return figure


def _draw_steps(ax: Axes, observed: pd.DataFrame, *, arm: int, kind: Kind, color: str) -> None:
    """Draw the observed curve of one arm, of an incidence with its bounds."""
    dotted = () if kind == "survival" else ("ci_lower", "ci_upper")
    steps = style.need_columns(observed, ("arm", "time", kind, *dotted))
    steps = steps[steps["arm"] == arm]
    look = {"where": "post", "color": color, "linewidth": 0.8}
    ax.step(steps["time"], steps[kind], alpha=0.9, **look)
    for bound in dotted:
        ax.step(steps["time"], steps[bound], alpha=0.7, linestyle=":", **look)


def _highest(table: pd.DataFrame, observed: pd.DataFrame | None) -> float:
    """Return the upper end of what is drawn up to the last time."""
    highest = float(table["ci_upper"].max())
    if observed is not None:
        shown = observed[observed["time"] <= table["time"].max()]
        highest = max(highest, float(shown["ci_upper"].max()))
    return highest


def _write_numbers(ax: Axes, at_risk: pd.DataFrame, positions: list[int]) -> None:
    """Write the numbers at risk under the times of the axis, a row per arm."""
    times = [float(t) for t in at_risk.columns]
    rows = [[f"{int(at_risk.loc[a, t])}" for a in positions] for t in at_risk.columns]
    labels = ["\n".join([f"{t:g}", *row]) for t, row in zip(times, rows, strict=True)]
    ax.set_xticks(times, labels)
