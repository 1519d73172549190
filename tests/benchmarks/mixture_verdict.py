"""What the comparison of a mixture's two posteriors says in planted cases.

    python -m tests.benchmarks.mixture_verdict --out rows.csv [--trials 50] [--table]

:func:`bayes_hte.mixtures.agreement.compare_posteriors` answers "agree", "disagree" or "not
identifiable here". It is given the moment posterior of each data set, and for the likelihood the
best of some maxima with the spread of the moments about it, as when the bound of the rule was set:
nothing is sampled. The bound on the distance is then the smaller of the two that the rule has.
Cases: proxies as strong as they should be, weak proxies, and an edge between the proxy X and the
outcome that is not declared. Of that edge there are two forms. In one the outcome of one class in
one arm depends on the level of X, by ``2 shift``; the other is the symmetric edge of
:func:`bayes_hte.mixtures.paper_design`. Rows are added as they are known.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.mixtures import (
    draw_frame,
    identifiability,
    mixture_arrays,
    moment_posterior,
    paper_design,
)
from bayes_hte.mixtures.agreement import AGREE, DISAGREE, UNIDENTIFIABLE, compare_posteriors
from bayes_hte.mixtures.likelihood.law import class_means, collapse
from bayes_hte.mixtures.likelihood.maximum import maximum_likelihood
from bayes_hte.mixtures.moments.data import MixtureData
from bayes_hte.mixtures.moments.posterior import MomentPosterior
from bayes_hte.mixtures.moments.simulated import MixtureDesign
from tests.benchmarks.rows_file import rows_added

COLUMNS = ("case", "trial", "answer", "distance", "error", "strength", "seconds")
STARTS = 5
DRAWS = 400
UNKNOWN = np.full(2, np.nan), np.full((2, 2), np.nan)
Z_T_EDGE = 0.5


@dataclass(frozen=True)
class Case:
    """A law of the data.

    Attributes
    ----------
    n : int
        Units.
    delta : float
        Strength of the proxies.
    shift : float
        Half the difference between the means of class 0 under treatment at the two levels of X.
    mu_xy : float
        Weight of the symmetric X-Y edge.
    """

    n: int = 5_000
    delta: float = 0.5
    shift: float = 0.0
    mu_xy: float = 0.0

    def design(self) -> MixtureDesign:
        """Return the law."""
        law = paper_design(self.delta, Z_T_EDGE, self.mu_xy)
        if not self.shift:
            return law
        # Away from the borders, where a shift of .3 still is one of probabilities.
        mean = law.mean.copy()
        mean[0, :, 1] = 0.4 + np.array([-1, 1]) * self.shift
        return replace(law, mean=mean)


CASES = {
    "sound": Case(),
    "sound, 1,000 units": Case(n=1_000),
    "weak proxies (.3), 1,000 units": Case(n=1_000, delta=0.3),
    "weak proxies (.2), 1,000 units": Case(n=1_000, delta=0.2),
    "X-Y edge of .1": Case(shift=0.1),
    "X-Y edge of .2": Case(shift=0.2),
    "X-Y edge of .3": Case(shift=0.3),
    "X-Y edge of .3, 1,000 units": Case(n=1_000, shift=0.3),
    "symmetric X-Y edge": Case(mu_xy=0.5),
}


@dataclass(frozen=True)
class Maximum:
    """A maximum of the likelihood, classes in no particular order."""

    probabilities: np.ndarray
    means: np.ndarray

    @property
    def effects(self) -> np.ndarray:
        """Class effects, shape (class,)."""
        return self.means[:, 1] - self.means[:, 0]


def maximum(data: MixtureData, rng: np.random.Generator) -> Maximum:
    """Return the best of some maxima."""
    patterns = collapse(data)
    runs = [maximum_likelihood(data, patterns, 2, "bernoulli", rng=rng) for _ in range(STARTS)]
    law = max(runs, key=lambda run: run[1])[0]
    return Maximum(np.asarray(law.probabilities), class_means(law, "bernoulli"))


def about(found: Maximum, moments: MomentPosterior) -> xr.Dataset:
    """Return draws about a maximum, as far spread as those of the moments."""
    order = np.argsort(found.effects)
    centre = {
        "ate": ((), float(found.probabilities @ found.effects)),
        "effects": (("class",), found.effects[order]),
        "probabilities": (("class",), found.probabilities[order]),
        "class_means": (("class", "arm"), found.means[order]),
    }
    names = [name for name in centre if name in moments.draws]
    draws = moments.draws[names]
    spread = (draws - draws.median(("chain", "draw"))).fillna(0.0)
    return spread + xr.Dataset({name: centre[name] for name in names})


def one(name: str, trial: int) -> dict[str, object]:
    """Return the row of a trial."""
    case, begun = CASES[name], time.process_time()
    design, seed = case.design(), zlib.crc32(f"{name} {trial}".encode())
    rng = np.random.default_rng(seed)
    frame = draw_frame(design, case.n, rng=rng)
    data = mixture_arrays(frame["z"], frame["x"], frame["t"], frame["y"])
    graph = identifiability(k=2, z_levels=[2], x_levels=[2], edges=("Z-T",))
    moments = moment_posterior(data, graph, rng=rng, draws=DRAWS)
    # Classes that the moments refuse are not compared, and the rest has no say.
    found = Maximum(*UNKNOWN) if moments.refused else maximum(data, rng)
    said = compare_posteriors(about(found, moments), moments)
    return {
        "case": name,
        "trial": trial,
        "answer": said.answer,
        "distance": float(said.table["distance"].max()),
        "error": float(np.abs(np.sort(found.effects) - np.sort(design.effects)).max()),
        "strength": float(np.min(moments.diagnostics.strength)),
        "seconds": round(time.process_time() - begun, 2),
    }


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the share of each answer per case."""

    def shares(part: pd.DataFrame) -> pd.Series:
        said = part["answer"]
        found = {"trials": len(part), "strength": f"{part['strength'].median():.1f}"}
        found |= {a: f"{(said == a).mean():.2f}" for a in (AGREE, DISAGREE, UNIDENTIFIABLE)}
        compared = part["error"].dropna()
        found["error of a class effect"] = f"{compared.median():.2f}" if len(compared) else "-"
        return pd.Series(found)

    return rows.groupby("case", sort=False).apply(shares, include_groups=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Add the trials that a file lacks, or print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args(arguments)
    rows = pd.read_csv(options.out) if options.out.exists() else pd.DataFrame(columns=COLUMNS)
    if options.table:
        frame = table(rows[rows["case"].isin(CASES)])
        lines = [["case", *frame.columns], ["---"] * (frame.shape[1] + 1)]
        lines += [[case, *row] for case, row in zip(frame.index, frame.to_numpy(), strict=True)]
        print("\n".join(f"| {' | '.join(map(str, line))} |" for line in lines))
        return
    made = set(rows[["case", "trial"]].itertuples(index=False, name=None))
    with rows_added(options.out, COLUMNS) as add:
        for trial in range(options.trials):
            for name in CASES:
                if (name, trial) not in made:
                    add(one(name, trial))


if __name__ == "__main__":
    main()
