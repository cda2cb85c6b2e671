"""How able a few answers show somebody to be: the Rasch model with a normal prior."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import exp, sqrt

from flows.types import Measure

GRID = tuple(-4 + 8 * i / 80 for i in range(81))
PRIOR = tuple(exp(-(theta**2) / 2) for theta in GRID)
STRENGTHEN, STRONG = -0.35, 0.35
"""Between these abilities (logits) lies the middle band."""


def chance(ability: float, difficulty: float) -> float:
    """The probability of a right answer."""
    return 1 / (1 + exp(difficulty - ability))


@lru_cache(maxsize=2048)  # two for each question of the bank
def _curve(difficulty: float, right: bool) -> tuple[float, ...]:
    """The probability of such an answer at each point of the grid."""
    rights = (chance(theta, difficulty) for theta in GRID)
    return tuple(p if right else 1 - p for p in rights)


def measure(answers: Iterable[tuple[float, bool]]) -> Measure:
    """The expected ability and its standard error (logits) from (difficulty, right) pairs:
    the mean and spread of the posterior over a grid (EAP)."""
    answers = list(answers)
    weights: Sequence[float] = PRIOR
    for difficulty, right in answers:
        weights = [w * p for w, p in zip(weights, _curve(difficulty, right), strict=True)]
    total = sum(weights)
    mean = sum(w * theta for w, theta in zip(weights, GRID, strict=True)) / total
    spread = sum(w * (theta - mean) ** 2 for w, theta in zip(weights, GRID, strict=True)) / total
    rights = sum(right for _, right in answers)
    return Measure(rights, len(answers), round(mean, 3) + 0.0, round(sqrt(spread), 3))


def band(measured: Measure) -> str:
    """An honest word for it: two answers do not carry more than three bands."""
    if measured.ability < STRENGTHEN:
        return "strengthen"
    return "strong" if measured.ability > STRONG else "fair"


def share(measured: Measure) -> float:
    """From 0 to 1, for a picture: the chance of a right answer to an average question,
    stretched so that the three bands are the three rings."""
    return min(max((measured.ability - STRENGTHEN) / (STRONG - STRENGTHEN) / 3 + 1 / 3, 0.04), 1.0)


def differs(before: Measure, after: Measure) -> bool:
    """Whether the change is larger than chance alone would often make it (95 %)."""
    return abs(after.ability - before.ability) > 1.96 * sqrt(before.error**2 + after.error**2)
