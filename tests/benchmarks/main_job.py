"""Processor and wall seconds, and peak memory, of the main job: by stage, and of a second run.

Run it with ``uv run python -m tests.benchmarks.main_job [study] [folder]``. The first run starts in
a fresh process and an empty folder, so imports and compilation count; the second runs the same once
more, when nothing has changed; ``report`` writes the report from what is saved. Wall seconds depend
on the machine and on what else it does; processor seconds do much less, and the column *share*
barely.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

COLUMNS = ["wall", "processor"]


def timed(*arguments: str) -> tuple[float, float]:
    """Call the command line in a fresh process; return its wall and processor seconds."""
    wall, used = time.perf_counter(), _of_children()
    command = [sys.executable, "-m", "bayes_hte.cli", *arguments]
    status = subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode
    if status not in (0, 3):
        raise SystemExit(f"{' '.join(arguments)} stopped with status {status}")
    return time.perf_counter() - wall, _of_children() - used


def measure(study: str, folder: Path) -> pd.DataFrame:
    """Run a study from nothing, run it again, write its report again; return the seconds.

    Parameters
    ----------
    study : str
        A shipped study, or the path of a study file.
    folder : Path
        An empty folder.

    Returns
    -------
    DataFrame
        Columns ``wall``, ``processor`` (seconds) and ``share`` of the processor seconds of the
        first run. "start and imports" is what the run's own clock does not see.
    """
    run = ("run", study, "-o", str(folder), "--quiet")
    whole = pd.Series(timed(*run), index=COLUMNS)
    facts = json.loads((folder / "run.json").read_text())["provenance"]
    by_stage = pd.DataFrame(
        {"wall": facts["seconds"], "processor": facts["processor_seconds"]}, columns=COLUMNS
    )
    inside = by_stage.loc["total"]
    known = by_stage.drop(index="total")
    table = pd.concat(
        [
            pd.DataFrame([whole - inside], index=["start and imports"]),
            known,
            # Imports that a stage is the first to need, and the saving of the run.
            pd.DataFrame([inside - known.sum()], index=["between the stages"]),
            pd.DataFrame([whole], index=["first run"]),
        ]
    )
    table["share"] = table["processor"] / whole["processor"]
    table.loc["second run, unchanged", COLUMNS] = timed(*run)
    table.loc["command report", COLUMNS] = timed("report", str(folder))
    print(f"\npeak memory {facts['peak_memory_gib']:.2f} GiB\n")
    return table.round(2)


def _of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def main() -> None:
    """Measure one study and print the table."""
    study = sys.argv[1] if len(sys.argv) > 1 else "jobs2"
    if len(sys.argv) > 2:
        print(measure(study, Path(sys.argv[2])).to_string())
        return
    with tempfile.TemporaryDirectory() as folder:
        print(measure(study, Path(folder)).to_string())


if __name__ == "__main__":
    main()
