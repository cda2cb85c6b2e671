"""How a team stands, for whoever leads it: the figures that the chat tells, no others."""

from typing import Any

from starlette.responses import Response

from bot.console.forms import number
from bot.console.pages import Page, Visit
from bot.errors import BadRequest
from flows import digest
from flows.types import State
from storage import teams
from storage.scope import Power


async def team(visit: Visit) -> Response:
    """A unit's newest published figures, and the units below it."""
    asked, after = (number(visit.asked(each) or "0") for each in ("unit", "after"))
    if asked is None or after is None:
        raise BadRequest(404, "not_found")
    scope = visit.scope
    data = await visit.read(lambda conn: teams.shown(conn, scope, asked, after))
    if data["result"] == "none" and asked:
        raise BadRequest(404, "not_found")
    return visit.show("team", data=data, **_said(visit, data))


def _said(visit: Visit, data: dict[str, Any]) -> dict[str, Any]:
    """In the words of the chat, with a bar for each step."""
    if data["result"] != "figures":
        return {"text": "", "rows": []}
    reply = digest.summary(State(0, lang=visit.lang), data, visit.app.content)
    assert reply.picture is not None
    rows = reply.picture.data["rows"]
    most = max((row["people"] for row in rows), default=0) or 1
    bars = [{**row, "wide": round(100 * row["people"] / most, 1)} for row in rows]
    return {"text": reply.text, "rows": bars}


NEEDS: tuple[Power, ...] = ("team",)
PAGES = (Page("/team", team, NEEDS, place="team"),)
