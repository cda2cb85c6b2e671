"""Content in its TOML files, for authors who keep it in git: out as entries, in as changed files,
all of them or none."""

import shutil
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from bot import content_book
from bot.content_book import KINDS
from bot.content_fields import NUMBERS, flatten, unflatten
from bot.content_rows import Fault, Found, Sheet, cells_of, header, named
from bot.drafting import Room, made_from
from content import written
from content.load import load
from content.overlay import ITEMS, OWN, Body, Kind
from content.schema import LANGS, Content, area_of
from content.written import Change

METHOD = "method.toml"


def entries(root: Path) -> dict[Kind, dict[str, Body]]:
    """Every entry that may be worded anew, as its file has it."""
    made: dict[Kind, dict[str, Body]] = {kind: {} for kind in KINDS}
    for kind, (folder, _) in ITEMS.items():
        for path in sorted((root / folder).glob("*.toml")):
            for body in _read(path).get(kind, ()):
                if not body.get("retired"):
                    made[kind][body["id"]] = body  # type: ignore[index]
    for body in _read(root / METHOD)["step"]:
        made["step"][body["id"]] = {name: body[name] for name in ("name", "task")}
    said = {lang: _read(root / f"copy.{lang}.toml") for lang in LANGS}
    made["copy"] = {key: {lang: said[lang][key] for lang in LANGS} for key in said["th"]}
    return made


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


class Changes(Struct):
    """What a workbook changes in the files: their new texts, and what is new or different."""

    texts: dict[str, str] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    unchanged: int = 0
    faults: list[str] = field(default_factory=list)


def changes(pages: list[content_book.Page], root: Path) -> Changes:
    """Read the rows beside the files below `root`; nothing is written."""
    content, there, made = load(root), entries(root), Changes()
    room = Room(content, content, "en")
    for page in pages:
        if page.sheet is None:
            made.faults.append(content_book.headless(page))
            continue
        found, kind = Found(), page.sheet.kind
        for key, change in _compared(page.sheet, there[kind], room, found, made):
            file = file_of(kind, key)
            for name in (file,) if kind != "copy" else ("copy.th.toml", "copy.en.toml"):
                text = made.texts.get(name) or (root / name).read_text(encoding="utf-8")
                made.texts[name] = _changed(text, kind, name, key, change)
            made.changed.append(f"{kind} {change.body.get('id', key)}")
        made.unchanged += found.unchanged
        made.faults += [content_book.told(page.title, fault, _hint(fault, kind, room))
                        for fault in sorted(found.faults, key=lambda fault: fault.row)]  # fmt: skip
    return made


def file_of(kind: Kind, key: str) -> str:
    """The file that an entry stands in; of sentences, the Thai one."""
    if kind == "step":
        return METHOD
    return "copy.th.toml" if kind == "copy" else f"{ITEMS[kind][0]}/{area_of(key)}.toml"


def _changed(text: str, kind: Kind, name: str, key: str, change: Change) -> str:
    if kind == "copy":
        return written.sentence(text, key, change.body[name.split(".")[1]])
    if kind == "step":
        return written.step(text, key, change.body)
    if change.behind:
        text = written.retired(text, kind, change.key)
    return written.rewritten(text, kind, [change])


def _compared(
    sheet: Sheet, there: Mapping[str, Body], room: Room, found: Found, made: Changes
) -> Iterator[tuple[str, Change]]:
    """Each row that changes an entry or adds one, with what is to be written."""
    kind, keys, cells = sheet.kind, sheet.keys(), dict(sheet.rows)
    new = [key for key in keys.values() if key not in there and is_new(kind, key, room.content)]
    for number in named(sheet, {*there, *new}, room, found):
        key = keys[number]
        before = flatten(kind, there.get(key, {}))
        after = before | cells_of(sheet.typed(cells[number]), before, sheet.base)
        if after == before:
            found.unchanged += 1
            continue
        wanted = made_from(room, kind, key, after, "", another=False)
        if wanted.draft is None:
            for name, why in wanted.faults.items():
                found.faults.append(Fault(number, header(name, room.words), key, why))
            continue
        body = typed(kind, after, there.get(key, {}))
        if kind in ITEMS:
            body |= {"id": wanted.draft.key}
            body |= {"replaces": key} if wanted.draft.key != key else {}
        yield key, Change(key, body, behind=wanted.draft.key != key)


def is_new(kind: Kind, key: str, content: Content) -> bool:
    """Whether an id can begin an item of the files: those of an agency's own are its own."""
    if kind not in ITEMS or not key.isascii() or key != key.lower():
        return False
    end = key.rpartition("-")[2]
    own = end.startswith(OWN[kind]) and end.removeprefix(OWN[kind]).isdecimal()
    gone = any(item.id == key for item in getattr(content, ITEMS[kind][0]).get(area_of(key), ()))
    return not own and not gone and area_of(key) in getattr(content, ITEMS[kind][0])


def _hint(fault: Fault, kind: Kind, room: Room) -> str:
    if fault.why != room.words["content_sheet_no_key"] or kind not in ITEMS:
        return ""
    return "; a new one begins with its area and a dash, in small letters, and has no other's id"


def typed(kind: Kind, fields: Mapping[str, str], before: Body) -> Body:
    """An entry with numbers and days as a TOML file has them; what no field shows stays."""
    body = unflatten(kind, fields).body
    kept = {name: before[name] for name in ("retired", "replaces") if name in before}
    for name in NUMBERS & body.keys():
        number = float(body[name])
        body[name] = int(number) if name == "minutes" else number
    if "review_by" in body:
        body["review_by"] = date.fromisoformat(body["review_by"])
    if "source" in body and (day := body["source"].get("date")):
        body["source"]["date"] = date.fromisoformat(day)
    return body | kept


def save(made: Changes, root: Path) -> None:
    """Write the changed files, if what they make can be loaded; raises ContentError if not."""
    with tempfile.TemporaryDirectory(prefix="kaona-") as folder:
        trial = Path(folder) / "content"
        shutil.copytree(root, trial, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        for name, text in made.texts.items():
            (trial / name).write_text(text, encoding="utf-8")
        load(trial)
    for name, text in made.texts.items():
        fresh = root / f"{name}.new"
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(root / name)
