"""Skills by area: how people stood before, how after, and what may be said of the change."""

from math import sqrt
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, case, cast, func, select

from flows.ability import STRENGTHEN, STRONG
from flows.reports import Chart, Column, Report, Row
from storage.models import measures, profiles
from storage.reports import common
from storage.reports.common import View

COLUMNS = (
    Column("area", "word", "area"),
    Column("when", "word"),
    Column("people", "count"),
    Column("strengthen", "count", sums=True),
    Column("fair", "count", sums=True),
    Column("strong", "count", sums=True),
    Column("gain", "number"),
    Column("gain_low", "number"),
    Column("gain_high", "number"),
    Column("verdict", "word"),
)
CHART = Chart("bar", ("area", "when"), ("strengthen", "fair", "strong"))
SCALE = 1_000_000
"""Abilities are summed as whole millionths: in whatever order, the sum is the same."""


def skills(conn: Connection, view: View) -> Report:
    """For each area the bands of all who were measured before, and, of those who were measured
    again, before and after. A gain is the mean over these pairs, in logits; it is only shown where
    its 95 % interval leaves out zero."""
    found = {row.area: row for row in conn.execute(_query(view))}
    rows: list[Row] = []
    for area in view.content.framework.areas:
        if area.id in found:
            rows += _rows(found[area.id], view)
    people = _measured(conn, view)
    return Report("skills", COLUMNS, rows, people, view.now, view.ask, ("gain",), CHART)


def round_of(view: View) -> int:
    return view.ask.round or 1


def _query(view: View) -> Any:
    before, after = _whole(measures.c.before), _whole(measures.c.after)
    both = measures.c.before.is_not(None) & measures.c.after.is_not(None)
    change = case((both, after - before))
    sums = [
        *_bands("first", measures.c.before, measures.c.before.is_not(None)),
        *_bands("before", measures.c.before, both),
        *_bands("after", measures.c.after, both),
        func.sum(change).label("change"),
        # squares of millionths would not fit: thousandths do
        func.sum((change / 1000) * (change / 1000)).label("squares"),
    ]
    return (
        select(measures.c.area, *sums)
        .join(profiles, profiles.c.learner_id == measures.c.learner_id)
        .where(measures.c.round == round_of(view), common.everybody(view))
        .where(common.moments(view, measures.c.before_at))
        .group_by(measures.c.area)
    )


def _whole(ability: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(func.round(ability * SCALE), BigInteger)


def _bands(
    when: str, ability: ColumnElement[Any], among: ColumnElement[bool]
) -> list[ColumnElement[int]]:
    """How many are in each band: the cut points are those of flows/ability.py."""
    low, high = ability < STRENGTHEN, ability > STRONG
    middle = among & ~low & ~high
    parts = {"strengthen": among & low, "fair": middle, "strong": among & high}
    return [func.sum(case((of, 1), else_=0)).label(f"{when}_{n}") for n, of in parts.items()]


def _rows(row: Any, view: View) -> list[Row]:
    made: list[Row] = []
    for when in ("first", "before", "after"):
        bands = [int(getattr(row, f"{when}_{band}")) for band in ("strengthen", "fair", "strong")]
        found: Row = (None, None, None, "")
        if when == "after":
            fewest = view.content.reports.fewest_pairs
            found = change(sum(bands), int(row.change or 0), int(row.squares or 0), fewest)
        made.append((row.area, when, sum(bands), *bands, *found))
    return made


def change(n: int, total: int, squares: int, fewest: int) -> Row:
    """Mean gain in logits with its 95 % interval (paired, Student's t), and a word for it; from the
    sum of changes in millionths and of their squares in thousandths."""
    if n < fewest:
        return None, None, None, "too_few"
    mean = total / SCALE / n
    spread = max(squares / 1e6 - n * mean * mean, 0.0) / (n - 1)
    reach = student(n - 1) * sqrt(spread / n)
    low, high = mean - reach, mean + reach
    if low <= 0 <= high:
        return None, None, None, "like_chance"
    return round(mean, 3), round(low, 3), round(high, 3), "better" if mean > 0 else "worse"


def student(df: int) -> float:
    """The 97.5 % point of Student's t (Abramowitz & Stegun 26.7.5); good to 0.001 from df = 9."""
    z = 1.959963984540054
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / df + second / df**2 + third / df**3


def _measured(conn: Connection, view: View) -> int:
    """The people of the view who have been measured in this round."""
    some = select(measures.c.learner_id).where(
        measures.c.learner_id == profiles.c.learner_id,
        measures.c.round == round_of(view),
        measures.c.before.is_not(None),
        common.moments(view, measures.c.before_at),
    )
    counted = select(func.count()).select_from(profiles)
    found: int = conn.execute(counted.where(common.everybody(view), some.exists())).scalar_one()
    return found
