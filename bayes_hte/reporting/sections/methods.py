"""How it was done, ready to paste, and how to do it again."""

from __future__ import annotations

from bayes_hte.reporting.methods.paragraphs import methods as write_methods
from bayes_hte.reporting.methods.references import linked
from bayes_hte.reporting.page.markup import (
    Field,
    details,
    field_table,
    paragraph,
    text,
    unordered,
    words,
)
from bayes_hte.reporting.page.numbers import plain
from bayes_hte.reporting.page.section import Material, Section


def methods(material: Material) -> Section:
    """Build the section on methods."""
    results = material.results
    written = write_methods(results)
    body = [
        paragraph(
            "These paragraphs are written from the study file and may be pasted as they are."
        ),
        '<div class="paste">',
        *(paragraph(text(p)) for p in written.paragraphs),
        "</div>",
        "<h3>Priors and their reasons</h3>",
        _priors(material),
        "<h3>References of the methods used</h3>",
        unordered(linked(reference.full) for reference in written.references),
    ]
    if results.spec.about.references:
        body += [
            "<h3>References of the study</h3>",
            unordered(linked(reference) for reference in results.spec.about.references),
        ]
    body += ["<h3>To repeat this run</h3>", _reproducibility(material)]
    return Section("methods", "Methods", "".join(body))


def _priors(material: Material) -> str:
    fields = [
        words("Model and term", lambda row: f"{row['component']}: {row['words']}"),
        Field("Scale", lambda row: f"{row['scale']:g}"),
        Field("Trees", lambda row: plain(row["trees"])),
        words("Set by", lambda row: "study file" if row["declared"] else "package"),
        words("Because", "because"),
    ]
    slopes = (
        "; for slopes of the mediator, divided by the standard deviation of the mediator"
        if material.results.spec.mediator is not None
        else ""
    )
    explained = paragraph(
        "Scale: prior standard deviation of the term at any covariates, in units of the modelled "
        "quantity: standard deviations of a gaussian column, 1.5 on the logit scale, 1 on the log "
        f"scale{slopes}."
    )
    return explained + field_table("Priors.", fields, material.tables["priors"], source="priors")


def _reproducibility(material: Material) -> str:
    frame, spec = material.tables["provenance"], material.results.spec
    fields = [words("What", "key"), words("Value", "value")]
    block = field_table("Record of the run.", fields, frame, source="provenance")
    if spec.text:
        changed = "".join(f"\n# changed for this run: {change}" for change in spec.changes)
        file = f"<pre>{text(spec.text + changed)}</pre>"
        block += details("The study file", file, is_open=False)
    return block
