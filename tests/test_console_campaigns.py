"""Campaigns in the console: written, checked, approved by another, followed, looked back on."""

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from bot.console import pages
from storage import campaigns as store
from storage import journal
from storage.models import (
    audit,
    campaign_log,
    campaign_units,
    campaigns,
    holdouts,
    occurrences,
    outbox,
    profiles,
)
from tests.offices import Office, forward
from tests.test_campaign_commands import soon

TH = pages.words("th")
NOBODY = 10**30
"""An id that no database could hold."""
FIELDS: dict[str, Any] = {
    "name_th": "ทดลอง", "name_en": "A try", "purpose": "encouragement",
    "title_th": "", "title_en": "", "text_th": "สวัสดี {name}", "text_en": "Hello {name}",
    "label_th": "ไปต่อ", "label_en": "Go on", "action": "go",
    "when": "once", "at_time": "10:00", "every": "week", "time": "", "day_of_month": "",
    "first": "", "until": "", "on_day_off": "next_working",
    "deadline": "", "deadline_in": "days", "share": ["", ""], "minutes": ["", ""], "holdout": "",
    "active_within": "", "inactive_for": "",
}  # fmt: skip


@pytest.fixture
def office(office: Office) -> Office:
    return reached(office)


def reached(office: Office) -> Office:
    """Everybody who learns there can be sent to."""
    everybody = update(profiles).values(welcomed=True, reachable=True, stopped=False)
    office.run(lambda conn, now: conn.execute(everybody).rowcount)
    return office


def fields(**changes: Any) -> dict[str, Any]:
    day, _, _ = soon().partition(" ")
    return {**FIELDS, "at_date": day, **changes}


def draft(office: Office, **changes: Any) -> int:
    """A new campaign of whoever is signed in, as the form has it."""
    made = office.send("/console/campaigns/new", template="")
    id = int(made.headers["location"].split("/")[3])
    kept = save(office, id, **changes)
    assert kept.status_code == 303, kept.text
    return id


def save(office: Office, id: int, **changes: Any) -> Any:
    sent = {"do": "save", "version": store.version_of(row(office, id)), **fields(**changes)}
    return office.send(f"/console/campaigns/{id}/edit", **sent)


def row(office: Office, id: int) -> Any:
    (found,) = office.edge.rows(select(campaigns).where(campaigns.c.id == id))
    return found


def checked(office: Office, **changes: Any) -> int:
    """One of hr's that another officer may approve, who is signed in now."""
    office.enter("hr")
    id = draft(office, do="check", **changes)
    assert row(office, id).status == "checked", office.get(f"/console/campaigns/{id}").text
    office.enter("approver")
    return id


def approve(office: Office, id: int, **changes: str) -> Any:
    sent = {"sure": "1", "hash": row(office, id).checked_hash} | changes
    return office.send(f"/console/campaigns/{id}/approve", **sent)


def did(office: Office, action: str) -> list[int | None]:
    return [each.by_id for each in office.edge.rows(select(audit)) if each.action == action]


# --- who may -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "status"), [("hr", 200), ("hr1", 200), ("approver", 200), ("privacy", 403),
                        ("admin", 403), ("ocsc", 403)],
)  # fmt: skip
def test_only_officers_who_send_may_open_it(office: Office, who: str, status: int) -> None:
    office.enter(who)
    for path in ("campaigns", "campaigns/new", "segments", "segments/new"):
        answer = office.get(f"/console/{path}")
        assert answer.status_code == status, path
        assert ('href="/console/campaigns"' in answer.text) is (status == 200)


@pytest.mark.parametrize("id", ["0", "-1", "7", "x", str(NOBODY), "ก"])
def test_what_is_not_there_is_not_found(office: Office, id: str) -> None:
    office.enter("hr")
    for path in ("", "/edit", "/names", "/outcome", "/news?state=x"):
        assert office.get(f"/console/campaigns/{id}{path}").status_code == 404
    for path in ("edit", "glance", "check", "approve", "do/pause", "do/cancel"):
        sent = {"sure": "1", **fields()}
        assert office.send(f"/console/campaigns/{id}/{path}", **sent).status_code == 404
    assert office.send("/console/campaigns/new", template="none").status_code == 404
    assert office.send("/console/campaigns/new", copy=id).status_code == 404


def test_an_officer_of_a_part_sends_to_that_part_alone(office: Office) -> None:
    office.enter("hr")
    all_ = draft(office, name_th="ของทุกคน")
    two = draft(office, name_th="ของกองสอง", units=["top / two"])
    office.enter("hr1")
    listed = office.get("/console/campaigns").text
    mine = draft(office, units=["top / one"])
    beyond = save(office, mine, units=["top / one", "top / two"])
    whole = save(office, mine)
    prefix = save(office, mine, units=["top / one2"])
    copied = office.send("/console/campaigns/new", template="awareness").headers["location"]

    assert "ของทุกคน" not in listed
    assert "ของกองสอง" not in listed
    assert office.get(f"/console/campaigns/{all_}").status_code == 404
    assert office.get(f"/console/campaigns/{two}/edit").status_code == 404
    assert {each.status_code for each in (beyond, whole, prefix)} == {422}
    assert "เกินขอบเขตหน่วยงาน" in whole.text
    assert journal.spec_of(row(office, mine)).segment.units == ("top / one",)
    made = journal.spec_of(row(office, int(copied.split("/")[3])))
    assert made.segment.units == ("top / one",)
    html = office.get(f"/console/campaigns/{mine}/edit").text
    assert "top / one" in html
    assert "top / two" not in html
    paths = {(each.campaign_id, each.path) for each in office.edge.rows(select(campaign_units))}
    assert (two, "top / two") in paths
    assert (mine, "top / one") in paths


def test_a_count_does_not_reach_beyond_the_viewer_s_part(office: Office) -> None:
    office.enter("hr1")
    id = draft(office, units=["top / one"])
    for units, many in (([], 2), (["top / two"], 0), (["top / one"], 2)):
        sent = {**fields(units=units), "version": "x"}
        seen = office.send(f"/console/campaigns/{id}/glance", **sent).text
        assert TH["campaign_gets_it"].format(n=many) in seen


def test_what_is_for_all_is_not_there_for_an_officer_of_a_part(office: Office) -> None:
    id = checked(office)
    hash_ = row(office, id).checked_hash
    office.enter("hr1")
    for path in ("approve", "check", "do/pause", "do/cancel"):
        answer = office.send(f"/console/campaigns/{id}/{path}", sure="1", hash=hash_)
        assert answer.status_code == 404
    assert row(office, id).status == "checked"


# --- writing -------------------------------------------------------------------------------


def test_a_draft_from_nothing_is_written_and_kept(office: Office) -> None:
    office.enter("hr")
    id = draft(
        office, title_th="หัว", title_en="Head", groups=["academic"], steps=["unfinished"],
        bands=["word=fair"], active_within="30", channels=["line"], languages=["th", "en"],
        share=["5", "12.5"], minutes=["30", "60"], holdout="10", deadline="48", deadline_in="hours",
    )  # fmt: skip
    spec = journal.spec_of(row(office, id))

    assert (spec.name.th, spec.message.title and spec.message.title.en) == ("ทดลอง", "Head")
    assert (spec.segment.groups, spec.segment.steps) == (("academic",), ("unfinished",))
    assert spec.segment.bands[0].area == "word"
    assert (spec.segment.active_within, spec.segment.inactive_for) == (30, None)
    assert [(wave.share, wave.minutes) for wave in spec.waves] == [(0.05, 30), (0.125, 60)]
    assert (spec.holdout, spec.deadline_hours, spec.deadline_days) == (0.1, 48, None)
    assert spec.schedule
    assert spec.schedule.at
    assert spec.schedule.at.hour == 10
    assert spec.schedule.at.year < 2400, "a year of the Buddhist era is read as one"
    html = office.get(f"/console/campaigns/{id}/edit").text
    assert 'value="word=fair" aria-label' in html
    assert 'name="share" value="12.5"' in html
    again = save(office, id, when="again", every="week", days=["mon", "wed"], time="09:30")
    assert again.status_code == 303
    made = journal.spec_of(row(office, id)).schedule
    assert made
    assert (made.days, str(made.time)) == (("mon", "wed"), "09:30:00")


def test_a_draft_may_be_unfinished_and_says_what_is_missing(office: Office) -> None:
    office.enter("hr")
    made = office.send("/console/campaigns/new", template="").headers["location"]
    fresh = office.get(made)
    id = int(made.split("/")[3])
    kept = save(office, id, label_th="", text_en="{name", steps=["know"], when="")
    html = office.get(f"/console/campaigns/{id}/edit").text

    assert "aria-invalid" not in fresh.text
    assert kept.status_code == 303
    assert 'aria-describedby="label_th-hint label_th-fault"' in html
    assert 'id="text_en-fault"' in html
    assert 'id="when-fault"' in html
    assert 'id="text_th-fault"' not in html


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"name_th": " "}, "name_th", "field_missing"),
    ({"name_th": "ก" * 201}, "name_th", "field_too_long"),
    ({"text_th": "ก" * 8001}, "text_th", "field_too_long"),
    ({"purpose": "spam"}, "purpose", "campaign_bad_choice"),
    ({"action": "lesson.none"}, "action", "campaign_bad_choice"),
    ({"groups": ["none"]}, "groups", "campaign_bad_choice"),
    ({"bands": ["word"]}, "bands", "campaign_bad_choice"),
    ({"active_within": "x"}, "active_within", "field_not_number"),
    ({"active_within": "nan"}, "active_within", "field_not_number"),
    ({"active_within": "1.5"}, "active_within", "field_not_number"),
    ({"inactive_for": "0"}, "inactive_for", "campaign_out_of_range"),
    ({"units": ["x" * 501]}, "units", "field_too_long"),
    ({"units": [f"u{n}" for n in range(500)]}, "units", "campaign_many_units"),
    ({"when": "never"}, "when", "campaign_bad_choice"),
    ({"at_date": "2569-02-30"}, "at_date", "field_not_date"),
    ({"at_date": "0001-01-01"}, "at_date", "field_not_date"),
    ({"at_date": "9999-12-31"}, "at_date", "field_not_date"),
    ({"at_date": ""}, "at_date", "field_missing"),
    ({"at_time": "25:00"}, "at_time", "campaign_bad_time"),
    ({"when": "again", "time": "09:00", "days": []}, "days", "field_missing"),
    ({"when": "again", "every": "month", "time": "09:00", "day_of_month": "32"},
     "day_of_month", "campaign_out_of_range"),
    ({"deadline": "91"}, "deadline", "campaign_out_of_range"),
    ({"deadline_in": "years"}, "deadline_in", "campaign_bad_choice"),
    ({"share": ["5"], "minutes": [""]}, "wave", "campaign_wave_half"),
    ({"share": ["500"], "minutes": ["5"]}, "wave", "campaign_out_of_range"),
    ({"holdout": "51"}, "holdout", "campaign_out_of_range"),
]  # fmt: skip


def test_what_makes_no_sense_is_explained_and_nothing_is_kept(office: Office) -> None:
    office.enter("hr")
    id = draft(office)
    before = row(office, id).spec
    for changes, field, word in BAD:
        answer = save(office, id, title_th="พิมพ์ไว้", **changes)
        begins = TH[word].partition("{")[0]
        assert answer.status_code == 422, changes
        assert f'id="{field}-fault">{begins}' in answer.text or begins in answer.text, changes
        assert "พิมพ์ไว้" in answer.text
    answer = save(
        office, id, name_th="a\0b" + "<script>alert(1)</script>", text_th="{{}}{0}{name!r}"
    )
    assert answer.status_code == 303
    assert "<script>alert" not in office.get(f"/console/campaigns/{id}/edit").text
    save(office, id)
    assert row(office, id).spec == before


def test_an_edit_makes_a_draft_of_what_was_checked(office: Office) -> None:
    id = checked(office)
    office.enter("hr")
    old = row(office, id).checked_hash
    save(office, id, text_th="อื่น")
    found = row(office, id)
    office.enter("approver")
    refused = approve(office, id, hash=old)

    assert (found.status, found.checked_hash) == ("draft", "")
    assert refused.status_code == 422
    assert row(office, id).status == "draft"
    assert did(office, "campaign_edited")[-1] == office.agency.persons["hr"]


def test_a_stale_edit_is_refused_and_what_was_typed_stays(office: Office) -> None:
    office.enter("hr")
    id = draft(office)
    old = store.version_of(row(office, id))
    save(office, id, name_th="ของคนแรก")
    refused = save(office, id, version=old, name_th="ของคนที่สอง")
    kept = row(office, id)

    assert refused.status_code == 422
    assert TH["changed_meanwhile"] in refused.text
    assert "ของคนที่สอง" in refused.text
    assert f'name="version" value="{store.version_of(kept)}"' in refused.text
    assert kept.name == "ของคนแรก"
    bad = save(office, id, version=old, holdout="x")
    assert f'name="version" value="{old}"' in bad.text, "a fault does not make it fresh"


def test_what_was_approved_is_not_edited(office: Office) -> None:
    id = checked(office)
    assert approve(office, id).status_code == 303
    office.enter("hr")
    assert office.get(f"/console/campaigns/{id}/names").status_code == 303, "that is over"
    assert office.get(f"/console/campaigns/{id}/edit").headers["location"].endswith(f"/{id}")
    before = row(office, id)
    assert save(office, id, name_th="อื่น").headers["location"].endswith(f"/{id}")
    assert row(office, id) == before


def test_the_preview_is_what_the_channels_make_of_it(office: Office) -> None:
    office.enter("hr")
    id = draft(office)
    typed = fields(title_th="หัวเรื่อง", title_en="Head", text_th="<b>เรียน</b> {name}")
    seen = office.send(f"/console/campaigns/{id}/glance", **typed).text
    look = office.send(f"/console/campaigns/{id}/edit", do="look", version="x", **typed)

    assert "<strong>หัวเรื่อง</strong>&lt;b&gt;เรียน&lt;/b&gt; สมใจ ตั้งใจดี" in seen, "LINE: a card"
    assert '<div class="bubble">หัวเรื่อง\n&lt;b&gt;' in seen, "Telegram: its first line"
    assert "<html" not in seen
    assert seen.count('class="key"') == 4
    assert look.status_code == 200
    assert "<strong>หัวเรื่อง</strong>" in look.text
    assert journal.spec_of(row(office, id)).message.title is None, "nothing was kept"
    year = soon()[:4]
    assert f"{year} 10:00" in seen
    assert "2026" not in seen


def test_the_count_tells_who_is_left_out_and_why(office: Office) -> None:
    office.enter("hr")
    id = draft(office)
    first = office.agency.learners["a1"]
    stop = update(profiles).where(profiles.c.learner_id == first).values(stopped=True)
    office.run(lambda conn, now: conn.execute(stop).rowcount)
    seen = office.send(f"/console/campaigns/{id}/glance", **fields()).text
    bad = office.send(f"/console/campaigns/{id}/glance", **fields(holdout="x")).text

    assert TH["campaign_gets_it"].format(n=2) in seen
    assert "ขอหยุดรับข้อความ" in seen
    assert TH["campaign_unread"] in bad
    assert TH["field_not_number"] in bad


# --- checking and approving ----------------------------------------------------------------


def test_two_officers_send_a_campaign(office: Office) -> None:
    id = checked(office, share=["50", ""], minutes=["30", ""])
    html = office.get(f"/console/campaigns/{id}").text
    done = approve(office, id)
    sent = office.edge.rows(select(outbox).where(outbox.c.occurrence_id.is_not(None)))

    assert TH["campaign_gets_it"].format(n=3) in html
    assert TH["campaign_bound_once"] in html
    assert "LINE" in html
    assert done.status_code == 303
    assert len(sent) == 3
    assert row(office, id).approver_id == office.agency.persons["approver"]
    assert did(office, "campaign_approved") == [office.agency.persons["approver"]]
    assert did(office, "campaign_drafted") == [office.agency.persons["hr"]]
    after = office.get(f"/console/campaigns/{id}").text
    assert f'data-follow="/console/campaigns/{id}/news?state=waiting"' in after
    assert "Name-approver" in after


def test_the_overview_tells_what_waits_for_whom(office: Office) -> None:
    checked(office)
    waits = TH["waits_campaign_checked"].format(n=1)
    assert waits in office.get("/console/").text
    office.enter("hr1")
    assert waits not in office.get("/console/").text


def test_nobody_approves_what_they_wrote_or_edited(office: Office) -> None:
    id = checked(office)
    save(office, id, text_th="แก้โดยผู้อนุมัติ {name}", do="check")
    own = approve(office, id)
    office.enter("hr")
    first = approve(office, id)

    for refused in (own, first):
        assert refused.status_code == 422
        assert "ผู้ร่างอนุมัติแคมเปญของตนเองไม่ได้" in refused.text
        assert TH["campaign_own"] in refused.text
    assert row(office, id).status == "checked"


def test_an_approval_is_bound_to_what_was_seen_and_wants_a_tick_and_proof(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = checked(office)
    unsure = approve(office, id, sure="")
    other = approve(office, id, hash="f" * 64)
    none = approve(office, id, hash="")
    leave = update(profiles).where(profiles.c.learner_id == office.agency.learners["a2"])
    office.run(lambda conn, now: conn.execute(leave.values(stopped=True)).rowcount)
    moved = approve(office, id)
    page = office.get(f"/console/campaigns/{id}").text
    forward(office, monkeypatch, minutes=6)
    unproved = approve(office, id)

    assert {each.status_code for each in (unsure, other, none, moved)} == {422}
    assert TH["campaign_not_sure"] in unsure.text
    assert "เดิม 3 คน ตอนนี้ 2 คน" in moved.text
    assert TH["campaign_moved"] in page
    assert unproved.headers["location"] == f"/console/prove?next=%2Fconsole%2Fcampaigns%2F{id}"
    assert row(office, id).status == "checked"
    assert office.edge.rows(select(occurrences)) == []


def test_a_check_names_what_must_be_mended(office: Office) -> None:
    office.enter("hr")
    id = draft(office, do="check", steps=["done"], when="")
    html = office.get(f"/console/campaigns/{id}").text
    english = office.enter("hr", "en")

    assert english is None
    assert row(office, id).status == "draft"
    assert "ยังไม่ได้บอกเวลาส่ง" in html
    assert f'action="/console/campaigns/{id}/check"' in html
    assert TH["campaign_own"] not in html
    assert "choose one time, or a round" in office.get(f"/console/campaigns/{id}").text


def test_names_want_the_right_and_proof_and_are_written_down(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = checked(office)
    assert office.get(f"/console/campaigns/{id}/names").status_code == 403
    office.enter("hr")
    path = f"/console/campaigns/{id}/names"
    html = office.get(path).text
    assert "Name-a1" in html
    assert "Name-a2" in html
    for after in ("x", "-1", str(NOBODY), "99999"):
        assert office.get(f"{path}?after={after}").status_code == 200
    assert did(office, "recipients_seen")[0] == office.agency.persons["hr"]
    office.enter("hr1")
    mine = draft(office, do="check", units=["top / one"])
    html = office.get(f"/console/campaigns/{mine}/names").text
    assert "Name-a1" in html
    assert "Name-a2" not in html
    forward(office, monkeypatch, minutes=6)
    assert "/console/prove" in office.get(f"/console/campaigns/{mine}/names").headers["location"]


# --- while it goes, and after --------------------------------------------------------------


def test_pausing_going_on_and_cancelling_say_who_did_it(office: Office) -> None:
    id = checked(office)
    approve(office, id)
    for do, state in (("pause", "paused"), ("resume", "waiting")):
        assert office.send(f"/console/campaigns/{id}/do/{do}").status_code == 303
        assert TH["campaign_state_" + state] in office.get(f"/console/campaigns/{id}").text
    again = office.send(f"/console/campaigns/{id}/do/resume")
    unsure = office.send(f"/console/campaigns/{id}/do/cancel")
    assert (again.status_code, unsure.status_code) == (422, 422)
    assert TH["campaign_not_sure"] in unsure.text
    assert row(office, id).status == "approved"
    office.send(f"/console/campaigns/{id}/do/cancel", sure="1")
    assert row(office, id).status == "cancelled"
    assert office.send(f"/console/campaigns/{id}/do/none").status_code == 404
    who = office.agency.persons["approver"]
    for action in ("paused", "resumed", "cancelled"):
        assert did(office, f"campaign_{action}") == [who]
        logged = select(campaign_log.c.by_id).where(
            campaign_log.c.what == action, campaign_log.c.by_id.is_not(None)
        )
        assert [each.by_id for each in office.edge.rows(logged)] == [who]


def test_late_and_uncertain_ones_wait_for_an_officer(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = checked(office)
    approve(office, id)
    late = update(occurrences).values(status="held", reason="late")
    office.run(lambda conn, now: conn.execute(late).rowcount)
    html = office.get(f"/console/campaigns/{id}").text
    assert TH["campaign_reason_late"] in html
    assert office.send(f"/console/campaigns/{id}/do/release").status_code == 422
    assert office.send(f"/console/campaigns/{id}/do/release", sure="1").status_code == 303
    assert office.send(f"/console/campaigns/{id}/do/skip").status_code == 422, "nothing is late"
    lost = update(outbox).where(outbox.c.occurrence_id.is_not(None))
    office.run(lambda conn, now: conn.execute(lost.values(status="uncertain")).rowcount)
    assert TH["campaign_act_resend"] in office.get(f"/console/campaigns/{id}").text
    forward(office, monkeypatch, minutes=6)
    away = office.send(f"/console/campaigns/{id}/do/resend", sure="1")
    assert "/console/prove" in away.headers["location"]


def test_news_tell_how_it_stands_until_it_stands_otherwise(office: Office) -> None:
    id = checked(office, share=["50", ""], minutes=["30", ""])
    approve(office, id)
    ended = update(outbox).where(outbox.c.occurrence_id.is_not(None))

    def end(conn: Any, now: datetime) -> None:
        conn.execute(ended.values(status="accepted", ended_at=now))

    office.run(end)
    answer = office.get(f"/console/campaigns/{id}/news?state=draft")
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = answer.text
    assert '"over_rows":3' in told
    assert '"accepted":"3"' in told
    assert '"over":true' in told
    assert '"wave1_size"' in told


def test_the_outcome_in_words_and_bars(office: Office) -> None:
    id = checked(office)
    office.enter("hr")
    assert TH["campaign_outcome_empty"] in office.get(f"/console/campaigns/{id}/outcome").text
    office.enter("approver")
    approve(office, id)

    def happen(conn: Any, now: datetime) -> None:
        (sent,) = conn.execute(select(occurrences.c.id)).scalars()
        mine = update(outbox).where(outbox.c.occurrence_id == sent)
        conn.execute(mine.values(status="accepted", ended_at=now))
        one = mine.where(outbox.c.learner_id == office.agency.learners["a2"])
        conn.execute(one.values(status="failed", reason="blocked"))
        held = {"occurrence_id": sent, "learner_id": office.agency.learners["b1"]}
        conn.execute(insert(holdouts).values(held))

    office.run(happen)
    html = office.get(f"/console/campaigns/{id}/outcome").text
    assert html.count('<svg class="bar') >= 6
    assert '<td class="number">66.7</td>' in html
    assert "ผู้รับบล็อก" in html
    assert TH["campaign_verdict_chance"] in html
    assert "ช่วงความเชื่อมั่น 95%" in html


# --- the list ------------------------------------------------------------------------------


def test_the_list_is_filtered_sorted_and_turned(office: Office) -> None:
    office.enter("hr")
    assert TH["campaigns_empty"] in office.get("/console/campaigns").text
    for name in ("ข", "ก"):
        draft(office, name_th=name)
    empty = office.get("/console/campaigns?state=done").text
    up = office.get("/console/campaigns?sort=name&state=draft").text
    down = office.get("/console/campaigns?sort=-name").text
    for query in ("?sort=spec", "?state=none", "?page=99", f"?page={NOBODY}"):
        assert office.get("/console/campaigns" + query).status_code == 200
    assert TH["campaigns_none"] in empty
    assert up.index(">ก<") < up.index(">ข<")
    assert down.index(">ข<") < down.index(">ก<")
