"""A small agency with two divisions, people in every role, and things that have happened."""

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.json import encode
from sqlalchemy import Connection, insert, select, update

from content.schema import Content
from flows.types import Json
from storage import profiles, roster, tokens
from storage.database import Database
from storage.gathered import insert_new
from storage.models import certificates, evidence, facts, milestones, persons

POISON = "poison-that-a-learner-wrote"
"""Stands wherever learners write in their own words; must never leave."""
WROTE = {"text": POISON, "message": "m1"}
AREAS = {"computer": {"right": 1, "asked": 2, "ability": 0.1, "error": 0.9}}
HAPPENED: list[tuple[str, dict[str, Json]]] = [
    ("consent", {"id": "nudges", "given": True, "notice": "2569-1"}),
    ("claimed", {"person": 1}),
    ("placed", {"group": "academic", "by": "roster", "because": ["roster:6"]}),
    ("group_contested", {"group": "academic", "reason": WROTE}),
    ("measured", {"when": "baseline", "round": 1, "areas": AREAS}),
    ("planned", {"round": 1, "areas": ["computer"], "task": WROTE, "days": [1], "minute": 540}),
    ("answered", {"question": "computer-q1", "area": "computer", "option": 1, "right": True,
                  "purpose": "quiz", "round": 1, "seconds": 12}),
    ("lesson_done", {"lesson": "computer-l1", "round": 1}),
    ("course_finished", {"course": "gone-course", "learned": WROTE, "round": 1}),
    ("exercise_stuck", {"exercise": "computer-x1"}),
    ("exercise_done", {"exercise": "computer-x1", "round": 1}),
    ("quizzed", {"area": "computer", "score": 0.4, "passed": False, "attempt": 1, "round": 1}),
    ("quizzed", {"area": "computer", "score": 0.8, "passed": True, "attempt": 2, "round": 1}),
    ("used_at_work", {"round": 1, "where": WROTE, "whom": WROTE, "changed": WROTE,
                      "proof": WROTE, "shared": True, "ask_manager": False}),
    ("asked_hr", {"question": WROTE, "at": "home"}),
    ("step_done", {"step": "learn", "round": 1}),
    ("certified", {"round": 1}),
    ("round_begun", {"round": 2}),
]  # fmt: skip
"""One of each kind that matters."""
STATEMENTS = 12
"""How many of them become statements: not consents, placements, single answers, questions to HR."""
TOLD = 12
"""How many of them webhooks tell: a quiz that was failed is not."""
CODE = "ABCDEFGHJKLMN"


class Agency:
    """Two divisions: `one` and `two`. In each a head (h1, h2), an officer for HR of that division
    only (hr1, hr2) and two learners (a1, b1 / a2, b2); over all of it hr, approver, ocsc, admin,
    privacy."""

    def __init__(self, db: Database, now: datetime) -> None:
        self.now = now
        with db.write() as conn:
            self._fill(conn)

    def _fill(self, conn: Connection) -> None:
        top = roster.add_unit(conn, "top")
        self.units = {"": top}
        for name in ("one", "two"):
            self.units[name] = roster.add_unit(conn, name, top)
        self.persons: dict[str, int] = {}
        for role, who in (("hr", "hr"), ("ocsc", "ocsc"), ("admin", "admin"),
                          ("privacy", "privacy"), ("approver", "approver"),
                          ("learner", "nobody")):  # fmt: skip
            self._person(conn, who, "", role)
        for unit, n in (("one", 1), ("two", 2)):
            self._person(conn, f"h{n}", unit, "manager", self.units[unit])
            self._person(conn, f"hr{n}", unit, "hr", self.units[unit])
            for name in ("a", "b"):
                self._person(conn, f"{name}{n}", unit, "learner")
        self.learners = {who: self._learner(conn, who) for who in ("a1", "b1", "a2")}

    def _person(
        self, conn: Connection, who: str, unit: str, role: Any, over: int | None = None
    ) -> None:
        made = roster.add_person(
            conn, hr_id=f"HR-{who}", name=f"Name-{who}", unit_id=self.units[unit]
        )
        self.persons[who] = made
        if role != "learner":
            roster.grant(conn, made, role, self.now, over)

    def _learner(self, conn: Connection, who: str) -> int:
        return roster.link(conn, self.persons[who], "line", "U" + who, self.now)

    def token(self, db: Database, who: str, days: int = 90) -> str:
        with db.write() as conn:
            made = tokens.create(conn, f"HR-{who}", "test", days, self.now)
        return str(made["secret"])


def happen(
    conn: Connection, learner: int, now: datetime, kinds: list[tuple[str, Json]] | None = None
) -> list[int]:
    """Facts of a learner, and the narrow tables that go with them; their ids."""
    made = []
    for kind, data in HAPPENED if kinds is None else kinds:
        row = {"learner_id": learner, "at": now, "kind": kind, "data": encode(data).decode()}
        id = conn.execute(insert(facts).values(row).returning(facts.c.id)).scalar_one()
        made.append(id)
        here: dict[str, Any] = {"learner_id": learner, "at": now}
        if kind == "used_at_work":
            use = here | {"fact_id": id, "round": 1, "shared": True, "confirmed_at": now}
            conn.execute(insert(evidence).values(use))
        if kind == "step_done":
            done = here | {"round": 1, "step": data["step"]}
            conn.execute(insert_new(conn, milestones).values(done))
    return made


def certify(conn: Connection, learner: int, now: datetime) -> None:
    data = encode({"name": "Name-a1", "areas": ["Computer"], "title": "", "body": ""}).decode()
    row = {"code": CODE, "learner_id": learner, "name": "Name-a1", "round": 1, "data": data}
    conn.execute(insert(certificates).values(row | {"issued_at": now}))


def settle(db: Database, content: Content) -> None:
    """Profiles of all learners, as the ticker would make them."""
    with db.write() as conn:
        profiles.fill(conn, content)


def full(url: str, content: Content, now: datetime | None = None) -> tuple[Agency, dict[str, str]]:
    """An agency in which a1 and a2 have gone all the way and b1 has begun, with a token for
    everybody who has a role."""
    db, now = Database(url), now or datetime.now(UTC) - timedelta(hours=1)
    agency = Agency(db, now)
    with db.write() as conn:
        for who in ("a1", "a2"):
            happen(conn, agency.learners[who], now)
        happen(conn, agency.learners["b1"], now, HAPPENED[:3])
        certify(conn, agency.learners["a1"], now)
    settle(db, content)
    known = {who: agency.token(db, who) for who in agency.persons}
    db.close()
    return agency, known


def leave(db: Database, person: int) -> None:
    with db.write() as conn:
        conn.execute(update(persons).where(persons.c.id == person).values(left_on=1))


def kept(db: Database, table: Any) -> list[Any]:
    with db.read() as conn:
        return list(conn.execute(select(table)))
