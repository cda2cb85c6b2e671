"""The way through the steps, as stepping stones: behind, here, ahead."""

from typing import Literal

from msgspec import Struct

from bot.render.paint import (
    CREAM,
    GOLD,
    INK,
    LEADING,
    MARGIN,
    MUTED,
    NAVY,
    PAPER,
    STONE,
    TEAL,
    WHITE,
    WIDTH,
    Block,
    caption,
    header,
    sheet,
    tag,
    write,
)
from bot.render.text import clean, fit

ROW = 172
SMALL_ROW = 132
"""Between stones; the small one where there are more than seven."""
LEFT, RIGHT = 138, 222
"""Stones stand to the left and to the right in turn."""


class Step(Struct, frozen=True):
    label: str
    state: Literal["done", "now", "later"]


class Progress(Struct, frozen=True):
    title: str
    steps: tuple[Step, ...]
    note: str = ""


def draw(progress: Progress, alt: str) -> str:
    return sheet(
        alt,
        ((header(progress.title), 0), (_path(progress.steps), 40), (caption(progress.note), 36)),
    )


def _path(steps: tuple[Step, ...]) -> Block:
    row = ROW if len(steps) <= 7 else SMALL_ROW
    spots = [((LEFT, RIGHT)[i % 2], row * (i + 0.5)) for i in range(len(steps))]
    body = "".join(
        _card(y, row) for (_, y), s in zip(spots, steps, strict=True) if s.state == "now"
    )
    for i, step in enumerate(steps[:-1]):
        body += _way(spots[i], spots[i + 1], step.state == "done")
    for i, (step, (x, y)) in enumerate(zip(steps, spots, strict=True)):
        body += _stone(step.state, i + 1, x, y) + _label(step, y)
    return Block(body, row * len(steps))


def _card(y: float, row: int) -> str:
    """A plate behind the step that is on."""
    high = row - 12
    box = {"x": MARGIN / 2, "y": y - high / 2, "width": WIDTH - MARGIN, "height": high, "rx": 28}
    return tag("rect", **box, fill=CREAM, stroke=GOLD, stroke_width=4)


def _way(start: tuple[float, float], end: tuple[float, float], done: bool) -> str:
    """From one stone to the next: a firm line behind the learner, pebbles ahead."""
    (x1, y1), (x2, y2) = start, end
    bend = (y1 + y2) / 2
    pen: dict[str, str | float] = (
        {"stroke": TEAL, "stroke_width": 12}
        if done
        else {"stroke": STONE, "stroke_width": 10, "stroke_dasharray": "0 24"}
    )
    path = f"M{x1} {y1}C{x1} {bend} {x2} {bend} {x2} {y2}"
    return tag("path", d=path, fill="none", stroke_linecap="round", **pen)


def _stone(state: str, number: int, x: float, y: float) -> str:
    """Done: a full disc with a tick. Now: a large ring of gold. Later: a hollow circle."""
    at = {"cx": x, "cy": y}
    if state == "done":
        tick = f"M{x - 24} {y + 2}l17 18l31 -36"
        pen = {"stroke_linecap": "round", "stroke_linejoin": "round"}
        return tag("circle", **at, r=56, fill=TEAL, stroke=PAPER, stroke_width=10) + tag(
            "path", d=tick, fill="none", stroke=WHITE, stroke_width=11, **pen
        )
    if state == "now":
        ring = tag("circle", **at, r=62, fill=NAVY) + tag(
            "circle", **at, r=47, fill=WHITE, stroke=GOLD, stroke_width=14
        )
        return ring + _number(number, x, y, 52, NAVY)
    halo = tag("circle", **at, r=60, fill=PAPER)
    hollow = tag("circle", **at, r=48, fill=WHITE, stroke=STONE, stroke_width=6)
    return halo + hollow + _number(number, x, y, 44, MUTED)


def _number(number: int, x: float, y: float, size: int, fill: str) -> str:
    top = y - size * LEADING / 2
    return write([str(number)], x, top, size, fill=fill, bold=True, anchor="middle")


def _label(step: Step, y: float) -> str:
    left = RIGHT + 96
    bold = step.state == "now"
    room = WIDTH - MARGIN - left
    size, lines = fit(clean(step.label, 160), (46, 42, 38, 34), room, 2, bold=bold)
    fill = {"done": INK, "now": NAVY, "later": MUTED}[step.state]
    top = y - len(lines) * size * LEADING / 2
    return write(lines, left, top, size, fill=fill, bold=bold)
