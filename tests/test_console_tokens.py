"""Keys to the API and what is pushed out: one's own, and what an admin may do about the others."""

import re

import pytest
from sqlalchemy import select

from bot.console import pages
from bot.outside import Answer
from storage.models import audit, hooks, tokens
from tests.offices import Office

URL = "https://93.184.216.34/in"


def secret(html: str) -> str:
    found = re.search(r"<code>([^<]+)</code>", html)
    assert found
    return found[1]


def key_of(office: Office, who: str) -> int:
    mine = select(tokens.c.id).where(tokens.c.person_id == office.agency.persons[who])
    return int(office.edge.rows(mine)[-1].id)


@pytest.mark.parametrize(
    ("who", "keys", "out"),
    [("admin", 200, 200), ("hr", 200, 200), ("hr1", 200, 200), ("privacy", 200, 200),
     ("h1", 403, 403)],
)  # fmt: skip
def test_who_opens_the_pages(office: Office, who: str, keys: int, out: int) -> None:
    office.enter(who)

    assert office.get("/console/tokens").status_code == keys
    assert office.get("/console/hooks").status_code == out


def test_a_key_is_made_for_oneself_and_shown_once(office: Office) -> None:
    office.enter("hr1")
    made = office.send("/console/tokens/new", name="คลังข้อมูล", days="30", hr_id="HR-hr")
    key = secret(made.text)

    assert key.startswith("kaona_")
    assert made.headers["cache-control"] == "no-store"
    row = office.edge.rows(select(tokens))[-1]
    assert row.person_id == office.agency.persons["hr1"]
    assert key not in office.get("/console/tokens").text
    assert key not in str(office.edge.rows(select(audit)))
    asked = {"Authorization": f"Bearer {key}"}
    assert office.get("/api/v1/reports", headers=asked).status_code in (200, 404)
    id = str(key_of(office, "hr1"))
    assert office.send("/console/tokens/revoke", id=id).status_code == 422, "not confirmed"
    assert office.send("/console/tokens/revoke", id=id, sure="1").status_code == 303
    assert office.get("/api/v1/reports", headers=asked).status_code == 401
    assert office.send("/console/tokens/revoke", id=id, sure="1").status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", ""), ("name", "x" * 101), ("days", "0"), ("days", "367"), ("days", "x"),
     ("days", "00000001000"), ("days", "-1"), ("days", "9" * 50), ("name", "\x00")],
)  # fmt: skip
def test_a_key_that_cannot_be_is_explained(office: Office, field: str, value: str) -> None:
    office.enter("hr")
    before = len(office.edge.rows(select(tokens)))
    answer = office.send("/console/tokens/new", **{"name": "x", "days": "7"} | {field: value})

    assert answer.status_code == 422
    assert f'id="{field}-fault"' in answer.text
    assert len(office.edge.rows(select(tokens))) == before


def test_an_officer_sees_and_ends_their_own_keys_only(office: Office) -> None:
    office.enter("hr1")
    html = office.get("/console/tokens?sort=hr_id").text
    assert "HR-hr1" in html
    assert "HR-hr2" not in html
    for id in (str(key_of(office, "hr2")), "0", "x", "9" * 30):
        assert office.send("/console/tokens/revoke", id=id, sure="1").status_code == 404
    office.enter("admin")
    assert "HR-hr2" in office.get("/console/tokens?sort=-used&state=good&page=1").text
    ended = office.send("/console/tokens/revoke", id=str(key_of(office, "hr2")), sure="1")
    assert ended.status_code == 303
    noted = [row for row in office.edge.rows(select(audit)) if row.action == "token_revoked"]
    assert noted[-1].by_id == office.agency.persons["admin"]


# --- what is pushed out ------------------------------------------------------------------


def add(office: Office) -> int:
    made = office.send("/console/hooks/new", kind="webhook", url=URL, topics=["step_done"])
    assert secret(made.text).startswith("whsec_")
    return int(office.edge.rows(select(hooks))[-1].id)


def test_an_address_is_added_tested_ended_and_resumed(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.enter("hr")
    id = str(add(office))

    async def test(hook: object) -> Answer:
        return answers.pop()

    answers = [Answer(0, "no connection"), Answer(401), Answer(204)]
    monkeypatch.setattr(office.edge.app.pusher, "test", test)
    for key, status in (("good", 204), ("refused", 401), ("silent", 0)):
        office.send("/console/hooks/test", id=id)
        said = pages.words("th")["hook_test_" + key].format(status=status)
        assert said in office.get("/console/hooks").text
    assert office.send("/console/hooks/end", id=id).status_code == 422
    assert office.send("/console/hooks/end", id=id, sure="1").status_code == 303
    assert office.send("/console/hooks/end", id=id, sure="1").status_code == 404
    assert office.send("/console/hooks/resume", id=id).status_code == 303
    assert office.edge.rows(select(hooks))[-1].ended_at is None


def test_an_admin_ends_anybodys_and_adds_none(office: Office) -> None:
    office.enter("hr")
    id = str(add(office))
    office.enter("hr1")
    assert URL not in office.get("/console/hooks").text
    for do in ("end", "resume", "test"):
        assert office.send(f"/console/hooks/{do}", id=id, sure="1").status_code == 404
    office.enter("admin")
    assert URL in office.get("/console/hooks?kind=webhook&sort=url").text
    assert office.get("/console/hooks/new").status_code == 403
    assert office.send("/console/hooks/new", kind="webhook", url=URL).status_code == 403
    assert office.send("/console/hooks/end", id=id, sure="1").status_code == 303
    noted = [row.by_id for row in office.edge.rows(select(audit)) if row.action == "hook_ended"]
    assert noted == [office.agency.persons["admin"]]


@pytest.mark.parametrize(
    ("field", "fields"),
    [("url", {"url": ""}), ("url", {"url": "http://example.com"}),
     ("url", {"url": "https://127.0.0.1/"}), ("url", {"url": "https://u:p@example.com"}),
     ("topics", {"topics": ["all"]}), ("user", {"user": "me"}),
     ("user", {"kind": "xapi"}), ("topics", {"kind": "xapi", "user": "u", "topics": ["step_done"]}),
     ("kind", {"kind": "carrier pigeon"}), ("url", {"url": "https://x/" + "y" * 2000})],
)  # fmt: skip
def test_an_address_that_cannot_be_is_explained(
    office: Office, field: str, fields: dict[str, str | list[str]]
) -> None:
    office.enter("hr")
    sent = {"kind": "webhook", "url": URL, "password": "do not show", **fields}
    answer = office.send("/console/hooks/new", **sent)

    assert answer.status_code == 422
    assert f'id="{field}-fault"' in answer.text
    assert "do not show" not in answer.text
    assert office.edge.rows(select(hooks)) == []


def test_a_store_of_learning_records_has_no_secret_to_show(office: Office) -> None:
    office.enter("hr", "en")
    answer = office.send("/console/hooks/new", kind="xapi", url=URL, user="u", password="p")
    assert answer.status_code == 303
    assert pages.words("en")["hook_kind_xapi"] in office.get("/console/hooks").text
