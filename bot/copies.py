"""A copy of everything that is held about somebody: as JSON for machines, as a page for people."""

import io
import json
import re
import zipfile
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from bot.channels import webchat
from bot.errors import BadRequest
from content.schema import LANGS, Content, DataTable, Lang
from flows.calendar import local
from flows.text import long_date, short_date
from storage import rights, subject

if TYPE_CHECKING:
    from bot.app import App

FORMAT = "kaona-person-1"
FORM = 1024
"""Bytes of the form that opens a copy."""
TECHNICAL = frozenset({"message", "seed", "stamp", "tries", "note", "side"})
"""Keys that say nothing to people; the file for machines has them."""
LONG = 12
"""Records from which on a list is folded."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d.*)?")


def routes(app: "App") -> list[BaseRoute]:
    page = Page(app)
    return [
        webchat.Guarded("/mydata/{token:str}", page.door),
        webchat.Guarded("/mydata/{token:str}", page.copy, "POST"),
    ]


class Page:
    """The link that a learner asked for in the chat. A platform may look at links by itself, to
    show a preview; so the link opens a door, and only pressing its button shows anything."""

    def __init__(self, app: "App") -> None:
        self._app = app

    async def door(self, request: Request) -> Response:
        whose, now = await self._whose(request), self._app.clock()
        html = _page(request, "mydata.html", found=whose is not None, now=now)
        return Response(html, 200 if whose else 404, media_type="text/html")

    async def copy(self, request: Request) -> Response:
        webchat.refuse_strangers(request)
        whose, form = await self._whose(request), await _form(request)
        if whose is None:
            return Response(_page(request, "mydata.html", found=False), 404, media_type="text/html")
        content, app = self._app.content, self._app
        made = await app.read(lambda conn: gathered(conn, whose, content))
        await app.dispatcher.run(lambda conn, now: rights.fetched(conn, whose, form, now))
        now, lang = app.clock(), webchat.language(request)
        if form == "json":
            headers = {"Content-Disposition": 'attachment; filename="kaona-my-data.json"'}
            return Response(as_json(made, content, now), 200, headers, "application/json")
        return Response(as_html(made, content, now, lang), media_type="text/html")

    async def _whose(self, request: Request) -> int | None:
        token, now = request.path_params["token"], self._app.clock()
        return await self._app.read(lambda conn: rights.opened(conn, token, now))


async def _form(request: Request) -> str:
    kind = "application/x-www-form-urlencoded"
    fields = parse_qs((await webchat.read_body(request, kind, FORM)).decode("ascii", "replace"))
    form = fields.get("as", [""])[0]
    if form not in ("html", "json"):
        raise BadRequest(400, "as")
    return form


def gathered(conn: Connection, learner_id: int, content: Content) -> dict[str, Any]:
    whom = subject.of_learner(conn, learner_id)
    register = content.register_
    return {
        "tables": subject.tables(conn, whom, register),
        "acts": subject.acts(conn, whom, register),
    }


# --- for machines --------------------------------------------------------------------


def as_json(made: dict[str, Any], content: Content, now: datetime) -> bytes:
    """Everything, with what the register says of it."""
    register = content.register_
    known = {
        each.name: {
            "category": register.category(each.category).name.model_dump(),
            "kept": register.rule(each.rule or register.category(each.category).rule).id,
        }
        for each in register.tables
        if each.category and each.name in made["tables"]
    }
    whole = {"format": FORMAT, "made_at": local(now).isoformat(), "register": known, **made}
    return json.dumps(whole, ensure_ascii=False, indent=1).encode()


def as_zip(made: dict[str, Any], content: Content, now: datetime) -> bytes:
    """Both forms in one archive, for the officer who hands it over."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("my-data.json", as_json(made, content, now))
        archive.writestr("my-data.html", as_html(made, content, now, "th", alone=True))
    return file.getvalue()


# --- for people ----------------------------------------------------------------------


def as_html(
    made: dict[str, Any], content: Content, now: datetime, lang: Lang, *, alone: bool = False
) -> str:
    """A page by category; `alone`: a file that must bring its own style."""
    style = (webchat.HERE / "static" / "page.css").read_text(encoding="utf-8") if alone else ""
    return (
        webchat.templates()
        .get_template("copy.html")
        .render(
            sections=_sections(made["tables"], content, lang),
            acts=[_act(row, content, lang) for row in made["acts"]],
            made=_moment(local(now).isoformat(), lang),
            dpo=content.dpo,
            words=webchat.words(lang),
            lang=lang,
            version=webchat.version(),
            style=re.sub(r"@font-face \{[^}]*\}\n?", "", style),
        )
    )


def _sections(tables: dict[str, Any], content: Content, lang: Lang) -> list[dict[str, Any]]:
    """What is held, by category in the order of the register."""
    register, found = content.register_, []
    for category in register.categories:
        lists = []
        for each in register.tables:
            rows = [row for row in tables.get(each.name, ()) if _is_of(row, each, category.id)]
            if rows:
                title = register.label("table_" + each.name, lang)
                shown = [_record(row, content, lang) for row in rows]
                lists.append({"title": title, "rows": shown, "folded": len(rows) > LONG})
        if lists:
            purpose = register.purpose(category.purpose)
            found.append(
                {
                    "name": category.name.of(lang),
                    "why": category.why.of(lang),
                    "basis": purpose.basis.of(lang),
                    "until": register.rule(category.rule).says(lang),
                    "source": category.source.of(lang),
                    "seen_by": category.seen_by.of(lang),
                    "lists": lists,
                }
            )
    return found


def _is_of(row: dict[str, Any], table: DataTable, category: str) -> bool:
    return table.category_of(str(row.get("kind", ""))) == category


def _act(row: dict[str, Any], content: Content, lang: Lang) -> tuple[str, int]:
    return content.register_.label("table_" + row["table"], lang), row["rows"]


def _record(row: dict[str, Any], content: Content, lang: Lang) -> list[tuple[str, Any]]:
    """A row as pairs of a name and a value; what is empty is left out."""
    return [
        (_name(name, content, lang), _shown(name, value, content, lang))
        for name, value in row.items()
        if value not in (None, "", [], {}) and name not in TECHNICAL
    ]


def _name(name: str, content: Content, lang: Lang) -> str:
    """A column or key by the name that people know; an area of learning may be a key, too."""
    known = content.register_.labels
    return known[name].of(lang) if name in known else _named(name, content, lang)


def _shown(name: str, value: Any, content: Content, lang: Lang) -> Any:
    """A value as people read it: a text, or pairs and lists of such."""
    if isinstance(value, dict):
        return {"pairs": _record(value, content, lang)}
    if isinstance(value, list):
        return {"items": [_shown(name, each, content, lang) for each in value if each != {}]}
    if isinstance(value, bool):
        return webchat.words(lang)["copy_yes" if value else "copy_no"]
    if name == "minute" and isinstance(value, int):
        return f"{value // 60:02}:{value % 60:02}"
    if name == "day" and isinstance(value, int):
        return short_date(date.fromordinal(value), lang) if value > 0 else "–"
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        return _moment(value, lang)
    return _named(str(value), content, lang)


def _moment(iso: str, lang: Lang) -> str:
    try:
        when = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return short_date(when, lang) + (f" {when:%H:%M}" if "T" in iso else "")


def _named(value: str, content: Content, lang: Lang) -> str:
    """Ids of the content, and words of the system, by the names that people know."""
    names = {each.id: each.name for each in content.subjects}
    names |= {each.id: each.name for each in content.framework.groups}
    names |= {each.id: each.name for each in content.method.steps}
    if value in names:
        return names[value].of(lang)
    if value in content.register_.values:
        return content.register_.values[value].of(lang)
    return value


def _page(request: Request, name: str, **slots: Any) -> str:
    lang = webchat.language(request)
    now = slots.pop("now", None)
    return (
        webchat.templates()
        .get_template(name)
        .render(
            words=webchat.words(lang),
            lang=lang,
            langs=LANGS,
            version=webchat.version(),
            today=long_date(local(now), lang) if now else "",
            **slots,
        )
    )
