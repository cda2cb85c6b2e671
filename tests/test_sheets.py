"""`kaona roster codes` and its kin, as HR would type them: what is printed, and what it opens."""

import asyncio
import csv
import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import structlog
from PIL import Image
from sqlalchemy import select
from starlette.testclient import TestClient

from bot.claims import app
from bot.config import Settings
from bot.handouts import Unwilling, cell, door_of
from bot.render import qr, sheets
from content.schema import Content
from storage import roster
from storage.database import ConfigError, Database
from storage.models import addresses, audit, learners, links
from tests.running import edge, environment, eventually, ready, rows
from tests.simulators.line import Line
from tests.simulators.telegram import Telegram

NAMES = ("สมชาย ใจดี", "ณัฏฐ์ณิชชา ตั้งวงศ์ธรรมรักษ์", "น้ำผึ้ง ป้องปกชู")
UNIT = "กลุ่มงานพัฒนาระบบบริหารทรัพยากรบุคคลและการสื่อสารองค์กร"
UNTIL = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
MM = 300 / 25.4
"""Pixels in a millimetre of the pictures that are looked at here."""

needs_poppler = pytest.mark.skipif(not shutil.which("pdftotext"), reason="needs poppler")


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An agency of two units, nobody of whom chats yet."""
    made = ready(tmp_path)
    db = Database(made)
    with db.write() as conn:
        top = roster.add_unit(conn, "กรมตัวอย่าง")
        unit = roster.add_unit(conn, UNIT, top)
        for n, name in enumerate(NAMES):
            roster.add_person(conn, hr_id=f"A{n}", name=name, unit_id=unit)
        boss = roster.add_person(conn, hr_id="B/1", name="=อธิบดี", unit_id=top)
        roster.grant(conn, boss, "manager", UNTIL, top)
    db.close()
    return made


class Desk:
    """Somebody who types commands, in this process; they reach a running service all the same."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *args: str) -> str:
        """What a command prints."""
        self._capsys.readouterr()
        app(list(args), standalone_mode=False)
        return self._capsys.readouterr().out

    def refused(self, *args: str) -> str:
        """The line that says why not."""
        with pytest.raises(ConfigError) as error:
            self(*args)
        return str(error.value)


@pytest.fixture
def desk(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Desk]:
    monkeypatch.chdir(tmp_path)
    for name, value in environment(url).items():
        monkeypatch.setenv(name, value)
    yield Desk(capsys)
    structlog.reset_defaults()  # a command sets up its own log


def text_of(pdf: Path) -> str:
    """Its words; poppler repeats a letter with its marks where the typeface has them as one."""
    read = subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, check=True)
    text = read.stdout.decode()
    marked = "[\u0e01-\u0e2e][\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]+"
    return re.sub(f"({marked})\\1", r"\1", text)


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))


def opened(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes()))


def modules(picture: Image.Image, left: float, top: float, side: float, link: str) -> bool:
    """Whether the picture shows the code of the link there, module by module."""
    grid = qr.encode(link)
    step = side / (len(grid) + 2 * qr.QUIET)
    grey = picture.convert("L")

    def dark(x: int, y: int) -> bool:
        at = (left + (x + qr.QUIET + 0.5) * step, top + (y + qr.QUIET + 0.5) * step)
        return int(grey.getpixel((int(at[0]), int(at[1])))) < 128  # type: ignore[arg-type]

    return all(dark(x, y) == on for y, row in enumerate(grid) for x, on in enumerate(row))


@needs_poppler
def test_sheets_name_everybody_and_their_codes_open_the_chat(
    desk: Desk, url: str, tmp_path: Path
) -> None:
    printed = desk("codes", "--out", "codes.pdf")
    pdf = tmp_path / "codes.pdf"
    text = text_of(pdf)

    assert printed.startswith("4 codes in codes.pdf")
    assert pdf.stat().st_mode & 0o077 == 0
    found = re.findall(r"(?:[A-Z2-9]{4}-){3}[A-Z2-9]", text)
    assert len(set(found)) == len(found) == 4
    for words in (*" ".join(NAMES).split(), "กรมตัวอย่าง", "2569"):
        assert words in text
    assert not any(code in printed or code in str(rows(url, select(audit))) for code in found)
    assert [row.action for row in rows(url, select(audit))] == ["codes_issued"]


@needs_poppler
def test_a_card_shows_the_code_that_a_camera_reads(content: Content, tmp_path: Path) -> None:
    """Twelve cards of one unit and one of another are three pages of A4."""
    cards = [
        sheets.Card(f"{NAMES[n % 3]} {n}", UNIT, "ก / ข", f"CODE-{n}", f"https://t.me/b?start={n}")
        for n in range(12)
    ]
    cards.append(sheets.Card(NAMES[1], "ค" * 90, "ก / ค", "CODE-LAST", "x" * 200))
    (tmp_path / "s.pdf").write_bytes(sheets.pdf(cards, UNTIL, content.copy_["th"], "th"))
    subprocess.run(["pdftoppm", "-r", "300", "-png", "s.pdf", "s"], cwd=tmp_path, check=True)
    pages = [opened(path) for path in sorted(tmp_path.glob("s-*.png"))]

    assert [page.size for page in pages] == [(2481, 3508)] * 3
    for n in (0, 1, 9):
        left, top = 10 + 95 * (n % 2) + 95 - 5 - 29, 23 + 52.5 * (n // 2) + 3.5
        assert modules(pages[0], left * MM, top * MM, 29 * MM, cards[n].link), n
    assert "21 พฤศจิกายน 2569 เวลา 16:30" in text_of(tmp_path / "s.pdf")
    assert "CODE-LAST" in text_of(tmp_path / "s.pdf")


def test_pictures_and_the_table_beside_them(desk: Desk, tmp_path: Path) -> None:
    desk("codes", "--format", "png-folder", "--out", "qr")
    table = read_csv(tmp_path / "qr" / "codes.csv")

    assert [row["file"] for row in table] == ["B_1.png", "A0.png", "A1.png", "A2.png"]
    assert table[0]["name"] == "'=อธิบดี"
    assert (tmp_path / "qr").stat().st_mode & 0o077 == 0
    for row in table:
        picture = opened(tmp_path / "qr" / row["file"])
        assert row["link"] == f"https://kaona.example.go.th/chat#code={row['code']}"
        assert modules(picture, 0, 0, picture.width, row["link"])


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["--unit", "กองอื่น"], "no unit is called"),
        (["--person", "nobody"], "nobody to give codes to"),
        (["--by", "B/1"], "has no role for this"),
        (["--by", "nobody"], "has no role for this"),
        (["--format", "docx"], "--format is pdf, csv or png-folder"),
        (["--channel", "line"], "line is not switched on"),
        (["--out", "nowhere/codes.pdf"], "cannot write"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_changes_nothing(
    desk: Desk, url: str, args: list[str], why: str
) -> None:
    printed = desk.refused("codes", "--out", "codes.pdf", *args)

    assert why in printed
    assert len(printed.splitlines()) == 1
    assert rows(url, select(audit)) == []


def test_a_qr_opens_the_channel_that_is_on() -> None:
    """LINE and Telegram are asked what our bot is called there."""

    def link(door: str, line: str = "", telegram: str = "", **more: str) -> str:
        given: Any = environment("sqlite:///x.db", line, telegram, **more)
        settings = Settings(**{"_env_file": None, **given})
        return asyncio.run(door_of(settings, door))("ABCD-EFGH-JKLM-N")

    with Line().in_thread() as line, Telegram().in_thread() as telegram:
        told = "https://line.me/R/oaMessage/%40kaona/?ABCD-EFGH-JKLM-N"
        assert link("", line, telegram) == told
        both = link("telegram", line, telegram)
        assert (
            both == link("", telegram=telegram) == "https://t.me/kaona_bot?start=ABCD-EFGH-JKLM-N"
        )
    assert link("none") == "ABCD-EFGH-JKLM-N"
    assert link("", KAONA_PUBLIC_URL="") == "ABCD-EFGH-JKLM-N"
    with pytest.raises(Unwilling):
        link("telegram")


def test_a_cell_is_never_a_formula() -> None:
    assert [cell(text) for text in ("=1+1", "@x", "สมชาย")] == ["'=1+1", "'@x", "สมชาย"]


# --- the whole way -----------------------------------------------------------------------


class Visitor:
    """A browser before the running service, with a cookie of its own."""

    def __init__(self, client: TestClient) -> None:
        self._client = client
        client.cookies.clear()
        client.get("/chat")
        self._cookie = client.cookies["kaona_chat"]

    def seen(self) -> list[Any]:
        answer = self._client.get("/chat/messages", headers=self._headers())
        return list(answer.json()["messages"])

    def act(self, **what: object) -> str:
        said = {"id": str(uuid4()), "after": 0, **what}
        return str(self._client.post("/chat/say", json=said, headers=self._headers()).json())

    def press(self, choice: str) -> str:
        stamps = [reply["stamp"] for each in self.seen() for reply in each["replies"]]
        return self.act(press={"stamp": [each for each in stamps if each][-1], "choice": choice})

    def claim(self, code: str) -> str:
        self.act(start=True, code=code)
        self.press("agree")
        return self.press("no_allow")

    def _headers(self) -> dict[str, str]:
        self._client.cookies.clear()
        return {"cookie": f"kaona_chat={self._cookie}"}


def code_for(desk: Desk, folder: Path, *args: str) -> str:
    desk("codes", "--person", "A0", "--format", "csv", "--out", "c.csv", *args)
    return read_csv(folder / "c.csv")[0]["code"]


def test_from_the_sheet_to_a_lost_phone_and_back(
    desk: Desk, url: str, tmp_path: Path, content: Content
) -> None:
    """Commands beside the running service: a code, a link, a second one, and both undone."""
    with edge(url, content) as place:
        first, second = Visitor(place.client), Visitor(place.client)
        assert NAMES[0] in first.claim(code_for(desk, tmp_path))
        assert "nobody" in desk.refused("codes", "--person", "A0", "--out", "none.pdf")
        second.claim(code_for(desk, tmp_path, "--again"))
        eventually(lambda: len(rows(url, select(links))) == 2)
        assert len(rows(url, select(learners))) == len(rows(url, select(addresses))) == 1
        eventually(lambda: len(first.seen()) == 1)
        assert NAMES[0] not in str(first.seen())
        assert NAMES[0] in str(second.seen())

        number = re.findall(r"(\d+) .*relinked", desk("links", "--person", "A0"))[0]
        assert "undone" in desk("unmerge", number)
        assert len(rows(url, select(learners))) == len(rows(url, select(addresses))) == 2
        assert NAMES[0] in str(first.seen())
        assert "undone" in desk.refused("unmerge", number)
        desk("unlink", "A0")
        assert "linked to no chat" in desk.refused("unlink", "A0")
    what = [row.what for row in rows(url, select(links).order_by(links.c.id))]
    assert what == ["linked", "relinked", "unmerged", "unlinked"]
    actions = [row.action for row in rows(url, select(audit).order_by(audit.c.id))]
    assert actions[-3:] == ["links_seen", "chat_unmerged", "chat_unlinked"]
