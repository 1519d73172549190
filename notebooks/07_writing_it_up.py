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
# # Writing it up: from a fitted study to the paper
#
# **Question.** The analysis is finished. Which of its numbers, words, tables and figures belong in
# the paper, and which documents must exist before the data so that a reader trusts them?
#
# We write a study file for JOBS II as if the trial were still to come, run it, and write the paper
# from its results on disk.

# %% tags=["parameters"]
UNITS = 899  # small: 150
DRAWS = 300  # small: 50
TUNE = 200  # small: 50
CHAINS = 4  # small: 2
REPEATS = 20  # small: 5
SEED = 20261121

# %%
import json
import tempfile
from pathlib import Path
from textwrap import fill

import pandas as pd

import bayes_hte as hte
from bayes_hte import plots
from bayes_hte.reporting import methods

# %% [markdown]
# ## 1. Before the data: a file that can be registered
#
# The file declares the whole analysis. The choices that make a finding credible are made here,
# before anybody can have looked: which difference matters, and why; which direction is better; the
# margin and the probability from which a subgroup is declared; who judges it; the seed.

# %%
STUDY_FILE = f"""
title = "JOBS II: does job-search training lower depression, and for whom?"

[about]
question = "How much does the offer of job-search training change depression, and for whom?"
suitable_for = "learning to write up an analysis"
not_suitable_for = "decisions about services today"

[data]
source = "trial.csv"

[roles]
outcome = "depress2"
treatment = "treat"
reference = 0
arm_names = ["booklet", "job-search training"]
mediator = "job_seek"
covariates = ["econ_hard", "depress1", "sex", "age", "educ"]

[outcome]
better = "lower"
unit = "points of the depression scale (1 to 5)"
minimal_important_difference = 0.13
because = "one fifth of the standard deviation of the scale, often called a small effect"

[mediator]
unit = "points of job-search self-efficacy (1 to 5)"

[propensity]
assignment = "randomised"
as_covariate = false
surface = "forest"

[learner]
name = "hierarchical"
because = "borrows strength between the arms, and shrinks differences between people"

[subgroups]
effects = ["te"]
margin = 0.13
probability = 0.95
because = "two groups deserve names only if they differ by more than what matters"

[checks]
repeats = {REPEATS}

[sampler]
seed = {SEED}
chains = {CHAINS}
draws = {DRAWS}
tune = {TUNE}
"""

workplace = tempfile.TemporaryDirectory()
folder = Path(workplace.name)
path = folder / "trial.toml"
path.write_text(STUDY_FILE, encoding="utf-8")
spec = hte.load_spec(path)
print(f"to be registered: {spec.hash()}")

# %% [markdown]
# Register the file with its hash. A later change of the analysis changes the hash, and an unknown
# word is refused rather than ignored:

# %%
changed = folder / "changed.toml"
changed.write_text(STUDY_FILE.replace("margin = 0.13", "margin = 0.03"), encoding="utf-8")
print(f"another margin:   {hte.load_spec(changed).hash()}")

changed.write_text(STUDY_FILE.replace("margin = 0.13", "marginn = 0.13"), encoding="utf-8")
try:
    hte.load_spec(changed)
except hte.SpecError as error:
    print(fill(str(error), width=100))

# %% [markdown]
# ## 2. The data arrive: one command
#
# In a shell `bayes-hte check trial.toml` says whether file and data go together, and
# `bayes-hte run trial.toml -o results` does everything; in a notebook it is a function.

# %%
frame = hte.load_jobs2().sample(UNITS, random_state=SEED).sort_index()
frame.to_csv(folder / "trial.csv", index=False)

results = folder / "results"
run = hte.run_study(spec, results, progress=False, say=lambda line: None)
sorted(p.name for p in results.iterdir())

# %% [markdown]
# `report.html` is for readers: one file that needs no network. `tables` holds all its numbers as
# CSV, `posterior` the draws, and `run.json` the facts needed to repeat the run.
#
# ## 3. Read the verdict before the effects
#
# It decides which kind of paper to write.

# %%
trust = run.results.trust
print(f"{trust.level.upper()}: {trust.verdict}")
print(fill(trust.headline, width=100))
for reason in trust.reasons:
    print(fill(f"- {reason}", width=100, subsequent_indent="  "))
for check in trust.cautions:
    print(f"- to be mentioned: {check.name}")

# %% [markdown]
# | verdict | the paper |
# |---|---|
# | do not trust | reports no effects: mend the cause that the reason names, or report it |
# | simple method enough | reports average effects, and that differences were sought and not shown |
# | heterogeneity real and stable | in addition, the covariates of the differences, but no ranking |
# | ..., ranking usable | in addition, the gain of treating those ranked first, with its interval |
#
# A caution is a sentence in the limitations. It is not a reason to try other settings until it
# goes away: that would need a new registration, and a mention of the old one. Neither is a
# probability that nearly suffices: with .99 where .998 was registered, and other covariates or
# another seed, the rule might have decided differently for the same people. Therefore all of them
# are in the file.
#
# ## 4. The result in words
#
# Numbers for the text are copied from a table, never from a figure, and never rounded twice. The
# sentence names who was averaged over, the unit, the kind and probability of the interval, and
# answers the two questions a clinician asks: does it help, and does it help enough?

# %%
averages = pd.read_csv(results / "tables" / "average_effects.csv")
rows = averages[averages["population"] == "SATE"].drop_duplicates("effect").set_index("effect")
shown = ["name", "mean", "ci_lower", "ci_upper", "prob_benefit", "prob_important"]
rows[shown].round(3)


# %%
def in_words(row):
    interval = hte.interval_words(row["ci_prob"], row["ci_kind"])
    return (
        f"The {row['name']} on depression, averaged over the {UNITS} people studied, was "
        f"{row['mean']:z.2f} points ({interval}: {row['ci_lower']:z.2f} to "
        f"{row['ci_upper']:z.2f}). "
        f"The posterior probability of a benefit was {row['prob_benefit']:.2f}, and of a benefit "
        f"of more than {row['important_difference']:g} points {row['prob_important']:.2f}."
    )


for effect in ("te", "tnie"):
    print(fill(in_words(rows.loc[effect]), width=100), end="\n\n")

# %% [markdown]
# Words that a reviewer will rightly strike out, and words that the numbers support:
#
# | not | but |
# |---|---|
# | significant, not significant, p = ... | the posterior probability of a benefit is ... |
# | 95% CI | 95% posterior interval, equal-tailed (there are other kinds, and they differ) |
# | there was no effect | effects beyond ... are improbable; smaller ones are not excluded |
# | the probability that *this patient* benefits | ... that people like this do better on average |
# | responders, non-responders | people with a larger, a smaller predicted effect |
# | mediated, the mechanism | the part through self-efficacy, if nothing unmeasured moves both |
#
# ## 5. Which figure, which table
#
# One figure answers the question that was registered, with the line that was registered:

# %%
draws = run.results.averages[["te", "tnie", "pnde"]]
plots.plot_densities(
    draws,
    hte.summarize(draws, ci_prob=spec.report.ci_prob, ci_kind=spec.report.ci_kind),
    labels={"te": "total effect", "tnie": "through self-efficacy", "pnde": "not through it"},
    better=spec.outcome.better,
    important=spec.outcome.minimal_important_difference,
    xlabel="effect on depression (points)",
    title="Average effects",
)

# %% [markdown]
# Whether a figure of subgroups follows was decided in advance too, by the honest rule: the people
# that one half ranks highest and lowest are compared in the other half.

# %%
honest = run.results.honest["te"]
print(fill(honest.reason, width=100))
print()
if honest.declared:
    print("In the paper: the subgroup forest plot and the tree in words, as a hypothesis.")
else:
    print("In the paper: one sentence that subgroups were sought as registered, and none declared.")

# %% [markdown]
# | where | what | from |
# |---|---|---|
# | abstract | the sentence on the total effect; the verdict in words | `average_effects.csv` |
# | table 1 | covariates by arm, with standardised differences, no tests | `hte.balance` |
# | table 2 | total, indirect and direct effects with both probabilities | `average_effects.csv` |
# | figure 1 | densities of the average effects | above |
# | supplement | `report.html` as it is, with `tables`, the study file and `run.json` | the folder |
#
# Individual effects, caterpillars and curves over covariates stay in the supplement unless the
# verdict says that heterogeneity is real: readers remember pictures and forget captions.

# %%
hte.balance(frame, treatment="treat", covariates=list(spec.roles.covariates)).round(2)

# %% [markdown]
# ## 6. The methods section
#
# It is written from the study file and so cannot disagree with the run. Paste it, then shorten it;
# the parts you cut go to the supplement.

# %%
written = methods(run.results)
for paragraph in written.paragraphs[:2]:
    print(fill(paragraph, width=100), end="\n\n")
print(f"... and {len(written.paragraphs) - 2} paragraphs more, on effects, sampling and checks.")

# %% [markdown]
# It cites exactly what was used, and lists it with DOIs:

# %%
for reference in written.references[:3]:
    print(fill(f"- {reference.full}", width=100, subsequent_indent="  "))
print(f"... and {len(written.references) - 3} more.")

# %% [markdown]
# ## 7. Checklists
#
# Journals ask for them: for predictive approaches to heterogeneity, for the credibility of
# subgroups, for mediation, for Bayesian analyses. The report has a section on those that apply,
# filled in where the run knows the answer and marked for the author where it does not. A run can
# never know the reason for these covariates, whether the trial was registered, who made which
# decision when, or whether waiting could have harmed anybody. Fill these in by hand, and tick only
# true items: a subgroup found in the data is of low credibility however clear it looks.
#
# ## 8. The reviewer asks for something else
#
# Nothing has to be sampled again to change the interval or the wording: `bayes-hte report results`
# writes the report from the saved draws, and refuses if the data are no longer those of the run.

# %%
hte.report_from_saved(results)
again = pd.read_csv(results / "tables" / "average_effects.csv")
print("the same numbers again:", again.equals(averages))

record = json.loads((results / "run.json").read_text(encoding="utf-8"))["provenance"]
pd.Series(
    {
        "study file as registered": record["spec_hash"] == spec.hash(),
        "fingerprint of the data": record["data_fingerprint"][:12],
        "seed": record["seed"],
        "PyMC": record["versions"]["pymc"],
        "bayes-hte": record["versions"]["bayes-hte"],
    },
    name="run.json",
).to_frame()

# %% [markdown]
# `save_fit` keeps an analysis made in a notebook. With the same data `load_fit` returns the same
# numbers; other data are refused. The folder holds no rows of the data, but draws that
# belong to them and the distinct values of every covariate: keep it where the data are kept.

# %%
study = hte.Study.from_frame(
    frame, outcome="depress2", treatment="treat", covariates=["depress1", "age", "educ"]
)
fit = hte.fit(study, seed=SEED, draws=DRAWS, tune=TUNE, chains=CHAINS, progress=False)
hte.save_fit(fit, folder / "fit")
loaded = hte.load_fit(folder / "fit", study)
print(f"largest difference of an effect: {float(abs(loaded.cate() - fit.cate()).max()):.0e}")

fewer = study.sample(UNITS // 2, seed=SEED)
try:
    hte.load_fit(folder / "fit", fewer)
except hte.SavedResultError as error:
    print(fill(str(error).replace(str(folder), "..."), width=100))

# %%
workplace.cleanup()

# %% [markdown]
# **Answer.** Before the data: a study file with the difference that matters, the rule for
# subgroups, the reasons and the seed, registered with its hash. In the paper: the verdict first;
# one sentence per effect that names population, unit, interval and two probabilities; one figure of
# the average effects; subgroups only if the registered rule declares them. In the supplement: the
# report, its tables, the study file and `run.json`. The methods section and its references come
# from the run.
#
# **Caveat.** These data were collected in 1991 and analysed often, also here: a file written today
# registers nothing, and the margin of .13 is a convention, not a patient's view. A hash shows that
# a file was not changed, not that nobody had looked at the data; only the date of the registration
# can show that. And a generated methods section describes the analysis, not its wisdom.
