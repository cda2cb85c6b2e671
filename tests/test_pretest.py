"""The series of the self-assessment and of the review: which questions, how many, and what is said
of them."""

from collections import Counter
from datetime import UTC, datetime
from statistics import fmean

import pytest
from msgspec.json import decode, encode
from msgspec.structs import replace

from content.schema import Content, alive, area_of
from flows import ability, items, pretest, review
from flows.types import Chose, Floor, Measure, Placed, Record, State
from tests.people import applied, placed

NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)


def begun(seed: int, group: str = "academic") -> State:
    there = replace(placed(NOW), seed=seed, placed=Placed(group, ("roster:6",), "roster"))
    return replace(there, floor=Floor("pretest", "intro"))


def answer(state: State, right: bool, content: Content) -> tuple[State, list[Record]]:
    """One answer, as the flow takes it; the state goes through JSON."""
    question = content.question(state.floor.note["question"])
    chosen = str(question.right) if right else items.UNSURE
    flow = review.answer if state.floor.flow == "review" else pretest.answer
    turn = flow(decode(encode(state), type=State), Chose(chosen), NOW, content)
    return turn.state, [effect for effect in turn.effects if isinstance(effect, Record)]


def played(state: State, content: Content, able: float = 0.5) -> tuple[list[str], State, Record]:
    """A series to its end, right so often: the questions, the state after it, and its fact."""
    flow = review.answer if state.floor.flow == "review" else pretest.answer
    if state.floor.place == "intro":
        state = flow(state, Chose("begin"), NOW, content).state
    asked: list[str] = []
    while state.floor.place == "series":
        asked.append(state.floor.note["question"])
        right = (len(asked) * able) % 1 + able >= 1
        state, facts = answer(state, right, content)
    return asked, state, facts[-1]


@pytest.mark.parametrize("able", [0.0, 0.3, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("seed", [1, 7, 4711])
def test_a_series_asks_every_area_once_or_twice(seed: int, able: float, content: Content) -> None:
    asked, _, fact = played(begun(seed), content, able)
    areas = [area_of(question) for question in asked]
    ids = [area.id for area in content.framework.areas]

    assert pretest.FEWEST <= len(asked) <= pretest.most(content) == 18
    assert sorted(areas[:9]) == sorted(ids)
    assert set(Counter(areas).values()) <= {1, 2}
    assert len(set(asked)) == len(asked)
    assert fact.data["overall"]["asked"] == len(asked)
    assert {area: found["asked"] for area, found in fact.data["areas"].items()} == Counter(areas)
    assert all(
        set(found) == {"right", "asked", "ability", "error"}
        for found in fact.data["areas"].values()
    )


def test_a_series_ends_early_only_where_enough_is_known(content: Content) -> None:
    early = 0
    for seed in range(40):
        asked, state, _ = played(begun(seed), content, 0.5)
        known = state.journey.overall["baseline"].error <= pretest.PRECISE
        assert known or len(asked) == pretest.most(content)
        early += len(asked) < pretest.most(content)

    assert early > 0


def large(content: Content, many: int = 24) -> Content:
    """The same with so many questions in each area, from easy to hard."""
    shelves = {}
    for area in content.framework.areas:
        model = content.questions[area.id][0]
        shelves[area.id] = tuple(
            model.model_copy(
                update={
                    "id": f"{area.id}-n{at}",
                    "difficulty": 4 * at / (many - 1) - 2,
                    "groups": (),
                }
            )
            for at in range(many)
        )
    return content.model_copy(update={"questions": shelves})


def test_whoever_is_right_is_asked_harder_questions(content: Content) -> None:
    bank = large(content)

    def hardness(able: float) -> float:
        series = [played(begun(seed), bank, able)[0][3:] for seed in range(20)]
        return fmean(bank.question(each).difficulty for asked in series for each in asked)

    assert hardness(1.0) > hardness(0.5) + 0.3 > hardness(0.0) + 0.6


def test_the_same_learner_gets_the_same_series_and_others_others(content: Content) -> None:
    assert played(begun(3), content)[0] == played(begun(3), content)[0]
    assert len({tuple(played(begun(seed), content)[0]) for seed in range(10)}) == 10


@pytest.mark.parametrize("given", range(1, 18))
def test_a_series_of_before_goes_on(given: int, content: Content) -> None:
    """Two questions an area, in the order of the areas, were asked before; a state that holds some
    of these answers comes to the same end."""
    areas = [area.id for area in content.framework.areas]
    order = [(areas[at // 2], at % 2) for at in range(given + 1)]
    ids = [alive(content.questions[area])[at].id for area, at in order]
    answers = [[id, content.question(id).difficulty, at % 3 == 0] for at, id in enumerate(ids)]
    note = {"answers": answers[:-1], "avoid": [], "question": ids[-1]}
    seen = dict.fromkeys(ids[:-1], 1)
    old = replace(begun(7), floor=Floor("pretest", "series", note), seen=seen)
    assert pretest.ask(old, NOW, content).text

    asked, state, _ = played(old, content)

    assert given + len(asked) <= pretest.most(content)
    assert set(state.journey.baseline) == set(areas)
    assert not set(ids[:-1]) & set(asked)


def test_a_review_asks_other_questions(content: Content) -> None:
    for seed in range(10):
        first, state, _ = played(begun(seed), content)
        again = replace(state, floor=Floor("review", "intro"))
        second, _, _ = played(again, content)
        assert not set(first) & set(second)


def test_nobody_is_shown_a_gain_that_may_be_chance(content: Content) -> None:
    """In words and in the picture, before and after are one where they cannot be told apart."""
    state = replace(applied(NOW), floor=Floor("review", "intro"))
    _, state, _ = played(state, content, 0.6)
    reply = review.compared(state, content)
    assert reply.picture

    assert "→" not in reply.text
    assert reply.picture.data["before"] == [each["value"] for each in reply.picture.data["axes"]]


def test_a_gain_that_is_clear_is_shown(content: Content) -> None:
    low, high = Measure(0, 40, -1.5, 0.2), Measure(40, 40, 1.5, 0.2)
    state = applied(NOW)
    areas = {**state.journey.baseline, "word": low}
    overall = {"baseline": low, "retest": high}
    state = state.walk(baseline=areas, retest={**areas, "word": high}, overall=overall)
    reply = review.compared(state, content)
    assert reply.picture
    at = [area.id for area in content.framework.areas].index("word")
    before, after = reply.picture.data["before"], reply.picture.data["axes"]
    copy = content.copy_["th"]

    assert reply.text.count("→") == 1
    assert content.area("word").name.th in reply.text
    assert before[at] < after[at]["value"]
    assert copy["compare_overall_up"].partition(" (")[0] in reply.text
    assert copy["compare_unclear"] not in reply.text


def test_a_round_of_before_is_compared_without_the_whole(content: Content) -> None:
    """It kept no measure of all areas together."""
    state = applied(NOW)
    state = state.walk(retest=state.journey.baseline, overall={"retest": Measure(9, 18, 0.0, 0.4)})

    said = review.compared(state, content).text
    begins = [s.partition(" (")[0] for k, s in content.copy_["th"].items() if "_overall_" in k]
    assert len(begins) == 3
    assert not any(each in said for each in begins)


@pytest.mark.parametrize("low", [True, False])
def test_a_profile_says_between_which_bands(low: bool, content: Content) -> None:
    measure = Measure(1, 2, -0.4 if low else 0.4, 0.7)
    said = pretest.in_words(begun(1), content, measure)
    bands = [content.copy_["th"]["band_" + band] for band in ability.bands(measure)]

    assert len(bands) == 2
    assert all(band in said for band in bands)
    unclear = pretest.in_words(begun(1), content, Measure(0, 0, 0.0, 1.0))
    assert unclear == content.copy_["th"]["band_unclear"]


# --- which questions -------------------------------------------------------------------


def test_no_question_is_for_more_than_a_part_of_the_learners(content: Content) -> None:
    """A hand is a part of an area's questions, drawn evenly; two where that would be fewer."""
    dealt: Counter[str] = Counter()
    for seed in range(1000):
        state = begun(seed, group="")
        for area in content.framework.areas:
            dealt.update(question.id for question in items.hand(state, content, area.id))
    for area in content.framework.areas:
        open_to_all = [q for q in alive(content.questions[area.id]) if not q.groups]
        fair = max(len(open_to_all) // items.HAND, items.LEAST) / len(open_to_all)
        for question in open_to_all:
            assert dealt[question.id] / 1000 == pytest.approx(fair, abs=0.06)


def test_no_question_is_asked_of_more_than_a_quarter(content: Content) -> None:
    """Also not the one that suits most people best."""
    bank, asked = large(content), Counter[str]()
    for seed in range(300):
        asked.update(played(begun(seed), bank, (seed % 5) / 4)[0])

    assert max(asked.values()) / 300 <= 0.25


def test_a_hand_stays_the_same_within_a_series(content: Content) -> None:
    state = begun(5)
    before = items.hand(state, content, "word")
    used = before[0].id
    state = items.saw(state, used)

    assert items.hand(state, content, "word", [used]) == before
    assert used not in {question.id for question in items.hand(state, content, "word")}


def test_questions_run_out_before_they_are_repeated(content: Content) -> None:
    state, used = begun(5), list[str]()
    for _ in alive(content.questions["word"]):
        question = items.fit(state, content, "word", used, 0.0)
        used.append(question.id)
        state = items.saw(state, question.id)

    assert len(set(used)) == len(used)
    assert items.fit(state, content, "word", used, 0.0).id in used


def test_the_level_is_the_newest_that_is_known() -> None:
    def of(value: float) -> Measure:
        return Measure(1, 2, value, 0.7)

    state = State(1)
    assert items.level(state, "word") == 0
    state = state.walk(baseline={"word": of(-1.0)}, overall={"baseline": of(0.5)})
    assert items.level(state, "word") == -1
    assert items.level(state, "ai") == 0.5
    state = state.walk(retest={"word": of(1.0)}, overall={"retest": of(0.8)})
    assert items.level(state, "word") == 1
    assert items.level(state, "ai") == 0.8
