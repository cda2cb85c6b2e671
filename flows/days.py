"""Days as people write them into tables: of either era, in words or in digits, or as a count."""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache

from content.schema import RosterRules
from flows.text import common_year, plain

BUDDHIST = range(2400, 2701)
COMMON = range(1900, 2201)
SERIALS = range(20_000, 400_000)
"""Days counted by a spreadsheet: from 1954 on, and far enough for a year of the Buddhist era that
was typed as if it were one of ours."""
BASES = {1900: date(1899, 12, 30), 1904: date(1904, 1, 1)}

_TIME = re.compile(r"[t\s]+\d{1,2}:\d{2}.*$")
_YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")
_DAY_FIRST = re.compile(r"(\d{1,2})\s*[-/.]\s*(\d{1,2})\s*[-/.]\s*(\d+)")
_IN_WORDS = re.compile(r"(\d{1,2})[\s/-]*([^\d\s/-][^\d/-]*?)[\s/-]*(\d+)")
_SERIAL = re.compile(r"(\d{5,6})(?:\.\d+)?")


class Unclear(Exception):
    """Not a day; `why` names a reason of content/roster.toml."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@lru_cache(maxsize=4096)
def read_day(text: str, base: int, rules: RosterRules) -> int:
    """The ordinal of a day; raises `Unclear`. `base` is the year a spreadsheet counts from."""
    text = _TIME.sub("", plain(text).strip())
    if found := _SERIAL.fullmatch(text):
        return _counted(int(found[1]), base)
    for era in rules.eras:
        text = text.replace(plain(era), " ")
    if found := _YEAR_FIRST.fullmatch(text.strip()):
        return _ordinal(found[3], found[2], found[1])
    if found := _DAY_FIRST.fullmatch(text.strip()):
        return _ordinal(*found.groups())
    if found := _IN_WORDS.fullmatch(text.strip()):
        month = _months(rules).get(_letters(found[2]))
        if month:
            return _ordinal(found[1], str(month), found[3])
    raise Unclear("date")


def _counted(days: int, base: int) -> int:
    if days not in SERIALS:
        raise Unclear("date_range")
    day = BASES[base] + timedelta(days=days)
    return _ordinal(str(day.day), str(day.month), str(day.year))


def _ordinal(day: str, month: str, year: str) -> int:
    """The day by the rules of the calendar: 29 February is looked for in the year of our era."""
    if len(year) <= 2:
        raise Unclear("date_short")
    number = int(year) if len(year) == 4 else 0
    if number in BUDDHIST:
        number = common_year(number)
    elif number not in COMMON:
        raise Unclear("date_range")
    try:
        return date(number, int(month), int(day)).toordinal()
    except ValueError:
        raise Unclear("date_none") from None


@lru_cache(maxsize=4)
def _months(rules: RosterRules) -> Mapping[str, int]:
    return {_letters(plain(name)): n for n, names in rules.months.items() for name in names}


def _letters(text: str) -> str:
    return text.replace(".", "").replace(" ", "")
