"""What many outbox rows say, kept once; placeholders are filled in for each person."""

from collections.abc import Iterable, Mapping

from msgspec.json import Decoder, encode
from msgspec.structs import replace
from sqlalchemy import Connection, insert, select

from flows.types import Reply
from storage.models import messages
from storage.wire import Request

_decode = Decoder(Request).decode

Words = tuple[Request, tuple[str, ...]]
"""A request, and the names of the placeholders in it."""


def keep(conn: Connection, replies: tuple[Reply, ...], slots: Iterable[str] = ()) -> int:
    """Store what a campaign says in one language; its id."""
    row = {"payload": encode(Request(replies)).decode(), "slots": ",".join(slots)}
    made: int = conn.execute(insert(messages).values(row).returning(messages.c.id)).scalar_one()
    return made


def load(conn: Connection, ids: Iterable[int]) -> dict[int, Words]:
    rows = conn.execute(select(messages).where(messages.c.id.in_(set(ids))))
    return {
        row.id: (_decode(row.payload), tuple(filter(None, row.slots.split(",")))) for row in rows
    }


def fill(words: Words, values: Mapping[str, str]) -> Request:
    """The request for one person: `values` by placeholder."""
    request, slots = words
    if not slots:
        return request
    return replace(
        request, replies=tuple(filled(reply, slots, values) for reply in request.replies)
    )


def filled(reply: Reply, slots: tuple[str, ...], values: Mapping[str, str]) -> Reply:
    """What one person gets to read."""
    text, title = reply.text, reply.title
    for slot in slots:
        mark, value = "{" + slot + "}", values.get(slot, "")
        text, title = text.replace(mark, value), title.replace(mark, value)
    return replace(reply, text=text, title=title)
