"""Looking back: other questions over the same areas, before and after, and what HR will see."""

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from content.schema import Area, Content
from flows import ability, pretest
from flows.speech import bullets, choices, put_off, say
from flows.types import (
    Answer,
    Ask,
    Chose,
    Flow,
    Json,
    Measure,
    Record,
    Reply,
    State,
    Turn,
)

GAIN = 1.0
"""Of such a gain (logits) learners are told how many questions would show it."""


def begin(state: State, now: datetime, content: Content) -> Turn:
    return Turn(state.move("report" if state.journey.retest else "intro"))


def ask(state: State, now: datetime, content: Content) -> Ask:
    match state.floor.place:
        case "intro":
            text = say(state, content, "review_intro", n=pretest.length(content))
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
            return Turn(pretest.start(state, content))
        case "series", _:
            return _answered(state, answer, now, content)
        case _, "ask_hr":
            return Turn(state.aside("askhr"))
        case _:
            fact = Record("acknowledged", {"round": state.journey.number})
            state = state.walk(acknowledged=True)
            return Turn(state.at("finish"), (), (fact,))


def _answered(state: State, answer: Chose, now: datetime, content: Content) -> Turn:
    state, fact = pretest.take(state, answer, "retest", now, content)
    if not pretest.enough(state, content):
        return Turn(pretest.further(state, content), (), (fact,))
    found = pretest.measures(state, content)
    state = pretest.keep(state, "retest", found).move("report")
    facts = (fact, pretest.measured(state, "retest", found))
    return Turn(state, (compared(state, content),), facts)


class Pair(Struct, frozen=True):
    """An area that was measured before and after."""

    area: Area
    before: Measure
    after: Measure

    @property
    def change(self) -> ability.Change:
        return ability.change(self.before, self.after)

    @property
    def shown(self) -> tuple[Measure, Measure]:
        """Before and after as a learner sees them: one and the same where chance may have made
        the difference."""
        if self.change.clear:
            return self.before, self.after
        both = ability.pooled(self.before, self.after)
        return both, both


def _pairs(state: State, content: Content) -> list[Pair]:
    first, second = state.journey.baseline, state.journey.retest
    return [
        Pair(area, first[area.id], second[area.id])
        for area in content.framework.areas
        if area.id in first and area.id in second
    ]


def compared(state: State, content: Content) -> Reply:
    """Before and after for each area. Where the two cannot be told apart they are one, in words
    and in the picture: a difference that chance may have made is never seen."""
    pairs = _pairs(state, content)
    lines = bullets([_line(state, content, pair) for pair in pairs])
    verdict = "\n".join(_verdict(state, content, pairs))
    text = say(state, content, "compare", lines=lines, verdict=verdict)
    before, after = ({pair.area.id: pair.shown[at] for pair in pairs} for at in (0, 1))
    return Reply(text, picture=pretest.radar(state, content, text, after, before))


def _line(state: State, content: Content, pair: Pair) -> str:
    before, after = pair.shown
    ends = _ends(pair.change, ability.pooled(pair.before, pair.after).ability)
    now = pretest.in_words(state, content, after)
    now = say(state, content, "compare_range", band=now, **ends)
    name = pair.area.name.of(state.lang)
    if not pair.change.clear:
        return say(state, content, "compare_same", area=name, now=now)
    then = pretest.in_words(state, content, before)
    return say(state, content, "compare_line", area=name, before=then, after=now)


def _ends(change: ability.Change, around: float) -> dict[str, Json]:
    """Both ends of a change in percentage points, with their signs."""
    ends = {"low": change.low, "high": change.high}
    points = {name: ability.points(end, around) for name, end in ends.items()}
    return {name: f"{n:+d}".replace("-", "\N{MINUS SIGN}") for name, n in points.items()}


def _verdict(state: State, content: Content, pairs: list[Pair]) -> Iterator[str]:
    """What the figures are; whether all areas together differ, and which ones by themselves."""
    yield say(state, content, "compare_key")
    overall = state.journey.overall
    changed = None
    if "baseline" in overall and "retest" in overall:
        before, after = overall["baseline"], overall["retest"]
        prior = ability.of_mean(len(pairs))
        changed = ability.change(before, after, prior)
        ends = _ends(changed, ability.pooled(before, after, prior).ability)
        yield say(state, content, f"compare_overall_{_way(changed)}", **ends)
    clear = [pair.area.name.of(state.lang) for pair in pairs if pair.change.clear]
    if clear:
        yield say(state, content, "compare_clear", areas=say(state, content, "and").join(clear))
    else:
        yield say(state, content, "compare_unclear")
        yield say(state, content, "compare_takes", n=ability.needed(GAIN), rate=ability.rate(GAIN))


def _way(change: ability.Change) -> str:
    if not change.clear:
        return "same"
    return "up" if change.low > 0 else "down"


def done(state: State, content: Content) -> bool:
    return state.journey.acknowledged


FLOW = Flow(begin, ask, answer, done=done)
