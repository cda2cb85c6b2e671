"""The agency's programme of each fiscal year, kept in versions that nobody overwrites unseen."""

import json
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, select, update

from content.schema import Content, Member, Programme
from flows.calendar import local
from flows.programme import Trouble, problems
from storage.audit import note
from storage.campaigns import Refused
from storage.gathered import insert_new
from storage.models import persons, programmes
from storage.scope import Power, Scope, present, scope_of


def officer(conn: Connection, hr_id: str, power: Power, now: datetime) -> Scope:
    """The rights of an officer, named by the id at HR, who has a power over the whole agency."""
    scope = someone(conn, hr_id, power, now)
    if not scope.whole(power):
        raise Refused(Trouble(("by",), "no_officer", {"value": hr_id}))
    return scope


def someone(conn: Connection, hr_id: str, power: Power, now: datetime) -> Scope:
    """The rights of somebody who has a power over some unit, named by the id at HR."""
    person = conn.execute(select(persons.c.id).where(persons.c.hr_id == hr_id)).scalar()
    if person is None:
        raise Refused(Trouble(("by",), "no_person", {"value": hr_id}))
    scope = scope_of(conn, person, now)
    if not scope.may(power):
        raise Refused(Trouble(("by",), "no_officer", {"value": hr_id}))
    return scope


def current(conn: Connection, year: int, *, lock: bool = False) -> Programme | None:
    """The programme of a year as it stands; None before it is first written."""
    wanted = select(programmes).where(programmes.c.year == year)
    row = conn.execute(wanted.with_for_update() if lock else wanted).first()
    if row is None:
        return None
    return Programme.model_validate({**json.loads(row.data), "version": row.version})


def keep(
    conn: Connection, year: int, programme: Programme, by: str, now: datetime, content: Content
) -> int:
    """Write a programme whose `version` is the one that stands (0: none does); the new version.

    Raises Refused with all that is wrong, or if somebody else has written meanwhile."""
    scope = officer(conn, by, "roster", now)
    there = current(conn, year, lock=True)
    version = there.version if there else 0
    if programme.version != version:
        found = {"version": programme.version, "current": version, "year": year}
        raise Refused(Trouble(("version",), "version", found))
    placed = _placed(conn, programme, now)
    wrong = [*_strangers(conn, programme, now), *problems(placed, year, content)]
    if wrong:
        raise Refused(*wrong)
    row = {"version": version + 1, "data": canonical(placed), "by_id": scope.viewer, "at": now}
    if there is None:
        made = conn.execute(insert_new(conn, programmes).values(year=year, **row))
        if not made.rowcount:
            raise Refused(
                Trouble(("version",), "version", {"version": 0, "current": 1, "year": year})
            )
    else:
        conn.execute(update(programmes).where(programmes.c.year == year).values(row))
    states = {stage.id: stage.state for stage in placed.stages}
    note(
        conn, scope.viewer, "programme_set", f"programme:{year}", now,
        version=version + 1, stages=states, override=bool(placed.working_group.override),
    )  # fmt: skip
    return version + 1


def mark(programme: Programme | None, keys: Iterable[str]) -> str:
    """Changes whenever one of these parts of a programme does."""
    plain = (programme or Programme()).model_dump(mode="json", by_alias=True)
    text = json.dumps({key: plain[key] for key in sorted(keys)}, sort_keys=True)
    return sha256(text.encode()).hexdigest()[:16]


def amend(
    conn: Connection,
    year: int,
    parts: dict[str, Any],
    seen: str,
    by: str,
    now: datetime,
    content: Content,
) -> int:
    """Put some parts of a programme in the place of those that were read (`seen` is their mark),
    and leave the others as they stand; the new version.

    Raises Refused with all that is wrong, or if somebody else has changed these parts; and
    pydantic's ValidationError if they are no parts of a programme."""
    there = current(conn, year, lock=True) or Programme()
    if seen != mark(there, parts):
        found = {"version": there.version, "current": there.version, "year": year}
        raise Refused(Trouble(("version",), "version", found))
    plain = there.model_dump(mode="json", by_alias=True) | parts
    return keep(conn, year, Programme.model_validate(plain), by, now, content)


def assess(
    conn: Connection,
    year: int,
    answers: dict[str, bool],
    version: int,
    by: str,
    now: datetime,
    content: Content,
) -> int:
    """Keep HR's answers on how mature the agency is; the new version."""
    there = current(conn, year) or Programme()
    both = {**there.maturity, **answers}
    changed = there.model_copy(update={"maturity": both, "version": version})
    return keep(conn, year, changed, by, now, content)


def canonical(programme: Programme) -> str:
    """The same programme is the same text; its version stands in a column of its own."""
    plain = programme.model_dump(mode="json", by_alias=True, exclude={"version"})
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


# --- the working group -----------------------------------------------------------------


def _known(conn: Connection, member: Member, now: datetime) -> Any:
    if not member.hr_id:
        return None
    wanted = select(persons.c.title, persons.c.position_type).where(
        persons.c.hr_id == member.hr_id, present(local(now).toordinal())
    )
    return conn.execute(wanted).first()


def _strangers(conn: Connection, programme: Programme, now: datetime) -> list[Trouble]:
    group = programme.working_group
    return [
        Trouble(("working_group", *place, "hr_id"), "no_person", {"value": member.hr_id})
        for place, member in (
            (("head",), group.head),
            *((("member", str(at)), each) for at, each in enumerate(group.members, 1)),
        )
        if member.hr_id and _known(conn, member, now) is None
    ]


def _placed(conn: Connection, programme: Programme, now: datetime) -> Programme:
    """With titles and types from the roster, which nobody can write otherwise, so that the report
    of the year keeps them."""

    def place(member: Member) -> Member:
        row = _known(conn, member, now)
        found = {"title": row.title, "position_type": row.position_type} if row else {}
        return member.model_copy(update=found)

    group = programme.working_group
    members = tuple(place(member) for member in group.members)
    there = group.model_copy(update={"head": place(group.head), "members": members})
    return programme.model_copy(update={"working_group": there})
