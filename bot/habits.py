"""How a made-up person answers: whatever is asked, as somebody of their skill would."""

import random
from collections.abc import Callable, Sequence

from content.schema import Content, DemoUse
from flows import steps
from flows.types import AnyEvent, Pressed, Said, State


def reached(state: State, content: Content) -> int:
    """How many activities of the path somebody has finished in this round."""
    return sum(
        steps.activity_done(activity, state, content)
        for step in content.method.steps
        for activity in step.activities
    )


class Habits:
    """Answers by chance, as often right as `skill` says. Whoever wants to be in a `group` says so
    where the path asks for it, and has it changed where it was read otherwise."""

    def __init__(
        self,
        content: Content,
        uses: Sequence[DemoUse],
        skill: float,
        chance: random.Random,
        group: str = "",
        nudges: bool | None = None,
    ) -> None:
        self._content = content
        self._uses = uses
        self._skill = skill
        self._random = chance
        self._group = group
        self._nudges = nudges
        """Whether they allow what is asked beside the notice; None: some do."""

    def answer(self, state: State) -> AnyEvent:
        floor, use = state.floor, self._random.choice(self._uses)
        match floor.flow, floor.place:
            case "apply", ("where" | "whom" | "changed") as place:
                return Said(getattr(use, place), at=state.asked_at)
            case (("pretest" | "review"), "series"):
                return self._pick(state, 0.0)
            case "quiz", "question":
                return self._pick(state, 0.2)
            case "lesson", "page" if self._last_page(state):
                return _press(state, "understood")
            case "welcome", "consent" if self._nudges is not None:
                return _press(state, "yes_allow" if self._nudges else "no_allow")
            case "placement", _ if self._group:
                return _press(state, self._place(state))
            case "finish", "name":
                return Said(_ANONYMOUS, at=state.asked_at)
            case flow, place:
                return _press(state, _HABITS[flow, place](self._random))

    def _last_page(self, state: State) -> bool:
        lesson = self._content.lesson(state.floor.note["lesson"])
        return bool(state.floor.note["page"] + 1 >= len(lesson.messages))

    def _pick(self, state: State, learned: float) -> AnyEvent:
        question = self._content.question(state.floor.note["question"])
        at = question.right
        if self._random.random() > self._skill + learned:
            at = self._random.choice([i for i in range(len(question.options)) if i != at])
        return _press(state, str(at))

    def _place(self, state: State) -> str:
        """What leads to the wanted group: the question that names it, or having it changed."""
        match state.floor.place:
            case "ask":
                asked = self._content.placement.questions[state.floor.note["n"]]
                return "yes" if asked.group == self._group else "no"
            case "pick":
                return self._group
            case "reason":
                return "skip"
            case _:
                there = state.placed is not None and state.placed.group == self._group
                return "right" if there else "change_group"


_ANONYMOUS = "Kaona"
"""What a guest has printed on a certificate."""


def _press(state: State, choice: str) -> AnyEvent:
    return Pressed(str(state.stamp), choice)


def _always(choice: str) -> Callable[[random.Random], str]:
    return lambda _: choice


def _one_of(*choices: str) -> Callable[[random.Random], str]:
    return lambda dice: dice.choice(choices)


_HABITS: dict[tuple[str, str], Callable[[random.Random], str]] = {
    ("welcome", "notice"): _always("agree"),
    ("welcome", "consent"): _one_of("yes_allow", "yes_allow", "no_allow"),
    ("home", "rest"): _always("go"),
    ("placement", "ask"): _one_of("yes", "no"),
    ("placement", "shown"): _always("right"),
    ("pretest", "intro"): _always("begin"),
    ("plan", "areas"): _always("suggested"),
    ("plan", "task"): _one_of("task1", "task2", "task3"),
    ("plan", "days"): _one_of("mwf", "tt", "wed"),
    ("plan", "time"): _one_of("t0900", "t1230", "t1500", "t1600"),
    ("plan", "confirm"): _always("agree_plan"),
    ("lesson", "intro"): _always("begin"),
    ("lesson", "page"): _always("next"),
    ("exercise", "task"): _always("did"),
    ("quiz", "intro"): _always("begin"),
    ("quiz", "failed"): _always("retry"),
    ("apply", "proof"): _always("skip"),
    ("apply", "share"): _one_of("yes_share", "no_share"),
    ("apply", "confirm"): _one_of("yes_confirm", "no_confirm"),
    ("apply", "sure"): _always("save"),
    ("review", "intro"): _always("begin"),
    ("review", "report"): _always("acknowledge"),
}
