"""Size and power of the rule for differences alone: ``python -m tests.benchmarks.trust_rule``.

A linear model with noise 1 and normal priors has a posterior in closed form, so many trials are
cheap: ``y = a + b'x + t (c + d'x) + e`` with five covariates, the modifier among them, and a prior
standard deviation of .25 for each entry of ``d``, which shrinks moderate differences as forests do.
Each trial is judged by the rule of the verdict, with left-out predictions around one average effect
and, ``before``, as they are.
"""

from __future__ import annotations

import argparse
from unittest.mock import patch

import numpy as np
import xarray as xr

from bayes_hte.checks import heterogeneity
from bayes_hte.targeting.left_out import Candidate, left_out

DRAWS = 400
PRIOR_SD = 0.25
MOVED = "bayes_hte.targeting.left_out._around_one_average"
# Units, and the effects in the two halves.
CASES = {
    "equal, 100": (100, 0.5, 0.5),
    "equal, 300": (300, 0.5, 0.5),
    "equal, 600": (600, 0.5, 0.5),
    "moderate, 600": (600, 0.3, 0.8),
    "strong, 300": (300, 0.0, 1.5),
}


def probabilities(case: str, trial: int) -> tuple[float, float]:
    """Return the probability of a slope above 0, with the rule of the verdict and before."""
    n, low, high = CASES[case]
    rng = np.random.default_rng([23, trial])
    x = np.column_stack([rng.permutation(np.arange(n) % 2), rng.normal(size=(n, 4))])
    t = rng.permutation(np.arange(n) % 2)
    z = np.column_stack([x[:, :1] - 0.5, x[:, 1:]])
    y = 0.5 * x[:, 1] + t * np.where(x[:, 0] > 0, high, low) + rng.normal(size=n)
    columns = [np.column_stack([np.ones(n), z, a * np.ones(n), a[:, None] * z])
               for a in (np.zeros(n), np.ones(n))]  # fmt: skip
    own = np.where(t[:, None] == 1, columns[1], columns[0])
    sd = np.array([10.0] * 6 + [10.0] + [PRIOR_SD] * 5)
    covariance = np.linalg.inv(own.T @ own + np.diag(sd**-2.0))
    draws = rng.multivariate_normal(covariance @ own.T @ y, covariance, size=DRAWS)
    mu = np.stack([draws @ c.T for c in columns], axis=-1)[None]
    log_likelihood = -0.5 * (y - (draws @ own.T)[None]) ** 2
    candidate = Candidate(
        xr.DataArray(mu, dims=("chain", "draw", "unit", "arm"), coords={"unit": np.arange(n)}),
        xr.DataArray(-log_likelihood, dims=("chain", "draw", "unit")),
    )

    def sure() -> float:
        units = left_out([candidate], rng=np.random.default_rng(1))
        check = heterogeneity.heterogeneity_check(
            units.effect,
            outcome=y,
            treatment=t,
            propensity=np.full(n, 0.5),
            expected=units.expected,
            better="higher",
            seed=1,
        )
        return float(check.table.loc["slope", "prob_positive"]) if len(check.table) else 0.0

    with patch(MOVED, lambda tau, weights, shares: tau):
        before = sure()
    return sure(), before


def main() -> None:
    """Print one row per case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    chosen = parser.parse_args()
    print("| case | trials | shown | before |\n| --- | --- | --- | --- |")
    for case in chosen.cases:
        found = np.array([probabilities(case, trial) for trial in range(chosen.trials)])
        shown, before = (found >= heterogeneity.SURE).mean(axis=0)
        print(f"| {case} | {chosen.trials} | {shown:.3f} | {before:.3f} |", flush=True)


if __name__ == "__main__":
    main()
