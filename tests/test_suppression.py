"""No table for OCSC lets anybody work out a group of one to nine people."""

from collections.abc import Iterator
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from flows.suppression import Compared, Shown, shield

LEAST = 10
NESTED = st.lists(st.integers(0, 45), min_size=2, max_size=5).map(
    lambda counts: sorted(counts, reverse=True)
)


@st.composite
def tables(draw: st.DrawFn) -> list[list[int]]:
    """Groups in rows; each count is a part of the count before it."""
    columns = draw(st.integers(2, 5))
    row = st.lists(st.integers(0, 45), min_size=columns, max_size=columns)
    rows = draw(st.lists(row, min_size=1, max_size=5))
    return [sorted(counts, reverse=True) for counts in rows]


def known(shown: Shown, column: int) -> Iterator[tuple[frozenset[int], int]]:
    """What each set of rows is known to add up to: what is shown, or the sum less what is."""
    *rows, total = shown
    everybody = frozenset(range(len(rows)))
    for size in range(1, len(rows) + 1):
        for chosen in combinations(range(len(rows)), size):
            cells = [rows[at][column] for at in chosen]
            rest = [rows[at][column] for at in everybody - set(chosen)]
            if None not in cells:
                yield frozenset(chosen), sum(cell or 0 for cell in cells)
            elif total[column] is not None and None not in rest:
                yield frozenset(chosen), (total[column] or 0) - sum(cell or 0 for cell in rest)
    if total[column] is not None:
        yield everybody, total[column] or 0


def small(shown: Shown, compared: Compared) -> list[int]:
    """Every number from 1 to 9 that can be worked out from a table."""
    columns = [dict(known(shown, column)) for column in range(len(shown[0]))]
    found = [many for column in columns for many in column.values()]
    pairs = {
        "none": [],
        "first": [(0, other) for other in range(1, len(columns))],
        "all": list(combinations(range(len(columns)), 2)),
    }[compared]
    for one, other in pairs:
        both = columns[one].keys() & columns[other].keys()
        found += [columns[one][rows] - columns[other][rows] for rows in both]
    return [many for many in found if 0 < abs(many) < LEAST]


@given(tables())
def test_nothing_small_can_be_worked_out(rows: list[list[int]]) -> None:
    assert small(shield(rows, LEAST), "all") == []
    assert small(shield(rows, LEAST, "first"), "first") == []
    assert small(shield(rows, LEAST, "none"), "none") == []


@given(tables())
def test_what_is_shown_is_true(rows: list[list[int]]) -> None:
    shown = shield(rows, LEAST)
    whole = [*rows, [sum(column) for column in zip(*rows, strict=True)]]

    for said, true in zip(shown, whole, strict=True):
        assert all(cell in (None, count) for cell, count in zip(said, true, strict=True))


@given(tables())
def test_nothing_is_hidden_where_all_groups_are_large(rows: list[list[int]]) -> None:
    large = [[100 * count for count in row] for row in rows]

    assert all(cell is not None for row in shield(large, LEAST) for cell in row)


def test_a_plain_case_reads_as_expected() -> None:
    rows = [[3, 3, 1], [40, 40, 20], [80, 60, 60]]

    assert shield(rows, LEAST) == [
        [None, None, None],
        [None, None, None],
        [80, 60, 60],
        [123, 103, 81],
    ]


def test_the_checker_would_notice() -> None:
    assert small([[None, None], [20, 20], [23, 23]], "all")
    assert small([[20, 14], [20, 14]], "all") == [6]
