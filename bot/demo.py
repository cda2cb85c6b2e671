"""The made-up agency: its people, and a history for half of them that the real flows have made."""

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, select, update

from bot import habits
from bot.habits import Habits
from content.schema import Content, Demo, DemoPerson, DemoUse
from flows.calendar import at_minute, local
from flows.types import AnyEvent, Reply, Started, State
from storage import publications, roster, turns
from storage.database import Database
from storage.gathered import decode_state
from storage.models import learners, outbox, persons, timers
from storage.wire import Incoming

TURNS = 400
"""More than any history needs: a loop would show here."""
WEEKS = 10
"""How long ago the first of them began."""


def is_loaded(db: Database) -> bool:
    with db.read() as conn:
        return bool(conn.execute(select(func.count()).select_from(persons)).scalar_one())


def load(
    db: Database, demo: Demo, content: Content, now: datetime, done: Callable[[], None]
) -> None:
    """Write the agency, then let its people walk: one transaction each; `done` counts them."""
    with db.write() as conn:
        ids = people(conn, demo, now)
    for at, person in enumerate(demo.people):
        if person.reach:
            with db.write() as conn:
                Visitor(conn, person, ids[person.hr_id], demo.uses, content, now, at).walk()
        done()
    with db.write() as conn:
        _settle(conn, now)
        publications.publish(conn, now, content)


def people(conn: Connection, demo: Demo, now: datetime) -> dict[str, int]:
    """Write its units, people and roles; the ids of the people by their ids at HR."""
    units: dict[str, int | None] = {"": None}
    for unit in demo.units:
        units[unit.id] = roster.add_unit(conn, unit.name, units[unit.parent])
    ids: dict[str, int] = {}
    for person in demo.people:
        ids[person.hr_id] = roster.add_person(
            conn,
            hr_id=person.hr_id,
            name=person.name,
            unit_id=units[person.unit],
            supervisor_id=ids.get(person.supervisor),
            title=person.title,
            position_type=person.position_type,
        )
        if person.role != "learner":
            roster.grant(conn, ids[person.hr_id], person.role, now)
    for head in sorted({person.supervisor for person in demo.people} - {""}):
        leads = next(person.unit for person in demo.people if person.hr_id == head)
        roster.grant(conn, ids[head], "manager", now, units[leads], source="roster")
    return ids


def _settle(conn: Connection, now: datetime) -> None:
    """What was said long ago has long arrived, and its reminders are over."""
    sent = update(outbox).where(outbox.c.status == "queued")
    conn.execute(sent.values(status="accepted", ended_at=now))
    conn.execute(delete(timers).where(timers.c.due < now, timers.c.kind != "confirm_use"))


class Visitor:
    """Plays one made-up person, choosing as somebody of their skill would."""

    def __init__(
        self,
        conn: Connection,
        person: DemoPerson,
        person_id: int,
        uses: tuple[DemoUse, ...],
        content: Content,
        now: datetime,
        seed: int,
    ) -> None:
        self._conn = conn
        self._person = person
        self._content = content
        self._until = now
        self._random = random.Random(seed)
        self._habits = Habits(content, uses, person.skill, self._random)
        self._address = roster.persona_address(person_id)
        days = self._random.randint(7 * WEEKS // 2, 7 * WEEKS)
        self._at = self._morning(now - timedelta(days=days))
        self._learner = roster.link(conn, person_id, "web", self._address, self._at)

    def _morning(self, day: datetime) -> datetime:
        """Some moment in the office hours of that day, or of the next working day."""
        here = local(day)
        while here.weekday() >= 5:
            here += timedelta(days=1)
        return at_minute(here, self._random.randint(8 * 60 + 40, 15 * 60 + 30))

    def walk(self) -> None:
        self._turn(Started())
        for n in range(TURNS):
            state = self._state()
            far = habits.reached(state, self._content)
            if far >= self._person.reach or self._at >= self._until:
                return
            if state.floor.flow == "home" and n > 3:
                self._at = self._morning(self._at + timedelta(days=self._random.randint(1, 4)))
            self._turn(self._habits.answer(state))
        raise RuntimeError(f"{self._person.hr_id} walks in circles: {self._state().floor}")

    def _state(self) -> State:
        stored = select(learners.c.state).where(learners.c.id == self._learner)
        return decode_state(self._conn.execute(stored).scalar_one())

    def _turn(self, event: AnyEvent) -> None:
        self._at += timedelta(seconds=self._random.randint(8, 70))
        event_id = f"{self._at.timestamp()}"
        incoming = Incoming("web", "demo", event_id, self._address, event, self._at)
        turns.take(self._conn, [incoming], self._at, self._content, _whole)


def _whole(channel: str, replies: tuple[Reply, ...]) -> list[tuple[Reply, ...]]:
    return [replies]


def codes(db: Database, now: datetime, many: int = 2) -> Iterator[tuple[str, str]]:
    """Fresh one-time codes for people whom nobody plays yet: (name, code)."""
    with db.write() as conn:
        free = (
            select(persons.c.id, persons.c.name)
            .join(learners, learners.c.person_id == persons.c.id, isouter=True)
            .where(learners.c.id.is_(None))
            .order_by(persons.c.id.desc())
            .limit(many)
        )
        for person_id, name in conn.execute(free).all():
            yield name, roster.issue_code(conn, person_id, now)
