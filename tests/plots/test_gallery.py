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

from bayes_hte import plots

SCRIPT = Path(__file__).parents[2] / "notebooks" / "gallery.py"
PIXEL = 0.01  # inches
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


def overhang(figure: Figure) -> float:
    """Return by how many inches what is drawn sticks out of a figure."""
    figure.draw_without_rendering()
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    return max(0.0, -drawn.x0, -drawn.y0, drawn.x1 - width, drawn.y1 - height)


def test_nothing_is_cut_off(entries):
    assert {e.name: by for e in entries if (by := overhang(e.figure)) > PIXEL} == {}


def test_a_word_that_is_cut_off_is_found():
    figure = Figure(figsize=(2, 2))
    figure.text(0.1, 0.5, "in")
    assert overhang(figure) == 0
    figure.text(0.8, 0.5, "a long word at the edge")
    assert overhang(figure) > PIXEL


def test_entries_are_the_last_values_of_their_cells(tmp_path):
    script = tmp_path / "gallery.py"
    script.write_text(
        "# %% [markdown]\n# `plot_x`: so.\n\n# %%\na = 1\nplots.plot_x(a)\n\n# %%\na\n"
    )
    shown = ModuleType("shown")
    shown.plot_x = lambda a: a + 1
    assert entries_of(script, {"plots": shown}) == [Entry("plot_x", "`plot_x`: so.", 2)]
