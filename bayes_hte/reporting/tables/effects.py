"""The numbers of average and individual effects, as tidy tables."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.arguments import Better
from bayes_hte.effects.averages import probability_of_benefit
from bayes_hte.effects.summaries import CiKind, monte_carlo_error, summarize
from bayes_hte.names import EFFECTS, MEDIATOR, SAMPLE, UNIT
from bayes_hte.reporting.results import Results
from bayes_hte.reporting.tables.thinning import evenly_spaced

DECOMPOSITIONS = (("tnie", "pnde"), ("pnie", "tnde"))
# Of :func:`bayes_hte.effects_given_confounder`, in words.
GIVEN_CONFOUNDER = {
    "indirect": "interventional indirect effect",
    "direct": "interventional direct effect",
    "overall": "interventional overall effect",
}
SURE = 0.95
N_BINS = 20


def average_effects(results: Results) -> pd.DataFrame:
    """Summarise every averaged effect.

    Parameters
    ----------
    results : Results
        A finished run. Direction of benefit, minimal important difference and interval are those
        of its study file.

    Returns
    -------
    DataFrame
        One row per effect and population: ``group`` (``total``; ``first`` and ``second``, the two
        decompositions, with a mediator; ``interventional``, the parts of the joint indirect effect
        of two mediators, or indirect, direct and overall effect where the treatment changes a
        confounder of the mediator; ``controlled``), ``effect``, ``name`` (in words),
        ``population`` (SATE, and for the total effect also PATE, ATT and ATC), ``mediator_value``
        (where the mediator is held, in its units; NaN except for controlled effects), then the
        columns of :func:`bayes_hte.summarize` in outcome units, ``mcse`` (Monte Carlo standard
        error of the mean, outcome units), ``prob_benefit`` and ``prob_important`` (posterior
        probabilities that the average effect is beneficial at all, and by more than the minimal
        important difference) and ``important_difference`` (that difference, outcome units).
    """
    rows = []
    for population, draws in results.populations.data_vars.items():
        rows.append(_average(draws, results, "total", "te", str(population)))
    for group, names in zip(("first", "second"), DECOMPOSITIONS, strict=True):
        for name in names:
            if name in results.averages:
                rows.append(_average(results.averages[name], results, group, name, "SATE"))
    for name, draws in _interventional(results):
        rows.append(_average(draws, results, "interventional", name, "SATE"))
    if results.controlled is not None:
        for value in results.controlled["mediator_value"].to_numpy():
            draws = results.controlled.sel(mediator_value=value, drop=True)
            rows.append(_average(draws, results, "controlled", "cde", "SATE", float(value)))
    return pd.concat(rows, ignore_index=True)


def _interventional(results: Results) -> Iterator[tuple[str, xr.DataArray]]:
    """Yield the interventional effects of a run, with their names in words."""
    if results.interventional is None:
        return
    if results.study.roles.post_treatment is not None:
        for name, words in GIVEN_CONFOUNDER.items():
            yield words, results.interventional[name]
        return
    through = results.interventional["through"]
    for i, name in enumerate(results.study.roles.mediators):
        yield f"interventional effect through {name}", through.isel({MEDIATOR: i}, drop=True)
    yield "remainder: change of their dependence", results.interventional["remainder"]


def _average(
    draws: xr.DataArray,
    results: Results,
    group: str,
    effect: str,
    population: str,
    mediator_value: float = np.nan,
) -> pd.DataFrame:
    better, important = results.direction["better"], results.direction["important"]
    head = pd.DataFrame(
        {
            "group": [group],
            "effect": [effect],
            "name": [EFFECTS[effect][0] if effect in EFFECTS else effect],
            "population": [population],
            "mediator_value": [mediator_value],
        }
    )
    numbers = summarize(draws, **results.interval)
    tail = {
        "mcse": monte_carlo_error(draws),
        "prob_benefit": float(probability_of_benefit(draws, better=better)),
        "prob_important": float(probability_of_benefit(draws, better=better, beyond=important)),
        "important_difference": important,
    }
    return pd.concat([head, numbers.reset_index(drop=True)], axis=1).assign(**tail)


def individual_effects(
    effect: xr.DataArray, *, better: Better, important: float, ci_prob: float, ci_kind: CiKind
) -> pd.DataFrame:
    """Summarise the effect of each unit, ordered by its mean.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit)
        Unit-level draws, in outcome units.
    better : {"higher", "lower"}
        Good direction of the outcome.
    important : float
        Minimal important difference, in outcome units.
    ci_prob, ci_kind
        The interval.

    Returns
    -------
    DataFrame
        One row per unit: ``unit``, ``rank`` (1 is the smallest mean), the columns of `summarize`,
        ``prob_benefit``, ``prob_important``, and ``drawn``: whether the caterpillar figure draws
        it (up to 150 units, evenly spaced in rank).

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> from bayes_hte import reporting
    >>> draws = np.random.default_rng(1).normal([2, 0, 1], size=(2, 50, 3))
    >>> effect = xr.DataArray(draws, {"unit": list("abc")}, dims=("chain", "draw", "unit"))
    >>> how = {"better": "higher", "important": 0.5, "ci_prob": 0.9, "ci_kind": "eti"}
    >>> reporting.individual_effects(effect, **how)["unit"].tolist()
    ['b', 'c', 'a']
    """
    labels, values = effect[UNIT].to_numpy(), effect.transpose(*SAMPLE, UNIT).to_numpy()
    # Without its coordinates, of which labels of several levels are more than one.
    effect = xr.DataArray(values, dims=(*SAMPLE, UNIT))
    numbers = summarize(effect, ci_prob=ci_prob, ci_kind=ci_kind)
    numbers.insert(0, "unit", list(labels))
    numbers["prob_benefit"] = probability_of_benefit(effect, better=better).to_numpy()
    numbers["prob_important"] = probability_of_benefit(
        effect, better=better, beyond=important
    ).to_numpy()
    ordered = numbers.sort_values("mean", kind="stable", ignore_index=True)
    ordered.insert(1, "rank", np.arange(1, len(ordered) + 1))
    return ordered.assign(drawn=evenly_spaced(len(ordered)))


def effect_distribution(
    effect: xr.DataArray, *, ci_prob: float, ci_kind: CiKind, n_bins: int = N_BINS
) -> pd.DataFrame:
    """Summarise the histogram of individual effects, counted draw by draw.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit)
        Unit-level draws.
    ci_prob, ci_kind
        The interval of the share in each bin.
    n_bins : int, default 20
        Number of bins between the 0.5% and 99.5% quantiles of all draws of all units; the few
        values beyond are in no bin, so the mean shares add up to about 0.99.

    Returns
    -------
    DataFrame
        One row per bin: ``bin_lower``, ``bin_upper``, and the columns of `summarize` for the share
        of units in the bin.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> from bayes_hte import reporting
    >>> draws = np.random.default_rng(1).normal([2, 0, 1], size=(2, 50, 3))
    >>> effect = xr.DataArray(draws, dims=("chain", "draw", "unit"))
    >>> shares = reporting.effect_distribution(effect, ci_prob=0.9, ci_kind="eti", n_bins=5)
    >>> f"{shares['mean'].sum():.2f}"
    '0.99'
    """
    values = effect.transpose(*SAMPLE, UNIT).to_numpy()
    low, high = np.quantile(values, [0.005, 0.995])
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, n_bins + 1)
    counts = [[np.histogram(draw, edges)[0] for draw in chain] for chain in values]
    shares = np.array(counts) / effect.sizes[UNIT]
    draws = xr.DataArray(shares, dims=(*SAMPLE, "bin"), coords={"bin": np.arange(n_bins)})
    numbers = summarize(draws, ci_prob=ci_prob, ci_kind=ci_kind).reset_index(drop=True)
    return pd.concat(
        [pd.DataFrame({"bin_lower": edges[:-1], "bin_upper": edges[1:]}), numbers], axis=1
    ).drop(columns="prob_positive")


def who_benefits(
    effect: xr.DataArray, *, better: Better, important: float, ci_prob: float, ci_kind: CiKind
) -> pd.DataFrame:
    """Summarise the share of units that benefit, draw by draw, and count the sure ones.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit)
        Unit-level draws, in outcome units; its name is repeated in the table.
    better : {"higher", "lower"}
        Good direction of the outcome.
    important : float
        Minimal important difference, in outcome units and at least 0.
    ci_prob : float
        Posterior probability of the interval of each share.
    ci_kind : {"eti", "hdi"}
        Equal-tailed or highest-density.

    Returns
    -------
    DataFrame, shape (3, ...)
        One row per statement: ``effect``, ``statement`` (``benefit``, above 0 in the direction of
        benefit; ``important_benefit``, more than `important`; ``important_harm``, more than
        `important` the other way), the columns of :func:`bayes_hte.summarize` without
        ``prob_positive`` for the share of the units (0 to 1) for which the statement is true,
        ``n_sure``: units for which, each taken alone, it is true with posterior probability 0.95 or
        more; ``n_units``.

    Raises
    ------
    SpecError
        If `better` is unknown, `important` is negative, or the interval request is not meaningful.
    DataError
        If a draw is NaN or infinite.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> from bayes_hte import reporting
    >>> draws = np.random.default_rng(1).normal([4, 0, -4], size=(2, 50, 3))
    >>> effect = xr.DataArray(draws, dims=("chain", "draw", "unit"))
    >>> how = {"better": "higher", "important": 0.5, "ci_prob": 0.9, "ci_kind": "eti"}
    >>> reporting.who_benefits(effect, **how)[["statement", "n_sure", "n_units"]]
               statement  n_sure  n_units
    0            benefit       1        3
    1  important_benefit       1        3
    2     important_harm       1        3
    """
    worse: Better = "lower" if better == "higher" else "higher"
    statements = {
        "benefit": (better, 0.0),
        "important_benefit": (better, important),
        "important_harm": (worse, important),
    }
    rows = []
    for statement, (direction, beyond) in statements.items():
        # Also checks the direction, the margin and the draws.
        certainty = probability_of_benefit(effect, better=direction, beyond=beyond)
        true = (effect if direction == "higher" else -effect) > beyond
        share = true.mean(UNIT).rename(statement)
        row = summarize(share, ci_prob=ci_prob, ci_kind=ci_kind).reset_index(drop=True)
        row.insert(0, "effect", str(effect.name))
        row.insert(1, "statement", statement)
        row["n_sure"] = int((certainty >= SURE).sum())
        row["n_units"] = effect.sizes[UNIT]
        rows.append(row.drop(columns="prob_positive"))
    return pd.concat(rows, ignore_index=True)
