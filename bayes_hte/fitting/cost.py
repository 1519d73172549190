"""Time and memory to expect of a fit, from its rows, columns, trees, chains and iterations.

The constants are measured on two slow cores (tests/benchmarks/RESULTS.md); expect a factor of some
two in either direction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bayes_hte.components.component import Component
from bayes_hte.components.learners import learner_terms
from bayes_hte.components.numbered import EFFECT, names_of
from bayes_hte.components.priors import DEFAULTS, term_priors
from bayes_hte.errors import LargeStudyWarning, warn
from bayes_hte.fitting.blocks import is_large, memory
from bayes_hte.fitting.plan import Plan
from bayes_hte.fitting.size import SamplerSize
from bayes_hte.study.study import Study
from bayes_hte.surfaces.bends import BENDS
from bayes_hte.surfaces.forest.step import SWEEPS

# Row-tree updates per processor second, and seconds of an update of a tree apart from its rows.
_RATE, _TREE = 4.5e8, 2e-6
# Of a regression: seconds per iteration, and for each row and covariate.
_REGRESSION = {"linear": (1.3e-3, 6e-9), "additive": (3.5e-2, 2.3e-7)}
# Of a Gaussian process: seconds per iteration of 250 rows; they grow with the square.
_PROCESS = 40 / 3200
# Compilation of a component, in seconds.
_START = 4.0
# Bytes of a process before it has rows.
_BASE = 0.5 * 1024**3
# Seconds that are announced, and the share of the machine's memory.
LONG, MUCH = 600.0, 0.8
_GIB = 1024**3


@dataclass(frozen=True)
class Cost:
    """Time and memory to expect.

    Attributes
    ----------
    seconds : float
        On the clock, if the cores have nothing else to do.
    gib : float
        Peak memory, in GiB; draws of all units at once, as from ``fit.cate()``, come on top.
    """

    seconds: float
    gib: float


@dataclass(frozen=True)
class _Model:
    """What the cost of a component depends on."""

    surface: str
    rows: int
    columns: int
    forests: tuple[int, ...]  # trees of each


def component_cost(component: Component, size: SamplerSize) -> Cost:
    """Return the cost of sampling a component.

    Parameters
    ----------
    component : Component
        The component.
    size : SamplerSize
        Sizes of the samples.

    Returns
    -------
    Cost
    """
    design = component.design
    trees = tuple(data.prior.trees for data in component.forests.values())
    return _cost(_Model(component.surface, design.n_rows, len(design.covariates), trees), size)


def fit_cost(plan: Plan, study: Study, size: SamplerSize) -> Cost:
    """Return the cost of a fit before any component is built.

    Parameters
    ----------
    plan : Plan
        The models.
    study : Study
        The data.
    size : SamplerSize
        Sizes of the samples.

    Returns
    -------
    Cost
        The seconds of all components, and the largest memory of one.
    """
    costs = [_cost(model, size) for model in _models(plan, study)]
    return Cost(sum(c.seconds for c in costs), max(c.gib for c in costs))


def _models(plan: Plan, study: Study) -> Iterator[_Model]:
    rows, columns, arms = study.n_units, len(study.roles.covariates), len(study.arms)
    mediated = len(study.roles.mediators)
    shared = term_priors("propensity", plan.priors)["shared"].trees
    for _ in range(arms - 1):
        yield _Model(plan.propensity_surface, rows, columns, (shared,))
    for before, (_, surface) in enumerate(plan.mediator_models(mediated)):
        # The second of two mediators is modelled given the first.
        terms = learner_terms(plan.learner, mediated=before, arms=arms)
        priors = term_priors("mediator", plan.priors)
        trees = tuple(priors[term.kind].trees for term in terms)
        yield _Model(surface, rows, columns, trees)
    bends = BENDS if plan.mediator_shape == "spline" else 0
    for candidate in plan.candidates().values():
        terms = learner_terms(candidate.learner, mediated=mediated, arms=arms, bends=bends)
        priors = term_priors("outcome", plan.priors)
        trees = tuple(priors[term.kind].trees for term in terms)
        yield _Model(candidate.surface, rows, columns, trees)
    if plan.second_stage:
        for _ in names_of(EFFECT, arms):
            yield _Model(plan.surface, rows, columns, (DEFAULTS["effect"].trees,) * 2)


def _cost(model: _Model, size: SamplerSize) -> Cost:
    iterations, n = size.draws + size.tune, model.rows
    if model.surface in _REGRESSION:
        once, each = _REGRESSION[model.surface]
        per_iteration = once + each * n * model.columns
    elif model.surface == "gp":
        per_iteration = _PROCESS * (n / 250) ** 2
    else:
        per_iteration = SWEEPS * sum(model.forests) * (n / _RATE + _TREE)
    processor = size.chains * iterations * per_iteration
    return Cost(_START + processor / size.processes, _bytes(model, size) / _GIB)


def _bytes(model: _Model, size: SamplerSize) -> float:
    """Return the peak memory: the tables, the state of each running chain, and what is kept."""
    n, forests = model.rows, len(model.forests)
    tables = 8 * n * model.columns * (4 + forests)
    chain = n * (sum(model.forests) + forests * (2 * model.columns + 32) + 80)
    draws = size.chains * size.draws
    kept = 0 if is_large(draws, n) else 8 * draws * n * (2 * forests + 6)
    return _BASE + tables + size.processes * chain + kept


def warn_if_long(component: Component, size: SamplerSize) -> None:
    """Say so before an hour is spent, or the memory, and name what saves most.

    Parameters
    ----------
    component : Component
        What is about to be sampled.
    size : SamplerSize
        Sizes of the samples.

    Warns
    -----
    LargeStudyWarning
    """
    cost, have = component_cost(component, size), memory()
    if cost.seconds <= LONG and (have is None or cost.gib * _GIB <= MUCH * have):
        return
    trees = sum(data.prior.trees for data in component.forests.values())
    what = f"{component.design.n_rows:,} rows" + (f", {trees} trees" if trees else "")
    at_a_time = "" if size.processes == size.chains else f", {size.processes} at a time"
    warn(
        f"{component.role}: sampling is expected to take about {duration(cost.seconds)} and "
        f"{cost.gib:.1f} GiB ({what}, {size.chains} chains of {size.draws + size.tune} iterations"
        f"{at_a_time}). {_advice(component.surface)}",
        LargeStudyWarning,
    )


def _advice(surface: str) -> str:
    if surface == "gp":
        return "Time grows with the square of the rows: surface='forest' is made for so many."
    return (
        "Time is in proportion to rows and iterations. Fewer draws save time and keep all units: "
        "chains=2, draws=250. Read the effects of so many units in blocks, fit.averages(by=...) "
        "and hte.predict_effects(fit, frame, to=...)."
    )


def duration(seconds: float) -> str:
    """Return a duration in words, as roughly as it is known.

    Examples
    --------
    >>> from bayes_hte.fitting.cost import duration
    >>> duration(34), duration(1234), duration(20000)
    ('30 seconds', '21 minutes', '6 hours')
    """
    if seconds < 90:
        return f"{max(10, round(seconds, -1)):.0f} seconds"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.0f} hours"
