"""The RAND Health Insurance Experiment, prepared as the published comparison of learners did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

COVARIATES = ["lpi", "fmde", "physlm", "disea", "hlthg", "hlthf", "hlthp"]


def propensity_model(**options) -> Pipeline:
    """Standardised covariates, then scikit-learn's default penalised logistic regression.

    Only this choice gives the published digits: without standardising, or without the penalty,
    the third digit of several figures differs.
    """
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, **options))


@dataclass(frozen=True, eq=False)
class RandHie:
    whole: pd.DataFrame
    train: pd.DataFrame
    test: pd.DataFrame


@pytest.fixture(scope="session")
def randhie() -> RandHie:
    data = pytest.importorskip("statsmodels.datasets").randhie.load_pandas().data
    data = data.assign(t=(data["lncoins"] < data["lncoins"].mean()).astype(int))
    parts = train_test_split(data, test_size=0.2, random_state=42, stratify=data["t"])
    model = propensity_model().fit(parts[0][COVARIATES], parts[0]["t"])
    train, test = (p.assign(e=model.predict_proba(p[COVARIATES])[:, 1]) for p in parts)
    return RandHie(data, train, test)


@pytest.fixture
def small() -> pd.DataFrame:
    """200 units with heavily tied propensities and a real effect of 1."""
    rng = np.random.default_rng(7)
    e = rng.choice([0.2, 0.35, 0.5, 0.65, 0.8], size=200)
    t = (rng.random(200) < e).astype(int)
    y = 3 * e + t + rng.normal(size=200)
    return pd.DataFrame({"y": y, "t": t, "e": e}, index=[f"u{k}" for k in range(200)])
