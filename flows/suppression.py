"""Tables that show no group smaller than so many people, nor let one be worked out."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Literal

Counts = Sequence[Sequence[int]]
Shown = list[list[int | None]]
Compared = Literal["none", "first", "all"]
"""Which counts of a row are parts of one another, so that their difference is a group of people,
too: none, each of the first, or each of all others."""
Mask = list[set[int]]
"""For each column, the rows that are hidden in it."""


def is_small(many: int, least: int) -> bool:
    """Whether this is a group too small to be shown; nobody is no group."""
    return 0 < abs(many) < least


def shield(rows: Counts, least: int, compared: Compared = "all") -> Shown:
    """The rows, and below them their sums, with None for what must not be shown.

    Hidden are counts from 1 to `least` - 1, counts that differ by so many from another of their
    row, and as many more as it takes that no sum less shown counts gives such a number."""
    if not rows:
        return []
    total = [sum(column) for column in zip(*rows, strict=True)]
    small = [_too_small(row, least, compared) for row in rows]
    hidden: Mask = [
        {at for at, columns in enumerate(small) if column in columns}
        for column in range(len(total))
    ]
    unsaid = _too_small(total, least, compared)
    for column in unsaid:
        hidden[column] = set(range(len(rows)))
    while (telling := _telling(rows, hidden, unsaid, least, compared)) is not None:
        left = set(range(len(rows))) - hidden[telling]
        hidden[telling].add(_smallest(rows, telling, left))
    shown: Shown = [
        [None if at in hidden[column] else many for column, many in enumerate(row)]
        for at, row in enumerate(rows)
    ]
    return [*shown, [None if column in unsaid else many for column, many in enumerate(total)]]


def _smallest(rows: Counts, column: int, among: set[int]) -> int:
    return min(among, key=lambda at: (rows[at][column], at))


def _too_small(row: Sequence[int], least: int, compared: Compared) -> set[int]:
    """The columns that a row cannot show; those before have precedence."""
    kept: list[int] = []
    hidden = set()
    for column, many in enumerate(row):
        others = {"none": [], "first": row[:1], "all": kept}[compared]
        if is_small(many, least) or any(is_small(many - other, least) for other in others):
            hidden.add(column)
        else:
            kept.append(many)
    # a row whose first count is hidden is about a group that is not shown
    return set(range(len(row))) if compared != "none" and 0 in hidden else hidden


def _telling(
    rows: Counts, hidden: Mask, unsaid: set[int], least: int, compared: Compared
) -> int | None:
    """A column whose sum gives a small group away; None when no column does."""
    for column in range(len(hidden)):
        if column not in unsaid and is_small(_sum(rows, column, hidden[column]), least):
            return column
    for one, other in _pairs(len(hidden), compared):
        if one in unsaid or other in unsaid:
            continue
        for among in _comparable(hidden[one], hidden[other]):
            if is_small(_sum(rows, one, among) - _sum(rows, other, among), least):
                # with all rows hidden only the sums are left, and they tell nothing
                return other if len(hidden[other]) < len(rows) else one
    return None


def _comparable(one: set[int], other: set[int]) -> Iterator[set[int]]:
    """The least sets of rows of which both columns tell the sum: the rows hidden in either, and
    those hidden in one alone."""
    yield one | other
    if not one & other:
        yield one
        yield other


def _pairs(columns: int, compared: Compared) -> Iterator[tuple[int, int]]:
    match compared:
        case "all":
            yield from combinations(range(columns), 2)
        case "first":
            yield from ((0, column) for column in range(1, columns))


def _sum(rows: Counts, column: int, among: set[int]) -> int:
    return sum(rows[at][column] for at in among)
