"""An entry of the content as a learner sees it, made by the flows themselves."""

from datetime import UTC, datetime

from content.schema import Content, Lang, area_of
from flows import exercise, lesson, quiz
from flows.engine import render
from flows.types import Ask, Chose, Floor, Json, Reply, State

AT = datetime(2026, 1, 5, 3, tzinfo=UTC)


def shown(content: Content, kind: str, key: str, lang: Lang) -> tuple[Reply, ...]:
    """The messages around an entry, in their order: for a question what each option answers, too.
    The options stand as in the file, for no learner shuffles them here."""
    match kind:
        case "question":
            return _question(content, key, lang)
        case "lesson":
            pages = range(len(content.lesson(key).messages))
            asked = [lesson.ask(_at(lang, "lesson", "intro", lesson=key), AT, content)]
            asked += [
                lesson.ask(_at(lang, "lesson", "page", lesson=key, page=page), AT, content)
                for page in pages
            ]
            return tuple(_said(ask, lang, content) for ask in asked)
        case "exercise":
            ask = exercise.ask(_at(lang, "exercise", "task", exercise=key), AT, content)
            return (_said(ask, lang, content),)
        case "copy":
            said = content.copy_[lang][key]
            return (Reply(said),)
        case "step":
            step = next(step for step in content.method.steps if step.id == key)
            return (Reply(f"{step.name.of(lang)}\n{step.task.of(lang)}"),)
        case "method":
            return (Reply(content.method.label.of(lang)),)
    return ()


def _at(lang: Lang, flow: str, place: str, **note: Json) -> State:
    return State(0, lang=lang, floor=Floor(flow, place, note), stamp=1, welcomed=True, heard_at=AT)


def _said(ask: Ask, lang: Lang, content: Content) -> Reply:
    return render(_at(lang, "home", "rest"), ask, content)


def _question(content: Content, key: str, lang: Lang) -> tuple[Reply, ...]:
    note: dict[str, Json] = {"area": area_of(key), "question": key, "asked": [], "right": 0}
    state = _at(lang, "quiz", "question", **note)
    ask = quiz.ask(state, AT, content)
    in_order = tuple(sorted(ask.choices, key=lambda choice: int(choice.id)))
    asked = Ask(ask.text, in_order)
    answers = tuple(
        quiz.answer(state, Chose(choice.id), AT, content).replies[0] for choice in in_order
    )
    return (_said(asked, lang, content), *answers)
