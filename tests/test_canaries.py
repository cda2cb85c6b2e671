"""Each unit has a name found nowhere else; whatever a role can reach, nobody else's turns up."""

from collections import deque
from typing import Any
from uuid import uuid4

from msgspec.json import encode
from msgspec.structs import replace
from sqlalchemy import insert, select, update

from bot.app import pack
from content.schema import Content, Role
from flows.types import Pressed, Said, State
from storage import digests, looks, profiles, publications, roster, turns
from storage.database import Database
from storage.gathered import decode_state
from storage.models import learners, milestones, persons, units
from storage.scope import NOBODY, scope_of
from storage.wire import Incoming
from tests.people import GIVEN
from tests.test_digests import MONDAY, named

ROLES: tuple[Role, ...] = (
    *("learner", "manager", "hr", "approver", "privacy", "editor", "ocsc", "admin"),
)
WORDS = ("สรุปทีม", "เมนู", "ความคืบหน้า", "ข้อมูลของฉัน", "ถาม HR", "การเตือน", "team", "help")
DEPTH = 4
"""Buttons pressed one after the other."""
HARMFUL = ("erase_sure", "erase", "stop")


class Nest:
    """Three levels of units with a canary in each: in its name, its people's names, and in what
    they wrote; and a viewer of every role over the middle of the tree."""

    def __init__(self, db: Database, content: Content) -> None:
        self.db, self.content, self.now = db, named(content), MONDAY
        self.canaries: dict[str, str] = {}
        with db.write() as conn:
            self.root = self._unit(conn, None)
            self.mine, self.foreign = self._unit(conn, self.root), self._unit(conn, self.root)
            self.below = [self._unit(conn, self.mine) for _ in range(2)]
            self.cousins = [self._unit(conn, self.foreign) for _ in range(2)]
            for canary in list(self.canaries):
                self._people(conn, canary)
            publications.publish(conn, self.now, self.content)

    def _unit(self, conn: Any, parent: int | None) -> int:
        canary = f"ซ่อน{uuid4().hex[:10]}"
        made = roster.add_unit(conn, canary, parent)
        self.canaries[canary] = conn.execute(
            select(units.c.path).where(units.c.id == made)
        ).scalar_one()
        return made

    def _people(self, conn: Any, canary: str) -> None:
        unit = select(units.c.id).where(units.c.name == canary)
        unit_id = conn.execute(unit).scalar_one()
        for n in range(6):
            person = roster.add_person(
                conn, hr_id=uuid4().hex[:12], name=f"{canary} คนที่ {n}", unit_id=unit_id
            )
            learner = roster.link(conn, person, "line", uuid4().hex, self.now)
            row = profiles.as_row(learner, "line", "x", GIVEN["claimed"](self.now), self.content)
            profiles.store(conn, [row | {"person_id": person}])
            done = {"learner_id": learner, "round": 1, "step": "learn", "at": self.now}
            conn.execute(insert(milestones).values(done))
            said = {key: {"text": f"{canary} {key}"} for key in ("where", "whom", "changed")}
            more = {"round": 1, "shared": False, "ask_manager": True, "proof": {}}
            looks.use(conn, learner, {**said, **more}, self.now, self.content)

    def viewer(self, role: Role, unit: int | None) -> tuple[int, int]:
        """Somebody of the middle unit with a role: person and learner."""
        with self.db.write() as conn:
            person = roster.add_person(conn, hr_id=uuid4().hex[:12], name="ผู้ชม", unit_id=self.mine)
            if role != "learner":
                roster.grant(conn, person, role, self.now, unit)
            learner = roster.link(conn, person, "line", f"V{person}", self.now)
            stored = conn.execute(select(learners.c.state).where(learners.c.id == learner))
            known = decode_state(stored.scalar_one()).person
            state = replace(GIVEN["claimed"](self.now), person=known, nudge_at=None)
            self._put(conn, learner, state)
            if role == "manager":  # what those below sent to their own supervisor
                theirs = persons.c.unit_id.in_(self.below)
                conn.execute(update(persons).where(theirs).values(supervisor_id=person))
        return person, learner

    def _put(self, conn: Any, learner: int, state: State) -> None:
        at = update(learners).where(learners.c.id == learner)
        conn.execute(at.values(state=encode(state).decode()))

    def crawl(self, learner: int) -> str:
        """All that is said after every word and every button, a few deep."""
        said: list[str] = []
        seen: set[object] = set()
        with self.db.read() as conn:
            first = conn.execute(select(learners).where(learners.c.id == learner)).one()
        start = decode_state(first.state)
        waiting = deque((start, Said(word, "m"), 0) for word in WORDS)
        while waiting:
            state, event, depth = waiting.popleft()
            replies, after = self._turn(learner, first.address, state, event)
            said += [str(encode(reply).decode()) for reply in replies]
            spot = (after.floor.flow, after.floor.place, str(after.floor.note))
            if depth == DEPTH or spot in seen or not replies:
                continue
            seen.add(spot)
            for choice in replies[-1].choices:
                if choice.id not in HARMFUL:
                    press = Pressed(choice.stamp or replies[-1].stamp, choice.id)
                    waiting.append((after, press, depth + 1))
        return "\n".join(said)

    def _turn(self, learner: int, address: str, state: State, event: Any) -> tuple[Any, State]:
        with self.db.write() as conn:
            self._put(conn, learner, state)
            one = Incoming("line", "b", uuid4().hex, address, event, self.now)
            work = turns.take(conn, [one], self.now, self.content, pack)
            kept = conn.execute(select(learners.c.state).where(learners.c.id == learner))
            after = decode_state(kept.scalar_one())
        assert not work.parked
        return [reply for row in work.queued for reply in row.request.replies], after

    def read(self, person: int | None) -> str:
        """What the readers of storage give to somebody, for every unit there is."""
        found: list[Any] = []
        with self.db.read() as conn:
            scope = scope_of(conn, person, self.now)
            for row in conn.execute(select(units.c.id, units.c.path)).all():
                found.append(digests.unit(conn, scope, row.id))
                found.append(digests.below_it(conn, scope, row.id, 0))
                found.append(digests.completed(conn, scope, row.path, self.now, self.content))
            found += digests.tops(conn, scope)
        return str(found)


SEEN = {
    "learner": "own",
    "manager": "below",
    "hr": "below",
    "approver": "below",
    "privacy": "own",
    "editor": "own",
    "ocsc": "own",
    "admin": "own",
}
"""Canaries that a role over the middle unit may meet in the chat: that of their own unit, which
they know, or those below it, too."""


def test_no_role_meets_a_foreign_canary(db: Database, content: Content) -> None:
    nest = Nest(db, content)
    names = {path: canary for canary, path in nest.canaries.items()}
    with db.read() as conn:
        paths = dict(conn.execute(select(units.c.id, units.c.path)).all())
    inside = [names[paths[unit]] for unit in (nest.mine, *nest.below)]
    met: dict[str, set[str]] = {}
    for role in ROLES:
        person, learner = nest.viewer(role, nest.mine)
        text = nest.crawl(learner) + nest.read(person)
        met[role] = {canary for canary in nest.canaries if canary in _without_paths(text, paths)}
        own = {inside[0]}
        assert met[role] <= (set(inside) if SEEN[role] == "below" else own), role

    assert met["manager"] == set(inside)
    assert met["hr"] == set(inside)


def _without_paths(text: str, paths: dict[int, str]) -> str:
    """A path names the units above, which whoever is below knows."""
    for path in sorted(paths.values(), key=len, reverse=True):
        above, _, name = path.rpartition(" / ")
        text = text.replace(path, name) if above else text
    return text


def test_the_whole_agency_is_seen_by_whoever_may(db: Database, content: Content) -> None:
    """The crawl does find canaries where there are some to find."""
    nest = Nest(db, content)
    person, learner = nest.viewer("hr", None)
    text = nest.crawl(learner) + nest.read(person)

    assert all(canary in text for canary in nest.canaries)


def test_nobody_reads_nothing(db: Database, content: Content) -> None:
    nest = Nest(db, content)
    text = nest.read(None)

    assert not any(canary in text for canary in nest.canaries)
    assert NOBODY.rights == ()
