"""A small simulated trial of three arms: its data, its study and the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import bayes_hte as hte

ARMS = ("none", "low", "high")
COVARIATES = ["x1", "x2", "site"]
# Far too few draws for an answer: enough for arithmetic and shapes.
FEW = {"seed": 1, "draws": 20, "tune": 20, "chains": 2, "cores": 1, "progress": False}


def three_arm_frame(n: int = 90, seed: int = 3, *, alike: bool = False) -> pd.DataFrame:
    """Draw a trial of a drug in two doses.

    Parameters
    ----------
    n : int
        Units.
    seed : int
        Same seed, same frame.
    alike : bool
        Whether both doses have the same effect.

    Returns
    -------
    DataFrame
        ``low_vs_none`` and ``high_vs_none`` hold the true effect of each unit.
    """
    rng = np.random.default_rng(seed)
    x1, x2 = rng.normal(size=(2, n))
    arm = rng.permutation(np.arange(n) % 3)
    low = 0.5 + 0.5 * x1
    high = low if alike else 1.0 + 1.0 * x1
    effect = np.column_stack([np.zeros(n), low, high])[np.arange(n), arm]
    m = 0.5 * x2 + 0.5 * arm + rng.normal(scale=0.5, size=n)
    return pd.DataFrame(
        {
            "y": x2 + effect + rng.normal(scale=0.5, size=n),
            "dose": np.array(ARMS)[arm],
            "m": m,
            "x1": x1,
            "x2": x2,
            "site": rng.choice(["north", "south", "west"], n),
            "low_vs_none": low,
            "high_vs_none": high,
        },
        index=[f"p{i}" for i in range(n)],
    )


def three_arm_study(frame: pd.DataFrame | None = None, **roles: Any) -> hte.Study:
    """Bind the roles of :func:`three_arm_frame`; the arms keep the order of the doses."""
    frame = three_arm_frame() if frame is None else frame
    dose = frame["dose"].astype(pd.CategoricalDtype(list(ARMS)))
    chosen = {"outcome": "y", "treatment": "dose", "covariates": COVARIATES, "reference": ARMS[0]}
    chosen |= roles
    return hte.Study.from_frame(frame.assign(dose=dose), **chosen)
