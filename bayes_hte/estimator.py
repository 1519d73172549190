"""The estimator for users of scikit-learn, EconML or CausalML.

It is no regressor in scikit-learn's sense, and so has neither that mixin nor a ``score``: `predict`
returns effects, which nobody observes, not predictions of ``y``. ``hte.verdict(estimator.fit_)``
says whether the effects can be trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from bayes_hte.effects.summaries import CiKind, check_interval, summarize
from bayes_hte.errors import DataError
from bayes_hte.fitting.doubts import GAUSSIAN
from bayes_hte.fitting.fitted import BATCH
from bayes_hte.fitting.stages import fit
from bayes_hte.names import SAMPLE
from bayes_hte.study.spec import PriorSpec
from bayes_hte.study.study import Study


class EffectEstimator(BaseEstimator):
    """Individual treatment effects with scikit-learn's conventions.

    A thin cover of :func:`bayes_hte.fit`. Studies with a mediator or clusters are fitted with that
    function, as their further columns have no place among the arguments of ``fit(X, y)``.

    Parameters
    ----------
    learner, surface, stack_with, family, noise, propensity_covariate, means_by, priors : optional
        The models, as in :func:`bayes_hte.fit`.
    reference : optional
        The level of the treatment that effects are taken against; default False or the smaller
        number. For text it must be given.
    seed : int, optional
        Same seed, same numbers. By default one is drawn, and kept as ``fit_.seed``.
    draws, tune, chains, cores, progress : optional
        The sampling, as in :func:`bayes_hte.fit`.

    Attributes
    ----------
    fit_ : Fit
        The fitted study; all other functions of the package take it.
    n_features_in_ : int
        Number of columns of ``X``.
    feature_names_in_ : ndarray of str, shape (n_features_in_,)
        Their names, if ``X`` was a table whose names are all text. Columns without names are
        called ``x0``, ``x1``, ... in the study.

    Examples
    --------
    >>> import numpy as np
    >>> import bayes_hte as hte
    >>> rng = np.random.default_rng(1)
    >>> X, treatment = rng.normal(size=(40, 2)), np.arange(40) % 2
    >>> y = X[:, 0] + treatment + rng.normal(size=40)
    >>> estimator = hte.EffectEstimator(stack_with=(), seed=1, draws=20, tune=20, chains=2, progress=False)
    >>> estimator.fit(X, y, treatment=treatment).predict(X[:3]).shape
    (3,)
    """  # noqa: E501

    # Read by scikit-learn's metadata routing: `fit` takes `treatment` unless told otherwise.
    __metadata_request__fit: ClassVar[dict[str, bool]] = {"treatment": True}

    def __init__(
        self,
        *,
        learner: str = "hierarchical",
        surface: str = "forest",
        stack_with: Iterable[str] | None = None,
        family: str = GAUSSIAN,
        noise: str = "constant",
        propensity_covariate: bool = True,
        means_by: str | None = None,
        priors: Iterable[PriorSpec] = (),
        reference: Any = None,
        seed: int | None = None,
        draws: int = 500,
        tune: int = 300,
        chains: int = 4,
        cores: int | None = None,
        progress: bool = True,
    ) -> None:
        self.learner = learner
        self.surface = surface
        self.stack_with = stack_with
        self.family = family
        self.noise = noise
        self.propensity_covariate = propensity_covariate
        self.means_by = means_by
        self.priors = priors
        self.reference = reference
        self.seed = seed
        self.draws = draws
        self.tune = tune
        self.chains = chains
        self.cores = cores
        self.progress = progress

    def fit(self, X: pd.DataFrame | ArrayLike, y: ArrayLike, *, treatment: ArrayLike) -> Self:
        """Fit the models.

        Parameters
        ----------
        X : DataFrame or array-like, shape (row, column)
            Covariates measured before treatment; no sparse matrix.
        y : Series or array-like, shape (row,)
            The outcome.
        treatment : Series or array-like, shape (row,)
            The arm of each row, one of two values.

        Returns
        -------
        EffectEstimator
            This object.

        Raises
        ------
        DataError
            If the rows of the three do not match, or the data do not suit the models.
        SpecError
            If an option is unknown, or a combination is not supported.

        Warns
        -----
        UnhealthySamplingWarning, DoubtfulOptionWarning
            As :func:`bayes_hte.fit`.
        """
        frame = self._frame(X, reset=True)
        labelled = isinstance(X, pd.DataFrame)
        outcome = _column(y, frame, "outcome", labelled=labelled)
        arm = _column(treatment, frame, "treatment", labelled=labelled)
        outcome = outcome.rename(_free_name(outcome, "outcome", frame.columns))
        arm = arm.rename(_free_name(arm, "treatment", [*frame.columns, outcome.name]))
        study = Study.from_frame(
            pd.concat([frame, outcome, arm], axis=1),
            outcome=outcome.name,
            treatment=arm.name,
            covariates=list(frame.columns),
            reference=self.reference,
        )
        study.check_two_arms("the estimator")
        options = self.get_params(deep=False)
        del options["reference"]
        self.fit_ = fit(study, **options)
        return self

    def predict(self, X: pd.DataFrame | ArrayLike) -> pd.Series | np.ndarray:
        """Return the posterior mean of each row's effect.

        Parameters
        ----------
        X : DataFrame or array-like, shape (row, column)
            Rows with the columns of `fit`.

        Returns
        -------
        Series (with the index of `X`) if `X` is a DataFrame, else ndarray, shape (row,)
            Expected outcome under the treatment minus that under the reference, in outcome units
            (for a binary outcome, a difference of probabilities).

        Raises
        ------
        NotFittedError
            Before `fit`.
        DataError
            If the columns are not those of `fit`, or hold missing values or new levels.
        """
        parts = self._of_batches(X, lambda draws: draws.mean(SAMPLE).to_series())
        means = pd.concat(parts).to_numpy()
        return pd.Series(means, index=X.index, name="effect") if _is_frame(X) else means

    def predict_interval(
        self,
        X: pd.DataFrame | ArrayLike,
        *,
        ci_prob: float = 0.95,
        ci_kind: CiKind = "eti",
    ) -> pd.DataFrame:
        """Summarise the posterior of each row's effect.

        Parameters
        ----------
        X : DataFrame or array-like, shape (row, column)
            Rows with the columns of `fit`.
        ci_prob : float, default 0.95
            Posterior probability of the interval.
        ci_kind : {"eti", "hdi"}
            Equal-tailed or highest-density interval.

        Returns
        -------
        DataFrame, one row per row of `X`, with its index if it has one
            ``mean``, ``median``, ``sd``, ``ci_lower``, ``ci_upper``, ``prob_positive``,
            ``ci_prob``, ``ci_kind``.

        Raises
        ------
        NotFittedError, DataError
            As `predict`.
        SpecError
            If the interval request is not meaningful.
        """
        check_interval(ci_prob, ci_kind)
        parts = self._of_batches(
            X, lambda draws: summarize(draws, ci_prob=ci_prob, ci_kind=ci_kind)
        )
        table = pd.concat(parts)
        return table.set_axis(X.index if _is_frame(X) else pd.RangeIndex(len(table)))

    def effect_draws(self, X: pd.DataFrame | ArrayLike) -> xr.DataArray:
        """Return the posterior draws of each row's effect.

        Parameters
        ----------
        X : DataFrame or array-like, shape (row, column)
            Rows with the columns of `fit`.

        Returns
        -------
        DataArray, dims (chain, draw, unit)
            In outcome units. Average these over rows, draw by draw, and summarise last: the
            average of the rows' intervals is no interval of the average.

        Raises
        ------
        NotFittedError, DataError
            As `predict`.
        """
        check_is_fitted(self)
        return self.fit_.cate(self._frame(X, reset=False))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.categorical = tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        tags.non_deterministic = self.seed is None
        return tags

    def _frame(self, X: pd.DataFrame | ArrayLike, *, reset: bool) -> pd.DataFrame:
        """Return the covariates as a frame whose columns have the names of the study."""
        try:
            X = X if _is_frame(X) else check_array(X, dtype=None, ensure_all_finite=False)
            validate_data(self, X, reset=reset, skip_check_array=True)
        except (TypeError, ValueError) as error:
            raise DataError(f"X cannot be used: {error}") from error
        frame = pd.DataFrame(X)
        if frame.empty:
            raise DataError(f"X is empty: {len(frame)} rows, {frame.shape[1]} columns.")
        names = getattr(self, "feature_names_in_", [f"x{i}" for i in range(frame.shape[1])])
        # An array of mixed values has no types; its columns do.
        return frame.set_axis(list(names), axis=1).infer_objects()

    def _of_batches[T](
        self, X: pd.DataFrame | ArrayLike, summarise: Callable[[xr.DataArray], T]
    ) -> list[T]:
        """Summarise effects in batches of rows, as draws of many rows fill the memory."""
        check_is_fitted(self)
        frame = self._frame(X, reset=False).reset_index(drop=True)
        starts = range(0, len(frame), BATCH)
        return [summarise(self.fit_.cate(frame.iloc[i : i + BATCH])) for i in starts]


def _is_frame(X: Any) -> bool:
    return isinstance(X, pd.DataFrame)


def _column(values: Any, frame: pd.DataFrame, role: str, *, labelled: bool) -> pd.Series:
    """Return one value per row of the frame, with its index; refuse rows that do not match."""
    if isinstance(values, pd.DataFrame) and values.shape[1] == 1:
        values = values.iloc[:, 0]
    if not isinstance(values, pd.Series):
        values, labelled = np.asarray(values), False
        values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
        if values.ndim != 1:
            raise DataError(f"{role} must have one value per row, got shape {values.shape}.")
        values = pd.Series(values)
    if len(values) != len(frame):
        raise DataError(f"X has {len(frame)} rows, and {role} {len(values)} values.")
    if labelled and not values.index.equals(frame.index):
        raise DataError(
            f"{role} and X have different row labels; align them, for instance with "
            f"{role}.loc[X.index], or pass {role}.to_numpy() to match rows by position."
        )
    return values.set_axis(frame.index)


def _free_name(values: pd.Series, role: str, taken: Iterable[str]) -> str:
    """Return the name of a column, or its role if it has none or another column has it."""
    for name in (values.name, role):
        if isinstance(name, str) and name not in taken:
            return name
    raise DataError(f"X has a column {role!r}: rename it, or give the {role} another name.")
