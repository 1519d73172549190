"""Prior covariances of functions of the covariates, for the closed-form stand-in for the model.

References
----------
Durrande, N., Ginsbourger, D., Roustant, O. (2012). Additive covariance kernels for high-dimensional
Gaussian process modeling. Annales de la Faculte des Sciences de Toulouse 21, 481-499.
doi:10.5802/afst.1342
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes_hte.errors import SpecError
from bayes_hte.study.encoding import ColumnEncoding
from bayes_hte.study.kinds import is_numeric
from bayes_hte.study.study import Study

# About ten matrices of n x n numbers are held at once; time grows with the cube of n.
LARGEST = 3_000
# Kernels of constants, and of trends, of the levels of a covariate.
LEVELS, TRENDS = "levels", "trends"


def kernels_at_units(study: Study, means_by: str | None = None) -> dict[str, np.ndarray]:
    """Return prior covariances of functions of the covariates at the units.

    Parameters
    ----------
    study : Study
        The units.
    means_by : str, optional
        A covariate whose levels have constants (`LEVELS`) and trends (`TRENDS`); there is no other
        function of it.

    Returns
    -------
    dict of str to ndarray, shape (unit, unit)
        ``"linear"``, ``"bent"``, ``"pairs"``, and those of clusters and of `means_by` if there are
        any, each of mean variance 1.

    Raises
    ------
    SpecError
        If there are more than 3,000 units.
    """
    if study.n_units > LARGEST:
        raise SpecError(
            f"the stand-in is made for up to {LARGEST} units, got {study.n_units}; pass "
            f"study.sample({LARGEST}, seed=...), or refit the full model, estimator='full'."
        )
    pairs = [_of_column(study.frame[name]) for name in study.roles.covariates if name != means_by]
    linear = [straight for straight, _ in pairs]
    bent = [curve for _, curve in pairs if curve is not None]
    single = [s if b is None else (s + b) / 2 for s, b in pairs]
    total = sum(single)
    found = {"linear": sum(linear), "bent": sum(bent) if bent else None}
    if len(single) > 1:
        found["pairs"] = total**2 - sum(k**2 for k in single)
    clusters = study.clusters()
    if clusters is not None:
        found["cluster"] = (clusters[:, np.newaxis] == clusters).astype(np.float64)
    nothing = np.zeros((study.n_units, study.n_units))
    kernels = {name: found.get(name) for name in ("linear", "bent", "pairs")}
    kernels |= {"cluster": found["cluster"]} if "cluster" in found else {}
    if means_by is not None:
        label = study.frame[means_by].to_numpy()
        kernels[LEVELS] = (label[:, np.newaxis] == label).astype(np.float64)
        kernels[TRENDS] = kernels[LEVELS] * found["linear"]
    return {
        name: nothing if k is None else k / np.diagonal(k).mean() for name, k in kernels.items()
    }


def _of_column(column: pd.Series) -> tuple[np.ndarray, np.ndarray | None]:
    """Return kernels linear in a covariate and bent along it; the latter only for numbers."""
    encoding = ColumnEncoding.learn(column)
    z = np.column_stack(list(encoding.standardized(column).values()))
    z = z - z.mean(axis=0)
    straight = z @ z.T
    straight /= np.diagonal(straight).mean()
    if not is_numeric(column) or column.nunique() <= 2:
        return straight, None
    # A missing value has the median rank; whether it is missing is in the other kernel.
    u = np.nan_to_num(encoding.split_columns(column)[encoding.name], nan=0.5)
    # Brownian motion with its average over (0, 1) taken out.
    centred = 1 / 3 + (u[:, np.newaxis] ** 2 + u**2) / 2 - np.maximum(u[:, np.newaxis], u)
    return straight, centred / np.diagonal(centred).mean()
