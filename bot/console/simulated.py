"""How a simulation is shown: the chat as on its channel, what happened beside it and why, and the
state behind it."""

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

from msgspec.json import format as indent

from bot.channels.keyboard import rows
from bot.channels.line_send import BUTTONS, LABEL
from bot.channels.parts import clip, is_card
from bot.console.pages import Visit
from bot.simulation import FINISHED, FRESH, Entry, Simulation, stations
from bot.simulations import Held
from content.schema import Content, Lang
from flows import steps
from flows import transcript as written
from flows.calendar import day_off, local
from flows.reports import moment
from flows.text import long_date
from flows.types import Choice, Reply
from storage.gathered import encode

SHOWN = 80
"""Entries on the page; the older ones on demand."""
FACTS = 60


def places(content: Content, lang: Lang, words: dict[str, str]) -> list[tuple[str, str]]:
    """Where a simulation may begin: fresh, before each activity of each step, finished."""
    found = [(FRESH, words["sim_fresh"])]
    for n, activity in stations(content):
        step, next_ = content.method.steps[n - 1], content.copy_[lang]["go_" + activity]
        label = words["sim_place"].format(n=n, step=step.name.of(lang), next=next_)
        found.append((activity, label))
    return [*found, (FINISHED, words["sim_finished"])]


def who(simulation: Simulation, words: dict[str, str]) -> str:
    """Whom the learner is, in a few words."""
    persona, start = simulation.persona, simulation.start
    if persona is not None:
        return f"{persona.name} · {persona.title}"
    return " · ".join(filter(None, (start.name, start.unit))) or words["sim_guest"]


def brief(held: Held, content: Content, visit: Visit) -> dict[str, str]:
    """One of the open simulations, in a line."""
    simulation = held.simulation
    return {
        "id": held.id,
        "who": who(simulation, visit.words),
        "look": content.copy_[visit.lang]["channel_" + simulation.start.channel],
        "now": moment(simulation.now, visit.lang),
    }


def shown(simulation: Simulation, visit: Visit) -> dict[str, Any]:
    """All that the page needs."""
    entries, more = simulation.entries, 0
    if len(entries) > SHOWN and not visit.asked("all"):
        more = len(entries) - SHOWN
        entries = entries[more:]
    content, lang = simulation.content, visit.lang
    state = simulation.state()
    due = simulation.next_due()
    areas = content.menu.areas if simulation.start.channel == "line" else ()
    return {
        "who": who(simulation, visit.words),
        "look": simulation.start.channel,
        "look_name": content.copy_[lang]["channel_" + simulation.start.channel],
        "speaks": state.lang,
        "now": moment(simulation.now, lang),
        "now_day": local(simulation.now).date().isoformat(),
        "now_clock": f"{local(simulation.now):%H:%M}",
        "kind_of_day": kind_of_day(simulation.now, content, visit),
        "next_due": moment(due, lang) if due else "",
        "days": list(_days(entries, simulation, visit)),
        "more": more,
        "rich": [(f"*:{area.word}", area.label.of(state.lang)) for area in areas],
        "blocked": simulation.blocked,
        "code": simulation.code() if simulation.on_roster and state.person is None else "",
        "inside": _inside(simulation, visit),
    }


def kind_of_day(when: datetime, content: Content, visit: Visit) -> str:
    """A public holiday by its name, a weekend, or a working day."""
    day = local(when).date()
    if holiday := day_off(day, content):
        return visit.words["sim_holiday"].format(name=holiday.name.of(visit.lang))
    return visit.words["sim_weekend" if day.weekday() >= 5 else "sim_working_day"]


# --- the conversation ------------------------------------------------------------------


def _days(entries: list[Entry], simulation: Simulation, visit: Visit) -> Iterable[dict[str, Any]]:
    """The entries under the day on which they were."""
    last = next((each for each in reversed(entries) if each.kind == "said"), None)
    for day, those in groupby(entries, lambda each: local(each.at).date()):
        turns = [_turn(each, simulation, visit, newest=each is last) for each in those]
        yield {"name": long_date(day, visit.lang), "turns": turns}


def _turn(entry: Entry, simulation: Simulation, visit: Visit, *, newest: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "kind": entry.kind,
        "time": f"{local(entry.at):%H:%M}",
        "unasked": entry.unasked,
        "text": entry.text,
        "bubbles": _bubbles(entry, simulation),
        "quick": [],
    }
    match entry.kind:
        case "did" if "sent" in entry.slots:
            made["text"] = visit.words["sim_sent_" + entry.slots["sent"]]
            made["event"] = True
        case "note":
            made["text"] = _note(entry, simulation.content, visit)
        case "said" if newest and simulation.start.channel == "line":
            made["quick"] = _quick(entry.replies, simulation)
    return made


def _bubbles(entry: Entry, simulation: Simulation) -> list[dict[str, Any]]:
    """Messages as their channel shows them: LINE makes cards and has its buttons at the very end;
    on Telegram each message keeps the buttons that it came with."""
    made, tokens = [], iter(entry.pictures)
    for reply in entry.replies:
        token = next(tokens, "") if reply.picture else ""
        keyed = simulation.start.channel == "telegram" and entry.kind == "said"
        made.append(
            {
                "title": reply.title if is_card(reply) else "",
                "text": reply.text if is_card(reply) or not reply.title else _titled(reply),
                "picture": token,
                "alt": reply.picture.alt if reply.picture else "",
                "rows": [
                    [_button(c, reply, simulation) for c in row] for row in rows(reply) if keyed
                ],
            }
        )
    return made


def _titled(reply: Reply) -> str:
    return f"{reply.title}\n{reply.text}"


def _quick(replies: tuple[Reply, ...], simulation: Simulation) -> list[dict[str, str]]:
    """LINE's quick replies: of the latest message that has any, and only so many."""
    asking = next((reply for reply in reversed(replies) if reply.choices), None)
    if asking is None:
        return []
    return [_button(each, asking, simulation, LABEL) for each in asking.choices[:BUTTONS]]


def _button(choice: Choice, reply: Reply, simulation: Simulation, most: int = 0) -> dict[str, str]:
    """`value` is what it sends, `url` the page that it opens; a page of ours knows nothing of a
    simulation."""
    label = choice.label or choice.says
    ours = urlsplit(simulation.content.public_url).netloc
    return {
        "label": clip(label, most) if most else label,
        "says": choice.says if choice.says != label else "",
        "value": f"{choice.stamp or reply.stamp}:{choice.id}",
        "url": choice.url,
        "ours": "1" if choice.url and urlsplit(choice.url).netloc == ours else "",
    }


# --- what happened beside it ---------------------------------------------------------------


def _note(entry: Entry, content: Content, visit: Visit) -> str:
    words = visit.words
    match entry.text:
        case "fired":
            return _fired(entry, words)
        case "kept":
            return _kept(entry, content, visit)
        case key:
            return words["sim_note_" + key]


def _fired(entry: Entry, words: dict[str, str]) -> str:
    """Why something was said unasked, or why not."""
    slots = entry.slots
    timer = words.get("sim_timer_" + slots["timer"], slots["timer"])
    if told := slots.get("nudged"):
        why = words["sim_nudged_" + told["kind"]]
    elif skipped := slots.get("nudge_skipped"):
        why = words["sim_skipped_" + skipped["why"]]
    elif "nudge_withheld" in slots:
        why = words["sim_withheld"]
    elif "nudges_paused" in slots:
        why = words["sim_paused"]
    else:
        why = words["sim_fired_said" if slots["said"] else "sim_fired_nothing"]
    return words["sim_fired"].format(timer=timer, why=why)


def _kept(entry: Entry, content: Content, visit: Visit) -> str:
    """What became of a message that nobody asked for, and why."""
    slots, words = entry.slots, visit.words
    status, reason = slots["status"], slots["why"]
    if status == "accepted":
        return words["sim_rode"]
    until = datetime.fromisoformat(slots["until"])
    key = {"queued": "sim_waits", "held": "sim_held", "riding": "sim_held"}.get(status, "sim_drop")
    why = words.get("sim_why_" + reason.removeprefix("deadline_"), reason)
    if reason == "hours":
        why = words["sim_why_hours"].format(day=kind_of_day(entry.at, content, visit))
    elif reason.startswith("deadline_"):
        why = words["sim_why_deadline_for"].format(why=why)
    purpose = words.get("sim_purpose_" + slots["purpose"], slots["purpose"])
    return words[key].format(purpose=purpose, why=why, until=moment(until, visit.lang))


# --- the state behind it -------------------------------------------------------------------


def _inside(simulation: Simulation, visit: Visit) -> dict[str, Any]:
    """For the curious, in the names that the code has for it."""
    state, lang = simulation.state(), visit.lang
    here = steps.current(state, simulation.content)
    return {
        "flow": f"{state.floor.flow} / {state.floor.place or '–'}",
        "paused": " → ".join(f"{floor.flow}/{floor.place}" for floor in state.paused) or "–",
        "stamp": str(state.stamp),
        "activity": here[1] if here else "–",
        "progress": steps.listing(state, simulation.content),
        "timers": [
            (row.kind, row.key, moment(row.due, lang), row.data) for row in simulation.timers()
        ],
        "waiting": [
            (row.lane, row.purpose, row.status, row.reason or "–", moment(row.due, lang))
            for row in simulation.waiting()
        ],
        "facts": [(moment(row.at, lang), row.kind, row.data) for row in simulation.facts(FACTS)],
        "effects": [
            written.line_of_effect(effect).removeprefix("! ")
            for effect in (simulation.turn.effects if simulation.turn else ())
        ],
        "state": indent(encode(state), indent=2).decode(),
    }
