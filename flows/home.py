"""Between activities: where you are on the path, and what comes next."""

from datetime import datetime

from msgspec.structs import replace

from content.schema import Content
from flows import steps
from flows.speech import choices, say, tell
from flows.types import Answer, Ask, Chose, Flow, Journey, Record, State, Turn


def begin(state: State, now: datetime, content: Content) -> Turn:
    return Turn(state.move("rest"))


def ask(state: State, now: datetime, content: Content) -> Ask:
    go = steps.go_on(state, content)
    if state.floor.place == "later":
        text = say(state, content, state.floor.note["says"])
        on = choices(state, content, "continue") if state.floor.side else (go,)
        return Ask(text, (*on, *choices(state, content, "menu")))
    practice = choices(state, content, "practice") if state.journey.plan else ()
    buttons = (go, *practice, *choices(state, content, "progress", "menu", "later"))
    here = steps.current(state, content)
    if here is None:
        text = say(state, content, "home_done", n=state.journey.number)
        again = say(state, content, "home_done_again")
        return Ask(text, buttons, say(state, content, "home_done_title"), again)
    step, activity = here
    next_ = say(state, content, "next_" + activity)
    title = say(
        state,
        content,
        "home_title",
        n=steps.number(step.id, content),
        of=len(content.method.steps),
        name=step.name.of(state.lang),
    )
    text = say(
        state,
        content,
        "home",
        steps=steps.bar(state, content),
        task=step.task.of(state.lang),
        next=next_,
    )
    return Ask(text, buttons, title, say(state, content, "home_again", next=next_))


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    match answer:
        case Chose("progress"):
            return Turn(state, (steps.progress(state, content),))
        case Chose("menu"):
            return Turn(state.aside("menu"))
        case Chose("practice"):
            return Turn(state.aside("practice"))
        case Chose("later"):
            return Turn(state.move("later", says="see_you"))
        case Chose("continue"):
            return Turn(state.back())
        case _:
            return go(state, now, content)


def go(state: State, now: datetime, content: Content) -> Turn:
    """Take up what comes next on the path; after the last step, a new round."""
    here = steps.current(state, content)
    if here is not None:
        return Turn(state.at(here[1]))
    number = state.journey.number + 1
    again = replace(state, journey=Journey(number=number)).at("home", round=number)
    line = tell(state, content, "new_round", n=number)
    return Turn(again, (line,), (Record("round_begun", {"round": number}),))


FLOW = Flow(begin, ask, answer)
