"""The diagram of a study with a mediator: its boxes, its arrows and the effects they carry."""

from __future__ import annotations

from dataclasses import dataclass

from bayes_hte.reporting.page.markup import text
from bayes_hte.reporting.page.numbers import decimals_for, number
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import arm_names
from bayes_hte.reporting.tables.effects import GIVEN_CONFOUNDER
from bayes_hte.reporting.tables.legs import LEGS, ON_MEDIATOR, ON_OUTCOME

_BOX = 'rx="6" fill="#f5f7f9" stroke="#00537f" stroke-width="1.5"'
_MOST_LETTERS = 22
# Treatment on the left, mediator above, outcome on the right; a confounder below.
_TREATMENT, _MEDIATOR, _OUTCOME, _CONFOUNDER = (8, 126), (232, 12), (456, 126), (232, 240)
_ARROWS = ("M120 124 L228 50", "M412 50 L520 124", "M188 148 L452 148")
_OF_CONFOUNDER = ("M120 172 L228 254", "M412 254 L520 172", "M320 238 L320 60")


@dataclass(frozen=True)
class _Picture:
    """What a diagram shows: boxes at places, paths of arrows, labels, and all of it in words."""

    boxes: tuple[tuple[tuple[int, int], tuple[str, ...]], ...]
    arrows: tuple[str, ...]
    labels: tuple[tuple[int, int, str, str], ...]
    height: int
    alt: str
    caption: str


def diagram(material: Material) -> str:
    """Draw treatment, mediator and outcome with their arrows, and the effect of each arrow.

    Parameters
    ----------
    material : Material
        The run of a study with a mediator, or two, or one with a confounder that the treatment
        changes.

    Returns
    -------
    str
        A figure as safe HTML.
    """
    confounded = material.results.spec.roles.post_treatment is not None
    picture = _with_confounder(material) if confounded else _mediated(material)
    boxes = "".join(_box(x, y, names) for (x, y), names in picture.boxes)
    arrows = "".join(
        f'<path d="{path}" fill="none" stroke="#1a1a1a" stroke-width="1.5" '
        'marker-end="url(#diagram-head)"/>'
        for path in picture.arrows
    )
    labels = "".join(
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="15" fill="#1a1a1a">'
        f"{text(words)}</text>"
        for x, y, anchor, words in picture.labels
    )
    return (
        f'<figure class="diagram"><svg viewBox="0 0 640 {picture.height}" role="img" '
        f'aria-label="{text(picture.alt)}"><defs><marker id="diagram-head" viewBox="0 0 8 8" '
        'refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#1a1a1a"/></marker></defs>'
        f"{arrows}{boxes}{labels}</svg><figcaption>{text(picture.caption)}</figcaption></figure>"
    )


def _mediated(material: Material) -> _Picture:
    """Describe the diagram of one mediator, or of two in one box."""
    roles, (_, other) = material.results.spec.roles, arm_names(material.results)
    several = len(roles.mediators) > 1
    on_mediator, on_outcome = _carried(material)
    direct = f"direct {_average(material, 'pnde')}"
    passes = f"{on_mediator or 'first leg'}; {on_outcome or 'second leg'}"
    return _Picture(
        boxes=(
            (_TREATMENT, (other,)),
            (_MEDIATOR, roles.mediators),
            (_OUTCOME, (roles.outcome,)),
        ),
        arrows=_ARROWS,
        labels=(
            (158, 78, "end", on_mediator),
            (486, 78, "start", on_outcome),
            (320, 168, "middle", direct),
        ),
        height=184,
        alt=(
            f"Diagram of the study: {other} affects {roles.outcome} directly ({direct}) and "
            f"through {roles.mediator_words} ({on_outcome if several else passes}). The covariates "
            "may affect all of them."
        ),
        caption=(
            "The diagram that the analysis assumes. The covariates may affect all "
            f"{'of them' if several else 'three'}; nothing else that affects "
            f"{'either mediator' if several else roles.mediator_words} may affect {roles.outcome}."
        ),
    )


def _with_confounder(material: Material) -> _Picture:
    """Describe the diagram of a mediator with a confounder that the treatment changes."""
    roles, (_, other) = material.results.spec.roles, arm_names(material.results)
    mediator, confounder = roles.mediator_words, str(roles.post_treatment)
    indirect, direct = (
        f"{name} {_average(material, GIVEN_CONFOUNDER[name])}" for name in ("indirect", "direct")
    )
    return _Picture(
        boxes=(
            (_TREATMENT, (other,)),
            (_MEDIATOR, (mediator,)),
            (_OUTCOME, (roles.outcome,)),
            (_CONFOUNDER, (confounder,)),
        ),
        arrows=(*_ARROWS, *_OF_CONFOUNDER),
        labels=((486, 78, "start", indirect), (390, 168, "middle", direct)),
        height=296,
        alt=(
            f"Diagram of the study: {other} affects {roles.outcome} directly, through {mediator}, "
            f"and through {confounder}, which affects both {mediator} and {roles.outcome}. "
            f"Interventional effects: {indirect}; {direct}. The covariates may affect all of them."
        ),
        caption=(
            "The diagram that the analysis assumes. The direct effect includes the way through "
            f"{confounder} alone. The covariates may affect all four; nothing else that affects "
            f"{mediator} may affect {roles.outcome}."
        ),
    )


def _box(x: int, y: int, names: tuple[str, ...]) -> str:
    """Draw a box with a name, or two below each other."""
    lines = "".join(
        f'<text x="{x + 88}" y="{y + 27 + 24 * i}" text-anchor="middle" font-size="16">'
        f"{text(_short(name))}</text>"
        for i, name in enumerate(names)
    )
    return f'<rect x="{x}" y="{y}" width="176" height="{20 + 24 * len(names)}" {_BOX}/>{lines}'


def _carried(material: Material) -> tuple[str, str]:
    """Return the numbers of the two legs; empty where the run kept none.

    Of two mediators the second is the effect through both.
    """
    if len(material.results.spec.roles.mediators) > 1:
        return "", f"both {_average(material, 'tnie')}"
    if LEGS not in material.tables:
        return "", ""
    frame = material.tables[LEGS]
    first = frame[frame["leg"] == ON_MEDIATOR].iloc[0]
    second = frame[(frame["leg"] == ON_OUTCOME) & (frame["arm"] == 1)].iloc[0]
    return (
        number(first["mean"], decimals_for([first["sd"]])),
        number(second["mean"], material.style),
    )


def _average(material: Material, effect: str) -> str:
    return number(material.average(effect)["mean"], material.style)


def _short(name: str) -> str:
    """Shorten a name to what fits a box; the caption and the tables have all of it."""
    return (
        name
        if len(name) <= _MOST_LETTERS
        else name[: _MOST_LETTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"
    )
