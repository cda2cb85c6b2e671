"""Tables on the screen: sorted, filtered and turned by the address alone, so that a link shows
what was seen."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import urlencode

from msgspec import Struct

from bot.console.pages import Visit

PAGE = 100
"""Rows on the screen at a time."""
T = TypeVar("T")


class Column(Struct, frozen=True):
    """A column's id in the address, and its name on the screen."""

    id: str
    name: str
    number: bool = False
    sorts: bool = True


class Turned(Struct, frozen=True):
    """Which page is shown, and the addresses of those beside it."""

    page: int
    before: str
    after: str


def known(visit: Visit) -> dict[str, str]:
    """What the address says, but for the language."""
    asked = visit.request.query_params.items()
    return {key: value for key, value in asked if key != "lang"}


def changed(known: dict[str, str], **by: Any) -> str:
    """The same page's address with something else in it; the pages begin anew."""
    kept = {key: value for key, value in known.items() if key not in ("page", *by)}
    return "?" + urlencode(kept | by)


def order(visit: Visit, ids: Iterable[str], default: str = "") -> tuple[str, bool]:
    """The column that the address sorts by, and whether downwards. One that is not there counts
    as none."""
    wanted = visit.asked("sort") or default
    name = wanted.removeprefix("-")
    return (name, wanted.startswith("-")) if name in ids else ("", False)


def heads(visit: Visit, columns: Sequence[Column], default: str = "") -> list[dict[str, Any]]:
    """What the template needs of each column: its name, the address that sorts by it, and how it
    is sorted now."""
    sorted_by, down = order(visit, [each.id for each in columns], default)
    asked = known(visit)
    return [
        {
            "name": each.name,
            "number": each.number,
            "sort": changed(asked, sort=("-" if here and not down else "") + each.id)
            if each.sorts
            else "",
            "order": ("descending" if down else "ascending") if here else "",
        }
        for each in columns
        for here in (each.id == sorted_by,)
    ]


def page(visit: Visit) -> int:
    """The page that the address asks for, from 1 on."""
    asked = visit.asked("page")
    return max(int(asked), 1) if asked.isdecimal() and len(asked) < 9 else 1


def offset(visit: Visit) -> int:
    """Rows before the page; ask for one row more than PAGE, and `turn` knows whether there is
    another page."""
    return (page(visit) - 1) * PAGE


def turn(visit: Visit, rows: Iterable[T]) -> tuple[list[T], Turned]:
    """The rows of this page out of PAGE + 1 that begin with its first, and the ways on."""
    found, asked, here = list(islice(rows, PAGE + 1)), known(visit), page(visit)
    before = changed(asked, page=here - 1) if here > 1 else ""
    after = changed(asked, page=here + 1) if len(found) > PAGE else ""
    return found[:PAGE], Turned(here, before, after)
