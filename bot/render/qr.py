"""A QR code of a short address (ISO/IEC 18004): bytes, level M, versions 1 to 6."""

from collections.abc import Iterator

Grid = list[list[bool]]

QUIET = 4
"""Light modules that must surround the code."""
LEVEL = 0b00
"""Level M, about 15 % of the code may be damaged."""
VERSIONS = ((10, 1, 16), (16, 1, 28), (26, 1, 44), (18, 2, 32), (24, 2, 43), (16, 4, 27))
"""By version: check bytes per block, blocks, data bytes per block."""


def svg(text: str) -> str:
    """The code as an SVG with its quiet zone; empty if the text is too long for it."""
    grid = encode(text)
    if not grid:
        return ""
    side = len(grid) + 2 * QUIET
    path = "".join(
        f"M{x + QUIET} {y + QUIET}h1v1h-1z"
        for y, row in enumerate(grid)
        for x, dark in enumerate(row)
        if dark
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}">'
        f'<path d="{path}"/></svg>'
    )


def encode(text: str) -> Grid:
    """The modules row by row, True for dark; none if the text is too long.

    1. Choose the smallest version that holds the bytes.
    2. Put the length before them, fill up, and append the check bytes, blocks interleaved.
    3. Lay the bits around the fixed patterns, once under each mask.
    4. Keep the one that a scanner is least likely to misread.
    """
    data = text.encode()
    for version, (check, blocks, size) in enumerate(VERSIONS, 1):
        if len(data) + 2 <= blocks * size:
            stream = _stream(_padded(data, blocks * size), check, blocks, size)
            return min((_drawn(version, stream, mask) for mask in range(8)), key=_penalty)
    return []


# --- bytes ---------------------------------------------------------------------------


def _padded(data: bytes, room: int) -> bytes:
    """Mode (4 bits), length (8 bits), data, end (4 bits), then filling."""
    bits = (0b0100 << 8 | len(data)) << 8 * len(data) | int.from_bytes(data, "big")
    filled = (bits << 4).to_bytes(len(data) + 2, "big")
    return (filled + b"\xec\x11" * room)[:room]


def _stream(data: bytes, check: int, blocks: int, size: int) -> bytes:
    parts = [data[i * size : (i + 1) * size] for i in range(blocks)]
    checks = [_remainder(part, check) for part in parts]
    return bytes(
        byte for group in (parts, checks) for row in zip(*group, strict=True) for byte in row
    )


def _remainder(data: bytes, degree: int) -> bytes:
    """Reed-Solomon check bytes over GF(256)."""
    divisor = [1]
    for i in range(degree):
        root = _power(i)
        shifted = [*divisor, 0]
        for at, factor in enumerate(divisor):
            shifted[at + 1] ^= _times(factor, root)
        divisor = shifted
    rest = [*data, *[0] * degree]
    for at in range(len(data)):
        for offset, factor in enumerate(divisor):
            rest[at + offset] ^= _times(factor, rest[at]) if offset else 0
    return bytes(rest[len(data) :])


def _power(exponent: int) -> int:
    value = 1
    for _ in range(exponent):
        value = _times(value, 2)
    return value


def _times(a: int, b: int) -> int:
    product = 0
    for bit in range(7, -1, -1):
        product = product << 1 ^ (product >> 7) * 0x11D
        product ^= (b >> bit & 1) * a
    return product


# --- modules -------------------------------------------------------------------------


def _drawn(version: int, stream: bytes, mask: int) -> Grid:
    side = 17 + 4 * version
    fixed = _fixed(version, mask)
    grid = [[fixed.get((x, y), False) for x in range(side)] for y in range(side)]
    bits = (byte >> bit & 1 for byte in stream for bit in range(7, -1, -1))
    for x, y in _snake(side):
        if (x, y) not in fixed:
            grid[y][x] = bool(next(bits, 0)) ^ _masked(mask, x, y)
    return grid


def _snake(side: int) -> Iterator[tuple[int, int]]:
    """The way of the bits: columns in pairs from the right, up and down, past column 6."""
    upward = True
    for right in (*range(side - 1, 6, -2), 5, 3, 1):
        for y in range(side - 1, -1, -1) if upward else range(side):
            yield right, y
            yield right - 1, y
        upward = not upward


def _masked(mask: int, x: int, y: int) -> bool:
    return not (
        (x + y) % 2,
        y % 2,
        x % 3,
        (x + y) % 3,
        (x // 3 + y // 2) % 2,
        x * y % 2 + x * y % 3,
        (x * y % 2 + x * y % 3) % 2,
        ((x + y) % 2 + x * y % 3) % 2,
    )[mask]


def _fixed(version: int, mask: int) -> dict[tuple[int, int], bool]:
    """Timing lines, eyes, the small square (from version 2) and the format, twice."""
    side = 17 + 4 * version
    fixed = {}
    for i in range(side):
        fixed[i, 6] = fixed[6, i] = i % 2 == 0
    eyes = [(3, 3, 4), (side - 4, 3, 4), (3, side - 4, 4)]
    for cx, cy, reach in [*eyes, (side - 7, side - 7, 2)][: 3 if version == 1 else 4]:
        for x in range(max(cx - reach, 0), min(cx + reach + 1, side)):
            for y in range(max(cy - reach, 0), min(cy + reach + 1, side)):
                ring = max(abs(x - cx), abs(y - cy))
                fixed[x, y] = ring in ((0, 1, 3) if reach == 4 else (0, 2))
    for i, (one, two) in enumerate(_format_spots(side)):
        fixed[one] = fixed[two] = bool(_format(mask) >> i & 1)
    fixed[8, side - 8] = True
    return fixed


def _format(mask: int) -> int:
    data = LEVEL << 3 | mask
    rest = data
    for _ in range(10):
        rest = rest << 1 ^ (rest >> 9) * 0x537
    return (data << 10 | rest) ^ 0x5412


def _format_spots(side: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where bit 0, 1, … of the format stands: around the first eye, and beside the others."""
    first = [(8, y) for y in (0, 1, 2, 3, 4, 5, 7, 8)] + [(x, 8) for x in (7, 5, 4, 3, 2, 1, 0)]
    second = [(side - 1 - i, 8) for i in range(8)] + [(8, side - 7 + i) for i in range(7)]
    return list(zip(first, second, strict=True))


# --- which mask ----------------------------------------------------------------------


def _penalty(grid: Grid) -> int:
    """The four penalties of the standard: runs, squares, false eyes, imbalance."""
    side = len(grid)
    lines = ["".join("01"[dark] for dark in row) for row in grid]
    lines += ["".join("01"[row[x]] for row in grid) for x in range(side)]
    squares = sum(
        grid[y][x] == grid[y][x + 1] == grid[y + 1][x] == grid[y + 1][x + 1]
        for y in range(side - 1)
        for x in range(side - 1)
    )
    dark = sum(map(sum, grid)) * 20
    uneven = abs(dark - side * side * 10) // (side * side)
    return sum(map(_line_penalty, lines)) + 3 * squares + 10 * uneven


def _line_penalty(line: str) -> int:
    runs = line.replace("01", "0 1").replace("10", "1 0").split()
    long = sum(len(run) - 2 for run in runs if len(run) >= 5)
    false_eyes = sum(
        line.startswith(("10111010000", "00001011101"), at) for at in range(len(line) - 10)
    )
    return long + 40 * false_eyes
