"""Segments that were given a name, to be used in campaigns again; a campaign keeps a copy."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from content.lint import Problem, segment_problems
from content.schema import Content, Segment
from storage import audit, reach
from storage import segments as filters
from storage.campaigns import Refused, officer
from storage.models import persons, segment_units, segments
from storage.scope import Scope

NAME = 100
"""Letters."""


def listing(
    conn: Connection,
    scope: Scope,
    sort: str = "name",
    offset: int = 0,
    limit: int | None = None,
) -> Sequence[Any]:
    """Those that the viewer may use, with who wrote them; `sort` is `name` or `changed`, with a
    dash before it downwards."""
    way = segments.c.changed_at if sort.endswith("changed") else segments.c.name
    order = way.desc() if sort.startswith("-") else way.asc()
    found = (
        select(segments, persons.c.name.label("author"))
        .join(persons, persons.c.id == segments.c.author_id)
        .where(reach.of_segments(scope))
        .order_by(order, segments.c.id)
    )
    return conn.execute(found.offset(offset).limit(limit)).all()


def find(conn: Connection, scope: Scope, id: int, *, lock: bool = False) -> Any:
    """One of them; what is of other units is not there."""
    wanted = select(segments).where(segments.c.id == id, reach.of_segments(scope))
    row = conn.execute(wanted.with_for_update() if lock else wanted).first()
    if row is None:
        raise Refused(Problem(("segment",), "no_segment", {"id": id}))
    return row


def segment_of(row: Any) -> Segment:
    return Segment.model_validate_json(row.spec)


def keep(
    conn: Connection, name: str, segment: Segment, by: str, now: datetime, content: Content
) -> int:
    """Keep a new one; `by` is an officer's id at HR."""
    scope = officer(conn, by, now)
    audit.hold(conn)  # two who take the same name at once come one after the other
    _require_sound(conn, scope, name, segment, content)
    row = {"name": name, "spec": _canonical(segment), "author_id": scope.viewer, "changed_at": now}
    made: int = conn.execute(insert(segments).values(row).returning(segments.c.id)).scalar_one()
    reach.write(conn, segment_units, made, segment.units)
    audit.note(conn, scope.viewer, "segment_kept", f"segment:{made}", now)
    return made


def change(
    conn: Connection,
    id: int,
    name: str,
    segment: Segment,
    version: int,
    by: str,
    now: datetime,
    content: Content,
) -> None:
    """Another name or other filters, in place of the version that the officer has read."""
    scope = officer(conn, by, now)
    audit.hold(conn)
    row = find(conn, scope, id, lock=True)
    _require_theirs(scope, row)
    if row.version != version:
        raise Refused(Problem(("version",), "stale"))
    _require_sound(conn, scope, name, segment, content, id)
    values = {"name": name, "spec": _canonical(segment), "version": version + 1, "changed_at": now}
    conn.execute(update(segments).where(segments.c.id == id).values(values))
    reach.write(conn, segment_units, id, segment.units)
    audit.note(conn, scope.viewer, "segment_changed", f"segment:{id}", now)


def remove(conn: Connection, id: int, by: str, now: datetime) -> None:
    """Take one away; campaigns that used it have their own copy."""
    scope = officer(conn, by, now)
    _require_theirs(scope, find(conn, scope, id, lock=True))
    reach.write(conn, segment_units, id, ())
    conn.execute(delete(segments).where(segments.c.id == id))
    audit.note(conn, scope.viewer, "segment_removed", f"segment:{id}", now)


def _require_theirs(scope: Scope, row: Any) -> None:
    """What is for everybody is changed by whoever may send to everybody."""
    if not reach.covers(scope, segment_of(row).units):
        raise Refused(Problem(("segment",), "segment_of_all"))


def _require_sound(
    conn: Connection, scope: Scope, name: str, segment: Segment, content: Content, id: int = 0
) -> None:
    found = [*segment_problems(segment, content), *filters.unknown_units(conn, segment, scope)]
    found += reach.not_theirs(scope, segment)
    if not name:
        found.append(Problem(("title",), "segment_unnamed"))
    if len(name) > NAME:
        found.append(Problem(("title",), "segment_name_long", {"most": NAME}))
    other = select(segments.c.id).where(segments.c.name == name, segments.c.id != id)
    if conn.execute(other).first() is not None:
        found.append(Problem(("title",), "segment_name_taken"))
    if found:
        raise Refused(*found)


def _canonical(segment: Segment) -> str:
    return json.dumps(segment.model_dump(mode="json"), ensure_ascii=False, sort_keys=True)
