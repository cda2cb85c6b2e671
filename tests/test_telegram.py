"""Telegram: the channel contract, inwards and outwards, with the Bot API's spec as the judge."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from subprocess import run
from typing import Any

import pytest
from aiohttp import ClientTimeout
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from bot.channels.keyboard import rows
from bot.channels.telegram import Parsed, TelegramSender, pack, parse, verify
from bot.errors import SendError
from bot.limits import Pace
from content.schema import Command, Menu, MenuArea, Text
from flows.text import utf16_len
from flows.types import Choice, Left, Picture, Pressed, Reply, Said, Sent, Started
from storage.wire import Request, Row
from tests.running import Clock
from tests.simulators.telegram import BOT, Telegram
from tests.spec import PLATFORM, needs_specs, telegram_faults, update_faults

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
THEN = datetime(2026, 11, 20, 8, 59, tzinfo=UTC)
SOMCHAI = 111
SOMYING = 222
KEY = "123e4567-e89b-12d3-a456-426614174000"
HELLO = Reply("สวัสดีครับ", (Choice("a", "ก", "ข้อความเต็ม"), Choice("b", "ข")), "7")
RADAR = Picture("radar", {}, "ก 1 จาก 5")
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64


@asynccontextmanager
async def world(**options: Any) -> AsyncIterator[tuple[Telegram, TelegramSender, Clock]]:
    """A simulated Telegram, and a sender that talks to it; everything sent is judged at the end."""
    clock = Clock(NOW)
    telegram = Telegram(clock=lambda: clock().timestamp())
    async with telegram.serve() as base:
        options = {"draw": lambda picture: PNG, **options}
        pace = Pace(1000.0, lambda: clock().timestamp())
        sender = TelegramSender(telegram.token, clock=clock, base=base, pace=pace, **options)
        await sender.start()
        try:
            yield telegram, sender, clock
        finally:
            await sender.close()
    if PLATFORM.is_dir():
        assert telegram_faults(telegram.history) == []


def message(**content: Any) -> dict[str, Any]:
    """A message as Telegram sends it."""
    made = {
        "message_id": 5,
        "date": int(THEN.timestamp()),
        "chat": {"id": SOMCHAI, "type": "private"},
        "from": {"id": SOMCHAI, "is_bot": False, "first_name": "x", "language_code": "th"},
    }
    return {"update_id": 1000, "message": made | content}


def press(**changes: Any) -> dict[str, Any]:
    made = {
        "id": "cb1",
        "from": {"id": SOMCHAI, "is_bot": False, "first_name": "x"},
        "message": {"message_id": 5, "date": 0, "chat": {"id": SOMCHAI, "type": "private"}},
        "chat_instance": "1",
        "data": "7:a",
    }
    return {"update_id": 1000, "callback_query": made | changes}


def member(status: str, chat: str = "private") -> dict[str, Any]:
    change = {
        "date": int(THEN.timestamp()),
        "chat": {"id": SOMCHAI if chat == "private" else -100, "type": chat},
        "from": {"id": SOMCHAI, "is_bot": False, "first_name": "x"},
        "new_chat_member": {"status": status},
    }
    return {"update_id": 1000, "my_chat_member": change}


def narrow(session: Any) -> None:
    """Leave the session one connection."""
    session.connector._limit = 1


def row(*replies: Reply, **more: Any) -> Row:
    request = Request(replies or (HELLO,))
    return replace(Row(1, KEY, "telegram", str(SOMCHAI), "reply", request, 1, False), **more)


# --- whose webhook it is -----------------------------------------------------------------


def test_only_who_knows_the_secret_is_heard() -> None:
    """And without a secret nobody does."""
    assert verify(b"secret", b"secret")
    assert not verify(b"secret", b"Secret")
    assert not verify(b"secret", b"")
    assert not verify(b"", b"")
    assert not verify(b"secret", "\u0e01".encode())


# --- what happened ---------------------------------------------------------------------

SIZES = [
    {"file_id": "small", "width": 90, "height": 60},
    {"file_id": "large", "width": 900, "height": 600},
    {"file_id": "middle", "width": 320, "height": 200},
]
FILE = {"file_id": "f1"}


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        (message(text="หวัดดี"), Said("หวัดดี", "5", THEN)),
        (message(text="/start"), Started()),
        (message(text="/start@kaona_bot  claim-7"), Started("claim-7")),
        (message(text="/menu"), Said("/menu", "5", THEN)),
        (message(text="/menu@kaona_bot"), Said("/menu", "5", THEN)),
        (message(text="/starter"), Said("/starter", "5", THEN)),
        (message(text="ก\0ข\ud83d"), Said("กข", "5", THEN)),
        (message(photo=SIZES), Sent("photo", "large", "5")),
        (message(sticker=FILE), Sent("sticker", "f1", "5")),
        (message(voice=FILE), Sent("voice", "f1", "5")),
        (message(audio=FILE), Sent("voice", "f1", "5")),
        (message(video=FILE), Sent("video", "f1", "5")),
        (message(video_note=FILE), Sent("video", "f1", "5")),
        (message(animation=FILE, document=FILE), Sent("video", "f1", "5")),
        (message(document=FILE), Sent("file", "f1", "5")),
        (message(location={"latitude": 1, "longitude": 2}), Sent("location", "", "5")),
        (message(venue={"title": "x"}, location={}), Sent("location", "", "5")),
        (message(contact={"phone_number": "1"}), Sent("contact", "", "5")),
        (message(poll={"id": "1"}), Sent("other", "", "5")),
        (message(hologram={}), Sent("other", "", "5")),
        (press(), Pressed("7", "a")),
        (press(data="*:confirm:9"), Pressed("*", "confirm:9")),
        (press(data="what"), Pressed("", "what")),
        (
            {"update_id": 1000, "callback_query": {"id": "c", "from": {"id": SOMCHAI}}},
            Pressed("", ""),
        ),
        (member("kicked"), Left()),
        (member("member"), Started()),
    ],
)
def test_an_update_is_heard(update: dict[str, Any], expected: object) -> None:
    """One of each kind that matters."""
    parsed = parse(update, "4242", NOW)

    assert [incoming.event for incoming in parsed.incoming] == [expected]
    assert not parsed.faults
    assert not parsed.leave
    [incoming] = parsed.incoming
    assert (incoming.event_id, incoming.address) == ("1000", str(SOMCHAI))
    assert incoming.at == (NOW if "callback_query" in update else THEN)
    assert parsed.callbacks == (
        [update["callback_query"]["id"]] if "callback_query" in update else []
    )


@pytest.mark.parametrize(
    "update",
    [
        {"update_id": 1, "edited_message": message(text="x")["message"]},
        {"update_id": 1, "poll_answer": {}},
        {"update_id": 1, "something_new": {}},
        {"update_id": 1},
        message(pinned_message={}),
        message(message_auto_delete_timer_changed={}),
        member("restricted"),
        member("left", "group"),
        member("kicked", "supergroup"),
    ],
)
def test_other_updates_are_no_fault_and_not_heard(update: dict[str, Any]) -> None:
    """An edit changes nothing that was answered; and what Telegram adds must not stop us."""
    parsed = parse(update, "4242", NOW)

    assert parsed == Parsed()


@pytest.mark.parametrize(
    "update",
    [
        message(text="hi", chat={"id": -100, "type": "group"}),
        message(text="/start", chat={"id": -100, "type": "supergroup"}),
        {"update_id": 1, "channel_post": message(chat={"id": -100, "type": "channel"})["message"]},
        press(message={"chat": {"id": -100, "type": "group"}}),
        member("member", "group"),
        member("administrator", "channel"),
    ],
)
def test_a_group_is_left_and_nothing_is_said(update: dict[str, Any]) -> None:
    """The bot talks to one person at a time."""
    parsed = parse(update, "4242", NOW)

    assert replace(parsed, callbacks=[]) == Parsed(leave=["-100"])


@pytest.mark.parametrize(
    ("code", "lang"),
    [("th", "th"), ("th-TH", "th"), ("en", "en"), ("en-GB", "en"), ("de", None), (5, None)],
)
def test_the_language_of_the_app_is_a_hint(code: object, lang: str | None) -> None:
    """For somebody new; any other language tells nothing."""
    sender = {"id": SOMCHAI, "language_code": code}

    assert parse(message(text="x", **{"from": sender}), "4242", NOW).incoming[0].lang == lang


@pytest.mark.parametrize(
    "update",
    [
        5,
        [],
        {"message": []},
        {"update_id": "1", "message": message(text="x")["message"]},
        {"update_id": 1, "message": {"chat": {"id": "1", "type": "private"}, "message_id": 1}},
        {"update_id": 1, "message": {"chat": {"id": 10**30, "type": "private"}, "message_id": 1}},
        message(text=5),
        message(message_id=None),
        message(chat=None),
        press(data=5),
        press(message=[]),
        member("x") | {"my_chat_member": {"chat": {"id": 1, "type": "private"}}},
    ],
)
def test_what_cannot_be_read_is_parked(update: Any) -> None:
    """With the reason; it must not block the chat's queue at Telegram."""
    parsed = parse(update, "4242", NOW)

    assert len(parsed.faults) == 1
    assert parsed.faults[0][1]
    assert parsed.incoming == []


def test_a_press_is_acknowledged_even_if_it_cannot_be_read() -> None:
    """Or the button shows a clock for a minute."""
    assert parse(press(data=5), "4242", NOW).callbacks == ["cb1"]


names = st.sampled_from(
    ["update_id", "message", "callback_query", "my_chat_member", "chat", "id", "type", "from"]
) | st.sampled_from(["text", "photo", "file_id", "data", "date", "message_id", "new_chat_member"])
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["private", "/start", "kicked", "7:a", "\ud83d", "\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6),
    max_leaves=12,
)


@unhurried
@given(json_values)
def test_no_update_makes_it_raise(update: Any) -> None:
    """Whatever JSON can hold."""
    parse(update, "4242", NOW)


@unhurried
@given(st.dictionaries(names, json_values), st.sampled_from([message(text="x"), press()]))
def test_wrong_types_anywhere_are_parked_or_ignored(
    changes: dict[str, Any], honest: dict[str, Any]
) -> None:
    """And whatever is heard can be stored."""
    kind = "message" if "message" in honest else "callback_query"
    parsed = parse({"update_id": 1, kind: honest[kind] | changes}, "4242", NOW)

    assert len(parsed.incoming) + len(parsed.faults) + len(parsed.leave) <= 1
    for incoming in parsed.incoming:
        stored = [v for v in asdict(incoming.event).values() if isinstance(v, str)]
        assert all("\0" not in part and part.encode() is not None for part in stored)
        assert incoming.at.tzinfo is UTC


def test_reading_updates_does_not_load_ptb() -> None:
    """Only the sender needs it."""
    code = "import sys, bot.channels.telegram; print('telegram' in sys.modules)"

    assert run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


# --- what fits into a message ----------------------------------------------------------


def test_each_message_is_a_request_and_the_title_its_first_line() -> None:
    """So that one that fails never sends another twice."""
    packed = pack((Reply("ข", title="หัว"), HELLO))

    assert packed == [(Reply("หัว\nข"),), (HELLO,)]
    assert pack(()) == []


def test_a_long_text_is_cut_with_the_buttons_last() -> None:
    """4,096 UTF-16 units, which is safe whichever way Telegram counts."""
    packed = pack((Reply("😀 " * 4000, HELLO.choices, "7"),))

    assert [bool(r.choices) for (r,) in packed] == [False, False, True]
    assert all(utf16_len(r.text) <= 4096 for (r,) in packed)


def test_a_picture_s_words_are_its_caption_if_they_are_short() -> None:
    """Else they follow it, with the buttons."""
    short = Reply(RADAR.alt, HELLO.choices, "7", picture=RADAR)
    long = replace(short, text=RADAR.alt + "ก" * 1024)

    assert pack((short,)) == [(short,)]
    assert pack((long,)) == [(Reply("", picture=RADAR),), (replace(long, picture=None),)]
    assert pack((Reply("", picture=RADAR),)) == [(Reply(RADAR.alt, picture=RADAR),)]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("ก ข", [2]),
        ("ก ข ค ง", [4]),
        ("1 2 3 4 5 6", [6]),
        ("1 2 3 4 5 6 7", [4, 3]),
        ("ใช่ ไม่ใช่", [2]),
        ("ทำต่อ ไว้ทีหลัง เมนู", [2, 1]),
        ("ปุ่มนี้มีข้อความยาวมากเกินไป ใช่ ไม่ใช่", [1, 2]),
        ("ใช่ ปุ่มนี้มีข้อความยาวมากเกินไป ไม่ใช่", [1, 1, 1]),
    ],
)
def test_buttons_stand_where_a_thumb_finds_them(labels: str, expected: list[int]) -> None:
    """Letters in long rows, short labels in pairs, long ones alone."""
    choices = tuple(Choice(str(n), label) for n, label in enumerate(labels.split()))
    made = rows(Reply("x", choices))

    assert [len(line) for line in made] == expected
    assert tuple(choice for line in made for choice in line) == choices


# --- sending ---------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_message_is_sent_with_its_buttons() -> None:
    """Plain text, whatever it looks like; the buttons carry the question's stamp."""
    opens = Choice("open", "เปิด", url="https://kaona.example.go.th/x")
    reply = Reply("<b>*_x_*</b>", (*HELLO.choices, opens), "7")
    async with world() as (telegram, sender, _):
        outcome = await sender.send(row(reply))

    assert (outcome.status, bool(outcome.platform_id)) == ("accepted", True)
    [sent] = telegram.delivered[str(SOMCHAI)]
    assert sent["text"] == "<b>*_x_*</b>"
    assert "parse_mode" not in sent
    buttons = [button for line in sent["reply_markup"]["inline_keyboard"] for button in line]
    assert buttons == [
        {"text": "ก", "callback_data": "7:a"},
        {"text": "ข", "callback_data": "7:b"},
        {"text": "เปิด", "url": opens.url},
    ]


@pytest.mark.anyio
async def test_a_picture_is_drawn_and_uploaded_with_its_words() -> None:
    """One that cannot be drawn is left out: its words go all the same."""

    def broken(picture: Picture) -> bytes:
        raise OSError("no fonts")

    long = Reply(RADAR.alt + "ก" * 1024, picture=RADAR)
    rows_ = [row(*one) for one in pack((Reply(RADAR.alt, HELLO.choices, "7", picture=RADAR), long))]
    async with world() as (telegram, sender, _):
        drawn = [(await sender.send(each)).status for each in rows_]
    methods = [record["method"] for record in telegram.history]
    assert (drawn, methods) == (["accepted"] * 3, ["sendPhoto", "sendPhoto", "sendMessage"])
    assert telegram.delivered[str(SOMCHAI)][0]["caption"] == RADAR.alt

    async with world(draw=broken) as (telegram, sender, _):
        undrawn = [(await sender.send(each)).status for each in rows_]
    assert undrawn == ["accepted", "failed", "accepted"]
    assert [record["method"] for record in telegram.history] == ["sendMessage"] * 2


@pytest.mark.anyio
async def test_too_many_messages_or_too_much_data_fail_before_they_are_sent() -> None:
    """`pack` and the content's lint never let them happen."""
    choices = (Choice("x" * 63, "x"),)
    async with world() as (telegram, sender, _):
        outcomes = [
            await sender.send(row(HELLO, HELLO)),
            await sender.send(row(Reply("x", choices, "7"))),
            await sender.send(row(Reply(" "))),
            await sender.send(row(address="somebody")),
        ]

    assert [o.reason for o in outcomes] == ["too_many", "invalid", "invalid", "invalid"]
    assert {o.status for o in outcomes} == {"failed"}
    assert telegram.history == []


@pytest.mark.anyio
@pytest.mark.parametrize("fault", ["lost", "garbled", "reset", 500, 502])
async def test_a_reply_of_unknown_fate_is_repeated_once(fault: Any) -> None:
    """A second copy is better than silence; a third is not."""
    async with world() as (telegram, sender, _):
        telegram.fail_next(2, fault)
        first = await sender.send(row())
        second = await sender.send(row(attempts=2, doubtful=True))

    assert (first.status, first.doubtful) == ("retry", True)
    assert second.status == "uncertain"


@pytest.mark.anyio
@pytest.mark.parametrize("lane", ["campaign", "personal"])
async def test_what_nobody_asked_for_is_never_repeated(lane: Any) -> None:
    """Better missed than twice: Telegram knows no repeat."""
    async with world() as (telegram, sender, _):
        telegram.fail_next(1, "lost")
        outcome = await sender.send(row(lane=lane))

    assert (outcome.status, outcome.doubtful) == ("uncertain", True)
    assert len(telegram.delivered[str(SOMCHAI)]) == 1


@pytest.mark.anyio
async def test_what_nobody_asked_for_is_not_sent_again_after_a_crash() -> None:
    """The attempt that was cut short may have arrived; a reply is worth a second copy."""
    async with world() as (telegram, sender, _):
        nudge = await sender.send(row(lane="personal", attempts=2, doubtful=True))
        reply = await sender.send(row(attempts=2, doubtful=True))

    assert (nudge.status, nudge.doubtful) == ("uncertain", True)
    assert reply.status == "accepted"
    assert len(telegram.history) == 1


@pytest.mark.anyio
async def test_an_answer_that_takes_too_long_is_doubtful() -> None:
    """It was written, and has arrived."""
    patience = ClientTimeout(total=0.3, connect=0.25)
    async with world(timeout=patience) as (telegram, sender, _):
        telegram.slow = 5
        telegram.fail_next(1, "slow")
        outcome = await sender.send(row())

    assert (outcome.status, outcome.doubtful) == ("retry", True)


@pytest.mark.anyio
async def test_what_never_left_is_not_doubtful() -> None:
    """A refused connection, and no free connection in time."""
    async with world(timeout=ClientTimeout(total=5, connect=0.3)) as (telegram, sender, clock):
        narrow(sender._requests[0]._session)
        telegram.slow = 0.6
        telegram.fail_next(1, "slow")
        first, second = await asyncio.gather(sender.send(row()), sender.send(row()))
    assert first.status == "accepted"
    assert (second.status, second.doubtful) == ("retry", False)
    assert second.reason == "ConnectionTimeoutError"

    away = TelegramSender("1:x", clock=clock, base="http://127.0.0.1:9", draw=lambda p: PNG)
    await away.start()
    refused = await away.send(row(lane="campaign"))
    await away.close()
    assert (refused.status, refused.doubtful) == ("retry", False)
    assert refused.reason == "ClientConnectorError"


@pytest.mark.anyio
async def test_a_chat_that_is_too_fast_waits_alone() -> None:
    """As long as Telegram says; the others go on."""
    async with world() as (telegram, sender, _):
        telegram.flood = True
        outcomes = [await sender.send(row()) for _ in range(4)]
        other = await sender.send(row(address=str(SOMYING)))

    assert [o.status for o in outcomes] == ["accepted"] * 3 + ["retry"]
    assert (outcomes[-1].wait, outcomes[-1].freeze) == (5.0, 0.0)
    assert other.status == "accepted"


@pytest.mark.anyio
async def test_a_bot_that_is_too_fast_falls_silent() -> None:
    """A chat that was sent nothing lately cannot be the one that was sent too much. Nothing
    leaves inside the window, to anybody."""
    async with world() as (telegram, sender, clock):
        telegram.frozen_until = clock().timestamp() + 9
        first = await sender.send(row())
        asked = len(telegram.history)
        others = [await sender.send(row(address=chat)) for chat in (str(SOMYING), "333")]
        assert len(telegram.history) == asked
        clock.forward(seconds=9.1)
        after = await sender.send(row())

    assert (first.wait, first.freeze) == (9.0, 9.0)
    assert [(o.status, round(o.wait)) for o in others] == [("retry", 9)] * 2
    assert after.status == "accepted"


@pytest.mark.anyio
async def test_who_blocked_us_or_is_gone_is_unreachable() -> None:
    """And who revoked our token halts the channel."""
    async with world() as (telegram, sender, _):
        telegram.blocks(SOMCHAI)
        telegram.unknown.add(str(SOMYING))
        blocked = await sender.send(row())
        unknown = await sender.send(row(address=str(SOMYING), lane="campaign"))
        telegram.token = "1:another"
        revoked = await sender.send(row())

    assert (blocked.status, blocked.unreachable, blocked.reason) == ("failed", True, "blocked")
    assert (unknown.status, unknown.unreachable) == ("failed", True)
    assert (revoked.status, revoked.halt) == ("retry", True)


@pytest.mark.anyio
async def test_a_photo_is_fetched() -> None:
    """The largest size; what is gone or too large is said to be."""
    async with world() as (telegram, sender, _):
        contents = (b"JPEG", b"", b"x" * 10_485_761, b"x" * 20_971_521)
        updates = [telegram.sends(SOMCHAI, "photo", content) for content in contents]
        refs = [str(asdict(parse(u, "4242", NOW).incoming[0].event)["ref"]) for u in updates]
        fetched = [
            await sender.fetch(row(lane="fetch", request=Request(fetch=ref)))
            for ref in (*refs, "forgotten")
        ]
        telegram.fail_next(1, "lost")
        lost, _ = await sender.fetch(row(lane="fetch", request=Request(fetch=refs[0])))

    assert [(o.status, o.reason, data) for o, data in fetched] == [
        ("accepted", "", b"JPEG"),
        ("failed", "refused_404", b""),
        ("failed", "too_large", b""),
        ("failed", "too_large", b""),
        ("failed", "refused_400", b""),
    ]
    assert (lost.status, lost.doubtful) == ("retry", False)


# --- updates, presses, groups, commands ------------------------------------------------


@pytest.mark.anyio
async def test_polling_brings_updates_as_they_are_and_again_until_confirmed() -> None:
    """Whatever is in them; the offset confirms what came before it."""
    async with world() as (telegram, sender, _):
        sent = [telegram.says(SOMCHAI, "1"), telegram.update("something_new", a=[1])]
        assert await sender.poll(0) == sent
        assert await sender.poll(0) == sent
        assert await sender.poll(sent[1]["update_id"]) == sent[1:]
        waiting = asyncio.create_task(sender.poll(sent[1]["update_id"] + 1))
        while telegram._news is None:
            await asyncio.sleep(0)
        news = telegram.says(SOMCHAI, "2")
        assert await waiting == [news]


@pytest.mark.anyio
async def test_a_webhook_and_polling_exclude_each_other() -> None:
    """Telegram says so; asking again does not help. What is waiting is never dropped."""
    async with world() as (telegram, sender, _):
        await sender.set_webhook("https://kaona.example.go.th/webhook/telegram", "s3cret")
        assert telegram.webhook is not None
        assert telegram.webhook["secret_token"] == "s3cret"
        assert telegram.webhook["allowed_updates"] == [
            "message",
            "callback_query",
            "my_chat_member",
        ]
        assert "drop_pending_updates" not in telegram.webhook
        with pytest.raises(SendError) as conflict:
            await sender.poll(0)
        await sender.delete_webhook()
        telegram.says(SOMCHAI, "x")
        assert len(await sender.poll(0)) == 1

    assert conflict.value.permanent


@pytest.mark.anyio
async def test_presses_are_acknowledged_and_groups_left_whatever_comes_of_it() -> None:
    """A press that is too old, or a group that has thrown us out, is nobody's fault."""
    async with world() as (telegram, sender, _):
        assert await sender.answer_callback("cb1")
        assert await sender.leave("-100", "ลาก่อน")
        telegram.fail_next(1, 400)
        assert not await sender.answer_callback("cb0")
        telegram.fail_next(1, "lost")  # the farewell
        telegram.fail_next(1, "lost")
        assert not await sender.leave("-100", "ลาก่อน")

    assert telegram.answered == ["cb1"]
    assert telegram.left == ["-100", "-100"]


@pytest.mark.anyio
async def test_the_commands_are_told_in_both_languages() -> None:
    """Thai is for everybody whose app speaks neither."""
    about = Text(th="เมนู", en="Menu")
    area = MenuArea(label=about, icon="x", word="menu")
    command = Command(name="menu", word="menu", about=about)
    menu = Menu(name="main", bar=about, area=[area, area], command=[command])
    async with world() as (telegram, sender, _):
        await sender.set_commands(menu)

    assert telegram.commands == {
        "": [{"command": "menu", "description": "เมนู"}],
        "th": [{"command": "menu", "description": "เมนู"}],
        "en": [{"command": "menu", "description": "Menu"}],
    }


@pytest.mark.anyio
async def test_the_bot_knows_its_own_id() -> None:
    """And asking for it shows whether the token is good."""
    async with world() as (telegram, sender, _):
        assert await sender.bot_id() == str(BOT)
        telegram.token = "1:another"
        with pytest.raises(SendError) as refused:
            await sender.bot_id()

    assert refused.value.permanent


@pytest.mark.anyio
async def test_no_log_holds_a_text_or_the_token(caplog: pytest.LogCaptureFixture) -> None:
    """PTB would log both at DEBUG, and unreadable answers as errors."""
    caplog.set_level(logging.DEBUG)
    async with world() as (telegram, sender, _):
        telegram.fail_next(1, "garbled")
        await sender.send(row(Reply("SECRETWORDS")))
        telegram.fail_next(1, "lost")
        await sender.send(row(Reply("SECRETWORDS")))
        telegram.fail_next(1, 400)
        with pytest.raises(SendError) as failed:
            await sender.bot_id()

    seen = caplog.text + repr(failed.value)
    assert "SECRETWORDS" not in seen
    assert telegram.token not in seen
    assert "200 and yet" not in seen


@needs_specs
def test_the_simulator_s_updates_are_telegram_s() -> None:
    """Of the shape that the Bot API's specification describes."""
    telegram = Telegram()
    updates = [
        telegram.says(SOMCHAI, "สวัสดี"),
        telegram.sends(SOMCHAI, "photo", b"x"),
        telegram.presses(SOMCHAI, "7:a"),
        telegram.blocks(SOMCHAI),
        telegram.unblocks(SOMCHAI),
    ]

    assert [fault for update in updates for fault in update_faults(update)] == []
    assert [len(parse(update, "4242", NOW).incoming) for update in updates] == [1] * 5


@needs_specs
def test_the_judge_objects_to_what_telegram_would_refuse() -> None:
    """So that its silence elsewhere means something."""
    asked = {"method": "sendMessage", "files": []}

    assert telegram_faults([asked | {"params": {"chat_id": 1, "text": "x" * 4097}}])
    assert telegram_faults([asked | {"params": {"chat_id": 1}}])
    assert not telegram_faults([asked | {"params": {"chat_id": 1, "text": "x" * 4096}}])
