"""New rows are predicted from a finished run, and those unlike the study are flagged."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from bayes_hte import cli
from bayes_hte.runs.prediction import predict_rows, saved_run_fit, unlike
from bayes_hte.runs.prepared import prepare
from bayes_hte.runs.run_file import read_run, saved_spec
from bayes_hte.study.study import Study
from tests.trial import trial_frame


@pytest.fixture(scope="module")
def study() -> Study:
    rng = np.random.default_rng(3)
    x = rng.normal(size=400)
    frame = pd.DataFrame(
        {
            "y": rng.normal(size=400),
            "t": np.arange(400) % 2,
            "x": x,
            # Nearly the same number: rows in which they differ are unlike all others.
            "z": x + rng.normal(scale=0.05, size=400),
            "g": np.tile(["a", "b", "c", "c"], 100),
        }
    )
    return Study.from_frame(frame, outcome="y", treatment="t", covariates=["x", "z", "g"])


def test_the_units_of_the_study_are_like_the_study(study):
    reasons, possible = unlike(study.frame, study)
    assert possible.all()
    assert (reasons == "").all()


@pytest.mark.parametrize(
    ("row", "said", "possible"),
    [
        ({"x": 0.0, "z": 0.0, "g": "a"}, "", True),
        ({"x": 9.0, "z": 0.0, "g": "a"}, "x above", True),
        ({"x": -9.0, "z": -9.0, "g": "a"}, "x below", True),
        ({"x": 0.0, "z": 0.0, "g": "d"}, "g has a level that the study lacks", False),
        ({"x": np.nan, "z": 0.0, "g": "a"}, "x is missing", False),
        ({"x": 1.5, "z": -1.5, "g": "a"}, "nobody in the study has such a combination", True),
    ],
)
def test_rows_unlike_the_study_are_flagged_with_the_reason(study, row, said, possible):
    reasons, can = unlike(pd.DataFrame([row]), study)
    assert said in reasons[0]
    assert (reasons[0] == "") == (said == "")
    assert can[0] == possible


def test_rows_are_judged_in_a_study_with_gaps_too(study):
    frame = study.frame.copy()
    frame.loc[::3, "x"] = np.nan
    frame.loc[1::7, "g"] = None
    roles = {"outcome": "y", "treatment": "t", "covariates": ["x", "z", "g"]}
    gappy = Study.from_frame(frame.drop(index=[0, 1]), **roles)
    reasons, possible = unlike(gappy.frame, gappy)
    assert possible.all()
    assert (reasons != "").mean() <= 0.02
    rows = pd.DataFrame(
        {"x": [1.5, np.nan, 0.0], "z": [-1.5, 0.0, 0.0], "g": ["a", "a", "a"]}, index=list("abc")
    )
    reasons, possible = unlike(rows, gappy)
    assert reasons.tolist() == ["nobody in the study has such a combination", "", ""]
    assert possible.all()


@pytest.fixture
def copy(finished_trial, tmp_path):
    return shutil.copytree(finished_trial, tmp_path / "run")


@pytest.mark.slow
def test_predictions_are_those_of_the_fit(copy):
    frame = trial_frame().head(5).drop(columns=["y", "treat", "m"])
    frame.loc[1, "x1"] = 99
    frame.loc[2, "site"] = "elsewhere"
    frame.to_csv(copy / "new.csv", index=False, sep=";", decimal=",")
    found = predict_rows(copy / "out", copy / "new.csv")
    table = found.table
    assert not found.healthy
    assert any("failed its health checks" in note for note in found.notes)
    assert any("95% posterior interval" in note for note in found.notes)
    assert table["like_study"].tolist()[1:3] == [False, False]
    assert table.loc[2].drop(["like_study", "unlike_because"]).isna().all()
    prepared = prepare(saved_spec(read_run(copy / "out")))
    effect = saved_run_fit(prepared, copy / "out" / "posterior").cate(frame.drop(index=2))
    mean = effect.mean(["chain", "draw"]).to_numpy()
    rows = table.drop(index=2)
    np.testing.assert_allclose(rows["effect"], mean, rtol=1e-6)
    difference = rows["expected[treated]"] - rows["expected[control]"]
    np.testing.assert_allclose(difference, mean, rtol=1e-5)
    assert (rows["effect_lower_95_eti"] <= rows["effect"]).all()
    assert rows["prob_benefit"].between(0, 1).all()


@pytest.mark.slow
def test_predict_from_the_command_line(copy, capsys):
    frame = trial_frame().head(3)
    frame.to_csv(copy / "new.csv", index=False)
    written = copy / "predicted.csv"
    options = ["predict", str(copy / "out"), str(copy / "new.csv"), "-o", str(written)]
    # The run of the fixture is too short to be used.
    assert cli.main(options) == cli.UNHEALTHY
    assert len(pd.read_csv(written)) == 3
    capsys.readouterr()
    assert cli.main([*options, "--curves", str(copy / "curves.csv")]) == cli.REFUSED
    assert "need times to an event" in capsys.readouterr().err
    assert not (copy / "curves.csv").exists()
    frame.drop(columns="x1").to_csv(copy / "new.csv", index=False)
    capsys.readouterr()
    assert cli.main(options) == cli.REFUSED
    assert "'x1'" in capsys.readouterr().err


def test_predict_without_a_run(tmp_path, capsys):
    assert cli.main(["predict", str(tmp_path), "new.csv"]) == cli.REFUSED
    assert "no finished run" in capsys.readouterr().err


@pytest.mark.slow
def test_parquet_is_predicted_in_blocks_from_the_command_line(copy, capsys):
    frame = trial_frame().head(30).drop(columns=["y", "treat", "m"])
    frame.loc[1, "x1"] = 99
    frame.loc[2, "site"] = "elsewhere"
    frame.to_parquet(copy / "new.parquet")
    frame.to_csv(copy / "new.csv", index=False)
    run, out = str(copy / "out"), copy / "predicted.parquet"
    options = ["predict", run, str(copy / "new.parquet")]
    assert cli.main(options) == cli.REFUSED
    assert "name it with -o" in capsys.readouterr().err
    assert cli.main([*options, "-o", str(out)]) == cli.UNHEALTHY
    assert "failed its health checks" in capsys.readouterr().err
    found, table = pd.read_parquet(out), predict_rows(run, copy / "new.csv").table
    assert found["predicted"].tolist() == table["effect"].notna().tolist()
    assert found["like_study"].tolist() == table["like_study"].tolist()
    assert found["unlike_because"].tolist() == table["unlike_because"].tolist()
    pairs = {
        "te": "effect",
        "te_lower": "effect_lower_95_eti",
        "te_prob_benefit": "prob_benefit",
        "outcome[treated]": "expected[treated]",
    }
    for new, old in pairs.items():
        np.testing.assert_allclose(found[new], table[old], rtol=1e-9)
    assert found["te_prob_beyond_mid"].max() <= 1
