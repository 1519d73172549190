"""The first minute with a file of one's own: new, check, run --quick, predict."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from bayes_hte import cli

N = 100


@pytest.fixture
def data(tmp_path):
    """A trial as a spreadsheet writes it: semicolons, decimal commas, texts."""
    rng = np.random.default_rng(8)
    arm = rng.permutation(np.arange(N) % 2)
    age = rng.integers(20, 80, N)
    frame = pd.DataFrame(
        {
            "patient id": np.arange(N),
            "drug": np.where(arm == 1, "statin", "fibrate"),
            "outcome at 1 year": np.where(rng.random(N) < 0.3 + 0.3 * arm, "well", "ill"),
            "age, years": age,
            "sex": rng.choice(["f", "m"], N),
            "bmi": rng.normal(27, 3, N).round(1),
        }
    )
    path = tmp_path / "my trial.csv"
    frame.to_csv(path, index=False, sep=";", decimal=",", encoding="latin-1")
    return path


@pytest.mark.slow
def test_from_a_file_to_predictions(data, capsys):
    study, out = data.with_suffix(".toml"), data.parent / "out"
    named = ["--outcome", "outcome at 1 year", "--treatment", "drug"]
    assert cli.main(["new", str(data), *named]) == cli.DONE
    text = study.read_text(encoding="utf-8")
    text = re.sub(r"^# ((?:reference|event) = )", r"\1", text, flags=re.M)
    labels = '\n[labels]\n"age, years" = "age"\n"drug" = { levels = { statin = "the statin" } }\n'
    study.write_text(text + labels, encoding="utf-8")
    assert cli.main(["check", str(study)]) == cli.DONE
    small = ["--set", "sampler.draws=50", "--set", "sampler.tune=50", "--set", "sampler.chains=2"]
    run = ["run", str(study), "-o", str(out), "--quick", "--quiet", *small]
    # Far too few draws: the results are saved and marked.
    assert cli.main(run) in (cli.DONE, cli.UNHEALTHY)
    assert "a first look" in capsys.readouterr().out
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "A first look (--quick), not the analysis" in page.split("<main>")[0]
    assert "the statin" in page
    saved = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert saved["quick"] is True
    assert saved["changes"] == [part for part in small if part != "--set"]
    new = pd.DataFrame({"age, years": [50, 5], "sex": ["f", "m"], "bmi": [27.0, 27.0]})
    new.to_csv(data.parent / "new.csv", index=False)
    assert cli.main(["predict", str(out), str(data.parent / "new.csv")]) in (0, cli.UNHEALTHY)
    shown = capsys.readouterr()
    assert "expected[fibrate],expected[statin],effect,effect_lower_95_eti" in shown.out
    assert "age, years below" in shown.out
    assert "from a first look" in shown.err
