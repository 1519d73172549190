"""Methods under comparison: ours, by a table of options, and the peers.

Everybody gets the covariates, treatment and outcome; nobody gets the true propensity. Options of
the peers are their own defaults unless a line below says otherwise.

References
----------
Athey, S., Tibshirani, J., Wager, S. (2019). Generalized random forests. Annals of Statistics 47,
1148-1178. doi:10.1214/18-AOS1709
Künzel, S. R., Sekhon, J. S., Bickel, P. J., Yu, B. (2019). Metalearners for estimating
heterogeneous treatment effects using machine learning. PNAS 116, 4156-4165.
doi:10.1073/pnas.1804597116
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from bayes_hte.study.spec import PriorSpec
from tests.benchmarks.effects_data import Data

PROBS = (0.5, 0.95)
Interval = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Estimate:
    """What a method says of one data set.

    Attributes
    ----------
    cate : ndarray, shape (unit,)
        Estimated individual effects.
    ate : float
        Estimated average effect over the units.
    cate_intervals : mapping of float to (lower, upper)
        By probability; arrays of shape (unit,). Empty if the method has none.
    ate_intervals : mapping of float to (lower, upper)
        By probability; floats. Empty if the method has none.
    """

    cate: np.ndarray
    ate: float
    cate_intervals: Mapping[float, Interval] = field(default_factory=dict)
    ate_intervals: Mapping[float, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def from_draws(cls, draws: np.ndarray) -> Estimate:
        """Summarise posterior draws, shape (draw, unit); intervals are equal-tailed."""
        average = draws.mean(axis=1)
        tails = {prob: [(1 - prob) / 2, (1 + prob) / 2] for prob in PROBS}
        return cls(
            cate=draws.mean(axis=0),
            ate=float(average.mean()),
            cate_intervals={p: tuple(np.quantile(draws, q, axis=0)) for p, q in tails.items()},
            ate_intervals={p: tuple(np.quantile(average, q)) for p, q in tails.items()},
        )


@dataclass(frozen=True)
class Method:
    """A way to estimate individual effects.

    Attributes
    ----------
    package : str
        The distribution whose version is reported.
    fit : callable
        From :class:`Data` and a seed to :class:`Estimate`. Its time is what is measured, so slow
        imports belong in `prepare`.
    prepare : callable
        Imports what `fit` needs.
    """

    package: str
    fit: Callable[[Data, int], Estimate]
    prepare: Callable[[], Any]

    @property
    def software(self) -> str:
        """Name and version of the package."""
        return f"{self.package} {importlib.metadata.version(self.package)}"


# --- Ours: options of bayes_hte.fit; add a candidate by adding a line ----------------------------

UNIFORM = tuple(
    PriorSpec(component, term, "all covariates may matter", sparse=False)
    for component, term in [("propensity", "shared"), ("outcome", "shared"), ("outcome", "arm")]
)

# Means of the arms that may lie three times as far apart as by default, and further.
WIDE, WIDEST = (
    (PriorSpec("outcome", "arm_mean", "an arm is small", scale=scale),) for scale in (2.0, 5.0)
)

OURS: dict[str, dict[str, Any]] = {
    "default": {},
    # The default, named so that results of both kinds of default can be told apart.
    "forest": {"stack_with": ()},
    # Trees that choose all covariates with equal probability.
    "forest uniform": {"stack_with": (), "priors": UNIFORM},
    "forest wide means": {"stack_with": (), "priors": WIDE},
    "forest widest means": {"stack_with": (), "priors": WIDEST},
    "forest homogeneous": {"learner": "homogeneous"},
    "forest nopc": {"stack_with": (), "propensity_covariate": False},
    "forest prognostic+effect": {"learner": "prognostic_effect"},
    "forest s": {"learner": "s"},
    "forest t": {"learner": "t"},
    "forest x": {"learner": "x"},
    "forest + gp": {"stack_with": ["gp"]},
    "gp": {"surface": "gp"},
    "additive": {"surface": "additive"},
    "linear": {"surface": "linear"},
    "linear s": {"surface": "linear", "learner": "s"},
    "linear t": {"surface": "linear", "learner": "t"},
}


def fit_ours(data: Data, seed: int, options: Mapping[str, Any]) -> Estimate:
    """Fit bayes_hte with some options, everything else at its default."""
    import bayes_hte as hte

    frame = data.covariates.assign(y=data.outcome, t=data.treatment)
    covariates = list(data.covariates.columns)
    study = hte.Study.from_frame(frame, outcome="y", treatment="t", covariates=covariates)
    cate = hte.fit(study, seed=seed, progress=False, **options).cate()
    draws = cate.stack(sample=("chain", "draw")).transpose("sample", "unit")
    return Estimate.from_draws(draws.to_numpy())


def import_ours() -> None:
    """Import what a fit imports."""
    import pymc  # noqa: F401

    import bayes_hte  # noqa: F401


# --- Peers ---------------------------------------------------------------------------------------


def fit_bcf(data: Data, seed: int, *, gfr: int, mcmc: int, chains: int) -> Estimate:
    """Fit stochtree's Bayesian causal forest; it estimates the propensity itself.

    Its priors and forests are its defaults (250 prognostic and 100 effect trees). Chains start at
    grow-from-root sweeps and run one after the other, on one core.
    """
    from stochtree import BCFModel

    model = BCFModel()
    model.sample(
        X_train=data.covariates,
        Z_train=data.treatment.astype(float),
        y_train=data.outcome,
        num_gfr=gfr,
        num_mcmc=mcmc,
        general_params={"random_seed": seed % 2**31, "num_chains": chains},
    )
    return Estimate.from_draws(model.tau_hat_train.T)


def import_stochtree() -> None:
    """Import what :func:`fit_bcf` needs."""
    import stochtree  # noqa: F401


def fit_causal_forest(data: Data, seed: int) -> Estimate:
    """Fit econml's causal forest by double machine learning: honest trees, its own intervals.

    The average effect is its doubly robust one, with its normal interval.
    """
    from econml.dml import CausalForestDML

    x = data.numeric()
    forest = CausalForestDML(discrete_treatment=True, random_state=seed % 2**31)
    forest.fit(data.outcome, data.treatment, X=x)
    average = forest.ate__inference()
    bounds = {prob: average.conf_int(alpha=1 - prob) for prob in PROBS}
    return Estimate(
        cate=forest.effect(x),
        ate=np.asarray(average.point_estimate).item(),
        cate_intervals={prob: forest.effect_interval(x, alpha=1 - prob) for prob in PROBS},
        ate_intervals={
            p: (np.asarray(a).item(), np.asarray(b).item()) for p, (a, b) in bounds.items()
        },
    )


def fit_x_learner(data: Data, seed: int) -> Estimate:
    """Fit econml's X-learner on scikit-learn's gradient boosting; it has no intervals."""
    from econml.metalearners import XLearner
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    learner = XLearner(
        models=GradientBoostingRegressor(random_state=seed % 2**31),
        propensity_model=GradientBoostingClassifier(random_state=seed % 2**31),
    )
    x = data.numeric()
    learner.fit(data.outcome, data.treatment, X=x)
    cate = learner.effect(x)
    return Estimate(cate=cate, ate=float(cate.mean()))


def fit_least_squares(data: Data, seed: int) -> Estimate:
    """Regress the outcome on treatment and covariates; one effect for everybody."""
    from statsmodels.api import OLS, add_constant

    found = OLS(data.outcome, add_constant(np.column_stack([data.treatment, data.numeric()]))).fit()
    ate, bounds = float(found.params[1]), {p: found.conf_int(1 - p)[1] for p in PROBS}
    each = np.ones(len(data.effect))
    return Estimate(
        cate=ate * each,
        ate=ate,
        cate_intervals={p: (low * each, high * each) for p, (low, high) in bounds.items()},
        ate_intervals={p: (float(low), float(high)) for p, (low, high) in bounds.items()},
    )


def import_statsmodels() -> None:
    """Import what :func:`fit_least_squares` needs."""
    import statsmodels.api  # noqa: F401


def import_econml() -> None:
    """Import what the econml peers need."""
    import econml.dml
    import econml.metalearners  # noqa: F401


# What the others are compared with: enough draws and chains that Monte Carlo error is not its flaw.
REFERENCE = "bcf"

PEERS: dict[str, Method] = {
    REFERENCE: Method("stochtree", partial(fit_bcf, gfr=10, mcmc=200, chains=4), import_stochtree),
    # The defaults of its front door: 100 draws of one chain.
    "bcf defaults": Method(
        "stochtree", partial(fit_bcf, gfr=5, mcmc=100, chains=1), import_stochtree
    ),
    "x-learner boosting": Method("econml", fit_x_learner, import_econml),
    "causal forest": Method("econml", fit_causal_forest, import_econml),
}

METHODS: dict[str, Method] = {
    **{
        name: Method("bayes-hte", partial(fit_ours, options=options), import_ours)
        for name, options in OURS.items()
    },
    **PEERS,
    "least squares": Method("statsmodels", fit_least_squares, import_statsmodels),
}
