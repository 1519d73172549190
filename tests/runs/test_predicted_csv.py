"""The CSV file of predictions: written whole or not at all, and only it."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pandas as pd
import pytest

from bayes_hte import cli
from bayes_hte.runs.prediction import Prediction


@pytest.fixture
def predicted(monkeypatch):
    """A prediction of two rows, made without a run."""
    table = pd.DataFrame({"effect": [0.25, 1 / 3], "like_study": True, "unlike_because": "=x"})
    found = Prediction(table.rename_axis("row"), ("2 rows",), True)
    monkeypatch.setattr("bayes_hte.runs.prediction.predict_rows", lambda *_, **__: found)


def predict(to: Path) -> int:
    return cli.main(["predict", "run", "new.csv", "-o", str(to)])


def test_predictions_are_written_with_the_digits_of_the_terminal(predicted, tmp_path):
    assert predict(tmp_path / "p.csv") == cli.DONE
    assert (tmp_path / "p.csv").read_text() == (
        "row,effect,like_study,unlike_because\n0,0.25,True,'=x\n1,0.333333,True,'=x\n"
    )


def test_a_full_disk_leaves_the_file_of_before(predicted, tmp_path, monkeypatch, capsys):
    path, write = tmp_path / "p.csv", Path.write_text
    path.write_text("of before")

    def full(self, text, **how):
        write(self, text[:10], **how)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert predict(path) == cli.REFUSED
    assert "No space left on device" in capsys.readouterr().err
    assert path.read_text() == "of before"
    assert [p.name for p in tmp_path.iterdir()] == ["p.csv"]


def test_a_folder_that_does_not_exist_is_refused(predicted, tmp_path, capsys):
    assert predict(tmp_path / "nowhere" / "p.csv") == cli.REFUSED
    assert "cannot write" in capsys.readouterr().err


def test_links_stay_links_and_pipes_are_written_to(predicted, tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    assert predict(tmp_path / "link.csv") == cli.DONE
    assert (tmp_path / "link.csv").is_symlink()
    assert "0.333333" in (tmp_path / "real.csv").read_text()
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    assert predict(pipe) == cli.DONE
    reader.join(timeout=10)
    assert "0.333333" in read[0]
    assert pipe.is_fifo()
