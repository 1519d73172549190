"""The command line: ``bayes-hte run | check | report | models``.

Exit status 0: done; 2: the request cannot be carried out (one or two lines say why); 3: done, but
the sampling failed its health checks, so the results must not be used.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from bayes_hte.errors import BayesHTEError, unknown_name

if TYPE_CHECKING:
    from bayes_hte.runs.run import Run
    from bayes_hte.study.spec import Spec

DONE, REFUSED, UNHEALTHY, INTERRUPTED = 0, 2, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: those of the process.

    Returns
    -------
    int
        The exit status; see the module.
    """
    options = _parser().parse_args(arguments)
    commands = {"run": _run, "check": _check, "report": _report, "models": _models}
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _print_warning
            return commands[options.command](options)
    except BayesHTEError as error:
        if options.debug:
            raise
        print(f"bayes-hte: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print("bayes-hte: interrupted; finished stages are kept.", file=sys.stderr)
        return INTERRUPTED


def _print_warning(message: Warning | str, *_: object) -> None:
    """Print a warning without the line of code that led to it."""
    print(f"bayes-hte: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bayes-hte",
        description="For whom does the treatment work, through what, and how sure are we?",
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a study file from data to report")
    run.add_argument("study", help="path of a study file, or the name of a shipped one")
    run.add_argument("-o", "--output", help="folder for results (default: results/<study>)")
    run.add_argument("--quiet", action="store_true", help="no lines or bars on the progress")
    check = commands.add_parser("check", help="check a study file and its data; samples nothing")
    check.add_argument("study", help="path of a study file, or the name of a shipped one")
    report = commands.add_parser("report", help="write the report again from saved results")
    report.add_argument("folder", help="folder of a finished run")
    commands.add_parser("models", help="list the shipped study files")
    return parser


def shipped_studies() -> dict[str, Path]:
    """Return the study files that come with the package, by name.

    Returns
    -------
    dict of str to Path
    """
    installed = Path(str(resources.files("bayes_hte"))) / "models"
    # In a checkout the files stand beside the package; the wheel carries them inside it.
    folder = installed if installed.is_dir() else installed.parent.parent / "models"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def _load(study: str) -> Spec:
    from bayes_hte.study.spec_file import load_spec

    path = Path(study)
    if path.suffix == ".toml" or path.exists():
        return load_spec(path)
    shipped = shipped_studies()
    if study not in shipped:
        raise unknown_name("study (a path ending in .toml, or a shipped name)", study, shipped)
    return load_spec(shipped[study])


def _run(options: argparse.Namespace) -> int:
    spec = _load(options.study)
    folder = Path(options.output or Path("results") / spec.name)
    print(f"{spec.title}\nresults go to {folder}")
    from bayes_hte.runs.run import run_study

    command = f"bayes-hte run {options.study}" + (f" -o {options.output}" if options.output else "")
    quiet = {"progress": False, "say": lambda _: None} if options.quiet else {}
    done = run_study(spec, folder, command=command, **quiet)
    print("", *done.answer, f"report: {folder / 'report.html'}", sep="\n")
    return _status(done)


def _report(options: argparse.Namespace) -> int:
    from bayes_hte.runs.run import report_from_saved

    done = report_from_saved(options.folder)
    print(f"report: {done.folder / 'report.html'}")
    return _status(done)


def _check(options: argparse.Namespace) -> int:
    spec = _load(options.study)
    from bayes_hte.runs.prepared import prepare

    prepared = prepare(spec)
    study, away = prepared.study, prepared.held_out
    counts = study.frame[study.roles.treatment].value_counts()
    print(f"{spec.title}")
    by_arm = ", ".join(f"{counts[a]} {a}" for a in study.arms)
    print(f"{study.n_units} units: {by_arm}" + (f"; {away.n_units} more held out" if away else ""))
    print(f"roles: {', '.join(study.roles.columns)}")
    if prepared.mixture is not None:
        from bayes_hte.runs.answer import reached

        print(f"mixture: the declared graph reaches {reached(prepared.mixture.graph)}")
    print(f"spec {spec.hash()[:12]}, data {study.fingerprint()[:12]}: ready to run")
    return DONE


def _models(options: argparse.Namespace) -> int:
    from bayes_hte.study.spec_file import load_spec

    for name, path in shipped_studies().items():
        print(f"{name:12} {load_spec(path).title}")
    return DONE


def _status(run: Run) -> int:
    if not run.problem:
        return DONE
    print(f"bayes-hte: {run.problem}", file=sys.stderr)
    return UNHEALTHY


if __name__ == "__main__":
    sys.exit(main())
