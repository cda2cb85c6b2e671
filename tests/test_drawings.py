"""Pictures of lessons: whole, apart, readable, in the look of all pictures, and never alone.

A missing golden file is written and the test fails once: look at the new picture, then run again.
"""

import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image

from bot.channels import line, telegram, terminal
from bot.render import drawing, paint
from bot.render.paint import LEADING, WIDTH
from bot.render.pictures import draw, png, svg
from bot.render.text import clean, measure
from content import drawings
from content.load import load
from content.schema import LANGS, Content, Drawing
from flows.lesson import ask
from flows.preview import AT, shown
from flows.types import Floor, Picture, Reply, State
from tests.test_render import contrast, share_of_other_pixels

GOLDEN = Path(__file__).parent / "golden" / "drawings"
SHARE = 360
"""Pixels that a golden picture is wide: as small as a phone shows it."""
LIKENESS = 0.0002
SIGNALS = {"#A8322A", "#FBE9E6"}
"""What is wrong, and the ground under it; the other colours are those of all pictures."""
PALETTE = SIGNALS | {
    value for name, value in vars(paint).items() if name.isupper() and str(value).startswith("#")
}
LOADED = load()
EVERY = [(each.id, lang) for each in LOADED.pictures for lang in LANGS]


def picture(id: str, lang: str) -> Picture:
    """As the page of the lesson carries it."""
    return next(p for p in told(LOADED, lang) if p.data["id"] == id)


def told(content: Content, lang: str) -> list[Picture]:
    lessons = [lesson.id for shelf in content.lessons.values() for lesson in shelf]
    replies = [reply for id in lessons for reply in shown(content, "lesson", id, lang)]
    return [reply.picture for reply in replies if reply.picture]


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def placed(id: str, lang: str) -> list[tuple[str, float, float, float, float, str]]:
    """Gap, left, top, right, bottom and colour of the words as they are set."""
    said, found = LOADED.picture(id).said(lang), []
    for box in drawing.boxes(drawings.svg(id)):
        lines = box.set(said[box.gap])
        wide = max(measure(each, box.size, box.bold) for each in lines)
        left = box.x - {"start": 0, "middle": wide / 2, "end": wide}[box.anchor]
        high = len(lines) * box.size * LEADING
        top = box.y - (1 if box.hangs else len(lines)) * box.size * LEADING / 2
        found.append((box.gap, left, top, left + wide, top + high, box.fill))
    return found


# --- in the lessons --------------------------------------------------------------------


def test_every_area_has_a_picture_where_it_teaches(content: Content) -> None:
    for area in content.framework.areas:
        pages = [page for lesson in content.lessons[area.id] for page in lesson.messages]
        assert any(page.picture for page in pages), area.id


@pytest.mark.parametrize("lang", LANGS)
def test_a_page_tells_in_words_what_its_picture_shows(content: Content, lang: str) -> None:
    """The page is there without the picture, and its twin is there beside it, in every channel."""
    pages = [(lesson.id, n, page) for shelf in content.lessons.values() for lesson in shelf
             for n, page in enumerate(lesson.messages) if page.picture]  # fmt: skip
    assert len(pages) >= 9
    for id, n, page in pages:
        reply = shown(content, "lesson", id, lang)[n + 1]
        twin = content.picture(page.picture).alt.of(lang)
        assert reply.text.startswith(page.of(lang))
        assert reply.picture is not None
        assert reply.picture.alt == twin
        assert twin in reply.text
        assert twin in terminal.shown(reply).replace("\\[", "[")
        assert [len(part) for part in line.pack((Reply("ก"), Reply("ข"), Reply("ค"), reply))] == [4]
        assert any(part[0].picture for part in telegram.pack((reply,)))


def test_asked_again_the_page_is_its_words(content: Content) -> None:
    note = {"lesson": "computer-l1", "page": 1}
    asked = ask(State(0, floor=Floor("lesson", "page", note)), AT, content)

    assert asked.picture is not None
    assert asked.picture.alt in asked.text
    assert asked.picture.alt not in asked.again
    assert asked.again.startswith(content.lesson("computer-l1").messages[1].th)


@pytest.mark.parametrize(("id", "lang"), EVERY)
def test_the_twin_says_every_word_of_numbers_and_addresses(id: str, lang: str) -> None:
    """What can be copied from a picture can be copied from its twin."""
    each = LOADED.picture(id)
    for sign in each.signs.values():
        if len(sign) > 2:
            assert sign in each.alt.of(lang), sign


# --- as drawn ----------------------------------------------------------------------------


@pytest.mark.parametrize(("id", "lang"), EVERY)
def test_it_is_1080_wide_light_and_always_the_same(id: str, lang: str) -> None:
    data = draw(picture(id, lang))
    image = opened(data)

    assert image.width == WIDTH
    assert image.height <= 1.5 * WIDTH
    assert len(data) <= 250_000
    assert draw(picture(id, lang)) == data


@pytest.mark.parametrize(("id", "lang"), EVERY)
def test_it_looks_as_in_the_golden_picture(id: str, lang: str) -> None:
    small = phone(picture(id, lang))
    golden = GOLDEN / f"{id}.{lang}.png"
    if not golden.exists():
        golden.parent.mkdir(exist_ok=True)
        small.quantize(48).save(golden, optimize=True)
        pytest.fail(f"{golden} was missing and is written: look at it")

    assert share_of_other_pixels(small, Image.open(golden).convert("RGB")) < LIKENESS


def test_the_golden_picture_notices_one_word_that_is_lost() -> None:
    drawn = picture("backup-321", "th")
    less = Picture("drawing", {**drawn.data, "words": {**drawn.data["words"], "first": ""}}, "")

    assert share_of_other_pixels(phone(drawn), phone(less)) > LIKENESS


def phone(shown: Picture) -> Image.Image:
    whole = opened(draw(shown))
    return whole.resize((SHARE, whole.height * SHARE // WIDTH), Image.Resampling.LANCZOS)


@pytest.mark.parametrize(("id", "lang"), EVERY)
def test_nothing_is_drawn_over_the_edge(id: str, lang: str) -> None:
    image = opened(draw(picture(id, lang)))
    for x in (0, image.width - 12):
        strip = image.crop((x, 300, x + 12, image.height)).getcolors()
        assert [colour for _, colour in strip or ()] == [image.getpixel((3, image.height - 3))]


@pytest.mark.parametrize(("id", "lang"), EVERY)
def test_no_words_meet_others_or_leave_the_drawing(id: str, lang: str) -> None:
    root = ET.fromstring(drawings.svg(id))
    boxes = placed(id, lang)
    for at, (gap, left, top, right, bottom, _) in enumerate(boxes):
        assert 40 <= left <= right <= WIDTH - 40, gap
        assert 0 <= top <= bottom <= float(root.get("height", "")), gap
        for other, left2, top2, right2, bottom2, _ in boxes[at + 1 :]:
            # Thai marks need the whole line, but its lowest and highest fifth are empty
            apart = left >= right2 or left2 >= right
            assert apart or top + 8 >= bottom2 or top2 + 8 >= bottom, (gap, other)


@pytest.mark.parametrize(("id", "lang"), EVERY)
def test_every_word_stands_out_from_what_is_behind_it(id: str, lang: str) -> None:
    """Looked up in the picture without its words, under each of them."""
    source = drawing.COMMENT.sub("", drawings.svg(id))
    bare = drawing.TEXT.sub("", source)
    paper = f'<rect width="1080" height="2000" fill="{paint.PAPER}"/>'
    ground = opened(png(re.sub(r"(<svg[^>]*>)", r"\1" + paper, bare, count=1)))
    for gap, left, top, right, bottom, fill in placed(id, lang):
        middle = ground.crop((round(left), round(top + 12), round(right), round(bottom - 12)))
        size = middle.width * middle.height
        for many, (r, g, b) in middle.getcolors(size) or ():
            if many > size / 50:
                assert contrast(fill, f"#{r:02X}{g:02X}{b:02X}") >= 4.5, (gap, r, g, b)


@pytest.mark.parametrize("id", [each.id for each in LOADED.pictures])
def test_it_has_the_colours_of_all_pictures(id: str) -> None:
    assert set(re.findall(r"#[0-9A-Fa-f]{3,8}\b", drawings.svg(id))) <= PALETTE


# --- words and their room ----------------------------------------------------------------


def test_all_words_have_room(content: Content) -> None:
    assert list(drawing.faults(content)) == []


def with_word(content: Content, gap: str, said: str) -> Content:
    first: Drawing = content.pictures[0]
    word = first.words[gap].model_copy(update={"en": said})
    longer = first.model_copy(update={"words": {**first.words, gap: word}})
    return content.model_copy(update={"pictures": (longer, *content.pictures[1:])})


@pytest.mark.parametrize("said", ["a word and then another one", "W" * 20, "one\ntwo"])
def test_words_that_are_too_long_are_named(content: Content, said: str) -> None:
    (fault,) = drawing.faults(with_word(content, "office", "At the office" + said))

    assert fault.file == "pictures.toml"
    assert "backup-321: office: 'At the office" in fault.what
    assert "is too long (en), it has 600 pixels in 1 line" in fault.what


def test_words_that_are_too_long_are_cut_not_drawn_over() -> None:
    box = drawing.boxes(drawings.svg("backup-321"))[3]

    (line_,) = box.set("much too long for its place " * 9)

    assert line_.endswith("…")
    assert measure(line_, box.size, box.bold) <= box.width


def test_hostile_words_stay_words() -> None:
    hostile = '<script>alert(1)</script> & " \x00 😀 {office}'
    data = picture("backup-321", "en").data
    words = dict.fromkeys(data["words"], hostile)
    made = svg(Picture("drawing", {**data, "title": hostile, "words": words}, hostile))

    assert not [each for each in ET.fromstring(made).iter() if "script" in each.tag]
    assert clean(hostile)[:6] in "".join(ET.fromstring(made).itertext())


def test_a_word_that_is_not_known_leaves_its_place_empty() -> None:
    """What was said under an older version can still be drawn."""
    data = picture("backup-321", "en").data

    assert draw(Picture("drawing", {**data, "words": {}}, "twin")).startswith(b"\x89PNG")


def test_no_other_file_is_read_by_the_name_of_a_picture() -> None:
    data = picture("backup-321", "en").data
    for id in ("../../../etc/passwd", "../menu", "Backup-321", ""):
        with pytest.raises(ValueError, match="no drawing"):
            draw(Picture("drawing", {**data, "id": id}, "twin"))
