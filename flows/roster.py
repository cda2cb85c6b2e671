"""Reading a roster row by row: which column is which, what each cell means, what cannot be."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from zoneinfo import ZoneInfo

from msgspec import Struct

from content.schema import Lang, RosterRules
from flows.days import Unclear, read_day
from flows.text import plain, tidy
from flows.types import Json

DEEPEST = 6
"""Levels of units."""
LONGEST = 500
LONGEST_ID = 64
SAMPLE = 60
"""Letters of a cell that are shown as an example."""
HEADERS_WITHIN = 20
"""Rows in which the headers are looked for: there may be a title above them."""
MOSTLY = 0.5
"""A column with more citizen ids than this share of what is in it is one of citizen ids."""
PARTS = re.compile(r"\s*[/\\|>\u203a\u00bb]+\s*")
"""What stands between the levels of a unit."""
DAYS = ("started_on", "left_on", "effective_on", "acting_from", "acting_until")
WORDS = ("title", "supervisor")
ERRORS = ("#N/A", "#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!", "#SPILL!")
UNIT_COLUMNS = ("department", "division", "section")

_GROUPED = re.compile(r"\s*\d[\d\s\u200b-]{12,}")
_ID = re.compile(r"[^\s,;'\"=@<>]+")
_GUARDED = re.compile("'[=+@\\-\uff1d\uff0b\uff20\uff0d]")


class Entry(Struct):
    """One person as a file has them. None: the file has no such column, so nothing is said. Days
    are ordinals, 0 where there is none; units are whole paths."""

    row: int
    hr_id: str
    name: str
    unit: str
    kind: str | None = None
    position_type: str | None = None
    level: str | None = None
    title: str | None = None
    zone: str | None = None
    supervisor: str | None = None
    """As written, until `flows.chains.resolve` has made HR's id of it."""
    started_on: int | None = None
    left_on: int = 0
    effective_on: int = 0
    head_of: str = ""
    acting_unit: str = ""
    acting_from: int = 0
    acting_until: int = 0


class Fault(Struct, frozen=True):
    """Why a row is refused: a sentence of content/roster.toml and what fills its gaps."""

    row: int
    why: str
    column: str = ""
    data: dict[str, Json] = {}


class Refusal(Exception):
    """Why a file is refused as a whole."""

    def __init__(self, why: str, **data: Json) -> None:
        super().__init__(why)
        self.why = why
        self.data = data


class Layout(Struct, frozen=True):
    """Where the headers are, and which column holds what."""

    row: int
    columns: dict[str, int]
    headers: tuple[str, ...]
    """As written, for speaking of a column."""
    reason: int | None = None
    """The column in which reasons came back from an earlier try."""


def say_fault(fault: Fault, lang: Lang, rules: RosterRules) -> str:
    gaps = {"column": header(fault.column, rules), **fault.data}
    return rules.reasons[fault.why].of(lang).format_map(gaps)


def say_refusal(why: str, data: Mapping[str, Json], lang: Lang, rules: RosterRules) -> str:
    return rules.refusals[why].of(lang).format_map(data)


def header(column: str, rules: RosterRules) -> str:
    """What a column is called in the template."""
    return next((c.headers[0] for c in rules.columns if c.id == column), column)


# --- columns ---------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def key(text: str) -> str:
    """A header or a name for comparing: only its letters, marks and digits."""
    return re.sub(r"[\s\-_./()*:;,'\"\[\]#]+", "", plain(text))


@lru_cache(maxsize=4)
def _known(rules: RosterRules) -> dict[str, str]:
    return {key(name): column.id for column in rules.columns for name in column.headers}


def find_layout(
    rows: Sequence[tuple[int, list[str]]], mapping: Mapping[str, str], rules: RosterRules
) -> Layout:
    """The row of headers among the first rows; raises `Refusal`. `mapping` gives columns by their
    headers, before what the headers themselves say; an empty one leaves a column alone."""
    given = {key(name): column for name, column in mapping.items()}
    known = {**_known(rules), **given}
    ids = [column.id for column in rules.columns]
    for column in mapping.values():
        if column and column not in ids:
            raise Refusal("map_column", column=column, known=", ".join(ids))
    for number, cells in rows:
        found = [known.get(key(cell), "") for cell in cells]
        if "hr_id" in found and sum(map(bool, found)) > 1:
            return _layout(number, cells, found, mapping, rules)
    for _, cells in rows:
        _refuse_citizen_headers(cells, rules)
    shown = ", ".join(column.headers[0] for column in rules.columns if column.needed)
    raise Refusal("no_header", known=shown)


class Seen(Struct, frozen=True):
    """A column of a file before it is read: its header as written, which column of ours that
    says (empty: none), and the first cell below that holds something."""

    header: str
    column: str
    sample: str


class Sight(Struct, frozen=True):
    """What can be told of a file at first sight: the row of its headers, and its columns."""

    row: int
    columns: tuple[Seen, ...]


def sight(rows: Sequence[tuple[int, list[str]]], rules: RosterRules) -> Sight:
    """The columns, for somebody who says what the unknown ones are. The headers are the row of
    which most is known; where nothing is, the first that has several cells."""
    known = _known(rules)

    def rank(row: tuple[int, list[str]]) -> tuple[int, bool]:
        cells = row[1]
        return sum(key(cell) in known for cell in cells), sum(map(bool, cells)) > 1

    if not rows:
        raise Refusal("empty")
    number, cells = max(rows, key=rank)  # of several alike the first
    below = [row for at, row in rows if at > number]
    return Sight(
        number,
        tuple(
            Seen(tidy(cell), known.get(key(cell), ""), _sample(below, at, rules))
            for at, cell in enumerate(cells)
        ),
    )


def _sample(rows: Sequence[Sequence[str]], at: int, rules: RosterRules) -> str:
    found = next((tidy(row[at]) for row in rows if at < len(row) and tidy(row[at])), "")
    return rules.hidden if is_citizen_id(found) else found[:SAMPLE]


def _layout(
    number: int,
    cells: Sequence[str],
    found: Sequence[str],
    mapping: Mapping[str, str],
    rules: RosterRules,
) -> Layout:
    _refuse_citizen_headers(cells, rules)
    present = {key(cell) for cell in cells}
    for name in mapping:
        if key(name) not in present:
            raise Refusal("map_header", header=name)
    for column in found:
        if column and found.count(column) > 1:
            raise Refusal("twice_column", column=header(column, rules))
    columns = {column: at for at, column in enumerate(found) if column}
    for needed in (column.id for column in rules.columns if column.needed):
        parted = needed == "unit" and any(part in columns for part in UNIT_COLUMNS)
        if needed not in columns and not parted:
            raise Refusal("no_column", column=header(needed, rules))
    reasons = [at for at, cell in enumerate(cells) if key(cell) == key(rules.reason_header)]
    return Layout(number, columns, tuple(map(tidy, cells)), reasons[0] if reasons else None)


def _refuse_citizen_headers(cells: Sequence[str], rules: RosterRules) -> None:
    names = {key(name) for name in rules.citizen_headers}
    for cell in cells:
        if key(cell) in names:
            raise Refusal("citizen_column", header=tidy(cell))


# --- citizen ids -----------------------------------------------------------------------


def is_citizen_id(text: str) -> bool:
    """Thirteen digits, however they are grouped, the last of which checks the others."""
    if not _GROUPED.fullmatch(text):
        return False
    digits = plain(text).replace(" ", "").replace("-", "")
    if len(digits) != 13 or not digits.isascii() or not digits.isdecimal():
        return False
    total = sum(int(digit) * (13 - at) for at, digit in enumerate(digits[:12]))
    return (11 - total % 11) % 10 == int(digits[12])


class Watch:
    """Counts by column what looks like a citizen id, without keeping any."""

    def __init__(self) -> None:
        self._filled: dict[int, int] = {}
        self._alike: dict[int, int] = {}

    def see(self, cells: Sequence[str]) -> None:
        for at, cell in enumerate(cells):
            if cell:
                self._filled[at] = self._filled.get(at, 0) + 1
                if is_citizen_id(cell):
                    self._alike[at] = self._alike.get(at, 0) + 1

    def require_none(self, layout: Layout) -> None:
        for at, many in self._alike.items():
            if many > MOSTLY * self._filled[at]:
                named = at < len(layout.headers) and layout.headers[at]
                raise Refusal("citizen_column", header=named or str(at + 1))


# --- rows ------------------------------------------------------------------------------


class Reader:
    """Reads the rows below the headers. `base` is the year a spreadsheet counts days from, `zone`
    the agency's own."""

    def __init__(self, layout: Layout, rules: RosterRules, base: int, zone: str) -> None:
        self._layout = layout
        self._rules = rules
        self._base = base
        self._zone = zone
        self._blanks = {plain(blank) for blank in rules.blanks}
        self._longest_blank = max(map(len, self._blanks), default=0)
        self._faults: list[Fault] = []
        self._row = 0

    def read(self, row: int, cells: Sequence[str]) -> Entry | list[Fault]:
        """A person, or all that is wrong with the row."""
        self._row, self._faults = row, []
        at = self._layout.columns
        found = {column: cells[n] if n < len(cells) else "" for column, n in at.items()}
        found = {column: self._cell(column, cell) for column, cell in found.items()}
        entry = Entry(row, self._hr_id(found), self._name(found), self._unit(found))
        for column in WORDS:
            if column in found:
                setattr(entry, column, found[column])
        for column in DAYS:
            if column in found:
                setattr(entry, column, self._day(column, found[column]))
        if "zone" in found:
            entry.zone = self._read_zone(found["zone"])
        self._position(entry, found)
        self._heads(entry, found)
        if entry.left_on and entry.started_on and entry.left_on < entry.started_on:
            self._fault("left_before", "left_on")
        return self._faults or entry

    def who(self, cells: Sequence[str]) -> dict[str, str]:
        """The person of a row that is refused, by HR's id; nobody if that cannot be read."""
        at = self._layout.columns
        id, name = (cells[n] if n < len(cells) else "" for n in (at["hr_id"], at["name"]))
        return {tidy(id): tidy(name)} if tidy(id) else {}

    def _fault(self, why: str, column: str = "", **data: Json) -> None:
        self._faults.append(Fault(self._row, why, column, data))

    def _cell(self, column: str, cell: str) -> str:
        """What is in a cell, without what cannot be seen."""
        if not cell:
            return ""
        if len(cell) > LONGEST:
            self._fault("long", column, most=LONGEST)
            return ""
        if cell.strip() in ERRORS:
            self._fault("cell_error", column)
            return ""
        text = _tidied(cell)
        if is_citizen_id(text):
            self._fault("citizen", column)
            return ""
        blank = len(text) <= self._longest_blank and plain(text) in self._blanks
        return "" if blank and column != "head_of" else text

    def _needed(self, column: str, text: str) -> str:
        silent = any(fault.column == column for fault in self._faults)
        if not text and not silent:
            self._fault("needed", column)
        return text

    def _hr_id(self, found: Mapping[str, str]) -> str:
        text = self._needed("hr_id", found["hr_id"])
        if text and (len(text) > LONGEST_ID or not _ID.fullmatch(text)):
            self._fault("hr_id", "hr_id")
        return text

    def _name(self, found: Mapping[str, str]) -> str:
        """In one piece; a Thai form of address is written to the name without a space."""
        prefix, name = found.get("prefix", ""), found["name"]
        if prefix and name:
            name = prefix + (" " if prefix[-1] == "." or prefix.isascii() else "") + name
        return self._needed("name", f"{name} {found.get('surname', '')}".strip())

    def _unit(self, found: Mapping[str, str]) -> str:
        text = found.get("unit", "")
        if not text:
            text = " / ".join(filter(None, (found.get(part, "") for part in UNIT_COLUMNS)))
        if not self._needed("unit", text):
            return ""
        path = path_of(text)
        levels = path.split(" / ")
        if not all(levels):
            self._fault("unit", "unit")
        elif len(levels) > DEEPEST:
            self._fault("deep", "unit", most=DEEPEST)
        return path

    def _day(self, column: str, text: str) -> int:
        if not text:
            return 0
        try:
            return read_day(text, self._base, self._rules)
        except Unclear as unclear:
            self._fault(unclear.why, column)
            return 0

    def _read_zone(self, text: str) -> str:
        """An IANA name; the agency's own need not be kept."""
        if text and not is_zone(text):
            self._fault("zone", "zone")
        return "" if text == self._zone else text

    def _position(self, entry: Entry, found: Mapping[str, str]) -> None:
        """Kind, type and level. Only for civil servants the Act says which types there are."""
        rules, civil = self._rules, True
        if "kind" in found:
            kind = _kinds(rules).get(key(found["kind"])) if found["kind"] else ("", True)
            if kind is None:
                self._fault("kind", "kind")
            else:
                entry.kind, civil = kind
        if "position_type" in found:
            entry.position_type = _without(rules.type_prefix, found["position_type"])
        if "level" in found:
            entry.level = _without(rules.level_prefix, found["level"])
        if not civil or not entry.position_type:
            return
        levels = {kind.name: kind.levels for kind in rules.position_types}
        if entry.position_type not in levels:
            self._fault("position_type", "position_type", known=", ".join(levels))
        elif entry.level and entry.level not in levels[entry.position_type]:
            known = ", ".join(levels[entry.position_type])
            self._fault("level", "level", type=entry.position_type, known=known)

    def _heads(self, entry: Entry, found: Mapping[str, str]) -> None:
        """Of which unit somebody is the head, and of which they stand in for one."""
        head = found.get("head_of", "")
        if key(head) in _words(self._rules.yes):
            entry.head_of = entry.unit
        elif head and key(head) not in _words(self._rules.no):
            entry.head_of = path_of(head)
        acting = found.get("acting_unit", "")
        entry.acting_unit = path_of(acting) if acting else ""
        if not acting and (entry.acting_from or entry.acting_until):
            self._fault("acting", "acting_unit")
        if entry.acting_until and entry.acting_from > entry.acting_until:
            self._fault("acting_order", "acting_until")


@lru_cache(maxsize=8192)
def _tidied(cell: str) -> str:
    """As `tidy` makes it, without the apostrophe that keeps a spreadsheet from computing it. Most
    cells are as some of the rows before have them, and then they are the same string."""
    return tidy(cell[1:] if _GUARDED.match(cell) else cell)


@lru_cache(maxsize=8192)
def path_of(text: str) -> str:
    """A unit from the top down, as it is kept; an empty level stays to be seen."""
    return " / ".join(tidy(part) for part in PARTS.split(tidy(text).strip("/\\|> ")))


@lru_cache(maxsize=1024)
def is_zone(name: str) -> bool:
    if "/" not in name and name != "UTC":
        return False
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return False
    return True


@lru_cache(maxsize=4)
def _kinds(rules: RosterRules) -> dict[str, tuple[str, bool]]:
    """Kinds by every name they go by, and whether the Act's position types hold for them."""
    return {
        key(name): (kind.id, kind.civil)
        for kind in rules.kinds
        for name in (kind.name.th, kind.name.en, kind.id, *kind.names)
    }


@lru_cache(maxsize=16)
def _words(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(key, words))


def _without(prefix: str, text: str) -> str:
    rest = text.removeprefix(prefix).strip()
    return rest or text
