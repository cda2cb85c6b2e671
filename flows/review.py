"""Looking back: other questions over the same areas, before and after, and what HR will see."""

from datetime import datetime

from content.schema import Content
from flows import ability, pretest
from flows.speech import bullets, choices, put_off, say
from flows.types import (
    Answer,
    Ask,
    Chose,
    Flow,
    Json,
    Record,
    Reply,
    State,
    Turn,
)


def begin(state: State, now: datetime, content: Content) -> Turn:
    return Turn(state.move("report" if state.journey.retest else "intro"))


def ask(state: State, now: datetime, content: Content) -> Ask:
    match state.floor.place:
        case "intro":
            text = say(state, content, "review_intro", n=pretest.total(content))
            return Ask(text, choices(state, content, "begin", "later"))
        case "series":
            return pretest.ask_next(state, content)
        case _:
            return Ask(_report(state, content), choices(state, content, "acknowledge", "ask_hr"))


def _report(state: State, content: Content) -> str:
    """Word for word what leaves the conversation, and for whom."""
    journey, placed = state.journey, state.placed
    group = content.group(placed.group).name.of(state.lang) if placed else "–"
    lines: dict[str, Json] = {
        "group": group,
        "n": journey.number,
        "lessons": len(journey.lessons) + len(journey.courses),
        "exercises": len(journey.exercises),
        "quizzes": sum(quiz.passed for quiz in journey.quizzes.values()),
        "uses": journey.uses,
    }
    return say(state, content, "review_report", **lines)


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    assert isinstance(answer, Chose)
    match state.floor.place, answer.id:
        case "intro", "later":
            return put_off(state, content)
        case "intro", _:
            return Turn(pretest.start(state, content, _asked_before(state)))
        case "series", _:
            return _answered(state, answer, now, content)
        case _, "ask_hr":
            return Turn(state.aside("askhr"))
        case _:
            fact = Record("acknowledged", {"round": state.journey.number})
            state = state.walk(acknowledged=True)
            return Turn(state.at("finish"), (), (fact,))


def _asked_before(state: State) -> tuple[str, ...]:
    """Questions that this learner has met: the re-test takes others while there are any."""
    return tuple(state.seen)


def _answered(state: State, answer: Chose, now: datetime, content: Content) -> Turn:
    state, fact = pretest.take(state, answer, "retest", now, content)
    if len(state.floor.note["answers"]) < pretest.total(content):
        return Turn(pretest.further(state, content), (), (fact,))
    retest = pretest.measures(state, content)
    state = state.walk(retest=retest).move("report")
    facts = (fact, pretest.measured(state, "retest", retest))
    return Turn(state, (compared(state, content),), facts)


def compared(state: State, content: Content) -> Reply:
    """Before and after for each area; a change is only called one where chance is unlikely."""
    journey = state.journey
    lines = [
        say(
            state,
            content,
            "compare_line",
            area=area.name.of(state.lang),
            before=say(state, content, "band_" + ability.band(journey.baseline[area.id])),
            after=say(state, content, "band_" + ability.band(journey.retest[area.id])),
        )
        for area in content.framework.areas
        if area.id in journey.baseline and area.id in journey.retest
    ]
    clear = [
        area.name.of(state.lang)
        for area in content.framework.areas
        if area.id in journey.baseline
        and area.id in journey.retest
        and ability.differs(journey.baseline[area.id], journey.retest[area.id])
    ]
    verdict = (
        say(state, content, "compare_clear", areas=say(state, content, "and").join(clear))
        if clear
        else say(state, content, "compare_unclear")
    )
    text = say(state, content, "compare", lines=bullets(lines), verdict=verdict)
    return Reply(text, picture=pretest.radar(state, content, text))


def done(state: State, content: Content) -> bool:
    return state.journey.acknowledged


FLOW = Flow(begin, ask, answer, done=done)
