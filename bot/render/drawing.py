"""A picture of a lesson: a drawing of the content with its words set in."""

import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from bot.render.paint import INK, LEADING, Block, caption, header, sheet, write
from bot.render.text import clean, cut, holds, words, wrap
from content import drawings
from content.load import HERE, Fault
from content.schema import LANGS, Content

TEXT = re.compile(r"<text\b([^>]*)>\s*\{([a-z0-9_]+)\}\s*</text>")
PEN = re.compile(r'([\w-]+)="([^"]*)"')
WHOLE = re.compile(r"<svg\b([^>]*)>(.*)</svg>", re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


class Drawing(Struct, frozen=True):
    """What to draw: the drawing's name, and the words for its gaps."""

    id: str
    title: str
    words: dict[str, str]
    note: str = ""


class Box(Struct, frozen=True):
    """Where words stand: `x` is where they begin, are centred or end, as `anchor` says; `y` is
    their middle however many lines there are, or that of their first line if they `hang` from it.
    All in pixels."""

    gap: str
    x: float
    y: float
    size: float
    width: float
    lines: int
    bold: bool
    fill: str
    anchor: str
    hangs: bool

    def set(self, said: str) -> list[str]:
        """The words in lines, cut where they do not fit. A line of theirs begins a new one."""
        lines = self._lines(said)
        if len(lines) <= self.lines:
            return lines
        return cut(words(clean(said)), self.size, self.width, self.lines, self.bold)

    def has_room(self, said: str) -> bool:
        whole = holds(words(clean(said)), self.size, self.width, self.bold)
        return whole and len(self._lines(said)) <= self.lines

    def _lines(self, said: str) -> list[str]:
        parts = (words(clean(line)) for line in said.split("\n"))
        return [line for part in parts for line in wrap(part, self.size, self.width, self.bold)]


def draw(drawing: Drawing, alt: str) -> str:
    """The whole picture as SVG, in the frame that all pictures have."""
    source = COMMENT.sub("", drawings.svg(drawing.id))
    found = WHOLE.search(source)
    if found is None:
        raise ValueError(f"no drawing: {drawing.id}")
    body = TEXT.sub(lambda text: _written(_box(text), drawing.words), found[2])
    height = float(dict(PEN.findall(found[1]))["height"])
    return sheet(
        alt,
        (
            (header(drawing.title), 0),
            (Block(" ".join(body.split()), height), 40),
            (caption(drawing.note), 36),
        ),
    )


def boxes(source: str) -> list[Box]:
    """Where the words of a drawing stand."""
    return [_box(text) for text in TEXT.finditer(COMMENT.sub("", source))]


def _box(text: re.Match[str]) -> Box:
    pens = dict(PEN.findall(text[1]))
    return Box(
        gap=text[2],
        x=float(pens["x"]),
        y=float(pens["y"]),
        size=float(pens["font-size"]),
        width=float(pens["data-width"]),
        lines=int(pens.get("data-lines", "1")),
        bold=pens.get("font-weight") == "700",
        fill=pens.get("fill", INK),
        anchor=pens.get("text-anchor", "start"),
        hangs=pens.get("data-from") == "top",
    )


def _written(box: Box, said: dict[str, str]) -> str:
    lines = box.set(said.get(box.gap, ""))
    top = box.y - (1 if box.hangs else len(lines)) * box.size * LEADING / 2
    return write(lines, box.x, top, box.size, fill=box.fill, bold=box.bold, anchor=box.anchor)


def faults(content: Content, root: Path = HERE) -> Iterator[Fault]:
    """Words of drawings that are too long for their place."""
    for drawing in content.pictures:
        for box in boxes(drawings.svg(drawing.id, root)):
            for lang in LANGS:
                said = drawing.said(lang)[box.gap]
                if not box.has_room(said):
                    lines = "line" if box.lines == 1 else "lines"
                    room = f"{box.width:g} pixels in {box.lines} {lines}"
                    what = f"{drawing.id}: {box.gap}: {said!r} is too long ({lang}), it has {room}"
                    yield Fault(drawings.NAME, 1, what)
