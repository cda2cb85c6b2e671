"""Moments waiting for one learner: which are due."""

from datetime import datetime

from msgspec.json import decode
from sqlalchemy import Connection, select

from flows.types import Fired
from storage.models import learners, timers, to_micros
from storage.wire import Incoming


def due(conn: Connection, now: datetime, limit: int = 500) -> list[Incoming]:
    """Due timers as events. Taking one is idempotent: its row and its key go together."""
    rows = conn.execute(
        select(timers, learners.c.channel, learners.c.address)
        .join(learners)
        .where(timers.c.due <= now)
        .order_by(timers.c.due, timers.c.id)
        .limit(limit)
    )
    return [
        Incoming(
            row.channel,
            "timer",
            f"{row.id}:{to_micros(row.due)}",
            row.address,
            Fired(row.kind, row.key, decode(row.data), row.due),
            now,
            learner=row.learner_id,
            timer=row.id,
        )
        for row in rows
    ]
