"""Subgroups of all units, with the decision of the same units on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.arguments import Better
from bayes_hte.effects.summaries import (
    CiKind,
    interval_parameters,
    interval_words,
    probability_words,
    summarize,
)
from bayes_hte.errors import NotJudgedError, unknown_name
from bayes_hte.names import SUBGROUP, UNIT
from bayes_hte.subgroups.finding.borders import border_table, membership_by_borders
from bayes_hte.subgroups.finding.profile import Profile
from bayes_hte.views import counted, draw, html_block

PLOTS = ("effects", "membership")
MOST_COLUMNS = 400  # of a figure of memberships

_NOT_JUDGED = (
    "these subgroups have no {0!r}: the same units suggested and judged them. For a decision whose "
    "errors are rare write hte.m_learner(fit, effect='te', seed=1).{0}, which fits each half of "
    "the units again and judges it by the other; for the optimistic answer write {0}_in_sample."
)


@dataclass(frozen=True, eq=False)
class Subgroups:
    """Subgroups of units with similar effects, and whether the data support them.

    The profile defines the subgroups: two units with the same covariates are in the same subgroup.
    They are found and judged on the same units and draws, so the decision is optimistic, and its
    names say in-sample. There is no `declared` and no `probability`: these are of the honest rule,
    ``m_learner(fit, effect=..., seed=...)``, whose result is
    :class:`~bayes_hte.subgroups.JudgedSubgroups`.

    Attributes
    ----------
    declared_in_sample : bool
        Whether there are at least two subgroups and `probability_in_sample` reaches
        `required_probability`. True in 15 to 42% of simulated trials without any difference.
    probability_in_sample : float
        Posterior probability that `contrast` exceeds `margin`, given the data. Draws are averaged
        within subgroups first.
    required_probability : float
        The smallest probability with which subgroups are declared.
    margin : float
        Region of practical equivalence, in outcome units: smaller differences between subgroups do
        not matter.
    reason : str
        The decision in a sentence.
    labels : DataArray, dims (unit,)
        Subgroup of each unit, 0 to K - 1, ordered by mean effect.
    membership : DataArray, dims (unit, subgroup)
        Share of draws in which the effect of the unit is nearest to the mean effect of the
        subgroup in that draw; rows sum to 1. It says whom a unit resembles, not whether its effect
        is other than 0: just inside a border where effects start to rise, a unit resembles the
        rest.
    effects : DataArray, dims (chain, draw, subgroup)
        Average effect of the units of each subgroup, in outcome units.
    contrast : DataArray, dims (chain, draw)
        Effect of the subgroup with the highest posterior-mean effect minus that of the lowest.
        Signed: a draw in which they change places counts against the claim.
    profile : Profile
        The definition of each subgroup, in words and as a tree.
    embedding : DataArray, dims (unit, axis), or None
        The t-SNE map that was clustered, if one was.
    candidates : DataFrame
        One row per number of clusters `k`: ``subgroups`` and ``leaves`` of its best tree,
        ``tree_fit`` (held-out R-squared), ``price_per_leaf``, ``score``, ``agreement`` (share of
        units whose cluster is that of their leaf), ``chosen``.
    clear_membership : float
        A unit whose largest membership is below this counts as uncertain.
    uncertain_share : float
        Share of uncertain units.
    effect_name : str
        Short name of the effect, e.g. ``"tnie"``.
    scales : ndarray, shape (effect,)
        The divisor of each clustered effect in distances; 1 for a single effect.
    cuts : DataArray, dims (chain, draw, node)
        Each cut of the profile, found again in every draw; :meth:`borders` summarises them.
    """

    declared_in_sample: bool
    probability_in_sample: float
    required_probability: float
    margin: float
    reason: str
    labels: xr.DataArray
    membership: xr.DataArray
    effects: xr.DataArray
    contrast: xr.DataArray
    profile: Profile
    embedding: xr.DataArray | None
    candidates: pd.DataFrame
    clear_membership: float
    uncertain_share: float
    effect_name: str
    scales: np.ndarray
    cuts: xr.DataArray

    def __repr__(self) -> str:
        """Say how many subgroups there are, of which effect, and what was decided."""
        return (
            f"{type(self).__name__}({counted(self.effects.sizes[SUBGROUP], 'subgroup')} of "
            f"{self.effect_name} among {counted(self.labels.size, 'unit')}; {self._decided()})"
        )

    def _decided(self) -> str:
        said = "declared" if self.declared_in_sample else "not declared"
        return f"{said} in-sample, probability {probability_words(self.probability_in_sample)}"

    def _repr_html_(self) -> str:
        """Show the decision, the rules of the subgroups and their effects."""
        facts = {"effect": self.effect_name, "decision": self._decided(), "margin": self.margin}
        table = self.summary()[["n", "share", "mean_membership", "mean", "ci_lower", "ci_upper"]]
        rules = self.profile.leaves.groupby("subgroup")["rule"].agg(" or ".join)
        table.insert(0, "rule", rules.reindex(table.index).to_numpy())
        said = f"{self.reason} In the table: {interval_words(0.95)}."
        return html_block(type(self).__name__, facts, sentences=[said], table=table)

    def plot(self, kind: str = "effects", *, better: Better | None = None, **look: Any) -> Any:
        """Draw the effect of each subgroup, or who belongs to which.

        Parameters
        ----------
        kind : {"effects", "membership"}
            The mean effect of each subgroup with its 95% interval, or the membership probabilities
            of the units (of many units an even selection).
        better : {"higher", "lower"}, optional
            Good direction of the outcome: subgroups are then called A, B, ... by benefit, as in
            reports, and else by their numbers.
        **look
            Options of :func:`bayes_hte.plots.plot_subgroup_forest` or
            :func:`bayes_hte.plots.plot_membership`.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        SpecError
            If the kind is unknown.

        Examples
        --------
        >>> import numpy as np
        >>> import xarray as xr
        >>> import bayes_hte as hte
        >>> trial = hte.simulate_mediation(np.random.default_rng(1), n=100)
        >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
        >>> study = hte.Study.from_frame(trial.frame, **roles)
        >>> effect = xr.DataArray([[trial.effects["te"]] * 20], dims=["chain", "draw", "unit"])
        >>> groups = hte.m_learner(effect, study, seed=1, largest_k=2)
        >>> len(groups.plot().axes[0].get_yticklabels())
        2
        """
        if kind not in PLOTS:
            raise unknown_name("kind of figure", str(kind), PLOTS)
        names = self._names(better)
        if kind == "membership":
            order = np.lexsort((self.membership[:, -1].to_numpy(), self.labels.to_numpy()))
            kept = order[:: max(1, len(order) // MOST_COLUMNS)]
            shown = self.membership[kept].to_pandas().set_axis(names, axis=1)
            return draw("plot_membership", shown, **look)
        table = self.summary().rename(columns={"n": "n_units"})
        table = table.assign(group=names, is_subgroup=True)
        return draw("plot_subgroup_forest", table, **look | {"better": better})

    def _names(self, better: Better | None) -> list[str]:
        """Return the names of the subgroups for readers, in the order of their numbers."""
        from bayes_hte.subgroups.describing.effect_table import subgroup_labels

        numbers = self.effects[SUBGROUP].to_numpy().tolist()
        if better is None:
            return [f"Subgroup {number}" for number in numbers]
        named = subgroup_labels(len(numbers), better=better)
        return [named[number] for number in numbers]

    @property
    def declared(self) -> bool:
        """Refuse: the units that suggest subgroups do not judge them.

        Raises
        ------
        NotJudgedError
            Naming the call whose result has it.
        """
        raise NotJudgedError(_NOT_JUDGED.format("declared"))

    @property
    def probability(self) -> float:
        """Refuse, as `declared`.

        Raises
        ------
        NotJudgedError
            Naming the call whose result has it.
        """
        raise NotJudgedError(_NOT_JUDGED.format("probability"))

    @interval_parameters
    def summary(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Return one row per subgroup.

        Returns
        -------
        DataFrame
            Index ``subgroup``; ``n``, ``share`` of the units, ``mean_membership`` of these units in
            their own subgroup, and the columns of :func:`bayes_hte.summarize` for the average
            effect of the subgroup.

        Examples
        --------
        >>> import numpy as np
        >>> import xarray as xr
        >>> import bayes_hte as hte
        >>> trial = hte.simulate_mediation(np.random.default_rng(1), n=100)
        >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
        >>> study = hte.Study.from_frame(trial.frame, **roles)
        >>> effect = xr.DataArray([[trial.effects["te"]] * 20], dims=["chain", "draw", "unit"])
        >>> groups = hte.m_learner(effect, study, seed=1, largest_k=2)
        >>> groups.summary()[["n", "mean"]].round(2).to_dict("list")
        {'n': [44, 56], 'mean': [1.07, 2.32]}
        """
        table = summarize(self.effects, ci_prob=ci_prob, ci_kind=ci_kind)
        labels = self.labels.to_numpy()
        n = np.bincount(labels, minlength=self.effects.sizes[SUBGROUP])
        own = np.take_along_axis(self.membership.to_numpy(), labels[:, np.newaxis], axis=1)[:, 0]
        table.insert(0, "n", n)
        table.insert(1, "share", n / n.sum())
        table.insert(2, "mean_membership", np.bincount(labels, weights=own) / n)
        return table

    @interval_parameters
    def borders(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Say how surely each border between subgroups is known.

        In each draw a cut is moved, while all other questions of the profile stay, to where the
        subgroups describe the effects of this draw best, that is with the least sum of squares
        within them (of several clustered effects, those of the first). Every subgroup keeps the
        smallest share of the units that a leaf may hold.

        Returns
        -------
        DataFrame
            One row per question of the profile about a number; the index ``node`` is its number
            in ``profile.nodes``. ``border`` (the answer no in words), ``among`` (who is asked),
            ``covariate``, ``cut`` (that of the profile), ``ci_lower``, ``ci_upper``, ``ci_prob``,
            ``ci_kind``, ``words``. Questions about levels have no row.

        Notes
        -----
        The interval is of the best place of a border between two groups of *these* units. Where
        effects rise slowly such a place is not where they start to rise, and where they hardly
        differ the interval is wide. It says nothing on whether there are groups at all.

        Examples
        --------
        >>> import numpy as np
        >>> import xarray as xr
        >>> import bayes_hte as hte
        >>> trial = hte.simulate_mediation(np.random.default_rng(1), n=100)
        >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
        >>> study = hte.Study.from_frame(trial.frame, **roles)
        >>> noise = np.random.default_rng(2).normal(size=(1, 50, 100))
        >>> draws = trial.effects["te"].to_numpy() + noise
        >>> effect = xr.DataArray(draws, dims=["chain", "draw", "unit"])
        >>> groups = hte.m_learner(effect, study, seed=1, largest_k=2)
        >>> groups.borders(ci_prob=0.9)["words"].tolist()
        ['x1 above 0, 90% between -0.0108 and 0.0919']
        """
        return border_table(self.profile, self.cuts, ci_prob=ci_prob, ci_kind=ci_kind)

    def membership_by_borders(self, frame: pd.DataFrame) -> xr.DataArray:
        """Return the probability that each row is on the side of the borders of each subgroup.

        `membership` says whom the effect of a unit resembles. This says on which side of borders
        that are known with uncertainty its covariates lie: in every draw the cuts of
        :meth:`borders` divide the rows. In simulated trials it agrees better with the true group
        where effects differ within it, and it can be asked for new rows.

        Parameters
        ----------
        frame : DataFrame
            Rows with the covariates of the profile, none missing.

        Returns
        -------
        DataArray, dims (unit, subgroup)
            Rows sum to 1. Each cut is drawn with the others where the profile has them, so where
            two borders are uncertain together the probabilities are somewhat too sure.

        Raises
        ------
        DataError
            If a covariate of the profile is absent, has missing values, or has unknown levels.

        Examples
        --------
        >>> import numpy as np
        >>> import xarray as xr
        >>> import bayes_hte as hte
        >>> trial = hte.simulate_mediation(np.random.default_rng(1), n=100)
        >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
        >>> study = hte.Study.from_frame(trial.frame, **roles)
        >>> noise = np.random.default_rng(2).normal(size=(1, 50, 100))
        >>> draws = trial.effects["te"].to_numpy() + noise
        >>> effect = xr.DataArray(draws, dims=["chain", "draw", "unit"])
        >>> groups = hte.m_learner(effect, study, seed=1, largest_k=2)
        >>> new = trial.frame.head(2).assign(x1=[-1.0, 0.0])
        >>> groups.membership_by_borders(new)[:, 1].to_numpy().round(1).tolist()
        [0.0, 0.3]
        """
        values = membership_by_borders(self.profile, self.cuts, frame)
        coords = {
            UNIT: frame.index.to_flat_index().rename(UNIT),
            SUBGROUP: np.arange(values.shape[1]),
        }
        return xr.DataArray(values, coords, (UNIT, SUBGROUP), name="membership_by_borders")
