"""Which chats are whose: the journal as HR reads it, and ending a link."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec.json import decode
from msgspec.structs import replace
from sqlalchemy import Connection, select, update

from content.schema import Content, Lang
from storage import audit, merges, notices, profiles
from storage.gathered import decode_state, encode
from storage.looks import note_link
from storage.merges import Done
from storage.models import addresses, learners, links, persons, units
from storage.requests import Pack
from storage.scope import Scope

SHOWN = 200
"""Rows of a listing."""
UNDOABLE = ("merged", "relinked")


class Refused(Exception):
    """What was asked cannot be done; the sentence `link_wrong_<key>` says what to do instead."""

    def __init__(self, key: str, **slots: object) -> None:
        super().__init__(key)
        self.key = key
        self.slots = slots

    def say(self, lang: Lang, content: Content) -> str:
        return content.copy_[lang]["link_wrong_" + self.key].format_map(self.slots)


def listing(conn: Connection, scope: Scope, hr_id: str, now: datetime) -> Sequence[Any]:
    """What was linked and parted, the newest first, of everybody in scope or of one person."""
    rows = (
        select(
            links.c.id,
            links.c.at,
            links.c.what,
            links.c.channel,
            links.c.person_id,
            persons.c.hr_id,
        )
        .join(persons, persons.c.id == links.c.person_id)
        .where(scope.covers("roster", persons.c.unit_id))
        .order_by(links.c.id.desc())
        .limit(SHOWN)
    )
    found = conn.execute(rows.where(persons.c.hr_id == hr_id) if hr_id else rows).all()
    target = f"person:{_person(conn, scope, hr_id).id}" if hr_id else "agency"
    audit.note(conn, scope.viewer, "links_seen", target, now, rows=len(found))
    return found


def unlink(
    conn: Connection, scope: Scope, hr_id: str, now: datetime, content: Content, pack: Pack
) -> Done:
    """Part a person from their learner, who goes on as a guest with what they did. The person can
    claim again with a new code."""
    audit.hold(conn)
    who = _person(conn, scope, hr_id)
    learner_id = conn.execute(select(learners.c.id).where(learners.c.person_id == who.id)).scalar()
    if learner_id is None:
        raise Refused("no_link", who=hr_id)
    held = merges.hold(conn, [learner_id])
    if not held:
        return Done(waits=True)
    learner = held[learner_id]
    state = replace(decode_state(learner.state), person=None)
    free = update(learners).where(learners.c.id == learner_id)
    conn.execute(free.values(person_id=None, state=encode(state).decode()))
    to = (learner.channel, learner.address)
    profiles.store(conn, [profiles.as_row(learner_id, *to, state, content)])
    profiles.place(conn, [learner_id])
    note_link(conn, who.id, learner_id, "unlinked", learner.channel, now, scope.viewer)
    mine = select(addresses.c.channel, addresses.c.address)
    found = conn.execute(mine.where(addresses.c.learner_id == learner_id)).all()
    chats = [(row.channel, row.address) for row in found]
    return Done(notices.say(conn, state.lang, chats, "claim_unlinked", now, content, pack))


def unmerge(
    conn: Connection, scope: Scope, link_id: int, now: datetime, content: Content, pack: Pack
) -> Done:
    """Undo what a link in the journal did, once."""
    link = conn.execute(select(links).where(links.c.id == link_id)).first()
    if link is None or link.what not in UNDOABLE:
        raise Refused("no_merge", n=link_id)
    hr_id = select(persons.c.hr_id).where(persons.c.id == link.person_id)
    _person(conn, scope, conn.execute(hr_id).scalar_one())
    if link.data == "{}" or _undone(conn, link) or not _stands(conn, link):
        raise Refused("over", n=link_id)
    return merges.unmerge(conn, link, scope.viewer, now, content, pack)


def _stands(conn: Connection, link: Any) -> bool:
    """The learner is there still, and is that person."""
    mine = select(learners.c.person_id).where(learners.c.id == link.learner_id)
    return bool(conn.execute(mine).scalar() == link.person_id)


def _undone(conn: Connection, link: Any) -> bool:
    since = select(links.c.data).where(
        links.c.person_id == link.person_id, links.c.what == "unmerged", links.c.id > link.id
    )
    return any(decode(data).get("link") == link.id for data in conn.execute(since).scalars())


def _person(conn: Connection, scope: Scope, hr_id: str) -> Any:
    """A person by HR's id, if the viewer may change the roster there."""
    found = conn.execute(
        select(persons.c.id, units.c.path)
        .join(units, units.c.id == persons.c.unit_id)
        .where(persons.c.hr_id == hr_id)
    ).first()
    if found is None or not scope.may("roster", found.path):
        raise Refused("nobody", who=hr_id)
    return found
