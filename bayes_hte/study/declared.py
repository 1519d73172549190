"""The study that a study file declares: its roles bound to a frame, its arms named."""

from __future__ import annotations

import pandas as pd

from bayes_hte.study.frames import with_columns
from bayes_hte.study.spec import Spec
from bayes_hte.study.study import Study


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
    roles = spec.roles
    study = Study.from_frame(
        frame,
        outcome=roles.outcome,
        treatment=roles.treatment,
        covariates=roles.covariates,
        mediator=roles.mediator,
        cluster=roles.cluster,
        reference=roles.reference,
    )
    if not roles.arm_names:
        return study
    names = dict(zip(study.arms, roles.arm_names, strict=True))
    renamed = with_columns(study.frame, {roles.treatment: study.frame[roles.treatment].map(names)})
    return Study(frame=renamed, roles=study.roles, arms=roles.arm_names)
