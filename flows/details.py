"""What a message names beside what it wants: times, periods, topics, units, numbers, codes."""

import re
from calendar import monthrange
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any

from content.schema import Content
from flows.calendar import local
from flows.clock import DAILY, Tokens
from flows.spelling import MARKS
from flows.text import plain
from flows.when import lexicon, named_day, put_together

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TAKES = {
    "remind": ("time", "date", "weekdays", "period"),
    "snooze": ("time", "date", "period"),
    "team_digest": ("unit", "period"),
    "lesson": ("area", "number"),
    "quiz": ("area", "number"),
    "review": ("area", "number"),
    "plan": ("area", "weekdays"),
    "progress": ("area",),
    "result": ("area",),
    "claim_code": ("code",),
}
"""What each intent has a use for; others take nothing."""
CODE = re.compile(
    r"(?<![a-z0-9-])(?:(?=[a-z0-9-]*[a-z])(?=[a-z0-9-]*[0-9])[a-z0-9]+(?:-[a-z0-9]+)*"
    r"|[a-z]{4}(?:-[a-z]{4})+-[a-z]{1,4})(?![a-z0-9-])",
    re.IGNORECASE,
)
"""Letters and figures, or letters in groups of four."""
_GROUPS = re.compile(
    r"(?<![A-Za-z0-9-])(?:[A-Z0-9]{2,5}|(?=[a-z]*[0-9])[a-z0-9]{2,5})"
    r"(?:[ -]+(?:[A-Z0-9]{1,5}|(?=[a-z]*[0-9])[a-z0-9]{1,5})){1,4}(?![A-Za-z0-9-])"
)
_FIGURES = re.compile(r"(?<![\d-])\d+(?:-\d+)*(?![\d-])")
SHORTEST_CODE = 6
_LATIN_WORD = re.compile(r"[A-Za-z][A-Za-z&'-]*")

Slots = dict[str, Any]


class Finder:
    """Finds details, by the words of `content/intents/words.toml`; made once, at start."""

    def __init__(self, content: Content) -> None:
        self.content, self.words = content, content.hearing.details
        hearing, words = content.hearing, content.hearing.details
        self._areas = {plain(name): area for name, area in _topics(content)}
        self._named = _any(self._areas)
        number = f"((?:{_numbers(content)})+)"
        self._counted = re.compile(
            rf"(?:{_alternatives(words.before)})\s*{number}"
            rf"|{number}\s*(?:{_alternatives(words.after)})"
        )
        self._years = re.compile(rf"{number}\s*(?:{_alternatives(words.years)})")
        self._past = _any(words.past)
        self._periods = [(iso, _any(ways)) for iso, ways in hearing.periods.items()]
        self._unit_begins = _any(hearing.units.begins)
        self._unit_none = _any(hearing.units.none)
        self._unit_ends = re.compile(rf"{_any(hearing.units.ends).pattern}|[^\w{MARKS}./]")
        self._polite = re.compile(rf"(?>\s*(?:{_alternatives(hearing.ends)}))+\s*$")
        self._moving, self._this = _any(words.moving), _any(words.this)
        self._month_ends, self._month_begins = _any(words.month_ends), _any(words.month_begins)
        self._year_ends, self._year_begins = _any(words.year_ends), _any(words.year_begins)
        from_, to = _alternatives(words.from_), _alternatives(words.to)
        self._changed = re.compile(f"(?:{from_}).{{1,60}}?(?:{to})")

    def slots(self, intent: str, text: str, now: datetime, zone: str = "") -> Slots:
        """The details of a message that its intent takes. `text` as typed, `now` aware."""
        takes = TAKES.get(intent, ())
        found: Slots = {}
        if "time" in takes:
            found |= self._times(intent, text, local(now, zone))
        for name, find in (
            ("area", self.area),
            ("number", self._number),
            ("unit", self._unit),
            ("code", self._code),
        ):
            if name in takes:
                found[name] = find(text)
        if "unit" in takes:
            found["period"] = self._period(text)
        if intent == "plan":
            found["weekdays"] = _listed(self._tokens(text))
        return {name: value for name, value in found.items() if value is not None}

    # --- times -----------------------------------------------------------------------

    def _tokens(self, text: str) -> Tokens:
        """The message in words of time; `?` is anything else."""
        cut = lexicon(self.content).cut(text).reduce("(?<!n)[sku]n(?![muvskUG])", "L", _one_of)
        tokens = put_together(cut)
        return tokens.reduce("A(?:[&-]?l)+", "A", _narrowed).reduce("l(?:[&-]?A)", "A", _narrowed)

    def _times(self, intent: str, text: str, here: datetime) -> Slots:
        said = self._changed.sub(" ", plain(text))  # of what is changed, only what it becomes
        tokens = self._tokens(said)
        found: Slots = {"time": _clock(tokens)}
        days = _listed(tokens)
        single = _last(tokens, "l")
        if days is None and single is not None and intent == "remind":
            shifted = self._moving.search(said) and not self._this.search(said)
            days = [DAYS[single]] if shifted else None
        found["weekdays"] = days if intent == "remind" else None
        if days is None:
            day = self._date(tokens, said, here, found["time"] is not None, intent)
            found["date"] = day.isoformat() if day else None
            found["period"] = self._counted_period(said) if day is None else None
        return found

    def _date(
        self, tokens: Tokens, said: str, here: datetime, timed: bool, intent: str
    ) -> date | None:
        """The one day that was named."""
        today = here.date()
        if (day := self._around(tokens, said, today)) is not None:
            return day
        kinds = {kind: value for kind, value in zip(*tokens, strict=True) if kind in "glrRd"}
        if "r" in kinds and kinds["r"] == 0:  # "not today" names no day to come
            return today if intent == "remind" or (timed and len(kinds) == 1) else None
        for wanted in ({"d", "R"}, {"d"}, {"g"}, {"r"}, {"R", "l"}, {"l"}, {"R"}):
            if wanted <= kinds.keys():
                return named_day({kind: kinds[kind] for kind in wanted}, here, self.content)
        return None

    def _around(self, tokens: Tokens, said: str, today: date) -> date | None:
        """The first or last day of a month or year."""
        months = [value for kind, value in zip(*tokens, strict=True) if kind == "m"]
        next_ = _last(tokens, "R") == "month"
        year, month = today.year, months[-1] if months else today.month
        if self._month_ends.search(said):
            year, month = _ahead(year, month, next_ and not months)
            if (year, month) < (today.year, today.month):
                year += 1
            return date(year, month, monthrange(year, month)[1])
        if self._month_begins.search(said):
            year, month = _ahead(year, month, not months or (year, month) <= (year, today.month))
            return date(year, month, 1)
        if self._year_ends.search(said):
            return date(year, 12, 31)
        if "d" not in tokens.kinds and self._year_begins.search(said):
            return date(year + 1, 1, 1)
        return None

    def _counted_period(self, said: str) -> str | None:
        tokens = self._tokens(said)
        at = tokens.kinds.find("L")
        if at >= 0:
            return _iso(tokens.kinds[at:], tokens.values[at:])
        found = self._years.search(said)
        many = lexicon(self.content).cut(found[1]) if found else tokens
        return f"P{many.values[0]}Y" if found and many.kinds == "n" else None

    def _period(self, text: str) -> str | None:
        said = plain(text)
        counted = self._counted_period(self._past.sub(" ", said))
        return counted or next((iso for iso, ways in self._periods if ways.search(said)), None)

    # --- the rest --------------------------------------------------------------------

    def area(self, text: str) -> str | None:
        """The topic that is spoken of most, the first if several are."""
        letters: dict[str, int] = {}
        for found in self._named.finditer(plain(text)):
            area = self._areas[re.sub(r"\s+", " ", found[0])]
            letters[area] = letters.get(area, 0) + len(found[0])
        return max(letters, key=lambda area: letters[area], default=None)

    def _number(self, text: str) -> int | None:
        found = self._counted.search(plain(text))
        if found is None:
            return None
        tokens = lexicon(self.content).cut(found[1] or found[2])
        return int(tokens.values[0]) if tokens.kinds == "n" else None

    def _code(self, text: str) -> str | None:
        """The code, in capital letters and figures."""
        text = text.translate({0x0E50 + digit: str(digit) for digit in range(10)})
        for pattern in (CODE, _GROUPS, _FIGURES):
            for found in pattern.finditer(text):
                code = re.sub(r"[^A-Z0-9]", "", found[0].upper())
                told = re.search(r"[0-9]", code) or found[0].count("-") > 1
                if SHORTEST_CODE <= len(code) <= 20 and told:
                    return code
        return None

    def _unit(self, text: str) -> str | None:
        return self._thai_unit(text) or self._english_unit(text)

    def _thai_unit(self, text: str) -> str | None:
        """From the word that begins a unit's name to one that ends it, or a gap."""
        text, at = self._polite.sub("", text), 0
        while at < len(text):
            if none := self._unit_none.match(text, at):
                at = none.end()
            elif begins := self._unit_begins.match(text, at):
                if self._unit_begins.match(text, begins.end()):  # the team of a division
                    at = begins.end()
                    continue
                end = self._unit_end(text, begins.end())
                if end - begins.end() >= 2:
                    return text[at:end].strip()
                at = begins.end()
            else:
                at += 1
        return None

    def _unit_end(self, text: str, at: int) -> int:
        for found in self._unit_ends.finditer(text, at):
            if number := re.match(r" \d{1,3}(?= ?(?:$|[^\d\s]))", text[found.start() :]):
                after = found.start() + number.end()
                rest = lexicon(self.content).cut(text[after : after + 12]).kinds[:1]
                if rest not in tuple("vskuZ") and found.start() > at + 1:
                    return after
            return found.start()
        return len(text)

    def _english_unit(self, text: str) -> str | None:
        units = self.content.hearing.units
        kept: list[str] = []
        for word in _LATIN_WORD.findall(text):
            if word.lower() in units.english and kept:
                return " ".join([*kept, word.removesuffix("'s")])
            kept = (
                []
                if word.lower() in units.small or word.lower() in units.english
                else [*kept, word]
            )
        return None


def _topics(content: Content) -> Iterator[tuple[str, str]]:
    """What topics are called, with their ids."""
    for topic in (*content.framework.areas, *content.topics):
        yield from ((name, topic.id) for name in (topic.name.th, topic.short.th, topic.name.en))
    for area, words in content.hearing.areas.items():
        yield from ((word, area) for word in words)


def _numbers(content: Content) -> str:
    """One number in figures, or a word for one; no "a" and "an"."""
    words = (way for ways in content.words.times.numbers.values() for way in ways)
    spelled = [re.escape(word) for word in words if not word.isascii() or len(word) > 2]
    return "|".join([r"(?<!\d)\d{1,3}(?!\d)", *spelled])


def _any(words: Iterable[str]) -> re.Pattern[str]:
    return re.compile(_alternatives(words), re.IGNORECASE)


def _alternatives(words: Iterable[str]) -> str:
    """The longest of these words; Latin ones stand alone, and no Thai one is cut in a cluster."""
    ways = sorted(words, key=len, reverse=True)
    return "|".join(
        rf"(?<![a-z]){re.escape(way)}(?![a-z])".replace(r"\ ", r"\s+")
        if way[-1].isascii() and way[-1].isalnum()
        else re.escape(way) + f"(?![{MARKS}])"
        for way in ways
    )


def _last(tokens: Tokens, kind: str) -> Any:
    at = tokens.kinds.rfind(kind)
    return tokens.values[at] if at >= 0 else None


def _clock(tokens: Tokens) -> str | None:
    """The last time of day: what is changed is said before what it is changed to."""
    minute = _last(tokens, "t")
    return None if minute is None else f"{minute // 60:02}:{minute % 60:02}"


def _listed(tokens: Tokens) -> list[str] | None:
    days = _last(tokens, "A")
    return None if days is None else [DAYS[day] for day in days]


def _narrowed(kinds: str, values: list[Any]) -> tuple[int, ...] | None:
    """Every morning, and then on which days."""
    days = values[kinds.index("A")]
    return (
        tuple(day for kind, day in zip(kinds, values, strict=True) if kind == "l")
        if days == DAILY
        else None
    )


def _one_of(kinds: str, values: list[Any]) -> tuple[int, str] | None:
    """One said last: "a month" in Thai."""
    names = {"v": "day", "s": "week", "k": "minute"}
    return (1, names.get(kinds[0]) or values[0]) if values[-1] == 1 else None


_UNITS = {"day": "P{}D", "week": "P{}W", "month": "P{}M", "hour": "PT{}H", "minute": "PT{}M"}


def _iso(kinds: str, values: list[Any]) -> str | None:
    """The period that was counted, as ISO 8601 writes it."""
    (count, unit), *more = values[: 2 if kinds[:2] == "LL" else 1]
    if unit == "hour" and more and more[0][1] == "minute":
        return f"PT{count}H{more[0][0]}M"
    if unit == "hour" and kinds[:2] == "LH":
        return f"PT{count}H30M"
    return _UNITS[unit].format(count)


def _ahead(year: int, month: int, further: bool) -> tuple[int, int]:
    month += further
    return (year, month) if month < 13 else (year + 1, 1)
