"""No figure, and no subtraction of figures over weeks, leaves fewer than five people."""

import random
from collections import Counter
from itertools import count

import pytest

from flows import disclosure
from flows.disclosure import LEAST, Mover, cells, join, split, totals, weak, whole
from tests.attack import LEVELS, Attacker, World, sequence

SEQUENCES = 300


def attacked(seeds: range, kept: int = 1000) -> list[str]:
    found = []
    for seed in seeds:
        _, attacker = sequence(seed, kept)
        found += [f"{seed}: {breach}" for breach in attacker.breaches()]
    return found


# --- the attack ------------------------------------------------------------------------


def test_no_subtraction_of_figures_isolates_anybody() -> None:
    assert attacked(range(SEQUENCES)) == []


def test_no_combination_of_all_figures_tells_four_from_the_others() -> None:
    """Stronger than subtraction: whatever is intersected, united and taken away."""
    assert min(sequence(seed)[1].smallest() for seed in range(1000, 1100)) >= LEAST


@pytest.mark.soak
def test_no_subtraction_isolates_anybody_in_20_000_sequences() -> None:
    assert attacked(range(20_000)) == []


def test_figures_move_all_the_same() -> None:
    """A rule that shows nothing would betray nobody, too."""
    shown = moved = 0
    for seed in range(60):
        world = World(random.Random(seed))
        world.begin(8, 150)
        before = world.publish()
        for _ in range(6):
            world.week()
            after = world.publish()
            shown += len(after)
            moved += sum(after[unit] != before.get(unit) for unit in after)
            before = after

    assert shown > 60 * 6 * 2
    assert moved > shown / 4


# --- the attack finds what is wrong --------------------------------------------------------


def test_the_attack_finds_groups_of_fewer_than_five(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disclosure, "LEAST", 2)

    assert attacked(range(30))


def test_the_attack_finds_what_a_company_leaves_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disclosure, "_lack", lambda left: 0)

    assert attacked(range(100))


def test_the_attack_finds_that_history_is_forgotten() -> None:
    """Everybody at a place is taken for one company, however they came there."""
    assert attacked(range(100), kept=0)


def test_the_attack_finds_figures_that_hide_only_small_units() -> None:
    """Live figures, and what is left of a unit beside its children can be fewer than five."""
    assert any(_naive(seed) for seed in range(20))


def _naive(seed: int) -> list[str]:
    world, attacker = World(random.Random(seed)), Attacker()
    world.begin(10, 90)
    for who, unit in world.unit.items():
        world.level[who] = 0
        world.ledger[who] = disclosure.Standing(1, 1, unit, 0)
    found = totals(world.parents, Counter((u, 0) for u in world.unit.values() if u), LEVELS)
    live = {unit: Counter(dict(enumerate(row))) for unit, row in found.items() if sum(row) >= LEAST}
    attacker.look(world, live)
    return list(attacker.breaches())


# --- cells of the tree -----------------------------------------------------------------------


def test_a_small_unit_is_counted_in_the_unit_above() -> None:
    where = cells({1: None, 2: 1, 3: 1}, {1: 5, 2: 4, 3: 6})

    assert where == {1: 1, 2: 1, 3: 3}
    assert whole({1: None, 2: 1, 3: 1}, where) == {1, 3}


def test_the_smallest_unit_joins_where_too_few_would_be_left() -> None:
    """Two people of the division's own beside two sections: each of them would tell the two."""
    where = cells({1: None, 2: 1, 3: 1}, {1: 2, 2: 9, 3: 6})

    assert where == {1: 1, 2: 2, 3: 1}


def test_fewer_than_five_in_all_are_counted_nowhere() -> None:
    assert cells({1: None, 2: 1}, {1: 2, 2: 2}) == {1: None, 2: None}


@pytest.mark.parametrize("seed", range(200))
def test_what_is_left_beside_the_cells_below_is_none_or_five(seed: int) -> None:
    dice = random.Random(seed)
    parents: dict[int, int | None] = {1: None}
    parents |= {unit: dice.randint(1, unit - 1) for unit in range(2, dice.randint(2, 40))}
    counts = {unit: dice.choice((0, 0, 1, 3, 4, 5, 9)) for unit in parents}
    where = cells(parents, counts)
    sizes = Counter(where[unit] for unit in parents for _ in range(counts[unit]))

    assert all(many >= LEAST for cell, many in sizes.items() if cell is not None)
    assert sizes[None] < LEAST


# --- companies --------------------------------------------------------------------------------

_ids = count(1)


def movers(unit: int | None, *levels: int) -> list[Mover]:
    return [Mover(next(_ids), unit, level) for level in levels]


def told(parts: list[disclosure.Part]) -> list[tuple[disclosure.Place | None, int]]:
    return sorted(((part.to, len(part.people)) for part in parts), key=str)


def test_who_would_be_too_few_is_counted_with_those_behind() -> None:
    assert told(join(movers(1, 3, 3, 2, 2, 1, 0, 0, 0, 0, 0))) == [((1, 0), 5), ((1, 1), 5)]


def test_four_newcomers_wait() -> None:
    assert join(movers(1, 0, 0, 0, 0)) == []


def test_five_move_on_if_five_stay() -> None:
    assert told(split((1, 0), 10, movers(1, 2, 2, 2, 2, 2))) == [((1, 2), 5)]


def test_five_of_eight_do_not_leave_three_behind() -> None:
    assert split((1, 0), 8, movers(1, 2, 2, 2, 2, 2)) == []


def test_a_small_company_moves_as_far_as_all_of_it_has_come() -> None:
    assert told(split((1, 0), 7, movers(1, 3, 3, 3, 3, 3, 2, 1))) == [((1, 1), 7)]


def test_six_of_ten_are_one_too_many() -> None:
    assert told(split((1, 0), 10, movers(1, *[1] * 6))) == [((1, 1), 5)]


def test_who_leaves_alone_is_counted_until_five_have_left() -> None:
    assert split((1, 3), 12, movers(None, 3)) == []
    assert told(split((1, 3), 12, movers(None, 3, 3, 3, 3, 3))) == [(None, 5)]


def test_who_has_gone_does_not_hold_back_the_others() -> None:
    assert told(split((1, 0), 6, movers(None, 7) + movers(1, 2, 2, 2, 2, 2))) == [((1, 2), 6)]


def test_five_who_move_to_another_unit_are_counted_there() -> None:
    assert told(split((1, 0), 10, movers(2, 4, 4, 4, 3, 3))) == [((2, 3), 5)]


@pytest.mark.parametrize("seed", range(300))
def test_no_part_and_no_rest_is_of_one_to_four(seed: int) -> None:
    dice = random.Random(seed)
    size, level = dice.randint(5, 30), dice.randint(0, 5)
    every = [
        Mover(n, dice.choice((1, 1, 1, 1, 2, 3, None)), dice.randint(0, 7)) for n in range(size)
    ]
    moving = [who for who in every if (who.unit, who.level) != (1, level)]
    parts = split((1, level), size, moving)
    left = size - sum(len(part.people) for part in parts)
    people = [mover.person for part in parts for mover in part.people]

    assert len(people) == len(set(people))
    assert left == 0 or left >= LEAST
    for part in parts:
        assert len(part.people) >= LEAST
        if part.to is not None:  # nobody is counted as farther than they are
            assert all(mover.level >= part.to[1] for mover in part.people)


# --- areas ---------------------------------------------------------------------------------------


def test_an_area_is_named_from_five_people_and_a_third_on() -> None:
    assert weak({"word": (5, 15), "media": (5, 16), "safety": (4, 4)}) == ("word",)


def test_at_most_two_areas_are_named_the_weakest_first() -> None:
    assert weak({"a": (5, 15), "b": (9, 10), "c": (8, 10)}) == ("b", "c")
