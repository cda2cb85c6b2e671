"""How far an agency has come in its first hour; about nobody in particular."""

from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, Table, select

from content.schema import Role
from storage.models import campaigns, persons
from storage.scope import holders


class Begun(Struct, frozen=True):
    people: bool
    hr: bool
    approver: bool
    """Somebody may approve who is not the only one to write."""
    privacy: bool
    admins: int
    campaign: bool


def read(conn: Connection, now: datetime) -> Begun:
    def who(role: Role, most: int = 3) -> set[int]:
        return set(conn.execute(holders(role, now).distinct().limit(most)).scalars())

    hr, approvers = who("hr"), who("approver")
    return Begun(
        people=_any(conn, persons),
        hr=bool(hr),
        approver=bool(approvers - hr) or len(approvers) > 1,
        privacy=bool(who("privacy")),
        admins=len(who("admin")),
        campaign=_any(conn, campaigns),
    )


def _any(conn: Connection, table: Table) -> bool:
    return conn.execute(select(table.c.id).limit(1)).first() is not None
