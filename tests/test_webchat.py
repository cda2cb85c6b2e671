"""The web chat's routes, before a fake of the conversation."""

import asyncio
import hashlib
import json
import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from starlette.applications import Starlette
from starlette.testclient import TestClient

from bot.channels import webchat
from bot.channels.webchat import Message, Persona, Unavailable, news, routes
from content.schema import LANGS
from flows.types import Choice, Picture, Pressed, Reply, Said, Sent, Started
from storage.wire import Incoming

ROOT = Path(__file__).parent.parent
NOW = datetime(2025, 11, 20, 9, 0, tzinfo=UTC)
ID = "0b5b7a3e-6c1d-4c56-9a51-3f6d2f6f2a10"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 20
WEBP = b"RIFF\x10\0\0\0WEBPVP8 " + b"\0" * 20


class FakeChat:
    """A conversation that repeats what it hears; `down` is a database that is gone."""

    def __init__(self) -> None:
        self.heard: list[Incoming] = []
        self.sent: dict[str, list[Message]] = {}
        self.photos: list[bytes] = []
        self.waits: list[float] = []
        self.mute = False
        self.down = False

    async def submit(self, incoming: Sequence[Incoming]) -> None:
        self.up()
        for each in incoming:
            if each.event_id not in {one.event_id for one in self.heard}:
                self.heard.append(each)
                if not self.mute:
                    self.tell(each.address, Reply(f"heard {type(each.event).__name__}"))

    def tell(self, address: str, *replies: Reply) -> None:
        pictures = tuple("a" * 16 for reply in replies if reply.picture)
        messages = self.sent.setdefault(address, [])
        messages.append(Message(len(messages) + 1, NOW, replies, pictures))

    async def conversation(self, address: str, after: int, limit: int = 50) -> list[Message]:
        self.up()
        return [one for one in self.sent.get(address, []) if one.id > after][-limit:]

    async def personas(self) -> list[Persona]:
        return [Persona(7, "Somchai", "Clerk, Finance", "Operations")]

    def persona_address(self, person_id: int) -> str:
        return f"persona-{person_id}"

    async def photo(self, data: bytes) -> str:
        self.photos.append(data)
        return "photo-1"

    async def wait(self, address: str, timeout: float) -> None:
        self.waits.append(timeout)

    def up(self) -> None:
        if self.down:
            raise Unavailable


@pytest.fixture
def chat() -> FakeChat:
    return FakeChat()


def browser(chat: FakeChat, *, demo: bool = True, url: str = "https://kaona.test") -> TestClient:
    app = Starlette(routes=routes(chat, demo=demo, secret=b"s" * 32))
    return TestClient(app, base_url=url, raise_server_exceptions=False)


@pytest.fixture
def somchai(chat: FakeChat) -> TestClient:
    """A browser that has opened the page."""
    client = browser(chat)
    client.get("/chat")
    return client


def say(client: TestClient, **what: Any) -> Any:
    return client.post("/chat/say", json={"id": ID, **what})


def upload(client: TestClient, data: bytes, id: str = ID) -> Any:
    return client.post("/chat/photo", data={"id": id, "after": "0"}, files={"photo": ("p", data)})


# --- the page --------------------------------------------------------------------------


def test_home_leads_to_the_chat(chat: FakeChat) -> None:
    answer = browser(chat).get("/", follow_redirects=False)

    assert answer.is_redirect
    assert answer.headers["location"] == "/chat"


def test_first_visit_gets_a_cookie_that_scripts_cannot_read(chat: FakeChat) -> None:
    cookie = browser(chat).get("/chat").headers["set-cookie"]

    assert re.match(r"kaona_chat=[0-9a-f]{64};", cookie)
    assert {"HttpOnly", "SameSite=lax", "Secure", "Path=/"} <= set(cookie.split("; "))


def test_plain_http_gets_a_cookie_it_can_keep(chat: FakeChat) -> None:
    cookie = browser(chat, url="http://kaona.test").get("/chat").headers["set-cookie"]

    assert "Secure" not in cookie


def test_second_visit_keeps_the_cookie(somchai: TestClient) -> None:
    before = somchai.cookies["kaona_chat"]
    somchai.get("/chat")

    assert somchai.cookies["kaona_chat"] == before


@pytest.mark.parametrize(
    ("accepted", "lang"),
    [("", "th"), ("en-US,en;q=0.9", "en"), ("en-US,en;q=0.9,th;q=0.8", "th"), ("fr", "th")],
)
def test_page_speaks_thai_unless_the_browser_knows_only_english(
    chat: FakeChat, accepted: str, lang: str
) -> None:
    page = browser(chat).get("/chat", headers={"Accept-Language": accepted})

    assert f'<html lang="{lang}">' in page.text
    assert webchat.words(lang)["placeholder"] in page.text


def test_page_has_no_inline_script_or_style_and_its_nonce_is_new_each_time(
    chat: FakeChat,
) -> None:
    first, second = browser(chat).get("/chat"), browser(chat).get("/chat")
    nonces = [re.findall(r'nonce="([^"]+)"', page.text) for page in (first, second)]

    assert nonces[0] != nonces[1]
    assert f"'nonce-{nonces[0][0]}'" in first.headers["content-security-policy"]
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", first.text)
    assert re.findall(r"<script(?![^>]*(?:src=|application/json))", first.text) == []


def test_demo_is_seen_only_in_the_demo(chat: FakeChat) -> None:
    assert 'id="people"' in browser(chat).get("/chat").text
    assert 'id="people"' not in browser(chat, demo=False).get("/chat").text


# --- what every answer has ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/chat"),
        ("GET", "/chat/messages"),
        ("GET", "/chat/messages?after=x"),
        ("GET", "/chat/stream?after=x"),
        ("GET", "/chat/personas"),
        ("GET", "/chat/say"),
        ("POST", "/chat"),
        ("POST", "/chat/say"),
        ("POST", "/chat/photo"),
        ("POST", "/chat/as"),
    ],
)
@pytest.mark.parametrize("demo", [True, False])
def test_every_answer_carries_the_security_headers(
    chat: FakeChat, method: str, path: str, demo: bool
) -> None:
    headers = browser(chat, demo=demo).request(method, path, follow_redirects=False).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["permissions-policy"] == "camera=(), microphone=(), geolocation=()"
    assert headers["cache-control"] == "no-store"
    assert headers["strict-transport-security"].startswith("max-age=63072000")
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "img-src 'self' data: blob:" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(("method", "path"), [("GET", "/chat/say"), ("DELETE", "/chat")])
def test_wrong_method_is_told_in_json(chat: FakeChat, method: str, path: str) -> None:
    answer = browser(chat).request(method, path)

    assert answer.status_code == 405
    assert answer.json() == {"error": "method"}
    assert "allow" in answer.headers


def test_database_that_is_down_asks_to_come_back(somchai: TestClient, chat: FakeChat) -> None:
    chat.down = True

    for answer in (say(somchai, text="hi"), somchai.get("/chat/messages")):
        assert answer.status_code == 503
        assert answer.json() == {"error": "unavailable"}
        assert answer.headers["retry-after"] == "5"
        assert answer.headers["x-content-type-options"] == "nosniff"


# --- saying ------------------------------------------------------------------------------


@time_machine.travel(NOW, tick=False)
def test_words_become_an_incoming_event_and_are_answered(
    somchai: TestClient, chat: FakeChat
) -> None:
    answer = say(somchai, text="hello")
    address = hashlib.sha256(somchai.cookies["kaona_chat"].encode()).hexdigest()[:32]
    event_id = f"{address[:16]}:{ID}"

    said = Said("hello", event_id, NOW)
    assert chat.heard == [Incoming("web", "web", event_id, address, said, NOW, lang="th")]
    assert [one["id"] for one in answer.json()["messages"]] == [1]


def test_press_keeps_its_stamp(somchai: TestClient, chat: FakeChat) -> None:
    say(somchai, press={"stamp": "12", "choice": "b"})

    assert chat.heard[0].event == Pressed("12", "b")


def test_first_visit_starts_the_conversation(somchai: TestClient, chat: FakeChat) -> None:
    say(somchai, start=True)

    assert chat.heard[0].event == Started()


def test_start_may_bring_a_code_along(somchai: TestClient, chat: FakeChat) -> None:
    say(somchai, start=True, code="ABCD-EFGH-JKLM-N")

    assert chat.heard[0].event == Started("ABCD-EFGH-JKLM-N")
    assert say(somchai, start=True, code="x" * 65).status_code == 400


def test_trying_again_is_heard_once_and_still_answered(somchai: TestClient, chat: FakeChat) -> None:
    say(somchai, text="hello")
    again = say(somchai, text="hello")

    assert len(chat.heard) == 1
    assert len(again.json()["messages"]) == 1


def test_only_what_is_new_comes_back(somchai: TestClient) -> None:
    say(somchai, text="one")
    answer = somchai.post("/chat/say", json={"id": str(uuid.uuid4()), "text": "two", "after": 1})

    assert [one["id"] for one in answer.json()["messages"]] == [2]


def test_slow_reply_is_waited_for_a_little(somchai: TestClient, chat: FakeChat) -> None:
    chat.mute = True

    assert say(somchai, text="hello").json() == {"messages": []}
    assert chat.waits == [webchat.PATIENCE]


def test_what_no_database_takes_is_left_out(somchai: TestClient, chat: FakeChat) -> None:
    body = json.dumps({"id": ID, "text": "a\0b\ud800c\U0001f642"})
    somchai.post("/chat/say", content=body, headers={"Content-Type": "application/json"})

    assert isinstance(chat.heard[0].event, Said)
    assert chat.heard[0].event.text == "abc\U0001f642"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "[" * 50_000,
        "{}",
        '{"id": "1", "text": "hi"}',
        json.dumps({"id": ID}),
        json.dumps({"id": ID, "text": " \0 "}),
        json.dumps({"id": ID, "text": 5}),
        json.dumps({"id": ID, "text": "hi", "start": True}),
        json.dumps({"id": ID, "text": "hi", "after": -1}),
        json.dumps({"id": ID, "text": "hi", "after": 10**30}),
        json.dumps({"id": ID, "press": {"stamp": "1"}}),
        json.dumps({"id": ID, "press": {"stamp": "1", "choice": "x" * 101}}),
    ],
)
def test_nonsense_is_refused(somchai: TestClient, chat: FakeChat, body: str) -> None:
    answer = somchai.post("/chat/say", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400
    assert answer.json() == {"error": "bad_request"}
    assert chat.heard == []


@pytest.mark.parametrize(
    ("length", "status", "error"),
    [(4000, 200, None), (4001, 413, "too_long"), (70_000, 413, "too_big")],
)
def test_long_text_is_refused(
    somchai: TestClient, length: int, status: int, error: str | None
) -> None:
    answer = say(somchai, text="x" * length)

    assert answer.status_code == status
    assert answer.json().get("error") == error


def test_only_json_is_heard(somchai: TestClient, chat: FakeChat) -> None:
    body = json.dumps({"id": ID, "text": "hi"})
    answer = somchai.post("/chat/say", content=body, headers={"Content-Type": "text/plain"})

    assert answer.status_code == 415
    assert chat.heard == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", ["/chat/say", "/chat/photo", "/chat/as"])
def test_other_sites_cannot_speak_for_somchai(
    somchai: TestClient, chat: FakeChat, path: str, site: str
) -> None:
    answer = somchai.post(path, json={"id": ID, "text": "hi"}, headers={"Sec-Fetch-Site": site})

    assert answer.status_code == 403
    assert answer.json() == {"error": "cross_site"}
    assert chat.heard == []


@pytest.mark.parametrize("cookie", ["", "x", "F" * 64, "persona:7:" + "0" * 64])
def test_without_a_good_cookie_nothing_is_heard(chat: FakeChat, cookie: str) -> None:
    client = browser(chat)
    headers = {"Cookie": f"kaona_chat={cookie}"}

    for answer in (
        client.post("/chat/say", json={"id": ID, "text": "hi"}, headers=headers),
        client.get("/chat/messages", headers=headers),
        client.get("/chat/stream", headers=headers),
    ):
        assert answer.status_code == 400
        assert answer.json() == {"error": "no_cookie"}
    assert chat.heard == []


def test_somying_never_sees_what_somchai_was_told(somchai: TestClient, chat: FakeChat) -> None:
    say(somchai, text="mine")
    somying = browser(chat)
    somying.get("/chat")

    assert somying.get("/chat/messages").json() == {"messages": []}


# --- photos --------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [PNG, JPEG, WEBP])
def test_photo_is_kept_and_told(somchai: TestClient, chat: FakeChat, data: bytes) -> None:
    answer = upload(somchai, data)

    assert answer.status_code == 200
    assert chat.photos == [data]
    event = chat.heard[0].event
    assert isinstance(event, Sent)
    assert (event.kind, event.ref, event.message) == ("photo", "photo-1", chat.heard[0].event_id)


@pytest.mark.parametrize("data", [b"GIF89a", b"", b"<svg/>", b"RIFF\0\0\0\0WAVE"])
def test_what_is_no_picture_is_refused(somchai: TestClient, chat: FakeChat, data: bytes) -> None:
    answer = upload(somchai, data)

    assert answer.status_code == 415
    assert answer.json() == {"error": "not_a_picture"}
    assert chat.photos == []


@pytest.mark.parametrize("more", [1, 100_000])
def test_big_photo_is_refused(somchai: TestClient, chat: FakeChat, more: int) -> None:
    answer = upload(somchai, JPEG.ljust(webchat.PHOTO + more))

    assert answer.status_code == 413
    assert answer.json() == {"error": "too_big"}
    assert chat.photos == []


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data", b"", 400),
        ("multipart/form-data; boundary=x", b"nonsense", 400),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n\r\n--x--\r\n", 400),
    ],
)
def test_broken_form_is_refused(somchai: TestClient, kind: str, body: bytes, status: int) -> None:
    answer = somchai.post("/chat/photo", content=body, headers={"Content-Type": kind})

    assert answer.status_code == status
    assert "error" in answer.json()


def test_photo_needs_an_id_and_a_file(somchai: TestClient) -> None:
    no_file = somchai.post("/chat/photo", data={"id": ID}, files={"other": ("p", PNG)})

    assert upload(somchai, PNG, id="1").status_code == 400
    assert no_file.status_code == 400


# --- hearing -------------------------------------------------------------------------------


def test_messages_are_told_with_pictures_cards_and_choices(
    somchai: TestClient, chat: FakeChat
) -> None:
    address = hashlib.sha256(somchai.cookies["kaona_chat"].encode()).hexdigest()[:32]
    drawn = Reply("see", picture=Picture("radar", {"areas": [1]}, "all the figures"))
    asked = Reply("which", (Choice("a", "A", says="the first"),), "3", title="Card", notify=True)
    chat.tell(address, Reply("plain"), drawn, asked)

    (message,) = somchai.get("/chat/messages?after=0").json()["messages"]
    plain, picture, card = message["replies"]

    assert (message["id"], message["at"]) == (1, "2025-11-20T09:00:00+00:00")
    assert plain["picture"] is None
    assert picture["picture"] == {"src": f"/pictures/{'a' * 16}.png", "alt": "all the figures"}
    assert (card["title"], card["stamp"], card["notify"]) == ("Card", "3", True)
    assert card["choices"] == [{"id": "a", "label": "A", "says": "the first", "url": ""}]


@pytest.mark.parametrize("after", ["-1", "x", "1e3", "9" * 16])
def test_nonsense_after_is_refused(somchai: TestClient, after: str) -> None:
    assert somchai.get(f"/chat/messages?after={after}").json() == {"error": "after"}


def test_stream_tells_what_is_new_and_ends_when_the_database_does() -> None:
    chat = FakeChat()
    chat.tell("somchai", Reply("one"))

    async def listen() -> list[str]:
        lines = []
        async for line in news(chat, "somchai", 0, life=60):
            lines.append(line)
            chat.down = len(lines) == 3
        return lines

    lines = asyncio.run(listen())
    assert lines == ["retry: 3000\n\n", "id: 1\nevent: new\ndata: 1\n\n", ": ping\n\n"]
    assert chat.waits[-1] == webchat.PING


def test_stream_ends_by_itself() -> None:
    async def listen() -> list[str]:
        return [line async for line in news(FakeChat(), "somchai", 0, life=0)]

    assert asyncio.run(listen()) == ["retry: 3000\n\n"]


def test_stream_is_never_buffered_and_goes_on_where_it_was(
    somchai: TestClient, chat: FakeChat
) -> None:
    say(somchai, text="one")
    chat.down = True
    answer = somchai.get("/chat/stream?after=0", headers={"Last-Event-ID": "1"})

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.text == "retry: 3000\n\n"


# --- the demo's people ---------------------------------------------------------------------


def test_visitor_becomes_a_made_up_person_and_somebody_new(
    somchai: TestClient, chat: FakeChat
) -> None:
    before = somchai.cookies["kaona_chat"]
    somchai.post("/chat/as", json={"persona": 7})
    say(somchai, text="hi")

    assert chat.heard[0].address == "persona-7"
    assert chat.heard[0].event_id == f"persona-7:{ID}"
    assert somchai.get("/chat/personas").json() == {
        "personas": [
            {"id": 7, "name": "Somchai", "about": "Clerk, Finance", "group": "Operations"}
        ],
        "me": 7,
    }

    somchai.post("/chat/as", json={"persona": "new"})
    assert re.fullmatch(r"[0-9a-f]{64}", somchai.cookies["kaona_chat"])
    assert somchai.cookies["kaona_chat"] != before
    assert somchai.get("/chat/personas").json()["me"] is None


def test_nobody_becomes_who_does_not_exist(somchai: TestClient) -> None:
    assert somchai.post("/chat/as", json={"persona": 8}).status_code == 404
    assert somchai.post("/chat/as", json={"persona": "7"}).status_code == 404


def test_without_the_demo_nobody_becomes_anybody(chat: FakeChat, somchai: TestClient) -> None:
    somchai.post("/chat/as", json={"persona": 7})
    signed = somchai.cookies["kaona_chat"]
    real = browser(chat, demo=False)

    assert real.post("/chat/as", json={"persona": 7}).status_code == 404
    assert real.get("/chat/personas").status_code == 404
    headers = {"Cookie": f"kaona_chat={signed}"}
    assert real.get("/chat/messages", headers=headers).json() == {"error": "no_cookie"}


# --- words ---------------------------------------------------------------------------------


def test_both_languages_have_the_same_words() -> None:
    th, en = (webchat.words(lang) for lang in LANGS)

    assert list(th) == list(en)
    assert all(th.values())
    assert all(en.values())


def test_every_word_that_is_used_exists_and_every_word_is_used() -> None:
    pages = "".join(path.read_text() for path in (ROOT / "bot/templates").glob("*.html"))
    script = (ROOT / "bot/static/chat.js").read_text()
    used = set(re.findall(r"words\.([a-z_0-9]+)", pages + script))
    used |= set(re.findall(r'data-(?:word|label)="([a-z_0-9]+)"', pages))
    used |= set(re.findall(r'"(copy_(?:yes|no))"', (ROOT / "bot/copies.py").read_text()))
    used |= set(re.findall(r'"(badge_[a-z_]+)"', (ROOT / "bot/badges.py").read_text())) - {
        "badge_key"
    }
    thrown = {key for key in webchat.words("th") if f'"{key}"' in script or key == "unavailable"}

    assert used <= set(webchat.words("th"))
    assert set(webchat.words("th")) == used | thrown


def test_there_is_no_thai_outside_content() -> None:
    files = [ROOT / "bot/channels/webchat.py", *(ROOT / "bot/templates").rglob("*.html")]
    files += [*(ROOT / "bot/static").glob("*.css"), *(ROOT / "bot/static").glob("*.js")]
    thai = re.compile("[\u0e00-\u0e7f]")

    assert not [path.name for path in files if thai.search(path.read_text())]


def test_script_stays_small() -> None:
    assert len((ROOT / "bot/static/chat.js").read_text().splitlines()) <= 400


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("found", [True, False])
def test_certificate_page_tells_what_is_printed_or_that_there_is_nothing(
    lang: str, found: bool
) -> None:
    words = webchat.words(lang)
    page = webchat.templates().get_template("verify.html")
    html = page.render(found=found, name="<Somchai>", date="1", round=2, areas=["A"], words=words)

    assert (words["verify_found"] in html) is found
    assert (words["verify_missing"] in html) is not found
    assert ("&lt;Somchai&gt;" in html) is found
    assert "<Somchai>" not in html
