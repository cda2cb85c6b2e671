"""A small agency at random, with everything that reports read, written straight into the tables."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.json import encode
from sqlalchemy import Connection, Table, insert, select, text

from content.schema import Content
from flows.calendar import local
from flows.types import State
from storage.models import (
    evidence,
    facts,
    learners,
    measures,
    metadata,
    persons,
    profiles,
    units,
)
from storage.outcomes import LEARNING
from storage.scope import Right, Scope

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
TODAY = local(NOW).toordinal()
PATHS = ("A", "A / B", "A / B / C", "A / B2", "A / B%", "D")
NASTY = ("=1+1", "+66 2", "@SUM(A1)", "<r>x</r>", "สมชาย", "_x0041_", "-", "'quoted")
NASTY += ('a,b;c\n"d"',)
EVERYTHING = Scope(None, (Right("hr"), Right("privacy")))


def hr_of(path: str, viewer: int = 1) -> Scope:
    return Scope(viewer, (Right("hr", path),))


def fill(conn: Connection, seed: int, content: Content, people: int = 60) -> None:
    """Persons in nested units, some gone or leaving; learners at all steps; guests; and what they
    did in the last weeks."""
    dice = random.Random(seed)
    _rows(conn, units, [{"id": n, "name": p, "path": p} for n, p in enumerate(PATHS, 1)])
    _rows(conn, persons, [_person(n, dice) for n in range(1, people + 1)])
    gone = {*dice.sample(range(1, people + 1), people // 3)}
    joined = [n for n in range(1, people + 1) if n not in gone]
    ids = [*joined, *range(people + 1, people + 6)]
    homes = {row.id: row.unit_id for row in conn.execute(select(persons))}
    _rows(conn, learners, [_learner(n, homes) for n in ids])
    _rows(conn, profiles, [_profile(n, homes, dice, content) for n in ids])
    _rows(conn, measures, [row for n in ids for row in _measures(n, dice, content)])
    _did(conn, ids, dice, content)
    if conn.dialect.name == "postgresql":
        for table in ("units", "persons", "learners", "facts"):
            conn.execute(text(f"select setval('{table}_id_seq', 100000)"))


def _rows(conn: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        conn.execute(insert(table), rows)


def _person(n: int, dice: random.Random) -> dict[str, Any]:
    return {
        "id": n,
        "hr_id": f"P{n:03}",
        "name": f"{dice.choice(NASTY)} {dice.randrange(25)}",
        "unit_id": dice.randrange(len(PATHS)) + 1,
        "supervisor_id": None if n < 5 or dice.random() < 0.2 else 1,
        "position_type": dice.choice(("", "academic")),
        "left_on": dice.choice((0, 0, 0, 0, TODAY - 9, TODAY, TODAY + 1)),
    }


def _learner(n: int, homes: dict[int, int]) -> dict[str, Any]:
    state = encode(State(n, welcomed=True)).decode()
    at = {"channel": "line", "address": f"U{n}"}
    person = n if n in homes else None
    return {"id": n, "person_id": person, "created_at": NOW, **at, "state": state}


def _profile(
    n: int, homes: dict[int, int], dice: random.Random, content: Content
) -> dict[str, Any]:
    groups = [*(group.id for group in content.framework.groups), ""]
    steps = [*(step.id for step in content.method.steps), "done"]
    return {
        "learner_id": n,
        "channel": "line",
        "address": f"U{n}",
        "reachable": dice.random() < 0.8,
        "lang": "th",
        "person_id": n if n in homes else None,
        "unit_id": homes.get(n),
        "personnel_group": dice.choice(groups[-4:]),
        "step": dice.choice(steps),
        "welcomed": dice.random() < 0.9,
        "stopped": dice.random() < 0.2,
        "nudges": dice.random() < 0.7,
        "restricted": dice.random() < 0.1,
        "active_on": dice.choice((0, TODAY, TODAY - 5, TODAY - 14, TODAY - 15, TODAY - 40)),
    }


def _measures(n: int, dice: random.Random, content: Content) -> list[dict[str, Any]]:
    rows = []
    for area in content.framework.areas[:4]:
        for round_ in (1, 2):
            before = round(dice.uniform(-1.5, 1.5), 3) if dice.random() < 0.8 else None
            gain = 0.4 if area is content.framework.areas[0] else 0.0
            known = before if before is not None else 0.0
            after = round(known + dice.gauss(gain, 0.3), 3) if dice.random() < 0.6 else None
            when = NOW - timedelta(days=dice.randrange(30))
            row = {"learner_id": n, "round": round_, "area": area.id, "before": before}
            row |= {"after": after, "before_at": None if before is None else when}
            rows.append(row | {"after_at": None if after is None else NOW})
    return rows


def _did(conn: Connection, ids: list[int], dice: random.Random, content: Content) -> None:
    """Facts in the order in which they happened, the last a moment ago."""
    many = 40 * len(ids)
    ages = sorted((dice.uniform(0, 33 * 86400) for _ in range(many)), reverse=True)
    made, uses = [], []
    for n, age in enumerate(ages, 1):
        learner, kind = dice.choice(ids), dice.choice((*LEARNING, "answered", "nudged", "returned"))
        at = NOW - timedelta(seconds=round(age))
        data = _answer(dice, content) if kind == "answered" else {"round": 1}
        if kind == "used_at_work":
            said = {key: {"text": dice.choice(NASTY)} for key in ("where", "whom", "changed")}
            data |= said
            uses.append(_use(n, learner, at, dice))
        plain = encode(data).decode()
        made.append({"id": n, "learner_id": learner, "at": at, "kind": kind, "data": plain})
    _rows(conn, facts, made)
    _rows(conn, evidence, uses)


def _answer(dice: random.Random, content: Content) -> dict[str, Any]:
    area = dice.choice(content.framework.areas[:3]).id
    question = dice.choice(content.questions[area][:4])
    option = dice.choice((None, *range(len(question.options)), question.right))
    return {
        "question": question.id,
        "area": area,
        "option": option,
        "right": option == question.right,
        "purpose": dice.choice(("pretest", "quiz", "retest")),
        "round": dice.choice((1, 2)),
        "seconds": dice.choice((None, 3, 12, 45, 400)),
    }


def _use(fact: int, learner: int, at: datetime, dice: random.Random) -> dict[str, Any]:
    return {
        "fact_id": fact,
        "learner_id": learner,
        "at": at,
        "round": 1,
        "shared": dice.random() < 0.5,
        "confirmed_at": at if dice.random() < 0.4 else None,
        "status": dice.choice(("new", "chosen", "set_aside")),
    }


def dumped(conn: Connection) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table: what a slow recount is made of."""
    return {
        table.name: [dict(row._mapping) for row in conn.execute(select(table))]
        for table in metadata.sorted_tables
    }
