"""The clocks of the register on a clock that runs for years: what is over is gone after a purge,
and what is not is untouched."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from bot.app import App
from bot.config import Settings
from content.schema import Content
from flows.calendar import ZONE
from storage import retention
from storage.database import Database
from storage.models import (
    Moment,
    audit,
    facts,
    grants,
    learners,
    metadata,
    outbox,
    persons,
    postings,
    profiles,
)
from tests.planted import Agency, Planted, agency, plant
from tests.running import Clock, environment, ready

BEGIN = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
"""In the fiscal year 2570, which ends on 30 September 2027."""


def at(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=ZONE)


@pytest.mark.parametrize(
    ("rule", "now", "before"),
    [
        ("messages", "2026-12-20", "2026-11-20"),
        ("answers", "2027-12-29", "2026-10-01"),  # the last of the ninety days
        ("answers", "2027-12-30", "2027-10-01"),
        ("progress", "2028-09-30", "2026-10-01"),
        ("progress", "2028-10-01", "2027-10-01"),
        ("logs", "2027-11-20", "2026-11-20"),
    ],
)
def test_what_is_over_on_a_day(content: Content, rule: str, now: str, before: str) -> None:
    assert retention.cutoff(content.register_.rule(rule), at(now)) == at(before)


def test_every_rule_with_a_clock_has_a_step_and_every_table_with_one_is_purged(
    content: Content,
) -> None:
    register = content.register_
    ruled = {step.rule for step in retention.STEPS}
    timed = {rule.id for rule in register.rules if rule.days is not None}

    assert ruled == timed
    erased = {"learners", "persons"}  # their end takes all rows about them along
    for table in register.tables:
        if table.category is None or table.name in {step.table.name for step in retention.STEPS}:
            continue
        rule = table.rule or register.category(table.category).rule
        assert table.learner or table.person or rule in ("records", "due"), table.name
    assert erased <= {step.table.name for step in retention.STEPS}


def purge(db: Database, content: Content, now: datetime) -> dict[str, int]:
    """What the nightly purge does, a chunk a transaction."""
    done: dict[str, int] = {}
    for step in retention.STEPS:
        with db.read() as conn:
            keys = retention.look(conn, step, content.register_, now)
        for first in range(0, len(keys), step.chunk):
            with db.write() as conn:
                part = keys[first : first + step.chunk]
                rows, _ = retention.finish(conn, step, part, content.register_, now)
                done[step.name] = done.get(step.name, 0) + rows
    return done


def over(db: Database, content: Content, now: datetime) -> int:
    with db.read() as conn:
        return sum(retention.due(conn, step, content.register_, now) for step in retention.STEPS)


def count(db: Database, table: Any, *where: Any) -> int:
    with db.read() as conn:
        return int(conn.execute(select(func.count()).select_from(table).where(*where)).scalar_one())


@pytest.fixture
def settled(db: Database, content: Content) -> tuple[Agency, Planted]:
    """One person with a row in every table, planted on the first day; active on it."""
    with db.write() as conn:
        where = agency(conn)
        who = plant(conn, where, content, BEGIN)
        conn.execute(audit.delete())
        day = BEGIN.astimezone(ZONE).date().toordinal()
        conn.execute(update(profiles).values(active_on=day))
        conn.execute(update(persons).where(persons.c.id == who.person).values(left_on=day))
        conn.execute(update(postings).values(from_on=day - 9, until_on=day))
        conn.execute(update(grants).values(from_on=day - 9, until_on=day))
    return where, who


DAYS = (
    # a day, a table, and whether the planted rows are still there after that day's purge
    ("2026-12-19", "parked", 1),
    ("2026-12-21", "parked", 0),
    ("2026-12-21", "pictures", 0),
    ("2026-11-22", "downloads", 0),
    ("2026-12-21", "claim_tries", 0),
    ("2027-12-29", "facts", 2),
    ("2027-12-30", "facts", 1),
    ("2027-11-19", "wishes", 1),
    ("2027-11-22", "wishes", 0),
    ("2027-11-22", "links", 0),
    ("2028-09-30", "learners", 2),
    ("2028-09-30", "evidence", 1),
    ("2028-10-01", "learners", 0),
    ("2028-10-01", "evidence", 0),
    ("2028-10-01", "certificates", 0),
    ("2028-10-01", "outbox", 0),
    ("2028-10-01", "postings", 0),
)


def test_every_clock_ends_on_its_day(
    db: Database, content: Content, settled: tuple[Agency, Planted]
) -> None:
    for day in sorted({day for day, _, _ in DAYS}):
        now = at(day) + timedelta(hours=12)
        purge(db, content, now)
        assert over(db, content, now) == 0
        for when, table, rows in DAYS:
            if when == day:
                assert count(db, metadata.tables[table]) == rows, (day, table)
    with db.read() as conn:
        names = set(conn.execute(select(persons.c.hr_id)).scalars())
    _, who = settled
    assert f"gone:{who.person}" in names
    assert not any(name.startswith("MARK") for name in names)


def test_words_go_and_their_rows_stay_for_the_counts(
    db: Database, content: Content, settled: tuple[Agency, Planted]
) -> None:
    with db.write() as conn:  # one that still waits is nobody's to blank
        row = {"key": "w", "channel": "web", "address": "a", "lane": "reply", "payload": '{"x":1}'}
        row |= {"created_at": BEGIN, "due": BEGIN, "deadline": BEGIN, "status": "held"}
        conn.execute(insert(outbox).values(**row, learner_id=settled[1].learner))
    purge(db, content, BEGIN + timedelta(days=31))

    with db.read() as conn:
        rows = {row.status: row.payload for row in conn.execute(select(outbox))}
        asked = conn.execute(select(facts.c.data).where(facts.c.kind == "asked_hr")).scalar_one()
    assert rows == {"accepted": "{}", "held": '{"x":1}'}
    assert asked == "{}"


def test_whoever_goes_on_learning_keeps_what_they_have(
    db: Database, content: Content, settled: tuple[Agency, Planted]
) -> None:
    """The clock of progress counts from the year last active."""
    now = at("2028-10-01") + timedelta(hours=12)
    with db.write() as conn:
        active = at("2027-10-05").date().toordinal()
        conn.execute(update(profiles).values(active_on=active))
    purge(db, content, now)

    assert count(db, learners, learners.c.id == settled[1].learner) == 1
    assert count(db, metadata.tables["certificates"]) == 1


def test_a_dry_run_counts_what_a_purge_does(
    db: Database, content: Content, settled: tuple[Agency, Planted]
) -> None:
    now = BEGIN + timedelta(days=31)
    with db.read() as conn:
        counted = {
            step.name: many
            for step in retention.STEPS
            if (many := retention.due(conn, step, content.register_, now))
        }

    assert {name: many for name, many in purge(db, content, now).items() if many} == counted
    assert counted["outbox: words"] == 1


def test_rows_that_are_not_over_are_untouched(
    db: Database, content: Content, settled: tuple[Agency, Planted]
) -> None:
    with db.read() as conn:
        before = _rows(conn)
    purge(db, content, BEGIN + timedelta(hours=20))
    with db.read() as conn:
        assert _rows(conn) == before


def _rows(conn: Any) -> dict[str, list[Any]]:
    return {
        table.name: [tuple(row) for row in conn.execute(select(table))]
        for table in metadata.sorted_tables
    }


def test_every_moment_that_a_rule_needs_is_kept() -> None:
    """Whoever adds a table with personal data gives it a moment to count from."""
    for step in retention.STEPS:
        kinds = {type(column.type) for column in step.table.columns}
        assert Moment in kinds or step.name in ("postings", "persons", "holdouts"), step.name


@pytest.mark.anyio
async def test_each_night_it_happens_by_itself(
    tmp_path: Path, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, in the quiet hours; and at any hour when the machine slept at night. Chunks leave
    room for conversations between them."""
    monkeypatch.chdir(tmp_path)
    url, clock = ready(tmp_path), Clock(BEGIN)
    db = Database(url)
    with db.write() as conn:
        where = agency(conn)
        for _ in range(3):
            plant(conn, where, content, BEGIN)
    db.close()
    given = environment(url)
    app = App(Settings(_env_file=None, **given), content, clock=clock)  # type: ignore[call-arg]
    async with app.running():
        purged: list[datetime] = []
        real = app.keeper.purge

        async def noted() -> dict[str, int]:
            purged.append(clock.now.astimezone(ZONE))
            return await real()

        monkeypatch.setattr(app.keeper, "purge", noted)
        for _ in range(4 * 24 * 2):
            await app.keeper.purge_at_night()
            clock.forward(minutes=30)
        assert [when.hour for when in purged] == [2, 2, 2, 2]
        clock.forward(hours=35)  # it slept
        await app.keeper.purge_at_night()
        assert len(purged) == 5
        clock.forward(days=40)
        await app.keeper.purge_at_night()
        done = await app.read(
            lambda conn: conn.execute(select(audit.c.data).where(audit.c.action == "purged")).all()
        )
    assert "outbox: words" in str(done)
