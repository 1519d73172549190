"""Agreement with the published linear mediation analysis of JOBS II, and the shipped study."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.formula.api as smf

import bayes_hte as hte
from bayes_hte.cli import shipped_studies
from bayes_hte.effects.summaries import monte_carlo_error
from bayes_hte.fitting.plan import Plan, check_plan
from bayes_hte.fitting.stages import build_stage, stages
from bayes_hte.study.declared import study_from_spec
from bayes_hte.study.spec import PriorSpec
from bayes_hte.study.spec_file import load_spec
from bayes_hte.surfaces.forest.step import ForestStep

ADJUSTED_FOR = ["econ_hard", "sex", "age"]
# The mediation literature's linear models with these covariates.
PUBLISHED = {"tnie": -0.0157, "pnde": -0.0403, "te": -0.0560}


@pytest.fixture(scope="module")
def jobs2():
    return hte.load_jobs2()


def test_the_data_are_the_published_ones(jobs2):
    assert len(jobs2) == 899
    assert (jobs2["treat"] == 1).sum() == 600
    assert int(jobs2.isna().sum().sum()) == 0


def test_linear_models_reproduce_the_published_values(jobs2):
    terms = " + ".join(ADJUSTED_FOR)
    mediator = smf.ols(f"job_seek ~ treat + {terms}", jobs2).fit().params
    outcome = smf.ols(f"depress2 ~ treat + job_seek + {terms}", jobs2).fit().params
    indirect = mediator["treat"] * outcome["job_seek"]
    assert indirect == pytest.approx(PUBLISHED["tnie"], abs=5e-5)
    assert outcome["treat"] == pytest.approx(PUBLISHED["pnde"], abs=5e-5)
    assert indirect + outcome["treat"] == pytest.approx(PUBLISHED["te"], abs=5e-5)


@pytest.mark.slow
def test_homogeneous_linear_posterior_agrees_with_the_published_values(jobs2):
    study = hte.Study.from_frame(
        jobs2,
        outcome="depress2",
        treatment="treat",
        mediator="job_seek",
        covariates=ADJUSTED_FOR,
    )
    declared = [("mediator", t) for t in ("shared", "arm_mean")]
    declared += [("outcome", t) for t in ("shared", "arm_mean", "mediator")]
    wide = [PriorSpec(c, t, "as flat as the classical analysis", scale=10.0) for c, t in declared]
    fit = hte.fit(
        study,
        learner="homogeneous",
        surface="linear",
        priors=wide,
        propensity_covariate=False,
        seed=11,
        draws=1000,
        tune=500,
        progress=False,
    )
    averages = hte.average(hte.decompose(fit.potential_outcomes()))
    for name, published in PUBLISHED.items():
        # Three Monte Carlo errors, and 0.0005 for priors that are wide but not flat.
        tolerance = 3 * monte_carlo_error(averages[name]) + 0.0005
        assert float(averages[name].mean()) == pytest.approx(published, abs=tolerance), name


def same_for_everybody(mediator, study, *, first=False) -> np.ndarray:
    return np.full(study.n_units, study.mediators()[:, 0 if first is False else 1].mean())


@pytest.mark.parametrize("name", sorted(shipped_studies()))
def test_every_shipped_study_builds(name):
    spec = load_spec(shipped_studies()[name])
    study = study_from_spec(spec, hte.load_frame(spec.data.source, spec.folder))
    plan = Plan.from_spec(spec)
    check_plan(study, plan)
    # An estimated propensity as a covariate needs draws, which is not what is tested here.
    plan = replace(plan, propensity_covariate=False)
    # Nor is an expected mediator.
    no_draws = dict.fromkeys(("mediator", "mediator_2"))
    built = {
        stage: build_stage(stage, study, plan, no_draws, expect=same_for_everybody)
        for stage in stages(study, plan)
    }
    assert all(component.model.observed_RVs for component in built.values())
    outcome = built["outcome"]
    forests = [step for step in outcome.steps() if isinstance(step, ForestStep)]
    assert [name for step in forests for name in step.names] == list(outcome.forests)
