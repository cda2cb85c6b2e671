"""What public pages show: a picture by its token, a certificate by its code."""

from typing import Any

from sqlalchemy import Connection, func, select

from storage.looks import grouped, letters_of
from storage.models import certificates, evidence, pictures


def picture(conn: Connection, token: str) -> str | None:
    """The picture of this token, as JSON."""
    found = select(pictures.c.picture).where(pictures.c.token == token[:32])
    return conn.execute(found).scalar()


def certificate(conn: Connection, code: str) -> Any:
    """The certificate with this code, however it was typed; None when there is none."""
    typed = letters_of(code[:64])
    return conn.execute(select(certificates).where(certificates.c.code == typed)).first()


def shown(code: str) -> str:
    return grouped(code)


def uses(conn: Connection, learner_id: int, round: int) -> tuple[int, int]:
    """How often a learner used it at work in a round, and how many of these were confirmed."""
    mine = (evidence.c.learner_id == learner_id, evidence.c.round == round)
    counted = select(func.count(), func.count(evidence.c.confirmed_at)).where(*mine)
    found = conn.execute(counted).one()
    return found[0], found[1]
