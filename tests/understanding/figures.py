"""How well labelled messages are understood: by intent, with their details, and what went wrong."""

import random
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct, field

from content.load import load
from content.schema import Content
from flows.intents import understand
from tests.understanding import learning

NOW = datetime(2026, 11, 30, 10, tzinfo=ZoneInfo("Asia/Bangkok"))
"""A Monday: what the labels count "tomorrow" from."""
FOLDS = 5
DANGEROUS = ("stop", "erase")

Labelled = tuple[str, dict[str, Any], str]


class Figures(Struct):
    """Counts over labelled messages."""

    asked: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    claimed: Counter[str] = field(default_factory=Counter)
    """How often each intent was the answer."""
    slotted: int = 0
    slots_right: int = 0
    false: Counter[str] = field(default_factory=Counter)
    """How often something that cannot be undone was heard where it was not said."""
    wrong: list[str] = field(default_factory=list)

    @property
    def accuracy(self) -> float:
        return self.right.total() / self.asked.total()

    @property
    def slots(self) -> float:
        """The share of messages with details, or that were given some, that got all of them and no
        other."""
        return self.slots_right / self.slotted if self.slotted else 1.0


def figures(labelled: Iterable[Labelled], content: Content) -> Figures:
    found = Figures()
    for intent, slots, text in labelled:
        heard = understand(text, NOW, content)
        found.asked[intent] += 1
        found.claimed[heard.intent] += 1
        found.right[intent] += heard.intent == intent
        if slots or heard.slots:
            found.slotted += 1
            found.slots_right += heard.slots == slots
        if heard.intent in DANGEROUS and heard.intent != intent:
            found.false[heard.intent] += 1
        if (heard.intent, heard.slots) != (intent, slots):
            sure = f"{heard.confidence:.2f}"
            found.wrong.append(
                f"{intent} {slots or ''} -> {heard.intent} {heard.slots or ''} {sure} {text}"
            )
    return found


def folds(tell: Callable[[str], object]) -> Figures:
    """All folds together: each is asked of a mind that has not seen it."""
    rows = learning.labelled(learning.TUNING)
    random.Random(learning.SEED).shuffle(rows)
    content, mine = load(), learning.drawn()
    total = Figures()
    for fold in range(FOLDS):
        seen = [
            learning.Said(i, t, learning.WEIGHT)
            for n, (i, _, t) in enumerate(rows)
            if n % FOLDS != fold
        ]
        mind = learning.learn([*mine, *seen], content.hearing)
        one = figures(rows[fold::FOLDS], content.model_copy(update={"mind": mind}))
        tell(f"fold {fold + 1}: {one.accuracy:.4f}")
        total = _sum(total, one)
    return total


def _sum(one: Figures, other: Figures) -> Figures:
    return Figures(
        one.asked + other.asked,
        one.right + other.right,
        one.claimed + other.claimed,
        one.slotted + other.slotted,
        one.slots_right + other.slots_right,
        one.false + other.false,
        one.wrong + other.wrong,
    )


def table(found: Figures) -> str:
    """As text: what went wrong, then a line for each intent, then all together."""
    lines = [*found.wrong, "", f"{'intent':14} asked right share  precision"]
    for intent, asked in sorted(found.asked.items()):
        right, claimed = found.right[intent], found.claimed[intent]
        precision = f"{right / claimed:.3f}" if claimed else "-"
        lines.append(f"{intent:14} {asked:5} {right:5} {right / asked:.3f}  {precision}")
    false = ", ".join(f"{intent} {found.false[intent]}" for intent in DANGEROUS)
    lines += [
        f"accuracy {found.accuracy:.4f} of {found.asked.total()} messages",
        f"details  {found.slots:.4f} of {found.slotted} messages with any",
        f"false    {false}",
    ]
    return "\n".join(lines)
