"""A study file with its data, ready to be fitted, checked or reported.

``run``, ``check`` and ``report`` begin here, so all three look at the same units.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from bayes_hte.effects.pairs import reported_pairs
from bayes_hte.errors import DataError, SpecError, unknown_name
from bayes_hte.fitting.doubts import check_declaration
from bayes_hte.fitting.plan import Plan, check_plan, settled
from bayes_hte.study.columns import declared_columns
from bayes_hte.study.datasets import load_frame
from bayes_hte.study.declared import study_from_spec
from bayes_hte.study.labels import labelled_study
from bayes_hte.study.spec import Spec
from bayes_hte.study.study import Study

if TYPE_CHECKING:
    from bayes_hte.mixtures.likelihood.problem import MixtureProblem


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


def declared_frame(spec: Spec) -> pd.DataFrame:
    """Load the data of a study file, as they are written."""
    return load_frame(spec.data.source, spec.folder, **spec.data.written)


def prepare(spec: Spec, frame: pd.DataFrame | None = None, *, models: bool = True) -> Prepared:
    """Load the data of a study file and check everything that can be checked without sampling.

    Parameters
    ----------
    spec : Spec
        The study file.
    frame : DataFrame, optional
        Its data, if they are loaded already.
    models : bool, default True
        Whether to check the models, which loads PyMC; for a finished run they were checked before.

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
    frame = declared_frame(spec) if frame is None else frame
    study, held_out = study_from_spec(spec, frame), None
    frame = declared_columns(frame, spec.columns)
    if spec.held_out is not None:
        from bayes_hte.trust.unseen import split  # slow to import

        whole = study
        study, held_out = split(whole, share=spec.held_out.share, seed=spec.held_out.seed)
        flow = whole.flow.without("held out, to judge effects on", held_out.n_units)
        study = replace(study, flow=flow)
    spec = settled(spec, study)
    if models:
        check_plan(study, Plan.from_spec(spec))
    check_declaration(spec, study)
    _check_labels(spec, frame, study)
    _check_arms(spec, study, held_out)
    return Prepared(
        spec=spec,
        study=study,
        held_out=held_out,
        control=_negative_control(spec, frame, study),
        mixture=_mixture(spec, frame, study),
    )


def _check_labels(spec: Spec, frame: pd.DataFrame, study: Study) -> None:
    """Refuse labels of columns or levels that the data lack, before anything is sampled."""
    for name in spec.labels:
        if name not in frame.columns:
            raise unknown_name("column of [labels]", name, frame.columns, DataError)
    labelled_study(study, spec.labels)


def _check_arms(spec: Spec, study: Study, held_out: Study | None) -> None:
    """Refuse what a study file asks for and a study with its number of arms cannot have."""
    if len(study.arms) == 2:
        if spec.roles.contrasts:
            raise SpecError(
                f"roles.contrasts is for more than two arms; this study has one contrast, "
                f"{study.contrast!r}. Remove the key, or turn it round with reference."
            )
        return
    if spec.mixture is not None:
        study.check_two_arms("a mixture of treatment effects")
    for part in (study, held_out):
        if part is not None:
            check_contrasts(spec, part)


def check_contrasts(spec: Spec, study: Study) -> None:
    """Refuse contrasts that a study file reports and its data cannot have.

    Raises
    ------
    SpecError
        If a contrast names no pair of arms.
    DataError
        If a covariate has only one value in the two arms of a contrast.
    """
    for b, a in reported_pairs(study.arms, spec.roles.contrasts):
        study.two_arms(study.arms[b], study.arms[a])


def _negative_control(spec: Spec, frame: pd.DataFrame, study: Study) -> pd.Series | None:
    name = spec.checks.negative_control
    if name is None:
        return None
    if name not in frame:
        raise unknown_name("checks.negative_control", name, frame.columns, DataError)
    return frame.loc[study.units, name]


def _mixture(spec: Spec, frame: pd.DataFrame, study: Study) -> MixtureProblem | None:
    if spec.mixture is None:
        return None
    from bayes_hte.runs.mixture_stage import declared_problem  # loads PyMC

    return declared_problem(spec, frame, study)
