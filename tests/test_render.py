"""Pictures and the certificate: Thai is shaped right, nothing is cut, nobody's text breaks them.

A missing golden file is written and the test fails once: look at the new picture, then run again.
"""

import datetime as dt
import io
import math
import re
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path

import pytest
import typst
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageFont

from bot.render import certificate, paint, qr
from bot.render.fonts import BOLD, REGULAR, face
from bot.render.labels import layout
from bot.render.pictures import draw, png, svg
from bot.render.text import clean, cut, fit, measure, words, wrap
from flows.types import Picture

GOLDEN = Path(__file__).parent / "golden"
SHAPING = "น้ำ ป่า ญี่ปุ่น ฐู กฎุ ฟื้น เพื่อ ตั้งใจ ผู้นำ การทำงาน"
HOSTILE = (
    "<script>alert(1)</script> & \"]]> ' \x00\x1b \ud800 \u202e 😀👩‍👩‍👧 中文 #x $a$ \\u{1} "
    + "ก่่่่่่่่่่"
    + "ยาว" * 100
    + "W" * 100
)
SHORT_TH = [
    "คอมพิวเตอร์",
    "อินเทอร์เน็ต",
    "ความปลอดภัย",
    "ประมวลผลคำ",
    "ตารางคำนวณ",
    "งานนำเสนอ",
    "สื่อดิจิทัล",
    "ทำงานออนไลน์",
    "ปลอดภัยขั้นสูง",
    "ข้อมูลเปิด",
    "บริการดิจิทัล",
    "ภาวะผู้นำ",
]
LONG_TH = [
    "ใช้งานคอมพิวเตอร์",
    "ใช้งานอินเทอร์เน็ต",
    "ใช้งานเพื่อความมั่นคงปลอดภัย",
    "ใช้โปรแกรมประมวลผลคำ",
    "ใช้โปรแกรมตารางคำนวณ",
    "ใช้โปรแกรมการนำเสนองาน",
    "ใช้โปรแกรมสร้างสื่อดิจิทัล",
    "ทำงานร่วมกันแบบออนไลน์",
    "ใช้ดิจิทัลเพื่อความมั่นคงปลอดภัย",
]
SHORT_EN = [
    "Computer use",
    "Internet use",
    "Security",
    "Word processing",
    "Spreadsheets",
    "Presentations",
    "Digital content creation",
    "Online collaboration",
    "Applied digital safety",
    "Open data",
    "Service design",
    "Leadership",
]
VALUES = [0.72, 0.85, 0.4, 0.66, 0.31, 0.55, None, 0.78, 0.5]
BEFORE = [0.5, 0.6, 0.2, 0.6, 0.1, None, None, 0.45, 0.33]
URL = "https://kaona.example.go.th/verify/KN-7Q4M-2XPA"


def axes(labels, values=VALUES):
    return [{"label": x, "value": v} for x, v in zip(labels, values, strict=False)]


RADAR_TH = {
    "title": "ภาพรวมทักษะดิจิทัล 9 ด้านของคุณ",
    "axes": axes(SHORT_TH),
    "rings": ["เริ่มต้น", "ทำได้", "คล่องแคล่ว"],
    "legend": ["ผลก่อนเริ่ม"],
    "note": "ใช้เพื่อพัฒนาตนเอง ไม่ใช่ผลสอบของ TPQI หรือ ICDL",
}
RADAR_EN = {
    "title": "Your profile in nine areas",
    "axes": axes(SHORT_EN),
    "rings": ["Starting", "Able", "Fluent"],
    "legend": ["Now"],
    "note": "For your own development; not a TPQI or ICDL result.",
}
STEPS_TH = [
    "รู้จักและประเมินตนเอง",
    "ตั้งเป้าหมายและวางแผน",
    "เรียนรู้",
    "ฝึกปฏิบัติและทดสอบ",
    "ประยุกต์ใช้ในงานและแบ่งปัน",
    "ติดตาม ประเมินผล และรายงาน",
]
STATES = ["done", "done", "now", "later", "later", "later"]
PROGRESS_TH = {
    "title": "เส้นทาง 6 ขั้นของคุณ",
    "steps": [{"label": x, "state": s} for x, s in zip(STEPS_TH, STATES, strict=True)],
    "note": "ขั้นตอนตั้งต้นของโครงการ ยังไม่ใช่ถ้อยคำทางการของสำนักงาน ก.พ.",
}
PROGRESS_EN = {
    "title": "Your way through the six steps",
    "steps": [
        {"label": x, "state": s}
        for x, s in zip(
            ["Know yourself", "Plan", "Learn", "Practise", "Apply at work", "Review"],
            STATES,
            strict=True,
        )
    ],
}
PEOPLE = [8, 0, 5, 0, 6, 0, 0, 5]
TEAM_TH = {
    "title": "กองบริหารทรัพยากรบุคคล",
    "rows": [
        {"label": label, "people": n, "told": f"{n} คน", "place": i / 7}
        for i, (label, n) in enumerate(
            zip(["ยังไม่เริ่ม", *STEPS_TH, "ครบทุกขั้นแล้ว"], PEOPLE, strict=True)
        )
    ],
    "note": "จาก 24 คน ณ วันจันทร์ที่ 23 พฤศจิกายน 2569",
}
TEAM_EN = {
    "title": "Human Resources Division",
    "rows": [
        {"label": f"Step {i}", "people": 1_000_000, "told": "1,000,000", "place": i / 7}
        for i in range(8)
    ],
    "note": "Of 8,000,000 people, on Monday 23 November 2026",
}
CERTIFICATE_TH = {
    "title": "ใบรับรองการพัฒนาทักษะดิจิทัล",
    "lead": "ขอมอบใบรับรองนี้ให้ไว้เพื่อแสดงว่า",
    "name": "นางสาวสมหญิง ตั้งใจเรียนรู้",
    "body": "ได้พัฒนาทักษะความเข้าใจและใช้เทคโนโลยีดิจิทัลด้วยวิธีการ 6 ขั้นครบถ้วนแล้ว ในด้านต่อไปนี้",
    "areas": LONG_TH[:3],
    "date": "ให้ไว้ ณ วันที่ 20 พฤศจิกายน พ.ศ. 2569",
    "code": "รหัสตรวจสอบ KN-7Q4M-2XPA",
    "verify": "ตรวจสอบได้ที่ " + URL,
    "label": "ใช้เพื่อการพัฒนาตนเอง ไม่ใช่ใบรับรองมาตรฐานของ TPQI หรือ ICDL",
    "issued": "2026-11-20",
}
CERTIFICATE_EN = {
    "title": "Certificate of Digital Skills Development",
    "lead": "This is to show that",
    "name": "Somying Tangjairianru",
    "body": "has worked through all six steps of the self-development method, in these areas:",
    "areas": SHORT_EN[:9],
    "date": "Given on 20 November 2026",
    "code": "Verification code KN-7Q4M-2XPA",
    "verify": URL,
    "label": "Formative. This is not a TPQI or ICDL certificate.",
}
HOSTILE_DATA = {
    "radar": {
        "title": HOSTILE,
        "axes": [{"label": HOSTILE, "value": 7}] * 12,
        "before": [math.nan, -3, None],
        "rings": [HOSTILE] * 3,
        "legend": [HOSTILE] * 2,
        "note": HOSTILE,
    },
    "progress": {
        "title": HOSTILE,
        "steps": [{"label": HOSTILE, "state": s} for s in STATES],
        "note": HOSTILE,
    },
    "team": {
        "title": HOSTILE,
        "rows": [
            {"label": HOSTILE, "people": n, "told": HOSTILE, "place": n} for n in (1, 0, -3, 9**9)
        ],
        "note": HOSTILE,
    },
    "certificate": {field: HOSTILE for field in CERTIFICATE_EN if field not in ("areas", "issued")}
    | {"areas": [HOSTILE] * 20, "verify": URL + " " + HOSTILE},
}
PICTURES = {
    "radar th": Picture("radar", RADAR_TH, "แทนภาพ"),
    "radar en": Picture("radar", RADAR_EN, "twin"),
    "before and after th": Picture(
        "radar", RADAR_TH | {"before": BEFORE, "legend": ["ก่อนเริ่ม", "หลังจบรอบ"]}, "แทนภาพ"
    ),
    "before and after en": Picture(
        "radar", RADAR_EN | {"before": BEFORE, "legend": ["Before", "After"]}, "twin"
    ),
    "long labels": Picture("radar", RADAR_TH | {"axes": axes(LONG_TH)}, "แทนภาพ"),
    "nothing measured": Picture("radar", RADAR_TH | {"axes": axes(SHORT_TH, [None] * 9)}, ""),
    "three axes": Picture("radar", RADAR_EN | {"axes": axes(SHORT_EN[:3])}, "twin"),
    "progress th": Picture("progress", PROGRESS_TH, "แทนภาพ"),
    "progress en": Picture("progress", PROGRESS_EN, "twin"),
    "team th": Picture("team", TEAM_TH, "แทนภาพ"),
    "team en": Picture("team", TEAM_EN, "twin"),
    "nobody in the team": Picture("team", TEAM_EN | {"rows": []}, ""),
    "certificate th": Picture("certificate", CERTIFICATE_TH, "แทนภาพ"),
    "certificate en": Picture("certificate", CERTIFICATE_EN, "twin"),
} | {f"hostile {kind}": Picture(kind, data, HOSTILE) for kind, data in HOSTILE_DATA.items()}
SVGS = [name for name, picture in PICTURES.items() if picture.kind != "certificate"]
SVG = "{http://www.w3.org/2000/svg}"


def opened(data):
    return Image.open(io.BytesIO(data)).convert("RGB")


# --- shaping -------------------------------------------------------------------------


def shaped_by_resvg(text):
    lines = paint.write([text], 40, 20, 48) + paint.write([text], 40, 110, 48, bold=True)
    return opened(png(paint.sheet("", [(paint.Block(lines, 190), 0)])))


def shaped_by_typst(text):
    source = f"""#set page(width: 600pt, height: auto, margin: 16pt)
        #set text(font: "Sarabun", fallback: false, size: 27pt, lang: "th",
                  top-edge: "ascender", bottom-edge: "descender")
        {text} \\ *{text}*"""
    return opened(
        typst.compile(
            source.encode(), font_paths=certificate.fonts(), format="png", ignore_system_fonts=True
        )
    )


def share_of_other_pixels(one, other):
    assert one.size == other.size
    difference = ImageChops.difference(one, other).convert("L")
    return sum(difference.histogram()[96:]) / (one.width * one.height)


@pytest.mark.parametrize("shaped", [shaped_by_resvg, shaped_by_typst])
def test_thai_is_shaped_as_in_the_golden_picture(shaped):
    golden = GOLDEN / f"{shaped.__name__}.png"
    if not golden.exists():
        shaped(SHAPING).save(golden, optimize=True)
        pytest.fail(f"{golden} was missing and is written: look at it")

    assert share_of_other_pixels(shaped(SHAPING), Image.open(golden).convert("RGB")) < 0.0002


@pytest.mark.parametrize("shaped", [shaped_by_resvg, shaped_by_typst])
@pytest.mark.parametrize(("right", "wrong"), [("เพื่อ", "เพือ"), ("ฟื้น", "ฟื่น"), ("กฎุ", "กฏุ")])
def test_the_golden_picture_notices_one_wrong_mark(shaped, right, wrong):
    other = shaped(SHAPING.replace(right, wrong))

    assert share_of_other_pixels(shaped(SHAPING), other) > 0.0002


# --- every picture -------------------------------------------------------------------


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_1080_wide_light_and_always_the_same(name):
    data = draw(PICTURES[name])
    image = opened(data)

    assert data.startswith(b"\x89PNG")
    assert image.width == 1080
    assert image.height <= 2 * image.width
    assert len(data) <= 400_000
    assert draw(PICTURES[name]) == data


@pytest.mark.parametrize("name", PICTURES)
def test_nothing_is_drawn_over_the_edge(name):
    image = opened(draw(PICTURES[name]))
    paper = image.getpixel((3, image.height - 3))
    below = 0 if PICTURES[name].kind == "certificate" else 300
    left, right = (
        image.crop((x, below, x + 12, image.height)).getcolors() for x in (0, image.width - 12)
    )

    assert [colour for _, colour in left] == [paper]
    assert [colour for _, colour in right] == [paper]


@pytest.mark.parametrize("name", PICTURES)
def test_svg_is_well_formed_and_carries_no_script(name):
    root = ET.fromstring(svg(PICTURES[name]))

    assert not list(root.iter(f"{SVG}script"))


def test_svg_is_titled_with_the_text_twin():
    assert ET.fromstring(svg(PICTURES["radar th"])).findtext(f"{SVG}title") == "แทนภาพ"


@pytest.mark.parametrize("name", SVGS)
def test_every_text_stands_out_from_what_is_behind_it(name):
    for text in ET.fromstring(svg(PICTURES[name])).iter(f"{SVG}text"):
        fill = text.get("fill")
        behind = [paint.NAVY] if fill == paint.WHITE else [paint.PAPER, paint.WHITE, paint.CREAM]

        assert min(contrast(fill, colour) for colour in behind) >= 4.5


def contrast(one, other):
    def light(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((light(one), light(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


# --- radar ---------------------------------------------------------------------------


@pytest.mark.parametrize("count", range(3, 13))
@pytest.mark.parametrize("labels", [SHORT_TH, SHORT_EN], ids=["th", "en"])
def test_short_labels_are_whole_and_apart_for_any_number_of_axes(labels, count):
    _, placed = layout(tuple(labels[:count]))

    assert all(label.whole for label in placed)
    assert_apart(placed)


@pytest.mark.parametrize("labels", [tuple(LONG_TH), (HOSTILE,) * 12], ids=["long", "hostile"])
def test_long_labels_take_two_lines_and_stay_apart(labels):
    _, placed = layout(labels)

    assert max(len(label.lines) for label in placed) == 2
    assert_apart(placed)


@pytest.mark.parametrize("count", [9, 12])
def test_full_names_of_areas_are_whole(count):
    _, placed = layout((*LONG_TH, *SHORT_TH[:3])[:count])

    assert all(label.whole for label in placed)


def assert_apart(labels):
    for i, label in enumerate(labels):
        assert label.left >= -540
        assert label.left + label.width <= 540
        assert not any(label.meets(other) for other in labels[i + 1 :])


def test_no_line_leads_to_what_was_not_measured():
    values = [0.5, 0.5, None, 0.5, 0.5]
    drawn = svg(Picture("radar", {"title": "", "axes": axes("abcde", values)}, ""))
    root = ET.fromstring(drawn)
    outline = next(p for p in root.iter(f"{SVG}path") if p.get("fill") == "none")

    assert outline.get("d").count("L") == 3
    assert sum(c.get("r") == "13" for c in root.iter(f"{SVG}circle")) == 4


@pytest.mark.parametrize("count", [0, 2, 13])
def test_a_radar_of_too_few_or_too_many_axes_is_refused(count):
    with pytest.raises(ValueError, match="3 to 12 axes"):
        svg(Picture("radar", {"title": "", "axes": [{"label": "x"}] * count}, ""))


# --- progress ------------------------------------------------------------------------


def test_each_state_of_a_step_has_its_own_shape():
    shapes = {}
    for state in ("done", "now", "later"):
        data = {"title": "", "steps": [{"label": "", "state": state}]}
        root = ET.fromstring(svg(Picture("progress", data, "")))
        shapes[state] = [element.tag.removeprefix(SVG) for element in root.iter()]

    assert "path" in shapes["done"]
    assert "text" not in shapes["done"]
    assert shapes["now"] != shapes["later"]


# --- certificate ---------------------------------------------------------------------


def streams(data):
    """The PDF with its compressed streams opened."""
    opened = [data]
    for found in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
        try:
            opened.append(zlib.decompress(found[1]))
        except zlib.error:
            continue
    return b"\n".join(opened)


@pytest.mark.parametrize("data", [CERTIFICATE_TH, CERTIFICATE_EN, HOSTILE_DATA["certificate"]])
def test_certificate_is_one_page_of_archival_pdf_with_its_fonts(data):
    made = certificate.pdf(data)
    text = streams(made)

    assert made.startswith(b"%PDF")
    assert certificate.pdf(data) == made
    assert b"<pdfaid:part>2</pdfaid:part>" in text
    assert {name.split(b"+")[1] for name in re.findall(rb"/FontName\s*/([\w+-]+)", text)} == {
        b"Sarabun-Regular",
        b"Sarabun-Bold",
    }
    assert len(re.findall(rb"/FontFile[23]", text)) == 2
    assert len(re.findall(rb"/Type\s*/Page\b", text)) == 1


def test_certificate_is_dated_in_the_file_when_the_date_is_known():
    assert b"D:20261120" in streams(certificate.pdf(CERTIFICATE_TH))
    dated = CERTIFICATE_EN | {"issued": dt.date(2027, 1, 2)}
    assert b"D:20270102" in streams(certificate.pdf(dated))


def test_certificate_without_an_address_has_no_qr_code():
    plain = CERTIFICATE_EN | {"verify": "KN-7Q4M-2XPA"}

    assert len(certificate.svg(plain)) < len(certificate.svg(CERTIFICATE_EN))
    assert certificate.png(plain).startswith(b"\x89PNG")


@settings(max_examples=15, deadline=None)
@given(st.text(max_size=60), st.lists(st.text(max_size=40), max_size=4))
def test_any_text_makes_an_archival_certificate(text, areas):
    data = CERTIFICATE_EN | {"name": text, "title": text, "body": text, "areas": areas}

    assert certificate.pdf(data).startswith(b"%PDF")


def test_qr_code_equals_one_of_another_encoder():
    """`golden/qr.txt` was made with python-qrcode 8.2 and read back with zxing-cpp."""
    drawn = ["".join(".#"[dark] for dark in row) for row in qr.encode(URL)]

    assert drawn == (GOLDEN / "qr.txt").read_text().split()


def test_qr_code_holds_106_bytes_and_no_more():
    assert len(qr.encode("x" * 106)) == 41
    assert qr.encode("x" * 107) == []
    assert qr.svg("x" * 107) == ""


# --- words ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("  ก  ข\n\tค ", "ก ข ค"),
        ("a\x00b\x1bc\ud800", "abc"),
        ("เก่ง😀มาก👩‍👩‍👧", "เก่งมาก"),
        ("中文 ok", "?? ok"),
        ("e\u0301", "é"),
        ("ก" + "่" * 50, "ก่่่"),
        ("\u202eabc\u200b\u00ad", "abc"),
        ("", ""),
    ],
)
def test_only_what_the_typeface_can_draw_is_left(text, drawn):
    assert clean(text) == drawn


def test_long_text_is_cut_with_an_ellipsis():
    assert clean("x" * 300, 20) == "x" * 19 + "…"


@pytest.mark.parametrize(("bold", "file"), [(False, REGULAR), (True, BOLD)])
def test_letters_are_as_wide_as_in_the_font(bold, file):
    font = ImageFont.truetype(str(file), 1000, layout_engine=ImageFont.Layout.BASIC)

    for letter in "กขฃญฐฎำาะเแโใไๆฯ่้ิุAWi1๑฿…–":
        assert face(bold).advances[letter] == pytest.approx(font.getlength(letter) / 1000, abs=0.01)


@pytest.mark.parametrize(
    "kept", ["ก.พ. ", "(6 ", "Step) ", "ต่างๆ ", "ซื่อสัตย์", "https://k.go.th/verify/AB-12"]
)
def test_lines_do_not_break_inside(kept):
    text = "สำนักงาน ก.พ. ใช้วิธี (6 Step) กับ ต่างๆ อย่างซื่อสัตย์ ที่ https://k.go.th/verify/AB-12"

    assert any(kept in piece for piece in words(text))


@settings(max_examples=60, deadline=None)
@given(st.text("กาีู่้เแำ .abW(", max_size=120), st.integers(120, 900))
def test_wrapping_loses_nothing_and_keeps_to_the_width(text, width):
    line = clean(text)
    lines = wrap(words(line), 32, width)

    assert "".join(lines).replace(" ", "") == line.replace(" ", "")
    assert all(measure(part, 32) <= width for part in lines)
    assert all(measure(part, 32) <= width for part in cut(words(line), 32, width, 2))


def test_a_long_compound_may_break_between_its_two_words():
    assert words("โปรแกรมประมวลผลคำ") == ["โปรแกรม", "ประมวลผล", "คำ"]


def test_lettering_shrinks_before_words_are_dropped():
    size, lines = fit("ก" * 30, (40, 20), 400, 1)

    assert (size, lines) == (20, ["ก" * 30])
