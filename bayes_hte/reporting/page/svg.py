"""A matplotlib figure as inline SVG: same figure, same bytes, and no name used twice on a page."""

from __future__ import annotations

import io
import re

import matplotlib as mpl
from matplotlib.figure import Figure

from bayes_hte.reporting.page.markup import figure, text


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
        figure.savefig(buffer, format="svg", metadata={"Date": None})
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


def drawing(drawn: Figure, caption: str, *, key: str, alt: str, source: str) -> str:
    """Return a figure with its caption (plain text) and a link to the file of its numbers."""
    return figure(inline_svg(drawn, key=f"fig-{key}", alt=alt), caption, source=source)
