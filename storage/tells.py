"""Letting somebody else's conversation know, by a timer of their own."""

from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection, select

from content.schema import Content, Role
from flows.calendar import next_permitted
from flows.types import Tell
from storage.looks import manager_of, wake
from storage.models import learners
from storage.scope import holders


def tell(conn: Connection, learner_id: int, effect: Tell, now: datetime, content: Content) -> None:
    """Wake the learner's manager, or every HR officer who chats with the bot, in working time.
    What is for the privacy officers goes to HR where there is none of them."""
    if effect.whom == "manager":
        manager = manager_of(conn, learner_id)
        whom = [manager] if manager is not None else []
    else:
        whom = _officers(conn, effect.whom, now) or _officers(conn, "hr", now)
    due = next_permitted(now, "", content)
    for other in whom:
        wake(conn, other, effect.kind, str(uuid4()), due, {**effect.data, "from": learner_id})


def _officers(conn: Connection, role: Role, now: datetime) -> list[int]:
    """Learners who hold a role today."""
    officers = select(learners.c.id).where(learners.c.person_id.in_(holders(role, now)))
    return list(conn.execute(officers.order_by(learners.c.id)).scalars())
