"""Replies as outbox rows: one a platform request, each with a key and a deadline of its own."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from os import urandom
from typing import Any
from uuid import uuid4

from flows.types import Picture, Purpose, Reply
from storage.gathered import encode
from storage.models import to_micros
from storage.wire import Incoming, Lane, Request, Row

Pack = Callable[[str, tuple[Reply, ...]], list[tuple[Reply, ...]]]
"""Cuts replies into platform requests, by the limits of a channel."""

LIFE: dict[Purpose, timedelta] = {
    "reply": timedelta(hours=1),
    "word": timedelta(days=7),
    "digest": timedelta(days=2),
    "mandatory": timedelta(days=7),
    "due": timedelta(days=3),
    "review": timedelta(days=1),
    "encouragement": timedelta(hours=4),
}
"""How long something may wait to be sent before it is better not sent at all."""


def requests(
    learner_id: int,
    to: tuple[str, str],
    incoming: Incoming,
    lane: Lane,
    replies: tuple[Reply, ...],
    now: datetime,
    pack: Pack,
) -> list[tuple[dict[str, Any], Request, list[dict[str, Any]]]]:
    """One outbox row per platform request; the reply token goes to the first."""
    made = []
    token = incoming.reply_token
    for part in pack(to[0], replies) if replies else ():
        drawn = [reply.picture for reply in part if reply.picture]
        tokens = tuple(uuid4().hex for _ in drawn)
        purpose = _purpose(lane, part)
        request = Request(part, tokens)
        kept = [
            _picture(name, learner_id, picture, now)
            for name, picture in zip(tokens, drawn, strict=True)
        ]
        row = {
            "key": new_key(now),
            "learner_id": learner_id,
            "channel": to[0],
            "address": to[1],
            "lane": lane,
            "payload": encode(request).decode(),
            "reply_token": token,
            "token_until": incoming.token_until if token else None,
            "created_at": now,
            "due": now,
            "deadline": now + LIFE[purpose],
            "status": "queued",
            "purpose": purpose,
            "chosen": any(reply.chosen for reply in part),
        }
        made.append((row, request, kept))
        token = ""
    return made


def _purpose(lane: Lane, part: tuple[Reply, ...]) -> Purpose:
    if lane == "reply":
        return "reply"
    return next((reply.purpose for reply in part if reply.purpose != "reply"), "word")


def _picture(token: str, learner_id: int, picture: Picture, now: datetime) -> dict[str, Any]:
    stored = encode(picture).decode()
    return {"token": token, "learner_id": learner_id, "picture": stored, "created_at": now}


def new_key(now: datetime) -> str:
    """A UUID that begins with the time (version 7). New rows stand together in an index, so a
    commit writes few of its pages, however many rows there are."""
    bits = to_micros(now) // 1000 << 80 | int.from_bytes(urandom(10))
    text = f"{bits & ~(0xF << 76 | 3 << 62) | 7 << 76 | 2 << 62:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def as_row(row: Mapping[str, Any], request: Request) -> Row:
    return Row(
        0,
        row["key"],
        row["channel"],
        row["address"],
        row["lane"],
        request,
        1,
        False,
        row["reply_token"],
        row["token_until"],
    )
