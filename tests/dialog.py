"""Plays the transcripts of `tests/dialogs/` against the conversation: data in, text out."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from msgspec import to_builtins
from msgspec.json import decode, encode
from msgspec.structs import replace

from content.schema import Content
from flows.campaigns import message
from flows.engine import handle
from flows.transcript import Fault, Line, clock, heard, lines_of, lines_of_reply, named, parse
from flows.types import (
    AnyEvent,
    CancelTimers,
    Erase,
    Fired,
    Found,
    Look,
    Reply,
    SetTimer,
    State,
    Turn,
)
from tests.people import GIVEN

SEED = 7
SETTINGS = ("#", "@", "lang", "given")
"""Lines that set the scene."""

EVERY, MOST = " x*", 40
"""Ends a press that is repeated for as long as that button is offered, so many times at most."""


class Player:
    """One learner, a clock that stands still unless told, and a shell that is written down."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.state = State(SEED)
        self.said: list[Reply] = []
        self.turns: list[Turn] = []
        self.timers: dict[str, SetTimer] = {}
        self.open: Look | None = None
        """What the shell has been asked and has not answered yet."""
        self.messages = 0

    def take(self, event: AnyEvent) -> Turn:
        """One turn; the state goes through JSON before and after."""
        turn = handle(self.state, event, self.now, self.content)
        self.state = decode(encode(turn.state), type=State)
        for effect in turn.effects:
            assert decode(encode(to_builtins(effect))) is not None
            match effect:
                case SetTimer(kind):
                    self.timers[kind] = effect
                case CancelTimers(kind):
                    self.timers = {k: v for k, v in self.timers.items() if kind not in ("", k)}
                case Look():
                    self.open = effect
                case Erase():  # whoever writes on is somebody new
                    self.state = State(self.state.seed + 1, lang=self.state.lang)
        self.said += turn.replies
        self.turns.append(turn)
        return turn

    def play(self, line: Line) -> list[str]:
        """What a line of input brings about, as lines of output."""
        if self.open and line.sign != "?":
            raise Fault(f"wants the answer to Look {self.open.what}: ? {self.open.what} {{…}}")
        match line.sign:
            case "#":
                return []
            case "@":
                self.now = clock(line.text, self.now)
                return []
            case "lang":
                self.state = replace(self.state, lang=line.text)
                return []
            case "given":
                self.state = replace(GIVEN[line.text](self.now), lang=self.state.lang)
                return []
            case "campaign":
                return self._sent(line.text)
            case "~":
                turn = self.take(self._fired(line.text))
            case "?":
                turn = self.take(self._found(line.text))
            case ">":
                turn = self._hear(line.text)
            case _:
                raise Fault(f"no line begins with {line.sign!r}")
        return lines_of(turn)

    def _sent(self, name: str) -> list[str]:
        """A ready-made campaign arrives, as its seventh sending."""
        campaign = next(each for each in self.content.campaigns if each.id == name)
        self.said.append(message(campaign, 7, self.state.lang))
        return lines_of_reply(self.said[-1])

    def _hear(self, text: str) -> Turn:
        if text.endswith(EVERY):
            return self._press_on(text.removesuffix(EVERY))
        self.messages += 1
        events = heard(text, self.said, f"m{self.messages}", self.now)
        turn = self.take(events[0])
        for _ in events[1:]:  # the same label again, on the question that is open by then
            turn = self.take(heard(text, self.said, "", self.now)[0])
        return turn

    def _press_on(self, text: str) -> Turn:
        """The same label on every question that offers it: how many a series has is not known."""
        for _ in range(MOST):
            turn = self._hear(text)
            if not any(f"[{choice.label}]" == text for choice in self.said[-1].choices):
                return turn
        raise Fault(f"{text} was offered again and again")

    def _found(self, text: str) -> Found:
        """The shell's answer. A certificate is what was to be printed, with a code."""
        what, data = named(text)
        if what == "linked" and self.open is None:  # it comes by itself, from another chat
            return Found(what, data)
        if self.open is None or what != self.open.what:
            raise Fault(f"nobody asked for {what}")
        printed = self.open.args["data"] if what == "certificate" else {}
        self.open = None
        return Found(what, {**printed, **data})

    def _fired(self, text: str) -> Fired:
        """A timer as it was set, at once if its time has passed; or one with data of one's own."""
        kind, data = named(text.removeprefix("Fired "))
        due = None
        if not data and kind in self.timers:
            self.now = max(self.now, self.timers[kind].due)
            data, due = self.timers[kind].data, self.timers[kind].due
        return Fired(kind, kind, decode(encode(data)), due)


def played(text: str, content: Content) -> str:
    """The transcript with all that the bot says and does now, in its one canonical form."""
    player, written = Player(content), []
    head = True
    for line in parse(text):
        sets = line.sign in SETTINGS
        if line.sign in (">", "~", "campaign") or (sets and not head):
            written.append("")
        head = sets
        written.append(f"{line.sign} {line.text}")
        try:
            written += player.play(line)
        except Fault as fault:
            raise Fault(f"line {line.number}: {fault}") from fault
    return "\n".join(written) + "\n"


def replies_of(path: Path, content: Content) -> Iterator[tuple[Reply, ...]]:
    """What the bot says in a transcript, turn by turn."""
    player = Player(content)
    for line in parse(path.read_text(encoding="utf-8")):
        player.play(line)
    return (turn.replies for turn in player.turns if turn.replies)


def dialogs() -> list[Path]:
    return sorted((Path(__file__).parent / "dialogs").glob("*.txt"))
