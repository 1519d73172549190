"""The study that a study file declares: its roles bound to a frame, its arms named."""

from __future__ import annotations

from dataclasses import fields, replace

import pandas as pd

from bayes_hte.errors import DataError
from bayes_hte.study.columns import declared_columns
from bayes_hte.study.frames import with_columns
from bayes_hte.study.spec import RoleSpec, Spec
from bayes_hte.study.study import Roles, Study


def study_from_spec(spec: Spec, frame: pd.DataFrame) -> Study:
    """Bind the declared roles to a frame, naming the arms as declared.

    Parameters
    ----------
    spec : Spec
        The study file.
    frame : DataFrame
        Its data.

    Returns
    -------
    Study

    Raises
    ------
    DataError
        If the frame does not suit the roles, or has other arms than those declared.
    """
    frame, declared = declared_columns(frame, spec.columns), spec.roles
    roles = Roles(*(getattr(declared, field.name, None) for field in fields(Roles)))
    if declared.arms:
        frame = _with_order(frame, declared)
    study = Study.of_roles(frame, roles, reference=declared.reference, missing=spec.data.missing)
    study.check_causes()
    study = replace(study, imputations=spec.data.imputations)
    if not declared.arm_names:
        return study
    if len(declared.arm_names) != len(study.arms):
        raise DataError(
            f"roles.arm_names has {len(declared.arm_names)} names, and treatment "
            f"{roles.treatment!r} has {len(study.arms)} arms: "
            f"{', '.join(repr(arm) for arm in study.arms)}. Give one name for each, in this order."
        )
    names = dict(zip(study.arms, declared.arm_names, strict=True))
    arms = study.frame[roles.treatment].map(names)
    if len(study.arms) > 2:
        # Text would be put into alphabetical order where a part of the rows is bound again.
        arms = arms.astype(pd.CategoricalDtype(list(declared.arm_names)))
    renamed = with_columns(study.frame, {roles.treatment: arms})
    return replace(study, frame=renamed, arms=declared.arm_names)


def _with_order(frame: pd.DataFrame, declared: RoleSpec) -> pd.DataFrame:
    """Return the frame with the arms as levels in the declared order."""
    name = declared.treatment
    if name not in frame:
        return frame  # said where the roles are checked
    column, arms = frame[name], list(declared.arms)
    found = column.dropna().unique().tolist()
    strange = [level for level in found if level not in arms]
    absent = [arm for arm in arms if arm not in found]
    if strange or absent:
        raise DataError(
            f"roles.arms must name every level of treatment {name!r}, which holds "
            f"{', '.join(map(repr, found))}; got {', '.join(map(repr, arms))}."
        )
    if declared.reference is not None and declared.reference != arms[0]:
        raise DataError(
            f"roles.arms begins with {arms[0]!r}, and roles.reference is {declared.reference!r}; "
            "the reference comes first. Leave one of the two out."
        )
    levels = column.astype(pd.CategoricalDtype(arms, ordered=True))
    return with_columns(frame, {name: levels})
