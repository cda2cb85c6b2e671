"""Which personnel group somebody is in: by the roster first, else by what they do all day.
The group is about position, not ability; it is explained, and can be corrected."""

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from content.schema import Content, Gone, PlacementQuestion, RosterRule
from flows.speech import choices, say, tell
from flows.types import (
    Answer,
    Ask,
    Choice,
    Chose,
    Flow,
    Person,
    Placed,
    Record,
    Reply,
    State,
    Turn,
    Wrote,
)

LONGEST = 1000


def by_roster(person: Person | None, content: Content) -> Placed | None:
    """What HR's roster says, by the first rule that matches."""
    if person is None:
        return None
    for at, rule in enumerate(content.placement.roster_rules):
        if _matches(rule, person):
            return Placed(rule.group, (f"roster:{at}",), "roster")
    return None


def _matches(rule: RosterRule, person: Person) -> bool:
    return (
        person.position_type in rule.position_types
        or any(person.title.startswith(start) for start in rule.title_starts)
        or any(part in person.title for part in rule.title_contains)
    )


def begin(state: State, now: datetime, content: Content) -> Turn:
    placed = by_roster(state.person, content)
    if placed is None:
        return Turn(state.move("ask", n=0), (tell(state, content, "placement_intro"),))
    return _shown(place(state, placed, content))


def ask(state: State, now: datetime, content: Content) -> Ask:
    match state.floor.place:
        case "ask":
            question = _question(state, content)
            text = say(
                state,
                content,
                "placement_ask",
                n=state.floor.note["n"] + 1,
                of=len(content.placement.questions),
                ask=question.ask.of(state.lang),
                examples=question.examples.of(state.lang),
            )
            return Ask(text, choices(state, content, "yes", "no"))
        case "pick" | "second" as place:
            return Ask(say(state, content, "placement_" + place), _groups(state, content, place))
        case "reason":
            return Ask(
                say(state, content, "placement_reason"),
                choices(state, content, "skip"),
                writes=True,
            )
        case _:
            return Ask(
                say(state, content, "placement_ok"),
                choices(state, content, "right", "change_group", "second_group"),
            )


def _question(state: State, content: Content) -> PlacementQuestion:
    questions, n = content.placement.questions, state.floor.note["n"]
    if n >= len(questions):
        raise Gone(f"question {n}")
    return questions[n]


def _groups(state: State, content: Content, place: str) -> tuple[Choice, ...]:
    assert state.placed is not None
    groups = content.framework.groups
    if place == "second":
        groups = tuple(group for group in groups if group.id != state.placed.group)
    offered = tuple(Choice(group.id, "", group.name.of(state.lang)) for group in groups)
    return (*offered, *choices(state, content, "keep"))


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    match state.floor.place, answer:
        case "ask", Chose(said):
            return _asked(state, said == "yes", content)
        case "shown", Chose("change_group"):
            return Turn(state.move("pick"))
        case "shown", Chose("second_group"):
            return Turn(state.move("second"))
        case "pick", Chose(group) if group != "keep":
            return _corrected(state, group, content)
        case "second", Chose(group) if group != "keep":
            return _seconded(state, group, content)
        case "reason", _:
            return _contested(state, answer, content)
        case "shown", _:
            return Turn(state.back())
        case _:
            return Turn(state.move("shown"))


def _asked(state: State, yes: bool, content: Content) -> Turn:
    n = state.floor.note["n"]
    questions = content.placement.questions
    if yes:
        placed = Placed(questions[n].group, (f"question:{n}",), "answers")
        return _shown(place(state, placed, content))
    if n + 1 < len(questions):
        return Turn(state.move("ask", n=n + 1))
    placed = Placed(content.placement.fallback, ("fallback",), "answers")
    return _shown(place(state, placed, content))


def place(state: State, placed: Placed, content: Content) -> Turn:
    """Put somebody into a group, and say why; a second role stays."""
    second = state.placed.secondary if state.placed else ""
    if second and second != placed.group:
        placed = replace(placed, secondary=second)
    state = replace(state, placed=placed)
    fact = Record("placed", {"group": placed.group, "by": placed.by, "because": placed.because})
    return Turn(state, (explained(state, content),), (fact,))


def _shown(turn: Turn) -> Turn:
    """The explanation that was just given can be objected to."""
    return replace(turn, state=turn.state.move("shown"))


def explained(state: State, content: Content) -> Reply:
    """The group and the facts it was read from."""
    placed = state.placed
    assert placed is not None
    group = content.group(placed.group)
    lines = "\n".join(_reason(reason, state, content) for reason in placed.because)
    text = say(
        state,
        content,
        "placed",
        group=group.name.of(state.lang),
        who=group.who.of(state.lang),
        because=lines,
    )
    if placed.secondary:
        second = content.group(placed.secondary).name.of(state.lang)
        text += "\n" + say(state, content, "placed_second", group=second)
    if placed.contested:
        text += "\n" + say(state, content, "placed_contested")
    return Reply(text)


def _reason(reason: str, state: State, content: Content) -> str:
    kind, _, at = reason.partition(":")
    if kind == "learner":
        return say(state, content, "because_learner")
    if kind == "fallback":
        return content.placement.fallback_because.of(state.lang)
    rules: Sequence[RosterRule | PlacementQuestion] = content.placement.questions
    if kind == "roster":
        rules = content.placement.roster_rules
    if int(at) >= len(rules) or state.placed is None or rules[int(at)].group != state.placed.group:
        return say(state, content, "because_then")  # the rules have changed since
    because = rules[int(at)].because.of(state.lang)
    if kind == "question" or state.person is None or not state.person.title:
        return because
    return say(state, content, "because_roster", title=state.person.title, because=because)


def _corrected(state: State, group: str, content: Content) -> Turn:
    """The learner knows best what they do; where the roster says otherwise, HR is told."""
    before = state.placed
    assert before is not None
    contested = before.contested or before.by == "roster"
    second = before.secondary if before.secondary != group else ""
    placed = Placed(group, ("learner",), "learner", second, contested)
    fact = Record("placed", {"group": group, "by": "learner", "was": before.group})
    state = replace(state, placed=placed)
    if contested:
        return Turn(state.move("reason"), (), (fact,))
    state = state.move("shown")
    return Turn(state, (explained(state, content),), (fact,))


def _contested(state: State, answer: Answer, content: Content) -> Turn:
    said = None
    if isinstance(answer, Wrote):
        said = {"text": answer.text[:LONGEST], "message": answer.message}
    assert state.placed is not None
    fact = Record("group_contested", {"group": state.placed.group, "reason": said})
    state = state.move("shown")
    return Turn(state, (explained(state, content),), (fact,))


def _seconded(state: State, group: str, content: Content) -> Turn:
    assert state.placed is not None
    state = replace(state, placed=replace(state.placed, secondary=group)).move("shown")
    fact = Record("placed_second", {"group": group})
    return Turn(state, (explained(state, content),), (fact,))


def done(state: State, content: Content) -> bool:
    return state.placed is not None


FLOW = Flow(begin, ask, answer, done=done)
