"""The report of two mediators names the joint effect, and lists the parts it is divided into."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from bayes_hte.names import SAMPLE
from bayes_hte.reporting import all_tables, report
from bayes_hte.study.spec import OneMediatorSpec
from tests.reporting.html_page import Page

NAMES = ("m", "x2")


@pytest.fixture(scope="module")
def two(results):
    spec, roles = results.spec, {"mediator": NAMES}
    own = {"x2": OneMediatorSpec(family="poisson", surface="linear", unit="years & more")}
    joint = results.averages["tnie"].drop_attrs()
    shares = xr.DataArray([0.7, 0.2], dims="mediator")
    parts = {"through": joint * shares, "remainder": 0.1 * joint, "joint": joint}
    return replace(
        results,
        spec=replace(
            spec,
            roles=replace(spec.roles, **roles),
            mediator=replace(spec.mediator, controlled_at=(), each=own),
        ),
        study=replace(results.study, roles=replace(results.study.roles, **roles)),
        controlled=None,
        sensitivity=replace(results.sensitivity, rho=None),
        interventional=xr.Dataset(parts).transpose(*SAMPLE, "mediator"),
    )


def test_the_parts_are_rows_of_the_averages(two):
    table = all_tables(two)["average_effects"]
    parts = table[table["group"] == "interventional"]
    assert parts["name"].tolist() == [
        "interventional effect through m",
        "interventional effect through x2",
        "remainder: change of their dependence",
    ]
    joint = float(table.loc[table["effect"] == "tnie", "mean"].iloc[0])
    np.testing.assert_allclose(parts["mean"], [0.7 * joint, 0.2 * joint, 0.1 * joint])


def test_the_page_says_joint_and_names_both(two, tmp_path):
    page = Page(report(two, to=tmp_path / "report.html").read_text("utf-8"))
    said = " ".join(page.text.split())
    assert "Through m and x2 together:" in said
    assert "The joint indirect effect moves both mediators together." in said
    assert "The joint TNIE divided between the mediators" in said
    assert "The mediators were m and x2 (years & more)." in said
    assert "The second mediator was modelled" in said
    assert "Vansteelandt and Daniel 2017" in said
    assert "no sensitivity analysis for two mediators is available" in said
    assert "('m'" not in said


def test_one_mediator_has_no_such_rows_and_words(tables, written):
    assert "interventional" not in set(tables["average_effects"]["group"])
    assert "joint" not in " ".join(written[1].text.split()).split("Average effects")[0]
