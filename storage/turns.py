"""A batch of turns in one transaction: gather the learners, decide purely, apply set-wise."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, field
from sqlalchemy import Connection, bindparam, delete, select, tuple_

from content.schema import Content
from flows.engine import handle
from flows.profile import changed
from flows.types import (
    AnyEffect,
    AnyEvent,
    CancelTimers,
    Erase,
    Fired,
    Forget,
    Found,
    Left,
    Look,
    Record,
    Reply,
    SetTimer,
    Tell,
    Turn,
)
from storage import ledger, looks, privacy, profiles, rides, teams, tells
from storage.database import DOWN
from storage.gathered import Gathered, encode, gather
from storage.many import insert_many, update_many
from storage.models import (
    facts,
    inbox,
    learners,
    outbox,
    parked,
    pictures,
    timers,
)
from storage.outbox import reach
from storage.projections import Projected
from storage.requests import Pack, as_row, requests
from storage.wire import Incoming, Lane, Row

QUIET_AFTER_ERROR = timedelta(minutes=10)
"""A learner hears one apology in so long."""


Timer = tuple[int, str, str]
"""A learner's timer by its kind and key."""


class Work(Struct):
    """What a batch has decided, kept until it is applied."""

    keys: list[dict[str, Any]] = []
    facts: list[dict[str, Any]] = []
    projected: Projected = field(default_factory=Projected)
    rows: list[dict[str, Any]] = []
    pictures: list[dict[str, Any]] = []
    parked: list[dict[str, Any]] = []
    queued: list[Row] = []
    timers: dict[Timer, dict[str, Any]] = {}
    waiting: rides.Waiting = {}
    heard: list[tuple[AnyEvent, Turn]] = []
    """Each event with the turn that it brought, answers to looks among them."""
    duplicates: int = 0


class Redo(Exception):
    """A turn failed after it had touched the database: take the batch one by one."""


def take(
    conn: Connection,
    batch: Sequence[Incoming],
    now: datetime,
    content: Content,
    pack: Pack,
) -> Work:
    """Every event of the batch, once: new states, facts, timers and outbox rows.

    1. Lock the learners, oldest id first, making those who are new.
    2. Leave out events that were seen before, and timers that were cancelled meanwhile;
       under the lock nobody else can be at them.
    3. Decide in arrival order; an event whose flow raises is parked, the others go on.
    4. Write everything down, a statement per table.
    """
    people = gather(conn, batch, now)
    seen = _seen(conn, batch)
    fired = _drop_fired(conn, batch)
    speaking = {(x.channel, x.address) for x in batch if not x.learner}
    here = (who.id for key, who in people.items() if key in speaking)
    work = Work(waiting=rides.waiting(conn, here, now))
    for incoming in batch:
        key = (incoming.channel, incoming.bot, incoming.event_id)
        if key in seen or (incoming.timer and incoming.timer not in fired):
            work.duplicates += 1
            continue
        seen.add(key)
        who = people.get(incoming.learner or (incoming.channel, incoming.address))
        work.keys.append({"channel": key[0], "bot": key[1], "event_id": key[2], "at": now})
        if who is not None:
            _one(conn, who, incoming, now, content, pack, work)
    _apply(conn, people.values(), work)
    return work


_SEEN = select(inbox.c.channel, inbox.c.bot, inbox.c.event_id).where(
    inbox.c.channel.in_(bindparam("channels", expanding=True)),
    inbox.c.bot.in_(bindparam("bots", expanding=True)),
    inbox.c.event_id.in_(bindparam("ids", expanding=True)),
)


def _seen(conn: Connection, batch: Sequence[Incoming]) -> set[tuple[str, str, str]]:
    keys = {
        "channels": sorted({x.channel for x in batch}),
        "bots": sorted({x.bot for x in batch}),
        "ids": [x.event_id for x in batch],
    }
    return {tuple(row) for row in conn.execute(_SEEN, keys)}


def _drop_fired(conn: Connection, batch: Sequence[Incoming]) -> set[int]:
    """Take away the timers that fired; those that are gone already were cancelled."""
    ids = [x.timer for x in batch if x.timer]
    if not ids:
        return set()
    gone = delete(timers).where(timers.c.id.in_(ids)).returning(timers.c.id)
    return set(conn.execute(gone).scalars())


# --- decide --------------------------------------------------------------------------


def _one(
    conn: Connection,
    who: Gathered,
    incoming: Incoming,
    now: datetime,
    content: Content,
    pack: Pack,
    work: Work,
) -> None:
    """One event: the pure turn, its looks answered, its effects noted."""
    if who.erased:
        raise Redo  # whoever writes on after an erasure is somebody new
    touched: list[str] = []
    try:
        turn = _decide(conn, who, incoming, now, content, work, touched)
        _note(conn, who, incoming, turn, now, content, pack, work, touched)
    except DOWN:
        raise  # it is not the event that is wrong
    except Exception as error:
        if touched:
            raise Redo from error
        park(conn, who, incoming, error, now, content, pack, work)


def _decide(
    conn: Connection,
    who: Gathered,
    incoming: Incoming,
    now: datetime,
    content: Content,
    work: Work,
    touched: list[str],
) -> Turn:
    turn = handle(who.state, incoming.event, now, content)
    work.heard.append((incoming.event, turn))
    replies, effects = list(turn.replies), list(turn.effects)
    while any(isinstance(effect, Look) for effect in turn.effects):
        look = next(effect for effect in turn.effects if isinstance(effect, Look))
        touched.append(look.what)
        data = (looks.LOOKS.get(look.what) or teams.LOOKS[look.what])(
            conn, who.id, look.args, now, content
        )
        turn = handle(turn.state, found := Found(look.what, data), now, content)
        work.heard.append((found, turn))
        replies += turn.replies
        effects += turn.effects
    return Turn(turn.state, tuple(replies), tuple(effects))


def _note(
    conn: Connection,
    who: Gathered,
    incoming: Incoming,
    turn: Turn,
    now: datetime,
    content: Content,
    pack: Pack,
    work: Work,
    touched: list[str],
) -> None:
    """Keep what came of one event. What cannot be stored fails here, in its own turn."""
    stored = encode(turn.state).decode()
    left = isinstance(incoming.event, Left)
    own = not incoming.learner and not left
    to = (incoming.channel, incoming.address) if own else (who.channel, who.address)
    if changed(who.state, turn.state) or to != (who.channel, who.address):
        who.profile = profiles.as_row(who.id, *to, turn.state, content)
        new = who.state.heard_at is None and turn.state.person is not None
        who.claimed |= new or who.state.person is not turn.state.person
    for effect in turn.effects:
        if isinstance(effect, Record):
            data = encode(effect.data).decode()
            work.facts.append({"learner_id": who.id, "at": now, "kind": effect.kind, "data": data})
            work.projected.note(who.id, effect, now)
        elif not isinstance(effect, Look):
            touched.append(type(effect).__name__)
            _do(conn, who, effect, now, content, work)
    if own and who.id in work.waiting and not who.erased:
        touched.append("rides")
        _queue_with_rider(conn, who, incoming, turn, now, pack, work)
    else:
        _queue(who, incoming, to, turn.replies, now, pack, work)
    if (left or not who.reachable) and not incoming.learner:
        reach(conn, incoming.channel, incoming.address, not left, now)
    who.state, who.stored = turn.state, stored
    who.channel, who.address = to


def _queue(
    who: Gathered,
    incoming: Incoming,
    to: tuple[str, str],
    replies: tuple[Reply, ...],
    now: datetime,
    pack: Pack,
    work: Work,
) -> list[Row]:
    lane: Lane = "personal" if isinstance(incoming.event, Fired) else "reply"
    queued = []
    for row, request, row_pictures in requests(who.id, to, incoming, lane, replies, now, pack):
        if who.erased:
            row["learner_id"] = None
        work.rows.append(row)
        work.pictures += [] if who.erased else row_pictures
        queued.append(as_row(row, request))
    work.queued += queued
    return queued


def _queue_with_rider(
    conn: Connection,
    who: Gathered,
    incoming: Incoming,
    turn: Turn,
    now: datetime,
    pack: Pack,
    work: Work,
) -> None:
    """Somebody is here: reminders to come are over, and what was held back rides along, where
    it fits into the one free request."""
    rows = work.waiting.pop(who.id)
    rides.cancel_reminders(conn, rows, now)
    replies, to = turn.replies, (incoming.channel, incoming.address)
    rider = None
    if incoming.reply_token and replies and not turn.state.stopped and turn.state.welcomed:
        rider = rides.rider(conn, rows, incoming.channel)
    together = rides.board(replies, rider[1]) if rider else replies
    if rider and (len(pack(incoming.channel, together)) > 1 or not rides.take(conn, rider[0])):
        rider, together = None, replies
    queued = _queue(who, incoming, to, together, now, pack, work)
    if rider:
        rides.mark(conn, rider[0], queued[0].key)


def _do(
    conn: Connection,
    who: Gathered,
    effect: AnyEffect,
    now: datetime,
    content: Content,
    work: Work,
) -> None:
    """The rare effects, a statement each; they touch only what is this learner's."""
    match effect:
        case SetTimer(kind, key, due, data):
            row = {"learner_id": who.id, "kind": kind, "key": key, "due": due}
            work.timers[who.id, kind, key] = {**row, "data": encode(data).decode()}
        case CancelTimers(kind):
            _drop_timers(work, who.id, kind)
            # a chat that was just linked is put together with the other one all the same
            of_kind = [timers.c.kind == kind if kind else timers.c.kind != looks.MERGE]
            conn.execute(delete(timers).where(timers.c.learner_id == who.id, *of_kind))
            if not kind:
                privacy.cancel_unasked(conn, who.id, now)
        case Tell():
            tells.tell(conn, who.id, effect, now, content)
        case Forget(message):
            _flush_facts(conn, work)  # what is of this very batch is to be found, too
            _flush_timers(conn, work)
            privacy.forget(conn, who.id, message, now)
        case Erase():
            work.facts = [fact for fact in work.facts if fact["learner_id"] != who.id]
            work.projected.drop(who.id)
            _drop_timers(work, who.id, "")
            ledger.erase_learners(conn, [who.id], now)
            who.erased = True
        case _:
            raise TypeError(f"not an effect of a turn: {effect}")


_OLD_TIMERS = delete(timers).where(
    tuple_(timers.c.learner_id, timers.c.kind, timers.c.key).in_(
        bindparam("timers", expanding=True)
    )
)


def _drop_timers(work: Work, learner_id: int, kind: str) -> None:
    """Timers of this batch that are not to be set after all."""
    for timer in [t for t in work.timers if t[0] == learner_id and kind in ("", t[1])]:
        del work.timers[timer]


def _flush_facts(conn: Connection, work: Work) -> None:
    insert_many(conn, facts, work.facts)
    work.facts = []


def _flush_timers(conn: Connection, work: Work) -> None:
    """Set them. A timer that replaces another is a new row: an event of the old one that is
    under way finds nothing to take."""
    if work.timers:
        conn.execute(_OLD_TIMERS, {"timers": list(work.timers)})
        insert_many(conn, timers, list(work.timers.values()))
        work.timers = {}


def park(
    conn: Connection,
    who: Gathered,
    incoming: Incoming,
    error: BaseException,
    now: datetime,
    content: Content,
    pack: Pack,
    work: Work,
) -> None:
    """Keep an event whose flow failed, and say sorry; the learner stays where they were."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else ""
    work.parked.append(
        {
            "at": now,
            "channel": incoming.channel,
            "bot": incoming.bot,
            "event_id": incoming.event_id,
            "address": incoming.address,
            "event": encode(incoming).decode(),
            # the type and place only: the text of an error may quote the learner
            "error": f"{type(error).__name__} at {where}",
        }
    )
    lately = select(parked.c.id).where(
        parked.c.channel == incoming.channel,
        parked.c.address == incoming.address,
        parked.c.at > now - QUIET_AFTER_ERROR,
    )
    again = any(p["address"] == incoming.address for p in work.parked[:-1])
    if incoming.learner or again or conn.execute(lately.limit(1)).first():
        return
    sorry = (Reply(content.copy_[who.state.lang]["error"]),)
    to = (incoming.channel, incoming.address)
    for row, request, _ in requests(who.id, to, incoming, "reply", sorry, now, pack):
        work.rows.append(row)
        work.queued.append(as_row(row, request))


def park_alone(
    conn: Connection,
    incoming: Incoming,
    error: BaseException,
    now: datetime,
    content: Content,
    pack: Pack,
) -> Work:
    """Park one event in a transaction of its own, after its turn was rolled back."""
    people = gather(conn, [incoming], now)
    work = Work()
    if _seen(conn, [incoming]):
        return work
    _drop_fired(conn, [incoming])
    key = {"channel": incoming.channel, "bot": incoming.bot, "event_id": incoming.event_id}
    work.keys.append({**key, "at": now})
    who = people.get(incoming.learner or (incoming.channel, incoming.address))
    if who is not None:
        park(conn, who, incoming, error, now, content, pack, work)
    _apply(conn, (), work)
    return work


# --- apply ---------------------------------------------------------------------------


def _apply(conn: Connection, people: Iterable[Gathered], work: Work) -> None:
    insert_many(conn, inbox, work.keys)
    moved = {who.id: who for who in people if who.stored and not who.erased}
    states = [
        {"id": who.id, "state": who.stored, "channel": who.channel, "address": who.address}
        for who in moved.values()
    ]
    update_many(conn, learners, states)
    profiles.store(conn, [who.profile for who in moved.values() if who.profile])
    if claimed := [who.id for who in moved.values() if who.claimed]:
        profiles.place(conn, claimed)
    insert_many(conn, facts, work.facts)
    work.projected.store(conn)
    _flush_timers(conn, work)
    insert_many(conn, outbox, work.rows)
    insert_many(conn, parked, work.parked)
    insert_many(conn, pictures, work.pictures)
