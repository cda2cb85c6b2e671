"""A question to HR: the words, and where the learner was, go to a named officer."""

from datetime import datetime

from content.schema import Content
from flows.speech import choices, say, tell
from flows.types import (
    Answer,
    Ask,
    Flow,
    Record,
    State,
    Tell,
    Turn,
    Wrote,
)

LONGEST = 1000


def begin(state: State, now: datetime, content: Content) -> Turn:
    return Turn(state.move("words"))


def ask(state: State, now: datetime, content: Content) -> Ask:
    key = "ask_hr" if state.person else "ask_hr_guest"
    return Ask(say(state, content, key), choices(state, content, "never_mind"), writes=True)


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    if not isinstance(answer, Wrote):
        return Turn(state.back(), (tell(state, content, "never_mind"),))
    asked = {"text": answer.text[:LONGEST], "message": answer.message}
    who = state.person.name if state.person else say(state, content, "my_data_guest")
    to_hr = {"question": asked["text"], "message": asked["message"]}  # so that it can be unsent
    effects = (
        Record("asked_hr", {"question": asked, "at": state.left}),
        Tell("hr", "asked_hr", {"who": who, **to_hr, "at": state.left}),
    )
    return Turn(state.back(), (tell(state, content, "asked_hr", dpo=content.dpo),), effects)


FLOW = Flow(begin, ask, answer)
