"""The walk: what must hold after every event in every reachable state, with the real content;
and every message it meets, rendered by the real SDKs and judged by the platforms' own specs."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from uuid import uuid4

import pytest
from msgspec import Struct, field

from bot.channels import line, telegram
from bot.channels.line_sdk import BUTTONS, LABEL
from bot.limits import Pace
from content.schema import Content
from flows import steps
from flows.engine import FLOWS
from flows.text import utf16_len
from flows.types import (
    AnyEvent,
    Erase,
    Fired,
    Left,
    Picture,
    Pressed,
    Reply,
    Said,
    Started,
    State,
    Unsent,
)
from storage.wire import Outcome, Request, Row
from tests.dialog import dialogs, replies_of
from tests.simulators.line import Line
from tests.simulators.telegram import Telegram
from tests.spec import line_faults, needs_specs, outermost, telegram_faults
from tests.walk import (
    NOW,
    UNCLEAR,
    Step,
    Walk,
    out_of_order,
    play,
    replaced,
    the_content,
)

SHOWN = 10
"""Faults of one kind that are listed."""


class Walked(Struct):
    """The finished walk and what was wrong on the way, by what should have held."""

    walk: Walk
    faults: dict[str, list[str]] = {}
    spots: Counter[str] = field(default_factory=Counter)
    items: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def walked() -> Walked:
    seen = Walked(Walk(the_content()))
    for step in seen.walk.steps():
        floor = step.turn.state.floor
        seen.spots[floor.flow] += 1
        seen.items.update(v for v in floor.note.values() if isinstance(v, str))
        for name, fault in (*_of_turn(step, seen.walk.content), *_of_word(step)):
            where = f"{step.before.floor} {step.event}: {fault}"
            seen.faults.setdefault(name, []).append(where)
    for reply in seen.walk.replies.values():
        for fault in _of_reply(reply):
            seen.faults.setdefault("limits", []).append(f"{fault}: {reply}")
    return seen


Found = Iterator[tuple[str, str]]


def _of_turn(step: Step, content: Content) -> Found:
    """What holds after any event."""
    state, replies = step.turn.state, step.turn.replies
    unasked = isinstance(step.event, Left | Unsent | Fired)
    if not unasked and not replies:
        yield "never silent", "nothing was said"
    if state.stamp < step.before.stamp and not any(isinstance(e, Erase) for e in step.turn.effects):
        yield "the stamp never falls", f"{step.before.stamp} → {state.stamp}"
    ask = FLOWS[state.floor.flow].ask(state, step.now, content)
    if not ask.text.strip() or not (ask.writes or any(not choice.url for choice in ask.choices)):
        yield "a way forward", f"no answer to {ask}"
    if not unasked and replies and (not state.stamp or replies[-1].stamp != str(state.stamp)):
        yield "the open question comes last", f"{state.stamp} after {replies[-1]}"
    if state.stopped and any(reply.notify for reply in replies):
        yield "whoever has stopped hears nothing unasked", str(replies)
    if len(line.pack(replies)) > 1:
        yield "a turn fits into one LINE request", f"{len(replies)} replies"
    if wrong := out_of_order(state.journey):
        yield "steps are in order", wrong
    for reply in replies:
        if not unasked and reply.notify:
            yield "an answer is not unasked", str(reply)


def _of_word(step: Step) -> Found:
    """Reserved words do what they say, wherever they are said."""
    match step.event:
        case Said(text=text):
            word = _first_ways().get(text)
        case Pressed(stamp="*", choice=choice):
            word = choice
        case _:
            word = None
    if word in MEANS and step.before.heard_at and not MEANS[word](step):
        yield "reserved words work everywhere", f"{word} led to {step.turn.state.floor}"
    if isinstance(step.event, Started) and not step.turn.replies:
        yield "reserved words work everywhere", "nothing on start"


def _first_ways() -> dict[str, str]:
    return {ways[0]: word for word, ways in the_content().words.reserved.items()}


def _says(step: Step, key: str, state: State) -> bool:
    text = the_content().copy_[state.lang][key].partition("\n")[0].partition("{")[0]
    return any(reply.text.startswith(text) for reply in step.turn.replies)


def _asked_to_undo(step: Step) -> bool:
    """Whoever waits to be erased is asked first whether they still want that."""
    floor = step.turn.state.floor
    return bool(step.turn.state.leaving) and (floor.flow, floor.place) == ("mydata", "sure")


NOTHING = ("recall_nothing_yet", "recall_nothing_due")
MEANS = {
    "menu": lambda step: step.turn.state.floor.flow == "menu",
    "help": lambda step: _says(step, "help", step.turn.state),
    "progress": lambda step: any(
        r.picture and r.picture.kind == "progress" for r in step.turn.replies
    ),
    "stop": lambda step: step.turn.state.stopped and step.turn.state.floor.flow == "stopped",
    "resume": lambda step: not step.turn.state.stopped or _asked_to_undo(step),
    "language": lambda step: step.turn.state.lang != step.before.lang,
    "thai": lambda step: step.turn.state.lang == "th",
    "english": lambda step: step.turn.state.lang == "en",
    "my_data": lambda step: step.turn.state.floor.flow == "mydata",
    "reminders": lambda step: not step.before.welcomed or step.turn.state.floor.flow == "reminders",
    "practice": lambda step: not step.before.welcomed or step.turn.state.floor.flow == "practice",
    "recall": lambda step: (
        not step.before.welcomed
        or step.turn.state.floor.flow == "practice"
        or any(_says(step, key, step.turn.state) for key in NOTHING)
    ),
    "team": lambda step: (
        not step.before.welcomed
        or (step.turn.state.floor.flow == "digest" or _says(step, "team_none", step.turn.state))
    ),
    "erase": lambda step: step.turn.state.floor.place == "sure",
    "ask_hr": lambda step: step.turn.state.floor.flow == "askhr",
    "why_group": lambda step: (
        not step.turn.state.placed or step.turn.state.floor.flow == "placement"
    ),
    "go": lambda step: not step.turn.state.stopped or _asked_to_undo(step),
    "report": lambda step: bool(step.turn.replies),
    "start": lambda step: bool(step.turn.replies),
}


def _of_reply(reply: Reply) -> Iterator[str]:
    """What both platforms take."""
    labels = [choice.label for choice in reply.choices]
    if not reply.text.strip():
        yield "no words"
    if "{" in reply.text or "}" in reply.text:
        yield "a slot was left open"
    if len(reply.choices) > BUTTONS:
        yield f"{len(reply.choices)} buttons"
    if any(not 1 <= utf16_len(label) <= LABEL for label in labels):
        yield f"labels {labels}"
    if len(set(labels)) < len(labels) or len({c.id for c in reply.choices}) < len(labels):
        yield f"two buttons are alike: {labels}"
    if any(len(f"{reply.stamp}:{choice.id}".encode()) > 64 for choice in reply.choices):
        yield "the data of a button is too long"
    if bool(reply.stamp) != bool(reply.choices) and not reply.stamp:
        yield "buttons without a stamp"
    for channel in (line, telegram):
        for request in channel.pack((reply,)):
            if any(utf16_len(piece.text) > channel.TEXT for piece in request):
                yield f"too long for {channel.__name__}"


@pytest.mark.parametrize(
    "name",
    [
        "never silent",
        "a way forward",
        "the open question comes last",
        "the stamp never falls",
        "reserved words work everywhere",
        "whoever has stopped hears nothing unasked",
        "an answer is not unasked",
        "steps are in order",
        "a turn fits into one LINE request",
        "limits",
    ],
)
def test_after_every_event(walked: Walked, name: str) -> None:
    """What the name says holds after every event in every state."""
    faults = walked.faults.pop(name, [])

    assert not faults, f"{len(faults)} faults:\n" + "\n".join(faults[:SHOWN])


def test_every_fault_has_its_test(walked: Walked) -> None:
    """Nothing that was found wrong is left unread."""
    assert not walked.faults


def test_every_reserved_word_is_judged() -> None:
    assert set(MEANS) == set(the_content().words.reserved)


def test_every_flow_is_reached(walked: Walked) -> None:
    assert set(walked.spots) == set(FLOWS)


def test_every_step_can_be_finished(walked: Walked) -> None:
    """Somebody got through all six, with a certificate, and into a second round."""
    states = walked.walk.states.values()
    content = walked.walk.content
    finished = {step for state in states for step in steps.done(state, content)}

    assert finished == {step.id for step in content.method.steps}
    assert any(state.journey.certificate for state in states)
    assert any(state.journey.number > 1 for state in states)


def test_content_may_be_replaced_under_everybody(walked: Walked) -> None:
    """Every question, lesson, exercise and course taken away, and rules too: nobody is stuck."""
    content = replaced(walked.walk.content)
    for state in walked.walk.states.values():
        before = FLOWS[state.floor.flow].ask(state, NOW, walked.walk.content)
        events: list[AnyEvent] = [Said(UNCLEAR), Said("ความคืบหน้า"), Said("ทำไมอยู่กลุ่มนี้")]
        events += [Pressed(str(state.stamp), choice.id) for choice in before.choices[:2]]
        for event in events:
            for step in play(state, event, NOW, content):
                ask = FLOWS[step.turn.state.floor.flow].ask(step.turn.state, NOW, content)
                assert ask.choices or ask.writes
                assert step.turn.replies


def test_everything_that_is_taught_is_shown(walked: Walked) -> None:
    """Every question, lesson, exercise and course had the floor."""
    content = walked.walk.content
    shelves = (content.questions, content.lessons, content.exercises)
    taught = {item.id for shelf in shelves for items in shelf.values() for item in items}

    assert taught | {course.id for course in content.courses} <= walked.items


def test_the_walk_is_large(walked: Walked) -> None:
    """A walk that ends early proves nothing."""
    walk = walked.walk
    print(f"{len(walk.states)} states, {walk.turns} turns, {len(walk.replies)} replies")

    assert walk.turns > 200_000
    assert len(walk.replies) > 2_500


def test_menu_offers_nothing_that_is_not_heard(content: Content) -> None:
    """Every word of the rich menu and of the commands is a reserved word that is understood."""
    words = {area.word for area in content.menu.areas} | {c.word for c in content.menu.commands}

    assert words <= set(content.words.reserved)


# --- both platforms, by their own specifications -------------------------------------------

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)
SOMCHAI = {"line": "U" + "1" * 32, "telegram": "1001"}

Everything = list[tuple[Reply, ...]]


@pytest.fixture(scope="module")
def said(walked: Walked, content: Content) -> Everything:
    """The replies of the walk, each once, of turns of every shape, and of every transcript."""
    played = [replies for path in dialogs() for replies in replies_of(path, content)]
    known = {repr(replies) for replies in played}
    heard = [*((reply,) for reply in walked.walk.replies.values()), *walked.walk.said.values()]
    return played + [replies for replies in heard if repr(replies) not in known]


def rows(channel: str, said: Everything) -> Iterator[Row]:
    """An outbox row for each platform request, as storage makes them."""
    pack = {"line": line.pack, "telegram": telegram.pack}[channel]
    for replies in said:
        for part in pack(replies):
            pictures = tuple(uuid4().hex for reply in part if reply.picture)
            request = Request(part, pictures)
            yield Row(0, str(uuid4()), channel, SOMCHAI[channel], "reply", request, 1, False)


async def _line(said: Everything) -> tuple[list[Outcome], Line]:
    platform = Line(clock=NOW.timestamp)
    async with platform.serve() as base:
        options = {"clock": lambda: NOW, "public_url": "https://kaona.example.go.th"}
        sender = line.LineSender("token", base=base, **options)
        await sender.start()
        try:
            return [await sender.send(row) for row in rows("line", said)], platform
        finally:
            await sender.close()


async def _telegram(said: Everything) -> tuple[list[Outcome], Telegram]:
    platform = Telegram(clock=NOW.timestamp)

    def draw(picture: Picture) -> bytes:
        return PNG

    async with platform.serve() as base:
        options = {"clock": lambda: NOW, "draw": draw, "pace": Pace(1e6)}
        sender = telegram.TelegramSender(platform.token, base=base, **options)
        await sender.start()
        try:
            return [await sender.send(row) for row in rows("telegram", said)], platform
        finally:
            await sender.close()


@needs_specs
def test_line_takes_everything_that_is_said(said: Everything) -> None:
    """Every message of the walk and the transcripts, as LINE's OpenAPI sees it."""
    outcomes, platform = asyncio.run(_line(said))

    assert {outcome.status for outcome in outcomes} == {"accepted"}
    assert len(platform.history) >= len(said) > 2000
    judged = outermost(platform.history)
    print(f"of {len(platform.history)} LINE requests {len(judged)} were judged")
    assert line_faults(judged) == []


@needs_specs
def test_telegram_takes_everything_that_is_said(said: Everything) -> None:
    """Every message of the walk and the transcripts, as the Bot API's specification sees it."""
    outcomes, platform = asyncio.run(_telegram(said))
    print(f"{len(platform.history)} Telegram requests judged")

    assert {outcome.status for outcome in outcomes} == {"accepted"}
    assert telegram_faults(platform.history) == []
    assert len(platform.history) >= len(said) > 2000
