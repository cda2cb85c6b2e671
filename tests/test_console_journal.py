"""The audit journal on the screen: who may look, what is found, and whether it is whole."""

import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, select, update

from bot.console import pages
from storage import audit
from storage.audit import Search
from storage.database import Database
from storage.models import audit as table
from storage.scope import OPERATOR, Denied, Right, Scope
from tests.agency import Agency
from tests.offices import Office
from tests.running import eventually


@pytest.mark.parametrize(
    ("who", "status"),
    [("privacy", 200), ("admin", 200), ("hr", 403), ("hr1", 403), ("approver", 403)],
)
def test_who_reads_the_journal(office: Office, who: str, status: int) -> None:
    office.enter(who)

    assert office.get("/console/audit").status_code == status
    assert office.send("/console/audit/verify").status_code == (303 if status == 200 else 403)


def test_an_officer_of_a_part_does_not_read_it() -> None:
    part = Scope(1, (Right("privacy", "top / one"),))
    assert not audit.may_search(part)
    with pytest.raises(Denied):
        audit.search(None, part, Search())  # type: ignore[arg-type]


def found(office: Office, query: str) -> list[tuple[str, str]]:
    html = office.get("/console/audit?" + query).text
    cells = re.findall(r'<tr><td class="number">[^<]*</td><td>[^<]*</td><td>([^<]*)</td>'
                       r'<th scope="row">([^<]*)</th>', html)  # fmt: skip
    return [(by, action) for by, action in cells]


def test_entries_are_found_by_person_action_target_and_day(office: Office) -> None:
    def fill(conn: object, now: datetime) -> None:
        for by, action, target in (("hr1", "grant", "a1"), ("hr1", "revoke", "a1"),
                                   ("hr2", "grant", "a2")):  # fmt: skip
            audit.note(conn, office.agency.persons[by], action,  # type: ignore[arg-type]
                       f"person:{office.agency.persons[target]}", now, unit=1)  # fmt: skip

    office.run(fill)
    office.enter("privacy")
    said = pages.words("th")
    assert set(found(office, "by=HR-hr1")) == {
        ("HR-hr1", said["did_grant"]), ("HR-hr1", said["did_revoke"])}  # fmt: skip
    assert ("HR-hr2", said["did_grant"]) in found(office, "about=HR-a2")
    assert {action for _, action in found(office, "action=grant")} == {said["did_grant"]}
    assert found(office, "by=HR-hr1&action=grant&about=HR-a2") == []
    assert found(office, "by=HR-none") == []
    assert found(office, "first=2020-01-01&last=2020-01-02") == []
    assert len(found(office, "first=2020-01-01&by=HR-hr1")) == 2
    assert found(office, "first=2199-01-01") == []
    html = office.get("/console/audit?by=HR-hr1").text
    assert "HR-a1" in html
    assert "Name-hr" not in html
    assert "Name-a" not in html
    noted = [row.data for row in office.edge.rows(select(table)) if row.action == "view_audit"]
    assert len(noted) == 9
    office.get("/console/audit?about=Somchai+Jaidee")
    assert "Somchai" not in str(office.edge.rows(select(table))), "nobody's name is kept"


@pytest.mark.parametrize(
    ("query", "status"),
    [("first=yesterday", 422), ("last=31/12/2569", 422), ("first=2026-02-01&last=2026-01-01", 422),
     ("past=x", 200), ("past=" + "9" * 40, 200), ("by=" + "x" * 3000, 200), ("about=%00%27", 200),
     ("sort=action", 200), ("last=9999-12-31", 200), ("first=0001-01-01", 200)],
)  # fmt: skip
def test_a_question_that_makes_no_sense(office: Office, query: str, status: int) -> None:
    office.enter("admin", "en")
    answer = office.get("/console/audit?" + query)

    assert answer.status_code == status
    assert ('id="first-fault"' in answer.text or 'id="last-fault"' in answer.text) is (
        status == 422
    )


def test_pages_begin_behind_what_was_seen(office: Office) -> None:
    def fill(conn: object, now: datetime) -> None:
        for n in range(205):
            audit.note(conn, None, "filled", f"n:{n}", now)  # type: ignore[arg-type]

    office.run(fill)
    office.enter("privacy")
    seen: list[str] = []
    path = "/console/audit?action=filled"
    while path:
        html = office.get(path).text
        seen += re.findall(r"<td>n:(\d+)</td>", html)
        onward = re.search(r'href="(\?[^"]*past=[^"]*)" rel="next"', html)
        path = "/console/audit" + onward[1].replace("&amp;", "&") if onward else ""
    assert seen == [str(n) for n in reversed(range(205))]
    oldest = re.findall(
        r"<td>n:(\d+)</td>", office.get("/console/audit?action=filled&sort=id").text
    )
    assert oldest[:2] == ["0", "1"]


def test_every_question_goes_by_an_index(db: Database) -> None:
    """Or it would read a hundred million rows."""
    if not db.sqlite:
        pytest.skip("a small table of PostgreSQL is always read as a whole")
    Agency(db, datetime.now(UTC))
    plans: list[str] = []
    with db.write() as conn:
        audit.note(conn, 1, "grant", "person:1", datetime.now(UTC))

        def explain(wanted: Search) -> None:
            found = audit._conditions(conn, wanted)
            assert found is not None
            query = select(table).where(*found).order_by(table.c.id.desc()).limit(100)
            said = query.compile(conn, compile_kwargs={"literal_binds": True})
            rows = conn.exec_driver_sql(f"explain query plan {said}")
            plans.append(" ".join(row[3] for row in rows))

        for wanted in (Search(by="HR-a1"), Search(action="grant"), Search(about="HR-a1"),
                       Search(first=700_000, past=50), Search()):  # fmt: skip
            explain(wanted)
    assert not any("TEMP B-TREE" in plan for plan in plans), plans
    assert ["ix_audit_by_id" in plans[0], "ix_audit_action" in plans[1],
            "ix_audit_target" in plans[2]] == [True] * 3  # fmt: skip


# --- whole? ------------------------------------------------------------------------------


def test_the_journal_is_verified_at_a_wish(office: Office) -> None:
    office.enter("privacy")
    said = pages.words("th")
    assert said["audit_never"] in office.get("/console/audit").text
    office.send("/console/audit/verify")
    eventually(lambda: [row for row in office.edge.rows(select(table))
                        if row.action == audit.VERIFIED])  # fmt: skip
    eventually(lambda: office.edge.app.keeper.checking is None)
    assert said["audit_whole"].partition("{")[0] in office.get("/console/audit").text
    changed = update(table).where(table.c.id == 3).values(action="nothing")
    office.run(lambda conn, now: conn.execute(changed) and None)
    office.send("/console/audit/verify")
    eventually(lambda: office.edge.app.keeper.checking is None)
    html = office.get("/console/audit").text
    assert 'role="alert"' in html
    last = [row for row in office.edge.rows(select(table)) if row.action == audit.VERIFIED][-1]
    assert (last.result, last.by_id) == ("refused", office.agency.persons["privacy"])
    assert '"entry":3' in last.data


def test_the_walk_tells_how_far_it_is(db: Database) -> None:
    now, heard = datetime.now(UTC), list[int]()
    with db.write() as conn:
        for n in range(2100):
            row = {"by_id": None, "action": "filled", "target": str(n), "result": "done"}
            row["data"] = "{}"
            last = audit.last(conn)
            seal = audit.seal(last.hash if last else audit.FIRST, now, row)
            conn.execute(insert(table).values(row | {"at": now, "hash": seal}))
        assert audit.verify(conn, (), heard.append) is None
        assert len(audit.search(conn, OPERATOR, Search(limit=7))) == 7
    assert heard == [1000, 2000]


def test_news_of_nothing_end_at_once(office: Office) -> None:
    office.enter("admin")
    answer = office.get("/console/audit/news")
    assert answer.text == 'data: {"over":true}\n\n'
