"""What an agency has published, laid over the files: pure, and checked by the same lint."""

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, get_args

from pydantic import Field, ValidationError

from content.lint import (
    Problem,
    lesson_problems,
    lint,
    question_problems,
    sentence_problems,
)
from content.load import Fault, Files
from content.schema import (
    LANGS,
    Content,
    Exercise,
    Gone,
    Holiday,
    Item,
    Lesson,
    Line,
    Question,
    Record,
    Text,
    area_of,
)

Kind = Literal["question", "lesson", "exercise", "step", "method", "copy", "setting"]
KINDS: tuple[Kind, ...] = get_args(Kind)
ITEMS: dict[str, tuple[str, type[Item]]] = {
    "question": ("questions", Question),
    "lesson": ("lessons", Lesson),
    "exercise": ("exercises", Exercise),
}
"""Kinds of items: the shelf that each stands on, and its shape."""
METHOD = "method"
"""The key of the only revision of that kind."""
FAMILY = "content_problem_"

Body = dict[str, Any]
"""An entry as it would stand in its TOML file."""


class Revised(NamedTuple):
    """Something an agency words in its own way: which entry, and how it reads. `base` is the hash
    of the file's entry that it was made from, or empty where there was none."""

    kind: Kind
    key: str
    body: Body
    base: str = ""
    withdrawn: bool = False
    id: int = 0


class Misfit(Exception):
    """It does not fit these files (any more); `key` names the sentence that says why."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class Laid(NamedTuple):
    """The whole, and what had to be left out of it, with the reason."""

    content: Content
    left: tuple[tuple[Revised, str], ...]


# --- the shapes of what is no item -----------------------------------------------------


class StepWords(Record):
    """What an agency calls a step, and what it says of its task."""

    name: Text
    task: Text


class MethodMark(Record):
    """Whether the steps are an agency's official ones, and what stands under them."""

    status: Literal["default", "official"]
    label: Text


class Dpo(Record):
    contact: Line


class Rhythm(Record):
    """How reminders that nobody answers fade out; see `NudgeRules`."""

    weekly_after: int = Field(ge=1, le=20)
    pause_after: int = Field(ge=1, le=30)
    busy_minutes: int = Field(ge=0, le=1440)
    late_hours: int = Field(ge=1, le=24)
    time: dt.time


class Thresholds(Record):
    """Where reports draw their lines. The smallest group of all is no setting: it is five."""

    least: int = Field(ge=5, le=1000)
    behind_days: int = Field(ge=1, le=250)
    fewest_pairs: int = Field(ge=5, le=1000)
    fewest_answers: int = Field(ge=10, le=10_000)


class DayOff(Record):
    date: dt.date
    name: Text


class DaysOff(Record):
    days: tuple[DayOff, ...] = Field(default=(), max_length=60)


SETTINGS: dict[str, type[Record]] = {
    "dpo": Dpo,
    "rhythm": Rhythm,
    "thresholds": Thresholds,
    "days": DaysOff,
}


def shape_of(kind: Kind, key: str) -> type[Record]:
    """The record that a body must be."""
    if kind in ITEMS:
        return ITEMS[kind][1]
    if kind == "setting":
        return SETTINGS[key]
    shapes: dict[str, type[Record]] = {"step": StepWords, "method": MethodMark}
    return shapes.get(kind, Text)


# --- entries as they stand -------------------------------------------------------------


def entry(content: Content, kind: Kind, key: str) -> Body | None:
    """The entry as it would stand in its file; None if there is no such thing."""
    try:
        found = _record(content, kind, key)
    except (Gone, KeyError, StopIteration):
        return None
    return plain(found)


def plain(record: Record) -> Body:
    made: Body = record.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return made


def _record(content: Content, kind: Kind, key: str) -> Record:
    match kind:
        case "question":
            return content.question(key)
        case "lesson":
            return content.lesson(key)
        case "exercise":
            return content.exercise(key)
        case "step":
            step = next(each for each in content.method.steps if each.id == key)
            return StepWords(name=step.name, task=step.task)
        case "method":
            return MethodMark(status=content.method.status, label=content.method.label)
        case "copy":
            said = {lang: content.copy_[lang][key] for lang in LANGS}
            return Text.model_construct(None, **said)
        case "setting":
            return _setting(content, key)


def _setting(content: Content, key: str) -> Record:
    rules = content.nudges.rules
    match key:
        case "dpo":
            return Dpo.model_construct(contact=content.dpo)
        case "rhythm":
            return Rhythm(**{name: getattr(rules, name) for name in Rhythm.model_fields})
        case "thresholds":
            reports = content.reports
            return Thresholds(
                least=content.layout.least,
                behind_days=reports.behind_days,
                fewest_pairs=reports.fewest_pairs,
                fewest_answers=reports.items.fewest,
            )
        case "days":
            days = content.agency.days
            return DaysOff(days=tuple(DayOff(date=day.date, name=day.name) for day in days))
    raise KeyError(key)


def canonical(body: Any) -> str:
    """The same entry is the same text."""
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def digest(body: Any) -> str:
    """The hash of an entry; of none it is empty."""
    return "" if body is None else hashlib.sha256(canonical(body).encode()).hexdigest()


# --- laying over -----------------------------------------------------------------------


def overlay(files: Content, rows: Iterable[Revised]) -> Laid:
    """The content of the files with what was published (or withdrawn) laid over it, in its order.
    What does not fit these files is left out."""
    made, left, replaced = files, list[tuple[Revised, str]](), set[tuple[str, str]]()
    for row in rows:
        try:
            made = _lay(made, row, files)
        except Misfit as misfit:
            left.append((row, misfit.key))
            continue
        if not row.withdrawn and row.kind in ITEMS and row.body.get("replaces"):
            replaced.add((row.kind, row.body["replaces"]))
    for kind, key in sorted(replaced):
        made = _retire(made, kind, key)
    return Laid(made, tuple(left))


def fit(files: Content, rows: Sequence[Revised]) -> Laid:
    """The same, and whatever the lint has something against is left out, too: files may have
    changed since it was published."""
    laid = overlay(files, rows)
    if not rows or not faults(laid.content):
        return laid
    kept, left = list[Revised](), list(laid.left)
    gone = {row for row, _ in ((_name(row), why) for row, why in left)}
    for row in rows:
        if _name(row) in gone:
            continue
        if faults(overlay(files, [*kept, row]).content):
            left.append((row, "lint"))
        else:
            kept.append(row)
    return Laid(overlay(files, kept).content, tuple(left))


def _name(row: Revised) -> tuple[str, str]:
    return row.kind, row.key


def with_draft(content: Content, draft: Revised) -> Content:
    """The content with a draft laid over, to try it; raises Misfit if it cannot be."""
    made = _lay(content, draft, content)
    if draft.kind in ITEMS and draft.body.get("replaces"):
        return _retire(made, draft.kind, draft.body["replaces"])
    return made


def faults(content: Content) -> list[Fault]:
    """What the lint has against it. No line is told: what was published has none."""
    return lint(content, Files())


def _lay(content: Content, row: Revised, files: Content) -> Content:
    if row.kind in ITEMS:
        return _lay_item(content, row, files)
    if row.withdrawn:
        return content
    there = entry(files, row.kind, row.key)
    if there is None:
        raise Misfit("gone")
    if row.kind == "copy":
        return _lay_sentence(content, row, there)
    try:
        read: Any = shape_of(row.kind, row.key).model_validate(row.body)
    except ValidationError as error:
        raise Misfit("shape") from error
    match row.kind, row.key:
        case "step", key:
            steps = tuple(
                step.model_copy(update={"name": read.name, "task": read.task})
                if step.id == key
                else step
                for step in content.method.steps
            )
            return _with(content, "method", steps=steps)
        case "method", _:
            return _with(content, "method", status=read.status, label=read.label)
        case _, "dpo":
            return content.model_copy(update={"dpo": read.contact})
        case _, "rhythm":
            rules = content.nudges.rules.model_copy(update=dict(read))
            return _with(content, "nudges", rules=rules)
        case _, "thresholds":
            return _lay_thresholds(content, read, files)
        case _:
            days = tuple(Holiday(date=day.date, name=day.name) for day in read.days)
            return _with(content, "agency", days=days)


def _with(content: Content, part: str, **changes: Any) -> Content:
    return content.model_copy(update={part: getattr(content, part).model_copy(update=changes)})


def _lay_thresholds(content: Content, read: Thresholds, files: Content) -> Content:
    if read.least < files.layout.least:
        raise Misfit("promised")
    items = content.reports.items.model_copy(update={"fewest": read.fewest_answers})
    lines = {"behind_days": read.behind_days, "fewest_pairs": read.fewest_pairs, "items": items}
    return _with(_with(content, "layout", least=read.least), "reports", **lines)


def _lay_sentence(content: Content, row: Revised, there: Body) -> Content:
    said = {lang: str(row.body.get(lang, "")) for lang in LANGS}
    if any(sentence_problems(row.key, said, {lang: there[lang] for lang in LANGS})):
        raise Misfit("slots")
    copy_ = {lang: {**content.copy_[lang], row.key: said[lang]} for lang in LANGS}
    return content.model_copy(update={"copy_": copy_})


def _lay_item(content: Content, row: Revised, files: Content) -> Content:
    shelf, shape = ITEMS[row.kind]
    there = entry(files, row.kind, row.key)
    if row.withdrawn and there is not None:
        return content
    if there is None and (row.base or area_of(row.key) not in getattr(files, shelf)):
        raise Misfit("gone")
    try:
        item = shape.model_validate(row.body)
    except ValidationError as error:
        raise Misfit("shape") from error
    if item.id != row.key or (there is not None and moved(row.kind, there, row.body)):
        raise Misfit("structure")
    if row.withdrawn:
        item = item.model_copy(update={"retired": True})
    return _put(content, shelf, item)


def _put(content: Content, shelf: str, item: Item) -> Content:
    """In the place of the one that has its id, else behind the one that it replaces, else last."""
    area = area_of(item.id)
    items = list(getattr(content, shelf)[area])
    ids = [each.id for each in items]
    if item.id in ids:
        items[ids.index(item.id)] = item
    elif item.replaces in ids:
        items.insert(ids.index(item.replaces) + 1, item)
    else:
        items.append(item)
    shelves = {**getattr(content, shelf), area: tuple(items)}
    return content.model_copy(update={shelf: shelves})


def _retire(content: Content, kind: str, key: str) -> Content:
    shelf = ITEMS[kind][0]
    for item in getattr(content, shelf).get(area_of(key), ()):
        if item.id == key and not item.retired:
            return _put(content, shelf, item.model_copy(update={"retired": True}))
    return content


# --- what makes an item another one ----------------------------------------------------


def moved(kind: str, before: Body, after: Body) -> bool:
    """Whether somebody in the middle of it would be harmed, or its figures be mixed up: another
    right answer, or another number or order of options or messages. Mended words are not that."""
    match kind:
        case "question":
            old, new = before.get("option", []), after.get("option", [])
            right = [[bool(option.get("correct")) for option in each] for each in (old, new)]
            return right[0] != right[1] or any(
                _shifted([option[lang]["text"] for option in old], [_told(o, lang) for o in new])
                for lang in LANGS
            )
        case "lesson":
            old, new = before.get("messages", []), after.get("messages", [])
            return len(old) != len(new) or any(
                _shifted([each[lang] for each in old], [each.get(lang, "") for each in new])
                for lang in LANGS
            )
    return False


def _told(option: Body, lang: str) -> str:
    return str(option.get(lang, {}).get("text", ""))


def _shifted(old: list[str], new: list[str]) -> bool:
    """Whether a text stands at another's place now."""
    return any(text in old and old.index(text) != at for at, text in enumerate(new))


_VERSION = re.compile(r"v(\d+)$")


def successor(kind: Kind, key: str, taken: Iterable[str]) -> str:
    """The id of the item that stands in for this one: `computer-01` → `computer-01v2`."""
    stem, known = _VERSION.sub("", key), set(taken)
    found = _VERSION.search(key)
    number = int(found[1]) if found else 1
    while (made := f"{stem}v{(number := number + 1)}") in known:
        pass
    return made


OWN = {"question": "a", "lesson": "la", "exercise": "xa"}
"""What the ids of an agency's own items begin with after their area: files never use them."""


def fresh(kind: Kind, area: str, taken: Iterable[str]) -> str:
    """The next id of an agency's own item in an area: `computer-a1`."""
    known, number = set(taken), 1
    while (made := f"{area}-{OWN[kind]}{number}") in known:
        number += 1
    return made


# --- what is wrong with a draft --------------------------------------------------------

_KEYS = {
    "missing": "empty",
    "string_too_short": "empty",
    "string_type": "empty",
    "string_too_long": "too_long",
    "too_short": "few",
    "too_long": "many",
    "greater_than_equal": "low",
    "less_than_equal": "high",
    "literal_error": "choice",
}
"""What pydantic calls a fault, and which sentence says so."""
_KINDS = (("url", "url"), ("date", "date"), ("time", "time"), ("int", "number"),
          ("float", "number"))  # fmt: skip


def problems(draft: Revised, files: Content) -> list[Problem]:
    """What is wrong with a draft by itself, each at its field."""
    if draft.kind == "copy":
        there = entry(files, "copy", draft.key) or {}
        said = {lang: str(draft.body.get(lang, "")) for lang in LANGS}
        return list(sentence_problems(draft.key, said, {lang: there[lang] for lang in LANGS}))
    shape = shape_of(draft.kind, draft.key)
    try:
        read = shape.model_validate(draft.body)
    except ValidationError as error:
        return [_problem(each) for each in error.errors() if not _is_echo(each)]
    return list(_own(draft, read, files))


def _is_echo(error: Any) -> bool:
    """Whether a list is only called too short because what is in it is wrong: that is said, too."""
    fewest = error.get("ctx", {}).get("min_length", 0)
    return bool(error["type"] == "too_short" and len(error["input"]) >= fewest)


def _problem(error: Any) -> Problem:
    kind, context = error["type"], error.get("ctx", {})
    key = _KEYS.get(kind) or next((key for part, key in _KINDS if kind.startswith(part)), "shape")
    slots = {"what": error["msg"], "most": "", "fewest": ""}
    slots["most"] = context.get("max_length", context.get("le", ""))
    slots["fewest"] = context.get("min_length", context.get("ge", ""))
    return Problem(tuple(error["loc"]), key, slots, FAMILY)


def _own(draft: Revised, read: Any, files: Content) -> Iterator[Problem]:
    match draft.kind, draft.key:
        case "question", key:
            yield from question_problems(read, area_of(key), files)
        case "lesson", _:
            yield from lesson_problems(read, files)
        case "setting", "rhythm":
            if read.weekly_after > read.pause_after:
                yield Problem(("weekly_after",), "fades", {}, FAMILY)
            if not any(first <= read.time < last for first, last in files.nudges.hours.work):
                yield Problem(("time",), "hours", {}, FAMILY)
        case "setting", "thresholds":
            if read.least < files.layout.least:
                slots = {"fewest": files.layout.least}
                yield Problem(("least",), "promised", slots, FAMILY)
        case "setting", "days":
            yield from _days(read, files)
        case "step", _:
            for lang in LANGS:
                if len(read.name.of(lang)) > NAME:
                    yield Problem(("name", lang), "too_long", {"most": NAME}, FAMILY)


NAME = 60
"""Letters of a step's name: it stands on pictures and in titles."""


def _days(read: DaysOff, files: Content) -> Iterator[Problem]:
    public = {day.date for year in files.calendar for day in year.holidays}
    years = {each.year for each in public}
    dates = [day.date for day in read.days]
    for at, day in enumerate(dates):
        for key, wrong in (
            ("beyond", day.year not in years),
            ("weekend", day.weekday() >= 5),
            ("public", day in public),
            ("twice", dates.index(day) != at),
        ):
            if wrong:
                yield Problem(("days", at, "date"), key, {}, FAMILY)
                break
