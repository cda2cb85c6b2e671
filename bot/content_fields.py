"""Entries of the content as flat fields, for forms and spreadsheets, and back again."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from content.lint import Problem
from content.overlay import Body, Kind
from content.schema import LANGS, Content, Lang, area_of

SLOTS = 6
"""Options of a question, messages of a lesson, steps of an exercise: as many as there may be."""
DIMENSIONS = ("use", "understand", "create", "access")
CERTAINTIES = ("O", "C", "T", "I", "M")
SOURCE = ("source.title", "source.url", "source.date", "source.certainty")
Control = Literal["line", "area", "number", "date", "choice", "many", "time"]

NUMBERS = {"difficulty", "minutes", "weekly_after", "pause_after", "busy_minutes", "late_hours",
           "least", "behind_days", "fewest_pairs", "fewest_answers"}  # fmt: skip
DATES = {"source.date", "review_by"}
CHOICES = {"sub_skill", "dimension", "right", "source.certainty", "status"}
LINES = {"title.th", "title.en", "name.th", "name.en", "source.title", "source.url", "contact"}


class Field(Struct, frozen=True):
    """One field as a form shows it."""

    name: str
    label: str
    control: Control
    options: Sequence[tuple[str, str]] = ()
    required: bool = True


class Group(Struct, frozen=True):
    """Fields under a heading; without one they stand by themselves. `spare`: nothing stands in
    them, and nothing must."""

    legend: str
    fields: list[Field]
    spare: bool = False


def both(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}.{lang}" for name in names for lang in LANGS)


def _slots(part: str, *ends: str) -> tuple[str, ...]:
    return tuple(f"{part}.{n}.{end}" for n in range(1, SLOTS + 1) for end in ends)


NAMES: dict[str, tuple[str, ...]] = {
    "question": (
        *both("stem"),
        "right",
        *_slots("option", "th.text", "th.feedback", "en.text", "en.feedback"),
        *("sub_skill", "dimension", "difficulty", "groups"),
        *SOURCE,
        "review_by",
    ),
    "lesson": (*both("title"), "minutes", *_slots("messages", *LANGS, "picture"), *SOURCE),
    "exercise": (
        *both("title"),
        "minutes",
        *both("task"),
        *_slots("steps", *LANGS),
        *both("check"),
        *SOURCE,
    ),
    "step": both("name", "task"),
    "method": ("status", *both("label")),
    "copy": LANGS,
}
"""The fields of each kind, in their order on the page and in a spreadsheet."""
REPEATED = {"question": "option", "lesson": "messages", "exercise": "steps"}


# --- there and back --------------------------------------------------------------------


def flatten(kind: Kind, body: Body) -> dict[str, str]:
    """What stands in each field; empty where nothing does."""
    found = dict.fromkeys(NAMES[kind], "")
    found |= {name: value for name, value in _walk("", body) if name in found}
    if kind == "question":
        options = body.get("option", ())
        right = [str(n) for n, option in enumerate(options, 1) if option.get("correct")]
        found["right"] = right[0] if len(right) == 1 else ""
    return found


def _walk(path: str, value: Any) -> Iterator[tuple[str, str]]:
    match value:
        case dict():
            for key, inner in value.items():
                yield from _walk(f"{path}.{key}" if path else key, inner)
        case list() if all(isinstance(each, str) for each in value):
            yield path, ", ".join(value)
        case list():
            for n, inner in enumerate(value, 1):
                yield from _walk(f"{path}.{n}", inner)
        case _:
            yield path, "" if value is None else str(value)


class Read(Struct, frozen=True):
    """An entry made from fields, and for each of its repeated parts the number of its fields:
    empty ones in between are left out."""

    body: Body
    places: list[int]


def unflatten(kind: Kind, typed: Mapping[str, str]) -> Read:
    """The entry that was typed; what is missing is missing in it, too."""
    body: Body = {}
    part = REPEATED.get(kind, "")
    for name in NAMES[kind]:
        if name.partition(".")[0] not in (part, "right", "groups") and (value := typed.get(name)):
            _set(body, name.split("."), value)
    if kind == "question":
        groups = [each.strip() for each in typed.get("groups", "").split(",")]
        body["groups"] = [each for each in groups if each]
    places, made = list[int](), list[Body]()
    for n in range(1, SLOTS + 1) if part else ():
        inner: Body = {}
        for name in NAMES[kind]:
            if name.startswith(f"{part}.{n}.") and (value := typed.get(name)):
                _set(inner, name.split(".")[2:], value)
        chosen = kind == "question" and typed.get("right") == str(n)
        if inner or chosen:
            if chosen:
                inner["correct"] = True
            made.append(inner)
            places.append(n)
    if part:
        body[part] = made
    return Read(body, places)


def _set(body: Body, path: list[str], value: str) -> None:
    for key in path[:-1]:
        body = body.setdefault(key, {})
    body[path[-1]] = value


def field_of(kind: Kind, problem: Problem, places: Sequence[int]) -> str:
    """The field that a problem belongs to."""
    loc = [str(each) for each in problem.loc]
    if loc[:1] == [REPEATED.get(kind)] and len(loc) > 1:
        at = int(loc[1])
        loc[1] = str(places[at] if at < len(places) else SLOTS)
    if kind == "question" and (loc == ["id"] or loc[-1:] == ["correct"]):
        loc = ["right"]
    path, names = ".".join(loc), NAMES[kind]
    if path in names:
        return path
    return next((name for name in names if name.startswith(path + ".")), names[0])


# --- as a form -------------------------------------------------------------------------


def label(name: str, words: Mapping[str, str]) -> str:
    """What a field is called."""
    parts = name.split(".")
    number = next((part for part in parts if part.isdecimal()), "")
    lang = next((part for part in parts if part in LANGS), "")
    base = "_".join(part for part in parts if part not in (number, lang)) or "text"
    called = words["content_field_" + base].format(n=number)
    spoken = words["content_in_" + lang] if lang else ""
    return f"{called} ({spoken})" if spoken else called


def options_of(
    kind: Kind, name: str, key: str, content: Content, lang: Lang, words: Mapping[str, str]
) -> list[tuple[str, str]]:
    """What may be chosen in a field."""
    if name.endswith(".picture"):
        return [(each.id, each.title.of(lang)) for each in content.pictures]
    match name:
        case "sub_skill":
            found = next((a for a in content.subjects if a.id == area_of(key)), None)
            return [(each, each) for each in (found.sub_skills if found else ())]
        case "dimension":
            return [(each, words["content_dimension_" + each]) for each in DIMENSIONS]
        case "right":
            return [(str(n), words["content_field_option_text"].format(n=n))
                    for n in range(1, SLOTS + 1)]  # fmt: skip
        case "source.certainty":
            return [(each, f"{each} – {words['content_sure_' + each]}") for each in CERTAINTIES]
        case "groups":
            return [(each.id, each.name.of(lang)) for each in content.framework.groups]
        case "status":
            return [(each, words["content_method_" + each]) for each in ("default", "official")]
    return []


def groups(
    kind: Kind,
    key: str,
    typed: Mapping[str, str],
    content: Content,
    lang: Lang,
    words: Mapping[str, str],
) -> list[Group]:
    """The form of an entry: repeated parts and the source each under a heading."""
    made: list[Group] = []
    for name in NAMES[kind]:
        legend = _legend(kind, name, words)
        if not made or made[-1].legend != legend:
            made.append(Group(legend, []))
        chosen = options_of(kind, name, key, content, lang, words)
        field = Field(name, label(name, words), _control(name), chosen, _required(kind, name))
        made[-1].fields.append(field)
    return [replace(group, spare=_is_spare(group, typed)) for group in made]


def _is_spare(group: Group, typed: Mapping[str, str]) -> bool:
    return not any(field.required or typed.get(field.name) for field in group.fields)


def _legend(kind: Kind, name: str, words: Mapping[str, str]) -> str:
    first, *rest = name.split(".")
    if first == REPEATED.get(kind):
        return words["content_part_" + first].format(n=rest[0])
    return words["content_part_source"] if first in ("source", "review_by") else ""


def _control(name: str) -> Control:
    if name == "groups":
        return "many"
    if name.endswith(".picture"):
        return "choice"
    for control, names in (("number", NUMBERS), ("date", DATES), ("choice", CHOICES)):
        if name in names:
            return control  # type: ignore[return-value]
    return "line" if name in LINES else "area"


def _required(kind: Kind, name: str) -> bool:
    """What must be filled in, as far as it can be said of the field alone."""
    first, *rest = name.split(".")
    if rest[1:] == ["picture"]:
        return False
    fewest = {"option": 3, "messages": 2, "steps": 2}
    if first in fewest and first == REPEATED.get(kind):
        return int(rest[0]) <= fewest[first]
    return name not in ("groups", "source.url", "source.date")
