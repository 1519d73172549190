"""The page on study files in the repository says what the code and the reference say."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "notebooks" / "reference" / "study_file_page.py"


@pytest.fixture(scope="module")
def page():
    """The module that writes the page; it is no part of the package."""
    pytest.importorskip("sphinx")
    before = list(sys.path)
    spec = importlib.util.spec_from_file_location("study_file_page", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


def test_the_page_is_up_to_date(page):
    written = page.PAGE.read_text(encoding="utf-8")
    remedy = f"run: uv run python {SOURCE.relative_to(ROOT)}"
    assert written == page.markdown(), remedy


def test_every_table_has_its_keys(page):
    text = page.markdown()
    for name, cls in page.study_tables().items():
        for field in page.keys(cls):
            assert f"\n| `{field.name}` |" in text, (name, field.name)
    assert "study-table" not in text
    assert "``" not in text
