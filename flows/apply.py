"""Use at work: where, for whom, what changed; a photo or link, sharing and a manager's word
are all optional. This is what an agency reports to OCSC."""

import re
from datetime import datetime

from msgspec import to_builtins

from content.schema import Content
from flows.speech import bullets, choices, put_off, say, tell
from flows.types import (
    Answer,
    Ask,
    Chose,
    Flow,
    Found,
    Json,
    Look,
    Showed,
    State,
    Turn,
    Wrote,
)

ORDER = ("where", "whom", "changed", "proof", "share", "confirm", "sure")
LONGEST = 1000
_LINK = re.compile(r"https?://[^\s<>\"']{3,500}")


def begin(state: State, now: datetime, content: Content) -> Turn:
    return Turn(state.move(ORDER[0]))


def ask(state: State, now: datetime, content: Content) -> Ask:
    place = state.floor.place
    text = say(state, content, "apply_" + place, **_known(state, content))
    match place:
        case "where":
            return Ask(text, choices(state, content, "later"), writes=True)
        case "whom":
            return Ask(
                text, choices(state, content, "citizens", "colleagues", "managers"), writes=True
            )
        case "changed":
            ids = ("faster", "fewer_errors", "easier", "cheaper")
            return Ask(text, choices(state, content, *ids), writes=True)
        case "proof":
            again = say(state, content, "apply_proof_again")
            skip = choices(state, content, "skip")
            return Ask(text, skip, again=again, writes=True, shows=True)
        case "share" | "confirm":
            return Ask(text, choices(state, content, "yes_" + place, "no_" + place))
        case _:
            return Ask(text, choices(state, content, "save", "redo", "discard"))


def _known(state: State, content: Content) -> dict[str, Json]:
    """What has been told so far, for the summary, and the task of the plan, for the question."""
    note, plan = state.floor.note, state.journey.plan
    task = plan.task.text if plan and plan.task.text else ""
    known: dict[str, Json] = {
        "task": say(state, content, "apply_task", task=task) if task else "",
    }
    if state.floor.place == "sure":
        lines = [
            say(state, content, "apply_line_" + place, text=_words(note[place], state, content))
            for place in ("where", "whom", "changed", "proof", "share", "confirm")
            if note.get(place)
        ]
        known["lines"] = bullets(lines)
    return known


def _words(value: Json, state: State, content: Content) -> str:
    if isinstance(value, dict):
        return str(value["text"]) or say(state, content, "withdrawn")
    return say(state, content, "apply_" + value)


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    place = state.floor.place
    match place, answer:
        case "where", Chose("later"):
            return put_off(state, content, "apply_later")
        case "proof", Wrote(text) if not _LINK.search(text):
            return Turn(state, (tell(state, content, "apply_no_link"),))
        case "sure", Chose("redo"):
            return Turn(state.at("apply"))
        case "sure", Chose("discard"):
            return Turn(state.back(), (tell(state, content, "apply_discarded"),))
        case "sure", _:
            return _save(state, content)
    if place == "proof" and isinstance(answer, Chose):
        return Turn(state.move(_after(state)))
    noted = state.move(place, **{place: _noted(answer, state, content)})
    return Turn(noted.move(_after(noted)))


def _noted(answer: Answer, state: State, content: Content) -> Json:
    match answer:
        case Chose(id) if id.startswith(("yes_", "no_")):
            return id
        case Chose(id):
            return to_builtins(Wrote(say(state, content, "choice_" + id)))
        case Wrote(text, message):
            return to_builtins(Wrote(text[:LONGEST], message))
        case Showed(ref, message):
            return {**to_builtins(Wrote(say(state, content, "apply_photo"), message)), "ref": ref}


def _after(state: State) -> str:
    """The next question; only those who have a manager in the roster are asked about one."""
    place = ORDER[ORDER.index(state.floor.place) + 1]
    asks_manager = state.person is not None and state.person.manager
    return "sure" if place == "confirm" and not asks_manager else place


def _save(state: State, content: Content) -> Turn:
    """The shell numbers the record; the number comes back so that a manager can confirm it."""
    note = state.floor.note
    use = {
        "round": state.journey.number,
        "where": note["where"],
        "whom": note["whom"],
        "changed": note["changed"],
        "proof": note.get("proof"),
        "shared": note["share"] == "yes_share",
        "ask_manager": note.get("confirm") == "yes_confirm",
    }
    return Turn(state, (), (Look("use", use),))


def found(state: State, found: Found, now: datetime, content: Content) -> Turn:
    """`data` has `asked`: whether a manager will be asked to confirm."""
    key = "apply_saved_asked" if found.data["asked"] else "apply_saved"
    state = state.walk(uses=state.journey.uses + 1).back()
    return Turn(state, (tell(state, content, key),))


def done(state: State, content: Content) -> bool:
    return state.journey.plan is not None and state.journey.uses > 0


FLOW = Flow(begin, ask, answer, done=done)
