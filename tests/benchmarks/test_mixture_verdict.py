"""The planted cases of mixtures: laws that are laws, and the answer in clear ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_hte.mixtures.agreement import AGREE, DISAGREE, UNIDENTIFIABLE
from tests.benchmarks.mixture_verdict import CASES, one, table


@pytest.mark.parametrize("name", CASES)
def test_every_case_is_a_law_and_its_edge_is_where_it_is_said(name):
    case, law = CASES[name], CASES[name].design()
    assert law.joint.sum() == pytest.approx(1)
    assert ((law.mean >= 0) & (law.mean <= 1)).all()
    depends = np.ptp(law.mean, axis=1).max()
    assert (depends > 0) == bool(case.shift or case.mu_xy)


def test_clear_cases_get_their_answer():
    answers = {"sound": AGREE, "weak proxies (.2), 1,000 units": UNIDENTIFIABLE}
    answers["X-Y edge of .3"] = DISAGREE
    rows = pd.DataFrame([one(name, trial=0) for name in answers])
    assert dict(zip(rows["case"], rows["answer"], strict=True)) == answers
    shares = table(rows)
    assert shares.loc["sound", AGREE] == "1.00"
    assert shares.loc["X-Y edge of .3", DISAGREE] == "1.00"
