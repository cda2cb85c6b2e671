"""The web chat's page in a real browser, before a fake of the conversation."""

import asyncio
import io
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from bot.channels import webchat
from bot.channels.webchat import Message, Persona, Unavailable, routes
from flows.types import Choice, Picture, Pressed, Reply, Said, Sent, Started
from storage.wire import Incoming
from tests.browsing import CHROMIUM

STATIC = Path(webchat.__file__).parent.parent / "static"
THAI = "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35"
LETTERS = ("\u0e01", "\u0e02", "\u0e04", "\u0e07")
WORDS = webchat.words("th")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium at /usr/bin/chromium"),
]


def question(number: int) -> Reply:
    choices = tuple(Choice(letter, letter, says=f"{letter}. {THAI}") for letter in LETTERS)
    return Reply(f"{THAI} {number}", choices, stamp=str(number))


@dataclass
class FakeChat:
    """A conversation that asks a question after everything it hears."""

    heard: list[Incoming] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    sent: dict[str, list[Message]] = field(default_factory=dict)
    photos: list[bytes] = field(default_factory=list)
    down: bool = False
    loop: asyncio.AbstractEventLoop | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def submit(self, incoming: Sequence[Incoming]) -> None:
        self.tried += [each.event_id for each in incoming]
        if self.down:
            raise Unavailable
        for each in incoming:
            if each.event_id not in {one.event_id for one in self.heard}:
                self.heard.append(each)
                self.tell(each.address, *self.answers(each))

    def answers(self, incoming: Incoming) -> tuple[Reply, ...]:
        match incoming.event:
            case Said("english"):
                return (Reply("Now we speak English"),)
            case Said("card"):
                drawn = Picture("radar", {}, f"{THAI} radar")
                page = Choice("page", "page", url="https://example.org/")
                return (Reply(THAI, (page,), title="card"), Reply(THAI, picture=drawn))
            case _:
                return (question(len(self.heard)),)

    def tell(self, address: str, *replies: Reply) -> None:
        messages = self.sent.setdefault(address, [])
        pictures = tuple("a" * 16 for reply in replies if reply.picture)
        messages.append(Message(len(messages) + 1, datetime.now(UTC), replies, pictures))
        if self.loop:
            self.loop.call_soon_threadsafe(self.wake)

    def wake(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    async def conversation(self, address: str, after: int, limit: int = 50) -> list[Message]:
        return [one for one in self.sent.get(address, []) if one.id > after][-limit:]

    async def personas(self) -> list[Persona]:
        return [Persona(7, "Somchai", "Clerk, Finance", "Operations")]

    def persona_address(self, person_id: int) -> str:
        return f"persona-{person_id}"

    async def photo(self, data: bytes) -> str:
        self.photos.append(data)
        return "photo-1"

    async def wait(self, address: str, timeout: float) -> None:
        try:
            await asyncio.wait_for(self.news.wait(), min(timeout, 1.0))
        except TimeoutError:
            return


def image(kind: str) -> bytes:
    into = io.BytesIO()
    Image.new("RGB", (60, 40), "teal").save(into, kind)
    return into.getvalue()


async def drawn(request: Request) -> Response:
    return Response(image("PNG"), media_type="image/png")


@pytest.fixture
def chat() -> FakeChat:
    return FakeChat()


@pytest.fixture
def address(chat: FakeChat) -> Iterator[str]:
    """The address of a server with the fake behind it."""
    app = Starlette(
        routes=[
            *routes(chat, demo=True, secret=b"s" * 32),
            Route("/pictures/{token}.png", drawn),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
    )
    config = uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=0, ws="none")
    server = uvicorn.Server(config)
    ready = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    async def serve() -> None:
        chat.loop = asyncio.get_running_loop()
        ready.set()
        await server.serve([listening])

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    ready.wait(10)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listening.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A Thai phone; whatever the browser complains of fails the test."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, locale="th-TH", reduced_motion="reduce"
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    yield page
    context.close()
    assert [line for line in complaints if "503" not in line and "ERR_" not in line] == []


@pytest.fixture
def somchai(page: Page, address: str) -> Page:
    """The page with the first question on it."""
    page.goto(f"{address}/chat")
    expect(page.locator("#choices button")).to_have_count(4)
    return page


def say(page: Page, text: str) -> None:
    page.fill("#text", text)
    page.press("#text", "Enter")


def bubbles(page: Page) -> list[str]:
    return [text.strip() for text in page.locator("#log .bubble .text").all_inner_texts()]


def test_code_of_a_sheet_is_given_once_and_stands_in_no_address(
    somchai: Page, chat: FakeChat, address: str
) -> None:
    """Behind the #, for somebody new and in a chat that is open already."""
    somchai.goto(f"{address}/chat#code=ABCD-EFGH-JKLM-N")
    expect(somchai.locator("#log .turn.bot")).to_have_count(2)
    somchai.reload()
    expect(somchai.locator("#log .turn.bot")).to_have_count(2)

    assert [each.event for each in chat.heard] == [Started(), Started("ABCD-EFGH-JKLM-N")]
    assert somchai.url == f"{address}/chat"
    somchai.context.clear_cookies()
    somchai.goto("about:blank")
    somchai.goto(f"{address}/chat#code=BCDE-FGHJ-KLMN-P")
    expect(somchai.locator("#log .turn.bot")).to_have_count(1)
    assert chat.heard[2].event == Started("BCDE-FGHJ-KLMN-P")


def test_first_visit_starts_and_a_tap_answers(somchai: Page, chat: FakeChat) -> None:
    somchai.get_by_role("button", name=f"{LETTERS[1]}. {THAI}").click()
    expect(somchai.locator("#log .bot .text")).to_have_text([f"{THAI} 1", f"{THAI} 2"])

    assert [each.event for each in chat.heard] == [Started(), Pressed("1", LETTERS[1])]
    assert bubbles(somchai) == [f"{THAI} 1", f"{LETTERS[1]}. {THAI}", f"{THAI} 2"]
    expect(somchai.locator("#choices button")).to_have_count(4)


def test_enter_sends_and_shift_enter_begins_a_line(somchai: Page, chat: FakeChat) -> None:
    somchai.fill("#text", "one")
    somchai.press("#text", "Shift+Enter")
    somchai.keyboard.type("two")
    somchai.press("#text", "Enter")
    expect(somchai.locator("#log .bot")).to_have_count(2)

    event = chat.heard[-1].event
    assert isinstance(event, Said)
    assert event.text == "one\ntwo"
    expect(somchai.locator("#text")).to_have_value("")


def test_everything_can_be_done_by_keyboard(somchai: Page, chat: FakeChat) -> None:
    somchai.keyboard.press("Tab")
    expect(somchai.locator(".skip")).to_be_focused()
    somchai.keyboard.press("Enter")
    expect(somchai.locator("#text")).to_be_focused()
    somchai.locator("#choices button").first.focus()
    somchai.keyboard.press("Enter")
    expect(somchai.locator("#log .bot")).to_have_count(2)

    expect(somchai.locator("#choices button").first).to_be_focused()
    assert chat.heard[-1].event == Pressed("1", LETTERS[0])


def test_message_that_was_not_delivered_is_sent_again_as_the_same(
    somchai: Page, chat: FakeChat
) -> None:
    chat.down = True
    say(somchai, "hello")
    expect(somchai.locator(".error")).to_contain_text(WORDS["unavailable"])
    chat.down = False
    somchai.get_by_role("button", name=WORDS["again"]).click()
    expect(somchai.locator("#log .bot")).to_have_count(2)

    expect(somchai.locator(".error")).to_have_count(0)
    assert chat.tried[-1] == chat.tried[-2]
    assert len(set(chat.tried)) == 2


def test_lost_connection_is_told_and_survives_a_reload(somchai: Page, chat: FakeChat) -> None:
    somchai.route("**/chat/say", lambda route: route.abort())
    say(somchai, "hello")
    expect(somchai.locator(".error")).to_contain_text(WORDS["failed"])
    somchai.unroute("**/chat/say")
    somchai.reload()
    somchai.get_by_role("button", name=WORDS["again"]).click()

    expect(somchai.locator("#log .text")).to_have_text([f"{THAI} 1", "hello", f"{THAI} 2"])


def test_reload_shows_both_sides_in_order(somchai: Page, chat: FakeChat) -> None:
    for number, text in enumerate(["one", "two"], 2):
        say(somchai, text)
        expect(somchai.locator("#log .bot")).to_have_count(number)
    before = bubbles(somchai)
    somchai.reload()
    expect(somchai.locator("#log .bot")).to_have_count(3)

    assert bubbles(somchai) == before
    assert before == [f"{THAI} 1", "one", f"{THAI} 2", "two", f"{THAI} 3"]
    assert len(chat.heard) == 3


def test_news_arrives_by_itself(somchai: Page, chat: FakeChat) -> None:
    chat.tell(chat.heard[0].address, Reply(f"{THAI} !", notify=True))

    expect(somchai.locator("#log .bot .text").last).to_have_text(f"{THAI} !")
    expect(somchai.locator("#choices button")).to_have_count(4)


def test_news_arrives_without_a_stream(page: Page, address: str, chat: FakeChat) -> None:
    page.add_init_script("delete window.EventSource")
    page.clock.install()
    page.goto(f"{address}/chat")
    expect(page.locator("#log .bot")).to_have_count(1)
    chat.tell(chat.heard[0].address, Reply(f"{THAI} !"))
    page.clock.fast_forward(5_100)

    expect(page.locator("#log .bot .text").last).to_have_text(f"{THAI} !")
    expect(page.locator("#choices")).to_be_hidden()


def test_photo_is_made_smaller_and_loses_where_it_was_taken(somchai: Page, chat: FakeChat) -> None:
    exif = Image.Exif()
    exif[0x010E] = "at home"
    into = io.BytesIO()
    Image.new("RGB", (3000, 30), "teal").save(into, "JPEG", exif=exif)
    photo = {"name": "p.jpg", "mimeType": "image/jpeg", "buffer": into.getvalue()}
    somchai.set_input_files("#file", files=[photo])
    expect(somchai.locator("#log .bot")).to_have_count(2)

    event = chat.heard[-1].event
    assert isinstance(event, Sent)
    assert event.ref == "photo-1"
    kept = Image.open(io.BytesIO(chat.photos[0]))
    assert kept.size == (2000, 20)
    assert not kept.getexif()
    somchai.reload()
    expect(somchai.locator("#log .me img")).to_have_attribute("alt", WORDS["photo_sent"])


@pytest.mark.parametrize(
    ("name", "kind", "data"),
    [("p.gif", "image/gif", b"GIF89a"), ("p.png", "image/png", b"nonsense")],
)
def test_what_is_no_picture_is_refused_kindly(
    somchai: Page, chat: FakeChat, name: str, kind: str, data: bytes
) -> None:
    somchai.set_input_files("#file", files=[{"name": name, "mimeType": kind, "buffer": data}])

    expect(somchai.locator("#refusal")).to_have_text(WORDS["not_a_picture"])
    assert len(chat.heard) == 1


def test_long_text_is_refused_kindly_and_not_lost(somchai: Page, chat: FakeChat) -> None:
    say(somchai, "x" * 4001)

    expect(somchai.locator("#refusal")).to_have_text(WORDS["too_long"])
    expect(somchai.locator("#text")).to_have_value("x" * 4001)
    assert len(chat.heard) == 1


def test_card_link_and_picture(somchai: Page) -> None:
    say(somchai, "card")
    expect(somchai.locator(".card .title")).to_have_text("card")
    link = somchai.locator(".card a")
    expect(link).to_have_attribute("target", "_blank")
    expect(link).to_have_attribute("rel", re.compile("noopener"))
    picture = somchai.locator("#log .bot img")
    expect(picture).to_have_attribute("alt", f"{THAI} radar")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 60
    picture.click()
    expect(somchai.locator("#viewer")).to_be_visible()
    somchai.keyboard.press("Escape")
    expect(somchai.locator("#viewer")).to_be_hidden()


def test_words_of_the_page_follow_the_conversation(somchai: Page, chat: FakeChat) -> None:
    somchai.locator("#language").click()
    expect(somchai.locator("#log .bot")).to_have_count(2)
    say(somchai, "english")

    expect(somchai.locator("html")).to_have_attribute("lang", "en")
    expect(somchai.locator("#log .day")).to_have_count(1)
    expect(somchai.locator("#text")).to_have_attribute(
        "placeholder", webchat.words("en")["placeholder"]
    )
    assert isinstance(chat.heard[1].event, Said)
    assert chat.heard[1].event.text == WORDS["say_language"]


def test_menu_button_says_the_menu_word(somchai: Page, chat: FakeChat) -> None:
    somchai.locator("#menu").click()
    expect(somchai.locator("#log .bot")).to_have_count(2)

    assert isinstance(chat.heard[-1].event, Said)
    assert chat.heard[-1].event.text == WORDS["say_menu"]


def test_visitor_of_the_demo_becomes_somchai(somchai: Page, chat: FakeChat) -> None:
    somchai.locator("#open-about").click()
    expect(somchai.locator("#close-about")).to_be_focused()
    somchai.keyboard.press("Escape")
    expect(somchai.locator("#open-about")).to_be_focused()
    somchai.locator("#open-about").click()
    somchai.locator("#people button", has_text="Somchai").click()
    expect(somchai.locator("#people [aria-current]")).to_contain_text("Somchai")
    expect(somchai.locator("#choices button")).to_have_count(4)

    assert chat.heard[-1].address == "persona-7"
    assert chat.heard[-1].event == Started()


@pytest.mark.parametrize(("width", "height"), [(320, 568), (390, 844), (1280, 800)])
def test_everything_fits_and_is_big_enough_to_tap(somchai: Page, width: int, height: int) -> None:
    somchai.set_viewport_size({"width": width, "height": height})
    say(somchai, "x" * 600)
    expect(somchai.locator("#log .bot")).to_have_count(2)
    boxes = somchai.locator("button:visible, .attach:visible, #text").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect().toJSON())"
    )

    assert all(box["width"] >= 44 and box["height"] >= 44 for box in boxes)
    assert all(box["left"] >= 0 and box["right"] <= width for box in boxes)
    assert somchai.evaluate("document.documentElement.scrollWidth") <= width
    assert somchai.evaluate("document.querySelector('#scroll').scrollWidth") <= min(width, 480)
    expect(somchai.locator("#choices button").last).to_be_in_viewport()
