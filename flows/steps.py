"""Where a learner stands on the path of steps: read off what is done, never stored."""

from content.schema import Content, Step
from flows import (
    apply,
    exercise,
    finish,
    lesson,
    placement,
    plan,
    pretest,
    quiz,
    review,
)
from flows.speech import say
from flows.types import Choice, Flow, Picture, Reply, State

ACTIVITIES: dict[str, Flow] = {
    "placement": placement.FLOW,
    "pretest": pretest.FLOW,
    "plan": plan.FLOW,
    "lesson": lesson.FLOW,
    "exercise": exercise.FLOW,
    "quiz": quiz.FLOW,
    "apply": apply.FLOW,
    "review": review.FLOW,
    "finish": finish.FLOW,
}


def activity_done(activity: str, state: State, content: Content) -> bool:
    finished = ACTIVITIES[activity].done
    assert finished is not None, f"{activity} does not tell when it is done"
    return finished(state, content)


def is_done(step: Step, state: State, content: Content) -> bool:
    return all(activity_done(activity, state, content) for activity in step.activities)


def done(state: State, content: Content) -> list[str]:
    """The ids of the steps finished in this round."""
    return [step.id for step in content.method.steps if is_done(step, state, content)]


def current(state: State, content: Content) -> tuple[Step, str] | None:
    """The first step that is not finished, and what to do in it; None when all are."""
    for step in content.method.steps:
        for activity in step.activities:
            if not activity_done(activity, state, content):
                return step, activity
    return None


def number(step_id: str, content: Content) -> int:
    return next(i for i, step in enumerate(content.method.steps, 1) if step.id == step_id)


def name(step_id: str, state: State, content: Content) -> str:
    return content.method.steps[number(step_id, content) - 1].name.of(state.lang)


def marks(state: State, content: Content) -> list[tuple[str, str]]:
    """Each step's name with its state: done, now or later."""
    here = current(state, content)
    return [
        (
            step.name.of(state.lang),
            "done"
            if is_done(step, state, content)
            else "now"
            if here and here[0].id == step.id
            else "later",
        )
        for step in content.method.steps
    ]


def listing(state: State, content: Content) -> str:
    """All steps, one a line, with a mark for each: the text twin of the progress picture."""
    labels = content.copy_[state.lang]
    return "\n".join(
        labels["mark_" + mark].format(n=n, name=step_name)
        for n, (step_name, mark) in enumerate(marks(state, content), 1)
    )


def bar(state: State, content: Content) -> str:
    """The same in one line, without names; where a round begins, in full."""
    if not state.journey.baseline and (state.placed is None or state.journey.number > 1):
        return listing(state, content) + "\n\n" + content.method.label.of(state.lang)
    labels = content.copy_[state.lang]
    return "".join(labels["bar_" + mark] for _, mark in marks(state, content))


def picture(state: State, content: Content) -> Picture:
    labels = content.copy_[state.lang]
    data = {
        "title": labels["progress_title"].format(n=state.journey.number),
        "steps": [{"label": label, "state": mark} for label, mark in marks(state, content)],
        "note": content.method.label.of(state.lang),
    }
    return Picture("progress", data, listing(state, content))


def progress(state: State, content: Content) -> Reply:
    """Where the learner stands, as a picture with its twin."""
    journey = state.journey
    text = say(
        state,
        content,
        "progress",
        n=journey.number,
        steps=listing(state, content),
        lessons=len(journey.lessons) + len(journey.courses),
        exercises=len(journey.exercises),
        quizzes=sum(quiz.passed for quiz in journey.quizzes.values()),
        uses=journey.uses,
    )
    if state.streak.length > 1:
        text += "\n" + say(state, content, "progress_streak", n=state.streak.length)
    return Reply(text, picture=picture(state, content))


def go_on(state: State, content: Content) -> Choice:
    """The button that goes on with the path, named after what comes next."""
    here = current(state, content)
    key = "go_" + here[1] if here else "go_round"
    return Choice("go", content.copy_[state.lang][key])
