"""Spaced by FSRS against a fixed schedule of 1, 3 and 7 days, at the same number of messages.

Nobody was asked: memory is simulated, so what is assumed decides what is seen. Three kinds of
memory are assumed, none with the parameters that the scheduler believes in:

- "power": forgetting by a power of time, 90 % known after `strength` days; a success lengthens it
  the more, the nearer to forgotten, a lapse shortens it. First 2.3 days after a right answer and
  0.5 after a wrong one, times exp(N(0, 0.6²)) for each learner and question; ease 1 to 10.
- "activation": each answer leaves a trace that fades by a power of time, the faster the better it
  was known (Pavlik & Anderson 2005, Cognitive Science 29: their equations; decay 0.177 and 0.217,
  threshold -0.704, noise 0.255, a day between counts as 2,160 seconds, as we recall them). Each
  learner and question is easier by N(1.1, 0.4²). No part of FSRS at all.
- "no spacing effect": what is known halves in `strength` days, and a success multiplies that by
  2.2 whenever it comes. Then answering early and often is best, whatever the schedule: it is here
  to show when our choice would be wrong.

Everybody meets 30 questions in six quizzes, two a week, and knows half of them. A session is one
message and asks five questions at most. Each learner's sessions under the fixed schedule are the
budget of the same learner under FSRS: what would be more is not sent. On day 60 every question is
asked; the share that is known is the retention, in per cent.
"""

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from math import exp, log

from msgspec import Struct

from benchmarks.measures import Row
from content.load import load
from content.schema import Content
from flows import memory
from flows.calendar import add_working_days, is_working, working_days
from flows.types import State

START = date(2026, 11, 3)
BATCHES, EACH, HORIZON = 6, 5, 60
FIXED = (1, 3, 7)
SEED = 20261130
ACTIVATION, NONE = "activation", "no spacing effect"


class Trace(Struct):
    """One learner's memory of one question."""

    strength: float
    ease: float
    last: date = date.min
    traces: list[tuple[date, float]] = []
    """Of the activation: when something was answered, and how fast that fades."""

    def known(self, day: date, kind: str) -> float:
        """How likely it is known on a day."""
        gone = (day - self.last).days
        if kind == NONE:
            return float(0.5 ** (gone / self.strength))
        if kind == ACTIVATION:
            return 1 / (1 + exp((-0.704 - self.activation(day)) / 0.255))
        return float((1 + (0.9 ** (1 / -0.15) - 1) * gone / self.strength) ** -0.15)

    def activation(self, day: date) -> float:
        fading = [max(2160 * (day - then).days, 1) ** -decay for then, decay in self.traces]
        return log(sum(fading)) + self.strength if fading else -9.0

    def answer(self, right: bool, day: date, kind: str) -> None:
        """Asked and told the answer."""
        if kind == NONE:
            self.strength = max(self.strength * (2.2 if right else 0.5), 0.5)
        elif kind == ACTIVATION:
            decay = 0.217 * exp(self.activation(day) - self.strength) + 0.177
            self.traces = [*self.traces, (day, decay)]
        elif right:
            forgot = 1 - self.known(day, kind)
            gain = (11 - self.ease) * self.strength**-0.15 * (exp(forgot) - 1)
            self.strength *= 1 + 4 * gain
        else:
            self.strength = max(min(self.strength, 1.5 * self.strength**0.4), 0.3)
        self.last = day


class Learner:
    """Somebody with a memory of their own, the same under either schedule."""

    def __init__(self, seed: int, kind: str, questions: list[str]) -> None:
        self.chance = random.Random(seed)
        self.kind, self.traces = kind, dict[str, Trace]()
        self.draws = {id: self._draw() for id in questions}
        self.sessions = self.answers = 0

    def _draw(self) -> tuple[bool, Trace]:
        right = self.chance.random() < 0.5
        spread = exp(self.chance.gauss(0, 0.6))
        ease = min(max(self.chance.gauss(5, 2), 1), 10)
        if self.kind == ACTIVATION:
            return right, Trace(self.chance.gauss(1.1, 0.4), ease)
        first = 4.0 if self.kind == NONE else 2.3 if right else 0.5
        return right, Trace(first * spread, ease)

    def learn(self, id: str, day: date) -> bool:
        right, self.traces[id] = self.draws[id]
        self.traces[id].last = day
        self.traces[id].traces = [(day, 0.177)]
        return right

    def review(self, ids: list[str], day: date) -> dict[str, bool]:
        """One session, one message."""
        said = {}
        for id in ids:
            trace = self.traces[id]
            said[id] = self.chance.random() < trace.known(day, self.kind)
            trace.answer(said[id], day, self.kind)
        self.sessions += 1
        self.answers += len(ids)
        return said

    def retention(self, day: date) -> float:
        found = [trace.known(day, self.kind) for trace in self.traces.values()]
        return sum(found) / len(found)


Due = Callable[[date], list[str]]
Heard = Callable[[str, bool, date], None]


def live(learner: Learner, batches: dict[date, list[str]], due: Due, heard: Heard,
         most: float, content: Content) -> None:  # fmt: skip
    """Day by day, at most one session a working day."""
    for ahead in range(HORIZON):
        day = START + timedelta(days=ahead)
        if not is_working(day, content):
            continue
        asked = due(day)[: memory.SESSION]
        if asked and learner.sessions < most:
            for id, right in learner.review(asked, day).items():
                heard(id, right, day)
        for id in batches.get(day, ()):
            heard(id, learner.learn(id, day), day)


def fixed(learner: Learner, batches: dict[date, list[str]], content: Content) -> None:
    dues: dict[str, list[date]] = {}
    for day, ids in batches.items():
        for id in ids:
            dues[id] = [day + timedelta(days=gap) for gap in FIXED]

    def due(day: date) -> list[str]:
        waiting = [id for id in learner.traces if dues[id] and dues[id][0] <= day]
        return sorted(waiting, key=lambda id: dues[id][0])

    def heard(id: str, right: bool, day: date) -> None:
        if learner.traces[id].last == day and dues[id][0] <= day:
            dues[id].pop(0)

    live(learner, batches, due, heard, float("inf"), content)


def spaced(learner: Learner, batches: dict[date, list[str]], most: float, content: Content) -> None:
    """By `flows.memory`, as the bot does it."""
    state, last = State(7), START - timedelta(days=30)
    nudge = next(nudge for nudge in content.nudges.nudges if nudge.kind == "recall")

    def due(day: date) -> list[str]:
        ids = memory.due(state, day, content)
        if not ids or working_days(last, day, content) < nudge.spacing:
            return []
        waited = working_days(memory.oldest(state, ids), day, content)
        return ids if len(ids) >= memory.ENOUGH or waited >= nudge.after_working_days else []

    def heard(id: str, right: bool, day: date) -> None:
        nonlocal state, last
        last = day if id in state.cards else last
        now = datetime.combine(day, time(3), UTC)
        state, _ = memory.remember(state, id, right, now, content)

    live(learner, batches, due, heard, most, content)


def retention(quick: bool) -> list[Row]:
    """(u) Retention after 60 days under both, and what each cost."""
    content = load()
    bank = [q.id for area in content.framework.areas for q in content.questions[area.id]]
    rows: list[Row] = []
    for kind in ("power", ACTIVATION, NONE):
        rows += _compared(kind, bank, 100 if quick else 1000, content)
    return rows


def _compared(kind: str, bank: list[str], learners: int, content: Content) -> list[Row]:
    end = START + timedelta(days=HORIZON)
    kept: dict[str, list[float]] = {"fixed": [], "FSRS": []}
    cost: dict[str, list[int]] = {"fixed": [], "FSRS": []}
    answers: dict[str, list[int]] = {"fixed": [], "FSRS": []}
    for n in range(learners):
        ids = random.Random(SEED + n).sample(bank, BATCHES * EACH)
        days = [add_working_days(START, (5 * at) // 2, content) for at in range(BATCHES)]
        batches = {day: ids[at * EACH : (at + 1) * EACH] for at, day in enumerate(days)}
        one, other = (Learner(SEED + n, kind, ids) for _ in range(2))
        fixed(one, batches, content)
        spaced(other, batches, one.sessions, content)
        for name, learner in (("fixed", one), ("FSRS", other)):
            kept[name].append(learner.retention(end))
            cost[name].append(learner.sessions)
            answers[name].append(learner.answers)
    gains = [b - a for a, b in zip(kept["fixed"], kept["FSRS"], strict=True)]
    gain = sum(gains) / learners
    error = (sum((g - gain) ** 2 for g in gains) / learners / learners) ** 0.5
    rows = []
    for name in kept:
        rows.append(Row(f"(u) {kind} memory, {name}: known on day {HORIZON}",
                        100 * sum(kept[name]) / learners, "%"))  # fmt: skip
        rows.append(Row(f"(u) {kind} memory, {name}: messages", sum(cost[name]) / learners, ""))
        rows.append(Row(f"(u) {kind} memory, {name}: answers", sum(answers[name]) / learners, ""))
    wanted = ("", None) if kind == NONE else ("> 0", gain > 1.96 * error)
    rows.append(Row(f"(u) {kind} memory: FSRS less fixed", 100 * gain, "points", *wanted))
    return rows
