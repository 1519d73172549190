"""Step 2 of the M-learner: a two-dimensional map of the units by t-SNE.

The published step. For a single effect it adds nothing that K-means on the effect itself lacks,
and it cuts the line of effects where the map happens to bend. It is here because it is the
published route, as a picture, and for several effects clustered jointly.

scikit-learn makes the map up to 20,000 units, openTSNE (an optional dependency) beyond. At 1,500 to
3,000 units both take about five seconds of processor time per thousand.

References
----------
van der Maaten, L., Hinton, G. (2008). Visualizing data using t-SNE. Journal of Machine Learning
Research 9, 2579-2605.
Policar, P. G., Strazar, M., Zupan, B. (2024). openTSNE: a modular Python library for t-SNE
dimensionality reduction and embedding. Journal of Statistical Software 109(3), 1-30.
doi:10.18637/jss.v109.i03
Kobak, D., Berens, P. (2019). The art of using t-SNE for single-cell transcriptomics. Nature
Communications 10, 5416. doi:10.1038/s41467-019-13056-x
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import numpy as np
from sklearn.manifold import TSNE

from bayes_hte.effects.arguments import check_number
from bayes_hte.errors import MissingDependencyError, SpecError
from bayes_hte.subgroups.finding.clustering import single_threaded
from bayes_hte.subgroups.finding.distance import MATRIX_LIMIT, effect_distances

AXIS = "axis"
SKLEARN_LIMIT = 20_000
TSNE_LIMIT = 200_000
USUAL_PERPLEXITY = 30.0
# The optimiser of scikit-learn spends its first 250 iterations exaggerating the clusters.
MIN_ITERATIONS = 251


@dataclass(frozen=True)
class Tsne:
    """Options of the t-SNE map.

    Attributes
    ----------
    perplexity : float or None
        Effective number of neighbours of a unit. None means 30, or a third of the other units
        where that is fewer.
    max_iter : int
        Iterations of the optimiser, at least 251. With the default 1,000 units take about 3
        seconds; the map starts from the effects themselves, not from noise, so its large structure
        is there from the beginning.
    """

    perplexity: float | None = None
    max_iter: int = 500


def check_tsne(options: Tsne, n_units: int) -> None:
    """Raise unless a t-SNE map of this number of units can be made with these options.

    Parameters
    ----------
    options : Tsne
        The options.
    n_units : int
        Number of units.

    Raises
    ------
    SpecError
        If there are more than 200,000 or fewer than four units, the perplexity is not at least 1
        and below the number of other units, or `max_iter` is below 251.
    MissingDependencyError
        If there are more than 20,000 units and openTSNE is not installed.
    """
    if not 4 <= n_units <= TSNE_LIMIT:
        raise SpecError(
            f"t-SNE is offered for 4 to {TSNE_LIMIT} units, got {n_units}; use embed='none', "
            "which clusters the effects themselves."
        )
    if options.perplexity is not None:
        check_number(
            "perplexity",
            options.perplexity,
            f"at least 1 and below the {n_units - 1} other units",
            lambda p: 1 <= p < n_units - 1,
            hint=f"try {_perplexity(Tsne(), n_units):.3g}",
        )
    check_number(
        "max_iter",
        options.max_iter,
        f"a whole number, at least {MIN_ITERATIONS}",
        lambda n: n >= MIN_ITERATIONS,
        whole=True,
        hint="try 500",
    )
    if n_units > SKLEARN_LIMIT and importlib.util.find_spec("openTSNE") is None:
        raise MissingDependencyError(
            f"a t-SNE map of {n_units} units (more than {SKLEARN_LIMIT}) needs openTSNE: pip "
            "install 'bayes-hte[large]'; or cluster the effects themselves, embed='none'."
        )


def embed_units(features: np.ndarray, options: Tsne, *, seed: int) -> np.ndarray:
    """Map the units into the plane by t-SNE (Barnes-Hut).

    Up to 5,000 units t-SNE receives the matrix of distances, as published. From there to 20,000
    it receives the features, from which it finds the same neighbours without any unit-by-unit
    matrix. Of more units openTSNE makes the map, with approximate neighbours.

    Parameters
    ----------
    features : ndarray, shape (unit, effect)
        Scaled posterior-mean effects, not all equal.
    options : Tsne
        Perplexity and iterations.
    seed : int
        Seed of the small noise that starts the map off a line.

    Returns
    -------
    ndarray, shape (unit, 2)
        Positions; their scale and orientation mean nothing.

    Raises
    ------
    SpecError, MissingDependencyError
        See :func:`check_tsne`.
    """
    n_units = len(features)
    check_tsne(options, n_units)
    if n_units > SKLEARN_LIMIT:
        return _large_map(features, options, seed)
    by_matrix = n_units <= MATRIX_LIMIT
    tsne = TSNE(
        metric="precomputed" if by_matrix else "euclidean",
        init=_start(features, seed),
        perplexity=_perplexity(options, n_units),
        max_iter=options.max_iter,
        random_state=seed,
    )
    with single_threaded():
        positions = tsne.fit_transform(effect_distances(features) if by_matrix else features)
    return positions.astype(np.float64)


def _large_map(features: np.ndarray, options: Tsne, seed: int) -> np.ndarray:
    """Map many units by openTSNE: Barnes-Hut gradients, approximate neighbours, one thread."""
    from openTSNE import TSNE as LargeTSNE

    exaggerated = MIN_ITERATIONS - 1
    tsne = LargeTSNE(
        perplexity=_perplexity(options, len(features)),
        initialization=_start(features, seed).astype(np.float64),
        early_exaggeration_iter=exaggerated,
        n_iter=options.max_iter - exaggerated,
        # Interpolation by Fourier transforms is slow here: the map of one effect is a long line.
        negative_gradient_method="bh",
        n_jobs=1,
        random_state=seed,
    )
    return np.asarray(tsne.fit(features), dtype=np.float64)


def _perplexity(options: Tsne, n_units: int) -> float:
    if options.perplexity is not None:
        return float(options.perplexity)
    return min(USUAL_PERPLEXITY, (n_units - 1) / 3)


def _start(features: np.ndarray, seed: int) -> np.ndarray:
    """Start from the leading principal components: reproducible in the large."""
    centred = features - features.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    start = np.zeros((len(features), 2))
    for j, axis in enumerate(axes[:2]):
        start[:, j] = centred @ (axis * np.sign(axis[np.abs(axis).argmax()]))
    spread = start[:, 0].std()
    noise = np.random.default_rng(seed).normal(scale=0.01, size=start.shape)
    return (1e-4 * (start / spread + noise)).astype(np.float32)
