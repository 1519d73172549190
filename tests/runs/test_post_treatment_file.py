"""A confounder that the treatment changes, in a study file: read, run, reported and refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes_hte import cli
from bayes_hte.errors import SpecError
from bayes_hte.fitting.plan import Plan
from bayes_hte.study.declared import study_from_spec
from bayes_hte.study.spec_file import parse_spec
from tests.reporting.html_page import Page
from tests.trial import TOML, trial_frame

TEXT = TOML.replace('mediator = "m"', 'mediator = "m"\npost_treatment = "side"')
MODELS = '[mediator]\ncontrolled_at = [0.0]\n[mediator.side]\nsurface = "linear"\n'
TEXT = TEXT.replace("[mediator]\ncontrolled_at = [0.0]\n", MODELS)


def frame() -> pd.DataFrame:
    made, noise = trial_frame(), np.random.default_rng(1).normal(size=120)
    side = 0.5 * made["treat"] + noise
    return made.assign(side=side, m=made["m"] + 0.5 * side, y=made["y"] + 0.8 * side)


@pytest.fixture(scope="module")
def ran(run_folder, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("post_treatment")
    frame().to_csv(folder / "trial.csv", index=False)
    (folder / "trial.toml").write_text(TEXT, encoding="utf-8")
    # Too few draws for the gate of sampling health, so the status is that of a caution.
    cli.main(["run", str(folder / "trial.toml"), "-o", str(folder / "out"), "--quiet"])
    return folder / "out"


def test_it_is_read_and_bound_to_the_data():
    spec = parse_spec(TEXT)
    assert spec.roles.mediators == ("side", "m")
    assert spec.roles.mediator_words == "m"
    assert Plan.from_spec(spec).mediator_models(2)[0] == ("gaussian", "linear")
    study = study_from_spec(spec, frame())
    assert (study.roles.post_treatment, study.roles.mediator) == ("side", "m")


def test_the_run_keeps_interventional_effects_and_no_natural_ones(ran):
    table = pd.read_csv(next(ran.rglob("average_effects.csv")))
    named = table.set_index("name")["mean"]
    indirect, direct, overall = (
        named[f"interventional {part} effect"] for part in ("indirect", "direct", "overall")
    )
    assert indirect + direct == pytest.approx(overall, abs=1e-6)
    assert not {"tnie", "pnde", "pnie", "tnde"} & set(table["effect"])
    assert (table["group"] == "controlled").sum() == 1


def test_the_report_gives_the_reason_and_the_work(ran):
    said = " ".join(Page((ran / "report.html").read_text("utf-8")).text.split())
    assert "The treatment changes side, which affects both m and y." in said
    assert "Natural direct and indirect effects are then not identified" in said
    assert "total effect, interventional direct and indirect effects" in said
    assert "Interventional effects, side as under the arm given" in said
    assert re.search("treatment, the listed covariates and side, nothing unmeasured", said)
    assert "VanderWeele et al. 2014" in said
    assert "TNIE" not in said


def test_a_report_is_made_again_from_what_was_saved(ran):
    (ran / "report.html").rename(ran / "first.html")
    cli.main(["report", str(ran)])
    again = (ran / "report.html").read_text("utf-8")
    assert "Interventional effects, side as under the arm given" in again


def test_a_column_that_is_not_there_is_said(tmp_path, capsys):
    trial_frame().to_csv(tmp_path / "trial.csv", index=False)
    (tmp_path / "trial.toml").write_text(TEXT, encoding="utf-8")
    assert cli.main(["check", str(tmp_path / "trial.toml")]) != 0
    assert "side" in capsys.readouterr().err


def test_it_needs_one_mediator():
    none = TEXT.replace('mediator = "m"\n', "").replace(MODELS, "")
    with pytest.raises(SpecError, match=r"roles\.mediator names 0"):
        parse_spec(none)
    two = TEXT.replace('mediator = "m"', 'mediator = ["m", "x2"]')
    with pytest.raises(SpecError, match=r"roles\.mediator names 2"):
        parse_spec(two)


def test_natural_effects_and_what_draws_them_are_refused():
    with pytest.raises(SpecError, match="natural effects are then not identified"):
        parse_spec(TEXT.replace('effects = ["te"]', 'effects = ["tnie"]'))
    with pytest.raises(SpecError, match="use calibrate = 'none'"):
        parse_spec(TEXT.replace("honest = false", 'honest = false\ncalibrate = "surrogate"'))
