"""The shape of the package: who imports whom, what an import costs, what is documented."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import bayes_hte

ROOT = Path(bayes_hte.__file__).parent

PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
HEADER = "| layer, lowest first | modules | libraries added |"
WORD = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Layer:
    """A row of the table of the page: its modules, and the libraries it is the first to load."""

    modules: tuple[str, ...]
    libraries: frozenset[str]


def layers_of(page: str) -> tuple[Layer, ...]:
    """Read the table of layers, lowest first; ``checks/base`` is the module ``checks.base``."""
    rows = page.partition(f"{HEADER}\n")[2].partition("\n\n")[0].splitlines()[1:]
    cells = [row.strip("|").split("|") for row in rows]
    return tuple(
        Layer(
            modules=tuple(name.rstrip("/").replace("/", ".") for name in WORD.findall(modules)),
            libraries=frozenset(WORD.findall(libraries)),
        )
        for _, modules, libraries in cells
    )


LAYERS = layers_of(PAGE)
LAYER = {name: level for level, layer in enumerate(LAYERS) for name in layer.modules}
ADDED = {library: level for level, layer in enumerate(LAYERS) for library in layer.libraries}
PYMC_LAYER = LAYER["surfaces"]
SAMPLERS = {"pymc", "pytensor", "nutpie"}
DRAWING = {"matplotlib"}


@dataclass(frozen=True)
class Import:
    """One import statement's target, and whether it runs when the module is imported."""

    target: str
    at_import: bool


def layer_of(name: str) -> int | None:
    """Return the layer of a module, by its longest name in the table; None if it has none."""
    parts = name.removeprefix("bayes_hte.").split(".")
    for length in range(len(parts), 0, -1):
        if (key := ".".join(parts[:length])) in LAYER:
            return LAYER[key]
    return None


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


@cache
def imports(source: str) -> tuple[Import, ...]:
    """Return every import of a module; those for type checkers alone do not count."""

    def walk(node: ast.AST, *, at_import: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, at_import) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, "the package imports itself by its full name"
                yield from (
                    Import(f"{child.module}.{alias.name}", at_import) for alias in child.names
                )
            elif not is_type_checking(child):
                inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                yield from walk(child, at_import=at_import and not inside)

    return tuple(walk(ast.parse(source), at_import=True))


def module_name(path: Path) -> str:
    parts = ["bayes_hte", *path.relative_to(ROOT).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def sources() -> dict[str, str]:
    """Return the source of every module by its name."""
    return {module_name(p): p.read_text(encoding="utf-8") for p in sorted(ROOT.rglob("*.py"))}


def modules_run(target: str) -> set[str]:
    """Return the modules of the package that importing a target runs: it and its packages."""
    parts = target.split(".")
    names = {".".join(parts[:length]) for length in range(2, len(parts) + 1)}
    return {name for name in names if name in sources()}


def violations(name: str, source: str) -> list[str]:
    """Say which imports of a module break the order of layers."""
    own = layer_of(name)
    if own is None:
        return [f"{name} has no layer; give it one in bayes_hte/ARCHITECTURE.md"]
    found = []
    for item in imports(source):
        root = item.target.split(".")[0]
        if root == "bayes_hte":
            # What a package's __init__ imports is imported with each of its modules.
            run = {
                other
                for module in modules_run(item.target)
                for other in (module, *package_imports(module))
                if module != name
            }
            found += [
                f"{name} (layer {own}) imports {other} (layer {layer_of(other)})"
                for other in sorted(run)
                # A package is no more than what its __init__ imports.
                if not (is_package(other) and other != item.target)
                and (layer_of(other) is None or layer_of(other) > own)
            ]
        elif root in SAMPLERS and own != PYMC_LAYER:
            found.append(f"{name} (layer {own}) imports {root}; only layer {PYMC_LAYER} may")
        elif root not in sys.stdlib_module_names and ADDED.get(root, len(LAYERS)) > own:
            found.append(f"{name} (layer {own}) imports {root}, which no layer up to it has added")
    return found


def is_package(name: str) -> bool:
    return any(other.startswith(f"{name}.") for other in sources())


def package_imports(name: str) -> set[str]:
    """Return the modules that a package's __init__ runs."""
    if not is_package(name):
        return set()
    return {m for i in imports(sources()[name]) if i.at_import for m in modules_run(i.target)}


# ---------------------------------------------------------------- the order of imports


@pytest.mark.parametrize("name", [name for name in sources() if name != "bayes_hte"])
def test_a_module_imports_from_its_own_layer_or_a_lower_one(name):
    assert violations(name, sources()[name]) == []


def box_of(name: str) -> str:
    """Return the entry of the table that a module belongs to: a box of the map."""
    parts = name.removeprefix("bayes_hte.").split(".")
    for length in range(len(parts), 0, -1):
        if (key := ".".join(parts[:length])) in LAYER:
            return key
    return parts[0]


def box_imports(named: dict[str, str]) -> dict[str, set[str]]:
    """Return the boxes that each box loads; of a package, what its __init__ runs."""
    found: dict[str, set[str]] = {}
    for name, source in named.items():
        if name == "bayes_hte":
            continue
        reached = found.setdefault(box_of(name), set())
        for item in imports(source):
            if item.at_import and item.target.startswith("bayes_hte."):
                run = modules_run(item.target)
                reached |= {box_of(max(run, key=len))} if run else set()
    return {box: reached - {box} for box, reached in found.items()}


def cycle(graph: dict[str, set[str]]) -> tuple[str, ...]:
    """Return the boxes that are left when boxes without imports are taken away in turn."""
    left = {box: set(reached) for box, reached in graph.items()}
    while free := [box for box, reached in left.items() if not reached & set(left)]:
        for box in free:
            del left[box]
    return tuple(sorted(left))


def test_no_box_of_the_map_imports_itself_through_others():
    assert cycle(box_imports(sources())) == ()


def test_a_cycle_is_found():
    assert cycle({"a": {"b"}, "b": {"c"}, "c": set()}) == ()
    assert cycle({"a": {"b"}, "b": {"a"}, "c": set()}) == ("a", "b")
    added = {"bayes_hte.effects.new": "from bayes_hte.runs.run import run_study"}
    assert "effects" in cycle(box_imports(sources() | added))


def test_few_modules_stand_loose():
    loose = {name for name in sources() if name.count(".") == 1 and not is_package(name)}
    assert len(loose) <= 8, sorted(loose)


def unknown_modules(page: str) -> set[str]:
    """Return what a page calls a module (in its table, ``x.py`` or ``x/``) and is not there."""
    table = {name for layer in layers_of(page) for name in layer.modules}
    files = re.findall(r"`([\w/]+)\.py`", page)
    # The diagram names packages as folders, and stands apart by its indent.
    folders = re.findall(r"(?<!\S)([a-z_]+)/(?!\S)", "\n".join(re.findall(r"^ {4}.*", page, re.M)))
    named = {f"bayes_hte.{name.replace('/', '.')}" for name in (*table, *files, *folders)}
    return named - set(sources())


def test_every_module_the_page_names_is_there():
    assert unknown_modules(PAGE) == set()


def test_every_module_is_in_one_layer():
    named = [name for layer in LAYERS for name in layer.modules]
    assert sorted(named) == sorted(set(named))
    assert {name for name in sources() if name != "bayes_hte" and layer_of(name) is None} == set()


def test_a_library_is_added_once_and_used():
    named = [library for layer in LAYERS for library in layer.libraries]
    assert sorted(named) == sorted(set(named))
    used = {i.target.split(".")[0] for source in sources().values() for i in imports(source)}
    assert set(named) - used == set()


def test_the_page_is_read():
    # The negative: a table that is not found would leave nothing to enforce.
    assert len(LAYERS) >= 5
    rows = "| a | `x`, `y/z`, `w/` | `lib` |\n| b | `v` | |"
    page = f"{HEADER}\n|---|---|---|\n{rows}\n\nSee `u.py`."
    assert layers_of(page) == (
        Layer(("x", "y.z", "w"), frozenset({"lib"})),
        Layer(("v",), frozenset()),
    )
    assert unknown_modules(page) == {f"bayes_hte.{name}" for name in ("x", "y.z", "w", "v", "u")}
    assert unknown_modules("    DataFrame -> nowhere/  study") == {"bayes_hte.nowhere"}


def test_importing_the_package_runs_no_module_of_it():
    eager = [i.target for i in imports(sources()["bayes_hte"]) if i.at_import]
    assert not any(target.startswith("bayes_hte") for target in eager)
    assert not {target.split(".")[0] for target in eager} & (SAMPLERS | DRAWING)


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        (
            "effects",
            "from bayes_hte.fitting.fitted import Fit",
            "effects (layer 2) imports bayes_hte.fit",
        ),
        ("effects", "import bayes_hte.plots", "imports bayes_hte.plots (layer 5)"),
        ("effects", "from bayes_hte.plots import plot_overlap", "bayes_hte.plots."),
        (
            "effects",
            "from bayes_hte.fitting import mediation",
            "imports bayes_hte.fitting.mediation (layer 3)",
        ),
        ("study", "def f():\n    from bayes_hte import effects", "imports bayes_hte.effects"),
        (
            "sensitivity.new",
            "from bayes_hte.checks.predictive import TAIL",
            "checks.predictive (layer 4)",
        ),
        ("effects.new", "import pymc as pm", "imports pymc; only layer 3 may"),
        ("checks.new", "def f():\n    import pymc", "imports pymc; only layer 3 may"),
        ("runs.run", "from pytensor import tensor", "imports pytensor"),
        ("effects", "from matplotlib.figure import Figure", "imports matplotlib, which no layer"),
        ("study", "def f():\n    import sklearn.tree", "imports sklearn, which no layer"),
        ("runs.run", "import polars", "imports polars, which no layer"),
        ("unknown", "", "has no layer"),
    ],
)
def test_an_import_against_the_order_is_found(name, source, message):
    found = violations(f"bayes_hte.{name}", source)
    assert found
    assert message in found[0]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        (
            "effects",
            "if TYPE_CHECKING:\n    from bayes_hte.fitting.fitted import Fit\n    import pymc",
        ),
        (
            "effects",
            "from bayes_hte.names import ARM\nfrom bayes_hte.effects.summaries import interval",
        ),
        ("reporting.new", "from bayes_hte.checks.base import CheckResult"),
        ("components.new", "import pymc as pm\nfrom bayes_hte.components.priors import DEFAULTS"),
        ("plots.new", "from matplotlib.figure import Figure"),
    ],
)
def test_an_import_with_the_order_is_allowed(name, source):
    assert violations(f"bayes_hte.{name}", source) == []


# ---------------------------------------------------------------- what an import costs


def everything_run(name: str) -> set[str]:
    """Return every top-level package that importing a module loads through this package."""
    roots: set[str] = set()
    seen, todo = set(), [name]
    while todo:
        module = todo.pop()
        if module in seen:
            continue
        seen.add(module)
        for item in imports(sources()[module]):
            if item.at_import:
                roots.add(item.target.split(".")[0])
                if item.target.startswith("bayes_hte."):
                    todo += modules_run(item.target)
    return roots


def works_without_a_sampler(name: str) -> bool:
    """Whether a module is right of the potential outcomes, or describes models without PyMC."""
    others = ("plots", "reporting", "checks", "cli", "components.learners", "components.families")
    level = layer_of(name)
    return (level is not None and level < PYMC_LAYER) or name.removeprefix("bayes_hte.").startswith(
        others
    )


@pytest.mark.parametrize(
    "name", [n for n in sources() if n != "bayes_hte" and works_without_a_sampler(n)]
)
def test_what_needs_no_sampler_loads_none(name):
    assert not everything_run(name) & SAMPLERS


def test_fitting_loads_a_sampler():
    # The negative: if this were not seen, the test above could not fail.
    assert {"pymc", "pytensor"} <= everything_run("bayes_hte.fitting.stages")


def test_importing_the_package_loads_no_sampler_and_no_plotting():
    # In a fresh interpreter, as this one has them from other tests.
    heavy = sorted(SAMPLERS | DRAWING | {"sklearn", "arviz_stats", "bayes_hte.study.study"})
    code = f"import sys, bayes_hte; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", bayes_hte.__all__)
def test_every_public_name_can_be_imported(name):
    assert getattr(bayes_hte, name) is not None


# ---------------------------------------------------------------- names and documentation


def test_a_name_that_is_not_public_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        bayes_hte.fitt  # noqa: B018


def test_public_names_are_listed_once_and_sorted():
    public = bayes_hte.__all__
    assert len(public) == len(set(public))
    assert set(dir(bayes_hte)) == set(public)


def test_no_module_shares_its_name_with_a_public_name():
    stems = {name.rpartition(".")[2] for name in sources() if name != "bayes_hte"}
    assert stems & set(bayes_hte.__all__) == set()


def undocumented(source: str) -> list[str]:
    """Return public functions, classes and methods without a docstring, and the module's own."""
    found = [] if ast.get_docstring(ast.parse(source)) else ["the module"]

    def walk(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if child.name.startswith("_"):
                continue
            if not ast.get_docstring(child):
                found.append(prefix + child.name)
            if isinstance(child, ast.ClassDef):
                walk(child, f"{prefix}{child.name}.")

    walk(ast.parse(source), "")
    return found


@pytest.mark.parametrize("name", sources())
def test_everything_public_is_documented(name):
    assert undocumented(sources()[name]) == []


def test_a_missing_docstring_is_found():
    source = '"""M."""\nclass A:\n    """A."""\n    def f(self): ...\ndef g(): ...\ndef _h(): ...\n'
    assert undocumented(source) == ["A.f", "g"]
    assert undocumented("x = 1") == ["the module"]
