"""The pencils of every picture: colours, shapes and lines of text as SVG."""

from collections.abc import Sequence
from html import escape

from msgspec import Struct

from bot.render.fonts import FAMILY
from bot.render.text import clean, fit, measure

WIDTH = 1080
MARGIN = 48
LEADING = 1.42
"""Line height in ems: Thai stacks marks above and below the letters."""

NAVY = "#1B3A6B"
TEAL = "#0F7C7C"
GOLD = "#D9A441"
INK = "#1F2933"
PAPER = "#FFFDF8"
MUTED = "#4A5763"
WHITE = "#FFFFFF"
STONE = "#7B8794"
RULE = "#B8C2CC"
CREAM = "#FBF1DC"
MIST = "#E6F0F0"


class Block(Struct, frozen=True):
    """A drawn part of a picture and how high it is; it begins at y = 0."""

    body: str
    height: float


def tag(name: str, content: str = "", /, **attributes: str | float) -> str:
    """One element; `content` is markup, attributes are escaped, `_` stands for `-`."""
    pairs = "".join(f' {k.replace("_", "-")}="{_value(v)}"' for k, v in attributes.items())
    return f"<{name}{pairs}>{content}</{name}>" if content else f"<{name}{pairs}/>"


def _value(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def move(body: str, x: float, y: float) -> str:
    return tag("g", body, transform=f"translate({_value(x)} {_value(y)})")


def write(
    lines: Sequence[str],
    x: float,
    top: float,
    size: float,
    *,
    fill: str = INK,
    bold: bool = False,
    anchor: str = "start",
) -> str:
    """Lines of cleaned text from `top` down."""
    weight = 700 if bold else 400
    return "".join(
        tag(
            "text",
            escape(line),
            x=x,
            y=top + (i + 0.5) * size * LEADING + size * 0.33,
            font_size=size,
            font_weight=weight,
            fill=fill,
            text_anchor=anchor,
        )
        for i, line in enumerate(lines)
        if line
    )


def header(title: str) -> Block:
    """The band on top with the title, closed by a thin line of gold."""
    room = WIDTH - 2 * MARGIN
    size, lines = fit(clean(title, 160), (54, 48, 42, 38), room, 2, bold=True)
    height = len(lines) * size * LEADING + 64
    text = write(lines, WIDTH / 2, 32, size, fill=WHITE, bold=True, anchor="middle")
    band = tag("rect", width=WIDTH, height=height, fill=NAVY)
    rule = tag("rect", y=height, width=WIDTH, height=8, fill=GOLD)
    return Block(band + rule + text, height + 8)


def caption(note: str) -> Block:
    """The sentence at the foot of a picture, or nothing."""
    text = clean(note)
    if not text:
        return Block("", 0)
    size, lines = fit(text, (34, 31, 28), WIDTH - 2 * MARGIN, 4)
    rule = tag("rect", x=MARGIN, width=WIDTH - 2 * MARGIN, height=2, fill=RULE)
    body = write(lines, WIDTH / 2, 26, size, fill=MUTED, anchor="middle")
    return Block(rule + body, 26 + len(lines) * size * LEADING)


def key(entries: Sequence[tuple[str, str]], size: int, drawing: int) -> Block:
    """Small drawings, each so wide and 48 high, with their names; rows are centred."""
    gap, row_height = 44, 62
    room = WIDTH - 2 * MARGIN
    rows: list[list[tuple[str, str, float]]] = [[]]
    for shape, name in entries:
        _, (text, *_rest) = fit(clean(name, 60), (size,), room - drawing, 1)
        wide = drawing + measure(text, size)
        if rows[-1] and sum(w + gap for *_, w in rows[-1]) + wide > room:
            rows.append([])
        rows[-1].append((shape, text, wide))
    body = ""
    for i, row in enumerate(rows):
        x = (WIDTH - sum(w for *_, w in row) - gap * (len(row) - 1)) / 2
        for shape, text, wide in row:
            top = (row_height - size * LEADING) / 2
            body += move(shape + write([text], drawing, top - 7, size), x, i * row_height + 7)
            x += wide + gap
    return Block(body, len(rows) * row_height if entries else 0)


def sheet(alt: str, blocks: Sequence[tuple[Block, float]]) -> str:
    """The whole picture: blocks from top to bottom, each with the space above it."""
    body, y = "", 0.0
    for block, above in blocks:
        if block.body:
            body += move(block.body, 0, y + above)
            y += above + block.height
    height = round(y + MARGIN)
    paper = tag("rect", width=WIDTH, height=height, fill=PAPER)
    title = tag("title", escape(clean(alt, 1000)) or " ")
    return tag(
        "svg",
        title + paper + body,
        xmlns="http://www.w3.org/2000/svg",
        role="img",
        width=WIDTH,
        height=height,
        viewBox=f"0 0 {WIDTH} {height}",
        font_family=f"{FAMILY}, sans-serif",
    )
