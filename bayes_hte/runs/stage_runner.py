"""Fit the stages of a study file, each loaded if it can be used again, and saved when it is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bayes_hte.components.saved import from_tree, to_tree
from bayes_hte.fitting.at_rows import AnyComponent
from bayes_hte.fitting.fitted import Fit
from bayes_hte.fitting.imputing import imputed_studies
from bayes_hte.fitting.plan import Plan, check_plan
from bayes_hte.fitting.pooled import PooledFit
from bayes_hte.fitting.sampling import SamplerSize
from bayes_hte.fitting.stages import fit_stage, is_imputed, posterior_sampler, stages
from bayes_hte.runs.clock import Clock
from bayes_hte.runs.progress import Progress
from bayes_hte.runs.settings import is_usable, sampling_settings
from bayes_hte.seeds import stage_seed
from bayes_hte.store import find_stage, save_stage
from bayes_hte.study.spec import Spec
from bayes_hte.study.study import Study


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
    progress : Progress
        Receives one line per stage.
    root : Path
        Where the stages of the whole run are kept: `folder` or one of its parents.
    of : str
        The fits that are made here, in words; empty for those of the study itself.
    used : dict of str to str
        Filled with the digest of each stage that was loaded or saved, by its path below `root`.
    """

    study: Study
    spec: Spec
    folder: Path
    clock: Clock
    progress: Progress
    root: Path
    of: str = ""
    used: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of_run(
        cls, study: Study, spec: Spec, folder: Path, clock: Clock, progress: Progress
    ) -> StageRunner:
        """Return what fits the study itself; the arguments are the attributes of those names."""
        return cls(study, spec, folder, clock, progress, root=folder)

    def elsewhere(self, *names: str, of: str, study: Study | None = None) -> StageRunner:
        """Return the same with stages in a folder below, for fits that are called `of`."""
        below = self.folder.joinpath(*names)
        return replace(self, folder=below, of=of, study=study or self.study)

    def fit(self, plan: Plan, done: Mapping[str, AnyComponent]) -> tuple[Fit, list[str]]:
        """Fit the stages of a plan that are not done; return the fit and what was sampled.

        Of a study that is imputed, every frame is fitted, in a folder of its own.
        """
        check_plan(self.study, plan)
        if is_imputed(self.study):
            return self._fit_imputed(plan)
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

    def _fit_imputed(self, plan: Plan) -> tuple[Fit, list[str]]:
        fits, sampled = [], []
        for i, (name, study, spec) in enumerate(imputations(self.study, self.spec), start=1):
            self.progress.note(f"imputation {i} of {self.study.imputations}")
            one = replace(self, study=study, spec=spec, folder=self.folder / name)
            fit, fresh = one.fit(plan, {})
            fits.append(fit)
            sampled += [f"imputation {i}: {stage}" for stage in fresh]
        return PooledFit.of(self.study, tuple(fits), seed=self.spec.sampler.seed), sampled

    def _component(
        self, name: str, plan: Plan, done: Mapping[str, AnyComponent]
    ) -> tuple[AnyComponent, bool]:
        """Load a component if its saved stage can be used, else sample and save it."""
        settings = sampling_settings(self.spec, self.study)
        stage = find_stage(self.folder, name)
        path = str(stage.path.relative_to(self.root))
        words = f"{name}, {self.of}" if self.of else name
        if is_usable(stage, settings, self.progress.note):
            self.used[path] = stage.digest
            with self.progress.fit(words, saved=True):
                return from_tree(stage.load(), self.study), False
        with self.progress.fit(words) as update:
            sampler = self.spec.sampler
            size = SamplerSize(
                chains=sampler.chains,
                draws=sampler.draws,
                tune=sampler.tune,
                progress=update if self.progress.live else False,
            )
            sample = posterior_sampler(seed=sampler.seed, size=size)
            component = fit_stage(name, self.study, plan, done, sample)
            self.used[path] = save_stage(self.folder, name, to_tree(component), settings)
        # Loaded even if just sampled: what follows is the same to the last digit in a run that is
        # interrupted here and one that is not.
        return from_tree(find_stage(self.folder, name).load(), self.study), True


def imputations(study: Study, spec: Spec) -> Iterator[tuple[str, Study, Spec]]:
    """Yield the imputed frames of a study as studies of their own.

    Parameters
    ----------
    study : Study
        A study whose covariates are imputed.
    spec : Spec
        Its study file.

    Yields
    ------
    name : str
        Folder of the stages of this imputation.
    study : Study
        With complete covariates.
    spec : Spec
        With the seed of this imputation.
    """
    seed = spec.sampler.seed
    for i, complete in enumerate(imputed_studies(study, seed=seed), start=1):
        name = f"imputation_{i}"
        sampler = replace(spec.sampler, seed=stage_seed(seed, name))
        yield name, complete, replace(spec, sampler=sampler)
