"""Files that no analysis can use: `check` says why in a sentence, and nothing is sampled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from bayes_hte import cli

N = 60


def frame_of() -> pd.DataFrame:
    """A trial that can be analysed."""
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "y": rng.normal(size=N).round(3),
            "arm": np.tile(["pill", "drug"], N // 2),
            "age": rng.normal(50, 9, size=N).round(1),
            "site": rng.choice(["a", "b", "c"], size=N),
            "w": rng.uniform(1, 3, size=N).round(2),
        }
    )


TOML = """
title = "A trial"
[about]
question = "Does it help?"
suitable_for = "tests"
not_suitable_for = "anything else"
[data]
source = "trial.csv"
[roles]
outcome = "y"
treatment = "arm"
reference = "pill"
weights = "w"
covariates = ["age", "site"]
[outcome]
better = "higher"
minimal_important_difference = 0.2
because = "made up"
family = "gaussian"
[propensity]
assignment = "randomised"
[sampler]
seed = 1
"""


def check(folder, frame: pd.DataFrame, capsys, *, text: str = TOML, **how) -> tuple[int, str]:
    """Check a study file with these data; return the exit status and everything that was said."""
    frame.to_csv(folder / "trial.csv", index=False, **how)
    (folder / "trial.toml").write_text(text, encoding="utf-8")
    status = cli.main(["check", str(folder / "trial.toml")])
    said = capsys.readouterr()
    return status, said.out + said.err


def holed(column: str, rows) -> pd.DataFrame:
    frame = frame_of()
    frame.loc[rows, column] = np.nan
    return frame


BAD: dict[str, tuple[Callable[[], pd.DataFrame], str]] = {
    "a column is empty": (lambda: holed("age", slice(None)), "age"),
    "an outcome is empty": (lambda: holed("y", slice(None)), "all values of outcome 'y'"),
    "missing in an arm": (lambda: holed("site", range(0, N, 2)), "for all units of arm 'pill'"),
    "missing in one arm only": (
        lambda: holed("age", range(1, N // 2, 2)),
        "'age' has missing values in arm 'drug' only (15 of 30)",
    ),
    "a small arm": (
        lambda: frame_of().assign(arm=["drug"] * 4 + ["pill"] * (N - 4)),
        "too few units",
    ),
    "a missing treatment": (lambda: holed("arm", [3, 4]), "missing values in arm (2)"),
    "negative weights": (lambda: frame_of().assign(w=-1.0), "negative weights"),
    "weights of zero": (lambda: frame_of().assign(w=0.0), "weights that are all 0"),
    "missing weights": (lambda: holed("w", [5]), "missing values in w (1)"),
    "reference": (
        lambda: frame_of().replace({"arm": {"pill": "placebo"}}),
        "'pill'",
    ),
    "no rows": (lambda: frame_of().head(0), "no rows"),
    "no column": (lambda: frame_of().drop(columns="age"), "'age'"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_analysed_is_refused_in_words(what, tmp_path, capsys):
    make, wanted = BAD[what]
    status, said = check(tmp_path, make(), capsys)
    assert status == cli.REFUSED
    assert wanted in said
    assert "Traceback" not in said


def test_the_same_file_without_a_fault_is_ready(tmp_path, capsys):
    status, said = check(tmp_path, frame_of(), capsys)
    assert status == cli.DONE
    assert "ready to run" in said


@pytest.mark.parametrize(
    "how",
    [
        {"encoding": "utf-8-sig"},
        {"sep": ";", "decimal": ","},
        {"sep": "\t", "encoding": "utf-16"},
        {"encoding": "cp1252"},
    ],
    ids=lambda how: " ".join(how.values()),
)
def test_files_as_spreadsheets_write_them_are_ready(how, tmp_path, capsys):
    frame = frame_of().assign(site=lambda f: f["site"].replace("a", "Zürich"))
    status, said = check(tmp_path, frame, capsys, **how)
    assert status == cli.DONE, said


def test_names_of_columns_may_have_spaces_dots_and_any_letters(tmp_path, capsys):
    names = {"age": "age at entry, y.", "site": "Ort (größer)"}
    text = TOML.replace('"age", "site"', ", ".join(f'"{name}"' for name in names.values()))
    status, said = check(tmp_path, frame_of().rename(columns=names), capsys, text=text)
    assert status == cli.DONE, said
    assert names["site"] in said


def test_a_doubled_header_and_an_empty_file_are_refused(tmp_path, capsys):
    doubled = frame_of().rename(columns={"w": "age"})
    status, said = check(tmp_path, doubled, capsys, text=TOML.replace('weights = "w"\n', ""))
    assert status == cli.REFUSED
    assert "'age'" in said
    (tmp_path / "trial.csv").write_text("", encoding="utf-8")
    assert cli.main(["check", str(tmp_path / "trial.toml")]) == cli.REFUSED
    assert "trial.csv" in capsys.readouterr().err


def test_labels_of_arms_are_used_in_what_is_said_of_them(tmp_path, capsys):
    labels = '[labels]\narm = { levels = { drug = "the new drug" } }\n'
    frame = holed("age", [0, 1, 2, 3])
    status, said = check(tmp_path, frame, capsys, text=TOML + labels)
    assert status == cli.DONE, said
    assert "by arm: the new drug" in said
    assert "missing age: the new drug 2, pill 2" in said


def test_fits_are_counted_for_every_contrast_and_imputed_frame(tmp_path, capsys):
    frame = holed("age", [0, 1, 2, 3, 4]).assign(arm=np.tile(["pill", "drug", "both"], N // 3))
    text = TOML.replace('"trial.csv"', '"trial.csv"\nmissing = "impute"\nimputations = 3')
    status, said = check(tmp_path, frame, capsys, text=text)
    assert status == cli.DONE, said
    assert "fits: 5 (1 the study, 4 halves; 2 contrasts), each 3 times" in said
