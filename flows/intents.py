"""What somebody wants, from how they say it: one of a few intents, and how sure that is.

A message is brought to its skeleton (flows/spelling.py) and taken apart into pieces of letters,
ideas that its words stand for, and pairs of those. Every piece weighs for or against each intent;
the weights were learned from labelled messages (tests/understanding) and are data.
"""

import math
import re
from base64 import b64decode
from datetime import datetime
from functools import lru_cache
from itertools import pairwise

from msgspec import Struct

from content.schema import Content, Hearing, Mind
from flows.details import CODE, SHORTEST_CODE, Finder, Slots
from flows.spelling import Speller

UNKNOWN = "unknown"
CODED = "coded"
"""The idea of something that looks like a code."""
LIKELY = 0.5
"""Below this, an intent is not believed."""
SPOKEN = 0.45
"""So plausible must letters be, or they are no words (`Speller.plausible`)."""
SIZES = (2, 3, 4)
"""Lengths of pieces, in letters of a skeleton."""
MIDDLE = 128
"""A weight is a byte; this one weighs nothing."""
_NUMBER = re.compile("[0-9]+")


class Understood(Struct, frozen=True):
    """What a message means. `guesses` are intents it may mean, the likeliest first, with their
    probabilities."""

    text: str
    intent: str
    slots: Slots
    confidence: float
    guesses: tuple[tuple[str, float], ...] = ()


class Listener:
    """Weighs what messages mean; made once, at start."""

    def __init__(self, hearing: Hearing, mind: Mind) -> None:
        self.careful = hearing.careful
        known = {mind.known[at : at + 3] for at in range(0, len(mind.known), 3)}
        self.speller = Speller(hearing, known)
        self.intents = mind.intents
        self.scale = mind.scale
        weights, width = b64decode(mind.weights), len(mind.intents)
        self.rows = {
            piece: weights[at * width : at * width + width]
            for at, piece in enumerate(mind.pieces.split("\n"))
            if piece
        }
        self._ideas = {
            self.speller.bones(word): idea
            for idea, words in hearing.ideas.items()
            for word in words
        }
        self._areas = {
            self.speller.bones(word): area
            for area, words in hearing.areas.items()
            for word in words
        }
        self._longest = max(map(len, (*self._ideas, *self._areas)), default=0)

    # --- taking apart ----------------------------------------------------------------

    def pieces(self, typed: str) -> list[str]:
        """What the meaning of a text hangs on: pieces of its skeleton, ideas, and pairs of them."""
        coded = CODE.sub(_as_code, typed)
        core = self.speller.core(coded)
        ideas, free = self.ideas(core)
        core = _NUMBER.sub("0", core)
        found = [
            f"^{core}$"[at : at + size] for size in SIZES for at in range(len(core) + 3 - size)
        ]
        found += [f"={core}"] if len(core) <= 24 else []
        whole = self.speller.bones(coded)
        found += [f"~{whole}"] if len(whole) <= 16 else []
        ideas += [CODED] if coded != typed else []
        found += [f"#{idea}" for idea in ideas]
        found += [f"#{one}>{other}" for one, other in pairwise(("", *ideas, ""))]
        distinct = sorted(set(ideas))
        found += [f"#{a}&{b}" for at, a in enumerate(distinct) for b in distinct[at + 1 :]]
        found += [
            f"#free{_bucket(free)}",
            f"#long{_bucket(len(core))}",
            f"#many{min(len(ideas), 8)}",
        ]
        return [*dict.fromkeys(found)]

    def ideas(self, core: str) -> tuple[list[str], int]:
        """The ideas of a skeleton in their order, and how many letters stand for none."""
        ideas: list[str] = []
        free = at = 0
        while at < len(core):
            end, idea = self._idea(core, at)
            if not idea:
                free += core[at] != " "
            elif not ideas or ideas[-1] != idea:
                ideas.append(idea)
            at = end
        return ideas, free

    def _idea(self, core: str, at: int) -> tuple[int, str]:
        """The longest word at a place that stands for an idea, and where it ends."""
        if core[at].isascii() and core[at].isalnum() and at and _is_latin(core[at - 1]):
            return at + 1, ""
        for end in range(min(len(core), at + self._longest), at, -1):
            word = core[at:end]
            idea = self._ideas.get(word) or (self._areas.get(word) and "area")
            if idea and not (_is_latin(word[-1]) and end < len(core) and _is_latin(core[end])):
                return end, idea
        return at + 1, ""

    # --- weighing --------------------------------------------------------------------

    def judge(self, typed: str) -> list[tuple[float, str]]:
        """Every intent with its probability, the likeliest first. One that must not be guessed is
        put last, if too little speaks for it."""
        pieces = self.pieces(typed)
        ranked = self.weigh(pieces)
        likely, intent = ranked[0]
        if (careful := self.careful.get(intent)) is None:
            return ranked
        ideas = {piece[1:] for piece in pieces if piece.startswith("#")}
        strayed = not ideas.isdisjoint(careful.strays)
        least = careful.surely if strayed else careful.sure
        if likely >= least and not ideas.isdisjoint((*careful.needs, CODED)):
            return ranked
        return [*ranked[1:], ranked[0]]

    def spoken(self, typed: str) -> bool:
        """Whether these are words at all."""
        bones = self.speller.bones(typed)
        said_before = f"~{bones}" in self.rows or CODE.search(typed) is not None
        return said_before or self.speller.plausible(bones) >= SPOKEN

    def weigh(self, pieces: list[str]) -> list[tuple[float, str]]:
        """Every intent with its probability, the likeliest first, by nothing but the weights."""
        rows = [self.rows[piece] for piece in pieces if piece in self.rows]
        many = len(rows)
        sums = [(sum(column) - MIDDLE * many) * self.scale for column in zip(*rows, strict=True)]
        top = max(sums, default=0.0)
        powers = [math.exp(logit - top) for logit in sums] or [0.0]
        total = sum(powers)
        ranked = zip((power / total for power in powers), self.intents, strict=False)
        return sorted(ranked, reverse=True)


def _as_code(found: re.Match[str]) -> str:
    """A code is a code, whatever its letters are."""
    letters = found[0].replace("-", "")
    return " code0 " if len(letters) >= SHORTEST_CODE else found[0]


def _is_latin(letter: str) -> bool:
    return letter.isascii() and letter.isalnum()


def _bucket(many: int) -> int:
    """Coarser, the larger a number is."""
    return next((at for at, most in enumerate((0, 2, 5, 9, 14, 20, 30, 45)) if many <= most), 8)


def understand(text: str, now: datetime, content: Content, zone: str = "") -> Understood:
    """What a message means, with its details; `now` is aware, `zone` the reader's (IANA)."""
    ears = listener(content)
    typed = ears.speller.typed(text)
    if not typed:
        return Understood(text, UNKNOWN, {}, 1.0)
    ranked = ears.judge(typed)
    likely, intent = ranked[0]
    guesses = tuple((each, share) for share, each in ranked[:3])
    if likely < LIKELY:
        intent = UNKNOWN
    if not ears.spoken(typed):
        intent, likely, guesses = UNKNOWN, 1.0, ()
    slots = finder(content).slots(intent, typed, now, zone)
    return Understood(text, intent, slots, round(likely, 3), guesses)


def named_language(text: str, content: Content) -> str | None:
    """The language that a message names last, as the reserved word for it."""
    ears = listener(content)
    ideas = ears.ideas(ears.speller.core(ears.speller.typed(text)))[0]
    return next((idea for idea in reversed(ideas) if idea in ("thai", "english")), None)


@lru_cache(maxsize=4)
def finder(content: Content) -> Finder:
    return Finder(content)


def listener(content: Content) -> Listener:
    """The same for every content that is laid over these files: making one takes a tenth of a
    second."""
    return _listener(content.hearing, content.mind)


@lru_cache(maxsize=4)
def _listener(hearing: Hearing, mind: Mind) -> Listener:
    return Listener(hearing, mind)
