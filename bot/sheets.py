"""Spreadsheets that somebody hands us: read by a process that can do no harm, row by row."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.json import decode

from bot.sheet_worker import ALL, LONGEST, MOST_BYTES, MOST_COLUMNS, MOST_ROWS

__all__ = ["LONGEST", "MOST_BYTES", "MOST_COLUMNS", "MOST_ROWS", "Reading", "Unreadable", "read"]

WORKER = Path(__file__).with_name("sheet_worker.py")
PATIENCE = 600.0
"""Seconds on the clock: its own limit counts only the time that it computes."""


class Unreadable(Exception):
    """The file is refused as a whole; `why` names a sentence of content/roster.toml."""

    def __init__(self, why: str, **data: Any) -> None:
        super().__init__(why)
        self.why = why
        self.data = data


class Reading(Struct):
    """What is known of a file that is being read."""

    format: str = ""
    base: int = 1900
    """From when an XLSX counts days: 1900 or 1904."""
    peak: int = 0
    """The most memory that the reading process had, in bytes; known at the end."""
    seconds: float = 0.0
    """How long it computed; known at the end."""


def read(path: Path, reading: Reading) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not empty with its number, as strings; raises `Unreadable`."""
    for line in _lines(path, reading):
        if isinstance(line, list):
            yield line[0], line[1:]


def read_all(path: Path, reading: Reading) -> Iterator[tuple[str, int, list[str]]]:
    """The same of all sheets that can be seen, each row with the title of its sheet."""
    title = ""
    for line in _lines(path, reading, ALL):
        if isinstance(line, list):
            yield title, line[0], line[1:]
        else:
            title = line["sheet"]


def _lines(path: Path, reading: Reading, *options: str) -> Iterator[Any]:
    if path.stat().st_size > MOST_BYTES:
        raise Unreadable("too_big", most=MOST_BYTES >> 20)
    with path.open("rb") as file:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", str(WORKER), *options],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"LC_ALL": "C.UTF-8"},
        )
    timer = threading.Timer(PATIENCE, os.kill, (process.pid, signal.SIGKILL))
    timer.start()
    try:
        yield from _rows(process, reading)
    finally:
        timer.cancel()
        os.kill(process.pid, signal.SIGKILL)  # Popen would take its figures away
        _end(process, reading)


def _rows(process: "subprocess.Popen[bytes]", reading: Reading) -> Iterator[Any]:
    """Rows as they were written, and titles of sheets."""
    assert process.stdout is not None
    ended: dict[str, Any] | None = None
    for line in process.stdout:
        try:
            found = decode(line)
        except ValueError:
            break  # it was ended in the middle of a line
        if isinstance(found, list) or "sheet" in found:
            yield found
        elif "peak" in found:
            reading.peak = found["peak"]
        elif "format" in found:
            reading.format, reading.base = found["format"], found["base"]
        else:
            ended = found
    if ended is None:
        raise Unreadable("too_heavy")
    if "refused" in ended:
        raise Unreadable(ended.pop("refused"), **ended)


def _end(process: "subprocess.Popen[bytes]", reading: Reading) -> None:
    """Take leave of it, and note what it used."""
    assert process.stdout is not None
    process.stdout.close()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    reading.seconds = used.ru_utime + used.ru_stime
