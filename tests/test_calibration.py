"""Difficulties from logged answers: what was true is found again, what is wrong is marked, and
nothing is changed unless somebody says so."""

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from math import sqrt
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import structlog
from sqlalchemy import Connection, insert, select

from bot.cli import app
from content.overlay import entry
from content.schema import Content, alive, area_of
from flows.ability import GENERAL, OWN, chance
from flows.calibration import FEWEST, Calibrated, Said, Sitting, calibrate
from storage import calibration, revisions, roster
from storage.database import ConfigError, Database
from storage.models import audit, facts, learners, profiles
from storage.models import revisions as table
from storage.revisions import Draft
from storage.scope import Denied, Right, Scope
from tests.running import environment, ready, rows

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
EDITOR = Scope(None, (Right("editor"),))
AREAS = ("computer", "word", "safety")
OPTIONS = 4


# --- the estimate ----------------------------------------------------------------------


class World:
    """Made-up questions and people. The author of the questions is off by half a logit; whoever was
    right gets a harder question next, as in the self-assessment."""

    def __init__(self, seed: int, people: int, level: float = 0.4) -> None:
        dice = self.dice = random.Random(seed)
        self.true = {f"{a}-{n:02}": -1.8 + 0.4 * n for a in AREAS for n in range(10)}
        self.old = {id: d + dice.gauss(0, 0.5) for id, d in self.true.items()}
        for area in AREAS:  # their author is right about the area on the whole
            ids = [id for id in self.true if area_of(id) == area]
            off = fmean(self.old[id] - self.true[id] for id in ids)
            self.old |= {id: self.old[id] - off for id in ids}
        self.keys = dict.fromkeys(self.true, 0)
        self.sittings = [self._sitting(level) for _ in range(people)]

    def _sitting(self, level: float) -> Sitting:
        dice = self.dice
        general = level + dice.gauss(0, sqrt(GENERAL))
        able = {area: general + dice.gauss(0, sqrt(OWN)) for area in AREAS}
        asked: dict[str, bool] = {}
        said = []
        for _ in range(4):
            for area in AREAS:
                mine = [right for id, right in asked.items() if area_of(id) == area]
                target = sum(0.7 if right else -0.7 for right in mine) + dice.gauss(0, 0.7)
                left = [id for id in self.true if area_of(id) == area and id not in asked]
                id = min(left, key=lambda each: abs(self.old[each] - target))
                asked[id] = dice.random() < chance(able[area], self.true[id])
                option = 0 if asked[id] else dice.randrange(1, OPTIONS)
                said.append(Said(id, area, option, asked[id]))
        return Sitting("pretest", tuple(said))

    def keyed(self, question: str, key: int) -> list[Sitting]:
        """The same answers, had somebody marked another option as right."""

        def marked(said: Said) -> Said:
            return said._replace(right=said.option == key) if said.question == question else said

        return [each._replace(answers=tuple(map(marked, each.answers))) for each in self.sittings]


@pytest.fixture(scope="module")
def world() -> World:
    return World(1, 800)


@pytest.fixture(scope="module")
def found(world: World) -> dict[str, Calibrated]:
    return {each.question: each for each in calibrate(world.sittings, world.old, 60)}


def off(values: dict[str, float], true: dict[str, float]) -> float:
    return sqrt(fmean((value - true[id]) ** 2 for id, value in values.items()))


def test_true_difficulties_are_found_again(world: World, found: dict[str, Calibrated]) -> None:
    """Though the questions were chosen by the answers, and by difficulties that were wrong; and
    though the people are abler on the whole than was assumed."""
    known = {id: each.new for id, each in found.items() if each.new is not None}
    before = off({id: world.old[id] for id in known}, world.true)

    assert len(known) > 25
    assert off(known, world.true) < before / 2
    assert off(known, world.true) < 0.2


def test_standard_errors_tell_how_far_off_it_is(world: World, found: dict[str, Calibrated]) -> None:
    scores = [
        (each.new - world.true[id]) / each.error
        for id, each in found.items()
        if each.new is not None and each.error is not None
    ]

    assert 0.6 < sqrt(fmean(score * score for score in scores)) < 1.4
    assert sum(abs(score) < 2 for score in scores) > 0.85 * len(scores)


def test_where_the_model_holds_nothing_is_marked(found: dict[str, Calibrated]) -> None:
    fits = [each for each in found.values() if each.infit is not None]

    assert fmean(each.infit or 0 for each in fits) == pytest.approx(1, abs=0.03)
    assert fmean(each.outfit or 0 for each in fits) == pytest.approx(1, abs=0.05)
    pairs = [(each.correlation or 0, each.expected or 0) for each in fits]
    assert fmean(one - other for one, other in pairs) == pytest.approx(0, abs=0.03)
    assert sum(bool(each.flags) for each in fits) <= 2


def test_an_area_keeps_its_scale(world: World, found: dict[str, Calibrated]) -> None:
    """That people are abler than assumed does not make every question easier."""
    for area in AREAS:
        moved = sorted(
            each.new - each.old
            for each in found.values()
            if each.area == area and each.new is not None
        )
        rest = len(moved) // 4
        assert fmean(moved[rest : len(moved) - rest]) == pytest.approx(0, abs=0.01)


def test_a_wrong_key_is_marked_and_moves_no_other(
    world: World, found: dict[str, Calibrated]
) -> None:
    changed = {each.question: each for each in calibrate(world.keyed("word-04", 2), world.old, 60)}

    assert "key" in changed["word-04"].flags
    others = [id for id in found if area_of(id) == "word" and id != "word-04" and found[id].new]
    for id in others:
        assert changed[id].new == pytest.approx(found[id].new, abs=0.3)
        assert changed[id].flags == found[id].flags


def test_answers_by_chance_are_marked(world: World) -> None:
    dice = random.Random(2)

    def guessed(said: Said) -> Said:
        return said._replace(right=dice.random() < 0.5) if said.question == "safety-05" else said

    sittings = [each._replace(answers=tuple(map(guessed, each.answers))) for each in world.sittings]
    marked = {each.question: each for each in calibrate(sittings, world.old, 60)}["safety-05"]

    assert "weak" in marked.flags
    assert marked.correlation is not None
    assert marked.expected is not None
    assert marked.correlation < marked.expected / 2


def test_too_few_answers_say_nothing(world: World) -> None:
    found = calibrate(world.sittings[:40], world.old, 60)

    assert {each.flags for each in found} == {("too_few",)}
    assert all(each.new is None and each.infit is None for each in found)
    assert calibrate([], world.old, 60)[0].answers == 0


def test_an_area_with_few_such_questions_is_left_alone(world: World) -> None:
    """Its scale would hang on them."""
    few = {f"word-{n:02}" for n in range(FEWEST - 1)}
    sittings = [
        each._replace(
            answers=tuple(s for s in each.answers if s.area != "word" or s.question in few)
        )
        for each in world.sittings
    ]
    found = calibrate(sittings, world.old, 60)

    assert {each.flags for each in found if each.area == "word"} == {("too_few",)}
    assert any(each.new is not None for each in found if each.area == "safety")


def test_purposes_may_differ_in_ability(world: World) -> None:
    """The abler in a quiz do not make its questions look easy."""
    quiz = [each._replace(purpose="quiz") for each in World(3, 500, level=1.4).sittings]
    known = {
        each.question: each.new
        for each in calibrate([*world.sittings, *quiz], world.old, 60)
        if each.new is not None
    }

    assert off(known, world.true) < 0.2


# --- logged answers --------------------------------------------------------------------


def said(conn: Connection, learner: int, question: str, **more: Any) -> None:
    data = {"question": question, "area": area_of(question), "option": 1, "right": True}
    data |= {"purpose": "pretest", "round": 1, "seconds": 5}
    at = more.pop("at", NOW)
    row = {"learner_id": learner, "at": at, "kind": "answered", "data": json.dumps(data | more)}
    conn.execute(insert(facts).values(row))


def somebody(conn: Connection, id: int, *, restricted: bool = False) -> int:
    there = {"id": id, "channel": "web", "address": f"a{id}", "state": "{}", "created_at": NOW}
    conn.execute(insert(learners).values(there))
    row = {"learner_id": id, "channel": "web", "address": f"a{id}", "lang": "th"}
    conn.execute(insert(profiles).values(row | {"restricted": restricted}))
    return id


@pytest.fixture
def conn(db: Database) -> Iterator[Connection]:
    with db.write() as conn:
        yield conn


def test_sittings_are_what_was_answered_for_the_first_time(conn: Connection) -> None:
    one = somebody(conn, 1)
    said(conn, one, "word-01", right=False, option=None)
    said(conn, one, "computer-01")
    said(conn, one, "word-01", purpose="quiz")  # known already
    said(conn, one, "word-02", purpose="quiz")
    said(conn, one, "computer-02", purpose="quiz")
    said(conn, one, "word-03", purpose="retest")

    found = calibration.sittings(conn)

    assert [(each.purpose, [said.question for said in each.answers]) for each in found] == [
        ("pretest", ["word-01", "computer-01"]),
        ("quiz", ["word-02"]),
        ("quiz", ["computer-02"]),
        ("retest", ["word-03"]),
    ]
    assert found[0].answers[0] == Said("word-01", "word", None, False)


def test_sittings_keep_to_the_days_that_are_asked_for(conn: Connection) -> None:
    """A question that was met before that day is none of the first time."""
    one = somebody(conn, 1)
    said(conn, one, "word-01", at=NOW - timedelta(days=9))
    said(conn, one, "word-01")
    said(conn, one, "word-02")

    found = calibration.sittings(conn, NOW - timedelta(days=1))

    assert [said.question for each in found for said in each.answers] == ["word-02"]


def test_whoever_withholds_their_data_is_in_no_sitting(conn: Connection) -> None:
    said(conn, somebody(conn, 1, restricted=True), "word-01")
    assert calibration.sittings(conn) == []


def test_of_very_many_the_newest_learners_are_taken(conn: Connection) -> None:
    for id in range(1, 6):
        said(conn, somebody(conn, id), f"word-0{id}")

    found = calibration.sittings(conn, most=2)

    assert [said.question for each in found for said in each.answers][:2] == ["word-05", "word-04"]
    assert len(found) < 5


# --- publishing ------------------------------------------------------------------------


def publish(conn: Connection, content: Content, *changes: calibration.Change) -> dict[str, str]:
    prepared = calibration.prepare(conn, content, changes)
    calibration.publish(conn, EDITOR, prepared, NOW)
    return prepared.became


def test_a_difficulty_is_published_as_the_console_does_it(
    conn: Connection, content: Content
) -> None:
    old = content.question("word-01").difficulty
    became = publish(conn, content, ("word-01", old, 1.23, "why"))
    (there,) = revisions.standing(conn)

    assert became == {"word-01": "done"}
    assert there.body == (entry(content, "question", "word-01") or {}) | {"difficulty": 1.23}
    assert there.base
    (past,) = revisions.history(conn, "question", "word-01")
    assert (past.note, past.status, past.number) == ("why", "published", 1)
    actions = [(each.action, each.target) for each in conn.execute(select(audit))]
    assert actions == [("content_published", "question:word-01")]


def test_what_somebody_else_is_at_is_left_alone(conn: Connection, content: Content) -> None:
    old = content.question("word-01").difficulty
    body = (entry(content, "question", "word-02") or {}) | {"sub_skill": "styles"}
    revisions.save(conn, EDITOR, Draft("question", "word-02", "word-02", body, ""), "", NOW)
    second = content.question("word-02").difficulty

    became = publish(
        conn,
        content,
        ("word-01", old + 1, 0.5, "why"),
        ("word-02", second, 0.5, "why"),
        ("word-99", 0.0, 0.5, "why"),
    )

    assert became == {"word-01": "moved", "word-02": "drafted", "word-99": "moved"}
    assert revisions.standing(conn) == ()


def test_what_the_lint_refuses_is_not_published(conn: Connection, content: Content) -> None:
    old = content.question("word-01").difficulty
    with pytest.raises(calibration.Unfit):
        publish(conn, content, ("word-01", old, 9.0, "why"))
    assert conn.execute(select(table)).all() == []


def test_it_takes_the_right_and_an_edition_that_stands(conn: Connection, content: Content) -> None:
    old = content.question("word-01").difficulty
    prepared = calibration.prepare(conn, content, [("word-01", old, 0.5, "why")])
    with pytest.raises(Denied):
        calibration.publish(conn, Scope(None, (Right("approver"),)), prepared, NOW)
    publish(conn, content, ("word-02", content.question("word-02").difficulty, 0.5, "why"))
    with pytest.raises(revisions.Stale):
        calibration.publish(conn, EDITOR, prepared, NOW)


# --- the command -----------------------------------------------------------------------

Type = Callable[..., str]
EASY = "word-01"


@pytest.fixture
def logged(tmp_path: Path, content: Content, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with 200 people who answered all of an area as its author expects, but for one
    question that is far harder."""
    monkeypatch.chdir(tmp_path)
    url = ready(tmp_path)
    for name, value in environment(url).items():
        monkeypatch.setenv(name, value)
    db, dice = Database(url), random.Random(4)
    with db.write() as conn:
        for id in range(1, 201):
            somebody(conn, id)
            able = dice.gauss(0, 1)
            for question in alive(content.questions["word"])[:10]:
                harder = 2.0 if question.id == EASY else 0.0
                right = dice.random() < chance(able, question.difficulty + harder)
                option = question.right if right else (question.right + dice.randrange(1, 3)) % 3
                said(conn, id, question.id, right=right, option=option)
    db.close()
    return url


@pytest.fixture
def types(capsys: pytest.CaptureFixture[str]) -> Iterator[Type]:
    def run(*line: str) -> str:
        app(["content", "calibrate", *line], standalone_mode=False)
        return capsys.readouterr().out

    yield run
    structlog.reset_defaults()


def test_the_command_changes_nothing_by_itself(logged: str, types: Type) -> None:
    shown = types("--lang", "en")

    assert EASY in shown
    assert "Difficulty so far" in shown
    assert "Too few to tell" in shown
    assert rows(logged, select(table)) == []
    noted = [each for each in rows(logged, select(audit)) if each.action == "content_calibrated"]
    assert len(noted) == 1
    assert json.loads(noted[0].data)["published"] == 0


def test_the_command_publishes_what_clearly_differs(
    logged: str, types: Type, content: Content
) -> None:
    old = content.question(EASY).difficulty
    shown = types("--apply", "--lang", "en")
    published = {row.key: row for row in rows(logged, select(table))}

    assert f"{EASY}: {old:+.2f}" in shown
    assert "published" in shown
    assert json.loads(published[EASY].body)["difficulty"] == pytest.approx(old + 2, abs=0.6)
    assert published[EASY].note.startswith(f"Difficulty from 200 answers: {old:+.2f}")
    assert len(published) < 5
    again = types("--apply", "--lang", "en")
    assert EASY + ":" not in again


def test_the_table_as_a_file(logged: str, types: Type, tmp_path: Path) -> None:
    for format in ("csv", "xlsx", "json"):
        types("--out", str(tmp_path / f"it.{format}"))
    made = json.loads((tmp_path / "it.json").read_text(encoding="utf-8"))
    row = next(each for each in made["rows"] if each["question"] == EASY)

    assert row["answers"] == 200
    assert row["estimate"] > row["difficulty"] + 1
    assert 0 < row["error"] < 0.3
    assert b"infit" in (tmp_path / "it.csv").read_bytes().lower()
    assert (tmp_path / "it.xlsx").stat().st_size > 1000


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (("--least", "10"), "--least"),
        (("--lang", "fr"), "--lang"),
        (("--since", "yesterday"), "--since"),
        (("--format", "pdf"), "--format"),
        (("--by", "nobody"), "--by"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    logged: str, types: Type, line: tuple[str, ...], why: str
) -> None:
    with pytest.raises(ConfigError, match=why) as error:
        types(*line)
    assert "\n" not in str(error.value)


def test_an_officer_without_the_right_is_refused(logged: str, types: Type) -> None:
    db = Database(logged)
    with db.write() as conn:
        unit = roster.add_unit(conn, "top")
        who = roster.add_person(conn, hr_id="A1", name="Approver", unit_id=unit)
        roster.grant(conn, who, "approver", datetime.now(UTC))
    db.close()

    assert EASY in types("--by", "A1")
    with pytest.raises(ConfigError, match="no right"):
        types("--by", "A1", "--apply")
