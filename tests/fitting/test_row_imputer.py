"""New rows with gaps: what a row gets depends on the row alone, and follows the study."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte.errors import DataError
from bayes_hte.fitting.imputing import imputed_studies
from bayes_hte.fitting.row_imputer import RowImputer
from tests.fitting.test_imputing import ROLES, trial


@pytest.fixture(scope="module")
def parts():
    study = hte.Study.from_frame(trial()[1], **ROLES, missing="impute", imputations=4)
    return imputed_studies(study, seed=1)


@pytest.fixture(scope="module")
def new():
    """New people: neither their arm nor their outcome is known."""
    return trial()[1].drop(columns=["y", "t"])


@pytest.fixture(scope="module")
def fit(fitted):
    """The fit of the tests of imputed frames."""
    study = hte.Study.from_frame(trial(120)[1], **ROLES, missing="impute", imputations=2)
    return fitted(study, seed=2, draws=41, tune=40, chains=2, cores=1, progress=False)


def test_a_row_gets_the_same_values_alone_among_others_and_in_any_order(parts, new):
    whole = RowImputer(parts[0], 5).filled(new)
    fresh = RowImputer(parts[0], 5)
    alone = pd.concat([fresh.filled(new.iloc[[i]]) for i in range(25)])
    pd.testing.assert_frame_equal(alone, whole.head(25), check_exact=True)
    order = np.random.default_rng(0).permutation(len(new))
    shuffled = fresh.filled(new.iloc[order]).loc[new.index]
    pd.testing.assert_frame_equal(shuffled, whole, check_exact=True)
    # How a column is stored is no part of what it says.
    stored = new.astype({"a": "Float64", "g": "category"}).assign(s=new["s"].astype("Int64"))
    again = fresh.filled(stored)
    pd.testing.assert_frame_equal(again, whole, check_exact=True, check_dtype=False)


def test_recorded_values_are_kept_and_gaps_follow_the_study(parts, new):
    truth, fills = trial()[0], [RowImputer(p, i).filled(new) for i, p in enumerate(parts)]
    for filled in fills:
        assert filled[ROLES["covariates"]].notna().all(axis=None)
        known = new.notna()
        pd.testing.assert_frame_equal(filled.where(known), new.where(known), check_dtype=False)
    gap = new["a"].isna()
    drawn = pd.concat([filled.loc[gap] for filled in fills])
    # Neither arm nor outcome is used; `b`, which says when values are missing, is.
    assert truth.loc[gap, "a"].mean() > new["a"].mean() + 0.4
    assert drawn["a"].mean() == pytest.approx(truth.loc[gap, "a"].mean(), abs=0.1)
    assert drawn["a"].std() == pytest.approx(truth.loc[gap, "a"].std(), rel=0.12)
    assert drawn["a"].between(new["a"].min(), new["a"].max()).all()
    levels = new["g"].isna()
    shares = pd.concat([f.loc[levels, "g"] for f in fills]).value_counts(normalize=True)
    expected = truth.loc[levels, "g"].value_counts(normalize=True)
    # Of 183 people the true shares have a standard error of .036.
    np.testing.assert_allclose(shares.reindex(expected.index), expected, atol=0.08)
    assert set(drawn["s"]) == {0.0, 1.0}
    assert not fills[0].equals(fills[1])


def test_without_gaps_rows_are_returned_as_they_are(parts):
    rows = trial()[0].head(5)
    assert RowImputer(parts[0], 1).filled(rows) is rows


def test_a_single_covariate_is_filled_from_its_own_distribution():
    frame = trial(80)[1][["a", "t", "y"]]
    study = hte.Study.from_frame(
        frame, outcome="y", treatment="t", covariates=["a"], missing="impute", imputations=2
    )
    part = imputed_studies(study, seed=1)[0]
    filled = RowImputer(part, 1).filled(pd.DataFrame({"a": [np.nan, 0.5]}))
    assert np.isfinite(filled["a"]).all()
    assert filled["a"].iloc[1] == 0.5


def test_a_column_of_words_where_the_study_has_numbers_is_refused(parts, new):
    with pytest.raises(DataError, match="'a' must be numeric"):
        RowImputer(parts[0], 1).filled(new.assign(a="high"))


def test_predictions_do_not_depend_on_the_other_rows(fit, new):
    some = new.head(12)
    whole = fit.cate(some).to_numpy()
    one = fit.cate(some.iloc[[3]]).to_numpy()
    np.testing.assert_array_equal(one[..., 0], whole[..., 3])
    backwards = fit.potential_outcomes(some.iloc[::-1]).to_numpy()[:, :, ::-1]
    np.testing.assert_array_equal(backwards, fit.potential_outcomes(some).to_numpy())
    average = fit.averages(some)["te"].to_numpy()
    np.testing.assert_allclose(average, whole.mean(axis=-1))


def test_files_of_predictions_do_not_depend_on_their_blocks(fit, new, tmp_path):
    some = new.head(12)
    assert some[ROLES["covariates"]].isna().any(axis=None)
    tables = [
        hte.predict_effects(fit, some, to=tmp_path / str(block), block=block).frame()
        for block in (5, 100)
    ]
    assert tables[0]["predicted"].all()
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    # A gap in a column that is complete in the study remains one.
    bare = hte.predict_effects(fit, some.assign(b=np.nan), to=tmp_path / "bare")
    assert bare.empty == len(some)
