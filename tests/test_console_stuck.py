"""What got stuck, in the console: failed events and messages of unknown fate, nobody's words."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from bot.console import pages
from content.schema import Content
from flows.types import Said
from storage import campaigns as drafts
from storage import outcomes
from storage.models import audit, campaigns, occurrences, outbox, parked
from storage.wire import Incoming
from tests.agency import POISON
from tests.offices import Office, forward

WORDS = pages.words("th")


def fail(office: Office, monkeypatch: pytest.MonkeyPatch, *events: str) -> list[int]:
    """Events of a1 whose turn fails; the numbers that they are parked under."""
    app, now = office.edge.app, office.edge.app.clock()
    made = [Incoming("line", "", each, "Ua1", Said(POISON, each, now), now) for each in events]

    def broken(*_: Any) -> Any:
        raise KeyError(POISON)

    with monkeypatch.context() as patch:
        patch.setattr("storage.turns.handle", broken)
        office.edge.client.portal.call(app.dispatcher.submit, made)  # type: ignore[union-attr]
    return [row.id for row in office.edge.rows(select(parked.c.id).order_by(parked.c.id))]


def ends(office: Office) -> list[str | None]:
    query = select(parked.c.ended_as).order_by(parked.c.id)
    return [row.ended_as for row in office.edge.rows(query)]


def acts(office: Office, begun: str) -> list[Any]:
    return [row for row in office.edge.rows(select(audit)) if row.action.startswith(begun)]


@pytest.mark.parametrize(
    ("who", "status"), [("admin", 200), ("hr", 403), ("privacy", 403), ("approver", 403)]
)
def test_whoever_runs_the_system_comes_in(office: Office, who: str, status: int) -> None:
    office.enter(who)
    answer = office.get("/console/stuck")
    assert answer.status_code == status
    if status == 200:
        assert WORDS["stuck_events_empty"] in answer.text
        assert WORDS["stuck_sends_empty"] in answer.text


# --- events ------------------------------------------------------------------------------


def test_events_are_shown_without_what_was_said(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fail(office, monkeypatch, "e1", "e2")
    office.enter("admin")
    html = office.get("/console/stuck?sort=-error").text

    assert "KeyError" in html
    assert "test_console_stuck.py" in html, "where it happened"
    assert str(pytest.__file__) not in html
    assert POISON not in html
    assert "Ua1" not in html
    assert "Name-a1" not in html
    assert all(f'name="id" value="{id}"' in html for id in ids)
    assert WORDS["waits_parked"].format(n=2) in office.get("/console/").text


def test_many_get_another_turn_at_once(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = fail(office, monkeypatch, "e1", "e2", "e3")
    office.enter("admin")

    answer = office.send("/console/stuck", id=[str(id) for id in ids[:2]], do="replay")

    assert (answer.status_code, answer.headers["location"]) == (303, "/console/stuck")
    assert ends(office) == ["replayed", "replayed", None]
    noted = acts(office, "parked_")
    assert [(row.action, row.target) for row in noted] == [
        ("parked_replayed", f"parked:{id}") for id in ids[:2]
    ]
    assert {row.by_id for row in noted} == {office.agency.persons["admin"]}
    assert WORDS["stuck_done_replay"].format(n=2) in office.get("/console/stuck").text


def test_what_fails_once_more_is_said(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    (id,) = fail(office, monkeypatch, "e1")
    office.enter("admin")

    def broken(*_: Any) -> Any:
        raise KeyError(POISON)

    with monkeypatch.context() as patch:
        patch.setattr("storage.turns.handle", broken)
        office.send("/console/stuck", id=str(id), do="replay")
    html = office.get("/console/stuck").text
    assert WORDS["stuck_again"].format(n=1) in html
    assert ends(office) == ["replayed", None]


def test_letting_go_is_confirmed_first(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    (id,) = fail(office, monkeypatch, "e1")
    office.enter("admin")
    unsure = office.send("/console/stuck", id=str(id), do="discard")
    assert unsure.status_code == 422
    assert WORDS["stuck_unsure"] in unsure.text
    assert f'value="{id}" checked' in unsure.text
    assert ends(office) == [None]

    office.send("/console/stuck", id=str(id), do="discard", sure="1")
    assert ends(office) == ["discarded"]
    assert [row.by_id for row in acts(office, "parked_")] == [office.agency.persons["admin"]]
    office.send("/console/stuck", id=str(id), do="discard", sure="1")
    assert WORDS["stuck_not"].format(n=1) in office.get("/console/stuck").text
    assert len(acts(office, "parked_")) == 1


@pytest.mark.parametrize("id", ["", "x", "-1", "9" * 40, "0"])
def test_what_names_no_event_does_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch, id: str
) -> None:
    fail(office, monkeypatch, "e1")
    office.enter("admin")
    answer = office.send("/console/stuck", id=id, do="replay")
    assert answer.status_code == 422
    assert WORDS["stuck_none_ticked"] in answer.text
    assert office.send("/console/stuck", id="1", do="burn").status_code == 400
    assert ends(office) == [None]


def test_what_another_version_wrote_is_no_bug(office: Office) -> None:
    """Trying again what cannot be decoded was an error of the server."""
    row = {"channel": "line", "bot": "b", "event_id": "e", "address": "Ua1", "event": "{}"}
    row |= {"error": "KeyError at x.py:1", "at": office.edge.app.clock()}
    office.run(lambda conn, now: conn.execute(insert(parked).values(row)) and None)
    office.enter("admin")
    assert office.send("/console/stuck", id="1", do="replay").status_code == 303
    assert WORDS["stuck_not"].format(n=1) in office.get("/console/stuck").text
    assert ends(office) == [None]


def test_what_cannot_be_read_is_marked_and_only_let_go(office: Office) -> None:
    row = {"channel": "line", "bot": "", "event_id": "", "address": "", "event": POISON}
    row |= {"error": "unreadable: bad shape", "at": office.edge.app.clock()}
    office.run(lambda conn, now: conn.execute(insert(parked).values(row)) and None)
    office.enter("admin")
    html = office.get("/console/stuck").text
    assert WORDS["stuck_unreadable"] in html
    assert POISON not in html
    office.send("/console/stuck", id="1", do="replay")
    assert ends(office) == [None]


# --- messages of unknown fate ------------------------------------------------------------


def doubt(office: Office, content: Content, status: str = "done") -> int:
    """A campaign with rows on LINE and Telegram that may have arrived, and a lost answer."""
    spec = content.campaigns[0]
    now = office.edge.app.clock()

    def work(conn: Any, at: Any) -> int:
        id = drafts.draft(conn, spec, "HR-hr", now)
        conn.execute(update(campaigns).where(campaigns.c.id == id).values(status=status))
        sending = {"campaign_id": id, "due": now, "status": "done", "size": 3}
        made = insert(occurrences).values(sending | {"created_at": now})
        number = conn.execute(made.returning(occurrences.c.id)).scalar_one()
        for who, channel, its in (("a1", "line", number), ("b1", "line", number),
                                  ("a2", "telegram", number), ("a1", "line", None)):  # fmt: skip
            learner = office.agency.learners[who]
            row = {"key": f"{its}:{who}", "learner_id": learner, "channel": channel}
            row |= {"address": "U" + who, "lane": "campaign" if its else "reply", "payload": "{}"}
            row |= {"created_at": now, "due": now, "deadline": now + timedelta(days=9)}
            row |= {"status": "uncertain", "doubtful": True, "ended_at": now}
            row |= {"occurrence_id": its, "purpose": "due" if its else "reply"}
            conn.execute(insert(outbox).values(row))
        return id

    return office.run(work)


def settled(office: Office) -> dict[str, str]:
    query = select(outbox.c.key, outbox.c.settled).where(outbox.c.status == "uncertain")
    return {row.key: row.settled for row in office.edge.rows(query)}


def last(office: Office) -> int:
    query = select(outbox.c.id).where(outbox.c.status == "uncertain").order_by(outbox.c.id)
    return int(office.edge.rows(query)[-1].id)


def test_messages_are_shown_by_campaign_and_channel(office: Office, content: Content) -> None:
    doubt(office, content)
    office.enter("admin")
    html = office.get("/console/stuck").text

    assert html.count(content.campaigns[0].name.th) == 2
    assert "2 ข้อความ ตั้งแต่" in html
    assert WORDS["stuck_purpose_reply"] in html
    assert WORDS["stuck_resend_never"] in html
    assert WORDS["stuck_twice"] in html
    assert "Ua1" not in html
    assert "Name-" not in html.replace("Name-admin", "")
    assert WORDS["waits_doubts"].format(n=4) in office.get("/console/").text


def test_a_campaign_goes_once_more_where_it_was_wanted(
    office: Office, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = doubt(office, content)
    office.enter("admin")
    fields = {"campaign": str(id), "channel": "line", "until": str(last(office))}
    assert office.send("/console/stuck/resend", **fields).status_code == 422
    assert set(settled(office).values()) == {""}

    answer = office.send("/console/stuck/resend", sure="1", **fields)

    assert answer.status_code == 303
    assert WORDS["stuck_resent"].format(n=2) in office.get("/console/stuck").text
    again = [
        row.key
        for row in office.edge.rows(select(outbox.c.key))
        if row.key.endswith(outcomes.AGAIN)
    ]
    assert len(again) == 2
    assert sorted(settled(office).values()) == ["", "", "resent", "resent"]
    (noted,) = acts(office, "sends_")
    assert (noted.action, noted.target) == ("sends_resent", f"campaign:{id}")
    assert noted.by_id == office.agency.persons["admin"]
    twice = office.send("/console/stuck/resend", sure="1", **fields)
    assert twice.status_code == 422
    assert WORDS["stuck_sends_gone"] in twice.text
    forward(office, monkeypatch, minutes=6)
    asked = office.send("/console/stuck/resend", sure="1", **fields | {"channel": "telegram"})
    assert asked.headers["location"].startswith("/console/prove")


def test_what_is_left_is_gone_from_the_page_and_stays_uncertain(
    either: Office, content: Content
) -> None:
    office = either
    id = doubt(office, content)
    office.enter("admin")
    fields = {"campaign": str(id), "purpose": "due", "channel": "telegram"}
    assert office.send("/console/stuck/leave", **fields, until="1").status_code == 422
    office.send("/console/stuck/leave", **fields, until=str(last(office)))
    own = {"campaign": "0", "purpose": "reply", "channel": "line"}
    office.send("/console/stuck/leave", **own, until=str(last(office)))

    assert sorted(settled(office).values()) == ["", "", "left", "left"]
    assert [row.target for row in acts(office, "sends_left")] == [f"campaign:{id}", "outbox"]
    html = office.get("/console/stuck").text
    assert WORDS["stuck_purpose_reply"] not in html
    assert "Telegram" not in html
    assert office.send("/console/stuck/leave", **own, until=str(last(office))).status_code == 422


def test_what_was_cancelled_goes_nowhere(office: Office, content: Content) -> None:
    id = doubt(office, content, "cancelled")
    office.enter("admin")
    assert "/console/stuck/resend" not in office.get("/console/stuck").text
    fields = {"campaign": str(id), "channel": "line", "until": str(last(office)), "sure": "1"}
    assert office.send("/console/stuck/resend", **fields).status_code == 422
    assert set(settled(office).values()) == {""}
    for wrong in ({"campaign": "x"}, {"until": "9" * 40}, {"channel": ""}):
        assert office.send("/console/stuck/resend", **fields | wrong).status_code == 400
    missing = office.send("/console/stuck/resend", **fields | {"campaign": "77"})
    assert missing.status_code == 422
