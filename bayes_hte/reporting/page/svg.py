"""A matplotlib figure as inline SVG: same figure, same bytes, and no name used twice on a page."""

from __future__ import annotations

import io
import re
from typing import Final

import matplotlib as mpl
from matplotlib.backends.backend_mixed import MixedModeRenderer
from matplotlib.backends.backend_svg import FigureCanvasSVG, RendererSVG
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
    with mpl.rc_context({"svg.hashsalt": key, "svg.fonttype": "path"}):
        _draw(figure, buffer)
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


class _Canvas(FigureCanvasSVG):
    """A canvas that lays a figure out with the renderer that draws it, which keeps sizes of texts.

    `savefig` would draw the figure once to place its parts, and measure every text twice.
    """

    def __init__(self, figure: Figure, to: io.StringIO, *, image_dpi: float) -> None:
        super().__init__(figure)
        width, height = figure.get_size_inches()
        size = (_SVG_DPI * width, _SVG_DPI * height)
        vector = RendererSVG(*size, to, image_dpi=image_dpi, metadata={"Date": None})
        self._one = MixedModeRenderer(figure, width, height, image_dpi, vector)

    def get_renderer(self) -> MixedModeRenderer:
        """Return the renderer, also to the layout engine."""
        return self._one


def _draw(figure: Figure, to: io.StringIO) -> None:
    """Write a figure as SVG, and leave it as it was."""
    dpi, canvas, engine = figure.dpi, figure.canvas, figure.get_layout_engine()
    try:
        # The resolution in which texts are measured; heat maps keep that of the figure.
        figure.dpi = _SVG_DPI
        renderer = _Canvas(figure, to, image_dpi=dpi).get_renderer()
        if engine is not None:
            engine.execute(figure)
            figure.set_layout_engine("none")
        figure.draw(renderer)
        renderer.finalize()
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
