"""E-values: published examples, and what a posterior of them must say."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from bayes_hte.errors import DataError, SpecError
from bayes_hte.names import ARM, MEDIATOR_ARM, SAMPLE, UNIT
from bayes_hte.sensitivity import MEASURE_OF_FAMILY, e_value, e_value_of_ratio


def means(reference, other) -> xr.DataArray:
    """Two chains of draws of the mean outcome in both arms."""
    pair = np.stack(np.broadcast_arrays(np.asarray(reference, float), other), axis=-1)
    return xr.DataArray(pair.reshape(2, -1, 2), dims=(*SAMPLE, ARM))


@pytest.mark.parametrize(
    ("ratio", "published"),
    # VanderWeele and Ding (2017): infant death and breastfeeding, and leukaemia.
    [(3.9, 7.26), (1.8, 3.0), (0.80, 1.81), (0.91, 1.43), (1.0, 1.0)],
)
def test_e_values_are_the_published_ones(ratio, published):
    assert e_value_of_ratio(ratio) == pytest.approx(published, abs=0.005)


def test_a_ratio_and_its_inverse_have_one_e_value():
    ratios = np.linspace(0.1, 0.9, 9)
    np.testing.assert_allclose(e_value_of_ratio(ratios), e_value_of_ratio(1 / ratios))


def test_a_confounder_of_that_strength_explains_the_ratio_and_a_weaker_one_does_not():
    # The largest bias of two risk ratios a, b is ab / (a + b - 1).
    e = e_value_of_ratio(2.7)
    assert e * e / (2 * e - 1) == pytest.approx(2.7)


@pytest.mark.parametrize("flip", [False, True])
def test_quantiles_of_the_e_value_are_e_values_of_the_quantiles(flip):
    # So the interval agrees with the published rule for the limit of an interval nearer to 1.
    rng = np.random.default_rng(0)
    risks = means(0.2, 0.2 * np.exp(rng.normal(-0.22, 0.09, size=4000)))
    if flip:
        risks = risks.isel({ARM: [1, 0]})
    result = e_value(risks, measure="risk_ratio")
    table = result.summary(ci_prob=0.9)
    near, far = ("ci_lower", "ci_upper") if flip else ("ci_upper", "ci_lower")
    ratio, value = table.loc["ratio"], table.loc["e_value"]
    assert value["ci_lower"] == pytest.approx(e_value_of_ratio(ratio[near]), rel=1e-3)
    assert value["ci_upper"] == pytest.approx(e_value_of_ratio(ratio[far]), rel=1e-3)
    assert value["median"] == pytest.approx(e_value_of_ratio(ratio["median"]), rel=1e-3)
    assert value["ci_lower"] > 1


def test_an_effect_of_unknown_sign_needs_no_confounder():
    ratio = np.exp(np.random.default_rng(1).normal(0.02, 0.5, size=2000))
    result = e_value(means(1.0, ratio), measure="mean_ratio")
    table = result.summary()
    assert table.loc["e_value", "ci_lower"] == 1
    assert table.loc["e_value", "median"] < 1.4
    assert result.prob_other_direction == pytest.approx((ratio < 1).mean())
    assert "1.00 at the nearer end" in result.check().text


def test_a_continuous_outcome_goes_through_the_standardised_difference():
    result = e_value(means(10.0, [12.0] * 4), measure="standardised_difference", outcome_sd=4.0)
    np.testing.assert_allclose(result.ratio, np.exp(0.91 * 0.5))
    assert result.approximate
    assert "approximate" in result.check().text.lower()


def test_the_target_of_a_difference_is_its_ratio_in_every_draw():
    reference = np.array([0.2, 0.4, 0.25, 0.5])
    result = e_value(means(reference, reference * 1.5), measure="risk_ratio", target=0.05)
    wanted = (reference + 0.05) / reference
    np.testing.assert_allclose(result.target_ratio.values.ravel(), wanted)
    np.testing.assert_allclose(result.draws.values.ravel(), e_value_of_ratio(1.5 / wanted))


def test_moving_to_the_estimate_itself_needs_nothing():
    result = e_value(means(3.0, [2.0] * 4), measure="mean_ratio", target=-1.0)
    assert float(result.draws.max()) == 1


def test_units_are_averaged_before_the_ratio_and_a_mediator_follows_the_arm():
    rng = np.random.default_rng(2)
    mu = xr.DataArray(
        rng.uniform(1, 9, size=(2, 3, 5, 2, 2)), dims=(*SAMPLE, UNIT, ARM, MEDIATOR_ARM)
    ).assign_coords({ARM: ["a", "b"], MEDIATOR_ARM: ["a", "b"]})
    result = e_value(mu, measure="mean_ratio")
    own = mu.mean(UNIT).to_numpy()
    np.testing.assert_allclose(result.ratio, own[..., 1, 1] / own[..., 0, 0])


def test_every_outcome_family_has_a_measure():
    from bayes_hte.components.families import FAMILIES

    assert set(MEASURE_OF_FAMILY) == set(FAMILIES)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"measure": "odds"}, SpecError, "unknown measure 'odds'"),
        ({"measure": "standardised_difference"}, SpecError, "outcome_sd must be a positive number"),
        (
            {"measure": "standardised_difference", "outcome_sd": "2"},
            SpecError,
            "outcome_sd must be a positive number",
        ),
        ({"measure": "risk_ratio", "outcome_sd": 1.0}, SpecError, "has no part"),
        ({"measure": "risk_ratio"}, DataError, "risks between 0 and 1"),
        ({"measure": "mean_ratio", "target": -7.0}, DataError, "nearer to 0"),
        ({"measure": "mean_ratio", "target": np.nan}, SpecError, "target must be a finite number"),
        ({"measure": "mean_ratio", "target": "0"}, SpecError, "target must be a finite number"),
    ],
)
def test_what_has_no_e_value_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        e_value(means(2.0, [3.0] * 4), **options)


def test_arrays_that_are_no_mean_outcomes_are_refused():
    with pytest.raises(DataError, match="two arms"):
        e_value(means(2.0, [3.0] * 4).isel({ARM: [0]}), measure="mean_ratio")
    with pytest.raises(DataError, match="NaN"):
        e_value(means(2.0, [3.0, np.nan] * 2), measure="mean_ratio")
    with pytest.raises(DataError, match="positive and finite"):
        e_value_of_ratio([1.0, 0.0])
