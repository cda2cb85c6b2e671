"""Many rows by one statement. A statement a row costs half as much again: each time, the driver
gives the interpreter away and must get it back."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table

from storage.models import to_micros

MOST = 500
"""Rows in one statement: engines limit its parameters."""

Rows = Sequence[dict[str, Any]]
"""Rows that all have the same columns, in the same order."""


def insert_many(conn: Connection, table: Table, rows: Rows) -> None:
    for part in _parts(rows):
        values = _values(conn, part)
        _run(conn, f"insert into {table.name} ({', '.join(part[0])}) {values}", part)


def pour(conn: Connection, table: Table, rows: Rows) -> None:
    """Insert very many rows sooner: PostgreSQL takes them as a stream, not a parameter each."""
    if not rows or conn.dialect.name != "postgresql":
        return insert_many(conn, table, rows)
    raw: Any = conn.connection.driver_connection
    into = f"copy {table.name} ({', '.join(rows[0])}) from stdin"
    with raw.cursor() as cursor, cursor.copy(into) as stream:
        for row in rows:
            stream.write_row([to_micros(v) if type(v) is datetime else v for v in row.values()])
    return None


def update_many(conn: Connection, table: Table, rows: Rows) -> None:
    """Set the other columns where the first one has its value."""
    for part in _parts(rows):
        key, *names = part[0]
        sets = ", ".join(f"{name} = new.column{n}" for n, name in enumerate(names, 2))
        where = f"{table.name}.{key} = new.column1"
        values = _values(conn, part)
        _run(conn, f"update {table.name} set {sets} from ({values}) as new where {where}", part)


def upsert_many(conn: Connection, table: Table, rows: Rows, *more: str) -> None:
    """Insert, or set the other columns where the first one is there already; `more` are further
    settings, in SQL."""
    for part in _parts(rows):
        key, *names = part[0]
        sets = ", ".join([*(f"{name} = excluded.{name}" for name in names), *more])
        into = f"insert into {table.name} ({', '.join(part[0])})"
        values = _values(conn, part)
        _run(conn, f"{into} {values} on conflict ({key}) do update set {sets}", part)


def _parts(rows: Rows) -> Iterator[Rows]:
    return (rows[at : at + MOST] for at in range(0, len(rows), MOST))


def _values(conn: Connection, rows: Rows) -> str:
    mark = "?" if conn.dialect.paramstyle == "qmark" else "%s"
    return _marks(mark, len(rows[0]), len(rows))


@lru_cache(maxsize=1024)
def _marks(mark: str, columns: int, rows: int) -> str:
    return "values " + ", ".join([f"({', '.join([mark] * columns)})"] * rows)


def _run(conn: Connection, sql: str, rows: Rows) -> None:
    values = [to_micros(v) if type(v) is datetime else v for row in rows for v in row.values()]
    conn.exec_driver_sql(sql, tuple(values))
