"""`kaona understand`: what messages mean, a line of JSON for each, without database or settings."""

import sys
from datetime import UTC, datetime
from typing import TextIO
from zoneinfo import ZoneInfo

from msgspec.json import encode

from content.schema import Content
from flows.intents import understand


def moment(text: str, zone: ZoneInfo) -> datetime:
    """The moment that `--now` names, on the agency's clock if it names no other; ValueError if it
    is none."""
    named = datetime.fromisoformat(text)
    return named if named.tzinfo else named.replace(tzinfo=zone)


def answer_all(lines: TextIO, out: TextIO, now: datetime | None, content: Content) -> None:
    """A line of JSON for every line, at once; without `now` each is read at its own moment."""
    while line := lines.readline():
        text = line.removesuffix("\n").removesuffix("\r")
        out.write(answer(text, now or datetime.now(UTC), content) + "\n")
        out.flush()


def answer(text: str, now: datetime, content: Content) -> str:
    """What one message means, as JSON."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    found = understand(text, now, content)
    return encode(
        {
            "text": found.text,
            "intent": found.intent,
            "slots": found.slots,
            "confidence": found.confidence,
        }
    ).decode()


def standard() -> tuple[TextIO, TextIO]:
    """Standard input and output in UTF-8, whatever the machine speaks; bytes that are no letters
    are shown as such."""
    sys.stdin.reconfigure(encoding="utf-8", errors="replace", newline="\n")  # type: ignore[union-attr]
    sys.stdout.reconfigure(encoding="utf-8", errors="replace", newline="\n")  # type: ignore[union-attr]
    return sys.stdin, sys.stdout
