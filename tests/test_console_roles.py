"""Roles: who sees them, who gives them, and what happens to whoever loses one."""

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select, update

from bot.console import pages
from flows.calendar import local
from flows.roster import Refusal
from storage import roster_grants
from storage.database import Database
from storage.models import audit, grants, sessions
from storage.roster_grants import Listed, Wanted
from storage.scope import NOBODY, OPERATOR, scope_of
from tests.agency import Agency
from tests.offices import Office, forward

HUGE = "9" * 40


def held(office: Office, who: str) -> list[str]:
    mine = select(grants.c.role).where(grants.c.person_id == office.agency.persons[who])
    today = local(office.edge.app.clock()).toordinal()
    return [row.role for row in office.edge.rows(mine.where(
        (grants.c.until_on.is_(None)) | (grants.c.until_on > today)))]  # fmt: skip


def grant_of(office: Office, who: str) -> int:
    mine = select(grants.c.id).where(grants.c.person_id == office.agency.persons[who])
    return int(office.edge.rows(mine)[-1].id)


# --- who sees what -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "index", "give"),
    [("admin", 200, 200), ("hr", 200, 200), ("hr1", 200, 403), ("approver", 403, 403),
     ("privacy", 403, 403), ("h1", 403, 403)],
)  # fmt: skip
def test_who_opens_the_pages(office: Office, who: str, index: int, give: int) -> None:
    office.enter(who)

    assert office.get("/console/roles").status_code == index
    assert office.get("/console/roles/give").status_code == give


def test_an_officer_of_a_part_sees_the_roles_of_its_people_only(office: Office) -> None:
    office.enter("hr1")
    html = office.get("/console/roles?state=all").text

    assert "Name-h1" in html
    assert "Name-h2" not in html
    assert "top / two" not in html
    assert office.get(f"/console/roles/{grant_of(office, 'h2')}").status_code == 404
    assert office.get("/console/roles?who=Name-h2").text.count("<tr>") == 0
    refused = office.send(f"/console/roles/{grant_of(office, 'h1')}/take", sure="1")
    assert refused.status_code == 422
    assert held(office, "h1") == ["manager"]


def test_that_names_were_looked_at_is_written_down(office: Office) -> None:
    office.enter("admin")
    office.get("/console/roles?role=manager")

    noted = [row for row in office.edge.rows(select(audit)) if row.action == "view_roles"]
    assert [row.data for row in noted] == ['{"rows":2}']


def test_roles_are_filtered_and_sorted_by_the_address(office: Office) -> None:
    office.enter("admin")

    def names(query: str) -> list[str]:
        html = office.get("/console/roles?" + query).text
        return [part.partition("<")[0] for part in html.split('<th scope="row">')[1:]]

    assert names("role=manager&sort=-hr_id") == ["Name-h2", "Name-h1"]
    assert names("who=hr-hr1") == ["Name-hr1"]
    assert names("who=%25") == []
    assert set(names("unit=top+/+one")) == {"Name-h1", "Name-hr1"}
    assert names("state=over") == []
    hostile = f"state=x&sort=x&page={HUGE}&role=x&unit=%00"
    assert office.get("/console/roles?" + hostile).status_code == 200


# --- giving ------------------------------------------------------------------------------


def test_a_role_is_given_over_a_unit_for_a_while(office: Office) -> None:
    office.enter("admin")
    until = local(office.edge.app.clock()).date() + timedelta(days=30)
    answer = office.send("/console/roles/give", hr_id="HR-a1", role="approver",
                         unit="top / one", until=until.isoformat())  # fmt: skip

    assert answer.headers["location"] == "/console/roles"
    (row,) = office.edge.rows(
        select(grants).where(grants.c.person_id == office.agency.persons["a1"])
    )
    assert (row.role, row.unit_id) == ("approver", office.agency.units["one"])
    assert row.until_on == until.toordinal() + 1
    assert row.by_id == office.agency.persons["admin"]
    assert "HR-a1" in office.get("/console/roles").text


@pytest.mark.parametrize(
    ("field", "value"),
    [("hr_id", ""), ("hr_id", "HR-none"), ("hr_id", "x" * 5000), ("unit", "top / nowhere"),
     ("role", "learner"), ("role", "god"), ("role", ""), ("from", "31/12/2569"),
     ("until", "2020-01-01"), ("until", "\x00")],
)  # fmt: skip
def test_what_does_not_do_is_said_beside_its_field(office: Office, field: str, value: str) -> None:
    office.enter("admin")
    before = office.edge.rows(select(func.count()).select_from(grants))
    fields = {"hr_id": "HR-a1", "role": "hr", "unit": "top / one"} | {field: value}
    answer = office.send("/console/roles/give", **fields)

    if value == "\x00":  # taken out, and nothing is left of it
        assert answer.status_code == 303
        return
    assert answer.status_code == 422
    assert f'id="{field}-fault"' in answer.text
    assert 'value="top / ' in answer.text, "what was typed is kept"
    assert office.edge.rows(select(func.count()).select_from(grants)) == before


def test_hr_makes_managers_and_nothing_else(office: Office) -> None:
    office.enter("hr")
    fields = {"hr_id": "HR-a1", "unit": "top / one"}

    assert office.send("/console/roles/give", **fields, role="admin").status_code == 422
    assert office.send("/console/roles/give", **fields, role="manager").status_code == 303
    no_unit = office.send("/console/roles/give", hr_id="HR-b1", role="manager")
    assert 'id="unit-fault"' in no_unit.text
    assert held(office, "a1") == ["manager"]
    kept = office.send(f"/console/roles/{grant_of(office, 'admin')}/take", sure="1")
    assert kept.status_code == 422
    assert held(office, "admin") == ["admin"]


def test_the_password_is_asked_before_anything_is_typed(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.enter("admin")
    forward(office, monkeypatch, minutes=6)
    asked = office.get("/console/roles/give?hr_id=HR-a1")

    assert asked.headers["location"].startswith("/console/prove?next=%2Fconsole%2Froles%2Fgive")
    assert "hr_id" in asked.headers["location"]
    again = office.send("/console/roles/give", hr_id="HR-a1", role="hr")
    assert again.headers["location"].startswith("/console/prove")
    assert held(office, "a1") == []


# --- taking away -------------------------------------------------------------------------


def test_whoever_loses_a_role_is_signed_out(office: Office) -> None:
    office.enter("hr2")
    office.enter("admin")
    path = f"/console/roles/{grant_of(office, 'hr2')}"
    assert office.get(path).status_code == 200
    assert office.send(path + "/take").status_code == 422, "not confirmed"
    assert held(office, "hr2") == ["hr"]

    assert office.send(path + "/take", sure="1").status_code == 303
    assert held(office, "hr2") == []
    signed_in = {row.person_id for row in office.edge.rows(select(sessions))}
    assert signed_in == {office.agency.persons["admin"]}
    again = office.send(path + "/take", sure="1")
    assert again.status_code in (404, 422), "another admin was faster"


def test_the_last_admin_stays(office: Office) -> None:
    office.enter("admin")
    path = f"/console/roles/{grant_of(office, 'admin')}"
    refused = office.send(path + "/take", sure="1")

    assert refused.status_code == 422
    assert office.edge.app.content.roster.refusals["last_admin"].th in refused.text
    assert held(office, "admin") == ["admin"]
    office.send("/console/roles/give", hr_id="HR-a1", role="admin")
    assert office.send(path + "/take", sure="1").status_code == 303
    assert office.get("/console/").status_code == 303, "one's own session is over, too"


def test_an_admin_of_a_unit_is_no_last_admin(db: Database) -> None:
    from datetime import UTC, datetime

    now = datetime(2026, 11, 20, 3, tzinfo=UTC)
    Agency(db, now)
    with db.write() as conn:
        roster_grants.give(conn, Wanted("HR-a1", "admin", "top / one"), now)
    with pytest.raises(Refusal) as refused, db.write() as conn:
        roster_grants.take(conn, Wanted("HR-admin", "admin"), now)
    assert refused.value.why == "last_admin"
    with db.read() as conn:
        assert [row.role for row in roster_grants.listing(conn, NOBODY, Listed(), now)] == []
        assert len(roster_grants.listing(conn, OPERATOR, Listed(state="all"), now)) == 10
        mine = scope_of(conn, 1, now)
        assert roster_grants.find(conn, mine, 2**62, now) is None


def test_a_grant_that_is_not_there_is_a_page_that_is_not_there(office: Office) -> None:
    office.enter("admin")
    for id in ("0", "77777", HUGE):
        assert office.get(f"/console/roles/{id}").status_code == 404
        assert office.send(f"/console/roles/{id}/take", sure="1").status_code == 404


def test_refusals_speak_the_language_of_the_visitor(office: Office) -> None:
    office.enter("admin", "en")
    answer = office.send("/console/roles/give", hr_id="HR-none", role="hr")

    assert "HR-none is not on the roster" in answer.text
    assert pages.words("en")["grant_give_lead"] in answer.text


def test_a_role_that_has_ended_is_shown_as_such(office: Office) -> None:
    over = update(grants).where(grants.c.id == grant_of(office, "h2")).values(until_on=100)
    office.run(lambda conn, now: conn.execute(over) and None)
    office.enter("admin")

    html = office.get("/console/roles?state=over").text
    assert "Name-h2" in html
    assert pages.words("th")["grant_is_over"] in html
    assert str(date.fromordinal(99).day) in html
