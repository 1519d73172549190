"""The command line: ``bayes-hte new | check | run | report | predict | models``.

Exit status 0: done; 2: the request cannot be carried out (one or two lines say why); 3: done, but
the sampling failed its health checks, so the results must not be used.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import warnings
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from bayes_hte import __version__
from bayes_hte.errors import BayesHTEError, SpecError, unknown_name
from bayes_hte.names import visible

if TYPE_CHECKING:
    from bayes_hte.runs.run import Run
    from bayes_hte.study.spec import Spec

DONE, REFUSED, UNHEALTHY, INTERRUPTED = 0, 2, 3, 130
# Digits of predicted numbers, in files and on the terminal.
_DIGITS = "%.6g"


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
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return DONE
    commands = {
        "new": _new,
        "check": _check,
        "run": _run,
        "report": _report,
        "predict": _predict,
        "models": _models,
    }
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _print_warning
            return commands[options.command](options)
    except BayesHTEError as error:
        if options.debug:
            raise
        _say(f"bayes-hte: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        _say("bayes-hte: interrupted; finished stages are kept.", file=sys.stderr)
        return INTERRUPTED


def _say(*lines: str, end: str = "\n", file: TextIO | None = None) -> None:
    """Print lines, without characters that a terminal would obey."""
    print(visible("\n".join(lines)), end=end, file=file)


def _print_warning(message: Warning | str, *_: object) -> None:
    """Print a warning without the line of code that led to it."""
    _say(f"bayes-hte: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bayes-hte",
        description="For whom does the treatment work, through what, and how sure are we?",
        epilog="Your own data: bayes-hte new data.csv --outcome Y --treatment T; answer the "
        "questions in data.toml; bayes-hte check data.toml; bayes-hte run data.toml. "
        "bayes-hte COMMAND --help explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"bayes-hte {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    new = commands.add_parser("new", help="write a commented study file for a CSV or Parquet file")
    data = "path of a CSV or Parquet file; FILE.csv gets FILE.toml next to it"
    new.add_argument("data", help=data)
    new.add_argument("--outcome", required=True, metavar="COLUMN")
    new.add_argument("--treatment", required=True, metavar="COLUMN")
    new.add_argument("--mediator", metavar="COLUMN")
    new.add_argument("--cluster", metavar="COLUMN")
    new.add_argument("--force", action="store_true", help="replace a study file that exists")
    check = commands.add_parser("check", help="check a study file and its data; samples nothing")
    _add_study(check)
    run = commands.add_parser("run", help="run a study file from data to report")
    _add_study(run)
    run.add_argument("-o", "--output", help="folder for results (default: results/<study>)")
    run.add_argument("--quiet", action="store_true", help="no lines or bars on the progress")
    report = commands.add_parser("report", help="write the report again from saved results")
    report.add_argument("folder", help="folder of a finished run")
    predict = commands.add_parser("predict", help="expected outcomes and effects of new rows")
    predict.add_argument("folder", help="folder of a finished run")
    predict.add_argument(
        "data",
        help="CSV file with the covariates of the study, or any number of rows in Parquet files",
    )
    predict.add_argument(
        "-o",
        "--output",
        help="CSV file to write (default: standard output), or for Parquet a folder",
    )
    predict.add_argument(
        "--curves",
        metavar="FILE",
        help="CSV file to write the survival curve of each row under each arm to as well",
    )
    commands.add_parser("models", help="list the shipped study files")
    return parser


def _add_study(command: argparse.ArgumentParser) -> None:
    """Add the study file and what changes it."""
    command.add_argument("study", help="path of a study file, or the name of a shipped one")
    command.add_argument(
        "--quick",
        action="store_true",
        help="a first look: few draws, no halves, no refutations; marked in the report",
    )
    command.add_argument(
        "--set",
        action="append",
        default=[],
        dest="changes",
        metavar="KEY=VALUE",
        help="change a key of the study file, sampler.draws=100; may be repeated; recorded",
    )


def shipped_studies() -> dict[str, Path]:
    """Return the study files that come with the package, by name.

    Returns
    -------
    dict of str to Path
    """
    installed = Path(str(resources.files("bayes_hte"))) / "models"
    # In a checkout the files stand next to the package; the wheel carries them inside it.
    folder = installed if installed.is_dir() else installed.parent.parent / "models"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def _load(options: argparse.Namespace) -> Spec:
    from bayes_hte.study.spec_file import load_spec

    study, changed = options.study, {"changes": options.changes, "quick": options.quick}
    path = Path(study)
    if path.suffix == ".toml" or path.exists():
        return load_spec(path, **changed)
    shipped = shipped_studies()
    if study not in shipped:
        raise unknown_name("study (a path ending in .toml, or a shipped name)", study, shipped)
    return load_spec(shipped[study], **changed)


def _new(options: argparse.Namespace) -> int:
    from bayes_hte.study.draft import draft_study_file

    data = Path(options.data)
    path = data.with_suffix(".toml")
    if path.exists() and not options.force:
        raise SpecError(f"{path} exists already; --force replaces it.")
    text = draft_study_file(
        data,
        outcome=options.outcome,
        treatment=options.treatment,
        mediator=options.mediator,
        cluster=options.cluster,
    )
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SpecError(f"cannot write {path}: {error.strerror}.") from error
    _say(f"{path} written; answer the lines marked QUESTION:")
    for line in text.splitlines():
        if "QUESTION" in line and not line.startswith("# Lines"):
            _say(f"  {line.strip().removeprefix('# ')}")
    _say(f"then: bayes-hte check {path}")
    return DONE


def _run(options: argparse.Namespace) -> int:
    spec = _load(options)
    named = f"{spec.name}-quick" if spec.quick else spec.name
    folder = Path(options.output or Path("results") / named)
    _say(f"{spec.title}\nresults go to {folder}")
    if spec.quick:
        _say("a first look: few draws, no halves, no refutations; not the analysis")
    from bayes_hte.runs.run import run_study

    command = f"bayes-hte run {options.study}" + (f" -o {options.output}" if options.output else "")
    command += " --quick" if options.quick else ""
    command += "".join(f" --set {shlex.quote(change)}" for change in options.changes)
    quiet = {"progress": False, "say": lambda _: None} if options.quiet else {}
    done = run_study(spec, folder, command=command, **quiet)
    _say("", *done.answer, f"report: {folder / 'report.html'}")
    return _status(done)


def _report(options: argparse.Namespace) -> int:
    from bayes_hte.runs.run import report_from_saved

    done = report_from_saved(options.folder)
    _say(f"report: {done.folder / 'report.html'}")
    return _status(done)


def _check(options: argparse.Namespace) -> int:
    spec = _load(options)
    from bayes_hte.runs.study_check import check_study

    found = check_study(spec)
    _say("\n".join([spec.title, *found.lines]))
    if found.problems:
        raise SpecError(_listed(found.problems))
    _say(f"spec {spec.hash()[:12]}, data {found.fingerprint[:12]}: ready to run")
    return DONE


def _listed(problems: Sequence[str]) -> str:
    """Return one problem as it is, several as a numbered list."""
    if len(problems) == 1:
        return problems[0]
    numbered = (f"  {i}. {problem}" for i, problem in enumerate(problems, start=1))
    return "\n".join([f"{len(problems)} problems:", *numbered])


def _predict(options: argparse.Namespace) -> int:
    from bayes_hte.reporting.tables.files import harmless
    from bayes_hte.runs.prediction import predict_rows, predict_to_parquet
    from bayes_hte.study.row_source import is_parquet

    if is_parquet(options.data) or (options.output and is_parquet(options.output)):
        if options.curves is not None:
            raise SpecError("--curves takes rows of a CSV file; give some of them in one.")
        if options.output is None:
            raise SpecError("Parquet files are predicted into a folder; name it with -o.")
        notes, healthy = predict_to_parquet(options.folder, options.data, options.output)
        for line in (*notes, f"written to the folder {options.output}"):
            _say(line, file=sys.stderr)
        return DONE if healthy else UNHEALTHY
    found = predict_rows(options.folder, options.data, curves=options.curves is not None)
    if found.curves is not None:
        drawn = harmless(found.curves)
        text = drawn.to_csv(index=False, float_format=_DIGITS, lineterminator="\n")
        _write_csv(Path(options.curves), text)
    table = harmless(found.table)
    if options.output is None:
        _say(table.to_csv(float_format=_DIGITS), end="")
    else:
        _write_csv(Path(options.output), table.to_csv(float_format=_DIGITS, lineterminator="\n"))
    for line in found.notes:
        _say(line, file=sys.stderr)
    return DONE if found.healthy else UNHEALTHY


def _write_csv(path: Path, text: str) -> None:
    """Write a file whole or not at all; what is no file (a pipe, a device) takes the text."""
    from bayes_hte.store import write_text, writing

    if path.is_fifo() or path.is_char_device():
        with writing(path):
            path.write_text(text, encoding="utf-8")
        return
    # The file behind a link, which stays a link.
    write_text(path.resolve(), text)


def _models(options: argparse.Namespace) -> int:
    from bayes_hte.study.spec_file import load_spec

    for name, path in shipped_studies().items():
        _say(f"{name:12} {load_spec(path).title}")
    return DONE


def _status(run: Run) -> int:
    if not run.problem:
        return DONE
    _say(f"bayes-hte: {run.problem}", file=sys.stderr)
    return UNHEALTHY


if __name__ == "__main__":
    sys.exit(main())
