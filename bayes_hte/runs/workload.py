"""The number of fits that a study file asks for, and the time to expect."""

from __future__ import annotations

from bayes_hte.effects.pairs import reported_pairs
from bayes_hte.fitting.blocks import is_large
from bayes_hte.fitting.cost import duration, fit_cost
from bayes_hte.fitting.plan import Plan
from bayes_hte.fitting.size import SamplerSize
from bayes_hte.fitting.stages import is_imputed, stages
from bayes_hte.study.spec import Spec
from bayes_hte.study.study import Study

STUDY = "the study"
# Kinds of refutations that are refitted.
_REFUTATIONS = 4


def workload(spec: Spec, study: Study) -> str:
    """Say how many fits a study needs, and roughly how long they take.

    Parameters
    ----------
    spec : Spec
        The study file, with its candidates settled.
    study : Study
        Its data.

    Returns
    -------
    str
        One sentence. Time and memory are those of two slow cores, within a factor of some two.
    """
    fits = {STUDY: 1.0}
    if spec.propensity.report_both:
        fits["the other way of using the propensity"] = 1.0
    if spec.learner.beside:
        fits["learners to compare with"] = float(len(spec.learner.beside))
    if spec.subgroups.honest:
        # Of half the units each; perhaps twice more, with means of their own.
        fits["halves"] = 2.0
    if spec.checks.other_seeds:
        fits["other seeds"] = float(spec.checks.other_seeds)
    if spec.checks.refutations == "full":
        fits["refutations"] = float(_REFUTATIONS * spec.checks.repeats)
    if spec.subgroups.calibrate == "full":
        fits["studies of equal effects"] = float(2 * spec.subgroups.replications)
    # Of more than two arms the study is fitted once, and everything else for each contrast.
    contrasts = len(reported_pairs(study.arms, spec.roles.contrasts)) if len(study.arms) > 2 else 1
    fits = {name: n * (1 if name == STUDY else contrasts) for name, n in fits.items()}
    frames = study.imputations if is_imputed(study) else 1
    each = f", each {frames} times, once for an imputed frame" if frames > 1 else ""
    sampler = spec.sampler
    size = SamplerSize(chains=sampler.chains, draws=sampler.draws, tune=sampler.tune)
    one = fit_cost(_plan(spec), study, size)
    total = sum(n * one.seconds * (0.6 if name == "halves" else 1.0) for name, n in fits.items())
    total *= frames
    listed = ", ".join(f"{n:g} {name}" for name, n in fits.items())
    listed += f"; {contrasts} contrasts" if contrasts > 1 else ""
    return (
        f"fits: {sum(fits.values()):g} ({listed}){each}, each of {len(stages(study, _plan(spec)))} "
        f"models; expect about {duration(total)} and {one.gib:.1f} GiB for sampling, with "
        f"{size.processes} chains at a time" + _of_units(study, sampler.chains * sampler.draws)
    )


def _of_units(study: Study, draws: int) -> str:
    """Say what the draws of all units take, where that is much."""
    if not is_large(draws, study.n_units):
        return ""
    gib = 4 * draws * study.n_units / 1024**3
    return (
        f"; draws of all {study.n_units:,} units, which a run reads, take {gib:.1f} GiB for each "
        f"effect: fewer draws ({draws} now) keep all units"
    )


def _plan(spec: Spec) -> Plan:
    return Plan.from_spec(spec)
