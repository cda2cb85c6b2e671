"""Words of time, cut into tokens; and times of day among them, as Thai and English count them.

A token is one letter for its kind and a value, so that grammar can be written as patterns over
kinds: `nG` is a number and then *mong*.
"""

import re
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from content.schema import Words
from flows.text import plain

WORKDAYS, WEEKEND, DAILY = (0, 1, 2, 3, 4), (5, 6), (0, 1, 2, 3, 4, 5, 6)

_CLOCK = re.compile(r"(?<!\d)(\d{1,2})[.:](\d{2})(?![\d/]|[.:]\d)")
_DATE = re.compile(
    r"(?<!\d)(?:(?P<iso>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})"
    r"|(?P<day>\d{1,2})/(?P<month>\d{1,2})(?:/(?P<year>\d{4}|\d{2}))?)(?![\d/])"
)
_DIGITS = re.compile(r"(?<!\d)(\d{1,9})(?!\d)(?:(?:st|nd|rd|th)\b)?")
_GAP = re.compile(r"(?:[^\w\u0e31\u0e34-\u0e3a\u0e47-\u0e4e&–-]|[_\u0e46])+")
_MARKS = "\u0e30-\u0e3a\u0e45\u0e47-\u0e4e"
"""Thai vowels and signs that are written after a letter: no word ends before one."""

_MINUTES = "(?:H|n(?![muvsG@])k?)?"
"""After the hour: half past, or minutes; but not the number of a date or of days."""
_TIMES = "|".join(
    f"@?(?:{way})"
    for way in (
        f"[CBY]?nU{_MINUTES}|[CBY]?UH?",
        f"Xn{_MINUTES}",
        f"B(?:nG?|G){_MINUTES}Y?",
        f"[CY]?nG[CY]?{_MINUTES}[CY]?",
        "[CBY]?K[ap]?o?[CBY]?",
        "Hzn[apCBY]?",
        f"n(?:[ap]|o{_MINUTES}[CBY]?)|(?<!Z)n[CBY]",
        f"N{_MINUTES}|M",
    )
)


class Tokens(NamedTuple):
    """A text as kinds, a letter each, with a value for every letter. `?`: no word of time."""

    kinds: str
    values: list[Any]

    def reduce(self, pattern: str, kind: str, value: Callable[[str, list[Any]], Any]) -> "Tokens":
        """With every part that matches replaced by one token; a value of None leaves it alone."""
        kinds, values, at = "", [], 0
        for found in re.finditer(pattern, self.kinds):
            start, end = found.span()
            made = value(found[0], self.values[start:end])
            if made is not None:
                kinds += self.kinds[at:start] + kind
                values += [*self.values[at:start], made]
                at = end
        return Tokens(kinds + self.kinds[at:], values + self.values[at:])


class Lexicon:
    """Cuts texts into tokens by the words of `content/words.toml`; made once, at start."""

    def __init__(self, words: Words) -> None:
        ways = {plain(name): meaning for *meaning, names in _meanings(words) for name in names}
        longest = sorted(ways, key=lambda way: (way[0], -len(way)))
        self._words = {  # by their first letter: a text is cut at every letter that is unknown
            first: _Shelf([(way, ways[way]) for way in group])
            for first, group in groupby(longest, key=lambda way: way[0])
        }

    def cut(self, text: str) -> Tokens:
        """All of a text; its numbers and times of day (kind `t`, minutes after midnight) are put
        together already."""
        return _together([*self._tokens(plain(text))])

    def cut_whole(self, text: str) -> Tokens | None:
        """The same, if there is nothing in it but words of time; most texts are soon told apart."""
        cut = []
        for token in self._tokens(plain(text)):
            if token[0] == "?":
                return None
            cut.append(token)
        return _together(cut)

    def minute(self, text: str) -> int | None:
        """The first time of day in a text, in minutes after midnight; a number alone is an hour."""
        tokens = self.cut(text)
        if "t" in tokens.kinds:
            return int(tokens.values[tokens.kinds.index("t")])
        at = tokens.kinds.find("n") if "K" not in tokens.kinds else -1
        return tokens.values[at] * 60 if at >= 0 and tokens.values[at] < 24 else None

    def _tokens(self, text: str) -> Iterator[tuple[str, Any]]:
        at = 0
        while at < len(text):
            end, kind, value = self._token(text, at)
            if kind:
                yield kind, value
            at = end

    def _token(self, text: str, at: int) -> tuple[int, str, Any]:
        """Where the token at a place ends, and what it is; without a kind it changes nothing."""
        if found := _GAP.match(text, at):
            return found.end(), "", None
        if found := _DATE.match(text, at):
            return found.end(), "D", found.groupdict()
        if found := _CLOCK.match(text, at):
            return found.end(), "K", (int(found[1]), int(found[2]))
        if found := _DIGITS.match(text, at):
            return found.end(), "n", int(found[1])
        shelf = self._words.get(text[at])
        return (shelf and shelf.match(text, at)) or (at + 1, "?", None)


class _Shelf:
    """The words that begin with one letter, the longest first, and what they mean."""

    def __init__(self, words: list[tuple[str, list[Any]]]) -> None:
        self._pattern = re.compile("|".join(f"({_pattern(way)})" for way, _ in words))
        self._meanings = [meaning for _, meaning in words]

    def match(self, text: str, at: int) -> tuple[int, str, Any] | None:
        found = self._pattern.match(text, at)
        if found is None or found.lastindex is None:
            return None
        kind, value = self._meanings[found.lastindex - 1]
        return found.end(), kind, value


def _meanings(words: Words) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """Kind, value and names of every word."""
    times = words.times
    yield from (("", None, words.particles), ("", None, times.filler))
    for kind, names in {
        "E": times.every, "&": times.also, "-": times.until, "h": times.next, "i": times.ahead,
        "v": times.day, "k": times.minute, "s": times.sunday_or_week, "Z": times.date,
        "c": times.remind, "S": times.stop, "P": times.pause, "@": times.at,
        "C": times.morning, "B": times.afternoon, "Y": times.evening, "a": times.am,
        "p": times.pm, "G": times.mong, "U": times.thum, "X": times.ti, "o": times.oclock,
        "N": times.noon, "M": times.midnight, "H": times.half, "z": times.past,
    }.items():  # fmt: skip
        yield kind, None, names
    yield from (("u", "week", times.week), ("u", "month", times.month), ("u", "hour", times.hour))
    soon = (times.today, times.tomorrow, times.day_after, times.third_day)
    yield from (("r", n, names) for n, names in enumerate(soon))
    yield from (
        ("x", WORKDAYS, times.workdays),
        ("x", WEEKEND, times.weekend),
        ("x", DAILY, times.daily),
    )
    yield from (("m", month, names) for month, names in enumerate(times.months, 1))
    yield from (("q", number, names) for number, names in times.numbers.items())
    for day, names in enumerate(words.weekdays):
        mine = tuple(name for name in names if name not in times.sunday_or_week)
        yield "w", day, mine
        yield "W", day, tuple(f"{name}s" for name in mine if name.isascii() and len(name) > 5)


def _pattern(way: str) -> str:
    """A word as a pattern: Latin ones stand alone, and so do those that may lose their dots."""
    if not way[0].isalpha():
        return re.escape(way)
    if way.isascii():
        inside = re.escape(way).replace(r"\ ", r"\s+").replace(r"\.", r"\.?")
        return rf"(?<![a-z]){inside}(?![a-z])"
    if way.endswith("."):
        return r"(?<![\u0e01-\u0e4e])" + way.replace(".", r"\.?") + r"(?![\u0e01-\u0e4e])"
    return re.escape(way) + f"(?![{_MARKS}])"


def _together(cut: list[tuple[str, Any]]) -> Tokens:
    tokens = Tokens("".join(kind for kind, _ in cut), [value for _, value in cut])
    tokens = tokens.reduce("Bqqq?q?", "t", _spelled)
    tokens = tokens.reduce("q+", "n", lambda _, parts: _number(parts))
    return tokens.reduce(_TIMES, "t", _minute).reduce("@?n@|@n(?![usvk])", "t", _minute)


def _spelled(kinds: str, values: list[Any]) -> int | None:
    """An afternoon's hour and its minutes, both spelled. "Two three ten" may be many things."""
    hour, *minutes = values[1:]
    either = hour + 1 == minutes[0] and minutes[1:] == [10]
    minute = _number(minutes)
    if either or hour > 6 or minute is None or not 5 <= minute < 60:
        return None
    return int(hour) * 60 + 720 + minute


def _number(parts: list[int]) -> int | None:
    """Spelled numbers up to 99; a number and the next one ("two, three days") are the larger."""
    match parts:
        case [number]:
            return number
        case [10, ones] if ones < 10:
            return 10 + ones
        case [tens, 10, *ones] if tens < 10 and sum(ones) < 10:
            return tens * 10 + sum(ones)
        case [20 | 30 | 40 as tens, ones] if ones < 10:
            return tens + ones
        case [fewer, more] if fewer + 1 == more < 10:
            return more
        case _:
            return None


def _minute(kinds: str, values: list[Any]) -> int | None:
    """The minute after midnight that a time of day means."""
    numbers = [value for kind, value in zip(kinds, values, strict=True) if kind == "n"]
    if "M" in kinds or "N" in kinds:
        hour = 0 if "M" in kinds else 12
    elif "K" in kinds:
        hour, minute = values[kinds.index("K")]
        numbers = [minute]
        if set(kinds) & set("apBY"):  # else it is of the day's 24 already
            hour = _hour(hour, kinds)
    else:  # one o'clock is said without its number
        hour = _hour(1 if re.match("@?[CBY]?[GU]", kinds) else numbers.pop(0), kinds)
    minute = 30 if "H" in kinds else sum(numbers)
    return hour * 60 + minute if 0 <= hour < 24 and minute < 60 else None


def _hour(hour: int, kinds: str) -> int:
    """The hour of the day, or -1. Thai counts anew from six in the evening, from midnight, and for
    some from six in the morning; without a word for the part of the day, nobody means the night.
    """
    early = 1 <= hour <= 6
    if "X" in kinds:
        return hour if early else -1
    if "U" in kinds:
        return (18 + hour) % 24 if early else -1
    if "a" in kinds:
        return hour % 12 if 1 <= hour <= 12 else -1
    if set(kinds) & set("pBY"):
        return hour % 12 + 12 if hour <= 12 else hour
    if "C" in kinds:
        return hour + 6 if "G" in kinds and hour < 6 else hour
    if "o" in kinds:
        return hour
    return hour + 12 if early and ("G" not in kinds or hour < 6) else hour
