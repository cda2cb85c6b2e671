"""The simulators do what the platforms' documentation and Telegram's own server source say."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import ClientError, ClientSession, web

from tests.simulators.line import CROWDED, MONTHLY, RATE, Line, Pump
from tests.simulators.server import Json, Simulator, Temper
from tests.simulators.telegram import GONE_FOR, PRESSES, Queues, Telegram

LINE = {"Authorization": "Bearer token"}
START = datetime(2026, 11, 20, 2, 0, tzinfo=UTC).timestamp()


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Bot:
    """A webhook that answers as it is told, and keeps what it got."""

    def __init__(self, *answers: int | float | tuple[int, Json]) -> None:
        """A status; seconds to stay silent; a status with a body or with headers."""
        self.got: list[Json] = []
        self._answers = list(answers)
        self.url = ""

    async def __aenter__(self) -> "Bot":
        self._runner = web.ServerRunner(web.Server(self._hear))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _hear(self, request: web.BaseRequest) -> web.Response:
        self.got.append(json.loads(await request.read()))
        answer = self._answers.pop(0) if self._answers else 200
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            return web.Response()
        if isinstance(answer, tuple):
            status, more = answer
            if "Retry-After" in more:
                return web.Response(status=status, headers=more)
            return web.json_response(more, status=status)
        return web.Response(status=answer)


Ask = Callable[..., Awaitable[tuple[int, Json]]]


def asking(simulator: Simulator, work: Callable[[Ask], Awaitable[Any]]) -> Any:
    """Serve, and let `work` ask."""

    async def run() -> Any:
        async with simulator.serve() as base, ClientSession(base) as session:

            async def ask(path: str, body: Json, **headers: str) -> tuple[int, Json]:
                async with session.post(path, json=body, headers=LINE | headers) as got:
                    return got.status, await got.json()

            return await work(ask)

    return asyncio.run(run())


def text(to: object, said: str = "x") -> Json:
    return {"to": to, "messages": [{"type": "text", "text": said}]}


PUSH, MULTICAST = "/v2/bot/message/push", "/v2/bot/message/multicast"

# --- LINE: sending ---------------------------------------------------------------------------


def test_a_multicast_bills_those_who_can_be_reached_and_is_repeated_only_once() -> None:
    line = Line(quota=3)
    line.blocked, line.unknown = {"U1"}, {"U2"}
    key = {"X-Line-Retry-Key": str(uuid4())}

    async def work(ask: Ask) -> list[tuple[int, Json]]:
        to = ["U1", "U2", "U3"]
        return [await ask(MULTICAST, text(to), **key), await ask(MULTICAST, text(to), **key)]

    (first, _), (second, refused) = asking(line, work)

    assert (first, second) == (200, 409)
    assert refused["message"] == "The retry key is already accepted"
    assert (line.used, dict(line.delivered).keys()) == (1, {"U3"})
    assert line.history[0]["missed"] == ["U1", "U2"]
    assert "delivered" not in line.history[1]


@pytest.mark.parametrize(("many", "status"), [(0, 400), (1, 200), (500, 200), (501, 400)])
def test_a_multicast_takes_one_to_five_hundred(many: int, status: int) -> None:
    line = Line()
    to = [f"U{n}" for n in range(many)]

    assert asking(line, lambda ask: ask(MULTICAST, text(to)))[0] == status
    assert line.used == (many if status == 200 else 0)


def test_each_endpoint_has_a_rate_of_its_own() -> None:
    line = Line(rates={MULTICAST: 2, PUSH: 3}, clock=Clock())

    async def work(ask: Ask) -> list[int]:
        asked = [ask(MULTICAST, text(["U1"])) for _ in range(3)]
        asked += [ask(PUSH, text("U1")) for _ in range(4)]
        return [(await each)[0] for each in asked]

    assert asking(line, work) == [200, 200, 429, 200, 200, 200, 429]


def test_a_429_tells_by_its_words_what_there_was_too_much_of() -> None:
    clock = Clock()
    line = Line(per_user=1, quota=2, rates={PUSH: 5}, clock=clock)

    async def work(ask: Ask) -> list[str]:
        told = []
        for user in ("U1", "U1", "U2", "U3", "U4", "U5"):
            told.append((await ask(PUSH, text(user)))[1].get("message", ""))
        return told

    assert asking(line, work) == ["", CROWDED, "", MONTHLY, MONTHLY, RATE]


@pytest.mark.parametrize(
    "message",
    [
        {"type": "text", "text": "😀" * 2501},
        {"type": "text", "text": "x", "quickReply": {"items": [{}] * 14}},
        {"type": "text", "text": "x", "quickReply": {"items": [{"action": {"label": "x" * 21}}]}},
        {"type": "text", "text": "x", "quickReply": {"items": [{"action": {"data": "x" * 301}}]}},
    ],
)
def test_what_is_too_long_is_refused_also_by_the_validation(message: Json) -> None:
    async def work(ask: Ask) -> list[int]:
        body = {"messages": [message]}
        validated = await ask("/v2/bot/message/validate/push", body)
        return [validated[0], (await ask(PUSH, {"to": "U1", **body}))[0]]

    assert asking(Line(), work) == [400, 400]


def test_the_webhook_is_tested_with_no_events() -> None:
    async def run() -> tuple[Json, Bot]:
        line = Line()
        async with Bot() as bot, line.serve() as base, ClientSession(base, headers=LINE) as http:
            where = {"endpoint": bot.url}
            await (await http.put("/v2/bot/channel/webhook/endpoint", json=where)).json()
            told = await (await http.post("/v2/bot/channel/webhook/test", json={})).json()
            return told, bot

    told, bot = asyncio.run(run())

    assert (told["success"], told["statusCode"]) == (True, 200)
    assert bot.got[0]["events"] == []


def test_a_hundred_thousand_recipients_are_counted_and_delivered(tmp_path: Path) -> None:
    line = Line(history=tmp_path / "line.jsonl")
    bodies = [text([f"U{n:032}" for n in range(at, at + 500)]) for at in range(0, 100_000, 500)]

    async def work(ask: Ask) -> None:
        for body in bodies:
            await ask(MULTICAST, body, **{"X-Line-Retry-Key": str(uuid4())})

    asking(line, work)
    assert line.used == len(line.delivered) == 100_000


# --- LINE: webhooks --------------------------------------------------------------------------


def pumped(bot: Bot, *texts: str, **options: Any) -> tuple[Line, list[int]]:
    line = Line(clock=Clock())

    async def run() -> list[int]:
        async with bot, Pump(line, bot.url, pace=0.0, **options) as pump:
            return await pump.send(*(line.says(f"U{n}", said) for n, said in enumerate(texts)))

    return line, asyncio.run(run())


def test_what_is_not_taken_is_delivered_again_with_the_same_ids_and_times() -> None:
    bot = Bot(500, 503)
    line, statuses = pumped(bot, "one", "two")
    first, *again = bot.got

    assert statuses == [500, 503, 200]
    assert [hook["redelivery"] for hook in line.hooks] == [False, True, True]
    for body in again:
        for event, before in zip(body["events"], first["events"], strict=True):
            assert event.pop("deliveryContext") == {"isRedelivery": True}
            assert event == {k: v for k, v in before.items() if k != "deliveryContext"}


def test_two_seconds_of_silence_are_no_answer() -> None:
    line, statuses = pumped(Bot(2.5), "one")

    assert statuses == [0, 200]
    assert line.hooks[0]["why"] == "request_timeout"


def test_nothing_is_delivered_again_where_that_is_switched_off() -> None:
    bot = Bot(500)

    assert pumped(bot, "one", redelivers=False)[1] == [500]
    assert len(bot.got) == 1


@pytest.mark.parametrize(("minutes", "status"), [(5, 200), (21, 400)])
def test_a_redelivery_gives_an_unused_token_another_minute(minutes: int, status: int) -> None:
    clock = Clock()
    line = Line(clock=clock)
    body, _ = line.webhook(line.says("U1", "hello"))
    clock.now += minutes * 60
    token = json.loads(line.redelivered(body)[0])["events"][0]["replyToken"]
    reply = {"replyToken": token, "messages": [{"type": "text", "text": "x"}]}

    assert asking(line, lambda ask: ask("/v2/bot/message/reply", reply))[0] == status


# --- Telegram: sending -----------------------------------------------------------------------

SEND = "/bot4242:token/sendMessage"


def send(ask: Ask, chat: int) -> Awaitable[tuple[int, Json]]:
    return ask(SEND, {"chat_id": chat, "text": "x"})


def test_the_whole_bot_is_held_to_its_rate_and_must_wait_its_time_out() -> None:
    clock = Clock()
    telegram = Telegram(rate=30, retry_after=2, clock=clock)

    async def work(ask: Ask) -> list[int]:
        statuses = [(await send(ask, chat))[0] for chat in range(1, 32)]
        clock.now += 1.9  # the bucket is full again, and yet it is too early
        statuses.append((await send(ask, 40))[0])
        clock.now += 0.2
        return [*statuses, (await send(ask, 41))[0]]

    assert asking(telegram, work) == [200] * 30 + [429, 429, 200]
    assert [r.get("window") for r in telegram.history[-3:]] == [None, pytest.approx(1.9), None]
    assert telegram.counts()["inside"] == 1


def test_a_chat_that_is_too_fast_waits_alone() -> None:
    clock = Clock()
    telegram = Telegram(rate=100, flood=True, retry_after=3, clock=clock)

    async def work(ask: Ask) -> list[int]:
        statuses = [(await send(ask, chat))[0] for chat in (1, 1, 1, 1, 2, 1)]
        clock.now += 3.1
        return [*statuses, (await send(ask, 1))[0]]

    assert asking(telegram, work) == [200, 200, 200, 429, 200, 429, 200]
    assert [r.get("scope") for r in telegram.history[3:6]] == [None, None, "chat"]


def test_chance_does_the_same_again_from_the_same_seed() -> None:
    def run(seed: int) -> list[str]:
        temper = Temper(seed, throttled=0.1, broken=0.2, lost=0.1)
        telegram = Telegram(temper=temper)

        async def work(ask: Ask) -> None:
            for chat in range(1, 101):
                try:
                    await send(ask, chat)
                except ClientError:
                    continue

        asking(telegram, work)
        assert len(telegram.delivered) == sum(r.get("delivered", 0) for r in telegram.history)
        return [str(record.get("fault")) for record in telegram.history]

    assert run(1) == run(1) != run(2)
    assert {"None", "429", "500", "broken", "lost"} == set(run(1))


def test_an_answer_takes_its_time_after_the_request_was_carried_out() -> None:
    telegram = Telegram(temper=Temper(latency=0.05))

    async def work(ask: Ask) -> float:
        began = time.monotonic()
        await send(ask, 1)
        return time.monotonic() - began

    assert 0.01 < asking(telegram, work) < 1.0


# --- Telegram: webhooks ----------------------------------------------------------------------


def queued(bot: Bot, act: Callable[[Telegram], Awaitable[None]], clock: Clock) -> Telegram:
    """Let users act while updates are delivered; a second of waiting takes a millisecond."""
    telegram = Telegram(clock=clock)

    async def run() -> None:
        async with bot, telegram.serve():
            telegram.queues = Queues(telegram, bot.url, "secret", pace=0.001)
            await act(telegram)
            for _ in range(500):
                if not telegram.queues.pending or telegram.queues.closed:
                    break
                await asyncio.sleep(0.01)
            await telegram.queues.close()

    asyncio.run(run())
    return telegram


def test_the_front_of_a_chat_is_delivered_until_it_is_taken_and_others_do_not_wait() -> None:
    bot = Bot(500, 200, 500, 500)

    async def act(telegram: Telegram) -> None:
        telegram.says(1, "first")
        telegram.says(1, "second")
        telegram.presses(1, "3:go")
        telegram.says(2, "hello")

    telegram = queued(bot, act, Clock())
    queues = {hook["queue"] for hook in telegram.hooks}
    mine = [hook["update_id"] for hook in telegram.hooks if hook["queue"] == 1]

    assert queues == {1, 2, 1 + PRESSES}
    assert mine == sorted(mine)
    assert len(telegram.hooks) == len(bot.got) == 4 + 3


def test_it_waits_twice_as_long_each_time_up_to_a_minute_or_two() -> None:
    queues = Queues(Telegram(), "http://127.0.0.1:9", "", seed=1)
    pauses = [queues._pause(fails, 0.0) for fails in range(12)]

    assert pauses[:6] == [0, 2, 4, 8, 16, 32]
    assert all(60 <= pause <= 120 for pause in pauses[7:])
    assert queues._pause(3, 30.0) == 30.0
    assert queues._pause(3, 9999.0) == 3600.0


def test_an_update_lives_a_day_and_a_press_two_and_a_half_minutes() -> None:
    clock, bot = Clock(), Bot(*[500] * 12)

    async def act(telegram: Telegram) -> None:
        telegram.presses(1, "3:go")
        telegram.says(2, "hello")
        await asyncio.sleep(0.01)
        clock.now += 151

    telegram = queued(bot, act, clock)

    ended = {hook["queue"]: (hook["status"], hook["why"]) for hook in telegram.hooks}
    assert ended == {1 + PRESSES: (0, "expired"), 2: (200, "")}


def test_a_webhook_that_is_gone_for_a_day_is_closed() -> None:
    clock, bot = Clock(), Bot(*[410] * 99)

    async def act(telegram: Telegram) -> None:
        telegram.webhook = {"url": bot.url}
        telegram.says(1, "hello")
        await asyncio.sleep(0.1)
        clock.now += GONE_FOR + 1

    telegram = queued(bot, act, clock)

    assert telegram.queues is not None
    assert telegram.queues.closed
    assert telegram.webhook is None


def test_a_method_in_the_answer_to_a_webhook_is_carried_out() -> None:
    said = {"method": "sendMessage", "chat_id": 1, "text": "hello yourself"}

    async def act(telegram: Telegram) -> None:
        telegram.says(1, "hello")

    telegram = queued(Bot((200, said)), act, Clock())

    assert [sent["text"] for sent in telegram.delivered["1"]] == ["hello yourself"]


# --- by hand ---------------------------------------------------------------------------------


@pytest.mark.parametrize("simulator", [Line(), Telegram()])
def test_somebody_can_be_a_user_by_hand(simulator: Line | Telegram) -> None:
    user: object = "U1" if isinstance(simulator, Line) else 1001

    async def work(ask: Ask) -> tuple[Json, Json]:
        said = await ask("/simulator/say", {"user": user, "text": "hello"})
        return said[1], (await ask("/simulator/counts", {}))[1]

    said, counts = asking(simulator, work)

    assert said.get("message", {}).get("text") == "hello"
    assert counts["delivered"] == 0
    assert simulator.history == []
