"""What HR asks of the agency's programme, of uses at work and of the report for OCSC, carried out
by whoever holds the database; answers are plain JSON."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins
from pydantic import ValidationError
from sqlalchemy import Connection

from content.schema import Content, Lang, Programme
from flows.composed import compose
from flows.programme import Trouble, maturity
from flows.report import Audience, Counted, make
from storage import audit, chosen, ocsc, programmes
from storage.campaigns import Refused
from storage.scope import OPERATOR, Scope

if TYPE_CHECKING:
    from bot.app import App

YEARS = range(2560, 2700)
"""Fiscal years of the Buddhist era that can be asked for."""
AUDIENCES: tuple[Audience, ...] = ("ocsc", "internal")


class Office:
    """One command by name. What cannot be done is an answer, too: `{"refused": [sentences]}`, in
    the language of whoever asked."""

    def __init__(self, app: "App", lang: Lang = "en") -> None:
        self._app = app
        self._lang = lang

    async def ask(self, do: str, args: dict[str, Any]) -> Any:
        try:
            if "year" in args:
                _require_year(args["year"])
            return await _COMMANDS[do](self._app, **args)
        except Refused as error:
            content, lang = self._app.content, self._lang
            return {"refused": [problem.say(lang, content) for problem in error.problems]}


def _require_year(year: int) -> None:
    if year not in YEARS:
        raise Refused(Trouble(("year",), "no_year", {"value": year}))


# --- the programme -----------------------------------------------------------------------


async def _show(app: "App", year: int) -> dict[str, Any]:
    there = await app.read(lambda conn: programmes.current(conn, year))
    if there is None:
        raise Refused(Trouble(("year",), "none", {"year": year}))
    return {
        "programme": there.model_dump(mode="json", by_alias=True),
        "maturity": to_builtins(maturity(there.maturity, app.content.cycle)),
    }


async def _set(app: "App", year: int, plain: dict[str, Any], by: str) -> dict[str, Any]:
    try:
        made = Programme.model_validate(plain)
    except ValidationError as error:
        raise unreadable(error) from error
    version = await app.dispatcher.run(
        lambda conn, now: programmes.keep(conn, year, made, by, now, app.content)
    )
    return {"version": version}


def unreadable(error: ValidationError) -> Refused:
    """Every field that does not fit is named."""
    return Refused(
        *(
            Trouble(tuple(map(str, fault["loc"])), "shape", {"what": fault["msg"]})
            for fault in error.errors()
        )
    )


async def _assess(
    app: "App", year: int, answers: dict[str, bool], version: int, by: str
) -> dict[str, Any]:
    made = await app.dispatcher.run(
        lambda conn, now: programmes.assess(conn, year, answers, version, by, now, app.content)
    )
    return {"version": made}


# --- uses at work ------------------------------------------------------------------------


async def _uses(app: "App", by: str, status: str = "", after: int = 0) -> list[dict[str, Any]]:
    """What learners wrote, by name for whoever may see names; that it was read is noted first."""
    now = app.clock()

    def work(conn: Connection) -> tuple[Scope, list[dict[str, Any]]]:
        scope = programmes.someone(conn, by, "names", now)
        return scope, list(chosen.listing(conn, scope, status, after, app.content))

    scope, rows = await app.read(work)
    await app.dispatcher.run(lambda conn, at: chosen.viewed(conn, scope, len(rows), at))
    return rows


async def _choose(app: "App", id: int, narrative: str, by: str, sure: bool) -> dict[str, Any]:
    await app.dispatcher.run(
        lambda conn, now: chosen.choose(conn, id, narrative, by, now, app.content, sure=sure)
    )
    return {"id": id}


async def _set_aside(app: "App", id: int, by: str) -> dict[str, Any]:
    await app.dispatcher.run(lambda conn, now: chosen.set_aside(conn, id, by, now))
    return {"id": id}


# --- the report --------------------------------------------------------------------------


async def _report(
    app: "App", year: int, audience: Audience, freeze: bool, again: bool, by: str
) -> dict[str, Any]:
    """The report of a year: the frozen one if there is one, else a draft; with `freeze`, a new
    one that is frozen now. The answer holds the figures and the composed document."""
    if freeze:
        return await _freeze(app, year, audience, again, by)
    _require_begun(year, app.clock())
    scope = await app.read(lambda conn: _viewer(conn, audience, by, app.clock()))
    target, frozen = f"report:{ocsc.NAME}:{year}", await app.read(lambda c: ocsc.latest(c, year))
    found = frozen and {"frozen": frozen.version, "seal": frozen.hash, **frozen.reports[audience]}
    if not found:
        counted = await _count(app, scope, year)
        found = {"frozen": 0, "seal": "", **composed(counted, audience, app.content)}
    await app.dispatcher.run(
        lambda conn, now: audit.note(
            conn, scope.viewer, "report_viewed", target, now, audience=audience
        )
    )
    return found


def _require_begun(year: int, now: datetime) -> None:
    if now < ocsc.span(year, now).start:
        raise Refused(Trouble(("year",), "year_open", {"year": year}))


def _viewer(conn: Connection, audience: Audience, by: str, now: datetime) -> Scope:
    """Whoever asks: the operator, or somebody who sees figures of the whole agency. What small
    groups are shown in is for HR alone."""
    if not by:
        return OPERATOR
    return programmes.officer(conn, by, "roster" if audience == "internal" else "figures", now)


async def _count(app: "App", scope: Scope, year: int) -> Counted:
    """Reads alone: nobody waits for it."""
    now = app.clock()
    return await app.read(lambda conn: ocsc.gather(conn, scope, year, now, app.content))


def composed(
    counted: Counted, audience: Audience, content: Content, version: int = 0, replaces: int = 0
) -> dict[str, Any]:
    """The figures and the document made of them, as plain JSON."""
    made = make(counted, audience, content, version, replaces)
    report = ocsc.plain(made)
    document = compose(made, ocsc.figures_hash(report), content.layout)
    return {"report": report, "document": to_builtins(document)}


async def _freeze(
    app: "App", year: int, audience: Audience, again: bool, by: str
) -> dict[str, Any]:
    now, content = app.clock(), app.content
    _require_begun(year, now)

    def allowed(conn: Connection) -> tuple[Scope, int]:
        scope = programmes.officer(conn, by, "roster", now)
        return scope, ocsc.next_version(conn, year, again=again)

    scope, version = await app.read(allowed)
    counted = await _count(app, scope, year)
    reports: dict[str, dict[str, Any]] = {
        each: composed(counted, each, content, version, version - 1) for each in AUDIENCES
    }

    def keep(conn: Connection, at: datetime) -> str:
        return ocsc.freeze(conn, year, reports, version, by, at)

    seal = await app.dispatcher.run(keep)
    return {"frozen": version, "seal": seal, **reports[audience]}


_COMMANDS: dict[str, Callable[..., Any]] = {
    "show": _show,
    "set": _set,
    "assess": _assess,
    "uses": _uses,
    "choose": _choose,
    "set_aside": _set_aside,
    "report": _report,
}
