"""Content as a spreadsheet and back: nothing lost, nothing made of what did not change."""

import csv
import io
from typing import Any

import openpyxl
import pytest
from sqlalchemy import select

from storage.models import revisions
from tests.offices import Office
from tests.test_console_content import draft, publish

PAGE = "/console/content/sheet"


@pytest.fixture
def hr(office: Office) -> Office:
    office.enter("hr")
    return office


def taken(office: Office, kind: str) -> tuple[bytes, list[list[Any]]]:
    answer = office.get(f"{PAGE}/file?kind={kind}")
    assert answer.status_code == 200
    sheet = openpyxl.load_workbook(io.BytesIO(answer.content)).active
    rows = [[cell or "" for cell in row] for row in sheet.iter_rows(values_only=True)]
    return answer.content, rows


def book(rows: list[list[Any]]) -> bytes:
    made = openpyxl.Workbook()
    for at, row in enumerate(rows, 1):
        for n, value in enumerate(row, 1):
            cell = made.active.cell(at, n, value)
            if isinstance(value, str):
                cell.data_type = "s"  # "=SUM(…)" is an answer here
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def bring(office: Office, kind: str, data: bytes, name: str = "content.xlsx") -> Any:
    return office.send(PAGE, files={"file": (name, data)}, kind=kind)


def drafts(office: Office) -> dict[str, Any]:
    return {row.key: row for row in office.edge.rows(select(revisions))}


@pytest.mark.parametrize("kind", ["question", "lesson", "exercise", "step", "copy"])
def test_what_went_out_comes_back_unchanged(hr: Office, kind: str) -> None:
    data, rows = taken(hr, kind)
    assert len(rows) > 6
    answer = bring(hr, kind, data)
    assert answer.status_code == 200
    assert drafts(hr) == {}
    assert f"ไม่เปลี่ยน {len(rows) - 1} แถว" in answer.text
    assert bring(hr, kind, book(rows)).status_code == 200, "as another program writes it"
    assert drafts(hr) == {}


def test_rows_that_changed_become_drafts(hr: Office) -> None:
    _, rows = taken(hr, "question")
    stem, right = rows[0].index("คำถาม (ภาษาไทย)"), rows[0].index("ข้อถูก")
    ids = [row[0] for row in rows]
    first, second = ids.index("computer-01"), ids.index("computer-02")
    rows[first][stem] = "คำถามที่แก้ใน\nตาราง"
    rows[second][right] = "3" if rows[second][right] != "3" else "1"

    answer = bring(hr, "question", book(rows))

    assert answer.status_code == 200
    found = drafts(hr)
    assert sorted(found) == ["computer-01", "computer-02v2"]
    assert "คำถามที่แก้ใน\\nตาราง" in found["computer-01"].body
    bring(hr, "question", book(rows))
    assert {row.at for row in drafts(hr).values()} == {row.at for row in found.values()}
    publish(hr, f"/console/content/draft/{found['computer-01'].id}")
    assert hr.edge.app.content.question("computer-01").stem.th == "คำถามที่แก้ใน\nตาราง"


def test_what_cannot_be_taken_is_named_and_the_rest_is(hr: Office) -> None:
    _, rows = taken(hr, "question")
    head = rows[0]
    stem, hard = head.index("คำถาม (ภาษาอังกฤษ)"), head.index("ความยาก (−4 ถึง 4)")
    rows[1][stem] = "x" * 1700
    rows[2][hard] = "very"
    rows[3][0] = "computer-9999"
    rows[4][0] = rows[5][0]
    rows[6][stem] = "Mended"

    answer = bring(hr, "question", book(rows))

    assert answer.status_code == 422
    for row, column in ((2, stem), (3, hard), (4, 0), (5, 0), (6, 0)):
        assert f'<td class="number">{row}</td><td>{head[column]}</td>' in answer.text
    assert list(drafts(hr)) == [rows[6][0]]


def test_another_order_fewer_columns_and_csv_will_do(hr: Office) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([["Sentence (English)", "Id"], ["Right! {why}", "quiz_right"]])
    answer = bring(hr, "copy", out.getvalue().encode(), "x.csv")
    assert answer.status_code == 200, answer.text
    body = drafts(hr)["quiz_right"].body
    assert "Right! {why}" in body
    assert hr.edge.app.content.copy_["th"]["quiz_right"] in body.replace("\\n", "\n")


def test_days_and_numbers_that_a_spreadsheet_writes_its_own_way(hr: Office) -> None:
    _, rows = taken(hr, "question")
    day, hard = rows[0].index("ทบทวนแหล่งอ้างอิงภายใน"), rows[0].index("ความยาก (−4 ถึง 4)")
    rows[1][day] = 46725
    rows[1][hard] = float(rows[1][hard])
    rows[2][hard] = float(rows[2][hard])
    assert bring(hr, "question", book(rows)).status_code == 200
    (row,) = drafts(hr).values()
    assert '"review_by":"2027-12-04"' in row.body


def test_a_draft_of_somebody_else_is_left_alone(hr: Office) -> None:
    page = draft(hr, "/console/content/question/computer-01", stem__th="ของฉัน")
    other = hr.agency.persons["hr1"]
    hr.run(lambda conn, now: conn.execute(revisions.update().values(author_id=other)))
    _, rows = taken(hr, "question")
    at = [row[0] for row in rows].index("computer-01")
    rows[at][rows[0].index("คำถาม (ภาษาไทย)")] = "ของไฟล์"
    answer = bring(hr, "question", book(rows))
    assert answer.status_code == 422
    assert "ของฉัน" in drafts(hr)["computer-01"].body
    assert hr.get(page).status_code == 200


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 50,
        b"PK\x03\x04broken",
        b"%PDF-1.4",
        b"just,words\n1,2\n",
        b"\xd0\xcf\x11\xe0xx",
    ],
)
def test_what_is_no_such_file_is_refused(hr: Office, data: bytes) -> None:
    answer = bring(hr, "question", data)
    assert answer.status_code == 422
    assert 'id="file-fault"' in answer.text
    assert drafts(hr) == {}


def test_of_another_kind_or_too_large(hr: Office) -> None:
    data, _ = taken(hr, "copy")
    assert bring(hr, "step", data).status_code == 422
    assert hr.send(PAGE, kind="question").status_code in (415, 422)
    assert bring(hr, "setting", data).status_code == 404
    assert bring(hr, "copy", b"x" * (6 << 20)).status_code == 413
    assert hr.get(f"{PAGE}/file?kind=setting").status_code == 404


def test_only_whoever_answers_for_all_content(office: Office) -> None:
    office.enter("hr1")
    assert office.get(f"{PAGE}/file?kind=step").status_code == 403
    assert bring(office, "step", b"x").status_code == 403
