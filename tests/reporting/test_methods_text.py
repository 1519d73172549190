from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from bayes_hte.reporting import methods
from bayes_hte.reporting.methods.references import REFERENCES, linked
from bayes_hte.reporting.tables.priors import prior_table
from bayes_hte.study.spec import LearnerSpec, PriorSpec


def cited(results):
    return {reference.short for reference in methods(results).references}


@pytest.mark.parametrize("mediator", [True, False])
def test_the_bibliography_is_exactly_what_the_text_cites(build, mediator):
    written = methods(build(mediator=mediator))
    text = " ".join(written.paragraphs)
    for reference in REFERENCES.values():
        assert (reference.short in text) == (reference in written.references)
    assert "[@" not in text


def test_works_of_methods_that_were_not_used_are_absent(build):
    forest = cited(build(mediator=False))
    assert "Chipman et al. 2010" in forest
    assert not forest & {"VanderWeele 2015", "Imai et al. 2010a", "Imai et al. 2010b"}
    other = build(mediator=False, surface="linear", learner="t", assignment="observational")
    assert "Chipman et al. 2010" not in cited(other)
    alone = replace(other, beside={}, spec=replace(other.spec, learner=LearnerSpec()))
    assert "K\u00fcnzel et al. 2019" in cited(other)
    assert "K\u00fcnzel et al. 2019" not in cited(alone)
    text = " ".join(methods(other).paragraphs)
    assert "not randomised" in text
    assert "no unmeasured confounding" in text


def test_no_bootstrap_and_no_subgroups_are_claimed_where_there_are_none(results):
    less = replace(results, populations=results.populations[["SATE"]], subgroups={})
    assert not cited(less) & {"Li et al. 2025", "Breiman et al. 1984"}
    text = " ".join(methods(less).paragraphs)
    assert "(PATE)" not in text
    assert "Subgroups" not in text


COMPARISONS = {"Robins et al. 2000", "Abadie and Imbens 2006", "Austin 2009"}
UNSEEN = {"Robins et al. 1994", "Radcliffe 2007"}
CONFOUNDING = {"VanderWeele and Ding 2017", "Chinn 2000", "Lin et al. 1998"}


def test_what_the_effects_are_compared_with_is_described_where_it_was_done(results, observational):
    randomised = replace(results, targeting=None)
    assert cited(results) >= COMPARISONS | UNSEEN | {"Imai et al. 2010b"}
    assert not cited(randomised) & (UNSEEN | CONFOUNDING)
    observed = observational
    assert cited(observed) >= COMPARISONS | UNSEEN | CONFOUNDING
    text = " ".join(methods(observed).paragraphs)
    assert "each of the 60 person-years from all others" in text
    assert "Further learners (T-learner, homogeneous)" in text
    away = replace(observed, targeting=replace(observed.targeting, how="held out"))
    assert "the 60 person-years that were held out from every model" in " ".join(
        methods(away).paragraphs
    )


def test_no_conversion_is_claimed_for_ratios(observational):
    known = observational.sensitivity
    ratios = tuple(replace(e, measure="mean_ratio") for e in known.e_values)
    sensitivity = replace(known, e_values=ratios)
    assert "Chinn 2000" not in cited(replace(observational, sensitivity=sensitivity))


def test_the_text_states_sizes_interval_sampler_and_versions(results):
    text = " ".join(methods(results).paragraphs)
    for words in (
        "60 people, 30 in the arm new $care$",
        "90% posterior interval, equal-tailed",
        "2 chains of 60 draws after 50 tuning draws, seed 7",
        "Checks: sampling health: outcome (R-hat",
        "linear in the mediator, with slopes that vary",
        "pymc 6.4, numpy 2.5",
        "randomising the treatment does not provide",
        "this probability is not an error rate",
    ):
        assert words in text


def test_a_doi_becomes_a_link_and_the_rest_is_escaped():
    shown = linked("A & B (2020). Title. doi:10.1/x-y. More")
    assert shown == (
        'A &amp; B (2020). Title. <a href="https://doi.org/10.1/x-y">doi:10.1/x-y</a>. More'
    )
    assert linked("no doi <here>") == "no doi &lt;here&gt;"


def test_every_term_of_every_model_has_its_prior_and_reason(build):
    table = prior_table(build(mediator=True, surface="linear").spec).set_index("component")
    of_mediator = ["expected_mediator", "mediator", "mediator_modified", "mediator_arm"]
    assert table.loc["outcome", "term"].tolist() == ["arm_mean", "shared", "arm", *of_mediator]
    assert table.loc["outcome", "trees"].isna().all()
    assert table.loc["mediator", "trees"].fillna(0).tolist() == [0, 100, 50]
    assert table.loc["propensity", "term"] == "shared"
    assert (table["because"].str.len() > 10).all()


def test_a_declared_prior_replaces_the_default_and_says_so(results):
    prior = PriorSpec(component="outcome", term="arm", because="old trials", scale=0.2)
    spec = replace(results.spec, prior=(prior,))
    table = prior_table(spec).query("component == 'outcome' and term == 'arm'").iloc[0]
    assert (table["scale"], table["declared"], table["because"]) == (0.2, True, "old trials")
    assert prior_table(spec)["declared"].sum() == 1
    text = " ".join(methods(replace(results, spec=spec)).paragraphs)
    assert "deviation of an arm: prior standard deviation 0.2" in text


def test_a_constant_effect_is_not_said_to_have_trees(results):
    learner = replace(results.spec.learner, name="homogeneous")
    table = prior_table(replace(results.spec, learner=learner)).set_index(["component", "term"])
    assert pd.isna(table.loc[("outcome", "arm_mean"), "trees"])
    assert table.loc[("outcome", "shared"), "trees"] == 100
