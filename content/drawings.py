"""The drawings of lessons: SVG files whose words stand in `pictures.toml`, and what must not be in
them."""

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from content.load import HERE, Fault, Files
from content.schema import Content, Drawing

NAME = "pictures.toml"
WIDTH = 1080
"""Pixels of every picture."""
SMALLEST = 28
"""Pixels of a letter: 10 on a phone 390 wide, where a picture of 1080 is shown."""
SHAPES = {"svg", "g", "rect", "circle", "ellipse", "line", "polyline", "polygon", "path", "text"}
"""Elements that can do no more than be seen."""
PENS = {
    *("x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "width", "height", "viewBox"),
    *("points", "d", "transform", "fill", "fill-opacity", "stroke", "stroke-width"),
    *("stroke-dasharray", "stroke-linecap", "stroke-linejoin"),
    *("font-size", "font-weight", "text-anchor", "data-width", "data-lines", "data-from"),
}
"""Attributes that name nothing outside the drawing."""
SVG = "{http://www.w3.org/2000/svg}"
NAMED = re.compile(r'picture = "([a-z0-9-]+)"')
GAP = re.compile(r"\{([a-z0-9_]+)\}")


def svg(id: str, root: Path = HERE) -> str:
    """The drawing as it lies in the folder, its gaps open; ValueError if there is none."""
    path = root / "pictures" / f"{id}.svg"
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", id) or not path.is_file():
        raise ValueError(f"no drawing: {id!r}")
    return path.read_text(encoding="utf-8")


def faults(content: Content, files: Files) -> Iterator[Fault]:
    """What is wrong with the drawings of the files; nothing, if their words cannot be read."""
    unread = {fault.file for fault in files.faults}
    if NAME in unread:
        return
    counts = Counter(drawing.id for drawing in content.pictures)
    drawn = {path.stem for path in (files.root / "pictures").glob("*.svg")}
    for id in sorted(drawn - counts.keys()):
        yield Fault(f"pictures/{id}.svg", 1, f"{NAME} has no words for it: add them or remove it")
    used = _used(content, files, unread)
    for at, drawing in enumerate(content.pictures):
        line = files.line(NAME, ("picture", at, "id"))
        if counts[drawing.id] > 1:
            yield Fault(NAME, line, f"the id {drawing.id!r} is used twice: change one")
        if drawing.id not in used:
            yield Fault(NAME, line, f"no lesson shows {drawing.id!r}: name it on a page")
        if drawing.id not in drawn:
            yield Fault(NAME, line, f"pictures/{drawing.id}.svg is missing: draw it")
            continue
        yield from _drawing(drawing, line, files)


def _used(content: Content, files: Files, unread: set[str]) -> set[str]:
    """Pictures that a page of any lesson names, as far as can be seen where one is broken."""
    lessons = (lesson for shelf in content.lessons.values() for lesson in shelf)
    named = {page.picture for lesson in lessons for page in lesson.messages if page.picture}
    for name in unread:
        if name.startswith("lessons/") and (files.root / name).is_file():
            text = (files.root / name).read_text(encoding="utf-8", errors="replace")
            named |= set(NAMED.findall(text))
    return named


def _drawing(drawing: Drawing, line: int, files: Files) -> Iterator[Fault]:
    name = f"pictures/{drawing.id}.svg"
    try:
        text = (files.root / name).read_text(encoding="utf-8")
        # a DOCTYPE could name files or blow up; without one this parser knows no entities
        if "<!" in text.replace("<!--", ""):
            yield Fault(name, 1, "has a DOCTYPE or CDATA: save it as plain SVG")
            return
        root = ET.fromstring(text)
    except UnicodeDecodeError:
        yield Fault(name, 1, "not UTF-8: save it as UTF-8")
        return
    except ET.ParseError as error:
        yield Fault(name, error.position[0], f"not XML: {error}")
        return
    yield from (Fault(name, _line(text, near), what) for near, what in _shapes(root))
    yield from (Fault(name, _line(text, near), what) for near, what in _texts(root))
    gaps, said = set(GAP.findall(text)), drawing.said("th").keys()
    for gap in sorted(gaps - said):
        yield Fault(name, _line(text, "{" + gap + "}"), f"{NAME} has no word for {{{gap}}}")
    for gap in sorted(said - gaps):
        yield Fault(NAME, line, f"{drawing.id}: the drawing has no gap {{{gap}}}: remove the word")
    for gap in sorted(drawing.words.keys() & drawing.signs.keys()):
        yield Fault(NAME, line, f"{drawing.id}: {gap} is a word and a sign: remove one")


def _line(text: str, near: str) -> int:
    return text.count("\n", 0, max(text.find(near), 0)) + 1


def _shapes(root: ET.Element) -> Iterator[tuple[str, str]]:
    """Elements and attributes that are more than shapes, and a size that is not ours."""
    height = root.get("height", "")
    if root.get("width") != str(WIDTH) or root.get("viewBox") != f"0 0 {WIDTH} {height}":
        yield "<svg", f'wants width="{WIDTH}", a height, and a viewBox that is the same'
    for element in root.iter():
        name = str(element.tag).removeprefix(SVG)
        if name not in SHAPES:
            yield f"<{name.rpartition('}')[2]}", f"<{name}>: only plain shapes and text are drawn"
            continue
        for pen, value in element.items():
            if pen not in PENS or "url(" in value:
                near = pen.rpartition("}")[2]
                yield near, f"{near}={value!r}: nothing outside the drawing, no styles or scripts"


def _texts(root: ET.Element) -> Iterator[tuple[str, str]]:
    """Letters that are no gap, too small, or without the width they must keep to."""
    for element in root.iter():
        said = (element.text or "").strip()
        if element.tag != SVG + "text":
            if said and str(element.tag).removeprefix(SVG) in SHAPES:
                yield said, "letters outside <text>: remove them"
            continue
        if not GAP.fullmatch(said) or len(element):
            yield said or "<text", f"{said!r}: a text holds one gap, its words are in {NAME}"
        try:
            size, room = float(element.get("font-size", "")), float(element.get("data-width", ""))
            spots = [float(element.get(pen, "")) for pen in ("x", "y")]
            lines = int(element.get("data-lines", "1"))
        except ValueError:
            yield said, f"{said}: wants x, y, font-size and data-width as numbers"
            continue
        if size < SMALLEST:
            yield said, f"{said}: letters of {size:g} pixels, at least {SMALLEST} can be read"
        if not 0 < room <= WIDTH or lines < 1 or not 0 <= spots[0] <= WIDTH:
            yield said, f"{said}: its box is not on the picture"
