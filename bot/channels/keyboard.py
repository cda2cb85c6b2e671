"""Buttons under a Telegram message: how they stand, and what they say when pressed."""

import unicodedata
from typing import Any

from flows.types import Choice, Reply

DATA = 64
"""Bytes of a button's data."""
SHORT = 3
"""Letters of a button that stands for an option: A, B, 1 …"""
LETTERS = 6
"""How many of those stand side by side."""
NARROW = 16
"""Letters of a button of which two fit side by side on a phone."""


def keyboard(reply: Reply) -> dict[str, Any]:
    """An InlineKeyboardMarkup. PTB's classes for it cost more than the request itself."""
    return {"inline_keyboard": [[_button(c, reply.stamp) for c in row] for row in rows(reply)]}


def rows(reply: Reply) -> list[list[Choice]]:
    """Letters in long rows, short labels in pairs, long ones alone."""
    widths = [_width(choice) for choice in reply.choices]
    if max(widths, default=0) <= SHORT:
        lines = -(-len(widths) // LETTERS)
        per_line = -(-len(widths) // lines) if lines else 1
        return [list(reply.choices[i : i + per_line]) for i in range(0, len(widths), per_line)]
    made: list[list[Choice]] = []
    open_row = False
    for choice, width in zip(reply.choices, widths, strict=True):
        if open_row and width <= NARROW:
            made[-1].append(choice)
            open_row = False
        else:
            made.append([choice])
            open_row = width <= NARROW
    return made


def _width(choice: Choice) -> int:
    """Letters that take room: Thai vowels above and below and tone marks do not."""
    return sum(unicodedata.category(letter) != "Mn" for letter in choice.label)


def _button(choice: Choice, stamp: str) -> dict[str, str]:
    text = choice.label or choice.says
    if choice.url:
        return {"text": text, "url": choice.url}
    data = f"{stamp}:{choice.id}"
    if len(data.encode()) > DATA:
        raise ValueError("a button's data is too long")
    return {"text": text, "callback_data": data}
