"""The vocabulary: every dimension and every reported quantity, with its one definition.

The glossary of the documentation is generated from the tables of this module, so a word that is
used in the code, on an axis or in a report means the same thing everywhere.
"""

from __future__ import annotations

import re
from typing import Final

CHAIN: Final = "chain"
DRAW: Final = "draw"
UNIT: Final = "unit"
ARM: Final = "arm"
MEDIATOR_ARM: Final = "mediator_arm"
FIRST_ARM: Final = "first_arm"
SECOND_ARM: Final = "second_arm"
MEDIATOR: Final = "mediator"
CONTRAST: Final = "contrast"
SUBGROUP: Final = "subgroup"
CLASS: Final = "class"
BEND: Final = "bend"
SAMPLE: Final = (CHAIN, DRAW)

DIMS: Final[dict[str, str]] = {
    CHAIN: "independent run of the sampler",
    DRAW: "posterior draw within a chain",
    UNIT: "row of the study frame; its coordinate is the index of the frame, as one plain label",
    ARM: "level of the treatment that the unit is given; the reference arm comes first",
    MEDIATOR_ARM: "level of the treatment under which the mediator takes its value",
    FIRST_ARM: "level of the treatment under which the first of two mediators takes its value",
    SECOND_ARM: "level of the treatment under which the second of two mediators takes its value",
    MEDIATOR: "mediator that an effect passes through, where a study has two",
    CONTRAST: "pair of arms whose difference an effect is, where a study has more than two",
    SUBGROUP: "observed group of units found by the M-learner, ordered by its mean effect",
    CLASS: "class of a mixture of treatment effects, ordered by its effect",
    BEND: "function in which an outcome departs from a straight line in its mediator",
}

EFFECTS: Final[dict[str, tuple[str, str]]] = {
    "te": ("total effect", "mu[1,1] - mu[0,0]: the treatment with its own mediator value"),
    "tnie": ("total natural indirect effect", "mu[1,1] - mu[1,0]: the mediator moves, arm 1"),
    "pnde": ("pure natural direct effect", "mu[1,0] - mu[0,0]: the arm moves, mediator of arm 0"),
    "pnie": ("pure natural indirect effect", "mu[0,1] - mu[0,0]: the mediator moves, arm 0"),
    "tnde": ("total natural direct effect", "mu[1,1] - mu[0,1]: the arm moves, mediator of arm 1"),
    "cde": ("controlled direct effect", "E[Y(1,m) - Y(0,m)]: the arm moves, mediator set to m"),
    "cate": ("conditional average treatment effect", "E[Y(1) - Y(0) | x] of a unit's covariates"),
}

POPULATIONS: Final[dict[str, str]] = {
    "SATE": "average over the units of the study (sample average treatment effect)",
    "PATE": "average over the population the units were drawn from (Bayesian bootstrap)",
    "ATT": "average over the units that received the treatment",
    "ATC": "average over the units that received the reference arm",
}

WORDS: Final[dict[str, str]] = {
    "outcome": "the column whose expectation the effects compare",
    "treatment": "the column that says which arm a unit received",
    "arm": "a level of the treatment",
    "reference arm": "the arm that every contrast is taken against",
    "contrast": "a difference between two arms, written 'B vs A'",
    "covariate": "a column measured before treatment that the models may use",
    "modifier": "a covariate along which the effect may differ",
    "mediator": "a column between treatment and outcome through which the effect may pass",
    "propensity": "probability of receiving the treatment given covariates",
    "cluster": "a sampling unit of the data (family, clinic); not a subgroup",
    "subgroup": "observed group of units with similar effects, found by the M-learner",
    "class": "group of units of a mixture; nobody measured who is in it",
    "membership": "posterior probability that a unit belongs to a subgroup or class",
    "profile": "the tree that describes the members of each subgroup in words",
    "surface": "the form of a mean function (linear, forest, ...)",
    "learner": "the way surfaces are combined into potential outcomes",
    "check": "a test of the fit or the design that can fail",
}


# Control characters but tab and line feed, those that turn the direction of writing, and halves of
# a character: terminals obey them, and pages and figures cannot show them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]|\r(?!\n)"
)


def visible(text: str) -> str:
    r"""Return a text in which a replacement character stands for each that cannot be shown.

    Parameters
    ----------
    text : str
        Names and levels are a user's, or a stranger's, and may hold any character.

    Returns
    -------
    str

    Examples
    --------
    >>> from bayes_hte.names import visible
    >>> visible("age\x1b[31m")
    'age�[31m'
    """
    return _UNSEEN.sub("\ufffd", text)


def glossary() -> dict[str, str]:
    """Return every term of the package with its definition.

    Returns
    -------
    dict of str to str
        Term to definition; dimensions, effects, populations and words together.

    Examples
    --------
    >>> from bayes_hte.names import glossary
    >>> glossary()["arm"]
    'a level of the treatment'
    """
    effects = {f"{abbr.upper()}": f"{name}: {text}" for abbr, (name, text) in EFFECTS.items()}
    return {**WORDS, **{f"`{d}`": t for d, t in DIMS.items()}, **effects, **POPULATIONS}
