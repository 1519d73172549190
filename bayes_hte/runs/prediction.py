"""Expected outcomes and effects of new rows, from a finished run.

A row is *unlike the study* if a number lies outside the range of the study, if a level is absent
from it, or if the row is further from the nearest unit of the study than 99% of the units are from
theirs (Euclidean distance of standardised covariates, levels as indicators; a missing number counts
as the mean, and that it is missing is an indicator too).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from sklearn.neighbors import NearestNeighbors

from bayes_hte.components.saved import from_tree
from bayes_hte.effects.averages import probability_of_benefit
from bayes_hte.effects.pairs import ALL, Contrast, contrast_name, pairs_of, reported_pairs
from bayes_hte.effects.summaries import interval, interval_words
from bayes_hte.errors import SavedResultError
from bayes_hte.fitting.fitted import BATCH, Fit
from bayes_hte.fitting.plan import Plan
from bayes_hte.fitting.pooled import PooledFit
from bayes_hte.fitting.stages import is_imputed, stages
from bayes_hte.names import ARM, MEDIATOR_ARM, SAMPLE
from bayes_hte.runs.predicted_curves import curves_of_rows
from bayes_hte.runs.prepared import Prepared, prepare
from bayes_hte.runs.run_file import read_run, saved_spec
from bayes_hte.runs.settings import sampling_settings
from bayes_hte.runs.stage_runner import imputations
from bayes_hte.store import find_stage
from bayes_hte.study.columns import declared_columns
from bayes_hte.study.datasets import load_frame
from bayes_hte.study.design import Design
from bayes_hte.study.frames import check_present
from bayes_hte.study.kinds import is_numeric, levels_in_use, numeric_column
from bayes_hte.study.missing import with_nan
from bayes_hte.study.spec import Spec
from bayes_hte.study.study import Study

# Folder of the saved stages in a run.
STAGES = "posterior"
# The share of the study's units that are nearer to each other than a row that is like them.
NEAR = 0.99


@dataclass(frozen=True)
class Prediction:
    """Predictions for new rows.

    Attributes
    ----------
    table : DataFrame, one row per new row
        ``expected[ARM]`` for each arm, ``effect``, the bounds of its interval (kind and probability
        in their names), ``prob_benefit``, ``like_study`` and, if that is false, the reason in
        ``unlike_because``. With more than two arms each contrast has its columns,
        ``effect[CONTRAST]``. Rows that cannot be predicted are empty.
    notes : tuple of str
        What the columns mean, and whether the numbers may be used.
    healthy : bool
        Whether the sampling of the run was healthy.
    curves : DataFrame or None
        Of times to an event, if they were asked for, the curves of the rows under each arm; see
        :func:`bayes_hte.runs.predicted_curves.curves_of_rows`.
    """

    table: pd.DataFrame
    notes: tuple[str, ...]
    healthy: bool
    curves: pd.DataFrame | None = None


def predict_rows(folder: str | Path, data: str | Path, *, curves: bool = False) -> Prediction:
    """Predict the rows of a CSV file from a finished run.

    Parameters
    ----------
    folder : str or Path
        Folder of the run; its data must be where they were.
    data : str or Path
        CSV file with the covariates of the study, and its cluster if it has one.
    curves : bool, default False
        Whether to predict survival curves too.

    Returns
    -------
    Prediction

    Raises
    ------
    SavedResultError
        If there is no finished run, or its draws or data are not those it was made with.
    DataError
        If the file cannot be read, or lacks a covariate; or if curves are asked for, and the
        outcome is no time to an event.
    """
    prepared, fit, healthy = _finished_run(Path(folder))
    spec, path = prepared.spec, Path(data)
    frame = load_frame(path.name, path.parent, missing_values=spec.data.missing_values)
    frame = declared_columns(frame, spec.columns, new_rows=True)
    check_present(frame, fit.study.roles.covariates, "column of the new rows")
    reasons, possible = unlike(frame, fit.study)
    table = _table(fit, frame, possible, prepared.spec)
    table["like_study"] = reasons == ""
    table["unlike_because"] = reasons
    notes = tuple(_notes(fit, table, prepared.spec, healthy))
    drawn = curves_of_rows(fit, frame, np.flatnonzero(possible), spec) if curves else None
    return Prediction(table, notes, healthy, drawn)


def predict_to_parquet(
    folder: str | Path, data: str | Path, to: str | Path
) -> tuple[tuple[str, ...], bool]:
    """Predict any number of rows from a finished run, in blocks, into a folder of Parquet files.

    Parameters
    ----------
    folder : str or Path
        Folder of the run; its data must be where they were.
    data : str or Path
        Parquet file, folder of such files, or CSV file with the covariates of the study, and its
        cluster if it has one.
    to : str or Path
        Folder to write to; see :func:`bayes_hte.predict_effects`. Its columns are those of
        that function, for the contrasts that the study file reports (``te[B vs A]`` for each, in
        its order) and its minimal important difference, with ``like_study`` and
        ``unlike_because`` as in :class:`Prediction`.

    Returns
    -------
    notes : tuple of str
        As in :class:`Prediction`.
    healthy : bool
        Whether the sampling of the run was healthy.

    Raises
    ------
    SavedResultError, DataError
        As :func:`predict_rows` and :func:`bayes_hte.predict_effects`.
    """
    from bayes_hte.fitting.predicting import OUTCOME, TOTAL, Asked, write_predictions

    prepared, fit, healthy = _finished_run(Path(folder))
    spec, alike = prepared.spec, likeness(fit.study)
    asked = Asked(
        effects=(TOTAL, OUTCOME),
        contrast=_contrast(fit, spec),
        mediator_value=None,
        better=spec.outcome.better,
        mid=spec.outcome.minimal_important_difference,
        ci_prob=spec.report.ci_prob,
        ci_kind=spec.report.ci_kind,
        posterior=False,
    )

    def like_study(frame: pd.DataFrame) -> pd.DataFrame:
        reasons = alike(frame)[0]
        said = pd.array(reasons, dtype="str")
        return pd.DataFrame({"like_study": reasons == "", "unlike_because": said}, frame.index)

    done = write_predictions(
        fit,
        data,
        to=to,
        asked=asked,
        prepare=lambda frame: declared_columns(frame, spec.columns, new_rows=True),
        more=like_study,
        missing_values=spec.data.missing_values,
    )
    like = pd.read_parquet(done.path, columns=["like_study"])
    return tuple(_notes(fit, like, spec, healthy)), healthy


def _contrast(fit: Fit, spec: Spec) -> Contrast:
    """Return the contrasts that a study file reports, as an argument of a fit."""
    arms = fit.study.arms
    wanted = list(_contrasts(fit, spec).values())
    if len(wanted) == 1:
        b, a = wanted[0]
        return (arms[b], arms[a])
    for usual in (None, ALL):
        if wanted == pairs_of(arms, usual)[0]:
            return usual
    return [(arms[b], arms[a]) for b, a in wanted]


def _finished_run(folder: Path) -> tuple[Prepared, Fit, bool]:
    """Return a finished run's study, its fit, and whether its sampling was healthy."""
    saved = read_run(folder)
    spec = saved_spec(saved)
    prepared = prepare(spec)
    if prepared.study.fingerprint() != saved["provenance"]["data_fingerprint"]:
        raise SavedResultError(
            f"the data of {spec.data.source!r} are not those the run in {folder} was made with. "
            "Run the study again."
        )
    fit = saved_run_fit(prepared, folder / STAGES)
    return prepared, fit, bool(saved["provenance"].get("healthy", True))


def saved_run_fit(prepared: Prepared, folder: Path) -> Fit:
    """Load the fit of a finished run.

    Parameters
    ----------
    prepared : Prepared
        The study file and its data.
    folder : Path
        The folder of the saved stages.

    Returns
    -------
    Fit

    Raises
    ------
    SavedResultError
        If a stage is missing, damaged or of other settings.
    """
    study, spec = prepared.study, prepared.spec
    if not is_imputed(study):
        return _saved_fit(study, spec, folder)
    fits = tuple(_saved_fit(one, its, folder / name) for name, one, its in imputations(study, spec))
    return PooledFit.of(study, fits, seed=spec.sampler.seed)


def _saved_fit(study: Study, spec: Spec, folder: Path) -> Fit:
    """Load the stages of one fit."""
    plan, settings, components = Plan.from_spec(spec), sampling_settings(spec, study), {}
    for name in stages(study, plan):
        stage = find_stage(folder, name)
        if not stage.intact or stage.changes(settings):
            raise SavedResultError(
                f"stage {name!r} in {folder} is missing, damaged or of other settings; run the "
                "study again."
            )
        components[name] = from_tree(stage.load(), study)
    return Fit(study, plan, spec.sampler.seed, components)


def unlike(frame: pd.DataFrame, study: Study) -> tuple[np.ndarray, np.ndarray]:
    """Say which rows are unlike every unit of a study; the rule is in the module.

    Parameters
    ----------
    frame : DataFrame, shape (row, ...)
        New rows with every covariate.
    study : Study
        The study.

    Returns
    -------
    reasons : ndarray of str, shape (row,)
        Empty for rows like the study.
    possible : ndarray of bool, shape (row,)
        Whether a row can be predicted at all: no value is missing, no level is new.
    """
    return likeness(study)(frame)


def likeness(study: Study) -> Callable[[pd.DataFrame], tuple[np.ndarray, np.ndarray]]:
    """Return :func:`unlike` as a function of new rows, for many tables of them."""
    far = _distance(study)
    return lambda frame: _unlike(frame, study, far)


def _unlike(
    frame: pd.DataFrame, study: Study, far: Callable[[pd.DataFrame], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    said: list[list[str]] = [[] for _ in range(len(frame))]
    possible = np.ones(len(frame), dtype=bool)
    for name in study.roles.covariates:
        known, new = study.frame[name], frame[name]
        missing = new.isna().to_numpy() & (not known.isna().any())
        _note(said, missing, f"{name} is missing")
        possible &= ~missing
        if is_numeric(known):
            values = _numbers(new)
            low, high = float(known.min()), float(known.max())
            _note(said, values < low, f"{name} below {low:g}")
            _note(said, values > high, f"{name} above {high:g}")
        else:
            unseen = ~new.astype(str).isin(levels_in_use(known)).to_numpy() & new.notna().to_numpy()
            _note(said, unseen, f"{name} has a level that the study lacks")
            possible &= ~unseen
    for row in np.flatnonzero(possible)[far(frame.loc[possible])]:
        said[row] = said[row] or ["nobody in the study has such a combination"]
    return np.array(["; ".join(each) for each in said], dtype=object), possible


def _numbers(column: pd.Series) -> np.ndarray:
    """Return a column as numbers, NaN where it has none."""
    if is_numeric(column):
        return numeric_column(with_nan(column), "covariate")
    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)


def _note(said: list[list[str]], rows: np.ndarray, reason: str) -> None:
    for row in np.flatnonzero(rows):
        said[row].append(reason)


def _distance(study: Study) -> Callable[[pd.DataFrame], np.ndarray]:
    """Say of rows whether each is further from the study than its units are from each other."""
    design = Design.learn(study)
    own = design.standardized("covariates").to_numpy()
    near = NearestNeighbors(n_neighbors=2).fit(own)
    # The nearest to a unit is itself.
    usual = np.quantile(near.kneighbors(own)[0][:, 1], NEAR)

    def far(frame: pd.DataFrame) -> np.ndarray:
        if not len(frame):
            return np.zeros(0, dtype=bool)
        rows = design.replay(frame).standardized("covariates").to_numpy()
        return near.kneighbors(rows, n_neighbors=1)[0][:, 0] > usual

    return far


def _table(fit: Fit, frame: pd.DataFrame, possible: np.ndarray, spec: Spec) -> pd.DataFrame:
    """Summarise the rows that can be predicted, in blocks; the others are empty."""
    parts = []
    rows = np.flatnonzero(possible)
    for start in range(0, len(rows), BATCH):
        block = frame.iloc[rows[start : start + BATCH]]
        parts.append(_block(fit, block, spec))
    if not parts:
        return pd.DataFrame(index=frame.index.rename("row"))
    table = pd.concat(parts).reindex(np.arange(len(frame)), axis=0)
    return table.set_axis(frame.index.rename("row"), axis=0)


def _block(fit: Fit, frame: pd.DataFrame, spec: Spec) -> pd.DataFrame:
    position = frame.index.to_numpy()
    mu, arms = fit.potential_outcomes(frame), fit.study.arms
    columns = {
        f"expected[{arm}]": _own(mu, i).mean(SAMPLE).to_numpy() for i, arm in enumerate(arms)
    }
    kind = {"ci_prob": spec.report.ci_prob, "ci_kind": spec.report.ci_kind}
    suffix = f"{100 * spec.report.ci_prob:g}_{spec.report.ci_kind}"
    for name, (b, a) in _contrasts(fit, spec).items():
        effect = fit.cate(frame, contrast=(arms[b], arms[a]))
        lower, upper = interval(effect, **kind)
        # With more than two arms each contrast has columns of its own.
        of = f"[{name}]" if len(arms) > 2 else ""
        columns |= {
            f"effect{of}": effect.mean(SAMPLE).to_numpy(),
            f"effect_lower_{suffix}{of}": lower.to_numpy(),
            f"effect_upper_{suffix}{of}": upper.to_numpy(),
            f"prob_benefit{of}": probability_of_benefit(
                effect, better=spec.outcome.better
            ).to_numpy(),
        }
    return pd.DataFrame(columns, index=position)


def _contrasts(fit: Fit, spec: Spec) -> dict[str, tuple[int, int]]:
    """Return the arms of each contrast that the study file reports, by its name."""
    arms = fit.study.arms
    pairs = reported_pairs(arms, spec.roles.contrasts)
    return {contrast_name(arms[b], arms[a]): (b, a) for b, a in pairs}


def _own(mu: xr.DataArray, arm: int) -> xr.DataArray:
    """Return the outcome under an arm, the mediator (if any) as under that arm."""
    mu = mu.isel({ARM: arm})
    return mu.isel({MEDIATOR_ARM: arm}) if MEDIATOR_ARM in mu.dims else mu


def _notes(fit: Fit, table: pd.DataFrame, spec: Spec, healthy: bool) -> list[str]:
    words = interval_words(spec.report.ci_prob, spec.report.ci_kind)
    unit = f" in {spec.outcome.unit}" if spec.outcome.unit else ""
    contrasts = ", ".join(_contrasts(fit, spec))
    scale = fit.estimand()
    on = f"{fit.study.roles.outcome}{unit}"
    on = on if scale is None else f"the {scale.words(spec.outcome.unit)}"
    notes = [
        f"{len(table)} rows; effect: {contrasts} on {on}; "
        f"bounds: {words}; prob_benefit: posterior probability that the effect is beneficial "
        f"({spec.outcome.better} is better)"
    ]
    far = int((~table["like_study"]).sum())
    if far:
        notes.append(
            f"{far} rows are like nobody in the study (like_study = False): their numbers come "
            "from the model, not from data"
        )
    if spec.quick:
        notes.append("from a first look (--quick): run the study without it before any use")
    if not healthy:
        notes.append("the sampling of the run failed its health checks; do not use these numbers")
    return notes
