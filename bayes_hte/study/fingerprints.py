"""Fingerprints of studies: equal data, equal fingerprint."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pandas as pd

from bayes_hte.study.kinds import is_numeric, levels_in_use

if TYPE_CHECKING:
    from bayes_hte.study.study import Study


def fingerprint(study: Study) -> str:
    """Return a SHA-256 of the roles, arms, units and values of a study."""
    digest = hashlib.sha256(repr((study.roles, [str(a) for a in study.arms])).encode())
    # Strings are hashed by value; categories would otherwise hash by their codes.
    text = {c: str for c in study.frame.columns if not is_numeric(study.frame[c])}
    for name in study.frame.columns:
        levels = levels_in_use(study.frame[name]) if name in text else ()
        # The order of the alphabet leaves no trace, as in runs saved before others were kept.
        if list(levels) != sorted(levels):
            digest.update(repr((name, levels)).encode())
    hashed = pd.util.hash_pandas_object(study.frame.astype(text), index=True)
    digest.update(hashed.to_numpy().tobytes())
    # Studies without them have the fingerprints of earlier versions.
    if study.gaps or study.roles.weights is not None:
        digest.update(repr((study.missing, study.gaps, study.roles.weights)).encode())
    if study.roles.post_treatment is not None:
        digest.update(repr(("post_treatment", study.roles.post_treatment)).encode())
    if study.gaps and study.missing == "impute":
        digest.update(repr(study.imputations).encode())
    if study.roles.event is not None:
        digest.update(repr(("event", study.roles.event, study.roles.entry)).encode())
    if study.roles.upper is not None:
        digest.update(repr(("upper", study.roles.upper, study.roles.entry)).encode())
    if study.roles.cause is not None:
        digest.update(repr(("cause", study.causes[0])).encode())
    if study.roles.no_event is not None:
        digest.update(repr(("no event", study.roles.no_event)).encode())
    for frame in study.completed:
        digest.update(pd.util.hash_pandas_object(frame.astype(text)).to_numpy().tobytes())
    return digest.hexdigest()
