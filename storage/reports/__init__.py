"""Reports: one function for each, and one query for the screen, the chat and every file."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection

from content.schema import Content
from flows.reports import Ask, Report
from storage import audit
from storage.reports.activity import activity
from storage.reports.behind import behind
from storage.reports.campaigns import campaigns
from storage.reports.common import View, Wrong, check
from storage.reports.evidence import evidence, uses
from storage.reports.funnel import Tally, funnel
from storage.reports.items import items
from storage.reports.quality import quality
from storage.reports.skills import skills
from storage.scope import Power, Scope

__all__ = ["REPORTS", "Ask", "Report", "Wrong", "asked", "report"]


class Entry(Struct, frozen=True):
    """A report: how it is made, which power it takes, and which filters do something in it."""

    make: Callable[[Connection, View], Report]
    takes: tuple[str, ...]
    power: Power = "figures"


REPORTS: dict[str, Entry] = {
    "funnel": Entry(funnel, ("unit", "group")),
    "skills": Entry(skills, ("unit", "group", "round", "from", "until")),
    "activity": Entry(activity, ("unit", "from", "until")),
    "campaigns": Entry(campaigns, ("from", "until")),
    "evidence": Entry(evidence, ("unit", "from", "until")),
    "uses": Entry(uses, ("unit", "group", "from", "until"), "names"),
    "items": Entry(items, ()),
    "behind": Entry(behind, ("unit", "group", "days"), "names"),
    "quality": Entry(quality, ("unit",)),
}


def report(
    conn: Connection,
    name: str,
    scope: Scope,
    ask: Ask,
    now: datetime,
    content: Content,
    tally: Tally | None = None,
) -> Report:
    """Make a report for a viewer; with `tally`, from what was counted before. Raises `Denied`
    where they may not see it, and `Wrong` where it cannot be asked for like this. Rows are read
    from `conn` while they are used."""
    entry = REPORTS.get(name)
    if entry is None:
        raise Wrong("name", what=name, known=", ".join(REPORTS))
    view = View(inside(scope), ask, now, content, tally)
    check(conn, view, entry.power, entry.takes)
    return entry.make(conn, view)


def asked(conn: Connection, name: str, scope: Scope, ask: Ask, now: datetime, how: str) -> None:
    """Write down who asks for a report, with which filters, and how they get it: before they do."""
    filters = {key: value for key, value in asdict(ask).items() if value}
    data: dict[str, Any] = {"how": how, "filters": filters}
    if name in REPORTS and REPORTS[name].power == "names":
        data["over"] = over(name, scope, ask)
    audit.note(conn, scope.viewer, "report", f"report:{name}", now, **data)


def over(name: str, scope: Scope, ask: Ask) -> list[str]:
    """The tops of the units that a report is of."""
    return [ask.unit] if ask.unit else list(scope.paths(REPORTS[name].power))


def inside(scope: Scope) -> Scope:
    """The rights of a viewer within the agency. OCSC is promised totals of ten people or more,
    which these reports do not keep to: it has a report of its own."""
    return Scope(scope.viewer, tuple(right for right in scope.rights if right.role != "ocsc"))
