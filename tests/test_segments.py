"""Segments: each filter finds whom it should, on both engines; words that mean the same."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from content.lint import segment_problems
from content.schema import AreaBand, Content, Segment
from flows.calendar import local
from flows.segments import describe
from storage import roster, segments
from storage.database import Database
from storage.models import learners, profiles

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
TODAY = local(NOW).toordinal()


def learner(conn: Connection, **columns: Any) -> int:
    """A learner who can be sent to, with whatever else is asked for."""
    made: int = conn.execute(
        insert(learners)
        .values(created_at=NOW, channel="line", address="U", state="{}")
        .returning(learners.c.id)
    ).scalar_one()
    row = {
        "learner_id": made,
        "channel": "line",
        "address": f"U{made:032x}",
        "lang": "th",
        "welcomed": True,
        "personnel_group": "academic",
        "step": "learn",
        "bands": "|security=fair|word=strong|",
        "active_on": TODAY,
    }
    conn.execute(insert(profiles).values(**(row | columns)))
    return made


def person(conn: Connection, hr_id: str, unit: int) -> int:
    return roster.add_person(conn, hr_id=hr_id, name=f"n{hr_id}", unit_id=unit)


FILTERS: list[tuple[Segment, dict[str, Any]]] = [
    (Segment(groups=("executive", "others")), {"personnel_group": "others"}),
    (Segment(steps=("apply",)), {"step": "apply"}),
    (Segment(steps=("done",)), {"step": "done"}),
    (Segment(bands=(AreaBand(area="word", band="fair"),)), {"bands": "|security=fair|word=fair|"}),
    (Segment(active_within=1), {"active_on": TODAY + 1}),
    (Segment(inactive_for=14), {"active_on": TODAY - 14}),
    (Segment(channels=("telegram",)), {"channel": "telegram"}),
    (Segment(languages=("en",)), {"lang": "en"}),
]


@pytest.mark.parametrize(("segment", "columns"), FILTERS, ids=lambda x: str(x)[:40])
def test_a_filter_finds_whom_it_names(
    db: Database, segment: Segment, columns: dict[str, Any]
) -> None:
    with db.write() as conn:
        learner(conn, active_on=TODAY - 5)
        wanted = learner(conn, **({"active_on": TODAY - 5} | columns))

        assert segments.members(conn, segment, NOW) == [wanted]
        assert segments.count(conn, segment, NOW) == 1


def test_all_filters_must_hold(db: Database) -> None:
    with db.write() as conn:
        learner(conn, lang="en")
        learner(conn, step="apply")
        both = learner(conn, lang="en", step="apply")
        segment = Segment(languages=("en",), steps=("apply", "done"))

        assert segments.members(conn, segment, NOW) == [both]


def test_unfinished_is_everybody_but_those_who_are_done(db: Database) -> None:
    with db.write() as conn:
        under_way = [learner(conn, step="know"), learner(conn, step="apply")]
        learner(conn, step="done")

        assert segments.members(conn, Segment(steps=("unfinished",)), NOW) == under_way


def test_days_of_inactivity_end_on_the_very_day(db: Database) -> None:
    with db.write() as conn:
        learner(conn, active_on=TODAY - 13)
        just = learner(conn, active_on=TODAY - 14)
        segment = Segment(inactive_for=14)

        assert segments.members(conn, segment, NOW) == [just]
        assert segments.count(conn, segment, NOW + timedelta(days=1)) == 2


def test_a_unit_is_its_whole_subtree_and_no_namesake(db: Database) -> None:
    with db.write() as conn:
        top = roster.add_unit(conn, "กรม_ก")
        below = roster.add_unit(conn, "กอง", top)
        deep = roster.add_unit(conn, "กลุ่ม", below)
        namesake = roster.add_unit(conn, "กรม_กข")
        like = roster.add_unit(conn, "กรมxก")
        under = roster.add_unit(conn, "กอง", like)
        ids = [
            learner(conn, person_id=person(conn, f"P{n}", unit))
            for n, unit in enumerate((top, below, deep, namesake, like, under))
        ]
        learner(conn)

        assert segments.members(conn, Segment(units=("กรม_ก",)), NOW) == ids[:3]
        assert segments.members(conn, Segment(units=("กรม_ก / กอง",)), NOW) == ids[1:3]


EXCLUDED: list[tuple[str, dict[str, Any]]] = [
    ("no_channel", {"channel": "terminal", "stopped": True}),
    ("unreachable", {"reachable": False, "welcomed": False}),
    ("stopped", {"stopped": True}),
    ("not_welcomed", {"welcomed": False}),
    ("resting", {"rests_until": NOW + timedelta(days=3)}),
    ("no_value", {}),
]


def test_whoever_is_left_out_is_counted_by_the_first_reason(db: Database) -> None:
    with db.write() as conn:
        unit = roster.add_unit(conn, "u")
        sent = learner(conn, person_id=person(conn, "P", unit))
        for _, columns in EXCLUDED:
            learner(conn, **columns)
        learner(conn, step="apply", stopped=True)
        segment, due = Segment(steps=("learn",)), NOW + timedelta(days=1)

        found = segments.excluded(conn, segment, NOW, due, ("name",))
        who = segments.sendable(segment, NOW, due, ("name",))

        assert found == dict.fromkeys((reason for reason, _ in EXCLUDED), 1)
        assert conn.execute(select(profiles.c.learner_id).where(who)).scalars().all() == [sent]


def test_rest_that_is_over_by_then_and_what_is_mandatory_leave_nobody_out(db: Database) -> None:
    with db.write() as conn:
        learner(conn, rests_until=NOW + timedelta(days=3))
        everybody = Segment()

        assert segments.excluded(conn, everybody, NOW, NOW) == {"resting": 1}
        assert segments.excluded(conn, everybody, NOW, NOW + timedelta(days=4)) == {}
        assert segments.excluded(conn, everybody, NOW, NOW, mandatory=True) == {}


def test_members_come_in_order_and_in_parts(db: Database) -> None:
    with db.write() as conn:
        ids = [learner(conn) for _ in range(5)]

        assert segments.members(conn, Segment(), NOW, limit=2) == ids[:2]
        assert segments.members(conn, Segment(), NOW, after=ids[1], limit=2) == ids[2:4]


# --- words -------------------------------------------------------------------------------


def test_a_segment_reads_well_in_both_languages(content: Content) -> None:
    segment = Segment(
        groups=("executive",),
        steps=("unfinished",),
        bands=(AreaBand(area="security", band="strengthen"),),
        inactive_for=14,
        channels=("line", "telegram"),
    )

    assert describe(segment, "th", content) == (
        "กลุ่มผู้บริหารส่วนราชการ · ขั้น: ยังไม่ครบทุกขั้น · "
        "ผลประเมินด้านใช้งานเพื่อความมั่นคงปลอดภัย (ควรเสริม) · "
        "ไม่ได้เข้ามาใช้ 14 วันขึ้นไป · ใช้ทาง LINE หรือ Telegram"
    )
    assert describe(segment, "en", content) == (
        "in the group Executive · step: not all done · "
        "assessed in Staying secure (to strengthen) · "
        "not here for 14 days or more · on LINE or Telegram"
    )
    assert describe(Segment(), "th", content) == "ทุกคน"


UNKNOWN: list[tuple[Segment, str, str]] = [
    (Segment(groups=("bosses",)), "segment.groups", "executive, management"),
    (Segment(steps=("begin",)), "segment.steps", "know, plan"),
    (Segment(bands=(AreaBand(area="excel", band="fair"),)), "segment.bands.area", "spreadsheet"),
    (Segment(bands=(AreaBand(area="word", band="bad"),)), "segment.bands.band", "strengthen"),
    (Segment(channels=("sms",)), "segment.channels", "line, telegram"),
    (Segment(languages=("fr",)), "segment.languages", "th, en"),
]


@pytest.mark.parametrize(("segment", "where", "offered"), UNKNOWN, ids=lambda x: str(x)[:30])
def test_what_does_not_exist_is_refused_with_what_does(
    content: Content, segment: Segment, where: str, offered: str
) -> None:
    (problem,) = segment_problems(segment, content)

    for lang in ("th", "en"):
        said = problem.say(lang, content)
        assert said.startswith(where + ": ")
        assert offered in said


def test_a_unit_that_the_roster_does_not_know_is_refused(db: Database, content: Content) -> None:
    with db.write() as conn:
        roster.add_unit(conn, "กรม")
        known = Segment(units=("กรม",))
        (problem,) = segments.unknown_units(conn, Segment(units=("กรม", "กอง")))

        assert list(segments.unknown_units(conn, known)) == []
    assert problem.say("en", content) == (
        "segment.units: there is no unit 'กอง': use the full name as on the roster, such as กรม"
    )


def test_here_lately_and_not_here_for_long_is_nobody(content: Content) -> None:
    (problem,) = segment_problems(Segment(active_within=7, inactive_for=14), content)

    assert problem.key == "never_both"
    assert not list(segment_problems(Segment(active_within=14, inactive_for=7), content))
