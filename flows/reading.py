"""Reading Thai: what a short answer means, whichever way it was typed."""

import re
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise

from msgspec.structs import replace

from content.schema import Lang, Words
from flows.clock import DAILY, Lexicon
from flows.text import plain
from flows.types import Choice

_NOT_LETTERS = re.compile(r"[^\w\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]+|_")
_REPEATED = re.compile(r"(\D)\1{2,}")
CLOSE = 0.84
"""How alike a typed answer and an option must be to be taken for the same."""


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """What is left when spelling of no meaning is taken away: case, spaces, marks of emphasis,
    Thai digits, doubled vowels."""
    text = _NOT_LETTERS.sub("", plain(text))
    return _REPEATED.sub(r"\1", text)


@lru_cache(maxsize=4096)
def bare(text: str, particles: tuple[str, ...]) -> str:
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
        self.reserved = {_key(way): word for word, ways in words.reserved.items() for way in ways}
        self.answers = {choice: {*map(fold, ways)} for choice, ways in words.answers.items()}
        self.letters = {fold(letter): i for i, letter in enumerate(words.letters)}
        self.letters |= {chr(ord("a") + i): i for i in range(len(words.letters))}
        self.yes = {fold(way) for way in words.yes}
        self.no = {fold(way) for way in words.no}
        self.yes_means, self.no_means = words.yes_means, words.no_means
        self.weekdays = words.weekdays
        self.until = "|".join(map(re.escape, words.until))
        self.times = Lexicon(words)
        self.prefixes = tuple(fold(way) for way in words.prefixes)

    def reserved_word(self, text: str) -> str | None:
        """The reserved word that this message is, if it is nothing else."""
        if len(text) > 60:
            return None
        return self.reserved.get(_key(text)) or self.reserved.get(bare(text, self.particles))

    def choice(
        self, text: str, choices: Sequence[Choice], *, own_words: bool = False
    ) -> str | None:
        """The id of the choice that a typed answer means: by its text, number or letter. Where
        somebody may answer in their own words, those are left to them unless they are a button's.
        """
        choices = [choice for choice in choices if not choice.url]
        folded = bare(text, self.particles)
        if not folded or len(text) > 400:
            return None
        found = (
            _same(text, choices, lambda way: way.strip().casefold())
            or _same(text, choices, fold)
            or _same(folded, choices, fold)
            or self._counted(folded, choices)
            or self._known(folded, choices)
            or self._yes_or_no(folded, choices)
        )
        if own_words:
            return found or _close(folded, [replace(choice, says="") for choice in choices])
        return found or _part(folded, choices) or _close(folded, choices)

    def days(self, text: str) -> tuple[int, ...]:
        """The weekdays that a text names, Monday = 0; one "until" another means all between."""
        text = text.lower()
        named: list[tuple[int, int, int]] = []  # from where, to where, which day
        ways = [(way, day) for day, ways in enumerate(self.weekdays) for way in ways]
        for way, day in sorted(ways, key=lambda pair: -len(pair[0])):  # a name may begin another
            for found in re.finditer(_word(way), text):
                if not any(start < found.end() and found.start() < end for start, end, _ in named):
                    named.append((found.start(), found.end(), day))
        days = {day for *_, day in named}
        named.sort()
        for (_, end, first), (start, _, last) in pairwise(named):
            if self.until and re.fullmatch(rf"\W*(?:{self.until})\W*", text[end:start].strip()):
                days |= set(range(first, last + 1))
        for kind, value in zip(*self.times.cut(text), strict=True):
            if kind == "x" and value != DAILY:  # working days, or the weekend
                days |= set(value)
        return tuple(sorted(days))

    def minute(self, text: str) -> int | None:
        """The time of day that a text names, in minutes after midnight."""
        return self.times.minute(text)

    def day_names(self, days: Sequence[int], lang: Lang) -> str:
        """Names of weekdays, Monday = 0."""
        gap = ", " if lang == "en" else " "
        return gap.join(self.weekdays[day][lang == "en"] for day in days)

    def _counted(self, folded: str, choices: Sequence[Choice]) -> str | None:
        while prefix := next((p for p in self.prefixes if folded.startswith(p)), ""):
            folded = folded[len(prefix) :]
        at = int(folded) - 1 if folded.isdecimal() and len(folded) < 3 else None
        if at is None:
            at = self.letters.get(folded)
        return choices[at].id if at is not None and 0 <= at < len(choices) else None

    def _known(self, folded: str, choices: Sequence[Choice]) -> str | None:
        """What people say instead of a button's words."""
        return next((c.id for c in choices if folded in self.answers.get(c.id, ())), None)

    def _yes_or_no(self, folded: str, choices: Sequence[Choice]) -> str | None:
        """A plain yes or no: buttons that say so, or the ones that it stands for."""
        for sign, ways, ids in (
            ("yes", self.yes, self.yes_means),
            ("no", self.no, self.no_means),
        ):
            if folded in ways:
                hits = (c.id for c in choices if c.id.partition("_")[0] == sign or c.id in ids)
                return next(hits, None)
        return None


def _key(text: str) -> str:
    """Folded, but a command keeps its stroke, and a sign such as "?" is itself."""
    stripped = text.strip()
    return "/" * stripped.startswith("/") + fold(text) or stripped


def _word(way: str) -> str:
    """A name as a pattern. Thai has no spaces between words, so a Thai name may stand within
    others; one of a letter or two, and any Latin one, must not."""
    way = way.lower()
    if way.isascii():
        return rf"\b{re.escape(way)}s?\b"
    if len(way.rstrip(".")) > 2:
        return re.escape(way)
    return rf"(?<![\u0e01-\u0e4e]){re.escape(way.rstrip('.'))}\.?(?![\u0e01-\u0e4e])"


def _wordings(choice: Choice) -> tuple[str, ...]:
    return tuple(fold(way) for way in (choice.says, choice.label) if way)


def _same(text: str, choices: Sequence[Choice], by: Callable[[str], str]) -> str | None:
    """The one choice that reads the same; formulas may differ in nothing but their signs."""
    wanted = by(text)
    hits = [c.id for c in choices if wanted == by(c.says) or wanted == by(c.label)]
    return hits[0] if len(hits) == 1 else None


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
