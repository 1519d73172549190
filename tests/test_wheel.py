"""What a user installs: one importable package, with the study files inside."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--installer", "uv", "-o", str(out)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    (file,) = out.glob("*.whl")
    return zipfile.ZipFile(file)


def test_the_top_level_holds_only_the_package_and_its_metadata(wheel):
    top = {name.split("/")[0] for name in wheel.namelist()}
    version = next(t for t in top if t.endswith(".dist-info"))
    assert top == {"bayes_hte", version}


def test_every_study_file_is_inside(wheel):
    shipped = {Path(n).name for n in wheel.namelist() if n.startswith("bayes_hte/models/")}
    assert shipped == {path.name for path in (ROOT / "models").glob("*.toml")}


def test_the_files_that_the_report_reads_are_inside(wheel):
    folder = ROOT / "bayes_hte" / "reporting"
    data = [path for path in folder.rglob("*") if path.suffix in (".css", ".toml")]
    assert len(data) >= 6
    assert {path.relative_to(ROOT).as_posix() for path in data} <= set(wheel.namelist())
