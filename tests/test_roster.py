"""Taking rosters over: what changes, what does not, who sees whom from which day on."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from sqlalchemy import func, insert, select

from content.schema import Content, Segment
from flows.calendar import local
from flows.types import State
from storage import admission, roster, roster_apply, segments, timers, turns
from storage.database import Database
from storage.gathered import decode_state
from storage.models import (
    audit,
    grants,
    imports,
    learners,
    outbox,
    persons,
    postings,
    profiles,
    roster_changes,
    units,
)
from storage.scope import Scope, scope_of
from tests.rosters import HEADERS, HR, IT, PEOPLE, TOP, Desk, book, dump, sheet
from tests.running import Clock

NOW = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def desk(db: Database, content: Content, clock: Clock, tmp_path: Path) -> Iterator[Desk]:
    return Desk(db, content, clock, tmp_path)


def changed(id: str, **columns: str) -> list[tuple[str, ...]]:
    """The same people, one of them with something else."""
    at = {"name": 1, "unit": 2, "supervisor": 3, "title": 4}
    made = []
    for row in PEOPLE:
        cells = list(row)
        if row[0] == id:
            for column, value in columns.items():
                cells[at[column]] = value
        made.append(tuple(cells))
    return made


def id_of(db: Database, hr_id: str) -> int:
    with db.read() as conn:
        found: int = conn.execute(select(persons.c.id).where(persons.c.hr_id == hr_id)).scalar_one()
        return found


def sees(db: Database, viewer: str, whom: str, now: datetime) -> bool:
    """Whether somebody's team shows a person."""
    with db.read() as conn:
        scope: Scope = scope_of(conn, id_of(db, viewer), now)
        mine = scope.covers("team", persons.c.unit_id)
        found = select(persons.c.id).where(persons.c.hr_id == whom, mine)
        return conn.execute(found).first() is not None


def team(db: Database, clock: Clock) -> set[str]:
    return {f"{a}>{b}" for a in ("A1", "B1", "C1") for b in ("B2", "C2") if sees(db, a, b, clock())}


def test_a_first_import_makes_people_units_heads_and_postings(db: Database, desk: Desk) -> None:
    result = desk.take(sheet(*PEOPLE))

    assert result["applied"]
    assert result["counts"]["added"] == 6
    assert result["counts"]["units"] == 3
    with db.read() as conn:
        boss = persons.alias()
        led = select(persons.c.hr_id, boss.c.hr_id).join(boss, boss.c.id == persons.c.supervisor_id)
        assert dict(map(tuple, conn.execute(led))) == {
            "B1": "A1", "B2": "B1", "B3": "B1", "C1": "A1", "C2": "C1",
        }  # fmt: skip
        assert conn.execute(select(func.count()).select_from(postings)).scalar_one() == 6
        given = select(persons.c.hr_id, units.c.path).join_from(grants, persons, persons.c.id == grants.c.person_id).join(units, units.c.id == grants.c.unit_id)  # noqa: E501  # fmt: skip
        assert set(map(tuple, conn.execute(given))) == {("B1", HR), ("C1", IT)}
        assert conn.execute(select(audit.c.action)).scalars().all() == ["roster_import"]


def test_the_same_file_again_changes_nothing(db: Database, desk: Desk, clock: Clock) -> None:
    headers = (*HEADERS, "หัวหน้าหน่วยงาน", "วันบรรจุ", "รักษาราชการแทน", "รักษาราชการแทนถึง")
    extra = {"A1": ("ใช่", "1/10/2540", "", ""), "B2": ("", "", "ศูนย์เทคโนโลยี", "31/12/2569")}
    rows = [(*row, *extra.get(row[0], ("", "", "", ""))) for row in PEOPLE]
    first = desk.take(sheet(*rows, headers=headers))
    before = dump(db, "audit")
    clock.forward(days=3)

    again = desk.take(book(*rows, headers=headers))

    assert first["counts"]["heads"] == 2
    assert again["counts"]["unchanged"] == 6
    assert dump(db, "audit") == before
    assert len(dump(db)["audit"]) == 2


def test_a_dry_run_says_the_same_and_does_nothing(db: Database, desk: Desk) -> None:
    before = dump(db)
    said = desk.take(sheet(*PEOPLE), dry_run=True)

    assert dump(db) == before
    assert not said["applied"]
    assert desk.take(sheet(*PEOPLE))["counts"] == said["counts"]


def test_a_transfer_moves_sight_the_same_day_and_progress_with_the_person(
    db: Database, desk: Desk, content: Content, clock: Clock
) -> None:
    desk.take(sheet(*PEOPLE))
    learner = linked(db, "B2", clock())
    assert team(db, clock) == {"B1>B2", "C1>C2"}

    clock.forward(days=30)
    result = desk.take(sheet(*changed("B2", unit=IT, supervisor="C1")))

    assert (result["counts"]["changed"], result["counts"]["moved"]) == (1, 1)
    assert team(db, clock) == {"C1>B2", "C1>C2"}
    today = local(clock()).toordinal()
    with db.read() as conn:
        here = select(profiles.c.unit_id, units.c.path).join(
            units, units.c.id == profiles.c.unit_id
        )
        assert conn.execute(here.where(profiles.c.learner_id == learner)).one().path == IT
        mine = select(postings).where(postings.c.person_id == id_of(db, "B2"))
        was, is_ = conn.execute(mine.order_by(postings.c.from_on)).all()
        assert (was.until_on, is_.from_on, is_.until_on) == (today, today, None)
    state = fire(db, learner, content, clock())
    assert state.person is not None
    assert state.person.unit == "ศูนย์เทคโนโลยี"
    with db.read() as conn:  # nothing is said: they know it already
        assert conn.execute(select(outbox.c.id)).all() == []


def test_what_holds_from_a_later_day_on_waits_for_it(
    db: Database, desk: Desk, clock: Clock
) -> None:
    desk.take(sheet(*PEOPLE))
    headers = (*HEADERS, "วันที่มีผล")
    rows = [(*row, "2/12/2569") for row in changed("B2", unit=IT, supervisor="C1")]
    rows.append(("D1", "นายใหม่ มา", IT, "C1", "นิติกร", "2/12/2569"))

    result = desk.take(sheet(*rows, headers=headers))
    desk.take(sheet(*rows, headers=headers))

    assert result["counts"]["later"] == 2
    assert team(db, clock) == {"B1>B2", "C1>C2"}
    assert not here(db, "D1", clock())
    with db.read() as conn:
        assert conn.execute(select(func.count()).select_from(roster_changes)).scalar_one() == 2
        assert not roster_apply.is_due(conn, clock())
    clock.forward(hours=14)  # midnight at the agency is five in the afternoon here
    move(db, clock())
    assert team(db, clock) == {"C1>B2", "C1>C2"}
    assert here(db, "D1", clock())
    before = dump(db)
    move(db, clock())
    assert dump(db) == before


def test_a_later_change_that_a_newer_file_does_not_have_is_void(
    db: Database, desk: Desk, clock: Clock
) -> None:
    desk.take(sheet(*PEOPLE))
    desk.take(sheet(*changed("B2", unit=IT, supervisor="C1")), effective="15/12/2569")
    desk.take(sheet(*PEOPLE))
    clock.forward(days=20)
    move(db, clock())

    assert team(db, clock) == {"B1>B2", "C1>C2"}


def test_leavers_lose_their_rights_and_get_nothing_and_return(
    db: Database, desk: Desk, content: Content, clock: Clock
) -> None:
    desk.take(sheet(*PEOPLE))
    learner = linked(db, "B1", clock())
    waiting(db, learner, clock())
    without = [row for row in changed("B2", supervisor="") if row[0] != "B1"]
    without = [(*row[:3], "" if row[3] == "B1" else row[3], row[4]) for row in without]

    many = desk.take(sheet(*without))
    assert [problem["why"] for problem in many["problems"]] == ["leavers"]
    assert here(db, "B1", clock())
    result = desk.take(sheet(*without), confirm_leavers=True)

    assert result["counts"]["left"] == 1
    assert not here(db, "B1", clock())
    assert not sees(db, "B1", "B2", clock())
    with db.read() as conn:
        assert segments.excluded(conn, Segment(), clock(), clock()) == {"departed": 1}
        assert segments.count(conn, Segment(), clock()) == 0
    with db.write() as conn:
        assert admission.admit(conn, ["w1"], clock(), content) == set()
        ended = conn.execute(select(outbox.c.status, outbox.c.reason)).one()
        assert tuple(ended) == ("cancelled", "departed")
    clock.forward(days=1)
    back = desk.take(sheet(*PEOPLE))
    assert back["counts"]["returned"] == 1
    assert sees(db, "B1", "B2", clock())


def test_a_partial_file_says_nothing_of_the_others(db: Database, desk: Desk, clock: Clock) -> None:
    desk.take(sheet(*PEOPLE))
    result = desk.take(sheet(("B2", "นางสาวใจ ดี", IT, "C1", "นิติกร")), partial=True)

    assert result["counts"]["left"] == 0
    assert team(db, clock) == {"C1>B2", "C1>C2"}
    circle = desk.take(sheet(("A1", "นางสมศรี มั่นคง", TOP, "C2", "อธิบดี")), partial=True)
    assert [fault["why"] for fault in circle["faults"]] == ["cycle"]


def test_somebody_stands_in_for_a_head_for_some_days(
    db: Database, desk: Desk, clock: Clock
) -> None:
    headers = (*HEADERS, "รักษาราชการแทน", "รักษาราชการแทนตั้งแต่", "รักษาราชการแทนถึง")
    days = {"B3": (IT, "3/12/2569", "4/12/2569")}
    rows = [(*row, *days.get(row[0], ("", "", ""))) for row in PEOPLE]
    desk.take(sheet(*rows, headers=headers))
    seen = []
    for _ in range(5):
        seen.append(sees(db, "B3", "C2", clock()))
        clock.forward(days=1)

    assert seen == [False, False, True, True, False]
    assert sees(db, "C1", "C2", clock())


def test_heads_by_the_file_come_before_those_that_are_derived(
    db: Database, desk: Desk, clock: Clock
) -> None:
    headers = (*HEADERS, "หัวหน้าหน่วยงาน")
    said = {"B3": "ใช่", "A1": "กรม"}
    rows = [(*row, said.get(row[0], "")) for row in PEOPLE]
    desk.take(sheet(*PEOPLE))
    desk.take(sheet(*rows, headers=headers))

    assert sees(db, "B3", "B2", clock())
    assert not sees(db, "B1", "B2", clock())
    assert team(db, clock) == {"A1>B2", "A1>C2", "C1>C2"}
    desk.take(sheet(*PEOPLE))  # a file that says nothing of heads takes nothing away
    assert team(db, clock) == {"A1>B2", "A1>C2", "C1>C2"}
    rows = [(*row, "") for row in PEOPLE]
    desk.take(sheet(*rows, headers=headers))
    assert team(db, clock) == {"B1>B2", "C1>C2"}


def test_a_head_stays_until_the_next_one_begins(db: Database, desk: Desk, clock: Clock) -> None:
    headers = (*HEADERS, "หัวหน้าหน่วยงาน")

    def heads(**said: str) -> bytes:
        return sheet(*((*row, said.get(row[0], "")) for row in PEOPLE), headers=headers)

    def led() -> list[str]:
        return [who for who in ("B1", "B3") if sees(db, who, "B2", clock())]

    desk.take(heads(B1="ใช่"))
    same = desk.take(heads(B1="ใช่"), effective="15/12/2569")
    assert same["counts"]["heads"] == 0
    assert led() == ["B1"]
    first = desk.take(heads(B3="ใช่"), effective="15/12/2569")
    again = desk.take(heads(B3="ใช่"), effective="15/12/2569")
    assert (first["counts"]["heads"], again["counts"]["heads"]) == (1, 0)
    assert led() == ["B1"]
    clock.forward(days=13)
    assert led() == ["B1"]
    clock.forward(days=1)
    assert led() == ["B3"]


def test_a_file_that_holds_now_takes_a_later_head_back(
    db: Database, desk: Desk, clock: Clock
) -> None:
    headers = (*HEADERS, "หัวหน้าหน่วยงาน")
    rows = [(*row, "ใช่" if row[0] == "B3" else "") for row in PEOPLE]
    desk.take(sheet(*PEOPLE))
    desk.take(sheet(*rows, headers=headers), effective="15/12/2569")
    assert (sees(db, "B1", "B2", clock()), sees(db, "B3", "B2", clock())) == (True, False)
    desk.take(sheet(*rows, headers=headers))

    assert (sees(db, "B1", "B2", clock()), sees(db, "B3", "B2", clock())) == (False, True)


def test_roles_by_hand_are_noted_and_outlive_an_import(
    db: Database, desk: Desk, clock: Clock
) -> None:
    desk.take(sheet(*PEOPLE))
    desk.ask("grant", who="B3", role="manager", unit="กรม>ศูนย์เทคโนโลยี", until="5/12/2569")
    desk.ask("grant", who="B2", role="hr")
    desk.take(sheet(*changed("B3", title="หัวหน้า")), by="B2")

    assert sees(db, "B3", "C2", clock())
    clock.forward(days=5)
    assert not sees(db, "B3", "C2", clock())
    assert sees(db, "B2", "C2", clock())
    assert desk.ask("revoke", who="B2", role="hr") == {"ended": 1}
    assert not sees(db, "B2", "C2", clock())
    assert desk.take(sheet(*PEOPLE), by="B2")["problems"][0]["why"] == "no_right"
    for wrong, why in (
        ({"who": "X", "role": "hr"}, "no_person"),
        ({"who": "B2", "role": "king"}, "no_role"),
        ({"who": "B2", "role": "manager"}, "needs_unit"),
        ({"who": "B2", "role": "hr", "unit": "ไม่มี"}, "no_unit"),
        ({"who": "B2", "role": "hr", "from_": "2/1/2570", "until": "1/1/2570"}, "days"),
        ({"who": "B2", "role": "hr", "by": "B3"}, "no_right"),
        ({"who": "B2", "role": "hr", "from_": "soon"}, "effective"),
    ):
        assert desk.ask("grant", **wrong)["problems"][0]["why"] == why
    with db.read() as conn:
        actions = conn.execute(select(audit.c.action).order_by(audit.c.id)).scalars().all()
    assert actions == ["roster_import", "grant", "grant", "roster_import", "revoke"]


@pytest.mark.parametrize("make", [sheet, book])
def test_a_refused_file_comes_back_with_reasons_and_can_be_mended(
    make: Any, db: Database, desk: Desk
) -> None:
    rows = [list(row) for row in PEOPLE]
    rows[2][3], rows[3][1] = "ZZ", "=cmd|' /C calc'!A0"
    rows[4][2], rows[5][4] = "", "1-1017-00230-60-1"  # a number that checks itself
    before = dump(db)

    result = desk.take(make(*rows))

    assert dump(db) == before
    assert result["refused_rows"] == 3
    assert {fault["row"]: fault["why"] for fault in result["faults"]} == {
        4: "supervisor", 6: "needed", 7: "citizen",
    }  # fmt: skip
    back = read_back(result["file"])
    assert back[0] == [*HEADERS, "เหตุผลที่ไม่รับแถวนี้"]
    assert back[1][5] == ""
    assert back[3][5] == "ไม่พบผู้บังคับบัญชาในทะเบียน"
    assert "1-1017" not in str(back)
    assert "1-1017" not in str({**result, "file": None})
    rows[2][3], rows[4][2], rows[5][4] = "B1", IT, "นิติกร"
    mended = make(*([*row, "ไม่"] for row in rows), headers=(*HEADERS, back[0][5]))
    assert desk.take(mended)["applied"]
    with db.read() as conn:
        assert conn.execute(select(imports.c.id)).all() != []


def read_back(file: bytes) -> list[list[str]]:
    if file.startswith(b"PK"):
        page = load_workbook(io.BytesIO(file)).active
        cells = [list(row) for row in page.iter_rows()]
        assert {cell.data_type for row in cells for cell in row if cell.value} == {"s"}
        return [[cell.value or "" for cell in row] for row in cells]
    made = list(csv.reader(io.StringIO(file.decode("utf-8-sig"))))
    assert not [cell for row in made for cell in row if cell.startswith(("=", "+", "-", "@"))]
    return made


# --- helpers ---------------------------------------------------------------------------


def here(db: Database, hr_id: str, now: datetime) -> bool:
    today = local(now).toordinal()
    with db.read() as conn:
        left = conn.execute(select(persons.c.left_on).where(persons.c.hr_id == hr_id)).scalar_one()
    return bool(left == 0 or left > today)


def move(db: Database, now: datetime) -> None:
    more = 1
    while more:
        with db.write() as conn:
            more = roster_apply.apply_due(conn, now)


def linked(db: Database, hr_id: str, now: datetime) -> int:
    from content.load import load
    from storage import profiles as kept

    with db.write() as conn:
        learner = roster.link(conn, id_of(db, hr_id), "line", f"U{hr_id}", now)
        kept.fill(conn, load())
    return learner


def waiting(db: Database, learner: int, now: datetime) -> None:
    """Something unasked that waits to be sent."""
    with db.write() as conn:
        row = {"key": "w1", "learner_id": learner, "channel": "line", "address": "UB1"}
        row |= {"lane": "personal", "payload": "{}", "created_at": now, "due": now}
        more = {"deadline": now.replace(month=12, day=30), "status": "queued", "purpose": "due"}
        conn.execute(insert(outbox).values(**row, **more))


def fire(db: Database, learner: int, content: Content, now: datetime) -> State:
    """Let the learner's due timers come, as the scheduler does."""
    with db.write() as conn:
        due = timers.due(conn, now)
        assert [event.event.kind for event in due] == ["roster"]  # type: ignore[union-attr]
        turns.take(conn, due, now, content, lambda _, replies: [replies])
        stored = select(learners.c.state).where(learners.c.id == learner)
        return decode_state(conn.execute(stored).scalar_one())
