"""A study file is read strictly: nothing unknown, nothing missing, nothing out of range."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from bayes_hte.errors import SpecError, unknown_name
from bayes_hte.study.spec_file import load_spec, parse_spec

MODELS = sorted((Path(__file__).parents[2] / "models").glob("*.toml"))

MINIMAL = """
title = "A trial"

[about]
question = "does it work?"
suitable_for = "tests"
not_suitable_for = "patients"

[data]
source = "trial.csv"

[roles]
outcome = "score"
treatment = "treat"
covariates = ["age", "sex"]

[outcome]
better = "higher"
minimal_important_difference = 2
because = "stated in the protocol"

[propensity]
assignment = "randomised"

[sampler]
seed = 1
"""
MEDIATED = MINIMAL.replace("[outcome]", 'mediator = "belief"\n\n[outcome]') + "\n[mediator]\n"


def edited(old: str, new: str, text: str = MINIMAL) -> str:
    """Replace a line of the file, once, and insist that it was there."""
    assert text.count(old) == 1
    return text.replace(old, new)


def test_a_minimal_file_gets_the_documented_defaults():
    spec = parse_spec(MINIMAL)
    assert spec.roles.covariates == ("age", "sex")
    assert spec.roles.reference is None
    assert spec.mediator is None
    assert spec.learner.name == "hierarchical"
    assert (spec.outcome.family, spec.outcome.surface) == ("gaussian", "forest")
    assert (spec.outcome.noise, spec.outcome.stack_with) == ("constant", ())
    assert spec.roles.cluster is None
    assert (spec.sampler.chains, spec.sampler.draws, spec.sampler.tune) == (4, 500, 300)
    assert (spec.report.ci_prob, spec.report.ci_kind) == (0.95, "eti")
    assert spec.prior == ()


def test_columns_and_labels_are_tables_by_the_names_of_columns():
    text = (
        MINIMAL
        + """
[columns."site of care"]
order = ["south", "north"]
[columns.score]
event = "yes"
[labels]
score = "recovery"
sex = { label = "sex at birth", levels = { f = "female" } }
"""
    )
    spec = parse_spec(text)
    assert spec.columns["site of care"].order == ("south", "north")
    assert spec.columns["score"].event == "yes"
    assert spec.labels["score"].label == "recovery"
    assert spec.labels["sex"].levels == {"f": "female"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("[columns.age]\nkind = 'number'", r"unknown key in \[study.columns.age\] 'kind'"),
        ("[columns.age]\nevent = 1\norder = [1, 2]", "an event has no order"),
        ("[columns.age]\ntype = 'number'\norder = [1, 2]", "numbers are in order"),
        ("[columns.age]\norder = [1, 1]", "names a level twice"),
        ("[labels]\nage = 3", r"\[study.labels.age\] must be a table"),
    ],
)
def test_contradictory_columns_are_refused(more, said):
    with pytest.raises(SpecError, match=said):
        parse_spec(f"{MINIMAL}\n{more}")


def test_keys_can_be_changed_outside_of_the_file():
    plain = parse_spec(MINIMAL)
    assert plain.changes == ()
    assert not plain.quick
    changes = ["sampler.draws = 100", "outcome.family=poisson", "roles.covariates=['age']"]
    spec = parse_spec(MINIMAL, changes=changes)
    assert (spec.sampler.draws, spec.sampler.seed) == (100, 1)
    assert spec.outcome.family == "poisson"
    assert spec.roles.covariates == ("age",)
    assert spec.hash() != plain.hash()
    assert parse_spec(MINIMAL, changes=["held_out.share=0.1"]).held_out.share == 0.1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("sampler.draws", "--set takes a key"),
        ("=3", "--set takes a key"),
        ("sampler.drawz=100", "Did you mean 'draws'"),
        ("sampler.draws=many", "must be a whole number"),
        ("title.x=3", "title is no table"),
    ],
)
def test_changes_are_checked_as_strictly_as_the_file(change, said):
    with pytest.raises(SpecError, match=said):
        parse_spec(MINIMAL, changes=[change])


def test_a_first_look_is_short_and_says_so():
    spec = parse_spec(MINIMAL, quick=True)
    assert spec.quick
    assert (spec.sampler.draws, spec.sampler.tune) == (150, 150)
    assert not spec.subgroups.honest
    assert spec.checks.refutations == "none"
    assert spec.outcome.stack_with == ()
    short = parse_spec(MINIMAL + "draws = 60\n", quick=True, changes=["subgroups.honest=true"])
    assert (short.sampler.draws, short.subgroups.honest) == (60, True)


def test_declared_values_arrive_where_they_belong_and_as_numbers():
    text = edited("[sampler]", "[report]\nci_prob = 0.9\nci_kind = 'hdi'\n\n[sampler]")
    text += """
[[prior]]
component = "outcome"
term = "arm"
scale = 1
because = "larger effects are plausible"

[[prior]]
component = "outcome"
term = "shared"
trees = 20
because = "few covariates"
"""
    spec = parse_spec(edited('treatment = "treat"', 'treatment = "treat"\nreference = 0', text))
    assert (spec.report.ci_prob, spec.report.ci_kind) == (0.9, "hdi")
    assert spec.roles.reference == 0
    assert isinstance(spec.outcome.minimal_important_difference, float)
    assert [(p.term, p.scale, p.trees) for p in spec.prior] == [
        ("arm", 1.0, None),
        ("shared", None, 20),
    ]


def test_noise_candidates_and_clusters_are_read():
    text = edited("because = ", 'noise = "varying"\nstack_with = ["t/linear"]\nbecause = ')
    text = edited('covariates = ["age", "sex"]', 'covariates = ["age"]\ncluster = "clinic"', text)
    spec = parse_spec(text)
    assert (spec.outcome.noise, spec.outcome.stack_with) == ("varying", ("t/linear",))
    assert spec.roles.cluster == "clinic"


@pytest.mark.parametrize("value", ['"placebo"', "0", "1.5", "true"])
def test_the_reference_keeps_the_type_it_was_written_in(value):
    text = edited('treatment = "treat"', f'treatment = "treat"\nreference = {value}')
    wanted = {'"placebo"': "placebo", "0": 0, "1.5": 1.5, "true": True}[value]
    reference = parse_spec(text).roles.reference
    assert reference == wanted
    assert type(reference) is type(wanted)


def test_a_specification_cannot_be_changed_after_reading():
    with pytest.raises(FrozenInstanceError):
        parse_spec(MINIMAL).title = "another"


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_every_shipped_study_file_is_read(path):
    spec = load_spec(path)
    assert spec.name == path.stem
    assert spec.folder == path.parent
    assert spec.text == path.read_text(encoding="utf-8")
    assert all(prior.because for prior in spec.prior)


def test_there_are_shipped_study_files():
    assert "jobs2" in [path.stem for path in MODELS]


# ---------------------------------------------------------------- unknown, missing, mistyped


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed = 1", "seed = 1\nchain = 4", r"\[study\.sampler\] 'chain'\. Did you mean 'chains'"),
        ("[sampler]", "[report]\nci_probe = 0.9\n[sampler]", r"'ci_probe'\. .* 'ci_prob'\?"),
        ("[about]", "[abuot]", r"\[study\] 'abuot'\. Did you mean 'about'"),
        ('title = "A', 'folder = "/tmp"\ntitle = "A', "unknown key in study 'folder'"),
        ('title = "A', 'text = "x"\ntitle = "A', "unknown key in study 'text'"),
        ('title = "A', 'name = "x"\ntitle = "A', "unknown key in study 'name'"),
        (
            'title = "A',
            'zzz = "x"\ntitle = "A',
            "'zzz'. Known: about, checks, columns, data, held_out",
        ),
    ],
)
def test_an_unknown_key_is_refused_and_the_nearest_named(old, new, message):
    with pytest.raises(SpecError, match=message):
        parse_spec(edited(old, new))


def test_an_unknown_key_in_a_list_of_tables_is_placed():
    prior = '[[prior]]\ncomponent = "outcome"\nterm = "arm"\nbecause = "x"\n'
    with pytest.raises(SpecError, match=r"\[study\.prior\[1\]\] 'scales'\. Did you mean 'scale'"):
        parse_spec(MINIMAL + prior + prior + "scales = 1.0\n")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('title = "A trial"', r"\[study\] lacks title"),
        ("seed = 1", r"\[study\.sampler\] lacks seed"),
        ('better = "higher"', r"\[study\.outcome\] lacks better"),
        ("minimal_important_difference = 2", "lacks minimal_important_difference"),
        ('because = "stated in the protocol"', r"\[study\.outcome\] lacks because"),
        ('not_suitable_for = "patients"', "lacks not_suitable_for"),
        ('[propensity]\nassignment = "randomised"', r"\[study\] lacks propensity"),
    ],
)
def test_a_missing_key_is_refused_with_its_place(line, message):
    with pytest.raises(SpecError, match=message):
        parse_spec(edited(line, ""))


def test_a_prior_without_its_reason_is_refused():
    with pytest.raises(SpecError, match=r"\[study\.prior\[0\]\] lacks because"):
        parse_spec(MINIMAL + '[[prior]]\ncomponent = "outcome"\nterm = "arm"\nscale = 1.0\n')


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed = 1", 'seed = "1"', r"sampler\.seed must be a whole number, got '1'"),
        ("seed = 1", "seed = 1.0", r"sampler\.seed must be a whole number, got 1\.0"),
        ("seed = 1", "seed = true", r"sampler\.seed must be a whole number, got True"),
        ("difference = 2", "difference = true", "difference must be a number, got True"),
        ("difference = 2", 'difference = "2"', "difference must be a number, got '2'"),
        ('covariates = ["age", "sex"]', 'covariates = "age"', "covariates must be a list"),
        ('["age", "sex"]', '["age", 3]', r"covariates\[1\] must be text, got 3"),
        ('outcome = "score"', "outcome = 1", r"roles\.outcome must be text, got 1"),
        ('treatment = "treat"', 'treatment = "treat"\nreference = []', "text or a whole number or"),
        ('assignment = "randomised"', 'assignment = "randomised"\nas_covariate = 1', "true or fal"),
        ("[sampler]\nseed = 1", "[[sampler]]\nseed = 1", r"\[study\.sampler\] must be a table"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_what_was_got(old, new, message):
    with pytest.raises(SpecError, match=message):
        parse_spec(edited(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('better = "higher"', 'better = "more"', r"'more'\..* Known: higher, lower"),
        ('"randomised"', '"randomized"', "'randomized'. Did you mean 'randomised'"),
        ("[sampler]", '[learner]\nname = "hierarchic"\n[sampler]', "mean 'hierarchical'"),
        ('because = "stated', 'family = "gausian"\nbecause = "stated', "mean 'gaussian'"),
        ('because = "stated', 'surface = "forrest"\nbecause = "stated', "mean 'forest'"),
        ('because = "stated', 'noise = "by_arms"\nbecause = "stated', "mean 'by_arm'"),
        ("[sampler]", '[subgroups]\neffects = ["te", "pnde"]\n[sampler]', r"effects\[1\] 'pnde'"),
    ],
)
def test_a_word_outside_a_closed_list_is_refused_and_the_list_shown(old, new, message):
    with pytest.raises(SpecError, match=message):
        parse_spec(edited(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed = 1", "seed = -1", "sampler.seed"),
        ("seed = 1", "seed = 1\nchains = 1", "sampler.chains"),
        ("seed = 1", "seed = 1\nchains = 65", "sampler.chains"),
        ("seed = 1", "seed = 1\ndraws = 49", "sampler.draws"),
        ("seed = 1", "seed = 1\ntune = 49", "sampler.tune"),
        ("difference = 2", "difference = -0.1", "outcome.minimal_important_difference"),
        ("difference = 2", "difference = nan", "outcome.minimal_important_difference"),
        ("[sampler]", "[report]\nci_prob = 1.0\n[sampler]", "report.ci_prob"),
        ("[sampler]", "[report]\nci_prob = 95\n[sampler]", "report.ci_prob"),
        ("[sampler]", "[report]\nci_prob = 0\n[sampler]", "report.ci_prob"),
        ("[sampler]", "[subgroups]\nprobability = 0.5\n[sampler]", "subgroups.probability"),
        ("[sampler]", "[subgroups]\nprobability = 1.0\n[sampler]", "subgroups.probability"),
        ("[sampler]", "[subgroups]\nlargest_k = 1\n[sampler]", "subgroups.largest_k"),
        ("[sampler]", "[subgroups]\nlargest_k = 11\n[sampler]", "subgroups.largest_k"),
        ("[sampler]", "[subgroups]\nmargin = -0.1\n[sampler]", "subgroups.margin"),
        ('["age", "sex"]', '["age", "sex"]\narm_names = ["only one"]', "roles.arm_names"),
        ('["age", "sex"]', '["age", "sex"]\narm_names = ["new", "new"]', "roles.arm_names"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(old, new, message):
    with pytest.raises(SpecError, match=f"out of range: {re.escape(message)} "):
        parse_spec(edited(old, new))


@pytest.mark.parametrize(
    "fine",
    [
        "seed = 0",
        "seed = 1\nchains = 2\ndraws = 50\ntune = 50",
        "seed = 1\nchains = 64",
    ],
)
def test_the_ends_of_the_ranges_are_allowed(fine):
    parse_spec(edited("seed = 1", fine))


@pytest.mark.parametrize("number", ["inf", "1e400"])
def test_an_infinite_number_is_out_of_range(number):
    with pytest.raises(SpecError, match="minimal_important_difference"):
        parse_spec(edited("difference = 2", f"difference = {number}"))


@pytest.mark.parametrize("value", ["0.0", "-1.0", "nan"])
def test_a_prior_scale_must_be_positive(value):
    prior = f'[[prior]]\ncomponent = "outcome"\nterm = "arm"\nbecause = "x"\nscale = {value}\n'
    with pytest.raises(SpecError, match="prior scale must be positive"):
        parse_spec(MINIMAL + prior)


def test_a_prior_needs_at_least_one_tree():
    prior = '[[prior]]\ncomponent = "outcome"\nterm = "arm"\nbecause = "x"\ntrees = 0\n'
    with pytest.raises(SpecError, match="prior trees must be positive"):
        parse_spec(MINIMAL + prior)


# ---------------------------------------------------------------- contradictions between tables


def test_a_mediator_needs_its_role_and_its_table():
    assert parse_spec(MEDIATED).mediator.family == "gaussian"
    with pytest.raises(SpecError, match=r"roles\.mediator and the \[mediator\] table go together"):
        parse_spec(MEDIATED.replace("\n[mediator]\n", ""))
    with pytest.raises(SpecError, match=r"roles\.mediator and the \[mediator\] table go together"):
        parse_spec(MINIMAL + "\n[mediator]\n")


def test_indirect_effects_without_a_mediator_are_refused():
    subgroups = '\n[subgroups]\neffects = ["tnie"]\n'
    assert parse_spec(MEDIATED + subgroups).subgroups.effects == ("tnie",)
    with pytest.raises(SpecError, match=r"asks for 'tnie', which needs a mediator; use \['te'\]"):
        parse_spec(MINIMAL + subgroups)


def test_a_prior_of_a_model_the_study_does_not_have_is_refused():
    prior = '[[prior]]\ncomponent = "mediator"\nterm = "arm"\nbecause = "x"\nscale = 1.0\n'
    assert parse_spec(MEDIATED + prior).prior[0].component == "mediator"
    with pytest.raises(SpecError, match="mediator"):
        parse_spec(MINIMAL + prior)


# ---------------------------------------------------------------- the file and its identity


def test_the_hash_is_that_of_the_text_and_of_nothing_else():
    spec = parse_spec(MINIMAL)
    assert spec.hash() == parse_spec(MINIMAL, name="other", folder=Path("/elsewhere")).hash()
    assert len(spec.hash()) == 64
    assert spec.hash() != parse_spec(edited("seed = 1", "seed = 2")).hash()
    assert spec.hash() != parse_spec(MINIMAL + "# a remark\n").hash()


def test_a_file_that_does_not_exist_is_refused_with_its_path(tmp_path):
    with pytest.raises(SpecError, match=r"cannot read study file .*absent\.toml"):
        load_spec(tmp_path / "absent.toml")


def test_a_folder_is_no_study_file(tmp_path):
    with pytest.raises(SpecError, match="cannot read study file"):
        load_spec(tmp_path)


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00title")
    with pytest.raises(SpecError, match=r"cannot read study file .*binary\.toml"):
        load_spec(path)


def test_text_that_is_not_toml_is_refused_with_the_line(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text(edited("seed = 1", "seed = = 1"), encoding="utf-8")
    with pytest.raises(SpecError, match=r"broken: not valid TOML: .*line \d+"):
        load_spec(path)


# ---------------------------------------------------------------- the shared error


def test_an_unknown_name_gets_a_hint_only_if_something_is_near():
    assert "Did you mean 'forest'?" in str(unknown_name("surface", "forst", ["linear", "forest"]))
    far = str(unknown_name("surface", "zebra", ["linear", "forest"]))
    assert "Did you mean" not in far
    assert far.endswith("Known: forest, linear.")
    assert str(unknown_name("column", "x", [])).endswith("Known: (none).")


@pytest.mark.parametrize(
    ("outcome", "subgroups", "margin"),
    [("", "", None), ("0.4", "", 0.4), ("0.4", "0.1", 0.1), ("0.4", "0.0", 0.0), ("", "0.2", 0.2)],
)
def test_subgroups_differ_by_what_matters_unless_the_file_says_otherwise(
    outcome, subgroups, margin
):
    text = MINIMAL.replace("difference = 2", f"difference = {outcome or 0}")
    if subgroups:
        text += f"\n[subgroups]\nmargin = {subgroups}\n"
    assert parse_spec(text).subgroup_margin == margin
