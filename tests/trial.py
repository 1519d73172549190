"""A small simulated trial: its study file and its data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bayes_hte import cli

TOML = """
title = "A small simulated trial"
[about]
question = "Does it help?"
suitable_for = "tests"
not_suitable_for = "anything else"
[data]
source = "trial.csv"
[roles]
outcome = "y"
treatment = "treat"
reference = 0
arm_names = ["control", "treated"]
mediator = "m"
covariates = ["x1", "x2", "site"]
[outcome]
better = "higher"
minimal_important_difference = 0.2
because = "made up"
unit = "points"
[mediator]
controlled_at = [0.0]
[propensity]
assignment = "randomised"
as_covariate = false
surface = "forest"
[sampler]
seed = 7
chains = 2
draws = 50
tune = 50
[subgroups]
effects = ["te"]
honest = false
[checks]
refutations = "none"
"""


def write_trial(folder: Path) -> Path:
    """Write the study file and its data into a folder; return the path of the file."""
    trial_frame().to_csv(folder / "trial.csv", index=False)
    path = folder / "trial.toml"
    path.write_text(TOML, encoding="utf-8")
    return path


def run_trial(folder: Path) -> None:
    """Run the trial into ``out`` of a new folder; the exit status is kept in ``status``.

    The run is far too short, so its health gate must fail.
    """
    folder.mkdir()
    path = write_trial(folder)
    status = cli.main(["run", str(path), "-o", str(folder / "out"), "--quiet"])
    (folder / "status").write_text(str(status), encoding="utf-8")


def trial_frame(n: int = 120, seed: int = 5) -> pd.DataFrame:
    """Draw a trial: the effect passes through m, and is larger where x1 > 0."""
    rng = np.random.default_rng(seed)
    x1, x2 = rng.normal(size=(2, n))
    arm = rng.permutation(np.arange(n) % 2)
    m = 0.5 * x2 + arm * (0.5 + (x1 > 0)) + rng.normal(scale=0.5, size=n)
    return pd.DataFrame(
        {
            "y": m + 0.3 * x2 + rng.normal(scale=0.5, size=n),
            "treat": arm,
            "m": m,
            "x1": x1,
            "x2": x2,
            "site": rng.choice(["north", "south", "west"], size=n),
        }
    )
