"""Segments in the console: counted at once, kept under a name, used in campaigns."""

from typing import Any

import pytest
from sqlalchemy import select, update

from bot.console import pages
from content.schema import Segment
from storage import journal, named
from storage.models import audit, campaigns, profiles, segment_units, segments
from tests.offices import Office
from tests.test_console_campaigns import NOBODY, draft, fields, reached

TH = pages.words("th")


@pytest.fixture
def office(office: Office) -> Office:
    return reached(office)


def keep(office: Office, path: str = "new", **changes: Any) -> Any:
    sent = {"do": "save", "version": "0", "title": "เงียบไป", "inactive_for": "30"}
    sent |= {"active_within": "", **changes}
    return office.send(f"/console/segments/{path}", **sent)


def kept(office: Office) -> list[Any]:
    return office.edge.rows(select(segments).order_by(segments.c.id))


def test_a_segment_is_counted_kept_changed_and_removed(office: Office) -> None:
    office.enter("hr")
    assert TH["segments_empty"] in office.get("/console/segments").text
    looked = keep(office, do="look", inactive_for="", channels=["line"])
    assert TH["campaign_gets_it"].format(n=3) in looked.text
    assert kept(office) == []
    assert keep(office).status_code == 303
    (made,) = kept(office)
    listed = office.get("/console/segments?sort=-changed").text
    assert "เงียบไป" in listed
    assert "ไม่ได้เข้ามาใช้ 30 วันขึ้นไป" in listed
    changed = keep(office, str(made.id), version="1", title="ใหม่", groups=["academic"])
    assert changed.status_code == 303
    (after,) = kept(office)
    assert (after.name, after.version) == ("ใหม่", 2)
    assert named.segment_of(after) == Segment(groups=("academic",), inactive_for=30)
    unsure = office.send(f"/console/segments/{made.id}/remove")
    assert unsure.status_code == 422
    assert office.send(f"/console/segments/{made.id}/remove", sure="1").status_code == 303
    assert kept(office) == []
    noted = [each.action for each in office.edge.rows(select(audit))]
    assert {"segment_kept", "segment_changed", "segment_removed"} <= set(noted)


def test_bad_input_is_explained_and_nothing_is_kept(office: Office) -> None:
    office.enter("hr")
    keep(office)
    for changes, said in (
        ({"title": " "}, "ยังไม่มีชื่อ"),
        ({"title": "ก" * 101}, "ไม่เกิน 100"),
        ({"title": "เงียบไป"}, "มีกลุ่มอื่นใช้ชื่อนี้แล้ว"),
        ({"inactive_for": "x"}, TH["field_not_number"]),
        ({"active_within": "3"}, "พร้อมกัน"),
        ({"units": ["ไม่มี"]}, "ไม่มีหน่วยงานชื่อ"),
        ({"channels": ["fax"]}, TH["campaign_bad_choice"]),
    ):
        answer = keep(office, **({"title": "อีกกลุ่ม"} | changes))
        assert answer.status_code == 422, changes
        assert said in answer.text, changes
    assert len(kept(office)) == 1
    for id in ("0", "x", "99", str(NOBODY)):
        assert office.get(f"/console/segments/{id}").status_code == 404
        assert keep(office, id).status_code == 404
        assert office.send(f"/console/segments/{id}/remove", sure="1").status_code == 404


def test_a_stale_change_is_refused_and_what_was_typed_stays(office: Office) -> None:
    office.enter("hr")
    keep(office)
    (made,) = kept(office)
    keep(office, str(made.id), version="1", title="ของคนแรก")
    refused = keep(office, str(made.id), version="1", title="ของคนที่สอง")
    assert refused.status_code == 422
    assert TH["changed_meanwhile"] in refused.text
    assert "ของคนที่สอง" in refused.text
    assert 'name="version" value="2"' in refused.text
    assert [each.name for each in kept(office)] == ["ของคนแรก"]
    faulty = keep(office, str(made.id), version="1", inactive_for="x")
    assert 'name="version" value="1"' in faulty.text


def test_an_officer_of_a_part_uses_what_is_for_all_and_keeps_only_their_own(
    office: Office,
) -> None:
    office.enter("hr")
    keep(office, title="ทั่วไป", inactive_for="")
    keep(office, title="กองสอง", units=["top / two"])
    office.enter("hr1")
    general, two = (each.id for each in kept(office))
    listed = office.get("/console/segments").text
    mine = keep(office, title="กองหนึ่ง", units=["top / one"])
    page = office.get(f"/console/segments/{general}").text

    assert "ทั่วไป" in listed
    assert "กองสอง" not in listed
    assert mine.status_code == 303
    assert office.get(f"/console/segments/{two}").status_code == 404
    assert TH["segment_not_yours"] in page
    assert TH["campaign_gets_it"].format(n=2) in page, "of their own part"
    for beyond in (["top / two"], [], ["top"]):
        assert keep(office, title="เกิน", units=beyond).status_code == 422
    assert keep(office, str(general), version="1", units=["top / one"]).status_code == 422
    assert office.send(f"/console/segments/{general}/remove", sure="1").status_code == 422
    assert len(kept(office)) == 3
    paths = [each.path for each in office.edge.rows(select(segment_units))]
    assert sorted(paths) == ["top / one", "top / two"]


def test_a_kept_segment_fills_the_form_of_a_campaign(office: Office) -> None:
    office.enter("hr")
    keep(office, title="ทั่วไป", groups=["academic"])
    (made,) = kept(office)
    office.enter("hr1")
    id = draft(office, units=["top / one"])
    sent = {**fields(groups=["others"]), "do": "fill", "version": "x", "named": str(made.id)}
    filled = office.send(f"/console/campaigns/{id}/edit", **sent)
    none = office.send(f"/console/campaigns/{id}/edit", **{**sent, "named": str(NOBODY)})

    assert filled.status_code == 200
    assert 'name="groups" value="academic" checked' in filled.text
    assert 'name="groups" value="others" checked' not in filled.text
    assert 'name="units" value="top / one" checked' in filled.text, "narrowed to their own"
    assert 'name="inactive_for" type="text" value="30"' in filled.text
    assert none.status_code == 422
    (row,) = office.edge.rows(select(campaigns))
    assert journal.spec_of(row).segment.groups == (), "not kept before it is saved"


def test_guests_are_nobody_s_part(office: Office) -> None:
    """Whoever is on no roster is counted for officers of the whole agency alone."""
    guest = update(profiles).where(profiles.c.learner_id == office.agency.learners["a1"])
    office.run(lambda conn, now: conn.execute(guest.values(person_id=None, unit_id=None)).rowcount)
    for who, many in (("hr", 3), ("hr1", 1)):
        office.enter(who)
        page = keep(office, do="look", inactive_for="").text
        assert TH["campaign_gets_it"].format(n=many) in page
