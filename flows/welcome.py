"""The first minutes: the privacy notice, what may be allowed beside it, and who you are."""

from datetime import datetime

from msgspec.structs import replace

from content.schema import Consent, Content
from flows.speech import choices, say, tell
from flows.types import Answer, Ask, Chose, Flow, Look, Record, Reply, State, Turn


def begin(state: State, now: datetime, content: Content) -> Turn:
    return Turn(state.move("notice"))


def ask(state: State, now: datetime, content: Content) -> Ask:
    match state.floor.place:
        case "notice":
            notice = content.notice.short.of(state.lang).replace("{dpo}", content.dpo)
            text = say(state, content, "hello") + "\n\n" + notice.strip()
            buttons = choices(state, content, "agree", "full_notice", "language")
            return Ask(text, buttons, again=say(state, content, "notice_again"))
        case "consent" if consent := _consent(state, content):
            return Ask(consent.ask.of(state.lang), choices(state, content, "yes_allow", "no_allow"))
        case _:
            return Ask(say(state, content, "who"), choices(state, content, "claim", "guest"))


def _consent(state: State, content: Content) -> Consent | None:
    """The first extra that has not been settled, here or among the learner's data."""
    return next((c for c in content.notice.consents if c.id not in state.consents), None)


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    assert isinstance(answer, Chose)
    match state.floor.place, answer.id:
        case "notice", "full_notice":
            return Turn(state, full_notice(state, content))
        case "notice", "language":
            other = replace(state, lang="en" if state.lang == "th" else "th")
            return Turn(other, (), (Record("language", {"to": other.lang}),))
        case "notice", _:
            seen = Record("notice_seen", {"version": content.notice.version, "lang": state.lang})
            return _onward(replace(state, notice=content.notice.version), (), (seen,), content)
        case "consent", ("yes_allow" | "no_allow") as given:
            return _consented(state, given == "yes_allow", content)
        case _, "claim":
            return Turn(_welcomed(state).at("claim"))
        case _:
            return Turn(_welcomed(state).at("home"), (tell(state, content, "guest"),))


def full_notice(state: State, content: Content) -> tuple[Reply, ...]:
    """The whole notice, as one message that channels cut where they must."""
    paragraphs = [p.of(state.lang).replace("{dpo}", content.dpo) for p in content.notice.full]
    return (Reply("\n\n".join(paragraphs)),)


def _consented(state: State, given: bool, content: Content) -> Turn:
    consent = _consent(state, content)
    assert consent is not None
    state = replace(state, consents={**state.consents, consent.id: given})
    fact = Record("consent", {"id": consent.id, "given": given, "notice": state.notice})
    line = (consent.allowed if given else consent.declined).of(state.lang)
    return _onward(state, (Reply(line),), (fact,), content)


def _onward(
    state: State, replies: tuple[Reply, ...], facts: tuple[Record, ...], content: Content
) -> Turn:
    """The next thing that is not settled yet."""
    if _consent(state, content):
        # each extra is a question of its own
        return Turn(state.move("consent", asked=len(state.consents)), replies, facts)
    if state.person is None and (code := state.floor.note.get("code")):
        look = Look("claim", {"code": code})
        return Turn(_welcomed(state).at("claim", "code"), replies, (*facts, look))
    if state.person is None:
        return Turn(state.move("who"), replies, facts)
    hello = tell(state, content, "claimed", name=state.person.name, unit=state.person.unit)
    return Turn(_welcomed(state).at("home"), (*replies, hello), facts)


def _welcomed(state: State) -> State:
    return replace(state, welcomed=True)


FLOW = Flow(begin, ask, answer)
