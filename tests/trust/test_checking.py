"""What a verdict is asked is looked at before anything is computed, in words of the package."""

from __future__ import annotations

import pandas as pd
import pytest
import xarray as xr

import bayes_hte as hte
from bayes_hte.checks import CheckResult, Subject, heterogeneity
from bayes_hte.errors import DataError, SpecError
from bayes_hte.fitting.from_priors import fit_prior
from bayes_hte.trust.rule import judge
from bayes_hte.trust.unseen import held_out_units


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"better": "up"}, "unknown direction for better 'up'"),
        ({"assignment": "randomized"}, "Did you mean 'randomised'"),
        ({"repeat": 5}, "unknown option 'repeat'. Did you mean 'repeats'"),
        ({"repeats": 0}, "repeats must be a whole number, at least 5, got 0; fewer cannot"),
        ({"repeats": 5.0}, "repeats must be a whole number, at least 5, got 5.0"),
        ({"repeats": "many"}, "repeats must be a whole number, at least 5, got 'many'"),
        ({"n_jobs": 0}, "n_jobs must be a whole number other than 0, got 0; 1 runs in this"),
        ({"n_jobs": "all"}, "n_jobs must be a whole number other than 0, got 'all'"),
        ({"seed": -1}, "seed must be a whole number, 0 or more, got -1"),
        ({"seed": 1.0}, "seed must be a whole number, 0 or more, got 1.0"),
        ({"rope": "none"}, "rope must be a half-width, 0 or more, got 'none'"),
        ({"subset_share": "half"}, "subset_share must be between 0 and 1, got 'half'"),
        ({"estimator": "ful"}, "Did you mean 'full'"),
        ({"negative_control": 3}, "must be the name of a covariate or a Series.*got int"),
        ({"checks": 5}, "checks must be a sequence of CheckResult, got int"),
        ({"checks": [True]}, r"checks must be a sequence of CheckResult.*found\.checks"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_computed(plain_fit, options, message):
    with pytest.raises(SpecError, match=message):
        hte.verdict(plain_fit, **options)


def test_a_study_is_no_fit(plain_study):
    with pytest.raises(SpecError, match=r"must come from hte\.fit or hte\.load_fit, got Study"):
        hte.verdict(plain_study)


def test_a_fit_of_the_prior_has_nothing_to_be_judged(plain_fit):
    prior = fit_prior(plain_fit.study, plain_fit.candidates()["forest"].plan, seed=1, draws=2)
    with pytest.raises(SpecError, match="draws of its priors alone"):
        hte.verdict(prior)


def test_held_out_rows_that_are_no_frame_are_refused(plain_fit):
    with pytest.raises(DataError, match="must be a pandas DataFrame, got list"):
        hte.verdict(plain_fit, held_out=[1, 2])


INDEXES = {
    "several levels": lambda n: pd.MultiIndex.from_arrays([[7] * n, range(n)], names=["a", "b"]),
    "nullable": lambda n: pd.Index(range(1000, 1000 + n), dtype="Int64"),
    "named like a covariate": lambda n: pd.RangeIndex(1000, 1000 + n, name="x1"),
    "called like dimensions": lambda n: pd.Index(
        ["chain", "draw", "unit", "arm", *map(str, range(n - 4))]
    ),
}


@pytest.mark.parametrize("kind", INDEXES)
def test_held_out_rows_may_have_any_index(plain_fit, kind):
    rows = plain_fit.study.frame.iloc[:40]
    tables = []
    for index in (INDEXES[kind](40), pd.RangeIndex(1000, 1040)):
        away = plain_fit.study.alike(rows.set_axis(index))
        subject = Subject(plain_fit, xr.Dataset(), unseen=(held_out_units(plain_fit, away),))
        (result,) = heterogeneity.check(subject)
        tables.append(result.table)
    pd.testing.assert_frame_equal(*tables)


def test_checks_of_one_name_are_distinguished():
    table = pd.DataFrame({"value": [1.0, 2.0]})
    twice = [CheckResult("overlap of the arms", False, table, text) for text in ("One.", "Two.")]
    assert judge(twice).summary()["decides"].tolist() == [True, True]
