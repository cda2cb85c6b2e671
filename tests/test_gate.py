"""The gate: every reason for which something unasked may not go out now, and their order."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from content.schema import Content
from flows.calendar import local, permitted
from flows.gate import GO, RANKS, Waiting, judge

NOON_BREAK = datetime(2026, 11, 20, 5, 30, tzinfo=UTC)
MORNING = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
"""A Friday, 10:00 in Bangkok."""
MONDAY = datetime(2026, 11, 23, 1, 30, tzinfo=UTC)
"""The next working day, 8:30."""
TODAY = local(MORNING).toordinal()


def waiting(**changes: Any) -> Waiting:
    given = {"purpose": "encouragement", "deadline": MORNING + timedelta(days=30), **changes}
    return Waiting(**given)


@pytest.mark.parametrize(
    ("changes", "what", "why"),
    [
        ({}, "go", ""),
        ({"reachable": False}, "drop", "unreachable"),
        ({"stopped": True}, "drop", "stopped"),
        ({"welcomed": False}, "drop", "not_welcomed"),
        ({"running": False}, "drop", "campaign_cancelled"),
        ({"nudges": False}, "drop", "withdrawn"),
        ({"nudges": False, "campaign": True}, "go", ""),
        ({"nudges": False, "purpose": "word"}, "go", ""),
        ({"rests_until": MONDAY}, "drop", "resting"),
        ({"rests_until": MONDAY, "purpose": "mandatory", "campaign": True}, "go", ""),
        ({"rests_until": MORNING}, "go", ""),
        ({"deadline": MORNING}, "drop", "deadline"),
        ({"unasked_on": TODAY, "rides": True}, "hold", "one_a_day"),
        ({"unasked_on": TODAY}, "wait", "one_a_day"),
        ({"unasked_on": TODAY, "rides": True, "purpose": "mandatory"}, "wait", "one_a_day"),
        ({"unasked_on": TODAY, "purpose": "word"}, "go", ""),
        ({"unasked_on": TODAY, "counted_on": TODAY}, "go", ""),
        ({"unasked_on": TODAY - 1, "counted_on": TODAY - 1}, "go", ""),
        ({"outranked": True, "rides": True}, "hold", "outranked"),
        ({"outranked": True}, "wait", "outranked"),
    ],
)
def test_each_reason(content: Content, changes: dict[str, Any], what: str, why: str) -> None:
    verdict = judge(waiting(**changes), MORNING, content)
    assert (verdict.what, verdict.why) == (what, why)


def test_what_waits_for_a_day_waits_for_the_next_working_one(content: Content) -> None:
    verdict = judge(waiting(unasked_on=TODAY), MORNING, content)
    assert verdict.until == MONDAY


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        (NOON_BREAK, datetime(2026, 11, 20, 6, 0, tzinfo=UTC)),
        (datetime(2026, 11, 20, 0, 0, tzinfo=UTC), datetime(2026, 11, 20, 1, 30, tzinfo=UTC)),
        (datetime(2026, 11, 20, 9, 30, tzinfo=UTC), MONDAY),
        (datetime(2026, 12, 9, 9, 30, tzinfo=UTC), datetime(2026, 12, 11, 1, 30, tzinfo=UTC)),
    ],
    ids=["lunch", "early", "friday evening", "before Constitution Day"],
)
def test_out_of_hours_it_waits(content: Content, moment: datetime, opens: datetime) -> None:
    verdict = judge(waiting(deadline=moment + timedelta(days=9)), moment, content)
    assert (verdict.what, verdict.until) == ("wait", opens)


def test_what_would_come_too_late_is_over(content: Content) -> None:
    verdict = judge(waiting(deadline=MONDAY), NOON_BREAK + timedelta(hours=6), content)
    assert (verdict.what, verdict.why) == ("drop", "deadline_hours")


def test_a_time_that_was_chosen_may_be_in_the_evening_or_on_a_sunday(content: Content) -> None:
    sunday_evening = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    late = {"deadline": sunday_evening + timedelta(days=3)}
    assert judge(waiting(chosen=True, **late), sunday_evening, content) == GO
    assert judge(waiting(**late), sunday_evening, content).what == "wait"


def test_hours_are_those_of_the_learner(content: Content) -> None:
    """10:00 in Bangkok is 4:00 in Brussels."""
    verdict = judge(waiting(zone="Europe/Brussels"), MORNING, content)
    assert verdict.until == datetime(2026, 11, 20, 7, 30, tzinfo=UTC)


_WAITING = st.builds(
    Waiting,
    purpose=st.sampled_from(["word", *RANKS]),
    deadline=st.integers(-5, 400).map(lambda hours: MORNING + timedelta(hours=hours)),
    zone=st.sampled_from(["", "Europe/Berlin", "America/Los_Angeles", "Asia/Tokyo"]),
    chosen=st.booleans(),
    campaign=st.booleans(),
    rides=st.booleans(),
    running=st.booleans(),
    reachable=st.booleans(),
    welcomed=st.booleans(),
    stopped=st.booleans(),
    nudges=st.booleans(),
    rests_until=st.none() | st.just(MONDAY),
    unasked_on=st.sampled_from([0, TODAY - 1, TODAY, TODAY + 1]),
    outranked=st.booleans(),
    counted_on=st.sampled_from([0, TODAY - 1, TODAY]),
)


@given(row=_WAITING, hours=st.integers(0, 24 * 14))
@settings(max_examples=1500, deadline=None)
def test_whatever_comes_nothing_goes_that_must_not(
    content: Content, row: Waiting, hours: int
) -> None:
    now = MORNING + timedelta(hours=hours)
    verdict = judge(row, now, content)
    if verdict.what == "go":
        assert row.reachable
        assert row.welcomed
        assert row.running
        assert not row.stopped
        assert now < row.deadline
        assert permitted(now, row.zone, content, chosen=row.chosen)
        today = local(now, row.zone).toordinal()
        if row.purpose in RANKS:
            assert row.unasked_on < today or row.counted_on == today
    if verdict.what == "wait":
        assert verdict.until is not None
        assert now < verdict.until < row.deadline
        assert permitted(verdict.until, row.zone, content, chosen=row.chosen)
    if verdict.what == "hold":
        assert row.rides
        assert row.purpose != "mandatory"


def test_nothing_mandatory_is_dropped_but_for_the_person_or_the_clock(content: Content) -> None:
    flags = product([True, False], repeat=3)
    for outranked, rides, chosen in flags:
        for spent in (0, TODAY):
            row = waiting(
                purpose="mandatory",
                campaign=True,
                nudges=False,
                rests_until=MONDAY,
                outranked=outranked,
                rides=rides,
                chosen=chosen,
                unasked_on=spent,
            )
            assert judge(row, MORNING, content).what in ("go", "wait")
