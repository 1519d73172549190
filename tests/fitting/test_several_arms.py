"""Fits of more than two arms: every learner, two arms of a fit, saving, and what is refused."""

import numpy as np
import pytest

import bayes_hte as hte
from bayes_hte.checks import arm_overlap, loo
from bayes_hte.checks.refutations import refute
from bayes_hte.checks.sampling_health import sampling_health
from bayes_hte.checks.subject import Subject
from bayes_hte.companions.classical import classical
from bayes_hte.components.arm_probabilities import arm_probabilities
from bayes_hte.components.learners import LEARNERS, learner_terms
from bayes_hte.components.numbered import kind_and_arm, names_of, rows_of_role
from bayes_hte.errors import UnsupportedError
from bayes_hte.fitting.stages import stages
from bayes_hte.mixtures.moments.data import mixture_data
from bayes_hte.study.design import Design
from bayes_hte.subgroups.nulls.stand_in import stand_in_null
from bayes_hte.surfaces.terms import Term
from bayes_hte.trust.checking import assignment_checks, unseen_units
from tests.three_arms import ARMS, FEW, three_arm_frame, three_arm_study

CONTRASTS = ["low vs none", "high vs none"]
LEAST = FEW | {"stack_with": ()}


@pytest.fixture(scope="module")
def study():
    return three_arm_study()


@pytest.fixture(scope="module")
def fit(fitted, study):
    """Forests of three arms, few draws."""
    return fitted(study, **LEAST)


@pytest.fixture(scope="module")
def mediated(fitted):
    """Forests of three arms and a mediator, few draws."""
    return fitted(three_arm_study(mediator="m"), **LEAST)


# ---------------------------------------------------------------- terms


@pytest.mark.parametrize("mediated", [False, True])
@pytest.mark.parametrize("learner", LEARNERS)
def test_two_arms_are_the_default(learner, mediated):
    assert learner_terms(learner, mediated=mediated) == learner_terms(
        learner, mediated=mediated, arms=2
    )


@pytest.mark.parametrize("learner", LEARNERS)
def test_every_arm_but_the_reference_has_what_the_second_of_two_has(learner):
    two, four = (learner_terms(learner, mediated=True, arms=arms) for arms in (2, 4))
    of_second = [(t.kind, t.features, t.on_mediator, t.on_expected) for t in two if t.arm == 1]
    for arm in (1, 2, 3):
        own = [(t.kind, t.features, t.on_mediator, t.on_expected) for t in four if t.arm == arm]
        assert own == of_second
    assert len({t.name for t in four}) == len(four)


def test_a_term_of_two_arms_is_numbered_anew():
    third = Term("arm_2", "arm", arm=2)
    assert third.of_arms((2, 1)).arm == 0
    assert third.of_arms((0, 2)).arm == 1
    assert Term("shared", "shared").of_arms((0, 2)).arm is None


# ---------------------------------------------------------------- the arms' probabilities


def test_each_propensity_is_fitted_to_the_arms_that_are_left(study):
    design = Design.learn(study)
    assert names_of("propensity", 4) == ("propensity", "propensity_2", "propensity_3")
    assert rows_of_role("propensity", design) is design
    assert set(rows_of_role("propensity_2", design).arm) == {1, 2}
    effect = rows_of_role("effect_2", design)
    assert effect.n_rows == 60
    assert effect.n_arms == 2
    assert kind_and_arm("effect_2") == ("effect", 2)
    assert kind_and_arm("outcome") == ("outcome", 0)


def test_the_probabilities_of_the_arms_sum_to_one(fit):
    each = fit.propensity()
    assert each["arm"].values.tolist() == list(ARMS)
    np.testing.assert_allclose(each.sum("arm"), 1)
    assert float(each.min()) > 0


def test_the_sequence_of_propensities_is_the_product_of_its_conditionals(fit):
    later = fit.components["propensity"].mean().isel(arm=0)
    third = fit.components["propensity_2"].mean(fit.components["propensity"].design).isel(arm=0)
    each = arm_probabilities(fit.components)
    np.testing.assert_allclose(each.isel(arm=0), 1 - later)
    np.testing.assert_allclose(each.isel(arm=1), later * (1 - third))
    np.testing.assert_allclose(each.isel(arm=2), later * third)


@pytest.mark.slow
def test_propensities_recover_known_probabilities():
    rng, n = np.random.default_rng(0), 900
    frame = three_arm_frame(n)
    logits = np.column_stack([np.zeros(n), 1.2 * frame["x1"], -1.2 * frame["x1"]])
    truth = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    arm = (rng.random(n)[:, None] > truth.cumsum(axis=1)).sum(axis=1)
    study = three_arm_study(frame.assign(dose=np.array(ARMS)[arm]))
    size = FEW | {"draws": 150, "tune": 150}
    found = hte.fit(study, learner="homogeneous", **size).propensity().mean(["chain", "draw"])
    assert float(np.abs(found.to_numpy() - truth).mean()) < 0.06
    assert np.corrcoef(found.to_numpy().ravel(), truth.ravel())[0, 1] > 0.95


# ---------------------------------------------------------------- effects of a fit


def test_outcomes_and_effects_name_arms_and_contrasts(fit, study):
    mu = fit.potential_outcomes()
    assert mu["arm"].values.tolist() == list(ARMS)
    assert mu.sizes["unit"] == study.n_units
    effect = fit.cate()
    assert effect.dims == ("chain", "draw", "unit", "contrast")
    assert effect["contrast"].values.tolist() == CONTRASTS
    assert fit.cate(contrast=("high", "low")).dims == ("chain", "draw", "unit")
    assert list(fit.summary().index) == [("cate", name) for name in CONTRASTS]


def test_rows_predicted_again_get_the_same_effects(fit, study):
    np.testing.assert_allclose(fit.cate(study.frame), fit.cate(), atol=1e-6)
    np.testing.assert_allclose(fit.cate(study.frame, batch=40), fit.cate(), atol=1e-6)


def test_the_health_of_every_contrast_is_judged(fit):
    average = sampling_health(fit.effects(), {})[0]
    assert list(average.table.index) == [f"te, {name}" for name in CONTRASTS]
    assert len(fit.health()) == 3


def test_a_mediator_has_a_level_of_every_arm(mediated):
    mu = mediated.potential_outcomes(three_arm_frame().head(4))
    assert dict(mu.sizes) == {"chain": 2, "draw": 20, "unit": 4, "arm": 3, "mediator_arm": 3}
    effects = mediated.effects(contrast="all")
    np.testing.assert_allclose(effects["te"], effects["tnie"] + effects["pnde"], atol=1e-10)
    np.testing.assert_allclose(effects["te"], effects["pnie"] + effects["tnde"], atol=1e-10)
    held = mediated.potential_outcomes(mediator_value=0.5)
    assert hte.controlled_direct_effect(held)["contrast"].values.tolist() == CONTRASTS


@pytest.mark.parametrize(
    ("learner", "surface"),
    [
        ("prognostic_effect", "forest"),
        ("t", "forest"),
        ("s", "forest"),
        ("homogeneous", "forest"),
        ("x", "forest"),
        ("hierarchical", "gp"),
        pytest.param("s", "linear", marks=pytest.mark.slow),
        pytest.param("hierarchical", "linear", marks=pytest.mark.slow),
        pytest.param("hierarchical", "additive", marks=pytest.mark.slow),
    ],
)
def test_every_learner_and_surface_takes_three_arms(study, learner, surface, tmp_path):
    fit = hte.fit(study, learner=learner, surface=surface, **LEAST)
    every = fit.cate(contrast="all")
    assert every["contrast"].values.tolist() == [*CONTRASTS, "high vs low"]
    difference = every.sel(contrast="high vs none") - every.sel(contrast="low vs none")
    np.testing.assert_allclose(every.sel(contrast="high vs low"), difference, atol=1e-9)
    np.testing.assert_allclose(fit.cate(study.frame), fit.cate(), atol=1e-6)
    pair = fit.two_arms("high", "low")
    rows = study.arm_index() > 0
    np.testing.assert_allclose(pair.cate(), every.isel(contrast=2, unit=rows), atol=1e-6)
    np.testing.assert_allclose(pair.cate(study.frame), every.isel(contrast=2), atol=1e-6)
    mu = fit.potential_outcomes()
    assert tuple(mu["arm"].values) == study.arms
    np.testing.assert_allclose(hte.cate(mu), fit.cate(), rtol=0, atol=1e-9)
    assert set(hte.best_arms(mu, better="higher")["choice"]) <= set(study.arms)
    if learner == "homogeneous":
        assert float(fit.cate().std("unit").max()) < 1e-9
    hte.save_fit(fit, tmp_path)
    again = hte.load_fit(tmp_path, study)
    np.testing.assert_allclose(again.cate(study.frame), fit.cate(study.frame))


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["by_arm", "varying"])
def test_the_noise_of_each_arm_is_read_for_two_of_them(fitted, study, noise):
    fit = fitted(study, noise=noise, learner="homogeneous", surface="linear", **LEAST)
    features = fit.posterior["posterior"]["outcome_log_spread_feature"].to_numpy().tolist()
    assert features[:2] == ["(arm)=1", "(arm)=2"]
    rows = study.arm_index() != 1
    pair = fit.two_arms("high", "none")
    whole = fit.log_likelihood().isel(unit=rows)
    np.testing.assert_allclose(pair.log_likelihood(), whole, atol=1e-9)


@pytest.mark.slow
def test_effects_of_three_arms_recover_the_truth():
    frame = three_arm_frame(300)
    fit = hte.fit(three_arm_study(frame), seed=1, draws=300, tune=200, chains=2, progress=False)
    for name in ("low", "high"):
        found = fit.cate(contrast=(name, "none")).mean(["chain", "draw"]).to_numpy()
        truth = frame[f"{name}_vs_none"].to_numpy()
        assert np.sqrt(np.mean((found - truth) ** 2)) < 0.3
        assert abs(found.mean() - truth.mean()) < 0.2


# ---------------------------------------------------------------- two arms of a fit


@pytest.mark.parametrize("pair", [("high", "low"), ("low", "none"), ("none", "high")])
def test_two_arms_of_a_fit_have_its_draws(fit, study, pair):
    view = fit.two_arms(*pair)
    rows = np.isin(study.arm_index(), [ARMS.index(arm) for arm in pair])
    assert view.study.contrast == f"{pair[0]} vs {pair[1]}"
    assert view.cate().attrs["contrast"] == f"{pair[0]} vs {pair[1]}"
    whole = fit.cate(contrast=pair)
    np.testing.assert_allclose(view.cate(), whole.isel(unit=rows), atol=1e-6)
    np.testing.assert_allclose(view.cate(study.frame), whole, atol=1e-6)
    likelihood = fit.log_likelihood().isel(unit=rows)
    np.testing.assert_allclose(view.log_likelihood(), likelihood, atol=1e-6)


def test_the_propensity_of_two_arms_is_conditional_on_them(fit, study):
    each = fit.propensity()
    expected = each.sel(arm="high") / (each.sel(arm="high") + each.sel(arm="low"))
    pair = fit.two_arms("high", "low")
    rows = study.arm_index() > 0
    np.testing.assert_allclose(pair.propensity(), expected.isel(unit=rows), atol=1e-9)
    np.testing.assert_allclose(pair.propensity(study.frame), expected, atol=1e-9)


def test_mediation_of_two_arms_is_that_of_the_contrast(mediated):
    view, rows = mediated.two_arms("high", "low"), mediated.study.arm_index() > 0
    whole, part = mediated.effects(contrast="high vs low").isel(unit=rows), view.effects()
    for name in part:
        np.testing.assert_allclose(part[name], whole[name], atol=1e-9)


def test_what_compares_two_arms_takes_the_view(fit):
    view = fit.two_arms("high", "low")
    subject = Subject(view, view.effects())
    assert subject.arm_names == ("low", "high")
    (overlap,) = arm_overlap.check(subject)
    assert overlap.passed is not None
    assert len(loo.check(subject)) > 0
    assert view.posterior["posterior"].sizes["draw"] == 20
    found = hte.m_learner(view.cate(), view.study, seed=1)
    assert found.membership.sizes["unit"] == 60
    table = classical(view.study, view.propensity(), rng=np.random.default_rng(0))
    assert table is not None


def test_the_view_of_two_arms_in_their_order_is_the_fit_itself(fitted, plain_study):
    options = LEAST | {"learner": "homogeneous", "surface": "linear"}
    fit = fitted(plain_study, **options)
    assert fit.two_arms(1, 0) is fit
    turned = fit.two_arms(0, 1)
    np.testing.assert_allclose(turned.cate(), -fit.cate(), atol=1e-9)
    np.testing.assert_allclose(turned.propensity(), 1 - fit.propensity(), atol=1e-12)


def test_a_view_is_not_saved(fit, tmp_path):
    with pytest.raises(UnsupportedError, match=r"save_fit\(fit\.whole, folder\)"):
        hte.save_fit(fit.two_arms("high", "low"), tmp_path)


# ---------------------------------------------------------------- what needs two arms


def _refused(fit):
    study = fit.study
    return {
        "verdict": lambda: hte.verdict(fit),
        "refute": lambda: refute(fit, seed=1),
        "subject": lambda: Subject(fit, fit.effects()),
        "rho": lambda: hte.sensitivity.mediation_rho(fit),
        "stand-in": lambda: stand_in_null(study),
        "null studies": lambda: hte.calibrate_subgroups(study, "te", seed=1),
        "unseen": lambda: unseen_units(fit),
        "assignment": lambda: assignment_checks(fit, "randomised"),
        "mixture": lambda: mixture_data(study, z=["x1"], x=["x2"]),
        "transport": lambda: hte.transport(fit, study.frame),
    }


NAMES = [
    "verdict",
    "refute",
    "subject",
    "rho",
    "stand-in",
    "null studies",
    "unseen",
    "assignment",
    "mixture",
    "transport",
]


@pytest.mark.parametrize("name", NAMES)
def test_what_compares_two_arms_refuses_three(fit, name):
    with pytest.raises(UnsupportedError, match=r"needs two arms, and this study has 3"):
        _refused(fit)[name]()


def test_stages_of_two_arms_are_as_they_were(plain_study, study):
    assert stages(plain_study, hte.Plan(learner="x")) == ("propensity", "outcome", "effect")
    assert stages(study, hte.Plan(learner="x")) == (
        "propensity",
        "propensity_2",
        "outcome",
        "effect",
        "effect_2",
    )


def test_three_arms_are_stacked_with_nothing_that_was_not_measured(study):
    assert hte.Plan.of(study).stack_with == ()


# ---------------------------------------------------------------- ordered arms


def test_ordered_arms_have_steps_in_place_of_deviations():
    terms = learner_terms("hierarchical", mediated=True, arms=4, ordered=True)
    steps = [t for t in terms if t.kind == "arm"]
    assert [t.arm for t in steps] == [1, 2, 3]
    assert all(t.onwards for t in terms if t.arm is not None)
    acts = [[t.acts_in(arm) for arm in range(4)] for t in steps]
    assert acts == [[False, True, True, True], [False, False, True, True], [False] * 3 + [True]]
    arm = np.array([0, 1, 2, 3])
    np.testing.assert_array_equal(steps[1].basis(arm, None), [0, 0, 1, 1])
    # Between the third and the fourth arm only the last step is left.
    assert steps[1].of_arms((2, 3)).arm is None
    assert steps[2].of_arms((2, 3)) == Term("arm_3", "arm", arm=1, constant=False)


@pytest.mark.parametrize("learner", ["t", "s", "x"])
def test_learners_without_steps_refuse_ordered_arms(study, learner):
    with pytest.raises(UnsupportedError, match="no steps between ordered arms"):
        hte.fit(study, learner=learner, ordered=True, **LEAST)


def test_the_prior_of_ordered_arms_is_a_random_walk(study):
    frame = three_arm_frame(150)
    frame["dose"] = np.array(["a", "b", "c", "d", "e"])[np.arange(150) % 5]
    roles = {"outcome": "y", "treatment": "dose", "covariates": ["x1", "x2"], "reference": "a"}
    five = hte.Study.from_frame(frame, **roles)
    plan = hte.Plan(learner="homogeneous", surface="linear", ordered=True)
    prior = hte.fit_prior(five, plan, seed=1, draws=4000)
    spread = prior.cate().isel(unit=0).std(["chain", "draw"]).to_numpy()
    # Steps are independent, so the spread grows with the square root of their number.
    np.testing.assert_allclose(spread / spread[0], np.sqrt([1, 2, 3, 4]), rtol=0.05)


def test_ordered_arms_are_fitted_saved_and_viewed(study, tmp_path):
    fit = hte.fit(study, ordered=True, **LEAST)
    every = fit.cate(contrast="all")
    rows = study.arm_index() > 0
    pair = fit.two_arms("high", "low")
    np.testing.assert_allclose(pair.cate(), every.isel(contrast=2, unit=rows), atol=1e-6)
    hte.save_fit(fit, tmp_path)
    again = hte.load_fit(tmp_path, study)
    assert again.plan.ordered
    np.testing.assert_allclose(again.cate(study.frame), fit.cate(study.frame))


# ---------------------------------------------------------------- with other options


def check_view(fit, pair=("high", "low")):
    """Compare the view of two arms with the whole fit, for fitted and for new rows."""
    study = fit.study
    rows = np.isin(study.arm_index(), [ARMS.index(arm) for arm in pair])
    view, whole = fit.two_arms(*pair), fit.effects(contrast=pair)
    for name, found in view.effects().items():
        np.testing.assert_allclose(found, whole[name].isel(unit=rows), atol=1e-6)
        np.testing.assert_allclose(
            view.effects(study.frame)[name], fit.effects(study.frame, contrast=pair)[name]
        )
    return view


def test_means_of_levels_and_trends_are_those_of_each_arm(study):
    fit = hte.fit(study, means_by="site", **LEAST)
    names = set(fit.posterior["posterior"].data_vars)
    assert {"outcome_trend_2_0_coef", "outcome_mean_2_2_const"} <= names
    # A trend is centred by the units of all arms, also where two are looked at.
    check_view(fit)


def test_clusters_and_binary_outcomes_take_three_arms():
    frame = three_arm_frame()
    frame["y"] = (frame["y"] > 0).astype(int)
    frame["clinic"] = np.arange(len(frame)) % 9
    fit = hte.fit(three_arm_study(frame, cluster="clinic"), family="bernoulli", **LEAST)
    mu = fit.potential_outcomes()
    assert 0 < float(mu.min()) <= float(mu.max()) < 1
    check_view(fit)


def test_stacked_candidates_take_three_arms(study):
    fit = hte.fit(study, **LEAST | {"stack_with": ["t/forest"]})
    view = check_view(fit)
    assert list(view.candidates()) == list(fit.candidates())
    one = view.candidates()["t/forest"]
    whole = fit.candidates()["t/forest"].cate(contrast="high vs low")
    np.testing.assert_allclose(one.cate(), whole.isel(unit=study.arm_index() > 0), atol=1e-6)


def test_draws_of_the_priors_have_a_view(study):
    prior = hte.fit_prior(study, hte.Plan(), seed=1, draws=20)
    view = prior.two_arms("high", "none")
    assert view.is_prior
    assert view.cate().sizes["unit"] == 60


def test_sensitivity_of_mediation_takes_the_view(mediated):
    from bayes_hte.sensitivity import mediation_rho

    found = mediation_rho(mediated.two_arms("high", "low"), rho=[0.0, 0.3])
    direct = mediated.two_arms("high", "low").effects()["tnie"].mean("unit")
    np.testing.assert_allclose(found.tnie.sel(rho=0.0), direct, atol=1e-9)


def test_the_prior_density_of_a_view_is_that_of_the_whole_fit(fit):
    from bayes_hte.fitting.log_prior import effect_log_prior

    whole, view = effect_log_prior(fit), effect_log_prior(fit.two_arms("high", "low"))
    assert set(whole) == set(view)
    assert "outcome_arm_2_leaf_sd" in whole


# ---------------------------------------------------------------- with missing values


def gappy_frame():
    """Nine units without x1, four without an outcome."""
    frame = three_arm_frame().assign(w=np.linspace(0.5, 1.5, 90))
    frame.loc[frame.index[:9], "x1"] = np.nan
    frame.loc[frame.index[40:44], "y"] = np.nan
    return frame


@pytest.mark.parametrize("learner", ["hierarchical", "x"])
def test_missing_values_and_the_view_of_two_arms(learner):
    fit = hte.fit(three_arm_study(gappy_frame(), weights="w"), learner=learner, **LEAST)
    assert fit.cate().sizes == {"chain": 2, "draw": 20, "unit": 90, "contrast": 2}
    assert fit.log_likelihood().sizes["unit"] == 86
    view = check_view(fit)
    known = view.study.known_outcome()
    assert not known.all()
    assert view.log_likelihood().sizes["unit"] == known.sum()
    own = fit.log_likelihood().sel(unit=view.study.units[known])
    np.testing.assert_allclose(view.log_likelihood(), own)
    assert hte.transport(view, view.study.frame).units.sizes["unit"] == 60


def test_imputed_frames_are_fitted_pooled_and_viewed():
    study = three_arm_study(gappy_frame(), missing="impute", imputations=2)
    fit = hte.fit(study, **LEAST)
    assert fit.cate(contrast="all").sizes["contrast"] == 3
    assert list(fit.summary().loc["cate"].index) == CONTRASTS
    view = fit.two_arms("high", "low")
    assert view.study.contrast == "high vs low"
    assert len(view.imputations) == 2
    rows = study.arm_index() > 0
    whole = fit.cate(contrast="high vs low").isel(unit=rows)
    np.testing.assert_allclose(view.cate(), whole, atol=1e-6)
    assert view.propensity().sizes["unit"] == 60
    assert view.health()
    assert fit.two_arms("low", "none").log_likelihood().sizes["unit"] < 60
