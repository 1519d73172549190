"""A first study file for a user's own data: what can be seen in it filled in, the rest asked.

The file is complete. It is refused until the questions that nobody but the user can answer (the
reference arm, the event of a text outcome) are answered, where the data leave a doubt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError
from bayes_hte.study.csv_file import CsvFormat, CsvTable, read_csv_file
from bayes_hte.study.frames import check_names, check_present
from bayes_hte.study.kinds import Kind, numeric_column
from bayes_hte.study.overview import (
    MANY,
    ColumnView,
    counted,
    likely_bounds,
    likely_event,
    likely_family,
    likely_reference,
    missing_by_arm,
    overview,
    same_as,
    sensible_difference,
)
from bayes_hte.study.row_source import PARQUET, read_parquet
from bayes_hte.study.spec import bounded_name

_SHOWN_LEVELS = 6


@dataclass(frozen=True)
class _Target:
    """An outcome or mediator as the file declares it: family, and event of a column of two levels.

    `known` says whether the event leaves no doubt.
    """

    column: str
    observed: np.ndarray
    family: str
    event: Any = None
    other: Any = None
    known: bool = True


def draft_study_file(
    path: Path,
    *,
    outcome: str,
    treatment: str,
    mediator: str | None = None,
    cluster: str | None = None,
) -> str:
    """Write the text of a study file for a CSV or Parquet file.

    Parameters
    ----------
    path : Path
        The file, or a folder of Parquet files whose name ends in ``.parquet``; the study file is
        meant to lie next to it.
    outcome, treatment : str
        Columns.
    mediator, cluster : str, optional
        Columns.

    Returns
    -------
    str
        TOML with comments.

    Raises
    ------
    DataError
        If the file cannot be read, a column is absent, the treatment has no arms, or the outcome or
        the mediator is neither numeric nor of two levels.
    """
    table = _table(path)
    frame = table.frame
    named = [name for name in (outcome, treatment, mediator, cluster) if name is not None]
    check_names(named, "column")
    check_present(frame, named)
    doubled = sorted({name for name in named if named.count(name) > 1})
    if doubled:
        raise DataError(f"{doubled[0]!r} would play two parts; name different columns.")
    views = overview(frame)
    arms = _arms(frame, views[treatment])
    covariates, left_out = _covariates(frame, views, named)
    y = _target(frame, views[outcome], "outcome")
    m = None if mediator is None else _target(frame, views[mediator], "mediator")
    parts = [
        _about(path, frame, outcome, treatment),
        _data(path, table),
        _roles(frame, views, named, arms, covariates, left_out, mediator, cluster),
        _outcome(y),
        *([] if m is None else [_mediator(m)]),
        _models(frame, views),
        *_columns([y, *([] if m is None else [m])], [views[name] for name in covariates]),
        _labels(outcome),
    ]
    return _printable("\n".join(line for part in parts for line in (*part, "")).rstrip() + "\n")


def _table(path: Path) -> CsvTable:
    """Read a file; one of Parquet says itself what its columns are, so it leaves no doubt."""
    if path.suffix.lower() in PARQUET:
        return CsvTable(read_parquet(path), CsvFormat(), {}, {})
    return read_csv_file(path)


def _arms(frame: pd.DataFrame, view: ColumnView) -> list[Any]:
    """Return the levels of the treatment, the likely reference first."""
    if not 2 <= view.n_values <= MANY:
        raise DataError(
            f"treatment {view.name!r} has {view.n_values} different values; a treatment has the "
            f"arms as its values, 2 to {MANY} of them. Name another column, or recode it."
        )
    levels = list(view.counts)
    first = likely_reference(levels)
    return levels if first is None else [first, *(v for v in levels if v != first)]


def _covariates(
    frame: pd.DataFrame, views: dict[str, ColumnView], named: list[str]
) -> tuple[list[str], dict[str, str]]:
    """Return the columns to use as covariates, and why each other one is left out."""
    used, left_out = [], {}
    for name, view in views.items():
        if name in named:
            continue
        reason = view.unusable or _repeats(frame, name, named)
        if reason:
            left_out[name] = reason
        else:
            used.append(name)
    if not used:
        raise DataError(
            "no column is left as a covariate: "
            + "; ".join(f"{name}: {why}" for name, why in left_out.items())
            + ". Add columns measured before treatment."
        )
    return used, left_out


def _repeats(frame: pd.DataFrame, name: str, named: list[str]) -> str:
    twin = next((other for other in named if same_as(frame, name, other)), None)
    return "" if twin is None else f"says the same as {twin!r}"


def _target(frame: pd.DataFrame, view: ColumnView, role: str) -> _Target:
    column = frame[view.name].dropna()
    if view.kind is Kind.NUMBER and not (view.n_values == 2 and set(view.counts) != {0, 1}):
        values = numeric_column(column, role)
        return _Target(view.name, values, likely_family(values))
    if view.kind is Kind.BOOLEAN:
        return _Target(view.name, column.astype(float).to_numpy(), "bernoulli")
    if view.n_values != 2:
        shown = f": {counted(view.counts)}" if view.counts else ""
        raise DataError(
            f"{role} {view.name!r} holds {view.kind} with {view.n_values} values{shown}; a model "
            "needs numbers or two levels. Recode the column, or name another."
        )
    levels = list(view.counts)
    event = likely_event(levels)
    guess = levels[1] if event is None else event
    (other,) = (level for level in levels if level != guess)
    values = (column == guess).to_numpy(dtype=np.float64)
    return _Target(view.name, values, "bernoulli", guess, other, event is not None)


# ---------------------------------------------------------------- the tables of the file


def _about(path: Path, frame: pd.DataFrame, outcome: str, treatment: str) -> list[str]:
    title = f"The effect of {treatment} on {outcome}"
    # Names no arm: which of them is the reference may still be a question.
    question = f"How much does {treatment} change {outcome}, and for whom?"
    return [
        f"# Study file for {path.name}: {len(frame)} rows, {frame.shape[1]} columns.",
        "# Lines marked QUESTION hold guesses, or nothing; nobody but you can answer them.",
        f"# Then: bayes-hte check {path.with_suffix('.toml').name}",
        f"title = {_text(title)}",
        "",
        "[about]  # printed in the report",
        f"question = {_text(question)}",
        'suitable_for = "a first look at these data; say what else its results may be used for"',
        'not_suitable_for = "decisions about patients; say what else"',
    ]


def _data(path: Path, table: CsvTable) -> list[str]:
    lines = ["[data]", f"source = {_text(path.name)}  # from the folder of this file"]
    found, plain = table.format, CsvFormat()
    lines += [
        f"{key} = {_text(getattr(found, key))}  # as found"
        for key in ("separator", "decimal", "encoding")
        if getattr(found, key) != getattr(plain, key)
    ]
    words = {w for each in table.words_among_numbers.values() for w in each}
    listed = json.dumps(["", *sorted(words)], ensure_ascii=False)
    if table.frame.isna().any(axis=None):
        lines += [
            '# missing = "splits"  # forests split on what is missing; or "impute", or "complete"'
        ]
    lines += _comments(table.doubts())
    return [*lines, *([f"# missing_values = {listed}"] if table.doubts() else [])]


def _roles(
    frame: pd.DataFrame,
    views: dict[str, ColumnView],
    named: list[str],
    arms: list[Any],
    covariates: list[str],
    left_out: dict[str, str],
    mediator: str | None,
    cluster: str | None,
) -> list[str]:
    outcome, treatment = named[:2]
    lines = ["[roles]", f"outcome = {_text(outcome)}", f"treatment = {_text(treatment)}"]
    lines += _comments([f"arms: {counted(views[treatment].counts)}"])
    if views[treatment].missing:
        lines += _comments([f"QUESTION: {treatment} is missing in {views[treatment].missing} rows"])
    if likely_reference(arms) is None:
        lines += ["# QUESTION: the arm that the others are compared with"]
        lines += [f"# reference = {_value(arms[0])}  # or {_or(map(_value, arms[1:]))}"]
    else:
        lines += [f"reference = {_value(arms[0])}  # the arm that the others are compared with"]
    if mediator is not None:
        lines += [f"mediator = {_text(mediator)}"]
    if cluster is not None:
        lines += [f"cluster = {_text(cluster)}"]
    lines += _missing(frame, treatment)
    lines += [
        "# QUESTION: keep only columns measured before treatment; remove those measured after it",
        "covariates = [",
        *(
            f"  {_text(name)},  # {_described(views[name])}{_with_outcome(frame, name, outcome)}"
            for name in covariates
        ),
        "]",
    ]
    if left_out:
        lines += ["# left out:", *(f"#   {_text(n)}: {why}" for n, why in left_out.items())]
    return lines


def _with_outcome(frame: pd.DataFrame, name: str, outcome: str) -> str:
    """Doubt a covariate that was recorded for exactly those whose outcome was."""
    gaps = frame[outcome].isna()
    if not gaps.any() or not (frame[name].isna() == gaps).all():
        return ""
    return f"; missing exactly where {outcome} is: measured after treatment?"


def _missing(frame: pd.DataFrame, treatment: str) -> list[str]:
    counts = missing_by_arm(frame, treatment)
    if counts.empty:
        return []
    lines = [f"{name}: {counted(row.to_dict())}" for name, row in counts.iterrows()]
    return ["# missing values by arm:", *(f"#   {line}" for line in lines)]


def _outcome(y: _Target) -> list[str]:
    least, because = sensible_difference(y.observed, y.family)
    return [
        "[outcome]",
        'better = "higher"  # QUESTION: "higher" or "lower", whichever is good for the patient',
        f"minimal_important_difference = {least:g}  # QUESTION: the smallest that matters to them",
        f"because = {_text(because)}",
        f"family = {_text(y.family)}  # {_why_family(y)}",
        'unit = "probability"'
        if y.family == "bernoulli"
        else '# unit = "..."  # of the outcome, in words',
    ]


def _mediator(m: _Target) -> list[str]:
    return ["[mediator]", f"family = {_text(m.family)}  # {_why_family(m)}"]


def _why_family(target: _Target) -> str:
    if target.family == "bernoulli":
        return "two values"
    if target.family == "gaussian":
        limits = likely_bounds(target.observed)
        if limits is not None:
            return f'numbers; "{bounded_name(*limits)}" for a scale with these ends'
        return 'numbers; "student_t" if there are outliers'
    mean, var = target.observed.mean(), target.observed.var()
    return f"whole numbers from 0, mean {mean:.2g}, variance {var:.2g}"


def _models(frame: pd.DataFrame, views: dict[str, ColumnView]) -> list[str]:
    return [
        "[propensity]",
        'assignment = "observational"  # QUESTION: "randomised" if chance decided who got what',
        "",
        "[sampler]",
        "seed = 1  # any whole number; the same seed gives the same results",
    ]


def _columns(targets: list[_Target], covariates: list[ColumnView]) -> Iterator[list[str]]:
    """Yield the tables of single columns, and those that the user may want."""
    for target in targets:
        if target.event is None:
            continue
        line = f"event = {_value(target.event)}  # counts as 1; the other is {_value(target.other)}"
        ask = f"# QUESTION: the level of {target.column} that counts as 1"
        yield [
            f"[columns.{_text(target.column)}]",
            *([line] if target.known else [ask, f"# {line}"]),
        ]
    ordered = [v for v in covariates if v.kind is Kind.CATEGORY and v.n_values > 2 and v.counts]
    coded = [v for v in covariates if v.codes]
    if ordered:
        yield [
            "# Levels that have an order, say from first to last (without it they are sorted):",
            *(line for view in ordered for line in _order(view)),
        ]
    if coded:
        yield [
            "# Numbers that are codes of categories, not amounts, are declared so:",
            *(
                line
                for view in coded
                for line in (f"# [columns.{_text(view.name)}]", '# type = "category"')
            ),
        ]


def _order(view: ColumnView) -> list[str]:
    levels = ", ".join(_text(str(level)) for level in sorted(view.counts, key=str))
    return [f"# [columns.{_text(view.name)}]", f"# order = [{levels}]"]


def _labels(outcome: str) -> list[str]:
    return [
        "# Words for readers of the report, for columns and their levels:",
        "# [labels]",
        f'# {_text(outcome)} = "..."',
        '# "column" = { label = "...", levels = { "level" = "..." } }',
    ]


# ---------------------------------------------------------------- words


def _described(view: ColumnView) -> str:
    shown = f": {counted(view.counts)}" if 0 < len(view.counts) <= _SHOWN_LEVELS else ""
    words = f"{view.kind}, {view.n_values} different" + shown.replace("\n", " ")
    if view.missing:
        words += f"; {view.missing} missing"
    if view.kind is Kind.CATEGORY and view.rare:
        words += f"; rare: {', '.join(map(str, view.rare))}"
    return words


def _comments(sentences: Iterable[str]) -> list[str]:
    """Write sentences as comments, a line each."""
    return [f"# {' '.join(sentence.split())}" for sentence in sentences]


def _printable(text: str) -> str:
    """Escape control characters, which TOML allows neither in texts nor in comments."""
    return "".join(
        c if c.isprintable() or c == "\n" else f"\\U{ord(c):08x}" for c in text.replace("\r", " ")
    )


def _order(view: ColumnView) -> list[str]:
    levels = ", ".join(_text(str(level)) for level in sorted(view.counts, key=str))
    return [f"# [columns.{_text(view.name)}]", f"# order = [{levels}]"]


def _labels(outcome: str) -> list[str]:
    return [
        "# Words for readers of the report, for columns and their levels:",
        "# [labels]",
        f'# {_text(outcome)} = "..."',
        '# "column" = { label = "...", levels = { "level" = "..." } }',
    ]


# ---------------------------------------------------------------- words


def _described(view: ColumnView) -> str:
    shown = f": {counted(view.counts)}" if 0 < len(view.counts) <= _SHOWN_LEVELS else ""
    words = f"{view.kind}, {view.n_values} different" + shown.replace("\n", " ")
    if view.missing:
        words += f"; {view.missing} missing"
    if view.kind is Kind.CATEGORY and view.rare:
        words += f"; rare: {', '.join(map(str, view.rare))}"
    return words


def _comments(sentences: Iterable[str]) -> list[str]:
    """Write sentences as comments, a line each; TOML allows no control characters in them."""
    lines = [" ".join(sentence.split()) for sentence in sentences]
    return [f"# {''.join(c if c.isprintable() else repr(c)[1:-1] for c in line)}" for line in lines]


def _or(values: Iterable[Any]) -> str:
    return " or ".join(str(value) for value in values)


def _text(value: str) -> str:
    """Write a text in TOML."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    """Write a level in TOML."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | float | np.number):
        return f"{int(value)}" if float(value).is_integer() else f"{float(value)!r}"
    return _text(str(value))
