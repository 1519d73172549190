"""Write the saved results of this release that later versions must go on loading.

Run once per format, never again for one that is released:

    python -m tests.saved.make
"""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import bayes_hte as hte
from bayes_hte import cli
from bayes_hte.runs.prediction import predict_rows
from bayes_hte.study.spec import PriorSpec
from tests.trial import TOML, trial_frame

FOLDER = Path(__file__).parent
ROLES = {
    "outcome": "y",
    "treatment": "treat",
    "mediator": "m",
    "covariates": ["x1", "x2", "site"],
}
N = 40
RUN = {
    'mediator = "m"\n': "",
    "[mediator]\ncontrolled_at = [0.0]\n": "",
    'unit = "points"': 'unit = "points"\nstack_with = []',
    'surface = "forest"': 'surface = "linear"',
    "[sampler]": """[[prior]]
component = "outcome"
term = "shared"
trees = 8
because = "small files"
[[prior]]
component = "outcome"
term = "arm"
trees = 4
because = "small files"
[sampler]""",
}
# Few trees, so that the files are small.
FEW = [
    PriorSpec(component, term, "small files", trees=4)
    for component, term in (
        ("propensity", "shared"),
        ("mediator", "shared"),
        ("mediator", "arm"),
        ("outcome", "shared"),
        ("outcome", "arm"),
        ("outcome", "mediator_modified"),
        ("outcome", "mediator_arm"),
    )
]


def small_study() -> hte.Study:
    """The study of the saved fit, and the data of the saved run."""
    return hte.Study.from_frame(trial_frame(n=N), **ROLES)


def new_rows() -> pd.DataFrame:
    """Rows to predict."""
    return trial_frame(n=6, seed=8)[["x1", "x2", "site"]]


def numbers_of(fit: hte.Fit) -> dict[str, list[float]]:
    """Return what is asked of a loaded fit."""
    return {
        "cate": fit.cate().mean(["chain", "draw"]).to_numpy().tolist(),
        "cate of new rows": fit.cate(new_rows()).to_numpy().ravel().tolist(),
        "ate": hte.average(fit.cate()).to_numpy().ravel().tolist(),
        "effects": [float(part.sum()) for part in fit.effects().data_vars.values()],
    }


def unpacked(name: str, to: Path) -> Path:
    """Unpack a fixture; return its folder."""
    with tarfile.open(FOLDER / f"{name}.tar.xz") as packed:
        packed.extractall(to / name, filter="data")
    return to / name


def _pack(folder: Path, name: str) -> None:
    with tarfile.open(FOLDER / f"{name}.tar.xz", "w:xz", preset=9) as to:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            to.add(path, str(path.relative_to(folder)))


def main() -> None:
    """Make both fixtures."""
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        size = {"seed": 1, "draws": 20, "tune": 40, "chains": 2, "progress": False}
        fit = hte.fit(small_study(), priors=FEW, stack_with=(), **size)
        hte.save_fit(fit, base / "fit")
        (base / "fit" / "numbers.json").write_text(json.dumps(numbers_of(fit)))
        _pack(base / "fit", f"fit_{hte.__version__}")
        run = base / "run"
        run.mkdir()
        trial_frame(n=N).to_csv(run / "trial.csv", index=False)
        new_rows().to_csv(run / "new.csv", index=False)
        text = TOML
        for old, new in RUN.items():
            assert old in text
            text = text.replace(old, new)
        (run / "trial.toml").write_text(text)
        cli.main(["run", str(run / "trial.toml"), "-o", str(run / "out"), "--quiet"])
        predicted = predict_rows(run / "out", run / "new.csv").table
        predicted.to_csv(run / "predicted.csv", float_format="%.17g")
        shutil.copy(run / "out" / "tables" / "average_effects.csv", run / "average_effects.csv")
        shutil.rmtree(run / "out" / "tables")
        (run / "out" / "report.html").unlink()
        _pack(run, f"run_{hte.__version__}")
    assert np.isfinite(predicted["effect"]).any()


if __name__ == "__main__":
    main()
