"""The form of a campaign and of its segment: filled in from what is kept, and read back."""

import math
from collections.abc import Iterable, Mapping
from datetime import date, time
from typing import Any

from msgspec import Struct

from bot import desk
from bot.console.forms import Form
from content.lint import ACTIONS, BANDS, FINISHED, PUSHED, UNFINISHED, Loc, Problem
from content.schema import LANGS, Campaign, Content, Lang, Schedule, Segment
from flows.schedule import WEEKDAYS
from flows.text import common_year
from storage.campaigns import Refused

Values = dict[str, Any]
"""What the fields of a form hold: a text each, or a list where several may be chosen."""
MANY = ("groups", "steps", "bands", "units", "channels", "languages", "days", "share", "minutes")
"""Fields of which several come."""
PURPOSES = ("mandatory", "due", "review", "encouragement")
WHEN = ("", "once", "again")
EVERY = ("day", "week", "month")
DAY_OFF = ("next_working", "skip")
ERA = 2400
"""Years above it are of the Buddhist era."""
YEARS = range(2000, 2200)
NAME, TITLE, TEXT, LABEL, PATH = 200, 400, 8000, 100, 500
"""Letters that fields may have; what is too long for a platform is said by the lint."""
UNITS = 200
"""Units of a segment at most; whoever wants more means the unit above."""
WAVES = 3
"""Rows for waves, at least."""
MOST = {"days": 90, "hours": 24 * 90}
"""Of a deadline."""


class Typed(Struct, frozen=True):
    """What was typed: the thing itself, if every field has a meaning, and what is wrong with the
    fields that have none."""

    values: Values
    faults: dict[str, str]
    spec: Campaign | None = None
    segment: Segment | None = None


# --- from what is kept to fields -----------------------------------------------------------


def filled(spec: Campaign) -> Values:
    """The fields of a campaign."""
    said, schedule = spec.message, spec.schedule or Schedule()
    words = {"name": spec.name, "title": said.title, "text": said.text, "label": said.label}
    values: Values = {
        f"{key}_{lang}": worded.of(lang) if worded else ""
        for key, worded in words.items()
        for lang in LANGS
    }
    days, hours = spec.deadline_days, spec.deadline_hours
    return {
        **values,
        "purpose": spec.purpose,
        "action": said.action,
        "when": "once" if schedule.at else "again" if schedule.every else "",
        "at_date": _plain(schedule.at and schedule.at.date()),
        "at_time": f"{schedule.at:%H:%M}" if schedule.at else "",
        "every": schedule.every or "week",
        "days": list(schedule.days),
        "day_of_month": _plain(schedule.day_of_month),
        "time": f"{schedule.time:%H:%M}" if schedule.time else "",
        "first": _plain(schedule.first),
        "until": _plain(schedule.until),
        "on_day_off": schedule.on_day_off,
        "deadline": _plain(hours if hours is not None else days),
        "deadline_in": "hours" if hours is not None else "days",
        "share": [_percent(wave.share) for wave in spec.waves],
        "minutes": [str(wave.minutes) for wave in spec.waves],
        "holdout": _percent(spec.holdout) if spec.holdout else "",
        **filled_segment(spec.segment),
    }


def filled_segment(segment: Segment) -> Values:
    return {
        "groups": list(segment.groups),
        "steps": list(segment.steps),
        "bands": [f"{each.area}={each.band}" for each in segment.bands],
        "active_within": _plain(segment.active_within),
        "inactive_for": _plain(segment.inactive_for),
        "units": list(segment.units),
        "channels": list(segment.channels),
        "languages": list(segment.languages),
    }


def _plain(value: Any) -> str:
    return "" if value is None else str(value)


def _percent(share: float) -> str:
    return f"{share * 100:g}"


# --- from fields to what is kept -----------------------------------------------------------


class Reader:
    """Reads fields one by one, and notes what is wrong with each."""

    def __init__(self, form: Form, words: Mapping[str, str]) -> None:
        self.form, self.words = form, words
        self.faults: dict[str, str] = {}

    def wrong(self, name: str, word: str, **slots: Any) -> None:
        self.faults.setdefault(name, self.words[word].format(**slots))

    def text(self, name: str, most: int) -> str:
        """As it was typed, with one kind of line end."""
        said = self.form.one(name).replace("\r\n", "\n").strip()
        if len(said) > most:
            self.wrong(name, "field_too_long", most=most)
        return said

    def one(self, name: str, options: Iterable[str]) -> str:
        said = self.form.one(name)
        if said not in options:
            self.wrong(name, "campaign_bad_choice")
        return said

    def some(self, name: str, options: Iterable[str]) -> list[str]:
        said, known = list(dict.fromkeys(self.form.many(name))), set(options)
        if not known.issuperset(said):
            self.wrong(name, "campaign_bad_choice")
        return said

    def number(self, name: str, least: float, most: float, said: str | None = None) -> float | None:
        """None where nothing was typed."""
        said = self.form.one(name).strip() if said is None else said.strip()
        if not said:
            return None
        try:
            found = float(said)
        except ValueError:
            found = math.nan
        if not math.isfinite(found):
            self.wrong(name, "field_not_number")
        elif not least <= found <= most:
            self.wrong(name, "campaign_out_of_range", least=f"{least:g}", most=f"{most:,g}")
        return found

    def whole(self, name: str, least: int, most: int, said: str | None = None) -> int | None:
        found = self.number(name, least, most, said)
        if found is None or not math.isfinite(found):
            return None
        if found != int(found):
            self.wrong(name, "field_not_number")
        return int(found)

    def day(self, name: str) -> date | None:
        """A day, whose year may be of the Buddhist era."""
        said = self.form.one(name).strip()
        year, dash, rest = said.partition("-")
        try:
            if year.isdecimal() and ERA < int(year) < 2 * ERA:
                year = str(common_year(int(year)))
            found = date.fromisoformat(year + dash + rest) if said else None
        except ValueError:
            found = date.min
        if found is not None and found.year not in YEARS:
            self.wrong(name, "field_not_date")
        return found

    def clock(self, name: str) -> time | None:
        said = self.form.one(name).strip()
        try:
            return (
                time.fromisoformat(said).replace(second=0, microsecond=0, tzinfo=None)
                if said
                else None
            )
        except ValueError:
            self.wrong(name, "campaign_bad_time")
            return None

    def need(self, name: str, value: Any) -> None:
        if value is None or value == "":
            self.wrong(name, "field_missing")


def typed(form: Form) -> Values:
    """Every field as it came."""
    values: Values = {key: value for key, value in form.pairs if key != "csrf"}
    return values | {name: form.many(name) for name in MANY}


def read(form: Form, base: Campaign, words: Mapping[str, str], content: Content) -> Typed:
    """A campaign out of a form; what the form has no field for stays as in `base`."""
    reader = Reader(form, words)
    plain = base.model_dump(mode="json", by_alias=True)
    plain |= _wording(reader, content)
    plain["segment"] = _segment(reader, content)
    plain["schedule"] = _schedule(reader)
    plain |= _deadline(reader)
    plain["wave"] = _waves(reader)
    plain["holdout"] = (reader.number("holdout", 0, 50) or 0) / 100
    if reader.faults:
        return Typed(typed(form), reader.faults)
    try:
        made = desk.read(plain)
    except Refused as refused:
        return Typed(typed(form), told(refused.problems, words, content))
    return Typed(typed(form), {}, made, made.segment)


def read_segment(form: Form, words: Mapping[str, str], content: Content) -> Typed:
    """The filters alone."""
    reader = Reader(form, words)
    plain = _segment(reader, content)
    if reader.faults:
        return Typed(typed(form), reader.faults)
    return Typed(typed(form), {}, segment=Segment.model_validate(plain))


def _wording(reader: Reader, content: Content) -> dict[str, Any]:
    name = {lang: reader.text(f"name_{lang}", NAME) for lang in LANGS}
    reader.need("name_th", name["th"])
    name["en"] = name["en"] or name["th"]
    title = {lang: reader.text(f"title_{lang}", TITLE) for lang in LANGS}
    return {
        "name": name,
        "purpose": reader.one("purpose", PURPOSES),
        "message": {
            "title": title if any(title.values()) else None,
            "text": {lang: reader.text(f"text_{lang}", TEXT) for lang in LANGS},
            "label": {lang: reader.text(f"label_{lang}", LABEL) for lang in LANGS},
            "action": reader.one("action", actions(content)),
        },
    }


def actions(content: Content) -> tuple[str, ...]:
    """What a button may do."""
    return (*ACTIONS, *(f"lesson.{area.id}" for area in content.framework.areas))


def _segment(reader: Reader, content: Content) -> dict[str, Any]:
    areas = [area.id for area in content.framework.areas]
    steps = (*(step.id for step in content.method.steps), UNFINISHED, FINISHED)
    bands = reader.some("bands", (f"{area}={band}" for area in areas for band in BANDS))
    units = [path for path in dict.fromkeys(map(str.strip, reader.form.many("units"))) if path]
    if len(units) > UNITS:
        reader.wrong("units", "campaign_many_units", most=UNITS)
    if any(len(path) > PATH for path in units):
        reader.wrong("units", "field_too_long", most=PATH)
    return {
        "groups": reader.some("groups", (group.id for group in content.framework.groups)),
        "steps": reader.some("steps", steps),
        "bands": [dict(zip(("area", "band"), each.split("="), strict=False)) for each in bands],
        "active_within": reader.whole("active_within", 1, 3650),
        "inactive_for": reader.whole("inactive_for", 1, 3650),
        "units": units,
        "channels": reader.some("channels", PUSHED),
        "languages": reader.some("languages", LANGS),
    }


def _schedule(reader: Reader) -> dict[str, Any] | None:
    match reader.one("when", WHEN):
        case "once":
            day, clock = reader.day("at_date"), reader.clock("at_time")
            reader.need("at_date", day)
            if "at_time" not in reader.faults:
                reader.need("at_time", clock)
            return {"at": f"{day}T{clock}"}
        case "again":
            return _round(reader)
    return None


def _round(reader: Reader) -> dict[str, Any]:
    every = reader.one("every", EVERY)
    clock = reader.clock("time")
    if "time" not in reader.faults:
        reader.need("time", clock)
    days = reader.some("days", WEEKDAYS)
    if every == "week":
        reader.need("days", days or None)
    first, until = reader.day("first"), reader.day("until")
    return {
        "every": every,
        "days": days if every == "week" else [],
        "day_of_month": reader.whole("day_of_month", 1, 31) if every == "month" else None,
        "time": clock and clock.isoformat(),
        "first": first and first.isoformat(),
        "until": until and until.isoformat(),
        "on_day_off": reader.one("on_day_off", DAY_OFF),
    }


def _deadline(reader: Reader) -> dict[str, Any]:
    unit = reader.one("deadline_in", MOST)
    many = reader.whole("deadline", 1, MOST.get(unit, 1))
    return {f"deadline_{each}": many if each == unit else None for each in MOST}


def _waves(reader: Reader) -> list[dict[str, Any]]:
    """Rows that say nothing are left out."""
    found = []
    for share, minutes in zip(reader.form.many("share"), reader.form.many("minutes"), strict=False):
        if not share.strip() and not minutes.strip():
            continue
        if not share.strip() or not minutes.strip():
            reader.wrong("wave", "campaign_wave_half")
        part = reader.number("wave", 0.1, 100, share)
        found.append(
            {"share": (part or 0) / 100, "minutes": reader.whole("wave", 1, 10_080, minutes)}
        )
    return found


# --- what is wrong, beside the fields ------------------------------------------------------


def field_of(loc: Loc) -> str:
    """The field that stands for a place in a campaign."""
    match tuple(map(str, loc)):
        case ("message", "action"):
            return "action"
        case ("message", what, *lang):
            return f"{what}_{lang[0] if lang else 'th'}"
        case ("segment", what, *_):
            return what
        case (first, *_):
            return {"schedule": "when", "deadline_days": "deadline"}.get(first, first)
    return ""


def told(problems: Iterable[Problem], words: Mapping[str, str], content: Content) -> dict[str, str]:
    """What is wrong, by field; the first of each."""
    lang: Lang = "th" if words["lang"] == "th" else "en"
    found: dict[str, str] = {}
    for problem in problems:
        found.setdefault(field_of(problem.loc), problem.text(lang, content))
    return found
