"""The simulator: talk to the bot as a made-up learner, at any step and on any day. Nothing of it
reaches anybody, and nothing is written down."""

import asyncio
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any, TypeVar, get_args

from msgspec import Struct
from starlette.responses import Response

from bot.channels import webchat
from bot.console import simulated
from bot.console.forms import number
from bot.console.pages import Page, Visit
from bot.errors import BadRequest
from bot.simulation import Full, Look, Simulation, Start
from bot.simulations import Busy, Held, Over
from content import overlay
from content.overlay import Revised
from content.schema import LANGS, Content
from flows.calendar import add_working_days, ends, local, midnight, next_permitted
from flows.text import long_date
from flows.types import Kind
from storage import revisions
from storage.database import DOWN
from storage.scope import Power

T = TypeVar("T")
NAME = 100
"""Letters of a name and a unit."""
BUDGET = 1_000_000
MORNING = "09:30"
"""When it begins unless somebody says otherwise: within the hours of messages."""
DESCRIBED = "described"
"""The persona of somebody who is described instead of chosen."""


class Began(Struct, frozen=True):
    """The form, and what is wrong with it by its fields."""

    start: Start | None
    budget: int | None
    faults: dict[str, str]


# --- beginning -----------------------------------------------------------------------------


async def index(visit: Visit) -> Response:
    return await _form(visit, {}, {})


async def _form(
    visit: Visit, typed: dict[str, str], faults: dict[str, str], status: int = 200, **more: Any
) -> Response:
    """The beginning of a simulation, and those that the officer has open."""
    draft = await _draft(visit)
    content = _content(visit, draft)
    here, lang = local(visit.app.clock()), visit.lang
    agency = await asyncio.to_thread(lambda: visit.app.simulations.agency)
    first = next((each.hr_id for each in agency.people if each.role == "learner"), DESCRIBED)
    values = {"persona": first, "date": here.date().isoformat(), "time": MORNING, "nudges": "1"}
    units = {unit.id: unit.name for unit in agency.units}
    people = [(p.hr_id, f"{p.name} · {p.title} · {units[p.unit]}") for p in agency.people]
    days = [day.isoformat() for day in _days(content)]
    return visit.show(
        "simulator",
        status,
        draft=draft,
        typed=(values if not typed else {}) | typed,
        faults=faults,
        people=[(DESCRIBED, visit.words["sim_described"]), *people],
        groups=[(each.id, each.name.of(lang)) for each in content.framework.groups],
        places=simulated.places(content, lang, visit.words),
        looks=[(look, content.copy_[lang]["channel_" + look]) for look in get_args(Look)],
        langs=[(each, visit.words["sim_lang_" + each]) for each in LANGS],
        earliest=days[0],
        last=days[1],
        open=[simulated.brief(each, content, visit) for each in _mine(visit)],
        **more,
    )


async def _draft(visit: Visit) -> Revised | None:
    """The draft that is to be tried, if the address or the form names one."""
    asked = visit.asked("draft") or visit.said("draft")
    if not asked:
        return None
    visit.scope.require("content")
    id = number(asked) or 0
    try:
        row = await visit.read(lambda conn: revisions.find(conn, id))
    except revisions.Missing:
        raise BadRequest(404, "not_found") from None
    return revisions.as_revised(row)


def _content(visit: Visit, draft: Revised | None) -> Content:
    """What is taught and said in the simulation: what is live, and a draft laid over it."""
    if draft is None:
        return visit.app.content
    try:
        return overlay.with_draft(visit.app.content, draft)
    except overlay.Misfit:
        raise BadRequest(404, "not_found") from None


def _days(content: Content) -> tuple[date, date]:
    """The first and the last day that the calendar knows."""
    last = ends(content)
    return date(last.year - len(content.calendar) + 1, 1, 1), last


def _mine(visit: Visit) -> list[Held]:
    return visit.app.simulations.of(visit.session.person_id)


FIELDS = ("persona", "name", "unit", "group", "lang", "channel", "place", "date", "time")


async def begin(visit: Visit) -> Response:
    content = _content(visit, await _draft(visit))
    agency = await asyncio.to_thread(lambda: visit.app.simulations.agency)
    known = {person.hr_id for person in agency.people}
    asked = _read(visit, content, known)
    if asked.start is None:
        typed = {name: visit.said(name) for name in (*FIELDS, "nudges", "budget")}
        return await _form(visit, typed, asked.faults, 422)
    owner, start, budget = visit.session.person_id, asked.start, asked.budget
    try:
        held = await asyncio.to_thread(visit.app.simulations.begin, owner, content, start, budget)
    except Busy:
        raise BadRequest(503, "busy") from None
    return visit.go(f"simulator/{held.id}#talk")


def _read(visit: Visit, content: Content, known: set[str]) -> Began:
    """The form as a beginning."""
    words, faults = visit.words, dict[str, str]()
    said = {name: visit.said(name) for name in FIELDS}
    described = said["persona"] == DESCRIBED
    offered: dict[str, set[str]] = {
        "persona": {DESCRIBED, *known},
        "group": {each.id for each in content.framework.groups},
        "lang": set(LANGS),
        "channel": set(get_args(Look)),
        "place": {id for id, _ in simulated.places(content, visit.lang, words)},
    }
    for name, ids in offered.items():
        if said[name] not in ids and (name != "group" or described):
            faults[name] = words["sim_choose"]
    for name in ("name", "unit"):
        if len(said[name]) > NAME:
            faults[name] = words["field_too_long"].format(most=NAME)
    if described and said["unit"] and not said["name"]:
        faults["name"] = words["field_missing"]
    at = _moment(visit, content, said["date"], said["time"], faults)
    budget = _budget(visit, faults)
    if faults or at is None:
        return Began(None, None, faults)
    who = {"persona": said["persona"]}
    if described:
        who = {name: webchat.storable(said[name]) for name in ("name", "unit", "group")}
    start = Start(
        at,
        **who,
        lang="en" if said["lang"] == "en" else "th",
        channel="line" if said["channel"] == "line" else "telegram",
        place=said["place"],
        nudges=visit.said("nudges") == "1",
    )
    return Began(start, budget, {})


def _moment(
    visit: Visit, content: Content, day: str, clock: str, faults: dict[str, str]
) -> datetime | None:
    """A day and a time on the agency's clock, of the days that the calendar knows."""
    first, last = _days(content)
    try:
        on = date.fromisoformat(day)
        if len(day) != 10 or not first <= on <= last:
            raise ValueError
    except ValueError:
        faults["date"] = visit.words["sim_bad_date"].format(
            first=long_date(first, visit.lang), last=long_date(last, visit.lang)
        )
        on = first
    try:
        when = time.fromisoformat(clock)
        if len(clock) != 5:
            raise ValueError
    except ValueError:
        faults["time"] = visit.words["sim_bad_time"]
        when = time()
    after = timedelta(hours=when.hour, minutes=when.minute)
    return None if faults.keys() & {"date", "time"} else midnight(on.toordinal()) + after


def _budget(visit: Visit, faults: dict[str, str]) -> int | None:
    said = visit.said("budget")
    if not said:
        return None
    if not (said.isascii() and said.isdecimal()):
        faults["budget"] = visit.words["field_not_number"]
    elif len(said) > 7 or int(said) > BUDGET:
        faults["budget"] = visit.words["sim_bad_budget"].format(most=f"{BUDGET:,}")
    else:
        return int(said)
    return None


# --- talking -------------------------------------------------------------------------------


async def talk(visit: Visit) -> Response:
    return await _talk(visit)


async def _talk(visit: Visit, fault: str = "", typed: str = "", when: str = "") -> Response:
    """The page of a simulation. `fault` is what is wrong with what was typed, `when` what is wrong
    with a moment."""
    held = _held(visit)
    if held is None:
        return await _form(visit, {}, {}, 404 if visit.page.method == "GET" else 409, over=True)
    shown = await _in(visit, held, lambda simulation: simulated.shown(simulation, visit))
    return visit.show(
        "simulation",
        422 if fault or when else 200,
        id=held.id,
        moves=held.version,
        fault=fault,
        typed=typed,
        when=when,
        asked={name: visit.said(name) for name in ("date", "time")},
        kinds=[(kind, visit.words["sim_sends_" + kind]) for kind in get_args(Kind)],
        longest=webchat.LONGEST,
        last=ends(held.simulation.content).isoformat(),
        **shown,
    )


def _held(visit: Visit) -> Held | None:
    id = visit.request.path_params["id"]
    return visit.app.simulations.find(id, visit.session.person_id)


async def _in(visit: Visit, held: Held, do: Callable[[Simulation], T]) -> T:
    try:
        return await asyncio.to_thread(visit.app.simulations.use, held, do)
    except Over:  # just now
        raise BadRequest(409, "sim_over") from None


async def act(visit: Visit) -> Response:
    """The learner says, presses or sends something, blocks the bot or comes back."""
    text, press, do = visit.form.one("text"), visit.said("press"), visit.said("do")
    stamp, _, choice = press.partition(":")
    if press:
        held = _held(visit)
        if held is not None and not held.simulation.offers(stamp, choice):
            raise BadRequest(400, "bad_form")
        return await _do(visit, lambda simulation: simulation.press(stamp, choice))
    match do:
        case "follow":
            return await _do(visit, Simulation.follow, blocked=True)
        case "block":
            return await _do(visit, Simulation.block)
        case "send":
            kind = visit.said("kind")
            if kind not in get_args(Kind):
                raise BadRequest(400, "bad_form")
            return await _do(visit, lambda simulation: simulation.send(kind))
        case "say":
            return await _say(visit, webchat.storable(text).replace("\r\n", "\n"))
    raise BadRequest(400, "bad_form")


async def _say(visit: Visit, text: str) -> Response:
    if not text.strip():
        return await _talk(visit, visit.words["field_missing"])
    if len(text) > webchat.LONGEST:
        most = f"{webchat.LONGEST:,}"
        return await _talk(visit, visit.words["field_too_long"].format(most=most), text)
    return await _do(visit, lambda simulation: simulation.say(text), text)


async def _do(
    visit: Visit, do: Callable[[Simulation], None], typed: str = "", *, blocked: bool = False
) -> Response:
    """Do it, unless something else was done since the page was shown; then show what came of it.
    `blocked`: it can be done by somebody who has blocked the bot, too."""
    held = _held(visit)
    if held is None:
        return await _talk(visit)

    def once(simulation: Simulation) -> str:
        if visit.said("version") != str(held.version):
            return "sim_moved"
        if simulation.blocked and not blocked:
            return "sim_is_blocked"
        held.version += 1
        try:
            do(simulation)
        except (Full, *DOWN):
            return "sim_full"
        return ""

    if fault := await _in(visit, held, once):
        return await _talk(visit, visit.words[fault], typed)
    return visit.go(f"simulator/{held.id}#talk")


# --- time ----------------------------------------------------------------------------------


async def clock(visit: Visit) -> Response:
    """Let time pass in the simulation."""
    held = _held(visit)
    if held is None:
        return await _talk(visit)
    simulation, content, faults = held.simulation, held.simulation.content, dict[str, str]()
    match visit.said("by"):
        case "next":
            to = await _in(visit, held, Simulation.next_due)
        case "hour":
            to = simulation.now + timedelta(hours=1)
        case "day":
            to = simulation.now + timedelta(days=1)
        case "workday":
            to = _next_workday(simulation.now, content)
        case "at":
            to = _moment(visit, content, visit.said("date"), visit.said("time"), faults)
        case _:
            raise BadRequest(400, "bad_form")
    wrong = next(iter(faults.values()), "")
    if to is None and not wrong:
        wrong = visit.words["sim_nothing_due"]
    elif to is not None and to < simulation.now:
        wrong = visit.words["sim_only_forward"]
    elif to is not None and local(to).date() > ends(content):
        wrong = visit.words["sim_calendar_ends"]
    if wrong or to is None:
        return await _talk(visit, when=wrong)
    until = to
    return await _do(visit, lambda simulation: simulation.forward(until), blocked=True)


def _next_workday(now: datetime, content: Content) -> datetime:
    """When the first message may arrive on the next working day."""
    day = add_working_days(local(now).date(), 1, content)
    return next_permitted(midnight(day.toordinal()), "", content)


# --- taking along --------------------------------------------------------------------------


async def transcript(visit: Visit) -> Response:
    """The conversation in the format of tests/dialogs."""
    held = _held(visit)
    if held is None:
        return await _talk(visit)
    title = "Write here, in one sentence, what this shows."
    text = await _in(visit, held, lambda simulation: simulation.transcript(title))
    here = local(held.simulation.now)
    return visit.attach(text.encode(), f"simulation-{here:%Y-%m-%d-%H%M}.txt", "text/plain")


async def picture(visit: Visit) -> Response:
    held, token = _held(visit), visit.request.path_params["token"]
    if held is None:
        raise BadRequest(404, "not_found")
    found = await _in(visit, held, lambda simulation: simulation.picture(token))
    if found is None:
        raise BadRequest(404, "not_found")
    headers = {"Cache-Control": "private, max-age=3600"}
    return Response(await visit.app.draw(found), media_type="image/png", headers=headers)


async def end(visit: Visit) -> Response:
    visit.app.simulations.end(visit.request.path_params["id"], visit.session.person_id)
    return visit.go("simulator", visit.words["sim_ended"])


NEEDS: tuple[Power, ...] = ("content", "send", "system")
PAGES = (
    Page("/simulator", index, NEEDS, place="simulator"),
    Page("/simulator", begin, NEEDS, "POST", place="simulator"),
    Page("/simulator/{id:str}", talk, NEEDS, place="simulator"),
    Page("/simulator/{id:str}", act, NEEDS, "POST", place="simulator"),
    Page("/simulator/{id:str}/clock", clock, NEEDS, "POST", place="simulator"),
    Page("/simulator/{id:str}/end", end, NEEDS, "POST", place="simulator"),
    Page("/simulator/{id:str}/transcript", transcript, NEEDS, place="simulator"),
    Page("/simulator/{id:str}/picture/{token:str}", picture, NEEDS, place="simulator"),
)
