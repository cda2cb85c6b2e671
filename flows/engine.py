"""Give each event to the flow that has the floor; reserved words first; stamp the buttons."""

from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from content.schema import Content, Gone
from flows import (
    apply,
    askhr,
    claim,
    digest,
    exercise,
    finish,
    home,
    leaving,
    lesson,
    meaning,
    mydata,
    nudges,
    placement,
    plan,
    practice,
    pretest,
    quiz,
    reminders,
    reserved,
    review,
    slots,
    steps,
    streak,
    welcome,
    wishes,
)
from flows.intents import listener
from flows.speech import letters, reader, say, tell
from flows.types import (
    LATE,
    RECENT,
    SILENCE,
    AnyEvent,
    Ask,
    Chose,
    Fired,
    Flow,
    FlowLoop,
    Found,
    Left,
    Look,
    Pressed,
    Record,
    Registry,
    Reply,
    Said,
    Sent,
    Showed,
    Started,
    State,
    Turn,
    Unsent,
    Wrote,
)

FLOWS: Registry = {
    "welcome": welcome.FLOW,
    "claim": claim.FLOW,
    "home": home.FLOW,
    "menu": reserved.MENU,
    "meaning": meaning.FLOW,
    "return": reserved.RETURN,
    "stopped": reserved.STOPPED,
    "mydata": mydata.FLOW,
    "reminders": reminders.FLOW,
    "digest": digest.FLOW,
    "erased": leaving.ERASED,
    "askhr": askhr.FLOW,
    "placement": placement.FLOW,
    "pretest": pretest.FLOW,
    "plan": plan.FLOW,
    "lesson": lesson.FLOW,
    "exercise": exercise.FLOW,
    "quiz": quiz.FLOW,
    "practice": practice.FLOW,
    "apply": apply.FLOW,
    "review": review.FLOW,
    "finish": finish.FLOW,
}
FOUND: dict[str, Callable[[State, Found, datetime, Content], Turn]] = {
    "claim": claim.found,
    "linked": claim.linked,
    "use": apply.found,
    "certificate": finish.found,
    "my_data": mydata.found,
    "who_looked": mydata.looked,
    "copy": mydata.copied,
    "wish": wishes.found,
    "rename": wishes.renamed,
    "undo_erase": leaving.found,
    "confirm_use": nudges.found,
    "team": digest.found,
    "waiting": digest.waiting,
    "cheer": digest.cheered,
    "completed": digest.completed,
    "report": reserved.reported,
}
"""Who hears what a `Look` brought."""
HOPS = 8
"""How often the floor may change hands in one turn."""


def handle(state: State, event: AnyEvent, now: datetime, content: Content) -> Turn:
    """One turn: what the learner's conversation makes of `event`.

    1. Events that are no part of a dialogue (left, unsent, timers) change only the state.
    2. Reserved words come before the flow that has the floor.
    3. What the flow does with the answer may hand the floor on, a bounded number of times.
    4. The open question, whoever's it is by then, is asked as the last message.
    """
    match event:
        case Left():
            return Turn(state, (), (Record("left"),))
        case Unsent():
            return reserved.unsend(state, event)
        case Fired():
            return nudges.fired(state, event, now, content)
        case Found(what="weekly_team"):
            return digest.weekly(state, event, now, content)
        case Found("person"):
            return claim.refreshed(state, event)
        case Found():
            turn = FOUND[event.what](state, event, now, content)
        case _:
            here = streak.here(replace(state, heard_at=now, tries=0), now, content)
            turn = _hear(here, event, state, now, content)
    turn = _settle(turn, now, content)
    turn = streak.celebrate(state, _celebrate(state, turn, content), content)
    turn = slots.keep(state, turn, now, content)
    return _ask(state, turn, now, content)


def _hear(state: State, event: AnyEvent, before: State, now: datetime, content: Content) -> Turn:
    """What somebody said, pressed or sent."""
    code = claim.code_in(event)
    if before.heard_at is None:  # whatever it was: the notice comes first
        return Turn(claim.keep(state, code) if code else state)
    if code:
        return claim.entered(state, code)
    silent = before.welcomed and not before.stopped and now - before.heard_at >= SILENCE
    meant = _retyped(event, content)
    word = _word(meant, content)
    if silent and word == "start":
        return Turn(state.aside("return"))
    if word:
        return reserved.heard(state, word, now, content)
    match event:
        case Pressed(stamp="*"):
            return reserved.standing(state, event.choice, now, content)
        case Said(at=at) if at and state.asked_at and at < min(state.asked_at, now) - LATE:
            return Turn(state, (tell(state, content, "late"),))
    ask = _open(state, now, content)
    if isinstance(event, Pressed):
        if event.stamp != str(state.stamp) or event.choice not in {c.id for c in ask.choices}:
            return Turn(state, (tell(state, content, "old_button"),))
        return _answer(state, Chose(event.choice), now, content)
    if isinstance(meant, Said) and isinstance(event, Said):
        read = _read(state, meant, ask, now, content)
        if read is not None:
            return read
        if state.floor.flow == "meaning":  # none of what it was taken for
            return _hear(state.back(), event, before, now, content)
    if silent:
        return Turn(state.aside("return"))
    return _free(state, event, ask, before.tries + 1, now, content)


def _read(state: State, said: Said, ask: Ask, now: datetime, content: Content) -> Turn | None:
    """Words that are one of the choices, or about reminders."""
    chosen = reader(content).choice(said.text, ask.choices, own_words=ask.writes)
    when = reminders.meant(state, said.text, ask, chosen, now, content)
    if when is not None:
        return reminders.heard(state, when, Wrote(said.text, said.message), now, content)
    return None if chosen is None else _answer(state, Chose(chosen), now, content)


def _retyped(event: AnyEvent, content: Content) -> AnyEvent:
    """What was typed in the wrong keyboard layout, in the right one; to read, not to keep."""
    if not isinstance(event, Said):
        return event
    text = listener(content).speller.retyped(event.text)
    return event if text is None else replace(event, text=text)


def _word(event: AnyEvent, content: Content) -> str | None:
    """The reserved word that an event is, if it is one."""
    match event:
        case Started():
            return "start"
        case Pressed(stamp="*", choice=choice) if choice in content.words.reserved:
            return choice
        case Said(text=text):
            return reader(content).reserved_word(text)
    return None


def _free(
    state: State, event: AnyEvent, ask: Ask, tries: int, now: datetime, content: Content
) -> Turn:
    """Something that is not one of the choices; `tries` counts unclear answers in a row."""
    if isinstance(event, Said) and (not ask.writes or state.floor.flow == "stopped"):
        turn = _meant(state, event, ask, now, content)
        if turn is not None:
            return turn
    match event:
        case Said(text=text, message=message) if ask.writes and text.strip():
            return _answer(state, Wrote(text.strip(), message), now, content)
        case Sent(kind="photo", ref=ref, message=message) if ask.shows:
            return _answer(state, Showed(ref, message), now, content)
        case Sent(kind=kind):
            return Turn(state, (tell(state, content, "got_" + kind),))
    state = replace(state, tries=tries)
    if tries > 1:  # rephrased once already: just the choices again
        return Turn(state)
    key = "unclear_words" if ask.writes or not ask.choices else "unclear"
    return Turn(state, (tell(state, content, key),))


def _meant(state: State, said: Said, ask: Ask, now: datetime, content: Content) -> Turn | None:
    """What words mean that answer nothing: they may still be a choice of the open question."""
    meant = meaning.heard(state, said, ask, now, content)
    return _answer(state, meant, now, content) if isinstance(meant, Chose) else meant


def _flow(state: State) -> Flow:
    return FLOWS[state.floor.flow]


def _answer(state: State, answer: Chose | Wrote | Showed, now: datetime, content: Content) -> Turn:
    try:
        return _flow(state).answer(state, answer, now, content)
    except Gone:
        return _gone(state, content)


def _gone(state: State, content: Content) -> Turn:
    """The lesson or question somebody stood on was taken away: start from a safe place."""
    home_again = replace(state, paused=()).at("home")
    return Turn(home_again, (tell(state, content, "content_gone"),))


def _open(state: State, now: datetime, content: Content) -> Ask:
    try:
        return _flow(state).ask(state, now, content)
    except Gone:
        return Ask("")


def _settle(turn: Turn, now: datetime, content: Content) -> Turn:
    """Let whoever got the floor begin, until a question is open."""
    for _ in range(HOPS):
        if turn.state.floor.place or _waits(turn):
            return turn
        try:
            more = _flow(turn.state).begin(turn.state, now, content)
        except Gone:
            more = _gone(turn.state, content)
        turn = Turn(more.state, turn.replies + more.replies, turn.effects + more.effects)
    raise FlowLoop(f"no question was open after {HOPS} hops: {turn.state.floor.flow}")


def _waits(turn: Turn) -> bool:
    """The shell must answer first: nothing is asked until then."""
    return any(isinstance(effect, Look) for effect in turn.effects)


def _celebrate(before: State, turn: Turn, content: Content) -> Turn:
    """Say so, and record it, when a step has been finished in this turn."""
    state = turn.state
    if state.journey is before.journey and state.placed is before.placed:
        return turn
    if state.journey.number != before.journey.number:
        return turn
    done_before = steps.done(before, content)
    new = [step for step in steps.done(state, content) if step not in done_before]
    if not new:
        return turn
    facts = tuple(
        Record("step_done", {"step": step, "round": state.journey.number}) for step in new
    )
    lines = tuple(
        tell(
            state,
            content,
            "step_done",
            n=steps.number(step, content),
            name=steps.name(step, state, content),
        )
        for step in new
    )
    told = digest.seen(state, new, content)
    return Turn(state, turn.replies + lines + told, turn.effects + facts)


def _ask(before: State, turn: Turn, now: datetime, content: Content) -> Turn:
    """Ask the open question as the last message, its buttons stamped with its number."""
    if _waits(turn):  # whoever has the floor now will not have asked until then
        moved = turn.state.floor != before.floor
        return replace(turn, state=replace(turn.state, asked_at=None)) if moved else turn
    try:
        ask = _flow(turn.state).ask(turn.state, now, content)
    except Gone:
        gone = _settle(_gone(turn.state, content), now, content)
        turn = Turn(gone.state, turn.replies + gone.replies, turn.effects)
        ask = _flow(turn.state).ask(turn.state, now, content)
    state = turn.state
    if state.floor != before.floor or not state.stamp or state.asked_at is None:
        state = replace(state, stamp=state.stamp + 1, tries=0, asked_at=now)
    elif ask.again and _said(before, turn) and _still_seen(before, state, now):
        ask = replace(ask, text=ask.again, title="", picture=None)
    question = render(state, ask, content)
    return Turn(state, (*turn.replies, question), turn.effects)


def _said(before: State, turn: Turn) -> bool:
    """Something was said meanwhile, or would have been but for an unclear answer before it."""
    return bool(turn.replies) or turn.state.tries > before.tries


def _still_seen(before: State, state: State, now: datetime) -> bool:
    """The question stands a few messages above, in the same language."""
    asked = state.asked_at
    return asked is not None and now - asked < RECENT and state.lang == before.lang


def render(state: State, ask: Ask, content: Content) -> Reply:
    """The question as a message: long options are listed by letter, the buttons carry it."""
    lines, buttons = [], []
    for letter, choice in zip(letters(state, content), ask.choices, strict=False):
        if not choice.label:
            lines.append(say(state, content, "option", letter=letter, says=choice.says))
            choice = replace(choice, label=letter)
        buttons.append(choice)
    text = ask.text + ("\n\n" + "\n".join(lines) if lines else "")
    return Reply(text, tuple(buttons), str(state.stamp), ask.title, ask.picture)
