"""What HR asks of campaigns, carried out by whoever holds the database; answers are plain JSON."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins
from msgspec.structs import asdict
from pydantic import ValidationError
from sqlalchemy import Connection

from content.lint import SLOTS, Problem
from content.schema import LANGS, Campaign, Content, Lang
from flows.campaigns import message
from flows.segments import describe
from flows.types import Reply
from storage import audience, campaigns, journal, outcomes, sendings
from storage.campaigns import Refused
from storage.messages import filled
from storage.scope import OPERATOR

if TYPE_CHECKING:
    from bot.app import App


class Desk:
    """One command by name. What cannot be done is an answer, too: `{"refused": [sentences]}`."""

    def __init__(self, app: "App") -> None:
        self._app = app

    async def ask(self, do: str, args: dict[str, Any]) -> Any:
        try:
            return await carry_out(self._app, do, args)
        except Refused as error:
            content = self._app.content
            return {"refused": [problem.say("en", content) for problem in error.problems]}


async def carry_out(app: "App", do: str, args: dict[str, Any]) -> Any:
    """The same for whoever says in their own words what is refused, which raises `Refused`."""
    return await _COMMANDS[do](app, **args)


def read(plain: dict[str, Any]) -> Campaign:
    """A campaign out of a file; every field that does not fit is named."""
    try:
        return Campaign.model_validate(plain)
    except ValidationError as error:
        faults = [
            Problem(tuple(map(str, fault["loc"])), "shape", {"what": fault["msg"]})
            for fault in error.errors()
        ]
        raise Refused(*faults) from error


async def _list(app: "App") -> list[dict[str, Any]]:
    rows = await app.read(campaigns.listing)
    return [
        {
            "id": row.id,
            "name": row.name,
            "status": row.state,
            "next": row.next.isoformat() if row.next else "",
            "times": row.times,
            "size": row.size,
        }
        for row in rows
    ]


async def _templates(app: "App") -> list[dict[str, Any]]:
    return [
        {
            "id": each.id,
            "name": each.name.th,
            "purpose": each.purpose,
            "segment": describe(each.segment, "th", app.content),
        }
        for each in app.content.campaigns
    ]


def ready_made(content: Content, name: str) -> Campaign:
    """A ready-made campaign."""
    for each in content.campaigns:
        if each.id == name:
            return each
    known = ", ".join(each.id for each in content.campaigns)
    raise Refused(Problem(("campaign",), "no_template", {"value": name, "known": known}))


def _spec(app: "App", spec: dict[str, Any] | None, template: str, changes: Any) -> Campaign:
    """A file's campaign, or a ready-made one with another time and other units."""
    made = read(spec) if spec is not None else ready_made(app.content, template)
    plain = made.model_dump(mode="json", by_alias=True)
    if changes.get("at"):
        plain["schedule"] = {"at": changes["at"]}
    if changes.get("units"):
        plain["segment"]["units"] = changes["units"]
    return read(plain)


async def _draft(
    app: "App", by: str, spec: Any = None, template: str = "", **changes: Any
) -> dict[str, Any]:
    made = _spec(app, spec, template, changes)
    id = await app.dispatcher.run(lambda conn, now: campaigns.draft(conn, made, by, now))
    return {"id": id, "name": made.name.th}


async def _lint(app: "App", spec: Any = None, template: str = "", **changes: Any) -> Any:
    """What is wrong with a campaign that nobody has drafted yet."""
    made, now, safety = _spec(app, spec, template, changes), app.clock(), app.settings.line_safety
    run = await app.read(lambda conn: audience.dry_run(conn, made, now, app.content, safety))
    return {"problems": [problem.say("en", app.content) for problem in run.problems]}


async def _preview(app: "App", id: int) -> dict[str, Any]:
    """The message in each language, its placeholders filled in with an example."""
    row = await app.read(lambda conn: campaigns.find(conn, id))
    spec = journal.spec_of(row)
    replies = {lang: sample(spec, lang, app.content) for lang in LANGS}
    return {lang: {"title": "", **to_builtins(reply)} for lang, reply in replies.items()}


def sample(spec: Campaign, lang: Lang, content: Content) -> Reply:
    """What somebody would get to read, by the way in which it is filled in for everybody."""
    labels = content.copy_[lang]
    values = {
        "name": labels["campaign_sample_name"],
        "unit": labels["campaign_sample_unit"],
        "step": content.method.steps[0].name.of(lang),
    }
    return filled(message(spec, 0, lang), SLOTS, values)


async def _check(app: "App", id: int, by: str = "") -> dict[str, Any]:
    now, safety = app.clock(), app.settings.line_safety
    run = await app.read(lambda conn: audience.look(conn, id, now, app.content, safety))
    await app.dispatcher.run(lambda conn, at: audience.keep(conn, id, run, at, by))
    row = await app.read(lambda conn: campaigns.find(conn, id))
    spec = journal.spec_of(row)
    plain: dict[str, Any] = to_builtins(run)
    return plain | {
        "problems": [problem.say("en", app.content) for problem in run.problems],
        "name": spec.name.th,
        "segment": describe(spec.segment, "th", app.content),
        "once": campaigns.is_once(spec),
    }


async def _names(app: "App", id: int, after: int = 0, limit: int = 500) -> list[dict[str, Any]]:
    """The recipients of a draft one by one; that they were read is written down."""
    now = app.clock()

    def ask(conn: Connection) -> list[dict[str, Any]]:
        spec = journal.spec_of(campaigns.find(conn, id))
        due = campaigns.due_of(spec, now, app.content) or now
        found = audience.listed(conn, spec, now, due, after, limit)
        return [dict(row._mapping) for row in found]

    rows = await app.read(ask)
    await app.dispatcher.run(
        lambda conn, at: audience.names_seen(conn, id, OPERATOR, len(rows), at)
    )
    return rows


async def _approve(app: "App", id: int, by: str, hash: str = "") -> dict[str, Any]:
    def work(conn: Connection, now: datetime) -> dict[str, Any]:
        seen = hash or campaigns.find(conn, id).checked_hash
        wrote = campaigns.approve(conn, id, by, seen, now, app.content)
        due = campaigns.find(conn, id).next_due
        return {
            "written": wrote,
            "next": due and due.isoformat(),
            "writing": bool(sendings.of(conn, id, "expanding")),
            "recipients": int(journal.noted(conn, id, "checked").detail),
        }

    return await app.dispatcher.run(work)


async def _expand(app: "App", id: int) -> dict[str, Any]:
    """One step of writing rows; the ticker of a running service does the same."""
    more = await app.dispatcher.run(lambda conn, now: campaigns.expand(conn, now, app.content))
    written = await app.read(lambda conn: campaigns.progress(conn, id))
    return {"more": bool(more), "written": written}


def _counted(do: Callable[..., int], *, reads: bool = False) -> Callable[..., Any]:
    """A command that changes a campaign and says how many sendings or rows it touched."""

    async def ask(app: "App", id: int, by: str = "") -> dict[str, Any]:
        more = (app.content,) if reads else ()
        count = await app.dispatcher.run(lambda conn, now: do(conn, id, now, *more, by=by))
        return {"count": count}

    return ask


async def _outcome(app: "App", id: int) -> dict[str, Any]:
    seen = await app.read(lambda conn: outcomes.outcome(conn, id))
    plain: dict[str, Any] = to_builtins(seen)
    for name in ("started", "finished"):
        change = getattr(seen, name).difference
        plain[name]["difference"] = change and {**asdict(change), "chance": change.is_chance}
    return plain


_COMMANDS: dict[str, Callable[..., Any]] = {
    "list": _list,
    "templates": _templates,
    "draft": _draft,
    "lint": _lint,
    "preview": _preview,
    "check": _check,
    "names": _names,
    "approve": _approve,
    "expand": _expand,
    "outcome": _outcome,
    "pause": _counted(campaigns.pause),
    "resume": _counted(campaigns.resume, reads=True),
    "cancel": _counted(campaigns.cancel),
    "release": _counted(campaigns.release),
    "skip": _counted(campaigns.skip),
    "resend": _counted(outcomes.resend, reads=True),
}
