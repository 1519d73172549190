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
# # A study that does have subgroups
#
# **Question.** A trial of an exercise programme for knee pain. On average people gain about
# one point. Does everybody gain that, or do some gain much and others nothing, and who?
#
# **All data in this lesson are simulated**, so that every answer can be compared with the truth: in
# people whose pain was above 5 and had lasted less than 4 years the programme lowers pain by 2.5
# points, in all others not at all.

# %% tags=["parameters"]
UNITS = 600  # small: 160
DRAWS = 200  # small: 50
TUNE = 150  # small: 50
REPEATS = 5
SEED = 20261129

# %%
import numpy as np
import pandas as pd

import bayes_hte as hte

rng = np.random.default_rng(SEED)
frame = pd.DataFrame(
    {
        "age": rng.normal(62, 9, UNITS).round(),
        "pain_before": rng.uniform(2, 9, UNITS).round(1),
        "years_of_pain": rng.gamma(2, 2, UNITS).round(1),
        "bmi": rng.normal(28, 4, UNITS).round(1),
        "programme": rng.permutation(np.arange(UNITS) % 2),
    }
)
gains = ((frame["pain_before"] > 5) & (frame["years_of_pain"] < 4)).to_numpy()
frame["pain_after"] = (
    0.7 * frame["pain_before"]
    + 0.02 * frame["age"]
    - 2.5 * gains * frame["programme"]
    + rng.normal(0, 1.2, UNITS)
)
study = hte.Study.from_frame(
    frame,
    outcome="pain_after",
    treatment="programme",
    covariates=["age", "pain_before", "years_of_pain", "bmi"],
)
print(f"{gains.mean():.0%} of the people are those who gain")
study

# %% [markdown]
# ## 1. The average
#
# Both means, their difference, and the interval. The average hides everything.

# %%
size = {"draws": DRAWS, "tune": TUNE, "progress": False}
fit = hte.fit(study, seed=SEED, stack_with=[], **size)
fit

# %% [markdown]
# ## 2. Do the effects differ, in people the model has not seen?
#
# Before looking for *who*, ask *whether*: the verdict predicts each person from all the others, and
# looks if people who were predicted to gain more did gain more.

# %%
found = hte.verdict(fit, assignment="randomised", better="lower", repeats=REPEATS)
print(found.headline)
for reason in found.reasons:
    print("-", reason)

# %% [markdown]
# ## 3. Who? Found by one half, judged by the other
#
# One call. It finds subgroups on all people, then fits each half of the trial by itself: one half
# names the people with the highest and the lowest effects, the other half says whether such people
# of its own differ, and they change places. The margin is a difference that would matter: 1 point.

# %%
groups = hte.m_learner(fit, effect="te", seed=SEED, margin=1.0, progress=False)
groups

# %%
groups.plot(better="lower", important=1.0, xlabel="effect on pain (points)", title="The subgroups")

# %% [markdown]
# The difference by halves, in each direction and on average. *Unshrunk* is its size in a further
# fit in which the groups have means of their own: a model that expects people to be alike is a
# good judge of whether they differ, and a poor one of by how much.

# %%
groups.honest.plot(title="Highest less lowest, judged by the other half")

# %%
groups.decision()[["covariates", "n_judged", "mean", "ci_lower", "ci_upper"]].round(2)

# %% [markdown]
# ## 4. Against the truth
#
# How surely does each person belong, and is it right? Subgroup A gains most. In arrays it has the
# number 0, because numbers go up with the effect, and its effect on pain is the lowest.

# %%
groups.plot("membership", better="lower", title="Who belongs to which subgroup")

# %%
said = groups.membership.sel(subgroup=0).to_numpy()
bins = pd.cut(said, [0, 0.2, 0.5, 0.8, 1], include_lowest=True)
table = pd.DataFrame({"said": said, "true": gains}).groupby(bins, observed=True)
table.agg(people=("true", "size"), said=("said", "mean"), true=("true", "mean")).round(2)

# %%
inside = groups.labels.to_numpy() == 0
print(groups.profile.text, end="\n\n")
print(f"of those who gain, {inside[gains].mean():.0%} are in subgroup A")
print(f"of subgroup A, {gains[inside].mean():.0%} are people who gain")

# %% [markdown]
# **Answer.** Yes. Each half of the trial, without seeing the other, finds people who gain more than
# the others by more than the margin of one point, so subgroups are declared. They are named by the
# two covariates that decide, and by no other. The average is nobody's effect: it mixes people who
# gain two and a half points with people who gain nothing.
#
# **Caveat.** The borders are estimated, and near a border the membership is uncertain: read it, not
# only the rule. A trial of this size finds a difference of two standard deviations of the
# noise; differences half as large are found much less often, and "not
# declared" then means "not shown", not "equal" (the lesson on subgroups you can defend shows that
# case). Even a declared subgroup is one to plan the next trial by, before it changes practice.
