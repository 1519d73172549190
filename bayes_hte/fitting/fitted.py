"""A fitted study: every component, and their outcomes and effects."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte import effects
from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.sampling_health import sampling_health
from bayes_hte.components.arm_probabilities import PairPropensity
from bayes_hte.components.families import Family
from bayes_hte.components.hazard import HazardComponent
from bayes_hte.components.learners import get_learner
from bayes_hte.components.noise import noise_of
from bayes_hte.components.numbered import (
    EFFECT,
    PROPENSITY,
    kind_and_arm,
    mediator_roles,
    names_of,
)
from bayes_hte.components.stacked import StackedComponent
from bayes_hte.effects.pairs import Contrast
from bayes_hte.effects.summaries import CiKind, interval_parameters, interval_words, summarize
from bayes_hte.errors import DataError, SpecError, UnsupportedError
from bayes_hte.fitting.at_rows import (
    AnyComponent,
    as_total,
    cate_of_rows,
    effects_of_rows,
    outcomes_of_rows,
    propensity_of_rows,
    two_mediators_of_rows,
)
from bayes_hte.fitting.averaging import block_averages, group_codes
from bayes_hte.fitting.blocks import (
    BATCH,
    Rows,
    check_batch,
    filled,
    is_large,
    new_rows_in_batches,
    positions,
)
from bayes_hte.fitting.observed import (
    known_censoring,
    log_likelihood,
    observed_predictor,
    posterior_tree,
    unit_log_likelihood,
)
from bayes_hte.fitting.pair_of_mediators import (
    check_order,
    check_two,
    held_values,
    interventional_at,
    paths_at,
)
from bayes_hte.fitting.plan import Plan, study_horizon
from bayes_hte.names import CHAIN, CONTRAST, DRAW
from bayes_hte.study.frames import as_table
from bayes_hte.study.roles import MOST_MEDIATORS, listed
from bayes_hte.study.study import Study
from bayes_hte.study.time_to_event import (
    Estimand,
    EstimandName,
    check_horizon,
)
from bayes_hte.views import counted, draw, html_block


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
        ``"propensity"``, ``"outcome"``, with a mediator ``"mediator"`` (with two also
        ``"mediator_2"``, the second given the first), and for learner ``"x"`` the second stage
        ``"effect"``. With more than two arms also ``"propensity_2"``, ... and
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
        units are left out; :meth:`potential_outcomes` has what they mean. Of more than 40 million
        draws times units only parameters and statistics are here: :meth:`log_likelihood` has the
        likelihoods.
        """
        return posterior_tree(self)

    def __repr__(self) -> str:
        """Name the models and the study in a line."""
        sizes = self._sampled()
        return (
            f"Fit({self.plan.learner} on {self.plan.surface}, {self.plan.family}; "
            f"{counted(sizes['chains'], 'chain')} of {counted(sizes['draws'], 'draw')}; "
            f"{self.study!r})"
        )

    def _repr_html_(self) -> str:
        """Show the models and the average effects; of large studies without them."""
        plan, sizes = self.plan, self._sampled()
        models = plan.mediator_models(max(len(self.study.roles.mediators), 1))
        mediator = {"mediator model": "; ".join(f"{f}, {surface}" for f, surface in models)}
        facts = {
            "study": repr(self.study),
            "outcome model": f"{plan.family}, {plan.surface}, learner {plan.learner}",
            **(mediator if "mediator" in self.components else {}),
            "draws": f"{counted(sizes['chains'], 'chain')} of {sizes['draws']}, seed {self.seed}",
        }
        if self.study.n_units > BATCH:
            return html_block("Fit", facts, sentences=["fit.summary() has the average effects."])
        table = self.summary()
        notes = [note for note in table["note"].unique() if note]
        shown = ["effect", "reference_mean", "arm_mean", "mean", "ci_lower", "ci_upper"]
        sentence = f"Averages over the units of the study (SATE); {interval_words(0.95)}."
        return html_block("Fit", facts, sentences=[*notes, sentence], table=table[shown])

    def plot(self, *, ci_prob: float = 0.95, contrast: Contrast = None, **look: Any) -> Any:
        """Draw the posterior densities of the average effects.

        Parameters
        ----------
        ci_prob : float, default 0.95
            Posterior probability of the interval, which is equal-tailed.
        contrast : (arm, arm), str, optional
            As in :meth:`cate`; needed in a study of more than two arms.
        **look
            Options of :func:`bayes_hte.plots.plot_densities`.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        SpecError
            If there are several contrasts and none was named.

        Examples
        --------
        >>> import numpy as np
        >>> import bayes_hte as hte
        >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
        >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
        >>> study = hte.Study.from_frame(frame, **roles)
        >>> size = {"draws": 20, "tune": 20, "chains": 2, "progress": False}
        >>> fit = hte.fit(study, seed=1, surface="linear", **size)
        >>> [label.get_text() for label in fit.plot().axes[0].get_yticklabels()]
        ['total effect']
        """
        from bayes_hte.fitting.summary import WORDS

        draws = effects.average(self.effects(contrast=contrast))
        if CONTRAST in draws.dims:
            raise SpecError(
                "several contrasts in one figure are not readable; name one, contrast=('B', 'A')."
            )
        labels = {str(name): WORDS[str(name)] for name in draws}
        table = summarize(draws, ci_prob=ci_prob)
        return draw("plot_densities", draws, table, **({"labels": labels} | look))

    @property
    def has_natural_effects(self) -> bool:
        """Whether effects are divided into natural direct and indirect ones.

        They are if there is a mediator, and no confounder of it that the treatment changes.
        """
        return "mediator" in self.components and self.study.roles.post_treatment is None

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
        if newdata is not None:
            # Else an array would pass for positions of units.
            newdata = as_table(newdata, "new rows")
            if not self._is_large(newdata):
                return propensity_of_rows(self, newdata)
        return self._in_batches(lambda rows: propensity_of_rows(self, rows), newdata, BATCH)

    @property
    def fits_means(self) -> bool:
        """Whether a refit can give the levels of a covariate means of their own."""
        return get_learner(self.plan.learner).has_means

    def refit(
        self,
        study: Study,
        *,
        seed: int,
        means_by: str | None = None,
        draws: int | None = None,
        tune: int | None = None,
        chains: int | None = None,
        cores: int | None = None,
        progress: bool = True,
    ) -> Fit:
        """Fit the same models to another study, such as a half of this one.

        Parameters
        ----------
        study : Study
            Units with the same roles.
        seed : int
            Seed of the new fit.
        means_by : str, optional
            A covariate whose levels get means of their own, as in :func:`bayes_hte.fit`; other
            candidates are then left out. By default as in this fit.
        draws, tune, chains : int, optional
            Size of the sample; by default that of this fit.
        cores, progress
            As in :func:`bayes_hte.fit`.

        Returns
        -------
        Fit

        Raises
        ------
        UnsupportedError
            If this fit holds draws of the priors.
        DataError, SpecError, SamplingError
            As :func:`bayes_hte.fit`.

        Warns
        -----
        UnhealthySamplingWarning
            As :func:`bayes_hte.fit`.

        Examples
        --------
        >>> import numpy as np
        >>> import bayes_hte as hte
        >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
        >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
        >>> study = hte.Study.from_frame(frame, **roles)
        >>> size = {"draws": 20, "tune": 20, "chains": 2, "progress": False}
        >>> fit = hte.fit(study, seed=1, surface="linear", **size)
        >>> fit.refit(study.sample(40, seed=1), seed=2, progress=False).study.n_units
        40
        """
        from bayes_hte.fitting.sampling import SamplerSize
        from bayes_hte.fitting.stages import fit_plan, posterior_sampler, warn_if_unhealthy

        if self.is_prior:
            raise UnsupportedError(
                "these are draws of the priors, from hte.fit_prior, which no data inform: they "
                "cannot be fitted to other units. Take a fit from hte.fit."
            )
        plan = self.plan
        if means_by is not None:
            plan = replace(plan, means_by=means_by, stack_with=())
        own = self._sampled()
        size = SamplerSize(
            chains=own["chains"] if chains is None else chains,
            draws=own["draws"] if draws is None else draws,
            tune=own["tune"] if tune is None else tune,
            cores=cores,
            progress=progress,
        )
        fitted = fit_plan(study, plan, seed=seed, sample=posterior_sampler(seed=seed, size=size))
        warn_if_unhealthy(fitted)
        return fitted

    def _sampled(self) -> dict[str, int]:
        """Return the size of the sample; of fits saved by earlier versions the default tuning."""
        from bayes_hte.fitting.sampling import TUNING_STEPS, SamplerSize

        components = (self.whole or self).components.values()
        said = [c.stats.attrs[TUNING_STEPS] for c in components if TUNING_STEPS in c.stats.attrs]
        sizes = self.components["outcome"].posterior.sizes
        return {
            "chains": sizes[CHAIN],
            "draws": sizes[DRAW],
            "tune": int(said[0]) if said else SamplerSize().tune,
        }

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
        >>> import bayes_hte as hte
        >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
        >>> frame["treat"] = ["none", "low", "high"] * 20
        >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
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
        roles = (*mediator_roles(MOST_MEDIATORS), "outcome")
        kept = {r: self.components[r] for r in roles if r in self.components}
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
        mediator_value: float | Mapping[str, float] | None = None,
        batch: int = BATCH,
        estimand: EstimandName | None = None,
        at: float | None = None,
    ) -> xr.DataArray:
        """Return expected outcomes under each arm, draw by draw.

        With two mediators ``mediator_arm`` is the arm of both together, so that indirect effects
        are those through both; :meth:`interventional_effects` has those through each. Learner
        ``"x"`` models effects in its second stage: outcomes in the reference arm are those of the
        first stage, and outcomes in the other arms differ from them by the effects.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows with every covariate; default the study's units.
        mediator_value : float or mapping of str to float, optional
            Hold the mediator at this value for all units (for controlled direct effects); of two
            mediators both, by their names.
        batch : int, default 4000
            New rows predicted at once; the result does not depend on it, the memory does.
        estimand : {"rmst", "survival", "cumulative_incidence"}, optional
            Of times to an event: the mean time restricted to a horizon (the default), or the
            probability of surviving beyond a time. Where events have several causes, both count
            any event, and the third is the probability of an event of the cause of interest by a
            time.
        at : float, optional
            That horizon (default ``fit.horizon``), or that time, in the unit of the outcome; of
            probabilities it must be given.

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
            If an estimand is unknown, lacks its time, or the outcome is no time to an event; or if
            not every one of two mediators is held.

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
        if "mediator" not in self.components and mediator_value is not None:
            raise DataError("this study has no mediator to hold at a value.")
        scale, held = self.estimand(estimand, at=at), None
        if mediator_value is not None:
            held = held_values(mediator_value, listed(self.study.roles.mediator))
        return self._in_batches(
            lambda rows: outcomes_of_rows(self, rows, scale, held), newdata, batch
        )

    def sampled_parts(self) -> dict[str, AnyComponent]:
        """Return what was sampled, by role: components, and of several causes those of each."""
        found = dict(self.components)
        for component in self.components.values():
            others = component.others if isinstance(component, HazardComponent) else ()
            found |= {other.role: other for other in others}
        return found

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
        name : {"rmst", "survival", "cumulative_incidence"}, optional
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
            If it is unknown, lacks its time, the outcome is no time to an event, or events have
            one cause and several are needed.
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
        study = self.study if self.whole is None else self.whole.study
        planned = self.plan.estimand or "rmst"
        found = Estimand.about(name or planned, horizon if at is None else at, causes=study.causes)
        if found.name not in ("rmst", planned) and at is None:
            raise SpecError(f'estimand="{name}" needs a time, such as at=5.')
        if at is not None:
            check_horizon(at, study.outcome(), study.arm_index(), study.arms, what="at")
        return found

    def interventional_effects(
        self, newdata: pd.DataFrame | None = None, *, batch: int = BATCH
    ) -> xr.Dataset:
        """Return the effects through each of two mediators, of each unit, and the remainder.

        See :func:`bayes_hte.interventional_effects` for their meaning. Compared with natural
        effects they need no assumption about causes between the mediators.

        Parameters
        ----------
        newdata, batch
            As in :meth:`potential_outcomes`.

        Returns
        -------
        Dataset, dims (chain, draw, unit)
            In outcome units: ``through`` (also with ``mediator``), ``remainder``, their sum
            ``joint``, and ``direct``. Of one mediator with a confounder that the treatment changes
            ``indirect``, ``direct`` and ``overall``; see
            :func:`bayes_hte.effects_given_confounder`.

        Raises
        ------
        UnsupportedError
            If the study has not two mediators or such a confounder, or more than two arms.

        Examples
        --------
        >>> import numpy as np
        >>> import bayes_hte as hte
        >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
        >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
        >>> study = hte.Study.from_frame(frame, mediator=["m", "x3"], **roles)
        >>> options = {"surface": "linear", "draws": 20, "tune": 20, "chains": 2, "progress": False}
        >>> fit = hte.fit(study, seed=1, **options)
        >>> effects = fit.interventional_effects()
        >>> list(effects), effects["mediator"].values.tolist()
        (['through', 'remainder', 'joint', 'direct'], ['m', 'x3'])
        """
        check_two(self.study, "interventional effects through each mediator")
        scale = self.estimand()

        def predict(rows: Rows | None) -> xr.Dataset:
            return interventional_at(two_mediators_of_rows(self, rows, scale), self.study)

        return self._in_batches(predict, newdata, batch)

    def path_effects(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        order: Sequence[str] | None = None,
        batch: int = BATCH,
    ) -> xr.Dataset:
        """Return natural effects along the paths of two mediators, the first before the second.

        See :func:`bayes_hte.path_effects` for their meaning. They exist only if the order of causes
        is known, which no data show; so it has to be declared.

        Parameters
        ----------
        newdata, batch
            As in :meth:`potential_outcomes`.
        order : sequence of str
            The mediators, causes first: that in which the study names them.

        Returns
        -------
        Dataset, dims (chain, draw, unit)
            In outcome units: ``through`` (also with ``mediator``), their sum ``joint``, and
            ``direct``.

        Raises
        ------
        UnsupportedError
            If no order is declared, or another one than the mediators were modelled in; if the
            study has not two mediators, or more than two arms.

        Examples
        --------
        >>> import numpy as np
        >>> import bayes_hte as hte
        >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
        >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
        >>> study = hte.Study.from_frame(frame, mediator=["m", "x3"], **roles)
        >>> options = {"surface": "linear", "draws": 20, "tune": 20, "chains": 2, "progress": False}
        >>> fit = hte.fit(study, seed=1, **options)
        >>> list(fit.path_effects(order=["m", "x3"]))
        ['through', 'joint', 'direct']
        """
        check_two(self.study, "effects along the paths of two mediators")
        check_order(order, self.study)
        scale = self.estimand()

        def predict(rows: Rows | None) -> xr.Dataset:
            return paths_at(two_mediators_of_rows(self, rows, scale), self.study)

        return self._in_batches(predict, newdata, batch)

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
            if self._is_large(newdata):
                # Differences are taken within a block, before anything is rounded.
                scale = self.estimand(estimand, at=at)
                return self._in_batches(
                    lambda rows: cate_of_rows(self, rows, contrast, scale), newdata, batch
                )
            mu = self.potential_outcomes(newdata, batch=batch, estimand=estimand, at=at)
            return effects.cate(mu, contrast=contrast)
        scale = self.estimand(estimand, at=at)
        return self._in_batches(
            lambda rows: cate_of_rows(self, rows, contrast, scale), newdata, batch
        )

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
        if self.has_natural_effects:
            if self._is_large(newdata):
                scale = self.estimand(estimand, at=at)
                return self._in_batches(
                    lambda rows: effects_of_rows(self, rows, contrast, scale), newdata, batch
                )
            mu = self.potential_outcomes(newdata, batch=batch, estimand=estimand, at=at)
            return effects.decompose(mu, contrast=contrast)
        how = {"estimand": estimand, "at": at}
        return as_total(self.cate(newdata, contrast=contrast, batch=batch, **how))

    def averages(
        self,
        newdata: pd.DataFrame | None = None,
        *,
        by: str | pd.Series | np.ndarray | None = None,
        contrast: Contrast = None,
        batch: int = BATCH,
    ) -> xr.Dataset:
        """Return every effect averaged over units or groups of them, computed in blocks of units.

        The draws of all units are never in memory together, so this works at any number of units.

        Parameters
        ----------
        newdata, contrast, batch
            As in :meth:`cate`.
        by : str, Series or ndarray, optional
            A column of the frame, or the group of each unit in the order of the rows; at most 50
            groups. By default all units are averaged (SATE).

        Returns
        -------
        Dataset, dims (chain, draw[, group][, contrast])
            The effects of :meth:`effects`, in outcome units; ``units`` counts those of a group.

        Raises
        ------
        DataError
            If the groups do not fit the rows.
        SpecError
            If there are too many groups.

        Examples
        --------
        >>> import numpy as np
        >>> import bayes_hte as hte
        >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
        >>> roles = {"outcome": "y", "treatment": "treat", "mediator": "m"}
        >>> study = hte.Study.from_frame(frame, **roles, covariates=["x1", "x2", "x3"])
        >>> fit = hte.fit(study, seed=1, draws=20, tune=20, chains=2, progress=False)
        >>> dict(fit.averages(by=frame["x1"] > 0).sizes)
        {'chain': 2, 'draw': 20, 'group': 2}
        """
        check_batch(batch)
        frame = self.study.frame if newdata is None else as_table(newdata, "new rows")
        codes, groups = group_codes(by, frame)
        blocks = (
            (rows if newdata is None else frame.iloc[rows], codes[rows])
            for rows in positions(len(frame), batch)
        )
        scale = self.estimand()
        return block_averages(
            lambda rows: effects_of_rows(self, rows, contrast, scale), blocks, groups
        )

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
            For the total effect and with a mediator the direct and indirect effects: ``effect``,
            its name in words; ``reference_mean`` and ``arm_mean``, the average outcomes that it is
            the difference of (of the total effect those of the two arms); the columns of
            :func:`bayes_hte.summarize`; of times to an event ``estimand``, the scale and its
            horizon in words; and ``note``, which is empty unless the sampling is not
            healthy, when it says why.

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
        >>> table = fit.summary()
        >>> table["effect"].iloc[0], np.allclose(table["arm_mean"] - table["reference_mean"],
        ...                                      table["mean"])
        ('total effect', True)
        >>> list(table.index)
        ['te', 'tnie', 'pnde', 'pnie', 'tnde']
        """
        if self._is_large(None):
            averages = self.averages(contrast=contrast)
            if not self.has_natural_effects:
                averages = averages.rename(te="cate")
            note = "" if self.is_prior else health_note(self.health())
            return summarize(averages, ci_prob=ci_prob).assign(note=note)
        from bayes_hte.fitting.summary import summary_draws, summary_table

        draws, means = summary_draws(self, contrast)
        table = summary_table(draws, means, ci_prob=ci_prob)
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
        stats = {role: component.stats for role, component in self.sampled_parts().items()}
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
        return observed_predictor(self)

    def observed_noise(self) -> Mapping[str, np.ndarray]:
        """Return the outcome's noise parameters at the units of :meth:`observed_predictor`.

        Returns
        -------
        mapping of str to ndarray, shape (chain, draw, 1) or (chain, draw, unit)
        """
        return noise_of(self.components["outcome"].noise(), self.study.known_outcome())

    def observed_family(self) -> Family:
        """Return the family of the outcome at the units of :meth:`observed_predictor`.

        One of times to an event is bound to their events and entries.
        """
        return self.components["outcome"].family.given(known_censoring(self.study))

    def log_likelihood(self) -> xr.DataArray:
        """Log-likelihood of each known outcome, dims (chain, draw, unit), for ``az.loo``."""
        return log_likelihood(self)

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
        return unit_log_likelihood(self)

    @property
    def _n_draws(self) -> int:
        """Draws of all chains."""
        sizes = self.components["outcome"].posterior.sizes
        return sizes[CHAIN] * sizes[DRAW]

    def _is_large(self, newdata: pd.DataFrame | None) -> bool:
        """Whether effects of these rows, by default the units of the study, come in blocks."""
        if newdata is not None and not hasattr(newdata, "__len__"):
            as_table(newdata, "new rows")  # which refuses it
        n_rows = self.study.n_units if newdata is None else len(newdata)
        return is_large(self._n_draws, n_rows)

    def _in_batches[T: (xr.DataArray, xr.Dataset)](
        self, predict: Callable[[Rows | None], T], newdata: pd.DataFrame | None, batch: int
    ) -> T:
        """Predict the units of the study or new rows, in batches where that bounds the memory."""
        check_batch(batch)
        if newdata is not None:
            return new_rows_in_batches(predict, newdata, batch, self._n_draws)
        if self._is_large(None):
            return filled(predict, positions(self.study.n_units, batch), self.study.n_units)
        return predict(None)


def health_note(health: Iterable[CheckResult]) -> str:
    """Return the sentences of the checks that failed; empty if none has."""
    return " ".join(check.text for check in health if check.passed is False)
