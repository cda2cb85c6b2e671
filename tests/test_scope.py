"""Nobody sees what is not theirs: every query that takes a scope against an oracle of sets."""

import random
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy import text as sql

from content.schema import Content
from flows.calendar import ZONE
from storage import digests
from storage.database import Database
from storage.many import insert_many
from storage.models import figures, grants, persons, publications, units
from storage.scope import NOBODY, POWERS, Scope, scope_of, scoped_read
from tests.oracle import MAY, TODAY, Grant, agency

PAIRS = 1_500
"""On each engine."""


class Case:
    """An agency in a database, beside the same as sets."""

    def __init__(self, db: Database, seed: int, size: int, people: int) -> None:
        self.db, self.dice = db, random.Random(seed)
        self.agency = agency(seed, size, people)
        self.paths: dict[int, str] = {}
        self.day = TODAY
        with db.write() as conn:
            self._empty(conn)
            self._write(conn)

    def _empty(self, conn: Connection) -> None:
        for table in (figures, publications, grants, persons, units):
            conn.execute(delete(table))

    def _write(self, conn: Connection) -> None:
        of = self.agency
        for unit in sorted(of.parents, key=lambda each: len(of.above(each))):
            self.paths[unit] = " / ".join(of.names[each] for each in reversed(of.above(unit)))
        rows = [
            {"id": unit, "parent_id": None, "name": of.names[unit], "path": self.paths[unit]}
            for unit in of.parents
        ]
        insert_many(conn, units, rows)
        for unit, parent in of.parents.items():
            conn.execute(update(units).where(units.c.id == unit).values(parent_id=parent))
        people = [
            {
                "id": who,
                "hr_id": str(who),
                "name": f"N{who}",
                "unit_id": at,
                "left_on": of.left[who],
            }
            for who, at in of.units.items()
        ]
        insert_many(conn, persons, people)
        for grant in of.grants:
            self._grant(conn, grant)
        conn.execute(insert(publications).values(number=1, day=TODAY, at=self.now()))
        said = [{"number": 1, "unit_id": unit, "data": '{"levels":[9]}'} for unit in of.parents]
        insert_many(conn, figures, said)

    def _grant(self, conn: Connection, grant: Grant) -> None:
        row = {"person_id": grant.person, "role": grant.role, "unit_id": grant.unit}
        days = {"from_on": grant.from_on, "until_on": grant.until_on}
        conn.execute(insert(grants).values(**row, **days, at=self.now()))

    def now(self) -> datetime:
        return datetime.combine(date.fromordinal(self.day), time(10), ZONE)

    def change(self) -> None:
        """Another day: some were transferred, some have left, somebody acts as a manager."""
        of, dice = self.agency, self.dice
        self.day = TODAY + dice.randint(-6, 12)
        with self.db.write() as conn:
            for who in dice.sample(sorted(of.units), 5):
                of.units[who] = dice.choice(sorted(of.parents))
                conn.execute(
                    update(persons).where(persons.c.id == who).values(unit_id=of.units[who])
                )
            gone = dice.choice(sorted(of.units))
            of.left[gone] = self.day
            conn.execute(update(persons).where(persons.c.id == gone).values(left_on=self.day))
            acting = Grant(
                dice.choice(sorted(of.units)), "manager", dice.choice(sorted(of.parents)),
                self.day, self.day + dice.randint(1, 3),
            )  # fmt: skip
            of.grants.append(acting)
            self._grant(conn, acting)

    def viewer(self) -> int:
        """Most have some right; some have none."""
        if self.dice.random() < 0.85:
            return self.dice.choice(self.agency.grants).person
        return self.dice.choice(sorted(self.agency.units))


Query = Callable[[Connection, Scope, Case, int, str], tuple[Any, Any]]
"""What the code answers, and what the oracle does."""


def units_seen(conn: Connection, scope: Scope, case: Case, who: int, power: Any) -> Any:
    found = conn.execute(select(units.c.id).where(scope.covers(power, units.c.id))).scalars()
    return set(found), case.agency.seen(who, power, case.day)


def people_seen(conn: Connection, scope: Scope, case: Case, who: int, power: Any) -> Any:
    found = conn.execute(select(persons.c.id).where(scope.covers(power, persons.c.unit_id)))
    seen = case.agency.seen(who, power, case.day)
    return set(found.scalars()), {p for p, unit in case.agency.units.items() if unit in seen}


def may_see(conn: Connection, scope: Scope, case: Case, who: int, power: Any) -> Any:
    unit = case.dice.choice(sorted(case.paths))
    seen = case.agency.seen(who, power, case.day)
    return (
        (scope.may(power, case.paths[unit]), scope.may(power), scope.whole(power) and len(seen)),
        (unit in seen, bool(seen), scope.whole(power) and len(case.paths)),
    )


def team_seen(conn: Connection, scope: Scope, case: Case, who: int, power: Any) -> Any:
    unit = case.dice.choice(sorted(case.paths))
    seen = case.agency.seen(who, "team", case.day)
    below = digests.below_it(conn, scope, unit, 0)
    children = [u for u, parent in case.agency.parents.items() if parent == unit and u in seen]
    found = (
        digests.unit(conn, scope, unit) is not None,
        bool(digests.newest(conn, scope, unit)),
        [row.id for row in below],
    )
    return found, (unit in seen, unit in seen, sorted(children)[: digests.SHOWN + 1])


def tops_seen(conn: Connection, scope: Scope, case: Case, who: int, power: Any) -> Any:
    """The tops of a team are those of its units that have none of them above."""
    seen = case.agency.seen(who, "team", case.day)
    found = {row.id for row in digests.tops(conn, scope)}
    return found, {u for u in seen if not seen & set(case.agency.above(u)[1:])}


def forgotten(conn: Connection, scope: Scope, case: Case, who: int, power: Any) -> Any:
    """A query without any condition, behind the second layer (PostgreSQL)."""
    if conn.dialect.name == "sqlite":
        return people_seen(conn, scope, case, who, power)
    with scoped_read(conn, scope, power):
        found = set(conn.execute(sql("select id from persons")).scalars())
    seen = case.agency.seen(who, power, case.day)
    return found, {p for p, unit in case.agency.units.items() if unit in seen}


QUERIES: tuple[Query, ...] = (units_seen, people_seen, may_see, team_seen, tops_seen, forgotten)


def leaks(db: Database, pairs: int, size: int, people: int, each: int) -> Iterator[str]:
    """Pairs of viewer and query whose answer is not the oracle's."""
    for seed in range(pairs // each):
        case = Case(db, seed, size, people)
        for n in range(each):
            if n % 25 == 24:
                case.change()
            who, power = case.viewer(), case.dice.choice(sorted(POWERS))
            query = case.dice.choice(QUERIES)
            with db.read() as conn:
                scope = scope_of(conn, who, case.now())
                found, right = query(conn, scope, case, who, power)
            if found != right:
                yield f"{seed}/{n} {query.__name__} {power}: {found} is not {right}"


def test_every_answer_is_the_oracles(db: Database) -> None:
    assert list(leaks(db, PAIRS, 40, 300, 300)) == []


@pytest.mark.soak
def test_100_000_pairs_leak_nothing(db: Database) -> None:
    assert list(leaks(db, 100_000, 200, 5_000, 2_500)) == []


def test_the_oracle_finds_a_scope_that_compares_letters(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "U1" begins "U12", and is not above it."""
    from storage import scope

    monkeypatch.setattr(scope, "below", lambda path: units.c.path.startswith(path))

    assert any(True for _ in leaks(db, 600, 40, 100, 300))


def test_the_oracle_finds_rights_that_never_end(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from storage import scope

    monkeypatch.setattr(scope, "valid", lambda today: grants.c.from_on <= today)

    assert any(True for _ in leaks(db, 600, 40, 100, 300))


def test_the_oracle_and_the_code_know_the_same_powers() -> None:
    assert {power: set(roles) for power, roles in POWERS.items()} == MAY


def test_nobody_has_no_power(content: Content) -> None:
    assert not any(NOBODY.may(power) for power in POWERS)
    assert content is not None
