from __future__ import annotations

import base64
import hashlib
import itertools
import re
from dataclasses import replace

import pandas as pd
import pytest

from bayes_hte.errors import SpecError
from bayes_hte.reporting import all_tables, report
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.svg import inline_svg
from bayes_hte.reporting.sections.answer import answer
from bayes_hte.reporting.sections.averages import averages
from bayes_hte.reporting.sections.subgroups import subgroups
from tests.reporting.html_page import as_number


def material(results):
    return Material(results, all_tables(results))


def test_the_page_needs_nothing_from_elsewhere(written):
    path, page = written
    assert not page.all("link", "img", "iframe", "object", "embed", "base", "form")
    ((_, script),) = page.all("script")
    assert script == {}
    for tag, attrs in page.elements:
        assert not any(name.startswith("on") for name in attrs)
        for name in ("href", "src", "xlink:href", "action"):
            target = attrs.get(name)
            if target is not None:
                assert target.startswith(("#", "tables/", "https://doi.org/")), (tag, target)
    inside = re.search(r"<script>(.*?)</script>", path.read_text("utf-8"), re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
    (policy,) = (a["content"] for _, a in page.all("meta") if "http-equiv" in a)
    assert policy.endswith(f"script-src 'sha256-{digest}'")
    style = re.search(r"<style>(.*?)</style>", path.read_text("utf-8"), re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style
    assert len(re.findall("http", path.read_text("utf-8"))) == len(
        re.findall(r'href="https://doi\.org/', path.read_text("utf-8"))
    ) + len(re.findall("http-equiv", path.read_text("utf-8")))


def test_the_page_can_be_used_without_eyes(written):
    _, page = written
    assert page.all("html")[0][1]["lang"] == "en"
    assert page.all("svg")
    for _, attrs in page.all("svg"):
        assert attrs["role"] == "img"
        assert len(attrs["aria-label"]) > 30
    assert all("scope" in attrs for _, attrs in page.all("th"))
    levels = [int(tag[1]) for tag, _ in page.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = [a["href"][1:] for _, a in page.elements if a.get("href", "").startswith("#")]
    assert set(targets) <= set(ids)


def test_references_inside_figures_stay_inside_the_page(written):
    path, page = written
    ids = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
    used = set(re.findall(r"url\(#([^)]*)\)", path.read_text("utf-8")))
    assert used
    assert used <= ids


def test_every_table_is_named_and_lies_beside_the_page(written, tables):
    path, page = written
    named = {a["href"] for _, a in page.all("a") if a["href"].startswith("tables/")}
    assert named == {f"tables/{key}.csv" for key in tables}
    for name in named:
        assert not pd.read_csv(path.parent / name).empty


def test_the_average_effects_shown_are_those_of_the_file(written):
    path, page = written
    frame = pd.read_csv(path.parent / "tables" / "average_effects.csv")
    captions = ("Total effect (TE).", "Total effect (TE), other populations.")
    tables = [page.tables[name] for name in (*captions, "Direct and indirect effects.")]
    shown = [row for table in tables for row in table if len(row) == 6 and row[0] != "Effect"]
    assert len(shown) == len(frame) == 10
    for cells, row in zip(shown, frame.to_dict("records"), strict=True):
        half = 0.5 * 10.0 ** -len(cells[1].split(".")[1]) + 1e-12
        assert abs(as_number(cells[1]) - row["mean"]) <= half
        lower, upper = (as_number(part) for part in cells[2].split(" to "))
        assert abs(lower - row["ci_lower"]) <= half
        assert abs(upper - row["ci_upper"]) <= half
        if not cells[3].startswith(("<", ">")):
            assert abs(float(cells[3]) - row["prob_benefit"]) <= 0.005 + 1e-12


def test_the_answer_repeats_the_average_effect(written):
    path, page = written
    frame = pd.read_csv(path.parent / "tables" / "average_effects.csv")
    said = re.search(r"On average (\S+) points & more", page.text)[1]
    mean = frame.query("population == 'SATE' and effect == 'te'")["mean"].item()
    assert abs(as_number(said) - mean) <= 0.5 * 10.0 ** -len(said.split(".")[1])
    assert page.text.count("Every interval of this report is a 90% posterior interval") == 1
    # Said there, in the methods and the checklists, and of estimates made in other ways.
    assert page.text.count("equal-tailed") < 10


def test_subgroup_figures_shown_are_those_of_the_file(written):
    path, page = written
    frame = pd.read_csv(path.parent / "tables" / "subgroups_te.csv")
    shown = page.tables["Mean total effect (TE) by subgroup."][1:]
    assert [row[0] for row in shown] == frame["group"].tolist()
    for cells, row in zip(shown, frame.to_dict("records"), strict=True):
        assert cells[1].startswith(f"{row['n_units']} (")
        assert abs(as_number(cells[2]) - row["mean"]) <= 0.006


def test_sections_are_numbered_as_shown_and_skip_what_is_absent(written, unmediated, results):
    for path, _ in (written, unmediated):
        source = path.read_text("utf-8")
        numbers = [str(number) for number in range(1, 11)]
        assert re.findall(r'<h2 id="[^"]*">(\d+)\. ', source) == numbers
        assert re.findall(r'<li><a href="#[^"]*">(\d+)\. ', source) == numbers
    nothing = Material(replace(results, subgroups={}), {})
    assert subgroups(nothing) is None


def test_the_borders_of_subgroups_have_intervals(results, tables):
    groups = results.subgroups["te"]
    borders = tables["subgroup_borders_te"]
    assert list(borders["node"]) == list(groups.borders().index)
    assert (borders["ci_lower"] <= borders["ci_upper"]).all()
    body = subgroups(Material(results, tables)).body
    assert "Borders of the subgroups" in body
    assert all(border in body for border in borders["border"])
    without = {key: table for key, table in tables.items() if "borders" not in key}
    assert "Borders of the subgroups" not in subgroups(Material(results, without)).body


def test_text_of_the_user_is_escaped(written):
    path, page = written
    source = path.read_text("utf-8")
    assert source.count("<script") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in source
    assert "Does <b>it</b> help & whom?" in page.text
    assert "usual <care>" in page.text
    assert "run <fake>" in page.text
    assert "<care>" not in source


def test_no_banner_where_the_sampling_is_healthy(written):
    path, page = written
    assert 'class="unsafe"' not in path.read_text("utf-8")
    assert 'class="banner"' not in path.read_text("utf-8")
    assert "must not be used" not in page.text
    assert "Can the numbers be used: yes" in page.text
    assert "Do effects differ between people: shown and usable for ranking" in page.text


def test_an_unhealthy_run_opens_with_a_warning_and_gives_no_answer(unmediated):
    path, page = unmediated
    body = path.read_text("utf-8").split("<body>")[1]
    assert body.index('class="banner" role="alert"') < body.index("<h1>")
    assert page.text.index("must not be used") < page.text.index("1. What was asked")
    assert "R-hat is 1.4 & that is <it>." in page.text
    assert "This run gives no answer" in page.text
    assert "Compared with usual <care>, new $care$" not in page.text
    assert 'class="trust red"' in body
    assert body.count("The sampling failed: the numbers below must not be used.") == 10


def test_a_study_without_mediator_says_nothing_of_one(unmediated):
    path, page = unmediated
    for word in ("TNIE", "mediator", "ignorab", "indirect"):
        assert word not in page.text
    assert not (path.parent / "tables" / "individual_effects_tnie.csv").exists()
    assert "The treatment was not randomised" in page.text
    assert "A negative effect is a benefit" in page.text


def test_no_word_invites_a_significance_reading(written, unmediated):
    for _, page in (written, unmediated):
        assert not re.search(r"p-value|significan|confidence interval", page.text, re.IGNORECASE)


def test_randomisation_is_not_said_to_free_the_mediator_of_confounding(written):
    _, page = written
    assert "Randomising the treatment does not make the mediator ignorable." in page.text
    assert "in-sample posterior probabilities, not error rates" in page.text


def test_same_results_same_bytes(written, build, tmp_path):
    path, _ = written
    again = report(build(), to=tmp_path / "again.html")
    assert again.read_bytes() == path.read_bytes()
    for table in (path.parent / "tables").iterdir():
        assert (tmp_path / "tables" / table.name).read_bytes() == table.read_bytes()


def test_the_report_must_be_an_html_file(results, tmp_path):
    with pytest.raises(SpecError, match=r"use report\.html"):
        report(results, to=tmp_path / "report.pdf")


def test_the_proportion_mediated_is_a_number_only_where_it_means_something(respec):
    assert "posterior median" in averages(material(respec())).body
    undefined = averages(material(respec(important=5.0))).body
    assert "is undefined here" in undefined
    assert "posterior median" not in undefined


def test_without_an_important_difference_nothing_is_said_of_one(respec):
    none = material(respec(important=0.0))
    for section in (answer(none), averages(none)):
        assert "important difference" not in section.body
        assert "beyond 0" not in section.body.replace("does not lie beyond 0", "").replace(
            "lies beyond 0", ""
        )


def test_the_interval_of_the_spec_is_used_and_named(respec):
    given = material(respec(ci_kind="hdi", ci_prob=0.8))
    assert "80% posterior interval, highest-density" in answer(given).body
    assert "80% interval" in averages(given).body
    assert "equal-tailed" not in answer(given).body


def test_inline_figures_have_no_address_date_or_shared_name():
    from matplotlib.figure import Figure

    def draw(key):
        figure = Figure(figsize=(2, 1))
        figure.subplots().plot([0, 1], [0, 1], "o")
        return inline_svg(figure, key=key, alt='a "quoted" & <odd> line')

    first, second = draw("one"), draw("two")
    assert first == draw("one")
    assert "http" not in first
    ids = [set(re.findall(r'\sid="([^"]*)"', svg)) for svg in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert 'aria-label="a &#34;quoted&#34; &amp; &lt;odd&gt; line"' in first
