"""A mixture in a run: declared, checked before sampling, saved, used again, reported."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from bayes_hte import cli
from bayes_hte.errors import (
    DataError,
    NotIdentifiedError,
    SamplingError,
    SavedResultError,
    SpecError,
)
from bayes_hte.mixtures import mixture_data, moment_posterior
from bayes_hte.mixtures.likelihood import fitting
from bayes_hte.reporting import document
from bayes_hte.reporting.sections.mixture import mixture
from bayes_hte.runs import effect_stage, mixture_stage
from bayes_hte.runs.answer import problem_of
from bayes_hte.runs.clock import Clock
from bayes_hte.runs.mixture_stage import declared_problem, fit_classes, saved_classes
from bayes_hte.runs.progress import Progress
from bayes_hte.runs.stage_runner import StageRunner
from bayes_hte.study.datasets import load_resistance, resistance_classes
from bayes_hte.study.spec_file import load_spec, parse_spec
from bayes_hte.study.study import Study
from tests.mixtures.fake_mixture import SIZE, fake_problem, fake_sample, mixture_frame

TOML = """
title = "Classes"
[about]
question = "Whom does it help?"
suitable_for = "tests"
not_suitable_for = "anything else"
[data]
source = "classes.csv"
[roles]
outcome = "y"
treatment = "t"
covariates = ["x"]
[outcome]
family = "bernoulli"
better = "higher"
minimal_important_difference = 0.1
because = "made up"
[propensity]
assignment = "observational"
as_covariate = false
surface = "forest"
[mixture]
classes = 2
x_proxies = ["x"]
z_proxies = ["z"]
edges = ["Z-T"]
because = "by design"
draws = 150
tune = 50
[sampler]
seed = 7
chains = 2
draws = 50
tune = 50
[subgroups]
honest = false
[checks]
refutations = "none"
"""


@pytest.fixture
def no_sampler(monkeypatch):
    """Take draws about the truth for draws of the posterior, and count how often."""
    calls = []

    def sample(problem, *, seed, size):
        calls.append(seed)
        return fake_sample(problem, seed=seed, size=size)

    monkeypatch.setattr(mixture_stage, "sample_mixture", sample)
    return calls


@pytest.fixture(scope="module")
def frame():
    return mixture_frame(600)


def study_of(spec, frame):
    roles = spec.roles
    return Study.from_frame(
        frame, outcome=roles.outcome, treatment=roles.treatment, covariates=roles.covariates
    )


def runner(spec, frame, folder, said=None):
    lines = [] if said is None else said
    study = study_of(spec, frame)
    work = StageRunner.of_run(study, spec, folder, Clock(), Progress(lines.append))
    return declared_problem(spec, frame, study), work


def test_a_second_fit_uses_the_saved_draws_and_says_the_same(no_sampler, frame, tmp_path):
    spec, said = parse_spec(TOML), []
    first, sampled = fit_classes(*runner(spec, frame, tmp_path))
    again, more = fit_classes(*runner(spec, frame, tmp_path, said))
    assert (sampled, more) == (["mixture"], [])
    assert len(no_sampler) == 1
    assert said == ["[ 0:00] fit 1 of 1: mixture, saved"]
    assert again.summary().equals(first.summary())
    assert again.agreement.table.equals(first.agreement.table)
    assert again.agreement.reasons == first.agreement.reasons
    assert [c.text for c in again.health] == [c.text for c in first.health]
    np.testing.assert_array_equal(again.membership(), first.membership())
    problem, work = runner(spec, frame, tmp_path)
    from_report = saved_classes(problem, spec, work.folder)
    assert from_report.summary().equals(first.summary())


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("seed = 7", "seed = 8", "sampler.seed: 7 -> 8"),
        ('edges = ["Z-T"]', 'edges = ["Z-T", "X-Y"]', "mixture.edges"),
        ("draws = 150", "draws = 160", "mixture.draws: 150 -> 160"),
    ],
)
def test_a_changed_setting_is_named_and_sampled_again(no_sampler, frame, tmp_path, old, new, named):
    before = parse_spec(TOML)
    fit_classes(*runner(before, frame, tmp_path))
    after, said = parse_spec(TOML.replace(old, new)), []
    problem, work = runner(after, frame, tmp_path, said)
    with pytest.raises(SavedResultError, match=r"changed since the saved run"):
        saved_classes(problem, after, tmp_path)
    assert fit_classes(problem, work)[1] == ["mixture"]
    assert named in " ".join(said)
    assert len(no_sampler) == 2


def test_a_reason_can_be_reworded_and_other_proxies_are_other_data(no_sampler, frame, tmp_path):
    fit_classes(*runner(parse_spec(TOML), frame, tmp_path))
    reworded = parse_spec(TOML.replace('"by design"', '"by the design of the trial"'))
    assert fit_classes(*runner(reworded, frame, tmp_path))[1] == []
    shuffled = frame.assign(z=frame["z"].to_numpy()[::-1])  # z is no covariate of the study
    assert fit_classes(*runner(parse_spec(TOML), shuffled, tmp_path))[1] == ["mixture"]


def test_a_damaged_or_absent_stage_is_not_reported(no_sampler, frame, tmp_path):
    spec = parse_spec(TOML)
    problem, _ = runner(spec, frame, tmp_path)
    with pytest.raises(SavedResultError, match="no saved stage"):
        saved_classes(problem, spec, tmp_path)
    fit_classes(*runner(spec, frame, tmp_path))
    next(p for p in tmp_path.rglob("c/0/*") if p.is_file()).write_bytes(b"damaged")
    with pytest.raises(SavedResultError, match="damaged"):
        saved_classes(problem, spec, tmp_path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda draws: draws.isel(chain=[0, 0]).assign_coords(chain=[0, 1]), "are identical"),
        (lambda draws: draws.where(draws["draw"] > 0), "not finite"),
        (lambda draws: draws.isel(draw=slice(20)), "stopped early"),
    ],
)
def test_draws_that_cannot_be_used_are_an_error(frame, monkeypatch, spoil, message):
    problem = fake_problem(frame)
    tree = fake_sample(problem, seed=1, size=SIZE)
    groups = {name: spoil(tree[name].to_dataset()) for name in ("posterior", "sample_stats")}
    monkeypatch.setattr(fitting.pm, "sample", lambda **_: xr.DataTree.from_dict(groups))
    with pytest.raises(SamplingError, match=message):
        fitting.sample_mixture(problem, seed=1, size=SIZE)


def test_a_study_without_a_mixture_has_no_stage(frame, tmp_path):
    head, rest = TOML.split("[mixture]")
    spec = parse_spec(head + rest[rest.index("[sampler]") :])
    problem, work = runner(spec, frame, tmp_path)
    assert problem is None
    assert fit_classes(problem, work) == (None, [])
    assert saved_classes(problem, spec, tmp_path) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("classes = 2", "classes = 1", r"mixture\.classes \(2 to 10\)"),
        ("classes = 2", "classes = 2\nlevel = 4", r"mixture\.level \(2 or 3\)"),
        ("classes = 2", "classes = 2\nlevel = 2", "rules out the Z-T edge"),
        ("draws = 150", "draws = 10", r"mixture\.draws"),
        ("tune = 50\n[sampler]", "tune = 5\n[sampler]", r"mixture\.tune"),
        ('x_proxies = ["x"]', "x_proxies = []", r"mixture\.x_proxies is empty"),
        ('x_proxies = ["x"]', 'x_proxies = ["z"]', "z plays two parts"),
        ('x_proxies = ["x"]', 'x_proxies = ["y"]', "y plays two parts"),
        ('edges = ["Z-T"]', 'edges = ["Z-U"]', "'Z-U'"),
        ('edges = ["Z-T"]\n', "", "lacks edges"),
        ('because = "by design"', 'because = " "', r"mixture\.because"),
        ('x_proxies = ["x"]', 'x_proxies = ["x"]\nclass_covariates = ["z"]', "z plays two parts"),
        ("classes = 2", "classes = 2\nclases = 2", "Did you mean 'classes'"),
    ],
)
def test_a_mixture_that_contradicts_itself_is_refused_at_the_door(old, new, message):
    assert TOML.count(old) == 1
    with pytest.raises(SpecError, match=message):
        parse_spec(TOML.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ('x_proxies = ["x"]', 'x_proxies = ["xx"]', DataError, "unknown column 'xx'"),
        ("classes = 2", "classes = 3", NotIdentifiedError, "3 levels"),
        ('edges = ["Z-T"]', 'edges = ["X-T"]', NotIdentifiedError, "breaks A2"),
        ('x_proxies = ["x"]', 'x_proxies = ["one"]', DataError, "constant"),
    ],
)
def test_what_the_data_or_the_graph_do_not_allow_is_refused_before_sampling(
    frame, old, new, error, message
):
    spec = parse_spec(TOML.replace(old, new))
    with pytest.raises(error, match=message):
        declared_problem(spec, frame.assign(one=1), study_of(spec, frame))


def test_a_run_reports_the_classes_and_the_report_can_be_made_again(
    no_sampler, tmp_path, capsys, monkeypatch
):
    # The rest of a run has tests of its own.
    monkeypatch.setattr(document, "SECTIONS", (mixture,))
    monkeypatch.setattr(effect_stage, "run_checks", lambda *_, **__: ())
    mixture_frame(2000).iloc[::10].to_csv(tmp_path / "classes.csv", index=False)
    path = tmp_path / "classes.toml"
    path.write_text(TOML, encoding="utf-8")
    cli.main(["run", str(path), "-o", str(tmp_path / "out")])
    shown = capsys.readouterr().out
    assert "fit 3 of 3: mixture\n" in shown
    assert "classes, level 3: mixture of treatment effects" in shown
    assert "probability of class 1" in shown
    saved = json.loads((tmp_path / "out" / "run.json").read_text())
    assert saved["provenance"]["sampled"] == ["propensity", "outcome", "mixture"]
    assert [c["name"] for c in saved["checks"]][-1] == "mixture: likelihood and moments"
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert '<section id="mixture"' in page
    cli.main(["report", str(tmp_path / "out")])
    assert len(no_sampler) == 1
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8") == page


@pytest.mark.parametrize(
    ("healthy", "mixed_well", "status"),
    [(True, True, cli.DONE), (True, False, cli.UNHEALTHY), (False, True, cli.UNHEALTHY)],
)
def test_a_mixture_that_failed_its_checks_changes_the_exit_status(
    healthy, mixed_well, status, capsys
):
    results = SimpleNamespace(healthy=healthy, mixture=SimpleNamespace(healthy=mixed_well))
    assert cli._status(SimpleNamespace(problem=problem_of(results))) == status
    assert ("the mixture failed" in capsys.readouterr().err) == (healthy and not mixed_well)


def test_check_says_the_level_and_samples_nothing(no_sampler, frame, tmp_path, capsys):
    frame.to_csv(tmp_path / "classes.csv", index=False)
    path = tmp_path / "classes.toml"
    path.write_text(TOML, encoding="utf-8")
    assert cli.main(["check", str(path)]) == cli.DONE
    assert "reaches level 3: mixture of treatment effects" in capsys.readouterr().out
    path.write_text(TOML.replace('edges = ["Z-T"]', 'edges = ["X-T"]'), encoding="utf-8")
    assert cli.main(["check", str(path)]) == cli.REFUSED
    assert "breaks A2" in capsys.readouterr().err
    assert not no_sampler


def test_the_resistance_study_is_as_described():
    frame, truth = load_resistance(), resistance_classes()
    assert frame.shape == (2000, 6)
    assert frame.equals(load_resistance())
    assert not frame.isna().to_numpy().any()
    assert truth["effect"].round(12).tolist() == [-0.15, 0.45]
    assert float(truth["effect"] @ truth["probability"]) == pytest.approx(0.09)
    # The strain confounds: the new drug looks harmful although it helps on average.
    recovery = frame.groupby("drug")["recovered"].mean()
    assert recovery[1] < recovery[0]


def test_the_resistance_study_builds_and_its_moments_cover_the_truth():
    spec = load_spec(cli.shipped_studies()["resistance"])
    frame = load_resistance()
    problem = declared_problem(spec, frame, study_of(replace(spec), frame))
    assert (problem.graph.level, problem.level) == (3, 3)
    data = mixture_data(problem.study, z=spec.mixture.z_proxies, x=spec.mixture.x_proxies)
    found = moment_posterior(data, problem.graph, rng=np.random.default_rng(0), draws=500)
    assert found.diagnostics.grade == "usable"
    table, truth = found.summary(), resistance_classes()
    for u in (0, 1):
        for quantity, column in (("effects", "effect"), ("probabilities", "probability")):
            row = table.loc[(quantity, u)]
            assert row["ci_lower"] < truth.loc[u, column] < row["ci_upper"]
