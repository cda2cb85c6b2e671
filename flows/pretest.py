"""Self-assessment: a few questions over every area, each chosen by the answers before it, and the
profile that they draw."""

from datetime import datetime

from content.schema import Area, Content, area_of
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
"""Questions of an area, at most."""
FEWEST = 12
"""Questions of a series, at least, where there are so many."""
PRECISE = 0.46
"""The standard error (logits) of the mean of all areas at which a series may end early."""


def begin(state: State, now: datetime, content: Content) -> Turn:
    return Turn(state.move("intro"))


def ask(state: State, now: datetime, content: Content) -> Ask:
    if state.floor.place == "intro":
        text = say(state, content, "pretest_intro", n=length(content))
        again = say(state, content, "series_again")
        return Ask(text, choices(state, content, "begin", "later"), again=again)
    return ask_next(state, content)


def most(content: Content) -> int:
    """How many questions a series has, at most."""
    return EACH * len(content.framework.areas)


def length(content: Content) -> str:
    """How long a series will be, as far as that is known before."""
    least = max(min(FEWEST, most(content)), len(content.framework.areas))
    return f"{least}–{most(content)}" if least < most(content) else str(least)


def ask_next(state: State, content: Content) -> Ask:
    """The open question of a series, numbered, with a way to say that one does not know."""
    note = state.floor.note
    question = content.question(note["question"])
    text = say(
        state,
        content,
        "pretest_question",
        n=len(note["answers"]) + 1,
        most=most(content),
        area=content.area(area_of(question.id)).name.of(state.lang),
        stem=question.stem.of(state.lang),
    )
    return Ask(text, (*items.shuffled(state, question), *choices(state, content, items.UNSURE)))


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    assert isinstance(answer, Chose)
    if state.floor.place == "intro":
        if answer.id == "later":
            return put_off(state, content)
        return Turn(start(state, content))
    state, fact = take(state, answer, "pretest", now, content)
    if not enough(state, content):
        return Turn(further(state, content), (), (fact,))
    return _finished(state, fact, content)


def start(state: State, content: Content) -> State:
    """Open a series over all areas."""
    return further(state.move("series", answers=[]), content)


def take(
    state: State, answer: Chose, purpose: str, now: datetime, content: Content
) -> tuple[State, Record]:
    """Note an answer: the question, its difficulty, and whether it was right."""
    question = content.question(state.floor.note["question"])
    right, fact = items.answered(state, question, answer, purpose, now)
    answers = [*state.floor.note["answers"], [question.id, question.difficulty, right]]
    return items.saw(state.move("series", answers=answers), question.id), fact


def enough(state: State, content: Content) -> bool:
    """Whether a series is at its end: every area was asked, and the whole is known well enough or
    has been asked for long enough."""
    answers, by_area = state.floor.note["answers"], _by_area(state, content)
    if len(answers) >= most(content):
        return True
    if len(answers) < FEWEST or not all(by_area.values()):
        return False
    return ability.profile(by_area).overall.error <= PRECISE


def further(state: State, content: Content) -> State:
    """Choose the next question of a series: among the areas that were asked least, one of which
    least is known; in it the question that tells most at what is known so far."""
    by_area = _by_area(state, content)
    asked = min(map(len, by_area.values()))
    due = [area for area, given in by_area.items() if len(given) == asked]
    known = ability.profile(by_area).areas
    area = max(due, key=lambda each: known[each].error)  # of equals, the framework's first
    used = [answer[0] for answer in state.floor.note["answers"]]
    question = items.fit(state, content, area, used, known[area].ability)
    return state.move("series", question=question.id)


def _by_area(state: State, content: Content) -> dict[str, list[tuple[float, bool]]]:
    """The answers so far of every area, also of those without any."""
    found: dict[str, list[tuple[float, bool]]] = {a.id: [] for a in content.framework.areas}
    for question, difficulty, right in state.floor.note["answers"]:
        found.get(area_of(question), []).append((difficulty, right))
    return found


def measures(state: State, content: Content) -> ability.Profile:
    """What the answers of a finished series say."""
    by_area = _by_area(state, content)
    return ability.profile({area: given for area, given in by_area.items() if given})


def _finished(state: State, fact: Record, content: Content) -> Turn:
    found = measures(state, content)
    state = keep(state, "baseline", found)
    return Turn(
        state.back(), (profile(state, content),), (fact, measured(state, "baseline", found))
    )


def keep(state: State, when: str, found: ability.Profile) -> State:
    """Remember a measure as `baseline` or as `retest`."""
    overall = {**state.journey.overall, when: found.overall}
    return state.walk(**{when: found.areas, "overall": overall})


def measured(state: State, when: str, found: ability.Profile) -> Record:
    """The fact of a measure."""
    areas = {area: _as_data(measure) for area, measure in found.areas.items()}
    data = {"when": when, "round": state.journey.number, "areas": areas}
    return Record("measured", data | {"overall": _as_data(found.overall)})


def _as_data(m: Measure) -> dict[str, Json]:
    return {"right": m.right, "asked": m.asked, "ability": m.ability, "error": m.error}


def profile(state: State, content: Content) -> Reply:
    """The nine areas as a picture, and the same in words."""
    baseline = state.journey.baseline
    lines = [
        _line(state, content, area, baseline[area.id])
        for area in content.framework.areas
        if area.id in baseline
    ]
    text = say(state, content, "profile", lines=bullets(lines))
    return Reply(text, picture=radar(state, content, text, baseline))


def _line(state: State, content: Content, area: Area, measure: Measure) -> str:
    return say(
        state,
        content,
        "profile_line",
        area=area.name.of(state.lang),
        band=in_words(state, content, measure),
        right=measure.right,
        asked=measure.asked,
    )


def in_words(state: State, content: Content, measure: Measure) -> str:
    """The band of a measure, or between which two it is, or that it cannot be told."""
    found = [say(state, content, "band_" + band) for band in ability.bands(measure)]
    if len(found) > 2:
        return say(state, content, "band_unclear")
    return (
        found[0]
        if len(found) == 1
        else say(state, content, "band_between", low=found[0], high=found[1])
    )


def radar(
    state: State,
    content: Content,
    alt: str,
    after: dict[str, Measure],
    before: dict[str, Measure] | None = None,
) -> Picture:
    """The profile as a radar: one measure of each area, or before and after."""
    areas = content.framework.areas

    def axis(area: Area, of: dict[str, Measure]) -> float | None:
        return round(ability.share(of[area.id]), 3) if area.id in of else None

    data: dict[str, Json] = {
        "title": say(state, content, "radar_title"),
        "axes": [
            {"label": area.short.of(state.lang), "value": axis(area, after)} for area in areas
        ],
        "rings": [say(state, content, "band_" + b) for b in ("strengthen", "fair", "strong")],
        "legend": [say(state, content, "radar_now")],
        "note": say(state, content, "radar_note"),
    }
    if before is not None:
        data["before"] = [axis(area, before) for area in areas]
        data["legend"] = [say(state, content, "radar_before"), say(state, content, "radar_after")]
    return Picture("radar", data, alt)


def done(state: State, content: Content) -> bool:
    return bool(state.journey.baseline)


FLOW = Flow(begin, ask, answer, done=done)
