"""Taking things back: a message that was unsent, reminders that were stopped, everything."""

from datetime import datetime
from typing import Any

from msgspec.json import decode, encode
from sqlalchemy import Connection, delete, select, update

from storage.models import (
    UNASKED,
    addresses,
    certificates,
    claim_tries,
    downloads,
    evidence,
    facts,
    holdouts,
    learners,
    links,
    measures,
    milestones,
    outbox,
    parked,
    photos,
    pictures,
    profiles,
    timers,
)


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
    for link in conn.execute(
        _journal(learner_id).where(links.c.data.contains(message, autoescape=True))
    ).all():
        blank = encode(_scrubbed_states(decode(link.data), message)).decode()
        conn.execute(update(links).where(links.c.id == link.id).values(data=blank))
    # a summary that was sent may have quoted it; what is under way may have to go once more
    ended = outbox.c.status.not_in(("queued", "sending", "held", "riding"))
    conn.execute(
        update(outbox).where(outbox.c.learner_id == learner_id, ended).values(payload="{}")
    )


def _journal(learner_id: int) -> Any:
    """What the journal keeps of chats that were put together with this learner's."""
    person = select(learners.c.person_id).where(learners.c.id == learner_id).scalar_subquery()
    return select(links.c.id, links.c.data).where(links.c.person_id == person)


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
        .values(status="cancelled", reason="stopped", ended_at=now, payload="{}")
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
)


def erase(conn: Connection, learner_id: int) -> None:
    """Delete every row about a learner. The files of photos follow within the hour: the sender
    keeps only those that a row knows."""
    ours = select(addresses.c.address).where(addresses.c.learner_id == learner_id)
    conn.execute(delete(parked).where(parked.c.address.in_(ours)))
    kept = _journal(learner_id).with_only_columns(links.c.id)
    conn.execute(update(links).where(links.c.id.in_(kept)).values(data="{}"))
    for table in _THEIRS:
        conn.execute(delete(table).where(table.c.learner_id == learner_id))
    conn.execute(delete(learners).where(learners.c.id == learner_id))


def photo_files(conn: Connection) -> set[str]:
    """Names of the files that somebody's evidence refers to."""
    rows = conn.execute(select(photos.c.file, photos.c.ref))
    return {name for row in rows for name in row if name}
