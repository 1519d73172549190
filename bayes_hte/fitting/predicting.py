"""Effects of any number of rows, predicted in blocks and written to disk.

Rows come from a table, from files, or from a Dask dataframe, whose partitions are then predicted
where Dask computes them. The numbers are the same in each case, and do not depend on the blocks.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte import effects as contrasts
from bayes_hte.components.arm_probabilities import PairPropensity
from bayes_hte.components.fitted import FittedComponent
from bayes_hte.components.hazard import HazardComponent
from bayes_hte.components.stacked import StackedComponent
from bayes_hte.effects.arguments import Better, benefit_sign, check_number
from bayes_hte.effects.averages import probability_of_benefit
from bayes_hte.effects.pairs import Contrast, pairs_of
from bayes_hte.effects.summaries import check_interval, interval
from bayes_hte.errors import SpecError, unknown_name
from bayes_hte.fitting.blocks import BATCH, positions
from bayes_hte.fitting.fitted import Fit
from bayes_hte.fitting.pair_of_mediators import held_values
from bayes_hte.fitting.pooled import PooledFit
from bayes_hte.fitting.predicted_files import (
    PredictedEffects,
    begin,
    disk,
    finish,
    is_written,
    unfinished,
    write_block,
)
from bayes_hte.names import ARM, CONTRAST, SAMPLE, UNIT
from bayes_hte.study.design import Design
from bayes_hte.study.frames import check_present
from bayes_hte.study.kinds import is_numeric
from bayes_hte.study.roles import listed
from bayes_hte.study.row_source import WHAT, row_source
from bayes_hte.threads import in_threads

# Rows of a file, unless the source is divided already.
BLOCK = 20_000
# Units of the study from whose effects a fit is recognised.
_PROBED = 8
# File from which the processes of Dask know what to do.
WORK = "_work.pickle"
OUTCOME, TOTAL, CONTROLLED = "outcome", "te", "cde"
More = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Asked:
    """What is predicted; see :func:`predict_effects`."""

    effects: tuple[str, ...]
    contrast: Any
    mediator_value: float | Mapping[str, float] | None
    better: Better
    mid: float | None
    ci_prob: float
    ci_kind: str
    posterior: bool


def predict_effects(
    fit: Fit,
    source: Any,
    *,
    to: str | Path,
    effects: str | Sequence[str] = (TOTAL,),
    contrast: Contrast = None,
    mediator_value: float | Mapping[str, float] | None = None,
    better: Better = "higher",
    mid: float | None = None,
    ci_prob: float = 0.95,
    posterior: bool = False,
    block: int = BLOCK,
    resume: bool = True,
) -> PredictedEffects:
    """Predict the effects of any number of rows in blocks, and write them to Parquet files.

    Memory is bounded by the block and the number of draws. The folder `to` exists only when all
    rows are in it; called again after an interruption, the same call goes on where it stopped.

    Parameters
    ----------
    fit : Fit
        A fitted study.
    source : DataFrame, str, Path, list of paths, or Dask dataframe
        Rows with every covariate of the study (and its cluster): a table; Parquet files, or a
        folder of them; a CSV file; or a Dask dataframe, whose partitions are predicted by Dask, on
        the user's cluster if there is one. Its workers must see the folder `to`.
    to : str or Path
        Folder to write to.
    effects : str or sequence of str
        ``"te"`` (the total effect; ``"cate"`` is the same); with a mediator also ``"tnie"``,
        ``"pnde"``, ``"pnie"``, ``"tnde"``, and ``"cde"`` with a mediator value; ``"outcome"`` is
        the expected outcome under each arm.
    contrast : (arm, arm), list of (arm, arm), str, optional
        As in :meth:`Fit.cate`.
    mediator_value : float or mapping of str to float, optional
        Value of the mediator for ``"cde"``; of two mediators both, by their names.
    better : {"higher", "lower"}
        Direction of the outcome that is a benefit.
    mid : float, optional
        The minimal important difference, in outcome units and at least 0.
    ci_prob : float, default 0.95
        Posterior probability of the interval, which is equal-tailed.
    posterior : bool, default False
        Whether to keep the draws too, in single precision, as zarr chunked over units; see
        :meth:`PredictedEffects.draws`.
    block : int, default 20000
        Rows of a file; of a Dask dataframe each partition is one.
    resume : bool, default True
        Whether to go on with what is in the folder; else it is replaced.

    Returns
    -------
    PredictedEffects
        Its table has the rows and the index of the source. For each effect: its posterior mean
        (under its name), ``_lower`` and ``_upper``, ``_prob_benefit``, with a minimal important
        difference ``_prob_beyond_mid``, the posterior probability of a benefit beyond it. With
        several contrasts ``[B vs A]`` follows, and ``[A]`` after what belongs to one arm.
        ``predicted`` is false, and the numbers are missing, where a row has a missing value or a
        level that the study has not.

    Raises
    ------
    DataError
        If the source cannot be read, lacks a column, or has one of another type.
    SpecError
        If an option is unknown or out of its range.
    SavedResultError
        If the folder holds predictions of another source, fit or option; or cannot be written to.

    Examples
    --------
    >>> import numpy as np
    >>> import bayes_hte as hte
    >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
    >>> roles = {"outcome": "y", "treatment": "treat", "mediator": "m"}
    >>> study = hte.Study.from_frame(frame, **roles, covariates=["x1", "x2", "x3"])
    >>> fit = hte.fit(study, seed=1, draws=20, tune=20, chains=2, progress=False)
    >>> done = hte.predict_effects(fit, frame, to="predicted", effects="tnie", block=25)
    >>> done.rows, list(done.frame())
    (60, ['predicted', 'tnie', 'tnie_lower', 'tnie_upper', 'tnie_prob_benefit'])
    """
    asked = Asked(
        effects=(effects,) if isinstance(effects, str) else tuple(effects),
        contrast=contrast,
        mediator_value=mediator_value,
        better=better,
        mid=None if mid is None else float(mid),
        ci_prob=ci_prob,
        ci_kind="eti",
        posterior=posterior,
    )
    return write_predictions(fit, source, to=to, asked=asked, block=block, resume=resume)


def write_predictions(
    fit: Fit,
    source: Any,
    *,
    to: str | Path,
    asked: Asked,
    block: int = BLOCK,
    resume: bool = True,
    prepare: More | None = None,
    more: More | None = None,
    missing_values: Sequence[str] | None = None,
) -> PredictedEffects:
    """Predict rows in blocks; :func:`predict_effects` with what a study file adds.

    Parameters
    ----------
    fit, source, to, block, resume
        As there.
    asked : Asked
        The options.
    prepare : callable (DataFrame) -> DataFrame, optional
        Makes the columns of a block what the study declares.
    more : callable (DataFrame) -> DataFrame, optional
        Further columns for the rows of a block.
    missing_values : sequence of str, optional
        Cells of a CSV file that mean a missing value.

    Returns
    -------
    PredictedEffects
    """
    to = Path(to)
    check_asked(fit, asked)
    check_number("block", block, "a whole number, 1 or more", lambda n: n >= 1, whole=True)
    work = _Work(without_rows(fit), asked, unfinished(to), prepare, more)
    settings = {"fit": _digest_of(fit), **asdict(asked), "contrast": repr(asked.contrast)}
    columns = _columns(fit)
    if _is_dask(source):
        check_present(pd.DataFrame(columns=list(source.columns)), columns, WHAT)
        some = source[columns]
        settings |= {"source": _token_of(some), "block": "partitions"}
        first = some.head(_PROBED, npartitions=-1)
    else:
        rows = row_source(
            source, columns, block=block, texts=_texts(fit), missing_values=missing_values
        )
        settings |= {"source": rows.digest, "block": block}
        first = next(rows.blocks(), pd.DataFrame(columns=columns))
    work.check(first)
    if done := begin(to, settings, resume=resume):
        return done
    if _is_dask(source):
        _by_dask(work, some)
    else:
        for number, frame in enumerate(rows.blocks()):
            work.write(frame, number)
        if not is_written(work.folder, 0):
            work.write(first, 0)
    return finish(to, settings, work.draws_of_some() if asked.posterior else {})


def check_asked(fit: Fit, asked: Asked) -> None:
    """Raise unless a fit can predict this.

    Raises
    ------
    SpecError
        If an option is unknown, out of its range, or not possible for this study.
    """
    mediated = "mediator" in fit.components
    natural = ("tnie", "pnde", "pnie", "tnde") if fit.has_natural_effects else ()
    held = (CONTROLLED,) if mediated else ()
    for name in asked.effects:
        if name not in (TOTAL, "cate", *natural, *held, OUTCOME):
            raise unknown_name("effect", name, (TOTAL, *natural, *held, OUTCOME))
    if not asked.effects:
        raise SpecError("effects is empty; name at least one, for instance 'te'.")
    if (CONTROLLED in asked.effects) != (asked.mediator_value is not None):
        raise SpecError("effect 'cde' needs mediator_value, the value to hold the mediator at.")
    if asked.mediator_value is not None:
        held_values(asked.mediator_value, listed(fit.study.roles.mediator))
    pairs_of(fit.study.arms, asked.contrast)
    benefit_sign(asked.better)
    check_interval(asked.ci_prob, asked.ci_kind)
    if asked.mid is not None:
        check_number("mid", asked.mid, "a difference, 0 or more", lambda d: d >= 0)


@dataclass(frozen=True)
class _Work:
    """What is done with each block; it travels to the workers of a cluster."""

    fit: Fit
    asked: Asked
    folder: Path
    prepare: More | None
    more: More | None

    def check(self, frame: pd.DataFrame) -> None:
        """Refuse rows of other columns or types than the study, before anything is written."""
        frame = self._prepared(frame)
        if len(frame) and not known_rows(self.fit, frame).any():
            self._draws(frame.head(1))

    def write(self, frame: pd.DataFrame, number: int) -> None:
        """Predict one block and write it, unless it is there."""
        if is_written(self.folder, number):
            return
        index, frame = frame.index, self._prepared(frame).reset_index(drop=True)
        known = known_rows(self.fit, frame)

        def predicted(rows: np.ndarray) -> tuple[pd.DataFrame, dict[str, xr.DataArray]]:
            some = rows[known[rows]]
            part = self._draws_at(frame, some)
            kept = part if self.asked.posterior else {}
            every = {name: _all_rows(d, known[rows]) for name, d in kept.items()}
            return self._table(part).set_axis(some, axis=0), every

        parts = list(positions(len(frame), BATCH)) or [np.arange(0)]
        tables, draws = zip(*in_threads(predicted, parts), strict=True)
        table = pd.DataFrame({"predicted": known}, index=frame.index).join(pd.concat(tables))
        if self.more is not None:
            table = table.join(self.more(frame))
        kept = {name: xr.concat([d[name] for d in draws], UNIT) for name in draws[0]}
        write_block(self.folder, number, table.set_axis(index, axis=0), kept)

    def _prepared(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame if self.prepare is None else self.prepare(frame)

    def _draws_at(self, frame: pd.DataFrame, rows: np.ndarray) -> dict[str, xr.DataArray]:
        """Return the draws at some rows of a block; without any, those of no unit."""
        if rows.size:
            return self._draws(frame.iloc[rows])
        return {name: d.isel({UNIT: slice(0)}) for name, d in self.draws_of_some().items()}

    def draws_of_some(self) -> dict[str, xr.DataArray]:
        """Return the draws of one unit of the study, for names, dimensions and coordinates."""
        return self._draws(self.fit.study.frame.head(1))

    def _draws(self, frame: pd.DataFrame) -> dict[str, xr.DataArray]:
        """Return the draws of everything that is asked for, dims (chain, draw, unit, ...)."""
        fit, asked, found = self.fit, self.asked, {}
        names = [TOTAL if name == "cate" else name for name in asked.effects]
        if any(name not in (CONTROLLED, OUTCOME) for name in names):
            every = fit.effects(frame, contrast=asked.contrast)
            found |= {n: every[n] for n in names if n not in (CONTROLLED, OUTCOME)}
        if CONTROLLED in names:
            mu = fit.potential_outcomes(frame, mediator_value=asked.mediator_value)
            found[CONTROLLED] = contrasts.controlled_direct_effect(mu, contrast=asked.contrast)
        if OUTCOME in names:
            found[OUTCOME] = contrasts.own_mediator(fit.potential_outcomes(frame))
        return {name: found[name] for name in names}

    def _table(self, draws: Mapping[str, xr.DataArray]) -> pd.DataFrame:
        """Summarise draws, one row for each unit."""
        columns: dict[str, np.ndarray] = {}
        for name, array in draws.items():
            for of, one in _one_by_one(array):
                columns |= self._summary(name, of, one)
        return pd.DataFrame(columns)

    def _summary(self, name: str, of: str, draws: xr.DataArray) -> dict[str, np.ndarray]:
        asked = self.asked
        lower, upper = interval(draws, ci_prob=asked.ci_prob, ci_kind=asked.ci_kind)
        found = {
            f"{name}{of}": draws.mean(SAMPLE),
            f"{name}_lower{of}": lower,
            f"{name}_upper{of}": upper,
        }
        if name != OUTCOME:
            how = {"better": asked.better}
            found[f"{name}_prob_benefit{of}"] = probability_of_benefit(draws, **how)
            if asked.mid is not None:
                beyond = probability_of_benefit(draws, **how, beyond=asked.mid)
                found[f"{name}_prob_beyond_mid{of}"] = beyond
        return {key: values.to_numpy() for key, values in found.items()}


def _one_by_one(draws: xr.DataArray) -> list[tuple[str, xr.DataArray]]:
    """Return the draws of each contrast or arm, with the end of its columns' names."""
    for dim in (CONTRAST, ARM):
        if dim in draws.dims:
            labels = draws[dim].to_numpy().tolist()
            return [(f"[{v}]", draws.isel({dim: i}, drop=True)) for i, v in enumerate(labels)]
    return [("", draws)]


def _all_rows(draws: xr.DataArray, known: np.ndarray) -> xr.DataArray:
    """Return draws with missing ones where a row is not predicted."""
    if known.all():
        return draws.drop_vars(UNIT, errors="ignore")
    axis = draws.get_axis_num(UNIT)
    shape = [*draws.shape[:axis], known.size, *draws.shape[axis + 1 :]]
    values = np.full(shape, np.nan, dtype=np.float32)
    if known.any():
        np.moveaxis(values, axis, 0)[known] = np.moveaxis(draws.to_numpy(), axis, 0)
    others = {k: c for k, c in draws.coords.items() if UNIT not in c.dims}
    return xr.DataArray(values, dims=draws.dims, coords=others, attrs=draws.attrs)


def known_rows(fit: Fit, frame: pd.DataFrame) -> np.ndarray:
    """Return which rows a fit can predict, shape (row,): no value is missing, no level is new.

    Raises
    ------
    DataError
        If a column is absent or of another type than in the study.
    """
    design = _design(fit)
    check_present(frame, _columns(fit), WHAT)
    known = np.ones(len(frame), dtype=bool)
    if not len(frame):
        return known
    # Gaps of these are filled before the models see the rows.
    imputed = fit.study.gaps if isinstance(fit, PooledFit) else ()
    for column in design.encoding.columns:
        if column.name in design.covariates:
            values = frame[column.name]
            gaps = values.isna().to_numpy() & (column.name in imputed)
            known &= gaps | column.known(values)
    if design.cluster is not None:
        known &= frame[design.cluster].notna().to_numpy()
    return known


def _design(fit: Fit) -> Design:
    return fit.components["outcome"].design


def _columns(fit: Fit) -> list[str]:
    design = _design(fit)
    return [*design.covariates, *([] if design.cluster is None else [design.cluster])]


def _texts(fit: Fit) -> list[str]:
    """Return the covariates that a CSV file holds as levels."""
    frame = fit.study.frame
    return [c for c in _columns(fit) if not is_numeric(frame[c])]


def _digest_of(fit: Fit) -> str:
    """Return a digest of what a fit predicts for some units of its study."""
    digest = hashlib.sha256(fit.study.fingerprint().encode())
    for array in fit.effects(fit.study.frame.head(_PROBED)).data_vars.values():
        digest.update(np.ascontiguousarray(array.to_numpy()).tobytes())
    return digest.hexdigest()


def _is_dask(source: Any) -> bool:
    return hasattr(source, "map_partitions")


def _token_of(source: Any) -> str:
    from dask.base import tokenize

    return tokenize(source)


def _by_dask(work: _Work, source: Any) -> None:
    """Predict the partitions of a Dask dataframe that are not there yet."""
    missing = [i for i in range(source.npartitions) if not is_written(work.folder, i)]
    if not missing:
        return
    # A file, and not a part of the graph, so that it is not sent with every task.
    path = work.folder / WORK
    with disk(work.folder):
        path.write_bytes(pickle.dumps(work))
    how = {"path": path, "numbers": missing, "meta": {"rows": "int64"}}
    source.partitions[missing].map_partitions(_write_partition, **how).compute()
    path.unlink()


def _write_partition(
    frame: pd.DataFrame,
    path: Path,
    numbers: Sequence[int],
    partition_info: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    # Without it Dask only wants to know the columns of the result.
    if partition_info is not None:
        _loaded(path, path.stat().st_mtime_ns).write(frame, numbers[partition_info["number"]])
    return pd.DataFrame({"rows": [len(frame)]})


@lru_cache(maxsize=1)
def _loaded(path: Path, written: int) -> _Work:
    """Return what a process of Dask is to do; `written` tells one prediction from the next."""
    return pickle.loads(path.read_bytes())


def without_rows(fit: Fit) -> Fit:
    """Return a fit without the values at its own units, which new rows do not need."""
    whole = None if fit.whole is None else without_rows(fit.whole)
    if isinstance(fit, PooledFit):
        return PooledFit.of(fit.study, tuple(map(without_rows, fit.imputations)), seed=fit.seed)
    components = {name: _lighter(component) for name, component in fit.components.items()}
    return replace(fit, components=components, whole=whole)


def _lighter(component: Any) -> Any:
    if isinstance(component, HazardComponent):
        return component.without_rows()
    if isinstance(component, FittedComponent):
        return replace(component, at_units={})
    if isinstance(component, StackedComponent):
        parts = {label: _lighter(c) for label, c in component.candidates.items()}
        return replace(component, candidates=parts)
    if isinstance(component, PairPropensity):
        return replace(component, parts={name: _lighter(c) for name, c in component.parts.items()})
    return component
