"""The quiz of one area: every answer gets its reason and its source; other questions next time."""

from datetime import datetime

from content.schema import Content, Question, area_of
from flows import items, memory
from flows.speech import choices, put_off, say, tell
from flows.types import (
    Answer,
    Ask,
    Chose,
    Flow,
    Quizzed,
    Record,
    Reply,
    State,
    Turn,
)

LENGTH = 5
PASS = 0.6
"""The pass mark of OCSC Learning Space (docs/sources.md)."""


def begin(state: State, now: datetime, content: Content) -> Turn:
    areas = state.journey.plan.areas if state.journey.plan else tuple(content.questions)
    area = next((a for a in areas if not _passed(a, state)), areas[0])
    return Turn(state.move("intro", area=area))


def _passed(area: str, state: State) -> bool:
    quizzed = state.journey.quizzes.get(area)
    return quizzed is not None and quizzed.passed


def ask(state: State, now: datetime, content: Content) -> Ask:
    note = state.floor.note
    area = content.topic(note["area"]).name.of(state.lang)
    match state.floor.place:
        case "intro":
            text = say(state, content, "quiz_intro", area=area, n=LENGTH, mark=round(PASS * 100))
            return Ask(text, choices(state, content, "begin", "later"))
        case "failed":
            text = say(state, content, "quiz_again", area=area)
            return Ask(text, choices(state, content, "retry", "relearn", "later"))
        case _:
            question = content.question(note["question"])
            return numbered(state, question, LENGTH, content)


def numbered(state: State, question: Question, many: int, content: Content) -> Ask:
    """A question of a series, as which of how many."""
    text = say(
        state,
        content,
        "series_question",
        n=len(state.floor.note["asked"]) + 1,
        of=many,
        area=content.topic(area_of(question.id)).name.of(state.lang),
        stem=question.stem.of(state.lang),
    )
    return Ask(text, items.shuffled(state, question))


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    assert isinstance(answer, Chose)
    match state.floor.place, answer.id:
        case (("intro" | "failed"), ("begin" | "retry")):
            return Turn(_next(state.move("question", asked=[], right=0), content))
        case "failed", "relearn":
            return Turn(state.at("lesson", area=state.floor.note["area"]))
        case (("intro" | "failed"), _):
            return put_off(state, content)
        case _:
            return _answered(state, answer, now, content)


def _next(state: State, content: Content) -> State:
    note = state.floor.note
    before = state.journey.quizzes.get(note["area"])
    avoid = (*note["asked"], *(before.last if before else ()))
    question = items.pick(state, content, note["area"], avoid)
    return state.move("question", question=question.id)


def _answered(state: State, answer: Chose, now: datetime, content: Content) -> Turn:
    note = state.floor.note
    question = content.question(note["question"])
    right, fact = items.answered(state, question, answer, "quiz", now)
    reply = Reply(feedback(state, question, answer, content))
    state, forgotten = memory.remember(state, question.id, right, now, content)
    facts = (fact, *forgotten)
    state = items.saw(state, question.id).move(
        "question", asked=[*note["asked"], question.id], right=note["right"] + right
    )
    if len(state.floor.note["asked"]) < LENGTH:
        return Turn(_next(state, content), (reply,), facts)
    return _scored(state, reply, facts, content)


def feedback(state: State, question: Question, answer: Chose, content: Content) -> str:
    """Why this option, and where it says so; a wrong one also gets the right one's reason."""
    right = answer.id == str(question.right)
    chosen = question.options[int(answer.id)].of(state.lang)
    lines = [say(state, content, "quiz_right" if right else "quiz_wrong", why=chosen.feedback)]
    if not right:
        best = question.options[question.right].of(state.lang)
        lines.append(say(state, content, "quiz_best", text=best.text, why=best.feedback))
    lines.append(say(state, content, "source", title=question.source.title))
    return "\n\n".join(lines)


def _scored(state: State, reply: Reply, facts: tuple[Record, ...], content: Content) -> Turn:
    note = state.floor.note
    score = note["right"] / LENGTH
    before = state.journey.quizzes.get(note["area"]) or Quizzed(0, 0.0, False)
    quizzed = Quizzed(
        before.attempts + 1,
        max(before.best, score),
        before.passed or score >= PASS,
        tuple(note["asked"]),
    )
    state = state.walk(quizzes={**state.journey.quizzes, note["area"]: quizzed})
    result = Record(
        "quizzed",
        {
            "area": note["area"],
            "score": score,
            "passed": score >= PASS,
            "attempt": quizzed.attempts,
            "round": state.journey.number,
        },
    )
    key = "quiz_passed" if score >= PASS else "quiz_failed"
    area = content.topic(note["area"]).name.of(state.lang)
    line = tell(state, content, key, right=note["right"], of=LENGTH, area=area)
    state = state.back() if score >= PASS else state.move("failed")
    return Turn(state, (reply, line), (*facts, result))


def done(state: State, content: Content) -> bool:
    plan = state.journey.plan
    return plan is not None and all(_passed(area, state) for area in plan.areas)


FLOW = Flow(begin, ask, answer, done=done)
