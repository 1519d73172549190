"""A published trial without any effect on survival: no difference between patients is claimed."""

from __future__ import annotations

import pytest

import bayes_hte as hte
from bayes_hte.checks import Subject, heterogeneity, kaplan_meier
from bayes_hte.trust.checking import unseen_units

pytestmark = pytest.mark.slow


@pytest.mark.filterwarnings("ignore")
def test_d_penicillamine_is_not_claimed_to_help_some():
    frame = hte.load_frame("pbc")
    covariates = [c for c in frame.columns if c not in ("years", "died", "drug")]
    roles = {"outcome": "years", "event": "died", "treatment": "drug", "covariates": covariates}
    study = hte.Study.from_frame(frame, **roles)
    size = {"draws": 200, "tune": 200, "chains": 4, "progress": False, "stack_with": ()}
    fit = hte.fit(study, family="lognormal", seed=1, **size)
    (row,) = hte.summarize(fit.cate().mean("unit")).to_dict("records")
    assert row["ci_lower"] < 0 < row["ci_upper"]
    subject = Subject(fit, fit.effects(), unseen=unseen_units(fit))
    (found,) = heterogeneity.check(subject)
    assert not heterogeneity.is_shown(found)
    (curves,) = kaplan_meier.check(subject)
    assert curves.passed
