"""A study whose names, levels and words are those of an attacker: a run of it harms nobody."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes_hte import cli
from bayes_hte.names import visible
from bayes_hte.plots.style import rows_axis, wrap
from bayes_hte.reporting.tables.files import harmless
from bayes_hte.reporting.tables.keys import LONGEST, slug
from tests.reporting.html_page import Page

OUTCOME, TREATMENT = "=cmd|'/C calc'!A0", "<script>alert(1)</script>"
UP, LATEX = "../../../up", "$\\frac{1}{0}$ & **bold** [a](javascript:alert(1))"
CONTROL = "a\tb\x07\x1b[31m\u202e"
ARMS = ("@SUM(A1)", '"><img src=x onerror=alert(1)>')
LEVELS = ("=1+1", "</td><b>x</b>", "..\\..\\x", "-2+3")
TITLE = "</title><script>alert(2)</script> ../../x %s {0} \x1b[2J"
LONG = "+" + "long" * 15
FORMULA = re.compile(r"[=+\-@\t\r]")
UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e]")


def write_study(folder: Path) -> None:
    rng, n = np.random.default_rng(1), 40
    arm = np.arange(n) % 2
    frame = pd.DataFrame({UP: rng.normal(size=n), LATEX: rng.normal(size=n)})
    frame[CONTROL], frame[LONG] = rng.choice(LEVELS, size=n), rng.normal(size=n)
    frame[OUTCOME] = frame[UP] * arm + rng.normal(size=n)
    frame[TREATMENT] = np.array(ARMS)[arm]
    frame.to_csv(folder / "trial.csv", index=False)
    q = json.dumps  # its texts are texts of TOML, too
    (folder / "trial.toml").write_text(
        f"""
title = {q(TITLE)}
[about]
question = "<img src=x onerror=alert(3)>?"
suitable_for = "=cmd()"
not_suitable_for = "`rm -rf`"
[data]
source = "trial.csv"
[roles]
outcome = {q(OUTCOME)}
treatment = {q(TREATMENT)}
reference = {q(ARMS[0])}
covariates = {q([UP, LATEX, CONTROL, LONG])}
[outcome]
better = "higher"
minimal_important_difference = 0.2
because = "<b>made up</b>"
unit = "<i>points</i>"
[propensity]
assignment = "randomised"
surface = "forest"
[sampler]
seed = 7
chains = 2
draws = 50
tune = 50
[subgroups]
effects = ["te"]
honest = false
[checks]
refutations = "none"
[labels]
{q(UP)} = "<u>label</u>"
""",
        encoding="utf-8",
    )


# Pictures within figures are in the page itself; links of the references are the package's own.
OWN = ("data:image/png;base64,", "https://doi.org/", "https://arxiv.org/")


def active(page: Page) -> list:
    """The attributes of a page that would run or load something."""
    return [
        (name, value)
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name.startswith("on")
        or (name in ("href", "src") and ":" in value and not value.startswith(OWN))
    ]


@pytest.mark.slow
def test_a_run_of_a_hostile_study_harms_nobody(tmp_path, monkeypatch, capsys):
    run = tmp_path / "a" / "b"
    run.mkdir(parents=True)
    write_study(run)
    monkeypatch.chdir(run)
    assert cli.main(["run", "trial.toml", "-o", "out", "--quick"]) in (cli.DONE, cli.UNHEALTHY)
    said = capsys.readouterr()
    assert not UNSEEN.search(said.out + said.err)
    outside = [path for path in tmp_path.rglob("*") if run / "out" not in path.parents]
    assert {path.name for path in outside} == {"a", "b", "trial.csv", "trial.toml", "out"}
    page = (run / "out" / "report.html").read_text(encoding="utf-8")
    parsed = Page(page)
    assert len(parsed.all("script")) == 1
    assert parsed.all("img", "i", "u", "iframe", "object") == []
    assert active(parsed) == []
    assert not UNSEEN.search(page)
    assert "&lt;u&gt;label&lt;/u&gt;" in page
    assert "&lt;script&gt;alert(2)&lt;/script&gt;" in page
    tables = sorted((run / "out" / "tables").glob("*.csv"))
    assert any(LATEX in path.read_text(encoding="utf-8") for path in tables)
    for path in tables:
        with path.open(newline="", encoding="utf-8") as stream:
            for cell in (cell for row in csv.reader(stream) for cell in row):
                assert not UNSEEN.search(cell), path
                assert not FORMULA.match(cell) or np.isfinite(float(cell)), (path, cell)


# ---------------------------------------------------------------- the parts


def test_what_no_terminal_should_obey_is_replaced():
    assert visible("a\x1b[31m\x07\x9b\u202e\r!\ud800") == "a�[31m����!�"
    assert visible("tab\t, lines\n and\r\n, ä中") == "tab\t, lines\n and\r\n, ä中"


def test_tables_have_no_formula_and_no_control_character():
    table = pd.DataFrame({"=a\x1b": ["\x07=cmd", "=cmd\x07", "-1.5"], "n": [-1, 2, 3]})
    safe = harmless(table.set_axis(["+x", "y", "@z"]))
    assert list(safe) == ["'=a�", "n"]
    assert safe["'=a�"].tolist() == ["�=cmd", "'=cmd�", "-1.5"]
    assert safe.index.tolist() == ["'+x", "y", "'@z"]


@pytest.mark.parametrize("name", ["../../x", "..", "C:\\x", "a/b\0c", "CON", "ä" * 400, "x" * 400])
def test_names_of_files_stay_in_their_folder_and_short(name):
    made = slug(name)
    assert re.fullmatch(r"[a-z0-9_]+", made)
    assert len(made) <= LONGEST


def test_figures_show_no_control_characters():
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    rows_axis(ax, ["a\x07", "b"])
    ax.figure.draw_without_rendering()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a�", "b"]
    assert wrap("x\x1b[0m") == "x�[0m"


def test_a_name_as_long_as_a_line_is_broken_and_leaves_room_for_the_axes():
    from matplotlib.figure import Figure

    ax = Figure(figsize=(6, 3), layout="constrained").subplots()
    rows_axis(ax, ["x" * 60, "a name of several words that is long and stays as it was"])
    ax.figure.draw_without_rendering()
    assert ax.get_position().width > 0.2
    broken, whole = (label.get_text() for label in ax.get_yticklabels())
    assert broken == "x" * 44 + "\n" + "x" * 16
    assert "\n" not in whole
