"""Sheets of cards with one-time codes, through typst: each unit on pages of its own."""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import resvg_py
import typst
from msgspec import Struct

from bot.render import qr
from bot.render.certificate import fonts
from bot.render.text import chop, clean, words
from content.schema import Lang
from flows.calendar import local
from flows.text import long_date

TEMPLATE = Path(__file__).with_name("sheets.typ")
CARDS = 10
"""On one page."""
NAME, UNIT = 12, 16
"""How wide one word may be, in ems."""
SIDE = 600
"""Pixels of a QR by itself, at least."""


class Card(Struct, frozen=True):
    """A code and whom it is for; `link` opens the chat with it, or is the code itself."""

    name: str
    unit: str
    path: str
    code: str
    link: str


def pdf(cards: Sequence[Card], until: datetime, copy: dict[str, str], lang: Lang) -> bytes:
    """The sheets, with all cards of a unit together."""
    here = local(until)
    slots = {"date": long_date(here.date(), lang), "time": f"{here:%H:%M}"}
    said = {key: words(copy["sheet_" + key]) for key in ("keep", "scan", "type")}
    data = {
        "plain": copy["sheet_title"],
        "lang": lang,
        "until": words(copy["sheet_until"].format_map(slots)),
        "pages": list(_pages(cards, copy)),
        **said,
    }
    return typst.compile(
        TEMPLATE,
        root=TEMPLATE.parent,
        font_paths=fonts(),
        ignore_system_fonts=True,
        format="pdf",
        sys_inputs={"data": json.dumps(data, ensure_ascii=False)},
        pdf_standards=["a-2b"],
        timestamp=0,
    )


def _pages(cards: Sequence[Card], copy: dict[str, str]) -> Iterator[dict[str, Any]]:
    for path, group in groupby(cards, lambda card: card.path):
        of_unit = list(group)
        pages = -(-len(of_unit) // CARDS)
        for page in range(pages):
            number = copy["sheet_page"].format(page=page + 1, pages=pages)
            yield {
                "unit": chop(words(copy["sheet_unit"].format(unit=clean(path, 300))), 1, 40),
                "number": words(number),
                "cards": [_card(card) for card in of_unit[page * CARDS : (page + 1) * CARDS]],
            }


def _card(card: Card) -> dict[str, Any]:
    # a name is never broken but between its parts
    name = chop(re.findall(r"\S+ ?", clean(card.name, 120)), 1, NAME)
    unit = chop(words(clean(card.unit, 160)), 1, UNIT)
    return {"name": name, "unit": unit, "code": card.code, "qr": qr.svg(card.link)}


def png(link: str) -> bytes:
    """The QR of a link by itself, black on white."""
    side = len(qr.encode(link)) + 2 * qr.QUIET
    return resvg_py.svg_to_bytes(
        svg_string=qr.svg(link), width=side * -(-SIDE // side), background="#FFFFFF"
    )
