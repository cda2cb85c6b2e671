"""LINE: the channel contract, inwards and outwards, with its own specification as the judge."""

import asyncio
import base64
import hashlib
import hmac
import json
import struct
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import run
from typing import Any

import pytest
from aiohttp import ClientTimeout
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from bot.channels.line import LineSender, pack, parse, read_body, verify
from bot.errors import BadRequest, SendError
from content.schema import Command, Menu, MenuArea, Text
from flows.text import utf16_len
from flows.types import (
    Choice,
    Left,
    Picture,
    Pressed,
    Reply,
    Said,
    Sent,
    Started,
    Unsent,
)
from storage.wire import Request, Row
from tests.running import Clock
from tests.simulators.line import BOT, Line
from tests.spec import PLATFORM, line_faults, needs_specs, webhook_faults

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
SOMCHAI = "U" + "1" * 32
SOMYING = "U" + "2" * 32
KEY = "123e4567-e89b-12d3-a456-426614174000"
HELLO = Reply("สวัสดีครับ", (Choice("a", "ก", "ข้อความเต็มของตัวเลือก"), Choice("b", "ข")), "7")
RADAR = Picture("radar", {}, "ก 1 จาก 5")
SAMPLES = PLATFORM / "line_webhook_samples.json"


@asynccontextmanager
async def world(**options: Any) -> AsyncIterator[tuple[Line, LineSender, Clock]]:
    """A simulated LINE, and a sender that talks to it; everything sent is judged at the end."""
    clock = Clock(NOW)
    line = Line(clock=lambda: clock().timestamp())
    async with line.serve() as base:
        options = {"public_url": "https://kaona.example.go.th", **options}
        sender = LineSender("token", clock=clock, base=base, **options)
        await sender.start()
        try:
            yield line, sender, clock
        finally:
            await sender.close()
    if PLATFORM.is_dir():
        assert line_faults(line.history) == []


def event(kind: str = "message", **more: Any) -> dict[str, Any]:
    """An event as LINE sends it."""
    made = {
        "type": kind,
        "mode": "active",
        "timestamp": 1793869200000,
        "source": {"type": "user", "userId": SOMCHAI},
        "webhookEventId": "01KFZ74A0TDDPYRVKNK77XKC3ZR",
        "deliveryContext": {"isRedelivery": False},
        "replyToken": "token",
    }
    return made | more


def text(words: object, **more: Any) -> dict[str, Any]:
    return event(message={"type": "text", "id": "5", "text": words, "quoteToken": "q"}, **more)


def hear(*events: object) -> tuple[list[Any], list[tuple[dict[str, Any], str]]]:
    return parse({"destination": BOT, "events": list(events)}, BOT, NOW)


def pushed(*replies: Reply, pictures: tuple[str, ...] = (), **more: Any) -> Row:
    request = Request(replies or (HELLO,), pictures)
    return replace(Row(1, KEY, "line", SOMCHAI, "personal", request, 1, False), **more)


def replied(line: Line, clock: Clock, *replies: Reply, **more: Any) -> Row:
    """A row that may use the reply token of something that somchai has just said."""
    said = line.says(SOMCHAI, "สวัสดี")
    until = clock() + timedelta(seconds=50)
    token = {"lane": "reply", "reply_token": said["replyToken"], "token_until": until}
    return replace(pushed(*replies), **token, **more)


# --- whose webhook it is -----------------------------------------------------------------


def test_the_published_signature_is_accepted() -> None:
    """LINE's own test vector; and no bit of it may be another."""
    secret = b"8c570fa6dd201bb328f1c1eac23a96d8"
    body = b'{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}'
    signature = b"GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs="

    assert verify(secret, body, signature)
    assert not verify(secret, body + b" ", signature)
    assert not verify(secret[:-1], body, signature)
    assert not verify(secret, body, signature[:-1])
    assert not verify(secret, body, b"")
    assert not verify(secret, body, "\u0e01".encode())


def test_without_a_secret_nothing_is_accepted() -> None:
    """An empty secret would let anybody sign."""
    signed = base64.b64encode(hmac.digest(b"", b"{}", hashlib.sha256))

    assert not verify(b"", b"{}", signed)


@unhurried
@given(st.binary(max_size=80), st.binary(max_size=80))
def test_a_signature_holds_for_its_own_body_only(body: bytes, other: bytes) -> None:
    """Whatever the bytes are: emoji, NUL or nothing."""
    signature = base64.b64encode(hmac.digest(b"s", body, hashlib.sha256))

    assert verify(b"s", body, signature)
    assert verify(b"s", other, signature) is (other == body)
    assert not verify(b"s", body, other)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"5", 400),
        (b"{}", 400),
        (b'{"destination": 5, "events": []}', 400),
        (b'{"destination": "U", "events": []', 400),
        (b"\xff\xfe", 400),
        (b'"' * 1000, 400),
        (b'"\\' + b'"\\' * 200_000, 400),
        (b"[" * 200_000, 400),
        (b'{"a":' * 200_000, 400),
        (b'{"destination":"U","events":' + b"[" * 33 + b"]" * 33 + b"}", 400),
        (b'{"destination":"U","a":"' + b"x" * 1024 * 1024 + b'"}', 413),
    ],
)
def test_a_body_that_is_not_a_webhook_is_refused(body: bytes, status: int) -> None:
    """With a status, at once, and never with anything but BadRequest."""
    with pytest.raises(BadRequest) as refused:
        read_body(body)

    assert refused.value.status == status


@pytest.mark.parametrize(
    "inner",
    [
        b"9" * 4301,
        b"-" + b"9" * 4301,
        b"1e999",
        b"NaN",
        b'"\\ud83d"',
        b'"\\u0000"',
        b'"' + b"[{" * 50_000 + b'"',
        b"[" * 29 + b"]" * 29,
    ],
)
def test_what_only_looks_dangerous_is_read(inner: bytes) -> None:
    """Long integers, lone surrogates and brackets inside strings stop nobody's conversation."""
    body = b'{"destination":"U","events":[{"type":"message","mode":' + inner + b"}]}"

    assert parse(body, BOT, NOW)[0] == []


def test_the_console_s_verify_button_is_answered() -> None:
    """It sends no events."""
    assert parse(b'{"destination":"U","events":[]}', BOT, NOW) == ([], [])


# --- what happened ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (text("หวัดดี"), Said("หวัดดี", "5", datetime.fromtimestamp(1793869200, UTC))),
        (event(message={"type": "image", "id": "6"}), Sent("photo", "6", "6")),
        (event(message={"type": "sticker", "id": "6"}), Sent("sticker", "6", "6")),
        (event(message={"type": "video", "id": "6"}), Sent("video", "6", "6")),
        (event(message={"type": "audio", "id": "6"}), Sent("voice", "6", "6")),
        (event(message={"type": "location", "id": "6"}), Sent("location", "6", "6")),
        (event(message={"type": "file", "id": "6"}), Sent("file", "6", "6")),
        (event(message={"type": "hologram", "id": "6"}), Sent("other", "6", "6")),
        (event("unsend", unsend={"messageId": "5"}), Unsent("5")),
        (event("follow", follow={"isUnblocked": True}), Started()),
        (event("unfollow"), Left()),
        (event("postback", postback={"data": "7:a"}), Pressed("7", "a")),
        (event("postback", postback={"data": "*:confirm:9"}), Pressed("*", "confirm:9")),
        (event("postback", postback={"data": "x" * 300}), Pressed("", "x" * 64)),
        (event("postback", postback={"data": ":a"}), Pressed("", ":a")),
    ],
)
def test_an_event_is_heard(made: dict[str, Any], expected: object) -> None:
    """One of each kind that matters."""
    heard, faults = hear(made)

    assert faults == []
    assert [incoming.event for incoming in heard] == [expected]
    assert heard[0].address == SOMCHAI
    assert heard[0].event_id == "01KFZ74A0TDDPYRVKNK77XKC3ZR"
    assert heard[0].at == datetime.fromtimestamp(1793869200, UTC)
    assert heard[0].reply_token == "token"
    assert heard[0].token_until == NOW + timedelta(seconds=50)


@pytest.mark.parametrize(
    "kind",
    [
        "accountLink", "beacon", "videoPlayComplete", "membership", "module", "activated",
        "deactivated", "botSuspended", "botResumed", "delivery", "join", "leave",
        "memberJoined", "memberLeft", "messageEdited", "something new",
    ],
)  # fmt: skip
def test_other_events_are_no_fault_and_not_heard(kind: str) -> None:
    """The other kinds that LINE lists, and those that it will invent."""
    assert hear(event(kind)) == ([], [])


@pytest.mark.parametrize(
    "made",
    [
        text("hi", source={"type": "group", "groupId": "C1", "userId": SOMCHAI}),
        text("hi", source={"type": "room", "roomId": "R1"}),
        text("hi", source={"type": "planet"}),
        text("hi", mode="standby"),
        text("hi", mode="something new"),
    ],
)
def test_only_a_chat_with_one_person_is_answered(made: dict[str, Any]) -> None:
    """Groups are not ours, and in standby somebody else is answering."""
    assert hear(made) == ([], [])


def test_events_of_several_people_stay_in_order_and_a_bad_one_harms_none() -> None:
    """One body may hold events of different people; what cannot be read comes back to be parked."""
    other = {"type": "user", "userId": SOMYING}
    bad = text(5)
    heard, faults = hear(text("1"), bad, text("2", source=other), "no event", text("3"))

    assert [(i.address, i.event.text) for i in heard] == [
        (SOMCHAI, "1"),
        (SOMYING, "2"),
        (SOMCHAI, "3"),
    ]
    assert faults == [
        (bad, "text is not a text"),
        ({"event": "no event"}, "event is not an object"),
    ]


def test_an_event_without_an_id_gets_one_that_a_redelivery_keeps() -> None:
    """So that it has one effect all the same."""
    first, second = text("hi"), text("hi", deliveryContext={"isRedelivery": True})
    del first["webhookEventId"], second["webhookEventId"]
    ids = [incoming.event_id for incoming in hear(first, second, text("hi"))[0]]

    assert ids[0] == ids[1] != ids[2]
    assert len(ids[0]) == 64


def test_texts_can_be_stored_and_are_no_longer_than_line_allows() -> None:
    """No NUL, no half of an emoji, 5,000 UTF-16 units."""
    heard, _ = hear(text("ก\0ข\ud83dค"), text("😀" * 3000), text("ก" * 6000))

    assert [i.event.text for i in heard] == ["กขค", "😀" * 2500, "ก" * 5000]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["user", "message", "text", "active", "postback", "7:a", "\ud83d"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
fields = st.sampled_from(
    ["type", "mode", "source", "userId", "message", "id", "text", "postback", "data"]
) | st.sampled_from(
    ["unsend", "messageId", "timestamp", "webhookEventId", "replyToken", "deliveryContext"]
)
kinds = st.sampled_from(["message", "unsend", "postback", "follow", "unfollow"])
hostile = st.dictionaries(fields, json_values | st.dictionaries(fields, json_values))


@unhurried
@given(json_values)
def test_no_body_makes_it_raise(events: object) -> None:
    """Whatever stands where the events should be."""
    parse({"destination": BOT, "events": events}, BOT, NOW)


@unhurried
@given(st.lists(hostile, max_size=4), kinds)
def test_wrong_types_anywhere_are_parked_or_ignored(
    changes: list[dict[str, Any]], kind: str
) -> None:
    """And the honest event beside them is heard; whatever is heard can be stored."""
    broken = [text("hi") | {"type": kind} | change for change in changes]
    heard, faults = hear(*broken, text("honest"))

    assert heard[-1].event == Said("honest", "5", datetime.fromtimestamp(1793869200, UTC))
    assert len(heard) + len(faults) <= len(broken) + 1
    for incoming in heard:
        stored = [incoming.address, incoming.event_id, incoming.reply_token]
        stored += [v for v in asdict(incoming.event).values() if isinstance(v, str)]
        assert all("\0" not in part and part.encode() is not None for part in stored)
        assert 0 < len(incoming.address) <= 128
        assert incoming.at.tzinfo is UTC


@pytest.mark.skipif(not SAMPLES.is_file(), reason=f"{SAMPLES} is absent")
def test_line_s_sample_events_are_all_taken() -> None:
    """28 samples, two of them of kinds nobody knows: none is a fault, half are for us."""
    heard, faults = parse(SAMPLES.read_bytes(), BOT, NOW)

    assert faults == []
    kinds = " ".join(type(incoming.event).__name__ for incoming in heard)
    assert kinds == (
        "Said Sent Sent Sent Sent Started Left Pressed Pressed Pressed Pressed Sent Sent Said"
    )


def test_reading_webhooks_does_not_load_the_sdk() -> None:
    """It costs more than a second and 60 MB, and the web process has no use for it."""
    code = "import sys, bot.channels.line; print('linebot' in sys.modules)"

    assert run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


# --- what fits into a request ----------------------------------------------------------


def test_five_messages_make_a_request_and_a_picture_counts() -> None:
    """Three texts and a picture with its words are five messages; the sixth is a request more."""
    plain = tuple(Reply(str(n)) for n in range(3))
    radar = Reply(RADAR.alt, picture=RADAR)

    assert pack(()) == []
    assert pack((*plain, radar)) == [(*plain, radar)]
    assert pack((*plain, Reply("4"), radar)) == [(*plain, Reply("4")), (radar,)]
    assert [len(request) for request in pack(plain * 4)] == [5, 5, 2]


def test_a_long_text_is_cut_with_the_buttons_last_and_the_picture_first() -> None:
    """No word and no button is lost."""
    long = "\n\n".join(f"{n} " + "ก" * 800 for n in range(10))
    [request] = pack((Reply(long, HELLO.choices, "7", picture=replace(RADAR, alt="ก")),))

    assert "".join(r.text for r in request).replace("\n", "") == long.replace("\n", "")
    assert [bool(r.choices) for r in request] == [False, True]
    assert [bool(r.picture) for r in request] == [True, False]
    assert request[-1].stamp == "7"
    assert all(utf16_len(r.text) <= 5000 for r in request)


def test_a_picture_s_words_are_never_missing() -> None:
    """Flows write them; if one forgets, they are added."""
    assert pack((Reply("", picture=RADAR),))[0][0].text == RADAR.alt
    assert pack((Reply("ดู", picture=RADAR),))[0][0].text == f"ดู\n\n{RADAR.alt}"
    twin = (Reply("ดู", picture=RADAR), Reply(f"คือ {RADAR.alt}"))
    assert pack(twin) == [twin]


def test_a_reply_without_words_is_not_sent_empty() -> None:
    """LINE refuses an empty message, and everything beside it."""
    assert pack((Reply(" "),)) == []
    assert pack((Reply("", title="T"),))[0][0].text == "T"
    assert pack((Reply("", HELLO.choices),))[0][0].text == "…"


# --- sending ---------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_reply_goes_by_its_token_and_costs_nothing() -> None:
    """And its quick replies carry the question's stamp and the full wording."""
    async with world() as (line, sender, clock):
        outcome = await sender.send(replied(line, clock))

    assert outcome.status == "accepted"
    assert outcome.platform_id
    assert [record["path"] for record in line.history] == ["/v2/bot/message/reply"]
    assert line.history[0]["headers"] == {}
    [message] = line.delivered[SOMCHAI]
    assert message["quickReply"]["items"][0]["action"] == {
        "type": "postback",
        "label": "ก",
        "data": "7:a",
        "displayText": "ข้อความเต็มของตัวเลือก",
    }


@pytest.mark.anyio
async def test_without_a_living_token_it_is_pushed_with_the_stored_key() -> None:
    """Whether there never was a token or it has expired."""
    async with world() as (line, sender, clock):
        old = replied(line, clock)
        clock.forward(seconds=50)
        outcomes = [
            await sender.send(pushed()),
            await sender.send(replace(old, key=KEY[:-1] + "1")),
        ]

    assert [outcome.status for outcome in outcomes] == ["accepted", "accepted"]
    assert {record["path"] for record in line.history} == {"/v2/bot/message/push"}
    assert line.history[0]["headers"] == {"X-Line-Retry-Key": KEY}
    assert line.used == 2


@pytest.mark.anyio
async def test_a_token_that_was_used_is_dropped_and_the_message_pushed() -> None:
    """The first attempt says so; it was not doubtful, so nothing has arrived."""
    async with world() as (line, sender, clock):
        row = replied(line, clock)
        line.tokens.clear()
        first = await sender.send(row)
        second = await sender.send(replace(row, reply_token="", token_until=None, attempts=2))

    assert (first.status, first.drop_token) == ("retry", True)
    assert second.status == "accepted"
    assert len(line.delivered[SOMCHAI]) == 1


@pytest.mark.anyio
async def test_a_reply_whose_answer_was_lost_is_never_pushed() -> None:
    """The same token tells that it arrived; after the token's life nothing is sent at all."""
    async with world() as (line, sender, clock):
        line.fail_next(1, "lost")
        row = replied(line, clock)
        first = await sender.send(row)
        again = replace(row, attempts=2, doubtful=True)
        second = await sender.send(again)
        clock.forward(minutes=2)
        third = await sender.send(again)

    assert (first.status, first.doubtful, first.drop_token) == ("retry", True, False)
    assert (second.status, second.drop_token) == ("uncertain", False)
    assert third.status == "uncertain"
    assert len(line.history) == 2
    assert len(line.delivered[SOMCHAI]) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("fault", ["lost", "garbled", "reset", 500, 503])
async def test_a_push_is_repeated_with_its_key_until_it_has_arrived_once(fault: Any) -> None:
    """LINE answers 409 to the repeat of what it has accepted: that is success."""
    async with world() as (line, sender, _):
        line.fail_next(1, fault)
        first = await sender.send(pushed())
        second = await sender.send(pushed(attempts=2, doubtful=True))

    assert (first.status, first.doubtful) == ("retry", True)
    assert second.status == "accepted"
    assert second.platform_id
    assert len(line.delivered[SOMCHAI]) == 1


@pytest.mark.anyio
async def test_an_answer_that_takes_too_long_leaves_the_push_doubtful() -> None:
    """It may have arrived, and has."""
    async with world(timeout=ClientTimeout(total=0.3, connect=0.25)) as (line, sender, _):
        line.slow = 5
        line.fail_next(1, "slow")
        outcome = await sender.send(pushed())

    assert (outcome.status, outcome.doubtful) == ("retry", True)
    assert len(line.delivered[SOMCHAI]) == 1


@pytest.mark.anyio
async def test_a_connection_that_is_refused_is_not_doubtful() -> None:
    """Not one byte has left us."""
    async with world() as (line, sender, clock):
        row = replied(line, clock)
    sender = LineSender("token", clock=clock, base="http://127.0.0.1:9")
    await sender.start()
    outcomes = [await sender.send(row), await sender.send(pushed())]
    await sender.close()

    assert [(o.status, o.doubtful, o.reason) for o in outcomes] == [
        ("retry", False, "ClientConnectorError")
    ] * 2


@pytest.mark.anyio
async def test_no_free_connection_is_not_doubtful() -> None:
    """The wait for one ends before anything is sent."""
    patience = ClientTimeout(total=5, connect=0.3)
    async with world(timeout=patience) as (line, sender, _):
        sender._line.api.api_client.rest_client.pool_manager.connector._limit = 1
        line.slow = 0.6
        line.fail_next(1, "slow")
        rows = [pushed(), pushed(key=KEY[:-1] + "1")]
        first, second = await asyncio.gather(*(sender.send(row) for row in rows))

    assert first.status == "accepted"
    assert (second.status, second.doubtful) == ("retry", False)
    assert second.reason == "ConnectionTimeoutError"


@pytest.mark.anyio
async def test_throttled_and_out_of_quota_are_told_apart() -> None:
    """The one is over in a second, the other next month."""
    async with world() as (line, sender, _):
        line.rate = 0
        throttled = await sender.send(pushed())
        line.rate, line.quota = None, 0
        spent = await sender.send(pushed())

    assert (throttled.status, throttled.freeze) == ("retry", 1.0)
    assert (spent.status, spent.reason) == ("failed", "quota")
    assert not line.delivered


@pytest.mark.anyio
async def test_refused_credentials_halt_the_channel_and_keep_the_message() -> None:
    """Somebody must look at it; nothing is lost meanwhile."""
    async with world() as (line, sender, _):
        line.token = "another"
        outcome = await sender.send(pushed())

    assert (outcome.status, outcome.halt) == ("retry", True)


@pytest.mark.anyio
async def test_line_does_not_tell_of_a_block_but_of_an_unknown_user() -> None:
    """Accepted never means delivered."""
    async with world() as (line, sender, _):
        line.unfollows(SOMCHAI)
        blocked = await sender.send(pushed())
        line.unknown.add(SOMYING)
        unknown = await sender.send(pushed(address=SOMYING, key=KEY[:-1] + "1"))

    assert blocked.status == "accepted"
    assert (unknown.status, unknown.unreachable) == ("failed", True)
    assert not line.delivered


@pytest.mark.anyio
async def test_too_many_messages_fail_before_they_are_sent() -> None:
    """`pack` never makes such a row."""
    async with world() as (line, sender, _):
        outcomes = [
            await sender.send(pushed(*(Reply(str(n)) for n in range(6)))),
            await sender.send(replace(pushed(), request=Request())),
        ]

    assert [(o.status, o.reason) for o in outcomes] == [("failed", "invalid")] * 2
    assert line.history == []


@pytest.mark.anyio
async def test_a_picture_is_shown_above_its_words() -> None:
    """From our public address, after a sign of life; without https only the words are sent."""
    row = pushed(Reply(RADAR.alt, picture=RADAR), HELLO, pictures=("f00d",))
    async with world() as (line, sender, _):
        line.fail_next(1, 500, "/loading/")
        assert (await sender.send(row)).status == "accepted"
    image, words, hello = line.delivered[SOMCHAI]
    assert image["originalContentUrl"] == "https://kaona.example.go.th/pictures/f00d.png"
    assert (words["text"], hello["text"]) == (RADAR.alt, HELLO.text)
    assert [r["path"].rsplit("/", 1)[1] for r in line.history] == ["start", "push"]

    async with world(public_url="http://localhost:8000") as (line, sender, _):
        assert (await sender.send(row)).status == "accepted"
    assert [m["type"] for m in line.delivered[SOMCHAI]] == ["text", "text"]


@pytest.mark.anyio
async def test_a_titled_reply_is_a_card_unless_it_is_long() -> None:
    """The card stays far below LINE's 30 KB; what stands on it is also its alternative text."""
    card = Reply("ข" * 2000, HELLO.choices, "7", title="หัวเรื่อง")
    long = Reply("ข" * 2001, title="หัวเรื่อง")
    async with world() as (line, sender, _):
        for n, replies in enumerate(pack((card,)) + pack((long,))):
            row = pushed(*replies, key=KEY[:-1] + str(n))
            assert (await sender.send(row)).status == "accepted"

    flex, plain = line.delivered[SOMCHAI]
    assert flex["type"] == "flex"
    assert flex["altText"].startswith("หัวเรื่อง\n")
    assert utf16_len(flex["altText"]) <= 1500
    assert len(json.dumps(flex["contents"])) <= 30_000
    assert len(flex["quickReply"]["items"]) == 2
    assert plain["text"].startswith("หัวเรื่อง\nข")


@pytest.mark.anyio
async def test_buttons_keep_to_the_limits_of_line() -> None:
    """13 buttons, labels of 20, wordings of 300; the newest message carries them."""
    choices = tuple(Choice(f"c{n}", "ก" * 30, "ข" * 400) for n in range(15))
    opens = Choice("open", "เปิด", url="https://kaona.example.go.th/x")
    asks = Reply("ถาม", (opens, *choices), "7")
    async with world() as (line, sender, _):
        assert (await sender.send(pushed(asks, Reply("ท้าย")))).status == "accepted"

    first, last = line.delivered[SOMCHAI]
    assert "quickReply" not in first
    actions = [item["action"] for item in last["quickReply"]["items"]]
    assert len(actions) == 13
    assert actions[0] == {"type": "uri", "label": "เปิด", "uri": opens.url}
    assert actions[1]["label"] == "ก" * 19 + "…"
    assert actions[1]["displayText"] == "ข" * 299 + "…"


@pytest.mark.anyio
async def test_our_requests_are_those_of_the_sdk() -> None:
    """Converting in one go gives what the SDK's own conversion gives."""
    async with world():
        from linebot.v3.messaging import PushMessageRequest  # type: ignore[import-untyped]

        from bot.channels import line_sdk

        card = Reply("ข", HELLO.choices, "7", title="หัว")
        made = line_sdk.messages(
            (Reply(RADAR.alt, picture=RADAR), HELLO, card), ("t",), "https://x"
        )
        ours = line_sdk._Push(to="U", messages=made)
        theirs = PushMessageRequest(to="U", messages=made)

        assert ours.to_dict() == theirs.to_dict()


@pytest.mark.anyio
async def test_a_photo_is_fetched() -> None:
    """What the learner sent; what is gone or too large is said to be."""
    async with world() as (line, sender, _):
        sent = [line.sends(SOMCHAI, "image", b) for b in (b"JPEG", b"", b"x" * 10_485_761)]
        ids = [event["message"]["id"] for event in sent]
        rows = [replace(pushed(), lane="fetch", request=Request(fetch=i)) for i in ids]
        fetched = [await sender.fetch(row) for row in rows]
        line.fail_next(2, "lost")  # aiohttp asks once more by itself: reading does no harm
        lost = await sender.fetch(rows[0])

    assert [(o.status, o.reason, data) for o, data in fetched] == [
        ("accepted", "", b"JPEG"),
        ("failed", "refused_404", b""),
        ("failed", "too_large", b""),
    ]
    assert (lost[0].status, lost[0].doubtful, lost[1]) == ("retry", False, b"")


# --- menu and bot ----------------------------------------------------------------------

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 2500, 843)


def menu() -> Menu:
    labels = [Text(th="เมนู", en="Menu"), Text(th="ช่วยเหลือ", en="Help")]
    return Menu(
        name="main",
        bar=Text(th="เมนูหลักของก้าวหน้า", en="Menu"),
        area=[
            MenuArea(label=label, icon="x", word=word)
            for label, word in zip(labels, ("menu", "help"), strict=True)
        ],
        command=[Command(name="menu", word="menu", about=labels[0])],
    )


@pytest.mark.anyio
async def test_the_menu_is_everybody_s_and_replaces_the_one_before() -> None:
    """Another menu of the account's is left alone; a tap is a press of a standing button."""
    areas = [(0, 0, 1250, 843), (1250, 0, 1250, 843)]
    async with world() as (line, sender, _):
        line.menus["manual"] = {"name": "made by hand", **_SHAPE}
        first = await sender.set_menu(menu(), "th", PNG, areas)
        second = await sender.set_menu(menu(), "th", PNG, areas)
        line.fail_next(1, 400, "/content")
        with pytest.raises(SendError) as failed:
            await sender.set_menu(menu(), "th", PNG, areas)

    assert first != second == line.default_menu
    assert first not in line.menus
    assert "manual" in line.menus
    assert line.images[second] == PNG
    made = line.menus[second]
    assert made["size"] == {"width": 2500, "height": 843}
    assert len(made["chatBarText"]) <= 14
    assert made["areas"][0]["action"]["data"] == "*:menu"
    assert failed.value.permanent


_SHAPE: dict[str, Any] = {
    "size": {"width": 2500, "height": 843},
    "selected": True,
    "chatBarText": "x",
    "areas": [],
}


@pytest.mark.anyio
async def test_the_bot_knows_its_own_id() -> None:
    """A webhook for another destination is not ours."""
    async with world() as (line, sender, _):
        assert await sender.bot_id() == BOT
        line.token = "another"
        with pytest.raises(SendError) as refused:
            await sender.bot_id()

    assert refused.value.permanent


# --- the simulator is evidence too -----------------------------------------------------


@needs_specs
def test_the_simulator_s_webhooks_are_line_s() -> None:
    """Signed, and of the shape that LINE's OpenAPI describes."""
    line = Line()
    does: list[Callable[[], dict[str, Any]]] = [
        lambda: line.says(SOMCHAI, "สวัสดี"),
        lambda: line.sends(SOMCHAI, "image", b"x"),
        lambda: line.presses(SOMCHAI, "7:a"),
        lambda: line.follows(SOMCHAI),
        lambda: line.unfollows(SOMCHAI),
    ]
    body, headers = line.webhook(*(do() for do in does))
    again, signed = line.redelivered(body)

    assert webhook_faults(json.loads(body)) == []
    assert verify(line.secret, body, headers["x-line-signature"].encode())
    assert verify(line.secret, again, signed["x-line-signature"].encode())
    assert parse(body, BOT, NOW) == parse(again, BOT, NOW)
    assert len(parse(body, BOT, NOW)[0]) == 5


def test_the_simulator_forgets_a_retry_key_after_a_day() -> None:
    """As LINE does: the same key then sends again."""
    clock = Clock(NOW)
    line = Line(clock=lambda: clock().timestamp())
    asked = {"body": {"to": SOMCHAI, "messages": [{"type": "text", "text": "x"}]}}

    statuses = [line._push(asked, KEY).status, line._push(asked, KEY).status]
    clock.forward(hours=24, seconds=1)
    statuses.append(line._push(asked, KEY).status)

    assert statuses == [200, 409, 200]
    assert line._reply({"body": {"replyToken": "none"}}, KEY).status == 400


@needs_specs
def test_the_judge_objects_to_what_line_would_refuse() -> None:
    """So that its silence elsewhere means something."""
    body = {"to": SOMCHAI, "messages": [{"type": "text", "text": "x"}] * 6}
    asked = {"method": "post", "path": "/v2/bot/message/push", "headers": {}}

    assert line_faults([asked | {"body": body}])
    assert line_faults([asked | {"body": {"to": SOMCHAI, "messages": []}}])
    assert not line_faults([asked | {"body": body | {"messages": body["messages"][:5]}}])


def test_the_simulator_runs_in_a_thread_and_keeps_a_history(tmp_path: Path) -> None:
    """One JSON object a line, in the form the spec's checker reads, with both kinds of time."""
    history = tmp_path / "history.jsonl"
    headers = {"Authorization": "Bearer token", "X-Line-Retry-Key": KEY}
    body = {"to": SOMCHAI, "messages": [{"type": "text", "text": "ก"}]}
    with Line(history=history).in_thread() as base:
        url = f"{base}/v2/bot/message/push"
        asked = urllib.request.Request(url, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert answer.status == 200

    [record] = [json.loads(line) for line in history.read_text().splitlines()]
    assert (record["method"], record["path"]) == ("post", "/v2/bot/message/push")
    assert (record["body"], record["headers"]) == (body, {"X-Line-Retry-Key": KEY})
    assert record["status"] == 200
    assert record["mono"] < record["wall"]
