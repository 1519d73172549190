"""Refutations: refit the study where the answer is known, and see whether it comes out.

Each refutation alters the study at random, refits it, and compares what comes out with what must:
no effect of a shuffled treatment, no effect on a shuffled outcome, the same effect with an
irrelevant covariate or on a part of the rows, no effect on an outcome that cannot be affected. They
find estimators and data handling that manufacture effects, leak the answer or report intervals that
are too narrow. They cannot find what is left unmeasured: a confounder that no column holds survives
all of them but the negative control.

Judgements about repeats are tests at level ``ALPHA``, so that a sound study seldom fails one of
them; the price is that only gross faults show in few repeats. The negative control is one interval,
which leaves out 0 in one sound study of twenty.

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

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import binom, norm, t
from threadpoolctl import threadpool_limits

from bayes_hte.checks.altered_studies import (
    random_subset,
    sampling_units,
    with_control_outcome,
    with_permuted_outcome,
    with_placebo_treatment,
    with_random_cause,
)
from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.refitting import CI_KIND, CI_PROB, AverageEffect, Refit, full_model, surrogate
from bayes_hte.effects.summaries import interval_words
from bayes_hte.errors import SpecError, unknown_name
from bayes_hte.seeds import children, number_of
from bayes_hte.study.study import Study

if TYPE_CHECKING:
    from bayes_hte.fitting.fitted import Fit

Alter = Callable[[Study, np.random.Generator], Study]
Judge = Callable[[AverageEffect, pd.DataFrame], tuple[bool, str]]

PLACEBO = "refutation: placebo treatment"
RANDOM_CAUSE = "refutation: random common cause"
SUBSET = "refutation: data subset"
PERMUTED = "refutation: permuted outcome"
CONTROL = "refutation: negative-control outcome"

ALPHA = 0.001
"""Probability with which a judgement about repeats fails a sound study."""
MIN_REPEATS = 5
"""Below, an estimator that is off by several standard deviations still looks like chance."""
NEGLIGIBLE_BIAS = 0.1
"""Bias, in posterior standard deviations, that is let pass however many repeats resolve it: 95%
intervals then still cover in 94.9% of studies."""
MAX_MOVE = 0.5
"""Move of the average effect, in posterior standard deviations, that a column or rows of no
importance may cause: 95% intervals moved that much still cover in 92% of studies. A forest on 60 to
200 units moves by 0.2 to 0.3 for an irrelevant column, half of it by Monte Carlo error."""
MAX_SPREAD_LEFT = 0.5
"""Spread of individual effects on a shuffled outcome, as a share of the spread in the study, above
which the estimator makes so much of noise that what it finds in the study is as likely noise."""


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
        The fitted study. With a mediator its total effect is what is refuted.
    seed : int
        Every repeat has a seed of its own, derived from this one and shown in the tables; more
        repeats change no earlier one.
    repeats : int, default 20
        Altered studies for each of the four repeated refutations; at least 5.
    estimator : {"surrogate", "full"} or Refit
        What is refitted: a linear model in closed form (seconds), or the plan of the fit (as long
        as 4 times `repeats` small fits), or an estimator of one's own. Use
        :func:`bayes_hte.checks.refitting.full_model` for the plan of the fit at another size.
    negative_control : Series or str, optional
        An outcome that the treatment cannot have affected: values by the unit labels of the study,
        or the name of a covariate, which is then no longer adjusted for.
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
        Placebo treatment, random common cause, data subset, permuted outcome, negative control; a
        table row for each repeat with ``seed``, ``estimate``, ``sd``, ``lower``, ``upper``,
        ``spread`` and ``units`` (see :class:`~bayes_hte.checks.refitting.AverageEffect`), and
        ``problem`` if a repeat could not be run. A check with such a repeat has failed.

    Raises
    ------
    SpecError
        If an option is out of range or the estimator is unknown.
    DataError
        If the negative control does not exist or cannot be an outcome.
    """
    _check_options(repeats, subset_share, rope)
    refit, study = _resolve(estimator, fit), fit.study
    alterations: dict[str, Alter] = {
        PLACEBO: with_placebo_treatment,
        RANDOM_CAUSE: with_random_cause,
        SUBSET: partial(random_subset, share=subset_share),
        PERMUTED: with_permuted_outcome,
    }
    own_seed, *seeds = children(seed, 2 + len(alterations))
    jobs = [
        (name, study, alter, number_of(child))
        for (name, alter), of_kind in zip(alterations.items(), seeds[1:], strict=True)
        for child in children(of_kind, repeats)
    ]
    if negative_control is not None:
        control = with_control_outcome(study, negative_control)
        jobs.append((CONTROL, control, _unchanged, number_of(seeds[0])))
    if refit.of_study is None:
        jobs.append(("study", study, _unchanged, number_of(own_seed)))
    rows = Parallel(n_jobs=n_jobs, verbose=5 if progress else 0)(
        delayed(_repeat)(refit.estimate, *job) for job in jobs
    )
    tables = {name: _table(rows) for name, rows in _by_name(rows).items()}
    original, reason = _original(refit, tables)
    judges: dict[str, Judge] = {
        PLACEBO: _judge_placebo,
        RANDOM_CAUSE: _judge_random_cause,
        SUBSET: partial(_judge_subset, share=subset_share, n=sampling_units(study)),
        PERMUTED: _judge_permuted,
        CONTROL: partial(_judge_control, rope=rope),
    }
    about = f" Refitted: {refit.name}." + (
        " The total effect is judged, not its parts through and beside the mediator."
        if study.roles.mediator is not None
        else ""
    )
    return tuple(
        _check(name, tables.get(name), judge, original, reason, about)
        for name, judge in judges.items()
    )


def _check_options(repeats: int, subset_share: float, rope: float) -> None:
    if repeats < MIN_REPEATS:
        raise SpecError(
            f"repeats must be at least {MIN_REPEATS}, got {repeats}: fewer cannot tell a biased "
            "estimator from chance."
        )
    if not 0 < subset_share < 1:
        raise SpecError(f"subset_share must be between 0 and 1, got {subset_share}; try 0.8.")
    if not rope >= 0:
        raise SpecError(f"rope is a half-width and must be 0 or more, got {rope}.")


def _resolve(estimator: str | Refit, fit: Fit) -> Refit:
    if isinstance(estimator, Refit):
        return estimator
    if estimator == "surrogate":
        return surrogate()
    if estimator == "full":
        return full_model(fit)
    raise unknown_name("estimator", estimator, ("surrogate", "full"))


def _unchanged(study: Study, _rng: np.random.Generator) -> Study:
    return study


def _repeat(
    estimate: Callable[[Study, int], AverageEffect],
    name: str,
    study: Study,
    alter: Alter,
    seed: int,
) -> dict[str, object]:
    """Alter, refit and describe; what goes wrong is described too, for the check to fail with."""
    row: dict[str, object] = {"name": name, "seed": seed}
    try:
        # One thread, in this process as in workers, so that sums are taken in the same order.
        with threadpool_limits(1):
            effect = estimate(alter(study, np.random.default_rng(seed)), seed)
    except Exception as error:  # an estimator may raise anything, and other repeats must go on
        return row | {"problem": f"{type(error).__name__}: {error}"}
    numbers = {
        "estimate": effect.ate,
        "sd": effect.sd,
        "lower": effect.lower,
        "upper": effect.upper,
        "spread": effect.spread,
    }
    finite = bool(np.isfinite(list(numbers.values())).all())
    problem = {} if finite else {"problem": "the estimate is not finite"}
    return row | numbers | {"units": effect.n_units} | problem


def _by_name(rows: list[dict[str, object]]) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        found.setdefault(str(row["name"]), []).append(row)
    return found


def _table(rows: list[dict[str, object]]) -> pd.DataFrame:
    columns = ["seed", "estimate", "sd", "lower", "upper", "spread", "units"]
    problem = ["problem"] if any("problem" in row for row in rows) else []
    index = pd.RangeIndex(1, len(rows) + 1, name="repeat")
    table = pd.DataFrame(rows, index=index).reindex(columns=columns + problem)
    table.attrs |= {"ci_prob": CI_PROB, "ci_kind": CI_KIND}
    return table


def _original(refit: Refit, tables: Mapping[str, pd.DataFrame]) -> tuple[AverageEffect | None, str]:
    """Return the estimate of the unchanged study, or why there is none."""
    if refit.of_study is not None:
        return refit.of_study, ""
    row = tables["study"].iloc[0]
    if "problem" in row:
        return None, f"the unchanged study could not be refitted ({row['problem']})"
    return AverageEffect(
        row["estimate"], row["sd"], row["lower"], row["upper"], row["spread"], int(row["units"])
    ), ""


def _check(
    name: str,
    table: pd.DataFrame | None,
    judge: Judge,
    original: AverageEffect | None,
    reason: str,
    about: str,
) -> CheckResult:
    if table is None:
        text = (
            "No negative-control outcome is declared. One that the treatment cannot have affected, "
            "but that shares the causes of the outcome, is the only refutation that can show "
            "confounding nobody measured."
        )
        return CheckResult(name, None, pd.DataFrame(), text)
    if "problem" in table:
        problems = table["problem"].dropna()
        reason = f"{len(problems)} of {len(table)} repeats could not be run ({problems.iloc[0]})"
    if original is None or "problem" in table:
        return CheckResult(name, False, table, f"Could not be judged: {reason}.{about}")
    passed, text = judge(original, table)
    # A plain bool: what NumPy compares is its own type, which no `is False` would ever recognise.
    return CheckResult(name, bool(passed), table, text + about)


def _judge_placebo(original: AverageEffect, table: pd.DataFrame) -> tuple[bool, str]:
    passed, text = _about_zero(table, "With a shuffled treatment")
    spread, n = table["spread"], len(table)
    reached = int((spread >= original.spread).sum())
    chance = (1 + reached) / (1 + n)
    text += (
        f" Individual effects spread by {original.spread:.3g} (standard deviation) in the study "
        f"and by {spread.median():.3g} (median) here, as much as in the study in {reached} of {n} "
        f"repeats: if nobody had an effect, so large a spread would come out with probability "
        f"{chance:.2g} (Monte Carlo, the study counted as a repeat). This is not the probability "
        "that effects are equal."
    )
    return passed, text


def _judge_random_cause(original: AverageEffect, table: pd.DataFrame) -> tuple[bool, str]:
    move = float(np.sqrt(np.mean((table["estimate"] - original.ate) ** 2)))
    allowed = MAX_MOVE * original.sd
    text = (
        f"An unrelated covariate moves the average effect of {original.ate:.3g} by {move:.3g} "
        f"(root mean square over {len(table)} repeats); up to {allowed:.3g}, {MAX_MOVE:g} of its "
        "posterior sd, is allowed."
    )
    if move > allowed:
        text += " The estimate hangs on which columns are offered."
    return move <= allowed, text


def _judge_subset(
    original: AverageEffect, table: pd.DataFrame, *, share: float, n: int
) -> tuple[bool, str]:
    """Judge by the finite-population variance of an estimate from a random part of the rows."""
    difference = table["estimate"] - original.ate
    # The average over the units drawn differs also because their covariates do.
    noise = float(np.sqrt((original.sd**2 + original.spread**2 / n) * (1 - share) / share))
    band = float(norm.isf((1 - CI_PROB) / 2)) * noise
    outside, allowed = int((difference.abs() > band).sum()), _allowed(len(table))
    mean = float(difference.mean())
    of_mean = float(norm.isf(ALPHA / 2)) * noise / np.sqrt(len(table))
    bound = of_mean + MAX_MOVE * original.sd
    passed = outside <= allowed and abs(mean) <= bound
    text = (
        f"On random parts with {100 * share:g}% of the data the average effect of "
        f"{original.ate:.3g} differs by {mean:.3g} on average (up to {bound:.3g} is allowed), and "
        f"in {outside} of {len(table)} repeats by more than the {band:.3g} that such parts explain "
        f"(up to {allowed} allowed)."
    )
    if not passed:
        text += " The estimate hangs on part of the data, or its interval is too narrow."
    return passed, text


def _judge_permuted(original: AverageEffect, table: pd.DataFrame) -> tuple[bool, str]:
    near_zero, text = _about_zero(table, "With a shuffled outcome")
    spread = float(table["spread"].median())
    allowed = max(MAX_SPREAD_LEFT * original.spread, original.sd)
    collapsed = spread <= allowed
    text += (
        f" Individual effects spread by {original.spread:.3g} in the study and by {spread:.3g} "
        f"(median) here; up to {allowed:.3g} is allowed ({MAX_SPREAD_LEFT:g} of the "
        "study's, or the posterior sd of its average effect)."
    )
    if not collapsed:
        text += " The estimator finds differences in noise: do not read individual effects."
    return near_zero and collapsed, text


def _judge_control(
    _original: AverageEffect, table: pd.DataFrame, *, rope: float
) -> tuple[bool, str]:
    row = table.iloc[0]
    passed = bool(row["lower"] <= rope and row["upper"] >= -rope)
    none = "0" if rope == 0 else f"effects from {-rope:g} to {rope:g}"
    text = (
        f"The average effect on the negative control is {row['estimate']:.3g} ({row['lower']:.3g} "
        f"to {row['upper']:.3g}; {interval_words(CI_PROB, CI_KIND)}), which "
        f"{'reaches' if passed else 'leaves out'} {none}."
    )
    if not passed:
        text += (
            " The arms differ in ways that the covariates do not account for, or the control is "
            "none."
        )
    return passed, text


def _about_zero(table: pd.DataFrame, when: str) -> tuple[bool, str]:
    """Judge whether estimates centre on 0 and their intervals cover it as often as they say."""
    n, estimates = len(table), table["estimate"]
    mean = float(estimates.mean())
    of_mean = float(t.isf(ALPHA / 2, n - 1) * estimates.std(ddof=1) / np.sqrt(n))
    bound = of_mean + NEGLIGIBLE_BIAS * float(table["sd"].mean())
    missed = int(((table["lower"] > 0) | (table["upper"] < 0)).sum())
    allowed = _allowed(n)
    passed = abs(mean) <= bound and missed <= allowed
    text = (
        f"{when} the average effect is {mean:.3g} on average over {n} repeats (up to {bound:.3g} "
        f"is allowed), and {missed} of the intervals ({interval_words(CI_PROB, CI_KIND)}) leave "
        f"out 0 (up to {allowed} allowed)."
    )
    if abs(mean) > bound:
        text += " The estimator finds an effect where there is none."
    elif not passed:
        text += " Its intervals are too narrow."
    return passed, text


def _allowed(n: int) -> int:
    """Return how many of n intervals may miss before that is improbable for their probability."""
    return int(binom.isf(ALPHA, n, 1 - CI_PROB))
