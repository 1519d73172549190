"""The null distribution of the rule for subgroups: its results where effects are equal.

A posterior probability that two subgroups differ is about the model. The error rate of a rule based
on it depends on the design as well: the numbers of units, covariates and draws, the noise of the
outcome. So the whole procedure is repeated on studies like the user's own in which effects do not
differ, and its result on the real study is compared with its results on those.

References
----------
Davison, A. C., Hinkley, D. V. (1997). Bootstrap Methods and their Application, chapter 4. Cambridge
University Press. doi:10.1017/CBO9780511802843
Phipson, B., Smyth, G. K. (2010). Permutation P-values should never be zero. Statistical
Applications in Genetics and Molecular Biology 9, 39. doi:10.2202/1544-6115.1585
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from joblib import Parallel, delayed
from scipy.stats import beta, binom
from threadpoolctl import threadpool_limits

from bayes_hte.companions.restricted_means import compared_outcomes
from bayes_hte.effects.arguments import check_number, check_share
from bayes_hte.errors import SpecError, unknown_name
from bayes_hte.seeds import check_seed, children, number_of, several_seeds, text_key
from bayes_hte.store import FORMAT
from bayes_hte.study.study import Study
from bayes_hte.subgroups.decision import check_probability, margin_of
from bayes_hte.subgroups.effect_draws import as_effects
from bayes_hte.subgroups.finding.discovery import subgroups_of_draws
from bayes_hte.subgroups.honest.halves import honest_m_learner
from bayes_hte.subgroups.membership import posterior_mean
from bayes_hte.subgroups.nulls.log import NullLog, Row, shown_progress

Draws = xr.DataArray | xr.Dataset
Refit = Callable[[Study, int], Draws]
Null = Callable[[Study, np.random.Generator], Study]
Rule = Literal["honest", "in_sample"]

RULES = ("honest", "in_sample")
STATISTICS = {
    "probability": "posterior probability that the subgroups differ by more than the margin",
    "contrast": "posterior mean of the difference between highest and lowest subgroup",
    "spread": "standard deviation over units of the posterior-mean effects",
}
DECIDING = "probability"
# Of the Monte Carlo intervals.
MC_PROB = 0.95


@dataclass(frozen=True, eq=False)
class NullDistribution:
    """The search for subgroups on the study, and on studies in which effects are equal.

    Attributes
    ----------
    observed : Series
        The statistics of the study itself, by name: ``probability`` (that the highest and the
        lowest subgroup differ by more than the margin; the decision statistic), ``contrast`` (the
        posterior mean of that difference, outcome units) and ``spread`` (standard deviation over
        units of the posterior-mean effects, outcome units; under the honest rule the mean of the
        two halves).
    replications : DataFrame
        One row per replication. Index ``variant`` and ``replication`` (from 0); ``seed``, the
        statistics, and ``problem``, empty unless the replication failed.
    rule : {"honest", "in_sample"}
        The rule that judged subgroups.
    estimator : str
        The refitted estimator, in words.
    margin : float
        The margin of ``probability``, outcome units.
    alpha : float
        Share of false claims the thresholds allow.
    """

    observed: pd.Series
    replications: pd.DataFrame
    rule: Rule
    estimator: str
    margin: float
    alpha: float

    @property
    def shown(self) -> bool:
        """Whether equal effects cannot explain ``probability``, in every variant."""
        return bool((self.summary().xs(DECIDING, level="statistic")["p_value"] <= self.alpha).all())

    def summary(self) -> pd.DataFrame:
        """Compare the study with the replications.

        A failed replication counts as one that reached the observed value: leaving it out would
        make the claim easier. Of two equal probabilities (many are exactly 0 or 1) the one with the
        larger contrast is the higher.

        Returns
        -------
        DataFrame
            Index ``variant``, ``statistic``. ``observed``; ``reached``, the number of replications
            that reach it; ``p_value``, their share, the study itself counted among them (the Monte
            Carlo p-value of the hypothesis that effects are equal in the way of the variant; not
            the posterior probability of anything), with its Monte Carlo interval ``p_lower``,
            ``p_upper`` (95%, exact binomial); ``threshold``, the value that at most a share `alpha`
            of the replications exceeds, with ``threshold_lower``, ``threshold_upper`` (95%, order
            statistics; infinite where there are too few replications to bound it);
            ``replications``, ``failures``.
        """
        rows = {
            (variant, name): _compare(self.observed, part.fillna(np.inf), name, self.alpha)
            | {"replications": len(part), "failures": int((part["problem"] != "").sum())}
            for variant, part in self.replications.groupby(level="variant", sort=False)
            for name in STATISTICS
        }
        table = pd.DataFrame.from_dict(rows, orient="index")
        table.index = pd.MultiIndex.from_tuples(table.index, names=["variant", "statistic"])
        return table

    @property
    def text(self) -> str:
        """The comparison in sentences."""
        lines = []
        for (variant, name), row in self.summary().iterrows():
            if name == "contrast":
                continue
            n, reached = int(row["replications"]), int(row["reached"])
            lines.append(
                f"Under '{variant}', the {STATISTICS[name]} reaches the observed "
                f"{row['observed']:.3g} in {reached} of {n} studies: with effects made equal in "
                f"this way, it does so with probability {row['p_value']:.2g} (the study itself "
                f"counted; Monte Carlo 95% interval {row['p_lower']:.2g} to {row['p_upper']:.2g}); "
                f"at most {self.alpha:.0%} of them exceed {row['threshold']:.3g}."
            )
            if name == DECIDING and row["failures"]:
                lines.append(
                    f"{int(row['failures'])} of these {n} could not be analysed and count as "
                    "reaching it."
                )
        lines.append(
            "These are probabilities of what a study shows if effects are equal, not that they are."
        )
        conclusion = (
            "Equal effects cannot explain the differences between people's effects."
            if self.shown
            else "Equal effects explain the result; no credible differences between people."
        )
        return " ".join([*lines, conclusion, f"Refitted: {self.estimator}; rule: {self.rule}."])


@dataclass(frozen=True)
class _Procedure:
    """The whole procedure from a study to its statistics; workers receive it."""

    refit: Refit
    rule: Rule
    margin: float
    probability: float
    search: Mapping[str, Any]

    def statistics(self, study: Study, seed: int) -> dict[str, float]:
        """Return the statistics of a study, by name."""
        options = {"margin": self.margin, "probability": self.probability, **self.search}
        spreads: list[float] = []

        def recorded(part: Study, part_seed: int) -> Draws:
            effect = self.refit(part, part_seed)
            spreads.append(float(posterior_mean(as_effects(effect, part)[0]).std()))
            return effect

        if self.rule == "honest":
            found = honest_m_learner(study, fit_half=recorded, seed=seed, **options)
            reached = found.probability
        else:
            fitting, search = several_seeds(seed, 2)
            found = subgroups_of_draws(recorded(study, fitting), study, seed=search, **options)
            reached = found.probability_in_sample
        return {
            "probability": reached,
            "contrast": float(found.contrast.mean()),
            "spread": float(np.mean(spreads)),
        }


def null_distribution(
    study: Study,
    *,
    refit: Refit,
    nulls: Mapping[str, Null],
    estimator: str,
    seed: int,
    rule: Rule = "honest",
    replications: int = 200,
    alpha: float = 0.05,
    margin: float | None = None,
    probability: float = 0.95,
    n_jobs: int = 1,
    folder: Path | None = None,
    progress: bool = False,
    **search: Any,
) -> NullDistribution:
    """Repeat the search for subgroups on studies in which effects are equal.

    Parameters
    ----------
    study : Study
        The user's own study.
    refit : callable (Study, int) -> DataArray or Dataset, dims (chain, draw, unit)
        From a study and a seed to draws of the effect of its units. The study itself and every
        replication are fitted in this way, so it may be a stand-in for the model of the report, if
        the text says so; for instance
        :func:`~bayes_hte.subgroups.nulls.stand_in.stand_in_refit`.
    nulls : mapping of str to callable (Study, Generator) -> Study
        By name, functions that turn the study into one in which effects are equal; for instance
        :func:`~bayes_hte.subgroups.nulls.stand_in.stand_in_null` (new outcomes under the same
        effect for everybody) or a shuffled treatment (no effect on anybody).
    estimator : str
        The estimator that `refit` fits, in words.
    seed : int
        Every replication has a child of it that depends only on the variant's name and the number
        of the replication: more replications, or another variant, change none. The analysis of the
        study itself uses `seed`, as ``honest_m_learner(study, fit_half=refit, seed=seed)`` does.
    rule : {"honest", "in_sample"}
        Judge differences on the half that did not suggest them, or subgroups on the same units.
    replications : int, default 200
        Number for each variant; at least ``1 / alpha - 1``, so that a threshold exists.
    alpha : float, default 0.05
        Share of false claims that is allowed; above 0 and below 0.5.
    margin, probability
        As in :func:`~bayes_hte.subgroups.m_learner`; a default margin is that of the study.
    **search
        Options of the search, as in :func:`~bayes_hte.subgroups.honest_m_learner`, or in
        :func:`~bayes_hte.subgroups.m_learner` under the rule ``"in_sample"``.
    n_jobs : int, default 1
        Processes (joblib); the result does not depend on it.
    folder : Path, optional
        A folder for the finished replications. A later call with the same study and options
        continues from there, and gives the result of an uninterrupted call.
    progress : bool, default False
        Whether to show a progress bar.

    Returns
    -------
    NullDistribution

    Raises
    ------
    SpecError
        If an option is out of range or no variant is given.
    SavedResultError
        If the folder holds replications of another study or of other options.
    BayesHTEError
        Of any kind, if the study itself cannot be analysed. A replication that fails is reported
        and counts against the claim.
    """
    _check(nulls, rule, replications, alpha, seed)
    check_probability(probability)
    margin = margin_of(compared_outcomes(study), margin)
    procedure = _Procedure(refit, rule, margin, probability, search)
    identity = {
        "format": FORMAT,
        "study": study.fingerprint(),
        "estimator": estimator,
        "seed": seed,
        "rule": rule,
        "margin": procedure.margin,
        "probability": probability,
        "search": {k: repr(v) for k, v in sorted(search.items())},
    }
    log = NullLog.open(folder, identity)
    with threadpool_limits(1):
        observed = procedure.statistics(study, seed)
    wanted = [(variant, r) for variant in nulls for r in range(replications)]
    todo = [job for job in wanted if job not in log.rows]
    finished = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
        delayed(_replicate)(study, procedure, nulls[variant], variant, r, seed)
        for variant, r in todo
    )
    with shown_progress(len(todo), shown=progress) as advance:
        for row in finished:
            log.add(row)
            advance()
    return NullDistribution(
        observed=pd.Series(observed, name="observed"),
        replications=_table([log.rows[job] for job in wanted]),
        rule=rule,
        estimator=estimator,
        margin=procedure.margin,
        alpha=alpha,
    )


def _check(
    nulls: Mapping[str, Null], rule: str, replications: int, alpha: float, seed: int
) -> None:
    check_seed(seed)
    if rule not in RULES:
        raise unknown_name("rule", rule, RULES)
    if not nulls:
        raise SpecError("nulls is empty: name at least one way to make effects equal.")
    check_share("alpha", alpha, high=0.5, hint="try 0.05")
    needed = math.ceil(1 / alpha - 1e-9) - 1
    check_number(
        "replications",
        replications,
        f"a whole number, at least {needed} for alpha = {alpha:g}",
        lambda n: n >= needed,
        whole=True,
        hint=f"with fewer no result could be beyond all but {alpha:.0%} of them",
    )


def _replicate(
    study: Study, procedure: _Procedure, null: Null, variant: str, replication: int, seed: int
) -> Row:
    """Draw a study in which effects are equal and analyse it; a failure gives a row as well."""
    drawing, fitting = children(seed, 2, key=(text_key(variant), replication))
    own = number_of(fitting)
    try:
        # One thread, in this process as in workers, so that sums are taken in the same order.
        with threadpool_limits(1):
            drawn = null(study, np.random.default_rng(drawing))
            values = procedure.statistics(drawn, own)
    except Exception as error:  # a refit may raise anything, and the others must go on
        return Row(variant, replication, own, problem=f"{type(error).__name__}: {error}")
    if not np.isfinite(list(values.values())).all():
        return Row(variant, replication, own, problem="a statistic is not finite")
    return Row(variant, replication, own, **values)


def _table(rows: list[Row]) -> pd.DataFrame:
    table = pd.DataFrame([asdict(row) for row in rows])
    return table.set_index(["variant", "replication"])


def _compare(observed: pd.Series, null: pd.DataFrame, name: str, alpha: float) -> dict[str, float]:
    """Compare one statistic with its null distribution; see :meth:`NullDistribution.summary`."""
    values = null[name].to_numpy()
    n, reached, tail = len(values), _reached(observed, null, name), (1 - MC_PROB) / 2
    ordered = np.concatenate([[-np.inf], np.sort(values), [np.inf]])
    at = min(math.ceil((n + 1) * (1 - alpha) - 1e-9), n)
    low, high = (int(binom.ppf(q, n, 1 - alpha)) for q in (tail, 1 - tail))
    return {
        "observed": float(observed[name]),
        "reached": reached,
        "p_value": (1 + reached) / (1 + n),
        "p_lower": float(beta.ppf(tail, reached, n - reached + 1)) if reached else 0.0,
        "p_upper": float(beta.ppf(1 - tail, reached + 1, n - reached)) if reached < n else 1.0,
        "threshold": float(ordered[at]),
        "threshold_lower": float(ordered[low]),
        "threshold_upper": float(ordered[high + 1]),
    }


def _reached(observed: pd.Series, null: pd.DataFrame, name: str) -> int:
    """Count the replications that reach the observed value."""
    values, own = null[name], observed[name]
    if name != DECIDING:
        return int((values >= own).sum())
    tied = (values == own) & (null["contrast"] >= observed["contrast"])
    return int(((values > own) | tied).sum())
