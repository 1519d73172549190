"""Studies with missing values: what is kept, what is counted, what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_hte.errors import DataError, SpecError
from bayes_hte.study.design import Design
from bayes_hte.study.encoding import Encoding
from bayes_hte.study.missing import MISSING_RULES, assumption, outcome_assumption
from bayes_hte.study.study import Study

N = 60


def frame_of() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "y": rng.normal(size=N),
            "arm": np.tile(["pill", "drug"], N // 2),
            "age": rng.normal(50, 9, size=N),
            "site": rng.choice(["a", "b", "c"], size=N),
            "smokes": pd.Series(rng.random(N) < 0.4, dtype=object),
            "m": rng.normal(size=N),
            "w": rng.uniform(1, 3, size=N),
        }
    )


def gappy() -> pd.DataFrame:
    frame = frame_of()
    frame.loc[[0, 1, 2, 3], "age"] = np.nan
    frame.loc[[3, 4, 5], "site"] = None
    frame.loc[[6, 9], "smokes"] = None
    frame.loc[[7, 10, 11], "y"] = np.nan
    frame.loc[[12, 13], "m"] = np.nan
    return frame


ROLES = {"outcome": "y", "treatment": "arm", "covariates": ["age", "site", "smokes"]}


def study(frame=None, **options) -> Study:
    frame = gappy() if frame is None else frame
    return Study.from_frame(frame, **ROLES, reference="pill", **options)


def test_units_with_gaps_stay_and_those_without_outcome_inform_nothing():
    found = study(mediator="m")
    assert found.n_units == N
    assert found.gaps == ("age", "site", "smokes")
    assert np.flatnonzero(~found.known_mediator()).tolist() == [12, 13]
    assert np.flatnonzero(~found.known_outcome()).tolist() == [7, 10, 11, 12, 13]
    assert found.with_outcome().n_units == N - 5
    assert found.frame["smokes"].dtype == float
    assert np.isnan(found.outcome()[7])


def test_the_flow_counts_by_column_and_arm():
    flow = study(mediator="m", missing="complete").flow
    assert (flow.recorded, flow.analysed) == (N, N - 13)
    assert flow.excluded == (("with a missing value", 13),)
    age = flow.missing[flow.missing["column"] == "age"]
    assert age["missing"].tolist() == [2, 2]
    assert age["units"].tolist() == [30, 30]
    assert flow.missing["column"].unique().tolist() == ["y", "m", "age", "site", "smokes"]
    assert flow.missing["missing"].sum() == 14
    assert study(missing="complete").frame.notna().all(axis=None)


def test_a_part_of_a_study_may_have_gaps_where_the_whole_has():
    part = study().subset(np.arange(20, N))
    assert part.frame.notna().all(axis=None)
    assert part.gaps == ("age", "site", "smokes")
    design = Design.learn(part)
    assert design.split_missing("covariates").tolist() == [True, False, True]
    new = design.replay(gappy().head(6)).split_columns("covariates")
    assert new["age"].isna().tolist() == [True] * 4 + [False] * 2
    assert new["site"].tolist()[3:] == [3, 3, 3]


def test_the_fingerprint_knows_gaps_rules_and_weights():
    prints = {
        study(frame_of()).fingerprint(),
        study().fingerprint(),
        study(missing="impute").fingerprint(),
        study(weights="w").fingerprint(),
        study().subset(np.arange(20, N)).fingerprint(),
        study(frame_of()).subset(np.arange(20, N)).fingerprint(),
    }
    assert len(prints) == 6


def test_studies_without_gaps_keep_their_fingerprint():
    frame = pd.DataFrame({"y": np.arange(12.0), "t": np.arange(12) % 2, "x": np.arange(12.0) ** 2})
    found = Study.from_frame(frame, outcome="y", treatment="t", covariates=["x"])
    assert found.fingerprint().startswith(FINGERPRINT)


FINGERPRINT = "9a28caab82a27358"  # as computed before there were gaps


def test_rows_to_come_may_have_gaps_only_where_the_study_has():
    encoding = Encoding.learn(gappy()[["age", "site", "smokes"]].assign(bmi=frame_of()["m"]))
    rows = gappy()[["age", "site", "smokes"]].assign(bmi=frame_of()["m"])
    split = encoding.split_columns(rows)
    assert split["age"].isna().sum() == 4
    assert split["site"].max() == 3
    assert encoding.split_levels.tolist() == [0, 4, 0, 0]
    assert encoding.split_missing.tolist() == [True, False, True, False]
    wide = encoding.standardized(rows)
    assert wide.columns.tolist() == [
        *("age", "age (missing)", "site=b", "site=c", "site (missing)", "smokes"),
        *("smokes (missing)", "bmi"),
    ]
    assert wide.notna().all(axis=None)
    assert wide.loc[0, ["age", "age (missing)"]].tolist() == [0, 1]
    again = Encoding.from_state(encoding.to_state())
    pd.testing.assert_frame_equal(again.standardized(rows), wide)
    rows.loc[0, "bmi"] = np.nan
    with pytest.raises(DataError, match=r"'bmi' has 1 missing .* none in the study"):
        encoding.split_columns(rows)


def test_encodings_of_earlier_versions_are_read():
    state = Encoding.learn(frame_of()[["age", "site"]]).to_state()
    earlier = [{k: v for k, v in column.items() if k != "missing"} for column in state]
    assert not any(c.missing for c in Encoding.from_state(earlier).columns)


def emptied(column: str, rows) -> pd.DataFrame:
    frame = frame_of()
    frame.loc[rows, column] = np.nan if column != "site" else None
    return frame


@pytest.mark.parametrize(
    ("frame", "options", "said"),
    [
        (emptied("age", slice(None)), {}, "all values of covariate 'age' are missing"),
        (emptied("y", slice(None)), {}, "all values of outcome 'y' are missing"),
        (emptied("m", slice(None)), {"mediator": "m"}, "all values of mediator 'm'"),
        (emptied("site", range(0, N, 2)), {}, "'site' is missing for all units of arm 'pill'"),
        (emptied("y", range(1, N, 2)), {}, "'y' is missing for all units of arm 'drug'"),
        (emptied("age", range(1, N // 2, 2)), {}, r"in arm 'drug' only \(15 of 30\)"),
        (emptied("y", range(0, N - 8, 2)), {}, r"too few units for the model: .*'pill': 4"),
        (emptied("w", [3]), {"weights": "w"}, r"missing values in w \(1\)"),
        (frame_of().assign(w=-1.0), {"weights": "w"}, "got 60 negative weights"),
        (frame_of().assign(w=0.0), {"weights": "w"}, "weights that are all 0"),
        (frame_of().assign(w="a"), {"weights": "w"}, "weights 'w' must be numeric"),
        (frame_of(), {"weights": "age"}, "age would play two parts"),
    ],
)
def test_what_no_analysis_can_bridge_is_refused(frame, options, said):
    with pytest.raises(DataError, match=said):
        study(frame, **options)


def test_gaps_in_one_arm_only_are_accepted_where_chance_or_the_rule_explains_them():
    few = emptied("age", [1, 3, 5])
    assert study(few).gaps == ("age",)
    many = emptied("age", range(1, N // 2, 2))
    assert study(many, missing="complete").n_units == N - 15


def test_parts_and_altered_copies_of_a_study_may_have_gaps_in_one_arm_by_chance():
    whole = study(emptied("age", range(16)))
    # The treatment is dealt anew, as a refutation does, and all gaps fall into one arm.
    dealt = whole.frame.assign(arm=["drug"] * 30 + ["pill"] * 30)
    assert whole.alike(dealt).gaps == ("age",)
    with pytest.raises(DataError, match=r"in arm 'drug' only \(16 of 30\)"):
        study(dealt)
    kept = np.setdiff1d(np.arange(N), np.arange(0, 16, 2))
    assert whole.subset(kept).gaps == ("age",)


def test_an_unknown_rule_is_refused():
    with pytest.raises(SpecError, match="unknown missing 'impot'"):
        study(missing="impot")


@pytest.mark.parametrize("rule", MISSING_RULES)
def test_each_rule_says_what_it_assumes(rule):
    assert len(assumption(rule, randomised=True)) > 100
    words = assumption("splits", randomised=False)
    assert "not randomised" in words
    assert "{" not in words
    assert "mediator" in outcome_assumption("outcome", mediated=True)
    assert "same mediators" in outcome_assumption("mediator", mediated=True)


def test_constant_weights_are_weights():
    assert study(frame_of().assign(w=2.0), weights="w").weights().tolist() == [2.0] * N
    assert study().weights() is None


def test_what_needs_complete_columns_says_so():
    with pytest.raises(DataError, match=r"missing values in age \(4\), y \(3\): mixtures need"):
        study().check_complete(["age", "y", "arm"], "mixtures")
    study().check_complete(["arm"], "mixtures")
