"""Examples in docstrings and on pages show what they say, and every public function has one.

Examples that fit the same study in the same words share one fit.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import pytest

import bayes_hte as hte
from bayes_hte import estimator

# The documented packages, the root first: what it exports as well goes by its shorter name.
PACKAGES = (
    "",
    "checks",
    "companions",
    "effects",
    "mixtures",
    "plots",
    "sensitivity",
    "subgroups",
    "targeting",
)

PAGES = sorted((Path(__file__).parents[1] / "notebooks" / "reference").glob("*.rst"))


def public_names() -> list[str]:
    """Return every public name as it is written after ``bayes_hte.``, each object once."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        for name in importlib.import_module(f"bayes_hte.{package}".rstrip(".")).__all__:
            found.setdefault(name, f"{package}.{name}".lstrip("."))
    return sorted(found.values())


def public_object(name: str) -> Any:
    package, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(f"bayes_hte.{package}".rstrip(".")), attribute)


def docstrings(name: str, thing: Any) -> dict[str, str]:
    """Return the docstring of a public name and, of a class, those of its public methods."""
    found = {name: thing.__doc__ if inspect.isclass(thing) or callable(thing) else None}
    if inspect.isclass(thing):
        ours = [c for c in reversed(thing.__mro__) if c.__module__.startswith("bayes_hte")]
        members = {n: m for c in ours for n, m in vars(c).items() if not n.startswith("_")}
        found |= {f"{name}.{n}": getattr(m, "__doc__", None) for n, m in members.items()}
    return {n: text for n, text in found.items() if text}


def examples(name: str, text: str) -> doctest.DocTest:
    """Return the examples of a docstring; each docstring begins with no names."""
    return doctest.DocTestParser().get_doctest(inspect.cleandoc(text), {}, name, name, 0)


def failures(test: doctest.DocTest) -> str:
    """Run examples; return what they should have shown and did not, empty if all is well."""
    said: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    return "".join(said)


def lacking(things: dict[str, Any]) -> list[str]:
    """Return the functions that show no example, or only such as are never run."""
    return [
        name
        for name, thing in things.items()
        if inspect.isroutine(thing)
        and all(doctest.SKIP in e.options for e in examples(name, thing.__doc__ or "").examples)
    ]


@pytest.fixture
def one_fit(monkeypatch, fitted):
    """Let equal calls of ``hte.fit`` share one fit, however it is reached."""
    monkeypatch.setattr(hte, "fit", fitted)
    monkeypatch.setattr(estimator, "fit", fitted)


@pytest.fixture
def quiet_corner(tmp_path, monkeypatch):
    """A folder for files, and figures that open no window."""
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("Agg")
    yield
    plt.close("all")


# Fits of a few draws are not healthy, and are not meant to be.
few_draws = pytest.mark.filterwarnings("ignore::bayes_hte.errors.UnhealthySamplingWarning")


@few_draws
@pytest.mark.parametrize("name", public_names())
def test_the_examples_of_a_public_name_show_what_they_say(name, one_fit, quiet_corner):
    texts = docstrings(name, public_object(name))
    said = [failures(examples(part, text)) for part, text in texts.items()]
    assert "\n".join(filter(None, said)) == ""


@few_draws
@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_the_examples_of_a_page_show_what_they_say(page, one_fit, quiet_corner):
    assert failures(examples(page.name, page.read_text(encoding="utf-8"))) == ""


def test_every_public_function_has_an_example():
    without = lacking({name: public_object(name) for name in public_names()})
    assert without == [], f"without an example: {', '.join(without)}"


# ---------------------------------------------------------------- what must fail


def test_names_are_found_once_and_under_their_shorter_name():
    names = public_names()
    assert {"fit", "Study", "plots.plot_love", "targeting.toc"} - set(names) == {"targeting.toc"}
    assert "toc" in names
    assert len(names) == len(set(names))
    texts = docstrings("Study", hte.Study)
    assert {"Study", "Study.from_frame", "Study.outcome"} <= set(texts)


def test_a_function_without_example_is_found():
    def bare():
        """Do it.

        Examples
        --------
        Call it.
        """

    def shown():
        """Do it.

        >>> 1 + 1
        2
        """

    def skipped():
        """Do it.

        >>> 1 + 1  # doctest: +SKIP
        3
        """

    things = {"bare": bare, "shown": shown, "skipped": skipped, "Class": SimpleNamespace}
    assert lacking({**things, "Constant": 3}) == ["bare", "skipped"]


def test_an_example_that_shows_something_else_is_found():
    assert failures(examples("f", ">>> 1 + 1\n2\n")) == ""
    assert "Expected:\n    3\nGot:\n    2" in failures(examples("f", ">>> 1 + 1\n3\n"))
    assert "ZeroDivisionError" in failures(examples("f", ">>> 1 / 0\n"))


def test_the_methods_of_a_class_are_looked_at():
    class Thing:
        """A thing."""

        def shown(self):
            """Do it."""

        def _hidden(self):
            """Do it."""

        @property
        def given(self):
            """Something."""

    Thing.__module__ = "bayes_hte.things"
    assert set(docstrings("Thing", Thing)) == {"Thing", "Thing.shown", "Thing.given"}


def test_equal_fits_are_sampled_once(one_fit, fitted):
    from bayes_hte import fit

    assert fit == hte.fit == estimator.fit == fitted
