"""Reports as files: nothing in them runs, what was written is read back, all say the same."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import openpyxl
import pytest
import structlog
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.json import decode
from sqlalchemy import select
from typer import Typer

from bot import report as command
from bot.exports import Mark, visible, xlsx
from bot.exports import csv as our_csv
from bot.exports import json as our_json
from content.schema import Content
from flows import reports as words
from flows.reports import Column, Report, Row
from storage import roster
from storage.database import ConfigError, Database
from storage.models import audit, persons
from storage.reports import Ask, report
from storage.scope import OPERATOR
from tests.databases import ENGINES, fresh
from tests.random_agency import EVERYTHING, NASTY, NOW, fill, hr_of
from tests.running import edge, environment, eventually, ready, rows

MARK = Mark("=HYPERLINK(1) นางสาวใจดี", NOW)
COLUMNS = (Column("name"), Column("people", "count", sums=True), Column("where"))
STARTERS = (*"=+-@＝＋－＠'\t\r\0", " =", "\u00a0@", "\n-")
HOSTILE = (
    "=1+1", "=cmd|' /C calc'!A0", '=HYPERLINK("http://x","y")', "@SUM(1)", "+1+1", "-1+1", "＝1+1",
    "\t=1", "\r=1", "\0=1", "'=1", "''", "=", "{=1}", "<r>x</r>", "<r><t>x</t></r>", "_x0041_",
    "_x005F_x0041_", "a_x000D_b_x000A_", "a,b;c\td", 'say "x"', "line\nline", "a\r\nb", "a\rb",
    "]]>", "&lt;", "<!--", "007", "1e5", "2026-11-20", "TRUE", "#REF!", "กำลังใจ\u200b", "👩‍👩‍👧",
    "\x01\x1b\x7f\x85", "\ufeffx", " lead and trail ", "", "x" * 33_000, "\ud800", "\ufffe",
)  # fmt: skip
CONTROL = Typer()
CONTROL.command()(command.report)


def made(texts: list[str]) -> Report:
    rows: list[Row] = [(text, n, text) for n, text in enumerate(texts)]
    return Report("uses", COLUMNS, rows, len(texts), NOW, names=True)


def sheet(path: Path) -> list[list[Any]]:
    """The rows of the second sheet, as another program reads them; no cell is a formula."""
    book = openpyxl.load_workbook(path)
    for each in book.worksheets:
        for row in each.iter_rows():
            assert not [cell.coordinate for cell in row if cell.data_type in ("f", "e")]
            assert not [cell.coordinate for cell in row if cell.hyperlink]
    return [list(row) for row in book.worksheets[1].iter_rows(values_only=True)]


def shown(text: str) -> str | None:
    """A text as a cell of Excel's holds it: an empty one is no cell."""
    kept = visible(text)
    if len(kept.encode("utf-16-le")) > 2 * xlsx.LONGEST:
        return kept[: xlsx.LONGEST - 1] + xlsx.CUT
    return kept or None


# --- any text --------------------------------------------------------------------------

TEXTS = st.one_of(
    st.text(st.characters(), max_size=60),
    st.builds(str.__add__, st.sampled_from(STARTERS), st.text(st.characters(), max_size=20)),
    st.sampled_from(HOSTILE),
)


@settings(max_examples=60)
@given(st.lists(TEXTS, min_size=1, max_size=15))
@example(list(HOSTILE))
@pytest.mark.parametrize("lang", ["th"])
def test_any_text_is_read_back_from_excel_and_csv(
    tmp_path_factory: pytest.TempPathFactory, content: Content, lang: Any, texts: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("export")
    xlsx.write(made(texts), folder / "x.xlsx", MARK, lang, content)
    our_csv.write(made(texts), folder / "x.csv", MARK, lang, content)

    seen = sheet(folder / "x.xlsx")[1:]
    assert seen == [[shown(text), n, shown(text)] for n, text in enumerate(texts)]
    read = list(our_csv.read(folder / "x.csv"))[-len(texts) :]
    assert read == [[visible(t), str(n), visible(t)] for n, t in enumerate(texts)]


@given(st.text(st.characters(), max_size=40))
@example("=1")
@example(" \u3000＝1")
@example("''")
def test_no_cell_of_csv_begins_a_formula(text: str) -> None:
    kept = our_csv.guarded(text)

    assert kept.lstrip(" \n\u00a0\u3000\ufeff\u200b")[:1] not in {*STARTERS} - {"'"}
    assert kept.removeprefix("'") == visible(text)


def test_what_means_nothing_becomes_visible() -> None:
    assert visible("a\0b\rc\r\nd\x1b\x7f\t") == "a␀b␍c\nd␛␡\t"
    assert visible("\ud800\x85\ufffe") == "\ufffd" * 3
    assert visible("กำลังใจ 👩‍👩‍👧 ＝") == "กำลังใจ 👩‍👩‍👧 ＝"


# --- in LibreOffice --------------------------------------------------------------------

OFFICE = shutil.which("soffice")


@pytest.mark.skipif(OFFICE is None, reason="no LibreOffice on this machine")
@pytest.mark.parametrize("kind", ["xlsx", "csv"])
def test_a_thousand_hostile_rows_in_libreoffice(
    tmp_path: Path, content: Content, kind: str
) -> None:
    """It opens the file, calculates, and writes it out again: the same words, nothing ran."""
    texts = [
        f"{start}{rest}"
        for rest in ("1+1", "SUM(A1:A9)", "cmd|' /C x'!A0", 'HYPERLINK("http://x")', "A1", "ก", "1")
        for start in (*STARTERS, "x", "0", "\t\t")
    ]
    texts = [f"{text}{n if n > 7 else ''}" for n in range(9) for text in texts][:1000]
    texts = [text for text in [*HOSTILE[:-3], *texts] if len(text) < 1000 and text]
    writer = command.FORMATS[kind]
    writer(made(texts), tmp_path / f"hostile.{kind}", MARK, "th", content)

    out = calculated(tmp_path / f"hostile.{kind}", tmp_path / "out")
    last = out[-len(texts) :]
    if kind == "xlsx":
        assert [row[0] for row in last] == [visible(text) for text in texts]
    else:
        # it takes plain numbers and dates for what they are, and drops nothing else
        same = [(row[0], our_csv.guarded(t)) for row, t in zip(last, texts, strict=True)]
        changed = [(seen, kept) for seen, kept in same if seen != kept]
        assert all(kept in ("007", "1e5", "2026-11-20", "TRUE") or _is_number(kept)
                   for _, kept in changed), changed[:5]  # fmt: skip


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def calculated(path: Path, folder: Path) -> list[list[str]]:
    """The last sheet of a file as LibreOffice shows it after it has calculated everything."""
    import csv

    assert OFFICE
    options = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1"
    infilter = ["--infilter=CSV:44,34,76,1"] if path.suffix == ".csv" else []
    profile = f"-env:UserInstallation=file://{folder}/profile"
    subprocess.run(
        [OFFICE, profile, "--headless", *infilter, "--convert-to", options, "--outdir", str(folder),
         str(path)],
        check=True, capture_output=True, timeout=240,
    )  # fmt: skip
    found = sorted(folder.glob("*.csv"), key=lambda each: each.stat().st_size)[-1]
    with found.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


# --- the same figures everywhere -------------------------------------------------------


@pytest.fixture(scope="module", params=ENGINES)
def agency(
    request: pytest.FixtureRequest, content: Content, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """One for all tests that only read."""
    db = Database(fresh(request, tmp_path_factory.mktemp("agency")))
    with db.write() as conn:
        fill(conn, 3, content)
    yield db
    db.close()


@pytest.mark.parametrize(("name", "of"), [("funnel", "step"), ("evidence", "unit")])
def test_the_same_totals_on_the_screen_in_the_chat_and_in_every_file(
    agency: Database,
    content: Content,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    of: str,
) -> None:
    with agency.read() as conn:
        for kind, writer in command.FORMATS.items():
            made_anew = report(conn, name, EVERYTHING, Ask(), NOW, content)
            writer(made_anew, tmp_path / f"x.{kind}", MARK, "en", content)
        said = words.text(report(conn, name, EVERYTHING, Ask(), NOW, content), "en", content)
        command.show(report(conn, name, EVERYTHING, Ask(), NOW, content), MARK, "en", content)
        first = report(conn, name, EVERYTHING, Ask(), NOW, content)
    assert first.chart is not None
    label, figure = first.at(of), first.at(first.chart.values[0])
    sums = words.summed(first, first.rows, first.chart)
    column = first.columns[label]
    wanted = {words.cell(column, key[0], "en", content): many for key, (many, *_) in sums.items()}
    wide = len(first.columns)

    table = [row for row in our_csv.read(tmp_path / "x.csv") if len(row) == wide][1:]
    assert totals(table, label, figure) == wanted
    assert totals(sheet(tmp_path / "x.xlsx")[1:], label, figure) == wanted
    assert totals(on_screen(capsys.readouterr().out, wide), label, figure) == wanted
    plain = json.loads((tmp_path / "x.json").read_bytes())
    rows = [[plain["words"].get(r[of], r[of]), r[first.chart.values[0]]] for r in plain["rows"]]
    assert totals(rows, 0, 1) == wanted
    assert in_chat(said) == wanted
    assert plain["denominator"] == first.denominator
    assert f" {first.denominator:,} " in said


def totals(table: list[list[Any]], label: int, figure: int) -> dict[str, int]:
    """The sums of a column by another."""
    found: dict[str, int] = {}
    for row in table:
        key = (row[label] or "").strip().removeprefix("–")
        found[key] = found.get(key, 0) + int(str(row[figure]).replace(",", ""))
    return found


def on_screen(said: str, wide: int) -> list[list[Any]]:
    """The rows of a table, without its headers."""
    split = (re.split(r"\s{2,}", line.strip()) for line in said.splitlines())
    return [cells for cells in split if len(cells) == wide][1:]


def in_chat(said: str) -> dict[str, int]:
    """What follows each bullet: the first figure behind its label."""
    found = re.findall(r"^• (.*?): \D*([\d,]+)", said, re.MULTILINE)
    return {label: int(many.replace(",", "")) for label, many in found}


@pytest.mark.parametrize("lang", ["th", "en"])
def test_every_report_in_every_format_says_what_it_is(
    agency: Database, content: Content, tmp_path: Path, lang: Any
) -> None:
    from storage.reports import REPORTS

    with agency.read() as conn:
        for name in REPORTS:
            for kind, writer in command.FORMATS.items():
                path = tmp_path / f"{name}.{kind}"
                writer(report(conn, name, OPERATOR, Ask(), NOW, content), path, MARK, lang, content)
            top = [row[0] for row in our_csv.read(tmp_path / f"{name}.csv") if row]
            assert top[0] == content.copy_[lang]["report_" + name]
            assert any(MARK.who in line for line in top)
            secret = name in ("behind", "uses")
            kept = content.copy_[lang]["report_class_" + ("names" if secret else "figures")]
            assert top[1] == kept
            book = openpyxl.load_workbook(tmp_path / f"{name}.xlsx")
            assert book.worksheets[0]["A2"].value == kept
            assert book.properties.creator == MARK.who
            assert name in book.worksheets[1].tables
            words.text(report(conn, name, OPERATOR, Ask(), NOW, content), lang, content)
            assert sheet(tmp_path / f"{name}.xlsx")


def test_a_table_of_excels_with_a_chart(agency: Database, content: Content, tmp_path: Path) -> None:
    path = tmp_path / "funnel.xlsx"
    with agency.read() as conn:
        xlsx.write(
            report(conn, "funnel", EVERYTHING, Ask(), NOW, content), path, MARK, "th", content
        )
    book = openpyxl.load_workbook(path)
    table = book.worksheets[1].tables["funnel"]

    assert table.ref == f"A1:F{book.worksheets[1].max_row}"
    assert table.autoFilter.ref == table.ref
    assert [c.name for c in table.tableColumns] == [c.value for c in book.worksheets[1][1]]
    assert len(book.worksheets[0]._charts) == 1
    assert b"<f>" not in ZipFile(path).read("xl/worksheets/sheet2.xml")


def test_days_and_moments_stay_dates_in_excel(content: Content, tmp_path: Path) -> None:
    columns = (Column("week", "day"), Column("date", "moment"), Column("share", "share"))
    day = NOW.date().toordinal()
    one = Report("uses", columns, [(day, NOW, 0.125), (None, None, None)], 1, NOW)
    xlsx.write(one, tmp_path / "x.xlsx", MARK, "th", content)
    our_csv.write(one, tmp_path / "x.csv", MARK, "th", content)
    our_json.write(one, tmp_path / "x.json", MARK, "th", content)

    first = sheet(tmp_path / "x.xlsx")[1]
    assert (first[0].date(), first[1].hour, first[2]) == (NOW.date(), 10, 0.125)
    assert list(our_csv.read(tmp_path / "x.csv"))[-2:] == [
        ["20 พ.ย. 2569", "20 พฤศจิกายน 2569 10:00", "12.5%"],
        ["–", "–", "–"],
    ]
    plain = json.loads((tmp_path / "x.json").read_bytes())["rows"]
    assert plain[0] == {"week": "2026-11-20", "date": NOW.isoformat(), "share": 0.125}


def test_writing_a_large_file_takes_no_more_memory(content: Content, tmp_path: Path) -> None:
    """Rows are made as they are read, and the file holds them all."""
    import tracemalloc

    def large(many: int) -> Report:
        rows = ((f"name {n}", n, "where") for n in range(many))
        return Report("uses", COLUMNS, rows, many, NOW)

    peaks = []
    for many in (500, 4_000):
        tracemalloc.start()
        for kind, writer in command.FORMATS.items():
            writer(large(many), tmp_path / f"x.{kind}", MARK, "th", content)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < peaks[0] + 200_000
    assert len(sheet(tmp_path / "x.xlsx")) == 4_001


# --- the command -----------------------------------------------------------------------


class Desk:
    """Types `kaona report …`, here in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *line: str) -> str:
        CONTROL([*line], standalone_mode=False)
        return self._capsys.readouterr().out

    def refused(self, *line: str) -> str:
        with pytest.raises(ConfigError) as refused:
            CONTROL([*line], standalone_mode=False)
        assert self._capsys.readouterr().out == ""
        return str(refused.value)


@pytest.fixture
def place(tmp_path: Path, content: Content) -> str:
    """An agency with an officer over one of its units."""
    made_url = ready(tmp_path)
    db = Database(made_url)
    with db.write() as conn:
        fill(conn, 4, content)
        officer = roster.add_person(conn, hr_id="HR9", name="ใจดี", unit_id=2)
        roster.grant(conn, officer, "hr", NOW - timedelta(days=400), unit_id=2)
        roster.add_person(conn, hr_id="N1", name="n", unit_id=2)
    db.close()
    return made_url


@pytest.fixture
def desk(
    place: str,
    tmp_path: Path,
    content: Content,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Desk]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "load", lambda: content)  # reading it anew takes a second
    for name, value in environment(place).items():
        monkeypatch.setenv(name, value)
    yield Desk(capsys)
    structlog.reset_defaults()


def entries(place: str) -> list[tuple[Any, ...]]:
    found = rows(place, select(audit).order_by(audit.c.id))
    return [(row.by_id, row.target, decode(row.data)) for row in found]


def test_a_report_on_the_screen_and_in_files(desk: Desk, place: str, tmp_path: Path) -> None:
    assert "behind" in desk("list")
    shown = desk("funnel")
    assert "ความก้าวหน้าตามหน่วยงาน" in shown
    assert "A / B / C" in shown
    assert desk("funnel", "--out", "f.xlsx").strip() == "f.xlsx"
    assert desk("funnel", "--format", "csv", "--unit", "D", "--lang", "en").startswith(
        "kaona-funnel"
    )
    assert (tmp_path / "f.xlsx").stat().st_mode & 0o077 == 0
    assert {row[0] for row in sheet(tmp_path / "f.xlsx")[1:]} >= {"A", "D"}
    assert not list(tmp_path.glob(".kaona-*"))

    assert entries(place) == [
        (None, "report:funnel", {"how": "table", "filters": {}}),
        (None, "report:funnel", {"how": "xlsx", "filters": {}}),
        (None, "report:funnel", {"how": "csv", "filters": {"unit": "D"}}),
    ]


def test_an_officer_sees_the_units_of_theirs_only(desk: Desk, place: str, tmp_path: Path) -> None:
    desk("behind", "--by", "HR9", "--format", "json", "--out", "b.json")
    plain = json.loads((tmp_path / "b.json").read_bytes())

    assert plain["asked_by"] == "ใจดี (HR9)"
    assert {row["unit"] for row in plain["rows"]} <= {"A / B", "A / B / C"}
    officer = rows(place, select(persons.c.id).where(persons.c.hr_id == "HR9"))[0].id
    assert entries(place)[0][:2] == (officer, "report:behind")
    assert "you have no right to this" in desk.refused("behind", "--by", "HR9", "--unit", "D")
    assert "you have no right to this" in desk.refused("funnel", "--by", "N1")
    assert len(entries(place)) == 1


WRONG = (
    (("nothing",), "there is no report 'nothing'"),
    (("funnel", "--unit", "Z"), "there is no unit 'Z'"),
    (("funnel", "--group", "Z"), "there is no group 'Z'"),
    (("funnel", "--days", "3"), "has no filter 'days'"),
    (("activity", "--from", "soon"), "--from: cannot read 'soon'"),
    (("activity", "--year", "9"), "--year"),
    (("activity", "--year", "2570", "--from", "2569-10-01"), "--year: leave out"),
    (("activity", "--from", "2569-12-01", "--until", "2569-11-01"), "swap them"),
    (("funnel", "--format", "pdf"), "--format: 'pdf'"),
    (("funnel", "--lang", "fr"), "--lang: 'fr'"),
    (("funnel", "--by", "X"), "--by: nobody on the roster"),
    (("funnel", "--format", "csv", "--out", "no/where.csv"), "--out: cannot write"),
)


def test_what_cannot_be_done_is_one_line(desk: Desk, tmp_path: Path) -> None:
    def files() -> set[str]:
        return {path.name for path in tmp_path.iterdir() if "kaona.db" not in path.name}

    before = files()
    for line, said in WRONG:
        assert said in desk.refused(*line)
    assert files() == before


def test_a_fiscal_year_says_both_days(desk: Desk, place: str, tmp_path: Path) -> None:
    desk("activity", "--year", "2570", "--out", "a.json")
    desk("activity", "--from", "2569-10-01", "--until", "2570-09-30", "--out", "b.json")
    one, other = (json.loads((tmp_path / f"{n}.json").read_bytes()) for n in "ab")

    assert one["filters"] == other["filters"]
    assert one["rows"] == other["rows"]


def test_while_the_service_runs_it_writes_the_entry(
    desk: Desk, place: str, tmp_path: Path, content: Content
) -> None:
    with edge(place, content):
        assert "A / B" in desk("funnel", "--by", "HR9")
        (row,) = [row for row in entries(place) if row[1] == "report:funnel"]

    officer = rows(place, select(persons.c.id).where(persons.c.hr_id == "HR9"))[0].id
    assert row == (officer, "report:funnel", {"how": "table", "filters": {}})


def test_words_of_people_are_no_markup_on_the_screen(desk: Desk, place: str) -> None:
    assert any(word in desk("uses") for word in NASTY)


def test_an_officer_asks_in_the_chat(place: str, content: Content) -> None:
    """What is told is of the units of theirs; anybody else is told whom it is for."""
    db = Database(place)
    with db.write() as conn:
        officer = conn.execute(select(persons.c.id).where(persons.c.hr_id == "HR9")).scalar_one()
        roster.link(conn, officer, "line", "Uofficer", NOW)
        today = datetime.now(UTC)
        made_now = report(conn, "funnel", hr_of("A / B", officer), Ask(), today, content)
        of = words.denominator(made_now, "th", content)
    db.close()
    with edge(place, content) as running:
        for who in ("Uofficer", "Unobody"):
            running.hook(running.line.says(who, "สวัสดี"))
            running.hook(running.line.says(who, content.words.reserved["report"][0]))
        heard = running.line.delivered
        eventually(lambda: all(len(heard[who]) > 1 for who in ("Uofficer", "Unobody")))
        officers, others = (repr(heard[who]) for who in ("Uofficer", "Unobody"))

    assert of in officers
    assert content.copy_["th"]["report_denied"] in others
    noted = [row for row in entries(place) if row[1] == "report:funnel"]
    assert noted == [(officer, "report:funnel", {"how": "chat", "filters": {}})]
