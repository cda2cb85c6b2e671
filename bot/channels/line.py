"""LINE, inwards: whose webhook it is and what happened; and how much one request may carry.

Plain dictionaries throughout: the SDK costs a second and 60 MB, and only the sender needs it.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from bot.channels.body import Fault, digest, moment, part, pressed, read_json, word, words
from bot.channels.line_send import LineSender
from bot.channels.parts import cut, fold_title, sayable
from bot.errors import BadRequest
from flows.types import (
    AnyEvent,
    Kind,
    Left,
    Pressed,
    Reply,
    Said,
    Sent,
    Started,
    Unsent,
)
from storage.wire import Incoming

__all__ = ["LineSender", "pack", "parse", "read_body", "verify"]

TOKEN_LIFE = timedelta(seconds=50)
"""LINE takes a reply token for a minute, and warns not to count on its last seconds."""
MESSAGES = 5
TEXT = 5000

Json = dict[str, Any]


def verify(secret: bytes, body: bytes, signature: bytes) -> bool:
    """Whether LINE signed this body. Bytes, because comparing text may raise on hostile headers."""
    expected = base64.b64encode(hmac.new(secret, body, hashlib.sha256).digest())
    return bool(secret) and hmac.compare_digest(expected, signature)


def read_body(body: bytes) -> Json:
    """The webhook's object; `destination` says which bot it is for."""
    value = read_json(body)
    if not isinstance(value.get("destination"), str):
        raise BadRequest(400, "no destination")
    return value


def parse(
    body: bytes | Json, bot: str, now: datetime
) -> tuple[list[Incoming], list[tuple[Json, str]]]:
    """What happened to whom, and the events that could not be read, each with the reason.

    Events of other kinds and other places than a chat with one person are no fault: LINE adds
    kinds without notice. In `standby` another system has the conversation, so nothing is heard.
    """
    value = read_body(body) if isinstance(body, bytes) else body
    events = value.get("events", [])
    if not isinstance(events, list):
        return [], [({"events": events}, "events is not a list")]
    heard: list[Incoming] = []
    faults: list[tuple[Json, str]] = []
    for event in events:
        if not isinstance(event, dict):
            faults.append(({"event": event}, "event is not an object"))
            continue
        try:
            incoming = _incoming(event, bot, now)
        except Fault as fault:
            faults.append((event, str(fault)))
        else:
            if incoming is not None:
                heard.append(incoming)
    return heard, faults


def _incoming(event: Json, bot: str, now: datetime) -> Incoming | None:
    read = _READERS.get(word(event, "type"))
    if read is None or word({"mode": "active"} | event, "mode") != "active":
        return None
    source = part(event, "source")
    if word(source, "type") != "user":
        return None
    address = word(source, "userId")
    at = moment(event.get("timestamp"), now, per_second=1000)
    token = word(event, "replyToken") if event.get("replyToken") else ""
    return Incoming(
        channel="line",
        bot=bot,
        event_id=_event_id(event),
        address=address,
        event=read(event, at),
        at=at,
        reply_token=token,
        token_until=now + TOKEN_LIFE if token else None,
    )


def _event_id(event: Json) -> str:
    """LINE's own id; without one, a digest that a redelivery does not change."""
    if event.get("webhookEventId"):
        return word(event, "webhookEventId")
    return digest(event, "deliveryContext")


_KINDS: dict[str, Kind] = {
    "sticker": "sticker",
    "image": "photo",
    "video": "video",
    "audio": "voice",
    "location": "location",
    "file": "file",
}


def _message(event: Json, at: datetime) -> AnyEvent:
    message = part(event, "message")
    kind, ref = word(message, "type"), word(message, "id")
    if kind == "text":
        return Said(words(message, "text"), ref, at)
    return Sent(_KINDS.get(kind, "other"), ref, ref)


def _unsend(event: Json, at: datetime) -> AnyEvent:
    return Unsent(word(part(event, "unsend"), "messageId"))


def _postback(event: Json, at: datetime) -> AnyEvent:
    return Pressed(*pressed(words(part(event, "postback"), "data")))


_READERS: dict[str, Callable[[Json, datetime], AnyEvent]] = {
    "message": _message,
    "unsend": _unsend,
    "postback": _postback,
    "follow": lambda event, at: Started(),
    "unfollow": lambda event, at: Left(),
}


# --- outwards: what fits into one request ----------------------------------------------


def pack(replies: tuple[Reply, ...]) -> list[tuple[Reply, ...]]:
    """Share replies out among requests of at most five messages; a picture is one of its own."""
    requests: list[tuple[Reply, ...]] = []
    room = 0
    for reply in sayable(replies):
        for piece in cut(fold_title(reply), TEXT):
            size = 2 if piece.picture else 1
            if size > room:
                requests.append(())
                room = MESSAGES
            requests[-1] += (piece,)
            room -= size
    return requests
