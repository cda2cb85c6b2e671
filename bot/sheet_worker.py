"""Reads one CSV or XLSX from standard input in a process of its own, and writes JSON lines: what it
is, then `[row number, cell, ...]` for each row that is not empty, then how many there were; or
`{"refused": why, ...}`. It imports nothing of ours and, once it has begun, can open no file, no
socket and no process, and takes no more memory and time than it may."""

import codecs
import csv
import io
import json
import posixpath
import re
import resource
import statistics
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO
from xml.parsers import expat

MOST_BYTES = 64 << 20
"""A hundred thousand rows of Thai take 33 MiB of UTF-8."""
MOST_ZIPPED = 25 << 20
MOST_ROWS = 120_000
MOST_COLUMNS = 60
LONGEST = 2000
"""Letters in a cell; what is longer is cut after one more, and refused by whoever reads it."""
LONGEST_LINE = 2 * MOST_COLUMNS * LONGEST
MOST_MEMBERS = 200
MOST_MEMBER = 128 << 20
MOST_INSIDE = 192 << 20
MOST_RATIO = 100
"""How much smaller than its content a member may be, from a megabyte on."""
MEMORY = 240 << 20
SECONDS = 18
CHUNK = 1 << 16
ALL = "all"
"""Said by whoever wants every sheet, each after its title: `{"sheet": title}`."""

OLD_EXCEL = b"\xd0\xcf\x11\xe0"
TEXTLESS = (
    b"%PDF",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"{\\rtf",
    b"Rar!",
    b"7z\xbc",
    b"\x1f\x8b",
)
MARKUP = (b"<html", b"<!doctype", b"<?xml", b"<table", b"<svg")
DELIMITERS = ",;\t|"
FLOATING = re.compile(r"(?<=[A-Za-z\s,;\t|\"])[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]")
"""Thai marks that stand on no Thai letter: another alphabet was read as Thai."""
MARKS = re.compile(r"[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]")


class Refused(Exception):
    """The file is not read; `why` names a sentence of content/roster.toml."""

    def __init__(self, why: str, **data: Any) -> None:
        super().__init__(why)
        self.answer = {"refused": why, **data}


def main() -> None:
    with open("/proc/self/status", "rb", buffering=0) as status:
        confine()
        say = Writer(sys.stdout)
        attempt(say)
        say({"peak": peak(status)})


def peak(status: Any) -> int:
    """The most memory that this process has had, in bytes."""
    found = re.search(rb"VmHWM:\s*(\d+)", status.read())
    return int(found[1]) * 1024 if found else 0


def attempt(say: "Writer") -> None:
    """Read, or say why not."""
    try:
        read(sys.stdin.buffer, say)
    except Refused as refused:
        say(refused.answer)
    except (zipfile.BadZipFile, zlib.error, expat.ExpatError, EOFError, struct.error):
        say({"refused": "broken"})
    except (UnicodeDecodeError, LookupError):
        say({"refused": "encoding"})
    except (MemoryError, OverflowError, RecursionError):
        say({"refused": "too_heavy"})
    except csv.Error:
        say({"refused": "quotes", "row": say.last + 1})


def confine() -> None:
    """No more memory, time, files, sockets or processes than these."""
    for codec in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp874", "cp437"):
        codecs.lookup(codec)  # or they would be looked for when no file can be opened any more
    limits = {
        resource.RLIMIT_AS: MEMORY,
        resource.RLIMIT_CPU: SECONDS,
        resource.RLIMIT_NOFILE: 3,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,
    }
    for which, most in limits.items():
        resource.setrlimit(which, (most, most))


class Writer:
    """Writes what was found, and refuses when it is too much."""

    def __init__(self, out: Any) -> None:
        self._out = out
        self.rows = 0
        self.last = 0

    def __call__(self, answer: Any) -> None:
        self._out.write(json.dumps(answer) + "\n")

    def row(self, number: int, cells: list[str]) -> None:
        """A row, without the empty cells at its end; nothing if all are empty."""
        self.last = number
        while cells and not cells[-1].strip():
            cells.pop()
        if not cells:
            return
        if len(cells) > MOST_COLUMNS:
            raise Refused("too_many_columns", most=MOST_COLUMNS)
        self.rows += 1
        if self.rows > MOST_ROWS:
            raise Refused("too_many_rows", most=MOST_ROWS)
        self([number, *(cell[: LONGEST + 1] for cell in cells)])

    def end(self) -> None:
        self({"rows": self.rows})


def read(file: BinaryIO, say: Writer) -> None:
    """Tell by the content what the file is; its name says nothing."""
    size = file.seek(0, io.SEEK_END)
    if size > MOST_BYTES:
        raise Refused("too_big", most=MOST_BYTES >> 20)
    file.seek(0)
    head = file.read(4096)
    if not head.strip(b"\xef\xbb\xbf\xff\xfe\r\n\t ,;\x00"):
        raise Refused("empty")
    if head.startswith(b"PK\x03\x04"):
        if size > MOST_ZIPPED:
            raise Refused("too_big", most=MOST_ZIPPED >> 20)
        workbook(file, size, say)
    elif head.startswith(OLD_EXCEL):
        raise Refused("old_excel")
    elif head.startswith(TEXTLESS) or head.lstrip(b"\xef\xbb\xbf \r\n").lower().startswith(MARKUP):
        raise Refused("not_a_sheet")
    else:
        separated(file, head, say)


# --- CSV -----------------------------------------------------------------------------


def separated(file: BinaryIO, head: bytes, say: Writer) -> None:
    encoding = encoding_of(file, head)
    file.seek(0)
    lines = Lines(io.TextIOWrapper(file, encoding=encoding, newline=""))
    csv.field_size_limit(LONGEST_LINE)
    said = delimiter_of(lines.sample)
    say({"format": "csv", "encoding": encoding, "delimiter": said, "base": 1900})
    reader = csv.reader(lines, delimiter=said, strict=True)
    for number, cells in enumerate(reader, 1):  # a spreadsheet counts a cell of two lines as one
        if number > 1 or not (cells and cells[0].lower().startswith("sep=")):
            say.row(number, cells)
    say.end()


class Lines:
    """The lines of a text, each of bounded length; the first of them may be looked at before."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.sample: list[str] = []
        while len(self.sample) < 20 and (line := self._next()):
            self.sample.append(line)

    def _next(self) -> str:
        line = self._text.readline(LONGEST_LINE + 1)
        if len(line) > LONGEST_LINE:
            raise Refused("too_many_columns", most=MOST_COLUMNS)
        if "\x00" in line:
            raise Refused("not_a_sheet")
        return line

    def __iter__(self) -> Iterator[str]:
        yield from self.sample
        while line := self._next():
            yield line


def encoding_of(file: BinaryIO, head: bytes) -> str:
    """UTF-8 if it is that, UTF-16 by its mark or its look, else Thai by the byte."""
    if head.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        raise Refused("encoding")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for at, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        high = head[at::2]
        if high and sum(byte in (0x00, 0x0E) for byte in high) > 0.9 * len(high):
            return encoding
    if b"\x00" in head:
        raise Refused("not_a_sheet")
    try:
        check(file, "utf-8-sig")
        return "utf-8-sig"
    except UnicodeDecodeError:
        marks, floating = check(file, "cp874")
        if floating * 5 > marks:
            raise Refused("encoding") from None
        return "cp874"


def check(file: BinaryIO, encoding: str) -> tuple[int, int]:
    """Decode all of it; how many Thai marks there are, and how many stand on no Thai letter."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    marks = floating = 0
    while chunk := file.read(CHUNK):
        text = decoder.decode(chunk)
        if encoding == "cp874":
            marks += len(MARKS.findall(text))
            floating += len(FLOATING.findall(text))
    decoder.decode(b"", final=True)
    return marks, floating


def delimiter_of(sample: list[str]) -> str:
    """What parts the cells: the sign that is in most lines, most often."""
    first = sample[0].strip().lower() if sample else ""
    if first.startswith("sep=") and first[4:] in DELIMITERS and len(first) == 5:
        return first[4:]
    bare = [re.sub(r'"[^"]*"', "", line) for line in sample if line.strip()]
    often = {sign: statistics.median([line.count(sign) for line in bare]) for sign in DELIMITERS}
    return max(DELIMITERS, key=lambda sign: often[sign])


# --- XLSX ----------------------------------------------------------------------------


def workbook(file: BinaryIO, size: int, say: Writer) -> None:
    directory(file, size)
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        members = scan(archive)
        found, base = sheets_of(archive, members)
        strings: list[str] = []
        if shared := members.get("xl/sharedStrings.xml"):
            parse(archive, shared, Strings(strings))
        wanted = found if ALL in sys.argv[1:] else found[:1]
        if not wanted or any(member not in members for _, member in wanted):
            raise Refused("broken")
        say({"format": "xlsx", "base": base})
        for title, member in wanted:
            if ALL in sys.argv[1:]:
                say({"sheet": title[: LONGEST + 1]})
            parse(archive, members[member], Cells(strings, say))
        say.end()


def directory(file: BinaryIO, size: int) -> None:
    """The end of the archive, before anything is made of it: a directory can be a bomb, too."""
    file.seek(max(0, size - (1 << 16) - 22))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise Refused("broken")
    here, many, length = struct.unpack_from("<HHL", tail, at + 8)
    if max(here, many) > MOST_MEMBERS or length > MOST_MEMBERS * 1024:
        raise Refused("bomb")


def scan(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """What the directory says, judged before anything is inflated."""
    found: dict[str, zipfile.ZipInfo] = {}
    infos = archive.infolist()
    for info in infos:
        name = info.filename
        parts = name.split("/")
        odd = name.startswith("/") or ".." in parts or "\\" in name or ":" in name
        if odd or not name.isprintable() or name.lower() in {n.lower() for n in found}:
            raise Refused("names")
        if info.flag_bits & 0x1:
            raise Refused("old_excel")
        if "vbaproject" in name.lower():
            raise Refused("macros")
        if "externallinks/" in name.lower():
            raise Refused("links")
        ratio = info.file_size / max(1, info.compress_size)
        if info.file_size > MOST_MEMBER or (info.file_size > 1 << 20 and ratio > MOST_RATIO):
            raise Refused("bomb")
        found[name] = info
    if sum(info.file_size for info in infos) > MOST_INSIDE:
        raise Refused("bomb")
    if "xl/workbook.xml" not in found or "[Content_Types].xml" not in found:
        raise Refused("not_a_sheet")
    return found


def parse(archive: zipfile.ZipFile, member: zipfile.ZipInfo, handler: "Handler") -> None:
    """Feed a member to a parser, a piece at a time; what is longer than it says does not fit."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Refused("broken")
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.buffer_size = CHUNK
    parser.StartDoctypeDeclHandler = forbidden
    parser.EntityDeclHandler = forbidden
    parser.StartElementHandler = handler.start
    parser.EndElementHandler = handler.end
    parser.CharacterDataHandler = handler.text
    left = member.file_size
    with archive.open(member) as content:
        while piece := content.read(CHUNK):
            left -= len(piece)
            if left < 0:
                raise Refused("bomb")
            parser.Parse(piece, False)
    parser.Parse(b"", True)


def forbidden(*_: Any) -> None:
    raise Refused("bomb")  # a spreadsheet declares no entities


class Handler:
    """What a parser tells; names may come with a prefix."""

    __slots__ = ()

    def start(self, name: str, given: dict[str, str]) -> None: ...

    def end(self, name: str) -> None: ...

    def text(self, text: str) -> None: ...


def local(name: str) -> str:
    """A name without its prefix."""
    return name.rpartition(":")[2] if ":" in name else name


class Sheets(Handler):
    """The workbook: the sheets that can be seen, and from when days are counted."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.base = 1900

    def start(self, name: str, given: dict[str, str]) -> None:
        own = {local(key): value for key, value in given.items()}
        if local(name) == "workbookPr" and own.get("date1904") in ("1", "true"):
            self.base = 1904
        if local(name) == "sheet" and own.get("state", "visible") == "visible":
            self.seen.append((own.get("name", ""), own.get("id", "")))


class Targets(Handler):
    """Which member an id stands for."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}

    def start(self, name: str, given: dict[str, str]) -> None:
        if local(name) == "Relationship" and given.get("TargetMode") != "External":
            self.of[given.get("Id", "")] = given.get("Target", "")


def sheets_of(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]
) -> tuple[list[tuple[str, str]], int]:
    """The title of each sheet that can be seen with the member that holds it; the first day."""
    sheets, targets = Sheets(), Targets()
    parse(archive, members["xl/workbook.xml"], sheets)
    if (rels := members.get("xl/_rels/workbook.xml.rels")) is None:
        raise Refused("broken")
    parse(archive, rels, targets)
    found = []
    for title, id in sheets.seen[:MOST_MEMBERS]:
        target = targets.of.get(id, "")
        whole = target[1:] if target.startswith("/") else posixpath.join("xl", target)
        found.append((title, posixpath.normpath(whole)))
    return found, sheets.base


class Strings(Handler):
    """The table of texts that cells point to; how they are to be pronounced is left out."""

    def __init__(self, found: list[str]) -> None:
        self._found = found
        self._parts: list[str] = []
        self._open = self._phonetic = False

    def start(self, name: str, given: dict[str, str]) -> None:
        match local(name):
            case "si":
                self._parts = []
            case "rPh":
                self._phonetic = True
            case "t":
                self._open = not self._phonetic

    def end(self, name: str) -> None:
        match local(name):
            case "si":
                self._found.append("".join(self._parts)[: LONGEST + 1])
            case "rPh":
                self._phonetic = False
            case "t":
                self._open = False

    def text(self, text: str) -> None:
        if self._open:
            self._parts.append(text[: LONGEST + 1])


class Cells(Handler):
    """The rows of a sheet, each written as soon as it is over. A million cells come through here:
    what is frequent is asked first."""

    __slots__ = ("_cells", "_column", "_columns", "_kind", "_open", "_parts", "_phonetic", "_row",
                 "_say", "_strings")  # fmt: skip

    def __init__(self, strings: list[str], say: Writer) -> None:
        self._strings = strings
        self._say = say
        self._row = self._column = 0
        self._cells: list[str] = []
        self._columns = {"": 0}
        self._kind = ""
        self._parts: list[str] = []
        self._open = self._phonetic = False

    def start(self, name: str, given: dict[str, str]) -> None:
        if ":" in name:
            name = local(name)
        if name == "c":
            self._kind = given.get("t", "n")
            if self._parts:
                self._parts = []
            letters = given.get("r", "").rstrip("0123456789")
            self._column = self._columns.get(letters) or self._place(letters)
        elif name == "v" or name == "t":
            self._open = not self._phonetic
        elif name == "row":
            number = given.get("r", "")
            self._row = int(number) if number.isdecimal() else self._row + 1
            self._column, self._cells = 0, []
        elif name == "rPh":
            self._phonetic = True

    def _place(self, letters: str) -> int:
        """Which column it is; a cell that does not say stands beside the one before."""
        if not letters:
            return self._column + 1
        found = column_of(letters)
        if found <= MOST_COLUMNS:
            self._columns[letters] = found
        return found

    def end(self, name: str) -> None:
        if ":" in name:
            name = local(name)
        if name == "v" or name == "t":
            self._open = False
        elif name == "c":
            if self._parts:
                self._keep("".join(self._parts))
        elif name == "row":
            self._say.row(self._row, self._cells)
            self._cells = []
        elif name == "rPh":
            self._phonetic = False

    def _keep(self, raw: str) -> None:
        value = self._value(raw)
        if not value:
            return
        if self._column > MOST_COLUMNS:
            raise Refused("too_many_columns", most=MOST_COLUMNS)
        cells = self._cells
        while len(cells) < self._column:
            cells.append("")
        cells[self._column - 1] = value

    def _value(self, raw: str) -> str:
        if self._kind == "s":
            at = int(raw) if raw.strip().isdecimal() else -1
            return self._strings[at] if 0 <= at < len(self._strings) else ""
        if self._kind == "b":
            return "true" if raw.strip() == "1" else "false"
        return number(raw) if self._kind == "n" else raw

    def text(self, text: str) -> None:
        if self._open:
            self._parts.append(text[: LONGEST + 1])


def column_of(letters: str) -> int:
    """A is 1; past the last column of any spreadsheet it is one too many."""
    if len(letters) > 3 or not letters.isascii() or not letters.isalpha():
        return MOST_COLUMNS + 1
    found = 0
    for letter in letters.upper():
        found = found * 26 + ord(letter) - 64
    return found


def number(raw: str) -> str:
    """A number as people write it: whole where it is whole."""
    try:
        value = float(raw)
    except ValueError:
        return raw
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else raw


if __name__ == "__main__":
    main()
