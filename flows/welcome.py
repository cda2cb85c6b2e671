"""The first minutes: the privacy notice, what may be allowed beside it, and who you are."""

from datetime import datetime

from msgspec.structs import replace

from content.schema import Consent, Content
from flows.speech import choices, say, tell
from flows.types import Answer, Ask, Chose, Flow, Record, Reply, State, Turn


def begin(state: State, now: datetime, content: Content) -> Turn:
    return Turn(state.move("notice"))


def ask(state: State, now: datetime, content: Content) -> Ask:
    match state.floor.place:
        case "notice":
            notice = content.notice.short.of(state.lang).replace("{dpo}", content.dpo)
            text = say(state, content, "hello") + "\n\n" + notice.strip()
            return Ask(text, choices(state, content, "agree", "full_notice", "language"))
        case "consent":
            return Ask(
                _consent(state, content).ask.of(state.lang),
                choices(state, content, "yes_allow", "no_allow"),
            )
        case _:
            return Ask(say(state, content, "who"), choices(state, content, "claim", "guest"))


def _consent(state: State, content: Content) -> Consent:
    """The first extra that has not been asked about yet."""
    return next(c for c in content.notice.consents if c.id not in state.consents)


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
        case "consent", given:
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
    state = replace(state, consents={**state.consents, consent.id: given})
    fact = Record("consent", {"id": consent.id, "given": given, "notice": state.notice})
    line = (consent.allowed if given else consent.declined).of(state.lang)
    return _onward(state, (Reply(line),), (fact,), content)


def _onward(
    state: State, replies: tuple[Reply, ...], facts: tuple[Record, ...], content: Content
) -> Turn:
    """The next thing that is not settled yet."""
    if any(consent.id not in state.consents for consent in content.notice.consents):
        # each extra is a question of its own
        return Turn(state.move("consent", asked=len(state.consents)), replies, facts)
    if state.person is None:
        return Turn(state.move("who"), replies, facts)
    hello = tell(state, content, "claimed", name=state.person.name, unit=state.person.unit)
    return Turn(_welcomed(state).at("home"), (*replies, hello), facts)


def _welcomed(state: State) -> State:
    return replace(state, welcomed=True)


FLOW = Flow(begin, ask, answer)
