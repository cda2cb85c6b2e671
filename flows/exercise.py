"""Practice: something to do on a real machine, checked by what can be seen afterwards."""

from datetime import datetime

from content.schema import Content, Exercise, alive, area_of
from flows.speech import choices, put_off, say, tell
from flows.types import Answer, Ask, Chose, Flow, Record, State, Turn


def begin(state: State, now: datetime, content: Content) -> Turn:
    areas = state.journey.plan.areas if state.journey.plan else tuple(content.exercises)
    area = next((a for a in areas if not _practised(a, state)), areas[0])
    return Turn(state.move("task", exercise=_next(state, area, content).id))


def _practised(area: str, state: State) -> bool:
    return any(area_of(exercise) == area for exercise in state.journey.exercises)


def _next(state: State, area: str, content: Content, after: str = "") -> Exercise:
    """The first exercise of the area that is not done, or the one after `after`."""
    exercises = alive(content.exercises[area])
    ids = [exercise.id for exercise in exercises]
    if after in ids:
        return exercises[(ids.index(after) + 1) % len(exercises)]
    return next((x for x in exercises if x.id not in state.journey.exercises), exercises[0])


def ask(state: State, now: datetime, content: Content) -> Ask:
    exercise = content.exercise(state.floor.note["exercise"])
    steps = "\n".join(
        say(state, content, "exercise_step", n=n, text=step.of(state.lang))
        for n, step in enumerate(exercise.steps, 1)
    )
    text = say(
        state,
        content,
        "exercise",
        title=exercise.title.of(state.lang),
        minutes=exercise.minutes,
        task=exercise.task.of(state.lang),
        steps=steps,
        check=exercise.check.of(state.lang),
        source=exercise.source.title,
    )
    again = say(state, content, "exercise_again", title=exercise.title.of(state.lang))
    buttons = choices(state, content, "did", "stuck", "other_exercise", "later")
    return Ask(text, buttons, again=again)


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    exercise = state.floor.note["exercise"]
    match answer:
        case Chose("did"):
            finished = (*(x for x in state.journey.exercises if x != exercise), exercise)
            fact = Record("exercise_done", {"exercise": exercise, "round": state.journey.number})
            line = tell(state, content, "exercise_done")
            return Turn(state.walk(exercises=finished).back(), (line,), (fact,))
        case Chose("stuck"):
            fact = Record("exercise_stuck", {"exercise": exercise})
            return Turn(state, (tell(state, content, "exercise_stuck"),), (fact,))
        case Chose("other_exercise"):
            other = _next(state, area_of(exercise), content, exercise)
            return Turn(state.move("task", exercise=other.id))
        case _:
            return put_off(state, content, "exercise_later")


def done(state: State, content: Content) -> bool:
    plan = state.journey.plan
    return plan is not None and all(_practised(area, state) for area in plan.areas)


FLOW = Flow(begin, ask, answer, done=done)
