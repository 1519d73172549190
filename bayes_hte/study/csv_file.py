"""CSV files as people have them: separator, decimal sign and encoding found, or declared.

What cannot be read for certain is an error that says what to declare; what pandas would change
without a word (a doubled header, a row longer than the header, a level called "None") is said.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bayes_hte.errors import DataError
from bayes_hte.study.frames import check_present

# Endings of the names of files that are read as such.
ENDINGS = (".csv", ".tsv", ".txt")
SEPARATORS = (",", ";", "\t", "|")
# Lines and cells that the separator and the decimal sign are found from.
_LINES, _CELLS = 200, 50_000
# Bytes from which a file that is read in blocks is known.
_START = 1_000_000
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECIMAL = {",": re.compile(r"\s*[+-]?\d*,\d+\s*"), ".": re.compile(r"\s*[+-]?\d*\.\d+\s*")}
# A column of numbers in which so many cells, and no more different words, are something else.
_MOST_WORDS, _LEAST_NUMBERS = 3, 0.8


@dataclass(frozen=True)
class CsvFormat:
    """The way a file writes its table.

    Attributes
    ----------
    separator : str
        Between the cells of a line.
    decimal : {".", ","}
        Decimal sign.
    encoding : str
        Python's name of the encoding.
    missing_values : tuple of str or None
        Cells that mean a missing value; None: those of :func:`pandas.read_csv`.
    """

    separator: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    missing_values: tuple[str, ...] | None = None


@dataclass(frozen=True)
class CsvTable:
    """A file that was read.

    Attributes
    ----------
    frame : DataFrame
        The table.
    format : CsvFormat
        How it was written.
    read_as_missing : dict of str to dict of str to int
        Columns of text in which words (not empty cells) were read as missing values: how often
        each, by column. Empty where the missing values were declared.
    words_among_numbers : dict of str to dict of str to int
        Columns that are text only because of few words, such as ".": how often each, by column.
    """

    frame: pd.DataFrame
    format: CsvFormat
    read_as_missing: dict[str, dict[str, int]]
    words_among_numbers: dict[str, dict[str, int]]

    def doubts(self) -> list[str]:
        """Say what was read in a way that is probable, and perhaps not meant; one sentence each."""
        said = []
        if self.read_as_missing:
            columns = "; ".join(_counted(c, words) for c, words in self.read_as_missing.items())
            said.append(
                f"read as missing values: {columns}. If a word is a level, write missing_values = "
                '[""] under [data] of the study file, so that empty cells alone are missing.'
            )
        for column, words in self.words_among_numbers.items():
            listed = ", ".join(f'"{word}"' for word in ("", *words))
            said.append(
                f"column {_counted(column, words)} is text for these words alone, all other cells "
                f"are numbers. If they mean missing values, write missing_values = [{listed}] "
                "under [data] of the study file."
            )
        return said


def read_csv_file(
    path: Path,
    *,
    separator: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    missing_values: Sequence[str] | None = None,
) -> CsvTable:
    """Read a CSV file, finding what is not declared.

    Parameters
    ----------
    path : Path
        The file.
    separator, decimal, encoding : str, optional
        As in :class:`CsvFormat`; found from the file where left out.
    missing_values : sequence of str, optional
        Cells that mean a missing value, ``""`` for empty ones; default those of pandas.

    Returns
    -------
    CsvTable

    Raises
    ------
    DataError
        If the file cannot be read or decoded, is empty or has a header alone; if columns have the
        same name; if a line has more cells than the header; or if numbers are written with both
        decimal signs. The message says what to declare.
    """
    text, encoding = _decoded(path, encoding)
    text, said = _without_excel_line(text)
    separator = separator or said or _separator_of(text)
    header = _header(text, separator, path)
    _check_lengths(text, separator, header, path)
    if decimal is None:
        decimal = _decimal_of(text, separator, path)
    declared = None if missing_values is None else tuple(missing_values)
    form = CsvFormat(separator, decimal, encoding, declared)
    frame = _parsed(text, form, path)
    if frame.empty:
        raise DataError(f"{path} has a header and no rows.")
    cells = _text_cells(text, form, frame)
    return CsvTable(frame, form, _read_as_missing(cells, frame, form), _words_in_numbers(cells))


def open_csv_blocks(
    path: Path,
    columns: Sequence[str],
    *,
    block: int,
    texts: Sequence[str] = (),
    missing_values: Sequence[str] | None = None,
) -> Iterator[pd.DataFrame]:
    """Read a CSV file of any length in blocks of rows; how it is written is found from its start.

    Parameters
    ----------
    path : Path
        The file.
    columns : sequence of str
        The columns to read.
    block : int
        Rows of a block.
    texts : sequence of str, optional
        Columns that hold levels, whatever these look like.
    missing_values : sequence of str, optional
        As in :func:`read_csv_file`.

    Yields
    ------
    DataFrame, shape (row, column)
        Rows are numbered from 0 through the file.

    Raises
    ------
    DataError
        If the file cannot be read, or lacks a column.
    """
    text, encoding = _start_of(path)
    text, said = _without_excel_line(text)
    separator = said or _separator_of(text)
    check_present(pd.DataFrame(columns=_header(text, separator, path)), columns)
    missing = {} if missing_values is None else {"na_values": list(missing_values)}
    missing |= {} if missing_values is None else {"keep_default_na": False}
    try:
        yield from pd.read_csv(
            path,
            sep=separator,
            decimal=_decimal_of(text, separator, path),
            encoding=encoding,
            skiprows=1 if said else 0,
            index_col=False,
            usecols=list(columns),
            dtype=dict.fromkeys(texts, "str"),
            chunksize=block,
            **missing,
        )
    except (ValueError, OSError) as error:
        raise DataError(f"cannot read {path}: {error}") from error


def _start_of(path: Path) -> tuple[str, str]:
    """Return whole lines from the start of a file, and its encoding."""
    try:
        with path.open("rb") as file:
            raw = file.read(_START)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error
    if not raw.strip():
        raise DataError(f"cannot read {path}: the file is empty.")
    for guess in _encodings_of(raw):
        # A letter may be cut at the end.
        text = codecs.getincrementaldecoder(guess)("ignore" if guess == "latin-1" else "strict")
        try:
            lines = text.decode(raw, final=False).removeprefix("\ufeff")
        except UnicodeDecodeError:
            continue
        whole = lines if len(raw) < _START else lines[: lines.rfind("\n") + 1]
        return whole or lines, guess
    raise DataError(f"cannot read {path}: its encoding was not found; write it in UTF-8.")


def _decoded(path: Path, encoding: str | None) -> tuple[str, str]:
    """Return the text of a file, and its encoding."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error
    if not raw.strip():
        raise DataError(f"cannot read {path}: the file is empty.")
    guesses = [encoding] if encoding else _encodings_of(raw)
    for guess in guesses:
        try:
            return raw.decode(guess).removeprefix("\ufeff"), guess
        except LookupError as error:
            raise DataError(
                f"{path}: unknown encoding {guess!r}; use for instance 'utf-8', 'latin-1', "
                "'cp1252' or 'utf-16'."
            ) from error
        except UnicodeDecodeError:
            continue
    raise DataError(
        f"{path} is not written in {guesses[0]}; remove encoding from [data], so that it is found, "
        "or declare another, for instance 'latin-1' or 'utf-16'."
    )


def _encodings_of(raw: bytes) -> list[str]:
    """Return the encodings that a file may have, the most probable first."""
    for mark, name in _MARKS:
        if raw.startswith(mark):
            return [name]
    # Every other byte of Latin text in UTF-16 is zero.
    start = raw[:1000]
    for name, zeros in (("utf-16-le", start[1::2]), ("utf-16-be", start[::2])):
        if zeros and zeros.count(0) > len(zeros) / 2:
            return [name]
    return ["utf-8", "cp1252", "latin-1"]


def _without_excel_line(text: str) -> tuple[str, str | None]:
    """Take off the line ``sep=;`` that Excel understands, and return what it says."""
    found = re.match(r"\"?sep=(.)\"?\r?\n", text, re.IGNORECASE)
    return (text[found.end() :], found[1]) if found else (text, None)


def _rows(text: str, separator: str) -> Iterator[list[str]]:
    """Yield the cells of each line that is not blank."""
    csv.field_size_limit(2**31 - 1)
    # Read by line ends of its own, so that they may stand within quotes.
    return (row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row)


def _first_rows(text: str, separator: str) -> list[list[str]]:
    return [row for row, _ in zip(_rows(text, separator), range(_LINES), strict=False)]


def _separator_of(text: str) -> str:
    """Return the separator that cuts most lines into as many cells as the header."""

    def rank(separator: str) -> tuple[float, int]:
        header, *others = _first_rows(text, separator)
        if len(header) < 2:
            return (0.0, 0)
        alike = sum(len(row) == len(header) for row in others)
        return (alike / len(others) if others else 1.0, len(header))

    best = max(SEPARATORS, key=rank)
    # A table of one column has none.
    return best if rank(best)[1] else ","


def _header(text: str, separator: str, path: Path) -> list[str]:
    header = next(_rows(text, separator))
    counts = Counter(name for name in header if name)
    # pandas would read the second column of a name under another name, without a word.
    doubled = sorted(name for name, n in counts.items() if n > 1)
    if doubled:
        raise DataError(
            f"{path} has several columns called {', '.join(map(repr, doubled))}; rename all but "
            "one in the first line of the file, or remove them."
        )
    return header


def _check_lengths(text: str, separator: str, header: list[str], path: Path) -> None:
    """Refuse lines with more cells than the header, which pandas would shift or refuse."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    for row in reader:
        if len(row) > len(header):
            raise DataError(
                f"{path}, line {reader.line_num}: {len(row)} cells, and the header has "
                f"{len(header)}. Put text that holds {_shown(separator)} into quotes; name the "
                "first column if it holds names of rows; or declare separator and decimal under "
                "[data] of the study file."
            )


def _shown(separator: str) -> str:
    return {"\t": "a tab", ",": "a comma", ";": "a semicolon"}.get(separator, repr(separator))


def _decimal_of(text: str, separator: str, path: Path) -> str:
    """Return the decimal sign of the numbers in the first lines."""
    header, *rows = _first_rows(text, separator)
    rows = rows[: max(20, _CELLS // len(header))]
    found: dict[str, str] = {}
    for row in rows:
        for name, cell in zip(header, row, strict=False):
            for sign, pattern in _DECIMAL.items():
                if sign not in found and pattern.fullmatch(cell):
                    found[sign] = f"{cell.strip()} in {name!r}"
    if len(found) == 2:
        raise DataError(
            f"{path} has numbers with a decimal comma ({found[',']}) and with a decimal point "
            f"({found['.']}); declare decimal = ',' or '.' under [data] of the study file, or "
            "write them alike."
        )
    return "," if "," in found else "."


def _parsed(text: str, form: CsvFormat, path: Path, **options: object) -> pd.DataFrame:
    if form.missing_values is not None:
        options = {
            "na_values": list(form.missing_values),
            "keep_default_na": False,
            "na_filter": bool(form.missing_values),
        } | options
    try:
        return pd.read_csv(
            io.StringIO(text),
            sep=form.separator,
            decimal=form.decimal,
            index_col=False,
            low_memory=False,
            **options,
        )
    except ValueError as error:
        raise DataError(f"cannot read {path}: {error}") from error


def _text_cells(text: str, form: CsvFormat, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of text as they are written, nothing read as missing."""
    positions = [i for i, t in enumerate(frame.dtypes) if not pd.api.types.is_numeric_dtype(t)]
    if form.missing_values is None:
        positions += [i for i in range(frame.shape[1]) if frame.iloc[:, i].isna().all()]
    positions = sorted(set(positions))
    if not positions:
        return frame.iloc[:, :0]
    raw = pd.read_csv(
        io.StringIO(text),
        sep=form.separator,
        index_col=False,
        low_memory=False,
        dtype=str,
        keep_default_na=False,
        na_filter=False,
        usecols=positions,
    )
    return raw.set_axis(frame.columns[positions], axis=1)


def _read_as_missing(
    cells: pd.DataFrame, frame: pd.DataFrame, form: CsvFormat
) -> dict[str, dict[str, int]]:
    if form.missing_values is not None:
        return {}
    found = {}
    for name in cells.columns:
        words = cells.loc[frame[name].isna().to_numpy(), name]
        counts = words[words.str.strip() != ""].value_counts()
        if len(counts):
            found[name] = {str(word): int(n) for word, n in counts.items()}
    return found


def _words_in_numbers(cells: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return the words of columns in which all other cells are numbers."""
    found = {}
    for name in cells.columns:
        filled = cells.loc[cells[name].str.strip() != "", name]
        numbers = pd.to_numeric(filled.str.replace(",", "."), errors="coerce").notna()
        words = filled[~numbers].value_counts()
        if 0 < len(words) <= _MOST_WORDS and numbers.mean() >= _LEAST_NUMBERS:
            found[name] = {str(word): int(n) for word, n in words.items()}
    return found


def _counted(column: str, words: dict[str, int]) -> str:
    shown = list(words.items())[:_MOST_WORDS]
    return f"{column!r} (" + ", ".join(f'"{word}" {n} times' for word, n in shown) + ")"
