"""Learns the weights of `content/intents/mind.json` from labelled messages, in plain Python.

A linear model with a soft maximum, by stochastic gradient with AdaGrad; the weights are the mean
over the later rounds. Everything is drawn from a fixed seed: the same messages give the same file.
"""

import json
import math
import random
import re
import tomllib
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from content.load import HERE, Files
from content.schema import Hearing, Mind
from flows.intents import MIDDLE, Listener
from flows.spelling import Speller

MIND = HERE / "intents" / "mind.json"
PHRASES = HERE / "intents" / "phrases.toml"
TUNING = Path(__file__).parent / "tuning.tsv"
SEED = 20261130
ROUNDS, RATE, DECAY = 8, 0.25, 2e-5
DROPPED = 0.5
"""The share of a message's pieces that is left out at random, so that no piece is relied upon."""
WEIGHT = 2.0
"""What a message of a person counts, beside one that was drawn."""
DRAWN, DRAWN_UNKNOWN = 560, 5600
"""Messages that are drawn from the phrases of an intent."""
SEEN = 2
"""How often a piece must occur to count."""
KEPT, OFTEN = 24_000, 50
"""Pieces that are kept; with 12,000 one message in a hundred more is misunderstood."""


class Said(NamedTuple):
    """A labelled message, and how much it counts."""

    intent: str
    text: str
    weight: float = 1.0


# --- messages ----------------------------------------------------------------------------


def labelled(path: Path) -> list[tuple[str, dict, str]]:
    """Intent, slots and text of every line of a file of labelled messages."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            intent, slots, text = line.split("\t")
            rows.append((intent, json.loads(slots), text))
    return rows


def drawn(path: Path = PHRASES) -> list[Said]:
    """Messages made of the phrases, in the same manner every time."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    luck = random.Random(SEED)
    said = []
    for intent, phrases in data["say"].items():
        many = DRAWN_UNKNOWN if intent == "unknown" else DRAWN
        riches = [_riches(phrase, data["any"]) for phrase in phrases]
        found: dict[str, None] = {}
        for phrase, rich in zip(phrases, riches, strict=True):
            for _ in range(round(many * rich / sum(riches))):
                text = _one(_filled(phrase, data["any"], luck), luck)
                text = " ".join(_politely(text, data["any"], luck).split())
                if text:
                    found[_worn(text, luck)] = None
        said += [Said(intent, text) for text in found]
    return said


def _politely(text: str, words: dict[str, list[str]], luck: random.Random) -> str:
    """Now and then with something before or after it."""
    match luck.randrange(10):
        case 0:
            return luck.choice(words["before"]) + text
        case 1 | 2:
            return text + luck.choice(words["after"])
    return text


def _riches(phrase: str, words: dict[str, list[str]]) -> float:
    """How much there is to draw from a phrase."""
    ways = [len(words[name]) for name in re.findall(r"\{(\w+)\}", phrase)]
    ways += [part.count("|") + 1 for part in re.findall(r"\(([^()]*)\)", phrase)]
    return 1 + sum(math.log2(many) for many in ways if many)


def _filled(phrase: str, words: dict[str, list[str]], luck: random.Random) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: luck.choice(words[found[1]]), phrase)


_CHOICE = re.compile(r"\(([^()]*)\)")


def _one(phrase: str, luck: random.Random) -> str:
    """One of the ways to say a phrase."""
    while _CHOICE.search(phrase):
        phrase = _CHOICE.sub(lambda found: luck.choice(found[1].split("|")), phrase)
    return phrase


TONES = "\u0e48\u0e49\u0e4a\u0e4b\u0e47\u0e4c"


def _worn(text: str, luck: random.Random) -> str:
    """As people type: with a slip, now and then."""
    at = luck.randrange(len(text))
    match luck.randrange(12):
        case 0:
            return text[:at] + text[at + 1 :] or text
        case 1:
            return text[:at] + text[at : at + 1] + text[at:]
        case 2:
            return text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]
        case 3:
            return "".join(letter for letter in text if letter not in TONES)
        case 4:
            return text.replace(" ", "")
        case 5:
            return text[:at] + _beside(text[at], luck) + text[at + 1 :]
    return text


def _beside(letter: str, luck: random.Random) -> str:
    """A letter beside it on the keyboard."""
    keys = hearing().thai
    at = keys.find(letter)
    return keys[(at + luck.choice((-1, 1))) % len(keys)] if at >= 0 else letter


# --- learning ----------------------------------------------------------------------------


@cache
def hearing() -> Hearing:
    found = Files().read("intents/words.toml", Hearing)
    assert found is not None
    return found


def known(said: Iterable[Said], words: Hearing) -> set[str]:
    """Triples of letters that are written in the right layout; what is Thai surely is."""
    speller = Speller(words, ())
    count: Counter[str] = Counter()
    for each in said:
        if re.search("[\u0e01-\u0e4e]", each.text) or each.weight == 1.0:
            count.update(_triples(speller.bones(each.text)))
    named = (word for words_ in (*words.ideas.values(), *words.areas.values()) for word in words_)
    for bones in map(speller.bones, named):
        count.update(dict.fromkeys(_triples(bones), SEEN))
    return {gram for gram, many in count.items() if many >= SEEN and len(gram) == 3}


def _triples(bones: str) -> list[str]:
    return [f"^{bones}$"[at : at + 3] for at in range(len(bones))]


def learn(
    said: Sequence[Said], words: Hearing, tell: Callable[[str], object] | None = None
) -> Mind:
    """The mind that these messages make."""
    grams = "".join(sorted(known(said, words)))
    intents = sorted({each.intent for each in said})
    blank = Mind(
        intents=tuple(intents), known=grams, pieces="", weights="", scale=1, learned_from=""
    )
    listener = Listener(words, blank)
    taken = [listener.pieces(listener.speller.typed(each.text)) for each in said]
    count = Counter(piece for pieces in taken for piece in pieces)
    names = sorted(piece for piece, many in count.items() if many >= SEEN)
    number = {piece: at for at, piece in enumerate(names)}
    rows = [
        ([number[p] for p in pieces if p in number], intents.index(each.intent), each.weight)
        for pieces, each in zip(taken, said, strict=True)
    ]
    weights = _descend(rows, len(names), len(intents), tell)
    return _packed(blank, names, weights, count)


def _descend(
    rows: list[tuple[list[int], int, float]],
    many: int,
    width: int,
    tell: Callable[[str], object] | None,
) -> list[list[float]]:
    luck = random.Random(SEED)
    weights = [[0.0] * width for _ in range(many)]
    paces = [[1e-6] * width for _ in range(many)]
    mean = [[0.0] * width for _ in range(many)]
    for turn in range(ROUNDS):
        luck.shuffle(rows)
        loss = 0.0
        for pieces, wanted, weight in rows:
            kept = [piece for piece in pieces if luck.random() > DROPPED] or pieces
            loss += _step(weights, paces, kept, wanted, weight) if kept else 0.0
        if turn >= ROUNDS // 2:
            for total, row in zip(mean, weights, strict=True):
                for at, value in enumerate(row):
                    total[at] += value
        if tell is not None:
            tell(f"round {turn + 1}: loss {loss / len(rows):.4f}")
    rounds = ROUNDS - ROUNDS // 2
    return [[value / rounds for value in row] for row in mean]


def _step(
    weights: list[list[float]],
    paces: list[list[float]],
    pieces: list[int],
    wanted: int,
    weight: float,
) -> float:
    """Move the weights of one message's pieces a little; returns its loss."""
    mine = [weights[piece] for piece in pieces]
    size = 1 / math.sqrt(len(mine) + 1)
    sums = [sum(column) for column in zip(*mine, strict=True)]
    top = max(sums)
    powers = [math.exp(value - top) for value in sums]
    total = sum(powers)
    for at, power in enumerate(powers):
        slope = (power / total - (at == wanted)) * weight
        if abs(slope) < 0.004:
            continue
        square, move = slope * slope * size, RATE * slope * size
        for row, piece in zip(mine, pieces, strict=True):
            pace = paces[piece]
            pace[at] += square
            row[at] -= move / math.sqrt(pace[at]) + DECAY * row[at]
    return -math.log(max(powers[wanted] / total, 1e-9)) * weight


def _packed(blank: Mind, names: list[str], weights: list[list[float]], count: Counter[str]) -> Mind:
    """The weights as bytes, of the pieces that matter most: that weigh much, and often occur."""

    def matters(pair: tuple[str, list[float]]) -> float:
        return max(map(abs, pair[1])) * math.sqrt(min(count[pair[0]], OFTEN))

    kept = sorted(sorted(zip(names, weights, strict=True), key=matters, reverse=True)[:KEPT])
    scale = max(abs(value) for _, row in kept for value in row) / 127
    packed = b"".join(bytes(round(value / scale) + MIDDLE for value in row) for _, row in kept)
    return blank.model_copy(
        update={
            "pieces": "\n".join(name for name, _ in kept),
            "weights": b64encode(packed).decode(),
            "scale": scale,
            "learned_from": fingerprint(),
        }
    )


def everything() -> list[Said]:
    """All that may be learned from."""
    return drawn() + [Said(intent, text, WEIGHT) for intent, _, text in labelled(TUNING)]


def fingerprint() -> str:
    """Of the labelled messages and the words."""
    files = (PHRASES, TUNING, HERE / "intents" / "words.toml")
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def save(mind: Mind, path: Path = MIND) -> None:
    text = json.dumps(mind.model_dump(), ensure_ascii=False, indent=0)
    path.write_text(text + "\n", encoding="utf-8")
