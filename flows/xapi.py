"""Facts as xAPI statements: who (a pseudonym) did what, with what result. What learners write in
their own words is never part of one."""

from collections.abc import Callable
from datetime import UTC, datetime

from msgspec import Struct

from content.schema import LANGS, Content, Gone, Text, area_of
from flows.types import Json

Statement = dict[str, Json]
ADL = "http://adlnet.gov/expapi/verbs/"
EARNED = "http://id.tincanapi.com/verb/earned"
TYPES = {
    "programme": "http://adlnet.gov/expapi/activities/course",
    "round": "http://adlnet.gov/expapi/activities/course",
    "step": "http://adlnet.gov/expapi/activities/module",
    "area": "http://adlnet.gov/expapi/activities/objective",
    "test": "http://adlnet.gov/expapi/activities/assessment",
    "quiz": "http://adlnet.gov/expapi/activities/assessment",
    "lesson": "http://adlnet.gov/expapi/activities/lesson",
    "course": "http://adlnet.gov/expapi/activities/course",
    "exercise": "http://adlnet.gov/expapi/activities/performance",
    "use": "http://adlnet.gov/expapi/activities/performance",
    "plan": "http://adlnet.gov/expapi/activities/objective",
    "certificate": "http://activitystrea.ms/schema/1.0/badge",
}
"""The type of each kind of activity."""
TITLES = {
    "programme": "xapi_programme",
    "round": "xapi_round",
    "baseline": "xapi_baseline",
    "retest": "xapi_retest",
    "plan": "xapi_plan",
    "use": "xapi_use",
    "certificate": "xapi_certificate",
}
"""Sentences that name what has no name in the content."""


class Fact(Struct, frozen=True):
    """A fact as it is kept; `data` is as in the table `facts`."""

    id: int
    at: datetime
    kind: str
    data: dict[str, Json]


class Known(Struct, frozen=True):
    """What a statement says of its learner and of itself, and what all its ids begin with.
    `registration` is a UUID for each learner and round; `base` is an IRI without a slash at its
    end; a learner is an account called `pseudonym`."""

    statement: str
    registration: str
    pseudonym: str
    base: str


class Did(Struct, frozen=True):
    """What a fact comes to: a verb, what it was done to (kind and id), in which area, and the
    result as xAPI has it."""

    verb: str
    kind: str
    id: str = ""
    area: str = ""
    result: dict[str, Json] = {}


def statement(fact: Fact, known: Known, content: Content) -> Statement | None:
    """The statement of a fact; None for facts that are nobody else's business."""
    reads = READS.get(fact.kind)
    if reads is None:
        return None
    did = reads(fact.data)
    done: Statement = {
        "id": known.statement,
        "actor": {
            "objectType": "Agent",
            "account": {"homePage": known.base, "name": known.pseudonym},
        },
        "verb": {"id": did.verb, "display": {"en": did.verb.rsplit("/", 1)[1]}},
        "object": _activity(did.kind, did.id, known.base, content),
        "context": _context(did, known, content),
        "timestamp": fact.at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
    }
    return done | {"result": did.result} if did.result else done


def _context(did: Did, known: Known, content: Content) -> dict[str, Json]:
    whole = {"grouping": [_activity("programme", "", known.base, content)]}
    if did.area:
        whole["parent"] = [_activity("area", did.area, known.base, content)]
    return {
        "registration": known.registration,
        "platform": "Kaona",
        "contextActivities": whole,
    }


def _activity(kind: str, id: str, base: str, content: Content) -> dict[str, Json]:
    """An activity by an id that never changes; its name may."""
    definition: dict[str, Json] = {"type": TYPES[kind]}
    if name := _name(kind, id, content):
        definition["name"] = name
    here = iri(base, "activities", kind, *([id] if id else []))
    return {"objectType": "Activity", "id": here, "definition": definition}


def iri(base: str, *parts: str) -> str:
    """An id below the base, which is a web address or a URN."""
    if base.startswith("urn:"):
        return ":".join((base, *parts))
    return "/".join((base, "xapi", *parts))


def _name(kind: str, id: str, content: Content) -> dict[str, str]:
    """What an activity is called in both languages; nothing where the content has gone."""
    try:
        found = _titled(kind, id, content)
    except Gone:
        return {}
    if isinstance(found, Text):
        return {lang: found.of(lang) for lang in LANGS}
    return {lang: content.copy_[lang][found] for lang in LANGS}


def _titled(kind: str, id: str, content: Content) -> Text | str:
    """The name itself, or the key of it in the copy."""
    match kind:
        case "area" | "quiz":
            return content.topic(id).name
        case "lesson":
            return content.lesson(id).title
        case "exercise":
            return content.exercise(id).title
        case "course":
            name = content.course(id).name
            return Text(th=name, en=name)
        case "step":
            for step in content.method.steps:
                if step.id == id:
                    return step.name
            raise Gone(id)
        case _:
            return TITLES[id if kind == "test" else kind]


# --- one reading for each kind of fact ---------------------------------------------------


def _claimed(data: dict[str, Json]) -> Did:
    return Did(ADL + "registered", "programme")


def _round_begun(data: dict[str, Json]) -> Did:
    return Did(ADL + "initialized", "round", str(data["round"]))


def _measured(data: dict[str, Json]) -> Did:
    right = sum(found["right"] for found in data["areas"].values())
    asked = sum(found["asked"] for found in data["areas"].values())
    result: dict[str, Json] = {"completion": True}
    if asked:
        result["score"] = {"scaled": round(right / asked, 4), "raw": right, "min": 0, "max": asked}
    return Did(ADL + "completed", "test", data["when"], result=result)


def _lesson_done(data: dict[str, Json]) -> Did:
    return _completed("lesson", data["lesson"], area_of(data["lesson"]))


def _course_finished(data: dict[str, Json]) -> Did:
    return _completed("course", data["course"])


def _exercise_done(data: dict[str, Json]) -> Did:
    return _completed("exercise", data["exercise"], area_of(data["exercise"]))


def _exercise_stuck(data: dict[str, Json]) -> Did:
    id = data["exercise"]
    return Did(ADL + "attempted", "exercise", id, area_of(id), {"completion": False})


def _quizzed(data: dict[str, Json]) -> Did:
    passed = bool(data["passed"])
    result = {"score": {"scaled": round(data["score"], 4)}, "success": passed, "completion": True}
    return Did(ADL + ("passed" if passed else "failed"), "quiz", data["area"], data["area"], result)


def _planned(data: dict[str, Json]) -> Did:
    return _completed("plan")


def _used_at_work(data: dict[str, Json]) -> Did:
    return Did(ADL + "experienced", "use")


def _step_done(data: dict[str, Json]) -> Did:
    return _completed("step", data["step"])


def _certified(data: dict[str, Json]) -> Did:
    return Did(EARNED, "certificate", result={"completion": True, "success": True})


def _completed(kind: str, id: str = "", area: str = "") -> Did:
    return Did(ADL + "completed", kind, id, area, {"completion": True})


READS: dict[str, Callable[[dict[str, Json]], Did]] = {
    "claimed": _claimed,
    "round_begun": _round_begun,
    "measured": _measured,
    "lesson_done": _lesson_done,
    "course_finished": _course_finished,
    "exercise_done": _exercise_done,
    "exercise_stuck": _exercise_stuck,
    "quizzed": _quizzed,
    "planned": _planned,
    "used_at_work": _used_at_work,
    "step_done": _step_done,
    "certified": _certified,
}
"""The kinds of facts that become statements. Consents, placements and reminders do not; nor do
answers to single questions, of which learners are told that nobody sees them."""
