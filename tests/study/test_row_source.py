"""Tables in blocks are the tables, whatever they are stored in."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import polars
import pytest

from bayes_hte.errors import DataError
from bayes_hte.study.datasets import load_frame
from bayes_hte.study.row_source import is_parquet, row_source

COLUMNS = ["x", "g"]


@pytest.fixture
def frame():
    rng = np.random.default_rng(1)
    x = rng.normal(size=23)
    index = pd.RangeIndex(5, 51, 2, name="patient")
    return pd.DataFrame({"g": [*list("ab" * 11), None], "left": 1, "x": x}, index=index)


def read(source, **how):
    return list(row_source(source, COLUMNS, **{"block": 5, **how}).blocks())


def stored(frame, folder, kind):
    """Store a table and return what reads it."""
    if kind == "frame":
        return frame
    if kind == "folder":
        (folder / "rows").mkdir()
        frame.iloc[:9].to_parquet(folder / "rows" / "a.parquet")
        frame.iloc[9:9].to_parquet(folder / "rows" / "b.parquet")
        frame.iloc[9:].to_parquet(folder / "rows" / "c.parquet")
        (folder / "rows" / "_not_rows.parquet").write_text("left behind")
        return folder / "rows"
    frame.to_parquet(folder / "rows.parquet", row_group_size=7)
    return str(folder / "rows.parquet")


@pytest.mark.parametrize("kind", ["frame", "file", "folder"])
def test_blocks_are_the_rows_in_their_order_with_their_index(frame, tmp_path, kind):
    found = read(stored(frame, tmp_path, kind))
    assert [len(block) for block in found] == [5, 5, 5, 5, 3]
    pd.testing.assert_frame_equal(
        pd.concat(found), frame[COLUMNS], check_index_type=False, check_dtype=False
    )


def test_an_index_of_text_is_read_back(frame, tmp_path):
    frame.index = [f"p{i}" for i in range(len(frame))]
    found = pd.concat(read(stored(frame, tmp_path, "folder")))
    assert found.index.tolist() == frame.index.tolist()


def test_files_that_pandas_did_not_write_get_row_numbers(frame, tmp_path):
    table = polars.from_pandas(frame)
    files = []
    for i, part in enumerate((table[:9], table[9:])):
        files.append(tmp_path / f"{i}.parquet")
        part.write_parquet(files[-1])
    found = pd.concat(read(files))
    assert found.index.tolist() == list(range(23))
    np.testing.assert_array_equal(found["x"], frame["x"])
    np.testing.assert_array_equal(pd.concat(read(table))["x"], frame["x"])


def test_csv_files_are_read_as_they_are_written(frame, tmp_path):
    # A level that looks like a number stays what it is, also where a block has no other.
    frame["g"] = ["01"] * 12 + ["b"] * 11
    path = tmp_path / "rows.csv"
    frame.to_csv(path, sep=";", decimal=",", index=False, encoding="utf-16")
    found = pd.concat(read(path, texts=["g"]))
    assert found["g"].tolist() == frame["g"].tolist()
    np.testing.assert_allclose(found["x"], frame["x"])
    assert found.index.tolist() == list(range(23))


def test_cells_that_mean_missing_are_those_declared(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x,g\n1,NA\n-9,b\n")
    found = pd.concat(read(path, missing_values=["-9"]))
    assert found["g"].tolist() == ["NA", "b"]
    assert found["x"].isna().tolist() == [False, True]


def test_the_digest_follows_the_rows(frame, tmp_path):
    def digests(table, name):
        table.to_parquet(tmp_path / f"{name}.parquet")
        sources = (table, tmp_path / f"{name}.parquet")
        return [row_source(s, COLUMNS, block=5).digest for s in sources]

    one, again = digests(frame, "one"), digests(frame.copy(), "again")
    assert one == again
    for other in (frame.assign(x=frame["x"] + 1e-9), frame.iloc[::-1], frame.iloc[:-1]):
        assert all(a != b for a, b in zip(one, digests(other, "other"), strict=True))
    # A column that is not read changes nothing.
    assert row_source(frame.assign(left=2), COLUMNS, block=5).digest == one[0]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("absent.parquet", "no such file"),
        ("rows.xlsx", "names of files with rows end in"),
        ("broken.parquet", "cannot read"),
        ("lacks.parquet", "unknown lacks.parquet: column of the new rows 'g'"),
        ("lacks.csv", "unknown column 'g'"),
        ("empty.csv", "the file is empty"),
        ("nothing", "no Parquet file"),
        (["lacks.csv", "lacks.csv"], "one CSV file"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, monkeypatch, source, said):
    monkeypatch.chdir(tmp_path)
    for name in ("rows.xlsx", "broken.parquet"):
        (tmp_path / name).write_text("text")
    pd.DataFrame({"x": [1.0]}).to_parquet("lacks.parquet")
    (tmp_path / "lacks.csv").write_text("x\n1\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match=said):
        read(source)


def test_blocks_are_not_read_before_they_are_needed(frame, tmp_path):
    blocks = row_source(stored(frame, tmp_path, "file"), COLUMNS, block=4).blocks()
    assert sum(len(block) for block in itertools.islice(blocks, 2)) == 8
    assert is_parquet("a.pq")
    assert is_parquet(tmp_path)
    assert not is_parquet("a.csv")


def test_a_study_file_may_name_parquet_files(frame, tmp_path):
    stored(frame, tmp_path, "file")
    pd.testing.assert_frame_equal(
        load_frame("rows.parquet", tmp_path), frame.rename_axis(None), check_index_type=False
    )
    (tmp_path / "all.parquet").mkdir()
    for i, part in enumerate((frame.iloc[:9], frame.iloc[9:])):
        part.to_parquet(tmp_path / "all.parquet" / f"{i}.parquet")
    found = load_frame("all.parquet", tmp_path)
    np.testing.assert_array_equal(found["x"], frame["x"])
    frame.head(0).to_parquet(tmp_path / "empty.parquet")
    with pytest.raises(DataError, match="no rows"):
        load_frame("empty.parquet", tmp_path)
