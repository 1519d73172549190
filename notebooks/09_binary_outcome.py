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
# # A binary outcome: risks, ratios and the number needed to treat
#
# **Question.** A trial of a drug that prevents a second stroke. By how much does it lower the risk,
# said in points, as a ratio, and as the number of people to treat; and who has most to gain?
#
# **All data in this lesson are simulated**: the drug lowers the *odds* of a stroke by 45% in
# everybody. The odds ratio is the same for all, and the benefit in points is not.

# %% tags=["parameters"]
UNITS = 800  # small: 200
DRAWS = 200  # small: 50
TUNE = 150  # small: 50
SEED = 20261130

# %%
import numpy as np
import pandas as pd

import bayes_hte as hte
from bayes_hte import plots

rng = np.random.default_rng(SEED)
frame = pd.DataFrame(
    {
        "age": rng.normal(68, 9, UNITS).round(),
        "blood_pressure": rng.normal(145, 18, UNITS).round(),
        "smoker": rng.choice(["no", "yes"], UNITS, p=[0.75, 0.25]),
        "arm": rng.permutation(np.where(np.arange(UNITS) % 2, "drug", "placebo")),
    }
)


def risk(arm):
    """Return the true probability of a stroke of everybody under an arm."""
    log_odds = (
        -1.2
        + 0.06 * (frame["age"] - 68)
        + 0.02 * (frame["blood_pressure"] - 145)
        + 0.7 * (frame["smoker"] == "yes")
        + np.log(0.55) * (arm == "drug")
    )
    return (1 / (1 + np.exp(-log_odds))).to_numpy()


own = np.where(frame["arm"] == "drug", risk("drug"), risk("placebo"))
frame["stroke"] = (rng.random(UNITS) < own).astype(int)
study = hte.Study.from_frame(
    frame,
    outcome="stroke",
    treatment="arm",
    reference="placebo",
    covariates=["age", "blood_pressure", "smoker"],
)
study

# %% [markdown]
# ## 1. Both risks, and their difference
#
# `family="bernoulli"` models a probability; effects are differences of probabilities. In the table
# `reference_mean` is the risk on placebo and `arm_mean` the risk on the drug.

# %%
fit = hte.fit(study, family="bernoulli", seed=SEED, draws=DRAWS, tune=TUNE, progress=False)
fit.summary()[["effect", "reference_mean", "arm_mean", "mean", "ci_lower", "ci_upper"]].round(3)

# %% [markdown]
# ## 2. Points, ratios, number needed to treat
#
# Every measure is a function of the two risks, computed in each draw and summarised last. The
# number needed to treat is one over the difference; where draws of the difference have both signs
# it has no interval that can be read, so we turn the ends of the interval of the difference.

# %%
risks = hte.average(fit.potential_outcomes())
placebo, drug = (risks.sel(arm=arm, drop=True) for arm in study.arms)
measures = {
    "risk difference (points)": 100 * (drug - placebo),
    "risk ratio": drug / placebo,
    "odds ratio of the averages": (drug / (1 - drug)) / (placebo / (1 - placebo)),
}
table = pd.concat(
    {name: hte.summarize(draws, ci_prob=0.95).iloc[0] for name, draws in measures.items()}, axis=1
).T[["mean", "ci_lower", "ci_upper"]]
truth = [risk(arm).mean() for arm in study.arms]
table["truth"] = [
    100 * (truth[1] - truth[0]),
    truth[1] / truth[0],
    (truth[1] / (1 - truth[1])) / (truth[0] / (1 - truth[0])),
]
table.astype(float).round(2)

# %%
points = table.loc["risk difference (points)"]
most, fewest = (100 / abs(points[end]) for end in ("ci_upper", "ci_lower"))
if points["ci_upper"] < 0:
    print(f"number needed to treat: {100 / -points['mean']:.0f} ({fewest:.0f} to {most:.0f})")
else:
    print("the interval of the difference includes 0: no number needed to treat")

# %%
fit.plot(better="lower", xlabel="difference of the risks", title="Stroke: drug less placebo")

# %% [markdown]
# ## 3. Who has most to gain? The absolute benefit by risk
#
# People are divided into quarters by their predicted risk on placebo. A constant odds ratio lowers
# a high risk by more points than a low one, and points are what a person gains.

# %%
mu = fit.potential_outcomes()
predicted = mu.sel(arm="placebo").mean(("chain", "draw")).to_numpy()
quarter = pd.Series(pd.qcut(predicted, 4, labels=["lowest", "second", "third", "highest"]))
effect = fit.cate()
table = hte.summarize(hte.gate(effect, quarter), ci_prob=0.95)
table["risk on placebo"] = pd.Series(predicted).groupby(quarter, observed=True).mean().to_numpy()
table["truth"] = (
    pd.Series(risk("drug") - risk("placebo")).groupby(quarter, observed=True).mean().to_numpy()
)
table[["risk on placebo", "mean", "ci_lower", "ci_upper", "truth"]].round(3)

# %%
shown = table.reset_index().assign(is_subgroup=True, n_units=quarter.value_counts(sort=False).array)
shown["group"] = [f"{name} risk" for name in quarter.cat.categories]
plots.plot_subgroup_forest(
    shown, better="lower", xlabel="difference of the risks", title="By quarter of predicted risk"
)

# %% [markdown]
# ## 4. Are there subgroups?
#
# The odds ratio is the same for everybody, but the benefit in points rises with the risk, so people
# do differ on the scale that counts. Is that difference large enough to be shown by halves, with a
# margin of 5 points?

# %%
groups = hte.m_learner(fit, effect="te", seed=SEED, margin=0.05, progress=False)
groups

# %% [markdown]
# **Answer.** The drug lowers the risk: read the two risks first, then the difference in points with
# its interval, then the ratio. The benefit in points grows with the risk on placebo, in the model
# as in the truth, and the quarters of risk say so in numbers that a clinician can use. Subgroups
# with different effects are another question, and the output of the last call answers it: the
# probability that two halves of the trial agree on a difference beyond 5 points falls short of
# .95, so none is declared.
#
# **Caveat.** A difference in points between quarters of risk is what *any* constant odds ratio
# gives; it is no evidence that the drug works differently in some people. The odds ratio of the
# averages is nearer to 1 than that of each person (here .55), which is arithmetic and not error:
# odds ratios of groups are not averages of odds ratios. A number needed to treat belongs to the
# risk of the people it was computed from, and to the time they were followed.
