from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hte.checks import assignment, heterogeneity
from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.loo_pit import calibration_check
from bayes_hte.companions.classical import classical
from bayes_hte.effects.averages import average
from bayes_hte.effects.contrasts import cate, decompose, own_mediator
from bayes_hte.names import ARM, CHAIN, DRAW, MEDIATOR_ARM, SAMPLE, UNIT
from bayes_hte.reporting import all_tables, report
from bayes_hte.reporting.results import Results
from bayes_hte.sensitivity import MediationRho, sensitivity
from bayes_hte.study.spec_file import parse_spec
from bayes_hte.study.study import Study
from bayes_hte.subgroups import m_learner
from bayes_hte.trust.rule import judge
from bayes_hte.trust.unseen import Unseen, evaluate
from tests.fakes import fake_study
from tests.reporting.html_page import Page

N_UNITS, CHAINS, DRAWS = 60, 2, 50

SPEC = """
title = "Does <b>it</b> help & whom?"

[about]
question = "Is the answer < 1 & who cares?"
suitable_for = "tests"
not_suitable_for = "patients <script>alert(1)</script>"
references = ["Somebody (1999). A study. doi:10.1000/xyz123"]

[data]
source = "fake"

[roles]
outcome = "y"
treatment = "treat"
reference = 0
arm_names = ["usual <care>", "new $care$"]
{mediator_role}
{words}
covariates = ["x1", "x3"]

[outcome]
family = "{family}"
surface = "{surface}"
unit = "points & more"
better = "{better}"
minimal_important_difference = {important}
because = "a panel said so"

{mediator}

[propensity]
assignment = "{assignment}"

[learner]
name = "{learner}"

[sampler]
seed = 7
chains = 2
draws = 60
tune = 50

[subgroups]
effects = {effects}
largest_k = 3

[report]
ci_prob = {ci_prob}
ci_kind = "{ci_kind}"
"""

MEDIATOR = """
[mediator]
surface = "forest"
controlled_at = [0.0, 1.5]
"""


def make_spec(mediator: bool, **changes):
    fields = {
        "mediator_role": 'mediator = "m"' if mediator else "",
        "mediator": MEDIATOR if mediator else "",
        "effects": '["tnie", "te"]' if mediator else '["te"]',
        "words": "",
        "surface": "forest",
        "family": "gaussian",
        "better": "higher",
        "important": 0.3,
        "assignment": "randomised",
        "learner": "hierarchical",
        "ci_prob": 0.9,
        "ci_kind": "eti",
    }
    return parse_spec(SPEC.format(**(fields | changes)), name="fake")


def make_potential_outcomes(rng, effect: np.ndarray, units, mediator: bool) -> xr.DataArray:
    """Means whose effect passes wholly through the mediator where there is one."""
    shared = rng.normal(scale=0.05, size=(CHAINS, DRAWS, 1))
    own = rng.normal(scale=0.1, size=(CHAINS, DRAWS, effect.size, 2))
    base = np.zeros((CHAINS, DRAWS, effect.size))
    treated = base + effect + shared + own[..., 0]
    coords = {CHAIN: range(CHAINS), DRAW: range(DRAWS), UNIT: units, ARM: [0, 1]}
    if not mediator:
        dims = (*SAMPLE, UNIT, ARM)
        return xr.DataArray(np.stack([base, treated], axis=-1), dims=dims, coords=coords)
    direct = 0.02 + 0.1 * own[..., 1]
    values = np.stack(
        [np.stack([base, treated], axis=-1), np.stack([base + direct, treated + direct], axis=-1)],
        axis=-2,
    )
    dims = (*SAMPLE, UNIT, ARM, MEDIATOR_ARM)
    return xr.DataArray(values, dims=dims, coords={**coords, MEDIATOR_ARM: [0, 1]})


def make_legs(rng) -> xr.Dataset:
    """Legs with a known size: 0.8 on the mediator, 1 per 2 units of the mediator."""
    noise = 0.01 * rng.normal(size=(CHAINS, DRAWS, 2))
    mediator = xr.DataArray(noise + np.array([0.2, 1.0]), dims=(*SAMPLE, ARM))
    curve = np.stack([noise, noise + 1], axis=2)
    outcome = xr.DataArray(curve, dims=(*SAMPLE, "mediator_value", ARM))
    outcome = outcome.assign_coords(mediator_value=[1.0, 3.0])
    return xr.Dataset({"mediator": mediator, "outcome": outcome})


def as_risks(study: Study, mu: xr.DataArray) -> tuple[Study, xr.DataArray]:
    """The same trial with an event in place of the outcome: risks of .2 to .8 that depend on x1."""
    lifted = mu + study.frame[study.roles.covariates[0]].to_numpy()[:, None]
    risks = 0.2 + 0.6 / (1 + np.exp(-lifted))
    frame = study.frame.assign(**{study.roles.outcome: (study.outcome() > 0.2).astype(int)})
    return replace(study, frame=frame), risks


def make_checks(healthy: bool, study, unseen, *, randomised: bool) -> tuple[CheckResult, ...]:
    rng = np.random.default_rng(3)
    rhat = 1.01 if healthy else 1.4
    table = pd.DataFrame({"r_hat": [rhat], "ess": [400]}, index=pd.Index(["te"], name="quantity"))
    overlap = pd.DataFrame({"arm": ["a"], "low": [0.4]})
    pit = calibration_check(
        rng.uniform(size=study.n_units), arm=study.arm_index(), arm_names=("usual <care>", "new")
    )
    return (
        CheckResult("sampling health: outcome", healthy, table, f"R-hat is {rhat} & that is <it>."),
        CheckResult("overlap of the arms", True, overlap, "Arms overlap."),
        pit,
        *heterogeneity.check(
            SimpleNamespace(fit=SimpleNamespace(seed=1), better="higher", unseen=(unseen,))
        ),
        CheckResult("ranking over chains", True, pd.DataFrame(), "Chains agree."),
        CheckResult("prior sensitivity", None, pd.DataFrame(), "Little moves."),
        CheckResult(assignment.NAME, True if randomised else None, pd.DataFrame(), "As declared."),
    )


def make_unseen(study, mu, effect) -> Unseen:
    units = {UNIT: mu[UNIT]}
    return Unseen(
        study=study,
        effect=effect,
        expected=own_mediator(mu).mean(SAMPLE),
        propensity=xr.DataArray(np.full(study.n_units, 0.5), units, dims=UNIT),
        how="left out one by one",
    )


def make_rho(rng, effects) -> MediationRho:
    rho = xr.DataArray(np.array([-0.5, 0.0, 0.5]), dims="rho", name="rho")
    rho = rho.assign_coords(rho=rho)
    means = average(effects)
    zero = xr.zeros_like(means["te"]) - 0.4 + 0.05 * rng.normal(size=means["te"].shape)
    shift = 0.5 * rho
    return MediationRho(
        tnie=means["tnie"] + shift, pnde=means["pnde"] - shift, te=means["te"], rho_zero=zero
    )


def make_beside(effect) -> dict[str, xr.Dataset]:
    """A learner that ranks the other way round, and one that sees no differences."""
    reversed_mean = -effect.mean(SAMPLE)
    same = xr.zeros_like(reversed_mean)
    return {
        name: xr.Dataset({"SATE": effect.mean(UNIT) + 1, "mean": mean, "sd": effect.std(SAMPLE)})
        for name, mean in {"t": reversed_mean, "homogeneous": same}.items()
    }


def make_parts(spec, study, mu, effects, propensity, healthy: bool) -> dict:
    """What is computed after the effects: comparisons, checks, sensitivity, verdict."""
    rng = np.random.default_rng(21)
    better, mediated = spec.outcome.better, "tnie" in effects
    unseen = make_unseen(study, mu, effects["te"])
    randomised = spec.propensity.assignment == "randomised"
    checks = make_checks(healthy, study, unseen, randomised=randomised)
    return {
        "checks": checks,
        "trust": judge(checks),
        "classical": classical(study, propensity, rng=rng),
        "targeting": evaluate(unseen, better=better, seed=1),
        "beside": {} if mediated else make_beside(effects["te"]),
        "sensitivity": sensitivity(
            study,
            arm_means=own_mediator(mu).mean(UNIT),
            family=spec.outcome.family,
            better=better,
            important=spec.outcome.minimal_important_difference,
            randomised=randomised,
            rho=make_rho(rng, effects) if mediated else None,
        ),
    }


def renamed(study: Study, names: dict[str, str], index: pd.Index | None) -> Study:
    """The same study with other names of its columns and other labels of its units."""
    frame = study.frame.rename(columns=names)
    frame = frame if index is None else frame.set_axis(index)
    roles = study.roles
    given = {
        role: names.get(getattr(roles, role), getattr(roles, role))
        for role in ("outcome", "treatment", "mediator")
    }
    covariates = [names.get(name, name) for name in roles.covariates]
    return Study.from_frame(frame, **given, covariates=covariates)


def make_results(
    *,
    mediator: bool = True,
    healthy: bool = True,
    flat: bool = False,
    names: dict[str, str] | None = None,
    index: pd.Index | None = None,
    **changes,
):
    rng = np.random.default_rng(20)
    study, effect = fake_study(rng, n_units=N_UNITS, mediator=mediator)
    # One numeric and one categorical covariate show everything; each more costs a figure.
    roles = replace(study.roles, covariates=("x1", "x3"))
    study = replace(study, roles=roles)
    if names or index is not None:
        study = renamed(study, names or {}, index)
    mu = make_potential_outcomes(rng, effect * (not flat), study.units, mediator)
    if changes.get("family") == "bernoulli":
        study, mu = as_risks(study, mu)
    own = own_mediator(mu)
    effects = decompose(mu) if mediator else xr.Dataset({"te": cate(mu).rename("te")})
    populations = {
        name: average(effects["te"], population=name, treated=study.arm_index(), rng=rng)
        for name in ("SATE", "PATE", "ATT", "ATC")
    }
    spec = make_spec(mediator, **changes)
    controlled = xr.DataArray(
        rng.normal(scale=0.1, size=(CHAINS, DRAWS, 2)),
        dims=(*SAMPLE, "mediator_value"),
        coords={"mediator_value": [0.0, 1.5]},
    )
    propensity = xr.DataArray(
        rng.uniform(0.3, 0.7, size=(CHAINS, DRAWS, N_UNITS)),
        dims=(*SAMPLE, UNIT),
        coords={CHAIN: range(CHAINS), DRAW: range(DRAWS), UNIT: study.units},
    )
    return Results(
        spec=spec,
        study=study,
        effects=effects,
        averages=average(effects),
        populations=xr.Dataset(populations),
        controlled=controlled if mediator else None,
        propensity=propensity,
        subgroups={
            name: m_learner(effects[name], study, seed=1, largest_k=3)
            for name in spec.subgroups.effects
        },
        reference_outcome=xr.DataArray(
            study.frame[study.roles.covariates[0]].to_numpy(), {UNIT: study.units}, dims=UNIT
        ),
        provenance={"command": "run <fake>", "versions": {"pymc": "6.4", "numpy": "2.5"}},
        arm_means=own.mean(UNIT),
        reference_draws=own.isel({ARM: 0}, drop=True),
        legs=make_legs(np.random.default_rng(4)) if mediator else None,
        **make_parts(spec, study, mu, effects, propensity, healthy),
    )


@pytest.fixture(scope="session")
def build():
    """The function that makes fake results; cheap variants replace fields of its answer."""
    return make_results


@pytest.fixture(scope="session")
def results():
    return make_results()


@pytest.fixture(scope="session")
def tables(results):
    return all_tables(results)


@pytest.fixture(scope="session")
def respec(results):
    """The same results under a specification with other entries."""
    return lambda **changes: replace(results, spec=make_spec(True, **changes), subgroups={})


@pytest.fixture(scope="session")
def with_checks(results):
    """Results with other checks, and the verdict that follows from them."""
    return lambda *checks: replace(results, checks=checks, trust=judge(checks))


@pytest.fixture(scope="session")
def written(results, tmp_path_factory):
    """The report of a mediated trial: its path and its page."""
    path = report(results, to=tmp_path_factory.mktemp("report") / "report.html")
    return path, Page(path.read_text("utf-8"))


@pytest.fixture(scope="session")
def observational():
    """An observational study of person-years without mediator, with learners beside its own."""
    words = 'units = "person-years"\nunit = "person-year"'
    options = {"assignment": "observational", "better": "lower", "words": words}
    return make_results(mediator=False, healthy=False, **options)


@pytest.fixture(scope="session")
def trial_of_risks():
    """A trial with a two-valued outcome whose event is bad, and that carries individuals."""
    return make_results(mediator=False, family="bernoulli", better="lower", important=0.05)


@pytest.fixture(scope="session")
def unmediated(observational, tmp_path_factory):
    """The report of that study, whose sampling failed: its path and its page."""
    path = report(observational, to=tmp_path_factory.mktemp("other") / "report.html")
    return path, Page(path.read_text("utf-8"))
