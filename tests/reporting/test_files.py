"""Files of tables: what a later report no longer has goes, and nothing else."""

from __future__ import annotations

import pandas as pd
import pytest

from bayes_hte.reporting.tables import files
from bayes_hte.reporting.tables.files import LIST, save

TABLE = pd.DataFrame({"a": [1]})


def present(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != LIST)


def test_files_of_tables_that_are_no_longer_made_are_removed(tmp_path):
    save({"one": TABLE, "two": TABLE}, tmp_path)
    (tmp_path / "mine.csv").write_text("a\n", "utf-8")
    (tmp_path / "notes.txt").write_text("keep\n", "utf-8")
    assert [path.name for path in save({"two": TABLE, "three": TABLE}, tmp_path)] == [
        "two.csv",
        "three.csv",
    ]
    assert present(tmp_path) == ["mine.csv", "notes.txt", "three.csv", "two.csv"]
    save({}, tmp_path)
    assert present(tmp_path) == ["mine.csv", "notes.txt"]


def test_a_file_that_somebody_removed_is_no_problem(tmp_path):
    save({"one": TABLE}, tmp_path)
    (tmp_path / "one.csv").unlink()
    save({"two": TABLE}, tmp_path)
    assert present(tmp_path) == ["two.csv"]


@pytest.mark.parametrize("line", ["../outside.csv", "sub/inside.csv", "notes.txt", "", ".."])
def test_nothing_but_a_csv_of_the_folder_is_ever_removed(tmp_path, line):
    folder = tmp_path / "tables"
    (folder / "sub").mkdir(parents=True)
    others = [tmp_path / "outside.csv", folder / "sub" / "inside.csv", folder / "notes.txt"]
    for path in others:
        path.write_text("keep\n", "utf-8")
    (folder / LIST).write_text(f"{line}\n", "utf-8")
    save({"one": TABLE}, folder)
    assert all(path.exists() for path in others)


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path, monkeypatch):
    save({"old": TABLE}, tmp_path)
    write = files.write_text

    def killed(path, text):
        write(path, text)
        if path.name == "new.csv":
            raise KeyboardInterrupt

    monkeypatch.setattr(files, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        save({"new": TABLE}, tmp_path)
    assert present(tmp_path) == ["new.csv", "old.csv"]
    monkeypatch.undo()
    save({"last": TABLE}, tmp_path)
    assert present(tmp_path) == ["last.csv"]


def test_no_cell_of_a_written_table_begins_like_a_formula(tmp_path):
    texts = ["=cmd()", "+1;a", "@sum", "\tx", "-2", "plain", None]
    table = pd.DataFrame({"=name": texts, "level": pd.Categorical(texts), "effect": range(-3, 4)})
    (path,) = save({"hostile": table}, tmp_path)
    shown = pd.read_csv(path)
    assert list(shown) == ["'=name", "level", "effect"]
    for name in ("'=name", "level"):
        assert shown[name].tolist()[:6] == ["'=cmd()", "'+1;a", "'@sum", "'\tx", "-2", "plain"]
    assert shown["effect"].tolist() == list(range(-3, 4))
    assert "=name" in table  # the table itself is as before
