"""The reference builds without a warning and holds every public name, key and word."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import operator
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import bayes_hte
from bayes_hte.names import glossary

SOURCE = Path(__file__).parents[1] / "notebooks" / "reference"
PACKAGES = (
    "checks",
    "companions",
    "mixtures",
    "plots",
    "reporting",
    "sensitivity",
    "subgroups",
    "targeting",
)


def exported(package: str) -> set[str]:
    """Return the ``__all__`` of a package; where it is written out, without importing anything."""
    path = Path(bayes_hte.__file__).parent / package / "__init__.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List):
            return set(ast.literal_eval(node.value))
    return set(importlib.import_module(f"bayes_hte.{package}").__all__)


DEFECTS = """Title
=====

See :func:`bayes_hte.fitt`.

.. study-table:: report

   :ci_prob: Probability.
   :ci_sort: No such key.
"""

PROGRAM = """
import json, sys
from sphinx.cmd.build import main
json.dump([main(arguments) for arguments in json.loads(sys.argv[1])], sys.stdout)
"""


@dataclass(frozen=True)
class Build:
    """Where the pages of a folder were built to, the exit status, and what was wrong."""

    to: Path
    status: int
    warnings: str


@pytest.fixture(scope="module")
def builds(tmp_path_factory) -> dict[str, Build]:
    """The reference and a page with defects; one process, which imports the package once."""
    sources = {"reference": SOURCE, "defects": tmp_path_factory.mktemp("defects")}
    (sources["defects"] / "index.rst").write_text(DEFECTS, encoding="utf-8")
    built = tmp_path_factory.mktemp("built")
    options = ["-q", "-W", "--keep-going", "-b", "html", "-c", str(SOURCE)]
    arguments = [
        [*options, "-w", str(built / f"{name}.txt"), str(source), str(built / name)]
        for name, source in sources.items()
    ]
    command = [sys.executable, "-c", PROGRAM, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {
        name: Build(built / name, status, (built / f"{name}.txt").read_text(encoding="utf-8"))
        for name, status in zip(sources, json.loads(done.stdout), strict=True)
    }


def inventory(built: Path) -> set[tuple[str, str]]:
    """Return role and name of everything the built pages describe."""
    packed = (built / "objects.inv").read_bytes().split(b"\n", 4)[4]
    lines = zlib.decompress(packed).decode().splitlines()
    rows = (line.split(" ") for line in lines)
    # Names may hold spaces; role, priority, page and title follow.
    found = set()
    for row in rows:
        at = next(i for i, word in enumerate(row) if ":" in word and i > 0)
        found.add((row[at], " ".join(row[:at])))
    return found


@pytest.fixture(scope="module")
def built(builds) -> Path:
    assert builds["reference"].status == 0, builds["reference"].warnings
    return builds["reference"].to


@pytest.mark.slow
def test_every_public_name_is_described(built):
    described = {name for role, name in inventory(built) if role.startswith("py:")}
    public = {f"bayes_hte.{name}" for name in bayes_hte.__all__ if name != "__version__"}
    for package in PACKAGES:
        # What the root exports as well is described under its shorter name.
        inside = exported(package) - set(bayes_hte.__all__)
        public |= {f"bayes_hte.{package}.{name}" for name in inside}
    assert public - described == set()


@pytest.mark.slow
def test_every_word_of_the_glossary_is_on_its_page(built):
    terms = {name for role, name in inventory(built) if role == "std:term"}
    for word in glossary():
        plain = word.strip("`")
        assert (f"{plain} (dimension)" if word != plain else plain) in terms


# ---------------------------------------------------------------- sections of docstrings


def sections(docstring: str) -> dict[str, str]:
    """Return the text of each numpydoc section by its title."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.cleandoc(docstring), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def lacking(function: ast.FunctionDef, docstring: str) -> list[str]:
    """Name the arguments and sections that the docstring of a function lacks."""
    found = sections(docstring)
    described = re.findall(r"^(\S[^:\n]*)", found.get("Parameters", ""), flags=re.MULTILINE)
    words = {name.strip().lstrip("*") for line in described for name in line.split(",")}
    arguments = function.args
    named = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    missing = [name for name in named if name not in {"self", "cls", *words}]
    gives = not (isinstance(function.returns, ast.Constant) and function.returns.value is None)
    if gives and len(named) > ("self" in named or "cls" in named):
        missing += [] if {"Returns", "Yields"} & set(found) else ["Returns"]
    raises = any(isinstance(node, ast.Raise) for node in ast.walk(function))
    return missing + (["Raises"] if raises and "Raises" not in found else [])


def public_functions(tree: ast.Module, public: set[str]) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Return the public functions of a module, and the methods of its public classes."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in public:
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and node.name in public:
            methods = (child for child in node.body if isinstance(child, ast.FunctionDef))
            yield from ((f"{node.name}.{m.name}", m) for m in methods if m.name[0] != "_")


def docstring_of(path: Path, name: str) -> str:
    """Return a docstring as a reader sees it: decorators complete some."""
    parts = path.relative_to(Path(bayes_hte.__file__).parents[1]).with_suffix("").parts
    module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
    return inspect.getdoc(operator.attrgetter(name)(module)) or ""


def test_public_functions_describe_arguments_results_and_errors():
    public = set(bayes_hte.__all__).union(*(exported(package) for package in PACKAGES))
    found = {}
    for path in Path(bayes_hte.__file__).parent.rglob("*.py"):
        # Parts of the page share names with public functions, and are none.
        if {"sections", "checklists"} & set(path.parts):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for name, function in public_functions(tree, public):
            if missing := lacking(function, docstring_of(path, name)):
                found[f"{path.name}: {name}"] = missing
    assert found == {}


def test_what_a_docstring_lacks_is_found():
    source = """def f(a, *, b=1) -> int:
    '''Do it.

    Parameters
    ----------
    a : int
        First.
    '''
    raise ValueError
"""
    (function,) = ast.parse(source).body
    docstring = ast.get_docstring(function) or ""
    assert lacking(function, docstring) == ["b", "Returns", "Raises"]


# ---------------------------------------------------------------- what must fail


@pytest.mark.slow
def test_a_broken_reference_and_a_wrong_key_fail_the_build(builds):
    assert builds["defects"].status != 0
    found = builds["defects"].warnings
    assert "bayes_hte.fitt" in found
    assert "does not explain ['ci_kind'] of [report], and explains ['ci_sort']" in found
