"""What a manager's conversation asks the shell for; their rights are read in the same transaction,
never from the conversation."""

from datetime import datetime, timedelta

from msgspec.json import encode
from sqlalchemy import Connection, func, insert, literal, select

from content.schema import Content
from flows.calendar import at_minute, local, next_permitted
from flows.types import Json
from storage import audit, digests
from storage.gathered import insert_new
from storage.looks import Looking, confirm_use
from storage.models import Moment, facts, learners, profiles, timers
from storage.profiles import countable
from storage.scope import Scope, scope_of

CHEERED_AT_ONCE = 2_000
"""Learners whom one cheer may reach; for more there are campaigns."""


def viewer(conn: Connection, learner_id: int, now: datetime) -> Scope:
    """The rights that a learner has today, by the person they are linked to."""
    who = select(learners.c.person_id).where(learners.c.id == learner_id)
    return scope_of(conn, conn.execute(who).scalar(), now)


def team(
    conn: Connection, learner_id: int, args: dict[str, Json], now: datetime, content: Content
) -> dict[str, Json]:
    """A team's newest figures: of the unit that is asked for, else of the first that the viewer
    may see."""
    scope = viewer(conn, learner_id, now)
    known = shown(conn, scope, args.get("unit", 0), args.get("after", 0))
    if known["result"] == "none":
        return known
    return known | {"waiting": len(digests.waiting(conn, scope, learner_id))}


def shown(conn: Connection, scope: Scope, unit_id: int = 0, after: int = 0) -> dict[str, Json]:
    """The same for whoever looks, in the chat or at a page. `result` is none (no team, or not
    theirs), nothing (no figures), or figures."""
    found = digests.tops(conn, scope)
    if unit_id:
        found = [row for row in [digests.unit(conn, scope, unit_id)] if row]
    if not found:
        return {"result": "none"}
    here, *others = found
    below = digests.below_it(conn, scope, here.id, after)
    subs = [*below[: digests.SHOWN], *([] if after else others)][: digests.SHOWN]
    known = {
        "result": "nothing",
        "unit": {"id": here.id, "name": here.name},
        "subs": [[row.id, row.name] for row in subs],
        "more": len(below) > digests.SHOWN,
        "after": after,
        "leads": scope.may("lead", here.path),
    }
    said = digests.newest(conn, scope, here.id)
    if not said:
        return known
    day, figures = said[0]
    known |= {"result": "figures", "day": day, "levels": figures.levels, "areas": figures.areas}
    before = {"day": said[1][0], "levels": said[1][1].levels} if len(said) > 1 else None
    return known | {"before": before}


def cheer(
    conn: Connection, learner_id: int, args: dict[str, Json], now: datetime, content: Content
) -> dict[str, Json]:
    """A kind word to all who chat in a unit that the viewer leads and below, once a week; each
    hears it by a timer of their own. The answer is the same however many they are."""
    scope = viewer(conn, learner_id, now)
    unit = digests.unit(conn, scope, args["unit"])
    if unit is None or not scope.may("lead", unit.path):
        return {"result": "not_yours"}
    here = local(now)
    monday = at_minute(here, 0) - timedelta(days=here.weekday())
    lately = select(facts.c.id).where(
        facts.c.learner_id == learner_id, facts.c.kind == "cheered", facts.c.at >= monday
    )
    if conn.execute(lately.limit(1)).first():
        return {"result": "already"}
    inside = digests.subtree(conn, scope, unit.path)
    theirs = (
        profiles.c.unit_id.in_(inside),
        profiles.c.learner_id != learner_id,
        profiles.c.welcomed,
        profiles.c.nudges,
        profiles.c.reachable,
        profiles.c.stopped.is_(False),
        countable(),
    )
    many = select(func.count()).select_from(profiles).where(*theirs)
    if conn.execute(many).scalar_one() > CHEERED_AT_ONCE:
        return {"result": "too_many"}
    due = literal(next_permitted(now, "", content), Moment)
    timer = ("cheer", f"{learner_id}:{here.toordinal()}")
    rows = select(profiles.c.learner_id, *map(literal, timer), due, literal("{}")).where(*theirs)
    names = ["learner_id", "kind", "key", "due", "data"]
    conn.execute(insert_new(conn, timers).from_select(names, rows))
    noted = {"learner_id": learner_id, "at": now, "kind": "cheered"}
    conn.execute(insert(facts).values(noted | {"data": encode({"unit": unit.id}).decode()}))
    return {"result": "cheered"}


def waiting(
    conn: Connection, learner_id: int, args: dict[str, Json], now: datetime, content: Content
) -> dict[str, Json]:
    """Answer a use at work, if one is named, and tell the next that waits; `left` counts it."""
    scope, result = viewer(conn, learner_id, now), ""
    if "confirmed" in args:
        result = confirm_use(conn, learner_id, args, now, content)["result"]
    left = digests.waiting(conn, scope, learner_id)
    after = [use for use in left if use["use"] > args.get("after", 0)]
    return {"result": result, "next": after[0] if after else None, "left": len(after)}


def completed(
    conn: Connection, learner_id: int, args: dict[str, Json], now: datetime, content: Content
) -> dict[str, Json]:
    """Names of those who have finished what is mandatory, where the agency has switched it on."""
    scope = viewer(conn, learner_id, now)
    unit = digests.unit(conn, scope, args["unit"])
    if unit is None or not scope.may("lead", unit.path) or not content.digest.names:
        return {"names": []}
    names = digests.completed(conn, scope, unit.path, now, content)
    target, over = f"unit:{unit.id}", [unit.path]
    audit.note(conn, scope.viewer, "view_completed", target, now, people=len(names), over=over)
    return {"names": names}


LOOKS: dict[str, Looking] = {
    "team": team,
    "weekly_team": team,
    "cheer": cheer,
    "waiting": waiting,
    "completed": completed,
}


def permitted(conn: Connection, learner_id: int, guard: str, now: datetime) -> bool:
    """Whether a learner still has the right (`power:unit`) that something for them needs."""
    power, _, unit_id = guard.partition(":")
    if power != "team" or not unit_id.isdecimal():
        return False
    return digests.unit(conn, viewer(conn, learner_id, now), int(unit_id)) is not None
