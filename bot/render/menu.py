"""The picture of LINE's rich menu, and where its fields lie on it."""

from bot.render.paint import CREAM, GOLD, INK, NAVY, PAPER, RULE, TEAL, move, tag, write
from bot.render.pictures import png
from bot.render.text import clean
from content.schema import Lang, Menu

WIDTH, HEIGHT, COLUMNS = 1200, 810, 3
Bounds = tuple[int, int, int, int]
"""x, y, width and height of a field, in pixels."""


def draw(menu: Menu, lang: Lang) -> tuple[bytes, list[Bounds]]:
    """A grid of fields, each an icon over its label."""
    rows = -(-len(menu.areas) // COLUMNS)
    width, height = WIDTH // COLUMNS, HEIGHT // rows
    bounds = [
        (at % COLUMNS * width, at // COLUMNS * height, width, height)
        for at in range(len(menu.areas))
    ]
    fields = [
        _field(area.icon, area.label.of(lang), box, at == 0)
        for at, (area, box) in enumerate(zip(menu.areas, bounds, strict=True))
    ]
    paper = tag("rect", width=WIDTH, height=HEIGHT, fill=PAPER)
    picture = tag(
        "svg",
        paper + "".join(fields),
        xmlns="http://www.w3.org/2000/svg",
        width=WIDTH,
        height=HEIGHT,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
    )
    return png(picture), bounds


def _field(icon: str, label: str, box: Bounds, first: bool) -> str:
    x, y, width, height = box
    back = tag("rect", width=width, height=height, fill=CREAM if first else PAPER, stroke=RULE)
    middle = width / 2
    circle = tag("circle", cx=middle, cy=height * 0.4, r=78, fill=TEAL if first else NAVY)
    sign = move(_ICONS[icon], middle - 48, height * 0.4 - 48)
    words = write([clean(label)], middle, height * 0.66, 46, fill=INK, bold=True, anchor="middle")
    return move(back + circle + sign + words, x, y)


def _line(path: str) -> str:
    return tag(
        "path",
        d=path,
        fill="none",
        stroke=PAPER,
        stroke_width=8,
        stroke_linecap="round",
        stroke_linejoin="round",
    )


_ICONS = {
    "go": tag("path", d="M34 22 L76 48 L34 74 Z", fill=PAPER),
    "progress": _line("M16 76 L38 52 L54 64 L80 26") + tag("circle", cx=80, cy=26, r=8, fill=GOLD),
    "menu": _line("M18 28 H78 M18 48 H78 M18 68 H78"),
    "data": _line("M24 14 H62 L76 28 V82 H24 Z M36 46 H64 M36 62 H64"),
    "ask": _line("M14 20 H82 V64 H46 L28 80 V64 H14 Z"),
    "help": _line("M34 34 C34 12 68 14 64 36 C62 46 50 48 49 60")
    + tag("circle", cx=49, cy=78, r=6, fill=PAPER),
}
"""Drawn on a field of 96 x 96."""
