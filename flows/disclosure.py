"""Figures that betray nobody: who is counted where, and which moves may be shown.

Everybody is counted at one place (a unit and how far along) or nowhere. Whoever was counted alike
in every publication that is remembered belongs to one *company*, and a company only ever splits
into companies of at least five. So each figure that was ever shown is a sum of whole companies,
and whatever is added to or taken from another leaves whole companies: never one to four people.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

LEAST = 5
"""Fewer people than this are never told apart."""
SHOWN_AREAS = 2

Place = tuple[int, int]
"""The unit in which somebody is counted, and how far along: 0 has not begun, n is at step n, one
more than there are steps has finished."""


class Mover(Struct, frozen=True, gc=False):
    """Somebody who is not where they are counted. `unit` is where they should be counted (None:
    nowhere), `level` how far along they are; they may be counted as less far, never as farther."""

    person: int
    unit: int | None
    level: int


class Standing(Struct, frozen=True, gc=False):
    """Where somebody is counted (a unit; None: nowhere), since which publication, and the number
    of those who moved there together with them."""

    since: int
    company: int
    unit: int | None
    level: int


class Part(Struct, frozen=True):
    """People who move together to a place, or (None) out of all figures."""

    to: Place | None
    people: tuple[Mover, ...]


# --- where: cells of the tree ----------------------------------------------------------


def cells(parents: Mapping[int, int | None], counts: Mapping[int, int]) -> dict[int, int | None]:
    """In which unit the people of each unit are counted, so that no unit is counted on its own
    with fewer than five, nor what is left of the unit above it: too few join the unit above, and
    where that is left with too few, the smallest cell below joins it. None: fewer than five in
    the whole tree."""
    into: dict[int, int | None] = {unit: unit for unit in parents}
    own = {unit: counts.get(unit, 0) for unit in parents}
    below: defaultdict[int, list[int]] = defaultdict(list)
    for unit in upwards(parents):
        parent, kept = parents[unit], below.pop(unit, [])
        if 0 < own[unit] < LEAST and kept:
            smallest = min(kept, key=lambda cell: (own[cell], cell))
            into[smallest] = unit
            own[unit] += own[smallest]
            kept.remove(smallest)
        if own[unit] >= LEAST:
            kept.append(unit)
        elif own[unit] or not kept:  # too few, and nobody below to join them
            into[unit] = parent
            if parent is not None:
                own[parent] += own[unit]
        if parent is not None:
            below[parent] += kept
    return {unit: _followed(unit, into) for unit in parents}


def _followed(unit: int, into: Mapping[int, int | None]) -> int | None:
    at: int | None = unit
    while at is not None and into[at] != at:
        at = into[at]
    return at


def whole(parents: Mapping[int, int | None], where: Mapping[int, int | None]) -> set[int]:
    """Units all of whose people, and of those below, are counted in them or below."""
    depth: dict[int | None, int] = {None: -1}
    order = upwards(parents)
    for unit in reversed(order):
        depth[unit] = depth[parents[unit]] + 1
    highest = {unit: depth[where[unit]] for unit in order}
    for unit in order:
        parent = parents[unit]
        if parent is not None:
            highest[parent] = min(highest[parent], highest[unit])
    return {unit for unit in order if highest[unit] >= depth[unit]}


def upwards(parents: Mapping[int, int | None]) -> list[int]:
    """All units, each before the one above it."""
    children: defaultdict[int | None, list[int]] = defaultdict(list)
    for unit, parent in parents.items():
        children[parent].append(unit)
    order = list(children[None])
    for unit in order:
        order += children[unit]
    return order[::-1]


def totals(
    parents: Mapping[int, int | None], places: Mapping[Place, int], levels: int
) -> dict[int, list[int]]:
    """How many are counted at each level, in each unit and all below it."""
    found = {unit: [0] * levels for unit in parents}
    for (unit, level), many in places.items():
        if unit in found:
            found[unit][min(level, levels - 1)] += many
    for unit in upwards(parents):
        parent = parents[unit]
        if parent is not None:
            found[parent] = [a + b for a, b in zip(found[parent], found[unit], strict=True)]
    return found


# --- everybody ---


class Census(Struct):
    """Everybody, as they are and as they are counted."""

    sizes: Counter[Standing] = field(default_factory=Counter)
    """People by company."""
    movers: defaultdict[Standing, list[Mover]] = field(default_factory=lambda: defaultdict(list))
    new: list[Mover] = field(default_factory=list)
    """Those who were never counted, or so long ago that nobody compares it any more."""

    def enter(self, mover: Mover, at: Standing | None, floor: int) -> None:
        """Somebody with where they are counted. Of publications up to `floor` none is compared
        with any more: whoever has stood still since then is of one company with all there."""
        if at is None or (at.unit is None and at.since <= floor):
            if mover.unit is not None:
                self.new.append(mover)
            return
        company = at if at.since > floor else Standing(0, 0, at.unit, at.level)
        self.sizes[company] += 1
        if mover.unit != at.unit or (mover.unit is not None and mover.level != at.level):
            self.movers[company].append(mover)

    def decide(self) -> tuple[list[Part], Counter[Place]]:
        """Who moves now, and how many are at each place after that."""
        places: Counter[Place] = Counter()
        moved = join(self.new)
        for company, size in self.sizes.items():
            at = None if company.unit is None else (company.unit, company.level)
            parts = split(at, size, self.movers.get(company, ()))
            moved += parts
            if at is not None:
                places[at] += size - sum(len(part.people) for part in parts)
        for part in moved:
            if part.to is not None:
                places[part.to] += len(part.people)
        return moved, +places


# --- who moves -------------------------------------------------------------------------


def join(movers: Iterable[Mover]) -> list[Part]:
    """Parts of those who were never counted; too few of a kind wait."""
    return _arrivals(movers)[0]


def split(at: Place | None, size: int, movers: Sequence[Mover]) -> list[Part]:
    """The parts of a company of `size` people, counted at a place, that move on; no part and not
    what remains has one to four people. Who would be too few at their level is counted with those
    behind; who cannot leave yet goes along as far as they had come."""
    leaving = [mover for mover in movers if not _climbs(mover, at)]
    parts = _enough_left(_exits(at, leaving), size)
    gone = {mover.person for part in parts for mover in part.people}
    if at is None:
        return parts
    here, level = at
    rest = [mover for mover in movers if mover.person not in gone and mover.level > level]
    return parts + _climb(here, level, size - len(gone), rest)


def _climbs(mover: Mover, at: Place | None) -> bool:
    return at is not None and mover.unit == at[0] and mover.level > at[1]


def _exits(at: Place | None, leaving: Sequence[Mover]) -> list[Part]:
    """To other units, by stairs; back in the same one, only together and exactly; out of all
    figures whoever has gone, or cannot be counted in their new unit yet."""
    back: defaultdict[int, list[Mover]] = defaultdict(list)
    away: list[Mover] = []
    out: list[Mover] = []
    for mover in leaving:
        if at is not None and mover.unit == at[0]:
            back[mover.level].append(mover)
        else:
            (out if mover.unit is None else away).append(mover)
    parts, too_few = _arrivals(away)
    if at is not None:
        together = [Part((at[0], level), tuple(who)) for level, who in sorted(back.items())]
        parts += [part for part in together if len(part.people) >= LEAST]
        out += too_few
        parts += [Part(None, tuple(out))] if len(out) >= LEAST else []
    return parts


def _arrivals(movers: Iterable[Mover]) -> tuple[list[Part], list[Mover]]:
    """By the unit where they arrive: as far along as five of them are."""
    by_unit: defaultdict[int, list[Mover]] = defaultdict(list)
    for mover in movers:
        if mover.unit is not None:
            by_unit[mover.unit].append(mover)
    parts: list[Part] = []
    too_few: list[Mover] = []
    for unit, those in sorted(by_unit.items()):
        stairs, behind = _stairs(unit, those, 0)
        parts += stairs
        too_few += behind
    return parts, too_few


def _stairs(unit: int, movers: Sequence[Mover], lowest: int) -> tuple[list[Part], list[Mover]]:
    """From the top down: at each level those who are there and those above who were too few."""
    at_level: defaultdict[int, list[Mover]] = defaultdict(list)
    for mover in movers:
        at_level[mover.level].append(mover)
    parts: list[Part] = []
    pool: list[Mover] = []
    for level in range(max(at_level, default=lowest), lowest - 1, -1):
        pool += at_level[level]
        if len(pool) >= LEAST:
            parts.append(Part((unit, level), tuple(pool)))
            pool = []
    return parts, pool


def _enough_left(parts: list[Part], size: int) -> list[Part]:
    """The same, but for some who stay so that one to four are not left behind."""
    lack = _lack(size - sum(len(part.people) for part in parts))
    if not lack or not parts:
        return parts
    for n, part in enumerate(parts):
        if len(part.people) >= LEAST + lack:
            fewer = Part(part.to, part.people[:-lack])
            return [*parts[:n], fewer, *parts[n + 1 :]]
    smallest = min(range(len(parts)), key=lambda n: len(parts[n].people))
    return parts[:smallest] + parts[smallest + 1 :]


def _climb(unit: int, level: int, size: int, movers: Sequence[Mover]) -> list[Part]:
    """Those of a company who have come farther in their unit; `size` are left of it."""
    parts, pool = _stairs(unit, movers, level + 1)
    staying = size - sum(len(part.people) for part in parts)
    lack = _lack(staying)
    if not lack or not parts:
        return parts
    *parts, last = parts
    taken = last.people[-lack:] if len(last.people) >= LEAST + lack else last.people
    if len(taken) < len(last.people):
        parts.append(Part(last.to, last.people[:-lack]))
    if staying == len(pool):  # nobody has to stay: all of these have come farther, too
        together = (*pool, *taken)
        parts.append(Part((unit, min(mover.level for mover in together)), together))
    return parts


def _lack(left: int) -> int:
    """How many one to four people are short of five."""
    return LEAST - left if 0 < left < LEAST else 0


# --- what they could strengthen --------------------------------------------------------


def weak(measured: Mapping[str, tuple[int, int]]) -> tuple[str, ...]:
    """At most two areas, by name only: those in which at least five people, and a third of all
    who were measured (the second number), have the lowest result (the first)."""
    found = [
        (-low / many, area)
        for area, (low, many) in measured.items()
        if low >= LEAST and 3 * low >= many
    ]
    return tuple(area for _, area in sorted(found)[:SHOWN_AREAS])
