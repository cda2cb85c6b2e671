"""The life of a campaign: drafted, checked, approved by a second person, fired, ended."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Select, case, func, insert, select, update

from content.lint import Problem
from content.schema import Campaign, Content
from flows.schedule import next_times
from flows.types import Purpose
from storage import audit, journal, reach, segments, sendings, waves
from storage.journal import note, spec_of
from storage.models import campaign_log, campaign_units, campaigns, occurrences, persons, profiles
from storage.scope import OPERATOR, POWERS, Power, Scope, scope_of
from storage.sendings import expand as expand

LATE = timedelta(hours=12)
"""A sending that is so late waits for a person: it may be of no use any more."""
AT_ONCE = 50_000
"""Rows that are written in the transaction of an approval: so many can be held exactly."""


class Refused(Exception):
    """What was asked cannot be done; `problems` say what to do instead."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__(", ".join(problem.key for problem in problems))


def find(conn: Connection, campaign_id: int, *, lock: bool = False) -> Any:
    """The row of a campaign."""
    wanted = select(campaigns).where(campaigns.c.id == campaign_id)
    row = conn.execute(wanted.with_for_update() if lock else wanted).first()
    if row is None:
        raise Refused(Problem(("campaign",), "no_campaign", {"id": campaign_id}))
    return row


def seen(conn: Connection, scope: Scope, campaign_id: int) -> Any:
    """The row of a campaign that the viewer may see; others are not there."""
    wanted = select(campaigns).where(campaigns.c.id == campaign_id, reach.of_campaigns(scope))
    row = conn.execute(wanted).first()
    if row is None:
        raise Refused(Problem(("campaign",), "no_campaign", {"id": campaign_id}))
    return row


STATES = (
    *("draft", "checked", "approved", "waiting", "expanding", "running", "paused", "held"),
    *("done", "cancelled"),
)
"""What a list says of a campaign: where it is in its life, or how what it sends now stands."""


def listing(
    conn: Connection,
    scope: Scope = OPERATOR,
    state: str = "",
    sort: str = "-id",
    offset: int = 0,
    limit: int | None = None,
) -> Sequence[Any]:
    """Campaigns that the viewer may see: how often each was sent, to how many, its `state`, and
    when the next that waits is due. `sort` is `id`, `name`, `state`, `next` or `size`, with a
    dash before it downwards."""
    rows = _listed()
    ways = {"id": rows.c.id, "name": rows.c.name, "state": rows.c.state}
    ways |= {"next": rows.c.next, "size": rows.c.size}
    way = ways[sort.removeprefix("-")]
    wanted = select(rows).where(rows.c.state == state) if state else select(rows)
    mine = select(campaigns.c.id).where(reach.of_campaigns(scope))
    order = way.desc() if sort.startswith("-") else way.asc()
    found = wanted.where(rows.c.id.in_(mine)).order_by(order.nulls_last(), rows.c.id.desc())
    return conn.execute(found.offset(offset).limit(limit)).all()


def waiting(conn: Connection, scope: Scope) -> dict[str, int]:
    """How many wait for an officer, by state: for an approval, or because they have stopped."""
    rows = _listed()
    mine = select(campaigns.c.id).where(reach.of_campaigns(scope))
    counted = select(rows.c.state, func.count()).where(
        rows.c.state.in_(("checked", "held", "paused")), rows.c.id.in_(mine)
    )
    found = conn.execute(counted.group_by(rows.c.state))
    return {row[0]: row[1] for row in found}


def _listed() -> Any:
    open_ = occurrences.c.status.in_(sendings.OPEN)
    waits = occurrences.c.status == "waiting"
    sent = (
        select(
            occurrences.c.campaign_id,
            func.count().label("times"),
            func.sum(occurrences.c.size).label("size"),
            func.max(occurrences.c.status).filter(open_).label("under_way"),
            func.min(occurrences.c.due).filter(waits).label("waiting"),
        )
        .group_by(occurrences.c.campaign_id)
        .subquery()
    )
    stands = func.coalesce(sent.c.under_way, campaigns.c.status)
    stopped = (campaigns.c.reason != "") & (campaigns.c.status == "approved")
    rows: Select[Any] = select(
        campaigns.c.id,
        campaigns.c.name,
        campaigns.c.author_id,
        case((stopped, "paused"), else_=stands).label("state"),
        func.coalesce(campaigns.c.next_due, sent.c.waiting).label("next"),
        func.coalesce(sent.c.times, 0).label("times"),
        func.coalesce(sent.c.size, 0).label("size"),
    ).join(sent, sent.c.campaign_id == campaigns.c.id, isouter=True)
    return rows.subquery()


def state_of(row: Any, sent: Sequence[str]) -> str:
    """The same of one campaign, by the statuses of its sendings."""
    if row.status == "approved" and row.reason:
        return "paused"
    under_way = [each for each in sent if each in sendings.OPEN]
    return max(under_way) if under_way else str(row.status)


def officer(conn: Connection, hr_id: str, now: datetime, power: Power = "send") -> Scope:
    """The rights of the officer with this id at HR."""
    person = conn.execute(select(persons.c.id).where(persons.c.hr_id == hr_id)).scalar()
    if person is None:
        raise Refused(Problem(("by",), "no_person", {"value": hr_id}))
    scope = scope_of(conn, person, now)
    if not scope.may(power):
        known = ", ".join(sorted(POWERS[power], reverse=True))
        raise Refused(Problem(("by",), "no_officer", {"value": hr_id, "known": known}))
    return scope


def acting(conn: Connection, row: Any, by: str, now: datetime, power: Power = "send") -> int | None:
    """The person who does something with a campaign: an officer by the id at HR, whose rights
    reach everybody it is for; nobody by name is the operator, None."""
    if not by:
        return None
    scope = officer(conn, by, now, power)
    if not reach.covers(scope, spec_of(row).segment.units, power):
        raise Refused(Problem(("campaign",), "not_theirs"))
    return scope.viewer


def did(
    conn: Connection, campaign_id: int, what: str, now: datetime, by: int | None, detail: str = ""
) -> None:
    """Write down what somebody did with a campaign: in its own log, and in the audit journal."""
    note(conn, campaign_id, what, now, detail, by)
    audit.note(conn, by, f"campaign_{what}", f"campaign:{campaign_id}", now)


def upcoming(conn: Connection, now: datetime, most: int = 3) -> Sequence[Any]:
    """The next campaigns that will go: name and when."""
    approved = campaigns.c.status == "approved", campaigns.c.next_due >= now
    query = select(campaigns.c.name, campaigns.c.next_due).where(*approved)
    return conn.execute(query.order_by(campaigns.c.next_due).limit(most)).all()


def require(row: Any, *statuses: str) -> None:
    """Refuse what does not suit where a campaign is in its life."""
    if row.status not in statuses:
        raise Refused(Problem(("campaign",), "status_" + row.status))


def _set(conn: Connection, campaign_id: int, **values: Any) -> None:
    conn.execute(update(campaigns).where(campaigns.c.id == campaign_id).values(values))


# --- until it is approved --------------------------------------------------------------


def draft(conn: Connection, spec: Campaign, author: str, now: datetime) -> int:
    """Keep a new campaign; `author` is an officer's id at HR, who sends to nobody else's units."""
    scope = officer(conn, author, now)
    _within(scope, spec)
    row = _worded(spec) | {"status": "draft", "author_id": scope.viewer, "created_at": now}
    made: int = conn.execute(insert(campaigns).values(row).returning(campaigns.c.id)).scalar_one()
    reach.write(conn, campaign_units, made, spec.segment.units)
    did(conn, made, "drafted", now, scope.viewer)
    return made


def edit(
    conn: Connection, campaign_id: int, spec: Campaign, version: str, by: str, now: datetime
) -> None:
    """Other words, people or times for what nobody has approved yet; it must be checked anew.
    `version` is what `version_of` said of the row that the officer has read."""
    row = find(conn, campaign_id, lock=True)
    who = acting(conn, row, by, now)
    require(row, "draft", "checked")
    if version != version_of(row):
        raise Refused(Problem(("version",), "stale"))
    _within(officer(conn, by, now), spec)
    _set(conn, campaign_id, **_worded(spec), status="draft", checked_hash="", checked_at=None)
    reach.write(conn, campaign_units, campaign_id, spec.segment.units)
    did(conn, campaign_id, "edited", now, who)


def version_of(row: Any) -> str:
    """What a campaign says, as one short word: another word, another text."""
    return sha256(row.spec.encode()).hexdigest()[:16]


def _within(scope: Scope, spec: Campaign) -> None:
    """Refuse a campaign for people of whom the officer may not send to."""
    if beyond := reach.not_theirs(scope, spec.segment):
        raise Refused(*beyond)


def _worded(spec: Campaign) -> dict[str, str]:
    return {"name": spec.name.th, "spec": canonical(spec)}


def has_written(conn: Connection, campaign_id: int, person: int | None) -> bool:
    """Whether somebody has drafted or edited it: they do not approve it."""
    theirs = select(campaign_log.c.id).where(
        campaign_log.c.campaign_id == campaign_id,
        campaign_log.c.by_id == person,
        campaign_log.c.what.in_(("drafted", "edited")),
    )
    return conn.execute(theirs.limit(1)).first() is not None


def canonical(spec: Campaign) -> str:
    """The same campaign is the same text."""
    plain = spec.model_dump(mode="json", by_alias=True)
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def is_once(spec: Campaign) -> bool:
    """One sending, whose recipients are approved with it."""
    return spec.schedule is None or spec.schedule.every is None


def due_of(spec: Campaign, now: datetime, content: Content) -> datetime | None:
    """When it is sent next; None if it has no time to come."""
    times = next_times(spec.schedule, now, content, 1) if spec.schedule else []
    return times[0] if times else None


def fingerprint(conn: Connection, spec: Campaign, due: datetime, now: datetime) -> tuple[str, int]:
    """What an approval is bound to, and to how many people: the text and the recipients of a
    single sending; of a recurring campaign the text alone, with its segment in it, because who
    is in it changes from time to time."""
    who = select(profiles.c.learner_id).where(sendings.recipients(spec, now, due))
    ids = sendings.streamed(conn, who.order_by(profiles.c.learner_id))
    if is_once(spec):
        return sendings.digest(canonical(spec), ids)
    return sendings.digest(canonical(spec), iter(()))[0], sum(1 for _ in ids)


def checked(
    conn: Connection, row: Any, hash_: str, many: int, now: datetime, by: int | None = None
) -> None:
    """A check found nothing wrong: note what was seen."""
    _set(conn, row.id, status="checked", checked_hash=hash_, checked_at=now)
    did(conn, row.id, "checked", now, by, str(many))


def approve(
    conn: Connection, campaign_id: int, approver: str, hash_: str, now: datetime, content: Content
) -> int:
    """A second officer says yes to what they have seen, which `hash_` names. The rows of a
    single sending are written here and now; how many."""
    row = find(conn, campaign_id, lock=True)
    officer(conn, approver, now, "approve")  # a person: the operator approves nothing
    by = acting(conn, row, approver, now, "approve")
    require(row, "checked")
    if by == row.author_id or has_written(conn, campaign_id, by):
        raise Refused(Problem(("by",), "own_author"))
    spec = spec_of(row)
    due = due_of(spec, now, content)
    if due is None:
        raise Refused(Problem(("schedule",), "time_gone"))
    _still_the_same(conn, row, spec, hash_, fingerprint(conn, spec, due, now))
    _set(conn, campaign_id, status="approved", approver_id=by, approved_at=now)
    did(conn, campaign_id, "approved", now, by, hash_)
    if not is_once(spec):
        _set(conn, campaign_id, next_due=due)
        return 0
    made = journal.begin(conn, campaign_id, spec, due, "expanding", now)
    wrote = 0
    while wrote < AT_ONCE and (took := sendings.expand_one(conn, made, now, content)):
        wrote += took
    return sendings.size(conn, made)


def _still_the_same(
    conn: Connection, row: Any, spec: Campaign, hash_: str, seen: tuple[str, int]
) -> None:
    """Refuse what is not what was checked, and say by how much it differs."""
    if hash_ != row.checked_hash:
        raise Refused(Problem(("hash",), "hash_other"))
    if seen[0] == row.checked_hash:
        return
    entry = journal.noted(conn, row.id, "checked")
    before, after = int(entry.detail), seen[1]
    if before == after:
        raise Refused(Problem(("campaign",), "moved_same", {"n": after}))
    raise Refused(Problem(("campaign",), "moved", {"before": before, "after": after}))


# --- when it is due --------------------------------------------------------------------


def fire(conn: Connection, now: datetime, content: Content) -> int:
    """Begin what is due, watch what runs, end what is over. A sending and the next time of its
    campaign go together, so any number of tickers may call; how many sendings began."""
    due = (
        select(campaigns)
        .where(campaigns.c.next_due <= now, campaigns.c.status == "approved")
        .order_by(campaigns.c.next_due)
        .with_for_update(skip_locked=True)
    )
    rows = conn.execute(due).all()
    for row in rows:
        _fire(conn, row, now, content)
    began = len(rows) + sendings.start(conn, now, LATE)
    waves.watch(conn, now)
    sendings.settle(conn, now)
    _end(conn, now)
    return began


def _fire(conn: Connection, row: Any, now: datetime, content: Content) -> None:
    spec = spec_of(row)
    late = now - row.next_due > LATE
    status = "held" if late else "expanding"
    made = journal.begin(conn, row.id, spec, row.next_due, status, now)
    if late:
        note(conn, row.id, "held", now, f"{made} late")
    _set(conn, row.id, next_due=due_of(spec, row.next_due, content))


def _end(conn: Connection, now: datetime) -> None:
    """Campaigns that have no time to come and nothing under way are done."""
    open_ = select(occurrences.c.id).where(
        occurrences.c.campaign_id == campaigns.c.id, occurrences.c.status.in_(sendings.OPEN)
    )
    over = select(campaigns.c.id).where(
        campaigns.c.status == "approved",
        campaigns.c.next_due.is_(None),
        campaigns.c.reason == "",
        ~open_.exists(),
    )
    for campaign_id in conn.execute(over.with_for_update(skip_locked=True)).scalars().all():
        _set(conn, campaign_id, status="done")
        note(conn, campaign_id, "ended", now)


def progress(conn: Connection, campaign_id: int) -> int:
    """How many rows of a campaign are written."""
    size = select(func.sum(occurrences.c.size)).where(occurrences.c.campaign_id == campaign_id)
    return conn.execute(size).scalar() or 0


def coming(
    conn: Connection, now: datetime, until: datetime, content: Content
) -> list[tuple[Purpose, int]]:
    """What approved campaigns will send by LINE until then, beside what is due in the outbox:
    purpose and recipients of each time of the recurring ones, as of now, and waves to come."""
    rows = conn.execute(
        select(campaigns).where(campaigns.c.status == "approved", campaigns.c.next_due <= until)
    ).all()
    found = waves.closed(conn, "line")
    for row in rows:
        spec = spec_of(row)
        who = sendings.recipients(spec, now, row.next_due)
        many = segments.by_channel(conn, who).get("line", 0)
        found += [(spec.purpose, many) for _ in _times(row, spec, until, content)]
    return found


def _times(row: Any, spec: Campaign, until: datetime, content: Content) -> Iterator[datetime]:
    due: datetime | None = row.next_due
    while due is not None and due <= until:
        yield due
        due = due_of(spec, due, content)


# --- what a person may do meanwhile ----------------------------------------------------


def pause(conn: Connection, campaign_id: int, now: datetime, by: str = "") -> int:
    """Nothing more leaves until it is resumed; how many sendings were stopped."""
    row = find(conn, campaign_id, lock=True)
    who = acting(conn, row, by, now)
    require(row, "approved")
    stopped = sendings.of(conn, campaign_id, "waiting", "running")
    for sending in stopped:
        journal.turn(conn, sending, "paused", now, "by_hand")
    _set(conn, campaign_id, reason="paused", next_due=None)
    did(conn, campaign_id, "paused", now, who)
    return len(stopped)


def resume(
    conn: Connection, campaign_id: int, now: datetime, content: Content, by: str = ""
) -> int:
    """Go on, and with the next time of a recurring campaign; how many sendings go on. Whoever
    resumes what stopped itself has looked at it."""
    row = find(conn, campaign_id, lock=True)
    who = acting(conn, row, by, now)
    require(row, "approved")
    going = sendings.of(conn, campaign_id, "paused")
    if not going and not row.reason:
        raise Refused(Problem(("campaign",), "not_paused"))
    for sending in going:
        note(conn, campaign_id, "looked_at", now, f"{sending.id} {sending.reason}", who)
        journal.turn(conn, sending, "running" if sending.due <= now else "waiting", now)
    spec = spec_of(row)
    values: dict[str, Any] = {"reason": ""}
    if row.reason and not is_once(spec):
        values["next_due"] = due_of(spec, now, content)
    _set(conn, campaign_id, **values)
    did(conn, campaign_id, "resumed", now, who)
    return len(going)


def cancel(conn: Connection, campaign_id: int, now: datetime, by: str = "") -> int:
    """Nothing more leaves, for good; how many sendings were stopped. `expand` ends the rows that
    wait, and the sender those that it meets earlier."""
    row = find(conn, campaign_id, lock=True)
    who = acting(conn, row, by, now)
    require(row, "draft", "checked", "approved")
    stopped = sendings.of(conn, campaign_id, *sendings.OPEN)
    for sending in stopped:
        journal.turn(conn, sending, "cancelled", now, "by_hand", cursor=0)
    _set(conn, campaign_id, status="cancelled", next_due=None)
    did(conn, campaign_id, "cancelled", now, who)
    return len(stopped)


def reopen(
    conn: Connection, campaign_id: int, now: datetime, rows: int, by: int | None = None
) -> None:
    """It was done, and something is sent once more."""
    _set(conn, campaign_id, status="approved")
    did(conn, campaign_id, "resent", now, by, str(rows))


def release(conn: Connection, campaign_id: int, now: datetime, by: str = "") -> int:
    """Send, late as it is, what was held because it was late; how many sendings."""
    held, who = _held(conn, campaign_id, by, now)
    for sending in held:
        status = "running" if sending.size else "expanding"
        journal.turn(conn, sending, status, now, "released")
    did(conn, campaign_id, "released", now, who)
    return len(held)


def skip(conn: Connection, campaign_id: int, now: datetime, by: str = "") -> int:
    """Leave out what was held because it was late; how many sendings."""
    held, who = _held(conn, campaign_id, by, now)
    for sending in held:
        journal.turn(conn, sending, "skipped", now, "late", cursor=0)
    did(conn, campaign_id, "passed_over", now, who)
    return len(held)


def _held(
    conn: Connection, campaign_id: int, by: str, now: datetime
) -> tuple[Sequence[Any], int | None]:
    row = find(conn, campaign_id, lock=True)
    who = acting(conn, row, by, now)
    require(row, "approved")
    held = sendings.of(conn, campaign_id, "held")
    if not held:
        raise Refused(Problem(("campaign",), "nothing_held"))
    return held, who
