# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Individual effects: which learner, and when not to look
#
# **Question.** Every learner returns an effect for every person. Which one should we fit, are its
# intervals honest, and how does the absence of heterogeneity show?
#
# Real data never show an individual effect, so we simulate two trials with a known truth: in the
# first the treatment helps some people much more than others, in the second it helps everybody
# equally.

# %% tags=["parameters"]
UNITS = 400  # small: 310
DRAWS = 300  # small: 50
TUNE = 200  # small: 50
REPEATS = 20  # small: 5
LEARNERS = 3  # small: 2
SEED = 7

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import bayes_hte as hte
from bayes_hte import plots


def trial(*, heterogeneous, seed):
    """Randomise half of the units; the effect jumps by 2 in x1 and rises with x2, or is 1."""
    rng = np.random.default_rng(seed)
    x = pd.DataFrame(rng.normal(size=(UNITS, 5)), columns=["x1", "x2", "x3", "x4", "x5"])
    treat = rng.permutation(np.arange(UNITS) % 2)
    effect = pd.Series(1.0, index=x.index)
    if heterogeneous:
        effect = 2.0 * (x["x1"] > 0) + 0.5 * x["x2"]
    outcome = x["x2"] + 0.5 * x["x3"] ** 2 + effect * treat + rng.normal(size=UNITS)
    study = hte.Study.from_frame(
        x.assign(y=outcome, treat=treat), outcome="y", treatment="treat", covariates=list(x)
    )
    return study, effect.to_numpy()


CHOICES = {
    "hierarchical": {"learner": "hierarchical"},
    "t": {"learner": "t"},
    "s, linear": {"learner": "s", "surface": "linear"},
}


def fit_first(study, count):
    size = {"seed": SEED, "draws": DRAWS, "tune": TUNE, "progress": False}
    return {name: hte.fit(study, **CHOICES[name], **size) for name in list(CHOICES)[:count]}


# %% [markdown]
# ## 1. A trial with strong heterogeneity
#
# People with a positive x1 gain 2 points more than the others, and the effect rises slowly with x2;
# the noise has standard deviation 1. The threshold is a shape that trees can draw and straight
# lines cannot.

# %%
study, truth = trial(heterogeneous=True, seed=SEED)
fits = fit_first(study, LEARNERS)
effects = {name: fit.cate() for name, fit in fits.items()}

# %% [markdown]
# Posterior means with 95% equal-tailed intervals against the truth. Good points lie near the line.


# %%
def plot_truth(effects, truth):
    figure, axes = plt.subplots(
        1, len(effects), figsize=(9, 3.2), sharex=True, sharey=True, layout="constrained"
    )
    for ax, (name, effect) in zip(axes, effects.items(), strict=True):
        table = hte.summarize(effect, ci_prob=0.95)
        reach = [table["mean"] - table["ci_lower"], table["ci_upper"] - table["mean"]]
        style = {"fmt": "o", "ms": 2.5, "lw": 0.5, "alpha": 0.5, "color": "#0072B2"}
        ax.errorbar(truth, table["mean"], yerr=reach, **style)
        ends = [truth.min(), truth.max()]
        ax.plot(ends, ends, color="#595959", lw=1, ls="--")
        ax.set_title(name, loc="left")
        ax.set_xlabel("true effect")
    axes[0].set_ylabel("posterior mean, 95% interval")
    plt.close(figure)  # shown once, as the value of the cell
    return figure


plot_truth(effects, truth)


# %% [markdown]
# The same in numbers: error of the posterior means (`rmse`), share of intervals that hold the truth
# (`coverage`, should be near .95), their average `width`, and error of the average effect.


# %%
def against_truth(effects, truth):
    rows = {}
    for name, effect in effects.items():
        table = hte.summarize(effect, ci_prob=0.95)
        inside = (table["ci_lower"] <= truth) & (truth <= table["ci_upper"])
        rows[name] = {
            "rmse": np.sqrt(((table["mean"] - truth) ** 2).mean()),
            "coverage": inside.mean(),
            "width": (table["ci_upper"] - table["ci_lower"]).mean(),
            "error of average": table["mean"].mean() - truth.mean(),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


against_truth(effects, truth).round(2)

# %% [markdown]
# The error of the average is the same in every row: it comes from the chance of this trial, which
# no learner removes. The learners differ in the individual effects. Half of the intervals of the
# straight line miss the truth.
#
# Nobody knows the truth of a real trial. The verdict takes its place: it predicts units without
# their own outcomes and asks whether the outcomes show the predicted differences:

# %%
found = hte.verdict(fits["hierarchical"], repeats=REPEATS)
print(found.verdict.upper())
for reason in found.reasons:
    print("-", reason)

# %% [markdown]
# ## 2. The same trial with one effect for everybody
#
# Now every effect is 1. The posterior of the spread of individual effects cannot be zero, and the
# posterior means of different people differ: a ranking, a waterfall plot and a "top 10%" could be
# made from them as before. The two flexible learners:

# %%
null_study, null_truth = trial(heterogeneous=False, seed=SEED + 1)
null_fits = fit_first(null_study, 2)
null_effects = {name: fit.cate() for name, fit in null_fits.items()}

hte.compare_effects(null_effects).round(2)

# %%
ranked = hte.summarize(null_effects["t"], ci_prob=0.95)
ranked["rank"] = ranked["mean"].rank(method="first").astype(int)
plots.plot_caterpillar(ranked, better="higher", title="T-learner, no heterogeneity at all")

# %% [markdown]
# `spread` is the standard deviation of effects between people, whose true value is 0 here. The
# learner that shares nothing between the arms finds the largest spread; borrowing strength shrinks
# it but does not remove it. In-sample spread is no evidence of heterogeneity.
#
# The verdict:

# %%
null_found = hte.verdict(null_fits["hierarchical"], repeats=REPEATS)
print(null_found.verdict.upper())
for reason in null_found.reasons:
    print("-", reason)

# %% [markdown]
# ## 3. The prior
#
# Priors are put on functions; drawing effects from them shows their meaning for effects. The
# verdict has done so. Would the prior rows alone, shown before the trial, have been a fair belief?

# %%
checks = {check.name: check for check in found.checks}
view = checks["priors and posteriors of the effects"]
print(view.text)
view.table.xs("outcome sd", level="scale")[["median", "ci_lower", "ci_upper", "ci_prob"]].round(2)

# %% [markdown]
# **Answer.** Take the default, `hierarchical`, unless you know more: where effects differ it is
# closest to the truth with intervals that hold it, and where they do not its invented spread is
# smaller than that of the other flexible learner. `t` shares nothing between the arms and pays with
# wide intervals and invented spread; a straight line cannot draw a threshold, and its narrow
# intervals hide that. The effects alone do not show whether individual effects may be read: use
# `hte.verdict`, which judges them on outcomes that the predictions have not seen.
#
# **Caveat.** One simulated trial of each kind is an illustration; repeated simulations are in
# `tests/benchmarks/RESULTS.md`. This heterogeneity was strong: a jump of two standard deviations
# of the noise. With effects that differ less, or a hundred units, the verdict will often be
# "simple method enough" although effects do differ. Not shown here: `surface="gp"`, for smooth
# effects and up to some hundred units, and `learner="x"`, whose second stage takes longer.
