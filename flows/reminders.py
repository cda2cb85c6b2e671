"""When to be reminded, in the learner's hands: in their own words at any time, or step by step."""

from datetime import UTC, datetime, time, timedelta

from msgspec import convert, to_builtins
from msgspec.structs import replace

from content.schema import Consent, Content
from flows.calendar import at_minute, local, next_permitted
from flows.plan import DAYS, TIMES
from flows.reading import fold
from flows.reasons import times, wanted
from flows.slots import next_slot
from flows.speech import choices, reader, say, tell
from flows.types import (
    Answer,
    Ask,
    Choice,
    Chose,
    Flow,
    Record,
    Reply,
    State,
    Times,
    Turn,
    Wrote,
)
from flows.when import Later, Off, Once, Past, Pause, Weekly, When, read_when, say_when

RESTS = {"rest_1w": timedelta(weeks=1), "rest_2w": timedelta(weeks=2)}


# --- said at any time ----------------------------------------------------------------


def meant(
    state: State, text: str, ask: Ask, chosen: str | None, now: datetime, content: Content
) -> When | None:
    """What words say of reminders, unless they answer the open question. Where free text is an
    answer, they must speak of reminding; where a time is one, they can only end reminders."""
    if not state.welcomed or state.stopped:
        return None
    spoken = any(verb in text.lower() for verb in content.nudges.rules.verbs)
    if not spoken and (ask.writes or chosen is not None):
        return None
    when = read_when(text, now, state.zone, content)
    return when if isinstance(when, Off) or not ask.when else None


def heard(state: State, when: When, said: Wrote, now: datetime, content: Content) -> Turn:
    """Do what was said, and say what comes of it; who has not allowed reminders is asked first."""
    allowed = state.consents.get("nudges", False)
    match when:
        case Off():
            return switch(state, False, now, content) if allowed else _are_off(state, content)
        case Pause() if not allowed:
            return _are_off(state, content)
        case Past():
            return Turn(state, (_line(state, "reminders_past", when, content),))
        case Weekly(_, minute) if minute is not None and not fits(minute, content):
            return Turn(state, (hours(state, content),))
    if not allowed:
        wish = {"said": to_builtins(said), "at": now.isoformat()}
        return Turn(state.aside("reminders", "allow", **wish))
    return _set(state, when, now, content)


def switch(state: State, on: bool, now: datetime, content: Content) -> Turn:
    """Switch reminders on or off."""
    consents = {**state.consents, "nudges": on}
    state = replace(state, consents=consents, quiet=False, rests_until=None, once=None)
    fact = Record("consent", {"id": "nudges", "given": on, "notice": state.notice})
    line = _on(state, now, content) if on else tell(state, content, "nudges_off")
    return Turn(state, (line,), (fact,))


def _on(state: State, now: datetime, content: Content) -> Reply:
    """Reminders are on; those at times that the learner chose can be foretold."""
    at, slot = next_slot(state, now, content)
    if slot != "study" or not wanted(state):
        return tell(state, content, "nudges_on")
    return _line(state, "reminders_on", Once(at), content)


def _are_off(state: State, content: Content) -> Turn:
    return Turn(state, (tell(state, content, "reminders_are_off"),))


def _set(state: State, when: When, now: datetime, content: Content) -> Turn:
    """The reminders as they were asked for, and a sentence on what comes next."""
    state = replace(state, quiet=False)
    match when:
        case Weekly(days, minute):
            return _weekly(state, days, minute, now, content)
        case Pause(until):
            return _rest(state, until, content)
        case Once(at):
            state, kind = replace(state, rests_until=None), "once"
        case Later(until):
            at = _on_day(state, until, content)
            state, kind = replace(state, rests_until=at.astimezone(UTC)), "later"
        case _:
            raise TypeError(f"nothing to set: {when}")
    at = next_permitted(at, state.zone, content, chosen=True).astimezone(UTC)
    line = _line(state, "reminders_" + kind, Once(at), content)
    fact = Record("reminders_set", {"kind": kind})
    return Turn(replace(state, once=at), (line,), (fact,))


def _rest(state: State, until: datetime, content: Content) -> Turn:
    """No reminders before that day."""
    day = at_minute(local(until, state.zone), 0).astimezone(UTC)
    state = replace(state, once=None, rests_until=day)
    line = _line(state, "reminders_rest", Later(day), content)
    return Turn(state, (line,), (Record("reminders_set", {"kind": "rest"}),))


def _weekly(
    state: State, days: tuple[int, ...], minute: int | None, now: datetime, content: Content
) -> Turn:
    wish = Times(days, _minute(state, content) if minute is None else minute)
    state = replace(state, times=wish, once=None, rests_until=None)
    plan = state.journey.plan
    if plan is not None:
        state = state.walk(plan=replace(plan, days=wish.days, minute=wish.minute))
    at, slot = next_slot(state, now, content)
    told = say_when(Weekly(wish.days, wish.minute), state.lang, content)
    if slot == "study":
        next_ = say_when(Once(at), state.lang, content, state.zone)
        line = tell(state, content, "reminders_weekly", when=told, next=next_)
    else:  # all is done in this round
        line = tell(state, content, "reminders_weekly_later", when=told)
    fact = Record("reminders_set", {"kind": "weekly", "days": days, "minute": wish.minute})
    return Turn(state, (line,), (fact,))


def _minute(state: State, content: Content) -> int:
    """The learner's own time of day, or the usual one."""
    chosen, usual = times(state), content.nudges.rules.time
    return chosen.minute if chosen else usual.hour * 60 + usual.minute


def _on_day(state: State, until: datetime, content: Content) -> datetime:
    """On a day that was named without a time: at the learner's own, and when people work."""
    day = local(next_permitted(until, state.zone, content), state.zone)
    chosen = times(state)
    return at_minute(day, chosen.minute) if chosen else day


def fits(minute: int, content: Content) -> bool:
    """Whether somebody may choose to be written to at that minute after midnight."""
    at = time(minute // 60, minute % 60)
    return any(first <= at < last for first, last in content.nudges.hours.chosen)


def hours(state: State, content: Content) -> Reply:
    """Tells between which hours a time may be chosen."""
    first, last = content.nudges.hours.chosen[0]
    return tell(state, content, "reminders_hours", first=f"{first:%H:%M}", last=f"{last:%H:%M}")


def _line(state: State, key: str, when: When, content: Content) -> Reply:
    return tell(state, content, key, when=say_when(when, state.lang, content, state.zone))


# --- the settings --------------------------------------------------------------------


def begin(state: State, now: datetime, content: Content) -> Turn:
    return Turn(state.move("shown"))


def ask(state: State, now: datetime, content: Content) -> Ask:
    match state.floor.place:
        case "allow":
            buttons = choices(state, content, "yes_allow", "no_allow")
            return Ask(_consent(content).ask.of(state.lang), buttons)
        case "days":
            text, again = (say(state, content, key) for key in ("plan_days", "plan_days_again"))
            buttons = choices(state, content, *DAYS, "keep")
            return Ask(text, buttons, again=again, writes=True, when=True)
        case "time":
            text, again = (
                say(state, content, key) for key in ("reminders_time", "plan_time_again")
            )
            return Ask(text, choices(state, content, *TIMES), again=again, writes=True, when=True)
        case "zone":
            zones = (zone for zone in content.nudges.zones if zone.shown)
            buttons = tuple(Choice(zone.id, zone.name.of(state.lang)) for zone in zones)
            more = choices(state, content, "keep")
            return Ask(say(state, content, "reminders_zone"), (*buttons, *more), writes=True)
        case _:
            return _shown(state, now, content)


def _consent(content: Content) -> Consent:
    return next(consent for consent in content.notice.consents if consent.id == "nudges")


def _shown(state: State, now: datetime, content: Content) -> Ask:
    chosen, on = times(state), wanted(state)
    unset = say(state, content, "reminders_no_times")
    text = say(
        state,
        content,
        "reminders_shown",
        status=_status(state, now, content),
        times=say_when(Weekly(chosen.days, chosen.minute), state.lang, content)
        if chosen
        else unset,
        zone=_zone_name(state, now, content),
        now=f"{local(now, state.zone):%H:%M}",
    )
    rests = state.rests_until is not None and now < state.rests_until
    ids = ["change_times", "change_zone"]
    if on:
        ids += ["wake"] if rests else [*RESTS]
    ids += ["nudges_off" if on else "nudges_on", "back"]
    again = say(state, content, "reminders_again")
    return Ask(text, choices(state, content, *ids), say(state, content, "reminders_title"), again)


def _status(state: State, now: datetime, content: Content) -> str:
    if not wanted(state):
        return say(state, content, "reminders_state_off")
    if state.once is not None:
        return _line(state, "reminders_state_once", Once(state.once), content).text
    if state.rests_until is not None and now < state.rests_until:
        return _line(state, "reminders_state_rest", Once(state.rests_until), content).text
    return say(state, content, "reminders_state_on")


def _zone_name(state: State, now: datetime, content: Content) -> str:
    """The zone as people call it; one that no list has, by its IANA name."""
    id = state.zone or str(local(now).tzinfo)
    found = next((zone for zone in content.nudges.zones if zone.id == id), None)
    return found.name.of(state.lang) if found else id


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    match state.floor.place, answer:
        case "allow", Chose(given):
            return _allowed(state, given == "yes_allow", now, content)
        case _, Chose("keep"):
            return Turn(state.move("shown"))
        case "days", _:
            return _chose_days(state, answer, now, content)
        case "time", _:
            return _chose_time(state, answer, now, content)
        case "zone", _:
            return _chose_zone(state, answer, now, content)
        case _, Chose("nudges_on" | "nudges_off" as on):
            return switch(state, on == "nudges_on", now, content)
        case _, Chose("change_times"):
            return Turn(state.move("days"))
        case _, Chose("change_zone"):
            return Turn(state.move("zone"))
        case _, Chose("rest_1w" | "rest_2w" as rest):
            return _set(state, Pause(now + RESTS[rest]), now, content)
        case _, Chose("wake"):
            awake = replace(state, rests_until=None, once=None)
            fact = Record("reminders_set", {"kind": "wake"})
            return Turn(awake, (_on(awake, now, content),), (fact,))
        case _:
            return Turn(state.back())


def _allowed(state: State, given: bool, now: datetime, content: Content) -> Turn:
    """The one tap; what was wished for is done only now, as it was meant when it was said."""
    said, at = convert(state.floor.note["said"], Wrote), state.floor.note["at"]
    state = replace(state, consents={**state.consents, "nudges": given}).back()
    fact = Record("consent", {"id": "nudges", "given": given, "notice": state.notice})
    consent = _consent(content)
    line = Reply((consent.allowed if given else consent.declined).of(state.lang))
    wish = read_when(said.text, datetime.fromisoformat(at), state.zone, content)
    if not given or wish is None:  # the words may have been taken back
        return Turn(state, (line,), (fact,))
    turn = _set(state, wish, now, content)
    return Turn(turn.state, (line, *turn.replies), (fact, *turn.effects))


def _chose_days(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    minute = None
    match answer:
        case Chose(id):
            days = DAYS[id]
        case Wrote(text):
            when = read_when(text, now, state.zone, content)
            minute = when.minute if isinstance(when, Weekly) else None
            days = when.days if isinstance(when, Weekly) else reader(content).days(text)
        case _:
            days = ()
    if not days:
        return Turn(state, (tell(state, content, "plan_days_unclear"),))
    if minute is None or not fits(minute, content):
        return Turn(state.move("time", days=list(days)))
    return _chosen(state, days, minute, now, content)


def _chose_time(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    match answer:
        case Chose(id):
            minute = TIMES.get(id)
        case Wrote(text):
            minute = reader(content).minute(text)
        case _:
            minute = None
    if minute is None or not fits(minute, content):
        return Turn(state, (hours(state, content),))
    return _chosen(state, tuple(state.floor.note["days"]), minute, now, content)


def _chosen(
    state: State, days: tuple[int, ...], minute: int, now: datetime, content: Content
) -> Turn:
    """The days and the time are known; whether reminders are on is a switch of its own."""
    turn = _weekly(state, days, minute, now, content)
    if wanted(state):
        return replace(turn, state=turn.state.move("shown"))
    line = tell(state, content, "reminders_kept")
    return Turn(turn.state.move("shown"), (line,), turn.effects)


def _chose_zone(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    match answer:
        case Chose(id):
            zone = id
        case Wrote(text):
            zone = _zone(text, content)
        case _:
            zone = ""
    if not zone:
        return Turn(state, (tell(state, content, "reminders_zone_unclear"),))
    state = replace(state.move("shown"), zone=zone)
    name, clock = _zone_name(state, now, content), f"{local(now, zone):%H:%M}"
    line = tell(state, content, "reminders_zone_set", zone=name, now=clock)
    return Turn(state, (line,), (Record("zone", {"to": zone}),))


def _zone(text: str, content: Content) -> str:
    """The time zone of a place that was typed, in either language; or its IANA name."""
    wanted = fold(text)
    for zone in content.nudges.zones:
        if wanted in map(fold, (zone.name.th, zone.name.en, *zone.also, zone.id)):
            return zone.id
    return ""


FLOW = Flow(begin, ask, answer)
