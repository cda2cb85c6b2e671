"""Reading and cutting Thai: what an answer means, where a long text may break, dates as read."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import datetime
from difflib import SequenceMatcher
from functools import lru_cache

from content.schema import Lang, Words
from flows.types import Choice

THAI_DIGITS = {0x0E50 + digit: str(digit) for digit in range(10)}
_INVISIBLE = dict.fromkeys([0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD])
_NIKHAHIT_AA = "\u0e4d\u0e32"
_SARA_AM = "\u0e33"
_NOT_LETTERS = re.compile(r"[^\w\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]+|_")
_REPEATED = re.compile(r"(.)\1{2,}")
CLOSE = 0.84
"""How alike a typed answer and an option must be to be taken for the same."""


def clean(text: str) -> str:
    """Without NUL and lone surrogates, which no database keeps, and with one kind of newline."""
    text = text.replace("\x00", "").replace("\r\n", "\n")
    return text.encode("utf-8", "ignore").decode("utf-8")


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """What is left when spelling of no meaning is taken away: case, spaces, marks of emphasis,
    Thai digits, doubled vowels. Never NFKC: it would take SARA AM apart."""
    text = unicodedata.normalize("NFC", text.translate(_INVISIBLE)).lower()
    text = text.replace(_NIKHAHIT_AA, _SARA_AM).replace("\u0e40\u0e40", "\u0e41")
    text = _NOT_LETTERS.sub("", text.translate(THAI_DIGITS))
    return _REPEATED.sub(r"\1", text)


def bare(text: str, particles: Sequence[str]) -> str:
    """Folded, and without the polite particles at its end."""
    folded, before = fold(text), ""
    ends = [fold(particle) for particle in particles]
    while folded != before:
        before = folded
        for end in ends:
            if folded.endswith(end) and len(folded) > len(end):
                folded = folded[: -len(end)]
    return folded


class Reader:
    """Understands short answers by the words of `content/words.toml`; made once, at start."""

    def __init__(self, words: Words) -> None:
        self.particles = words.particles
        self.reserved = {fold(way): word for word, ways in words.reserved.items() for way in ways}
        self.letters = {fold(letter): i for i, letter in enumerate(words.letters)}
        self.letters |= {chr(ord("a") + i): i for i in range(len(words.letters))}
        self.yes = {fold(way) for way in words.yes}
        self.no = {fold(way) for way in words.no}
        self.weekdays = words.weekdays
        self.prefixes = tuple(fold(way) for way in words.prefixes)

    def reserved_word(self, text: str) -> str | None:
        """The reserved word that this message is, if it is nothing else."""
        if len(text) > 60:
            return None
        return self.reserved.get(fold(text)) or self.reserved.get(bare(text, self.particles))

    def choice(self, text: str, choices: Sequence[Choice]) -> str | None:
        """The id of the choice that a typed answer means: by its text, number or letter."""
        choices = [choice for choice in choices if not choice.url]
        folded = bare(text, self.particles)
        if not folded or len(text) > 400:
            return None
        return (
            _same(folded, choices)
            or self._counted(folded, choices)
            or self._yes_or_no(folded, choices)
            or _part(folded, choices)
            or _close(folded, choices)
        )

    def day_names(self, days: Sequence[int], lang: Lang) -> str:
        """Names of weekdays, Monday = 0."""
        return ", ".join(self.weekdays[day][lang == "en"] for day in days)

    def _counted(self, folded: str, choices: Sequence[Choice]) -> str | None:
        for prefix in self.prefixes:
            if folded.startswith(prefix) and len(folded) > len(prefix):
                folded = folded[len(prefix) :]
        at = int(folded) - 1 if folded.isdecimal() and len(folded) < 3 else None
        if at is None:
            at = self.letters.get(folded)
        return choices[at].id if at is not None and 0 <= at < len(choices) else None

    def _yes_or_no(self, folded: str, choices: Sequence[Choice]) -> str | None:
        meant = "yes" if folded in self.yes else "no" if folded in self.no else None
        return meant and next((c.id for c in choices if c.id.partition("_")[0] == meant), None)


def _wordings(choice: Choice) -> tuple[str, ...]:
    return tuple(fold(way) for way in (choice.says, choice.label) if way)


def _same(folded: str, choices: Sequence[Choice]) -> str | None:
    return next((c.id for c in choices if folded in _wordings(c)), None)


def _part(folded: str, choices: Sequence[Choice]) -> str | None:
    if len(folded) < 3:
        return None
    hits = [c.id for c in choices if any(folded in way for way in _wordings(c))]
    return hits[0] if len(hits) == 1 else None


def _close(folded: str, choices: Sequence[Choice]) -> str | None:
    if len(folded) < 4:
        return None

    def likeness(choice: Choice) -> float:
        return max(SequenceMatcher(None, folded, way).ratio() for way in _wordings(choice))

    ranked = sorted(((likeness(c), c.id) for c in choices if _wordings(c)), reverse=True)
    clear = len(ranked) == 1 or (len(ranked) > 1 and ranked[0][0] - ranked[1][0] > 0.05)
    return ranked[0][1] if ranked and ranked[0][0] >= CLOSE and clear else None


# --- cutting -------------------------------------------------------------------------


def utf16_len(text: str) -> int:
    """Length in UTF-16 code units, the unit of LINE and (safely) of Telegram."""
    return len(text) + sum(letter > "\uffff" for letter in text)


def split(text: str, limit: int, unit: Callable[[str], int] = utf16_len) -> list[str]:
    """Cut `text` into parts of at most `limit` units: at a blank line if there is one in the
    second half, else at a line, a space, a Thai word, and never inside a letter's cluster."""
    parts = []
    while unit(text) > limit:
        window = _prefix(text, limit, unit)
        at = _break(text, window)
        parts.append(text[:at].rstrip())
        text = text[at:].lstrip()
    if text or not parts:
        parts.append(text)
    return [part for part in parts if part] or [""]


def _prefix(text: str, limit: int, unit: Callable[[str], int]) -> int:
    """The longest count of letters that fits, by halving."""
    low, high = 0, min(len(text), limit)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if unit(text[:middle]) <= limit else (low, middle - 1)
    return low


def _break(text: str, window: int) -> int:
    for mark in ("\n\n", "\n", " "):
        at = text.rfind(mark, window // 2, window + 1)
        if at > 0:
            return at
    return _word_break(text, window) or _cluster_break(text, window)


def _word_break(text: str, window: int) -> int:
    from pythainlp.tokenize import word_tokenize  # the dictionary costs 0.6 s and 67 MB

    start = max(0, window - 200)
    at = start = _cluster_break(text, start) if start else 0
    for word in word_tokenize(text[start : window + 40], engine="newmm"):
        if at + len(word) > window:
            break
        at += len(word)
    return at if at > start and _joins(text, at) is False else 0


def _cluster_break(text: str, window: int) -> int:
    at = min(window, len(text))
    while at > 1 and _joins(text, at):
        at -= 1
    # a "letter" of nothing but marks is longer than the window: it must be cut somewhere
    return at if at > 1 or window <= 1 else window


def _joins(text: str, at: int) -> bool:
    """Whether the letters on both sides of `at` belong to one cluster."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if unicodedata.category(after) in ("Mn", "Me", "Mc") or after in "\u0e33\u200d\ufe0f\u0e45":
        return True
    if before == "\u200d" or "\U0001f3fb" <= after <= "\U0001f3ff":
        return True
    if "\u0e40" <= before <= "\u0e44":  # a leading vowel stays with its consonant
        return True
    run = 0  # flags are pairs of letters: an odd one before the cut belongs to the one after
    for letter in reversed(text[max(0, at - 32) : at]):
        if not "\U0001f1e6" <= letter <= "\U0001f1ff":
            break
        run += 1
    return run % 2 == 1 and "\U0001f1e6" <= after <= "\U0001f1ff"


# --- dates ---------------------------------------------------------------------------


def long_date(when: datetime, lang: Lang) -> str:
    """The day as people read it: in Thai with the Buddhist era, in English with ours."""
    if lang == "en":
        return f"{when.day} {when:%B %Y}"
    from pythainlp.util import thai_strftime

    return thai_strftime(when, "%-d %B %Y")


def short_date(when: datetime, lang: Lang) -> str:
    if lang == "en":
        return f"{when.day} {when:%b %Y}"
    from pythainlp.util import thai_strftime

    return thai_strftime(when, "%-d %b %Y")
