"""Results in a notebook: short in words, whole in HTML, with the user's names escaped."""

from __future__ import annotations

from html.parser import HTMLParser

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_hte as hte
from bayes_hte.checks.base import CheckResult
from bayes_hte.errors import SpecError
from bayes_hte.subgroups import HonestSubgroups
from bayes_hte.trust.rule import judge
from bayes_hte.views import html_block

SIZE = {"draws": 20, "tune": 20, "chains": 2, "cores": 1, "progress": False}
EVIL = "<script>alert(1)</script>"
LONGEST = 400


class Page(HTMLParser):
    """Collect the tags and the text of a page, and check that what is opened is closed."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags, self.words, self.open = set(), [], []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.fixture(scope="module")
def study() -> hte.Study:
    """Return a study whose columns, arms and levels are markup."""
    frame = hte.simulate_mediation(np.random.default_rng(1), n=80).frame
    frame = frame.rename(columns={"y": "y<b>", "x1": EVIL})
    frame["arm"] = np.where(frame.pop("treat") == 1, "<i>new", "old")
    roles = {"outcome": "y<b>", "treatment": "arm", "covariates": [EVIL, "x2"]}
    return hte.Study.from_frame(frame, **roles, reference="old")


@pytest.fixture(scope="module")
def fit(study) -> hte.Fit:
    return hte.fit(study, surface="linear", seed=1, **SIZE)


@pytest.fixture(scope="module")
def results(study, fit) -> dict[str, object]:
    checks = [
        CheckResult("sampling health: averages", True, pd.DataFrame({"a": range(99)}), "Fine."),
        CheckResult("overlap of the arms", True, pd.DataFrame(), f"Overlap of {EVIL}."),
        CheckResult("shape", False, pd.DataFrame({"a": range(99)}), "Wrong shape."),
    ]
    effect = fit.cate().copy()
    effect += 3.0 * (study.frame[EVIL].to_numpy() > 0)
    half = [study.subset(np.arange(k, 80, 2)) for k in (0, 1)]
    parts = [part for h in half for part in (effect.sel(unit=h.units), h)]
    from bayes_hte.subgroups import honest_subgroups

    return {
        "Study": study,
        "Fit": fit,
        "Subgroups": hte.m_learner(effect, study, seed=1, largest_k=2),
        "JudgedSubgroups": hte.m_learner(fit, seed=1, largest_k=2, cores=1, progress=False),
        "HonestSubgroups": honest_subgroups(*parts, seed=1),
        "Trust": judge(checks),
    }


KINDS = ("Study", "Fit", "Subgroups", "JudgedSubgroups", "HonestSubgroups", "Trust")


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_is_a_line_in_words_and_escaped_in_html(results, kind):
    result = results[kind]
    line = repr(result)
    assert line.startswith(f"{kind}(")
    assert len(line) < LONGEST
    assert "\n" not in line
    page = Page(result._repr_html_())
    assert page.tags.isdisjoint({"script", "b", "i"})
    assert kind in page.text


def test_the_words_are_those_that_matter(results):
    said = {kind: Page(results[kind]._repr_html_()).text for kind in KINDS}
    assert "old (40), <i>new (40)" in repr(results["Study"])
    assert EVIL in said["Study"]
    assert "arm_mean" in said["Fit"]
    assert "SATE" in said["Fit"]
    assert "total effect" in said["Fit"]
    assert "declared in-sample" in said["Subgroups"]
    assert EVIL in said["Subgroups"]  # in the rules
    assert "by halves" in said["JudgedSubgroups"]
    assert "in-sample" not in said["JudgedSubgroups"]
    assert "Wrong shape." in said["Trust"]
    assert repr(results["Trust"]) == "Trust('simple method enough', amber; 3 checks, 1 caution)"


def test_a_block_escapes_everything_and_says_what_it_left_out():
    table = pd.DataFrame({EVIL: [EVIL] * 50}, index=pd.Index([EVIL] * 50, name=EVIL))
    page = Page(
        html_block(EVIL, {EVIL: EVIL}, sentences=[EVIL], table=table, details={EVIL: table})
    )
    assert "script" not in page.tags
    assert "10 more rows" in page.text


def test_the_summary_shows_the_means_that_each_effect_is_the_difference_of(fit):
    table = fit.summary()
    assert table.loc["cate", "effect"] == "total effect"
    mu = fit.potential_outcomes().mean(("chain", "draw", "unit")).to_numpy()
    assert table.loc["cate", ["reference_mean", "arm_mean"]].tolist() == pytest.approx(mu.tolist())
    difference = table["arm_mean"] - table["reference_mean"]
    np.testing.assert_allclose(difference, table["mean"])


def test_with_a_mediator_each_part_has_its_own_two_means():
    frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
    roles = {"outcome": "y", "treatment": "treat", "mediator": "m", "covariates": ["x1"]}
    fit = hte.fit(hte.Study.from_frame(frame, **roles), surface="linear", seed=1, **SIZE)
    table = fit.summary()
    np.testing.assert_allclose(table["arm_mean"] - table["reference_mean"], table["mean"])
    mu = fit.potential_outcomes().mean(("chain", "draw", "unit"))
    assert table.loc["tnie", "reference_mean"] == pytest.approx(float(mu[1, 0]))
    assert table.loc["tnie", "effect"] == "total natural indirect effect"
    assert [tick.get_text() for tick in fit.plot().axes[0].get_yticklabels()] == [*table["effect"]]


def test_several_contrasts_have_means_of_their_own_arms():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"y": rng.normal(size=60), "x": rng.normal(size=60)})
    frame["arm"] = ["a", "b", "c"] * 20
    roles = {"outcome": "y", "treatment": "arm", "covariates": ["x"]}
    study = hte.Study.from_frame(frame, **roles, reference="a")
    for learner in ("t", "x"):
        fit = hte.fit(study, learner=learner, surface="linear", seed=1, **SIZE)
        table = fit.summary(contrast="all")
        np.testing.assert_allclose(
            table["arm_mean"] - table["reference_mean"], table["mean"], atol=1e-12
        )
        shared = table["reference_mean"].loc["cate"]
        assert shared["b vs a"] == shared["c vs a"] != shared["c vs b"]
    with pytest.raises(SpecError, match="name one"):
        fit.plot()


def test_results_draw_themselves(results):
    for kind, count in (("Subgroups", 2), ("HonestSubgroups", 3)):
        assert len(results[kind].plot().axes[0].get_yticklabels()) == count
    for better, first in (("higher", "Subgroup B"), ("lower", "Subgroup A"), (None, "Subgroup 0")):
        # The subgroup with the lowest effect comes first.
        labels = results["Subgroups"].plot(better=better).axes[0].get_yticklabels()
        assert labels[0].get_text().startswith(first)
    drawn = results["Subgroups"].plot("membership", better="higher", title="Who")
    assert "membership" in drawn.axes[0].get_ylabel()
    with pytest.raises(SpecError, match="Did you mean 'membership'"):
        results["Subgroups"].plot("memberships")
    assert isinstance(results["HonestSubgroups"], HonestSubgroups)
    assert isinstance(results["Subgroups"].labels, xr.DataArray)
    plt.close("all")
