"""How far a team has come: one bar of all its people, and what its parts are."""

from msgspec import Struct

from bot.render.paint import (
    CREAM,
    GOLD,
    INK,
    LEADING,
    MARGIN,
    NAVY,
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
from bot.render.text import clean, fit, measure

BAR = 120
ROW = 82
FILLS = (WHITE, CREAM, GOLD, "#8FC1BF", TEAL, "#3E5F96", NAVY)
"""From behind to the front: those who have not begun are an empty box."""


class Stretch(Struct, frozen=True):
    """People who are equally far; `place` counts from 0 (not begun) to 1 (finished)."""

    label: str
    people: int
    told: str
    """How many, in words."""
    place: float


class Team(Struct, frozen=True):
    title: str
    rows: tuple[Stretch, ...]
    note: str = ""


def draw(team: Team, alt: str) -> str:
    rows = tuple(row for row in team.rows if row.people > 0)
    return sheet(
        alt,
        (
            (header(team.title), 0),
            (_bar(rows), 56),
            (_key(rows), 40),
            (caption(team.note), 32),
        ),
    )


def _fill(row: Stretch) -> str:
    return FILLS[round(min(max(row.place, 0.0), 1.0) * (len(FILLS) - 1))]


def _bar(rows: tuple[Stretch, ...]) -> Block:
    """All people from left to right, the farthest last."""
    everybody = sum(row.people for row in rows)
    body, x = "", float(MARGIN)
    for row in rows:
        wide = (WIDTH - 2 * MARGIN) * row.people / everybody
        body += tag(
            "rect", x=x, width=wide, height=BAR, fill=_fill(row), stroke=INK, stroke_width=3
        )
        x += wide
    return Block(body, BAR if rows else 0)


def _key(rows: tuple[Stretch, ...]) -> Block:
    """A line for each part: its colour, its name, and how many."""
    body = ""
    for n, row in enumerate(rows):
        top = n * ROW
        box = {"x": MARGIN, "y": top + 15, "width": 52, "height": 52, "rx": 10}
        body += tag("rect", **box, fill=_fill(row), stroke=STONE, stroke_width=3)
        told = clean(row.told, 40)
        right = WIDTH - MARGIN
        room = right - MARGIN - 84 - measure(told, 40, bold=True) - 28
        size, lines = fit(clean(row.label, 120), (40, 36, 32, 28), room, 1)
        body += write(lines, MARGIN + 84, top + 41 - size * LEADING / 2, size, fill=INK)
        y = top + 41 - 40 * LEADING / 2
        body += write([told], right, y, 40, fill=NAVY, bold=True, anchor="end")
    return Block(body, len(rows) * ROW)
