"""The tables and keys of a study file, as frozen dataclasses.

One file is one reproducible analysis: data, roles, models, priors with their reasons, sampler,
report. `spec_file` reads it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bayes_hte.errors import SpecError
from bayes_hte.study.missing import MissingName
from bayes_hte.study.roles import listed
from bayes_hte.study.time_to_event import EstimandName

FamilyName = Literal["gaussian", "student_t", "bernoulli", "poisson", "negative_binomial"]
# Families of times to an event, for outcomes alone.
TimeFamilyName = Literal["lognormal", "loglogistic", "log_student_t", "weibull", "piecewise_hazard"]
OutcomeFamilyName = Literal[
    "gaussian",
    "student_t",
    "bernoulli",
    "poisson",
    "negative_binomial",
    "lognormal",
    "loglogistic",
    "log_student_t",
    "weibull",
    "piecewise_hazard",
]
# Families under the names that users of other software know them by.
FAMILY_WORDS = {
    "binomial": "bernoulli",
    "binary": "bernoulli",
    "logistic": "bernoulli",
    "normal": "gaussian",
    "count": "poisson",
}


# A scale with ends is a family with two numbers.
_BOUNDED = re.compile(r"\s*bounded\s*\(\s*([^,()]+?)\s*,\s*([^,()]+?)\s*\)\s*")


def family_called(name: str) -> str:
    """Return a family by a name of other software; another name is returned as it is."""
    if not isinstance(name, str):
        return name
    limits = bounded_limits(name)
    return FAMILY_WORDS.get(name.lower(), name) if limits is None else bounded_name(*limits)


def bounded_limits(name: str) -> tuple[float, float] | None:
    """Return the ends of the scale in ``"bounded(1, 5)"``; None for another family.

    Raises
    ------
    SpecError
        If the ends are left out, or are not numbers.
    """
    found = _BOUNDED.fullmatch(name) if isinstance(name, str) else None
    if found is None and not str(name).strip().startswith("bounded"):
        return None
    try:
        lower, upper = (float(end) for end in found.groups())
    except (AttributeError, ValueError):
        raise SpecError(
            f"family {name!r} needs the two ends of the scale, as numbers; write for instance "
            "'bounded(1, 5)'."
        ) from None
    return lower, upper


def bounded_name(lower: float, upper: float) -> str:
    """Return the name of the family of a scale: ``"bounded(1, 5)"``."""
    return f"bounded({lower:.12g}, {upper:.12g})"


SurfaceName = Literal["forest", "gp", "additive", "linear"]
NoiseName = Literal["constant", "by_arm", "varying"]
ShapeName = Literal["linear", "spline"]
LearnerName = Literal["hierarchical", "prognostic_effect", "t", "s", "x", "homogeneous"]
EffectName = Literal["tnie", "te"]
ComponentName = Literal["outcome", "mediator", "propensity", "effect"]
AssignmentName = Literal["randomised", "observational"]
EdgeName = Literal["Z-T", "X-Y", "X-T", "Z-Y", "Z-X"]
TermName = Literal[
    "arm_mean",
    "shared",
    "arm",
    "effect",
    "mediator",
    "mediator_modified",
    "mediator_arm",
    "expected_mediator",
    "mediator_product",
    "mediator_bend",
    "mediator_bend_modified",
    "mediator_bend_arm",
    "trend",
]


@dataclass(frozen=True)
class About:
    """Purpose of the study, for the reader of the file and of the report."""

    question: str
    suitable_for: str
    not_suitable_for: str
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class Data:
    """Source of the frame: a loader of `bayes_hte.study.datasets`, a CSV file, or Parquet.

    A Parquet source is a file, or a folder of files, whose name ends in ``.parquet``.

    `separator`, `decimal`, `encoding` and `missing_values` say how the CSV file is written. What is
    left out of them is found from the file.

    `missing` is the rule for missing covariates: forests split on missingness (``"splits"``),
    several imputed frames are fitted (``"impute"``), or units with any missing value are left out
    (``"complete"``). See :mod:`bayes_hte.study.missing`. `imputations` is the number of those
    frames.
    """

    source: str
    separator: str | None = None
    decimal: Literal[".", ","] | None = None
    encoding: str | None = None
    missing_values: tuple[str, ...] | None = None
    missing: MissingName = "splits"
    imputations: int = 5

    @property
    def written(self) -> dict[str, Any]:
        """How the file is written, as arguments of :func:`bayes_hte.load_frame`."""
        keys = ("separator", "decimal", "encoding", "missing_values")
        return {key: getattr(self, key) for key in keys}


@dataclass(frozen=True)
class ColumnSpec:
    """One column of the data: its type, the order of its levels, or the event it records.

    A table of the name of the column, ``[columns.smoker]``, holds the keys.
    """

    type: Literal["number", "category"] | None = None
    order: tuple[str | int | float | bool, ...] = ()
    event: str | int | float | bool | None = None


@dataclass(frozen=True)
class LabelSpec:
    """Words for one column and for its levels, in place of their names in the data.

    A text stands for a table with `label` alone: ``depress2 = "depression"`` under ``[labels]``.
    """

    label: str = ""
    levels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RoleSpec:
    """Column names by role; `reference` is the arm that contrasts are taken against.

    `mediator` is one column, or a list of two, whose effects through both together and through each
    are then reported.
    `units` and `unit` are the words for several rows and for one, where rows are not people.
    `weights` is the column with the weight of each unit in a population; it enters averages of
    effects over the population, not the likelihood. `arms` are the levels of the treatment in their
    order, reference first; `ordered` says that the order means something, as that of doses;
    `contrasts` ("B vs A", or "all") are those of a study of more than two arms that are reported.
    `event` is the column that says whether the event was seen, where the outcome is a time to it
    (the value that means so may be declared under ``[columns]``); `entry` that of the times from
    which units were observed. `post_treatment` is a column that the treatment changes and that
    affects both the mediator and the outcome; interventional effects are then reported, and natural
    ones are not.
    `cause` is the level of `event` that is the cause of interest, where events have several
    (competing risks), and `no_event` the level, or a list of levels, that means a censored unit, if
    it is none of 0, "none", "no event", "censored", "alive" and the like. `upper` is, in place of
    `event`, the column of the upper ends of intervals in which events came; the outcome holds the
    lower ends, and who was censored has no upper end.
    """

    outcome: str
    treatment: str
    covariates: tuple[str, ...]
    mediator: str | tuple[str, ...] | None = None
    cluster: str | None = None
    reference: str | int | float | bool | None = None
    arm_names: tuple[str, ...] = ()
    units: str = "people"
    unit: str = "person"
    weights: str | None = None
    arms: tuple[str | int | float | bool, ...] = ()
    ordered: bool = False
    contrasts: tuple[str, ...] = ()
    event: str | None = None
    entry: str | None = None
    post_treatment: str | None = None
    cause: str | int | float | bool | None = None
    no_event: str | int | float | bool | tuple[str | int | float | bool, ...] | None = None
    upper: str | None = None

    @property
    def mediators(self) -> tuple[str, ...]:
        """Every column that is modelled as a mediator, in their order; none, one or two.

        A confounder that the treatment changes comes before the mediator.
        """
        return (*listed(self.post_treatment), *listed(self.mediator))

    @property
    def of_times(self) -> bool:
        """Whether the outcome is a time to an event."""
        return self.event is not None or self.upper is not None

    @property
    def mediator_words(self) -> str:
        """The mediators in a sentence; empty if there are none."""
        return " and ".join(listed(self.mediator))


@dataclass(frozen=True)
class OutcomeSpec:
    """The outcome model, and the reading of its effects.

    `stack_with` names further candidates, each a surface or "learner/surface"; the outcome model
    is then their mixture, weighted by stacking. `unit` is the unit of the outcome, of a
    time to an event the unit of time. `horizon` is the time to which mean survival times are
    restricted, by default the latest at which each arm has a tenth of its units at risk. `estimand`
    is the scale of effects on a time to an event: the restricted mean (`rmst`), or the probability
    at the horizon of surviving (`survival`) or of an event of the cause of interest
    (`cumulative_incidence`); by default the last where a cause is declared, else the first.
    `mediator_shape` says whether the outcome is a straight line in the mediator or may bend.
    """

    better: Literal["higher", "lower"]
    minimal_important_difference: float
    because: str
    family: OutcomeFamilyName = "gaussian"
    surface: SurfaceName = "forest"
    stack_with: tuple[str, ...] = ()
    noise: NoiseName = "constant"
    unit: str = ""
    horizon: float | None = None
    estimand: EstimandName | None = None
    mediator_shape: ShapeName = "linear"


@dataclass(frozen=True)
class OneMediatorSpec:
    """The model of one of two mediators; what is left out is as for both."""

    family: FamilyName | None = None
    surface: SurfaceName | None = None
    unit: str = ""


@dataclass(frozen=True)
class MediatorSpec:
    """The mediator model; `controlled_at` are the values of controlled direct effects.

    Of two mediators the table holds for both; a table of the name of one, ``[mediator.job_seek]``,
    changes its `family`, `surface` and `unit`. So it does for a confounder that the treatment
    changes.
    """

    family: FamilyName = "gaussian"
    surface: SurfaceName = "forest"
    unit: str = ""
    controlled_at: tuple[float, ...] = ()
    each: dict[str, OneMediatorSpec] = field(default_factory=dict)

    def of(self, name: str) -> OneMediatorSpec:
        """Return the model of one mediator, by its name."""
        own = self.each.get(name, OneMediatorSpec())
        keys = ("family", "surface", "unit")
        return OneMediatorSpec(**{k: getattr(own, k) or getattr(self, k) for k in keys})


@dataclass(frozen=True)
class PropensitySpec:
    """The propensity model, and whether its estimate enters the shared part of the others.

    With `report_both` the outcome is fitted with and without it, and the report shows both.
    """

    assignment: AssignmentName
    surface: SurfaceName = "linear"
    as_covariate: bool = True
    report_both: bool = False


@dataclass(frozen=True)
class LearnerSpec:
    """The learner, which combines surfaces into potential outcomes.

    `beside` names further learners, fitted for comparison; they decide nothing.
    """

    name: LearnerName = "hierarchical"
    because: str = ""
    beside: tuple[LearnerName, ...] = ()


@dataclass(frozen=True)
class HeldOutSpec:
    """Units that no model sees; effects and rankings are judged on them."""

    share: float = 0.2
    seed: int = 0


@dataclass(frozen=True)
class ChecksSpec:
    """Refutations of the average effect, and fits with other seeds.

    Refutations are repeated on a linear regression in closed form (``"surrogate"``), or on the full
    model, which takes `repeats` times as long as the study itself for each of them.
    """

    refutations: Literal["surrogate", "full", "none"] = "surrogate"
    repeats: int = 20
    negative_control: str | None = None
    other_seeds: int = 0


@dataclass(frozen=True)
class PriorSpec:
    """A prior that differs from the default, with its reason.

    `scale` is the prior standard deviation of the term in units of the sd of what is modelled
    (of the ratio of the sds, for mediator slopes). `sparse = false` lets the trees of a forest
    choose all covariates with equal probability, in place of learning which to split on.
    """

    component: ComponentName
    term: TermName
    because: str
    scale: float | None = None
    trees: int | None = None
    sparse: bool | None = None


@dataclass(frozen=True)
class SamplerSpec:
    """Size and seed of the sampling."""

    seed: int
    chains: int = 4
    draws: int = 500
    tune: int = 300


@dataclass(frozen=True)
class SubgroupSpec:
    """The M-learner: the effects to cluster, the method, and the rule that declares subgroups.

    If `honest`, each half of the study is fitted alone as well, and subgroups are declared only if
    effects that one half puts furthest apart are apart in the other. `calibrate` repeats the search
    on studies like this one in which effects are equal, `replications` times for each way of making
    them so, with a stand-in in closed form (``"surrogate"``) or with the full model (hours).
    """

    effects: tuple[EffectName, ...] = ("te",)
    clusters: Literal["kmeans", "mixture"] = "kmeans"
    embed: Literal["none", "tsne"] = "none"
    margin: float | None = None
    probability: float = 0.95
    largest_k: int = 5
    honest: bool = True
    calibrate: Literal["none", "surrogate", "full"] = "none"
    replications: int = 100
    because: str = ""


@dataclass(frozen=True)
class MixtureSpec:
    """A mixture: classes that nobody measured, found from proxies on two sides.

    `edges` are those that cannot be ruled out, see :data:`bayes_hte.mixtures.identification.EDGES`;
    `because` says why the others can. Proxies are columns of the data, covariates or not;
    `class_covariates` make a class more or less probable. `level` is that of the likelihood.
    """

    classes: int
    x_proxies: tuple[str, ...]
    z_proxies: tuple[str, ...]
    edges: tuple[EdgeName, ...]
    because: str
    class_covariates: tuple[str, ...] = ()
    level: int = 3
    draws: int = 1000
    tune: int = 1000


@dataclass(frozen=True)
class ReportSpec:
    """Intervals used throughout the report."""

    ci_prob: float = 0.95
    ci_kind: Literal["eti", "hdi"] = "eti"


@dataclass(frozen=True)
class Spec:
    """One whole analysis, as declared in a study file.

    Attributes
    ----------
    title : str
        Heading of the report.
    about, data, roles, outcome, propensity, sampler, learner, checks, subgroups, report
        The tables of the file, each an object with the keys of the table; those left out have their
        defaults.
    mediator, held_out, mixture : optional
        Tables whose absence has a meaning; None if absent.
    prior : tuple of PriorSpec
        The changed priors.
    columns, labels : dict
        What the file says of single columns, by their names; see `ColumnSpec` and `LabelSpec`.
    name : str
        Name of the file without its ending.
    text : str
        The file as read; hashed and stored with the results.
    folder : pathlib.Path
        Folder of the file; relative data paths start here.
    changes : tuple of str
        Keys that were given in another place than the file, as ``"sampler.draws = 100"``.
    quick : bool
        Whether the analysis was cut down to a first look.
    """

    title: str
    about: About
    data: Data
    roles: RoleSpec
    outcome: OutcomeSpec
    propensity: PropensitySpec
    sampler: SamplerSpec
    mediator: MediatorSpec | None = None
    learner: LearnerSpec = field(default_factory=LearnerSpec)
    held_out: HeldOutSpec | None = None
    checks: ChecksSpec = field(default_factory=ChecksSpec)
    prior: tuple[PriorSpec, ...] = ()
    subgroups: SubgroupSpec = field(default_factory=SubgroupSpec)
    mixture: MixtureSpec | None = None
    report: ReportSpec = field(default_factory=ReportSpec)
    columns: dict[str, ColumnSpec] = field(default_factory=dict)
    labels: dict[str, LabelSpec] = field(default_factory=dict)
    name: str = "study"
    text: str = ""
    folder: Path = Path()
    changes: tuple[str, ...] = ()
    quick: bool = False

    @property
    def estimand(self) -> EstimandName:
        """Scale of effects on times to an event: as declared, or what suits the events."""
        of_cause = self.roles.cause is not None
        return self.outcome.estimand or ("cumulative_incidence" if of_cause else "rmst")

    @property
    def subgroup_margin(self) -> float | None:
        """Difference between subgroups that matters, in outcome units.

        The margin that the file states; if it states none, its minimal important difference; None,
        for the default of the M-learner, if it states neither.
        """
        if self.subgroups.margin is not None:
            return self.subgroups.margin
        return self.outcome.minimal_important_difference or None

    def hash(self) -> str:
        """Return the SHA-256 of the file's text: the identity of the declared analysis.

        What was changed outside of the file counts as well.
        """
        changed = [*(["quick"] if self.quick else []), *self.changes]
        return hashlib.sha256("\n".join([self.text, *changed]).encode()).hexdigest()
