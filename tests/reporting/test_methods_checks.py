from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.refutations import CONTROL
from bayes_hte.reporting.methods import checks as methods_checks


@pytest.mark.parametrize(("passed", "cited"), [(None, False), (True, True), (False, True)])
def test_a_negative_control_is_cited_only_where_one_was_declared(passed, cited):
    checks = [
        CheckResult("overlap of the arms", True, pd.DataFrame(), ""),
        CheckResult(CONTROL, passed, pd.DataFrame(), ""),
    ]
    said = methods_checks._checks(SimpleNamespace(checks=checks))
    assert ("[@negativecontrol]" in said) is cited
    assert "overlap of the arms" in said
