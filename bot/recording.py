"""A conversation with a learner in memory, written down as a transcript test."""

from datetime import datetime
from typing import Any

from msgspec.json import decode, encode

from content.schema import Content
from flows import transcript
from flows.engine import handle
from flows.types import AnyEvent, Choice, Found, Look, Pressed, Reply, Said, Started, State

SEED = 7
"""The same as in tests, so that options come in the same order."""
DPO = "dpo@agency.go.th"
SHELL: dict[str, Any] = {
    "claim": {"problem": "unknown"},
    "use": {"use": 1, "asked": False},
    "confirm_use": {"result": "not_yours"},
    "certificate": {"code": "ABCD-EFGH-JKLM-N"},
    "team": {"result": "none"},
    "weekly_team": {"result": "none"},
    "cheer": {"result": "not_yours"},
    "waiting": {"result": "", "next": None, "left": 0},
    "completed": {"names": []},
    "my_data": {"account": 2},
    "who_looked": {"rows": []},
    "copy": {"due": "2026-12-31T09:00:00+00:00"},
    "wish": {"kind": "correct", "due": "2026-12-31T09:00:00+00:00"},
    "rename": {},
    "undo_erase": {},
}
"""What a shell without a database answers to each `Look`; edit it in the transcript."""


class Recorder:
    """State goes through JSON between turns, as it does in the service and in tests."""

    def __init__(self, content: Content, now: datetime) -> None:
        self._content = content.model_copy(update={"dpo": DPO})
        self._now = now.replace(second=0, microsecond=0)
        self._state = State(SEED)
        self._said: list[Reply] = []
        self._inputs = 0
        self._lines = ["# Write here, in one sentence, what this shows."]
        self._lines.append(f"@ {transcript.moment(self._now)}")

    def start(self) -> list[Reply]:
        return self._take(Started())

    def say(self, text: str) -> list[Reply]:
        return self._take(Said(text, f"m{self._inputs + 1}"))

    def press(self, choice: Choice) -> list[Reply]:
        return self._take(Pressed(self._said[-1].stamp, choice.id))

    def choices(self) -> tuple[Choice, ...]:
        return self._said[-1].choices if self._said else ()

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"

    def _take(self, event: AnyEvent) -> list[Reply]:
        self._inputs += not isinstance(event, Found)
        line = transcript.line_of_event(event, self._said)
        self._lines += [line] if isinstance(event, Found) else ["", line]
        turn = handle(self._state, event, self._now, self._content)
        self._state = decode(encode(turn.state), type=State)
        self._said += turn.replies
        self._lines += transcript.lines_of(turn)
        replies = list(turn.replies)
        for effect in turn.effects:
            if isinstance(effect, Look):
                told = {**effect.args.get("data", {}), **SHELL[effect.what]}
                replies += self._take(Found(effect.what, told))
        return replies
