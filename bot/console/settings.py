"""How the system is set up: channels and whether they work, the month's messages, health, and every
value with where it comes from. Nothing secret is shown, and nothing is changed here."""

import asyncio
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from bot import probes
from bot.config import Settings, origin
from bot.console.pages import Page, Visit
from bot.errors import BadRequest
from bot.probes import PROBES, Found, Probed
from flows import reports as said
from flows.calendar import ends
from flows.text import long_date
from storage import audit, quota
from storage.database import HEAD
from storage.scope import Power

SECRETS = frozenset(
    {"secret_key", "line_secret", "line_token", "telegram_token", "telegram_secret",
     "oidc_client_secret", "badge_key", "database_url"}
)  # fmt: skip
"""Only told to be there. The database's address may hold a password."""
BACK = {"settings": "settings", "setup": "setup"}


async def index(visit: Visit) -> Response:
    app, content = visit.app, visit.app.content
    now = app.clock()
    month = await visit.read(lambda conn: quota.read(conn, now))
    last = ends(content)
    return visit.show(
        "settings",
        channels=[channel(visit, name) for name in PROBES],
        month=_month(visit, month),
        checks=[
            (visit.words["health_" + name], good) for name, good in (await app.health()).items()
        ],
        engine="SQLite" if app.db.sqlite else "PostgreSQL",
        schema=await asyncio.to_thread(app.db.version),
        expected=HEAD,
        release=_version(),
        calendar=long_date(last, visit.lang),
        values=_values(visit),
    )


def _version() -> str:
    try:
        return version("kaona")
    except PackageNotFoundError:  # run from its folder
        return "–"


def _month(visit: Visit, month: quota.Quota) -> dict[str, str]:
    most = visit.words["quota_any"] if month.most is None else f"{month.most:,}"
    told = said.moment(month.told_at, visit.lang) if month.told_at else "–"
    return {"most": most, "used": f"{month.used:,}", "told": told}


def channel(visit: Visit, name: str) -> dict[str, Any]:
    """A channel: on or off, where its platform calls us, and what it said when it was asked."""
    settings, probed = visit.app.settings, visit.app.probed.get(name)
    on = bool(settings.line_token if name == "line" else settings.telegram_token)
    address = probes.line_address(settings) if name == "line" else ""
    if name == "telegram" and settings.telegram_mode == "webhook":
        address = probes.telegram_address(settings)
    return {
        "id": name,
        "name": visit.words["channel_" + name],
        "on": on,
        "address": address if settings.public_url else "",
        "at": said.moment(probed.at, visit.lang) if probed else "",
        "found": [fact(visit, each) for each in probed.found] if probed else [],
    }


def fact(visit: Visit, found: Found) -> dict[str, Any]:
    """One fact in words, and what to do about it."""
    mend = visit.words.get("mend_" + found.id, "") if found.good is not True else ""
    address = {"line": probes.line_address, "telegram": probes.telegram_address}
    ours = address[found.id.partition("_")[0]](visit.app.settings)
    told = visit.words["probe_" + found.id].format(**found.slots)
    return {"good": found.good, "text": told, "mend": mend.format(ours=ours)}


def _values(visit: Visit) -> list[dict[str, str]]:
    """Every setting: its name for the operator, its value, and where that comes from."""
    settings = visit.app.settings
    return [
        {
            "name": str(field.validation_alias),
            "value": _value(visit, name, getattr(settings, name)),
            "origin": visit.words["origin_" + origin(settings, name)],
        }
        for name, field in Settings.model_fields.items()
    ]


def _value(visit: Visit, name: str, value: Any) -> str:
    if name in SECRETS:
        return visit.words["value_set" if value else "value_unset"]
    return str(value) if value != "" else visit.words["value_unset"]


async def test(visit: Visit) -> Response:
    """Ask a platform now, and go back to where the answer is shown."""
    name, back = visit.said("channel"), BACK.get(visit.said("back"), "settings")
    if name not in PROBES or not channel(visit, name)["on"]:
        raise BadRequest(404, "not_found")
    found = await probe(visit, name)
    bad = sum(each.good is False for each in found)
    by = visit.session.person_id

    def note(conn: Connection, now: Any) -> None:
        audit.note(conn, by, "channel_tested", name, now, faults=bad)

    await visit.write(note)
    key = "probe_faults" if bad else "probe_fine"
    said_ = visit.words[key].format(channel=visit.words["channel_" + name], n=bad)
    return visit.go(back, said_)


async def probe(visit: Visit, name: str) -> tuple[Found, ...]:
    now = visit.app.clock()
    found = await PROBES[name](visit.app.settings, now)
    visit.app.probed[name] = Probed(now, found)
    return found


NEEDS: tuple[Power, ...] = ("system",)
PAGES = (
    Page("/settings", index, NEEDS, place="settings"),
    Page("/settings/test", test, NEEDS, "POST", place="settings"),
)
