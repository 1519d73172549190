"""The problem of a mixture: columns, declared graph and model, checked before sampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bayes_hte.components.families import get_family
from bayes_hte.errors import NotIdentifiedError, SpecError, UnsupportedError
from bayes_hte.mixtures.identification import Identifiability, identifiability
from bayes_hte.mixtures.likelihood.law import Patterns, collapse
from bayes_hte.mixtures.likelihood.model import MixturePriors
from bayes_hte.mixtures.moments.data import MixtureData, mixture_data
from bayes_hte.mixtures.proxies.bases import ContinuousBasis
from bayes_hte.mixtures.proxies.features import MAX_JOINT_LEVELS
from bayes_hte.study.encoding import Encoding
from bayes_hte.study.frames import names_given
from bayes_hte.study.study import Study


@dataclass(frozen=True)
class MixtureProblem:
    """A mixture that has been checked and can be sampled.

    Attributes
    ----------
    study : Study
        The units, with the proxies as covariates.
    data : MixtureData
        Their columns as features.
    patterns : Patterns
        Their distinct rows.
    graph : Identifiability
        Of the declared graph.
    level : {2, 3, 4}
        Of the likelihood; 4 when the graph allows an X-Y edge.
    family : str
    priors : MixturePriors
    """

    study: Study
    data: MixtureData
    patterns: Patterns
    graph: Identifiability
    level: int
    family: str
    priors: MixturePriors

    @property
    def has_moments(self) -> bool:
        """Whether both sides have a level for every class, as the moments and level 3 need."""
        return _ranked(self.graph, self.data)


def mixture_problem(
    frame: pd.DataFrame,
    *,
    outcome: str,
    treatment: str,
    x_proxies: Sequence[str],
    z_proxies: Sequence[str],
    k: int,
    level: int = 3,
    edges: Sequence[str] = ("Z-T",),
    family: str = "bernoulli",
    class_covariates: Sequence[str] = (),
    reference: Any = None,
    priors: MixturePriors | None = None,
    continuous: ContinuousBasis | None = None,
    max_joint_levels: int = MAX_JOINT_LEVELS,
) -> MixtureProblem:
    """Check everything that can be checked before sampling; see :func:`fit_mixture`.

    Returns
    -------
    MixtureProblem

    Raises
    ------
    NotIdentifiedError, UnsupportedError, DataError, SpecError
        As :func:`fit_mixture`.
    """
    likelihood = get_family(family)
    if likelihood.mean_needs_noise:
        raise UnsupportedError(
            f"mixtures of family {likelihood.name!r} are not worked out; use family='gaussian'."
        )
    if priors is not None and not isinstance(priors, MixturePriors):
        raise SpecError(f"priors must be MixturePriors(...), or left out; got {priors!r}.")
    sides = (names_given(side, "proxy column") for side in (z_proxies, x_proxies))
    proxies = [name for side in sides for name in side]
    if class_covariates:
        class_covariates = names_given(class_covariates, "class covariate")
    both = [name for name in class_covariates if name in proxies]
    if both:
        raise SpecError(f"{', '.join(both)} is a proxy of the class; it cannot explain it as well.")
    covariates = [*proxies, *class_covariates]
    study = Study.from_frame(
        frame, outcome=outcome, treatment=treatment, covariates=covariates, reference=reference
    )
    data = mixture_data(
        study, z=z_proxies, x=x_proxies, continuous=continuous, max_joint_levels=max_joint_levels
    )
    likelihood.check(data.outcome, "outcome")
    graph = identifiability(
        k=k,
        z_levels=[len(data.z.names)],
        x_levels=[len(data.x.names)],
        edges=edges,
        outcome_levels=2 if family == "bernoulli" else None,
    )
    return MixtureProblem(
        study=study,
        data=data,
        patterns=collapse(data, _encoded(study, class_covariates)),
        graph=graph,
        level=_level(level, graph, data),
        family=family,
        priors=priors or MixturePriors(),
    )


def _encoded(study: Study, class_covariates: Sequence[str]) -> pd.DataFrame | None:
    """Standardised covariates of the class, shape (unit, feature)."""
    if not class_covariates:
        return None
    study.check_complete(class_covariates, "mixtures")
    frame = study.frame[list(class_covariates)]
    return Encoding.learn(frame).standardized(frame)


def _level(level: int, graph: Identifiability, data: MixtureData) -> int:
    """Level of the likelihood, or an error when the graph does not support it."""
    if level not in (2, 3):
        raise SpecError(f"level must be 2 or 3; got {level!r}. An X-Y edge is declared in edges.")
    graph.require("ate")
    if level == 2 and graph.level != 2:
        raise NotIdentifiedError(
            "level=2 takes the treatment-side proxies to be independent of the treatment given "
            f"the class, and the declared graph does not support it. {' '.join(graph.reasons)} "
            "Use level=3, or rule the edge out if the design does."
        )
    if level == 3 and not _ranked(graph, data):
        raise NotIdentifiedError(
            f"level=3 needs {graph.k} levels on each side; Z has {len(data.z.names)}, X has "
            f"{len(data.x.names)}. {' '.join(graph.remedies)} Or use level=2."
        )
    return 4 if graph.level == 4 else level


def _ranked(graph: Identifiability, data: MixtureData) -> bool:
    """Whether both sides have a level for every class, as the moments and level 3 need."""
    return min(len(data.z.names), len(data.x.names)) >= graph.k
