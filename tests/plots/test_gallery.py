"""The gallery draws every figure of the package, without a warning and with all words in sight."""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import jupytext
import matplotlib
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from bayes_hte import plots

SCRIPT = Path(__file__).parents[2] / "notebooks" / "gallery.py"
DRAWN = re.compile(r"\bplots\.(plot_\w+)\(")


@dataclass(frozen=True)
class Entry:
    """What a cell of the gallery shows: its figure, and the words above it."""

    name: str
    words: str
    figure: Figure


def entries_of(script, namespace) -> list[Entry]:
    """Run the cells of a script and keep the last value of each that draws."""
    found, said = [], ""
    for cell in jupytext.read(script).cells:
        if cell.cell_type == "markdown":
            said = cell.source
            continue
        program = ast.parse(cell.source)
        last = program.body.pop() if isinstance(program.body[-1], ast.Expr) else None
        exec(compile(program, str(script), "exec"), namespace)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), str(script), "eval"), namespace)
            drawn = DRAWN.findall(ast.unparse(last))
            found += [Entry(name, said, value) for name in drawn]
    return found


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    matplotlib.use("Agg", force=True)
    before = set(sys.modules)
    module = ModuleType("gallery")
    sys.modules["gallery"] = module
    try:
        found = entries_of(SCRIPT, module.__dict__)
    finally:
        del sys.modules["gallery"]
    assert not {"pymc", "pytensor"} & (set(sys.modules) - before), "the gallery loads a sampler"
    return found


def test_every_figure_of_the_package_is_in_the_gallery(entries):
    figures = {name for name in plots.__all__ if name.startswith("plot_")}
    assert {entry.name for entry in entries} == figures


def test_every_entry_is_a_figure_and_says_how_to_read_it(entries):
    for entry in entries:
        assert isinstance(entry.figure, Figure), entry.name
        assert f"`{entry.name}`" in entry.words, entry.name


def cut_words(figure: Figure) -> list[str]:
    """Return the words of a figure that do not lie within it."""
    figure.draw_without_rendering()
    whole = figure.bbox
    return [
        text.get_text()
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and is_shown(text)
        for box in [text.get_window_extent()]
        if min(box.x0, box.y0) < -1 or box.x1 > whole.x1 + 1 or box.y1 > whole.y1 + 1
    ]


def is_shown(text: Text) -> bool:
    """Whether a text is drawn: those of ticks outside the limits of an axis are not."""
    axes = text.axes
    if axes is None:
        return True
    for axis in (axes.xaxis, axes.yaxis):
        ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        if any(text in (tick.label1, tick.label2) for tick in ticks):
            return axes.axison and text in axis.get_ticklabels(which="both")
    return True


def test_no_word_is_cut(entries):
    assert {e.name: cut for e in entries if (cut := cut_words(e.figure))} == {}


def test_a_word_that_is_cut_is_found():
    figure = Figure(figsize=(2, 2))
    figure.text(0.8, 0.5, "a long word at the edge")
    figure.text(0.1, 0.5, "in")
    assert cut_words(figure) == ["a long word at the edge"]


def test_entries_are_the_last_values_of_their_cells(tmp_path):
    script = tmp_path / "gallery.py"
    script.write_text(
        "# %% [markdown]\n# `plot_x`: so.\n\n# %%\na = 1\nplots.plot_x(a)\n\n# %%\na\n"
    )
    shown = ModuleType("shown")
    shown.plot_x = lambda a: a + 1
    assert entries_of(script, {"plots": shown}) == [Entry("plot_x", "`plot_x`: so.", 2)]
