"""The bundled typeface: where its files are, which letters it has and how wide they are."""

import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from msgspec import Struct

FOLDER = Path(__file__).parent.parent / "static" / "fonts"
FAMILY = "Sarabun"
REGULAR = FOLDER / "Sarabun_400Regular.ttf"
BOLD = FOLDER / "Sarabun_700Bold.ttf"


class Face(Struct, frozen=True):
    """One weight of the typeface: the advance of every letter that it can draw, in ems."""

    advances: dict[str, float]


@cache
def face(bold: bool = False) -> Face:
    data = (BOLD if bold else REGULAR).read_bytes()
    tables = _tables(data)
    (em,) = struct.unpack_from(">H", data, tables["head"] + 18)
    widths = _widths(data, tables)
    return Face({chr(code): widths[glyph] / em for code, glyph in _glyphs(data, tables["cmap"])})


def _tables(data: bytes) -> dict[str, int]:
    """Where each table of a TrueType file begins."""
    (count,) = struct.unpack_from(">H", data, 4)
    records = (struct.unpack_from(">4sLLL", data, 12 + 16 * i) for i in range(count))
    return {tag.decode("ascii"): offset for tag, _, offset, _ in records}


def _widths(data: bytes, tables: dict[str, int]) -> list[int]:
    """Advance by glyph; glyphs past the end of the list share the last one."""
    (count,) = struct.unpack_from(">H", data, tables["maxp"] + 4)
    (listed,) = struct.unpack_from(">H", data, tables["hhea"] + 34)
    widths: list[int] = [
        struct.unpack_from(">H", data, tables["hmtx"] + 4 * i)[0] for i in range(listed)
    ]
    return widths + [widths[-1]] * (count - listed)


def _glyphs(data: bytes, cmap: int) -> Iterator[tuple[int, int]]:
    """Every (code point, glyph) of the format 4 subtable, which covers the whole typeface."""
    (count,) = struct.unpack_from(">H", data, cmap + 2)
    subtables = (cmap + struct.unpack_from(">L", data, cmap + 8 + 8 * i)[0] for i in range(count))
    start = next(at for at in subtables if data[at : at + 2] == b"\0\4")
    segments = struct.unpack_from(">H", data, start + 6)[0] // 2
    row = f">{segments}H"
    ends = struct.unpack_from(row, data, start + 14)
    begins, deltas, ranges = (
        struct.unpack_from(row, data, start + 16 + 2 * segments * i) for i in (1, 2, 3)
    )
    for i, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        for code in range(begin, min(end, 0xFFFE) + 1):
            glyph = code
            if ranges[i]:
                at = start + 16 + 6 * segments + 2 * i + ranges[i] + 2 * (code - begin)
                (glyph,) = struct.unpack_from(">H", data, at)
            if glyph:
                yield code, (glyph + deltas[i]) & 0xFFFF
