"""Machine code on disk is used again, and made anew when anything that it contains changes."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from bayes_hte.surfaces import compiling

INNER = (
    "import numba\nfrom {name}_constants import STEP\n\n@numba.njit\ndef inner(x):\n    return {}\n"
)
OUTER = (
    "import numba\nfrom bayes_hte.surfaces.compiling import compiled_on_disk\n"
    "from {name}_inner import inner\n\n@{decorator}\ndef outer(x):\n    return inner(x)\n"
)


class Files:
    """Three modules: one function calls another, which reads a constant of the third."""

    def __init__(self, folder: Path, name: str, decorator: str):
        self.folder, self.name = folder, name
        self.write("constants", "STEP = 1\n")
        self.write("inner", INNER.replace("{}", "x + STEP"))
        self.write("outer", OUTER.replace("{decorator}", decorator))

    def write(self, part: str, text: str) -> None:
        path = self.folder / f"{self.name}_{part}.py"
        path.write_text(text.replace("{name}", self.name), encoding="utf-8")

    def load(self) -> ModuleType:
        """Import the files as a new process would."""
        for part in ("constants", "inner", "outer"):
            sys.modules.pop(f"{self.name}_{part}", None)
        importlib.invalidate_caches()
        return importlib.import_module(f"{self.name}_outer")


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def make(name: str, decorator: str) -> Files:
        made.append(name)
        return Files(tmp_path, name, decorator)

    yield make
    for name in made:
        for part in ("constants", "inner", "outer"):
            sys.modules.pop(f"{name}_{part}", None)


def test_machine_code_is_used_again_until_a_file_or_a_constant_changes(files):
    ours = files("compiled_ours", "compiled_on_disk()")
    assert ours.load().outer(1) == 2
    again = ours.load().outer
    assert again(1) == 2
    assert again.stats.cache_hits
    ours.write("inner", INNER.replace("{}", "x + 10 * STEP"))
    assert ours.load().outer(1) == 11
    ours.write("constants", "STEP = 20\n")
    assert ours.load().outer(1) == 201


def test_numba_alone_goes_on_with_the_code_of_an_older_file(files):
    # The negative: were this not so, the test above could not fail.
    theirs = files("compiled_theirs", "numba.njit(cache=True)")
    assert theirs.load().outer(1) == 2
    theirs.write("inner", INNER.replace("{}", "x + 10 * STEP"))
    assert theirs.load().outer(1) == 2


def test_the_digest_is_of_every_module_that_the_sweep_over_coefficients_calls():
    from bayes_hte.fitting.gibbs.compiled import sweep_coefficients

    found = compiling.modules_within(sweep_coefficients.py_func)
    names = {name.rpartition(".")[2] for name in found}
    assert names == {"compiled", "products", "scale_densities", "scales", "slice_step"}
