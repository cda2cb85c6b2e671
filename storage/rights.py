"""What the conversation about one's own data asks the shell for."""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from msgspec.json import decode, encode
from sqlalchemy import Connection, insert, select, update

from content.schema import Content
from flows.types import Json
from storage import audit, subject, wishes
from storage.models import certificates, downloads, learners

LIFE = timedelta(hours=24)
"""How long a link to one's own data is good."""
SHOWN = 12
"""Lines of who looked."""


def my_data(
    conn: Connection, learner_id: int, args: dict[str, Json], now: datetime, content: Content
) -> dict[str, Json]:
    """How many rows are held about a learner, by category of the register."""
    return {**subject.counts(conn, subject.of_learner(conn, learner_id), content.register_)}


def who_looked(
    conn: Connection, learner_id: int, args: dict[str, Json], now: datetime, content: Content
) -> dict[str, Json]:
    """Day, role and unit of officers who opened this learner's data, and whether it was a list of
    names of the unit; the latest first."""
    rows = subject.lookers(conn, subject.of_learner(conn, learner_id))
    return {"rows": rows[:SHOWN]}


def copy(
    conn: Connection, learner_id: int, args: dict[str, Json], now: datetime, content: Content
) -> dict[str, Json]:
    """A link to a copy of everything, where links can be opened; else HR must hand it over."""
    if not content.public_url:
        due = wishes.make(conn, learner_id, "access", None, now)
        return {"due": due.isoformat()}
    token = secrets.token_urlsafe(32)
    until = now + LIFE
    row = {"hash": token_hash(token), "learner_id": learner_id}
    conn.execute(insert(downloads).values(**row, created_at=now, expires_at=until))
    wishes.make(conn, learner_id, "access", None, now, done=True)
    return {"token": token, "due": until.isoformat()}


def token_hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def opened(conn: Connection, token: str, now: datetime) -> int | None:
    """The learner whose copy a link opens, while it is good."""
    good = (downloads.c.hash == token_hash(token[:100]), downloads.c.expires_at > now)
    return conn.execute(select(downloads.c.learner_id).where(*good)).scalar()


def fetched(conn: Connection, learner_id: int, form: str, now: datetime) -> None:
    """Note that a copy was opened by its link, as a page or a file."""
    person = select(learners.c.person_id).where(learners.c.id == learner_id)
    by = conn.execute(person).scalar()
    audit.note(conn, by, "copy_fetched", f"learner:{learner_id}", now, form=form)


def wish(
    conn: Connection, learner_id: int, args: dict[str, Json], now: datetime, content: Content
) -> dict[str, Json]:
    """Note a wish. What the conversation does at once itself is done with that."""
    kind: Any = args["kind"]
    done = kind == "restrict"
    due = wishes.make(conn, learner_id, kind, args.get("detail"), now, done=done)
    return {"kind": kind, "due": due.isoformat()}


def rename(
    conn: Connection, learner_id: int, args: dict[str, Json], now: datetime, content: Content
) -> dict[str, Json]:
    """Put another name on a guest's certificates."""
    mine = select(certificates.c.code, certificates.c.data)
    for row in conn.execute(mine.where(certificates.c.learner_id == learner_id)).all():
        data = encode({**decode(row.data), "name": args["text"]}).decode()
        which = update(certificates).where(certificates.c.code == row.code)
        conn.execute(which.values(name=args["text"], data=data))
    audit.note(conn, None, "renamed", f"learner:{learner_id}", now)
    return {}


def undo_erase(
    conn: Connection, learner_id: int, args: dict[str, Json], now: datetime, content: Content
) -> dict[str, Json]:
    wishes.undo(conn, learner_id, now)
    return {}
