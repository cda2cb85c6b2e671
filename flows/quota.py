"""What may still be sent this month, by purpose: pure arithmetic."""

from collections.abc import Sequence
from math import ceil

from flows.gate import RANKS
from flows.types import Purpose

Forecast = Sequence[tuple[Purpose, int]]
"""What will probably be sent before the month ends: messages by purpose."""

ALWAYS = ("word", "mandatory")
"""Purposes that may use the last message of the month."""


def plan(
    most: int | None, used: int, forecast: Forecast, safety: float
) -> dict[Purpose, int | None]:
    """How many more messages each purpose may send; None: any number.

    What must be said may use all that is left. Everything else leaves a stock untouched (a share
    of the month) and what the more important purposes will need.
    """
    purposes: tuple[Purpose, ...] = ("word", "mandatory", "due", "review", "encouragement")
    if most is None:
        return dict.fromkeys(purposes)
    left = max(0, most - used)
    spare = left - ceil(most * safety)
    room: dict[Purpose, int | None] = {}
    for purpose in purposes:
        reserved = sum(count for other, count in forecast if _before(other, purpose))
        room[purpose] = left if purpose in ALWAYS else max(0, spare - reserved)
    return room


def _before(other: Purpose, purpose: Purpose) -> bool:
    """Whether the one is more important than the other."""
    return RANKS.get(other, -1) < RANKS.get(purpose, -1)
