"""Three arms whose covariates are imputed: pooled fits, looked at contrast by contrast."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import bayes_hte as hte
from bayes_hte.fitting.pooled import PooledFit
from bayes_hte.names import CONTRAST, UNIT
from bayes_hte.runs.prediction import _contrast
from tests.three_arms import FEW, three_arm_frame, three_arm_study


def holed():
    """The trial of three arms, with gaps of a number, of levels and of the outcome."""
    frame, rng = three_arm_frame(), np.random.default_rng(1)
    for name, share in {"x1": 0.2, "site": 0.1, "y": 0.05}.items():
        frame.loc[rng.random(len(frame)) < share, name] = np.nan if name != "site" else None
    return frame


@pytest.fixture(scope="module")
def fit(fitted):
    study = three_arm_study(holed(), missing="impute", imputations=2)
    return fitted(study, **FEW, stack_with=())


def test_a_contrast_is_a_view_of_the_pooled_fits(fit):
    pair = fit.two_arms("none", "low")
    assert isinstance(pair, PooledFit)
    assert pair.study.contrast == "none vs low"
    inside = np.isin(fit.study.frame["dose"], ["none", "low"])
    both = fit.cate(contrast=("none", "low")).isel({UNIT: inside})
    np.testing.assert_allclose(pair.cate(), both, atol=1e-6)
    names = [check.name for check in pair.health()]
    assert "variance between imputations" in names
    assert pair.propensity().sizes[UNIT] == 60
    # The choice among all arms is made of the fit of all arms.
    assert len(hte.best_arms(fit.potential_outcomes(), better="higher")) == 90


def test_new_rows_get_the_same_values_in_every_contrast(fit):
    rows = holed()[["x1", "x2", "site"]].head(20)
    assert rows.isna().any(axis=None)
    whole = fit.cate(rows, contrast=("high", "low"))
    np.testing.assert_allclose(fit.two_arms("high", "low").cate(rows), whole, atol=1e-6)


def test_predictions_hold_the_contrasts_that_are_asked_for(fit, tmp_path):
    rows, pairs = holed()[["x1", "x2", "site"]].head(12), [("none", "low"), ("high", "low")]
    assert fit.cate(rows, contrast=pairs)[CONTRAST].to_numpy().tolist() == [
        "none vs low",
        "high vs low",
    ]
    table = hte.predict_effects(fit, rows, to=tmp_path / "p", contrast=pairs, block=5).frame()
    found = [name for name in table if name.startswith("te[")]
    assert found == ["te[none vs low]", "te[high vs low]"]
    assert table["predicted"].all()
    mean = fit.cate(rows, contrast=("high", "low")).mean(["chain", "draw"])
    np.testing.assert_allclose(table["te[high vs low]"], mean, atol=1e-6)


@pytest.mark.parametrize(
    ("reported", "asked"),
    [
        ([], None),
        (["all"], "all"),
        (["high vs low"], ("high", "low")),
        (["none vs low", "high vs low"], [("none", "low"), ("high", "low")]),
        # In the order of the study file.
        (["high vs none", "low vs none"], [("high", "none"), ("low", "none")]),
    ],
)
def test_files_of_predictions_are_asked_for_what_a_study_file_reports(reported, asked):
    fit = SimpleNamespace(study=three_arm_study())
    assert _contrast(fit, SimpleNamespace(roles=SimpleNamespace(contrasts=reported))) == asked
