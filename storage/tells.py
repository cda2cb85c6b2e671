"""Letting somebody else's conversation know, by a timer of their own."""

from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection, select

from content.schema import Content
from flows.calendar import next_permitted
from flows.types import Tell
from storage.looks import manager_of, wake
from storage.models import learners
from storage.scope import holders


def tell(conn: Connection, learner_id: int, effect: Tell, now: datetime, content: Content) -> None:
    """Wake the learner's manager, or every HR officer who chats with the bot, in working time."""
    if effect.whom == "manager":
        manager = manager_of(conn, learner_id)
        whom = [manager] if manager is not None else []
    else:
        officers = select(learners.c.id).where(learners.c.person_id.in_(holders("hr", now)))
        whom = list(conn.execute(officers.order_by(learners.c.id)).scalars())
    due = next_permitted(now, "", content)
    for other in whom:
        wake(conn, other, effect.kind, str(uuid4()), due, effect.data)
