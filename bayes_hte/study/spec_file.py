"""Reading a study file (TOML), strictly.

Unknown keys are errors that name the nearest known key; every value is checked against its type and
its closed list of choices, and against the other tables, before any data is read.
"""

from __future__ import annotations

import json
import math
import tomllib
import types
import typing
from collections.abc import Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

from bayes_hte.errors import SpecError, unknown_name
from bayes_hte.study.roles import MOST_MEDIATORS, listed
from bayes_hte.study.spec import (
    ColumnSpec,
    FamilyName,
    LabelSpec,
    MixtureSpec,
    OutcomeFamilyName,
    Spec,
    TimeFamilyName,
    bounded_limits,
    family_called,
)

# Set by the reader of the file, never in it.
_NOT_IN_FILE = ("text", "folder", "name", "changes", "quick")
# A first look: what takes long and answers the last questions is left out.
QUICK = {
    "sampler": {"draws": 150, "tune": 150},
    "outcome": {"stack_with": []},
    "learner": {"beside": []},
    "propensity": {"report_both": False},
    "checks": {"refutations": "none", "other_seeds": 0},
    "subgroups": {"honest": False, "calibrate": "none"},
}


def load_spec(path: str | Path, *, changes: Sequence[str] = (), quick: bool = False) -> Spec:
    """Read and check a study file.

    Parameters
    ----------
    path : str or Path
        A TOML file.
    changes : sequence of str
        Keys to change, each as ``"sampler.draws = 100"``, with a value in TOML (a word may stand
        without quotes).
    quick : bool, default False
        Whether to cut the analysis down to a first look: few draws, and neither halves,
        refutations, candidates nor other seeds. `changes` come after that.

    Returns
    -------
    Spec

    Raises
    ------
    SpecError
        If the file does not exist, is not TOML, lacks a key, or holds an unknown key or a value
        that is not allowed; the message names the place.

    Examples
    --------
    >>> import bayes_hte as hte
    >>> from bayes_hte.cli import shipped_studies
    >>> spec = hte.load_spec(shipped_studies()["jobs2"])
    >>> spec.roles.outcome, spec.roles.mediator
    ('depress2', 'job_seek')
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot read study file {path}: {error}.") from error
    return parse_spec(text, name=path.stem, folder=path.parent, changes=changes, quick=quick)


def parse_spec(
    text: str,
    *,
    name: str = "study",
    folder: Path = Path(),
    changes: Sequence[str] = (),
    quick: bool = False,
) -> Spec:
    """Parse the text of a study file; see :func:`load_spec`."""
    table = _table(text, name, changes, quick=quick)
    for key in _NOT_IN_FILE:
        if key in table:
            raise unknown_name(f"key in {name}", key, _keys(Spec))
    _gather_mediators(table)
    own = {"text": text, "folder": folder, "name": name, "changes": tuple(changes), "quick": quick}
    spec = _build(Spec, table, name, extra=own)
    _check(spec)
    return spec


def _gather_mediators(table: dict[str, Any]) -> None:
    """Put the tables of single mediators, ``[mediator.job_seek]``, together under ``each``."""
    mediator, roles = table.get("mediator"), table.get("roles")
    named = roles.get("mediator") if isinstance(roles, dict) else None
    first = roles.get("post_treatment") if isinstance(roles, dict) else None
    if first is not None:
        named = [first, *(named if isinstance(named, list) else [named])]
    if not isinstance(mediator, dict) or not isinstance(named, list):
        return
    if not all(isinstance(name, str) for name in named):
        return  # said where the roles are read
    own = {key: value for key, value in mediator.items() if isinstance(value, dict)}
    for name in own:
        if name not in named:
            raise unknown_name("mediator in [mediator]", name, named)
    rest = {key: value for key, value in mediator.items() if key not in own}
    table["mediator"] = {**rest, "each": own}


def stated(spec: Spec) -> dict[str, Any]:
    """Return what the user has said: the tables of the file with its changes, no defaults."""
    return _table(spec.text, spec.name, spec.changes, quick=False)


def _table(text: str, name: str, changes: Sequence[str], *, quick: bool) -> dict[str, Any]:
    """Read the tables of a file, and apply what is changed outside of it."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{name}: not valid TOML: {error}.") from error
    if quick:
        _shorten(table)
    for change in changes:
        _merge(table, _read_change(change), change)
    return table


def _shorten(table: dict[str, Any]) -> None:
    """Cut an analysis down to a first look; what is shorter in the file stays."""
    for part, keys in QUICK.items():
        declared = table.setdefault(part, {})
        for key, value in keys.items():
            given = declared.get(key, value) if isinstance(declared, dict) else value
            shorter = type(given) is int and type(value) is int and given < value
            if isinstance(declared, dict) and not shorter:
                declared[key] = value


def _read_change(change: str) -> dict[str, Any]:
    """Read ``key = value``; a value that is no TOML is a word."""
    key, equals, value = change.partition("=")
    if equals and key.strip():
        for text in (value.strip(), json.dumps(value.strip(), ensure_ascii=False)):
            try:
                return tomllib.loads(f"{key} = {text}")
            except tomllib.TOMLDecodeError:
                continue
    raise SpecError(
        f"--set takes a key of the study file and its value, sampler.draws=100; got {change!r}."
    )


def _merge(table: dict[str, Any], new: dict[str, Any], change: str) -> None:
    for key, value in new.items():
        if not isinstance(value, dict) or key not in table:
            table[key] = value
        elif isinstance(table[key], dict):
            _merge(table[key], value, change)
        else:
            raise SpecError(f"cannot set {change!r}: {key} is no table.")


def _keys(cls: type) -> list[str]:
    return [f.name for f in fields(cls) if not (cls is Spec and f.name in _NOT_IN_FILE)]


def _build(cls: type, table: Any, where: str, extra: dict[str, Any] | None = None) -> Any:
    """Turn a TOML table into a dataclass; refuse unknown keys."""
    if not isinstance(table, dict):
        raise SpecError(f"[{where}] must be a table, got {type(table).__name__}.")
    hints = typing.get_type_hints(cls)
    for key in table:
        if key not in _keys(cls):
            raise unknown_name(f"key in [{where}]", key, _keys(cls))
    missing = [
        f.name
        for f in fields(cls)
        if f.default is MISSING and f.default_factory is MISSING and f.name not in table
    ]
    if missing:
        raise SpecError(f"[{where}] lacks {', '.join(missing)}; add {missing[0]} = ...")
    values = {key: _convert(hints[key], value, f"{where}.{key}") for key, value in table.items()}
    return cls(**values, **(extra or {}))


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = [o for o in typing.get_args(hint) if o is not type(None)]
        if len(options) == 1:
            return _convert(options[0], value, where)
        lists = [o for o in options if _is_list(o)]
        if lists and isinstance(value, list):
            return _convert(lists[0], value, where)
        if type(value) not in options:
            raise SpecError(f"{where} must be one of {_type_names(options)}, got {value!r}.")
        return value
    if origin is Literal:
        families = hint in (FamilyName, OutcomeFamilyName)
        value = family_called(value) if families else value
        if families and bounded_limits(value) is not None:
            return value
        if value not in typing.get_args(hint):
            raise unknown_name(where, str(value), typing.get_args(hint))
        return value
    if origin is dict:
        if not isinstance(value, dict):
            raise SpecError(f"[{where}] must be a table, got {value!r}.")
        item = typing.get_args(hint)[1]
        return {name: _convert(item, v, f"{where}.{name}") for name, v in value.items()}
    if hint is LabelSpec and isinstance(value, str):
        return LabelSpec(value)
    if origin is tuple:
        if not isinstance(value, list):
            raise SpecError(f"{where} must be a list, got {value!r}.")
        item = typing.get_args(hint)[0]
        return tuple(_convert(item, v, f"{where}[{i}]") for i, v in enumerate(value))
    if is_dataclass(hint):
        return _build(typing.cast(type, hint), value, where)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise SpecError(f"{where} must be {_type_names([hint])}, got {value!r}.")
    return value


def _type_names(hints: list[Any]) -> str:
    words = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    named = {h: f"a list of {_type_names(typing.get_args(h)[:1])}" for h in hints if _is_list(h)}
    return " or ".join(named.get(h) or words.get(h, getattr(h, "__name__", str(h))) for h in hints)


def _is_list(hint: Any) -> bool:
    return typing.get_origin(hint) is tuple


def _check(spec: Spec) -> None:
    """Check ranges, and contradictions between tables."""
    ranges = {
        "sampler.chains (2 to 64; convergence needs at least two)": 2 <= spec.sampler.chains <= 64,
        "sampler.draws (at least 50)": spec.sampler.draws >= 50,
        "sampler.tune (at least 50)": spec.sampler.tune >= 50,
        "data.imputations (2 or more)": spec.data.imputations >= 2,
        "sampler.seed (0 or more)": spec.sampler.seed >= 0,
        "outcome.minimal_important_difference (0 or more, finite)": (
            0 <= spec.outcome.minimal_important_difference < math.inf
        ),
        "outcome.horizon (positive, finite)": (
            spec.outcome.horizon is None or 0 < spec.outcome.horizon < math.inf
        ),
        "report.ci_prob (between 0 and 1)": 0 < spec.report.ci_prob < 1,
        "held_out.share (between 0 and 1)": spec.held_out is None or 0 < spec.held_out.share < 1,
        "held_out.seed (0 or more)": spec.held_out is None or spec.held_out.seed >= 0,
        "subgroups.replications (20 or more)": spec.subgroups.replications >= 20,
        "checks.repeats (at least 5)": spec.checks.repeats >= 5,
        "checks.other_seeds (0 or more)": spec.checks.other_seeds >= 0,
        "subgroups.probability (between 0.5 and 1)": 0.5 < spec.subgroups.probability < 1,
        "subgroups.largest_k (2 to 10)": 2 <= spec.subgroups.largest_k <= 10,
        "subgroups.margin (0 or more, finite)": 0 <= (spec.subgroups.margin or 0) < math.inf,
        "mediator.controlled_at (finite)": (
            spec.mediator is None or all(map(math.isfinite, spec.mediator.controlled_at))
        ),
        "roles.arm_names (two or more different names, reference first)": (
            len(spec.roles.arm_names) == len(set(spec.roles.arm_names))
            and len(spec.roles.arm_names) != 1
        ),
        "roles.arms (two or more different levels, reference first)": (
            len(spec.roles.arms) == len(set(spec.roles.arms)) and len(spec.roles.arms) != 1
        ),
    }
    for what, fine in ranges.items():
        if not fine:
            raise SpecError(f"{spec.name}: out of range: {what}.")
    if spec.roles.post_treatment is not None:
        _check_post_treatment(spec)
    if (spec.roles.mediator is None) != (spec.mediator is None):
        raise SpecError(
            f"{spec.name}: roles.mediator and the [mediator] table go together; give both or none."
        )
    if len(spec.roles.mediators) > 1 and spec.roles.post_treatment is None:
        _check_two_mediators(spec)
    if spec.mediator is None and "tnie" in spec.subgroups.effects:
        raise SpecError(
            f"{spec.name}: subgroups.effects asks for 'tnie', which needs a mediator; use ['te']."
        )
    if spec.learner.name in spec.learner.beside:
        raise SpecError(f"{spec.name}: learner.beside repeats learner.name {spec.learner.name!r}.")
    if spec.learner.beside and spec.mediator is not None:
        raise SpecError(
            f"{spec.name}: learner.beside compares total effects of studies without a mediator; "
            "remove it, or the mediator."
        )
    _check_times(spec)
    for name, column in spec.columns.items():
        _check_column(spec, name, column)
    if spec.mixture is not None:
        _check_mixture(spec, spec.mixture)
    for prior in spec.prior:
        if prior.component == "mediator" and spec.mediator is None:
            raise SpecError(f"{spec.name}: a prior of the mediator, but the study has none.")
        if prior.scale is not None and not 0 < prior.scale < math.inf:
            raise SpecError(f"{spec.name}: prior scale must be positive, got {prior.scale}.")
        if prior.trees is not None and not prior.trees > 0:
            raise SpecError(f"{spec.name}: prior trees must be positive, got {prior.trees}.")


def _check_times(spec: Spec) -> None:
    """Check that families of times to an event and the column of events go together."""
    times = spec.outcome.family in typing.get_args(TimeFamilyName)
    if spec.roles.upper is not None and spec.roles.event is not None:
        raise SpecError(
            f"{spec.name}: roles.upper says where each event lies, in place of roles.event; give "
            "one of the two. Who was censored has no upper end."
        )
    if spec.roles.upper is not None and spec.outcome.family == "piecewise_hazard":
        raise SpecError(
            f"{spec.name}: roles.upper has events that lie in intervals of time, and family "
            "'piecewise_hazard' needs to know in which of its own intervals; use 'lognormal', "
            "'loglogistic', 'log_student_t' or 'weibull'."
        )
    if times != spec.roles.of_times:
        raise SpecError(
            f"{spec.name}: outcome.family = '{spec.outcome.family}' "
            + ("needs" if times else "has no use for")
            + " roles.event, the column that says whether the event was seen. Times to an event "
            f"have the families {', '.join(typing.get_args(TimeFamilyName))}."
        )
    if times and spec.mixture is not None:
        raise SpecError(
            f"{spec.name}: [mixture] has no model of times to an event, which may be censored; "
            "remove it, or choose an outcome that is measured in every unit."
        )
    if spec.outcome.horizon is not None and not times:
        raise SpecError(
            f"{spec.name}: outcome.horizon is for times to an event; remove it, or choose one of "
            f"their families: {', '.join(typing.get_args(TimeFamilyName))}."
        )
    if spec.roles.entry is not None and not spec.roles.of_times:
        raise SpecError(f"{spec.name}: roles.entry needs roles.event as well.")
    if spec.outcome.estimand is not None and not times:
        raise SpecError(
            f"{spec.name}: outcome.estimand is for times to an event; remove it, or choose one of "
            f"their families: {', '.join(typing.get_args(TimeFamilyName))}."
        )
    _check_causes(spec)


def _check_causes(spec: Spec) -> None:
    """Check that causes of events, the family and the scale of effects go together."""
    roles, outcome = spec.roles, spec.outcome
    if roles.cause is None:
        if roles.no_event is not None:
            raise SpecError(
                f"{spec.name}: roles.no_event names the level without an event where events have "
                "several causes; name the one of interest as roles.cause, or remove no_event."
            )
        if outcome.estimand == "cumulative_incidence":
            raise SpecError(
                f"{spec.name}: outcome.estimand = 'cumulative_incidence' is the probability of an "
                "event of one of several causes; name it as roles.cause, or, of one kind of event, "
                "use 'survival'."
            )
        return
    if roles.event is None:
        raise SpecError(
            f"{spec.name}: roles.cause = {roles.cause!r} is a level of the column of events; name "
            "that column as roles.event."
        )
    if outcome.family != "piecewise_hazard":
        raise SpecError(
            f"{spec.name}: roles.cause says that events have several causes, and outcome.family = "
            f"'{outcome.family}' has one law for all times; use family = 'piecewise_hazard', which "
            "has a hazard for each cause."
        )
    if spec.columns.get(roles.event, ColumnSpec()).event is not None:
        raise SpecError(
            f"{spec.name}: [columns.{roles.event}] event makes that column 1 and 0, and "
            "roles.cause needs its causes; remove the event, and name levels without an event as "
            "roles.no_event."
        )


def _check_post_treatment(spec: Spec) -> None:
    """Refuse what does not go with a confounder that the treatment changes."""
    column, mediators = spec.roles.post_treatment, listed(spec.roles.mediator)
    if len(mediators) != 1:
        raise SpecError(
            f"{spec.name}: roles.post_treatment = {column!r} is a confounder of one mediator and "
            f"the outcome, and roles.mediator names {len(mediators)}; name one, or leave "
            "post_treatment out."
        )
    if "tnie" in spec.subgroups.effects:
        raise SpecError(
            f"{spec.name}: subgroups.effects asks for 'tnie', a natural effect, and the treatment "
            f"changes {column!r}, which affects both {mediators[0]!r} and {spec.roles.outcome!r}: "
            "natural effects are then not identified, whatever the data; use ['te']."
        )
    if spec.subgroups.calibrate != "none":
        raise SpecError(
            f"{spec.name}: subgroups.calibrate draws studies without a confounder that the "
            "treatment changes, and roles.post_treatment declares one; use calibrate = 'none'."
        )


def _check_two_mediators(spec: Spec) -> None:
    """Refuse what is not worked out for two mediators."""
    if len(spec.roles.mediators) > MOST_MEDIATORS:
        raise SpecError(
            f"{spec.name}: roles.mediator names {len(spec.roles.mediators)} columns; at most "
            f"{MOST_MEDIATORS} mediators are modelled together."
        )
    if spec.mediator is not None and spec.mediator.controlled_at:
        raise SpecError(
            f"{spec.name}: mediator.controlled_at holds one mediator at values, and there are two; "
            "remove it, and use fit.potential_outcomes(mediator_value={...}) in Python."
        )
    if spec.subgroups.calibrate != "none":
        raise SpecError(
            f"{spec.name}: subgroups.calibrate draws studies with one mediator, and there are two; "
            "use calibrate = 'none'."
        )


def _check_column(spec: Spec, name: str, column: ColumnSpec) -> None:
    """Check what is declared of a column against itself."""
    where = f"{spec.name}: columns.{name}"
    if column.event is not None and (column.order or column.type):
        raise SpecError(f"{where}: an event has no order and no type; give the event alone.")
    if column.order and column.type == "number":
        raise SpecError(f"{where}: numbers are in order; remove order, or use type = 'category'.")
    if len({str(level) for level in column.order}) < len(column.order):
        raise SpecError(f"{where}.order names a level twice.")


def _check_mixture(spec: Spec, mixture: MixtureSpec) -> None:
    """Check the table of the mixture against itself and the roles."""
    ranges = {
        "mixture.classes (2 to 10)": 2 <= mixture.classes <= 10,
        "mixture.level (2 or 3)": mixture.level in (2, 3),
        "mixture.draws (at least 50)": mixture.draws >= 50,
        "mixture.tune (at least 50)": mixture.tune >= 50,
        "mixture.because (say why these proxies, and why no other edge)": mixture.because.strip(),
    }
    for what, fine in ranges.items():
        if not fine:
            raise SpecError(f"{spec.name}: out of range: {what}.")
    for name in ("x_proxies", "z_proxies"):
        if not getattr(mixture, name):
            raise SpecError(f"{spec.name}: mixture.{name} is empty; name at least one column.")
    named = [*mixture.z_proxies, *mixture.x_proxies, *mixture.class_covariates]
    roles = spec.roles
    single = (roles.outcome, roles.treatment, *roles.mediators, roles.cluster)
    named += [c for c in single if c]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise SpecError(
            f"{spec.name}: {', '.join(twice)} plays two parts; a proxy is named once, on one side, "
            "and is neither outcome, treatment, mediator, cluster nor a covariate of the class."
        )
    if mixture.level == 2 and "Z-T" in mixture.edges:
        raise SpecError(
            f"{spec.name}: mixture.level = 2 rules out the Z-T edge that mixture.edges allows; "
            "use level = 3."
        )
