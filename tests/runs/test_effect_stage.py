"""Effects and checks come back from a saved run as they were, and in the order they were in."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hte.checks.base import CheckResult
from bayes_hte.runs.effect_draws import EffectDraws
from bayes_hte.runs.saved_checks import check_from, check_state
from bayes_hte.store import find_stage, save_stage

INDEX = pd.MultiIndex.from_tuples([("a", "x"), ("a", "y"), ("b", "x")], names=["variant", "what"])
TABLES = {
    "infinite": pd.DataFrame({"n": [1, 2, 3], "limit": [np.inf, 0.1 + 0.2, -np.inf]}, INDEX),
    "missing": pd.DataFrame({"value": [np.nan, np.inf, 1.5], "word": ["a", "b", "c"]}),
    "plain": pd.DataFrame({"value": [1e-300, 2.0]}, index=pd.Index(["te", "tnie"], name="effect")),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_table_of_a_check_comes_back_as_it_was(name):
    check = CheckResult("a check", None, TABLES[name], "said")
    state = json.loads(json.dumps(check_state(check), allow_nan=False))
    back = check_from(state)
    assert (back.name, back.passed, back.text) == (check.name, check.passed, check.text)
    pd.testing.assert_frame_equal(back.table, check.table, check_index_type=False)


def test_a_check_without_a_table_comes_back_without():
    back = check_from(check_state(CheckResult("a check", True, pd.DataFrame(), "said")))
    assert back.passed is True
    assert back.table.empty


def small_effects() -> EffectDraws:
    """What is saved of a run with two learners beside and two halves, each with its own number."""
    unit = xr.DataArray(np.zeros((1, 2, 3)), dims=("chain", "draw", "unit"), name="te")
    average = unit.mean("unit")

    def numbered(names):
        return {name: (unit + i).to_dataset(name="te") for i, name in enumerate(names)}

    return EffectDraws(
        effects=unit.to_dataset(),
        populations=xr.Dataset(dict.fromkeys(("SATE", "PATE", "ATT", "ATC"), average)),
        propensity=unit,
        reference_outcome=unit.mean(("chain", "draw")),
        controlled=None,
        unseen=None,
        arm_means=average.expand_dims(arm=["a", "b"]),
        rho=None,
        reference_draws=unit + 1,
        legs=xr.Dataset(
            {
                "mediator": average.expand_dims(arm=2, axis=-1),
                "outcome": average.expand_dims(mediator_value=[1.0, 3.0]).expand_dims(arm=2),
            }
        ),
        beside=numbered(["x", "t", "homogeneous"]),
        halves=numbered(["first", "second"]),
        own_means=numbered(["te_2", "te_1"]),
    )


def test_parts_come_back_in_their_order_whatever_order_a_folder_gives(tmp_path):
    saved = small_effects()
    save_stage(tmp_path, "effects", saved.to_tree(), {})
    tree = find_stage(tmp_path, "effects").load()
    for _ in range(2):  # as loaded, and the other way round
        back = EffectDraws.from_tree(tree, None, None)
        for part in ("beside", "halves", "own_means"):
            assert list(getattr(back, part)) == list(getattr(saved, part))
            for name, dataset in getattr(saved, part).items():
                assert float(getattr(back, part)[name]["te"].max()) == float(dataset["te"].max())
        backwards = dict(reversed(tree.to_dict().items()))
        attrs, tree = tree.attrs, xr.DataTree.from_dict(backwards)
        tree.attrs = attrs
    assert back.reference_outcome.dims == ("unit",)
    assert back.reference_draws.dims == ("chain", "draw", "unit")
    assert float(back.reference_draws.min()) == 1
    assert back.legs["outcome"]["mediator_value"].to_numpy().tolist() == [1.0, 3.0]


def test_effects_saved_by_earlier_versions_can_still_be_read():
    tree = small_effects().to_tree()
    for later in ("reference_outcome", "own_means", "reference_draws", "legs"):
        del tree[later]
    tree.attrs = {}
    back = EffectDraws.from_tree(tree, None, None)
    assert back.reference_outcome is None
    assert back.reference_draws is None
    assert back.legs is None
    assert list(back.halves) == ["first", "second"]
    assert back.own_means == {}


def test_effects_through_two_mediators_come_back_without_their_names(tmp_path):
    through = xr.DataArray(np.arange(4.0).reshape(1, 2, 2), dims=("chain", "draw", "mediator"))
    # Names of columns are data, and need not be storable.
    named = through.assign_coords(mediator=["a/b", "chain"])
    parts = xr.Dataset({"through": named, "remainder": named.sum("mediator")})
    saved = replace(small_effects(), interventional=parts)
    save_stage(tmp_path, "effects", saved.to_tree(), {})
    back = EffectDraws.from_tree(find_stage(tmp_path, "effects").load(), None, None)
    np.testing.assert_array_equal(back.interventional["through"], through)
    assert "mediator" not in back.interventional.coords
    assert EffectDraws.from_tree(small_effects().to_tree(), None, None).interventional is None
