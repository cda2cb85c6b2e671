"""A campaign before it is sent: what is wrong with it, whom it reaches, what it costs."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, and_, select

from content.lint import Problem, campaign_problems, segment_problems, slots_of
from content.schema import Campaign, Content, Segment
from flows import schedule as schedules
from flows.calendar import local, next_permitted, working_days
from flows.campaigns import deadline
from flows.gate import RANKS
from flows.quota import Forecast, plan
from flows.text import long_date
from flows.types import Purpose
from storage import audit, campaigns, journal, quota, reach, segments, sendings
from storage.models import persons, profiles
from storage.scope import OPERATOR, Scope

MANDATORY_DAYS = 2
"""Working days that what must be read needs at least: today's message may be another."""
MARGIN = timedelta(hours=1)
"""For the last of all, after the waves before."""
SHOWN = 5
"""Times to come that are shown."""


class Cost(Struct, frozen=True):
    """What a sending takes from LINE's month. `most` and `room` are None without a limit;
    `gives_way`: how many less important messages no longer fit, by purpose."""

    need: int
    most: int | None
    used: int
    room: int | None
    gives_way: dict[str, int]


class DryRun(Struct, frozen=True):
    """What would happen. `recipients` fit and can be sent to; about `held_out` of them are left
    out to see the effect; `waits`: they have had a message on that day already; `abroad`: it
    comes in the hours of their own zone; `waves`: about how many go first, and so on."""

    problems: tuple[Problem, ...] = ()
    recipients: int = 0
    held_out: int = 0
    channels: dict[str, int] = {}
    excluded: dict[str, int] = {}
    waits: int = 0
    abroad: int = 0
    waves: tuple[int, ...] = ()
    times: tuple[datetime, ...] = ()
    arrives: datetime | None = None
    ends: datetime | None = None
    cost: Cost | None = None
    hash: str = ""
    version: str = ""
    """Of the campaign that was looked at (`campaigns.version_of`)."""


class Glance(Struct, frozen=True):
    """What an editor shows at once: what is wrong, who would get it and who not, as of now or of
    the next time, and the times to come."""

    problems: tuple[Problem, ...] = ()
    channels: dict[str, int] = {}
    excluded: dict[str, int] = {}
    times: tuple[datetime, ...] = ()

    @property
    def recipients(self) -> int:
        return sum(self.channels.values())


def glance(
    conn: Connection, spec: Campaign, scope: Scope, now: datetime, content: Content
) -> Glance:
    """Quick enough to ask with every key that is pressed; nobody beyond the viewer's units is
    counted."""
    found = [*campaign_problems(spec, content), *timing(spec, now, content)]
    found += segments.unknown_units(conn, spec.segment, scope)
    found += reach.not_theirs(scope, spec.segment)
    times = schedules.next_times(spec.schedule, now, content, SHOWN) if spec.schedule else []
    slots = () if any(each.key == "brackets" for each in found) else slots_of(spec)
    due = times[0] if times else now
    within, mandatory = reach.people(scope), spec.purpose == "mandatory"
    who = segments.sendable(spec.segment, now, due, slots, mandatory=mandatory)
    return Glance(
        tuple(found),
        segments.by_channel(conn, and_(within, who)),
        segments.excluded(conn, spec.segment, now, due, slots, mandatory=mandatory, within=within),
        tuple(times),
    )


def fitting(
    conn: Connection, segment: Segment, scope: Scope, now: datetime, content: Content
) -> Glance:
    """The same of a segment alone, whatever is said to it."""
    found = [*segment_problems(segment, content)]
    found += segments.unknown_units(conn, segment, scope)
    within = reach.people(scope)
    who = and_(within, segments.sendable(segment, now, now))
    return Glance(
        tuple(found),
        segments.by_channel(conn, who),
        segments.excluded(conn, segment, now, now, within=within),
    )


def check(
    conn: Connection, campaign_id: int, now: datetime, content: Content, safety: float = 0.1
) -> DryRun:
    """The dry run of a draft, kept."""
    run = look(conn, campaign_id, now, content, safety)
    keep(conn, campaign_id, run, now)
    return run


def look(
    conn: Connection, campaign_id: int, now: datetime, content: Content, safety: float = 0.1
) -> DryRun:
    """The dry run of a draft. Among a million it takes seconds, and needs only to read."""
    row = campaigns.find(conn, campaign_id)
    campaigns.require(row, "draft", "checked")
    run = dry_run(conn, journal.spec_of(row), now, content, safety)
    return replace(run, version=campaigns.version_of(row))


def keep(conn: Connection, campaign_id: int, run: DryRun, now: datetime, by: str = "") -> None:
    """When nothing is wrong it may be approved, as it was seen; the approval looks again."""
    row = campaigns.find(conn, campaign_id, lock=True)
    who = campaigns.acting(conn, row, by, now)
    campaigns.require(row, "draft", "checked")
    if run.version != campaigns.version_of(row):
        raise campaigns.Refused(Problem(("version",), "stale"))
    if not run.problems:
        campaigns.checked(conn, row, run.hash, run.recipients, now, who)


def dry_run(
    conn: Connection, spec: Campaign, now: datetime, content: Content, safety: float = 0.1
) -> DryRun:
    """What would happen, and what is wrong; nothing is written."""
    found = [*campaign_problems(spec, content), *timing(spec, now, content)]
    found += segments.unknown_units(conn, spec.segment)
    due = campaigns.due_of(spec, now, content)
    if found or due is None:
        return DryRun(tuple(found))
    slots, mandatory = slots_of(spec), spec.purpose == "mandatory"
    who = sendings.recipients(spec, now, due)
    hash_, many = campaigns.fingerprint(conn, spec, due, now)
    if not many:
        return DryRun(tuple(_nobody(conn, spec, now, due)))
    channels = segments.by_channel(conn, who)
    cost = _cost(
        conn, spec, round(channels.get("line", 0) * (1 - spec.holdout)), due, now, content, safety
    )
    if cost and cost.room is not None and cost.need > cost.room:
        found.append(Problem(("segment",), "quota", {"need": cost.need, "room": cost.room}))
    today = profiles.c.unasked_on >= local(due).toordinal()
    assert spec.schedule is not None
    return DryRun(
        tuple(found),
        many,
        round(many * spec.holdout),
        channels,
        segments.excluded(conn, spec.segment, now, due, slots, mandatory=mandatory),
        segments.counted(conn, and_(who, today)),
        segments.counted(conn, and_(who, profiles.c.zone != "")),
        tuple(round(many * wave.share) for wave in spec.waves),
        tuple(schedules.next_times(spec.schedule, now, content, SHOWN)),
        next_permitted(due, "", content),
        deadline(spec, due, content),
        cost,
        hash_,
    )


def timing(spec: Campaign, now: datetime, content: Content) -> Iterator[Problem]:
    """What is wrong with the time of sending, and with the deadline."""
    if spec.schedule is None:
        yield Problem(("schedule",), "no_schedule")
        return
    at = spec.schedule.at
    due = campaigns.due_of(spec, now, content)
    shown = local(due) if due else at
    when = f"{long_date(shown.date(), 'th')} {shown:%H:%M}" if shown else ""
    wrong = schedules.problems(spec.schedule, now, content)
    yield from (Problem(("schedule",), key, {"when": when}) for key in wrong)
    if wrong or due is None:
        return
    ends = deadline(spec, due, content)
    days = working_days(local(due).date(), local(ends).date(), content)
    if spec.purpose == "mandatory" and days < MANDATORY_DAYS:
        yield Problem(("deadline_days",), "deadline_short", {"days": MANDATORY_DAYS})
    watched = sum(wave.minutes for wave in spec.waves)
    last = next_permitted(due + timedelta(minutes=watched), "", content)
    if ends < last + MARGIN:
        yield Problem(("deadline_days",), "deadline_before")


def _nobody(conn: Connection, spec: Campaign, now: datetime, due: datetime) -> Iterator[Problem]:
    """Why nobody would get it: nobody fits, or nobody has what the text wants to fill in."""
    mandatory = spec.purpose == "mandatory"

    def many(*slots: str) -> int:
        who = segments.sendable(spec.segment, now, due, slots, mandatory=mandatory)
        return segments.counted(conn, who)

    if not many():
        yield Problem(("segment",), "nobody")
        return
    lacking = [slot for slot in slots_of(spec) if not many(slot)] or list(slots_of(spec))
    for slot in lacking:
        yield Problem(("message", "text"), "slot_nobody", {"slot": slot})


def _cost(
    conn: Connection,
    spec: Campaign,
    need: int,
    due: datetime,
    now: datetime,
    content: Content,
    safety: float,
) -> Cost | None:
    """What LINE counts for it, if it is sent this month; of later months nothing is known."""
    if not need or due >= quota.month_end(now):
        return None
    month = quota.read(conn, now)
    ahead = quota.forecast(conn, now, content)
    room = plan(month.most, month.used, ahead, safety)
    after = plan(month.most, month.used, [*ahead, (spec.purpose, need)], safety)
    less = {
        purpose: _lost(purpose, room, after, ahead)
        for purpose in RANKS
        if RANKS[purpose] > RANKS[spec.purpose]
    }
    gives_way = {purpose: n for purpose, n in less.items() if n}
    return Cost(need, month.most, month.used, room[spec.purpose], gives_way)


def _lost(
    purpose: Any,
    room: dict[Purpose, int | None],
    after: dict[Purpose, int | None],
    ahead: Forecast,
) -> int:
    """How many messages of a purpose had room before and have none now."""
    wanted = sum(n for other, n in ahead if other == purpose)
    before, now = room[purpose], after[purpose]
    if before is None or now is None:
        return 0
    return max(0, min(wanted, before) - now)


def listed(
    conn: Connection,
    spec: Campaign,
    now: datetime,
    due: datetime,
    after: int,
    limit: int,
    scope: Scope = OPERATOR,
) -> Sequence[Any]:
    """The recipients one by one, after a learner: who they are at HR, channel and step; only
    those whom the viewer may see by name."""
    who = and_(
        sendings.recipients(spec, now, due),
        profiles.c.learner_id > after,
        reach.people(scope, "names"),
    )
    return conn.execute(
        select(
            profiles.c.learner_id,
            persons.c.hr_id,
            persons.c.name,
            profiles.c.channel,
            profiles.c.step,
        )
        .join(persons, persons.c.id == profiles.c.person_id, isouter=True)
        .where(who)
        .order_by(profiles.c.learner_id)
        .limit(limit)
    ).all()


def names_seen(conn: Connection, campaign_id: int, scope: Scope, many: int, now: datetime) -> None:
    """Write down that somebody reads who would get a campaign."""
    over = list(scope.paths("names"))
    target = f"campaign:{campaign_id}"
    audit.note(conn, scope.viewer, "recipients_seen", target, now, rows=many, over=over)
