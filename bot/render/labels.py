"""Where the labels around a net stand, so that none is cut and none meets another."""

from math import cos, pi, sin

from msgspec import Struct

from bot.render.paint import LEADING, WIDTH
from bot.render.text import clean, cut, holds, measure, words, wrap

SCALES = sorted(
    ((radius, size) for radius in range(370, 249, -20) for size in (36, 34, 32, 30, 28)),
    key=lambda scale: scale[0] * scale[1],
    reverse=True,
)
"""Radius of the net and size of its labels, the largest first."""
EDGE = 32
"""Between a label and the edge of the picture."""
GAP = 22
"""Between the net and a label."""

Point = tuple[float, float]


class Label(Struct, frozen=True):
    """A label where it stands, its centre of coordinates being the centre of the net."""

    lines: tuple[str, ...]
    whole: bool
    """No word of it is missing or broken."""
    size: int
    anchor: str
    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        return self.x - self.width * {"start": 0.0, "middle": 0.5, "end": 1.0}[self.anchor]

    def meets(self, other: "Label") -> bool:
        return (
            self.left < other.left + other.width + 8
            and other.left < self.left + self.width + 8
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )


def layout(names: tuple[str, ...]) -> tuple[int, list[Label]]:
    """The largest net and lettering with which no label is cut or meets its neighbour.

    Where nothing will do (labels of hundreds of letters) they are cut at the smallest.
    """
    texts = [words(clean(name, 160)) for name in names]
    for radius, size in SCALES:
        labels = [_label(text, i, len(texts), radius, size) for i, text in enumerate(texts)]
        if all(label.whole for label in labels) and not _crowded(labels):
            break
    return radius, labels


def _crowded(labels: list[Label]) -> bool:
    return any(a.meets(b) for a, b in zip(labels, labels[1:] + labels[:1], strict=True))


def _label(text: list[str], i: int, count: int, radius: int, size: int) -> Label:
    x, y = point(i, count, radius + GAP)
    across, down = x / (radius + GAP), (1 + y / (radius + GAP)) / 2
    anchor = "middle" if abs(across) < 0.1 else "start" if across > 0 else "end"
    room = WIDTH / 2 - EDGE - abs(x)
    if anchor == "middle":
        beside = abs(point(1, count, radius + GAP)[0])
        room = min(440, max(220, 2 * beside - 24))
    lines = cut(text, size, room, 2)
    height = len(lines) * size * LEADING
    return Label(
        lines=tuple(lines),
        whole=holds(text, size, room) and len(wrap(text, size, room)) <= 2,
        size=size,
        anchor=anchor,
        x=x,
        y=y - height * (1 - down),
        width=max(measure(line, size) for line in lines),
        height=height,
    )


def point(i: int, count: int, reach: float) -> Point:
    """Where axis `i` is, clockwise from the top, so far from the centre."""
    turn = 2 * pi * i / count
    return reach * sin(turn), -reach * cos(turn)
