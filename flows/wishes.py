"""What learners may demand about their data: correct it, restrict its use, object to it."""

from datetime import datetime

from msgspec import to_builtins
from msgspec.structs import replace

from content.schema import Content
from flows import leaving
from flows.speech import choices, say, tell
from flows.types import (
    Answer,
    Ask,
    Chose,
    Fired,
    Found,
    Json,
    Look,
    Record,
    State,
    Tell,
    Turn,
    Wrote,
)

LONGEST = 1000
NAME = 80
PLACES = ("rights", "correct", "object", "name")
ANSWERED = ("access", "correct", "object")
"""What an officer must see to; the others are done at once."""


def ask(state: State, content: Content) -> Ask:
    match state.floor.place:
        case "rights":
            switch = "lift" if state.restricted else "restrict"
            ids = ("correct", "object", switch, "erase", "my_data", "back")
            return Ask(say(state, content, "rights"), choices(state, content, *ids))
        case "correct":
            own = ("new_name",) if _names_itself(state) else ()
            text = say(state, content, "correct_ask")
            return Ask(text, choices(state, content, *own, "back"), writes=True)
        case "object":
            text = say(state, content, "object_ask")
            return Ask(text, choices(state, content, "no_reason", "back"), writes=True)
        case _:
            return Ask(
                say(state, content, "finish_name"), choices(state, content, "back"), writes=True
            )


def _names_itself(state: State) -> bool:
    """The name on the certificate is the learner's own word, not the roster's."""
    return state.person is None and bool(state.journey.certificate)


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    match state.floor.place, answer:
        case "rights", Chose("correct" | "object" as place):
            return Turn(state.move(place))
        case "rights", Chose("restrict"):
            return _wish(state, "restrict")
        case "rights", Chose("lift"):
            return lift(state, content)
        case "rights", Chose("erase"):
            return Turn(state.move("sure"))
        case "rights", Chose("my_data"):
            return Turn(state.move(""))
        case "correct", Chose("new_name"):
            return Turn(state.move("name"))
        case "correct", Wrote():
            return _wish(state, "correct", answer)
        case "object", Wrote():
            return _wish(state, "object", answer)
        case "object", Chose("no_reason"):
            return _wish(state, "object")
        case "name", Wrote(text, message):
            name = Wrote(" ".join(text.split())[:NAME], message)
            return Turn(replace(state, name=name), (), (Look("rename", to_builtins(name)),))
        case _:
            return Turn(state.back())


def _wish(state: State, kind: str, words: Wrote | None = None) -> Turn:
    args: dict[str, Json] = {"kind": kind}
    if words is not None:
        args["detail"] = to_builtins(replace(words, text=words.text[:LONGEST]))
    return Turn(state, (), (Look("wish", args),))


def found(state: State, found: Found, now: datetime, content: Content) -> Turn:
    """The wish is noted: `data` has its `kind` and when it is `due`."""
    kind, due = found.data["kind"], datetime.fromisoformat(found.data["due"])
    if kind == "erase":
        return leaving.stop(state, due, content)
    line = tell(state, content, "wished_" + kind, **leaving.until(due, state))
    told = (Tell("privacy", "wish", found.data),) if kind in ANSWERED else ()
    fact = (Record("restricted", {"on": True}),) if kind in ("object", "restrict") else ()
    after = replace(state, restricted=True) if fact else state
    return Turn(after.back(), (line,), (*told, *fact))


def lift(state: State, content: Content) -> Turn:
    """The learner takes the restriction away again."""
    free = replace(state, restricted=False).back()
    return Turn(free, (tell(state, content, "lifted"),), (Record("restricted", {"on": False}),))


def ended(state: State, event: Fired, content: Content) -> Turn:
    """An officer has decided. An objection that was refused ends the restriction it brought."""
    data = event.data
    what, reason = say(state, content, "wished_kind_" + data["kind"]), data["reason"]
    key = f"wish_{data['how']}" + ("_because" if reason and data["how"] == "done" else "")
    line = tell(state, content, key, what=what, reason=reason, dpo=content.dpo)
    if not (data["lift"] and state.restricted):
        return Turn(state, (replace(line, notify=True),))
    said = replace(line, text=f"{line.text}\n{say(state, content, 'wish_lifted')}", notify=True)
    return Turn(replace(state, restricted=False), (said,), (Record("restricted", {"on": False}),))


def renamed(state: State, found: Found, now: datetime, content: Content) -> Turn:
    """The certificate shows the new name from now on."""
    line = tell(state, content, "renamed", name=state.name.text)
    return Turn(state.back(), (line,))
