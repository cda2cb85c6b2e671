"""What all reports share: whom they are about, and what may be asked of them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, text, true

from content.schema import Content
from flows.calendar import local, midnight
from flows.reports import Ask
from storage.models import persons, profiles, units
from storage.profiles import countable, withheld
from storage.scope import Denied, Power, Scope, below, present

if TYPE_CHECKING:
    from storage.reports.funnel import Tally


class Wrong(Exception):
    """A report cannot be asked for like this; `key` and `slots` say why (`report_wrong_<key>`)."""

    def __init__(self, key: str, **slots: Any) -> None:
        self.key = key
        self.slots = slots
        super().__init__(key)


class View(Struct, frozen=True):
    """Who asks for what, and when."""

    scope: Scope
    ask: Ask
    now: datetime
    content: Content
    tally: "Tally | None" = None
    """The whole agency, counted a moment ago; without it, it is counted now."""

    @property
    def today(self) -> int:
        return local(self.now).toordinal()

    def over(self, unit_id: ColumnElement[Any], power: Power = "figures") -> ColumnElement[bool]:
        """A condition on a unit: the viewer has the power over it, and asked for it."""
        mine = self.scope.covers(power, unit_id)
        if not self.ask.unit:
            return mine
        return and_(mine, unit_id.in_(select(units.c.id).where(below(self.ask.unit))))

    def whole(self, power: Power = "figures") -> bool:
        """Nobody is left out: guests, who are of no unit, are counted for such a viewer only."""
        return self.scope.whole(power) and not self.ask.unit

    def grouped(self) -> ColumnElement[bool]:
        """A condition on `profiles`: the personnel group that was asked for."""
        wanted = self.ask.group
        return profiles.c.personnel_group == wanted if wanted else true()


def check(conn: Connection, view: View, power: Power, takes: Sequence[str]) -> None:
    """Refuse what nobody has, what this viewer may not see, and filters that would do nothing."""
    ask = view.ask
    given = {"unit": ask.unit, "group": ask.group, "from": ask.from_on}
    given |= {"until": ask.until_on, "round": ask.round, "days": ask.days}
    for field, value in given.items():
        if value and field not in takes:
            raise Wrong("filter", what=field)
    if ask.unit and not _is_unit(conn, ask.unit, view.scope, power):
        raise Wrong("unit", what=ask.unit)
    view.scope.require(power, ask.unit or None)
    groups = [group.id for group in view.content.framework.groups]
    if ask.group and ask.group not in groups:
        raise Wrong("group", what=ask.group, known=", ".join(groups))
    if ask.from_on and ask.until_on and ask.from_on > ask.until_on:
        raise Wrong("days", first=_iso(ask.from_on), last=_iso(ask.until_on))


def _is_unit(conn: Connection, path: str, scope: Scope, power: Power) -> bool:
    """Whether there is such a unit; somebody who may not see it is not even told."""
    if not scope.may(power, path):
        raise Denied(power)
    return conn.execute(select(units.c.id).where(units.c.path == path)).first() is not None


def _iso(day: int) -> str:
    return date.fromordinal(day).isoformat()


# --- people --------------------------------------------------------------------------


GONE = text("persons.left_on > 0")
"""In the words of the index that finds them."""


def left(today: int) -> tuple[ColumnElement[bool], ...]:
    """Conditions on `persons`: those who have left, few as they are."""
    return cast(ColumnElement[bool], GONE), persons.c.left_on <= today


def leavers(today: int) -> Select[Any]:
    return select(persons.c.id).where(*left(today))


def standing(view: View, power: Power = "figures") -> ColumnElement[bool]:
    """A condition on `profiles`: learners on the roster of the view today, in the group asked
    for."""
    gone = profiles.c.person_id.in_(leavers(view.today))
    return and_(
        profiles.c.unit_id.is_not(None),
        view.over(profiles.c.unit_id, power),
        ~gone,
        countable(),
        view.grouped(),
    )


def everybody(view: View, power: Power = "figures") -> ColumnElement[bool]:
    """The same, and guests if nobody is left out."""
    if not view.whole(power):
        return standing(view, power)
    guests = and_(profiles.c.person_id.is_(None), countable(), view.grouped())
    return or_(standing(view, power), guests)


def staff(view: View, power: Power = "figures") -> ColumnElement[bool]:
    """A condition on `persons`: those of the view who have not left and may be counted."""
    mine = view.over(persons.c.unit_id, power)
    return and_(mine, present(view.today), persons.c.id.not_in(withheld(profiles.c.person_id)))


def headcount(conn: Connection, view: View, power: Power = "figures") -> int:
    """How many people of the view are on the roster; with a group, how many are placed in it."""
    if view.ask.group:
        query = select(func.count()).select_from(profiles).where(standing(view, power))
    else:
        query = select(func.count()).select_from(persons).where(staff(view, power))
    found: int = conn.execute(query).scalar_one()
    return found


def paths(conn: Connection) -> dict[int, str]:
    """The path of every unit."""
    return {row.id: row.path for row in conn.execute(select(units.c.id, units.c.path))}


def moments(view: View, column: ColumnElement[Any]) -> ColumnElement[bool]:
    """A condition on a moment: on the days that were asked for, on the agency's clock."""
    first, last = bounds(view)
    return and_(
        column >= first if first else true(),
        column < last if last else true(),
    )


def bounds(view: View) -> tuple[datetime | None, datetime | None]:
    """From, up to but without."""
    first, last = view.ask.from_on, view.ask.until_on
    return (
        midnight(first) if first else None,
        midnight(last + 1) if last else None,
    )
