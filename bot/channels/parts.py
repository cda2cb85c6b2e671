"""Making replies fit a platform: cut into pieces, never losing a word or a button."""

import unicodedata
from collections.abc import Iterator

from msgspec.structs import replace

from flows.text import split, utf16_len
from flows.types import Reply

CARD = 2000
"""UTF-16 units; a longer text reads better without a card around it."""
CARD_TITLE = 200


def sayable(replies: tuple[Reply, ...]) -> Iterator[Reply]:
    """The replies that say something, with each picture's text twin among them: flows write
    it, and it must be there. No platform takes a message without words."""
    for reply in replies:
        picture = reply.picture
        if picture and not any(picture.alt in other.text for other in replies):
            text = f"{reply.text}\n\n{picture.alt}" if reply.text.strip() else picture.alt
            yield replace(reply, text=text)
        elif reply.text.strip():
            yield reply
        elif reply.title or reply.choices:
            yield replace(reply, text=reply.title or "\u2026", title="")


def fold_title(reply: Reply) -> Reply:
    """A title that does not suit a card becomes the first line."""
    if reply.title and not is_card(reply):
        return replace(reply, text=titled(reply), title="")
    return reply


def is_card(reply: Reply) -> bool:
    return bool(
        reply.title.strip()
        and reply.text.strip()
        and utf16_len(reply.text) <= CARD
        and utf16_len(reply.title) <= CARD_TITLE
    )


def titled(reply: Reply) -> str:
    """The text with the title as its first line."""
    return f"{reply.title}\n{reply.text}" if reply.title else reply.text


def cut(reply: Reply, limit: int) -> list[Reply]:
    """Pieces whose text is within `limit`: what stands above the text stays on the first,
    the buttons on the last."""
    if 2 * len(reply.text) <= limit:
        return [reply]
    texts = split(reply.text, limit)
    if len(texts) == 1:
        return [reply]
    first = replace(reply, text=texts[0], choices=(), stamp="")
    middle = [Reply(text, notify=reply.notify, guard=reply.guard) for text in texts[1:-1]]
    last = replace(reply, text=texts[-1], title="", picture=None)
    return [first, *middle, last]


def clip(text: str, limit: int) -> str:
    """As much of a label as fits; content is checked at start-up, so this is the last resort."""
    if 2 * len(text) <= limit or utf16_len(text) <= limit:
        return text
    kept = text.encode("utf-16-le")[: 2 * (limit - 1)].decode("utf-16-le", "ignore")
    while kept and unicodedata.category(text[len(kept)])[0] == "M":  # its letter goes with it
        kept = kept[:-1]
    return kept + "\u2026"
