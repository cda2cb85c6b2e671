"""One person of the roster changed by hand: the plan of a partial import with this one row, so that
all that follows from an import follows from it, too."""

from datetime import datetime
from typing import Literal

from msgspec import Struct
from sqlalchemy import Connection, select

from flows.calendar import local
from flows.roster import Entry, Refusal
from storage import people
from storage.models import units
from storage.roster_apply import apply, lock
from storage.roster_plan import Options, Plan, plan
from storage.scope import Scope

BY_HAND = "by hand"
"""What stands in the journal in place of a file's hash."""


class Stale(Exception):
    """Somebody has changed the person since the form was read."""


class Wanted(Struct, frozen=True):
    """What is to be so of a person from a day (an ordinal) on: in another unit (a path), gone, or
    here again. `stamp` is what was read (`storage.people.Found.stamp`)."""

    person: int
    what: Literal["move", "leave", "return"]
    day: int
    stamp: str
    unit: str = ""


def change(conn: Connection, scope: Scope, wanted: Wanted, now: datetime) -> dict[str, int]:
    """Do it, and count what changed, as an import does. Raises `Refusal` with a sentence of
    content/roster.toml, `Stale`, and `Denied` where the viewer may not change the roster, be it of
    the unit that the person leaves or of the one they come to."""
    lock(conn)
    found = people.find(conn, scope, wanted.person, now)
    if found is None:
        raise Refusal("no_person", who=str(wanted.person))
    scope.require("roster", found.row.unit)
    if found.stamp != wanted.stamp:
        raise Stale
    entry, day = _entry(conn, scope, found, wanted, now)
    made = plan(conn, [entry], Options(day, partial=True), now)
    if not _does(made):
        raise Refusal("no_change")
    return apply(conn, made, BY_HAND, scope.viewer, now)


def _does(made: Plan) -> bool:
    """Whether anything is changed: that what waits already stays is no change."""
    return bool(made.changed or made.later)


def _entry(
    conn: Connection, scope: Scope, found: people.Found, wanted: Wanted, now: datetime
) -> tuple[Entry, int]:
    """The row of a file that says so, and the day from which it holds."""
    row, today = found.row, local(now).toordinal()
    entry = Entry(1, row.hr_id, row.name, row.unit, left_on=row.left_on)
    gone = 0 < row.left_on <= today
    if wanted.what == "leave":
        if gone:
            raise Refusal("no_person", who=row.hr_id)
        if row.id == scope.viewer:
            raise Refusal("own_leave")
        if wanted.day < row.started_on:
            raise Refusal("before_start")
        entry.left_on = wanted.day
        return entry, today  # the day itself is known from today on
    if wanted.what == "return":
        if not row.left_on:
            raise Refusal("no_change")
        entry.left_on = 0
        return entry, wanted.day if gone else today
    if gone:
        raise Refusal("no_person", who=row.hr_id)
    scope.require("roster", wanted.unit)
    if not conn.execute(select(units.c.id).where(units.c.path == wanted.unit)).first():
        raise Refusal("no_unit", unit=wanted.unit)
    if wanted.unit == row.unit:
        raise Refusal("no_change")
    entry.unit = wanted.unit
    return entry, wanted.day
