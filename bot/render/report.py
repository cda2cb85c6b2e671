"""The report for OCSC as PDF, through typst: the memo and the body. The same document always
gives the same bytes."""

import datetime as dt
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import typst

from bot.render.certificate import fonts
from bot.render.text import chop, clean, words
from content.schema import Layout
from flows.composed import Bullets, Chart, Document, Grid, Line, shown

TEMPLATE = Path(__file__).with_name("report.typ")
MOST = 4000
"""Letters of one text."""
WIDEST = 30
"""Ems of one word that stands alone on a line; in a table column, less."""
SIZES = ((5, 9.8), (7, 8.8), (99, 8.0))
"""Up to how many columns a table has letters of which size (points)."""
PAGE, INSET = 467.0, 9.0
"""Points between the margins, and of a cell that hold no letters."""
DRAWN = 200
"""Dots per inch of a chart in a DOCX."""


def pdf(document: Document, layout: Layout) -> bytes:
    """The memo and the body to print and sign, as PDF/A-2b."""
    dated = dt.datetime.combine(dt.date.fromisoformat(document.dated), dt.time(), dt.UTC)
    made: bytes = typst.compile(
        TEMPLATE,
        root=TEMPLATE.parent,
        font_paths=fonts(),
        ignore_system_fonts=True,
        format="pdf",
        sys_inputs={"data": _json(_whole(document, layout))},
        pdf_standards=["a-2b"],
        timestamp=int(dated.timestamp()),
    )
    return made


def chart_png(chart: Chart, layout: Layout) -> bytes:
    """One chart as a picture."""
    made: bytes = typst.compile(
        TEMPLATE,
        root=TEMPLATE.parent,
        font_paths=fonts(),
        ignore_system_fonts=True,
        format="png",
        ppi=DRAWN,
        sys_inputs={"data": _json(_chart(chart, layout)), "chart": "1"},
    )
    return made


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False)


# --- every text as words -----------------------------------------------------------------


_ABBREVIATED = re.compile(r"(?:[\u0e01-\u0e2e]{1,2}\.)+\s?")


@lru_cache(maxsize=4096)
def _cut(text: str, widest: float, bold: bool) -> tuple[str, ...]:
    pieces: list[str] = []
    for piece in words(clean(text, MOST)):
        # an abbreviation begins no line, and keeps the number after it
        numbered = pieces and _ABBREVIATED.search(pieces[-1]) and piece[0].isdigit()
        if pieces and (_ABBREVIATED.match(piece) or numbered):
            pieces[-1] += piece
        else:
            pieces.append(piece)
    return tuple(chop(pieces, 1, widest, bold))


def _words(text: str, widest: float = WIDEST, *, bold: bool = False) -> list[str]:
    """Lines break between these and nowhere else; a link or code that is too long is cut."""
    return list(_cut(text, widest, bold))


def _whole(document: Document, layout: Layout) -> dict[str, Any]:
    cover = document.cover
    return {
        "plain": clean(f"{document.title} {document.year_line}", 200),
        "author": clean(document.agency, 200),
        "title": _words(document.title),
        "year": _words(document.year_line),
        "agency": _words(document.agency),
        "state": _words(document.state),
        "marks": [_words(mark) for mark in document.marks],
        "hash": _words(document.hash_line, 60),
        "page": [_words(piece) for piece in re.split(r"\{pages?\}", document.page)],
        "cover": {
            "head": _words(cover.head),
            "fields": [[_words(word), _words(said)] for word, said in cover.fields],
            "addressee": [_words(text) for text in cover.addressee],
            "attached": [_words(text) for text in cover.attached],
            "paragraphs": [_words(text) for text in cover.paragraphs],
            "signs": [_words(text) for text in cover.signs],
        },
        "parts": [
            {
                "heading": _words(part.heading),
                "blocks": [_block(block, layout) for block in part.blocks],
                "notes": [_words(note) for note in part.notes],
            }
            for part in document.parts
        ],
    }


def _block(block: Grid | Chart | Line | Bullets, layout: Layout) -> dict[str, Any]:
    match block:
        case Grid():
            return _grid(block, layout)
        case Chart():
            return {"type": "chart", "title": _words(block.title), **_chart(block, layout)}
        case Line():
            return {"type": "line", "lead": _words(block.lead), "text": _words(block.text)}
        case Bullets():
            items = [_words(item) for item in block.items]
            return {"type": "bullets", "title": _words(block.title), "items": items}


def _grid(grid: Grid, layout: Layout) -> dict[str, Any]:
    size = next(size for most, size in SIZES if len(grid.heads) <= most)
    room = [(PAGE * width / sum(grid.widths) - INSET) / size for width in grid.widths]
    heads = [_words(head, most, bold=True) for head, most in zip(grid.heads, room, strict=True)]
    rows = [
        [
            _words(shown(cell, form, layout.words), most)
            for cell, form, most in zip(row, grid.forms, room, strict=True)
        ]
        for row in grid.rows
    ]
    return {
        "type": "grid",
        "title": _words(grid.title),
        "size": size,
        "heads": heads,
        "forms": grid.forms,
        "rows": rows,
        "widths": grid.widths,
        "total": grid.total,
    }


def _chart(chart: Chart, layout: Layout) -> dict[str, Any]:
    series = [
        {
            "name": _words(one.name),
            "values": one.values,
            "said": [_words(shown(value, chart.form, layout.words)) for value in one.values],
        }
        for one in chart.series
    ]
    return {"form": chart.form, "names": [_words(name) for name in chart.names], "series": series}
