"""How able somebody is by a few answers: the posterior, the bands, and what counts as a change."""

import random
from itertools import product
from math import exp, sqrt
from statistics import fmean

import pytest

from flows import ability
from flows.ability import (
    BANDS,
    CLEAR,
    GENERAL,
    OWN,
    STRENGTHEN,
    STRONG,
    SURE,
    bands,
    chance,
    change,
    measure,
    needed,
    of_mean,
    pooled,
    profile,
)
from flows.types import Measure

Given = dict[str, list[tuple[float, bool]]]
AREAS = tuple("abcdefghi")


def somebody(dice: random.Random) -> dict[str, float]:
    level = dice.gauss(0, sqrt(GENERAL))
    return {area: level + dice.gauss(0, sqrt(OWN)) for area in AREAS}


def asked(dice: random.Random, true: dict[str, float], each: int) -> Given:
    """Answers to questions of an area that are about as hard as people are able."""
    given: Given = {area: [] for area in true}
    for area, theta in true.items():
        for _ in range(each):
            difficulty = dice.uniform(-1.5, 1.5)
            given[area].append((difficulty, dice.random() < chance(theta, difficulty)))
    return given


def integrated(
    given: Given, points: int = 161, reach: float = 6.0
) -> dict[str, tuple[float, float]]:
    """Mean and standard error of each area by plain integration over general ability and deviation
    on a fine grid: slow, and of the model alone."""
    steps = [reach * (2 * n / (points - 1) - 1) for n in range(points)]
    general = [(sqrt(GENERAL) * z, exp(-z * z / 2)) for z in steps]
    own = [(sqrt(OWN) * z, exp(-z * z / 2)) for z in steps]
    rows: dict[str, list[tuple[float, float, float]]] = {}
    total = [weight for _, weight in general]
    for area, answers in given.items():
        rows[area] = [_inner(level, own, answers) for level, _ in general]
        total = [w * row[0] for w, row in zip(total, rows[area], strict=True)]
    found = {}
    for area, values in rows.items():
        pairs = list(zip(total, values, strict=True))
        mean = sum(w * one / zero for w, (zero, one, _) in pairs) / sum(total)
        square = sum(w * two / zero for w, (zero, _, two) in pairs) / sum(total)
        found[area] = mean, sqrt(square - mean * mean)
    return found


def _inner(
    level: float, own: list[tuple[float, float]], answers: list[tuple[float, bool]]
) -> tuple[float, float, float]:
    zero = one = two = 0.0
    for deviation, weight in own:
        theta = level + deviation
        for difficulty, right in answers:
            p = chance(theta, difficulty)
            weight *= p if right else 1 - p
        zero, one, two = zero + weight, one + weight * theta, two + weight * theta * theta
    return zero, one, two


@pytest.mark.parametrize("each", [1, 2, 8])
def test_the_grid_is_as_good_as_integration(each: int) -> None:
    """To a hundredth of a logit, which is a fortieth of what a series leaves open."""
    dice = random.Random(each)
    given = asked(dice, somebody(dice), each)
    exact, found = integrated(given, 121 if each > 2 else 161), profile(given).areas

    for area, (mean, error) in exact.items():
        assert found[area].ability == pytest.approx(mean, abs=0.01)
        assert found[area].error == pytest.approx(error, abs=0.01)


def test_without_answers_it_is_the_prior() -> None:
    found = profile({area: [] for area in AREAS})

    assert found.areas["a"].ability == 0
    assert found.areas["a"].error == pytest.approx(1, abs=0.01)
    assert found.overall.error == pytest.approx(sqrt(of_mean(len(AREAS))), abs=0.01)
    assert profile({}).areas == {}


def test_areas_tell_of_each_other() -> None:
    """Whoever is right everywhere else is thought abler in an area, and less is left open."""
    alone = measure([(0.0, False)])
    among = profile({"a": [(0.0, False)], **{each: [(0.0, True)] * 2 for each in "bcdefghi"}})

    assert among.areas["a"].ability > alone.ability
    assert among.areas["a"].error < alone.error
    assert among.areas["a"].ability < among.areas["b"].ability


def test_extreme_answers_stay_numbers() -> None:
    for right in (False, True):
        found = profile({area: [(4.0, right), (-4.0, right)] * 12 for area in AREAS})
        assert all(abs(each.ability) < 6 and 0 < each.error < 1 for each in found.areas.values())


# --- bands -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ability", "error", "wanted"),
    [
        (-1.5, 0.6, ("strengthen",)),
        (1.5, 0.6, ("strong",)),
        (-0.4, 0.7, ("strengthen", "fair")),
        (0.4, 0.7, ("fair", "strong")),
        (0.0, 0.2, ("fair",)),
        (0.0, 1.0, BANDS),
    ],
)
def test_bands_are_those_that_answers_leave_open(
    ability: float, error: float, wanted: tuple[str, ...]
) -> None:
    assert bands(Measure(1, 2, ability, error)) == wanted


def test_two_answers_alone_prove_no_band() -> None:
    """However they went."""
    for one, two in product((False, True), repeat=2):
        assert len(bands(measure([(0.0, one), (0.0, two)]))) > 1


def test_named_bands_hold_as_often_as_promised() -> None:
    """By simulation: the band that is true is among those named, at least so often."""
    dice, held = random.Random(1), []
    for _ in range(300):
        true = somebody(dice)
        for area, found in profile(asked(dice, true, 2)).areas.items():
            cuts = (true[area] >= STRENGTHEN) + (true[area] > STRONG)
            held.append(BANDS[cuts] in bands(found))

    assert fmean(held) > SURE


# --- change ----------------------------------------------------------------------------


def test_nobody_gains_by_chance_alone() -> None:
    """Of people who have not changed, no more than one in twenty seem to, in an area or on the
    whole; also where they are asked more the second time."""
    dice, areas, overall = random.Random(2), [], []
    for n in range(400):
        true = somebody(dice)
        before, after = (profile(asked(dice, true, each)) for each in (2, 2 + 4 * (n % 2)))
        areas += [change(before.areas[a], after.areas[a]).clear for a in AREAS]
        overall.append(change(before.overall, after.overall, of_mean(9)).clear)

    assert fmean(areas) < 0.05
    assert fmean(overall) < 0.05


def test_a_large_gain_is_seen() -> None:
    dice, seen = random.Random(3), []
    for _ in range(100):
        true = somebody(dice)
        later = {area: theta + 2.5 for area, theta in true.items()}
        before, after = profile(asked(dice, true, 2)), profile(asked(dice, later, 2))
        found = change(before.overall, after.overall, of_mean(9))
        seen.append(found.low > 0)

    assert fmean(seen) > 0.5


def test_the_prior_makes_no_gain() -> None:
    """Two perfect measures of what the answers say the same: the one that was asked more lies
    further from zero only because the prior holds it less."""

    def seen(value: float, noise: float) -> Measure:
        known = 1 + 1 / noise
        return Measure(0, 0, value / noise / known, known**-0.5)

    before, after = seen(-1.5, 2.0), seen(-1.5, 0.2)
    found = change(before, after)

    assert after.ability < before.ability - 0.5
    assert found.low + found.high == pytest.approx(0, abs=1e-9)


def test_nothing_is_known_of_a_change_without_answers() -> None:
    nothing = Measure(0, 0, 0.0, 1.0)
    found = change(nothing, measure([(0.0, True)]))

    assert not found.clear
    assert found.low == -found.high == pytest.approx(-CLEAR * sqrt(ability.WIDE))
    assert pooled(nothing, measure([(0.0, True)])).ability == measure([(0.0, True)]).ability


def test_pooling_leaves_less_open() -> None:
    one, two = measure([(0.0, True)] * 3), measure([(0.0, False)] * 3)
    both = pooled(one, two)

    assert both.ability == pytest.approx(0, abs=0.01)
    assert both.error < one.error
    assert (both.right, both.asked) == (3, 6)


@pytest.mark.parametrize("prior", [1.0, of_mean(9)])
@pytest.mark.parametrize("gain", [0.7, 1.0, 2.0])
def test_so_many_questions_show_a_gain_and_no_fewer(prior: float, gain: float) -> None:
    def told(value: float, questions: int) -> Measure:
        known = 1 / prior + questions / 4
        return Measure(0, 0, value * questions / 4 / known, known**-0.5)

    def clear(questions: int) -> bool:
        return change(told(0.0, questions), told(gain, questions), prior).clear

    most = needed(gain, prior)
    assert clear(most)
    assert not clear(most - 2)


def test_a_change_in_points_has_its_sign() -> None:
    assert ability.points(1.0, 0.0) == 24
    assert ability.points(-1.0, 0.0) == -24
    assert 0 < ability.points(1.0, 3.0) < 24
    assert ability.rate(1.0) == 73
