"""What authors ask of the content in use: out as a workbook, in as drafts. Carried out by whoever
holds the database; answers are plain JSON. Files are named by their path: only the service's own
user can ask."""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from sqlalchemy import Connection

from bot import content_book, sheets
from bot.content_fields import SLOTS, field_of, label
from bot.content_rows import Found, Sheet, compare, keep, keys_of
from bot.drafting import Room
from bot.wording import words
from content.gift import Asked, Parsed, parse
from content.overlay import ITEMS, OWN, Body, Kind, Revised, fresh, problems
from content.schema import Content, Lang, area_of
from flows.roster import say_refusal
from flows.text import clean
from storage import programmes, revisions
from storage.campaigns import Refused
from storage.revisions import NOTE, Draft
from storage.scope import Scope

if TYPE_CHECKING:
    from bot.app import App

MOST = 400
"""Faults that are told at once."""


class Amiss(Exception):
    """Nothing was changed; `faults` says why, each as a line."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


async def ask(app: "App", do: str, args: dict[str, Any]) -> Any:
    """One command by name. What cannot be done is an answer, too: `{"refused": [sentences]}`."""
    try:
        return await _COMMANDS[do](app, **args)
    except Amiss as error:
        return {"refused": list(error.faults[:MOST])}
    except Refused as error:
        return {"refused": [problem.say("en", app.content) for problem in error.problems]}
    except sheets.Unreadable as error:
        return {"refused": [say_refusal(error.why, error.data, "en", app.content.roster)]}


def room_of(app: "App") -> Room:
    return Room(app.shelf.files, app.content, "en")


def author(conn: Connection, by: str, now: datetime) -> Scope:
    """The rights of somebody who may word the whole agency's content anew."""
    scope = programmes.someone(conn, by, "content", now)
    if not scope.whole("content"):
        raise Amiss(f"{by} answers for content of a part only: it takes the whole agency")
    return scope


# --- a workbook --------------------------------------------------------------------------


async def _export(app: "App", path: str) -> dict[str, int]:
    """Write all that is in use to a workbook; how much of each kind there is."""
    words = Room(app.shelf.files, app.content, "th").words
    try:
        entries = content_book.entries_of(app.content)
        return await asyncio.to_thread(content_book.write, entries, Path(path), words)
    except OSError as error:
        raise Amiss(f"{path}: {error.strerror}") from error


class Compared(Struct):
    """What a workbook changes, kind by kind, and every row that cannot be taken."""

    found: dict[str, Found] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def drafts(self) -> list[tuple[int, Draft, str]]:
        return [draft for each in self.found.values() for draft in each.drafts]


async def _import(app: "App", path: str, by: str, dry: bool) -> dict[str, Any]:
    """Drafts of all that differs, or of nothing, if a row cannot be taken."""
    room = room_of(app)
    pages = await asyncio.to_thread(content_book.read, Path(path))

    def work(conn: Connection, now: datetime) -> Compared:
        scope = author(conn, by, now)
        compared = _compared(conn, room, scope.viewer, pages)
        if not compared.faults and not dry:
            for title, found in compared.found.items():
                keep(conn, room, scope, found, now)
                compared.faults += _told(title, found, room)
        if compared.faults:
            raise Amiss(*compared.faults)
        return compared

    if dry:
        compared = await app.read(lambda conn: work(conn, app.clock()))
    else:
        compared = await app.dispatcher.run(work)
    return {
        "drafts": [f"{draft.kind} {draft.key}" for _, draft, _ in compared.drafts],
        "unchanged": sum(found.unchanged for found in compared.found.values()),
    }


def _compared(
    conn: Connection, room: Room, viewer: int | None, pages: list[content_book.Page]
) -> Compared:
    made = Compared()
    for page in pages:
        sheet = page.sheet
        if sheet is None:
            made.faults.append(content_book.headless(page))
            continue
        drafted = revisions.keys_with(conn, sheet.kind, "draft")
        found = compare(conn, room, viewer, sheet, _new(room.content, sheet))
        made.found[page.title] = found
        made.faults += _told(page.title, found, room, _hint(room.content, sheet, drafted))
    return made


def _new(content: Content, sheet: Sheet) -> list[str]:
    """Ids of the file that begin an item of the agency's own."""
    kind = sheet.kind
    if kind not in ITEMS:
        return []
    return [
        key
        for key in sheet.keys().values()
        if is_own(kind, key) and area_of(key) in getattr(content, ITEMS[kind][0])
    ]


def is_own(kind: Kind, key: str) -> bool:
    """Whether an id is one of an agency's own items: `computer-a1`."""
    end = key.rpartition("-")[2]
    return end.startswith(OWN[kind]) and end.removeprefix(OWN[kind]).isdecimal()


def _hint(content: Content, sheet: Sheet, drafted: set[str]) -> str:
    if sheet.kind not in ITEMS:
        return ""
    area, kind = content.framework.areas[0].id, sheet.kind
    return f"; a new one is called such as {fresh(kind, area, {*keys_of(content, kind), *drafted})}"


def _told(title: str, found: Found, room: Room, hint: str = "") -> list[str]:
    """Each fault as sheet, row, column and reason."""
    unknown = room.words["content_sheet_no_key"]
    return [
        content_book.told(title, fault, hint if fault.why == unknown else "")
        for fault in sorted(found.faults, key=lambda fault: fault.row)
    ]


# --- GIFT --------------------------------------------------------------------------------


async def _gift(
    app: "App", path: str, area: str, by: str, lang: Lang, skip: bool, dry: bool
) -> dict[str, Any]:
    """Drafts of the questions of a GIFT file, or of none if one cannot be read. What GIFT does not
    know is missing in them, and named."""
    room, file = room_of(app), Path(path)
    if area not in room.content.questions:
        raise Amiss(f"--area: {area!r} is none of {', '.join(room.content.questions)}")
    parsed = _parsed(file)
    wrong = [*parsed.faults, *(() if skip else parsed.unknown)]
    if wrong:
        hint = "" if skip else " (--skip leaves out kinds that we do not have)"
        raise Amiss(*(
            f"{file.name}:{note.line}: {note.what}{hint if note in parsed.unknown else ''}"
            for note in sorted(wrong)
        ))  # fmt: skip

    def work(conn: Connection, now: datetime) -> list[Draft]:
        scope = author(conn, by, now)
        drafts = _drafted(conn, room.content, parsed.questions, area, lang, file.name)
        for draft in () if dry else drafts:
            revisions.save(conn, scope, draft, "", now)
        return drafts

    if dry:
        drafts = await app.read(lambda conn: work(conn, app.clock()))
    else:
        drafts = await app.dispatcher.run(work)
    said = (*parsed.warnings, *(parsed.unknown if skip else ()))
    return {
        "drafts": [{"key": draft.key, "missing": missing(draft, room)} for draft in drafts],
        "warnings": [f"{file.name}:{note.line}: {note.what}" for note in sorted(said)],
    }


def _parsed(file: Path) -> Parsed:
    try:
        data = file.read_bytes()
        found = parse(clean(data.decode("utf-8")))
    except OSError as error:
        raise Amiss(f"{file.name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Amiss(f"{file.name}:{line}: not UTF-8: save it as UTF-8") from error
    if not (found.questions or found.faults or found.unknown):
        raise Amiss(f"{file.name}: there is no question in it")
    return found


def _drafted(
    conn: Connection,
    content: Content,
    questions: Sequence[Asked],
    area: str,
    lang: Lang,
    file: str,
) -> list[Draft]:
    """A draft of each question under an id of the agency's own; one that is there already is a
    fault, or importing a file twice would make two of each."""
    open_ = {row.key: json.loads(row.body) for row in revisions.open_drafts(conn, "question")}
    there = {each.stem.of(lang): each.id for each in content.questions[area]}
    there |= {body.get("stem", {}).get(lang, ""): key for key, body in open_.items()}
    taken = {*open_, *there.values(), *(each.id for each in content.questions[area])}
    made, faults = list[Draft](), list[str]()
    for asked in questions:
        key = fresh("question", area, taken)
        if (other := there.setdefault(asked.stem, key)) != key:
            faults.append(
                f"{file}:{asked.line}: {other} asks that already: take it out of the file"
            )
            continue
        taken.add(key)
        note = " · ".join(part for part in (file, asked.category, asked.title) if part)
        made.append(Draft("question", key, key, body_of(asked, key, lang), "", note[:NOTE]))
    if faults:
        raise Amiss(*faults)
    return made


def body_of(asked: Asked, key: str, lang: Lang) -> Body:
    """A question in one language, with what the file says of it and nothing else. What is said to
    everybody goes to the options of which nothing is said, or else to the right one."""
    said = words(lang)
    names = [said["content_gift_true"], said["content_gift_false"]] if asked.boolean else []
    silent = [not answer.feedback for answer in asked.answers]
    options = []
    for at, answer in enumerate(asked.answers):
        feedback = answer.feedback
        if asked.general and (silent[at] or (answer.right and not any(silent))):
            feedback = f"{feedback} {asked.general}".strip()
        text = {"text": answer.text or names[at]} | ({"feedback": feedback} if feedback else {})
        options.append(({"correct": True} if answer.right else {}) | {lang: text})
    return {"id": key, "stem": {lang: asked.stem}, "option": options}


def missing(draft: Draft, room: Room) -> list[str]:
    """What must be filled in before it can be published, field by field."""
    found = problems(Revised(draft.kind, draft.key, draft.body), room.files)
    places = list(range(1, SLOTS + 1))
    names = {field_of(draft.kind, problem, places): problem for problem in found}
    return [
        f"{label(name, room.words)}: {problem.text(room.lang, room.content)}"
        for name, problem in names.items()
    ]


_COMMANDS: dict[str, Callable[..., Any]] = {
    "export": _export,
    "import": _import,
    "gift": _gift,
}
