"""Reading what strangers send: JSON that may be hostile, and values that may be of any type."""

import json
import re
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from bot.errors import BadRequest
from flows.text import clean

LARGEST = 1024 * 1024
DEEPEST = 32
LONGEST_ID = 128
LONGEST_TEXT = 5000
"""UTF-16 code units: what LINE lets somebody type, and more than Telegram does."""
_CENTURY = 4102444800.0
_TOKENS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\Z)|[\[\]{}]', re.DOTALL)


class Fault(Exception):
    """One event that cannot be read; the others of its body are none the worse for it."""


def read_json(body: bytes) -> dict[str, Any]:
    """The object in `body`. Size, depth and long integers are looked at before they can hurt."""
    if len(body) > LARGEST:
        raise BadRequest(413, "body too large")
    if body.count(b"[") + body.count(b"{") > DEEPEST and _depth(body) > DEEPEST:
        raise BadRequest(400, "nested too deeply")
    try:
        value = json.loads(body.decode("utf-8"), parse_int=_integer)
    except (ValueError, RecursionError):
        raise BadRequest(400, "not JSON") from None
    if not isinstance(value, dict):
        raise BadRequest(400, "not an object")
    return value


def _depth(body: bytes) -> int:
    """How deep brackets nest outside strings; it stops counting once that is too deep."""
    depth = deepest = 0
    for token in _TOKENS.finditer(body):
        mark = body[token.start()]
        if mark in b"[{":
            depth += 1
            deepest = max(deepest, depth)
            if deepest > DEEPEST:
                break
        elif mark in b"]}":
            depth -= 1
    return deepest


def _integer(digits: str) -> int:
    """No identifier and no time has more digits; Python refuses 4,301 of them by raising."""
    return int(digits) if len(digits) <= 20 else 0


def part(value: dict[str, Any], key: str) -> dict[str, Any]:
    """The object under `key`, which must be there."""
    inner = value.get(key)
    if not isinstance(inner, dict):
        raise Fault(f"{key} is not an object")
    return inner


def word(value: dict[str, Any], key: str) -> str:
    """The short text under `key`, which must be there: an id or a token."""
    text = value.get(key)
    if not isinstance(text, str) or len(text) > LONGEST_ID or not (text := clean(text)):
        raise Fault(f"{key} is not a short text")
    return text


def number(value: dict[str, Any], key: str) -> int:
    """The whole number under `key`, which must be there."""
    found = value.get(key)
    if not isinstance(found, int) or isinstance(found, bool) or abs(found) >= 1 << 63:
        raise Fault(f"{key} is not a number")
    return found


def words(value: dict[str, Any], key: str) -> str:
    """The text under `key`: storable, and no longer than a platform lets somebody type."""
    text = value.get(key)
    if not isinstance(text, str):
        raise Fault(f"{key} is not a text")
    text = clean(text)
    if 2 * len(text) <= LONGEST_TEXT:
        return text
    return text.encode("utf-16-le")[: 2 * LONGEST_TEXT].decode("utf-16-le", "ignore")


def moment(value: object, now: datetime, per_second: int = 1) -> datetime:
    """The time that `value` means; `now` if it means none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return now
    if not 0 < value < _CENTURY * per_second:  # before dividing: some integers are no float
        return now
    return datetime.fromtimestamp(value / per_second, UTC)


def pressed(data: str) -> tuple[str, str]:
    """The stamp and the choice in a button's data; a press that is not ours has no stamp."""
    stamp, colon, choice = clean(data).partition(":")
    return (stamp, choice) if stamp and colon and choice else ("", clean(data)[:64])


def digest(event: dict[str, Any], *without: str) -> str:
    """An id for an event that brings none: the same event has the same one."""
    kept = {key: value for key, value in event.items() if key not in without}
    try:
        text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        raise Fault("event has no id") from None
    return sha256(text.encode()).hexdigest()
