"""Roster files for tests, and a desk that takes them over on a clock that moves when told."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import anyio
import xlsxwriter
from sqlalchemy import Connection, select

from bot.roster_desk import RosterDesk, Wanted
from content.schema import Content
from storage.database import Database
from storage.models import metadata
from tests.running import Clock

HEADERS = ("รหัสบุคลากร", "ชื่อ-นามสกุล", "หน่วยงาน", "รหัสผู้บังคับบัญชา", "ตำแหน่ง")
TOP, HR, IT = "กรม", "กรม / กองการเจ้าหน้าที่", "กรม / ศูนย์เทคโนโลยี"
PEOPLE = (
    ("A1", "นางสมศรี มั่นคง", TOP, "", "อธิบดี"),
    ("B1", "นายเก่ง กล้า", HR, "A1", "ผู้อำนวยการกอง"),
    ("B2", "นางสาวใจ ดี", HR, "B1", "นักทรัพยากรบุคคล"),
    ("B3", "นายวิชัย สุข", HR, "B1", "นิติกร"),
    ("C1", "นางมาลี งาม", IT, "A1", "ผู้อำนวยการศูนย์"),
    ("C2", "นายชาติ ไทย", IT, "C1", "นักวิชาการคอมพิวเตอร์"),
)
"""Six people: B1 and C1 supervise everybody else in their units."""

Rows = Iterable[Sequence[object]]


def sheet(*rows: Sequence[object], headers: Sequence[str] = HEADERS, encoding: str = "utf-8-sig",
          delimiter: str = ",") -> bytes:  # fmt: skip
    """A CSV of these rows below the headers."""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows([headers, *rows])
    return out.getvalue().encode(encoding)


def book(*rows: Sequence[object], headers: Sequence[str] = HEADERS,
         more: Callable[[Any, Any], None] | None = None) -> bytes:  # fmt: skip
    """An XLSX of the same; `more` does something else to the workbook and its sheet."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as made:
        page = made.add_worksheet()
        for at, row in enumerate([headers, *rows]):
            for column, cell in enumerate(row):
                if isinstance(cell, str):
                    page.write_string(at, column, cell)
                else:
                    page.write(at, column, cell)
        if more:
            more(made, page)
    return out.getvalue()


class App:
    """As much of the service as the desk asks for."""

    def __init__(self, db: Database, content: Content, clock: Clock, var: Path) -> None:
        self.db, self.content, self.clock, self.var = db, content, clock, var
        self.dispatcher = self
        self._group: Any = None

    async def read(self, query: Callable[[Connection], Any]) -> Any:
        with self.db.read() as conn:
            return query(conn)

    async def run(self, job: Callable[[Connection, datetime], Any]) -> Any:
        with self.db.write() as conn:
            return job(conn, self.clock())

    def spawn(self, work: Any) -> None:
        import asyncio

        self._group = asyncio.get_running_loop().create_task(work)


class Desk:
    """Takes files over, and does by hand what HR does."""

    def __init__(self, db: Database, content: Content, clock: Clock, var: Path) -> None:
        self.db, self.clock = db, clock
        self._app = App(db, content, clock, var)

    def take(self, data: bytes, **wanted: Any) -> dict[str, Any]:
        async def work() -> dict[str, Any]:
            desk = RosterDesk(cast(Any, self._app))
            return await desk.take(data, Wanted(**wanted))

        return anyio.run(work)

    def ask(self, do: str, **args: Any) -> dict[str, Any]:
        async def work() -> dict[str, Any]:
            made: dict[str, Any] = await RosterDesk(cast(Any, self._app)).ask(do, args)
            return made

        return anyio.run(work)


def dump(db: Database, *without: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with db.read() as conn:
        return {
            table.name: sorted(map(tuple, conn.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
            if table.name not in without
        }
