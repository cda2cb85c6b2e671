"""When something that was learned is due again: FSRS, by working days, in short sessions.

A right answer is "Good", a wrong one "Again"; nobody is asked how hard it felt. Days are ordinals
on the learner's own calendar. Pure: the scheduler is used without its fuzz, and what spreads
reviews over days is how many are due on each.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from functools import lru_cache

from fsrs import Card as Reviewed
from fsrs import Rating, Scheduler
from fsrs import State as Phase
from msgspec.structs import replace

from content.schema import Content, Gone
from flows.calendar import is_working, local
from flows.types import Card, Record, State

RETENTION = 0.9
"""How likely something should still be known when it is asked again."""
FARTHEST = 180
"""Days; what would be asked later than that is known well enough, and is not asked again."""
SESSION = 5
"""Questions in a session: about two minutes."""
ENOUGH = 3
"""So many are worth a message; fewer wait until more are due, or have waited for some days."""
LEECH = 4
"""So often forgotten, the question is at fault: its author should look, the learner is spared."""
MOST = 120
"""Questions that are kept in mind for one learner."""
AT_ONCE = 4
"""Calendar days that a review may be moved on to a quieter day, at most."""


@lru_cache(maxsize=1)
def _scheduler() -> Scheduler:
    return Scheduler(
        desired_retention=RETENTION,
        learning_steps=(),
        relearning_steps=(),
        maximum_interval=2 * FARTHEST,
        enable_fuzzing=False,
    )


def remember(
    state: State, question: str, right: bool, now: datetime, content: Content
) -> tuple[State, tuple[Record, ...]]:
    """The learner was told the answer to a question: when it is due again. The fact names a
    question that is forgotten again and again."""
    card, today = state.cards.get(question), _today(state, now)
    if card is not None and card.lapses >= LEECH:
        return state, ()
    stability, difficulty, ahead = _reviewed(card, right, today)
    lapses = (card.lapses if card else 0) + (card is not None and not right)
    others = {id: kept for id, kept in state.cards.items() if id != question}
    known, leech = right and ahead > FARTHEST, lapses >= LEECH
    due = 0 if known or leech else _quietest(others, today, ahead, content)
    others[question] = Card(stability, difficulty, today, due, lapses)
    facts = (Record("leech", {"question": question}),) if leech else ()
    return replace(state, cards=_fewer(others)), facts


def waiting(state: State, day: date, content: Content) -> list[str]:
    """The questions to ask again on a day, in no order."""
    today = day.toordinal()
    return [
        id for id, card in state.cards.items() if 0 < card.due <= today and _stands(id, content)
    ]


def due(state: State, day: date, content: Content) -> list[str]:
    """The same, what is likeliest forgotten first."""
    today = day.toordinal()
    found = waiting(state, day, content)
    return sorted(found, key=lambda id: (recall(state.cards[id], today), id))


def next_due(state: State, content: Content) -> date | None:
    """The first day on which something is due, if anything is."""
    days = [card.due for id, card in state.cards.items() if card.due and _stands(id, content)]
    return date.fromordinal(min(days)) if days else None


def first_dues(state: State) -> list[int]:
    """The days that decide when there is enough for a message."""
    return sorted(card.due for card in state.cards.values() if card.due)[:ENOUGH]


def oldest(state: State, waiting: Sequence[str]) -> date:
    """Since when the first of some waiting questions has been due."""
    return date.fromordinal(min(state.cards[id].due for id in waiting))


def recall(card: Card, today: int) -> float:
    """How likely it is (0 to 1) that something is still known."""
    return float(_scheduler().get_card_retrievability(_card(card), _noon(today)))


def _today(state: State, now: datetime) -> int:
    return local(now, state.zone).toordinal()


def _stands(question: str, content: Content) -> bool:
    try:
        return not content.question(question).retired
    except Gone:
        return False


def _reviewed(card: Card | None, right: bool, today: int) -> tuple[float, float, int]:
    """Stability (days) and difficulty (1 to 10) after an answer, and the days until it is due."""
    before = _card(card) if card else Reviewed(card_id=0)
    after, _ = _scheduler().review_card(
        before, Rating.Good if right else Rating.Again, _noon(today)
    )
    assert after.stability is not None
    assert after.difficulty is not None
    ahead = (after.due - _noon(today)).days
    return round(after.stability, 2), round(after.difficulty, 2), ahead


def _card(card: Card) -> Reviewed:
    return Reviewed(
        card_id=0,
        state=Phase.Review,
        stability=card.stability,
        difficulty=card.difficulty,
        last_review=_noon(card.last),
    )


def _noon(day: int) -> datetime:
    """FSRS reckons in moments; ours are days."""
    return datetime.combine(date.fromordinal(day), time(12), UTC)


def _quietest(cards: dict[str, Card], today: int, ahead: int, content: Content) -> int:
    """The working day from the one it is due on, a tenth of the way further at most, on which the
    fewest are due."""
    first = today + ahead
    while not is_working(date.fromordinal(first), content):
        first += 1
    last = first + min(round(ahead / 10), AT_ONCE)
    days = [day for day in range(first, last + 1) if is_working(date.fromordinal(day), content)]
    load = [card.due for card in cards.values()]
    return min(days, key=lambda day: (load.count(day), day))


def _fewer(cards: dict[str, Card]) -> dict[str, Card]:
    """Without the best known, where there are too many."""
    if len(cards) <= MOST:
        return cards
    best = max(cards, key=lambda id: (cards[id].stability, id))
    return {id: card for id, card in cards.items() if id != best}
