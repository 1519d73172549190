"""A fitted study: every component, and their outcomes and effects."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte import effects
from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.sampling_health import sampling_health
from bayes_hte.components.arm_probabilities import PairPropensity, arm_probabilities
from bayes_hte.components.effect import blend
from bayes_hte.components.families import Family
from bayes_hte.components.fitted import FittedComponent
from bayes_hte.components.learners import numbered
from bayes_hte.components.noise import noise_of
from bayes_hte.components.numbered import EFFECT, PROPENSITY, kind_and_arm, names_of
from bayes_hte.components.stacked import StackedComponent
from bayes_hte.effects.contrasts import labelled
from bayes_hte.effects.pairs import Contrast, by_contrast, contrast_name, pairs_of
from bayes_hte.effects.summaries import CiKind, interval_parameters, summarize
from bayes_hte.errors import DataError, SpecError, UnsupportedError, unknown_name
from bayes_hte.fitting.expected_mediator import expected_mediator
from bayes_hte.fitting.mediation import (
    arm_coords,
    outcomes_at,
    outcomes_under,
    potential_outcomes,
)
from bayes_hte.fitting.plan import Plan, study_horizon
from bayes_hte.names import ARM, CHAIN, DRAW, EFFECTS, SAMPLE, UNIT
from bayes_hte.seeds import stage_seed
from bayes_hte.study.design import Design
from bayes_hte.study.frames import as_table, unit_labels
from bayes_hte.study.study import Study
from bayes_hte.study.time_to_event import Estimand, EstimandName, check_horizon

AnyComponent = FittedComponent | StackedComponent | PairPropensity
# Rows predicted at once: bounds the memory of the arrays between parameters and outcomes.
BATCH = 4000


@dataclass(frozen=True)
class Fit:
    """A fitted study.

    Attributes
    ----------
    study : Study
        The data.
    plan : Plan
        The models.
    seed : int
        The user's seed.
    components : mapping of str to FittedComponent or StackedComponent
        ``"propensity"``, ``"outcome"``, with a mediator ``"mediator"``, and for learner ``"x"``
        the second stage ``"effect"``. With more than two arms also ``"propensity_2"``, ... and
        ``"effect_2"``, ...; see :mod:`bayes_hte.components.numbered`.
    whole : Fit or None
        The fit of all arms, of which this one shows two; see :meth:`two_arms`.

    Examples
    --------
    >>> import numpy as np
    >>> import bayes_hte as hte
    >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
    >>> roles = {"outcome": "y", "treatment": "treat", "mediator": "m"}
    >>> study = hte.Study.from_frame(frame, **roles, covariates=["x1", "x2", "x3"])
    >>> fit = hte.fit(study, seed=1, draws=20, tune=20, chains=2, progress=False)
    >>> fit.study.contrast
    '1 vs 0'
    >>> list(fit.components)
    ['propensity', 'mediator', 'outcome']
    >>> fit.cate().sizes["unit"]
    60
    """

    study: Study
    plan: Plan
    seed: int
    components: Mapping[str, AnyComponent] = field(repr=False)
    whole: Fit | None = field(default=None, repr=False)

    @property
    def posterior(self) -> xr.DataTree:
        """Draws of every component's parameters as an ArviZ DataTree.

        Groups: ``posterior`` (all variables start with their component's name), ``sample_stats``
        (those of the outcome), ``mediator_stats`` and ``propensity_stats``; for each unit's outcome
        ``log_likelihood``, ``posterior_predictive`` (new draws in the unit's own arm, with its own
        mediator) and ``observed_data``. The outcome has the name of its column, or ``outcome`` if
        xarray cannot hold that name, which is then in the attribute ``column``. Forest values at
        units are left out; :meth:`potential_outcomes` has what they mean.
        """
        groups = {"posterior": xr.merge([c.posterior for c in self.components.values()])}
        for role, component in self.components.items():
            name = "sample_stats" if role == "outcome" else f"{role}_stats"
            groups[name] = component.stats
        column, eta = self.study.roles.outcome, self.observed_predictor()
        name = _variable_of(column)
        # The same draws each time the tree is made.
        rng = np.random.default_rng(stage_seed(self.seed, "posterior predictive"))
        drawn = self.observed_family().draw(rng, eta.to_numpy(), self.observed_noise())
        recorded = self.study.frame[column][self.study.known_outcome()]
        observed = xr.DataArray(recorded.to_numpy(), dims=UNIT, coords={UNIT: eta[UNIT]})
        values = {
            "log_likelihood": self.log_likelihood(),
            "posterior_predictive": eta.copy(data=drawn),
            "observed_data": observed,
        }
        for group, array in values.items():
            groups[group] = array.assign_attrs(column=column).to_dataset(name=name)
        return xr.DataTree.from_dict(groups)

    @property
    def is_prior(self) -> bool:
        """Whether the draws are those of the priors, from :func:`bayes_hte.fit_prior`."""
        return "propensity" not in self.components

    def propensity(self, newdata: pd.DataFrame | None = None) -> xr.DataArray:
        """Return the probability of the non-reference arm, or of more than two of every arm.

        Parameters
        ----------
        newdata : DataFrame, optional
            Other units with the same covariates; default the units of the study.

        Returns
        -------
        DataArray, dims (chain, draw, unit[, arm])
            With ``arm`` in a study of more than two arms, whose probabilities sum to 1.

        Raises
        ------
        DataError
            If new data lack a covariate, or hold a level the study does not; or if the draws are
            those of the priors.

        Examples
        --------
        >>> import numpy as np
        >>> import bayes_hte as hte
        >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
        >>> roles = {"outcome": "y", "treatment": "treat", "mediator": "m"}
        >>> study = hte.Study.from_frame(frame, **roles, covariates=["x1", "x2", "x3"])
        >>> fit = hte.fit(study, seed=1, draws=20, tune=20, chains=2, progress=False)
        >>> bool(((fit.propensity() > 0) & (fit.propensity() < 1)).all())
        True
        """
        if self.is_prior:
            raise DataError("draws of the priors have no propensity; take it from hte.fit.")
        component = self.components["propensity"]
        design = None if newdata is None else component.design.replay(newdata)
        if len(self.study.arms) > 2:
            each = arm_probabilities(self.components, design).rename("propensity")
            return arm_coords(each, self.study.arms)
        return component.mean(design).isel({ARM: 0}, drop=True).rename("propensity")

    def two_arms(self, arm: Any, reference: Any) -> Fit:
        """Return the fit as one of two arms: their units, models and draws.

        Everything that compares two arms by its nature takes it: companions, checks and
        refutations, a verdict, subgroups, targeting. Its effects are those of this fit, so what the
        other arms say about the covariates stays in them. Refits, such as those of halves and of
        refutations, are fits of the two arms alone.

        Parameters
        ----------
        arm, reference : object
            The arms of the contrast ``arm vs reference``.

        Returns
        -------
        Fit
            Of the units in one of the two arms; itself if the study has no other, in this order.

        Raises
        ------
        SpecError
            If these are not two different arms of the study.
        DataError
            If a covariate has only one value in the two arms.

        Examples
        --------
        >>> import numpy as np
        >>> import pandas as pd
        >>> import bayes_hte as hte
        >>> rng = np.random.default_rng(1)
        >>> frame = pd.DataFrame({"y": rng.normal(size=60), "x": rng.normal(size=60)})
        >>> frame["drug"] = ["none", "low", "high"] * 20
        >>> roles = {"outcome": "y", "treatment": "drug", "covariates": ["x"]}
        >>> study = hte.Study.from_frame(frame, **roles, reference="none")
        >>> fit = hte.fit(study, seed=1, draws=20, tune=20, chains=2, progress=False)
        >>> pair = fit.two_arms("high", "low")
        >>> pair.study.contrast, pair.cate().sizes["unit"]
        ('high vs low', 40)
        """
        if (reference, arm) == self.study.arms:
            return self
        study = self.study.two_arms(arm, reference)
        arms = (self.study.arms.index(reference), self.study.arms.index(arm))
        kept = {r: self.components[r] for r in ("mediator", "outcome") if r in self.components}
        components: dict[str, AnyComponent] = {r: c.of_arms(arms) for r, c in kept.items()}
        if not self.is_prior:
            names = names_of(PROPENSITY, len(self.study.arms))
            parts = {name: self.components[name] for name in names}
            components = {PROPENSITY: PairPropensity(parts, arms), **components}
        # Second stages are read from the whole fit, and kept for the statistics of their sampling.
        second = {r: c for r, c in self.components.items() if kind_and_arm(r)[0] == EFFECT}
        whole = self.whole or self
        return replace(self, study=study, components={**components, **second}, whole=whole)

    def potential_outcomes(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        mediator_value: float | None = None,
        batch: int = BATCH,
        estimand: EstimandName | None = None,
        at: float | None = None,
    ) -> xr.DataArray:
        """Return expected outcomes under each arm, draw by draw.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows with every covariate; default the study's units.
        mediator_value : float, optional
            Hold the mediator at this value for all units (for controlled direct effects).
        batch : int, default 4000
            New rows predicted at once; the result does not depend on it, the memory does.
        estimand : {"rmst", "survival"}, optional
            Of times to an event: the mean time restricted to a horizon (the default), or the
            probability of surviving beyond a time.
        at : float, optional
            That horizon (default ``fit.horizon``), or that time, in the unit of the outcome; of
            survival it must be given.

        Returns
        -------
        DataArray, dims (chain, draw, unit, arm[, mediator_arm])
            On the response scale; ``mediator_arm`` only in a mediated study whose mediator is not
            held. Of times to an event the attributes ``estimand``, ``at`` and ``estimand_words``
            say which scale it is.

        Raises
        ------
        DataError
            If `newdata` lacks a covariate or has unseen levels or missing values, or a mediator
            value is given for a study without mediator; or if `at` lies beyond the follow-up.
        SpecError
            If an estimand is unknown, lacks its time, or the outcome is no time to an event.
        UnsupportedError
            If the learner models the effect itself (``"x"``).

        Examples
        --------
        >>> import numpy as np
        >>> import bayes_hte as hte
        >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
        >>> roles = {"outcome": "y", "treatment": "treat", "mediator": "m"}
        >>> study = hte.Study.from_frame(frame, **roles, covariates=["x1", "x2", "x3"])
        >>> fit = hte.fit(study, seed=1, draws=20, tune=20, chains=2, progress=False)
        >>> dict(fit.potential_outcomes(frame.head(3)).sizes)
        {'chain': 2, 'draw': 20, 'unit': 3, 'arm': 2, 'mediator_arm': 2}
        """
        if self.plan.second_stage:
            raise UnsupportedError(
                f"learner {self.plan.learner!r} models the effect, not the outcomes under both "
                f"arms; use fit.cate(), or learner={self.plan.first_stage().learner!r} for both."
            )
        if "mediator" not in self.components and mediator_value is not None:
            raise DataError("this study has no mediator to hold at a value.")
        scale = self.estimand(estimand, at=at)
        return _in_batches(lambda rows: self._outcomes(rows, scale, mediator_value), newdata, batch)

    @property
    def horizon(self) -> float | None:
        """Time to which mean survival is restricted; None unless the outcome is a time.

        As planned, or the latest time at which each arm has a tenth of its units at risk.
        """
        study = self.study if self.whole is None else self.whole.study
        if study.event is None or not self.components["outcome"].family.times:
            return None
        return self.plan.horizon or study_horizon(study)

    def estimand(
        self, name: EstimandName | None = None, *, at: float | None = None
    ) -> Estimand | None:
        """Return the scale on which outcomes are expected; None unless they are times to an event.

        Parameters
        ----------
        name : {"rmst", "survival"}, optional
            As in :meth:`potential_outcomes`.
        at : float, optional
            Its time.

        Returns
        -------
        Estimand or None
            By default the restricted mean survival time to :attr:`horizon`.

        Raises
        ------
        SpecError
            If it is unknown, lacks its time, or the outcome is no time to an event.
        DataError
            If `at` lies beyond the follow-up of an arm.
        """
        horizon = self.horizon
        if horizon is None:
            if name is not None or at is not None:
                raise SpecError(
                    "estimand and at are for times to an event, and the outcome "
                    f"{self.study.roles.outcome!r} is none; leave them out, or build the study "
                    "with event=<column>."
                )
            return None
        if name not in (None, *get_args(EstimandName)):
            raise unknown_name("estimand", str(name), get_args(EstimandName))
        if name == "survival" and at is None:
            raise SpecError('estimand="survival" needs a time, such as at=5.')
        if at is not None:
            study = self.study if self.whole is None else self.whole.study
            check_horizon(at, study.outcome(), study.arm_index(), study.arms, what="at")
        return Estimand(name or "rmst", float(horizon if at is None else at))

    def cate(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        contrast: Contrast = None,
        batch: int = BATCH,
        estimand: EstimandName | None = None,
        at: float | None = None,
    ) -> xr.DataArray:
        """Return the conditional average treatment effect of each unit: its total effect.

        Parameters
        ----------
        newdata, batch, estimand, at
            As in :meth:`potential_outcomes`.
        contrast : (arm, arm), str, optional
            ``("B", "A")`` or ``"B vs A"`` for one contrast, ``"all"`` for every pair of arms. By
            default the one contrast of two arms; of more, each arm against the reference.

        Returns
        -------
        DataArray, dims (chain, draw, unit[, contrast])
            In outcome units; with ``contrast`` if there are several.

        Raises
        ------
        SpecError
            If `contrast` names no pair of arms.

        Examples
        --------
        >>> import numpy as np
        >>> import bayes_hte as hte
        >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
        >>> roles = {"outcome": "y", "treatment": "treat", "mediator": "m"}
        >>> study = hte.Study.from_frame(frame, **roles, covariates=["x1", "x2", "x3"])
        >>> fit = hte.fit(study, seed=1, draws=20, tune=20, chains=2, progress=False)
        >>> fit.cate().dims
        ('chain', 'draw', 'unit')
        >>> fit.cate(frame.head(3)).sizes["unit"]
        3
        """
        if not self.plan.second_stage:
            mu = self.potential_outcomes(newdata, batch=batch, estimand=estimand, at=at)
            return effects.cate(mu, contrast=contrast)
        self.estimand(estimand, at=at)
        arms = self.study.arms
        pairs, several = pairs_of(arms, contrast)
        parts = [
            labelled(
                _in_batches(lambda rows, pair=pair: self._blended(rows, pair), newdata, batch),
                "cate",
                contrast_name(arms[pair[0]], arms[pair[1]]),
                "response",
                EFFECTS["cate"][0],
            )
            for pair in pairs
        ]
        return by_contrast(parts) if several else parts[0]

    def effects(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        contrast: Contrast = None,
        batch: int = BATCH,
        estimand: EstimandName | None = None,
        at: float | None = None,
    ) -> xr.Dataset:
        """Return every effect of each unit: total and, with a mediator, direct and indirect.

        Parameters
        ----------
        newdata, contrast, batch, estimand, at
            As in :meth:`cate`.

        Returns
        -------
        Dataset, dims (chain, draw, unit[, contrast])
            In outcome units: ``te`` and, with a mediator, ``tnie``, ``pnde``, ``pnie`` and
            ``tnde``.

        Examples
        --------
        >>> import numpy as np
        >>> import bayes_hte as hte
        >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
        >>> roles = {"outcome": "y", "treatment": "treat", "mediator": "m"}
        >>> study = hte.Study.from_frame(frame, **roles, covariates=["x1", "x2", "x3"])
        >>> fit = hte.fit(study, seed=1, draws=20, tune=20, chains=2, progress=False)
        >>> effects = fit.effects()
        >>> list(effects)
        ['te', 'tnie', 'pnde', 'pnie', 'tnde']
        >>> np.allclose(effects["te"], effects["tnie"] + effects["pnde"])
        True
        """
        if "mediator" in self.components:
            mu = self.potential_outcomes(newdata, batch=batch, estimand=estimand, at=at)
            return effects.decompose(mu, contrast=contrast)
        how = {"estimand": estimand, "at": at}
        te = self.cate(newdata, contrast=contrast, batch=batch, **how).rename("te")
        return te.assign_attrs(effect="te", long_name="total effect").to_dataset()

    def summary(self, *, ci_prob: float = 0.95, contrast: Contrast = None) -> pd.DataFrame:
        """Summarise the average effects over the units of the study (SATE), one row each.

        Parameters
        ----------
        ci_prob : float, default 0.95
            Posterior probability of the interval, which is equal-tailed.
        contrast : (arm, arm), str, optional
            As in :meth:`cate`.

        Returns
        -------
        DataFrame, index quantity[, contrast]
            The columns of :func:`bayes_hte.summarize`, for the total effect and with a mediator
            the direct and indirect effects; of times to an event ``estimand``, the scale and its
            horizon in words; and ``note``, which is empty unless the sampling is not healthy, when
            it says why.

        Raises
        ------
        SpecError
            If `ci_prob` is not between 0 and 1.

        Examples
        --------
        >>> import numpy as np
        >>> import bayes_hte as hte
        >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
        >>> roles = {"outcome": "y", "treatment": "treat", "mediator": "m"}
        >>> study = hte.Study.from_frame(frame, **roles, covariates=["x1", "x2", "x3"])
        >>> fit = hte.fit(study, seed=1, draws=20, tune=20, chains=2, progress=False)
        >>> list(fit.summary().index)
        ['te', 'tnie', 'pnde', 'pnie', 'tnde']
        """
        if "mediator" in self.components:
            draws = self.effects(contrast=contrast)
        else:
            draws = self.cate(contrast=contrast).to_dataset()
        table = summarize(effects.average(draws), ci_prob=ci_prob)
        if (estimand := self.estimand()) is not None:
            table = table.assign(estimand=estimand.words())
        # Draws of the priors are independent, in one chain.
        note = "" if self.is_prior else health_note(self._health_of(draws))
        return table.assign(note=note)

    def health(self) -> tuple[CheckResult, ...]:
        """Judge the draws by the check of sampling health: averages, single units, divergences.

        Returns
        -------
        tuple of CheckResult
            In studies of more than 4,000 units from the effects of 4,000, evenly spaced.
        """
        if self.study.n_units <= BATCH:
            return self._health_of(self.effects())
        some = np.linspace(0, self.study.n_units - 1, BATCH).astype(int)
        return self._health_of(self.effects(self.study.frame.iloc[some]))

    def _health_of(self, draws: xr.Dataset) -> tuple[CheckResult, ...]:
        stats = {role: component.stats for role, component in self.components.items()}
        with warnings.catch_warnings():
            # With fewer draws than chains, which the check then judges.
            warnings.filterwarnings("ignore", message="Found chain dimension to be longer")
            return sampling_health(draws, stats)

    @interval_parameters
    def modifiers(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Covariates that effects vary with: the use that the trees of the effect make of each.

        Returns
        -------
        DataFrame, one row per component and covariate
            ``component`` (``"outcome"``, with a mediator also ``"mediator"``; ``"effect"`` for
            learner ``"x"``), ``covariate``; posterior ``mean`` of its share of the splits
            of the forests that let effects vary, with ``ci_lower`` and ``ci_upper``;
            ``prob_used``, the probability that they split on it at all; ``split_probability``, the
            posterior mean of the probability with which they choose it, NaN if that was not
            sampled; ``ci_prob`` and ``ci_kind``. The largest share comes first. Stacked
            candidates are described by the first on forests; :meth:`candidates` gives the others.

        Raises
        ------
        UnsupportedError
            If no forest represents the effect alone: another surface, or learner ``"t"``, ``"s"``
            or ``"homogeneous"``.
        """
        from bayes_hte.fitting.modifiers import modifier_table

        return modifier_table(self.components, ci_prob=ci_prob, ci_kind=ci_kind)

    def observed_predictor(self) -> xr.DataArray:
        """Return the linear predictor of the outcome at each unit's own arm and mediator.

        Returns
        -------
        DataArray, dims (chain, draw, unit)
            Of the units with an outcome (and a mediator).
        """
        outcome, deviation, expected = self.components["outcome"], None, None
        if "mediator" in self.components:
            own = outcome.design.expected_mediator
            deviation = self.study.mediator() - own
            # Of the arms only the unit's own is used.
            expected = np.column_stack([own] * len(self.study.arms))
        predictor = outcome.linear_predictor(expected=expected)
        eta = predictor.as_observed(self.study.arm_index(), deviation)
        coords = {d: predictor.base[d].to_numpy() for d in (CHAIN, DRAW, UNIT)}
        eta = xr.DataArray(eta, dims=(*SAMPLE, UNIT), coords=coords)
        known = self.study.known_outcome()
        return eta if known.all() else eta.isel({UNIT: known})

    def observed_noise(self) -> dict[str, np.ndarray]:
        """Return the outcome's noise parameters at the units of :meth:`observed_predictor`.

        Returns
        -------
        dict of str to ndarray, shape (chain, draw, 1) or (chain, draw, unit)
        """
        return noise_of(self.components["outcome"].noise(), self.study.known_outcome())

    def observed_family(self) -> Family:
        """Return the family of the outcome at the units of :meth:`observed_predictor`.

        One of times to an event is bound to their events and entries.
        """
        family, censoring = self.components["outcome"].family, self.study.censoring()
        return family.given(censoring and censoring.among(self.study.known_outcome()))

    def log_likelihood(self) -> xr.DataArray:
        """Log-likelihood of each known outcome, dims (chain, draw, unit), for ``az.loo``."""
        eta = self.observed_predictor()
        y = self.study.outcome()[self.study.known_outcome()]
        family = self.observed_family()
        values = family.log_likelihood(y, eta.to_numpy(), self.observed_noise())
        return eta.copy(data=values).rename("log_likelihood")

    def candidates(self) -> dict[str, Fit]:
        """Return one fit for each stacked candidate, by its label; itself if nothing is stacked."""
        outcome = self.components["outcome"]
        if not isinstance(outcome, StackedComponent):
            return {self.plan.surface: self}
        plans = self.plan.candidates()
        wholes = {} if self.whole is None else self.whole.candidates()
        return {
            label: replace(
                self,
                plan=plans[label],
                components={**self.components, "outcome": candidate},
                whole=wholes.get(label),
            )
            for label, candidate in outcome.candidates.items()
        }

    def weighted_candidates(self) -> list[tuple[Fit, float]]:
        """Return the stacked candidates with their weights; without any, itself with weight 1."""
        fits, outcome = self.candidates(), self.components["outcome"]
        if not isinstance(outcome, StackedComponent):
            return [(self, 1.0)]
        shares = outcome.weights.to_dict()
        return [(candidate, float(shares[label])) for label, candidate in fits.items()]

    def first_stage(self) -> Fit:
        """Return the fit without its second stage (learner ``"x"``); itself if there is none."""
        first = {r: c for r, c in self.components.items() if kind_and_arm(r)[0] != EFFECT}
        whole = None if self.whole is None else self.whole.first_stage()
        return replace(self, plan=self.plan.first_stage(), components=first, whole=whole)

    def unit_log_likelihood(self) -> xr.DataArray:
        """Log-likelihood of each unit's outcome and mediator together, dims (chain, draw, unit).

        A missing one adds nothing.
        """
        outcome, study = self.log_likelihood(), self.study
        if outcome.sizes[UNIT] < study.n_units:
            outcome = outcome.reindex({UNIT: study.units.to_numpy()}, fill_value=0.0)
        if "mediator" not in self.components:
            return outcome
        mediator, known = self.components["mediator"], study.known_mediator()
        eta = mediator.linear_predictor().as_observed(study.arm_index(), None)
        noise = noise_of(mediator.noise(), known)
        values = np.zeros(eta.shape)
        values[..., known] = mediator.family.log_likelihood(
            study.mediator()[known], eta[..., known], noise
        )
        return outcome + values

    def _outcomes(
        self,
        newdata: pd.DataFrame | None,
        estimand: Estimand | None,
        mediator_value: float | None = None,
    ) -> xr.DataArray:
        outcome, mediator = self.components["outcome"], self.components.get("mediator")
        propensity = self._propensity_covariate(newdata)
        rows = _rows(outcome, newdata, propensity)
        if mediator is None:
            base = outcome.linear_predictor(rows).base
            mu = outcomes_under(base, outcome.family, self._noise_under_arms(rows), estimand)
            return self._on_scale(mu.assign_attrs(scale="response"), estimand)
        eta_m = mediator.linear_predictor(_rows(mediator, newdata, propensity)).base
        expected = expected_mediator(mediator, eta_m)
        predictor = outcome.linear_predictor(rows, expected=expected)
        how = {"outcome_noise": self._noise_under_arms(rows), "estimand": estimand}
        if mediator_value is not None:
            mu = outcomes_at(predictor, outcome.family, mediator_value, expected=expected, **how)
        else:
            mu = potential_outcomes(
                predictor,
                outcome.family,
                eta_m,
                mediator.family,
                expected=expected,
                noise=mediator.noise(),
                **how,
            )
        return self._on_scale(mu, estimand)

    def _on_scale(self, mu: xr.DataArray, estimand: Estimand | None) -> xr.DataArray:
        """Name the arms, and the scale of times to an event."""
        attrs = {} if estimand is None else estimand.attrs()
        return arm_coords(mu.assign_attrs(attrs), self.study.arms)

    def _noise_under_arms(self, rows: Design | None) -> list[Mapping[str, np.ndarray]] | None:
        """Return the outcome's noise under each arm; None where expectations do not need it."""
        outcome = self.components["outcome"]
        if not outcome.family.times:
            return None
        design = outcome.design if rows is None else rows
        return [outcome.noise(design.under(arm)) for arm in range(len(self.study.arms))]

    def _blended(self, newdata: pd.DataFrame | None, pair: tuple[int, int]) -> xr.DataArray:
        """Return the effect of one contrast by the second stage, dims (chain, draw, unit)."""
        if self.whole is not None:
            arms = tuple(self.whole.study.arms.index(self.study.arms[arm]) for arm in pair)
            tau = self.whole._blended(newdata, arms)
            return tau if newdata is not None else tau.isel({UNIT: self._rows_of_whole()})
        # A unit's effect of two arms is the difference of their effects against the reference.
        parts = [self._against_reference(newdata, arm) for arm in pair if arm > 0]
        tau = parts[0] if pair[0] > 0 else -parts[0]
        return tau - parts[1] if len(parts) > 1 else tau

    def _against_reference(self, newdata: pd.DataFrame | None, arm: int) -> xr.DataArray:
        effect = self.components[numbered(EFFECT, arm)]
        rows = _rows(effect, newdata, self._propensity_covariate(newdata))
        if len(self.study.arms) == 2:
            return blend(effect.mean(rows), self.propensity(newdata))
        if rows is None:
            rows = self.components["outcome"].design
        parts = {name: self.components[name] for name in names_of(PROPENSITY, len(self.study.arms))}
        propensity = PairPropensity(parts, (0, arm)).mean(rows).isel({ARM: 0}, drop=True)
        return blend(effect.mean(rows), propensity)

    def _rows_of_whole(self) -> np.ndarray:
        """Positions of the units of the two arms among those of the whole fit, shape (unit,)."""
        whole = self.whole.study
        return np.isin(whole.arm_index(), [whole.arms.index(arm) for arm in self.study.arms])

    def _propensity_covariate(self, newdata: pd.DataFrame | None) -> np.ndarray | None:
        if newdata is None or not self.components["outcome"].design.has_propensity:
            return None
        whole = self.whole or self
        return propensity_covariate(
            whole.components, whole.components[PROPENSITY].design.replay(newdata)
        )


def health_note(health: Iterable[CheckResult]) -> str:
    """Return the sentences of the checks that failed; empty if none has."""
    return " ".join(check.text for check in health if check.passed is False)


def propensity_covariate(
    components: Mapping[str, AnyComponent], design: Design | None = None
) -> np.ndarray:
    """Return the posterior-mean propensity as columns.

    Rounded, because a tree may split exactly at an observed value: the same unit predicted twice
    must get the same number, whatever the order of summation.

    Parameters
    ----------
    components : mapping of str to FittedComponent
        With the propensities of a study.
    design : Design, optional
        Rows; default those of the study.

    Returns
    -------
    ndarray, shape (unit,) or (unit, arms - 1)
        Of the non-reference arm; of more than two arms of each but the reference.
    """
    first = components[PROPENSITY]
    if first.design.n_arms == 2:
        each = first.mean(design).isel({ARM: 0})
    else:
        each = arm_probabilities(components, design).isel({ARM: slice(1, None)})
    return np.round(each.mean(SAMPLE).to_numpy(), 6)


def _variable_of(column: str) -> str:
    """Return the name of a column, or ``outcome`` if xarray cannot hold it as a variable."""
    reserved = (CHAIN, DRAW, UNIT, "", ".", "..")
    return "outcome" if column in reserved or "/" in column else column


def _rows(
    component: AnyComponent, newdata: pd.DataFrame | None, propensity: np.ndarray | None
) -> Design | None:
    """Return new rows in a component's encoding; None stands for the study's own."""
    if newdata is None:
        return None
    return component.design.replay(newdata, propensity=propensity)


def _in_batches(
    predict: Callable[[pd.DataFrame | None], xr.DataArray], newdata: pd.DataFrame | None, batch: int
) -> xr.DataArray:
    """Predict new rows in batches, and join along the units."""
    if batch < 1:
        raise DataError(f"batch must be at least 1 row, got {batch}.")
    if newdata is None:
        return predict(None)
    newdata = as_table(newdata, "new rows")
    if len(newdata) <= batch:
        return predict(newdata)
    # The labels of all rows decide their type, not those of each part.
    newdata = newdata.set_axis(unit_labels(newdata.index, newdata.columns), axis=0)
    parts = [predict(newdata.iloc[rows]) for rows in _slices(len(newdata), batch)]
    return xr.concat(parts, UNIT, combine_attrs="override")


def _slices(n_rows: int, batch: int) -> Iterator[slice]:
    for start in range(0, n_rows, batch):
        yield slice(start, start + batch)
