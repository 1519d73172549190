"""Data with known individual effects, for the benchmark of effects.

Six families. ``acic`` are ten instances of the 2016 data challenge of the Atlantic Causal
Inference Conference (real covariates, simulated treatment and outcome), read once from the
``causallib`` package in an environment of its own: that package wants an older pandas than ours.
``hahn`` is the simulation design of the paper on Bayesian causal forests. ``smooth`` has the size
and the response surface of the classic infant-health benchmark, on simulated covariates.
``failure`` is where an S-learner without interactions sees no heterogeneity. ``steps`` jumps where
the others bend: what smooth surfaces are worst at. ``small arm`` has few treated units.

References
----------
Dorie, V., Hill, J., Shalit, U., Scott, M., Cervone, D. (2019). Automated versus do-it-yourself
methods for causal inference. Statistical Science 34, 43-68. doi:10.1214/18-STS667
Hahn, P. R., Murray, J. S., Carvalho, C. M. (2020). Bayesian regression tree models for causal
inference. Bayesian Analysis 15, 965-1056. doi:10.1214/19-BA1195
Hill, J. L. (2011). Bayesian nonparametric modeling for causal inference. Journal of Computational
and Graphical Statistics 20, 217-240. doi:10.1198/jcgs.2010.08162
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import optimize, special, stats

CAUSALLIB = "causallib==0.10.0"
ACIC_FILE = Path(tempfile.gettempdir()) / "bayes-hte-benchmark-acic16.npz"

# Runs where causallib is installed; writes plain arrays.
EXPORT_ACIC = """
import sys
import numpy as np
from causallib.datasets import load_acic16
arrays = {}
for instance in range(1, 11):
    data = load_acic16(instance)
    arrays["x"] = data.X.to_numpy(float)
    arrays["columns"] = data.X.columns.to_numpy(str)
    arrays[f"t{instance}"] = data.a.to_numpy(float)
    arrays[f"y{instance}"] = data.y.to_numpy(float)
    arrays[f"mu{instance}"] = data.po[["0", "1"]].to_numpy(float)
np.savez_compressed(sys.argv[1], **arrays)
"""


@dataclass(frozen=True)
class Data:
    """One data set with its truth.

    Attributes
    ----------
    covariates : DataFrame, shape (unit, covariate)
        Numbers; a categorical dtype where the levels have no order.
    treatment : ndarray of int, shape (unit,)
        0 or 1.
    outcome : ndarray, shape (unit,)
        Continuous.
    effect : ndarray, shape (unit,)
        True ``E[Y(1) - Y(0) | x]`` of each unit.
    """

    covariates: pd.DataFrame
    treatment: np.ndarray
    outcome: np.ndarray
    effect: np.ndarray

    def numeric(self) -> np.ndarray:
        """Covariates as numbers, one column a level, shape (unit, column)."""
        return pd.get_dummies(self.covariates, dtype=float).to_numpy(float)


@dataclass(frozen=True)
class Family:
    """Data sets of one kind.

    Attributes
    ----------
    cells : tuple of str
        Names of the settings.
    replications : int
        How many data sets a setting has by default.
    make : callable
        From a cell and a generator to :class:`Data`.
    """

    cells: tuple[str, ...]
    replications: int
    make: Callable[[str, np.random.Generator], Data]


def load(family: str, cell: str, replication: int) -> Data:
    """Make one data set; the same three names always give the same data."""
    return FAMILIES[family].make(cell, np.random.default_rng(seed_of(family, cell, replication)))


def seed_of(family: str, cell: str, replication: int) -> int:
    """A seed that depends on nothing but the names (and not on Python's salted hash)."""
    return zlib.crc32(f"{family}/{cell}/{replication}".encode())


def _frame(x: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(x, columns=[f"x{j + 1}" for j in range(x.shape[1])])


# --- The simulation design of Hahn, Murray and Carvalho ------------------------------------------

HAHN_CELLS = {
    f"n={n} p={p} {prognosis} {effect}": (n, p, prognosis, effect)
    for p, n, prognosis, effect in product(
        (5, 50), (250, 500), ("linear", "nonlinear"), ("homogeneous", "heterogeneous")
    )
}


def make_hahn(cell: str, rng: np.random.Generator) -> Data:
    """Draw from section 6.1 of the paper.

    x1, x2, x3 standard normal, x4 fair binary, x5 one of three unordered levels;
    effect 3, or ``1 + 2 x2 x4``; prognosis ``1 + g(x5) + x1 x3``, or ``-6 + g(x5) + 6 |x3 - 1|``,
    with g = (2, -1, -4); propensity ``0.8 Phi(3 mu / sd(mu) - x1 / 2) + 0.05 + U / 10``; unit
    normal noise. The paper's formulas give g the argument x4 and the effect x5 while its text makes
    x5 the three-level one; public reimplementations read it as here. The noise is the one of
    a public reimplementation, since the formulas leave it open. ``p=50`` adds 45 columns of
    standard normal noise, which the paper does not have.
    """
    n, p, prognosis, kind = HAHN_CELLS[cell]
    x = rng.normal(size=(n, p))
    x[:, 3] = rng.integers(0, 2, n)
    level = rng.integers(0, 3, n)
    x[:, 4] = level + 1
    g = np.array([2.0, -1.0, -4.0])[level]
    linear = prognosis == "linear"
    mu = g + (1 + x[:, 0] * x[:, 2] if linear else -6 + 6 * np.abs(x[:, 2] - 1))
    tau = np.full(n, 3.0) if kind == "homogeneous" else 1 + 2 * x[:, 1] * x[:, 3]
    propensity = 0.8 * stats.norm.cdf(3 * mu / mu.std(ddof=1) - x[:, 0] / 2)
    propensity += 0.05 + rng.random(n) / 10
    treatment = rng.binomial(1, propensity)
    frame = _frame(x).assign(x5=pd.Categorical(level + 1))
    return Data(frame, treatment, mu + tau * treatment + rng.normal(size=n), tau)


# --- A small smooth benchmark --------------------------------------------------------------------


def make_smooth(cell: str, rng: np.random.Generator) -> Data:
    """Draw 747 units of 25 covariates with Hill's second response surface.

    Six standard normal and nineteen binary covariates share one factor (correlation 0.2 of the
    underlying normals). ``mu0 = exp((x + 0.5)'b)``, ``mu1 = x'b - omega`` with omega such that the
    effect averages 4 on the treated; b is 0, .1, .2, .3, .4 with probabilities .6, .1, .1, .1, .1;
    unit normal noise. Treatment is logistic in six covariates and given to about 19 in 100. The
    covariates are simulated: those of the original trial do not travel with this project.
    """
    n, p, continuous = 747, 25, 6
    x = np.sqrt(0.8) * rng.normal(size=(n, p)) + np.sqrt(0.2) * rng.normal(size=(n, 1))
    prevalence = rng.uniform(0.1, 0.9, p - continuous)
    x[:, continuous:] = x[:, continuous:] < stats.norm.ppf(prevalence)
    lean = x[:, [0, 1, 2, 6, 7, 8]] @ np.array([0.5, -0.5, 0.3, 0.6, -0.6, 0.4])
    intercept = optimize.brentq(lambda a: special.expit(a + lean).mean() - 139 / 747, -20, 20)
    treatment = rng.binomial(1, special.expit(intercept + lean))
    slopes = rng.choice([0.0, 0.1, 0.2, 0.3, 0.4], size=p, p=[0.6, 0.1, 0.1, 0.1, 0.1])
    mu0, mu1 = np.exp((x + 0.5) @ slopes), x @ slopes
    mu1 += 4 - (mu1 - mu0)[treatment == 1].mean()
    outcome = np.where(treatment == 1, mu1, mu0) + rng.normal(size=n)
    return Data(_frame(x), treatment, outcome, mu1 - mu0)


# --- Where an S-learner without interactions is blind --------------------------------------------


def make_failure(cell: str, rng: np.random.Generator) -> Data:
    """Draw 500 units of ten covariates, linear in everything, with linear interactions.

    ``y = x'b + t (1 + x'd) + e``; b acts through five covariates and d through three, one of
    which is also a confounder. A linear model of (x, t) without interactions estimates the same
    effect for everybody; one with them loses nothing against a T-learner.
    """
    n, p = 500, 10
    x = rng.normal(size=(n, p))
    b, d = np.zeros(p), np.zeros(p)
    b[:5] = [1.0, -1.0, 0.5, 0.5, -0.5]
    d[[0, 4, 6]] = [1.0, -0.7, 0.5]
    treatment = rng.binomial(1, special.expit(0.7 * x[:, 0] - 0.5 * x[:, 1]))
    effect = 1 + x @ d
    return Data(_frame(x), treatment, x @ b + treatment * effect + rng.normal(size=n), effect)


# --- Where nothing is smooth ----------------------------------------------------------------------

STEP_CELLS = {f"n={n} p=10": n for n in (250, 500)}


def make_steps(cell: str, rng: np.random.Generator) -> Data:
    """Draw units of ten covariates whose prognosis, effect and propensity are trees.

    Standard normal covariates; prognosis ``3 [x1 > 0] - 2 [x2 > 1/2 and x3 < 0] + 2 [x4 > 1]``,
    effect ``1 + 2 [x1 > 0 and x5 < 1/2]``, propensity 0.65 where x1 > 0 and 0.35 elsewhere; unit
    normal noise.
    """
    n, p = STEP_CELLS[cell], 10
    x = rng.normal(size=(n, p))
    high = x[:, 0] > 0
    mu = 3.0 * high - 2.0 * ((x[:, 1] > 0.5) & (x[:, 2] < 0)) + 2.0 * (x[:, 3] > 1)
    tau = 1 + 2.0 * (high & (x[:, 4] < 0.5))
    treatment = rng.binomial(1, np.where(high, 0.65, 0.35))
    return Data(_frame(x), treatment, mu + tau * treatment + rng.normal(size=n), tau)


# --- Where an arm is small ------------------------------------------------------------------------

SMALL_ARM_CELLS = {f"{treated} of 300": treated for treated in (6, 12)}


def make_small_arm(cell: str, rng: np.random.Generator) -> Data:
    """Draw 300 units of which few are treated, at random, with an effect of 2 on everybody.

    Five standard normal covariates, prognosis ``x1 + x2 / 2``, unit normal noise: least squares is
    unbiased, and a prior that expects small effects is felt, as six treated units say little.
    """
    n, treated = 300, SMALL_ARM_CELLS[cell]
    x = rng.normal(size=(n, 5))
    treatment = rng.permutation(np.arange(n) < treated).astype(int)
    effect = np.full(n, 2.0)
    outcome = x[:, 0] + x[:, 1] / 2 + effect * treatment + rng.normal(size=n)
    return Data(_frame(x), treatment, outcome, effect)


# --- The data challenge --------------------------------------------------------------------------


def make_acic(cell: str, rng: np.random.Generator) -> Data:
    """Read one instance: 4,802 units, 79 columns (factors already coded 0/1)."""
    instance = int(cell.removeprefix("instance "))
    with np.load(ACIC_FILE) as arrays:
        frame = pd.DataFrame(arrays["x"], columns=arrays["columns"])
        treatment, mu = arrays[f"t{instance}"].astype(int), arrays[f"mu{instance}"]
        return Data(frame, treatment, arrays[f"y{instance}"], mu[:, 1] - mu[:, 0])


def fetch_acic() -> None:
    """Export the instances to plain arrays, once, in a throw-away environment.

    Raises
    ------
    SystemExit
        If uv is not there, or the package cannot be installed.
    """
    if ACIC_FILE.exists():
        return
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        raise SystemExit("the acic data are fetched with uv; install it, or leave acic out.")
    command = [uv, "run", "--isolated", "--no-project", "--quiet", "--python", sys.executable]
    command += ["--with", CAUSALLIB, "python", "-W", "ignore", "-c", EXPORT_ACIC, str(ACIC_FILE)]
    # The throw-away environment must not see ours.
    inherited = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    if subprocess.run(command, check=False, env=inherited).returncode != 0:
        raise SystemExit(f"could not export the acic data with {CAUSALLIB}; leave acic out.")


FAMILIES = {
    "acic": Family(tuple(f"instance {i}" for i in range(1, 11)), 1, make_acic),
    "hahn": Family(tuple(HAHN_CELLS), 10, make_hahn),
    "smooth": Family(("n=747 p=25",), 5, make_smooth),
    "failure": Family(("n=500 p=10",), 10, make_failure),
    "steps": Family(tuple(STEP_CELLS), 10, make_steps),
    "small arm": Family(tuple(SMALL_ARM_CELLS), 20, make_small_arm),
}
