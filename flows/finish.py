"""The certificate of a round, and the way to the next."""

from datetime import datetime

from msgspec.structs import replace

from content.schema import Content
from flows.calendar import local
from flows.speech import choices, put_off, say
from flows.text import long_date
from flows.types import (
    Answer,
    Ask,
    Chose,
    Flow,
    Found,
    Json,
    Look,
    Picture,
    Record,
    Reply,
    State,
    Turn,
    Wrote,
)

LONGEST = 80


def begin(state: State, now: datetime, content: Content) -> Turn:
    if state.person is not None:
        return _certify(state, state.person.name, now, content)
    return Turn(state.move("name"))


def ask(state: State, now: datetime, content: Content) -> Ask:
    if not state.name.text:
        text = say(state, content, "finish_name")
        return Ask(text, choices(state, content, "later"), writes=True)
    text = say(state, content, "finish_same", name=state.name.text)
    return Ask(text, choices(state, content, "same_name", "later"), writes=True)


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    match answer:
        case Wrote(text, message):
            name = " ".join(text.split())[:LONGEST]
            return _certify(replace(state, name=Wrote(name, message)), name, now, content)
        case Chose("same_name"):
            return _certify(state, state.name.text, now, content)
        case _:
            return put_off(state, content)


def _certify(state: State, name: str, now: datetime, content: Content) -> Turn:
    """Everything that is printed, in the learner's words; the shell adds code and address."""
    journey = state.journey
    areas = [
        content.area(area).name.of(state.lang)
        for area, quiz in journey.quizzes.items()
        if quiz.passed
    ]
    data: dict[str, Json] = {
        "title": say(state, content, "certificate_title"),
        "lead": say(state, content, "certificate_lead"),
        "name": name,
        "body": say(state, content, "certificate_body", n=journey.number),
        "areas": areas,
        "date": say(state, content, "certificate_date", date=long_date(local(now), state.lang)),
        "label": say(state, content, "certificate_label"),
        "code_label": say(state, content, "certificate_code"),
    }
    return Turn(
        state.move("issued"), (), (Look("certificate", {"round": journey.number, "data": data}),)
    )


def found(state: State, found: Found, now: datetime, content: Content) -> Turn:
    """`data` is what was printed, with its `code`."""
    verify = f"{content.public_url}/verify/{found.data['code']}"
    printed = {**found.data, "verify": verify}
    text = say(state, content, "certified", code=printed["code"])
    if content.public_url:
        text += "\n" + say(state, content, "certified_links", verify=verify)
    alt = "\n".join([printed["title"], printed["name"], printed["body"], *printed["areas"]])
    reply = Reply(text, picture=Picture("certificate", printed, alt))
    state = state.walk(certificate=printed["code"]).back()
    return Turn(state, (reply,), (Record("certified", {"round": state.journey.number}),))


def done(state: State, content: Content) -> bool:
    return bool(state.journey.certificate)


FLOW = Flow(begin, ask, answer, done=done)
