from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Checks nesting while parsing, and keeps what the tests ask about."""

    def __init__(self, source: str):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.tables: dict[str, list[list[str]]] = {}
        self._cell, self._rows, self._caption = None, [], None
        self.feed(source)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self._rows, self._caption = [], []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._cell = []

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes something else"
        if tag in ("td", "th"):
            self._rows[-1].append("".join(self._cell))
            self._cell = None
        elif tag == "table":
            self.tables["".join(self._caption).split(" Numbers:")[0]] = self._rows

    def handle_data(self, data):
        if {"style", "script", "pre"} & set(self.open):  # the latter quotes the study file
            return
        self.words.append(data)
        if self._cell is not None:
            self._cell.append(data)
        elif "caption" in self.open:
            self._caption.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def alternatives(self) -> list[str]:
        """What is said of each figure to those who cannot see it."""
        return [attrs["aria-label"] for _, attrs in self.all("svg")]

    def all(self, *tags):
        return [(tag, attrs) for tag, attrs in self.elements if tag in tags]


def as_number(text: str) -> float:
    return float(text.replace("\u2212", "-"))
