"""Effects as the priors expect them before the data, compared with the posterior.

Priors are put on functions and scales; only effects drawn from them show what they imply for the
average effect and for how much effects vary. A reader judges from the table whether the prior would
have been acceptable as a belief. The check fails where it would not: where the posterior settles at
a value that the prior all but excluded.

References
----------
Gabry, J., Simpson, D., Vehtari, A., Betancourt, M., Gelman, A. (2019). Visualization in Bayesian
workflow. Journal of the Royal Statistical Society A 182, 389-402. doi:10.1111/rssa.12378
Evans, M., Moshonov, H. (2006). Checking for prior-data conflict. Bayesian Analysis 1, 893-914.
doi:10.1214/06-BA129
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.checks.base import CheckResult, not_judged
from bayes_hte.checks.subject import Subject
from bayes_hte.companions.restricted_means import restricted_means
from bayes_hte.effects.summaries import summarize
from bayes_hte.names import CHAIN, DRAW, SAMPLE, UNIT

NAME = "priors and posteriors of the effects"
# A posterior median outside this central part of the prior is a conflict.
CENTRAL = 0.999
# Fewer prior draws than this hold, on average, no draw beyond the central part on each side.
FEWEST_DRAWS = round(2 / (1 - CENTRAL))
AVERAGE, SPREAD = "average effect (SATE)", "sd of individual effects"
# Enough for the central 99.9%. Most posteriors lie well inside their prior, which fewer draws show
# in a fifth of the time, so they are tried first.
PRIOR_DRAWS, FIRST_DRAWS = 2000, 400
WELL_INSIDE = 0.9
# Average and spread of effects under the prior barely depend on the number of units.
PRIOR_UNITS = 1000


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Compare prior and posterior of average and spread; fails for learner ``"x"``.

    See :func:`prior_view`. The second stage of learner ``"x"`` has no prior of its own.
    """
    from bayes_hte.fitting.from_priors import fit_prior

    study, seed = subject.study, subject.fit.seed
    some = study.sample(PRIOR_UNITS, seed=seed) if study.n_units > PRIOR_UNITS else study

    def drawn(label: str) -> xr.DataArray:
        plan = subject.candidates[label].plan
        first = fit_prior(some, plan, seed=seed, draws=FIRST_DRAWS).cate()
        if _enough(first, subject.candidate_effects[label]):
            return first
        return fit_prior(some, plan, seed=seed, draws=PRIOR_DRAWS).cate()

    prior = {label: drawn(label) for label in subject.candidates}
    outcome_sd = float(restricted_means(study, subject.fit.estimand()).recorded_outcome().std())
    return (prior_view(prior, subject.candidate_effects, outcome_sd=outcome_sd),)


def quantities(effects: xr.DataArray) -> xr.Dataset:
    """Return the average over the study's units and the standard deviation between them.

    Parameters
    ----------
    effects : DataArray, dims (chain, draw, unit)
        Unit-level total effects.

    Returns
    -------
    Dataset, dims (chain, draw)
    """
    return xr.Dataset(
        {AVERAGE: effects.mean(UNIT, skipna=False), SPREAD: effects.std(UNIT, skipna=False)}
    )


def prior_view(
    prior: Mapping[str, xr.DataArray], posterior: Mapping[str, xr.DataArray], *, outcome_sd: float
) -> CheckResult:
    """Show priors and posteriors of the effects, and judge whether they conflict.

    Parameters
    ----------
    prior, posterior : mapping of str to DataArray, dims (chain, draw, unit)
        Unit-level total effects in outcome units, of each model by its label.
    outcome_sd : float
        Standard deviation of the observed outcome, in its units.

    Returns
    -------
    CheckResult
        Information, unless a posterior median lies outside the central 99.9% of its prior, which
        fails. One row per model, quantity, distribution and scale, with ``median``, the bounds of
        the interval, its ``ci_prob`` and ``ci_kind``, the ``population``, and the prior probability
        below the median: near 0 or 1, the posterior sits at an end of the prior.
    """
    rows, conflicts = [], []
    for model, before in prior.items():
        problem = _problem(before, posterior[model])
        if problem:
            return not_judged(NAME, f"model {model}: {problem}", pd.DataFrame(rows))
        drawn = {"prior": quantities(before), "posterior": quantities(posterior[model])}
        rows += [
            row
            for distribution, draws in drawn.items()
            for row in _rows(model, distribution, draws, drawn["prior"], outcome_sd)
        ]
        conflicts += _conflicts(model, drawn["prior"], drawn["posterior"], outcome_sd)
    index = ["model", "quantity", "distribution", "scale"]
    table = pd.DataFrame(rows).set_index(index)
    if conflicts:
        text = (
            f"The prior all but excluded the values of the posterior: {'; '.join(conflicts)}. The "
            "posterior is then a compromise of two sources that contradict each other; declare a "
            "prior ([[prior]], with its reason) that allows such values, or find out why the data "
            "show them."
        )
        return CheckResult(NAME, False, table, text)
    return CheckResult(NAME, None, table, _information(table))


def _enough(before: xr.DataArray, after: xr.DataArray) -> bool:
    """Whether the prior draws can judge: by their number, or as the posterior is well inside."""
    draws = before.sizes[CHAIN] * before.sizes[DRAW]
    if not FIRST_DRAWS <= draws < FEWEST_DRAWS:
        return draws >= FEWEST_DRAWS
    tail = (1 - WELL_INSIDE) / 2
    bounds = quantities(before).quantile([tail, 1 - tail], dim=SAMPLE)
    median = quantities(after).median()
    inside = (bounds.isel(quantile=0) <= median) & (median <= bounds.isel(quantile=1))
    return bool(inside.to_array().all())


def _problem(before: xr.DataArray, after: xr.DataArray) -> str:
    draws = before.sizes[CHAIN] * before.sizes[DRAW]
    if not _enough(before, after):
        return (
            f"{draws} prior draws do not show the central {CENTRAL:.1%} of the prior; take at "
            f"least {FEWEST_DRAWS}."
        )
    for word, values in (("prior", before), ("posterior", after)):
        bad = int((~np.isfinite(values)).any(UNIT).sum())
        if bad:
            return f"effects are not finite in {bad} {word} draws; use smaller prior scales."
    return ""


def _rows(
    model: str, distribution: str, draws: xr.Dataset, prior: xr.Dataset, outcome_sd: float
) -> list[dict[str, float | str]]:
    rows = []
    for scale, unit in (("outcome units", 1.0), ("outcome sd", outcome_sd)):
        summary = summarize(draws / unit)
        for quantity, row in summary.iterrows():
            rows.append(
                {
                    "model": model,
                    "quantity": quantity,
                    "distribution": distribution,
                    "scale": scale,
                    **row[["median", "ci_lower", "ci_upper", "ci_prob", "ci_kind"]],
                    "population": "units of the study",
                    "prior below median": float(
                        (prior[quantity] < draws[quantity].median()).mean()
                    ),
                }
            )
    return rows


def _conflicts(model: str, before: xr.Dataset, after: xr.Dataset, outcome_sd: float) -> list[str]:
    tail = (1 - CENTRAL) / 2
    rounding = 1e-9 * outcome_sd
    found = []
    for quantity in before.data_vars:
        lower, upper = before[quantity].quantile([tail, 1 - tail], dim=SAMPLE).to_numpy()
        median = float(after[quantity].median())
        if not lower - rounding <= median <= upper + rounding:
            found.append(
                f"{quantity} of model {model}, posterior median {median:.3g}, central "
                f"{CENTRAL:.1%} of the prior {lower:.3g} to {upper:.3g}"
            )
    return found


def _information(table: pd.DataFrame) -> str:
    """Put the rows of the first model in standard deviations of the outcome into words."""
    rows = table.xs("outcome sd", level="scale").loc[table.index[0][0]]
    words = rows.apply(
        lambda row: f"{row['median']:.2g} ({row['ci_lower']:.2g} to {row['ci_upper']:.2g})", axis=1
    )
    parts = [
        f"{quantity}: prior {words[quantity, 'prior']}, posterior {words[quantity, 'posterior']}"
        for quantity in (AVERAGE, SPREAD)
    ]
    return (
        "In standard deviations of the outcome (median, 95% equal-tailed interval), "
        f"{'; '.join(parts)}. Judge whether the prior would do as a belief before seeing the data."
    )
