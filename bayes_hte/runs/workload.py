"""The number of fits that a study file asks for, and the time to expect."""

from __future__ import annotations

from bayes_hte.fitting.plan import Plan
from bayes_hte.fitting.stages import stages
from bayes_hte.study.spec import Spec
from bayes_hte.study.study import Study

# Seconds of one component on two slow cores, as the benchmarks measured: to begin with, for each
# 1,000 units of a forest, for the coefficients of a regression, and for a process of 250 units.
_START, _FOREST, _REGRESSION, _PROCESS = 8.0, 6.0, 40.0, 40.0
# Iterations of all chains in those measurements.
_ITERATIONS = 3200
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
        One sentence. The time is that of two slow cores, within a factor of some two.
    """
    fits = {"the study": 1.0}
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
    one = _seconds(spec, study)
    total = sum(n * one * (0.6 if name == "halves" else 1.0) for name, n in fits.items())
    listed = ", ".join(f"{n:g} {name}" for name, n in fits.items())
    return (
        f"fits: {sum(fits.values()):g} ({listed}), each of {len(stages(study, _plan(spec)))} "
        f"models; expect about {_duration(total)} on two cores"
    )


def _plan(spec: Spec) -> Plan:
    return Plan.from_spec(spec)


def _seconds(spec: Spec, study: Study) -> float:
    """Return the seconds of one fit of the study."""
    plan, sampler = _plan(spec), spec.sampler
    share = sampler.chains * (sampler.draws + sampler.tune) / _ITERATIONS
    surfaces = [plan.propensity_surface, *(p.surface for p in plan.candidates().values())]
    surfaces += [surface for _, surface in plan.mediator_models(len(study.roles.mediators))]
    thousands = study.n_units / 1000
    costs = {
        "forest": _FOREST * thousands,
        "gp": _PROCESS * (study.n_units / 250) ** 2,
    }
    return sum(_START + share * costs.get(s, _REGRESSION * max(thousands, 0.25)) for s in surfaces)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(10, round(seconds, -1)):.0f} seconds"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.0f} hours"
