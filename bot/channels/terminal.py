"""The terminal as a channel: `kaona chat`. What is sent is read back from the outbox."""

from datetime import datetime

from flows.types import Choice, Reply
from storage.wire import Outcome, Row


class Local:
    """The sending half of channels that show the outbox itself: web chat and terminal."""

    async def send(self, row: Row) -> Outcome:
        return Outcome("accepted")

    async def fetch(self, row: Row) -> tuple[Outcome, bytes]:
        """Their photos are on disk already, under the reference itself."""
        return Outcome("accepted"), b""

    def lost(self, row: Row, now: datetime) -> Outcome:
        return Outcome("retry", "lost")


def numbered(choices: tuple[Choice, ...]) -> list[tuple[int, Choice]]:
    """Choices with the number that may be typed for them; pages to open have none."""
    answers = [choice for choice in choices if not choice.url]
    return list(enumerate(answers, 1))


def shown(reply: Reply) -> str:
    """A reply as text: title, words, and the numbered choices."""
    lines = [f"[bold]{_plain(reply.title)}[/bold]"] if reply.title else []
    lines.append(_plain(reply.text))
    if reply.picture is not None:
        lines.append(f"[dim]({reply.picture.kind})[/dim]")
    buttons = [f"[cyan]{n}[/cyan] {_plain(choice.label)}" for n, choice in numbered(reply.choices)]
    buttons += [f"{_plain(c.label)}: {c.url}" for c in reply.choices if c.url]
    if buttons:
        lines.append("  ".join(buttons))
    return "\n".join(lines)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")  # rich would read it as markup
