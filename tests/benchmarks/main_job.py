"""Wall time and peak memory of the main job, by stage.

Run it with ``uv run python -m tests.benchmarks.main_job [study] [folder]``. Each run starts in a
fresh process and an empty folder, so imports and compilation count. Seconds depend on the machine;
the column *share* does much less.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd


def measure(study: str, folder: Path) -> pd.DataFrame:
    """Run a study from nothing and return its stages.

    Parameters
    ----------
    study : str
        A shipped study, or the path of a study file.
    folder : Path
        An empty folder.

    Returns
    -------
    DataFrame
        ``seconds`` and ``share`` of each stage; "start and imports" is what the run's own clock
        does not see.
    """
    command = [sys.executable, "-m", "bayes_hte.cli", "run", study, "-o", str(folder), "--quiet"]
    start = time.perf_counter()
    status = subprocess.run(command, check=False).returncode
    wall = time.perf_counter() - start
    if status not in (0, 3):
        raise SystemExit(f"the run stopped with status {status}")
    facts = json.loads((folder / "run.json").read_text())["provenance"]
    seconds = dict(facts["seconds"])
    inside = seconds.pop("total")
    rows = {"start and imports": wall - inside, **seconds, "whole run": wall}
    table = pd.DataFrame({"seconds": rows})
    table["share"] = table["seconds"] / wall
    print(f"\npeak memory {facts['peak_memory_gib']:.2f} GiB, exit status {status}\n")
    return table


def main() -> None:
    """Measure one study and print the table."""
    study = sys.argv[1] if len(sys.argv) > 1 else "jobs2"
    if len(sys.argv) > 2:
        print(measure(study, Path(sys.argv[2])).round(3).to_string())
        return
    with tempfile.TemporaryDirectory() as folder:
        print(measure(study, Path(folder)).round(3).to_string())


if __name__ == "__main__":
    main()
