"""Transcripts: what is written is read again as the same events; a slip is named by its line."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.recording import Recorder
from content.schema import Content
from flows.transcript import Fault, clock, heard, line_of_event, moment, named
from flows.types import (
    AnyEvent,
    Choice,
    Fired,
    Found,
    Left,
    Pressed,
    Reply,
    Said,
    Sent,
    Started,
    Unsent,
)
from tests.dialog import played

NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
ASKED = (
    Reply("หนึ่ง", (Choice("a", "ก"), Choice("b", "ข")), "1"),
    Reply("สอง", (Choice("c", "ก"), Choice("d", "", "ข้อความเต็ม")), "2"),
    Reply("ไม่มีปุ่ม"),
)


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("> เมนู", Said("เมนู", "m1", NOW)),
        ("> [ก]", Pressed("2", "c")),
        ("> [ข้อความเต็ม]", Pressed("2", "d")),
        ("> [1#ข]", Pressed("1", "b")),
        ("> (sticker)", Sent("sticker", "", "m1")),
        ("> (photo p7)", Sent("photo", "p7", "m1")),
        ("> (start)", Started()),
        ("> (left)", Left()),
        ("> (unsend m3)", Unsent("m3")),
        ("> (ยิ้ม)", Said("(ยิ้ม)", "m1", NOW)),
        ("> (5m late) ก", Said("ก", "m1", NOW - timedelta(minutes=5))),
    ],
)
def test_a_line_is_an_event(line: str, event: AnyEvent) -> None:
    assert heard(line.removeprefix("> "), ASKED, "m1", NOW) == [event]


def test_a_press_can_be_repeated() -> None:
    assert heard("[ก] x3", ASKED, "m1", NOW) == [Pressed("2", "c")] * 3


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Said("สวัสดี\nครับ"), "> สวัสดี ครับ"),
        (Pressed("1", "b"), "> [1#ข]"),
        (Pressed("9", "x"), "> [9#x]"),
        (Sent("photo", "p7"), "> (photo p7)"),
        (Sent("voice"), "> (voice)"),
        (Started(), "> (start)"),
        (Left(), "> (left)"),
        (Unsent("m2"), "> (unsend m2)"),
        (Fired("study", "study", {"unanswered": 0}), '~ Fired study {"unanswered":0}'),
        (Found("claim", {"problem": "used"}), '? claim {"problem":"used"}'),
    ],
)
def test_an_event_is_a_line(event: AnyEvent, line: str) -> None:
    assert line_of_event(event, ASKED) == line


@pytest.mark.parametrize("text", ["[ค]", "[1#ค]", "[7#ก]"])
def test_only_what_was_offered_can_be_pressed(text: str) -> None:
    with pytest.raises(Fault, match="was offered"):
        heard(text, ASKED, "m1", NOW)


def test_clock() -> None:
    """Local time, or some time on."""
    assert clock(moment(NOW), NOW) == NOW
    assert clock("2026-11-20 09:00", NOW) == NOW
    assert clock("+3d", NOW) == NOW + timedelta(days=3)
    assert clock("+20m", NOW) == NOW + timedelta(minutes=20)


def test_named() -> None:
    assert named('claim {"problem": "used"}') == ("claim", {"problem": "used"})
    assert named("study") == ("study", {})
    with pytest.raises(Fault, match="not JSON"):
        named("claim {problem}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# One.\n> [ไม่มี]\n", "line 2: no button"),
        ("# One.\n@ 2026-11-20 09:00\n? claim {}\n", "line 3: nobody asked for claim"),
        ("# One.\ngiven planned\n> ข้อมูลของฉัน\n> เมนู\n", "line 4: wants the answer to Look"),
        ("# One.\nnext\n", "line 2: no line begins with 'next'"),
    ],
)
def test_a_slip_is_named_with_its_line(text: str, says: str, content: Content) -> None:
    with pytest.raises(Fault) as caught:
        played(text, content)

    assert str(caught.value).startswith(says)


def test_what_is_played_is_in_its_one_form(content: Content) -> None:
    """Playing a transcript that was played before changes nothing."""
    once = played("# One.\n@ 2026-11-20 09:00\n\n\n> (start)\n< old words\n> [English]\n", content)

    assert played(once, content) == once
    assert "old words" not in once


def test_a_recorded_talk_is_a_transcript(content: Content) -> None:
    """What `kaona chat --record` writes is played back word for word."""
    recorder = Recorder(content, NOW)
    recorder.start()
    for choice in ("agree", "no_allow", "guest"):
        offered = {each.id: each for each in recorder.choices()}
        recorder.press(offered[choice])
    recorder.say("ข้อมูลของฉัน")
    recorder.say("เมนู")

    assert played(recorder.text(), content) == recorder.text()
