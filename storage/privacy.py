"""Taking things back: a message that was unsent, reminders that were stopped, everything."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from msgspec.json import decode, encode
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
    update,
)

from flows.calendar import local
from storage import publications
from storage.endings import unsent
from storage.models import (
    UNASKED,
    accounts,
    addresses,
    certificates,
    claim_codes,
    claim_tries,
    downloads,
    evidence,
    facts,
    grants,
    holdouts,
    invites,
    learners,
    links,
    measures,
    milestones,
    outbox,
    parked,
    persons,
    photos,
    pictures,
    postings,
    profiles,
    recoveries,
    roster_changes,
    sessions,
    timers,
    tokens,
    wishes,
)

TOLD = ("confirm_use", "asked_hr", "wish")
"""Timers that carry one learner's words to another."""
PARTS = 200
"""Conditions in one statement."""
SHORTEST = 4
"""Letters from which on a text is searched for in what others were told."""
GONE = "gone:"
"""How the id at HR of somebody who was taken off the roster for good begins."""


def forget(conn: Connection, learner_id: int, message: str, now: datetime) -> None:
    """Blank every text that came in this message: facts, parked events, what we echoed of it."""
    mine = select(facts.c.id, facts.c.data).where(
        facts.c.learner_id == learner_id, facts.c.data.contains(message, autoescape=True)
    )
    for row in conn.execute(mine).all():
        blank = encode(scrubbed(decode(row.data), message)).decode()
        conn.execute(update(facts).where(facts.c.id == row.id).values(data=blank))
        asked = (timers.c.kind == "confirm_use", timers.c.key == str(row.id))
        conn.execute(delete(timers).where(*asked))
    told = (timers.c.kind == "asked_hr", timers.c.data.contains(message, autoescape=True))
    conn.execute(delete(timers).where(*told))
    ours = select(addresses.c.address).where(addresses.c.learner_id == learner_id)
    conn.execute(
        update(parked)
        .where(parked.c.address.in_(ours), parked.c.event.contains(message, autoescape=True))
        .values(event="{}", ended_at=now, ended_as="unsent")
    )
    words = wishes.c.detail.contains(message, autoescape=True)
    conn.execute(update(wishes).where(wishes.c.learner_id == learner_id, words).values(detail=""))
    for link in conn.execute(
        _journal([learner_id]).where(links.c.data.contains(message, autoescape=True))
    ).all():
        blank = encode(_scrubbed_states(decode(link.data), message)).decode()
        conn.execute(update(links).where(links.c.id == link.id).values(data=blank))
    # a summary that was sent may have quoted it; what is under way may have to go once more
    ended = outbox.c.status.not_in(("queued", "sending", "held", "riding"))
    conn.execute(
        update(outbox).where(outbox.c.learner_id == learner_id, ended).values(payload="{}")
    )


def _journal(ids: Sequence[int]) -> Select[int, str]:
    """What the journal keeps of chats that were put together with these learners'."""
    theirs = select(learners.c.person_id).where(learners.c.id.in_(ids))
    return select(links.c.id, links.c.data).where(links.c.person_id.in_(theirs))


def _scrubbed_states(data: dict[str, Any], message: str) -> dict[str, Any]:
    """The data of a link with its states, which are JSON themselves, scrubbed."""
    states = {name: data[name] for name in ("state", "before") if data.get(name)}
    clean = {name: encode(scrubbed(decode(state), message)) for name, state in states.items()}
    return data | {name: state.decode() for name, state in clean.items()}


def scrubbed(value: Any, message: str) -> Any:
    """The same JSON without the texts that came in this message."""
    if isinstance(value, dict):
        if value.get("message") == message:
            return {"text": "", "message": ""}
        return {key: scrubbed(inner, message) for key, inner in value.items()}
    if isinstance(value, list):
        return [scrubbed(inner, message) for inner in value]
    return value


def cancel_unasked(conn: Connection, learner_id: int, now: datetime) -> None:
    """Nothing that was not asked for leaves any more."""
    conn.execute(
        update(outbox)
        .where(
            outbox.c.learner_id == learner_id,
            UNASKED,
        )
        .values(unsent("cancelled", "stopped", now))
    )


_THEIRS = (
    evidence,
    facts,
    milestones,
    measures,
    downloads,
    timers,
    outbox,
    pictures,
    photos,
    certificates,
    claim_tries,
    addresses,
    profiles,
    holdouts,
    links,
)
"""Tables whose rows are of one learner, in an order that foreign keys permit."""


def erase(conn: Connection, ids: Sequence[int], *, told: bool = True) -> list[str]:
    """Delete every row about learners, and what was passed on of their words to others (not
    `told`: nothing was, of late). Gives the names of their photos' files, for whoever holds the
    folder."""
    if not ids:
        return []
    if told:
        _unsay(conn, ids)
    files = conn.execute(select(photos.c.file, photos.c.ref).where(photos.c.learner_id.in_(ids)))
    names = [name for row in files for name in row if name]
    _unpark(conn, ids)
    theirs = select(learners.c.person_id).where(learners.c.id.in_(ids))
    publications.unname(conn, list(conn.execute(theirs).scalars()))
    close_wishes(conn, ids)
    kept = _journal(ids).with_only_columns(links.c.id)
    conn.execute(update(links).where(links.c.id.in_(kept)).values(data="{}"))
    for table in _THEIRS:
        conn.execute(delete(table).where(table.c.learner_id.in_(ids)))
    conn.execute(delete(learners).where(learners.c.id.in_(ids)))
    return names


def close_wishes(conn: Connection, ids: Sequence[int]) -> None:
    """These learners are gone: of their wishes only stays that there were some, and when."""
    theirs = update(wishes).where(wishes.c.learner_id.in_(ids))
    conn.execute(
        theirs.where(wishes.c.ended_at.is_(None)).values(ended_at=wishes.c.due, ended_as="done")
    )
    conn.execute(theirs.values(detail="", reason="", learner_id=None))


def _unpark(conn: Connection, ids: Sequence[int]) -> None:
    """Events that failed, and those that could not even be read but name an address."""
    ours = select(addresses.c.address).where(addresses.c.learner_id.in_(ids))
    conn.execute(delete(parked).where(parked.c.address.in_(ours)))
    for address in conn.execute(ours).scalars():
        raw = (parked.c.address == "", parked.c.event.contains(address, autoescape=True))
        conn.execute(delete(parked).where(*raw))


def _unsay(conn: Connection, ids: Sequence[int]) -> None:
    """What managers and officers were told, or are about to be, in these learners' words."""
    froms = [timers.c.data.contains(f'"from":{id}{end}') for id in ids for end in (",", "}")]
    for at in range(0, len(froms), PARTS):
        conn.execute(delete(timers).where(timers.c.kind.in_(TOLD), or_(*froms[at : at + PARTS])))
    kinds = facts.c.kind.in_(("asked_hr", "used_at_work"))
    said = select(facts.c.data).where(facts.c.learner_id.in_(ids), kinds)
    texts = {text for data in conn.execute(said).scalars() for text in _texts(decode(data))}
    if not texts:
        return
    others = outbox.c.learner_id.in_(_listeners(ids))
    for text in texts:
        quoted = outbox.c.payload.contains(encode(text).decode()[1:-1], autoescape=True)
        conn.execute(update(outbox).where(others, quoted).values(payload="{}"))


def _listeners(ids: Sequence[int]) -> Select[int]:
    """Learners who may have been told something of these: officers, and supervisors."""
    mine = select(learners.c.person_id).where(learners.c.id.in_(ids))
    officers = select(grants.c.person_id).where(grants.c.role.in_(("hr", "privacy")))
    above = select(persons.c.supervisor_id).where(persons.c.id.in_(mine))
    confirmed = select(evidence.c.confirmed_by).where(evidence.c.learner_id.in_(ids))
    whom = officers.union(above, confirmed).subquery()
    return select(learners.c.id).where(learners.c.person_id.in_(select(whom.c.person_id)))


def _texts(data: Any) -> Iterator[str]:
    """Free texts inside a fact, but for those too short to be told from others."""
    for value in data.values() if isinstance(data, dict) else ():
        if isinstance(value, dict) and len(str(value.get("text", ""))) >= SHORTEST:
            yield str(value["text"])


def anonymise(conn: Connection, ids: Sequence[int], now: datetime) -> None:
    """Take from the roster what names these persons. The rows stay, for what refers to them."""
    if not ids:
        return
    today = local(now).toordinal()
    publications.unname(conn, ids)
    signs_in = (sessions, invites, recoveries, accounts)
    for table in (postings, roster_changes, claim_codes, links, *signs_in):
        conn.execute(delete(table).where(table.c.person_id.in_(ids)))
    over = update(grants).where(grants.c.person_id.in_(ids), _runs(today))
    conn.execute(over.values(until_on=today))
    keys = update(tokens).where(tokens.c.person_id.in_(ids))
    conn.execute(keys.values(name=""))
    conn.execute(keys.where(tokens.c.revoked_at.is_(None)).values(revoked_at=now))
    wiped = {"detail": "", "reason": ""}
    conn.execute(update(wishes).where(wishes.c.person_id.in_(ids)).values(wiped))
    blank = dict.fromkeys(("name", "position_type", "title", "level", "kind", "zone"), "")
    gone = func.coalesce(func.nullif(persons.c.left_on, 0), today)
    conn.execute(
        update(persons)
        .where(persons.c.id.in_(ids))
        .values(
            **blank,
            hr_id=literal(GONE) + cast(persons.c.id, String),
            supervisor_id=None,
            started_on=0,
            left_on=gone,
        )
    )


def _runs(today: int) -> ColumnElement[bool]:
    return or_(grants.c.until_on.is_(None), grants.c.until_on > today)


def photo_files(conn: Connection) -> set[str]:
    """Names of the files that somebody's evidence refers to."""
    rows = conn.execute(select(photos.c.file, photos.c.ref))
    return {name for row in rows for name in row if name}
