"""Sphinx directives whose content is the code: public names, keys of study files, the glossary.

A page says what belongs together; the lists come from the package, and a list that has changed
since a page was written is either followed or an error of the build.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import json
import pkgutil
import re
import types
import typing
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

import bayes_hte
from bayes_hte import names
from bayes_hte.study import spec
from bayes_hte.study import spec_file as study_file

PACKAGE = "bayes_hte"


def public_names(place: str) -> list[str]:
    """List how to write the public names of a module or package, the shortest way for each.

    Parameters
    ----------
    place : str
        Name within the package. Public are the names the root exports from there and those of its
        ``__all__``; where there are neither, what it defines, for a package in all its modules.

    Returns
    -------
    list of str
        ``"bayes_hte.fit"``, ``"bayes_hte.targeting.implied_qini"``, in the order of the package.
    """
    exported = bayes_hte._EXPORTS.get(place, ())
    module = importlib.import_module(f"{PACKAGE}.{place}")
    if hasattr(module, "__all__"):
        inside = [f"{PACKAGE}.{place}.{name}" for name in module.__all__]
    else:
        inside = [] if exported else [name for m in with_modules(module) for name in defined(m)]
    root = {id(getattr(bayes_hte, name)): name for name in bayes_hte.__all__}
    return list(
        dict.fromkeys(
            f"{PACKAGE}.{root[id(value)]}" if id(value := resolve(name)) in root else name
            for name in (*(f"{PACKAGE}.{name}" for name in exported), *inside)
        )
    )


def with_modules(module: types.ModuleType) -> list[types.ModuleType]:
    """Return a module, or a package and its modules."""
    inside = pkgutil.iter_modules(getattr(module, "__path__", ()), f"{module.__name__}.")
    return [module, *(importlib.import_module(info.name) for info in inside)]


def defined(module: types.ModuleType) -> list[str]:
    """Return the full names of the functions and classes a module defines for others."""
    return [
        f"{module.__name__}.{name}"
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
    ]


def resolve(name: str) -> Any:
    """Return the object of a dotted name of the package, or None.

    A function may be called as the module that defines it; the package has the function.
    """
    found: Any = bayes_hte
    reached = PACKAGE
    for part in name.split(".")[1:]:
        reached = f"{reached}.{part}"
        if not hasattr(found, part):
            if importlib.util.find_spec(reached) is None:
                return None
            importlib.import_module(reached)
        found = getattr(found, part)
    return found


class Written(SphinxDirective):
    """A directive that writes reStructuredText and has it read in its place."""

    def read(self, lines: list[str]) -> list[nodes.Node]:
        """Read lines as if they stood on the page."""
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


class PublicNames(Written):
    """Document every public name of the modules and packages given.

    First a table of all names; then a section a module that defines some, with its docstring.
    """

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Write the table and the sections."""
        found = [name for place in self.arguments[0].split() for name in public_names(place)]
        rows = [("name", "what it is"), *((f":py:obj:`{n} <{n}>`", summary(n)) for n in found)]
        lines = list_table(rows, widths=(40, 60))
        homes: dict[str, list[str]] = {}
        for name in found:
            homes.setdefault(home_of(name), []).append(name)
        for home, inside in homes.items():
            title = first_line(importlib.import_module(home))
            # Its functions are indexed under the names that users import.
            module = [f".. automodule:: {home}", "   :no-index:", ""]
            lines += [title, "-" * len(title), "", *module]
            lines += [line for name in inside for line in entry(name, home)]
        return self.read(lines)


def summary(name: str) -> str:
    """Return the first line of what documents a name."""
    value = resolve(name)
    return inspect.cleandoc(value.__doc__).split("\n")[0] if callable(value) else "A constant."


def home_of(name: str) -> str:
    """Return the module that defines a public name."""
    value = resolve(name)
    if hasattr(value, "__module__"):
        return str(value.__module__)
    place, _, own = name.rpartition(".")
    defines = re.compile(rf"^{own}\b.* = ", re.MULTILINE)
    candidates = with_modules(importlib.import_module(place))
    return next(m.__name__ for m in candidates if defines.search(inspect.getsource(m)))


def entry(name: str, home: str) -> list[str]:
    """Write what documents a name; of a constant, the text that follows its definition."""
    value = resolve(name)
    if inspect.isclass(value):
        # Methods from a base that no page documents belong to the class.
        inside = [b for b in value.__bases__ if b.__module__.startswith(f"{PACKAGE}.study.")]
        members = ["   :members:", *(["   :inherited-members:"] if inside else [])]
        return [f".. autoclass:: {name}", *members, ""]
    if callable(value):
        return [f".. autofunction:: {name}", ""]
    place, _, own = name.rpartition(".")
    said = ModuleAnalyzer.for_module(home).find_attr_docs()["", own]
    options = [f"   :module: {place}", f"   :value: {value!r}"]
    return [f".. py:data:: {own}", *options, "", *(f"   {line}" for line in said), ""]


def first_line(module: types.ModuleType) -> str:
    """Return what a module is, from its docstring."""
    return inspect.cleandoc(module.__doc__ or module.__name__).split("\n")[0].rstrip(".")


def tidy_docstring(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Drop the title of a module, which is that of its section, and mend what napoleon splits.

    Napoleon takes what precedes a colon in the docstring of a property for its type.
    """
    if what == "module":
        lines[:1] = []
    elif what == "property" and lines and lines[-1].startswith(":type: "):
        lines[:] = [f"{lines.pop().removeprefix(':type: ')}: {lines[0]}", *lines[1:]]


def tidy_signature(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str, gives: str
) -> tuple[str, str] | None:
    """Write defaults that are made anew each time so that the signature can be read."""
    if signature and "<factory>" in signature:
        return signature.replace("<factory>", "..."), gives
    return None


def skip_foreign(
    app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object
) -> bool | None:
    """Leave out methods that another package has added to a class."""
    home = getattr(obj, "__module__", None) or PACKAGE
    return None if str(home).startswith(PACKAGE) else True


class Glossary(Written):
    """The words of the package with their definitions."""

    def run(self) -> list[nodes.Node]:
        """Write a glossary; dimensions, which are in backticks there, are named as such."""
        lines = [".. glossary::", "   :sorted:", ""]
        for term, meaning in names.glossary().items():
            is_dim = term.startswith("`")
            word = f"{term.strip('`')} (dimension)" if is_dim else term
            lines += [f"   {word}", f"      {meaning}", ""]
        return self.read(lines)


class StudyTable(Written):
    """A table of a study file: the page says what keys mean, the code what they may be.

    The content is a list of fields, a key and its meaning each. Every key of the table must be
    there, and no other.
    """

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Write what the table is for, then a row a key."""
        table = self.arguments[0]
        cls = study_tables()[table]
        known = {field.name: field for field in keys(cls)}
        meanings = dict(re.findall(r"^:(\w+): (.+(?:\n +.+)*)", "\n".join(self.content), re.M))
        if set(known) != set(meanings):
            raise self.error(
                f"the page does not explain {sorted(set(known) - set(meanings))} of [{table}], "
                f"and explains {sorted(set(meanings) - set(known))}, which it does not have"
            )
        hints = typing.get_type_hints(cls)
        rows = [("key", "value", "default", "meaning")]
        for key, field in known.items():
            value = "; ".join(filter(None, (words(hints[key]), ranges().get(f"{table}.{key}"))))
            meaning = " ".join(meanings[key].split())
            rows.append((f"``{key}``", value, default(field), meaning))
        about = [] if cls is spec.Spec else inspect.cleandoc(cls.__doc__ or "").split("\n")
        return [
            *self.anchor(cls, f"table-{table}"),
            *self.read([*about, "", *list_table(rows, widths=(20, 28, 14, 38))]),
        ]

    def anchor(self, cls: type, identifier: str) -> list[nodes.Node]:
        """Make references to the class of a table lead to the table."""
        if cls is spec.Spec:
            return []
        here = nodes.target("", "", ids=[identifier])
        domain = self.env.domains.python_domain
        domain.note_object(f"{cls.__module__}.{cls.__name__}", "class", identifier, location=here)
        return [here]


def list_table(rows: list[tuple[str, ...]], *, widths: tuple[int, ...]) -> list[str]:
    """Write a table with a header, a list of cells a row."""
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {' '.join(map(str, widths))}"]
    lines.append("")
    for first, *others in rows:
        lines += [f"   * - {first}", *(f"     - {cell}" for cell in others)]
    return [*lines, ""]


# ---------------------------------------------------------------- study files


def study_tables() -> dict[str, type]:
    """Return the class behind each table of a study file; the keys outside of tables are ``""``.

    Returns
    -------
    dict of str to type
        ``{"top": Spec, "about": About, ...}`` in the order of the file.
    """
    hints = typing.get_type_hints(spec.Spec)
    tables = {field.name: table_class(hints[field.name]) for field in fields(spec.Spec)}
    return {"top": spec.Spec} | {name: cls for name, cls in tables.items() if cls is not None}


def table_class(hint: Any) -> type | None:
    """Return the dataclass within a type (optional, or a tuple of it), if there is one."""
    inside = [hint, *typing.get_args(hint)]
    return next((h for h in inside if isinstance(h, type) and is_dataclass(h)), None)


def keys(cls: type) -> list[Field[Any]]:
    """Return the fields of a table that hold values, not tables, and may stand in a file."""
    hints = typing.get_type_hints(cls)
    set_by_reader = study_file._NOT_IN_FILE if cls is spec.Spec else ()
    return [
        field
        for field in fields(cls)
        if table_class(hints[field.name]) is None and field.name not in set_by_reader
    ]


def words(hint: Any) -> str:
    """Say which values a type allows, in the words of the errors of study files."""
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(words(h) for h in inside if h is not type(None))
    if origin is typing.Literal:
        return " or ".join(f'``"{value}"``' for value in inside)
    if origin is dict:
        return f"table of: {words(inside[1])}"
    if origin is tuple:
        return f"list of: {words(inside[0])}"
    return study_file._type_names([hint])


def default(field: Field[Any]) -> str:
    """Say in TOML what a key is when the file leaves it out."""
    if field.default_factory is not MISSING:
        return "none"
    if field.default is MISSING:
        return "must be given"
    if field.default is None or field.default == "":
        return "none"
    if isinstance(field.default, tuple):
        return f"``[{', '.join(map(json.dumps, field.default))}]``"
    return f"``{json.dumps(field.default)}``"


def ranges() -> dict[str, str]:
    """Return the range of each key that has one, from the messages of the checks of `study_file`.

    Returns
    -------
    dict of str to str
        ``{"sampler.seed": "0 or more", ...}``
    """
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse(inspect.getsource(study_file))):
        if isinstance(node, ast.Dict):
            texts = [key.value for key in node.keys if isinstance(key, ast.Constant)]
            said = (re.fullmatch(r"(\w+\.\w+) \((.+)\)", str(text)) for text in texts)
            found |= {match[1]: match[2] for match in said if match}
    return found


# ---------------------------------------------------------------- references


def link(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """Resolve a reference to an object that is written with another of its names.

    Docstrings name what stands in the same module without the module, and pages show objects under
    the name that users import. What is written in full must exist under that name.
    """
    target = str(node.get("reftarget", ""))
    if target.startswith(f"{PACKAGE}.") and resolve(target) is None:
        return None
    domain = env.domains.python_domain
    parts = target.split(".")
    for ending in dict.fromkeys((f".{'.'.join(parts[-2:])}", f".{parts[-1]}")):
        # The same object may be listed under several names.
        found = {o.node_id: name for name, o in domain.objects.items() if name.endswith(ending)}
        if len(found) == 1:
            (full,) = found.values()
            return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", full, node, content)
    return None


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("public-names", PublicNames)
    app.add_directive("package-glossary", Glossary)
    app.add_directive("study-table", StudyTable)
    # After napoleon, whose priority is the default of 500.
    app.connect("autodoc-process-docstring", tidy_docstring, priority=600)
    app.connect("autodoc-process-signature", tidy_signature)
    app.connect("autodoc-skip-member", skip_foreign)
    app.connect("missing-reference", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
