"""The README does what it says: examples run, commands and options exist, links lead somewhere."""

from __future__ import annotations

import argparse
import re
import shlex
import typing
from importlib import metadata
from pathlib import Path

import pytest

import bayes_hte as hte
from bayes_hte import cli, estimator
from bayes_hte.fitting.stages import fit as real_fit
from bayes_hte.reporting.methods.references import REFERENCES
from bayes_hte.study import spec
from bayes_hte.trust.rule import MEANING, SHOWN, USE

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMPARED = (ROOT / "notebooks" / "compared.md").read_text(encoding="utf-8")
SMALL = {"draws": 50, "tune": 50, "chains": 2, "cores": 1, "progress": False}
SMALL["stack_with"] = ()  # forests alone: a Gaussian process takes longer
UNITS = 150
BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


def blocks(language, text=README):
    return [m["code"] for m in BLOCK.finditer(text) if m["language"] == language]


def table_rows(header, text=README):
    """Return the cells of the table whose first row starts with some words."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {header} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def code_in(cell):
    return re.findall(r"`([^`]+)`", cell)


def broken(text=README, folder=ROOT):
    """Return the relative links that lead nowhere."""
    targets = [m["target"].split("#")[0] for m in LINK.finditer(text)]
    return [t for t in targets if t and not t.startswith("https://") and not (folder / t).exists()]


def small(fit):
    return lambda study, **options: fit(study, **{**options, **SMALL})


# ---------------------------------------------------------------- what it shows


@pytest.fixture
def small_work(monkeypatch):
    """Few rows, few draws, few repeats: the examples are executed, not their numbers read."""
    whole, verdict = hte.load_jobs2(), hte.verdict
    part = whole.groupby("treat", group_keys=False).head(UNITS // 2)
    monkeypatch.setattr(hte, "load_jobs2", part.copy)
    monkeypatch.setattr(hte, "fit", small(real_fit))
    monkeypatch.setattr(estimator, "fit", small(real_fit))
    monkeypatch.setattr(hte, "verdict", lambda fit, **how: verdict(fit, repeats=5, **how))


@pytest.mark.slow
def test_the_examples_run_one_after_the_other(small_work, capsys):
    names = {}
    for i, code in enumerate(blocks("python")):
        exec(compile(code, f"README.md, block {i + 1}", "exec"), names)
    assert len(names["fit"].study.frame) == UNITS
    assert names["estimator"].fit_.study.n_units == UNITS
    assert names["mu"].dims == ("chain", "draw", "unit", "arm", "mediator_arm")
    shown = capsys.readouterr().out
    assert "tnie" in shown
    assert names["found"].verdict in MEANING
    assert all(line in shown for line in names["found"].lines(people="people"))


def test_the_main_example_is_short():
    code = [line for line in blocks("python")[0].splitlines() if line.strip()]
    assert len(code) <= 20


def test_the_first_screen_says_what_it_is_and_shows_a_result_and_the_commands():
    first = README.split("\n## ")[0]
    assert len(blocks("sh", first)) == 1
    assert "uv run bayes-hte run models/jobs2.toml" in blocks("sh", first)[0]
    assert "uv run pytest" in blocks("sh", first)[0]
    pictures = re.findall(r"!\[(.+?)\]\((.+?)\)", first)
    assert len(pictures) == 1
    assert len(pictures[0][0]) > 40, "the picture needs words for those who cannot see it"
    assert len(first.split()) < 200


# ---------------------------------------------------------------- what it says of the package


def options_of(keyword):
    rows = {code_in(cells[0])[0]: cells[1] for cells in table_rows("choose")}
    return set(code_in(rows[f"{keyword}="]))


@pytest.mark.parametrize(
    ("keyword", "names"),
    [
        ("learner", spec.LearnerName),
        ("surface", spec.SurfaceName),
        ("family", spec.OutcomeFamilyName),
        ("noise", spec.NoiseName),
    ],
)
def test_every_option_and_no_other_is_listed(keyword, names):
    assert options_of(keyword) == set(typing.get_args(names))


def subcommands():
    parser = cli._parser()
    action = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return set(action.choices)


def test_the_commands_are_those_of_the_parser():
    listed = [shlex.split(code_in(row[0])[0]) for row in table_rows("command")]
    for program, *arguments in listed:
        assert program == "bayes-hte"
        assert cli._parser().parse_args(arguments).command == arguments[0]
    assert {arguments[1] for arguments in listed} == subcommands()


@pytest.mark.parametrize("command", sorted(subcommands()))
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert f"bayes-hte {command}" in capsys.readouterr().out


def test_the_verdicts_are_those_of_the_rule():
    answers = ["no", "with care", "yes", *dict.fromkeys(SHOWN.values())]
    assert [row[1] for row in table_rows("line")] == answers
    assert set(answers[:3]) == set(USE.values())


def test_the_exit_statuses_are_those_of_the_command_line():
    said = {int(n) for n in re.findall(r"Exit status (\d)", README)}
    assert said == {cli.REFUSED, cli.UNHEALTHY}


def test_the_version_to_cite_is_this_one():
    version = metadata.version("bayes-hte")
    assert f"version = {{{version}}}" in blocks("bibtex")[0]
    compared = re.search(r"^\| version \| (\S+) \|", COMPARED, re.MULTILINE)
    assert compared[1] == version


def test_every_cited_work_is_one_a_report_cites():
    cited = set(re.findall(r"https://doi\.org/(\S+?)\)", README))
    known = {doi for r in REFERENCES.values() for doi in re.findall(r"doi:(\S+)", r.full)}
    assert len(cited) >= 5
    assert cited - known == set()


# ---------------------------------------------------------------- links


def test_every_relative_link_leads_somewhere():
    assert len(LINK.findall(README)) > 10
    assert broken() == []
    assert broken(COMPARED, ROOT / "notebooks") == []


def test_a_broken_link_is_found():
    text = "[a](models/jobs2.toml) [b](models/nothing.toml#x) [c](https://doi.org/10) [d](#limits)"
    assert broken(text) == ["models/nothing.toml"]


def test_blocks_and_tables_are_found():
    text = "x\n```python\na = 1\n```\n| one | two |\n|---|---|\n| `a` | b |\n\n| not | this |\n"
    assert blocks("python", text) == ["a = 1\n"]
    assert blocks("sh", text) == []
    assert table_rows("one", text) == [["`a`", "b"]]
