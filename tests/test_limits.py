"""How fast a channel may be used: held for hours on a clock that the test turns."""

import asyncio
import random
from itertools import pairwise

import pytest

from bot import limits
from bot.limits import Bucket, Pace

pytestmark = pytest.mark.anyio
RATE = 30.0


class Clock:
    """A clock that goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made, chance = Clock(), random.Random(3)

    async def sleep(seconds: float) -> None:
        """A little too long, as every sleep is."""
        made.now += seconds + chance.uniform(0, 0.004)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return made


def most_in(times: list[float], seconds: float) -> int:
    """The most that happened within any window of so many seconds."""
    first, most = 0, 0
    for at, moment in enumerate(times):
        while moment - times[first] >= seconds:
            first += 1
        most = max(most, at - first + 1)
    return most


async def test_unasked_messages_leave_evenly_and_as_fast_as_they_may(clock: Clock) -> None:
    """P11: at least 95 % of the limit over time, and never more in any second."""
    pace = Pace(RATE, clock)
    times = []
    for number in range(20_000):
        assert await pace.turn(str(number), answers=False) == 0
        times.append(clock())

    rate = len(times) / (times[-1] - times[0])
    assert 0.95 * RATE <= rate <= RATE * 1.001
    assert most_in(times, 1.0) <= RATE + 2


async def test_answers_use_what_is_kept_for_them_and_the_others_wait(clock: Clock) -> None:
    pace = Pace(RATE, clock)
    for number in range(100):
        await pace.turn(str(number), answers=False)
    began = clock()
    for number in range(25):
        await pace.turn(f"a{number}", answers=True)
    assert clock() == began

    await pace.turn("b", answers=False)

    assert clock() - began > 25 / RATE


async def test_a_chat_is_sent_at_most_one_unasked_message_a_second(clock: Clock) -> None:
    pace = Pace(RATE, clock)
    times = []
    for _ in range(5):
        await pace.turn("7", answers=False)
        times.append(clock())

    assert all(after - before >= 1.0 for before, after in pairwise(times))


async def test_a_conversation_may_go_faster_for_a_moment(clock: Clock) -> None:
    pace = Pace(RATE, clock)
    began = clock()
    for _ in range(5):
        await pace.turn("7", answers=True)
    assert clock() == began


async def test_a_chat_that_was_sent_too_much_is_left_alone_and_others_go_on(clock: Clock) -> None:
    pace = Pace(RATE, clock)
    for _ in range(3):
        await pace.turn("7", answers=True)

    assert pace.close("7", 12.0) is False

    assert await pace.turn("7", answers=True) == pytest.approx(12.0)
    assert await pace.turn("8", answers=True) == 0
    clock.now += 12.1
    assert await pace.turn("7", answers=True) == 0


async def test_a_429_for_a_first_message_means_the_whole_bot(clock: Clock) -> None:
    pace = Pace(RATE, clock)
    await pace.turn("7", answers=False)

    assert pace.close("7", 12.0) is True

    assert await pace.turn("8", answers=True) == pytest.approx(12.0)


async def test_two_chats_that_are_told_to_wait_mean_the_whole_bot(clock: Clock) -> None:
    pace = Pace(RATE, clock)
    for chat in ("7", "7", "8", "8"):
        await pace.turn(chat, answers=True)

    assert (pace.close("7", 12.0), pace.close("8", 5.0)) == (False, True)
    assert await pace.turn("9", answers=True) == pytest.approx(5.0)


async def test_a_window_that_opens_while_somebody_waits_holds_them_back(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 requests inside a window: the wait for a turn may have been begun before it."""
    pace = Pace(1.0, clock)
    await pace.turn("1", answers=True)
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        pace.close("1", 60.0)
        await real(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)

    assert await pace.turn("2", answers=True) > 50


async def test_it_remembers_no_more_chats_than_it_must(clock: Clock) -> None:
    pace = Pace(1e6, clock)
    for number in range(3 * limits.CROWD):
        await pace.turn(str(number), answers=True)
        clock.now += 0.001

    assert len(pace._sent) <= limits.CROWD + 1


async def test_a_bucket_lets_through_no_more_than_its_rate() -> None:
    bucket = Bucket(500.0)
    loop = asyncio.get_running_loop()
    for _ in range(500):
        await bucket.turn()
    began = loop.time()
    for _ in range(100):
        await bucket.turn()

    assert loop.time() - began >= 0.19
