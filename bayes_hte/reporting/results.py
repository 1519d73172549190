"""Everything a finished run has computed, as one frozen object the report and the plots read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

import xarray as xr

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.sampling_health import NAME as HEALTH
from bayes_hte.effects.arguments import Better
from bayes_hte.effects.summaries import CiKind
from bayes_hte.study.spec import Spec
from bayes_hte.study.study import Study

if TYPE_CHECKING:
    from bayes_hte.companions.classical import Classical
    from bayes_hte.mixtures import MixtureFit
    from bayes_hte.sensitivity import Sensitivity
    from bayes_hte.subgroups import Evidence, HonestSubgroups, Subgroups
    from bayes_hte.trust.rule import Trust
    from bayes_hte.trust.unseen import Targeting


class Interval(TypedDict):
    """The interval of every summary of a report, as arguments of the functions that make them."""

    ci_prob: float
    ci_kind: CiKind


class Direction(TypedDict):
    """The good direction of the outcome and the minimal important difference, as arguments."""

    better: Better
    important: float


@dataclass(frozen=True)
class Results:
    """The computed results of one study; nothing here samples or summarises.

    Attributes
    ----------
    spec : Spec
        The declared analysis.
    study : Study
        The data and roles.
    effects : Dataset
        Unit-level draws, dims (chain, draw, unit), in outcome units: ``te`` and, with a mediator,
        ``tnie``, ``pnde``, ``pnie``, ``tnde``.
    averages : Dataset
        The same variables averaged over the units of the study (SATE), dims (chain, draw).
    populations : Dataset
        The total effect averaged over each population: ``SATE``, ``PATE``, ``ATT``, ``ATC``,
        dims (chain, draw).
    controlled : DataArray or None
        Controlled direct effects averaged over units, dims (chain, draw, mediator_value).
    propensity : DataArray
        Probability of the non-reference arm, dims (chain, draw, unit).
    subgroups : mapping of str to Subgroups
        M-learner results by effect name (``"tnie"``, ``"te"``).
    checks : tuple of CheckResult
        Every check that was run, sampling health first.
    provenance : mapping
        Spec hash, data fingerprint, seed, package versions, seconds by stage, command.
    trust : Trust
        The verdict over the checks.
    classical : Classical
        Raw, matched and weighted comparisons of the arms.
    reference_outcome : DataArray or None
        Posterior-mean outcome of each unit had it been given the reference arm, dims (unit,); None
        if the results were saved before it was kept.
    targeting : Targeting or None
        Ranking and calibration on outcomes the effects have not seen; None if effects are equal.
    beside : mapping of str to Dataset
        Learners fitted for comparison, by name; each as
        :func:`bayes_hte.fitting.effects_of_fit.learner_summary` returns it.
    sensitivity : Sensitivity or None
        How much hidden confounding would change the answer.
    honest : mapping of str to HonestSubgroups
        Whether groups that differ in one half of the units differ in the other, by effect name.
    evidence : mapping of str to Evidence
        How well found subgroups summarise the individual effects, by effect name.
    mixture : MixtureFit or None
        The mixture of classes, if the study file asks for one.
    arm_means : DataArray or None
        Expected outcomes averaged over the units, dims (chain, draw, arm), reference first.
    reference_draws : DataArray or None
        Expected outcome of each unit in the reference arm, dims (chain, draw, unit); None if the
        results were saved before it was kept.
    legs : Dataset or None
        From :func:`bayes_hte.fitting.effects_of_fit.mediation_legs`.
    curves : DataArray or None
        Of times to an event, survival curves, dims (chain, draw, group, arm, time): group 0 is
        everybody, 1 to 3 are the thirds of predicted times in the reference arm.
    incidence : DataArray or None
        Of events of several causes, the cumulative incidence of that of interest, as `curves`.
    subgroup_curves : mapping of str to DataArray
        Of times to an event, curves of the subgroups, dims (chain, draw, group, arm, time), by
        effect: the probability that effects are on, or of surviving.
    curves_like : Dataset or None
        Of times to an event, such curves of units that agree on a few covariates (``curve``), and
        the group of each unit (``label``); None in runs that were saved before they were kept.
    interventional : Dataset or None
        Effects through each of two mediators averaged over the units, dims (chain, draw); see
        :func:`bayes_hte.interventional_effects`, and where the treatment changes a confounder
        :func:`bayes_hte.effects_given_confounder`. None with another number of mediators.
    """

    spec: Spec
    study: Study
    effects: xr.Dataset
    averages: xr.Dataset
    populations: xr.Dataset
    controlled: xr.DataArray | None
    propensity: xr.DataArray
    subgroups: Mapping[str, Subgroups]
    checks: tuple[CheckResult, ...]
    provenance: Mapping[str, Any]
    trust: Trust
    classical: Classical
    reference_outcome: xr.DataArray | None = None
    targeting: Targeting | None = None
    beside: Mapping[str, xr.Dataset] = field(default_factory=dict)
    sensitivity: Sensitivity | None = None
    honest: Mapping[str, HonestSubgroups] = field(default_factory=dict)
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    mixture: MixtureFit | None = None
    arm_means: xr.DataArray | None = None
    reference_draws: xr.DataArray | None = None
    legs: xr.Dataset | None = None
    curves: xr.DataArray | None = None
    incidence: xr.DataArray | None = None
    subgroup_curves: Mapping[str, xr.DataArray] = field(default_factory=dict)
    curves_like: xr.Dataset | None = None
    interventional: xr.Dataset | None = None

    @property
    def healthy(self) -> bool:
        """Whether every sampling-health check passed."""
        return all(c.passed for c in self.checks if c.name.startswith(HEALTH))

    @property
    def interval(self) -> Interval:
        """The interval that the study file asks for."""
        return {"ci_prob": self.spec.report.ci_prob, "ci_kind": self.spec.report.ci_kind}

    @property
    def direction(self) -> Direction:
        """The direction of benefit, and the smallest benefit that matters."""
        outcome = self.spec.outcome
        return {"better": outcome.better, "important": outcome.minimal_important_difference}
