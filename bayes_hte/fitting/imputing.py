"""Imputed frames of a study with missing covariates, by chained equations within each arm.

Each incomplete column is drawn in turn from a regression on all others, the outcome and the
mediator among them: a covariate that was imputed without the outcome would be unrelated to it where
it is missing, and effects that it modifies would be pulled together (Moons et al. 2006). Arms are
imputed apart, so that the regressions allow what the models look for: relations between covariate
and outcome that differ between the arms (Sullivan et al. 2018). Numbers are drawn from Bayesian
ridge regressions (scikit-learn's ``IterativeImputer`` with draws from the posterior), within the
range of the study; columns of categories, and numbers of two values, from multinomial regressions
on a bootstrap sample of the units, which stands for the uncertainty of its coefficients.

References
----------
van Buuren, S., Groothuis-Oudshoorn, K. (2011). mice: multivariate imputation by chained equations
in R. Journal of Statistical Software 45(3), 1-67. doi:10.18637/jss.v045.i03
Moons, K. G. M., Donders, R. A. R. T., Stijnen, T., Harrell, F. E. (2006). Using the outcome for
imputation of missing predictor values was preferred. Journal of Clinical Epidemiology 59,
1092-1101. doi:10.1016/j.jclinepi.2006.01.009
Sullivan, T. R., White, I. R., Salter, A. B., Ryan, P., Lee, K. J. (2018). Should multiple
imputation be the method of choice for handling missing data in randomized trials? Statistical
Methods in Medical Research 27, 2610-2626. doi:10.1177/0962280216683570
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 (makes the next import work)
from sklearn.impute import IterativeImputer
from sklearn.linear_model import LogisticRegression

from bayes_hte.seeds import stage_seed
from bayes_hte.study.causes import cause_codes
from bayes_hte.study.frames import with_columns
from bayes_hte.study.kinds import is_numeric
from bayes_hte.study.missing import with_nan
from bayes_hte.study.study import Study

# Rounds over the incomplete columns; the draws of later rounds no longer show where they began.
ROUNDS = 5
# Rounds of the numeric columns among themselves, within each of those.
INNER = 4


def imputed_studies(study: Study, *, seed: int) -> tuple[Study, ...]:
    """Return a study with its missing covariates filled in several times.

    Parameters
    ----------
    study : Study
        A study built with ``missing="impute"``, or from several frames.
    seed : int
        Same seed, same frames; not used if the user gave the frames.

    Returns
    -------
    tuple of Study
        With complete covariates; missing outcomes and mediators stay missing. One study, the same,
        if no covariate is missing.
    """
    if study.completed:
        return tuple(_complete(study, frame) for frame in study.completed)
    if not study.covariate_frame().isna().any(axis=None):
        return (_complete(study, study.frame),)
    return tuple(
        _complete(study, _imputed(study, np.random.default_rng(stage_seed(seed, f"impute {i}"))))
        for i in range(study.imputations)
    )


def _complete(study: Study, frame: pd.DataFrame) -> Study:
    bare = replace(study, missing="splits", gaps=(), completed=())  # nothing left to impute
    return replace(bare.alike(frame), flow=study.flow)


def _imputed(study: Study, rng: np.random.Generator) -> pd.DataFrame:
    """Return the frame with one draw of every missing covariate."""
    roles = study.roles
    further = [*roles.mediators, *([] if roles.event is None else [roles.event])]
    further += [] if roles.upper is None else [roles.upper]
    used = [roles.outcome, *further, *roles.covariates]
    arm, parts, frame = study.arm_index(), [], study.frame
    if roles.upper is not None:
        seen = {roles.outcome: study.outcome(), roles.upper: study.event.astype(np.float64)}
        frame = with_columns(frame, seen)
    if study.causes:
        # Codes of causes are names, not amounts.
        causes = pd.Series(cause_codes(frame[roles.event], roles.no_event), index=frame.index)
        frame = with_columns(frame, {roles.event: causes.astype(str)})
    for a in np.unique(arm):
        parts.append(_chained(frame.loc[arm == a, used], rng))
    filled = pd.concat(parts).reindex(study.units)
    return with_columns(study.frame, {name: filled[name] for name in roles.covariates})


def _chained(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the missing values of one arm by chained equations."""
    frame = frame.apply(with_nan)
    numeric = [c for c in frame.columns if is_numeric(frame[c]) and frame[c].nunique() > 2]
    others = [c for c in frame.columns if c not in numeric]
    gaps = frame.isna()
    # Where the walk begins: medians, and levels drawn from those that occur.
    filled = frame.copy()
    for name in numeric:
        filled[name] = filled[name].astype(np.float64).fillna(frame[name].median())
    for name in others:
        known = frame[name].dropna().to_numpy()
        if gaps[name].any():
            filled.loc[gaps[name], name] = rng.choice(known, size=int(gaps[name].sum()))
    for _ in range(ROUNDS if others else 1):
        if gaps[numeric].any(axis=None):
            filled[numeric] = _numbers(frame, filled, numeric, others, rng)
        for name in others:
            if gaps[name].any():
                filled.loc[gaps[name], name] = _levels(filled, name, gaps[name], rng)
    return filled


def _numbers(
    frame: pd.DataFrame,
    filled: pd.DataFrame,
    numeric: list[str],
    others: list[str],
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the numeric columns with their gaps drawn, shape (unit, numeric)."""
    values = frame[numeric].to_numpy(dtype=np.float64)
    center, scale = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    z = (values - center) / scale
    dummies = _indicators(filled[others])
    imputer = IterativeImputer(
        sample_posterior=True,
        max_iter=INNER if others else ROUNDS * 2,
        min_value=np.append(np.nanmin(z, axis=0), np.full(dummies.shape[1], -np.inf)),
        max_value=np.append(np.nanmax(z, axis=0), np.full(dummies.shape[1], np.inf)),
        random_state=int(rng.integers(2**31)),
    )
    drawn = imputer.fit_transform(np.hstack([z, dummies]))[:, : len(numeric)]
    return np.where(np.isnan(values), drawn * scale + center, values)


def _levels(
    filled: pd.DataFrame, name: str, gaps: pd.Series, rng: np.random.Generator
) -> np.ndarray:
    """Draw the missing levels of a column, given all others, shape (gap,)."""
    x = _indicators(filled.drop(columns=name))
    x = (x - x.mean(axis=0)) / np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    known = np.flatnonzero(~gaps.to_numpy())
    rows = rng.choice(known, size=known.size)
    codes, levels = pd.factorize(filled[name])
    if np.unique(codes[rows]).size < 2:
        return np.asarray(levels)[np.full(int(gaps.sum()), codes[rows][0])]
    model = LogisticRegression(max_iter=200).fit(x[rows], codes[rows])
    chance = model.predict_proba(x[gaps.to_numpy()]).cumsum(axis=1)
    drawn = (rng.random(len(chance))[:, None] > chance[:, :-1]).sum(axis=1)
    return np.asarray(levels)[model.classes_[drawn]]


def _indicators(frame: pd.DataFrame) -> np.ndarray:
    """Return columns as numbers, levels as indicators, shape (unit, feature)."""
    if not frame.shape[1]:
        return np.empty((len(frame), 0))
    columns = []
    for name in frame.columns:
        if is_numeric(frame[name]):
            columns.append(frame[name].to_numpy(dtype=np.float64)[:, None])
        else:
            codes, levels = pd.factorize(frame[name], sort=False)
            columns.append((codes[:, None] == np.arange(1, len(levels))).astype(np.float64))
    return np.hstack(columns)
