"""Uses at work in the console: read, put in words that name nobody, chosen, left out, undone."""

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from bot.console import pages
from flows.calendar import fiscal_year, local
from storage.models import audit, evidence, persons, profiles, snapshots
from tests.agency import POISON
from tests.offices import Office

WORDS = pages.words("th")
TEXT = "ลดเวลาทำรายงานจากสองวันเหลือครึ่งวัน"


def use_of(office: Office, who: str) -> int:
    query = select(evidence.c.fact_id).where(evidence.c.learner_id == office.agency.learners[who])
    return int(office.edge.rows(query)[0].fact_id)


def state(office: Office, id: int) -> tuple[str, str]:
    row = office.edge.rows(select(evidence).where(evidence.c.fact_id == id))[0]
    return row.status, row.narrative


def seen(office: Office, id: int) -> str:
    found = re.search(r'name="seen" value="([^"]+)"', office.get(f"/console/uses/{id}").text)
    assert found
    return found[1]


def decide(office: Office, id: int, do: str, text: str = "", **more: str) -> Any:
    fields = {"seen": seen(office, id), "narrative": text, "do": do} | more
    return office.send(f"/console/uses/{id}", **fields)


@pytest.mark.parametrize(
    ("who", "status"), [("hr", 200), ("privacy", 200), ("approver", 403), ("admin", 403)]
)
def test_who_sees_names_sees_uses(office: Office, who: str, status: int) -> None:
    office.enter(who)
    assert office.get("/console/uses").status_code == status
    assert office.get(f"/console/uses/{use_of(office, 'a1')}").status_code == status


def test_a_use_is_read_put_in_words_chosen_and_undone(either: Office) -> None:
    office = either
    office.enter("hr")
    id = use_of(office, "a1")
    assert f"/console/uses/{id}" in office.get("/console/uses").text
    shown = office.get(f"/console/uses/{id}").text
    assert POISON in shown, "as it was written"

    answer = decide(office, id, "choose", f"  {TEXT}\n")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/uses")
    assert state(office, id) == ("chosen", TEXT)
    assert f"/console/uses/{id}" not in office.get("/console/uses").text
    assert f"/console/uses/{id}" in office.get("/console/uses?status=chosen").text
    decide(office, id, "undo")
    assert state(office, id) == ("new", "")
    decide(office, id, "set_aside")
    assert state(office, id) == ("set_aside", "")
    decide(office, id, "undo")
    assert state(office, id) == ("new", "")


def test_the_overview_leads_here(office: Office) -> None:
    office.enter("hr")
    assert 'href="/console/uses"' in office.get("/console/").text


def test_looking_is_written_down_and_of_one_it_is_the_writers_to_see(office: Office) -> None:
    office.enter("hr1")
    office.get("/console/uses")
    office.get(f"/console/uses/{use_of(office, 'a1')}")

    rows = [row for row in office.edge.rows(select(audit)) if row.action == "evidence_viewed"]
    assert [row.target for row in rows] == ["evidence", f"person:{office.agency.persons['a1']}"]
    assert '"top / one"' in rows[0].data


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "narrative_empty"),
        ("ก" * 1001, "narrative_long"),
        ("ช่วย Name-a1 ทำตาราง", "tells_perhaps"),
        ("ช่วยนายสมศักดิ์ทำตาราง", "tells_perhaps"),
        ("โทร 081-234-5678", "tells_number"),
        ("ส่งที่ a@b.go.th", "tells_email"),
    ],
)
def test_what_gives_somebody_away_is_said_beside_the_field(
    office: Office, text: str, key: str
) -> None:
    office.enter("hr")
    id, copy = use_of(office, "a1"), office.edge.app.content.copy_["th"]

    answer = decide(office, id, "choose", text)

    said = copy.get("programme_shown_" + key) or copy["programme_problem_" + key]
    assert answer.status_code == 422
    assert 'id="narrative-fault"' in answer.text
    assert said.partition("{")[0] in answer.text
    assert text in answer.text, "it is kept"
    assert state(office, id) == ("new", "")


def test_a_word_that_is_no_name_is_confirmed_and_nothing_else_can_be(office: Office) -> None:
    office.enter("hr")
    id, doubtful = use_of(office, "a1"), "ช่วย Name-a1 ทำตาราง"

    assert 'name="sure"' not in office.get(f"/console/uses/{id}").text
    assert 'name="sure"' in decide(office, id, "choose", doubtful).text
    assert 'name="sure"' in decide(office, id, "check", doubtful).text
    assert decide(office, id, "choose", "0812345678", sure="1").status_code == 422
    decide(office, id, "choose", doubtful, sure="1")
    assert state(office, id) == ("chosen", doubtful)


def test_checking_changes_nothing(office: Office) -> None:
    office.enter("hr")
    id = use_of(office, "a1")
    answer = decide(office, id, "check", TEXT)
    assert WORDS["use_clean"] in answer.text
    assert WORDS["use_clean"] not in decide(office, id, "check", "a@b.go.th").text
    assert state(office, id) == ("new", "")


def test_who_comes_second_is_told_and_loses_no_word(office: Office) -> None:
    office.enter("hr")
    id = use_of(office, "a1")
    old = seen(office, id)
    decide(office, id, "choose", "ของคนแรก")

    for do in ("choose", "set_aside", "undo"):
        answer = office.send(f"/console/uses/{id}", seen=old, narrative="ของคนที่สอง", do=do)
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text
    assert (
        "ของคนที่สอง"
        in office.send(f"/console/uses/{id}", seen=old, narrative="ของคนที่สอง", do="choose").text
    )
    assert office.send(f"/console/uses/{id}", narrative="x", do="choose").status_code == 422
    assert state(office, id) == ("chosen", "ของคนแรก")


def test_what_a_frozen_report_rests_on_is_not_undone(office: Office) -> None:
    office.enter("hr")
    id = use_of(office, "a1")
    decide(office, id, "choose", TEXT)
    row = office.edge.rows(select(evidence.c.at).where(evidence.c.fact_id == id))[0]
    year = fiscal_year(local(row.at).date())
    frozen = {"report": "ocsc", "year": year, "at": row.at, "hash": "x", "data": "{}"}
    office.run(lambda conn, now: conn.execute(insert(snapshots).values(frozen)) and None)

    assert 'value="undo"' not in office.get(f"/console/uses/{id}").text
    assert decide(office, id, "undo").status_code == 422
    assert state(office, id) == ("chosen", TEXT)
    decide(office, id, "set_aside")
    assert state(office, id) == ("set_aside", "")


def test_an_officer_of_a_part_sees_and_decides_only_there(office: Office) -> None:
    office.enter("hr")
    mine, other = use_of(office, "a1"), use_of(office, "a2")
    mark = seen(office, other)
    office.enter("hr1")

    listed = office.get("/console/uses?status=").text
    assert f"/console/uses/{mine}" in listed
    assert f"/console/uses/{other}" not in listed
    assert "top / two" not in listed
    assert "HR-a2" not in listed
    assert f"/console/uses/{other}" not in office.get("/console/uses?unit=top / two").text
    assert office.get(f"/console/uses/{other}").status_code == 404
    for do in ("choose", "check", "set_aside", "undo"):
        answer = office.send(f"/console/uses/{other}", seen=mark, narrative=TEXT, do=do)
        assert answer.status_code == 404
    assert state(office, other) == ("new", "")


@pytest.mark.parametrize("kept", ["unshared", "restricted"])
def test_what_somebody_keeps_to_themselves_is_not_there(office: Office, kept: str) -> None:
    office.enter("hr")
    id, learner = use_of(office, "a1"), office.agency.learners["a1"]
    mark = seen(office, id)
    change = (
        update(evidence).where(evidence.c.fact_id == id).values(shared=False)
        if kept == "unshared"
        else update(profiles).where(profiles.c.learner_id == learner).values(restricted=True)
    )
    office.run(lambda conn, now: conn.execute(change) and None)

    assert f"/console/uses/{id}" not in office.get("/console/uses?status=").text
    assert office.get(f"/console/uses/{id}").status_code == 404
    answer = office.send(f"/console/uses/{id}", seen=mark, narrative=TEXT, do="choose")
    assert answer.status_code == 404
    assert state(office, id) == ("new", "")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?from=yesterday", "from"),
        ("?until=9999-12-31", "until"),
        ("?from=2026-12-01&until=2026-11-01", "until"),
        ("?status=lost", "status"),
    ],
)
def test_a_filter_that_makes_no_sense_is_explained(office: Office, query: str, field: str) -> None:
    office.enter("hr")
    answer = office.get("/console/uses" + query)
    assert answer.status_code == 422
    assert f'id="{field}-fault"' in answer.text


@pytest.mark.parametrize(
    "query", ["?sort=x", "?sort=-unit", "?sort=who", "?page=0", "?page=99999999999999999999",
              "?page=x", "?unit=%00", "?status="]
)  # fmt: skip
def test_any_other_address_shows_a_page(office: Office, query: str) -> None:
    office.enter("hr")
    assert office.get("/console/uses" + query).status_code == 200


@pytest.mark.parametrize("id", ["0", "x", "99999999999999999999999", "-1", "9" * 5000])
def test_what_is_not_there_is_not_found(office: Office, id: str) -> None:
    office.enter("hr")
    assert office.get(f"/console/uses/{id}").status_code == 404
    assert office.send(f"/console/uses/{id}", do="choose").status_code == 404


def test_an_unknown_deed_is_refused(office: Office) -> None:
    office.enter("hr")
    id = use_of(office, "a1")
    assert decide(office, id, "burn", TEXT).status_code == 400
    assert state(office, id) == ("new", "")


def test_the_period_leaves_out_what_is_older(office: Office) -> None:
    office.enter("hr")
    id = use_of(office, "a1")
    row = office.edge.rows(select(evidence.c.at).where(evidence.c.fact_id == id))[0]
    day = local(row.at).date()

    there = office.get(f"/console/uses?from={day}&until={day}").text
    gone = office.get(f"/console/uses?from={day + timedelta(days=1)}").text
    assert f"/console/uses/{id}" in there
    assert f"/console/uses/{id}" not in gone
    assert WORDS["uses_empty"] in gone


def test_a_suggestion_for_one_that_was_set_aside_names_nobody(office: Office) -> None:
    """The list had suggested words for new ones only; what was set aside showed names again."""
    office.enter("hr")
    id, person = use_of(office, "a1"), office.agency.persons["a1"]
    named = update(persons).where(persons.c.id == person).values(name=POISON)
    office.run(lambda conn, now: conn.execute(named) and None)
    decide(office, id, "set_aside")

    html = office.get(f"/console/uses/{id}").text
    area = html.partition("<textarea")[2].partition("</textarea>")[0]
    assert POISON not in area
    assert office.edge.app.content.layout.unnamed["name"] in area


def test_refusals_are_in_the_language_of_the_visitor(office: Office) -> None:
    office.enter("hr", "en")
    id = use_of(office, "a1")
    answer = decide(office, id, "choose", "a@b.go.th")
    assert "Has an e-mail address" in answer.text
