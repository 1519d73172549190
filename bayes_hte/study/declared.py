"""The study that a study file declares: its roles bound to a frame, its arms named."""

from __future__ import annotations

from dataclasses import fields, replace

import pandas as pd

from bayes_hte.study.columns import declared_columns
from bayes_hte.study.frames import with_columns
from bayes_hte.study.spec import Spec
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
        If the frame does not suit the roles.
    """
    frame, declared = declared_columns(frame, spec.columns), spec.roles
    roles = Roles(*(getattr(declared, field.name) for field in fields(Roles)))
    study = Study.of_roles(frame, roles, reference=declared.reference, missing=spec.data.missing)
    study = replace(study, imputations=spec.data.imputations)
    if not declared.arm_names:
        return study
    names = dict(zip(study.arms, declared.arm_names, strict=True))
    arms = study.frame[roles.treatment].map(names)
    renamed = with_columns(study.frame, {roles.treatment: arms})
    return replace(study, frame=renamed, arms=declared.arm_names)
