"""A CSV file is read as it is written, or refused with what to declare."""

from __future__ import annotations

import pandas as pd
import pytest

from bayes_hte.errors import DataError, DoubtfulOptionWarning
from bayes_hte.study.csv_file import CsvFormat, read_csv_file
from bayes_hte.study.datasets import load_frame

FRAME = pd.DataFrame(
    {"größe in cm": [170.5, 181.25, 165.0], "arm": ["a", "b, c", "a"], "y": [1, 0, 1]}
)


def written(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "trial.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "utf-16-le"])
@pytest.mark.parametrize(
    ("separator", "decimal"), [(",", "."), (";", ","), ("\t", ","), ("|", ".")]
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_the_way_a_file_is_written_does_not_matter(tmp_path, encoding, separator, decimal, ends):
    text = FRAME.to_csv(index=False, sep=separator, decimal=decimal, lineterminator=ends)
    table = read_csv_file(written(tmp_path, text, encoding))
    pd.testing.assert_frame_equal(table.frame, FRAME)
    assert (table.format.separator, table.format.decimal) == (separator, decimal)
    assert table.doubts() == []


def test_what_is_declared_is_not_guessed(tmp_path):
    path = written(tmp_path, "y;x\n1,5;é\n2,5;-9\n", "latin-1")
    table = read_csv_file(
        path, separator=";", decimal=",", encoding="latin-1", missing_values=["-9"]
    )
    assert table.frame["y"].tolist() == [1.5, 2.5]
    assert table.frame["x"].isna().tolist() == [False, True]
    assert table.format == CsvFormat(";", ",", "latin-1", ("-9",))
    as_text = read_csv_file(path, decimal=".").frame["y"]
    assert as_text.tolist() == ["1,5", "2,5"]


def test_the_first_line_of_excel_is_understood(tmp_path):
    assert read_csv_file(written(tmp_path, "sep=;\na;b\n1;2\n")).frame["b"].tolist() == [2]


def test_a_table_of_one_column_and_breaks_within_quotes(tmp_path):
    assert read_csv_file(written(tmp_path, "a\n1\n\n2\n")).frame["a"].tolist() == [1, 2]
    broken = read_csv_file(written(tmp_path, 'a,b\n"x\r\ny",1\n')).frame
    assert broken["a"].tolist() == ["x\r\ny"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("  \n\n", "the file is empty"),
        ("a,b\n", "a header and no rows"),
        ("a;b;a\n1;2;3\n", "several columns called 'a'"),
        # pandas would take the first column for labels of rows, and shift the others.
        ("a,b\n1,2,3\n4,5,6\n", "line 2: 3 cells, and the header has 2"),
        ("a,b\n1,2\n4,5,6\n", "line 3: 3 cells"),
        ("a;b\n1,5;2.5\n2,5;3.5\n", "declare decimal"),
    ],
)
def test_what_cannot_be_read_for_certain_is_refused(tmp_path, text, said):
    with pytest.raises(DataError, match=said):
        read_csv_file(written(tmp_path, text))


def test_encodings_that_do_not_fit_are_refused(tmp_path):
    path = written(tmp_path, "a,ö\n1,2\n", "latin-1")
    with pytest.raises(DataError, match="is not written in utf-8"):
        read_csv_file(path, encoding="utf-8")
    with pytest.raises(DataError, match="unknown encoding 'klingon'"):
        read_csv_file(path, encoding="klingon")


def test_a_level_read_as_missing_is_said(tmp_path):
    path = written(tmp_path, "y,drug,age\n1,None,40\n2,statin,\n3,None,NA\n4,,50\n")
    with pytest.warns(DoubtfulOptionWarning, match=r"'drug' \(\"None\" 2 times\)"):
        frame = load_frame("trial.csv", tmp_path)
    assert frame["drug"].isna().sum() == 3
    # Numbers have no levels, so NA among them is what it says; silence is tested by warnings.
    kept = load_frame("trial.csv", tmp_path, missing_values=[""])
    assert kept["drug"].isna().sum() == 1
    assert kept["drug"].tolist()[:3] == ["None", "statin", "None"]
    none = load_frame("trial.csv", tmp_path, missing_values=[])
    assert none["drug"].isna().sum() == 0
    assert read_csv_file(path).read_as_missing == {"drug": {"None": 2}}


def test_numbers_that_are_text_for_a_word_are_said(tmp_path):
    rows = "".join(f"{i},{i / 2 if i % 9 else '.'}\n" for i in range(1, 40))
    written(tmp_path, "y,age\n" + rows)
    with pytest.warns(DoubtfulOptionWarning, match=r'missing_values = \["", "\."\]'):
        load_frame("trial.csv", tmp_path)
    frame = load_frame("trial.csv", tmp_path, missing_values=["", "."])
    assert frame["age"].isna().sum() == 4
    assert frame["age"].dtype == float


def test_a_thousand_columns_with_odd_names(tmp_path):
    names = [f"c {i}.ü" for i in range(1000)]
    frame = pd.DataFrame([range(1000), range(1000)], columns=names)
    table = read_csv_file(written(tmp_path, frame.to_csv(index=False)))
    pd.testing.assert_frame_equal(table.frame, frame)
