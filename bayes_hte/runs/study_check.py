"""Everything that can be said of a study file and its data without sampling, all at once."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.companions.curves import at_risk, follow_up
from bayes_hte.companions.restricted_means import restricted_means
from bayes_hte.effects.pairs import contrast_name, reported_pairs
from bayes_hte.errors import BayesHTEError
from bayes_hte.fitting.plan import scale_of_times
from bayes_hte.mixtures.identification import LEVELS
from bayes_hte.runs.prepared import Prepared, declared_frame, prepare
from bayes_hte.runs.workload import workload
from bayes_hte.study.columns import declared_columns
from bayes_hte.study.declared import study_from_spec
from bayes_hte.study.frames import with_columns
from bayes_hte.study.kinds import Kind, is_numeric
from bayes_hte.study.labels import labelled_study
from bayes_hte.study.overview import (
    RARE,
    ColumnView,
    counted,
    missing_by_arm,
    overview,
    sensible_difference,
    suggested_family,
)
from bayes_hte.study.spec import RoleSpec, Spec, bounded_limits

# Stand-ins for columns that are not looked at; no column of a user is called so.
_OUTCOME, _ARM, _COVARIATE = "(check: outcome)", "(check: arm)", "(check: covariate)"
_SHOWN = 12


@dataclass(frozen=True)
class StudyCheck:
    """What a check has found.

    Attributes
    ----------
    lines : tuple of str
        The study in words, for the terminal.
    problems : tuple of str
        Everything that keeps it from being run; empty if nothing does.
    fingerprint : str
        Of the study that would be fitted; empty if there is none.
    """

    lines: tuple[str, ...]
    problems: tuple[str, ...]
    fingerprint: str = ""


def check_study(spec: Spec) -> StudyCheck:
    """Check a study file and its data.

    Parameters
    ----------
    spec : Spec
        The study file.

    Returns
    -------
    StudyCheck

    Raises
    ------
    DataError, SpecError
        If the data cannot be read at all.
    """
    frame = declared_frame(spec)
    try:
        prepared = prepare(spec, frame)
    except BayesHTEError as error:
        lines = (f"{len(frame)} rows", *_data_lines(spec, frame))
        return StudyCheck(lines, tuple(_problems(spec, frame, str(error))))
    lines = (*_study_lines(prepared), *_data_lines(spec, frame), *_advice(prepared))
    return StudyCheck(lines, (), prepared.study.fingerprint())


# ---------------------------------------------------------------- the study in words


def _study_lines(prepared: Prepared) -> Iterator[str]:
    away, study = prepared.held_out, labelled_study(prepared.study, prepared.spec.labels)
    counts = study.frame[study.roles.treatment].value_counts()
    by_arm = ", ".join(f"{counts[arm]} {arm}" for arm in study.arms)
    yield f"{study.n_units} units: {by_arm}" + (f"; {away.n_units} more held out" if away else "")
    pairs = reported_pairs(study.arms, prepared.spec.roles.contrasts)
    names = [contrast_name(study.arms[b], study.arms[a]) for b, a in pairs]
    yield f"contrast{'s' * (len(names) > 1)}: {', '.join(names)}"
    yield f"roles: {', '.join(prepared.study.roles.columns)}"
    if prepared.mixture is not None:
        graph = prepared.mixture.graph
        reached = "no level" if graph.level is None else f"level {graph.level}"
        said = "" if graph.level is None else f": {LEVELS[graph.level]}"
        yield f"mixture: the declared graph reaches {reached}{said}"


def _data_lines(spec: Spec, frame: pd.DataFrame) -> Iterator[str]:
    """Describe the columns that have a role, as far as they can be described."""
    roles = spec.roles
    # What is refused is among the problems.
    with contextlib.suppress(BayesHTEError):
        frame = declared_columns(frame, spec.columns)
    used = [c for c in _columns(roles) if list(frame.columns).count(c) == 1]
    views = overview(frame[used])
    if roles.treatment in views:
        yield from _arms(frame, views, spec)
    for name in dict.fromkeys(used):
        yield from _column_lines(views[name], name in roles.covariates)


def _arms(frame: pd.DataFrame, views: dict[str, ColumnView], spec: Spec) -> Iterator[str]:
    roles, arms = spec.roles, views[spec.roles.treatment]
    if not len(arms.counts) >= 2:
        return
    label = spec.labels.get(roles.treatment)
    words = {} if label is None else label.levels

    def by_word(counts: Mapping[Any, int]) -> str:
        return counted({words.get(str(arm), arm): n for arm, n in counts.items()})

    if len(arms.counts) > 2 or arms.missing:
        missing = f"; {arms.missing} missing" if arms.missing else ""
        yield f"arms: {by_word(arms.counts)}{missing}"
    if roles.outcome in views and is_numeric(frame[roles.outcome]) and not roles.of_times:
        by_arm = frame[roles.outcome].astype(float).groupby(frame[roles.treatment], observed=True)
        shown = [
            f"{words.get(str(arm), arm)} {v.mean():.3g} (sd {v.std():.2g}, {v.count()})"
            for arm, v in by_arm
        ]
        yield f"{roles.outcome}, mean (sd, units) by arm: {'; '.join(shown)}"
    counts = missing_by_arm(frame[list(views)], roles.treatment)
    for name, row in counts.head(_SHOWN).iterrows():
        yield f"missing {name}: {by_word(row.to_dict())}"
    if len(counts) > _SHOWN:
        yield f"missing values in {len(counts) - _SHOWN} further columns"


def _column_lines(view: ColumnView, is_covariate: bool) -> Iterator[str]:
    if is_covariate and view.unusable:
        yield f"{view.name}: {view.unusable}"
    elif is_covariate and view.rare:
        yield f"{view.name}: levels of fewer than {RARE} units: {counted(view.rare)}"
    elif is_covariate and view.kind is Kind.CATEGORY and not view.counts:
        yield f"{view.name}: {view.n_values} levels; few units in each say little"


def _follow_up(prepared: Prepared) -> Iterator[str]:
    """Say how many events were seen in each arm, and the time to which means are restricted."""
    study, outcome = prepared.study, prepared.spec.outcome
    table = follow_up(study)
    shown = [
        f"{name} {row['events']:g} of {row['units']:g} (median follow-up "
        f"{row['median_follow_up']:.3g})"
        for name, (_, row) in zip(study.arms, table.iterrows(), strict=True)
    ]
    yield f"events by arm: {'; '.join(shown)}"
    if study.causes:
        arm = study.arm_index()
        for cause in study.causes:
            own = np.bincount(arm[study.event_of(cause)], minlength=len(study.arms))
            by_arm = ", ".join(f"{name} {n}" for name, n in zip(study.arms, own, strict=True))
            what = "events of the cause of interest" if cause == study.causes[0] else "events of"
            yield f"{what} {cause}: {by_arm}"
    scale = scale_of_times(prepared.spec, study)
    if outcome.horizon is not None:
        left = at_risk(study, [outcome.horizon]).iloc[:, 0]
        counts = ", ".join(f"{name} {n}" for name, n in zip(study.arms, left, strict=True))
        yield f"effects on the {scale.words(outcome.unit)}; at risk then: {counts}"


def _advice(prepared: Prepared) -> Iterator[str]:
    spec, study = prepared.spec, prepared.study
    y = restricted_means(study, scale_of_times(spec, study)).recorded_outcome()
    if study.event is not None:
        yield from _follow_up(prepared)
    start, because = sensible_difference(y, spec.outcome.family)
    declared = spec.outcome.minimal_important_difference
    yield (
        f"minimal important difference: {declared:g} declared ({declared / y.std():.2g} standard "
        f"deviations); without a threshold of the field {start:g}: {because}"
    )
    suggested = suggested_family(y, spec.outcome.family)
    if suggested is not None and bounded_limits(suggested) is not None:
        yield (
            f"family: {study.roles.outcome} is skewed and piles up near an end of its scale, which "
            f"a {spec.outcome.family} model does not know; in [outcome] write family = "
            f'"{suggested}", with the ends of the scale'
        )
    if len(study.roles.covariates) > study.n_units:
        yield (
            f"{len(study.roles.covariates)} covariates of {study.n_units} units: the models shrink "
            "strongly, and most of the variation of effects cannot be found"
        )
        if spec.checks.refutations == "surrogate":
            yield (
                "refutations: with so many covariates the linear stand-in finds differences in "
                "noise; checks.refutations = 'full' repeats the study's own model instead"
            )
    yield workload(spec, study)


# ---------------------------------------------------------------- all problems, not the first


def _problems(spec: Spec, frame: pd.DataFrame, first: str) -> list[str]:
    """Return every problem that a look at one column at a time finds, or the first one met."""
    found: dict[str, None] = {}

    def note(work: Callable[[], Any]) -> bool:
        """Keep the problem of a piece of work; return whether it has none."""
        try:
            work()
        except BayesHTEError as error:
            found.setdefault(str(error))
            return False
        return True

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, column in spec.columns.items():
            note(lambda name=name, column=column: declared_columns(frame, {name: column}))
        arms = _with_arms(spec.roles)
        # What is said of the arms of other columns is about the study's own, if it has them.
        plain = arms if note(lambda: _bind(spec, frame, arms)) else _PLAIN
        for roles in _one_at_a_time(spec.roles, plain):
            note(lambda roles=roles: _bind(spec, frame, roles))
    # Problems of the study as a whole come out only where its columns are fine.
    return list(found) or [first]


_PLAIN = RoleSpec(outcome=_OUTCOME, treatment=_ARM, covariates=(_COVARIATE,))


def _with_arms(roles: RoleSpec) -> RoleSpec:
    """Return roles in which the treatment is the user's and stand-ins take the others' place."""
    return replace(
        _PLAIN,
        treatment=roles.treatment,
        reference=roles.reference,
        arm_names=roles.arm_names,
        arms=roles.arms,
    )


def _one_at_a_time(roles: RoleSpec, plain: RoleSpec) -> Iterator[RoleSpec]:
    """Yield roles in which one column more is the user's than in `plain`."""
    yield replace(plain, outcome=roles.outcome)
    for name in roles.mediators:
        yield replace(plain, mediator=name)
    if roles.cluster is not None:
        yield replace(plain, cluster=roles.cluster)
    for name in roles.covariates:
        yield replace(plain, covariates=(name,))


def _bind(spec: Spec, frame: pd.DataFrame, roles: RoleSpec) -> None:
    """Build the study of one column and stand-ins."""
    position = np.arange(len(frame))
    stand_ins = {_OUTCOME: position / 7 % 1, _ARM: position % 2, _COVARIATE: position // 2 % 3}
    declared = {name: c for name, c in spec.columns.items() if name in _columns(roles)}
    study_from_spec(replace(spec, roles=roles, columns=declared), with_columns(frame, stand_ins))


def _columns(roles: RoleSpec) -> list[str]:
    named = (roles.outcome, roles.treatment, *roles.mediators, roles.cluster, *roles.covariates)
    return list(dict.fromkeys(name for name in named if name is not None))
