"""Words on a picture: what may be drawn, how wide it is and where a line of it may break."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from pythainlp.tokenize import word_dict_trie, word_tokenize

from bot.render.fonts import face

ELLIPSIS = "\u2026"
CLOSING = set(")]}\u201d\u2019\u00bb,.;:!?%" + ELLIPSIS + "\u0e2f\u0e46")
"""Never begins a line; the last two are the Thai signs for 'and so on' and 'repeat'."""
OPENING = set("([{\u201c\u2018\u00ab.")
"""Never ends a line in the middle of a run; a full stop does not, because of abbreviations."""
MARKS = 3
"""As many marks as may sit on one letter; Thai needs two."""
COMPOUND = 15
"""Letters from which a Thai word is looked at for two words in it."""

_RUN = re.compile(r"[\u0e00-\u0e7f]+|[^\u0e00-\u0e7f\s]+|\s+")
_CLUSTER = re.compile(r"[\u0e40-\u0e44]?.[\u0e30-\u0e3a\u0e45-\u0e4e\u0300-\u036f]*")


def clean(text: str, most: int = 400) -> str:
    """The text as far as the typeface can draw it, on one line and cut to `most` letters.

    A letter or digit of another script becomes a question mark, so that a reader sees that
    something is missing (and PDF/A refuses a font without the letter); signs, emoji, control
    and formatting characters are dropped, and so are marks piled on one letter.
    """
    drawn, piled = [], 0
    for letter in unicodedata.normalize("NFC", text[: 4 * most]):
        kind = unicodedata.category(letter)
        piled = piled + 1 if kind == "Mn" else 0
        if letter.isspace():
            drawn.append(" ")
        elif kind[0] == "C" or piled > MARKS:
            continue
        elif letter in face().advances:
            drawn.append(letter)
        elif kind[0] in "LN":
            drawn.append("?")
    line = " ".join("".join(drawn).split())
    return line if len(line) <= most else line[: most - 1].rstrip() + ELLIPSIS


def measure(text: str, size: float = 1, bold: bool = False) -> float:
    """How wide a cleaned text is; kerning, which only narrows, is left out."""
    advances = face(bold).advances
    return size * sum(advances.get(letter, 0.6) for letter in text)


def words(text: str) -> list[str]:
    """Pieces between which a line may break; spaces end a piece."""
    pieces: list[str] = []
    for run in _RUN.findall(text):
        thai = "\u0e00" <= run[0] <= "\u0e7f"
        for token in _thai_words(run) if thai else [run]:
            if pieces and _sticks(pieces[-1], token):
                pieces[-1] += token
            else:
                pieces.append(token)
    return pieces


def _thai_words(run: str) -> Iterator[str]:
    """The words of a run of Thai; long compounds that are in the dictionary come in two."""
    known = word_dict_trie()
    for word in word_tokenize(run, engine="newmm"):
        middle = len(word) / 2
        spots = range(4, len(word) - 3) if len(word) >= COMPOUND else ()
        for at in sorted(spots, key=lambda spot: abs(spot - middle)):
            if word[:at] in known and word[at:] in known:
                yield from (word[:at], word[at:])
                break
        else:
            yield word


def _sticks(piece: str, token: str) -> bool:
    return token.isspace() or token[0] in CLOSING or piece[-1] in OPENING


def chop(pieces: Sequence[str], size: float, width: float, bold: bool = False) -> list[str]:
    """The pieces, those too wide for any line cut between letters."""
    parts = []
    for piece in pieces:
        if measure(piece.rstrip(), size, bold) <= width:
            parts.append(piece)
            continue
        part = ""
        for cluster in _CLUSTER.findall(piece):
            if part and measure(part + cluster, size, bold) > width:
                parts.append(part)
                part = ""
            part += cluster
        parts.append(part)
    return parts


def wrap(pieces: Sequence[str], size: float, width: float, bold: bool = False) -> list[str]:
    """As few lines as the pieces need, all about equally long."""
    pieces = chop(pieces, size, width, bold)
    lines = _fill(pieces, size, width, bold)
    narrow, wide = width / 2, width
    while len(lines) > 1 and wide - narrow > size / 4:
        middle = (narrow + wide) / 2
        if len(_fill(pieces, size, middle, bold)) > len(lines):
            narrow = middle
        else:
            wide = middle
    return _fill(pieces, size, wide, bold)


def _fill(pieces: Sequence[str], size: float, width: float, bold: bool) -> list[str]:
    lines = [""]
    for piece in pieces:
        if lines[-1] and measure((lines[-1] + piece).rstrip(), size, bold) > width:
            lines.append("")
        lines[-1] += piece
    return [line.strip() for line in lines]


def cut(
    pieces: Sequence[str], size: float, width: float, most: int, bold: bool = False
) -> list[str]:
    """At most so many lines, the last one ending in an ellipsis where words are missing."""
    lines = wrap(pieces, size, width, bold)
    if len(lines) <= most:
        return lines
    clusters = _CLUSTER.findall(lines[most - 1])
    while clusters and measure("".join(clusters) + ELLIPSIS, size, bold) > width:
        clusters.pop()
    return [*lines[: most - 1], "".join(clusters).rstrip() + ELLIPSIS]


def fit(
    text: str, sizes: tuple[int, ...], width: float, most: int, bold: bool = False
) -> tuple[int, list[str]]:
    """The largest of the sizes at which `most` lines hold the whole text, else the last, cut."""
    pieces = words(text)
    for size in sizes:
        lines = wrap(pieces, size, width, bold)
        if len(lines) <= most and holds(pieces, size, width, bold):
            return size, lines
    return sizes[-1], cut(pieces, sizes[-1], width, most, bold)


def holds(pieces: Sequence[str], size: float, width: float, bold: bool = False) -> bool:
    """Whether no word is wider than the line."""
    return all(measure(piece.rstrip(), size, bold) <= width for piece in pieces)
