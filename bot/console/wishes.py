"""What people ask about their data, with the days that the law leaves; copies, erasure, and who
looked at somebody's data."""

from datetime import datetime
from itertools import islice
from typing import Any, get_args

from sqlalchemy import Connection
from starlette.responses import Response

from bot.console import tables
from bot.console.pages import Page, Visit
from bot.console.tables import Column
from bot.errors import BadRequest
from bot.officer import Officer, archive
from flows import reports as said
from flows.calendar import local
from flows.text import long_date
from storage import subject, wishes
from storage.campaigns import Refused
from storage.scope import Denied, Power
from storage.wishes import LONGEST, ORDERS, STATES, Kind, NoAnswer, NoSuchWish, Sought

KINDS = get_args(Kind)


async def index(visit: Visit) -> Response:
    """Those that wait, the most urgent first; or those that have ended. That they were read is
    written down of each."""
    sought, scope = _sought(visit), visit.scope
    rows = await visit.write(lambda conn, now: wishes.page(conn, scope, sought, now))
    found, turned = tables.turn(visit, rows)
    words = visit.words
    columns = [
        Column("kind", words["wishes_kind"]),
        Column("due", words["wishes_due"]),
        Column("left", words["wishes_left"], sorts=False),
        Column("who", words["wishes_who"]),
        Column("at", words["wishes_at"]),
        Column("ended", words["wishes_outcome"]),
        Column("unit", words["wishes_unit"]),
    ]
    return visit.show(
        "wishes",
        state=sought.state,
        states=[(each, words["wishes_state_" + each]) for each in STATES],
        kind=sought.kind,
        kinds=[(each, words["wish_kind_" + each]) for each in KINDS],
        heads=tables.heads(visit, columns, "-ended" if sought.state == "ended" else "due"),
        rows=[_cells(row, visit) for row in found],
        turned=turned,
    )


def _sought(visit: Visit) -> Sought:
    """What the address asks for; what there is not counts as not asked for."""
    state = next((each for each in STATES if each == visit.asked("state")), "open")
    kind = next((each for each in KINDS if each == visit.asked("kind")), "")
    order, down = tables.order(visit, ORDERS, "-ended" if state == "ended" else "due")
    if not order:
        order, down = ("ended", True) if state == "ended" else ("due", False)
    return Sought(state, kind, order, down, tables.offset(visit), tables.PAGE + 1)


def _cells(row: Any, visit: Visit) -> list[Any]:
    lang = visit.lang
    return [
        {"text": visit.words["wish_kind_" + row.kind], "path": f"/console/wishes/{row.id}"},
        long_date(local(row.due).date(), lang),
        _left(row, visit),
        _who(row, visit),
        long_date(local(row.at).date(), lang),
        _outcome(row, visit),
        row.path or "–",
    ]


def _left(row: Any, visit: Visit) -> Any:
    """How many days the law leaves; in words where it leaves none."""
    if row.ended_at is not None:
        return "–"
    days = (local(row.due).date() - local(visit.app.clock()).date()).days
    if row.due < visit.app.clock():
        return {"text": visit.words["wishes_overdue"].format(n=max(-days, 1))}
    return visit.words["wishes_days" if days else "wishes_today"].format(n=days)


def _who(row: Any, visit: Visit) -> str:
    if row.hr_id:
        return f"{row.name} ({row.hr_id})" if row.name else str(row.hr_id)
    return visit.words["wishes_guest"].format(id=row.learner_id) if row.learner_id else "–"


def _outcome(row: Any, visit: Visit) -> str:
    if row.ended_at is None:
        return visit.words["wishes_open"]
    how = visit.words["wish_ended_" + (row.ended_as or "done")]
    return f"{how} {long_date(local(row.ended_at).date(), visit.lang)}"


# --- one of them -------------------------------------------------------------------------


async def view(visit: Visit) -> Response:
    return await _shown(visit)


async def _shown(
    visit: Visit, how: str = "", reason: str = "", faults: dict[str, str] | None = None
) -> Response:
    """A wish, and what is answered to it as far as it is typed."""
    scope, id = visit.scope, visit.number("id")
    try:
        row = await visit.write(lambda conn, now: wishes.one(conn, scope, id, now))
    except NoSuchWish:
        raise BadRequest(404, "not_found") from None
    lang = visit.lang
    return visit.show(
        "wish",
        422 if faults else 200,
        row=row,
        who=_who(row, visit),
        text=wishes.words(row),
        at=said.moment(row.at, lang),
        due=said.moment(row.due, lang),
        left=_left(row, visit),
        ended=said.moment(row.ended_at, lang) if row.ended_at else "",
        outcome=_outcome(row, visit),
        may_answer=row.ended_at is None and row.kind != "erase",
        how=how,
        reason=reason,
        faults=faults or {},
        longest=LONGEST,
    )


async def answer(visit: Visit) -> Response:
    """Grant or refuse what was asked; whoever asked hears so in the chat."""
    scope, id = visit.scope, visit.number("id")
    how, reason, words = visit.said("how"), visit.said("reason"), visit.words

    def work(conn: Connection, now: datetime) -> Any:
        return wishes.end(conn, scope, id, how, reason, now)

    try:
        await visit.write(work)
    except NoAnswer as error:
        field = "how" if error.key == "how" else "reason"
        fault = words["wish_fault_" + error.key].format(most=LONGEST)
        return await _shown(visit, how, reason, {field: fault})
    except Denied:  # of a unit that somebody else answers for: to this officer there is none
        raise BadRequest(404, "not_found") from None
    except NoSuchWish:
        return await _shown(visit, how, reason, {"all": words["changed_meanwhile"]})
    return visit.go("wishes", words["wish_answered"])


# --- a person ----------------------------------------------------------------------------


async def person(visit: Visit) -> Response:
    """Who looked at somebody's data, a copy of it to hand over, and erasure. Nothing is shown
    before an id at HR is named; that somebody looked is written down."""
    return await _person(visit, visit.asked("who").strip())


async def _person(visit: Visit, who: str, fault: str = "", unsure: str = "") -> Response:
    found: dict[str, Any] = {}
    if who and not fault:
        try:
            found = await _described(visit, who)
        except subject.NoSuchPerson:
            fault = visit.app.content.copy_[visit.lang]["officer_no_person"].format(who=who)
    status = 422 if fault or unsure else 200
    return visit.show("person_data", status, who=who, fault=fault, unsure=unsure, **found)


async def _described(visit: Visit, who: str) -> dict[str, Any]:
    """Somebody's place on the roster, and a page of those who looked."""
    scope = visit.scope
    if len(who) > LONGEST:
        raise subject.NoSuchPerson(who[:LONGEST])
    about = await visit.read(lambda conn: subject.described(conn, scope, who))
    looked = await visit.write(lambda conn, now: subject.who_looked(conn, scope, who, now))
    rows, turned = tables.turn(visit, islice(looked, tables.offset(visit), None))
    words = visit.words
    columns = [
        Column(id, words["wishes_looked_" + id], sorts=False)
        for id in ("at", "by", "action", "result")
    ]
    return {
        "about": about,
        "heads": tables.heads(visit, columns),
        "rows": [
            [
                said.moment(datetime.fromisoformat(row["at"]), visit.lang),
                row["by"] or words["wishes_operator"],
                words.get("act_" + row["action"], row["action"]),
                words.get("act_result_" + row["result"], row["result"]),
            ]
            for row in rows
        ],
        "turned": turned,
    }


async def copy(visit: Visit) -> Response:
    """Everything that is held about a person, as an archive to hand over."""
    who = visit.said("who")
    try:
        _, data = await archive(visit.app, who, visit.session.hr_id)
    except subject.NoSuchPerson:
        fault = visit.app.content.copy_[visit.lang]["officer_no_person"].format(who=who)
        return await _person(visit, who, fault)
    except Refused:  # the role has ended meanwhile
        raise Denied("privacy") from None
    name = f"kaona-person-{local(visit.app.clock()):%Y-%m-%d}.zip"
    return visit.attach(data, name, "application/zip")


async def erase(visit: Visit) -> Response:
    """Erase somebody for good: their learning, and what names them on the roster."""
    who, words = visit.said("who"), visit.words
    if not visit.said("sure"):
        return await _person(visit, who, unsure=words["wishes_erase_unsure"])
    if who == visit.session.hr_id:
        return await _person(visit, who, unsure=words["wishes_erase_own"])
    officer = Officer(visit.app, visit.lang)
    made = await officer.ask("erase", {"person": who, "by": visit.session.hr_id})
    if "refused" in made:
        return await _person(visit, who, " ".join(made["refused"]))
    return visit.go("wishes", words["wishes_erased"])


NEEDS: tuple[Power, ...] = ("privacy",)
PAGES = (
    Page("/wishes", index, NEEDS, place="wishes"),
    Page("/wishes/person", person, NEEDS, place="wishes"),
    Page("/wishes/person/copy", copy, NEEDS, "POST", proof=True, place="wishes"),
    Page("/wishes/person/erase", erase, NEEDS, "POST", proof=True, place="wishes"),
    Page("/wishes/{id:str}", view, NEEDS, place="wishes"),
    Page("/wishes/{id:str}", answer, NEEDS, "POST", place="wishes"),
)
