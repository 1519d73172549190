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
# # Gallery of figures
#
# Every figure of `bayes_hte.plots` once, with a sentence on how to read it. A figure takes a table
# of numbers that are already computed and returns a matplotlib `Figure`; the cell of each shows
# where the table comes from. Nothing is sampled here: the "posterior" is simulated around a known
# truth, and no number below says anything about a real treatment.
#
# | to show | figures |
# |---|---|
# | effects | densities, distribution, caterpillar, modifier importance, modifier |
# | subgroups | subgroup forest, profile tree, membership, co-clustering |
# | whether the arms can be compared | overlap, love plot, weights |
# | who to treat | targeting curve, calibration, best arms |
# | whether to believe it | left-out predictions, tipping, rho |
# | mixtures of classes | agreement, identifiability |
# | times to an event | survival |

# %%
import numpy as np
import pandas as pd
import xarray as xr
from sklearn.linear_model import LogisticRegression

import bayes_hte as hte
from bayes_hte import plots, reporting
from bayes_hte.checks import calibration_check
from bayes_hte.companions import at_risk
from bayes_hte.reporting import level_grid, membership_strip, tree_outline, weight_shares
from bayes_hte.sensitivity import benchmark_covariates, rho_sensitivity, tipping_point
from bayes_hte.subgroups import co_clustering, heat_map_tables, point_partition, subgroup_labels
from bayes_hte.targeting import implied_qini

SEED = 20261122
N = 240
CHAINS, DRAWS = 2, 200
INTERVAL = {"ci_prob": 0.95, "ci_kind": "eti"}
DIRECTION = {"better": "higher", "important": 5.0}
ARMS = ("usual care", "exercise")
rng = np.random.default_rng(SEED)

# %% [markdown]
# An invented study: 240 people with back pain, usual care or an exercise programme, and a function
# score (0 to 100, higher is better). People above 55 gain about 9 points, the others about 1, and a
# third of the gain passes through confidence. Older people took part more often.

# %%
frame = pd.DataFrame(
    {
        "age": rng.integers(25, 80, size=N),
        "pain": rng.normal(5, 1.5, size=N).round(1),
        "work": rng.choice(["desk", "standing", "none"], size=N),
    }
)
age = frame["age"].to_numpy()
gain = np.where(age > 55, 9.0, 1.0)
propensity = 1 / (1 + np.exp(-(age - 52) / 15))
frame["exercise"] = (rng.random(N) < propensity).astype(int)
frame["confidence"] = rng.normal(3, 1, size=N) + 0.5 * frame["exercise"]
frame["function"] = 60 - 3 * frame["pain"] + gain * frame["exercise"] + rng.normal(scale=5, size=N)
study = hte.Study.from_frame(
    frame,
    outcome="function",
    treatment="exercise",
    mediator="confidence",
    covariates=["age", "pain", "work"],
)
arm = study.arm_index()


def draws_around(truth, *, shared, own, name):
    """Simulate draws: an error that all units share, and one of each unit."""
    noise = rng.normal(scale=shared, size=(CHAINS, DRAWS, 1))
    noise = noise + rng.normal(scale=own, size=(CHAINS, DRAWS, len(truth)))
    coords = {"unit": study.units}
    return xr.DataArray(truth + noise, dims=("chain", "draw", "unit"), coords=coords, name=name)


believed = gain + 0.3 * (5 - frame["pain"].to_numpy()) + rng.normal(scale=0.8, size=N)
effects = xr.Dataset(
    {
        "te": draws_around(believed, shared=1.0, own=2.5, name="te"),
        "tnie": draws_around(believed / 3, shared=0.4, own=1.0, name="tnie"),
    }
)
effects["pnde"] = effects["te"] - effects["tnie"]
averages = effects.mean("unit")
labels = {"te": "total", "tnie": "through\nconfidence", "pnde": "around it"}

# %% [markdown]
# ## Effects
#
# ### Densities
#
# `plot_densities`: the height of a hill shows how plausible each size of an average effect is, and
# the line below it holds 95% of the probability; right of the dotted line the gain matters.

# %%
plots.plot_densities(
    averages,
    hte.summarize(averages, **INTERVAL),
    labels=labels,
    **DIRECTION,
    xlabel="average effect on function (points)",
    title="Average effects",
)

# %% [markdown]
# ### Distribution
#
# `plot_distribution`: a bar is the share of people whose effect lies there, and its whisker shows
# the uncertainty of that share; a wide spread is variation between people only if whiskers are
# short.

# %%
plots.plot_distribution(
    reporting.effect_distribution(effects["te"], **INTERVAL),
    **DIRECTION,
    xlabel="individual effect on function (points)",
    title="How effects are spread",
)

# %% [markdown]
# ### Caterpillar
#
# `plot_caterpillar`: one line per person, in the order of their mean effects; if one vertical line
# crosses nearly all of them, the data do not distinguish between people.

# %%
ranked = reporting.individual_effects(effects["te"], **DIRECTION, **INTERVAL)
plots.plot_caterpillar(
    ranked[ranked["drawn"]],
    **DIRECTION,
    xlabel="individual effect on function (points)",
    title="One line per person",
)

# %% [markdown]
# ### Modifier importance
#
# `plot_modifier_importance`: the share of the splits of the effect's trees that each covariate
# takes, and the probability that it is used at all. A real table comes from `fit.modifiers()`; this
# one is invented.

# %%
importance = pd.DataFrame(
    {
        "covariate": ["age", "pain", "work"],
        "mean": [0.71, 0.18, 0.11],
        "ci_lower": [0.48, 0.02, 0.0],
        "ci_upper": [0.9, 0.36, 0.27],
        "prob_used": [1.0, 0.97, 0.81],
        **INTERVAL,
    }
)
plots.plot_modifier_importance(importance, title="What the effect varies with")

# %% [markdown]
# ### Effect along a modifier
#
# `plot_modifier`: average effects of groups of people along a covariate, with a band that holds
# each with 95% probability; the dashed line is no effect.

# %%
plots.plot_modifier(
    reporting.modifier_effects(effects[["te", "tnie"]], study, "age", **INTERVAL),
    labels={"te": "total", "tnie": "through confidence"},
    better="higher",
    xlabel="age (years)",
    ylabel="average effect (points)",
    title="Effect by age",
)

# %% [markdown]
# `plot_modifier` draws a covariate with levels one level per row, the number of its people below
# the name.

# %%
plots.plot_modifier(
    reporting.modifier_effects(effects[["te", "tnie"]], study, "work", **INTERVAL),
    labels={"te": "total", "tnie": "through confidence"},
    better="higher",
    ylabel="average effect (points)",
    title="Effect by work",
)

# %% [markdown]
# ## Subgroups
#
# ### Subgroup forest
#
# `plot_subgroup_forest`: one row per subgroup and one for all people; subgroups whose lines lie
# apart differ in their mean effects.

# %%
groups = hte.m_learner(effects["te"], study, seed=SEED, margin=5.0)
plots.plot_subgroup_forest(
    hte.subgroup_effects_table(effects["te"], study, groups, **DIRECTION, **INTERVAL),
    **DIRECTION,
    xlabel="mean effect on function (points)",
    title="Subgroups and everyone",
)

# %% [markdown]
# ### Profile tree
#
# `plot_profile_tree`: the subgroups in words; each step to the right is one more condition, and
# markers are those of the subgroups in the forest.

# %%
named = subgroup_labels(groups.profile.leaves["subgroup"].nunique(), better="higher")
plots.plot_profile_tree(tree_outline(groups.profile, named), title="Who is in which subgroup")

# %% [markdown]
# ### Membership
#
# `plot_membership`: one thin column per person, divided by the probability of belonging to each
# subgroup; people in the slope between the flat ends could be in either.

# %%
strip = membership_strip(
    groups.membership.sel(subgroup=list(named)), named=lambda number: named[number]
)
plots.plot_membership(strip[strip["drawn"]].drop(columns=["unit", "drawn"]), title="Membership")

# %% [markdown]
# ### Co-clustering
#
# `plot_co_clustering`: the darker a point, the more often two people are in the same group; clear
# subgroups are dark blocks on a pale ground, and bars below the dashed line are people whose
# membership is uncertain.

# %%
clustered = co_clustering(effects["te"], groups, seed=SEED)
plots.plot_co_clustering(
    *heat_map_tables(clustered, point_partition(clustered)),
    clear=groups.clear_membership,
    title="Who belongs together",
)

# %% [markdown]
# ## Whether the arms can be compared
#
# ### Overlap
#
# `plot_overlap`: the probability of being given the treatment, for the people of each arm; where
# only one side has bars, there is nobody to compare with.

# %%
columns = pd.get_dummies(frame[["age", "pain", "work"]], dtype=float)
logit = LogisticRegression(max_iter=1000).fit(columns, arm).decision_function(columns)
score = 1 / (1 + np.exp(-draws_around(logit, shared=0.1, own=0.05, name="propensity")))
plots.plot_overlap(
    reporting.propensity_shares(score, arm, ARMS, n_bins=20),
    title="Propensity by arm",
)

# %% [markdown]
# ### Love plot
#
# `plot_love`: how far the arms differ in each covariate, in standard deviations; hollow markers
# show it before weighting, and after weighting all should lie in the shaded strip.

# %%
weighted = hte.iptw(
    frame, outcome="function", treatment="exercise", propensity=score, rng=np.random.default_rng(1)
)
balance = hte.compare_balance(
    frame,
    treatment="exercise",
    covariates=["age", "pain", "work"],
    weights={"weighted": weighted.weights},
)
plots.plot_love(balance, title="Balance before and after weighting")

# %% [markdown]
# ### Weights
#
# `plot_weights`: the weights of single people after weighting; a long tail to the right means that
# a few speak for many.

# %%
plots.plot_weights(weight_shares(weighted.weights, study, ARMS), title="Weights by arm")

# %% [markdown]
# ## Who to treat
#
# ### Targeting curves
#
# `plot_targeting_curve`: the gain of treating the most promising share of people rather than as
# many at random; a curve whose band stays above zero means that the ranking can be used. Qini is
# the gain per person of the population,

# %%
of_study = {
    "outcome": frame["function"],
    "treatment": frame["exercise"],
    "propensity": propensity,
    "better": "higher",
}
qini = hte.qini(effects["te"], **of_study, rng=np.random.default_rng(2))
implied = implied_qini(effects["te"], better="higher")
curves = {"observed outcomes": qini, "the posterior itself": implied}
plots.plot_targeting_curve(
    pd.concat(
        curve.curve_summary(**INTERVAL).assign(curve=name).reset_index()
        for name, curve in curves.items()
    ),
    ylabel="gain (points per person)",
    title="Qini: gain over a random choice",
)

# %% [markdown]
# and with `plot_targeting_curve` the TOC shows the effect among those treated, less that of all.

# %%
toc = hte.toc(effects["te"], **of_study, rng=np.random.default_rng(3))
plots.plot_targeting_curve(
    toc.curve_summary(**INTERVAL),
    ylabel="effect among those treated, less that of all (points)",
    title="TOC: who is treated first gains more",
)

# %% [markdown]
# ### Best arms
#
# `plot_best_arms`: of several arms the probability of each to be the best, one column per person. A
# column of one colour up to the top is somebody for whom the choice is clear; mixed columns are
# people for whom it is open, and `hte.best_arms` says how much a wrong choice would cost.

# %%
doses = xr.concat([0 * effects["te"], effects["te"], 0.6 * effects["te"] + 1.0], "arm")
doses = doses.assign_coords(arm=["no exercise", "daily", "twice a week"]).drop_attrs()
plots.plot_best_arms(
    hte.probability_best(doses, better="higher"), title="Which dose is best, and how sure"
)

# %% [markdown]
# ### Calibration
#
# `plot_calibration`: people in bins of their predicted effect; points near the dashed diagonal mean
# that differences in predicted effects are there in the outcomes.

# %%
plots.plot_calibration(
    hte.calibration_by_bins(
        effects["te"],
        **{key: value for key, value in of_study.items() if key != "better"},
        n_bins=5,
        rng=np.random.default_rng(4),
    ).summary(**INTERVAL),
    xlabel="predicted effect (points)",
    ylabel="observed effect (points)",
    title="Predicted and observed effects",
)

# %% [markdown]
# ## Survival
#
# `plot_survival`: the probability of surviving each time in each arm with its posterior band, the
# Kaplan-Meier curves of those who were in the arm, and how many were still at risk. The curves here
# are those of an invented trial.

# %%
chance = np.random.default_rng(SEED + 1)
years = np.linspace(0.25, 5, 20)
hazards = np.exp(chance.normal([np.log(0.3), np.log(0.18)], 0.12, size=(CHAINS, DRAWS, 2)))
survived = xr.DataArray(
    np.exp(-hazards[..., np.newaxis] * years),
    dims=("chain", "draw", "arm", "time"),
    coords={"arm": [0, 1], "time": years},
    name="survival",
)
waited = chance.exponential(1 / np.array([0.3, 0.18])[arm])
left = chance.uniform(2, 7, size=N)
times = pd.DataFrame({"years": np.minimum(waited, left), "died": waited <= left})
followed = hte.Study.from_frame(
    times.assign(drug=arm, age=age),
    outcome="years",
    event="died",
    treatment="drug",
    covariates=["age"],
)
plots.plot_survival(
    hte.summarize(survived, **INTERVAL).reset_index(),
    observed=hte.observed_survival(followed),
    at_risk=at_risk(followed, range(6)),
    arms=ARMS,
    xlabel="years",
    title="Survival in the two arms",
)

# %% [markdown]
# ## Whether to believe it
#
# ### Left-out predictions
#
# `plot_loo_pit`: the places of outcomes in predictions made without them; markers within the boxes
# are as they should be, and too many in the outer tenths (here in one arm) mean predictions that
# are too narrow.

# %%
places = np.where(arm == 1, rng.beta(0.45, 0.45, size=N), rng.random(N))
plots.plot_loo_pit(
    calibration_check(places, arm=arm, arm_names=ARMS).table,
    title="Outcomes in their left-out predictions",
)

# %% [markdown]
# ### Tipping
#
# `plot_tipping`: which hidden confounder would undo the conclusion; along a line the probability of
# benefit falls below its level, and the diamonds show how strong the measured covariates are.

# %%
tipping = tipping_point(
    averages["te"],
    better="higher",
    gamma=np.linspace(0, 16, 33),
    delta=np.linspace(0, 1, 33),
    benchmarks=benchmark_covariates(
        frame, outcome="function", treatment="exercise", covariates=["age", "pain", "work"]
    ),
)
plots.plot_tipping(
    tipping.probability,
    tips=tipping.tips,
    benchmarks=tipping.benchmarks,
    xlabel="difference of the confounder between the arms (sd)",
    ylabel="effect of the confounder on function (points)",
    title="What would tip the conclusion",
)

# %% [markdown]
# ### Rho
#
# `plot_rho`: direct and indirect effect if something unmeasured moved mediator and outcome; the
# diamond is the correlation at which nothing would pass through the mediator.

# %%
shift = averages["te"] * 0.9 + rng.normal(scale=0.4, size=(CHAINS, DRAWS))
rho = rho_sensitivity(averages["tnie"], averages["te"], shift)
plots.plot_rho(
    rho.summary(**INTERVAL),
    root=rho.root_summary(**INTERVAL),
    better="higher",
    ylabel="average effect (points)",
    limits=(-4, 14),
    title="If something unmeasured moved both",
)

# %% [markdown]
# ## Mixtures of classes
#
# ### Agreement
#
# `plot_agreement`: two ways to estimate a mixture, one above the other; intervals that lie apart
# mean that the declared graph or the family of the outcome is wrong.

# %%
plots.plot_agreement(
    pd.DataFrame(
        {
            "label": ["Class 0", "Class 1", "all classes"],
            "likelihood_median": [-0.12, 0.43, 0.10],
            "likelihood_lower": [-0.20, 0.35, 0.05],
            "likelihood_upper": [-0.05, 0.52, 0.15],
            "moments_median": [-0.15, 0.47, 0.09],
            "moments_lower": [-0.30, 0.33, 0.03],
            "moments_upper": [-0.02, 0.63, 0.16],
            "truth": [-0.15, 0.45, 0.09],
        }
    ).assign(**INTERVAL),
    better="higher",
    xlabel="effect on the probability of recovery",
    title="Likelihood and moments",
)

# %% [markdown]
# ### Identifiability
#
# `plot_identifiability`: a disc where a level of the hierarchy identifies a quantity, a cross where
# it does not; the shaded level is that of the declared design.

# %%
graph = hte.identifiability(k=2, z_levels=[3, 2], x_levels=[3], edges=["Z-T"])
plots.plot_identifiability(level_grid(graph, one="patient"), title="What is identified")
