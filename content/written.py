"""Entries as they stand in TOML files: written in the layout that the files have, in their place,
and everything around them as it was."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any, NamedTuple

Body = Mapping[str, Any]
FIRST = ("id", "retired", "replaces")
LAYOUT: dict[str, tuple[str, ...]] = {
    "question": (*FIRST, "sub_skill", "dimension", "difficulty", "groups", "stem", "source",
                 "review_by", "option"),
    "lesson": (*FIRST, "title", "minutes", "source", "messages"),
    "exercise": (*FIRST, "title", "minutes", "task", "steps", "check", "source"),
}  # fmt: skip
"""The fields of each kind in their order."""
DOTTED = {"stem", "title", "task", "check"}
"""Texts whose languages stand on a line each."""


class Change(NamedTuple):
    """An entry that is to stand in the file: in the place of `key`, behind it (a successor), or at
    the end, if there is no such one."""

    key: str
    body: Body
    behind: bool = False


def rewritten(text: str, kind: str, changes: Sequence[Change]) -> str:
    """The text of a file of items with its changes; what did not change stays byte for byte."""
    head, blocks = blocks_of(text, kind)
    look = look_of(text, kind)
    for change in changes:
        made = f"[[{kind}]]\n" + item(kind, change.body, look)
        at = next((i for i, block in enumerate(blocks) if _id(block) == change.key), None)
        if at is None:
            blocks = [*_parted(blocks, head), made]
        elif change.behind:
            blocks[at : at + 1] = [_ended(blocks[at]), made + _tail(blocks[at])]
        else:
            blocks[at] = made + _tail(blocks[at])
    return head + "".join(blocks)


def blocks_of(text: str, kind: str) -> tuple[str, list[str]]:
    """What stands before the first item, and each item with what follows it."""
    starts = [found.start() for found in re.finditer(rf"^\[\[{kind}\]\]", text, re.MULTILINE)]
    blocks = [text[start:end] for start, end in pairwise([*starts, len(text)])]
    return (text[: starts[0]] if starts else text), blocks


def _id(block: str) -> str:
    found = re.search(r'^id = "([^"]*)"', block, re.MULTILINE)
    return found[1] if found else ""


def _tail(block: str) -> str:
    """Blank lines and comments at the end of an item: they belong to what follows."""
    lines = block.splitlines(keepends=True)
    while lines and (not lines[-1].strip() or lines[-1].startswith("#")):
        lines.pop()
    return block[sum(map(len, lines)) :]


def _ended(block: str) -> str:
    return block.removesuffix(_tail(block)) + "\n"


def _parted(blocks: list[str], head: str) -> list[str]:
    """The items with a blank line at their end, for another one to follow."""
    if not blocks or blocks[-1].endswith("\n\n"):
        return blocks
    return [*blocks[:-1], blocks[-1].rstrip("\n") + "\n\n"]


def retired(text: str, kind: str, key: str) -> str:
    """The text of a file in which an item is chosen no more."""
    head, blocks = blocks_of(text, kind)
    for at, block in enumerate(blocks):
        if _id(block) == key and not re.search(r"^retired = true", block, re.MULTILINE):
            line = re.compile(rf'^(id = "{re.escape(key)}".*\n)', re.MULTILINE)
            blocks[at] = line.sub(r"\1retired = true\n", block, count=1)
    return head + "".join(blocks)


# --- one entry ---------------------------------------------------------------------------


class Look(NamedTuple):
    """In what files differ: a blank line before each option or none, how far a list is set in."""

    loose: bool = True
    indent: str = "    "


def look_of(text: str, kind: str) -> Look:
    """How a file looks already."""
    loose = f"\n\n[[{kind}.option]]" in text or f"[[{kind}.option]]" not in text
    found = re.search(r"^( +)\{ th = ", text, re.MULTILINE)
    return Look(loose, found[1] if found else Look().indent)


def item(kind: str, body: Body, look: Look = Look()) -> str:  # noqa: B008 (never changed)
    """The lines of an item below its header."""
    lines: list[str] = []
    for name in LAYOUT[kind]:
        value = body.get(name)
        if name == "option":
            continue
        if name == "groups":
            lines.append(f"groups = {inline(list(value or ()))}")
        elif value is None or (name == "retired" and not value):
            continue
        elif name in DOTTED:
            lines += [f"{name}.{lang} = {inline(value[lang])}" for lang in ("th", "en")]
        elif isinstance(value, list | tuple):
            rows = [f"{look.indent}{inline(each)},\n" for each in value]
            lines.append(f"{name} = [\n{''.join(rows)}]")
        else:
            lines.append(f"{name} = {inline(value)}")
    for option in body.get("option", ()):
        lines += [""] * look.loose + [f"[[{kind}.option]]"]
        lines += ["correct = true"] if option.get("correct") else []
        lines += [f"{lang} = {inline(option[lang])}" for lang in ("th", "en")]
    return "\n".join(lines) + "\n"


def inline(value: Any) -> str:
    """A value as it stands behind an equals sign."""
    match value:
        case bool():
            return "true" if value else "false"
        case date():
            return value.isoformat()
        case int() | float():
            return repr(value)
        case dict():
            return "{ " + ", ".join(f"{k} = {inline(v)}" for k, v in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(map(inline, value)) + "]"
        case _:
            return _string(str(value))


def _string(text: str) -> str:
    if '"' in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    # a string of JSON is one of TOML, but for DEL
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def sentence(text: str, key: str, said: str) -> str:
    """The text of a file of sentences in which one reads otherwise: between three quotation marks
    where it was, or if it has several lines and is new."""
    start = re.compile(rf"^{re.escape(key)} = ", re.MULTILINE).search(text)
    if start is None:
        return text.rstrip("\n") + f"\n{key} = {_quoted(said, long=True)}\n"
    long = text.startswith('"""', start.end())
    return text[: start.end()] + _quoted(said, long=long) + text[_end(text, start.end()) :]


def _end(text: str, at: int) -> int:
    """Where the string that begins at a place ends."""
    long = text.startswith('"""', at)
    pattern = r'"""(?:[^\\]|\\.)*?"""' if long else r'"(?:[^"\\\n]|\\.)*"'
    found = re.compile(pattern, re.DOTALL).match(text, at)
    return found.end() if found else text.index("\n", at)


def _quoted(said: str, *, long: bool) -> str:
    plain = all(letter.isprintable() or letter in "\n\t" for letter in said)
    if not long or not plain or "\n" not in said or '"""' in said or said.startswith("\n"):
        return inline(said)
    body = said.replace("\\", "\\\\")
    body = body[:-1] + '\\"' if body.endswith('"') else body
    return f'"""{body}"""'


def step(text: str, key: str, words: Body) -> str:
    """The text of the method's file in which a step is called otherwise."""
    head, blocks = blocks_of(text, "step")
    for at, block in enumerate(blocks):
        if _id(block) == key:
            for name in ("name", "task"):
                line = re.compile(rf"^{name} = .*$", re.MULTILINE)
                made = f"{name} = {inline(words[name])}"
                block = line.sub(lambda _, made=made: made, block, count=1)  # type: ignore[misc]
            blocks[at] = block
    return head + "".join(blocks)
