"""The keys of study files as one Markdown page, for those who read the repository without a build.

``uv run python notebooks/reference/study_file_page.py`` writes ``notebooks/study_file.md`` from the
page of the reference and the code; a test compares them.
"""

from __future__ import annotations

import re
import sys
import typing
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent / "study_file.md"
sys.path.insert(0, str(HERE))

from from_code import default, keys, ranges, study_tables, words

_TABLE = re.compile(r"^\.\. study-table:: (\w+)\n\n((?:   .*\n|\n)+)", re.M)
_HEADING = re.compile(r"^(.+)\n(=+|-+)$", re.M)
_NOTE = "Written by `notebooks/reference/study_file_page.py`; change `reference/study_file.rst`."


def markdown() -> str:
    """Return the page.

    Returns
    -------
    str
    """
    text = (HERE / "study_file.rst").read_text(encoding="utf-8")
    text = _TABLE.sub(lambda found: _table(found[1], found[2]), text + "\n")
    text = _HEADING.sub(lambda found: f"{'#' if found[2][0] == '=' else '##'} {found[1]}", text)
    first, rest = _plain(text).strip().split("\n", 1)
    return f"{first}\n\n{_NOTE}\n{rest}\n"


def _table(name: str, content: str) -> str:
    """Write the table of one table of a study file, a row for each key."""
    meanings = dict(re.findall(r"^   :(\w+): (.+(?:\n {6}.+)*)", content, re.M))
    cls = study_tables()[name]
    hints, said = typing.get_type_hints(cls), ranges()
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for field in keys(cls):
        value = "; ".join(
            filter(None, (words(hints[field.name]), said.get(f"{name}.{field.name}")))
        )
        cells = (f"``{field.name}``", value, default(field), " ".join(meanings[field.name].split()))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*rows, "", ""])


def _plain(text: str) -> str:
    """Turn the marks of reStructuredText within lines into those of Markdown."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)
    return text.replace("``", "`")


if __name__ == "__main__":
    PAGE.write_text(markdown(), encoding="utf-8")
