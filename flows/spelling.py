"""Spelling that changes nothing: the wrong keyboard layout, missing tones, repeated letters, polite
words. What is left is a skeleton that people's ways of writing the same thing share."""

import re
from collections.abc import Container

from content.schema import Hearing
from flows.text import plain, tidy

LONGEST = 300
"""Letters that are looked at; nobody says what they want after so many."""
_THAI = "\u0e01-\u0e4e"
MARKS = "\u0e30-\u0e3a\u0e45\u0e47-\u0e4e"
"""Thai vowels and signs that are written after a letter: no word ends before one."""
_REPEATED = re.compile(r"(\D)\1{2,}")
_TWICE = re.compile(rf"([{_THAI}])\1(?=$|[^{_THAI}])")
_NOISE = re.compile(rf"[^a-z0-9{_THAI}%?/]+")
_GAPS = re.compile(rf"(?<=[{_THAI}]) | (?=[{_THAI}])")
_ODD = re.compile(r"[a-zA-Z][][;,\\][a-zA-Z]")
"""Signs between letters where nobody writes them, but where Thai letters are."""
_HAS_THAI = re.compile(rf"[{_THAI}]")
_HAS_LATIN = re.compile("[a-zA-Z]")
SURELY, BETTER = 0.8, 0.2
"""How plausible a text must be to stand as it is, and how much more its other layout."""


class Speller:
    """Brings texts to their skeleton, by the words of `content/intents/words.toml`."""

    def __init__(self, hearing: Hearing, known: Container[str]) -> None:
        self.known = known
        self._to_thai = str.maketrans(hearing.latin, hearing.thai)
        self._to_latin = str.maketrans(hearing.thai, hearing.latin)
        self._alike = str.maketrans(hearing.like, hearing.same, hearing.silent)
        ends, begins = (
            sorted({plain(word) for word in words}, key=len, reverse=True)
            for words in (hearing.ends, hearing.begins)
        )
        latin, thai = _sorted(ends)
        self._ends = re.compile(f"(?:(?<![a-z])(?:{latin})|(?<=..)(?:{thai})) *$")
        self._begins = re.compile(f"(?:{'|'.join(map(re.escape, begins))})(?: +|$)")

    def bones(self, text: str) -> str:
        """The skeleton of a text: small letters, no marks, one spelling for what sounds alike, and
        no gaps but between words that are not Thai."""
        text = _REPEATED.sub(r"\1", plain(text)).translate(self._alike)
        text = _TWICE.sub(r"\1", _NOISE.sub(" ", text))
        return _GAPS.sub("", text.strip())

    def typed(self, text: str) -> str:
        """The text as it was meant to be typed: in the other layout, if that alone makes sense."""
        text = tidy(text[:LONGEST])
        return self.retyped(text) or text

    def retyped(self, text: str) -> str | None:
        """The text in the other layout, if it makes sense only there."""
        text = tidy(text[:LONGEST])
        thai, latin = _HAS_THAI.search(text), _HAS_LATIN.search(text)
        if (thai and latin) or len(text) < 2:
            return None
        now = self.plausible(self.bones(text))
        if now >= SURELY and not _ODD.search(text):
            return None
        other = text.translate(self._to_latin if thai else self._to_thai)
        likely = self.plausible(self.bones(other))
        least = max(0.8 if thai else 0.5, now + BETTER)
        return other if likely >= least and len(text) >= 2 + 2 * bool(thai) else None

    def plausible(self, bones: str) -> float:
        """The share of a skeleton's triples of letters that are known from what people write."""
        grams = [f"^{bones}$"[at : at + 3] for at in range(len(bones))]
        return sum(gram in self.known for gram in grams) / len(grams) if grams else 0.0

    def core(self, text: str) -> str:
        """The skeleton of a text without polite words around it, if anything else is left."""
        text = _NOISE.sub(" ", _REPEATED.sub(r"\1", plain(text))).strip()
        before = ""
        while before != text:
            before = text
            if found := self._ends.search(text):
                text = text[: found.start()].rstrip() or text
            if found := self._begins.match(text):
                text = text[found.end() :].lstrip() or text
        return self.bones(text)


def _sorted(words: list[str]) -> tuple[str, str]:
    """Latin words, which stand alone, and Thai ones, as patterns."""
    latin = [re.escape(word) for word in words if word.isascii()]
    return "|".join(latin), "|".join(re.escape(word) for word in words if not word.isascii())
