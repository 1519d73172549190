"""Every check has the same two names, and its results start with the first."""

from __future__ import annotations

import importlib
import pkgutil
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hte import checks
from bayes_hte.checks import CheckResult, Subject, not_judged, refutations, sampling_health
from bayes_hte.errors import SamplingError
from bayes_hte.trust.checking import ASSUMED, CHECKS, run_checks, unseen_units

PAGE = Path(__file__).parents[2] / "notebooks" / "reference" / "checks.rst"
SHARED = {
    "altered_studies",
    "base",
    "null_studies",
    "refitting",
    "refutation_judges",
    "subject",
}


def modules() -> dict[str, object]:
    names = (info.name for info in pkgutil.iter_modules(checks.__path__))
    return {n: importlib.import_module(f"bayes_hte.checks.{n}") for n in names if n not in SHARED}


def test_every_module_is_a_check_that_is_run_or_is_shared_by_checks():
    run_by_the_verdict = {one.__name__.rpartition(".")[2] for one in (*CHECKS, *ASSUMED)}
    assert set(modules()) == run_by_the_verdict


@pytest.mark.parametrize("name", modules())
def test_a_check_has_a_name_and_a_function_of_the_subject(name):
    module = modules()[name]
    assert isinstance(module.NAME, str)
    assert module.NAME
    assert module.check.__code__.co_varnames[: module.check.__code__.co_argcount] == ("subject",)


def test_no_name_begins_another():
    names = [one.NAME for one in (*CHECKS, *ASSUMED)]
    assert not [(a, b) for a, b in permutations(names, 2) if a.startswith(b)]


def test_the_page_names_every_check():
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in modules() if f"checks.{name}" not in page] == []


@pytest.fixture(scope="module")
def results(mediated_fit):
    subject = Subject(
        mediated_fit,
        mediated_fit.effects(),
        unseen=unseen_units(mediated_fit),
        assignment="observational",
        refutations={"repeats": 5},
    )
    return {one: run_checks(subject, [one]) for one in (*CHECKS, *ASSUMED)}


def test_the_results_of_a_check_start_with_its_name(results):
    for one, found in results.items():
        assert all(result.name.startswith(one.NAME) for result in found), one.NAME


def test_results_come_in_the_order_that_saved_runs_have(results):
    assert [result.name for found in results.values() for result in found] == [
        "sampling health: average effects",
        "sampling health: individual effects",
        "sampling health: divergences",
        "overlap of the arms",
        "repeated rows",
        "posterior predictive by arm",
        "leave-one-out prediction",
        "calibration of left-out predictions by arm",
        "heterogeneity in left-out outcomes",
        "effects along covariates in left-out outcomes",
        "ranking over chains",
        "priors and posteriors of the effects",
        "sensitivity to priors",
        *refutations.NAMES,
        "own variation of the mediator",
        "linearity in the mediator",
        "assignment of the treatment",
        "sensitivity to unmeasured confounding: E-value",
        "sensitivity to unmeasured confounding: tipping point",
        "sensitivity to confounding of mediator and outcome",
    ]


def test_a_check_that_could_not_run_has_failed_with_the_reason(plain_fit):
    class Broken:
        NAME = "broken"

        def check(self, subject):
            raise SamplingError("no draw is finite.")

    (result,) = run_checks(Subject(plain_fit, plain_fit.effects()), [Broken()])
    assert (result.name, result.passed) == ("broken", False)
    assert result.text == "Could not be judged: no draw is finite."
    assert result.table.empty


def test_the_numbers_found_before_a_check_stopped_are_kept():
    table = pd.DataFrame({"value": [1.0]})
    assert not_judged("name", "why.", table).table is table


@pytest.mark.parametrize("passed", [np.bool_(False), 0])
def test_a_failure_said_by_numpy_is_a_failure(passed):
    result = CheckResult("name", passed, pd.DataFrame(), "text")
    assert result.passed is False
    assert result.state == "FAIL"


def test_a_random_step_depends_on_the_seed_of_the_fit_and_its_name(plain_fit):
    subject = Subject(plain_fit, xr.Dataset())
    first = subject.rng("mine").random()
    assert subject.rng("mine").random() == first
    assert subject.rng("yours").random() != first


def test_units_may_be_called_like_dimensions(plain_fit):
    effects = plain_fit.effects()
    labels = ["chain", "draw", "unit", *map(str, range(effects.sizes["unit"] - 3))]
    expected = sampling_health.individual_effects(effects)
    found = sampling_health.individual_effects(effects.assign_coords(unit=labels))
    pd.testing.assert_frame_equal(found.table, expected.table)
