from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bayes_hte.mixtures.moments.simulated import MixtureDesign


def _emissions(k: int, levels: int, rng: np.random.Generator) -> np.ndarray:
    """Class by level probabilities that differ clearly between classes."""
    base = rng.dirichlet(np.full(levels, 5.0), size=k)
    for u in range(k):
        base[u] *= 0.4
        base[u, u::k] += 0.6 / len(range(u, levels, k))
    return base


@pytest.fixture(scope="session")
def random_design() -> Callable[..., MixtureDesign]:
    """Build designs with k separated classes, a Z-T edge and no X-Y edge."""

    def build(k: int, dz: int, dx: int, seed: int) -> MixtureDesign:
        rng = np.random.default_rng(seed)
        shares = rng.dirichlet(np.full(k, 20.0))
        z, x = _emissions(k, dz, rng), _emissions(k, dx, rng)
        treated = rng.uniform(0.2, 0.8, size=(k, dz))
        arms = np.stack([1 - treated, treated], axis=-1)
        y0 = rng.permutation(np.linspace(0.15, 0.8, k))
        effects = np.linspace(-0.5, 0.45, k)[np.argsort(np.argsort(-y0))]
        baseline = np.clip(np.stack([y0, y0 + effects], axis=1), 0.02, 0.98)
        return MixtureDesign(
            joint=np.einsum("u,uz,ux,uzt->uzxt", shares, z, x, arms),
            mean=np.repeat(baseline[:, None, :], dx, axis=1),
        )

    return build
