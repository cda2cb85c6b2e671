"""An agency over some weeks, and somebody who keeps every figure that any manager may see."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from msgspec import Struct, field

from flows.disclosure import LEAST, Census, Mover, Place, Standing, cells, totals, whole

LEVELS = 8
"""Not begun, at one of six steps, finished."""


class World(Struct):
    """A tree of units and its people, who join, learn, move, leave, and are erased."""

    dice: random.Random
    parents: dict[int, int | None] = {}
    unit: dict[int, int | None] = {}
    """By person; None: has left."""
    level: dict[int, int] = {}
    ledger: dict[int, Standing] = {}
    number: int = 0
    kept: int = 1000
    """Publications that are compared."""
    bits: dict[int, int] = {}
    """By person: who was erased keeps theirs as nobody, and has another when they begin anew."""
    next: int = 1

    def begin(self, units: int, people: int) -> None:
        self.parents[1] = None
        for unit in range(2, units + 1):
            self.parents[unit] = self.dice.randint(max(1, unit - 6), unit - 1)
        for _ in range(people):
            self.join()
            self.level[self.next - 1] = self.dice.choice((0, 0, 0, 1, 1, 2, 3))

    def join(self) -> None:
        self.unit[self.next] = self.dice.randint(1, len(self.parents))
        self.level[self.next] = 0
        self.bits[self.next] = 1 << len(self.bits)
        self.next += 1

    def here(self) -> list[int]:
        return [who for who, unit in self.unit.items() if unit is not None]

    def week(self) -> None:
        """What happens between two publications: much or little, to many or to one."""
        dice, busy = self.dice, self.dice.random() ** 2
        for who in self.here():
            if dice.random() < busy * 0.5:
                self.level[who] = min(self.level[who] + dice.choice((1, 1, 2)), LEVELS - 1)
            if dice.random() < busy * 0.06:
                self.unit[who] = dice.randint(1, len(self.parents))
            if dice.random() < busy * 0.05:
                self.unit[who] = None
            if self.level[who] == LEVELS - 1 and dice.random() < 0.1:
                self.level[who] = 1  # another round
        for _ in range(dice.choice((0, 0, 1, 1, 2, 6))):
            self.join()
        if dice.random() < 0.1 and self.here():
            self.erase(dice.choice(self.here()))
        if dice.random() < 0.1 and len(self.parents) > 2:  # a unit comes under another
            self.parents[len(self.parents)] = dice.randint(1, len(self.parents) - 1)

    def erase(self, who: int) -> None:
        """Counted on under another name, and begins anew under their own."""
        if who in self.ledger:
            nobody = -len(self.bits)
            self.ledger[nobody] = self.ledger.pop(who)
            self.unit[nobody], self.level[nobody] = None, LEVELS - 1
            self.bits[nobody], self.bits[who] = self.bits[who], 1 << len(self.bits)
        self.level[who] = 0

    def publish(self) -> dict[int, Counter[int]]:
        """The next publication: of each unit that is shown, how many are at each level."""
        self.number += 1
        counts = Counter(unit for unit in self.unit.values() if unit is not None)
        where, census = cells(self.parents, counts), Census()
        for who in self.unit:
            unit = self.unit[who]
            goal = where[unit] if unit is not None else None
            mover = Mover(who, goal, self.level[who])
            census.enter(mover, self.ledger.get(who), self.number - self.kept)
        parts, places = census.decide()
        for number, part in enumerate(parts, 1):
            unit, level = part.to or (None, 0)
            for mover in part.people:
                self.ledger[mover.person] = Standing(self.number, number, unit, level)
        many = totals(self.parents, {(u, 0): n for u, n in counts.items()}, 1)
        shown = {unit for unit in whole(self.parents, where) if many[unit][0] >= LEAST}
        found = totals(self.parents, places, LEVELS)
        return {unit: Counter(dict(enumerate(found[unit]))) for unit in shown if sum(found[unit])}

    def members(self) -> dict[Place, int]:
        """Who is counted where, each set of people as the bits of a number."""
        found: defaultdict[Place, int] = defaultdict(int)
        for who, at in self.ledger.items():
            if at.unit is not None:
                found[at.unit, at.level] |= self.bits[who]
        return found


class Attacker(Struct):
    """Everything that was ever shown, as sets of people: the attack knows who is in each, which
    nobody does, and looks only for two of which one lies within the other."""

    seen: set[int] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def look(self, world: World, shown: dict[int, Counter[int]]) -> None:
        members = world.members()
        below: defaultdict[int, list[int]] = defaultdict(list)
        for unit, parent in world.parents.items():
            below[parent or 0].append(unit)
        sets: dict[int, list[int]] = {}
        for unit in shown:
            inside = set(_subtree(unit, below))
            sets[unit] = [
                _union(
                    bits for (at, step), bits in members.items() if at in inside and step == level
                )
                for level in range(LEVELS)
            ]
            told = [shown[unit][level] for level in range(LEVELS)]
            if told != [bits.bit_count() for bits in sets[unit]]:
                self.wrong.append(f"{unit}: the figure is not of those people: {told}")
        for unit in shown:
            children = [sets[child] for child in below[unit] if child in shown]
            rest = [
                bits & ~_union(child[level] for child in children)
                for level, bits in enumerate(sets[unit])
            ]
            for row in (sets[unit], rest):
                self._keep(row)

    def _keep(self, row: list[int]) -> None:
        """The figures of one row, and all that can be added up from them in order."""
        for first in range(LEVELS):
            for last in range(first, LEVELS):
                self.seen.add(_union(row[first : last + 1]))

    def breaches(self) -> Iterator[str]:
        """Fewer than five people that a subtraction leaves."""
        yield from self.wrong
        sets = sorted(self.seen - {0}, key=int.bit_count)
        sizes = [bits.bit_count() for bits in sets]
        for n, small in enumerate(sets):
            if sizes[n] < LEAST:
                yield f"{sizes[n]} people by themselves"
            for m in range(n + 1, len(sets)):
                if sizes[m] - sizes[n] >= LEAST:
                    break
                if sizes[m] > sizes[n] and small & ~sets[m] == 0:
                    yield f"{sizes[m]} - {sizes[n]}"

    def smallest(self) -> int:
        """The fewest people whom any combination of all figures could tell from the others."""
        alike: Counter[tuple[bool, ...]] = Counter()
        sets = list(self.seen)
        everybody = _union(sets)
        while everybody:
            bit = everybody & -everybody
            alike[tuple(bool(bits & bit) for bits in sets)] += 1
            everybody ^= bit
        return min(alike.values(), default=LEAST)


def _union(sets: Iterable[int]) -> int:
    found = 0
    for bits in sets:
        found |= bits
    return found


def _subtree(unit: int, below: dict[int, list[int]]) -> Iterator[int]:
    yield unit
    for child in below[unit]:
        yield from _subtree(child, below)


def sequence(seed: int, kept: int = 1000) -> tuple[World, Attacker]:
    """Some weeks of a made-up agency, with all that is shown of it."""
    dice = random.Random(seed)
    world, attacker = World(dice, kept=kept), Attacker()
    world.begin(dice.randint(1, 12), dice.randint(4, 150))
    for _ in range(dice.randint(2, 8)):
        attacker.look(world, world.publish())
        world.week()
    return world, attacker
