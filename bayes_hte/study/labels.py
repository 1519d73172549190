"""Words for columns and levels: a study under the names that readers see.

Everything that is made anew for a report (subgroups, tables, figures, sentences) is made from the
study under its labels, so no part of the report translates names by itself. What is fitted and
saved keeps the names of the data: other labels need no other draws.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pandas as pd

from bayes_hte.errors import SpecError, unknown_name
from bayes_hte.names import WORDS
from bayes_hte.study.causes import cause_codes
from bayes_hte.study.frames import with_columns
from bayes_hte.study.kinds import Kind, is_numeric, kind_of, label_text, levels_in_use
from bayes_hte.study.spec import LabelSpec
from bayes_hte.study.study import Roles, Study

Labels = Mapping[str, LabelSpec]
# Roles that are levels of a column, and no column.
_LEVELS = ("cause", "no_event")


def named(column: str, labels: Labels) -> str:
    """Return the label of a column, its name if it has none."""
    return labels[column].label or column if column in labels else column


def labelled_study(study: Study, labels: Labels) -> Study:
    """Return a study under its labels.

    Parameters
    ----------
    study : Study
        Under the names of the data.
    labels : mapping of str to LabelSpec
        By the names of columns; those that have no role are ignored.

    Returns
    -------
    Study
        The same units and values in the same order. Columns with words for their levels hold them
        as categories, in the order of the levels.

    Raises
    ------
    SpecError
        If two columns or two levels would have the same label, or a labelled level is none of the
        column.
    """
    labels = {name: label for name, label in labels.items() if name in study.roles.columns}
    if not labels:
        return study
    columns, arms, causes = {}, study.arms, {}
    for name, label in labels.items():
        words = _words(study.frame[name], label, name)
        if not words:
            continue
        if name == study.roles.treatment:
            arms = tuple(words.get(str(arm), arm) for arm in study.arms)
            columns[name] = study.frame[name].map(dict(zip(study.arms, arms, strict=True)))
            if len(arms) > 2:
                # Text would be put into alphabetical order where some rows are bound again.
                columns[name] = columns[name].astype(pd.CategoricalDtype(list(arms)))
        elif name == study.roles.event and study.roles.cause is not None:
            columns[name] = _renamed(study.frame[name], words)
            causes = _causes(study, columns[name])
        elif name in _numbers(study.roles):
            raise SpecError(
                f"labels.{name}.levels: the levels of an outcome or a mediator are numbers, which "
                "have no words; give the column a label, and the event under [columns]."
            )
        else:
            columns[name] = _renamed(study.frame[name], words)
    new = {name: named(name, labels) for name in study.frame.columns}
    doubled = [label for label in new.values() if list(new.values()).count(label) > 1]
    if doubled:
        raise SpecError(f"labels: two columns would be called {doubled[0]!r}; give each its own.")
    frame = with_columns(study.frame, columns).rename(columns=new)
    roles = replace(labelled_roles(study.roles, labels), **causes)
    return replace(study, frame=frame, roles=roles, arms=arms)


def labelled_roles[R](roles: R, labels: Labels) -> R:
    """Return roles (of a study, or of a study file) with labels in place of names of columns."""
    changed: dict[str, Any] = {}
    for field in fields(Roles):
        value = getattr(roles, field.name, None)  # a study file has fewer
        if field.name in _LEVELS:
            continue
        if isinstance(value, tuple):
            changed[field.name] = tuple(named(name, labels) for name in value)
        elif value is not None:
            changed[field.name] = named(value, labels)
    return replace(roles, **changed)  # type: ignore[type-var]


def labelled_text(text: str, labels: Labels) -> str:
    """Put labels into a sentence that was saved under the names of the data, where it quotes them.

    Words that are not in quotation marks stay: a column may be called as any word.
    """
    for name, label in labels.items():
        if label.label:
            text = re.sub(rf"(['\"]){re.escape(name)}\1", repr(label.label), text)
    return text


def labelled_table(table: pd.DataFrame, study: Study, labels: Labels) -> pd.DataFrame:
    """Put labels into a table that was saved under the names of the data.

    Parameters
    ----------
    table : DataFrame
        Its texts, in columns and in the index, may be names of covariates, arms, or levels written
        ``"covariate=level"``.
    study : Study
        Under the names of the data.
    labels : mapping of str to LabelSpec
        By the names of columns.

    Returns
    -------
    DataFrame
    """
    words: dict[Any, str] = {}
    for name, label in labels.items():
        # The package calls parts of a model so, in columns of its own.
        if name in study.roles.covariates and name not in WORDS:
            words[name] = named(name, labels)
            # Levels without words of their own.
            if kind_of(study.frame[name]) is Kind.CATEGORY:
                levels = study.frame[name].dropna().unique()
                words |= {f"{name}={level}": f"{words[name]}={level}" for level in levels}
        for level, word in label.levels.items():
            words[f"{name}={level}"] = f"{named(name, labels)}={word}"
            if name == study.roles.treatment:
                words[level] = word
    if not words:
        return table

    def put(value: Any) -> Any:
        return words.get(value, value) if isinstance(value, str) else value

    texts = [c for c in table.columns if kind_of(table[c]) is Kind.CATEGORY]
    table = with_columns(table, {c: table[c].map(put) for c in texts})
    index = table.index
    if isinstance(index, pd.MultiIndex):
        return table.set_axis(index.set_levels([level.map(put) for level in index.levels]))
    if isinstance(index.dtype, pd.StringDtype) or index.dtype == object:
        return table.set_axis(index.map(put).rename(index.name))
    return table


def _causes(study: Study, renamed: pd.Series) -> dict[str, Any]:
    """Return the roles of levels of causes under the words that these now have."""
    codes = cause_codes(study.frame[study.roles.event], study.roles.no_event)
    words = renamed.astype(object).to_numpy()
    none = dict.fromkeys(words[(codes == "") & renamed.notna().to_numpy()])
    return {"cause": words[codes == study.causes[0]][0], "no_event": list(none)}


def _numbers(roles: Roles) -> tuple[str | None, ...]:
    """Return the columns whose values have no words."""
    return (roles.outcome, *roles.mediators, roles.event, roles.entry, roles.upper)


def _words(column: pd.Series, label: LabelSpec, name: str) -> dict[str, str]:
    """Return the words of the levels of a column by their text, checked."""
    levels = [str(level) for level in dict.fromkeys(_text(column))]
    for level in label.levels:
        if level not in levels:
            raise unknown_name(f"level in labels.{name}", level, levels)
    words = {level: label.levels.get(level, level) for level in levels} if label.levels else {}
    if len(set(words.values())) < len(words):
        raise SpecError(f"labels.{name}.levels: two levels would have the same words.")
    if words and is_numeric(column) and column.nunique() > 2:
        raise SpecError(
            f"labels.{name}.levels: the column holds numbers; declare [columns.{name}] "
            "type = 'category', or leave the levels without words."
        )
    return words


def _text(column: pd.Series) -> pd.Series:
    return pd.Series(label_text(column.dropna()))


def _renamed(column: pd.Series, words: Mapping[str, str]) -> pd.Series:
    """Return levels in words, as categories in the order that they had."""
    ordered = isinstance(column.dtype, pd.CategoricalDtype) and bool(column.cat.ordered)
    order = sorted(words) if is_numeric(column) else list(levels_in_use(column))
    text = pd.Series(label_text(column.dropna()), index=column.dropna().index)
    renamed = text.map(words).reindex(column.index)
    return renamed.astype(pd.CategoricalDtype([words[v] for v in order], ordered=ordered))
