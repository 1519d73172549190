"""Predictions in blocks are those of the fit, whole or not there at all."""

from __future__ import annotations

import errno
from pathlib import Path

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

from bayes_hte.effects.averages import probability_of_benefit
from bayes_hte.effects.summaries import interval
from bayes_hte.errors import DataError, SavedResultError, SpecError
from bayes_hte.fitting import predicted_files, predicting
from bayes_hte.fitting.predicting import predict_effects, without_rows
from bayes_hte.names import SAMPLE


@pytest.fixture(scope="module")
def rows():
    """Ninety new rows; two of them cannot be predicted."""
    rng = np.random.default_rng(8)
    frame = pd.DataFrame(rng.normal(size=(90, 2)), columns=["x1", "x2"])
    frame["x3"] = rng.choice(list("abc"), size=90)
    frame.loc[3, "x1"], frame.loc[50, "x3"] = np.nan, "new"
    return frame.set_axis(pd.RangeIndex(7, 187, 2), axis=0)


@pytest.fixture(scope="module")
def known(rows):
    return rows.drop(rows.index[[3, 50]])


@pytest.fixture(scope="module")
def table(plain_fit, rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("predicted") / "whole"
    return predict_effects(plain_fit, rows, to=folder, block=40).frame()


def test_numbers_are_those_of_the_fit(mediated_fit, rows, known, tmp_path):
    how = {"effects": ["tnie", "te"], "mid": 0.3, "ci_prob": 0.8, "better": "lower"}
    done = predict_effects(mediated_fit, rows, to=tmp_path / "to", block=40, **how)
    found = done.frame()
    assert (done.rows, done.empty, len(list((tmp_path / "to").glob("*.parquet")))) == (90, 2, 3)
    assert found.index.equals(rows.index)
    assert found.index[~found["predicted"]].tolist() == rows.index[[3, 50]].tolist()
    assert found.drop(columns="predicted")[~found["predicted"]].isna().all(axis=None)
    draws = mediated_fit.effects(known)
    found = found[found["predicted"]]
    for name in ("te", "tnie"):
        lower, upper = interval(draws[name], ci_prob=0.8)
        beyond = probability_of_benefit(draws[name], better="lower", beyond=0.3)
        wanted = {
            "": draws[name].mean(SAMPLE),
            "_lower": lower,
            "_upper": upper,
            "_prob_benefit": probability_of_benefit(draws[name], better="lower"),
            "_prob_beyond_mid": beyond,
        }
        for part, values in wanted.items():
            np.testing.assert_allclose(found[f"{name}{part}"], values, rtol=1e-12)


def test_outcomes_and_effects_with_the_mediator_held(mediated_fit, known, tmp_path):
    how = {"effects": ["cde", "outcome"], "mediator_value": 0.4, "posterior": True}
    done = predict_effects(mediated_fit, known, to=tmp_path / "to", block=40, **how)
    mu = mediated_fit.potential_outcomes(known)
    found, draws = done.frame(), done.draws()
    own = mu.isel(arm=1, mediator_arm=1)
    np.testing.assert_allclose(found["outcome[1]"], own.mean(SAMPLE), rtol=1e-12)
    held = mediated_fit.potential_outcomes(known, mediator_value=0.4)
    np.testing.assert_allclose(
        draws["cde"], held.isel(arm=1) - held.isel(arm=0), rtol=1e-5, atol=1e-6
    )
    assert "outcome_prob_benefit[1]" not in found


def test_draws_are_kept_in_chunks_of_units(plain_fit, rows, known, tmp_path, monkeypatch):
    monkeypatch.setattr(predicted_files, "CHUNK", 25)
    done = predict_effects(plain_fit, rows, to=tmp_path / "to", block=40, posterior=True)
    draws, predicted = done.draws()["te"], done.frame()["predicted"].to_numpy()
    assert draws.dtype == np.float32
    assert draws.encoding["chunks"] == (2, 100, 25)
    assert draws["unit"].to_numpy().tolist() == list(range(90))
    np.testing.assert_allclose(draws[..., predicted], plain_fit.cate(known), rtol=1e-5, atol=1e-6)
    assert np.isnan(draws[..., ~predicted]).all()
    with pytest.raises(SavedResultError, match="posterior=True"):
        predict_effects(plain_fit, rows, to=tmp_path / "without").draws()


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_dask_gives_the_same_numbers(plain_fit, rows, table, tmp_path, scheduler):
    source = dd.from_pandas(rows, npartitions=3)
    # One partition more, without rows.
    source = dd.concat([source, source.partitions[[2]].map_partitions(lambda part: part.head(0))])
    with dask.config.set(scheduler=scheduler):
        done = predict_effects(plain_fit, source, to=tmp_path / "to")
    assert len(pd.read_parquet(tmp_path / "to" / "part-000003.parquet")) == 0
    pd.testing.assert_frame_equal(done.frame(), table)
    assert not (tmp_path / "to" / predicting.WORK).exists()


def test_files_give_the_same_numbers(plain_fit, rows, table, tmp_path):
    rows.assign(left=1).to_parquet(tmp_path / "rows.parquet")
    rows.to_csv(tmp_path / "rows.csv", index=False)
    found = predict_effects(plain_fit, tmp_path / "rows.parquet", to=tmp_path / "a", block=17)
    pd.testing.assert_frame_equal(found.frame(), table)
    found = predict_effects(plain_fit, tmp_path / "rows.csv", to=tmp_path / "b", block=31)
    pd.testing.assert_frame_equal(found.frame().set_axis(rows.index, axis=0), table)


def stop_at(monkeypatch, number, error):
    """Raise an error in place of writing the block of a number; return the blocks written."""
    write, written = predicted_files.write_block, []

    def stopping(folder, at, *parts):
        if at == number:
            raise error
        written.append(at)
        write(folder, at, *parts)

    monkeypatch.setattr(predicting, "write_block", stopping)
    return written


@pytest.mark.parametrize("dask_frame", [False, True])
def test_an_interrupted_prediction_goes_on(
    plain_fit, rows, table, tmp_path, monkeypatch, dask_frame
):
    source = dd.from_pandas(rows, npartitions=3) if dask_frame else rows
    with monkeypatch.context() as patch, dask.config.set(scheduler="synchronous"):
        first = stop_at(patch, 1, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            predict_effects(plain_fit, source, to=tmp_path / "to", block=30)
    assert not (tmp_path / "to").exists()
    written = stop_at(monkeypatch, None, None)
    done = predict_effects(plain_fit, source, to=tmp_path / "to", block=30)
    # The rest was written, and nothing twice.
    assert sorted([*first, *written]) == [0, 1, 2]
    pd.testing.assert_frame_equal(done.frame(), table)
    # What is whole is not made again.
    assert predict_effects(plain_fit, source, to=tmp_path / "to", block=30) == done
    assert len(first) + len(written) == 3


def test_a_full_disk_leaves_nothing_that_passes_for_whole(
    plain_fit, rows, table, tmp_path, monkeypatch
):
    save = pd.DataFrame.to_parquet

    def full(self, path, **how):
        if "000001" in str(path):
            Path(path).write_bytes(b"PAR1 and then the disk was full")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(self, path, **how)

    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_parquet", full)
        with pytest.raises(SavedResultError, match=r"No space left.*is kept"):
            predict_effects(plain_fit, rows, to=tmp_path / "to", block=30)
    assert not (tmp_path / "to").exists()
    left = sorted(p.name for p in (tmp_path / "to.unfinished").iterdir())
    assert left == ["_manifest.json", "part-000000.parquet"]
    done = predict_effects(plain_fit, rows, to=tmp_path / "to", block=30)
    pd.testing.assert_frame_equal(done.frame(), table)


def test_another_source_fit_or_option_is_noticed(plain_fit, mediated_fit, rows, tmp_path):
    to = tmp_path / "to"
    predict_effects(plain_fit, rows, to=to)
    for said, call in {
        "source": lambda: predict_effects(plain_fit, rows.assign(x1=rows["x1"] + 1), to=to),
        "fit": lambda: predict_effects(mediated_fit, rows, to=to),
        "mid": lambda: predict_effects(plain_fit, rows, to=to, mid=1),
    }.items():
        with pytest.raises(SavedResultError, match=f"another {said}"):
            call()
    again = predict_effects(plain_fit, rows.head(5), to=to, resume=False)
    assert (again.rows, len(again.frame())) == (5, 5)
    (tmp_path / "mine").mkdir()
    with pytest.raises(SavedResultError, match="no predictions of this package"):
        predict_effects(plain_fit, rows, to=tmp_path / "mine", resume=False)


def test_rows_of_other_columns_or_types_are_refused_before_anything_is_written(
    plain_fit, rows, tmp_path
):
    wrong = {
        "column of the new rows 'x2'": rows.drop(columns="x2"),
        "was numeric in the study": rows.assign(x1="12"),
        "levels the model never saw": rows.assign(x3=1.5),
    }
    for said, frame in wrong.items():
        frame.to_parquet(tmp_path / "wrong.parquet")
        for source in (frame, tmp_path / "wrong.parquet", dd.from_pandas(frame, npartitions=2)):
            with pytest.raises(DataError, match=said):
                predict_effects(plain_fit, source, to=tmp_path / "to")
    assert not (tmp_path / "to.unfinished").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"effects": "tnie"}, "unknown effect"),
        ({"effects": ()}, "effects is empty"),
        ({"mid": -1}, "mid"),
        ({"block": 0}, "block"),
        ({"contrast": ("a", "b")}, "arm"),
        ({"mediator_value": 1.0}, "cde"),
        ({"ci_prob": 2}, "ci_prob"),
        ({"better": "more"}, "better"),
    ],
)
def test_options_out_of_range(plain_fit, rows, tmp_path, options, said):
    with pytest.raises(SpecError, match=said):
        predict_effects(plain_fit, rows, to=tmp_path / "to", **options)


def test_a_source_without_rows(plain_fit, rows, tmp_path):
    done = predict_effects(plain_fit, rows.head(0), to=tmp_path / "to", posterior=True)
    assert (done.rows, len(done.frame()), done.draws()["te"].sizes["unit"]) == (0, 0, 0)
    assert "te_prob_benefit" in done.frame()


def test_what_travels_to_workers_has_no_values_at_units(plain_fit, rows, known):
    light = without_rows(plain_fit)
    assert not any(c.at_units for c in light.components.values())
    assert any(c.at_units for c in plain_fit.components.values())
    np.testing.assert_array_equal(light.cate(known), plain_fit.cate(known))
