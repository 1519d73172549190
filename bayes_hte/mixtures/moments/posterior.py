"""The moment posterior: classes, their effects and the average effect, refused where unreliable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd
import xarray as xr
from scipy.optimize import linear_sum_assignment

from bayes_hte.effects.arguments import check_generator
from bayes_hte.effects.summaries import CiKind, check_interval, interval, interval_parameters
from bayes_hte.errors import DataError, NotIdentifiedError, unknown_name
from bayes_hte.mixtures.arrays import Array
from bayes_hte.mixtures.identification import Identifiability
from bayes_hte.mixtures.moments.data import MixtureData, empirical_moments
from bayes_hte.mixtures.moments.diagnostics import (
    MixtureDiagnostics,
    classes_carried,
    commutator_test,
    label_gap,
    notes,
    rank_tests,
    shares_of_draws,
)
from bayes_hte.mixtures.moments.solution import (
    MixtureSolution,
    refuse_classes,
    solve_all,
    solve_mixture,
)
from bayes_hte.mixtures.moments.solver import Method, StackSolution
from bayes_hte.mixtures.moments.strength import strength_grade, weakness
from bayes_hte.mixtures.moments.tables import Moments, number_of_classes
from bayes_hte.mixtures.moments.uncertainty import bootstrap_moments, dirichlet_moments, is_discrete
from bayes_hte.names import ARM, CHAIN, CLASS, DRAW, SAMPLE

FEATURE: Final = "x_feature"
RESAMPLING: Final[dict[str, str]] = {
    "dirichlet": "cell law of discrete data, Dirichlet(counts + 1/2)",
    "bootstrap": "Bayesian bootstrap of the rows",
}
LABELS: Final[dict[str, str]] = {
    "effect": "classes of every draw in ascending order of effect",
    "reference": "classes of every draw matched to the point solution by their outcome means",
}


@dataclass(frozen=True)
class MomentPosterior:
    """Posterior of a mixture of treatment effects by moments.

    Attributes
    ----------
    draws : Dataset, dims (chain, draw, ...)
        ``effects`` and ``probabilities`` (class), ``class_means`` (class, arm),
        ``arm_probabilities`` (class, arm: P(U=u | T=t)), ``proxy_means`` (class, x_feature),
        ``ate``, ``arm_means`` (arm), ``solved`` and ``in_range`` (whether a draw has a solution,
        and one inside all ranges). Outcome units. Class variables are NaN in unsolved draws, and
        in all draws when class effects are refused. Attributes: method, resampling and labels.
    point : MixtureSolution
        Of the rows themselves; NaN for classes when they are refused.
    diagnostics : MixtureDiagnostics
    identifiability : Identifiability
        Of the declared graph.
    refused : tuple of str
        Why class effects are not reported; empty when they are.
    n_arm : ndarray, shape (2,)
    ate_rank : int
        Coordinates kept for the average effect: k, or more when the proxies carry more.
    """

    draws: xr.Dataset
    point: MixtureSolution
    diagnostics: MixtureDiagnostics
    identifiability: Identifiability
    refused: tuple[str, ...]
    n_arm: Array
    ate_rank: int

    @interval_parameters
    def summary(
        self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti", within_ranges: bool = False
    ) -> pd.DataFrame:
        """Summarise effects, probabilities and the average effect.

        Parameters
        ----------
        within_ranges : bool, default False
            Whether to use only draws whose class means are all possible: the posterior given that
            level 3 holds. More accurate when it does and many draws are out of range (error of the
            effects a third smaller on the paper's design with a thousand rows), wrong when it does
            not.

        Returns
        -------
        DataFrame
            Index ``quantity``, ``class`` (-1 for the average effect); columns ``median``,
            ``ci_lower``, ``ci_upper``, ``ci_prob``, ``ci_kind``, ``share_used`` (of the draws) and
            ``note``. Medians, as ratios of moments need not have a mean. Refused quantities are
            NaN with the reason in ``note``.

        Raises
        ------
        NotIdentifiedError
            If `within_ranges` is asked for and class effects are refused.
        """
        check_interval(ci_prob, ci_kind)
        if within_ranges and self.refused:
            raise NotIdentifiedError(
                "within_ranges conditions on classes that are refused here: "
                f"{' '.join(self.refused)} Use within_ranges=False for the average effect."
            )
        solved = self.draws["in_range" if within_ranges else "solved"]
        # The average effect needs no classes.
        used = {"ate": solved if within_ranges else xr.ones_like(solved)}
        classes = [(name, u) for name in ("effects", "probabilities") for u in range(self.point.k)]
        rows = []
        for name, label in [("ate", -1), *classes]:
            draws = self.draws[name] if label < 0 else self.draws[name].isel({CLASS: label})
            usable = used.get(name, solved)
            kept = draws.where(usable).to_numpy().ravel()
            numbers = median_and_interval(kept[np.isfinite(kept)], ci_prob, ci_kind)
            notes_of = self.refused if label >= 0 and self.refused else self.diagnostics.notes
            rows.append(
                {
                    "quantity": name,
                    CLASS: label,
                    **dict(zip(("median", "ci_lower", "ci_upper"), numbers, strict=True)),
                    "ci_prob": ci_prob,
                    "ci_kind": ci_kind,
                    "share_used": float(usable.mean()),
                    "note": " ".join(notes_of),
                }
            )
        return pd.DataFrame(rows).set_index(["quantity", CLASS])


def median_and_interval(
    draws: Array, ci_prob: float, ci_kind: CiKind
) -> tuple[float, float, float]:
    """Return the median and the interval of draws, shape (n,); NaN with fewer than two draws."""
    if len(draws) < 2:
        return (np.nan, np.nan, np.nan)
    bounds = interval(xr.DataArray(draws[None], dims=SAMPLE), ci_prob=ci_prob, ci_kind=ci_kind)
    return float(np.median(draws)), *(float(bound) for bound in bounds)


def moment_posterior(
    data: MixtureData,
    graph: Identifiability,
    *,
    rng: np.random.Generator,
    draws: int = 2000,
    method: Method = "joint",
    resampling: Literal["dirichlet", "bootstrap"] | None = None,
    labels: Literal["effect", "reference"] = "effect",
) -> MomentPosterior:
    """Draw from the moment posterior of a mixture of treatment effects.

    Parameters
    ----------
    data : MixtureData
    graph : Identifiability
        Of the declared graph; gives k. Nothing above its level is reported.
    rng : numpy.random.Generator
    draws : int, default 2000
    method : {"joint", "operator"}, default "joint"
        See :func:`bayes_hte.mixtures.moments.solution.solve_moments`.
    resampling : {"dirichlet", "bootstrap"}, optional
        Posterior of the law of the rows; default Dirichlet for discrete data, else bootstrap.
    labels : {"effect", "reference"}, default "effect"
        How classes are matched between draws; ``"reference"`` when effects are close and baselines
        are not. Without a point solution to refer to, ``"effect"`` is used.

    Returns
    -------
    MomentPosterior

    Raises
    ------
    NotIdentifiedError
        If the graph does not identify even the average effect, or k exceeds the features.
    DataError
        If an arm is empty or ``"dirichlet"`` does not suit the data.
    SpecError
        If an option is unknown or out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from bayes_hte import mixtures
    >>> rows = mixtures.draw_frame(mixtures.paper_design(), 4000, rng=np.random.default_rng(1))
    >>> data = mixtures.mixture_arrays(rows["z"], rows["x"], rows["t"], rows["y"])
    >>> graph = mixtures.identifiability(k=2, z_levels=[2], x_levels=[2], edges=["Z-T"])
    >>> found = mixtures.moment_posterior(data, graph, rng=np.random.default_rng(2), draws=500)
    >>> found.summary().loc["effects", "median"].round(1).tolist()  # truth: -0.75, 0.75
    [-0.8, 0.8]
    """
    graph.require("ate")
    check_generator(rng)
    if labels not in LABELS:
        raise unknown_name("labels", labels, LABELS)
    if data.n_arm.min() < 1:
        raise DataError("one arm has no rows; effects need both arms.")
    point = empirical_moments(data)
    k = number_of_classes(point, graph.k)
    choice = resampling or ("dirichlet" if is_discrete(data) else "bootstrap")
    sampled = _draw_moments(data, draws, rng, choice)
    rank = rank_tests(point, sampled)
    ate_rank = max(k, classes_carried(rank))
    solution = solve_mixture(point, k=k, method=method, ate_rank=ate_rank)
    stack = solve_all(sampled, k, method, ate_rank)
    found = _diagnose(point, sampled, stack, solution, rank, k)
    unidentified = () if "effects" in graph.identified else graph.reasons
    refused = (*unidentified, *weakness(solution.strength, k))
    order = _matching(stack, solution) if labels == "reference" else None
    how = {"method": method, "resampling": choice, "labels": "effect" if order is None else labels}
    return MomentPosterior(
        draws=_dataset(stack, data, order, bool(refused)).assign_attrs(how),
        point=refuse_classes(solution, unidentified),
        diagnostics=found,
        identifiability=graph,
        refused=refused,
        n_arm=data.n_arm,
        ate_rank=ate_rank,
    )


def _draw_moments(
    data: MixtureData, draws: int, rng: np.random.Generator, resampling: str
) -> Moments:
    """Draw moments by the named posterior of the rows."""
    if resampling not in RESAMPLING:
        raise unknown_name("resampling", resampling, RESAMPLING)
    draw = dirichlet_moments if resampling == "dirichlet" else bootstrap_moments
    return draw(data, draws, rng=rng)


def _diagnose(
    point: Moments,
    sampled: Moments,
    stack: StackSolution,
    solution: MixtureSolution,
    rank: pd.DataFrame,
    k: int,
) -> MixtureDiagnostics:
    """Collect every diagnostic."""
    grade = strength_grade(solution.strength)
    carried = classes_carried(rank)
    commutator = commutator_test(point, sampled, k)
    gap = label_gap(stack.effects)
    failed, out_of_range, by_reason = shares_of_draws(stack)
    return MixtureDiagnostics(
        strength=solution.strength,
        grade=grade,
        condition=solution.condition,
        rank=rank,
        classes_carried=carried,
        commutator=commutator,
        label_gap=gap,
        failed_share=failed,
        out_of_range_share=out_of_range,
        shares=by_reason,
        notes=notes(k, grade, carried, commutator, gap, failed),
    )


def _matching(stack: StackSolution, solution: MixtureSolution) -> Array | None:
    """Order of the classes of each draw that fits the point solution best, shape (B, k)."""
    target = solution.baseline
    if not np.isfinite(target).all():
        return None
    order = np.tile(np.arange(solution.k), (len(stack.effects), 1))
    for row in np.flatnonzero(stack.solved):
        cost = ((target[:, None, :] - stack.y[row][None]) ** 2).sum(axis=-1)
        order[row] = linear_sum_assignment(cost)[1]
    return order


def _dataset(
    stack: StackSolution, data: MixtureData, order: Array | None, refuse: bool
) -> xr.Dataset:
    """Name the dims of the draws; one chain, as the draws are independent."""
    by_class = {
        "effects": ((CLASS,), stack.effects),
        "probabilities": ((CLASS,), stack.probabilities),
        "class_means": ((CLASS, ARM), stack.y),
        "arm_probabilities": ((CLASS, ARM), np.swapaxes(stack.pi, 1, 2)),
        "proxy_means": ((CLASS, FEATURE), stack.phi),
    }
    values = {
        "ate": ((), stack.arm_means[:, 1] - stack.arm_means[:, 0]),
        "arm_means": ((ARM,), stack.arm_means),
        "solved": ((), stack.solved),
        "in_range": ((), ~stack.failed),
    }
    for name, (dims, kept) in by_class.items():
        if order is not None:
            kept = np.take_along_axis(kept, order.reshape(*order.shape, *[1] * (kept.ndim - 2)), 1)
        values[name] = (dims, np.full_like(kept, np.nan) if refuse else kept)
    variables = {
        name: ((CHAIN, DRAW, *dims), array[None]) for name, (dims, array) in values.items()
    }
    n_draws, k = stack.effects.shape
    coords = {
        CHAIN: [0],
        DRAW: np.arange(n_draws),
        CLASS: np.arange(k),
        ARM: list(data.arms),
        FEATURE: list(data.x.names),
    }
    return xr.Dataset(variables, coords=coords)
