"""The certificate of a finished round, through typst: to print, to send and to show."""

import datetime as dt
import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
import typst
from msgspec import Struct

from bot.render import qr
from bot.render.fonts import FOLDER
from bot.render.text import ELLIPSIS, chop, clean, words

TEMPLATE = Path(__file__).with_name("certificate.typ")
WIDTH = 1080
PAGE = 297 / 25.4
"""Width of A4 in inches."""
AREAS = 12
LONGEST = {"title": 19, "name": 15, "areas": 11}
"""How wide one word may be, in ems, to stay on the page; 34 for the small lettering."""
UNDATED = dt.date(1970, 1, 1)

_ADDRESS = re.compile(r"https?://[^\s<>\"]+")
_THAI = re.compile("[\u0e00-\u0e7f]")


class Certificate(Struct, frozen=True):
    """What the certificate says; the address in `verify` also becomes a QR code.

    `issued` is the date in the file's properties; without it the file is undated (1970),
    because the same certificate must always give the same bytes.
    """

    title: str
    lead: str
    name: str
    body: str
    date: str
    code: str
    verify: str
    label: str
    areas: tuple[str, ...] = ()
    issued: dt.date | None = None


def pdf(data: dict[str, Any]) -> bytes:
    """The certificate to keep and print, as PDF/A-2b."""
    return _compile(data, "pdf")


def png(data: dict[str, Any]) -> bytes:
    """The certificate for a chat, 1080 pixels wide."""
    return _compile(data, "png")


def svg(data: dict[str, Any]) -> str:
    """The certificate for a page; its letters are outlines and need no typeface."""
    return _compile(data, "svg").decode()


def _compile(data: dict[str, Any], form: Literal["pdf", "png", "svg"]) -> bytes:
    certificate = msgspec.convert(data, Certificate)
    issued = dt.datetime.combine(certificate.issued or UNDATED, dt.time(), dt.UTC)
    return typst.compile(
        TEMPLATE,
        root=TEMPLATE.parent,
        font_paths=fonts(),
        ignore_system_fonts=True,
        format=form,
        ppi=WIDTH / PAGE,
        sys_inputs={"data": json.dumps(_said(certificate), ensure_ascii=False)},
        pdf_standards=["a-2b"] if form == "pdf" else [],
        timestamp=int(issued.timestamp()),
    )


@cache
def fonts() -> typst.Fonts:
    """Nothing but the bundled typeface."""
    return typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[FOLDER]
    )


def _said(certificate: Certificate) -> dict[str, Any]:
    """Every text as words; a name is never broken but between its parts."""
    address = _ADDRESS.search(certificate.verify)
    areas = [_words("areas", area, 90) for area in certificate.areas[:AREAS]]
    if len(certificate.areas) > AREAS:
        areas[-1] = [ELLIPSIS]
    return {
        "plain": clean(certificate.title, 120),
        "lang": "th" if _THAI.search(certificate.title + certificate.body) else "en",
        "title": _words("title", certificate.title, 120),
        "lead": _words("lead", certificate.lead, 160),
        "name": chop(re.findall(r"\S+ ?", clean(certificate.name, 120)), 1, LONGEST["name"]),
        "body": _words("body", certificate.body, 400),
        "areas": areas,
        "date": _words("date", certificate.date, 120),
        "code": _words("code", certificate.code, 120),
        "verify": _words("verify", certificate.verify, 200),
        "label": _words("label", certificate.label, 400),
        "qr": qr.svg(address[0]) if address else "",
    }


def _words(field: str, text: str, most: int) -> list[str]:
    return chop(words(clean(text, most)), 1, LONGEST.get(field, 34))
