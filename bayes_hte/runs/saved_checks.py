"""Checks of a run as plain values, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from io import StringIO
from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.checks.base import CheckResult


def check_state(check: CheckResult) -> dict[str, Any]:
    """Return a check as plain values."""
    table = check.table.to_json(orient="table", double_precision=15)
    # pandas writes 15 decimal places, so small numbers would lose all of theirs.
    exact = {
        str(column): [float(v) if math.isfinite(v) else None for v in values]
        for column, (_, values) in enumerate(check.table.items())
        if values.dtype.kind == "f"
    }
    # JSON has no infinity; pandas would give back NaN.
    infinite = [
        [row, column, value > 0]
        for column, (_, values) in enumerate(check.table.items())
        for row, value in enumerate(values)
        if isinstance(value, float) and math.isinf(value)
    ]
    # Some checks decide with numpy, whose booleans are not JSON's.
    passed = None if check.passed is None else bool(check.passed)
    return {"name": check.name, "passed": passed, "text": check.text, "table": table} | {
        key: value for key, value in (("infinite", infinite), ("exact", exact)) if value
    }


def check_from(state: Mapping[str, Any]) -> CheckResult:
    """Make a check of what :func:`check_state` returned."""
    table = pd.read_json(StringIO(state["table"]), orient="table", precise_float=True)
    for place, values in state.get("exact", {}).items():
        table.isetitem(int(place), np.array([math.nan if v is None else v for v in values]))
    for row, column, positive in state.get("infinite", ()):
        table.iloc[row, column] = math.inf if positive else -math.inf
    return CheckResult(state["name"], state["passed"], table, state["text"])
