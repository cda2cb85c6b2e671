"""An agency of any size that has learned for a fiscal year, as rows: what the report counts."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.json import encode
from sqlalchemy import Connection, insert

from content.schema import Content
from storage import roster
from storage.models import (
    certificates,
    evidence,
    facts,
    learners,
    measures,
    milestones,
    persons,
    profiles,
)

YEAR = 2570
BEGAN = datetime(2026, 9, 30, 17, tzinfo=UTC)
"""1 October 2569 in Bangkok."""
ENDED = datetime(2027, 9, 30, 17, tzinfo=UTC)
NOW = datetime(2027, 10, 8, 3, tzinfo=UTC)
GROUPS = {
    "executive": 0.01, "management": 0.06, "academic": 0.38, "service": 0.3, "technologist": 0.08,
    "others": 0.17,
}  # fmt: skip
"""The share of each personnel group."""
KINDS = {
    "learn": (("lesson_done", 3), ("course_finished", 1)),
    "practise": (("exercise_done", 1), ("quizzed", 1)),
}


class Agency(Struct):
    """Who is there: HR's officer, the deputy head, a director of a division."""

    officer: str = "A-1"
    deputy: str = "A-2"
    director: str = "A-3"


def settle(conn: Connection, agency: str = "กรมส่งเสริมบริการประชาชน (หน่วยงานสมมุติ)") -> Agency:
    """The units and the three officers."""
    top = roster.add_unit(conn, agency)
    division = roster.add_unit(conn, "กองบริการประชาชน", top)
    people = (
        ("A-1", "นางสาวสมใจ รักงาน", "นักทรัพยากรบุคคลชำนาญการ", "วิชาการ", top),
        ("A-2", "นายวีระ ตั้งมั่น", "รองอธิบดี", "บริหาร", top),
        ("A-3", "นางจินดา พรหมดี", "ผู้อำนวยการกอง", "อำนวยการ", division),
    )
    ids = [
        roster.add_person(
            conn, hr_id=hr_id, name=name, title=title, position_type=kind, unit_id=unit
        )
        for hr_id, name, title, kind, unit in people
    ]
    roster.grant(conn, ids[0], "hr", BEGAN)
    return Agency()


def fill(conn: Connection, many: int, content: Content, seed: int = 1, unit: int = 2) -> None:
    """So many learners, each as far as chance took them."""
    dice = random.Random(seed)
    groups = dice.choices([*GROUPS], [*GROUPS.values()], k=many)
    for first in range(0, many, 200):
        rows: dict[Any, list[dict[str, Any]]] = {
            table: []
            for table in (
                persons, learners, profiles, facts, milestones, measures, evidence, certificates,
            )
        }  # fmt: skip
        for at in range(first, min(first + 200, many)):
            _live(rows, 1000 + at, groups[at], unit, dice, content)
        for table, found in rows.items():
            if found:
                conn.execute(insert(table), found)


def _live(
    rows: dict[Any, list[dict[str, Any]]],
    id: int,
    group: str,
    unit: int,
    dice: random.Random,
    content: Content,
) -> None:
    began = BEGAN + (ENDED - BEGAN) * dice.random() * 0.8
    names = {"hr_id": f"L-{id}", "name": f"นายทดสอบ{id} ตัวอย่าง{id}"}
    rows[persons].append({"id": id, **names, "unit_id": unit})
    at = {"channel": "web", "address": f"a{id}"}
    rows[learners].append({"id": id, "person_id": id, "created_at": began, **at, "state": "{}"})
    reach = min(6, int(dice.triangular(1, 7.5, 6)))
    steps = [step.id for step in content.method.steps]
    step = steps[reach] if reach < 6 else "done"
    who = {"personnel_group": group, "step": step, "unit_id": unit, "lang": "th"}
    rows[profiles].append({"learner_id": id, "person_id": id, **at, **who})
    for n, name in enumerate(steps[:reach]):
        when = began + timedelta(days=5 * n)
        rows[milestones].append({"learner_id": id, "round": 1, "step": name, "at": when})
        for kind, times in KINDS.get(name, ()):
            for _ in range(dice.randint(0, times)):
                _fact(rows, id, when, kind)
    _measured(rows, id, began, reach, dice, content)
    if reach >= 5:
        _used(rows, id, began + timedelta(days=22), dice)
    if reach >= 6:
        end = began + timedelta(days=26)
        _fact(rows, id, end, "acknowledged")
        paper = {"code": f"C{id}", "name": "x", "round": 1, "issued_at": end, "data": "{}"}
        rows[certificates].append({"learner_id": id, **paper})


def _fact(
    rows: dict[Any, list[dict[str, Any]]], id: int, at: datetime, kind: str, data: str = "{}"
) -> int:
    """A fact with a number that no other has."""
    mine = 20 * id + sum(row["learner_id"] == id for row in rows[facts])
    fact = {"id": mine, "learner_id": id, "at": at, "kind": kind, "data": data}
    rows[facts].append(fact)
    return mine


def _measured(
    rows: dict[Any, list[dict[str, Any]]],
    id: int,
    began: datetime,
    reach: int,
    dice: random.Random,
    content: Content,
) -> None:
    for n, area in enumerate(content.framework.areas):
        before = round(dice.gauss(0.1 - 0.05 * n, 0.5), 3)
        after = round(before + dice.gauss(0.3 - 0.04 * n, 0.6), 3)
        row = {"learner_id": id, "round": 1, "area": area.id, "before": before, "before_at": began}
        end = began + timedelta(days=25)
        done = (
            {"after": after, "after_at": end} if reach >= 6 else {"after": None, "after_at": None}
        )
        rows[measures].append({**row, **done})


def _used(
    rows: dict[Any, list[dict[str, Any]]], id: int, at: datetime, dice: random.Random
) -> None:
    said = {"where": {"text": "รายงานประจำเดือน"}, "whom": {"text": "ผู้บริหาร"}}
    said["changed"] = {"text": "ลดเวลาจากสองวันเหลือครึ่งวัน"}
    data = encode({**said, "round": 1}).decode()
    use = {"fact_id": _fact(rows, id, at, "used_at_work", data), "learner_id": id, "round": 1}
    sure = at + timedelta(days=2) if dice.random() < 0.6 else None
    rows[evidence].append({**use, "at": at, "shared": dice.random() < 0.5, "confirmed_at": sure})
