"""When what was learned comes back: FSRS by working days, short sessions, one message for them."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.json import decode, encode
from msgspec.structs import replace

from content.schema import Content
from flows import memory
from flows.calendar import is_working
from flows.reasons import reason
from flows.types import Card, State
from tests.people import GIVEN

MONDAY = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
QUESTION = "spreadsheet-01"


def answered(state: State, content: Content, *right: bool, at: datetime = MONDAY) -> State:
    """Answer the question each time it is due."""
    for each in right:
        state, _ = memory.remember(state, QUESTION, each, at, content)
        card = state.cards.get(QUESTION)
        if card and card.due:
            at = datetime.combine(date.fromordinal(card.due), at.time(), UTC)
    return state


def ahead(state: State) -> int:
    card = state.cards[QUESTION]
    return card.due - card.last


def test_what_was_known_comes_back_later_each_time(content: Content) -> None:
    gaps = [ahead(answered(State(7), content, *[True] * n)) for n in range(1, 5)]
    assert gaps == sorted(gaps)
    assert gaps[0] <= 4
    assert gaps[-1] > 30


def test_what_was_not_known_comes_back_on_the_next_working_day(content: Content) -> None:
    assert ahead(answered(State(7), content, False)) == 1
    friday = MONDAY + timedelta(days=4)
    assert ahead(answered(State(7), content, False, at=friday)) == 3
    assert ahead(answered(State(7), content, True, True, False)) <= 4


def test_nothing_is_due_on_a_holiday(content: Content) -> None:
    before = datetime(2026, 12, 4, 2, 0, tzinfo=UTC)  # the 5th is a holiday, the 7th stands for it
    state = answered(State(7), content, False, at=before)
    assert date.fromordinal(state.cards[QUESTION].due) == date(2026, 12, 8)


def test_what_is_known_well_enough_is_not_asked_again(content: Content) -> None:
    states = [answered(State(7), content, *[True] * n) for n in range(1, 9)]
    n = next(n for n, state in enumerate(states, 1) if not state.cards[QUESTION].due)
    assert 3 < n < 7
    late = MONDAY + timedelta(days=900)
    assert memory.due(states[n - 1], late.date(), content) == []
    forgotten, _ = memory.remember(states[n - 1], QUESTION, False, late, content)
    assert 0 < ahead(forgotten) < 10


def test_a_question_that_is_always_forgotten_goes_to_its_author(content: Content) -> None:
    state = answered(State(7), content, True, *[False] * (memory.LEECH - 1))
    assert state.cards[QUESTION].due
    state, facts = memory.remember(state, QUESTION, False, MONDAY + timedelta(days=90), content)

    assert [(fact.kind, fact.data) for fact in facts] == [("leech", {"question": QUESTION})]
    assert memory.due(state, date(2030, 1, 1), content) == []
    after, more = memory.remember(state, QUESTION, False, MONDAY + timedelta(days=99), content)
    assert (after, more) == (state, ())


def test_many_at_once_are_spread_over_days(content: Content) -> None:
    state, at = State(7), MONDAY
    ids = [question.id for question in content.questions["spreadsheet"]][:10]
    for _ in range(3):
        for id in ids:
            state, _ = memory.remember(state, id, True, at, content)
        at += timedelta(days=21)
    days = [card.due for card in state.cards.values()]
    assert max(days.count(day) for day in days) < len(ids)
    assert all(is_working(date.fromordinal(day), content) for day in days)


def test_the_likeliest_forgotten_comes_first_and_what_is_gone_never(content: Content) -> None:
    today = MONDAY.date().toordinal()
    cards = {
        "spreadsheet-01": Card(30.0, 5.0, today - 2, today),
        "spreadsheet-02": Card(1.0, 5.0, today - 9, today - 5),
        "spreadsheet-03": Card(5.0, 5.0, today - 1, today + 1),
        "spreadsheet-999": Card(1.0, 5.0, today - 9, today - 5),
    }
    state = State(7, cards=cards)
    assert memory.due(state, MONDAY.date(), content) == ["spreadsheet-02", "spreadsheet-01"]
    assert memory.next_due(state, content) == date.fromordinal(today - 5)


def test_no_more_is_kept_in_mind_than_can_be_asked(content: Content) -> None:
    many = {f"word-{n:03}": Card(float(n), 5.0, 1, 2) for n in range(memory.MOST)}
    state, _ = memory.remember(State(7, cards=many), QUESTION, True, MONDAY, content)
    assert len(state.cards) == memory.MOST
    assert QUESTION in state.cards
    assert f"word-{memory.MOST - 1:03}" not in state.cards


@pytest.mark.parametrize(("many", "days", "said"), [(1, 1, 0), (1, 4, 1), (3, 0, 3), (9, 0, 5)])
def test_a_message_speaks_for_a_session(content: Content, many: int, days: int, said: int) -> None:
    now = MONDAY.replace(hour=3) + timedelta(days=days)
    due = MONDAY.date().toordinal()
    ids = [question.id for question in content.questions["spreadsheet"]][:many]
    state = replace(
        GIVEN["planned"](now),
        cards={id: Card(2.3, 5.0, due - 2, due) for id in ids},
        times=None,
    )
    state = state.walk(plan=None)
    found = reason(state, now, "work", content)
    assert (found.many if found and found.nudge.kind == "recall" else 0) == said


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40)), min_size=1, max_size=14))
def test_whatever_is_answered_it_comes_back_on_a_working_day(
    content: Content, answers: list[tuple[bool, int]]
) -> None:
    state, at = State(7), MONDAY
    for right, days in answers:
        at += timedelta(days=days)
        state, _ = memory.remember(state, QUESTION, right, at, content)
        state = decode(encode(state), type=State)
        card = state.cards.get(QUESTION)
        if card and card.due:
            assert card.due > at.date().toordinal()
            assert is_working(date.fromordinal(card.due), content)
            assert 0 <= memory.recall(card, card.due) <= 1
