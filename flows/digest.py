"""A team in a few lines and one picture, for whoever leads it: counts only, as published."""

from datetime import UTC, date, datetime, timedelta

from msgspec.structs import replace

from content.schema import Content
from flows import steps
from flows.calendar import at_minute, local, permitted
from flows.reading import fold
from flows.reminders import fits, hours
from flows.speech import choices, say, tell
from flows.text import long_date
from flows.types import (
    Answer,
    Ask,
    CancelTimers,
    Choice,
    Chose,
    Flow,
    Found,
    Json,
    Look,
    Picture,
    Record,
    Reply,
    SetTimer,
    State,
    Times,
    Turn,
    Wrote,
)
from flows.when import Weekly, read_when, say_when

TIMER = "digest"
TIMES = {"mon_0900": Times((0,), 540), "mon_1300": Times((0,), 780), "fri_1300": Times((4,), 780)}


# --- what is said ----------------------------------------------------------------------


def summary(state: State, data: dict[str, Json], content: Content) -> Reply:
    """How many take part and how far they are, what changed, and two things to do."""
    levels = _levels(data["levels"], content)
    name, guard = data["unit"]["name"], f"team:{data['unit']['id']}"
    twin = _twin(state, levels, data["day"], content)
    areas = [content.area(area).name.of(state.lang) for area in data["areas"]]
    said = say(state, content, "and").join(areas)
    text = say(
        state,
        content,
        "team_figures",
        unit=name,
        twin=twin,
        change=_change(state, levels, data["before"], content),
        areas=say(state, content, "team_areas" if areas else "team_areas_none", areas=said) + "\n",
        time=_time(state, levels, content),
        praise=_praise(state, levels, data["before"], content),
    )
    return Reply(text, picture=_picture(state, levels, data, twin, content), guard=guard)


def _levels(levels: list[int], content: Content) -> list[int]:
    """As many as there are steps today, and two more: not begun, and finished."""
    many = len(content.method.steps) + 2
    return (levels + [0] * many)[:many]


def _names(state: State, content: Content) -> list[str]:
    names = [
        say(state, content, "team_step", n=n, name=step.name.of(state.lang))
        for n, step in enumerate(content.method.steps, 1)
    ]
    first, last = (say(state, content, key) for key in ("team_not_begun", "team_finished"))
    return [first, *names, last]


def _twin(state: State, levels: list[int], day: int, content: Content) -> str:
    rows = [
        say(state, content, "team_row", label=label, n=many)
        for label, many in zip(_names(state, content), levels, strict=True)
        if many
    ]
    counted = {"n": sum(levels), "day": _day(state, day, content)}
    joined = say(state, content, "team_joined", n=sum(levels[1:]), of=sum(levels))
    return "\n".join((say(state, content, "team_counted", **counted), joined, *rows))


def _day(state: State, ordinal: int, content: Content) -> str:
    day = date.fromordinal(ordinal)
    weekday = content.words.weekdays[day.weekday()][state.lang == "en"]
    says = content.words.times.says["day"].of(state.lang)
    return says.format(weekday=weekday, date=long_date(day, state.lang))


def _picture(
    state: State, levels: list[int], data: dict[str, Json], twin: str, content: Content
) -> Picture:
    last = len(levels) - 1
    rows = [
        {
            "label": label,
            "people": many,
            "told": say(state, content, "team_people", n=many),
            "place": n / last,
        }
        for n, (label, many) in enumerate(zip(_names(state, content), levels, strict=True))
    ]
    counted = {"n": sum(levels), "day": _day(state, data["day"], content)}
    note = say(state, content, "team_counted", **counted)
    return Picture("team", {"title": data["unit"]["name"], "rows": rows, "note": note}, twin)


def _change(state: State, levels: list[int], before: Json, content: Content) -> str:
    """What is different since the publication before: of what was counted then and now."""
    if before is None:
        return say(state, content, "team_first")
    day = _day(state, before["day"], content)
    changes = _differences(levels, _levels(before["levels"], content))
    told = [
        say(state, content, key, n=f"{many:+d}".replace("-", "\u2212"))
        for key, many in changes.items()
        if many
    ]
    if not told:
        return say(state, content, "team_same", day=day)
    return say(state, content, "team_change", day=day, changes=" · ".join(told))


def _differences(now: list[int], before: list[int]) -> dict[str, int]:
    """People counted, taking part, in the later half of the steps, finished."""
    half = len(now) // 2
    return {
        "team_more_people": sum(now) - sum(before),
        "team_more_joined": sum(now[1:]) - sum(before[1:]),
        "team_more_half": sum(now[half:]) - sum(before[half:]),
        "team_more_finished": now[-1] - before[-1],
    }


def _time(state: State, levels: list[int], content: Content) -> str:
    """Give time, where most people are who have not finished."""
    most = max(range(len(levels) - 1), key=lambda level: levels[level])
    if not levels[most]:
        return say(state, content, "team_time_finished")
    if most == 0:
        return say(state, content, "team_time_begin")
    return say(
        state, content, "team_time_step", step=content.method.steps[most - 1].name.of(state.lang)
    )


def _praise(state: State, levels: list[int], before: Json, content: Content) -> str:
    if before is not None:
        changes = _differences(levels, _levels(before["levels"], content))
        if any(changes[key] > 0 for key in ("team_more_half", "team_more_finished")):
            return say(state, content, "team_praise_moved")
    return say(state, content, "team_praise" if sum(levels[1:]) else "team_praise_first")


# --- the conversation --------------------------------------------------------------------


def begin(state: State, now: datetime, content: Content) -> Turn:
    return Turn(state, (), (Look("team", {}),))


def found(state: State, event: Found, now: datetime, content: Content) -> Turn:
    """A team's figures, or a kind word where there are none."""
    data = event.data
    if data["result"] == "none":
        return Turn(state.back(), (tell(state, content, "team_none"),))
    note = {key: data[key] for key in ("subs", "more", "waiting", "leads")}
    named, subs = state.floor.note.get("named"), data["subs"]
    if named and (ids := [unit for unit, name in subs if fold(named) in fold(name)]):
        return Turn(state.move(state.floor.place, named=""), (), (Look("team", {"unit": ids[0]}),))
    shown = state.move(
        "shown", named="", unit=data["unit"]["id"], name=data["unit"]["name"], **note
    )
    if data["after"]:  # only more units to choose from
        return Turn(shown)
    if data["result"] == "nothing":
        return Turn(shown, (tell(state, content, "team_nothing", unit=data["unit"]["name"]),))
    return Turn(shown, (summary(state, data, content),), (Record("team_seen"),))


def ask(state: State, now: datetime, content: Content) -> Ask:
    match state.floor.place:
        case "when":
            labels = content.copy_[state.lang]
            times = tuple(Choice(each, labels["choice_" + each]) for each in TIMES)
            return Ask(
                say(state, content, "team_when"),
                (*times, *choices(state, content, "never")),
                writes=True,
                when=True,
            )
        case "waiting":
            ids = ("confirm_use", "decline_use", "later")
            return Ask(say(state, content, "team_confirm"), choices(state, content, *ids))
        case _:
            return _shown(state, content)


def _shown(state: State, content: Content) -> Ask:
    note = state.floor.note
    subs = tuple(Choice(f"unit:{unit}", "", name) for unit, name in note["subs"])
    ids = ["more_units"] if note["more"] else []
    if note["leads"]:
        ids += ["cheer"] + (["completed"] if content.digest.names else [])
    if not state.stopped:
        ids.append("weekly_off" if state.digest else "weekly_on")
    label = say(state, content, "choice_waiting", n=note["waiting"])
    waits = (Choice("waiting", label),) if note["waiting"] else ()
    buttons = (*subs, *waits, *choices(state, content, *ids, "back"))
    return Ask(say(state, content, "team_below" if subs else "team_next"), buttons)


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    match state.floor.place, answer:
        case "when", _:
            return _chose_when(state, answer, now, content)
        case "waiting", Chose(choice):
            return _answered(state, choice)
        case _, Chose("cheer" | "completed" as what):
            return Turn(state, (), (Look(what, {"unit": state.floor.note["unit"]}),))
        case _, Chose("waiting"):
            return Turn(state, (), (Look("waiting", {}),))
        case _, Chose("more_units"):
            after = state.floor.note["subs"][-1][0]
            args = {"unit": state.floor.note["unit"], "after": after}
            return Turn(state, (), (Look("team", args),))
        case _, Chose("weekly_on"):
            return Turn(state.move("when"))
        case _, Chose("weekly_off"):
            return weekly_off(state, content)
        case _, Chose(choice) if choice.startswith("unit:"):
            return Turn(state, (), (Look("team", {"unit": int(choice.removeprefix("unit:"))}),))
        case _:
            return Turn(state.back())


# --- each week -----------------------------------------------------------------------------


def _chose_when(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    match answer:
        case Chose("never"):
            return Turn(state.move("shown"))
        case Chose(choice):
            wish = TIMES[choice]
        case Wrote(text):
            read = read_when(text, now, state.zone, content)
            if not isinstance(read, Weekly) or len(read.days) != 1:
                return Turn(state, (tell(state, content, "team_when_unclear"),))
            wish = Times(
                read.days, TIMES["mon_0900"].minute if read.minute is None else read.minute
            )
            if not fits(wish.minute, content):
                return Turn(state, (hours(state, content),))
        case _:
            return Turn(state)
    state = replace(state, digest=wish).move("shown")
    told = say_when(Weekly(wish.days, wish.minute), state.lang, content)
    line = tell(state, content, "team_weekly", when=told)
    return Turn(state, (line,), (*timer(state, now, content), Record("digest_set", {"on": True})))


def timer(state: State, now: datetime, content: Content) -> tuple[SetTimer, ...]:
    """The timer of the next weekly digest, if one is wanted."""
    if state.digest is None:
        return ()
    here = local(now, state.zone)
    ahead = (state.digest.days[0] - here.weekday()) % 7
    at = at_minute(here + timedelta(days=ahead), state.digest.minute)
    if at <= here:
        at = at_minute(here + timedelta(days=ahead + 7), state.digest.minute)
    while not permitted(at, state.zone, content, chosen=True):  # a holiday: the day after
        at = at_minute(at + timedelta(days=1), state.digest.minute)
    return (SetTimer(TIMER, TIMER, at.astimezone(UTC)),)


def weekly_off(state: State, content: Content) -> Turn:
    """No more weekly digests; pressed in the conversation or under a digest."""
    line = tell(state, content, "team_weekly_off")
    fact = Record("digest_set", {"on": False})
    return Turn(replace(state, digest=None), (line,), (CancelTimers(TIMER), fact))


def fired(state: State) -> Turn:
    """The week is over: what does the team look like, and may they still know?"""
    return Turn(state, (), (Look("weekly_team", {}),)) if state.digest else Turn(state)


def weekly(state: State, event: Found, now: datetime, content: Content) -> Turn:
    """The digest that was ordered, and the timer of the next. Whoever has no team any more hears
    nothing, and it ends."""
    if event.data["result"] == "none":
        return Turn(replace(state, digest=None), (), (Record("digest_set", {"on": False}),))
    again = timer(state, now, content)
    if event.data["result"] == "nothing":
        return Turn(state, (), again)
    reply = replace(
        summary(state, event.data, content),
        choices=(
            Choice("team", say(state, content, "choice_team")),
            *choices(state, content, "weekly_off"),
        ),
        stamp="*",
        notify=True,
        purpose="digest",
        chosen=True,
    )
    return Turn(state, (reply,), (*again, Record("digest_sent")))


# --- evidence, cheers, names -----------------------------------------------------------------


def _answered(state: State, choice: str) -> Turn:
    """One tap on the use at work that was told last."""
    use = state.floor.note["use"]
    if choice == "later":
        return Turn(state, (), (Look("waiting", {"after": use}),))
    args = {"use": use, "confirmed": choice == "confirm_use", "after": use}
    return Turn(state, (), (Look("waiting", args),))


def waiting(state: State, event: Found, now: datetime, content: Content) -> Turn:
    """What became of the last one, and the next that waits."""
    data = event.data
    said = [tell(state, content, "confirm_" + data["result"])] if data["result"] else []
    use = data["next"]
    state = state.move("shown", waiting=data["left"])
    if use is None:
        end = (
            []
            if said
            else [tell(state, content, "team_later" if data["left"] else "team_none_waiting")]
        )
        return Turn(state, (*said, *end))
    return Turn(
        state.move("waiting", use=use["use"]), (*said, tell(state, content, "confirm_use", **use))
    )


def cheered(state: State, event: Found, now: datetime, content: Content) -> Turn:
    """`result` is cheered, already, too_many or not_yours."""
    return Turn(state, (tell(state, content, "cheer_" + event.data["result"]),))


def completed(state: State, event: Found, now: datetime, content: Content) -> Turn:
    """Names of those who have finished what is mandatory: nobody else's, and nothing more."""
    names = event.data["names"]
    if not names:
        return Turn(state, (tell(state, content, "completed_nobody"),))
    listed = "\n".join("• " + name for name in names)
    return Turn(state, (tell(state, content, "completed_names", names=listed),))


def seen(state: State, new: list[str], content: Content) -> tuple[Reply, ...]:
    """Tells a learner that their manager sees that they have finished a mandatory step."""
    shown = content.digest.names and state.person is not None
    if not shown or not any(step in content.digest.mandatory for step in new):
        return ()
    return (tell(state, content, "completed_seen"),)


def cheer(state: State, content: Content) -> Turn:
    """A kind word from the manager to the whole team. Like a review it may wait, and ride."""
    if not state.consents.get("nudges", False):
        return Turn(state)
    line = Reply(
        say(state, content, "cheer"),
        (steps.go_on(state, content),),
        stamp="*",
        notify=True,
        purpose="review",
    )
    return Turn(state, (line,))


FLOW = Flow(begin, ask, answer)
