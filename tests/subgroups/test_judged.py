"""The M-learner of a fit: one call, judged by halves that are fitted again."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import bayes_hte as hte
from bayes_hte.errors import DataError, NotJudgedError, SpecError, UnsupportedError
from bayes_hte.study.study import Study
from bayes_hte.subgroups import JudgedSubgroups, Subgroups, honest_m_learner

ROLES = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}


def study_of(n: int = 200) -> Study:
    return Study.from_frame(hte.simulate_mediation(np.random.default_rng(1), n=n).frame, **ROLES)


class KnownFit:
    """A fit whose effect is 2 where x1 is above 0, and 0 elsewhere, with noise of its own."""

    fits_means = True

    def __init__(self, study: Study, *, size: float = 2.0, refits: list | None = None) -> None:
        self.study, self.size = study, size
        self.refits = [] if refits is None else refits

    def effects(self) -> xr.Dataset:
        rng = np.random.default_rng(self.study.n_units)
        true = self.size * (self.study.frame["x1"].to_numpy() > 0)
        draws = true + rng.normal(0, 0.1, (2, 50, self.study.n_units))
        coords = {"unit": self.study.units.to_numpy()}
        te = xr.DataArray(draws, coords, ("chain", "draw", "unit"), name="te")
        return xr.Dataset({"te": te, "tnie": te / 2})

    def refit(self, study: Study, **options) -> KnownFit:
        self.refits.append(options)
        return KnownFit(study, size=self.size, refits=self.refits)


def test_a_difference_that_both_halves_show_is_declared_and_sized():
    fit = KnownFit(study_of())
    found = hte.m_learner(fit, effect="tnie", seed=1, largest_k=2, draws=7)
    assert isinstance(found, JudgedSubgroups)
    assert (found.declared, found.probability) == (True, 1.0)
    assert found.reason == found.honest.reason
    assert "in-sample" not in found.reason
    assert found.profile.covariates == ("x1",)
    assert found.effects.mean(("chain", "draw")).to_numpy() == pytest.approx([0, 1], abs=0.05)
    assert float(found.honest.unshrunk.mean()) == pytest.approx(1, abs=0.05)
    assert set(found.labels.to_numpy()) == {0, 1}
    np.testing.assert_allclose(found.membership.sum("subgroup"), 1)
    # Two halves, and two with means of their own, of the size that was asked for.
    assert [options.get("means_by") for options in fit.refits] == [None] * 2 + ["(subgroup)"] * 2
    assert all(options["draws"] == 7 for options in fit.refits)
    assert "average, unshrunk" in found.decision().index


def test_the_decision_is_that_of_the_honest_rule_and_the_groups_those_of_the_draws():
    fit = KnownFit(study_of(), size=0.02)
    found = hte.m_learner(fit, seed=3)
    assert not found.declared
    honest = honest_m_learner(
        fit.study, fit_half=lambda half, seed: fit.refit(half, seed=seed).effects()["te"], seed=3
    )
    assert found.probability == honest.probability
    explored = hte.m_learner(fit.effects()["te"], fit.study, seed=3)
    np.testing.assert_array_equal(found.labels, explored.labels)
    assert found.probability_in_sample == explored.probability_in_sample


def test_draws_alone_have_no_decision_but_the_one_that_says_in_sample():
    fit = KnownFit(study_of())
    groups = hte.m_learner(fit.effects()["te"], fit.study, seed=1, largest_k=2)
    assert type(groups) is Subgroups
    assert groups.declared_in_sample
    assert "declared in-sample" in groups.reason
    for name in ("declared", "probability"):
        with pytest.raises(NotJudgedError, match=rf"m_learner\(fit, .*\)\.{name}, .*{name}_in_sam"):
            getattr(groups, name)
        assert not hasattr(groups, name)
    named = hte.m_learner(effect=fit.effects()["te"], study=fit.study, seed=1, largest_k=2)
    np.testing.assert_array_equal(named.labels, groups.labels)


class WithoutRefit:
    """Effects of a model of a user, which nobody but the user can fit again."""

    def __init__(self, study: Study) -> None:
        self.study = study

    def effects(self) -> xr.Dataset:
        return KnownFit(self.study).effects()


@pytest.mark.parametrize(
    ("ask", "error", "words"),
    [
        (lambda f: hte.m_learner(WithoutRefit(f.study), seed=1), DataError, "honest_m_learner"),
        (lambda f: hte.m_learner(f, f.study, seed=1), SpecError, "leave out the second"),
        (lambda f: hte.m_learner(f, effect="tnei", seed=1), SpecError, "Did you mean 'tnie'"),
        (lambda f: hte.m_learner(f, seed=1, drws=3), SpecError, "Did you mean 'draws'"),
        (lambda f: hte.m_learner(f, seed=1, probability=0.3), SpecError, "probability"),
        (lambda f: hte.m_learner(f, seed=1, leaf_share=0.9), SpecError, "leaf_share"),
        (lambda f: hte.m_learner(f, seed=-1), SpecError, "seed"),
        (lambda f: hte.m_learner(seed=1), DataError, "takes a fit, or draws"),
        (
            lambda f: hte.m_learner(f.effects()["te"], f.study, effect="te", seed=1),
            SpecError,
            "names an effect of a fit",
        ),
        (
            lambda f: hte.m_learner(f.effects()["te"], f.study, seed=1, draws=3),
            SpecError,
            "unknown option of draws 'draws'",
        ),
    ],
)
def test_calls_that_cannot_be_meant_are_refused_before_any_fit(ask, error, words):
    fit = KnownFit(study_of(60))
    with pytest.raises(error, match=words):
        ask(fit)
    assert fit.refits == []


def test_a_real_fit_is_made_again_with_its_own_size(tmp_path):
    study = study_of(80)
    size = {"draws": 20, "tune": 17, "chains": 2, "cores": 1, "progress": False}
    fit = hte.fit(study, seed=1, surface="linear", **size)
    hte.save_fit(fit, tmp_path)
    for made in (fit, hte.load_fit(tmp_path, study)):
        assert made._sampled() == {"chains": 2, "draws": 20, "tune": 17}
    found = hte.m_learner(fit, seed=2, largest_k=2, cores=1, progress=False)
    half = found.honest.folds[0].effects
    assert (half.sizes["chain"], half.sizes["draw"]) == (2, 20)
    prior = hte.fit_prior(study, fit.plan, seed=1, draws=20)
    with pytest.raises(UnsupportedError, match="draws of the priors"):
        hte.m_learner(prior, seed=1)
