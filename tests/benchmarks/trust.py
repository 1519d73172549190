"""Error rates of the verdict: ``python -m tests.benchmarks.trust --out FILE [--cases ...]``.

Trials of planted cases (`trust_data`) are fitted by the default forest without stacking, and judged
by the checks that the verdict rests on; to save time without the comparison of priors and
posteriors, which only informs, and with five repeats of each refutation. Where sampling, overlap or
repeated rows have failed, nothing can change the verdict, and the rest is not looked at. ``before``
is the probability of differences without moving left-out predictions to one average effect (see
:mod:`bayes_hte.targeting.left_out`).

Rows are added as they are known; trials that a file has already are not repeated.
``--table`` prints the table of `TRUST.md`.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pandas as pd

import bayes_hte as hte
from bayes_hte.checks import (
    arm_overlap,
    covariate_effects,
    heterogeneity,
    prior_view,
    repeated_rows,
    sampling_health,
)
from bayes_hte.checks.subject import Subject
from bayes_hte.fitting.fitted import Fit
from bayes_hte.trust.checking import ASSUMED, CHECKS, run_checks, unseen_units
from bayes_hte.trust.rule import REAL, judge
from tests.benchmarks.rows_file import rows_added
from tests.benchmarks.sbc import markdown
from tests.benchmarks.trust_data import CASES, Case

SIZE = {"draws": 150, "tune": 100, "chains": 3, "cores": 1, "progress": False, "stack_with": ()}
COLUMNS = (
    "case", "trial", "usable", "differences", "verdict", "probability", "before", "slope",
    "by_chance", "average", "failed", "seconds",
)  # fmt: skip
MOVED = "bayes_hte.targeting.left_out._around_one_average"
FIRST = (sampling_health, arm_overlap, repeated_rows)
USED = [check for check in CHECKS if check is not prior_view and check not in FIRST]


def judged(case: Case, trial: int) -> dict[str, object]:
    """Fit a trial of a case and judge it; return a row."""
    started = time.process_time()
    study = hte.Study.from_frame(**case.study(trial))
    fit = hte.fit(study, family=case.family, seed=trial, **SIZE)
    subject = Subject(
        fit,
        fit.effects(),
        better="higher",
        assignment=case.assignment,
        refutations={"repeats": 5},
    )
    found = judge(run_checks(subject, FIRST))
    row: dict[str, float] = {}
    if found.usable != "no":
        subject = replace(subject, unseen=unseen_units(fit))
        found = judge((*found.checks, *run_checks(subject, [*USED, *ASSUMED])))
        (shown,) = (c for c in found.checks if c.name == heterogeneity.LEFT_OUT)
        row["probability"], row["before"], row["slope"] = 0.0, 0.0, 0.0
        if len(shown.table):
            of = shown.table.loc["slope"]
            row |= {"probability": of["prob_positive"], "slope": of["mean"], "before": _before(fit)}
        (along,) = (c for c in found.checks if c.name == covariate_effects.LEFT_OUT)
        row["by_chance"] = covariate_effects.strongest(along)
    return row | {
        "trial": trial,
        "usable": found.usable,
        "differences": found.differences,
        "verdict": found.verdict,
        "average": float(fit.cate().mean()),
        "failed": "; ".join(c.name for c in found.checks if c.passed is False),
        "seconds": round(time.process_time() - started, 2),
    }


def _before(fit: Fit) -> float:
    """Return the probability of a slope above 0 of left-out predictions as they are."""
    with patch(MOVED, lambda tau, weights, shares: tau):
        subject = Subject(fit, fit.effects(), unseen=unseen_units(fit), better="higher")
    (shown,) = heterogeneity.check(subject)
    return float(shown.table.loc["slope", "prob_positive"]) if len(shown.table) else 0.0


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the shares of each answer, one row per case."""
    found = {}
    for name, of in rows.groupby("case", sort=False):
        shown = of["verdict"].str.startswith(REAL)
        found[name] = {
            "trials": len(of),
            **{word: f"{(of['usable'] == word).mean():.2f}" for word in ("yes", "with care", "no")},
            "differences shown": f"{shown.mean():.2f}",
            "sure of differences": f"{(of['probability'] >= heterogeneity.SURE).mean():.2f}",
            "along a covariate": f"{(of['by_chance'] <= covariate_effects.CHANCE).mean():.2f}",
            "before": f"{(of['before'] >= heterogeneity.SURE).mean():.2f}",
            "median slope": f"{of['slope'].median():.2f}",
            "seconds": f"{of['seconds'].mean():.1f}",
        }
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("case")


def _read(file: Path) -> pd.DataFrame:
    """Read rows; a case is called null, which is no gap."""
    return pd.read_csv(file, keep_default_na=False, na_values=[""])


def main() -> None:
    """Run the cases asked for, trial after trial, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--table", action="store_true")
    chosen = parser.parse_args()
    if chosen.table:
        print(markdown(table(_read(chosen.out))))
        return
    done = set()
    if chosen.out.exists():
        done = set(_read(chosen.out)[["case", "trial"]].itertuples(index=False, name=None))
    with rows_added(chosen.out, COLUMNS) as add, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for trial in range(chosen.trials):
            for name in chosen.cases:
                if (name, trial) not in done:
                    add({"case": name} | judged(CASES[name], trial))


if __name__ == "__main__":
    main()
