"""What a month of LINE may cost: the platform's own count beside ours, taken before a message
leaves and given back when it did not."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import BigInteger, Connection, and_, case, exists, func, select, type_coerce, update

from content.schema import Content
from flows.calendar import local, next_permitted, working_days
from flows.gate import RIDES_FOR
from flows.quota import ALWAYS, Forecast, plan
from flows.types import Purpose
from storage import campaigns
from storage.gathered import insert_new
from storage.models import outbox, profiles, quotas, timers, to_micros
from storage.outbox import Ended
from storage.outbox import finish as note

LINE = "line"
BILLED_IN = ZoneInfo("Asia/Bangkok")
"""Whose months LINE counts by, wherever the agency is."""
DAY = to_micros(datetime.fromisoformat("1970-01-02T00:00:00+00:00"))
"""Microseconds."""


class Quota(Struct, frozen=True):
    """A month: `most` messages (None: any number), `told` by the platform, `taken` by us."""

    month: str
    most: int | None = None
    told: int = 0
    told_at: datetime | None = None
    taken: int = 0

    @property
    def used(self) -> int:
        return max(self.told, self.taken)


class Terms(Struct, frozen=True):
    """How far a month may be used up: what is still to come, and the share that is kept back."""

    content: Content
    ahead: Forecast = ()
    safety: float = 0.0

    def after(self, taken: Mapping[Purpose, int]) -> "Terms":
        """What was to come and has been taken is to come no more."""
        ahead = [(purpose, max(0, n - taken.get(purpose, 0))) for purpose, n in self.ahead]
        return replace(self, ahead=ahead)


def month_of(now: datetime) -> str:
    return f"{now.astimezone(BILLED_IN):%Y-%m}"


def month_end(now: datetime) -> datetime:
    """The first moment of the next month."""
    first = now.astimezone(BILLED_IN).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)


def read(conn: Connection, now: datetime) -> Quota:
    """This month; all zero when nothing is known yet."""
    month = month_of(now)
    row = conn.execute(select(quotas).where(_this(month))).first()
    if row is None:
        return Quota(month)
    return Quota(month, row.most, row.told, row.told_at, row.taken)


def _this(month: str) -> Any:
    return and_(quotas.c.channel == LINE, quotas.c.month == month)


def store(
    conn: Connection, most: int | None, told: int, now: datetime, *, correct: bool = False
) -> int:
    """Note what the platform says; by how much we have counted too much (below 0: too little).
    What we had not counted, others have sent. With `correct` its count replaces ours: it has
    refused what by ours there was room for, or the other way round."""
    ours = read(conn, now)
    taken = told if correct else max(told, ours.taken)
    values = {"most": most, "told": told, "told_at": now, "taken": taken}
    _set(conn, now, values)
    return ours.taken - told


def exhaust(conn: Connection, now: datetime) -> None:
    """The platform says that nothing is left, until it is asked how much it has counted."""
    found = read(conn, now)
    if found.most is not None:
        _set(conn, now, {"taken": max(found.taken, found.most)})


def _set(conn: Connection, now: datetime, values: dict[str, Any]) -> None:
    month = month_of(now)
    conn.execute(insert_new(conn, quotas).values(channel=LINE, month=month))
    conn.execute(update(quotas).where(_this(month)).values(values))


def count(conn: Connection, n: int, now: datetime) -> None:
    """`n` messages leave in the month of `now`; below 0, they did not leave after all."""
    if not n:
        return
    month = month_of(now)
    conn.execute(insert_new(conn, quotas).values(channel=LINE, month=month))
    taken = quotas.c.taken + n
    conn.execute(update(quotas).where(_this(month)).values(taken=case((taken < 0, 0), else_=taken)))


def give_back(conn: Connection, n: int, when: datetime) -> None:
    """`n` messages that were taken at a time did not leave."""
    count(conn, -n, when)


def take(conn: Connection, n: int, purpose: Purpose, now: datetime, terms: Terms) -> int:
    """How many of `n` messages may leave; they are counted."""
    month = read(conn, now)
    room = plan(month.most, month.used, terms.ahead, terms.safety).get(purpose)
    may = n if room is None else min(n, room)
    count(conn, may, now)
    return may


def charge(
    conn: Connection, keys: Iterable[str], now: datetime, terms: Terms
) -> tuple[set[str], dict[Purpose, int]]:
    """Of claimed rows, those that the month has no room for, put off; and what was taken for
    the others. Answers are never refused, and what may have left already was counted then."""
    unasked = (outbox.c.lane == "personal", outbox.c.channel == LINE, outbox.c.doubtful.is_(False))
    mine = select(outbox.c.id, outbox.c.key, outbox.c.purpose)
    by_purpose: defaultdict[Purpose, list[Any]] = defaultdict(list)
    for row in conn.execute(mine.where(outbox.c.key.in_(list(keys)), *unasked)):
        by_purpose[row.purpose].append(row)
    short: set[str] = set()
    taken: dict[Purpose, int] = {}
    for purpose, rows in by_purpose.items():
        taken[purpose] = may = take(conn, len(rows), purpose, now, terms.after(taken))
        if late := rows[may:]:
            put_off(conn, [row.id for row in late], purpose, now, terms.content)
            short.update(row.key for row in late)
    return short, taken


def finish(conn: Connection, ended: Sequence[Ended], now: datetime, content: Content) -> None:
    """Note how rows ended, and what that costs: what did not leave is given back, an answer that
    had to be pushed is counted. What LINE has no room for is put off."""
    refused = [one.row.key for one in ended if _is_refused(one)]
    count(conn, sum(map(_cost, ended)), now)
    if kept := [one for one in ended if not _is_refused(one)]:
        note(conn, kept, now)
    if refused:
        mine = select(outbox.c.id, outbox.c.purpose).where(outbox.c.key.in_(refused))
        for row in conn.execute(mine).all():
            put_off(conn, [row.id], row.purpose, now, content)


def _is_refused(one: Ended) -> bool:
    said = (one.outcome.status, one.outcome.reason) == ("failed", "quota")
    return said and one.row.lane != "reply"


def _cost(one: Ended) -> int:
    row, outcome = one.row, one.outcome
    if row.channel != LINE or row.lane == "fetch" or row.doubtful:
        return 0
    if row.lane == "reply":
        return int(outcome.pushed and (outcome.status == "accepted" or outcome.doubtful))
    return -int(outcome.status in ("failed", "retry") and not outcome.doubtful)


# --- what has no room ----------------------------------------------------------------


def put_off(
    conn: Connection, ids: Sequence[int], purpose: Purpose, now: datetime, content: Content
) -> None:
    """Rows that this month has no room for: they wait for a free reply to ride on. What must be
    said cannot wait for that: it goes when the next month begins, or has failed."""
    open_ = (outbox.c.id.in_(ids), outbox.c.status.in_(("queued", "sending")))
    free_day(conn, ids)
    waits: dict[str, Any] = {"counted_on": 0, "lease_until": None, "chunk": "", "reason": "quota"}
    if purpose not in ALWAYS:
        held = {"status": "held", "deadline": now + RIDES_FOR}
        conn.execute(update(outbox).where(*open_).values(**waits, **held))
        return
    opens = next_permitted(month_end(now), "", content)
    late = {"status": "failed", "ended_at": now, "payload": "{}"}
    conn.execute(update(outbox).where(*open_, outbox.c.deadline <= opens).values(**waits, **late))
    again = {"status": "queued", "due": opens}
    conn.execute(update(outbox).where(*open_, outbox.c.deadline > opens).values(**waits, **again))


def free_day(conn: Connection, ids: Sequence[int]) -> None:
    """What did not leave takes nobody's place in the day."""
    counted = (outbox.c.id.in_(ids), outbox.c.counted_on > 0)
    today = exists().where(
        *counted,
        outbox.c.learner_id == profiles.c.learner_id,
        outbox.c.counted_on == profiles.c.unasked_on,
    )
    theirs = profiles.c.learner_id.in_(select(outbox.c.learner_id).where(*counted))
    conn.execute(update(profiles).where(theirs, today).values(unasked_on=0))


# --- looking ahead -------------------------------------------------------------------


def forecast(conn: Connection, now: datetime, content: Content) -> list[tuple[Purpose, int]]:
    """What LINE will probably be sent before the month ends, by purpose, at the most: what is
    queued (what is held back rides for nothing), campaigns to come, and a nudge every working
    day."""
    until = month_end(now)
    queued = (
        select(outbox.c.purpose, func.count())
        .where(
            outbox.c.channel == LINE,
            outbox.c.lane.in_(("personal", "campaign")),
            outbox.c.status == "queued",
            outbox.c.due < until,
        )
        .group_by(outbox.c.purpose)
    )
    found: Counter[Purpose] = Counter()
    for purpose, n in (
        *conn.execute(queued),
        *campaigns.coming(conn, now, until, content),
        ("encouragement", _nudges(conn, now, until, content)),
    ):
        found[purpose] += n
    return [(purpose, n) for purpose, n in found.items() if n]


def _nudges(conn: Connection, now: datetime, until: datetime, content: Content) -> int:
    day = type_coerce(timers.c.due, BigInteger) // DAY
    due = (
        select(func.min(timers.c.due), func.count())
        .join(profiles, profiles.c.learner_id == timers.c.learner_id)
        .where(
            timers.c.kind.in_(("nudge", "study")), profiles.c.channel == LINE, timers.c.due < until
        )
        .group_by(day)
    )
    last = local(until - timedelta(microseconds=1)).date()
    return sum(
        n * (1 + working_days(local(max(first, now)).date(), last, content))
        for first, n in conn.execute(due)
    )
