"""Two mediators in study files: own models, what is shared, and what is refused."""

from __future__ import annotations

import pandas as pd
import pytest

from bayes_hte.errors import SpecError
from bayes_hte.fitting.plan import Plan
from bayes_hte.study.declared import study_from_spec
from bayes_hte.study.labels import labelled_study
from bayes_hte.study.spec import LabelSpec
from bayes_hte.study.spec_file import parse_spec
from tests.trial import TOML, trial_frame

OWN = """[mediator]
surface = "linear"
unit = "points"
[mediator.m]
family = "gaussian"
[mediator.family]
family = "binary"
unit = "probability"
surface = "forest"
"""
# A mediator may have the name of a key.
TEXT = TOML.replace('mediator = "m"', 'mediator = ["m", "family"]')
TEXT = TEXT.replace("[mediator]\ncontrolled_at = [0.0]\n", OWN)


def with_lines(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new)


def test_each_mediator_has_its_own_model_and_takes_the_rest_from_both():
    spec = parse_spec(TEXT)
    assert spec.roles.mediators == ("m", "family")
    assert spec.roles.mediator_words == "m and family"
    m, second = (spec.mediator.of(name) for name in spec.roles.mediators)
    assert (m.family, m.surface, m.unit) == ("gaussian", "linear", "points")
    assert (second.family, second.surface, second.unit) == ("bernoulli", "forest", "probability")
    plan = Plan.from_spec(spec)
    assert plan.mediator_models(2) == [("gaussian", "linear"), ("bernoulli", "forest")]


def test_one_mediator_in_a_list_is_one_mediator():
    spec = parse_spec(TOML.replace('mediator = "m"', 'mediator = ["m"]'))
    assert Plan.from_spec(spec) == Plan.from_spec(parse_spec(TOML))
    frame = trial_frame()
    assert study_from_spec(spec, frame).roles == study_from_spec(parse_spec(TOML), frame).roles


def test_labels_are_those_of_both():
    frame = trial_frame()
    frame = frame.assign(family=(frame["m"] + frame["x1"] > 0).astype(int))
    study = study_from_spec(parse_spec(TEXT), frame)
    shown = labelled_study(study, {"family": LabelSpec("work"), "m": LabelSpec("hope")})
    assert shown.roles.mediators == ("hope", "work")
    pd.testing.assert_series_equal(shown.frame["work"], frame["family"], check_names=False,
                                   check_index_type=False, check_index=False)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (with_lines("[mediator.m]", "[mediator.n]"), "unknown mediator in .mediator. 'n'"),
        (with_lines('family = "binary"', 'families = "binary"'), "Did you mean 'family'"),
        (with_lines('["m", "family"]', '["m", "family", "x1"]'), "at most 2 mediators"),
        (with_lines('["m", "family"]', '["m", 3]'), "mediator.1. must be text"),
        (
            with_lines('surface = "linear"\nunit', "controlled_at = [0.0]\nunit"),
            "there are two.*mediator_value",
        ),
        (
            with_lines("honest = false", 'honest = false\ncalibrate = "surrogate"'),
            "subgroups.calibrate draws studies with one mediator",
        ),
        (TOML.replace('mediator = "m"', "mediator = 3"), "must be one of text or a list of text"),
        (TOML + "\n[mediator.m]\nfamily = 'gaussian'\n", "unknown key in .*mediator.* 'm'"),
    ],
)
def test_what_does_not_suit_two_mediators_is_refused(text, message):
    with pytest.raises(SpecError, match=message):
        parse_spec(text)
