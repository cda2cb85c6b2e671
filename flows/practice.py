"""Practising beside the path: what is due again, an area once more, or a topic beside the areas."""

from collections.abc import Sequence
from datetime import datetime

from content.schema import Content, Question, Topic
from flows import items, memory, quiz
from flows.calendar import local
from flows.speech import choices, say, tell
from flows.text import long_date
from flows.types import Answer, Ask, Choice, Chose, Flow, Json, Record, Reply, State, Turn

DUE = "due"
"""What is practised, if it is no area or topic: what is due again."""
LENGTH = 5
EASIER = 0.8
"""Logits below the learner's level: of such questions two in three are answered rightly."""


def begin(state: State, now: datetime, content: Content) -> Turn:
    """`of` in the note: `DUE`, an area or a topic; without it, one is chosen."""
    of = state.floor.note.get("of")
    if of == DUE:
        return _recall(state, now, content)
    return Turn(_series(state, of, content) if of else state.move("choose"))


def _recall(state: State, now: datetime, content: Content) -> Turn:
    """A short session of what is due; the rest waits for the next one."""
    day = local(now, state.zone).date()
    queue = memory.due(state, day, content)[: memory.SESSION]
    if queue:
        return Turn(_started(state, DUE, queue[0], queue=queue, many=len(queue)))
    next_ = memory.next_due(state, content)
    if next_ is None:
        line = tell(state, content, "recall_nothing_yet")
    else:
        line = tell(state, content, "recall_nothing_due", date=long_date(next_, state.lang))
    return Turn(state.back(), (line,))


def _series(state: State, of: str, content: Content) -> State:
    question = _next(state, of, (), content)
    return _started(state, of, question.id, queue=[], many=LENGTH)


def _next(state: State, of: str, asked: Sequence[str], content: Content) -> Question:
    return items.pick(state, content, of, asked, items.level(state, of) - EASIER)


def _started(state: State, of: str, question: str, **note: Json) -> State:
    return state.move("question", of=of, question=question, asked=[], right=0, **note)


def ask(state: State, now: datetime, content: Content) -> Ask:
    note = state.floor.note
    match state.floor.place:
        case "choose":
            return _choose(state, now, content)
        case "areas":
            named = _named(content.framework.areas, state)
            return Ask(
                say(state, content, "practice_areas"), named + choices(state, content, "back")
            )
        case _:
            question = content.question(note["question"])
            return quiz.numbered(state, question, note["many"], content)


def _choose(state: State, now: datetime, content: Content) -> Ask:
    """What is due first; then the areas, and topics that the learner's group needs first."""
    waiting = len(memory.waiting(state, local(now, state.zone).date(), content))
    text = say(state, content, "practice_due" if waiting else "practice", n=waiting)
    first = choices(state, content, "recall") if state.cards else ()
    topics = sorted(content.topics, key=lambda topic: not _needed(topic, state, content))
    last = choices(state, content, "back")
    areas = choices(state, content, "areas")
    return Ask(text, (*first, *areas, *_named(topics, state), *last))


def _named(topics: Sequence[Topic], state: State) -> tuple[Choice, ...]:
    return tuple(Choice(topic.id, topic.short.of(state.lang)) for topic in topics)


def _needed(topic: Topic, state: State, content: Content) -> bool:
    """Whether the framework names a unit of this skill group for the learner's group."""
    group = state.placed.group if state.placed else ""
    return any(u.skill_group == topic.id and group in u.groups for u in content.framework.units)


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    assert isinstance(answer, Chose)
    match state.floor.place, answer.id:
        case "question", _:
            return _answered(state, answer, now, content)
        case _, "back":
            return Turn(state.back())
        case _, "areas":
            return Turn(state.move("areas"))
        case _, "recall":
            return _recall(state, now, content)
        case _, of:
            return Turn(_series(state, of, content))


def _answered(state: State, answer: Chose, now: datetime, content: Content) -> Turn:
    """The reason at once; then the next one, or how it went."""
    note = state.floor.note
    question = content.question(note["question"])
    purpose = "recall" if note["of"] == DUE else "practice"
    right, fact = items.answered(state, question, answer, purpose, now)
    reply = Reply(quiz.feedback(state, question, answer, content))
    state, forgotten = memory.remember(state, question.id, right, now, content)
    asked, queue = [*note["asked"], question.id], note["queue"][1:]
    state = items.saw(state, question.id)
    state = state.move("question", asked=asked, queue=queue, right=note["right"] + right)
    facts = (fact, *forgotten)
    if queue:
        return Turn(state.move("question", question=queue[0]), (reply,), facts)
    if note["of"] != DUE and len(asked) < note["many"]:
        more = _next(state, note["of"], asked, content)
        return Turn(state.move("question", question=more.id), (reply,), facts)
    return _ended(state, reply, facts, content)


def _ended(state: State, reply: Reply, facts: tuple[Record, ...], content: Content) -> Turn:
    note = state.floor.note
    slots: dict[str, Json] = {"right": note["right"], "of": len(note["asked"])}
    next_ = memory.next_due(state, content)
    if next_ is not None:
        slots["date"] = long_date(next_, state.lang)
    line = tell(state, content, "practice_ended_next" if next_ else "practice_ended", **slots)
    fact = Record("practised", {"of": note["of"], "right": note["right"], "asked": slots["of"]})
    return Turn(state.back(), (reply, line), (*facts, fact))


FLOW = Flow(begin, ask, answer)
