"""Moodle's GIFT: questions of a text file with one right answer among several, or true or false.

Format: https://docs.moodle.org/en/GIFT_format. Libraries on PyPI read some kinds and say nothing
of lines; so this is our own. What it does not know is named, never guessed."""

import html
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

MOST = 6
"""Options of a question: as many as ours may have."""
SPECIAL = "~=#{}:\\"
"""What a backslash takes its meaning from."""


class Note(NamedTuple):
    """Something about a line of the file."""

    line: int
    what: str


class Answer(NamedTuple):
    text: str
    right: bool
    feedback: str


class Asked(NamedTuple):
    """A question as the file has it. True or false: two answers without words, true first."""

    line: int
    title: str
    category: str
    stem: str
    answers: tuple[Answer, ...]
    general: str
    boolean: bool = False


class Parsed(NamedTuple):
    """What a file holds: `faults` cannot be read, `unknown` are kinds that we do not have, and
    `warnings` say what was left out of the others."""

    questions: tuple[Asked, ...]
    faults: tuple[Note, ...]
    unknown: tuple[Note, ...]
    warnings: tuple[Note, ...]


class Wrong(Exception):
    """It cannot be read."""


class Unknown(Exception):
    """It is of a kind that we do not have."""


def parse(text: str) -> Parsed:
    """Read a GIFT file. Blank lines part questions; a line that begins with // says nothing."""
    made, faults, unknown = list[Asked](), list[Note](), list[Note]()
    warnings, category = list[Note](), ""
    for line, block in _blocks(text.removeprefix("\ufeff")):
        if block.startswith("$CATEGORY:"):
            category = block.removeprefix("$CATEGORY:").strip()
            continue
        try:
            asked, left_out = _question(line, block, category)
        except Wrong as error:
            faults.append(Note(line, str(error)))
        except Unknown as error:
            unknown.append(Note(line, str(error)))
        else:
            made.append(asked)
            warnings += [Note(line, each) for each in left_out]
    return Parsed(tuple(made), tuple(faults), tuple(unknown), tuple(warnings))


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """What stands between blank lines, without comments, and the line that it begins on. A
    category is a block of its own even without a blank line behind it."""
    first, lines = 0, list[str]()
    for number, line in enumerate([*text.replace("\r\n", "\n").split("\n"), ""], 1):
        said = line.strip()
        if said.startswith("//"):
            continue
        if not said or said.startswith("$CATEGORY:"):
            if lines:
                yield first, "\n".join(lines)
            lines = []
            if said:
                yield number, said
            continue
        if not lines:
            first = number
        lines.append(line)


# --- one question ------------------------------------------------------------------------


def _question(line: int, block: str, category: str) -> tuple[Asked, list[str]]:
    title, rest = _title(block)
    before, inside, after = _parts(rest)
    if after.strip():
        raise Unknown("missing word: the answers stand within the question")
    read = _Reader()
    form, stem = read.form(before)
    stem = read.plain(form, stem)
    if not stem:
        raise Wrong("the question has no words before {")
    answers, general = _general(inside)
    given = answers.strip()
    if found := re.fullmatch(r"(T|TRUE|F|FALSE)((?:#.*)?)", given, re.DOTALL | re.IGNORECASE):
        right, (wrong_says, right_says) = found[1].upper() in ("T", "TRUE"), _two(found[2])
        said = [read.text(form, each) for each in (right_says, wrong_says)]
        pair = (Answer("", right, said[not right]), Answer("", not right, said[right]))
        general = read.text(form, general)
        return Asked(line, title, category, stem, pair, general, True), read.warnings
    made = tuple(_answers(given, form, read))
    return Asked(line, title, category, stem, made, read.text(form, general), False), read.warnings


def _title(block: str) -> tuple[str, str]:
    block = block.strip()
    if not block.startswith("::"):
        return "", block
    at = _find(block, "::", 2)
    if at < 0:
        raise Wrong("the title that begins with :: has no end")
    return _unescaped(block[2:at]), block[at + 2 :]


def _parts(rest: str) -> tuple[str, str, str]:
    """Before the answers, between their brackets, and behind."""
    start = _find(rest, "{")
    end = _find(rest, "}")
    if start < 0 and end < 0:
        raise Unknown("description: no answers in curly brackets")
    if start < 0 or 0 <= end < start:
        raise Wrong("} without {: a bracket of the text itself is written \\}")
    if end < 0:
        raise Wrong("{ without }: is there a blank line within the question?")
    if min(at for at in (_find(rest, "{", start + 1), len(rest)) if at >= 0) < end:
        raise Wrong("{ within the answers: a bracket of the text itself is written \\{")
    if _find(rest, "{", end + 1) >= 0 or _find(rest, "}", end + 1) >= 0:
        raise Wrong("a second pair of brackets: part questions by a blank line")
    return rest[:start], rest[start + 1 : end], rest[end + 1 :]


def _general(inside: str) -> tuple[str, str]:
    """The answers, and what is said to everybody."""
    at = _find(inside, "####")
    return (inside, "") if at < 0 else (inside[:at], inside[at + 4 :])


def _two(text: str) -> tuple[str, str]:
    """What is said to whoever was wrong, and right."""
    parts = _split(text, "#")[1:]
    if len(parts) > 2:
        raise Wrong("true or false takes two feedbacks at most: a # of the text is written \\#")
    wrong, right = (*parts, "", "")[:2]
    return wrong, right


def _answers(given: str, form: str, read: "_Reader") -> Iterator[Answer]:
    pieces = list(_pieces(given))
    _require_choice(given, pieces)
    weights = [_weight(mark, text) for mark, text in pieces]
    rights = [at for at, (share, _) in enumerate(weights) if share == 100]
    if len(rights) != 1:
        raise Unknown("several right answers: ours have one" if len(rights) != 0 or any(
            share > 0 for share, _ in weights) else "no right answer")  # fmt: skip
    if len(pieces) > MOST:
        raise Wrong(f"{len(pieces)} answers, at most {MOST} will do")
    if any(0 < share < 100 for share, _ in weights):
        read.warnings.append("part of the points for an answer was left out: ours have none")
    for at, (_, text) in enumerate(weights):
        body, *feedback = _split(text, "#")
        if len(feedback) > 1:
            raise Wrong("an answer with two feedbacks: a # of the text itself is written \\#")
        said = read.text(form, body)
        if not said:
            raise Wrong(f"answer {at + 1} has no words")
        yield Answer(said, at == rights[0], read.text(form, feedback[0] if feedback else ""))


def _require_choice(given: str, pieces: list[tuple[str, str]]) -> None:
    """Raise Unknown if it is of another kind."""
    if not given:
        raise Unknown("essay: nothing to choose from")
    if given.startswith("#"):
        raise Unknown("numerical: a number is to be typed")
    if not pieces:
        raise Wrong("no answer begins with = or ~")
    if given[0] not in "=~":
        raise Wrong("words before the first answer: an answer begins with = or ~")
    if all(mark == "=" for mark, _ in pieces):
        matching = any("->" in text for _, text in pieces)
        raise Unknown("matching: pairs are to be found" if matching
                      else "short answer: words are to be typed")  # fmt: skip


def _pieces(given: str) -> Iterator[tuple[str, str]]:
    """Each answer behind its sign."""
    starts = [at for at in range(len(given)) if given[at] in "=~" and not _escaped(given, at)]
    for at, end in pairwise([*starts, len(given)]):
        yield given[at], given[at + 1 : end]


def _weight(mark: str, text: str) -> tuple[float, str]:
    """How much of the points an answer is worth, in percent, and the rest of it."""
    found = re.match(r"\s*%(-?\d+(?:\.\d+)?)%", text)
    if found is None:
        if re.match(r"\s*%[^%\s]*%", text):
            raise Wrong("a weight is a number between two signs: %50%")
        return (100.0 if mark == "=" else 0.0), text
    return float(found[1]), text[found.end() :]


# --- letters -----------------------------------------------------------------------------


class _Reader:
    """Takes the marks out of texts, and keeps what was lost with them."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def form(self, text: str, default: str = "moodle") -> tuple[str, str]:
        """The format that a text begins with, in square brackets."""
        found = re.match(r"\s*\[(html|moodle|plain|markdown)\]", text)
        return (found[1], text[found.end() :]) if found else (default, text)

    def text(self, default: str, text: str) -> str:
        form, rest = self.form(text, default)
        return self.plain(form, rest)

    def plain(self, form: str, text: str) -> str:
        said = _unescaped(text)
        bare = said
        if form == "html":
            bare = html.unescape(re.sub(r"<[^>]*>", " ", re.sub(r"(?i)<br\s*/?>", "\n", said)))
        elif form == "markdown":
            bare = re.sub(r"(\*\*|__|`|^#+ )", "", said, flags=re.MULTILINE)
        if bare != said and (told := f"marks of {form} were taken out") not in self.warnings:
            self.warnings.append(told)
        return "\n".join(" ".join(line.split()) for line in bare.split("\n")).strip()


def _unescaped(text: str) -> str:
    """The letters that are meant. A line that the file breaks is no line of the text: `\\n` is."""
    text = re.sub(r"\s*\n\s*", " ", text)
    meant = {"n": "\n"} | {letter: letter for letter in SPECIAL}
    return re.sub(r"\\(.)", lambda found: meant.get(found[1], found[0]), text).strip()


def _escaped(text: str, at: int) -> bool:
    before = len(text[:at]) - len(text[:at].rstrip("\\"))
    return before % 2 == 1


def _find(text: str, sign: str, start: int = 0) -> int:
    """The first place of a sign that is meant as one; -1 if there is none."""
    at = text.find(sign, start)
    while at >= 0 and _escaped(text, at):
        at = text.find(sign, at + 1)
    return at


def _split(text: str, sign: str) -> list[str]:
    parts, start = list[str](), 0
    while (at := _find(text, sign, start)) >= 0:
        parts.append(text[start:at])
        start = at + len(sign)
    return [*parts, text[start:]]
