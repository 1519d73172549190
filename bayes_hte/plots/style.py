"""One look for every figure: palette, sizes, reference lines, and the words of an axis.

Colours are those of Okabe and Ito, which people with the common colour-vision deficiencies can
distinguish; still, colour never carries a meaning alone: a marker, line style, hatch or label
repeats it.

References
----------
Okabe, M., Ito, K. (2008). Color universal design: how to make figures and presentations that are
friendly to colorblind people. University of Tokyo.
"""

from __future__ import annotations

import functools
import inspect
import io
import re
import textwrap
from collections.abc import Callable
from typing import Any, Final, cast

# Figures are not drawn with pyplot, which would keep each of them alive; but importing it tells a
# notebook how to show a Figure that a function returns.
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import blended_transform_factory

from bayes_hte.effects.arguments import Better
from bayes_hte.effects.summaries import CiKind, interval_words
from bayes_hte.errors import DataError
from bayes_hte.names import visible

INK: Final = "#1a1a1a"
MUTED: Final = "#595959"
RULE: Final = "#d9d9d9"
BLUE: Final = "#0072B2"
VERMILLION: Final = "#D55E00"
GREEN: Final = "#009E73"
ORANGE: Final = "#E69F00"
SKY: Final = "#56B4E9"
PURPLE: Final = "#CC79A7"
YELLOW: Final = "#F0E442"

# Looks of the first, second, ... series. There are fewer markers and hatches than colours, so that
# the pairs stay different when the colours start again.
COLOURS: Final = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, YELLOW)
MARKERS: Final = ("o", "s", "D", "^", "v", "P")
HATCHES: Final = ("", "////", "....", "\\\\\\\\", "xx", "++")
# Bands overlap; readers cannot distinguish more lines than these.
LINES: Final = ("-", (0, (4, 2)), (0, (1, 1)))

# Line of no effect, or of agreement.
REFERENCE: Final = {"color": INK, "linewidth": 1.0, "linestyle": (0, (5, 3)), "zorder": 1}
# Thinner lines: no effect where another line matters more, and the minimal important difference.
FAINT: Final = {"color": MUTED, "linewidth": 0.8, "linestyle": (0, (1, 1.5)), "zorder": 1}
DOTTED: Final = {**FAINT, "linewidth": 1.2}

WIDTH: Final = 4.6
_LABEL_CHARACTERS: Final = 44
# About this number of bold letters of the size of a title fill the width of a figure.
_TITLE_CHARACTERS: Final = 46
_TITLE_INSET: Final = 0.015
# Points; leaves room for a tick label at the upper end of the y axis.
_TITLE_PAD: Final = 9.0

_STYLE: Final = {
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.size": 10.5,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "hatch.linewidth": 0.6,
    "hatch.color": "white",
    # Column names and labels are the user's: a dollar sign in one is a dollar sign.
    "text.parse_math": False,
    "legend.frameon": False,
    "legend.fontsize": 10,
}

# Arguments that mean the same in every figure, for the docstrings of those that have them.
_ARGUMENTS: Final = {
    "better": """better : {"higher", "lower"}, optional
    Good direction of the outcome; adds benefit and harm to the axis of the effect.""",
    "important": """important : float, optional
    Minimal important difference (a size), drawn dotted on the side of benefit.""",
    "limits": """limits : (float, float), optional
    Ends of the axis of the effect, to make several figures comparable.""",
    "units": """units : str, default "people"
    Word for several rows of the study.""",
    "title": """title : str, optional
    Title of the axes.""",
    "ax": """ax : Axes, optional
    Where to draw; default a new figure.""",
}


def styled[**P](plot: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw under the style of the package, leaving the caller's matplotlib settings alone.

    The docstring is completed: the arguments that every figure shares, and the result.
    """

    @functools.wraps(plot)
    def inner(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with plt.rc_context(_STYLE):
            figure = plot(*args, **kwargs)
        show_names(figure)
        return figure

    if plot.__doc__:  # absent under python -OO
        doc, arguments = inspect.cleandoc(plot.__doc__), inspect.signature(plot).parameters
        described = set(re.findall(r"^(\w+) :", doc, re.MULTILINE))
        shared = [_ARGUMENTS[name] for name in _ARGUMENTS if name in {*arguments} - described]
        own, mark, others = re.split(r"\n\n(Raises|Examples)(?=\n-)", doc, maxsplit=1)
        parts = [own, *shared, "", "Returns", "-------", "Figure", "", mark + others]
        inner.__doc__ = "\n".join(parts)
    return inner


def show_names(figure: Figure) -> None:
    """Put a replacement character where a name in the figure has one that no font shows."""
    for words in figure.findobj(Text):
        if (shown := visible(words.get_text())) != words.get_text():
            words.set_text(shown)


class Drawing(Figure):
    """A figure that shows itself in a notebook without pyplot, which would keep it alive."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()


def new_axes(ax: Axes | None, *, height: float, title: str | None) -> tuple[Figure, Axes]:
    """Return the axes to draw on, made if none were given, with the title set.

    Parameters
    ----------
    ax : matplotlib Axes or None
        Axes of the caller; their figure keeps its size.
    height : float
        Height of a new figure, in inches; the width is always :data:`WIDTH`.
    title : str or None
        Title of the axes.

    Returns
    -------
    Figure, Axes
    """
    if ax is None:
        ax = Drawing(figsize=(WIDTH, height), layout="constrained").subplots()
        if title is not None:
            set_title(ax, title)
    elif title is not None:
        ax.set_title(title)
    return cast(Figure, ax.get_figure(root=True)), ax


def set_title(ax: Axes, title: str) -> None:
    """Put a title above axes, but from the left edge of the figure: axes may be narrow.

    Parameters
    ----------
    ax : Axes
        The uppermost axes of a figure of its own; the labels next to them take part of the width.
    title : str
        Broken into lines where it is long.
    """
    words = ax.set_title(wrap(title, _TITLE_CHARACTERS), pad=_TITLE_PAD)
    across = cast(Figure, ax.get_figure(root=True)).transFigure
    words.set_transform(blended_transform_factory(across, words.get_transform()))
    words.set_x(_TITLE_INSET)


def interval_of(table: pd.DataFrame) -> str:
    """Say in words which interval a table of summaries holds.

    Parameters
    ----------
    table : DataFrame
        With the columns ``ci_prob`` and ``ci_kind`` of :func:`bayes_hte.summarize`.

    Returns
    -------
    str
        For instance ``"95% posterior interval, equal-tailed"``.

    Raises
    ------
    DataError
        If the columns are absent, or the rows mix different intervals.
    """
    need_columns(table, ("ci_prob", "ci_kind"))
    kinds = table[["ci_prob", "ci_kind"]].drop_duplicates()
    if len(kinds) != 1:
        raise DataError(
            f"a figure shows one kind of interval, the table holds {len(kinds)}; summarise all "
            "rows with the same ci_prob and ci_kind, and give at least one row."
        )
    return interval_words(float(kinds["ci_prob"].iloc[0]), cast(CiKind, kinds["ci_kind"].iloc[0]))


def need_columns(table: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return a table that has every column a figure draws, and whose index counts its rows.

    Parameters
    ----------
    table : DataFrame
        Its index may have any names, those of its columns among them.
    columns : tuple of str
        Columns that the figure draws; levels of the index stand in for absent ones.

    Returns
    -------
    DataFrame

    Raises
    ------
    DataError
        If one is absent; the message lists what was got.
    """
    levels = {c: table.index.get_level_values(c) for c in columns if c in table.index.names}
    drawn = table.assign(**{c: v for c, v in levels.items() if c not in table.columns})
    missing = [c for c in columns if c not in drawn.columns]
    if missing:
        raise DataError(
            f"the table lacks {', '.join(missing)}; got {', '.join(map(str, table.columns))}."
        )
    return drawn.reset_index(drop=True)


def summaries(table: pd.DataFrame, *columns: str) -> tuple[pd.DataFrame, str]:
    """Return a table of summaries whose index counts its rows, and its interval in words.

    Parameters
    ----------
    table : DataFrame
        With ``mean``, ``ci_lower``, ``ci_upper``, ``ci_prob`` and ``ci_kind``.
    *columns : str
        What the figure draws besides.

    Returns
    -------
    DataFrame, str

    Raises
    ------
    DataError
        If a column is absent, or the rows mix different intervals.
    """
    table = need_columns(table, (*columns, "mean", "ci_lower", "ci_upper"))
    return table, interval_of(table)


def effect_axis(
    ax: Axes,
    *,
    label: str,
    note: str = "",
    better: Better | None = None,
    important: float | None = None,
    limits: tuple[float, float] | None = None,
) -> None:
    """Dress an x axis of effects: zero, the important difference, directions, words.

    Parameters
    ----------
    ax : Axes
        Axes whose x is an effect, in outcome units.
    label : str
        What the axis shows; broken into lines where it is long.
    note : str
        A line under the label, usually which interval is drawn.
    better : {"higher", "lower"}, optional
        Good direction of the outcome; adds "benefit" and "harm" to the axis.
    important : float, optional
        Minimal important difference (a size); drawn dotted on the side of benefit.
    limits : (float, float), optional
        Ends of the axis, to make several figures comparable.
    """
    ax.axvline(0, **REFERENCE)
    if important and better:
        at = important if better == "higher" else -important
        ax.axvline(at, **DOTTED)
    lines = [wrap(label), directions(better), note]
    # Flush right, so that a long label runs under the row labels and not out of the figure.
    ax.set_xlabel("\n".join(line for line in lines if line), loc="right")
    ax.xaxis.set_major_locator(MaxNLocator(4))
    if limits is not None:
        ax.set_xlim(*limits)
    ax.grid(axis="x", color=RULE, linewidth=0.6)


def effect_height(ax: Axes, label: str, *, better: Better | None) -> None:
    """Dress a y axis of effects: zero, a grid, words and the direction of benefit.

    Parameters
    ----------
    ax : Axes
        Axes whose y is an effect, in outcome units.
    label : str
        What the axis shows; broken into lines where it is long.
    better : {"higher", "lower"} or None
        Good direction of the outcome.
    """
    good = {"higher": "\n(above 0: benefit)", "lower": "\n(below 0: benefit)"}
    ax.axhline(0, **REFERENCE)
    ax.set_ylabel(wrap(label, 25) + (good[better] if better else ""))
    ax.yaxis.set_major_locator(MaxNLocator(6))
    ax.grid(axis="y", color=RULE, linewidth=0.6)


def draw_band(ax: Axes, x: str, rows: pd.DataFrame, *, series: int, **line: Any) -> None:
    """Draw the means of a table as a line in the band of their intervals.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    x : str
        Column of the table on the x axis.
    rows : DataFrame
        With `x`, ``mean``, ``ci_lower`` and ``ci_upper``.
    series : int
        Position of the series in the figure, from 0; gives colour and line style.
    **line
        Further properties of the line, such as ``label`` and ``marker``.
    """
    at, low, mean, high = (rows[c].to_numpy() for c in (x, "ci_lower", "mean", "ci_upper"))
    colour = COLOURS[series]
    ax.fill_between(at, low, high, color=colour, alpha=0.22, linewidth=0)
    ax.plot(at, mean, color=colour, linestyle=LINES[series], **line)


def legend_above(ax: Axes, *, ncols: int = 1, **options: Any) -> None:
    """Put the legend of axes above them, on the left."""
    figure = cast(Figure, ax.get_figure(root=True))
    handles = ax.get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper left", ncols=ncols, **options)


def legend_label(name: object) -> str:
    """Return a name for a legend, which would leave out one that starts with an underscore."""
    return f" {name}" if str(name).startswith("_") else str(name)


def _row_label(label: str) -> str:
    """Return the label of a row; a word that would leave no room for the axes is broken."""
    long = any(len(word) > _LABEL_CHARACTERS for word in label.split())
    return textwrap.fill(visible(label), _LABEL_CHARACTERS) if long else visible(label)


def wrap(label: str, width: int = _LABEL_CHARACTERS) -> str:
    """Break a long label into lines that fit a figure."""
    return textwrap.fill(visible(label), width, break_long_words=False)


def directions(better: Better | None) -> str:
    """Return the arrows to the good and the bad side of zero, for a horizontal axis of effects."""
    words = {
        "higher": "\N{LEFTWARDS ARROW} harm  |  benefit \N{RIGHTWARDS ARROW}",
        "lower": "\N{LEFTWARDS ARROW} benefit  |  harm \N{RIGHTWARDS ARROW}",
    }
    return words[better] if better else ""


def rows_axis(ax: Axes, labels: list[str]) -> None:
    """Put one label per row on the y axis, the first row on top."""
    # The axis keeps them and puts them into its texts anew whenever it is drawn.
    ax.set_yticks(range(len(labels)), list(map(_row_label, labels)))
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
