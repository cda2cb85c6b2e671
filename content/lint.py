"""Faults that no single record shows: references, repeats, limits of buttons, missing words."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from itertools import pairwise
from string import Formatter
from typing import Any, NamedTuple, get_args
from zoneinfo import available_timezones

from content.load import Fault, Files
from content.schema import (
    LANGS,
    Campaign,
    Content,
    Holiday,
    Lang,
    Lesson,
    Nudge,
    Question,
    Segment,
    alive,
    area_of,
)

LABEL = 20
"""Letters on a button: LINE's quick reply and template limit."""
FEWEST = {"questions": 6, "lessons": 2, "exercises": 2}
"""Per area, so that a quiz can be taken again with other questions."""
SHOWN_ZONES = 12
"""So that one more button fits under them."""
OPTION_LIST = 3500
"""UTF-16 units of a question with all its options: it must be one message everywhere."""
SENTENCE = 1500
"""Letters of a sentence that an agency words anew."""


def lint(content: Content, files: Files) -> list[Fault]:
    """All faults between records; a check is left out when a file that it needs was unreadable."""
    checks = (
        (_areas, content.framework),
        (_items, content.framework and all(content.copy_.values())),
        (_pictures, content.pictures),
        (_references, content.framework and content.placement),
        (_copy, all(content.copy_.values())),
        (_words, content.words and content.menu and all(content.copy_.values())),
        (_times, content.words),
        (_register, content.register_ and content.notice),
        (_calendar, content.agency),
        (_hours, content.nudges),
        (_nudges, content.nudges),
        (_digest, content.digest and content.method),
        (_roster, content.roster),
        (_campaigns, content.framework and content.method and all(content.copy_.values())),
        (_cycle, content.cycle and content.framework),
        (_layout, content.layout),
    )
    return [fault for check, read in checks if read for fault in check(content, files)]


def _areas(content: Content, files: Files) -> Iterator[Fault]:
    areas = {area.id for area in content.framework.areas}
    topics = areas | {topic.id for topic in content.topics}
    for folder, fewest in FEWEST.items():
        shelf, wanted = getattr(content, folder), topics if folder == "questions" else areas
        for area in sorted(wanted - shelf.keys()):
            yield Fault(f"{folder}/{area}.toml", 1, f"the area {area!r} has no {folder}")
        for area in sorted(shelf.keys() - topics):
            yield Fault(f"{folder}/{area}.toml", 1, f"no area is called {area!r}")
        for area in sorted(wanted & shelf.keys()):
            if len(alive(shelf[area])) < fewest:
                yield Fault(f"{folder}/{area}.toml", 1, f"wants at least {fewest} {folder}")
    for name, key, listed in (
        ("frameworks/2561.toml", "area", content.framework.areas),
        ("topics.toml", "topic", content.topics),
    ):
        for at, topic in enumerate(listed):
            if name == "topics.toml" and topic.id in areas:
                line = files.line(name, (key, at, "short"))
                yield Fault(name, line, f"{topic.id!r} is an area: change the id")
            if max(len(topic.short.of(lang)) for lang in LANGS) > LABEL - 6:
                line = files.line(name, (key, at, "short"))
                yield Fault(name, line, "short: at most 14 letters")


def _items(content: Content, files: Files) -> Iterator[Fault]:
    for folder, key in (
        ("questions", "question"),
        ("lessons", "lesson"),
        ("exercises", "exercise"),
    ):
        for area, items in getattr(content, folder).items():
            name = f"{folder}/{area}.toml"
            counts = Counter(item.id for item in items)
            for at, item in enumerate(items):
                wrong = []
                if counts[item.id] > 1:
                    wrong.append("is used twice: change one")
                if area_of(item.id) != area:
                    wrong.append(f"must start with {area!r} and a dash")
                for what in wrong:  # finding a line reads the file: only where it is needed
                    line = files.line(name, (key, at, "id"))
                    yield Fault(name, line, f"the id {item.id!r} {what}")
    for area, questions in content.questions.items():
        for at, question in enumerate(questions):
            yield from _question(content, files, area, at, question)


def _question(
    content: Content, files: Files, area: str, at: int, question: Question
) -> Iterator[Fault]:
    name = f"questions/{area}.toml"
    for problem in question_problems(question, area, content):
        line = files.line(name, ("question", at, *problem.loc))
        yield Fault(name, line, f"{question.id}: {problem.text('en', content)}")


def question_problems(question: Question, area: str, content: Content) -> Iterator["Problem"]:
    """What is wrong with a question by itself."""

    def problem(loc: Loc, key: str, **slots: Any) -> Problem:
        return Problem(loc, key, slots, "content_problem_")

    right = sum(option.correct for option in question.options)
    if right != 1:
        yield problem(("id",), "right", n=right)
    known = next((topic.sub_skills for topic in content.subjects if topic.id == area), ())
    if question.sub_skill not in known:
        found = {"value": question.sub_skill, "known": ", ".join(known)}
        yield problem(("sub_skill",), "sub_skill", **found)
    for lang in LANGS:
        texts = [option.of(lang).text for option in question.options]
        for i, text in enumerate(texts):
            if texts.index(text) != i:
                yield problem(("option", i, lang), "alike", lang=lang)
        length = len(question.stem.of(lang)) + sum(map(len, texts))
        if length > OPTION_LIST:
            yield problem(("stem",), "long", lang=lang, n=length, most=OPTION_LIST)
    groups = {group.id for group in content.framework.groups}
    for group in sorted({*question.groups} - groups):
        yield problem(("groups",), "group", value=group)


def sentence_problems(
    key: str, said: dict[Lang, str], before: dict[Lang, str]
) -> Iterator["Problem"]:
    """What is wrong with a sentence of the copy that an agency words anew: it must fill in what
    the one before it did, in the same way."""
    for lang in LANGS:
        found: dict[str, Any] = {}
        if not said[lang].strip():
            yield Problem((lang,), "empty", found, "content_problem_")
            continue
        if len(said[lang]) > SENTENCE:
            found = {"n": len(said[lang]), "most": SENTENCE}
            yield Problem((lang,), "sentence_long", found, "content_problem_")
        if key.startswith(("choice_", "go_")) and len(said[lang]) > LABEL:
            found = {"n": len(said[lang]), "most": LABEL}
            yield Problem((lang,), "label_long", found, "content_problem_")
        try:
            gaps = _gaps(said[lang])
        except ValueError:
            yield Problem((lang,), "brackets", found, "content_problem_")
            continue
        if gaps != _gaps(before[lang]):
            known = " ".join(sorted(_gaps(before[lang])))
            wrong = "slots" if known else "no_slots"
            yield Problem((lang,), wrong, {"known": known}, "content_problem_")


def _gaps(sentence: str) -> set[str]:
    """What a sentence fills in, with how it does: `{n}`, `{rate:.1f}`."""
    parsed = Formatter().parse(sentence)
    return {
        "{" + slot + (f"!{how}" if how else "") + (f":{form}" if form else "") + "}"
        for _, slot, form, how in parsed
        if slot is not None
    }


def _pictures(content: Content, files: Files) -> Iterator[Fault]:
    for area, lessons in content.lessons.items():
        for at, lesson in enumerate(lessons):
            for problem in lesson_problems(lesson, content):
                line = files.line(f"lessons/{area}.toml", ("lesson", at, *problem.loc))
                what = f"{lesson.id}: {problem.text('en', content)}"
                yield Fault(f"lessons/{area}.toml", line, what)


def lesson_problems(lesson: Lesson, content: Content) -> Iterator["Problem"]:
    """What is wrong with a lesson by itself."""
    known = [drawing.id for drawing in content.pictures]
    for at, page in enumerate(lesson.messages):
        if page.picture and page.picture not in known:
            found = {"value": page.picture, "known": ", ".join(known)}
            yield Problem(("messages", at, "picture"), "picture", found, "content_problem_")


def _references(content: Content, files: Files) -> Iterator[Fault]:
    areas = {area.id for area in content.framework.areas}
    groups = {group.id for group in content.framework.groups}

    def unknown(
        name: str, key: str, at: int, field: str, ids: Sequence[str], among: set[str]
    ) -> Iterator[Fault]:
        for missing in sorted(set(ids) - among):
            yield Fault(
                name, files.line(name, (key, at, field)), f"{field}: {missing!r} is unknown"
            )

    for at, course in enumerate(content.courses):
        yield from unknown("courses.toml", "course", at, "areas", course.areas, areas)
    for at, group in enumerate(content.framework.groups):
        name = "frameworks/2561.toml"
        yield from unknown(name, "group", at, "focus_areas", group.focus_areas, areas)
    for at, rule in enumerate(content.placement.roster_rules):
        yield from unknown("placement.toml", "roster_rule", at, "group", [rule.group], groups)
    for at, question in enumerate(content.placement.questions):
        yield from unknown("placement.toml", "question", at, "group", [question.group], groups)
    if content.placement.fallback not in groups:
        line = files.line("placement.toml", ("fallback",))
        yield Fault("placement.toml", line, f"fallback: {content.placement.fallback!r} is unknown")


def _copy(content: Content, files: Files) -> Iterator[Fault]:
    th, en = content.copy_["th"], content.copy_["en"]
    for lang, here, there in (("th", th, en), ("en", en, th)):
        name = f"copy.{lang}.toml"
        for key in sorted(there.keys() - here.keys()):
            yield Fault(name, 1, f"the sentence {key!r} is missing")
        for key, sentence in here.items():
            line = files.line(name, (key,))
            if not sentence.strip():
                yield Fault(name, line, f"{key}: is empty")
            if key.startswith(("choice_", "go_")) and len(sentence) > LABEL:
                yield Fault(name, line, f"{key}: {len(sentence)} letters, a button holds {LABEL}")
            if key in there and _slots(sentence) != _slots(there[key]):
                yield Fault(name, line, f"{key}: its slots differ from the other language's")


def _slots(sentence: str) -> set[str]:
    return {slot for _, slot, _, _ in Formatter().parse(sentence) if slot}


def _words(content: Content, files: Files) -> Iterator[Fault]:
    reserved = content.words.reserved
    shown = [("area", at, area.word) for at, area in enumerate(content.menu.areas)]
    shown += [("command", at, command.word) for at, command in enumerate(content.menu.commands)]
    for key, at, word in shown:
        if word not in reserved:
            line = files.line("menu.toml", (key, at, "word"))
            yield Fault("menu.toml", line, f"word: {word!r} is not reserved")
    for field in ("yes_means", "no_means", "answers"):
        for choice in getattr(content.words, field):
            if choice != "go" and "choice_" + choice not in content.copy_["th"]:
                line = files.line("words.toml", (field, choice))
                yield Fault("words.toml", line, f"{field}: no button is called {choice!r}")
    if len(content.words.weekdays) != 7:
        yield Fault("words.toml", files.line("words.toml", ("weekdays",)), "weekdays: wants seven")


def _register(content: Content, files: Files) -> Iterator[Fault]:
    """The register holds together, and the notice promises what it says."""
    register = content.register_
    rules = {rule.id for rule in register.rules}
    known = {each.id for each in register.categories}

    def fault(key: str, at: int, field: str, what: str) -> Fault:
        return Fault("register.toml", files.line("register.toml", (key, at, field)), what)

    for at, each in enumerate(register.categories):
        if each.purpose not in {purpose.id for purpose in register.purposes}:
            yield fault("category", at, "purpose", f"purpose: {each.purpose!r} is unknown")
        if each.rule not in rules:
            yield fault("category", at, "rule", f"rule: {each.rule!r} is unknown")
    for at, table in enumerate(register.tables):
        named = {table.category, *(part.category for part in table.parts)} - {None}
        for category in sorted(str(name) for name in named - known):
            yield fault("table", at, "category", f"category: {category!r} is unknown")
        if table.rule not in {None, *rules}:
            yield fault("table", at, "rule", f"rule: {table.rule!r} is unknown")
        if (table.personal or table.acts) and not table.category:
            yield fault("table", at, "name", f"{table.name}: personal data wants a category")
        for column in table.personal:
            if column not in register.labels:
                yield fault("table", at, "personal", f"{column}: has no name among the labels")
    yield from _promised(content, fault)


def _promised(content: Content, fault: Callable[[str, int, str, str], Fault]) -> Iterator[Fault]:
    notice = content.notice
    for at, rule in enumerate(content.register_.rules):
        for lang in LANGS:
            full = "\n".join(paragraph.of(lang) for paragraph in notice.full)
            if rule.notice and rule.says(lang, rule.notice) not in full:
                yield fault("rule", at, "notice", f"notice.toml does not say so in {lang}")
            if rule.short and rule.says(lang, rule.short) not in notice.short.of(lang):
                yield fault("rule", at, "short", f"notice.toml does not say so in {lang}")


def _times(content: Content, files: Files) -> Iterator[Fault]:
    """Every word of time is of one kind: the last one would win unseen."""
    times = content.words.times.model_dump()
    nested = {"months": times.pop("months"), "numbers": times.pop("numbers").values()}
    kinds = {key: list(names) for key, names in times.items() if key != "says"}
    kinds |= {key: [way for names in ways for way in names] for key, ways in nested.items()}
    counts = Counter(name for names in kinds.values() for name in names)
    for key, names in kinds.items():
        for name in names:
            if counts[name] > 1:
                line = files.line("words.toml", ("times", key))
                yield Fault("words.toml", line, f"{key}: {name!r} stands here twice, or elsewhere")


def _calendar(content: Content, files: Files) -> Iterator[Fault]:
    names = [name for name in files.names("calendar") if name.isdecimal()]
    if not names:
        yield Fault("calendar", 1, "there is no calendar: restore it")
    for before, after in pairwise(map(int, names)):
        if after != before + 1:
            yield Fault(f"calendar/{after}.toml", 1, f"the year {before + 1} is missing")
    for year in content.calendar:
        # both eras count years alike, so the first file tells which of ours the others are
        first = content.calendar[0]
        common = first.holidays[0].date.year + year.year - first.year
        for at, day in enumerate(year.holidays):
            loc = ("holiday", at, "date")
            line = files.line(f"calendar/{year.year}.toml", loc)
            for what in _day_off(day, common, year.holidays[at - 1].date if at else None):
                yield Fault(f"calendar/{year.year}.toml", line, f"{day.date}: {what}")


def _day_off(day: Holiday, year: int, before: date | None) -> Iterator[str]:
    if day.date.year != year:
        yield "is not in this year"
    if before and day.date <= before:
        yield "must come after the day above it"
    if day.kind == "substitution" and day.date.weekday() >= 5:
        yield "is on a weekend, and stands for one"
    if day.kind == "agency" or day.source is None:
        yield "a public holiday wants a kind and a source"


def _hours(content: Content, files: Files) -> Iterator[Fault]:
    for field in ("work", "chosen"):
        ends = [end for span in getattr(content.nudges.hours, field) for end in span]
        if any(after <= before for before, after in pairwise(ends)):
            line = files.line("nudges.toml", ("hours", field))
            yield Fault("nudges.toml", line, f"{field}: wants times in order, each from, to")


NUDGE_SLOTS = {
    "overdue": {"area", "date", "next"},
    "due": {"area", "date", "next"},
    "recall": {"n"},
}
"""What the texts of a nudge may fill in, if it is not `next` alone."""


def _nudges(content: Content, files: Files) -> Iterator[Fault]:
    nudges, rules = content.nudges.nudges, content.nudges.rules

    def fault(what: str, *loc: str | int) -> Fault:
        return Fault("nudges.toml", files.line("nudges.toml", loc), what)

    kinds = [nudge.kind for nudge in nudges]
    for kind in sorted({*get_args(Nudge.model_fields["kind"].annotation)} - {*kinds}):
        yield fault(f"wants a [[nudge]] of kind {kind!r}")
    ids = Counter(text.id for nudge in nudges for text in nudge.texts)
    for at, nudge in enumerate(nudges):
        if nudge.kind in kinds[:at]:
            yield fault(f"the kind {nudge.kind!r} is there twice", "nudge", at, "kind")
        if sum(not text.activities for text in nudge.texts) < 2:
            yield fault(f"{nudge.kind}: wants two variants for any activity", "nudge", at, "kind")
        for i, text in enumerate(nudge.texts):
            loc = ("nudge", at, "variant", i)
            if ids[text.id] > 1:
                yield fault(f"the id {text.id!r} is used twice: change one", *loc, "id")
            for lang in LANGS:
                if not _slots(text.of(lang)) <= NUDGE_SLOTS.get(nudge.kind, {"next"}):
                    yield fault(f"{text.id}: fills in what is not known", *loc, lang)
    if not any(first <= rules.time < last for first, last in content.nudges.hours.work):
        yield fault("time: is not in working hours", "rules", "time")
    if rules.weekly_after > rules.pause_after:
        yield fault("weekly_after: comes after pause_after", "rules", "weekly_after")
    yield from _zones(content, files)


def _digest(content: Content, files: Files) -> Iterator[Fault]:
    known = {step.id for step in content.method.steps}
    for step in content.digest.mandatory:
        if step not in known:
            line = files.line("digest.toml", ("mandatory",))
            yield Fault("digest.toml", line, f"mandatory: no step is called {step!r}")
    if content.digest.names and content.digest.since is None:
        line = files.line("digest.toml", ("names",))
        yield Fault("digest.toml", line, "names: wants since, the day from which learners are told")


def _zones(content: Content, files: Files) -> Iterator[Fault]:
    zones, known = content.nudges.zones, available_timezones()
    for at, zone in enumerate(zones):
        line = files.line("nudges.toml", ("zone", at, "id"))
        if zone.id not in known:
            yield Fault("nudges.toml", line, f"no time zone is called {zone.id!r}")
        if max(len(zone.name.th), len(zone.name.en)) > LABEL:
            yield Fault("nudges.toml", line, f"{zone.id}: a button holds {LABEL} letters")
    names = Counter(name for zone in zones for name in (zone.name.th, zone.name.en, *zone.also))
    for name in sorted(name for name, count in names.items() if count > 1):
        yield Fault("nudges.toml", 1, f"two zones are called {name!r}")
    if sum(zone.shown for zone in zones) > SHOWN_ZONES:
        yield Fault("nudges.toml", 1, f"at most {SHOWN_ZONES} zones have a button")


# --- campaigns -----------------------------------------------------------------------

SLOTS = ("name", "unit", "step")
"""What a campaign may fill in for each person."""
ACTIONS = ("go", "apply", "progress", "plan", "review")
"""What a campaign's button may do, beside `lesson.<area>`."""
FINISHED, UNFINISHED = "done", "unfinished"
"""What may stand for a step: all of them done, or not all."""
PUSHED = ("line", "telegram", "web")
"""Channels on which we can be the first to write."""
BANDS = ("strengthen", "fair", "strong")
LONGEST = 3800
"""UTF-16 units of title and text: Telegram takes 4096, and what is filled in needs room."""

Loc = tuple[str | int, ...]


class Problem(NamedTuple):
    """Something that must be mended: where, and the sentence of the copy that says what to do
    (`campaign_problem_<key>`, or of another family)."""

    loc: Loc
    key: str
    slots: dict[str, Any] = {}  # noqa: RUF012 (never changed)
    family: str = "campaign_problem_"

    def say(self, lang: Lang, content: Content) -> str:
        return f"{'.'.join(map(str, self.loc))}: {self.text(lang, content)}"

    def text(self, lang: Lang, content: Content) -> str:
        """Without the place."""
        return content.copy_[lang][self.family + self.key].format_map(self.slots)


def campaign_problems(campaign: Campaign, content: Content) -> Iterator[Problem]:
    """What is wrong with a campaign whoever it is sent to, and whenever."""
    message = campaign.message
    for lang in LANGS:
        yield from _wording(campaign, lang)
        label = message.label.of(lang).strip()
        if not label:
            yield Problem(("message", "label", lang), "empty")
        if len(label) > LABEL:
            found = {"n": len(label), "most": LABEL}
            yield Problem(("message", "label", lang), "label_long", found)
    actions = (*ACTIONS, *(f"lesson.{area.id}" for area in content.framework.areas))
    yield from _unknown(("message", "action"), [message.action], actions)
    yield from segment_problems(campaign.segment, content)
    shares = campaign.holdout + sum(wave.share for wave in campaign.waves)
    if shares > 1:
        yield Problem(("wave",), "shares", {"percent": round(shares * 100)})
    if campaign.holdout and campaign.purpose == "mandatory":
        yield Problem(("holdout",), "holdout_mandatory")


def _wording(campaign: Campaign, lang: Lang) -> Iterator[Problem]:
    title = campaign.message.title
    text = campaign.message.text.of(lang)
    if not text.strip():
        yield Problem(("message", "text", lang), "empty")
    if title is not None and not title.of(lang).strip():
        yield Problem(("message", "title", lang), "empty")
    whole = (title.of(lang) if title else "") + text
    length = len(whole.encode("utf-16-le", "ignore")) // 2
    if length > LONGEST:
        yield Problem(("message", "text", lang), "text_long", {"n": length, "most": LONGEST})
    try:
        named = _slots(whole)
    except ValueError:
        named = set()
    if not _is_plain(whole):
        yield Problem(("message", "text", lang), "brackets")
        return
    yield from _unknown(("message", "text", lang), sorted(named), SLOTS)


def _is_plain(text: str) -> bool:
    """Whether every curly bracket belongs to a placeholder, which is a name and nothing more."""
    rest = re.sub(r"\{[^{}!:]+\}", "", text)
    return "{" not in rest and "}" not in rest


def slots_of(campaign: Campaign) -> tuple[str, ...]:
    """The placeholders that a campaign fills in, in either language."""
    message = campaign.message
    wordings = (message.text, message.title) if message.title else (message.text,)
    named = {slot for wording in wordings for lang in LANGS for slot in _slots(wording.of(lang))}
    return tuple(slot for slot in SLOTS if slot in named)


def segment_problems(segment: Segment, content: Content) -> Iterator[Problem]:
    """Filters that name what does not exist, each with what does."""
    groups = [group.id for group in content.framework.groups]
    steps = [step.id for step in content.method.steps]
    areas = [area.id for area in content.framework.areas]
    yield from _unknown(("segment", "groups"), segment.groups, groups)
    yield from _unknown(("segment", "steps"), segment.steps, (*steps, UNFINISHED, FINISHED))
    yield from _unknown(("segment", "bands", "area"), [b.area for b in segment.bands], areas)
    yield from _unknown(("segment", "bands", "band"), [b.band for b in segment.bands], BANDS)
    yield from _unknown(("segment", "channels"), segment.channels, PUSHED)
    yield from _unknown(("segment", "languages"), segment.languages, LANGS)
    within, silent = segment.active_within, segment.inactive_for
    if within is not None and silent is not None and within < silent:
        yield Problem(("segment", "inactive_for"), "never_both", {"n": within, "m": silent})


def _unknown(loc: Loc, values: Sequence[str], known: Sequence[str]) -> Iterator[Problem]:
    for value in values:
        if value not in known:
            yield Problem(loc, "unknown", {"value": value, "known": ", ".join(known)})


def _roster(content: Content, files: Files) -> Iterator[Fault]:
    """Headers and names that could mean two things, and sentences that fill in different gaps."""
    rules, name = content.roster, "roster.toml"
    for what, key, words in (
        ("column", "headers", [(column.id, column.headers) for column in rules.columns]),
        ("kind", "names", [(kind.id, (kind.name.th, *kind.names)) for kind in rules.kinds]),
    ):
        seen: dict[str, str] = {}
        for at, (id, spellings) in enumerate(words):
            line = files.line(name, (what, at, key))
            for spelling in spellings:
                other = seen.setdefault("".join(spelling.lower().split()), id)
                if other != id:
                    yield Fault(name, line, f"{spelling!r} is also of {other}: keep it in one")
    for table in ("refusals", "reasons"):
        for key, text in getattr(rules, table).items():
            if _slots(text.th) != _slots(text.en):
                line = files.line(name, (table, key))
                yield Fault(name, line, f"{key}: fills in other words in Thai than in English")


def _campaigns(content: Content, files: Files) -> Iterator[Fault]:
    for campaign in content.campaigns:
        name = f"campaigns/{campaign.id}.toml"
        if campaign.id not in files.names("campaigns"):
            yield Fault(name, 1, f"no file is called so: name the file of {campaign.id!r} after it")
        if not campaign.sources:
            yield Fault(name, 1, "source: wants at least one [[source]]")
        for problem in campaign_problems(campaign, content):
            yield Fault(name, files.line(name, problem.loc), problem.say("en", content))


# --- the agency's programme and its report --------------------------------------------

REPORT_SLOTS = {
    *("method", "method_label", "framework", "framework_id", "framework_issued"),
    *("newer", "newer_id", "newer_issued", "agency", "year", "least", "roster", "people"),
    *("finished", "used", "lecture_share", "other_share", "lecture_verdict", "period", "state"),
    "hidden_note",
}
"""What the sentences of the report for OCSC may fill in."""
REPORT_BLOCKS = {
    *("summary", "steps_chart", "policy", "goals", "stages", "working_group", "plans"),
    *("follow_up", "steps", "outcome", "areas", "areas_chart", "bands", "group_areas", "use"),
    *("narratives", "methods", "methods_chart", "maturity", "mapping_groups"),
    *("mapping_skills", "comparison", "quality"),
}
"""What its sections may hold (flows/composed.py makes them)."""


def _cycle(content: Content, files: Files) -> Iterator[Fault]:
    name = "programme.toml"
    stages = {stage.id for stage in content.framework.stages}
    levels = content.cycle.levels
    for at, level in enumerate(levels):
        line = files.line(name, ("level", at, "id"))
        if bool(level.signs) != bool(at):
            yield Fault(name, line, "the lowest level has no signs, every other one has some")
        if level.stage and level.stage not in stages:
            yield Fault(name, line, f"stage: {level.stage!r} is unknown")
    signs = [sign.id for level in levels for sign in level.signs]
    for ids in (signs, [stage.id for stage in content.cycle.stages], [each.id for each in levels]):
        for id, many in Counter(ids).items():
            if many > 1:
                yield Fault(name, 1, f"the id {id!r} is used twice: change one")


def _layout(content: Content, files: Files) -> Iterator[Fault]:
    name, layout = "reports/ocsc.toml", content.layout
    for at, section in enumerate(layout.sections):
        for key, texts in (("lead", section.lead), ("notes", section.notes)):
            for slot in sorted({slot for text in texts for slot in _slots(text)} - REPORT_SLOTS):
                line = files.line(name, ("section", at, key))
                yield Fault(name, line, f"{section.id}: {{{slot}}} is not known")
        for block in sorted({*section.blocks} - REPORT_BLOCKS):
            line = files.line(name, ("section", at, "blocks"))
            yield Fault(name, line, f"{section.id}: no block is called {block!r}")
    for slot in sorted({slot for text in layout.memo for slot in _slots(text)} - REPORT_SLOTS):
        yield Fault(name, files.line(name, ("memo",)), f"memo: {{{slot}}} is not known")
    for key, many in Counter(section.sheet for section in layout.sections).items():
        if many > 1:
            yield Fault(name, 1, f"two sheets are called {key!r}: change one")
