"""How the Thai of the content is written: spelling, and how hard it is to read. Takes a second to
learn the words, so it is asked for where somebody checks, never at start."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from content import bank
from content.lint import Loc, Problem
from content.load import Fault, Files
from content.schema import LANGS, Content, Lang, Question, Record, Terms
from flows.text import THAI, Dictionary

BREATH = 22
"""Words without a pause: Thai parts its clauses by spaces. The bank has 20 at most, the law 40."""
RARE = 5_000
"""Of 26 thousand million words in Phupha: what is written less often is a rare word."""
HARD = 0.2
"""The greatest share of rare words in a text."""
ENOUGH = 10
"""Words of a text from which on a share means something."""
ECHO = 0.35
"""The greatest share of right options among those that alone repeat a word of the question; by
chance it is a quarter."""
_PAUSE = re.compile(r"[\s“”‘’()\[\],/:;·…\-–>+=?!]+")


def doubtful(text: str, dictionary: Dictionary) -> list[str]:
    """Thai words that are in no dictionary, and scraps with the letters around them. A slip that
    makes other words is not seen: of slips of one letter, about one in five."""
    found = []
    for run in THAI.findall(text):
        words = dictionary.cut(run)
        for at, word in enumerate(words):
            if not dictionary.knows(word):
                found.append(word)
            elif len(words) > 1 and dictionary.is_scrap(word):
                found.append("".join(words[max(0, at - 1) : at + 2]))
    return found


class Level(NamedTuple):
    """How hard a text is to read: its words, the longest stretch of them without a pause, and
    which of them are rare."""

    words: int
    breath: tuple[str, ...]
    rare: tuple[str, ...]


def level(text: str, dictionary: Dictionary) -> Level:
    """Measure a Thai text. Words of other letters count as words, and are never rare."""
    breaths: list[list[str]] = [dictionary.cut(part) for part in _PAUSE.split(text) if part]
    words = [word for breath in breaths for word in breath if THAI.search(word) or word.isalnum()]
    longest = next((each for each in breaths if len(each) == max(map(len, breaths))), [])
    rare = [word for word in words if THAI.fullmatch(word) and dictionary.often(word) < RARE]
    return Level(len(words), tuple(longest), tuple(rare))


def remarks(item: Record, dictionary: Dictionary, terms: Terms) -> Iterator[Problem]:
    """What is wrong with the Thai of an item."""
    for loc, lang, text in bank.texts(item):
        if lang == "th":
            yield from _spelled(loc, text, dictionary, terms)
            yield from _read(loc, text, dictionary)


def _spelled(loc: Loc, text: str, dictionary: Dictionary, terms: Terms) -> Iterator[Problem]:
    for wrong, right in bank.misspelled(text, terms):  # those have a better reason to be told
        text = text.replace(wrong, right)
    for word in dict.fromkeys(doubtful(text, dictionary)):
        ways = dictionary.near(word)
        yield _problem(loc, "misspelt" if ways else "unlisted", word=word, ways=" ".join(ways))


def _read(loc: Loc, text: str, dictionary: Dictionary) -> Iterator[Problem]:
    found = level(text, dictionary)
    if len(found.breath) > BREATH:
        start = "".join(found.breath[:5])
        yield _problem(loc, "breathless", n=len(found.breath), most=BREATH, start=start)
    if found.words >= ENOUGH and len(found.rare) > HARD * found.words:
        share, words = f"{len(found.rare) / found.words:.0%}", " ".join(dict.fromkeys(found.rare))
        yield _problem(loc, "hard_words", share=share, most=f"{HARD:.0%}", words=words)


def _problem(loc: Loc, key: str, **slots: Any) -> Problem:
    return Problem(loc, key, slots, bank.FAMILY)


# --- all of it ---------------------------------------------------------------------------


def check(content: Content, files: Files, terms: Terms) -> list[Fault]:
    """The spelling of all Thai that learners read, how hard items are to read, and whether
    questions give their answer away by its words."""
    dictionary = Dictionary(terms.words)
    faults: list[Fault] = []
    for place in bank.places(content):
        for problem in remarks(place.item, dictionary, terms):
            text = next(text for loc, _, text in bank.texts(place.item) if loc == problem.loc)
            what = f"{place.item.id}: {problem.text('en', content)}"
            faults.append(Fault(place.file, place.line(files, problem.loc, text), what))
    for name, line, text in _others(content, files):
        for wrong, right in bank.misspelled(text, terms):
            said = Problem((), "form", {"wrong": wrong, "right": right}, bank.FAMILY)
            faults.append(Fault(name, line, said.text("en", content)))
        for problem in _spelled((), text, dictionary, terms):
            faults.append(Fault(name, line, problem.text("en", content)))
    return faults + list(_echoes(content, dictionary))


def _others(content: Content, files: Files) -> Iterator[tuple[str, int, str]]:
    """Every other Thai text that learners read: its file, its line, and itself."""
    for key, text in content.copy_["th"].items():
        yield "copy.th.toml", files.line("copy.th.toml", (key,)), text
    parts: list[tuple[str, Any]] = [
        ("method.toml", content.method.steps),
        ("topics.toml", content.topics),
        ("pictures.toml", content.pictures),
        ("nudges.toml", content.nudges.nudges),
        ("notice.toml", content.notice.full),
        ("frameworks/2561.toml", content.framework.areas + content.framework.groups),
        *((f"campaigns/{each.id}.toml", (each.message,)) for each in content.campaigns),
    ]
    for name, records in parts:
        for record in records:
            for _, lang, text in bank.texts(record):
                if lang == "th":
                    yield name, files.line_of_text(name, text), text


def echoes(question: Question, lang: Lang, dictionary: Dictionary) -> list[bool]:
    """For each word of the question that one option alone repeats: whether that one is right."""
    stem, *options = (
        {word.casefold() for word in dictionary.cut(text) if len(word) > 1 and word.isalpha()}
        for text in (question.stem.of(lang), *(o.of(lang).text for o in question.options))
    )
    found = []
    for word in sorted(stem):
        having = [at for at, words in enumerate(options) if word in words]
        if len(having) == 1:
            found.append(having[0] == question.right)
    return found


def echoed(content: Content, lang: Lang, dictionary: Dictionary) -> tuple[int, int]:
    """Over the bank: in how many such words the option is right, and how many there are."""
    questions = (q for items in content.questions.values() for q in items if not q.retired)
    found = [right for question in questions for right in echoes(question, lang, dictionary)]
    return sum(found), len(found)


def _echoes(content: Content, dictionary: Dictionary) -> Iterator[Fault]:
    for lang in LANGS:
        right, many = echoed(content, lang, dictionary)
        if many and right > ECHO * many:
            what = f"of options that alone repeat a word of the question ({lang})"
            mend = f"at most {ECHO:.0%} will do: let wrong ones repeat some, too"
            yield Fault("questions", 1, f"{right / many:.0%} {what} are right, {mend}")
