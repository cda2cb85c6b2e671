"""Where a dialog may begin: the same learner, further and further along the path."""

from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec.structs import replace

from flows.ability import measure
from flows.types import (
    Card,
    Floor,
    Journey,
    Measure,
    Person,
    Placed,
    Plan,
    Quizzed,
    State,
    Times,
    Wrote,
)

AREAS = (
    "computer",
    "internet",
    "security",
    "word",
    "spreadsheet",
    "presentation",
    "media",
    "collaboration",
    "safety",
)
SOMCHAI = Person(11, "สมชาย ใจดี", "กองบริหารทรัพยากรบุคคล", "นักทรัพยากรบุคคลปฏิบัติการ", "วิชาการ", True)


def _measured(weak: str) -> dict[str, Measure]:
    low, high = measure([(0.0, False), (-1.0, False)]), measure([(0.0, True), (1.0, False)])
    return {area: low if area == weak else high for area in AREAS}


def welcomed(now: datetime) -> State:
    """A guest who has read the notice and wants no reminders."""
    return State(
        7,
        floor=Floor("home", "rest"),
        asked_at=now,
        heard_at=now,
        welcomed=True,
        notice="2569-1",
        consents={"nudges": False},
    )


def claimed(now: datetime) -> State:
    """Somchai, linked to the roster, who wants to be reminded."""
    soon = now + timedelta(days=1)
    return replace(welcomed(now), person=SOMCHAI, consents={"nudges": True}, nudge_at=soon)


def placed(now: datetime) -> State:
    return replace(claimed(now), placed=Placed("academic", ("roster:6",), "roster"))


def measured(now: datetime) -> State:
    return replace(placed(now), journey=Journey(baseline=_measured("spreadsheet")))


def planned(now: datetime) -> State:
    """One area, Mondays and Wednesdays at nine."""
    task = Wrote("ทำรายงานการฝึกอบรมให้เสร็จเร็วขึ้น", "m0")
    due = {"spreadsheet": now + timedelta(days=14)}
    state = replace(measured(now), times=Times((0, 2), 540))
    return state.walk(plan=Plan(("spreadsheet",), task, (0, 2), 540, now, due))


def guest_with_plan(now: datetime) -> State:
    return replace(planned(now), person=None)


def learned(now: datetime) -> State:
    return planned(now).walk(lessons=("spreadsheet-l1",))


def practised(now: datetime) -> State:
    return learned(now).walk(exercises=("spreadsheet-x1",))


def passed(now: datetime) -> State:
    return practised(now).walk(quizzes={"spreadsheet": Quizzed(1, 0.8, True, ())})


def applied(now: datetime) -> State:
    return passed(now).walk(uses=1)


def reviewed(now: datetime) -> State:
    return applied(now).walk(retest=_measured("media"))


def reviewed_guest(now: datetime) -> State:
    return replace(reviewed(now), person=None)


def remembers(now: datetime) -> State:
    """Three questions of a quiz are due again, one more is not, and one is there no longer."""
    day = now.date().toordinal()
    asked = {f"spreadsheet-0{n}": Card(2.3, 5.0, day - 3, day) for n in (1, 2, 3)}
    asked["spreadsheet-04"] = Card(9.0, 5.0, day - 3, day + 5)
    asked["spreadsheet-999"] = Card(1.0, 5.0, day - 3, day)
    return replace(passed(now), cards=asked)


def on_lost_content(now: datetime) -> State:
    """In the middle of a lesson that no longer exists."""
    return replace(planned(now), floor=Floor("lesson", "page", {"lesson": "word-l99", "page": 1}))


def finished(now: datetime) -> State:
    return reviewed(now).walk(acknowledged=True, certificate="ABCD-EFGH-JKLM-N")


def finished_guest(now: datetime) -> State:
    return replace(finished(now), person=None, name=Wrote("Som", "m0"))


def manager(now: datetime) -> State:
    """Head of a division, who has subordinates and learns too."""
    head = Person(10, "สมศรี มั่นคง", "กองบริหารทรัพยากรบุคคล", "ผู้อำนวยการกอง", "อำนวยการ")
    group = Placed("management", ("roster:1",), "roster")
    return replace(welcomed(now), person=head, placed=group)


GIVEN: dict[str, Callable[[datetime], State]] = {
    each.__name__: each
    for each in (
        welcomed,
        claimed,
        placed,
        measured,
        planned,
        guest_with_plan,
        learned,
        practised,
        passed,
        applied,
        reviewed,
        reviewed_guest,
        remembers,
        on_lost_content,
        finished,
        finished_guest,
        manager,
    )
}
