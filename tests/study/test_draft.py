"""`new` writes a study file that holds what can be seen and asks for the rest."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from bayes_hte import cli
from bayes_hte.errors import DataError
from bayes_hte.study.datasets import load_frame
from bayes_hte.study.declared import study_from_spec
from bayes_hte.study.draft import draft_study_file
from bayes_hte.study.overview import likely_event, likely_family, likely_reference, overview
from bayes_hte.study.spec_file import parse_spec

N = 80


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    return pd.DataFrame(
        {
            "patient id": np.arange(N) + 1000,
            "arm": rng.permutation(np.arange(N) % 2),
            "score": rng.normal(size=N),
            "visits": rng.poisson(1.0, N),
            "healed": np.where(rng.random(N) < 0.4, "yes", "no"),
            "colour": np.where(rng.random(N) < 0.4, "red", "blue"),
            "age (years)": rng.integers(20, 80, N),
            "größe.cm": rng.normal(170, 10, N).round(1),
            "stage": rng.choice(["early", "mid", "late"], N),
            "constant": 7,
            "note": [f"free text {i}" for i in range(N)],
            "day": pd.date_range("2020-01-01", periods=N).astype(str),
        }
    )


def write(tmp_path, data, **how):
    data.to_csv(tmp_path / "data.csv", index=False, **how)
    return tmp_path / "data.csv"


def run_new(path, *options):
    return cli.main(["new", str(path), *options])


def answered(text: str) -> str:
    """Uncomment the lines of the reference and of the event, as a user does."""
    return re.sub(r"^# ((?:reference|event) = )", r"\1", text, flags=re.M)


def test_a_file_without_questions_is_ready_at_once(tmp_path, capsys):
    path = write(tmp_path, frame())
    assert run_new(path, "--outcome", "score", "--treatment", "arm") == cli.DONE
    said = capsys.readouterr().out
    assert "data.toml written" in said
    assert "keep only columns measured before treatment" in said
    spec = parse_spec((tmp_path / "data.toml").read_text(encoding="utf-8"), folder=tmp_path)
    assert spec.roles.reference == 0
    assert spec.outcome.family == "gaussian"
    expected = ("visits", "healed", "colour", "age (years)", "größe.cm", "stage")
    assert spec.roles.covariates == expected
    text = (tmp_path / "data.toml").read_text(encoding="utf-8")
    assert '"patient id": a different whole number in every row' in text
    assert '"constant": constant: one value' in text
    assert '"note": 80 different texts in 80 rows' in text
    assert cli.main(["check", str(tmp_path / "data.toml")]) == cli.DONE
    shown = capsys.readouterr().out
    assert "score, mean (sd, units) by arm: 0 " in shown
    assert "fits: 3 (1 the study, 2 halves)" in shown
    assert "ready to run" in shown


@pytest.mark.parametrize("separator", [",", ";"])
def test_answering_the_questions_is_enough(tmp_path, capsys, separator):
    data = frame()
    data["arm"] = np.where(data["arm"] == 1, "surgery", "drug")
    path = write(tmp_path, data, sep=separator, decimal="," if separator == ";" else ".")
    options = ["--outcome", "colour", "--treatment", "arm", "--mediator", "visits"]
    assert run_new(path, *options) == cli.DONE
    study_file = tmp_path / "data.toml"
    text = study_file.read_text(encoding="utf-8")
    # One line for each question, ready to be used.
    assert len(re.findall(r"^# reference = ", text, re.M)) == 1
    assert len(re.findall(r"^# event = ", text, re.M)) == 1
    assert cli.main(["check", str(study_file)]) == cli.REFUSED
    refused = capsys.readouterr().err
    assert "2 problems" in refused
    assert "reference='drug' or reference='surgery'" in refused
    assert "outcome 'colour' must be numeric" in refused
    study_file.write_text(answered(text), encoding="utf-8")
    assert cli.main(["check", str(study_file)]) == cli.DONE
    spec = parse_spec(answered(text), folder=tmp_path)
    assert spec.outcome.family == "bernoulli"
    assert spec.mediator.family in ("poisson", "negative_binomial")


def test_a_parquet_file_gets_a_study_file_too(tmp_path, capsys):
    data = frame().assign(
        arm=lambda f: f["arm"] == 1, stage=lambda f: f["stage"].astype("category")
    )
    data["day"] = pd.to_datetime(data["day"])
    data.to_parquet(path := tmp_path / "data.parquet", index=False)
    assert run_new(path, "--outcome", "score", "--treatment", "arm") == cli.DONE
    text = (tmp_path / "data.toml").read_text(encoding="utf-8")
    assert 'source = "data.parquet"' in text
    assert "separator" not in text
    assert cli.main(["check", str(tmp_path / "data.toml")]) == cli.DONE
    path.write_bytes(b"not Parquet")
    assert run_new(path, "--outcome", "score", "--treatment", "arm", "--force") == cli.REFUSED
    assert "data.parquet" in capsys.readouterr().err


def test_what_leaves_no_doubt_is_filled_in(tmp_path):
    data = frame()
    data["arm"] = np.where(data["arm"] == 1, "1_statin", "0_Placebo")
    text = draft_study_file(write(tmp_path, data), outcome="healed", treatment="arm")
    spec = parse_spec(text)
    assert spec.roles.reference == "0_Placebo"
    assert spec.columns["healed"].event == "yes"


def test_missing_values_are_listed_by_arm_and_sparse_columns_left_out(tmp_path):
    data = frame()
    data.loc[data["arm"] == 1, "größe.cm"] = np.nan
    data.loc[:60, "visits"] = np.nan
    text = draft_study_file(write(tmp_path, data), outcome="score", treatment="arm")
    assert re.search(r"#   größe.cm: 0 0, 1 40", text)
    assert '"visits": missing in 61 of 80 rows' in text
    assert '# missing = "splits"' in text


def test_a_covariate_with_the_gaps_of_the_outcome_is_doubted(tmp_path):
    data = frame()
    data.loc[[1, 5, 8, 30], ["score", "größe.cm"]] = np.nan
    data.loc[[1, 5, 8], "visits"] = np.nan
    text = draft_study_file(write(tmp_path, data), outcome="score", treatment="arm")
    doubt = "missing exactly where score is: measured after treatment?"
    assert next(line for line in text.splitlines() if doubt in line).startswith('  "größe.cm",')
    assert text.count(doubt) == 1


def test_columns_that_repeat_the_treatment_are_left_out(tmp_path):
    data = frame().assign(group=lambda f: np.where(f["arm"] == 1, "x", "y"))
    data["score again"] = data["score"] * 2
    text = draft_study_file(write(tmp_path, data), outcome="score", treatment="arm")
    assert "\"group\": says the same as 'arm'" in text
    assert "\"score again\": says the same as 'score'" in text


def test_a_thousand_columns_with_odd_names_become_a_study(tmp_path):
    rng = np.random.default_rng(0)
    odd = ('a "quoted" one', "tab\there", "ünï çødé", "dots.and spaces", "#", "[data]", "x=1")
    names = [*odd, *(f"c {i}" for i in range(1000 - len(odd)))]
    wide = pd.DataFrame(rng.normal(size=(N, 1000)).round(3), columns=names)
    data = pd.concat([frame()[["arm", "score"]], wide], axis=1)
    path = write(tmp_path, data)
    spec = parse_spec(draft_study_file(path, outcome="score", treatment="arm"), folder=tmp_path)
    assert list(spec.roles.covariates) == names
    assert study_from_spec(spec, load_frame("data.csv", tmp_path)).n_units == N


def test_several_arms_are_listed(tmp_path):
    data = frame().assign(arm=np.resize(["usual care", "drug A", "drug B"], N))
    text = draft_study_file(write(tmp_path, data), outcome="score", treatment="arm")
    assert "# arms: drug A 27, drug B 26, usual care 27" in text
    assert 'reference = "usual care"' in text


def test_a_file_is_not_replaced_unless_asked(tmp_path, capsys):
    path = write(tmp_path, frame())
    options = ["--outcome", "score", "--treatment", "arm"]
    (tmp_path / "data.toml").write_text("mine")
    assert run_new(path, *options) == cli.REFUSED
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "data.toml").read_text() == "mine"
    assert run_new(path, *options, "--force") == cli.DONE
    assert (tmp_path / "data.toml").read_text(encoding="utf-8") != "mine"


@pytest.mark.parametrize(
    ("outcome", "treatment", "said"),
    [
        ("scor", "arm", "Did you mean 'score'"),
        ("score", "age (years)", "different values; a treatment has the arms as its values"),
        ("score", "constant", "has 1 different values"),
        ("stage", "arm", "needs numbers or two levels"),
        ("score", "score", "would play two parts"),
    ],
)
def test_what_cannot_be_a_study_is_refused(tmp_path, outcome, treatment, said):
    with pytest.raises(DataError, match=re.escape(said)):
        draft_study_file(write(tmp_path, frame()), outcome=outcome, treatment=treatment)


@pytest.mark.parametrize(
    ("levels", "reference"),
    [
        ([1, 0], 0),
        ([True, False], False),
        (["drug", "placebo"], "placebo"),
        (["Lev", "Lev+5FU", "Obs"], "Obs"),
        (["1_indomethacin", "0_placebo"], "0_placebo"),
        (["Usual care", "CBT"], "Usual care"),
        (["yes", "no"], "no"),
        (["a", "b"], None),
        (["placebo", "no treatment"], None),
        (["November", "December"], None),
    ],
)
def test_the_reference_is_filled_in_where_it_leaves_no_doubt(levels, reference):
    assert likely_reference(levels) == reference


@pytest.mark.parametrize(
    ("levels", "event"),
    [
        (["no", "yes"], "yes"),
        (["0_no", "1_yes"], "1_yes"),
        (["alive", "dead"], "dead"),
        (["Negative", "Positive"], "Positive"),
        (["no event", "event"], "event"),
        ([1, 2], None),
        (["red", "blue"], None),
    ],
)
def test_the_event_is_filled_in_where_it_leaves_no_doubt(levels, event):
    assert likely_event(levels) == event


def test_families_that_columns_suggest():
    rng = np.random.default_rng(0)
    assert likely_family(np.array([1.0, 2.0, 2.0])) == "bernoulli"
    assert likely_family(rng.poisson(1.0, 500).astype(float)) == "poisson"
    assert likely_family(rng.negative_binomial(1, 0.4, 500).astype(float)) == "negative_binomial"
    assert likely_family(rng.normal(size=500)) == "gaussian"
    # A scale of 1 to 5 counts nothing.
    assert likely_family(rng.integers(1, 6, 500).astype(float)) == "gaussian"


def test_an_overview_says_what_speaks_against_a_column():
    data = frame().assign(empty=np.nan, lists=[[1]] * N, code=np.resize([1, 2, 3], N))
    views = overview(data)
    assert views["empty"].unusable == "all values are missing"
    assert views["lists"].unusable
    assert views["code"].codes
    assert not views["arm"].codes
    assert views["age (years)"].unusable == ""
    rare = overview(data.assign(site=["x"] * 3 + ["y"] * (N - 3)))["site"]
    assert rare.rare == {"x": 3}


def test_the_question_names_no_arm_as_the_reference_may_still_be_chosen(tmp_path):
    frame = pd.DataFrame({"y": range(40), "arm": ["drug", "pill"] * 20, "age": np.arange(40) % 7})
    frame.to_csv(tmp_path / "trial.csv", index=False)
    cli.main(["new", str(tmp_path / "trial.csv"), "--outcome", "y", "--treatment", "arm"])
    text = (tmp_path / "trial.toml").read_text(encoding="utf-8")
    (question,) = [line for line in text.splitlines() if line.startswith("question =")]
    assert "drug" not in question
    assert "pill" not in question
