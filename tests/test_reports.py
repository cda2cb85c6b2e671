"""Reports against a slow recount of every row, for viewers of all and of some of the agency."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from msgspec.json import decode, encode
from sqlalchemy import Connection, delete, func, insert, select, update

from content.schema import Content
from flows.calendar import add_working_days, local
from flows.reports import Ask, Report
from flows.types import Quizzed
from storage import itemstats, weeks
from storage.database import Database
from storage.models import (
    audit,
    evidence,
    facts,
    item_stats,
    learners,
    measures,
    persons,
    profiles,
    units,
)
from storage.models import weeks as kept
from storage.reports import REPORTS, Wrong, report
from storage.reports.common import View
from storage.reports.funnel import count
from storage.reports.skills import student
from storage.scope import NOBODY, OPERATOR, Denied, Right, Scope
from tests.databases import ENGINES, fresh
from tests.people import practised
from tests.random_agency import EVERYTHING, NOW, PATHS, TODAY, dumped, fill, hr_of
from tests.recount import Recount, items, pearson

VIEWERS = [("",), ("A",), ("A / B",), ("D", "A / B / C")]


def scope_over(tops: tuple[str, ...]) -> Scope:
    return Scope(1, tuple(Right("hr", top) for top in tops))


def rows(made: Report) -> list[dict[str, Any]]:
    ids = [column.id for column in made.columns]
    return [dict(zip(ids, row, strict=True)) for row in made.rows]


def asked(conn: Connection, name: str, scope: Scope, content: Content, **ask: Any) -> Report:
    return report(conn, name, scope, Ask(**ask), NOW, content)


@pytest.fixture(scope="module", params=ENGINES)
def agency(
    request: pytest.FixtureRequest, content: Content, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """One for all tests here: what they change is undone."""
    db = Database(fresh(request, tmp_path_factory.mktemp("agency")))
    with db.write() as conn:
        fill(conn, 1, content)
    yield db
    db.close()


@contextmanager
def undone(db: Database) -> Iterator[Connection]:
    with db.writer.connect() as conn, conn.begin() as changes:
        yield conn
        changes.rollback()


@pytest.mark.parametrize("group", ["", "service"])
def test_the_funnel_counts_everybody_once(agency: Database, content: Content, group: str) -> None:
    with agency.read() as conn:
        tables = dumped(conn)
        for tops in VIEWERS:
            made = asked(conn, "funnel", scope_over(tops), content, group=group)
            wanted = Recount(tables, tops, group)
            seen = {(r["unit"], r["group"], r["step"]): r["people"] for r in rows(made)}
            assert seen == wanted.funnel()
            of = wanted.learners if group else wanted.staff
            assert made.denominator == len(of)
            guests = len(wanted.guests)
            assert sum(row[3] for row in made.rows) == len(of) + guests  # type: ignore[misc]


@pytest.mark.parametrize("group", ["", "service"])
@pytest.mark.parametrize("unit", ["", "A / B"])
def test_a_view_of_the_whole_tally_is_what_would_be_counted_for_it(
    agency: Database, content: Content, group: str, unit: str
) -> None:
    with agency.read() as conn:
        tally = count(conn, View(OPERATOR, Ask(), NOW, content))
        for tops in VIEWERS:
            scope, ask = scope_over(tops), Ask(unit=unit, group=group)
            if unit and not scope.may("figures", unit):
                continue
            alone = report(conn, "funnel", scope, ask, NOW, content)
            narrowed = report(conn, "funnel", scope, ask, NOW, content, tally)
            assert rows(narrowed) == rows(alone)
            assert narrowed.denominator == alone.denominator


def test_a_unit_that_is_asked_for_takes_those_below_it(agency: Database, content: Content) -> None:
    with agency.read() as conn:
        tables = dumped(conn)
        made = rows(asked(conn, "funnel", EVERYTHING, content, unit="A / B"))

    assert {row["unit"] for row in made} == {"A / B", "A / B / C"}
    assert sum(row["people"] for row in made) == len(Recount(tables, ("A / B",)).staff)


def test_shares_are_of_the_people_of_the_unit(agency: Database, content: Content) -> None:
    with agency.read() as conn:
        made = rows(asked(conn, "funnel", EVERYTHING, content))
    for unit in PATHS:
        mine = [row for row in made if row["unit"] == unit]
        assert sum(row["people"] for row in mine) == mine[0]["of_unit"]
        assert sum(row["share"] for row in mine) == pytest.approx(1)


@pytest.mark.parametrize("round_", [0, 2])
def test_skills_before_and_after(agency: Database, content: Content, round_: int) -> None:
    with agency.read() as conn:
        tables = dumped(conn)
        for tops in VIEWERS:
            made = asked(conn, "skills", scope_over(tops), content, round=round_)
            wanted = Recount(tables, tops)
            seen = {
                (r["area"], r["when"]): Counter({b: r[b] for b in ("strengthen", "fair", "strong")})
                for r in rows(made)
                if r["people"]
            }
            assert seen == wanted.skills(round_ or 1)
            people = {row["learner_id"] for row in wanted._measured(round_ or 1)}
            assert made.denominator == len(people)


def test_a_gain_is_shown_only_where_chance_is_unlikely(db: Database, content: Content) -> None:
    """Another agency, and a larger one."""
    with db.write() as conn:
        fill(conn, 5, content, people=150)
        tables = dumped(conn)
        made = rows(asked(conn, "skills", EVERYTHING, content))
        funnel = asked(conn, "funnel", EVERYTHING, content)
    seen = {(r["unit"], r["group"], r["step"]): r["people"] for r in rows(funnel)}
    assert seen == Recount(tables).funnel()
    gains = Recount(tables).gains(1)
    first = content.framework.areas[0].id
    after = {row["area"]: row for row in made if row["when"] == "after"}

    assert after[first]["verdict"] == "better"
    for area, row in after.items():
        found, error = gains[area]
        reach = student(row["people"] - 1) * error
        shown = found - reach > 0 or found + reach < 0
        assert (row["gain"] is not None) == shown
        if shown:
            wanted = [found, found - reach, found + reach]
            assert [row[k] for k in ("gain", "gain_low", "gain_high")] == pytest.approx(
                wanted, abs=0.003
            )
    assert {row["verdict"] for row in after.values()} > {"better"}


def test_the_student_distribution() -> None:
    """As tables print it."""
    table = {9: 2.262, 14: 2.145, 29: 2.045, 60: 2.000, 1000: 1.962}

    assert {df: round(student(df), 3) for df in table} == table


def roll_up(conn: Connection) -> int:
    """What the ticker does."""
    done = 0
    while (first := weeks.uncounted(conn, NOW)) is not None:
        weeks.keep(conn, first, weeks.count(conn, first))
        done += 1
    return done


def test_activity_is_the_same_counted_now_or_kept(agency: Database, content: Content) -> None:
    def seen(conn: Connection, tops: tuple[str, ...]) -> dict[Any, Any]:
        made = rows(asked(conn, "activity", scope_over(tops), content))
        return {(row["week"], row["activity"]): (row["people"], row["times"]) for row in made}

    with undone(agency) as conn:
        tables = dumped(conn)
        wanted = {
            tops: {
                (week, kind): (people, None if kind == "any" else times)
                for (week, kind), (people, times) in Recount(tables, tops).activity().items()
            }
            for tops in VIEWERS
        }
        assert {tops: seen(conn, tops) for tops in VIEWERS} == wanted
        assert roll_up(conn) >= 4
        assert {tops: seen(conn, tops) for tops in VIEWERS} == wanted
        before = conn.execute(select(kept).order_by(*kept.primary_key)).all()
        assert roll_up(conn) == 0
        for first in {row.monday for row in before}:  # once more, even if somebody tries
            weeks.keep(conn, first, weeks.count(conn, first))
        assert conn.execute(select(kept).order_by(*kept.primary_key)).all() == before


def test_a_week_without_anything_is_counted_too(agency: Database) -> None:
    with undone(agency) as conn:
        weeks.keep(conn, weeks.monday(TODAY) - 28, [])
        assert weeks.uncounted(conn, NOW) == weeks.monday(TODAY) - 21


def test_evidence_by_unit(agency: Database, content: Content) -> None:
    with agency.read() as conn:
        tables = dumped(conn)
        for tops in VIEWERS:
            made = rows(asked(conn, "evidence", scope_over(tops), content))
            wanted = Recount(tables, tops).evidence()
            names = ("staff", "people", "uses", "confirmed", "shared", "chosen")
            assert {row["unit"]: [row[n] for n in names] for row in made} == {
                unit: [counts[n] for n in names] for unit, counts in wanted.items()
            }


def test_uses_are_shown_as_they_were_written(agency: Database, content: Content) -> None:
    with agency.read() as conn:
        tables = dumped(conn)
        made = asked(conn, "uses", hr_of("A / B"), content)
        seen = rows(made)
    wanted = Recount(tables, ("A / B",))
    theirs = [row for row in tables["evidence"] if row["learner_id"] in wanted.learners]
    said = {row["id"]: decode(row["data"]) for row in tables["facts"]}

    assert made.names
    assert made.denominator == len(seen) == len(theirs) > 0
    assert Counter(row["where"] for row in seen) == Counter(
        said[row["fact_id"]]["where"]["text"] for row in theirs
    )


@pytest.mark.parametrize("chunk", [97, 100_000])
def test_questions_are_summed_up_some_at_a_time(
    agency: Database, content: Content, chunk: int
) -> None:
    with undone(agency) as conn:
        while itemstats.step(conn, NOW, chunk):
            pass
        again = conn.execute(select(item_stats)).all()
        assert itemstats.step(conn, NOW, chunk) == 0
        assert conn.execute(select(item_stats)).all() == again
        tables = dumped(conn)
        made = asked(conn, "items", EVERYTHING, content)
    wanted = items(tables, NOW - itemstats.SETTLED, content)

    assert made.denominator == sum(len(found["right"]) for found in wanted.values())
    assert NOW - timedelta(hours=1) < made.as_of <= NOW - itemstats.SETTLED
    for row in rows(made):
        found = wanted.get(row["question"], {"options": [], "right": [], "pairs": []})
        n = len(found["right"])
        assert row["answers"] == n
        assert row["of_pairs"] == len(found["pairs"])
        if n:
            assert row["facility"] == pytest.approx(sum(found["right"]) / n)
            assert row["unsure"] == pytest.approx(found["options"].count(None) / n)
            assert row["option_1"] == pytest.approx(found["options"].count(0) / n)
            told = pearson(found["pairs"])
            assert row["discrimination"] == (
                None if told is None else pytest.approx(told, abs=0.0006)
            )


def test_the_median_time() -> None:
    sums = itemstats.Sums(times={"0": 10, "1": 10})  # up to 5, up to 10 seconds
    assert sums.seconds == 5
    assert itemstats.Sums(times={"14": 3}).seconds == 300
    assert itemstats.Sums().seconds is None


def test_who_may_be_waiting_for_help(agency: Database, content: Content) -> None:
    with agency.read() as conn:
        tables = dumped(conn)
        for tops in VIEWERS:
            made = asked(conn, "behind", scope_over(tops), content, days=10)
            last = add_working_days(local(NOW).date(), -10, content).toordinal()
            wanted = Recount(tables, tops).behind(last)
            names = {row["id"]: row["name"] for row in tables["persons"]}
            assert Counter(row["name"] for row in rows(made)) == Counter(names[n] for n in wanted)
            assert made.names


def test_the_reason_is_what_most_likely_stands_in_the_way(
    agency: Database, content: Content
) -> None:
    still = {"active_on": TODAY - 60, "step": "learn", "reachable": True, "restricted": False}
    calm = {**still, "stopped": False, "welcomed": True, "nudges": True, "rests_until": None}
    with undone(agency) as conn:
        who = conn.execute(
            select(profiles.c.learner_id, persons.c.name)
            .join(persons, persons.c.id == profiles.c.person_id)
            .where(persons.c.left_on == 0)
        ).first()
        assert who is not None
        conn.execute(update(persons).where(persons.c.name == who.name).values(name="other"))
        me = update(profiles).where(profiles.c.learner_id == who.learner_id)
        conn.execute(
            update(persons)
            .where(persons.c.id == select(profiles.c.person_id)
                   .where(profiles.c.learner_id == who.learner_id).scalar_subquery())
            .values(name="me")
        )  # fmt: skip

        def reason(**more: Any) -> str:
            conn.execute(me.values(calm | more))
            made = rows(asked(conn, "behind", EVERYTHING, content))
            return next(str(row["reason"]) for row in made if row["name"] == "me")

        assert reason() == "silent"
        assert reason(nudges=False) == "reminders_off"
        assert reason(rests_until=NOW + timedelta(days=1)) == "resting"
        assert reason(welcomed=False) == "notice"
        assert reason(stopped=True) == "stopped"
        assert reason(reachable=False, stopped=True) == "unreachable"
        failed = practised(NOW).walk(quizzes={"spreadsheet": Quizzed(2, 0.2, False)})
        state = encode(failed).decode()
        conn.execute(update(learners).where(learners.c.id == who.learner_id).values(state=state))
        assert reason() == "quiz"


def test_quality_counts_what_is_missing(agency: Database, content: Content) -> None:
    with agency.read() as conn:
        tables = dumped(conn)
        made = {row["finding"]: row for row in rows(asked(conn, "quality", hr_of("A"), content))}
        whole = {row["finding"]: row for row in rows(asked(conn, "quality", EVERYTHING, content))}
    wanted = Recount(tables, ("A",))
    staff, mine = wanted.staff.values(), wanted.learners.values()
    joined = {row["person_id"] for row in tables["profiles"]}
    twice = Counter((row["unit_id"], row["name"]) for row in staff)

    assert made["no_type"]["many"] == sum(row["position_type"] == "" for row in staff)
    assert made["no_supervisor"]["many"] == sum(row["supervisor_id"] is None for row in staff)
    assert made["not_claimed"]["many"] == sum(row["id"] not in joined for row in staff)
    assert made["same_name"]["many"] == sum(n for n in twice.values() if n > 1)
    assert made["unreachable"]["many"] == sum(not row["reachable"] for row in mine)
    assert made["unreachable"]["of_many"] == len(mine)
    assert made["no_group"]["many"] == sum(row["personnel_group"] == "" for row in mine)
    assert made["no_manager"]["many"] == len({row["unit_id"] for row in staff})
    assert "guests" not in made
    assert whole["guests"]["many"] == 5


OF_PEOPLE = ("funnel", "skills", "activity", "evidence", "uses", "items", "behind", "quality")


def test_whoever_restricts_the_use_of_their_data_is_in_no_report(
    agency: Database, content: Content
) -> None:
    """Reports are the same as if they had never been there."""

    def told(conn: Connection) -> list[list[Any]]:
        while itemstats.step(conn, NOW, 100_000):
            pass
        made = [asked(conn, name, hr_of("A"), content) for name in OF_PEOPLE]
        made += [asked(conn, name, EVERYTHING, content) for name in OF_PEOPLE]
        return [[each.denominator, *each.rows] for each in made]

    with undone(agency) as conn:
        conn.execute(update(profiles).values(restricted=False))
        did = select(evidence.c.learner_id)
        (me,) = conn.execute(
            select(profiles.c.learner_id, profiles.c.person_id)
            .join(persons, persons.c.id == profiles.c.person_id)
            .join(units, units.c.id == persons.c.unit_id)
            .where(persons.c.left_on == 0, persons.c.id > 1, units.c.path.startswith("A"))
            .where(profiles.c.learner_id.in_(did))
            .limit(1)
        ).all()
        guest = select(func.max(profiles.c.learner_id)).where(profiles.c.person_id.is_(None))
        gone = [me.learner_id, conn.execute(guest).scalar_one()]
        before = told(conn)
        conn.execute(delete(item_stats))
        theirs = profiles.c.learner_id.in_(gone)
        conn.execute(update(profiles).where(theirs).values(restricted=True))
        restricted = told(conn)
        conn.execute(delete(item_stats))
        for table in (evidence, measures, facts, profiles):
            conn.execute(delete(table).where(table.c.learner_id.in_(gone)))
        conn.execute(delete(learners).where(learners.c.id.in_(gone)))
        conn.execute(delete(persons).where(persons.c.id == me.person_id))
        without = told(conn)

    assert restricted == without
    assert all(now != then for now, then in zip(restricted[8:], before[8:], strict=True))


# --- who may see what ------------------------------------------------------------------


@pytest.mark.parametrize("name", REPORTS)
def test_nobody_sees_a_report_without_the_right(
    agency: Database, content: Content, name: str
) -> None:
    """OCSC is promised totals of ten people or more: it has a report of its own."""
    nobody = [NOBODY, Scope(1), *(Scope(1, (Right(r),)) for r in ("manager", "admin", "ocsc"))]
    with agency.read() as conn:
        for scope in nobody:
            with pytest.raises(Denied):
                asked(conn, name, scope, content)
        if REPORTS[name].power == "names":
            with pytest.raises(Denied):
                asked(conn, name, Scope(1, (Right("approver"),)), content)


def test_a_viewer_of_one_unit_is_told_of_no_other(agency: Database, content: Content) -> None:
    with undone(agency) as conn:
        homes = {row.id: row.unit_id for row in conn.execute(select(persons))}
        for id, unit in homes.items():
            conn.execute(update(persons).where(persons.c.id == id).values(name=f"<{unit}>"))
        for name in ("funnel", "evidence", "uses", "behind"):
            said = repr(list(asked(conn, name, hr_of("A / B"), content).rows))
            units = {row for row in PATHS if f"'{row}'" in said}
            assert units <= {"A / B", "A / B / C"}
            assert not any(f"<{n}>" in said for n in (1, 4, 5, 6))
        for unit in ("A", "D", "A / B2", "not there"):
            with pytest.raises(Denied):
                asked(conn, "funnel", hr_of("A / B"), content, unit=unit)


def test_whoever_sees_a_part_sees_no_guests(agency: Database, content: Content) -> None:
    with agency.read() as conn:
        made = rows(asked(conn, "funnel", scope_over(tuple(PATHS)), content))

    assert all(row["unit"] for row in made)


@pytest.mark.parametrize(
    ("name", "ask", "key"),
    [
        ("nothing", {}, "name"),
        ("funnel", {"unit": "Z"}, "unit"),
        ("funnel", {"group": "Z"}, "group"),
        ("funnel", {"round": 2}, "filter"),
        ("items", {"unit": "A"}, "filter"),
        ("activity", {"from_on": TODAY, "until_on": TODAY - 1}, "days"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(
    agency: Database, content: Content, name: str, ask: dict[str, Any], key: str
) -> None:
    with agency.read() as conn, pytest.raises(Wrong) as wrong:
        asked(conn, name, OPERATOR, content, **ask)

    assert wrong.value.key == key
    for lang in ("th", "en"):
        assert content.copy_[lang]["report_wrong_" + key].format_map(wrong.value.slots)


def test_asking_is_written_down_without_names(agency: Database, content: Content) -> None:
    from storage.reports import asked as note

    with undone(agency) as conn:
        conn.execute(insert(persons).values(id=900, hr_id="H", name="n", unit_id=1))
        note(conn, "behind", hr_of("A", 900), Ask(unit="A", days=3), NOW, "xlsx")
        row = conn.execute(select(audit)).one()

    assert (row.by_id, row.action, row.target) == (900, "report", "report:behind")
    filters = {"unit": "A", "days": 3}
    assert decode(row.data) == {"how": "xlsx", "filters": filters, "over": ["A"]}
