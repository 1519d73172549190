"""Fit the stages of a study file, each loaded if it can be used again, and saved when it is not."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bayes_hte.components.saved import from_tree, to_tree
from bayes_hte.fitting.fitted import AnyComponent, Fit
from bayes_hte.fitting.plan import Plan, check_plan
from bayes_hte.fitting.sampling import SamplerSize
from bayes_hte.fitting.stages import fit_stage, posterior_sampler, stages
from bayes_hte.store import Stage, find_stage, save_stage
from bayes_hte.study.spec import Spec
from bayes_hte.study.study import Study

Say = Callable[[str], None]


class Clock:
    """Seconds spent by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time[T](self, stage: str, work: Callable[[], T]) -> T:
        """Do some work, add its seconds to a stage, and return what it returns."""
        start = time.perf_counter()
        result = work()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start
        return result


@dataclass(frozen=True)
class StageRunner:
    """Where stages are kept, and how they are sampled.

    Attributes
    ----------
    study : Study
        The data.
    spec : Spec
        The study file.
    folder : Path
        Where stages are kept.
    clock : Clock
        Adds up the seconds of each stage.
    progress : bool
        Whether to show the samplers' progress bars.
    say : callable
        Receives one line a stage.
    """

    study: Study
    spec: Spec
    folder: Path
    clock: Clock
    progress: bool
    say: Say

    def fit(self, plan: Plan, done: Mapping[str, AnyComponent]) -> tuple[Fit, list[str]]:
        """Fit the stages of a plan that are not done; return the fit and what was sampled."""
        check_plan(self.study, plan)
        components, sampled = dict(done), []
        for stage in stages(self.study, plan):
            if stage not in components:
                component, fresh = self.clock.time(
                    stage, lambda stage=stage: self._component(stage, plan, components)
                )
                components[stage] = component
                sampled += [stage] if fresh else []
        fit = Fit(study=self.study, plan=plan, seed=self.spec.sampler.seed, components=components)
        return fit, sampled

    def _component(
        self, name: str, plan: Plan, done: Mapping[str, AnyComponent]
    ) -> tuple[AnyComponent, bool]:
        """Load a component if its saved stage can be used, else sample and save it."""
        settings = sampling_settings(self.spec, self.study)
        stage = find_stage(self.folder, name)
        if is_usable(stage, settings, self.say):
            self.say(f"{name}: using the saved draws")
            return from_tree(stage.load(), self.study), False
        sampler = self.spec.sampler
        size = SamplerSize(
            chains=sampler.chains,
            draws=sampler.draws,
            tune=sampler.tune,
            progress=self.progress,
        )
        self.say(f"{name}: sampling {size.chains} chains of {size.tune} + {size.draws}")
        sample = posterior_sampler(seed=sampler.seed, size=size)
        component = fit_stage(name, self.study, plan, done, sample)
        save_stage(self.folder, name, to_tree(component), settings)
        return component, True


def sampling_settings(spec: Spec, study: Study) -> dict[str, Any]:
    """Return everything the draws depend on, flat, so that a change can be named.

    Parameters
    ----------
    spec : Spec
        The study file.
    study : Study
        Its data.

    Returns
    -------
    dict of str to plain values
    """
    plan = dataclasses.asdict(Plan.from_spec(spec))
    # Not of a study file: a saved study with such a column has another fingerprint.
    plan.pop("means_by")
    if not plan["ordered"]:
        plan.pop("ordered")
    # An option that is left out leaves no trace, so runs saved before it was there are resumed.
    plan["priors"] = [
        {k: v for k, v in p.items() if k != "because" and not (k == "sparse" and v is None)}
        for p in plan["priors"]
    ]
    return {
        **{f"models.{key}": value for key, value in plan.items()},
        **{f"sampler.{key}": value for key, value in dataclasses.asdict(spec.sampler).items()},
        "data": study.fingerprint(),
    }


def is_usable(stage: Stage, settings: Mapping[str, Any], say: Say) -> bool:
    """Whether a saved stage can be used again; if not, say why."""
    if not stage.exists:
        return False
    if not stage.intact:
        say(f"{stage.path.name}: the saved stage is damaged; computing it again")
        return False
    changes = stage.changes(settings)
    if changes:
        say(f"{stage.path.name}: changed since the saved run: {'; '.join(changes)}")
    return not changes
