"""Effects along single covariates: their size, the strongest by chance, and what is tried."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_hte.checks import covariate_effects
from bayes_hte.checks.covariate_effects import covariate_effects as judge


def trial(seed: int, n: int = 400) -> tuple[pd.DataFrame, np.random.Generator]:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    return frame.assign(sex=rng.choice(["f", "m"], size=n)), rng


def test_a_division_is_found_with_its_size():
    frame, rng = trial(1)
    scores = 1.0 + 0.8 * (frame["b"] > 0) + rng.normal(size=len(frame))
    found = judge(frame, scores.to_numpy(), rng=rng)
    first = found.table.iloc[0]
    assert found.passed is None
    assert found.table.index[0] == "b"
    assert "above" in first["comparison"]
    # Least squares of two means: the standard error is 2 / sqrt(400) = .1.
    assert first["difference"] == pytest.approx(0.8, abs=0.3)
    assert first["ci_upper"] - first["ci_lower"] == pytest.approx(4 * 0.1, rel=0.1)
    assert covariate_effects.is_beyond_chance(found)
    assert "beyond chance" in found.text
    assert sorted(found.table.index) == ["a", "b", "c", "sex"]


def test_differences_by_chance_are_as_strong_as_said():
    # Uniform where effects do not differ, so the mean of 200 has a standard error of .0204.
    found = []
    for seed in range(200):
        frame, rng = trial(seed, n=120)
        found.append(covariate_effects.strongest(judge(frame, rng.normal(size=120), rng=rng)))
    assert np.mean(found) == pytest.approx(0.5, abs=4 * 0.0204)
    assert np.mean(np.array(found) <= 0.1) == pytest.approx(0.1, abs=4 * 0.0212)


def test_repeated_rows_without_their_clusters_would_look_like_more():
    frame, rng = trial(3, n=60)
    scores = rng.normal(size=60) + 0.5 * (frame["a"].to_numpy() > 0)
    copies = pd.concat([frame] * 5, ignore_index=True)
    clusters = np.tile(np.arange(60), 5)
    alone = judge(frame, scores, rng=np.random.default_rng(1))
    declared = judge(copies, np.tile(scores, 5), clusters=clusters, rng=np.random.default_rng(1))
    ignored = judge(copies, np.tile(scores, 5), rng=np.random.default_rng(1))
    p = [covariate_effects.strongest(f) for f in (alone, declared, ignored)]
    assert p[1] == pytest.approx(p[0], rel=0.25)
    assert p[2] < p[0] / 5


def test_few_units_on_a_side_are_not_compared():
    frame = pd.DataFrame({"rare": [1] * 5 + [0] * 45, "same": [2] * 50})
    scores = np.random.default_rng(1).normal(size=50)
    found = judge(frame, scores, rng=np.random.default_rng(1))
    assert found.table.empty
    assert covariate_effects.strongest(found) == 1.0
    assert not covariate_effects.is_beyond_chance(found)
    assert "large enough" in found.text


def test_names_and_levels_are_data():
    frame, rng = trial(5)
    frame = frame.rename(columns={"a": "a/b", "b": "<b>", "c": "{c}"})
    found = judge(frame, rng.normal(size=len(frame)), rng=rng)
    assert set(found.table.index) == set(frame.columns)


def test_levels_are_written_as_labels_find_them():
    frame, rng = trial(6)
    site = pd.Series(rng.choice(["n", "s", "w"], size=len(frame)))
    scores = 2.0 * (site == "s") + rng.normal(size=len(frame))
    found = judge(frame.assign(site=site), scores.to_numpy(), rng=rng)
    assert found.table.index[0] == "site"
    assert found.table["comparison"].iloc[0] == "site=s"
    assert "(one level against the rest)" in found.text
    assert set(found.table["ci_kind"]) == {"confidence"}
