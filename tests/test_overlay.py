"""Published content laid over the files: what fits, what does not, and that nobody is harmed."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from content.overlay import (
    Misfit,
    Revised,
    digest,
    entry,
    faults,
    fit,
    moved,
    overlay,
    problems,
    successor,
    with_draft,
)
from content.schema import Content
from flows import exercise, items, lesson, quiz
from flows.engine import handle
from flows.types import Chose, Floor, Pressed, Quizzed, Said, State

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


def body(content: Content, kind: Any, key: str, **changes: Any) -> dict[str, Any]:
    found = entry(content, kind, key)
    assert found is not None
    return {**found, **changes}


def revised(content: Content, kind: Any, key: str, **changes: Any) -> Revised:
    made = body(content, kind, key, **changes)
    return Revised(kind, key, made, digest(entry(content, kind, key)))


def stand_in(content: Content, key: str = "computer-01") -> Revised:
    """The same question with its options the other way round: another item."""
    made = body(content, "question", key)
    new = successor("question", key, [])
    made |= {"id": new, "replaces": key, "option": made["option"][::-1]}
    return Revised("question", new, made)


def test_every_entry_reads_back_as_it_was(content: Content) -> None:
    kinds: list[tuple[Any, dict[str, Any]]] = [
        ("question", content.questions),
        ("lesson", content.lessons),
        ("exercise", content.exercises),
    ]
    for kind, shelf in kinds:
        keys = [item.id for shelved in shelf.values() for item in shelved]
        rows = [revised(content, kind, key) for key in keys]
        laid = overlay(content, rows)
        assert laid.left == ()
        assert [problems(row, content) for row in rows] == [[]] * len(rows)
        assert getattr(laid.content, f"{kind}s") == shelf


def test_mended_words_keep_the_item(content: Content) -> None:
    row = revised(content, "question", "computer-01", stem={"th": "ใหม่", "en": "New"})

    laid = overlay(content, [row])

    assert laid.left == ()
    assert laid.content.question("computer-01").stem.en == "New"
    assert content.question("computer-01").stem.en != "New", "the files stay as they are"
    assert not moved("question", body(content, "question", "computer-01"), row.body)


def test_another_order_or_answer_is_another_item(content: Content) -> None:
    before = body(content, "question", "computer-01")
    options = before["option"]
    swapped = [options[1], options[0], *options[2:]]
    other = [{**option, "correct": at == 0} for at, option in enumerate(options)]
    for changed in (swapped, options[:3], other):
        assert moved("question", before, {**before, "option": changed})
    row = Revised("question", "computer-01", {**before, "option": swapped}, digest(before))
    assert overlay(content, [row]).left == ((row, "structure"),)


def test_the_id_of_a_stand_in_is_free() -> None:
    assert successor("question", "computer-01", []) == "computer-01v2"
    assert successor("question", "computer-01v2", ["computer-01v3"]) == "computer-01v4"


def test_a_replaced_question_is_never_chosen_and_still_answered(content: Content) -> None:
    row = stand_in(content)
    laid = overlay(content, [row]).content
    assert faults(laid) == []
    note = {"area": "computer", "question": "computer-01", "asked": [], "right": 0}
    state = State(7, floor=Floor("quiz", "question", note), stamp=3, welcomed=True, heard_at=NOW)
    state = replace(state, asked_at=NOW)

    before = handle(state, Pressed("3", "2"), NOW, content)
    after = handle(state, Pressed("3", "2"), NOW, laid)

    assert after.effects == before.effects, "the answer counts as it did"
    assert after.replies[0] == before.replies[0]
    chosen = {items.pick(State(seed), laid, "computer", target=0.8).id for seed in range(300)}
    assert "computer-01v2" in chosen
    assert "computer-01" not in chosen


def test_a_stand_in_that_was_withdrawn_is_still_there_for_whoever_is_in_it(
    content: Content,
) -> None:
    row = stand_in(content)._replace(withdrawn=True)

    laid = overlay(content, [row]).content

    assert laid.question("computer-01v2").retired
    assert not laid.question("computer-01").retired


def test_what_a_stand_in_replaced_stays_replaced_when_it_is_replaced_itself(
    content: Content,
) -> None:
    second = stand_in(content)
    third = stand_in(overlay(content, [second]).content, "computer-01v2")

    laid = overlay(content, [second, third]).content

    alive = {item.id for item in laid.questions["computer"] if not item.retired}
    assert "computer-01v3" in alive
    assert not alive & {"computer-01", "computer-01v2"}


def test_retired_lessons_and_exercises_are_not_offered(content: Content) -> None:
    rows = [
        revised(content, "lesson", "computer-l1", retired=True),
        *(revised(content, "exercise", f"computer-x{n}", retired=True) for n in (1, 3, 4)),
    ]
    laid = overlay(content, rows).content
    state = State(1, floor=Floor("lesson", "", {"area": "computer"}))

    assert lesson.begin(state, NOW, laid).state.floor.note["lesson"] == "computer-l2"
    offered = lesson.ask(replace(state, floor=Floor("lesson", "others")), NOW, laid).choices
    assert "computer-l1" not in {choice.id for choice in offered}
    practising = State(1, floor=Floor("exercise", "task", {"exercise": "computer-x2"}))
    other = exercise.answer(practising, Chose("other_exercise"), NOW, laid).state
    assert other.floor.note["exercise"] == "computer-x2"
    reading = State(1, floor=Floor("lesson", "page", {"lesson": "computer-l1", "page": 1}))
    assert lesson.ask(reading, NOW, laid) == lesson.ask(reading, NOW, content)


def test_a_quiz_whose_last_questions_were_replaced_goes_on(content: Content) -> None:
    laid = overlay(content, [stand_in(content)]).content
    state = State(3, floor=Floor("quiz", "failed", {"area": "computer"}))
    state = state.walk(quizzes={"computer": Quizzed(1, 0.0, False, ("computer-01",))})
    assert quiz.begin(state, NOW, laid).state.floor.place == "intro"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (Revised("question", "computer-99", {}, "made from something"), "gone"),
        (Revised("question", "nowhere-01", {}), "gone"),
        (Revised("question", "computer-99", {"id": "computer-99"}), "shape"),
        (Revised("copy", "no_such_sentence", {"th": "x", "en": "x"}, "x"), "gone"),
        (Revised("copy", "quiz_right", {"th": "ไม่มีช่อง", "en": "no gap"}, "x"), "slots"),
        (Revised("copy", "quiz_right", {"th": "{why.__class__}", "en": "{why}"}, "x"), "slots"),
        (Revised("copy", "quiz_right", {"th": "{why", "en": "{why}"}, "x"), "slots"),
        (Revised("step", "seventh", {}, "x"), "gone"),
        (Revised("step", "know", {"name": {"th": "x"}}, "x"), "shape"),
        (Revised("setting", "colour", {}, "x"), "gone"),
        (Revised("setting", "thresholds", {"least": 4}, "x"), "shape"),
        (
            Revised(
                "setting",
                "thresholds",
                {"least": 5, "behind_days": 9, "fewest_pairs": 9, "fewest_answers": 30},
                "x",
            ),
            "promised",
        ),
    ],
)
def test_what_does_not_fit_is_left_out_and_the_rest_is_there(
    content: Content, row: Revised, why: str
) -> None:
    good = revised(content, "step", "know", name={"th": "ขั้นแรก", "en": "First"})

    laid = fit(content, [row, good])

    assert laid.left == ((row, why),)
    assert laid.content.method.steps[0].name.en == "First"
    if why != "gone" or row.kind in ("question",):
        with pytest.raises(Misfit):
            with_draft(content, row)


def test_what_the_lint_is_against_by_now_is_left_out(content: Content) -> None:
    """Such as words that were fine before the files changed."""
    good = Revised("step", "know", body(content, "step", "know"), "x")
    options = body(content, "question", "computer-01")["option"]
    twice = [{**option, "correct": option is options[2]} for option in options]
    alike = {**options[0], "th": {**options[0]["th"], "text": options[1]["th"]["text"]}}
    worse = Revised(
        "question",
        "computer-99",
        body(content, "question", "computer-01", id="computer-99", option=[alike, *twice[1:]]),
    )

    laid = fit(content, [good, worse])

    assert laid.left == ((worse, "lint"),)
    assert any(each.key == "alike" for each in problems(worse, content))


def test_settings_reach_what_reads_them(content: Content) -> None:
    rhythm = {"weekly_after": 2, "pause_after": 4, "busy_minutes": 30, "late_hours": 2}
    rows = [
        Revised("setting", "dpo", {"contact": "dpo@other.go.th"}, "x"),
        Revised("setting", "rhythm", {**rhythm, "time": "09:30"}, "x"),
        Revised("setting", "days", {"days": [
            {"date": "2026-12-21", "name": {"th": "วันสถาปนา", "en": "Founding day"}}]}, "x"),
    ]  # fmt: skip

    made = fit(content, rows)

    assert made.left == ()
    assert made.content.dpo == "dpo@other.go.th"
    assert made.content.nudges.rules.pause_after == 4
    assert made.content.nudges.rules.verbs == content.nudges.rules.verbs
    assert made.content.agency.days[-1].name.en == "Founding day"
    state = State(1, floor=Floor("home"), welcomed=True, heard_at=NOW, stamp=1, asked_at=NOW)
    said = handle(state, Said("help"), NOW, made.content).replies[0].text
    assert "dpo@other.go.th" in said


@pytest.mark.parametrize(
    ("day", "key"),
    [
        ("2026-12-20", "weekend"),
        ("2026-12-31", "public"),
        ("1999-01-04", "beyond"),
        ("2026-12-22", "twice"),
        ("next year", "date"),
    ],
)
def test_a_day_off_must_be_one(content: Content, day: str, key: str) -> None:
    name = {"th": "ก", "en": "x"}
    days = [{"date": "2026-12-22", "name": name}, {"date": day, "name": name}]
    (found,) = problems(Revised("setting", "days", {"days": days}), content)
    assert (found.loc, found.key) == (("days", 1, "date"), key)
    assert found.text("th", content)
    assert found.text("en", content)
