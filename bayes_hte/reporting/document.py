"""The report: one HTML file that needs nothing else, and its numbers as CSV files next to it."""

from __future__ import annotations

import base64
import gc
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from threadpoolctl import threadpool_limits

from bayes_hte.checks.sampling_health import NAME as HEALTH
from bayes_hte.errors import SpecError
from bayes_hte.names import visible
from bayes_hte.reporting.collected import all_tables
from bayes_hte.reporting.page.markup import named_check, text, unordered
from bayes_hte.reporting.page.section import Material, Section
from bayes_hte.reporting.results import Results
from bayes_hte.reporting.sections.answer import answer
from bayes_hte.reporting.sections.appendix import appendix, index
from bayes_hte.reporting.sections.averages import averages
from bayes_hte.reporting.sections.checklists import checklists
from bayes_hte.reporting.sections.individuals import individuals
from bayes_hte.reporting.sections.methods import methods
from bayes_hte.reporting.sections.mixture import mixture
from bayes_hte.reporting.sections.participants import participants
from bayes_hte.reporting.sections.subgroups import subgroups
from bayes_hte.reporting.sections.survival import survival
from bayes_hte.reporting.sections.trust import trust
from bayes_hte.reporting.tables.files import save
from bayes_hte.store import make_folder, write_text
from bayes_hte.study.spec import Spec

# In the order a reader decides; a section may return None. The first is the first screen, the
# others are closed until a reader asks for them.
SECTIONS = (
    answer,
    participants,
    averages,
    survival,
    individuals,
    subgroups,
    mixture,
    trust,
    methods,
    checklists,
    appendix,
)

# Tells the browser to refuse anything from elsewhere, should a text ever smuggle it in.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{}'"

_WARNING = '<p class="unsafe">The sampling failed: the numbers below must not be used.</p>'


def report(results: Results, *, to: str | Path) -> Path:
    """Write the report of a run, and its tables into the folder ``tables`` next to it.

    Parameters
    ----------
    results : Results
        A finished run; an unhealthy one is reported under a warning.
    to : str or Path
        The HTML file to write; replaced if it exists. Its folder is made if absent. The folder
        ``tables`` belongs to one report: tables that an earlier one wrote there, and this one does
        not have, are removed.

    Returns
    -------
    Path
        The file written. The same results give the same bytes.

    Raises
    ------
    SpecError
        If `to` does not end in ``.html``.

    Examples
    --------
    A run writes its report; its results can be reported again elsewhere.

    >>> import bayes_hte as hte
    >>> run = hte.run_study(hte.load_spec("jobs2.toml"), "jobs2")  # doctest: +SKIP
    >>> hte.report(run.results, to="elsewhere/jobs2.html")  # doctest: +SKIP
    PosixPath('elsewhere/jobs2.html')

    Whatever the results, the report is a page:

    >>> try:
    ...     hte.report(None, to="jobs2.pdf")
    ... except hte.SpecError as error:
    ...     print(error)
    the report is an HTML file, got 'jobs2.pdf'; use jobs2.html.
    """
    path = Path(to)
    if path.suffix.lower() not in (".html", ".htm"):
        raise SpecError(f"the report is an HTML file, got {path.name!r}; use {path.stem}.html.")
    # Small products of matrices: further threads would cost more than they bring.
    with _garbage_left(), threadpool_limits(1, user_api="blas"):
        material = Material(results, all_tables(results))
        page = _page(material)
        make_folder(path.parent)
        save(material.tables, path.parent / "tables")
    write_text(path, page)
    return path


@contextmanager
def _garbage_left() -> Iterator[None]:
    """Do not look for garbage meanwhile.

    Figures are many small objects that refer to each other, and looking through all of them again
    and again takes a third of the time that the report takes.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _page(material: Material) -> str:
    sections = [made for section in SECTIONS if (made := section(material)) is not None]
    sections.append(index(material, sections))
    # A section may be read, printed or photographed alone, so each repeats the warning.
    warning = "" if material.results.healthy else _WARNING
    title = material.results.spec.title
    banner = quick_mark(material.results.spec) + _banner(material)
    return html_page(title, sections, banner=banner, warning=warning)


def html_page(
    title: str, sections: Sequence[Section], *, banner: str = "", warning: str = ""
) -> str:
    """Return a whole page.

    Parameters
    ----------
    title : str
        Its heading, plain text.
    sections : sequence of Section
        In their order.
    banner, warning : str
        Safe HTML above the heading, and at the top of each section.

    Returns
    -------
    str
    """
    title = text(title)
    style, script = _own("report.css"), _own("report.js")
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    body = "".join(_section(number, s, warning) for number, s in enumerate(sections, start=1))
    contents = unordered(
        f'<a href="#{s.key}">{number}. {text(s.heading)}</a>'
        for number, s in enumerate(sections, start=1)
    )
    return visible(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY.format(allowed)}">'
        f"<title>{title}</title><style>{style}</style></head><body>"
        f'<a class="skip" href="#{sections[0].key}">Skip to the answer</a>'
        f"<header>{banner}<h1>{title}</h1></header>"
        f'<div class="columns"><nav aria-label="Contents">{contents}</nav><main>{body}</main></div>'
        f"<script>{script}</script></body></html>\n"
    )


def _own(name: str) -> str:
    """Read a file of the package that goes into the page."""
    return resources.files("bayes_hte.reporting").joinpath(name).read_text("utf-8")


def _section(number: int, section: Section, warning: str) -> str:
    """Return a section; all but the first open on a click, so that the page opens short."""
    heading = f'<h2 id="{section.key}-heading">{number}. {text(section.heading)}</h2>'
    inner = f"{heading}{warning}{section.body}"
    if number > 1:
        inner = f"<details><summary>{heading}</summary>{warning}{section.body}</details>"
    return f'<section id="{section.key}" aria-labelledby="{section.key}-heading">{inner}</section>'


def quick_mark(spec: Spec) -> str:
    """Return the mark of a first look; empty for a whole analysis."""
    if not spec.quick:
        return ""
    return (
        '<div class="banner note" role="note"><p><strong>A first look (--quick), not the analysis.'
        "</strong> Few draws were taken; subgroups are not judged by halves of the study, and "
        "nothing was refuted, stacked or compared. Run the study without --quick before using any "
        "number.</p></div>"
    )


def _banner(material: Material) -> str:
    if material.results.healthy:
        return ""
    failed = unordered(
        named_check(c.name, c.text)
        for c in material.results.trust.decided_by
        if c.name.startswith(HEALTH)
    )
    return (
        '<div class="banner" role="alert"><p><strong>The sampling failed its health checks. The '
        f"numbers in this report must not be used.</strong></p><p>Failed:</p>{failed}</div>"
    )
