"""How hard questions are, by the answers to them: the Rasch model, difficulties by marginal maximum
likelihood (Bock and Aitkin's EM) under the prior of `flows/ability.py`.

A *sitting* is what one person answered in one go. Which question comes next there may depend on the
answers before it, as it does in the self-assessment: marginal likelihood stays right then, while
conditional likelihood would not. How able people are on the whole, for each purpose, and how far
each area lies from that, is estimated along. What an area's numbers mean is its author's: in each
area the estimated difficulties keep their mean (of the middle half of their changes, so that one
question with a wrong key does not move all the others).

Fit is judged by what was known before: each answer against its probability by the answers before it
in the sitting. So the mean squares are 1 where the model holds, whoever was asked what."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from operator import mul
from typing import NamedTuple

from msgspec import Struct, field, structs

from flows.ability import AROUND, POINTS, PRIOR, conditional, curve

FEWEST = 5
"""Questions of an area with answers enough, without which its scale would hang on too little."""
ROUNDS = 60
CLOSE = 0.002
"""Rounds end when nothing moves further than this (logits)."""
FAR = 3.0
"""Logits that an estimate goes from the author's at most in a round, and 4 in all."""
NOISY, ODD = 1.15, 1.3
"""Infit and outfit above which answers are less regular than the model has it [I]."""
UNLIKELY = 2.5
"""Standard errors at which a correlation is too low, or a wrong option draws the able [I]."""
TAKERS = 20
"""People that must have chosen an option before it is compared with the key."""


class Said(NamedTuple):
    """An answer: to which question of which area, which option (None: not sure), and if right."""

    question: str
    area: str
    option: int | None
    right: bool


class Sitting(NamedTuple):
    """What one person answered for one purpose, in order."""

    purpose: str
    answers: tuple[Said, ...]


class Calibrated(Struct, frozen=True):
    """What is known of a question. Logits: the author's `old` difficulty, the estimate with its
    standard error. `infit` and `outfit` are mean squares (1: as the model has it), `correlation`
    is of being right with the ability by the other answers of the sitting, `expected` what the
    model expects of it. `flags`: too_few, noisy, weak, key. Without answers enough there are no
    figures."""

    question: str
    area: str
    answers: int
    right: int
    old: float
    new: float | None = None
    error: float | None = None
    infit: float | None = None
    outfit: float | None = None
    correlation: float | None = None
    expected: float | None = None
    flags: tuple[str, ...] = ()


def calibrate(
    sittings: Sequence[Sitting], old: Mapping[str, float], least: int
) -> list[Calibrated]:
    """Estimate the difficulty of every question of `old` (id to logits) that was answered `least`
    times or more; others stand where their author put them. Answers to questions that `old` does
    not know are left out."""
    known = [
        Sitting(each.purpose, tuple(said for said in each.answers if said.question in old))
        for each in sittings
    ]
    known = [each for each in known if each.answers]
    counts = Counter(said.question for each in known for said in each.answers)
    rights = Counter(said.question for each in known for said in each.answers if said.right)
    areas = {said.question: said.area for each in known for said in each.answers}
    free = _free(counts, areas, least)
    scale = Scale(dict(old), free, areas)
    if free:
        scale.settle(known)
    fits = Fits(scale)
    if free:
        fits.judge(known)
    return [
        fits.of(
            question, areas.get(question, ""), counts[question], rights[question], old[question]
        )
        for question in old
    ]


def _free(counts: Counter[str], areas: Mapping[str, str], least: int) -> frozenset[str]:
    """The questions to estimate: answered often enough, in an area that has some of them."""
    enough = [question for question, many in counts.items() if many >= least]
    per_area = Counter(areas[question] for question in enough)
    return frozenset(q for q in enough if per_area[areas[q]] >= FEWEST)


# --- the estimate ----------------------------------------------------------------------


class Scale:
    """Difficulties, and how able people are on the whole, for each purpose and area (logits)."""

    def __init__(
        self, difficulty: dict[str, float], free: frozenset[str], areas: Mapping[str, str]
    ) -> None:
        self.difficulty, self.free = difficulty, free
        self.purposes: dict[str, float] = {}
        self.areas: dict[str, float] = dict.fromkeys(areas.values(), 0.0)
        self._old = dict(difficulty)
        self._anchors = _by_area(free, areas)
        self.information: dict[str, float] = {}
        """What the answers tell of each difficulty, less what is lost for not knowing abilities."""

    def beyond(self, said: Said, purpose: str) -> float:
        """The difficulty of a question for the people of this purpose: how far beyond them."""
        mean = self.purposes.get(purpose, 0.0) + self.areas[said.area]
        return self.difficulty[said.question] - mean

    def settle(self, sittings: Sequence[Sitting]) -> None:
        """Rounds of expectation and maximization, until nothing moves."""
        for _ in range(ROUNDS):
            expected = Expected(self)
            for sitting in sittings:
                expected.add(sitting)
            if self._move(expected) < CLOSE:
                break
        last = Expected(self)
        for sitting in sittings:
            last.add(sitting, tells=True)
        self.information = dict(last.information)

    def _move(self, expected: "Expected") -> float:
        """Take the step that the answers call for; how far the furthest of it was."""
        before = self._all()
        for question in self.free:
            step = expected.step(question)
            self.difficulty[question] = min(max(self.difficulty[question] + step, -6.0), 6.0)
        for area, ids in self._anchors.items():
            shift = -_middle([self.difficulty[q] - self._old[q] for q in ids])
            for question in ids:
                self.difficulty[question] += shift
            self.areas[area] += shift
        for purpose, value in expected.purposes().items():
            self.purposes[purpose] = self.purposes.get(purpose, 0.0) + value
        for area, value in expected.areas().items():
            self.areas[area] += value
        middle = _mean(list(self.areas.values()))  # what all areas share is the purposes' to know
        self.areas = {area: value - middle for area, value in self.areas.items()}
        self.purposes = {purpose: value + middle for purpose, value in self.purposes.items()}
        return max(abs(value - before.get(name, 0.0)) for name, value in self._all().items())

    def _all(self) -> dict[tuple[str, str], float]:
        """Everything that is estimated. Questions that stay as they are may pull at an area, which
        its anchor pulls back: what counts is where it comes to rest."""
        parts = {"question": self.difficulty, "area": self.areas, "purpose": self.purposes}
        return {(part, name): v for part, values in parts.items() for name, v in values.items()}


def _by_area(questions: frozenset[str], areas: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for question in sorted(questions):
        found[areas[question]].append(question)
    return dict(found)


def _middle(values: Sequence[float]) -> float:
    """The mean of the middle half: one question with a wrong key must not move all others."""
    rest = len(values) // 4
    return _mean(sorted(values)[rest : len(values) - rest])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


class Expected:
    """How many people of each ability answered each question, as far as all their answers tell."""

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self._people: dict[str, dict[str, list[float]]] = defaultdict(dict)
        """By question and purpose: people at each point of the grid."""
        self._rights: Counter[str] = Counter()
        self._general: dict[str, list[float]] = defaultdict(list)
        self._own: dict[str, list[float]] = defaultdict(list)
        self._beyond: dict[tuple[str, str], float] = {}
        self.information: dict[str, float] = defaultdict(float)

    def add(self, sitting: Sitting, *, tells: bool = False) -> None:
        """Take up a sitting; `tells`: also what it tells of the difficulties."""
        by_area: dict[str, list[Said]] = defaultdict(list)
        for said in sitting.answers:
            by_area[said.area].append(said)
        likely = {area: self._likely(group, sitting) for area, group in by_area.items()}
        parts = {area: conditional(values) for area, values in likely.items()}
        weights = _weights([part[0] for part in parts.values()])
        level = sum(map(mul, weights, GENERAL))
        self._general[sitting.purpose].append(level)
        for area, group in by_area.items():
            probable, mean, _ = parts[area]
            self._own[area].append(sum(map(mul, weights, mean)) - level)
            density = _density(likely[area], weights, probable)
            for said in group:
                self._count(said, sitting.purpose, density)
                if tells:
                    self._tell(said, sitting.purpose, density)

    def _likely(self, group: Sequence[Said], sitting: Sitting) -> Sequence[float]:
        values: Sequence[float] = (1.0,) * len(POINTS)
        for said in group:
            key = said.question, sitting.purpose
            if key not in self._beyond:
                self._beyond[key] = self._scale.beyond(said, sitting.purpose)
            values = tuple(map(mul, values, curve(self._beyond[key], said.right)))
        return values

    def _count(self, said: Said, purpose: str, density: Sequence[float]) -> None:
        self._rights[said.question] += said.right
        people = self._people[said.question].setdefault(purpose, [0.0] * len(POINTS))
        for at, weight in enumerate(density):
            people[at] += weight

    def _tell(self, said: Said, purpose: str, density: Sequence[float]) -> None:
        """The information of one answer (Louis): p·q less the variance of p, given all answers."""
        chances = curve(self._beyond[said.question, purpose], True)
        first = sum(map(mul, density, chances))
        second = sum(w * p * p for w, p in zip(density, chances, strict=True))
        self.information[said.question] += first - 2 * second + first * first

    def step(self, question: str) -> float:
        """Newton's step towards the difficulty at which as many are right as were."""
        expected = spread = 0.0
        for purpose, people in self._people[question].items():
            chances = curve(self._beyond[question, purpose], True)
            expected += sum(map(mul, people, chances))
            spread += sum(n * p * (1 - p) for n, p in zip(people, chances, strict=True))
        return min(max((expected - self._rights[question]) / max(spread, 1e-9), -FAR), FAR)

    def purposes(self) -> dict[str, float]:
        return {purpose: _mean(levels) for purpose, levels in self._general.items()}

    def areas(self) -> dict[str, float]:
        """How far each area is off; the mean of all of them is the purposes' to know."""
        found = {area: _mean(values) for area, values in self._own.items()}
        middle = _mean(list(found.values()))
        return {area: value - middle for area, value in found.items()}


GENERAL = POINTS[len(AROUND) // 2 : len(AROUND) // 2 + len(PRIOR)]
"""The points of the general ability."""


def _weights(probable: Sequence[Sequence[float]]) -> list[float]:
    """How probable each general ability is, given how probable it makes what was answered."""
    weights: Sequence[float] = PRIOR
    for each in probable:
        weights = tuple(map(mul, weights, each))
    total = sum(weights)
    return [weight / total for weight in weights]


def _density(
    likely: Sequence[float], weights: Sequence[float], probable: Sequence[float]
) -> list[float]:
    """How probable each ability in an area is, given all answers of a sitting."""
    wide = len(AROUND)
    around = [0.0] * (wide - 1)
    spread = [*around, *(w / p for w, p in zip(weights, probable, strict=True)), *around]
    return [
        value * sum(map(mul, AROUND, spread[at : at + wide])) for at, value in enumerate(likely)
    ]


# --- the fit ---------------------------------------------------------------------------


class Sums(Struct):
    """What is summed up over the answers to one question. `x` is 1 for a right answer, `p` its
    probability by the answers before it; `rest` the ability by all others, `q` its probability by
    those."""

    squares: float = 0.0
    variance: float = 0.0
    ratios: float = 0.0
    n: int = 0
    takers: dict[int | None, list[float]] = field(default_factory=lambda: defaultdict(list))
    rests: list[float] = field(default_factory=list)
    rights: list[float] = field(default_factory=list)
    chances: list[float] = field(default_factory=list)


class Fits:
    """How well answers go with what the scale expects of them."""

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self._sums: dict[str, Sums] = defaultdict(Sums)
        self._known: dict[tuple[tuple[float, bool], ...], tuple[tuple[float, ...], ...]] = {}

    def judge(self, sittings: Sequence[Sitting]) -> None:
        for sitting in sittings:
            told = [
                (said, self._scale.beyond(said, sitting.purpose), self._mean_of(said, sitting))
                for said in sitting.answers
            ]
            for at, (said, beyond, mean) in enumerate(told):
                if said.question not in self._scale.free:
                    continue
                sums = self._sums[said.question]
                chance, _ = self._expect(said.area, beyond, [each[:2] for each in told[:at]])
                residual = (said.right - chance) ** 2
                sums.squares += residual
                sums.variance += chance * (1 - chance)
                sums.ratios += residual / (chance * (1 - chance))
                sums.n += 1
                others = [each[:2] for n, each in enumerate(told) if n != at]
                chance, rest = self._expect(said.area, beyond, others)
                sums.rests.append(rest + mean)
                sums.rights.append(float(said.right))
                sums.chances.append(chance)
                sums.takers[said.option].append(rest + mean)

    def _mean_of(self, said: Said, sitting: Sitting) -> float:
        """How able the people of this purpose are in the area, on the whole."""
        return self._scale.difficulty[said.question] - self._scale.beyond(said, sitting.purpose)

    def _expect(
        self, area: str, beyond: float, given: Sequence[tuple[Said, float]]
    ) -> tuple[float, float]:
        """After such answers: the probability of being right, and the ability in the area."""
        by_area: dict[str, list[tuple[float, bool]]] = {area: []}
        for said, difficulty in given:
            by_area.setdefault(said.area, []).append((difficulty, said.right))
        parts = {each: self._part(tuple(told)) for each, told in by_area.items()}
        weights = _weights([part[0] for part in parts.values()])
        probable, mean, _ = parts[area]
        more = self._part((*by_area[area], (beyond, True)))[0]
        ratio = map(mul, weights, (m / p for m, p in zip(more, probable, strict=True)))
        return sum(ratio), sum(map(mul, weights, mean))

    def _part(self, told: tuple[tuple[float, bool], ...]) -> tuple[tuple[float, ...], ...]:
        told = tuple(sorted(told))
        if told not in self._known:
            values: Sequence[float] = (1.0,) * len(POINTS)
            for difficulty, right in told:
                values = tuple(map(mul, values, curve(difficulty, right)))
            self._known[told] = conditional(values)
        return self._known[told]

    def of(self, question: str, area: str, answers: int, right: int, old: float) -> Calibrated:
        """All that is known of a question."""
        plain = Calibrated(question, area, answers, right, old)
        if question not in self._scale.free:
            return structs.replace(plain, flags=("too_few",))
        sums = self._sums[question]
        told = max(self._scale.information.get(question, 0.0), 1e-9)
        found = structs.replace(
            plain,
            new=round(self._scale.difficulty[question], 3) + 0.0,
            error=round(1 / sqrt(told), 3),
            infit=round(sums.squares / sums.variance, 3),
            outfit=round(sums.ratios / sums.n, 3),
            correlation=_correlation(sums.rests, sums.rights),
            expected=_expected(sums),
        )
        return structs.replace(found, flags=tuple(_flags(found, sums)))


def _correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    spread = _spread(one) * _spread(other)
    return round(_together(one, other) / spread, 3) if spread > 0 else None


def _expected(sums: Sums) -> float | None:
    """The correlation that there would be if being right were as probable as the model says."""
    mean = _mean(sums.chances)
    spread = _spread(sums.rests) * sqrt(mean * (1 - mean))
    return round(_together(sums.rests, sums.chances) / spread, 3) if spread > 0 else None


def _together(one: Sequence[float], other: Sequence[float]) -> float:
    first, second = _mean(one), _mean(other)
    return _mean([(a - first) * (b - second) for a, b in zip(one, other, strict=True)])


def _spread(values: Sequence[float]) -> float:
    return sqrt(max(_together(values, values), 0.0))


def _flags(found: Calibrated, sums: Sums) -> Iterator[str]:
    """What speaks against a question: answers less regular than they should be, being right too
    little a matter of ability, or a wrong option that draws the abler ones."""
    if (found.infit or 0) > NOISY or (found.outfit or 0) > ODD:
        yield "noisy"
    lower = (found.expected or 0.0) - (found.correlation or 0.0)
    if found.correlation is not None and lower * sqrt(sums.n) > UNLIKELY:
        yield "weak"
    right = [rest for rest, x in zip(sums.rests, sums.rights, strict=True) if x]
    wrong = (rests for option, rests in sums.takers.items() if option is not None)
    if any(_draws(rests, right) for rests in wrong):
        yield "key"


def _draws(some: Sequence[float], right: Sequence[float]) -> bool:
    """Whether those who chose an option are abler than those who were right: a little, if they are
    more; beyond chance (Welch), if they are fewer."""
    if len(some) < TAKERS or not right:
        return False
    doubt = _spread(some) ** 2 / len(some) + _spread(right) ** 2 / len(right)
    sure = 0.0 if len(some) > len(right) else UNLIKELY
    return _mean(some) - _mean(right) > sure * sqrt(doubt)
