"""A matplotlib figure as inline SVG: same figure, same bytes, and no name used twice on a page."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from bayes_hte.reporting.page.markup import figure, text

# Points are the unit of SVG, so matplotlib draws it at this many dots per inch.
_SVG_DPI: Final = 72
_KIND: Final = re.compile(r"(\d[\d.]*%) posterior interval, [a-z-]+")


def inline_svg(figure: Figure, *, key: str, alt: str) -> str:
    """Return a figure as an ``<svg>`` element to be put into a page.

    Parameters
    ----------
    figure : Figure
        What to draw. Text becomes outlines, so that no font is needed to show it.
    key : str
        Unique on the page; every id in the figure starts with it.
    alt : str
        Content of the figure in words, for those who cannot see it.

    Returns
    -------
    str
        HTML without any address, comment or date.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": key, "svg.fonttype": "path"}), _laid_out(figure) as canvas:
        canvas.print_svg(buffer, metadata={"Date": None})
    source = buffer.getvalue()
    source = source[source.index("<svg") :]
    source = re.sub(r"<metadata>.*?</metadata>", "", source, flags=re.DOTALL)
    source = re.sub(r"<!--.*?-->", "", source, flags=re.DOTALL)
    source = re.sub(r"(\sid=\")", rf"\1{key}-", source)
    source = re.sub(r"((?:xlink:)?href=\")#", rf"\1#{key}-", source)
    source = source.replace("url(#", f"url(#{key}-").replace("xlink:href", "href")
    width, height = 72 * figure.get_size_inches()
    opening = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{text(alt)}">'
    source = opening + source[source.index(">") + 1 :]
    return re.sub(r">\s+<", "><", source).strip()


@contextmanager
def _laid_out(figure: Figure) -> Iterator[FigureCanvasSVG]:
    """Place the parts of a figure as `savefig` does, which would draw all of them once for it."""
    dpi, canvas, engine = figure.dpi, figure.canvas, figure.get_layout_engine()
    made = FigureCanvasSVG(figure)
    try:
        if engine is not None:
            # The backend's resolution: text is measured in it.
            figure.dpi = _SVG_DPI
            engine.execute(figure)
            figure.dpi = dpi
            figure.set_layout_engine("none")
        yield made
    finally:
        figure.dpi = dpi
        figure.set_layout_engine(engine)
        figure.set_canvas(canvas)


def drawing(drawn: Figure, caption: str, *, key: str, alt: str, source: str) -> str:
    """Return a figure with its caption (plain text) and a link to the file of its numbers."""
    _say_kind_elsewhere(drawn)
    return figure(inline_svg(drawn, key=f"fig-{key}", alt=alt), caption, source=source)


def _say_kind_elsewhere(drawn: Figure) -> None:
    """Shorten the name of the interval on the axes: the page says its kind once."""
    for axes in drawn.axes:
        for axis in (axes.xaxis, axes.yaxis):
            axis.label.set_text(_KIND.sub(r"\1 interval", axis.label.get_text()))
