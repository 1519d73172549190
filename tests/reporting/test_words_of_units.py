from __future__ import annotations

import re
from dataclasses import replace

import pytest

from bayes_hte.reporting import report
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import people, person
from bayes_hte.reporting.sections.individuals import individuals
from bayes_hte.study.spec_file import load_spec
from tests.reporting.html_page import Page

# Sentences about people as such, and words of checks and verdict, which know no study file.
MEANT = ("depends on their own treatment only",)


def without_meant(text: str, results) -> str:
    quoted = [results.trust.headline, *(c.text for c in results.checks)]
    for words in quoted:
        text = text.replace(" ".join(words.split()), "")
    sentences = re.split(r"(?<=[.!?:]) ", text)
    return " ".join(s for s in sentences if not any(m in s for m in MEANT))


@pytest.fixture(scope="module")
def trial(results, tmp_path_factory):
    """A mediated trial of person-years and the page of its report."""
    roles = replace(results.spec.roles, units="person-years", unit="person-year")
    renamed = replace(results, spec=replace(results.spec, roles=roles))
    path = report(renamed, to=tmp_path_factory.mktemp("renamed") / "report.html")
    return renamed, Page(path.read_text("utf-8"))


@pytest.mark.parametrize("kind", ["trial", "observational"])
def test_rows_that_are_not_people_are_never_called_people(request, kind):
    if kind == "trial":
        results, page = request.getfixturevalue("trial")
    else:
        results, page = (request.getfixturevalue(n) for n in ("observational", "unmediated"))
        page = page[1]
    visible = without_meant(" ".join([page.text, *page.alternatives]), results)
    found = [visible[max(m.start() - 60, 0) : m.end() + 20] for m in OF_PEOPLE.finditer(visible)]
    assert not found
    assert "60 person-years" in visible
    lines = "one line for each person-year" in visible
    assert lines == (kind == "trial")  # the other run carries no individuals


OF_PEOPLE = re.compile(
    r"\bpeople\b|\bpersons?\b(?!-year)|\beverybody\b|\beveryone\b", re.IGNORECASE
)


def test_people_are_people_unless_declared(results, tables):
    assert (people(results), person(results)) == ("people", "person")
    body = individuals(Material(results, tables)).body
    assert "one line for each person." in body
    assert "Every person is drawn." in body
    assert ">People of the study with<" in body


def test_a_word_for_several_alone_does_not_leave_persons(results):
    roles = replace(results.spec.roles, units="eyes")
    eyes = replace(results, spec=replace(results.spec, roles=roles))
    assert (people(eyes), person(eyes)) == ("eyes", "unit")


def test_the_study_of_person_years_declares_both_words(request):
    spec = load_spec(request.config.rootpath / "models" / "randhie.toml")
    assert (spec.roles.units, spec.roles.unit) == ("person-years", "person-year")
