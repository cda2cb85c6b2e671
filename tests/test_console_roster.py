"""Taking a roster over in the console: upload, columns, a dry run, reasons, mending, agreeing."""

import re
from typing import Any

import pytest
from sqlalchemy import select

from bot.console.roster import MOST
from bot.roster_uploads import Uploads
from storage.models import audit, imports, persons, roster_changes, units
from tests.offices import Office, forward
from tests.rosters import HEADERS, book, sheet
from tests.running import eventually

__all__ = ["book", "forward"]
CSV = "text/csv"
NEW = ("N1", "นางสาวใหม่ มาแล้ว", "top / one", "", "นักวิชาการ")


def people(*more: tuple[str, ...], without: str = "") -> list[tuple[str, ...]]:
    """Everybody of the agency as a file has them."""
    who = {"": ("hr", "ocsc", "admin", "privacy", "approver", "nobody")}
    who |= {" / one": ("h1", "hr1", "a1", "b1"), " / two": ("h2", "hr2", "a2", "b2")}
    rows = [
        (f"HR-{name}", f"Name-{name}", "top" + unit, "", "")
        for unit, names in who.items()
        for name in names
        if name != without
    ]
    return rows + list(more)


def bring(office: Office, data: bytes, name: str = "all.csv", after: str = "") -> Any:
    return office.send("/console/import", files={"file": (name, data, CSV)}, after=after)


def brought(office: Office, data: bytes, **more: str) -> str:
    """The page of a file that was uploaded."""
    answer = bring(office, data, **more)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def chosen(html: str) -> dict[str, str]:
    """The columns as the page has them."""
    found = {}
    for name, inside in re.findall(r'<select name="(column-\d+)".*?>(.*?)</select>', html):
        mark = re.search(r'value="([^"]*)" selected', inside)
        found[name] = mark[1] if mark else ""
    return found


def over(office: Office, path: str) -> str:
    """The page once nothing moves any more."""
    eventually(lambda: "data-follow" not in office.get(path).text, 30)
    return str(office.get(path).text)


def attempt(office: Office, path: str, **fields: str) -> str:
    sent = chosen(office.get(path).text) | {"part": "all", "effective": ""} | fields
    answer = office.send(path + "/try", **sent)
    assert answer.status_code == 303, answer.text
    return over(office, path)


def agree(office: Office, path: str, html: str, **fields: str) -> Any:
    plan = re.search(r'name="plan" value="([0-9a-f]+)"', html)
    assert plan, html
    return office.send(path + "/agree", plan=plan[1], sure="1", **fields)


def said(office: Office, why: str, **data: Any) -> str:
    text = office.edge.app.content.roster.refusals[why].th
    return text.format(**data) if data else text.partition("{")[0]


def ids(office: Office) -> set[str]:
    return {row.hr_id for row in office.edge.rows(select(persons).where(persons.c.left_on == 0))}


def test_a_file_is_tried_and_then_taken_over(office: Office) -> None:
    office.enter("hr")
    path = brought(office, sheet(*people(NEW)))
    html = attempt(office, path)
    assert "N1" not in ids(office), "a dry run changes nothing"
    assert re.search(r"เข้าใหม่</th><td class=\"number\">1<", html)

    answer = agree(office, path, html)

    assert answer.headers["location"] == path
    html = over(office, path)
    assert "นำเข้าเรียบร้อยแล้ว" in html
    assert "N1" in ids(office)
    (row,) = office.edge.rows(select(imports))
    assert row.by_id == office.agency.persons["hr"]
    assert not list(office.edge.app.var.glob("roster/*.file")), "the file is gone"
    assert "Name-hr" in office.get("/console/import").text, "who did it is listed"


def test_unknown_columns_are_named_by_the_officer_and_stay_so(office: Office) -> None:
    office.enter("hr")
    odd = ("หมายเลข", "ใครคนหนึ่ง", "อยู่ที่ไหน", "หมายเหตุ", "ตำแหน่ง")
    path = brought(office, sheet(*people(NEW), headers=odd))
    html = office.get(path).text
    assert "นางสาว" not in html.split("column-0")[0]
    assert "HR-hr" in html, "a sample of each column"
    assert chosen(html)["column-4"] == "title"
    missing = office.send(path + "/try", **chosen(html), part="all")
    assert missing.status_code == 422
    assert said(office, "no_header") in missing.text

    fields = {"column-0": "hr_id", "column-1": "name", "column-2": "unit"}
    attempt(office, path, **fields)

    assert chosen(office.get(path).text)["column-1"] == "name"
    html = office.get(path).text
    agree(office, path, html)
    over(office, path)
    assert "N1" in ids(office)


def test_a_column_can_be_left_out(office: Office) -> None:
    office.enter("hr")
    rows = [(*row[:4], "สิ่งอื่น") for row in people()]
    path = brought(office, sheet(*rows))
    html = attempt(office, path, **{"column-4": ""})
    agree(office, path, html)
    over(office, path)
    assert {row.title for row in office.edge.rows(select(persons.c.title))} == {""}


def test_refused_rows_come_back_with_reasons_and_are_mended(office: Office) -> None:
    office.enter("hr")
    wrong = (*NEW[:3], "ไม่มีคนนี้", NEW[4])
    path = brought(office, book(*people(wrong)), name="wrong.xlsx")
    html = attempt(office, path, effective="1/10/2560")
    assert "ไม่พบผู้บังคับบัญชาในทะเบียน" in html
    assert '<td class="number">16</td><td>รหัสผู้บังคับบัญชา</td>' in html
    assert 'name="plan"' not in html, "there is nothing to agree to"
    back = office.send(path + "/reasons")
    assert back.content.startswith(b"PK")
    assert back.headers["content-disposition"].endswith("refused.xlsx")

    mended = brought(office, sheet(*people(NEW)), after=path.rpartition("/")[2])

    assert office.get(path).status_code == 404, "the one it mends is gone"
    assert 'value="1/10/2560"' in office.get(mended).text, "what was said of the other holds"
    assert office.send(mended + "/reasons").status_code == 404


def test_many_leavers_take_a_confirmation_of_their_own(office: Office) -> None:
    office.enter("hr")
    path = brought(office, sheet(*people()[:9]))
    html = attempt(office, path)
    assert said(office, "leavers", n=5, of=14, most=10) in html
    assert agree(office, path, html).status_code == 422
    assert len(ids(office)) == 14
    agree(office, path, html, leavers="1")
    over(office, path)
    assert len(ids(office)) == 9


def test_some_people_only(office: Office) -> None:
    office.enter("hr")
    path = brought(office, sheet(NEW))
    html = attempt(office, path, part="some")
    agree(office, path, html)
    over(office, path)
    assert len(ids(office)) == 15


def test_from_a_later_day_on(office: Office) -> None:
    office.enter("hr")
    path = brought(office, sheet(("HR-a1", "Name-a1", "top / two", "", "")))
    html = attempt(office, path, part="some", effective="1/10/2600")
    assert "1 ตุลาคม 2600" in html
    agree(office, path, html)
    over(office, path)
    assert len(office.edge.rows(select(roster_changes))) == 1


def test_a_roster_that_changed_meanwhile_shows_the_new_plan(office: Office) -> None:
    office.enter("hr")
    path = brought(office, sheet(NEW))
    html = attempt(office, path, part="some")
    other = brought(office, sheet((*NEW[:4], "อื่น")))
    agree(office, other, attempt(office, other, part="some"))
    over(office, other)

    agree(office, path, html)

    html = over(office, path)
    assert said(office, "changed") in html
    assert re.search(r"ข้อมูลเปลี่ยน</th><td class=\"number\">1<", html), "the plan as it is now"
    (row,) = office.edge.rows(select(persons).where(persons.c.hr_id == "N1"))
    assert row.title == "อื่น", "nothing was overwritten"
    agree(office, path, html)
    over(office, path)
    (row,) = office.edge.rows(select(persons).where(persons.c.hr_id == "N1"))
    assert row.title == NEW[4]


def test_the_plan_that_was_agreed_to_must_be_the_one_on_the_page(office: Office) -> None:
    office.enter("hr")
    path = brought(office, sheet(*people(NEW)))
    old = attempt(office, path)
    attempt(office, path, part="some", effective="1/10/2600")
    answer = agree(office, path, old)
    assert answer.status_code == 303
    assert said(office, "changed") in office.get(path).text
    assert "N1" not in ids(office)


def test_agreeing_takes_a_tick_and_the_password(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.enter("hr")
    path = brought(office, sheet(*people(NEW)))
    html = attempt(office, path)
    plan = re.search(r'name="plan" value="([0-9a-f]+)"', html)[1]  # type: ignore[index]
    unsure = office.send(path + "/agree", plan=plan)
    assert unsure.status_code == 422
    assert "โปรดทำเครื่องหมายยืนยันก่อน" in unsure.text
    forward(office, monkeypatch, minutes=10)
    asked = agree(office, path, html)
    assert asked.headers["location"].startswith("/console/prove")
    assert "N1" not in ids(office)


def test_a_second_import_at_once_is_refused(office: Office) -> None:
    from bot.roster_desk import Job

    office.enter("hr")
    path = brought(office, sheet(*people(NEW)))
    office.edge.app.roster._jobs = {"another": Job()}
    sent = chosen(office.get(path).text) | {"part": "all"}
    answer = office.send(path + "/try", **sent)
    assert answer.status_code == 303
    assert said(office, "busy") in office.get(path).text


def test_nobody_else_finds_the_file(office: Office) -> None:
    office.enter("hr")
    path = brought(office, sheet(*people(NEW)))
    for who, status in (("hr1", 404), ("approver", 403), ("admin", 403), ("privacy", 403)):
        office.enter(who)
        assert office.get(path).status_code == status
        assert office.send(path + "/try", part="all").status_code == status
        assert office.send(path + "/drop").status_code == status
    office.enter("hr")
    assert office.get(path).status_code == 200


def test_an_officer_of_a_part_imports_nothing(office: Office) -> None:
    office.enter("hr1")
    page = office.get("/console/import")
    assert said(office, "no_right", who="HR-hr1") in page.text
    assert 'type="file"' not in page.text
    assert bring(office, sheet(NEW)).status_code == 422
    assert not list(office.edge.app.var.glob("roster/*"))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"%PDF-1.7", "not_a_sheet"),
        (b"\xd0\xcf\x11\xe0" + b"x" * 99, "old_excel"),
        (b"PK\x03\x04" + b"x" * 99, "broken"),
        (b"\r\n\r\n", "empty"),
        (b"a,\x00b", "not_a_sheet"),
    ],
)
def test_what_is_no_roster_is_refused_beside_the_field(
    office: Office, data: bytes, why: str
) -> None:
    office.enter("hr")
    answer = bring(office, data)
    assert answer.status_code == 422
    assert said(office, why) in answer.text
    assert 'id="file-fault"' in answer.text
    assert not list(office.edge.app.var.glob("roster/*.file"))


def test_no_file_and_too_large_a_file(office: Office) -> None:
    office.enter("hr")
    assert office.send("/console/import", files={"x": ("", b"", CSV)}).status_code == 422
    assert bring(office, b"").status_code == 422
    assert bring(office, b"a,b\n" * (MOST // 4 + 9)).status_code == 422
    large = bring(office, b"a,b\n" * (MOST // 2))
    assert large.status_code == 413
    assert "ยาวเกินไป" in large.text


@pytest.mark.parametrize(
    "fields",
    [
        {"column-0": "king"},
        {"column-0": "x" * 5000},
        {"column-0": "name"},
        {"column-0": ""},
        {"effective": "soon"},
        {"effective": "31/2/2569"},
        {"effective": "9" * 3000},
        {"effective": "<script>"},
    ],
)
def test_options_that_cannot_be(office: Office, fields: dict[str, str]) -> None:
    office.enter("hr")
    path = brought(office, sheet(*people(NEW)))
    sent = chosen(office.get(path).text) | {"part": "all"} | fields
    answer = office.send(path + "/try", **sent)
    assert answer.status_code == 422
    assert "<script>" not in answer.text.partition("<main")[2]
    assert "N1" not in ids(office)


@pytest.mark.parametrize("id", ["x", "..%2F..%2Fkaona", "0" * 36, "%00", "a" * 3000])
def test_what_is_not_there_is_not_found(office: Office, id: str) -> None:
    office.enter("hr")
    assert office.get(f"/console/import/{id}").status_code == 404
    assert office.get(f"/console/import/{id}/news").status_code == 404


def test_the_name_of_a_file_is_only_shown(office: Office) -> None:
    office.enter("hr")
    path = brought(office, sheet(*people()), name="../../<b>x</b>.csv")
    assert "&lt;b&gt;x" in office.get(path).text
    answer = office.send(path + "/drop")
    assert answer.headers["location"] == "/console/import"
    assert not list(office.edge.app.var.glob("roster/*"))
    assert len(ids(office)) == 14


def test_work_that_broke_off_can_be_done_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.enter("hr")
    path = brought(office, sheet(*people(NEW)))
    kept: Uploads = office.edge.app.roster.uploads
    upload = kept.find(path.rpartition("/")[2], office.agency.persons["hr"])
    assert upload
    upload.state, upload.beat = "running", 1.0
    kept.save(upload)
    assert "หยุดกลางคัน" in office.get(path).text
    assert "N1" not in ids(office)
    attempt(office, path)


def test_progress_is_sent_as_it_comes(office: Office) -> None:
    office.enter("hr")
    path = brought(office, sheet(*people(NEW)))
    attempt(office, path)
    news = office.get(path + "/news")
    assert news.headers["content-type"].startswith("text/event-stream")
    assert '"over":true' in news.text


def test_citizen_ids_are_never_shown(office: Office) -> None:
    office.enter("hr")
    path = brought(office, sheet(("HR-x", "1-1037-02071-81-1", "top", "", ""), headers=HEADERS))
    assert "1037" not in office.get(path).text


def test_the_template_is_one_that_can_be_imported(office: Office) -> None:
    office.enter("hr")
    made = office.get("/console/import/template")
    assert made.content.startswith(b"PK")
    path = brought(office, made.content, name="t.xlsx")
    assert "N1" not in attempt(office, path)
    assert len(office.edge.rows(select(units))) == 3


def test_what_is_taken_home_is_noted(office: Office) -> None:
    office.enter("hr")
    path = brought(office, sheet((*NEW[:3], "ZZ", "")))
    attempt(office, path)
    office.send(path + "/reasons")
    assert "roster_reasons" in {row.action for row in office.edge.rows(select(audit.c.action))}
