"""The bank as a whole, and how its items are written: what an examiner would object to. Pure; the
bounds are ours, and tuned on the bank. `lint` says what cannot be used, this says what should not
be: nothing here keeps the service from starting."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import combinations
from typing import Any, NamedTuple

from content.lint import Loc, Problem
from content.load import Fault, Files
from content.schema import (
    LANGS,
    Content,
    Dimension,
    Item,
    Lang,
    Lesson,
    OptionText,
    Question,
    Record,
    Terms,
    Text,
    alive,
)

FAMILY = "content_problem_"
SHELVES = {"questions": "question", "lessons": "lesson", "exercises": "exercise"}
"""Folders of items, and what one of them is called in its file."""
LONGEST = {"stem": 240, "text": 90, "feedback": 220, "messages": 300, "task": 300, "steps": 300,
           "check": 300}  # fmt: skip
"""Letters of a text, by its field: a question with four options is one bubble of a phone."""
LEAST = {"questions": 24, "lessons": 4, "exercises": 4}
"""Items of an area, so that practice does not repeat itself."""
TOPIC = 12
TOPICS = {"ai": 20}
"""Questions of a topic beside the areas, and of those that want more."""
MESSAGES = 3
EASY, HARD = -0.5, 0.5
"""Logits: below the one a question is easy, above the other hard."""
DIMENSIONS: tuple[Dimension, ...] = ("use", "understand", "create", "access")

FEW = 8
"""Questions of a file from which on shares mean something."""
PLACES = (0.1, 0.5)
"""The least and the greatest share of right options in one place."""
CHI_SQUARE = 11.34
"""Above it, places are not even: chance does that once in a hundred banks (three degrees of
freedom)."""
SIZED = 0.4
"""The greatest share of questions whose right option is the longest (or the shortest); by chance
it is a quarter."""
MUCH_LONGER = 1.6
ALIKE = 0.55
"""Dice's coefficient of the trigrams of two stems, from which on they ask the same: the closest
pair of the bank that asks different things has 0.48, one that was only worded anew 0.6 and more."""


class Found(NamedTuple):
    """Faults must be mended; warnings should be known."""

    faults: list[Fault]
    warnings: list[Fault]


class Place(NamedTuple):
    """An item that may be chosen, and where it stands: `at` counts the file's tables."""

    file: str
    key: str
    at: int
    item: Any

    def line(self, files: Files, loc: Loc = (), text: str = "") -> int:
        """The line of a field; of a text among several in a field, the text's own."""
        return files.line_with(self.file, (self.key, self.at, *loc), text)


def places(content: Content) -> Iterator[Place]:
    """Every item that may be chosen."""
    for folder, key in SHELVES.items():
        for area, items in getattr(content, folder).items():
            for at, item in enumerate(items):
                if not item.retired:
                    yield Place(f"{folder}/{area}.toml", key, at, item)


def texts(item: Record) -> Iterator[tuple[Loc, Lang, str]]:
    """Every text of an item that learners read, and where it stands in it."""
    for name in type(item).model_fields:
        yield from _texts(("option" if name == "options" else name,), getattr(item, name))


def _texts(loc: Loc, value: Any) -> Iterator[tuple[Loc, Lang, str]]:
    if isinstance(value, tuple):
        for at, each in enumerate(value):
            yield from _texts((*loc, at), each)
        return
    for lang in LANGS:
        said = getattr(value, lang, None)
        if isinstance(said, OptionText):
            yield (*loc, lang, "text"), lang, said.text
            yield (*loc, lang, "feedback"), lang, said.feedback
        elif isinstance(value, Text):
            yield (*loc, lang), lang, value.of(lang)


# --- one item ----------------------------------------------------------------------------


def remarks(item: Item, terms: Terms) -> Iterator[Problem]:
    """What is wrong with the words of an item by itself; how its Thai is spelled and reads is for
    `flows.prose`, which has a dictionary."""
    for loc, lang, text in texts(item):
        name = next(part for part in reversed(loc) if part in LONGEST or part == "title")
        most = LONGEST.get(str(name), 0)
        if most and len(text) > most:
            yield _problem(loc, "over", n=len(text), most=most)
        if lang == "th":
            for wrong, right in misspelled(text, terms):
                yield _problem(loc, "form", wrong=wrong, right=right)
            for name in citizens_in(text, terms):
                yield _problem(loc, "citizens", name=name)
    if isinstance(item, Question):
        yield from _asked(item, terms)
    if isinstance(item, Lesson) and len(item.messages) < MESSAGES:
        yield _problem(("messages",), "few", fewest=MESSAGES)
    if item.source.date is None:  # type: ignore[attr-defined]
        yield _problem(("source",), "undated")


def _asked(question: Question, terms: Terms) -> Iterator[Problem]:
    for lang in LANGS:
        stem = question.stem.of(lang)
        for pattern in terms.negative[lang]:
            if found := re.search(pattern, stem):
                slots = {"wrong": found[0], "marked": terms.marked[lang]}
                yield _problem(("stem", lang), "negative", **slots)
                break
        for at, option in enumerate(question.options):
            text = option.of(lang).text
            if any(re.search(pattern, text, re.IGNORECASE) for pattern in terms.banned[lang]):
                yield _problem(("option", at, lang, "text"), "banned", wrong=text)
        lengths = _lengths(question, lang)
        right = lengths.pop(question.right)
        if right > MUCH_LONGER * max(lengths):
            loc = ("option", question.right, lang, "text")
            yield _problem(loc, "stands_out", n=right, next=max(lengths))


def _problem(loc: Loc, key: str, **slots: Any) -> Problem:
    return Problem(loc, key, slots, FAMILY)


def misspelled(text: str, terms: Terms) -> list[tuple[str, str]]:
    """Ways of writing that are known to be wrong, each with the right one; none within another,
    nor within a longer name that is right."""
    ways = [(wrong, form.right) for form in terms.forms for wrong in form.wrong]
    ways += [(form.right, form.right) for form in terms.forms]
    found = []
    for way, right in sorted(ways, key=lambda pair: -len(pair[0])):
        if way in text:
            text = text.replace(way, "\x00")
            if way != right:
                found.append((way, right))
    return found


def citizens_in(text: str, terms: Terms) -> list[str]:
    """Names of ONDE's topics that a text uses as names: between quotation marks."""
    return [each.name for each in terms.citizens if f"“{each.name}”" in text]


def _lengths(question: Question, lang: Lang) -> list[int]:
    return [len(option.of(lang).text) for option in question.options]


# --- all of them -------------------------------------------------------------------------


def check(content: Content, files: Files, terms: Terms, today: date) -> Found:
    """Everything that an author should mend, and what a reader of the bank should know."""
    faults: list[Fault] = []
    for place in places(content):
        for problem in remarks(place.item, terms):
            text = _text_at(place.item, problem.loc)
            what = f"{place.item.id}: {problem.text('en', content)}"
            faults.append(Fault(place.file, place.line(files, problem.loc, text), what))
    faults += _counts(content)
    faults += _names(content, files, terms)
    for area, questions in content.questions.items():
        faults += _spread(f"questions/{area}.toml", alive(questions))
    faults += _even(content)
    faults += _repeated(content, files)
    return Found(faults, list(_warnings(content, files, today)))


def _text_at(item: Item, loc: Loc) -> str:
    return next((text for place, _, text in texts(item) if place == loc), "")


def _counts(content: Content) -> Iterator[Fault]:
    """As many of everything as practice needs, and each sub-skill and dimension among them."""
    for area in content.framework.areas:
        for folder, least in LEAST.items():
            many = len(alive(getattr(content, folder).get(area.id, ())))
            if many < least:
                yield Fault(f"{folder}/{area.id}.toml", 1, f"has {many} of {least}: write more")
    for topic in content.topics:
        least, many = TOPICS.get(topic.id, TOPIC), len(alive(content.questions.get(topic.id, ())))
        if many < least:
            yield Fault(f"questions/{topic.id}.toml", 1, f"has {many} of {least}: write more")
    for topic in content.subjects:
        questions = alive(content.questions.get(topic.id, ()))
        name = f"questions/{topic.id}.toml"
        for skill in sorted({*topic.sub_skills} - {each.sub_skill for each in questions}):
            yield Fault(name, 1, f"no question of the sub-skill {skill!r}: write one")
        for dimension in sorted({*DIMENSIONS} - {each.dimension for each in questions}):
            yield Fault(name, 1, f"no question of the dimension {dimension!r}: write one")


def _names(content: Content, files: Files, terms: Terms) -> Iterator[Fault]:
    """No area, topic or tag is called as one of ONDE's."""
    theirs, tags = ({each.name for each in terms.citizens}, {each.tag for each in terms.citizens})
    for file, key, listed in (
        ("frameworks/2561.toml", "area", content.framework.areas),
        ("topics.toml", "topic", content.topics),
    ):
        for at, topic in enumerate(listed):
            named = theirs & {topic.name.th, topic.short.th}
            for name in sorted(named | (tags & {topic.id, *topic.sub_skills})):
                line = files.line(file, (key, at, "id"))
                yield Fault(file, line, f"{name!r} is one of ONDE's nine topics: call it otherwise")


class Spread(NamedTuple):
    """Of some questions, where the right option stands, and in how many it is the single longest
    or shortest, by language."""

    many: int
    places: Counter[int]
    longest: Counter[Lang]
    shortest: Counter[Lang]


def spread(questions: Sequence[Question]) -> Spread:
    """Count where the right options of questions stand, and how long they are."""
    longest, shortest = Counter[Lang](), Counter[Lang]()
    for question in questions:
        for lang in LANGS:
            lengths = _lengths(question, lang)
            right = lengths.pop(question.right)
            longest[lang] += right > max(lengths)
            shortest[lang] += right < min(lengths)
    return Spread(len(questions), Counter(q.right for q in questions), longest, shortest)


def _spread(file: str, questions: Sequence[Question]) -> Iterator[Fault]:
    """Nobody finds the right options of a file by their place or their length."""
    if len(questions) < FEW:
        return
    found, least, most = spread(questions), *PLACES
    for at in range(4):
        share = found.places[at] / found.many
        if not least <= share <= most:
            what = f"the right option stands at place {at + 1} in {share:.0%}"
            yield Fault(file, 1, f"{what}: move some, so that it is {least:.0%} to {most:.0%}")
    for name, counts in (("longest", found.longest), ("shortest", found.shortest)):
        for lang in LANGS:
            share = counts[lang] / found.many
            if share > SIZED:
                what = f"the right option is the {name} ({lang}) in {share:.0%} of the questions"
                yield Fault(file, 1, f"{what}, at most {SIZED:.0%} will do: make them alike")


def chi_square(questions: Sequence[Question]) -> float:
    """How far the places of the right options among four are from even (Pearson)."""
    counts = Counter(q.right for q in questions if len(q.options) == 4)
    expected = counts.total() / 4
    return sum((counts[at] - expected) ** 2 / expected for at in range(4)) if expected else 0.0


def _even(content: Content) -> Iterator[Fault]:
    found = chi_square([q for items in content.questions.values() for q in alive(items)])
    if found > CHI_SQUARE:
        what = f"places of the right options over the whole bank: chi-square {found:.1f}"
        yield Fault("questions", 1, f"{what}, at most {CHI_SQUARE} will do: move some")


def likeness(one: str, other: str) -> float:
    """Dice's coefficient of the trigrams of two texts, 0 to 1."""
    a, b = _trigrams(one), _trigrams(other)
    return 2 * len(a & b) / (len(a) + len(b)) if a and b else 0.0


def _trigrams(text: str) -> frozenset[str]:
    letters = re.sub(r"[^\w\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]+", "", text.casefold())
    return frozenset(letters[i : i + 3] for i in range(len(letters) - 2))


def _repeated(content: Content, files: Files) -> Iterator[Fault]:
    """Stems of the whole bank that ask the same in almost the same words, in either language."""
    found = [place for place in places(content) if isinstance(place.item, Question)]
    told = defaultdict[tuple[str, str], float](float)
    for lang in LANGS:
        grams = [(place, _trigrams(place.item.stem.of(lang))) for place in found]
        for (one, a), (other, b) in combinations(grams, 2):
            share = 2 * len(a & b) / max(1, len(a) + len(b))
            pair = one.item.id, other.item.id
            if share >= ALIKE and share > told[pair]:
                told[pair] = share
    by_id = {place.item.id: place for place in found}
    for (first, second), share in told.items():
        place = by_id[second]
        what = f"{second}: asks almost the same as {first} ({share:.0%} alike): change or drop one"
        yield Fault(place.file, place.line(files, ("stem", "th")), what)


def _warnings(content: Content, files: Files, today: date) -> Iterator[Fault]:
    unsure = Counter[str]()
    for place in places(content):
        unsure[place.file] += place.item.source.certainty == "M"
        review = getattr(place.item, "review_by", None)
        if review is not None and review < today:
            line = place.line(files, ("review_by",))
            what = f"{place.item.id}: the source was to be read again by {review}"
            yield Fault(place.file, line, f"{what}: read it, and set source.date and review_by")
    for file, many in unsure.items():
        if many:
            what = f"{many} of its sources are not verified (M)"
            yield Fault(file, 1, f"{what}: find a source for each")
