"""One-time codes for handing out: where their QR leads, the sheets and the table of them."""

import csv
import io
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from bot.config import Settings
from content.schema import Lang
from flows.calendar import local
from flows.text import long_date
from storage.database import ConfigError

DOORS = ("line", "telegram", "web", "none")
MOST = 2_000
"""People on the sheets of one PDF."""
ACTIVE = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would run."""


class Unwilling(ConfigError):
    """What was asked cannot be done."""


async def door_of(settings: Settings, door: str = "") -> Callable[[str], str]:
    """How a code becomes a link that opens the chat: LINE's before Telegram's before the page's;
    where no channel is on, the QR holds the code itself."""
    if door == "line" or (not door and settings.line_token):
        name = quote(await _ask_name(settings, "line"), safe="")
        return lambda code: f"https://line.me/R/oaMessage/{name}/?{code}"
    if door == "telegram" or (not door and settings.telegram_token):
        name = await _ask_name(settings, "telegram")
        return lambda code: f"https://t.me/{name}?start={code}"
    if door == "web" or (not door and settings.public_url):
        if not settings.public_url:
            raise Unwilling("KAONA_PUBLIC_URL: set it, so that a QR can lead to the web chat")
        # behind the #, which no server and no log on the way ever sees
        return lambda code: f"{settings.public_url}/chat#code={code}"
    return lambda code: code


async def _ask_name(settings: Settings, channel: str) -> str:
    """What our bot is called on a platform: only the platform knows."""
    from bot.setup import name_of

    if not (settings.line_token if channel == "line" else settings.telegram_token):
        raise Unwilling(f"{channel} is not switched on: see .env.example")
    return await name_of(settings, channel)


def sheets(rows: Sequence[dict[str, Any]], copy: dict[str, str], lang: Lang) -> bytes:
    """The PDF of cards to cut; rows are handouts with their `link`."""
    from bot.render import sheets as drawn

    cards = [
        drawn.Card(row["name"], row["unit"], row["path"], row["code"], row["link"]) for row in rows
    ]
    return drawn.pdf(cards, datetime.fromisoformat(rows[0]["until"]), copy, lang)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """For letters by official e-mail: a CSV with one row a person."""
    written = io.StringIO()
    columns = ("hr_id", "name", "unit", "code", "link", "until", "file")
    out = csv.writer(written)
    out.writerow([name for name in columns if name in rows[0]])
    for row in rows:
        until = local(datetime.fromisoformat(row["until"]))
        told = {**row, "until": f"{long_date(until.date(), 'th')} {until:%H:%M}"}
        out.writerow([cell(told[name]) for name in columns if name in row])
    return written.getvalue()


def cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return "'" + text if text.startswith(ACTIVE) else text
