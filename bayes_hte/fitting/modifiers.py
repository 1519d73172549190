"""Which covariates the effects of a fit vary with, as the trees of its forests say.

The functions that let an effect vary are sums of trees. A covariate modifies the effect if trees of
these functions split on it, so the share of splits it takes, and the probability that it takes any,
are its posterior inclusion. With sparse splits (Linero 2018) covariates that do not matter lose
their splits; with uniform ones they keep part of them, and shares say less.

References
----------
Linero, A. R. (2018). Bayesian regression trees for high-dimensional prediction and variable
selection. Journal of the American Statistical Association 113, 626-636.
doi:10.1080/01621459.2016.1264957
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.components.component import variable_name
from bayes_hte.components.fitted import FittedComponent
from bayes_hte.components.numbered import EFFECT, kind_and_arm, mediator_roles
from bayes_hte.components.stacked import StackedComponent
from bayes_hte.effects.summaries import CiKind, interval, interval_parameters
from bayes_hte.errors import UnsupportedError
from bayes_hte.names import SAMPLE
from bayes_hte.study.roles import MOST_MEDIATORS
from bayes_hte.surfaces.forest.draws import count_splits
from bayes_hte.surfaces.terms import Term

# Terms that make the effect of the treatment vary with the covariates, and those that make the
# mediator's slope vary, and so an indirect effect.
OF_TREATMENT = ("arm", "effect")
OF_MEDIATOR = ("mediator_modified", "mediator_arm")
COVARIATE = "covariate"


@interval_parameters
def modifier_table(
    components: Mapping[str, FittedComponent | StackedComponent],
    *,
    ci_prob: float = 0.95,
    ci_kind: CiKind = "eti",
) -> pd.DataFrame:
    """Summarise how much the forests of effects use each covariate.

    Parameters
    ----------
    components : mapping of str to FittedComponent or StackedComponent
        Of a fit. Of stacked candidates the first on forests that vary effects speaks.

    Returns
    -------
    DataFrame
        See :meth:`bayes_hte.Fit.modifiers`.

    Raises
    ------
    UnsupportedError
        If no forest stands for the effect alone.
    """
    # The second stage of learner "x" models the effect itself; its first stage only the outcomes.
    effects = [role for role in components if kind_and_arm(role)[0] == EFFECT]
    roles = effects or ["outcome", *mediator_roles(MOST_MEDIATORS)]
    found = {role: _candidate(components[role]) for role in roles if role in components}
    tables = [
        _component_table(component, ci_prob=ci_prob, ci_kind=ci_kind)
        for component in found.values()
        if component is not None
    ]
    if not tables or found[roles[0]] is None:
        raise UnsupportedError(
            "no forest of this fit stands for the effect alone, so no trees say what modifies it; "
            "use surface='forest' with learner='hierarchical', 'prognostic_effect' or 'x'."
        )
    return pd.concat(tables, ignore_index=True)


def _candidate(component: FittedComponent | StackedComponent) -> FittedComponent | None:
    """Return the first candidate with forests that let the effect of the treatment vary."""
    stacked = isinstance(component, StackedComponent)
    for candidate in component.candidates.values() if stacked else [component]:
        if any(t.kind in OF_TREATMENT for t in _effect_terms(candidate)):
            return candidate
    return None


def _effect_terms(component: FittedComponent) -> list[Term]:
    kinds = (*OF_TREATMENT, *OF_MEDIATOR)
    return [t for t in component.terms if t.name in component.trees and t.kind in kinds]


def _component_table(
    component: FittedComponent, *, ci_prob: float, ci_kind: CiKind
) -> pd.DataFrame:
    terms = _effect_terms(component)
    names = component.design.covariates
    splits = sum(_splits(component, term) for term in terms)
    share = splits / splits.sum(COVARIATE).clip(min=1)
    lower, upper = interval(share, ci_prob=ci_prob, ci_kind=ci_kind)
    table = pd.DataFrame(
        {
            "component": component.role,
            COVARIATE: list(names),
            "mean": share.mean(SAMPLE).to_numpy(),
            "ci_lower": lower.to_numpy(),
            "ci_upper": upper.to_numpy(),
            "prob_used": (splits > 0).mean(SAMPLE).to_numpy(),
            "split_probability": _split_probability(component, terms, names),
        }
    )
    table = table.sort_values("mean", ascending=False, kind="stable", ignore_index=True)
    return table.assign(ci_prob=ci_prob, ci_kind=ci_kind)


def _splits(component: FittedComponent, term: Term) -> xr.DataArray:
    """Splits of a forest on each covariate, dims (chain, draw, covariate)."""
    columns = component.design.columns(term.features).columns
    features = [c.name for c in columns for _ in c.split_levels]
    counts = count_splits(component.trees[term.name], len(features))
    belongs = np.equal.outer(features, list(component.design.covariates)).astype(np.int64)
    coords = {COVARIATE: list(component.design.covariates)}
    return xr.DataArray(counts @ belongs, dims=(*SAMPLE, COVARIATE), coords=coords)


def _split_probability(
    component: FittedComponent, terms: Iterable[Term], names: tuple[str, ...]
) -> np.ndarray:
    """Posterior mean probability of a split, averaged over forests; NaN where none was sampled."""
    variables = [f"{variable_name(component.role, term)}_split" for term in terms]
    means = [
        component.posterior[v].mean(SAMPLE).to_series().reindex(list(names)).to_numpy()
        for v in variables
        if v in component.posterior
    ]
    return np.mean(means, axis=0) if means else np.full(len(names), np.nan)
