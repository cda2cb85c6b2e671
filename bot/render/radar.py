"""A profile as a net: one axis per area, now, or before and after."""

from math import isfinite

from msgspec import Struct

from bot.render.labels import Point, layout, point
from bot.render.paint import (
    INK,
    MIST,
    MUTED,
    NAVY,
    PAPER,
    RULE,
    STONE,
    TEAL,
    WHITE,
    WIDTH,
    Block,
    caption,
    header,
    key,
    sheet,
    tag,
    write,
)

DASHES = "15 14"
BANDS = (PAPER, MIST, "#D3E5E5")

Values = list[float | None]


class Axis(Struct, frozen=True):
    """`value` from 0 to 1; None where nothing was measured."""

    label: str
    value: float | None = None


class Radar(Struct, frozen=True):
    """What to draw. With `before`, `legend` names before and after, in this order."""

    title: str
    axes: tuple[Axis, ...]
    before: tuple[float | None, ...] | None = None
    rings: tuple[str, ...] = ()
    legend: tuple[str, ...] = ()
    note: str = ""


def draw(radar: Radar, alt: str) -> str:
    if not 3 <= len(radar.axes) <= 12:
        raise ValueError(f"a radar has 3 to 12 axes, not {len(radar.axes)}")
    return sheet(
        alt,
        (
            (header(radar.title), 0),
            (_net(radar), 36),
            (key(_lines(radar), 32, 98), 30),
            (key(_rings(radar), 30, 62), 0),
            (caption(radar.note), 24),
        ),
    )


# --- the net -------------------------------------------------------------------------


def _net(radar: Radar) -> Block:
    radius, labels = layout(tuple(axis.label for axis in radar.axes))
    now = [_share(axis.value) for axis in radar.axes]
    given = (*(radar.before or ()), *[None] * len(now))
    was = [_share(value) for value in given[: len(now)]]
    top = min(-radius, *(label.y for label in labels))
    bottom = max(radius, *(label.y + label.height for label in labels))
    known = [any(value is not None for value in pair) for pair in zip(now, was, strict=True)]
    body = _grid(radius, known, len(radar.rings) or 3)
    body += _fill(now, radius, TEAL)
    body += _outline(was, radius, STONE, 5, DASHES) + _dots(was, radius, 9, WHITE, STONE)
    body += _outline(now, radius, TEAL, 7) + _dots(now, radius, 13, TEAL, WHITE)
    for label, measured in zip(labels, known, strict=True):
        body += write(
            label.lines,
            label.x,
            label.y,
            label.size,
            fill=INK if measured else MUTED,
            anchor=label.anchor,
        )
    centred = tag("g", body, transform=f"translate({WIDTH // 2} {-top:.1f})")
    return Block(centred, bottom - top)


def _share(value: float | None) -> float | None:
    return min(max(value, 0.0), 1.0) if value is not None and isfinite(value) else None


def _grid(radius: float, known: list[bool], bands: int) -> str:
    """Bands tinted from the centre outwards and a spoke per axis, dotted if not measured."""
    rings = ""
    for i in reversed(range(bands)):
        tint = BANDS[min(i, len(BANDS) - 1)]
        rings += tag("circle", r=radius * (i + 1) / bands, fill=tint, stroke=RULE, stroke_width=2)
    for i, measured in enumerate(known):
        x, y = point(i, len(known), radius)
        pen = _stroke(RULE, 3) if measured else _stroke(STONE, 4, "0 12")
        rings += tag("line", x2=x, y2=y, **pen)
    return rings


def _edges(values: Values, radius: float) -> list[tuple[Point, Point]]:
    """The sides of the shape: only between neighbours that were both measured."""
    count = len(values)
    edges = []
    for i, value in enumerate(values):
        following = values[(i + 1) % count]
        if value is not None and following is not None:
            here = point(i, count, value * radius)
            edges.append((here, point(i + 1, count, following * radius)))
    return edges


def _fill(values: Values, radius: float, colour: str) -> str:
    """One path, so that the wedges do not darken each other where they touch."""
    wedges = "".join(
        f"M0 0L{a[0]:.1f} {a[1]:.1f}L{b[0]:.1f} {b[1]:.1f}Z" for a, b in _edges(values, radius)
    )
    return tag("path", d=wedges, fill=colour, fill_opacity=0.2) if wedges else ""


def _outline(values: Values, radius: float, colour: str, width: int, dashes: str = "none") -> str:
    path, pen = "", None
    for a, b in _edges(values, radius):
        path += "" if a == pen else f"M{a[0]:.1f} {a[1]:.1f}"
        path += f"L{b[0]:.1f} {b[1]:.1f}"
        pen = b
    return tag("path", d=path, **_stroke(colour, width, dashes)) if path else ""


def _stroke(colour: str, width: int, dashes: str = "none") -> dict[str, str | float]:
    return {
        "fill": "none",
        "stroke": colour,
        "stroke_width": width,
        "stroke_dasharray": dashes,
        "stroke_linecap": "round",
        "stroke_linejoin": "round",
    }


def _dots(values: Values, radius: float, size: int, fill: str, edge: str) -> str:
    dots = ""
    for i, value in enumerate(values):
        if value is not None:
            x, y = point(i, len(values), value * radius)
            dots += tag("circle", cx=x, cy=y, r=size, fill=fill, stroke=edge, stroke_width=4)
    return dots


# --- keys ----------------------------------------------------------------------------


def _lines(radar: Radar) -> list[tuple[str, str]]:
    """What the lines mean."""
    after = _sample(TEAL, 7, "none", 13, TEAL, WHITE)
    before = _sample(STONE, 5, "12 10", 9, WHITE, STONE)
    drawn = [after] if radar.before is None else [before, after]
    return list(zip(drawn, radar.legend, strict=False))


def _sample(colour: str, width: int, dashes: str, size: int, fill: str, edge: str) -> str:
    dot = tag("circle", cx=42, cy=24, r=size, fill=fill, stroke=edge, stroke_width=4)
    return tag("line", x1=3, y1=24, x2=81, y2=24, **_stroke(colour, width, dashes)) + dot


def _rings(radar: Radar) -> list[tuple[str, str]]:
    """What the bands mean: a small target with the band filled in."""
    entries = []
    count = len(radar.rings)
    for i, name in enumerate(radar.rings):
        target = tag("circle", cx=24, cy=24, r=23, fill=PAPER, stroke=STONE, stroke_width=2)
        step = 23 / count
        middle, thick = step * (i + 0.5), step
        target += tag(
            "circle", cx=24, cy=24, r=middle, fill="none", stroke=NAVY, stroke_width=thick
        )
        entries.append((target, name))
    return entries
