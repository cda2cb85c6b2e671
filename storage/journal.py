"""What happened to campaigns and their sendings, step by step; and what a sending says.

A sending is one occurrence of a campaign."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from content.lint import slots_of
from content.schema import LANGS, Campaign
from flows.campaigns import message
from storage import messages
from storage.models import campaign_log, occurrences, persons


def spec_of(campaign: Any) -> Campaign:
    return Campaign.model_validate_json(campaign.spec)


def note(
    conn: Connection, campaign_id: int, what: str, now: datetime, detail: str = "", by: Any = None
) -> None:
    """Every step is kept, with who took it."""
    row = {"campaign_id": campaign_id, "at": now, "by_id": by, "what": what, "detail": detail}
    conn.execute(insert(campaign_log).values(row))


def noted(conn: Connection, campaign_id: int, what: str, detail: str = "") -> Any:
    """The newest entry of a kind, whose detail begins so."""
    begins = campaign_log.c.detail.startswith(detail, autoescape=True)
    entries = select(campaign_log).where(
        campaign_log.c.campaign_id == campaign_id, campaign_log.c.what == what, begins
    )
    return conn.execute(entries.order_by(campaign_log.c.id.desc()).limit(1)).first()


def history(conn: Connection, campaign_id: int, limit: int) -> Sequence[Any]:
    """What happened to a campaign, the newest first, with the names of those who did it."""
    entries = (
        select(campaign_log, persons.c.name)
        .join(persons, persons.c.id == campaign_log.c.by_id, isouter=True)
        .where(campaign_log.c.campaign_id == campaign_id)
        .order_by(campaign_log.c.id.desc())
    )
    return conn.execute(entries.limit(limit)).all()


def begin(
    conn: Connection, campaign_id: int, spec: Campaign, due: datetime, status: str, now: datetime
) -> int:
    """A new sending, with what it says in each language."""
    row = {"campaign_id": campaign_id, "due": due, "status": status, "created_at": now}
    made: int = conn.execute(
        insert(occurrences).values(row).returning(occurrences.c.id)
    ).scalar_one()
    slots = slots_of(spec)
    said = {lang: messages.keep(conn, (message(spec, made, lang),), slots) for lang in LANGS}
    note(conn, campaign_id, "begun", now, f"{made} {json.dumps(said)}")
    return made


def said_by(conn: Connection, sending: Any) -> dict[str, int]:
    """The ids of what a sending says, by language."""
    entry = noted(conn, sending.campaign_id, "begun", f"{sending.id} ")
    found: dict[str, int] = json.loads(entry.detail.partition(" ")[2])
    return found


def turn(
    conn: Connection, sending: Any, status: str, now: datetime, reason: str = "", **more: Any
) -> None:
    """A sending goes from one status to another, and that is written down."""
    ended = now if status == "done" else None
    values = {"status": status, "reason": reason, "ended_at": ended, **more}
    conn.execute(update(occurrences).where(occurrences.c.id == sending.id).values(values))
    note(conn, sending.campaign_id, status, now, f"{sending.id} {reason}".strip())
