"""Sampling health: do the draws represent the posterior? Judged on the effects themselves.

Average effects must have converged strictly. Individual effects of a forest mix slowly unit by
unit, so a fixed panel of units has a weaker limit, and a near miss is explained in words.

Vehtari et al. (2021) recommend an R-hat below 1.01 and at least 400 effective draws. The limits
here are weaker (1.05 and 100), as a check that decides whether numbers may be used at all: 100
effective draws estimate a posterior mean to a tenth of the posterior's standard deviation, which
changes no conclusion. Between the two the text of the check says so.

References
----------
Vehtari, A., Gelman, A., Simpson, D., Carpenter, B., Buerkner, P.-C. (2021). Rank-normalization,
folding, and localization: an improved R-hat. Bayesian Analysis 16, 667-718. doi:10.1214/20-BA1221
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.checks.base import CheckResult
from bayes_hte.names import CONTRAST, SAMPLE, UNIT

if TYPE_CHECKING:
    from bayes_hte.checks.subject import Subject

NAME = "sampling health"
MAX_RHAT_AVERAGE = 1.05
MAX_RHAT_UNIT = 1.2
MIN_ESS = 100
# What the reference recommends.
STRICT_RHAT, STRICT_ESS = 1.01, 400
PANEL = 20


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Judge the draws of a fit, within each imputation if there are any."""
    if getattr(subject.fit, "imputations", ()):
        return subject.fit.health()
    stats = {role: component.stats for role, component in subject.fit.sampled_parts().items()}
    return sampling_health(subject.effects, stats)


def sampling_health(
    effects: xr.Dataset, stats: Mapping[str, xr.Dataset]
) -> tuple[CheckResult, CheckResult, CheckResult]:
    """Judge the draws of a fit.

    Parameters
    ----------
    effects : Dataset, dims (chain, draw, unit[, contrast])
        Unit-level effects.
    stats : mapping of str to Dataset
        Sampler statistics by component, dims (chain, draw).

    Returns
    -------
    average, individual, divergences : CheckResult
    """
    effects = _by_name(effects)
    return (
        average_effects(effects.mean(UNIT, skipna=False)),
        individual_effects(effects.isel({UNIT: panel(effects.sizes[UNIT])})),
        divergences(stats),
    )


def panel(n_units: int) -> np.ndarray:
    """Return the positions of the units whose effects are followed, evenly spaced."""
    return np.unique(np.linspace(0, n_units - 1, PANEL).astype(int))


def average_effects(averages: xr.Dataset) -> CheckResult:
    """R-hat at most 1.05 and effective sample sizes of at least 100 for every average effect.

    Parameters
    ----------
    averages : Dataset, dims (chain, draw)

    Returns
    -------
    CheckResult
        A value that cannot be computed (constant draws, a single chain) fails.
    """
    table = _diagnostics(averages)
    worst = table["r_hat"].max(skipna=False)
    smallest = table[["ess_bulk", "ess_tail"]].min(skipna=False).min(skipna=False)
    passed = bool(worst <= MAX_RHAT_AVERAGE and smallest >= MIN_ESS)
    text = (
        f"Largest R-hat of an average effect {worst:.3f} (at most {MAX_RHAT_AVERAGE} wanted), "
        f"smallest effective sample size {smallest:.0f} (at least {MIN_ESS} wanted)."
    )
    if not passed:
        text += " The chains disagree or moved too little: run longer (more tune and draws)."
    elif worst > STRICT_RHAT or smallest < STRICT_ESS:
        text += (
            f" Vehtari et al. (2021) recommend {STRICT_RHAT} and {STRICT_ESS}; with {smallest:.0f} "
            f"effective draws the Monte Carlo error of a mean is {smallest**-0.5:.0%} of the "
            "posterior's standard deviation."
        )
    return CheckResult(f"{NAME}: average effects", passed, table, text)


def individual_effects(effects: xr.Dataset) -> CheckResult:
    """R-hat at most 1.2 for the effects of a fixed panel of units.

    Parameters
    ----------
    effects : Dataset, dims (chain, draw, unit)
        The panel's effects.

    Returns
    -------
    CheckResult
    """
    rows = {}
    for name, draws in effects.data_vars.items():
        # Numbers in place of labels: a unit may be called like a dimension.
        numbered = draws.assign_coords({UNIT: np.arange(draws.sizes[UNIT])})
        table = _diagnostics(numbered.to_dataset(UNIT))
        rows[name] = {
            "units": len(table),
            "largest r_hat": table["r_hat"].max(skipna=False),
            "median r_hat": table["r_hat"].median(),
            "smallest ess_bulk": table["ess_bulk"].min(skipna=False),
            "median ess_bulk": table["ess_bulk"].median(),
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("effect")
    worst = table["largest r_hat"].max(skipna=False)
    passed = bool(worst <= MAX_RHAT_UNIT)
    text = (
        f"Largest R-hat among the individual effects of {effects.sizes[UNIT]} units followed: "
        f"{worst:.3f} (at most {MAX_RHAT_UNIT} wanted; averages are held to {MAX_RHAT_AVERAGE})."
    )
    if not passed:
        text += (
            " Intervals of single units are not reliable; averages may be. Run longer (draws=2000, "
            "tune=1000; in a study file under [sampler]), or use fewer trees. For a gaussian "
            "outcome of a few thousand rows surface='gp' mixes well and takes minutes."
        )
    return CheckResult(f"{NAME}: individual effects", passed, table, text)


def divergences(stats: Mapping[str, xr.Dataset]) -> CheckResult:
    """No divergent transitions in any component.

    Parameters
    ----------
    stats : mapping of str to Dataset
        Sampler statistics by component; one without NUTS variables has no ``diverging``.

    Returns
    -------
    CheckResult
    """
    counts = {
        role: int(s["diverging"].sum()) if "diverging" in s else 0 for role, s in stats.items()
    }
    table = pd.DataFrame({"divergent draws": counts}).rename_axis("component")
    total = sum(counts.values())
    text = f"{total} divergent draws."
    if total:
        text += " NUTS could not explore the posterior there: use tighter priors, or tune longer."
    return CheckResult(f"{NAME}: divergences", total == 0, table, text)


def _by_name(effects: xr.Dataset) -> xr.Dataset:
    """Return each contrast of an effect, if there are several, as a variable."""
    if CONTRAST not in effects.dims:
        return effects
    return xr.Dataset(
        {
            f"{name}, {contrast}": effects[name].isel({CONTRAST: i}, drop=True)
            for name in effects.data_vars
            for i, contrast in enumerate(effects[CONTRAST].to_numpy())
        }
    )


def _diagnostics(draws: xr.Dataset) -> pd.DataFrame:
    """R-hat, bulk and tail effective sample size, one row per variable."""
    import arviz_stats

    clean = draws.drop_vars([c for c in draws.coords if c not in SAMPLE])
    # Draws that cannot be judged give NaN here, and a failed check above.
    with np.errstate(invalid="ignore", divide="ignore"):
        columns = {
            "r_hat": arviz_stats.rhat(clean),
            "ess_bulk": arviz_stats.ess(clean, method="bulk"),
            "ess_tail": arviz_stats.ess(clean, method="tail"),
        }
    return pd.DataFrame(
        {k: {str(n): float(v[n]) for n in clean.data_vars} for k, v in columns.items()}
    ).rename_axis("quantity")
