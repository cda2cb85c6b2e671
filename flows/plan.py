"""A small personal plan: one to three areas, a task at work to improve, days and a time."""

from datetime import datetime, timedelta

from msgspec import convert, to_builtins
from msgspec.structs import replace

from content.schema import Area, Content
from flows import ability
from flows.calendar import local
from flows.speech import bullets, choices, reader, say, tell
from flows.text import long_date
from flows.types import (
    Answer,
    Ask,
    Choice,
    Chose,
    Flow,
    Plan,
    Record,
    State,
    Times,
    Turn,
    Wrote,
)

MOST = 3
"""Areas in one plan."""
PACE = timedelta(days=14)
"""Time for one area; the next area's begins when this one's ends."""
DAYS = {"mwf": (0, 2, 4), "tt": (1, 3), "daily": (0, 1, 2, 3, 4), "wed": (2,)}
TIMES = {"t0900": 9 * 60, "t1230": 12 * 60 + 30, "t1500": 15 * 60, "t1600": 16 * 60}
EARLIEST, LATEST = 8 * 60, 18 * 60


def begin(state: State, now: datetime, content: Content) -> Turn:
    if state.journey.plan is not None:
        return Turn(state.move("review"))
    return Turn(state.move("areas", chosen=[]))


def ask(state: State, now: datetime, content: Content) -> Ask:
    match state.floor.place:
        case "review":
            summary = _summary(state, state.journey.plan, content)
            return Ask(summary, choices(state, content, "keep", "redo"))
        case "areas":
            return _ask_areas(state, content)
        case "task":
            return _ask_task(state, content)
        case "days" | "time" as place:
            text, again = (say(state, content, f"plan_{place}{end}") for end in ("", "_again"))
            buttons = choices(state, content, *(DAYS if place == "days" else TIMES))
            return Ask(text, buttons, again=again, writes=True, when=True)
        case _:
            summary = _summary(state, _draft(state, now), content)
            return Ask(summary, choices(state, content, "agree_plan", "redo"))


def suggested(state: State, content: Content) -> list[Area]:
    """All areas, those first that the profile says to strengthen, then by the group's focus, then
    the weakest."""
    focus = content.group(state.placed.group).focus_areas if state.placed else ()
    baseline = state.journey.baseline

    def rank(area: Area) -> tuple[int, int, float]:
        measured = baseline.get(area.id)
        weakness = ability.BANDS.index(ability.band(measured)) if measured else 1
        place = focus.index(area.id) if area.id in focus else len(focus)
        return weakness, place, measured.ability if measured else 0.0

    return sorted(content.framework.areas, key=rank)


def _ask_areas(state: State, content: Content) -> Ask:
    chosen = state.floor.note["chosen"]
    offered = suggested(state, content)
    if not chosen:
        first = say(state, content, "and").join(area.name.of(state.lang) for area in offered[:2])
        text = say(state, content, "plan_areas", first=first)
        extra = choices(state, content, "suggested")
    else:
        names = [content.area(area).name.of(state.lang) for area in chosen]
        text = say(state, content, "plan_more", chosen=bullets(names))
        extra = choices(state, content, "enough")
    buttons = tuple(
        Choice(area.id, area.short.of(state.lang)) for area in offered if area.id not in chosen
    )
    return Ask(text, (*extra, *buttons))


def _ask_task(state: State, content: Content) -> Ask:
    labels = content.copy_[state.lang]
    examples = tuple(Choice(f"task{n}", "", labels[f"plan_task_{n}"]) for n in (1, 2, 3))
    return Ask(say(state, content, "plan_task"), examples, writes=True)


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    match state.floor.place, answer:
        case (("review" | "confirm"), Chose("redo")):
            return Turn(state.move("areas", chosen=[]))
        case "review", _:
            return Turn(state.back())
        case "areas", Chose(area):
            return _chose_area(state, area, content)
        case "task", Chose(example):
            text = content.copy_[state.lang]["plan_task_" + example.removeprefix("task")]
            return Turn(state.move("days", task=to_builtins(Wrote(text))))
        case "task", Wrote(text, message):
            return Turn(state.move("days", task=to_builtins(Wrote(text[:500], message))))
        case "days", _:
            return _chose_days(state, answer, content)
        case "time", _:
            return _chose_time(state, answer, content)
        case _:
            return _agreed(state, now, content)


def _chose_area(state: State, area: str, content: Content) -> Turn:
    chosen = state.floor.note["chosen"]
    if area == "suggested":
        chosen = [offered.id for offered in suggested(state, content)[:2]]
    elif area != "enough":
        chosen = [*chosen, area]
    ready = area in ("suggested", "enough") or len(chosen) >= MOST
    return Turn(state.move("task" if ready else "areas", chosen=chosen))


def _chose_days(state: State, answer: Answer, content: Content) -> Turn:
    days = _days(answer, content)
    if not days:
        return Turn(state, (tell(state, content, "plan_days_unclear"),))
    return Turn(state.move("time", days=list(days)))


def _days(answer: Answer, content: Content) -> tuple[int, ...]:
    match answer:
        case Chose(id):
            return DAYS[id]
        case Wrote(text):
            return reader(content).days(text)
        case _:
            return ()


def _chose_time(state: State, answer: Answer, content: Content) -> Turn:
    minute = _minute(answer, content)
    if minute is None or not EARLIEST <= minute <= LATEST:
        return Turn(state, (tell(state, content, "plan_time_unclear"),))
    return Turn(state.move("confirm", minute=minute))


def _minute(answer: Answer, content: Content) -> int | None:
    match answer:
        case Chose(id):
            return TIMES[id]
        case Wrote(text):
            return reader(content).minute(text)
        case _:
            return None


def _draft(state: State, now: datetime) -> Plan:
    note = state.floor.note
    due = {area: now + PACE * n for n, area in enumerate(note["chosen"], 1)}
    task = convert(note["task"], Wrote)
    return Plan(tuple(note["chosen"]), task, tuple(note["days"]), note["minute"], now, due)


def _agreed(state: State, now: datetime, content: Content) -> Turn:
    plan = _draft(state, now)
    state = replace(state.walk(plan=plan), times=Times(plan.days, plan.minute))
    fact = Record(
        "planned",
        {
            "round": state.journey.number,
            "areas": plan.areas,
            "task": to_builtins(plan.task),
            "days": plan.days,
            "minute": plan.minute,
            "due": {area: due.isoformat() for area, due in plan.due.items()},
        },
    )
    line = tell(state, content, "planned")
    return Turn(state.back(), (line,), (fact,))


def _summary(state: State, plan: Plan | None, content: Content) -> str:
    assert plan is not None
    areas = [
        say(
            state,
            content,
            "plan_area",
            area=content.area(area).name.of(state.lang),
            due=long_date(local(plan.due[area]), state.lang),
        )
        for area in plan.areas
    ]
    return say(
        state,
        content,
        "plan_summary",
        areas=bullets(areas),
        task=plan.task.text or say(state, content, "withdrawn"),
        days=reader(content).day_names(plan.days, state.lang),
        time=f"{plan.minute // 60:02}:{plan.minute % 60:02}",
    )


def done(state: State, content: Content) -> bool:
    return state.journey.plan is not None


FLOW = Flow(begin, ask, answer, done=done)
