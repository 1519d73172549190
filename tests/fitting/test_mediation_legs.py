"""The legs of a mediation, as averages of the fitted models."""

from __future__ import annotations

import numpy as np

from bayes_hte.fitting.effects_of_fit import mediation_legs
from bayes_hte.names import ARM, SAMPLE, UNIT


def test_legs_are_averages_of_the_fitted_models(mediated_fit):
    legs = mediation_legs(mediated_fit)
    model = mediated_fit.components["mediator"]
    eta = model.linear_predictor().base
    wanted = model.family.inverse_link(eta.to_numpy()).mean(axis=eta.dims.index(UNIT))
    np.testing.assert_allclose(legs["mediator"].transpose(*SAMPLE, ARM), wanted)
    observed = mediated_fit.study.mediator()
    quartiles = np.quantile(observed, [0.25, 0.75])
    np.testing.assert_allclose(legs["outcome"]["mediator_value"], quartiles)
    held = mediated_fit.potential_outcomes(mediator_value=float(quartiles[1])).mean(UNIT)
    np.testing.assert_allclose(legs["outcome"].isel(mediator_value=1), held.transpose(*SAMPLE, ARM))


def test_a_study_without_mediator_has_no_legs(plain_fit):
    assert mediation_legs(plain_fit) is None
