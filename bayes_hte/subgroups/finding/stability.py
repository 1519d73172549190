"""The dependence of the discovery on its seed: the same effects, other random starts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from joblib import Parallel, delayed
from sklearn.metrics import adjusted_rand_score

from bayes_hte.effects.arguments import check_number
from bayes_hte.names import SAMPLE, UNIT
from bayes_hte.seeds import check_seed, several_seeds
from bayes_hte.study.study import Study
from bayes_hte.subgroups.effect_draws import as_effects
from bayes_hte.subgroups.finding.discovery import find_profile
from bayes_hte.subgroups.finding.embedding import Tsne
from bayes_hte.subgroups.finding.profile import Profile
from bayes_hte.subgroups.finding.search import Clusters
from bayes_hte.subgroups.membership import posterior_mean


@dataclass(frozen=True, eq=False)
class Stability:
    """The discoveries of several seeds, compared.

    Attributes
    ----------
    runs : DataFrame
        One row per seed; the first is that of the analysis. Index ``seed``; ``subgroups``,
        ``leaves``, ``covariates`` of the profile (sorted, as text), ``agreement`` (adjusted Rand
        index of the units' subgroups with those of the first row).
    pairwise : DataFrame, shape (seed, seed)
        Adjusted Rand index of every two runs.
    mean_agreement, least_agreement : float
        Mean and minimum over the pairs of different runs.
    same_number : float
        Share of the other seeds that find as many subgroups as the first.
    same_covariates : float
        Share of the other seeds whose profile has the same covariates.
    """

    runs: pd.DataFrame
    pairwise: pd.DataFrame
    mean_agreement: float
    least_agreement: float
    same_number: float
    same_covariates: float


def discovery_stability(
    effect: xr.DataArray | xr.Dataset,
    study: Study,
    *,
    seed: int,
    n_seeds: int = 20,
    n_jobs: int = 1,
    largest_k: int = 5,
    clusters: Clusters = "kmeans",
    embed: Literal["none", "tsne"] | Tsne = "none",
    leaf_share: float = 0.1,
    leaf_price: float = 0.05,
) -> Stability:
    """Repeat the discovery with other seeds.

    The seed decides the starts of K-means, the folds that prune the tree, and the t-SNE map. The
    comparison is about the algorithm alone, on the same posterior means: a discovery may be
    perfectly stable and yet be noise.

    Parameters
    ----------
    effect, study, seed, largest_k, clusters, embed, leaf_share, leaf_price
        As given to :func:`~bayes_hte.subgroups.m_learner`.
    n_seeds : int, default 20
        Runs in all, at least 2; the first has `seed`, the others get seeds derived from it.
    n_jobs : int, default 1
        Processes.

    Returns
    -------
    Stability

    Raises
    ------
    DataError, SpecError
        As in :func:`~bayes_hte.subgroups.m_learner`; SpecError also if there are fewer than two
        runs.

    References
    ----------
    Hubert, L., Arabie, P. (1985). Comparing partitions. Journal of Classification 2, 193-218.
    doi:10.1007/BF01908075

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> from bayes_hte.subgroups import discovery_stability
    >>> trial = hte.simulate_mediation(np.random.default_rng(1), n=100)
    >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
    >>> study = hte.Study.from_frame(trial.frame, **roles)
    >>> effect = xr.DataArray([[trial.effects["te"]] * 20], dims=["chain", "draw", "unit"])
    >>> found = discovery_stability(effect, study, seed=1, n_seeds=2, largest_k=2)
    >>> found.mean_agreement, found.runs["covariates"].tolist()
    (1.0, ['x1', 'x1'])
    """
    check_seed(seed)
    check_number(
        "n_seeds",
        n_seeds,
        "a whole number, at least 2",
        lambda n: n >= 2,
        whole=True,
        hint="try 20",
    )
    means = xr.Dataset({str(i): _mean_alone(e) for i, e in enumerate(as_effects(effect, study))})
    options = {
        "largest_k": largest_k,
        "clusters": clusters,
        "embed": embed,
        "leaf_share": leaf_share,
        "leaf_price": leaf_price,
    }
    first = find_profile(means, study, seed=seed, **options).profile
    others = several_seeds(seed, n_seeds - 1)
    found = Parallel(n_jobs=n_jobs)(
        delayed(find_profile)(means, study, seed=s, **options) for s in others
    )
    return _compare([seed, *others], [first, *(f.profile for f in found)], study)


def _mean_alone(effect: xr.DataArray) -> xr.DataArray:
    """Return the posterior means as if they were one draw: the discovery uses nothing else."""
    return (
        effect.isel({d: [0] for d in SAMPLE})
        .transpose(*SAMPLE, UNIT)
        .copy(data=posterior_mean(effect)[np.newaxis, np.newaxis])
    )


def _compare(seeds: list[int], profiles: list[Profile], study: Study) -> Stability:
    covariates = study.filled_covariates()
    labels = [p.assign(covariates) for p in profiles]
    agreement = np.eye(len(labels))
    for i, j in itertools.combinations(range(len(labels)), 2):
        agreement[i, j] = agreement[j, i] = adjusted_rand_score(labels[i], labels[j])
    index = pd.Index(seeds, name="seed")
    runs = pd.DataFrame(
        {
            "subgroups": [p.leaves["subgroup"].nunique() for p in profiles],
            "leaves": [len(p.leaves) for p in profiles],
            "covariates": [", ".join(sorted(p.covariates)) for p in profiles],
            "agreement": agreement[0],
        },
        index=index,
    )
    different = agreement[np.triu_indices(len(labels), k=1)]
    return Stability(
        runs=runs,
        pairwise=pd.DataFrame(agreement, index=index, columns=index),
        mean_agreement=float(different.mean()),
        least_agreement=float(different.min()),
        same_number=float((runs["subgroups"].iloc[1:] == runs["subgroups"].iloc[0]).mean()),
        same_covariates=float((runs["covariates"].iloc[1:] == runs["covariates"].iloc[0]).mean()),
    )
