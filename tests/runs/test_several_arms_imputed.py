"""A run of three arms whose covariates are imputed: pooled fits, looked at contrast by contrast."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_hte.reporting import document
from bayes_hte.runs.prediction import predict_rows, predict_to_parquet
from bayes_hte.runs.run import run_study
from tests.runs.test_several_arms import NAMES, write
from tests.three_arms import three_arm_frame

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("imputed"), np.random.default_rng(1)
    source = '"trial.csv"\nmissing = "impute"\nimputations = 2'
    # One contrast against the usual direction, and two of the three pairs.
    asked = 'contrasts = ["none vs low", "high vs low"]\ncovariates'
    spec = write(folder, **{'"trial.csv"': source, "covariates": asked})
    frame = three_arm_frame()
    for name, share in {"x1": 0.2, "site": 0.1, "y": 0.05}.items():
        frame.loc[rng.random(len(frame)) < share, name] = np.nan if name != "site" else None
    frame.to_csv(folder / "trial.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        # Checks and pages of imputed studies are the subject of other tests.
        patch.setattr(document, "SECTIONS", document.SECTIONS[:2])
        patch.setattr("bayes_hte.runs.effect_stage.run_checks", lambda *_, **__: ())
        yield run_study(spec, folder / "out", progress=False, say=lambda _: None)


def test_every_contrast_is_a_view_of_the_pooled_fits(run):
    assert list(run.contrasts) == ["none vs low", "high vs low"]
    assert {"imputation 1: outcome", "imputation 2: outcome"} <= set(run.sampled)
    for results in run.contrasts.values():
        page = (run.folder / run.arms.folders[results.study.contrast] / "report.html").read_text(
            encoding="utf-8"
        )
        assert "imputed several times" in page
    # The page about all arms speaks of everybody, that of a contrast of its two arms.
    assert len(run.arms.units) == 90


def test_predictions_have_the_contrasts_that_are_reported(run, tmp_path):
    new = pd.read_csv(run.folder.parent / "trial.csv").head(12)[["x1", "x2", "site"]]
    assert new.isna().any(axis=None)
    new.to_csv(tmp_path / "new.csv", index=False)
    table = predict_rows(run.folder, tmp_path / "new.csv").table
    names = [c for c in table if c.startswith("effect[")]
    assert names == ["effect[none vs low]", "effect[high vs low]"]
    assert table[names].notna().all(axis=None)
    new.iloc[::-1].to_csv(tmp_path / "turned.csv", index=False)
    turned = predict_rows(run.folder, tmp_path / "turned.csv").table
    np.testing.assert_array_equal(turned[names].to_numpy()[::-1], table[names].to_numpy())
    predict_to_parquet(run.folder, tmp_path / "new.csv", tmp_path / "out")
    found = pd.read_parquet(tmp_path / "out")
    assert [c for c in found if c.startswith("te[")] == ["te[none vs low]", "te[high vs low]"]
    for name in ("none vs low", "high vs low"):
        np.testing.assert_allclose(found[f"te[{name}]"], table[f"effect[{name}]"], rtol=1e-6)
    assert NAMES[0] not in " ".join(found.columns)
