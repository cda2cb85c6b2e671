"""What reports read in the narrow tables is what the facts say."""

from datetime import UTC, datetime

from msgspec.json import decode
from sqlalchemy import select

from bot.demo import Visitor, people
from content.load import load_demo
from content.schema import Content
from storage import privacy
from storage.database import Database
from storage.models import evidence, facts, learners, measures, milestones, profiles

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


def walked(db: Database, content: Content, many: int) -> None:
    """The made-up people who have come furthest walk their way, by the real flows."""
    demo = load_demo()
    far = sorted(demo.people, key=lambda person: -person.reach)[:many]
    with db.write() as conn:
        ids = people(conn, demo, NOW)
        for at, person in enumerate(far):
            Visitor(conn, person, ids[person.hr_id], demo.uses, content, NOW, at).walk()


def test_the_narrow_tables_say_what_the_facts_say(db: Database, content: Content) -> None:
    walked(db, content, 2)
    steps, abilities, uses, confirmed = set(), {}, {}, set()
    with db.read() as conn:
        for fact in conn.execute(select(facts).order_by(facts.c.id)):
            data = decode(fact.data)
            if fact.kind == "step_done":
                steps.add((fact.learner_id, data["round"], data["step"], fact.at))
            elif fact.kind == "measured":
                side = {"baseline": 0, "retest": 1}[data["when"]]
                for area, found in data["areas"].items():
                    key = (fact.learner_id, data["round"], area)
                    abilities.setdefault(key, [None, None])[side] = found["ability"]
            elif fact.kind == "used_at_work":
                uses[fact.id] = (fact.learner_id, fact.at, data["round"], data["shared"])
            elif fact.kind == "use_confirmed":
                confirmed.add(data["use"])

        kept = conn.execute(select(*milestones.c)).all()
        assert {tuple(row) for row in kept} == steps
        assert len(kept) == len(steps) >= 12
        both = conn.execute(select(measures)).all()
        assert {
            (row.learner_id, row.round, row.area): [row.before, row.after] for row in both
        } == abilities
        assert len(abilities) == 18
        told = conn.execute(select(evidence)).all()
        assert {
            row.fact_id: (row.learner_id, row.at, row.round, row.shared) for row in told
        } == uses
        assert {row.fact_id for row in told if row.confirmed_at} == confirmed
        assert uses
        standing = conn.execute(select(profiles.c.unit_id, profiles.c.step)).all()
        assert all(unit for unit, _ in standing)


def test_nothing_is_left_in_them_of_somebody_erased(db: Database, content: Content) -> None:
    walked(db, content, 2)
    with db.write() as conn:
        first, second = conn.execute(select(learners.c.id).order_by(learners.c.id)).scalars()
        privacy.erase(conn, [first])
    with db.read() as conn:
        for table in (milestones, measures, evidence):
            left = conn.execute(select(table.c.learner_id).distinct()).scalars()
            assert list(left) == [second]
