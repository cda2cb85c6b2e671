"""What got stuck: events whose turn failed, and messages that may have arrived or not. Nobody's
words and nobody's name are shown."""

from datetime import datetime
from pathlib import PurePath
from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from bot.console import tables
from bot.console.forms import number
from bot.console.pages import Page, Visit
from bot.console.tables import Column
from bot.errors import BadRequest
from flows import reports as said
from storage import doubts, parked
from storage.campaigns import Refused
from storage.doubts import Doubts
from storage.scope import Power


async def index(visit: Visit) -> Response:
    return await _shown(visit)


async def _shown(visit: Visit, ticked: list[int] | None = None, **faults: str) -> Response:
    """Both lists. `faults`: of the events (`parked`, `discard`) or of the messages (`sends`)."""
    words, scope = visit.words, visit.scope
    order, down = tables.order(visit, parked.ORDERS, "at")
    start = tables.offset(visit)

    def look(conn: Connection) -> tuple[Any, list[Doubts]]:
        rows = parked.listing(conn, tables.PAGE + 1, start, order or "at", down=down)
        return rows, doubts.listing(conn, scope)

    rows, sends = await visit.read(look)
    found, turned = tables.turn(visit, rows)
    columns = [
        Column("at", words["stuck_at"]),
        Column("channel", words["stuck_channel"]),
        Column("error", words["stuck_error"]),
    ]
    return visit.show(
        "stuck",
        422 if faults else 200,
        heads=tables.heads(visit, columns, "at"),
        rows=[_row(row, visit) for row in found],
        ticked=ticked or [],
        turned=turned,
        sends=[_send(each, visit) for each in sends],
        faults=faults,
    )


def _row(row: Any, visit: Visit) -> dict[str, Any]:
    """An event: when, on which channel, and of which kind and where the error was."""
    kind, _, where = row.error.partition(" at ")
    place = f" ({PurePath(where).name})" if where else ""
    return {
        "id": row.id,
        "at": said.moment(row.at, visit.lang),
        "channel": _channel(row.channel, visit),
        "error": kind + place,
        "readable": row.readable,
    }


def _channel(id: str, visit: Visit) -> str:
    return visit.words.get("stuck_channel_" + id, id)


def _send(each: Doubts, visit: Visit) -> dict[str, Any]:
    words = visit.words
    return {
        "campaign": each.campaign,
        "name": each.name or words.get("stuck_purpose_" + each.purpose, each.purpose),
        "purpose": each.purpose,
        "channel": each.channel,
        "where": _channel(each.channel, visit),
        "many": f"{each.many:,}",
        "again": each.again,
        "since": said.moment(each.since, visit.lang),
        "until": each.until,
    }


# --- events ------------------------------------------------------------------------------


async def decide(visit: Visit) -> Response:
    """Give ticked events another turn, or let them go for good."""
    do, words = visit.said("do"), visit.words
    if do not in ("replay", "discard"):
        raise BadRequest(400, "bad_form")
    ids = sorted({id for id in map(number, visit.form.many("id")) if id})[: tables.PAGE]
    if not ids:
        return await _shown(visit, parked=words["stuck_none_ticked"])
    if do == "discard" and not visit.said("sure"):
        return await _shown(visit, ids, discard=words["stuck_unsure"])
    control, by = visit.app.control, visit.session.person_id
    act = control.do_replay if do == "replay" else control.do_discard
    done = [id for id in ids if await act(id, by)]
    again = 0
    if do == "replay":
        again = await visit.read(lambda conn: parked.failed_again(conn, done))
    told = [words[f"stuck_done_{do}"].format(n=len(done) - again)]
    told += [words["stuck_again"].format(n=again)] if again else []
    told += [words["stuck_not"].format(n=len(ids) - len(done))] if len(done) < len(ids) else []
    return visit.go("stuck", " ".join(told))


# --- messages ----------------------------------------------------------------------------


async def resend(visit: Visit) -> Response:
    """Send once more what may have arrived or not; only a person decides that."""
    scope, words, content = visit.scope, visit.words, visit.app.content
    campaign, until = (number(visit.said(each)) or 0 for each in ("campaign", "until"))
    channel = visit.said("channel")
    if not visit.said("sure"):
        return await _shown(visit, sends=words["stuck_resend_unsure"])
    if not (campaign and until and channel):
        raise BadRequest(400, "bad_form")

    def work(conn: Connection, now: datetime) -> int:
        return doubts.resend(conn, scope, campaign, channel, until, now, content)

    try:
        many = await visit.write(work)
    except Refused:
        return await _shown(visit, sends=words["stuck_sends_gone"])
    return visit.go("stuck", words["stuck_resent"].format(n=f"{many:,}"))


async def leave(visit: Visit) -> Response:
    """Let it be: whether it has arrived stays unknown."""
    scope, words = visit.scope, visit.words
    campaign, until = (number(visit.said(each)) or 0 for each in ("campaign", "until"))
    purpose, channel = visit.said("purpose"), visit.said("channel")

    def work(conn: Connection, now: datetime) -> int:
        return doubts.leave(conn, scope, campaign, purpose, channel, until, now)

    many = await visit.write(work)
    if not many:
        return await _shown(visit, sends=words["stuck_sends_gone"])
    return visit.go("stuck", words["stuck_left"].format(n=f"{many:,}"))


NEEDS: tuple[Power, ...] = ("system",)
PAGES = (
    Page("/stuck", index, NEEDS, place="stuck"),
    Page("/stuck", decide, NEEDS, "POST", place="stuck"),
    Page("/stuck/resend", resend, NEEDS, "POST", proof=True, place="stuck"),
    Page("/stuck/leave", leave, NEEDS, "POST", place="stuck"),
)
