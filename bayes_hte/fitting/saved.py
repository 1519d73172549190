"""A whole fit on disk, and back: the reloaded fit predicts the same numbers.

A folder holds the plan, the fingerprint of the study, and every component as a saved stage. All of
it is JSON and arrays of numbers and texts, so loading a stranger's fit executes nothing (`store`).
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from bayes_hte.components.saved import from_tree, to_tree
from bayes_hte.errors import SavedResultError, UnsupportedError
from bayes_hte.fitting.fitted import Fit
from bayes_hte.fitting.imputing import imputed_studies
from bayes_hte.fitting.plan import Plan
from bayes_hte.fitting.pooled import PooledFit
from bayes_hte.fitting.stages import stages
from bayes_hte.store import (
    FORMAT,
    find_stage,
    make_folder,
    refuse_newer,
    save_stage,
    write_text,
)
from bayes_hte.study.spec import PriorSpec
from bayes_hte.study.study import Study

FIT_FILE = "fit.json"


def save_fit(fit: Fit, folder: str | Path) -> None:
    """Save a fit; the frame is not saved, only its fingerprint.

    The saved parts that prediction needs can identify people: the distinct values of each covariate
    (up to 2,000) and every unit's estimated propensity. Protect the folder as you protect the data.

    Parameters
    ----------
    fit : Fit
        The fit.
    folder : str or Path
        Created if needed; a fit that is already there is replaced.

    Raises
    ------
    UnsupportedError
        If it shows two arms of a fit of more; save that one.
    SavedResultError
        If the disk is full, or the folder cannot be written to.

    Examples
    --------
    >>> import numpy as np
    >>> import bayes_hte as hte
    >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
    >>> roles = {"outcome": "y", "treatment": "treat", "mediator": "m"}
    >>> study = hte.Study.from_frame(frame, **roles, covariates=["x1", "x2", "x3"])
    >>> fit = hte.fit(study, seed=1, draws=20, tune=20, chains=2, progress=False)
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     hte.save_fit(fit, folder)
    ...     again = hte.load_fit(folder, study)
    >>> np.allclose(again.cate(), fit.cate())
    True
    """
    if fit.whole is not None:
        raise UnsupportedError(
            "this fit shows two arms of a fit of more; save the whole one, save_fit(fit.whole, "
            "folder), and take the two arms after loading: load_fit(folder, study).two_arms(...)."
        )
    folder = Path(folder)
    make_folder(folder)
    settings = _settings(fit)
    if isinstance(fit, PooledFit):
        for i, part in enumerate(fit.imputations):
            save_fit(part, folder / _of_imputation(i))
        pooled = settings | {"imputations": len(fit.imputations)}
        write_text(folder / FIT_FILE, json.dumps(pooled, indent=1))
        return
    for stage, component in fit.components.items():
        save_stage(folder, stage, to_tree(component), settings)
    write_text(folder / FIT_FILE, json.dumps(settings, indent=1))


def load_fit(folder: str | Path, study: Study) -> Fit:
    """Load a fit.

    Nothing in the folder is executed, whoever wrote it: settings are JSON, and draws are read only
    if every array is stored as numbers or text (:mod:`bayes_hte.store`).

    Parameters
    ----------
    folder : str or Path
        Where :func:`save_fit` put it.
    study : Study
        The study it was fitted to, bound to the same data.

    Returns
    -------
    Fit

    Raises
    ------
    SavedResultError
        If there is no complete fit, its files are damaged, a newer version of this package has
        saved it, or `study` is another study.

    Examples
    --------
    >>> import numpy as np
    >>> import bayes_hte as hte
    >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
    >>> roles = {"outcome": "y", "treatment": "treat", "mediator": "m"}
    >>> study = hte.Study.from_frame(frame, **roles, covariates=["x1", "x2", "x3"])
    >>> fit = hte.fit(study, seed=1, draws=20, tune=20, chains=2, progress=False)
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     hte.save_fit(fit, folder)
    ...     hte.load_fit(folder, study).seed
    1
    """
    folder = Path(folder)
    path = folder / FIT_FILE
    if not path.exists():
        raise SavedResultError(f"no saved fit in {folder}: there is no {FIT_FILE}.")
    settings, plan = _read(path)
    if settings["data"] != study.fingerprint():
        raise SavedResultError(
            f"the fit in {folder} belongs to other data or roles than this study; build the study "
            "from the same frame with the same roles."
        )
    if "imputations" in settings:
        parts = imputed_studies(study, seed=settings["seed"])
        fits = [load_fit(folder / _of_imputation(i), part) for i, part in enumerate(parts)]
        return PooledFit.of(study, tuple(fits), seed=settings["seed"])
    components = {}
    # A fit of the priors has no propensity. Fits of earlier versions do not list their components.
    for stage in settings.get("components", stages(study, plan)):
        saved = find_stage(folder, stage)
        if not saved.intact or saved.changes(settings):
            raise SavedResultError(
                f"stage {stage!r} in {folder} is missing, damaged or of another fit; fit again."
            )
        components[stage] = from_tree(saved.load(), study)
    return Fit(study=study, plan=plan, seed=settings["seed"], components=components)


def _of_imputation(i: int) -> str:
    """Return the folder of the fit to one imputed frame."""
    return f"imputation_{i + 1}"


def _read(path: Path) -> tuple[dict[str, Any], Plan]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        # Fits of earlier versions do not say their format.
        refuse_newer(path, settings.get("format"), FORMAT)
        options = {k: tuple(v) if isinstance(v, list) else v for k, v in settings["plan"].items()}
        options["priors"] = tuple(PriorSpec(**prior) for prior in options["priors"])
        plan = Plan(**options)
        missing = {"seed", "data"} - set(settings)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SavedResultError(f"{path} is damaged ({error}); fit again.") from error
    if missing:
        raise SavedResultError(f"{path} lacks {', '.join(sorted(missing))}; fit again.")
    return settings, plan


def _settings(fit: Fit) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "plan": dataclasses.asdict(fit.plan),
        "seed": fit.seed,
        "data": fit.study.fingerprint(),
        "components": list(fit.components),
    }
