"""The outcome model of family ``piecewise_hazard``: a binary model of units in intervals of time.

Each unit has a row for each interval of time, with the interval as one more covariate, and the
outcome of a row is whether the event came in it. The model of these rows is that of any binary
outcome, on any surface and learner, so a hazard may have any form in time and covariates, and
effects may change with time. Everything else sees units: their hazards are parameters of
:class:`bayes_hte.components.families.hazard.PiecewiseHazard`. Where events have several causes each
has such a model, in whose rows an event of another cause ends observation. The likelihood is a
product over causes, so their posteriors are independent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import xarray as xr
from scipy import special

from bayes_hte.components.component import Component
from bayes_hte.components.families.hazard import (
    PiecewiseHazard,
    at_edges,
    events_at_risk,
    expected,
    incidence,
    interval_edges,
)
from bayes_hte.components.fitted import FittedComponent
from bayes_hte.components.noise import ComputedNoise
from bayes_hte.components.outcome import build_outcome
from bayes_hte.components.predictor import LinearPredictor
from bayes_hte.errors import DataError
from bayes_hte.study.design import Design, FeatureSet
from bayes_hte.study.encoding import Encoding
from bayes_hte.study.roles import Roles
from bayes_hte.study.study import Study
from bayes_hte.study.time_to_event import Censoring, Estimand, EstimandName

# Columns of the rows; the parentheses distinguish them from a user's own.
INTERVAL = "(interval)"
EVENT = "(event in interval)"


@dataclass(frozen=True)
class HazardDesign(Design):
    """Units, with an encoding that also holds the interval of time."""

    def at_interval(self, k: int) -> HazardDesign:
        """Return the units in one interval, counted from 0."""
        return replace(self, frame=self.frame.assign(**{INTERVAL: float(k)}))

    def columns(self, features: FeatureSet) -> Encoding:
        """Return the encoding of the columns of a feature set, with the interval."""
        own = super().columns(features).columns
        wanted = {c.name for c in own} | (set() if features == "none" else {INTERVAL})
        return Encoding(tuple(c for c in self.encoding.columns if c.name in wanted))


def period_study(study: Study, edges: np.ndarray, cause: str | None = None) -> Study:
    """Return the study of units in intervals: a row for each, unit by unit.

    Parameters
    ----------
    study : Study
        Of times to an event.
    edges : ndarray, shape (interval + 1,)
        Edges of the intervals.
    cause : str, optional
        The cause whose events count, of several; default all.

    Returns
    -------
    Study
        Its outcome is missing where a unit was not at risk.

    Raises
    ------
    DataError
        If a covariate has the name of a column that is added.
    """
    taken = {INTERVAL, EVENT} & {study.roles.treatment, *study.roles.covariates}
    if taken:
        raise DataError(f"rename column {min(taken)!r}: the model uses that name itself.")
    n, k = study.n_units, edges.size - 1
    kept = study.frame[[study.roles.treatment, *study.roles.covariates]]
    frame = kept.iloc[np.repeat(np.arange(n), k)].reset_index(drop=True)
    event = study.event if cause is None else study.event_of(cause)
    seen = events_at_risk(study.outcome(), Censoring(event, study.entry), edges)
    seen[~study.known_outcome()] = np.nan
    frame = frame.assign(**{EVENT: seen.ravel(), INTERVAL: np.tile(np.arange(float(k)), n)})
    roles = Roles(
        outcome=EVENT,
        treatment=study.roles.treatment,
        covariates=(*study.roles.covariates, INTERVAL),
    )
    rule = "splits" if study.missing == "complete" else study.missing
    return Study.of_roles(frame, roles, reference=study.arms[0], missing=rule, gaps=study.gaps)


@dataclass(frozen=True)
class HazardModel:
    """A model of hazards that was not sampled yet.

    Attributes
    ----------
    components : tuple of Component
        The binary model of the rows of intervals; of several causes one for each, that of interest
        first.
    design : HazardDesign
        The units.
    edges : ndarray, shape (interval + 1,)
        Edges of the intervals.
    """

    components: tuple[Component, ...]
    design: HazardDesign
    edges: np.ndarray

    def fitted(self, rows: Iterable[FittedComponent]) -> HazardComponent:
        """Return the component of the units, from the sampled ones of the rows."""
        first, *others = (
            HazardComponent.of_rows(each, design=self.design, edges=self.edges) for each in rows
        )
        return replace(first, others=tuple(others))


def build_hazard(
    study: Study, *, propensity: np.ndarray | None = None, **models: Any
) -> HazardModel:
    """Build the model of hazards.

    Parameters
    ----------
    study : Study
        Of times to an event.
    propensity : ndarray, shape (unit,) or (unit, arms - 1), optional
        Estimated propensity, to be a covariate.
    **models
        Surface, learner, priors and so on of :func:`bayes_hte.components.outcome.build_outcome`.

    Returns
    -------
    HazardModel
    """
    known = study.known_outcome()
    edges = interval_edges(study.outcome()[known], study.event[known])
    design, rows, learned = hazard_designs(study, edges, propensity)
    if not study.causes:
        component = build_outcome(rows, learned, family="bernoulli", **models)
        return HazardModel((component,), design, edges)
    components = tuple(
        build_outcome(
            period_study(study, edges, cause), learned, family="bernoulli", role=role, **models
        )
        for role, cause in zip(cause_roles(study), study.causes, strict=True)
    )
    return HazardModel(components, design, edges)


def cause_roles(study: Study) -> tuple[str, ...]:
    """Return the starts of the names of the variables of each cause, that of interest first."""
    return ("outcome", *(f"outcome_cause_{i}" for i in range(2, len(study.causes) + 1)))


def hazard_designs(
    study: Study, edges: np.ndarray, propensity: np.ndarray | None
) -> tuple[HazardDesign, Study, Design]:
    """Return the design of the units, the study of rows of intervals, and the design of these."""
    rows, k = period_study(study, edges), edges.size - 1
    each = None if propensity is None else np.repeat(propensity, k, axis=0)
    learned, units = Design.learn(rows, propensity=each), Design.learn(study, propensity=propensity)
    given = {f.name: getattr(units, f.name) for f in fields(Design)}
    return HazardDesign(**{**given, "encoding": learned.encoding}), rows, learned


@dataclass(frozen=True)
class HazardComponent(FittedComponent):
    """A sampled model of hazards, seen as one of units.

    Attributes
    ----------
    edges : tuple of float
        Edges of the intervals. `at_units` of :class:`FittedComponent` holds values at the rows of
        intervals, unit by unit, and `learned` these rows.
    others : tuple of HazardComponent
        Those of the other causes, where events have several.
    """

    edges: tuple[float, ...] = ()
    others: tuple[HazardComponent, ...] = ()

    @classmethod
    def of_rows(
        cls, rows: FittedComponent, *, design: HazardDesign, edges: np.ndarray
    ) -> HazardComponent:
        """Return the component of units from the one of their rows of intervals."""
        given = {f.name: getattr(rows, f.name) for f in fields(FittedComponent)}
        own = {"design": design, "learned": rows.design, "family_name": PiecewiseHazard.name}
        return cls(**{**given, **own}, edges=tuple(float(e) for e in edges))

    @property
    def family(self) -> PiecewiseHazard:
        """The family object, with its intervals."""
        return PiecewiseHazard(self.edges)

    @property
    def n_intervals(self) -> int:
        """Number of intervals."""
        return len(self.edges) - 1

    def predictor_in(self, interval: int, design: Design | None = None) -> LinearPredictor:
        """Return the log odds of the event in one interval, dims (chain, draw, unit, arm)."""
        own = design is None or design is self.design
        rows = self.design if own else design
        period = rows.at_interval(interval)
        given = {f.name: getattr(self, f.name) for f in fields(FittedComponent)}
        kept = {
            name: values[:, :, interval :: self.n_intervals]
            for name, values in self.at_units.items()
            if own
        }
        part = FittedComponent(**{**given, "design": period, "at_units": kept})
        return part.linear_predictor(period)

    def hazards(self, design: Design | None = None) -> Iterator[np.ndarray]:
        """Return the hazards of each interval, shape (chain, draw, unit, arm); of any event."""
        return map(any_hazard, self.hazards_by_cause(design))

    def hazards_by_cause(self, design: Design | None = None) -> Iterator[list[np.ndarray]]:
        """Yield the hazards of each cause in each interval, that of interest first."""
        rows = None if design is self.design else design
        for k in range(self.n_intervals):
            yield self.hazards_in(k, rows)

    def hazards_in(self, interval: int, design: Design | None = None) -> list[np.ndarray]:
        """Return the hazards of each cause in one interval, that of interest first.

        Parameters
        ----------
        interval : int
            Counted from 0.
        design : Design, optional
            Rows; default the units of the study.

        Returns
        -------
        list of ndarray, shape (chain, draw, unit, arm)
        """
        return [
            special.expit(cause.predictor_in(interval, design).base.to_numpy())
            for cause in (self, *self.others)
        ]

    def noise(self, design: Design | None = None) -> Mapping[str, np.ndarray]:
        """Return the hazards at rows in their own arms, each of shape (chain, draw, unit).

        In single precision, and computed when they are asked for, because there is one array for
        each interval.
        """
        own = design is None or design is self.design
        arm = (self.design if own else design).arm[None, None, :, None]

        def compute(interval: int) -> np.ndarray:
            each = any_hazard(self.hazards_in(interval, None if own else design))
            return np.take_along_axis(each, arm, axis=3)[..., 0].astype(np.float32)

        return ComputedNoise(self.family.noise, compute)

    def linear_predictor(
        self, design: Design | None = None, *, expected: np.ndarray | None = None
    ) -> LinearPredictor:
        """Return the log odds of the event in the first interval, which stand for a predictor."""
        return self.predictor_in(0, design)

    def mean(self, design: Design | None = None, estimand: Estimand | None = None) -> xr.DataArray:
        """Return the restricted mean or a probability, dims (chain, draw, unit, arm).

        Parameters
        ----------
        design : Design, optional
            Rows; default the units of the study.
        estimand : Estimand
            The quantity and its time.

        Returns
        -------
        DataArray
        """
        if estimand is None:
            raise DataError("the mean of times to an event needs a horizon.")
        base = self.linear_predictor(design).base
        if estimand.name == "cumulative_incidence":
            hazards = self.hazards_by_cause(design)
            return base.copy(data=incidence(hazards, np.array(self.edges), estimand.at))
        return base.copy(data=expected(self.hazards(design), np.array(self.edges), estimand))

    def averages_at_edges(
        self,
        members: Sequence[np.ndarray],
        estimand: EstimandName,
        design: Design | None = None,
    ) -> xr.DataArray:
        """Return probabilities at all edges but the first, averaged over groups of units.

        Parameters
        ----------
        members : sequence of ndarray of bool, shape (unit,)
            The units of each group.
        estimand : {"survival", "cumulative_incidence"}
            The probability.
        design : Design, optional
            Rows; default the units of the study.

        Returns
        -------
        DataArray, dims (chain, draw, arm, group, edge)
            One pass over the intervals gives the curve, a straight line between edges.
        """
        weights = np.stack([own / own.sum() for own in members], axis=1)
        hazards = self.hazards_by_cause(design)
        curve = at_edges(hazards, incidence=estimand == "cumulative_incidence")
        values = [np.einsum("cdua,ug->cdag", each, weights) for each in curve]
        dims = ("chain", "draw", "arm", "group", "edge")
        return xr.DataArray(np.stack(values, axis=-1), dims=dims)

    def of_arms(self, arms: tuple[int, int]) -> HazardComponent:
        """Return the component with two of its arms; see :meth:`FittedComponent.of_arms`."""
        in_arms = np.flatnonzero(np.isin(self.design.arm, arms))
        # Of all rows here, because those of units in other arms go with the units.
        rows = (in_arms[:, None] * self.n_intervals + np.arange(self.n_intervals)).ravel()
        found = super().of_arms(arms)
        kept = {name: values[:, :, rows] for name, values in self.at_units.items()}
        others = tuple(replace(o.of_arms(arms), design=found.design) for o in self.others)
        return replace(found, at_units=kept, others=others)

    def keep_draws(self, draws: np.ndarray) -> HazardComponent:
        """Return the component with some draws; see :meth:`FittedComponent.keep_draws`."""
        others = tuple(other.keep_draws(draws) for other in self.others)
        return replace(super().keep_draws(draws), others=others)

    def without_rows(self) -> HazardComponent:
        """Return the component without the values at the rows of the study."""
        others = tuple(other.without_rows() for other in self.others)
        return replace(self, at_units={}, others=others)


def any_hazard(causes: Sequence[np.ndarray]) -> np.ndarray:
    """Return the hazard of an event of any cause, from those of each."""
    if len(causes) == 1:
        return causes[0]
    return 1 - np.prod([1 - hazard for hazard in causes], axis=0)


def loaded(component: FittedComponent, study: Study, edges: tuple[float, ...]) -> HazardComponent:
    """Return a component of hazards from its saved parts.

    Parameters
    ----------
    component : FittedComponent
        The parts, with the units as design.
    study : Study
        The study.
    edges : tuple of float
        Edges of the intervals.

    Returns
    -------
    HazardComponent
    """
    design, _, learned = hazard_designs(study, np.array(edges), component.design.propensity)
    encoding = component.design.encoding
    rows = replace(component, design=replace(learned, encoding=encoding))
    return HazardComponent.of_rows(rows, design=replace(design, encoding=encoding), edges=edges)
