"""Designs with known classes: exact population tables, and frames drawn from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayes_hte.effects.arguments import check_generator, check_number
from bayes_hte.mixtures.arrays import Array, Bounds, check_whole, unit_range
from bayes_hte.mixtures.moments.strength import one_hot_correlations
from bayes_hte.mixtures.moments.tables import Moments


@dataclass(frozen=True)
class MixtureDesign:
    """A law of classes, one categorical proxy on each side, treatment and a binary outcome.

    Attributes
    ----------
    joint : ndarray, shape (k, dz, dx, 2)
        P(U=u, Z=z, X=x, T=t).
    mean : ndarray, shape (k, dx, 2)
        E[Y(t) | U=u, X=x]. Constant over x when there is no X-Y edge.
    """

    joint: Array
    mean: Array

    @property
    def probabilities(self) -> Array:
        """P(U=u), shape (k,)."""
        return self.joint.sum(axis=(1, 2, 3))

    @property
    def baseline(self) -> Array:
        """E[Y(t) | U=u], shape (k, 2); X must not depend on T given U."""
        x_given_u = self.joint.sum(axis=(1, 3)) / self.probabilities[:, None]
        return np.einsum("ux,uxt->ut", x_given_u, self.mean)

    @property
    def effects(self) -> Array:
        """E[Y(1) - Y(0) | U=u] in the order of the classes, shape (k,)."""
        return self.baseline[:, 1] - self.baseline[:, 0]

    @property
    def ate(self) -> float:
        """E[Y(1) - Y(0)]."""
        return float(self.probabilities @ self.effects)

    @property
    def cell_law(self) -> Array:
        """The law of the observable variables, P(Z=z, X=x, T=t, Y=y); shape (dz, dx, 2, 2)."""
        events = np.einsum("uzxt,uxt->zxt", self.joint, self.mean)
        return np.stack([self.joint.sum(axis=0) - events, events], axis=-1)


def population_moments(design: MixtureDesign) -> Moments:
    """Exact moments of a design, with one-hot features.

    Parameters
    ----------
    design : MixtureDesign

    Returns
    -------
    Moments
        With ``n_arm`` None.

    Examples
    --------
    >>> from bayes_hte.mixtures import paper_design, population_moments
    >>> population_moments(paper_design(delta=0.5)).mu.tolist()
    [0.5, 0.5]
    """
    mass = np.moveaxis(design.cell_law.sum(axis=-1), -1, 0)
    outcome = np.moveaxis(design.cell_law[..., 1], -1, 0)
    share = mass.sum(axis=(1, 2))
    tables = mass / share[:, None, None]
    _, dz, dx = tables.shape
    return Moments(
        M=tables,
        N=outcome / share[:, None, None],
        mu=mass.sum(axis=(0, 1)),
        q=tables.sum(axis=1),
        c=np.ones(dx),
        arm_share=share,
        canonical=one_hot_correlations(tables),
        bounds=Bounds(phi=unit_range(dx), psi=unit_range(dz), y=(0.0, 1.0)),
    )


def draw_frame(design: MixtureDesign, n: int, *, rng: np.random.Generator) -> pd.DataFrame:
    """Draw independent units from a design.

    Parameters
    ----------
    design : MixtureDesign
    n : int
        Number of units.
    rng : numpy.random.Generator

    Returns
    -------
    DataFrame, shape (n, 5)
        Whole-number columns ``z``, ``x``, ``t``, ``y``, and ``u``, the class, which a study would
        not hold.

    Raises
    ------
    SpecError
        If `n` is not a whole number, 0 or more, or `rng` is not a generator.

    Examples
    --------
    >>> import numpy as np
    >>> from bayes_hte.mixtures import draw_frame, paper_design
    >>> frame = draw_frame(paper_design(), 500, rng=np.random.default_rng(1))
    >>> frame.shape, sorted(frame.columns)
    ((500, 5), ['t', 'u', 'x', 'y', 'z'])
    """
    check_whole("n", n, 0)
    check_generator(rng)
    cells = rng.choice(design.joint.size, size=n, p=design.joint.ravel())
    u, z, x, t = np.unravel_index(cells, design.joint.shape)
    y = (rng.random(n) < design.mean[u, x, t]).astype(np.int64)
    return pd.DataFrame({"z": z, "x": x, "t": t, "y": y, "u": u})


def paper_design(delta: float = 0.5, mu_zt: float = 0.0, mu_xy: float = 0.0) -> MixtureDesign:
    """Build the simulation design of the paper on synthetic potential outcomes.

    Two equally likely classes with opposite effects, everything binary.

    Parameters
    ----------
    delta : float, default 0.5
        Strength of the proxies: P(Z=1 | u) = P(X=1 | u) = (1 - delta)/2 and (1 + delta)/2.
    mu_zt : float, default 0
        Weight of the Z-T edge, 0 to 1; above 0 the design leaves level 2 for level 3.
    mu_xy : float, default 0
        Weight of the X-Y edge, 0 to 1; above 0 only the average effect is identified. At
        ``delta = .5`` the class effects are -+(.75 - .375 mu_xy), and their average is 0.

    Returns
    -------
    MixtureDesign

    Raises
    ------
    SpecError
        If a parameter is out of range.

    References
    ----------
    Mazaheri, Squires, Uhler (2025), AISTATS, PMLR 258.

    Examples
    --------
    >>> from bayes_hte.mixtures import paper_design
    >>> design = paper_design(delta=0.5)
    >>> design.effects.tolist(), design.probabilities.tolist()
    ([-0.75, 0.75], [0.5, 0.5])
    """
    for name, value in (("delta", delta), ("mu_zt", mu_zt), ("mu_xy", mu_xy)):
        check_number(name, value, "between 0 and 1", lambda v: 0 <= v <= 1)
    one = np.array([(1 - delta) / 2, (1 + delta) / 2])
    proxy = np.stack([1 - one, one], axis=1)  # class, level
    treated = np.array([[0.75, 0.75 - mu_zt / 2], [0.25 + mu_zt / 2, 0.25]])  # class, z
    control_mean = np.array([[7 / 8, 7 / 8 - 6 * mu_xy / 8], [1 / 8 + 6 * mu_xy / 8, 1 / 8]])
    arms = np.stack([1 - treated, treated], axis=-1)  # class, z, t
    return MixtureDesign(
        joint=0.5 * np.einsum("uz,ux,uzt->uzxt", proxy, proxy, arms),
        mean=np.stack([control_mean, 1 - control_mean], axis=-1),
    )
