"""Runs of studies with missing values: whatever is missing, the report is made and says so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_hte.runs.run import run_study
from bayes_hte.study.spec_file import load_spec
from tests.trial import TOML, trial_frame

pytestmark = pytest.mark.slow


def run(folder, rule: str):
    frame, rng = trial_frame(), np.random.default_rng(0)
    for name, share in {"x1": 0.25, "site": 0.1, "y": 0.1, "m": 0.1}.items():
        frame.loc[rng.random(len(frame)) < share, name] = np.nan if name != "site" else None
    frame.assign(w=rng.uniform(1, 3, len(frame))).to_csv(folder / "trial.csv", index=False)
    text = TOML.replace('"trial.csv"', f'"trial.csv"\nmissing = "{rule}"\nimputations = 2')
    text = text.replace("covariates =", 'weights = "w"\ncovariates =')
    if rule == "splits":
        text = text.replace("honest = false", "honest = true").replace("draws = 50", "draws = 60")
    (folder / "trial.toml").write_text(text, encoding="utf-8")
    return run_study(
        load_spec(folder / "trial.toml"), folder / "out", progress=False, say=lambda _: None
    )


@pytest.mark.parametrize("rule", ["splits", "impute"])
def test_a_run_with_gaps_is_reported(rule, tmp_path):
    run(tmp_path, rule)
    tables = tmp_path / "out" / "tables"
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert pd.read_csv(tables / "flow.csv")["n_units"].iloc[:2].tolist() == [120, 120]
    assert set(pd.read_csv(tables / "missing_values.csv")["column"]) == {"x1", "site", "y", "m"}
    words = {"splits": "treated as information", "impute": "imputed several times"}
    assert words[rule] in page
    assert "variance between imputations" in page or rule == "splits"
    folders = {p.name for p in (tmp_path / "out" / "posterior").iterdir()}
    assert {"imputation_1", "imputation_2"} <= folders or rule == "splits"
