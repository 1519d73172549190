"""Effects are arithmetic on potential outcomes: identities hold in every draw, bad input stops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hte import effects
from bayes_hte.effects.groups import group_average
from bayes_hte.errors import BayesHTEError, DataError, SpecError
from bayes_hte.names import ARM, EFFECTS, MEDIATOR_ARM, POPULATIONS, SAMPLE, UNIT, glossary
from tests.fakes import fake_effect, fake_potential_outcomes

N = 40


@pytest.fixture
def mu() -> xr.DataArray:
    return fake_potential_outcomes(np.random.default_rng(1), n_units=N, draws=50)


@pytest.fixture
def unmediated() -> xr.DataArray:
    rng = np.random.default_rng(2)
    return fake_potential_outcomes(rng, n_units=N, draws=50, mediator=False)


def averaged(mean: float, sd: float = 0.1, seed: int = 3) -> xr.DataArray:
    values = np.random.default_rng(seed).normal(mean, sd, size=(4, 250))
    return xr.DataArray(values, dims=SAMPLE, name="te")


# ---------------------------------------------------------------- algebra of contrasts


def test_the_total_effect_is_the_sum_of_its_parts_in_every_draw_and_both_ways(mu):
    parts = effects.decompose(mu)
    assert set(parts.data_vars) == {"te", "tnie", "pnde", "pnie", "tnde"}
    np.testing.assert_allclose(parts.te, parts.tnie + parts.pnde, atol=1e-12)
    np.testing.assert_allclose(parts.te, parts.pnie + parts.tnde, atol=1e-12)


@pytest.mark.parametrize(
    ("effect", "value"),
    [
        # mu[arm, mediator_arm] is 1, 10, 100, 1000 for (0,0), (0,1), (1,0), (1,1).
        (effects.total_effect, 999),
        (effects.cate, 999),
        (effects.total_natural_indirect, 900),
        (effects.pure_natural_direct, 99),
        (effects.pure_natural_indirect, 9),
        (effects.total_natural_direct, 990),
    ],
)
def test_every_effect_takes_the_cells_of_its_definition(mu, effect, value):
    cells = xr.DataArray([[1.0, 10.0], [100.0, 1000.0]], dims=(ARM, MEDIATOR_ARM))
    got = effect(xr.zeros_like(mu) + cells)
    np.testing.assert_array_equal(got, value)
    assert got.dims == (*SAMPLE, UNIT)


def test_without_a_mediator_the_total_effect_is_the_cate(unmediated):
    expected = unmediated.isel({ARM: 1}) - unmediated.isel({ARM: 0})
    np.testing.assert_array_equal(effects.total_effect(unmediated), expected)
    np.testing.assert_array_equal(effects.cate(unmediated), expected)
    assert effects.cate(unmediated).name == "cate"


def test_with_a_mediator_the_cate_is_the_total_effect(mu):
    cate = effects.cate(mu)
    np.testing.assert_array_equal(cate, effects.total_effect(mu))
    assert (cate.name, cate.attrs["effect"]) == ("cate", "cate")


def test_effects_say_what_they_are(mu):
    arms = ["booklet", "training"]
    labelled = mu.assign_coords({ARM: arms, MEDIATOR_ARM: arms})
    for name, effect in effects.decompose(labelled).data_vars.items():
        assert effect.attrs["effect"] == name
        assert effect.attrs["long_name"] == EFFECTS[name][0]
        assert effect.attrs["contrast"] == "training vs booklet"
        assert effect.attrs["scale"] == "response"


def test_effects_of_half_precision_outcomes_are_in_double_precision(mu):
    assert effects.total_natural_indirect(mu.astype(np.float32)).dtype == np.float64


def test_permuting_units_permutes_effects_and_changes_no_average(mu):
    order = np.random.default_rng(4).permutation(N)
    treated = np.arange(N) % 3 == 0
    direct, permuted = effects.decompose(mu), effects.decompose(mu.isel({UNIT: order}))
    xr.testing.assert_identical(direct.isel({UNIT: order}), permuted)
    for population in ("SATE", "ATT", "ATC"):
        xr.testing.assert_allclose(
            effects.average(direct, population=population, treated=treated),
            effects.average(permuted, population=population, treated=treated[order]),
            rtol=0,
            atol=1e-12,
        )


def test_effects_leave_the_potential_outcomes_alone(mu):
    before = mu.copy(deep=True)
    effects.average(effects.decompose(mu), population="PATE", rng=np.random.default_rng(0))
    xr.testing.assert_identical(mu, before)


# ---------------------------------------------------------------- the controlled direct effect


def test_the_controlled_direct_effect_carries_the_value_the_mediator_is_held_at(unmediated):
    held = unmediated.assign_attrs(mediator_value=3.5)
    cde = effects.controlled_direct_effect(held)
    np.testing.assert_array_equal(cde, held.isel({ARM: 1}) - held.isel({ARM: 0}))
    assert cde.attrs["mediator_value"] == 3.5
    assert cde.name == "cde"


def test_a_controlled_direct_effect_without_a_held_value_is_refused(mu, unmediated):
    with pytest.raises(DataError, match=r"needs the mediator held .*mediator_value=\.\.\."):
        effects.controlled_direct_effect(unmediated)
    with pytest.raises(DataError, match="must not have a mediator_arm dimension"):
        effects.controlled_direct_effect(mu.assign_attrs(mediator_value=3.5))


# ---------------------------------------------------------------- averages


def test_the_sample_average_is_the_share_weighted_sum_of_treated_and_controls():
    effect = fake_effect(np.random.default_rng(5), np.linspace(-1, 2, N))
    treated = np.arange(N) % 5 == 0
    att, atc, sate = (
        effects.average(effect, population=p, treated=treated) for p in ("ATT", "ATC", "SATE")
    )
    share = treated.mean()
    np.testing.assert_allclose(sate, share * att + (1 - share) * atc, atol=1e-12)
    np.testing.assert_allclose(att, effect.to_numpy()[..., treated].mean(axis=-1), atol=1e-12)


@pytest.mark.parametrize("treated", [np.array([0, 1, 1, 0]), np.array([False, True, True, False])])
def test_the_treated_may_be_given_as_flags_or_as_numbers(treated):
    effect = xr.DataArray([[[1.0, 2.0, 4.0, 8.0]]], dims=(*SAMPLE, UNIT))
    assert float(effects.average(effect, population="ATT", treated=treated).item()) == 3.0
    assert float(effects.average(effect, population="ATC", treated=treated).item()) == 4.5


def test_the_population_average_is_centred_on_the_sample_average_with_the_dirichlet_spread():
    # With fixed unit effects the Bayesian bootstrap has variance (population variance) / (n + 1).
    truth = np.random.default_rng(6).gamma(2.0, size=30)
    effect = fake_effect(np.random.default_rng(0), truth, draws=5000, shared_sd=0.0, unit_sd=0.0)
    draws = effects.average(effect, population="PATE", rng=np.random.default_rng(7)).to_numpy()
    sd = np.sqrt(truth.var() / (truth.size + 1))
    # Four standard errors of a mean of 20,000 draws; 3% is four of a standard deviation.
    assert abs(draws.mean() - truth.mean()) < 4 * sd / np.sqrt(draws.size)
    np.testing.assert_allclose(draws.std(), sd, rtol=0.03)


def test_the_population_average_adds_its_spread_to_that_of_the_sample_average():
    effect = fake_effect(np.random.default_rng(8), np.linspace(-2, 2, 60), draws=1000)
    sate = effects.average(effect)
    pate = effects.average(effect, population="PATE", rng=np.random.default_rng(9))
    expected = np.sqrt(float(sate.var()) + float((effect.var(UNIT) / 61).mean()))
    np.testing.assert_allclose(float(pate.std()), expected, rtol=0.06)


def test_one_set_of_weights_serves_all_effects_of_a_draw(mu):
    parts = effects.decompose(mu)
    pate = effects.average(parts, population="PATE", rng=np.random.default_rng(10))
    np.testing.assert_allclose(pate.te, pate.tnie + pate.pnde, atol=1e-12)
    again = effects.average(parts, population="PATE", rng=np.random.default_rng(10))
    xr.testing.assert_identical(pate, again)


@pytest.mark.parametrize("population", POPULATIONS)
def test_averages_say_their_population(mu, population):
    options = {"treated": np.arange(N) % 2, "rng": np.random.default_rng(0)}
    parts = effects.decompose(mu)
    averages = effects.average(parts, population=population, **options)
    one = effects.average(parts.tnie, population=population, **options)
    for result in (averages.tnie, one):
        assert result.attrs["population"] == population
        assert result.attrs["effect"] == "tnie"
        assert result.name == "tnie"
        assert result.dims == SAMPLE
    assert "population" not in parts.tnie.attrs


def test_group_averages_are_the_averages_of_their_units():
    effect = fake_effect(np.random.default_rng(11), np.arange(6.0))
    groups = np.array(["b", "a", "b", "a", "a", "c"])
    gate = group_average(effect, groups)
    assert gate.dims == (*SAMPLE, "group")
    assert list(gate["group"].values) == ["a", "b", "c"]
    for name in "abc":
        np.testing.assert_allclose(
            gate.sel(group=name), effect.to_numpy()[..., groups == name].mean(axis=-1), atol=1e-12
        )
    sizes = np.array([3, 2, 1])
    np.testing.assert_allclose((gate * sizes).sum("group") / 6, effect.mean(UNIT), atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": "SATT"}, "unknown population 'SATT'.*Known: ATC, ATT, PATE, SATE"),
        ({"population": "PATE"}, "pass rng=<Generator>"),
        ({"population": "ATT"}, "population='ATT' needs treated= with one value per unit"),
        ({"population": "ATC", "treated": np.ones(3)}, "population='ATC' needs treated="),
    ],
)
def test_an_average_without_what_it_needs_is_refused(mu, options, message):
    with pytest.raises(SpecError, match=message):
        effects.average(effects.total_effect(mu), **options)


@pytest.mark.parametrize("population", ["ATT", "ATC"])
def test_an_average_over_nobody_is_refused(mu, population):
    everyone_else = np.full(N, population == "ATC")
    with pytest.raises(BayesHTEError, match="treated"):
        effects.average(effects.total_effect(mu), population=population, treated=everyone_else)


@pytest.mark.parametrize(
    "treated",
    [np.where(np.arange(N) % 2, 2, 1), np.where(np.arange(N) % 2, 1.0, np.nan)],
    ids=["coded 1 and 2", "missing"],
)
def test_a_treatment_not_coded_zero_and_one_is_refused(mu, treated):
    # Taken as truth values they would all be treated, and the ATT silently the SATE.
    with pytest.raises(BayesHTEError, match="treated"):
        effects.average(effects.total_effect(mu), population="ATT", treated=treated)


def test_units_are_matched_by_label_where_values_and_effect_have_the_same_labels():
    effect = fake_effect(np.random.default_rng(11), np.arange(6.0)).assign_coords(
        unit=list("abcdef")
    )
    treated = pd.Series([1, 1, 1, 0, 0, 0], index=list("abcdef"))
    groups = xr.DataArray(treated.to_numpy(), dims=UNIT, coords={UNIT: treated.index})
    shuffled = [3, 0, 5, 1, 4, 2]
    for population in ("ATT", "ATC"):
        xr.testing.assert_equal(
            effects.average(effect, population=population, treated=treated.iloc[shuffled]),
            effects.average(effect, population=population, treated=treated.to_numpy()),
        )
    expected = group_average(effect, treated.to_numpy())
    xr.testing.assert_equal(group_average(effect, groups.isel({UNIT: shuffled})), expected)
    xr.testing.assert_equal(group_average(effect, treated.iloc[shuffled]), expected)


def test_coordinates_of_an_effect_may_be_called_like_groups():
    effect = fake_effect(np.random.default_rng(11), np.arange(4.0))
    called = effect.assign_coords(group=(UNIT, list("xyzw"))).rename("group")
    groups = np.array([0, 1, 0, 1])
    np.testing.assert_array_equal(group_average(called, groups), group_average(effect, groups))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: effects.total_effect(np.zeros((1, 1, 1, 2))), "potential outcomes need dims"),
        (lambda: effects.cate(None), "got NoneType"),
        (lambda: effects.average(np.zeros(3)), "effect must be a DataArray of draws"),
        (lambda: effects.average(averaged(1.0)), r"with dims \('unit',\)"),
        (lambda: group_average(np.zeros((1, 2, 3)), np.zeros(3)), "got ndarray"),
        (lambda: effects.probability_of_benefit(0.3, better="higher"), "got float"),
    ],
)
def test_what_is_no_array_of_draws_is_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()


def test_a_seed_is_no_generator(mu):
    with pytest.raises(SpecError, match=r"pass rng=numpy.random.default_rng\(<seed>\), got int"):
        effects.average(effects.cate(mu), population="PATE", rng=1)


def test_the_share_mediated_is_of_averages_of_the_same_draws(mu):
    te, tnie = effects.total_effect(mu), effects.total_natural_indirect(mu)
    with pytest.raises(DataError, match=r"pass average\(effect\) of both"):
        effects.proportion_mediated(tnie, te, minimal=0.0)
    te, tnie = effects.average(te), effects.average(tnie)
    with pytest.raises(DataError, match=r"pass average\(effect\) of both"):
        effects.proportion_mediated(tnie.isel(draw=slice(5)), te, minimal=0.0)


def test_groups_of_the_wrong_length_are_refused(mu):
    with pytest.raises(DataError, match=r"groups must have shape \(40,\), got \(3,\)"):
        group_average(effects.total_effect(mu), np.zeros(3))


# ---------------------------------------------------------------- probability of benefit


def test_the_probability_of_benefit_follows_the_direction_that_is_better():
    effect = xr.DataArray([[-2.0, -1.0, 0.0, 3.0]], dims=SAMPLE)
    probability = effects.probability_of_benefit
    assert float(probability(effect, better="higher")) == 0.25
    assert float(probability(effect, better="lower")) == 0.5
    assert float(probability(effect, better="lower", beyond=1.0)) == 0.25
    assert float(probability(effect, better="higher", beyond=3.0)) == 0.0
    assert float(probability(-effect, better="lower", beyond=1.5)) == 0.25


def test_the_probability_of_benefit_is_one_number_a_unit(mu):
    effect = effects.total_effect(mu)
    got = effects.probability_of_benefit(effect, better="higher", beyond=0.5)
    np.testing.assert_array_equal(got, (effect.to_numpy() > 0.5).mean(axis=(0, 1)))
    assert got.dims == (UNIT,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"better": "high"}, "unknown direction for better 'high'.*higher"),
        ({"better": "lower", "beyond": -0.5}, "beyond must be 0 or more .*got -0.5"),
        ({"better": "lower", "beyond": float("nan")}, "beyond must be 0 or more"),
    ],
)
def test_a_meaningless_benefit_is_refused(options, message):
    with pytest.raises(SpecError, match=message):
        effects.probability_of_benefit(averaged(1.0), **options)


def test_an_effect_that_is_not_a_number_has_no_probability_of_zero():
    try:
        got = effects.probability_of_benefit(averaged(1.0) * np.nan, better="higher")
    except BayesHTEError:
        return
    assert np.isnan(float(got))


# ---------------------------------------------------------------- proportion mediated


@pytest.mark.parametrize("sign", [1, -1])
def test_the_proportion_mediated_is_the_ratio_in_every_draw(sign):
    te, tnie = averaged(sign * 2.0), averaged(sign * 0.5, seed=4)
    share = effects.proportion_mediated(tnie, te, minimal=0.5)
    np.testing.assert_allclose(share, tnie.to_numpy() / te.to_numpy())
    assert share.name == "proportion_mediated"


@pytest.mark.parametrize("te", [averaged(0.0), averaged(0.1, sd=0.1), averaged(0.6, sd=0.2)])
def test_the_proportion_mediated_is_undefined_where_the_total_effect_is_near_zero(te):
    assert effects.proportion_mediated(averaged(0.3), te, minimal=0.5) is None


def test_a_total_effect_far_from_zero_in_both_directions_has_no_proportion():
    values = np.where(np.arange(1000) % 2, 3.0, -3.0).reshape(4, 250)
    te = xr.DataArray(values, dims=SAMPLE)
    assert effects.proportion_mediated(te, te, minimal=0.5) is None


def test_the_certainty_asked_for_decides():
    te = averaged(0.62, sd=0.1)
    sure = float((te > 0.5).mean())
    assert 0.8 < sure < 0.95
    assert effects.proportion_mediated(te, te, minimal=0.5, certainty=sure) is not None
    assert effects.proportion_mediated(te, te, minimal=0.5, certainty=sure + 0.001) is None


# ---------------------------------------------------------------- the contract


@pytest.mark.parametrize("dim", [*SAMPLE, UNIT, ARM, MEDIATOR_ARM])
def test_potential_outcomes_without_a_dimension_are_refused_by_its_name(mu, dim):
    with pytest.raises(DataError, match=f"{dim} is missing"):
        effects.total_natural_indirect(mu.isel({dim: 0}))


def test_missing_mediation_is_refused_with_the_way_out(unmediated):
    with pytest.raises(DataError, match=r"mediator_arm is missing\. Fit a study with a mediator"):
        effects.decompose(unmediated)


def test_fewer_than_two_arms_are_refused(mu):
    with pytest.raises(DataError, match="expected at least two arms, got 1"):
        effects.total_effect(mu.isel({ARM: [0]}))


@pytest.mark.parametrize("labels", [[1, 0], ["a", "b"], [0, 2]])
def test_arms_and_mediator_arms_with_other_labels_are_refused(mu, labels):
    with pytest.raises(DataError, match="the levels of arm and mediator_arm differ"):
        effects.total_effect(mu.assign_coords({MEDIATOR_ARM: labels}))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_no_number_is_refused(mu, unmediated, value):
    for array, effect in ((mu, effects.decompose), (unmediated, effects.cate)):
        broken = array.copy(deep=True)
        broken[1, 2, 3] = value
        with pytest.raises(DataError, match="hold NaN or infinite values"):
            effect(broken)


# ---------------------------------------------------------------- the vocabulary


def test_the_glossary_defines_every_effect_population_and_dimension(mu):
    terms = glossary()
    assert all(terms.values())
    assert {*(name.upper() for name in EFFECTS), *POPULATIONS} <= set(terms)
    assert {f"`{dim}`" for dim in mu.dims} <= set(terms)
