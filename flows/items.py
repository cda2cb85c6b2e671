"""Asking questions of the bank: which one next, in what order its options, what was answered."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b

from msgspec.structs import replace

from content.schema import Content, Question, alive, area_of
from flows.types import Choice, Chose, Record, State

UNSURE = "unsure"


def shuffled(state: State, question: Question) -> tuple[Choice, ...]:
    """The options in an order that depends on the learner and on how often they were asked."""
    asked = state.seen.get(question.id, 0)
    return tuple(
        Choice(str(at), "", question.options[at].of(state.lang).text)
        for at in _order(f"{state.seed}/{question.id}/{asked}", len(question.options))
    )


@lru_cache(maxsize=4096)  # a question is read again when its answer comes
def _order(draw: str, many: int) -> tuple[int, ...]:
    return tuple(sorted(range(many), key=lambda at: blake2b(f"{draw}/{at}".encode()).digest()))


def pick(
    state: State, content: Content, area: str, avoid: Sequence[str] = (), target: float = 0.0
) -> Question:
    """The question of an area asked least often, not in `avoid`, nearest to a difficulty.
    Among equals the learner's seed decides, so colleagues do not all get the same ones."""
    group = state.placed.group if state.placed else ""

    def rank(question: Question) -> tuple[bool, int, bool, float]:
        suits = not question.groups or group in question.groups
        distance = round(abs(question.difficulty - target) * 2) / 2
        return question.id in avoid, state.seen.get(question.id, 0), not suits, distance

    def draw(question: Question) -> bytes:
        return blake2b(f"{state.seed}/{question.id}".encode()).digest()

    ranked = [(rank(question), question) for question in alive(content.questions[area])]
    best = min(place for place, _ in ranked)
    return min((question for place, question in ranked if place == best), key=draw)


def saw(state: State, question_id: str) -> State:
    return replace(state, seen={**state.seen, question_id: state.seen.get(question_id, 0) + 1})


def answered(
    state: State, question: Question, answer: Chose, purpose: str, now: datetime
) -> tuple[bool, Record]:
    """Whether an answer is right, and the fact to keep of it."""
    right = answer.id == str(question.right)
    took = round((now - state.asked_at).total_seconds()) if state.asked_at else None
    fact = Record(
        "answered",
        {
            "question": question.id,
            "area": area_of(question.id),
            "option": None if answer.id == UNSURE else int(answer.id),
            "right": right,
            "purpose": purpose,
            "round": state.journey.number,
            "seconds": took,
        },
    )
    return right, fact
