"""The methods paragraphs, written from the specification, and the works they cite.

A sentence cites a work as ``[@key]``; the bibliography is the list of keys found, so it holds
exactly what the text cites.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bayes_hte.effects.summaries import interval_words
from bayes_hte.reporting.checklists import NAMES, applicable
from bayes_hte.reporting.methods.checks import checks_paragraph
from bayes_hte.reporting.methods.mixture import mixture_paragraph
from bayes_hte.reporting.methods.references import REFERENCES, Reference
from bayes_hte.reporting.page.scale import scale_of
from bayes_hte.reporting.page.words import (
    arm_names,
    estimand_words,
    important,
    important_words,
    people,
    person,
    time_unit,
    unit_phrase,
)
from bayes_hte.reporting.results import Results
from bayes_hte.reporting.tables.flow import assumptions, flow_of
from bayes_hte.reporting.tables.priors import TERM_WORDS
from bayes_hte.reporting.tables.risks import N_GROUPS
from bayes_hte.study.spec import PriorSpec, Spec, bounded_limits

_CITE = re.compile(r"\[@([a-z]+)\]")

_FAMILY = {
    "gaussian": "a Gaussian model with identity link",
    "student_t": "a Student-t model with identity link, whose degrees of freedom were estimated",
    "bernoulli": "a Bernoulli model with logit link",
    "poisson": "a Poisson model with log link",
    "negative_binomial": "a negative binomial model with log link, whose overdispersion was "
    "estimated",
    "lognormal": "an accelerated failure time model with lognormal times; times of those who were "
    "censored were drawn from it in every sweep",
    "loglogistic": "an accelerated failure time model with log-logistic times; times of those who "
    "were censored were drawn from it in every sweep",
    "log_student_t": "an accelerated failure time model with log-Student-t times; times of those "
    "who were censored were drawn from it in every sweep",
    "weibull": "an accelerated failure time model with Weibull times, whose hazards are "
    "proportional; times of those who were censored were drawn from it in every sweep",
    "piecewise_hazard": "a discrete-time hazard model: a Bernoulli model with logit link of the "
    "event in each of up to twenty intervals with equally many events, with the interval among the "
    "covariates, so that hazards need not be proportional and survival curves may cross",
}
_BOUNDED = "a logit-normal model of the scale from {:g} to {:g} [@logitnormal]"
_SURFACE = {
    "forest": "Bayesian sums of regression trees [@bart] that learn which covariates to split on "
    "[@sparse]",
    "gp": "Gaussian processes with a length scale per covariate and inducing points [@fitc]",
    "additive": "a smooth curve for each continuous covariate [@hsgp], with shrinkage between "
    "covariates",
    "linear": "linear functions of the covariates with regularised horseshoe priors [@horseshoe]",
}
_LEARNER = {
    "hierarchical": "one function of the covariates shared by both arms plus a more strongly "
    "shrunk deviation for each arm",
    "prognostic_effect": "a prognostic function of the covariates plus a more strongly shrunk "
    "function for the effect [@bcf]",
    "t": "a separate function of the covariates in each arm (T-learner) [@metalearners]",
    "s": "one function of the covariates and the treatment (S-learner) [@metalearners]",
    "x": "a separate function of the covariates in each arm, from which the effect of each unit "
    "was imputed and modelled in turn (X-learner) [@metalearners]",
    "homogeneous": "one function of the covariates plus an effect that is the same for all",
}

_NOISE = {
    "by_arm": "The noise scale was allowed to differ between the arms.",
    "varying": "The logarithm of the noise scale was a linear function of arm and covariates.",
}


_CLUSTERED = {"kmeans": "K-means", "mixture": "a mixture of normal distributions"}


@dataclass(frozen=True)
class MethodsText:
    """Methods of a run in words.

    Attributes
    ----------
    paragraphs : tuple of str
        Plain text, with works cited by author and year; in the order of a methods section: design,
        models, effects, subgroups and classes where there are any, computation, checks, reporting.
    references : tuple of Reference
        The cited works, each once, in alphabetical order.
    """

    paragraphs: tuple[str, ...]
    references: tuple[Reference, ...]


def methods(results: Results) -> MethodsText:
    """Write the methods of a run, as they were declared and carried out.

    Parameters
    ----------
    results : Results
        A finished run. Every sentence follows from its study file, its data and its results:
        nothing that was not asked for is described.

    Returns
    -------
    MethodsText
        The paragraphs, and the works they cite.
    """
    drafts = [_design(results), _models(results), _effects(results)]
    if results.subgroups:
        drafts.append(_subgroups(results))
    if results.mixture is not None:
        drafts.append(mixture_paragraph(results, results.mixture))
    drafts += [_computation(results), checks_paragraph(results), _reporting(results)]
    cited = {key for draft in drafts for key in _CITE.findall(draft) if key in REFERENCES}
    references = sorted((REFERENCES[key] for key in cited), key=lambda r: r.full.casefold())
    return MethodsText(tuple(_cite(draft) for draft in drafts), tuple(references))


def _cite(draft: str) -> str:
    """Replace citation marks; neighbours share one pair of brackets."""
    shown = _CITE.sub(
        lambda m: f"({REFERENCES[m[1]].short})" if m[1] in REFERENCES else m[0], draft
    )
    return shown.replace(")(", "; ")


def _design(results: Results) -> str:
    spec, study = results.spec, results.study
    reference, other = arm_names(results)
    n_other = int(study.arm_index().sum())
    if "contrast" in results.provenance:
        joint = (
            "The study has further arms. All arms were modelled together, and this report is about "
            f"the contrast {results.provenance['contrast']}."
        )
    else:
        joint = ""
    sentences = [
        f"We analysed {study.n_units} {people(results)}, {n_other} in the arm {other} and "
        f"{study.n_units - n_other} in the arm {reference}, which is the reference.",
        *([joint] if joint else []),
        f"The outcome was {_outcome_words(results)}; {spec.outcome.better} is better).",
        *_times(results),
    ]
    if spec.mediator is not None:
        named = [
            f"{name} ({unit})" if (unit := spec.mediator.of(name).unit) else name
            for name in spec.roles.mediators
        ]
        if spec.roles.post_treatment is not None:
            first, named = named[0], named[1:]
            sentences.append(
                f"The treatment may change {first}, which may affect both mediator and outcome."
            )
        start = "The mediators were" if len(named) > 1 else "The mediator was"
        sentences.append(f"{start} {' and '.join(named)}.")
    sentences.append(
        f"Covariates, measured before treatment, were {', '.join(study.roles.covariates)}."
    )
    sentences += _missing(results)
    if study.roles.weights is not None:
        sentences.append(
            f"Averages over the population weigh units by {study.roles.weights}; the models do not."
        )
    if spec.propensity.assignment == "randomised":
        sentences.append("The treatment was randomised.")
    else:
        sentences.append(
            "The treatment was not randomised; all effects assume no unmeasured confounding given "
            "the covariates."
        )
    if important(results) > 0:
        sentences.append(
            f"The minimal important difference was set to {important_words(results)} "
            f"({spec.outcome.because})."
        )
    return " ".join(sentences)


def _missing(results: Results) -> list[str]:
    """Say how missing values were handled, if there were any."""
    flow, said = flow_of(results), assumptions(results)
    if not said:
        return []
    counts = flow.missing.groupby("column", sort=False)["missing"].sum()
    named = ", ".join(f"{name} ({count})" for name, count in counts.items())
    how = {
        "splits": "Regression trees split on missingness as on any value [@missingsplits].",
        "impute": "Each imputed data set was fitted, and the draws put together [@imputation].",
        "complete": "",
    }[results.study.missing]
    if "covariate" not in set(flow.missing["role"]):
        how = ""
    first = f"Of {flow.recorded} recorded {people(results)}, values were missing in {named}."
    return [first, *([how] if how else []), *said]


def _outcome_words(results: Results) -> str:
    """Name the outcome and, after an open bracket, its unit."""
    spec = results.spec
    if results.study.event is not None and spec.estimand != "rmst":
        return f"the {estimand_words(results)} (from {spec.roles.outcome}, {time_unit(results)}"
    return f"{spec.roles.outcome} ({unit_phrase(results)}"


def _times(results: Results) -> list[str]:
    """Say how many events were seen, and the scale of effects; nothing for other outcomes."""
    event = results.study.event
    if event is None:
        return []
    seen = "The event was seen"
    study = results.study
    if study.causes:
        counts = ", ".join(f"{int(study.event_of(c).sum())} of {c}" for c in study.causes)
        seen = f"Events had the causes {' and '.join(study.causes)} ({counts}). An event was seen"
    if study.roles.upper is not None:
        seen = (
            "Times lie in intervals, whose probability is the likelihood; comparisons without the "
            "model take their middles. An event came within an interval or was seen"
        )
    return [
        f"{seen} in {int(event.sum())} and the time censored in "
        f"{int((~event).sum())}. Effects are differences in the "
        f"{estimand_words(results)}."
    ]


def _models(results: Results) -> str:
    spec = results.spec
    sentences = [
        f"The outcome was modelled with {_family_words(spec.outcome.family)}; its predictor was "
        f"built from {_LEARNER[spec.learner.name]}, using {_SURFACE[spec.outcome.surface]}."
    ]
    if results.study.causes:
        sentences.append(
            "Each cause had such a model of its own, in which an event of another cause ended "
            "observation; risks were computed from the hazards of all causes [@competing]."
        )
    if spec.outcome.stack_with:
        sentences.append(
            f"Further candidates ({', '.join(spec.outcome.stack_with)}) were fitted, and the draws "
            "of all candidates mixed by weights that maximise the leave-one-out predictive score "
            "[@stacking][@psis]."
        )
    if spec.outcome.noise != "constant":
        sentences.append(_NOISE[spec.outcome.noise])
    if spec.roles.cluster is not None:
        sentences.append(
            f"Each {spec.roles.cluster} had an intercept of its own, drawn from a common normal."
        )
    if spec.mediator is not None:
        several = len(spec.roles.mediators) > 1
        sentences.append(
            f"The outcome predictor is {_shape_words(spec, several=several)}. The expected "
            f"mediator of a {spec.roles.unit} given covariates and arm, learned from the others, "
            "has a coefficient of its own [@mundlak]."
        )
        own = [spec.mediator.of(name) for name in spec.roles.mediators]
        sentences += [
            f"The {place}mediator was modelled with {_family_words(model.family)} of the same "
            f"structure, using {_SURFACE[model.surface]}."
            for place, model in zip(("first ", "second ") if several else ("",), own, strict=True)
        ]
        if spec.roles.post_treatment is not None:
            sentences.append(
                f"The first is {spec.roles.post_treatment}, which is no mediator of the question, "
                f"and {spec.roles.mediator_words} was modelled given it."
            )
        elif several:
            sentences.append(
                "The second mediator was modelled given the first, which carries whatever relates "
                "them and claims no order of causes; the joint effect does not depend on it."
            )
    if spec.learner.because:
        sentences.append(f"Reason for this structure: {spec.learner.because}.")
    models = "outcome and mediator models" if spec.mediator else "outcome model"
    use = (
        f"its posterior mean was a further covariate of the {models}"
        if spec.propensity.as_covariate
        else f"it was not used in the {models}"
    )
    sentences.append(
        "The propensity of treatment [@propensity] was modelled with a Bernoulli model with logit "
        f"link, using {_SURFACE[spec.propensity.surface]}; {use}."
    )
    if spec.prior:
        sentences.append("Priors that differ from the defaults of the package, and why:")
        sentences += [
            f"{p.component}, {TERM_WORDS[p.term]}: {_prior_words(p)} ({p.because})."
            for p in spec.prior
        ]
    else:
        sentences.append("All priors were the defaults of the package.")
    return " ".join(sentences)


def _shape_words(spec: Spec, *, several: bool) -> str:
    """Say how the outcome depends on its mediators."""
    alike = spec.learner.name == "homogeneous"
    if spec.outcome.mediator_shape == "spline":
        curves = (
            "one curve for all" if alike else "curves that vary with the covariates and the arm"
        )
        return (
            f"a natural cubic spline of the mediator, shrunk towards a straight line, with {curves}"
        )
    slopes = "one slope for all" if alike else "slopes that vary with the covariates and the arm"
    return f"linear in {'each' if several else 'the'} mediator, with {slopes}"


def _given_confounder(results: Results) -> list[str]:
    """Say how effects were divided where the treatment changes a confounder of the mediator."""
    roles = results.spec.roles
    if roles.post_treatment is None or results.interventional is None:
        return []
    return [
        f"Because the treatment changes {roles.post_treatment}, which affects both "
        f"{roles.mediator_words} and {roles.outcome}, natural direct and indirect effects are not "
        f"identified. We computed interventional ones [@givenconfounder]: {roles.mediator_words} "
        "was drawn from its modelled distribution given the covariates under each arm, by itself, "
        f"with {roles.post_treatment} as under the arm given."
    ]


def _prior_words(prior: PriorSpec) -> str:
    scale, trees, sparse = prior.scale, prior.trees, prior.sparse
    words = [] if scale is None else [f"prior standard deviation {scale:g} in standardised units"]
    words += [] if trees is None else [f"{trees} trees"]
    if sparse is not None:
        words += [f"{'sparse' if sparse else 'equally probable'} splits"]
    return " and ".join(words) or "default"


def _effects(results: Results) -> str:
    sentences = []
    if "tnie" in results.effects:
        sentences.append(
            f"For every posterior draw and {person(results)} we computed the expected outcome "
            "under each arm with the mediator as it would be under each arm, integrating over the "
            "modelled distribution of the mediator (g-formula), and from these the total, "
            "the total and pure natural indirect, and the pure and total natural direct effects "
            "[@explanation][@mediation]. The outcome and mediator models share no parameters, "
            "so draws were paired by index. Natural effects assume sequential ignorability of "
            "the mediator [@ignorability], which randomising the treatment does not provide."
        )
        if results.interventional is not None:
            sentences.append(
                "These natural effects are of both mediators together. The joint indirect effect "
                "was divided into interventional effects through each mediator, which move its "
                "distribution given covariates by itself, and a remainder, the change of their "
                "dependence [@interventional]."
            )
        if results.controlled is not None:
            values = ", ".join(f"{v:g}" for v in results.controlled["mediator_value"].to_numpy())
            sentences.append(
                f"Controlled direct effects hold {results.spec.roles.mediator_words} at {values}."
            )
    else:
        sentences.append(
            f"For every posterior draw and {person(results)} we computed the expected outcome "
            "under each arm; the effect is their difference."
        )
        sentences += _given_confounder(results)
    populations = {
        "SATE": f"the {people(results)} of the study (SATE)",
        "PATE": "the population they come from (PATE), by the Bayesian bootstrap [@bootstrap]",
        "ATT": "the treated (ATT)",
        "ATC": "the controls (ATC)",
    }
    by_prediction = ""
    if results.reference_outcome is not None:
        by_prediction = (
            f", and over {N_GROUPS} groups by the outcome expected under the reference arm [@path]"
        )
    over = ", ".join(populations[str(name)] for name in results.populations.data_vars)
    sentences.append(
        f"Effects were averaged within each draw over {over}{by_prediction}. Draws were averaged "
        "first and summarised last. We report posterior means, the "
        f"{interval_words(**results.interval)}, and posterior probabilities."
    )
    return " ".join(sentences)


def _subgroups(results: Results) -> str:
    found = list(results.subgroups.values())
    first = found[0]
    mapped = ", mapped by t-SNE [@tsne]," if first.embedding is not None else ""
    names = " and ".join(name.upper() for name in results.subgroups)
    size = scale_of(results.spec).sized
    margins = "; ".join(f"{name.upper()} {size(g.margin)}" for name, g in results.subgroups.items())
    sentences = [
        f"Subgroups by the individual {names} were sought with a form of the M-learner "
        f"[@mlearner]: the posterior-mean effects{mapped} were clustered by "
        f"{_CLUSTERED[results.spec.subgroups.clusters]} with "
        f"2 to {results.spec.subgroups.largest_k} clusters, clusters were described by a "
        "classification tree on the covariates [@cart], clusters whose separation adds little "
        "were merged, and the number of clusters was chosen by the held-out fit of the tree less a "
        "price per leaf.",
        "Subgroups are declared if the posterior probability that the mean effects of the most "
        f"different subgroups differ by more than a margin ({margins}) is at least "
        f"{first.required_probability:g}.",
        _where_judged(results),
    ]
    if results.evidence:
        sentences.append(
            "How well they summarise the individual effects is described by the share of variance "
            "the profile explains in each draw [@projection] and by the partition with the "
            "smallest expected variation of information, with its credible ball [@partition]."
        )
    if results.spec.subgroups.because:
        sentences.append(f"Reason for these settings: {results.spec.subgroups.because}.")
    return " ".join(sentences)


def _where_judged(results: Results) -> str:
    if not results.honest:
        return (
            "Subgroups were found and judged on the same data, so this probability is not an "
            "error rate."
        )
    return (
        "To declare them, each half of the study was fitted alone. A regression tree of the "
        "posterior-mean effects of one half (two to six leaves) named the units with the "
        "highest and the lowest; such units were compared in the other half, both ways, and the "
        "two differences averaged draw by draw [@honest]."
        + (
            " The size of a declared difference is from a further fit of each half, in which the "
            "groups compared have means of their own that are not shrunk towards each other."
            if any(found.unshrunk is not None for found in results.honest.values())
            else ""
        )
    )


def _reporting(results: Results) -> str:
    """Name the checklists the report fills."""
    names = [f"{NAMES[key]} [@{key}]" for key in applicable(results)]
    return f"The report comes with filled reporting checklists: {', '.join(names)}."


def _family_words(family: str) -> str:
    limits = bounded_limits(family)
    return _FAMILY[family] if limits is None else _BOUNDED.format(*limits)


def _computation(results: Results) -> str:
    spec = results.spec
    # The propensity model is always Bernoulli.
    surfaces_used = [spec.outcome.surface, *(c.split("/")[-1] for c in spec.outcome.stack_with)]
    models = [(surface, spec.outcome.family) for surface in surfaces_used]
    models.append((spec.propensity.surface, "bernoulli"))
    for name in spec.roles.mediators if spec.mediator is not None else ():
        own = spec.mediator.of(name)
        models.append((own.surface, own.family))
    surfaces = {surface for surface, _ in models}
    sentences = [
        f"Models were specified in PyMC [@pymc] and sampled with {spec.sampler.chains} chains of "
        f"{spec.sampler.draws} draws after {spec.sampler.tune} tuning draws, seed "
        f"{spec.sampler.seed}."
    ]
    if "forest" in surfaces:
        sentences.append(
            "Trees were updated one at a time by Metropolis-Hastings steps with conjugate leaf "
            "draws [@bart], and the probabilities of the covariates by Gibbs steps [@sparse]."
        )
    if surfaces - {"forest", "gp"}:
        sentences.append("Coefficients were drawn jointly from their normal distribution.")
    direct = {family for surface, family in models if surface != "gp"}
    if direct:
        sentences.append("Scales and noise parameters were drawn by slice sampling [@slice].")
    if direct & {"bernoulli", "negative_binomial"}:
        sentences.append(
            "Binary and overdispersed columns used Polya-Gamma augmentation [@polyagamma]."
        )
    if "poisson" in direct:
        sentences.append(
            "Counts used an auxiliary mixture of normals for the Poisson likelihood [@auxiliary]."
        )
    if ("gp", "gaussian") in models:
        sentences.append(
            "Gaussian processes of Gaussian columns were sampled by the No-U-Turn sampler of "
            "nutpie [@nuts] with their weights integrated out."
        )
    elif "gp" in surfaces:
        sentences.append("Gaussian processes were sampled by the No-U-Turn sampler [@nuts].")
    packages = results.provenance.get("versions", {})
    if packages:
        listed = ", ".join(f"{name} {version}" for name, version in packages.items())
        sentences.append(f"Software: {listed}.")
    return " ".join(sentences)
