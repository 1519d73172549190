"""Reporting checklists: items that the run answers, and those that are left to the author."""

from __future__ import annotations

from markupsafe import Markup

from bayes_hte.reporting.checklists import OVERVIEW
from bayes_hte.reporting.checklists import checklists as fill
from bayes_hte.reporting.checklists.item import AUTHOR, FILLED, NOT_APPLICABLE, Checklist, Item
from bayes_hte.reporting.methods.references import REFERENCES
from bayes_hte.reporting.page.fields import plain_table
from bayes_hte.reporting.page.markup import Column, csv_link, paragraph, table, text
from bayes_hte.reporting.page.section import Material, Section

PLACES = {
    "question": "What was asked, and the answer",
    "participants": "Who was studied",
    "averages": "Average effects",
    "individuals": "Who benefits",
    "subgroups": "Subgroups",
    "trust": "Can it be trusted?",
    "methods": "Methods",
}
_SIGNS = {FILLED: "\N{CHECK MARK}", AUTHOR: "?", NOT_APPLICABLE: "\N{EN DASH}"}


def checklists(material: Material) -> Section:
    """Build the section on reporting checklists."""
    counts = material.tables[OVERVIEW]
    headings = {name: name.capitalize() for name in counts}
    body = [
        paragraph(
            "What reviewers ask for, item by item, in the words of this report; the published "
            "checklists are cited in the methods. An item is <strong>filled from the run</strong>, "
            "<strong>for the author</strong> (with whatever the run knows), or <strong>not "
            "applicable</strong>. A filled item is one that is answered, not one that is met: read "
            "the answer."
        ),
        plain_table("Items by state.", counts, source=OVERVIEW, headings=headings),
    ]
    body += [_checklist(one) for one in fill(material)]
    return Section("checklists", "Reporting checklists", "".join(body))


def _checklist(one: Checklist) -> str:
    columns = [Column(name, numeric=False) for name in ("Item", "What the run knows", "State")]
    rows = [
        [f"{number}. {item.item}", _known(item), _state(item)]
        for number, item in enumerate(one.items, start=1)
    ]
    caption = f"{one.name}, item by item."
    return (
        f"<h3>{text(one.name)}</h3>"
        + paragraph(f"{text(one.purpose)} ({text(REFERENCES[one.key].short)})")
        + table(caption, columns, [(None, rows)], source=one.table_key, stacks=True)
    )


def _known(item: Item) -> Markup:
    """Return what is known, where more is shown, and in which files."""
    more = ""
    if item.section:
        more = f' See <a href="#{item.section}">{text(PLACES[item.section])}</a>.'
    links = f" {csv_link(*item.files)}" if item.files else ""
    return Markup(f"{text(item.known)}{more}{links}")


def _state(item: Item) -> Markup:
    cls = item.state.replace(" ", "-")
    return Markup(
        f'<span class="state {cls}"><span aria-hidden="true">{_SIGNS[item.state]}</span> '
        f"{item.state}</span>"
    )
