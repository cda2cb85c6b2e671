"""The simulator: a made-up learner at any step and on any day, and nothing of it anywhere else."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot import simulations
from bot.app import App
from bot.simulation import FINISHED, FRESH, Simulation, Start
from bot.simulations import EACH, IDLE, MOST, Held, Simulations
from content.schema import LANGS, Content
from flows import steps
from storage.models import metadata
from tests.dialog import played
from tests.offices import Office

AT = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
"""A Tuesday, 10:00 in Bangkok."""
FORM = {
    "persona": "DEMO-014",
    "place": "fresh",
    "channel": "line",
    "lang": "th",
    "nudges": "1",
    "date": "2026-12-01",
    "time": "10:00",
}
LEFT_OUT = ("sessions", "audit", "heartbeats", "leases", "alembic_version")
"""Tables that change by somebody's being signed in, or by time."""


@pytest.fixture(scope="module")
def kept() -> Simulations:
    """Keeps what it has walked once."""
    return Simulations()


def begin(kept: Simulations, content: Content, place: str = FRESH, **more: Any) -> Simulation:
    who = {} if {"unit", "group"} & more.keys() else {"persona": "DEMO-014"}
    budget = more.pop("budget", None)
    start = Start(more.pop("at", AT), place=place, **who, **more)
    return kept.begin(1, content, start, budget).simulation


def told(simulation: Simulation) -> list[str]:
    """What happened beside the conversation, by its keys."""
    return [each.text for each in simulation.entries if each.kind == "note"]


def unasked(simulation: Simulation) -> list[str]:
    return [each.replies[0].text for each in simulation.entries if each.unasked]


# --- the learner -----------------------------------------------------------------------------


@pytest.mark.parametrize("channel", ["line", "telegram"])
def test_the_real_path_leads_to_every_place(
    kept: Simulations, content: Content, channel: str
) -> None:
    path = [activity for step in content.method.steps for activity in step.activities]
    for place in (*path, FINISHED):
        made = begin(kept, content, place, channel=channel)
        state = made.state()
        here = steps.current(state, content)
        assert (here[1] if here else FINISHED) == place
        assert (state.floor.flow, made.now, made.blocked) == ("home", AT, False)
        assert state.person is not None
        assert "parked" not in told(made)


def test_somebody_fresh_has_said_nothing_and_can_claim_their_entry(
    kept: Simulations, content: Content
) -> None:
    made = begin(kept, content)
    assert made.entries == []
    made.follow()
    for choice in ("agree", "yes_allow", "claim"):
        made.press(str(made.state().stamp), choice)
    made.say(made.code())

    person = made.state().person
    assert person is not None
    assert (person.name, made.state().lang) == (made.persona.name, "th")  # type: ignore[union-attr]


def test_whoever_is_described_is_of_that_group_unit_and_language(
    kept: Simulations, content: Content
) -> None:
    for group in content.framework.groups:
        made = begin(kept, content, "pretest", name="Nobody", unit="Unit X", group=group.id,
                     lang="en")  # fmt: skip
        state = made.state()
        assert state.placed is not None
        assert state.person is not None
        assert (state.placed.group, state.person.unit, state.lang) == (group.id, "Unit X", "en")
    guest = begin(kept, content, "pretest", group="academic").state()
    assert guest.person is None


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("channel", ["line", "telegram"])
def test_what_is_taken_along_can_be_played_as_a_test(
    kept: Simulations, content: Content, channel: str, lang: str
) -> None:
    made = begin(kept, content, "exercise", channel=channel, lang=lang)
    made.press("*", "progress")
    made.press("1", "old")
    made.send("photo")
    made.say("hello [A]")
    made.forward(AT + timedelta(days=30))
    made.block()
    made.follow()
    written = made.transcript("A learner comes back.")

    assert played(written, content) == written


# --- time ------------------------------------------------------------------------------------


def test_the_next_reminder_comes_with_its_reason(kept: Simulations, content: Content) -> None:
    made = begin(kept, content, "lesson")
    due = made.next_due()
    assert due is not None
    made.forward(due)

    assert made.now == due
    assert len(unasked(made)) == 1
    note = next(each for each in made.entries if each.text == "fired")
    assert note.slots["nudged"]["kind"] == "study"


def test_what_comes_outside_the_hours_waits_and_says_until_when(
    kept: Simulations, content: Content
) -> None:
    """The code of a colleague is confirmed on a Saturday: told on Monday."""
    made = begin(kept, content, "lesson", at=datetime(2026, 12, 5, 13, 0, tzinfo=UTC))
    made.say("เตือนพรุ่งนี้เก้าโมง")
    made.forward(made.now + timedelta(days=1))
    assert unasked(made), "their own time may be on a Sunday"


def test_an_empty_month_holds_back_until_the_learner_speaks(
    kept: Simulations, content: Content
) -> None:
    made = begin(kept, content, "lesson", budget=0)
    made.forward(made.next_due() or AT)
    kinds = [each.slots for each in made.entries if each.text == "kept"]
    assert [(each["status"], each["why"]) for each in kinds] == [("held", "quota")]
    assert unasked(made) == []
    rich = begin(kept, content, "lesson", budget=100)
    rich.forward(rich.next_due() or AT)
    assert len(unasked(rich)) == 1


def test_whoever_blocks_the_bot_gets_nothing(kept: Simulations, content: Content) -> None:
    made = begin(kept, content, "lesson")
    made.block()
    made.forward(AT + timedelta(days=10))
    assert unasked(made) == []
    assert {each.slots["why"] for each in made.entries if each.text == "kept"} == {"unreachable"}
    made.follow()
    assert made.entries[-1].kind == "said"


def test_a_photo_waits_for_nobody(kept: Simulations, content: Content) -> None:
    """A row that fetches it would hold the clock for ever."""
    made = begin(kept, content, "apply")
    made.press(str(made.state().stamp), "go")
    for word in ("รายงาน", "เพื่อนร่วมงาน", "งานเร็วขึ้น"):
        made.say(word)
    made.send("photo")
    made.press(str(made.state().stamp), "no_share")
    for _ in range(3):
        state = made.state()
        if state.floor.flow != "apply":
            break
        made.press(str(state.stamp), {"confirm": "no_confirm"}.get(state.floor.place, "save"))
    made.forward(AT + timedelta(days=20))

    assert "many" not in told(made)
    assert made.now == AT + timedelta(days=20)


def test_erased_the_learner_is_somebody_new(kept: Simulations, content: Content) -> None:
    made = begin(kept, content, "plan")
    before = made.state().seed
    made.say("ลบข้อมูลของฉัน")
    for _ in range(6):
        state = made.state()
        if state.seed != before or state.person is None:
            break
        ids = [c.id for r in made.entries[-1].replies for c in r.choices]
        wanted = next((i for i in ids if "erase" in i or i.startswith("yes")), None)
        if wanted is None:
            break
        made.press(str(state.stamp), wanted)
    made.forward(made.now + timedelta(days=40))
    made.say("สวัสดี")
    assert "parked" not in told(made)


# --- nothing else hears of it ----------------------------------------------------------------


def dump(office: Office) -> dict[str, list[Any]]:
    tables = [each for each in metadata.sorted_tables if each.name not in LEFT_OUT]
    return {each.name: sorted(map(repr, office.edge.rows(select(each)))) for each in tables}


def start(office: Office, **fields: str) -> str:
    answer = office.send("/console/simulator", **FORM | fields)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"]).partition("#")[0]


def version(html: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', html)
    assert found
    return found[1]


def do(office: Office, path: str, more: str = "", **fields: str) -> Any:
    """A form of the page as it is now; the page that comes of it."""
    fields = {"version": version(office.get(path).text)} | fields
    answer = office.send(path + more, **fields)
    if answer.status_code == 303:
        return office.get(str(answer.headers["location"]).partition("#")[0])
    return answer


def test_a_long_simulation_writes_nothing_anywhere(either: Office) -> None:
    office = either
    office.enter("hr")
    before = dump(office)
    for channel in ("line", "telegram"):
        path = start(office, place="exercise", channel=channel)
        page = office.get(path)
        for n in range(12):
            buttons = re.findall(r'name="press" value="([^"]+)"', page.text)
            page = do(office, path, press=buttons[-1 - n % len(buttons)])
            assert page.status_code == 200
        do(office, path, do="say", text="poison สวัสดี")
        do(office, path, do="send", kind="photo")
        for by in ("next", "hour", "day", "workday", "next"):
            assert do(office, path, "/clock", by=by).status_code in (200, 422)
        do(office, path, do="block")
        do(office, path, do="follow")
        do(office, path, do="say", text="ลบข้อมูลของฉัน")
        assert office.get(path + "/transcript").status_code == 200
        office.send(path + "/end")

    assert dump(office) == before
    assert not list(office.edge.app.var.glob("photos/*"))
