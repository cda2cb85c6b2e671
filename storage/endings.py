"""How rows end that are not sent any more."""

from datetime import datetime
from typing import Any

from sqlalchemy import case

from storage.models import outbox


def unsent(status: str, reason: str, now: datetime) -> dict[str, Any]:
    """The columns of rows that end before they could be sent. An attempt whose end nobody saw may
    have arrived: such a row is uncertain, whatever ends it."""
    seen = case((outbox.c.doubtful, "uncertain"), else_=status)
    return {"status": seen, "reason": reason, "ended_at": now, "payload": "{}"}
