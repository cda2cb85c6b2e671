"""Accounts of others: their browsers, and who they are at the agency's sign-on."""

import pytest
from sqlalchemy import select

from bot.console import pages
from storage.models import audit, sessions
from tests.offices import Office


def browsers(office: Office, who: str) -> int:
    mine = select(sessions).where(sessions.c.person_id == office.agency.persons[who])
    return len(office.edge.rows(mine))


def test_an_admin_signs_the_browsers_of_others_out(office: Office) -> None:
    office.join("hr1")
    for _ in range(2):
        office.enter("hr1")
    office.enter("admin")
    path = f"/console/accounts/{office.agency.persons['hr1']}"
    html = office.get(path).text
    assert html.count('name="session"') == 3
    (first, *_) = office.edge.rows(select(sessions.c.id).where(
        sessions.c.person_id == office.agency.persons["hr1"]))  # fmt: skip
    assert office.send(path + "/end", session=str(first.id)).status_code == 303
    assert browsers(office, "hr1") == 2
    office.send(path + "/end")
    assert browsers(office, "hr1") == 0
    noted = [row for row in office.edge.rows(select(audit)) if row.action == "session_ended"]
    assert [row.by_id for row in noted] == [office.agency.persons["admin"]] * 2
    assert pages.words("th")["account_no_browser"] in office.get(path).text


def test_a_session_of_one_is_not_ended_under_the_name_of_another(office: Office) -> None:
    office.join("hr1")
    office.enter("hr2")
    (mine,) = office.edge.rows(select(sessions.c.id).where(
        sessions.c.person_id == office.agency.persons["hr2"]))  # fmt: skip
    office.enter("admin")
    office.send(f"/console/accounts/{office.agency.persons['hr1']}/end", session=str(mine.id))
    assert browsers(office, "hr2") == 1
    bad = office.send(f"/console/accounts/{office.agency.persons['hr1']}/end", session="x")
    assert bad.status_code == 400


@pytest.mark.parametrize("who", ["hr", "hr1", "privacy", "approver"])
def test_nobody_else_opens_an_account(office: Office, who: str) -> None:
    office.join("hr2")
    office.enter(who)
    path = f"/console/accounts/{office.agency.persons['hr2']}"
    assert office.get(path).status_code == 403
    assert office.send(path + "/end").status_code == 403
    assert browsers(office, "hr2") == 1


def test_accounts_are_found_and_sorted(office: Office) -> None:
    office.join("hr1")
    office.join("hr2")
    office.enter("admin")

    def names(query: str) -> list[str]:
        html = office.get("/console/accounts?" + query).text
        return [part.partition(">")[2].partition("<")[0]
                for part in html.split('<th scope="row"><a')[1:]]  # fmt: skip

    assert names("sort=-name") == ["Name-hr2", "Name-hr1"]
    assert names("who=hr1hr1") == ["Name-hr1"]
    assert names("who=%25") == []
    assert names("page=2") == []
    for id in ("0", "9" * 40):
        assert office.get(f"/console/accounts/{id}").status_code == 404


@pytest.mark.parametrize("email", ["", "x", "a b@c", "x@" + "y" * 300])
def test_an_address_must_be_one(office: Office, email: str) -> None:
    office.join("hr1")
    office.enter("admin")
    path = f"/console/accounts/{office.agency.persons['hr1']}"
    assert office.send(path + "/expect", email=email).status_code == 422
    assert office.send(path + "/expect", email="A.B@agency.go.th").status_code == 303
    assert office.send(path + "/unbind").status_code == 422, "not confirmed"
    assert office.send(path + "/unbind", sure="1").status_code == 303
    nobody = office.send(f"/console/accounts/{office.agency.persons['a1']}/unbind", sure="1")
    assert nobody.status_code == 404
