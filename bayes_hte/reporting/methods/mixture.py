"""The methods paragraph on the mixture.

Works are cited as ``[@key]``, as everywhere in the methods text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayes_hte.reporting.results import Results
from bayes_hte.study.spec import MixtureSpec

if TYPE_CHECKING:
    from bayes_hte.mixtures import MixtureFit

_TREATMENT = {
    2: "the treatment given the class",
    3: "the treatment given class and treatment-side proxies",
    4: "the treatment given class and treatment-side proxies",
}
_OUTCOME = {
    2: "the outcome given class and treatment",
    3: "the outcome given class and treatment",
    4: "the outcome given class, treatment and outcome-side proxies",
}
_RESAMPLING = {
    "dirichlet": "Dirichlet draws of the cell probabilities",
    "bootstrap": "a Bayesian bootstrap of the rows [@bootstrap]",
}


def _classes(declared: MixtureSpec) -> str:
    """The class, with the columns that its probability depends on."""
    if not declared.class_covariates:
        return "class"
    return f"class given {', '.join(declared.class_covariates)} (softmax regression)"


def mixture_paragraph(results: Results, fit: MixtureFit) -> str:
    """Write how the classes of a mixture were found, and their assumptions.

    Parameters
    ----------
    results : Results
        A finished run whose study file declares a mixture.
    fit : MixtureFit
        Its fit.

    Returns
    -------
    str
        A paragraph with marks of citation.
    """
    declared, graph = results.spec.mixture, fit.identifiability
    assert declared is not None
    edges = ", ".join(declared.edges) or "none"
    sentences = [
        f"A mixture of {graph.k} classes that nobody measured (latent classes) was declared, with "
        "the treatment-side proxies "
        f"{', '.join(declared.z_proxies)} and the outcome-side proxies "
        f"{', '.join(declared.x_proxies)}; edges beyond the class that were not ruled out: {edges} "
        f"({declared.because}).",
        f"The declared graph reaches level {graph.level} of the hierarchy of causal mixtures "
        "[@spo][@tensor], so we report its "
        + ("average effect only." if graph.level == 4 else "class effects and probabilities."),
        f"The likelihood, with the class summed out, models {_classes(declared)}, proxies given "
        f"the class, {_TREATMENT[fit.level]}, and {_OUTCOME[fit.level]}, with flat Dirichlet "
        "priors of probabilities and weakly informative normal priors of treatment and outcome; it "
        "was "
        f"sampled by the No-U-Turn sampler of nutpie [@nuts] with {results.spec.sampler.chains} "
        f"chains of {declared.draws} draws after {declared.tune} tuning draws.",
    ]
    if fit.moments is not None:
        how = _RESAMPLING[str(fit.moments.draws.attrs["resampling"])]
        sentences.append(
            "The same quantities were computed from moments by arm, class effects as eigenvalues "
            f"[@spo] and the average effect by the proximal equation [@proximal], for {how}. "
            "Medians further apart than 1.5 standard deviations of the moments (2.2 of the "
            "difference, where the likelihood is far more precise) count as "
            "disagreement [@hausman]."
        )
    return " ".join(sentences)
