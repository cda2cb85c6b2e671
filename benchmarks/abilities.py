"""(s) The self-assessment against the whole bank, and against the truth, by simulation.

Learners are drawn from the model that the self-assessment assumes (`flows/ability.py`), and answer
every question of the bank once, as the Rasch model has it with the difficulties of the files. The
self-assessment is played by the flow itself and gets the same answers; so does a longer one, which
goes on with the question of an area that tells most. What "the same" means is told in the rows:

- order: all areas stand in the same order as by the whole bank;
- apart, pairs: of the pairs of areas that the whole bank itself tells apart (95 %), those that
  stand in the same order; apart, learners: those of whom every such pair does;
- weakest: the three weakest areas are the same three, or two of them;
- bands: of all areas, those whose single best band is the same; those of which the bands that are
  named hold what is true (the promise is 70 %)."""

import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import combinations
from math import sqrt
from statistics import fmean, median

from msgspec import Struct, field, structs

from benchmarks.measures import Row
from content.load import load
from content.schema import Content, Question, alive, area_of
from flows import ability, pretest
from flows.ability import CLEAR, GENERAL, OWN, chance
from flows.calibration import Said, Sitting, calibrate
from flows.types import Chose, Floor, Measure, Placed, State

LEARNERS, FEW = 5_000, 1_000
SHARES = (0.08, 0.2, 0.25, 0.3, 0.35)
LONGER = (0.5, 0.75)
"""Of these only `FEW` learners are asked: it takes long and nobody would."""
GAINS = (0.0, 0.5, 1.0, 1.5, 2.0)
"""True changes (logits) of which a re-test is simulated."""
NOW = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
Given = dict[str, list[tuple[float, bool]]]
Theta = Mapping[str, float]


class Learner(Struct):
    """Somebody made up: what is true of them, and how they answer each question."""

    seed: int
    true: dict[str, float]
    right: dict[str, bool]


def made_up(dice: random.Random, content: Content, general: float, own: float) -> Learner:
    """Somebody whose abilities have these variances."""
    level = dice.gauss(0, sqrt(general))
    true = {area: level + dice.gauss(0, sqrt(own)) for area in areas(content)}
    return Learner(dice.randrange(10**9), true, answers(dice, content, true))


def answers(dice: random.Random, content: Content, true: Theta) -> dict[str, bool]:
    return {
        question.id: dice.random() < chance(true[area], question.difficulty)
        for area in areas(content)
        for question in alive(content.questions[area])
    }


def areas(content: Content) -> list[str]:
    return [area.id for area in content.framework.areas]


# --- playing ---------------------------------------------------------------------------


def play(learner: Learner, content: Content, state: State, purpose: str) -> State:
    """The series as the flow asks it, to its end; the last state."""
    state = pretest.start(state, content)
    while True:
        question = content.question(state.floor.note["question"])
        right = learner.right[question.id]
        wrong = next(at for at in range(len(question.options)) if at != question.right)
        chosen = Chose(str(question.right if right else wrong))
        state, _ = pretest.take(state, chosen, purpose, NOW, content)
        if pretest.enough(state, content):
            return state
        state = pretest.further(state, content)


def anew(learner: Learner) -> State:
    group = Placed("academic", ("roster:6",), "roster")
    return State(learner.seed, placed=group, floor=Floor("pretest", "intro"))


def longer(learner: Learner, content: Content, shares: Iterable[float]) -> Iterator[Given]:
    """A longer assessment, one question of every area in turn: at each share of the bank, what was
    answered so far."""
    left = {area: alive(content.questions[area]) for area in areas(content)}
    whole = {area: len(questions) for area, questions in left.items()}
    given: Given = {area: [] for area in left}
    for share in shares:
        while due := [a for a in left if len(given[a]) < round(share * whole[a])]:
            known = ability.profile(given).areas
            for area in due:
                target = known[area].ability
                best = min(left[area], key=lambda question: abs(question.difficulty - target))
                left[area].remove(best)
                given[area].append((best.difficulty, learner.right[best.id]))
        yield {area: list(each) for area, each in given.items()}


def everything(learner: Learner, content: Content) -> Given:
    def said(question: Question) -> tuple[float, bool]:
        return question.difficulty, learner.right[question.id]

    return {a: [said(q) for q in alive(content.questions[a])] for a in areas(content)}


# --- comparing -------------------------------------------------------------------------


class Seen(Struct):
    """What was seen of many learners, as lists of figures to take the mean of."""

    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, **figures: float) -> None:
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)

    def mean(self, name: str) -> float:
        return fmean(self.figures[name])


def compare(seen: Seen, found: Mapping[str, Measure], bank: Mapping[str, Measure]) -> None:
    """Hold what was found of one learner against what the whole bank says."""
    ranked = [sorted(each, key=lambda a: each[a].ability) for each in (found, bank)]
    apart = [pair for pair in combinations(bank, 2) if tells_apart(bank, *pair)]
    alike = [same_order(found, bank, *pair) for pair in apart]
    weakest = len(set(ranked[0][:3]) & set(ranked[1][:3]))
    seen.add(order=ranked[0] == ranked[1], three=weakest == 3, two=weakest >= 2)
    seen.add(apart=len(apart), learners=all(alike))
    for each in alike:
        seen.add(pairs=each)
    for area in bank:
        seen.add(band=ability.band(found[area]) == ability.band(bank[area]))


def tells_apart(bank: Mapping[str, Measure], one: str, other: str) -> bool:
    first, second = bank[one], bank[other]
    between = sqrt(first.error**2 + second.error**2)
    return abs(first.ability - second.ability) > CLEAR * between


def same_order(
    found: Mapping[str, Measure], bank: Mapping[str, Measure], one: str, other: str
) -> bool:
    wanted = bank[one].ability < bank[other].ability
    return (found[one].ability < found[other].ability) == wanted


def judge(seen: Seen, found: Mapping[str, Measure], true: Theta) -> None:
    """Hold what was found against what is true."""
    for area, measure in found.items():
        off = measure.ability - true[area]
        named = ability.bands(measure)
        holds = ability.band(Measure(0, 0, true[area], 1)) in named
        seen.add(off=off, square=off * off, error=measure.error, named=len(named), holds=holds)
        seen.add(held=abs(off) < CLEAR * measure.error)
        if true[area] < -1:
            seen.add(low=off)
        if true[area] > 1:
            seen.add(high=off)


def rows_of(seen: Seen) -> list[Row]:
    """What was seen, as rows: shares of learners, pairs or areas, and logits."""

    def share(what: str, of: str, goal: bool = False) -> Row:
        value = seen.mean(what)
        return Row(of, value, "share", *(("≥ 0.9", value >= 0.9) if goal else ()))

    return [
        share("order", "order of all areas as by the whole bank", True),
        share("learners", "learners of whom no pair that the bank tells apart is reversed", True),
        share("pairs", "pairs that the bank tells apart in the same order", True),
        share("three", "the three weakest are the same"),
        share("two", "two or three of the three weakest are the same"),
        share("band", "areas in the same band as by the whole bank"),
        share("holds", "areas whose true band is among those named (promise 0.7)"),
        Row("bands named", seen.mean("named"), "of 3"),
        share("held", "true ability within 1.96 standard errors"),
        Row("standard error of an area, as told", seen.mean("error"), "logits"),
        Row("error of an area, in truth (rms)", sqrt(seen.mean("square")), "logits"),
        Row("bias of an area", seen.mean("off"), "logits"),
        Row("bias where the truth is below −1", seen.mean("low"), "logits"),
        Row("bias where the truth is above 1", seen.mean("high"), "logits"),
    ]


# --- (s) ---------------------------------------------------------------------------------


def assessment(quick: bool) -> list[Row]:
    """The self-assessment, longer ones, and the bank against itself."""
    content = load()
    many, few = (LEARNERS // 10, FEW // 10) if quick else (LEARNERS, FEW)
    whole = sum(len(alive(content.questions[area])) for area in areas(content))
    rows = [Row("(s) questions in the bank of the areas", whole, "questions")]
    rows += [Row("(s) learners", many, "learners")]
    rows += _asked(content, many, whole)
    for general, name in ((0.25, "areas less alike"), (0.8, "areas more alike")):
        rows += _elsewhere(content, few, general, name)
    rows += _longer(content, many, SHARES) + _longer(content, few, LONGER)
    return rows + _changes(content, few) + _speed(content)


def _speed(content: Content) -> list[Row]:
    """What an answer of a series costs: judging it and choosing the next question; and the
    posterior with nothing in store of any area."""
    state = play(made_up(random.Random(1), content, GENERAL, OWN), content, State(1), "pretest")
    given = {a: [(0.01 * n, True), (0.2, False)] for n, a in enumerate(areas(content))}
    series = state.move("series", answers=state.floor.note["answers"][:12])
    took: dict[str, list[float]] = {
        "an answer, with the next question": [],
        "the posterior of 18 answers": [],
    }
    for n in range(200):
        fresh = [[id, 0.001 * n, right] for id, _, right in series.floor.note["answers"][-1:]]
        after = series.move("series", answers=[*series.floor.note["answers"][:11], *fresh])
        began = time.perf_counter()
        if not pretest.enough(after, content):
            pretest.further(after, content)
        middle = time.perf_counter()
        ability.forget()
        ability.profile(given)
        took["an answer, with the next question"].append(1000 * (middle - began))
        took["the posterior of 18 answers"].append(1000 * (time.perf_counter() - middle))
        pretest.enough(series, content)
    middles = {what: median(each) for what, each in took.items()}
    return [Row(f"(s) {what}, median", ms, "ms", "< 1", ms < 1) for what, ms in middles.items()]


def _asked(content: Content, many: int, whole: int) -> list[Row]:
    """The self-assessment as it is, with how long it takes and whom it asks what."""
    dice, seen, exposed = random.Random(2569), Seen(), Counter[str]()
    for _ in range(many):
        learner = made_up(dice, content, GENERAL, OWN)
        state = play(learner, content, anew(learner), "pretest")
        asked = [answer[0] for answer in state.floor.note["answers"]]
        exposed.update(asked)
        found = pretest.measures(state, content)
        compare(seen, found.areas, ability.profile(everything(learner, content)).areas)
        judge(seen, found.areas, learner.true)
        off = found.overall.ability - fmean(learner.true.values())
        seen.add(asked=len(asked), early=len(asked) < pretest.most(content))
        seen.add(overall=off * off, overall_error=found.overall.error, overall_off=off)
    share, most = seen.mean("asked") / whole, max(exposed.values()) / many
    rows = [
        Row("questions asked", seen.mean("asked"), "questions"),
        Row("share of the bank", share, "share", "≤ 0.35", share <= 0.35),
        Row("learners who needed fewer than the most", seen.mean("early"), "share"),
        Row("the question that most learners got", most, "share", "≤ 0.25", most <= 0.25),
        Row("questions that anybody got", len(exposed) / whole, "share"),
        *rows_of(seen),
        Row("standard error of the mean, as told", seen.mean("overall_error"), "logits"),
        Row("error of the mean, in truth", sqrt(seen.mean("overall")), "logits"),
        Row("bias of the mean", seen.mean("overall_off"), "logits"),
    ]
    return named("self-assessment", rows)


def named(name: str, rows: list[Row]) -> list[Row]:
    return [structs.replace(row, what=f"(s) {name}: {row.what}") for row in rows]


def _elsewhere(content: Content, many: int, general: float, name: str) -> list[Row]:
    """The same where the model is wrong: areas are more, or less, alike than it assumes."""
    dice, seen = random.Random(2570), Seen()
    for _ in range(many):
        learner = made_up(dice, content, general, 1 - general)
        state = play(learner, content, anew(learner), "pretest")
        judge(seen, pretest.measures(state, content).areas, learner.true)
    rows = [
        Row("error of an area, in truth (rms)", sqrt(seen.mean("square")), "logits"),
        Row("standard error of an area, as told", seen.mean("error"), "logits"),
        Row("areas whose true band is among those named", seen.mean("holds"), "share"),
    ]
    return named(f"{name} (correlation {general})", rows)


def _longer(content: Content, many: int, shares: tuple[float, ...]) -> list[Row]:
    """Longer assessments, without a limit to how often a question is asked; and the whole bank
    against a second one of the same difficulties: more alike than that nothing can be."""
    dice, seen = random.Random(2571), {share: Seen() for share in shares}
    again = Seen()
    for _ in range(many):
        learner = made_up(dice, content, GENERAL, OWN)
        bank = ability.profile(everything(learner, content)).areas
        for share, given in zip(shares, longer(learner, content, shares), strict=True):
            found = ability.profile(given).areas
            compare(seen[share], found, bank)
            judge(seen[share], found, learner.true)
        if shares == SHARES:
            second = Learner(0, learner.true, answers(dice, content, learner.true))
            found = ability.profile(everything(second, content)).areas
            compare(again, found, bank)
            judge(again, found, learner.true)
    rows = [
        row for share in shares for row in named(f"{share:.0%} of the bank", rows_of(seen[share]))
    ]
    if shares == SHARES:
        rows += named("a second whole bank", rows_of(again))
        apart = again.mean("apart")
        rows.append(Row("(s) pairs of areas that the bank tells apart, of 36", apart, "pairs"))
    return rows


# --- before and after --------------------------------------------------------------------


def _changes(content: Content, many: int) -> list[Row]:
    """How often a gain is named, on the whole and in an area, by how large it is in truth."""
    rows = []
    for gain in GAINS:
        dice, seen = random.Random(2572), Seen()
        for _ in range(many):
            learner = made_up(dice, content, GENERAL, OWN)
            first = play(learner, content, anew(learner), "pretest")
            before = pretest.measures(first, content)
            later = {area: theta + gain for area, theta in learner.true.items()}
            retaken = Learner(learner.seed, later, answers(dice, content, later))
            after = pretest.measures(play(retaken, content, first, "retest"), content)
            whole = ability.change(before.overall, after.overall, ability.of_mean(len(later)))
            seen.add(up=whole.low > 0, down=whole.high < 0)
            for area in later:
                part = ability.change(before.areas[area], after.areas[area])
                seen.add(area=part.low > 0, fallen=part.high < 0)
        name = f"re-test after a true change of {gain} logits"
        found = [
            Row("learners told of a gain on the whole", seen.mean("up"), "share"),
            Row("learners told of a loss on the whole", seen.mean("down"), "share"),
            Row("areas told to have gained", seen.mean("area"), "share"),
        ]
        rows += named(name, found)
        if not gain:
            told = seen.mean("up") + seen.mean("down")
            row = Row("told of a change there is not", told, "share", "≤ 0.05", told <= 0.05)
            rows += named(name, [row])
    return rows


# --- (t) ---------------------------------------------------------------------------------


def recovery(quick: bool) -> list[Row]:
    """(t) Calibration: authors who are off by half a logit, and what the answers of so many
    self-assessments, chosen by those wrong difficulties, make of that."""
    content, dice = load(), random.Random(2573)
    old = {
        question.id: question.difficulty
        for area in areas(content)
        for question in alive(content.questions[area])
    }
    true = _true(dice, content, old)
    rows = []
    for many in (500,) if quick else (500, 2_000, 5_000):
        sittings = [_sitting(dice, content, true) for _ in range(many)]
        began = time.perf_counter()
        found = [each for each in calibrate(sittings, old, 50) if each.new is not None]
        took = time.perf_counter() - began
        new = {each.question: each.new or 0.0 for each in found}
        scores = [(new[e.question] - true[e.question]) / (e.error or 1) for e in found]
        made = [
            Row("questions with 50 answers or more", len(found) / len(old), "share"),
            Row("error before (rms)", _rms(old[q] - true[q] for q in new), "logits"),
            Row("error after (rms)", _rms(new[q] - true[q] for q in new), "logits"),
            Row("standard error, as told", fmean(e.error or 0 for e in found), "logits"),
            Row("error in standard errors (rms; 1 is right)", _rms(scores), ""),
            Row("infit, mean", fmean(e.infit or 0 for e in found), ""),
            Row("marked though nothing is wrong", fmean(bool(e.flags) for e in found), "share"),
            Row("time", took, "s"),
        ]
        rows += [structs.replace(r, what=f"(t) {many} learners: {r.what}") for r in made]
    return rows


def _true(dice: random.Random, content: Content, old: Mapping[str, float]) -> dict[str, float]:
    """Difficulties as they are: the authors' with an error, which is none on the whole."""
    true: dict[str, float] = {}
    for area in areas(content):
        ids = [question.id for question in alive(content.questions[area])]
        off = [dice.gauss(0, 0.5) for _ in ids]
        true |= {id: old[id] + each - fmean(off) for id, each in zip(ids, off, strict=True)}
    return true


def _sitting(dice: random.Random, content: Content, true: Mapping[str, float]) -> Sitting:
    learner = made_up(dice, content, GENERAL, OWN)
    for question, difficulty in true.items():
        theta = learner.true[area_of(question)]
        learner.right[question] = dice.random() < chance(theta, difficulty)
    state = play(learner, content, anew(learner), "pretest")
    said = [Said(id, area_of(id), int(not ok), ok) for id, _, ok in state.floor.note["answers"]]
    return Sitting("pretest", tuple(said))


def _rms(values: Iterable[float]) -> float:
    return sqrt(fmean(value * value for value in values))
