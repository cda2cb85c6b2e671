"""Sentences of `content/copy.*.toml` in the learner's language, and the choices between them."""

from functools import lru_cache

from content.schema import Content
from flows.reading import Reader
from flows.types import Choice, Json, Reply, State, Turn


def say(state: State, content: Content, key: str, **slots: Json) -> str:
    """The sentence called `key`, with its slots filled."""
    sentence = content.copy_[state.lang][key]
    return sentence.format_map(slots) if slots else sentence


def tell(state: State, content: Content, key: str, **slots: Json) -> Reply:
    """The sentence called `key` as a message of its own."""
    return Reply(say(state, content, key, **slots))


def choices(state: State, content: Content, *ids: str) -> tuple[Choice, ...]:
    """Buttons whose labels are the sentences `choice_<id>`."""
    labels = content.copy_[state.lang]
    return tuple(Choice(id, labels["choice_" + id]) for id in ids)


def put_off(state: State, content: Content, key: str = "see_you") -> Turn:
    """Not now: back to what was paused, or a rest from which the same thing can be taken up."""
    if state.paused:
        return Turn(state.back(), (tell(state, content, key),))
    return Turn(state.aside("home", "later", says=key))


def letters(state: State, content: Content) -> tuple[str, ...]:
    """What options are listed by."""
    return content.words.letters if state.lang == "th" else tuple("ABCDEFGHIJKLM")


def bullets(lines: list[str]) -> str:
    return "\n".join("• " + line for line in lines)


@lru_cache(maxsize=4)
def reader(content: Content) -> Reader:
    return Reader(content.words)
