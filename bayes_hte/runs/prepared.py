"""A study file with its data, ready to be fitted, checked or reported.

``run``, ``check`` and ``report`` begin here, so all three look at the same units.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from bayes_hte.effects.pairs import pairs_of
from bayes_hte.errors import DataError, SpecError, unknown_name
from bayes_hte.fitting.doubts import check_declaration
from bayes_hte.fitting.plan import Plan, check_plan, settled
from bayes_hte.mixtures.likelihood.problem import MixtureProblem
from bayes_hte.runs.mixture_stage import declared_problem
from bayes_hte.study.datasets import load_frame
from bayes_hte.study.declared import study_from_spec
from bayes_hte.study.spec import Spec
from bayes_hte.study.study import Study
from bayes_hte.trust.unseen import split


@dataclass(frozen=True)
class Prepared:
    """What a study file declares, bound to its data.

    Attributes
    ----------
    spec : Spec
        The study file, with the candidates of the outcome that its data settle.
    study : Study
        The units that are fitted.
    held_out : Study or None
        The units that no model sees.
    control : Series or None
        The negative control of the fitted units.
    mixture : MixtureProblem or None
        The mixture of classes, if the file declares one.
    """

    spec: Spec
    study: Study
    held_out: Study | None
    control: pd.Series | None
    mixture: MixtureProblem | None


def prepare(spec: Spec) -> Prepared:
    """Load the data of a study file and check everything that can be checked without sampling.

    Parameters
    ----------
    spec : Spec
        The study file.

    Returns
    -------
    Prepared

    Raises
    ------
    DataError
        If the data do not suit the roles, the families or the mixture.
    SpecError
        If an option is unknown, or a combination is not supported.
    NotIdentifiedError
        If the declared mixture is not identified.
    """
    frame = load_frame(spec.data.source, spec.folder)
    study, held_out = study_from_spec(spec, frame), None
    if spec.held_out is not None:
        study, held_out = split(study, share=spec.held_out.share, seed=spec.held_out.seed)
    spec = settled(spec, study)
    check_plan(study, Plan.from_spec(spec))
    check_declaration(spec, study)
    if len(study.arms) > 2:
        if spec.mixture is not None:
            study.check_two_arms("a mixture of treatment effects")
        check_contrasts(spec, study)
    elif spec.roles.contrasts:
        raise SpecError(
            f"roles.contrasts is for more than two arms; this study has one contrast, "
            f"{study.contrast!r}. Remove the key, or turn it round with reference."
        )
    return Prepared(
        spec=spec,
        study=study,
        held_out=held_out,
        control=_negative_control(spec, frame, study),
        mixture=declared_problem(spec, frame, study),
    )


def check_contrasts(spec: Spec, study: Study) -> None:
    """Refuse contrasts that a study file reports and its data cannot have.

    Raises
    ------
    SpecError
        If a contrast names no pair of arms.
    DataError
        If a covariate has only one value in the two arms of a contrast.
    """
    for asked in spec.roles.contrasts or (None,):
        for b, a in pairs_of(study.arms, asked)[0]:
            study.two_arms(study.arms[b], study.arms[a])


def _negative_control(spec: Spec, frame: pd.DataFrame, study: Study) -> pd.Series | None:
    name = spec.checks.negative_control
    if name is None:
        return None
    if name not in frame:
        raise unknown_name("checks.negative_control", name, frame.columns, DataError)
    return frame.loc[study.units, name]
