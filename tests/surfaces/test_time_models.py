"""Working models of times leave the posterior of the linear predictor as it is.

As in ``test_working_models``: many short chains of one constant linear predictor with a normal
prior, against quadrature, with some rows censored and some that entered late.
"""

from __future__ import annotations

import numpy as np
import pytest

from bayes_hte.study.time_to_event import Censoring
from bayes_hte.surfaces.error_laws import LAWS
from bayes_hte.surfaces.forest.working_models import working_model

PRIOR_SD, SIGMA, NU = 1.5, 0.8, 4.0
CHAINS, WARM, DRAWS = 60, 40, 150
TIME = np.array([0.5, 2.0, 1.0, 3.0, 0.8, 2.2])
EVENT = np.array([True, False, True, True, False, True])
ENTRY = np.array([0.0, 0.6, 0.5, 0.0, 0.0, 1.5])


def quadrature(family: str, event: np.ndarray, entry: np.ndarray | None) -> tuple[float, float]:
    law, grid = LAWS[family], np.linspace(-6, 8, 8001)
    residual = (np.log(TIME) - grid[:, None]) / SIGMA
    each = np.where(event, law.log_density(residual, NU), law.log_survival(residual, NU))
    if entry is not None:
        late = entry > 0
        before = (np.log(entry[late]) - grid[:, None]) / SIGMA
        each[:, late] -= law.log_survival(before, NU)
    log_p = each.sum(axis=1) - (grid / PRIOR_SD) ** 2 / 2
    p = np.exp(log_p - log_p.max())
    mean = (p / p.sum()) @ grid
    return mean, np.sqrt((p / p.sum()) @ (grid - mean) ** 2)


def distance(
    family: str, event: np.ndarray, entry: np.ndarray | None, *, told: np.ndarray | None = None
) -> float:
    """Largest distance of mean and sd from quadrature, in Monte Carlo standard errors."""
    rng, rows = np.random.default_rng(1), TIME.size
    mean, sd = quadrature(family, event, entry)
    noise = {"sigma": SIGMA} | ({"nu": NU} if family == "log_student_t" else {})
    known = Censoring(
        np.tile(event if told is None else told, CHAINS),
        None if entry is None else np.tile(entry, CHAINS),
    )
    constant, draws = np.full(CHAINS, mean), np.empty((CHAINS, DRAWS))
    for i in range(-WARM, DRAWS):
        eta = np.repeat(constant, rows)
        model = working_model(family, np.tile(TIME, CHAINS), eta, noise, rng, censoring=known)
        precision = model.precision.reshape(CHAINS, rows)
        response = model.residual.reshape(CHAINS, rows) + constant[:, None]
        total = precision.sum(axis=1) + PRIOR_SD**-2
        constant = rng.normal((precision * response).sum(axis=1) / total, total**-0.5)
        if i >= 0:
            draws[:, i] = constant
    z = (draws - mean) / sd
    parts = ((z.mean(axis=1), 0.0), ((z**2).mean(axis=1), 1.0))
    return max(abs(v.mean() - t) / (v.std(ddof=1) / np.sqrt(CHAINS)) for v, t in parts)


@pytest.mark.parametrize("family", LAWS)
@pytest.mark.parametrize("late", [False, True])
def test_gibbs_sampler_reproduces_mean_and_sd_of_quadrature(family, late):
    assert distance(family, EVENT, ENTRY if late else None) < 4


@pytest.mark.parametrize("family", LAWS)
def test_nobody_censored(family):
    assert distance(family, np.ones(6, dtype=bool), None) < 4


@pytest.mark.parametrize("family", LAWS)
def test_censored_times_taken_for_events_are_found(family):
    assert distance(family, EVENT, None, told=np.ones(6, dtype=bool)) > 10


@pytest.mark.parametrize("family", LAWS)
def test_errors_beyond_a_residual_are_beyond_it_far_out_too(family):
    law, rng = LAWS[family], np.random.default_rng(2)
    at = np.array([-50.0, -3.0, 0.0, 3.0, 6.0, 40.0])
    beyond = law.beyond(np.repeat(at, 100), NU, rng)
    assert np.isfinite(beyond).all()
    assert (beyond >= np.repeat(at, 100)).all()
    below = law.below(np.repeat(at[1:], 100), NU, rng)
    assert np.isfinite(below).all()
    assert (below <= np.repeat(at[1:], 100)).all()
