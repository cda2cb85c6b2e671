"""The report for OCSC as DOCX, to be worked on in an office program: the same memo, headings,
tables and charts as in the PDF."""

import datetime as dt
import io
import re
import zipfile
from typing import Any

from docx import Document as new_docx
from docx.document import Document as Docx
from docx.enum.section import WD_ORIENT
from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_TAB_ALIGNMENT, WD_TAB_LEADER
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Cm, Pt, RGBColor
from docx.table import Table
from docx.text.paragraph import Paragraph

from bot.render.report import chart_png
from bot.render.text import clean
from content.schema import Layout
from flows.composed import Block, Bullets, Cell, Chart, Document, Form, Grid, Line, shown

FONT = "TH Sarabun New"
"""What Thai offices have; where it is not, the office program takes another."""
BODY = 16
NAVY, MUTED, RED = (
    RGBColor(0x1B, 0x3A, 0x6B),
    RGBColor(0x4A, 0x57, 0x63),
    RGBColor(0xA4, 0x26, 0x2C),
)
LEFT, RIGHT = Cm(3), Cm(2)
ROOM = 16.0
"""Centimetres between the margins of A4."""
ZIPPED = (1980, 1, 1, 0, 0, 0)
"""The time of every member of the file: a run must not show in its bytes."""


def docx(document: Document, layout: Layout) -> bytes:
    """The document; the same always gives the same bytes."""
    made = Writer(document, layout).write()
    raw = io.BytesIO()
    made.save(raw)
    return _undated(raw.getvalue())


def _undated(raw: bytes) -> bytes:
    """The same package with fixed times."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            info = zipfile.ZipInfo(name, ZIPPED)
            info.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(info, old.read(name))
    return made.getvalue()


class Writer:
    """Writes one document from the top down."""

    def __init__(self, document: Document, layout: Layout) -> None:
        self._document = document
        self._layout = layout
        self._docx: Docx = new_docx()

    def write(self) -> Docx:
        document = self._document
        self._prepare()
        self._memo()
        for text, size in (
            (document.title, 20), (document.year_line, 18), (document.agency, 18),
        ):  # fmt: skip
            made = self._line(text, size=size, bold=True, align="center", colour=NAVY)
            made.paragraph_format.page_break_before = text is document.title
        self._line(document.state, size=14, align="center", colour=MUTED)
        for at, part in enumerate(document.parts, 1):
            self._docx.add_heading(f"{at}. {clean(part.heading)}", 1)
            for block in part.blocks:
                self._block(block)
            for note in part.notes:
                self._line(note, size=14, colour=MUTED)
        return self._docx

    # --- the page ----------------------------------------------------------------------

    def _prepare(self) -> None:
        document, core = self._document, self._docx.core_properties
        dated = dt.datetime.combine(dt.date.fromisoformat(document.dated), dt.time())
        core.title, core.author = clean(document.title), clean(document.agency)
        core.comments, core.language = clean(document.hash_line), "th-TH"
        core.created = core.modified = core.last_printed = dated
        core.last_modified_by, core.revision = clean(document.agency), 1
        section = self._docx.sections[0]
        section.orientation = WD_ORIENT.PORTRAIT
        section.page_width, section.page_height = Cm(21), Cm(29.7)
        section.left_margin, section.right_margin = LEFT, RIGHT
        section.top_margin, section.bottom_margin = Cm(2), Cm(1.8)
        section.header_distance = section.footer_distance = Cm(0.9)
        for name, size in (("Normal", BODY), ("Heading 1", 18), ("Heading 2", BODY),
                           ("List Bullet", BODY), ("Header", 12), ("Footer", 12)):  # fmt: skip
            self._style(name, size)
        self._margins(section)

    def _style(self, name: str, size: int) -> None:
        style = self._docx.styles[name]
        style.font.name, style.font.size = FONT, Pt(size)
        properties = style.element.get_or_add_rPr()
        _fonts(properties)
        _complex_size(properties, size)
        space = style.paragraph_format
        space.space_before, space.space_after, space.line_spacing = Pt(0), Pt(3), 0.9
        if name.startswith("Heading"):
            style.font.bold, style.font.color.rgb = True, NAVY
            _switch(properties, "w:bCs")
            space.space_before, space.keep_with_next = Pt(12), True

    def _margins(self, section: Any) -> None:
        """Marks at the top of each page; at its foot the hash and the number of the page."""
        document = self._document
        header = section.header.paragraphs[0]
        header.alignment = WD_ALIGN_PARAGRAPH.RIGHT
        for mark in document.marks:
            _run(header, clean(mark) + " ", 12, bold=True, colour=RED)
        footer = section.footer.paragraphs[0]
        before, between, after = (clean(x) for x in re.split(r"\{pages?\}", document.page))
        _run(footer, clean(document.hash_line), 9, colour=MUTED)
        footer.add_run().add_break()
        for text, code in ((before + " ", "PAGE"), (f" {between} ", "NUMPAGES")):
            _run(footer, text, 12)
            _field(footer, code)
        _run(footer, after, 12)
        footer.alignment = WD_ALIGN_PARAGRAPH.CENTER

    # --- the memo ----------------------------------------------------------------------

    def _memo(self) -> None:
        cover = self._document.cover
        self._line(cover.head, size=29, bold=True, align="center")
        department, number, day, subject = cover.fields
        self._dotted([department])
        self._dotted([number, day])
        self._dotted([subject])
        for word, said in (cover.addressee, cover.attached):
            made = self._docx.add_paragraph()
            made.paragraph_format.space_before = Pt(6)
            _run(made, f"{clean(word)}  ", BODY)
            _run(made, clean(said), BODY)
        for text in cover.paragraphs:
            made = self._line(text)
            made.paragraph_format.first_line_indent = Cm(2.5)
            made.paragraph_format.space_before = Pt(6)
            made.alignment = WD_ALIGN_PARAGRAPH.THAI_JUSTIFY
        self._line("")
        for text in cover.signs:
            made = self._line(text, align="center")
            made.paragraph_format.left_indent = Cm(7)

    def _dotted(self, fields: list[tuple[str, str]]) -> None:
        """Fields of the memo on one line, dots after them to the margin."""
        made = self._docx.add_paragraph()
        stops = made.paragraph_format.tab_stops
        for at, (word, said) in enumerate(fields, 1):
            stops.add_tab_stop(
                Cm(ROOM * at / len(fields)), WD_TAB_ALIGNMENT.LEFT, WD_TAB_LEADER.DOTS
            )
            _run(made, clean(word) + "  ", 20, bold=True)
            _run(made, clean(said) + "\t", BODY)

    # --- blocks ------------------------------------------------------------------------

    def _line(
        self,
        text: str,
        *,
        size: int = BODY,
        bold: bool = False,
        align: str = "",
        colour: RGBColor | None = None,
    ) -> Paragraph:
        made = self._docx.add_paragraph()
        _run(made, clean(text, 4000), size, bold=bold, colour=colour)
        if align == "center":
            made.alignment = WD_ALIGN_PARAGRAPH.CENTER
        return made

    def _block(self, block: Block) -> None:
        match block:
            case Grid():
                self._titled(block.title)
                self._grid(block)
            case Chart():
                self._titled(block.title)
                self._chart(block)
            case Line():
                made = self._docx.add_paragraph()
                if block.lead:
                    _run(made, clean(block.lead) + " ", BODY, bold=True)
                else:
                    made.paragraph_format.first_line_indent = Cm(1.5)
                _run(made, clean(block.text, 4000), BODY)
            case Bullets():
                self._titled(block.title)
                for item in block.items:
                    _run(self._docx.add_paragraph(style="List Bullet"), clean(item, 4000), BODY)

    def _titled(self, title: str) -> None:
        if title:
            self._docx.add_heading(clean(title), 2)

    def _chart(self, chart: Chart) -> None:
        made = self._docx.add_paragraph()
        made.alignment, made.paragraph_format.line_spacing = WD_ALIGN_PARAGRAPH.CENTER, 1.0
        picture = made.add_run().add_picture(
            io.BytesIO(chart_png(chart, self._layout)), width=Cm(ROOM)
        )
        drawn = picture._inline.docPr
        drawn.set("descr", chart.alt)
        drawn.set("title", chart.title)

    def _grid(self, grid: Grid) -> None:
        table = self._docx.add_table(rows=1 + len(grid.rows), cols=len(grid.heads))
        table.style, table.alignment, table.autofit = "Table Grid", WD_TABLE_ALIGNMENT.CENTER, False
        _narrow_margins(table)
        size = 11 if len(grid.heads) > 7 else 12 if len(grid.heads) > 5 else 14
        words, last = self._layout.words, len(grid.rows)
        widths = [Cm(ROOM * width / sum(grid.widths)) for width in grid.widths]
        for column, width in zip(table.columns, widths, strict=True):
            column.width = width
        rows: list[list[Cell]] = [[*grid.heads], *grid.rows]
        for at, cells in enumerate(rows):
            forms: list[Form] = ["text"] * len(grid.heads) if at == 0 else grid.forms
            bold = at == 0 or (grid.total and at == last)
            for to, (cell, form) in enumerate(zip(cells, forms, strict=True)):
                where = table.cell(at, to)
                where.width = widths[to]
                paragraph = where.paragraphs[0]
                paragraph.paragraph_format.space_after = Pt(0)
                text = clean(shown(cell, form, words), 4000)
                _run(paragraph, text, size, bold=bold, colour=NAVY if at == 0 else None)
                if at == 0:
                    paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
                    _shade(where, "EAF0F7")
                elif form != "text":
                    paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
        _repeat_head(table)
        self._docx.add_paragraph().paragraph_format.space_after = Pt(2)


# --- what python-docx does not know ------------------------------------------------------


def _run(
    paragraph: Paragraph,
    text: str,
    size: int,
    *,
    bold: bool = False,
    colour: RGBColor | None = None,
) -> None:
    """A run of Thai: its font and size hold for complex scripts, too."""
    run = paragraph.add_run(text)
    run.font.size, run.font.bold = Pt(size), bold or None
    if colour is not None:
        run.font.color.rgb = colour
    properties = run._element.get_or_add_rPr()
    _fonts(properties)
    if bold:
        _switch(properties, "w:bCs")
    _complex_size(properties, size)
    language = OxmlElement("w:lang")
    language.set(qn("w:val"), "th-TH")
    language.set(qn("w:bidi"), "th-TH")
    properties.append(language)
    _switch(properties, "w:cs")
    _sort(properties)


ORDER = [qn("w:" + name) for name in ("rFonts", "b", "bCs", "color", "sz", "szCs", "cs", "lang")]
"""In which order the schema wants what a run is set in."""


def _sort(properties: Any) -> None:
    found = sorted(properties, key=lambda each: ORDER.index(each.tag))
    for each in found:
        properties.append(each)


def _fonts(properties: Any) -> None:
    fonts = properties.get_or_add_rFonts()
    for kind in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
        fonts.attrib.pop(qn("w:" + kind), None)
    for kind in ("ascii", "hAnsi", "cs", "eastAsia"):
        fonts.set(qn("w:" + kind), FONT)


def _complex_size(properties: Any, size: int) -> None:
    half = OxmlElement("w:szCs")
    half.set(qn("w:val"), str(2 * size))
    properties.append(half)


def _switch(properties: Any, name: str) -> None:
    properties.append(OxmlElement(name))


def _field(paragraph: Paragraph, code: str) -> None:
    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), code)
    run = OxmlElement("w:r")
    text = OxmlElement("w:t")
    text.text = "1"
    run.append(text)
    field.append(run)
    paragraph._p.append(field)


def _shade(cell: Any, colour: str) -> None:
    shade = OxmlElement("w:shd")
    for name, value in (("val", "clear"), ("color", "auto"), ("fill", colour)):
        shade.set(qn("w:" + name), value)
    cell._tc.get_or_add_tcPr().append(shade)


def _narrow_margins(table: Table) -> None:
    """A millimetre beside the text of each cell."""
    margins = OxmlElement("w:tblCellMar")
    for side in ("left", "right"):
        margin = OxmlElement("w:" + side)
        margin.set(qn("w:w"), "57")
        margin.set(qn("w:type"), "dxa")
        margins.append(margin)
    table._tbl.tblPr.append(margins)


def _repeat_head(table: Table) -> None:
    """The first row comes again on each page, and no row is torn in two."""
    for at, row in enumerate(table.rows):
        properties = row._tr.get_or_add_trPr()
        _switch(properties, "w:cantSplit")
        if at == 0:
            _switch(properties, "w:tblHeader")
