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
# # Your own CSV, from start to finish
#
# **Question.** You have a table in a CSV file, one row per patient, and no Python to write. How do
# you get from the file to a report, and to predictions for new patients?
#
# Every step is one command in a terminal; here a cell runs it and shows what it printed. **The data
# are simulated**: a training programme for back pain, with the usual untidiness of a real file
# (semicolons, decimal commas, words for the arms, gaps).

# %% tags=["parameters"]
PATIENTS = 300  # small: 120
SEED = 20261202

# %%
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

folder = tempfile.TemporaryDirectory()
work = Path(folder.name)


def bayes_hte(*words):
    """Run the command in the folder of the data, and show what it says."""
    command = [sys.executable, "-m", "bayes_hte.cli", *map(str, words)]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    print(f"$ bayes-hte {' '.join(map(str, words))}\n{done.stdout}{done.stderr}".rstrip())


# %% [markdown]
# ## 1. The file

# %%
rng = np.random.default_rng(SEED)
age = rng.normal(50, 12, PATIENTS).round()
months = rng.exponential(8, PATIENTS).round(1)
arm = rng.permutation(np.where(np.arange(PATIENTS) % 2, "training", "usual care"))
gain = np.where(arm == "training", 4 + 0.5 * (age - 50), 0)
table = pd.DataFrame(
    {
        "patient": [f"P{i:04d}" for i in range(PATIENTS)],
        "arm": arm,
        "age": age,
        "months": months,
        "sex": rng.choice(["woman", "man"], PATIENTS),
        "function": (60 - 0.5 * months + gain + rng.normal(0, 8, PATIENTS)).round(1),
    }
)
table.loc[rng.random(PATIENTS) < 0.1, "months"] = np.nan
table.to_csv(work / "trial.csv", sep=";", decimal=",", index=False)
print("\n".join((work / "trial.csv").read_text().splitlines()[:4]))

# %% [markdown]
# ## 2. A study file
#
# `new` reads the table and writes what it found into `trial.toml`. What only you can know is marked
# `QUESTION`.

# %%
bayes_hte("new", "trial.csv", "--outcome", "function", "--treatment", "arm")

# %%
print((work / "trial.toml").read_text())

# %% [markdown]
# Answer the questions in an editor. Here: higher function is better, five points are the smallest
# difference that matters to patients, and chance decided who was trained. (That usual care is what
# training is compared with was found from its name.)

# %%
text = (work / "trial.toml").read_text()
answers = {
    r"minimal_important_difference = .*": "minimal_important_difference = 5.0",
    r"assignment = .*": 'assignment = "randomised"',
}
for question, answer in answers.items():
    text = re.sub(question, answer, text)
(work / "trial.toml").write_text(text)
bayes_hte("check", "trial.toml")

# %% [markdown]
# `check` samples nothing. It says what is odd in the data, and how long the analysis will take.
#
# ## 3. The analysis
#
# `--quick` is a first look: few draws, no halves, no refutations, and the report says so. Without
# it the whole analysis runs.

# %%
bayes_hte("run", "trial.toml", "--quick", "-o", "results", "--quiet")

# %% [markdown]
# `results/report.html` opens in any browser and needs no network. Every number of it is in a
# table next to it:

# %%
effects = pd.read_csv(work / "results" / "tables" / "average_effects.csv")
effects[
    ["name", "population", "mean", "ci_lower", "ci_upper", "prob_benefit", "prob_important"]
].round(2)

# %% [markdown]
# ## 4. New patients

# %%
new = pd.DataFrame({"age": [35, 65, 95], "months": [3.0, 3.0, 3.0], "sex": ["woman"] * 3})
new.to_csv(work / "new.csv", index=False)
bayes_hte("predict", "results", "new.csv", "-o", "predicted.csv")
pd.read_csv(work / "predicted.csv").round(1)

# %%
folder.cleanup()

# %% [markdown]
# **Answer.** Four commands: `new`, `check`, `run`, `predict`. The study file between them is the
# record of every choice, and can be reviewed before the data exist. In the simulation training
# helps older patients more, by half a point per year of age, and the predictions say so; the third
# row is flagged, as nobody in the study is that old.
#
# **Caveat.** A first look is for finding mistakes in the data and the file. Nothing of it belongs
# into a paper: run the study without `--quick`, read whether the numbers can be used, and only then
# what they say.
