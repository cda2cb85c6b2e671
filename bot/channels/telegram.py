"""Telegram, inwards: what an update says happened; and how much one message may carry.

Plain dictionaries throughout: PTB takes ten times as long to read an update, and refuses some.
"""

import hmac
from datetime import datetime
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from bot.channels.body import Fault, digest, moment, number, part, pressed, read_json, word, words
from bot.channels.parts import cut, sayable, titled
from bot.channels.telegram_send import TelegramSender
from content.schema import Lang
from flows.text import utf16_len
from flows.types import AnyEvent, Kind, Left, Pressed, Reply, Said, Sent, Started
from storage.wire import Incoming

__all__ = ["Parsed", "TelegramSender", "pack", "parse", "read_json", "verify"]

TEXT = 4096
CAPTION = 1024

Json = dict[str, Any]


class Parsed(Struct):
    """What one update holds: events, what could not be read, groups to leave, and presses that
    must be acknowledged whatever becomes of them, or the button shows a clock for a minute."""

    incoming: list[Incoming] = field(default_factory=list)
    faults: list[tuple[Json, str]] = field(default_factory=list)
    leave: list[str] = field(default_factory=list)
    callbacks: list[str] = field(default_factory=list)


def verify(secret: bytes, header: bytes) -> bool:
    """Whether the caller knows the secret that we gave Telegram. Without one nobody does."""
    return bool(secret) and hmac.compare_digest(secret, header)


def parse(update: Json, bot: str, now: datetime) -> Parsed:
    """What happened to whom. Nothing that JSON can hold makes it raise."""
    parsed = Parsed()
    try:
        _read(update, bot, now, parsed)
    except Fault as fault:
        shown = update if isinstance(update, dict) else {"update": update}
        parsed.faults.append((shown, str(fault)))
    return parsed


def _read(update: Json, bot: str, now: datetime, parsed: Parsed) -> None:
    if not isinstance(update, dict):
        raise Fault("update is not an object")
    query = update.get("callback_query")
    if isinstance(query, dict) and isinstance(query.get("id"), str):
        parsed.callbacks.append(word(query, "id"))
    kind = next((kind for kind in _READERS if kind in update), None)
    if kind is None:  # an edited message, or something that we did not ask for
        return
    found = part(update, kind)
    chat = _chat(found, kind)
    if word(chat, "type") != "private":
        if not _gone(found):
            parsed.leave.append(str(number(chat, "id")))
        return
    at = moment(found.get("date"), now)
    if (event := _READERS[kind](found, at)) is not None:
        parsed.incoming.append(
            Incoming(
                channel="telegram",
                bot=bot,
                event_id=_event_id(update),
                address=str(number(chat, "id")),
                event=event,
                at=at,
                lang=_lang(found),
            )
        )


def _event_id(update: Json) -> str:
    return str(number(update, "update_id")) if update.get("update_id") else digest(update)


def _chat(found: Json, kind: str) -> Json:
    """The chat it happened in. A press on an old message may come without the message."""
    if kind == "callback_query":
        if "message" not in found:
            return {"id": number(part(found, "from"), "id"), "type": "private"}
        found = part(found, "message")
    return part(found, "chat")


def _gone(found: Json) -> bool:
    """We are out of the group already."""
    member = found.get("new_chat_member")
    return isinstance(member, dict) and member.get("status") in ("left", "kicked")


def _lang(found: Json) -> Lang | None:
    sender = found.get("from")
    code = sender.get("language_code") if isinstance(sender, dict) else None
    if not isinstance(code, str):
        return None
    return "th" if code.startswith("th") else "en" if code.startswith("en") else None


# --- what can happen -------------------------------------------------------------------

_KINDS: dict[str, Kind] = {
    "photo": "photo",
    "sticker": "sticker",
    "voice": "voice",
    "audio": "voice",
    "video": "video",
    "video_note": "video",
    "animation": "video",  # it comes as a document as well: the first that fits counts
    "document": "file",
    "venue": "location",
    "location": "location",
    "contact": "contact",
}
_SERVICE = frozenset(
    (
        "pinned_message",
        "message_auto_delete_timer_changed",
        "write_access_allowed",
        "chat_background_set",
        "connected_website",
        "users_shared",
        "chat_shared",
        "successful_payment",
        "refunded_payment",
    )
)
"""Notes that Telegram puts into a chat; nobody wrote them to us."""


def _message(message: Json, at: datetime) -> AnyEvent | None:
    message_id = str(number(message, "message_id"))
    if "text" in message:
        return _said(words(message, "text"), message_id, at)
    for key, kind in _KINDS.items():
        if key in message:
            return Sent(kind, _ref(message[key]), message_id)
    if not _SERVICE.isdisjoint(message):
        return None
    return Sent("other", "", message_id)


def _said(text: str, message_id: str, at: datetime) -> AnyEvent:
    """What was typed. A command may carry our name; `/start` is what the start button sends."""
    if not text.startswith("/"):
        return Said(text, message_id, at)
    head, space, rest = text.partition(" ")
    command = head.partition("@")[0]
    if command == "/start":
        return Started(rest.strip()[:64])
    return Said(command + space + rest, message_id, at)


def _ref(found: object) -> str:
    """What fetches it; of a photo's sizes, the largest."""
    if isinstance(found, list):
        sizes = [size for size in found if isinstance(size, dict)]
        found = max(sizes, key=_area, default=None)
    ref = found.get("file_id") if isinstance(found, dict) else None
    return ref if isinstance(ref, str) and ref.isascii() and len(ref) <= 256 else ""


def _area(size: Json) -> int:
    width, height = size.get("width"), size.get("height")
    return width * height if isinstance(width, int) and isinstance(height, int) else 0


def _callback(query: Json, at: datetime) -> AnyEvent:
    data = query.get("data")
    return Pressed(*pressed(words(query, "data"))) if data is not None else Pressed("", "")


def _member(change: Json, at: datetime) -> AnyEvent | None:
    """In a private chat the status is whether the learner has blocked us."""
    match word(part(change, "new_chat_member"), "status"):
        case "kicked":
            return Left()
        case "member":
            return Started()
        case _:
            return None


def _group_only(post: Json, at: datetime) -> None:
    """Channels have no private chat: there is nothing to hear, only somewhere to leave."""


_READERS = {
    "message": _message,
    "callback_query": _callback,
    "my_chat_member": _member,
    "channel_post": _group_only,
}


# --- outwards: what fits into one message ----------------------------------------------


def pack(replies: tuple[Reply, ...]) -> list[tuple[Reply, ...]]:
    """One message a request. A picture's caption is short, so a longer text follows it."""
    requests: list[tuple[Reply, ...]] = []
    for reply in sayable(replies):
        reply = replace(reply, text=titled(reply), title="")
        if reply.picture and utf16_len(reply.text) > CAPTION:
            requests.append((Reply("", picture=reply.picture, notify=reply.notify),))
            reply = replace(reply, picture=None)
        requests.extend((piece,) for piece in cut(reply, TEXT))
    return requests
