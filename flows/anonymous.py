"""Whether a text names somebody, and what it could say instead."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from content.schema import Layout
from flows.text import plain

Tell = Literal["name", "perhaps", "number", "email"]
"""What gives somebody away; `perhaps` is a word that is also somebody's first or last name."""
SHORTEST = 3
"""Letters of a name below which it is found everywhere."""

_EMAIL = re.compile(r"[^\s@<>()]+@[^\s@<>()]+\.[^\s@<>()]+")
_NUMBER = re.compile(r"\d(?:[ .\-/]?\d){8,}")
"""Nine digits and more: telephone numbers, numbers of people and of accounts."""


def tells(text: str, names: Iterable[str], layout: Layout) -> list[Tell]:
    """All kinds of what gives somebody away; never which of the names it is."""
    said = plain(text)
    found: set[Tell] = set()
    if _EMAIL.search(said):
        found.add("email")
    if _NUMBER.search(_EMAIL.sub(" ", said)):
        found.add("number")
    for name in names:
        parts = parts_of(name, layout)
        if any(part in said for part in parts):
            found.add("name" if re.search(_pattern(parts, layout), said) else "perhaps")
    if "name" not in found and _titled(said, layout):
        found.add("perhaps")
    kinds: tuple[Tell, ...] = ("name", "perhaps", "number", "email")
    return [kind for kind in kinds if kind in found]


def _titled(said: str, layout: Layout) -> bool:
    """Whether a title stands before a word as before a name, whoever that may be."""
    for word in layout.no_titles:
        said = said.replace(plain(word), " ")
    titles = "|".join(re.escape(plain(each)) for each in layout.sure_titles)
    return re.search(rf"(?:{titles})\s?[a-z\u0e01-\u0e4e]{{2}}", said) is not None


def suggest(text: str, names: Iterable[str], layout: Layout) -> str:
    """The text with names, numbers and addresses replaced; still to be read by a person."""
    for name in names:
        parts = parts_of(name, layout)
        for pattern in filter(None, (_pattern(parts, layout), *map(re.escape, parts))):
            text = re.sub(pattern, layout.unnamed["name"], text, flags=re.IGNORECASE)
    text = _EMAIL.sub(layout.unnamed["email"], text)
    return " ".join(_NUMBER.sub(layout.unnamed["number"], text).split())


def parts_of(name: str, layout: Layout) -> list[str]:
    """First and last name, in plain letters, without what stands before them."""
    bare = plain(name).strip()
    for title in sorted(map(plain, layout.titles), key=len, reverse=True):
        if bare.startswith(title) and len(bare) > len(title):
            bare = bare[len(title) :].strip()
            break
    return [part for part in bare.split() if len(part) >= SHORTEST]


def _pattern(parts: Sequence[str], layout: Layout) -> str:
    """The whole name, or the first name after a title; one that is surely meant as a name."""
    if not parts:
        return ""
    first, rest = re.escape(parts[0]), r"\s*".join(map(re.escape, parts[1:]))
    titles = "|".join(
        re.escape(plain(title)) for title in sorted(layout.titles, key=len, reverse=True)
    )
    titled = rf"(?:{titles})\s*{first}(?:\s*{rest})?" if rest else rf"(?:{titles})\s*{first}"
    return rf"{titled}|{first}\s*{rest}" if rest else titled
