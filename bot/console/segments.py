"""Named segments: how many fit now and who would be left out, kept to be used in campaigns."""

from typing import Any

from msgspec import Struct
from starlette.responses import Response

from bot.console import audiences, campaign_forms, tables
from bot.console.campaign_editor import NEEDS, faults_of, sentence
from bot.console.campaign_forms import Typed
from bot.console.forms import number
from bot.console.pages import Page, Visit
from bot.console.tables import Column
from bot.errors import BadRequest
from content.schema import Segment
from flows import reports as said
from storage import audience, named, reach
from storage.campaigns import Refused

SORTS = ("name", "changed")


class Entry(Struct, frozen=True):
    """What the form is about: a kept segment, or a new one, whose id is 0."""

    id: int = 0
    name: str = ""
    version: int = 0
    segment: Segment = Segment()
    theirs: bool = True
    """The viewer may change it."""


async def listing(visit: Visit) -> Response:
    scope = visit.scope
    by, down = tables.order(visit, SORTS, "name")
    sort = ("-" if down else "") + by
    found = await visit.read(
        lambda conn: named.listing(conn, scope, sort, tables.offset(visit), tables.PAGE + 1)
    )
    shown, turned = tables.turn(visit, found)
    words = visit.words
    columns = [
        Column(id, words["segment_column_" + id], sorts=id in SORTS)
        for id in ("name", "filters", "author", "changed")
    ]
    return visit.show(
        "segments",
        heads=tables.heads(visit, columns, "name"),
        rows=[_line(row, visit) for row in shown],
        turned=turned,
    )


def _line(row: Any, visit: Visit) -> list[Any]:
    return [
        {"text": row.name, "path": f"/console/segments/{row.id}"},
        audiences.described(named.segment_of(row), visit),
        row.author,
        said.moment(row.changed_at, visit.lang),
    ]


async def view(visit: Visit) -> Response:
    entry = await _entry(visit)
    return await _form(visit, entry, _values(entry), entry.segment, {})


def _values(entry: Entry) -> dict[str, Any]:
    kept = {"title": entry.name, "version": str(entry.version)}
    return kept | campaign_forms.filled_segment(entry.segment)


async def save(visit: Visit) -> Response:
    """Keep it under its name, or count what was typed and keep nothing."""
    entry, found = await _entry(visit), _read(visit)
    segment, name, by = found.segment, visit.said("title"), visit.session.hr_id
    if segment is None:
        return await _form(visit, entry, found.values, None, found.faults, 422)
    if visit.said("do") == "look":
        return await _form(visit, entry, found.values, segment, {})
    version, content = number(visit.said("version")) or 0, visit.app.content
    try:
        if entry.id:
            await visit.write(
                lambda conn, now: named.change(
                    conn, entry.id, name, segment, version, by, now, content
                )
            )
        else:
            await visit.write(lambda conn, now: named.keep(conn, name, segment, by, now, content))
    except Refused as refused:
        return await _not_kept(visit, entry, found, refused)
    return visit.go("segments", visit.words["segment_saved"].format(name=name))


async def _not_kept(visit: Visit, entry: Entry, found: Typed, refused: Refused) -> Response:
    if refused.problems[0].key == "stale":
        told, values = visit.words["changed_meanwhile"], found.values | {"version": entry.version}
        return await _form(visit, entry, values, found.segment, {}, 422, told)
    faults = faults_of(refused.problems, visit)
    return await _form(visit, entry, found.values, found.segment, faults, 422)


async def remove(visit: Visit) -> Response:
    entry, by = await _entry(visit), visit.session.hr_id
    values = _values(entry)
    if not visit.said("sure"):
        faults = {"remove": visit.words["campaign_not_sure"]}
        return await _form(visit, entry, values, entry.segment, faults, 422)
    try:
        await visit.write(lambda conn, now: named.remove(conn, entry.id, by, now))
    except Refused as refused:
        faults = {"remove": sentence(refused.problems, visit)}
        return await _form(visit, entry, values, entry.segment, faults, 422)
    return visit.go("segments", visit.words["segment_removed"].format(name=entry.name))


async def glance(visit: Visit) -> Response:
    """A piece of the page: what is ticked now comes to this."""
    found = _read(visit)
    return visit.show("segment_glance", **await _seen(visit, found.segment, found.faults))


def _read(visit: Visit) -> Typed:
    return campaign_forms.read_segment(visit.form, visit.words, visit.app.content)


async def _entry(visit: Visit) -> Entry:
    said_id, scope = visit.request.path_params.get("id", "new"), visit.scope
    if said_id == "new":
        tops = () if scope.whole("send") else scope.paths("send")
        return Entry(segment=Segment(units=tops))
    try:
        row = await visit.read(lambda conn: named.find(conn, scope, number(said_id) or 0))
    except Refused:
        raise BadRequest(404, "not_found") from None
    segment = named.segment_of(row)
    theirs = reach.covers(scope, segment.units)
    return Entry(row.id, row.name, row.version, segment, theirs)


async def _seen(visit: Visit, segment: Segment | None, faults: dict[str, str]) -> dict[str, Any]:
    if segment is None:
        return {"glance": None, "problems": list(faults.values())}
    now, scope, content = visit.app.clock(), visit.scope, visit.app.content
    seen = await visit.read(lambda conn: audience.fitting(conn, segment, scope, now, content))
    problems = [each.text(visit.lang, content) for each in seen.problems]
    return {"glance": audiences.counted(seen, visit), "problems": problems}


async def _form(
    visit: Visit,
    entry: Entry,
    values: dict[str, Any],
    segment: Segment | None,
    faults: dict[str, str],
    status: int = 200,
    notice: str = "",
) -> Response:
    chosen = list(values.get("units", ()))
    offered = await visit.read(lambda conn: audiences.options(conn, visit, chosen))
    return visit.show(
        "segment",
        status,
        entry=entry,
        values=values,
        faults=faults,
        notice=notice,
        options=offered,
        **await _seen(visit, segment, faults),
    )


PAGES = (
    Page("/segments", listing, NEEDS, place="segments"),
    Page("/segments/glance", glance, ("send",), "POST", place="segments"),
    Page("/segments/{id:str}", view, ("send",), place="segments"),
    Page("/segments/{id:str}", save, ("send",), "POST", place="segments"),
    Page("/segments/{id:str}/remove", remove, ("send",), "POST", place="segments"),
)
