"""People, units, codes and links in the console."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.json import decode
from sqlalchemy import Connection, insert, select, update

from bot import handouts
from bot.tray import SILENT
from flows.calendar import local
from storage import people, roster, roster_one
from storage.links import Refused
from storage.models import (
    audit,
    claim_codes,
    learners,
    links,
    persons,
    postings,
    profiles,
    roster_changes,
    units,
)
from storage.people import Wanted
from storage.scope import OPERATOR, Right, Scope
from tests.offices import Office, forward
from tests.running import eventually

__all__ = ["SILENT"]
PATHS = ("people", "units", "codes", "people/links")
TWO = ("Name-h2", "Name-hr2", "Name-a2", "Name-b2")


def page(office: Office, who: str) -> str:
    return f"/console/people/{office.agency.persons[who]}"


def stamp(office: Office, who: str) -> str:
    found = re.search(r'name="stamp" value="([^"]+)"', office.get(page(office, who)).text)
    assert found
    return found[1]


def person(office: Office, who: str) -> Any:
    (row,) = office.edge.rows(select(persons).where(persons.c.hr_id == f"HR-{who}"))
    return row


def change(office: Office, who: str, **fields: str) -> Any:
    day = f"{local(office.edge.app.clock()):%d/%m/%Y}"
    sent = {"stamp": stamp(office, who), "sure": "1", "day": day} | fields
    return office.send(page(office, who) + "/change", **sent)


def noted(office: Office, action: str) -> list[Any]:
    return office.edge.rows(select(audit).where(audit.c.action == action).order_by(audit.c.id))


# --- who may -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "statuses"),
    [
        ("hr", (200, 200, 200, 200)),
        ("hr1", (200, 200, 200, 200)),
        ("privacy", (200, 200, 403, 403)),
        ("approver", (403, 403, 403, 403)),
        ("admin", (403, 403, 403, 403)),
    ],
)
def test_what_each_role_may_open(office: Office, who: str, statuses: tuple[int, ...]) -> None:
    office.enter(who)
    found = [office.get(f"/console/{path}").status_code for path in PATHS]
    assert tuple(found) == statuses


def test_a_privacy_officer_looks_and_changes_nothing(office: Office) -> None:
    office.enter("privacy")
    html = office.get(page(office, "a1")).text
    assert "Name-a1" in html
    assert "/change" not in html.partition("<main")[2]
    for path in ("change", "code", "unlink", "unmerge"):
        assert office.send(f"{page(office, 'a1')}/{path}", sure="1").status_code == 403


def test_an_officer_of_a_part_sees_and_changes_that_part(office: Office) -> None:
    office.enter("hr1")
    for path in (*PATHS, "people?q=Name", "people?q=HR-", "units?at=0", "codes?count=1"):
        html = office.get(f"/console/{path}").text
        assert not [name for name in TWO if name in html], path
    assert office.get(page(office, "a2")).status_code == 404
    for path in ("change", "code", "unlink", "unmerge"):
        answer = office.send(f"{page(office, 'a2')}/{path}", sure="1", link="1")
        assert answer.status_code == 404
    unit = office.agency.units["two"]
    assert office.get(f"/console/units?at={unit}").status_code == 404
    assert office.get("/console/people?unit=top+/+two").status_code == 422
    assert office.get("/console/codes?unit=top+/+two&count=1").status_code == 422
    assert change(office, "a1", what="move", unit="top / two").status_code == 403
    assert person(office, "a1").unit_id == office.agency.units["one"]
    assert change(office, "a1", what="leave").status_code == 303


# --- many ----------------------------------------------------------------------------------


def names(office: Office, query: str) -> set[str]:
    html = office.get(f"/console/people?{query}").text.partition("<tbody")[2]
    return set(re.findall(r">Name-(\w+)</a>", html))


def test_people_are_found_by_name_and_by_id(office: Office) -> None:
    office.enter("hr")
    assert names(office, "q=me-a") == {"a1", "a2", "admin", "approver"}
    assert names(office, "q=HR-a1") == {"a1"}
    assert names(office, "q=hr-A") == set(), "neither an id nor a part of a name"
    assert names(office, "q=NAME-B1") == {"b1"}
    assert names(office, "q=%25") == set()
    assert names(office, "q=_") == set()


def test_filters(office: Office) -> None:
    office.enter("hr")
    assert names(office, "unit=top+/+one") == {"h1", "hr1", "a1", "b1"}
    assert names(office, "unit=top+/+one&joined=yes") == {"a1", "b1"}
    assert names(office, "unit=top+/+one&joined=no") == {"h1", "hr1"}
    assert names(office, "left=1") == set()
    change(office, "b2", what="leave")
    assert names(office, "left=1") == {"b2"}
    assert "b2" not in names(office, "q=Name-b")
    group = office.edge.rows(select(profiles.c.personnel_group).where(profiles.c.unit_id > 0))
    assert "a1" in names(office, f"group={group[0].personnel_group}")


def test_sorting_and_turning(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.enter("hr")
    monkeypatch.setattr("bot.console.tables.PAGE", 5)
    html = office.get("/console/people?sort=-hr_id").text
    found = re.findall(r">Name-(\w+)</a>", html)
    assert found == sorted(found, reverse=True)
    assert len(found) == 5
    assert 'aria-sort="descending"' in html
    assert "page=2" in html
    assert len(names(office, "page=3")) == 4


@pytest.mark.parametrize(
    "query",
    [
        "unit=nowhere", "group=x", "joined=maybe", "left=2", f"q={'x' * 101}",
        "page=99999",
    ],
)  # fmt: skip
def test_filters_that_cannot_be(office: Office, query: str) -> None:
    office.enter("hr")
    assert office.get(f"/console/people?{query}").status_code == 422
    assert noted(office, "people_seen") == []


def test_odd_searches_find_nobody(office: Office) -> None:
    office.enter("hr")
    for query in ("q=%27%22%3Cscript%3E", "sort=king", "page=-1", "page=x", "q=ไม่มี", "q=/"):
        answer = office.get(f"/console/people?{query}")
        assert answer.status_code == 200
        assert "<script>" not in answer.text.partition("<main")[2]


def test_that_names_were_seen_is_noted_without_what_was_looked_for(office: Office) -> None:
    office.enter("hr1")
    office.get("/console/people?q=Name-a1")
    office.get(page(office, "a1"))
    (seen,) = noted(office, "people_seen")
    assert decode(seen.data) == {"count": 1, "over": ["top / one"]}
    assert seen.target == "people"
    (one,) = noted(office, "person_seen")
    assert one.target == f"person:{office.agency.persons['a1']}"
    assert "Name-a1" not in str([row.data for row in office.edge.rows(select(audit))])


def search(conn: Connection, scope: Scope, wanted: Wanted) -> list[str]:
    now = datetime.now(UTC)
    return [row.hr_id for row in people.search(conn, scope, wanted, now, 0, 101)]


def test_a_search_is_the_same_whichever_way_it_goes(
    either: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Along the names, and by the units."""
    one = Scope(1, (Right("hr", "top / one"),))
    asked = [Wanted(), Wanted("me-a"), Wanted("HR-", unit="top / one"), Wanted(joined="yes"),
             Wanted(unit="top", sort="hr_id", down=True)]  # fmt: skip
    found = {}
    for few in (0, 20_000):
        monkeypatch.setattr(people, "FEW", few)
        found[few] = either.run(
            lambda conn, now: [
                search(conn, scope, wanted) for scope in (OPERATOR, one) for wanted in asked
            ]
        )
    assert found[0] == found[20_000]
    assert found[0][5] == ["HR-a1", "HR-b1", "HR-h1", "HR-hr1"]


def test_a_part_of_a_name_is_found_along_an_index(office: Office) -> None:
    seen: list[str] = []

    def look(conn: Connection, now: datetime) -> None:
        place = people._place(conn, OPERATOR, Wanted("x"))
        query = select(persons.c.id).where(
            people._here(Wanted(), 9), people._named(conn, "x"), place > 0
        )
        told = query.order_by(persons.c.name).compile(conn, compile_kwargs={"literal_binds": True})
        seen.extend(str(row) for row in conn.exec_driver_sql(f"explain query plan {told}"))

    office.run(look)
    assert "COVERING INDEX ix_persons_name" in str(seen)


# --- one -----------------------------------------------------------------------------------


def test_a_page_tells_the_channel_and_never_the_address(office: Office) -> None:
    office.enter("hr")
    html = office.get(page(office, "a1")).text
    assert "LINE" in html
    assert "Ua1" not in html


def test_a_supervisor_of_elsewhere_is_not_named(office: Office) -> None:
    a1, h2 = office.agency.persons["a1"], office.agency.persons["h2"]
    office.run(
        lambda conn, now: conn.execute(
            update(persons).where(persons.c.id == a1).values(supervisor_id=h2)
        )
    )
    office.enter("hr1")
    assert "Name-h2" not in office.get(page(office, "a1")).text
    office.enter("hr")
    assert "Name-h2" in office.get(page(office, "a1")).text


def test_of_data_that_rests_nothing_is_told(office: Office) -> None:
    a1 = office.agency.learners["a1"]
    office.run(
        lambda conn, now: conn.execute(
            update(profiles).where(profiles.c.learner_id == a1).values(restricted=True)
        )
    )
    office.enter("hr")
    html = office.get(page(office, "a1")).text
    assert "ขอให้พักการใช้ข้อมูล" in html
    assert "LINE" not in html.partition("journal")[0].partition("<main")[2]
    row = office.get("/console/people?q=HR-a1").text.partition("<tbody")[2]
    assert "เชื่อมแชตแล้ว" not in row


@pytest.mark.parametrize("id", ["0", "99999", "x", "-1", "9" * 40, "1.5", "๑", "%00"])
def test_nobody_is_not_found(office: Office, id: str) -> None:
    office.enter("hr")
    assert office.get(f"/console/people/{id}").status_code == 404
    assert office.send(f"/console/people/{id}/change").status_code == 404


def test_a_transfer_from_today_on(office: Office) -> None:
    office.enter("hr")
    assert change(office, "a1", what="move", unit="top / two").status_code == 303
    assert person(office, "a1").unit_id == office.agency.units["two"]
    (learner,) = office.edge.rows(
        select(profiles.c.unit_id).where(profiles.c.person_id == office.agency.persons["a1"])
    )
    assert learner.unit_id == office.agency.units["two"], "what follows the roster goes along"
    assert len(office.edge.rows(select(postings))) == 2
    (row,) = noted(office, "roster_import")
    assert row.by_id == office.agency.persons["hr"]
    assert decode(row.data)["moved"] == 1


def test_an_officer_who_sends_somebody_away_need_not_see_them_any_more(office: Office) -> None:
    office.run(lambda conn, now: roster.add_unit(conn, "x", office.agency.units["one"]))
    office.enter("hr1")
    answer = change(office, "b1", what="move", unit="top / one / x")
    assert answer.headers["location"] == page(office, "b1")


def test_a_transfer_from_a_later_day_on_waits(office: Office) -> None:
    office.enter("hr")
    change(office, "a1", what="move", unit="top / two", day="1/10/2600")
    assert person(office, "a1").unit_id == office.agency.units["one"]
    html = office.get(page(office, "a1")).text
    assert "1 ตุลาคม 2600" in html
    assert "top / two" in html
    again = change(office, "a1", what="move", unit="top / two", day="1/10/2600")
    assert again.status_code == 422, "it is so already"
    change(office, "a1", what="leave", day="2/10/2600")
    assert office.edge.rows(select(roster_changes)) == [], "the newer one takes its place"
    assert person(office, "a1").left_on


def test_leaving_ends_rights_and_coming_back_is_the_same_person(office: Office) -> None:
    office.enter("hr")
    assert change(office, "hr1", what="leave").status_code == 303
    assert "พ้นจากหน่วยงานแล้ว" in office.get(page(office, "hr1")).text
    office.enter("hr1")
    assert office.get("/console/people").status_code == 303, "their session is over"
    office.enter("hr")
    assert change(office, "hr1", what="return").status_code == 303
    assert person(office, "hr1").left_on == 0


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"what": "move", "unit": ""}, "unit"),
        ({"what": "king"}, "what"),
        ({"what": ""}, "what"),
        ({"what": "leave", "day": ""}, "day"),
        ({"what": "leave", "day": "soon"}, "day"),
        ({"what": "leave", "day": "30/2/2570"}, "day"),
        ({"what": "leave", "day": "1/1/69"}, "day"),
        ({"what": "leave", "day": "9" * 999}, "day"),
        ({"what": "move", "unit": "top / one"}, "what"),
        ({"what": "move", "unit": "top / nowhere"}, "unit"),
        ({"what": "move", "unit": "x" * 9000}, "unit"),
        ({"what": "return"}, "what"),
        ({"what": "leave", "sure": ""}, "sure"),
    ],
)
def test_changes_that_cannot_be(office: Office, fields: dict[str, str], field: str) -> None:
    office.enter("hr")
    answer = change(office, "a1", **fields)
    assert answer.status_code == 422
    mark = 'class="fault" role="alert"' if field == "sure" else f'id="{field}-fault"'
    assert mark in answer.text
    assert person(office, "a1").unit_id == office.agency.units["one"]
    assert person(office, "a1").left_on == 0


def test_what_was_typed_is_kept(office: Office) -> None:
    office.enter("hr")
    answer = change(office, "a1", what="move", unit="top / two", day="31/2/2570")
    assert 'value="31/2/2570"' in answer.text
    assert "<option selected>top / two</option>" in answer.text


def test_nobody_leaves_before_they_began_and_no_officer_sends_themselves_away(
    office: Office,
) -> None:
    a1 = office.agency.persons["a1"]
    office.run(
        lambda conn, now: conn.execute(
            update(persons).where(persons.c.id == a1).values(started_on=local(now).toordinal())
        )
    )
    office.enter("hr")
    assert change(office, "a1", what="leave", day="1/10/2560").status_code == 422
    own = change(office, "hr", what="leave")
    assert own.status_code == 422
    assert person(office, "hr").left_on == 0


def test_two_officers_do_not_overwrite_each_other(office: Office) -> None:
    office.enter("hr")
    old = stamp(office, "a1")
    change(office, "a1", what="move", unit="top / two")
    answer = change(office, "a1", what="leave", stamp=old)
    assert answer.status_code == 422
    assert "มีผู้อื่นแก้ไข" in answer.text
    assert person(office, "a1").left_on == 0


def test_a_change_by_hand_is_what_a_file_would_do(either: Office) -> None:
    """The same on each engine."""
    a1 = either.agency.persons["a1"]

    def work(conn: Connection, now: datetime) -> dict[str, int]:
        found = people.find(conn, OPERATOR, a1, now)
        assert found
        day = local(now).toordinal()
        wanted = roster_one.Wanted(a1, "move", day, found.stamp, "top / two")
        return roster_one.change(conn, OPERATOR, wanted, now)

    counts = either.run(work)
    assert (counts["moved"], counts["changed"], counts["left"]) == (1, 1, 0)
    assert counts["before"] == 14


# --- codes and chats -----------------------------------------------------------------------


def test_a_code_is_shown_once_and_on_a_sheet(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handouts, "_ask_name", _named)
    office.enter("hr")
    shown = office.send(page(office, "a1") + "/code", how="show")
    found = re.search(r'<code class="link">([A-Z0-9-]+)</code>', shown.text)
    assert found
    assert "ยังไม่ได้ใช้" in shown.text
    assert found[1] not in office.get(page(office, "a1")).text
    sheet = office.send(page(office, "a1") + "/code", how="sheet")
    assert sheet.content.startswith(b"%PDF")
    assert [row.void for row in office.edge.rows(select(claim_codes.c.void))].count(False) == 1
    assert found[1] not in str(office.edge.rows(select(audit)))


async def _named(settings: Any, channel: str) -> str:
    return "@kaona"


async def _silent(settings: Any, channel: str) -> str:
    from storage.database import ConfigError

    raise ConfigError("the platform refused")


def test_codes_take_the_password(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.enter("hr")
    forward(office, monkeypatch, minutes=10)
    for answer in (
        office.send(page(office, "a1") + "/code", how="show"),
        office.send("/console/codes", sure="1", form="pdf", unit="", again=""),
    ):
        assert answer.headers["location"].startswith("/console/prove")
    assert office.edge.rows(select(claim_codes)) == []


def test_a_platform_that_is_silent_voids_no_code(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handouts, "_ask_name", _silent)
    office.enter("hr")
    for answer in (
        office.send(page(office, "a1") + "/code", how="show"),
        office.send("/console/codes", sure="1", form="pdf", unit="", again=""),
    ):
        assert answer.status_code == 422
        assert "ติดต่อแพลตฟอร์มแชตไม่ได้" in answer.text
    assert office.edge.rows(select(claim_codes)) == []


def made(office: Office, **fields: str) -> str:
    sent = {"sure": "1", "form": "pdf", "unit": "", "again": ""} | fields
    answer = office.send("/console/codes", **sent)
    assert answer.status_code == 303, answer.text
    path = str(answer.headers["location"])
    eventually(lambda: "data-follow" not in office.get(path).text, 60)
    return path


def test_sheets_for_a_unit_are_counted_made_and_taken_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handouts, "_ask_name", _named)
    office.enter("hr1")
    html = office.get("/console/codes?count=1").text
    assert "จะออกรหัส 2 คน" in html, "of one's own unit those who have no chat"
    path = made(office)
    assert {row.person_id for row in office.edge.rows(select(claim_codes.c.person_id))} == {
        office.agency.persons[who] for who in ("h1", "hr1")
    }
    assert '"over":true' in office.get(path + "/news").text
    office.enter("hr")
    assert office.send(path + "/file").status_code == 404, "somebody else's"
    office.enter("hr1")
    assert office.send(path + "/file").content.startswith(b"%PDF")
    assert office.send(path + "/file").status_code == 404
    assert "ดาวน์โหลดใบรหัสแล้ว" in office.get(path).text
    assert not list(office.edge.app.var.glob("codes/*.file"))
    assert len(noted(office, "codes_taken")) == 1


def test_a_table_for_everybody(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handouts, "_ask_name", _named)
    office.enter("hr")
    path = made(office, form="csv", again="1")
    table = office.send(path + "/file").content.decode("utf-8-sig").splitlines()
    assert len(table) == 15
    assert "https://line.me/R/oaMessage/" in table[1]


def test_sheets_that_cannot_be(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handouts, "_ask_name", _named)
    office.enter("hr")
    for bad in ({"unit": "nowhere"}, {"form": "docx"}, {"again": "x"}, {"sure": ""}):
        sent = {"sure": "1", "form": "pdf", "unit": "", "again": ""} | bad
        assert office.send("/console/codes", **sent).status_code == 422, bad
    monkeypatch.setattr(handouts, "MOST", 3)
    many = office.send("/console/codes", sure="1", form="pdf", unit="", again="")
    assert many.status_code == 422
    assert "เกินที่ใส่ในใบรหัสชุดเดียวได้ (3 คน)" in many.text
    assert office.edge.rows(select(claim_codes)) == []
    for id in ("x", "0" * 36, "..%2Fx"):
        assert office.get(f"/console/codes/{id}").status_code == 404


def test_unlinking_takes_a_tick_and_lets_them_link_anew(office: Office) -> None:
    office.enter("hr")
    path = page(office, "a1") + "/unlink"
    assert office.send(path).status_code == 422
    assert office.send(path, sure="1").status_code == 303
    (row,) = office.edge.rows(
        select(learners.c.person_id).where(learners.c.id == office.agency.learners["a1"])
    )
    assert row.person_id is None
    again = office.send(path, sure="1")
    assert again.status_code == 422
    assert "ยังไม่ได้เชื่อมกับแชตใด" in again.text
    office.enter("hr", "en")
    assert "linked to no chat" in office.send(path, sure="1").text
    assert "HR-a1" in office.get("/console/people/links").text


def test_undoing_what_cannot_be_undone(office: Office) -> None:
    a1 = office.agency.persons["a1"]
    row = {"person_id": a1, "learner_id": office.agency.learners["a1"], "what": "merged"}

    def add(conn: Connection, now: datetime) -> int:
        made = insert(links).values(row | {"at": now, "channel": "line"}).returning(links.c.id)
        return int(conn.execute(made).scalar_one())

    id = office.run(add)
    office.enter("hr")
    path = page(office, "a1") + "/unmerge"
    refused = office.send(path, link=str(id))
    assert refused.status_code == 422
    assert "ย้อนรายการ" in refused.text
    assert office.send(path, link="99999").status_code == 404
    assert office.send(page(office, "b1") + "/unmerge", link=str(id)).status_code == 404
    assert office.send(path, link="x").status_code == 400


def test_every_refusal_of_codes_and_links_has_its_sentence(office: Office) -> None:
    content = office.edge.app.content
    keys = {key for key in content.copy_["th"] if key.startswith("link_wrong_")}
    slots = {"who": "W", "n": 1, "most": 2, "unit": "U"}
    for key in keys:
        for lang in ("th", "en"):
            assert Refused(key.removeprefix("link_wrong_"), **slots).say(lang, content)  # type: ignore[arg-type]
    assert len(keys) == 11


# --- units ---------------------------------------------------------------------------------


def test_units_sum_up_what_is_below(office: Office) -> None:
    office.enter("hr")
    top = office.get("/console/units").text
    assert re.search(r">top</a>.*?<td class=\"number\">14</td>", top, re.DOTALL)
    id = office.agency.units[""]
    html = office.get(f"/console/units?at={id}").text
    assert "Name-h1" in html
    assert "Name-h2" in html
    assert re.search(r">one</a>.*?<td class=\"number\">4</td><td class=\"number\">50.0", html)
    assert "people?unit=top+/+one" in html.replace("%20", "+").replace("%2F", "/")
    (row,) = noted(office, "heads_seen")
    assert decode(row.data)["over"] == ["top"]


def test_the_tree_of_a_part_begins_with_the_part(office: Office) -> None:
    office.enter("hr1")
    html = office.get("/console/units").text
    assert ">one</a>" in html
    assert ">two</a>" not in html
    assert ">top</a>" not in html


@pytest.mark.parametrize("at", ["x", "-1", "99999", "9" * 40])
def test_units_that_are_not(office: Office, at: str) -> None:
    office.enter("hr")
    assert office.get(f"/console/units?at={at}").status_code == 404


def test_an_empty_agency_says_what_to_do(office: Office) -> None:
    office.enter("hr")
    html = office.get("/console/people?q=ไม่มีผู้นี้").text
    assert "/console/import" in html.partition("<main")[2]
    assert len(office.edge.rows(select(units))) == 3
