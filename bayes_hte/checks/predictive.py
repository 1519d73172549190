"""Posterior predictive check by arm: whether the fitted outcome model reproduces these data.

References
----------
Gelman, A., Meng, X.-L., Stern, H. (1996). Posterior predictive assessment of model fitness.
Statistica Sinica 6, 733-807.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.subject import Subject
from bayes_hte.components.families import Family, Noise
from bayes_hte.study.overview import suggested_family

NAME = "posterior predictive by arm"
# Draws used to replicate the outcome; more change no judged number visibly.
REPLICATES = 400
# A statistic outside the central 99% of its replicates would be rare under a model that fits.
TAIL = 0.005

STATISTICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": lambda y: y.mean(axis=-1),
    "sd": lambda y: y.std(axis=-1),
    "10% quantile": lambda y: np.quantile(y, 0.1, axis=-1),
    "90% quantile": lambda y: np.quantile(y, 0.9, axis=-1),
}
# Judged; the quantiles inform about shape, which averages do not depend on.
JUDGED = ("mean", "sd")


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Compare observed outcomes with replicated ones; see :func:`posterior_predictive`.

    Nothing of times to an event, which may be censored: see :mod:`bayes_hte.checks.kaplan_meier`.
    """
    if subject.study.event is not None:
        return ()
    study, outcome = subject.study.with_outcome(), subject.fit.components["outcome"]
    eta = subject.fit.observed_predictor().to_numpy().reshape(-1, study.n_units)
    rng = subject.rng("predictive")
    chosen = rng.choice(len(eta), size=min(REPLICATES, len(eta)), replace=False)
    result = posterior_predictive(
        eta[chosen],
        {k: v.reshape(-1, v.shape[-1])[chosen] for k, v in subject.fit.observed_noise().items()},
        study.outcome(),
        arm=study.arm_index(),
        arm_names=subject.arm_names,
        family=outcome.family,
        rng=rng,
        try_family=suggested_family(study.outcome(), outcome.family.name),
    )
    return (result,)


def posterior_predictive(
    eta: np.ndarray,
    noise: Noise,
    y: np.ndarray,
    *,
    arm: np.ndarray,
    arm_names: tuple[str, str],
    family: Family,
    rng: np.random.Generator,
    try_family: str | None = None,
) -> CheckResult:
    """Compare observed means and standard deviations in each arm with replicated ones.

    Parameters
    ----------
    eta : ndarray, shape (sample, unit)
        Linear predictor at each unit's own arm (and mediator).
    noise : mapping of str to ndarray, shape (sample, 1) or (sample, unit)
        The family's other parameters.
    y : ndarray, shape (unit,)
        Observed outcome.
    arm : ndarray of int, shape (unit,)
        Arm of each unit.
    arm_names : tuple of str
        Names of the arms.
    family : Family
        Family of the outcome.
    rng : numpy.random.Generator
        For the replicates.
    try_family : str, optional
        A family that suits the column better, to name if the check fails.

    Returns
    -------
    CheckResult
        Fails if a mean or sd (of a binary outcome a mean) lies outside the central 99% of its
        replicates.
    """
    # The sd of zeros and ones follows from their mean, and cannot be above 0.5: where half are ones
    # it is larger than nearly all replicates, whatever the model.
    judged = ("mean",) if family.name == "bernoulli" else JUDGED
    replicated = family.draw(rng, eta, noise)
    rows = []
    for a, arm_name in enumerate(arm_names):
        for name, statistic in STATISTICS.items():
            observed = float(statistic(y[arm == a]))
            draws = statistic(replicated[:, arm == a])
            rows.append(
                {
                    "arm": arm_name,
                    "statistic": name,
                    "observed": observed,
                    "replicated mean": draws.mean(),
                    "replicated 0.5%": np.quantile(draws, TAIL),
                    "replicated 99.5%": np.quantile(draws, 1 - TAIL),
                    "judged": name in judged,
                }
            )
    table = pd.DataFrame(rows).set_index(["arm", "statistic"])
    inside = table["observed"].between(table["replicated 0.5%"], table["replicated 99.5%"])
    bad = table.index[table["judged"] & ~inside]
    what = "Observed means" + (" and standard deviations" if "sd" in judged else "")
    text = (
        f"{what} of the outcome in each arm lie among those that the fitted model replicates "
        "(central 99%)."
    )
    if len(bad):
        where = "; ".join(f"{s} in {a}" for a, s in bad)
        text = f"The fitted outcome model does not reproduce: {where}. " + (
            "Another family or surface may fit better."
            if try_family is None
            else f"Try family = {try_family!r}."
        )
    return CheckResult(NAME, len(bad) == 0, table, text)
