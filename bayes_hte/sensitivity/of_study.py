"""The analyses of hidden confounding that suit a study, from draws of its averages."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayes_hte.checks.base import CheckResult
from bayes_hte.companions.restricted_means import restricted_means
from bayes_hte.effects.arguments import Better, benefit_sign
from bayes_hte.effects.summaries import CiKind, interval_parameters
from bayes_hte.errors import DataError, unknown_name
from bayes_hte.names import ARM, SAMPLE
from bayes_hte.sensitivity.e_values import MEASURE_OF_FAMILY, EValue, e_value
from bayes_hte.sensitivity.rho import MediationRho
from bayes_hte.sensitivity.tipping import TippingPoint, benchmark_covariates, tipping_point
from bayes_hte.study.frames import with_columns
from bayes_hte.study.spec import bounded_limits
from bayes_hte.study.study import Study
from bayes_hte.study.time_to_event import Estimand

N_GRID = 25
# The grid reaches the bias needed in all but the most extreme draws.
REACH = 1.5


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """The hidden confounding that would change the answer of a study.

    Attributes
    ----------
    e_values : tuple of EValue
        For no effect and, if it can be reached, for the minimal important difference. Empty for a
        randomised treatment, which no hidden variable can confound.
    tipping : TippingPoint or None
        None for a randomised treatment.
    rho : MediationRho or None
        Of mediator and outcome; None without a mediator, or where a family is not gaussian.
    """

    e_values: tuple[EValue, ...]
    tipping: TippingPoint | None
    rho: MediationRho | None

    @interval_parameters
    def checks(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> tuple[CheckResult, ...]:
        """Return each analysis as a check that informs.

        Returns
        -------
        tuple of CheckResult
            Their ``passed`` is None.
        """
        parts = (*self.e_values, self.tipping, self.rho)
        how = {"ci_prob": ci_prob, "ci_kind": ci_kind}
        return tuple(part.check(**how) for part in parts if part is not None)


def sensitivity(
    study: Study,
    *,
    arm_means: xr.DataArray,
    family: str,
    better: Better,
    important: float,
    randomised: bool,
    rho: MediationRho | None,
    horizon: float | Estimand | None = None,
) -> Sensitivity:
    """Run the analyses that suit a study.

    Parameters
    ----------
    study : Study
        The data.
    arm_means : DataArray, dims (chain, draw, arm)
        Expected outcomes averaged over the units (SATE), reference arm first.
    family : str
        Of the outcome; decides the scale of the E-value.
    better : {"higher", "lower"}
        Which direction of the outcome is good.
    important : float
        Minimal important difference; 0 if none is declared.
    randomised : bool
        Whether the treatment was randomised.
    rho : MediationRho or None
        From :func:`~bayes_hte.sensitivity.mediation_rho`.
    horizon : float or Estimand, optional
        Of times to an event, up to which they count, or the scale of effects on them; default as in
        :func:`bayes_hte.companions.restricted_means`.

    Returns
    -------
    Sensitivity

    Raises
    ------
    SpecError
        If `family` or `better` is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
    >>> study = hte.Study.from_frame(frame, outcome="y", treatment="treat", covariates=["x1", "x2"])
    >>> means = xr.DataArray(np.tile([0.0, 0.5], (2, 50, 1)), dims=("chain", "draw", "arm"))
    >>> found = hte.sensitivity.sensitivity(
    ...     study, arm_means=means, family="gaussian", better="higher", important=0.0,
    ...     randomised=False, rho=None,
    ... )
    >>> [check.name.split(": ")[1] for check in found.checks()]
    ['E-value', 'tipping point']
    """
    study.check_two_arms("the sensitivity to hidden confounding")
    if randomised:
        return Sensitivity((), None, rho)
    te = arm_means.isel({ARM: 1}, drop=True) - arm_means.isel({ARM: 0}, drop=True)
    # A mean on a scale with ends is compared as any mean is.
    family = family if bounded_limits(family) is None else "gaussian"
    if family not in MEASURE_OF_FAMILY:
        raise unknown_name("family", family, MEASURE_OF_FAMILY)
    measure, sign = MEASURE_OF_FAMILY[family], benefit_sign(better)
    if isinstance(horizon, Estimand) and horizon.name != "rmst":
        measure = "risk_ratio"
    study = restricted_means(study.with_outcome(), horizon)
    y, arm = study.outcome(), study.arm_index()
    within = float(np.sqrt(np.mean([y[arm == a].var(ddof=1) for a in (0, 1)])))
    options = {"outcome_sd": within} if measure == "standardised_difference" else {}
    found = [e_value(arm_means, measure=measure, **options)]
    if important > 0:
        # A margin may lie beyond the possible risks or means; then there is no E-value for it.
        with contextlib.suppress(DataError):
            found.append(e_value(arm_means, measure=measure, target=sign * important, **options))
    return Sensitivity(tuple(found), _tipping(study, te, better), rho)


def _tipping(study: Study, te: xr.DataArray, better: Better) -> TippingPoint:
    """The tipping point, on a grid that reaches nearly all biases needed."""
    roles = study.roles
    frame = with_columns(study.filled_frame(), {roles.treatment: study.arm_index()})
    benchmarks = None
    with contextlib.suppress(DataError):  # collinear covariates have no coefficients
        benchmarks = benchmark_covariates(
            frame, outcome=roles.outcome, treatment=roles.treatment, covariates=roles.covariates
        )
    reach = REACH * max(float(np.abs(te).quantile(0.975, SAMPLE)), 1e-12)
    largest = 1.0 if benchmarks is None else max(1.0, float(benchmarks["delta"].abs().max()))
    return tipping_point(
        te,
        better=better,
        gamma=benefit_sign(better) * np.linspace(0, reach, N_GRID),
        delta=np.linspace(0, largest, N_GRID),
        benchmarks=benchmarks,
    )
