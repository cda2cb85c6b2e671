"""How able answers show somebody to be: the Rasch model, with one prior shared by all areas.

The ability in an area is a general one plus the area's own deviation, both normal around zero:
`ability = general + deviation`, of variance `GENERAL` and `OWN`. So each area is N(0, 1), as it
always was here, and two areas of one person are correlated by `GENERAL`. That there is a general
part and one of its own for each tool is what Reichert et al. (2020, doi:10.1007/s11423-020-09825-x)
found in tests on real software; that they are of equal size is our assumption [I], until answers of
an agency say otherwise. docs/measuring.md tells what follows from it."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import erf, exp, sqrt
from operator import mul

from msgspec import Struct

from flows.types import Measure

GENERAL, OWN = 0.5, 0.5
"""Variances of the general ability and of an area's deviation from it (logits squared) [I]."""
STEP = 0.45
"""Distance of two points of the grid (logits). Abilities are sums of two of its points, and so on
the same grid: a curve is read there and nowhere else."""
REACH = 4.2
"""How many standard deviations the grid goes to either side."""
STRENGTHEN, STRONG = -0.35, 0.35
"""Between these abilities (logits) lies the middle band."""
BANDS = ("strengthen", "fair", "strong")
SURE = 0.7
"""How probable the bands that are named must be together."""
CLEAR = 1.959963984540054
"""Standard errors to either side that 95 % of chance stays within."""
WIDE = 4
"""The variance of a change before anything is known of it, in those of the ability itself: so wide
that people who have not changed are told so in fewer than 5 % (docs/measuring.md) [I]."""

Answers = Sequence[tuple[float, bool]]
"""Difficulty (logits) and whether the answer was right, of each question of an area."""


class Profile(Struct, frozen=True):
    """What answers say: of each area that was asked, and of the mean of these areas."""

    areas: dict[str, Measure]
    overall: Measure


class Change(Struct, frozen=True):
    """How much an ability has changed (logits): 95 % of what is likely lies between `low` and
    `high`. Where that leaves out zero, chance alone is an unlikely reason."""

    low: float
    high: float

    @property
    def clear(self) -> bool:
        return self.low > 0 or self.high < 0


def chance(ability: float, difficulty: float) -> float:
    """The probability of a right answer."""
    return 1 / (1 + exp(difficulty - ability))


# --- the grid --------------------------------------------------------------------------


def _normal(variance: float) -> tuple[float, ...]:
    """Weights of the points of the grid around zero, their sum one."""
    far = round(REACH * sqrt(variance) / STEP)
    weights = [exp(-((n * STEP) ** 2) / 2 / variance) for n in range(-far, far + 1)]
    return tuple(weight / sum(weights) for weight in weights)


PRIOR, AROUND = _normal(GENERAL), _normal(OWN)
POINTS = tuple(
    (n - (len(PRIOR) + len(AROUND) - 2) / 2) * STEP for n in range(len(PRIOR) + len(AROUND) - 1)
)
"""Every ability that is a general one plus a deviation; the n-th general ability has those from
the n-th on."""


@lru_cache(maxsize=4096)  # two for each question of the bank
def curve(difficulty: float, right: bool) -> tuple[float, ...]:
    """The probability of such an answer at each point of the grid."""
    sign = 1 if right else -1
    return tuple(1 / (1 + exp(sign * (difficulty - point))) for point in POINTS)


@lru_cache(maxsize=8192)  # most areas are as they were at the answer before
def _area(answers: tuple[tuple[float, bool], ...]) -> tuple[tuple[float, ...], ...]:
    """Of one area, at each general ability: how probable the answers are, and if it is that one,
    the mean and the variance of the area's ability."""
    likely: Sequence[float] = (1.0,) * len(POINTS)
    for difficulty, right in answers:
        likely = tuple(map(mul, likely, curve(difficulty, right)))
    return conditional(likely)


def conditional(likely: Sequence[float]) -> tuple[tuple[float, ...], ...]:
    """The same from how probable the answers are at each point of the grid."""
    first = tuple(map(mul, likely, POINTS))
    second = tuple(map(mul, first, POINTS))
    wide, rows = len(AROUND), []
    for n in range(len(PRIOR)):
        total, one, two = (
            sum(map(mul, AROUND, values[n : n + wide])) for values in (likely, first, second)
        )
        rows.append((total, one / total, two / total - (one / total) ** 2))
    probable, mean, spread = zip(*rows, strict=True)
    return probable, mean, spread


# --- what answers say ------------------------------------------------------------------


def profile(answers: Mapping[str, Answers]) -> Profile:
    """The expected ability of each area with its standard error (logits), and of their mean: the
    mean and spread of the posterior (EAP), by summing over the grid. An area without answers is
    told from the others; without any area, all is as the prior has it."""
    found = {area: _area(tuple((d, r) for d, r in given)) for area, given in answers.items()}
    weights: Sequence[float] = PRIOR
    for probable, _, _ in found.values():
        weights = tuple(map(mul, weights, probable))
    total = sum(weights)
    weights = [weight / total for weight in weights]
    areas = {
        area: _measure(answers[area], weights, mean, spread)
        for area, (_, mean, spread) in found.items()
    }
    every = [answer for given in answers.values() for answer in given]
    return Profile(areas, _measure(every, weights, *_together(list(found.values()))))


def _together(parts: list[tuple[tuple[float, ...], ...]]) -> tuple[list[float], list[float]]:
    """Mean and variance of the mean of some areas at each general ability, at which they are
    independent; of no area it is known to be zero."""
    many = len(parts) or 1
    rows = range(len(PRIOR))
    means = [sum(mean[n] for _, mean, _ in parts) / many for n in rows]
    return means, [sum(spread[n] for _, _, spread in parts) / many**2 for n in rows]


def _measure(
    answers: Answers, weights: Sequence[float], means: Sequence[float], spreads: Sequence[float]
) -> Measure:
    """Mean and spread over general abilities of those weights."""
    mean = sum(map(mul, weights, means))
    squares = sum(w * (s + m * m) for w, m, s in zip(weights, means, spreads, strict=True))
    error = sqrt(max(squares - mean * mean, 0.0))
    rights = sum(right for _, right in answers)
    return Measure(rights, len(answers), round(mean, 3) + 0.0, round(error, 3))


def measure(answers: Answers) -> Measure:
    """The same of one area alone."""
    return profile({"": list(answers)}).areas[""]


def forget() -> None:
    """Empty what is kept of areas, to measure what it costs without."""
    _area.cache_clear()


# --- in words --------------------------------------------------------------------------


def band(measured: Measure) -> str:
    """The band of the best single guess: for counting, and for what to suggest first."""
    if measured.ability < STRENGTHEN:
        return "strengthen"
    return "strong" if measured.ability > STRONG else "fair"


def bands(measured: Measure) -> tuple[str, ...]:
    """An honest word for it: the fewest neighbouring bands that hold the ability with a probability
    of `SURE`. With one or two answers these are often two, and sometimes all three: not known."""
    below = [_below(cut, measured) for cut in (STRENGTHEN, STRONG)]
    shares = (below[0], below[1] - below[0], 1 - below[1])
    runs = [(many, at) for many in (1, 2, 3) for at in range(4 - many)]
    enough = [(many, at) for many, at in runs if sum(shares[at : at + many]) >= SURE - 1e-9]
    fewest = min(many for many, _ in enough)
    at = max(
        (at for many, at in enough if many == fewest), key=lambda at: sum(shares[at : at + fewest])
    )
    return BANDS[at : at + fewest]


def _below(cut: float, measured: Measure) -> float:
    """The probability that the ability is below the cut, taken as normal."""
    return (1 + erf((cut - measured.ability) / measured.error / sqrt(2))) / 2


def share(measured: Measure) -> float:
    """From 0 to 1, for a picture: the ability, stretched so that the three bands are the three
    rings."""
    return min(max((measured.ability - STRENGTHEN) / (STRONG - STRENGTHEN) / 3 + 1 / 3, 0.04), 1.0)


# --- before and after ------------------------------------------------------------------


def of_mean(many: int) -> float:
    """The prior variance of the mean of so many areas."""
    return GENERAL + OWN / many


def change(before: Measure, after: Measure, prior: float = GENERAL + OWN) -> Change:
    """How much changed between two measures on the same scale, each under a prior of variance
    `prior` around zero. That prior is taken out of both first: else whoever is asked more the
    second time would seem to move away from zero. The change has a prior of its own, around no
    change and `WIDE`; it keeps two answers from proving anything."""
    (first, noise), (second, more) = (_without(prior, each) for each in (before, after))
    doubt = noise + more
    if doubt == float("inf"):
        reach = CLEAR * sqrt(WIDE * prior)
        return Change(-reach, reach)
    keeps = WIDE * prior / (WIDE * prior + doubt)
    reach = CLEAR * sqrt(keeps * doubt)
    return Change(keeps * (second - first) - reach, keeps * (second - first) + reach)


def _without(prior: float, measured: Measure) -> tuple[float, float]:
    """What the answers alone say (logits), and its variance: the posterior without its prior."""
    known = 1 / measured.error**2 - 1 / prior
    if known < 1e-6:
        return 0.0, float("inf")
    return measured.ability / measured.error**2 / known, 1 / known


def pooled(before: Measure, after: Measure, prior: float = GENERAL + OWN) -> Measure:
    """One measure of both, for where they cannot be told apart."""
    told = [_without(prior, each) for each in (before, after)]
    known = 1 / prior + sum(1 / noise for _, noise in told)
    mean = sum(value / noise for value, noise in told) / known
    asked = before.asked + after.asked
    return Measure(before.right + after.right, asked, round(mean, 3) + 0.0, round(known**-0.5, 3))


def needed(gain: float, prior: float = GENERAL + OWN) -> int:
    """How many questions it takes, before and again after, until a gain of so many logits is
    clear: of questions as hard as the learner is able, which tell most."""
    own = WIDE * prior
    most = own * (gain / CLEAR) ** 2  # doubt · (own + doubt) must stay below it
    doubt = sqrt(own**2 / 4 + most) - own / 2
    return round(2 * 4 / doubt + 0.5)  # an answer's information is a quarter at most


def points(moved: float, around: float) -> int:
    """A change of so many logits in the chance of a right answer to an average question, in
    percentage points, where it lies around some ability."""
    return round(100 * (chance(around + moved / 2, 0) - chance(around - moved / 2, 0)))


def rate(gain: float) -> int:
    """How often somebody is right after such a gain who was right half of the time, in percent."""
    return round(100 * chance(gain, 0))
