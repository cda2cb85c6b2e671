"""What the people get to see, made by the code that sends: a message as LINE and as Telegram show
it."""

from msgspec import Struct

from bot import desk
from bot.channels import line, telegram
from bot.channels.parts import clip
from content.lint import LABEL
from content.schema import LANGS, Campaign, Content, Lang
from flows.types import Reply

PACKERS = {"line": line.pack, "telegram": telegram.pack}


class Bubble(Struct, frozen=True):
    """One message; on LINE with a title in bold letters where it is a card."""

    title: str
    text: str


class Preview(Struct, frozen=True):
    channel: str
    lang: Lang
    bubbles: list[Bubble]
    buttons: list[str]


def previews(spec: Campaign, content: Content) -> list[Preview]:
    """In both languages, its placeholders filled in with an example."""
    return [
        _shown(channel, lang, desk.sample(spec, lang, content))
        for lang in LANGS
        for channel in PACKERS
    ]


def _shown(channel: str, lang: Lang, reply: Reply) -> Preview:
    pieces = [piece for request in PACKERS[channel]((reply,)) for piece in request]
    bubbles = [Bubble(piece.title, piece.text) for piece in pieces]
    return Preview(channel, lang, bubbles, [clip(each.label, LABEL) for each in reply.choices])
