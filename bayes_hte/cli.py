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
    from bayes_hte.mixtures import MixtureFit
    from bayes_hte.mixtures.identification import Identifiability
    from bayes_hte.reporting.arms import ArmResults
    from bayes_hte.reporting.results import Results
    from bayes_hte.study.spec import ReportSpec, Spec

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
    run.add_argument("--quiet", action="store_true", help="no progress bars")
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
    done = run_study(spec, folder, progress=not options.quiet, command=command)
    for results in done.contrasts.values():
        _print_answer(results)
    if done.arms is not None:
        _print_arms(done.arms)
    print(f"report: {folder / 'report.html'}")
    return max(_status(results) for results in done.contrasts.values())


def _print_arms(arms: ArmResults) -> None:
    unit = arms.spec.outcome.unit or "units of the outcome"
    print(f"\nwhich arm for whom, in {unit}")
    for choice, row in arms.choices.iterrows():
        print(
            f"  {choice!s:22} expected outcome {row['outcome']:.4f}, expected regret "
            f"{row['expected_regret']:.4f}, best for {row['share']:.0%}"
        )


def _report(options: argparse.Namespace) -> int:
    from bayes_hte.runs.run import report_from_saved

    done = report_from_saved(options.folder)
    print(f"report: {done.folder / 'report.html'}")
    return max(_status(results) for results in done.contrasts.values())


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
    if len(study.arms) > 2:
        from bayes_hte.runs.several_arms import contrasts_of

        print(f"contrasts: {', '.join(one.name for one in contrasts_of(prepared))}")
    if prepared.mixture is not None:
        print(f"mixture: the declared graph reaches {_reached(prepared.mixture.graph)}")
    print(f"spec {spec.hash()[:12]}, data {study.fingerprint()[:12]}: ready to run")
    return DONE


def _models(options: argparse.Namespace) -> int:
    from bayes_hte.study.spec_file import load_spec

    for name, path in shipped_studies().items():
        print(f"{name:12} {load_spec(path).title}")
    return DONE


def _print_answer(results: Results) -> None:
    from bayes_hte.effects.summaries import interval_words, summarize

    spec = results.spec
    table = summarize(results.averages, ci_prob=spec.report.ci_prob, ci_kind=spec.report.ci_kind)
    words = interval_words(spec.report.ci_prob, spec.report.ci_kind)
    print(f"\naverage effects over the units studied (SATE), {results.study.contrast}; {words}")
    for name, row in table.iterrows():
        print(f"  {name:5} {row['mean']:+.4f}  [{row['ci_lower']:+.4f}, {row['ci_upper']:+.4f}]")
    for name, groups in (results.honest or results.subgroups).items():
        where = "each half judged by the other" if results.honest else "in-sample"
        said = "declared" if groups.declared else "none declared"
        print(f"subgroups of {name}: {said} ({where})")
    if results.mixture is not None:
        _print_classes(results.mixture, spec.report)
    print(f"verdict: {results.trust.verdict} ({results.trust.level})")
    for check in results.checks:
        print(f"check {check.state:11} {check.name}")


def _print_classes(fit: MixtureFit, intervals: ReportSpec) -> None:
    print(f"classes, {_reached(fit.identifiability)}")
    table = fit.summary(ci_prob=intervals.ci_prob, ci_kind=intervals.ci_kind)
    words = {"ate": "average effect", "effects": "effect", "probabilities": "probability"}
    for (quantity, label), row in table.iterrows():
        name = words[quantity] + (f" of class {label}" if label >= 0 else "")
        print(f"  {name:22} {row['mean']:+.4f}  [{row['ci_lower']:+.4f}, {row['ci_upper']:+.4f}]")
    print(f"  likelihood and moments: {fit.agreement.answer}")


def _reached(graph: Identifiability) -> str:
    from bayes_hte.mixtures.identification import LEVELS

    return "no level" if graph.level is None else f"level {graph.level}: {LEVELS[graph.level]}"


def _status(results: Results) -> int:
    if not results.healthy:
        print(
            "bayes-hte: the sampling failed its health checks; the results are saved, but must not "
            "be used. See the top of the report.",
            file=sys.stderr,
        )
        return UNHEALTHY
    if results.mixture is not None and not results.mixture.healthy:
        print(
            "bayes-hte: the mixture failed its health checks; what the report says of it must not "
            "be used.",
            file=sys.stderr,
        )
        return UNHEALTHY
    return DONE


if __name__ == "__main__":
    sys.exit(main())
