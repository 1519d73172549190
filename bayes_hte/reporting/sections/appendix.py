"""The appendix: the numbers behind every check, and an index of all tables."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup

from bayes_hte.checks.base import CheckResult
from bayes_hte.reporting.page.fields import plain_table
from bayes_hte.reporting.page.markup import Column, details, paragraph, table, text
from bayes_hte.reporting.page.section import Material, Section
from bayes_hte.reporting.tables.keys import check_keys

_MOST_ROWS = 15


def appendix(material: Material) -> Section:
    """Build the section with the internals of the checks."""
    keyed = zip(check_keys(material.results), material.results.checks, strict=True)
    numbers = [_numbers(check, material.tables[k], k) for k, check in keyed if k in material.tables]
    body = (
        "<h3>Numbers behind the checks</h3>"
        + paragraph("Quantities of the models and of the checks, as the checks read them.")
        + "".join(numbers)
    )
    return Section("appendix", "Appendix: checks in numbers", body)


def _numbers(check: CheckResult, frame: pd.DataFrame, key: str) -> str:
    shown = frame.head(_MOST_ROWS)
    more = f" First {len(shown)} of {len(frame)} rows." if len(shown) < len(frame) else ""
    inner = plain_table(f"{check.name}.{more}", shown, source=key)
    return details(f"{check.name} ({check.state})", inner, is_open=False)


def index(material: Material, sections: Sequence[Section]) -> Section:
    """Build the index of the tables: which file holds what, and which sections show it.

    Parameters
    ----------
    material : Material
        The run and its tables.
    sections : sequence of Section
        The other sections of the page, which name their files.

    Returns
    -------
    Section
    """
    columns = [Column("File", numeric=False), Column("Rows"), Column("Shown in", numeric=False)]
    rows = []
    for key, frame in material.tables.items():
        link = Markup(f'<a href="tables/{key}.csv">{key}.csv</a>')
        mark = f'href="tables/{key}.csv"'
        places = [
            f'<a href="#{section.key}">{text(section.heading)}</a>'
            for section in sections
            if mark in section.body
        ]
        rows.append([link, str(len(frame)), Markup(", ".join(places) or "this index alone")])
    said = paragraph(
        "Every number of this page is in one of these files, in outcome units: a probability is "
        "between 0 and 1 there, and in per cent on this page."
        if material.scale.kind == "risk"
        else "Every number of this page is in one of these files."
    )
    made = table("Index of the tables.", columns, [(None, rows)], source=None)
    return Section("index", "Index of the tables", said + made)
