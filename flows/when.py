"""When somebody wants to be reminded, in their own words; and the same said back to them.

Only a message that is nothing else is read: one word that does not belong to a time, and it is
somebody's free text. Pure: what "tomorrow" is follows from `now` and the reader's zone.
"""

import re
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

from msgspec import Struct

from content.schema import Content, Lang
from flows.calendar import local
from flows.clock import DAILY, Lexicon, Tokens
from flows.text import common_year, long_date

LONGEST = 120
"""Letters; what is longer is no answer to "when"."""
FARTHEST = 366
"""Days, weeks or months ahead that a number may count."""
MORNING, AFTERNOON, EVENING = 9 * 60, 13 * 60, 17 * 60
"""What "tomorrow morning" and the like mean, in minutes after midnight."""


class Weekly(Struct, frozen=True, tag=True):
    """On these weekdays, Monday = 0; at that minute after midnight, if one was named."""

    days: tuple[int, ...]
    minute: int | None = None


class Once(Struct, frozen=True, tag=True):
    at: datetime


class Later(Struct, frozen=True, tag=True):
    """No reminder before then; afterwards as before."""

    until: datetime


class Pause(Struct, frozen=True, tag=True):
    """A rest until then."""

    until: datetime


class Off(Struct, frozen=True, tag=True):
    """No reminders any more."""


class Past(Struct, frozen=True, tag=True):
    """A day or time was named that is over."""

    at: datetime


When = Weekly | Once | Later | Pause | Off | Past


def read_when(text: str, now: datetime, zone: str, content: Content) -> When | None:
    """What a message says of when to remind, or None if it is anything else.

    `zone` is the reader's (IANA, "" is the agency's); moments are aware, on its clock. A time
    alone is the next one; a day without a time is when work begins on it.
    """
    if len(text) > LONGEST or _unclear(text):
        return None
    cut = lexicon(content).cut_whole(text)
    if cut is None:
        return None
    tokens = put_together(cut)
    said = [pair for pair in zip(tokens.kinds, tokens.values, strict=True) if pair[0] not in "c&"]
    named = dict(said)
    if len(named) != len(said):
        return None
    return _Reading(named, "c" in tokens.kinds, local(now, zone), content).meant()


def _unclear(text: str) -> bool:
    """One or two letters may be the letter of an option, and figures a price."""
    letters = re.sub(r"[\s.]", "", text)
    return len(letters) < 3 or re.fullmatch(r"\s*\d+[./]\d+\s*", text) is not None


@lru_cache(maxsize=4)
def lexicon(content: Content) -> Lexicon:
    return Lexicon(content.words)


# --- putting tokens together -----------------------------------------------------------


def put_together(tokens: Tokens) -> Tokens:
    """Durations `L`, dates `d`, lists of weekdays: `A` every, `l` one, `g` next week's; `R` the
    next week or month; `T` a part of the day."""
    for pattern, kind, value in (
        ("Zn(?=uh)", "d", _date),
        ("Hn?u", "L", _half),
        ("(?:n-)?n(?:v(?![ws])|[usk])", "L", _duration),
        ("(?<=i)(?:v(?![ws])|[usk])n?", "L", _duration),
        ("D|Z?nmn?|mnn?|Zn", "d", _date),
        ("vsh|v?wh(?![us])|hw", "g", lambda kinds, values: _weekdays(kinds, values)[0]),
        ("[us]h|h[us]", "R", lambda kinds, values: _unit(kinds, values)),
        ("E?x|Ev(?![wWs])", "A", lambda kinds, values: values[-1] or DAILY),
        ("(?:E[us]?(?:v?[wW]|vs)|v?W|v?[ws](?=[&-]?v?[wWs]))(?:[&-]?v?[wWs])*", "A", _weekdays),
        ("v?[ws]", "l", lambda kinds, values: _weekdays(kinds, values)[0]),
        ("E(?=[tCBY])", "A", lambda kinds, values: DAILY),
        ("[CBY]", "T", lambda kinds, _: {"C": MORNING, "B": AFTERNOON, "Y": EVENING}[kinds]),
    ):
        tokens = tokens.reduce(pattern, kind, value)
    return tokens


def _unit(kinds: str, values: list[Any]) -> str:
    """The unit of time among tokens."""
    names = {"v": "day", "s": "week", "k": "minute"}
    at = next(at for at, kind in enumerate(kinds) if kind in "vsku")
    return names.get(kinds[at]) or values[at]


def _duration(kinds: str, values: list[Any]) -> tuple[int, str] | None:
    """How many of which unit; of a range ("2–3 days") the end."""
    if "n" not in kinds:
        return 1, _unit(kinds, values)
    count = values[-2] if kinds[-1] != "n" else values[-1]
    most = 1 if kinds[-1] == "n" else FARTHEST  # one may be said last, as in "a week"
    return (count, _unit(kinds, values)) if 0 < count <= most else None


def _half(kinds: str, values: list[Any]) -> tuple[int, str] | None:
    return (30, "minute") if values[-1] == "hour" else None


def _date(kinds: str, values: list[Any]) -> tuple[int, int | None, int | None] | None:
    """Day, month and year, as far as they were named; the year in our era."""
    if kinds == "D":
        found = {name: int(value) for name, value in values[0].items() if value}
        if "iso" in found:
            return found["d"], found["m"], _year(found["iso"])
        return found["day"], found["month"], _year(found["year"]) if "year" in found else None
    numbers = [value for kind, value in zip(kinds, values, strict=True) if kind == "n"]
    month = values[kinds.index("m")] if "m" in kinds else None
    return numbers[0], month, _year(numbers[1]) if len(numbers) > 1 else None


def _year(year: int) -> int:
    """Of our era, from ours or the Buddhist one; two figures from 60 on are the Buddhist one's."""
    if year < 100:
        year += 2500 if year >= 60 else 2000
    return common_year(year) if year >= 2400 else year


def _weekdays(kinds: str, values: list[Any]) -> tuple[int, ...]:
    """The weekdays of a list; one "until" another means all between, also over the weekend."""
    days: list[int] = []
    until = False
    listed = re.search("-v?[wWs]-", kinds) is not None  # Mon-Wed-Fri is a list
    first = 2 if re.match("E[us]v?[wW]", kinds) else 0  # "every week on Monday"
    for kind, value in zip(kinds[first:], values[first:], strict=True):
        if kind in "wWs":
            day = 6 if kind == "s" else value
            between = (day - days[-1]) % 7 if until else 1
            days += [(day - ahead) % 7 for ahead in range(between)]
            until = False
        until = (kind == "-" and not listed) or (until and kind == "v")
    return tuple(sorted(set(days)))


# --- what it means ---------------------------------------------------------------------


def named_day(named: dict[str, Any], here: datetime, content: Content) -> date | None:
    """The day that tokens by their kinds name, of a month that may be named beside it."""
    reading = _Reading(
        {kind: named[kind] for kind in named if kind != "R" or "d" not in named},
        False,
        here,
        content,
    )
    if named.get("R") == "month" and "d" in named:
        first = _ahead(here.date().replace(day=1), 1, "month")
        return _dated(first, named["d"][0], None, None)
    return reading.day(set(reading.named), None if named.get("r") != 0 else 0)


class _Reading(Struct, frozen=True):
    """What was named, by kind; whether a reminder was spoken of; and the reader's own clock."""

    named: dict[str, Any]
    reminds: bool
    here: datetime
    content: Content

    def meant(self) -> When | None:
        kinds = set(self.named)
        clock = next((self.named[kind] for kind in "tT" if kind in kinds), None)
        days = kinds - {"t", "T"}
        if {"t", "T"} <= kinds:
            return None
        if stop := days & {"S", "P"}:
            return self._stopped(stop, kinds - stop)
        if days == {"A"}:
            return Weekly(self.named["A"], clock)
        if kinds == {"t"}:
            return Once(self._next(self.named["t"]))
        if days == {"i", "L"} and clock is None and self.named["L"][1] in ("hour", "minute"):
            return Once(self._soon(*self.named["L"]))
        if self.reminds:  # then "move to Monday" and "two days" say enough
            days = (days - {"-"}) | ({"i"} if "L" in days else set())
        day = self.day(days, clock)
        if day is None:
            return None
        at = self._at(day, self._opens() if clock is None else clock)
        if at <= self.here:
            return Past(at)
        return Later(at) if clock is None else Once(at)

    def _stopped(self, stop: set[str], rest: set[str]) -> When | None:
        """For good; or a rest, if it was said how long."""
        if stop == {"S"} and not rest:
            return Off()
        if rest == {"L"}:
            rest = {"i", "L"}
        elif "-" in rest:
            rest = rest - {"-"}
        else:
            return None
        day = self.day(rest, None) if len(stop) == 1 else None
        at = self._at(day, self._opens()) if day else None
        return Pause(at) if at and at > self.here else None

    def day(self, kinds: set[str], clock: int | None) -> date | None:
        """The one day that was named; None for anything that names none, or two."""
        today = self.here.date()
        match sorted(kinds):
            case ["L", "i"] if self.named["L"][1] in ("day", "week", "month"):
                return _ahead(today, *self.named["L"])
            case ["R", "l"] if self.named["R"] == "week":
                return _ahead(_monday(today), 7 + self.named["l"], "day")
            case ["R"]:
                first = today.replace(day=1) if self.named["R"] == "month" else _monday(today)
                return _ahead(first, 1, self.named["R"])
            case ["g"]:
                return _ahead(_monday(today), 7 + self.named["g"], "day")
            case ["r"] if self.named["r"] or clock is not None:
                return today + timedelta(days=self.named["r"])
            case ["l", "r"] if clock is not None:
                said = today + timedelta(days=self.named["r"])
                return said if said.weekday() == self.named["l"] else None
            case ["l"]:
                over = clock is None or self._at(today, clock) <= self.here
                ahead = (self.named["l"] - today.weekday()) % 7
                return today + timedelta(days=ahead or 7 * over)
            case ["d"] | ["d", "l"]:
                day = _dated(today, *self.named["d"])
                agrees = day and self.named.get("l", day.weekday()) == day.weekday()
                return day if agrees else None
            case _:
                return None

    def _next(self, clock: int) -> datetime:
        """That time of day, today or tomorrow."""
        at = self._at(self.here.date(), clock)
        return at if at > self.here else self._at(self.here.date() + timedelta(days=1), clock)

    def _soon(self, count: int, unit: str) -> datetime:
        gap = timedelta(hours=count) if unit == "hour" else timedelta(minutes=count)
        at = (self.here.astimezone(UTC) + gap).replace(second=0, microsecond=0)
        return at.astimezone(self.here.tzinfo)

    def _opens(self) -> int:
        opens = self.content.nudges.hours.work[0][0]
        return opens.hour * 60 + opens.minute

    def _at(self, day: date, minute: int) -> datetime:
        """A moment on the reader's clock; one that a change of the clock leaves out is later."""
        at = datetime.combine(day, time(minute // 60, minute % 60), self.here.tzinfo)
        return at.astimezone(UTC).astimezone(self.here.tzinfo)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _ahead(day: date, count: int, unit: str) -> date:
    """A day so far on; a month later is the same day of it, or its last."""
    if unit == "month":
        years, month = divmod(day.month - 1 + count, 12)
        year, month = day.year + years, month + 1
        return date(year, month, min(day.day, monthrange(year, month)[1]))
    return day + timedelta(days=count * (7 if unit == "week" else 1))


def _dated(today: date, day: int, month: int | None, year: int | None) -> date | None:
    """The date; without a year, or a month, the next one."""
    try:
        found = date(year or today.year, month or today.month, day)
    except (ValueError, OverflowError):
        return None
    if year is not None or found >= today:
        return found
    return _ahead(found, 12 if month else 1, "month")


# --- saying it back --------------------------------------------------------------------


def say_when(when: When, lang: Lang, content: Content, zone: str = "") -> str:
    """A time as people read it; what is said here is read as the same again."""
    match when:
        case Weekly(days, minute):
            return _timed(_days(days, lang, content), minute, lang, content)
        case Once(at) | Past(at):
            here = local(at, zone)
            return _timed(_day(here, lang, content), here.hour * 60 + here.minute, lang, content)
        case Later(until):
            return _says("later", lang, content, day=_day(local(until, zone), lang, content))
        case Pause(until):
            return _says("pause", lang, content, day=_day(local(until, zone), lang, content))
        case Off():
            return _says("off", lang, content)


def _says(key: str, lang: Lang, content: Content, **slots: object) -> str:
    return content.words.times.says[key].of(lang).format_map(slots)


def _days(days: tuple[int, ...], lang: Lang, content: Content) -> str:
    if days == DAILY:
        return _says("daily", lang, content)
    names = (content.words.weekdays[day][lang == "en"] for day in days)
    return _says("weekly", lang, content, days=(", " if lang == "en" else " ").join(names))


def _day(day: datetime, lang: Lang, content: Content) -> str:
    weekday = content.words.weekdays[day.weekday()][lang == "en"]
    return _says("day", lang, content, weekday=weekday, date=long_date(day, lang))


def _timed(day: str, minute: int | None, lang: Lang, content: Content) -> str:
    if minute is None:
        return day
    hour, minute = divmod(minute, 60)
    return _says("at", lang, content, day=day, hour=hour, minute=minute)
