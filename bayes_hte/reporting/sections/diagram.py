"""The diagram of a study with a mediator: its boxes, its arrows and the effects they carry."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from bayes_hte.reporting.page.markup import text
from bayes_hte.reporting.page.numbers import decimals_for, number
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import arm_names
from bayes_hte.reporting.tables.effects import GIVEN_CONFOUNDER
from bayes_hte.reporting.tables.legs import LEGS, ON_MEDIATOR, ON_OUTCOME

_BOX = 'rx="6" fill="#f5f7f9" stroke="#00537f" stroke-width="1.5"'
_LETTERS, _LINES, _DOTS = 18, 2, "\N{HORIZONTAL ELLIPSIS}"
_WIDTH, _LINE, _ROOM = 176, 24, 20


@dataclass(frozen=True)
class _Box:
    """A box around lines of text, by its left edge and its middle height."""

    left: int
    middle: int
    lines: tuple[str, ...]

    @property
    def height(self) -> int:
        return _ROOM + _LINE * len(self.lines)

    @property
    def centre(self) -> int:
        return self.left + _WIDTH // 2

    @property
    def top(self) -> int:
        return self.middle - self.height // 2

    @property
    def bottom(self) -> int:
        return self.top + self.height

    def drawn(self) -> str:
        """Return the box as SVG."""
        words = "".join(
            f'<text x="{self.centre}" y="{self.top + 27 + _LINE * i}" text-anchor="middle" '
            f'font-size="16">{text(line)}</text>'
            for i, line in enumerate(self.lines)
        )
        size = f'width="{_WIDTH}" height="{self.height}"'
        return f'<rect x="{self.left}" y="{self.top}" {size} {_BOX}/>{words}'


@dataclass(frozen=True)
class _Picture:
    """What a diagram shows: boxes, paths of arrows, labels, and all of it in words."""

    boxes: tuple[_Box, ...]
    arrows: tuple[str, ...]
    labels: tuple[tuple[int, int, str, str], ...]
    alt: str
    caption: str

    @property
    def height(self) -> int:
        """Height of the picture."""
        return max(box.bottom for box in self.boxes) + 14


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
    boxes = "".join(box.drawn() for box in picture.boxes)
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
    boxes = _three(other, roles.mediators, roles.outcome)
    return _Picture(
        boxes=boxes,
        arrows=_arrows(*boxes),
        labels=(
            (158, 78, "end", on_mediator),
            (486, 78, "start", on_outcome),
            (320, 168, "middle", direct),
        ),
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
    treatment, above, outcome = _three(other, (mediator,), roles.outcome)
    below = _Box(232, 262, _lines(confounder))
    return _Picture(
        boxes=(treatment, above, outcome, below),
        arrows=(*_arrows(treatment, above, outcome), *_arrows_of(below, treatment, above, outcome)),
        labels=((486, 78, "start", indirect), (390, 168, "middle", direct)),
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


def _three(treatment: str, mediators: Sequence[str], outcome: str) -> tuple[_Box, _Box, _Box]:
    """Place the treatment on the left, the mediator above, the outcome on the right."""
    several = len(mediators) > 1
    above = tuple(map(_short, mediators)) if several else _lines(mediators[0])
    # The mediator hangs from the top, whatever the number of its lines.
    middle = 12 + (_ROOM + _LINE * len(above)) // 2
    return (
        _Box(8, 148, _lines(treatment)),
        _Box(232, middle, above),
        _Box(456, 148, _lines(outcome)),
    )


def _arrows(treatment: _Box, mediator: _Box, outcome: _Box) -> tuple[str, ...]:
    """Return the paths from treatment to mediator, from there to the outcome, and past it."""
    side = mediator.middle + 8
    return (
        f"M{treatment.centre + 24} {treatment.top - 2} L{mediator.left - 4} {side}",
        f"M{mediator.left + _WIDTH + 4} {side} L{outcome.centre - 24} {outcome.top - 2}",
        f"M{treatment.left + _WIDTH + 4} 148 L{outcome.left - 4} 148",
    )


def _arrows_of(
    confounder: _Box, treatment: _Box, mediator: _Box, outcome: _Box
) -> tuple[str, str, str]:
    """Return the paths to a confounder below, and from it to outcome and mediator."""
    side = confounder.middle - 8
    return (
        f"M{treatment.centre + 24} {treatment.bottom + 2} L{confounder.left - 4} {side}",
        f"M{confounder.left + _WIDTH + 4} {side} L{outcome.centre - 24} {outcome.bottom + 2}",
        f"M{confounder.centre} {confounder.top - 2} L{mediator.centre} {mediator.bottom + 4}",
    )


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


def _lines(name: str) -> tuple[str, ...]:
    """Break a name into what fits a box; the caption and the tables have all of it."""
    found = textwrap.wrap(
        name, _LETTERS, max_lines=_LINES, placeholder=_DOTS, break_on_hyphens=False
    )
    return tuple(found) or (name,)


def _short(name: str) -> str:
    """Shorten a name to one line of a box."""
    return name if len(name) <= _LETTERS else name[: _LETTERS - 1] + _DOTS
