"""The HTTP edge of the whole service: who is let in, what is kept, and what each answer says."""

import base64
import hashlib
import hmac
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, func, select
from starlette.testclient import TestClient

from bot.app import App
from bot.channels import telegram as polled
from bot.channels.body import LARGEST
from bot.config import Settings
from bot.headers import HEADERS
from content.schema import Content
from flows.types import Said
from storage import turns
from storage.gathered import decode_state
from storage.models import addresses, inbox, learners, outbox, parked
from tests.databases import Server
from tests.running import SECRET, Edge, edge, environment, eventually, ready
from tests.simulators.line import BOT, Line
from tests.simulators.server import Json
from tests.simulators.telegram import Telegram

SOMCHAI, SOMYING = "U" + "1" * 32, "U" + "2" * 32
TELE = 777


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the service keeps its files."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def door(url: str, content: Content, folder: Path) -> Iterator[Edge]:
    """A service on each engine in turn."""
    with edge(url, content) as made:
        yield made


@pytest.fixture
def kept(folder: Path, content: Content) -> Iterator[Edge]:
    """A service on SQLite, where the engine does not matter."""
    with edge(ready(folder), content) as made:
        yield made


def count(door: Edge, table: Any, *where: Any) -> int:
    return int(door.rows(select(func.count()).select_from(table).where(*where))[0][0])


def sign(body: bytes, secret: bytes = b"secret") -> dict[str, str]:
    """The header that LINE would send with this body."""
    signature = base64.b64encode(hmac.digest(secret, body, hashlib.sha256)).decode()
    return {"x-line-signature": signature}


def welcomed(door: Edge, user: str) -> bool:
    """Somebody got an answer, so their turn was taken and sent."""
    return bool(door.line.delivered[user])


# --- who is let in -----------------------------------------------------------------------


def forgeries() -> dict[str, Any]:
    """Headers that must not open the door, for a body that LINE could have sent."""
    line = Line()
    body, _ = line.webhook(line.says(SOMCHAI, "สวัสดี 🎉"))
    good = sign(body)["x-line-signature"]
    flipped = bytearray(base64.b64decode(good))
    flipped[0] ^= 1
    name = b"x-line-signature"

    def keyed(secret: bytes) -> list[tuple[bytes, bytes]]:
        return [(name, sign(body, secret)["x-line-signature"].encode())]

    return {
        "no signature": (body, []),
        "an empty one": (body, [(name, b"")]),
        "of another key": (body, keyed(b"other")),
        "of Telegram's key": (
            body,
            [(name, sign(body, SECRET.encode())["x-line-signature"].encode())],
        ),
        "of an empty key": (body, keyed(b"")),
        "one bit off": (body, [(name, base64.b64encode(bytes(flipped)))]),
        "cut short": (body, [(name, good[:-2].encode())]),
        "in the other base64": (body, [(name, base64.urlsafe_b64encode(b"\xff" * 32))]),
        "as hexadecimal": (body, [(name, base64.b64decode(good).hex().encode())]),
        "of a body with one more space": (body + b" ", [(name, good.encode())]),
        "of a body written anew": (json.dumps(json.loads(body)).encode(), [(name, good.encode())]),
        "of nothing": (b"", [(name, good.encode())]),
        "sent twice": (body, [(name, good.encode()), (name, good.encode())]),
        "behind a wrong one": (body, [(name, b"x"), (name, good.encode())]),
        "before a wrong one": (body, [(name, good.encode()), (name, b"x")]),
        "in Thai": (body, [(name, "ลายเซ็น".encode())]),
        "in no encoding": (body, [(name, b"\xff\xfe\x80")]),
    }


def test_a_webhook_that_line_did_not_sign_is_refused(kept: Edge) -> None:
    statuses = {
        how: kept.client.post("/webhook/line", content=body, headers=headers).status_code
        for how, (body, headers) in forgeries().items()
    }

    assert statuses == dict.fromkeys(statuses, 401)
    assert count(kept, inbox) == count(kept, parked) == 0


def test_no_mutation_of_body_or_signature_opens_the_door(kept: Edge) -> None:
    """P5 in small: 1,000 random changes of a genuine webhook, none accepted, none a 5xx."""
    rng = random.Random(20261120)
    body, headers = kept.line.webhook(kept.line.says(SOMCHAI, "สวัสดี 🎉"))
    statuses = [kept.post(*_mutated(rng, body, headers)) for _ in range(1000)]

    assert set(statuses) == {401}
    assert count(kept, inbox) == 0
    assert kept.post(body, headers) == 200


def _mutated(
    rng: random.Random, body: bytes, headers: dict[str, str]
) -> tuple[bytes, dict[str, str]]:
    signature = bytearray(headers["x-line-signature"].encode())
    changed = bytearray(body)
    target = changed if rng.random() < 0.5 else signature
    at = rng.randrange(len(target))
    match rng.randrange(3):
        case 0:
            target[at] ^= 1 << rng.randrange(7)
        case 1:
            del target[at:]
        case _:
            target.insert(at, rng.randrange(33, 127))
    if target is signature and not all(33 <= byte < 127 for byte in signature):
        return _mutated(rng, body, headers)  # no HTTP server would let it pass
    return bytes(changed), {"x-line-signature": signature.decode("ascii")}


def test_an_update_without_telegrams_secret_is_refused(kept: Edge) -> None:
    update, name = kept.telegram.says(TELE, "สวัสดี"), b"X-Telegram-Bot-Api-Secret-Token"
    wrong = [b"", b"x" * 40, SECRET[:-1].encode(), SECRET.encode() + b"x", "ลับ".encode(), b"\xff"]
    cases = [[], *([(name, secret)] for secret in wrong), [(name, SECRET.encode()), (name, b"x")]]

    statuses = [
        kept.client.post("/webhook/telegram", json=update, headers=headers).status_code
        for headers in cases
    ]

    assert statuses == [401] * len(cases)
    assert count(kept, inbox) == 0


def test_a_body_too_large_is_refused_before_it_is_read(kept: Edge) -> None:
    """X6: by what it declares, or as soon as more has come than is allowed."""
    body = b" " * (LARGEST + 1)
    absurd = {"content-length": "9" * 5000}

    declared = kept.client.post("/webhook/line", content=body, headers=sign(body))

    assert declared.status_code == kept.update(body).status_code == 413
    assert kept.client.post("/webhook/line", content=b"", headers=absurd).status_code == 413
    assert _streamed(kept, 300 * LARGEST) == (413, 17)


def _streamed(door: Edge, size: int, piece: int = LARGEST // 16) -> tuple[int, int]:
    """The status of an endless upload, and how many pieces of it were read."""
    read, statuses = [], []

    async def receive() -> Json:
        read.append(piece)
        more = len(read) * piece < size
        return {"type": "http.request", "body": b" " * piece, "more_body": more}

    async def send(message: Json) -> None:
        statuses.append(message.get("status"))

    scope = {"type": "http", "method": "POST", "path": "/webhook/line", "headers": []}
    scope |= {"query_string": b"", "root_path": "", "scheme": "http", "server": ("x", 1)}
    assert door.client.portal is not None
    door.client.portal.call(door.client.app, scope, receive, send)
    return statuses[0], len(read)


def test_a_body_as_large_as_allowed_is_taken(kept: Edge) -> None:
    body = json.dumps({"destination": BOT, "events": []}).encode()
    body += b" " * (LARGEST - len(body))

    assert kept.post(body, sign(body)) == 200


# --- what is signed is kept or understood ---------------------------------------------------


def unreadable(said: Json) -> dict[str, bytes]:
    """Bodies that LINE could have signed and that are no JSON, or not of a webhook."""
    made = json.dumps({"destination": BOT, "events": [said]}, ensure_ascii=False)
    genuine = made.encode()
    return {
        "empty": b"",
        "cut short": genuine[: len(genuine) // 2],
        "with something behind it": genuine + b"{}",
        "UTF-16": made.encode("utf-16"),
        "with a byte order mark": b"\xef\xbb\xbf" + genuine,
        "gzip": b"\x1f\x8b" + genuine,
        "no UTF-8": genuine.replace(b"text", b"\xff\xfe"),
        "NUL": b"\x00" * 100,
        "200,000 deep": b"[" * 200_000,
        "200,000 objects deep": b'{"a":' * 200_000,
        "an integer of 4,301 digits": genuine.replace(b'amp": ', b'amp": ' + b"9" * 4301),
        "a list": b"[]",
        "a number": b"17",
        "null": b"null",
        "no destination": json.dumps({"events": [said]}).encode(),
        "events an object": json.dumps({"destination": BOT, "events": {"a": 1}}).encode(),
        "events a text": json.dumps({"destination": BOT, "events": "x"}).encode(),
        "events null": json.dumps({"destination": BOT, "events": None}).encode(),
        "a key twice": genuine.replace(b'"type"', b'"type": 5, "type"', 1),
    }


def misshapen(said: Json) -> dict[str, bytes]:
    """Events that are JSON and whose values are of another type, or beyond all measure."""
    deep: Any = "x"
    for _ in range(40):
        deep = [deep]
    words = {
        "a lone surrogate in a text": "\ud83d",
        "NUL in a text": "a\x00b",
        "a text of 100,000 letters": "ก" * 100_000,
        "a text that is a list": ["x"],
    }
    changes: dict[str, Json] = {
        "deep inside an event": {"message": deep},
        "NaN": {"timestamp": float("nan")},
        "infinite": {"timestamp": float("inf")},
        "an id with NUL": {"webhookEventId": "a\x00b"},
        "an id that is a number": {"webhookEventId": 7},
        "an id of 10,000 letters": {"webhookEventId": "x" * 10_000},
        "a user who is a number": {"source": {"type": "user", "userId": 5}},
        "a user who is a lone surrogate": {"source": {"type": "user", "userId": "\udc00"}},
        "a user of 10,000 letters": {"source": {"type": "user", "userId": "U" * 10_000}},
        "a source that is a list": {"source": []},
        "a token that is a number": {"replyToken": 5},
        "a time before all times": {"timestamp": -(10**19)},
        "a time after all times": {"timestamp": 10**19},
        "a button with NUL": {"type": "postback", "postback": {"data": "\x00:\x00"}},
        "a long button": {"type": "postback", "postback": {"data": "1:" + "x" * 9_999}},
    }
    changes |= {k: {"message": {"type": "text", "id": "5", "text": w}} for k, w in words.items()}
    return {
        what: _events({**said, "webhookEventId": f"h{number}", **change})
        for number, (what, change) in enumerate(changes.items())
    }


def misaddressed(said: Json) -> dict[str, bytes]:
    """Genuine events under a destination that is none, and events that are no objects."""
    return {
        "destination a number": _events(said, destination=5),
        "destination with NUL": _events(said, destination="U\x00"),
        "destination a lone surrogate": _events(said, destination="\ud83d"),
        "destination long": _events(said, destination="U" * 100_000),
        "events of all types": _events(1, None, "x", [], {}, True, 1.5),
    }


def _events(*events: object, destination: object = BOT) -> bytes:
    return json.dumps({"destination": destination, "events": list(events)}).encode()


def test_hostile_bodies_are_answered_and_hurt_nobody(door: Edge) -> None:
    """P3: each is answered 200, and between any two an honest learner is served."""
    said = door.line.says(SOMCHAI, "สวัสดี")
    bodies = unreadable(said) | misshapen(said) | misaddressed(said)
    for n, body in enumerate(bodies.values()):
        assert door.post(body, sign(body)) == 200, list(bodies)[n]
        assert door.hook(door.line.follows(f"U{n:032d}")) == 200

    eventually(lambda: all(welcomed(door, f"U{n:032d}") for n in range(len(bodies))))
    assert count(door, addresses, addresses.c.address.like("U0%")) == len(bodies)
    assert door.client.get("/readyz").status_code == 200
    assert count(door, parked) >= 25


def test_hostile_updates_are_answered_and_hurt_nobody(door: Edge) -> None:
    """P3, Telegram: a poison update would block its chat for a day, so it is answered 200."""
    said = door.telegram.says(TELE, "สวัสดี")
    message = said["message"]
    updates: list[Any] = [
        b"",
        b"{",
        b"[" * 200_000,
        b'{"update_id": ' + b"9" * 4301 + b"}",
        json.dumps(said).encode("utf-16"),
        [],
        5,
        None,
        {},
        {"update_id": "x", "message": message},
        {"update_id": -1, "message": 5},
        {"update_id": 1 << 70, "message": message},
        {"update_id": 2, "message": {**message, "chat": {"id": "x", "type": "private"}}},
        {"update_id": 3, "message": {**message, "text": "\ud83d\x00"}},
        {"update_id": 4, "message": {**message, "text": 5}},
        {"update_id": 5, "message": {**message, "date": 10**30}},
        {"update_id": 6, "callback_query": {"id": "c6", "from": {"id": TELE}, "data": 5}},
        {"update_id": 7, "edited_message": message},
        {"update_id": 8, "poll": {}},
    ]
    for n, update in enumerate(updates):
        assert door.update(update).status_code == 200, update
        assert door.update(door.telegram.says(1000 + n, "/start")).status_code == 200

    eventually(lambda: all(door.telegram.delivered[str(1000 + n)] for n in range(len(updates))))
    assert door.telegram.answered == ["c6"]
    assert count(door, parked) >= 10


def test_thousands_of_events_in_one_body_are_all_taken(door: Edge) -> None:
    """X6: more than a statement of SQLite takes parameters for, and somebody honest meanwhile."""
    many = 11_000 if door.app.db.sqlite else 3_000
    kind = {"type": "unfollow", "source": {"type": "user", "userId": "U"}}
    events = [{**kind, "webhookEventId": f"e{n}"} for n in range(many)]
    body = json.dumps({"destination": BOT, "events": events}, separators=(",", ":")).encode()

    assert len(body) <= LARGEST
    assert door.post(body, sign(body)) == 200
    assert door.hook(door.line.follows(SOMCHAI)) == 200
    eventually(lambda: welcomed(door, SOMCHAI), 5)
    eventually(lambda: count(door, inbox) == many + 1, 180)
    assert door.post(body, sign(body)) == 200
    eventually(lambda: door.app.spool.waiting() == [], 180)
    assert count(door, inbox) == many + 1


def test_what_is_no_chat_with_one_person_is_heard_but_not_answered(kept: Edge) -> None:
    """Line's verify button, standby, groups, rooms, and kinds that do not exist yet."""
    line, user = kept.line, {"type": "user", "userId": SOMCHAI}
    group = {"type": "group", "groupId": "C1", "userId": SOMCHAI}
    words = {"type": "text", "id": "1", "text": "x"}
    events = [
        line.event("message", SOMCHAI, mode="standby", message=words),
        line.event("message", SOMCHAI, source=group, message=words),
        line.event("join", SOMCHAI, source=group),
        line.event("memberJoined", SOMCHAI, source={"type": "room", "roomId": "R1"}),
        line.event("teleported", SOMCHAI, source=user),
        line.event("accountLink", SOMCHAI, link={"result": "ok", "nonce": "n"}),
        line.event("videoPlayComplete", SOMCHAI, videoPlayComplete={"trackingId": "t"}),
    ]

    assert kept.hook() == 200
    assert [kept.hook(event) for event in events] == [200] * len(events)
    assert count(kept, learners) == count(kept, outbox) == count(kept, parked) == 0


def test_a_webhook_for_another_bot_is_not_taken(kept: Edge) -> None:
    eventually(lambda: kept.app.line_id == BOT)
    body, headers = kept.line.signed(
        {"destination": "U" + "e" * 32, "events": [kept.line.says(SOMCHAI, "x")]}
    )

    assert kept.post(body, headers) == 200
    assert count(kept, learners) == 0


def test_a_webhook_delivered_twice_is_answered_once(door: Edge) -> None:
    body, headers = door.line.webhook(door.line.follows(SOMCHAI))
    again, signed = door.line.redelivered(body)

    statuses = [door.post(body, headers), door.post(again, signed), door.post(body, headers)]

    assert statuses == [200, 200, 200]
    eventually(lambda: welcomed(door, SOMCHAI))
    assert count(door, inbox) == count(door, outbox) == 1


def test_a_pressed_button_is_always_released_and_a_group_is_left(kept: Edge) -> None:
    """The clock on a button stops whatever became of the press: stale, strange, or repeated."""
    presses = [kept.telegram.presses(TELE, data) for data in ("9:old", "\x00", "*:no", "1:agree")]
    for press in [*presses, presses[0]]:
        assert kept.update(press).status_code == 200
    group = {"id": -100, "type": "supergroup"}
    joined = kept.telegram.update("message", message_id=1, date=1, chat=group, text="x")
    assert kept.update(joined).status_code == 200

    expected = [press["callback_query"]["id"] for press in (*presses, presses[0])]
    eventually(lambda: sorted(kept.telegram.answered) == sorted(expected))
    eventually(lambda: kept.telegram.left == ["-100"])
    assert count(kept, addresses, addresses.c.address == "-100") == 0


def test_polled_updates_are_taken_and_only_then_confirmed(
    folder: Path, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a public address; one update that cannot be read does not stop the others."""
    telegram = Telegram()
    for user in (501, 502, 503):
        telegram.says(user, "/start")
    broken = telegram.says(504, "/start")
    real = polled.parse

    def parse(update: Json, *more: Any) -> Any:
        if update["update_id"] == broken["update_id"]:
            raise RuntimeError("a bug")
        return real(update, *more)

    monkeypatch.setattr(polled, "parse", parse)
    with edge(ready(folder), content, telegram, TELEGRAM_MODE="polling") as door:
        eventually(lambda: len(telegram.delivered) == 3)
        eventually(lambda: telegram.updates == [])
        assert count(door, inbox, inbox.c.channel == "telegram") == 4
        assert count(door, parked) == 1
        assert door.update(broken).status_code == 404


def test_a_flow_that_fails_is_parked_and_answered(
    door: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X9: the event is kept, its learner hears one apology, the next learner is served."""
    door.hook(door.line.follows(SOMCHAI))
    _break(monkeypatch)
    statuses = [door.hook(door.line.says(SOMCHAI, "poison")) for _ in range(3)]
    statuses.append(door.hook(door.line.follows(SOMYING)))

    assert statuses == [200] * 4
    eventually(lambda: welcomed(door, SOMYING))
    eventually(lambda: len(door.line.delivered[SOMCHAI]) == 2)
    assert count(door, parked) == 3


def test_a_reader_that_fails_is_no_reason_to_send_it_again_for_ever(
    kept: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug of ours in reading: what was signed is parked whole and answered 200."""

    def fail(*read: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr("bot.channels.line.parse", fail)
    monkeypatch.setattr("bot.channels.telegram.parse", fail)

    assert kept.hook(kept.line.says(SOMCHAI, "สวัสดี")) == 200
    assert kept.update(kept.telegram.says(TELE, "สวัสดี")).status_code == 200
    rows = kept.rows(select(parked.c.channel, parked.c.event, parked.c.error))
    assert [(row.channel, row.error) for row in rows] == [
        ("line", "unreadable: RuntimeError"),
        ("telegram", "unreadable: RuntimeError"),
    ]
    assert all("สวัสดี" in row.event for row in rows)


def _break(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in a flow, which one word brings out."""
    real = turns.handle

    def handle(state: Any, event: Any, *more: Any) -> Any:
        if isinstance(event, Said) and event.text == "poison":
            raise RuntimeError("a bug")
        return real(state, event, *more)

    monkeypatch.setattr(turns, "handle", handle)


# --- when the database is down ---------------------------------------------------------------


def test_line_is_spooled_while_sqlite_is_locked_and_drained_in_order(kept: Edge) -> None:
    """P1: LINE may never send again, so its bodies are kept on disk; Telegram is told when."""
    holder = create_engine(kept.url)
    lock = holder.raw_connection()
    lock.execute("BEGIN IMMEDIATE")
    _go_through_an_outage(kept)

    lock.rollback()
    lock.close()
    holder.dispose()
    _all_is_well_again(kept)


def test_line_is_spooled_while_postgresql_is_down_and_drained_in_order(
    postgres: Server, content: Content, folder: Path
) -> None:
    url = postgres.create(template=f"t{os.getpid()}_1")
    with edge(url, content) as door:
        postgres.stop()
        try:
            _go_through_an_outage(door)
        finally:
            postgres.start()
        _all_is_well_again(door)


def _go_through_an_outage(door: Edge) -> None:
    said = [door.line.follows(SOMCHAI), *(door.line.says(SOMCHAI, word) for word in "112")]
    assert [door.hook(event) for event in said] == [200] * 4
    assert len(door.app.spool.waiting()) == 4
    refused = door.update(door.telegram.says(TELE, "/start"))
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    unreadable = door.update(b"{")
    assert (unreadable.status_code, unreadable.headers["retry-after"]) == (503, "5")
    health = door.client.get("/readyz")
    assert (health.status_code, health.json()["checks"]["database"]) == (503, False)
    assert door.client.get("/livez").status_code == 200


def _all_is_well_again(door: Edge) -> None:
    """In order: a welcome, two times the first answer, then the second: they are through."""
    eventually(lambda: door.app.spool.waiting() == [])
    eventually(lambda: door.client.get("/readyz").status_code == 200)
    state = decode_state(door.rows(select(learners.c.state))[0][0])
    assert state.welcomed
    assert state.floor.flow == "home"
    eventually(lambda: count(door, outbox, outbox.c.status == "accepted") == count(door, outbox))
    assert door.update(door.telegram.says(TELE, "/start")).status_code == 200


def test_a_spooled_body_that_cannot_be_taken_does_not_hold_up_the_others(
    kept: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug that one body brings out must not keep the rest on disk for ever."""
    real, poison = kept.app.edge.take_line, kept.line.webhook(kept.line.says(SOMYING, "x"))[0]

    async def take(body: bytes) -> None:
        if body == poison:
            raise RuntimeError("a bug")
        await real(body)

    monkeypatch.setattr(kept.app.edge, "take_line", take)
    kept.app.spool.keep(poison)
    kept.app.spool.keep(kept.line.webhook(kept.line.follows(SOMCHAI))[0])

    eventually(lambda: welcomed(kept, SOMCHAI))
    assert kept.app.spool.waiting() == []
    assert [path.read_bytes() for path in (kept.app.var / "spool").iterdir()] == [poison]


# --- health ----------------------------------------------------------------------------------


def test_a_healthy_service_says_so(door: Edge) -> None:
    ready = door.client.get("/readyz")

    assert door.client.get("/livez").text == "ok"
    assert ready.json() == {
        "ready": True,
        "checks": dict.fromkeys(["writer", "database", "calendar", "sender", "scheduler"], True),
    }


def test_readiness_is_red_when_the_writer_is_dead(kept: Edge) -> None:
    assert kept.client.portal is not None
    kept.client.portal.call(kept.app.dispatcher.stop)

    answer = kept.client.get("/readyz")

    assert answer.status_code == 503
    assert not answer.json()["checks"]["writer"]

    async def revive() -> None:
        kept.app.dispatcher.start()

    kept.client.portal.call(revive)


def test_readiness_is_red_when_nothing_ticks(kept: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept.client.portal is not None
    monkeypatch.setattr("bot.scheduler.SILENCE", 0.3)
    kept.client.portal.call(kept.app.scheduler.stop)

    eventually(lambda: kept.client.get("/readyz").status_code == 503, 2)
    assert not kept.client.get("/readyz").json()["checks"]["scheduler"]


def test_metrics_count_and_name_nobody(kept: Edge) -> None:
    kept.hook(kept.line.follows(SOMCHAI))
    kept.client.post("/webhook/line", content=b"{}")

    told = kept.client.get("/metrics").text

    assert 'kaona_events_received_total{channel="line"}' in told
    assert 'kaona_webhooks_refused_total{channel="line"}' in told
    assert "kaona_webhook_seconds_bucket" in told
    assert SOMCHAI not in told


# --- what every answer carries ------------------------------------------------------------------


ANSWERS = [
    ("GET", "/livez", 200),
    ("GET", "/readyz", 200),
    ("GET", "/metrics", 200),
    ("GET", "/chat", 200),
    ("GET", "/static/chat.css", 200),
    ("GET", "/", 307),
    ("GET", "/nowhere", 404),
    ("GET", "/static/nothing.css", 404),
    ("GET", "/static/../app.py", 404),
    ("GET", "/static/%2e%2e/app.py", 404),
    ("GET", "/pictures/none.png", 404),
    ("GET", "/verify/NONE", 404),
    ("GET", "/verify/NONE.pdf", 404),
    ("GET", "/webhook/line", 405),
    ("POST", "/livez", 405),
    ("DELETE", "/static/chat.css", 405),
    ("POST", "/webhook/line", 401),
    ("POST", "/webhook/telegram", 401),
]


def test_every_answer_carries_the_security_headers(kept: Edge) -> None:
    for method, path, status in ANSWERS:
        answer = kept.client.request(method, path, follow_redirects=False)

        assert answer.status_code == status, (method, path)
        _assert_guarded(answer.headers)


def test_even_a_failure_of_ours_carries_the_security_headers(
    kept: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> dict[str, bool]:
        raise RuntimeError("a bug that quotes the learner: poison")

    monkeypatch.setattr(kept.app, "health", fail)

    answer = kept.client.get("/readyz")

    assert answer.status_code == 500
    assert "poison" not in answer.text
    _assert_guarded(answer.headers)


def _assert_guarded(headers: Any) -> None:
    for name, value in HEADERS.items():
        if name != "Cache-Control":
            assert headers[name] == value
    assert "cache-control" in headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_channels_that_are_off_have_no_door(folder: Path, content: Content) -> None:
    given = environment(f"sqlite:///{folder}/none.db")
    app = App(Settings(_env_file=None, **given), content, works=False)  # type: ignore[call-arg]
    client = TestClient(app.asgi())
    assert client.post("/webhook/line", content=b"{}").status_code == 404
    assert client.post("/webhook/telegram", content=b"{}").status_code == 404
    app.db.close()


def test_events_are_stored_with_all_they_said(kept: Edge) -> None:
    """A parked event is whole, so that it can be replayed, and its error quotes nobody."""
    body = json.dumps({"destination": BOT, "events": [{"type": "message", "mode": "active"}]})

    assert kept.post(body.encode(), sign(body.encode())) == 200
    row = kept.rows(select(parked))[0]
    assert "message" in row.event
    assert row.error.startswith("unreadable")
