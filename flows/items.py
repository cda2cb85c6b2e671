"""Asking questions of the bank: which one next, in what order its options, what was answered."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b

from msgspec.structs import replace

from content.schema import Content, Question, alive, area_of
from flows.types import Choice, Chose, Record, State

UNSURE = "unsure"
HAND = 5
"""A learner gets one in so many of an area's questions to be measured with: nobody sees the whole
bank, and no question is seen by more than that part of all who are measured."""
LEAST = 2
"""Questions of an area that somebody may be measured with, however few it has."""


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


def fit(state: State, content: Content, area: str, used: Sequence[str], target: float) -> Question:
    """The question to measure with next: of the learner's hand, the one that tells most about
    somebody of the ability `target` (logits), which under the Rasch model is the nearest in
    difficulty. `used` are those of this series: they come again only if there are no others."""
    there = alive(content.questions[area])
    dealt = [question for question in hand(state, content, area, used) if question.id not in used]
    rest = dealt or [question for question in there if question.id not in used]
    return min(rest or there, key=lambda question: (abs(question.difficulty - target), question.id))


def hand(
    state: State, content: Content, area: str, used: Sequence[str] = ()
) -> tuple[Question, ...]:
    """The questions that a learner may be measured with in this round: drawn from the learner's
    seed among those of an area that they met least often before this series, as many as one in
    `HAND`. Every question is as likely as any other to be dealt."""
    group = state.placed.group if state.placed else ""

    def rank(question: Question) -> tuple[int, bool]:
        met = state.seen.get(question.id, 0) - (question.id in used)
        return met, bool(question.groups) and group not in question.groups

    def drawn(question: Question) -> bytes:
        return blake2b(f"{state.seed}/{state.journey.number}/{question.id}".encode()).digest()

    ranked = [(rank(question), question) for question in alive(content.questions[area])]
    best = min((place for place, _ in ranked), default=None)
    among = sorted((question for place, question in ranked if place == best), key=drawn)
    return tuple(among[: max(len(among) // HAND, LEAST)])


def level(state: State, area: str) -> float:
    """The difficulty (logits) that suits a learner in an area or topic: their newest measured
    ability there, else over all areas, else the middle. For `pick(..., target=level(...))`."""
    journey = state.journey
    overall = journey.overall.get("retest") or journey.overall.get("baseline")
    measured = journey.retest.get(area) or journey.baseline.get(area) or overall
    return measured.ability if measured else 0.0


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
