"""The one gate for everything that nobody asked for: may it go to this person at this moment?

Asked when a row is claimed, not when it is queued: an outage, a stop or a holiday may have come
between.
"""

from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from content.schema import Content
from flows.calendar import local, next_permitted
from flows.types import Purpose

RANKS: dict[str, int] = {"mandatory": 0, "due": 1, "review": 2, "encouragement": 3}
"""What counts against one a day, the most important first."""
RIDES_FOR = timedelta(days=7)
"""How long something that was held back waits for a free reply to ride on."""


class Waiting(Struct, frozen=True):
    """A row that wants to go out, and whom to. `unasked_on` is the day (an ordinal, in their
    zone) of the last unasked message they were sent; `outranked`: something more important
    waits for the same person; `counted_on`: the day that this row has taken already."""

    purpose: Purpose
    deadline: datetime
    zone: str = ""
    chosen: bool = False
    campaign: bool = False
    rides: bool = False
    """On its channel what is held back can ride on a free reply."""
    running: bool = True
    reachable: bool = True
    departed: bool = False
    """By the roster they no longer work here."""
    welcomed: bool = True
    stopped: bool = False
    restricted: bool = False
    nudges: bool = True
    rests_until: datetime | None = None
    unasked_on: int = 0
    outranked: bool = False
    counted_on: int = 0


class Verdict(Struct, frozen=True):
    """`wait` is until `until`; what is held rides on a free reply; `drop` ends the row."""

    what: Literal["go", "wait", "hold", "drop"]
    why: str = ""
    until: datetime | None = None


GO = Verdict("go")


def judge(row: Waiting, now: datetime, content: Content) -> Verdict:
    """What becomes of a row, in this order.

    1. It is over: the person left, stopped, withdrew, or the campaign did; or it is too late.
    2. It is not the hour: it waits for the next permitted one, and is over if that is too late.
    3. The person has had today's message, or something more important waits for them: it is
       held back to ride on a free reply; what is mandatory, or cannot ride, waits for a day.
    """
    if why := _over(row, now):
        return Verdict("drop", why)
    opens = next_permitted(now, row.zone, content, chosen=row.chosen)
    if opens > now:
        return _until(opens, row, "hours")
    here = local(now, row.zone)
    if row.purpose not in RANKS or row.counted_on == here.toordinal():
        return GO
    why = "one_a_day" if row.unasked_on >= here.toordinal() else "outranked" * row.outranked
    if not why:
        return GO
    if row.rides and row.purpose != "mandatory":
        return Verdict("hold", why)
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return _until(next_permitted(midnight, row.zone, content, chosen=row.chosen), row, why)


def _over(row: Waiting, now: datetime) -> str:
    if not row.reachable:
        return "unreachable"
    if row.departed:
        return "departed"
    if row.stopped:
        return "stopped"
    if not row.welcomed:
        return "not_welcomed"
    if not row.running:
        return "campaign_cancelled"
    if row.purpose in RANKS and row.restricted:
        return "restricted"
    if row.purpose in RANKS and not row.campaign and not row.nudges:
        return "withdrawn"
    if row.purpose in RANKS and row.purpose != "mandatory" and _rests(row, now):
        return "resting"
    return "deadline" if row.deadline <= now else ""


def _rests(row: Waiting, now: datetime) -> bool:
    return row.rests_until is not None and now < row.rests_until


def _until(opens: datetime, row: Waiting, why: str) -> Verdict:
    if opens >= row.deadline:
        return Verdict("drop", f"deadline_{why}")
    return Verdict("wait", why, opens)
