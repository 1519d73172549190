"""Refutations: refit the study where the answer is known, and see whether it comes out.

Each refutation alters the study at random, refits it, and compares the estimate with the known
answer: no effect of a shuffled treatment, no effect on a shuffled outcome, the same effect with an
irrelevant covariate or on a part of the rows, no effect on an outcome that the treatment cannot
affect. They find estimators and data handling that manufacture effects, leak the answer or report
intervals that are too narrow. They cannot find a confounder that nobody measured: it survives all
of them but the negative control. How repeats are judged:
:mod:`bayes_hte.checks.refutation_judges`.

References
----------
Imbens, G. W., Rubin, D. B. (2015). Causal inference for statistics, social, and biomedical
sciences, chapter 21. Cambridge University Press. doi:10.1017/CBO9781139025751
Lipsitch, M., Tchetgen Tchetgen, E., Cohen, T. (2010). Negative controls: a tool for detecting
confounding and bias in observational studies. Epidemiology 21, 383-388.
doi:10.1097/EDE.0b013e3181d61eeb
Sharma, A., Kiciman, E. (2020). DoWhy: an end-to-end library for causal inference. arXiv:2011.04216
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from bayes_hte.checks.altered_studies import (
    random_subset,
    sampling_units,
    with_control_outcome,
    with_permuted_outcome,
    with_placebo_treatment,
    with_random_cause,
)
from bayes_hte.checks.base import CheckResult, not_judged
from bayes_hte.checks.refitting import (
    CI_KIND,
    CI_PROB,
    AverageEffect,
    Refit,
    check_n_jobs,
    full_model,
    linear_stand_in,
)
from bayes_hte.checks.refutation_judges import (
    Judged,
    judge_control,
    judge_permuted,
    judge_placebo,
    judge_random_cause,
    judge_spread,
    judge_subset,
)
from bayes_hte.checks.subject import Subject
from bayes_hte.effects.arguments import check_number
from bayes_hte.errors import SpecError, unknown_name
from bayes_hte.seeds import check_seed, children, number_of, stage_seed
from bayes_hte.study.study import Study

if TYPE_CHECKING:
    from bayes_hte.fitting.fitted import Fit

Alter = Callable[[Study, np.random.Generator], Study]
Judge = Callable[[AverageEffect, pd.DataFrame], Judged]

NAME = "refutation"
PLACEBO = f"{NAME}: placebo treatment"
RANDOM_CAUSE = f"{NAME}: random common cause"
SUBSET = f"{NAME}: data subset"
PERMUTED = f"{NAME}: permuted outcome"
CONTROL = f"{NAME}: negative-control outcome"
SPREAD = f"{NAME}: spread of effects in a permuted outcome"
NAMES = (PLACEBO, RANDOM_CAUSE, SUBSET, PERMUTED, CONTROL, SPREAD)

ESTIMATORS = ("surrogate", "full")
MIN_REPEATS = 5
"""Below, an estimator that is off by several standard deviations still looks like chance."""
NO_CONTROL = (
    "No negative-control outcome is declared. One that the treatment cannot have affected, but "
    "that shares the causes of the outcome, is the only refutation that can show confounding "
    "nobody measured."
)


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Refute a fit if refutations are asked for; see :func:`refute`."""
    if subject.refutations is None:
        return ()
    options = {"seed": stage_seed(subject.fit.seed, "refutations"), **subject.refutations}
    return refute(subject.fit, **options)


def refute(
    fit: Fit,
    *,
    seed: int,
    repeats: int = 20,
    estimator: str | Refit = "surrogate",
    negative_control: pd.Series | str | None = None,
    rope: float = 0.0,
    subset_share: float = 0.8,
    n_jobs: int = 1,
    progress: bool = False,
) -> tuple[CheckResult, ...]:
    """Run every refutation of a fit.

    Parameters
    ----------
    fit : Fit
        The fitted study. With a mediator its total effect is refuted.
    seed : int
        Every repeat has a seed of its own, derived from this one and shown in the tables; more
        repeats change no earlier one.
    repeats : int, default 20
        Altered studies for each of the four repeated refutations; at least 5.
    estimator : {"surrogate", "full"} or Refit
        The model that is refitted: a stand-in, linear and in closed form (seconds), or the plan of
        the fit (as long as 4 times `repeats` small fits), or an estimator of your own. Use
        :func:`bayes_hte.checks.refitting.full_model` for the plan of the fit at another size.
    negative_control : Series or str, optional
        An outcome that the treatment cannot have affected: values by the unit labels of the study,
        or the name of a covariate, which is then no longer adjusted for. It is a measurement also
        where the outcome is a time to an event, and then has the stand-in with either estimator.
    rope : float, default 0
        Half-width of the effects on the negative control that count as none, in its units.
    subset_share : float, default 0.8
        Share of the units (of the clusters, where declared) in each subset.
    n_jobs : int, default 1
        Processes (joblib); the results do not depend on it.
    progress : bool, default False
        Whether joblib reports the repeats done.

    Returns
    -------
    tuple of CheckResult
        Placebo treatment, random common cause, data subset, permuted outcome, negative control, and
        the spread of individual effects in the permuted outcomes, on which averages do not depend.
        One table row per repeat with ``seed``, ``estimate``, ``sd``, ``lower``, ``upper``,
        ``spread`` and ``units`` (see :class:`~bayes_hte.checks.refitting.AverageEffect`), and
        ``problem`` if a repeat could not be run. A check with such a repeat has failed.

    Raises
    ------
    SpecError
        If an option is out of range or the estimator is unknown.
    DataError
        If the negative control does not exist or cannot be an outcome.
    """
    check_options(
        seed=seed,
        repeats=repeats,
        estimator=estimator,
        negative_control=negative_control,
        rope=rope,
        subset_share=subset_share,
        n_jobs=n_jobs,
    )
    fit.study.check_two_arms("a refutation")
    refit, study = _resolve(estimator, fit), fit.study
    alterations: dict[str, Alter] = {
        PLACEBO: with_placebo_treatment,
        RANDOM_CAUSE: with_random_cause,
        SUBSET: partial(random_subset, share=subset_share),
        PERMUTED: with_permuted_outcome,
    }
    judges: dict[str, Judge] = {
        PLACEBO: judge_placebo,
        RANDOM_CAUSE: judge_random_cause,
        SUBSET: partial(judge_subset, share=subset_share, n=sampling_units(study)),
        PERMUTED: judge_permuted,
        CONTROL: partial(judge_control, rope=rope),
    }
    own_seed, control_seed, *seeds = children(seed, 2 + len(alterations))
    jobs = [
        (name, study, alter, number_of(child))
        for (name, alter), of_kind in zip(alterations.items(), seeds, strict=True)
        for child in children(of_kind, repeats)
    ]
    if negative_control is not None:
        control = with_control_outcome(study, negative_control)
        jobs.append((CONTROL, control, _unchanged, number_of(control_seed)))
    if refit.of_study is None:
        jobs.append(("study", study, _unchanged, number_of(own_seed)))
    measured = _of_measurements(estimator, study, refit)
    estimates = {CONTROL: measured.estimate}
    rows = Parallel(n_jobs=n_jobs, verbose=5 if progress else 0)(
        delayed(_repeat)(estimates.get(job[0], refit.estimate), *job) for job in jobs
    )
    tables = _tables(rows)
    original, reason = _original(refit, tables)
    about = f" Refitted: {refit.name}."
    if study.roles.mediator is not None:
        about += " The total effect is judged, not its direct and indirect parts."
    found = [
        _result(
            name,
            tables.get(name),
            judge,
            original,
            reason,
            about.replace(refit.name, measured.name) if name == CONTROL else about,
        )
        for name, judge in judges.items()
    ]
    spread = _result(SPREAD, tables[PERMUTED], judge_spread, original, reason, about)
    return (*found, spread)


def check_options(**options: Any) -> None:
    """Raise unless these are options of :func:`refute`, in range.

    Raises
    ------
    SpecError
        If an option is unknown or out of range.
    """
    known = {n: p.default for n, p in inspect.signature(refute).parameters.items() if n != "fit"}
    for name in options:
        if name not in known:
            raise unknown_name("option", name, known)
    given = known | {"seed": 0} | options
    check_seed(given["seed"])
    check_n_jobs(given["n_jobs"])
    few = "fewer cannot distinguish a biased estimator from chance"
    allowed = f"a whole number, at least {MIN_REPEATS}"
    repeats, share, rope = given["repeats"], given["subset_share"], given["rope"]
    check_number("repeats", repeats, allowed, lambda n: n >= MIN_REPEATS, whole=True, hint=few)
    check_number("subset_share", share, "between 0 and 1", lambda s: 0 < s < 1, hint="try 0.8")
    check_number("rope", rope, "a half-width, 0 or more", lambda width: width >= 0)
    if not isinstance(given["estimator"], Refit) and given["estimator"] not in ESTIMATORS:
        raise unknown_name("estimator", given["estimator"], ESTIMATORS)
    if not isinstance(given["negative_control"], pd.Series | str | None):
        raise SpecError(
            "negative_control must be the name of a covariate or a Series of values by unit label, "
            f"got {type(given['negative_control']).__name__}; try df[<column>]."
        )


def _resolve(estimator: str | Refit, fit: Fit) -> Refit:
    if isinstance(estimator, Refit):
        return estimator
    if estimator != "surrogate":
        return full_model(fit)
    return linear_stand_in(fit.estimand())


def _of_measurements(estimator: str | Refit, study: Study, refit: Refit) -> Refit:
    """Return the estimator of the negative control, which is measured also where times are not.

    The plan of a fit of times to an event has no family for a measurement.
    """
    return linear_stand_in() if study.event is not None and estimator == "full" else refit


def _unchanged(study: Study, _rng: np.random.Generator) -> Study:
    return study


def _repeat(
    estimate: Callable[[Study, int], AverageEffect],
    name: str,
    study: Study,
    alter: Alter,
    seed: int,
) -> dict[str, object]:
    """Alter, refit and describe; a problem is described too, for the check to fail with."""
    row: dict[str, object] = {"name": name, "seed": seed}
    try:
        # One thread, in this process as in workers, so that sums are taken in the same order.
        with threadpool_limits(1):
            numbers = asdict(estimate(alter(study, np.random.default_rng(seed)), seed))
    except Exception as error:  # an estimator may raise anything, and other repeats must go on
        return row | {"problem": f"{type(error).__name__}: {error}"}
    finite = bool(np.isfinite(list(numbers.values())).all())
    return row | numbers | ({} if finite else {"problem": "the estimate is not finite"})


def _tables(rows: list[dict[str, object]]) -> dict[str, pd.DataFrame]:
    """Return one table per refutation, by name, with one row per repeat."""
    by_name: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        by_name.setdefault(str(row["name"]), []).append(row)
    return {name: _table(own) for name, own in by_name.items()}


def _table(rows: list[dict[str, object]]) -> pd.DataFrame:
    columns = ["seed", *(field.name for field in fields(AverageEffect))]
    problem = ["problem"] if any("problem" in row for row in rows) else []
    index = pd.RangeIndex(1, len(rows) + 1, name="repeat")
    table = pd.DataFrame(rows, index=index).reindex(columns=columns + problem)
    table = table.rename(columns={"ate": "estimate", "n_units": "units"})
    table.attrs |= {"ci_prob": CI_PROB, "ci_kind": CI_KIND}
    return table


def _original(refit: Refit, tables: Mapping[str, pd.DataFrame]) -> tuple[AverageEffect | None, str]:
    """Return the estimate of the unchanged study, or why there is none."""
    if refit.of_study is not None:
        return refit.of_study, ""
    row = tables["study"].iloc[0]
    if "problem" in row:
        return None, f"the unchanged study could not be refitted ({row['problem']})"
    numbers = row[["estimate", "sd", "lower", "upper", "spread"]]
    return AverageEffect(*numbers, n_units=int(row["units"])), ""


def _result(
    name: str,
    table: pd.DataFrame | None,
    judge: Judge,
    original: AverageEffect | None,
    reason: str,
    about: str,
) -> CheckResult:
    if table is None:
        return CheckResult(name, None, pd.DataFrame(), NO_CONTROL)
    if "problem" in table:
        problems = table["problem"].dropna()
        reason = f"{len(problems)} of {len(table)} repeats could not be run ({problems.iloc[0]})"
    if original is None or "problem" in table:
        return not_judged(name, f"{reason}.{about}", table)
    passed, text = judge(original, table)
    return CheckResult(name, passed, table, text + about)
