"""The made-up agency: what `make demo` promises, made by the real flows on both engines."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from bot import demo
from content.load import load_demo
from content.schema import Content
from flows import steps
from flows.engine import handle
from flows.types import Started
from storage import roster
from storage.database import Database
from storage.gathered import decode_state
from storage.models import facts, learners, outbox, parked, persons, timers, units
from tests.databases import ENGINES, fresh

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


@pytest.fixture(scope="module", params=ENGINES)
def agency(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, content: Content
) -> Iterator[Database]:
    db = Database(fresh(request, tmp_path_factory.mktemp("demo")))
    counted: list[int] = []
    demo.load(db, load_demo(), content, NOW, lambda: counted.append(1))
    assert len(counted) == len(load_demo().people)
    yield db
    db.close()


def test_the_agency_is_as_large_and_as_deep_as_promised(agency: Database) -> None:
    with agency.read() as conn:
        people = conn.execute(select(func.count()).select_from(persons)).scalar_one()
        paths = conn.execute(select(units.c.path)).scalars().all()
        bosses = conn.execute(select(func.count(persons.c.supervisor_id.distinct()))).scalar_one()
        walking = conn.execute(select(func.count()).select_from(learners)).scalar_one()

    assert 55 <= people <= 70
    assert max(path.count(" / ") for path in paths) >= 2
    assert bosses >= 8
    assert people / 2 <= walking <= people * 0.8


def test_the_histories_are_spread_over_the_steps_and_end_in_the_past(
    agency: Database, content: Content
) -> None:
    with agency.read() as conn:
        states = [decode_state(s) for s in conn.execute(select(learners.c.state)).scalars()]
        newest = conn.execute(select(func.max(facts.c.at))).scalar_one()
        stuck = conn.execute(select(func.count()).select_from(parked)).scalar_one()
        unsent = select(func.count()).where(outbox.c.status != "accepted")
        late = select(func.count()).where(timers.c.due < NOW, timers.c.kind == "nudge")
        waiting, overdue = (conn.execute(q).scalar_one() for q in (unsent, late))

    reached = {len(steps.done(state, content)) for state in states}
    assert len(reached) >= 5
    assert newest <= NOW
    assert stuck == waiting == overdue == 0


def test_everybody_can_be_played_on(agency: Database, content: Content) -> None:
    with agency.read() as conn:
        rows = roster.people(conn)
    for row in rows:
        if row.state:
            turn = handle(decode_state(row.state), Started(), NOW, content)
            assert turn.replies[-1].choices


def test_codes_are_for_people_whom_nobody_plays_yet(agency: Database) -> None:
    codes = list(demo.codes(agency, NOW))

    assert len({name for name, _ in codes}) == 2
    assert all(len(code) == 16 and code.count("-") == 3 for _, code in codes)
    assert demo.is_loaded(agency)
