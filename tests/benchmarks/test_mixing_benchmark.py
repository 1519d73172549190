"""The plan, the results file and the tables of the benchmark of mixing, without a fit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks import mixing
from tests.benchmarks.mixing_table import DEFAULT, compare, tabulate


def row(task, *, ess=100.0, seconds=10.0, **values):
    """Return a result of a fit that went well."""
    measures = dict.fromkeys(mixing.MEASURES, 1.0) | {"error": ""}
    found = {"ess_median": ess, "ess_average": 2 * ess, "cpu_seconds": seconds, **values}
    return {**task._asdict(), **measures, **found}


def failed(task):
    """Return the result of a fit that did not."""
    return {**task._asdict(), "error": "SamplingError: no"}


@pytest.fixture
def tasks():
    """Return a plan of two settings, asked for in reverse."""
    return mixing.plan(mixing.parse(["--settings", "tune 100", DEFAULT]))


def test_every_setting_but_the_first_changes_one_thing():
    changes = list(mixing.SETTINGS.items())
    assert changes[0] == (DEFAULT, {})
    assert all(len(change) == 1 for _, change in changes[1:])


def test_plan_finishes_a_setting_on_all_data_before_the_next(tasks):
    cells = [cell for _, cell in mixing.DATA]
    assert [t.cell for t in tasks] == 2 * cells
    assert [t.setting for t in tasks] == len(cells) * ["tune 100"] + len(cells) * [DEFAULT]


def test_results_are_kept_and_only_failures_are_tried_again(tasks, tmp_path):
    out = tmp_path / "new" / "mixing.csv"
    assert mixing.finished(out) == set()
    mixing.run_all(tasks[:1], out, one=failed)
    assert mixing.finished(out) == set()
    mixing.run_all(tasks[:2], out, one=row)
    assert mixing.finished(out) == set(tasks[:2])
    assert len(mixing.read([out])) == 2


def test_table_is_in_the_order_of_data_and_settings_and_divides_by_seconds(tasks, tmp_path):
    out = tmp_path / "mixing.csv"
    mixing.run_all(tasks, out, one=row)
    table = tabulate(mixing.read([out]))
    assert list(table["setting"]) == len(mixing.DATA) * [DEFAULT, "tune 100"]
    assert list(table["cell"])[::2] == [cell for _, cell in mixing.DATA]
    assert (table["ESS/s median unit"] == 10).all()
    assert (table["ESS/s average"] == 20).all()


def test_comparison_is_of_the_data_sets_that_have_both(tasks, tmp_path):
    def result(task):
        if task.setting == DEFAULT:
            return failed(task) if task.family == "smooth" else row(task)
        small = "n=250" in task.cell
        return row(task, ess=400.0 if small else 100.0, seconds=5.0, cate_coverage_95=0.9)

    out = tmp_path / "mixing.csv"
    mixing.run_all(tasks, out, one=result)
    table = compare(mixing.read([out])).set_index("setting")
    assert list(table["data sets"]) == [2, 2]
    assert table.loc[DEFAULT, "CPU s"] == 1
    changed = table.loc["tune 100"]
    assert changed["ESS median unit"] == pytest.approx(2)  # geometric mean of 4 and 1
    assert changed["ESS/s median unit"] == pytest.approx(4)
    assert changed["c95 (difference)"] == pytest.approx(-0.1)


def test_diagnostics_tell_chains_that_agree_from_chains_that_do_not():
    import xarray as xr

    rng = np.random.default_rng(1)
    draws = rng.normal(size=(4, 200, 30))
    draws[0, :, 7] += 5
    found = mixing.diagnose(xr.DataArray(draws, dims=("chain", "draw", "unit")))
    assert found["rhat_worst"] > 1.5 > 1.05 > found["rhat_median"]
    assert 500 < found["ess_median"] < 1100
    assert set(found) < set(mixing.MEASURES)
