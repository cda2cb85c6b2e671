"""Conversations as plain text that an author can read and edit: one line per thing that happens."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import get_args

from msgspec import Struct, convert
from msgspec.json import decode, encode

from flows.calendar import ZONE, local
from flows.types import (
    AnyEffect,
    AnyEvent,
    CancelTimers,
    Choice,
    Effect,
    Erase,
    Fired,
    Forget,
    Found,
    Json,
    Kind,
    Left,
    Look,
    Pressed,
    Record,
    Reply,
    Said,
    Sent,
    SetTimer,
    Started,
    Tell,
    Turn,
    Unsent,
)

SPANS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
STANDING = "*"
"""The stamp of buttons that are good at any time."""
_MOVES = re.compile(r"\+(\d+)([mhdw])")
_PRESSES = re.compile(r"\[(?:(\d+|\*)#)?(.+)\](?: x(\d+))?")
_MARKS = re.compile(
    r"\((?:(\d+)([mhdw]) late\) (.+)"
    rf"|(start|left|unsend|{'|'.join(get_args(Kind))})(?: (\S+))?\))"
)


class Line(Struct, frozen=True):
    """One line of input: its sign, and what stands behind it."""

    sign: str
    text: str
    number: int = 0


class Fault(ValueError):
    """A line that cannot be read or played."""


# --- out of a conversation -----------------------------------------------------------


def lines_of(turn: Turn) -> list[str]:
    """What came of an event: its replies, then its effects."""
    said = [line for reply in turn.replies for line in lines_of_reply(reply)]
    return said + [line_of_effect(effect) for effect in turn.effects]


def lines_of_reply(reply: Reply) -> list[str]:
    """A message with its title, buttons and picture; further lines stand two spaces in."""
    body = [f"**{reply.title}**"] if reply.title else []
    body += reply.text.split("\n")
    extras = [f"[{_shown(choice)}]" for choice in reply.choices]
    extras += [f"(picture: {reply.picture.kind})"] if reply.picture else []
    if extras and len(body) == 1:
        body = [f"{body[0]}  {' '.join(extras)}"]
    elif extras:
        body.append(" ".join(extras))
    first, *more = body
    return [f"< {first}", *(f"  {line}".rstrip() for line in more)]


def _shown(choice: Choice) -> str:
    label = choice.label or choice.says
    return f"{label} → {choice.url}" if choice.url else label


def line_of_effect(effect: AnyEffect) -> str:
    match effect:
        case Record(kind, data):
            return _line("! Record", kind, data)
        case SetTimer(kind, key, due, data):
            return _line("! SetTimer", f"{kind} {key} {moment(due)}", data)
        case CancelTimers(kind):
            return f"! CancelTimers {kind or STANDING}"
        case Look(what, args):
            return _line("! Look", what, args)
        case Tell(whom, kind, data):
            return _line("! Tell", f"{whom} {kind}", data)
        case Forget(message):
            return f"! Forget {message}"
        case Erase() | Effect():
            return "! Erase"


def line_of_event(event: AnyEvent, offered: Sequence[Reply] = ()) -> str:
    """The input line of an event; `offered` are the messages whose buttons could be pressed."""
    match event:
        case Said(text):
            return "> " + " ".join(text.split())
        case Pressed(stamp, choice):
            return f"> [{stamp}#{_label(stamp, choice, offered)}]"
        case Sent(kind, ref):
            return f"> ({kind} {ref})" if ref else f"> ({kind})"
        case Started():
            return "> (start)"
        case Left():
            return "> (left)"
        case Unsent(message):
            return f"> (unsend {message})"
        case Fired(kind, _, data):
            return _line("~ Fired", kind, data)
        case Found(what, data):
            return _line("?", what, data)


def _label(stamp: str, choice: str, offered: Sequence[Reply]) -> str:
    for reply in offered:
        for each in reply.choices:
            if (reply.stamp, each.id) == (stamp, choice):
                return each.label or each.says
    return choice


def _line(sign: str, name: str, data: dict[str, Json]) -> str:
    return f"{sign} {name} {encode(data).decode()}" if data else f"{sign} {name}"


def moment(when: datetime) -> str:
    return f"{local(when):%Y-%m-%d %H:%M}"


# --- into a conversation -------------------------------------------------------------


def parse(text: str) -> list[Line]:
    """The inputs of a transcript; what the bot said and did is left out, to be played again."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        sign, _, rest = line.partition(" ")
        if not line.strip() or line.startswith(("  ", "<", "!")):
            continue
        found.append(Line(sign, rest.strip(), number))
    return found


def clock(text: str, now: datetime) -> datetime:
    """`2026-11-20 09:00` in local time, or `+3d` from now on."""
    if moves := _MOVES.fullmatch(text):
        return now + span(*moves.groups())
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=ZONE)


def span(count: str, unit: str) -> timedelta:
    return timedelta(**{SPANS[unit]: int(count)})


def heard(text: str, said: Sequence[Reply], message: str, now: datetime) -> list[AnyEvent]:
    """The events of a `>` line: a press, a mark in brackets, or words. `said` is everything the
    bot has said so far, oldest first; a press may be repeated, as in `[A] x5`."""
    if press := _PRESSES.fullmatch(text):
        return [_pressed(press[1] or "", press[2], said)] * int(press[3] or 1)
    if not (mark := _MARKS.fullmatch(text)):
        return [Said(text, message, now)]
    count, unit, late, word, rest = mark.groups()
    match word:
        case None:
            return [Said(late, message, now - span(count, unit))]
        case "start":
            return [Started(rest or "")]
        case "left":
            return [Left()]
        case "unsend":
            return [Unsent(rest or "")]
        case kind:
            return [Sent(convert(kind, Kind), rest or "", message)]


def _pressed(stamp: str, label: str, said: Sequence[Reply]) -> Pressed:
    """The button with that label: of the newest message with buttons, or of the named question."""
    for reply in reversed(said):
        if stamp and reply.stamp != stamp:
            continue
        for choice in reply.choices:
            if label in (choice.label, choice.says) and not choice.url:
                return Pressed(reply.stamp, choice.id)
        if reply.choices and not stamp:
            break
    raise Fault(f"no button [{label}] was offered")


def named(text: str) -> tuple[str, dict[str, Json]]:
    """A name and the JSON behind it, if any: `claim {"problem": "used"}`."""
    name, _, data = text.partition(" ")
    try:
        return name, decode(data) if data.strip() else {}
    except ValueError as error:
        raise Fault(f"not JSON: {data}") from error
