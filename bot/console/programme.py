"""The agency's programme of a year and how mature it finds itself: part by part, each with a form
of its own, so that two officers at different parts do not stand in each other's way."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, Literal

from msgspec import Struct
from pydantic import ValidationError
from sqlalchemy import Connection
from starlette.responses import Response

from bot.console.pages import Page, Visit
from bot.errors import BadRequest
from bot.office import YEARS, unreadable
from content.schema import Content, Programme
from flows.calendar import fiscal_year, local
from flows.programme import STATES, Trouble, maturity, missing
from flows.text import clean, common_year
from storage import chosen, programmes
from storage.campaigns import Refused
from storage.scope import Denied, Power

LINE, TEXT = 300, 4000
"""Letters of a short field and of a long one."""
ROWS = 60
"""Rows of a list, at most."""
EMPTY = 2
"""Rows that are left open at the end of a list."""
ROOM = 512 * 1024
"""Bytes of a form: Thai is three bytes a letter in its parts."""
ERA = 2400
"""Years above it are of the Buddhist era."""

Kind = Literal["line", "text", "day", "lines", "number", "count", "state", "method", "answer"]


class Spot(Struct, frozen=True):
    """A field of a form."""

    key: str
    kind: Kind = "line"


class Block(Struct, frozen=True):
    """Fields that stand at a place of the programme: once; in a list that grows; or in a list with
    an entry for each of some ids, which stand there under `id`."""

    path: tuple[str, ...]
    spots: tuple[Spot, ...]
    rows: Literal["once", "list", "each"] = "once"
    id: str = ""


_PERSON = (Spot("hr_id"), Spot("title"), Spot("position_type"), Spot("duty"))
PARTS: dict[str, tuple[Block, ...]] = {
    "policy": (
        Block(
            ("policy",), (Spot("statement", "text"), Spot("document"), Spot("announced_on", "day"))
        ),
        Block(("policy", "goal"), (Spot("text"), Spot("target")), "list"),
    ),
    "working_group": (
        Block(("working_group",), (Spot("order"), Spot("order_date", "day"), Spot("override"))),
        Block(("working_group", "head"), _PERSON),
        Block(("working_group", "member"), _PERSON, "list"),
    ),
    "plan": (
        Block(
            ("plan",),
            (Spot("ability", "text"), Spot("interest", "text"), Spot("approach", "text")),
            "each",
            "group",
        ),
    ),
    "stage": (
        Block(
            ("stage",),
            (
                *(Spot("state", "state"), Spot("from", "day"), Spot("until", "day")),
                *(Spot("evidence", "lines"), Spot("note", "text")),
            ),
            "each",
            "id",
        ),
    ),
    "workshop": (
        Block(
            ("workshop",),
            (
                *(Spot("name"), Spot("method", "method"), Spot("hours", "number")),
                *(Spot("people", "count"), Spot("held_on", "day"), Spot("evidence")),
            ),
            "list",
        ),
    ),
    "follow_up": (
        Block(("follow_up",), (Spot("how", "text"), Spot("feedback", "text"))),
        Block(
            ("motivation",),
            (Spot("role_models", "text"), Spot("certificates", "text"), Spot("other", "text")),
        ),
    ),
    "maturity": (Block(("maturity",), ()),),
    "memo": (
        Block(
            ("memo",),
            (
                *(Spot("department"), Spot("number"), Spot("addressee")),
                *(Spot("signer_name"), Spot("signer_title")),
            ),
        ),
    ),
}


def blocks(part: str, content: Content) -> tuple[Block, ...]:
    """What a part is made of; the questions on maturity are content."""
    if part != "maturity":
        return PARTS[part]
    signs = (sign for level in content.cycle.levels for sign in level.signs)
    return (Block(("maturity",), tuple(Spot(sign.id, "answer") for sign in signs)),)


def keys(part: str) -> list[str]:
    """Which parts of the programme a form writes."""
    return sorted({block.path[0] for block in PARTS[part]})


# --- years and parts ---------------------------------------------------------------------


async def index(visit: Visit) -> Response:
    """The programmes of the years around this one."""
    if not visit.scope.whole("roster"):
        return visit.show("programmes", years=[], whole=False)
    present = fiscal_year(local(visit.app.clock()).date())
    content, lang = visit.app.content, visit.lang

    def look(conn: Connection) -> list[dict[str, Any]]:
        found = []
        for year in range(present + 1, present - 4, -1):
            there = programmes.current(conn, year)
            ripe = maturity(there.maturity, content.cycle) if there else None
            found.append(
                {
                    "year": year,
                    "version": there.version if there else 0,
                    "gaps": len(list(missing(there or Programme(), content))),
                    "level": _level(ripe.level, content, lang) if ripe else "",
                }
            )
        return found

    return visit.show("programmes", years=await visit.read(look), whole=True)


def _level(id: str, content: Content, lang: Any) -> str:
    return next((each.name.of(lang) for each in content.cycle.levels if each.id == id), "")


def _year(visit: Visit) -> int:
    """The year of the address, for whoever may write its programme."""
    year = visit.number("year")
    if year not in YEARS:
        raise BadRequest(404, "not_found")
    if not visit.scope.whole("roster"):
        raise Denied("roster")
    return year


async def overview(visit: Visit) -> Response:
    """The parts of a year's programme, what the report still lacks, and how mature it is."""
    year, content, lang, words = _year(visit), visit.app.content, visit.lang, visit.words
    now, scope = visit.app.clock(), visit.scope
    there = await visit.read(lambda conn: programmes.current(conn, year))
    taken = await visit.read(lambda conn: chosen.taken(conn, scope, year, now))
    ripe = maturity(there.maturity if there else {}, content.cycle)
    gaps = [
        {
            "text": words["programme_gap_" + gap.part + "_" + gap.key].format(n=gap.many),
            "path": f"/console/programme/{year}/{gap.part}",
        }
        for gap in missing(there or Programme(), content)
    ]
    if not taken:
        gaps.append({"text": words["programme_gap_uses"], "path": "/console/uses"})
    states = {stage.id: stage.state for stage in there.stages} if there else {}
    return visit.show(
        "programme",
        year=year,
        kept=there.version if there else 0,
        parts=list(PARTS),
        gaps=gaps,
        stages=[
            (stage.name.of(lang), words["programme_state_" + states.get(stage.id, "planned")])
            for stage in content.cycle.stages
        ],
        ripe=ripe,
        level=next((each for each in content.cycle.levels if each.id == ripe.level), None),
        found=[(_level(id, content, lang), *counts) for id, counts in ripe.found.items()],
    )


# --- the form of a part ------------------------------------------------------------------

Row = tuple[str, dict[str, str]]
"""An entry's id or place, and its fields as they are typed."""
Typed = dict[tuple[str, ...], list[Row]]
"""The rows of each block."""


async def view(visit: Visit) -> Response:
    year, part = _year(visit), _part(visit)
    there = await visit.read(lambda conn: programmes.current(conn, year))
    return _shown(visit, year, part, there, _typed(there, part, visit.app.content))


def _part(visit: Visit) -> str:
    part = str(visit.request.path_params["part"])
    if part not in PARTS:
        raise BadRequest(404, "not_found")
    return part


def _typed(there: Programme | None, part: str, content: Content) -> Typed:
    """A part of the programme as texts."""
    plain = (there or Programme()).model_dump(mode="json", by_alias=True)
    found: Typed = {}
    for block in blocks(part, content):
        value: Any = plain
        for key in block.path:
            value = value[key]
        match block.rows:
            case "once":
                entries = [("", value)]
            case "list":
                entries = [(str(at), each) for at, each in enumerate(value, 1)]
            case "each":
                by_id = {each[block.id]: each for each in value}
                entries = [(id, by_id.get(id, {})) for id in _ids(block, content)]
        found[block.path] = [
            (id, {spot.key: _text(entry.get(spot.key)) for spot in block.spots})
            for id, entry in entries
        ]
    return found


def _ids(block: Block, content: Content) -> list[str]:
    if block.id == "group":
        return [group.id for group in content.framework.groups]
    return [stage.id for stage in content.cycle.stages]


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list():
            return "\n".join(value)
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def _name(block: Block, row: str, key: str) -> str:
    return "-".join(filter(None, (*block.path, row, key)))


# --- what was typed ----------------------------------------------------------------------


def _read(visit: Visit, part: str) -> Typed:
    """The form as it was sent; rows of a list in which nothing stands are left out."""
    found: Typed = {}
    for block in blocks(part, visit.app.content):
        match block.rows:
            case "once":
                ids = [""]
            case "list":
                ids = [str(at) for at in range(1, ROWS + EMPTY + 1)]
            case "each":
                ids = _ids(block, visit.app.content)
        rows = [
            (id, {s.key: clean(visit.said(_name(block, id, s.key))) for s in block.spots})
            for id in ids
        ]
        if block.rows == "list":
            kept = [row for _, row in rows if any(row.values())]
            rows = [(str(at), row) for at, row in enumerate(kept, 1)]
        found[block.path] = rows
    return found


def _parsed(typed: Typed, part: str, visit: Visit) -> tuple[dict[str, Any], dict[str, str]]:
    """The parts of the programme that a form holds, and what is wrong with it, by field."""
    made: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for block in blocks(part, visit.app.content):
        entries = []
        for id, row in typed[block.path]:
            entry: dict[str, Any] = {block.id: id} if block.id else {}
            for spot in block.spots:
                value, fault = _value(row[spot.key], spot, visit)
                if fault:
                    faults[_name(block, id, spot.key)] = fault
                elif not (spot.kind == "answer" and value is None):
                    entry[spot.key] = value
            if block.rows != "each" or block.id == "id" or any(row.values()):
                entries.append(entry)
        *above, last = block.path
        place = made
        for key in above:
            place = place.setdefault(key, {})
        if block.rows == "once":
            place.setdefault(last, {}).update(entries[0])
        else:
            place[last] = entries
    return made, faults


def _value(text: str, spot: Spot, visit: Visit) -> tuple[Any, str]:
    """What a text means in its field, or why it does not do."""
    words, most = visit.words, TEXT if spot.kind in ("text", "lines") else LINE
    if len(text) > most:
        return None, words["field_too_long"].format(most=most)
    match spot.kind:
        case "day":
            return _day(text, words)
        case "number" | "count":
            return _amount(text, spot, words)
        case "lines":
            return [line.strip() for line in text.splitlines() if line.strip()], ""
        case "state":
            return text or STATES[0], ""
        case "answer":
            fits = text in ("", "yes", "no")
            return {"yes": True, "no": False}.get(text), "" if fits else words["field_missing"]
        case _:
            missed = not text and (spot.key in ("name", "text") or spot.kind == "method")
            return text, words["field_missing"] if missed else ""


def _day(text: str, words: dict[str, str]) -> tuple[str | None, str]:
    """A day, its year of either era; empty is none."""
    if not text:
        return None, ""
    year, _, rest = text.partition("-")
    try:
        here = common_year(int(year)) if int(year) > ERA else int(year)
        return date.fromisoformat(f"{here:04}-{rest}").isoformat(), ""
    except ValueError:
        return None, words["field_not_date"]


def _amount(text: str, spot: Spot, words: dict[str, str]) -> tuple[float | int | None, str]:
    """Hours, or how many people came."""
    if not text:
        return None, words["field_missing"]
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return None, words["field_not_number"]
    if spot.kind == "count":
        fits = 0 <= value <= 1_000_000 and value == int(value)
        return (int(value), "") if fits else (None, words["programme_bad_people"])
    return (value, "") if 0 < value <= 1000 else (None, words["programme_bad_hours"])


async def save(visit: Visit) -> Response:
    """Keep a part, unless somebody else has changed it meanwhile; the others stay as they are."""
    year, part, content = _year(visit), _part(visit), visit.app.content
    typed = _read(visit, part)
    made, faults = _parsed(typed, part, visit)
    seen, by = visit.said("seen"), visit.session.hr_id

    def work(conn: Connection, now: datetime) -> int:
        try:
            return programmes.amend(conn, year, made, seen, by, now, content)
        except ValidationError as error:
            raise unreadable(error) from error

    alerts: list[str] = []
    if not faults:
        try:
            version = await visit.write(work)
        except Refused as refused:
            faults, alerts = _explained(refused, typed, part, visit)
        else:
            told = visit.words["programme_kept"].format(version=version)
            return visit.go(f"programme/{year}", told)
    there = await visit.read(lambda conn: programmes.current(conn, year))
    return _shown(visit, year, part, there, typed, faults, alerts)


def _explained(
    refused: Refused, typed: Typed, part: str, visit: Visit
) -> tuple[dict[str, str], list[str]]:
    """What is wrong beside its field, and what is about none of these fields."""
    content, lang = visit.app.content, visit.lang
    known = {
        _name(block, id, spot.key)
        for block in blocks(part, content)
        for id, _ in typed[block.path]
        for spot in block.spots
    }
    faults: dict[str, str] = {}
    alerts: list[str] = []
    for problem in refused.problems:
        assert isinstance(problem, Trouble)
        place = "-".join(map(str, problem.loc))
        name = {"working_group-head": "working_group-head-hr_id"}.get(place, place)
        if problem.loc == ("version",):
            alerts.append(visit.words["changed_meanwhile"])
        elif name in known:
            faults[name] = _named(problem, visit).show(lang, content)
        else:
            alerts.append(_named(problem, visit).show(lang, content))
    return faults, alerts


def _named(problem: Trouble, visit: Visit) -> Trouble:
    """With a stage by its name instead of its id."""
    names = {each.id: each.name.of(visit.lang) for each in visit.app.content.cycle.stages}
    slots = problem.slots
    named = {"value": names[slots["value"]]} if slots.get("value") in names else {}
    return Trouble(problem.loc, problem.key, slots | named)


# --- as the template wants it -------------------------------------------------------------


def _shown(
    visit: Visit, year: int, part: str, there: Programme | None, typed: Typed,
    faults: dict[str, str] | None = None, alerts: list[str] | None = None,
) -> Response:  # fmt: skip
    stale = visit.words["changed_meanwhile"] in (alerts or [])
    latest = _typed(there, part, visit.app.content) if stale else typed
    return visit.show(
        "programme_part",
        422 if faults or alerts else 200,
        year=year,
        part=part,
        blocks=[
            _block(block, typed, latest, faults or {}, visit)
            for block in blocks(part, visit.app.content)
        ],
        alerts=alerts or [],
        seen=programmes.mark(there, keys(part)),
    )


def _block(
    block: Block, typed: Typed, latest: Typed, faults: dict[str, str], visit: Visit
) -> dict[str, Any]:
    """A block with its rows; a list ends in a few that are open."""
    rows = list(typed[block.path])
    if block.rows == "list":
        blank = {spot.key: "" for spot in block.spots}
        more = range(len(rows) + 1, min(len(rows) + EMPTY, ROWS + EMPTY) + 1)
        rows += [(str(at), blank) for at in more]
    stand = dict(latest[block.path])
    key = "programme_" + "_".join(block.path)
    return {
        "title": visit.words.get(key, ""),
        "hint": visit.words.get(key + "_hint", ""),
        "rows": [
            {
                "title": _title(block, id, visit),
                "inputs": list(_inputs(block, id, row, stand.get(id, {}), faults, visit)),
            }
            for id, row in rows
        ],
    }


def _title(block: Block, id: str, visit: Visit) -> str:
    if block.rows == "list":
        return visit.words["programme_row"].format(n=id)
    content = visit.app.content
    names = {each.id: each.name for each in content.cycle.stages}
    names |= {each.id: each.name for each in content.framework.groups}
    return names[id].of(visit.lang) if id else ""


def _inputs(
    block: Block, id: str, row: dict[str, str], stand: dict[str, str], faults: dict[str, str],
    visit: Visit,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    words = visit.words
    for spot in block.spots:
        name = _name(block, id, spot.key)
        key = "_".join(("programme", *block.path, spot.key))
        value, there = row[spot.key], stand.get(spot.key, row[spot.key])
        hint = words.get(key + "_hint", "")
        if there != value:
            hint = words["programme_latest"].format(text=there or "–")
        yield {
            "name": name,
            "kind": spot.kind,
            "label": _sign(spot.key, visit) if spot.kind == "answer" else words[key],
            "value": value,
            "hint": hint,
            "fault": faults.get(name, ""),
            "options": _options(spot.kind, visit),
        }


def _sign(id: str, visit: Visit) -> str:
    signs = (sign for level in visit.app.content.cycle.levels for sign in level.signs)
    return next(sign.text.of(visit.lang) for sign in signs if sign.id == id)


def _options(kind: Kind, visit: Visit) -> list[tuple[str, str]]:
    words = visit.words
    match kind:
        case "state":
            return [(each, words["programme_state_" + each]) for each in STATES]
        case "method":
            ways = visit.app.content.layout.methods
            return [(way.id, way.name) for way in ways if not way.fact]
        case "answer":
            return [(each, words["programme_answer_" + each]) for each in ("yes", "no")]
        case _:
            return []


NEEDS: tuple[Power, ...] = ("roster",)
PAGES = (
    Page("/programme", index, NEEDS, place="programme"),
    Page("/programme/{year:str}", overview, NEEDS, place="programme"),
    Page("/programme/{year:str}/{part:str}", view, NEEDS, place="programme"),
    Page("/programme/{year:str}/{part:str}", save, NEEDS, "POST", place="programme", files=ROOM),
)
