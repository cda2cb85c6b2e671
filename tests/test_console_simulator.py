"""The simulator: a made-up learner at any step and on any day, and nothing of it anywhere else."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot.simulation import FINISHED, FRESH, SEED, Simulation, Start, stations
from bot.simulations import EACH, IDLE, MOST, Held, Over, Simulations
from content.schema import Content
from flows import steps
from flows.calendar import day_off, local
from storage.database import DOWN
from storage.looks import wake
from storage.models import metadata, publications
from tests.dialog import played
from tests.offices import Office
from tests.running import eventually

AT = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
"""A Tuesday, 10:00 in Bangkok."""
FORM: dict[str, Any] = {
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
    if not {"unit", "group"} & more.keys():
        more["persona"] = "DEMO-014"
    budget = more.pop("budget", None)
    start = Start(more.pop("at", AT), place=place, **more)
    return kept.begin(1, content, start, budget).simulation


def told(simulation: Simulation) -> list[str]:
    """What happened beside the conversation, by its keys."""
    return [each.text for each in simulation.entries if each.kind == "note"]


def unasked(simulation: Simulation) -> list[str]:
    return [each.replies[0].text for each in simulation.entries if each.unasked]


# --- the learner -----------------------------------------------------------------------------


def test_the_real_path_leads_to_every_place(kept: Simulations, content: Content) -> None:
    for place in (*(activity for _, activity in stations(content)), FINISHED):
        made = begin(kept, content, place)
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
    assert (made.persona and made.persona.name) == person.name


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


@pytest.mark.parametrize(("channel", "lang"), [("line", "th"), ("telegram", "en")])
def test_what_is_taken_along_can_be_played_as_a_test(
    kept: Simulations, content: Content, channel: str, lang: str
) -> None:
    made = begin(kept, content, "exercise", channel=channel, lang=lang)
    made.press("*", "progress")
    old = next(reply for each in made.entries for reply in each.replies if reply.choices)
    made.press(old.stamp, old.choices[0].id)
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


def test_nothing_comes_on_a_holiday(kept: Simulations, content: Content) -> None:
    """10 December 2569 is one, a Thursday."""
    made = begin(kept, content, "lesson", at=datetime(2026, 12, 7, 3, 0, tzinfo=UTC))
    made.forward(made.now + timedelta(days=12))
    times = [each.at for each in made.entries if each.unasked]
    assert len(times) > 1
    assert all(day_off(local(at).date(), content) is None for at in times)


def test_what_may_not_go_now_waits_and_says_until_when(kept: Simulations, content: Content) -> None:
    """A supervisor's word comes at night; it goes out with the next morning."""
    made = begin(kept, content, "lesson", at=datetime(2026, 12, 1, 15, 0, tzinfo=UTC))
    with made.db.write() as conn:
        wake(conn, SEED, "use_confirmed", "1", made.now, {"where": "report"})
    made.forward(made.now)
    note = next(each for each in made.entries if each.text == "kept")
    until = datetime(2026, 12, 2, 1, 30, tzinfo=UTC)
    assert (note.slots["status"], note.slots["why"]) == ("queued", "hours")
    assert datetime.fromisoformat(note.slots["until"]) == until
    assert unasked(made) == []
    made.forward(until)
    assert len(unasked(made)) == 1


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


def start(office: Office, **fields: Any) -> str:
    answer = office.send("/console/simulator", **FORM | fields)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"]).partition("#")[0]


def version(html: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', html)
    assert found
    return found[1]


def do(office: Office, path: str, more: str = "", **fields: Any) -> Any:
    """A form of the page as it is now; the page that comes of it."""
    fields.setdefault("version", version(office.get(path).text))
    answer = office.send(path + more, **fields)
    if answer.status_code == 303:
        return office.get(str(answer.headers["location"]).partition("#")[0])
    return answer


def test_a_long_simulation_writes_nothing_anywhere(either: Office) -> None:
    office = either
    office.enter("hr")
    eventually(lambda: office.edge.rows(select(publications)))  # the ticker has made its figures
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


# --- the pages -------------------------------------------------------------------------------


def mine(office: Office, who: str = "hr") -> list[Held]:
    return office.edge.app.simulations.of(office.agency.persons[who])


def test_who_may_simulate(office: Office) -> None:
    walls = {"hr": 200, "hr1": 200, "approver": 200, "admin": 200, "privacy": 403, "ocsc": 403}
    for who, status in walls.items():
        office.enter(who)
        assert office.get("/console/simulator").status_code == status, who


WRONG = [
    ("persona", "DEMO-999"), ("persona", ""), ("place", "nowhere"), ("place", "finish"),
    ("channel", "web"), ("lang", "fr"), ("date", ""), ("date", "2569-12-01"), ("date", "20261201"),
    ("date", "1999-01-01"), ("time", "25:00"), ("time", "10:00:00+07:00"), ("budget", "-1"),
    ("budget", "\u0663"), ("budget", "9" * 5000), ("name", "x" * 101), ("unit", "x" * 101),
]  # fmt: skip


def test_a_beginning_that_makes_no_sense_is_explained(office: Office) -> None:
    office.enter("hr")
    for field, value in WRONG:
        answer = office.send("/console/simulator", **FORM | {"name": "somebody"} | {field: value})
        assert answer.status_code == 422, field
        assert f'id="{field}-fault"' in answer.text, field
        assert 'value="somebody"' in answer.text or field == "name"
    described = FORM | {"persona": "described", "unit": "Unit", "group": "nothing"}
    answer = office.send("/console/simulator", **described)
    assert 'id="name-fault"' in answer.text
    assert 'id="group-fault"' in answer.text
    assert mine(office) == []


def test_a_conversation_as_an_officer_would_try_it(office: Office) -> None:
    office.enter("hr", "en")
    path = start(office)
    page = do(office, path, do="follow")
    press = re.findall(r'name="press" value="(\d+:\w+)"', page.text)
    assert press[0].endswith(":agree")
    do(office, path, press=press[0])
    page = do(office, path, do="say", text="<script>alert(1)</script>")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text
    page = do(office, path, "/clock", by="day")
    assert "2 December 2026 10:00" in page.text
    file = office.get(path + "/transcript")
    assert file.headers["content-disposition"].startswith("attachment")
    assert "> (start)" in file.text
    assert "Open simulations" in office.get("/console/simulator").text


def test_both_channels_show_their_buttons_their_way(office: Office) -> None:
    """LINE has them at the end only; on Telegram each message keeps its own."""
    office.enter("hr")
    for channel, kept in (("line", False), ("telegram", True)):
        path = start(office, channel=channel)
        page = do(office, path, do="follow")
        assert 'value="1:agree"' in page.text
        page = do(office, path, press="1:agree")
        assert ('value="1:agree"' in page.text) == kept
    assert do(office, path, press="1:agree").status_code == 200, "an old button is no fault"


def test_pictures_are_drawn_for_their_officer_only(office: Office) -> None:
    office.enter("hr")
    path = start(office, place="plan")
    page = do(office, path, press="*:progress")
    found = re.findall(r'src="(/console/simulator/[^"]+)"', page.text)
    assert office.get(found[-1]).content.startswith(b"\x89PNG")
    assert office.get(found[-1] + "x").status_code == 404
    office.enter("hr1")
    assert office.get(found[-1]).status_code == 404


def test_what_no_page_offers_changes_nothing(office: Office) -> None:
    office.enter("hr")
    path = start(office)
    do(office, path, do="follow")
    before = version(office.get(path).text)
    for text in ("", "   ", "\x00", "x" * 4001):
        answer = do(office, path, do="say", text=text)
        assert answer.status_code == 422
        assert 'id="text-fault"' in answer.text
        assert text.strip("\x00 ") in answer.text, "what was typed is kept"
    bad: list[dict[str, str]] = [
        {}, {"do": "nothing"}, {"do": "send", "kind": "virus"}, {"press": "agree"},
        {"press": "1:" + "x" * 1000}, {"press": "*:nonsense"}, {"press": "\u0e01:agree"},
    ]  # fmt: skip
    for fields in bad:
        assert do(office, path, **fields).status_code == 400, fields
    assert do(office, path, "/clock", by="century").status_code == 400
    for day in ("2026-11-01", "2999-11-01", "x", ""):
        late = do(office, path, "/clock", by="at", date=day, time="10:00")
        assert late.status_code == 422, day
    assert do(office, path, "/clock", by="next").status_code == 422, "nothing is due"
    assert version(office.get(path).text) == before
    assert "2569 10:00" in office.get(path).text


def test_a_form_that_is_sent_twice_is_done_once(office: Office) -> None:
    office.enter("hr")
    path = start(office)
    do(office, path, do="follow")
    seen = version(office.get(path).text)
    assert office.send(path, do="say", text="once", version=seen).status_code == 303
    again = office.send(path, do="say", text="twice", version=seen)
    assert again.status_code == 422
    assert "twice" in again.text, "what was typed is kept"
    assert office.send(path + "/clock", by="day", version=seen).status_code == 422
    did = [each.text for each in mine(office)[0].simulation.entries if each.kind == "did"]
    assert did[1:] == ["once"]


def test_whoever_has_blocked_the_bot_says_nothing(office: Office) -> None:
    office.enter("hr")
    path = start(office)
    do(office, path, do="follow")
    do(office, path, do="block")
    assert do(office, path, do="say", text="hello").status_code == 422
    assert do(office, path, "/clock", by="day").status_code == 200
    assert do(office, path, do="follow").status_code == 200


def test_nobody_meets_another_officers_simulation(office: Office) -> None:
    office.enter("hr")
    path = start(office)
    office.enter("hr1")
    assert office.get(path).status_code == 404
    assert office.send(path, do="say", text="me", version="0").status_code == 409
    assert office.get(path + "/transcript").status_code == 404
    office.send(path + "/end")
    office.enter("hr")
    assert office.get(path).status_code == 200


def test_one_that_is_over_says_so_and_offers_to_begin_anew(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.enter("hr")
    path = start(office)
    monkeypatch.setattr(office.edge.app.simulations, "_clock", lambda: 1e9)
    answer = office.get(path)
    assert answer.status_code == 404
    assert 'name="persona"' in answer.text
    assert office.send(path, do="say", text="x", version="0").status_code == 409
    assert office.send(path + "/clock", by="day").status_code == 409
    assert office.send(path + "/end").status_code == 303


def test_one_is_as_long_as_one_can_be(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.simulation.ACTS", 2)
    office.enter("hr")
    path = start(office)
    do(office, path, do="follow")
    do(office, path, do="say", text="two")
    answer = do(office, path, do="say", text="three")
    assert answer.status_code == 422
    assert "three" in answer.text


# --- how many there are ----------------------------------------------------------------------


def test_the_one_that_rested_longest_goes(content: Content) -> None:
    clock = [0.0]
    keeper = Simulations(lambda: clock[0])

    def make(owner: int) -> Held:
        clock[0] += 1
        return keeper.begin(owner, content, Start(AT, group="academic"), None)

    first = [make(1) for _ in range(EACH)]
    keeper.find(first[0].id, 1)
    clock[0] += 1
    make(1)
    assert [each.gone for each in first] == [False, True, False]
    with pytest.raises(Over):
        keeper.use(first[1], Simulation.state)
    for owner in range(2, MOST + 2):
        make(owner)
    assert sum(len(keeper.of(owner)) for owner in range(1, MOST + 2)) == MOST
    assert keeper.of(1) == []
    clock[0] += IDLE + 1
    assert keeper.of(MOST + 1) == []


def test_one_that_needs_too_much_room_is_full(kept: Simulations, content: Content) -> None:
    made = begin(kept, content, "pretest")
    made.db.limit(1)

    def talk() -> None:
        for _ in range(50):
            made.say("x" * 4000)

    with pytest.raises(DOWN):
        talk()


def test_threads_take_turns(content: Content) -> None:
    keeper = Simulations()
    held = keeper.begin(1, content, Start(AT, group="academic"), None)
    with ThreadPoolExecutor(8) as pool:
        for each in [pool.submit(keeper.use, held, Simulation.follow) for _ in range(16)]:
            each.result()
    assert sum(each.kind == "did" for each in held.simulation.entries) == 16
    assert "parked" not in told(held.simulation)
