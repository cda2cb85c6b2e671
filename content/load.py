"""Read the TOML files of `content/` into one frozen `Content`, or list every fault there is."""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import TypeAdapter, ValidationError

from content.schema import (
    LANGS,
    Agency,
    CalendarYear,
    Campaign,
    Content,
    Course,
    Cycle,
    Demo,
    Digest,
    Drawing,
    Exercise,
    Framework,
    Hearing,
    Layout,
    Lesson,
    Mapped,
    Menu,
    Method,
    Mind,
    Notice,
    Nudges,
    Placement,
    Question,
    Register,
    Reports,
    RosterRules,
    Terms,
    Topic,
    Words,
)

HERE = Path(__file__).parent
T = TypeVar("T")


class Fault(NamedTuple):
    """Something wrong in a content file, and what to do about it."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


KEY = re.compile(r"\s*([\w-]+)\s*[.=]")


class ContentError(Exception):
    """The content cannot be used; `faults` names all that is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


def load(root: Path = HERE) -> Content:
    """Read and check everything below `root`; raise `ContentError` with all faults at once."""
    return load_with(Files(root))


def load_with(files: "Files") -> Content:
    """The same, with the files at hand, which know where everything stands."""
    from content import drawings
    from content.lint import lint

    content = Content.model_construct(**_read_parts(files))
    unread = {fault.file for fault in files.faults}
    found = [*lint(content, files), *drawings.faults(content, files)]
    between = [fault for fault in found if fault.file not in unread]
    if faults := [*files.faults, *between]:
        raise ContentError(sorted(faults))
    return content


class Files:
    """The TOML files below a folder: their text, for line numbers, and the faults met so far."""

    def __init__(self, root: Path = HERE) -> None:
        self.root = root
        self.faults: list[Fault] = []
        self._texts: dict[str, str] = {}
        self._first: dict[str, dict[str, int]] = {}

    def names(self, folder: str) -> list[str]:
        return sorted(path.stem for path in (self.root / folder).glob("*.toml"))

    def read(self, name: str, shape: type[T] | Any) -> T | None:
        """The file as `shape`; on any fault, note all of them and return None."""
        try:
            text = self._texts[name] = (self.root / name).read_text(encoding="utf-8")
            if name.endswith(".json"):
                return TypeAdapter[T](shape).validate_json(text)
            return TypeAdapter[T](shape).validate_python(tomllib.loads(text))
        except FileNotFoundError:
            self.faults.append(Fault(name, 1, "the file is missing: restore it"))
        except UnicodeDecodeError:
            self.faults.append(Fault(name, 1, "not UTF-8: save it as UTF-8"))
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"at line (\d+)", str(error))
            self.faults.append(Fault(name, int(found[1]) if found else 1, f"not TOML: {error}"))
        except ValidationError as error:
            self.faults += [
                Fault(name, self.line(name, e["loc"]), f"{_path(e['loc'])}: {e['msg']}")
                for e in error.errors()
            ]
        return None

    def line(self, name: str, loc: Sequence[str | int]) -> int:
        """The line that `loc` (keys and list positions, from the top) stands on."""
        if len(loc) == 1 and isinstance(loc[0], str):  # asked of every sentence, fault or none
            return self._keys(name).get(loc[0], 1)
        return line_of(self._texts.get(name, ""), loc)

    def line_with(self, name: str, loc: Sequence[str | int], text: str) -> int:
        """The same, or if `text` stands on a line soon after it, that one: a list of texts has a
        line for each, but one place."""
        first = self.line(name, loc)
        return self._find(name, text, first, first + 12) or first

    def line_of_text(self, name: str, text: str) -> int:
        """The first line of a file on which a text stands."""
        return self._find(name, text, 1, 1 << 30) or 1

    def _find(self, name: str, text: str, first: int, last: int) -> int:
        lines = self._texts.get(name, "").splitlines()[first - 1 : last]
        begun = json.dumps(text.partition("\n")[0][:40], ensure_ascii=False)[1:-1]
        return next((n for n, line in enumerate(lines, first) if text and begun in line), 0)

    def _keys(self, name: str) -> dict[str, int]:
        """The first line of each key of a file."""
        if name not in self._first:
            lines = enumerate(self._texts.get(name, "").splitlines(), 1)
            found = ((key[1], n) for n, line in lines if (key := KEY.match(line)))
            self._first[name] = dict(reversed(list(found)))
        return self._first[name]


def line_of(text: str, loc: Sequence[str | int]) -> int:
    """Find the line of a place in a TOML text by its array headers, then by its key."""
    lines = text.splitlines()
    at, rest = 0, list(loc)
    path: list[str] = []
    while len(rest) >= 2 and isinstance(rest[0], str) and isinstance(rest[1], int):
        header = "[[" + ".".join([*path, rest[0]]) + "]]"
        starts = [i for i in range(at, len(lines)) if lines[i].replace(" ", "").startswith(header)]
        if rest[1] >= len(starts):
            break
        at = starts[rest[1]]
        path.append(str(rest[0]))
        rest = rest[2:]
    names = [str(key) for key in rest if isinstance(key, str)]
    table = "[" + ".".join([*path, *names[:-1]]) + "]"
    if len(names) > 1 and table in lines[at:]:
        at, names = lines.index(table, at), names[-1:]
    keys = [re.escape(name) for name in names]
    for depth in range(len(keys), 0, -1):
        pattern = re.compile(r"\s*" + r"\s*\.\s*".join(keys[:depth]) + r"\s*[.=]")
        for i in range(at + (at > 0), len(lines)):
            if i > at and lines[i].startswith("[[" + ".".join(path) + "]]") and path:
                break
            if pattern.match(lines[i]):
                return i + 1
    return at + 1


def load_demo(root: Path = HERE) -> Demo:
    """The made-up agency of `make demo`."""
    return _alone("demo.toml", Demo, root)


def load_terms(root: Path = HERE) -> Terms:
    """What the checks of spelling and of official names go by."""
    return _alone("terms.toml", Terms, root)


def _alone(name: str, shape: type[T], root: Path) -> T:
    """A file that is no part of the content."""
    files = Files(root)
    found = files.read(name, shape)
    if found is None:
        raise ContentError(files.faults)
    return found


def _path(loc: Sequence[str | int]) -> str:
    return ".".join(str(part + 1 if isinstance(part, int) else part) for part in loc)


def _read_parts(files: Files) -> dict[str, Any]:
    def table(name: str, key: str, of: Any) -> Any:
        rows: Mapping[str, Any] | None = files.read(name, dict[str, tuple[of, ...]])
        if rows is None:
            return ()
        if set(rows) != {key}:
            files.faults.append(Fault(name, 1, f"wants only [[{key}]] tables"))
        return rows.get(key, ())

    def folder(name: str, key: str, of: Any) -> dict[str, Any]:
        return {area: table(f"{name}/{area}.toml", key, of) for area in files.names(name)}

    return {
        "method": files.read("method.toml", Method),
        "framework": files.read("frameworks/2561.toml", Framework),
        "newer": files.read("frameworks/2567.toml", Framework),
        "mapping": table("frameworks/mapping.toml", "mapping", Mapped),
        "placement": files.read("placement.toml", Placement),
        "topics": table("topics.toml", "topic", Topic),
        "questions": folder("questions", "question", Question),
        "lessons": folder("lessons", "lesson", Lesson),
        "exercises": folder("exercises", "exercise", Exercise),
        "pictures": table("pictures.toml", "picture", Drawing),
        "courses": table("courses.toml", "course", Course),
        "notice": files.read("notice.toml", Notice),
        "register_": files.read("register.toml", Register),
        **_words(files),
        "menu": files.read("menu.toml", Menu),
        "calendar": _calendar(files),
        "agency": files.read("calendar/agency.toml", Agency),
        "nudges": files.read("nudges.toml", Nudges),
        "digest": files.read("digest.toml", Digest),
        "campaigns": _campaigns(files),
        "cycle": files.read("programme.toml", Cycle),
        "layout": files.read("reports/ocsc.toml", Layout),
        "reports": files.read("reports.toml", Reports),
        "roster": files.read("roster.toml", RosterRules),
        "copy_": {lang: files.read(f"copy.{lang}.toml", dict[str, str]) for lang in LANGS},
    }


def _words(files: Files) -> dict[str, Any]:
    """How people's words are read."""
    return {
        "words": files.read("words.toml", Words),
        "hearing": files.read("intents/words.toml", Hearing),
        "mind": files.read("intents/mind.json", Mind),
    }


def _calendar(files: Files) -> tuple[CalendarYear, ...]:
    """The years whose files could be read, oldest first."""
    years = []
    for name in filter(str.isdecimal, files.names("calendar")):
        year: CalendarYear | None = files.read(f"calendar/{name}.toml", CalendarYear)
        if year is not None and str(year.year) != name:
            files.faults.append(Fault(f"calendar/{name}.toml", 1, f"wants year = {name}"))
        elif year is not None:
            years.append(year)
    return tuple(years)


def _campaigns(files: Files) -> tuple[Campaign, ...]:
    """The ready-made campaigns that could be read, by their ids."""
    names = [f"campaigns/{name}.toml" for name in files.names("campaigns")]
    read: list[Campaign | None] = [files.read(name, Campaign) for name in names]
    return tuple(campaign for campaign in read if campaign is not None)
