"""What is held about you and why, who looked, a copy of it; what you allowed and may demand."""

from datetime import date, datetime

from content.schema import Content
from flows import leaving, reminders, welcome, wishes
from flows.speech import bullets, choices, say, tell
from flows.text import short_date
from flows.types import (
    Answer,
    Ask,
    Chose,
    Flow,
    Found,
    Json,
    Look,
    State,
    Tell,
    Turn,
)


def begin(state: State, now: datetime, content: Content) -> Turn:
    return Turn(state.move("looking"), (), (Look("my_data"),))


def found(state: State, found: Found, now: datetime, content: Content) -> Turn:
    """`data` counts the rows that are held, by category of the register."""
    return Turn(state.move("shown", held=found.data))


def ask(state: State, now: datetime, content: Content) -> Ask:
    if state.floor.place == "sure":
        return leaving.sure(state, content)
    if state.floor.place in wishes.PLACES:
        return wishes.ask(state, content)
    text = say(
        state,
        content,
        "my_data",
        person=state.person.name if state.person else say(state, content, "my_data_guest"),
        lines=bullets(_held(state, content)),
        notice=state.notice or "–",
        dpo=content.dpo,
    )
    return Ask(text, choices(state, content, *_offers(state)), again=_again(state, content))


def _held(state: State, content: Content) -> list[str]:
    """Each category that something is held of: what, why, how long."""
    held, register = state.floor.note.get("held", {}), content.register_
    return [
        say(
            state,
            content,
            "my_data_line",
            name=each.name.of(state.lang),
            n=held[each.id],
            why=each.why.of(state.lang),
            until=register.rule(each.rule).says(state.lang),
        )
        for each in register.categories
        if held.get(each.id)
    ]


def _offers(state: State) -> tuple[str, ...]:
    if state.leaving:
        return ("undo_erase", "copy", "who_looked", "full_notice", "back")
    allowed = state.consents.get("nudges", False) and not state.quiet
    switch = "nudges_off" if allowed else "nudges_on"
    return ("back", "copy", "who_looked", "rights", switch, "reminders", "full_notice", "erase")


def _again(state: State, content: Content) -> str:
    key = "my_data_restricted" if state.restricted else "my_data_again"
    return say(state, content, key)


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    if state.floor.place == "sure":
        return leaving.answer(state, answer, content)
    if state.floor.place in wishes.PLACES:
        return wishes.answer(state, answer, now, content)
    match answer:
        case Chose("nudges_on" | "nudges_off" as switch):
            return reminders.switch(state, switch == "nudges_on", now, content)
        case Chose("reminders"):
            return Turn(state.aside("reminders"))
        case Chose("full_notice"):
            return Turn(state, welcome.full_notice(state, content))
        case Chose("copy" | "who_looked" as what):
            return Turn(state, (), (Look(what),))
        case Chose("rights"):
            return Turn(state.move("rights"))
        case Chose("erase"):
            return Turn(state.move("sure"))
        case Chose("undo_erase"):
            return leaving.undo(state)
        case _:
            return Turn(state.back())


# --- who looked ----------------------------------------------------------------------


def looked(state: State, found: Found, now: datetime, content: Content) -> Turn:
    """`data["rows"]`: day, role and unit of those who opened this learner's data, and whether it
    was a list of names that it stood on."""
    if not found.data["rows"]:
        return Turn(state, (tell(state, content, "looked_none"),))
    lines = bullets([_look(state, row, content) for row in found.data["rows"]])
    return Turn(state, (tell(state, content, "looked", lines=lines, dpo=content.dpo),))


def _look(state: State, row: dict[str, Json], content: Content) -> str:
    day = short_date(date.fromordinal(row["day"]), state.lang)
    role = say(state, content, "looked_role_" + row["role"])
    what = say(state, content, "looked_list") if row["list"] else ""
    return " · ".join(filter(None, (day, role, row["unit"], what)))


# --- a copy --------------------------------------------------------------------------


def copied(state: State, found: Found, now: datetime, content: Content) -> Turn:
    """`data` has a `token` for a link; or none, where no link can be opened, and then HR must
    hand the copy over by the day `due`."""
    when = datetime.fromisoformat(found.data["due"])
    if token := found.data.get("token"):
        link = f"{content.public_url}/mydata/{token}"
        return Turn(state, (tell(state, content, "copy", link=link, **leaving.until(when, state)),))
    line = tell(state, content, "copy_by_hr", dpo=content.dpo, **leaving.until(when, state))
    data = {"kind": "access", "due": found.data["due"]}
    return Turn(state, (line,), (Tell("privacy", "wish", data),))


FLOW = Flow(begin, ask, answer)
