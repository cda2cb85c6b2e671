"""Who may see what, worked out once more by sets alone: no SQL, no paths, none of our code."""

import random
from typing import Any

from msgspec import Struct

ROLES = ("manager", "hr", "approver", "privacy", "editor", "ocsc", "admin")
MAY: dict[str, set[str]] = {
    "names": {"hr", "privacy"},
    "figures": {"hr", "approver", "ocsc"},
    "team": {"manager", "hr", "approver"},
    "lead": {"manager"},
    "send": {"hr", "approver"},
    "approve": {"hr", "approver"},
    "roster": {"hr"},
    "privacy": {"privacy"},
    "content": {"editor", "hr"},
    "system": {"admin"},
}
DEEP = 6
TODAY = 739_940


class Grant(Struct, frozen=True):
    person: int
    role: str
    unit: int | None
    from_on: int
    until_on: int | None


class Agency(Struct):
    """A random agency: by unit the one above it, by person the unit, and the day they left."""

    parents: dict[int, int | None]
    names: dict[int, str]
    units: dict[int, int]
    left: dict[int, int]
    grants: list[Grant]

    def subtree(self, top: int) -> set[int]:
        return {unit for unit in self.parents if top in self.above(unit)}

    def above(self, unit: int) -> list[int]:
        """The unit itself and all above it."""
        found, at = [], unit
        while at is not None:
            found.append(at)
            at = self.parents[at]  # type: ignore[assignment]
        return found

    def seen(self, viewer: int, power: str, day: int) -> set[int]:
        """The units over which somebody has a power on a day."""
        if 0 < self.left[viewer] <= day:
            return set()
        found: set[int] = set()
        for grant in self.grants:
            held = grant.from_on <= day and (grant.until_on is None or day < grant.until_on)
            if grant.person == viewer and held and grant.role in MAY[power]:
                found |= set(self.parents) if grant.unit is None else self.subtree(grant.unit)
        return found


def agency(seed: int, units: int, people: int) -> Agency:
    """Names of units begin with each other's on purpose: a path is no string of letters."""
    dice = random.Random(seed)
    parents: dict[int, int | None] = {1: None}
    depth = {1: 1}
    for unit in range(2, units + 1):
        above = dice.choice([each for each in parents if depth[each] < DEEP])
        parents[unit], depth[unit] = (
            (None, 1) if dice.random() < 0.03 else (above, depth[above] + 1)
        )
    names: dict[int, str] = {}
    for unit, parent in parents.items():
        beside = [names[each] for each in names if parents[each] == parent]
        begins = dice.choice(beside) if beside and dice.random() < 0.6 else "U"
        names[unit] = f"{begins}{dice.choice('_%.')}{unit}"
    where = {person: dice.randint(1, units) for person in range(1, people + 1)}
    left = {who: dice.choice((0, 0, 0, 0, TODAY - 3, TODAY, TODAY + 3)) for who in where}
    granted = [_grant(dice, dice.randint(1, people), units) for _ in range(people // 4)]
    return Agency(parents, names, where, left, granted)


def _grant(dice: random.Random, person: int, units: int) -> Grant:
    """Some for good, some of an acting manager from one day to another."""
    unit: Any = dice.randint(1, units) if dice.random() < 0.93 else None
    role = dice.choice((*("manager",) * 4, *ROLES))
    from_on = dice.choice((0, 0, TODAY - 5, TODAY, TODAY + 2))
    until_on = dice.choice((None, None, from_on + dice.randint(1, 8)))
    return Grant(person, role, unit, from_on, until_on)
