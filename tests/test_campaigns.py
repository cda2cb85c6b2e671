"""Campaigns: nothing goes without two people, nobody gets it twice, everything is accounted for."""

import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select, update

from content.lint import LANGS, Problem, campaign_problems
from content.schema import (
    Campaign,
    CampaignMessage,
    Content,
    Schedule,
    Segment,
    Text,
    Wave,
    Wording,
)
from flows.campaigns import deadline, difference, message, press, wilson
from storage import (
    audience,
    campaigns,
    journal,
    messages,
    outcomes,
    quota,
    roster,
    sendings,
    waves,
)
from storage.campaigns import Refused
from storage.database import Database
from storage.models import campaign_log, facts, holdouts, occurrences, outbox, profiles
from storage.models import campaigns as campaigns_table
from storage.scope import NOBODY, OPERATOR, scope_of
from tests.test_segments import NOW, learner, person

DUE = datetime(2026, 11, 23, 2, 30, tzinfo=UTC)
MONDAY = datetime.fromisoformat("2026-11-23 09:30")
"""The same, on the agency's clock."""


def spec(**changes: Any) -> Campaign:
    made = Campaign(
        id="try",
        name=Text(th="ทดลอง", en="A try"),
        purpose="encouragement",
        message=CampaignMessage(
            text=Wording(th="สวัสดี", en="Hello"), label=Wording(th="ไปต่อ", en="Go on"), action="go"
        ),
        schedule=Schedule(at=MONDAY),
    )
    return made.model_copy(update=changes)


def saying(th: str, en: str = "Hello", **changes: Any) -> Campaign:
    said = spec().message.model_copy(update={"text": Wording(th=th, en=en)})
    return spec(message=said, **changes)


WEEKLY = Schedule(every="week", days=("mon",), time=time(9, 30))


@pytest.fixture
def conn(db: Database) -> Iterator[Connection]:
    """One transaction, with an author, an officer who approves, and somebody without a role."""
    with db.write() as conn:
        staff(conn)
        yield conn


def staff(conn: Connection) -> None:
    unit = roster.add_unit(conn, "กรม")
    roster.grant(conn, person(conn, "AUTHOR", unit), "hr", NOW)
    roster.grant(conn, person(conn, "OTHER", unit), "approver", NOW)
    person(conn, "NOBODY", unit)


def crowd(conn: Connection, many: int, **columns: Any) -> list[int]:
    return [learner(conn, **columns) for _ in range(many)]


def approved(conn: Connection, made: Campaign, content: Content, now: datetime = NOW) -> int:
    """A campaign that has gone all the way."""
    id = campaigns.draft(conn, made, "AUTHOR", now)
    run = audience.check(conn, id, now, content)
    assert run.problems == ()
    campaigns.approve(conn, id, "OTHER", run.hash, now, content)
    return id


def write(conn: Connection, now: datetime, content: Content, limit: int = 2000) -> None:
    while campaigns.expand(conn, now, content, limit):
        pass


def rows(conn: Connection, *where: Any) -> list[Any]:
    return list(conn.execute(select(outbox).where(*where).order_by(outbox.c.id)).all())


def sending(conn: Connection) -> Any:
    return conn.execute(select(occurrences).order_by(occurrences.c.id.desc())).first()


def end(conn: Connection, status: str, *where: Any, at: datetime = DUE) -> None:
    """As if the sender had sent."""
    ended = update(outbox).where(outbox.c.status == "queued", outbox.c.due <= at, *where)
    conn.execute(ended.values(status=status, ended_at=at))


def refused(conn: Connection, do: Any, *args: Any) -> Problem:
    with pytest.raises(Refused) as raised:
        do(conn, *args)
    return raised.value.problems[0]


# --- what must be mended first -------------------------------------------------------------

LONG = "ข้อความบนปุ่มที่ยาวเกินไปมาก"
BAD: list[tuple[str, Campaign, str]] = [
    ("label", spec(message=spec().message.model_copy(update={"label": Wording(th=LONG, en="Go")})),
     "message.label.th: has 28 letters, a button holds 20: shorten it"),
    ("no label", spec(message=spec().message.model_copy(update={"label": Wording(th="ไป")})),
     "message.label.en: is empty: write it in Thai and in English"),
    ("long", saying("ก" * 3801),
     "message.text.th: has 3801 units, one message holds 3800: shorten it"),
    ("emoji", saying("😀" * 1901),
     "message.text.th: has 3802 units, one message holds 3800: shorten it"),
    ("empty", saying(" "), "message.text.th: is empty: write it in Thai and in English"),
    ("slot", saying("เรียน {rank}"),
     "message.text.th: 'rank' is unknown: choose from name, unit, step"),
    ("bracket", saying("เรียน {name"),
     "message.text.th: has a curly bracket without its other half: mend or remove it"),
    ("segment", spec(segment=Segment(steps=("begin",))),
     "segment.steps: 'begin' is unknown: choose from "
     "know, plan, learn, practise, apply, review, unfinished, done"),
    ("unit", spec(segment=Segment(units=("กอง",))),
     "segment.units: there is no unit 'กอง': use the full name as on the roster, such as กรม"),
    ("shares", spec(waves=(Wave(share=0.6, minutes=5),), holdout=0.5),
     "wave: the shares add up to 110%: bring them to 100% or less"),
    ("mandatory", spec(purpose="mandatory", holdout=0.1),
     "holdout: what everybody must get cannot be held back from anybody: set it to 0"),
    ("past", spec(schedule=Schedule(at=datetime.fromisoformat("2026-11-19 09:30"))),
     "schedule: 19 พฤศจิกายน 2569 09:30 has passed: choose a time to come"),
    ("holiday", spec(schedule=Schedule(at=datetime.fromisoformat("2026-12-10 09:30"))),
     "schedule: 10 ธันวาคม 2569 09:30 is outside the hours in which we may write: "
     "choose office hours of a working day"),
    ("night", spec(schedule=Schedule(every="day", time=time(20, 0))),
     "schedule: 20 พฤศจิกายน 2569 20:00 is outside the hours in which we may write: "
     "choose office hours of a working day"),
    ("never", spec(schedule=WEEKLY.model_copy(update={"until": date(2026, 11, 22)})),
     "schedule: this time never comes: mend the day or the time"),
    ("no time", spec(schedule=None),
     "schedule: does not say when to send: choose one time, or a round"),
    ("two times", spec(schedule=WEEKLY.model_copy(update={"at": MONDAY})),
     "schedule: say when in one way: once on a day, or in rounds at a time of day"),
    ("deadline", spec(purpose="mandatory", deadline_hours=6),
     "deadline_days: what everybody must get wants at least 2 working days: "
     "set a later deadline"),
    ("waves", spec(deadline_hours=4, waves=(Wave(share=0.5, minutes=240),)),
     "deadline_days: ends before the last people are sent to: "
     "set a later deadline, or watch the waves for a shorter time"),
    ("nobody", spec(segment=Segment(steps=("done",))),
     "segment: nobody fits who can be sent to: widen the segment"),
    ("guests", saying("สังกัด {unit}", "In {unit}"),
     "message.text: no recipient has a value for {unit}: "
     "take it out of the text, or change the segment"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "made", "sentence"), BAD, ids=[name for name, _, _ in BAD])
def test_a_check_refuses_and_says_what_to_do(
    conn: Connection, content: Content, name: str, made: Campaign, sentence: str
) -> None:
    learner(conn)
    id = campaigns.draft(conn, made, "AUTHOR", NOW)

    problems = audience.check(conn, id, NOW, content).problems

    assert sentence in [problem.say("en", content) for problem in problems]
    assert all(problem.say("th", content) for problem in problems)
    assert refused(conn, campaigns.approve, id, "OTHER", "", NOW, content).key == "status_draft"


def test_ready_made_campaigns_have_no_fault_and_cover_the_six_changes(content: Content) -> None:
    topics = {each.topic for each in content.campaigns}

    assert len(content.campaigns) >= 8
    assert [list(campaign_problems(each, content)) for each in content.campaigns] == [
        [] for _ in content.campaigns
    ]
    assert topics >= {"Data Governance", "Digitization", "Integration", "One Stop Service"}
    assert topics >= {"Open Government Data", "developing people's digital skills"}
    assert all(each.sources for each in content.campaigns)


# --- two people ----------------------------------------------------------------------------


def test_only_officers_write_and_approve_and_never_their_own(
    conn: Connection, content: Content
) -> None:
    learner(conn)
    id = campaigns.draft(conn, spec(), "AUTHOR", NOW)
    hash_ = audience.check(conn, id, NOW, content).hash

    def approve(by: str) -> str:
        return refused(conn, campaigns.approve, id, by, hash_, NOW, content).say("en", content)

    assert approve("AUTHOR") == (
        "by: nobody approves a campaign of their own: ask another officer to look and approve"
    )
    assert approve("NOBODY") == "by: 'NOBODY' has no role for this: it takes one of hr, approver"
    assert "nobody on the roster" in approve("GHOST")
    assert refused(conn, campaigns.draft, spec(), "NOBODY", NOW).key == "no_officer"
    assert rows(conn) == []
    assert campaigns.approve(conn, id, "OTHER", hash_, NOW, content) == 1
    log = conn.execute(select(campaign_log.c.what).order_by(campaign_log.c.id)).scalars().all()
    assert log == ["drafted", "checked", "approved", "begun", "waiting"]


def test_approval_is_bound_to_recipients_and_says_by_how_much_they_changed(
    conn: Connection, content: Content
) -> None:
    crowd(conn, 3)
    id = campaigns.draft(conn, spec(), "AUTHOR", NOW)
    old = audience.check(conn, id, NOW, content).hash
    newcomer = learner(conn)

    problem = refused(conn, campaigns.approve, id, "OTHER", old, NOW, content)
    assert problem.say("en", content) == (
        "campaign: it has changed since the check: "
        "3 recipients then, 4 now: check again, then approve"
    )
    conn.execute(update(profiles).where(profiles.c.learner_id == newcomer - 1).values(stopped=True))
    problem = refused(conn, campaigns.approve, id, "OTHER", old, NOW, content)
    assert problem.key == "moved_same"
    new = audience.check(conn, id, NOW, content).hash
    assert refused(conn, campaigns.approve, id, "OTHER", old, NOW, content).key == "hash_other"
    assert campaigns.approve(conn, id, "OTHER", new, NOW, content) == 3


def test_approval_is_bound_to_the_words(conn: Connection, content: Content) -> None:
    learner(conn)
    id = campaigns.draft(conn, spec(), "AUTHOR", NOW)
    hash_ = audience.check(conn, id, NOW, content).hash
    other = campaigns.canonical(saying("ข้อความอื่น"))
    conn.execute(update(campaigns_table).values(spec=other))

    assert refused(conn, campaigns.approve, id, "OTHER", hash_, NOW, content).key == "moved_same"


def test_a_draft_is_edited_by_whoever_has_read_it_and_then_checked_anew(
    conn: Connection, content: Content
) -> None:
    learner(conn)
    id = campaigns.draft(conn, spec(), "AUTHOR", NOW)
    run = audience.check(conn, id, NOW, content)
    read = campaigns.version_of(campaigns.find(conn, id))

    campaigns.edit(conn, id, saying("อื่น"), read, "OTHER", NOW)
    found = campaigns.find(conn, id)
    assert (found.status, found.checked_hash) == ("draft", "")
    stale = refused(conn, campaigns.edit, id, spec(), read, "OTHER", NOW)
    assert stale.key == "stale"
    late = refused(conn, audience.keep, id, run, NOW)
    assert late.key == "stale", "what was looked at was not this"
    new = audience.check(conn, id, NOW, content).hash
    for own in ("OTHER", "AUTHOR"):
        assert refused(conn, campaigns.approve, id, own, new, NOW, content).key == "own_author"
    unit = roster.add_unit(conn, "กองที่สาม")
    roster.grant(conn, person(conn, "THIRD", unit), "approver", NOW)
    assert campaigns.approve(conn, id, "THIRD", new, NOW, content) == 1
    again = campaigns.version_of(campaigns.find(conn, id))
    too_late = refused(conn, campaigns.edit, id, spec(), again, "AUTHOR", NOW)
    assert too_late.key == "status_approved"


def test_an_officer_of_a_part_reaches_that_part(conn: Connection, content: Content) -> None:
    tops = {name: roster.add_unit(conn, name) for name in ("กองหนึ่ง", "กองหนึ่งครึ่ง")}
    inner = roster.add_unit(conn, "งานใน", tops["กองหนึ่ง"])
    for who, role in (("PART", "hr"), ("SECOND", "approver")):
        roster.grant(conn, person(conn, who, inner), role, NOW, tops["กองหนึ่ง"])  # type: ignore[arg-type]
    learner(conn, person_id=person(conn, "IN", inner))
    learner(conn)

    def to(*units: str) -> Campaign:
        return spec(segment=Segment(units=units))

    for beyond in (to(), to("กองหนึ่งครึ่ง"), to("กองหนึ่ง", "กองหนึ่งครึ่ง"), to("กรม")):
        assert refused(conn, campaigns.draft, beyond, "PART", NOW).key == "not_yours"
    mine = campaigns.draft(conn, to("กองหนึ่ง / งานใน"), "PART", NOW)
    whole = campaigns.draft(conn, spec(), "AUTHOR", NOW)
    part = scope_of(conn, campaigns.officer(conn, "PART", NOW).viewer, NOW)
    assert [row.id for row in campaigns.listing(conn, part)] == [mine]
    assert [row.id for row in campaigns.listing(conn)] == [whole, mine]
    assert refused(conn, campaigns.seen, part, whole).key == "no_campaign"
    for do in (campaigns.pause, campaigns.cancel, campaigns.release, campaigns.skip):
        assert refused(conn, do, whole, NOW, "PART").key == "not_theirs"
    hash_ = audience.check(conn, mine, NOW, content).hash
    assert campaigns.approve(conn, mine, "SECOND", hash_, NOW, content) == 1
    seen = audience.check(conn, whole, NOW, content).hash
    problem = refused(conn, campaigns.approve, whole, "SECOND", seen, NOW, content)
    assert problem.key == "not_theirs"


def test_a_list_is_sorted_and_filtered_by_state(conn: Connection, content: Content) -> None:
    learner(conn)
    first = campaigns.draft(conn, spec(name=Text(th="ข", en="b")), "AUTHOR", NOW)
    second = approved(conn, spec(name=Text(th="ก", en="a")), content)

    def ids(state: str = "", sort: str = "-id", **more: int) -> list[int]:
        return [row.id for row in campaigns.listing(conn, OPERATOR, state, sort, **more)]

    assert ids("waiting") == [second]
    assert ids("draft") == [first]
    assert ids(sort="name") == ids(sort="next") == ids(sort="-size") == [second, first]
    assert ids(sort="-name") == [first, second]
    assert ids(offset=1, limit=1) == [first]
    campaigns.pause(conn, second, NOW)
    assert ids("paused") == [second]


def test_how_it_stands_is_counted_by_wave(conn: Connection, content: Content) -> None:
    crowd(conn, 40)
    made = spec(waves=(Wave(share=0.5, minutes=5),), holdout=0.2)
    id = approved(conn, made, content)
    first = outbox.c.due < waves.NEVER
    end(conn, "accepted", first)
    stand = outcomes.stand(conn, campaigns.find(conn, id))
    sent = len(rows(conn, outbox.c.status == "accepted"))

    assert stand.over == sent == stand.waves[0]["accepted"]
    assert stand.waves[1] == {"queued": stand.size - sent}
    assert stand.rows == {"accepted": sent, "queued": stand.size - sent}
    assert not stand.writing


def test_a_glance_is_what_the_check_finds(conn: Connection, content: Content) -> None:
    crowd(conn, 3)
    crowd(conn, 2, stopped=True)
    crowd(conn, 1, lang="en", channel="telegram")
    made = spec(segment=Segment(steps=("learn",)))
    run = audience.dry_run(conn, made, NOW, content)
    seen = audience.glance(conn, made, OPERATOR, NOW, content)

    assert (seen.channels, seen.excluded) == (run.channels, run.excluded)
    assert (seen.times, seen.recipients) == (run.times, run.recipients)
    assert audience.glance(conn, made, NOBODY, NOW, content).recipients == 0
    broken = audience.glance(conn, saying("{name"), OPERATOR, NOW, content)
    assert [each.key for each in broken.problems] == ["brackets"]
    assert audience.fitting(conn, made.segment, OPERATOR, NOW, content).recipients == 4


@pytest.mark.parametrize("text", ["{name!r}", "{name:>99999999}", "{{name}}", "{}", "}"])
def test_a_placeholder_is_a_name_and_nothing_more(text: str, content: Content) -> None:
    """What is sent puts in nothing else, so it would stand there as it was typed."""
    assert [each.key for each in campaign_problems(saying(text), content)] == ["brackets"]


def test_what_is_approved_cannot_be_approved_or_checked_again(
    conn: Connection, content: Content
) -> None:
    learner(conn)
    id = approved(conn, spec(), content)
    hash_ = campaigns.find(conn, id).checked_hash

    assert refused(conn, campaigns.approve, id, "OTHER", hash_, NOW, content).key == (
        "status_approved"
    )
    assert refused(conn, audience.check, id, NOW, content).key == "status_approved"
    assert len(rows(conn)) == 1


def test_of_many_who_approve_at_once_one_does(db: Database, content: Content) -> None:
    with db.write() as conn:
        staff(conn)
        crowd(conn, 30)
        id = campaigns.draft(conn, spec(), "AUTHOR", NOW)
        hash_ = audience.check(conn, id, NOW, content).hash
    ended: list[str] = []

    def work() -> None:
        try:
            with db.write() as conn:
                campaigns.approve(conn, id, "OTHER", hash_, NOW, content)
            ended.append("yes")
        except Refused as error:
            ended.append(error.problems[0].key)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(ended) == ["status_approved"] * 5 + ["yes"]
    with db.read() as conn:
        assert len(rows(conn)) == 30


# --- the dry run ---------------------------------------------------------------------------


def test_a_dry_run_counts_everybody_once_and_shows_the_next_times(
    conn: Connection, content: Content
) -> None:
    crowd(conn, 4)
    crowd(conn, 2, channel="telegram", zone="Europe/Berlin")
    learner(conn, stopped=True)
    learner(conn, unasked_on=MONDAY.toordinal())
    quota.store(conn, 100, 20, NOW)
    made = spec(schedule=WEEKLY, holdout=0.2, waves=(Wave(share=0.5, minutes=10),))
    id = campaigns.draft(conn, made, "AUTHOR", NOW)

    run = audience.check(conn, id, NOW, content)

    assert (run.recipients, run.held_out, run.waves) == (7, 1, (4,))
    assert run.channels == {"line": 5, "telegram": 2}
    assert run.excluded == {"stopped": 1}
    assert (run.waits, run.abroad) == (1, 2)
    assert [f"{time:%d.%m}" for time in run.times] == ["23.11", "30.11", "08.12", "14.12", "21.12"]
    assert run.arrives == DUE
    assert run.ends == datetime(2026, 11, 26, 9, 30, tzinfo=UTC)
    assert run.cost is not None
    assert (run.cost.need, run.cost.used, run.cost.room) == (4, 20, 70)


def test_what_does_not_fit_into_the_month_is_refused_and_what_gives_way_is_named(
    conn: Connection, content: Content
) -> None:
    crowd(conn, 6)
    quota.store(conn, 100, 85, NOW)
    queued = {"purpose": "encouragement", "lane": "campaign", "status": "queued", "payload": "{}"}
    for n in range(5):
        conn.execute(
            insert(outbox).values(
                key=f"k{n}", channel="line", address="U", created_at=NOW, due=NOW,
                deadline=DUE, **queued,
            )
        )  # fmt: skip

    mandatory = audience.dry_run(conn, spec(purpose="mandatory"), NOW, content)
    encouragement = audience.dry_run(conn, spec(), NOW, content)
    later = spec(schedule=Schedule(at=datetime.fromisoformat("2026-12-01 09:30")))

    assert mandatory.problems == ()
    assert mandatory.cost is not None
    assert mandatory.cost.gives_way == {"encouragement": 5}
    assert [problem.say("en", content) for problem in encouragement.problems] == [
        "segment: needs 6 LINE messages, and this month has room for 5 of this purpose: "
        "narrow the segment, or send next month"
    ]
    assert audience.dry_run(conn, later, NOW, content).problems == ()


def test_a_dry_run_lists_the_recipients(conn: Connection, content: Content) -> None:
    unit = roster.add_unit(conn, "กอง")
    known = learner(conn, person_id=person(conn, "P1", unit))
    guest = learner(conn, channel="telegram")

    found = audience.listed(conn, spec(), NOW, DUE, 0, 10)

    assert [(row.learner_id, row.hr_id, row.channel) for row in found] == [
        (known, "P1", "line"),
        (guest, None, "telegram"),
    ]


# --- writing the rows ----------------------------------------------------------------------


def test_a_single_sending_is_written_at_approval_and_waits_for_its_time(
    conn: Connection, content: Content
) -> None:
    thai, english = learner(conn), learner(conn, lang="en", channel="telegram", address="77")
    learner(conn, welcomed=False)

    approved(conn, spec(), content)
    newcomer = learner(conn)
    write(conn, NOW, content)

    here = sending(conn)
    assert (here.status, here.size, here.due) == ("waiting", 2, DUE)
    first, second = rows(conn)
    assert (first.key, second.key) == (f"{here.id}:{thai}", f"{here.id}:{english}")
    assert (second.channel, second.address, second.lane) == ("telegram", "77", "campaign")
    assert (first.status, first.purpose, first.due) == ("queued", "encouragement", DUE)
    assert first.deadline == deadline(spec(), DUE, content)
    assert newcomer not in {first.learner_id, second.learner_id}
    said = messages.load(conn, [first.message_id, second.message_id])
    assert said[first.message_id][0].replies == (message(spec(), here.id, "th"),)
    assert said[second.message_id][0].replies[0].text == "Hello"


def test_expansion_in_small_steps_writes_each_row_once(conn: Connection, content: Content) -> None:
    ids = crowd(conn, 25)
    approved(conn, spec(schedule=WEEKLY), content)
    assert campaigns.fire(conn, DUE, content) == 1

    steps = 0
    while campaigns.expand(conn, DUE, content, 4):
        steps += 1

    assert steps == 8
    assert [row.learner_id for row in rows(conn)] == ids
    assert (sending(conn).status, sending(conn).size) == ("running", 25)


def test_two_expand_at_once_and_nobody_is_written_twice(db: Database, content: Content) -> None:
    if db.sqlite:
        pytest.skip("SQLite has one writer")
    with db.write() as conn:
        staff(conn)
        ids = crowd(conn, 200)
        approved(conn, spec(schedule=WEEKLY), content)

    def work() -> None:
        for _ in range(60):
            with db.write() as conn:
                campaigns.fire(conn, DUE, content)
            with db.write() as conn:
                campaigns.expand(conn, DUE, content, 7)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with db.read() as conn:
        assert [row.learner_id for row in rows(conn)] == ids
        assert conn.execute(select(func.count()).select_from(occurrences)).scalar_one() == 1


def test_a_crash_between_chunks_loses_and_doubles_nothing(db: Database, content: Content) -> None:
    with db.write() as conn:
        staff(conn)
        ids = crowd(conn, 10)
        approved(conn, spec(schedule=WEEKLY), content)
        campaigns.fire(conn, DUE, content)
    for crash in (False, True, True, False, True, False, False, False, False, False):
        try:
            with db.write() as conn:
                campaigns.expand(conn, DUE, content, 3)
                if crash:
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass

    with db.read() as conn:
        assert [row.learner_id for row in rows(conn)] == ids


def test_guests_are_left_out_where_a_name_is_filled_in(conn: Connection, content: Content) -> None:
    unit = roster.add_unit(conn, "กอง")
    known = learner(conn, person_id=person(conn, "P1", unit))
    learner(conn)
    learner(conn, person_id=person(conn, "P2", unit), step="done")

    approved(conn, saying("{name} อยู่ขั้น {step}", "{name} {step}"), content)

    (row,) = rows(conn)
    assert row.learner_id == known
    assert messages.load(conn, [row.message_id])[row.message_id][1] == ("name", "step")


def test_large_sendings_stop_when_other_people_were_written_than_approved(
    conn: Connection, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaigns, "AT_ONCE", 1)
    monkeypatch.setattr(sendings, "CHUNK", 5)
    crowd(conn, 12)
    id = approved(conn, spec(), content)
    assert sending(conn).status == "expanding"
    learner(conn)
    write(conn, NOW, content, 5)

    assert (sending(conn).status, sending(conn).reason) == ("paused", "recipients_changed")
    assert campaigns.resume(conn, id, NOW, content) == 1
    assert sending(conn).status == "waiting"


# --- waves and holdout ---------------------------------------------------------------------


def test_the_draw_is_the_same_in_both_languages_of_arithmetic_and_even(conn: Connection) -> None:
    ids = crowd(conn, 400)
    drawn = conn.execute(
        select(waves.bucket(12)).select_from(profiles).order_by(profiles.c.learner_id)
    ).scalars()

    assert list(drawn) == [waves.drawn(12, id) for id in ids]
    for sent in (1, 2, 3):
        share = sum(waves.drawn(sent, n) < waves.PRIME // 10 for n in range(1, 20_001))
        assert abs(share - 2000) < 4 * 43  # four standard deviations
    both = sum(
        waves.drawn(1, n) < waves.PRIME // 10 and waves.drawn(2, n) < waves.PRIME // 10
        for n in range(1, 20_001)
    )
    assert abs(both - 200) < 4 * 14


def test_holdout_and_waves_share_everybody_out(conn: Connection, content: Content) -> None:
    ids = crowd(conn, 300)
    shares = (Wave(share=0.1, minutes=30), Wave(share=0.3, minutes=60))
    approved(conn, spec(holdout=0.2, waves=shares), content)

    held = set(conn.execute(select(holdouts.c.learner_id)).scalars())
    written = rows(conn)
    by_due = [sum(row.due == when for row in written) for when in sorted({r.due for r in written})]

    assert held | {row.learner_id for row in written} == set(ids)
    assert not held & {row.learner_id for row in written}
    assert 35 <= len(held) <= 85
    assert 15 <= by_due[0] <= 48
    assert 60 <= by_due[1] <= 125
    assert sum(by_due) == sending(conn).size == 300 - len(held)
    assert sorted({row.due for row in written})[1] > waves.NEVER


WAVED = spec(waves=(Wave(share=0.3, minutes=30),))


def _canary(conn: Connection, content: Content) -> tuple[int, list[Any]]:
    """A campaign whose first wave is due."""
    crowd(conn, 60)
    id = approved(conn, WAVED, content)
    campaigns.fire(conn, DUE, content)
    first = rows(conn, outbox.c.due <= DUE)
    assert 5 <= len(first) <= 30
    return id, first


def test_the_rest_waits_until_the_first_wave_has_left_and_was_watched(
    conn: Connection, content: Content
) -> None:
    _, first = _canary(conn, content)
    late = DUE + timedelta(hours=3)
    campaigns.fire(conn, late, content)
    write(conn, late, content)
    assert len(rows(conn, outbox.c.due <= late)) == len(first)  # still under way

    end(conn, "accepted", at=late)
    campaigns.fire(conn, late, content)
    campaigns.fire(conn, late + timedelta(minutes=29), content)
    write(conn, late, content)
    assert rows(conn, outbox.c.status == "queued", outbox.c.due < waves.NEVER) == []

    after = late + timedelta(minutes=30)
    campaigns.fire(conn, after, content)
    write(conn, after, content, 7)
    assert len(rows(conn, outbox.c.status == "queued", outbox.c.due == after)) == 60 - len(first)
    assert sending(conn).status == "running"


def test_too_many_failures_stop_it_and_a_person_may_go_on(
    conn: Connection, content: Content
) -> None:
    id, first = _canary(conn, content)
    end(conn, "failed", outbox.c.id == first[0].id)
    end(conn, "accepted")
    campaigns.fire(conn, DUE, content)
    after = DUE + timedelta(minutes=31)
    campaigns.fire(conn, after, content)

    assert (sending(conn).status, sending(conn).reason) == ("paused", "failures")
    write(conn, after, content)
    assert rows(conn, outbox.c.status == "queued", outbox.c.due < waves.NEVER) == []
    campaigns.resume(conn, id, after, content)
    campaigns.fire(conn, after, content)
    write(conn, after, content)
    assert sending(conn).status == "running"
    assert rows(conn, outbox.c.due > waves.NEVER) == []


def test_a_pause_by_hand_is_no_look_at_failures(conn: Connection, content: Content) -> None:
    id, _ = _canary(conn, content)
    end(conn, "failed")
    campaigns.fire(conn, DUE, content)
    after = DUE + timedelta(minutes=31)
    campaigns.pause(conn, id, after)
    campaigns.resume(conn, id, after, content)
    campaigns.fire(conn, after, content)

    assert (sending(conn).status, sending(conn).reason) == ("paused", "failures")


def test_few_failures_among_many_do_not_stop_it(conn: Connection) -> None:
    made = journal.begin(conn, campaigns.draft(conn, spec(), "AUTHOR", NOW), spec(), DUE, "x", NOW)
    for n in range(100):
        status = "uncertain" if n < 2 else "accepted"
        conn.execute(
            insert(outbox).values(
                key=f"{n}", channel="line", address="U", lane="campaign", payload="{}",
                created_at=NOW, due=DUE, deadline=DUE, status=status, occurrence_id=made,
            )
        )  # fmt: skip

    assert waves.failures(conn, made) == waves.MOST_FAILURES


def test_closed_waves_are_foreseen(conn: Connection, content: Content) -> None:
    _, first = _canary(conn, content)

    found = campaigns.coming(conn, DUE, DUE + timedelta(days=5), content)

    assert found == [("encouragement", 60 - len(first))]


# --- time ----------------------------------------------------------------------------------


def test_a_recurring_campaign_fires_each_time_once(conn: Connection, content: Content) -> None:
    learner(conn)
    id = approved(conn, spec(schedule=WEEKLY), content)
    assert rows(conn) == []
    assert campaigns.fire(conn, DUE - timedelta(seconds=1), content) == 0
    for minute in range(3):
        campaigns.fire(conn, DUE + timedelta(minutes=minute), content)
        write(conn, DUE, content)
    learner(conn)
    week = DUE + timedelta(days=7)
    campaigns.fire(conn, week, content)
    write(conn, week, content)

    assert len(rows(conn)) == 1 + 2
    assert campaigns.find(conn, id).next_due == datetime(2026, 12, 8, 2, 30, tzinfo=UTC)
    dues = conn.execute(select(occurrences.c.due).order_by(occurrences.c.id)).scalars().all()
    assert dues == [DUE, week]


def test_what_is_too_late_waits_for_a_person(conn: Connection, content: Content) -> None:
    learner(conn)
    id = approved(conn, spec(schedule=WEEKLY), content)
    late = DUE + timedelta(hours=12, seconds=1)
    campaigns.fire(conn, late, content)
    write(conn, late, content)

    assert sending(conn).status == "held"
    assert rows(conn) == []
    assert campaigns.release(conn, id, late) == 1
    write(conn, late, content)
    (row,) = rows(conn)
    assert row.due == DUE
    assert sending(conn).status == "running"
    assert refused(conn, campaigns.release, id, late).key == "nothing_held"


def test_a_single_sending_that_is_too_late_is_held_and_can_be_skipped(
    conn: Connection, content: Content
) -> None:
    learner(conn)
    id = approved(conn, spec(), content)
    late = DUE + timedelta(hours=13)
    campaigns.fire(conn, late, content)
    assert sending(conn).status == "held"

    assert campaigns.skip(conn, id, late) == 1
    write(conn, late, content)
    campaigns.fire(conn, late, content)

    assert [(row.status, row.reason) for row in rows(conn)] == [("cancelled", "campaign_skipped")]
    assert sending(conn).status == "skipped"
    assert campaigns.find(conn, id).status == "done"


def test_after_days_of_outage_each_time_is_there_once(conn: Connection, content: Content) -> None:
    learner(conn)
    approved(conn, spec(schedule=Schedule(every="day", time=time(9, 30))), content)
    back = DUE + timedelta(days=3)
    while campaigns.fire(conn, back, content):
        pass

    found = conn.execute(select(occurrences.c.status).order_by(occurrences.c.due)).scalars().all()
    assert found == ["held", "held", "held", "expanding"]


def test_coming_times_are_foreseen_with_their_recipients(
    conn: Connection, content: Content
) -> None:
    crowd(conn, 3)
    learner(conn, channel="telegram")
    approved(conn, spec(schedule=WEEKLY, purpose="due"), content)

    assert campaigns.coming(conn, NOW, DUE + timedelta(days=8), content) == [("due", 3)] * 2
    assert campaigns.coming(conn, NOW, NOW, content) == []


# --- stopping ------------------------------------------------------------------------------


def test_pausing_stops_and_resuming_goes_on(conn: Connection, content: Content) -> None:
    crowd(conn, 2)
    id = approved(conn, spec(schedule=WEEKLY), content)
    campaigns.fire(conn, DUE, content)
    write(conn, DUE, content)

    assert campaigns.pause(conn, id, DUE) == 1
    week = DUE + timedelta(days=7)
    assert campaigns.fire(conn, week, content) == 0
    assert (sending(conn).status, campaigns.find(conn, id).status) == ("paused", "approved")
    assert campaigns.resume(conn, id, week + timedelta(hours=1), content) == 1
    assert sending(conn).status == "running"
    assert campaigns.find(conn, id).next_due == datetime(2026, 12, 8, 2, 30, tzinfo=UTC)
    assert refused(conn, campaigns.resume, id, week, content).key == "not_paused"


def test_pausing_while_it_is_written_holds_what_is_written_then(
    conn: Connection, content: Content
) -> None:
    crowd(conn, 9)
    id = approved(conn, spec(schedule=WEEKLY), content)
    campaigns.fire(conn, DUE, content)
    campaigns.expand(conn, DUE, content, 4)
    campaigns.pause(conn, id, DUE)
    write(conn, DUE, content, 4)

    assert (sending(conn).status, len(rows(conn))) == ("paused", 9)


def test_cancelling_ends_every_row_that_has_not_left(conn: Connection, content: Content) -> None:
    crowd(conn, 6)
    id = approved(conn, spec(), content)
    gone = rows(conn)[0]
    end(conn, "accepted", outbox.c.id == gone.id)

    assert campaigns.cancel(conn, id, DUE) == 1
    assert sending(conn).status == "cancelled"
    write(conn, DUE, content, 2)

    found = [(row.status, row.reason) for row in rows(conn)]
    assert found == [("accepted", "")] + [("cancelled", "campaign_cancelled")] * 5
    assert sending(conn).ended_at == DUE
    assert refused(conn, campaigns.cancel, id, DUE).key == "status_cancelled"


def test_it_is_done_when_every_row_is(conn: Connection, content: Content) -> None:
    crowd(conn, 3)
    id = approved(conn, spec(), content)
    campaigns.fire(conn, DUE, content)
    first, second, third = rows(conn)
    end(conn, "accepted", outbox.c.id == first.id)
    conn.execute(update(outbox).where(outbox.c.id == second.id).values(status="held"))
    end(conn, "failed", outbox.c.id == third.id)
    campaigns.fire(conn, DUE, content)
    assert (sending(conn).status, sending(conn).cursor) == ("running", first.id)

    conn.execute(update(outbox).where(outbox.c.status == "held").values(status="accepted"))
    campaigns.fire(conn, DUE, content)

    assert sending(conn).status == "done"
    assert campaigns.find(conn, id).status == "done"


# --- what became of it ---------------------------------------------------------------------


def fact(conn: Connection, who: int, kind: str, at: datetime, data: str = "{}") -> None:
    conn.execute(insert(facts).values(learner_id=who, at=at, kind=kind, data=data))


def test_the_outcome_counts_rows_answers_and_effects(conn: Connection, content: Content) -> None:
    ids = crowd(conn, 40)
    id = approved(conn, spec(holdout=0.5), content)
    made, day = sending(conn).id, timedelta(days=1)
    held = sorted(conn.execute(select(holdouts.c.learner_id)).scalars())
    sent = [row.learner_id for row in rows(conn)]
    assert sorted(held + sent) == ids
    end(conn, "uncertain", outbox.c.learner_id == sent[0])
    blocked = update(outbox).where(outbox.c.learner_id == sent[1])
    conn.execute(blocked.values(status="cancelled", reason="unreachable"))
    end(conn, "accepted")
    for who in sent[2:5]:
        pressed = f'{{"occurrence":{made},"action":"go"}}'
        fact(conn, who, "campaign_answered", DUE + day, pressed)
        fact(conn, who, "campaign_answered", DUE + 2 * day, pressed)
    fact(conn, sent[5], "campaign_answered", DUE, f'{{"occurrence":{made}9,"action":"go"}}')
    fact(conn, sent[2], "answered", DUE + 6 * day)
    fact(conn, sent[3], "answered", DUE + 8 * day)
    fact(conn, sent[4], "step_done", DUE + 13 * day)
    fact(conn, held[0], "lesson_done", DUE + day)
    fact(conn, held[1], "answered", DUE - day)

    seen = outcomes.outcome(conn, id)

    assert (seen.size, seen.held_out) == (len(sent), len(held))
    assert seen.rows == {"accepted": len(sent) - 2, "cancelled": 1, "uncertain": 1}
    assert seen.reasons == {"cancelled: unreachable": 1}
    assert (seen.answered, seen.resent) == (3, 0)
    assert (seen.started.sent, seen.started.of_sent) == (1, len(sent))
    assert (seen.started.held, seen.started.of_held) == (1, len(held))
    assert (seen.finished.sent, seen.finished.held) == (1, 0)
    assert seen.started.difference is not None
    assert seen.started.difference.is_chance
    _rest_and_count_again(conn, id, sent, held)


def _rest_and_count_again(conn: Connection, id: int, sent: list[int], held: list[int]) -> None:
    """Whoever has restricted the use of their data is in no outcome; what was sent was sent."""
    rest = profiles.c.learner_id.in_([sent[0], sent[2], held[0]])
    conn.execute(update(profiles).where(rest).values(restricted=True))
    seen = outcomes.outcome(conn, id)

    assert (seen.size, seen.answered) == (len(sent), 2)
    assert (seen.started.sent, seen.started.of_sent) == (0, len(sent) - 2)
    assert (seen.started.held, seen.started.of_held) == (0, len(held) - 1)


def test_only_what_is_uncertain_is_sent_once_more_and_only_once(
    conn: Connection, content: Content
) -> None:
    crowd(conn, 3)
    id = approved(conn, spec(), content)
    campaigns.fire(conn, DUE, content)
    doubtful = rows(conn)[1]
    end(conn, "uncertain", outbox.c.id == doubtful.id)
    end(conn, "accepted")
    campaigns.fire(conn, DUE, content)
    assert campaigns.find(conn, id).status == "done"

    later = DUE + timedelta(hours=1)
    assert outcomes.resend(conn, id, later, content) == 1

    again = rows(conn)[-1]
    assert again.key == doubtful.key + ":r1"
    assert (again.learner_id, again.message_id) == (doubtful.learner_id, doubtful.message_id)
    assert (again.status, again.due, again.attempts) == ("queued", later, 0)
    assert sending(conn).status == "running"
    end(conn, "uncertain", at=later)
    campaigns.fire(conn, later, content)
    assert sending(conn).status == "done"
    assert refused(conn, outcomes.resend, id, later, content).key == "nothing_uncertain"
    assert outcomes.outcome(conn, id).resent == 1


# --- pure figures --------------------------------------------------------------------------

NEWCOMBE = [
    ((56, 70, 48, 80), (0.0524, 0.3339)),
    ((9, 10, 3, 10), (0.1705, 0.8090)),
    ((6, 7, 2, 7), (0.0582, 0.8062)),
    ((5, 56, 0, 29), (-0.0381, 0.1926)),
    ((0, 10, 0, 20), (-0.1611, 0.2775)),
    ((0, 10, 0, 10), (-0.2775, 0.2775)),
    ((10, 10, 0, 20), (0.6791, 1.0000)),
    ((10, 10, 0, 10), (0.6075, 1.0000)),
]
"""The examples of Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10."""


@pytest.mark.parametrize(("counts", "interval"), NEWCOMBE)
def test_the_interval_is_newcombe_s(
    counts: tuple[int, int, int, int], interval: tuple[float, float]
) -> None:
    seen = difference(*counts)

    assert seen is not None
    assert (round(seen.low, 4), round(seen.high, 4)) == pytest.approx(interval, abs=1e-4)
    assert seen.is_chance == (interval[0] <= 0 <= interval[1])


def test_nothing_is_said_of_nobody() -> None:
    assert difference(1, 10, 0, 0) is None
    assert wilson(0, 0) == (0.0, 1.0)


def test_the_interval_covers_the_true_effect_about_as_often_as_it_says() -> None:
    """A made-up effect of 8 points among 1,000 people, drawn as the holdout is."""
    covered = 0
    for trial in range(200):
        counts = [0, 0, 0, 0]
        for n in range(1000):
            held = waves.drawn(2 * trial + 1, n) < waves.PRIME // 5
            chance = 0.20 if held else 0.28
            counts[2 * held + 1] += 1
            counts[2 * held] += waves.drawn(10_000 + trial, n) < chance * waves.PRIME
        seen = difference(*counts)
        assert seen is not None
        covered += seen.low <= 0.08 <= seen.high

    assert 180 <= covered <= 199


def test_buttons_are_short_and_read_back(content: Content) -> None:
    actions = ["go", "apply", "progress", "plan", "review"]
    actions += [f"lesson.{area.id}" for area in content.framework.areas]
    for action in actions:
        made = spec(message=spec().message.model_copy(update={"action": action}))
        for lang in LANGS:
            (button,) = message(made, 10**18 - 1, lang).choices
            assert len(f"*:{button.id}".encode()) <= 64
            read = press(button.id, content)
            assert read is not None
            assert (read.occurrence, read.action) == (10**18 - 1, action)


@pytest.mark.parametrize(
    "forged", ["c1.erase", "c1.lesson", "c1.lesson.xx", "c1.go.word", "cx.go", "c1", "c1.", "go"]
)
def test_forged_buttons_are_no_campaign_s(content: Content, forged: str) -> None:
    assert press(forged, content) is None
