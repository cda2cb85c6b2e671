"""Hostile and odd files, each with its verdict; the process that reads them stays in its limits."""

# ruff: noqa: E501 (a corpus reads best a line a file)

import io
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from bot import sheets
from content.schema import Content
from storage.database import Database
from tests.rosters import HEADERS, HR, PEOPLE, Desk, book, sheet
from tests.running import Clock

NOW = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
MEMORY, SECONDS = 256 << 20, 20.0
CITIZEN = "1101700230601"
ID, NAME, UNIT, BOSS, TITLE = HEADERS

Verdict = str | int | dict[int, str]
"""Why a file is refused; how many people it has; or why which rows are refused."""
Case = tuple[Callable[[], bytes], Verdict]


def person(n: int, **more: str) -> tuple[str, ...]:
    """The n-th of many; the first of each fifty leads the others."""
    head = n // 50 * 50
    boss = f"P{head}" if n != head else f"P{n // 5000 * 5000}" if n % 5000 else ""
    unit = f"กรม / กอง {n // 5000} / กลุ่ม {n // 50}"
    return (f"P{n}", f"นายทดสอบ{n} ระบบ", unit, boss, "นักวิเคราะห์นโยบายและแผน")


def with_column(header: str, *values: str) -> bytes:
    rows = [(*row, value) for row, value in zip(PEOPLE, values, strict=False)]
    return sheet(*rows, headers=(*HEADERS, header))


def dates(*values: object) -> list[tuple[object, ...]]:
    return [(f"P{n}", f"คน {n}", "กรม", "", "", day) for n, day in enumerate(values)]


DATED = (*HEADERS, "วันบรรจุ")

# --- XLSX by hand ------------------------------------------------------------------------

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PARTS = {
    "[Content_Types].xml": "<Types/>",
    "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{REL}"><sheets>'
    '<sheet name="a" sheetId="1" r:id="r1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships><Relationship Id="r1" '
    'Target="worksheets/sheet1.xml"/></Relationships>',
}


def cells(*rows: tuple[object, ...]) -> str:
    """A sheet whose cells carry their text themselves."""
    made = "".join(
        "<row>" + "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in row) + "</row>"
        for row in rows
    )
    return f'<worksheet xmlns="{MAIN}"><sheetData>{made}</sheetData></worksheet>'


def packed(page: str | bytes = "", **more: str | bytes) -> bytes:
    """An archive of these parts; names with two underscores for a slash."""
    parts: dict[str, str | bytes] = dict(PARTS)
    parts["xl/worksheets/sheet1.xml"] = page or cells(HEADERS, *PEOPLE)
    parts |= {name.replace("__", "/"): text for name, text in more.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return out.getvalue()


def named(*names: str) -> bytes:
    out = io.BytesIO(packed())
    with zipfile.ZipFile(out, "a") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), "x")
    return out.getvalue()


def patched(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new)


def lying() -> bytes:
    """A member of forty megabytes that says it has a hundred bytes."""
    data = bytearray(packed(cells(HEADERS, *PEOPLE).replace("<sheetData>", "<sheetData>" + " " * (40 << 20))))  # fmt: skip
    for sign, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = data.index(b"xl/worksheets/sheet1.xml", data.index(sign))
        head = data.rindex(sign, 0, start + 1) if sign == b"PK\x03\x04" else data.rindex(sign)
        data[head + at : head + at + 4] = (100).to_bytes(4, "little")
    return bytes(data)


def encrypted() -> bytes:
    data = bytearray(packed())
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    return bytes(data)


def laughs() -> str:
    lols = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE x [<!ENTITY l0 "lol">{lols}]><worksheet>&l9;</worksheet>'


def titled(made: Any, page: Any) -> None:
    page.merge_range(10, 0, 10, 3, "หมายเหตุ")


def above() -> bytes:
    """A title over the table, in merged cells, as most such files have."""
    rows = [("ID", *(["x"] * 4)), HEADERS, *PEOPLE]
    return book(*rows, headers=("บัญชีรายชื่อข้าราชการ กรม", "", "", "", ""))


def hidden() -> bytes:
    def more(made: Any, page: Any) -> None:
        page.hide()
        second = made.add_worksheet()
        second.activate()
        for at, row in enumerate([HEADERS, *PEOPLE]):
            second.write_row(at, 0, row)

    return book(("x", "y"), headers=("ลับ", "มาก"), more=more)


def merged() -> bytes:
    """Units merged down over the people in them: only the first cell holds anything."""

    def more(made: Any, page: Any) -> None:
        page.merge_range(2, 2, 4, 2, HR)

    rows = [tuple("" if at == 2 and n in (1, 2, 3) else cell for at, cell in enumerate(row))
            for n, row in enumerate(PEOPLE)]  # fmt: skip
    return book(*rows, more=more)


def serials() -> bytes:
    """Days as a spreadsheet counts them, one of them with a year of the Buddhist era."""
    ours = (date(2017, 10, 1) - date(1899, 12, 30)).days
    theirs = (date(2567, 10, 1) - date(1899, 12, 30)).days
    return book(*dates(ours, theirs, "1 ต.ค. 2560"), headers=DATED)


def parted() -> bytes:
    headers = ("รหัส", "คำนำหน้า", "ชื่อ", "นามสกุล", "กรม", "สำนัก/กอง", "กลุ่ม/ฝ่าย")
    return sheet(("P1", "นาย", "เอก", "ดี", "กรม ก", "กอง ข", "กลุ่ม ค"), headers=headers)


def random_archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("word/document.xml", "<x/>")
    return out.getvalue()


def circle(*links: tuple[str, str]) -> bytes:
    return sheet(*((a, f"คน {a}", "กรม", b, "") for a, b in links))


LINES = ("\ufeff" + ",".join(HEADERS) + "\n").encode()

READ: dict[str, Case] = {
    "UTF-8 with a mark": (lambda: sheet(*PEOPLE), 6),
    "UTF-8": (lambda: sheet(*PEOPLE, encoding="utf-8"), 6),
    "cp874": (lambda: sheet(*PEOPLE, encoding="cp874"), 6),
    "TIS-620": (lambda: sheet(*PEOPLE, encoding="tis-620"), 6),
    "UTF-16 with a mark": (lambda: sheet(*PEOPLE, encoding="utf-16"), 6),
    "UTF-16 LE, no mark": (lambda: sheet(*PEOPLE, encoding="utf-16-le"), 6),
    "UTF-16 BE, no mark": (lambda: sheet(*PEOPLE, encoding="utf-16-be"), 6),
    "semicolons": (lambda: sheet(*PEOPLE, delimiter=";"), 6),
    "tabs, UTF-16": (lambda: sheet(*PEOPLE, delimiter="\t", encoding="utf-16"), 6),
    "sep= line": (lambda: b"sep=|\r\n" + sheet(*PEOPLE, delimiter="|", encoding="utf-8"), 6),
    "old Mac lines": (lambda: sheet(*PEOPLE).replace(b"\r\n", b"\r"), 6),
    "lines in a cell": (lambda: sheet(*PEOPLE[:1], ("B1", "นาย\nเก่ง", HR, "A1", "a,\r\nb")), 2),
    "guarded formulas": (lambda: sheet(("P1", "'=1+1", "กรม", "", "'-ก")), 1),
    "blank lines": (lambda: sheet(*PEOPLE) + b"\r\n,,,,\r\n" * 5000, 6),
    "what cannot be seen": (lambda: sheet(("\u200bP1 ", " นาย\u200bเอ ", "กรม\xa0 / กอง", "", "")), 1),
    "Thai digits": (lambda: sheet(*dates("๑/๑๐/๒๕๖๐", "๑ ตุลาคม พ.ศ. ๒๕๖๐"), headers=DATED), 2),
    "days of all kinds": (
        lambda: sheet(*dates("2017-10-01", "1/10/2017", "01-10-2560", "29 ก.พ. 2567", "29/2/2567",
                             "1 Oct 2017", "2560-10-01 00:00:00", "-", ""), headers=DATED), 9,
    ),
    "parted columns": (parted, 1),
    "supervisor by name": (lambda: circle(("A", ""), ("B", "คน A")), 2),
    "20,000 rows": (lambda: sheet(*map(person, range(20_000))), 20_000),
    "XLSX": (lambda: book(*PEOPLE), 6),
    "XLSX by hand": (lambda: packed(), 6),
    "XLSX with prefixes": (
        lambda: packed(cells(HEADERS, *PEOPLE).replace("xmlns=", "xmlns:x=")
                       .replace("<", "<x:").replace("<x:/", "</x:")), 6,
    ),
    "XLSX with a title": (above, 6),
    "XLSX with a hidden sheet": (hidden, 6),
    "XLSX days": (serials, 3),
    "XLSX counted from 1904": (
        lambda: patched_book(book(*dates(41_000), headers=DATED)), 1,
    ),
    "XLSX numbers as ids": (lambda: book((12, "คน", "กรม", "", 7.0), (13, "คน ข", "กรม", 12, "")), 2),
    "XLSX, 20,000 rows": (lambda: book(*map(person, range(20_000))), 20_000),
    "XLSX rich text": (
        lambda: packed(cells(HEADERS, *PEOPLE).replace(
            "<t>A1</t>", "<r><t>A</t></r><r><t>1</t></r><rPh><t>no</t></rPh>", 1)), 6,
    ),
}  # fmt: skip

ROWS: dict[str, Case] = {
    "merged down": (merged, {4: "needed", 5: "needed"}),
    "a circle of three": (
        lambda: circle(("A", "C"), ("B", "A"), ("C", "B"), ("D", "A")),
        {2: "cycle", 3: "cycle", 4: "cycle"},
    ),
    "above oneself": (lambda: circle(("A", "A")), {2: "supervisor_self"}),
    "an unknown supervisor": (lambda: circle(("A", "Z")), {2: "supervisor"}),
    "a name of two": (
        lambda: sheet(("A", "คน", "กรม", "", ""), ("B", "คน", "กรม", "", ""), ("C", "ค", "กรม", "คน", "")),
        {4: "supervisor_name"},
    ),
    "years of two digits": (lambda: sheet(*dates("1 ต.ค. 60", "1/10/17"), headers=DATED),
                            {2: "date_short", 3: "date_short"}),
    "no such days": (
        lambda: sheet(*dates("29/2/2566", "31/4/2567", "1/13/2567", "0/1/2567"), headers=DATED),
        dict.fromkeys((2, 3, 4, 5), "date_none"),
    ),
    "no days": (
        lambda: sheet(*dates("soon", "1/10/3567", "99999999", "5"), headers=DATED),
        {2: "date", 3: "date_range", 4: "date", 5: "date"},
    ),
    "seven levels": (lambda: sheet(("A", "คน", "ก/ข/ค/ง/จ/ฉ/ช", "", "")), {2: "deep"}),
    "an empty level": (lambda: sheet(("A", "คน", "ก / / ข", "", "")), {2: "unit"}),
    "an id twice": (lambda: sheet(*PEOPLE, PEOPLE[1]), {8: "twice"}),
    "an id with blanks": (lambda: sheet(("A 1", "คน", "ก", "", "")), {2: "hr_id"}),
    "a long cell": (lambda: sheet(("A", "ก" * 501, "ก", "", "")), {2: "long"}),
    "a longer cell": (lambda: book(("A", "ก" * 32_000, "ก", "", "")), {2: "long"}),
    "errors of Excel": (lambda: book(("A", "#REF!", "ก", "", "")), {2: "cell_error"}),
    "a level of another type": (
        lambda: sheet(("A", "คน", "ก", "วิชาการ", "ชำนาญงาน"), headers=(ID, NAME, UNIT, "ประเภทตำแหน่ง", "ระดับ")),
        {2: "level"},
    ),
    "no such type": (lambda: with_column("ประเภทตำแหน่ง", "พิเศษ"), {2: "position_type"}),
    "no such kind": (lambda: with_column("ประเภทบุคลากร", "ทูต"), {2: "kind"}),
    "no such zone": (lambda: with_column("เขตเวลา", "../../etc/passwd", "Asia/Tokyo"), {2: "zone"}),
    "left before the start": (
        lambda: sheet(("A", "คน", "ก", "1/1/2568", "1/1/2567"), headers=(ID, NAME, UNIT, "วันบรรจุ", "วันลาออก")),
        {2: "left_before"},
    ),
    "standing in nowhere": (lambda: with_column("รักษาการตั้งแต่", "1/1/2570"), {2: "acting"}),
    "head of nothing": (lambda: with_column("หัวหน้าหน่วยงาน", "กองที่ไม่มี"), {2: "head"}),
    "one citizen id": (
        lambda: sheet(*PEOPLE, (CITIZEN, "คน", "กรม", "", "")), {8: "citizen"},
    ),
}  # fmt: skip

FILES: dict[str, Case] = {
    "nothing": (lambda: b"", "empty"),
    "only a mark": (lambda: b"\xef\xbb\xbf\r\n", "empty"),
    "a PDF": (lambda: b"%PDF-1.7\n" + b"x" * 5000, "not_a_sheet"),
    "a picture": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(5000), "not_a_sheet"),
    "a web page": (lambda: b"<html><table><tr><td>x</td></tr></table>", "not_a_sheet"),
    "NUL bytes": (lambda: LINES + b"A\x00B,x,y,,\n" * 50, "not_a_sheet"),
    "NUL bytes far below": (lambda: LINES + b"A,x,y,,\n" * 900 + b"B\x00,x,y,,\n", "not_a_sheet"),
    "an old Excel": (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4096), "old_excel"),
    "UTF-32": (lambda: sheet(*PEOPLE, encoding="utf-32"), "encoding"),
    "French": (lambda: "id,nom\n1,été à la forêt déjà vu\n".encode("latin-1") * 20, "encoding"),
    "UTF-8 cut short": (lambda: sheet(*PEOPLE, encoding="utf-8")[:-3] + b"\xdb\xfd", "encoding"),
    "an open quote": (lambda: LINES + b'A,"x,y,,\n' + b"B,x,y,,\n" * 20, "quotes"),
    "61 columns": (lambda: sheet(["x"] * 61), "too_many_columns"),
    "ten million commas": (lambda: LINES + b"," * 10_000_000, "too_many_columns"),
    "120,001 rows": (lambda: LINES + b"A,x,y,,\n" * 120_001, "too_many_rows"),
    "65 MiB": (lambda: LINES + b" " * (65 << 20), "too_big"),
    "no headers": (lambda: sheet(*PEOPLE, headers=("a", "b", "c", "d", "e")), "no_header"),
    "no unit": (lambda: sheet(("A", "คน"), headers=(ID, NAME)), "no_column"),
    "two of a column": (lambda: with_column("รหัสพนักงาน", "x"), "twice_column"),
    "only headers": (lambda: sheet(), "no_rows"),
    "citizen ids by header": (lambda: with_column("เลขประจำตัวประชาชน", "x"), "citizen_column"),
    "citizen ids, only they": (
        lambda: sheet((CITIZEN, "x"), headers=("เลขบัตรประชาชน", "ชื่อ")), "citizen_column",
    ),
    "citizen ids by value": (lambda: with_column("อ้างอิง", *["1-1017-00230-60-1"] * 6), "citizen_column"),
    "citizen ids as ids": (lambda: book((int(CITIZEN), "คน", "กรม", "", "")), "citizen_column"),
    "another archive": (random_archive, "not_a_sheet"),
    "an archive cut short": (lambda: packed()[:-200], "broken"),
    "an archive with rubbish inside": (
        lambda: patched(packed("x" * 2000), b"xl/worksheets", b"xl/worksheetz"), "broken",
    ),
    "broken XML": (lambda: packed("<worksheet><sheetData><row>"), "broken"),
    "deep XML": (lambda: packed("<a>" * 100_000), "broken"),
    "a bomb": (lambda: packed(cells(HEADERS) + " " * (40 << 20)), "bomb"),
    "a bomb beside": (lambda: packed(xl__media__a=bytes(100 << 20)), "bomb"),
    "a bomb that lies": (lying, "broken"),
    "300 members": (lambda: named(*map(str, range(300))), "bomb"),
    "a billion laughs": (lambda: packed(laughs()), "bomb"),
    "a file of ours": (
        lambda: packed('<!DOCTYPE x SYSTEM "file:///etc/passwd"><worksheet>&x;</worksheet>'), "bomb",
    ),
    "a far away cell": (
        lambda: packed(cells(HEADERS, ("A", "คน", "กรม")).replace(
            "</sheetData>", '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>')),
        "too_many_columns",
    ),
    "macros": (lambda: named("xl/vbaProject.bin"), "macros"),
    "links to other files": (lambda: named("xl/externalLinks/externalLink1.xml"), "links"),
    "a way out": (lambda: named("../../evil"), "names"),
    "a name twice": (lambda: named("xl/Workbook.xml"), "names"),
    "a password": (encrypted, "old_excel"),
    "no such sheet": (
        lambda: packed(xl___rels__workbook=b"", **{"xl/_rels/workbook.xml.rels": "<R/>"}), "broken",
    ),
    "too many texts": (
        lambda: packed(**{"xl/sharedStrings.xml": texts()}), "too_heavy",
    ),
}  # fmt: skip


def texts() -> str:
    """A table of four million different texts, which no roster needs."""
    return "<sst>" + "".join(f"<si><t>{n:x}{n:x}</t></si>" for n in range(4_000_000)) + "</sst>"


def patched_book(data: bytes) -> bytes:
    """The same workbook, counting its days from 1904."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name == "xl/workbook.xml":
                text = patched(text, b"<workbookPr ", b'<workbookPr date1904="1" ')
            new.writestr(name, text)
    return out.getvalue()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, content: Content) -> Iterator[Desk]:
    from storage.migrate import migrate

    folder = tmp_path_factory.mktemp("corpus")
    db = Database(f"sqlite:///{folder}/kaona.db")
    migrate(db)
    yield Desk(db, content, Clock(NOW), folder)
    db.close()


READINGS: list[sheets.Reading] = []
_Reading = sheets.Reading


class Kept(_Reading):
    """Remembers what each reading took."""

    def __post_init__(self) -> None:
        READINGS.append(self)


def verdict_of(desk: Desk, data: bytes) -> Verdict:
    result = desk.take(data, dry_run=True)
    if result["faults"]:
        return {fault["row"]: fault["why"] for fault in result["faults"]}
    if result["problems"]:
        assert CITIZEN not in str(result)
        return str(result["problems"][0]["why"])
    return int(result["counts"]["added"])


ALL = {**READ, **ROWS, **FILES}
HEAVY = ("too many texts", "120,001 rows")
"""They take long to make."""


def test_the_corpus_is_large() -> None:
    assert len(ALL) == len(READ) + len(ROWS) + len(FILES) >= 90


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.soak] * (n in HEAVY)) for n in ALL]
)
def test_verdict(name: str, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "Reading", Kept)
    READINGS.clear()
    make, wanted = ALL[name]

    assert verdict_of(desk, make()) == wanted
    for reading in READINGS:
        assert reading.peak <= MEMORY
        assert reading.seconds <= SECONDS
    assert not [*desk._app.var.glob("roster/*.upload")]
