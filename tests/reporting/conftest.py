from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hte.checks.base import CheckResult
from bayes_hte.effects import average, cate, decompose
from bayes_hte.names import ARM, CHAIN, DRAW, MEDIATOR_ARM, SAMPLE, UNIT
from bayes_hte.reporting import all_tables
from bayes_hte.results import Results
from bayes_hte.spec import parse_spec
from bayes_hte.subgroups import m_learner
from bayes_hte.testing import fake_study

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
covariates = ["x1", "x3"]

[outcome]
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
        "surface": "forest",
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


def make_checks(healthy: bool) -> tuple[CheckResult, ...]:
    rhat = 1.01 if healthy else 1.4
    table = pd.DataFrame({"r_hat": [rhat], "ess": [400]}, index=pd.Index(["te"], name="quantity"))
    return (
        CheckResult("sampling health: outcome", healthy, table, f"R-hat is {rhat} & that is <it>."),
        CheckResult("overlap", True, pd.DataFrame({"arm": ["a"], "low": [0.4]}), "Arms overlap."),
        CheckResult("prior sensitivity", None, pd.DataFrame(), "Little moves."),
    )


def make_results(*, mediator: bool = True, healthy: bool = True, flat: bool = False, **changes):
    rng = np.random.default_rng(20)
    study, effect = fake_study(rng, n_units=N_UNITS, mediator=mediator)
    # One numeric and one categorical covariate show everything; each more costs a figure.
    roles = replace(study.roles, covariates=("x1", "x3"))
    study = replace(study, roles=roles)
    mu = make_potential_outcomes(rng, effect * (not flat), study.units, mediator)
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
        rng.uniform(0.3, 0.7, size=(CHAINS, DRAWS, N_UNITS)), dims=(*SAMPLE, UNIT)
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
        checks=make_checks(healthy),
        provenance={"command": "run <fake>", "versions": {"pymc": "6.4", "numpy": "2.5"}},
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
    """Results with other checks."""
    return lambda *checks: replace(results, checks=checks)
