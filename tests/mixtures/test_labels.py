"""Names of the classes of every draw."""

from __future__ import annotations

import numpy as np

from bayes_hte.mixtures.likelihood.labels import label_classes


def switching_draws(effects, baseline, rng, noise=0.05):
    """Draws of two classes whose raw names are swapped at random."""
    truth = np.array(effects) + noise * rng.normal(size=(3, 200, 2))
    start = np.array(baseline) + noise * rng.normal(size=(3, 200, 2))
    swap = rng.random((3, 200)) < 0.3
    swap[2] = True
    raw = np.where(swap[..., None], [1, 0], [0, 1])
    profiles = np.stack([start, start + truth], axis=-1)
    shuffled = np.take_along_axis(profiles, raw[..., None], axis=2)
    return np.take_along_axis(truth, raw, axis=2), shuffled, truth


def test_switched_labels_are_mended_and_reported():
    rng = np.random.default_rng(11)
    raw, profiles, truth = switching_draws((-0.75, 0.75), (0.5, 0.5), rng)
    labels = label_classes(raw, profiles, rng.normal(size=raw.shape[:2]))
    np.testing.assert_array_equal(np.take_along_axis(raw, labels.order, axis=2), truth)
    assert labels.rule == "effect"
    np.testing.assert_allclose(labels.switched, [0.3, 0.3, 0], atol=0.08)
    assert labels.chains_differ
    assert labels.ambiguous == 0
    assert labels.check().passed


def test_close_effects_are_labelled_by_profile():
    rng = np.random.default_rng(12)
    raw, profiles, truth = switching_draws((0.29, 0.31), (0.1, 0.6), rng)
    labels = label_classes(raw, profiles, rng.normal(size=raw.shape[:2]))
    assert labels.rule == "reference"
    got = np.take_along_axis(raw, labels.order, axis=2)
    first = 0 if truth[..., 0].mean() < truth[..., 1].mean() else 1
    np.testing.assert_array_equal(got, truth[..., [first, 1 - first]])
    assert labels.ambiguous == 0
    assert labels.check().passed


def test_classes_that_are_not_distinct_are_not_trusted():
    rng = np.random.default_rng(15)
    raw, profiles, _ = switching_draws((0.3, 0.3), (0.5, 0.5), rng)
    labels = label_classes(raw, profiles, rng.normal(size=raw.shape[:2]))
    assert labels.ambiguous > 0.05
    assert not labels.trusted
    assert "fewer classes" in labels.check().text
