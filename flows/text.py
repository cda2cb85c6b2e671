"""Cutting Thai where a message must end, and dates as they are read."""

import re
import unicodedata
from datetime import date, datetime, time
from difflib import SequenceMatcher
from functools import lru_cache

from content.schema import Lang

THAI_DIGITS = {0x0E50 + digit: str(digit) for digit in range(10)}


_TAILS = "\u0e33\u0e45\u200c\u200d\ufe0f"
"""SARA AM, LAKKHANGYAO, joiners and the sign that makes an emoji: they end a cluster."""
_HEADS = "\u0e40\u0e41\u0e42\u0e43\u0e44\u200d"
"""Vowels that are written first, and the joiner: they begin one."""


def clean(text: str) -> str:
    """Without NUL and lone surrogates, which no database keeps, and with one kind of newline."""
    text = text.replace("\x00", "").replace("\r\n", "\n")
    return text.encode("utf-8", "ignore").decode("utf-8")


_INVISIBLE = dict.fromkeys([0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD])
_ALIKE = (("\u0e4d\u0e32", "\u0e33"), ("\u0e40\u0e40", "\u0e41"), ("\u2019", "'"))
"""Typed in two ways, and read the same: NIKHAHIT and AA for SARA AM, two SARA E for SARA AE."""


def plain(text: str) -> str:
    """In small letters, with our digits, and each letter typed in one way. Never NFKC: it would
    take SARA AM apart."""
    text = unicodedata.normalize("NFC", text.translate(_INVISIBLE)).lower().translate(THAI_DIGITS)
    for way, other in _ALIKE:
        text = text.replace(way, other)
    return text


_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


def tidy(text: str) -> str:
    """As it was written, but for blanks, what cannot be seen, and letters typed in two ways."""
    text = unicodedata.normalize("NFC", clean(text).translate(_INVISIBLE))
    for way, other in _ALIKE[:2]:
        text = text.replace(way, other)
    return _BLANK.sub(" ", text).strip()


# --- cutting -------------------------------------------------------------------------


def utf16_len(text: str) -> int:
    """Length in UTF-16 code units, the unit of LINE and (safely) of Telegram."""
    return len(text) + sum(letter > "\uffff" for letter in text)


def split(text: str, limit: int) -> list[str]:
    """Cut `text` into parts of at most `limit` UTF-16 units: at a blank line if there is one in
    the second half, else at a line, a space, a Thai word, and never inside a letter's cluster."""
    parts = []
    while len(text) > limit or utf16_len(text) > limit:
        at = _break(text, _prefix(text, limit))
        parts.append(text[:at].rstrip())
        text = text[at:].lstrip()
    return [part for part in (*parts, text) if part] or [""]


def _prefix(text: str, limit: int) -> int:
    """The longest count of letters that fits, by halving."""
    low, high = 0, min(len(text), limit)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if utf16_len(text[:middle]) <= limit else (low, middle - 1)
    return max(low, 1)


def _break(text: str, window: int) -> int:
    for mark in ("\n\n", "\n", " "):
        at = text.rfind(mark, window // 2, window + 1)
        if at > 0 and not _joins(text, at) and not _joins(text, at + 1):
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
    if unicodedata.category(after) in ("Mn", "Me", "Mc") or after in _TAILS or before in _HEADS:
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":
        return True  # a colour of skin, or the name of a flag in tags
    # flags are pairs of letters: an odd one before the cut belongs to the one after
    return _is_flag(after) and _flags(text, at) % 2 == 1


def _is_flag(letter: str) -> bool:
    return "\U0001f1e6" <= letter <= "\U0001f1ff"


def _flags(text: str, at: int) -> int:
    """How many letters of flags stand right before `at`."""
    start = at
    while start and _is_flag(text[start - 1]):
        start -= 1
    return at - start


# --- dates ---------------------------------------------------------------------------


def buddhist_year(day: date) -> int:
    """The year of a day in the Buddhist era."""
    return _other_era(day.year, "ad", "be")


def common_year(year: int) -> int:
    """The year of our era in which a Buddhist-era year is."""
    return _other_era(year, "be", "ad")


@lru_cache(maxsize=256)
def _other_era(year: int, era: str, other: str) -> int:
    from pythainlp.util import convert_years

    return int(convert_years(str(year), src=era, target=other))


def long_date(when: date, lang: Lang) -> str:
    """The day as people read it: in Thai with the Buddhist era, in English with ours."""
    return f"{when.day} {when:%B %Y}" if lang == "en" else _thai(when, "%-d %B %Y")


def short_date(when: date, lang: Lang) -> str:
    return f"{when.day} {when:%b %Y}" if lang == "en" else _thai(when, "%-d %b %Y")


def _thai(when: date, form: str) -> str:
    from pythainlp.util import thai_strftime

    return thai_strftime(datetime.combine(when, time()), form)


# --- what has changed ------------------------------------------------------------------


def words(text: str) -> list[str]:
    """The words of a text and what is between them; joined they are the text."""
    from pythainlp.tokenize import word_tokenize

    return list(word_tokenize(text, engine="newmm", keep_whitespace=True)) if text else []


def differences(before: str, after: str) -> list[tuple[str, str]]:
    """Word by word: pieces that stayed (""), went ("del") or came ("ins"), in reading order."""
    old, new = words(before), words(after)
    found: list[tuple[str, str]] = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            found.append(("", "".join(old[a:b])))
            continue
        for mark, piece in (("del", "".join(old[a:b])), ("ins", "".join(new[c:d]))):
            if piece:
                found.append((mark, piece))
    return found


# --- what is a word ---------------------------------------------------------------------

THAI = re.compile(r"[\u0e01-\u0e2e\u0e30-\u0e3a\u0e40-\u0e45\u0e47-\u0e4e]+")
"""A run of Thai letters and signs, without digits, MAI YAMOK and marks of abbreviation."""


class Dictionary:
    """Thai words, how often they are written, and what may be meant by what is none; made once.
    Everything comes with PyThaiNLP: nothing is fetched."""

    def __init__(self, extra: tuple[str, ...] = ()) -> None:
        from pythainlp.corpus import phupha, thai_orst_words, thai_words, ttc
        from pythainlp.util import dict_trie

        words = set(thai_words()) | set(extra)
        self._extra = frozenset(extra)
        self._trie = dict_trie(words)
        self._known = words | set(thai_orst_words())
        self._written = phupha.unigram_word_freqs()
        self._in_print = ttc.unigram_word_freqs()

    def cut(self, text: str) -> list[str]:
        """The words of a text, without blanks between them."""
        from pythainlp.tokenize import word_tokenize

        cut = word_tokenize(text, custom_dict=self._trie, engine="newmm", keep_whitespace=False)
        return [word for word in cut if word.strip()]

    def knows(self, word: str) -> bool:
        return word in self._known

    def is_scrap(self, word: str) -> bool:
        """A letter or two that are hardly a word by themselves: what is left of a slip, when the
        words around it are cut off."""
        if word in self._extra or len(word) > 2:
            return False
        return len(word) == 1 or self._in_print.get(word, 0) < SCRAP

    def often(self, word: str) -> int:
        """How often a word stands in the web pages of Phupha (26 thousand million words)."""
        return self._extra_often if word in self._extra else self._written.get(word, 0)

    _extra_often = 1 << 40

    def near(self, word: str) -> list[str]:
        """Known words that differ by a letter, the most frequent first."""
        made = {word[:i] + word[i + 1 :] for i in range(len(word))}
        for letter in _LETTERS:
            made |= {word[:i] + letter + word[i:] for i in range(len(word) + 1)}
            made |= {word[:i] + letter + word[i + 1 :] for i in range(len(word))}
        found = (made & self._known) - {word}
        return sorted(found, key=lambda way: -self._written.get(way, 0))[:3]


SCRAP = 30
"""Times that a word of two letters stands in the Thai Textbook Corpus, at least."""
_LETTERS = "".join(
    map(chr, (*range(0x0E01, 0x0E2F), *range(0x0E30, 0x0E3A), *range(0x0E40, 0x0E4E)))
)
