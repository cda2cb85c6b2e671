"""Self-assessment: a few questions over every area, and the profile that they draw."""

from datetime import datetime

from content.schema import Area, Content
from flows import ability, items
from flows.speech import bullets, choices, put_off, say
from flows.types import (
    Answer,
    Ask,
    Chose,
    Flow,
    Json,
    Measure,
    Picture,
    Record,
    Reply,
    State,
    Turn,
)

EACH = 2
"""Questions an area: the second is harder or easier by how the first went."""


def begin(state: State, now: datetime, content: Content) -> Turn:
    return Turn(state.move("intro"))


def ask(state: State, now: datetime, content: Content) -> Ask:
    if state.floor.place == "intro":
        text = say(state, content, "pretest_intro", n=total(content))
        again = say(state, content, "series_again")
        return Ask(text, choices(state, content, "begin", "later"), again=again)
    return ask_next(state, content)


def total(content: Content) -> int:
    return EACH * len(content.framework.areas)


def ask_next(state: State, content: Content) -> Ask:
    """The open question of a series, numbered, with a way to say that one does not know."""
    note = state.floor.note
    question = content.question(note["question"])
    text = say(
        state,
        content,
        "series_question",
        n=len(note["answers"]) + 1,
        of=total(content),
        area=content.area(_area(note, content)).name.of(state.lang),
        stem=question.stem.of(state.lang),
    )
    return Ask(text, (*items.shuffled(state, question), *choices(state, content, items.UNSURE)))


def _area(note: dict[str, Json], content: Content) -> str:
    return content.framework.areas[len(note["answers"]) // EACH].id


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    assert isinstance(answer, Chose)
    if state.floor.place == "intro":
        if answer.id == "later":
            return put_off(state, content)
        return Turn(start(state, content, ()))
    state, fact = take(state, answer, "pretest", now, content)
    if len(state.floor.note["answers"]) < total(content):
        return Turn(further(state, content), (), (fact,))
    return _finished(state, fact, content)


def start(state: State, content: Content, avoid: tuple[str, ...]) -> State:
    """Open a series over all areas that uses none of the questions in `avoid`."""
    return further(state.move("series", answers=[], avoid=list(avoid)), content)


def take(
    state: State, answer: Chose, purpose: str, now: datetime, content: Content
) -> tuple[State, Record]:
    """Note an answer: the question, its difficulty, and whether it was right."""
    question = content.question(state.floor.note["question"])
    right, fact = items.answered(state, question, answer, purpose, now)
    answers = [*state.floor.note["answers"], [question.id, question.difficulty, right]]
    return items.saw(state.move("series", answers=answers), question.id), fact


def further(state: State, content: Content) -> State:
    """Choose the next question of a series."""
    note = state.floor.note
    answers = note["answers"]
    target = 0.0
    if len(answers) % EACH:
        target = answers[-1][1] + (1.0 if answers[-1][2] else -1.0)
    used = [*note["avoid"], *(asked[0] for asked in answers)]
    question = items.pick(state, content, _area(note, content), used, target)
    return state.move("series", question=question.id)


def measures(state: State, content: Content) -> dict[str, Measure]:
    """What the answers of a finished series say about each area."""
    answers = state.floor.note["answers"]
    return {
        area.id: ability.measure(
            (difficulty, right) for _, difficulty, right in answers[i * EACH : (i + 1) * EACH]
        )
        for i, area in enumerate(content.framework.areas)
    }


def _finished(state: State, fact: Record, content: Content) -> Turn:
    baseline = measures(state, content)
    state = state.walk(baseline=baseline)
    return Turn(
        state.back(), (profile(state, content),), (fact, measured(state, "baseline", baseline))
    )


def measured(state: State, when: str, found: dict[str, Measure]) -> Record:
    data = {
        area: {"right": m.right, "asked": m.asked, "ability": m.ability, "error": m.error}
        for area, m in found.items()
    }
    return Record("measured", {"when": when, "round": state.journey.number, "areas": data})


def profile(state: State, content: Content) -> Reply:
    """The nine areas as a picture, and the same in words."""
    baseline = state.journey.baseline
    lines = [
        _line(state, content, area, baseline[area.id])
        for area in content.framework.areas
        if area.id in baseline
    ]
    text = say(state, content, "profile", lines=bullets(lines))
    return Reply(text, picture=radar(state, content, text))


def _line(state: State, content: Content, area: Area, measure: Measure) -> str:
    return say(
        state,
        content,
        "profile_line",
        area=area.name.of(state.lang),
        band=say(state, content, "band_" + ability.band(measure)),
        right=measure.right,
        asked=measure.asked,
    )


def radar(state: State, content: Content, alt: str) -> Picture:
    """The profile as a radar: the baseline alone, or before and after."""
    journey, areas = state.journey, content.framework.areas

    def axis(area: Area, of: dict[str, Measure]) -> float | None:
        return round(ability.share(of[area.id]), 3) if area.id in of else None

    after = journey.retest or journey.baseline
    data: dict[str, Json] = {
        "title": say(state, content, "radar_title"),
        "axes": [
            {"label": area.short.of(state.lang), "value": axis(area, after)} for area in areas
        ],
        "rings": [say(state, content, "band_" + b) for b in ("strengthen", "fair", "strong")],
        "legend": [say(state, content, "radar_now")],
        "note": say(state, content, "radar_note"),
    }
    if journey.retest:
        data["before"] = [axis(area, journey.baseline) for area in areas]
        data["legend"] = [say(state, content, "radar_before"), say(state, content, "radar_after")]
    return Picture("radar", data, alt)


def done(state: State, content: Content) -> bool:
    return bool(state.journey.baseline)


FLOW = Flow(begin, ask, answer, done=done)
