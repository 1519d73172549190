"""Size and power of the rule for differences alone: ``python -m tests.benchmarks.trust_rule``.

A linear model with noise 1 and normal priors has a posterior in closed form, so many trials are
cheap: ``y = a + b'x + t (c + d'x) + e`` with five covariates, the modifier among them, and a prior
standard deviation of .25 for each entry of ``d``, which shrinks moderate differences as forests do.
Each trial is judged by the rule of the verdict; by the slope alone; and, ``before``, by the slope
without moving left-out predictions to one average effect.
"""

from __future__ import annotations

import argparse
from unittest.mock import patch

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.checks import covariate_effects, heterogeneity
from bayes_hte.companions.scores import effect_scores
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


def shown(case: str, trial: int) -> tuple[bool, bool, bool]:
    """Return whether differences are shown: by the rule, by the slope alone, and before."""
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

    def is_shown() -> tuple[bool, bool]:
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
        scores = effect_scores(
            units.effect.indexes["unit"],
            outcome=y,
            treatment=t,
            propensity=np.full(n, 0.5),
            expected=units.expected,
        )
        names = pd.DataFrame(x, columns=[f"x{j}" for j in range(5)])
        along = covariate_effects.covariate_effects(names, scores, rng=np.random.default_rng(1))
        slope_alone = heterogeneity.is_shown(check)
        likely = heterogeneity.is_likely(check) and covariate_effects.is_beyond_chance(along)
        return slope_alone or likely, slope_alone

    together, alone = is_shown()
    with patch(MOVED, lambda tau, weights, shares: tau):
        return together, alone, is_shown()[1]


def main() -> None:
    """Print one row per case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    chosen = parser.parse_args()
    print("| case | trials | shown | slope alone | before |\n| --- | --- | --- | --- | --- |")
    for case in chosen.cases:
        shares = np.mean([shown(case, trial) for trial in range(chosen.trials)], axis=0)
        numbers = " | ".join(f"{share:.3f}" for share in shares)
        print(f"| {case} | {chosen.trials} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
