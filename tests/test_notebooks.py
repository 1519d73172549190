"""Every lesson runs without a warning and says what it must, and its notebook is current."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

import jupytext
import matplotlib.pyplot as plt
import pytest
from nbformat.v4 import new_output

FOLDER = Path(__file__).parents[1] / "notebooks"
LESSONS = sorted(FOLDER.glob("[0-9][0-9]_*.py"))
SCRIPTS = [*LESSONS, FOLDER / "subgroup_choices.py"]
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
PARAMETER = re.compile(r"^(?P<name>[A-Z_]+) = (?P<value>\S+)(  # small: (?P<small>\S+))?$")
PARAGRAPHS = ("Question", "Answer", "Caveat")

lessons = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
lessons_alone = pytest.mark.parametrize("script", LESSONS, ids=lambda path: path.stem)
# Documented folders of the package, which are imported as they are.
PACKAGES = {"checks", "companions", "mixtures", "plots", "reporting", "sensitivity", "targeting"}


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def words(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def with_small_values(source):
    """Replace each value of a parameters cell by the small one its comment gives."""
    lines = []
    for line in source.splitlines():
        found = PARAMETER.match(line)
        assert found, f"{line!r} is not of the form NAME = value  # small: value"
        lines.append(f"{found['name']} = {found['small'] or found['value']}")
    return "\n".join(lines)


def small_program(script):
    """Return the code of a lesson with its small values."""
    cells = code_cells(jupytext.read(script))
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1, f"{script.name} has {len(tagged)} cells tagged parameters, not 1"
    tagged[0].source = with_small_values(tagged[0].source)
    return "\n\n".join(cell.source for cell in cells)


def missing_parts(notebook):
    """Name what a lesson lacks: a title at its start, and the paragraphs of every lesson."""
    text = words(notebook)
    missing = [] if re.match(r"# \S", notebook.cells[0].source) else ["title"]
    return missing + [p for p in PARAGRAPHS if not re.search(rf"^\*\*{p}[.,]", text, re.MULTILINE)]


def unfinished(notebook):
    """Say which code cells of a notebook were not run in order, or ended in an error."""
    found = []
    for position, cell in enumerate(code_cells(notebook), start=1):
        if cell.execution_count != position:
            found.append(f"cell {position} has execution count {cell.execution_count}")
        found += [
            f"cell {position} ended in {out.ename}"
            for out in cell.outputs
            if out.output_type == "error"
        ]
    return found


def differing(script, notebook):
    """Say where the cells of a notebook are not those of its script."""
    pairs = [[(cell.cell_type, cell.source) for cell in of.cells] for of in (script, notebook)]
    if len(pairs[0]) != len(pairs[1]):
        return [f"the script has {len(pairs[0])} cells, the notebook {len(pairs[1])}"]
    return [f"cell {i}" for i, (a, b) in enumerate(zip(*pairs, strict=True)) if a != b]


def test_there_are_lessons():
    assert 5 <= len(LESSONS) <= 12


@pytest.mark.slow
@lessons
def test_a_lesson_runs_with_small_values(script, tmp_path, monkeypatch):
    plt.switch_backend("Agg")
    monkeypatch.chdir(tmp_path)
    # A module of its own, so that functions of a lesson pickle should it use processes.
    module = ModuleType(f"lesson_{script.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(small_program(script), str(script), "exec"), module.__dict__)
    plt.close("all")
    assert list(tmp_path.iterdir()) == []


@lessons
def test_a_lesson_has_a_title_a_question_an_answer_and_a_caveat(script):
    assert missing_parts(jupytext.read(script)) == []


def internals(source):
    """Name what a program imports from this package and the package does not offer."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.startswith("bayes_hte.")]
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bayes_hte"):
            place = importlib.import_module(node.module)
            offered = set(getattr(place, "__all__", ())) if node.module.count(".") < 2 else set()
            offered |= PACKAGES if node.module == "bayes_hte" else set()
            found += [f"{node.module}.{a.name}" for a in node.names if a.name not in offered]
    return found


@lessons_alone
def test_a_lesson_imports_what_the_package_offers(script):
    assert internals("\n\n".join(c.source for c in code_cells(jupytext.read(script)))) == []


def test_an_import_of_internals_is_found():
    assert internals("from bayes_hte import plots, fit\nimport bayes_hte as hte") == []
    deep = "from bayes_hte.mixtures.likelihood.law import collapse"
    assert internals(deep) == ["bayes_hte.mixtures.likelihood.law.collapse"]
    assert internals("from bayes_hte.plots import style") == ["bayes_hte.plots.style"]


@pytest.mark.parametrize("rendered", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_the_notebook_of_a_lesson_is_current_and_was_run(rendered):
    script = rendered.with_suffix(".py")
    command = f"uv run jupytext --to ipynb --execute notebooks/{script.name}"
    notebook = jupytext.read(rendered)
    stale = differing(jupytext.read(script), notebook)
    assert stale == [], f"{rendered.name} is not its script; build it again: {command}"
    assert unfinished(notebook) == []


def test_no_notebook_stands_without_its_script():
    assert [path.name for path in NOTEBOOKS if not path.with_suffix(".py").exists()] == []


LESSON = """# %% [markdown]
# # A lesson
#
# **Question.** What?

# %% tags=["parameters"]
DRAWS = 300  # small: 50
SEED = 1

# %%
DRAWS

# %% [markdown]
# **Answer.** This.
#
# **Caveat, and what would mend it.** That.
"""


def lesson(text=LESSON):
    return jupytext.reads(text, fmt="py:percent")


def test_small_values_replace_the_others_only():
    assert with_small_values("DRAWS = 300  # small: 50\nSEED = 1") == "DRAWS = 50\nSEED = 1"
    with pytest.raises(AssertionError, match="is not of the form"):
        with_small_values("DRAWS = 300 # small 50")


def test_a_lesson_without_parameters_is_refused(tmp_path):
    path = tmp_path / "01_lesson.py"
    path.write_text(LESSON.replace(' tags=["parameters"]', ""), encoding="utf-8")
    with pytest.raises(AssertionError, match="0 cells tagged parameters"):
        small_program(path)


@pytest.mark.parametrize(
    ("part", "cut"),
    [
        ("title", "# # A lesson\n"),
        ("Question", "**Question.** "),
        ("Answer", "**Answer.** "),
        ("Caveat", "**Caveat, and what would mend it.** "),
    ],
)
def test_a_missing_part_of_a_lesson_is_named(part, cut):
    assert missing_parts(lesson()) == []
    assert missing_parts(lesson(LESSON.replace(cut, ""))) == [part]


def test_a_changed_cell_or_a_missing_one_is_found():
    assert differing(lesson(), lesson()) == []
    assert differing(lesson(), lesson(LESSON.replace("This.", "That."))) == ["cell 3"]
    shorter = lesson(LESSON.split("\n# %% [markdown]\n# **Answer")[0])
    assert differing(lesson(), shorter) == ["the script has 4 cells, the notebook 3"]


def test_cells_that_were_not_run_or_failed_are_found():
    notebook = lesson()
    for position, cell in enumerate(code_cells(notebook), start=1):
        cell.execution_count = position
    assert unfinished(notebook) == []
    last = code_cells(notebook)[-1]
    last.outputs = [new_output("error", ename="ValueError", evalue="", traceback=[])]
    assert unfinished(notebook) == ["cell 2 ended in ValueError"]
    last.outputs, last.execution_count = [], None
    assert unfinished(notebook) == ["cell 2 has execution count None"]
