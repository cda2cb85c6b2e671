"""Requests about personal data in the console: their clocks, their answers, copies, erasure."""

import io
import json
import zipfile
from typing import Any

import pytest
from sqlalchemy import select, update

from bot.console import pages
from storage import roster, wishes
from storage.models import audit, learners, persons, timers
from storage.models import wishes as table
from tests.agency import POISON
from tests.offices import Office, forward

WORDS = pages.words("th")


def wish(office: Office, who: str, kind: Any = "correct", text: str = "ชื่อสะกดผิด") -> int:
    """Somebody asks in the chat; the number of their wish."""
    learner = office.agency.learners[who]
    detail = {"text": text, "message": "m"}
    office.run(lambda conn, now: wishes.make(conn, learner, kind, detail, now))
    return int(office.edge.rows(select(table.c.id).order_by(table.c.id))[-1].id)


def row(office: Office, id: int) -> Any:
    return office.edge.rows(select(table).where(table.c.id == id))[0]


def part(office: Office) -> None:
    """Somebody answers for personal data of the first division only."""
    person, unit = office.agency.persons["b2"], office.agency.units["one"]
    office.run(lambda conn, now: roster.grant(conn, person, "privacy", now, unit))


@pytest.mark.parametrize(
    ("who", "status"), [("privacy", 200), ("hr", 403), ("admin", 403), ("approver", 403)]
)
def test_only_who_answers_for_privacy_comes_in(office: Office, who: str, status: int) -> None:
    id = wish(office, "a1")
    office.enter(who)
    for path in ("wishes", f"wishes/{id}", "wishes/person", "wishes/person?who=HR-a1"):
        assert office.get("/console/" + path).status_code == status, path


def test_a_request_shows_its_clock_in_words(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = wish(office, "a1")
    office.enter("privacy")
    fresh = office.get("/console/wishes").text
    assert "Name-a1 (HR-a1)" in fresh
    assert WORDS["wishes_days"].format(n=30) in fresh
    assert f'href="/console/wishes/{id}"' in fresh
    assert "ชื่อสะกดผิด" in office.get(f"/console/wishes/{id}").text

    forward(office, monkeypatch, days=33)
    office.enter("privacy")
    late = office.get("/console/wishes").text
    assert f'<span class="mark">{WORDS["wishes_overdue"].format(n=3)}</span>' in late
    assert WORDS["wishes_overdue"].format(n=3) in office.get(f"/console/wishes/{id}").text


@pytest.mark.parametrize("how", ["done", "refused"])
def test_an_answer_is_kept_and_told_to_who_asked(office: Office, how: str) -> None:
    id = wish(office, "a1")
    office.enter("privacy")

    answer = office.send(f"/console/wishes/{id}", how=how, reason=" ตรวจกับทะเบียนแล้ว ")

    assert (answer.status_code, answer.headers["location"]) == (303, "/console/wishes")
    kept = row(office, id)
    assert (kept.ended_as, kept.reason) == (how, "ตรวจกับทะเบียนแล้ว")
    assert kept.by_id == office.agency.persons["privacy"]
    (told,) = office.edge.rows(select(timers).where(timers.c.kind == "wish_ended"))
    assert "ตรวจกับทะเบียนแล้ว" in told.data
    assert f"/console/wishes/{id}" not in office.get("/console/wishes").text
    ended = office.get("/console/wishes?state=ended").text
    assert WORDS["wish_ended_" + how] in ended
    shown = office.get(f"/console/wishes/{id}").text
    assert "ตรวจกับทะเบียนแล้ว" in shown
    assert "HR-privacy" in shown


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"how": "refused", "reason": "  "}, "reason"),
        ({"how": "done", "reason": "ก" * 1001}, "reason"),
        ({"how": "", "reason": "เก็บไว้"}, "how"),
        ({"how": "undone", "reason": "เก็บไว้"}, "how"),
        ({"reason": "เก็บไว้"}, "how"),
    ],
)
def test_an_answer_that_will_not_do_changes_nothing(
    office: Office, fields: dict[str, str], field: str
) -> None:
    id = wish(office, "a1")
    office.enter("privacy")
    answer = office.send(f"/console/wishes/{id}", **fields)

    assert answer.status_code == 422
    assert f'id="{field}-fault"' in answer.text
    assert fields["reason"].strip() in answer.text
    assert row(office, id).ended_at is None


def test_who_answers_second_is_told_and_keeps_the_words(office: Office) -> None:
    id = wish(office, "a1")
    office.enter("privacy")
    office.send(f"/console/wishes/{id}", how="done", reason="คนแรก")
    answer = office.send(f"/console/wishes/{id}", how="refused", reason="คนที่สอง")

    assert answer.status_code == 422
    assert WORDS["changed_meanwhile"] in answer.text
    assert "คนที่สอง" in answer.text
    assert row(office, id).reason == "คนแรก"


def test_erasure_is_not_answered_by_hand(office: Office) -> None:
    id = wish(office, "a1", "erase")
    office.enter("privacy")
    assert WORDS["wish_erase_note"] in office.get(f"/console/wishes/{id}").text
    assert office.send(f"/console/wishes/{id}", how="refused", reason="x").status_code == 422
    assert row(office, id).ended_at is None


def test_an_officer_of_a_part_has_that_part(either: Office) -> None:
    office = either
    part(office)
    mine, other = wish(office, "a1"), wish(office, "a2", text=POISON)
    office.enter("b2")

    assert WORDS["waits_wishes"].format(n=1) in office.get("/console/").text
    listed = office.get("/console/wishes?state=all").text
    assert f"/console/wishes/{mine}" in listed
    said = listed.partition("<main")[2]  # above it stand nonces, in which anything may
    assert "a1" in said
    assert "a2" not in said
    assert "top / two" not in listed
    assert office.get(f"/console/wishes/{other}").status_code == 404
    assert office.send(f"/console/wishes/{other}", how="done").status_code == 404
    assert row(office, other).ended_at is None
    for who in ("HR-a2", "HR-none"):
        looked = office.get("/console/wishes/person?who=" + who)
        assert looked.status_code == 422
        assert "Name-a2" not in looked.text
        assert office.send("/console/wishes/person/copy", who=who).status_code == 422
        assert office.send("/console/wishes/person/erase", who=who, sure="1").status_code == 422
    assert office.edge.rows(select(persons.c.id).where(persons.c.hr_id == "HR-a2"))
    assert office.send(f"/console/wishes/{mine}", how="done").status_code == 303


def test_guests_are_for_who_answers_for_the_whole_agency(office: Office) -> None:
    id = wish(office, "b1")
    guest = update(table).values(person_id=None)
    office.run(lambda conn, now: conn.execute(guest) and None)
    part(office)
    office.enter("b2")
    assert office.get(f"/console/wishes/{id}").status_code == 404
    assert office.send(f"/console/wishes/{id}", how="done").status_code == 404
    office.enter("privacy")
    assert f"/console/wishes/{id}" in office.get("/console/wishes").text
    assert office.send(f"/console/wishes/{id}", how="done").status_code == 303


@pytest.mark.parametrize(
    "query", ["?state=lost&kind=none&sort=x", "?state=ended&kind=access", "?page=9&sort=-unit",
              "?state=all&sort=ended"]
)  # fmt: skip
def test_any_address_shows_a_page(office: Office, query: str) -> None:
    wish(office, "a1")
    office.enter("privacy")
    assert office.get("/console/wishes" + query).status_code == 200


def test_what_is_not_there_is_not_found(office: Office) -> None:
    office.enter("privacy")
    for id in ("0", "x", "9" * 30):
        assert office.get(f"/console/wishes/{id}").status_code == 404
        assert office.send(f"/console/wishes/{id}", how="done").status_code == 404
    assert WORDS["wishes_empty"] in office.get("/console/wishes").text


# --- a person ----------------------------------------------------------------------------


def test_a_copy_is_taken_along_and_noted(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.enter("privacy")
    answer = office.send("/console/wishes/person/copy", who="HR-a1")

    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''kaona-")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        made = json.loads(archive.read("my-data.json"))
    assert made["tables"]["persons"][0]["hr_id"] == "HR-a1"
    noted = [row for row in office.edge.rows(select(audit)) if row.action == "export_person"]
    assert [row.by_id for row in noted] == [office.agency.persons["privacy"]]
    looked = office.get("/console/wishes/person?who=HR-a1").text
    assert WORDS["act_export_person"] in looked
    assert "HR-privacy" in looked
    forward(office, monkeypatch, minutes=6)
    asked = office.send("/console/wishes/person/copy", who="HR-a1")
    assert asked.headers["location"].startswith("/console/prove")


def test_somebody_is_erased_after_it_was_confirmed(office: Office) -> None:
    office.enter("privacy")
    assert "Name-a1" in office.get("/console/wishes/person?who=HR-a1").text
    unsure = office.send("/console/wishes/person/erase", who="HR-a1")
    assert unsure.status_code == 422
    assert WORDS["wishes_erase_unsure"] in unsure.text
    own = office.send("/console/wishes/person/erase", who="HR-privacy", sure="1")
    assert own.status_code == 422
    ids = {row.hr_id for row in office.edge.rows(select(persons.c.hr_id))}
    assert {"HR-a1", "HR-privacy"} <= ids

    done = office.send("/console/wishes/person/erase", who="HR-a1", sure="1")

    assert (done.status_code, done.headers["location"]) == (303, "/console/wishes")
    assert "HR-a1" not in {row.hr_id for row in office.edge.rows(select(persons.c.hr_id))}
    gone = select(learners.c.id).where(learners.c.id == office.agency.learners["a1"])
    assert office.edge.rows(gone) == []
    assert office.get("/console/wishes/person?who=HR-a1").status_code == 422


def test_erasing_takes_the_password(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.enter("privacy")
    forward(office, monkeypatch, minutes=6)
    asked = office.send("/console/wishes/person/erase", who="HR-a1", sure="1")
    assert asked.headers["location"].startswith("/console/prove")
    assert "HR-a1" in {row.hr_id for row in office.edge.rows(select(persons.c.hr_id))}


@pytest.mark.parametrize("who", ["", "%00", "ก" * 1500, "' or 1=1"])
def test_nobody_is_found_by_nonsense(office: Office, who: str) -> None:
    office.enter("privacy")
    asked = "/console/wishes/person?who=" + who
    assert office.get(asked).status_code == (422 if who.strip("%0") else 200)
    assert office.send("/console/wishes/person/copy", who=who).status_code in (200, 422)
