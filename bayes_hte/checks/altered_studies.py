"""Studies altered so that the answer is known: no effect, no outcome, one column more, fewer rows.

Where a cluster is declared, whole clusters are shuffled or drawn: their rows are not independent,
and breaking them up would make the altered study more informative than the real one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError, unknown_name
from bayes_hte.study.frames import unit_labels, with_columns
from bayes_hte.study.study import Study


def with_placebo_treatment(study: Study, rng: np.random.Generator) -> Study:
    """Return the study with its treatment shuffled, so that nothing can have an effect.

    With clusters, each takes over the treated share of another one, and as many of its rows are
    treated, at random. Where whole clusters were treated, whole clusters are.
    """
    arm = study.arm_index()
    codes = _cluster_codes(study)
    shuffled = rng.permutation(arm) if codes is None else _shares_exchanged(arm, codes, rng)
    treatment = study.frame[study.roles.treatment]
    # Each level is taken from a row of its arm, so that the column keeps its type.
    examples = np.array([np.flatnonzero(arm == a)[0] for a in (0, 1)])
    return _rebuilt(study, {treatment.name: treatment.array.take(examples[shuffled])})


def with_permuted_outcome(study: Study, rng: np.random.Generator) -> Study:
    """Return the study with its outcome shuffled, so that nothing predicts it.

    With clusters, the outcomes of whole clusters, in random order, are laid end to end over the
    rows of the clusters, so that rows of one cluster keep having similar outcomes (exactly where
    clusters are equally large).
    """
    codes = _cluster_codes(study)
    if codes is None:
        return _with_outcomes_of(study, rng.permutation(study.n_units))
    rows = np.argsort(codes, kind="stable")
    order = rng.permutation(codes.max() + 1)
    source = np.lexsort((rng.random(codes.size), order[codes]))
    taken = np.empty_like(rows)
    taken[rows] = source
    return _with_outcomes_of(study, taken)


def _with_outcomes_of(study: Study, rows: np.ndarray) -> Study:
    """Give every unit the outcome of another; a time brings its event and entry with it."""
    roles = study.roles
    of_times = (roles.event, roles.entry, roles.upper)
    columns = [c for c in (roles.outcome, *of_times) if c is not None]
    return _rebuilt(study, {c: study.frame[c].array.take(rows) for c in columns})


def with_random_cause(study: Study, rng: np.random.Generator) -> Study:
    """Return the study with one covariate more, standard normal and unrelated to everything."""
    name = "random_cause"
    while name in study.frame.columns:
        name += "_"
    return _rebuilt(
        study,
        {name: rng.normal(size=study.n_units)},
        covariates=(*study.roles.covariates, name),
    )


def random_subset(study: Study, rng: np.random.Generator, *, share: float) -> Study:
    """Return a random part of the study, of units or of clusters where they are declared.

    Parameters
    ----------
    study : Study
        The whole.
    rng : numpy.random.Generator
        Source of randomness.
    share : float
        Share of the units (in each arm), or of the clusters, to keep.

    Returns
    -------
    Study

    Raises
    ------
    DataError
        If the part is too small for a study, or a column no longer varies in it.
    """
    codes = _cluster_codes(study)
    if codes is None:
        arm = study.arm_index()
        kept = [_some(np.flatnonzero(arm == a), share, rng) for a in (0, 1)]
        return study.subset(np.sort(np.concatenate(kept)))
    return study.subset(np.isin(codes, _some(np.arange(codes.max() + 1), share, rng)))


def with_control_outcome(study: Study, control: pd.Series | str) -> Study:
    """Return the study of an outcome that the treatment cannot have affected.

    The control outcome is a measurement, also where the study is of times to an event.

    Parameters
    ----------
    study : Study
        The study of the outcome.
    control : Series or str
        Values by unit label; or the name of a covariate of the study, which is then taken out of
        the covariates (so a measurement of the outcome before treatment can serve).

    Returns
    -------
    Study

    Raises
    ------
    DataError
        If the column does not exist or is not a covariate, units have no value, or nothing is left
        to adjust for.
    """
    if study.event is not None:
        others = replace(study.roles, event=None, entry=None, cause=None)
        study = replace(study, frame=study.frame[list(others.columns)], roles=others)
    roles = study.roles
    if isinstance(control, str):
        if control not in study.frame.columns:
            error = unknown_name("column", control, roles.covariates, DataError)
            raise DataError(
                f"negative control: {error} The study keeps the columns of its roles only; pass "
                f"any other column as values, negative_control=df[{control!r}]."
            )
        if control not in roles.covariates:
            raise DataError(
                f"negative control {control!r} has a role of its own in the study (outcome, "
                "treatment, mediator or cluster); name a covariate, or pass another column as "
                "values, negative_control=df[<column>]."
            )
        covariates = tuple(c for c in roles.covariates if c != control)
        return _rebuilt(study, {roles.outcome: study.frame[control].array}, covariates=covariates)
    control = control.set_axis(unit_labels(control.index))
    missing = int((~study.units.isin(control.dropna().index)).sum())
    if missing or not control.index.is_unique:
        raise DataError(
            f"negative control {control.name!r} must have one value for each unit, by the labels "
            f"of the study's frame; {missing} of {study.n_units} units have none"
            f"{'' if control.index.is_unique else ', and labels are repeated'}."
        )
    return _rebuilt(study, {roles.outcome: control.loc[study.units].array})


def sampling_units(study: Study) -> int:
    """Return the number of independent units: clusters where they are declared, else rows."""
    codes = _cluster_codes(study)
    return study.n_units if codes is None else int(codes.max()) + 1


def _cluster_codes(study: Study) -> np.ndarray | None:
    clusters = study.clusters()
    return None if clusters is None else pd.factorize(clusters)[0]


def _shares_exchanged(arm: np.ndarray, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    sizes = np.bincount(codes)
    shares = (np.bincount(codes, weights=arm) / sizes)[rng.permutation(sizes.size)]
    # Rounded up as often as the fraction says, so that no arm grows on average.
    counts = np.floor(shares * sizes + rng.random(sizes.size)).astype(np.int64)
    rows = np.lexsort((rng.random(codes.size), codes))
    rank = np.arange(codes.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    shuffled = np.empty_like(arm)
    shuffled[rows] = rank < np.repeat(counts, sizes)
    return shuffled


def _some(items: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(items, size=round(share * items.size), replace=False)


def _rebuilt(
    study: Study, columns: dict[str, object], *, covariates: tuple[str, ...] | None = None
) -> Study:
    """Return the study with some columns exchanged or added, checked again."""
    roles = study.roles
    if covariates is not None:
        roles = replace(roles, covariates=covariates)
    return replace(study, roles=roles).alike(with_columns(study.frame, columns))
