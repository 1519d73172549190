"""Whatever a file holds, it is read, or refused in a sentence; names are never instructions."""

from __future__ import annotations

import contextlib
import tomllib
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayes_hte import cli
from bayes_hte.errors import BayesHTEError
from bayes_hte.runs.study_check import check_study
from bayes_hte.study.draft import draft_study_file
from bayes_hte.study.spec_file import load_spec
from bayes_hte.study.study import Study

# The folder of a test is shared by its examples, each of which writes the file anew.
anything = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
CELLS = st.one_of(
    st.integers(-3, 3).map(str),
    st.floats(-9, 9).map(lambda value: f"{value:.2f}"),
    st.sampled_from(
        ["", "NA", "None", "yes", "no", "1,5", '"a;b"', "=cmd()", "ä", "\x00", "2020-01-01"]
    ),
)


def draft_and_check(path) -> None:
    """Go from a data file to a checked study file, or to an error of the package."""
    text = draft_study_file(path, outcome="y", treatment="t")
    tomllib.loads(text)
    study = path.with_suffix(".toml")
    study.write_text(text, encoding="utf-8")
    check_study(load_spec(study))


def survives(path) -> None:
    """Accept a result or an error of the package, and nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(BayesHTEError):
            draft_and_check(path)


@anything
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path, raw):
    path = tmp_path / "trial.csv"
    path.write_bytes(raw)
    survives(path)


@anything
@given(
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "latin-1", "utf-16"]),
    st.lists(st.tuples(CELLS, CELLS, CELLS, st.sampled_from("01")), max_size=25),
)
def test_any_table_is_read_or_refused(tmp_path, separator, encoding, rows):
    path = tmp_path / "trial.csv"
    lines = [separator.join(cells) for cells in [("y", "x", "z", "t"), *rows]]
    path.write_bytes("\n".join(lines).encode(encoding, errors="replace"))
    survives(path)


@anything
@given(st.text(min_size=1, max_size=12), st.text(min_size=1, max_size=12))
def test_any_name_of_a_column_and_level_is_data(column, level):
    rng = np.random.default_rng(1)
    levels = np.where(np.arange(40) % 2, level, level + "'")
    frame = pd.DataFrame({column: rng.normal(size=40), column + "!": levels})
    frame[column + "?"] = rng.normal(size=40)
    roles = {"outcome": column, "treatment": column + "!", "covariates": [column + "?"]}
    study = Study.from_frame(frame, **roles, reference=level)
    assert study.roles.outcome == column
    assert study.arms == (level, level + "'")


@pytest.mark.parametrize(
    "name", ["</script><b>", "$x$", "../../up", "a\nb", "'; --", "{0}", "\x07"]
)
def test_hostile_names_stay_inside_their_study_file(tmp_path, name):
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {"y": rng.normal(size=40), "t": np.arange(40) % 2, name: rng.normal(size=40)}
    )
    path = tmp_path / "trial.csv"
    frame.to_csv(path, index=False)
    text = draft_study_file(path, outcome="y", treatment="t")
    assert tomllib.loads(text)["roles"]["covariates"] == [name]
    assert [p.name for p in tmp_path.iterdir()] == ["trial.csv"]


ARGUMENTS = st.one_of(
    st.sampled_from(["trial.csv", "trial.toml", "-o", "--quick", "--set", "../..", "", "\x00"]),
    st.text(max_size=8),
)


@anything
@given(
    st.sampled_from(["run", "check", "report", "models", "new", "predict"]),
    st.lists(ARGUMENTS, max_size=4),
)
def test_any_command_line_ends_with_a_status_and_no_traceback(tmp_path, command, more):
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"y": rng.normal(size=30), "x": rng.normal(size=30)})
    frame["t"] = np.arange(30) % 2
    frame.to_csv(tmp_path / "trial.csv", index=False)
    (tmp_path / "trial.toml").write_text("title = 3\n")
    extra = ["--outcome", "y", "--treatment", "t"] if command == "new" else []
    with contextlib.chdir(tmp_path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            status = cli.main([command, *extra, *more])
        except SystemExit as left:  # argparse: the arguments are not understood, or --help
            status = left.code
    assert status in (cli.DONE, cli.REFUSED, cli.UNHEALTHY)


@anything
@given(st.text(max_size=60), st.text(max_size=12), st.text(max_size=12))
def test_any_study_file_and_change_is_read_or_refused(tmp_path, text, key, value):
    study = tmp_path / "trial.toml"
    study.write_text(text, encoding="utf-8")
    for changes in ([], [f"{key}={value}"], [f"sampler.seed={value}"]):
        with contextlib.suppress(BayesHTEError):
            load_spec(study, changes=changes)
