"""A study under its labels has the same units, values and order under other names."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_hte.errors import SpecError
from bayes_hte.study.design import Design
from bayes_hte.study.labels import (
    labelled_roles,
    labelled_study,
    labelled_table,
    labelled_text,
)
from bayes_hte.study.spec import LabelSpec
from bayes_hte.study.study import Study

N = 60


@pytest.fixture
def study() -> Study:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "y": rng.normal(size=N),
            "arm": np.tile(["b", "a"], N // 2),
            "sex": np.tile([0, 0, 1], N // 3),
            "stage": pd.Categorical(
                np.tile(["late", "early", "mid"], N // 3), ["early", "mid", "late"], ordered=True
            ),
            "site": np.tile(["n", "s", "w", "e"], N // 4),
        }
    )
    roles = {"outcome": "y", "treatment": "arm", "covariates": ["sex", "stage", "site"]}
    return Study.from_frame(frame, **roles, reference="b")


LABELS = {
    "y": LabelSpec("depression"),
    "arm": LabelSpec("treatment", {"a": "training", "b": "booklet"}),
    "sex": LabelSpec("", {"0": "men", "1": "women"}),
    "stage": LabelSpec("tumour stage", {"early": "I", "late": "III"}),
    "site": LabelSpec("clinic", {"n": "zz north"}),
}


def test_names_change_and_nothing_else(study):
    shown = labelled_study(study, LABELS)
    assert shown.roles.columns == ("depression", "treatment", "sex", "tumour stage", "clinic")
    assert shown.contrast == "training vs booklet"
    np.testing.assert_array_equal(shown.arm_index(), study.arm_index())
    np.testing.assert_array_equal(shown.outcome(), study.outcome())
    # The same matrices under other names: levels keep their order, whatever their words.
    for features in ("standardized", "split_columns"):
        was, now = (getattr(Design.learn(s), features)("covariates") for s in (study, shown))
        np.testing.assert_array_equal(now.iloc[:, 1:], was.iloc[:, 1:])
    names = list(Design.learn(shown).standardized("covariates").columns)
    stages, clinics = ("mid", "III"), ("zz north", "s", "w")
    assert names[0] == "sex=women"
    assert names[1:3] == [f"tumour stage={level}" for level in stages]
    assert names[3:] == [f"clinic={level}" for level in clinics]
    assert shown.frame["tumour stage"].cat.ordered
    # Parts of it can be built again.
    assert shown.subset(np.arange(30)).contrast == "training vs booklet"


def test_a_study_without_labels_is_the_same_object(study):
    assert labelled_study(study, {"elsewhere": LabelSpec("x")}) is study


def test_roles_and_quoted_names_are_translated(study):
    assert labelled_roles(study.roles, LABELS).outcome == "depression"
    said = "covariate 'stage' matters; the stage of 'site=n' and \"arm\""
    assert labelled_text(said, LABELS) == (
        "covariate 'tumour stage' matters; the stage of 'site=n' and 'treatment'"
    )


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"sex": LabelSpec("site")}, "two columns would be called 'site'"),
        ({"site": LabelSpec("", {"n": "s"})}, "two levels would have the same words"),
        ({"site": LabelSpec("", {"north": "x"})}, "unknown level in labels.site 'north'"),
        ({"y": LabelSpec("", {"1": "x"})}, "unknown level|levels of an outcome|holds numbers"),
    ],
)
def test_labels_that_would_mislead_are_refused(study, labels, said):
    with pytest.raises(SpecError, match=said):
        labelled_study(study, labels)


def test_levels_in_tables_have_the_label_of_their_column_with_or_without_words(study):
    saved = pd.DataFrame(
        {"comparison": ["stage=late", "stage=mid", "site=n", "site=w", "above 3", "arm=a"]},
        index=pd.Index(["stage", "stage", "site", "site", "sex", "arm"], name="covariate"),
    )
    shown = labelled_table(saved, study, LABELS)
    assert shown["comparison"].tolist() == [
        "tumour stage=III", "tumour stage=mid", "clinic=zz north", "clinic=w", "above 3",
        "treatment=training",
    ]  # fmt: skip
    assert shown.index.tolist()[:4] == ["tumour stage", "tumour stage", "clinic", "clinic"]
