"""A treatment that changes the slope of the mediator for everybody alike, on a linear surface."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte


@pytest.mark.parametrize("learner", ["hierarchical", "prognostic_effect"])
def test_indirect_effects_differ_by_arm_where_slopes_do(learner):
    rng, n = np.random.default_rng(3), 300
    t, x = np.arange(n) % 2, rng.normal(size=n)
    m = t + 0.5 * x + rng.normal(size=n)
    y = (0.5 + t) * m + 0.3 * x + 0.5 * rng.normal(size=n)
    frame = pd.DataFrame({"y": y, "t": t, "m": m, "x": x})
    roles = {"outcome": "y", "treatment": "t", "mediator": "m", "covariates": ["x"]}
    study = hte.Study.from_frame(frame, **roles)
    size = {"draws": 100, "tune": 100, "chains": 2, "progress": False}
    effects = hte.fit(study, learner=learner, surface="linear", seed=1, **size).effects()
    # Least squares with the product of arm and mediator, which is the truth of this model.
    one = np.ones(n)
    moved = np.linalg.lstsq(np.column_stack([t, one, x]), m, rcond=None)[0][0]
    columns = np.column_stack([m, t * m, t, one, x])
    slope, more = np.linalg.lstsq(columns, y, rcond=None)[0][:2]
    assert float(effects["tnie"].mean()) == pytest.approx(moved * (slope + more), abs=0.15)
    assert float(effects["pnie"].mean()) == pytest.approx(moved * slope, abs=0.1)
    assert float((effects["tnie"] - effects["pnie"]).mean()) > 0.7
