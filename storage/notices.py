"""Words to chats and to HR when a chat was linked to a person, or parted from one."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, select

from content.schema import Content, Lang
from flows.calendar import local, next_permitted
from flows.text import long_date
from flows.types import Reply, Started
from storage.gathered import decode_state
from storage.looks import wake
from storage.many import insert_many
from storage.models import learners, outbox, persons, units
from storage.requests import LIFE, Pack, as_row, requests
from storage.scope import holders, scope_of
from storage.wire import Incoming, Row

At = tuple[str, str]
"""A channel, and an address on it."""


def linked(
    conn: Connection,
    learner: Any,
    to: Iterable[At],
    key: str,
    channel: str,
    now: datetime,
    content: Content,
    pack: Pack,
) -> list[Row]:
    """Tell a person's other chats that one on this channel was linked, and when."""
    state = decode_state(learner.state)
    here, copy = local(now, state.zone), content.copy_[state.lang]
    slots = {
        "channel": copy[f"channel_{channel}"],
        "date": long_date(here.date(), state.lang),
        "time": f"{here:%H:%M}",
    }
    return say(conn, state.lang, to, key, now, content, pack, **slots)


def say(
    conn: Connection,
    lang: Lang,
    to: Iterable[At],
    key: str,
    now: datetime,
    content: Content,
    pack: Pack,
    **slots: str,
) -> list[Row]:
    """A sentence to chats, at once: it is about safety, and belongs to no learner."""
    text = content.copy_[lang][key]
    reply = Reply(text.format_map(slots) if slots else text, notify=True)
    rows, queued = [], []
    for channel, address in to:
        nobody = Incoming(channel, "kaona", "", address, Started(), now)
        made = requests(0, (channel, address), nobody, "reply", (reply,), now, pack)
        for row, request, _ in made:
            row |= {"learner_id": None, "deadline": now + LIFE["word"]}
            rows.append(row)
            queued.append(as_row(row, request))
    insert_many(conn, outbox, rows)
    return queued


def tell_hr(
    conn: Connection, person_id: int, link: int, channel: str, now: datetime, content: Content
) -> None:
    """Wake the HR officers who look after this person's unit and chat with the bot."""
    who = conn.execute(
        select(persons.c.name, units.c.name.label("unit"), units.c.path)
        .join(units, units.c.id == persons.c.unit_id)
        .where(persons.c.id == person_id)
    ).one()
    officers = select(learners.c.id, learners.c.person_id)
    officers = officers.where(learners.c.person_id.in_(holders("hr", now)))
    data = {"who": who.name, "unit": who.unit, "channel": channel}
    data |= {"link": link, "at": now.isoformat()}
    due = next_permitted(now, "", content)
    for officer in conn.execute(officers.order_by(learners.c.id)).all():
        if scope_of(conn, officer.person_id, now).may("roster", who.path):
            wake(conn, officer.id, "relinked", str(uuid4()), due, data)
