"""Learning: lessons of a few short messages, and courses on other platforms."""

from datetime import datetime

from content.schema import Content, Course, Gone, Lang, Lesson, alive, area_of
from flows.speech import choices, letters, put_off, say, tell
from flows.types import (
    Answer,
    Ask,
    Choice,
    Chose,
    Flow,
    Picture,
    Record,
    Reply,
    State,
    Turn,
    Wrote,
)

OFFERED = 8
"""Lessons or courses in one list."""


def begin(state: State, now: datetime, content: Content) -> Turn:
    area = state.floor.note.get("area") or next_area(state, content)
    lessons = alive(content.lessons[area])
    fresh = [x for x in lessons if x.id not in state.journey.lessons]
    lesson = (fresh or lessons)[0]
    return Turn(state.move("intro", lesson=lesson.id))


def next_area(state: State, content: Content) -> str:
    """The first area of the plan where nothing has been learned yet."""
    areas = _areas(state, content)
    return next((area for area in areas if not _learned(area, state, content)), areas[0])


def _areas(state: State, content: Content) -> tuple[str, ...]:
    plan = state.journey.plan
    return plan.areas if plan else tuple(area.id for area in content.framework.areas)


def _learned(area: str, state: State, content: Content) -> bool:
    by_lesson = any(area_of(lesson) == area for lesson in state.journey.lessons)
    taken = state.journey.courses
    return by_lesson or any(c.id in taken for c in content.courses if area in c.areas)


def ask(state: State, now: datetime, content: Content) -> Ask:
    match state.floor.place:
        case "intro":
            return _ask_intro(state, content)
        case "page":
            return _ask_page(state, content)
        case "others":
            offered = tuple(
                Choice(x.id, "", x.title.of(state.lang)) for x in _offered(state, content)
            )
            return Ask(
                say(state, content, "lesson_others"), (*offered, *choices(state, content, "back"))
            )
        case "courses":
            return _ask_courses(state, content)
        case _:
            return Ask(
                say(state, content, "course_learned"), choices(state, content, "skip"), writes=True
            )


def _lesson(state: State, content: Content) -> Lesson:
    return content.lesson(state.floor.note["lesson"])


def _offered(state: State, content: Content) -> list[Lesson]:
    """Lessons of the plan's areas, unread ones first."""
    lessons = [x for area in _areas(state, content) for x in alive(content.lessons.get(area, ()))]
    return sorted(lessons, key=lambda x: x.id in state.journey.lessons)[:OFFERED]


def _ask_intro(state: State, content: Content) -> Ask:
    lesson = _lesson(state, content)
    text = say(
        state,
        content,
        "lesson_intro",
        area=content.area(area_of(lesson.id)).name.of(state.lang),
        title=lesson.title.of(state.lang),
        minutes=lesson.minutes,
    )
    elsewhere = ("courses",) if _courses(state, content) else ()
    return Ask(text, choices(state, content, "begin", "other_lesson", *elsewhere, "later"))


def _ask_page(state: State, content: Content) -> Ask:
    lesson, page = _lesson(state, content), state.floor.note["page"]
    if page >= len(lesson.messages):
        raise Gone(lesson.id)
    last = page + 1 >= len(lesson.messages)
    message = lesson.messages[page]
    picture = drawn(message.picture, state.lang, content) if message.picture else None

    def told(*paragraphs: str) -> str:
        many = len(lesson.messages)
        text = "\n\n".join((message.of(state.lang), *paragraphs))
        text = say(state, content, "lesson_page", text=text, n=page + 1, of=many)
        source = say(state, content, "source", title=lesson.source.title)
        return f"{text}\n\n{source}" if last else text

    twin = (say(state, content, "lesson_picture", alt=picture.alt),) if picture else ()
    buttons = choices(state, content, "understood" if last else "next")
    # nobody is sent a picture twice in a row: asked again, the page is its words
    return Ask(told(*twin), buttons, again=told() if picture else "", picture=picture)


def drawn(id: str, lang: Lang, content: Content) -> Picture:
    """A picture of a lesson with its words and its twin; raises Gone if there is none."""
    drawing = content.picture(id)
    data = {
        "id": id,
        "title": drawing.title.of(lang),
        "words": drawing.said(lang),
        "note": drawing.note.of(lang) if drawing.note else "",
    }
    return Picture("drawing", data, drawing.alt.of(lang))


def _courses(state: State, content: Content) -> list[Course]:
    """Courses on other platforms for the area of the lesson that is offered."""
    area = area_of(state.floor.note["lesson"])
    return [course for course in content.courses if area in course.areas][:OFFERED]


def _ask_courses(state: State, content: Content) -> Ask:
    area = area_of(state.floor.note["lesson"])
    lettered = list(zip(letters(state, content), _courses(state, content), strict=False))
    lines = "\n".join(
        say(state, content, "course", letter=at, name=c.name, platform=c.platform, url=c.url)
        for at, c in lettered
    )
    name = content.area(area).name.of(state.lang)
    finished = tuple(
        Choice(c.id, at, say(state, content, "course_finished", name=c.name)) for at, c in lettered
    )
    text = say(state, content, "courses", area=name, courses=lines)
    return Ask(text, (*finished, *choices(state, content, "back")))


def answer(state: State, answer: Answer, now: datetime, content: Content) -> Turn:
    match state.floor.place, answer:
        case "intro", Chose("begin"):
            return Turn(state.move("page", page=0))
        case "intro", Chose("other_lesson"):
            return Turn(state.move("others"))
        case "intro", Chose("courses"):
            return Turn(state.move("courses"))
        case "intro", _:
            return put_off(state, content)
        case "page", Chose("next"):
            return Turn(state.move("page", page=state.floor.note["page"] + 1))
        case "page", _:
            return _read(state, content)
        case (("others" | "courses"), Chose("back")):
            return Turn(state.move("intro"))
        case "others", Chose(lesson):
            return Turn(state.move("intro", lesson=lesson))
        case "courses", Chose(course):
            return Turn(state.move("learned", course=course))
        case _:
            return _finished_course(state, answer, content)


def _read(state: State, content: Content) -> Turn:
    lesson = state.floor.note["lesson"]
    read = (*(x for x in state.journey.lessons if x != lesson), lesson)
    fact = Record("lesson_done", {"lesson": lesson, "round": state.journey.number})
    line = tell(state, content, "lesson_done")
    return Turn(state.walk(lessons=read).back(), (line,), (fact,))


def _finished_course(state: State, answer: Answer, content: Content) -> Turn:
    course = state.floor.note["course"]
    learned = (
        {"text": answer.text[:1000], "message": answer.message}
        if isinstance(answer, Wrote)
        else None
    )
    courses = (*(c for c in state.journey.courses if c != course), course)
    fact = Record(
        "course_finished", {"course": course, "learned": learned, "round": state.journey.number}
    )
    line: Reply = tell(state, content, "course_done", name=content.course(course).name)
    return Turn(state.walk(courses=courses).back(), (line,), (fact,))


def done(state: State, content: Content) -> bool:
    plan = state.journey.plan
    return plan is not None and all(_learned(area, state, content) for area in plan.areas)


FLOW = Flow(begin, ask, answer, done=done)
