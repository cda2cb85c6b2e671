"""From typed fields to the draft of an entry, for the console's forms and for files of authors."""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from bot.content_fields import NAMES, field_of, unflatten
from bot.wording import words
from content.load import load_terms
from content.overlay import (
    ITEMS,
    Kind,
    Revised,
    digest,
    entry,
    moved,
    plain,
    problems,
    shape_of,
    successor,
)
from content.schema import Content, Lang, Terms, area_of
from storage.revisions import Draft


class Room(NamedTuple):
    """Where something is drafted: the files, what is in use, and the language of whoever does."""

    files: Content
    content: Content
    lang: Lang

    @property
    def words(self) -> dict[str, str]:
        return words(self.lang)


class Wanted(NamedTuple):
    """What somebody typed: the draft that it makes, or what is wrong, by its field."""

    draft: Draft | None
    faults: dict[str, str]


@cache
def terms() -> Terms:
    """What the lint of words goes by."""
    return load_terms()


def made_from(
    room: Room, kind: Kind, origin: str, typed: Mapping[str, str], note: str, *, another: bool
) -> Wanted:
    """The draft of an entry as it was typed. What changes more than words becomes another item
    that stands in for it; `another`: the author says that this does."""
    files, content = room.files, room.content
    before = entry(content, kind, origin) or {}
    read = unflatten(kind, typed)
    body = read.body | ({"id": origin} if kind in ITEMS else {})
    found = problems(Revised(kind, origin, body), files)
    if found:
        said = dict[str, str]()
        for problem in found:
            name = field_of(kind, problem, read.places)
            said.setdefault(name, problem.text(room.lang, content))
        return Wanted(None, said)
    if kind != "copy":
        body = plain(shape_of(kind, origin).model_validate(body))
    if before.get("replaces"):
        body["replaces"] = before["replaces"]
    if body == before:
        return Wanted(None, {NAMES[kind][0]: room.words["content_unchanged"]})
    key = origin
    if before and kind in ITEMS and (another or moved(kind, before, body)):
        key = successor(kind, origin, ids_of(content, kind, origin))
        body |= {"id": key, "replaces": origin}
    base = digest(entry(files, kind, key))
    return Wanted(Draft(kind, key, origin, body, base, note), {})


def ids_of(content: Content, kind: Kind, key: str) -> list[str]:
    """The ids of a kind in the area of one of them."""
    return [item.id for item in getattr(content, ITEMS[kind][0]).get(area_of(key), ())]
